import {
  type HttpApp,
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
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, type Scope, Stream, TestClock } from "effect"
import { Bulkhead, CircuitBreaker, RateLimiter, Trip } from "effect-resilience"
import { HttpProblem, HttpProtection } from "effect-resilience/http"
import { address, listening, request, serving, told, tried } from "../support/protectionServer.js"
import { until } from "../../support/until.js"
import { connect, get, post } from "../support/rawClient.js"
import { runs } from "../../support/runs.js"
import type { IncomingMessage } from "node:http"

type Middleware = HttpProtection.Part
type Routes = HttpRouter.HttpRouter<unknown, never>

/** An app behind a middleware in one of the places where a middleware can stand. */
type Position = (routes: Routes, middleware: Middleware) => Effect.Effect<string, never, Scope.Scope>

const built = (live: Layer.Layer<never, never, HttpServer.HttpServer>) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      Layer.provideMerge(live, Layer.scoped(HttpServer.HttpServer, listening))
    )
    return yield* Effect.provide(address, context)
  })

const throughLayerRouter = (routes: Routes, middleware: Middleware, global: boolean) => {
  const added = HttpLayerRouter.use((router) => router.add("GET", "*", Effect.orDie(routes)))
  const live = global
    ? Layer.mergeAll(added, HttpLayerRouter.middleware(middleware, { global: true }))
    : Layer.provide(added, HttpLayerRouter.middleware(middleware).layer)
  return built(HttpLayerRouter.serve(live, { disableLogger: true, disableListenLog: true }))
}

const positions: Readonly<Record<string, Position>> = {
  "piped to an app": (routes, middleware) => serving(middleware(routes)),
  "HttpRouter.use": (routes, middleware) => serving(HttpRouter.use(routes, middleware)),
  "HttpServer.serve": (routes, middleware) => serving(routes, middleware),
  "HttpLayerRouter.middleware": (routes, middleware) => throughLayerRouter(routes, middleware, false),
  "HttpLayerRouter.middleware, global": (routes, middleware) => throughLayerRouter(routes, middleware, true),
  "HttpApiBuilder.middleware": (routes, middleware) => {
    const api = HttpApi.make("api").add(HttpApiGroup.make("all").add(HttpApiEndpoint.get("any", "/*")))
    const handlers = HttpApiBuilder.group(api, "all", (all) =>
      all.handleRaw("any", () => Effect.orDie(routes))
    )
    return built(
      HttpApiBuilder.serve().pipe(
        Layer.provide(HttpApiBuilder.middleware(middleware)),
        Layer.provide(HttpApiBuilder.api(api)),
        Layer.provide(handlers),
        Layer.provide(HttpServer.layerContext)
      )
    )
  }
}

const capacity = { "cache-control": "no-store", "content-type": "application/problem+json" }
const noFields = { ratelimit: undefined, "ratelimit-policy": undefined }

/** Routes of which one waits for the test, and says when somebody is in it and when somebody has left it. */
const routesFor = Effect.gen(function* () {
  const entered = yield* Deferred.make<void>()
  const left = yield* Deferred.make<void>()
  const gate = yield* Deferred.make<void>()
  const routes: Routes = HttpRouter.empty.pipe(
    HttpRouter.get("/ok", HttpServerResponse.text("ok")),
    HttpRouter.get(
      "/wait",
      Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(gate)).pipe(
        Effect.as(HttpServerResponse.text("waited")),
        Effect.onInterrupt(() => Deferred.succeed(left, undefined))
      )
    ),
    HttpRouter.get("/500", HttpServerResponse.empty({ status: 500 })),
    HttpRouter.get("/404", HttpServerResponse.empty({ status: 404 })),
    HttpRouter.get("/fail", Effect.fail("no")),
    HttpRouter.get("/die", Effect.die("bug")),
    HttpRouter.get(
      "/partner",
      Effect.fail(new CircuitBreaker.CircuitOpen({ name: "partner", state: "open", retryAfter: undefined }))
    )
  )
  return { entered, left, gate, routes }
})

