/** What a user pipes today, with nothing but Effect: the usual short answers, each with what it lacks. */
import { Cache, Data, Effect, Exit, RateLimiter, Ref, type Scope } from "effect"
import type { Bodies, Call } from "./paths.js"

type Prepare = (bodies: Bodies) => Effect.Effect<Call, never, Scope.Scope>

class Open extends Data.TaggedError("Open") {}

interface State {
  readonly failures: number
  readonly openUntil: number
}

/** A breaker as it is written in an afternoon: no half-open state, no generations. */
const breaker = (maxFailures: number, openUntil = 0) =>
  Effect.map(Ref.make<State>({ failures: 0, openUntil }), (ref) => (self: Call): Call => {
    const guarded = Effect.onExit(self, (exit) =>
      Ref.update(ref, (state) =>
        Exit.isSuccess(exit)
          ? { ...state, failures: 0 }
          : {
              failures: state.failures + 1,
              openUntil: state.failures + 1 >= maxFailures ? Date.now() + 10_000 : state.openUntil
            }
      )
    )
    return Effect.flatMap(Ref.get(ref), (state) =>
      Date.now() < state.openUntil ? Effect.fail(new Open()) : guarded
    )
  })

interface Rate {
  readonly since: number
  readonly calls: number
  readonly failures: number
  readonly slow: number
}

/** One that opens by the share of failed or slow calls, in a window that starts over when it is full. */
const rateBreaker = Effect.map(
  Ref.make<Rate>({ since: 0, calls: 0, failures: 0, slow: 0 }),
  (ref) =>
    (self: Call): Call =>
      Effect.flatMap(Ref.get(ref), (state) => {
        if (state.calls >= 20 && Math.max(state.failures, state.slow) / state.calls >= 0.5) {
          return Effect.fail(new Open())
        }
        const startedAt = Date.now()
        return Effect.onExit(self, (exit) =>
          Ref.update(ref, (rate) => {
            const now = Date.now()
            const over = now - rate.since > 30_000
            return {
              since: over ? now : rate.since,
              calls: over ? 1 : rate.calls + 1,
              failures: (over ? 0 : rate.failures) + (Exit.isSuccess(exit) ? 0 : 1),
              slow: (over ? 0 : rate.slow) + (now - startedAt > 1000 ? 1 : 0)
            }
          })
        )
      })
)

/** The four policies of the first example, made once or for each call. */
const four = (self: Call, protect: (self: Call) => Call): Call =>
  self.pipe(
    Effect.timeout("1 minute"),
    protect,
    Effect.retry({ times: 2 }),
    Effect.catchAll(() => Effect.succeed(2))
  )

const forEachCall = (build: () => Call): Effect.Effect<Call> => Effect.succeed(Effect.suspend(build))

/** What a program would write by hand if it needed only this one path. */
export const byHand: { readonly [path: string]: Prepare } = {
  "retry, one failure, no delay": ({ failsOnce }) =>
    Effect.succeed(Effect.catchAll(failsOnce, () => failsOnce)),
  "circuit breaker, closed, consecutive": ({ succeeds }) =>
    Effect.sync(() => {
      let failures = 0
      const recorded = Effect.matchCauseEffect(succeeds, {
        onFailure: (cause) => {
          failures += 1
          return Effect.failCause(cause)
        },
        onSuccess: (value) => {
          failures = 0
          return Effect.succeed(value)
        }
      })
      return Effect.suspend(() => (failures < 5 ? recorded : Effect.fail(new Open())))
    })
}

/** By policy and path. */
export const plain: { readonly [path: string]: Prepare } = {
  "circuit breaker, closed, consecutive": ({ succeeds }) =>
    Effect.map(breaker(5), (protect) => protect(succeeds)),
  "circuit breaker, closed, default options": ({ succeeds }) =>
    Effect.map(rateBreaker, (protect) => protect(succeeds)),
  "circuit breaker, closed, rate and slow calls": ({ succeeds }) =>
    Effect.map(rateBreaker, (protect) => protect(succeeds)),
  "circuit breaker, open, rejected": ({ succeeds }) =>
    Effect.map(breaker(5, Infinity), (protect) => protect(succeeds)),
  "circuit breaker, failure recorded": ({ fails }) =>
    Effect.map(breaker(Infinity), (protect) => protect(fails)),
  "retry, success": ({ succeeds }) => Effect.succeed(Effect.retry(succeeds, { times: 2 })),
  "retry, one failure, no delay": ({ failsOnce }) => Effect.succeed(Effect.retry(failsOnce, { times: 2 })),
  "timeout, in time": ({ succeeds }) => Effect.succeed(Effect.timeout(succeeds, "1 minute")),
  "timeout, in time, in a fiber of its own": ({ succeeds }) =>
    Effect.succeed(Effect.timeout(Effect.disconnect(succeeds), "1 minute")),
  "bulkhead, free": ({ succeeds }) =>
    Effect.map(Effect.makeSemaphore(10), (semaphore) => semaphore.withPermits(1)(succeeds)),
  "rate limiter, admitted": ({ succeeds }) =>
    Effect.map(
      RateLimiter.make({ limit: 1_000_000_000, interval: "1 second", algorithm: "fixed-window" }),
      (limit) => limit(succeeds)
    ),
  "fallback, not used": ({ succeeds }) => Effect.succeed(Effect.catchAll(succeeds, () => Effect.succeed(2))),
  "fallback, used": ({ fails }) => Effect.succeed(Effect.catchAll(fails, () => Effect.succeed(2))),
  "cache, hit": ({ succeeds }) =>
    Effect.map(
      Cache.make({ capacity: 1000, timeToLive: "1 hour", lookup: (_: string) => succeeds }),
      (cache) => cache.get("key")
    ),
  "hedge, not fired": ({ succeeds }) =>
    Effect.succeed(Effect.race(succeeds, Effect.delay(succeeds, "1 minute"))),
  "pipeline, timeout, breaker, retry, fallback": ({ succeeds }) =>
    Effect.map(breaker(5), (protect) => four(succeeds, protect)),
  "pipeline, composed ahead of time": ({ succeeds }) =>
    Effect.map(breaker(5), (protect) => four(succeeds, protect)),
  "timeout, built for each call": ({ succeeds }) => forEachCall(() => Effect.timeout(succeeds, "1 minute")),
  "retry, built for each call": ({ succeeds }) => forEachCall(() => Effect.retry(succeeds, { times: 2 })),
  "fallback, built for each call": ({ succeeds }) =>
    forEachCall(() => Effect.catchAll(succeeds, () => Effect.succeed(2))),
  "hedge, built for each call": ({ succeeds }) =>
    forEachCall(() => Effect.race(succeeds, Effect.delay(succeeds, "1 minute"))),
  "pipeline, four policies, built for each call": ({ succeeds }) =>
    Effect.flatMap(breaker(5), (protect) => forEachCall(() => four(succeeds, protect)))
}
