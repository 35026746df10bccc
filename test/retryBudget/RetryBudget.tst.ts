import type { Config, ConfigError, Layer, Stream } from "effect"
import { Config as C, Context, Data, Effect, Schedule } from "effect"
import { describe, expect, test } from "tstyche"
import * as Retry from "../../src/retry/Retry.js"
import * as RetryBudget from "../../src/retryBudget/RetryBudget.js"

class Unavailable extends Data.TaggedError("Unavailable") {}
class Metrics extends Context.Tag("Metrics")<Metrics, number>() {}
class PartnerBudget extends RetryBudget.Tag("PartnerBudget")<PartnerBudget>() {}

declare const call: Effect.Effect<number, Unavailable, "Service">
declare const budget: RetryBudget.RetryBudget

describe("RetryBudget", () => {
  test("make gives an instance, and requires what its listeners do", () => {
    expect(RetryBudget.make()).type.toBe<Effect.Effect<RetryBudget.RetryBudget>>()
    expect(RetryBudget.make({ name: "partner", rule: RetryBudget.awsStandard() })).type.toBe<
      Effect.Effect<RetryBudget.RetryBudget>
    >()
    expect(RetryBudget.make({ onExhausted: () => Metrics, onRefused: () => Effect.fail("no") })).type.toBe<
      Effect.Effect<RetryBudget.RetryBudget, never, Metrics>
    >()
    expect(RetryBudget.make).type.not.toBeCallableWith({ ratio: 0.1 })
    expect(RetryBudget.make).type.not.toBeCallableWith({ rule: { ratio: 0.1 } })
  })

  test("an instance needs nothing, a tag needs itself", () => {
    expect(budget.balance).type.toBe<Effect.Effect<number>>()
    expect(PartnerBudget.balance).type.toBe<Effect.Effect<number, never, PartnerBudget>>()
    expect(PartnerBudget.snapshot).type.toBe<Effect.Effect<RetryBudget.Snapshot, never, PartnerBudget>>()
    expect(PartnerBudget.tryWithdraw()).type.toBe<Effect.Effect<boolean, never, PartnerBudget>>()
    expect(PartnerBudget.changes).type.toBe<Stream.Stream<RetryBudget.Change, never, PartnerBudget>>()
    expect(Effect.map(PartnerBudget, (made) => made)).type.toBe<
      Effect.Effect<RetryBudget.RetryBudget, never, PartnerBudget>
    >()
  })

  test("layers provide the tag", () => {
    expect(PartnerBudget.layer()).type.toBe<Layer.Layer<PartnerBudget>>()
    expect(PartnerBudget.layer({ onRecovered: () => Metrics })).type.toBe<
      Layer.Layer<PartnerBudget, never, Metrics>
    >()
    const rule: Config.Config<RetryBudget.Rule> = C.map(C.number("RATIO"), (ratio) =>
      RetryBudget.successes({ ratio })
    )
    expect(PartnerBudget.layerConfig({ rule })).type.toBe<
      Layer.Layer<PartnerBudget, ConfigError.ConfigError>
    >()
    expect(PartnerBudget.layerConfig({ rule }, { onRefused: () => Metrics })).type.toBe<
      Layer.Layer<PartnerBudget, ConfigError.ConfigError, Metrics>
    >()
    expect(RetryBudget.layer()).type.toBe<Layer.Layer<RetryBudget.RetryBudget>>()
  })

  test("rules are values, of which each has its own options", () => {
    expect(RetryBudget.successes()).type.toBe<RetryBudget.Rule>()
    expect(RetryBudget.requests({ window: "10 seconds" })).type.toBe<RetryBudget.Rule>()
    expect(RetryBudget.throttling({ maxTokens: 10, tokenRatio: 0.1 })).type.toBe<RetryBudget.Rule>()
    expect(RetryBudget.successes).type.toBeCallableWith({
      ratio: undefined,
      capacity: undefined,
      cost: undefined
    })
    expect(RetryBudget.successes).type.not.toBeCallableWith({ window: "10 seconds" })
    expect(RetryBudget.requests).type.not.toBeCallableWith({ capacity: 10 })
  })
})

describe("the budget of a retry", () => {
  test("that is an instance adds nothing", () => {
    expect(call.pipe(Retry.retry({ times: 2, budget }))).type.toBe<
      Effect.Effect<number, Unavailable, "Service">
    >()
    expect(Retry.retry(call, { budget })).type.toBe<Effect.Effect<number, Unavailable, "Service">>()
    expect(Retry.retry(call, { budget: undefined })).type.toBe<
      Effect.Effect<number, Unavailable, "Service">
    >()
  })

  test("that is a tag adds its requirement, with a condition and without", () => {
    expect(call.pipe(Retry.retry({ budget: PartnerBudget }))).type.toBe<
      Effect.Effect<number, Unavailable, "Service" | PartnerBudget>
    >()
    expect(Retry.retry(call, { budget: PartnerBudget })).type.toBe<
      Effect.Effect<number, Unavailable, "Service" | PartnerBudget>
    >()
    expect(
      call.pipe(
        Retry.retry({
          budget: PartnerBudget,
          schedule: Schedule.recurs(2),
          condition: { tags: ["Unavailable"], result: (n) => n > 500 },
          onRetry: () => Metrics
        })
      )
    ).type.toBe<Effect.Effect<number, Unavailable, "Service" | PartnerBudget | Metrics>>()
  })

  test("can be found by any effect that does not fail", () => {
    expect(call.pipe(Retry.retry({ budget: RetryBudget.RetryBudget }))).type.toBe<
      Effect.Effect<number, Unavailable, "Service" | RetryBudget.RetryBudget>
    >()
    expect(call.pipe(Retry.retry({ budget: Effect.succeed(budget) }))).type.toBe<
      Effect.Effect<number, Unavailable, "Service">
    >()
    expect(Retry.retry).type.not.toBeCallableWith({ budget: Effect.fail("no") })
    expect(Retry.retry).type.not.toBeCallableWith({ budget: 5 })
    expect(Retry.retry).type.not.toBeCallableWith({ budget: Metrics })
  })

  test("is one of the reasons to give up", () => {
    expect<Retry.Reason>().type.toBeAssignableFrom<"budget">()
  })
})
