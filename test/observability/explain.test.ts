// Why a policy does what it does, in words and as data.
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Fiber, Option, Schedule, Schema, type Scope, TestClock } from "effect"
import { Bulkhead, Cache, CircuitBreaker, RateLimiter, Retry, RetryBudget, Trip } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { Explain, Observability, Registry } from "effect-resilience/observability"
import {
  durationInWords,
  numberInWords,
  rateInWords,
  shareInWords,
  timeInWords
} from "../../src/internal/words.js"
import { down, forked, up } from "../support/calls.js"
import { breakersIn, Fleet } from "../support/fleet.js"
import { runs } from "../support/runs.js"

const noon = Date.UTC(2026, 0, 2, 12, 0, 0)

/** Explains the one policy of a program. */
const explained = Effect.gen(function* () {
  const { all } = yield* Registry.Registry
  const [entry] = yield* all
  assert.isDefined(entry)
  const explanation = yield* Explain.explain(entry)
  assert.isTrue(Option.isSome(explanation), entry.name)
  return Option.getOrThrow(explanation)
})

const said = Effect.map(explained, Explain.sentence)

/** The sentences of all policies of a program. */
const allSaid = Effect.gen(function* () {
  const { all } = yield* Registry.Registry
  return yield* Effect.forEach(yield* all, (entry) =>
    Effect.map(Explain.explain(entry), (found) => Explain.sentence(Option.getOrThrow(found)))
  )
})

/** A program that begins at noon, with everything observed. */
const atNoon = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.zipRight(TestClock.setTime(noon), self).pipe(Effect.provide(Observability.layer()))

const calls = (breaker: CircuitBreaker.CircuitBreaker, outcomes: string) =>
  Effect.forEach(outcomes, (outcome) => Effect.exit(breaker.protect(outcome === "F" ? down : Effect.void)), {
    discard: true
  })

