import { assert, describe, it } from "@effect/vitest"
import { Cause, Chunk, Context, Duration, Effect, Exit, Fiber, Logger, Stream, TestClock } from "effect"
import { CircuitBreaker, Trip } from "effect-resilience"
import { down, settled, up } from "../support/calls.js"

type Breaker = CircuitBreaker.CircuitBreaker

const listenerNames = [
  "onSuccess",
  "onFailure",
  "onRejected",
  "onOpen",
  "onHalfOpen",
  "onClose",
  "onStateChange"
] as const

/** All listeners at once, each of which does the same. */
const listeners = (listener: (name: string, event: unknown) => Effect.Effect<unknown, unknown>) =>
  Object.fromEntries(listenerNames.map((name) => [name, (event: unknown) => listener(name, event)]))

const make = (options: CircuitBreaker.Options) =>
  CircuitBreaker.make({
    name: "partner",
    trip: Trip.failures({ count: 2, of: 3 }),
    openFor: "10 seconds",
    ...options
  }) as Effect.Effect<Breaker>

/** A whole life: closed, open, half-open, open again, half-open, closed. */
const life = (breaker: Breaker) =>
  Effect.gen(function* () {
    const calls = [up, down, down, up, up]
    yield* Effect.forEach(calls, (call) =>
      Effect.exit(breaker.protect(call as Effect.Effect<string, "down">))
    )
    yield* TestClock.adjust("10 seconds")
    yield* Effect.exit(breaker.protect(down))
    yield* Effect.exit(breaker.protect(up))
    yield* TestClock.adjust("10 seconds")
    yield* Effect.exit(breaker.protect(up))
  })

