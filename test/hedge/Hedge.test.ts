import { assert, describe, it, vi } from "@effect/vitest"
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  FiberRef,
  Schedule,
  TestClock,
  Logger
} from "effect"
import { CircuitBreaker, Hedge, Policy, Retry, RetryBudget, Timeout, Trip } from "effect-resilience"
import { refusalOf } from "../support/calls.js"
import { runLive } from "../support/live.js"
import { runs } from "../support/runs.js"
import { finish, scripted, timeline } from "../support/virtual.js"

/** Ends with its value after so many milliseconds. */
const after = <A>(millis: number, value: A): Effect.Effect<A> => Effect.delay(Effect.succeed(value), millis)
const failAfter = <E>(millis: number, error: E): Effect.Effect<never, E> =>
  Effect.delay(Effect.fail(error), millis)

/** How a call ends, and when. */
const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.zip(Effect.exit(self), Clock.currentTimeMillis).pipe(
    finish,
    Effect.map(Exit.getOrElse(() => assert.fail()))
  )

const delay = "100 millis" as const

describe("a hedge", () => {
  it.effect("is not started when the first attempt ends before the delay", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(after(99, "first"))
      assert.deepStrictEqual(yield* timed(Hedge.hedge(call, { delay })), [Exit.succeed("first"), 99])
      assert.deepStrictEqual(begun, [0])
    })
  )

  it("is started on the live clock too, and leaves no timer behind", async () => {
    const { begun, call } = scripted(Effect.never, Effect.succeed("second"))
    const ended = await runLive(async () => {
      const value = await Effect.runPromise(Hedge.hedge(call, { delay: 1, maxHedges: 5 }))
      return [value, vi.getTimerCount()]
    })
    assert.deepStrictEqual(ended, ["second", 0])
    assert.strictEqual(begun.length, 2)
  })

  it.effect.each<
    [string, ReadonlyArray<Effect.Effect<string, string>>, number, string, number, ReadonlyArray<number>]
  >([
    ["the hedge wins", [after(500, "first"), after(50, "second")], 1, "second", 150, [0, 100]],
    ["the first wins", [after(120, "first"), after(500, "second")], 1, "first", 120, [0, 100]],
    [
      "the third wins",
      [after(500, "first"), after(400, "second"), after(50, "third")],
      2,
      "third",
      250,
      [0, 100, 200]
    ],
    ["there are no more than may be", [after(1000, "first")], 3, "first", 1000, [0, 100, 200, 300]],
    ["it is turned off", [after(1000, "first")], 0, "first", 1000, [0]]
  ])("starts after the delay: %s", ([, attempts, maxHedges, value, endedAt, expected]) =>
    Effect.gen(function* () {
      const { begun, call } = scripted(attempts[0], ...attempts.slice(1))
      const hedged = call.pipe(Hedge.hedge({ delay, maxHedges }))
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed(value), endedAt])
      assert.deepStrictEqual(begun, expected)
    })
  )

  it.effect("starts at once when an attempt fails, and again after the delay", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(failAfter(30, "one"), after(500, "second"), after(500, "third"))
      const hedged = call.pipe(Hedge.hedge({ delay, maxHedges: 2 }))
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed("second"), 530])
      assert.deepStrictEqual(begun, [0, 30, 130])
    })
  )

  it.effect("does not let an early failure win over a later success", () =>
    Effect.gen(function* () {
      const { call } = scripted<string, string, never>(after(150, "slow"), failAfter(10, "early"))
      assert.deepStrictEqual(yield* timed(Hedge.hedge(call, { delay })), [Exit.succeed("slow"), 150])
    })
  )

  it.effect("gives the last failure back when all have failed", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(failAfter(300, "one"), failAfter(100, "two"), failAfter(10, "three"))
      const hedged = call.pipe(Hedge.hedge({ delay, maxHedges: 2 }))
      assert.deepStrictEqual(yield* timed(hedged), [Exit.fail("one"), 300])
      assert.deepStrictEqual(begun, [0, 100, 200])
    })
  )

  it.effect("makes all attempts at once when all fail at once, thousands of them", () =>
    Effect.gen(function* () {
      let attempts = 0
      const call = Effect.suspend(() => Effect.fail((attempts += 1)))
      const exit = yield* Effect.exit(Hedge.hedge(call, { delay, maxHedges: 3000 }))
      assert.deepStrictEqual(exit, Exit.fail(3001))
      assert.strictEqual(attempts, 3001)
    })
  )

  it.effect("starts all of them at once without a delay", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(after(300, "first"), after(100, "second"), after(200, "third"))
      const hedged = call.pipe(Hedge.hedge({ delay: 0, maxHedges: 2 }))
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed("second"), 100])
      assert.deepStrictEqual(begun, [0, 0, 0])
    })
  )

  it.effect("starts no attempt by time when its delay is infinite, only after a failure", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted<string, string, never>(failAfter(5000, "down"), after(5000, "up"))
      const hedged = call.pipe(Hedge.hedge({ delay: Infinity, maxHedges: 3 }))
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed("up"), 10_000])
      assert.deepStrictEqual(begun, [0, 5000])
    })
  )

  it.effect("takes the first exit that is not a failure", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.succeed(503), after(100, 500), after(50, 200))
      const hedged = Hedge.hedge(call, { delay: 20, maxHedges: 2, condition: { result: (n) => n >= 500 } })
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed(200), 70])
      assert.deepStrictEqual(begun, [0, 0, 20])
    })
  )

  it.effect.each<[string, Effect.Effect<number, string>, Hedge.Options<number, string>["condition"]]>([
    ["an error that the condition does not count", Effect.fail("not found"), { error: (e) => e === "down" }],
    ["what the condition ignores", Effect.fail("busy"), { ignore: { error: () => true } }],
    ["a defect", Effect.die("bug"), undefined],
    ["an interruption of itself", Effect.interrupt, undefined],
    ["an empty cause", Effect.failCause(Cause.empty), undefined]
  ])("comes to an end with %s, at once and as it was", ([, effect, condition]) =>
    Effect.gen(function* () {
      const { begun, call } = scripted<number, string, never>(after(1000, 1), effect)
      const hedged = Hedge.hedge(call, { delay, maxHedges: 5, condition })
      const [exit, endedAt] = yield* timed(hedged)
      const expected = yield* Effect.exit(effect)
      assert.strictEqual(Exit.isInterrupted(exit), Exit.isInterrupted(expected))
      if (!Exit.isInterrupted(expected)) assert.deepStrictEqual(exit, expected)
      assert.strictEqual(endedAt, 100)
      assert.deepStrictEqual(begun, [0, 100])
    })
  )

  it.effect("follows a defect when the condition says that it is a failure", () =>
    Effect.gen(function* () {
      const { call } = scripted<string, never, never>(Effect.die("bug"), Effect.succeed("up"))
      assert.strictEqual(yield* Hedge.hedge(call, { delay, condition: { defect: true } }), "up")
    })
  )

  it.effect("dies of a condition that throws, and leaves nothing running", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const { call } = scripted<string, string, never>(
        Effect.onInterrupt(after(1000, "first"), () => note("interrupted")),
        Effect.fail("down")
      )
      const error = () => {
        throw "oops"
      }
      assert.deepStrictEqual(yield* timed(Hedge.hedge(call, { delay, condition: { error } })), [
        Exit.die("oops"),
        100
      ])
      assert.deepStrictEqual(log, ["100 interrupted"])
    })
  )

  it.effect("can be run again and again, each time on its own", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(after(150, "up"))
      const hedged = call.pipe(Hedge.hedge({ delay }))
      yield* finish(Effect.all([hedged, hedged], { concurrency: 2 }))
      assert.deepStrictEqual(begun, [0, 0, 100, 100])
    })
  )
})

