import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, FiberId, Option, Scope, TestClock } from "effect"
import { Cache } from "effect-resilience"
import { interruptedAtEveryStep } from "../support/everyStep.js"

/** A lookup that waits for a gate, and its state. */
const gated = Effect.gen(function* () {
  const seen = { begun: 0, interrupted: 0, ended: 0 }
  const gate = yield* Deferred.make<string, "down">()
  const lookup = (_: string) =>
    Effect.suspend(() => {
      seen.begun++
      return Deferred.await(gate)
    }).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isInterrupted(exit)) seen.interrupted++
          else seen.ended++
        })
      )
    )
  return { seen, gate, lookup }
})

const setup = Effect.gen(function* () {
  const source = yield* gated
  const cache = yield* Cache.make({ lookup: source.lookup, timeToLive: "1 minute" })
  return { ...source, cache }
})

const settle = TestClock.adjust(0)

const counts = (cache: { readonly snapshot: Effect.Effect<Cache.Snapshot> }) =>
  Effect.map(cache.snapshot, ({ inFlight, lookups, size, waiting }) => ({ inFlight, lookups, size, waiting }))

describe("a cache with single flight", () => {
  it.scoped("makes one lookup for a thousand callers at once", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup
      const fibers = yield* Effect.forEach(Array(1000), () => Effect.fork(cache.get("a")))
      yield* settle
      assert.deepStrictEqual(yield* counts(cache), { inFlight: 1, lookups: 1, size: 0, waiting: 1000 })
      yield* Deferred.succeed(gate, "value")
      const values = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(new Set(values), new Set(["value"]))
      assert.deepStrictEqual(seen, { begun: 1, interrupted: 0, ended: 1 })
      assert.deepStrictEqual(yield* counts(cache), { inFlight: 0, lookups: 1, size: 1, waiting: 0 })
      assert.strictEqual((yield* cache.snapshot).misses, 1000)
    })
  )

  it.scoped("makes one lookup for each key", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup
      const keys = Array.from({ length: 100 }, (_, n) => String(n % 7))
      const fibers = yield* Effect.forEach(keys, (key) => Effect.fork(cache.get(key)))
      yield* settle
      assert.strictEqual(seen.begun, 7)
      yield* Deferred.succeed(gate, "value")
      yield* Fiber.joinAll(fibers)
    })
  )

  it.scoped("gives every kind of exit to all who wait, unchanged", () =>
    Effect.gen(function* () {
      const interruption = Cause.interrupt(FiberId.none)
      const cause = Cause.sequential(Cause.fail("down"), Cause.parallel(Cause.die("bug"), interruption))
      for (const exit of [Exit.succeed("value"), Exit.fail("down"), Exit.die("bug"), Exit.failCause(cause)]) {
        const cache = yield* Cache.make({
          lookup: (_: string) => Effect.zipRight(Effect.yieldNow(), exit as Exit.Exit<string, string>),
          timeToLive: "1 minute"
        })
        const fibers = yield* Effect.forEach(Array(5), () => Effect.fork(Effect.exit(cache.get("a"))))
        for (const fiber of fibers) assert.deepStrictEqual(yield* Fiber.join(fiber), exit)
        assert.deepInclude(yield* cache.snapshot, { lookups: 1, size: Exit.isSuccess(exit) ? 1 : 0 })
      }
    })
  )

  it.scoped("in a store runs the effect of the first caller for all", () =>
    Effect.gen(function* () {
      const store = yield* Cache.makeStore<string, number>()({ timeToLive: 0 })
      const call = (n: number) => Effect.fork(Effect.as(Effect.sleep("1 second"), n).pipe(store.cached("a")))
      const fibers = yield* Effect.forEach([1, 2, 3], call)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [1, 1, 1])
    })
  )
})

