import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Bulkhead, Policy } from "effect-resilience"
import { refusalOf } from "../support/calls.js"

/** The message of the defect for bad options. */
const refusal = (effect: Effect.Effect<unknown>): Effect.Effect<string> =>
  Effect.map(refusalOf(effect), ({ message }) => message)

describe("the options of a bulkhead", () => {
  const named = "Bulkhead.make: option"
  const leftOut = `${named} "maxWait" must be left out when no call may wait ("maxQueued" is 0), got`
  const table: ReadonlyArray<readonly [options: Bulkhead.Options, message: string]> = [
    [{ permits: 1, name: "" }, `${named} "name" must be a string that is not empty, got ""`],
    [{} as never, `${named} "permits" must be a whole number of at least 1, got undefined`],
    [{ permits: 0 }, `${named} "permits" must be a whole number of at least 1, got 0`],
    [{ permits: -1 }, `${named} "permits" must be a whole number of at least 1, got -1`],
    [{ permits: 1.5 }, `${named} "permits" must be a whole number of at least 1, got 1.5`],
    [{ permits: NaN }, `${named} "permits" must be a whole number of at least 1, got NaN`],
    [{ permits: Infinity }, `${named} "permits" must be a whole number of at least 1, got Infinity`],
    [{ permits: "10" as never }, `${named} "permits" must be a whole number of at least 1, got "10"`],
    [{ permits: 1, maxQueued: -1 }, `${named} "maxQueued" must be a whole number of at least 0, got -1`],
    [{ permits: 1, maxQueued: 0.5 }, `${named} "maxQueued" must be a whole number of at least 0, got 0.5`],
    [
      { permits: 1, maxQueued: Infinity },
      `${named} "maxQueued" must be a whole number of at least 0, got Infinity`
    ],
    [
      { permits: 1, maxQueued: 1, maxWait: 0 },
      `${named} "maxWait" must be a duration greater than zero, got 0`
    ],
    [
      { permits: 1, maxQueued: 1, maxWait: -1 },
      `${named} "maxWait" must be a duration greater than zero, got -1`
    ],
    [
      { permits: 1, maxQueued: 1, maxWait: "soon" as never },
      `${named} "maxWait" must be a duration greater than zero, got "soon"`
    ],
    [{ permits: 1, maxWait: "1 second" }, `${leftOut} "1 second"`],
    [{ permits: 1, maxQueued: 0, maxWait: 1000 }, `${leftOut} 1000`],
    [{ permits: 1, maxQueued: 0, maxWait: Infinity }, `${leftOut} Infinity`]
  ]

  for (const [options, message] of table) {
    it.effect(`are refused at construction: ${message.slice(named.length + 1)}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal(Bulkhead.make(options) as Effect.Effect<unknown>), message)
      })
    )
  }

  it.effect("count as left out when they are undefined", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({
        permits: 3,
        name: undefined,
        maxQueued: undefined,
        maxWait: undefined,
        onRejected: undefined
      })
      assert.strictEqual(Policy.describe(bulkhead), "bulkhead(permits: 3, maxQueued: 0)")
    })
  )

  it.effect("appear in the descriptions of the bulkhead and its policies", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ name: "db", permits: 10, maxQueued: 20, maxWait: "5 seconds" })
      const shown = "permits: 10, maxQueued: 20, maxWait: 5s"
      const condition = bulkhead.protectWhen<string, "down">({ result: () => false })
      for (const policy of [bulkhead, bulkhead.protect, condition]) {
        assert.deepInclude({ ...policy }, { kind: "bulkhead", name: "db", settings: bulkhead.settings })
        assert.strictEqual(Policy.describe(policy), `bulkhead "db"(${shown})`)
      }
      assert.strictEqual(Policy.describe(bulkhead.withPermits(3)), `bulkhead "db"(${shown}, takes: 3)`)
      const patient = yield* Bulkhead.make({ permits: 1, maxQueued: 1, maxWait: Duration.infinity })
      assert.strictEqual(Policy.describe(patient), "bulkhead(permits: 1, maxQueued: 1)")
    })
  )
})

describe("an invalid number of permits", () => {
  for (const permits of [0, -1, 1.5, NaN, Infinity]) {
    it.effect(`is refused where it is given: ${permits}`, () =>
      Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ permits: 1 })
        const expected = `option "permits" must be a whole number of at least 1, got ${permits}`
        assert.throws(() => bulkhead.withPermits(permits), `Bulkhead.withPermits: ${expected}`)
        if (permits !== 0) {
          const orNone = expected.replace("at least 1", "at least 0")
          assert.strictEqual(yield* refusal(bulkhead.resize(permits)), `Bulkhead.resize: ${orNone}`)
        }
        assert.strictEqual((yield* bulkhead.snapshot).permits, 1)
      })
    )
  }
})
