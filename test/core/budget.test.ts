import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Budget from "../../src/core/budget.js"
import { runs } from "../support/runs.js"

// ------------------------------------------------------------------------------------------------------------- helpers

/** A budget that is stepped, with the time it is. */
const budget = (rule: Budget.Rule, tokens?: number) => {
  let state =
    tokens === undefined ? Budget.initial(rule, 0) : ({ _tag: "tokens", tokens, at: 0 } as Budget.Budget)
  let now = 0
  const self = {
    balance: () => Budget.balance(rule, state, now),
    pass: (millis: number) => {
      now += millis
    },
    request: () => {
      state = Budget.requested(rule, state, now)
    },
    succeed: (taken = 0) => {
      state = Budget.succeeded(rule, state, taken, now)
    },
    fail: () => {
      state = Budget.failed(rule, state, now)
    },
    withdraw: (cost = 1) => {
      const next = Budget.withdraw(rule, state, cost, now)
      if (next !== undefined) state = next
      return next !== undefined
    },
    /** What was withdrawn last was counted in this bucket. */
    bucket: () => Budget.bucketOf(state),
    giveBack: (bucket = Budget.bucketOf(state), cost = 1) => {
      state = Budget.giveBack(rule, state, cost, bucket, now)
    },
    /** How many retries there are until one is refused. */
    drain: (cost = 1, atMost = 1_000_000) => {
      let count = 0
      while (count < atMost && self.withdraw(cost)) count++
      return count
    }
  }
  return self
}

const times = (count: number, step: () => void) => {
  for (let index = 0; index < count; index++) step()
}

const successes = (options: Partial<Omit<Budget.Successes, "_tag">> = {}) =>
  Budget.successes({ ratio: 0.1, capacity: 100, perSecond: 0, refund: false, ...options })

const requests = (options: Partial<Omit<Budget.Requests, "_tag">> = {}) =>
  Budget.requests({ ratio: 0.2, window: 10_000, perSecond: 0, ...options })

// ------------------------------------------------------------------------------------------------- the obvious models

type Step =
  | { readonly _tag: "pass"; readonly millis: number }
  | { readonly _tag: "request" | "succeed" | "fail" | "withdraw" | "giveBack" }

const step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  FastCheck.constantFrom<Step>(
    { _tag: "request" },
    { _tag: "succeed" },
    { _tag: "fail" },
    { _tag: "withdraw" },
    { _tag: "withdraw" },
    { _tag: "giveBack" }
  ),
  FastCheck.integer({ min: 0, max: 3000 }).map((millis) => ({ _tag: "pass", millis }) as const)
)

const steps = FastCheck.array(step, { maxLength: 300 })

/** A step, whether it withdrew or gave back, and whether what it withdrew has been given back. */
interface Done {
  readonly step: Step
  readonly granted: boolean
  returned: boolean
}

/** What a rule decides and shows along a history, and what a model does. */
const agrees = (
  rule: Budget.Rule,
  history: ReadonlyArray<Step>,
  model: (before: ReadonlyArray<Done>) => {
    readonly balance: number
    readonly allows: boolean
  }
) => {
  const real = budget(rule)
  const before: Array<Done> = []
  const outstanding: Array<{ readonly done: Done; readonly bucket: number }> = []
  for (const step of history) {
    const expected = model(before)
    assert.closeTo(real.balance(), expected.balance, 1e-6)
    let granted = false
    switch (step._tag) {
      case "pass":
        real.pass(step.millis)
        break
      case "withdraw":
        granted = real.withdraw()
        assert.strictEqual(granted, expected.allows)
        break
      case "giveBack": {
        const taken = before.length % 2 === 0 ? outstanding.shift() : outstanding.pop()
        if (taken === undefined) break
        granted = taken.done.returned = true
        real.giveBack(taken.bucket)
        break
      }
      default:
        real[step._tag]()
    }
    const done: Done = { step, granted, returned: false }
    before.push(done)
    if (step._tag === "withdraw" && granted) outstanding.push({ done, bucket: real.bucket() })
  }
}

