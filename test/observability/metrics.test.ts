// What the metrics of a program show, whatever exports them.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import {
  Bulkhead,
  Cache,
  CircuitBreaker,
  Fallback,
  Hedge,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { Observability } from "effect-resilience/observability"
import { down, forked, up } from "../support/calls.js"
import { measured, scrape } from "./scrape.js"

/** Runs to the end, for at most a minute of virtual time. */
const inTime = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* forked(Effect.exit(self))
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

// ------------------------------------------------------------------------------------------------------------ the table

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Places extends Bulkhead.Tag("Places")<Places>() {}
class Pace extends RateLimiter.Tag("Pace")<Pace>() {}
class Spending extends RetryBudget.Tag("Spending")<Spending>() {}

const layers = Layer.mergeAll(
  Partner.layer({ trip: Trip.consecutive(1), openFor: "10 seconds" }),
  Places.layer({ permits: 1, maxQueued: 1 }),
  Pace.layer({ rate: RateLimiter.tokenBucket({ limit: 1, per: "1 hour" }) }),
  Spending.layer({ rule: RetryBudget.successes({ capacity: 1 }) })
)

/** A program in which everything happens that is counted. */
const everything = Effect.gen(function* () {
  yield* Partner.protect(up)
  yield* Effect.exit(Partner.protect(down))
  yield* Effect.exit(Partner.protect(up))
  yield* TestClock.adjust("10 seconds")
  yield* Partner.protect(up)
  const first = yield* forked(Places.protect(Effect.never))
  const second = yield* forked(Places.protect(up))
  yield* Effect.exit(Places.protect(up))
  yield* Fiber.interrupt(first)
  yield* Fiber.join(second)
  yield* Pace.protect(up)
  yield* Effect.exit(Pace.protect(up))
  yield* inTime(Retry.retry(down, { times: 2, budget: Spending }))
  yield* inTime(Hedge.hedge(Effect.sleep("3 seconds"), { delay: "1 second" }))
  yield* inTime(Timeout.timeout(Effect.never, "1 second"))
  yield* Fallback.succeed(down, "cold")
  const cache = yield* Cache.make({ lookup: (_key: string) => up, capacity: 1, timeToLive: "1 minute" })
  yield* cache.get("a")
  yield* cache.get("a")
  yield* cache.refresh("a")
  yield* cache.get("b")
}).pipe(Effect.scoped, Effect.provide(layers))

/** Labels that an option or an exporter adds. */
const added = ["unit"]

describe("in a program that uses every policy", () => {
  it.effect.each(["resilience", "resilience4j", "polly"] as const)(
    "the metrics with the names of %s are those of the table, with its types, labels and kinds",
    (names) =>
      Effect.gen(function* () {
        const { observed, prefix } = measured({ names })
        yield* observed(everything)
        const table = Observability.metrics[names]
        const root = { resilience: "resilience.", resilience4j: "resilience4j.", polly: "resilience.polly." }
        const found = scrape(prefix)
        assert.deepStrictEqual(
          [...new Set(found.map(({ name }) => name))].sort(),
          table.map(({ name }) => name.slice(root[names].length)).sort()
        )
        for (const { labels, name, shown } of found) {
          const metric = table.find((each) => each.name === `${root[names]}${name}`)
          assert.deepStrictEqual(
            Object.keys(labels).filter((label) => !added.includes(label)),
            metric?.labels,
            name
          )
          assert.strictEqual(labels.unit, metric?.unit, name)
          assert.strictEqual(typeof shown === "object", metric?.type === "histogram", name)
          if (names === "resilience") assert.include<unknown>(metric?.kinds, labels.kind, name)
        }
        for (const { kinds, name } of Observability.metrics.resilience) {
          if (names !== "resilience") continue
          const seen = found.filter((series) => `${root[names]}${series.name}` === name)
          assert.sameMembers([...new Set(seen.map(({ labels }) => labels.kind))], [...kinds], name)
        }
      })
  )
})
