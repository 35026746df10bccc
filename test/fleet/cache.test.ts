import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Config,
  ConfigProvider,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Random,
  Schema,
  type Scope,
  TestClock
} from "effect"
import { Cache, Observer } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { after, Fleet, type Lookup } from "./cacheFleet.js"

const down: Lookup = Effect.fail("down")

/** The warnings that are logged while an effect runs. */
const warnings = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      lines.push(String(Array.isArray(message) ? message[0] : message))
    })
    return Effect.map(
      Effect.provide(self, Logger.replace(Logger.defaultLogger, logger)),
      (value) => [value, lines] as const
    )
  })

/** Lets what can run do so. */
const settle = TestClock.adjust(0)

describe("a shared cache", () => {
  it.scoped("serves what another process has looked up, with its age", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one")
      const { cache: two } = yield* fleet.process("two")
      assert.strictEqual(yield* one.get("a"), 1)
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* two.serve("a"), { value: 1, state: "fresh", age: Duration.seconds(4) })
      yield* TestClock.adjust("5999 millis")
      assert.strictEqual(yield* two.get("a"), 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* two.get("a"), 2)
      assert.strictEqual(yield* one.get("a"), 2)
      assert.deepStrictEqual(fleet.by, ["one", "two"])
      assert.deepInclude(yield* two.snapshot, { misses: 2, hits: 1, lookups: 1, fromStore: 1, waiting: 0 })
    })
  )

  it.scoped("is looked up in one process at a time, while the others wait", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const processes = yield* Effect.forEach(["one", "two", "three"], (name) =>
        fleet.process(name, {}, after(3000))
      )
      const calls = yield* Effect.forEach(processes, ({ cache }) => Effect.fork(cache.get("a")))
      yield* TestClock.adjust("3 seconds")
      yield* TestClock.adjust("500 millis")
      for (const call of calls) assert.strictEqual(yield* call, 1)
      assert.strictEqual(fleet.by.length, 1)
    })
  )

  it.scoped("shares a running lookup even where values are not kept", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one", { timeToLive: 0 }, after(1000))
      const { cache: two } = yield* fleet.process("two", { timeToLive: 0 })
      const calls = [yield* Effect.fork(one.get("a")), yield* Effect.fork(two.get("a"))]
      yield* TestClock.adjust("2 seconds")
      for (const call of calls) assert.strictEqual(yield* call, 1)
      assert.deepStrictEqual(fleet.by, ["one"])
      assert.strictEqual(yield* two.get("a"), 2)
    })
  )

  it.scoped("serves a stale value of another process while one of them looks it up", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const options = { staleWhileRevalidate: "1 minute" } as const
      const { cache: one } = yield* fleet.process("one", options)
      const { cache: two } = yield* fleet.process("two", options, after(2000, 2))
      const { cache: three } = yield* fleet.process("three", options)
      yield* one.get("a")
      yield* TestClock.adjust("15 seconds")
      const stale = { value: 1, state: "revalidating", age: Duration.seconds(15) }
      assert.deepStrictEqual(yield* two.serve("a"), stale)
      assert.deepStrictEqual(yield* three.serve("a"), stale)
      assert.deepStrictEqual(yield* one.serve("a"), stale)
      yield* TestClock.adjust("3 seconds")
      for (const cache of [one, two, three]) assert.strictEqual(yield* cache.get("a"), 2)
      assert.deepStrictEqual(fleet.by, ["one", "two"])
      assert.deepInclude(yield* two.snapshot, { stale: 1, refreshes: 1, inFlight: 0, waiting: 0 })
    })
  )

  it.scoped("shows an observer how long a value of another process is fresh, also that of a stale one", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const options = { staleWhileRevalidate: "1 minute" } as const
      const { cache: one } = yield* fleet.process("one", options)
      const left: Array<number> = []
      const observer = Observer.make((event) => {
        const { _tag, timeToLive } = event as Cache.Stored<string>
        if (_tag === "Stored") left.push(Duration.toMillis(timeToLive))
      })
      const others = yield* Effect.forEach(["two", "three"], (name) => fleet.process(name, options)).pipe(
        Effect.provideService(Observer.Observer, observer)
      )
      yield* one.get("a")
      yield* TestClock.adjust("4 seconds")
      yield* others[0].cache.get("a")
      yield* TestClock.adjust("11 seconds")
      yield* others[1].cache.get("a")
      yield* settle
      assert.deepStrictEqual(left, [6000, 0, 10_000])
    })
  )

  it.scoped("serves a stale value of another process in place of a failure", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const options = { staleIfError: "1 minute" } as const
      const { cache: one } = yield* fleet.process("one", options)
      const { cache: two } = yield* fleet.process("two", options, down)
      yield* one.get("a")
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* two.serve("a"), {
        value: 1,
        state: "error-stale",
        age: Duration.seconds(15)
      })
      yield* TestClock.adjust("55 seconds")
      assert.strictEqual(yield* Effect.flip(two.get("a")), "down")
    })
  )

  it.scoped("serves a stale value of another process after the soft timeout", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const options = { staleIfError: "1 minute", softTimeout: "300 millis" } as const
      const { cache: one } = yield* fleet.process("one", options)
      const { cache: two } = yield* fleet.process("two", options, after(2000, 2))
      yield* one.get("a")
      yield* TestClock.adjust("15 seconds")
      const call = yield* Effect.fork(two.serve("a"))
      yield* TestClock.adjust("299 millis")
      assert.isNull(call.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* call, { value: 1, state: "revalidating" })
      yield* TestClock.adjust("1700 millis")
      assert.strictEqual(yield* two.get("a"), 2)
    })
  )

  it.scoped("serves a stale value at once when the store answers after the soft timeout", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const options = { staleIfError: "1 minute", softTimeout: "300 millis" } as const
      const { cache: one } = yield* fleet.process("one", options)
      const { cache: two, line } = yield* fleet.process("two", options, after(2000, 2))
      yield* one.get("a")
      yield* TestClock.adjust("15 seconds")
      line.millis = 400
      const call = yield* Effect.fork(two.serve("a"))
      yield* TestClock.adjust("400 millis")
      assert.deepInclude(yield* call, { value: 1, state: "revalidating" })
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* two.get("a"), 2)
    })
  )

  it.scoped("decides by its own rule how long a value of another process is fresh", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const timeToLive = (exit: Exit.Exit<number, "down">) =>
        Exit.isSuccess(exit) && exit.value === 1 ? "5 seconds" : "1 minute"
      const { cache: one } = yield* fleet.process("one", { timeToLive: "1 hour" })
      const { cache: two } = yield* fleet.process("two", { timeToLive })
      const { cache: three } = yield* fleet.process("three", { timeToLive })
      yield* one.get("a")
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(yield* two.get("a"), 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* two.get("a"), 2)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* three.get("a"), 2)
      assert.deepStrictEqual(fleet.by, ["one", "two"])
    })
  )

  it.scoped("refreshes early, though the store has the same value", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const options = { earlyRefresh: 1000 }
      const { cache: one } = yield* fleet.process(
        "one",
        options,
        after(
          1000,
          Effect.sync(() => fleet.by.length)
        )
      )
      const { cache: two } = yield* fleet.process("two", options, after(1000, 7))
      const first = yield* Effect.fork(one.get("a"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* first, 1)
      yield* TestClock.adjust("5 seconds")
      // The time that the lookup took is shared too.
      assert.strictEqual(yield* two.get("a"), 1)
      assert.deepStrictEqual(fleet.by, ["one"])
      // A draw near 1 refreshes as early as can be.
      const late: Random.Random = { ...Random.make(1), next: Effect.succeed(0.999) }
      assert.strictEqual(yield* Effect.withRandom(two.get("a"), late), 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* two.get("a"), 7)
      assert.deepStrictEqual(fleet.by, ["one", "two"])
    })
  )
})

