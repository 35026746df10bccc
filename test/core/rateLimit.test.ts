import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { InvalidOption } from "../../src/core/options.js"
import * as Rate from "../../src/core/rateLimit.js"
import { runs } from "../support/runs.js"

const second = 1_000_000
const year = 365 * 24 * 3600 * second

const rates = (limit: number, per: number): ReadonlyArray<Rate.Rate> => [
  { _tag: "smooth", limit, per },
  { _tag: "bursty", limit, per },
  { _tag: "tokenBucket", limit, per, burst: 1 },
  { _tag: "slidingWindow", limit, per }
]

// ------------------------------------------------------------------------------------- what a rate promises, by definition

/** Calls that were let in, oldest first. */
type History = ReadonlyArray<Rate.Admitted>

const costOf = (history: History) => history.reduce((sum, { cost }) => sum + cost, 0)

/**
 * Whether a call at `at` keeps the promise, straight from the definition and the whole history. Instants are rounded to
 * microseconds; `slack` is the one microsecond by which rounding may move two of them together.
 */
const keeps = (rate: Rate.Rate, history: History, { at, cost }: Rate.Admitted, slack: number): boolean => {
  const { limit } = rate
  const per = rate.per * 1000
  switch (rate._tag) {
    case "smooth":
      return history.every(
        (first, index) => costOf(history.slice(index)) * per <= (at - first.at + slack) * limit
      )
    case "tokenBucket":
      return [...history, { at, cost }].every(
        (first, index) =>
          (costOf(history.slice(index)) + cost - rate.burst) * per <= (at - first.at + slack) * limit
      )
    case "bursty": {
      const window = Math.floor(at / per)
      return costOf(history.filter((call) => Math.floor(call.at / per) === window)) + cost <= limit
    }
    case "slidingWindow":
      return costOf(history.filter((call) => call.at > at - per)) + cost <= limit
  }
}

// ------------------------------------------------------------------------------------------------ random histories

const anyRate = FastCheck.record({
  tag: FastCheck.constantFrom("smooth", "bursty", "tokenBucket", "slidingWindow"),
  limit: FastCheck.integer({ min: 1, max: 12 }),
  burst: FastCheck.integer({ min: 1, max: 12 }),
  // In milliseconds, with microseconds behind the point, so that intervals come out uneven.
  per: FastCheck.constantFrom(1, 1.001, 1.5, 2, 7, 10, 9.973)
}).map(({ burst, limit, per, tag }): Rate.Rate =>
  tag === "tokenBucket" ? { _tag: tag, limit, per, burst } : ({ _tag: tag, limit, per } as Rate.Rate)
)

/** When five calls in line are let in. */
const turnsOf = (rule: Rate.Rule, used: Rate.Used, from: number): ReadonlyArray<number> => {
  const turns: Array<Rate.Turn> = []
  for (let n = 0; n < 5; n++) turns.push(Rate.turn(rule, turns.at(-1)?.after ?? used, 1, from))
  return turns.map(({ at }) => at)
}

/** Microseconds between two steps: nothing, about one interval, about one period, or years. */
const pause = FastCheck.oneof(
  { weight: 3, arbitrary: FastCheck.constant(0) },
  { weight: 6, arbitrary: FastCheck.integer({ min: 0, max: 2000 }) },
  { weight: 2, arbitrary: FastCheck.integer({ min: 0, max: 20_000 }) },
  { weight: 1, arbitrary: FastCheck.constantFrom(year, 30 * year + 1) }
)

const steps = FastCheck.array(
  FastCheck.record({
    pause,
    /** Come exactly when the call is due, or a microsecond before. */
    aim: FastCheck.constantFrom("anywhere", "due", "early"),
    cost: FastCheck.oneof(
      { weight: 4, arbitrary: FastCheck.constant(1) },
      { weight: 1, arbitrary: FastCheck.integer({ min: 1, max: 12 }) }
    ),
    /** Give back one of the last calls that were let in. */
    giveBack: FastCheck.option(FastCheck.integer({ min: 0, max: 4 }), { freq: 5, nil: undefined })
  }),
  { minLength: 1, maxLength: 60 }
)

