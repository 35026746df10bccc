// The tags of different policies beside each other.
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Bulkhead, Cache, CircuitBreaker, RateLimiter, RetryBudget } from "effect-resilience"

class Breaker extends CircuitBreaker.Tag("Partner")<Breaker>() {}
class Places extends Bulkhead.Tag("Partner")<Places>() {}
class Pace extends RateLimiter.Tag("Partner")<Pace>() {}
class Budget extends RetryBudget.Tag("Partner")<Budget>() {}
class Answers extends Cache.Tag("Partner")<Answers, string, string>() {}
class Kept extends Cache.StoreTag("Partner")<Kept, string, string>() {}

it.effect("policies of different kinds may have the same identifier, which is their name", () =>
  Effect.gen(function* () {
    const call = Effect.succeed("up").pipe(Breaker.protect, Places.protect, Pace.protect)
    assert.strictEqual(yield* call, "up")
    assert.strictEqual(yield* Answers.get("a"), "A")
    assert.strictEqual(yield* Effect.succeed("kept").pipe(Kept.cached("a")), "kept")
    const snapshots = yield* Effect.all([Breaker.snapshot, Places.snapshot, Budget.snapshot])
    assert.deepStrictEqual(
      snapshots.map(({ name }) => name),
      ["Partner", "Partner", "Partner"]
    )
  }).pipe(
    Effect.provide(
      Layer.mergeAll(
        Breaker.layer(),
        Places.layer({ permits: 1 }),
        Pace.layer({ rate: RateLimiter.smooth({ limit: 5, per: "1 second" }) }),
        Budget.layer(),
        Answers.layer({ lookup: (key) => Effect.succeed(key.toUpperCase()), timeToLive: "1 minute" }),
        Kept.layer({ timeToLive: "1 minute" })
      )
    )
  )
)

it("a tag keeps the operations that it has made", () => {
  assert.strictEqual(Breaker.protect, Breaker.protect)
  assert.strictEqual(Breaker.open, Breaker.open)
  assert.notStrictEqual<unknown>(Breaker.protect, CircuitBreaker.Tag("Other")<never>().protect)
})
