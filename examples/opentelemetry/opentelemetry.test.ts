// What arrives in OpenTelemetry of calls to a partner over real sockets.
import { assert, describe, it } from "@effect/vitest"
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus"
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace-base"
import { Effect } from "effect"
import { createServer } from "node:http"
import { live } from "../support/testing.js"
import { listening } from "./listening.js"
import { offerOf } from "./offers.js"
import * as Printed from "./printed.js"
import * as Telemetry from "./telemetry.js"

/** A partner that answers with these statuses, and then with 200. */
const partner = (...statuses: ReadonlyArray<number>) =>
  Effect.suspend(() => {
    const left = [...statuses]
    return listening(
      createServer((_, response) => void response.writeHead(left.shift() ?? 200).end("Hot offer")),
      0
    )
  })

/** Asks a partner for an offer several times, one after the other, and returns what was exported. */
const asked = (times: number, ...statuses: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const spans = new InMemorySpanExporter()
    const printed: Array<string> = []
    const metrics = new PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true })
    const url = yield* partner(...statuses)
    return yield* Effect.gen(function* () {
      const offer = yield* offerOf(url)
      const offers = yield* Effect.replicateEffect(offer, times)
      const { resourceMetrics } = yield* Effect.promise(() => metrics.collect())
      const finished = spans.getFinishedSpans()
      const printer = Printed.exporter((text) => printed.push(text))
      printer.export([...finished], () => {})
      return { offers, finished, printed, text: new PrometheusSerializer().serialize(resourceMetrics) }
    }).pipe(Effect.provide(Telemetry.layer({ metrics, spans })))
  })

describe("a program that exports to OpenTelemetry", () => {
  it.scopedLive("has one trace for a call with all of its attempts", () =>
    Effect.gen(function* () {
      const { finished, offers, printed } = yield* asked(1, 503)
      assert.deepStrictEqual(offers, ["Hot offer"])
      assert.strictEqual(new Set(finished.map((span) => span.spanContext().traceId)).size, 1)
      const root = finished.find(({ parentSpanContext }) => parentSpanContext === undefined)
      if (root === undefined) return assert.fail("a span has no parent")
      assert.strictEqual(root.name, "offer")
      assert.strictEqual(root.resource.attributes["service.name"], "offers")
      const attempts = finished.filter(({ attributes }) => "http.response.status_code" in attributes)
      assert.includeMembers(
        attempts.map(({ attributes }) => attributes["http.response.status_code"]),
        [503, 200]
      )
      const events = finished.flatMap((span) => span.events.map(({ name }) => name))
      assert.deepStrictEqual(events.sort(), ["resilience.attempt", "resilience.attempt", "resilience.retry"])
      assert.lengthOf(printed, 1)
      assert.match(printed[0] ?? "", /^offer \d+ ms[^]*• resilience.retry policy=partner attempt.number=1/)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("has the metrics of its policies", () =>
    Effect.gen(function* () {
      // Two calls of three attempts each: the fifth failure opens the circuit.
      const { offers, text } = yield* asked(2, 503, 503, 503, 503, 503)
      assert.deepStrictEqual(offers, ["Cold offer", "Cold offer"])
      assert.match(text, /^resilience_attempts_total\{.*kind="retry".*attempt_type="retry".*\} [1-9]/m)
      assert.match(text, /^resilience_circuit_state\{.*policy="partner".*state="open".*\} 1$/m)
      assert.match(text, /^resilience_call_duration_count\{.*outcome="failure".*\} [1-9]/m)
    }).pipe(Effect.provide(live))
  )
})

it.scopedLive("a server that cannot listen says why", () =>
  Effect.gen(function* () {
    const url = yield* listening(createServer(), 0)
    const error = yield* Effect.flip(listening(createServer(), Number(new URL(url).port)))
    assert.match(error.message, /EADDRINUSE/)
  })
)