describe("the delay of a hedge", () => {
  it.effect("can be computed, for each wait", () =>
    Effect.gen(function* () {
      class Pace extends Context.Tag("Pace")<Pace, Array<number>>() {}
      const { begun, call } = scripted(after(1000, "up"))
      const computed = Effect.map(Pace, (delays) => delays.shift() ?? assert.fail())
      const hedged = call.pipe(Hedge.hedge({ delay: computed, maxHedges: 3 }))
      yield* finish(Effect.provideService(hedged, Pace, [100, -5, 50]))
      assert.deepStrictEqual(begun, [0, 100, 100, 150])
    })
  )

  it.effect("that cannot be computed ends the call, and interrupts its attempts", () =>
    Effect.gen(function* () {
      for (const [computed, expected] of [
        [Effect.fail("no delay"), Exit.fail("no delay")],
        [Effect.die("bug"), Exit.die("bug")]
      ] as const) {
        const { log, note } = timeline()
        const call = Effect.onInterrupt(Effect.never, () => note("interrupted"))
        assert.deepStrictEqual(yield* Effect.exit(Hedge.hedge(call, { delay: computed })), expected)
        assert.deepStrictEqual(log, ["0 interrupted"])
      }
      yield* refusalOf(Hedge.hedge(Effect.never, { delay: Effect.succeed(NaN) }))
    })
  )

  it.effect("that is still being computed is given up when an attempt ends", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const computed = Effect.onInterrupt(Effect.never, () =>
        Effect.zipRight(Effect.sleep(10), note("given up"))
      )
      assert.deepStrictEqual(yield* timed(Hedge.hedge(after(50, "up"), { delay: computed })), [
        Exit.succeed("up"),
        60
      ])
      assert.deepStrictEqual(log, ["60 given up"])
    })
  )

  it.effect("may be a month", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.delay(Effect.succeed("up"), "80 days"))
      yield* finish(Hedge.hedge(call, { delay: "30 days" }))
      assert.deepStrictEqual(begun, [0, Duration.toMillis("30 days")])
    })
  )
})