describe("a failure in a shared cache", () => {
  it.scoped("is remembered in its process alone", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one", { negativeTimeToLive: "1 minute" }, down)
      const { cache: two } = yield* fleet.process("two", { negativeTimeToLive: "1 minute" })
      assert.strictEqual(yield* Effect.flip(one.get("a")), "down")
      assert.strictEqual(yield* two.get("a"), 2)
      assert.strictEqual(yield* Effect.flip(one.get("a")), "down")
      assert.deepStrictEqual(fleet.by, ["one", "two"])
    })
  )

  it.scoped("lets the next process try, one at a time, and no process waits for longer than two leases", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const share = Share.values({ value: Schema.Number, lease: "1 second" })
      const names = Array.from({ length: 7 }, (_, at) => String(at))
      const processes = yield* Effect.forEach(names, (name) =>
        fleet.process(name, { share }, after(450, down))
      )
      const calls = yield* Effect.forEach(processes, ({ cache }) => Effect.fork(Effect.flip(cache.get("a"))))
      for (let time = 0; time < 1900; time += 100) {
        yield* TestClock.adjust("100 millis")
        assert.isAtMost(fleet.running, 1)
      }
      yield* TestClock.adjust("1 second")
      for (const call of calls) assert.strictEqual(yield* call, "down")
      assert.isAbove(fleet.most, 1)
    })
  )
})

