import { assert, describe, it } from "@effect/vitest"
import {
  Context,
  Data,
  Duration,
  Effect,
  Exit,
  FiberRef,
  Fiber,
  Layer,
  Random,
  TestClock,
  Tracer
} from "effect"
import { Cache, Policy } from "effect-resilience"
import { down } from "../support/calls.js"
import { runs } from "../support/runs.js"
import { scripted } from "../support/virtual.js"

const up = (value: string) => Effect.succeed(value)

type Text = Effect.Effect<string, "down" | "gone">

/** A cache of one source, whose lookups end like each of the steps in turn. */
const make = (
  options: Omit<Cache.Options<string, string, "down" | "gone">, "lookup">,
  ...steps: readonly [Text, ...Array<Text>]
) => {
  const { begun, call } = scripted(...steps)
  const made = Cache.make({ ...options, lookup: (_: string) => call }) as Effect.Effect<
    Cache.Cache<string, string, "down" | "gone">,
    never,
    never
  >
  return Effect.map(made, (cache) => ({ cache, begun }))
}

/** The parts of a served value. */
const told = ({ age, state, value }: Cache.Served<string>) => [value, state, Duration.toMillis(age)] as const

describe("a fresh value of a cache", () => {
  it.scoped("is looked up once and served until the millisecond at which it expires", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make({ timeToLive: "1 minute" }, up("first"), up("second"))
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "fresh", 0])
      yield* TestClock.adjust("59999 millis")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "fresh", 59_999])
      assert.strictEqual(yield* cache.get("a"), "first")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* cache.get("a"), "second")
      assert.deepStrictEqual(begun, [0, 60_000])
    })
  )

  it.scoped("lives from the end of its lookup, not from its beginning", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make({ timeToLive: "1 second" }, Effect.delay(up("slow"), "3 seconds"))
      const fiber = yield* Effect.fork(cache.get("a"))
      yield* TestClock.adjust("3999 millis")
      assert.strictEqual(yield* fiber, "slow")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["slow", "fresh", 999])
      assert.deepStrictEqual(begun, [0])
    })
  )

  it.scoped("belongs to its key", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const cache = yield* Cache.make({
        lookup: (key: string) => Effect.sync(() => (asked.push(key), key.toUpperCase())),
        timeToLive: "1 minute"
      })
      for (const key of ["a", "b", "a", "b"]) assert.strictEqual(yield* cache.get(key), key.toUpperCase())
      assert.deepStrictEqual(asked, ["a", "b"])
    })
  )

  it.scoped("with an infinite time to live stays until it is invalidated", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make({ timeToLive: Infinity }, up("first"))
      yield* cache.get("a")
      yield* TestClock.adjust("36500 days")
      assert.strictEqual(yield* cache.get("a"), "first")
      assert.strictEqual(begun.length, 1)
    })
  )

  it.scoped("with no time to live is not kept", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make({ timeToLive: 0 }, up("first"))
      yield* cache.get("a")
      yield* cache.get("a")
      assert.strictEqual(begun.length, 2)
      assert.strictEqual((yield* cache.snapshot).size, 0)
    })
  )

  it.scoped("lives as long as its own outcome and key say", () =>
    Effect.gen(function* () {
      const cache = yield* Cache.make({
        lookup: (key: string) => (key === "gone" ? Effect.fail(key.length) : Effect.succeed(key.length)),
        timeToLive: (exit, key) =>
          Exit.match(exit, {
            onSuccess: (length) => length * 1000,
            onFailure: () => (key === "gone" ? 500 : 0)
          })
      })
      const after = (key: string, millis: number) =>
        Effect.gen(function* () {
          yield* cache.invalidateAll
          const before = (yield* cache.snapshot).lookups
          yield* Effect.exit(cache.get(key))
          yield* TestClock.adjust(millis)
          yield* Effect.exit(cache.get(key))
          return (yield* cache.snapshot).lookups - before
        })
      assert.deepStrictEqual([yield* after("ab", 1999), yield* after("ab", 2000)], [1, 2])
      assert.deepStrictEqual([yield* after("abc", 2999), yield* after("abc", 3000)], [1, 2])
      assert.deepStrictEqual([yield* after("gone", 499), yield* after("gone", 500)], [1, 2])
    })
  )
})

