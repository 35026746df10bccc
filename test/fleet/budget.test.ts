// Retry budgets of several processes, whose floor is that of the fleet.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schedule, Scope, TestClock } from "effect"
import { Policy, Retry, RetryBudget } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { down, refusalOf, up } from "../support/calls.js"
import { Fleet, type Process, type Wire, wired } from "../support/fleet.js"

const make = ({ store }: Process, options: RetryBudget.Options): Effect.Effect<RetryBudget.RetryBudget> =>
  RetryBudget.make({ name: "partner", share: Share.floor(), ...options }).pipe(
    Effect.provideService(SharedStore.SharedStore, store)
  ) as Effect.Effect<RetryBudget.RetryBudget>

const budgetsIn = (fleet: Fleet, count: number, options: RetryBudget.Options) =>
  Effect.forEach(Array.from({ length: count }), () =>
    Effect.gen(function* () {
      const process = yield* fleet.process()
      return { ...process, budget: yield* make(process, options) }
    })
  )

/** Calls that fail in every process for so many seconds, ten a second in each: how many retries there were in each second. */
const retriesOf = (budgets: ReadonlyArray<{ readonly budget: RetryBudget.RetryBudget }>, seconds: number) =>
  Effect.gen(function* () {
    const counts: Array<number> = []
    for (let second = 0; second < seconds; second++) {
      let retries = 0
      const attempt = Effect.suspend(() => {
        retries += 1
        return down
      })
      for (let tenth = 0; tenth < 10; tenth++) {
        for (const { budget } of budgets) {
          yield* Effect.ignore(Retry.retry(attempt, { times: 1, budget, schedule: Schedule.forever }))
          retries -= 1
        }
        yield* TestClock.adjust("100 millis")
      }
      counts.push(retries)
    }
    return counts
  })

const sum = (counts: ReadonlyArray<number>) => counts.reduce((sum, count) => sum + count, 0)

describe("a fleet whose service is down", () => {
  const rules = [
    ["successes", RetryBudget.successes({ capacity: 2, minPerSecond: 6 })],
    ["requests", RetryBudget.requests({ ratio: 0, window: "4 seconds", minPerSecond: 6 })]
  ] as const
  const rows = rules.flatMap(([name, rule]) => [1, 3, 12].map((count) => [name, count, rule] as const))
  it.scoped.each(rows)("retries no more often than the floor (%s, %d processes)", ([, count, rule]) =>
    Effect.gen(function* () {
      const budgets = yield* budgetsIn(new Fleet(), count, { rule })
      // What each begins with, and what it is given before it knows the others, is its own.
      yield* retriesOf(budgets, 3)
      const retries = sum(yield* retriesOf(budgets, 10))
      // A window of 4 seconds may begin with what it has for them.
      assert.isAtMost(retries, 60 + (rule._tag === "requests" ? 24 : count))
      assert.isAtLeast(retries, 60 - (rule._tag === "requests" ? 24 : count))
    })
  )

  it.scoped("retries each tenth success and by the floor, and not more", () =>
    Effect.gen(function* () {
      const budgets = yield* budgetsIn(new Fleet(), 10, {
        rule: RetryBudget.successes({ ratio: 0.1, capacity: 1, minPerSecond: 2 })
      })
      yield* retriesOf(budgets, 3)
      let retries = 0
      for (let round = 0; round < 50; round++) {
        for (const { budget } of budgets) {
          yield* Retry.retry(up, { times: 1, budget })
          if (yield* budget.tryWithdraw()) retries += 1
        }
        yield* TestClock.adjust("100 millis")
      }
      // 500 successes, 5 seconds, and a token that each may have had.
      assert.isAtMost(retries, 50 + 10 + 10)
      assert.isAtLeast(retries, 50 + 10 - 10)
    })
  )
})

describe("a floor of a fleet", () => {
  const rule = RetryBudget.successes({ capacity: 4, minPerSecond: 4 })
  const perSecond = (budgets: Parameters<typeof retriesOf>[0]) =>
    Effect.map(retriesOf(budgets, 4), (counts) => sum(counts) / 4)

  it.scoped("is divided by those that live, and grows when one has left", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const [one] = yield* budgetsIn(fleet, 1, { rule })
      const scope = yield* Scope.make()
      yield* Scope.extend(budgetsIn(fleet, 3, { rule }), scope)
      yield* retriesOf([one], 5)
      assert.strictEqual(yield* perSecond([one]), 1)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 minute")
      yield* retriesOf([one], 3)
      assert.strictEqual(yield* perSecond([one]), 4)
    })
  )

  it.scoped("is divided by the number last known while the store is away", () =>
    Effect.gen(function* () {
      const [one] = yield* budgetsIn(new Fleet(), 4, { rule })
      yield* retriesOf([one], 5)
      one.wire.state = "dead"
      assert.strictEqual(yield* perSecond([one]), 1)
      assert.strictEqual(yield* perSecond([one]), 1)
    })
  )

  it.scoped("is whole for a process that has never reached the store", () =>
    Effect.gen(function* () {
      const wire: Wire = { state: "dead", announces: true }
      const store = yield* SharedStore.make(wired(() => new SharedStore.Memory().adapter, wire))
      const one = { budget: yield* make({ store, wire }, { rule }) }
      yield* retriesOf([one], 3)
      assert.strictEqual(yield* perSecond([one]), 4)
    })
  )

  it.scoped("leaves the tokens that there are when it changes", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const [one] = yield* budgetsIn(fleet, 1, { rule })
      for (let token = 0; token < 4; token++) assert.isTrue(yield* one.budget.tryWithdraw())
      yield* TestClock.adjust("500 millis")
      yield* budgetsIn(fleet, 3, { rule })
      assert.strictEqual(yield* one.budget.balance, 2)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* one.budget.balance, 4)
    })
  )

  it.scoped("is shown", () =>
    Effect.gen(function* () {
      const [{ budget }] = yield* budgetsIn(new Fleet(), 1, { rule })
      assert.strictEqual(
        Policy.describe(budget),
        'retry-budget "partner"(rule: successes(ratio: 0.1, capacity: 4, minPerSecond: 4), share: { mode: floor })'
      )
    })
  )

  const refused = [
    ["of the rule of gRPC", { rule: RetryBudget.throttling() }],
    ["of a rule without a floor", { rule: RetryBudget.requests() }],
    ["of the rule by default", {}]
  ] as const
  it.effect.each(refused)("is refused where there is none to divide: %s", ([, options]) =>
    Effect.gen(function* () {
      const made = RetryBudget.make({ ...options, share: Share.floor() })
      const { message } = yield* refusalOf(Effect.provide(made, SharedStore.memory))
      assert.include(message, 'RetryBudget.make: option "rule" must be a rule with "minPerSecond" above 0')
    })
  )
})
