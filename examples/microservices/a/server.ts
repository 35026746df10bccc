// Service A, which calls service B. `GET /` answers with the message of service B, `GET /circuit` shows the circuit breaker, and
// `/dashboard`, `/metrics`, `/health`, `/ready` and `/resilience` show all policies.
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { type Duration, Effect, Layer } from "effect"
import { HttpFields } from "effect-resilience/http"
import * as Operators from "../../support/operators.js"
import * as Server from "../../support/server.js"
import { clientOfB } from "./callB.js"
import * as Policies from "./policies.js"

const success = (messageB: string) =>
  HttpServerResponse.unsafeJson({ messageA: "hello from service A", messageB })

/** A failure as one sentence for the caller, with the status of a gateway. It reveals no internals. */
const failure = (status: 429 | 502 | 503 | 504, error: string, retryAfter?: string) =>
  HttpServerResponse.unsafeJson({ error }, { status, headers: { "retry-after": retryAfter } })

const secondsOf = (duration: Duration.Duration | undefined) =>
  duration && HttpFields.formatRetryAfter(duration)

const failureOf = (error: Policies.Failure) => {
  switch (error._tag) {
    case "TimeoutExceeded":
      return failure(504, "service B took too long to answer")
    case "CircuitOpen":
      return failure(503, "service B has been failing and is not called for now", secondsOf(error.retryAfter))
    case "RateLimitExceeded":
      return failure(429, "too many calls to service B", secondsOf(error.retryAfter))
    case "Refused":
      return failure(502, `service B answered with status ${error.status}`, error.retryAfter)
    case "RequestError":
    case "ResponseError":
      return failure(502, "service B cannot be reached")
    case "ParseError":
      return failure(502, "service B gave an invalid answer")
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
  /** The URL of service B. */
  readonly serviceB: string
  readonly policy: Policies.Name
  /** How many failures in a row open the circuit. */
  readonly failuresInARow: number
  /** How long a call may continue with retries. */
  readonly retryFor: Duration.DurationInput
}

/** Provide the observability under it. */
export const layer = ({ failuresInARow, policy, port, retryFor, serviceB }: Options) => {
  const service = Effect.gen(function* () {
    const call = Policies.policies(retryFor)[policy](yield* clientOfB(serviceB))
    const routes = HttpRouter.empty.pipe(
      HttpRouter.get("/", Effect.match(call, { onSuccess: success, onFailure: failureOf })),
      HttpRouter.get("/circuit", circuit),
      HttpRouter.concat(yield* Operators.reading)
    )
    return Server.serve(routes, port)
  })
  return Layer.unwrapScoped(service).pipe(
    Layer.provideMerge(Policies.shared(failuresInARow)),
    Layer.provide(NodeHttpClient.layerUndici)
  )
}
