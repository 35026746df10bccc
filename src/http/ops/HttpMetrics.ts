/**
 * The route from which Prometheus scrapes the metrics of a program.
 *
 * @since 0.1.0
 */
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Checked } from "../../policy/types.js"
import type * as HttpAdmin from "../admin/HttpAdmin.js"
import * as internal from "./metrics.js"

/**
 * @since 0.1.0
 * @category options
 */
export interface Options {
  /** Who may read, as for `HttpAdmin`. Another caller is answered with 403. Default: every caller. */
  readonly reading?: HttpAdmin.Reading | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface LayerRouterOptions extends Options {
  /** What comes before `/metrics`, such as `/ops`. Default: nothing. */
  readonly prefix?: HttpApiEndpoint.PathSegment | undefined
}

/**
 * `GET /metrics` as an `HttpRouter`: all metrics of the program, those of Effect and its users too, as `Prometheus.text` writes them.
 * Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter } from "@effect/platform"
 * import { Config, Effect, Redacted } from "effect"
 * import { HttpMetrics } from "effect-resilience/http"
 *
 * const metrics = HttpMetrics.router({
 *   reading: {
 *     authorize: ({ request }) =>
 *       Effect.map(
 *         Config.redacted("SCRAPE_TOKEN"),
 *         (token) => request.headers.authorization === `Bearer ${Redacted.value(token)}`
 *       )
 *   }
 * })
 * const routes = Effect.map(metrics, (router) => HttpRouter.mount(HttpRouter.empty, "/ops", router)) // GET /ops/metrics
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const router: {
  (): Effect.Effect<HttpRouter.HttpRouter>
  <O>(options: Checked<O, Options>): Effect.Effect<HttpRouter.HttpRouter, never, HttpAdmin.ReadingContext<O>>
} = (options: Options = {}) =>
  Effect.map(internal.make("HttpMetrics.router", options), (handler) =>
    HttpRouter.get(HttpRouter.empty, "/metrics", handler)
  )

/**
 * `GET /metrics` as a layer for an `HttpLayerRouter`, as by {@link router}. Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpHealth, HttpMetrics } from "effect-resilience/http"
 *
 * const Routes = Layer.mergeAll(
 *   HttpHealth.layerRouter({ prefix: "/ops" }), // GET /ops/health and /ops/ready
 *   HttpMetrics.layerRouter({ prefix: "/ops" }) // GET /ops/metrics
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const layerRouter: {
  (): Layer.Layer<never, never, HttpLayerRouter.HttpRouter>
  <O>(
    options: Checked<O, LayerRouterOptions>
  ): Layer.Layer<never, never, HttpLayerRouter.HttpRouter | HttpAdmin.ReadingContext<O>>
} = (options: LayerRouterOptions = {}) =>
  Layer.unwrapEffect(
    Effect.map(internal.make("HttpMetrics.layerRouter", options), (handler) =>
      HttpLayerRouter.add("GET", `${options.prefix ?? ""}/metrics`, handler)
    )
  )
