import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { bucketsPerWindow, toList } from "../../src/core/buckets.js"
import * as Window from "../../src/core/window.js"
import { bucketOf } from "./model.js"

const totals = ({ calls, hits }: Window.Tally): Window.Tally => ({ calls, hits })

const countHits = (calls: ReadonlyArray<boolean>): Window.Tally => ({
  calls: calls.length,
  hits: calls.filter((hit) => hit).length
})

/** The window after one more call. What it was before stays as it was. */
const recordCall = (window: Window.CountWindow, hit: boolean) => Window.countCall({ ...window }, hit)

const recordCallAt = (window: Window.TimeWindow, hit: boolean, now: number) =>
  Window.countCallAt(Window.copyOf(window), hit, now)

// Full words, full blocks and their neighbours, where an eviction could hit the wrong bit.
const sizes = [1, 2, 3, 31, 32, 33, 63, 64, 65, 1000, 1023, 1024, 1025, 1056, 2047, 2048, 2049, 3333]

describe("a window over calls", () => {
  it.each(sizes)("of %i holds the last of them and forgets the others", (size) => {
    const all: Array<boolean> = []
    let window = Window.countWindow(size)
    let hits = 0
    // Odd periods, so that a bit that is evicted in the wrong place shows.
    for (let n = 0; n < 3 * size + 70; n++) {
      const hit = n % 3 === 0 || n % 7 === 1
      all.push(hit)
      window = recordCall(window, hit)
      hits += (hit ? 1 : 0) - (n >= size && all[n - size] ? 1 : 0)
      if (window.hits !== hits || window.calls !== Math.min(size, n + 1)) {
        assert.deepStrictEqual(totals(window), { calls: Math.min(size, n + 1), hits }, `after ${n + 1} calls`)
      }
    }
    assert.deepStrictEqual(Window.outcomes(window), all.slice(-size))
  })

  it("of 100000 holds the last of them and forgets the others", () => {
    const size = 100_000
    const all = Array.from({ length: 2.5 * size }, (_, n) => (n * n) % 11 < 4)
    let window = Window.countWindow(size)
    all.forEach((hit, n) => {
      window = recordCall(window, hit)
      if (n % 9973 === 0) {
        const last = all.slice(Math.max(0, n + 1 - size), n + 1)
        assert.deepStrictEqual(totals(window), countHits(last), `after ${n + 1} calls`)
      }
    })
    assert.isTrue(Window.outcomes(window).every((hit, n) => hit === all[1.5 * size + n]))
  })

  it("agrees with an array on any size and any calls, and an old one stays as it was", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 80 }),
        FastCheck.array(FastCheck.boolean(), { maxLength: 200, size: "max" }),
        (size, calls) => {
          const windows = [Window.countWindow(size)]
          for (const hit of calls) windows.push(recordCall(windows.at(-1)!, hit))
          windows.forEach((window, n) => {
            const last = calls.slice(Math.max(0, n - size), n)
            const { hits } = countHits(last)
            const same = Window.outcomes(window).every((hit, index) => hit === last[index])
            if (!same || window.hits !== hits || window.calls !== last.length) {
              assert.deepStrictEqual(
                [Window.outcomes(window), totals(window)],
                [last, countHits(last)],
                `after ${n}`
              )
            }
          })
        }
      ),
      { numRuns: 300 }
    )
  })

  it.each([33, 1025, 2048])("of %i never changes a window it was made from", (size) => {
    const kept: Array<readonly [Window.CountWindow, string]> = []
    let window = Window.countWindow(size)
    for (let n = 0; n < 2 * size + 40; n++) {
      if (n % 17 === 0 || n % size < 2) kept.push([window, JSON.stringify(window)])
      window = recordCall(window, n % 5 !== 0)
    }
    for (const [old, copy] of kept) assert.strictEqual(JSON.stringify(old), copy)
  })

  it.each([1, 33, 1024, 1025])(
    "of %i is plain data with one bit for each call, in words of 32 and blocks of 1024",
    (size) => {
      let window = Window.countWindow(size)
      for (let n = 0; n < size + 33; n++) {
        assert.deepStrictEqual(JSON.parse(JSON.stringify(window)), window, `after ${n} calls`)
        window = recordCall(window, n % 3 === 0)
      }
      assert.strictEqual(window.blocks.length, Math.ceil(size / 1024))
      assert.isTrue(window.blocks.every((block) => block.length === 32))
    }
  )

  it("copies its blocks once in 32 calls", () => {
    let window = Window.countWindow(100)
    for (let n = 1; n <= 100; n++) {
      const next = recordCall(window, true)
      assert.strictEqual(next.blocks !== window.blocks, n % 32 === 0 || n === 100, `call ${n}`)
      window = next
    }
  })
})

