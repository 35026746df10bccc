import { assert, describe, it } from "@effect/vitest"
import { Data, Deferred, Effect, FastCheck, Fiber, TestClock } from "effect"
import { Cache } from "effect-resilience"
import { Entries } from "../../src/cache/entries.js"
import { runs } from "../support/runs.js"

const make = (capacity: number) =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const cache = yield* Cache.make({
      lookup: (key: string) => Effect.sync(() => (asked.push(key), key)),
      timeToLive: "1 minute",
      capacity
    })
    const get = (keys: string) => Effect.forEach(keys, cache.get)
    /** The keys that had to be looked up. */
    const lookedUp = (keys: string) => Effect.map(get(keys), () => asked.splice(0).join(""))
    return { cache, get, lookedUp }
  })

describe("a cache that is full", () => {
  it.scoped("evicts the least recently used key", () =>
    Effect.gen(function* () {
      const { cache, lookedUp } = yield* make(3)
      assert.strictEqual(yield* lookedUp("abc"), "abc")
      assert.strictEqual(yield* lookedUp("a"), "")
      assert.strictEqual(yield* lookedUp("d"), "d")
      assert.strictEqual(yield* lookedUp("acd"), "")
      assert.strictEqual(yield* lookedUp("b"), "b")
      assert.deepInclude(yield* cache.snapshot, { size: 3, evictions: 2 })
    })
  )

  it.scoped("of one key holds the last one", () =>
    Effect.gen(function* () {
      const { cache, lookedUp } = yield* make(1)
      assert.strictEqual(yield* lookedUp("aabba"), "aba")
      assert.deepInclude(yield* cache.snapshot, { size: 1, evictions: 2 })
      yield* cache.set("b", "set")
      assert.strictEqual(yield* cache.get("b"), "set")
      assert.deepInclude(yield* cache.snapshot, { size: 1, evictions: 3 })
    })
  )

  it.scoped("counts serving a stale value or a remembered failure as a use", () =>
    Effect.gen(function* () {
      const cache = yield* Cache.make({
        lookup: (key: string) => (key === "f" ? Effect.fail("down") : Effect.succeed(key)),
        timeToLive: "1 second",
        staleWhileRevalidate: "1 minute",
        negativeTimeToLive: "1 minute",
        capacity: 2
      })
      yield* cache.set("s", "stale")
      yield* Effect.exit(cache.get("f"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* cache.serve("s")).state, "revalidating")
      yield* TestClock.adjust(0)
      yield* Effect.exit(cache.get("f"))
      yield* cache.set("x", "x")
      const before = (yield* cache.snapshot).lookups
      yield* Effect.exit(cache.get("f"))
      assert.strictEqual((yield* cache.snapshot).lookups, before)
      yield* Effect.exit(cache.get("s"))
      assert.strictEqual((yield* cache.snapshot).lookups, before + 1)
    })
  )

  it.scoped("has room for what replaces a value of the same key, and for nothing that is not kept", () =>
    Effect.gen(function* () {
      const { cache, get } = yield* make(2)
      yield* get("ab")
      yield* cache.refresh("a")
      yield* cache.set("b", "set")
      assert.deepInclude(yield* cache.snapshot, { size: 2, evictions: 0 })
      const failing = yield* Cache.make({
        lookup: (key: string) => (key === "a" ? Effect.succeed(key) : Effect.fail("down")),
        timeToLive: "1 minute",
        capacity: 1
      })
      yield* failing.get("a")
      yield* Effect.exit(failing.get("b"))
      assert.deepInclude(yield* failing.snapshot, { size: 1, evictions: 0 })
    })
  )

  it.scoped("does not disturb running lookups and their callers, however many there are", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const cache = yield* Cache.make({
        lookup: (key: number) => Effect.as(Deferred.await(gate), key),
        timeToLive: "1 minute",
        capacity: 1
      })
      const fibers = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, n) => n % 100),
        (key) => Effect.fork(cache.get(key))
      )
      yield* TestClock.adjust(0)
      for (let key = 1000; key < 1010; key++) yield* cache.set(key, key)
      assert.deepInclude(yield* cache.snapshot, { size: 1, inFlight: 100, waiting: 200 })
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(
        yield* Effect.forEach(fibers, Fiber.join),
        Array.from({ length: 200 }, (_, n) => n % 100)
      )
      assert.deepInclude(yield* cache.snapshot, { size: 1, inFlight: 0, waiting: 0, lookups: 100 })
    })
  )

  it.scoped("serves the value of a refresh whose key was evicted meanwhile", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      let calls = 0
      const cache = yield* Cache.make({
        lookup: (_: string) =>
          Effect.suspend(() => (calls++ === 0 ? Effect.succeed("first") : Deferred.await(gate))),
        timeToLive: 0,
        staleWhileRevalidate: "1 minute",
        capacity: 1
      })
      yield* cache.get("a")
      yield* cache.get("a")
      yield* cache.set("b", "b")
      const waiting = yield* Effect.fork(cache.get("a"))
      yield* TestClock.adjust(0)
      yield* Deferred.succeed(gate, "second")
      assert.strictEqual(yield* waiting, "second")
      assert.strictEqual(calls, 2)
    })
  )
})

describe("the entries of a cache", () => {
  /** The slow and obvious version: a list, the oldest first. */
  class Model {
    keys: Array<number> = []
    constructor(readonly capacity: number) {}
    use(key: number): boolean {
      if (!this.keys.includes(key)) return false
      this.keys = [...this.keys.filter((other) => other !== key), key]
      return true
    }
    add(key: number): number | undefined {
      const evicted = this.keys.length < this.capacity ? undefined : this.keys.shift()
      this.keys.push(key)
      return evicted
    }
    remove(key: number): void {
      this.keys = this.keys.filter((other) => other !== key)
    }
  }

  class Key extends Data.Class<{ readonly id: number }> {}

  const commands = FastCheck.array(
    FastCheck.record({
      command: FastCheck.constantFrom("touch", "touch", "touch", "remove", "clear"),
      id: FastCheck.integer({ min: 0, max: 8 })
    }),
    { maxLength: 100, size: "max" }
  )

  for (const [kind, keyOf] of [
    ["primitives", (id: number) => id],
    ["values that implement Equal", (id: number) => new Key({ id })]
  ] as const) {
    it(`agree with a list, with keys that are ${kind}`, () => {
      FastCheck.assert(
        FastCheck.property(FastCheck.integer({ min: 1, max: 6 }), commands, (capacity, history) => {
          const entries = new Entries(capacity)
          const model = new Model(capacity)
          const idOf = (key: unknown) => (key instanceof Key ? key.id : key)
          for (const { command, id } of history) {
            const entry = entries.get(keyOf(id))
            if (command === "clear" && id === 0) {
              entries.clear()
              model.keys = []
            } else if (command === "remove") {
              if (entry !== undefined) entries.remove(entry)
              model.remove(id)
            } else if (entry === undefined) {
              assert.isFalse(model.use(id))
              const { evicted } = entries.add(keyOf(id))
              assert.strictEqual(idOf(evicted?.key), model.add(id))
            } else {
              entries.use(entry)
              assert.isTrue(model.use(id))
            }
            assert.strictEqual(entries.size, model.keys.length)
          }
        }),
        { numRuns: runs(60, 5000) }
      )
    })
  }
})