describe("attempts that lose", () => {
  const slowToLeave = (note: (what: string) => Effect.Effect<void>) =>
    Effect.onInterrupt(Effect.never, () => Effect.zipRight(Effect.sleep(300), note("gone")))

  it.effect("are interrupted, and waited for as long as their finalizers take", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const { call } = scripted(slowToLeave(note), after(50, "second"))
      assert.deepStrictEqual(yield* timed(Hedge.hedge(call, { delay })), [Exit.succeed("second"), 450])
      assert.deepStrictEqual(log, ["450 gone"])
    })
  )

  it.effect("are left behind when disconnected, and still end", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const { call } = scripted(slowToLeave(note), after(50, "second"))
      const hedged = Hedge.hedge(call, { delay, disconnect: true })
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed("second"), 150])
      assert.deepStrictEqual(log, ["450 gone"])
    })
  )

  it.effect("can be interrupted where the caller cannot", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const { call } = scripted<string, never, never>(
        Effect.onInterrupt(Effect.never, () => note("gone")),
        after(50, "second")
      )
      const hedged = Effect.uninterruptible(Hedge.hedge(call, { delay }))
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed("second"), 150])
      assert.deepStrictEqual(log, ["150 gone"])
    })
  )

  it.effect("close their scopes", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const scoped = (name: string, millis: number) =>
        Effect.acquireRelease(note(`open ${name}`), () => note(`close ${name}`)).pipe(
          Effect.zipRight(after(millis, name)),
          Effect.scoped
        )
      const { call } = scripted(scoped("one", 1000), scoped("two", 50))
      yield* timed(Hedge.hedge(call, { delay }))
      assert.deepStrictEqual(log, ["0 open one", "100 open two", "150 close two", "150 close one"])
    })
  )

  it.effect("that fail while they leave change nothing", () =>
    Effect.gen(function* () {
      for (const leaving of [Effect.die("bug"), Effect.sleep(10)]) {
        const { call } = scripted<string, string, never>(
          Effect.onInterrupt(Effect.never, () => leaving),
          after(50, "second")
        )
        assert.deepStrictEqual((yield* timed(Hedge.hedge(call, { delay })))[0], Exit.succeed("second"))
      }
    })
  )

  it.effect("count for nothing in a circuit breaker inside", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      const { call } = scripted<string, never, never>(Effect.never, after(50, "second"))
      assert.deepStrictEqual(
        (yield* timed(call.pipe(breaker.protect, Hedge.hedge({ delay }))))[0],
        Exit.succeed("second")
      )
      assert.deepInclude(yield* breaker.snapshot, { state: "closed", successes: 1, failures: 0 })

      yield* breaker.halfOpen
      const probes = yield* CircuitBreaker.make({
        trip: Trip.consecutive(1),
        halfOpen: { permits: 2, successes: 2 }
      })
      yield* probes.halfOpen
      const again = scripted<string, never, never>(Effect.never, after(50, "second"))
      yield* timed(again.call.pipe(probes.protect, Hedge.hedge({ delay })))
      assert.deepInclude(yield* probes.snapshot, { state: "half-open", successes: 1, failures: 0 })
      // The place of the loser is free again.
      assert.strictEqual(yield* probes.protect(Effect.succeed("up")), "up")
      assert.strictEqual(yield* probes.state, "closed")
    })
  )

  it.effect("and failed results that do not come back are disposed of", () =>
    Effect.gen(function* () {
      const disposed: Array<number> = []
      const options = {
        delay,
        maxHedges: 2,
        condition: { result: (status: number) => status >= 500 },
        disposeResult: (result: number) => Effect.sync(() => void disposed.push(result))
      }
      for (const [results, back, gone] of [
        [[503, 500, 201], 201, [503, 500]],
        [[503, 500, 502], 502, [503, 500]],
        [[200], 200, []]
      ] as const) {
        disposed.length = 0
        const { call } = scripted(
          after(10, results[0]),
          ...results.slice(1).map((result) => after(10, result))
        )
        assert.deepStrictEqual((yield* timed(Hedge.hedge(call, options)))[0], Exit.succeed(back))
        assert.deepStrictEqual(disposed, [...gone])
      }
    })
  )
})

