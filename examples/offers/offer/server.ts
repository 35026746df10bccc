// The offer service: `GET /offer` always answers with an offer, `GET /offer/circuit` shows the circuit breaker.
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerResponse } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { STATUS_CODES } from "node:http"
import * as Server from "../../support/server.js"
import { circuit, offer, PartnerCircuit } from "./offer.js"
import { store } from "./store.js"

/** The state that a call would meet now: `half-open` as soon as the open time is over. */
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

/** Writes a debug line for each request to the partner, with its URL and its outcome. */
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
  /** The URL of the partner. */
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
    Layer.provide(Layer.provide(circuit, store)),
    Layer.provide(client),
    Layer.provide(NodeHttpClient.layerUndici)
  )
}
