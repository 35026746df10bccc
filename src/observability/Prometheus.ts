/**
 * Metrics of a program as text that Prometheus reads.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as MetricPair from "effect/MetricPair"
import { exposition } from "./exposition.js"

/**
 * The `Content-Type` of the text.
 *
 * @since 0.1.0
 * @category constants
 */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/**
 * Metrics in the text format of Prometheus, version 0.0.4, families and labels sorted by name.
 *
 * | Effect                                  | Prometheus                                                        |
 * | --------------------------------------- | ----------------------------------------------------------------- |
 * | a counter that is `incremental`         | a counter, its name ends with `_total`                            |
 * | any other counter, such as fibers alive | a gauge, since it may fall                                        |
 * | a frequency                             | a counter with the label `key` for the word                       |
 * | a histogram                             | a histogram, whose last bucket is `+Inf`                          |
 * | a summary                               | a summary; a quantile without a value is `NaN`                    |
 * | the tags `unit` and `time_unit`         | no label: `_seconds` or `_bytes` in the name, times in seconds    |
 * | a character that a name may not have    | `_`                                                               |
 * | two tags that become one label          | one label, its values joined by `;` in the order of the tags      |
 * | the tags `le`, `quantile`, `key`        | `exported_le` and so on, where the format uses the label itself   |
 * | two metrics that become one series      | their sum if both count, otherwise the first of them              |
 * | two types of metric of one name         | the second one (counter, histogram, summary, gauge) ends with `_2` |
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/; the rule for two tags is that of OpenTelemetry,
 * https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/.
 *
 * @example
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { Prometheus } from "effect-resilience/observability"
 *
 * const orders = Metric.counter("shop.orders", { description: "Orders taken", incremental: true })
 *
 * const program = Metric.increment(orders).pipe(
 *   Effect.zipRight(Metric.snapshot),
 *   Effect.map((pairs) => Prometheus.format(pairs.filter(({ metricKey }) => metricKey.name.startsWith("shop."))))
 * )
 * // # HELP shop_orders_total Orders taken
 * // # TYPE shop_orders_total counter
 * // shop_orders_total 1
 * ```
 *
 * @since 0.1.0
 * @category formatting
 */
export const format = (pairs: Iterable<MetricPair.MetricPair.Untyped>): string => exposition(pairs)

/**
 * All metrics of the program, those of Effect and its users too, as by {@link format}.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Prometheus } from "effect-resilience/observability"
 *
 * // HttpMetrics of "effect-resilience/http" is such a route, with a guard.
 * const routes = HttpRouter.empty.pipe(
 *   HttpRouter.get(
 *     "/metrics",
 *     Effect.map(Prometheus.text, (text) =>
 *       HttpServerResponse.text(text, { contentType: Prometheus.contentType })
 *     )
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category formatting
 */
export const text: Effect.Effect<string> = Effect.map(Metric.snapshot, format)
