/** How a middleware answers for its policy, and how one further out knows that it did. */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { callable, type Shape } from "../../core/options.js"
import { type DurationInput, duration } from "../../internal/duration.js"
import * as HttpProblem from "../problem/HttpProblem.js"
import { spread } from "../problem/spread.js"
import { closeAfter, isStarved, withoutBody } from "./incoming.js"

/** How one middleware answers. */
export interface Answering {
  /** How the middleware answers for its policy. Default: as the program does, see `HttpProblem.CurrentMapping`. */
  readonly respond?: HttpProblem.Mapping | undefined
  /** What `Retry-After` says where the policy does not know. Default: 1 second. */
  readonly retryAfter?: DurationInput | undefined
}

export const answeringShape: Shape<Answering> = { respond: callable, retryAfter: duration() }

export type Answer = (
  error: HttpProblem.PolicyError,
  options?: HttpProblem.Options
) => Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>

/** The statuses with which middlewares rejected requests, by the source of a request: a router makes another request object. */
const turnedAway = new WeakMap<object, number>()

const behind = (request: HttpServerRequest.HttpServerRequest): object =>
  Predicate.isObject(request.source) ? request.source : request

/** Whether a middleware further inside rejected the request with this status. */
export const isTurnedAway = (request: HttpServerRequest.HttpServerRequest, status: number): boolean =>
  turnedAway.get(behind(request)) === status

const endsConnection = ({ _tag }: HttpProblem.PolicyError): boolean =>
  _tag === "ServerDraining" || _tag === "RequestBodyTimeout"

/** How a middleware answers, by options that have been checked. */
export const answering = ({ respond, retryAfter }: Answering): Answer => {
  const always: HttpProblem.Options =
    retryAfter === undefined ? {} : { retryAfter: Duration.decode(retryAfter) }
  const mapping = respond ?? HttpProblem.respond
  return (error, options) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.flatMap(
        spread(error, { ...always, ...options }, (spread) => mapping(error, spread)),
        (response) => {
          // A timeout is the fault of the app, unless the client does not send its body.
          if (error._tag !== "TimeoutExceeded" || isStarved(request)) {
            turnedAway.set(behind(request), response.status)
          }
          return endsConnection(error) ? closeAfter(request, response) : withoutBody(request, response)
        }
      )
    )
}
