import { Effect, type Option } from "effect"
import { Bulkhead, type CircuitBreaker, type Trip } from "effect-resilience"
import type { HttpAdmin } from "effect-resilience/http"
import { Explain, Health, type Registry } from "effect-resilience/observability"
import { describe, expect, test } from "tstyche"

declare const entry: Registry.Entry
declare const explanation: Explain.Explanation
declare const breaker: CircuitBreaker.CircuitBreaker
declare const shown: HttpAdmin.Entry

describe("an explanation", () => {
  test("is made of an entry, of an instance, and of what the admin routes show", () => {
    expect(Explain.explain(entry)).type.toBe<Effect.Effect<Option.Option<Explain.Explanation>>>()
    expect(Explain.explain({ instance: breaker })).type.toBe<
      Effect.Effect<Option.Option<Explain.Explanation>>
    >()
    expect(Explain.ofSnapshot(shown)).type.toBe<Explain.Explanation>()
    expect(Explain.sentence(explanation)).type.toBe<string>()
  })

  test("is told apart by kind, and a circuit by its state", () => {
    if (explanation.kind === "bulkhead") {
      expect(explanation.state).type.toBe<"available" | "full">()
      expect(explanation.permits).type.toBe<number>()
    }
    if (explanation.kind !== "circuit-breaker") return
    expect(explanation.state).type.toBe<CircuitBreaker.State>()
    if (explanation.state === "closed") expect(explanation.rules).type.toBe<ReadonlyArray<Trip.Reading>>()
    if (explanation.state === "open") expect(explanation.halfOpenIn).type.toBe<number | undefined>()
    if (explanation.state === "half-open") {
      expect(explanation.probes).type.toBe<CircuitBreaker.Probes | undefined>()
    }
  })

  test("needs a snapshot and a state of its kind", () => {
    const { snapshot } = Effect.runSync(Bulkhead.make({ permits: 1 }))
    const bulkhead = { kind: "bulkhead", name: "x", snapshot: Effect.runSync(snapshot) } as const
    expect(Explain.ofSnapshot).type.toBeCallableWith({ ...bulkhead, state: "full" })
    expect(Explain.ofSnapshot).type.not.toBeCallableWith({ ...bulkhead, state: "open" })
    expect(Explain.ofSnapshot).type.not.toBeCallableWith({ ...bulkhead, kind: "cache", state: "full" })
  })
})

describe("health", () => {
  test("requires the registry alone, and reads without any requirement", () => {
    expect(Health.check).type.toBe<Effect.Effect<Health.Report, never, Registry.Registry>>()
    expect(Health.make()).type.toBe<Effect.Effect<Health.Health, never, Registry.Registry>>()
  })

  test("takes rules whose states are those of their kind", () => {
    const rules = [
      { kind: "circuit-breaker", name: "payments", state: ["open", "isolated"], health: "down" },
      { kind: "shared-store", state: "degraded", health: "down" },
      { state: "open", health: "up" },
      { name: /^hosts/, health: "up" }
    ] as const
    expect(Health.make({ rules })).type.toBe<Effect.Effect<Health.Health, never, Registry.Registry>>()
    type Rule = Health.Rule
    expect<Rule>().type.not.toBeAssignableFrom<{ kind: "bulkhead"; state: "open"; health: "up" }>()
    expect<Rule>().type.not.toBeAssignableFrom<{ state: "opened"; health: "up" }>()
    expect<Rule>().type.not.toBeAssignableFrom<{ kind: "retry"; health: "up" }>()
    expect<Rule>().type.not.toBeAssignableFrom<{ name: "payments" }>()
    expect<Rule>().type.not.toBeAssignableFrom<{ name: "payments"; health: "bad" }>()
  })

  test("takes a function of what is judged", () => {
    const made = Health.make({
      rules: ({ explanation, name }) =>
        name === "mails" && explanation?.kind === "rate-limiter" && explanation.queued > 100
          ? "degraded"
          : undefined
    })
    expect(made).type.toBe<Effect.Effect<Health.Health, never, Registry.Registry>>()
    type Rules = NonNullable<Health.Options["rules"]>
    expect<Rules>().type.not.toBeAssignableFrom<() => "bad">()
    expect<Rules>().type.not.toBeAssignableFrom<() => Effect.Effect<"up">>()
  })
})
