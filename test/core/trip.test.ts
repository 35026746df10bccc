import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { InvalidOption } from "../../src/core/options.js"
import * as Trip from "../../src/core/trip.js"
import * as Window from "../../src/core/window.js"
import { record } from "./model.js"

// --------------------------------------------------------------------------------------------- calls in a few letters

/** `s` is a success and `f` a failure; the capital letter is one that took longer than 100 ms. */
const callOf = (letter: string): Trip.Call => ({
  failed: letter.toLowerCase() === "f",
  duration: letter === letter.toUpperCase() ? 101 : 100
})

/** What a rule has seen of calls that came one a millisecond from 0 on. */
const seenAfter = (trip: Trip.Trip, calls: string): Trip.Seen =>
  Array.from(calls).reduce((seen, letter, at) => record(seen, callOf(letter), at), Trip.nothing(trip, 0))

/** Whether a rule is met after each of the calls: `x` where it is, `.` where it is not. */
const metAfterEach = (trip: Trip.Trip, calls: string): string =>
  Array.from(calls, (_, at) => (Trip.isMet(seenAfter(trip, calls.slice(0, at + 1)), at) ? "x" : ".")).join("")

const rateOf = (threshold: number, window: Trip.Extent, minimumCalls?: number) =>
  Trip.failureRate({ threshold, window, minimumCalls })
const slowRateOf = (threshold: number, window: Trip.Extent, minimumCalls?: number) =>
  Trip.slowRate({ slowerThan: 100, threshold, window, minimumCalls })

describe("a trip rule", () => {
  it.each<[rule: string, trip: Trip.Trip, calls: string, met: string]>([
    ["one failure", Trip.consecutive(1), "sfs", ".x."],
    ["failures in a row", Trip.consecutive(3), "ffsfffs", ".....x."],
    ["failures among the last calls", Trip.failures(2, { of: 3 }), "fssffss", "....xx."],
    ["failures before the window is full", Trip.failures(2, { of: 100 }), "sff", "..x"],
    ["failures of every call", Trip.failures(3, { of: 3 }), "ffsfff", ".....x"],
    ["failures within a time", Trip.failures(2, { within: 10 }), "fsssssssssf", "..........."],
    ["failures just within a time", Trip.failures(2, { within: 10 }), "fssssssssfs", ".........x."],
    ["a rate that waits for a full window", rateOf(0.5, { of: 4 }), "fffss", "...xx"],
    ["a rate that waits for some calls", rateOf(0.5, { of: 4 }, 2), "ffssss", ".xxx.."],
    ["a rate that a success completes", rateOf(0.5, { of: 2 }), "fs", ".x"],
    ["a rate of everything", rateOf(1, { of: 3 }, 2), "fsfff", "....x"],
    ["a rate within a time", rateOf(0.5, { within: 10 }, 2), "ffssssssss", ".xxx......"],
    ["a rate within a time, 20 calls", rateOf(0.5, { within: 100 }), "f".repeat(20), `${".".repeat(19)}x`],
    ["slow calls, failed or not", slowRateOf(0.5, { of: 4 }, 2), "fsSFf", "...xx"],
    ["calls exactly as slow as allowed", slowRateOf(0.5, { of: 4 }, 1), "sfs", "..."],
    ["slow calls within a time", slowRateOf(1, { within: 10 }, 2), "SSs", ".x."],
    [
      "the first of several",
      Trip.any([Trip.consecutive(3), slowRateOf(1, { of: 1 })]),
      "fSffsfff",
      ".x.....x"
    ],
    [
      "rules within rules",
      Trip.any([Trip.consecutive(9), Trip.any([Trip.failures(2, { of: 2 }), Trip.failures(2, { of: 4 })])]),
      "fsfsss",
      "..xx.."
    ]
  ])("is met: %s", (_, trip, calls, met) => {
    assert.strictEqual(metAfterEach(trip, calls), met)
    const own = Trip.nothing(trip, 0)
    const counted = Array.from(calls, (letter, at) => {
      const { duration, failed } = callOf(letter)
      return Trip.count(own, failed, duration, at) ? "x" : "."
    })
    assert.strictEqual(counted.join(""), met)
    assert.deepStrictEqual(own, seenAfter(trip, calls))
  })

  it("is not met by nothing", () => {
    const rules = [
      Trip.consecutive(1),
      Trip.failures(1, { of: 1 }),
      rateOf(0.1, { of: 1 }),
      slowRateOf(0.1, { within: 10 })
    ]
    for (const trip of [...rules, Trip.any(rules)]) assert.isFalse(Trip.isMet(Trip.nothing(trip, 0), 0))
  })

  it("over time is no longer met once its calls are too old, though nothing was recorded since", () => {
    const trip = Trip.any([Trip.failures(2, { within: 100 }), rateOf(0.5, { within: 100 }, 2)])
    const seen = seenAfter(trip, "ff")
    assert.isTrue(Trip.isMet(seen, 99))
    assert.isFalse(Trip.isMet(seen, 100))
    assert.deepStrictEqual(
      Trip.readings(seen, 100).map(({ calls, hits, met, rate }) => ({ calls, hits, met, rate })),
      [0, 1].map(() => ({ calls: 0, hits: 0, met: false, rate: 0 }))
    )
  })

  it("shows the numbers behind its answer, rule by rule in the order given", () => {
    const trip = Trip.any([
      Trip.consecutive(3),
      Trip.any([Trip.failures(2, { of: 5 }), rateOf(0.5, { of: 4 })]),
      slowRateOf(0.25, { within: 100 }, 1)
    ])
    assert.deepStrictEqual(Trip.readings(seenAfter(trip, "fSff"), 3), [
      { rule: "consecutive", calls: 2, hits: 2, rate: 1, threshold: 3, met: false },
      { rule: "failures", calls: 4, hits: 3, rate: 0.75, threshold: 2, met: true, of: 5 },
      {
        rule: "failureRate",
        calls: 4,
        hits: 3,
        rate: 0.75,
        threshold: 0.5,
        met: true,
        of: 4,
        minimumCalls: 4
      },
      {
        rule: "slowRate",
        calls: 4,
        hits: 1,
        rate: 0.25,
        threshold: 0.25,
        met: true,
        within: 100,
        minimumCalls: 1,
        slowerThan: 100
      }
    ])
  })
})

