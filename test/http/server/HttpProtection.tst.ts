import {
  type HttpApp,
  HttpLayerRouter,
  HttpRouter,
  HttpServer,
  type HttpServerRequest,
  type HttpServerResponse
} from "@effect/platform"
import { Context, type Effect, type Layer, pipe, type Scope } from "effect"
import { Bulkhead, CircuitBreaker, RateLimiter } from "effect-resilience"
import { type HttpProblem, HttpProtection } from "effect-resilience/http"
import { describe, expect, test } from "tstyche"

class Db extends Context.Tag("Db")<Db, "db">() {}
class Audit extends Context.Tag("Audit")<Audit, "audit">() {}
class Places extends Bulkhead.Tag("Places")<Places>() {}
class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Api extends RateLimiter.Tag("Api")<Api>() {}

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

declare const app: HttpApp.Default<"down", Db>
declare const bare: Effect.Effect<Response, "down", Db>
declare const router: HttpRouter.HttpRouter<"down", Db>
declare const audit: Effect.Effect<void, never, Audit>
declare const limit: Effect.Effect<number, never, Db>
declare const instance: Bulkhead.Bulkhead
declare const breaker: CircuitBreaker.CircuitBreaker
declare const limiter: RateLimiter.RateLimiter

const rate = RateLimiter.smooth({ limit: 1, per: 1 })
const plain = HttpProtection.bulkhead({ permits: 1 })
const tagged = HttpProtection.bulkhead(Places)
const all = HttpProtection.standard({
  rateLimiter: { rate, key: (request) => request.headers["x-tenant"] },
  bulkhead: Places,
  circuitBreaker: HttpProtection.circuitBreaker(Partner),
  timeout: "1 second"
})

describe("a middleware", () => {
  test("keeps what an app fails with and needs, and adds what it needs itself", () => {
    expect(plain(app)).type.toBe<HttpApp.Default<"down", Db>>()
    expect(app.pipe(plain)).type.toBe<HttpApp.Default<"down", Db>>()
    expect(pipe(bare, plain)).type.toBe<Effect.Effect<Response, "down", Db | Request>>()
    expect(tagged(app)).type.toBe<HttpApp.Default<"down", Db | Places>>()
    expect(app.pipe(tagged, plain)).type.toBe<HttpApp.Default<"down", Db | Places>>()
    expect(app.pipe(all)).type.toBe<HttpApp.Default<"down", Db | Places | Partner>>()
  })

  test("needs what its listeners need", () => {
    expect(HttpProtection.bulkhead({ permits: 1, onQueued: () => audit })).type.toBe<
      HttpProtection.AdmissionPart<Audit>
    >()
    expect(
      HttpProtection.circuitBreaker({ onFailure: ({ name }) => (name === "" ? audit : audit) })
    ).type.toBe<HttpProtection.AdmissionPart<Audit>>()
    expect(HttpProtection.rateLimiter({ rate, onRejected: () => audit })).type.toBe<
      HttpProtection.AdmissionPart<Audit>
    >()
    expect(HttpProtection.timeout({ limit: 1, onTimeout: () => audit })).type.toBe<
      HttpProtection.Part<Audit>
    >()
    expect(HttpProtection.timeout({ limit })).type.toBe<HttpProtection.Part<Db>>()
  })

  test("takes options, an instance or a tag", () => {
    expect(plain).type.toBe<HttpProtection.AdmissionPart>()
    expect(HttpProtection.bulkhead(instance)).type.toBe<HttpProtection.AdmissionPart>()
    expect(HttpProtection.bulkhead(instance, { retryAfter: 5 })).type.toBe<HttpProtection.AdmissionPart>()
    expect(tagged).type.toBe<HttpProtection.AdmissionPart<Places>>()
    expect(HttpProtection.circuitBreaker()).type.toBe<HttpProtection.AdmissionPart>()
    expect(HttpProtection.circuitBreaker({})).type.toBe<HttpProtection.AdmissionPart>()
    expect(HttpProtection.circuitBreaker(breaker)).type.toBe<HttpProtection.AdmissionPart>()
    expect(HttpProtection.circuitBreaker(Partner)).type.toBe<HttpProtection.AdmissionPart<Partner>>()
    expect(HttpProtection.rateLimiter({ rate })).type.toBe<HttpProtection.AdmissionPart>()
    expect(HttpProtection.rateLimiter(limiter, { fields: "never" })).type.toBe<HttpProtection.AdmissionPart>()
    expect(HttpProtection.rateLimiter(Api)).type.toBe<HttpProtection.AdmissionPart<Api>>()
    expect(HttpProtection.timeout("1 second")).type.toBe<HttpProtection.Part>()
  })

  test("refuses what it does not know", () => {
    expect(HttpProtection.bulkhead).type.not.toBeCallableWith({ permits: 1, permit: 2 })
    expect(HttpProtection.bulkhead).type.not.toBeCallableWith({})
    expect(HttpProtection.circuitBreaker).type.not.toBeCallableWith({ open: 1 })
    expect(HttpProtection.rateLimiter).type.not.toBeCallableWith({ rate, keys: 1 })
    expect(HttpProtection.timeout).type.not.toBeCallableWith({ limit: 1, status: 500 })
    expect(HttpProtection.standard).type.not.toBeCallableWith({ retry: {} })
    expect(HttpProtection.bulkhead).type.not.toBeCallableWith(limiter)
  })

  test("has a request to enter only where it can let one in", () => {
    expect(tagged.enter).type.toBe<Effect.Effect<void, never, Request | Scope.Scope | Places>>()
    expect(HttpProtection.timeout(1)).type.not.toHaveProperty("enter")
    expect(all).type.not.toHaveProperty("enter")
  })
})

