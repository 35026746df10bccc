// Draining over real sockets: what clients see of a server that ends.
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpLayerRouter,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Logger, Scope, Stream } from "effect"
import { HttpDrain } from "effect-resilience/http"
import { createServer } from "node:http"
import { address } from "../support/protectionServer.js"
import { until } from "../../support/until.js"
import { connect, get, post, statuses } from "../support/rawClient.js"

type Routes = HttpRouter.HttpRouter<unknown, HttpDrain.HttpDrain>
type Served = Layer.Layer<never, never, HttpServer.HttpServer | HttpDrain.HttpDrain>

const api = HttpApi.make("api").add(
  HttpApiGroup.make("all").add(HttpApiEndpoint.get("get", "/*")).add(HttpApiEndpoint.post("post", "/*"))
)

const servers: Readonly<Record<string, (routes: Routes) => Served>> = {
  "HttpServer.serve": (routes) => HttpServer.serve(routes),
  "HttpServer.serve with a middleware": (routes) =>
    HttpServer.serve(routes, (app) => Effect.tap(app, Effect.void)),
  "HttpLayerRouter.serve": (routes) =>
    HttpLayerRouter.serve(
      HttpLayerRouter.use((router) => router.add("*", "*", Effect.orDie(routes))),
      { disableLogger: true, disableListenLog: true }
    ),
  "HttpApiBuilder.serve": (routes) =>
    HttpApiBuilder.serve().pipe(
      Layer.provide(HttpApiBuilder.api(api)),
      Layer.provide(
        HttpApiBuilder.group(api, "all", (all) =>
          all.handleRaw("get", () => Effect.orDie(routes)).handleRaw("post", () => Effect.orDie(routes))
        )
      ),
      Layer.provide(HttpServer.layerContext)
    )
}

/** Routes of which one waits for the test. */
const routesFor = Effect.gen(function* () {
  const entered = yield* Deferred.make<void>()
  const interrupted = yield* Deferred.make<void>()
  const gate = yield* Deferred.make<void>()
  const wait = Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(gate))
  const routes: Routes = HttpRouter.empty.pipe(
    HttpRouter.get("/ok", HttpServerResponse.text("ok")),
    HttpRouter.get("/ready", HttpDrain.readiness),
    HttpRouter.post("/ok", HttpServerResponse.text("ok")),
    HttpRouter.post(
      "/read",
      Effect.map(
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => text),
        (text) => HttpServerResponse.text(text)
      )
    ),
    HttpRouter.get(
      "/wait",
      wait.pipe(
        Effect.as(HttpServerResponse.text("waited")),
        Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
      )
    ),
    HttpRouter.get(
      "/stream",
      HttpServerResponse.stream(
        Stream.concat(Stream.make("begun "), Stream.fromEffect(Effect.as(wait, "ended"))).pipe(
          Stream.encodeText
        )
      )
    )
  )
  return { entered, interrupted, gate, routes }
})

/** A program with a server, and what ends it as `SIGTERM` does: by interrupting the fiber in which it runs. */
const started = (served: Served, options: HttpDrain.Options = {}) =>
  Effect.gen(function* () {
    const node = createServer()
    const live = served.pipe(
      Layer.provideMerge(HttpDrain.layer({ within: "1 hour", ...options })),
      Layer.provideMerge(NodeHttpServer.layer(() => node, { host: "127.0.0.1", port: 0 }))
    )
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) =>
      Effect.zipRight(
        Effect.sync(() => node.closeAllConnections()),
        Scope.close(scope, Exit.void)
      )
    )
    const running = yield* Deferred.make<Context.Context<HttpServer.HttpServer | HttpDrain.HttpDrain>>()
    const program = yield* Effect.forkDaemon(
      Effect.scoped(
        Effect.flatMap(Layer.build(live), (context) =>
          Effect.zipRight(Deferred.succeed(running, context), Effect.never)
        )
      ).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
    )
    yield* Scope.addFinalizer(scope, Fiber.interrupt(program))
    const context = yield* Deferred.await(running)
    return {
      url: yield* Effect.provide(address, context),
      drain: Context.get(context, HttpDrain.HttpDrain),
      stop: Fiber.interrupt(program)
    }
  })

const isDraining = ({ snapshot }: HttpDrain.Drain) => until(snapshot, ({ state }) => state !== "serving")

