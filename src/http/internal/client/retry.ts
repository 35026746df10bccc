/** Sending a request again: the retry of this library, told what HTTP means by failure and which requests may be repeated. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Backoff from "../../../Backoff.js"
import { optionMillis } from "../../../internal/duration.js"
import * as Retry from "../../../Retry.js"
import type * as HttpResilience from "../../HttpResilience.js"
import { Attempts, isResponseError, transform } from "./attempt.js"
import { Sent } from "./sent.js"
import * as Meaning from "./meaning.js"
import * as Part from "./part.js"
import { permissions } from "./request.js"
import { discard } from "./response.js"

type Response = HttpClientResponse.HttpClientResponse

export const make = <P extends Part.Any>(options: HttpResilience.RetryOptions): P => {
  if (options.maxRetryAfter !== undefined) {
    optionMillis("HttpResilience.retry", "maxRetryAfter", options.maxRetryAfter, {
      zero: true,
      infinite: true
    })
  }
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
        if (may.arriveTwice) return attempts.run(repeatable(attempt))
        const knowing = Effect.mapError(attempt, (error) =>
          attempts.mayHaveArrived(error, request) ? new Sent(error) : error
        )
        return attempts.run(
          Effect.mapError(onlyNeverSent(knowing), (error) => (error instanceof Sent ? error.error : error))
        )
      })
    )
  )
}

const withCondition = (options: HttpResilience.RetryOptions, condition: Meaning.Classifier) =>
  Retry.retry<Response, unknown, Retry.Options<Response, unknown>>({
    name: options.name,
    times: options.times ?? (options.schedule === undefined ? 3 : undefined),
    schedule: options.schedule ?? defaultSchedule,
    maxDuration: options.maxDuration,
    maxHint: options.maxRetryAfter,
    budget: options.budget,
    condition,
    disposeResult: discard,
    disposeError,
    onRetryScheduled: options.onRetryScheduled,
    onRetry: options.onRetry,
    onExceeded: options.onExceeded
  })

/** A status that was made an error further inside has a response, too. */
const disposeError = (error: unknown): Effect.Effect<void> =>
  isResponseError(error) ? discard(error.response) : Effect.void

const defaultSchedule = Backoff.exponential({ base: "200 millis", max: "10 seconds", jitter: "full" })