const micro = 1_000_000n

/** Tokens as whole millionths, from the beginning of history. */
const exactTokens = (
  capacity: bigint,
  perMilli: bigint,
  put: (step: Step, granted: boolean) => bigint,
  before: ReadonlyArray<Done>
): bigint => {
  let tokens = capacity
  for (const { granted, step } of before) {
    const added = step._tag === "pass" ? BigInt(step.millis) * perMilli : put(step, granted)
    tokens += added
    if (tokens > capacity) tokens = capacity
    if (tokens < 0n) tokens = 0n
  }
  return tokens
}

describe("the rule of a budget agrees with a model in whole numbers", () => {
  it.prop(
    "for successes",
    [
      FastCheck.integer({ min: 0, max: 1000 }),
      FastCheck.integer({ min: 0, max: 20 }),
      FastCheck.integer({ min: 0, max: 3 }),
      steps
    ],
    ([thousandths, capacity, perSecond, history]) => {
      const ratio = BigInt(thousandths) * 1000n
      agrees(successes({ ratio: thousandths / 1000, capacity, perSecond }), history, (before) => {
        const tokens = exactTokens(
          BigInt(capacity) * micro,
          BigInt(perSecond) * 1000n,
          ({ _tag }, granted) =>
            _tag === "succeed" ? ratio : !granted ? 0n : _tag === "giveBack" ? micro : -micro,
          before
        )
        return { balance: Number(tokens) / 1e6, allows: tokens >= micro }
      })
    },
    { fastCheck: { numRuns: 300 } }
  )

  it.prop(
    "for throttling",
    [FastCheck.integer({ min: 1, max: 4000 }), FastCheck.integer({ min: 1, max: 20 }), steps],
    ([thousandths, capacity, history]) => {
      agrees(Budget.throttling({ ratio: thousandths / 1000, capacity }), history, (before) => {
        const tokens = exactTokens(
          BigInt(capacity) * micro,
          0n,
          ({ _tag }) => (_tag === "succeed" ? BigInt(thousandths) * 1000n : _tag === "fail" ? -micro : 0n),
          before
        )
        const above = Number(tokens - (BigInt(capacity) * micro) / 2n) / 1e6
        return { balance: Math.max(0, above), allows: above > 0 }
      })
    },
    { fastCheck: { numRuns: 300 } }
  )

  it.prop(
    "for requests",
    [
      FastCheck.integer({ min: 0, max: 2000 }),
      FastCheck.integer({ min: 0, max: 3 }),
      FastCheck.constantFrom(1000, 10_000, 60_000),
      steps
    ],
    ([thousandths, perSecond, window, history]) => {
      agrees(requests({ ratio: thousandths / 1000, perSecond, window }), history, (before) => {
        const bucketOf = (at: number) => Math.floor(at / (window / 10))
        const now = before.reduce((at, { step }) => at + (step._tag === "pass" ? step.millis : 0), 0)
        let at = 0
        let tokens = perSecond * (window / 1000) * 1000
        for (const { granted, returned, step } of before) {
          if (step._tag === "pass") at += step.millis
          if (bucketOf(now) - bucketOf(at) >= 10) continue
          if (step._tag === "request") tokens += thousandths
          if (step._tag === "withdraw" && granted && !returned) tokens -= 1000
        }
        return { balance: Math.max(0, tokens / 1000), allows: tokens >= 1000 }
      })
    },
    { fastCheck: { numRuns: 300 } }
  )

  it.prop(
    "and never changes the state that it is given, nor goes back in time",
    [
      FastCheck.constantFrom<Budget.Rule>(
        successes({ perSecond: 1 }),
        requests(),
        Budget.throttling({ capacity: 10, ratio: 0.1 })
      ),
      steps
    ],
    ([rule, history]) => {
      const freeze = (state: Budget.Budget): Budget.Budget => {
        if (state._tag === "window") Object.freeze(state.older)
        return Object.freeze(state)
      }
      let state = freeze(Budget.initial(rule, 1000))
      let now = 1000
      let steppedAt = now
      for (const { _tag, ...step } of history) {
        const before = state
        if ("millis" in step) now += step.millis
        if (_tag === "request") state = freeze(Budget.requested(rule, state, now))
        if (_tag === "succeed") state = freeze(Budget.succeeded(rule, state, 0, now))
        if (_tag === "fail") state = freeze(Budget.failed(rule, state, now))
        if (_tag === "withdraw") state = freeze(Budget.withdraw(rule, state, 1, now) ?? state)
        if (_tag === "giveBack") state = freeze(Budget.giveBack(rule, state, 1, Budget.bucketOf(state), now))
        if (state !== before) steppedAt = now
        assert.strictEqual(
          Budget.balance(rule, state, steppedAt - 500),
          Budget.balance(rule, state, steppedAt)
        )
      }
    },
    { fastCheck: { numRuns: 200 } }
  )
})