describe("a caller that leaves", () => {
  it.scoped("first does not take the lookup with it", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup
      const first = yield* Effect.fork(cache.get("a"))
      yield* settle
      const others = yield* Effect.forEach(Array(10), () => Effect.fork(cache.get("a")))
      yield* settle
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(first)))
      assert.deepStrictEqual(yield* counts(cache), { inFlight: 1, lookups: 1, size: 0, waiting: 10 })
      yield* Deferred.succeed(gate, "value")
      for (const fiber of others) assert.strictEqual(yield* Fiber.join(fiber), "value")
      assert.deepStrictEqual(seen, { begun: 1, interrupted: 0, ended: 1 })
    })
  )

  it.scoped("alone, while others wait, leaves no trace", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup
      const fibers = yield* Effect.forEach(Array(100), () => Effect.fork(cache.get("a")))
      yield* settle
      for (const fiber of fibers.filter((_, index) => index % 3 !== 0)) yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* counts(cache), { inFlight: 1, lookups: 1, size: 0, waiting: 34 })
      yield* Deferred.succeed(gate, "value")
      for (const fiber of fibers.filter((_, index) => index % 3 === 0))
        assert.strictEqual(yield* fiber, "value")
      assert.deepStrictEqual(seen, { begun: 1, interrupted: 0, ended: 1 })
    })
  )

  it.scoped("as the last one ends the lookup, and the next call starts another", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup
      const fibers = yield* Effect.forEach(Array(10), () => Effect.fork(cache.get("a")))
      yield* settle
      yield* Fiber.interruptAll(fibers)
      assert.deepStrictEqual(seen, { begun: 1, interrupted: 1, ended: 0 })
      assert.deepStrictEqual(yield* counts(cache), { inFlight: 0, lookups: 1, size: 0, waiting: 0 })
      const next = yield* Effect.fork(cache.get("a"))
      yield* settle
      assert.strictEqual(seen.begun, 2)
      yield* Deferred.succeed(gate, "value")
      assert.strictEqual(yield* next, "value")
    })
  )

  it.scoped("as the last one waits for the finalizers of the lookup, and the next call does not", () =>
    Effect.gen(function* () {
      let begun = 0
      const cache = yield* Cache.make({
        lookup: (_: string) =>
          Effect.suspend(() =>
            begun++ === 0
              ? Effect.ensuring(Effect.never, Effect.sleep("5 seconds"))
              : Effect.succeed(`lookup ${begun}`)
          ),
        timeToLive: "1 minute"
      })
      const first = yield* Effect.fork(cache.get("a"))
      yield* settle
      const leaving = yield* Effect.fork(Fiber.interrupt(first))
      yield* settle
      assert.strictEqual(yield* cache.get("a"), "lookup 2")
      yield* TestClock.adjust("4999 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(leaving)))
      assert.strictEqual((yield* cache.snapshot).inFlight, 1)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isInterrupted(yield* leaving))
      assert.strictEqual(yield* cache.get("a"), "lookup 2")
    })
  )

  it.scoped("because of a timeout does not disturb those who have more time", () =>
    Effect.gen(function* () {
      const cache = yield* Cache.make({
        lookup: (_: string) => Effect.as(Effect.sleep("2 seconds"), "value"),
        timeToLive: "1 minute"
      })
      const impatient = yield* Effect.fork(cache.get("a").pipe(Effect.timeoutOption("1 second")))
      const patient = yield* Effect.fork(cache.get("a").pipe(Effect.timeoutOption("3 seconds")))
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual([yield* impatient, yield* patient], [Option.none(), Option.some("value")])
    })
  )

  it.scoped("while it is uninterruptible gets its value", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup
      const got: Array<string> = []
      const caller = yield* Effect.fork(
        Effect.uninterruptible(Effect.tap(cache.get("a"), (value) => Effect.sync(() => got.push(value))))
      )
      yield* settle
      const leaving = yield* Effect.fork(Fiber.interrupt(caller))
      yield* settle
      assert.isTrue(Option.isNone(yield* Fiber.poll(leaving)))
      yield* Deferred.succeed(gate, "value")
      yield* leaving
      assert.deepStrictEqual(got, ["value"])
      assert.deepStrictEqual(seen, { begun: 1, interrupted: 0, ended: 1 })
    })
  )

  it.scoped("leaves a lookup interruptible that was started in an uninterruptible region", () =>
    Effect.gen(function* () {
      const { cache, seen } = yield* setup
      const starter = yield* Effect.fork(Effect.uninterruptible(Effect.interruptible(cache.get("a"))))
      yield* settle
      yield* Fiber.interrupt(starter)
      assert.deepStrictEqual(seen, { begun: 1, interrupted: 1, ended: 0 })
    })
  )

  it.scoped("at the moment at which the value is there is simply interrupted", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup
      const fibers = yield* Effect.forEach(Array(3), () => Effect.fork(cache.get("a")))
      yield* settle
      yield* Deferred.succeed(gate, "value")
      yield* Fiber.interruptAll(fibers)
      yield* settle
      assert.strictEqual(seen.begun, seen.ended + seen.interrupted)
      assert.deepInclude(yield* counts(cache), { inFlight: 0, waiting: 0 })
    })
  )

  it("at any step leaves the cache able to answer, and others with their value", () => {
    const endless = Effect.runSync(Scope.make())
    let cache: Cache.Cache<string, string>
    let other: Exit.Exit<string> | undefined
    let next: Exit.Exit<string> | undefined
    const program = () => {
      other = next = undefined
      const observe = (get: Effect.Effect<string>, note: (exit: Exit.Exit<string>) => void) =>
        Effect.forkDaemon(Effect.flatMap(Effect.exit(get), (exit) => Effect.sync(() => note(exit))))
      return Effect.gen(function* () {
        cache = yield* Cache.make({
          lookup: (_: string) => Effect.as(Effect.sleep("1 second"), "value"),
          timeToLive: "1 minute",
          onMiss: () => Effect.yieldNow()
        }).pipe(Effect.uninterruptible)
        yield* observe(Effect.delay(cache.get("a"), "500 millis"), (exit) => {
          other = exit
        })
        yield* observe(Effect.delay(cache.get("a"), "5 seconds"), (exit) => {
          next = exit
        })
        return yield* cache.get("a")
      }).pipe(Effect.provideService(Scope.Scope, endless))
    }
    const steps = interruptedAtEveryStep(program, ({ exit, interruptedAt }) => {
      const where = `interrupted at ${interruptedAt}`
      assert.isDefined(exit, where)
      if (interruptedAt === undefined) assert.deepStrictEqual(exit, Exit.succeed("value"))
      if (next === undefined) return
      assert.deepStrictEqual(next, Exit.succeed("value"), where)
      assert.deepStrictEqual(other, Exit.succeed("value"), where)
      const snapshot: Cache.Snapshot = Effect.runSync(cache.snapshot)
      assert.deepInclude(snapshot, { inFlight: 0, waiting: 0, size: 1 }, where)
    })
    assert.isAbove(steps, 30)
  })
})