describe("keys of a cache", () => {
  const lookups = <K>(keys: ReadonlyArray<K>) =>
    Effect.gen(function* () {
      const cache = yield* Cache.make({ lookup: (_: K) => Effect.succeed("value"), timeToLive: "1 minute" })
      yield* Effect.forEach(keys, cache.get)
      const { lookups, size } = yield* cache.snapshot
      assert.strictEqual(size, lookups)
      yield* Effect.forEach(keys, cache.invalidate)
      assert.strictEqual((yield* cache.snapshot).size, 0)
      return lookups
    })

  it.scoped("that are primitives are the same when their values are", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* lookups<unknown>(["a", "a", 1, 1, 1n, 1n, NaN, NaN, true, undefined, null]),
        7
      )
      assert.strictEqual(yield* lookups<unknown>(["1", 1, 1n, 0, -0]), 4)
    })
  )

  it.scoped("that implement Equal are the same when they are equal", () =>
    Effect.gen(function* () {
      class Route extends Data.Class<{ readonly from: string; readonly to: string }> {}
      const routes = ["b", "b", "c", "b"].map((to) => new Route({ from: "a", to }))
      assert.strictEqual(yield* lookups(routes), 2)
    })
  )

  it.scoped("that are other objects are the same when they are identical", () =>
    Effect.gen(function* () {
      const key = { id: 1 }
      assert.strictEqual(yield* lookups([key, key, { id: 1 }]), 2)
    })
  )
})

describe("a failed lookup", () => {
  it.scoped("reaches the caller as it was and is not remembered", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make({ timeToLive: "1 minute" }, down, Effect.die("bug"), up("value"))
      assert.deepStrictEqual(yield* Effect.exit(cache.get("a")), Exit.fail("down" as const))
      assert.deepStrictEqual(yield* Effect.exit(cache.get("a")), Exit.die("bug"))
      assert.strictEqual(yield* cache.get("a"), "value")
      assert.strictEqual(begun.length, 3)
      assert.deepInclude(yield* cache.snapshot, { failures: 2, lookups: 3, misses: 3, hits: 0, size: 1 })
    })
  )

  it.scoped("is remembered for its own time to live", () =>
    Effect.gen(function* () {
      const options = { timeToLive: "1 minute", negativeTimeToLive: "5 seconds" } as const
      const { begun, cache } = yield* make(options, down, up("value"))
      yield* Effect.exit(cache.get("a"))
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(yield* Effect.exit(cache.get("a")), Exit.fail("down" as const))
      assert.deepStrictEqual(yield* Effect.exit(cache.serve("a")), Exit.fail("down" as const))
      assert.deepInclude(yield* cache.snapshot, { hits: 2, misses: 1 })
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* cache.get("a"), "value")
      assert.deepStrictEqual(begun, [0, 5000])
    })
  )

  it.scoped("is remembered for as long as a function says, and a defect by a function only", () =>
    Effect.gen(function* () {
      const steps = [down, Effect.fail("gone" as const), Effect.die("bug"), up("value")] as const
      const lookups = (
        negativeTimeToLive: Cache.Options<string, string, "down" | "gone">["negativeTimeToLive"]
      ) =>
        Effect.gen(function* () {
          const counts: Array<number> = []
          for (const step of steps) {
            const { begun, cache } = yield* make({ timeToLive: 0, negativeTimeToLive }, step)
            yield* Effect.exit(cache.get("a"))
            yield* Effect.exit(cache.get("a"))
            counts.push(begun.length)
          }
          return counts
        })
      assert.deepStrictEqual(yield* lookups("1 second"), [1, 1, 2, 2])
      assert.deepStrictEqual(
        yield* lookups((failed, key) =>
          key === "a" && failed._tag === "Error" && failed.error === "gone" ? "1 second" : 0
        ),
        [2, 1, 2, 2]
      )
      assert.deepStrictEqual(
        yield* lookups((failed) => (failed._tag === "Defect" && failed.defect === "bug" ? "1 second" : 0)),
        [2, 2, 1, 2]
      )
    })
  )

  it.scoped("is a defect when the lookup throws", () =>
    Effect.gen(function* () {
      const cache = yield* Cache.make({
        lookup: (_: string): Effect.Effect<string> => {
          throw "thrown"
        },
        timeToLive: "1 minute"
      })
      assert.deepStrictEqual(yield* Effect.exit(cache.get("a")), Exit.die("thrown"))
      assert.deepInclude(yield* cache.snapshot, { inFlight: 0, waiting: 0 })
    })
  )
})