for (const [name, position] of Object.entries(positions)) {
  describe(`over a socket, ${name}`, () => {
    it.scoped("a full bulkhead is answered with 503, and a client that leaves frees its place", () =>
      Effect.gen(function* () {
        const queued = yield* Deferred.make<void>()
        const places = yield* Bulkhead.make({
          permits: 1,
          maxQueued: 1,
          retryAfterJitter: 0,
          onQueued: () => Deferred.succeed(queued, undefined)
        })
        const { entered, left, routes } = yield* routesFor
        const url = yield* position(routes, HttpProtection.bulkhead(places))
        const running = yield* Effect.fork(request(`${url}/wait`))
        yield* Deferred.await(entered)
        const waiting = yield* Effect.fork(request(`${url}/wait`))
        yield* Deferred.await(queued)

        const reply = yield* request(`${url}/ok`)
        assert.deepStrictEqual(told(reply), { ...capacity, ...noFields, status: 503, "retry-after": "1" })
        assert.deepStrictEqual(
          JSON.parse(reply.text).type,
          "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
        )

        yield* Fiber.interrupt(waiting)
        yield* until(places.snapshot, ({ queued }) => queued === 0)
        assert.strictEqual((yield* places.snapshot).inUse, 1)
        yield* Fiber.interrupt(running)
        yield* Deferred.await(left)
        yield* until(places.snapshot, ({ inUse }) => inUse === 0)
        assert.strictEqual((yield* request(`${url}/ok`)).status, 200)
        const { failures, rejected } = yield* places.snapshot
        assert.deepStrictEqual({ failures, rejected }, { failures: 0, rejected: 1 })
      })
    )

    it.scoped("a client that leaves with requests in a row frees the places of all of them", () =>
      Effect.gen(function* () {
        const places = yield* Bulkhead.make({ permits: 3 })
        const { routes } = yield* routesFor
        const url = yield* position(routes, HttpProtection.bulkhead(places))
        const client = yield* connect(url)
        yield* client.send(get("/wait").repeat(3))
        yield* until(places.snapshot, ({ inUse }) => inUse === 3)
        yield* client.leave
        yield* until(places.snapshot, ({ inUse }) => inUse === 0)
      })
    )

    it.scoped("a rate limiter says what is left on every response", () =>
      Effect.gen(function* () {
        const { routes } = yield* routesFor
        const limiter = HttpProtection.rateLimiter({
          name: "api",
          rate: RateLimiter.bursty({ limit: 3, per: "1 minute" })
        })
        const url = yield* position(routes, limiter)
        const policy = `"api";q=3;w=60`
        for (const [path, status, ratelimit] of [
          ["/ok", 200, `"api";r=2`],
          ["/500", 500, `"api";r=1`],
          ["/fail", 500, `"api";r=0;t=60`]
        ] as const) {
          const reply = yield* request(url + path)
          assert.deepStrictEqual(
            [reply.status, reply.headers["ratelimit"], reply.headers["ratelimit-policy"]],
            [status, ratelimit, policy]
          )
        }
        const reply = yield* request(`${url}/ok`)
        assert.deepStrictEqual(told(reply), {
          ...capacity,
          status: 429,
          "retry-after": "60",
          ratelimit: `"api";r=0;t=60`,
          "ratelimit-policy": policy
        })
        assert.deepStrictEqual(JSON.parse(reply.text), {
          type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
          title: "Request cannot be satisfied as assigned quota has been exceeded",
          status: 429,
          "violated-policies": ["api"]
        })
        const head = yield* request(`${url}/ok`, { method: "HEAD" })
        assert.deepStrictEqual([head.status, head.headers["retry-after"], head.text], [429, "60", ""])
      })
    )

    it.scoped("a circuit breaker sees the status of every answer", () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(5), openFor: "90 seconds" })
        const { entered, left, routes } = yield* routesFor
        const url = yield* position(routes, HttpProtection.circuitBreaker(breaker))
        yield* request(`${url}/ok`)
        yield* request(`${url}/404`)
        const leaving = yield* Effect.fork(request(`${url}/wait`))
        yield* Deferred.await(entered)
        yield* Fiber.interrupt(leaving)
        yield* Deferred.await(left)
        for (const path of ["/500", "/fail", "/die", "/partner"]) yield* request(url + path)
        const { failures, successes } = yield* breaker.snapshot
        assert.deepStrictEqual({ failures, successes }, { failures: 4, successes: 2 })
        yield* request(`${url}/500`)
        const reply = yield* request(`${url}/ok`)
        assert.deepStrictEqual(told(reply), { ...capacity, ...noFields, status: 503, "retry-after": "90" })
      })
    )

    it.scoped("a timeout interrupts the app, and so does a client that leaves", () =>
      Effect.gen(function* () {
        const { entered, left, routes } = yield* routesFor
        const url = yield* position(routes, HttpProtection.timeout({ limit: "1 second", status: 504 }))
        const late = yield* Effect.fork(request(`${url}/wait`))
        yield* Deferred.await(entered)
        yield* TestClock.adjust("1 second")
        const reply = yield* Fiber.join(late)
        assert.deepStrictEqual(told(reply), { ...capacity, ...noFields, status: 504, "retry-after": "1" })
        assert.deepStrictEqual(JSON.parse(reply.text), {
          type: "about:blank",
          title: "Gateway Timeout",
          status: 504
        })
        yield* Deferred.await(left)
        assert.strictEqual((yield* request(`${url}/ok`)).text, "ok")
      })
    )

    it.scoped("a client that leaves interrupts what runs under a timeout", () =>
      Effect.gen(function* () {
        const { entered, left, routes } = yield* routesFor
        const url = yield* position(routes, HttpProtection.timeout("1 hour"))
        const leaving = yield* Effect.fork(request(`${url}/wait`))
        yield* Deferred.await(entered)
        yield* Fiber.interrupt(leaving)
        yield* Deferred.await(left)
      })
    )

    it.scoped("a rejection inside of a limiter says what the limiter has left", () =>
      Effect.gen(function* () {
        const { entered, gate, routes } = yield* routesFor
        const protect = HttpProtection.standard({
          rateLimiter: { name: "api", rate: RateLimiter.bursty({ limit: 9, per: "1 minute" }) },
          bulkhead: { permits: 1 }
        })
        const url = yield* position(routes, protect)
        const running = yield* Effect.fork(request(`${url}/wait`))
        yield* Deferred.await(entered)
        const reply = yield* request(`${url}/ok`)
        assert.deepStrictEqual([reply.status, reply.headers["ratelimit"]], [503, `"api";r=7`])
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual((yield* Fiber.join(running)).text, "waited")
      })
    )
  })
}

