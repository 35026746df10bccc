import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { Trip } from "effect-resilience"
import { down, up } from "../support/calls.js"
import { type Breaker, breakersIn, Fleet } from "../support/fleet.js"

const failing = (breaker: Breaker) => Effect.exit(breaker.protect(down))
const states = (breakers: ReadonlyArray<readonly [Breaker, unknown]>) =>
  Effect.forEach(breakers, ([breaker]) => breaker.state)

const options = {
  trip: Trip.failures({ count: 4, within: "10 seconds" }),
  openFor: "5 seconds"
} as const

describe("a shared breaker", () => {
  it.scoped("opens for all as soon as the calls of all meet the rule", () =>
    Effect.gen(function* () {
      const breakers = yield* breakersIn(new Fleet(), 4, options)
      yield* TestClock.adjust("2 seconds")
      for (const [breaker] of breakers) yield* failing(breaker)
      assert.deepStrictEqual(yield* states(breakers), ["closed", "closed", "closed", "closed"])
      yield* TestClock.adjust("0 millis")
      assert.deepStrictEqual(yield* states(breakers), ["open", "open", "open", "open"])
      const error = yield* Effect.flip(breakers[0][0].protect(up))
      assert.deepInclude(error, { _tag: "CircuitOpen", state: "open" })
    })
  )

  it.scoped("probes once in the whole fleet, and closes for all", () =>
    Effect.gen(function* () {
      const breakers = yield* breakersIn(new Fleet(), 5, options)
      yield* TestClock.adjust("2 seconds")
      for (const [breaker] of breakers) yield* failing(breaker)
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(yield* states(breakers), Array(5).fill("half-open"))
      let probes = 0
      const probe = Effect.sync(() => (probes += 1))
      for (let round = 0; round < 3; round++) {
        for (const [breaker] of breakers)
          yield* Effect.exit(breaker.protect(Effect.zipRight(probe, Effect.never))).pipe(Effect.fork)
        yield* TestClock.adjust("10 millis")
      }
      assert.strictEqual(probes, 1)
    })
  )
})
