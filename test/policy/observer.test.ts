// What an observer sees of a call: enough to know what is held, and nothing that it does reaches the call.
import { assert, describe, it } from "@effect/vitest"
import { Data, Duration, Effect, Exit, Fiber, Layer, Logger, type Runtime, Schedule } from "effect"
import {
  Bulkhead,
  CircuitBreaker,
  Fallback,
  Hedge,
  Observer,
  Policy,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { interruptedAtEveryStep, runToEnd } from "../support/everyStep.js"
import { mistakes } from "../support/interleave.js"
import { runs } from "../support/runs.js"

class Refused extends Data.TaggedError("Refused") {}

type Body = Effect.Effect<unknown, unknown>

/** An observer that keeps what it is shown. */
const recording = () => {
  const seen: Array<Policy.Event> = []
  const observe = Observer.make((event) => void seen.push(event))
  const count = (...tags: ReadonlyArray<string>) => seen.filter(({ _tag }) => tags.includes(_tag)).length
  return { seen, observe, count }
}

const observedBy = (observe: Observer.Service) => Effect.provideService(Observer.Observer, observe)

const down = Effect.fail("down")
const slow = Effect.delay(Effect.succeed("late"), "20 millis")
const twice = Schedule.recurs(1)

// --------------------------------------------------------------------------------------------------- what is held

/** What a bulkhead holds, worked out from its events alone. */
const ledger = () => {
  const held = { inUse: 0, running: 0, queued: 0 }
  const observe = Observer.make((given) => {
    if (given.kind !== "bulkhead") return
    const event = given as Bulkhead.Event
    if (event._tag === "Queued") held.queued += 1
    else if (event._tag === "Dequeued") held.queued -= 1
    else if (event._tag === "Acquired") {
      held.inUse += event.permits
      held.running += 1
    } else if (event._tag === "Released") {
      held.inUse -= event.permits
      held.running -= 1
    }
  })
  return { held, observe }
}

const holdings = ({ inUse, queued, running }: Bulkhead.Snapshot) => ({ inUse, running, queued })

describe("the events of a bulkhead", () => {
  for (const [when, preemptOneIn] of [
    ["where they yield", undefined],
    ["anywhere", 20]
  ] as const) {
    it.effect(`tell what it holds, between fibers that pause ${when}`, () =>
      Effect.gen(function* () {
        const counts = yield* mistakes(
          { seeds: runs(8, 300), preemptOneIn },
          ({ advance, random, yieldSome }) =>
            Effect.gen(function* () {
              const wrong: Array<string> = []
              const { held, observe } = ledger()
              const { count, observe: record } = recording()
              const places = yield* Bulkhead.make({ permits: 3, maxQueued: 3, maxWait: "5 millis" }).pipe(
                observedBy(Observer.both(observe, record))
              )
              const compare = Effect.sync(() => {
                const said = JSON.stringify(held)
                const is = JSON.stringify(holdings(Effect.runSync(places.snapshot)))
                if (said !== is) wrong.push(`the events say ${said} and the snapshot ${is}`)
              })
              const body: Body = Effect.suspend(() => {
                const kind = random(4)
                const end = kind === 0 ? down : kind === 1 ? Effect.die("bug") : Effect.succeed("up")
                const nested = random(5) === 0 ? places.withPermits(2)(yieldSome(4)) : Effect.void
                return Effect.zipRight(Effect.zipRight(yieldSome(12), nested), end)
              })
              const call: Body = Effect.suspend(() => {
                switch (random(6)) {
                  case 0:
                    return Effect.scoped(Effect.zipRight(places.acquire, body))
                  case 1:
                    return places.protectWhen<unknown, unknown>({ error: () => false })(body)
                  case 2:
                    return places.resize(random(5))
                  default:
                    return places.withPermits(1 + random(3))(body)
                }
              })
              const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
              for (let step = 0; step < 20; step++) {
                fibers.push(yield* Effect.fork(call))
                yield* yieldSome(3)
                yield* compare
                if (random(3) === 0) yield* Fiber.interruptFork(fibers[random(fibers.length)])
                if (random(4) === 0) yield* advance(random(4))
                yield* compare
              }
              yield* places.resize(5)
              for (let step = 0; step < 10; step++) {
                yield* advance(1)
                yield* Effect.repeatN(Effect.yieldNow(), 10)
                yield* compare
              }
              yield* Fiber.interruptAll(fibers)
              yield* compare
              if (held.inUse !== 0 || held.queued !== 0) wrong.push("something is held in the end")
              const ended = count("Success", "Failure", "Ignored", "Interrupted")
              if (count("Admitted") !== ended) wrong.push(`${count("Admitted")} admitted, ${ended} ended`)
              const snapshot = yield* places.snapshot
              if (count("Success") !== snapshot.successes) wrong.push("the successes differ")
              if (count("Failure") !== snapshot.failures) wrong.push("the failures differ")
              return wrong
            })
        )
        assert.deepStrictEqual(counts, {})
      })
    )
  }

  it("tell what it holds at each of them", () => {
    const { held, observe } = ledger()
    const wrong: Array<unknown> = []
    let places: Bulkhead.Bulkhead | undefined
    const comparing = Observer.make(({ _tag }) => {
      const snapshot = places && holdings(Effect.runSync(places.snapshot))
      if (_tag !== "Acquired" && JSON.stringify(snapshot) !== JSON.stringify(held)) wrong.push(_tag, snapshot)
    })
    const program = Effect.gen(function* () {
      places = yield* Bulkhead.make({ permits: 2, maxQueued: 2, maxWait: "30 millis" })
      const calls = [slow, down, slow, slow, Effect.never].map((self: Body) =>
        Effect.exit(places!.protect(self))
      )
      const fibers = yield* Effect.forEach(calls, (call) => Effect.fork(call))
      yield* Effect.sleep("25 millis")
      yield* Fiber.interruptAll(fibers)
    })
    runToEnd(observedBy(Observer.both(observe, comparing))(program))
    assert.deepStrictEqual(wrong, [])
    assert.deepStrictEqual(held, { inUse: 0, running: 0, queued: 0 })
  })
})

// ------------------------------------------------------------------------------------------------- every call ends

const ends = ["Success", "Failure", "Ignored", "Interrupted"]

describe("a call of a breaker that was admitted ends once in its events, wherever it is interrupted", () => {
  const breaker = CircuitBreaker.make({ trip: Trip.consecutive(2), openFor: "10 millis" })
  const programs: Record<string, (breaker: CircuitBreaker.CircuitBreaker) => Body> = {
    "closed, in time": ({ protect }) => protect(slow),
    "closed, failing": ({ protect }) => protect(Effect.zipRight(Effect.sleep(5), down)),
    "closed, with a condition that throws": ({ protectWhen }) =>
      protectWhen<unknown, unknown>(() => {
        throw new Error("a bug")
      })(slow),
    "in a timeout": ({ protect }) => slow.pipe(protect, Timeout.timeout("5 millis")),
    "around a timeout": ({ protect }) => slow.pipe(Timeout.timeout("5 millis"), protect),
    "inside itself": ({ protect }) => slow.pipe(protect, protect),
    "in a masked region": ({ protect }) => Effect.uninterruptible(protect(slow)),
    "in a pipeline with a bulkhead": ({ protect }) =>
      Effect.flatMap(Bulkhead.make({ permits: 1 }), (places) =>
        slow.pipe(Policy.pipeline(protect, Timeout.timeout("5 millis"), places.protect))
      ),
    "retried until it is open": ({ protect }) =>
      down.pipe(
        protect,
        Retry.retry({ times: 3, schedule: Schedule.spaced("1 millis"), delayFrom: Retry.noHint })
      ),
    "a probe": ({ open, protect }) =>
      open.pipe(Effect.zipRight(Effect.sleep(10)), Effect.zipRight(protect(slow))),
    "overtaken by a change of state": ({ open, protect }) =>
      Effect.all([protect(slow), Effect.zipRight(Effect.sleep(5), open)], { concurrency: 2 }),
    "a permit of a scope": ({ acquire }) => Effect.scoped(Effect.zipRight(acquire, slow))
  }
  it.each(Object.entries(programs))("%s", (_, program) => {
    let recorded = recording()
    let admitted = 0
    interruptedAtEveryStep(
      () => {
        recorded = recording()
        return Effect.exit(Effect.flatMap(breaker, program)).pipe(observedBy(recorded.observe))
      },
      () => {
        const { seen } = recorded
        const ofBreaker = seen.filter(({ kind }) => kind === "circuit-breaker").map(({ _tag }) => _tag)
        const begun = ofBreaker.filter((tag) => tag === "Admitted").length
        admitted = Math.max(admitted, begun)
        assert.lengthOf(
          ofBreaker.filter((tag) => ends.includes(tag)),
          begun
        )
      }
    )
    assert.isAtLeast(admitted, 1)
  })
})

describe("a call and every attempt of it end once in the events, wherever it is interrupted", () => {
  const policies: Record<string, (self: Body) => Body> = {
    retry: Retry.retry({ times: 2, schedule: Schedule.spaced("5 millis") }),
    "retry that disposes": Retry.retry({ times: 2, schedule: twice, disposeResult: () => Effect.void }),
    "retry with a condition": Retry.retry({ times: 2, schedule: twice, condition: { result: () => true } }),
    hedge: Hedge.hedge({ delay: "5 millis", maxHedges: 2 }),
    "hedge that disposes": Hedge.hedge({ delay: "5 millis", disposeResult: () => Effect.void }),
    "hedge that leaves": Hedge.hedge({ delay: "5 millis", disconnect: true })
  }
  const bodies: Record<string, Body> = {
    failing: down,
    "failing late": Effect.delay(down, "7 millis"),
    succeeding: Effect.succeed("up"),
    slow
  }
  const cases = Object.entries(policies).flatMap(([policy, apply]) =>
    Object.entries(bodies).map(([body, self]) => [policy, body, apply, self] as const)
  )
  it.each(cases)("%s, %s", (policy, _body, apply, self) => {
    let recorded = recording()
    let begun = 0
    const judged = policy === "retry with a condition" ? "Failure" : undefined
    const answer = judged ?? runToEnd(apply(self)).exit?._tag
    const counted = Effect.suspend(() => {
      begun += 1
      return self
    })
    interruptedAtEveryStep(
      () => {
        recorded = recording()
        begun = 0
        return apply(counted).pipe(observedBy(recorded.observe))
      },
      ({ exit, interruptedAt }) => {
        const calls = recorded.seen.filter((event): event is Policy.CallEnded => event._tag === "Call")
        const attempts = recorded.count("Attempt")
        // One that is interrupted before its first step has begun for the policy alone.
        if (interruptedAt === undefined) assert.strictEqual(attempts, begun)
        else assert.oneOf(attempts, [begun, begun + 1])
        if (attempts > 0 || interruptedAt === undefined) assert.lengthOf(calls, 1)
        for (const call of calls) {
          assert.strictEqual(call.attempts, attempts)
          // The caller may be interrupted when the call has already ended.
          const isInterrupted = exit !== undefined && Exit.isInterrupted(exit)
          assert.oneOf(call.outcome, isInterrupted ? ["Interrupted", answer] : [answer])
        }
      }
    )
  })
})

it("a call that is interrupted during the delay of a retry ends in the events", () => {
  const { observe, seen } = recording()
  const call = down.pipe(Retry.retry({ schedule: Schedule.spaced("1 minute") }), Timeout.timeout("5 millis"))
  runToEnd(call.pipe(Effect.exit, observedBy(observe)))
  const [ended, ...others] = seen.filter((event): event is Policy.CallEnded => event._tag === "Call")
  assert.isEmpty(others)
  assert.deepStrictEqual(
    [ended.attempts, Duration.toMillis(ended.duration), ended.outcome],
    [1, 5, "Interrupted"]
  )
})

it("an attempt has its own number, outcome and duration", () => {
  const { observe, seen } = recording()
  let calls = 0
  const failsOnce = Effect.suspend(() => (++calls === 1 ? Effect.delay(down, "3 millis") : slow))
  runToEnd(
    failsOnce.pipe(
      Retry.retry({ name: "again", schedule: Schedule.spaced("100 millis"), times: 1 }),
      Hedge.hedge({ delay: "10 millis", maxHedges: 1, name: "both" }),
      observedBy(observe)
    )
  )
  const attempts = seen.filter((event): event is Policy.AttemptEnded => event._tag === "Attempt")
  assert.deepStrictEqual(
    attempts.map(
      ({ attempt, duration, name, outcome }) => `${name} ${attempt} ${outcome} ${Duration.toMillis(duration)}`
    ),
    ["again 1 Failure 3", "again 1 Success 20", "both 2 Success 20", "both 1 Interrupted 30"]
  )
})

it.live("a hedge that a timer of the host starts is seen", () =>
  Effect.gen(function* () {
    const { observe, seen } = recording()
    let calls = 0
    const answersOnce = Effect.suspend(() => (++calls === 1 ? Effect.never : Effect.succeed("up")))
    yield* answersOnce.pipe(Hedge.hedge({ delay: "1 millis" }), observedBy(observe))
    assert.deepStrictEqual(
      seen.map(({ _tag }) => _tag),
      ["Hedge", "Attempt", "Attempt", "Call"]
    )
  })
)

it("a fallback that runs ends in the events as what it brings", () => {
  const { observe, seen } = recording()
  const cold = Effect.delay(Effect.succeed("cold"), "4 millis")
  const program = Effect.all(
    [
      down.pipe(Fallback.orElse(() => cold)),
      down.pipe(Fallback.fail(() => "worse")),
      down.pipe(Fallback.orElse(() => Effect.interrupt)),
      down.pipe(Fallback.succeed("x", { condition: { error: () => false } }))
    ].map((call: Body) => Effect.exit(call))
  )
  runToEnd(observedBy(observe)(program))
  const ended = seen.filter((event): event is Fallback.FallbackEnded => event._tag === "FallbackEnded")
  assert.deepStrictEqual(
    ended.map(({ duration, outcome }) => [outcome, Duration.toMillis(duration)]),
    [
      ["Success", 4],
      ["Failure", 0],
      ["Interrupted", 0]
    ]
  )
  assert.lengthOf(seen, 6)
})

it.effect("a budget says what it paid for and what it got back", () =>
  Effect.gen(function* () {
    const { observe, seen } = recording()
    const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ capacity: 2 }) }).pipe(
      observedBy(observe)
    )
    const call = Retry.retry(down, { budget, times: 1, schedule: Schedule.spaced("1 hour") })
    const fiber = yield* Effect.fork(call)
    yield* Effect.yieldNow()
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual<ReadonlyArray<object>>(seen, [
      {
        _tag: "Withdrawn",
        kind: "retry-budget",
        name: "retry-budget",
        activity: "retry",
        cost: 1,
        balance: 1
      },
      { _tag: "GivenBack", kind: "retry-budget", name: "retry-budget", activity: "retry", cost: 1 }
    ])
    assert.strictEqual(yield* budget.balance, 2)
  })
)

