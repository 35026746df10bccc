/** What bulkhead, breaker and rate limiter have in common as middleware: they admit a request, or answer it. */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import type * as Bulkhead from "../../bulkhead/Bulkhead.js"
import type * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import type * as FailureCondition from "../../policy/FailureCondition.js"
import * as Condition from "../../policy/condition.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type { Use } from "../internal/shared.js"
import type * as HttpProblem from "../problem/HttpProblem.js"
import { type Answer, isTurnedAway } from "./answer.js"
import { type Answered, byOutcome, observed, outcomeOf } from "./observe.js"
import * as Quota from "./quota.js"
import { endWithConnection } from "./sending.js"

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest
type App = Effect.Effect<Response, unknown, unknown>

/** What a middleware does with a request and the app for it. The types of the app stand where they are public. */
export type Around = (request: Request, app: App) => App

/** Admits a request or answers it: around an app, or before a handler. */
export interface Admission {
  readonly around: Around
  readonly enter: Effect.Effect<void, never, unknown>
}

/** Ends a request before its handler: the platform sends the response that a fiber died with. */
const instead = <R>(response: Effect.Effect<Response, never, R>): Effect.Effect<never, never, R> =>
  Effect.flatMap(response, (response) => Effect.die(response))

const admissionFor = <Made>(
  use: Use<Request, Made>,
  around: (made: Made, request: Request, app: App) => App,
  enter: (made: Made, request: Request) => Effect.Effect<void, never, unknown>
): Admission => ({
  around: (request, app) => use(request, (made) => (made === undefined ? app : around(made, request, app))),
  enter: Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    use(request, (made) => (made === undefined ? Effect.void : enter(made, request)))
  )
})

/** What is asked of a bulkhead or of a breaker. */
export interface Guard {
  readonly protect: (
    self: Effect.Effect<Answered<unknown>, never, unknown>
  ) => Effect.Effect<Answered<unknown>, HttpProblem.PolicyError, unknown>
  readonly enter: Effect.Effect<void, HttpProblem.PolicyError, unknown>
}

export const ofBulkhead = (bulkhead: Bulkhead.Operations): Guard => ({
  protect: bulkhead.protectWhen(byOutcome),
  enter: bulkhead.acquire
})

export const ofBreaker = (breaker: CircuitBreaker.Operations): Guard => ({
  protect: breaker.protectWhen(byOutcome),
  enter: Effect.flatMap(breaker.acquire, (permit) =>
    HttpApp.appendPreResponseHandler((request, response) =>
      Effect.as(
        Effect.flatMap(statusOutcome(request, response.status), (outcome) => breaker.record(permit, outcome)),
        response
      )
    )
  )
})

/** What the status of a response means. A client that has left says nothing. */
const statusOutcome = (request: Request, status: number): Effect.Effect<FailureCondition.Outcome> =>
  Effect.map(FiberRef.get(FiberRef.interruptedCause), (cause) =>
    Cause.isEmpty(cause) ? outcomeOf(request, status) : Condition.ignored
  )

// The permit of a request is released with its connection, also when it cannot be answered any more.
export const guarded = (guardOf: Use<Request, Guard>, answer: Answer): Admission =>
  admissionFor(
    guardOf,
    ({ protect }, request, app) => {
      endWithConnection(request)
      return Effect.matchEffect(protect(observed(request, app)), {
        onFailure: answer,
        onSuccess: ({ exit }) => exit
      })
    },
    ({ enter }, request) => {
      endWithConnection(request)
      return Effect.catchAll(enter, (error) => instead(answer(error)))
    }
  )

/** When the fields of a limiter are sent. */
export type Fields = "always" | "rejections" | "never"

/** What is asked of a limiter. */
interface Limit {
  readonly acquire: Effect.Effect<unknown, RateLimiter.RateLimitExceeded>
  /** Nothing, for a key without a limiter of its own. */
  readonly read: Effect.Effect<RateLimiter.Snapshot | undefined>
}

export const ofLimiter = (
  limiter: RateLimiter.Operations,
  find?: Effect.Effect<Option.Option<unknown>>
): Limit => ({
  acquire: limiter.acquire(),
  read:
    find === undefined
      ? limiter.snapshot
      : Effect.flatMap(find, (found) =>
          Option.isSome(found) ? (found.value as RateLimiter.RateLimiter).snapshot : Effect.succeed(undefined)
        )
})

/** Admits requests by a limiter, whose name in the fields is the same for all keys. */
export const limited = (
  limitOf: Use<Request, Limit>,
  name: string,
  answer: Answer,
  fields: Fields
): Admission => {
  const reject = ({ read }: Limit, error: RateLimiter.RateLimitExceeded) =>
    Effect.flatMap(read, (snapshot) => answer(error, shown(name, error, snapshot, fields)))

  const writeFields = Quota.writingFields(name)

  /** Adds the fields to the response of an admitted request, once, wherever it passes first. */
  const adding = ({ read }: Limit) => {
    let added = false
    return (response: Response): Effect.Effect<Response> => {
      if (added) return Effect.succeed(response)
      added = true
      return Effect.map(read, (snapshot) =>
        snapshot === undefined ? response : writeFields(response, snapshot)
      )
    }
  }

  return admissionFor(
    limitOf,
    (limit, request, app) =>
      Effect.matchEffect(limit.acquire, {
        onFailure: (error): App => reject(limit, error),
        onSuccess: (): App => {
          if (fields !== "always") return app
          const add = adding(limit)
          return Effect.flatMap(
            HttpApp.appendPreResponseHandler((_, response) => add(response)),
            // Around an app that sends its own response, the platform runs no handler for one that comes from a middleware.
            () =>
              Effect.flatMap(app, (response) =>
                isTurnedAway(request, response.status) ? add(response) : Effect.succeed(response)
              )
          )
        }
      }),
    (limit) =>
      Effect.matchEffect(limit.acquire, {
        onFailure: (error) => instead(reject(limit, error)),
        onSuccess: () => {
          if (fields !== "always") return Effect.void
          const add = adding(limit)
          return HttpApp.appendPreResponseHandler((_, response) => add(response))
        }
      })
  )
}

/** What clients are told with a rejection. */
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
