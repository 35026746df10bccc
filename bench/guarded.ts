/** Functions to promises that are guarded by policies, for programs that are not in Effect. */
import { Effect, type Runtime } from "effect"
import {
  Bulkhead,
  CircuitBreaker,
  Fallback,
  Policy,
  RateLimiter,
  Retry,
  Timeout,
  Trip
} from "effect-resilience"
import { four, type Target } from "./paths.js"
import type { PromiseCall } from "./peers.js"

export interface Guarded {
  /** The path in a fiber that does the same. */
  readonly path: string
  readonly target: Target
  readonly prepare: Effect.Effect<(runtime: Runtime.Runtime<never>) => PromiseCall>
}

export const guardedName = ({ path }: Guarded): string => `promise, ${path}`

const work = (): Promise<number> => Promise.resolve(1)

const breaking = (made: Effect.Effect<CircuitBreaker.CircuitBreaker>) =>
  Effect.map(
    made,
    ({ protect }) =>
      (runtime: Runtime.Runtime<never>) =>
        Policy.promise(protect).provide(runtime)(work)
  )

export const fourGuarding = Effect.map(CircuitBreaker.make({ trip: Trip.consecutive(5) }), (breaker) =>
  Policy.promise(...four(breaker))
)

export const guarded: ReadonlyArray<Guarded> = [
  {
    path: "circuit breaker, closed, consecutive",
    target: { ops: 0, fibers: 0, timers: 0, bytes: 1600, cockatiel: 1.2 },
    prepare: breaking(CircuitBreaker.make({ trip: Trip.consecutive(5) }))
  },
  {
    path: "circuit breaker, closed, default options",
    target: { ops: 0, fibers: 0, timers: 0, cockatiel: 1.2 },
    prepare: breaking(CircuitBreaker.make())
  },
  {
    path: "retry, success",
    target: { ops: 0, fibers: 0, timers: 0 },
    prepare: Effect.succeed((runtime) => Policy.promise(Retry.retry({ times: 2 })).provide(runtime)(work))
  },
  {
    path: "timeout, in time",
    target: { ops: 0, fibers: 0 },
    prepare: Effect.succeed((runtime) => Policy.promise(Timeout.timeout("1 minute")).provide(runtime)(work))
  },
  {
    path: "bulkhead, free",
    target: { ops: 0, fibers: 0, timers: 0 },
    prepare: Effect.map(
      Bulkhead.make({ permits: 10 }),
      ({ protect }) =>
        (runtime) =>
          Policy.promise(protect).provide(runtime)(work)
    )
  },
  {
    path: "rate limiter, admitted",
    target: { ops: 0, fibers: 0, timers: 0 },
    prepare: Effect.map(
      RateLimiter.make({
        rate: RateLimiter.tokenBucket({ limit: 1_000_000, per: "1 millis", burst: 1_000_000 })
      }),
      ({ protect }) =>
        (runtime) =>
          Policy.promise(protect).provide(runtime)(work)
    )
  },
  {
    path: "fallback, not used",
    target: { ops: 0, fibers: 0, timers: 0 },
    prepare: Effect.succeed((runtime) => Policy.promise(Fallback.succeed(2)).provide(runtime)(work))
  },
  {
    path: "pipeline, timeout, breaker, retry, fallback",
    target: { ops: 0, fibers: 0, cockatiel: 0.1 },
    prepare: Effect.map(fourGuarding, (guard) => (runtime) => guard.provide(runtime)(work))
  }
]
