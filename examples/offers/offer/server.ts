// The offer service: `GET /offer` brings an offer in any case, `GET /offer/circuit` tells how the circuit breaker is.
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerResponse } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import * as Server from "../../support/server.js"
import { circuit, offer, PartnerCircuit } from "./offer.js"

/** What a call to the partner would meet now: when the circuit has been open for long enough, that is `half-open`. */
const showCircuit = Effect.map(PartnerCircuit.snapshot, ({ consecutiveFailures, state }) =>
  HttpServerResponse.unsafeJson({ current_state: state, fail_counter: consecutiveFailures })
)

const routes = HttpRouter.empty.pipe(
  HttpRouter.get(
    "/offer",
    Effect.map(offer, (text) => HttpServerResponse.unsafeJson(text))
  ),
  HttpRouter.get("/offer/circuit", showCircuit)
)

export interface Options {
  /** The port to listen on; 0 takes any free one. */
  readonly port: number
  /** Where the partner is. */
  readonly partner: string
}

export const layer = ({ partner, port }: Options) => {
  const client = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, HttpClient.mapRequest(HttpClientRequest.prependUrl(partner)))
  )
  return Server.serve(routes, port).pipe(
    Layer.provide(circuit),
    Layer.provide(client),
    Layer.provide(NodeHttpClient.layerUndici)
  )
}
