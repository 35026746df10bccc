import {
  type Etag,
  type FileSystem,
  HttpApi,
  HttpApiClient,
  HttpApiGroup,
  HttpApiMiddleware,
  type HttpClient,
  type HttpLayerRouter,
  type HttpPlatform,
  type HttpRouter,
  type Path
} from "@effect/platform"
import { Context, Effect, type Layer } from "effect"
import { Bulkhead, Cache, CircuitBreaker, RateLimiter, Retry, RetryBudget, Timeout } from "effect-resilience"
import { HttpAdmin } from "effect-resilience/http"
import type { Registry } from "effect-resilience/observability"
import { describe, expect, test } from "tstyche"

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Database extends Bulkhead.Tag("Database")<Database>() {}
class Mails extends RateLimiter.Tag("Mails")<Mails>() {}
class Retries extends RetryBudget.Tag("Retries")<Retries>() {}
class Offers extends Cache.Tag("Offers")<Offers, string, number, "down">() {}
class Rates extends Cache.StoreTag("Rates")<Rates, string, number>() {}
class Hosts extends Context.Tag("Hosts")<Hosts, CircuitBreaker.KeyedCircuitBreaker>() {}
class Directory extends Context.Tag("Directory")<Directory, { readonly admin: string }>() {}
class Someone extends Context.Tag("Someone")<Someone, { readonly name: string }>() {}
class Login extends HttpApiMiddleware.Tag<Login>()("Login", { provides: Someone }) {}

class Api extends HttpApi.make("offers").add(HttpAdmin.group) {}
class Guarded extends HttpApi.make("offers").add(HttpAdmin.group.middleware(Login)) {}

declare const breaker: CircuitBreaker.CircuitBreaker
declare const bulkhead: Bulkhead.Bulkhead
declare const limiter: RateLimiter.RateLimiter
declare const budget: RetryBudget.RetryBudget
declare const cache: Cache.Cache<string, number, "down">
declare const store: Cache.Store<{ readonly id: number }, string>
declare const hosts: CircuitBreaker.KeyedCircuitBreaker
declare const tenants: Bulkhead.KeyedBulkhead
declare const users: RateLimiter.KeyedRateLimiter
declare const entry: HttpAdmin.Entry
declare const asUser: (user: string) => Effect.Effect<boolean, "unknown user", Directory>

type Implemented = HttpApiGroup.ApiGroup<"offers", "resilience">

describe("policies", () => {
  test("that are there require nothing", () => {
    const policies = [breaker, bulkhead, limiter, budget, cache, store, hosts, tenants, users]
    expect(HttpAdmin.router({ policies })).type.toBe<Effect.Effect<HttpRouter.HttpRouter>>()
    expect(HttpAdmin.layer(Api, { policies })).type.toBe<Layer.Layer<Implemented>>()
    expect(HttpAdmin.router({ policies: [] })).type.toBe<Effect.Effect<HttpRouter.HttpRouter>>()
  })

  test("given by their tags are required", () => {
    const policies = [breaker, Partner, Database, Mails, Retries, Offers, Rates, Hosts, hosts] as const
    type Required = Partner | Database | Mails | Retries | Offers | Rates | Hosts
    expect(HttpAdmin.router({ policies })).type.toBe<Effect.Effect<HttpRouter.HttpRouter, never, Required>>()
    expect(HttpAdmin.layer(Api, { policies })).type.toBe<Layer.Layer<Implemented, never, Required>>()
    expect(HttpAdmin.layer(Api, { policies: [Partner, Database] })).type.toBe<
      Layer.Layer<Implemented, never, Partner | Database>
    >()
    expect(HttpAdmin.layerRouter({ policies: [Partner] })).type.toBe<
      Layer.Layer<
        never,
        never,
        | Partner
        | HttpLayerRouter.HttpRouter
        | HttpPlatform.HttpPlatform
        | Etag.Generator
        | FileSystem.FileSystem
        | Path.Path
      >
    >()
  })

  test("are those of a program that has just one of each", () => {
    expect(HttpAdmin.router({ policies: [CircuitBreaker.CircuitBreaker] })).type.toBe<
      Effect.Effect<HttpRouter.HttpRouter, never, CircuitBreaker.CircuitBreaker>
    >()
  })

  test("are nothing else", () => {
    expect(HttpAdmin.router).type.not.toBeCallableWith({ policies: [Timeout.timeout("1 second")] })
    expect(HttpAdmin.router).type.not.toBeCallableWith({ policies: [Retry.retry({ times: 1 })] })
    expect(HttpAdmin.router).type.not.toBeCallableWith({ policies: [Directory] })
    expect(HttpAdmin.router).type.not.toBeCallableWith({ policies: ["partner"] })
    expect(HttpAdmin.router).type.not.toBeCallableWith({ policies: breaker })
  })

  test("that are not given come from the registry, which is required", () => {
    type Router = Effect.Effect<HttpRouter.HttpRouter, never, Registry.Registry>
    type Group = Layer.Layer<Implemented, never, Registry.Registry>
    expect(HttpAdmin.router()).type.toBe<Router>()
    expect(HttpAdmin.router({})).type.toBe<Router>()
    expect(HttpAdmin.router({ policies: undefined, keys: "hashed" })).type.toBe<Router>()
    expect(HttpAdmin.layer(Api)).type.toBe<Group>()
    expect(HttpAdmin.layer(Api, {})).type.toBe<Group>()
    expect(HttpAdmin.layerRouter({ prefix: "/ops" })).type.toBe<
      Layer.Layer<
        never,
        never,
        | Registry.Registry
        | HttpLayerRouter.HttpRouter
        | HttpPlatform.HttpPlatform
        | Etag.Generator
        | FileSystem.FileSystem
        | Path.Path
      >
    >()
    const steering = { authorize: () => asUser("ada") }
    expect(HttpAdmin.router({ steering })).type.toBe<
      Effect.Effect<HttpRouter.HttpRouter, never, Registry.Registry | Directory>
    >()
  })

  test("that may be given require what they do, or the registry", () => {
    const given = { policies: undefined as ReadonlyArray<typeof Partner> | undefined }
    expect(HttpAdmin.router(given)).type.toBe<
      Effect.Effect<HttpRouter.HttpRouter, never, Partner | Registry.Registry>
    >()
  })

  test("have no other options beside them", () => {
    expect(HttpAdmin.router).type.not.toBeCallableWith({ policies: [], prefix: "/ops" })
    expect(HttpAdmin.layerRouter).type.toBeCallableWith({ policies: [], prefix: "/ops" })
    expect(HttpAdmin.layerRouter).type.not.toBeCallableWith({ policies: [], prefix: "ops" })
    expect(HttpAdmin.router).type.not.toBeCallableWith({ policies: [], steering: { autorize: asUser } })
    expect(HttpAdmin.router).type.not.toBeCallableWith({ policies: [], steering: true })
  })
})

