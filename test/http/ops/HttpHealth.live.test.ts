// The routes for probes on real servers: what they answer to whom, mounted as the admin routes are.
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpClient,
  HttpClientRequest,
  HttpLayerRouter,
  HttpRouter,
  HttpServer,
  OpenApi
} from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger } from "effect"
import { CircuitBreaker } from "effect-resilience"
import { type HttpAdmin, HttpDrain, HttpHealth } from "effect-resilience/http"
import { Observability } from "effect-resilience/observability"
import { refusalOf } from "../../support/calls.js"
import { onServer } from "../support/admin.js"

const observed = Effect.provide(Observability.layer())

/** A circuit that is isolated as long as something refers to it. */
const isolated = (name: string) => Effect.tap(CircuitBreaker.make({ name }), ({ isolate }) => isolate)

const served = (options: HttpHealth.Options = {}) =>
  Effect.flatMap(HttpHealth.router(options), (router) => HttpServer.serveEffect(router))

/** The status and the body of an answer. */
const asked = (path: string, headers: Record<string, string> = {}) =>
  Effect.flatMap(HttpClient.execute(HttpClientRequest.get(path, { headers })), (response) =>
    Effect.map(response.json, (body) => [response.status, body] as const)
  )

const reasonOf = (name: string, health: "degraded" | "down") => ({
  ...{ kind: "circuit-breaker", name, state: "isolated", health },
  reason: "SENTENCE"
})

/** An answer in which every sentence that explains an isolated circuit stands for it. */
const withoutTimes = ([status, body]: readonly [number, unknown]): readonly [number, unknown] => {
  const text = JSON.stringify(body)
  return [
    status,
    JSON.parse(
      text.replace(
        /isolated since [\d:]+ UTC by hand: all calls are rejected until it is released/g,
        "SENTENCE"
      )
    )
  ]
}

const answers = (path: string) =>
  Effect.map(
    Effect.forEach(["/health", "/ready"], (route) => asked(`${path}${route}`)),
    (found) => found.map(withoutTimes)
  )

describe("probes", () => {
  it.live("are answered with 200 while all is well, and no cache keeps it", () =>
    Effect.gen(function* () {
      yield* served()
      for (const route of ["/health", "/ready"]) {
        const response = yield* HttpClient.get(route)
        assert.strictEqual(response.status, 200)
        assert.strictEqual(response.headers["cache-control"], "no-store")
        assert.deepStrictEqual(yield* response.json, { status: "up", reasons: [] })
      }
      assert.strictEqual((yield* HttpClient.post("/ready")).status, 404)
    }).pipe(onServer, observed)
  )

  it.live("are answered with 200 and the reasons while the program is degraded", () =>
    Effect.gen(function* () {
      yield* served()
      const breaker = yield* isolated("partner")
      const degraded = [200, { status: "degraded", reasons: [reasonOf("partner", "degraded")] }] as const
      assert.deepStrictEqual(yield* answers(""), [degraded, degraded])
      yield* breaker.release
      assert.deepStrictEqual(yield* asked("/ready"), [200, { status: "up", reasons: [] }])
    }).pipe(onServer, observed)
  )

  it.live("find a program that is down alive and not ready", () =>
    Effect.gen(function* () {
      yield* served({ rules: [{ name: "payments", health: "down" }] })
      const kept = [yield* isolated("other"), yield* isolated("payments")]
      const report = {
        status: "down",
        reasons: [reasonOf("payments", "down"), reasonOf("other", "degraded")]
      }
      assert.deepStrictEqual(yield* answers(""), [
        [200, report],
        [503, { _tag: "NotReady", ...report }]
      ])
      const response = yield* HttpClient.get("/ready")
      assert.strictEqual(response.headers["cache-control"], "no-store")
      assert.lengthOf(kept, 2)
    }).pipe(onServer, observed)
  )

  it.live("have a typed client, whose call fails while the program is not ready", () =>
    Effect.gen(function* () {
      yield* served({ rules: [{ name: "payments", health: "down" }] })
      const { health } = yield* HttpApiClient.make(HttpHealth.api)
      assert.deepStrictEqual(yield* health.ready(), { status: "up", reasons: [] })
      const kept = yield* isolated("payments")
      const error = yield* Effect.flip(health.ready())
      assert.instanceOf(error, HttpHealth.NotReady)
      assert.deepStrictEqual(
        [error.status, error.reasons[0]?.name, error.message],
        ["down", "payments", "not ready: circuit-breaker is isolated"]
      )
      assert.strictEqual((yield* health.health()).status, "down")
      assert.strictEqual(kept.name, "payments")
    }).pipe(onServer, observed)
  )

  it.live("show names as data, whatever is in them", () =>
    Effect.gen(function* () {
      yield* served()
      const name = `<script>alert("1")</script>\r\n\u2028\u202e\u0000'` + "x".repeat(500)
      const kept = yield* isolated(name)
      const { health } = yield* HttpApiClient.make(HttpHealth.api)
      assert.strictEqual((yield* health.ready()).reasons[0]?.name, name)
      const response = yield* HttpClient.get("/ready")
      assert.match(response.headers["content-type"] ?? "", /^application\/json/)
      assert.strictEqual(kept.name, name)
    }).pipe(onServer, observed)
  )

  it.live("get at most a hundred reasons, those that are down first, and the number of the others", () =>
    Effect.gen(function* () {
      yield* served({ rules: [{ name: "149", health: "down" }] })
      const kept = yield* Effect.forEach(
        Array.from({ length: 150 }, (_, at) => `${at}`),
        isolated
      )
      const { health } = yield* HttpApiClient.make(HttpHealth.api)
      const { more, reasons } = yield* health.health()
      assert.deepStrictEqual([reasons.length, more, reasons[0]?.name], [100, 50, "149"])
      const error = yield* Effect.flip(health.ready())
      assert.strictEqual(error._tag === "NotReady" ? error.more : undefined, 50)
      assert.lengthOf(kept, 150)
    }).pipe(onServer, observed)
  )
})

