/**
 * A row for each stateful policy: what `services.test.ts`, `stateful.test.ts`, `events.test.ts` and `options.test.ts` need to see that its
 * tags, layers, services, events and options are those of every other one. The next stateful policy joins by a row, and by one more
 * (at the end) when it has instances by key.
 */
import { assert } from "@effect/vitest"
import {
  Config,
  type Context,
  Duration,
  Effect,
  Fiber,
  type Layer,
  type Scope,
  Stream,
  TestClock
} from "effect"
import {
  Bulkhead,
  Cache,
  CircuitBreaker,
  FailureCondition,
  type Policy,
  RateLimiter,
  RetryBudget,
  Trip
} from "effect-resilience"
import { down, forked, up } from "../support/calls.js"
import { type Kind, kindsOf, listeners } from "../support/optionKinds.js"

type Settings = Record<string, unknown>
/** A tag, whatever it is a tag of. */
interface AnyTag extends Context.Tag<never, Policy.Described & { readonly snapshot: Effect.Effect<object> }> {
  readonly snapshot: Effect.Effect<{ readonly name: string }>
  readonly layer: (options?: Settings) => Layer.Layer<never>
  readonly layerConfig: (settings: Settings, given?: Settings) => Layer.Layer<never, unknown>
}

/** What the tag of a policy that protects calls has besides. */
interface Protecting {
  readonly protect: Policy.Policy
  readonly protectWhen: (
    condition: object
  ) => Policy.Described & ((self: Effect.Effect<unknown>) => Effect.Effect<unknown, unknown>)
}

interface Row {
  readonly module: string
  readonly kind: string
  /** The tag `Partner`, and another one. */
  readonly tag: AnyTag
  readonly other: AnyTag
  /** What takes the options, besides layers of tags, by its name in errors. */
  readonly constructors: Readonly<Record<string, (options: never) => unknown>>
  readonly keyed?: (options: never) => unknown
  /** Options that are enough, with which each other option is valid too. */
  readonly options: Settings
  /** Whether no option is required. */
  readonly optional?: true
  /** The kinds of all options. */
  readonly kinds: Readonly<Record<string, Kind>>
  /** Options that are refused, and the option that the error names. */
  readonly bad: readonly [options: Settings, named: string]
  /** A listener, the options with which it hears of a call, and the call. */
  readonly listening: readonly [listener: string, options: Settings, call: Effect.Effect<unknown, unknown>]
  /** Settings from the configuration, values, and how an instance describes the settings that are read from them. */
  readonly config: readonly [settings: Settings, values: Record<string, string>, read: string]
  /** Values that are refused, and what the error says. */
  readonly refused: ReadonlyArray<readonly [values: Record<string, string>, said: string]>
  /** Uses all members of the tag, of an instance of the options `used`. */
  readonly uses: Effect.Effect<void, unknown>
  readonly used: Settings
  /** Of policies that protect calls. */
  readonly protects?: {
    readonly policies: Protecting
    /** A call that is rejected. */
    readonly rejected: Effect.Effect<{ readonly name: string }, unknown>
    /** What the snapshot has after calls that were ignored, failed and succeeded, of an instance of the options `used`. */
    readonly judged: Settings
    /** Policies of the tag for a call, and how they describe themselves. */
    readonly each: Record<string, Policy.Policy>
    /** Policies that are refused. */
    readonly refused: ReadonlyArray<() => unknown>
  }
  /** Of policies with changes: makes a change, another one each time; and what the first and the hundredth say. */
  readonly changing?: {
    readonly changes: Stream.Stream<{ readonly kind: string; readonly name: string }>
    readonly change: (round: number) => Effect.Effect<unknown, unknown>
    readonly first: Settings
    readonly last: Settings
  }
  /** Of policies of which a program may have just one: its service, its module, and a program that uses the module. */
  readonly single?: {
    readonly tag: AnyTag
    readonly module: Pick<AnyTag, "layer" | "layerConfig"> & Partial<Protecting>
    readonly uses: Effect.Effect<void, unknown>
  }
}

