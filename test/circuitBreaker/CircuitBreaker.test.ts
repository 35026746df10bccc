import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Ref, TestClock } from "effect"
import { CircuitBreaker, Policy, Trip } from "effect-resilience"
import { down, up } from "../support/calls.js"

type Breaker = CircuitBreaker.CircuitBreaker

/** Calls made through a breaker one after the other, one letter each. */
const play = (breaker: Breaker, history: string): Effect.Effect<void> => {
  const calls: Record<string, Effect.Effect<unknown, unknown>> = {
    S: breaker.protect(up),
    F: breaker.protect(down),
    D: breaker.protect(Effect.die("bug")),
    s: breaker.protect(TestClock.adjust("100 millis")),
    "~": TestClock.adjust("30 seconds")
  }
  return Effect.forEach(history, (letter) => Effect.exit(calls[letter]), { discard: true })
}

/** A breaker that has just opened for ten seconds. */
const opened = (options: CircuitBreaker.Options = {}) =>
  CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(1), openFor: "10 seconds", ...options }).pipe(
    Effect.tap((breaker) => play(breaker, "F"))
  ) as Effect.Effect<Breaker>

describe("a closed circuit", () => {
  // Histories that leave the circuit closed, and histories with whose last call it opens.
  const rules: ReadonlyArray<readonly [trip: Trip.Trip, stays: Array<string>, opens: Array<string>]> = [
    [Trip.consecutive(3), ["FF", "FFSFF", "SSSS"], ["FFF", "FFSFFF", "FDF"]],
    [Trip.failures({ count: 2, of: 3 }), ["F", "FSSF", "SFSSF"], ["FF", "FSF", "SSSFSF"]],
    [Trip.failures({ count: 3, within: "30 seconds" }), ["FF", "FF~FF"], ["FFF", "FSSSSF~FFF", "FSFSSSF"]],
    [Trip.failureRate({ threshold: 0.5, of: 4 }), ["FFF", "FSSSF", "FSSS"], ["FFFF", "SSFF", "SSSSFF"]],
    [
      Trip.failureRate({ threshold: 0.5, within: "30 seconds", minimumCalls: 4 }),
      ["FFF", "SSSFF", "FFF~F"],
      ["FFFF", "SSSFFF"]
    ],
    [
      Trip.slowRate({ slowerThan: "50 millis", threshold: 1, of: 2 }),
      ["s", "sS", "FFFF", "sSs"],
      ["ss", "sSss"]
    ],
    [Trip.any(Trip.consecutive(2), Trip.failures({ count: 3, of: 6 })), ["FSFS"], ["FF", "FSFSF"]]
  ]

  for (const [trip, stays, opens] of rules) {
    it.effect(`opens when ${Trip.describe(trip)} is met, and not before`, () =>
      Effect.gen(function* () {
        const after = (history: string) =>
          Effect.gen(function* () {
            const breaker = yield* CircuitBreaker.make({ trip })
            yield* play(breaker, history)
            return yield* breaker.state
          })
        for (const history of stays) assert.strictEqual(yield* after(history), "closed", history)
        for (const history of opens) {
          assert.strictEqual(yield* after(history), "open", history)
          assert.strictEqual(yield* after(history.slice(0, -1)), "closed", history)
        }
      })
    )
  }

  it.effect(
    "opens by default after ten failures in a row, or when half of twenty calls in thirty seconds fail",
    () =>
      Effect.gen(function* () {
        const histories = {
          closed: [
            "F",
            "F".repeat(9),
            "FS".repeat(9) + "F",
            "S".repeat(11) + "F".repeat(9),
            "FS".repeat(9) + "~FS"
          ],
          open: ["F".repeat(10), "FS".repeat(10), "S".repeat(10) + "F".repeat(5) + "S" + "F".repeat(6)]
        }
        for (const state of ["closed", "open"] as const) {
          for (const history of histories[state]) {
            const breaker = yield* CircuitBreaker.make()
            yield* play(breaker, history)
            assert.strictEqual(yield* breaker.state, state, history)
          }
        }
      })
  )

  it.effect("gives every exit back as it was", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      const cause = Cause.sequential(Cause.fail("down"), Cause.parallel(Cause.die("bug"), Cause.fail("out")))
      for (const exit of [
        Exit.succeed(undefined),
        Exit.fail("down"),
        Exit.die("bug"),
        Exit.failCause(cause)
      ]) {
        assert.deepStrictEqual(yield* Effect.exit(breaker.protect(exit)), exit)
      }
    })
  )

  it.effect("counts a defect as a failure, and dies of it", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(2) })
      const call = breaker.protect(Effect.die("bug"))
      assert.deepStrictEqual(yield* Effect.exit(call), Exit.die("bug"))
      assert.deepStrictEqual(yield* Effect.exit(call), Exit.die("bug"))
      assert.strictEqual(yield* breaker.state, "open")
    })
  )

  it.effect("counts a thousand calls at once, each of them once", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.failures({ count: 1000, of: 1000 }) })
      const call = (index: number) =>
        Effect.yieldNow().pipe(
          Effect.repeatN(index % 7),
          Effect.andThen(index % 4 === 0 ? down : up),
          breaker.protect,
          Effect.exit
        )
      yield* Effect.forEach(Array.from({ length: 1000 }).keys(), call, {
        concurrency: "unbounded",
        discard: true
      })
      const { failureRate, failures, rules, successes } = yield* breaker.snapshot
      assert.deepStrictEqual(
        { failures, successes, failureRate },
        { failures: 250, successes: 750, failureRate: 0.25 }
      )
      assert.deepInclude(rules[0], { calls: 1000, hits: 250, met: false })
    })
  )

  it.effect("shares nothing with another one made of the same options, and leaves them as they were", () =>
    Effect.gen(function* () {
      const options = Object.freeze({ trip: Trip.consecutive(1), halfOpen: Object.freeze({ permits: 2 }) })
      const first = yield* CircuitBreaker.make(options)
      const second = yield* CircuitBreaker.make(options)
      yield* play(first, "F")
      assert.deepStrictEqual([yield* first.state, yield* second.state], ["open", "closed"])
    })
  )
})