interface Played {
  readonly call: Rate.Admitted
  readonly total: number
}

describe("a rate", () => {
  for (const withReturns of [false, true]) {
    const what = withReturns ? ", also when calls are given back" : ""
    it.prop(
      `keeps its promise, and turns nobody away without need${what}`,
      [anyRate, steps],
      ([rate, history]) => {
        const rule = Rate.rule(rate)
        let used = Rate.nothing(rule, 0)
        let now = 0
        let total = 0
        let played: ReadonlyArray<Played> = []
        const exact = rule.remainder === 0 || rate._tag === "bursty" || rate._tag === "slidingWindow"

        for (const step of history) {
          const cost = Math.min(step.cost, rule.most)
          now += step.pause
          const due = Rate.due(rule, used, cost, now)
          if (step.aim === "due") now = due
          if (step.aim === "early") now = Math.max(now, due - 1)
          const calls = played.map(({ call }) => call)
          const call = { at: now, cost }

          const letIn = due <= now
          if (letIn) assert.isTrue(keeps(rate, calls, call, exact ? 0 : 1), "lets in too much")
          // What is given back to a meter is less than all of it where more cannot be proved.
          else if (!withReturns || rate._tag === "bursty" || rate._tag === "slidingWindow") {
            assert.isFalse(keeps(rate, calls, call, 0), "turns away without need")
            assert.isTrue(
              keeps(rate, calls, { at: due, cost }, exact ? 0 : 1),
              "names a time at which it is not due"
            )
          }
          assert.strictEqual(Rate.due(rule, used, cost, due), due)

          if (letIn) {
            used = Rate.admit(rule, used, cost, now)
            total += cost
            played = [...played, { call, total }]
          }
          const returned =
            withReturns && step.giveBack !== undefined ? played.at(-1 - step.giveBack) : undefined
          if (returned !== undefined) {
            const before = Rate.due(rule, used, 1, now)
            used = Rate.giveBack(rule, used, returned.call, total - returned.total)
            played = played.filter((other) => other !== returned)
            assert.isAtMost(Rate.due(rule, used, 1, now), before, "makes others wait for longer")
          }
        }
      },
      { fastCheck: { numRuns: runs(300, 20_000) } }
    )
  }

  it.prop(
    "gives a call back wholly when nothing has come after it",
    [anyRate, steps, FastCheck.integer({ min: 1, max: 12 })],
    ([rate, history, wanted]) => {
      const rule = Rate.rule(rate)
      let used = Rate.nothing(rule, 0)
      let now = 0
      for (const { cost, pause } of history) {
        now += pause
        now = Rate.due(rule, used, Math.min(cost, rule.most), now)
        used = Rate.admit(rule, used, Math.min(cost, rule.most), now)
      }
      const cost = Math.min(wanted, rule.most)
      const at = Rate.due(rule, used, cost, now)
      const back = Rate.giveBack(rule, Rate.admit(rule, used, cost, at), { at, cost }, 0)
      for (const probe of [1, cost, rule.most]) {
        assert.strictEqual(Rate.due(rule, back, probe, at), Rate.due(rule, used, probe, at))
      }
      assert.deepStrictEqual(turnsOf(rule, back, at), turnsOf(rule, used, at))
      assert.strictEqual(Rate.available(rule, back, at), Rate.available(rule, used, at))
    },
    { fastCheck: { numRuns: 2000 } }
  )

  it.prop(
    "has as many permits available as it admits one after the other",
    [anyRate, steps],
    ([rate, history]) => {
      const rule = Rate.rule(rate)
      let used = Rate.nothing(rule, 0)
      let now = 0
      for (const { cost, pause } of history) {
        now += pause
        if (Rate.due(rule, used, cost, now) <= now && cost <= rule.most)
          used = Rate.admit(rule, used, cost, now)
        let count = 0
        for (let after = used; Rate.due(rule, after, 1, now) <= now; count++)
          after = Rate.admit(rule, after, 1, now)
        assert.strictEqual(Rate.available(rule, used, now), count)
      }
    },
    { fastCheck: { numRuns: 1000 } }
  )

  it.prop(
    "takes over what counted under the rate before it",
    [anyRate, anyRate, steps],
    ([from, to, history]) => {
      const before = Rate.rule(from)
      const after = Rate.rule(to)
      let used = Rate.nothing(before, 0)
      let now = 0
      for (const { cost, pause } of history) {
        now += pause
        now = Rate.due(before, used, Math.min(cost, before.most), now)
        used = Rate.admit(before, used, Math.min(cost, before.most), now)
      }
      const taken = Rate.adopt(before, used, after, now)
      const counted = before.most - Rate.available(before, used, now)
      if (from._tag !== "smooth" && to._tag !== "smooth" && from.per === to.per) {
        assert.strictEqual(Rate.available(after, taken, now), Math.max(0, after.most - counted))
      }
      // From then on the new rate keeps its own promise.
      let state = taken
      let calls: History = []
      for (const { cost: wanted, pause } of history) {
        const cost = Math.min(wanted, after.most)
        now = Rate.due(after, state, cost, now + pause)
        if (to._tag !== "bursty") assert.isTrue(keeps(to, calls, { at: now, cost }, 1))
        state = Rate.admit(after, state, cost, now)
        calls = [...calls, { at: now, cost }]
      }
    },
    { fastCheck: { numRuns: 1000 } }
  )
})