const row = (of: unknown): Row => of as Row

const name = Config.string("NAME").pipe(Config.withDefault(undefined))
const refusedName = [
  { NAME: "" },
  'Partner.layerConfig: option "name" must be a string that is not empty, got ""'
] as const

// ------------------------------------------------------------------------------------------------------ circuit breaker

export const breakerKinds = kindsOf<Omit<CircuitBreaker.Options, "initial">>({
  name: "name",
  trip: "trip",
  openFor: "positive",
  maxOpenFor: "positive",
  halfOpen: "object",
  share: "listener",
  ...listeners(
    "onSuccess",
    "onFailure",
    "onOpen",
    "onHalfOpen",
    "onClose",
    "onStateChange",
    "onRejected",
    "onConfigured"
  )
})

class Breaker extends CircuitBreaker.Tag("Partner")<Breaker>() {}
class OtherBreaker extends CircuitBreaker.Tag("Other")<OtherBreaker>() {}

const usesBreaker = Effect.gen(function* () {
  const breaker = yield* Breaker
  const changes = yield* forked(Stream.runCollect(Stream.take(Breaker.changes, 8)))
  const states: Array<string> = []
  for (const verb of [
    Breaker.open,
    Breaker.close,
    Breaker.halfOpen,
    Breaker.isolate,
    Breaker.release,
    Breaker.disable,
    Breaker.enable,
    Breaker.metricsOnly
  ]) {
    yield* verb
    states.push(yield* Breaker.state)
    assert.deepStrictEqual(yield* Breaker.snapshot, yield* breaker.snapshot)
    assert.deepStrictEqual(yield* Breaker.remainingDelay, yield* breaker.remainingDelay)
  }
  assert.deepStrictEqual(states, [
    "open",
    "closed",
    "half-open",
    "isolated",
    "closed",
    "disabled",
    "closed",
    "metrics-only"
  ])
  assert.deepStrictEqual(
    Array.from(yield* Fiber.join(changes), ({ to }) => to),
    states
  )
  yield* Effect.scoped(
    Effect.flatMap(Breaker.acquire, (permit) => Breaker.record(permit, FailureCondition.failure))
  )
  assert.strictEqual((yield* breaker.snapshot).failures, 1)
  yield* Breaker.reset
  assert.deepInclude(yield* breaker.snapshot, { state: "closed", failures: 0 })

  yield* Effect.exit(down.pipe(Breaker.protect))
  yield* Effect.exit(Breaker.protect(down))
  const error = yield* Effect.flip(up.pipe(Breaker.protect))
  assert.deepInclude(error, { name: "Partner", state: "open", retryAfter: Duration.seconds(15) })
  yield* TestClock.adjust("15 seconds")
  assert.strictEqual(yield* Breaker.protect(up), "up")
})

const usesOneBreaker = Effect.gen(function* () {
  yield* Effect.exit(down.pipe(CircuitBreaker.protectWhen({ error: (error) => error === "down" })))
  const error = yield* Effect.flip(up.pipe(CircuitBreaker.protect))
  assert.deepInclude(error, { name: "circuit-breaker", state: "open" })
  assert.strictEqual(yield* CircuitBreaker.CircuitBreaker.state, "open")
})

const breakerMessage = (setting: string, said: string) =>
  `Partner.layerConfig: option "${setting}" must be ${said}`

// ------------------------------------------------------------------------------------------------------------- bulkhead

export const bulkheadKinds = kindsOf<Bulkhead.Options>({
  name: "name",
  permits: "whole",
  maxQueued: "wholeOrNone",
  maxWait: "positive",
  retryAfterJitter: "finite",
  ...listeners("onQueued", "onAdmitted", "onRejected", "onSuccess", "onFailure", "onResized")
})

class Places extends Bulkhead.Tag("Partner")<Places>() {}
class OtherPlaces extends Bulkhead.Tag("Other")<OtherPlaces>() {}

