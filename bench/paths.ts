/**
 * The paths that are counted and measured: what a call of each policy does in the common cases, and what it may cost. The
 * gates and the benchmark share this table, so that what is gated is what is shown.
 */
import { Clock, Data, Effect, Exit, Layer, Scope } from "effect"
import {
  Backoff,
  Bulkhead,
  Cache,
  CircuitBreaker,
  Fallback,
  Hedge,
  Observer,
  Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { Observability } from "effect-resilience/observability"

/** What the protected effect is: a plain function call, or a promise that is already settled. */
export type Body = "sync" | "promise"

/** The upper bounds of one path. Ratios are of CPU time. */
export interface Target {
  /** Operations of the run loop, those of the body included. */
  readonly ops?: number
  readonly fibers?: number
  readonly timers?: number
  /** Bytes allocated. */
  readonly bytes?: number
  /** How many times the cost of a bare `Effect.sync`. */
  readonly bare?: number
  /** How many times the cost of what a user would pipe without this library. */
  readonly plain?: number
  /** How many times the cost of the same written by hand with Effect, as short as it gets. */
  readonly hand?: number
  readonly cockatiel?: number
  readonly opossum?: number
}

export type Call = Effect.Effect<unknown, unknown>

/** Effects to protect. */
export interface Bodies {
  readonly succeeds: Call
  readonly fails: Call
  /** Fails and succeeds in turn. */
  readonly failsOnce: Call
}

/** A path that is ready to be called any number of times. */
export interface Prepared {
  readonly call: Call
  /** For calls that wait: what keeps them waiting, from `begin` to `end`. */
  readonly block?: { readonly begin: Effect.Effect<void>; readonly end: Effect.Effect<void> }
}

export interface Path {
  readonly policy: string
  readonly path: string
  /** The bodies for which it is looked at, with the target where there is one. */
  readonly targets: { readonly [body in Body]?: Target }
  /** Whether its calls wait, so that they cannot be made one after the other. */
  readonly waits?: true
  /** The clock of its calls. Default: the live one. */
  readonly clock?: Clock.Clock
  readonly prepare: (bodies: Bodies) => Effect.Effect<Prepared, never, Scope.Scope>
}

export const nameOf = ({ path, policy }: Path, body: Body): string => `${policy}, ${path}, ${body}`

/** The error of a call that fails. Made once: what an error costs is not what is measured. */
export class Down extends Data.TaggedError("Down") {}
export const down = new Down()

const alternating = (first: Call, second: Call): Call => {
  let calls = 0
  return Effect.suspend(() => (calls++ % 2 === 0 ? first : second))
}

const syncBodies: Bodies = {
  succeeds: Effect.sync(() => 1),
  fails: Exit.fail(down),
  failsOnce: alternating(Exit.fail(down), Exit.succeed(1))
}

const resolved = Effect.promise(() => Promise.resolve(1))
const rejected = Effect.tryPromise({ try: () => Promise.reject(down), catch: () => down })

const promiseBodies: Bodies = {
  succeeds: resolved,
  fails: rejected,
  failsOnce: alternating(rejected, resolved)
}

export const bodies: { readonly [body in Body]: Bodies } = { sync: syncBodies, promise: promiseBodies }

/** A clock that goes on by so much whenever it is asked. */
export const striding = (millis: number): Clock.Clock => {
  let now = 0n
  const stride = BigInt(Math.round(millis * 1_000_000))
  const live = Clock.make()
  return {
    ...live,
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => Number((now += stride)) / 1_000_000,
    unsafeCurrentTimeNanos: () => (now += stride),
    sleep: (duration) => live.sleep(duration)
  }
}

const eachMillisecond = striding(1)

const noDelay = Backoff.constant({ delay: 0 })
const rateAndSlowness = Trip.any(
  Trip.failureRate({ threshold: 0.5, within: "30 seconds", minimumCalls: 20 }),
  Trip.slowRate({ slowerThan: "1 second", threshold: 0.8, within: "30 seconds", minimumCalls: 20 })
)

/** A bare effect: what everything else is measured against. */
export const bare: Path = {
  policy: "none",
  path: "the body alone",
  targets: { sync: { ops: 1, fibers: 0, timers: 0 }, promise: {} },
  prepare: ({ succeeds }) => Effect.succeed({ call: succeeds })
}

/** A bulkhead whose permit can be taken away, so that calls wait for it. */
const waiting = (bulkhead: Bulkhead.Bulkhead, body: Call): Effect.Effect<Prepared> =>
  Effect.map(Scope.make(), (unused) => {
    let scope = unused
    const begin = Effect.flatMap(Scope.make(), (made) => {
      scope = made
      return Effect.orDie(Scope.extend(bulkhead.acquire, made))
    })
    const end = Effect.suspend(() => Scope.close(scope, Exit.void))
    return { call: bulkhead.protect(body), block: { begin, end } }
  })

/** The four policies of the first example, in pipe order. */
export const four = ({ protect }: CircuitBreaker.CircuitBreaker) =>
  [Timeout.timeout("1 minute"), protect, Retry.retry({ times: 2 }), Fallback.succeed("fallback")] as const

/** As they are written, because what builds them within a call pays for this too. */
const piped = (breaker: CircuitBreaker.CircuitBreaker, body: Call): Call =>
  body.pipe(
    Timeout.timeout("1 minute"),
    breaker.protect,
    Retry.retry({ times: 2 }),
    Fallback.succeed("fallback")
  )

/** One key that is called again and again, among so many that were called once. */
const hotKey = (keys: number): Path => ({
  policy: "circuit breaker",
  path: keys === 1 ? "keyed, closed" : `keyed, closed, a key among ${keys}`,
  targets: { sync: { ops: 11, fibers: 0, timers: 0, bytes: 3000 } },
  prepare: ({ succeeds }) =>
    Effect.map(
      CircuitBreaker.keyed({ options: { trip: Trip.consecutive(5) }, capacity: keys }),
      ({ protect }) => {
        // Not in a loop of Effect's, which the engine would compile for these calls and no longer for those that are weighed.
        for (let key = 0; key < keys; key++) Effect.runSync(protect(`key ${key}`)(Effect.void))
        return { call: protect("key 0")(succeeds) }
      }
    )
})

/** What is built within the call: by those who write `(id) => get(id).pipe(Timeout.timeout("2 seconds"))`. */
const builtPerCall = (
  policy: string,
  build: (body: Call, breaker: CircuitBreaker.CircuitBreaker) => Call,
  target: Target = {}
): Path => ({
  policy,
  path: policy === "pipeline" ? "four policies, built for each call" : "built for each call",
  targets: { sync: { fibers: 0, timers: 0, ...target } },
  prepare: ({ succeeds }) =>
    Effect.map(CircuitBreaker.make({ trip: Trip.consecutive(5) }), (breaker) => ({
      call: Effect.suspend(() => build(succeeds, breaker))
    }))
})

/** What is built and does not run, in the place of the body. */
const built = (path: string, bytes: number, build: () => unknown): Path => ({
  policy: "building",
  path,
  targets: { sync: { ops: 1, fibers: 0, timers: 0, bytes: bareBytes + bytes } },
  prepare: () => Effect.succeed({ call: Effect.sync(build) })
})
const bareBytes = 320

/** A clock without timers, for what goes on besides calls. */
const withoutTimers: Clock.Clock = { ...striding(1), sleep: () => Effect.never }

/** A breaker in a fleet. Its exchange with the store is no part of a call. */
const shared = (options: CircuitBreaker.Settings) =>
  Effect.flatMap(
    Effect.withClock(SharedStore.make(new SharedStore.Memory().adapter), withoutTimers),
    (store) =>
      CircuitBreaker.make({ name: "partner", ...options, share: Share.local() }).pipe(
        Effect.provideService(SharedStore.SharedStore, store)
      )
  )

export const paths: ReadonlyArray<Path> = [
  {
    policy: "circuit breaker",
    path: "closed, consecutive",
    targets: {
      sync: { ops: 4, fibers: 0, timers: 0, bytes: 850, bare: 4, plain: 0.25, cockatiel: 1.7, opossum: 0.65 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ succeeds }) =>
      Effect.map(CircuitBreaker.make({ trip: Trip.consecutive(5) }), ({ protect }) => ({
        call: protect(succeeds)
      }))
  },
  {
    // An observer that does nothing: what it costs to show it two events of a call.
    policy: "circuit breaker",
    path: "closed, consecutive, observed",
    targets: { sync: { ops: 5, fibers: 0, timers: 0, bytes: 1400 }, promise: { fibers: 0, timers: 0 } },
    prepare: ({ succeeds }) =>
      CircuitBreaker.make({ trip: Trip.consecutive(5) }).pipe(
        Effect.provideService(
          Observer.Observer,
          Observer.make(() => {})
        ),
        Effect.map(({ protect }) => ({ call: protect(succeeds) }))
      )
  },
  {
    // With all that is counted: at most half a microsecond more than the same call without it.
    policy: "circuit breaker",
    path: "closed, consecutive, with metrics",
    targets: { sync: { ops: 5, fibers: 0, timers: 0, bytes: 1400 }, promise: { fibers: 0, timers: 0 } },
    prepare: ({ succeeds }) =>
      Layer.build(Observability.layer({ spans: false, logs: false })).pipe(
        Effect.flatMap((observed) =>
          Effect.provide(CircuitBreaker.make({ trip: Trip.consecutive(5) }), observed)
        ),
        Effect.map(({ protect }) => ({ call: protect(succeeds) }))
      )
  },
  {
    policy: "circuit breaker",
    path: "closed, default options",
    targets: {
      sync: { ops: 4, fibers: 0, timers: 0, bytes: 1000 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ succeeds }) =>
      Effect.map(CircuitBreaker.make(), ({ protect }) => ({ call: protect(succeeds) }))
  },
  {
    policy: "circuit breaker",
    path: "closed, rate and slow calls",
    targets: {
      sync: { ops: 4, fibers: 0, timers: 0, bytes: 1250, bare: 6.5, plain: 0.4, cockatiel: 2.2, opossum: 1 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ succeeds }) =>
      Effect.map(CircuitBreaker.make({ trip: rateAndSlowness }), ({ protect }) => ({
        call: protect(succeeds)
      }))
  },
  {
    policy: "circuit breaker",
    path: "open, rejected",
    targets: {
      sync: {
        ops: 4,
        fibers: 0,
        timers: 0,
        bytes: 1000,
        bare: 4,
        plain: 0.035,
        cockatiel: 0.06,
        opossum: 0.06
      }
    },
    prepare: ({ succeeds }) =>
      Effect.flatMap(CircuitBreaker.make({ openFor: "1 hour" }), ({ open, protect }) =>
        Effect.as(open, { call: protect(succeeds) })
      )
  },
  {
    // Rejections of one millisecond are one object.
    policy: "circuit breaker",
    path: "open, rejected in another millisecond",
    clock: eachMillisecond,
    targets: { sync: { fibers: 0, timers: 0, cockatiel: 0.25, opossum: 0.25 } },
    prepare: ({ succeeds }) =>
      Effect.flatMap(CircuitBreaker.make({ openFor: "365 days" }), ({ open, protect }) =>
        Effect.as(open, { call: protect(succeeds) })
      ).pipe(Effect.withClock(eachMillisecond))
  },
  {
    policy: "circuit breaker",
    path: "failure recorded",
    targets: {
      sync: { ops: 6, fibers: 0, timers: 0, bytes: 950, bare: 10.5, cockatiel: 0.5, opossum: 0.1 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ fails }) =>
      Effect.map(CircuitBreaker.make({ trip: Trip.consecutive(Number.MAX_SAFE_INTEGER) }), ({ protect }) => ({
        call: protect(fails)
      }))
  },
  {
    policy: "circuit breaker",
    path: "shared, closed, consecutive",
    targets: { sync: { ops: 4, fibers: 0, timers: 0, bytes: 850 }, promise: { fibers: 0, timers: 0 } },
    prepare: ({ succeeds }) =>
      Effect.map(shared({ trip: Trip.consecutive(5) }), ({ protect }) => ({ call: protect(succeeds) }))
  },
  {
    policy: "circuit breaker",
    path: "shared, closed, rate and slow calls",
    targets: { sync: { ops: 4, fibers: 0, timers: 0, bytes: 1250 } },
    prepare: ({ succeeds }) =>
      Effect.map(shared({ trip: rateAndSlowness }), ({ protect }) => ({ call: protect(succeeds) }))
  },
  {
    policy: "circuit breaker",
    path: "shared, open, rejected",
    targets: { sync: { ops: 4, fibers: 0, timers: 0, bytes: 1000 } },
    prepare: ({ succeeds }) =>
      Effect.flatMap(shared({ openFor: "1 hour" }), ({ open, protect }) =>
        Effect.as(open, { call: protect(succeeds) })
      )
  },
  {
    policy: "circuit breaker",
    path: "shared, failure recorded",
    targets: { sync: { ops: 6, fibers: 0, timers: 0, bytes: 950 } },
    prepare: ({ fails }) =>
      Effect.map(shared({ trip: Trip.consecutive(Number.MAX_SAFE_INTEGER) }), ({ protect }) => ({
        call: protect(fails)
      }))
  },
  hotKey(1),
  hotKey(100_000),
  {
    policy: "retry",
    path: "success",
    targets: {
      sync: { ops: 2, fibers: 0, timers: 0, bytes: 450, bare: 2, plain: 0.03, cockatiel: 0.85 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ succeeds }) => Effect.succeed({ call: Retry.retry(succeeds, { times: 2 }) })
  },
  {
    // The observer is provided to each call, which takes 25 operations and 9400 bytes of it.
    policy: "retry",
    path: "success, with metrics",
    targets: { sync: { fibers: 0, timers: 0 }, promise: { fibers: 0, timers: 0 } },
    prepare: ({ succeeds }) =>
      Effect.map(Layer.build(Observability.layer({ spans: false, logs: false })), (observed) => ({
        call: Effect.provide(Retry.retry(succeeds, { times: 2 }), observed)
      }))
  },
  {
    policy: "retry",
    path: "one failure, no delay",
    targets: {
      sync: { ops: 10, fibers: 0, timers: 0, bytes: 5000, plain: 0.15, hand: 6 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ failsOnce }) =>
      Effect.succeed({ call: Retry.retry(failsOnce, { times: 2, schedule: noDelay }) })
  },
  {
    policy: "retry",
    path: "success, with a budget",
    targets: { sync: { fibers: 0, timers: 0 } },
    prepare: ({ succeeds }) =>
      Effect.map(RetryBudget.make(), (budget) => ({ call: Retry.retry(succeeds, { times: 2, budget }) }))
  },
  {
    policy: "timeout",
    path: "in time",
    targets: {
      sync: { ops: 9, fibers: 0, timers: 0, bytes: 3000, bare: 13, plain: 0.05, cockatiel: 0.09, opossum: 1 },
      promise: { ops: 11, fibers: 0, timers: 0, bytes: 5200, bare: 25, plain: 0.1, cockatiel: 0.18 }
    },
    prepare: ({ succeeds }) => Effect.succeed({ call: Timeout.timeout(succeeds, "1 minute") })
  },
  {
    policy: "timeout",
    path: "in time, in a fiber of its own",
    targets: {
      sync: { ops: 5, fibers: 1, timers: 0, bytes: 6000, bare: 62, plain: 0.25, cockatiel: 0.45 },
      promise: { ops: 13, fibers: 1, timers: 0, bytes: 11_000, bare: 120, plain: 0.45, cockatiel: 0.85 }
    },
    prepare: ({ succeeds }) =>
      Effect.succeed({ call: Timeout.timeout(succeeds, { limit: "1 minute", disconnect: true }) })
  },
  {
    policy: "bulkhead",
    path: "free",
    targets: {
      sync: { ops: 8, fibers: 0, timers: 0, bytes: 2300, bare: 10.5, plain: 0.24, cockatiel: 7 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ succeeds }) =>
      Effect.map(Bulkhead.make({ permits: 10 }), ({ protect }) => ({ call: protect(succeeds) }))
  },
  {
    policy: "bulkhead",
    path: "full, rejected",
    targets: { sync: { ops: 6, fibers: 0, timers: 0, bytes: 1600, bare: 7, cockatiel: 0.1 } },
    prepare: ({ succeeds }) =>
      Effect.flatMap(Bulkhead.make({ permits: 1 }), ({ acquire, protect }) =>
        Effect.as(Effect.orDie(acquire), { call: protect(succeeds) })
      )
  },
  {
    policy: "bulkhead",
    path: "waiting",
    waits: true,
    targets: { sync: { ops: 15, fibers: 0, timers: 0 } },
    prepare: ({ succeeds }) =>
      Effect.flatMap(Bulkhead.make({ permits: 1, maxQueued: 10_000 }), (bulkhead) =>
        waiting(bulkhead, succeeds)
      )
  },
  {
    policy: "rate limiter",
    path: "admitted",
    targets: {
      sync: { ops: 2, fibers: 0, timers: 0, bytes: 700, bare: 3, plain: 0.085 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ succeeds }) =>
      Effect.map(
        RateLimiter.make({
          rate: RateLimiter.tokenBucket({ limit: 1_000_000, per: "1 millis", burst: 1_000_000 })
        }),
        ({ protect }) => ({ call: protect(succeeds) })
      )
  },
  {
    policy: "rate limiter",
    path: "rejected",
    targets: { sync: { fibers: 0, timers: 0 } },
    prepare: ({ succeeds }) =>
      Effect.flatMap(
        RateLimiter.make({ rate: RateLimiter.bursty({ limit: 1, per: "1 hour" }) }),
        ({ acquire, protect }) => Effect.as(Effect.orDie(acquire()), { call: protect(succeeds) })
      )
  },
  {
    policy: "fallback",
    path: "not used",
    targets: {
      sync: { ops: 2, fibers: 0, timers: 0, bytes: 450, bare: 2, plain: 0.75, cockatiel: 0.9 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ succeeds }) => Effect.succeed({ call: Fallback.succeed(succeeds, 2) })
  },
  {
    policy: "fallback",
    path: "used",
    targets: {
      sync: { ops: 3, fibers: 0, timers: 0, bytes: 1200, bare: 4, plain: 1, cockatiel: 0.22 },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ fails }) => Effect.succeed({ call: Fallback.succeed(fails, 2) })
  },
  {
    policy: "cache",
    path: "hit",
    targets: { sync: { ops: 2, fibers: 0, timers: 0, bytes: 600, bare: 3, plain: 0.02 } },
    prepare: ({ succeeds }) =>
      Effect.flatMap(Cache.make({ lookup: () => succeeds, timeToLive: "1 hour" }), ({ get }) => {
        const call = get("key")
        return Effect.as(Effect.orDie(call), { call })
      })
  },
  {
    policy: "hedge",
    path: "not fired",
    targets: {
      sync: { ops: 6, fibers: 1, timers: 0, bytes: 7500, bare: 42, plain: 0.2 },
      promise: { ops: 20, fibers: 1, timers: 1, bytes: 15_000, plain: 0.6 }
    },
    prepare: ({ succeeds }) => Effect.succeed({ call: Hedge.hedge(succeeds, { delay: "1 minute" }) })
  },
  {
    policy: "pipeline",
    path: "timeout, breaker, retry, fallback",
    targets: {
      sync: {
        ops: 15,
        fibers: 0,
        timers: 0,
        bytes: 4200,
        bare: 23,
        plain: 0.06,
        cockatiel: 0.14,
        opossum: 1.7
      },
      promise: { fibers: 0, timers: 0 }
    },
    prepare: ({ succeeds }) =>
      Effect.map(CircuitBreaker.make({ trip: Trip.consecutive(5) }), (breaker) => ({
        call: piped(breaker, succeeds)
      }))
  },
  {
    policy: "pipeline",
    path: "composed ahead of time",
    targets: {
      sync: {
        ops: 9,
        fibers: 0,
        timers: 0,
        bytes: 2900,
        bare: 16,
        plain: 0.045,
        cockatiel: 0.1,
        opossum: 1.2
      },
      promise: { ops: 11, fibers: 0, timers: 0, bytes: 4800 }
    },
    prepare: ({ succeeds }) =>
      Effect.map(CircuitBreaker.make({ trip: Trip.consecutive(5) }), (breaker) => ({
        call: succeeds.pipe(Policy.pipeline(...four(breaker)))
      }))
  },
  builtPerCall("timeout", (body) => Timeout.timeout(body, "1 minute")),
  builtPerCall("retry", (body) => Retry.retry(body, { times: 2 })),
  builtPerCall("fallback", (body) => Fallback.succeed(body, 2)),
  builtPerCall("hedge", (body) => Hedge.hedge(body, { delay: "1 minute" }), { fibers: 1 }),
  builtPerCall("circuit breaker", (body, { protectWhen }) => body.pipe(protectWhen({ error: () => true }))),
  builtPerCall("pipeline", (body, breaker) => piped(breaker, body)),
  built("a policy", 490, () =>
    Policy.make<never, never>({ kind: "built", name: "built", settings: {} }, (self) => self)
  ),
  built("a timeout around an effect", 600, () => Timeout.timeout(syncBodies.succeeds, 60_000)),
  built("a timeout with options", 1500, () => Timeout.timeout({ limit: "1 minute", disconnect: true }))
]
