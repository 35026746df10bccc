// Serves an app on a local port, with a structured log line for every request, and drains it at the end.
import {
  HttpMiddleware,
  HttpServer,
  HttpServerError,
  HttpServerRequest,
  type HttpApp
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Clock, Effect, Layer, LogLevel } from "effect"
import { HttpDrain } from "effect-resilience/http"
import { createServer } from "node:http"

/**
 * Serves an app until the layer's scope closes, as on `SIGTERM` and Ctrl-C. Running requests then have five seconds to end, and new
 * ones are answered with 503. Port 0 takes any free port, which the `HttpServer` then names.
 */
export const serve = <E, R>(app: HttpApp.Default<E, R>, port: number) =>
  HttpServer.serve(app, logged).pipe(
    HttpServer.withLogAddress,
    Layer.provideMerge(draining),
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port, host: "127.0.0.1" }))
  )

const draining = HttpDrain.layer({
  within: "5 seconds",
  onDraining: ({ running }) => Effect.annotateLogs(Effect.log("shutting down"), { running })
})

/** The URL of a server. */
export const urlOf = (server: HttpServer.HttpServer): string => HttpServer.formatAddress(server.address)

/** Middleware runs uninterruptibly, so a request whose client has left is logged too, with status 499 as in nginx. */
const logged = HttpMiddleware.make((app) =>
  Effect.gen(function* () {
    const { method, url } = yield* HttpServerRequest.HttpServerRequest
    const startedAt = yield* Clock.currentTimeMillis
    const exit = yield* Effect.exit(app)
    const millis = (yield* Clock.currentTimeMillis) - startedAt
    const { status } = HttpServerError.exitResponse(exit)
    yield* Effect.logWithLevel(levelOf(status), "request").pipe(
      Effect.annotateLogs({ method, url, status, millis })
    )
    return yield* exit
  })
)

const levelOf = (status: number): LogLevel.LogLevel =>
  status >= 500 ? LogLevel.Error : status >= 400 ? LogLevel.Warning : LogLevel.Info