const usesPlaces = Effect.gen(function* () {
  assert.strictEqual(yield* Places.protect(up), "up")
  yield* Effect.exit(Places.protectWhen<string, "down">({ error: () => false })(down))
  yield* Effect.scoped(Places.acquire)
  assert.deepInclude(yield* Places.snapshot, { name: "Partner", successes: 3, permits: 2 })
  yield* Places.resize(3)
  yield* forked(Places.withPermits(2)(Effect.never))
  const error = yield* Effect.flip(Places.withPermits(2)(up))
  assert.deepInclude(error, { name: "Partner", requested: 2, permits: 3 })
  assert.deepInclude(yield* Places.snapshot, { inUse: 2, running: 1, rejected: 1 })
})

const usesOneBulkhead = Effect.gen(function* () {
  assert.strictEqual(yield* Bulkhead.protect(up), "up")
  assert.strictEqual(yield* Bulkhead.withPermits(2)(up), "up")
  yield* Effect.exit(Bulkhead.protectWhen<string, "down">({})(down))
  assert.deepInclude(yield* Bulkhead.Bulkhead.snapshot, { name: "bulkhead", successes: 2, failures: 1 })
})

// --------------------------------------------------------------------------------------------------------- rate limiter

export const limiterKinds = kindsOf<RateLimiter.Options>({
  name: "name",
  rate: "rate",
  maxWait: "duration",
  maxQueued: "wholeOrNone",
  share: "listener",
  cost: "whole",
  ...listeners("onQueued", "onAdmitted", "onRejected", "onRateChanged")
})

class Pace extends RateLimiter.Tag("Partner")<Pace>() {}
class OtherPace extends RateLimiter.Tag("Other")<OtherPace>() {}

const twoASecond = RateLimiter.bursty({ limit: 2, per: "1 second" })

const usesPace = Effect.gen(function* () {
  assert.isTrue(yield* Pace.tryAcquire())
  assert.strictEqual(yield* Pace.available, 1)
  yield* Pace.acquire(1)
  assert.isFalse(yield* Pace.tryAcquire(1))
  const error = yield* Effect.flip(up.pipe(Pace.protect))
  assert.deepInclude(error, { name: "Partner", limit: 2, retryAfter: Duration.seconds(1) })
  const { cancel, wait } = yield* Pace.reserve()
  assert.deepStrictEqual(wait, Duration.seconds(1))
  yield* cancel
  yield* TestClock.adjust("1 second")
  yield* up.pipe(Pace.withCost(2))
  assert.strictEqual(yield* Pace.available, 0)
  yield* Pace.setRate(RateLimiter.bursty({ limit: 5, per: "1 second" }))
  assert.strictEqual(yield* Pace.available, 3)
})

const usesOneLimiter = Effect.gen(function* () {
  yield* up.pipe(RateLimiter.protectWhen({}))
  yield* up.pipe(RateLimiter.protect)
  assert.strictEqual((yield* Effect.flip(up.pipe(RateLimiter.withCost(1)))).name, "rate-limiter")
  assert.strictEqual(yield* RateLimiter.RateLimiter.available, 0)
})

// --------------------------------------------------------------------------------------------------------- retry budget

class Budget extends RetryBudget.Tag("Partner")<Budget>() {}
class OtherBudget extends RetryBudget.Tag("Other")<OtherBudget>() {}

const usesBudget = Effect.gen(function* () {
  assert.isTrue(yield* Budget.tryWithdraw())
  const budget = yield* Budget
  assert.isFalse(yield* budget.tryWithdraw())
  yield* Budget.recordRequest
  yield* Budget.recordSuccess
  yield* Budget.recordFailure
  const counts = { requests: 1, successes: 1, retries: 1, refused: 1 }
  assert.deepInclude(yield* Budget.snapshot, { name: "Partner", ...counts })
  yield* Budget.reset
  assert.strictEqual(yield* Budget.balance, 1)
})

