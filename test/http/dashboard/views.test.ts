import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, TestClock } from "effect"
import { CircuitBreaker, Fallback, Trip } from "effect-resilience"
import { Observability, Registry } from "effect-resilience/observability"
import type { State, View } from "../../../src/http/dashboard/protocol.js"
import { Views } from "../../../src/http/dashboard/views.js"
import { down, up } from "../../support/calls.js"

const observed = Effect.provide(Observability.layer())

/** Reads again and again, as the sampler does. */
const reading = Effect.map(Registry.Registry, (registry) => {
  const views = new Views({ registry, hash: undefined, store: Option.none(), maxPolicies: 1000 })
  let state: State | undefined
  return Effect.gen(function* () {
    const clock = yield* Effect.clock
    state = yield* views.read(state, clock.unsafeCurrentTimeMillis())
    return [...state.views.values()]
  })
})

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
