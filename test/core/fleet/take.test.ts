import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { Table, type Take } from "../../../src/core/fleet/table.js"
import { runs } from "../../support/runs.js"

const request = (part: Partial<Take>): Take => ({
  id: "rate",
  limit: 1,
  per: 1000,
  burst: 5,
  permits: 1,
  atLeast: part.permits ?? 1,
  spent: 0,
  ...part
})

// The cases of redis-cell's own test, `it_rate_limits`, with a rate of one a second and a burst of five.
describe("a rate of the table answers as redis-cell does", () => {
  const cases = [
    [0, 1, 4, 1000, 0, false],
    [0, 1, 3, 2000, 0, false],
    [0, 1, 2, 3000, 0, false],
    [0, 1, 1, 4000, 0, false],
    [0, 1, 0, 5000, 0, false],
    [0, 1, 0, 5000, 1000, true],
    [3000, 1, 2, 3000, 0, false],
    [3100, 1, 1, 3900, 0, false],
    [4000, 1, 1, 4000, 0, false],
    [8000, 1, 4, 1000, 0, false],
    [9500, 1, 4, 1000, 0, false],
    [9500, 0, 4, 1000, 0, false],
    [9500, 2, 2, 3000, 0, false],
    [9500, 5, 2, 3000, 3000, true]
  ] as const
  it("case by case", () => {
    const table = new Table()
    for (const [now, permits, remaining, resetAfter, retryAfter, limited] of cases) {
      const taken = table.take(request({ permits }), now)
      expect({ ...taken, receipt: undefined }).toEqual({
        granted: limited ? 0 : permits,
        remaining,
        resetAfter,
        retryAfter,
        receipt: undefined
      })
    }
  })

  it("with the example of its manual: CL.THROTTLE user123 15 30 60", () => {
    const taken = new Table().take(request({ burst: 16, limit: 30, per: 60_000 }), 0)
    expect(taken).toMatchObject({ granted: 1, remaining: 15, resetAfter: 2000 })
  })
})

it("permits that come back at once leave no trace", () => {
  const table = new Table()
  const before = table.take(request({ permits: 2 }), 0)
  const { receipt } = table.take(request({ permits: 3 }), 10)
  expect(table.take(request({ permits: -3, receipt }), 20)).toMatchObject({
    granted: -3,
    resetAfter: before.resetAfter - 20
  })
})

it("permits count as granted when they come back with the receipt of a rate that was forgotten, or with none", () => {
  const table = new Table()
  const { receipt } = table.take(request({ permits: 1 }), 0)
  table.take(request({ permits: 5 }), 1000)
  expect(table.take(request({ permits: -1, receipt }), 1000).granted).toBe(0)
  expect(table.take(request({ permits: -1 }), 1000).granted).toBe(0)
})

it("permits that were used without asking are charged first", () => {
  const table = new Table()
  expect(table.take(request({ spent: 4, permits: 3, atLeast: 1 }), 0)).toMatchObject({
    granted: 1,
    remaining: 0
  })
  expect(table.take(request({ spent: 3 }), 0)).toMatchObject({ granted: 0, retryAfter: 4000 })
})

const taking = FastCheck.record({
  after: FastCheck.constantFrom(0, 10, 1000, 2500),
  permits: FastCheck.integer({ min: 1, max: 6 }),
  spent: FastCheck.constantFrom(0, 0, 0, 1, 3)
})
/** A part of an earlier grant comes back. */
const givingBack = FastCheck.record({
  after: FastCheck.constantFrom(0, 10, 1000),
  grant: FastCheck.nat(),
  share: FastCheck.constantFrom(0.5, 1)
})
const steps = FastCheck.array(FastCheck.oneof(taking, givingBack), { minLength: 4, maxLength: 40 })

it("what is granted and never comes back keeps the rate, whatever else comes back and when", () => {
  const property = FastCheck.property(steps, (steps) => {
    const table = new Table()
    const grants: Array<{ readonly at: number; readonly receipt: string; left: number }> = []
    let now = 0
    for (const step of steps) {
      now += step.after
      if ("permits" in step) {
        const { granted, receipt } = table.take(request({ permits: step.permits, atLeast: 1 }), now)
        grants.push({ at: now, receipt, left: granted })
        if (step.spent > 0) table.take(request({ permits: 0, spent: step.spent }), now)
        continue
      }
      const grant = grants.at(step.grant % (grants.length + 1))
      const count = Math.ceil((grant?.left ?? 0) * step.share)
      if (grant === undefined || count === 0) continue
      table.take(request({ permits: -count, receipt: grant.receipt }), now)
      grant.left -= count
    }
    for (const [first, { at }] of grants.entries()) {
      let sum = 0
      for (const later of grants.slice(first)) {
        sum += later.left
        expect(sum).toBeLessThanOrEqual(5 + (later.at - at) / 1000 + 1e-6)
      }
    }
  })
  FastCheck.assert(property, { numRuns: runs(300, 20_000) })
})
