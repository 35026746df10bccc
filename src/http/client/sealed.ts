/** Clients that fail as every `HttpClient` does. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import { withoutStack } from "../../policy/define.js"
import { type ClientError, isClientError, transportError } from "./errors.js"
import { answering, around } from "./part.js"
import { preparationOf } from "./send.js"

export const sealed = <E, R>(
  client: HttpClient.HttpClient.With<E, R>
): HttpClient.HttpClient.With<ClientError, R> => {
  const prepare = preparationOf(client)
  const sealing = around(client, sealAnswer, (request) =>
    Effect.mapError(prepare(request), (error) => seal(error, request))
  )
  return sealing as HttpClient.HttpClient.With<ClientError, R>
}

const sealAnswer = answering((self, request) =>
  Effect.mapError(self, (error) => seal(error, request() ?? unprepared))
)

/** Stands for a request that was given up on while it was prepared. */
const unprepared: HttpClientRequest.HttpClientRequest = HttpClientRequest.get("")

const seal = (error: unknown, request: HttpClientRequest.HttpClientRequest): ClientError => {
  if (isClientError(error)) return error
  return withoutStack(() => transportError(request, error))
}
