import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpClientRequest,
  HttpLayerRouter,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse,
  OpenApi
} from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CircuitBreaker } from "effect-resilience"
import * as HttpAdmin from "../../../src/http/admin/HttpAdmin.js"
import { anybody, onServer, raw } from "../support/admin.js"

describe("the admin", () => {
  /** Calls every route with a client whose base has the prefix. */
  const names = (prefix: string) =>
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      if (address._tag !== "TcpAddress") return assert.fail("it listens on a port")
      const baseUrl = `http://127.0.0.1:${address.port}${prefix}`
      const { resilience } = yield* HttpApiClient.make(HttpAdmin.api, { baseUrl })
      const name = "a/b"
      yield* resilience.get({ path: { name }, urlParams: { kind: "circuit-breaker" } })
      yield* resilience.steer({ path: { name, action: "isolate" }, urlParams: {} })
      const unknown = yield* Effect.flip(resilience.get({ path: { name: "x" }, urlParams: {} }))
      assert.strictEqual(unknown._tag, "PolicyNotFound")
      return (yield* resilience.list()).map((entry) => `${entry.name} ${entry.state}`)
    }).pipe(Effect.provide(NodeHttpClient.layer))

  const breaker = CircuitBreaker.make({ name: "a/b" })
  const offer = HttpServerResponse.text("Cold offer")
  const options = Effect.map(breaker, (policy) => ({ policies: [policy], steering: anybody }))

  /** Lets only Ada in. */
  const guard = <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      headers["x-user"] === "ada" ? handler : Effect.succeed(HttpServerResponse.empty({ status: 401 }))
    )

  /** How reading is answered to anybody and to Ada. */
  const statuses = (path: string) =>
    Effect.forEach([{}, { "x-user": "ada" }], (headers) =>
      Effect.map(raw(HttpClientRequest.get(path, { headers })), ({ status }) => status)
    )

  it.live("can be mounted on an HttpRouter, beside other routes", () =>
    Effect.gen(function* () {
      const admin = yield* HttpAdmin.router(yield* options)
      yield* HttpServer.serveEffect(
        HttpRouter.empty.pipe(HttpRouter.get("/offer", offer), HttpRouter.concat(admin))
      )
      assert.deepStrictEqual(yield* names(""), ["a/b isolated"])
      assert.strictEqual((yield* raw(HttpClientRequest.get("/offer"))).body, "Cold offer")
    }).pipe(onServer)
  )

  it.live("can be mounted on an HttpRouter, twice and under prefixes", () =>
    Effect.gen(function* () {
      const one = yield* HttpAdmin.router(yield* options)
      const other = yield* HttpAdmin.router({ policies: [] })
      yield* HttpServer.serveEffect(
        HttpRouter.empty.pipe(HttpRouter.mount("/ops", one), HttpRouter.mountApp("/other", other))
      )
      assert.deepStrictEqual(yield* names("/ops"), ["a/b isolated"])
      assert.deepStrictEqual(yield* raw(HttpClientRequest.get("/other/resilience")), {
        status: 200,
        body: "[]"
      })
      assert.strictEqual((yield* raw(HttpClientRequest.get("/resilience"))).status, 404)
    }).pipe(onServer)
  )

  it.live("can be mounted on an HttpRouter, behind a middleware that guards reading", () =>
    Effect.gen(function* () {
      const admin = HttpRouter.use(yield* HttpAdmin.router(yield* options), guard)
      yield* HttpServer.serveEffect(HttpRouter.empty.pipe(HttpRouter.mount("/ops", admin)))
      assert.deepStrictEqual(yield* statuses("/ops/resilience"), [401, 200])
    }).pipe(onServer)
  )

  const onLayerRouter = <E, R>(routes: Layer.Layer<never, E, R>) =>
    Effect.gen(function* () {
      yield* HttpServer.serveEffect(yield* HttpLayerRouter.toHttpEffect(routes))
    })

  it.live("can be mounted on an HttpLayerRouter, beside other routes", () =>
    Effect.gen(function* () {
      yield* onLayerRouter(
        Layer.merge(HttpAdmin.layerRouter(yield* options), HttpLayerRouter.add("GET", "/offer", offer))
      )
      assert.deepStrictEqual(yield* names(""), ["a/b isolated"])
      assert.strictEqual((yield* raw(HttpClientRequest.get("/offer"))).body, "Cold offer")
    }).pipe(onServer)
  )

  it.live("can be mounted on an HttpLayerRouter, twice and under prefixes", () =>
    Effect.gen(function* () {
      yield* onLayerRouter(
        Layer.merge(
          HttpAdmin.layerRouter({ ...(yield* options), prefix: "/ops" }),
          HttpAdmin.layerRouter({ policies: [], prefix: "/other" })
        )
      )
      assert.deepStrictEqual(yield* names("/ops"), ["a/b isolated"])
      assert.deepStrictEqual(yield* raw(HttpClientRequest.get("/other/resilience")), {
        status: 200,
        body: "[]"
      })
      assert.strictEqual((yield* raw(HttpClientRequest.get("/resilience"))).status, 404)
    }).pipe(onServer)
  )

  it.live("can be mounted on an HttpLayerRouter, behind a middleware that guards reading", () =>
    Effect.gen(function* () {
      const middleware = HttpLayerRouter.middleware(guard)
      yield* onLayerRouter(Layer.provide(HttpAdmin.layerRouter(yield* options), middleware.layer))
      assert.deepStrictEqual(yield* statuses("/resilience"), [401, 200])
    }).pipe(onServer)
  )

  it.live("can be mounted in an HttpApi of a service, under a prefix, with a client of that api", () =>
    Effect.gen(function* () {
      class Api extends HttpApi.make("offers").add(HttpAdmin.group).prefix("/ops") {}
      yield* Layer.build(
        HttpApiBuilder.serve().pipe(
          Layer.provide(HttpApiBuilder.api(Api)),
          Layer.provide(HttpAdmin.layer(Api, yield* options)),
          Layer.provide(Layer.succeed(HttpServer.HttpServer, yield* HttpServer.HttpServer))
        )
      )
      const { resilience } = yield* HttpApiClient.make(Api)
      assert.strictEqual((yield* resilience.list())[0]?.name, "a/b")
      assert.deepStrictEqual(yield* names("/ops"), ["a/b isolated"])
    }).pipe(onServer)
  )

  it("is described for OpenAPI", () => {
    const { paths } = OpenApi.fromApi(HttpAdmin.api.prefix("/ops"))
    const described = Object.entries(paths).map(([path, { get, post }]) => [
      path,
      Object.keys((get ?? post)?.responses ?? {})
    ])
    assert.deepStrictEqual(described, [
      ["/ops/resilience", ["200", "400", "403"]],
      ["/ops/resilience/{name}", ["200", "400", "403", "404", "409"]],
      ["/ops/resilience/{name}/{action}", ["200", "400", "403", "404", "409"]]
    ])
  })
})