describe("a lookup that interrupts itself", () => {
  it.scoped("interrupts the caller that started it and nobody else: the next one asks again", () =>
    Effect.gen(function* () {
      const store = yield* Cache.makeStore<string, string>()({ timeToLive: "1 minute" })
      const order: Array<string> = []
      const call = (name: string, effect: Effect.Effect<string>) =>
        Effect.zipRight(
          Effect.sync(() => order.push(name)),
          Effect.zipRight(Effect.sleep("1 second"), effect)
        ).pipe(store.cached("a"), Effect.exit, Effect.fork)
      const first = yield* call("first", Effect.interrupt)
      const second = yield* call("second", Effect.interrupt)
      const third = yield* call("third", Effect.succeed("third"))
      const fourth = yield* call("fourth", Effect.succeed("fourth"))
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(Exit.isInterrupted(yield* first))
      assert.isTrue(Exit.isInterrupted(yield* second))
      assert.deepStrictEqual([yield* third, yield* fourth], [Exit.succeed("third"), Exit.succeed("third")])
      assert.deepStrictEqual(order, ["first", "second", "third"])
      assert.deepInclude(yield* store.snapshot, {
        lookups: 3,
        misses: 4,
        failures: 0,
        waiting: 0,
        inFlight: 0
      })
    })
  )

  it.scoped("because it hung on a caller that left, is made again for those who wait", () =>
    Effect.gen(function* () {
      const store = yield* Cache.makeStore<string, string>()({ timeToLive: "1 minute" })
      const viaChild = (value: string) =>
        Effect.gen(function* () {
          const child = yield* Effect.fork(Effect.as(Effect.sleep("1 second"), value))
          return yield* Fiber.join(child).pipe(store.cached("a"))
        })
      const first = yield* Effect.fork(viaChild("first"))
      yield* settle
      const second = yield* Effect.fork(viaChild("second"))
      yield* settle
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* second, "second")
    })
  )

  it.scoped("is not remembered, and stale values are not its answer", () =>
    Effect.gen(function* () {
      let calls = 0
      const cache = yield* Cache.make({
        lookup: (_: string) =>
          Effect.suspend(() => (calls++ === 1 ? Effect.interrupt : Effect.succeed(calls))),
        timeToLive: () => "10 seconds",
        staleIfError: () => "1 hour"
      })
      yield* cache.get("a")
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(Exit.isInterrupted(yield* Effect.exit(cache.get("a"))))
      assert.strictEqual(yield* cache.get("a"), 3)
      assert.strictEqual((yield* cache.snapshot).failures, 0)
    })
  )
})