describe("the sentence of a circuit", () => {
  const rate = Trip.failureRate({ threshold: 0.5, within: "30 seconds", minimumCalls: 20 })

  it.effect("that is closed says how far each rule is from opening it", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({
        trip: Trip.any(
          rate,
          Trip.consecutive(10),
          Trip.failures({ count: 5, of: 20 }),
          Trip.failures({ count: 8, within: "1 minute" }),
          Trip.failureRate({ threshold: 0.25, of: 30 }),
          Trip.slowRate({ threshold: 0.8, slowerThan: "500 millis", within: "10 seconds" })
        )
      })
      yield* calls(breaker, "SSSSSSSSSSSSSSSFFF")
      assert.strictEqual(
        yield* said,
        "closed: 3 of 18 calls failed within 30 s, 50 % of at least 20 opens it; " +
          "3 failures in a row, 10 opens it; " +
          "3 of the last 18 calls failed, 5 of 20 opens it; " +
          "3 of 18 calls failed within 1 min, 8 opens it; " +
          "3 of the last 18 calls failed, 25 % of at least 30 opens it; " +
          "0 of 18 calls took longer than 500 ms within 10 s, 80 % of at least 20 opens it"
      )
    }).pipe(atNoon)
  )

  it.effect("that is open says which rule opened it, and when it is half-open", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.any(Trip.consecutive(99), rate) })
      yield* TestClock.adjust("3 minutes")
      yield* calls(breaker, "SSSSSSSSSSSSSFFFFFFFFFFFFF")
      yield* TestClock.adjust("6800 millis")
      yield* calls(breaker, "SS")
      assert.strictEqual(
        yield* said,
        "open since 12:03:00 UTC for 10 s: 13 of 26 calls failed within 30 s, 50 % of at least 20 opens it; " +
          "2 rejected; half-open in 3.2 s"
      )
      yield* TestClock.adjust("3200 millis")
      assert.strictEqual(
        yield* said,
        "half-open since 12:03:10 UTC: 0 probes succeeded and 0 failed, 1 success closes it; 0 of at most 1 running"
      )
    }).pipe(atNoon)
  )

  it.effect("that is half-open counts its probes, and one that they open says so", () =>
    Effect.gen(function* () {
      const halfOpen = { permits: 2, successes: { count: 2, of: 3 }, maxWait: "4 seconds" } as const
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1), halfOpen })
      yield* calls(breaker, "F")
      yield* TestClock.adjust("10 seconds")
      yield* calls(breaker, "SF")
      const probe = yield* forked(breaker.protect(Effect.never))
      assert.strictEqual(
        yield* said,
        "half-open since 12:00:10 UTC: 1 probe succeeded and 1 failed, 2 successes of 3 probes close it; " +
          "1 of at most 2 running"
      )
      yield* TestClock.adjust("4 seconds")
      yield* calls(breaker, "S")
      assert.strictEqual(
        yield* said,
        "open since 12:00:14 UTC for 10 s: 2 of 3 probes failed, the last without an answer in time; " +
          "opened 2 times since it last recovered; 1 rejected; half-open in 10 s"
      )
      yield* Fiber.interrupt(probe)
      yield* TestClock.adjust("10 seconds")
      yield* calls(breaker, "FF")
      assert.include(yield* said, ": 2 of 2 probes failed; opened 3 times")
    }).pipe(atNoon)
  )

  it.effect("that was steered says so, and how that ends", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(2), openFor: "1 day" })
      const sentences = {
        open: "open since 12:00:00 UTC for 1 d: opened by hand; 1 rejected; half-open in 1 d",
        halfOpen:
          "half-open since 12:00:00 UTC by hand: 0 probes succeeded and 0 failed, 1 success closes it; 0 of at most 1 running",
        isolate:
          "isolated since 12:00:00 UTC by hand: all calls are rejected until it is released; 1 rejected",
        disable: "disabled since 12:00:00 UTC by hand: all calls run uncounted until it is enabled",
        metricsOnly:
          "metrics-only since 12:00:00 UTC by hand, never opens: 1 failure in a row, 2 would open it",
        reset: "closed: 1 failure in a row, 2 opens it"
      } as const
      for (const operation of ["open", "isolate", "disable", "metricsOnly", "reset", "halfOpen"] as const) {
        yield* breaker[operation]
        if (operation !== "halfOpen") yield* calls(breaker, "F")
        assert.strictEqual(yield* said, sentences[operation])
      }
    }).pipe(atNoon)
  )

  it.effect(
    "of a fleet says whether the calls of all opened it, with their numbers, or another process",
    () =>
      Effect.gen(function* () {
        const breakers = yield* breakersIn(new Fleet(), 2, {
          trip: Trip.consecutive(3),
          share: Share.inline()
        })
        yield* TestClock.adjust("10 millis")
        const [first] = yield* (yield* Registry.Registry).all
        assert.strictEqual(
          Explain.sentence(Option.getOrThrow(yield* Explain.explain(first))),
          "closed: 0 failures in a row, 3 opens it; calls of other processes count too"
        )
        for (const at of [0, 1, 0]) yield* Effect.exit(breakers[at][0].protect(down))
        yield* TestClock.adjust("10 millis")
        assert.sameMembers(
          (yield* allSaid).map((sentence) => sentence.split(";")[0].split(": ")[1]),
          ["in the fleet 3 failures in a row, 3 opens it", "another process opened it"]
        )
      }).pipe(Effect.scoped, atNoon)
  )

  it.effect("says which changes by hand came from another process", () =>
    Effect.gen(function* () {
      const breakers = yield* breakersIn(new Fleet(), 2, {})
      yield* TestClock.adjust("2 seconds")
      yield* breakers[0][0].isolate
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* allSaid, [
        "isolated since 12:00:02 UTC by hand: all calls are rejected until it is released",
        "isolated since 12:00:02 UTC by another process: all calls are rejected until it is released"
      ])
    }).pipe(Effect.scoped, atNoon)
  )

  it.effect("says why it opened also after its settings were changed", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      yield* calls(breaker, "F")
      yield* breaker.configure({ trip: Trip.consecutive(5) })
      assert.include(yield* said, ": 1 failure in a row, 1 opens it; ")
    }).pipe(atNoon)
  )

  it.effect("has a date when the state began on another day", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({})
      yield* breaker.isolate
      yield* TestClock.adjust("36 hours")
      assert.include(yield* said, "isolated since 2026-01-02 12:00:00 UTC by hand")
    }).pipe(atNoon)
  )

  it.effect("does not tell the reason of another change, after a start from a snapshot", () =>
    Effect.gen(function* () {
      const first = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      yield* calls(first, "F")
      const initial = yield* first.snapshot
      const shown = { kind: "circuit-breaker", name: "partner", state: "open", snapshot: initial } as const
      assert.strictEqual(
        Explain.sentence(Explain.ofSnapshot(shown)),
        "open since 12:00:00 UTC for 10 s: half-open in 10 s"
      )
      const stale = { at: noon, event: { _tag: "StateChange", kind: "circuit-breaker", name: "x" } }
      const closed = { ...stale, event: { ...stale.event, from: "open", to: "closed", metrics: {} } }
      assert.notProperty(Explain.ofSnapshot(shown, { lastChange: closed }), "entered")
    }).pipe(atNoon)
  )

  it("says of an endless opening that it does not end by itself", () => {
    const snapshot = { ...circuit, state: "open", openedFor: Infinity, remainingDelay: Infinity } as const
    const shown = { kind: "circuit-breaker", name: "partner", state: "open", snapshot } as const
    const expected = "open since 12:00:00 UTC: does not end by itself"
    assert.strictEqual(Explain.sentence(Explain.ofSnapshot(shown)), expected)
    const json = JSON.parse(JSON.stringify(shown)) as typeof shown
    assert.strictEqual(Explain.sentence(Explain.ofSnapshot(json)), expected)
  })
})