const usesOneBudget = Effect.gen(function* () {
  assert.isTrue(yield* RetryBudget.RetryBudget.tryWithdraw())
  assert.deepInclude(yield* RetryBudget.RetryBudget.snapshot, { name: "retry-budget", retries: 1 })
})

// ---------------------------------------------------------------------------------------------------------------- cache

const storeKinds = kindsOf<Cache.StoreOptions<string, string, never>>({
  name: "name",
  capacity: "whole",
  timeToLive: "duration",
  staleWhileRevalidate: "duration",
  staleIfError: "duration",
  negativeTimeToLive: "duration",
  softTimeout: "duration",
  maxAge: "positive",
  earlyRefresh: "finite",
  share: "listener",
  ...listeners("onHit", "onMiss", "onStale", "onRefresh", "onEvict")
})

class Offers extends Cache.Tag("Partner")<Offers, string, number, "down">() {}
class OtherOffers extends Cache.Tag("Other")<OtherOffers, string, number, "down">() {}
class Rates extends Cache.StoreTag("Partner")<Rates, string, number, "down">() {}
class OtherRates extends Cache.StoreTag("Other")<OtherRates, string, number, "down">() {}

const lookup = (key: string): Effect.Effect<number, "down"> =>
  key === "" ? Effect.fail("down") : Effect.succeed(key.length)

const usesOffers = Effect.gen(function* () {
  assert.strictEqual(yield* Offers.get("abc"), 3)
  assert.strictEqual((yield* Offers.snapshot).lookups, 1)
  assert.deepStrictEqual(yield* Offers.serve("abc"), { value: 3, state: "fresh", age: Duration.zero })
  assert.strictEqual(yield* Effect.flip(Offers.get("")), "down")
  assert.strictEqual(yield* Effect.succeed(7).pipe(Offers.cached("piped")), 7)
  assert.strictEqual((yield* Effect.succeed(8).pipe(Offers.served("piped"))).value, 7)
  yield* Offers.set("abc", 4)
  assert.strictEqual(yield* Offers.get("abc"), 4)
  assert.strictEqual(yield* Offers.refresh("abc"), 3)
  yield* Offers.invalidate("abc")
  assert.deepInclude(yield* Offers.snapshot, { name: "Partner", size: 1 })
  yield* Offers.invalidateAll
  assert.strictEqual((yield* Offers.snapshot).size, 0)
})

const usesRates = Effect.gen(function* () {
  assert.strictEqual(yield* lookup("abc").pipe(Rates.cached("abc")), 3)
  assert.strictEqual(yield* down.pipe(Rates.cached("abc")), 3)
  assert.strictEqual((yield* lookup("").pipe(Rates.served("abc"))).value, 3)
  yield* Rates.set("abc", 4)
  assert.strictEqual(yield* lookup("abc").pipe(Rates.cached("abc")), 4)
  yield* Rates.invalidate("abc")
  yield* Rates.invalidateAll
  assert.deepInclude(yield* Rates.snapshot, { name: "Partner", size: 0 })
})

const lifetimes = {
  name,
  timeToLive: Config.duration("TTL"),
  maxAge: Config.duration("MAX_AGE").pipe(Config.withDefault(undefined)),
  capacity: Config.integer("CAPACITY").pipe(Config.withDefault(10)),
  staleIfError: Config.duration("STALE").pipe(Config.withDefault(undefined))
}
const lived: Row["config"] = [
  lifetimes,
  { TTL: "5 seconds", STALE: "1 hour" },
  "capacity: 10, timeToLive: 5s, staleIfError: 1h"
]
const refusedLifetimes: Row["refused"] = [
  [{}, "TTL"],
  [{ TTL: "soon" }, "TTL"],
  [
    { TTL: "1 hour", MAX_AGE: "1 minute" },
    'Partner.layerConfig: option "timeToLive" must be at most "maxAge" (1m)'
  ],
  [{ TTL: "1 second", ...refusedName[0] }, refusedName[1]]
]

// ----------------------------------------------------------------------------------------------------------------- rows

