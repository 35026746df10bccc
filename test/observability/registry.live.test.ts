// What the registry of a program keeps alive: nothing.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime } from "effect"
import { Bulkhead, CircuitBreaker, Observer, Policy, Retry } from "effect-resilience"
import { Observability, Registry } from "effect-resilience/observability"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { until } from "../support/until.js"
import { measured } from "./scrape.js"

v8.setFlagsFromString("--expose-gc")
const collect = vm.runInNewContext("gc") as () => void

/** A reading after a collection. What a step of the program has looked at is only collected after that step. */
const all = Effect.promise(() => new Promise(setImmediate)).pipe(
  Effect.zipRight(Effect.sync(collect)),
  Effect.zipRight(Effect.flatMap(Registry.Registry, (registry) => registry.all))
)

const observed = Effect.provide(Observability.layer())

it.live("an instance that nothing refers to is gone", () =>
  Effect.gen(function* () {
    const kept = yield* CircuitBreaker.make({ name: "kept" })
    yield* Effect.forEach([1, 2, 3], (number) => CircuitBreaker.make({ name: `dropped ${number}` }), {
      discard: true
    })
    const left = yield* until(all, (entries) => entries.length === 1)
    assert.strictEqual(left[0]?.instance, kept)
  }).pipe(observed)
)

it.live("a keyed policy that nothing refers to is gone with its keys", () =>
  Effect.gen(function* () {
    yield* Effect.flatMap(CircuitBreaker.keyed(), (keyed) => keyed.protect("a")(Effect.void))
    yield* until(all, (entries) => entries.length === 0)
  }).pipe(observed)
)

it.live("a keyed policy is there as long as a policy of one of its keys", () =>
  Effect.gen(function* () {
    const protect = yield* Effect.map(CircuitBreaker.keyed(), (keyed) => keyed.protect("a"))
    const dropped = yield* Effect.map(CircuitBreaker.keyed(), (keyed) => new WeakRef(keyed))
    yield* protect(Effect.void)
    yield* until(all, () => dropped.deref() === undefined)
    yield* protect(Effect.void)
    assert.strictEqual((yield* all).length, 1)
  }).pipe(observed)
)

it.live("instances of keys that come and go are gone", () => {
  const made: Array<WeakRef<object>> = []
  const noting: Observer.Service = {
    unsafeObserve: () => {},
    unsafeMaking: () => ({ ...noting, unsafeMade: (instance) => void made.push(new WeakRef(instance)) })
  }
  return Effect.gen(function* () {
    const keyed = yield* Bulkhead.keyed({ options: { permits: 1 }, capacity: 100 })
    const keys = Array.from({ length: 10_000 }, (_, key) => String(key))
    yield* Effect.forEach(keys, (key) => keyed.protect(key)(Effect.void), { discard: true })
    assert.strictEqual((yield* all).length, 100)
    // The keyed policy itself, and its instances. Some of the last may still be in use by a frame.
    yield* until(all, () => made.filter((ref) => ref.deref() !== undefined).length < 200)
    assert.strictEqual(made.length, 10_001)
  }).pipe(observed, Effect.provideService(Observer.Observer, noting))
})

describe("runtimes with the layer", () => {
  class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
  class Places extends Bulkhead.Tag("Places")<Places>() {}

  const policies = Layer.merge(Partner.layer(), Places.layer({ permits: 2 }))

  /** Guards a function in a runtime, calls it, and disposes of the runtime while a call runs. */
  const used = (layer: Layer.Layer<Observer.Observer | Registry.Registry>) =>
    Effect.promise(async () => {
      const runtime = ManagedRuntime.make(policies.pipe(Layer.provideMerge(layer)))
      const guard = Policy.promise(Partner.protect, Places.protect, Retry.retry({ times: 0 })).provide(
        runtime
      )
      const guarded = guard(({ signal }, what: "ends" | "hangs") =>
        what === "ends"
          ? Promise.resolve()
          : new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
      )
      for (let call = 0; call < 5; call++) await guarded("ends")
      const caller = new AbortController()
      const ended = guarded
        .withSignal(caller.signal)("hangs")
        .catch(() => {})
      const instances = await runtime.runPromise(Effect.all([Registry.Registry, Partner, Places]))
      await runtime.dispose()
      caller.abort()
      await ended
      return instances.map((instance) => new WeakRef<object>(instance))
    })

  for (const concurrency of [1, "unbounded"] as const) {
    const sides = concurrency === 1 ? "one after the other" : "side by side"
    it.live(`${sides} add up their counts, and leave no gauge and no instance when they are disposed`, () =>
      Effect.gen(function* () {
        const { layer, shown } = measured()
        const refs = yield* Effect.all([used(layer()), used(layer()), used(layer())], { concurrency })
        for (const kind of ["circuit-breaker", "bulkhead", "retry"])
          assert.strictEqual(shown("calls", { kind, outcome: "success" }), 15)
        assert.strictEqual(shown("limit"), 0)
        for (const kind of ["circuit-breaker", "bulkhead"])
          assert.strictEqual(shown("in_flight", { kind }), 0)
        assert.strictEqual(shown("circuit.state", { state: "closed" }), 0)
        yield* until(
          Effect.zipRight(
            Effect.promise(() => new Promise(setImmediate)),
            Effect.sync(collect)
          ),
          () => refs.flat().every((ref) => ref.deref() === undefined)
        )
      })
    )
  }
})