describe("the listeners of a circuit breaker", () => {
  it.effect("hear each event once, in order, before the call goes on", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const note = (line: string) => Effect.sync(() => log.push(line))
      const breaker = yield* make(listeners(note))
      const call = (outcome: Effect.Effect<string, "down">) =>
        note("runs").pipe(Effect.zipRight(outcome), breaker.protect, Effect.ensuring(note("|")), Effect.exit)
      const heard = (effect: Effect.Effect<unknown>) => Effect.map(effect, () => log.splice(0).join(" "))
      const turnsHalfOpen = "onHalfOpen onStateChange"
      assert.strictEqual(yield* heard(call(up)), "runs onSuccess |")
      assert.strictEqual(yield* heard(call(down)), "runs onFailure |")
      assert.strictEqual(yield* heard(call(down)), "runs onFailure onOpen onStateChange |")
      assert.strictEqual(yield* heard(call(up)), "onRejected |")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* heard(call(down)), `${turnsHalfOpen} runs onFailure onOpen onStateChange |`)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* heard(call(up)), `${turnsHalfOpen} runs onSuccess onClose onStateChange |`)
      assert.strictEqual(yield* heard(call(Effect.interrupt)), "runs |")
      assert.strictEqual(yield* heard(breaker.isolate), "onStateChange")
      assert.strictEqual(yield* heard(call(up)), "onRejected |")
      assert.strictEqual(yield* heard(breaker.isolate), "")
      assert.strictEqual(yield* heard(breaker.disable), "onStateChange")
      assert.strictEqual(yield* heard(call(down)), "runs |")
      assert.strictEqual(yield* heard(breaker.metricsOnly), "onStateChange")
      assert.strictEqual(yield* heard(call(down)), "runs onFailure |")
      assert.strictEqual(yield* heard(breaker.halfOpen), turnsHalfOpen)
      const hung = yield* Effect.fork(call(Effect.never))
      yield* TestClock.adjust("30 seconds")
      log.length = 0
      assert.strictEqual(yield* heard(call(up)), "onOpen onStateChange onRejected |")
      assert.strictEqual(yield* heard(Fiber.interrupt(hung)), "|")
    })
  )

  it.effect("get the fields of each event", () =>
    Effect.gen(function* () {
      const log: Array<readonly [string, unknown]> = []
      const breaker = yield* make(listeners((name, event) => Effect.sync(() => log.push([name, event]))))
      const slowly = <A, E>(call: Effect.Effect<A, E>) => Effect.zipRight(TestClock.adjust("20 millis"), call)
      yield* breaker.protect(slowly(up))
      yield* Effect.exit(breaker.protect(slowly(down)))
      yield* Effect.exit(breaker.protect(slowly(Effect.die("bug"))))
      yield* Effect.exit(breaker.protect(up))
      const [success, error, defect, open, change, rejected] = log.map(([, event]) => event)
      const duration = Duration.millis(20)
      assert.strictEqual(log.length, 6)
      const partner = { kind: "circuit-breaker", name: "partner" }
      assert.deepStrictEqual(success, { _tag: "Success", ...partner, duration })
      assert.deepStrictEqual(error, {
        _tag: "Failure",
        ...partner,
        duration,
        failure: { _tag: "Error", error: "down", cause: Cause.fail("down") }
      })
      assert.deepStrictEqual(defect, {
        _tag: "Failure",
        ...partner,
        duration,
        failure: { _tag: "Defect", defect: "bug", cause: Cause.die("bug") }
      })
      assert.deepStrictEqual(open, change)
      assert.deepStrictEqual(open, {
        _tag: "StateChange",
        ...partner,
        from: "closed",
        to: "open",
        reason: "tripped",
        rule: { rule: "failures", calls: 3, hits: 2, rate: 2 / 3, threshold: 2, met: true, of: 3 },
        operation: undefined,
        openFor: Duration.seconds(10),
        metrics: {
          successes: 1,
          failures: 2,
          failureRate: 2 / 3,
          rejected: 0,
          rules: [{ rule: "failures", calls: 3, hits: 2, rate: 2 / 3, threshold: 2, met: true, of: 3 }]
        }
      })
      const { error: opened, ...rest } = rejected as CircuitBreaker.Rejected
      assert.instanceOf(opened, CircuitBreaker.CircuitOpen)
      const { retryAfter, state } = opened
      assert.deepStrictEqual(rest, { _tag: "Rejected", ...partner, state, retryAfter })
    })
  )

  const broken: Record<string, () => Effect.Effect<unknown, unknown>> = {
    fails: () => Effect.fail("no"),
    dies: () => Effect.die("bug in a listener"),
    throws: () => {
      throw new Error("bug in a listener")
    }
  }

  for (const [how, listener] of Object.entries(broken)) {
    it.effect(`that ${how} changes nothing, and is reported`, () =>
      Effect.gen(function* () {
        const play = (options: CircuitBreaker.Options) =>
          Effect.gen(function* () {
            const breaker = yield* make(options)
            const exits: Array<unknown> = []
            for (const call of [up, down, down, up, "wait", down, "wait", up] as const) {
              if (call === "wait") yield* TestClock.adjust("10 seconds")
              else exits.push(yield* Effect.exit(breaker.protect(call as Effect.Effect<string, "down">)))
            }
            const { since, takenAt, ...snapshot } = yield* breaker.snapshot
            return { exits, age: takenAt - since, snapshot }
          })
        const messages: Array<unknown> = []
        const logger = Logger.make(({ logLevel, message }) => {
          messages.push([logLevel.label, Array.isArray(message) ? message[0] : message])
        })
        const quiet = yield* play({})
        const noisy = yield* play(listeners(listener)).pipe(Effect.provide(Logger.add(logger)))
        assert.deepStrictEqual(noisy, quiet)
        // Two successes, three failures, one rejection, and twice each of the changes but for one that closes.
        assert.strictEqual(messages.length, 2 + 3 + 1 + (2 + 2 + 1) * 2)
        assert.deepStrictEqual(
          messages,
          messages.map(() => ["WARN", 'a listener of "partner" failed'])
        )
      })
    )
  }

  it.effect("that interrupt themselves change nothing, and are not reported", () =>
    Effect.gen(function* () {
      let messages = 0
      const logger = Logger.make(() => {
        messages += 1
      })
      const breaker = yield* make(listeners(() => Effect.interrupt))
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* breaker.protect(up), "up")
        assert.strictEqual(yield* Effect.flip(breaker.protect(down)), "down")
        yield* breaker.halfOpen
        assert.strictEqual(yield* breaker.protect(up), "up")
        assert.strictEqual(yield* breaker.state, "closed")
      }).pipe(Effect.provide(Logger.add(logger)))
      assert.strictEqual(messages, 0)
    })
  )

  it.effect("get the services of the breaker's maker, and the span of the call", () =>
    Effect.gen(function* () {
      class Desk extends Context.Tag("Desk")<Desk, string>() {}
      const heard: Array<readonly [string, string]> = []
      const breaker = yield* CircuitBreaker.make({
        onFailure: () =>
          Effect.zipWith(Desk, Effect.currentSpan, (desk, span) => heard.push([desk, span.name]))
      }).pipe(Effect.provideService(Desk, "the maker's"), Effect.withSpan("making"))
      const call = Effect.exit(breaker.protect(down)).pipe(Effect.provideService(Desk, "the caller's"))
      yield* call.pipe(Effect.withSpan("first call"))
      yield* call.pipe(Effect.withSpan("second call"))
      assert.deepStrictEqual(heard, [
        ["the maker's", "first call"],
        ["the maker's", "second call"]
      ])
    })
  )

  it.effect("that are slow delay their own call and no other", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ onFailure: () => Effect.sleep("1 hour") })
      const slow = yield* Effect.fork(breaker.protect(down))
      yield* Effect.yieldNow()
      assert.strictEqual(yield* breaker.protect(up), "up")
      assert.strictEqual((yield* breaker.snapshot).failures, 1)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* Fiber.await(slow), Exit.fail("down" as const))
    })
  )

  it.effect("may use the breaker that they listen to", () =>
    Effect.gen(function* () {
      const changes: Array<string> = []
      const breaker: Breaker = yield* make({
        onOpen: () => Effect.suspend((): Effect.Effect<void> => breaker.isolate),
        onStateChange: ({ from, to }) => Effect.sync(() => changes.push(`${from} -> ${to}`))
      })
      yield* Effect.replicateEffect(Effect.exit(breaker.protect(down)), 2)
      assert.strictEqual(yield* breaker.state, "isolated")
      assert.sameMembers(changes, ["closed -> open", "open -> isolated"])
    })
  )

  it.effect("that are slow let the call go on in the state that the circuit has then", () =>
    Effect.gen(function* () {
      for (const [steer, expected] of [
        ["close", "up"],
        ["isolate", "isolated"],
        ["reset", "up"],
        ["metricsOnly", "up"]
      ] as const) {
        const breaker = yield* make({
          halfOpen: { maxWait: "1 second" },
          onOpen: () => Effect.sleep("1 second")
        })
        yield* breaker.halfOpen
        const hung = yield* Effect.fork(breaker.protect(Effect.never))
        yield* TestClock.adjust("1 second")
        const late = breaker.protect(up).pipe(Effect.catchAll(({ state }) => Effect.succeed(state)))
        const fiber = yield* Effect.fork(late)
        yield* Effect.yieldNow()
        yield* breaker[steer]
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* fiber, expected, steer)
        yield* Fiber.interrupt(hung)
      }
    })
  )
})

