import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Core from "../../src/core/cache.js"
import { runs, show } from "../support/runs.js"
import { chance } from "../support/chance.js"

const unbounded: Core.Bounds = { staleWhileRevalidate: 0, staleIfError: 0, maxAge: Infinity }

/** What a value is at each of the given ages. */
const ages = (bounds: Partial<Core.Bounds>, timeToLive: number, at: ReadonlyArray<number>) => {
  const life = Core.lifetime({ ...unbounded, ...bounds }, timeToLive, 0, 1000)
  return at.map((age) => Core.freshness(life, 1000 + age))
}

describe("the life of a cached value", () => {
  it("is fresh, then stale, then expired, then gone, each bound exclusive", () => {
    const bounds = { staleWhileRevalidate: 20, staleIfError: 50 }
    assert.deepStrictEqual(ages(bounds, 10, [0, 9.999, 10, 29.999, 30, 59.999, 60, 1e9]), [
      "fresh",
      "fresh",
      "stale",
      "stale",
      "expired",
      "expired",
      "gone",
      "gone"
    ])
  })

  it("is over at the end of its freshness where nothing stale is served", () => {
    assert.deepStrictEqual(ages({}, 10, [9.999, 10]), ["fresh", "gone"])
  })

  it("counts both windows from the end of freshness, so that the shorter one lies within the longer", () => {
    assert.deepStrictEqual(ages({ staleWhileRevalidate: 50, staleIfError: 20 }, 10, [10, 59, 60]), [
      "stale",
      "stale",
      "gone"
    ])
  })

  it("never reaches the greatest age, whatever the windows", () => {
    const bounds = { staleWhileRevalidate: 20, staleIfError: Infinity }
    assert.deepStrictEqual(ages({ ...bounds, maxAge: 100 }, 10, [99.999, 100]), ["expired", "gone"])
    assert.deepStrictEqual(ages({ ...bounds, maxAge: 15 }, 10, [14.999, 15]), ["stale", "gone"])
    assert.deepStrictEqual(ages({ ...bounds, maxAge: 5 }, 10, [4.999, 5]), ["fresh", "gone"])
  })

  it("may be without an end", () => {
    assert.deepStrictEqual(ages({}, Infinity, [0, 1e15]), ["fresh", "fresh"])
    assert.deepStrictEqual(ages({ staleWhileRevalidate: Infinity }, 10, [9, 1e15]), ["fresh", "stale"])
  })

  it("stands in for a failure within the window of that failure and below the greatest age", () => {
    const life = Core.lifetime({ ...unbounded, staleIfError: Infinity, maxAge: 100 }, 10, 0, 0)
    const standsIn = (window: number, now: number) => Core.standsIn(life, window, now)
    assert.deepStrictEqual([standsIn(20, 29.999), standsIn(20, 30)], [true, false])
    assert.deepStrictEqual([standsIn(Infinity, 99.999), standsIn(Infinity, 100)], [true, false])
    assert.deepStrictEqual([standsIn(0, 9.999), standsIn(0, 10)], [true, false])
  })

  /** The slow and obvious version: one question after the other, about the age. */
  const model = (bounds: Core.Bounds, timeToLive: number, age: number): Core.Freshness => {
    if (age >= bounds.maxAge) return "gone"
    const over = age - Math.min(timeToLive, bounds.maxAge)
    if (over < 0) return "fresh"
    if (over < bounds.staleWhileRevalidate) return "stale"
    return over < bounds.staleIfError ? "expired" : "gone"
  }

  it("is what a reader of the options would say, for any options and any age", () => {
    const millis = FastCheck.oneof(FastCheck.integer({ min: 0, max: 60 }), FastCheck.constant(Infinity))
    FastCheck.assert(
      FastCheck.property(
        millis,
        millis,
        millis,
        FastCheck.oneof(FastCheck.integer({ min: 1, max: 100 }), FastCheck.constant(Infinity)),
        FastCheck.integer({ min: 0, max: 1000 }),
        FastCheck.array(FastCheck.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 20 }),
        (timeToLive, staleWhileRevalidate, staleIfError, maxAge, now, at) => {
          const bounds = { staleWhileRevalidate, staleIfError, maxAge }
          const life = Core.lifetime(bounds, timeToLive, 0, now)
          for (const age of at) {
            assert.strictEqual(Core.freshness(life, now + age), model(bounds, timeToLive, age), `at ${age}`)
          }
        }
      ),
      { numRuns: runs(300, 50_000) }
    )
  })
})