describe("calls that wait for a rate", () => {
  const isMeter = ({ _tag }: Rate.Rate) => _tag === "smooth" || _tag === "tokenBucket"

  it.prop(
    "get the same last turn as when they are admitted one after the other",
    [
      anyRate,
      steps,
      FastCheck.array(FastCheck.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 40 })
    ],
    ([rate, history, wanted]) => {
      const rule = Rate.rule(rate)
      let used = Rate.nothing(rule, 0)
      let now = 0
      for (const { cost, pause } of history) {
        now += pause
        used = Rate.turn(rule, used, Math.min(cost, rule.most), now).after
      }
      const costs = wanted.map((cost) => Math.min(isMeter(rate) ? cost : wanted[0], rule.most))
      const turns: Array<Rate.Turn> = []
      for (const cost of costs) {
        const { after, at } = turns.at(-1) ?? { after: used, at: now }
        turns.push(Rate.turn(rule, after, cost, at))
      }
      const [begun] = turns
      const last = turns[turns.length - 1]
      const batch = {
        size: costs.length,
        first: costs[0],
        last: costs[costs.length - 1],
        sum: costs.reduce((sum, cost) => sum + cost, 0)
      }
      const turn = Rate.lastTurn(rule, begun, batch)
      if (rate._tag === "slidingWindow") {
        assert.strictEqual(turn, costs.length === 1 ? begun : undefined)
        return
      }
      assert.strictEqual(turn?.at, last.at)
      for (const cost of [1, rule.most]) {
        for (const from of [last.at, last.at + rule.per]) {
          assert.strictEqual(
            turn && Rate.due(rule, turn.after, cost, from),
            Rate.due(rule, last.after, cost, from)
          )
        }
      }
      assert.strictEqual(
        turn && Rate.available(rule, turn.after, last.at),
        Rate.available(rule, last.after, last.at)
      )
    },
    { fastCheck: { numRuns: 1000 } }
  )

  it("form a batch when they cost the same, and for a meter at any cost", () => {
    for (const rate of rates(5, 1000)) {
      const rule = Rate.rule(rate)
      assert.isTrue(Rate.alike(rule, 2, 2))
      assert.strictEqual(Rate.alike(rule, 2, 3), isMeter(rate), rate._tag)
    }
  })

  it("are due no earlier than they come", () => {
    for (const rate of rates(5, 1000)) {
      const rule = Rate.rule(rate)
      const { after, at } = Rate.turn(rule, Rate.nothing(rule, 7), 1, 9)
      assert.strictEqual(at, 9)
      assert.deepStrictEqual(after, Rate.admit(rule, Rate.nothing(rule, 7), 1, 9))
    }
  })
})

