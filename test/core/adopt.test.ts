// What a rule makes of the calls that another one has seen: all of them when it counts the same, and else none.
import { assert, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Trip from "../../src/core/trip.js"
import { runs } from "../support/runs.js"
import { record } from "./model.js"

const window = FastCheck.constantFrom<Trip.Extent>({ of: 5 }, { of: 8 }, { within: 100 }, { within: 1000 })
const threshold = FastCheck.constantFrom(0.2, 0.5, 1)
const single: FastCheck.Arbitrary<Trip.Trip> = FastCheck.oneof(
  FastCheck.integer({ min: 1, max: 4 }).map(Trip.consecutive),
  FastCheck.tuple(FastCheck.integer({ min: 1, max: 4 }), window).map(([count, window]) =>
    Trip.failures(count, window)
  ),
  FastCheck.record({ threshold, minimumCalls: FastCheck.integer({ min: 1, max: 5 }), window }).map(
    Trip.failureRate
  ),
  FastCheck.record({
    slowerThan: FastCheck.constantFrom(10, 20),
    threshold,
    minimumCalls: FastCheck.integer({ min: 1, max: 5 }),
    window
  }).map(Trip.slowRate)
)
const rule = FastCheck.oneof(single, FastCheck.array(single, { minLength: 1, maxLength: 3 }).map(Trip.any))

interface Call extends Trip.Call {
  readonly after: number
}
const calls: FastCheck.Arbitrary<ReadonlyArray<Call>> = FastCheck.array(
  FastCheck.record({
    failed: FastCheck.boolean(),
    duration: FastCheck.constantFrom(5, 15, 25),
    after: FastCheck.constantFrom(0, 3, 40, 200)
  }),
  { maxLength: 30 }
)

const parts = (rule: Trip.Trip): ReadonlyArray<Exclude<Trip.Trip, Trip.Any>> =>
  rule._tag === "any" ? rule.rules.flatMap(parts) : [rule]

const countTheSame = (one: Exclude<Trip.Trip, Trip.Any>, other: Exclude<Trip.Trip, Trip.Any>): boolean => {
  if (one._tag === "consecutive" || other._tag === "consecutive") return one._tag === other._tag
  const isSlowerThan =
    one._tag === "slowRate" && other._tag === "slowRate" ? one.slowerThan === other.slowerThan : true
  return (
    one._tag === other._tag && isSlowerThan && JSON.stringify(one.window) === JSON.stringify(other.window)
  )
}

it("a rule adopts the calls of one that counts the same, and reads as if it had been there from the start", () => {
  FastCheck.assert(
    FastCheck.property(rule, rule, calls, calls, (before, after, seenBefore, seenAfter) => {
      const all = [...seenBefore, ...seenAfter]
      let now = 0
      let seen = Trip.nothing(before, now)
      // The naive model: each new rule by itself, shown the calls before the change only if an old one counted the same.
      const alone = parts(after).map((part) => ({
        knows: parts(before).some((old) => countTheSame(old, part)),
        seen: Trip.nothing(part, 0)
      }))
      for (const [index, call] of all.entries()) {
        if (index === seenBefore.length) seen = Trip.adopt(after, seen, now)
        now += call.after
        seen = record(seen, call, now)
        for (const each of alone) {
          if (index >= seenBefore.length || each.knows) each.seen = record(each.seen, call, now)
        }
      }
      if (seenAfter.length === 0) seen = Trip.adopt(after, seen, now)
      assert.deepStrictEqual(
        Trip.readings(seen, now),
        alone.flatMap((each) => Trip.readings(each.seen, now))
      )
    }),
    { numRuns: runs(300, 10_000) }
  )
})
