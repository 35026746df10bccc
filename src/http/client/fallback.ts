/** Another response instead of a failure. */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Effect from "effect/Effect"
import type * as FailureCondition from "../../policy/FailureCondition.js"
import { callable, object, type Shape, text } from "../../core/options.js"
import * as Fallback from "../../fallback/Fallback.js"
import * as Condition from "../../policy/condition.js"
import type * as HttpResilience from "./HttpResilience.js"
import * as Meaning from "./meaning.js"
import * as Part from "./part.js"

type Response = HttpClientResponse.HttpClientResponse
type Failure = FailureCondition.Failed<Response, unknown>

const constructor = "HttpResilience.fallback"

const shape: Shape<HttpResilience.FallbackOptions> = {
  condition: Condition.check,
  name: text,
  onFallback: callable
}

export const make = <P extends Part.Any>(
  use: (
    failure: Failure,
    request: HttpClientRequest.HttpClientRequest
  ) => Effect.Effect<Response, unknown, unknown>,
  options: HttpResilience.FallbackOptions
): P => {
  callable(constructor, "use", use)
  object(constructor, "", options, shape)
  const { condition, name = "fallback", onFallback } = options
  const policy = { name, condition: Meaning.ofUsefulness(condition), onFallback }
  const makePart = condition === undefined ? Part.makeFallback<P> : Part.make<P>
  const fallback = Part.exchanging((request, next, call) => {
    const answer = (failure: Failure) => use(failure, request)
    return call.concurrently(request, next, (attempt) => Fallback.orElse(attempt, answer, policy))
  })
  return makePart({ kind: "fallback", name, settings: { condition } }, fallback)
}
