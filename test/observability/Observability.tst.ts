import type { Layer, LogLevel } from "effect"
import { Effect } from "effect"
import type { Policy } from "effect-resilience"
import { Observer } from "effect-resilience"
import { Observability, Registry } from "effect-resilience/observability"
import { describe, expect, test } from "tstyche"

type Both = Registry.Registry | Observer.Observer

describe("Observability.layer", () => {
  test("needs nothing, whatever its options", () => {
    expect(Observability.layer()).type.toBe<Layer.Layer<Both>>()
    expect(
      Observability.layer({
        metrics: false,
        spans: { attempts: "spans" },
        logs: { level: (_, byDefault) => byDefault, write: ({ message }) => Effect.log(message) }
      })
    ).type.toBe<Layer.Layer<Both>>()
    expect(Observability.layer).type.toBeCallableWith({ spans: false, logs: false })
  })

  test("takes no option that there is not", () => {
    expect(Observability.layer).type.not.toBeCallableWith({ spans: true })
    expect(Observability.layer).type.not.toBeCallableWith({ spans: { attempts: "none" } })
    expect(Observability.layer).type.not.toBeCallableWith({ logs: { level: "Info" } })
    expect(Observability.layer).type.not.toBeCallableWith({ log: {} })
  })

  test("takes writers that may fail, and none that needs a service", () => {
    const failing = (_: Observability.LogLine) => Effect.fail("full")
    const needing = (_: Observability.LogLine) => Observer.Observer
    const needingTag = (_: Observability.LogLine) => Registry.Registry
    expect(Observability.layer).type.toBeCallableWith({ logs: { write: failing } })
    expect(Observability.layer).type.toBeCallableWith({ logs: { write: needing } })
    expect(Observability.layer).type.not.toBeCallableWith({ logs: { write: needingTag } })
  })

  test("asks for the level of an event with the one that it has by default", () => {
    expect<Parameters<NonNullable<Observability.LogOptions["level"]>>>().type.toBe<
      [event: Policy.Event, byDefault: LogLevel.LogLevel | undefined]
    >()
  })
})

describe("an observer", () => {
  test("may ask for what happens around attempts and calls, and leaves their types alone", () => {
    const around: Observer.Operation<Observer.AttemptEnd>["around"] = (self) =>
      Effect.withSpan(self, "attempt")
    expect(around(Effect.succeed(1) as Effect.Effect<number, "down", Registry.Registry>)).type.toBe<
      Effect.Effect<number, "down", Registry.Registry>
    >()
    expect<Observer.Service>().type.toBeAssignableFrom({
      unsafeObserve: () => {},
      unsafeAttempt: () => undefined,
      unsafeHttpCall: () => undefined,
      unsafeHttpRequest: () => {}
    })
  })
})