export const rows: ReadonlyArray<Row> = [
  row({
    module: "CircuitBreaker",
    kind: "circuit-breaker",
    tag: Breaker,
    other: OtherBreaker,
    constructors: {
      "CircuitBreaker.make": CircuitBreaker.make,
      "CircuitBreaker.layer": CircuitBreaker.layer
    },
    keyed: CircuitBreaker.keyed,
    optional: true,
    kinds: breakerKinds,
    options: { trip: Trip.consecutive(1) },
    bad: [{ halfOpen: { permits: 0 } }, "halfOpen.permits"],
    listening: ["onStateChange", { trip: Trip.consecutive(1) }, Breaker.protect(down)],
    config: [
      {
        name,
        trip: Config.map(Config.integer("FAILURES"), Trip.consecutive),
        openFor: Config.duration("OPEN_FOR").pipe(Config.withDefault("15 seconds")),
        maxOpenFor: Config.duration("MAX_OPEN_FOR").pipe(Config.withDefault("1 hour")),
        halfOpen: {
          permits: Config.integer("PERMITS").pipe(Config.withDefault(1)),
          successes: Config.all({
            count: Config.integer("SUCCESSES").pipe(Config.withDefault(1)),
            of: Config.integer("PROBES").pipe(Config.withDefault(1))
          })
        }
      },
      { FAILURES: "4", OPEN_FOR: "3 seconds", PERMITS: "2", SUCCESSES: "2", PROBES: "3" },
      "trip: consecutive(4), openFor: 3s, halfOpen: { permits: 2, successes: 2 of 3, maxWait: 30s }"
    ],
    refused: [
      [{}, "Missing data at FAILURES"],
      [{ FAILURES: "many" }, "Invalid data at FAILURES"],
      [
        { FAILURES: "0" },
        `at FAILURES: "${breakerMessage("trip.count", "a whole number of at least 1, got 0")}`
      ],
      [{ FAILURES: "1", OPEN_FOR: "soon" }, "Invalid data at OPEN_FOR"],
      [
        { FAILURES: "1", OPEN_FOR: "-1 seconds" },
        `Invalid data at OPEN_FOR: "${breakerMessage("openFor", 'a finite duration greater than zero, got "-1 seconds"')}`
      ],
      [{ FAILURES: "1", OPEN_FOR: "2 hours" }, breakerMessage("openFor", 'at most "maxOpenFor" (1h)')],
      [
        { FAILURES: "1", PERMITS: "0" },
        breakerMessage("halfOpen.permits", "a whole number of at least 1, got 0")
      ],
      [
        { FAILURES: "1", SUCCESSES: "3", PROBES: "2" },
        breakerMessage("halfOpen.successes.count", 'at most "halfOpen.successes.of" (2), got 3')
      ],
      [{ FAILURES: "1", ...refusedName[0] }, refusedName[1]]
    ],
    uses: usesBreaker,
    used: { trip: Trip.consecutive(2), openFor: "15 seconds" },
    protects: {
      policies: Breaker,
      rejected: Effect.zipRight(Breaker.isolate, Effect.flip(Breaker.protect(up))),
      judged: { failures: 1, successes: 1 },
      each: { 'circuit-breaker "Partner"()': Breaker.protect },
      refused: []
    },
    changing: {
      changes: Breaker.changes,
      change: (round: number) => [Breaker.isolate, Breaker.disable][round % 2],
      first: { from: "closed", to: "isolated" },
      last: { from: "isolated", to: "disabled" }
    },
    single: { tag: CircuitBreaker.CircuitBreaker, module: CircuitBreaker, uses: usesOneBreaker }
  }),
  row({
    module: "Bulkhead",
    kind: "bulkhead",
    tag: Places,
    other: OtherPlaces,
    constructors: { "Bulkhead.make": Bulkhead.make, "Bulkhead.layer": Bulkhead.layer },
    keyed: Bulkhead.keyed,
    kinds: bulkheadKinds,
    options: { permits: 2, maxQueued: 1 },
    bad: [{ permits: 0 }, "permits"],
    listening: ["onSuccess", {}, Places.protect(up)],
    config: [
      {
        name,
        permits: Config.integer("PERMITS"),
        maxQueued: Config.integer("MAX_QUEUED").pipe(Config.withDefault(undefined)),
        maxWait: Config.duration("MAX_WAIT").pipe(Config.withDefault(undefined))
      },
      { PERMITS: "3", MAX_QUEUED: "7", MAX_WAIT: "2 seconds" },
      "permits: 3, maxQueued: 7, maxWait: 2s"
    ],
    refused: [
      [{}, "PERMITS"],
      [{ PERMITS: "many" }, "PERMITS"],
      [{ PERMITS: "0" }, 'Partner.layerConfig: option "permits" must be a whole number of at least 1, got 0'],
      [{ PERMITS: "1", MAX_QUEUED: "-1" }, '"maxQueued" must be a whole number of at least 0, got -1'],
      [{ PERMITS: "1", MAX_WAIT: "1 second" }, '"maxWait" must be left out when no call may wait'],
      [{ PERMITS: "1", ...refusedName[0] }, refusedName[1]]
    ],
    uses: usesPlaces,
    used: { permits: 2 },
    protects: {
      policies: Places,
      rejected: Effect.flip(Places.withPermits(9)(up)),
      judged: { failures: 1, successes: 1 },
      each: { 'bulkhead "Partner"()': Places.protect, 'bulkhead "Partner"(takes: 2)': Places.withPermits(2) },
      refused: [() => Places.withPermits(0)]
    },
    changing: {
      changes: Places.changes,
      change: (round: number) => Places.resize(3 + (round % 2)),
      first: { _tag: "Resized", from: 2, to: 3 },
      last: { _tag: "Resized", from: 3, to: 4 }
    },
    single: { tag: Bulkhead.Bulkhead, module: Bulkhead, uses: usesOneBulkhead }
  }),
  row({
    module: "RateLimiter",
    kind: "rate-limiter",
    tag: Pace,
    other: OtherPace,
    constructors: { "RateLimiter.make": RateLimiter.make, "RateLimiter.layer": RateLimiter.layer },
    keyed: RateLimiter.keyed,
    kinds: limiterKinds,
    options: { rate: twoASecond },
    bad: [{ cost: 3 }, "cost"],
    listening: ["onAdmitted", {}, Pace.protect(up)],
    config: [
      {
        name,
        rate: Config.map(Config.integer("LIMIT"), (limit) => RateLimiter.bursty({ limit, per: "1 second" })),
        maxWait: Config.duration("MAX_WAIT").pipe(Config.withDefault(Duration.zero)),
        maxQueued: Config.integer("MAX_QUEUED").pipe(Config.withDefault(10))
      },
      { LIMIT: "3" },
      "rate: bursty(limit: 3, per: 1s)"
    ],
    refused: [
      [{}, "LIMIT"],
      [{ LIMIT: "many" }, "LIMIT"],
      [
        { LIMIT: "0" },
        '(Invalid data at LIMIT: "Partner.layerConfig: option "rate.limit" must be a whole number from 1 to 10000000, got 0")'
      ],
      [
        { LIMIT: "1", MAX_QUEUED: "-1" },
        '(Invalid data at MAX_QUEUED: "Partner.layerConfig: option "maxQueued" must be a whole number of at least 0, got -1")'
      ],
      [{ LIMIT: "1", ...refusedName[0] }, refusedName[1]]
    ],
    uses: usesPace,
    used: { rate: twoASecond },
    protects: {
      policies: Pace,
      rejected: Effect.flip(Pace.withCost(9)(up)),
      judged: { available: 0 },
      each: { 'rate-limiter "Partner"()': Pace.protect, 'rate-limiter "Partner"(cost: 2)': Pace.withCost(2) },
      refused: [() => Pace.withCost(0)]
    },
    changing: {
      changes: Pace.changes,
      change: (round: number) =>
        Pace.setRate(RateLimiter.bursty({ limit: 3 + (round % 2), per: "1 second" })),
      first: { _tag: "RateChanged", from: twoASecond },
      last: { _tag: "RateChanged", to: RateLimiter.bursty({ limit: 4, per: "1 second" }) }
    },
    single: { tag: RateLimiter.RateLimiter, module: RateLimiter, uses: usesOneLimiter }
  }),
  row({
    module: "RetryBudget",
    kind: "retry-budget",
    tag: Budget,
    other: OtherBudget,
    constructors: { "RetryBudget.make": RetryBudget.make, "RetryBudget.layer": RetryBudget.layer },
    keyed: RetryBudget.keyed,
    optional: true,
    kinds: kindsOf<RetryBudget.Options>({
      name: "name",
      rule: "rule",
      share: "listener",
      ...listeners("onExhausted", "onRecovered", "onRefused")
    }),
    options: {},
    bad: [{ name: "" }, "name"],
    listening: ["onExhausted", { rule: RetryBudget.successes({ capacity: 0 }) }, Budget.tryWithdraw()],
    config: [
      {
        name,
        rule: Config.all({
          ratio: Config.number("RATIO").pipe(Config.withDefault(0.1)),
          capacity: Config.integer("CAPACITY").pipe(Config.withDefault(100))
        }).pipe(Config.map(RetryBudget.successes))
      },
      { CAPACITY: "7" },
      "rule: successes(ratio: 0.1, capacity: 7)"
    ],
    refused: [
      [{ CAPACITY: "many" }, "CAPACITY"],
      [
        { RATIO: "-1" },
        'Partner.layerConfig: option "rule.ratio" must be a finite number of at least 0, got -1'
      ],
      refusedName
    ],
    uses: usesBudget,
    used: { rule: RetryBudget.successes({ capacity: 1, ratio: 1 }) },
    changing: {
      changes: Budget.changes,
      change: (round: number) =>
        round % 2 === 0
          ? Effect.replicateEffect(Budget.tryWithdraw(), 2)
          : Effect.zipRight(
              Budget.recordSuccess,
              Effect.zipRight(Budget.tryWithdraw(), Budget.recordSuccess)
            ),
      first: { _tag: "Exhausted", exhausted: true, balance: 0 },
      last: { _tag: "Recovered", exhausted: false, balance: 0 }
    },
    single: { tag: RetryBudget.RetryBudget, module: RetryBudget, uses: usesOneBudget }
  }),
  row({
    module: "Cache",
    kind: "cache",
    tag: Offers,
    other: OtherOffers,
    constructors: { "Cache.make": Cache.make },
    kinds: kindsOf<Cache.Options<string, string, never>>({ ...storeKinds, lookup: "listener" }),
    options: { lookup, timeToLive: "1 minute" },
    bad: [{ capacity: 0 }, "capacity"],
    listening: ["onMiss", { lookup, timeToLive: "1 minute" }, Offers.get("abc")],
    config: lived,
    refused: refusedLifetimes,
    uses: usesOffers,
    used: { lookup, timeToLive: "1 minute" }
  }),
  row({
    module: "CacheStore",
    kind: "cache",
    tag: Rates,
    other: OtherRates,
    constructors: { "Cache.makeStore": Cache.makeStore<string, string>() },
    kinds: storeKinds,
    options: { timeToLive: "1 minute" },
    bad: [{ capacity: 0 }, "capacity"],
    listening: ["onMiss", { timeToLive: "1 minute" }, lookup("abc").pipe(Rates.cached("abc"))],
    config: lived,
    refused: refusedLifetimes,
    uses: usesRates,
    used: { timeToLive: "1 minute" }
  })
]

