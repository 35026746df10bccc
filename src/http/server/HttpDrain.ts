/**
 * Stops a server without losing requests: it rejects new ones with 503, waits for running ones, and closes idle connections.
 *
 * @since 0.1.0
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Record from "effect/Record"
import * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import { callable, InvalidOption, object, type Shape, text } from "../../core/options.js"
import { type DurationInput, duration } from "../../internal/duration.js"
import * as Policy from "../../policy/Policy.js"
import * as HttpProtection from "./HttpProtection.js"
import { type Answering, answering, answeringShape } from "./answer.js"
import * as internal from "./drain.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-resilience/http/HttpDrain")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * @since 0.1.0
 * @category errors
 */
export { ServerDraining } from "../problem/errors.js"

/**
 * `serving`, then `draining`, then `drained` when no request is left.
 *
 * @since 0.1.0
 * @category models
 */
export type State = "serving" | "draining" | "drained"

/**
 * @since 0.1.0
 * @category models
 */
export interface Snapshot extends Counts {
  readonly state: State
  /** Running requests: around a server, until the last byte of the response. */
  readonly running: number
}

interface Counts {
  readonly name: string
  /** Requests that ended by themselves after draining began. */
  readonly ended: number
  /** Requests that had to be interrupted, and have ended. */
  readonly interrupted: number
  /** Requests that were answered with 503. */
  readonly rejected: number
}

/**
 * @since 0.1.0
 * @category events
 */
export interface DrainStarted {
  readonly name: string
  /** Requests that have to end. */
  readonly running: number
}

/**
 * @since 0.1.0
 * @category events
 */