describe("for successes", () => {
  it("fund a retry each ten at a tenth, exactly, however many there are", () => {
    const { drain, succeed, withdraw } = budget(successes())
    assert.strictEqual(drain(), 100)
    for (let round = 0; round < runs(3000, 300_000); round++) {
      times(9, succeed)
      assert.isFalse(withdraw())
      succeed()
      assert.isTrue(withdraw())
      assert.isFalse(withdraw())
    }
  })

  it("fund a retry each three at a third", () => {
    const { drain, succeed } = budget(successes({ ratio: 1 / 3 }))
    drain()
    times(300, succeed)
    assert.strictEqual(drain(), 100)
  })

  it("fill the bucket and not more", () => {
    const { drain, succeed } = budget(successes({ ratio: 0.5, capacity: 3 }))
    times(1000, succeed)
    assert.strictEqual(drain(), 3)
  })

  it("are helped by time, when they are told to be", () => {
    const { balance, drain, pass, withdraw } = budget(successes({ capacity: 5, perSecond: 2 }))
    assert.strictEqual(drain(), 5)
    pass(499)
    assert.isFalse(withdraw())
    pass(1)
    assert.isTrue(withdraw())
    pass(3_600_000)
    assert.strictEqual(balance(), 5)
  })

  it("never pay with a capacity of zero", () => {
    const { drain, pass, succeed } = budget(successes({ capacity: 0, perSecond: 10 }))
    times(1000, succeed)
    pass(1_000_000)
    assert.strictEqual(drain(), 0)
  })

  it("that fund nothing, without time that does, leave the initial tokens", () => {
    const { drain, pass, succeed } = budget(successes({ capacity: 3, ratio: 0 }))
    assert.strictEqual(drain(), 3)
    times(1000, succeed)
    pass(1_000_000)
    assert.strictEqual(drain(), 0)
  })
})

// ---------------------------------------------------------------------------------------------- vectors of other systems

describe("a budget by gRPC A6", () => {
  it("replays the sequence of gRPC core: 4 tokens, 1.6 for a success", () => {
    const { balance, fail, succeed, withdraw } = budget(Budget.throttling({ capacity: 4, ratio: 1.6 }))
    const seen: Array<readonly [string, number, boolean]> = []
    for (const letter of "FSFFFFFSSFFSFSSF") {
      if (letter === "F") fail()
      else succeed()
      seen.push([letter, Number(balance().toFixed(6)) + 2, withdraw()])
    }
    assert.deepStrictEqual(seen, [
      ["F", 3, true],
      ["S", 4, true], // not above the maximum
      ["F", 3, true],
      ["F", 2, false], // at the threshold
      ["F", 2, false], // 1: below it the balance reads as none
      ["F", 2, false], // 0
      ["F", 2, false], // not below 0
      ["S", 2, false], // 1.6
      ["S", 3.2, true],
      ["F", 2.2, true],
      ["F", 2, false], // 1.2
      ["S", 2.8, true],
      ["F", 2, false], // 1.8
      ["S", 3.4, true],
      ["S", 4, true],
      ["F", 3, true]
    ])
  })

  it("replays the sequences of userver: 10 tokens, 0.1 for a success", () => {
    const base = budget(Budget.throttling({ capacity: 10, ratio: 0.1 }))
    assert.isTrue(base.withdraw())
    times(4, base.fail)
    assert.isTrue(base.withdraw())
    base.fail()
    assert.isFalse(base.withdraw())

    const replenish = budget(Budget.throttling({ capacity: 10, ratio: 0.1 }))
    times(10, replenish.fail)
    assert.isFalse(replenish.withdraw())
    times(50, replenish.succeed)
    assert.isFalse(replenish.withdraw())
    replenish.succeed()
    assert.isTrue(replenish.withdraw())
  })

  it("throttles in the long run when more than 1 in 11 attempts fail, at a ratio of 0.1", () => {
    const throttledShare = (failures: number, of: number): number => {
      const { fail, succeed, withdraw } = budget(Budget.throttling({ capacity: 10, ratio: 0.1 }))
      let refused = 0
      for (let index = 0; index < 100_000; index++) {
        if (index % of < failures) {
          fail()
          if (index >= 50_000 && !withdraw()) refused++
        } else succeed()
      }
      return refused
    }
    assert.strictEqual(throttledShare(1, 11), 0) // 9.09 %
    assert.isAbove(throttledShare(10, 109), 2000) // 9.17 %
  })
})

