// What metrics keep alive: no instance, and nothing of a layer whose scope has ended.
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Bulkhead, CircuitBreaker } from "effect-resilience"
import { Registry } from "effect-resilience/observability"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { until } from "../support/until.js"
import { measured, scrape } from "./scrape.js"

v8.setFlagsFromString("--expose-gc")
const collect = vm.runInNewContext("gc") as () => void

/** What a step of the program has looked at is only collected after that step. */
const collected = Effect.promise(() => new Promise(setImmediate)).pipe(Effect.zipRight(Effect.sync(collect)))

it.live("an instance that nothing refers to is gone, and out of the gauges", () => {
  const { observed, prefix, shown } = measured()
  return Effect.gen(function* () {
    const kept = yield* Bulkhead.make({ name: "a", permits: 3 })
    yield* Effect.forEach(["a", "b"], (name) =>
      Effect.zipRight(Bulkhead.make({ name, permits: 10 }), CircuitBreaker.make({ name }))
    )
    scrape(prefix)
    const limits = Effect.map(collected, () => [
      shown("limit", { policy: "a" }),
      shown("limit", { policy: "b" }),
      shown("circuit.state", { policy: "b", state: "closed" })
    ])
    yield* until(limits, ([a, b, closed]) => a === 3 && b === 0 && closed === 0)
    assert.strictEqual((yield* kept.snapshot).permits, 3)
  }).pipe(observed)
})

it.live("a layer whose scope has ended is gone with its registry, and its counts are not", () => {
  const { layer, shown } = measured()
  const left = Effect.gen(function* () {
    const registry = yield* Registry.Registry
    const breaker = yield* CircuitBreaker.make({ name: "a" })
    yield* breaker.protect(Effect.void)
    assert.strictEqual(shown("calls", { outcome: "success" }), 1)
    return [new WeakRef(registry), new WeakRef(breaker)]
  }).pipe(Effect.provide(Layer.fresh(layer())))
  return Effect.gen(function* () {
    const refs = yield* left
    yield* until(collected, () => refs.every((ref) => ref.deref() === undefined))
    assert.strictEqual(shown("calls", { outcome: "success" }), 1)
  })
})
