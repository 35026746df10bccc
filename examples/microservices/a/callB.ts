// The call from service A to service B, without policies: the client that sends it, and the decoding of the response.
import { HttpClient, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { Data, Effect, Schema } from "effect"

/**
 * The client of service B. It reads a response to its end before returning it, so a timeout around it covers the body, and a
 * circuit breaker around the timeout sees a response that never ends. With `body: true` a timeout covers the body too, but by then
 * the circuit breaker has counted a good status.
 */
export const clientOfB = (serviceB: string) =>
  Effect.map(HttpClient.HttpClient, (client) =>
    client.pipe(
      HttpClient.mapRequest(HttpClientRequest.prependUrl(serviceB)),
      HttpClient.tap((response) => response.text)
    )
  )

/** Service B answered with a status other than 200. */
export class Refused extends Data.TaggedError("Refused")<{
  readonly status: number
  readonly retryAfter: string | undefined
}> {}

const Hello = Schema.Struct({ message: Schema.String })

/** The message of service B. */
export const callB = <E, R>(client: HttpClient.HttpClient.With<E, R>) =>
  Effect.gen(function* () {
    const response = yield* client.get("/")
    const { headers, status } = response
    if (status !== 200) return yield* new Refused({ status, retryAfter: headers["retry-after"] })
    const { message } = yield* HttpClientResponse.schemaBodyJson(Hello)(response)
    return message
  })