describe("the exit of a hedge", () => {
  it.effect("brings the FiberRefs of its attempt, whether it succeeds or fails", () =>
    Effect.gen(function* () {
      const ref = FiberRef.unsafeMake("none")
      const set = <A, E>(name: string, self: Effect.Effect<A, E>) =>
        Effect.zipRight(FiberRef.set(ref, name), self)
      const won = scripted(set("first", after(1000, 1)), set("second", after(50, 2)))
      const seen = yield* finish(Effect.zipRight(Hedge.hedge(won.call, { delay }), FiberRef.get(ref)))
      assert.deepStrictEqual(seen, Exit.succeed("second"))

      const lost = scripted(set("first", failAfter(500, "one")), set("second", Effect.fail("two")))
      const kept = Effect.zipRight(Effect.exit(Hedge.hedge(lost.call, { delay })), FiberRef.get(ref))
      assert.deepStrictEqual(yield* finish(kept), Exit.succeed("first"))
    })
  )

  it.effect("is computed in the context of the call", () =>
    Effect.gen(function* () {
      class Where extends Context.Tag("Where")<Where, string>() {}
      const hedged = Where.pipe(Hedge.hedge({ delay: 0, maxHedges: 2 }))
      assert.strictEqual(yield* Effect.provideService(hedged, Where, "here"), "here")
    })
  )

  it.effect("may come from any depth of hedges", () =>
    Effect.gen(function* () {
      let call: Effect.Effect<string> = Effect.succeed("bottom")
      for (let depth = 0; depth < runs(500, 2000); depth++) call = Hedge.hedge(call, { delay })
      assert.strictEqual(yield* call, "bottom")
    })
  )
})

describe("a failure that starts no other attempt", () => {
  const patient = { delay: 100, maxHedges: 5, startsNext: (): boolean => false }

  it.effect("comes back at once when nothing else runs", () =>
    Effect.gen(function* () {
      let attempts = 0
      const failing = Effect.suspend(() => ((attempts += 1), Effect.fail("busy")))
      assert.strictEqual(yield* Effect.flip(Hedge.hedge(failing, patient)), "busy")
      assert.strictEqual(attempts, 1)
    })
  )

  it.effect("waits for what runs, and nothing else starts meanwhile", () =>
    Effect.gen(function* () {
      let attempts = 0
      const call = Effect.suspend(() => {
        attempts += 1
        return attempts === 1 ? Effect.delay(Effect.succeed("late"), 1000) : Effect.fail("busy")
      })
      const fiber = yield* Effect.fork(Hedge.hedge(call, patient))
      yield* TestClock.adjust(1000)
      assert.strictEqual(yield* Fiber.join(fiber), "late")
      assert.strictEqual(attempts, 2)
    })
  )
})

