/**
 * Routes for the probes of an orchestrator or a load balancer: whether the program lives, and whether it should get requests.
 *
 * @since 0.1.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpPlatform from "@effect/platform/HttpPlatform"
import type * as HttpRouter from "@effect/platform/HttpRouter"
import type * as Etag from "@effect/platform/Etag"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Health from "../../observability/Health.js"
import type { Registry } from "../../observability/Registry.js"
import type { Checked } from "../../policy/types.js"
import { routed } from "../admin/admin.js"
import type * as HttpAdmin from "../admin/HttpAdmin.js"
import type * as HttpDrain from "../server/HttpDrain.js"
import type { ProvidedIn, WithGroup } from "../admin/api.js"
import * as internal from "./probes.js"
import * as description from "./healthGroup.js"

// ------------------------------------------------------------------------------------------------------------- models

/**
 * @since 0.1.0
 * @category errors
 */
export { NotReady } from "./healthGroup.js"

/**
 * The health of a program as it is answered: at most 100 reasons, those that are down first. A server that drains is one, of the kind
 * `drain`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report extends Health.Report {
  /** How many reasons were left out; absent if none was. */
  readonly more?: number | undefined
}

/**
 * Reports to and from JSON.
 *
 * @since 0.1.0
 * @category models
 */
export const Report: Schema.Schema<Report> = description.Report

// ------------------------------------------------------------------------------------------------------------ options

/**
 * @since 0.1.0
 * @category options
 */
export interface Options extends Health.Options {
  /**
   * Who is told the reasons, which have the names of policies. Other callers get the status alone, so that probes need no secret.
   * Default: every caller.
   */
  readonly reading?: HttpAdmin.Reading | undefined
  /** The drain of the server. Default: the one of `HttpDrain.layer`, where the server has one. */
  readonly drain?: HttpDrain.Drain | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface LayerRouterOptions extends Options {
  /** What comes before `/health` and `/ready`, such as `/ops`. Default: nothing. */
  readonly prefix?: HttpApiEndpoint.PathSegment | undefined
}

// ---------------------------------------------------------------------------------------------------------------- api

/**
 * The routes, as a group named `health` for an `HttpApi` of one's own. {@link layer} implements it.
 *
 * | Endpoint | Route         | Replies with                                                                   |
 * | -------- | ------------- | ------------------------------------------------------------------------------ |
 * | `health` | `GET /health` | 200 as long as the process answers, whatever the status: for liveness probes   |
 * | `ready`  | `GET /ready`  | 200 while up or degraded; {@link NotReady} (503) while down, and while draining |
 *
 * Both answer with a {@link Report}, that of {@link NotReady} with a `_tag` besides. No cache may keep it.
 *
 * @example
 * ```ts
 * import { HttpApi, HttpApiBuilder } from "@effect/platform"
 * import { Layer } from "effect"
 * import { HttpHealth } from "effect-resilience/http"
 * import { Observability } from "effect-resilience/observability"
 *
 * class Api extends HttpApi.make("offers").add(HttpHealth.group) {}
 *
 * const ApiLive = HttpApiBuilder.api(Api).pipe(
 *   Layer.provide(HttpHealth.layer(Api)),
 *   Layer.provide(Observability.layer())
 * )
 * ```
 *
 * @since 0.1.0
 * @category api
 */
export const group = description.group

/**
 * An `HttpApi` of {@link group} alone: what a client is made from, and what {@link router} and {@link layerRouter} serve.
 *
 * @example
 * ```ts
 * import { HttpApiClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpHealth } from "effect-resilience/http"
 *
 * const program = Effect.gen(function* () {
 *   const { health } = yield* HttpApiClient.make(HttpHealth.api, { baseUrl: "http://localhost:8001" })
 *   const { reasons, status } = yield* health.ready()
 *   console.log(status, reasons)
 * })
 * ```
 *
 * @since 0.1.0
 * @category api
 */
export const api = HttpApi.make("effect-resilience-health").add(group)

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Implements {@link group} in an `HttpApi` that has it; {@link router} and {@link layerRouter} need no api. Bad options are a
 * defect of type `InvalidOption`.
 *
 * It requires the registry, what the hook requires, and the middlewares of the group. The `SharedStore` is judged too, if the context
 * has one.
 *
 * @example
 * ```ts
 * import { HttpApi } from "@effect/platform"
 * import { HttpHealth } from "effect-resilience/http"
 *
 * class Api extends HttpApi.make("offers").add(HttpHealth.group) {}
 *
 * // Layer<ApiGroup<"offers", "health">, never, Registry>
 * const HealthLive = HttpHealth.layer(Api, {
 *   rules: [{ kind: "circuit-breaker", name: "payments", state: "open", health: "down" }]
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const layer = <
  ApiId extends string,
  Groups extends HttpApiGroup.HttpApiGroup.Any,
  ApiError,
  ApiR,
  O = Options
>(
  api: HttpApi.HttpApi<ApiId, Groups, ApiError, ApiR> &
    WithGroup<Groups, typeof group, "the api has no HttpHealth.group">,
  options?: Checked<O, Options>
): Layer.Layer<
  HttpApiGroup.ApiGroup<ApiId, "health">,
  never,
  | Registry
  | Exclude<HttpAdmin.ReadingContext<O>, ProvidedIn<Groups, ApiR, "health">>
  | HttpApiGroup.HttpApiGroup.MiddlewareWithName<Groups, "health">
> =>
  Layer.unwrapEffect(
    Effect.map(internal.make("HttpHealth.layer", options), (health) =>
      // Middlewares that the user has added change the types of the group, and nothing of what its handlers do.
      internal.handlers(api as unknown as HttpApi.HttpApi<ApiId, typeof group, HttpApiDecodeError>, health)
    )
  )

/**
 * The routes as an `HttpRouter`. Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpHealth } from "effect-resilience/http"
 *
 * // Effect<HttpRouter, never, Registry>
 * const routes = Effect.map(HttpHealth.router(), (health) => HttpRouter.concat(HttpRouter.empty, health)) // GET /health
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const router: {
  (): Effect.Effect<HttpRouter.HttpRouter, never, Registry>
  <O>(
    options: Checked<O, Options>
  ): Effect.Effect<HttpRouter.HttpRouter, never, Registry | HttpAdmin.ReadingContext<O>>
} = (options: Options = {}) =>
  Effect.flatMap(internal.make("HttpHealth.router", options), (health) =>
    routed(api, internal.handlers(api, health))
  )

/**
 * The routes as a layer for an `HttpLayerRouter`. Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpHealth } from "effect-resilience/http"
 * import { Observability } from "effect-resilience/observability"
 *
 * const Routes = HttpHealth.layerRouter({ prefix: "/ops" }).pipe(Layer.provide(Observability.layer())) // GET /ops/ready
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const layerRouter: {
  (): Layer.Layer<never, never, Registry | Served>
  <O>(
    options: Checked<O, LayerRouterOptions>
  ): Layer.Layer<never, never, Registry | Served | HttpAdmin.ReadingContext<O>>
} = (options: LayerRouterOptions = {}) =>
  Layer.unwrapEffect(
    Effect.map(internal.make("HttpHealth.layerRouter", options), (health) => {
      const { prefix } = options
      const served = prefix === undefined ? api : api.prefix(prefix)
      return Layer.provide(HttpLayerRouter.addHttpApi(served), internal.handlers(served, health))
    })
  )

type Served =
  HttpLayerRouter.HttpRouter | HttpPlatform.HttpPlatform | Etag.Generator | FileSystem.FileSystem | Path.Path
