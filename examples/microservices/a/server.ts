// Service A: the one that calls. `GET /` answers with what service B says, `GET /circuit` shows the circuit breaker.
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerResponse } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { Duration, Effect, Layer } from "effect"
import * as Server from "../../support/server.js"
import type { Reply } from "./callB.js"
import * as Policies from "./policies.js"

/** What went wrong in words for the caller, with the status of a gateway. Nothing from inside gets out. */
const failure = (status: 429 | 502 | 503 | 504, error: string, retryAfter?: Duration.Duration) =>
  HttpServerResponse.unsafeJson(
    { error },
    retryAfter === undefined
      ? { status }
      : { status, headers: { "retry-after": String(Math.ceil(Duration.toSeconds(retryAfter))) } }
  )

const success = (reply: Reply) =>
  reply._tag === "Hello"
    ? HttpServerResponse.unsafeJson({ messageA: "hello from service A", messageB: reply.message })
    : failure(502, `service B answered with status ${reply.status}`, reply.retryAfter)

const answer = (policy: Policies.Name) =>
  Policies.policies[policy].pipe(
    Effect.map(success),
    Effect.catchAll((error) => Effect.succeed(failureOf(error)))
  )

const failureOf = (error: Policies.Failure) => {
  switch (error._tag) {
    case "TimeoutExceeded":
      return failure(504, "service B took too long to answer")
    case "CircuitOpen":
      return failure(503, "service B has been failing and is left alone for now", error.retryAfter)
    case "RateLimitExceeded":
      return failure(429, "service B is called too often", error.retryAfter)
    case "RequestError":
    case "ResponseError":
      return failure(502, "service B cannot be reached")
    case "ParseError":
      return failure(502, "service B gave an answer that makes no sense")
  }
}

const circuit = Effect.map(
  Policies.ServiceBCircuit.snapshot,
  ({ consecutiveFailures, remainingDelay, state }) =>
    HttpServerResponse.unsafeJson({ state, consecutiveFailures, remainingDelay: Math.ceil(remainingDelay) })
)

export interface Options {
  /** The port to listen on; 0 takes any free one. */
  readonly port: number
  /** Where service B is. */
  readonly serviceB: string
  readonly policy: Policies.Name
  /** How many failures in a row open the circuit. */
  readonly failuresInARow: number
}

export const layer = ({ failuresInARow, policy, port, serviceB }: Options) => {
  const routes = HttpRouter.empty.pipe(
    HttpRouter.get("/", answer(policy)),
    HttpRouter.get("/circuit", circuit)
  )
  const client = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, HttpClient.mapRequest(HttpClientRequest.prependUrl(serviceB)))
  )
  return Server.serve(routes, port).pipe(
    Layer.provideMerge(Policies.shared(failuresInARow)),
    Layer.provide(client),
    Layer.provide(NodeHttpClient.layerUndici)
  )
}