describe("the AWS standard quota", () => {
  const quota = successes({ ratio: 1, capacity: 500, refund: true })

  /** Attempts of one call, each with the quota after it: retries of cost 5, then how it ends. */
  const call = (
    of: ReturnType<typeof budget>,
    attempts: ReadonlyArray<"fails" | "succeeds">,
    maxAttempts: number
  ) => {
    let taken = 0
    return attempts.map((attempt, index) => {
      if (attempt === "succeeds") of.succeed(taken)
      else if (index + 1 < maxAttempts && of.withdraw(5)) taken = 5
      return of.balance()
    })
  }

  it.each<[string, number, number, ReadonlyArray<"fails" | "succeeds">, ReadonlyArray<number>]>([
    ["succeeds in the end", 500, 3, ["fails", "fails", "succeeds"], [495, 490, 495]],
    ["fails for its attempts", 500, 3, ["fails", "fails", "fails"], [495, 490, 490]],
    ["fails for the quota", 5, 3, ["fails", "fails"], [0, 0]],
    ["finds no quota at all", 0, 3, ["fails"], [0]],
    [
      "backs off with five attempts",
      500,
      5,
      ["fails", "fails", "fails", "fails", "fails"],
      [495, 490, 485, 480, 480]
    ],
    ["succeeds at once", 490, 3, ["succeeds"], [491]],
    ["succeeds at once with the quota full", 500, 3, ["succeeds"], [500]]
  ])("has the balances of AWS when a call %s", (_, tokens, maxAttempts, attempts, expected) => {
    assert.deepStrictEqual(call(budget(quota, tokens), attempts, maxAttempts), expected)
  })

  it.each([
    [10, 50],
    [5, 100],
    [14, 35]
  ])("is exhausted under total failure at a cost of %s after %s retries", (cost, retries) => {
    assert.strictEqual(budget(quota).drain(cost), retries)
  })
})

describe("Finagle's retry budget", () => {
  it.each([0, 0.01, 0.1, 0.2, 0.25, 0.333, 0.5, 0.75, 0.9, 1, 2])(
    "pays after 10 000 deposits for 10 000 times %s retries, and for the reserve",
    (ratio) => {
      for (const perSecond of [0, 1, 10]) {
        const { drain, request } = budget(requests({ ratio, perSecond }))
        times(10_000, request)
        assert.strictEqual(drain(), Math.floor(10_000 * ratio + 1e-6) + perSecond * 10)
      }
    }
  )

  it("pays for nothing when it is empty, whatever is deposited", () => {
    const { balance, request, withdraw } = budget(requests({ ratio: 0 }))
    assert.strictEqual(balance(), 0)
    assert.isFalse(withdraw())
    request()
    assert.strictEqual(balance(), 0)
    assert.isFalse(withdraw())
  })

  it("forgets deposits and withdrawals when they are as old as the window", () => {
    const { balance, drain, pass, request } = budget(requests({ ratio: 0.5, perSecond: 1 }))
    times(20, request)
    assert.strictEqual(drain(), 20)
    pass(9999)
    assert.strictEqual(balance(), 0)
    pass(1)
    assert.strictEqual(drain(), 10)
    pass(10_000)
    assert.strictEqual(drain(), 10)
  })

  it("reads as empty when what was spent outlives what was deposited", () => {
    const { balance, drain, pass, request } = budget(requests({ ratio: 1 }))
    times(5, request)
    pass(9000)
    assert.strictEqual(drain(), 5)
    pass(1000)
    assert.strictEqual(balance(), 0)
    request()
    assert.strictEqual(balance(), 0)
  })
})