describe("a call that is given back to a meter", () => {
  // A permit takes a millisecond, or 3333 and a third microseconds.
  const bucket = Rate.rule({ _tag: "tokenBucket", limit: 10, per: 10, burst: 10 })
  const uneven = Rate.rule({ _tag: "smooth", limit: 3, per: 10 })

  it.each<
    [
      what: string,
      rule: Rate.Rule,
      calls: ReadonlyArray<readonly [at: number, cost: number]>,
      index: number,
      meter: readonly [anchor: number, issued: number]
    ]
  >([
    [
      "wholly, as the last one",
      uneven,
      [
        [0, 1],
        [3334, 1]
      ],
      1,
      [0, 1]
    ],
    [
      "wholly, as the meter is busy without it",
      bucket,
      [
        [0, 3],
        [0, 4],
        [1000, 2]
      ],
      1,
      [0, 5]
    ],
    [
      "wholly, as the meter is just busy without it",
      bucket,
      [
        [0, 1],
        [0, 4],
        [1000, 2]
      ],
      1,
      [0, 3]
    ],
    [
      "as far as the time since is not saved up",
      bucket,
      [
        [0, 4],
        [1000, 2]
      ],
      0,
      [1000, 2]
    ],
    [
      "not at all, as all of it is in the past",
      bucket,
      [
        [0, 3],
        [3000, 2]
      ],
      0,
      [0, 5]
    ]
  ])("counts no more: %s", (_, rule, calls, index, [anchor, issued]) => {
    for (const start of [0, 7000]) {
      let used = Rate.nothing(rule, start)
      for (const [at, cost] of calls) used = Rate.admit(rule, used, cost, start + at)
      const [at, cost] = calls[index]
      const later = calls.slice(index + 1).reduce((sum, [, cost]) => sum + cost, 0)
      const last = start + calls[calls.length - 1][0]
      assert.deepStrictEqual(Rate.giveBack(rule, used, { at: start + at, cost }, later), {
        _tag: "meter",
        anchor: start + anchor,
        issued,
        last
      })
    }
  })
})

describe("a fixed window", () => {
  const rule = Rate.rule({ _tag: "bursty", limit: 3, per: 10 })

  it("begins when its limiter was made", () => {
    const used = Rate.admit(rule, Rate.nothing(rule, 7000), 3, 8000)
    const due = [8000, 16_999, 17_000, 17_001].map((from) => Rate.due(rule, used, 1, from))
    assert.deepStrictEqual(due, [17_000, 17_000, 17_000, 17_001])
  })

  it("that is ahead of the time has room for what it has left", () => {
    const used = Rate.admit(rule, Rate.nothing(rule, 0), 1, 25_000)
    assert.deepStrictEqual(
      [1, 2, 3].map((cost) => Rate.due(rule, used, cost, 4000)),
      [20_000, 20_000, 30_000]
    )
  })
})

