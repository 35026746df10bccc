import { Context, Data, Duration, Effect, flow } from "effect"
import { describe, expect, test } from "tstyche"
import * as Hedge from "../../src/hedge/Hedge.js"
import type * as Policy from "../../src/policy/Policy.js"
import * as Retry from "../../src/retry/Retry.js"
import * as RetryBudget from "../../src/retryBudget/RetryBudget.js"

class Unavailable extends Data.TaggedError("Unavailable") {}
class Metrics extends Context.Tag("Metrics")<Metrics, number>() {}
class PartnerBudget extends RetryBudget.Tag("PartnerBudget")<PartnerBudget>() {}

declare const call: Effect.Effect<number, Unavailable, "Service">
declare const budget: RetryBudget.RetryBudget

type Same = Effect.Effect<number, Unavailable, "Service">

describe("Hedge.hedge", () => {
  test("leaves the type of a call alone", () => {
    expect(call.pipe(Hedge.hedge({ delay: "50 millis" }))).type.toBe<Same>()
    expect(Hedge.hedge(call, { delay: 50, maxHedges: 3, disconnect: true })).type.toBe<Same>()
    expect(call.pipe(Hedge.hedge({ delay: Hedge.percentile(0.95), budget }))).type.toBe<Same>()
    expect(
      call.pipe(Hedge.hedge({ delay: Duration.seconds(1), maxHedges: undefined, budget: undefined }))
    ).type.toBe<Same>()
  })

  test("takes the types of the call inside a pipe", () => {
    expect(
      call.pipe(
        Hedge.hedge({
          delay: 50,
          condition: { result: (n) => n === 503, tags: ["Unavailable"] },
          disposeResult: (n) => Effect.succeed(n + 1),
          onHedge: ({ failure }) => {
            if (failure?._tag === "Result") expect(failure.result).type.toBe<number>()
            if (failure?._tag === "Error") expect(failure.error).type.toBe<Unavailable>()
            return Effect.void
          }
        })
      )
    ).type.toBe<Same>()
  })

  test("adds what a computed delay, a listener and the tag of a budget add", () => {
    expect(call.pipe(Hedge.hedge({ delay: Effect.as(Metrics, 50) }))).type.toBe<
      Effect.Effect<number, Unavailable, "Service" | Metrics>
    >()
    expect(Hedge.hedge(call, { delay: Effect.fail("no delay" as const) })).type.toBe<
      Effect.Effect<number, Unavailable | "no delay", "Service">
    >()
    expect(
      call.pipe(
        Hedge.hedge({ delay: 50, onHedge: () => Effect.zipRight(Metrics, Effect.fail("listener" as const)) })
      )
    ).type.toBe<Effect.Effect<number, Unavailable | "listener", "Service" | Metrics>>()
    expect(call.pipe(Hedge.hedge({ delay: 50, budget: PartnerBudget }))).type.toBe<
      Effect.Effect<number, Unavailable, "Service" | PartnerBudget>
    >()
    expect(
      Hedge.hedge(call, { delay: 50, budget: PartnerBudget, condition: { result: (n: number) => n > 1 } })
    ).type.toBe<Effect.Effect<number, Unavailable, "Service" | PartnerBudget>>()
  })

  test("without a condition can be named once and used on many calls", () => {
    const hedged = Hedge.hedge({ delay: 50 })
    expect(hedged).type.toBeAssignableTo<Policy.Policy>()
    expect(hedged(Effect.succeed("a"))).type.toBe<Effect.Effect<string>>()
    expect(hedged(call)).type.toBe<Same>()
    expect(flow(hedged, Retry.retry({ times: 2 }))(call)).type.toBe<Same>()
  })

  test("rejects what no hedge has", () => {
    expect(Hedge.hedge).type.not.toBeCallableWith({})
    expect(Hedge.hedge).type.not.toBeCallableWith({ delay: "soon" })
    expect(Hedge.hedge).type.not.toBeCallableWith({ delay: 50, times: 2 })
    expect(Hedge.hedge).type.not.toBeCallableWith({ delay: 50, budget: Metrics })
    expect(Hedge.hedge).type.not.toBeCallableWith({ delay: Effect.succeed("soon") })
    expect(Hedge.percentile).type.not.toBeCallableWith("95 %")
  })

  test("what an attempt knows needs nothing", () => {
    expect(Effect.map(Hedge.CurrentAttempt, (attempt) => attempt)).type.toBe<Effect.Effect<Hedge.Attempt>>()
  })
})