/** Calls at random instants: times in steps that hit, miss and skip buckets, and that stand still. */
const steps = FastCheck.array(
  FastCheck.record({
    wait: FastCheck.constantFrom(0, 0, 0.5, 1, 3, 4, 9, 10, 11, 33, 90, 99, 100, 101, 250, 1000),
    hit: FastCheck.boolean(),
    record: FastCheck.boolean()
  }),
  { minLength: 1, maxLength: 60, size: "max" }
)
const within = FastCheck.constantFrom(10, 15, 40, 100, 333, 1000)
const start = FastCheck.constantFrom(0, 7, 99.5, 1_700_000_000_003)

describe("a window over time", () => {
  it("holds what its ten buckets hold, read at any instant, and an old one stays as it was", () => {
    FastCheck.assert(
      FastCheck.property(within, start, steps, (within, start, steps) => {
        const calls: Array<{ readonly at: number; readonly hit: boolean }> = []
        const kept: Array<readonly [Window.TimeWindow, string]> = []
        let now = start
        let window = Window.timeWindow(within, now)
        for (const { hit, record, wait } of steps) {
          now += wait
          kept.push([window, JSON.stringify(window)])
          if (record) {
            calls.push({ at: now, hit })
            window = recordCallAt(window, hit, now)
          }
          const counted = (held: (at: number) => boolean) =>
            countHits(calls.filter(({ at }) => held(at)).map((call) => call.hit))
          const read = totals(Window.expire(window, now))
          const expected = counted((at) => bucketOf(at, within) > bucketOf(now, within) - bucketsPerWindow)
          assert.strictEqual(`${read.calls} ${read.hits}`, `${expected.calls} ${expected.hits}`)
          // A log of all calls, without buckets: what is too old never counts, what is young always does.
          const most = counted((at) => now - at < within)
          const least = counted((at) => now - at <= 0.9 * within)
          assert.isTrue(least.calls <= read.calls && read.calls <= most.calls, "calls")
          assert.isTrue(least.hits <= read.hits && read.hits <= most.hits, "hits")
        }
        for (const [old, copy] of kept) assert.strictEqual(JSON.stringify(old), copy)
      }),
      { numRuns: 500 }
    )
  })

  it.each([
    { after: 89, held: 1 },
    { after: 90, held: 1 },
    { after: 99, held: 1 },
    { after: 100, held: 0 },
    { after: 1000, held: 0 }
  ])("holds $held of one call $after ms later", ({ after, held }) => {
    const window = recordCallAt(Window.timeWindow(100, 0), true, 0)
    assert.deepStrictEqual(totals(Window.expire(window, after)), { calls: held, hits: held })
  })

  it("forgets a call from the end of a bucket as early as nine tenths of its length later", () => {
    const window = recordCallAt(Window.timeWindow(100, 0), true, 9)
    assert.strictEqual(Window.expire(window, 99).calls, 1)
    assert.strictEqual(Window.expire(window, 100).calls, 0)
  })

  it("takes an instant that lies back for the present one", () => {
    const window = recordCallAt(Window.timeWindow(100, 500), true, 500)
    assert.strictEqual(Window.expire(window, 0), window)
    const next = recordCallAt(window, false, 0)
    assert.deepStrictEqual(totals(Window.expire(next, 599)), { calls: 2, hits: 1 })
  })

  it("is the same again when it is made of its buckets", () => {
    FastCheck.assert(
      FastCheck.property(within, start, steps, (within, start, steps) => {
        let now = start
        let window = Window.timeWindow(within, now)
        for (const { hit, wait } of steps) window = recordCallAt(window, hit, (now += wait))
        assert.deepStrictEqual(Window.fromBuckets(within, toList(window), now), window)
      }),
      { numRuns: 50 }
    )
  })

  it.each([
    { given: 0, calls: 0, fresh: 0 },
    { given: 3, calls: 6, fresh: 3 },
    { given: 10, calls: 55, fresh: 10 },
    { given: 12, calls: 75, fresh: 12 }
  ])("made of $given buckets keeps the newest ten", ({ calls, fresh, given }) => {
    const tallies = Array.from({ length: given }, (_, index) => ({ calls: index + 1, hits: 0 }))
    const window = Window.fromBuckets(100, tallies, 1000)
    assert.deepStrictEqual(totals(window), { calls, hits: 0 })
    assert.strictEqual(window.current.calls, fresh)
    assert.strictEqual(toList(window).length, bucketsPerWindow)
  })
})

describe("the rate of a window", () => {
  it.each([
    { calls: 0, hits: 0, rate: 0 },
    { calls: 4, hits: 0, rate: 0 },
    { calls: 4, hits: 1, rate: 0.25 },
    { calls: 4, hits: 4, rate: 1 }
  ])("is $rate for $hits of $calls", ({ rate, ...tally }) => {
    assert.strictEqual(Window.rate(tally), rate)
  })
})