describe("an open circuit", () => {
  it.effect("rejects calls without running them", () =>
    Effect.gen(function* () {
      const breaker = yield* opened()
      const runs = yield* Ref.make(0)
      const exit = yield* Ref.update(runs, (n) => n + 1).pipe(breaker.protect, Effect.exit)
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(yield* Ref.get(runs), 0)
      assert.strictEqual((yield* breaker.snapshot).rejected, 1)
    })
  )

  it.effect("puts its name and the exact time left into a rejection", () =>
    Effect.gen(function* () {
      const breaker = yield* opened()
      yield* TestClock.adjust("3500 millis")
      const error = yield* Effect.flip(breaker.protect(up))
      assert.instanceOf(error, CircuitBreaker.CircuitOpen)
      assert.strictEqual(error.name, "partner")
      assert.strictEqual(error.state, "open")
      assert.deepStrictEqual(error.retryAfter, Duration.millis(6500))
      assert.deepStrictEqual(yield* breaker.remainingDelay, Duration.millis(6500))
      assert.strictEqual(error.message, "the circuit is open, try again in 6s 500ms")
    })
  )

  it.effect("rejects calls until the millisecond at which openFor has passed", () =>
    Effect.gen(function* () {
      const breaker = yield* opened()
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual((yield* Effect.flip(breaker.protect(up))).retryAfter, Duration.millis(1))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* breaker.protect(up), "up")
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("stays open for ten seconds by default, and closes with the success of one probe", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      yield* play(breaker, "F")
      assert.deepStrictEqual(yield* breaker.remainingDelay, Duration.seconds(10))
      yield* TestClock.adjust("10 seconds")
      const probe = yield* Effect.fork(breaker.protect(Effect.sleep("1 second")))
      yield* Effect.yieldNow()
      const error = yield* Effect.flip(breaker.protect(up))
      assert.deepInclude(error, { name: "circuit-breaker", state: "half-open", retryAfter: undefined })
      yield* TestClock.adjust("1 second")
      yield* probe
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("makes rejections without a stack trace, which Policy.isRejection recognizes", () =>
    Effect.gen(function* () {
      const breaker = yield* opened()
      const limit = Error.stackTraceLimit
      const error: unknown = yield* Effect.flip(breaker.protect(up))
      assert.isTrue(Policy.isRejection(error))
      assert.notInclude((error as Error).stack ?? "", "\n    at ")
      assert.strictEqual(Error.stackTraceLimit, limit)
      assert.include(new Error("with a trace").stack, "\n    at ")
      assert.isFalse(Policy.isRejection(new Error("down")))
    })
  )

  it.effect("can be told from the call's own errors by the tag of its rejection", () =>
    Effect.gen(function* () {
      const breaker = yield* opened()
      const call = Effect.fail({ _tag: "Refused" as const }).pipe(
        breaker.protect,
        Effect.catchTag("CircuitOpen", ({ name }) => Effect.succeed(`turned away by ${name}`))
      )
      assert.strictEqual(yield* call, "turned away by partner")
      yield* breaker.close
      assert.deepStrictEqual(yield* Effect.flip(call), { _tag: "Refused" })
    })
  )

  it.effect("is an ordinary failure to another breaker, which passes the hint on", () =>
    Effect.gen(function* () {
      const inner = yield* opened()
      const outer = yield* CircuitBreaker.make({
        name: "outer",
        trip: Trip.consecutive(2),
        openFor: ({ retryAfter }) => retryAfter ?? "1 hour"
      })
      const call = up.pipe(inner.protect, outer.protect, Effect.flip)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([(yield* call).name, (yield* call).name], ["partner", "partner"])
      assert.deepInclude(yield* call, { name: "outer", retryAfter: Duration.seconds(8) })
      assert.strictEqual((yield* inner.snapshot).rejected, 2)
    })
  )
})

describe("a circuit breaker that is read", () => {
  it.effect("is half-open when openFor has passed, and does not change by being read", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const breaker = yield* opened({ onStateChange: ({ to }) => Effect.sync(() => heard.push(to)) })
      yield* TestClock.adjust("12 seconds")
      const first = yield* breaker.snapshot
      assert.deepInclude(first, {
        state: "half-open",
        since: 10_000,
        takenAt: 12_000,
        remainingDelay: 0,
        openedFor: 10_000
      })
      assert.strictEqual(yield* breaker.state, "half-open")
      assert.deepStrictEqual(yield* breaker.remainingDelay, Duration.zero)
      assert.deepStrictEqual(yield* breaker.snapshot, first)
      assert.deepStrictEqual(heard, ["open"])
      yield* play(breaker, "S")
      assert.deepStrictEqual(heard, ["open", "half-open", "closed"])
    })
  )

  it.effect("forgets the calls of a window over time as time passes, without any call", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.failures({ count: 3, within: "10 seconds" }) })
      yield* play(breaker, "FF")
      assert.deepInclude((yield* breaker.snapshot).rules[0], {
        calls: 2,
        hits: 2,
        rate: 1,
        threshold: 3,
        met: false
      })
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude((yield* breaker.snapshot).rules[0], { calls: 0, hits: 0, rate: 0 })
    })
  )

  it.effect("has an empty snapshot before its first call", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "fresh", trip: Trip.consecutive(3) })
      assert.deepStrictEqual(yield* breaker.snapshot, {
        name: "fresh",
        state: "closed",
        since: 0,
        takenAt: 0,
        remainingDelay: 0,
        generation: 0,
        successes: 0,
        failures: 0,
        failureRate: 0,
        consecutiveFailures: 0,
        rejected: 0,
        rejectedInState: 0,
        reopenings: 0,
        openedFor: 0,
        rules: [{ rule: "consecutive", calls: 0, hits: 0, rate: 0, threshold: 3, met: false }],
        memory: [{ rule: "consecutive(3)", run: 0 }]
      })
    })
  )
})