describe("a lease", () => {
  it.scoped("of a process that dies passes to one other when it is over", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one, line } = yield* fleet.process("one", {}, Effect.never)
      const others = yield* Effect.forEach(["two", "three", "four"], (name) =>
        fleet.process(name, {}, after(1000, 2))
      )
      const dying = yield* Effect.fork(one.get("a"))
      yield* settle
      line.cut()
      const death = yield* Effect.fork(Fiber.interrupt(dying))
      const calls = yield* Effect.forEach(others, ({ cache }) => Effect.fork(cache.get("a")))
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(fleet.by, ["one"])
      yield* TestClock.adjust("2 seconds")
      for (const call of calls) assert.strictEqual(yield* call, 2)
      assert.strictEqual(fleet.by.length, 2)
      yield* Fiber.join(death)
    })
  )

  it.scoped("that a lookup outlasts passes to another, and the first value there is serves all", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const share = Share.values({ value: Schema.Number, lease: "2 seconds" })
      const { cache: one } = yield* fleet.process("one", { share }, after(3000, 1))
      const { cache: two } = yield* fleet.process("two", { share }, after(5000, 2))
      const { cache: three } = yield* fleet.process("three", { share }, after(5000, 3))
      const first = yield* Effect.fork(one.get("a"))
      yield* settle
      const second = yield* Effect.fork(two.get("a"))
      yield* TestClock.adjust("2 seconds")
      const third = yield* Effect.fork(three.get("a"))
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* first, 1)
      assert.strictEqual(yield* third, 1)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* second, 2)
      assert.deepStrictEqual(fleet.by, ["one", "two"])
      // The later lookup counts.
      const { cache: four } = yield* fleet.process("four")
      assert.strictEqual(yield* four.get("a"), 2)
    })
  )

  it.scoped("does not let an older lookup replace the value of a later one, nor keep it", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const share = Share.values({ value: Schema.Number, lease: "2 seconds" })
      const { cache: one } = yield* fleet.process("one", { share }, after(4000, 1))
      const { cache: two } = yield* fleet.process("two", { share }, after(500, 2))
      const first = yield* Effect.fork(one.get("a"))
      yield* TestClock.adjust("2 seconds")
      const second = yield* Effect.fork(two.get("a"))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* first, 1)
      assert.strictEqual(yield* second, 2)
      assert.strictEqual(yield* one.get("a"), 2)
      assert.deepStrictEqual(fleet.by, ["one", "two"])
    })
  )

  it.scoped("whose end the store does not hear of is taken over by the next lookup of its process", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one, line } = yield* fleet.process("one")
      const { cache: two } = yield* fleet.process("two")
      yield* one.get("a")
      line.state = "down"
      yield* settle
      line.state = "up"
      yield* TestClock.adjust("2 seconds")
      const call = yield* Effect.fork(two.get("a"))
      yield* TestClock.adjust("1 second")
      assert.isNull(call.unsafePoll())
      assert.strictEqual(yield* one.refresh("a"), 2)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* call, 2)
    })
  )

  it.scoped("whose answer was lost is released when the lookup is over", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one, line } = yield* fleet.process("one", {}, after(5000, 1))
      const { cache: two } = yield* fleet.process("two")
      line.state = "answers lost"
      const first = yield* Effect.fork(one.get("a"))
      yield* TestClock.adjust("1 second")
      line.state = "up"
      const second = yield* Effect.fork(two.get("a"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* first, 1)
      assert.strictEqual(yield* second, 2)
    })
  )
})