describe("an early refresh", () => {
  const life = (took: number) => Core.lifetime(unbounded, 60_000, took, 0)

  it("is for the last moments of freshness, the likelier the nearer its end", () => {
    const draws = Array.from({ length: 1000 }, (_, index) => index / 1000)
    const share = (now: number) =>
      draws.filter((draw) => Core.refreshesEarly(life(1000), 1, draw, now)).length / draws.length
    // The draw is below -log(u) with probability exp(-gap / took).
    for (const gap of [500, 1000, 2000, 5000]) {
      assert.approximately(share(60_000 - gap), Math.exp(-gap / 1000), 0.002, `${gap} before the end`)
    }
    assert.strictEqual(share(0), 0)
  })

  it("comes earlier for a lookup that takes longer, and for a greater beta", () => {
    const at = (took: number, beta: number) => Core.refreshesEarly(life(took), beta, 0.9, 58_000)
    assert.deepStrictEqual([at(500, 1), at(1000, 1), at(500, 2), at(1000, 0)], [false, true, true, false])
  })

  it("is never drawn for where no draw could lead to it, and always where one could", () => {
    const largest = 1 - 2 ** -53
    for (const took of [0, 1, 700, 1000]) {
      for (const beta of [0.5, 1, 3]) {
        for (let now = 0; now < 60_000; now += 137) {
          const may = Core.mayRefreshEarly(life(took), beta, now)
          assert.strictEqual(
            may,
            Core.refreshesEarly(life(took), beta, largest, now),
            `${took} ${beta} ${now}`
          )
        }
      }
    }
  })

  it("is due at the end of freshness itself, whatever is drawn", () => {
    assert.isTrue(Core.mayRefreshEarly(life(0), 1, 60_000))
    assert.isTrue(Core.refreshesEarly(life(1000), 1, 0, 60_000))
  })

  it("never comes for a value without an end, or whose lookup took no time", () => {
    const endless = Core.lifetime(unbounded, Infinity, 1000, 0)
    assert.isFalse(Core.mayRefreshEarly(endless, 1, 1e12))
    assert.isFalse(Core.mayRefreshEarly(life(0), 1, 59_999.999))
  })
})

// ------------------------------------------------------------------------------------------------------ the stampede

/**
 * One key, a thousand requests a second, a lookup of one second, a time to live of one minute: what the strategies cost.
 * `single` joins lookups; `beta` refreshes early; `revalidate` serves stale values.
 */
interface Strategy {
  readonly single: boolean
  readonly beta: number
  readonly revalidate: boolean
}

interface Cost {
  /** Lookups in a minute. */
  readonly lookups: number
  readonly mostAtOnce: number
  /** The share of requests that had to wait. */
  readonly blocked: number
  /** The share of requests that were served a stale value. */
  readonly stale: number
}

const seconds = 1000
const timeToLive = 60 * seconds
const took = 1 * seconds
const perMilli = 1