describe("a caller that may not read", () => {
  class Token extends Context.Tag("Token")<Token, string>() {}

  const reading = {
    authorize: ({ request }: HttpAdmin.AskedToRead) =>
      Effect.map(Token, (token) => request.headers.authorization === token)
  }

  it.live("learns the status and no reason", () =>
    Effect.gen(function* () {
      const rules = [{ name: "payments", health: "down" }] as const
      const router = yield* Effect.provideService(HttpHealth.router({ reading, rules }), Token, "secret")
      yield* HttpServer.serveEffect(router)
      const kept = yield* isolated("payments")
      const authorization = { authorization: "secret" }
      assert.deepStrictEqual(yield* asked("/health"), [200, { status: "down", reasons: [] }])
      assert.deepStrictEqual(yield* asked("/ready"), [503, { _tag: "NotReady", status: "down", reasons: [] }])
      const report = { status: "down", reasons: [reasonOf("payments", "down")] }
      assert.deepStrictEqual(withoutTimes(yield* asked("/health", authorization)), [200, report])
      assert.deepStrictEqual(withoutTimes(yield* asked("/ready", authorization)), [
        503,
        { _tag: "NotReady", ...report }
      ])
      assert.strictEqual(kept.name, "payments")
    }).pipe(onServer, observed)
  )

  it.live("is any caller when the hook fails, and the log says so", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      yield* Effect.provide(
        served({ reading: { authorize: () => Effect.fail("no") } }),
        Logger.replace(Logger.defaultLogger, logger)
      )
      const kept = yield* isolated("partner")
      assert.deepStrictEqual(yield* asked("/ready"), [200, { status: "degraded", reasons: [] }])
      assert.include(lines.join("\n"), "denied because its authorization did not succeed")
      assert.strictEqual(kept.name, "partner")
    }).pipe(onServer, observed)
  )
})

