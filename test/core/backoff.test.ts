import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Backoff from "../../src/core/backoff.js"
import { chance } from "../support/chance.js"
import { runs } from "../support/runs.js"

// ------------------------------------------------------------------------------------------------- the obvious model

const longest = 2 ** 31 - 1

const bounded = (max: number, millis: number): number =>
  Math.min(max, Math.round(Math.min(millis, longest) * 1e6) / 1e6)

/** The delay of a step worked out from nothing but its number, without a state and without a limit on growth. */
const planned = (growth: Backoff.Growth, step: number): number => {
  switch (growth._tag) {
    case "constant":
      return growth.delay
    case "linear":
      return growth.base + step * growth.step
    case "exponential":
      return growth.base * growth.factor ** step
    case "fibonacci": {
      let [current, following] = [growth.base, growth.base]
      for (let index = 0; index < step; index++) [current, following] = [following, current + following]
      return current
    }
    case "list":
      return growth.delays[step]
  }
}

const modelDelays = (growth: Backoff.Growth, max: number, count: number): ReadonlyArray<number> =>
  Array.from(
    { length: growth._tag === "list" ? Math.min(count, growth.delays.length) : count },
    (_, step) => {
      const delay = bounded(max, planned(growth, step))
      return delay > 1 ? Math.floor(delay) : delay
    }
  )

// ------------------------------------------------------------------------------------------------------------- helpers

const delaysOf = (config: Backoff.Config, count: number, random: () => number = () => 0): Array<number> => {
  const delays: Array<number> = []
  let state = Backoff.initial(config)
  while (delays.length < count) {
    const chosen = Backoff.next(config, state, random())
    if (chosen === undefined) break
    delays.push(chosen[0])
    state = chosen[1]
  }
  return delays
}

const none: Backoff.Jitter = { _tag: "none" }
const full: Backoff.Jitter = { _tag: "full" }
const equal: Backoff.Jitter = { _tag: "equal" }
const decorrelated: Backoff.Jitter = { _tag: "decorrelated" }
const byFactor = (factor: number): Backoff.Jitter => ({ _tag: "factor", factor })
const plusMinus = (millis: number): Backoff.Jitter => ({ _tag: "plusMinus", millis })

const constant = (delay: number): Backoff.Growth => ({ _tag: "constant", delay })

// --------------------------------------------------------------------------------------------------------- arbitraries

/** From a nanosecond to the longest delay, whole and fractional, as a duration can express it. */
const millis = FastCheck.oneof(
  FastCheck.integer({ min: 1, max: 60_000 }),
  FastCheck.integer({ min: 1, max: longest }),
  FastCheck.integer({ min: 1, max: 5_000_000_000 }).map((nanos) => nanos / 1e6)
)

const growth: FastCheck.Arbitrary<Backoff.Growth> = FastCheck.oneof(
  FastCheck.record({ _tag: FastCheck.constant("constant" as const), delay: millis }),
  FastCheck.record({
    _tag: FastCheck.constant("linear" as const),
    base: millis,
    step: FastCheck.oneof(FastCheck.constant(0), millis, FastCheck.constant(Number.MAX_VALUE))
  }),
  FastCheck.record({
    _tag: FastCheck.constant("exponential" as const),
    base: millis,
    factor: FastCheck.oneof(
      FastCheck.constantFrom(1, 1.15, 1.5, 2, 3, 10, Number.MAX_VALUE),
      FastCheck.double({ min: 1, max: 20, noNaN: true })
    )
  }),
  FastCheck.record({ _tag: FastCheck.constant("fibonacci" as const), base: millis }),
  FastCheck.record({
    _tag: FastCheck.constant("list" as const),
    delays: FastCheck.array(FastCheck.oneof(millis, FastCheck.constant(0)), { minLength: 1, maxLength: 20 })
  })
)

const jitter: FastCheck.Arbitrary<Backoff.Jitter> = FastCheck.oneof(
  FastCheck.constantFrom(none, full, equal, decorrelated),
  FastCheck.double({ min: 0, max: 1, minExcluded: true, noNaN: true }).map(byFactor),
  millis.map(plusMinus)
)

const firstOf = (growth: Backoff.Growth): number => bounded(longest, planned(growth, 0))

const config: FastCheck.Arbitrary<Backoff.Config> = FastCheck.record({
  growth,
  jitter,
  max: FastCheck.option(millis, { nil: longest })
}).map((config) => ({ ...config, max: Math.max(config.max, firstOf(config.growth)) }))

const seed = FastCheck.integer()

// --------------------------------------------------------------------------------------------------------------- tests