const simulate = (strategy: Strategy, minutes: number, seed: number): Cost => {
  const { next: random } = chance(seed)
  const bounds = { ...unbounded, staleWhileRevalidate: strategy.revalidate ? Infinity : 0 }
  let life = Core.lifetime(bounds, timeToLive, took, 0)
  const ends: Array<number> = []
  let [firstEnd, requests, lookups, mostAtOnce, blocked, stale] = [0, 0, 0, 0, 0, 0]
  const lookUp = (now: number) => {
    ends.push(now + took)
    lookups++
    mostAtOnce = Math.max(mostAtOnce, ends.length - firstEnd)
  }
  const until = minutes * 60 * seconds
  for (let now = 0; now < until; now -= Math.log(1 - random()) / perMilli) {
    while (firstEnd < ends.length && ends[firstEnd] <= now) {
      life = Core.lifetime(bounds, timeToLive, took, ends[firstEnd++])
    }
    requests++
    const idle = firstEnd === ends.length
    switch (Core.freshness(life, now)) {
      case "fresh":
        if (
          (idle || !strategy.single) &&
          strategy.beta > 0 &&
          Core.mayRefreshEarly(life, strategy.beta, now) &&
          Core.refreshesEarly(life, strategy.beta, random(), now)
        ) {
          lookUp(now)
        }
        break
      case "stale":
        stale++
        if (idle) lookUp(now)
        break
      default:
        blocked++
        if (idle || !strategy.single) lookUp(now)
    }
  }
  return { lookups: lookups / minutes, mostAtOnce, blocked: blocked / requests, stale: stale / requests }
}

describe("a stampede of 1000 requests a second on a key that lives a minute and takes a second", () => {
  const strategies = {
    none: { single: false, beta: 0, revalidate: false },
    "single flight": { single: true, beta: 0, revalidate: false },
    XFetch: { single: false, beta: 1, revalidate: false },
    "XFetch + single flight": { single: true, beta: 1, revalidate: false },
    "stale while revalidate": { single: true, beta: 0, revalidate: true }
  } satisfies Record<string, Strategy>

  const percent = (share: number) => `${(share * 100).toFixed(2)} %`

  it("costs what the literature says", () => {
    const costs = Object.fromEntries(
      Object.entries(strategies).map(([name, strategy]) => [name, simulate(strategy, 30, 42)])
    ) as Record<keyof typeof strategies, Cost>
    show(
      Object.entries(costs).map(([strategy, cost]) => ({
        strategy,
        "lookups a minute": Number(cost.lookups.toFixed(2)),
        "most at once": cost.mostAtOnce,
        blocked: percent(cost.blocked),
        stale: percent(cost.stale)
      }))
    )

    // Without single flight the thousand lookups of one second end within the next one, and the last of them is what the
    // next minute counts from. A count of 1000 has a deviation of 32, the mean of thirty of them one of 6.
    const { none, XFetch } = costs
    assert.approximately(none.lookups, (1000 * 60) / 62, 18)
    assert.approximately(none.mostAtOnce, 1070, 60)
    assert.approximately(none.blocked, 1 / 62, 0.0003)

    // A period is the minute of freshness and the second of the lookup, and one in 61 requests comes in that second. There
    // are some 30 000 of those, so that chance moves their share by 1 / 170 of itself.
    const single = costs["single flight"]
    assert.approximately(single.lookups, 60 / 61, 0.04)
    assert.strictEqual(single.mostAtOnce, 1)
    assert.approximately(single.blocked, 1 / 61, 0.0003)
    assert.strictEqual(single.stale, 0)

    // Lookups that overlap come in bunches of 2.5 on average with a deviation of 2, and there are about 34 of them.
    assert.approximately(XFetch.lookups, 2.51, 1)
    assert.isAtLeast(XFetch.mostAtOnce, 4)
    assert.isAtMost(XFetch.mostAtOnce, 20)
    assert.isBelow(XFetch.blocked, 0.0001)

    // The first of a thousand draws a second comes log(1000) + 0.58 seconds before the end: 60 / (60 + 1 - 7.5) = 1.12.
    const early = costs["XFetch + single flight"]
    assert.approximately(early.lookups, 1.12, 0.04)
    assert.strictEqual(early.mostAtOnce, 1)
    assert.isBelow(early.blocked, 0.0001)

    const revalidating = costs["stale while revalidate"]
    assert.approximately(revalidating.lookups, 60 / 61, 0.04)
    assert.strictEqual(revalidating.mostAtOnce, 1)
    assert.strictEqual(revalidating.blocked, 0)
    assert.approximately(revalidating.stale, 1 / 61, 0.0003)
  })

  it("costs the same again for the same seed", () => {
    const strategy = strategies["XFetch + single flight"]
    assert.deepStrictEqual(simulate(strategy, 3, 7), simulate(strategy, 3, 7))
  })
})
