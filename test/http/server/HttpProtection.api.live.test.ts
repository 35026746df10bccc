import {
  FetchHttpClient,
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApp,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schema, TestClock } from "effect"
import { Bulkhead, CircuitBreaker, RateLimiter, Trip } from "effect-resilience"
import { HttpProblem, HttpProtection } from "effect-resilience/http"
import { address, listening, request, told } from "../support/protectionServer.js"
import { until } from "../../support/until.js"

class Missing extends Schema.TaggedError<Missing>()("Missing", {}) {}
class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

class Protected extends HttpApiMiddleware.Tag<Protected>()("Protected") {}

const api = HttpApi.make("api").add(
  HttpApiGroup.make("offers")
    .add(HttpApiEndpoint.get("list", "/list").addSuccess(Schema.Array(Schema.String)))
    .add(HttpApiEndpoint.get("wait", "/wait").addSuccess(Schema.String))
    .add(HttpApiEndpoint.get("missing", "/missing").addError(Missing, { status: 404 }))
    .add(HttpApiEndpoint.get("broken", "/broken").addError(Broken, { status: 500 }))
    .add(HttpApiEndpoint.get("dead", "/dead"))
    .add(HttpApiEndpoint.get("partner", "/partner"))
    .middleware(Protected)
    .addError(HttpProblem.QuotaExceeded)
    .addError(HttpProblem.TemporaryReducedCapacity)
)

/** A server of the API whose group is entered through an effect, with what its tests need. */
const server = (
  enter: HttpProtection.AdmissionPart["enter"],
  around: HttpProtection.Part = HttpProtection.standard({})
) =>
  Effect.gen(function* () {
    const entered = yield* Deferred.make<void>()
    const left = yield* Deferred.make<void>()
    const gate = yield* Deferred.make<void>()
    const handlers = HttpApiBuilder.group(api, "offers", (offers) =>
      offers
        .handle("list", () => Effect.succeed(["an offer"]))
        .handle("wait", () =>
          Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(gate)).pipe(
            Effect.as("waited"),
            Effect.onInterrupt(() => Deferred.succeed(left, undefined))
          )
        )
        .handle("missing", () => new Missing())
        .handle("broken", () => new Broken())
        .handle("dead", () => Effect.die("bug"))
        .handle("partner", () =>
          Effect.die(
            new CircuitBreaker.CircuitOpen({ name: "partner", state: "open", retryAfter: undefined })
          )
        )
    )
    const live = HttpApiBuilder.serve().pipe(
      Layer.provide(HttpApiBuilder.middleware(around)),
      Layer.provide(HttpApiBuilder.api(api)),
      Layer.provide(handlers),
      Layer.provide(Layer.succeed(Protected, enter)),
      Layer.provide(HttpServer.layerContext)
    )
    const context = yield* Layer.build(
      Layer.provideMerge(live, Layer.scoped(HttpServer.HttpServer, listening))
    )
    const url = yield* Effect.provide(address, context)
    const client = yield* HttpApiClient.make(api, { baseUrl: url }).pipe(
      Effect.provide(FetchHttpClient.layer)
    )
    return { client, entered, gate, left, url }
  })

const problem = { "cache-control": "no-store", "content-type": "application/problem+json" }

