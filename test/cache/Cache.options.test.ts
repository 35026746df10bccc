import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Cache } from "effect-resilience"
import { refusalOf } from "../support/calls.js"

type Options = Cache.StoreOptions<string, string, "down">

const make = (options: Partial<Options>) =>
  Effect.scoped(
    Cache.makeStore<string, string, "down">()({ timeToLive: "1 minute", ...options }) as Effect.Effect<
      Cache.Store<string, string, "down">
    >
  )

/** The message of the defect for bad options. */
const refusal = (options: Partial<Options>): Effect.Effect<string> =>
  Effect.map(refusalOf(make(options)), ({ message }) => message)

describe("the options of a cache", () => {
  const named = "Cache.makeStore: option"
  const duration = "a duration of zero or more"
  const table: ReadonlyArray<readonly [options: Partial<Options>, message: string]> = [
    [{ name: "" }, `${named} "name" must be a string that is not empty, got ""`],
    [{ capacity: 0 }, `${named} "capacity" must be a whole number of at least 1, got 0`],
    [{ capacity: 1.5 }, `${named} "capacity" must be a whole number of at least 1, got 1.5`],
    [{ capacity: Infinity }, `${named} "capacity" must be a whole number of at least 1, got Infinity`],
    [{ timeToLive: -1 }, `${named} "timeToLive" must be ${duration}, got -1`],
    [{ timeToLive: "soon" as never }, `${named} "timeToLive" must be ${duration}, got "soon"`],
    [{ staleWhileRevalidate: NaN }, `${named} "staleWhileRevalidate" must be ${duration}, got NaN`],
    [{ staleIfError: -5 }, `${named} "staleIfError" must be ${duration}, got -5`],
    [{ negativeTimeToLive: -5 }, `${named} "negativeTimeToLive" must be ${duration}, got -5`],
    [{ maxAge: 0 }, `${named} "maxAge" must be a duration greater than zero, got 0`],
    [{ earlyRefresh: -1 }, `${named} "earlyRefresh" must be a finite number of at least 0, got -1`],
    [
      { earlyRefresh: Infinity },
      `${named} "earlyRefresh" must be a finite number of at least 0, got Infinity`
    ],
    [
      { timeToLive: Duration.minutes(2), maxAge: "1 minute" },
      `${named} "timeToLive" must be at most "maxAge" (1m), got "2m"`
    ],
    [
      { negativeTimeToLive: "2 hours", maxAge: "1 hour" },
      `${named} "negativeTimeToLive" must be at most "maxAge" (1h), got "2 hours"`
    ],
    [
      { timeToLive: () => 1, negativeTimeToLive: "1 second" },
      `${named} "negativeTimeToLive" must be left out when "timeToLive" is a function, which is asked about failures too, got "1 second"`
    ],
    [
      { timeToLive: () => 1, negativeTimeToLive: () => 1 },
      `${named} "negativeTimeToLive" must be left out when "timeToLive" is a function, which is asked about failures too, got a function`
    ],
    [
      { timeToLive: "1 hour", maxAge: "1 hour", staleWhileRevalidate: "1 minute" },
      `${named} "staleWhileRevalidate" must be left out when nothing is ever stale ("timeToLive" is 1h, "maxAge" 1h), got "1 minute"`
    ],
    [
      { timeToLive: Infinity, staleIfError: () => "1 minute" },
      `${named} "staleIfError" must be left out when nothing is ever stale ("timeToLive" is Infinity, "maxAge" Infinity), got a function`
    ]
  ]

  for (const [options, message] of table) {
    it.effect(`are refused at construction: ${message.slice(named.length + 1)}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal(options), message)
      })
    )
  }

  it.effect("are accepted at the ends of their ranges", () =>
    Effect.gen(function* () {
      const allowed: ReadonlyArray<Partial<Options>> = [
        { capacity: 1, timeToLive: 0 },
        { timeToLive: Infinity },
        { timeToLive: "1 hour", maxAge: "1 hour" },
        { timeToLive: Infinity, staleWhileRevalidate: 0, staleIfError: 0 },
        {
          timeToLive: () => "1 day",
          maxAge: "1 hour",
          staleIfError: Infinity,
          staleWhileRevalidate: Infinity
        },
        { negativeTimeToLive: Infinity },
        { negativeTimeToLive: () => 1, staleIfError: () => 1 },
        { earlyRefresh: 0 },
        {
          name: undefined,
          capacity: undefined,
          staleWhileRevalidate: undefined,
          staleIfError: undefined,
          negativeTimeToLive: undefined,
          maxAge: undefined,
          earlyRefresh: undefined,
          onHit: undefined
        }
      ]
      for (const options of allowed) yield* make(options)
    })
  )
})
