/** Sending a request again: the retry of this library, told what HTTP means by failure and which requests may be repeated. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Backoff from "../../backoff/Backoff.js"
import type * as FailureCondition from "../../policy/FailureCondition.js"
import { callable, type Caller, number, object, type Shape, text, times } from "../../core/options.js"
import * as Condition from "../../policy/condition.js"
import { duration } from "../../internal/duration.js"
import { check as budget } from "../../retryBudget/source.js"
import { check as schedule } from "../../internal/schedule.js"
import * as Retry from "../../retry/Retry.js"
import type * as HttpResilience from "./HttpResilience.js"
import { Attempts, transform } from "./attempt.js"
import { isResponseError, type ResponseError } from "./errors.js"
import { Sent } from "./sent.js"
import * as Meaning from "./meaning.js"
import * as Part from "./part.js"
import { permissions, requestShape } from "./request.js"
import { discard } from "./response.js"

type Response = HttpClientResponse.HttpClientResponse

const range = { zero: true, infinite: true }

const shape: Shape<HttpResilience.RetryOptions> = {
  ...requestShape,
  times,
  schedule,
  maxDuration: duration(range),
  maxHint: duration(range),
  hintJitter: number(0, 1),
  budget,
  condition: Condition.check,
  name: text,
  onRetryScheduled: callable,
  onRetry: callable,
  onExceeded: callable
}

export const make = <P extends Part.Any>(
  options: HttpResilience.RetryOptions,
  { path = "", policy }: Caller = { policy: "HttpResilience.retry" }
): P => {
  object(policy, path, options, shape)
  const classify = Meaning.ofTransience(options.condition)
  const repeatable = withCondition(options, classify)
  const onlyNeverSent = withCondition(options, Meaning.unlessSent(classify))
  return Part.make(repeatable, (client) =>
    transform(client, (send, request) =>
      Effect.contextWithEffect((context: Context.Context<never>) => {
        const may = permissions(request, options, context)
        const attempts = new Attempts(send)
        const attempt = attempts.attempt(request)
        if (!may.sendTwice) return attempts.run(attempt)
        if (may.arriveTwice) return attempts.run(repeated(attempt, repeatable))
        const knowing = Effect.mapError(attempt, (error) =>
          attempts.mayHaveArrived(error, request) ? new Sent(error) : error
        )
        return attempts.run(
          Effect.mapError(repeated(knowing, onlyNeverSent), (error) =>
            error instanceof Sent ? error.error : error
          )
        )
      })
    )
  )
}

/** A status that was made an error further inside. It has a response, so to the retry it is a result that can be disposed of. */
class Refused {
  constructor(readonly error: ResponseError) {}
}

type Answer = Response | Refused

const repeated = <E, R, R2>(
  attempt: Effect.Effect<Response, E, R>,
  policy: (attempt: Effect.Effect<Answer, unknown, R>) => Effect.Effect<Answer, unknown, R2>
): Effect.Effect<Response, unknown, R2> => {
  const answer = Effect.catchAll(attempt, (error): Effect.Effect<Answer, unknown> =>
    isResponseError(error) ? Effect.succeed(new Refused(error)) : Effect.fail(error)
  )
  return Effect.flatMap(policy(answer), (last) =>
    last instanceof Refused ? Effect.fail(last.error) : Effect.succeed(last)
  )
}

const withCondition = (options: HttpResilience.RetryOptions, classify: Meaning.Classifier) => {
  const { onExceeded, onRetry, onRetryScheduled } = options
  return Retry.retry<Answer, unknown, Retry.Options<Answer, unknown>>({
    name: options.name,
    times: options.times ?? (options.schedule === undefined ? 3 : undefined),
    schedule: options.schedule ?? defaultSchedule,
    maxDuration: options.maxDuration,
    maxHint: options.maxHint,
    hintJitter: options.hintJitter ?? defaultHintJitter,
    budget: options.budget,
    condition: (exit) => classify(asItWas(exit)),
    disposeResult: (answer) => discard(answer instanceof Refused ? answer.error.response : answer),
    onRetryScheduled:
      onRetryScheduled && ((event) => onRetryScheduled({ ...event, failure: seen(event.failure) })),
    onRetry: onRetry && ((event) => onRetry({ ...event, failure: seen(event.failure) })),
    onExceeded: onExceeded && ((event) => onExceeded({ ...event, failure: seen(event.failure) }))
  })
}

const asItWas = (exit: Exit.Exit<Answer, unknown>): Exit.Exit<Response, unknown> =>
  Exit.flatMap(exit, (answer): Exit.Exit<Response, unknown> =>
    answer instanceof Refused ? Exit.fail(answer.error) : Exit.succeed(answer)
  )

const seen = (
  failure: FailureCondition.Failed<Answer, unknown>
): FailureCondition.Failed<Response, unknown> => {
  if (failure._tag !== "Result") return failure
  const { result } = failure
  return result instanceof Refused
    ? { _tag: "Error", error: result.error, cause: Cause.fail(result.error) }
    : { _tag: "Result", result }
}

/** That of Envoy's rate-limited back-off. */
const defaultHintJitter = 0.5

const defaultSchedule = Backoff.exponential({ base: "200 millis", max: "10 seconds", jitter: "full" })