describe("an interrupted caller of a shared cache", () => {
  it.scoped("that waits for another process leaves at once", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one", {}, after(1000))
      const { cache: two } = yield* fleet.process("two")
      const first = yield* Effect.fork(one.get("a"))
      yield* settle
      const second = yield* Effect.fork(two.get("a"))
      yield* TestClock.adjust("100 millis")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(second)))
      assert.deepInclude(yield* two.snapshot, { inFlight: 0, waiting: 0 })
      yield* TestClock.adjust("900 millis")
      assert.strictEqual(yield* first, 1)
      assert.strictEqual(yield* two.get("a"), 1)
    })
  )

  it.scoped("that looks up gives the lease to the next", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one", {}, Effect.never)
      const { cache: two } = yield* fleet.process("two")
      const first = yield* Effect.fork(one.get("a"))
      yield* settle
      const second = yield* Effect.fork(two.get("a"))
      yield* TestClock.adjust("100 millis")
      yield* Fiber.interrupt(first)
      assert.strictEqual(fleet.running, 0)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* second, 2)
    })
  )

  it.scoped("that asks the store gives back the lease that it is given", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one, line } = yield* fleet.process("one")
      const { cache: two } = yield* fleet.process("two")
      line.millis = 100
      const first = yield* Effect.fork(one.get("a"))
      yield* TestClock.adjust("50 millis")
      const interruption = yield* Effect.fork(Fiber.interrupt(first))
      yield* TestClock.adjust("50 millis")
      yield* TestClock.adjust("100 millis")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interruption)))
      assert.deepStrictEqual(fleet.by, [])
      assert.strictEqual(yield* two.get("a"), 1)
    })
  )

  it.scoped("leaves a lookup to the others of its process", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache } = yield* fleet.process("one", {}, after(1000))
      const first = yield* Effect.fork(cache.get("a"))
      const second = yield* Effect.fork(cache.get("a"))
      yield* settle
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* second, 1)
      assert.deepStrictEqual(fleet.by, ["one"])
    })
  )
})

describe("a shared cache that closes", () => {
  it.effect("gives its leases to the next", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const second = yield* Effect.scoped(
        Effect.gen(function* () {
          const { cache: two } = yield* fleet.process("two")
          const first = yield* Effect.scoped(
            Effect.gen(function* () {
              const { cache: one } = yield* fleet.process("one", {}, Effect.never)
              const call = yield* Effect.forkDaemon(one.get("a"))
              yield* settle
              return call
            })
          )
          const closed = yield* Effect.flip(Effect.sandbox(Fiber.join(first)))
          assert.instanceOf(Cause.squash(closed), Cache.CacheClosed)
          return yield* two.get("a")
        })
      )
      assert.strictEqual(second, 2)
    })
  )
})

describe("a shared cache whose store does not answer", () => {
  it.scoped("waits for one deadline once, and then looks up by itself at once", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache, line } = yield* fleet.process("one")
      line.state = "frozen"
      const calls = [yield* Effect.fork(cache.get("a")), yield* Effect.fork(cache.get("b"))]
      yield* TestClock.adjust("499 millis")
      for (const call of calls) assert.isNull(call.unsafePoll())
      yield* TestClock.adjust("1 millis")
      for (const call of calls) assert.isTrue(Exit.isSuccess(yield* Fiber.await(call)))
      assert.strictEqual(yield* cache.get("c"), 3)
      yield* cache.get("a")
      assert.strictEqual(fleet.by.length, 3)
    })
  )

  it.scoped("fails as the lookup fails", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache, line } = yield* fleet.process("one", {}, down)
      line.state = "down"
      assert.strictEqual(yield* Effect.flip(cache.get("a")), "down")
    })
  )

  it.scoped("stops waiting for another process", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one", {}, Effect.never)
      const { cache: two, line } = yield* fleet.process("two")
      yield* Effect.fork(one.get("a"))
      yield* settle
      const call = yield* Effect.fork(two.get("a"))
      yield* TestClock.adjust("1 second")
      assert.isNull(call.unsafePoll())
      line.state = "down"
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* call, 2)
    })
  )

  it.scoped("keeps what was looked up, and shares again when the store is back", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one, line } = yield* fleet.process("one", { staleIfError: "1 hour" })
      const { cache: two } = yield* fleet.process("two")
      line.state = "down"
      assert.strictEqual(yield* one.get("a"), 1)
      line.state = "up"
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* one.get("a"), 2)
      assert.strictEqual(yield* two.get("a"), 2)
    })
  )

  it.scoped("serves its caller before the value is written, and closes within the deadline", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const closing = yield* Effect.scoped(
        Effect.gen(function* () {
          const { cache, line } = yield* fleet.process("one", {}, after(1000))
          const call = yield* Effect.fork(cache.get("a"))
          yield* TestClock.adjust("500 millis")
          line.state = "frozen"
          yield* TestClock.adjust("500 millis")
          assert.strictEqual(yield* call, 1)
          assert.include(line.asked, "write")
        })
      ).pipe(Effect.fork)
      yield* TestClock.adjust("1 second")
      assert.isNull(closing.unsafePoll())
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(closing)
    })
  )
})

