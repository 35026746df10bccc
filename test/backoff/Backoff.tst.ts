import type { Schedule } from "effect"
import { Data, Duration, Effect, Schedule as S } from "effect"
import { describe, expect, test } from "tstyche"
import * as Backoff from "../../src/backoff/Backoff.js"

class Unavailable extends Data.TaggedError("Unavailable") {}

declare const call: Effect.Effect<number, Unavailable, "Service">

type Delays = Schedule.Schedule<Duration.Duration, unknown, never>

describe("Backoff", () => {
  test("every constructor gives a schedule of delays that takes any input and needs nothing", () => {
    expect(Backoff.constant({ delay: "1 second" })).type.toBe<Backoff.Backoff>()
    expect(Backoff.linear({ base: "1 second" })).type.toBe<Backoff.Backoff>()
    expect(Backoff.exponential({ base: "1 second", jitter: "full" })).type.toBe<Backoff.Backoff>()
    expect(Backoff.fibonacci({ base: "1 second" })).type.toBe<Backoff.Backoff>()
    expect(Backoff.list(["1 second", 5])).type.toBe<Backoff.Backoff>()
    expect<Backoff.Backoff>().type.toBeAssignableTo<Delays>()
  })

  test("leaves success, error and requirements of a retried effect alone", () => {
    expect(call.pipe(Effect.retry(Backoff.exponential({ base: "1 second", jitter: "full" })))).type.toBe<
      Effect.Effect<number, Unavailable, "Service">
    >()
    expect(Effect.retry(call, { schedule: Backoff.list(["1 second"]), times: 2 })).type.toBe<
      Effect.Effect<number, Unavailable, "Service">
    >()
    expect(call.pipe(Effect.repeat(Backoff.constant({ delay: "1 second" })))).type.toBe<
      Effect.Effect<Duration.Duration, Unavailable, "Service">
    >()
  })

  test("composes like any schedule", () => {
    expect(Backoff.linear({ base: 1 }).pipe(S.intersect(S.recurs(3)))).type.toBe<
      Schedule.Schedule<[Duration.Duration, number], unknown, never>
    >()
    expect(Backoff.list([1]).pipe(S.andThen(Backoff.constant({ delay: 1 })))).type.toBe<Delays>()
  })

  test("takes durations in every spelling, lists that cannot be changed, and options that are undefined", () => {
    expect(Backoff.constant).type.toBeCallableWith({ delay: 100 })
    expect(Backoff.constant).type.toBeCallableWith({
      delay: Duration.seconds(1),
      max: undefined,
      jitter: undefined
    })
    expect(Backoff.list).type.toBeCallableWith(["1 second", 5n, Duration.zero] as const, { max: "1 minute" })
  })

  test("rejects what no backoff has", () => {
    expect(Backoff.exponential).type.not.toBeCallableWith({})
    expect(Backoff.exponential).type.not.toBeCallableWith({ base: "1 second", jitter: "half" })
    expect(Backoff.exponential).type.not.toBeCallableWith({ base: "1 second", jitter: {} })
    expect(Backoff.exponential).type.not.toBeCallableWith({ base: "soon" })
    expect(Backoff.constant).type.not.toBeCallableWith({ base: "1 second" })
    expect(Backoff.linear).type.not.toBeCallableWith({ base: "1 second", factor: 2 })
  })

  test("Jitter lists every way to spread a delay", () => {
    expect<Backoff.Jitter>().type.toBe<
      | "none"
      | "full"
      | "equal"
      | "decorrelated"
      | { readonly factor: number }
      | { readonly plusMinus: Duration.DurationInput }
    >()
  })
})