for (const [name, serve] of Object.entries(servers)) {
  describe(`a server by ${name} that is told to stop`, () => {
    it.scopedLive("answers new requests with 503 on new and on kept connections, and closes them", () =>
      Effect.gen(function* () {
        const { entered, gate, routes } = yield* routesFor
        const { drain, stop, url } = yield* started(serve(routes))
        const [running, kept] = [yield* connect(url), yield* connect(url)]
        yield* running.send(get("/wait"))
        yield* Deferred.await(entered)
        const stopping = yield* Effect.fork(stop)
        yield* isDraining(drain)
        yield* kept.send(get("/ok"))
        const fresh = yield* connect(url)
        yield* fresh.send(get("/ok"))
        for (const answer of [yield* kept.closed, yield* fresh.closed]) {
          assert.deepStrictEqual(statuses(answer), [503])
          assert.match(answer, /^connection: close\r$/im)
          assert.match(answer, /^retry-after: 1\r$/im)
          assert.include(answer, "temporary-reduced-capacity")
        }
        yield* Deferred.succeed(gate, undefined)
        const answer = yield* running.closed
        assert.deepStrictEqual(statuses(answer), [200])
        assert.match(answer, /^connection: close\r$/im)
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(yield* drain.snapshot, {
          name: "drain",
          state: "drained",
          running: 0,
          ended: 1,
          interrupted: 0,
          rejected: 2
        })
      })
    )

    it.scopedLive("closes idle connections, and ends when nothing runs", () =>
      Effect.gen(function* () {
        const { routes } = yield* routesFor
        const { stop, url } = yield* started(serve(routes))
        const idle = yield* connect(url)
        yield* idle.send(get("/ok"))
        yield* idle.received((text) => text.endsWith("ok"))
        assert.isFalse(yield* idle.isClosed)
        yield* stop
        yield* idle.closed
      })
    )

    it.scopedLive("interrupts what does not end in time, and answers for it", () =>
      Effect.gen(function* () {
        const { entered, interrupted, routes } = yield* routesFor
        const { drain, stop, url } = yield* started(serve(routes), {
          within: "50 millis",
          interruptWithin: "1 hour"
        })
        const running = yield* connect(url)
        yield* running.send(get("/wait"))
        yield* Deferred.await(entered)
        yield* stop
        yield* Deferred.await(interrupted)
        const answer = yield* running.closed
        assert.deepStrictEqual(statuses(answer), [503])
        assert.match(answer, /^connection: close\r$/im)
        assert.include(answer, "temporary-reduced-capacity")
        assert.strictEqual((yield* drain.snapshot).interrupted, 1)
      })
    )

    it.scopedLive("answers requests in a row on one connection, and then closes it", () =>
      Effect.gen(function* () {
        const { entered, gate, routes } = yield* routesFor
        const { drain, url } = yield* started(serve(routes))
        const client = yield* connect(url)
        yield* client.send(get("/wait").repeat(2) + get("/ok"))
        yield* Deferred.await(entered)
        yield* until(drain.snapshot, ({ running }) => running === 3)
        const draining = yield* Effect.fork(drain.drain)
        yield* isDraining(drain)
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(statuses(yield* client.closed), [200, 200, 200])
        const expected = { name: "drain", ended: 3, interrupted: 0, abandoned: 0, rejected: 0 }
        assert.deepStrictEqual(yield* Fiber.join(draining), expected)
      })
    )

    it.scopedLive("does not wait for a client that has left with requests in a row", () =>
      Effect.gen(function* () {
        const { entered, routes } = yield* routesFor
        const { drain, url } = yield* started(serve(routes))
        const client = yield* connect(url)
        yield* client.send(get("/wait").repeat(3))
        yield* Deferred.await(entered)
        yield* until(drain.snapshot, ({ running }) => running === 3)
        const draining = yield* Effect.fork(drain.drain)
        yield* isDraining(drain)
        yield* client.leave
        assert.strictEqual((yield* Fiber.join(draining)).ended, 3)
      })
    )

    it.scopedLive("interrupts an upload that does not end in time, and answers for it", () =>
      Effect.gen(function* () {
        const { routes } = yield* routesFor
        const { drain, url } = yield* started(serve(routes), { within: 0, interruptWithin: "1 hour" })
        const client = yield* connect(url)
        yield* client.send(post("/read", 10) + "half")
        yield* until(drain.snapshot, ({ running }) => running === 1)
        assert.strictEqual((yield* drain.drain).interrupted, 1)
        assert.deepStrictEqual(statuses(yield* client.closed), [503])
      })
    )

    it.scopedLive("waits for the last byte of a response, and cuts off one that does not end", () =>
      Effect.gen(function* () {
        for (const [within, expected] of [
          ["1 hour", /ended\r\n0\r\n\r\n$/],
          ["50 millis", /begun \r\n$/]
        ] as const) {
          const { gate, routes } = yield* routesFor
          const { drain, stop, url } = yield* started(serve(routes), { within })
          const running = yield* connect(url)
          yield* running.send(get("/stream"))
          yield* running.received((text) => text.includes("begun"))
          const stopping = yield* Effect.fork(stop)
          yield* isDraining(drain)
          if (within === "1 hour") yield* Deferred.succeed(gate, undefined)
          assert.match(yield* running.closed, expected)
          yield* Fiber.join(stopping)
        }
      })
    )
  })
}

