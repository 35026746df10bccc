import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, TestClock } from "effect"
import { Bulkhead, Cache, CircuitBreaker, Fallback, Hedge, Retry, Timeout, Trip } from "effect-resilience"
import { Observability, Registry } from "effect-resilience/observability"
import type { State, View } from "../../../src/http/dashboard/protocol.js"
import { Views } from "../../../src/http/dashboard/views.js"
import { down, forked, up } from "../../support/calls.js"

const observed = Effect.provide(Observability.layer())

/** Reads again and again, as the sampler does. */
const readingOf = (maxPolicies: number) =>
  Effect.map(Registry.Registry, (registry) => {
    const views = new Views({ registry, hash: undefined, store: Option.none(), maxPolicies })
    let state: State | undefined
    return Effect.gen(function* () {
      const clock = yield* Effect.clock
      state = yield* views.read(state, clock.unsafeCurrentTimeMillis())
      return state
    })
  })

const viewsOf = ({ views }: State): ReadonlyArray<View> => [...views.values()]

const reading = Effect.map(readingOf(1000), Effect.map(viewsOf))

const namesOf = (state: State) => viewsOf(state).map(({ name }) => name)

const partner = CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(1), openFor: "1 hour" })

const texts = ([{ recent }]: ReadonlyArray<View>) => recent.map(({ count, text }) => `${count} ${text}`)

describe("the view of a policy", () => {
  it.effect("has events of the same words as one, and the last change however long ago it was", () =>
    Effect.gen(function* () {
      const breaker = yield* partner
      const read = yield* reading
      yield* Effect.ignore(breaker.protect(down))
      for (let second = 0; second < 25; second++) {
        yield* Effect.repeatN(Effect.ignore(breaker.protect(up)), 2)
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(texts(yield* read), [
        "1 closed → open: 1 failure in a row, 1 opens it",
        "60 rejected: the circuit is open"
      ])
    }).pipe(observed)
  )

  it.effect("has the same id and, where nothing has changed, the same events at each reading", () =>
    Effect.gen(function* () {
      const [one, other] = yield* Effect.all([partner, partner])
      const read = yield* reading
      yield* one.isolate
      const before = yield* read
      yield* TestClock.adjust("1 second")
      const after = yield* read
      assert.strictEqual(new Set(before.map(({ id }) => id)).size, 2)
      assert.deepStrictEqual(
        after.map(({ id }) => id),
        before.map(({ id }) => id)
      )
      after.forEach((view, index) => assert.strictEqual(view.recent, before[index].recent))
      assert.strictEqual(yield* other.state, "closed")
    }).pipe(observed)
  )

  it.effect("has the begin of its state, and when an open circuit lets probes through", () =>
    Effect.gen(function* () {
      const breaker = yield* partner
      const read = yield* reading
      yield* TestClock.setTime(1_000_000)
      yield* Effect.ignore(breaker.protect(down))
      yield* TestClock.adjust("10 minutes")
      const [open] = yield* read
      assert.deepInclude(open, { state: "open", since: 1_000_000, until: 1_000_000 + 3_600_000 })
      yield* breaker.isolate
      const [isolated] = yield* read
      assert.deepInclude(isolated, { state: "isolated", since: 1_600_000, until: null })
      assert.include(isolated.why, "by hand")
    }).pipe(observed)
  )

  it.effect("counts the calls of a key over all its states", () =>
    Effect.gen(function* () {
      const keyed = yield* CircuitBreaker.keyed({
        options: { name: "partner", trip: Trip.consecutive(2), openFor: "1 minute" }
      })
      const read = yield* reading
      const call = keyed.protect("a")
      yield* call(up)
      yield* read
      yield* Effect.repeatN(Effect.ignore(call(down)), 1)
      yield* Effect.ignore(call(up))
      assert.deepStrictEqual((yield* read)[0].totals, { success: 1, failure: 2, rejected: 1 })
      yield* TestClock.adjust("1 minute")
      yield* read
      yield* call(up)
      assert.deepStrictEqual((yield* read)[0].totals, { success: 2, failure: 2, rejected: 1 })
    }).pipe(observed)
  )

  it.effect("does not say that a fallback has answered which has failed", () =>
    Effect.gen(function* () {
      const read = yield* reading
      yield* Effect.exit(Fallback.orElse(down, () => Effect.fail("down too"), { name: "cold" }))
      const views = yield* read
      assert.deepStrictEqual(texts(views), ["1 the fallback is used"])
      assert.strictEqual(views[0].why, "0 calls answered by the fallback, which failed for 1 call")
    }).pipe(observed)
  )
})

describe("the view of a policy now", () => {
  it.effect("has the calls of a breaker that run, of each key by itself", () =>
    Effect.gen(function* () {
      const keyed = yield* CircuitBreaker.keyed({ options: { name: "partner" } })
      const read = yield* reading
      const inFlight = Effect.map(read, (views) => views.map(({ gauges }) => gauges["inFlight"]))
      yield* keyed.protect("a")(up)
      const calls = yield* Effect.forEach(["a", "a", "b"], (key) => forked(keyed.protect(key)(Effect.never)))
      assert.deepStrictEqual(yield* inFlight, [2, 1])
      yield* Effect.forEach(calls, Fiber.interrupt)
      yield* Effect.ignore(keyed.protect("a")(down))
      assert.deepStrictEqual(yield* inFlight, [0, 0])
    }).pipe(observed)
  )

  it.effect("says of a policy without a state whether it was in trouble in the last ten seconds", () =>
    Effect.gen(function* () {
      const read = yield* reading
      const states = Effect.map(read, (views) =>
        Object.fromEntries(views.map(({ kind, state }) => [kind, state]))
      )
      yield* Effect.ignore(down.pipe(Retry.retry({ times: 0 })))
      yield* Effect.ignore(Effect.sleep("1 second").pipe(Timeout.timeout(0)))
      yield* down.pipe(Fallback.succeed("cold"))
      yield* up.pipe(Hedge.hedge({ delay: "1 second" }))
      const trouble = { retry: "giving up", timeout: "timing out", fallback: "in use", hedge: "" }
      assert.deepStrictEqual(yield* states, trouble)
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(yield* states, trouble)
      yield* TestClock.adjust("1 millis")
      const since = yield* Effect.clock
      const views = yield* read
      assert.deepStrictEqual(
        views.map(({ state }) => state),
        ["ok", "ok", "ok", ""]
      )
      assert.strictEqual(views[0].since, since.unsafeCurrentTimeMillis())
    }).pipe(observed)
  )

  it.effect("of a hedge says how many answers were not used, and of a cache which lookups failed", () =>
    Effect.gen(function* () {
      const read = yield* reading
      const cache = yield* Cache.make({ lookup: () => down, timeToLive: "1 minute", capacity: 20 })
      yield* Effect.ignore(cache.get("a"))
      yield* Effect.never.pipe(Effect.race(up), Hedge.hedge({ name: "search", delay: 0 }))
      const [{ gauges, totals }, hedge] = yield* read
      assert.deepInclude(totals, { miss: 1, failed: 1 })
      assert.deepInclude(gauges, { size: 0, capacity: 20, waiting: 0 })
      assert.match(hedge.why, /^\d hedges? for 1 call; the answers of \d attempts? were not used$/)
    }).pipe(Effect.scoped, observed)
  )
})

describe("the explanation of each of many policies", () => {
  it.effect("is at most a second old, also where the clock is set back", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(3_600_000)
      const breakers = yield* Effect.forEach(Array.from({ length: 60 }), () =>
        CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(9) })
      )
      const read = Effect.map(yield* reading, ([{ why }]) => why)
      assert.include(yield* read, "0 failures in a row")
      yield* Effect.ignore(breakers[0].protect(down))
      yield* TestClock.adjust("900 millis")
      assert.include(yield* read, "0 failures in a row")
      yield* TestClock.setTime(0)
      assert.include(yield* read, "1 failure in a row")
    }).pipe(observed)
  )
})