describe("stale while revalidate", () => {
  const options = { timeToLive: "10 seconds", staleWhileRevalidate: "30 seconds" } as const

  it.scoped("serves the stale value at once while it is looked up again, once", () =>
    Effect.gen(function* () {
      const slow = Effect.delay(up("second"), "2 seconds")
      const { begun, cache } = yield* make(options, up("first"), slow)
      yield* cache.get("a")
      yield* TestClock.adjust("10 seconds")
      for (let call = 0; call < 3; call++) {
        assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "revalidating", 10_000])
      }
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "revalidating", 11_999])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["second", "fresh", 0])
      assert.deepStrictEqual(begun, [0, 10_000])
      assert.deepInclude(yield* cache.snapshot, { stale: 4, hits: 1, misses: 1, refreshes: 1, lookups: 2 })
    })
  )

  it.scoped("keeps the stale value when the refresh fails, until the window is over", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make(options, up("first"), down)
      yield* cache.get("a")
      yield* TestClock.adjust("10 seconds")
      for (const at of [10_000, 25_000, 39_999]) {
        assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "revalidating", at])
        yield* TestClock.adjust(at === 10_000 ? 15_000 : at === 25_000 ? 14_999 : 1)
      }
      assert.deepStrictEqual(yield* Effect.exit(cache.serve("a")), Exit.fail("down" as const))
      assert.deepStrictEqual(begun, [0, 10_000, 25_000, 39_999, 40_000])
    })
  )

  it.scoped("makes no new attempt while the failure of the last one is remembered", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make(
        { ...options, negativeTimeToLive: "5 seconds" },
        up("first"),
        down,
        up("second")
      )
      yield* cache.get("a")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* cache.serve("a")).state, "revalidating")
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "stale", 14_999])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "revalidating", 15_000])
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["second", "fresh", 0])
      assert.deepStrictEqual(begun, [0, 10_000, 15_000])
    })
  )

  it.scoped("waits for the refresh that is under way when the window ends before it does", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make(options, up("first"), Effect.delay(up("second"), "1 minute"))
      yield* cache.get("a")
      yield* TestClock.adjust("10 seconds")
      yield* cache.get("a")
      yield* TestClock.adjust("30 seconds")
      const waiting = yield* Effect.fork(cache.serve("a"))
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(told(yield* waiting), ["second", "fresh", 0])
      assert.deepStrictEqual(begun, [0, 10_000])
    })
  )

  it.scoped("with no time to live always serves the last value and always looks again", () =>
    Effect.gen(function* () {
      const { cache } = yield* make({ ...options, timeToLive: 0 }, up("1"), up("2"), up("3"))
      const values: Array<string> = []
      for (let call = 0; call < 4; call++) {
        values.push(yield* cache.get("a"))
        yield* TestClock.adjust(0)
      }
      assert.deepStrictEqual(values, ["1", "1", "2", "3"])
    })
  )
})