// -------------------------------------------------------------------------------------------------------- as a value

const allKinds = Trip.any([
  Trip.consecutive(3),
  Trip.failures(2, { of: 3 }),
  Trip.any([Trip.failures(2, { within: 100 }), rateOf(0.5, { of: 4 })]),
  slowRateOf(0.25, { within: 200 })
])

describe("a trip rule as a value", () => {
  it.each<[trip: Trip.Trip, described: string, looksAtTime: boolean]>([
    [Trip.consecutive(3), "consecutive(3)", false],
    [Trip.failures(2, { of: 3 }), "failures(2 of 3)", false],
    [Trip.failures(2, { within: 100 }), "failures(2 within 100ms)", true],
    [rateOf(0.5, { of: 4 }), "failureRate(0.5 of 4, at least 4 calls)", false],
    [rateOf(0.5, { within: 100 }), "failureRate(0.5 within 100ms, at least 20 calls)", true],
    [slowRateOf(0.5, { of: 4 }, 2), "slowRate(0.5 slower than 100ms of 4, at least 2 calls)", true],
    [
      Trip.any([Trip.consecutive(3), Trip.failures(2, { of: 3 })]),
      "any(consecutive(3), failures(2 of 3))",
      false
    ],
    [
      Trip.any([Trip.consecutive(3), rateOf(1, { within: 10 }, 1)]),
      "any(consecutive(3), failureRate(1 within 10ms, at least 1 calls))",
      true
    ]
  ])("%j is described as %s and looks at time: %s", (trip, described, looksAtTime) => {
    assert.strictEqual(Trip.describe(trip), described)
    assert.strictEqual(Trip.looksAtTime(trip), looksAtTime)
  })

  it.each<[trip: Trip.Trip, calls: string, hits: boolean]>([
    [Trip.consecutive(3), "sf", true],
    [Trip.consecutive(3), "fs", false],
    [Trip.failures(2, { of: 2 }), "fs", true],
    [Trip.failures(2, { of: 2 }), "fss", false],
    [slowRateOf(1, { of: 2 }), "ff", false],
    [slowRateOf(1, { of: 2 }), "fS", true],
    [Trip.any([Trip.consecutive(9), slowRateOf(1, { of: 9 })]), "s", false],
    [Trip.any([Trip.consecutive(9), slowRateOf(1, { of: 9 })]), "S", true],
    [Trip.any([Trip.consecutive(9), slowRateOf(1, { of: 9 })]), "f", true]
  ])("%j has something that speaks for opening after %s: %s", (trip, calls, hits) => {
    assert.strictEqual(Trip.hasHits(seenAfter(trip, calls), calls.length), hits)
  })

  it("over time has nothing that speaks for opening once it is too old", () => {
    const seen = seenAfter(Trip.failures(2, { within: 100 }), "f")
    assert.deepStrictEqual([Trip.hasHits(seen, 99), Trip.hasHits(seen, 100)], [true, false])
  })

  it("counts a call as slow by any of its rules for slow calls, and by no other", () => {
    const slow = (trip: Trip.Trip) =>
      Array.from("sSfF", (letter) => Trip.isSlow(trip, callOf(letter).duration))
    assert.deepStrictEqual(slow(slowRateOf(1, { of: 1 })), [false, true, false, true])
    assert.deepStrictEqual(slow(allKinds), [false, true, false, true])
    assert.deepStrictEqual(slow(rateOf(1, { of: 1 })), [false, false, false, false])
    assert.deepStrictEqual(slow(Trip.any([Trip.consecutive(1)])), [false, false, false, false])
  })

  it("is counted in a copy, and an old one stays as it was", () => {
    const seen = seenAfter(allKinds, "fSfs")
    const before = structuredClone(seen)
    const own = Trip.copyOf(seen)
    assert.deepStrictEqual(own, seen)
    for (const at of [4, 5, 250, 2500]) Trip.count(own, true, 500, at)
    assert.deepStrictEqual(seen, before)
    assert.notDeepEqual(own, seen)
  })

  it("is remembered as plain data", () => {
    type Bucket = readonly [calls: number, hits: number]
    const buckets = (...newest: Bucket) => [...new Array<Bucket>(9).fill([0, 0]), newest]
    assert.deepStrictEqual(Trip.remember(seenAfter(allKinds, "fSff"), 4), [
      { rule: "consecutive(3)", run: 2 },
      { rule: "failures(2 of 3)", calls: "011" },
      { rule: "failures(2 within 100ms)", buckets: buckets(4, 3) },
      { rule: "failureRate(0.5 of 4, at least 4 calls)", calls: "1011" },
      { rule: "slowRate(0.25 slower than 100ms within 200ms, at least 20 calls)", buckets: buckets(4, 1) }
    ])
  })

  it("starts with nothing where what is remembered says nothing", () => {
    const memories = Trip.remember(Trip.nothing(allKinds, 5000), 5000).map(({ rule }) => ({ rule }))
    assert.deepStrictEqual(Trip.recall(allKinds, memories, 5000, 10), Trip.nothing(allKinds, 5000))
    assert.deepStrictEqual(Trip.recall(allKinds, [], 5000, 10), Trip.nothing(allKinds, 5000))
  })
})

