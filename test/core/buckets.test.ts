import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Buckets from "../../src/core/buckets.js"
import { runs } from "../support/runs.js"

// ------------------------------------------------------------------------------------------------- the obvious model

type Events = ReadonlyArray<string>

const none = Buckets.empties<Events>([])

const record = (before: Buckets.Buckets<Events>, event: string, now: number): Buckets.Buckets<Events> => {
  const buckets = Buckets.advance(before, none, now)
  return Object.freeze({ ...buckets, current: Object.freeze([...buckets.current, event]) })
}

interface Logged {
  readonly at: number
  readonly event: string
}

/** Whole numbers of any size, so that nothing is rounded. */
const bucketOf = (at: number, within: number): bigint => (BigInt(at) * 10n) / BigInt(within)

/** The ten buckets worked out from a log of everything there ever was. */
const bucketsOf = (log: ReadonlyArray<Logged>, within: number, now: number): ReadonlyArray<Events> => {
  const list = Array.from({ length: 10 }, (): Array<string> => [])
  for (const { at, event } of log) list[9 - Number(bucketOf(now, within) - bucketOf(at, within))]?.push(event)
  return list
}

// --------------------------------------------------------------------------------------------------------------- tests

const within = FastCheck.oneof(
  FastCheck.constantFrom(10, 11, 15, 30, 33, 70, 100, 333, 1000, 30_000),
  FastCheck.integer({ min: 10, max: 100_000 })
)

/** Time in tenths of the window, give or take a millisecond: on a bound, next to it, and far beyond the window. */
const wait = FastCheck.tuple(
  FastCheck.constantFrom(0, 0, 0, 1, 1, 2, 5, 8, 9, 10, 11, 19, 1000),
  FastCheck.integer({ min: -1, max: 2 })
)
const started = FastCheck.constantFrom(0, 7, 123_456, 1_700_000_000_003)

describe("ten buckets", () => {
  it("agree with a log of all events on any window at any whole millisecond", () => {
    FastCheck.assert(
      FastCheck.property(
        within,
        started,
        FastCheck.array(wait, { maxLength: 40, size: "max" }),
        (within, started, waits) => {
          const log: Array<Logged> = []
          let now = started
          let buckets = Buckets.start(within, none, now)
          for (const [tenths, off] of waits) {
            now += Math.max(0, Math.floor((tenths * within) / 10) + off)
            const read = Buckets.advance(buckets, none, now)
            assert.deepStrictEqual(Buckets.toList(read), bucketsOf(log, within, now))
            // What is younger than nine tenths is there, what is as old as the window is not.
            const kept = new Set(Buckets.toList(read).flat())
            const misplaced = log.filter(({ at, event }) =>
              kept.has(event) ? now - at >= within : 10 * (now - at) <= 9 * within
            )
            assert.isEmpty(misplaced)
            const event = `${log.length}`
            log.push({ at: now, event })
            buckets = record(buckets, event, now)
          }
        }
      ),
      { numRuns: runs(100, 20_000) }
    )
  })

  it.each([
    { within: 11, bound: 11 },
    { within: 30, bound: 3 },
    { within: 70, bound: 7 },
    { within: 333, bound: 333 },
    { within: 1230, bound: 123 },
    { within: 12_345, bound: 2469 }
  ])("of $within ms end at every multiple of a tenth that is a whole millisecond", ({ bound, within }) => {
    for (let at = bound; at < 20_000; at += bound) {
      const before = Buckets.start(within, none, at - 1)
      const { bucket } = Buckets.advance(before, none, at)
      if (before.bucket !== Number(bucketOf(at - 1, within)) || bucket !== Number(bucketOf(at, within))) {
        assert.fail(`${before.bucket} before ${at} and ${bucket} from then on`)
      }
    }
  })

  it("are empty and share their arrays after as long as the window", () => {
    const busy = record(Buckets.start(100, none, 0), "event", 0)
    const idle = Buckets.advance(busy, none, 100)
    assert.deepStrictEqual(idle, Buckets.start(100, none, 100))
    assert.strictEqual(idle.older, none)
    assert.strictEqual(Buckets.advance(busy, none, 99).older[0], busy.current)
  })

  it("stay as they are when the clock goes back", () => {
    const buckets = record(Buckets.start(100, none, 500), "event", 500)
    for (const now of [500, 509, 499, 0, -1000])
      assert.strictEqual(Buckets.advance(buckets, none, now), buckets)
  })

  it.each([0, 1, 9, 10, 12])("are made of the newest ten of a list of %i", (length) => {
    const list = Array.from({ length }, (_, index) => [`${index}`])
    const buckets = Buckets.fromList(100, list, none, 1234)
    const missing = Math.max(0, 10 - length)
    assert.deepStrictEqual(Buckets.toList(buckets), [
      ...Array.from({ length: missing }, () => []),
      ...list.slice(-10)
    ])
    assert.strictEqual(buckets.bucket, 123)
    assert.deepStrictEqual(Buckets.fromList(100, Buckets.toList(buckets), none, 1234), buckets)
  })
})
