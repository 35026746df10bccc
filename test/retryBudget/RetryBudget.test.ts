import { assert, describe, it } from "@effect/vitest"
import { Cause, Chunk, Context, Effect, Fiber, Stream, TestClock } from "effect"
import { Hedge, Policy, Retry, RetryBudget } from "effect-resilience"
import { refusalOf, settled } from "../support/calls.js"

const once = RetryBudget.successes({ capacity: 1 })

/** A log of events, by the name of the listener. */
const listening = () => {
  const log: Array<readonly [string, unknown]> = []
  const note = (name: string) => (event: unknown) => Effect.sync(() => void log.push([name, event]))
  return {
    log,
    listeners: {
      onExhausted: note("onExhausted"),
      onRecovered: note("onRecovered"),
      onRefused: note("onRefused")
    }
  }
}

describe("a retry budget", () => {
  it.effect("pays until it is empty, and once more after ten successes", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ ratio: 0.1, capacity: 3 }) })
      assert.strictEqual(yield* budget.balance, 3)
      const paid = yield* Effect.replicateEffect(budget.tryWithdraw(), 4)
      assert.deepStrictEqual(paid, [true, true, true, false])
      yield* Effect.repeatN(budget.recordSuccess, 8)
      assert.isFalse(yield* budget.tryWithdraw())
      yield* budget.recordSuccess
      assert.isTrue(yield* budget.tryWithdraw())
    })
  )

  it.effect("gains a tenth of a token with each success up to a hundred by default", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make()
      assert.strictEqual(Policy.describe(budget), "retry-budget(rule: successes(ratio: 0.1, capacity: 100))")
      const other = yield* RetryBudget.make({ rule: RetryBudget.successes() })
      assert.deepStrictEqual(other.settings, budget.settings)
    })
  )

  it.effect.each([
    [
      RetryBudget.successes({ minPerSecond: 3, refund: true }),
      "successes(ratio: 0.1, capacity: 100, minPerSecond: 3, refund: true)"
    ],
    [RetryBudget.requests(), "requests(ratio: 0.2, window: 10s)"],
    [RetryBudget.requests({ minPerSecond: 10 }), "requests(ratio: 0.2, window: 10s, minPerSecond: 10)"],
    [RetryBudget.throttling({ maxTokens: 10, tokenRatio: 0.1 }), "throttling(maxTokens: 10, tokenRatio: 0.1)"]
  ] as const)("appears with its rule in the description (%#)", ([rule, shown]) =>
    Effect.map(RetryBudget.make({ rule }), (budget) =>
      assert.strictEqual(Policy.describe(budget), `retry-budget(rule: ${shown})`)
    )
  )

  it.effect("appears by its name in the descriptions of the policies that it pays for", () =>
    Effect.gen(function* () {
      class Partner extends RetryBudget.Tag("Partner")<Partner>() {}
      const budget = yield* RetryBudget.make({ name: "shared" })
      const shown = (source: RetryBudget.Source) => [
        Retry.retry({ budget: source }).settings["budget"],
        Hedge.hedge({ delay: 1, budget: source }).settings["budget"]
      ]
      assert.deepStrictEqual(shown(budget), ["shared", "shared"])
      assert.deepStrictEqual(shown(Partner), ["Partner", "Partner"])
      assert.deepStrictEqual(shown(Effect.succeed(budget)), ["retry-budget", "retry-budget"])
    })
  )

  it.effect("takes its time from the clock", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({
        rule: RetryBudget.successes({ capacity: 2, minPerSecond: 1 })
      })
      yield* Effect.repeatN(budget.tryWithdraw(), 1)
      assert.isFalse(yield* budget.tryWithdraw())
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* budget.tryWithdraw())
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* budget.balance, 2)
    })
  )

  it.effect("shows what it has seen, and forgets it when it is reset", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ name: "partner", rule: once })
      yield* budget.recordRequest
      yield* budget.recordRequest
      yield* budget.recordSuccess
      yield* Effect.repeatN(budget.tryWithdraw(), 2)
      assert.deepStrictEqual(yield* budget.snapshot, {
        name: "partner",
        balance: 0,
        capacity: 1,
        exhausted: true,
        requests: 2,
        successes: 1,
        retries: 1,
        hedges: 0,
        refused: 2
      })
      yield* budget.reset
      assert.deepStrictEqual(yield* budget.snapshot, {
        name: "partner",
        balance: 1,
        capacity: 1,
        exhausted: false,
        requests: 0,
        successes: 0,
        retries: 0,
        hedges: 0,
        refused: 0
      })
    })
  )

  it.effect("tells when it is exhausted, what it refuses, and when it pays again", () =>
    Effect.gen(function* () {
      const { listeners, log } = listening()
      const budget = yield* RetryBudget.make({
        name: "partner",
        rule: RetryBudget.successes({ capacity: 2, ratio: 0.5, cost: 2 }),
        ...listeners
      })
      const heard = yield* Effect.fork(Stream.runCollect(Stream.take(budget.changes, 2)))
      yield* settled
      yield* budget.tryWithdraw()
      assert.deepStrictEqual(log, [])
      yield* budget.recordSuccess
      yield* budget.tryWithdraw()
      yield* budget.tryWithdraw()
      yield* Effect.repeatN(budget.recordSuccess, 2)
      yield* budget.tryWithdraw()
      const partner = { kind: "retry-budget", name: "partner" } as const
      const exhausted = { _tag: "Exhausted", ...partner, exhausted: true, balance: 0.5 } as const
      const refused = { _tag: "Refused", ...partner, activity: "retry", cost: 2, balance: 0.5 }
      const recovered = { _tag: "Recovered", ...partner, exhausted: false, balance: 0 } as const
      assert.deepStrictEqual(log, [
        ["onExhausted", exhausted],
        ["onRefused", refused],
        ["onRefused", refused],
        ["onRecovered", recovered]
      ])
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(heard)), [exhausted, recovered])
    })
  )

  it.effect("shows a balance that a reader can read, after any number of tenths", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make()
      yield* Effect.repeatN(budget.tryWithdraw(), 2)
      for (let successes = 1; successes <= 29; successes++) {
        yield* budget.recordSuccess
        const expected = Number((97 + successes / 10).toFixed(1))
        assert.strictEqual(yield* budget.balance, expected)
        assert.strictEqual((yield* budget.snapshot).balance, expected)
      }
    })
  )

  it.effect("works whatever its listeners do, which get the services of its maker", () =>
    Effect.gen(function* () {
      class Where extends Context.Tag("Where")<Where, string>() {}
      const seen: Array<string> = []
      const budget = yield* RetryBudget.make({
        rule: once,
        onExhausted: () => Effect.map(Where, (where) => seen.push(where)),
        onRefused: () => Effect.die("bug"),
        onRecovered: () => Effect.fail("listener")
      }).pipe(Effect.provideService(Where, "here"))
      yield* budget.tryWithdraw()
      assert.isFalse(yield* budget.tryWithdraw())
      yield* budget.reset
      assert.isTrue(yield* budget.tryWithdraw())
      assert.deepStrictEqual(seen, ["here"])
    })
  )

  it.effect("counts a thousand fibers at once, each of them once", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ capacity: 500 }) })
      const fiber = (index: number) =>
        Effect.zipRight(Effect.repeatN(Effect.yieldNow(), index % 5), budget.tryWithdraw())
      const paid = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, index) => index),
        fiber,
        {
          concurrency: "unbounded"
        }
      )
      assert.strictEqual(paid.filter(Boolean).length, 500)
      assert.deepInclude(yield* budget.snapshot, { balance: 0, retries: 500, refused: 500 })
    })
  )

  it.effect("of a program with just one needs no tag", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* RetryBudget.RetryBudget.tryWithdraw())
      assert.deepInclude(yield* RetryBudget.RetryBudget.snapshot, { name: "retry-budget", retries: 1 })
    }).pipe(Effect.provide(RetryBudget.layer()))
  )
})