// --------------------------------------------------------------------------------------------------------------- by key

export class Breakers extends CircuitBreaker.KeyedTag("Hosts")<Breakers>() {}
export class Bulkheads extends Bulkhead.KeyedTag("Tenants")<Bulkheads>() {}
export class Limiters extends RateLimiter.KeyedTag("Users")<Limiters>() {}
export class Budgets extends RetryBudget.KeyedTag("Routes")<Budgets>() {}

export const rate = RateLimiter.smooth({ limit: 1, per: "1 second" })

interface AnyOperations<Needed> {
  readonly snapshot: Effect.Effect<{ readonly name: string }, never, Needed>
}

type AnyKeyed<Needed = never> = Policy.Keyed<
  Policy.Described & AnyOperations<never>,
  { readonly name: string },
  AnyOperations<Needed>,
  Needed
>

interface Subject {
  readonly module: string
  readonly kind: string
  readonly name: string
  readonly tag: AnyKeyed<unknown> & Context.Tag<never, never>
  readonly keyed: (bounds: Policy.Bounds) => Effect.Effect<AnyKeyed>
  readonly layer: (bounds: Policy.Bounds) => Layer.Layer<never>
  readonly bad: Layer.Layer<never, unknown>
  /** What is said of a setting from the configuration that is bad. */
  readonly message: string
  /** The state of an instance that nobody has called. */
  readonly idle: string
  /** Makes the instance of the key "a" one that makes no room for another. */
  readonly hold: (instances: AnyKeyed) => Effect.Effect<unknown, unknown, Scope.Scope>
}

