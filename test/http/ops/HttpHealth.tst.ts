import {
  type Etag,
  type FileSystem,
  HttpApi,
  HttpApiClient,
  type HttpApiGroup,
  HttpApiMiddleware,
  type HttpClient,
  type HttpLayerRouter,
  type HttpPlatform,
  type HttpRouter,
  type Path
} from "@effect/platform"
import { Context, Effect, type Layer } from "effect"
import { type HttpAdmin, HttpHealth } from "effect-resilience/http"
import type { Registry } from "effect-resilience/observability"
import { describe, expect, test } from "tstyche"

class Directory extends Context.Tag("Directory")<Directory, { readonly admin: string }>() {}
class Someone extends Context.Tag("Someone")<Someone, { readonly name: string }>() {}
class Login extends HttpApiMiddleware.Tag<Login>()("Login", { provides: Someone }) {}

class Api extends HttpApi.make("offers").add(HttpHealth.group) {}
class Guarded extends HttpApi.make("offers").add(HttpHealth.group.middleware(Login)) {}

declare const asUser: (asked: HttpAdmin.AskedToRead) => Effect.Effect<boolean, "unknown", Directory | Someone>

type Implemented = HttpApiGroup.ApiGroup<"offers", "health">
type Served =
  HttpLayerRouter.HttpRouter | HttpPlatform.HttpPlatform | Etag.Generator | FileSystem.FileSystem | Path.Path

describe("the routes for probes", () => {
  test("require the registry", () => {
    expect(HttpHealth.router()).type.toBe<Effect.Effect<HttpRouter.HttpRouter, never, Registry.Registry>>()
    expect(HttpHealth.layer(Api)).type.toBe<Layer.Layer<Implemented, never, Registry.Registry>>()
    expect(HttpHealth.layerRouter()).type.toBe<Layer.Layer<never, never, Registry.Registry | Served>>()
    const rules = [{ kind: "circuit-breaker", state: "open", health: "down" }] as const
    expect(HttpHealth.router({ rules })).type.toBe<
      Effect.Effect<HttpRouter.HttpRouter, never, Registry.Registry>
    >()
  })

  test("require what the hook requires, unless a middleware provides it", () => {
    const reading = { authorize: asUser }
    type Needed = Registry.Registry | Directory | Someone
    expect(HttpHealth.router({ reading })).type.toBe<Effect.Effect<HttpRouter.HttpRouter, never, Needed>>()
    expect(HttpHealth.layerRouter({ reading, prefix: "/ops" })).type.toBe<
      Layer.Layer<never, never, Needed | Served>
    >()
    expect(HttpHealth.layer(Guarded, { reading })).type.toBe<
      Layer.Layer<Implemented, never, Registry.Registry | Directory | Login>
    >()
  })

  test("are no part of an api without their group", () => {
    expect(HttpHealth.layer).type.not.toBeCallableWith(HttpApi.make("offers"))
  })

  test("refuse options that they do not have, and rules that cannot hold", () => {
    expect(HttpHealth.layerRouter).type.not.toBeCallableWith({ rule: [] })
    expect(HttpHealth.layerRouter).type.not.toBeCallableWith({ prefix: "ops" })
    expect(HttpHealth.layerRouter).type.not.toBeCallableWith({ rules: [{ kind: "retry", health: "up" }] })
    expect(HttpHealth.layerRouter).type.not.toBeCallableWith({
      rules: [{ kind: "bulkhead", state: "open", health: "up" }]
    })
    expect(HttpHealth.layerRouter).type.toBeCallableWith({
      rules: [{ kind: "bulkhead", state: "full", health: "up" }]
    })
  })
})

test("a client of the routes gets a report, or fails as not ready", () => {
  const call = Effect.flatMap(HttpApiClient.make(HttpHealth.api), ({ health }) => health.ready())
  expect<Effect.Effect.Success<typeof call>>().type.toBe<HttpHealth.Report>()
  expect<Effect.Effect.Context<typeof call>>().type.toBe<HttpClient.HttpClient>()
  expect(Effect.catchTag(call, "NotReady", ({ reasons }) => Effect.succeed(reasons))).type.toBeAssignableTo<
    Effect.Effect<HttpHealth.Report | HttpHealth.Report["reasons"], unknown, HttpClient.HttpClient>
  >()
})