describe("the hook", () => {
  test("sees what is asked for, and what it requires is required", () => {
    const steered = HttpAdmin.layer(Api, {
      policies: [Partner],
      steering: {
        authorize: (asked) => {
          expect(asked).type.toBe<HttpAdmin.Asked>()
          expect(asked.action).type.toBe<"isolate" | "release" | "open" | "close" | "reset">()
          return asUser(asked.name)
        }
      }
    })
    expect(steered).type.toBe<Layer.Layer<Implemented, never, Partner | Directory>>()
    const router = HttpAdmin.router({ policies: [breaker], steering: { authorize: () => asUser("ada") } })
    expect(router).type.toBe<Effect.Effect<HttpRouter.HttpRouter, never, Directory>>()
  })

  test("says yes or no", () => {
    expect(HttpAdmin.router).type.not.toBeCallableWith({
      policies: [],
      steering: { authorize: () => Effect.succeed("yes") }
    })
    expect(HttpAdmin.router).type.not.toBeCallableWith({ policies: [], steering: { authorize: () => true } })
  })

  test("has what a middleware of the group provides, and the middleware is required", () => {
    const steering = { authorize: () => Effect.map(Someone, ({ name }) => name === "ada") }
    expect(HttpAdmin.layer(Guarded, { policies: [], steering })).type.toBe<
      Layer.Layer<Implemented, never, Login>
    >()
    expect(HttpAdmin.layer(Api, { policies: [], steering })).type.toBe<
      Layer.Layer<Implemented, never, Someone>
    >()
  })
})

describe("the api", () => {
  test("has the group in it", () => {
    const without = HttpApi.make("offers")
    const other = without.add(HttpApiGroup.make("resilience"))
    expect(HttpAdmin.layer).type.not.toBeCallableWith(without, { policies: [] })
    expect(HttpAdmin.layer).type.not.toBeCallableWith(other, { policies: [] })
    expect(HttpAdmin.layer).type.toBeCallableWith(Api.prefix("/ops"), { policies: [] })
  })

  test("makes a client with typed errors", () => {
    const steered = Effect.flatMap(HttpApiClient.make(HttpAdmin.api), ({ resilience }) =>
      resilience.steer({ path: { name: "partner", action: "isolate" }, urlParams: { kind: "bulkhead" } })
    )
    expect(steered).type.toBeAssignableTo<Effect.Effect<HttpAdmin.Entry, unknown, HttpClient.HttpClient>>()
    expect<
      | HttpAdmin.SteeringDenied
      | HttpAdmin.PolicyNotFound
      | HttpAdmin.PolicyAmbiguous
      | HttpAdmin.ActionNotSupported
    >().type.toBeAssignableTo<Effect.Effect.Error<typeof steered>>()
  })

  test("narrows an entry by its kind", () => {
    if (entry.kind === "rate-limiter") expect(entry.snapshot).type.toBe<RateLimiter.Snapshot>()
    expect(entry.state).type.toBe<
      CircuitBreaker.State | "available" | "full" | "exhausted" | "empty" | "filled"
    >()
  })
})