describe("a change of the rate", () => {
  it("of which nothing was used is a new beginning", () => {
    for (const from of rates(5, 1000)) {
      const others = rates(3, 1000).filter(({ _tag }) => _tag !== from._tag)
      for (const to of [...rates(3, 2000), ...others]) {
        const before = Rate.rule(from)
        const after = Rate.rule(to)
        const adopted = Rate.adopt(before, Rate.nothing(before, 7), after, 1234)
        assert.deepStrictEqual(adopted, Rate.nothing(after, 1234), `${from._tag} to ${to._tag}`)
      }
    }
  })

  it.each([
    {
      from: { _tag: "slidingWindow", limit: 5, per: 1000 },
      to: { _tag: "slidingWindow", limit: 3, per: 10 },
      kept: true
    },
    {
      from: { _tag: "bursty", limit: 5, per: 1000 },
      to: { _tag: "bursty", limit: 3, per: 1000 },
      kept: true
    },
    {
      from: { _tag: "bursty", limit: 5, per: 1000 },
      to: { _tag: "bursty", limit: 5, per: 1001 },
      kept: false
    },
    {
      from: { _tag: "smooth", limit: 5, per: 1000 },
      to: { _tag: "smooth", limit: 5, per: 1000 },
      kept: false
    }
  ] as const)("keeps its instants: $kept, from $from to $to", ({ from, kept, to }) => {
    const before = Rate.rule(from)
    const used = Rate.admit(before, Rate.nothing(before, 0), 2, 400)
    assert.strictEqual(Rate.adopt(before, used, Rate.rule(to), 500) === used, kept)
  })
})

describe("a rate in one period", () => {
  const table: ReadonlyArray<readonly [limit: number, per: number]> = [
    [1, 3_600_000],
    [7, 3_600_000],
    [100, 60_000],
    ...[
      1, 2, 3, 7, 60, 100, 999, 1000, 1001, 1500, 4999, 5000, 7000, 33_333, 250_000, 700_000, 999_983,
      1_000_000
    ]
      .filter((limit) => limit <= runs(10_000, Infinity))
      .map((limit) => [limit, 1000] as const)
  ]
  for (const [limit, per] of table) {
    it(`exactly ${limit} are let in when ${limit} are allowed per ${per} ms, whatever the algorithm`, () => {
      for (const rate of rates(limit, per)) {
        const rule = Rate.rule(rate)
        let used = Rate.nothing(rule, 0)
        let at = 0
        for (let period = 0; period < (limit > 5000 ? 1 : 3); period++) {
          let count = 0
          for (; ; count++) {
            at = Rate.due(rule, used, 1, at)
            if (at >= (period + 1) * rule.per) break
            used = Rate.admit(rule, used, 1, at)
          }
          assert.strictEqual(count, limit, `${rate._tag}, period ${period}`)
        }
      }
    })
  }

  it("admits the burst of a bucket on top of the first", () => {
    const rule = Rate.rule({ _tag: "tokenBucket", limit: 5000, per: 1000, burst: 300 })
    let used = Rate.nothing(rule, 0)
    const counts = [0, 0, 0]
    for (let at = 0; at < 3 * second; used = Rate.admit(rule, used, 1, at)) {
      at = Rate.due(rule, used, 1, at)
      if (at < 3 * second) counts[Math.floor(at / second)] += 1
    }
    // The last permit of the first period comes at its very end, which is the beginning of the second.
    assert.deepStrictEqual(counts, [5299, 5000, 5000])
  })
})