// ----------------------------------------------------------------------------------------------- rates, without rounding

const reached = (threshold: number, calls: number, hits: number): boolean => {
  const trip = rateOf(threshold, { within: 1000 }, 1)
  return Trip.isMet({ _tag: "time", rule: trip, window: Window.fromBuckets(1000, [{ calls, hits }], 0) }, 0)
}

const isShare = (calls: number, hits: number, numerator: bigint, denominator: bigint): boolean =>
  BigInt(hits) * denominator >= numerator * BigInt(calls)

describe("a failure rate", () => {
  it.each([
    { hits: 99, met: false },
    { hits: 100, met: true }
  ])("of $hits in 200 reaches a half: $met", ({ hits, met }) => {
    const trip = rateOf(0.5, { of: 200 })
    assert.strictEqual(Trip.isMet(seenAfter(trip, "s".repeat(200 - hits) + "f".repeat(hits)), 200), met)
  })

  it.each<[threshold: number, numerator: bigint, denominator: bigint]>([
    [0.1, 1n, 10n],
    [0.3, 3n, 10n],
    [0.5, 1n, 2n],
    [0.7, 7n, 10n],
    [1 / 3, 1n, 3n],
    [2 / 3, 2n, 3n],
    [0.29, 29n, 100n],
    [0.57, 57n, 100n],
    // 0.07 * 100 and 0.55 * 100 round up, 0.29 * 100 and 0.57 * 100 round down.
    [0.07, 7n, 100n],
    [0.55, 55n, 100n],
    [0.001, 1n, 1000n],
    [0.999999, 999999n, 1000000n],
    [1, 1n, 1n]
  ])("reaches %d exactly when whole numbers say so", (threshold, numerator, denominator) => {
    const check = (calls: number) => {
      const edge = Number((numerator * BigInt(calls)) / denominator)
      for (const hits of [edge - 1, edge, edge + 1]) {
        if (hits < 0 || hits > calls) continue
        if (reached(threshold, calls, hits) !== isShare(calls, hits, numerator, denominator)) {
          assert.fail(
            `${hits} of ${calls} must ${reached(threshold, calls, hits) ? "not " : ""}reach ${threshold}`
          )
        }
      }
    }
    for (let calls = 1; calls <= 2000; calls++) check(calls)
    for (let calls = 999_900; calls <= Trip.maxWindowCalls; calls++) check(calls)
  })

  it("compares exactly with any decimal of up to six places", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 1_000_000 }),
        FastCheck.integer({ min: 1, max: 1_000_000 }),
        FastCheck.integer({ min: -1, max: 1 }),
        (millionths, calls, off) => {
          const threshold = Number(`${millionths}e-6`)
          const hits = Math.min(calls, Math.max(0, Math.round((millionths * calls) / 1e6) + off))
          assert.strictEqual(
            reached(threshold, calls, hits),
            isShare(calls, hits, BigInt(millionths), 1_000_000n)
          )
        }
      ),
      { numRuns: 5000 }
    )
  })
})