describe("stale if error", () => {
  const options = { timeToLive: "10 seconds", staleIfError: "1 minute" } as const

  it.scoped("waits for the lookup, and serves the stale value only when that fails", () =>
    Effect.gen(function* () {
      const failing = Effect.delay(down, "1 second")
      const { begun, cache } = yield* make(options, up("first"), failing, up("second"))
      yield* cache.get("a")
      yield* TestClock.adjust("10 seconds")
      const waiting = yield* Effect.fork(cache.serve("a"))
      const value = yield* Effect.fork(cache.get("a"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(told(yield* waiting), ["first", "error-stale", 11_000])
      assert.strictEqual(yield* value, "first")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["second", "fresh", 0])
      assert.deepStrictEqual(begun, [0, 10_000, 11_000])
      assert.deepInclude(yield* cache.snapshot, { misses: 4, stale: 2, failures: 1 })
    })
  )

  it.scoped("ends with its window, which is looked at when the lookup has failed", () =>
    Effect.gen(function* () {
      const { cache } = yield* make(options, up("first"), down, Effect.delay(down, "1 millis"))
      yield* cache.get("a")
      yield* TestClock.adjust("69999 millis")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "error-stale", 69_999])
      const late = yield* Effect.fork(Effect.exit(cache.get("a")))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* late, Exit.fail("down" as const))
    })
  )

  it.scoped("is for failures, and for defects where a function says so", () =>
    Effect.gen(function* () {
      type StaleIfError = Cache.Options<string, string, "down" | "gone">["staleIfError"]
      const outcomes = (staleIfError: StaleIfError) =>
        Effect.gen(function* () {
          const seen: Array<string> = []
          for (const step of [down, Effect.fail("gone" as const), Effect.die("bug")]) {
            const { cache } = yield* make({ timeToLive: "10 seconds", staleIfError }, up("old"), step)
            yield* cache.get("a")
            yield* TestClock.adjust("30 seconds")
            seen.push(
              Exit.match(yield* Effect.exit(cache.get("a")), { onSuccess: String, onFailure: () => "fails" })
            )
          }
          return seen
        })
      assert.deepStrictEqual(yield* outcomes("1 minute"), ["old", "old", "fails"])
      const notWhenGone: StaleIfError = (failed) =>
        failed._tag === "Error" && failed.error === "gone" ? 0 : "1 minute"
      assert.deepStrictEqual(yield* outcomes(notWhenGone), ["old", "fails", "old"])
      assert.deepStrictEqual(yield* outcomes(() => "20 seconds"), ["fails", "fails", "fails"])
    })
  )

  it.scoped("serves the stale value at once while the failure is remembered", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make({ ...options, negativeTimeToLive: "2 minutes" }, up("first"), down)
      yield* cache.get("a")
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "error-stale", 20_000])
      yield* TestClock.adjust("49999 millis")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", "error-stale", 69_999])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Effect.exit(cache.serve("a")), Exit.fail("down" as const))
      assert.deepStrictEqual(begun, [0, 20_000])
    })
  )

  it.scoped("follows stale while revalidate", () =>
    Effect.gen(function* () {
      const { cache } = yield* make({ ...options, staleWhileRevalidate: "20 seconds" }, up("first"), down)
      yield* cache.get("a")
      const states: Array<string> = []
      for (const seconds of [9, 1, 19, 1, 39, 1]) {
        yield* TestClock.adjust(seconds * 1000)
        states.push(
          yield* Effect.match(cache.serve("a"), { onSuccess: ({ state }) => state, onFailure: () => "fails" })
        )
      }
      assert.deepStrictEqual(states, [
        "fresh",
        "revalidating",
        "revalidating",
        "error-stale",
        "error-stale",
        "fails"
      ])
    })
  )
})

describe("the maxAge of a cache", () => {
  it.scoped("bounds freshness, both stale windows and remembered failures", () =>
    Effect.gen(function* () {
      const maxAge = "20 seconds"
      const table = [
        [{ timeToLive: () => "1 minute" as const, maxAge }, "fresh"],
        [{ timeToLive: "5 seconds", staleWhileRevalidate: Infinity, maxAge }, "revalidating"],
        [{ timeToLive: "5 seconds", staleIfError: Infinity, maxAge }, "error-stale"],
        [{ timeToLive: "5 seconds", staleIfError: () => Infinity, maxAge }, "error-stale"]
      ] as const
      for (const [options, state] of table) {
        const { cache } = yield* make(options, up("first"), down)
        yield* cache.get("a")
        yield* TestClock.adjust("19999 millis")
        assert.deepStrictEqual(told(yield* cache.serve("a")), ["first", state, 19_999])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Effect.exit(cache.serve("a")), Exit.fail("down" as const))
      }
      const { begun, cache } = yield* make({ timeToLive: () => "1 hour", maxAge }, down)
      yield* Effect.exit(cache.get("a"))
      yield* TestClock.adjust("19999 millis")
      yield* Effect.exit(cache.get("a"))
      assert.strictEqual(begun.length, 1)
      yield* TestClock.adjust("1 millis")
      yield* Effect.exit(cache.get("a"))
      assert.strictEqual(begun.length, 2)
    })
  )
})