describe("a group of an HttpApi", () => {
  it.scoped("that is full says so to every client, and to its own by type", () =>
    Effect.gen(function* () {
      const queued = yield* Deferred.make<void>()
      const places = yield* Bulkhead.make({
        permits: 1,
        maxQueued: 1,
        retryAfterJitter: 0,
        onQueued: () => Deferred.succeed(queued, undefined)
      })
      const { client, entered, left, url } = yield* server(HttpProtection.bulkhead(places).enter)
      const running = yield* Effect.fork(request(`${url}/wait`))
      yield* Deferred.await(entered)
      const waiting = yield* Effect.fork(request(`${url}/list`))
      yield* Deferred.await(queued)

      assert.deepStrictEqual(yield* Effect.flip(client.offers.list()), {
        _tag: "TemporaryReducedCapacity",
        type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
        title: "Request cannot be satisfied due to temporary server capacity constraints",
        status: 503
      })
      assert.deepStrictEqual(told(yield* request(`${url}/list`)), {
        ...problem,
        status: 503,
        "retry-after": "1",
        ratelimit: undefined,
        "ratelimit-policy": undefined
      })

      yield* Fiber.interrupt(waiting)
      yield* until(places.snapshot, ({ queued }) => queued === 0)
      yield* Fiber.interrupt(running)
      yield* Deferred.await(left)
      yield* until(places.snapshot, ({ inUse }) => inUse === 0)
      assert.deepStrictEqual(yield* client.offers.list(), ["an offer"])
      yield* until(places.snapshot, ({ inUse }) => inUse === 0)
    })
  )

  it.scoped("that is limited says what is left", () =>
    Effect.gen(function* () {
      const limiter = HttpProtection.rateLimiter({
        name: "api",
        rate: RateLimiter.bursty({ limit: 3, per: "1 minute" })
      })
      const { client, url } = yield* server(limiter.enter)
      for (const [path, status, ratelimit] of [
        ["list", 200, `"api";r=2`],
        ["broken", 500, `"api";r=1`],
        ["dead", 500, `"api";r=0;t=60`]
      ] as const) {
        const reply = yield* request(`${url}/${path}`)
        assert.deepStrictEqual([reply.status, reply.headers["ratelimit"]], [status, ratelimit])
      }
      assert.deepStrictEqual(yield* Effect.flip(client.offers.list()), {
        _tag: "QuotaExceeded",
        type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
        title: "Request cannot be satisfied as assigned quota has been exceeded",
        status: 429,
        "violated-policies": ["api"]
      })
      assert.deepStrictEqual(told(yield* request(`${url}/list`)), {
        ...problem,
        status: 429,
        "retry-after": "60",
        ratelimit: `"api";r=0;t=60`,
        "ratelimit-policy": `"api";q=3;w=60`
      })
    })
  )

  for (const [name, around] of [
    ["", undefined],
    [" inside of a timeout", HttpProtection.timeout("1 hour")]
  ] as const) {
    it.scoped(`shows the breaker in front of it the status of every answer${name}`, () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(4), openFor: "90 seconds" })
        const { entered, left, url } = yield* server(HttpProtection.circuitBreaker(breaker).enter, around)
        yield* request(`${url}/list`)
        yield* request(`${url}/missing`)
        const leaving = yield* Effect.fork(request(`${url}/wait`))
        yield* Deferred.await(entered)
        yield* Fiber.interrupt(leaving)
        yield* Deferred.await(left)
        for (const path of ["broken", "dead", "partner"]) yield* request(`${url}/${path}`)
        const { failures, successes } = yield* breaker.snapshot
        assert.deepStrictEqual({ failures, successes }, { failures: 3, successes: 2 })
        yield* request(`${url}/broken`)
        const reply = yield* request(`${url}/list`)
        assert.deepStrictEqual([reply.status, reply.headers["retry-after"]], [503, "90"])
      })
    )
  }

  it.scoped("does not show the breaker what the bulkhead behind it rejected", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      const places = yield* Bulkhead.make({ permits: 1 })
      const enter = Effect.zipRight(
        HttpProtection.circuitBreaker(breaker).enter,
        HttpProtection.bulkhead(places).enter
      )
      const { entered, gate, url } = yield* server(enter)
      const running = yield* Effect.fork(request(`${url}/wait`))
      yield* Deferred.await(entered)
      assert.strictEqual((yield* request(`${url}/list`)).status, 503)
      assert.strictEqual(yield* breaker.state, "closed")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(running)).status, 200)
      const { failures, successes } = yield* breaker.snapshot
      assert.deepStrictEqual({ failures, successes }, { failures: 0, successes: 1 })
    })
  )

  it.scoped("answers a rejection from a handler that dies with it", () =>
    Effect.gen(function* () {
      const { client } = yield* server(Effect.void)
      assert.strictEqual((yield* Effect.flip(client.offers.partner()))._tag, "TemporaryReducedCapacity")
    })
  )
})

describe("a gate that is entered", () => {
  const run = (enter: HttpProtection.AdmissionPart["enter"], app: HttpApp.Default<unknown>) =>
    Effect.gen(function* () {
      const statuses: Array<number> = []
      yield* HttpApp.toHandled(Effect.zipRight(enter, app), (_, { status }) =>
        Effect.sync(() => statuses.push(status))
      ).pipe(
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request("http://localhost/"))
        ),
        Effect.exit
      )
      return statuses
    })

  it.effect("admits the probes of a half-open circuit, which closes", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1), openFor: "1 second" })
      const { enter } = HttpProtection.circuitBreaker(breaker)
      assert.deepStrictEqual(
        yield* Effect.fork(run(enter, Effect.fail("no"))).pipe(Effect.flatMap(Fiber.join)),
        [500]
      )
      assert.strictEqual(yield* breaker.state, "open")
      yield* TestClock.adjust("1 second")
      const fine = yield* Effect.fork(run(enter, HttpServerResponse.empty()))
      assert.deepStrictEqual(yield* Fiber.join(fine), [204])
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("admits everything without a key", () =>
    Effect.gen(function* () {
      const { enter } = HttpProtection.rateLimiter({
        rate: RateLimiter.bursty({ limit: 1, per: "1 second" }),
        key: () => undefined
      })
      for (let i = 0; i < 3; i++) assert.deepStrictEqual(yield* run(enter, HttpServerResponse.empty()), [204])
    })
  )
})