describe("a response that is sent within a timeout", () => {
  const streaming = Effect.gen(function* () {
    const ended = yield* Deferred.make<void>()
    const app = HttpServerResponse.stream(
      Stream.concat(Stream.make("begun"), Stream.never).pipe(
        Stream.encodeText,
        Stream.ensuring(Deferred.succeed(ended, undefined))
      )
    )
    return { ended, app: HttpRouter.empty.pipe(HttpRouter.get("/", app)) }
  })

  it.scoped("around a server is cut off at the limit", () =>
    Effect.gen(function* () {
      const { app, ended } = yield* streaming
      const begun = yield* Deferred.make<void>()
      const url = yield* serving(app, HttpProtection.timeout("1 second"))
      const reading = yield* Effect.fork(
        Effect.either(
          Effect.tryPromise(async (signal) => {
            const response = await fetch(url, { signal })
            Deferred.unsafeDone(begun, Effect.void)
            return await response.text()
          })
        )
      )
      yield* Deferred.await(begun)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(reading))._tag, "Left")
      yield* Deferred.await(ended)
    })
  )

  it.scoped("around an app is sent to its end", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const body = Stream.concat(
        Stream.make("begun "),
        Stream.fromEffect(
          Deferred.succeed(begun, undefined).pipe(Effect.zipRight(Deferred.await(gate)), Effect.as("ended"))
        )
      )
      const app = HttpProtection.timeout("1 second")(
        Effect.succeed(HttpServerResponse.stream(Stream.encodeText(body)))
      )
      const url = yield* serving(app)
      const reading = yield* Effect.fork(tried(url))
      yield* Deferred.await(begun)
      yield* TestClock.adjust("1 minute")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(reading)).text, "begun ended")
    })
  )

  it.scoped("around a server that has sent it is left alone", () =>
    Effect.gen(function* () {
      const { routes } = yield* routesFor
      const url = yield* serving(routes, HttpProtection.timeout("1 second"))
      for (let i = 0; i < 3; i++) {
        assert.strictEqual((yield* request(`${url}/ok`)).text, "ok")
        yield* TestClock.adjust("1 minute")
      }
    })
  )
})