describe("the growth of a backoff", () => {
  it.prop(
    "without jitter agrees with the formula, whatever the random numbers",
    [config, seed],
    ([config, seed]) => {
      const plain = { ...config, jitter: none }
      assert.deepStrictEqual(
        delaysOf(plain, 200, chance(seed).next),
        modelDelays(config.growth, config.max, 200)
      )
    }
  )

  it.prop("never shrinks, except in a list", [config], ([config]) => {
    FastCheck.pre(config.growth._tag !== "list")
    const delays = delaysOf({ ...config, jitter: none }, 100)
    for (let index = 1; index < delays.length; index++) assert.isAtLeast(delays[index], delays[index - 1])
  })

  const rows: ReadonlyArray<readonly [string, Backoff.Growth, ReadonlyArray<number>]> = [
    ["constant", constant(250), [250, 250, 250, 250, 250, 250]],
    ["constant at zero", constant(0), [0, 0, 0, 0, 0, 0]],
    ["linear", { _tag: "linear", base: 100, step: 50 }, [100, 150, 200, 250, 300, 350]],
    ["linear without a step", { _tag: "linear", base: 100, step: 0 }, [100, 100, 100, 100, 100, 100]],
    ["exponential", { _tag: "exponential", base: 100, factor: 2 }, [100, 200, 400, 800, 1000, 1000]],
    ["exponential at 1", { _tag: "exponential", base: 100, factor: 1 }, [100, 100, 100, 100, 100, 100]],
    ["fibonacci", { _tag: "fibonacci", base: 100 }, [100, 100, 200, 300, 500, 800]],
    ["list", { _tag: "list", delays: [500, 0, 2000, 20] }, [500, 0, 1000, 20]]
  ]
  for (const [name, growth, expected] of rows) {
    it(`${name}, at most 1000`, () => {
      assert.deepStrictEqual(delaysOf({ growth, jitter: none, max: 1000 }, 6), expected)
    })
  }

  it("drops fractions of a millisecond, though not what floating point made of a whole number", () => {
    const delays = (base: number, factor: number) =>
      delaysOf({ growth: { _tag: "exponential", base, factor }, jitter: none, max: longest }, 4)
    assert.isBelow(100 * 1.15, 115)
    assert.deepStrictEqual(delays(100, 1.15), [100, 115, 132, 152])
    assert.deepStrictEqual(delays(1.5, 2), [1, 3, 6, 12])
  })

  it("keeps the fractions of a backoff that would not wait without them", () => {
    const growth: Backoff.Growth = { _tag: "exponential", base: 0.25, factor: 2 }
    assert.deepStrictEqual(delaysOf({ growth, jitter: none, max: longest }, 5), [0.25, 0.5, 1, 2, 4])
    const draws = delaysOf({ growth: constant(1), jitter: full, max: longest }, 100, chance(1).next)
    assert.isAbove(Math.max(...draws), 0)
    assert.isBelow(Math.max(...draws), 1)
  })

  it("ends a list after its last delay, and again when asked again", () => {
    const config: Backoff.Config = { growth: { _tag: "list", delays: [5] }, jitter: none, max: longest }
    const [, state] = Backoff.next(config, Backoff.initial(config), 0) ?? assert.fail("the list has a delay")
    assert.isTrue(Backoff.isDone(config, state))
    assert.isUndefined(Backoff.next(config, state, 0))
    assert.isUndefined(Backoff.next(config, state, 0))
  })
})

describe("every delay of a backoff", () => {
  const holds = (config: Backoff.Config, count: number, random: () => number) => {
    for (const delay of delaysOf(config, count, random)) {
      if (!(delay >= 0 && delay <= config.max)) assert.fail(`${delay} is not from 0 to ${config.max}`)
      if (!Number.isInteger(delay) && delay >= 1) assert.fail(`${delay} is not whole`)
    }
  }

  it.prop(
    "is a number from 0 to max after 10 000 steps and more",
    [config, seed],
    ([config, seed]) => {
      holds(config, 10_050, chance(seed).next)
    },
    { fastCheck: { numRuns: runs(20, 200) } }
  )

  it.prop(
    "comes from a state that growth cannot inflate",
    [config],
    ([config]) => {
      let state = Backoff.initial(config)
      for (let index = 0; index < 5000; index++) state = Backoff.next(config, state, 0)?.[1] ?? state
      assert.isTrue([state.step, ...state.fibonacci].every(Number.isSafeInteger))
      if (config.growth._tag === "exponential" && config.growth.factor > 1) {
        assert.isTrue(Number.isFinite(config.growth.factor ** (state.step - 1)))
      }
    },
    { fastCheck: { numRuns: runs(30, 200) } }
  )

  it.prop("holds for the outermost random numbers", [config, FastCheck.boolean()], ([config, high]) => {
    holds(config, 100, () => (high ? 1 - 2 ** -53 : 0))
    // `Random.fixed` reaches 1.
    holds(config, 100, () => 1)
  })

  it.prop("is whole when the backoff is longer than a millisecond", [config, seed], ([config, seed]) => {
    FastCheck.pre(config.growth._tag !== "list" && firstOf(config.growth) > 1)
    assert.isTrue(delaysOf(config, 200, chance(seed).next).every(Number.isInteger))
  })

  it.prop("follows from the configuration and the random numbers alone", [config, seed], ([config, seed]) => {
    assert.deepStrictEqual(delaysOf(config, 100, chance(seed).next), delaysOf(config, 100, chance(seed).next))
  })

  it.prop("can be asked for again from the same state", [config, seed], ([config, seed]) => {
    const random = chance(seed).next
    let state = Backoff.initial(config)
    for (let index = 0; index < 20; index++) {
      const number = random()
      const chosen = Backoff.next(config, state, number)
      assert.deepStrictEqual(Backoff.next(config, state, number), chosen)
      if (chosen === undefined) break
      state = chosen[1]
    }
  })
})