describe("what is done by hand", () => {
  it.scoped("set is what all processes get", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one")
      const { cache: two } = yield* fleet.process("two")
      yield* one.get("a")
      yield* one.set("a", 42)
      assert.strictEqual(yield* two.get("a"), 42)
      assert.deepStrictEqual(fleet.by, ["one"])
    })
  )

  it.scoped("set is not replaced by a lookup that another process has begun before", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one", {}, after(1000, 1))
      const { cache: two } = yield* fleet.process("two")
      const call = yield* Effect.fork(one.get("a"))
      yield* settle
      yield* two.set("a", 42)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* call, 1)
      assert.strictEqual(yield* one.get("a"), 42)
    })
  )

  it.scoped("set is what calls get that wait for a lookup of another process", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one", {}, Effect.never)
      const { cache: two } = yield* fleet.process("two")
      const { cache: three } = yield* fleet.process("three")
      yield* Effect.fork(one.get("a"))
      yield* settle
      const call = yield* Effect.fork(two.get("a"))
      yield* settle
      yield* three.set("a", 42)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* call, 42)
    })
  )

  it.scoped("invalidate reaches the store, and the first level of its own process alone", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one")
      const { cache: two } = yield* fleet.process("two")
      const { cache: three } = yield* fleet.process("three")
      yield* one.get("a")
      yield* two.get("a")
      yield* one.invalidate("a")
      assert.strictEqual(yield* three.get("a"), 2)
      assert.strictEqual(yield* one.get("a"), 2)
      assert.strictEqual(yield* two.get("a"), 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* two.get("a"), 3)
    })
  )

  it.scoped("invalidate keeps a lookup of another process, begun before, from being stored", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process(
        "one",
        {},
        after(
          1000,
          Effect.sync(() => fleet.by.length)
        )
      )
      const { cache: two } = yield* fleet.process("two")
      const call = yield* Effect.fork(one.get("a"))
      yield* settle
      yield* two.invalidate("a")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* call, 1)
      assert.strictEqual(yield* two.get("a"), 2)
      assert.strictEqual(yield* one.get("a"), 2)
    })
  )

  it.scoped("invalidateAll makes its process look up again what the store has, once for all", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const options = { staleWhileRevalidate: "1 hour" } as const
      const { cache: one } = yield* fleet.process("one", options)
      const { cache: two } = yield* fleet.process("two", options)
      yield* one.get("a")
      yield* TestClock.adjust("20 seconds")
      yield* two.invalidateAll
      assert.deepInclude(yield* two.serve("a"), { value: 2, state: "fresh" })
      const { cache: three } = yield* fleet.process("three", options)
      assert.strictEqual(yield* three.get("a"), 2)
    })
  )

  it.scoped("a change that the store does not hear of keeps its process from what the store has", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one, line } = yield* fleet.process("one")
      yield* one.get("a")
      yield* settle
      line.state = "down"
      yield* one.invalidate("a")
      line.state = "up"
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* one.get("a"), 2)
      assert.deepInclude(yield* one.snapshot, { fromStore: 0 })
    })
  )

  it.scoped("refresh looks up what the store has, for all", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one")
      const { cache: two } = yield* fleet.process("two")
      const { cache: three } = yield* fleet.process("three")
      yield* one.get("a")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* two.refresh("a"), 2)
      assert.strictEqual(yield* three.get("a"), 2)
      assert.strictEqual(yield* one.refresh("a"), 3)
    })
  )

  it.scoped("refresh joins the lookup of another process", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one", {}, after(1000, 1))
      const { cache: two } = yield* fleet.process("two")
      const first = yield* Effect.fork(one.get("a"))
      yield* settle
      const second = yield* Effect.fork(two.refresh("a"))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* first, 1)
      assert.strictEqual(yield* second, 1)
      assert.deepStrictEqual(fleet.by, ["one"])
    })
  )

  it.scoped("refresh is not content with a value that a call of its process finds in the store", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: one } = yield* fleet.process("one")
      const { cache: two, line } = yield* fleet.process("two")
      yield* one.get("a")
      yield* TestClock.adjust("1 second")
      line.millis = 100
      const get = yield* Effect.fork(two.get("a"))
      const refresh = yield* Effect.fork(two.refresh("a"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* get, 1)
      assert.strictEqual(yield* refresh, 2)
    })
  )

  it.scoped("refresh waits for the lookup where others are served the stale value", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const options = { staleWhileRevalidate: "1 hour" } as const
      const { cache: one } = yield* fleet.process("one", options)
      const { cache: two, line } = yield* fleet.process("two", options, after(1000, 2))
      yield* one.get("a")
      yield* TestClock.adjust("20 seconds")
      line.millis = 100
      const get = yield* Effect.fork(two.serve("a"))
      const refresh = yield* Effect.fork(two.refresh("a"))
      yield* TestClock.adjust("100 millis")
      assert.deepInclude(yield* get, { value: 1, state: "revalidating" })
      assert.isNull(refresh.unsafePoll())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* refresh, 2)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* two.snapshot, { waiting: 0, inFlight: 0 })
    })
  )
})