describe("a server that drains", () => {
  const reasons = [
    {
      ...{ kind: "drain", name: "drain", state: "drained", health: "down" },
      reason: "drained: the server stops, 0 requests running"
    }
  ]
  const expected: ReadonlyArray<readonly [number, unknown]> = [
    [200, { status: "down", reasons }],
    [503, { _tag: "NotReady", status: "down", reasons }]
  ]
  // Probes are admitted while it drains, so that they tell what they know.
  const exempt = () => true

  it.live("is alive and not ready, whatever the rules say", () =>
    Effect.gen(function* () {
      yield* served({ rules: () => "up" })
      assert.deepStrictEqual(yield* asked("/ready"), [200, { status: "up", reasons: [] }])
      yield* HttpDrain.drain
      assert.deepStrictEqual(yield* answers(""), expected)
    }).pipe(Effect.provide(HttpDrain.layer({ exempt })), onServer, observed)
  )

  it.live("is found where only the requests know of it", () =>
    Effect.gen(function* () {
      const drain = yield* HttpDrain.make({ exempt })
      const router = yield* HttpHealth.router()
      yield* Effect.provideService(HttpServer.serveEffect(router), HttpDrain.HttpDrain, drain)
      assert.deepStrictEqual(yield* asked("/ready"), [200, { status: "up", reasons: [] }])
      yield* drain.drain
      assert.deepStrictEqual(yield* answers(""), expected)
    }).pipe(onServer, observed)
  )

  it.live("may be given as an option", () =>
    Effect.gen(function* () {
      const drain = yield* HttpDrain.make({ exempt })
      yield* served({ drain })
      yield* drain.drain
      assert.deepStrictEqual(yield* answers(""), expected)
    }).pipe(onServer, observed)
  )
})

describe("the routes for probes can be mounted", () => {
  const up = [200, { status: "up", reasons: [] }] as const

  it.live("on an HttpRouter, under a prefix", () =>
    Effect.gen(function* () {
      const health = yield* HttpHealth.router()
      yield* HttpServer.serveEffect(HttpRouter.mount(HttpRouter.empty, "/ops", health))
      assert.deepStrictEqual(yield* answers("/ops"), [up, up])
    }).pipe(onServer, observed)
  )

  it.live("on an HttpLayerRouter, twice and under a prefix", () =>
    Effect.gen(function* () {
      const routes = Layer.merge(HttpHealth.layerRouter(), HttpHealth.layerRouter({ prefix: "/ops" }))
      yield* HttpServer.serveEffect(yield* HttpLayerRouter.toHttpEffect(routes))
      assert.deepStrictEqual(yield* answers(""), [up, up])
      assert.deepStrictEqual(yield* answers("/ops"), [up, up])
    }).pipe(onServer, observed)
  )

  it.live("in an HttpApi of one's own, with a prefix", () =>
    Effect.gen(function* () {
      class Api extends HttpApi.make("offers").add(HttpHealth.group.prefix("/ops")) {}
      const live = HttpApiBuilder.api(Api).pipe(
        Layer.provide(HttpHealth.layer(Api, { rules: [{ name: "payments", health: "down" }] }))
      )
      yield* HttpServer.serveEffect(
        yield* Effect.provide(HttpApiBuilder.httpApp, [
          live,
          HttpApiBuilder.Router.Live,
          HttpApiBuilder.Middleware.layer
        ])
      )
      assert.deepStrictEqual(yield* answers("/ops"), [up, up])
      const kept = yield* isolated("payments")
      assert.strictEqual((yield* asked("/ops/ready"))[0], 503)
      assert.strictEqual(kept.name, "payments")
    }).pipe(onServer, observed)
  )

  it("and described", () => {
    const { paths } = OpenApi.fromApi(HttpHealth.api)
    assert.deepStrictEqual(Object.keys(paths), ["/health", "/ready"])
    assert.deepStrictEqual(Object.keys(paths["/ready"]?.get?.responses ?? {}), ["200", "400", "503"])
  })
})

describe("the options of the routes for probes", () => {
  it.live.each<[option: string, options: unknown]>([
    ["prefix", { prefix: "ops" }],
    ["drain", { drain: {} }],
    ["reading", { reading: true }],
    ["reading.authorize", { reading: {} }],
    ["rules[0].kind", { rules: [{ kind: "breaker", health: "up" }] }],
    ["rule", { rule: [] }]
  ])("are refused at %s where they are wrong: %j", ([option, options]) =>
    Effect.gen(function* () {
      const routes = HttpHealth.layerRouter(options as HttpHealth.LayerRouterOptions)
      const refusal = yield* refusalOf(HttpLayerRouter.toHttpEffect(routes))
      assert.deepStrictEqual([refusal.policy, refusal.option], ["HttpHealth.layerRouter", option])
    }).pipe(onServer, observed)
  )

  it.effect("have no prefix for a router", () =>
    Effect.gen(function* () {
      const options = { prefix: "/ops" } as HttpHealth.Options
      const refusal = yield* refusalOf(HttpHealth.router(options))
      assert.deepStrictEqual([refusal.policy, refusal.option], ["HttpHealth.router", "prefix"])
    }).pipe(observed)
  )
})
