/**
 * A page that shows all policies of a program live, and steers them where that is allowed.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpRouter from "@effect/platform/HttpRouter"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { DurationInput } from "../../internal/duration.js"
import type * as Registry from "../../observability/Registry.js"
import type { Checked } from "../../policy/types.js"
import type * as HttpAdmin from "../admin/HttpAdmin.js"
import * as internal from "./dashboard.js"

/**
 * @since 0.1.0
 * @category options
 */
export interface Options {
  /**
   * Who may read, asked for the page, for each file that it loads and when it connects. `name` and `kind` are `undefined`, since all
   * policies are asked for. Default: every caller.
   */
  readonly reading?: HttpAdmin.Reading | undefined
  /**
   * Who may steer. The hook is asked about each action of the policies in view, so that the page has buttons only for what may be
   * done, and again before an action. Default: no caller, and the page has no buttons.
   */
  readonly steering?: HttpAdmin.Steering | undefined
  /** Whether keyed instances are named by their keys or by hashes, which last as long as the routes. Default: `"plain"`. */
  readonly keys?: "plain" | "hashed" | undefined
  /** The time between two readings, from 100 milliseconds to 10 seconds. Default: 500 milliseconds. */
  readonly interval?: DurationInput | undefined
  /** How many pages may be connected at the same time; one more is answered with 503 and `Retry-After`. Default: 20. */
  readonly maxViewers?: number | undefined
  /**
   * How many policies are shown. Of more, those in trouble come first, then those of which something happened within 30 seconds, then
   * the busiest; the page says how many others there are, and in which states. Default: 1000.
   */
  readonly maxPolicies?: number | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface LayerRouterOptions extends Options {
  /** What comes before `/dashboard`, such as `/ops`. Default: nothing. */
  readonly prefix?: HttpApiEndpoint.PathSegment | undefined
}

/**
 * The dashboard as an `HttpRouter`, at `/dashboard` and below. It may be mounted anywhere. Bad options are a defect of type
 * `InvalidOption`.
 *
 * The policies are read only while a page is connected, once for all pages. Connections end with the scope, and when the server
 * drains.
 *
 * @example
 * ```ts
 * import { HttpRouter } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpDashboard } from "effect-resilience/http"
 *
 * // Effect<HttpRouter, never, Registry | Scope>
 * const routes = Effect.map(HttpDashboard.router(), (dashboard) =>
 *   HttpRouter.mount(HttpRouter.empty, "/ops", dashboard) // GET /ops/dashboard
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const router = <O>(
  options?: Checked<O, Options>
): Effect.Effect<
  HttpRouter.HttpRouter,
  never,
  Registry.Registry | Scope.Scope | HttpAdmin.ReadingContext<O> | HttpAdmin.SteeringContext<O>
> =>
  Effect.map(internal.make("HttpDashboard.router", options), (routes) =>
    routes.reduce<HttpRouter.HttpRouter>(
      (router, { handler, method, path }) => HttpRouter.route(method)(router, path, handler),
      HttpRouter.empty
    )
  )

/**
 * The dashboard as a layer for an `HttpLayerRouter`. Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpDashboard } from "effect-resilience/http"
 *
 * const Dashboard = HttpDashboard.layerRouter({
 *   prefix: "/ops", // GET /ops/dashboard
 *   reading: { authorize: ({ request }) => Effect.succeed("session" in request.cookies) }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const layerRouter = <O>(
  options?: Checked<O, LayerRouterOptions>
): Layer.Layer<
  never,
  never,
  | Registry.Registry
  | HttpLayerRouter.HttpRouter
  | Exclude<HttpAdmin.ReadingContext<O> | HttpAdmin.SteeringContext<O>, Scope.Scope>
> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const routes = yield* internal.make("HttpDashboard.layerRouter", options)
      const router = yield* HttpLayerRouter.HttpRouter
      const { prefix } = options ?? {}
      yield* (prefix === undefined ? router : router.prefixed(prefix)).addAll(
        routes.map(({ handler, method, path }) => HttpLayerRouter.route(method, path, handler))
      )
    })
  )