describe("a route that is marked uninterruptible", () => {
  it.scoped("is interrupted by a timeout, and its finalizers run", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const kept = yield* Deferred.make<void>()
      const never = Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never)
      const routes = HttpRouter.empty.pipe(
        HttpRouter.get("/", Effect.ensuring(never, Deferred.succeed(kept, undefined)), {
          uninterruptible: true
        })
      )
      const url = yield* serving(routes.pipe(HttpProtection.timeout("1 second")))
      const late = yield* Effect.fork(request(url))
      yield* Deferred.await(entered)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(late)).status, 503)
      yield* Deferred.await(kept)
    })
  )
})

describe("a bulkhead around a server", () => {
  it.scoped("holds its place until the response has been sent", () =>
    Effect.gen(function* () {
      const places = yield* Bulkhead.make({ permits: 1 })
      const gate = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const body = Stream.fromEffect(
        Deferred.succeed(begun, undefined).pipe(Effect.zipRight(Deferred.await(gate)), Effect.as("sent"))
      )
      const app = Effect.succeed(HttpServerResponse.stream(Stream.encodeText(body)))
      const url = yield* serving(app, HttpProtection.bulkhead(places))
      const reading = yield* Effect.fork(request(url))
      yield* Deferred.await(begun)
      assert.strictEqual((yield* places.snapshot).inUse, 1)
      assert.strictEqual((yield* request(url)).status, 503)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(reading)).text, "sent")
      yield* until(places.snapshot, ({ inUse }) => inUse === 0)
    })
  )
})

/** Ways to hold a place until the response has been sent. */
const heldUntilSent = {
  "around a server": (app: HttpApp.Default, gate: HttpProtection.AdmissionPart) => serving(app, gate),
  "entered by a handler": (app: HttpApp.Default, { enter }: HttpProtection.AdmissionPart) =>
    serving(Effect.zipRight(enter, app))
}

describe("a place that is held until the response has been sent", () => {
  const text = HttpServerResponse.text("too late")
  const responses = {
    "a text": text,
    "no body": HttpServerResponse.empty(),
    "a stream": HttpServerResponse.stream(Stream.encodeText(Stream.make("too ", "late")))
  }
  for (const [way, served] of Object.entries(heldUntilSent)) {
    for (const [what, response] of Object.entries(responses)) {
      for (const [how, sent, count] of [
        ["a GET", get("/"), 1],
        ["a HEAD", get("/").replace("GET", "HEAD"), 1],
        ["an upload", post("/", 10), 1],
        ["requests in a row", get("/").repeat(3), 3]
      ] as const) {
        it.scoped(`${way} is free again when ${what} comes too late for the client of ${how}`, () =>
          Effect.gen(function* () {
            const places = yield* Bulkhead.make({ permits: 3 })
            const gate = yield* Deferred.make<void>()
            const gone = yield* Deferred.make<void>()
            // Not a route, so that it goes on without its client.
            const app = Effect.gen(function* () {
              const { source } = yield* HttpServerRequest.HttpServerRequest
              const done = () => Effect.runSync(Deferred.succeed(gone, undefined))
              ;(source as IncomingMessage).socket.once("close", done)
              yield* Deferred.await(gate)
              return response
            })
            const client = yield* connect(yield* served(app, HttpProtection.bulkhead(places)))
            yield* client.send(sent)
            yield* until(places.snapshot, ({ inUse }) => inUse === count)
            yield* client.leave
            yield* Deferred.await(gone)
            yield* Deferred.succeed(gate, undefined)
            yield* until(places.snapshot, ({ inUse }) => inUse === 0)
          })
        )
      }
    }
  }
})

