// The types that stateful policies have from their definition.
import { Config, type ConfigError, Context, Effect, flow, type Layer } from "effect"
import {
  Bulkhead,
  CircuitBreaker,
  type Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout
} from "effect-resilience"
import { HttpProtection, HttpResilience } from "effect-resilience/http"
import { describe, expect, test } from "tstyche"
import { type BadRequest, fetchOffer, type Offer, type Refused, type Response } from "../support/offer.js"

class Desk extends Context.Tag("Desk")<Desk, "desk">() {}
class Hosts extends CircuitBreaker.KeyedTag("Hosts")<Hosts>() {}
class Tenants extends Bulkhead.KeyedTag("Tenants")<Tenants>() {}
class Users extends RateLimiter.KeyedTag("Users")<Users>() {}
class Routes extends RetryBudget.KeyedTag("Routes")<Routes>() {}

declare const note: () => Effect.Effect<void, never, Desk>
declare const call: Effect.Effect<string, "down">
declare const rate: RateLimiter.Rate
declare const hosts: CircuitBreaker.KeyedCircuitBreaker

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Database extends Bulkhead.Tag("Database")<Database>() {}
class Pace extends RateLimiter.Tag("Pace")<Pace>() {}

type CircuitOpen = CircuitBreaker.CircuitOpen
type BulkheadFull = Bulkhead.BulkheadFull
type RateLimitExceeded = RateLimiter.RateLimitExceeded

declare const breaker: CircuitBreaker.CircuitBreaker
declare const bulkhead: Bulkhead.Bulkhead
declare const limiter: RateLimiter.RateLimiter

describe("a policy that protects calls", () => {
  test("adds its error and leaves everything else as it is", () => {
    expect(breaker.protect(fetchOffer)).type.toBe<Offer<CircuitOpen>>()
    expect(bulkhead.protect(fetchOffer)).type.toBe<Offer<BulkheadFull>>()
    expect(limiter.protect(fetchOffer)).type.toBe<Offer<RateLimitExceeded>>()
    expect(fetchOffer.pipe(breaker.protect)).type.toBe<Offer<CircuitOpen>>()
    expect(fetchOffer.pipe(bulkhead.protect)).type.toBe<Offer<BulkheadFull>>()
    expect(fetchOffer.pipe(limiter.protect)).type.toBe<Offer<RateLimitExceeded>>()
    expect(fetchOffer.pipe(limiter.withCost(5))).type.toBe<Offer<RateLimitExceeded>>()
    expect(breaker.protect(Effect.never)).type.toBe<Effect.Effect<never, CircuitOpen>>()
    expect(bulkhead.protect(Effect.never)).type.toBe<Effect.Effect<never, BulkheadFull>>()
    expect(limiter.protect(Effect.never)).type.toBe<Effect.Effect<never, RateLimitExceeded>>()
  })

  test("requires the service when it is one of a tag", () => {
    expect(fetchOffer.pipe(Partner.protect)).type.toBe<Offer<CircuitOpen, Partner>>()
    expect(fetchOffer.pipe(Database.protect)).type.toBe<Offer<BulkheadFull, Database>>()
    expect(fetchOffer.pipe(Pace.protect)).type.toBe<Offer<RateLimitExceeded, Pace>>()
    expect(Effect.never.pipe(Pace.withCost(5))).type.toBe<Effect.Effect<never, RateLimitExceeded, Pace>>()
    expect(Effect.never.pipe(CircuitBreaker.protect)).type.toBe<
      Effect.Effect<never, CircuitOpen, CircuitBreaker.CircuitBreaker>
    >()
    expect(Effect.never.pipe(Bulkhead.protect)).type.toBe<
      Effect.Effect<never, BulkheadFull, Bulkhead.Bulkhead>
    >()
    expect(Effect.never.pipe(RateLimiter.protect)).type.toBe<
      Effect.Effect<never, RateLimitExceeded, RateLimiter.RateLimiter>
    >()
  })

  test("is a policy", () => {
    expect(Partner.protect).type.toBe<Policy.Policy<CircuitOpen, Partner>>()
    expect(breaker.protect).type.toBe<Policy.Policy<CircuitOpen>>()
    expect(Database.protect).type.toBe<Policy.Policy<BulkheadFull, Database>>()
    expect(bulkhead.protect).type.toBe<Policy.Policy<BulkheadFull>>()
    expect(Pace.protect).type.toBe<Policy.Policy<RateLimitExceeded, Pace>>()
    expect(limiter.protect).type.toBe<Policy.Policy<RateLimitExceeded>>()
    expect(limiter.withCost(2)).type.toBe<Policy.Policy<RateLimitExceeded>>()
  })

  test("infers in flow and in map", () => {
    const timeout = Timeout.timeout("2 seconds")
    const retry = Retry.retry({ times: 2 })
    expect(flow(timeout, Partner.protect, retry)(fetchOffer)).type.toBe<
      Offer<Timeout.TimeoutExceeded | CircuitOpen, Partner>
    >()
    expect(flow(timeout, Database.protect, retry)(fetchOffer)).type.toBe<
      Offer<Timeout.TimeoutExceeded | BulkheadFull, Database>
    >()
    expect(flow(timeout, Pace.protect, retry)(fetchOffer)).type.toBe<
      Offer<Timeout.TimeoutExceeded | RateLimitExceeded, Pace>
    >()
    expect([fetchOffer].map(Partner.protect)).type.toBe<Array<Offer<CircuitOpen, Partner>>>()
    expect([fetchOffer].map(Database.protect)).type.toBe<Array<Offer<BulkheadFull, Database>>>()
    expect([fetchOffer].map(Pace.protect)).type.toBe<Array<Offer<RateLimitExceeded, Pace>>>()
  })

  test("can be named with a condition for one type of call, and does not fit another", () => {
    const unavailable = { result: ({ status }: Response) => status === 503 }
    const byBreaker = Partner.protectWhen<Response, Refused | BadRequest>(unavailable)
    const byBulkhead = Database.protectWhen<Response, Refused | BadRequest>({ tags: ["Refused"] })
    const byLimiter = Pace.protectWhen<Response, Refused | BadRequest>({ ignore: unavailable })
    expect(byBreaker).type.toBe<CircuitBreaker.ProtectFor<Response, Refused | BadRequest, Partner>>()
    expect(byBulkhead).type.toBe<Bulkhead.ProtectFor<Response, Refused | BadRequest, Database>>()
    expect(byLimiter).type.toBe<RateLimiter.ProtectFor<Response, Refused | BadRequest, Pace>>()
    expect(byBreaker(fetchOffer)).type.toBe<Offer<CircuitOpen, Partner>>()
    expect(byBulkhead(fetchOffer)).type.toBe<Offer<BulkheadFull, Database>>()
    expect(byLimiter(fetchOffer)).type.toBe<Offer<RateLimitExceeded, Pace>>()
    expect(byBreaker).type.not.toBeCallableWith(Effect.succeed("text"))
    expect(byBulkhead).type.not.toBeCallableWith(Effect.succeed("text"))
    expect(byLimiter).type.not.toBeCallableWith(Effect.succeed("text"))
    expect(Database.protectWhen<Response, Refused>).type.not.toBeCallableWith({ tags: ["Missing"] })
  })
})

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
    expect(HttpProtection.rateLimiter(Users, { key })).type.toBe<HttpProtection.AdmissionPart<Users>>()
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