describe("a rate over years", () => {
  /** k * per / limit in microseconds, rounded up, without a limit to the size of the numbers. */
  const exactly = (permits: number, per: number, limit: number): number => {
    const [p, q, l] = [BigInt(permits), BigInt(per), BigInt(limit)]
    return Number((p * q + l - 1n) / l)
  }

  it.prop(
    "does not drift while it is busy",
    [
      FastCheck.integer({ min: 1, max: 1_000_000 }),
      FastCheck.oneof(
        FastCheck.constantFrom(1000, 60_000, 3_600_000, 86_400_000),
        FastCheck.integer({ min: 1000, max: 1_000_000_000 }).map((micros) => micros / 1000)
      ),
      FastCheck.array(FastCheck.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 200 })
    ],
    ([limit, per, shares]) => {
      for (const rate of rates(limit, per).filter(({ _tag }) => _tag !== "bursty")) {
        const most = rate._tag === "slidingWindow" ? 0 : limit
        const rule = Rate.rule({ ...rate, ...(rate._tag === "tokenBucket" ? { burst: limit } : {}) })
        let used = Rate.nothing(rule, 0)
        let issued = 0
        let at = 0
        for (const share of shares) {
          const cost = Math.max(1, Math.floor(share * most))
          at = Rate.due(rule, used, cost, at)
          const paid = rate._tag === "smooth" ? issued : issued + cost - limit
          if (rate._tag !== "slidingWindow") {
            assert.strictEqual(at, Math.max(0, exactly(Math.max(0, paid), rule.per, limit)))
          }
          used = Rate.admit(rule, used, cost, at)
          issued += cost
        }
      }
    },
    { fastCheck: { numRuns: 500 } }
  )

  it.each([
    {
      what: "one too many",
      limit: 5_814_674,
      per: 12_664_447_904_633,
      at: 9_917_515_629_951,
      given: 4_553_464
    },
    { what: "one too few", limit: 4_057_261, per: 3_003_898_670_136, at: 2_670_579_173_808, given: 3_607_058 }
  ])("what is free again is exact where a rounded product gives $what", ({ at, given, limit, per }) => {
    const rule = Rate.rule({ _tag: "tokenBucket", limit, burst: limit, per: per / 1000 })
    const used = Rate.admit(rule, Rate.nothing(rule, 0), limit, 0)
    assert.strictEqual(Rate.available(rule, used, at), given)
  })

  it("a meter that is never idle counts less than the limit", () => {
    const rule = Rate.rule({ _tag: "smooth", limit: 3, per: 10 })
    let used = Rate.nothing(rule, 0)
    for (let n = 1; n <= 100; n++) {
      used = Rate.turn(rule, used, 1, 0).after
      assert.deepInclude(used, { anchor: Math.floor(n / 3) * 10_000, issued: n % 3 })
    }
  })

  it.prop(
    "what is free again is exact for any rate",
    [
      FastCheck.integer({ min: 1, max: Rate.maxLimit }),
      FastCheck.integer({ min: 1, max: Rate.maxLimit }),
      FastCheck.integer({ min: 1000, max: Rate.perBounds[1] * 1000 }),
      FastCheck.double({ min: 0, max: 1.1, noNaN: true })
    ],
    ([limit, burst, per, share]) => {
      // The time of all permits has to be a time.
      FastCheck.pre((burst / limit) * per < 2 ** 52)
      const rule = Rate.rule({ _tag: "tokenBucket", limit, burst, per: per / 1000 })
      const used = Rate.admit(rule, Rate.nothing(rule, 0), burst, 0)
      const free = Math.floor(share * burst)
      for (const at of [exactly(free, rule.per, limit) - 1, exactly(free, rule.per, limit)]) {
        const given = Number((BigInt(Math.max(0, at)) * BigInt(limit)) / BigInt(rule.per))
        assert.strictEqual(Rate.available(rule, used, at), Math.max(0, Math.min(burst, given)))
      }
    },
    { fastCheck: { numRuns: 1000 } }
  )

  it("is as exact after a century without a pause as at first", () => {
    for (const limit of [1, 3, 999_983, 1_000_000]) {
      const rate: Rate.Rate = { _tag: "smooth", limit, per: 86_400_000 }
      const rule = Rate.rule(rate)
      let used = Rate.nothing(rule, 0)
      let at = 0
      const days = 36_525
      for (let day = 0; day <= days; day++) {
        at = Rate.due(rule, used, limit, at)
        if (at !== day * rule.per) assert.fail(`${at} on day ${day}`)
        used = Rate.admit(rule, used, limit, at)
      }
      at = Rate.due(rule, used, 1, at)
      used = Rate.admit(rule, used, 1, at)
      assert.strictEqual(
        Rate.due(rule, used, 1, at) - at,
        limit === 1 ? rule.per : Math.ceil(rule.per / limit)
      )
    }
  })

  it("admits no more than its limit after a deficit and a long pause, unlike failsafe-go (D2)", () => {
    const rule = Rate.rule({ _tag: "bursty", limit: 2, per: 10 })
    let used = Rate.nothing(rule, 0)
    let at = 0
    // Three in the first moment: the third belongs to the next window.
    for (let call = 0; call < 3; call++) used = Rate.admit(rule, used, 1, (at = Rate.due(rule, used, 1, 0)))
    assert.strictEqual(at, 10_000)
    const later = 10_000 + 10 * 10_000
    let count = 0
    for (; Rate.due(rule, used, 1, later) <= later; count++) used = Rate.admit(rule, used, 1, later)
    assert.strictEqual(count, 2)
  })
})