describe("the standard order", () => {
  test("needs what its parts need", () => {
    expect(all).type.toBe<HttpProtection.Part<Places | Partner>>()
    expect(HttpProtection.standard({})).type.toBe<HttpProtection.Part>()
    expect(HttpProtection.requestBody()).type.toBe<HttpProtection.Part>()
    expect(HttpProtection.standard({ requestBody: false })).type.toBe<HttpProtection.Part>()
    expect(HttpProtection.standard({ requestBody: { onTimeout: () => audit } })).type.toBe<
      HttpProtection.Part<Audit>
    >()
    expect(HttpProtection.standard({ bulkhead: false, timeout: undefined })).type.toBe<HttpProtection.Part>()
    expect(HttpProtection.standard({ rateLimiter: Api, bulkhead: instance })).type.toBe<
      HttpProtection.Part<Api>
    >()
    expect(
      HttpProtection.standard({ timeout: { limit }, bulkhead: { permits: 1, onQueued: () => audit } })
    ).type.toBe<HttpProtection.Part<Db | Audit>>()
    expect(HttpProtection.standard({ timeout: HttpProtection.timeout({ limit }) })).type.toBe<
      HttpProtection.Part<Db>
    >()
  })

  test("answers by a mapping that knows the errors", () => {
    expect(
      HttpProtection.standard({
        bulkhead: { permits: 1 },
        respond: (error) => {
          expect(error).type.toBe<HttpProblem.PolicyError>()
          return {} as Response
        }
      })
    ).type.toBe<HttpProtection.Part>()
  })
})

describe("a middleware stands", () => {
  type Served = Layer.Layer<never, never, HttpServer.HttpServer | Db>
  type ServedWith<R> = Layer.Layer<never, never, HttpServer.HttpServer | Db | R>

  test("around a server", () => {
    expect(HttpServer.serve(app, plain)).type.toBe<Served>()
    expect(HttpServer.serve(app, all)).type.toBe<ServedWith<Places | Partner>>()
    expect(app.pipe(HttpServer.serve(plain))).type.toBe<Served>()
    expect(app.pipe(HttpServer.serve(tagged))).type.toBe<ServedWith<Places>>()
  })

  test("around the routes of a router", () => {
    expect(router.pipe(HttpRouter.use(plain))).type.toBe<HttpRouter.HttpRouter<"down", Db>>()
    expect(router.pipe(HttpRouter.use(all))).type.toBe<HttpRouter.HttpRouter<"down", Db | Places | Partner>>()
    expect(HttpRouter.use(router, tagged)).type.toBe<HttpRouter.HttpRouter<"down", Db | Places>>()
  })

  test("in a router of layers", () => {
    expect(HttpLayerRouter.middleware(plain).layer).type.toBe<Layer.Layer<never>>()
    expect(HttpLayerRouter.middleware(HttpProtection.standard({ timeout: 1 })).layer).type.toBe<
      Layer.Layer<never>
    >()
    expect(HttpLayerRouter.middleware(plain, { global: true })).type.toBe<
      Layer.Layer<never, never, HttpLayerRouter.HttpRouter>
    >()
    expect(HttpLayerRouter.middleware(tagged, { global: true })).type.toBe<
      Layer.Layer<
        never,
        never,
        HttpLayerRouter.HttpRouter | HttpLayerRouter.Request.From<"GlobalRequires", Places>
      >
    >()
  })
})
