// A server on its own socket for tests of the policies in front of one, and a client that can leave.
import { NodeHttpServer } from "@effect/platform-node"
import { type HttpApp, type HttpMiddleware, HttpServer, type HttpServerRequest } from "@effect/platform"
import { Effect, type Scope } from "effect"
import { createServer } from "node:http"

/** A server on a free port. In the end it does not wait for clients that keep their connections. */
export const listening = Effect.gen(function* () {
  const node = createServer()
  const server = yield* Effect.orDie(NodeHttpServer.make(() => node, { host: "127.0.0.1", port: 0 }))
  yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
  return server
})

/** The address of the server that a layer makes the program's. */
export const address = Effect.map(HttpServer.HttpServer, ({ address }) =>
  address._tag === "TcpAddress" ? `http://127.0.0.1:${address.port}` : ""
)

/** Serves an app, with a middleware around everything when there is one. */
export const serving = <E, R>(
  app: HttpApp.Default<E, R>,
  middleware?: HttpMiddleware.HttpMiddleware
): Effect.Effect<string, never, Scope.Scope | Exclude<R, HttpServerRequest.HttpServerRequest>> =>
  Effect.gen(function* () {
    const server = yield* listening
    yield* middleware === undefined ? server.serve(app) : server.serve(app, middleware)
    return yield* Effect.provideService(address, HttpServer.HttpServer, server)
  })

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** Makes a request and reads all of the response. An interruption is a client that leaves. */
export const request = (url: string, init: RequestInit = {}): Effect.Effect<Reply> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { ...init, signal })
    const text = await response.text()
    return { status: response.status, headers: Object.fromEntries(response.headers), text }
  })

/** The same for a response that may never come to its end. */
export const tried = (url: string): Effect.Effect<Reply, unknown> =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(url, { signal })
    const text = await response.text()
    return { status: response.status, headers: Object.fromEntries(response.headers), text }
  })

/** The fields of a reply that a policy answers for. */
export const told = ({ headers, status }: Reply): Readonly<Record<string, unknown>> => ({
  status,
  "retry-after": headers["retry-after"],
  ratelimit: headers["ratelimit"],
  "ratelimit-policy": headers["ratelimit-policy"],
  "cache-control": headers["cache-control"],
  "content-type": headers["content-type"]
})
