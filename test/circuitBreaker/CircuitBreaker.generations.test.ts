import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock } from "effect"
import { CircuitBreaker, Trip } from "effect-resilience"
import { down, up } from "../support/calls.js"

type Breaker = CircuitBreaker.CircuitBreaker

const bug = Effect.die("bug")

/** A call under way: what runs through the breaker, and then what becomes of it. */
const begin = <A, E>(breaker: Breaker, outcome: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const running = yield* Deferred.make<void>()
    const body = Effect.zipRight(Deferred.succeed(running, undefined), Deferred.await(gate)).pipe(
      Effect.zipRight(outcome)
    )
    const fiber = yield* Effect.fork(breaker.protect(body))
    yield* Deferred.await(running)
    const finish = Effect.zipRight(Deferred.succeed(gate, undefined), Fiber.await(fiber))
    return { fiber, finish, gate }
  })

describe("a result of an earlier state", () => {
  const outcomes = { success: up, failure: down, defect: bug, interruption: Effect.interrupt }
  const begins: Record<string, (breaker: Breaker) => Effect.Effect<void>> = {
    closed: () => Effect.void,
    "half-open": (breaker) => breaker.halfOpen,
    "metrics-only": (breaker) => breaker.metricsOnly
  }
  const changes: Record<string, (breaker: Breaker) => Effect.Effect<unknown>> = {
    open: (breaker) => breaker.open,
    close: (breaker) => breaker.close,
    "half-open": (breaker) => breaker.halfOpen,
    isolate: (breaker) => breaker.isolate,
    disable: (breaker) => breaker.disable,
    "metrics-only": (breaker) => breaker.metricsOnly,
    reset: (breaker) => breaker.reset,
    "isolate and release": (breaker) => Effect.zipRight(breaker.isolate, breaker.release),
    "disable and enable": (breaker) => Effect.zipRight(breaker.disable, breaker.enable),
    "open and close": (breaker) => Effect.zipRight(breaker.open, breaker.close)
  }

  for (const [from, enter] of Object.entries(begins)) {
    it.effect(`that began ${from} counts for nothing after any change by hand`, () =>
      Effect.gen(function* () {
        for (const [change, leave] of Object.entries(changes)) {
          for (const [outcome, effect] of Object.entries(outcomes)) {
            const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
            yield* enter(breaker)
            const { finish } = yield* begin(breaker, effect as Effect.Effect<string, "down">)
            yield* leave(breaker)
            const before = yield* breaker.snapshot
            yield* finish
            assert.deepStrictEqual(yield* breaker.snapshot, before, `${change}, then ${outcome}`)
          }
        }
      })
    )
  }

  it.effect("neither closes nor opens what it finds later, whatever that is", () =>
    Effect.gen(function* () {
      for (const outcome of [up, down]) {
        const breaker = yield* CircuitBreaker.make({
          trip: Trip.consecutive(2),
          openFor: "10 seconds",
          halfOpen: { successes: 2 }
        })
        const late = yield* Effect.replicateEffect(
          begin(breaker, outcome as Effect.Effect<string, "down">),
          3
        )
        const finishOne = Effect.suspend(() => late.pop()!.finish)
        const unchanged = Effect.gen(function* () {
          const before = yield* breaker.snapshot
          yield* finishOne
          assert.deepStrictEqual(yield* breaker.snapshot, before)
        })
        yield* Effect.exit(breaker.protect(down))
        yield* Effect.exit(breaker.protect(down))
        assert.strictEqual(yield* breaker.state, "open")
        yield* unchanged
        yield* TestClock.adjust("10 seconds")
        yield* breaker.protect(up)
        assert.strictEqual(yield* breaker.state, "half-open")
        yield* unchanged
        yield* breaker.protect(up)
        assert.strictEqual(yield* breaker.state, "closed")
        yield* unchanged
      }
    })
  )

  it.effect("of a probe decided by others counts for nothing", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ halfOpen: { permits: 2 } })
      yield* breaker.halfOpen
      const slow = yield* begin(breaker, down)
      yield* breaker.protect(up)
      assert.strictEqual(yield* breaker.state, "closed")
      yield* slow.finish
      assert.deepInclude(yield* breaker.snapshot, { state: "closed", failures: 0 })
    })
  )
})
