// The call from service A to service B, without any policy: the client that sends it, and what is wanted of the response.
import { HttpClient, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { Data, Effect, Schema } from "effect"

/**
 * The client of service B. It reads a response to its end before it hands it on: a timeout around it covers the reading, and
 * a circuit breaker around the timeout learns of a response that never ends. With `body: true` a timeout covers the reading
 * too, but by then the circuit breaker has seen a good status.
 */
export const clientOfB = (serviceB: string) =>
  Effect.map(HttpClient.HttpClient, (client) =>
    client.pipe(
      HttpClient.mapRequest(HttpClientRequest.prependUrl(serviceB)),
      HttpClient.tap((response) => response.text)
    )
  )

/** Service B has answered, but with a status that says why not. */
export class Refused extends Data.TaggedError("Refused")<{
  readonly status: number
  readonly retryAfter: string | undefined
}> {}

const Hello = Schema.Struct({ message: Schema.String })

/** What service B says. */
export const callB = <E, R>(client: HttpClient.HttpClient.With<E, R>) =>
  Effect.gen(function* () {
    const response = yield* client.get("/")
    const { headers, status } = response
    if (status !== 200) return yield* new Refused({ status, retryAfter: headers["retry-after"] })
    const { message } = yield* HttpClientResponse.schemaBodyJson(Hello)(response)
    return message
  })
