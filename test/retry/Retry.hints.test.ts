import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Random, Schedule, TestClock } from "effect"
import { Backoff, CircuitBreaker, FailureCondition, Policy, Retry } from "effect-resilience"
import { down } from "../support/calls.js"
import { runToEnd } from "../support/everyStep.js"
import { finish, retried, scripted, timeline } from "../support/virtual.js"

const reasonsOf = () => {
  const { log, note } = timeline()
  const onExceeded = ({ reason }: { readonly reason: string }) => note(reason)
  return { log, onExceeded }
}

/** The shape of any policy's rejection. */
const rejection = (retryAfter: Duration.DurationInput | undefined): Policy.Rejection => ({
  [Policy.RejectionTypeId]: Policy.RejectionTypeId,
  _tag: "Busy",
  name: "bulkhead",
  retryAfter: retryAfter === undefined ? undefined : Duration.decode(retryAfter)
})

describe("a hint to a retry", () => {
  type Case = readonly [
    string,
    Effect.Effect<number, unknown>,
    Retry.Options<number, unknown>,
    ReadonlyArray<number>
  ]
  const after = (retryAfter: Duration.DurationInput | undefined) => Effect.fail(rejection(retryAfter))
  const pace = { times: 1, schedule: Schedule.spaced("1 second") }

  it.effect.each<Case>([
    ["a rejection's hint is waited for", after("3 seconds"), pace, [0, 3000]],
    ["the schedule's delay is, when it is longer", after("300 millis"), pace, [0, 1000]],
    ["a rejection without a hint is retried on schedule", after(undefined), pace, [0, 1000]],
    ["a hint as long as maxHint is waited for", after("10 seconds"), pace, [0, 10_000]],
    ["a longer one ends the retry", after("10001 millis"), pace, [0]],
    ["maxHint can be raised", after("1 minute"), { ...pace, maxHint: "1 minute" }, [0, 60_000]],
    ["maxHint can be zero", after(1), { ...pace, maxHint: 0 }, [0]],
    ["maxHint can be infinite", after("30 days"), { ...pace, maxHint: Infinity }, [0, 2_592_000_000]],
    ["noHint reads none", after("1 minute"), { ...pace, delayFrom: Retry.noHint }, [0, 1000]],
    [
      "delayFrom replaces the rejection's hint",
      after("1 minute"),
      { ...pace, delayFrom: () => "2 seconds" },
      [0, 2000]
    ],
    ["delayFrom may know none", after("1 minute"), { ...pace, delayFrom: () => undefined }, [0, 1000]],
    ["delayFrom below zero is none", down, { ...pace, delayFrom: () => -5000 }, [0, 1000]],
    ["delayFrom that is no number is none", down, { ...pace, delayFrom: () => NaN }, [0, 1000]],
    ["delayFrom that is no duration is none", down, { ...pace, delayFrom: () => "soon" as never }, [0, 1000]],
    ["delayFrom too long ends the retry", down, { ...pace, delayFrom: () => Infinity }, [0]],
    [
      "the condition's retryAfter is a hint",
      down,
      { ...pace, condition: { retryAfter: () => "4 seconds" } },
      [0, 4000]
    ],
    [
      "and goes before the rejection's",
      after("1 minute"),
      { ...pace, condition: { retryAfter: () => "2 seconds" } },
      [0, 2000]
    ],
    [
      "unless it knows none",
      after("3 seconds"),
      { ...pace, condition: { retryAfter: () => undefined } },
      [0, 3000]
    ],
    [
      "a classifier's too",
      down,
      { ...pace, condition: () => FailureCondition.failureAfter("5 seconds") },
      [0, 5000]
    ],
    [
      "delayFrom goes before the condition's",
      down,
      { ...pace, condition: { retryAfter: () => "1 minute" }, delayFrom: () => "2 seconds" },
      [0, 2000]
    ],
    [
      "noHint ignores the condition's",
      down,
      { ...pace, condition: { retryAfter: () => "1 minute" }, delayFrom: Retry.noHint },
      [0, 1000]
    ],
    [
      "a result has hints too",
      Effect.succeed(503),
      {
        ...pace,
        condition: {
          result: () => true,
          retryAfter: (seen) => (seen._tag === "Result" ? seen.result * 10 : 0)
        }
      },
      [0, 5030]
    ],
    ["a hint counts into maxDuration", after("3 seconds"), { ...pace, maxDuration: 2999 }, [0]],
    ["and may fill it", after("3 seconds"), { ...pace, maxDuration: "3 seconds" }, [0, 3000]]
  ])("%s", ([, effect, options, expected]) =>
    Effect.gen(function* () {
      const { begun, call } = scripted(effect)
      assert.deepStrictEqual(yield* finish(retried(call, options)), yield* Effect.exit(effect))
      assert.deepStrictEqual(begun, expected)
    })
  )

  it("is waited for even when it is longer than a timer can wait", () => {
    const { endedAt } = runToEnd(
      Retry.retry(down, { ...pace, maxHint: Infinity, delayFrom: () => "60 days" })
    )
    assert.strictEqual(endedAt, 60 * 24 * 60 * 60 * 1000)
  })

  it.effect("is never undercut by jitter", () =>
    Effect.gen(function* () {
      for (const jitter of [
        "full",
        "equal",
        "decorrelated",
        { factor: 1 },
        { plusMinus: "10 seconds" }
      ] as const) {
        yield* TestClock.setTime(0)
        const { begun, call } = scripted(after("2 seconds"))
        const schedule = Backoff.exponential({ base: "2 seconds", jitter })
        yield* finish(call.pipe(Retry.retry({ times: 1, schedule })))
        assert.isAtLeast(begun[1], 2000)
      }
    }).pipe(Effect.withRandom(Random.fixed([0.01])))
  )

  const jittered = { ...pace, hintJitter: 0.5, delayFrom: () => 5000 }

  it.effect("is spread over a hundred callers that got the same one, and never undercut", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(down)
      const calls = Effect.all(
        Array.from({ length: 100 }, () => Effect.ignore(Retry.retry(call, jittered))),
        {
          concurrency: "unbounded"
        }
      )
      yield* finish(calls)
      const again = begun.slice(100)
      assert.strictEqual(again.length, 100)
      assert.isAbove(new Set(again).size, 90)
      assert.isAtLeast(Math.min(...again), 5000)
      assert.isAtMost(Math.max(...again), 7500)
    }).pipe(Effect.withRandom(Random.make("hints")))
  )

  it.effect.each<readonly [string, number, Retry.Options<number, unknown>, ReadonlyArray<number>]>([
    ["is added to a hint", 0.5, jittered, [0, 6250]],
    ["is none by default", 0.5, { ...jittered, hintJitter: undefined }, [0, 5000]],
    ["can be as long as the hint", 0.999, { ...jittered, hintJitter: 1 }, [0, 9995]],
    [
      "leaves a longer delay of the schedule",
      0.5,
      { ...jittered, schedule: Schedule.spaced(7000) },
      [0, 7000]
    ],
    ["replaces a shorter one", 0.5, { ...jittered, schedule: Schedule.spaced(6000) }, [0, 6250]],
    ["leaves delays without a hint", 0.5, { ...jittered, delayFrom: () => undefined }, [0, 1000]],
    ["leaves a hint of zero", 0.5, { ...jittered, delayFrom: () => 0 }, [0, 1000]],
    ["comes on top of maxHint", 0.5, { ...jittered, maxHint: 5000 }, [0, 6250]],
    ["stays within maxDuration", 0.5, { ...jittered, maxDuration: 6000 }, [0, 5500]],
    ["gives way to maxDuration", 0.5, { ...jittered, maxDuration: 5000 }, [0, 5000]],
    ["reads a rejection's hint, too", 0.5, { ...pace, hintJitter: 0.5 }, [0, 3750]]
  ])("with jitter %s", ([, draw, options, expected]) =>
    Effect.gen(function* () {
      const { begun, call } = scripted(after(3000))
      yield* finish(retried(call, options))
      assert.deepStrictEqual(begun, expected)
    }).pipe(Effect.withRandom(Random.fixed([draw])))
  )

  it("has no jitter when it is infinite", () => {
    const endless = { ...jittered, maxHint: Infinity, delayFrom: () => Infinity }
    assert.isUndefined(runToEnd(Retry.retry(down, endless)).exit)
  })

  it.effect("is reported when it is too long, after times and before schedule and maxDuration", () =>
    Effect.gen(function* () {
      const { log, onExceeded } = reasonsOf()
      const long = after("1 minute")
      yield* Effect.exit(
        long.pipe(Retry.retry({ times: 0, schedule: Schedule.stop, maxDuration: 0, onExceeded }))
      )
      yield* Effect.exit(
        long.pipe(Retry.retry({ times: 1, schedule: Schedule.stop, maxDuration: 0, onExceeded }))
      )
      yield* Effect.exit(
        after(1).pipe(Retry.retry({ times: 1, schedule: Schedule.stop, maxDuration: 0, onExceeded }))
      )
      yield* Effect.exit(after(1).pipe(Retry.retry({ times: 1, maxDuration: 0, onExceeded })))
      assert.deepStrictEqual(log, ["0 times", "0 hint", "0 schedule", "0 maxDuration"])
    })
  )
})