describe("a lookup that was overtaken", () => {
  const setup = Effect.gen(function* () {
    const gates: Array<Deferred.Deferred<string, "down">> = []
    const cache = yield* Cache.make({
      lookup: (_: string) =>
        Effect.flatMap(Deferred.make<string, "down">(), (gate) => {
          gates.push(gate)
          return Deferred.await(gate)
        }),
      timeToLive: "1 minute",
      staleIfError: "1 hour",
      negativeTimeToLive: "1 minute"
    })
    return { gates, cache }
  })

  it.scoped("by an invalidation is for those who waited already, and is not stored", () =>
    Effect.gen(function* () {
      const { cache, gates } = yield* setup
      const before = yield* Effect.fork(cache.get("a"))
      yield* settle
      yield* cache.invalidate("a")
      const after = yield* Effect.fork(cache.get("a"))
      yield* settle
      assert.strictEqual(gates.length, 2)
      yield* Deferred.succeed(gates[1], "new")
      assert.strictEqual(yield* after, "new")
      yield* Deferred.succeed(gates[0], "old")
      assert.strictEqual(yield* before, "old")
      assert.strictEqual(yield* cache.get("a"), "new")
      assert.strictEqual(gates.length, 2)
    })
  )

  it.scoped("by an invalidation of everything is not stored either", () =>
    Effect.gen(function* () {
      const { cache, gates } = yield* setup
      const fibers = yield* Effect.forEach(["a", "b"], (key) => Effect.fork(cache.get(key)))
      yield* settle
      yield* cache.invalidateAll
      for (const gate of gates) yield* Deferred.succeed(gate, "old")
      for (const fiber of fibers) assert.strictEqual(yield* fiber, "old")
      assert.strictEqual((yield* cache.snapshot).size, 0)
    })
  )

  it.scoped("by a set does not replace what was set, whether it succeeds or fails", () =>
    Effect.gen(function* () {
      for (const [outcome, expected] of [
        [Effect.succeed("old"), Exit.succeed("old")],
        [Effect.fail("down" as const), Exit.fail("down" as const)]
      ] as const) {
        const { cache, gates } = yield* setup
        const before = yield* Effect.fork(Effect.exit(cache.get("a")))
        yield* settle
        yield* cache.set("a", "set")
        assert.strictEqual(yield* cache.get("a"), "set")
        yield* Deferred.complete<string, "down">(gates[0], outcome)
        assert.deepStrictEqual<Exit.Exit<string, "down">>(yield* before, expected)
        assert.strictEqual(yield* cache.get("a"), "set")
      }
    })
  )

  it.scoped("and that nobody waits for is interrupted", () =>
    Effect.gen(function* () {
      let interrupted = 0
      let calls = 0
      const cache = yield* Cache.make({
        lookup: (_: string) =>
          Effect.suspend(() => (calls++ === 0 ? Effect.succeed("first") : Effect.never)).pipe(
            Effect.onInterrupt(() => Effect.sync(() => interrupted++))
          ),
        timeToLive: 0,
        staleWhileRevalidate: "1 minute"
      })
      yield* cache.get("a")
      yield* cache.get("a")
      yield* settle
      assert.strictEqual((yield* cache.snapshot).inFlight, 1)
      yield* cache.invalidate("a")
      yield* settle
      assert.deepStrictEqual([interrupted, (yield* cache.snapshot).inFlight], [1, 0])
    })
  )

  it.scoped("ends when the last one who waited for it has left", () =>
    Effect.gen(function* () {
      const { cache, gates } = yield* setup
      const before = yield* Effect.fork(cache.get("a"))
      yield* settle
      yield* cache.invalidate("a")
      const after = yield* Effect.fork(cache.get("a"))
      yield* settle
      yield* Fiber.interrupt(before)
      assert.deepStrictEqual(yield* counts(cache), { inFlight: 1, lookups: 2, size: 0, waiting: 1 })
      yield* Deferred.succeed(gates[1], "new")
      assert.strictEqual(yield* after, "new")
    })
  )
})