const subject = (of: unknown): Subject => of as Subject

/** The next policy with instances by key joins by an entry. */
export const subjects: ReadonlyArray<Subject> = [
  subject({
    module: "CircuitBreaker",
    kind: "circuit-breaker",
    name: "Hosts",
    tag: Breakers,
    keyed: (bounds: Policy.Bounds) => CircuitBreaker.keyed({ ...bounds, options: { name: "Hosts" } }),
    layer: Breakers.layer,
    bad: Breakers.layerConfig({ options: { halfOpen: { permits: Config.integer("BAD") } } }),
    message: 'Hosts.layerConfig: option "options.halfOpen.permits" must be',
    idle: "closed",
    hold: ({ at }: CircuitBreaker.KeyedCircuitBreaker) => at("a").open
  }),
  subject({
    module: "Bulkhead",
    kind: "bulkhead",
    name: "Tenants",
    tag: Bulkheads,
    keyed: (bounds: Policy.Bounds) => Bulkhead.keyed({ ...bounds, options: { name: "Tenants", permits: 1 } }),
    layer: (bounds: Policy.Bounds) => Bulkheads.layer({ ...bounds, options: { permits: 1 } }),
    bad: Bulkheads.layerConfig({ options: { permits: Config.integer("BAD") } }),
    message: 'Tenants.layerConfig: option "options.permits" must be',
    idle: "available",
    hold: ({ at }: Bulkhead.KeyedBulkhead) => at("a").acquire
  }),
  subject({
    module: "RateLimiter",
    kind: "rate-limiter",
    name: "Users",
    tag: Limiters,
    keyed: (bounds: Policy.Bounds) => RateLimiter.keyed({ ...bounds, options: { name: "Users", rate } }),
    layer: (bounds: Policy.Bounds) => Limiters.layer({ ...bounds, options: { rate } }),
    bad: Limiters.layerConfig({ options: { rate: Config.succeed(rate), cost: Config.integer("BAD") } }),
    message: 'Users.layerConfig: option "options.cost" must be',
    idle: "available",
    hold: ({ at }: RateLimiter.KeyedRateLimiter) => at("a").acquire()
  }),
  subject({
    module: "RetryBudget",
    kind: "retry-budget",
    name: "Routes",
    tag: Budgets,
    keyed: (bounds: Policy.Bounds) => RetryBudget.keyed({ ...bounds, options: { name: "Routes" } }),
    layer: Budgets.layer,
    bad: Budgets.layerConfig({ capacity: Config.integer("BAD") }),
    message: 'Routes.layerConfig: option "capacity" must be',
    idle: "available",
    hold: ({ at }: RetryBudget.KeyedRetryBudget) => at("a").tryWithdraw()
  })
]