describe("Hedge.CurrentAttempt", () => {
  const read = Effect.map(Hedge.CurrentAttempt, ({ elapsed, number }) => [number, Duration.toMillis(elapsed)])

  it.effect("tells an attempt its number, and when it began", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = [yield* read]
      const call = Effect.zipRight(
        Effect.map(read, (attempt) => seen.push(attempt)),
        failAfter(250, "down")
      )
      yield* finish(call.pipe(Hedge.hedge({ delay, maxHedges: 2 })))
      assert.deepStrictEqual(seen, [
        [1, 0],
        [1, 0],
        [2, 100],
        [3, 200]
      ])
    })
  )

  it.effect("is that of the innermost hedge, and independent of retries", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const call = Effect.gen(function* () {
        const [hedge, retry] = [yield* Hedge.CurrentAttempt, yield* Retry.CurrentAttempt]
        seen.push(`hedge ${hedge.number}, retry ${retry.number}`)
        return yield* Effect.fail("down")
      })
      const hedged = Hedge.hedge({ delay, maxHedges: 1 })
      yield* Effect.exit(call.pipe(hedged, Retry.retry({ times: 1, schedule: Schedule.forever })))
      assert.deepStrictEqual(seen, [
        "hedge 1, retry 1",
        "hedge 2, retry 1",
        "hedge 1, retry 2",
        "hedge 2, retry 2"
      ])
      seen.length = 0
      yield* Effect.exit(call.pipe(Hedge.hedge({ delay, maxHedges: 0 }), hedged))
      yield* Effect.exit(call.pipe(hedged, hedged))
      assert.deepStrictEqual(
        seen.map((line) => line.slice(0, 7)),
        ["hedge 1", "hedge 2", "hedge 1", "hedge 2", "hedge 1", "hedge 2"]
      )
    })
  )
})

describe("a hedge with other policies", () => {
  it.effect("around a retry gives each attempt its own retries", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(failAfter(150, "down"))
      const retried = call.pipe(Retry.retry({ times: 2, schedule: Schedule.forever }))
      const exit = yield* timed(retried.pipe(Hedge.hedge({ delay })))
      assert.deepStrictEqual(exit, [Exit.fail("down"), 550])
      assert.deepStrictEqual(begun, [0, 100, 150, 250, 300, 400])
    })
  )

  it.effect("inside a retry starts afresh with each attempt", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(failAfter(150, "down"))
      const hedged = call.pipe(Hedge.hedge({ delay }))
      yield* timed(hedged.pipe(Retry.retry({ times: 1, schedule: Schedule.forever })))
      assert.deepStrictEqual(begun, [0, 100, 250, 350])
    })
  )

  it.effect("has a timeout inside for each attempt, and one outside for all", () =>
    Effect.gen(function* () {
      const inside = scripted<string, never, never>(Effect.never, after(10, "second"))
      assert.deepStrictEqual(
        yield* timed(inside.call.pipe(Timeout.timeout("50 millis"), Hedge.hedge({ delay }))),
        [Exit.succeed("second"), 60]
      )
      yield* TestClock.setTime(0)
      const { log, note } = timeline()
      const never = Effect.onInterrupt(Effect.never, () => note("gone"))
      const outside = never.pipe(
        Hedge.hedge({ delay, maxHedges: 5 }),
        Timeout.timeout("250 millis"),
        Effect.flip
      )
      const error = yield* finish(outside)
      assert.isTrue(Exit.isSuccess(error) && error.value._tag === "TimeoutExceeded")
      assert.deepStrictEqual(log, ["250 gone", "250 gone", "250 gone"])
    })
  )

  it.effect("ends when a breaker turns all attempts away", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      yield* breaker.open
      const error = yield* Effect.flip(Effect.succeed("up").pipe(breaker.protect, Hedge.hedge({ delay })))
      assert.strictEqual(error._tag, "CircuitOpen")
      assert.strictEqual((yield* breaker.snapshot).rejected, 2)
    })
  )
})