describe("the sentence of", () => {
  it.effect("a bulkhead counts its permits and its queue", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 2, maxQueued: 1 })
      assert.strictEqual(yield* said, "available: 0 of 2 permits taken, 0 of 1 queued")
      const running = yield* Effect.forEach([1, 2, 3], () => forked(bulkhead.protect(Effect.never)))
      yield* Effect.exit(bulkhead.protect(up))
      assert.strictEqual(yield* said, "full: 2 of 2 permits taken, 1 of 1 queued; 1 rejected")
      yield* bulkhead.resize(1)
      assert.strictEqual(
        yield* said,
        "full: 2 of 1 permit taken, 1 of 1 queued; 1 rejected; resized from 2 to 1 at 12:00:00 UTC"
      )
      yield* Fiber.interruptAll(running)
    }).pipe(atNoon)
  )

  it.effect("a bulkhead without a queue says so", () =>
    Effect.gen(function* () {
      yield* Bulkhead.make({ permits: 10 })
      assert.strictEqual(yield* said, "available: 0 of 10 permits taken, no queue")
    }).pipe(atNoon)
  )

  it.effect("a limiter says what is used of which rate", () =>
    Effect.gen(function* () {
      const sentences = [
        [RateLimiter.bursty({ limit: 3, per: "1 minute" }), "3 of 3 per minute used; next in 1 min"],
        [RateLimiter.slidingWindow({ limit: 3, per: "30 seconds" }), "3 of 3 per 30 s used; next in 30 s"],
        [
          RateLimiter.tokenBucket({ limit: 2, per: "1 second", burst: 3 }),
          "3 of a burst of 3 used, refilled with 2 per second; next in 500 ms"
        ],
        [RateLimiter.smooth({ limit: 10, per: "1 second" }), "10 per second, evenly spaced; next in 100 ms"]
      ] as const
      for (const [rate, sentence] of sentences) {
        const limiter = yield* RateLimiter.make({ rate, name: rate._tag })
        const { find } = yield* Registry.Registry
        const shown = Effect.gen(function* () {
          const [entry] = yield* find(rate._tag)
          return Explain.sentence(Option.getOrThrow(yield* Explain.explain(entry)))
        })
        const admitted = rate._tag === "smooth" ? 1 : 3
        for (let call = 0; call < admitted; call++) yield* limiter.protect(Effect.void)
        assert.strictEqual(yield* shown, `exhausted: ${sentence}`)
        yield* Effect.exit(limiter.protect(up))
        assert.strictEqual(yield* shown, `exhausted: ${sentence}; 1 rejected`)
      }
    }).pipe(atNoon)
  )

  it.effect("a limiter whose rate was changed tells the rate before", () =>
    Effect.gen(function* () {
      const rate = RateLimiter.bursty({ limit: 3, per: "1 minute" })
      const limiter = yield* RateLimiter.make({ rate })
      yield* limiter.setRate(RateLimiter.bursty({ limit: 5, per: "1 minute" }))
      assert.strictEqual(
        yield* said,
        "available: 0 of 5 per minute used; changed from 3 per minute at 12:00:00 UTC"
      )
    }).pipe(atNoon)
  )

  it.effect("a budget says since when it is exhausted", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ capacity: 1, ratio: 0.1 }) })
      assert.strictEqual(
        yield* said,
        "available: 1 of 1 tokens left; 0 retries and 0 hedges paid for, 0 refused; 0 calls, 0 succeeded"
      )
      yield* TestClock.adjust("90 seconds")
      yield* Effect.exit(down.pipe(Retry.retry({ times: 3, budget, schedule: Schedule.recurs(3) }))).pipe(
        forked
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(
        yield* said,
        "exhausted since 12:01:30 UTC: 0 of 1 tokens left; 1 retry and 0 hedges paid for, 1 refused; 1 call, 0 succeeded"
      )
    }).pipe(atNoon)
  )

  it.effect("a budget without a capacity leaves it out", () =>
    Effect.gen(function* () {
      yield* RetryBudget.make({ rule: RetryBudget.requests({ minPerSecond: 1 }) })
      assert.include(yield* said, "available: 10 tokens left; ")
    }).pipe(atNoon)
  )

  it.effect("a cache says how many calls it served", () =>
    Effect.gen(function* () {
      const lookup = (key: string) => (key === "bad" ? Effect.fail("down") : Effect.succeed(key))
      const cache = yield* Cache.make({ lookup, timeToLive: "1 minute", capacity: 2 })
      assert.strictEqual(yield* said, "empty: 0 of 2 keys")
      for (const key of ["a", "a", "b", "a", "bad"]) yield* Effect.exit(cache.get(key))
      assert.strictEqual(
        yield* said,
        "filled: 2 of 2 keys; 40 % of 5 calls hit, 0 % stale, 60 % missed; 1 of 3 lookups failed"
      )
    }).pipe(Effect.scoped, atNoon)
  )

  it.effect("a shared cache says how many values its store had", () =>
    Effect.gen(function* () {
      const store = yield* SharedStore.make(new SharedStore.Memory().adapter)
      const share = Share.values({ value: Schema.String })
      const make = Cache.make({
        name: "offers",
        lookup: (key: string) => Effect.succeed(key),
        timeToLive: "1 minute",
        share
      })
      const shared = Effect.provideService(make, SharedStore.SharedStore, store)
      const [here, elsewhere] = yield* Effect.all([shared, shared])
      yield* elsewhere.get("a")
      yield* here.get("a")
      assert.include(yield* said, "100 % missed; 1 value from the shared store")
    }).pipe(Effect.scoped, atNoon)
  )

  type Shared = Effect.Effect<unknown, never, SharedStore.SharedStore | Scope.Scope>
  const breaker = (share: Parameters<typeof CircuitBreaker.make>[0]) =>
    CircuitBreaker.make({ name: "partner", ...share }) as Shared
  const rate = RateLimiter.tokenBucket({ limit: 100, per: "1 second" })
  const limiter = (share: RateLimiter.Sharing) => RateLimiter.make({ name: "partner", rate, share }) as Shared
  const counted = "calls of other processes count too"
  const ofAll = "the rate is that of all processes"
  it.effect.each<readonly [what: string, make: Shared, shares: string, alone: string]>([
    ["circuit breaker", breaker({ share: Share.local() }), counted, "this process goes on alone"],
    [
      "circuit breaker that is to be open then",
      breaker({ share: Share.inline({ onStoreFailure: "open" }) }),
      counted,
      "calls are rejected"
    ],
    [
      "circuit breaker that is to be closed then",
      breaker({ share: Share.inline({ onStoreFailure: "closed" }) }),
      counted,
      "calls run uncounted"
    ],
    ["limiter", limiter(Share.leasedRate()), ofAll, "this process keeps to its share"],
    [
      "limiter that is to reject then",
      limiter(Share.inlineRate({ onStoreFailure: "reject" })),
      ofAll,
      "calls are rejected"
    ],
    [
      "limiter that is to go on then",
      limiter(Share.inlineRate({ onStoreFailure: "last" })),
      ofAll,
      "this process keeps to what it used last"
    ],
    [
      "budget",
      RetryBudget.make({ rule: RetryBudget.successes({ minPerSecond: 1 }), share: Share.floor() }),
      "the floor is divided among all processes",
      "this process goes on alone"
    ],
    [
      "cache",
      Cache.make({
        ...{ name: "offers", lookup: (key: string) => Effect.succeed(key), timeToLive: "1 minute" },
        share: Share.values({ value: Schema.String })
      }),
      "values of other processes are used too",
      "this process goes on alone"
    ]
  ])("a shared %s says what it shares, and what it does while its store is away", ([, make, shares, alone]) =>
    Effect.gen(function* () {
      const { store, wire } = yield* new Fleet().process()
      const inProcess = Effect.provideService(SharedStore.SharedStore, store)
      const made = yield* inProcess(make)
      yield* TestClock.adjust("2 seconds")
      assert.include(yield* inProcess(said), `; ${shares}`)
      wire.state = "dead"
      yield* TestClock.adjust("2 seconds")
      const away = yield* inProcess(said)
      assert.include(away, `; its store does not answer, so ${alone}`)
      assert.notInclude(away, shares)
      wire.state = "up"
      yield* TestClock.adjust("10 seconds")
      assert.include(yield* inProcess(said), `; ${shares}`)
      assert.isDefined(made)
    }).pipe(Effect.scoped, atNoon)
  )

  it.effect("a policy without a state of its own does not exist", () =>
    Effect.gen(function* () {
      yield* Effect.exit(down.pipe(Retry.retry({ times: 1, schedule: Schedule.recurs(1) }))).pipe(forked)
      yield* TestClock.adjust("1 second")
      const { all } = yield* Registry.Registry
      const [entry] = yield* all
      assert.strictEqual(entry?.kind, "retry")
      assert.isTrue(Option.isNone(yield* Explain.explain(entry)))
    }).pipe(atNoon)
  )
})

