import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, FiberRef, Schedule, TestClock } from "effect"
import { Retry, RetryBudget } from "effect-resilience"
import { down } from "../support/calls.js"
import { interruptedAtEveryStep } from "../support/everyStep.js"
import { finish, scripted } from "../support/virtual.js"

const everySecond = Schedule.spaced("1 second")

/** A fixed number of tokens, which neither time nor successes add to. */
const only = (capacity: number) => RetryBudget.make({ rule: RetryBudget.successes({ capacity, ratio: 0 }) })

class PartnerBudget extends RetryBudget.Tag("PartnerBudget")<PartnerBudget>() {}

describe("a retry with a budget", () => {
  it.effect("that is refused gives the last failure back as it was, before any wait", () =>
    Effect.gen(function* () {
      const budget = yield* only(1)
      const { begun, call } = scripted<string, string, never>(Effect.fail("first"), Effect.fail("second"))
      const log: Array<string> = []
      const exit = yield* finish(
        call.pipe(
          Retry.retry({
            schedule: everySecond,
            budget,
            onRetryScheduled: ({ attempt }) => Effect.sync(() => log.push(`scheduled after ${attempt}`)),
            onExceeded: ({ attempt, reason }) => Effect.sync(() => log.push(`${reason} at ${attempt}`))
          }),
          Effect.exit,
          Effect.zip(Clock.currentTimeMillis)
        )
      )
      assert.deepStrictEqual(exit, Exit.succeed([Exit.fail("second"), 1000]))
      assert.deepStrictEqual(begun, [0, 1000])
      assert.deepStrictEqual(log, ["scheduled after 1", "budget at 2"])
    })
  )

  it.effect("that is refused gives a result back as a result", () =>
    Effect.gen(function* () {
      const budget = yield* only(0)
      const call = Effect.succeed(503)
      const retried = Retry.retry(call, {
        times: 3,
        budget,
        condition: { result: (status) => status === 503 }
      })
      assert.strictEqual(yield* retried, 503)
    })
  )

  it.effect("that is refused can be wrapped", () =>
    Effect.gen(function* () {
      const budget = yield* only(0)
      const error = yield* Effect.flip(down.pipe(Retry.retry({ times: 3, budget, exceeded: "wrap" })))
      assert.instanceOf(error, Retry.RetriesExceeded)
      const { attempts, lastExit, reason } = error as Retry.RetriesExceeded
      assert.deepStrictEqual(
        { attempts, lastExit, reason },
        { attempts: 1, lastExit: Exit.fail("down"), reason: "budget" }
      )
    })
  )

  it.effect("keeps what a refused result holds, and the caller has it", () =>
    Effect.gen(function* () {
      const budget = yield* only(1)
      const disposed: Array<number> = []
      const { call } = scripted(Effect.succeed(1), Effect.succeed(2))
      const retried = Retry.retry(call, {
        schedule: Schedule.forever,
        budget,
        condition: { result: () => true },
        disposeResult: (result) => Effect.sync(() => disposed.push(result))
      })
      assert.strictEqual(yield* retried, 2)
      assert.deepStrictEqual(disposed, [1])
    })
  )

  it.effect("takes from the budget only for retries that every other bound allows", () =>
    Effect.gen(function* () {
      const bounds: ReadonlyArray<Retry.Options<never, "down">> = [
        { times: 0 },
        { times: 5, abortWhen: () => true },
        { times: 5, maxDuration: "1 second", schedule: Schedule.spaced("2 seconds") },
        { schedule: Schedule.recurs(0) },
        { times: 5, maxHint: "1 second", delayFrom: () => "2 seconds" as const }
      ]
      for (const options of bounds) {
        const budget = yield* only(5)
        yield* Effect.exit(Retry.retry(down, { ...options, budget }) as typeof down)
        assert.deepInclude(yield* budget.snapshot, { balance: 5, retries: 0, refused: 0 })
      }
    })
  )

  it.effect("takes one token for each retry, and puts in a share for each call that succeeds", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ ratio: 0.25, capacity: 10 }) })
      const { call } = scripted<string, string, never>(down, down, Effect.succeed("up"))
      const retried = call.pipe(Retry.retry({ schedule: Schedule.forever, budget }))
      assert.strictEqual(yield* retried, "up")
      assert.deepInclude(yield* budget.snapshot, { balance: 8.25, requests: 1, successes: 1, retries: 2 })
      yield* Effect.repeatN(retried, 6)
      assert.deepInclude(yield* budget.snapshot, { balance: 10, requests: 8, successes: 8 })
    })
  )

  it.effect("is funded by an answer that the condition does not count, and by nothing that is ignored", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make()
      const condition = { error: () => false, ignore: { result: () => true } }
      const { successes: none } = yield* budget.snapshot
      assert.strictEqual(none, 0)
      yield* Effect.exit(Retry.retry(Effect.fail("not found"), { budget, condition }))
      assert.strictEqual((yield* budget.snapshot).successes, 1)
      yield* Effect.exit(Retry.retry(Effect.succeed(429), { budget, condition }))
      yield* Effect.exit(Retry.retry(Effect.die("bug"), { budget }))
      yield* Effect.exit(Retry.retry(Effect.interrupt, { budget }))
      yield* Effect.exit(Retry.retry(Effect.fail("down"), { budget, times: 0 }))
      assert.deepInclude(yield* budget.snapshot, { requests: 5, successes: 1 })
    })
  )

  it.effect("without retries left counts what fails, where failures are what is counted", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.throttling() })
      yield* Effect.exit(Retry.retry(down, { times: 1, schedule: Schedule.forever, budget }))
      assert.strictEqual(yield* budget.balance, 3)
      yield* Effect.exit(Retry.retry(down, { times: 5, schedule: Schedule.forever, budget }))
      assert.deepInclude(yield* budget.snapshot, { balance: 0, retries: 3, refused: 1 })
      yield* Effect.exit(Retry.retry(down, { abortWhen: () => true, budget }))
      yield* Effect.repeatN(Retry.retry(Effect.void, { budget }), 1)
      assert.isAbove(yield* budget.balance, 0)
    })
  )

  it.effect("gives back what the last retry took when it succeeds, where the rule says so", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.awsStandard() })
      const balances: Array<number> = []
      const timedOut = Effect.fail({ _tag: "TimeoutExceeded" })
      const { call } = scripted<string, unknown, never>(timedOut, down, Effect.succeed("up"))
      yield* call.pipe(
        Retry.retry({
          schedule: Schedule.forever,
          budget,
          onRetryScheduled: () => Effect.map(budget.balance, (balance) => balances.push(balance))
        })
      )
      balances.push(yield* budget.balance)
      assert.deepStrictEqual(balances, [490, 485, 490])
    })
  )

  it.effect("shares it between all calls that have the same", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(down)
      const one = call.pipe(
        Retry.retry({ times: 2, schedule: Schedule.forever, budget: PartnerBudget }),
        Effect.exit
      )
      yield* Effect.all([one, one, one], { concurrency: "unbounded" })
      assert.strictEqual(begun.length, 3 + 4)
      assert.deepInclude(yield* PartnerBudget.snapshot, { name: "PartnerBudget", retries: 4, refused: 1 })
    }).pipe(Effect.provide(PartnerBudget.layer({ rule: RetryBudget.successes({ capacity: 4 }) })))
  )

  it.effect("nested in another counts as one call, and each retry takes its own token", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ ratio: 0.5, capacity: 10 }) })
      const { call } = scripted<string, string, never>(down, down, down, Effect.succeed("up"))
      const inner = Retry.retry({ times: 1, schedule: Schedule.forever, budget })
      const outer = Retry.retry({ times: 5, schedule: Schedule.forever, budget })
      yield* call.pipe(inner, outer)
      assert.deepInclude(yield* budget.snapshot, { balance: 7.5, requests: 1, successes: 1, retries: 3 })
      yield* outer(Effect.zipRight(inner(Effect.void), inner(Effect.void)))
      assert.deepInclude(yield* budget.snapshot, { requests: 2, successes: 2 })
    })
  )

  it.effect("counts the calls of a fiber that outlives the call that forked it", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make()
      const counted = Retry.retry({ budget })
      const later = Effect.delay(counted(Effect.void), "1 minute")
      const fiber = yield* counted(Effect.forkDaemon(later))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepInclude(yield* budget.snapshot, { requests: 2, successes: 2 })
    })
  )

  it.effect("with budgets of their own count separately", () =>
    Effect.gen(function* () {
      const [one, other] = yield* Effect.all([RetryBudget.make(), RetryBudget.make()])
      yield* Effect.void.pipe(
        Retry.retry({ budget: one }),
        Retry.retry({ budget: other }),
        Retry.retry({ budget: one })
      )
      for (const budget of [one, other]) {
        assert.deepInclude(yield* budget.snapshot, { requests: 1, successes: 1 })
      }
    })
  )

  it.effect("tells the listeners of the budget before the retry comes back", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const budget = yield* RetryBudget.make({
        rule: RetryBudget.successes({ capacity: 0 }),
        onExhausted: () => Effect.sync(() => log.push("exhausted")),
        onRefused: ({ activity }) => Effect.sync(() => log.push(`refused ${activity}`))
      })
      const onExceeded = () => Effect.sync(() => log.push("exceeded"))
      yield* Effect.exit(Retry.retry(down, { budget, onExceeded }))
      yield* Effect.exit(Retry.retry(down, { budget, onExceeded }))
      assert.deepStrictEqual(log, ["exhausted", "refused retry", "exceeded", "refused retry", "exceeded"])
    })
  )

  it.effect("leaves the FiberRefs of the attempts as they were without it", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make()
      const ref = FiberRef.unsafeMake(0)
      yield* Retry.retry(FiberRef.set(ref, 1), { budget })
      assert.strictEqual(yield* FiberRef.get(ref), 1)
    })
  )

  it.effect("whose cost cannot be worked out is a defect of the call", () =>
    Effect.gen(function* () {
      const rule = RetryBudget.successes({
        cost: () => {
          throw "oops"
        }
      })
      const budget = yield* RetryBudget.make({ rule })
      assert.deepStrictEqual(yield* Effect.exit(Retry.retry(down, { budget })), Exit.die("oops"))
      assert.strictEqual((yield* budget.snapshot).retries, 0)
    })
  )
})