describe("the listener onHedge", () => {
  it.effect("is told before a hedge starts, and why", () =>
    Effect.gen(function* () {
      const events: Array<unknown> = []
      const { call } = scripted<string, string, never>(
        after(1000, "first"),
        failAfter(30, "down"),
        after(200, "third")
      )
      const hedged = Hedge.hedge(call, {
        name: "offers",
        delay,
        maxHedges: 2,
        onHedge: ({ attempt, elapsed, failure, name }) =>
          Effect.sync(() => {
            const reason = failure?._tag === "Error" ? failure.error : failure
            events.push([name, attempt, Duration.toMillis(elapsed), reason])
          })
      })
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed("third"), 330])
      assert.deepStrictEqual(events, [
        ["offers", 2, 100, undefined],
        ["offers", 3, 130, "down"]
      ])
    })
  )

  it.effect("that is slow delays the hedge and nothing else", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(after(150, "first"))
      const hedged = call.pipe(Hedge.hedge({ delay, onHedge: () => Effect.sleep(70) }))
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed("first"), 150])
      assert.deepStrictEqual(begun, [0])
    })
  )

  it.effect("that fails ends the call with its error, whatever the condition says", () =>
    Effect.gen(function* () {
      const hedged = Hedge.hedge(after(500, "first"), {
        delay,
        maxHedges: 5,
        condition: { error: () => true },
        onHedge: () => Effect.fail("listener")
      })
      assert.deepStrictEqual(yield* timed(hedged), [Exit.fail("listener"), 100])
    })
  )

  it.effect("that dies is reported, and the hedge starts", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(after(500, "first"), after(10, "second"))
      const hedged = call.pipe(Hedge.hedge({ delay, onHedge: () => Effect.die("bug") }))
      assert.deepStrictEqual((yield* timed(hedged))[0], Exit.succeed("second"))
      assert.strictEqual(begun.length, 2)
    })
  )
})

describe("the disposal of a loser's result", () => {
  it.effect("that dies is reported, and the call has its result", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    const { call } = scripted(
      Effect.uninterruptible(after(500, "first")),
      Effect.uninterruptible(after(10, "second"))
    )
    const hedged = call.pipe(Hedge.hedge({ delay, name: "quotes", disposeResult: () => Effect.die("bug") }))
    return Effect.gen(function* () {
      assert.deepStrictEqual((yield* timed(hedged))[0], Exit.succeed("second"))
      assert.deepStrictEqual(logged, ['a listener of "quotes" failed'])
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })
})

describe("a hedge with a budget", () => {
  it.effect("takes a token for each hedge, and puts in a share for each call that succeeds", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ ratio: 0.5, capacity: 10 }) })
      const { call } = scripted(after(1000, "first"), after(1000, "second"), after(10, "third"))
      assert.deepStrictEqual(
        (yield* timed(call.pipe(Hedge.hedge({ delay, maxHedges: 5, budget }))))[0],
        Exit.succeed("third")
      )
      assert.deepInclude(yield* budget.snapshot, {
        balance: 8.5,
        requests: 1,
        successes: 1,
        hedges: 2,
        retries: 0,
        refused: 0
      })
    })
  )

  it.effect("that is empty starts no more, and lets those that run go on", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const budget = yield* RetryBudget.make({
        rule: RetryBudget.successes({ ratio: 0, capacity: 1 }),
        onRefused: ({ activity }) => Effect.sync(() => log.push(`refused ${activity}`))
      })
      const { begun, call } = scripted<string, string, never>(after(1000, "first"), failAfter(500, "second"))
      const hedged = call.pipe(Hedge.hedge({ delay, maxHedges: 5, budget }))
      assert.deepStrictEqual(yield* timed(hedged), [Exit.succeed("first"), 1000])
      assert.deepStrictEqual(begun, [0, 100])
      assert.deepStrictEqual(log, ["refused hedge"])
    })
  )

  it.effect("that is empty gives the failure back, after it was told", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const budget = yield* RetryBudget.make({
        rule: RetryBudget.successes({ capacity: 0 }),
        onRefused: () => Effect.zipRight(Effect.sleep(20), note("told"))
      })
      const hedged = failAfter(30, "down").pipe(Hedge.hedge({ delay, budget }))
      assert.deepStrictEqual(yield* timed(hedged), [Exit.fail("down"), 50])
      assert.deepStrictEqual(log, ["50 told"])
    })
  )

  it.effect("shares it with the retries around it, and counts as one call", () =>
    Effect.gen(function* () {
      class PartnerBudget extends RetryBudget.Tag("PartnerBudget")<PartnerBudget>() {}
      const { begun, call } = scripted<string, string, never>(
        failAfter(10, "one"),
        failAfter(10, "two"),
        Effect.succeed("up")
      )
      const program = call.pipe(
        Hedge.hedge({ delay, budget: PartnerBudget }),
        Retry.retry({ times: 3, schedule: Schedule.forever, budget: PartnerBudget }),
        Effect.zipRight(PartnerBudget.snapshot),
        Effect.provide(PartnerBudget.layer({ rule: RetryBudget.successes({ ratio: 0.5, capacity: 10 }) }))
      )
      const snapshot = Exit.getOrElse(yield* finish(program), () => assert.fail())
      assert.strictEqual(begun.length, 3)
      assert.deepInclude(snapshot, { balance: 8.5, requests: 1, successes: 1, hedges: 1, retries: 1 })
    })
  )

  it.effect("is off with throttling when attempts fail", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({
        rule: RetryBudget.throttling({ maxTokens: 4, tokenRatio: 1 })
      })
      const { begun, call } = scripted(Effect.fail("down"))
      yield* Effect.exit(call.pipe(Hedge.hedge({ delay, maxHedges: 5, budget })))
      assert.strictEqual(begun.length, 2)
      assert.deepInclude(yield* budget.snapshot, { balance: 0, hedges: 1, refused: 1 })
    })
  )

  it.effect("whose cost cannot be worked out is a defect of the call, and leaves nothing running", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const cost = () => {
        throw "oops"
      }
      const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ cost }) })
      const call = Effect.onInterrupt(Effect.never, () => note("gone"))
      assert.deepStrictEqual(yield* timed(Hedge.hedge(call, { delay, budget })), [Exit.die("oops"), 100])
      assert.deepStrictEqual(log, ["100 gone"])
    })
  )

  it.effect("is funded even with hedging turned off", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make()
      yield* Hedge.hedge(Effect.void, { delay, maxHedges: 0, budget })
      assert.deepInclude(yield* budget.snapshot, { requests: 1, successes: 1 })
    })
  )
})

