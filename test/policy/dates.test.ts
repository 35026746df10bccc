// Bounds in whole milliseconds are exact at any date: nothing is due a millisecond before, and everything at the instant itself.
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, FastCheck, Fiber, Option, Schedule, type Scope, TestClock } from "effect"
import { Bulkhead, Cache, CircuitBreaker, RateLimiter, Retry, Timeout, Trip } from "effect-resilience"
import { down } from "../support/calls.js"
import { monotonicMillis } from "../../src/internal/time.js"

/** Begins something at the current instant, and says of each later one whether the bound of `millis` has been reached. */
type Bound = (millis: number) => Effect.Effect<Effect.Effect<boolean, unknown>, unknown, Scope.Scope>

const isRejected = <E>(call: Effect.Effect<unknown, E>) => Effect.map(Effect.exit(call), Exit.isFailure)
const isOver = <A, E>(call: Effect.Effect<A, E>): Effect.Effect<Effect.Effect<boolean>> =>
  Effect.map(Effect.fork(Effect.exit(call)), (fiber) => Effect.map(Fiber.poll(fiber), Option.isSome))

const bounds: Record<string, Bound> = {
  "openFor of a circuit breaker": (millis) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1), openFor: millis })
      yield* Effect.exit(breaker.protect(down))
      return Effect.map(isRejected(breaker.protect(Effect.void)), (rejected) => !rejected)
    }),
  "maxWait of a probe": (millis) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ halfOpen: { maxWait: millis } })
      yield* breaker.halfOpen
      yield* Effect.fork(breaker.protect(Effect.never))
      yield* Effect.yieldNow()
      return Effect.map(breaker.state, (state) => state === "open")
    }),
  "a sliding window of a rate limiter": (millis) =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: RateLimiter.slidingWindow({ limit: 1, per: millis }) })
      yield* limiter.protect(Effect.void)
      return Effect.map(limiter.available, (available) => available === 1)
    }),
  "the line of a rate limiter": (millis) =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({
        rate: RateLimiter.smooth({ limit: 1, per: millis }),
        maxQueued: 1,
        maxWait: Infinity
      })
      yield* limiter.protect(Effect.void)
      return yield* isOver(limiter.protect(Effect.void))
    }),
  "timeToLive of a cache": (millis) =>
    Effect.gen(function* () {
      let lookups = 0
      const store = yield* Cache.makeStore<string, number>()({ timeToLive: millis })
      const call = store.cached("key")(Effect.sync(() => ++lookups))
      yield* call
      return Effect.map(call, (lookup) => lookup === 2)
    }),
  "the delay of a retry": (millis) =>
    Effect.gen(function* () {
      let attempts = 0
      const call = Effect.suspend(() => (++attempts === 1 ? down : Effect.void)).pipe(
        Retry.retry({ times: 1, schedule: Schedule.spaced(millis), maxDuration: millis })
      )
      return yield* isOver(call)
    }),
  "the limit of a timeout": (millis) => isOver(Timeout.timeout(millis)(Effect.never)),
  "the limit of a timeout that disconnects": (millis) =>
    isOver(Timeout.timeout({ limit: millis, disconnect: true })(Effect.never)),
  "maxWait of a bulkhead": (millis) =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 1, maxWait: millis })
      yield* Effect.fork(bulkhead.protect(Effect.never))
      yield* Effect.yieldNow()
      return yield* isOver(bulkhead.protect(Effect.void))
    }),
  "idleTimeToLive of a key": (millis) =>
    Effect.gen(function* () {
      const keyed = yield* CircuitBreaker.keyed({ idleTimeToLive: millis })
      yield* keyed.protect("idle")(Effect.void)
      const other = keyed.protect("other")(Effect.void)
      return Effect.map(Effect.zipRight(other, keyed.find("idle")), Option.isNone)
    })
}

const dates = [
  0,
  Date.UTC(1999, 11, 31),
  Date.UTC(2026, 0, 1),
  Date.UTC(2038, 0, 19),
  Date.UTC(2100, 1, 28),
  Date.UTC(2250, 0, 1)
]

describe("a bound in whole milliseconds is reached at its instant and not before", () => {
  for (const [name, bound] of Object.entries(bounds)) {
    it.scoped.prop(
      name,
      [
        FastCheck.constantFrom(...dates),
        FastCheck.nat(40_000_000),
        FastCheck.integer({ min: 2, max: 3_600_000 })
      ],
      ([date, later, millis]) =>
        Effect.gen(function* () {
          yield* TestClock.setTime(date + later)
          const isReached = yield* bound(millis)
          yield* TestClock.adjust(Duration.millis(millis - 1))
          const before = yield* isReached
          yield* TestClock.adjust(Duration.millis(1))
          assert.deepStrictEqual([before, yield* isReached], [false, true])
        }),
      { fastCheck: { numRuns: 8 } }
    )
  }
})

describe("the monotonic clock", () => {
  it.effect("reads whole milliseconds as such at any date, and never goes back", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      for (const date of dates) {
        for (let i = 0; i < 500; i++) {
          const millis = date + i * 61_003
          // As a clock makes nanoseconds of milliseconds, which rounds them once more.
          const rounded = BigInt(Math.floor(millis * 1_000_000))
          assert.strictEqual(monotonicMillis({ ...clock, unsafeCurrentTimeNanos: () => rounded }), millis)
        }
      }
      let nanos = 1_767_225_600_000_000_000n
      const strides = { ...clock, unsafeCurrentTimeNanos: () => (nanos += 97n) }
      for (let i = 0, last = 0; i < 50_000; i++) {
        const now = monotonicMillis(strides)
        if (now < last) assert.fail(`${now} after ${last}`)
        last = now
      }
    })
  )
})
