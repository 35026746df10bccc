// The edge of the program: what the policies do goes to OpenTelemetry, from there as spans to an exporter and as metrics to Prometheus.
import { Metrics, NodeSdk } from "@effect/opentelemetry"
import type { PrometheusExporter } from "@opentelemetry/exporter-prometheus"
import { SimpleSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base"
import { Effect, Layer } from "effect"
import { Observability } from "effect-resilience/observability"

export interface Options {
  readonly spans: SpanExporter
  readonly metrics: PrometheusExporter
}

/** Provide it under the layers of the policies and under the program. */
export const layer = ({ metrics, spans }: Options) =>
  Layer.merge(
    Observability.layer(),
    // Not as `metricReader` of the SDK: this exporter comes with a reader of its own version.
    Layer.scopedDiscard(
      Effect.map(Metrics.makeProducer, (producer) => metrics.setMetricProducer(producer))
    ).pipe(
      Layer.provideMerge(
        NodeSdk.layer(() => ({
          resource: { serviceName: "offers" },
          // One by one, to see each as it ends. A `BatchSpanProcessor` sends many at once.
          spanProcessor: new SimpleSpanProcessor(spans)
        }))
      )
    )
  )
