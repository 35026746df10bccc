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

describe("Policy.pipeline", () => {
  const timeout = Timeout.timeout("1 second")
  const retry = Retry.retry({ times: 2 })

  test("fits every effect where its policies do", () => {
    const pipeline = Policy.pipeline(timeout, CircuitBreaker.protect, retry)
    expect(pipeline(call)).type.toBe<
      Effect.Effect<
        number,
        "down" | Timeout.TimeoutExceeded | CircuitBreaker.CircuitOpen,
        Db | CircuitBreaker.CircuitBreaker
      >
    >()
    expect(pipeline(Effect.succeed("text"))).type.toBe<
      Effect.Effect<
        string,
        Timeout.TimeoutExceeded | CircuitBreaker.CircuitOpen,
        CircuitBreaker.CircuitBreaker
      >
    >()
    expect(pipeline).type.toBeAssignableTo<
      Policy.Policy<Timeout.TimeoutExceeded | CircuitBreaker.CircuitOpen, CircuitBreaker.CircuitBreaker>
    >()
    expect(pipeline).type.not.toBeAssignableTo<Policy.Policy>()
  })

  test("is described and has parts", () => {
    const pipeline = Policy.pipeline(timeout, retry)
    expect(pipeline).type.toBeAssignableTo<Policy.Described>()
    expect(pipeline.parts).type.toBe<ReadonlyArray<Policy.Described>>()
    expect(pipeline.settings.parts).type.toBe<ReadonlyArray<Policy.Described>>()
    expect(Policy.describe(pipeline, timeout)).type.toBe<string>()
  })

  test("infers like flow and pipe", () => {
    const onRetry = () => Effect.flatMap(Db, () => Effect.fail("listener" as const))
    const listening = Retry.retry({ times: 2, onRetry })
    const wrapping = Retry.retry({ times: 2, exceeded: "wrap" })
    const instead = Fallback.succeed("text")
    expect(Policy.pipeline(timeout)(call)).type.toBe(timeout(call))
    expect(Policy.pipeline(timeout, listening)(call)).type.toBe(flow(timeout, listening)(call))
    expect(Policy.pipeline(timeout, wrapping)(call)).type.toBe(flow(timeout, wrapping)(call))
    expect(Policy.pipeline(timeout, instead)(call)).type.toBe(flow(timeout, instead)(call))
    expect(call.pipe(Policy.pipeline(timeout, retry, instead), logged)).type.toBe(
      call.pipe(timeout, retry, instead, logged)
    )
    expect(Effect.map(Effect.succeed(call), Policy.pipeline(timeout, retry))).type.toBe(
      Effect.map(Effect.succeed(call), flow(timeout, retry))
    )
  })

  test("takes up to nine, and pipelines among them", () => {
    const inner = Policy.pipeline(timeout, retry, logged, logged, logged, logged, logged, logged, logged)
    expect(inner(call)).type.toBe(timeout(call))
    expect(Policy.pipeline(inner, Fallback.succeed("text"))(call)).type.toBe<
      Effect.Effect<number | string, never, Db>
    >()
    expect(Policy.pipeline).type.not.toBeCallableWith()
  })

  test("belongs to one type of effects where its first policy does", () => {
    const offers = {} as Retry.RetryFor<number, "down">
    const pipeline = Policy.pipeline(offers, timeout)
    expect(pipeline(call)).type.toBe<Effect.Effect<number, "down" | Timeout.TimeoutExceeded, Db>>()
    expect(pipeline).type.not.toBeCallableWith(Effect.succeed("text"))
    expect(Policy.describe(pipeline)).type.toBe<string>()
    expect(
      Policy.pipeline(
        (self: typeof call) => timeout(self),
        Retry.retry({ condition: { result: (n) => n > 3 } })
      )(call)
    ).type.toBe<Effect.Effect<number, "down" | Timeout.TimeoutExceeded, Db>>()
  })

  const logged = Policy.make(
    { kind: "logged", name: "logged", settings: {} },
    <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.tapErrorCause(self, Effect.log)
  )
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
