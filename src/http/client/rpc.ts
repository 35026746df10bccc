/** An HTTP client for `@effect/rpc`, which parses every answer as its own, whatever its status and type are. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import { callable } from "../../core/options.js"
import type * as HttpResilience from "./HttpResilience.js"
import type { Answer, Call } from "./call.js"
import { bodyError, statusError } from "./errors.js"
import { answering, around } from "./part.js"
import { sealed } from "./sealed.js"

type Response = HttpClientResponse.HttpClientResponse

export const rpc = (part: HttpResilience.Part<unknown> | HttpResilience.FallbackPart<unknown>) => {
  callable("HttpResilience.rpc", "part", part)
  return <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E, R> => {
    const resilient = (part as HttpResilience.Part<unknown>)(client)
    // RPC asks for a function that keeps any `E`, but gives it an `HttpClient`, whose errors are those of a sealed client.
    return sealed(around(resilient, answersOf)) as HttpClient.HttpClient.With<E, R>
  }
}

const answersOf = answering((self, _, call) => Effect.flatMap(self, (response) => answerOf(response, call)))

/** An answer of the RPC server, which has the media type of the request. Any other is released. */
const answerOf = (response: Response, call: Call): Answer => {
  const { headers, request, status } = response
  const isOk = status >= 200 && status < 300
  const isEmpty = headers["content-length"] === "0"
  if (isOk && !isEmpty && mediaType(headers) === mediaType(request.headers)) return Effect.succeed(response)
  const error = isOk
    ? bodyError(response, {
        description: `expected ${mediaType(request.headers)}, got ${isEmpty ? "no body" : (mediaType(headers) ?? "no content type")}`
      })
    : statusError(response)
  return Effect.zipRight(call.discard(response), Effect.fail(error))
}

const mediaType = (headers: Readonly<Record<string, string>>): string | undefined =>
  headers["content-type"]?.split(";")[0]?.trim().toLowerCase()