// --------------------------------------------------------------------------------------------------------- properties

const circuit: CircuitBreaker.Snapshot = {
  name: "partner",
  state: "closed",
  since: noon,
  takenAt: noon,
  remainingDelay: 0,
  generation: 0,
  successes: 0,
  failures: 0,
  failureRate: 0,
  consecutiveFailures: 0,
  rejected: 0,
  rejectedInState: 0,
  reopenings: 0,
  openedFor: 0,
  rules: [],
  memory: []
}

const count = FastCheck.nat()
const anyNumber = FastCheck.oneof(
  FastCheck.nat(),
  FastCheck.double(),
  FastCheck.constantFrom(Infinity, -Infinity, NaN, -0, 8.64e15, 8.64e15 + 1, Number.MAX_VALUE)
)

const reading: FastCheck.Arbitrary<Trip.Reading> = FastCheck.record(
  {
    rule: FastCheck.constantFrom(
      "consecutive" as const,
      "failures" as const,
      "failureRate" as const,
      "slowRate" as const
    ),
    calls: anyNumber,
    hits: anyNumber,
    rate: anyNumber,
    threshold: anyNumber,
    met: FastCheck.boolean(),
    of: anyNumber,
    within: anyNumber,
    minimumCalls: anyNumber,
    slowerThan: anyNumber
  },
  { requiredKeys: ["rule", "calls", "hits", "rate", "threshold", "met"] }
)