describe("the options of a hedge", () => {
  it.each<[() => unknown, string]>([
    [
      () => Hedge.hedge({ delay: -1 }),
      'Hedge.hedge: option "delay" must be a duration of zero or more, got -1'
    ],
    [
      () => Hedge.hedge({ delay: NaN }),
      'Hedge.hedge: option "delay" must be a duration of zero or more, got NaN'
    ],
    [
      () => Hedge.hedge({ delay, maxHedges: -1 }),
      'option "maxHedges" must be a whole number of at least 0, got -1'
    ],
    [
      () => Hedge.hedge({ delay, maxHedges: 1.5 }),
      'option "maxHedges" must be a whole number of at least 0, got 1.5'
    ],
    [() => Hedge.hedge({ delay, name: "" }), 'option "name" must be a string that is not empty, got ""'],
    [
      () => Hedge.percentile(0),
      'Hedge.percentile: option "percentile" must be greater than 0 and less than 1, got 0'
    ],
    [() => Hedge.percentile(95), 'option "percentile" must be greater than 0 and less than 1, got 95'],
    [() => Hedge.percentile(NaN), 'option "percentile" must be greater than 0 and less than 1, got NaN'],
    [() => Hedge.percentile(0.5, { min: 20, max: 10 }), 'option "max" must be at least "min" (20ms), got 10'],
    [
      () => Hedge.percentile(0.5, { min: Infinity }),
      'option "min" must be a finite duration of zero or more, got Infinity'
    ],
    [() => Hedge.percentile(0.5, { max: -1 }), 'option "max" must be a duration of zero or more, got -1'],
    [
      () => Hedge.percentile(0.5, { minimumSamples: 0 }),
      'option "minimumSamples" must be a whole number of at least 1, got 0'
    ],
    [
      () => Hedge.percentile(0.5, { window: 0 }),
      'option "window" must be a finite duration greater than zero, got 0'
    ]
  ])("are refused at construction: %s", (make, message) => {
    assert.throws(make, message)
  })

  it("appear in the description", () => {
    assert.strictEqual(
      Policy.describe(
        Hedge.hedge({ delay }),
        Hedge.hedge({ delay: Hedge.percentile(0.95), maxHedges: 2, disconnect: true, name: "offers" }),
        Hedge.hedge({ delay: Effect.succeed(5) })
      ),
      [
        "hedge(delay: 100ms, maxHedges: 1)",
        'hedge "offers"(delay: percentile(percentile: 0.95, min: 1ms, max: Infinity, minimumSamples: 100, window: 30s), maxHedges: 2, disconnect: true)',
        "hedge(delay: computed, maxHedges: 1)"
      ].join("\n")
    )
  })
})

