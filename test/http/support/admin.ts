/** Admin routes on a real server, and the clients that call them. */
import { HttpApiClient, HttpClient, type HttpClientRequest, HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect } from "effect"
import * as HttpAdmin from "../../../src/http/admin/HttpAdmin.js"
import type * as Policy from "../../../src/policy/Policy.js"

/** Runs with a server on a free port, and with an `HttpClient` whose requests go there. */
export const onServer = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.scoped, Effect.provide(NodeHttpServer.layerTest))

/** Serves the routes, and makes a typed client of them. */
export const served = <O>(options: Policy.Checked<O, HttpAdmin.Options>) =>
  Effect.gen(function* () {
    yield* HttpServer.serveEffect(yield* HttpAdmin.router(options))
    const { resilience } = yield* HttpApiClient.make(HttpAdmin.api)
    return resilience
  })

/** Steering for everybody. */
export const anybody = { authorize: () => Effect.succeed(true) }

/** What comes back over the wire. */
export const raw = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.flatMap(HttpClient.execute(request), (response) =>
    Effect.map(response.text, (body) => ({ status: response.status, body }))
  )
