// What is inferred of conditions, schedules and hints, wherever the effect that a policy is for may stand.
import { Data, Effect, flow, pipe, Schedule } from "effect"
import { Bulkhead, type FailureCondition, Fallback, Hedge, Policy, Retry, Timeout } from "effect-resilience"
import { describe, expect, test } from "tstyche"

class State extends Data.TaggedError("State")<{ readonly final: boolean }> {}
class Other extends Data.TaggedError("Other")<{ readonly text: string }> {}
class Places extends Bulkhead.Tag("Places")<Places>() {}

declare const call: Effect.Effect<string, State>
type Late = Timeout.TimeoutExceeded

describe("a condition by tags", () => {
  test("keeps the types where the effect is an argument of a generic function", () => {
    expect(
      Effect.runPromise(call.pipe(Timeout.timeout(10), Retry.retry({ condition: { tags: ["State"] } })))
    ).type.toBe<Promise<string>>()
    expect(
      Effect.runPromise(
        call.pipe(Retry.retry({ times: 1 }), Fallback.succeed(1, { condition: { tags: ["State"] } }))
      )
    ).type.toBe<Promise<string | number>>()
    expect(
      Effect.all([call.pipe(Timeout.timeout(10), Hedge.hedge({ delay: 1, condition: { tags: ["State"] } }))])
    ).type.toBe<Effect.Effect<[string], State | Late>>()
    expect(Effect.runPromise(Retry.retry(call, { condition: { tags: ["State"] } }))).type.toBe<
      Promise<string>
    >()
    expect(call.pipe(Timeout.timeout(10), Places.protectWhen({ tags: ["State"] }))).type.toBe<
      Effect.Effect<string, State | Late | Bulkhead.BulkheadFull, Places>
    >()
  })

  test("keeps the types after generic steps, in a flow and in a pipeline", () => {
    expect(
      pipe(call, Retry.retry({ times: 1 }), Retry.retry({ condition: { error: (e) => e.final } }))
    ).type.toBe<Effect.Effect<string, State>>()
    const fetch = flow((_: number) => call, Retry.retry({ condition: { error: (e) => e.final } }))
    expect(fetch(1)).type.toBe<Effect.Effect<string, State>>()
    const pipeline = Policy.pipeline(Timeout.timeout(10), Retry.retry({ condition: { tags: ["State"] } }))
    expect(pipeline(call)).type.toBe<Effect.Effect<string, State | Late>>()
  })
})

describe("a policy as a constant", () => {
  const condition: FailureCondition.Options<unknown, State | Other> = { error: (e) => e._tag === "State" }

  test("is used on many calls, whose types stay what they are", () => {
    expect(call.pipe(Retry.retry({ times: 1, condition }))).type.toBe<Effect.Effect<string, State>>()
    const annotated = Retry.retry({ condition: { error: (e: State | Other) => e._tag === "State" } })
    expect(annotated(call)).type.toBe<Effect.Effect<string, State>>()
    expect(annotated(Effect.fail(new Other({ text: "" })))).type.toBe<Effect.Effect<never, Other>>()
    expect(annotated).type.not.toBeCallableWith(Effect.fail("no"))
    const checked = { condition: { error: (e) => e.final } } satisfies Retry.Options<string, State>
    expect(Retry.retry(checked)(call)).type.toBe<Effect.Effect<string, State>>()
  })

  test("may hold for every error", () => {
    const any: FailureCondition.Options<string, unknown> = { result: (text) => text === "" }
    expect(call.pipe(Places.protectWhen(any))).type.toBe<
      Effect.Effect<string, State | Bulkhead.BulkheadFull, Places>
    >()
  })
})

test("a schedule takes the typed error, and results only where they may be failures", () => {
  const schedule = Schedule.recurs(3).pipe(Schedule.whileInput((e: State) => !e.final))
  expect(call.pipe(Retry.retry({ schedule }))).type.toBe<Effect.Effect<string, State>>()
  expect(Retry.retry({ schedule })(call)).type.toBe<Effect.Effect<string, State>>()
  expect(Retry.retry(call, { schedule })).type.toBe<Effect.Effect<string, State>>()
  expect(Retry.retry({ schedule })).type.not.toBeCallableWith(Effect.fail("no"))
  const condition = { result: (text: string) => text === "" }
  expect(Retry.retry).type.not.toBeCallableWith(call, { schedule, condition })
  expect(Retry.retry({ schedule, condition })).type.not.toBeCallableWith(call)
})

test("a duration in words comes from a function without parameters", () => {
  expect(call.pipe(Retry.retry({ delayFrom: () => "5 seconds" }))).type.toBe<Effect.Effect<string, State>>()
  expect(call.pipe(Retry.retry({ condition: { retryAfter: () => "5 seconds" } }))).type.toBe<
    Effect.Effect<string, State>
  >()
})

test("options of which nothing is known leave errors and requirements alone", () => {
  const config = JSON.parse("{}")
  expect(call.pipe(Retry.retry({ times: config.times, budget: config.budget }))).type.toBe<
    Effect.Effect<string, State>
  >()
  expect(call.pipe(Hedge.hedge({ delay: config.delay }))).type.toBe<Effect.Effect<string, State>>()
  expect(Bulkhead.make({ permits: config.permits })).type.toBe<Effect.Effect<Bulkhead.Bulkhead>>()
})

test("a listener of a fallback sees the error of the call", () => {
  expect(
    call.pipe(
      Fallback.succeed(1, {
        onFallback: ({ failure }) =>
          failure._tag === "Error" && failure.error.final ? Effect.void : Effect.void
      })
    )
  ).type.toBe<Effect.Effect<string | number>>()
})