// ---------------------------------------------------------------------------------------------- an observer's faults

/** Calls through policies of every kind. */
const all = (observe: Observer.Service, lines: Array<unknown>) =>
  Effect.gen(function* () {
    const places = yield* Bulkhead.make({ permits: 1, maxQueued: 1 })
    const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
    const policy = Policy.pipeline(
      Timeout.timeout("10 millis"),
      breaker.protect,
      places.protect,
      Hedge.hedge({ delay: "5 millis" }),
      Retry.retry({ times: 1, schedule: twice }),
      Fallback.succeed("cold")
    )
    const results = yield* Effect.forEach([Effect.succeed("up"), slow, down], (self: Body) => policy(self))
    const { inUse } = yield* places.snapshot
    return { results, inUse, state: yield* breaker.state }
  }).pipe(
    observedBy(observe),
    Effect.provide(
      Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void lines.push(message))
      )
    )
  )

describe("an observer that throws", () => {
  it("changes no call, is logged once and goes on being called", () => {
    const lines: Array<unknown> = []
    let called = 0
    const throwing = Observer.make(() => {
      called += 1
      throw new Error("a bug of the observer")
    })
    const faulty = all(throwing, lines)
    const quiet = recording()
    assert.deepStrictEqual(runToEnd(faulty).exit, runToEnd(all(quiet.observe, [])).exit)
    assert.strictEqual(called, quiet.seen.length)
    assert.isAtLeast(called, 20)
    assert.deepStrictEqual(lines, [["an observer threw"]])
  })

  it("does not keep events from the other of both", () => {
    const { observe, seen } = recording()
    const throwing = Observer.make(() => {
      throw new Error("a bug of the observer")
    })
    runToEnd(all(Observer.both(throwing, observe), []))
    assert.isAtLeast(seen.length, 20)
  })
})

