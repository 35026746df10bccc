import { Config, type ConfigError, Effect, type Layer } from "effect"
import { RateLimiter, RetryBudget } from "effect-resilience"
import { Share, type SharedStore } from "effect-resilience/fleet"
import { HttpResilience } from "effect-resilience/http/client"
import { describe, expect, test } from "tstyche"

class Partner extends RateLimiter.Tag("Partner")<Partner>() {}
class Users extends RateLimiter.KeyedTag("Users")<Users>() {}
class Budget extends RetryBudget.Tag("Budget")<Budget>() {}

const rate = RateLimiter.tokenBucket({ limit: 100, per: "1 second" })
const rule = RetryBudget.successes({ minPerSecond: 3 })

type Store = SharedStore.SharedStore

describe("a shared limiter", () => {
  test("requires the store, wherever it is made", () => {
    expect(Partner.layer({ rate, share: Share.leasedRate() })).type.toBe<Layer.Layer<Partner, never, Store>>()
    expect(RateLimiter.make({ name: "partner", rate, share: Share.inlineRate() })).type.toBe<
      Effect.Effect<RateLimiter.RateLimiter, never, Store>
    >()
    expect(Users.layer({ options: { rate, share: Share.leasedRate({ period: "50 millis" }) } })).type.toBe<
      Layer.Layer<Users, never, Store>
    >()
    expect(Partner.layer({ rate })).type.toBe<Layer.Layer<Partner>>()
  })

  test("takes its share besides settings from the configuration", () => {
    const settings = { rate: Config.succeed(rate) }
    expect(Partner.layerConfig(settings, { share: Share.leasedRate() })).type.toBe<
      Layer.Layer<Partner, ConfigError.ConfigError, Store>
    >()
  })

  test("adds no error and no requirement to a call", () => {
    expect(Effect.succeed("offer").pipe(Partner.protect)).type.toBe<
      Effect.Effect<string, RateLimiter.RateLimitExceeded, Partner>
    >()
  })

  test("is not shared as a breaker or a budget is", () => {
    expect(Partner.layer).type.not.toBeCallableWith({ rate, share: Share.local() })
    expect(Partner.layer).type.not.toBeCallableWith({ rate, share: Share.floor() })
    expect(Share.leasedRate).type.not.toBeCallableWith({ onStoreFailure: "open" })
    expect(Share.inlineRate).type.not.toBeCallableWith({ period: "1 second" })
  })

  test("is a part of a client that requires the store", () => {
    expect(
      HttpResilience.rateLimiter({ name: "partner", rate, share: Share.leasedRate() })
    ).type.toBeAssignableTo<HttpResilience.Part<RateLimiter.RateLimitExceeded, Store>>()
  })
})

describe("a shared budget", () => {
  test("requires the store", () => {
    expect(Budget.layer({ rule, share: Share.floor() })).type.toBe<Layer.Layer<Budget, never, Store>>()
    expect(RetryBudget.make({ rule, share: Share.floor() })).type.toBe<
      Effect.Effect<RetryBudget.RetryBudget, never, Store>
    >()
  })

  test("is not shared as a limiter is", () => {
    expect(Budget.layer).type.not.toBeCallableWith({ rule, share: Share.leasedRate() })
  })
})