describe("an early refresh", () => {
  const options = { timeToLive: "1 minute", earlyRefresh: 1 } as const
  const slow = (value: string) => Effect.delay(up(value), "1 second")

  const warm = (draw: number, ...rest: Array<Text>) =>
    Effect.gen(function* () {
      const made = yield* make(options, slow("first"), ...rest)
      const waiting = yield* Effect.fork(made.cache.get("a"))
      yield* TestClock.adjust("1 second")
      yield* waiting
      const serve = Effect.map(made.cache.serve("a"), told).pipe(Effect.withRandom(Random.fixed([draw])))
      return { ...made, serve }
    })

  it.scoped("serves the fresh value and looks it up in the background, so that nobody waits", () =>
    Effect.gen(function* () {
      // -log(1 - 0.9) is 2.3, and the lookup took a second.
      const { begun, serve } = yield* warm(0.9, slow("second"))
      yield* TestClock.adjust("57697 millis")
      assert.deepStrictEqual(yield* serve, ["first", "fresh", 57_697])
      assert.strictEqual(begun.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* serve, ["first", "fresh", 57_698])
      assert.deepStrictEqual(yield* serve, ["first", "fresh", 57_698])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* serve, ["second", "fresh", 0])
      assert.deepStrictEqual(begun, [0, 58_698])
    })
  )

  it.scoped("does not come again while its failure is remembered", () =>
    Effect.gen(function* () {
      const made = yield* make({ ...options, negativeTimeToLive: "1 second" }, slow("first"), down)
      const { begun, cache } = made
      const waiting = yield* Effect.fork(cache.get("a"))
      yield* TestClock.adjust("1 second")
      yield* waiting
      yield* TestClock.adjust("59 seconds")
      const get = cache.get("a").pipe(Effect.withRandom(Random.fixed([0.9])))
      for (let call = 0; call < 3; call++) {
        assert.strictEqual(yield* get, "first")
        yield* TestClock.adjust(0)
      }
      assert.strictEqual(begun.length, 2)
    })
  )

  it.scoped("is decided on what is there after the draw", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make(
        { ...options, capacity: 2 },
        slow("first"),
        up("second"),
        up("third")
      )
      const waiting = yield* Effect.fork(cache.get("a"))
      yield* TestClock.adjust("1 second")
      yield* waiting
      yield* TestClock.adjust("59 seconds")
      // The draw comes after an invalidation.
      const random = { ...Random.fixed([0.1]), next: Effect.as(cache.invalidate("a"), 0.1) }
      const get = cache.get("a").pipe(Effect.withRandom(random as Random.Random))
      assert.strictEqual(yield* get, "second")
      yield* cache.set("b", "b")
      yield* cache.set("c", "c")
      assert.deepInclude(yield* cache.snapshot, { size: 2, evictions: 1 })
      assert.strictEqual(yield* cache.get("b"), "b")
      assert.strictEqual(yield* cache.get("a"), "third")
      assert.strictEqual(yield* cache.get("b"), "b")
      assert.strictEqual(begun.length, 3)
    })
  )

  it.scoped("takes chance from Random, and only where it can matter", () =>
    Effect.gen(function* () {
      const { serve } = yield* warm(0.9)
      let draws = 0
      const random = { ...Random.fixed([0.5]), next: Effect.sync(() => (draws++, 0.5)) }
      const drawing = serve.pipe(Effect.withRandom(random as Random.Random))
      assert.strictEqual((yield* drawing)[0], "first")
      assert.strictEqual(draws, 0)
    })
  )
})

