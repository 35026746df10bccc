import { Context, Effect, flow } from "effect"
import { CircuitBreaker, Fallback, Policy, Retry, Timeout } from "effect-resilience"
import { describe, expect, test } from "tstyche"

class Db extends Context.Tag("Db")<Db, "db">() {}
declare const call: Effect.Effect<number, "down", Db>

describe("Policy.make", () => {
  const described: Policy.Described = { kind: "logged", name: "logged", settings: {} }
  const logged = Policy.make(described, <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.tapErrorCause(self, Effect.log)
  )
  const doubled = Policy.make(described, <E, R>(self: Effect.Effect<number, E, R>) =>
    Effect.map(self, (n) => n * 2)
  )

  test("leaves the function its type, in every form", () => {
    expect(logged(call)).type.toBe<Effect.Effect<number, "down", Db>>()
    expect(call.pipe(logged)).type.toBe<Effect.Effect<number, "down", Db>>()
    expect(call.pipe(logged, doubled)).type.toBe<Effect.Effect<number, "down", Db>>()
    expect(flow(logged, logged)(call)).type.toBe<Effect.Effect<number, "down", Db>>()
    expect(logged).type.toBeAssignableTo<Policy.Policy>()
    expect(doubled).type.not.toBeCallableWith(Effect.succeed("text"))
  })

  test("adds what it says about itself", () => {
    expect(logged).type.toBeAssignableTo<Policy.Described>()
    expect(logged.kind).type.toBe<string>()
    expect(logged.settings).type.toBe<Policy.Settings>()
  })
})

describe("Policy.Policy", () => {
  test("may add less than it says, and not more", () => {
    expect<Policy.Policy>().type.toBeAssignableTo<Policy.Policy<Timeout.TimeoutExceeded>>()
    expect<Policy.Policy<"down">>().type.not.toBeAssignableTo<Policy.Policy>()
    expect<Policy.Policy<never, Db>>().type.not.toBeAssignableTo<Policy.Policy>()
  })

  test("names every policy that fits every effect", () => {
    expect(Timeout.timeout("1 second")).type.toBeAssignableTo<Policy.Policy<Timeout.TimeoutExceeded>>()
    expect(Retry.retry({ times: 1 })).type.toBeAssignableTo<Policy.Policy>()
    expect(CircuitBreaker.protect).type.toBeAssignableTo<
      Policy.Policy<CircuitBreaker.CircuitOpen, CircuitBreaker.CircuitBreaker>
    >()
  })
})

test("Policy.describe takes everything that describes itself", () => {
  expect(
    Policy.describe(Timeout.timeout(1), Retry.retry({}), Fallback.succeed(1), CircuitBreaker.protect)
  ).type.toBe<string>()
  expect(Policy.describe).type.not.toBeCallableWith(call)
})

test("Policy.isRejection narrows an error", () => {
  const error = {} as CircuitBreaker.CircuitOpen | "down"
  if (!Policy.isRejection(error)) expect(error).type.toBe<"down">()
  expect(
    call.pipe(
      CircuitBreaker.protect,
      Effect.catchIf(Policy.isRejection, ({ name }) => Effect.succeed(name))
    )
  ).type.toBe<Effect.Effect<number | string, "down", Db | CircuitBreaker.CircuitBreaker>>()
})