export interface Drained extends Counts {
  /** Requests that did not end even when interrupted. Their connections were closed. */
  readonly abandoned: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Drain {
  readonly [TypeId]: TypeId
  readonly name: string
  /** Middleware that counts running requests, and answers new ones with 503 once draining has begun. */
  readonly protect: HttpProtection.Part
  /** Drains, and returns when no request is left. A second call waits for the same end. An interruption stops no drain. */
  readonly drain: Effect.Effect<Drained>
  readonly state: Effect.Effect<State>
  readonly snapshot: Effect.Effect<Snapshot>
  /** A route for readiness probes: 200 while serving, then 503. */
  readonly readiness: Effect.Effect<HttpServerResponse.HttpServerResponse>
}

/**
 * The drain of the program's server. {@link drain}, {@link readiness} and {@link snapshot} are its members.
 *
 * @since 0.1.0
 * @category tags
 */
export class HttpDrain extends Context.Tag("effect-resilience/http/HttpDrain")<HttpDrain, Drain>() {}

/**
 * The part of a server of Node.js that closes its connections.
 *
 * @since 0.1.0
 * @category options
 */
export interface ClosableServer {
  closeIdleConnections(): void
  closeAllConnections?(): void
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Options extends Answering {
  /** How long a draining server still admits requests, so that a load balancer can see its readiness. Default: 0. */
  readonly delay?: DurationInput | undefined
  /** How long running requests have after `delay` before they are interrupted. Default: 20 seconds. */
  readonly within?: DurationInput | undefined
  /** How long interrupted requests have for finalizers before their connections are closed. Default: 2 seconds. */
  readonly interruptWithin?: DurationInput | undefined
  /** Requests that are always admitted and not waited for, such as liveness probes. Default: none. */
  readonly exempt?: ((request: HttpServerRequest.HttpServerRequest) => boolean) | undefined
  /** The server of Node.js whose idle connections are closed. Default: that of the first request. */
  readonly server?: ClosableServer | undefined
  /** The name in events and in the error. Default: `"drain"`. */
  readonly name?: string | undefined
  /** Called when draining begins. A listener that fails or dies is reported in the log and changes nothing. */
  readonly onDraining?: ((event: DrainStarted) => Effect.Effect<unknown, unknown>) | undefined
  /** Called when draining has ended. */
  readonly onDrained?: ((event: Drained) => Effect.Effect<unknown, unknown>) | undefined
}

/**
 * Drains a server when its scope closes: on `SIGTERM` and `SIGINT` under `runMain`, or before by {@link drain}. Provide it to
 * `HttpServer.serve`, `HttpLayerRouter.serve` or `HttpApiBuilder.serve`, and the layer of the server to it.
 *
 * When draining begins, readiness is 503. After `delay`, new requests are answered with 503, `Retry-After` and
 * `Connection: close`, and idle connections are closed. Running requests go on to the last byte of their response, and then their
 * connections are closed. After `within` they are interrupted and answered with the same 503, or cut off if their response has
 * begun. Then the rest of the program is released. Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServer } from "@effect/platform"
 * import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { HttpDrain } from "effect-resilience/http"
 * import { createServer } from "node:http"
 *
 * const routes = HttpRouter.get(HttpRouter.empty, "/ready", HttpDrain.readiness)
 *
 * const ServerLive = HttpServer.serve(routes).pipe(
 *   Layer.provide(HttpDrain.layer({ within: "15 seconds" })),
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 3000 }))
 * )
 *
 * NodeRuntime.runMain(Layer.launch(ServerLive))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <O extends Types.NoExcessProperties<Options, O>>(
  options?: O
): Layer.Layer<HttpDrain | HttpServer.HttpServer, never, HttpServer.HttpServer> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const server = yield* HttpServer.HttpServer
      const scope = yield* Effect.scope
      const { closeConnections, value } = yield* Effect.sync(() => construct("HttpDrain.layer", options))
      yield* Effect.addFinalizer(() => closeConnections)
      const draining = HttpServer.make({
        address: server.address,
        serve: (app, middleware) =>
          Effect.zipRight(
            // In the scope of this layer, so that no request finds the server without a handler while the program ends.
            Scope.extend(
              server.serve(app, (app) => value.protect(middleware === undefined ? app : middleware(app))),
              scope
            ),
            Effect.addFinalizer(() => value.drain)
          )
      })
      return Context.make(HttpServer.HttpServer, draining).pipe(Context.add(HttpDrain, value))
    })
  )

/**
 * A drain by hand, where {@link layer} cannot be provided. Put its middleware outermost, `HttpServer.serve(app, protect)`, and
 * run `drain` before the server's scope closes. Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { type HttpApp, HttpServer } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpDrain } from "effect-resilience/http"
 *
 * declare const app: HttpApp.Default
 * declare const stopped: Effect.Effect<void>
 *
 * const program = Effect.gen(function* () {
 *   const { drain, protect } = yield* HttpDrain.make({ within: "15 seconds" })
 *   yield* HttpServer.serveEffect(app, protect)
 *   yield* stopped
 *   yield* drain
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <O extends Types.NoExcessProperties<Options, O>>(options?: O): Effect.Effect<Drain> =>
  Effect.sync(() => construct("HttpDrain.make", options).value)

const aTime = duration({ zero: true })

const shape: Shape<Options> = {
  ...answeringShape,
  delay: aTime,
  within: aTime,
  interruptWithin: aTime,
  exempt: callable,
  server: (policy, option, value) => {
    if (!Predicate.hasProperty(value, "closeIdleConnections")) {
      throw new InvalidOption(policy, option, value, "a server of Node.js")
    }
  },
  name: text,
  onDraining: callable,
  onDrained: callable
}

const construct = (constructorName: string, options: Options = {}) => {
  object(constructorName, "", options, shape)
  const { delay = 0, interruptWithin = "2 seconds", name = "drain", within = "20 seconds" } = options
  const times = {
    delay: Duration.toMillis(delay),
    within: Duration.toMillis(within),
    interruptWithin: Duration.toMillis(interruptWithin)
  }
  const settings = Record.map(times, Duration.millis)
  const { exempt, onDraining, onDrained, server } = options
  const answer = answering(options)
  const made = new internal.Drain({ name, ...times, exempt, server, onDraining, onDrained, answer })
  const { around, closeConnections, drain, snapshot, state } = made
  const protect: HttpProtection.Part = Object.assign(
    Policy.make<typeof around>({ kind: "drain", name, settings }, around),
    { [HttpProtection.TypeId]: identity<never> }
  )
  const readiness = Effect.map(state, (state) =>
    state === "serving"
      ? HttpServerResponse.text("ready", { headers: uncached })
      : HttpServerResponse.text(state, { status: 503, headers: uncached })
  )
  const value: Drain = { [TypeId]: TypeId, name, protect, drain, state, snapshot, readiness }
  return { closeConnections, value }
}

const uncached = { "cache-control": "no-store" }

/**
 * @since 0.1.0
 * @category accessors
 */
export const drain: Effect.Effect<Drained, never, HttpDrain> = Effect.flatMap(HttpDrain, ({ drain }) => drain)

/**
 * @since 0.1.0
 * @category accessors
 */
export const readiness: Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpDrain> =
  Effect.flatMap(HttpDrain, ({ readiness }) => readiness)

/**
 * @since 0.1.0
 * @category accessors
 */
export const snapshot: Effect.Effect<Snapshot, never, HttpDrain> = Effect.flatMap(
  HttpDrain,
  ({ snapshot }) => snapshot
)