describe("a retry with a budget gives back what it paid for a retry that is not made", () => {
  it.effect("because the call was interrupted while it waited", () =>
    Effect.gen(function* () {
      const budget = yield* only(5)
      const fiber = yield* Effect.fork(Retry.retry(down, { schedule: everySecond, budget }))
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* budget.balance, 3)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.deepInclude(yield* budget.snapshot, { balance: 4, retries: 1 })
    })
  )

  /** Ten calls with one minute to wait until their retry, which ten seconds of a window have paid for. */
  const tenWait = (budget: RetryBudget.RetryBudget) =>
    Effect.forEach(Array.from({ length: 10 }), () =>
      Effect.fork(Retry.retry(down, { times: 1, schedule: Schedule.spaced("1 minute"), budget }))
    )

  it.effect.each([
    ["within its window is there again", 5000, 10, 0],
    ["after its window is gone, and not there twice", 15_000, 10, 0]
  ] as const)("%s took", ([, at, balance, retries]) =>
    Effect.gen(function* () {
      const rule = RetryBudget.requests({ ratio: 0, window: "10 seconds", minPerSecond: 1 })
      const budget = yield* RetryBudget.make({ rule })
      const fibers = yield* tenWait(budget)
      yield* TestClock.adjust(at)
      yield* Fiber.interruptAll(fibers)
      const snapshot = yield* budget.snapshot
      assert.strictEqual(snapshot.balance, balance)
      assert.strictEqual(snapshot.retries, retries)
    })
  )

  it.effect.each([
    RetryBudget.requests({ ratio: 0, window: "1 minute", minPerSecond: 1 }),
    RetryBudget.successes({ ratio: 0, capacity: 60 })
  ])("what it took before a reset is not given back", (rule) =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule })
      const fibers = yield* tenWait(budget)
      yield* TestClock.adjust(1)
      yield* budget.reset
      yield* Effect.repeatN(budget.tryWithdraw(), 19)
      yield* Fiber.interruptAll(fibers)
      const { balance, retries } = yield* budget.snapshot
      assert.deepStrictEqual({ balance, retries }, { balance: 40, retries: 20 })
    })
  )

  it.effect.each(["onRetryScheduled", "onRetry"] as const)("because its %s failed", (listener) =>
    Effect.gen(function* () {
      const budget = yield* only(5)
      const fails = { [listener]: () => Effect.fail("listener") }
      yield* Effect.exit(Retry.retry(down, { schedule: Schedule.forever, budget, ...fails }))
      assert.deepInclude(yield* budget.snapshot, { balance: 5, retries: 0 })
    })
  )

  it.effect("because its listener took too long", () =>
    Effect.gen(function* () {
      const budget = yield* only(5)
      const slow = () => Effect.sleep("5 seconds")
      const options = { schedule: Schedule.forever, maxDuration: "3 seconds", budget } as const
      yield* finish(Retry.retry(down, { ...options, onRetryScheduled: slow }))
      assert.deepInclude(yield* budget.snapshot, { balance: 5, retries: 0 })
    })
  )

  it("at whatever step it is interrupted", () => {
    let budget: RetryBudget.RetryBudget | undefined
    let begun = 0
    const steps = interruptedAtEveryStep(
      () => {
        begun = 0
        return Effect.flatMap(only(10), (made) => {
          budget = made
          const call = Effect.suspend(() => {
            begun += 1
            return Effect.zipRight(Effect.sleep(100), down)
          })
          return Retry.retry(call, { times: 3, schedule: everySecond, budget: made })
        })
      },
      ({ interruptedAt }) => {
        if (budget === undefined) return
        const { balance, retries } = Effect.runSync(budget.snapshot)
        // Each retry takes a token, even one that is interrupted as it begins.
        const retried = Math.max(0, begun - 1)
        assert.include([retried, interruptedAt === undefined ? retried : retried + 1], retries)
        assert.strictEqual(balance, 10 - retries)
      }
    )
    assert.isAbove(steps, 50)
  })
})
