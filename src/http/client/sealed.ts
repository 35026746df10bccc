/** Clients that fail as every `HttpClient` does. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import { withoutStack } from "../../policy/define.js"
import { makeOurs, postprocessOf, preparationOf } from "./attempt.js"

export const sealed = <E, R>(
  client: HttpClient.HttpClient.With<E, R>
): HttpClient.HttpClient.With<HttpClientError.HttpClientError, R> => {
  const prepare = preparationOf(client)
  const postprocess = postprocessOf(client)
  // Both can fail, and a timeout inside holds for both: so neither is taken apart from the other.
  return makeOurs(
    (prepared: Effect.Effect<HttpClientRequest.HttpClientRequest, HttpClientError.HttpClientError, R>) =>
      Effect.suspend(() => {
        let request = unprepared
        const noted = Effect.map(prepared, (ready) => (request = ready))
        return Effect.mapError(postprocess(noted as typeof noted & Prepared<E, R>), (error) =>
          seal(error, request)
        )
      }),
    (request) => Effect.mapError(prepare(request), (error) => seal(error, request))
  )
}

type Prepared<E, R> = Effect.Effect<HttpClientRequest.HttpClientRequest, E, R>

/** Stands for a request that was given up on while it was prepared. */
const unprepared: HttpClientRequest.HttpClientRequest = HttpClientRequest.get("")

const seal = (
  error: unknown,
  request: HttpClientRequest.HttpClientRequest
): HttpClientError.HttpClientError => {
  if (HttpClientError.isHttpClientError(error)) return error
  const description = error instanceof Error ? { description: error.message } : {}
  return withoutStack(
    () => new HttpClientError.RequestError({ request, reason: "Transport", cause: error, ...description })
  )
}