describe("the reason of a change of state", () => {
  const reasons = (options: CircuitBreaker.Options) =>
    Effect.gen(function* () {
      const heard: Array<unknown> = []
      const breaker = yield* make({
        ...options,
        onStateChange: ({ operation, reason, rule, to }) =>
          Effect.sync(() => heard.push([to, reason, operation ?? rule?.rule]))
      })
      return { breaker, heard }
    })

  it.effect("names the rule that was met, or the outcome of probes, or the time", () =>
    Effect.gen(function* () {
      const trip = Trip.any(Trip.consecutive(5), Trip.failures({ count: 2, of: 3 }), Trip.consecutive(2))
      const { breaker, heard } = yield* reasons({ trip, halfOpen: { maxWait: "4 seconds" } })
      const fails = Effect.exit(breaker.protect(down))
      yield* Effect.zipRight(fails, fails)
      yield* TestClock.adjust("10 seconds")
      yield* fails
      yield* TestClock.adjust("10 seconds")
      const silent = yield* Effect.fork(breaker.protect(Effect.never))
      yield* TestClock.adjust("14 seconds")
      yield* breaker.protect(up)
      yield* Fiber.interrupt(silent)
      assert.deepStrictEqual(heard, [
        ["open", "tripped", "failures"],
        ["half-open", "elapsed", undefined],
        ["open", "probes-failed", undefined],
        ["half-open", "elapsed", undefined],
        ["open", "probe-overdue", undefined],
        ["half-open", "elapsed", undefined],
        ["closed", "probes-succeeded", undefined]
      ])
    })
  )

  it.effect("names the operation", () =>
    Effect.gen(function* () {
      const { breaker, heard } = yield* reasons({})
      const operations = [
        ["open", "open"],
        ["halfOpen", "half-open"],
        ["close", "closed"],
        ["isolate", "isolated"],
        ["release", "closed"],
        ["disable", "disabled"],
        ["enable", "closed"],
        ["metricsOnly", "metrics-only"],
        ["reset", "closed"]
      ] as const
      for (const [operation] of operations) yield* breaker[operation]
      assert.deepStrictEqual<ReadonlyArray<unknown>>(
        heard,
        operations.map(([operation, to]) => [to, "steered", operation])
      )
    })
  )

  it.effect("names the time and then the operation, where an operation finds the open time over", () =>
    Effect.gen(function* () {
      const { breaker, heard } = yield* reasons({})
      yield* breaker.open
      yield* TestClock.adjust("10 seconds")
      yield* breaker.isolate
      assert.deepStrictEqual(heard.slice(1), [
        ["half-open", "elapsed", undefined],
        ["isolated", "steered", "isolate"]
      ])
    })
  )
})