describe("a change of a cache by hand", () => {
  it.scoped("set stores a value as if it had been looked up", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make(
        { timeToLive: (exit) => (Exit.isSuccess(exit) && exit.value === "short" ? 10 : 1000) },
        up("looked up")
      )
      yield* cache.set("a", "short")
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["short", "fresh", 0])
      yield* TestClock.adjust(10)
      assert.strictEqual(yield* cache.get("a"), "looked up")
      yield* cache.set("a", "long")
      yield* TestClock.adjust(999)
      assert.strictEqual(yield* cache.get("a"), "long")
      assert.strictEqual(begun.length, 1)
    })
  )

  it.scoped("set leaves it known how long a lookup takes", () =>
    Effect.gen(function* () {
      const slow = Effect.delay(up("looked up"), "1 second")
      const { begun, cache } = yield* make({ timeToLive: "1 minute", earlyRefresh: 1 }, slow)
      yield* cache.set("a", "never looked up")
      yield* TestClock.adjust("59999 millis")
      const draw = Effect.withRandom(Random.fixed([0.9]))
      assert.strictEqual(yield* draw(cache.get("a")), "never looked up")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(begun.length, 0)
      const waiting = yield* Effect.fork(cache.get("a"))
      yield* TestClock.adjust("1 second")
      yield* waiting
      yield* cache.set("a", "set")
      yield* TestClock.adjust("58 seconds")
      assert.strictEqual(yield* draw(cache.get("a")), "set")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* cache.get("a"), "looked up")
      assert.strictEqual(begun.length, 2)
    })
  )

  it.scoped("a value that is not kept is not outlived by the one before it", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make(
        { timeToLive: (exit) => (Exit.isSuccess(exit) && exit.value === "kept" ? "1 hour" : 0) },
        up("kept"),
        up("not kept"),
        up("looked up")
      )
      yield* cache.get("a")
      assert.strictEqual(yield* cache.refresh("a"), "not kept")
      assert.strictEqual(yield* cache.get("a"), "looked up")
      assert.strictEqual(begun.length, 3)
    })
  )

  it.scoped("set ends a remembered failure, which keeps nobody from looking up again", () =>
    Effect.gen(function* () {
      const options = { timeToLive: "1 second", staleWhileRevalidate: "1 hour" } as const
      const { cache } = yield* make({ ...options, negativeTimeToLive: "1 hour" }, down)
      yield* Effect.exit(cache.get("a"))
      yield* cache.set("a", "set")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* cache.serve("a")).state, "revalidating")
    })
  )

  it.scoped("set ends a remembered failure", () =>
    Effect.gen(function* () {
      const { cache } = yield* make({ timeToLive: "1 second", negativeTimeToLive: "1 second" }, down)
      yield* Effect.exit(cache.get("a"))
      yield* cache.set("a", "set")
      assert.strictEqual(yield* cache.get("a"), "set")
    })
  )

  it.scoped("invalidate forgets a value, stale ones and failures too", () =>
    Effect.gen(function* () {
      const options = {
        timeToLive: "10 seconds",
        staleIfError: "1 hour",
        negativeTimeToLive: "1 hour"
      } as const
      const { cache } = yield* make(options, up("first"), down, up("second"), down)
      yield* cache.get("a")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* cache.serve("a")).state, "error-stale")
      yield* cache.invalidate("a")
      assert.strictEqual((yield* cache.snapshot).size, 0)
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["second", "fresh", 0])
      yield* cache.invalidateAll
      assert.deepStrictEqual(yield* Effect.exit(cache.get("a")), Exit.fail("down" as const))
      yield* cache.invalidate("nobody knows this one")
    })
  )

  it.scoped("refresh looks up whatever is stored, and gives a failure back as it is", () =>
    Effect.gen(function* () {
      const options = {
        timeToLive: "10 seconds",
        staleIfError: "1 hour",
        negativeTimeToLive: "1 hour"
      } as const
      const { cache } = yield* make(options, up("first"), up("second"), down, up("third"))
      yield* cache.get("a")
      assert.strictEqual(yield* cache.refresh("a"), "second")
      assert.strictEqual(yield* cache.get("a"), "second")
      assert.deepStrictEqual(yield* Effect.exit(cache.refresh("a")), Exit.fail("down" as const))
      assert.deepStrictEqual(told(yield* cache.serve("a")), ["second", "fresh", 0])
      assert.strictEqual(yield* cache.refresh("a"), "third")
      assert.deepInclude(yield* cache.snapshot, { lookups: 4, refreshes: 3, misses: 1, hits: 2 })
    })
  )
})

