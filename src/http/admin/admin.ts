/** What the admin routes do: read, and steer when that is allowed. */
import type * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpRouter from "@effect/platform/HttpRouter"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { among, callable, type Check, InvalidOption, object, type Shape } from "../../core/options.js"
import { quoted } from "../../internal/quoted.js"
import { Registry } from "../../observability/Registry.js"
import type * as HttpAdmin from "./HttpAdmin.js"
import {
  ActionNotSupported,
  PolicyAmbiguous,
  PolicyNotFound,
  ReadingDenied,
  SteeringDenied
} from "./errors.js"
import type { group } from "./group.js"
import type { Action, Kind } from "./names.js"
import { hashing } from "./keys.js"
import { siteOf } from "./site.js"
import { places, registered, type Shown } from "./sources.js"

type Request = HttpServerRequest.HttpServerRequest
type Shows<Denied> = Effect.Effect<HttpAdmin.Entry, Denied | PolicyNotFound | PolicyAmbiguous>

/** What the routes do. */
export interface Admin {
  readonly list: (request: Request) => Effect.Effect<ReadonlyArray<HttpAdmin.Entry>, ReadingDenied>
  readonly get: (request: Request, name: string, kind: Kind | undefined) => Shows<ReadingDenied>
  readonly steer: (
    request: Request,
    name: string,
    kind: Kind | undefined,
    action: Action
  ) => Shows<SteeringDenied | ActionNotSupported>
}

const steeringShape: Shape<HttpAdmin.Steering> = { authorize: callable }
const readingShape: Shape<HttpAdmin.Reading> = { authorize: callable }

/** The options of all routes that show policies. */
export const guardShape: Shape<Pick<HttpAdmin.Options, "reading" | "keys" | "steering">> = {
  reading: (policy, option, value) => {
    object(policy, option, value, readingShape)
    callable(policy, `${option}.authorize`, Reflect.get(Object(value), "authorize"))
  },
  keys: among("plain", "hashed"),
  steering: (policy, option, value) => object(policy, option, value, steeringShape)
}

/** What comes before the paths of routes. */
export const prefixCheck: Check = (policy, option, value) => {
  if (typeof value !== "string" || !value.startsWith("/")) {
    throw new InvalidOption(policy, option, value, 'a path that begins with "/"')
  }
}

const shape: Shape<HttpAdmin.Options> = {
  policies: (policy, option, value) => {
    if (!Array.isArray(value)) throw new InvalidOption(policy, option, value, "a list of policies")
  },
  ...guardShape
}

const layerRouterShape: Shape<HttpAdmin.LayerRouterOptions> = {
  ...shape,
  prefix: prefixCheck
}

/** Finds the policies. What they, the hooks and the registry require stands in the public types. */
export const make = (policy: string, options: HttpAdmin.Options = {}): Effect.Effect<Admin> => {
  const made: Effect.Effect<Admin, never, unknown> = Effect.gen(function* () {
    object(policy, "", options, policy === "HttpAdmin.layerRouter" ? layerRouterShape : shape)
    const { keys = "plain", policies, reading, steering } = options
    const hash = keys === "hashed" ? yield* hashing : undefined
    const known =
      policies === undefined ? [registered(yield* Registry, hash)] : yield* places(policy, policies, hash)
    const readable = reader(reading)
    const find = (name: string, kind: Kind | undefined): Effect.Effect<ReadonlyArray<Shown>> =>
      Effect.map(
        Effect.forEach(known, (place) => place.named(name)),
        (found) => found.flat().filter((shown) => kind === undefined || shown.kind === kind)
      )

    return {
      list: (request) =>
        Effect.zipRight(
          readable({ request, name: undefined, kind: undefined }),
          Effect.flatMap(
            Effect.forEach(known, (place) => place.list),
            (found) => Effect.forEach(found.flat(), (shown) => shown.entry)
          )
        ),
      get: (request, name, kind) =>
        Effect.zipRight(
          readable({ request, name, kind }),
          Effect.flatMap(find(name, kind), (found) =>
            Effect.flatMap(theOne(found, name, kind), (shown) => shown.entry)
          )
        ),
      steer: steerer(steering, find)
    }
  })
  return made as Effect.Effect<Admin>
}

/** Lets a request read, or fails. */
export const reader =
  (reading: HttpAdmin.Reading | undefined) =>
  (asked: HttpAdmin.AskedToRead): Effect.Effect<void, ReadingDenied> =>
    reading === undefined
      ? Effect.void
      : Effect.flatMap(authorized(reading.authorize, asked, "reading"), (isAllowed) =>
          isAllowed ? Effect.void : new ReadingDenied()
        )

