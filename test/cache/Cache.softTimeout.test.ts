import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, TestClock } from "effect"
import { Cache } from "effect-resilience"
import { refusalOf } from "../support/calls.js"
import { interruptedAtEveryStep } from "../support/everyStep.js"

/** A cache whose first value comes at once, and every other one as the test says; the first is expired at 1000. */
const expired = (
  second: Effect.Effect<string, string>,
  options: Partial<Cache.Options<string, string, string>> = {}
) =>
  Effect.gen(function* () {
    const seen = { lookups: 0, interrupted: 0 }
    const log: Array<string> = []
    const note = (what: string) => Effect.sync(() => void log.push(what))
    const cache: Cache.Cache<string, string, string> = yield* Cache.make<string, string, string, object>({
      lookup: () =>
        Effect.suspend(() => (seen.lookups++ === 0 ? Effect.succeed("old") : second)).pipe(
          Effect.onInterrupt(() => Effect.sync(() => void seen.interrupted++))
        ),
      timeToLive: "1 second",
      staleIfError: "1 hour",
      softTimeout: 50,
      onMiss: () => note("miss"),
      onStale: ({ state }) => note(state),
      onRefresh: ({ exit }) => note(Exit.isSuccess(exit) ? "refreshed" : "refresh failed"),
      ...options
    })
    yield* cache.get("key")
    log.length = 0
    yield* TestClock.adjust("1 second")
    return { cache, log, seen }
  })

const slow = Effect.delay(Effect.succeed("new"), 200)

/** Asks, and lets so much time pass. What came back, and when. */
const asked = <A>(call: Effect.Effect<A, string>, millis: number) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(call)
    yield* TestClock.adjust(millis)
    return (yield* Fiber.poll(fiber)).pipe(Option.map(Exit.getOrElse((cause) => cause)))
  })