describe("an encoding", () => {
  it.scoped("that cannot be decoded counts as missing, is replaced and is reported once", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache: newer } = yield* fleet.process("newer", {
        share: Share.values({
          value: Schema.transform(Schema.String, Schema.Number, { decode: Number, encode: String })
        })
      })
      const { cache: older } = yield* fleet.process("older")
      const { cache: another } = yield* fleet.process("another")
      yield* newer.get("a")
      yield* newer.get("b")
      yield* TestClock.adjust("1 second")
      const [values, lines] = yield* warnings(Effect.all([older.get("a"), older.get("b")]))
      assert.deepStrictEqual(values, [3, 4])
      assert.deepStrictEqual(lines, [
        'a shared value of "offers" cannot be decoded, so it is looked up again; is it of another release?'
      ])
      assert.strictEqual(yield* another.get("a"), 3)
    })
  )

  it.scoped("that cannot be decoded is not served in place of a failure", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const options = { staleIfError: "1 hour", share: Share.values({ value: Schema.Literal(1) }) } as const
      const { cache: one } = yield* fleet.process(
        "one",
        { ...options, share: Share.values({ value: Schema.Number }) },
        after(0, 5)
      )
      const { cache: two } = yield* fleet.process("two", options as never, down)
      const first = yield* Effect.fork(one.get("a"))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* first, 5)
      assert.strictEqual(yield* Effect.flip(two.get("a")), "down")
    })
  )

  it.scoped("of a text that is no JSON counts as missing", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const { cache } = yield* fleet.process("one")
      const key = JSON.stringify(["offers", "a"])
      for (const value of [
        "",
        "{",
        "null",
        "5",
        '{"took":"x"}',
        '{"value":"x"}',
        '{"took":-1,"value":true}'
      ]) {
        yield* fleet.memory.adapter.write({ key, lease: undefined, value, timeToLive: 1000 })
        yield* cache.invalidateAll
        yield* TestClock.adjust("1 millis")
        const before = fleet.by.length
        yield* fleet.memory.adapter.write({ key, lease: undefined, value, timeToLive: 1000 })
        assert.strictEqual(yield* cache.get("a"), before + 1)
      }
    })
  )

  it.scoped("that fails leaves the value in its process, and is reported once", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const share = Share.values({ value: Schema.Number.pipe(Schema.filter((value) => value > 100)) })
      const { cache: one } = yield* fleet.process("one", { share })
      const { cache: two } = yield* fleet.process("two", { share })
      const [values, lines] = yield* warnings(
        Effect.all([one.get("a"), one.get("a"), one.get("b"), Effect.zipLeft(one.get("a"), one.set("a", 7))])
      )
      assert.deepStrictEqual(values, [1, 1, 2, 1])
      assert.deepStrictEqual(lines, ['a value of "offers" cannot be encoded, so it is not shared'])
      assert.strictEqual(yield* one.get("a"), 7)
      assert.strictEqual(yield* two.get("a"), 3)
    })
  )

  it.scoped("set by hand that fails removes what the store has", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const share = Share.values({ value: Schema.Number.pipe(Schema.filter((value) => value < 100)) })
      const { cache: one } = yield* fleet.process("one", { share })
      const { cache: two } = yield* fleet.process("two", { share })
      yield* one.get("a")
      yield* one.set("a", 1000)
      assert.strictEqual(yield* one.get("a"), 1000)
      assert.strictEqual(yield* two.get("a"), 2)
    })
  )

  it.scoped("that never ends keeps no caller waiting, and ends with the cache", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const encode = () => Effect.never
      const never = Schema.transformOrFail(Schema.Number, Schema.Number, {
        strict: true,
        decode: encode,
        encode
      })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { cache } = yield* fleet.process("one", { share: Share.values({ value: never }) })
          assert.strictEqual(yield* cache.get("a"), 1)
        })
      )
      const { cache: two } = yield* fleet.process("two")
      assert.strictEqual(yield* two.get("a"), 2)
    })
  )
})

