/**
 * Routes that show the policies of a service to people, dashboards and scripts, and steer them where that is allowed. Without a list
 * of policies they show those of the registry.
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
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as Etag from "@effect/platform/Etag"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Bulkhead from "../../bulkhead/Bulkhead.js"
import type * as Cache from "../../cache/Cache.js"
import type * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import type { Checked } from "../../policy/types.js"
import type { AnyCache, Instance, Registry } from "../../observability/Registry.js"
import type * as Policy from "../../policy/Policy.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type * as RetryBudget from "../../retryBudget/RetryBudget.js"
import type { ProvidedIn, WithGroup } from "./api.js"
import * as internal from "./admin.js"
import * as description from "./group.js"
import type * as names from "./names.js"

/**
 * @since 0.1.0
 * @category models
 */
export { Action, Kind } from "./names.js"

/**
 * @since 0.1.0
 * @category errors
 */
export * from "./errors.js"

interface EntryOf<Kind, State, Snapshot> {
  readonly kind: Kind
  readonly name: string
  /** What a call would meet. */
  readonly state: State
  readonly snapshot: Snapshot
}

/**
 * @since 0.1.0
 * @category models
 */
export interface CircuitBreakerEntry extends EntryOf<
  "circuit-breaker",
  CircuitBreaker.State,
  CircuitBreaker.Snapshot
> {}

/**
 * `available` when a call of one permit would run at once, otherwise `full`.
 *
 * @since 0.1.0
 * @category models
 */
export interface BulkheadEntry extends EntryOf<"bulkhead", "available" | "full", Bulkhead.Snapshot> {}

/**
 * `available` when a call of cost 1 would be admitted at once, otherwise `exhausted`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateLimiterEntry extends EntryOf<
  "rate-limiter",
  "available" | "exhausted",
  RateLimiter.Snapshot
> {}

/**
 * `exhausted` when the last retry or hedge that asked was refused, otherwise `available`. In JSON, a `capacity` without a limit is
 * `null`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryBudgetEntry extends EntryOf<
  "retry-budget",
  "available" | "exhausted",
  RetryBudget.Snapshot
> {}

/**
 * @since 0.1.0
 * @category models
 */
export interface CacheEntry extends EntryOf<"cache", "empty" | "filled", Cache.Snapshot> {}

/**
 * A policy as it is shown.
 *
 * @since 0.1.0
 * @category models
 */
export type Entry = CircuitBreakerEntry | BulkheadEntry | RateLimiterEntry | RetryBudgetEntry | CacheEntry

/**
 * Entries to and from JSON.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { HttpAdmin } from "effect-resilience/http"
 *
 * const decode = Schema.decode(Schema.parseJson(HttpAdmin.Entry))
 * const isOpen = (json: string) => Effect.map(decode(json), ({ state }) => state === "open")
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const Entry: Schema.Schema<Entry, Schema.Schema.Encoded<typeof description.Entry>> = description.Entry

/**
 * @since 0.1.0
 * @category options
 */
export type { AnyCache, Instance } from "../../observability/Registry.js"

/**
 * A keyed policy, as by `CircuitBreaker.keyed`. Each instance is shown as `name/key`.
 *
 * @since 0.1.0
 * @category options
 */
export type Keyed = Policy.Keyed<Exclude<Instance, AnyCache>, Exclude<Entry, CacheEntry>["snapshot"]>

/**
 * A policy, a keyed policy, or an effect that finds either, such as a tag. It runs once, when the routes are made.
 *
 * @since 0.1.0
 * @category options
 */
export type Source<R = unknown> = Instance | Keyed | Effect.Effect<Instance | Keyed, never, R>

/**
 * @since 0.1.0
 * @category options
 */
export interface Asked {
  readonly request: HttpServerRequest.HttpServerRequest
  /** The name in the path, decoded. It may be one that no policy has. */
  readonly name: string
  /** The kind of the policy; without exactly one policy of this name, the kind that was asked for, if any. */
  readonly kind: names.Kind | undefined
  readonly action: names.Action
}

/**
 * @since 0.1.0
 * @category options
 */
