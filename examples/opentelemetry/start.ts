// Asks a partner for an offer once a second, prints the spans of each call and serves the metrics. Try: curl http://localhost:9464
import { NodeHttpClient } from "@effect/platform-node"
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus"
import { Console, Effect, Layer, Schedule } from "effect"
import { createServer } from "node:http"
import { port, run } from "../support/program.js"
import { listening } from "./listening.js"
import { offerOf } from "./offers.js"
import * as Partner from "./partner.js"
import * as Printed from "./printed.js"
import * as Telemetry from "./telemetry.js"

const main = Layer.unwrapScoped(
  Effect.gen(function* () {
    // With `{ port: 9464 }` instead it would have a server of its own.
    const metrics = new PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true })
    const server = createServer((request, response) => metrics.getMetricsRequestHandler(request, response))
    const url = yield* listening(server, yield* port(9464))
    yield* Effect.log(`Listening on ${url}`)
    const calls = Effect.gen(function* () {
      const offer = yield* offerOf(yield* Partner.start)
      yield* Effect.repeat(Effect.flatMap(offer, Console.log), Schedule.spaced("1 second"))
    })
    return Layer.scopedDiscard(calls).pipe(
      Layer.provide(Telemetry.layer({ metrics, spans: Printed.exporter(console.log) })),
      Layer.provide(NodeHttpClient.layerUndici)
    )
  })
)

run({
  command: "npx tsx examples/opentelemetry/start.ts",
  options: { port: "the port of the metrics, 0 for any free one (default: 9464)" },
  main
})