const states = ["closed", "open", "half-open", "isolated", "disabled", "metrics-only"] as const

const change = FastCheck.record({
  _tag: FastCheck.constantFrom("StateChange", "Resized", "RateChanged", "Exhausted", "Recovered", "Other"),
  kind: FastCheck.string(),
  name: FastCheck.string(),
  from: FastCheck.oneof(FastCheck.constantFrom(...states), anyNumber),
  to: FastCheck.constantFrom(...states),
  reason: FastCheck.constantFrom(
    "tripped",
    "elapsed",
    "probes-succeeded",
    "probes-failed",
    "probe-overdue",
    "steered",
    "fleet"
  ),
  rule: FastCheck.option(reading, { nil: undefined }),
  operation: FastCheck.constant(undefined),
  metrics: FastCheck.record({ successes: anyNumber, failures: anyNumber }),
  exhausted: FastCheck.boolean()
})

const rate: FastCheck.Arbitrary<RateLimiter.Rate> = FastCheck.record({
  _tag: FastCheck.constantFrom("smooth", "bursty", "slidingWindow", "tokenBucket"),
  limit: anyNumber,
  per: anyNumber,
  burst: anyNumber
})

const numbers = <const Names extends ReadonlyArray<string>>(...names: Names) =>
  FastCheck.record(Object.fromEntries(names.map((name) => [name, anyNumber]))) as FastCheck.Arbitrary<{
    readonly [Name in Names[number]]: number
  }>

