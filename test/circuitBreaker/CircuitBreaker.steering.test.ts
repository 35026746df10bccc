import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, TestClock } from "effect"
import { CircuitBreaker, Trip } from "effect-resilience"
import { down, up } from "../support/calls.js"

type Breaker = CircuitBreaker.CircuitBreaker
type State = CircuitBreaker.State

const verbs = [
  "open",
  "close",
  "halfOpen",
  "isolate",
  "release",
  "disable",
  "enable",
  "metricsOnly",
  "reset"
] as const

const enter: Record<State, (breaker: Breaker) => Effect.Effect<void>> = {
  closed: () => Effect.void,
  open: (breaker) => breaker.open,
  "half-open": (breaker) => breaker.halfOpen,
  isolated: (breaker) => breaker.isolate,
  disabled: (breaker) => breaker.disable,
  "metrics-only": (breaker) => breaker.metricsOnly
}

/** Makes a breaker in a state, and notes the changes from then on. */
const inState = (state: State) =>
  Effect.gen(function* () {
    const changes: Array<string> = []
    const breaker = yield* CircuitBreaker.make({
      trip: Trip.consecutive(3),
      openFor: "10 seconds",
      onStateChange: ({ from, to }) => Effect.sync(() => changes.push(`${from} -> ${to}`))
    })
    yield* enter[state](breaker)
    changes.length = 0
    return { breaker, changes }
  })

describe("a circuit breaker that is steered", () => {
  const states = Object.keys(enter) as Array<State>
  const leads: Record<(typeof verbs)[number], (from: State) => State> = {
    open: () => "open",
    close: () => "closed",
    halfOpen: () => "half-open",
    isolate: () => "isolated",
    release: (from) => (from === "isolated" ? "closed" : from),
    disable: () => "disabled",
    enable: (from) => (from === "disabled" || from === "metrics-only" ? "closed" : from),
    metricsOnly: () => "metrics-only",
    reset: () => "closed"
  }

  for (const verb of verbs) {
    it.effect(`${verb} does the same whatever happened before, and tells of a change once`, () =>
      Effect.gen(function* () {
        for (const from of states) {
          const to = leads[verb](from)
          const { breaker, changes } = yield* inState(from)
          yield* breaker[verb]
          assert.strictEqual(yield* breaker.state, to, `${verb} from ${from}`)
          assert.deepStrictEqual(changes, from === to ? [] : [`${from} -> ${to}`])
        }
      })
    )
  }

  it.effect("stays open for openFor from the last open", () =>
    Effect.gen(function* () {
      const { breaker } = yield* inState("open")
      yield* TestClock.adjust("6 seconds")
      yield* breaker.open
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* breaker.state, "open")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* breaker.protect(up), "up")
    })
  )

  it.effect("is half-open first when its openFor has passed", () =>
    Effect.gen(function* () {
      const { breaker, changes } = yield* inState("open")
      yield* TestClock.adjust("10 seconds")
      yield* breaker.close
      assert.deepStrictEqual(changes, ["open -> half-open", "half-open -> closed"])
    })
  )

  it.effect("rejects every call without a hint while isolated", () =>
    Effect.gen(function* () {
      const { breaker } = yield* inState("isolated")
      yield* TestClock.adjust("365 days")
      const error = yield* Effect.flip(breaker.protect(up))
      assert.deepInclude(error, {
        state: "isolated",
        retryAfter: undefined,
        message: "the circuit is isolated"
      })
      yield* breaker.release
      assert.strictEqual(yield* breaker.protect(up), "up")
    })
  )

  it.effect("admits every call uncounted between disable and enable", () =>
    Effect.gen(function* () {
      const { breaker } = yield* inState("disabled")
      const before = yield* breaker.snapshot
      yield* Effect.replicateEffect(Effect.flip(breaker.protect(down)), 5)
      yield* breaker.protect(up)
      assert.deepStrictEqual(yield* breaker.snapshot, before)
      yield* breaker.enable
      yield* Effect.replicateEffect(Effect.flip(breaker.protect(down)), 3)
      assert.strictEqual(yield* breaker.state, "open")
    })
  )

  it.effect("counts every call and rejects none between metricsOnly and enable", () =>
    Effect.gen(function* () {
      const { breaker } = yield* inState("metrics-only")
      yield* breaker.protect(up)
      yield* Effect.replicateEffect(Effect.flip(breaker.protect(down)), 4)
      const { consecutiveFailures, failureRate, failures, rejected, rules, state, successes } =
        yield* breaker.snapshot
      assert.deepStrictEqual(
        { consecutiveFailures, failureRate, failures, rejected, state, successes },
        {
          consecutiveFailures: 4,
          failureRate: 0.8,
          failures: 4,
          rejected: 0,
          state: "metrics-only",
          successes: 1
        }
      )
      assert.deepStrictEqual(rules, [
        { rule: "consecutive", calls: 4, hits: 4, rate: 1, threshold: 3, met: true }
      ])
      yield* breaker.enable
      assert.deepInclude(yield* breaker.snapshot, { state: "closed", failures: 0, successes: 0 })
      yield* Effect.flip(breaker.protect(down))
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("is as new after reset", () =>
    Effect.gen(function* () {
      const fresh = yield* Effect.flatMap(inState("closed"), ({ breaker }) => breaker.snapshot)
      for (const state of states) {
        const { breaker } = yield* inState(state)
        yield* Effect.replicateEffect(Effect.exit(breaker.protect(down)), 5)
        yield* breaker.reset
        const { generation, ...rest } = yield* breaker.snapshot
        assert.deepStrictEqual({ ...rest, generation: 0 }, fresh, state)
        assert.isAbove(generation, 0)
      }
    })
  )

  it.effect("is reset completely even when reset is interrupted in a slow listener", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ onClose: () => Effect.never })
      yield* breaker.open
      yield* Effect.flip(breaker.protect(up))
      const fiber = yield* Effect.fork(breaker.reset)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* breaker.snapshot, { state: "closed", rejected: 0 })
    })
  )

  it.effect("keeps what happens while a slow listener hears of a reset", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ onClose: () => Effect.sleep("1 second") })
      yield* breaker.open
      const fiber = yield* Effect.fork(breaker.reset)
      yield* Effect.yieldNow()
      yield* breaker.isolate
      yield* Effect.flip(breaker.protect(up))
      yield* TestClock.adjust("1 second")
      yield* fiber
      assert.deepInclude(yield* breaker.snapshot, { state: "isolated", rejected: 1 })
    })
  )

  it.effect("lets a running call end", () =>
    Effect.gen(function* () {
      for (const verb of verbs) {
        const { breaker } = yield* inState("closed")
        const fiber = yield* Effect.fork(
          breaker.protect(Effect.as(Effect.repeatN(Effect.yieldNow(), 3), "done"))
        )
        yield* Effect.yieldNow()
        yield* breaker[verb]
        assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.succeed("done"), verb)
      }
    })
  )
})