describe("a retry around a breaker", () => {
  it.effect("waits for a circuit that opens soon, and gets through", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner", openFor: "7 seconds" })
      yield* breaker.open
      const { begun, call } = scripted(Effect.succeed("offer"))
      const exit = yield* finish(call.pipe(breaker.protect, Retry.retry({ times: 1 })))
      assert.deepStrictEqual(exit, Exit.succeed("offer"))
      assert.deepStrictEqual(begun, [7000])
    })
  )

  it.effect("comes back at once from one that opens late, without another try", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner", openFor: "1 minute" })
      yield* breaker.open
      const { log, onExceeded } = reasonsOf()
      const error = yield* Effect.succeed("offer").pipe(
        breaker.protect,
        Retry.retry({ times: 5, onExceeded }),
        Effect.flip
      )
      assert.strictEqual(error._tag, "CircuitOpen")
      assert.deepStrictEqual(log, ["0 hint"])
      assert.strictEqual((yield* breaker.snapshot).rejected, 1)
    })
  )

  it.effect("retries on schedule when the circuit cannot say when it closes", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      yield* breaker.isolate
      yield* finish(
        Effect.void.pipe(breaker.protect, Retry.retry({ times: 3, schedule: Schedule.spaced("1 second") }))
      )
      assert.strictEqual((yield* breaker.snapshot).rejected, 4)
    })
  )
})