const shown: FastCheck.Arbitrary<Explain.Shown> = FastCheck.oneof(
  FastCheck.record({
    kind: FastCheck.constant("circuit-breaker" as const),
    name: FastCheck.string(),
    state: FastCheck.constantFrom(...states),
    snapshot: FastCheck.tuple(
      numbers("since", "takenAt", "remainingDelay", "openedFor", "successes", "failures"),
      numbers("rejectedInState", "reopenings"),
      FastCheck.array(reading),
      FastCheck.option(numbers("running", "permits", "successes", "of"), { nil: undefined })
    ).map(([some, others, rules, probes]) => ({ ...circuit, ...some, ...others, rules, probes }))
  }),
  FastCheck.record({
    kind: FastCheck.constant("bulkhead" as const),
    name: FastCheck.string(),
    state: FastCheck.constantFrom("available" as const, "full" as const),
    snapshot: numbers("permits", "inUse", "running", "queued", "rejected", "successes", "failures").map(
      (snapshot) => ({ name: "x", ...snapshot })
    )
  }),
  FastCheck.record({
    kind: FastCheck.constant("rate-limiter" as const),
    name: FastCheck.string(),
    state: FastCheck.constantFrom("available" as const, "exhausted" as const),
    snapshot: FastCheck.tuple(
      numbers("takenAt", "available", "retryAfter", "queued", "admitted", "rejected"),
      rate
    ).map(([snapshot, rate]) => ({ name: "x", ...snapshot, rate }))
  }),
  FastCheck.record({
    kind: FastCheck.constant("retry-budget" as const),
    name: FastCheck.string(),
    state: FastCheck.constantFrom("available" as const, "exhausted" as const),
    snapshot: FastCheck.tuple(
      numbers("balance", "capacity", "requests", "successes", "retries", "hedges", "refused"),
      FastCheck.boolean()
    ).map(([snapshot, exhausted]) => ({ name: "x", ...snapshot, exhausted }))
  }),
  FastCheck.record({
    kind: FastCheck.constant("cache" as const),
    name: FastCheck.string(),
    state: FastCheck.constantFrom("empty" as const, "filled" as const),
    snapshot: FastCheck.tuple(
      numbers("size", "inFlight", "waiting", "hits", "misses", "stale"),
      numbers("lookups", "refreshes", "failures", "evictions"),
      FastCheck.oneof(numbers("fromStore"), FastCheck.constant({}))
    ).map(([some, others, shared]) => ({ name: "x", ...some, ...others, ...shared }))
  })
)

