/** What bulkhead, breaker and rate limiter have in common as middleware: they let a request in, or answer it themselves. */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Bulkhead from "../../bulkhead/Bulkhead.js"
import type * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import type * as FailureCondition from "../../policy/FailureCondition.js"
import * as Condition from "../../policy/condition.js"
import { perInstance } from "../../policy/stateful.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type * as HttpProblem from "../problem/HttpProblem.js"
import { type Answer, isTurnedAway } from "./answer.js"
import { type Answered, byOutcome, observed, outcomeOf } from "./observe.js"
import * as Quota from "./quota.js"
import { endWithConnection } from "./sending.js"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest

/** A request that is let in, or not: around an app, or before a handler. */
export interface Gate<Needed> {
  readonly around: <E, R>(
    app: Effect.Effect<Response, E, R>
  ) => Effect.Effect<Response, E, R | Needed | Request>
  readonly enter: Effect.Effect<void, never, Needed | Request | Scope.Scope>
}

/** Ends a request before its handler, with a response: the platform sends what a fiber died with if it is one. */
const instead = <R>(response: Effect.Effect<Response, never, R>): Effect.Effect<never, never, R> =>
  Effect.flatMap(response, (response) => Effect.die(response))

// ----------------------------------------------------------------------------------------- bulkhead and circuit breaker

/** What is asked of a bulkhead or of a breaker. */
interface Guard<Needed> {
  readonly protect: <R>(
    self: Effect.Effect<Answered<unknown>, never, R>
  ) => Effect.Effect<Answered<unknown>, HttpProblem.PolicyError, R | Needed>
  readonly enter: Effect.Effect<void, HttpProblem.PolicyError, Needed | Request | Scope.Scope>
}

export const ofBulkhead = <Needed>(bulkhead: Bulkhead.Operations<Needed>): Guard<Needed> => ({
  protect: bulkhead.protectWhen(byOutcome),
  enter: bulkhead.acquire
})

export const ofBreaker = <Needed>(breaker: CircuitBreaker.Operations<Needed>): Guard<Needed> => ({
  protect: breaker.protectWhen(byOutcome),
  enter: Effect.flatMap(breaker.acquire, (permit) =>
    Effect.flatMap(Effect.context<Needed>(), (context) =>
      HttpApp.appendPreResponseHandler((request, response) =>
        Effect.as(
          Effect.flatMap(statusOutcome(request, response.status), (outcome) =>
            Effect.provide(breaker.record(permit, outcome), context)
          ),
          response
        )
      )
    )
  )
})

/** What a status means on its way out. Whoever has left says nothing, whatever the platform answers to nobody. */
const statusOutcome = (request: Request, status: number): Effect.Effect<FailureCondition.Outcome> =>
  Effect.map(FiberRef.get(FiberRef.interruptedCause), (cause) =>
    Cause.isEmpty(cause) ? outcomeOf(request, status) : Condition.ignored
  )

/** A guard of something that is made with the first request. */
export const later = <Instance, Needed>(
  instance: Effect.Effect<Instance, never, Needed>,
  guardOf: (instance: Instance) => Guard<never>
): Guard<Needed> => {
  const guard = Effect.map(instance, perInstance(guardOf))
  return {
    protect: (self) => Effect.flatMap(guard, ({ protect }) => protect(self)),
    enter: Effect.flatMap(guard, ({ enter }) => enter)
  }
}

export const guarded = <Needed>({ enter, protect }: Guard<Needed>, answer: Answer): Gate<Needed> => ({
  around: <E, R>(app: Effect.Effect<Response, E, R>) =>
    Effect.zipRight(
      endsWithConnection,
      Effect.matchEffect(protect(observed(app)), {
        onFailure: (error) => answer(error),
        // The one place where the types of an app are left behind: what went in comes out.
        onSuccess: ({ exit }) => exit as Exit.Exit<Response, E>
      })
    ),
  enter: Effect.zipRight(
    endsWithConnection,
    Effect.catchAll(enter, (error) => instead(answer(error)))
  )
})

/** What a request holds comes back also where it cannot be answered any more. */
const endsWithConnection = Effect.flatMap(HttpServerRequest.HttpServerRequest, endWithConnection)

// ---------------------------------------------------------------------------------------------------------- rate limiter

/** When the fields of a limiter are sent. */
export type Fields = "always" | "rejections" | "never"

