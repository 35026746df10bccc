import { Context, type Duration, Effect, flow, pipe } from "effect"
import { type Policy, Timeout } from "effect-resilience"
import { describe, expect, test } from "tstyche"

class Db extends Context.Tag("Db")<Db, "db">() {}
class Left extends Context.Tag("Left")<Left, Duration.Duration>() {}
class Audit extends Context.Tag("Audit")<Audit, "audit">() {}

declare const call: Effect.Effect<number, "down", Db>
declare const left: Effect.Effect<Duration.Duration, "none left", Left>
declare const audit: Effect.Effect<void, "audit failed", Audit>

type Limited = Effect.Effect<number, "down" | Timeout.TimeoutExceeded, Db>

describe("Timeout.timeout", () => {
  test("adds TimeoutExceeded, in every form", () => {
    expect(call.pipe(Timeout.timeout("1 second"))).type.toBe<Limited>()
    expect(
      call.pipe(Timeout.timeout({ limit: 1000, disconnect: true, name: "partner" }))
    ).type.toBe<Limited>()
    expect(pipe(call, Timeout.timeout(1000n))).type.toBe<Limited>()
    expect(flow(Timeout.timeout("1 second"))(call)).type.toBe<Limited>()
    expect(flow(Timeout.timeout("1 second"), Timeout.timeout("2 seconds"))(call)).type.toBe<Limited>()
    expect(Timeout.timeout(call, "1 second")).type.toBe<Limited>()
    expect(Timeout.timeout(call, { limit: "1 second" })).type.toBe<Limited>()
  })

  test("adds what a computed limit needs and fails with", () => {
    type Computed = Effect.Effect<number, "down" | "none left" | Timeout.TimeoutExceeded, Db | Left>
    expect(call.pipe(Timeout.timeout({ limit: left }))).type.toBe<Computed>()
    expect(Timeout.timeout(call, { limit: left })).type.toBe<Computed>()
    expect(flow(Timeout.timeout({ limit: left }))(call)).type.toBe<Computed>()
  })

  test("adds what the listener needs and fails with", () => {
    type Audited = Effect.Effect<number, "down" | "audit failed" | Timeout.TimeoutExceeded, Db | Audit>
    expect(call.pipe(Timeout.timeout({ limit: 1, onTimeout: () => audit }))).type.toBe<Audited>()
    expect(Timeout.timeout(call, { limit: 1, onTimeout: () => audit })).type.toBe<Audited>()
    expect(call.pipe(Timeout.timeout({ limit: left, onTimeout: () => audit }))).type.toBe<
      Effect.Effect<
        number,
        "down" | "none left" | "audit failed" | Timeout.TimeoutExceeded,
        Db | Left | Audit
      >
    >()
  })

  test("adds what a listener brings that is not always given", () => {
    const flag = true as boolean
    expect(call.pipe(Timeout.timeout({ limit: 1, onTimeout: flag ? () => audit : undefined }))).type.toBe<
      Effect.Effect<number, "down" | "audit failed" | Timeout.TimeoutExceeded, Db | Audit>
    >()
    const options = {} as {
      readonly limit: number
      readonly onTimeout?: () => typeof audit
      readonly name?: string
    }
    expect(call.pipe(Timeout.timeout(options))).type.toBe<
      Effect.Effect<number, "down" | "audit failed" | Timeout.TimeoutExceeded, Db | Audit>
    >()
  })

  test("can be caught by tag", () => {
    expect(
      call.pipe(
        Timeout.timeout("1 second"),
        Effect.catchTag("TimeoutExceeded", ({ elapsed, limit, name }) =>
          Effect.succeed({ elapsed, limit, name })
        )
      )
    ).type.toBe<
      Effect.Effect<
        number | { elapsed: Duration.Duration; limit: Duration.Duration; name: string },
        "down",
        Db
      >
    >()
  })

  test("refuses options that do not exist, and no limit", () => {
    expect(Timeout.timeout).type.not.toBeCallableWith({ limits: "1 second" })
    expect(Timeout.timeout).type.not.toBeCallableWith({ limit: "1 second", disconnected: true })
    expect(Timeout.timeout).type.not.toBeCallableWith({ name: "partner" })
    expect(Timeout.timeout).type.not.toBeCallableWith("soon")
    expect(Timeout.timeout).type.not.toBeCallableWith({ limit: Effect.succeed("soon") })
    expect(Timeout.timeout).type.not.toBeCallableWith({ limit: 1, onTimeout: () => {} })
    expect(Timeout.timeout).type.not.toBeCallableWith(call)
  })

  test("is a policy for every effect", () => {
    expect(Timeout.timeout("1 second")).type.toBe<Policy.Policy<Timeout.TimeoutExceeded>>()
    expect(Timeout.timeout({ limit: left })).type.toBe<
      Policy.Policy<Timeout.TimeoutExceeded | "none left", Left>
    >()
  })
})
