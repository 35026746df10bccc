/** How a request ends for its client: a policy on a server judges by the status. */
import * as HttpServerError from "@effect/platform/HttpServerError"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FailureCondition from "../../policy/FailureCondition.js"
import * as Condition from "../../policy/condition.js"
import { isTurnedAway } from "./answer.js"

/** The end of a request, and the status that the client gets. */
export interface Answered<E> {
  readonly status: number
  readonly exit: Exit.Exit<HttpServerResponse.HttpServerResponse, E>
  readonly outcome: FailureCondition.Outcome
}

/** From 500 on the server failed, unless a policy further inside rejected the request. */
export const outcomeOf = (
  request: HttpServerRequest.HttpServerRequest,
  status: number
): FailureCondition.Outcome =>
  isTurnedAway(request, status) ? Condition.ignored : status >= 500 ? Condition.failure : Condition.success

/** Runs an app to its end, without errors, so that any error is one of the policy around it. */
export const observed = <E, R>(
  request: HttpServerRequest.HttpServerRequest,
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<Answered<E>, never, R> =>
  Effect.matchCauseEffect(app, {
    onFailure: (cause) =>
      Effect.map(HttpServerError.causeResponse(cause), ([response]): Answered<E> => ({
        status: response.status,
        exit: Exit.failCause(cause),
        outcome:
          Condition.failedCause(cause) === undefined ? Condition.ignored : outcomeOf(request, response.status)
      })),
    onSuccess: (response) =>
      Effect.succeed<Answered<E>>({
        status: response.status,
        exit: Exit.succeed(response),
        outcome: outcomeOf(request, response.status)
      })
  })

/** The condition of a policy around {@link observed}. A failure can only be a defect in the policy's own options. */
export const byOutcome: FailureCondition.Classifier<Answered<unknown>, never> = (exit) =>
  Exit.isSuccess(exit) ? exit.value.outcome : Condition.failure