// ---------------------------------------------------------------------------------------------------------- construction

describe("a trip rule out of range is refused", () => {
  const rate = (options: Partial<Trip.RateOptions>) =>
    Trip.failureRate({ threshold: 0.5, minimumCalls: undefined, window: { of: 10 }, ...options })
  const slow = (options: Partial<Trip.RateOptions & { readonly slowerThan: number }>) =>
    Trip.slowRate({
      slowerThan: 100,
      threshold: 0.5,
      minimumCalls: undefined,
      window: { of: 10 },
      ...options
    })

  it.each<[message: string, build: () => unknown]>([
    [
      'Trip.consecutive: option "count" must be a whole number of at least 1, got 0',
      () => Trip.consecutive(0)
    ],
    [
      'Trip.consecutive: option "count" must be a whole number of at least 1, got 2.5',
      () => Trip.consecutive(2.5)
    ],
    [
      'Trip.consecutive: option "count" must be a whole number of at least 1, got NaN',
      () => Trip.consecutive(NaN)
    ],
    [
      'Trip.failures: option "count" must be a whole number of at least 1, got 0',
      () => Trip.failures(0, { of: 10 })
    ],
    ['Trip.failures: option "count" must be at most "of" (10), got 11', () => Trip.failures(11, { of: 10 })],
    [
      'Trip.failures: option "of" must be a whole number from 1 to 1000000, got 0',
      () => Trip.failures(1, { of: 0 })
    ],
    [
      'Trip.failures: option "of" must be a whole number from 1 to 1000000, got 1000001',
      () => Trip.failures(1, { of: 1_000_001 })
    ],
    [
      'Trip.failures: option "within" must be a finite number of at least 10, got 9',
      () => Trip.failures(1, { within: 9 })
    ],
    [
      'Trip.failures: option "within" must be a finite number of at least 10, got Infinity',
      () => Trip.failures(1, { within: Infinity })
    ],
    [
      'Trip.failureRate: option "threshold" must be a fraction greater than 0 and at most 1, got 0',
      () => rate({ threshold: 0 })
    ],
    [
      'Trip.failureRate: option "threshold" must be a fraction greater than 0 and at most 1, got 50',
      () => rate({ threshold: 50 })
    ],
    [
      'Trip.failureRate: option "minimumCalls" must be a whole number of at least 1, got 0',
      () => rate({ minimumCalls: 0 })
    ],
    [
      'Trip.failureRate: option "minimumCalls" must be at most "of" (10), got 11',
      () => rate({ minimumCalls: 11 })
    ],
    [
      'Trip.failureRate: option "of" must be a whole number from 1 to 1000000, got -1',
      () => rate({ window: { of: -1 } })
    ],
    [
      'Trip.failureRate: option "within" must be a finite number of at least 10, got 0',
      () => rate({ window: { within: 0 } })
    ],
    [
      'Trip.slowRate: option "slowerThan" must be a finite number of at least 0, got -1',
      () => slow({ slowerThan: -1 })
    ],
    [
      'Trip.slowRate: option "slowerThan" must be a finite number of at least 0, got Infinity',
      () => slow({ slowerThan: Infinity })
    ],
    [
      'Trip.slowRate: option "threshold" must be a fraction greater than 0 and at most 1, got 1.5',
      () => slow({ threshold: 1.5 })
    ],
    [
      'Trip.slowRate: option "minimumCalls" must be at most "of" (10), got 11',
      () => slow({ minimumCalls: 11 })
    ],
    [
      'Trip.slowRate: option "within" must be a finite number of at least 10, got NaN',
      () => slow({ window: { within: NaN } })
    ],
    ['Trip.any: option "rules" must be at least one rule, got []', () => Trip.any([])],
    ['Trip.any: option "rules" must be at least one rule, got "all"', () => Trip.any("all" as never)],
    [
      'Trip.any: option "rules[1]" must be a rule made by Trip, got {}',
      () => Trip.any([Trip.consecutive(1), {} as never])
    ],
    [
      'Trip.any: option "rules[0].rules[0].count" must be a whole number of at least 1, got 0',
      () => Trip.any([{ _tag: "any", rules: [{ _tag: "consecutive", count: 0 }] }])
    ],
    ...[undefined, {}, "of", [10]].map((window): [string, () => unknown] => [
      `Trip.failures: option "of" must be a number of calls, or "within" a duration: one is needed, got undefined`,
      () => Trip.failures(1, window as never)
    ])
  ])("%s", (message, build) => {
    let error: unknown
    try {
      build()
    } catch (thrown) {
      error = thrown
    }
    assert.instanceOf(error, InvalidOption)
    assert.strictEqual((error as Error).message, message)
  })

  it("except at the edges of the range", () => {
    assert.deepStrictEqual(Trip.failures(10, { of: 10 }), { _tag: "failures", count: 10, window: { of: 10 } })
    assert.strictEqual(Trip.failures(99, { within: 10 }).count, 99)
    assert.strictEqual(rate({ window: { of: 1_000_000 } }).minimumCalls, 1_000_000)
    assert.strictEqual(rate({ minimumCalls: 10, threshold: 1 }).minimumCalls, 10)
    assert.strictEqual(rate({ window: { within: 10 }, minimumCalls: undefined }).minimumCalls, 20)
    assert.strictEqual(slow({ slowerThan: 0 }).slowerThan, 0)
  })
})