describe("a refresh", () => {
  const setup = (background: boolean) =>
    Effect.gen(function* () {
      const seen = { begun: 0, interrupted: 0 }
      const gate = yield* Deferred.make<string>()
      const cache = yield* Cache.make({
        lookup: (_: string) =>
          Effect.suspend(() => (seen.begun++ === 0 ? Effect.succeed("first") : Deferred.await(gate))).pipe(
            Effect.onInterrupt(() => Effect.sync(() => seen.interrupted++))
          ),
        timeToLive: background ? 0 : "1 minute",
        staleWhileRevalidate: background ? "1 minute" : 0
      })
      yield* cache.get("a")
      return { seen, gate, cache }
    })

  it.scoped("in the background goes on when the call that started it is interrupted", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup(true)
      const caller = yield* Effect.fork(Effect.zipRight(cache.get("a"), Effect.never))
      yield* settle
      yield* Fiber.interrupt(caller)
      yield* settle
      assert.deepStrictEqual(seen, { begun: 2, interrupted: 0 })
      yield* Deferred.succeed(gate, "second")
      yield* settle
      assert.strictEqual(yield* cache.get("a"), "second")
    })
  )

  it.scoped("in the background goes on when somebody who waited for it leaves", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup(true)
      yield* cache.get("a")
      yield* TestClock.adjust("1 minute")
      const waiting = yield* Effect.fork(cache.get("a"))
      yield* settle
      assert.strictEqual((yield* cache.snapshot).waiting, 1)
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(seen, { begun: 2, interrupted: 0 })
      yield* Deferred.succeed(gate, "second")
      yield* settle
      assert.strictEqual((yield* cache.snapshot).size, 1)
    })
  )

  it.scoped("that was asked for is shared, and interrupted when all who asked have left", () =>
    Effect.gen(function* () {
      const { cache, seen } = yield* setup(false)
      const first = yield* Effect.fork(cache.refresh("a"))
      const second = yield* Effect.fork(cache.refresh("a"))
      yield* settle
      assert.strictEqual(yield* cache.get("a"), "first")
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(seen, { begun: 2, interrupted: 0 })
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(seen, { begun: 2, interrupted: 1 })
      assert.strictEqual(yield* cache.get("a"), "first")
    })
  )

  it.scoped("joins the lookup that is under way", () =>
    Effect.gen(function* () {
      const { cache, gate, seen } = yield* setup(true)
      yield* cache.get("a")
      const asked = yield* Effect.fork(cache.refresh("a"))
      yield* settle
      yield* Deferred.succeed(gate, "second")
      assert.strictEqual(yield* asked, "second")
      assert.strictEqual(seen.begun, 2)
    })
  )
})

