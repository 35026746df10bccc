/**
 * Ends a server without losing requests: new ones are answered with 503, running ones get the time to end, and idle
 * connections are closed.
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

// ------------------------------------------------------------------------------------------------------------- models

/**
 * @since 0.1.0
 * @category errors
 */
export { ServerDraining } from "../problem/errors.js"

/**
 * Whether requests are taken: `serving`, then `draining`, then `drained` when the last of them has ended. There is no way
 * back.
 *
 * @since 0.1.0
 * @category models
 */
export type State = "serving" | "draining" | "drained"

/**
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly name: string
  readonly state: State
  /** Requests that are in: up to the last byte of the response around a server. */
  readonly running: number
  /** Requests that ended by themselves after draining began. */
  readonly ended: number
  /** Requests that were interrupted because they took too long to end. */
  readonly interrupted: number
  /** Requests that were answered with 503. */
  readonly rejected: number
}

/**
 * Draining begins.
 *
 * @since 0.1.0
 * @category events
 */
export interface DrainStarted {
  readonly name: string
  /** Requests that have to end. */
  readonly running: number
}

/**
 * What became of the requests.
 *
 * @since 0.1.0
 * @category events
 */
export interface Drained {
  readonly name: string
  /** Requests that ended by themselves after draining began. */
  readonly ended: number
  /** Requests that were interrupted, and had ended when draining did. */
  readonly interrupted: number
  /** Requests that did not end even when interrupted. Their connections were closed. */
  readonly abandoned: number
  /** Requests that were answered with 503 until now. */
  readonly rejected: number
}

/**
 * A server that can be drained.
 *
 * @since 0.1.0
 * @category models
 */
export interface Drain {
  readonly [TypeId]: TypeId
  readonly name: string
  /** Middleware that counts requests while they run, and answers new ones with 503 as soon as draining has begun. */
  readonly protect: HttpProtection.Part
  /**
   * Drains, and returns when no request is left. Called again, it waits for the same end. An interruption leaves the server
   * draining.
   */
  readonly drain: Effect.Effect<Drained>
  readonly state: Effect.Effect<State>
  readonly snapshot: Effect.Effect<Snapshot>
  /** A route for readiness probes: 200 while requests are taken, 503 from the moment in which draining begins. */
  readonly readiness: Effect.Effect<HttpServerResponse.HttpServerResponse>
}

/**
 * The drain of the program's server.
 *
 * @since 0.1.0
 * @category tags
 */
export class HttpDrain extends Context.Tag("effect-resilience/http/HttpDrain")<HttpDrain, Drain>() {}

// ------------------------------------------------------------------------------------------------------------ options

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
  /**
   * How long requests are still taken after draining has begun, while readiness says no already: the time in which a load
   * balancer notices. Default: 0.
   */
  readonly delay?: DurationInput | undefined
  /** How long running requests have to end, after `delay`. Then they are interrupted. Default: 20 seconds. */
  readonly within?: DurationInput | undefined
  /**
   * How long interrupted requests have for their finalizers. Then their connections are closed, and draining ends without
   * them. Default: 2 seconds.
   */
  readonly interruptWithin?: DurationInput | undefined
  /**
   * Requests that are let in at all times and not waited for, such as those of a liveness probe. Default: none.
   */
  readonly exempt?: ((request: HttpServerRequest.HttpServerRequest) => boolean) | undefined
  /**
   * The server of Node.js whose idle connections are closed. Default: the one that the requests come to, which is unknown
   * until the first one.
   */
  readonly server?: ClosableServer | undefined
  /** The name in events and in the error. Default: `"drain"`. */
  readonly name?: string | undefined
  /** Called when draining begins. A listener that fails or dies is reported in the log and changes nothing. */
  readonly onDraining?: ((event: DrainStarted) => Effect.Effect<unknown, unknown>) | undefined
  /** Called when draining has ended. */
  readonly onDrained?: ((event: Drained) => Effect.Effect<unknown, unknown>) | undefined
}

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Drains whatever is served, when its scope closes: on `SIGTERM` and `SIGINT` in a program that `runMain` runs, and by
 * {@link drain} before. To be provided to `HttpServer.serve`, `HttpLayerRouter.serve` or `HttpApiBuilder.serve`, with the
 * layer of the server provided to it.
 *
 * **Time line**
 *
 * When draining begins, readiness says no. After `delay`, new requests are answered with 503, `Retry-After` and
 * `Connection: close`, also on connections that were open, and idle connections are closed. Requests that run are left
 * alone, up to the last byte of their response, and their connections are closed after it. What still runs after `within`
 * is interrupted: it is answered with the same 503, or cut off where its response has begun. The rest of the program is
 * released after that, so that no request loses what it uses.
 *
 * Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
 * import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { HttpDrain } from "effect-resilience/http"
 * import { createServer } from "node:http"
 *
 * const routes = HttpRouter.empty.pipe(
 *   HttpRouter.get("/offer", HttpServerResponse.text("an offer")),
 *   HttpRouter.get("/ready", HttpDrain.readiness)
 * )
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
      const { closeConnections, value } = yield* Effect.sync(() =>
        construct("HttpDrain.layer", options === undefined ? {} : options)
      )
      yield* Effect.addFinalizer(() => closeConnections)
      const draining = HttpServer.make({
        address: server.address,
        serve: (app, middleware) =>
          Effect.zipRight(
            // In the scope of this layer, so that nobody finds the server without a handler while the program ends.
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
 * A drain by hand: its middleware belongs outermost around the server, `HttpServer.serve(app, protect)`, and its `drain`
 * before the server's scope closes. Bad options are a defect of type `InvalidOption`.
 *
 * **When to use**
 *
 * For a server that {@link layer} cannot be provided to, or for a part of one.
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
 *   const { interrupted } = yield* drain
 *   yield* Effect.log(`drained, ${interrupted} requests were interrupted`)
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <O extends Types.NoExcessProperties<Options, O>>(options?: O): Effect.Effect<Drain> =>
  Effect.sync(() => construct("HttpDrain.make", options === undefined ? {} : options).value)

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

const construct = (constructorName: string, options: Options) => {
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

// ---------------------------------------------------------------------------------------------------------- accessors

/**
 * Drains the program's server, and returns when no request is left.
 *
 * @since 0.1.0
 * @category accessors
 */
export const drain: Effect.Effect<Drained, never, HttpDrain> = Effect.flatMap(HttpDrain, ({ drain }) => drain)

/**
 * A route for readiness probes: 200 while requests are taken, 503 from the moment in which draining begins.
 *
 * @since 0.1.0
 * @category accessors
 */
export const readiness: Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpDrain> =
  Effect.flatMap(HttpDrain, ({ readiness }) => readiness)

/**
 * What there is to know about the drain of the program's server.
 *
 * @since 0.1.0
 * @category accessors
 */
export const snapshot: Effect.Effect<Snapshot, never, HttpDrain> = Effect.flatMap(
  HttpDrain,
  ({ snapshot }) => snapshot
)