describe("a drain", () => {
  it.scopedLive("by hand lets running requests end, and a second call waits for the same end", () =>
    Effect.gen(function* () {
      const { entered, gate, routes } = yield* routesFor
      const { drain, url } = yield* started(HttpServer.serve(routes))
      const running = yield* connect(url)
      yield* running.send(get("/wait"))
      yield* Deferred.await(entered)
      const first = yield* Effect.fork(drain.drain)
      yield* isDraining(drain)
      const second = yield* Effect.fork(drain.drain)
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* drain.state, "draining")
      yield* Deferred.succeed(gate, undefined)
      const expected = { name: "drain", ended: 1, interrupted: 0, abandoned: 0, rejected: 0 }
      assert.deepStrictEqual(yield* Fiber.join(second), expected)
      assert.deepStrictEqual(yield* drain.drain, expected)
      assert.strictEqual(yield* drain.state, "drained")
    })
  )

  it.scopedLive("makes the program's server not ready", () =>
    Effect.gen(function* () {
      const { entered, routes } = yield* routesFor
      const { drain, url } = yield* started(HttpServer.serve(routes), {
        exempt: ({ url }) => url === "/ready"
      })
      const client = yield* connect(url)
      yield* client.send(get("/ready"))
      yield* client.received((text) => text.endsWith("ready"))
      const running = yield* connect(url)
      yield* running.send(get("/wait"))
      yield* Deferred.await(entered)
      yield* Effect.fork(drain.drain)
      yield* isDraining(drain)
      const late = yield* connect(url)
      yield* late.send(get("/ready"))
      const answer = yield* late.closed
      assert.deepStrictEqual(statuses(answer), [503])
      assert.include(answer, "draining")
    })
  )

  it.scopedLive("admits exempt requests at all times, and does not wait for them", () =>
    Effect.gen(function* () {
      const { entered, routes } = yield* routesFor
      const { drain, url } = yield* started(HttpServer.serve(routes), {
        exempt: ({ url }) => url !== "/closed"
      })
      const running = yield* connect(url)
      yield* running.send(get("/wait"))
      yield* Deferred.await(entered)
      yield* drain.drain
      const client = yield* connect(url)
      yield* client.send(get("/ok"))
      assert.deepStrictEqual(statuses(yield* client.closed), [200])
    })
  )

  it.scopedLive("ends without a request that cannot be interrupted, and closes its connection", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const app = Effect.uninterruptible(Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never))
      const { drain, stop, url } = yield* started(HttpServer.serve(app), {
        within: 0,
        interruptWithin: "50 millis"
      })
      const running = yield* connect(url)
      yield* running.send(get("/"))
      yield* Deferred.await(entered)
      assert.strictEqual((yield* drain.drain).abandoned, 1)
      assert.strictEqual(yield* running.closed, "")
      yield* stop
    })
  )

  it.scopedLive("does not wait for a client that never finishes its request", () =>
    Effect.gen(function* () {
      const { routes } = yield* routesFor
      const { stop, url } = yield* started(HttpServer.serve(routes))
      const first = yield* connect(url)
      yield* first.send(get("/ok"))
      yield* first.received((text) => text.endsWith("ok"))
      const half = yield* connect(url)
      yield* half.send("GET /ok HTTP/1.1\r\nhost:")
      yield* stop
      yield* half.closed
    })
  )

  it.scopedLive("does not read an upload that comes while it drains to its end", () =>
    Effect.gen(function* () {
      const { entered, routes } = yield* routesFor
      const { drain, url } = yield* started(HttpServer.serve(routes))
      const running = yield* connect(url)
      yield* running.send(get("/wait"))
      yield* Deferred.await(entered)
      yield* Effect.fork(drain.drain)
      yield* isDraining(drain)
      const uploading = yield* connect(url)
      yield* uploading.send(post("/ok", 30_000_000))
      yield* uploading.send(new Uint8Array(30_000_000))
      assert.deepStrictEqual(statuses(yield* uploading.closed), [503])
    })
  )

  it.scopedLive("notifies its listeners once, and a listener that fails changes nothing", () =>
    Effect.gen(function* () {
      const events: Array<unknown> = []
      const told = (event: unknown) =>
        Effect.zipRight(
          Effect.sync(() => events.push(event)),
          Effect.fail("no")
        )
      const { drain, stop } = yield* started(HttpServer.serve(HttpRouter.empty), {
        name: "api",
        onDraining: told,
        onDrained: told
      })
      yield* stop
      yield* drain.drain
      assert.deepStrictEqual(events, [
        { name: "api", running: 0 },
        { name: "api", ended: 0, interrupted: 0, abandoned: 0, rejected: 0 }
      ])
    })
  )
})
