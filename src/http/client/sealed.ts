/** Clients that fail as every `HttpClient` does. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import { withoutStack } from "../../policy/define.js"
import { type ClientError, isClientError, transportError } from "./errors.js"
import { makeOurs, postprocessOf, preparationOf } from "./attempt.js"

export const sealed = <E, R>(
  client: HttpClient.HttpClient.With<E, R>
): HttpClient.HttpClient.With<ClientError, R> => {
  const prepare = preparationOf(client)
  const postprocess = postprocessOf(client)
  // Both can fail, and a timeout inside holds for both: so neither is taken apart from the other.
  return makeOurs(
    (prepared: Effect.Effect<HttpClientRequest.HttpClientRequest, ClientError, R>) =>
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

const seal = (error: unknown, request: HttpClientRequest.HttpClientRequest): ClientError => {
  if (isClientError(error)) return error
  return withoutStack(() => transportError(request, error))
}