describe("a cache without a lookup", () => {
  const makeStore = Cache.makeStore<string, string, "down" | "gone">()

  it.scoped("is filled by what is piped through it", () =>
    Effect.gen(function* () {
      const store = yield* makeStore({ timeToLive: "10 seconds", staleWhileRevalidate: "1 minute" })
      const { begun, call } = scripted<string, "down" | "gone", never>(up("first"), up("second"))
      assert.strictEqual(yield* call.pipe(store.cached("a")), "first")
      assert.strictEqual(yield* call.pipe(store.cached("a")), "first")
      assert.strictEqual(yield* up("another").pipe(store.cached("b")), "another")
      assert.deepStrictEqual(told(yield* call.pipe(store.served("a"))), ["first", "fresh", 0])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* call.pipe(store.served("a"))).state, "revalidating")
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* call.pipe(store.cached("a")), "second")
      assert.deepStrictEqual(begun, [0, 10_000])
    })
  )

  it.scoped("runs an effect with the services and the fiber refs of the call that started it", () =>
    Effect.gen(function* () {
      class Tenant extends Context.Tag("Tenant")<Tenant, string>() {}
      const ref = yield* FiberRef.make("default")
      const store = yield* Cache.makeStore<string, string>()({
        timeToLive: 0,
        staleWhileRevalidate: "1 hour"
      })
      const whoAsks = Effect.zipWith(Tenant, FiberRef.get(ref), (tenant, value) => `${tenant} ${value}`)
      const call = (tenant: string) =>
        whoAsks.pipe(
          store.cached("a"),
          Effect.provideService(Tenant, tenant),
          Effect.locally(ref, `of ${tenant}`)
        )
      assert.strictEqual(yield* call("first"), "first of first")
      assert.strictEqual(yield* call("second"), "first of first")
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* call("third"), "second of second")
    })
  )

  it.scoped("of a cache with a lookup runs the piped effect instead", () =>
    Effect.gen(function* () {
      const { begun, cache } = yield* make({ timeToLive: "10 seconds" }, up("looked up"))
      assert.strictEqual(yield* up("piped").pipe(cache.cached("a")), "piped")
      assert.strictEqual(yield* cache.get("a"), "piped")
      assert.strictEqual(begun.length, 0)
    })
  )
})

describe("a lookup of a cache", () => {
  it.scoped("has the services of the cache's maker, and the span and fiber refs of the caller", () =>
    Effect.gen(function* () {
      class Source extends Context.Tag("Source")<Source, string>() {}
      const ref = yield* FiberRef.make("default")
      const cache = yield* Cache.make({
        lookup: (key: string) =>
          Effect.gen(function* () {
            const span = yield* Effect.currentSpan
            return [key, yield* Source, span.name, yield* FiberRef.get(ref)].join(" ")
          }),
        timeToLive: "1 minute"
      }).pipe(Effect.provideService(Source, "maker"), Effect.withSpan("making"))
      const value = yield* cache
        .get("a")
        .pipe(
          Effect.provideService(Source, "caller"),
          Effect.withSpan("calling"),
          Effect.locally(ref, "caller"),
          Effect.orDie
        )
      assert.strictEqual(value, "a maker calling caller")
    })
  )
})