describe("a trip rule that is given as a value", () => {
  it.each([null, "consecutive", {}, { _tag: "toString" }, { _tag: "run" }])("is not %j", (value) => {
    assert.throws(
      () => Trip.checked("CircuitBreaker.make", "trip", value as never),
      /^CircuitBreaker.make: option "trip" must be a rule made by Trip, got /
    )
  })

  it.each<[trip: Trip.Trip, broken: object, message: string]>([
    [Trip.consecutive(3), { count: 0 }, '"trip.count" must be a whole number of at least 1, got 0'],
    [Trip.failures(2, { of: 3 }), { count: 4 }, '"trip.count" must be at most "of" (3), got 4'],
    [
      rateOf(0.5, { of: 4 }),
      { threshold: 0 },
      '"trip.threshold" must be a fraction greater than 0 and at most 1, got 0'
    ],
    [
      slowRateOf(0.5, { of: 4 }),
      { slowerThan: -1 },
      '"trip.slowerThan" must be a finite number of at least 0, got -1'
    ],
    [allKinds, { rules: [] }, '"trip.rules" must be at least one rule, got []']
  ])("is checked again: %j", (trip, broken, message) => {
    assert.deepStrictEqual(Trip.checked("CircuitBreaker.make", "trip", trip), trip)
    assert.throws(
      () => Trip.checked("CircuitBreaker.make", "trip", { ...trip, ...broken }),
      `CircuitBreaker.make: option ${message}`
    )
  })
})

// ---------------------------------------------------------------------------------------------------- surviving a restart

const throughJson = <A>(value: A): A => JSON.parse(JSON.stringify(value)) as A

const recalled = (before: Trip.Trip, after: Trip.Trip, calls: string, now: number, elapsed: number) => {
  const memory = throughJson(Trip.remember(seenAfter(before, calls), calls.length))
  return Trip.readings(Trip.recall(after, memory, now, elapsed), now)
}