describe("the options of a rate", () => {
  const refused = (rate: Rate.Rate) => {
    try {
      Rate.checked("RateLimiter.make", rate, "rate.")
    } catch (error) {
      assert.instanceOf(error, InvalidOption)
      return error.message
    }
    return undefined
  }

  it("are refused outside their ranges, with the range in the message", () => {
    const limits = 'RateLimiter.make: option "rate.limit" must be a whole number from 1 to 10000000, got'
    const pers = 'RateLimiter.make: option "rate.per" must be a duration from 1 millisecond to 365 days, got'
    const bursts = 'RateLimiter.make: option "rate.burst" must be a whole number from 1 to 10000000, got'
    for (const limit of [0, -1, 1.5, NaN, Infinity, 10_000_001]) {
      for (const rate of rates(limit, 1000)) assert.strictEqual(refused(rate), `${limits} ${limit}`)
    }
    for (const per of [0, -1, NaN, Infinity, 0.999, 31_536_000_001]) {
      for (const rate of rates(1, per)) assert.strictEqual(refused(rate), `${pers} ${per}`)
    }
    for (const burst of [0, -1, 1.5, NaN, 10_000_001]) {
      assert.strictEqual(refused({ _tag: "tokenBucket", limit: 1, per: 1000, burst }), `${bursts} ${burst}`)
    }
  })

  it.each([null, "smooth", {}, { _tag: "toString", limit: 1, per: 1 }])(
    "are only those of a rate: %j",
    (rate) => {
      assert.throws(
        () => Rate.checked("RateLimiter.make", rate as never),
        /^RateLimiter.make: option "rate" must be a rate made by RateLimiter.smooth, bursty, tokenBucket or slidingWindow, got /
      )
    }
  )

  it("are named by themselves where the rate is not within others", () => {
    for (const rate of rates(0, 1000)) {
      assert.throws(() => Rate.checked("P", rate), /^P: option "limit" must be /)
    }
    for (const rate of rates(1, 1000)) assert.strictEqual(Rate.checked("P", rate), rate)
  })

  it("are whole microseconds", () => {
    assert.deepStrictEqual([0.0004, 0.0005, 1, 1.5].map(Rate.micros), [0, 1, 1000, 1500])
    assert.deepStrictEqual([0, 1, 1500].map(Rate.millis), [0, 0.001, 1.5])
  })

  it("are accepted at both ends of their ranges", () => {
    for (const limit of [1, 10_000_000]) {
      for (const per of [1, 31_536_000_000]) {
        for (const rate of rates(limit, per)) {
          assert.strictEqual(refused(rate), undefined)
          const rule = Rate.rule(rate)
          const at = 100 * year
          const used = Rate.admit(rule, Rate.nothing(rule, 0), 1, at)
          const next = Rate.due(rule, used, rule.most, at)
          assert.isTrue(Number.isSafeInteger(next) && next >= at && next <= at + rule.per)
        }
      }
    }
  })

  it("are the same rate when they agree in everything", () => {
    const all = [
      ...rates(100, 60_000),
      ...rates(101, 60_000),
      ...rates(100, 60_001),
      { _tag: "tokenBucket", limit: 100, per: 60_000, burst: 2 } as const
    ]
    for (const [index, rate] of all.entries()) {
      assert.deepStrictEqual(
        all.map((other) => Rate.isSame(rate, other)),
        all.map((_, other) => other === index)
      )
      assert.isTrue(Rate.isSame(rate, { ...rate }))
    }
  })
})
