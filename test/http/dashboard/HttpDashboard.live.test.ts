// The stream of the dashboard on a server that stops.
import { HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Observability } from "effect-resilience/observability"
import { createServer } from "node:http"
import * as HttpDashboard from "../../../src/http/dashboard/HttpDashboard.js"
import * as HttpDrain from "../../../src/http/server/HttpDrain.js"

it.live("the streams of pages end by themselves when a server drains, without being interrupted", () =>
  Effect.gen(function* () {
    const { address } = yield* HttpServer.HttpServer
    assert(address._tag === "TcpAddress")
    yield* HttpServer.serveEffect(yield* HttpDashboard.router({ interval: "100 millis" }))
    const response = yield* Effect.promise(() => fetch(`http://localhost:${address.port}/dashboard/events`))
    assert.strictEqual(response.status, 200)
    const [{ abandoned, ended, interrupted }, text] = yield* Effect.all(
      [HttpDrain.drain, Effect.promise(() => response.text())],
      { concurrency: 2 }
    )
    assert.deepStrictEqual({ abandoned, ended, interrupted }, { abandoned: 0, ended: 1, interrupted: 0 })
    assert.match(text, /^retry: \d+\n\nevent: full\n/)
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.merge(
        Layer.provideMerge(
          HttpDrain.layer({ within: "20 seconds" }),
          NodeHttpServer.layer(createServer, { port: 0 })
        ),
        Observability.layer()
      )
    )
  )
)