/** Steers a policy that is found by its name, for those who may. */
export const steerer =
  (
    steering: HttpAdmin.Steering | undefined,
    find: (name: string, kind: Kind | undefined) => Effect.Effect<ReadonlyArray<Shown>>
  ): Admin["steer"] =>
  (request, name, kind, action) =>
    Effect.gen(function* () {
      const denied = (reason: SteeringDenied["reason"]) => new SteeringDenied({ name, action, reason })
      if (steering === undefined) return yield* denied("disabled")
      if (siteOf(request.headers) === "other") return yield* denied("cross-site")
      const found = yield* find(name, kind)
      const asked = { request, name, kind: found.length === 1 ? found[0]?.kind : kind, action }
      // Asked first: a client that may not steer does not learn which policies there are.
      if (!(yield* authorized(steering.authorize, asked, `"${action}"`))) return yield* denied("unauthorized")
      // Looked for again: the instance of a key may have been evicted, and made anew, while the hook was asked.
      const shown = yield* theOne(yield* find(name, asked.kind), name, kind)
      const act = shown.actions[action]
      if (act === undefined) {
        const supported = Object.keys(shown.actions) as ReadonlyArray<Action>
        return yield* new ActionNotSupported({ name, kind: shown.kind, action, supported })
      }
      yield* act
      return yield* shown.entry
    })

const theOne = (
  found: ReadonlyArray<Shown>,
  name: string,
  kind: Kind | undefined
): Effect.Effect<Shown, PolicyNotFound | PolicyAmbiguous> => {
  const [shown] = found
  if (shown === undefined) return new PolicyNotFound({ name, kind })
  return found.length > 1
    ? new PolicyAmbiguous({ name, kinds: found.map((each) => each.kind) })
    : Effect.succeed(shown)
}

/** Whether a hook allows it. A handler runs with the context in which it was made and that of the request. */
export const authorized = <Asked extends HttpAdmin.AskedToRead>(
  authorize: ((asked: Asked) => Effect.Effect<boolean, unknown, unknown>) | undefined,
  asked: Asked,
  what: string
): Effect.Effect<boolean> => {
  if (authorize === undefined) return Effect.succeed(false)
  const answer = Effect.suspend(() => authorize(asked) as Effect.Effect<boolean, unknown>)
  return Effect.catchAllCause(
    Effect.map(answer, (allowed) => allowed === true),
    (cause) =>
      Effect.as(
        Effect.logWarning(
          `${what} of ${asked.name === undefined ? "all policies" : quoted(asked.name)} is denied because its authorization did not succeed`,
          cause
        ),
        false
      )
  )
}

/** The layer that implements the group in an api that has it. */
export const handlers = <ApiId extends string>(
  api: HttpApi.HttpApi<ApiId, typeof group, HttpApiDecodeError>,
  admin: Admin
): Layer.Layer<HttpApiGroup.ApiGroup<ApiId, "resilience">> =>
  HttpApiBuilder.group(api, "resilience", (routes) =>
    routes
      .handle("list", ({ request }) => admin.list(request))
      .handle("get", ({ path, request, urlParams }) => admin.get(request, path.name, urlParams.kind))
      .handle("steer", ({ path, request, urlParams }) =>
        admin.steer(request, path.name, urlParams.kind, path.action)
      )
  )

export const routes = (
  api: HttpApi.HttpApi<string, typeof group, HttpApiDecodeError>,
  admin: Admin
): Effect.Effect<HttpRouter.HttpRouter> => routed(api, handlers(api, admin))

/** The handlers of an api as a router of their own, each with its errors written as responses. */
export const routed = <Id extends string, Group extends HttpApiGroup.HttpApiGroup.Any, Name extends string>(
  api: HttpApi.HttpApi<Id, Group, HttpApiDecodeError>,
  handlers: Layer.Layer<HttpApiGroup.ApiGroup<Id, Name>>
): Effect.Effect<HttpRouter.HttpRouter> =>
  Effect.gen(function* () {
    const writeErrors = yield* HttpApiBuilder.buildMiddleware(api)
    const router = yield* Effect.provide(
      HttpApiBuilder.Router.router,
      Layer.provideMerge(handlers, HttpApiBuilder.Router.Live)
    )
    const routes = HttpRouter.use(router, (handler) =>
      Effect.contextWithEffect(
        (context: Context.Context<HttpRouter.HttpRouter.Provided | HttpRouter.HttpRouter.DefaultServices>) =>
          writeErrors(Effect.provide(handler, context))
      )
    )
    // The types do not know that all errors of the group are in its schema and that its handlers need only their request.
    return routes as HttpRouter.HttpRouter
  })
