// How the fleet's proof counts. A goal that is counted wrongly would be met by anything.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { groupsOf, make, mostWithin, quantile } from "../../bench/fleet/report.js"

describe("the proof of the fleet", () => {
  it("finds the fullest time of a length, wherever it starts", () => {
    const table: ReadonlyArray<readonly [ReadonlyArray<number>, number]> = [
      [[], 0],
      [[5], 1],
      [[0, 1000], 1],
      [[0, 999], 2],
      [[2500, 0, 900, 1100, 1800], 3],
      [[1, 1, 1, 500, 1001], 4]
    ]
    for (const [instants, most] of table) assert.strictEqual(mostWithin(instants, 1000), most)
  })

  it("begins a new half-open period after a pause", () => {
    assert.deepStrictEqual(groupsOf([5000, 0, 40, 1000, 5001], 1000), [
      [0, 40, 1000],
      [5000, 5001]
    ])
    assert.deepStrictEqual(groupsOf([], 1000), [])
  })

  it("takes a quantile from the values that were measured", () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index)
    assert.strictEqual(quantile(values, 0.5), 50)
    assert.strictEqual(quantile(values, 0.99), 99)
    assert.strictEqual(quantile([7], 0.99), 7)
    assert.isNaN(quantile([], 0.5))
  })

  it.effect("counts the goals that were missed", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const report = make((line) => lines.push(line))
      yield* report.goal("reached", true, "1")
      yield* report.figure("of interest", "2")
      assert.strictEqual(report.missed(), 0)
      yield* report.goal("missed", false, "3")
      assert.strictEqual(report.missed(), 1)
      assert.deepStrictEqual(
        lines.map((line) => line.split(/ {2,}/)),
        [
          ["ok", "reached", "1"],
          ["", "of interest", "2"],
          ["MISSED", "missed", "3"]
        ]
      )
    })
  )
})