describe("the changes of a circuit breaker", () => {
  const summary = ({
    from,
    metrics: { rejected, rules, ...counts },
    openFor,
    to
  }: CircuitBreaker.StateChange) => [
    `${from} -> ${to}`,
    counts.successes,
    counts.failures,
    counts.failureRate,
    rejected,
    rules.map(({ calls, hits }) => [calls, hits]),
    openFor && Duration.toSeconds(openFor)
  ]
  const wholeLife = [
    ["closed -> open", 1, 2, 2 / 3, 0, [[3, 2]], 10],
    ["open -> half-open", 0, 0, 0, 2, [], undefined],
    ["half-open -> open", 0, 1, 1, 0, [], 10],
    ["open -> half-open", 0, 0, 0, 1, [], undefined],
    ["half-open -> closed", 1, 0, 0, 0, [], undefined]
  ]

  it.effect("reach every subscriber once, with the metrics of the state that was left", () =>
    Effect.gen(function* () {
      const breaker = yield* make({})
      const collect = (count: number) =>
        breaker.changes.pipe(Stream.map(summary), Stream.take(count), Stream.runCollect, Effect.fork)
      const first = yield* collect(6)
      const second = yield* collect(5)
      yield* settled
      yield* life(breaker)
      const late = yield* collect(1)
      yield* settled
      yield* breaker.isolate
      const isolated = ["closed -> isolated", 0, 0, 0, 0, [[0, 0]], undefined]
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(first)), [...wholeLife, isolated])
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(second)), wholeLife)
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(late)), [isolated])
    })
  )

  it.effect("can be left at any time", () =>
    Effect.gen(function* () {
      const breaker = yield* make({})
      const fiber = yield* Effect.fork(Stream.runDrain(breaker.changes))
      yield* settled
      yield* breaker.open
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      yield* breaker.close
      assert.strictEqual(yield* breaker.protect(up), "up")
    })
  )
})