/** What is asked of a limiter, or of the limiters of many keys. */
export interface Limits<Needed> {
  /** The name that clients know it by. */
  readonly name: string
  /** The key of a request, `undefined` when it is not limited. */
  readonly keyOf: (request: Request) => string | undefined
  readonly acquire: (key: string) => Effect.Effect<void, RateLimiter.RateLimitExceeded, Needed>
  /** What there is to know about the limiter of a key, if it has one of its own. */
  readonly read: (key: string) => Effect.Effect<RateLimiter.Snapshot | undefined, never, Needed>
}

export const ofLimiter = <Needed>(
  name: string,
  { acquire, snapshot }: Pick<RateLimiter.Operations<Needed>, "acquire" | "snapshot">
): Limits<Needed> => ({ name, keyOf: () => "", acquire: () => acquire(), read: () => snapshot })

export const ofLimiters = <Needed>(
  name: string,
  limiters: Effect.Effect<RateLimiter.KeyedOperations<Needed>, never, Needed>,
  keyOf: (request: Request) => string | undefined
): Limits<Needed> => ({
  name,
  keyOf,
  acquire: (key) => Effect.flatMap(limiters, (each) => each.protect(key)(Effect.void)),
  read: (key) =>
    Effect.flatMap(limiters, (each) =>
      Effect.flatMap(each.find(key), (found): Effect.Effect<RateLimiter.Snapshot | undefined> =>
        Option.isSome(found) ? found.value.snapshot : Effect.succeed(undefined)
      )
    )
})

export const limited = <Needed>(limits: Limits<Needed>, answer: Answer, fields: Fields): Gate<Needed> => {
  const reject = (key: string, error: RateLimiter.RateLimitExceeded) =>
    Effect.flatMap(limits.read(key), (snapshot) => answer(error, shown(limits.name, error, snapshot, fields)))

  /** Adds the fields to the response of a request that was let in, once, wherever it passes first. */
  const adding = (key: string) =>
    Effect.map(Effect.context<Needed>(), (context) => {
      let added = false
      const read = Effect.provide(limits.read(key), context)
      return (response: Response): Effect.Effect<Response> => {
        if (added) return Effect.succeed(response)
        added = true
        return Effect.map(read, (snapshot) =>
          snapshot === undefined ? response : Quota.withFields(response, limits.name, snapshot)
        )
      }
    })

  const withFields = <E, R>(key: string, request: Request, app: Effect.Effect<Response, E, R>) =>
    Effect.flatMap(adding(key), (add) =>
      Effect.zipRight(
        HttpApp.appendPreResponseHandler((_, response) => add(response)),
        // Around an app that sends its own response, the platform runs no handler for one that comes from a middleware.
        Effect.flatMap(app, (response) =>
          isTurnedAway(request, response.status) ? add(response) : Effect.succeed(response)
        )
      )
    )

  return {
    around: <E, R>(app: Effect.Effect<Response, E, R>) =>
      Effect.flatMap(
        HttpServerRequest.HttpServerRequest,
        (request): Effect.Effect<Response, E, R | Needed | Request> => {
          const key = limits.keyOf(request)
          if (key === undefined) return app
          return Effect.matchEffect(limits.acquire(key), {
            onFailure: (error): Effect.Effect<Response, E, R | Needed | Request> => reject(key, error),
            onSuccess: () => (fields === "always" ? withFields(key, request, app) : app)
          })
        }
      ),
    enter: Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const key = limits.keyOf(request)
      if (key === undefined) return Effect.void
      return Effect.matchEffect(limits.acquire(key), {
        onFailure: (error) => instead(reject(key, error)),
        onSuccess: () =>
          fields === "always"
            ? Effect.flatMap(adding(key), (add) =>
                HttpApp.appendPreResponseHandler((_, response) => add(response))
              )
            : Effect.void
      })
    })
  }
}

/** What clients are told with a rejection. The limiter of a key goes by the name that is the same for all of them. */
const shown = (
  name: string,
  error: RateLimiter.RateLimitExceeded,
  snapshot: RateLimiter.Snapshot | undefined,
  fields: Fields
): HttpProblem.Options => {
  const policy = snapshot === undefined ? { name, quota: error.limit } : Quota.policyOf(name, snapshot)
  if (fields === "never") return { policy, fields: false }
  return error.cost === 1 || snapshot === undefined
    ? { policy }
    : { policy, quota: Quota.quotaOf(name, snapshot) }
}