export interface AskedToRead {
  readonly request: HttpServerRequest.HttpServerRequest
  /** The name in the path, decoded, and `undefined` when all policies are asked for. */
  readonly name: string | undefined
  /** The kind that was asked for, and `undefined` when none was. */
  readonly kind: names.Kind | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Reading {
  /** Whether it may be read, asked before the answer says anything. A hook that fails or dies denies it, and is logged. */
  readonly authorize: (asked: AskedToRead) => Effect.Effect<boolean, unknown, unknown>
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Steering {
  /** Whether it may be done, asked before the answer says anything. A hook that fails or dies denies it. Default: no. */
  readonly authorize?: ((asked: Asked) => Effect.Effect<boolean, unknown, unknown>) | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Options {
  /**
   * What is shown, in this order. Two of one kind and name are a defect of type `InvalidOption`. Default: what the `Registry` has at
   * each request, without policies that have no snapshot.
   */
  readonly policies?: ReadonlyArray<Source> | undefined
  /** Who may read. Default: every caller. */
  readonly reading?: Reading | undefined
  /** Whether keyed instances are named by their keys or by hashes, which last as long as the routes. Default: `"plain"`. */
  readonly keys?: "plain" | "hashed" | undefined
  /** How policies are steered. Default: not at all, every `POST` is answered with 403. */
  readonly steering?: Steering | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface LayerRouterOptions extends Options {
  /** What comes before `/resilience`, such as `/ops`. Default: nothing. */
  readonly prefix?: HttpApiEndpoint.PathSegment | undefined
}

/**
 * What the policies among the options require, or the registry where none are given.
 *
 * @since 0.1.0
 * @category options
 */
export type PoliciesContext<O> = O extends { readonly policies?: infer Given }
  ? unknown extends Given
    ? Registry
    : GivenContext<Given>
  : Registry

type GivenContext<Given> =
  Given extends ReadonlyArray<infer S> ? SourceContext<S> : Given extends undefined ? Registry : never

type SourceContext<S> = S extends Effect.Effect<unknown, unknown, infer R> ? R : never

/**
 * What the hook for steering requires besides what a request brings.
 *
 * @since 0.1.0
 * @category options
 */
export type SteeringContext<O> = O extends { readonly steering: infer S } ? HookContext<S> : never

type HookContext<S> = Exclude<Policy.ContextOf<S>, HttpRouter.HttpRouter.Provided>

/**
 * What the hook for reading requires besides what a request brings.
 *
 * @since 0.1.0
 * @category options
 */
export type ReadingContext<O> = O extends { readonly reading: infer S } ? HookContext<S> : never

/**
 * The routes, as a group named `resilience` for an `HttpApi` of one's own. {@link layer} implements it.
 *
 * | Endpoint | Route                                                            | Replies with                |
 * | -------- | ---------------------------------------------------------------- | --------------------------- |
 * | `list`   | `GET /resilience`                                                | all entries                 |
 * | `get`    | `GET /resilience/:name?kind=`                                    | an entry                    |
 * | `steer`  | `POST /resilience/:name/{isolate,release,open,close,reset}?kind=` | the entry after the action |
 *
 * A name is percent-encoded in the path. The router takes at most 100 characters, unless its `maxParamLength` says otherwise.
 *
 * **Adds** {@link ReadingDenied} (403), {@link PolicyNotFound} (404), {@link PolicyAmbiguous} (409), {@link SteeringDenied} (403)
 * and {@link ActionNotSupported} (409).
 *
 * @example
 * ```ts
 * import { HttpApi, HttpApiBuilder } from "@effect/platform"
 * import { Layer } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 * import { HttpAdmin } from "effect-resilience/http"
 *
 * class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
 * class Api extends HttpApi.make("offers").add(HttpAdmin.group.prefix("/ops")) {}
 *
 * const ApiLive = HttpApiBuilder.api(Api).pipe(Layer.provide(HttpAdmin.layer(Api, { policies: [Partner] })))
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
 * import { HttpAdmin } from "effect-resilience/http"
 *
 * const program = Effect.gen(function* () {
 *   const { resilience } = yield* HttpApiClient.make(HttpAdmin.api, { baseUrl: "http://localhost:8001" })
 *   yield* resilience.steer({ path: { name: "partner", action: "isolate" }, urlParams: {} })
 *   return yield* resilience.list()
 * })
 * ```
 *
 * @since 0.1.0
 * @category api
 */
export const api = HttpApi.make("effect-resilience").add(group)

/**
 * Implements {@link group} in an `HttpApi` that has it; {@link router} and {@link layerRouter} need no api. Bad options are a
 * defect of type `InvalidOption`.
 *
 * It requires what the policies and the hooks require, and the middlewares of the group. Hooks find what those provide, such as a
 * user.
 *
 * @example
 * ```ts
 * import { HttpApi } from "@effect/platform"
 * import { Config, Effect, Redacted } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 * import { HttpAdmin } from "effect-resilience/http"
 *
 * class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
 * class Api extends HttpApi.make("offers").add(HttpAdmin.group) {}
 *
 * // Layer<ApiGroup<"offers", "resilience">, never, Partner>
 * const AdminLive = HttpAdmin.layer(Api, {
 *   policies: [Partner],
 *   steering: {
 *     authorize: ({ request }) =>
 *       Effect.map(
 *         Config.redacted("OPS_TOKEN"),
 *         (token) => request.headers.authorization === `Bearer ${Redacted.value(token)}`
 *       )
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const layer = <ApiId extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, ApiError, ApiR, O>(
  api: HttpApi.HttpApi<ApiId, Groups, ApiError, ApiR> &
    WithGroup<Groups, typeof group, "the api has no HttpAdmin.group">,
  options?: Checked<O, Options>
): Layer.Layer<
  HttpApiGroup.ApiGroup<ApiId, "resilience">,
  never,
  | Exclude<PoliciesContext<O>, Scope.Scope>
  | Exclude<ReadingContext<O> | SteeringContext<O>, ProvidedIn<Groups, ApiR, "resilience">>
  | HttpApiGroup.HttpApiGroup.MiddlewareWithName<Groups, "resilience">
> =>
  Layer.unwrapScoped(
    Effect.map(internal.make("HttpAdmin.layer", options), (admin) =>
      // Middlewares that the user has added change the types of the group, and nothing of what its handlers do.
      internal.handlers(api as unknown as HttpApi.HttpApi<ApiId, typeof group, HttpApiDecodeError>, admin)
    )
  )

/**
 * The routes as an `HttpRouter`. Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpAdmin } from "effect-resilience/http"
 * import { Observability } from "effect-resilience/observability"
 *
 * // Effect<HttpRouter, never, Registry>
 * const routes = Effect.map(HttpAdmin.router(), (admin) =>
 *   HttpRouter.mount(HttpRouter.empty, "/ops", admin) // GET /ops/resilience
 * )
 *
 * const program = Effect.provide(routes, Observability.layer())
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const router = <O>(
  options?: Checked<O, Options>
): Effect.Effect<HttpRouter.HttpRouter, never, PoliciesContext<O> | ReadingContext<O> | SteeringContext<O>> =>
  Effect.flatMap(internal.make("HttpAdmin.router", options), (admin) => internal.routes(api, admin))

/**
 * The routes as a layer for an `HttpLayerRouter`. Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { CircuitBreaker } from "effect-resilience"
 * import { HttpAdmin } from "effect-resilience/http"
 *
 * class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
 *
 * const Routes = HttpAdmin.layerRouter({ policies: [Partner], prefix: "/ops" }) // GET /ops/resilience
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
  | Exclude<PoliciesContext<O>, Scope.Scope>
  | ReadingContext<O>
  | SteeringContext<O>
  | HttpLayerRouter.HttpRouter
  | HttpPlatform.HttpPlatform
  | Etag.Generator
  | FileSystem.FileSystem
  | Path.Path
> =>
  Layer.unwrapScoped(
    Effect.map(internal.make("HttpAdmin.layerRouter", options), (admin) => {
      const prefix = options?.prefix
      const served = prefix === undefined ? api : api.prefix(prefix)
      return Layer.provide(HttpLayerRouter.addHttpApi(served), internal.handlers(served, admin))
    })
  )
