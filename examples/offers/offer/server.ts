// The offer service: `GET /offer` brings an offer in any case, `GET /offer/circuit` tells how the circuit breaker is.
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerResponse } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { STATUS_CODES } from "node:http"
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

/** A debug line for each request to the partner: its URL and what came back. */
const logged = (client: HttpClient.HttpClient) =>
  HttpClient.transform(client, (response, { method, url }) => {
    const log = (outcome: string) => Effect.logDebug(`HTTP Request: ${method} ${url} "${outcome}"`)
    return Effect.tapBoth(response, {
      onSuccess: ({ status }) => log(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`.trim()),
      onFailure: ({ reason }) => log(reason)
    })
  })

export interface Options {
  /** The port to listen on; 0 takes any free one. */
  readonly port: number
  /** Where the partner is. */
  readonly partner: string
}

export const layer = ({ partner, port }: Options) => {
  const client = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) =>
      client.pipe(logged, HttpClient.mapRequest(HttpClientRequest.prependUrl(partner)))
    )
  )
  return Server.serve(routes, port).pipe(
    Layer.provide(circuit),
    Layer.provide(client),
    Layer.provide(NodeHttpClient.layerUndici)
  )
}