describe("the scope of a cache", () => {
  const open = (timeToLive = 0, staleWhileRevalidate = 0) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const seen = { begun: 0, interrupted: 0 }
      const cache = yield* Cache.make({
        name: "offers",
        timeToLive,
        staleWhileRevalidate,
        lookup: (key: string) =>
          Effect.suspend(() => {
            seen.begun++
            return key === "slow" || seen.begun > 1 ? Effect.never : Effect.succeed("value")
          }).pipe(Effect.onInterrupt(() => Effect.sync(() => seen.interrupted++)))
      }).pipe(Scope.extend(scope))
      return { seen, cache, close: Scope.close(scope, Exit.void) }
    })

  const closed = Exit.die(new Cache.CacheClosed({ name: "offers" }))

  it.effect("ends lookups when it closes, and their callers die", () =>
    Effect.gen(function* () {
      const { cache, close, seen } = yield* open()
      const fibers = yield* Effect.forEach(Array(3), () => Effect.fork(Effect.exit(cache.get("slow"))))
      yield* settle
      yield* close
      assert.deepStrictEqual(seen, { begun: 1, interrupted: 1 })
      for (const fiber of fibers) assert.deepStrictEqual(yield* fiber, closed)
    })
  )

  it.effect("ends refreshes in the background", () =>
    Effect.gen(function* () {
      const { cache, close, seen } = yield* open(0, 60_000)
      yield* cache.get("a")
      yield* cache.get("a")
      yield* settle
      assert.deepStrictEqual(seen, { begun: 2, interrupted: 0 })
      yield* close
      assert.deepStrictEqual(seen, { begun: 2, interrupted: 1 })
    })
  )

  it.effect("waits for the finalizers of lookups, also of those that were overtaken", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const cache = yield* Cache.make({
        lookup: (_: string) => Effect.ensuring(Effect.never, Effect.sleep("2 seconds")),
        timeToLive: 0
      }).pipe(Scope.extend(scope))
      yield* Effect.fork(Effect.exit(cache.get("a")))
      yield* settle
      yield* cache.invalidate("a")
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1999 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(closing)))
      yield* TestClock.adjust("1 millis")
      yield* closing
    })
  )

  it.effect("leaves a cache that says that it is closed, and holds nothing", () =>
    Effect.gen(function* () {
      const { cache, close, seen } = yield* open(60_000)
      yield* cache.get("a")
      yield* close
      for (const call of [
        cache.get("a"),
        cache.serve("a"),
        cache.refresh("a"),
        cache.set("a", "value"),
        Effect.succeed("piped").pipe(cache.cached("a"))
      ]) {
        assert.deepStrictEqual(yield* Effect.exit<unknown, never, never>(call), closed)
      }
      yield* cache.invalidate("a")
      yield* cache.invalidateAll
      assert.deepInclude(yield* cache.snapshot, { size: 0, inFlight: 0, lookups: 1 })
      assert.strictEqual(seen.begun, 1)
      assert.strictEqual(
        new Cache.CacheClosed({ name: "offers" }).message,
        'the cache "offers" is closed: its scope has ended'
      )
    })
  )

  it.effect("can be closed from within a lookup", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const cache = yield* Cache.make({
        lookup: (_: string) => Effect.as(Scope.close(scope, Exit.void), "value"),
        timeToLive: "1 minute"
      }).pipe(Scope.extend(scope))
      assert.strictEqual(yield* cache.get("a"), "value")
    })
  )
})
