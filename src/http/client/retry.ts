/** `Retry` with the failures of HTTP, for requests that may be repeated. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Backoff from "../../backoff/Backoff.js"
import type * as FailureCondition from "../../policy/FailureCondition.js"
import { callable, type Caller, object, onBehalfOf, type Shape, text, whereRead } from "../../core/options.js"
import * as Condition from "../../policy/condition.js"
import * as Retry from "../../retry/Retry.js"
import type * as HttpResilience from "./HttpResilience.js"
import type { Answer, Call } from "./call.js"
import { isResponseError, type ResponseError } from "./errors.js"
import { Sent } from "./sent.js"
import * as Meaning from "./meaning.js"
import * as Part from "./part.js"
import { requestShape, withPermissions } from "./request.js"

type Response = HttpClientResponse.HttpClientResponse

const shape: Shape<HttpResilience.RetryOptions> = {
  ...requestShape,
  times: whereRead,
  schedule: whereRead,
  maxDuration: whereRead,
  maxHint: whereRead,
  hintJitter: whereRead,
  budget: whereRead,
  condition: Condition.check,
  name: text,
  onRetryScheduled: callable,
  onRetry: callable,
  onExceeded: callable
}

export const make = <P extends Part.Any>(
  options: HttpResilience.RetryOptions,
  caller: Caller = { policy: "HttpResilience.retry" }
): P => {
  object(caller.policy, caller.path ?? "", options, shape)
  const classify = Meaning.ofTransience(options.condition)
  const repeatable = onBehalfOf(caller, "Retry.retry", () => withCondition(options, classify))
  const onlyNeverSent = withCondition(options, Meaning.unlessSent(classify))
  const retry = Part.exchanging((request, next, call) =>
    withPermissions(request, options, (may) => {
      if (!may.sendTwice) return next(request, call)
      const attempts = call.attempts(request, next)
      if (may.arriveTwice) return repeated(attempts, call, repeatable)
      const knowing = Effect.mapError(attempts, (error) =>
        call.mayHaveArrived(error, request) ? new Sent(error) : error
      )
      return Effect.mapError(repeated(knowing, call, onlyNeverSent), (error) =>
        error instanceof Sent ? error.error : error
      )
    })
  )
  return Part.make(repeatable, retry)
}

/** The response of an attempt, and the call that owns it. A status that was made an error has a response too. */
class Attempt {
  constructor(
    readonly call: Call,
    readonly response: Response,
    readonly error?: ResponseError
  ) {}

  /** For observers, which see the attempts. */
  get status(): number {
    return this.response.status
  }

  exit(): Exit.Exit<Response, ResponseError> {
    return this.error === undefined ? Exit.succeed(this.response) : Exit.fail(this.error)
  }
}

const discard = ({ call, response }: Attempt): Effect.Effect<void> => call.discard(response)

const repeated = (
  attempts: Answer,
  call: Call,
  policy: (attempt: Effect.Effect<Attempt, unknown, unknown>) => Effect.Effect<Attempt, unknown, unknown>
): Answer => {
  const attempt = Effect.matchEffect(attempts, {
    onFailure: (error) =>
      isResponseError(error) ? Effect.succeed(new Attempt(call, error.response, error)) : Effect.fail(error),
    onSuccess: (response) => Effect.succeed(new Attempt(call, response))
  })
  return Effect.flatMap(policy(attempt), (last) => last.exit())
}

const withCondition = (options: HttpResilience.RetryOptions, classify: Meaning.Classifier) => {
  const { hintJitter = defaultHintJitter, onExceeded, onRetry, onRetryScheduled, schedule, times } = options
  return Retry.retry<Attempt, unknown, Retry.Options<Attempt, unknown>>({
    name: options.name,
    times: times === undefined && schedule === undefined ? 3 : times,
    schedule: schedule === undefined ? defaultSchedule : schedule,
    maxDuration: options.maxDuration,
    maxHint: options.maxHint,
    hintJitter,
    budget: options.budget,
    condition: (exit) => classify(Exit.flatMap(exit, (attempt) => attempt.exit())),
    // Without `maxDuration` a scheduled retry is certain, so its listener discards: `disposeResult` costs every call.
    disposeResult: options.maxDuration === undefined ? undefined : discard,
    onRetryScheduled: (event) => {
      const told = onRetryScheduled?.({ ...event, failure: seen(event.failure) }) ?? Effect.void
      const { failure } = event
      return options.maxDuration === undefined && failure._tag === "Result"
        ? Effect.ensuring(told, discard(failure.result))
        : told
    },
    onRetry: onRetry && ((event) => onRetry({ ...event, failure: seen(event.failure) })),
    onExceeded: onExceeded && ((event) => onExceeded({ ...event, failure: seen(event.failure) }))
  })
}

const seen = (
  failure: FailureCondition.Failed<Attempt, unknown>
): FailureCondition.Failed<Response, unknown> => {
  if (failure._tag !== "Result") return failure
  const { error, response } = failure.result
  return error === undefined
    ? { _tag: "Result", result: response }
    : { _tag: "Error", error, cause: Cause.fail(error) }
}

/** That of Envoy's rate-limited back-off. */
const defaultHintJitter = 0.5

const defaultSchedule = Backoff.exponential({ base: "200 millis", max: "10 seconds", jitter: "full" })
