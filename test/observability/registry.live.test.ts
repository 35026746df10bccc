// What the registry of a program keeps alive: nothing.
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Bulkhead, CircuitBreaker, Observer } from "effect-resilience"
import { Observability, Registry } from "effect-resilience/observability"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { until } from "../support/until.js"

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