describe("the jitter of a backoff", () => {
  /** Where each delay must lie, from the delay planned. */
  const ranges: ReadonlyArray<
    readonly [string, Backoff.Jitter, (delay: number) => readonly [number, number]]
  > = [
    ["none", none, (delay) => [delay, delay]],
    ["full", full, (delay) => [0, delay]],
    ["equal", equal, (delay) => [delay / 2, delay]],
    ["factor 0.2", byFactor(0.2), (delay) => [delay * 0.8, delay * 1.2]],
    ["factor 1", byFactor(1), (delay) => [0, delay * 2]],
    ["plusMinus 150", plusMinus(150), (delay) => [Math.max(0, delay - 150), delay + 150]]
  ]
  for (const [name, jitter, range] of ranges) {
    it.prop(`${name} stays in its range`, [config, seed], ([config, seed]) => {
      const delays = delaysOf({ ...config, jitter }, 50, chance(seed).next)
      const plan = modelDelays(config.growth, config.max, 50)
      delays.forEach((delay, step) => {
        const exact = bounded(config.max, planned(config.growth, step))
        // The plan is exact, the delay has lost its fraction.
        const [low, high] = range(exact)
        assert.isAtLeast(delay, Math.min(plan[step], Math.floor(low)))
        assert.isAtMost(delay, Math.min(config.max, high * (1 + 1e-12)))
      })
    })
  }

  it.prop(
    "decorrelated stays between the first delay and three times the last one",
    [config, seed],
    ([config, seed]) => {
      FastCheck.pre(firstOf(config.growth) > 0)
      const delays = delaysOf({ ...config, jitter: decorrelated }, 100, chance(seed).next)
      const [first] = modelDelays(config.growth, config.max, 1)
      let previous = first
      for (const delay of delays) {
        assert.isAtLeast(delay, first)
        assert.isAtMost(delay, Math.min(config.max, 3 * previous))
        previous = delay
      }
    }
  )

  it.prop("decorrelated does not change the length of a list", [config, seed], ([config, seed]) => {
    FastCheck.pre(config.growth._tag === "list")
    const plain = delaysOf({ ...config, jitter: none }, 100)
    assert.lengthOf(delaysOf({ ...config, jitter: decorrelated }, 100, chance(seed).next), plain.length)
  })

  const draws = 20_000
  const mean = (numbers: ReadonlyArray<number>): number =>
    numbers.reduce((sum, n) => sum + n, 0) / numbers.length
  // Half of the millisecond that rounding down takes from a delay on average.
  const rounding = 0.5

  /** Name, jitter, mean and standard deviation for a delay of 1 000 000. */
  const means: ReadonlyArray<readonly [string, Backoff.Jitter, number, number]> = [
    ["full", full, 500_000, 1_000_000 / Math.sqrt(12)],
    ["equal", equal, 750_000, 500_000 / Math.sqrt(12)],
    ["factor 0.1", byFactor(0.1), 1_000_000, 200_000 / Math.sqrt(12)],
    ["factor 1", byFactor(1), 1_000_000, 2_000_000 / Math.sqrt(12)],
    ["plusMinus 5000", plusMinus(5000), 1_000_000, 10_000 / Math.sqrt(12)]
  ]
  for (const [name, jitter, expected, deviation] of means) {
    it(`${name} is uniform: mean and deviation`, () => {
      const delays = delaysOf({ growth: constant(1_000_000), jitter, max: longest }, draws, chance(42).next)
      const actual = mean(delays)
      assert.approximately(actual, expected - rounding, (4 * deviation) / Math.sqrt(draws))
      assert.approximately(Math.sqrt(mean(delays.map((delay) => (delay - actual) ** 2))) / deviation, 1, 0.02)
    })
  }

  it("decorrelated is uniform in its range", () => {
    const first = 1000
    const shares: Array<number> = []
    const random = chance(7).next
    const config: Backoff.Config = { growth: constant(first), jitter: decorrelated, max: longest }
    for (let run = 0; run < 2000; run++) {
      let previous = first
      for (const delay of delaysOf(config, 10, random)) {
        shares.push((delay - first + rounding) / (3 * previous - first))
        previous = delay
      }
    }
    assert.approximately(mean(shares), 0.5, 4 / Math.sqrt(12 * shares.length))
    const variance = mean(shares.map((share) => (share - 0.5) ** 2))
    assert.approximately(variance, 1 / 12, 0.002)
  })

  it("says whether it looks at the random number", () => {
    const isRandom = (jitter: Backoff.Jitter) =>
      Backoff.isRandom({ growth: constant(1), jitter, max: longest })
    assert.isFalse(isRandom(none))
    for (const jitter of [full, equal, decorrelated, byFactor(0.5), plusMinus(1)])
      assert.isTrue(isRandom(jitter))
  })
})