const besides: FastCheck.Arbitrary<Explain.Besides> = FastCheck.record(
  {
    settings: FastCheck.dictionary(
      FastCheck.constantFrom("maxQueued", "capacity", "trip", "share"),
      FastCheck.oneof(anyNumber, FastCheck.anything())
    ),
    lastChange: FastCheck.record({ at: anyNumber, event: change }),
    takenAt: anyNumber,
    storeAway: FastCheck.boolean()
  },
  { requiredKeys: [] }
)

describe("an explanation", () => {
  it("of any snapshot has a sentence of one line that begins with its state and has no part left open", () => {
    FastCheck.assert(
      FastCheck.property(shown, besides, (shown, besides) => {
        const explanation = Explain.ofSnapshot(shown, besides)
        const sentence = Explain.sentence(explanation)
        assert.deepStrictEqual(
          [explanation.kind, explanation.name, explanation.state],
          [shown.kind, shown.name, shown.state]
        )
        assert.isTrue(sentence.startsWith(shown.state), sentence)
        assert.notMatch(sentence, /undefined|null|NaN|Infinity|\[object|[\r\n]|: ;|; ;|[:;] *$/u)
      }),
      { numRuns: runs(1000, 100_000) }
    )
  })

  const plausible = FastCheck.record({
    successes: count,
    failures: count,
    rejected: count,
    openings: FastCheck.integer({ min: 2, max: 99 }),
    hits: count,
    calls: count,
    threshold: FastCheck.integer({ min: 1, max: 99 })
  })

  it("of a circuit says each number that decides", () => {
    FastCheck.assert(
      FastCheck.property(plausible, FastCheck.constantFrom(...states), (numbers, state) => {
        const { calls, failures, hits, openings, rejected, successes, threshold } = numbers
        const rule = { rule: "failures", calls, hits, rate: 0, threshold, met: false, of: 100 } as const
        const probes = { running: calls, permits: threshold, successes: 1, of: 1 }
        const snapshot = {
          ...{ ...circuit, state, successes, failures, rules: [rule], probes },
          ...{ reopenings: openings, rejectedInState: rejected, openedFor: 5000, remainingDelay: 1000 }
        }
        const explanation = Explain.ofSnapshot({ kind: "circuit-breaker", name: "x", state, snapshot })
        const counted = [hits, calls, threshold]
        const expected = {
          closed: [...counted, rejected],
          "metrics-only": counted,
          open: [5, 1, openings, rejected],
          "half-open": [successes, failures, calls, threshold, rejected],
          isolated: [rejected],
          disabled: []
        }[state]
        const found = Explain.sentence(explanation).match(/(?<![\d:])\d+(?![\d:])/gu) ?? []
        for (const number of expected) {
          if (number !== 0) assert.include(found, String(number), Explain.sentence(explanation))
        }
      }),
      { numRuns: runs(300, 30_000) }
    )
  })

  it("survives JSON with the same sentence", () => {
    const finite = FastCheck.record({
      balance: FastCheck.double({ min: 0, max: 1000, noNaN: true }),
      capacity: FastCheck.oneof(count, FastCheck.constant(Infinity)),
      requests: count,
      successes: count,
      retries: count,
      hedges: count,
      refused: count,
      exhausted: FastCheck.boolean()
    })
    FastCheck.assert(
      FastCheck.property(finite, (budget) => {
        const state = budget.exhausted ? "exhausted" : "available"
        const snapshot = { name: "x", ...budget }
        const explanation = Explain.ofSnapshot({ kind: "retry-budget", name: "x", state, snapshot })
        const read = JSON.parse(JSON.stringify(explanation)) as Explain.Explanation
        assert.deepStrictEqual(read, explanation)
        assert.strictEqual(Explain.sentence(read), Explain.sentence(explanation))
      }),
      { numRuns: runs(200, 20_000) }
    )
  })

  it.effect("holds nothing of what failed", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      yield* Effect.exit(breaker.protect(Effect.fail({ _tag: "Failed", password: "hunter2" })))
      const explanation = yield* explained
      assert.notInclude(JSON.stringify(explanation), "hunter2")
      assert.deepStrictEqual(explanation, {
        ...{ kind: "circuit-breaker", name: "circuit-breaker", state: "open" },
        ...{
          since: noon,
          takenAt: noon,
          rejected: 0,
          shared: false,
          openFor: 10_000,
          halfOpenIn: 10_000,
          openings: 1
        },
        entered: {
          ...{ from: "closed", reason: "tripped", successes: 0, failures: 1 },
          rule: { rule: "consecutive", calls: 1, hits: 1, rate: 1, threshold: 1, met: true }
        }
      })
    }).pipe(atNoon)
  )
})