describe("the keys of a shared cache", () => {
  const parts = { from: Schema.String, to: Schema.String }
  const Key = Schema.Struct(parts)
  type Route = typeof Key.Type
  class Leg extends Schema.Class<Leg>("Leg")(parts) {}

  const two = <K>(
    share: NonNullable<Cache.Options<K, number, never>["share"]>,
    lookup: (key: K) => Effect.Effect<number>
  ) => {
    const memory = new SharedStore.Memory()
    const make = Cache.make({ name: "fares", lookup, timeToLive: "1 minute", share }) as Effect.Effect<
      Cache.Cache<K, number>,
      never,
      Scope.Scope | SharedStore.SharedStore
    >
    return Effect.replicateEffect(
      Effect.flatMap(SharedStore.make(memory.adapter), (store) =>
        Effect.provideService(make, SharedStore.SharedStore, store)
      ),
      2
    )
  }

  it.scoped("are texts by a function or by a schema", () =>
    Effect.gen(function* () {
      const ways = [
        Share.values({ value: Schema.Number, key: ({ from, to }: Route) => `${from}-${to}` }),
        Share.values({ value: Schema.Number, key: Key }),
        Share.values({ value: Schema.Number, key: Leg })
      ]
      for (const way of ways) {
        let lookups = 0
        const [one, other] = yield* two<Leg>(way, () => Effect.sync(() => ++lookups))
        assert.strictEqual(yield* one.get(new Leg({ from: "HAM", to: "MUC" })), 1)
        assert.strictEqual(yield* other.get(new Leg({ from: "HAM", to: "MUC" })), 1)
        assert.strictEqual(yield* other.get(new Leg({ from: "MUC", to: "HAM" })), 2)
      }
    })
  )

  it.scoped("that have no text are not shared, and that is reported once", () =>
    Effect.gen(function* () {
      let lookups = 0
      const key = (key: string) => {
        if (key === "no text") return undefined as unknown as string
        throw new Error("no key")
      }
      const share = Share.values({ value: Schema.Number, key })
      const [one, other] = yield* two<string>(share, () => Effect.sync(() => ++lookups))
      const [values, lines] = yield* warnings(
        Effect.all([one.get("no text"), one.get("a"), other.get("a"), one.set("a", 7), one.invalidate("a")])
      )
      assert.deepStrictEqual(values.slice(0, 3), [1, 2, 3])
      assert.deepStrictEqual(lines, [
        'a key of "fares" cannot be encoded, so it is not shared',
        'a key of "fares" cannot be encoded, so it is not shared'
      ])
    })
  )

  it.scoped("of caches with different names do not meet, whatever the names are", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const keys = ['b","c', "", "\n", "\u{1F600}".repeat(3), "x".repeat(10_000), "{tag}"]
      const { cache: one } = yield* fleet.process("one", { name: "a" })
      const { cache: two } = yield* fleet.process("two", { name: 'a","b' })
      for (const [at, key] of keys.entries()) assert.strictEqual(yield* one.get(key), at + 1)
      assert.strictEqual(yield* two.get("c"), keys.length + 1)
      const { cache: again } = yield* fleet.process("again", { name: "a" })
      for (const [at, key] of keys.entries()) assert.strictEqual(yield* again.get(key), at + 1)
    })
  )
})

