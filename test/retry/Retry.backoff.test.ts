import { assert, it } from "@effect/vitest"
import { Duration, Effect, Exit, FastCheck, identity, Random, Schedule } from "effect"
import { Backoff, Retry } from "effect-resilience"
import { runs } from "../support/runs.js"
import { runToEnd } from "../support/everyStep.js"

// A backoff of a millisecond keeps fractions, which lose a nanosecond where a Schedule adds them to the time of day.
const millis = FastCheck.integer({ min: 2, max: 5000 })

const jitter = FastCheck.oneof(
  FastCheck.constantFrom("none" as const, "full" as const, "equal" as const, "decorrelated" as const),
  FastCheck.record({ factor: FastCheck.double({ min: 0.01, max: 1, noNaN: true }) }),
  FastCheck.record({ plusMinus: millis })
)

const shared = {
  jitter,
  max: FastCheck.option(FastCheck.integer({ min: 5000, max: 60_000 }), { nil: undefined })
}

const backoff = FastCheck.oneof(
  FastCheck.record({ delay: millis, ...shared }).map(Backoff.constant),
  FastCheck.record({ base: millis, step: millis, ...shared }).map(Backoff.linear),
  FastCheck.record({
    base: millis,
    factor: FastCheck.double({ min: 1, max: 4, noNaN: true }),
    ...shared
  }).map(Backoff.exponential),
  FastCheck.record({ base: millis, ...shared }).map(Backoff.fibonacci),
  FastCheck.tuple(FastCheck.array(millis, { minLength: 1, maxLength: 8 }), FastCheck.record(shared)).map(
    ([delays, options]) => Backoff.list(delays, options)
  )
)

/** The delays of a call that always fails, in order. */
const delaysOf = (schedule: Schedule.Schedule<unknown>, seed: string) =>
  runToEnd(
    Effect.gen(function* () {
      const delays: Array<number> = []
      const retried = Effect.fail("down").pipe(
        Retry.retry({
          schedule,
          times: 10,
          maxHint: 0,
          onRetryScheduled: ({ delay }) => Effect.sync(() => delays.push(Duration.toMillis(delay)))
        })
      )
      yield* Effect.exit(retried)
      return { delays, drawn: yield* Random.next }
    }).pipe(Effect.withRandom(Random.make(seed)))
  ).exit

it.prop(
  "a retry steps a backoff as the Schedule does, draw for draw",
  [backoff, FastCheck.string()],
  ([schedule, seed]) => {
    const plain = Schedule.map(schedule, identity)
    assert.notProperty(plain, "settings")
    const delays = delaysOf(schedule, seed)
    assert.isTrue(delays !== undefined && Exit.isSuccess(delays))
    assert.deepStrictEqual(delays, delaysOf(plain, seed))
  },
  { fastCheck: { numRuns: runs(15, 500) } }
)