describe("a service that is down, with 1000 calls a second and one retry each", () => {
  /** The share of retries in each second, when nothing succeeds from the first second on. */
  const retries = (rule: Budget.Rule, seconds: number): ReadonlyArray<number> => {
    const { fail, pass, request, withdraw } = budget(rule)
    return Array.from({ length: seconds }, () => {
      let made = 0
      times(1000, () => {
        request()
        fail()
        if (withdraw()) made++
        pass(1)
      })
      return made
    })
  }

  it("gets what is left in the bucket and then nothing more, when successes fund the retries", () => {
    assert.deepStrictEqual(retries(successes(), 5), [100, 0, 0, 0, 0])
  })

  it("gets the floor of every process for as long as it is down", () => {
    assert.deepStrictEqual(retries(successes({ perSecond: 3 }), 4), [102, 3, 3, 3])
  })

  it("gets a fifth more for as long as it is down, when requests fund the retries", () => {
    for (const made of retries(requests(), 30)) assert.closeTo(made, 200, 20)
  })

  it("gets the first few with gRPC's throttling", () => {
    assert.deepStrictEqual(retries(Budget.throttling({ capacity: 10, ratio: 0.1 }), 3), [4, 0, 0])
  })
})

describe("a budget", () => {
  const rules = {
    successes: successes({ capacity: 4, perSecond: 1 }),
    requests: requests({ perSecond: 3, window: 1000 }),
    throttling: Budget.throttling({ capacity: 10, ratio: 0.5 })
  }
  type Tag = keyof typeof rules

  const empty = { requests: 0, spent: 0 }
  const tokens = (count: number): Budget.Budget => ({ _tag: "tokens", tokens: count, at: 5500 })
  const window: Budget.Budget = {
    _tag: "window",
    within: 1000,
    bucket: 55,
    current: empty,
    older: new Array(9).fill(empty)
  }

  it.each([
    { tag: "successes", initial: tokens(4), balance: 4, capacity: 4, bucket: 0 },
    { tag: "requests", initial: window, balance: 3, capacity: Infinity, bucket: 55 },
    { tag: "throttling", initial: tokens(10), balance: 5, capacity: 10, bucket: 0 }
  ] as const)("of $tag begins full", ({ balance, bucket, capacity, initial, tag }) => {
    const rule = rules[tag]
    assert.deepStrictEqual(Budget.initial(rule, 5500), initial)
    assert.strictEqual(Budget.balance(rule, initial, 5500), balance)
    assert.strictEqual(Budget.capacity(rule), capacity)
    assert.strictEqual(Budget.bucketOf(initial), bucket)
  })

  it.each<[Tag, Budget.Budget]>([
    ["successes", window],
    ["requests", tokens(0)],
    ["throttling", window]
  ])("of %s in the state of another rule is a new one", (tag, state) => {
    const rule = rules[tag]
    const fresh = Budget.initial(rule, 5500)
    assert.strictEqual(Budget.balance(rule, state, 5500), Budget.balance(rule, fresh, 5500))
  })

  it.each([
    { rule: successes({ ratio: 0.5 }), taken: 0, put: 0.5 },
    { rule: successes({ ratio: 0.5 }), taken: 3, put: 0.5 },
    { rule: successes({ ratio: 0.5, refund: true }), taken: 0, put: 0.5 },
    { rule: successes({ ratio: 0.5, refund: true }), taken: 3, put: 3 },
    { rule: Budget.throttling({ ratio: 0.5, capacity: 10 }), taken: 3, put: 0.5 }
  ])("gets $put for a success after a retry of cost $taken: $rule", ({ put, rule, taken }) => {
    assert.deepStrictEqual(Budget.succeeded(rule, tokens(1), taken, 5500), tokens(1 + put))
  })

  it("pays a cost that it is short of by a millionth, and none that it is short of by more", () => {
    const rule = successes({ capacity: 0 })
    assert.deepStrictEqual(Budget.withdraw(rule, tokens(0), 1e-6, 5500), tokens(0))
    assert.isUndefined(Budget.withdraw(rule, tokens(0), 1.1e-6, 5500))
  })
})