describe("a cache", () => {
  it.scoped("describes itself", () =>
    Effect.gen(function* () {
      const plain = yield* Cache.make({ lookup: (_: string) => up("value"), timeToLive: "1 minute" })
      assert.strictEqual(Policy.describe(plain), "cache(capacity: 1000, timeToLive: 1m)")
      const full = yield* Cache.makeStore<string, string, "down">()({
        name: "offers",
        capacity: 5,
        timeToLive: () => 1,
        staleWhileRevalidate: "5 minutes",
        staleIfError: () => "1 hour",
        maxAge: "1 day",
        earlyRefresh: 1
      })
      assert.strictEqual(
        Policy.describe(full),
        'cache "offers"(capacity: 5, timeToLive: computed, staleWhileRevalidate: 5m, staleIfError: computed, maxAge: 1d, earlyRefresh: 1)'
      )
    })
  )

  it.scoped("that has seen nothing has a snapshot of nothing", () =>
    Effect.gen(function* () {
      const cache = yield* Cache.make({ lookup: (_: string) => up("value"), timeToLive: "1 minute" })
      assert.deepStrictEqual(yield* cache.snapshot, {
        name: "cache",
        size: 0,
        inFlight: 0,
        waiting: 0,
        hits: 0,
        misses: 0,
        stale: 0,
        lookups: 0,
        refreshes: 0,
        failures: 0,
        evictions: 0
      })
    })
  )

  it.scoped("shares nothing with another one made of the same options", () =>
    Effect.gen(function* () {
      const options = Object.freeze({ timeToLive: "1 minute", lookup: (_: string) => up("value") } as const)
      const first = yield* Cache.make(options)
      const second = yield* Cache.make(options)
      yield* first.get("a")
      assert.deepStrictEqual([(yield* first.snapshot).size, (yield* second.snapshot).size], [1, 0])
    })
  )

  it.scoped("serves a hit in two operations of the fiber, without a fiber of its own", () =>
    Effect.gen(function* () {
      const store = yield* Cache.makeStore<string, string>()({ timeToLive: "1 minute" })
      const cache = yield* Cache.make({
        lookup: up,
        timeToLive: "1 minute",
        staleWhileRevalidate: "1 minute"
      })
      yield* cache.get("a")
      yield* up("value").pipe(store.cached("a"))
      let operations = 0
      const tracer = Tracer.make({
        span: () => {
          throw new Error("nobody asked for a span")
        },
        context: (run) => {
          operations++
          return run()
        }
      })
      const cost = (self: Effect.Effect<unknown>) =>
        Effect.suspend(() => {
          operations = 0
          return Effect.map(self, () => operations)
        }).pipe(Effect.withTracer(tracer))
      // The exit that is given back is itself one operation.
      const nothing = yield* cost(Effect.void)
      assert.strictEqual((yield* cost(cache.get("a"))) - nothing, 1)
      assert.strictEqual((yield* cost(cache.serve("a"))) - nothing, 1)
      assert.strictEqual((yield* cost(up("value").pipe(store.cached("a")))) - nothing, 1)
    })
  )

  it.scoped("is used by thousands of fibers at once, and counts each of them once", () =>
    Effect.gen(function* () {
      const calls = runs(2000, 5000)
      const cache = yield* Cache.make({
        lookup: (key: number) => Effect.as(Effect.yieldNow(), key * 2),
        timeToLive: "1 minute",
        capacity: 100
      })
      const fibers = yield* Effect.forEach(
        Array.from({ length: calls }, (_, n) => n % 50),
        (key) => Effect.fork(Effect.map(cache.get(key), (value) => assert.strictEqual(value, key * 2)))
      )
      yield* Fiber.joinAll(fibers)
      const { hits, lookups, misses, size, waiting } = yield* cache.snapshot
      assert.deepStrictEqual(
        { total: hits + misses, lookups, size, waiting },
        { total: calls, lookups: 50, size: 50, waiting: 0 }
      )
    })
  )
})

describe("the layer of a cache", () => {
  class Offers extends Cache.Tag("Offers")<Offers, string, number>() {}

  it.effect("ends the cache when it is closed", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const hanging = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
      const live = Offers.layer({
        name: "hanging",
        lookup: (key) => (key === "slow" ? hanging : Effect.succeed(key.length)),
        timeToLive: 0,
        staleWhileRevalidate: "1 minute"
      })
      const cache = yield* Effect.gen(function* () {
        yield* Effect.forkDaemon(Effect.exit(Offers.get("slow")))
        yield* TestClock.adjust(0)
        return yield* Offers
      }).pipe(Effect.provide(live))
      assert.strictEqual(interrupted, 1)
      assert.deepStrictEqual(
        yield* Effect.exit(cache.get("a")),
        Exit.die(new Cache.CacheClosed({ name: "hanging" }))
      )
    })
  )

  it.effect("gives the lookup and the listeners the services that it is given", () =>
    Effect.gen(function* () {
      class Source extends Context.Tag("Source")<Source, number>() {}
      const heard: Array<number> = []
      const live = Offers.layer({
        lookup: () => Source,
        timeToLive: "1 minute",
        onMiss: () => Effect.map(Source, (number) => heard.push(number))
      }).pipe(Layer.provide(Layer.succeed(Source, 42)))
      assert.strictEqual(yield* Effect.provide(Offers.get("a"), live), 42)
      assert.deepStrictEqual(heard, [42])
    })
  )
})
