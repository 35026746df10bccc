import { type ConfigError, Effect, type Layer } from "effect"
import { CircuitBreaker, Trip } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { HttpResilience } from "effect-resilience/http/client"
import { describe, expect, test } from "tstyche"

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Payments extends CircuitBreaker.Tag("Payments")<Payments, SharedStore.StoreUnavailable>() {}
class Hosts extends CircuitBreaker.KeyedTag("Hosts")<Hosts>() {}

type CircuitOpen = CircuitBreaker.CircuitOpen
type StoreUnavailable = SharedStore.StoreUnavailable
type Store = SharedStore.SharedStore

const call = Effect.succeed("offer")
const inline = { trip: Trip.consecutive(3), share: Share.inline({ onStoreFailure: "fail" }) }

describe("a shared breaker", () => {
  test("requires a store where it is made, and nowhere else", () => {
    const layer = Partner.layer({ share: Share.local() })
    expect(layer).type.toBe<Layer.Layer<Partner, never, Store>>()
    expect(call.pipe(Partner.protect)).type.toBe<Effect.Effect<string, CircuitOpen, Partner>>()
    expect(CircuitBreaker.make({ name: "partner", share: Share.local() })).type.toBe<
      Effect.Effect<CircuitBreaker.CircuitBreaker, never, Store>
    >()
    expect(Hosts.layer({ options: { share: Share.local({ quorum: 3 }) } })).type.toBe<
      Layer.Layer<Hosts, never, Store>
    >()
    expect(HttpResilience.circuitBreaker({ name: "partner", share: Share.local() })).type.toBe<
      HttpResilience.Part<CircuitOpen, Store>
    >()
  })

  test("does not run without a store", () => {
    const program = Effect.provide(Partner.state, Partner.layer({ share: Share.local() }))
    expect(Effect.runPromise).type.not.toBeCallableWith(program)
    expect(Effect.runPromise).type.toBeCallableWith(Effect.provide(program, SharedStore.memory))
  })

  test("takes its share besides settings from the configuration", () => {
    expect(Partner.layerConfig({}, { share: Share.local() })).type.toBe<
      Layer.Layer<Partner, ConfigError.ConfigError, Store>
    >()
  })

  test("adds no error of the store, unless calls are to fail with it", () => {
    for (const onStoreFailure of ["local", "open", "closed"] as const) {
      expect(Partner.layer({ share: Share.inline({ onStoreFailure }) })).type.toBe<
        Layer.Layer<Partner, never, Store>
      >()
    }
    expect(Partner.layer({ share: Share.inline() })).type.toBe<Layer.Layer<Partner, never, Store>>()
    const made = CircuitBreaker.make({ name: "partner", ...inline })
    expect(made).type.toBe<
      Effect.Effect<CircuitBreaker.CircuitBreakerFailing<StoreUnavailable>, never, Store>
    >()
    const run = Effect.flatMap(made, (breaker) => call.pipe(breaker.protect))
    expect(run).type.toBe<Effect.Effect<string, CircuitOpen | StoreUnavailable, Store>>()
  })

  test("fails with the error of the store only behind a tag that says so", () => {
    expect(Partner.layer).type.not.toBeCallableWith(inline)
    expect(Payments.layer(inline)).type.toBe<Layer.Layer<Payments, never, Store>>()
    expect(Payments.layer({ share: Share.local() })).type.toBe<Layer.Layer<Payments, never, Store>>()
    expect(call.pipe(Payments.protect)).type.toBe<
      Effect.Effect<string, CircuitOpen | StoreUnavailable, Payments>
    >()
    expect(call.pipe(Payments.protectWhen({ error: () => true }))).type.toBe<
      Effect.Effect<string, CircuitOpen | StoreUnavailable, Payments>
    >()
    expect(Effect.scoped(Payments.acquire)).type.toBe<
      Effect.Effect<CircuitBreaker.Permit, CircuitOpen | StoreUnavailable, Payments>
    >()
    expect(Hosts.layer).type.not.toBeCallableWith({ options: inline })
  })
})
