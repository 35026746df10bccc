// The route for Prometheus on real servers: mounted as the admin routes are, and behind the same guard.
import { HttpClient, HttpClientRequest, HttpLayerRouter, HttpRouter, HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Metric } from "effect"
import { type HttpAdmin, HttpMetrics } from "effect-resilience/http"
import { refusalOf } from "../../support/calls.js"
import { onServer, raw } from "../support/admin.js"

const served = Metric.counter("test.http.metrics", { incremental: true })

const expectPage = (path: string) =>
  Effect.gen(function* () {
    yield* Metric.increment(served)
    const response = yield* HttpClient.get(path)
    assert.strictEqual(response.status, 200)
    assert.strictEqual(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
    assert.match(yield* response.text, /^test_http_metrics_total \d+$/m)
  })

class Token extends Context.Tag("Token")<Token, string>() {}

const guarded = {
  reading: {
    authorize: ({ request }: HttpAdmin.AskedToRead) =>
      Effect.map(Token, (token) => request.headers.authorization === `Bearer ${token}`)
  }
}

const expectGuarded = (path: string) =>
  Effect.gen(function* () {
    const denied = { status: 403, body: `{"_tag":"ReadingDenied"}` }
    assert.deepStrictEqual(yield* raw(HttpClientRequest.get(path)), denied)
    const asked = HttpClientRequest.bearerToken(HttpClientRequest.get(path), "secret")
    assert.strictEqual((yield* raw(asked)).status, 200)
  })

describe("the route for Prometheus", () => {
  it.live("can be mounted on an HttpRouter", () =>
    Effect.gen(function* () {
      const metrics = yield* HttpMetrics.router()
      yield* HttpServer.serveEffect(HttpRouter.mount(HttpRouter.empty, "/ops", metrics))
      yield* expectPage("/ops/metrics")
      assert.strictEqual((yield* raw(HttpClientRequest.post("/ops/metrics"))).status, 404)
    }).pipe(onServer)
  )

  it.live("can be mounted on an HttpLayerRouter, twice and under a prefix", () =>
    Effect.gen(function* () {
      const routes = Layer.merge(HttpMetrics.layerRouter(), HttpMetrics.layerRouter({ prefix: "/ops" }))
      yield* HttpServer.serveEffect(yield* HttpLayerRouter.toHttpEffect(routes))
      yield* expectPage("/metrics")
      yield* expectPage("/ops/metrics")
    }).pipe(onServer)
  )

  it.live("asks its hook first, which finds what was there when the route was made", () =>
    Effect.gen(function* () {
      const token = Effect.provideService(Token, "secret")
      const onRouter = yield* token(HttpMetrics.router(guarded))
      const onLayerRouter = yield* HttpLayerRouter.toHttpEffect(
        Layer.provide(HttpMetrics.layerRouter({ ...guarded, prefix: "/ops" }), Layer.succeed(Token, "secret"))
      )
      yield* HttpServer.serveEffect(HttpRouter.mountApp(onRouter, "/layers", onLayerRouter))
      yield* expectGuarded("/metrics")
      yield* expectGuarded("/layers/ops/metrics")
    }).pipe(onServer)
  )

  it.live("denies reading when the hook fails, and says so in the log", () =>
    Effect.gen(function* () {
      const messages: Array<unknown> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void messages.push(message))
      )
      const metrics = yield* HttpMetrics.router({ reading: { authorize: () => Effect.fail("no") } })
      yield* HttpServer.serveEffect(metrics).pipe(Effect.provide(logger))
      assert.strictEqual((yield* raw(HttpClientRequest.get("/metrics"))).status, 403)
      assert.include(JSON.stringify(messages), "denied because its authorization did not succeed")
    }).pipe(onServer)
  )

  it.live("is not made with bad options", () =>
    Effect.gen(function* () {
      const prefix = "ops" as unknown as "/ops"
      const refusal = yield* refusalOf(HttpLayerRouter.toHttpEffect(HttpMetrics.layerRouter({ prefix })))
      assert.strictEqual(refusal.policy, "HttpMetrics.layerRouter")
      assert.strictEqual(refusal.option, "prefix")
    }).pipe(Effect.scoped)
  )
})