describe("words", () => {
  it.each([
    [0, "0 ms"],
    [0.04, "0.04 ms"],
    [3.25, "3.3 ms"],
    [999.4, "999 ms"],
    [999.6, "1 s"],
    [1234, "1.2 s"],
    [59_940, "59.9 s"],
    [59_960, "1 min"],
    [90_000, "1 min 30 s"],
    [3_599_600, "1 h"],
    [7_500_000, "2 h 5 min"],
    [86_399_999, "1 d"],
    [277_200_000, "3 d 5 h"],
    [-5, "0 ms"],
    [Infinity, "ever"],
    [NaN, "?"]
  ])("say %d ms as %s", (millis, words) => assert.strictEqual(durationInWords(millis), words))

  it("name the units of common rates", () => {
    const rates = [1000, 60_000, 3_600_000, 86_400_000, 1500].map((per) => rateInWords(100, per))
    assert.deepStrictEqual(rates, [
      "100 per second",
      "100 per minute",
      "100 per hour",
      "100 per day",
      "100 per 1.5 s"
    ])
  })

  it("round shares and numbers to what people read", () => {
    assert.deepStrictEqual([0.5, 1 / 3, 0.001, 1, 0].map(shareInWords), [
      "50 %",
      "33.3 %",
      "0.1 %",
      "100 %",
      "0 %"
    ])
    assert.deepStrictEqual([0.125, 12.34, 1234.5, 7].map(numberInWords), ["0.13", "12.3", "1235", "7"])
  })

  it("tell the time in UTC, and an instant that no calendar has not at all", () => {
    assert.strictEqual(timeInWords(noon, noon + 1), "12:00:00 UTC")
    assert.strictEqual(timeInWords(noon, noon + 86_400_000), "2026-01-02 12:00:00 UTC")
    assert.strictEqual(timeInWords(noon, undefined), "2026-01-02 12:00:00 UTC")
    assert.isUndefined(timeInWords(8.64e15 + 1, noon))
    assert.isUndefined(timeInWords(NaN, noon))
  })
})
