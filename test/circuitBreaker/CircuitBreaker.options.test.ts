import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schedule } from "effect"
import { Backoff, CircuitBreaker, Policy, Trip } from "effect-resilience"
import { refusalOf } from "../support/calls.js"

/** The message of the defect for bad options. */
const refusal = (options: CircuitBreaker.Options): Effect.Effect<string> =>
  Effect.map(
    refusalOf(CircuitBreaker.make(options) as Effect.Effect<CircuitBreaker.CircuitBreaker>),
    ({ message }) => message
  )

describe("the options of a circuit breaker", () => {
  const named = "CircuitBreaker.make: option"
  const table: ReadonlyArray<readonly [options: CircuitBreaker.Options, message: string]> = [
    [{ name: "" }, `${named} "name" must be a string that is not empty, got ""`],
    [{ openFor: 0 }, `${named} "openFor" must be a finite duration greater than zero, got 0`],
    [{ openFor: -1 }, `${named} "openFor" must be a finite duration greater than zero, got -1`],
    [{ openFor: Number.NaN }, `${named} "openFor" must be a finite duration greater than zero, got NaN`],
    [
      { openFor: "soon" as never },
      `${named} "openFor" must be a finite duration greater than zero, got "soon"`
    ],
    [{ openFor: Infinity }, `${named} "openFor" must be a finite duration greater than zero, got Infinity`],
    [{ maxOpenFor: 0 }, `${named} "maxOpenFor" must be a finite duration greater than zero, got 0`],
    [
      { openFor: () => 1, maxOpenFor: Infinity },
      `${named} "maxOpenFor" must be a finite duration greater than zero, got Infinity`
    ],
    [
      { openFor: Schedule.spaced(1), maxOpenFor: -1 },
      `${named} "maxOpenFor" must be a finite duration greater than zero, got -1`
    ],
    [
      { openFor: "20 seconds", maxOpenFor: "10 seconds" },
      `${named} "openFor" must be at most "maxOpenFor" (10s), got "20 seconds"`
    ],
    [{ halfOpen: { permits: 0 } }, `${named} "halfOpen.permits" must be a whole number of at least 1, got 0`],
    [
      { halfOpen: { permits: 1.5 } },
      `${named} "halfOpen.permits" must be a whole number of at least 1, got 1.5`
    ],
    [
      { halfOpen: { permits: NaN } },
      `${named} "halfOpen.permits" must be a whole number of at least 1, got NaN`
    ],
    [
      { halfOpen: { successes: 0 } },
      `${named} "halfOpen.successes" must be a whole number of at least 1, got 0`
    ],
    [
      { halfOpen: { successes: { count: 1, of: 1.5 } } },
      `${named} "halfOpen.successes.of" must be a whole number of at least 1, got 1.5`
    ],
    [
      { halfOpen: { successes: { count: 3, of: 2 } } },
      `${named} "halfOpen.successes.count" must be at most "halfOpen.successes.of" (2), got 3`
    ],
    [
      { halfOpen: { successes: { count: 0, of: 2 } } },
      `${named} "halfOpen.successes.count" must be a whole number of at least 1, got 0`
    ],
    [{ halfOpen: { maxWait: 0 } }, `${named} "halfOpen.maxWait" must be a duration greater than zero, got 0`],
    [
      { halfOpen: { maxWait: "-1 second" as never } },
      `${named} "halfOpen.maxWait" must be a duration greater than zero, got "-1 second"`
    ]
  ]

  for (const [options, message] of table) {
    it.effect(`are refused at construction: ${message.slice(named.length + 1)}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal(options), message)
      })
    )
  }

  it.effect("are refused with the durations in words, given or by default", () =>
    Effect.gen(function* () {
      for (const options of [{ openFor: Duration.seconds(10) }, {}]) {
        const message = yield* refusal({ ...options, maxOpenFor: "5 seconds" })
        assert.include(message, `${named} "openFor" must be at most "maxOpenFor" (5s)`)
        assert.include(message, "10s")
        assert.notInclude(message, "_id")
      }
    })
  )

  it.effect("count as left out when they are undefined", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({
        name: undefined,
        trip: undefined,
        openFor: undefined,
        maxOpenFor: undefined,
        halfOpen: {
          permits: undefined,
          successes: undefined,
          maxWait: undefined,
          uninterruptible: undefined
        },
        initial: undefined,
        onOpen: undefined
      })
      assert.strictEqual(Policy.describe(breaker), Policy.describe(yield* CircuitBreaker.make()))
    })
  )

  it.effect("appear in the descriptions of the breaker and its policies", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({
        name: "partner",
        trip: Trip.failures({ count: 2, of: 3 }),
        openFor: "15 seconds",
        halfOpen: { permits: 2, successes: { count: 2, of: 3 }, maxWait: "5 seconds", uninterruptible: true }
      })
      const described =
        'circuit-breaker "partner"(trip: failures(count: 2, of: 3), openFor: 15s, ' +
        "halfOpen: { permits: 2, successes: 2 of 3, maxWait: 5s, uninterruptible: true })"
      const condition = breaker.protectWhen<string, "down">({ result: () => false })
      for (const policy of [breaker, breaker.protect, condition]) {
        const { kind, name, settings } = policy
        assert.deepStrictEqual([kind, name, settings], ["circuit-breaker", "partner", breaker.settings])
        assert.strictEqual(Policy.describe(policy), described)
      }
      const openFors = [
        Schedule.spaced("1 second"),
        () => "1 second" as const,
        Backoff.linear({ base: "1 second", max: "1 minute", jitter: { plusMinus: 500 } })
      ]
      const rest = "halfOpen: { permits: 1, successes: 1, maxWait: 30s })"
      for (const [index, shown] of [
        "custom",
        "computed",
        "linear(base: 1s, step: 1s, max: 1m, jitter: { plusMinus: 500ms })"
      ].entries()) {
        const other = yield* CircuitBreaker.make({ trip: Trip.consecutive(3), openFor: openFors[index] })
        assert.strictEqual(
          Policy.describe(other),
          `circuit-breaker(trip: consecutive(3), openFor: ${shown}, ${rest}`
        )
      }
    })
  )
})
