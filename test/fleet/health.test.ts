import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Logger, Stream, TestClock } from "effect"
import { SharedStore } from "effect-resilience/fleet"
import { through } from "../support/fleet.js"

/** A store in memory that can be switched off, and what it tells. */
const switchable = (options?: SharedStore.Options) =>
  Effect.gen(function* () {
    const memory = new SharedStore.Memory().adapter
    let outage: Effect.Effect<never, unknown> | undefined
    let exchanges = 0
    let again = () => {}
    const adapter: SharedStore.Adapter = {
      ...through(
        () => memory,
        (operation, self) =>
          Effect.suspend(() => {
            if (outage !== undefined) return outage
            if (operation === "exchange") exchanges += 1
            return self
          })
      ),
      follow: (_, retry) => {
        again = retry
        return Effect.void
      }
    }
    const lines: Array<string> = []
    const logger = Logger.make(
      ({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`)
    )
    const store = yield* Effect.provide(
      SharedStore.make(adapter, options),
      Logger.replace(Logger.defaultLogger, logger)
    )
    const events: Array<SharedStore.Event> = []
    yield* Effect.forkScoped(
      Stream.runForEach(store.changes, (event) => Effect.sync(() => void events.push(event)))
    )
    yield* TestClock.adjust(0)
    return {
      store,
      events,
      lines,
      again: () => again(),
      exchanges: () => exchanges,
      end: (with_: Effect.Effect<never, unknown>) => void (outage = with_),
      restore: () => void (outage = undefined)
    }
  })

const refuses = Effect.fail("OOM")

const take = (store: SharedStore.Service) =>
  store.take({ id: "rate", limit: 1, per: 1000, burst: 5, permits: 1, atLeast: 1, spent: 0 })

describe("the health of a store", () => {
  it.scoped("is told once when the store fails and once when it recovers, however often it is asked", () =>
    Effect.gen(function* () {
      const { end, events, lines, restore, store } = yield* switchable()
      assert.strictEqual((yield* store.health)._tag, "Connected")
      end(refuses)
      yield* TestClock.adjust("10 seconds")
      for (let call = 0; call < 5; call++) yield* Effect.flip(take(store))
      assert.include(yield* store.health, { _tag: "Degraded", reason: "OOM" })
      end(Effect.fail("WRONGPASS"))
      yield* TestClock.adjust("10 seconds")
      assert.include(yield* store.health, { _tag: "Degraded", reason: "WRONGPASS" })
      restore()
      yield* TestClock.adjust("10 seconds")
      yield* take(store)
      const [degraded, recovered, ...more] = events
      assert.include(degraded, { _tag: "Degraded", reason: "OOM" })
      assert.strictEqual(recovered._tag, "Recovered")
      const lasted = recovered._tag === "Recovered" ? Duration.toMillis(recovered.degradedFor) : NaN
      assert.closeTo(lasted, recovered.at - degraded.at, 0.001)
      assert.deepStrictEqual(more, [])
      assert.deepStrictEqual(
        lines.map((line) => line.split(" ")[0]),
        ["WARN", "INFO"]
      )
      assert.include(lines[0], "OOM")
    })
  )

  it.scoped("is told again at the next outage", () =>
    Effect.gen(function* () {
      const { end, events, restore } = yield* switchable()
      for (let outage = 0; outage < 3; outage++) {
        end(refuses)
        yield* TestClock.adjust("10 seconds")
        restore()
        yield* TestClock.adjust("10 seconds")
      }
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        Array.from({ length: 6 }, (_, at) => (at % 2 === 0 ? "Degraded" : "Recovered"))
      )
    })
  )

  it.scoped("is degraded by a defect of the adapter too", () =>
    Effect.gen(function* () {
      const { end, store } = yield* switchable()
      end(Effect.die(new TypeError("a bug")))
      assert.include(yield* Effect.flip(take(store)), { _tag: "StoreUnavailable", reason: "a bug" })
      assert.include(yield* store.health, { _tag: "Degraded", reason: "a bug" })
    })
  )

  it.scoped("is not touched by a caller that gives up", () =>
    Effect.gen(function* () {
      const { end, events, store } = yield* switchable({ interval: "1 day" })
      end(Effect.never)
      const call = yield* Effect.fork(take(store))
      yield* TestClock.adjust("499 millis")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(call)))
      assert.deepStrictEqual([(yield* store.health)._tag, events.length], ["Connected", 0])
    })
  )
})

describe("a store that is away", () => {
  it.scoped("fails every operation at its deadline, and the next ones at once", () =>
    Effect.gen(function* () {
      const { end, store } = yield* switchable({ deadline: "200 millis" })
      end(Effect.never)
      const call = yield* Effect.fork(Effect.flip(take(store)))
      yield* TestClock.adjust("199 millis")
      assert.isNull(call.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(call)).reason, "no answer within 200 ms")
      const key = { key: "key", holder: "holder" }
      const operations: ReadonlyArray<Effect.Effect<unknown, SharedStore.StoreUnavailable>> = [
        take(store),
        store.read({ ...key, staleAfter: 1, timeToLive: 1 }),
        store.write({ key: "key", lease: undefined, value: "value", timeToLive: 1 }),
        store.release(key.key, key.holder)
      ]
      for (const operation of operations) {
        assert.strictEqual((yield* Effect.flip(operation))._tag, "StoreUnavailable")
      }
    })
  )

  it.scoped("is asked by exchanges at pauses that grow to eight intervals", () =>
    Effect.gen(function* () {
      const { end, exchanges, restore } = yield* switchable({ interval: "1 second" })
      let failed = 0
      end(Effect.suspend(() => Effect.fail(++failed)))
      yield* TestClock.adjust("2 minutes")
      assert.isAtLeast(failed, 120 / 8.8)
      assert.isAtMost(failed, 120 / 7.2 + 4)
      restore()
      const before = exchanges()
      yield* TestClock.adjust("9 seconds")
      assert.isAbove(exchanges(), before)
    })
  )

  it.scoped("is asked at once when its adapter says that it may answer again", () =>
    Effect.gen(function* () {
      const { again, end, restore, store } = yield* switchable({ interval: "1 second" })
      end(refuses)
      yield* TestClock.adjust("2 minutes")
      again()
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* store.health)._tag, "Degraded")
      restore()
      again()
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* store.health)._tag, "Connected")
    })
  )

  it.scoped("is not asked out of turn while it answers", () =>
    Effect.gen(function* () {
      const { again, exchanges } = yield* switchable({ interval: "1 day" })
      const before = exchanges()
      again()
      yield* TestClock.adjust(0)
      assert.strictEqual(exchanges(), before)
    })
  )
})

it.scoped("a store whose announcements cannot be heard says so once, and goes on trying", () =>
  Effect.gen(function* () {
    let tries = 0
    const lines: Array<string> = []
    const adapter: SharedStore.Adapter = {
      ...new SharedStore.Memory().adapter,
      follow: () =>
        Effect.suspend(() => {
          tries += 1
          return Effect.fail("NOPERM")
        })
    }
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    const store = yield* Effect.provide(
      SharedStore.make(adapter),
      Logger.replace(Logger.defaultLogger, logger)
    )
    yield* TestClock.adjust("10 seconds")
    assert.isAbove(tries, 5)
    assert.strictEqual(lines.length, 1)
    assert.include(lines[0], "NOPERM")
    assert.strictEqual((yield* store.health)._tag, "Connected")
  })
)
