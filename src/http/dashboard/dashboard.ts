/** What the routes of the dashboard do. */
import type * as HttpMethod from "@effect/platform/HttpMethod"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { object, type Shape, whole } from "../../core/options.js"
import { duration, optionMillis } from "../../internal/duration.js"
import * as Registry from "../../observability/Registry.js"
import * as Store from "../../observability/store.js"
import { authorized, guardShape, prefixCheck, reader, steerer } from "../admin/admin.js"
import { hashing } from "../admin/keys.js"
import { Action, Kind } from "../admin/names.js"
import { siteOf } from "../admin/site.js"
import { registered } from "../admin/sources.js"
import { HttpDrain } from "../server/HttpDrain.js"
import type * as HttpDashboard from "./HttpDashboard.js"
import { file, headers } from "./files.js"
import { Hub } from "./hub.js"
import { mostAsked, steeringHeader } from "./protocol.js"
import { Views } from "./views.js"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

export interface Route {
  readonly method: HttpMethod.HttpMethod & ("GET" | "POST")
  readonly path: `/${string}`
  readonly handler: Effect.Effect<Response, never, Request | Scope.Scope>
}

const interval = { bounds: [100, 10_000, "between 100 millis and 10 seconds"] } as const

const shape: Shape<HttpDashboard.Options> = {
  ...guardShape,
  interval: duration(interval),
  maxViewers: whole(1),
  maxPolicies: whole(1)
}

const layerRouterShape: Shape<HttpDashboard.LayerRouterOptions> = { ...shape, prefix: prefixCheck }

/** How long a page without room waits, in seconds. */
const retryAfter = 10

const uncached = { ...headers, "cache-control": "no-store" }

const refused = (status: number, message: string): Response =>
  HttpServerResponse.unsafeJson({ message }, { status, headers: uncached })

