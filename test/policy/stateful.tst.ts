// The types of tags by key.
import { Config, type ConfigError, Context, Effect, type Layer } from "effect"
import { Bulkhead, CircuitBreaker, type Policy, RateLimiter, Retry, RetryBudget } from "effect-resilience"
import { HttpProtection, HttpResilience } from "effect-resilience/http"
import { describe, expect, test } from "tstyche"

class Desk extends Context.Tag("Desk")<Desk, "desk">() {}
class Hosts extends CircuitBreaker.KeyedTag("Hosts")<Hosts>() {}
class Tenants extends Bulkhead.KeyedTag("Tenants")<Tenants>() {}
class Users extends RateLimiter.KeyedTag("Users")<Users>() {}
class Routes extends RetryBudget.KeyedTag("Routes")<Routes>() {}

declare const note: () => Effect.Effect<void, never, Desk>
declare const call: Effect.Effect<string, "down">
declare const rate: RateLimiter.Rate
declare const hosts: CircuitBreaker.KeyedCircuitBreaker

describe("a tag by key", () => {
  test("has policies that need the service", () => {
    expect(Hosts.protect("a")).type.toBe<Policy.Policy<CircuitBreaker.CircuitOpen, Hosts>>()
    expect(call.pipe(Users.protect("a"))).type.toBe<
      Effect.Effect<string, "down" | RateLimiter.RateLimitExceeded, Users>
    >()
    expect(call.pipe(Tenants.protectWhen("a")({ error: (error) => error === "down" }))).type.toBe<
      Effect.Effect<string, "down" | Bulkhead.BulkheadFull, Tenants>
    >()
    expect(call.pipe(Retry.retry({ times: 1, budget: Routes.get("a") }))).type.toBe<
      Effect.Effect<string, "down", Routes>
    >()
  })

  test("has the operations of each key", () => {
    expect(Hosts.at("a")).type.toBe<CircuitBreaker.Operations<Hosts>>()
    expect(hosts.at("a")).type.toBe<CircuitBreaker.Operations>()
    expect(Tenants.at("a").resize(2)).type.toBe<Effect.Effect<void, never, Tenants>>()
    expect(Users.size).type.toBe<Effect.Effect<number, never, Users>>()
    expect(Users.snapshots).type.toBe<
      Effect.Effect<ReadonlyMap<string, RateLimiter.Snapshot>, never, Users>
    >()
    expect(Routes.at("a").balance).type.toBe<Effect.Effect<number, never, Routes>>()
  })

  test("is a service of keyed instances", () => {
    expect(Effect.provideService(Hosts.size, Hosts, hosts)).type.toBe<Effect.Effect<number>>()
    expect(Hosts.key).type.toBe<"KeyedCircuitBreaker/Hosts">()
  })

  test("has layers", () => {
    expect(Hosts.layer()).type.toBe<Layer.Layer<Hosts>>()
    expect(Tenants.layer({ options: { permits: 1 }, capacity: 5 })).type.toBe<Layer.Layer<Tenants>>()
    expect(Users.layer({ options: { rate, onRejected: note } })).type.toBe<Layer.Layer<Users, never, Desk>>()
    expect(Tenants.layer({ options: () => ({ permits: 1 }) })).type.toBe<Layer.Layer<Tenants>>()
    expect(Tenants.layer).type.not.toBeCallableWith()
    expect(Tenants.layer).type.not.toBeCallableWith({ options: {} })
    expect(Tenants.layer).type.not.toBeCallableWith({ options: { permits: 1 }, capacities: 1 })
  })

  test("has layers from the configuration", () => {
    const options = { permits: Config.integer("PERMITS") }
    expect(Tenants.layerConfig({ options })).type.toBe<Layer.Layer<Tenants, ConfigError.ConfigError>>()
    expect(
      Tenants.layerConfig({ options, capacity: Config.integer("TENANTS") }, { onRejected: note })
    ).type.toBe<Layer.Layer<Tenants, ConfigError.ConfigError, Desk>>()
    expect(Hosts.layerConfig({ capacity: Config.integer("HOSTS") })).type.toBe<
      Layer.Layer<Hosts, ConfigError.ConfigError>
    >()
    expect(Tenants.layerConfig).type.not.toBeCallableWith({})
    expect(Tenants.layerConfig).type.not.toBeCallableWith({ options }, { onQueue: note })
  })

  test("stands where HTTP takes a keyed policy", () => {
    const key = () => "a"
    expect(HttpProtection.rateLimiter(Users, { key })).type.toBe<HttpProtection.Gate<Users>>()
    expect(HttpResilience.circuitBreaker(Hosts)).type.toBe<
      HttpResilience.Part<CircuitBreaker.CircuitOpen, Hosts>
    >()
    expect(HttpResilience.bulkhead(Tenants, { key })).type.toBe<
      HttpResilience.Part<Bulkhead.BulkheadFull, Tenants>
    >()
    expect(HttpResilience.rateLimiter(Users)).type.toBe<
      HttpResilience.Part<RateLimiter.RateLimitExceeded, Users>
    >()
  })
})
