import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Option, TestClock } from "effect"
import { CircuitBreaker, Trip } from "effect-resilience"
import { down, settled, up } from "../support/calls.js"

type Breaker = CircuitBreaker.CircuitBreaker

const enter: Record<
  "closed" | "half-open" | "disabled" | "metrics-only",
  (breaker: Breaker) => Effect.Effect<void>
> = {
  closed: () => Effect.void,
  "half-open": (breaker) => breaker.halfOpen,
  disabled: (breaker) => breaker.disable,
  "metrics-only": (breaker) => breaker.metricsOnly
}

describe("an interruption of a circuit breaker's call", () => {
  for (const [state, steer] of Object.entries(enter)) {
    it.effect(`of a ${state} circuit interrupts it and counts for nothing`, () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
        yield* steer(breaker)
        const before = yield* breaker.snapshot
        const finalized = yield* Deferred.make<void>()
        const body = Effect.onInterrupt(Effect.never, () => Deferred.succeed(finalized, undefined))
        const fiber = yield* Effect.fork(breaker.protect(body))
        yield* Effect.yieldNow()
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        assert.isTrue(yield* Deferred.isDone(finalized))
        assert.deepStrictEqual(yield* breaker.snapshot, before)
        // A probe can be made at once: nothing is held.
        assert.strictEqual(yield* breaker.protect(up), "up")
      })
    )

    it.effect(`of a ${state} circuit before it begins leaves nothing behind`, () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
        yield* steer(breaker)
        const before = yield* breaker.snapshot
        const fiber = yield* Effect.fork(breaker.protect(Effect.never))
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        assert.deepStrictEqual(yield* breaker.snapshot, before)
        assert.strictEqual(yield* breaker.protect(up), "up")
      })
    )

    it.effect(`of a ${state} circuit whose finalizer dies counts for nothing, and shows the defect`, () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
        yield* steer(breaker)
        const before = yield* breaker.snapshot
        const body = Effect.onInterrupt(Effect.never, () => Effect.die("bug in a finalizer"))
        const fiber = yield* Effect.fork(breaker.protect(body))
        yield* Effect.yieldNow()
        const cause = Option.getOrThrow(Exit.causeOption(yield* Fiber.interrupt(fiber)))
        assert.isTrue(Cause.isInterrupted(cause) && Cause.isDie(cause))
        assert.deepStrictEqual(yield* breaker.snapshot, before)
      })
    )

    it.effect(`of a ${state} circuit from further inside is not swallowed, and counts for nothing`, () =>
      Effect.gen(function* () {
        const other = yield* Effect.fork(Effect.never)
        yield* Fiber.interrupt(other)
        for (const body of [Effect.interrupt, Fiber.join(other)]) {
          const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
          yield* steer(breaker)
          const before = yield* breaker.snapshot
          const exit = yield* Effect.exit(breaker.protect(body))
          assert.isTrue(Exit.isInterrupted(exit))
          assert.deepStrictEqual(yield* breaker.snapshot, before)
          assert.strictEqual(yield* breaker.protect(up), "up")
        }
      })
    )

    it.effect(`of a ${state} circuit that cannot be interrupted waits for it`, () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
        yield* steer(breaker)
        const gate = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(Effect.uninterruptible(breaker.protect(Deferred.await(gate))))
        yield* Effect.yieldNow()
        yield* Fiber.interruptFork(fiber)
        yield* settled
        assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.await(fiber)
        assert.strictEqual(yield* breaker.state, state === "half-open" ? "closed" : state)
      })
    )
  }

  for (const steer of ["open", "isolate"] as const) {
    it.effect(
      `that was rejected (${steer}) in a slow onRejected listener interrupts that, and leaves the circuit alone`,
      () =>
        Effect.gen(function* () {
          const breaker = yield* CircuitBreaker.make({ onRejected: () => Effect.never })
          yield* breaker[steer]
          const before = yield* breaker.snapshot
          const fiber = yield* Effect.fork(breaker.protect(up))
          yield* Effect.yieldNow()
          assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
          assert.deepStrictEqual(yield* breaker.snapshot, { ...before, rejected: 1, rejectedInState: 1 })
        })
    )
  }

  it.effect("in a slow listener of its outcome neither loses nor repeats the outcome", () =>
    Effect.gen(function* () {
      for (const state of ["closed", "metrics-only", "half-open"] as const) {
        for (const call of [up, down]) {
          const breaker = yield* CircuitBreaker.make({
            trip: Trip.consecutive(5),
            halfOpen: { successes: { count: 2, of: 3 } },
            onSuccess: () => Effect.never,
            onFailure: () => Effect.never
          })
          yield* enter[state](breaker)
          const fiber = yield* Effect.fork(breaker.protect(call))
          yield* Effect.yieldNow()
          assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
          const { failures, successes } = yield* breaker.snapshot
          assert.deepStrictEqual(
            [state, successes, failures],
            [state, call === up ? 1 : 0, call === down ? 1 : 0]
          )
        }
      }
    })
  )

  it.effect("in a slow onOpen listener leaves the circuit open", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1), onOpen: () => Effect.never })
      const fiber = yield* Effect.fork(breaker.protect(down))
      yield* Effect.yieldNow()
      assert.strictEqual(yield* breaker.state, "open")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* breaker.state, "open")
      assert.strictEqual((yield* Effect.flip(breaker.protect(up)))._tag, "CircuitOpen")
    })
  )

  it.effect("by a timeout around the breaker counts for nothing, by one inside as a failure", () =>
    Effect.gen(function* () {
      const slow = Effect.delay(up, "1 minute")
      for (const [failures, call] of [
        [0, (breaker: Breaker) => slow.pipe(breaker.protect, Effect.timeout("1 second"))],
        [1, (breaker: Breaker) => slow.pipe(Effect.timeout("1 second"), breaker.protect)]
      ] as const) {
        const breaker = yield* CircuitBreaker.make()
        const fiber = yield* Effect.fork(Effect.flip(call(breaker)))
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* fiber)._tag, "TimeoutException")
        assert.strictEqual((yield* breaker.snapshot).failures, failures)
      }
    })
  )

  it.effect("by losing a race counts for nothing", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      assert.strictEqual(yield* Effect.race(breaker.protect(Effect.never), up), "up")
      assert.deepInclude(yield* breaker.snapshot, { state: "closed", successes: 0, failures: 0 })
    })
  )
})
