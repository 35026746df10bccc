import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Quantile from "../../src/core/quantile.js"

// ------------------------------------------------------------------------------------------------- the obvious model

interface Seen {
  readonly duration: number
  readonly at: number
}

const inWindow = (seen: ReadonlyArray<Seen>, window: number, now: number): ReadonlyArray<number> => {
  const sliceOf = (at: number) => Math.floor(at / (window / 10))
  return seen.filter(({ at }) => sliceOf(now) - sliceOf(at) < 10).map(({ duration }) => duration)
}

/** The nearest rank of the sorted durations. */
const exact = (durations: ReadonlyArray<number>, q: number): number | undefined => {
  const sorted = [...durations].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(q * sorted.length - 1e-9) - 1)]
}

const isNear = (actual: number | undefined, expected: number | undefined): void => {
  if (actual === undefined || expected === undefined) {
    assert.strictEqual(actual, expected)
    return
  }
  const error = Math.abs(actual - expected) / expected
  assert.isAtMost(error, Quantile.relativeError + 1e-9, `${actual} for ${expected}`)
}

const of = (durations: ReadonlyArray<number>): Quantile.Durations =>
  durations.reduce((state, duration) => Quantile.record(state, duration, 0), Quantile.durations(30_000, 0))

// --------------------------------------------------------------------------------------------------------------- tests

/** From a tenth of a millisecond to an hour, as often short as long. */
const duration = FastCheck.double({ min: Math.log(0.1), max: Math.log(3_600_000), noNaN: true }).map(Math.exp)

const q = FastCheck.oneof(
  FastCheck.constantFrom(0.5, 0.9, 0.95, 0.99, 0.999),
  FastCheck.double({ min: 0.001, max: 0.999, noNaN: true })
)

describe("a quantile of a window", () => {
  it.prop(
    "is within 2 % of the exact one",
    [FastCheck.array(duration, { minLength: 1, maxLength: 300 }), q],
    ([seen, q]) => {
      isNear(Quantile.quantile(of(seen), q, 0), exact(seen, q))
    }
  )

  it.prop(
    "covers the window, whatever the clock does",
    [
      FastCheck.array(
        FastCheck.tuple(
          // As often from one block of counters, where the place of each counts.
          FastCheck.oneof(duration, FastCheck.integer({ min: 100, max: 130 })),
          FastCheck.constantFrom(0, 1, 5, 10, 30, 100, 400, 1500, 4000)
        ),
        { maxLength: 200, size: "max" }
      ),
      FastCheck.constantFrom(100, 1000, 30_000),
      q
    ],
    ([history, window, q]) => {
      let now = 123_456
      let state = Quantile.durations(window, now)
      const seen: Array<Seen> = []
      for (const [duration, passed] of history) {
        now += passed
        const kept = inWindow(seen, window, now)
        assert.strictEqual(Quantile.count(state, now), kept.length)
        isNear(Quantile.quantile(state, q, now), exact(kept, q))
        state = Quantile.record(state, duration, now)
        seen.push({ duration, at: now })
        // A clock that lies back changes nothing.
        assert.strictEqual(Quantile.count(state, now - 100), Quantile.count(state, now))
      }
    }
  )

  it("is undefined before the first value and after the window has passed", () => {
    const state = Quantile.durations(1000, 0)
    assert.isUndefined(Quantile.quantile(state, 0.5, 0))
    assert.isUndefined(Quantile.quantile(Quantile.record(state, 5, 0), 0.5, 1000))
    assert.isDefined(Quantile.quantile(Quantile.record(state, 5, 0), 0.5, 999))
  })

  it("is the 95th of a hundred, not the 96th", () => {
    const seen = [...new Array<number>(95).fill(10), ...new Array<number>(5).fill(1000)]
    isNear(Quantile.quantile(of(seen), 0.95, 0), 10)
    isNear(Quantile.quantile(of([...seen, 1000]), 0.95, 0), 1000)
    isNear(Quantile.quantile(of(seen.slice(0, 20)), 0.95, 0), 10)
  })

  it("counts what is outside of its range as the nearest that is inside", () => {
    for (const [duration, nearest] of [
      [0, 0.098],
      [-1, 0.098],
      [NaN, 0.098],
      [0.1, 0.098],
      [1e12, 5_733_000],
      [Infinity, 5_733_000]
    ]) {
      const value = Quantile.quantile(of([duration]), 0.5, 0)
      assert.closeTo(value! / nearest, 1, 0.02, String(duration))
    }
  })

  it("is exact in its rank over a million durations, in the order in which they came", () => {
    let state = Quantile.durations(30_000, 0)
    for (let index = 1; index <= 200_000; index++) state = Quantile.record(state, index / 100, 0)
    for (const q of [0.001, 0.25, 0.5, 0.95, 0.99, 0.9999]) isNear(Quantile.quantile(state, q, 0), q * 2000)
    assert.strictEqual(Quantile.count(state, 0), 200_000)
  })

  it("copies only the blocks that a step changes, and shares the empty ones again when all is forgotten", () => {
    const own = ({ all }: Quantile.Durations, shared: Quantile.Durations) =>
      all.blocks.filter((block, at) => block !== shared.all.blocks[at]).length
    const fresh = Quantile.durations(1000, 0)
    const first = Quantile.record(fresh, 1, 0)
    const second = Quantile.record(first, 1000, 500)
    const third = Quantile.record(second, 1000, 1000)
    assert.deepStrictEqual([own(first, fresh), own(second, first), own(third, second)], [1, 1, 2])
    assert.strictEqual(own(Quantile.record(third, 60_000, 5000), fresh), 1)
  })

  it("never changes a state that was given to it", () => {
    const freeze = (value: unknown): void => {
      if (typeof value !== "object" || value === null || Object.isFrozen(value)) return
      Object.freeze(value)
      Object.values(value).forEach(freeze)
    }
    let state = Quantile.durations(1000, 0)
    for (let now = 0; now < 3000; now += 7) {
      freeze(state)
      state = Quantile.record(state, now, now)
    }
    assert.strictEqual(
      Quantile.count(state, 3000),
      inWindow(
        Array.from({ length: 429 }, (_, i) => ({ duration: i, at: i * 7 })),
        1000,
        3000
      ).length
    )
  })
})
