import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Policy, RateLimiter } from "effect-resilience"
import { refusalOf } from "../support/calls.js"

const rate = RateLimiter.smooth({ limit: 10, per: "1 second" })

/** The options in the tables have no listeners that need services, which their type does not show. */
const made = (options: RateLimiter.Options) =>
  RateLimiter.make(options) as Effect.Effect<RateLimiter.RateLimiter>

/** The message of the defect for bad options. */
const refusal = (options: RateLimiter.Options): Effect.Effect<string> =>
  Effect.map(refusalOf(made(options)), ({ message }) => message)

/** The message of the error that is thrown. */
const thrown = (build: () => unknown): string => {
  try {
    build()
  } catch (error) {
    assert.instanceOf(error, Policy.InvalidOption)
    return error.message
  }
  return "nothing was thrown"
}

describe("the options of a rate limiter", () => {
  const named = "RateLimiter.make: option"
  const bucket = RateLimiter.tokenBucket({ limit: 100, per: "1 second", burst: 5 })
  const table: ReadonlyArray<readonly [options: RateLimiter.Options, message: string]> = [
    [{ rate, name: "" }, `${named} "name" must be a string that is not empty, got ""`],
    [{ rate, maxWait: -1 }, `${named} "maxWait" must be a duration of zero or more, got -1`],
    [{ rate, maxWait: Number.NaN }, `${named} "maxWait" must be a duration of zero or more, got NaN`],
    [{ rate, maxWait: "soon" as never }, `${named} "maxWait" must be a duration of zero or more, got "soon"`],
    [{ rate, maxQueued: -1 }, `${named} "maxQueued" must be a whole number of at least 0, got -1`],
    [{ rate, maxQueued: 1.5 }, `${named} "maxQueued" must be a whole number of at least 0, got 1.5`],
    [
      { rate, maxQueued: Infinity },
      `${named} "maxQueued" must be a whole number of at least 0, got Infinity`
    ],
    [{ rate, cost: 0 }, `${named} "cost" must be a whole number of at least 1, got 0`],
    [{ rate, cost: 0.5 }, `${named} "cost" must be a whole number of at least 1, got 0.5`],
    [{ rate, cost: 11 }, `${named} "cost" must be at most "rate.limit" (10), got 11`],
    [{ rate: bucket, cost: 6 }, `${named} "cost" must be at most "rate.burst" (5), got 6`],
    [
      { rate: { _tag: "smooth", limit: 0, per: 1000 } },
      `${named} "rate.limit" must be a whole number from 1 to 10000000, got 0`
    ],
    [
      { rate: { _tag: "bursty", limit: 1, per: 0 } },
      `${named} "rate.per" must be a duration from 1 millisecond to 365 days, got 0`
    ]
  ]

  for (const [options, message] of table) {
    it.effect(`are refused: ${message}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal(options), message)
      })
    )
  }

  it.effect("are accepted at the ends of their ranges", () =>
    Effect.gen(function* () {
      const all: ReadonlyArray<RateLimiter.Options> = [
        { rate, maxWait: 0, maxQueued: 0, cost: 10 },
        { rate, maxWait: Infinity },
        { rate, maxWait: "365 days", maxQueued: Number.MAX_SAFE_INTEGER, cost: undefined },
        { rate: bucket, cost: 5, name: undefined, maxWait: undefined, maxQueued: undefined }
      ]
      for (const options of all) {
        const limiter = yield* made(options)
        assert.isTrue(yield* limiter.tryAcquire())
      }
    })
  )

  it("of a rate are refused where the rate is made", () => {
    for (const make of [
      RateLimiter.smooth,
      RateLimiter.bursty,
      RateLimiter.tokenBucket,
      RateLimiter.slidingWindow
    ]) {
      const name = `RateLimiter.${make({ limit: 1, per: 1 })._tag}`
      const limits = `${name}: option "limit" must be a whole number from 1 to 10000000, got`
      const range = `${name}: option "per" must be a duration from 1 millisecond to 365 days, got`
      const pers = `${name}: option "per" must be a finite duration greater than zero, got`
      assert.strictEqual(
        thrown(() => make({ limit: 0, per: 1 })),
        `${limits} 0`
      )
      assert.strictEqual(
        thrown(() => make({ limit: 2.5, per: 1 })),
        `${limits} 2.5`
      )
      assert.strictEqual(
        thrown(() => make({ limit: 1, per: 0 })),
        `${pers} 0`
      )
      assert.strictEqual(
        thrown(() => make({ limit: 1, per: "-1 second" })),
        `${pers} "-1 second"`
      )
      assert.strictEqual(
        thrown(() => make({ limit: 1, per: Infinity })),
        `${pers} Infinity`
      )
      assert.strictEqual(
        thrown(() => make({ limit: 1, per: "366 days" })),
        `${range} "366 days"`
      )
      assert.strictEqual(
        thrown(() => make({ limit: 1, per: Duration.micros(10n) })),
        `${range} "10000ns"`
      )
    }
    assert.strictEqual(
      thrown(() => RateLimiter.tokenBucket({ limit: 1, per: 1, burst: 0 })),
      'RateLimiter.tokenBucket: option "burst" must be a whole number from 1 to 10000000, got 0'
    )
  })

  it.effect("include a cost, which is checked wherever it is given", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate })
      assert.strictEqual(
        thrown(() => limiter.withCost(0)),
        'RateLimiter.withCost: option "cost" must be a whole number of at least 1, got 0'
      )
      for (const operation of ["tryAcquire", "acquire", "reserve"] as const) {
        const { message } = yield* refusalOf<unknown, unknown, never>(limiter[operation](1.5))
        assert.strictEqual(
          message,
          `RateLimiter.${operation}: option "cost" must be a whole number of at least 1, got 1.5`
        )
      }
    })
  )

  it("of a rate are kept as plain data, in milliseconds", () => {
    assert.deepStrictEqual(RateLimiter.tokenBucket({ limit: 100, per: "1 minute" }), {
      _tag: "tokenBucket",
      limit: 100,
      per: 60_000,
      burst: 100
    })
    // A third of a second is not a whole number of microseconds.
    assert.deepStrictEqual(RateLimiter.smooth({ limit: 1, per: 1000 / 3 }).per, 333.333)
  })
})