it("an observer may be an object that keeps what it sees in a field", () => {
  class Counting implements Observer.Service {
    count = 0
    unsafeObserve(): void {
      this.count += 1
    }
  }
  const counting = new Counting()
  const { observe, seen } = recording()
  assert.deepStrictEqual(runToEnd(all(counting, [])).exit, runToEnd(all(observe, [])).exit)
  assert.strictEqual(counting.count, seen.length)
})

it.effect("a layer adds its observer to the one that is there", () =>
  Effect.gen(function* () {
    const outer = recording()
    const inner = recording()
    class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
    yield* Effect.exit(Partner.protect(down)).pipe(
      Effect.provide(
        Partner.layer().pipe(
          Layer.provideMerge(Observer.layer(inner.observe.unsafeObserve)),
          Layer.provideMerge(Observer.layer(outer.observe.unsafeObserve))
        )
      )
    )
    assert.deepStrictEqual(
      inner.seen.map(({ _tag, name }) => `${name} ${_tag}`),
      ["Partner Admitted", "Partner Failure"]
    )
    assert.deepStrictEqual(outer.seen, inner.seen)
  })
)

// ---------------------------------------------------------------------------------------------------- the drivers

describe("pipe, pipeline and promises show an observer the same events", () => {
  const partner = Trip.consecutive(2)
  type Policies = ReadonlyArray<(self: Body) => Body>
  const pipe = (policies: Policies, self: Body) => policies.reduce((inner, policy) => policy(inner), self)
  const pipeline = (policies: Policies, self: Body) =>
    (Policy.pipeline as (...all: Policies) => (self: Body) => Body)(...policies)(self)
  /** Policies that are made anew for each way to apply them. */
  const compositions: Record<string, Effect.Effect<Policies>> = {
    "timeout, breaker, retry, fallback": Effect.map(CircuitBreaker.make({ trip: partner }), ({ protect }) => [
      Timeout.timeout("1 minute"),
      protect,
      Retry.retry({ times: 2, schedule: Schedule.recurs(2), delayFrom: Retry.noHint }),
      Fallback.succeed("cold")
    ]),
    "breaker, bulkhead, hedge": Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: partner })
      const places = yield* Bulkhead.make({ permits: 1 })
      return [breaker.protect, places.protect, Hedge.hedge({ delay: "1 minute", maxHedges: 2 })]
    }),
    "fallback, retry, bulkhead, breaker": Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: partner })
      const places = yield* Bulkhead.make({ permits: 2 })
      return [
        Fallback.fail(() => "worse"),
        Retry.retry({ times: 1, schedule: twice }),
        places.protect,
        breaker.protect
      ]
    }),
    "a breaker inside itself": Effect.map(CircuitBreaker.make({ trip: partner }), ({ protect }) => [
      protect,
      Retry.retry({ times: 3, schedule: Schedule.recurs(3) }),
      protect
    ])
  }
  const outcomes: Record<string, ReadonlyArray<boolean>> = {
    "that succeed": [true],
    "that fail": [false],
    "that fail and succeed in turn": [false, true],
    "that fail twice": [false, false, true]
  }
  type Way = "pipe" | "pipeline" | "promise"

  const shown = (composition: Effect.Effect<Policies>, script: ReadonlyArray<boolean>, way: Way) =>
    Effect.gen(function* () {
      const { observe, seen } = recording()
      const policies = yield* observedBy(observe)(composition)
      let calls = 0
      const isUp = () => script[calls++ % script.length]
      const self = Effect.tryPromise({
        try: () => (isUp() ? Promise.resolve("up") : Promise.reject(new Refused())),
        catch: (error) => error as Refused
      })
      const runtime = yield* observedBy(observe)(Effect.runtime<never>())
      const guard = (
        Policy.promise as unknown as (...all: Policies) => {
          provide: (
            runtime: Runtime.Runtime<never>
          ) => (run: () => Promise<unknown>) => () => Promise<unknown>
        }
      )(...policies).provide(runtime)
      const guarded = guard(() => (isUp() ? Promise.resolve("up") : Promise.reject(new Refused())))
      const call: Body =
        way === "promise"
          ? Effect.tryPromise({ try: guarded, catch: (error) => error as Refused })
          : observedBy(observe)(way === "pipeline" ? pipeline(policies, self) : pipe(policies, self))
      const exits: Array<boolean> = []
      for (let round = 0; round < 4; round++) exits.push(Exit.isSuccess(yield* Effect.exit(call)))
      return {
        exits,
        events: seen.map((event) => {
          const outcome = "outcome" in event ? ` ${String(event.outcome)}` : ""
          return `${event.kind} ${event._tag}${outcome}`
        })
      }
    })

  for (const [composed, composition] of Object.entries(compositions)) {
    for (const [outcome, script] of Object.entries(outcomes)) {
      it.live(`${composed}, around calls ${outcome}`, () =>
        Effect.gen(function* () {
          const pipe = yield* shown(composition, script, "pipe")
          assert.isAtLeast(pipe.events.length, 8)
          assert.deepStrictEqual(yield* shown(composition, script, "pipeline"), pipe)
          assert.deepStrictEqual(yield* shown(composition, script, "promise"), pipe)
        })
      )
    }
  }

  it("also when a timeout or the caller interrupts what is inside", () => {
    const eventsOf = (apply: typeof pipe, limit: number) => {
      const { observe, seen } = recording()
      const program = Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make()
        const places = yield* Bulkhead.make({ permits: 1 })
        const policies = [
          breaker.protect,
          Timeout.timeout(limit),
          places.protect,
          Retry.retry({ times: 1, schedule: twice })
        ]
        const fiber = yield* Effect.fork(apply(policies, slow))
        yield* Effect.sleep("15 millis")
        yield* Fiber.interrupt(fiber)
      })
      runToEnd(observedBy(observe)(program))
      return seen.map(({ _tag, kind }) => `${kind} ${_tag}`)
    }
    for (const limit of [5, 10, 60_000]) {
      const piped = eventsOf(pipe, limit)
      assert.include(piped, "circuit-breaker Interrupted")
      assert.deepStrictEqual(eventsOf(pipeline, limit), piped)
    }
  })
})