/** The routes, for as long as the scope. What the hooks require stands in the public types. */
export const make = (
  policy: string,
  options: HttpDashboard.Options = {}
): Effect.Effect<ReadonlyArray<Route>, never, Registry.Registry | Scope.Scope> =>
  Effect.gen(function* () {
    object(policy, "", options, policy === "HttpDashboard.layerRouter" ? layerRouterShape : shape)
    const { keys = "plain", maxPolicies = 1000, maxViewers = 20, reading, steering } = options
    const registry = yield* Registry.Registry
    const hash = keys === "hashed" ? yield* hashing : undefined
    const views = new Views({ registry, hash, store: yield* Store.found, maxPolicies })
    const hub = new Hub({
      read: (before, at) => views.read(before, at),
      interval: optionMillis(policy, "interval", options.interval ?? 500, interval),
      maxViewers,
      steering: steering?.authorize !== undefined
    })
    yield* Effect.addFinalizer(() => hub.close)

    const readable = reader(reading)
    /** Answers those who may read. */
    const guarded = <R>(handle: (request: Request) => Effect.Effect<Response, never, R>) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        readable({ request, name: undefined, kind: undefined }).pipe(
          Effect.zipRight(handle(request)),
          Effect.catchTag("ReadingDenied", ({ message }) => Effect.succeed(refused(403, message)))
        )
      )

    const { named } = registered(registry, hash)
    const find = (name: string, kind: Kind | undefined) =>
      Effect.map(named(name), (found) => found.filter((shown) => kind === undefined || shown.kind === kind))
    const steer = steerer(steering, find)

    const page = guarded((request) => {
      const [path = ""] = request.url.split("?")
      // What a page loads is found relative to its path, which a slash at its end would change.
      return path.endsWith("/")
        ? Effect.succeed(
            HttpServerResponse.empty({ status: 308, headers: { ...uncached, location: "../dashboard" } })
          )
        : file("", request.headers["if-none-match"])
    })

    const files = (name: string): Route => ({
      method: "GET",
      path: `/dashboard/${name}`,
      handler: guarded((request) => file(name, request.headers["if-none-match"]))
    })

    const events = guarded((request) =>
      Effect.gen(function* () {
        // Nothing is sent to those who ask for the headers alone.
        if (request.method === "HEAD") return HttpServerResponse.empty({ status: 200, headers: streaming })
        const viewer = yield* hub.join(yield* isServed)
        if (viewer === undefined) {
          const response = refused(503, "there is no room for another viewer")
          return HttpServerResponse.setHeader(response, "retry-after", String(retryAfter))
        }
        const messages = Stream.repeatEffectOption(
          Effect.flatMap(viewer.take, (message) =>
            message === undefined ? Effect.fail(Option.none()) : Effect.succeed(message)
          )
        )
        return HttpServerResponse.stream(Stream.encodeText(Stream.concat(begin, messages)), {
          headers: streaming
        })
      })
    )

    const actions = guarded((request) =>
      Effect.gen(function* () {
        const ids = (new URL(request.url, "http://localhost").searchParams.get("ids") ?? "").split(",")
        const allowed: Record<string, ReadonlyArray<Action>> = {}
        for (const id of ids.slice(0, mostAsked)) {
          const view = hub.current?.views.get(Number(id))
          if (view === undefined) continue
          const { name } = view
          const kind = view.kind as Kind
          allowed[view.id] = yield* Effect.filter(views.actions(view.id), (action) =>
            authorized(steering?.authorize, { request, name, kind, action }, `"${action}"`)
          )
        }
        return HttpServerResponse.unsafeJson(allowed, { headers: uncached })
      })
    )

    const steered = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      if (!isFromPage(request)) return refused(403, "only the page of the dashboard may steer policies")
      const body = yield* Effect.either(
        HttpServerRequest.withMaxBodySize(HttpServerRequest.schemaBodyJson(Asked), largestBody)
      )
      if (Either.isLeft(body)) return refused(400, "the body has to name a policy and an action")
      const { action, kind, name } = body.right
      return yield* steer(request, name, kind, action).pipe(
        Effect.as(HttpServerResponse.empty({ headers: uncached })),
        Effect.catchAll((error) => Effect.succeed(refused(statusOf[error._tag], error.message)))
      )
    })

    // A handler runs with the context in which it was made and that of the request.
    const context = yield* Effect.context<never>()
    const routes: ReadonlyArray<Route> = [
      { method: "GET", path: "/dashboard", handler: page },
      files("page.js"),
      files("page.css"),
      files("icon.svg"),
      { method: "GET", path: "/dashboard/events", handler: events },
      { method: "GET", path: "/dashboard/actions", handler: actions },
      { method: "POST", path: "/dashboard/steer", handler: steered }
    ]
    return routes.map((route) => ({
      ...route,
      handler: Effect.mapInputContext(route.handler, (ofRequest: Context.Context<Request | Scope.Scope>) =>
        Context.merge(context, ofRequest)
      )
    }))
  })

/** More than any name needs. It is read before it can be known who may steer what. */
const largestBody = Option.some(64 * 1024)

const begin = Stream.succeed("retry: 1000\n\n")

const streaming = {
  ...headers,
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  // A server that stops would wait for the connection, which becomes idle after it has looked for those that are.
  connection: "close",
  // For nginx, which would collect a stream and send it late.
  "x-accel-buffering": "no"
}

/** Whether the server of a request goes on serving: one that drains waits for this stream to end. */
const isServed = Effect.map(Effect.serviceOption(HttpDrain), (drain) =>
  drain._tag === "None" ? Effect.succeed(true) : Effect.map(drain.value.state, (state) => state === "serving")
)

const Asked = Schema.Struct({ kind: Kind, name: Schema.String, action: Action })

const statusOf = {
  SteeringDenied: 403,
  PolicyNotFound: 404,
  PolicyAmbiguous: 409,
  ActionNotSupported: 409
} as const

/**
 * Whether a request comes from the page of this server. Another site can send a `POST` with the cookies of its visitor, but no header
 * of its own unless it is allowed to (Fetch Standard, CORS protocol).
 */
const isFromPage = ({ headers }: Request): boolean =>
  headers[steeringHeader] !== undefined && siteOf(headers) === "own"