describe("how long the store keeps a value", () => {
  /** The times to live that a process asks for. */
  const kept = (options: Parameters<Fleet["process"]>[1]) =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const asked: Array<number> = []
      const { adapter } = fleet.memory
      Object.assign(fleet.memory, {
        adapter: {
          ...adapter,
          write: (request: SharedStore.Write) => {
            asked.push(request.timeToLive)
            return adapter.write(request)
          }
        }
      })
      const { cache } = yield* fleet.process("one", options)
      yield* cache.get("a")
      yield* TestClock.adjust(0)
      yield* cache.set("b", 2)
      return asked
    })

  it.scoped("is as long as it is of use, within the maximum", () =>
    Effect.gen(function* () {
      const share = Share.values({ value: Schema.Number, maxTimeToLive: "1 minute" })
      assert.deepStrictEqual(yield* kept({}), [10_000, 10_000])
      assert.deepStrictEqual(yield* kept({ staleWhileRevalidate: "20 seconds" }), [30_000, 30_000])
      assert.deepStrictEqual(yield* kept({ staleIfError: "1 hour", maxAge: "15 seconds" }), [15_000, 15_000])
      assert.deepStrictEqual(yield* kept({ timeToLive: Infinity }), [86_400_000, 86_400_000])
      assert.deepStrictEqual(yield* kept({ timeToLive: Infinity, share }), [60_000, 60_000])
    })
  )

  it.scoped("is at least as long as others may need to see it, unless it was set by hand", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* kept({ timeToLive: 0 }), [1000, 0])
      assert.deepStrictEqual(yield* kept({ timeToLive: "20 millis" }), [1000, 20])
    })
  )
})

describe("the options of a shared cache", () => {
  const lookup = (_: string) => Effect.succeed(1)
  const value = Schema.Number

  it.effect("need a name", () =>
    Effect.gen(function* () {
      const made = Cache.make({ lookup, timeToLive: 1, share: Share.values({ value }) })
      const died = yield* Effect.scoped(Effect.provide(made, SharedStore.memory)).pipe(
        Effect.sandbox,
        Effect.flip
      )
      assert.include(String(Cause.squash(died)), 'option "name" must be given, for the caches of a fleet')
    })
  )

  it("are checked where they are given", () => {
    const bad = (options: object): string => {
      try {
        Share.values({ value, ...options } as never)
        return "accepted"
      } catch (error) {
        return String(error)
      }
    }
    const prefix = "InvalidOption: Share.values: option"
    assert.strictEqual(bad({ value: 5 }), `${prefix} "value" must be a Schema, got 5`)
    assert.strictEqual(bad({ value: undefined }), `${prefix} "value" must be a Schema, got undefined`)
    assert.strictEqual(
      bad({ key: "a" }),
      `${prefix} "key" must be a Schema or a function to a string, got "a"`
    )
    assert.strictEqual(
      bad({ lease: 0 }),
      `${prefix} "lease" must be a finite duration greater than zero, got 0`
    )
    assert.include(bad({ maxTimeToLive: Infinity }), `${prefix} "maxTimeToLive" must be a finite duration`)
    assert.include(bad({ leese: 1 }), 'did you mean "lease"?')
  })

  it.scoped("are shown among the settings", () =>
    Effect.gen(function* () {
      const { cache } = yield* new Fleet().process("one")
      assert.deepStrictEqual(cache.settings.share, {
        lease: Duration.seconds(10),
        maxTimeToLive: Duration.days(1)
      })
    })
  )

  it.effect(
    "go to a tag, to a store without a lookup, and together with settings from the configuration",
    () =>
      Effect.gen(function* () {
        class Offers extends Cache.Tag("Offers")<Offers, string, number>() {}
        class Rates extends Cache.StoreTag("Rates")<Rates, string, number>() {}
        const share = Share.values({ value })
        const settings = { timeToLive: Config.duration("TTL") }
        const layers = Layer.mergeAll(
          Offers.layerConfig(settings, { lookup, share }),
          Rates.layer({ timeToLive: "1 minute", share })
        )
        const uses = Effect.gen(function* () {
          const rate = yield* Effect.succeed(2).pipe(Rates.cached("EUR"))
          return [
            yield* Offers.get("a"),
            rate,
            (yield* Offers.snapshot).fromStore,
            (yield* Rates.snapshot).fromStore
          ]
        })
        const [first, second] = yield* Effect.all([
          Effect.provide(uses, Layer.fresh(layers)),
          Effect.provide(uses, Layer.fresh(layers))
        ]).pipe(
          Effect.provide(SharedStore.memory),
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["TTL", "1 minute"]])))
        )
        assert.deepStrictEqual(first, [1, 2, 0, 0])
        assert.deepStrictEqual(second, [1, 2, 1, 1])
      })
  )
})