describe("the softTimeout of a cache", () => {
  it.scoped("gives a caller the stale value, and the lookup goes on and is stored", () =>
    Effect.gen(function* () {
      const { cache, log, seen } = yield* expired(slow)
      assert.deepStrictEqual(yield* asked(cache.get("key"), 49), Option.none())
      yield* TestClock.adjust(1)
      const { refreshes, stale, waiting } = yield* cache.snapshot
      assert.deepStrictEqual({ refreshes, stale, waiting }, { refreshes: 1, stale: 1, waiting: 0 })
      yield* TestClock.adjust(150)
      assert.strictEqual(yield* cache.get("key"), "new")
      assert.deepStrictEqual(seen, { lookups: 2, interrupted: 0 })
      assert.deepStrictEqual(log, ["miss", "revalidating", "refreshed"])
    })
  )

  it.scoped("says how the value was served", () =>
    Effect.gen(function* () {
      const { cache } = yield* expired(slow)
      const served = yield* asked(
        Effect.map(cache.serve("key"), ({ state, value }) => [state, value]),
        50
      )
      assert.deepStrictEqual(served, Option.some(["revalidating", "old"]))
    })
  )

  it.scoped("gives a caller the new value when the lookup is fast enough", () =>
    Effect.gen(function* () {
      const { cache, log } = yield* expired(Effect.delay(Effect.succeed("new"), 49))
      assert.deepStrictEqual(yield* asked(cache.get("key"), 49), Option.some("new"))
      assert.deepStrictEqual(log, ["miss"])
    })
  )

  it.scoped(
    "counts from the beginning of the lookup for those who join it, and does not let late ones wait",
    () =>
      Effect.gen(function* () {
        const { cache, seen } = yield* expired(slow)
        const first = yield* Effect.fork(cache.get("key"))
        yield* TestClock.adjust(30)
        assert.deepStrictEqual(yield* asked(cache.get("key"), 20), Option.some("old"))
        assert.strictEqual(yield* Fiber.join(first), "old")
        assert.strictEqual(yield* cache.get("key"), "old")
        assert.strictEqual(seen.lookups, 2)
      })
  )

  it.scoped("stands in for a lookup that fails before it, and hides one that fails after it", () =>
    Effect.gen(function* () {
      const early = yield* expired(Effect.delay(Effect.fail("down"), 10))
      assert.deepStrictEqual(yield* asked(early.cache.get("key"), 10), Option.some("old"))
      assert.deepStrictEqual(early.log, ["miss", "error-stale"])
      const late = yield* expired(Effect.delay(Effect.fail("down"), 100))
      assert.deepStrictEqual(yield* asked(late.cache.get("key"), 50), Option.some("old"))
      yield* TestClock.adjust(50)
      assert.deepStrictEqual(late.log, ["miss", "revalidating", "refresh failed"])
      assert.deepStrictEqual(yield* late.cache.getOption("key"), Option.some("old"))
    })
  )

  it.scoped("does not shorten the wait of a caller for whom there is no value", () =>
    Effect.gen(function* () {
      const { cache } = yield* expired(slow)
      assert.deepStrictEqual(yield* asked(cache.get("other"), 199), Option.none())
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(yield* asked(cache.get("key"), 199), Option.none())
    })
  )

  it.scoped("does not shorten a refresh that is asked for, nor interrupt it when its caller leaves", () =>
    Effect.gen(function* () {
      const { cache, seen } = yield* expired(slow)
      const refresh = yield* Effect.fork(cache.refresh("key"))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* asked(cache.get("key"), 40), Option.some("old"))
      assert.deepStrictEqual(yield* Fiber.poll(refresh), Option.none())
      yield* Fiber.interrupt(refresh)
      yield* TestClock.adjust(150)
      assert.strictEqual(seen.interrupted, 0)
      assert.strictEqual(yield* cache.get("key"), "new")
    })
  )

  it.scoped("lets a lookup whose last caller leaves before it be interrupted", () =>
    Effect.gen(function* () {
      const { cache, seen } = yield* expired(slow)
      const fiber = yield* Effect.fork(cache.get("key"))
      yield* TestClock.adjust(49)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(seen.interrupted, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* cache.snapshot).waiting, 0)
    })
  )

  it.scoped("of zero serves an expired value at once", () =>
    Effect.gen(function* () {
      const { cache } = yield* expired(slow, { softTimeout: 0 })
      assert.deepStrictEqual(yield* asked(cache.get("key"), 0), Option.some("old"))
    })
  )

  it.scoped("waits anew for a value that was invalidated or set meanwhile", () =>
    Effect.gen(function* () {
      const { cache } = yield* expired(slow)
      const listening = yield* Effect.fork(cache.get("key"))
      yield* TestClock.adjust(10)
      yield* cache.set("key", "by hand")
      yield* TestClock.adjust(40)
      assert.strictEqual(yield* Fiber.join(listening), "by hand")
      yield* TestClock.adjust("1 second")
      const waiting = yield* Effect.fork(cache.get("key"))
      yield* TestClock.adjust(10)
      yield* cache.invalidate("key")
      yield* TestClock.adjust(40)
      assert.deepStrictEqual(yield* Fiber.poll(waiting), Option.none())
      yield* TestClock.adjust(200)
      assert.strictEqual(yield* Fiber.join(waiting), "new")
    })
  )

  it.effect("is a bad option without a window of staleIfError", () =>
    Effect.gen(function* () {
      const made = Effect.scoped(
        Cache.make({ lookup: () => Effect.succeed(1), timeToLive: 1, softTimeout: 1 })
      )
      assert.include(String(yield* refusalOf(made)), "softTimeout")
    })
  )

  it("leaves nothing that waits, interrupted at any step", () => {
    let snapshot: Cache.Snapshot | undefined
    interruptedAtEveryStep(
      () =>
        Effect.scoped(
          Effect.gen(function* () {
            let lookups = 0
            const cache = yield* Cache.make({
              lookup: (_: string) =>
                Effect.suspend(() =>
                  lookups++ === 0 ? Effect.succeed(1) : Effect.delay(Effect.succeed(2), 30)
                ),
              timeToLive: 10,
              staleIfError: 1000,
              softTimeout: 5
            })
            yield* cache.get("key")
            yield* Effect.sleep(10)
            yield* Effect.ensuring(
              Effect.zipRight(Effect.fork(cache.get("key")), cache.get("key")),
              Effect.flatMap(Effect.zipRight(Effect.sleep(100), cache.snapshot), (now) =>
                Effect.sync(() => (snapshot = now))
              )
            )
          })
        ),
      ({ exit }) => {
        assert.isDefined(exit)
        if (snapshot !== undefined) assert.deepInclude(snapshot, { waiting: 0, inFlight: 0 })
      }
    )
  })
})

describe("Cache.getOption", () => {
  it.scoped("reads what is kept, starts no lookup and counts nothing", () =>
    Effect.gen(function* () {
      const { cache, seen } = yield* expired(slow)
      const before = yield* cache.snapshot
      assert.deepStrictEqual(yield* cache.getOption("key"), Option.some("old"))
      assert.deepStrictEqual(yield* cache.getOption("other"), Option.none())
      assert.deepStrictEqual(yield* cache.snapshot, before)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* cache.getOption("key"), Option.none())
      assert.strictEqual(seen.lookups, 1)
    })
  )
})