describe("a keyed limiter over a socket", () => {
  it.scoped("keeps one tenant from using up what another has", () =>
    Effect.gen(function* () {
      const limiter = HttpProtection.rateLimiter({
        name: "tenant",
        rate: RateLimiter.tokenBucket({ limit: 2, per: "1 minute" }),
        key: (request) => request.headers["x-tenant"]
      })
      const url = yield* serving(limiter(HttpServerResponse.text("ok")))
      const of = (tenant: string) => request(url, { headers: { "x-tenant": tenant } })
      const statuses = yield* Effect.forEach(["a", "a", "a", "b", "b", "a", "c"], of)
      assert.deepStrictEqual(
        statuses.map(({ headers, status }) => [status, headers["ratelimit"]]),
        [
          [200, `"tenant";r=1`],
          [200, `"tenant";r=0;t=30`],
          [429, `"tenant";r=0;t=30`],
          [200, `"tenant";r=1`],
          [200, `"tenant";r=0;t=30`],
          [429, `"tenant";r=0;t=30`],
          [200, `"tenant";r=1`]
        ]
      )
    })
  )
})

describe("the responses to rejections", () => {
  it.scoped("follow the mapping that is provided to the server", () =>
    Effect.gen(function* () {
      const protect = HttpProtection.standard({
        rateLimiter: { rate: RateLimiter.bursty({ limit: 1, per: "1 minute" }) }
      })
      const mapping: HttpProblem.Mapping = ({ _tag }) => HttpServerResponse.text(_tag, { status: 418 })
      const url = yield* serving(protect(HttpServerResponse.text("ok"))).pipe(
        Effect.provide(Layer.succeed(HttpProblem.CurrentMapping, mapping))
      )
      assert.strictEqual((yield* request(url)).status, 200)
      const reply = yield* request(url)
      assert.deepStrictEqual([reply.status, reply.text], [418, "RateLimitExceeded"])
    })
  )
})

describe("a storm of requests, many of which leave", () => {
  const requests = runs(80, 1000)

  for (const name of ["piped to an app", "HttpServer.serve", "HttpLayerRouter.middleware"]) {
    it.scopedLive(`leaves nothing behind, ${name}`, () =>
      Effect.gen(function* () {
        const position = positions[name] ?? serving
        const places = yield* Bulkhead.make({ permits: 5, maxQueued: 20, maxWait: "20 millis" })
        const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1_000_000) })
        const routes: Routes = HttpRouter.empty.pipe(
          HttpRouter.get("/ok", Effect.as(Effect.yieldNow(), HttpServerResponse.text("ok"))),
          HttpRouter.get("/fail", Effect.fail("no")),
          HttpRouter.get("/slow", Effect.as(Effect.sleep("5 millis"), HttpServerResponse.text("slow"))),
          HttpRouter.get("/hang", Effect.never),
          HttpRouter.get(
            "/late",
            Effect.uninterruptible(Effect.as(Effect.sleep("2 millis"), HttpServerResponse.empty()))
          )
        )
        const protect = HttpProtection.standard({
          rateLimiter: {
            rate: RateLimiter.tokenBucket({ limit: 1000, per: "1 second", burst: 100 }),
            maxWait: "5 millis",
            key: (request: HttpServerRequest.HttpServerRequest) => request.url
          },
          bulkhead: places,
          circuitBreaker: breaker,
          timeout: "10 millis"
        })
        const url = yield* position(routes, protect)
        const paths = ["/ok", "/fail", "/slow", "/hang", "/late", "/none"]
        const replies = yield* Effect.forEach(
          Array.from({ length: requests }, (_, i) => i),
          (i) => {
            const call = Effect.option(tried(`${url}${paths[i % paths.length]}`))
            // Some leave at once, some while they wait, some while they run.
            const patience = i % 4 === 0 ? (i % 7) * 2 : undefined
            return patience === undefined ? call : Effect.raceFirst(call, Effect.sleep(patience))
          },
          { concurrency: 40 }
        )
        assert.strictEqual(replies.length, requests)
        yield* until(places.snapshot, ({ inUse, queued }) => inUse === 0 && queued === 0)
        const { running } = yield* places.snapshot
        assert.strictEqual(running, 0)
        assert.strictEqual(yield* breaker.state, "closed")
      })
    )
  }
})