describe("the views of more policies than are shown", () => {
  const many = (count: number) =>
    Effect.forEach(
      Array.from({ length: count }, (_, index) => `partner ${index}`),
      (name) => CircuitBreaker.make({ name, trip: Trip.consecutive(1), openFor: "1 minute" })
    )

  it.effect("have those in trouble at the first reading, and say in which states the others are", () =>
    Effect.gen(function* () {
      const breakers = yield* many(20)
      const places = yield* Bulkhead.make({ name: "places", permits: 1 })
      yield* breakers[17].isolate
      yield* Effect.ignore(breakers[12].protect(down))
      yield* forked(places.protect(Effect.never))
      const read = yield* readingOf(2)
      const state = yield* read
      assert.deepStrictEqual(namesOf(state), ["partner 12", "partner 17"])
      assert.deepStrictEqual(state.hidden, { full: 1, closed: 18 })
    }).pipe(observed)
  )

  it.effect(
    "have one that gets into trouble at the next reading, and keep it a while when it is well again",
    () =>
      Effect.gen(function* () {
        const breakers = yield* many(1500)
        const read = yield* readingOf(10)
        assert.deepStrictEqual(
          namesOf(yield* read),
          Array.from({ length: 10 }, (_, index) => `partner ${index}`)
        )
        yield* Effect.ignore(breakers[1234].protect(down))
        yield* TestClock.adjust("500 millis")
        const open = yield* read
        assert.include(namesOf(open), "partner 1234")
        assert.deepStrictEqual(open.hidden, { closed: 1490 })
        yield* breakers[1234].close
        for (let reading = 0; reading < 8; reading++) {
          yield* TestClock.adjust("5 seconds")
          assert.include(namesOf(yield* read), "partner 1234")
        }
      }).pipe(observed)
  )

  it.effect("have one within seconds whose trouble no change tells, though a reading looks at few", () =>
    Effect.gen(function* () {
      const kept = yield* Effect.forEach(
        Array.from({ length: 2500 }, (_, index) => index),
        (index) => Bulkhead.make({ name: `places ${index}`, permits: 1 })
      )
      const read = yield* readingOf(10)
      yield* read
      yield* forked(kept[2400].protect(Effect.never))
      const found: Array<boolean> = []
      for (let reading = 0; reading < 2; reading++) {
        yield* TestClock.adjust("500 millis")
        found.push(namesOf(yield* read).includes("places 2400"))
      }
      assert.deepStrictEqual(found, [false, true])
    }).pipe(observed)
  )
})
