import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Held from "../../src/core/held.js"

describe("the mean of how long permits are held", () => {
  it("begins with the first call and follows the newest ones", () => {
    const after = (held: ReadonlyArray<number>) =>
      held.reduce<number | undefined>((mean, millis) => Held.mean(mean, millis), undefined)
    assert.strictEqual(after([100]), 100)
    assert.strictEqual(after([100, 200]), 130)
    assert.approximately(after([100, ...Array.from({ length: 20 }, () => 10)])!, 10, 0.1)
  })
})

describe("the wait for permits", () => {
  it("is what it takes for so many permits to come back", () => {
    assert.strictEqual(Held.wait(1000, 1, 10, 0, 0), 100)
    assert.strictEqual(Held.wait(1000, 21, 10, 0, 0), 2100)
    assert.strictEqual(Held.wait(1, 1, 3, 0, 0), 1)
  })

  it("is longer by as much of its jitter as is drawn", () => {
    assert.strictEqual(Held.wait(1000, 1, 10, 0.5, 0), 100)
    assert.strictEqual(Held.wait(1000, 1, 10, 0.5, 0.5), 125)
    assert.strictEqual(Held.wait(1000, 1, 10, 2, 0.5), 200)
  })

  it.prop(
    "is spread upwards, by its jitter at the most",
    [
      FastCheck.double({ min: 0, max: 1e6, noNaN: true }),
      FastCheck.integer({ min: 1, max: 1000 }),
      FastCheck.integer({ min: 1, max: 1000 }),
      FastCheck.double({ min: 0, max: 10, noNaN: true }),
      FastCheck.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    ],
    ([held, wanted, permits, jitter, draw]) => {
      const wait = Held.wait(held, wanted, permits, jitter, draw)
      const estimate = Held.wait(held, wanted, permits, 0, draw)
      assert.isAtLeast(wait, estimate)
      assert.isAtMost(wait, Math.ceil(estimate * (1 + jitter)))
    }
  )
})
