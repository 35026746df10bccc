// What the dashboard takes from a socket.
import { HttpClient, HttpClientRequest, HttpServer } from "@effect/platform"
import { assert, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { HttpDashboard } from "effect-resilience/http"
import { Observability } from "effect-resilience/observability"
import { steeringHeader } from "../../../src/http/dashboard/protocol.js"
import { anybody, onServer } from "../support/admin.js"

it.live("a request to steer is read up to a length that is enough for any name", () =>
  Effect.gen(function* () {
    yield* HttpServer.serveEffect(yield* HttpDashboard.router({ steering: anybody }))
    const steer = (name: string) =>
      HttpClientRequest.post("/dashboard/steer", {
        headers: { [steeringHeader]: "1", "sec-fetch-site": "same-origin" }
      }).pipe(
        HttpClientRequest.bodyUnsafeJson({ kind: "circuit-breaker", name, action: "isolate" }),
        HttpClient.execute,
        Effect.map(({ status }) => status)
      )
    assert.strictEqual(yield* steer("x".repeat(10_000)), 404)
    // The server may end the connection before its answer is read.
    const tooLong = yield* Effect.option(steer("x".repeat(100_000)))
    assert.notStrictEqual(Option.getOrUndefined(tooLong), 404)
  }).pipe(onServer, Effect.provide(Observability.layer()))
)