describe("the rule of a retry budget", () => {
  const failed = (error: unknown) => ({ _tag: "Error", error, cause: Cause.fail(error) }) as const

  it.effect("can take the failure into account", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.awsStandard() })
      assert.isTrue(yield* budget.tryWithdraw(failed("down")))
      assert.strictEqual(yield* budget.balance, 495)
      for (const _tag of ["TimeoutExceeded", "TimeoutException"]) yield* budget.tryWithdraw(failed({ _tag }))
      assert.strictEqual(yield* budget.balance, 475)
      yield* budget.tryWithdraw()
      assert.strictEqual(yield* budget.balance, 470)
    })
  )

  it.effect("can say which failure is a timeout", () =>
    Effect.gen(function* () {
      const rule = RetryBudget.awsStandard({ isTimeout: ({ _tag }) => _tag === "Error" })
      const budget = yield* RetryBudget.make({ rule })
      yield* budget.tryWithdraw(failed("down"))
      assert.strictEqual(yield* budget.balance, 490)
    })
  )

  it.effect("makes the call die when its cost is not a number", () =>
    Effect.gen(function* () {
      for (const cost of [NaN, -1, Infinity]) {
        const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ cost: () => cost }) })
        yield* refusalOf(budget.tryWithdraw())
      }
    })
  )

  it.effect("shows the tokens above the half when it throttles", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.throttling() })
      assert.deepInclude(yield* budget.snapshot, { balance: 5, capacity: 10 })
      yield* Effect.repeatN(budget.recordFailure, 4)
      assert.isFalse(yield* budget.tryWithdraw())
    })
  )

  it.effect("forgets the requests that fund it with time", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({
        rule: RetryBudget.requests({ ratio: 0.5, window: "1 second" })
      })
      assert.isFalse(yield* budget.tryWithdraw())
      yield* Effect.repeatN(budget.recordRequest, 3)
      assert.isTrue(yield* budget.tryWithdraw())
      assert.deepInclude(yield* budget.snapshot, { balance: 1, capacity: Infinity })
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* budget.tryWithdraw())
    })
  )

  it.each<[() => unknown, string]>([
    [
      () => RetryBudget.successes({ cost: 0 }),
      'option "cost" must be a finite number greater than 0, or a function, got 0'
    ],
    [
      () => RetryBudget.successes({ cost: NaN }),
      'option "cost" must be a finite number greater than 0, or a function, got NaN'
    ],
    [
      () => RetryBudget.successes({ capacity: 2, cost: 3 }),
      'option "cost" must be at most "capacity" (2), got 3'
    ],
    [
      () => RetryBudget.successes({ ratio: -1 }),
      'option "ratio" must be a finite number of at least 0, got -1'
    ],
    [
      () => RetryBudget.requests({ window: 0 }),
      'option "window" must be a finite duration greater than zero, got 0'
    ],
    [
      () => RetryBudget.requests({ window: Infinity }),
      'option "window" must be a finite duration greater than zero, got Infinity'
    ],
    [
      () => RetryBudget.requests({ minPerSecond: -1 }),
      'option "minPerSecond" must be a finite number of at least 0, got -1'
    ],
    [
      () => RetryBudget.throttling({ maxTokens: 0 }),
      'option "maxTokens" must be a whole number from 1 to 1000, got 0'
    ],
    [
      () => RetryBudget.throttling({ tokenRatio: 0 }),
      'option "tokenRatio" must be a finite number of at least 0.001, got 0'
    ]
  ])("refuses bad options: %s", (make, message) => {
    assert.throws(make, message)
  })

  it.effect("is refused together with an empty name", () =>
    Effect.gen(function* () {
      yield* refusalOf(RetryBudget.make({ name: "" }))
    })
  )
})