describe("a delay that is a percentile", () => {
  /** When the hedge of a call that never ends by itself starts, in milliseconds after it; `undefined` if it does not. */
  const delayOf = (policy: (self: Effect.Effect<void, string>) => Effect.Effect<void, string>) =>
    Effect.gen(function* () {
      const { begun, call } = scripted<void, string, never>(Effect.never)
      const now = yield* Clock.currentTimeMillis
      const fiber = yield* Effect.fork(policy(call))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(fiber)
      return begun[1] === undefined ? undefined : begun[1] - now
    })

  /** Makes calls that take so long, all at once. */
  const seen = (
    policy: (self: Effect.Effect<void, string>) => Effect.Effect<void, string>,
    durations: ReadonlyArray<number>,
    end: Effect.Effect<void, string> = Effect.void
  ) =>
    Effect.gen(function* () {
      const calls = durations.map((millis) => Effect.exit(policy(Effect.delay(end, millis))))
      const fiber = yield* Effect.fork(Effect.all(calls, { concurrency: "unbounded" }))
      yield* TestClock.adjust(Math.max(...durations))
      yield* Fiber.join(fiber)
    })

  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index)
  const within = (actual: number | undefined, expected: number) => assert.closeTo(actual! / expected, 1, 0.03)
  const many = (count: number, millis: number) => new Array<number>(count).fill(millis)

  it.effect("is worked out from what the attempts of the policy took", () =>
    Effect.gen(function* () {
      const percentile = Hedge.percentile(0.95, { minimumSamples: 20 })
      const policy = Hedge.hedge({ delay: percentile })
      assert.isUndefined(yield* delayOf(policy))
      yield* seen(policy, range(81, 99))
      assert.isUndefined(yield* delayOf(policy))
      yield* seen(policy, [100])
      within(yield* delayOf(policy), 99)
      assert.isUndefined(yield* delayOf(Hedge.hedge({ delay: percentile })))
    })
  )

  it.effect("is the longest one until there are enough, and stays within its bounds", () =>
    Effect.gen(function* () {
      for (const [took, expected] of [
        [1, 10],
        [40, 40],
        [500, 50]
      ] as const) {
        const delay = Hedge.percentile(0.5, { min: 10, max: 50, minimumSamples: 4, window: "1 minute" })
        const policy = Hedge.hedge({ delay })
        yield* seen(policy, many(3, took))
        assert.strictEqual(yield* delayOf(Hedge.hedge({ delay })), 50)
        yield* seen(policy, many(3, took))
        within(yield* delayOf(policy), expected)
      }
    })
  )

  it.effect("does not shrink with failures that are fast, and forgets with time", () =>
    Effect.gen(function* () {
      const policy = Hedge.hedge({ delay: Hedge.percentile(0.5, { minimumSamples: 10, window: "1 minute" }) })
      yield* seen(policy, many(10, 100))
      within(yield* delayOf(policy), 100)
      yield* Effect.repeatN(Effect.exit(policy(Effect.fail("down"))), 100)
      within(yield* delayOf(policy), 100)
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(yield* delayOf(policy))
    })
  )

  it.effect.each<[string, Effect.Effect<void, string>]>([
    ["answer", Effect.sleep(400)],
    ["fail", failAfter(400, "down")],
    ["are given up", Effect.never]
  ])("grows with attempts that %s later", ([, slow]) =>
    Effect.gen(function* () {
      const policy = Hedge.hedge({ delay: Hedge.percentile(0.8, { minimumSamples: 10, window: "1 hour" }) })
      yield* seen(policy, many(10, 100))
      within(yield* delayOf(policy), 100)
      const calls = Array.from({ length: 10 }, () => Effect.exit(Effect.timeout(policy(slow), 1000)))
      const fiber = yield* Effect.fork(Effect.all(calls, { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.isAbove((yield* delayOf(policy))!, 290)
    })
  )
})

describe("a hedge of a plain value", () => {
  it("starts no timer and waits for nothing when the effect ends at once", () => {
    const hedged = Effect.succeed("up").pipe(Hedge.hedge({ delay, maxHedges: 3 }))
    assert.strictEqual(Effect.runSync(hedged), "up")
    assert.deepStrictEqual(Effect.runSyncExit(Hedge.hedge(Effect.fail("down"), { delay })), Exit.fail("down"))
  })

  it.effect("takes part in what wakes it up from outside", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      const fiber = yield* Effect.fork(Hedge.hedge(Deferred.await(gate), { delay }))
      yield* TestClock.adjust("500 millis")
      yield* Deferred.succeed(gate, "up")
      assert.strictEqual(yield* Fiber.join(fiber), "up")
    })
  )
})