describe("the options of a budget's rules", () => {
  it.each<[() => unknown, string]>([
    [
      () => successes({ ratio: -0.1 }),
      'RetryBudget.successes: option "ratio" must be a finite number of at least 0, got -0.1'
    ],
    [
      () => successes({ ratio: NaN }),
      'RetryBudget.successes: option "ratio" must be a finite number of at least 0, got NaN'
    ],
    [
      () => successes({ capacity: Infinity }),
      'RetryBudget.successes: option "capacity" must be a finite number of at least 0, got Infinity'
    ],
    [
      () => successes({ perSecond: -1 }),
      'RetryBudget.successes: option "minPerSecond" must be a finite number of at least 0, got -1'
    ],
    [
      () => requests({ ratio: -1 }),
      'RetryBudget.requests: option "ratio" must be a finite number of at least 0, got -1'
    ],
    [
      () => requests({ perSecond: NaN }),
      'RetryBudget.requests: option "minPerSecond" must be a finite number of at least 0, got NaN'
    ],
    [
      () => Budget.throttling({ capacity: 1001, ratio: 0.1 }),
      'RetryBudget.throttling: option "maxTokens" must be a whole number from 1 to 1000, got 1001'
    ],
    [
      () => Budget.throttling({ capacity: 2.5, ratio: 0.1 }),
      'RetryBudget.throttling: option "maxTokens" must be a whole number from 1 to 1000, got 2.5'
    ],
    [
      () => Budget.throttling({ capacity: 10, ratio: 0 }),
      'RetryBudget.throttling: option "tokenRatio" must be a finite number of at least 0.001, got 0'
    ],
    [
      () => Budget.throttling({ capacity: 10, ratio: Infinity }),
      'RetryBudget.throttling: option "tokenRatio" must be a finite number of at least 0.001, got Infinity'
    ]
  ])("are refused: %s", (make, message) => {
    assert.throws(make, message)
  })

  it.each([null, "successes", {}, { _tag: "toString" }, { _tag: "tokens", tokens: 3, at: 0 }])(
    "are only those of a rule: %j",
    (value) => {
      assert.throws(
        () => Budget.checked("Retry.retry", "budget", value as never),
        /^Retry.retry: option "budget" must be a rule made by RetryBudget, got /
      )
    }
  )

  it.each([
    {
      rule: successes(),
      broken: { ratio: -1 },
      message: 'option "budget.ratio" must be a finite number of at least 0'
    },
    {
      rule: requests(),
      broken: { ratio: -1 },
      message: 'option "budget.ratio" must be a finite number of at least 0'
    },
    {
      rule: Budget.throttling({ ratio: 0.001, capacity: 1 }),
      broken: { capacity: 0 },
      message: 'option "budget.maxTokens" must be a whole number from 1 to 1000'
    }
  ])("are checked again in a rule that is given as a value: $rule._tag", ({ broken, message, rule }) => {
    Budget.checked("Retry.retry", "budget", rule)
    assert.throws(
      () => Budget.checked("Retry.retry", "budget", { ...rule, ...broken }),
      `Retry.retry: ${message}, got ${Object.values(broken)[0]}`
    )
  })
})
