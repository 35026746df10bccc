/** Clients that fail as every `HttpClient` does. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import { withoutStack } from "../../../internal/policy.js"
import { afterPreparation, preparationOf, transform } from "./attempt.js"

export const sealed = <E, R>(
  client: HttpClient.HttpClient.With<E, R>
): HttpClient.HttpClient.With<HttpClientError.HttpClientError, R> => {
  const prepare = preparationOf(client)
  const sealing = transform(client, (send, request) =>
    Effect.mapError(send(request), (error) => seal(error, request))
  )
  if (prepare === undefined) return sealing
  // Preparing a request can fail, too, and comes before whatever is done with it.
  return HttpClient.makeWith(
    (prepared: Effect.Effect<HttpClientRequest.HttpClientRequest, HttpClientError.HttpClientError, R>) =>
      Effect.flatMap(prepared, afterPreparation(sealing)),
    (request) => Effect.mapError(prepare(request), (error) => seal(error, request))
  )
}

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