describe("what a trip rule has seen survives a restart", () => {
  const calls = "fsSfFssfsffF".repeat(4)

  it.each<[Trip.Trip]>([
    [Trip.consecutive(3)],
    [Trip.failures(3, { of: 5 })],
    [Trip.failures(3, { of: 33 })],
    [Trip.failures(3, { of: 1000 })],
    [Trip.failures(3, { within: 40 })],
    [rateOf(0.5, { of: 32 })],
    [slowRateOf(0.5, { within: 40 })],
    [Trip.any([Trip.consecutive(3), Trip.any([Trip.failures(3, { of: 5 }), rateOf(0.5, { within: 40 })])])]
  ])("%j", (trip) => {
    const now = calls.length
    for (const elapsed of [0, 1, 20, 39, 40, 1000]) {
      const leftAlone = Trip.readings(seenAfter(trip, calls), now + elapsed)
      assert.deepStrictEqual(recalled(trip, trip, calls, now + elapsed, elapsed), leftAlone, `${elapsed} ms`)
    }
  })

  it("and it forgets as it would have done", () => {
    const trip = Trip.failures(3, { of: 5 })
    const memory = throughJson(Trip.remember(seenAfter(trip, "sfsff"), 5))
    const seen = Array.from("sss").reduce(
      (seen, letter) => record(seen, callOf(letter), 0),
      Trip.recall(trip, memory, 0, 0)
    )
    assert.deepInclude(Trip.readings(seen, 0)[0], { calls: 5, hits: 2 })
  })

  it("on another clock, within one bucket's precision", () => {
    const within = 100
    const trip = Trip.failures(1, { within })
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.nat({ max: 200 }), { maxLength: 20 }),
        FastCheck.nat({ max: 130 }),
        FastCheck.constantFrom(-1_000_003, 0, 4, 5_555, 1e12),
        (ages, elapsed, clock) => {
          const oldNow = 1000
          const seen = ages
            .slice()
            .sort((a, b) => b - a)
            .reduce((seen, age) => record(seen, callOf("f"), oldNow - age), Trip.nothing(trip, oldNow - 200))
          const memory = throughJson(Trip.remember(seen, oldNow))
          const now = clock + elapsed
          const [{ hits }] = Trip.readings(Trip.recall(trip, memory, now, elapsed), now) as [Trip.Reading]
          const youngerThan = (age: number) => ages.filter((old) => old + elapsed < age).length
          assert.isAtLeast(hits, youngerThan(0.8 * within))
          assert.isAtMost(hits, youngerThan(1.1 * within))
        }
      ),
      { numRuns: 500 }
    )
  })

  it.each<[what: string, before: Trip.Trip, after: Trip.Trip]>([
    ["another count", Trip.consecutive(3), Trip.consecutive(4)],
    ["another kind", Trip.failures(3, { of: 10 }), rateOf(0.3, { of: 10 })],
    ["calls instead of time", Trip.failures(3, { of: 100 }), Trip.failures(3, { within: 100 })],
    ["another length", Trip.failures(3, { of: 100 }), Trip.failures(3, { of: 101 })],
    ["another share", rateOf(0.5, { within: 100 }), rateOf(0.6, { within: 100 })],
    ["another minimum", rateOf(0.5, { within: 100 }), rateOf(0.5, { within: 100 }, 19)],
    [
      "another idea of slow",
      slowRateOf(0.5, { of: 10 }),
      Trip.slowRate({ slowerThan: 99, threshold: 0.5, window: { of: 10 }, minimumCalls: undefined })
    ]
  ])("but not a change to %s", (_, before, after) => {
    const readings = recalled(before, Trip.any([after, before]), calls, calls.length, 0)
    assert.deepInclude(readings[0], { calls: 0, hits: 0, met: false })
    assert.deepEqual(readings.slice(1), recalled(before, before, calls, calls.length, 0))
    assert.isAbove(readings[1].calls, 0)
  })
})

