import { assert, it } from "@effect/vitest"
import { Chunk, Config, ConfigProvider, Effect, Layer, Stream } from "effect"
import { RetryBudget } from "effect-resilience"
import { settled } from "../support/calls.js"

class PartnerBudget extends RetryBudget.Tag("PartnerBudget")<PartnerBudget>() {}

const fromConfig = (entries: Record<string, string>) =>
  PartnerBudget.layerConfig({
    rule: Config.all({
      ratio: Config.number("RATIO").pipe(Config.withDefault(0.1)),
      capacity: Config.integer("CAPACITY").pipe(Config.withDefault(100))
    }).pipe(Config.map(RetryBudget.successes))
  }).pipe(Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(entries))))))

it.effect("a layer makes one budget, named after its tag, for all who ask", () =>
  Effect.gen(function* () {
    assert.isTrue(yield* PartnerBudget.tryWithdraw())
    const budget = yield* PartnerBudget
    assert.isFalse(yield* budget.tryWithdraw())
    yield* PartnerBudget.recordRequest
    yield* PartnerBudget.recordSuccess
    yield* PartnerBudget.recordFailure
    assert.deepInclude(yield* PartnerBudget.snapshot, {
      name: "PartnerBudget",
      requests: 1,
      successes: 1,
      retries: 1,
      refused: 1
    })
    yield* PartnerBudget.reset
    assert.strictEqual(yield* PartnerBudget.balance, 1)
  }).pipe(Effect.provide(PartnerBudget.layer({ rule: RetryBudget.successes({ capacity: 1 }) })))
)

it.effect("the changes of a tag are those of its budget", () =>
  Effect.gen(function* () {
    const heard = yield* Effect.fork(Stream.runCollect(Stream.take(PartnerBudget.changes, 1)))
    yield* settled
    yield* PartnerBudget.tryWithdraw()
    assert.deepStrictEqual(Chunk.toReadonlyArray(yield* heard), [
      { _tag: "Exhausted", kind: "retry-budget", name: "PartnerBudget", exhausted: true, balance: 0 }
    ])
  }).pipe(Effect.provide(PartnerBudget.layer({ rule: RetryBudget.successes({ capacity: 0 }) })))
)

it.effect("layerConfig reads the rule from the configuration", () =>
  Effect.gen(function* () {
    assert.strictEqual((yield* PartnerBudget.snapshot).capacity, 7)
  }).pipe(Effect.provide(fromConfig({ CAPACITY: "7" })))
)

it.effect("layerConfig fails with an error of the configuration for a rule that cannot be", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Effect.provide(PartnerBudget.balance, fromConfig({ RATIO: "-1" })))
    assert.include(String(error), 'option "rule.ratio" must be a finite number of at least 0, got -1')
  })
)

it.effect("layerConfig takes listeners beside the settings, and refuses an empty name", () =>
  Effect.gen(function* () {
    const seen: Array<boolean> = []
    const live = PartnerBudget.layerConfig(
      { rule: Config.succeed(RetryBudget.successes({ capacity: 0 })) },
      { onExhausted: ({ exhausted }) => Effect.sync(() => seen.push(exhausted)) }
    )
    assert.isFalse(yield* Effect.provide(PartnerBudget.tryWithdraw(), live))
    assert.deepStrictEqual(seen, [true])
    const nameless = PartnerBudget.layerConfig({ name: Config.succeed("") })
    const error = yield* Effect.flip(Effect.provide(PartnerBudget.balance, nameless))
    assert.include(String(error), 'option "name" must be a string that is not empty, got ""')
  })
)