describe("many calls counted at once", () => {
  const arbitrary = FastCheck.array(FastCheck.constantFrom("s", "f", "S", "F"), { maxLength: 12 })
  const sumsOf = (calls: ReadonlyArray<string>): Trip.Sums => ({
    successes: calls.filter((call) => call.toLowerCase() === "s").length,
    failures: calls.filter((call) => call.toLowerCase() === "f").length,
    slow: calls.filter((call) => call === call.toUpperCase()).length
  })
  /** The readings after calls one by one before, and then others one by one and at once. */
  const both = (trip: Trip.Trip, before: ReadonlyArray<string>, calls: ReadonlyArray<string>, at = 5) => {
    const one = Trip.nothing(trip, 0)
    const many = Trip.nothing(trip, 0)
    for (const call of before) {
      for (const seen of [one, many]) Trip.count(seen, callOf(call).failed, callOf(call).duration, 0)
    }
    for (const call of calls) Trip.count(one, callOf(call).failed, callOf(call).duration, at)
    Trip.countMany(many, sumsOf(calls), at)
    return [Trip.readings(one, at), Trip.readings(many, at)] as const
  }

  it("are in a window over time what they are one by one", () => {
    const trip = Trip.any([rateOf(0.5, { within: 100 }, 1), slowRateOf(0.5, { within: 50 }, 1)])
    FastCheck.assert(
      FastCheck.property(arbitrary, arbitrary, FastCheck.nat({ max: 200 }), (before, calls, at) => {
        const [one, many] = both(trip, before, calls, at)
        assert.deepStrictEqual(many, one)
      })
    )
  })

  it("are in a window over calls what they are one by one, as long as it holds them", () => {
    const trip = Trip.any([rateOf(0.5, { of: 12 }, 1), slowRateOf(0.5, { of: 40 }, 1)])
    FastCheck.assert(
      FastCheck.property(arbitrary, arbitrary, (before, calls) => {
        const [one, many] = both(trip, before, calls)
        assert.deepStrictEqual(many, one)
      })
    )
  })

  it("fill a window over calls that is too small with no larger a share of hits than theirs", () => {
    FastCheck.assert(
      FastCheck.property(
        arbitrary,
        FastCheck.array(FastCheck.constantFrom("s", "f"), { minLength: 5, maxLength: 300 }),
        FastCheck.integer({ min: 1, max: 5 }),
        (before, calls, size) => {
          const [, [many]] = both(rateOf(0.5, { of: size }, 1), before, calls)
          const share = sumsOf(calls).failures / calls.length
          assert.strictEqual(many.calls, size)
          assert.isAtMost(many.rate, share)
          assert.isAbove(many.rate, share - 1 / size)
        }
      )
    )
  })

  it("spread their hits, so that the newest of them are no worse than the oldest", () => {
    const seen = Trip.nothing(rateOf(0.5, { of: 10 }, 1), 0)
    Trip.countMany(seen, { successes: 5, failures: 5, slow: 0 }, 0)
    for (let call = 0; call < 5; call++) Trip.count(seen, false, 0, 0)
    assert.strictEqual(Trip.readings(seen, 0)[0].hits, 3)
  })

  it("go on with a row of failures if all of them failed, and end it with any success", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.nat({ max: 5 }), arbitrary, (before, calls) => {
        const [[one], [many]] = both(Trip.consecutive(3), "f".repeat(before).split(""), calls)
        assert.isAtMost(many.calls, one.calls)
        const { failures, successes } = sumsOf(calls)
        assert.strictEqual(many.calls, successes > 0 ? 0 : before + failures)
      })
    )
  })

  it("end with the row of failures that is known", () => {
    const seen = Trip.nothing(Trip.consecutive(3), 0)
    Trip.countMany(seen, { successes: 4, failures: 9, slow: 0, run: 3 }, 0)
    assert.isTrue(Trip.isMet(seen, 0))
    Trip.countMany(seen, { successes: 0, failures: 0, slow: 0, run: 0 }, 0)
    assert.isFalse(Trip.isMet(seen, 0))
  })

  it("say how far back rules look, and from when on calls are slow", () => {
    const slower = { slowerThan: 200, threshold: 1, minimumCalls: 1, window: { within: 500 } }
    const trip = Trip.any([Trip.consecutive(3), slowRateOf(1, { within: 70 }), Trip.slowRate(slower)])
    assert.strictEqual(Trip.reach(trip), 500)
    assert.isUndefined(Trip.reach(Trip.any([Trip.consecutive(3), rateOf(1, { of: 5 })])))
    assert.deepStrictEqual(Trip.slowness(trip), new Set([100, 200]))
  })
})
