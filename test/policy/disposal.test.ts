/**
 * A ledger of results that hold something: each is opened, and then either reaches the caller or is disposed of, once. Each
 * scenario runs to its end, and interrupted at every step.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schedule } from "effect"
import {
  Bulkhead,
  CircuitBreaker,
  Fallback,
  Hedge,
  Observer,
  Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout
} from "effect-resilience"
import { Observability } from "effect-resilience/observability"
import { interruptedAtEveryStep, runToEnd } from "../support/everyStep.js"
import { runs } from "../support/runs.js"

interface Held {
  readonly id: number
  readonly good: boolean
}

/** What became of the results of one run. */
class Ledger {
  readonly disposed: Array<number> = []
  readonly handed: Array<number> = []
  opened = 0

  readonly disposeResult = ({ id }: Held) => Effect.sync(() => void this.disposed.push(id))

  readonly slowly = (held: Held) => Effect.zipRight(Effect.sleep(7), this.disposeResult(held))

  /** Opens one after so many milliseconds. */
  readonly open = (good: boolean, millis = 0): Effect.Effect<Held> => {
    const opened = Effect.sync((): Held => ({ id: (this.opened += 1), good }))
    return millis === 0 ? opened : Effect.zipRight(Effect.sleep(millis), opened)
  }

  /** One after the other, and then the last again. */
  readonly script = (
    ...attempts: readonly [Effect.Effect<Held, string>, ...Array<Effect.Effect<Held, string>>]
  ): Effect.Effect<Held, string> => {
    let begun = 0
    return Effect.suspend(() => attempts[Math.min(begun++, attempts.length - 1)] ?? attempts[0])
  }

  /** The caller keeps every result that it gets, also one inside an error. */
  readonly keep = (call: Effect.Effect<unknown, unknown>): Effect.Effect<void> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.exit(restore(call)), (exit) => Effect.sync(() => this.take(exit)))
    )

  private take(exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) return void (isHeld(exit.value) && this.handed.push(exit.value.id))
    const failure = Cause.squash(exit.cause)
    if (failure instanceof Retry.RetriesExceeded) this.take(failure.lastExit)
  }

  get lost(): ReadonlyArray<number> {
    const known = [...this.disposed, ...this.handed]
    return Array.from({ length: this.opened }, (_, index) => index + 1).filter((id) => !known.includes(id))
  }

  get twice(): ReadonlyArray<number> {
    const known = [...this.disposed, ...this.handed]
    return known.filter((id, index) => known.indexOf(id) !== index)
  }
}

const isHeld = (value: unknown): value is Held => typeof value === "object" && value !== null && "id" in value

const condition = { result: ({ good }: Held) => !good }
const schedule = Schedule.spaced(10)

type Scenario = (ledger: Ledger) => Effect.Effect<unknown, unknown>

const { uninterruptible } = Effect

/** The options in the tables have no listeners that need services, which their type does not show. */
const hedges =
  (options: Partial<Hedge.Options<Held, string>>) =>
  (ledger: Ledger) =>
  (self: Effect.Effect<Held, string>): Effect.Effect<Held, string> => {
    const all: Hedge.Options<Held, string> = {
      delay: 20,
      maxHedges: 2,
      condition,
      disposeResult: ledger.disposeResult,
      ...options
    }
    return Hedge.hedge(self, all) as Effect.Effect<Held, string>
  }

const scenarios: Record<string, Scenario> = {
  "a retry that succeeds at once": (ledger) =>
    Retry.retry(ledger.open(true), { schedule, condition, disposeResult: ledger.disposeResult }),
  "a retry whose third result is good": (ledger) =>
    ledger
      .script(ledger.open(false), ledger.open(false, 5), ledger.open(true, 5))
      .pipe(
        Retry.retry({ schedule, condition, disposeResult: ledger.slowly, onRetry: () => Effect.sleep(1) })
      ),
  "a retry that gives up": (ledger) =>
    ledger.open(false, 5).pipe(
      Retry.retry({
        schedule,
        times: 2,
        condition,
        disposeResult: ledger.disposeResult,
        onRetryScheduled: () => Effect.sleep(1),
        onExceeded: () => Effect.sleep(1)
      })
    ),
  "a retry that wraps its last result": (ledger) =>
    Retry.retry(ledger.open(false, 5), {
      schedule,
      times: 1,
      condition,
      disposeResult: ledger.disposeResult,
      exceeded: "wrap"
    }),
  "a retry that takes too long": (ledger) =>
    Retry.retry(ledger.open(false, 5), {
      schedule,
      condition,
      disposeResult: ledger.disposeResult,
      maxDuration: 40
    }),
  "a retry that is aborted": (ledger) =>
    Retry.retry(ledger.open(false), {
      schedule,
      condition,
      disposeResult: ledger.disposeResult,
      abortWhen: () => true,
      onAbort: () => Effect.sleep(1)
    }),
  "a retry whose budget refuses": (ledger) =>
    Effect.flatMap(
      RetryBudget.make({
        rule: RetryBudget.successes({ ratio: 0, capacity: 1 }),
        onExhausted: () => Effect.sleep(1)
      }),
      (budget) =>
        Retry.retry(ledger.open(false), { schedule, condition, disposeResult: ledger.disposeResult, budget })
    ),
  "a retry whose listener fails": (ledger) =>
    Retry.retry(ledger.open(false), {
      schedule,
      condition,
      disposeResult: ledger.disposeResult,
      onRetryScheduled: () => Effect.zipRight(Effect.sleep(1), Effect.fail("no"))
    }),
  "a retry whose schedule dies": (ledger) =>
    Retry.retry(ledger.open(false), {
      schedule: Schedule.forever.pipe(Schedule.addDelayEffect(() => Effect.die("bug"))),
      condition,
      disposeResult: ledger.disposeResult
    }),
  "a retry of attempts that fail, too": (ledger) =>
    ledger
      .script(ledger.open(false), Effect.fail("down"), ledger.open(false), ledger.open(true))
      .pipe(Retry.retry({ schedule, condition, disposeResult: ledger.disposeResult })),
  "retries within each other": (ledger) =>
    ledger
      .script(ledger.open(false), ledger.open(false), ledger.open(false), ledger.open(true))
      .pipe(
        Retry.retry({ times: 1, schedule, condition, disposeResult: ledger.disposeResult }),
        Retry.retry({ times: 1, schedule, condition, disposeResult: ledger.disposeResult })
      ),

  "a hedge whose first result is good": (ledger) => ledger.open(true, 5).pipe(hedges({})(ledger)),
  "a hedge whose second attempt wins": (ledger) =>
    ledger.script(ledger.open(true, 90), ledger.open(true, 5)).pipe(hedges({})(ledger)),
  "a hedge of bad results": (ledger) => ledger.open(false, 5).pipe(hedges({})(ledger)),
  "a hedge whose bad results come last": (ledger) =>
    ledger
      .script(ledger.open(false, 100), Effect.fail("down"), ledger.open(false, 70))
      .pipe(hedges({ disposeResult: ledger.slowly })(ledger)),
  "a hedge of which two attempts end at one instant": (ledger) =>
    ledger.script(ledger.open(true, 40), ledger.open(true, 20)).pipe(hedges({})(ledger)),
  "a hedge whose losers cannot be interrupted": (ledger) =>
    ledger
      .script(
        uninterruptible(ledger.open(false, 100)),
        uninterruptible(ledger.open(true, 100)),
        uninterruptible(ledger.open(true, 10))
      )
      .pipe(hedges({})(ledger)),
  "a hedge whose losers cannot be interrupted, and that does not wait for them": (ledger) =>
    ledger
      .script(uninterruptible(ledger.open(true, 100)), ledger.open(true, 5))
      .pipe(hedges({ disconnect: true })(ledger)),
  "a hedge with a listener, a computed delay and a budget": (ledger) =>
    Effect.flatMap(RetryBudget.make(), (budget) =>
      ledger.script(uninterruptible(ledger.open(true, 90)), ledger.open(false, 5), ledger.open(true, 5)).pipe(
        hedges({
          delay: Effect.as(Effect.sleep(5), 20),
          onHedge: () => Effect.sleep(3),
          budget
        })(ledger)
      )
    ),
  "a hedge whose condition throws": (ledger) =>
    ledger.open(true, 5).pipe(
      hedges({
        condition: {
          result: () => {
            throw "bug"
          }
        }
      })(ledger)
    ),
  "a hedge whose startsNext throws": (ledger) =>
    ledger.open(false, 5).pipe(
      hedges({
        startsNext: () => {
          throw "bug"
        }
      })(ledger)
    ),
  "hedges deep within each other": (ledger) =>
    Array.from({ length: 20 }).reduce<Effect.Effect<Held, string>>(
      (call) => hedges({ delay: "1 minute" })(ledger)(call),
      ledger.script(ledger.open(false), ledger.open(true))
    ),
  "a retry of hedges": (ledger) =>
    ledger
      .script(
        ledger.open(false, 30),
        uninterruptible(ledger.open(false, 30)),
        ledger.open(false),
        ledger.open(true)
      )
      .pipe(hedges({})(ledger), Retry.retry({ schedule, condition, disposeResult: ledger.disposeResult })),

  "a fallback from a good result": (ledger) =>
    Fallback.succeed(ledger.open(true, 5), "cold", { condition, disposeResult: ledger.disposeResult }),
  "a fallback from a bad result": (ledger) =>
    Fallback.orElse(ledger.open(false, 5), () => Effect.as(Effect.sleep(1), "cold"), {
      condition,
      disposeResult: ledger.disposeResult,
      onFallback: () => Effect.sleep(1)
    }),
  "a fallback that fails": (ledger) =>
    Fallback.orElse(ledger.open(false), () => Effect.fail("no"), {
      condition,
      disposeResult: ledger.disposeResult
    }),
  "a fallback whose listener fails": (ledger) =>
    Fallback.succeed(ledger.open(false), "cold", {
      condition,
      disposeResult: ledger.disposeResult,
      onFallback: () => Effect.fail("no")
    }),
  "a fallback whose condition throws": (ledger) =>
    Fallback.succeed(ledger.open(false), "cold", {
      condition: {
        result: () => {
          throw "bug"
        }
      },
      disposeResult: ledger.disposeResult
    })
}

/** The number of steps at which an interruption loses a result; with `every` it looks at one step in so many. */
const stepsThatLose = (scenario: Scenario, every = 1): number => {
  let [ledger, losing] = [new Ledger(), 0]
  interruptedAtEveryStep(
    () => {
      ledger = new Ledger()
      return ledger.keep(scenario(ledger))
    },
    ({ exit, interruptedAt }) => {
      assert.isDefined(exit)
      assert.deepStrictEqual(ledger.twice, [])
      assert.isAtMost(ledger.lost.length, 1)
      if (interruptedAt === undefined) assert.deepStrictEqual(ledger.lost, [])
      losing += ledger.lost.length
    },
    every
  )
  return losing
}

const plain = Observer.make(() => {})
const spanning = Effect.runSync(
  Effect.provide(Observer.Observer, Observability.layer({ spans: { attempts: "spans" }, logs: false }))
)

describe("a result of which a policy is to dispose", () => {
  for (const [name, scenario] of Object.entries(scenarios)) {
    it(`reaches the caller or is disposed of, once, in ${name}`, () => {
      const ledger = new Ledger()
      runToEnd(ledger.keep(scenario(ledger)))
      assert.isAbove(ledger.opened, 0)
      // In one step the result leaves the policy. An interruption at this step loses it without a policy, too.
      assert.isAtMost(stepsThatLose(scenario, runs(2, 1)), handOvers[name] ?? 1)
    })

    it(`is lost in no further step when each attempt has a span, in ${name}`, () => {
      const lost = [plain, spanning].map((observer) =>
        stepsThatLose((ledger) => Effect.provideService(scenario(ledger), Observer.Observer, observer))
      )
      assert.strictEqual(lost[1], lost[0])
    })
  }

  it("is lost by Effect in more steps without a policy", () => {
    assert.isAtLeast(
      stepsThatLose((ledger) => uninterruptible(ledger.open(true))),
      1
    )
  })
})

/** Policies between a hedge and its call. */
const between = (
  ledger: Ledger
): Effect.Effect<Record<string, (self: Effect.Effect<Held, string>) => Effect.Effect<Held, unknown>>> =>
  Effect.gen(function* () {
    const bulkhead = yield* Bulkhead.make({ permits: 9 })
    const breaker = yield* CircuitBreaker.make()
    const probed = yield* CircuitBreaker.make({ halfOpen: { permits: 9, successes: 9 } })
    const limiter = yield* RateLimiter.make({ rate: RateLimiter.slidingWindow({ limit: 9, per: "1 hour" }) })
    const keyed = yield* Bulkhead.keyed({ options: { permits: 9 } })
    yield* probed.halfOpen
    return {
      "a bulkhead": bulkhead.protect,
      "a bulkhead by key": keyed.protect("a"),
      "a closed circuit": breaker.protect,
      "a half-open circuit": probed.protect,
      "a rate limiter": limiter.protect,
      "a retry": Retry.retry({ times: 1 }),
      "a timeout": Timeout.timeout({ limit: "1 minute" }),
      "a pipeline": Policy.pipeline(breaker.protect, Retry.retry({ times: 1 }), bulkhead.protect),
      "another hedge": hedges({ delay: "1 minute" })(ledger)
    }
  })

describe("the result of a loser that could not be interrupted", () => {
  for (const name of Object.keys(Effect.runSync(between(new Ledger())))) {
    it(`is disposed of through ${name}`, () => {
      const ledger = new Ledger()
      const loser = uninterruptible(ledger.open(true, 90))
      const call = Effect.flatMap(between(ledger), (policies) =>
        ledger
          .script(loser, loser, ledger.open(true, 5))
          .pipe(policies[name], Effect.mapError(String), hedges({})(ledger))
      )
      runToEnd(ledger.keep(call))
      assert.deepStrictEqual(ledger.handed, [1])
      assert.deepStrictEqual([ledger.lost, ledger.twice], [[], []])
    })
  }

  it("is not waited for where the attempt goes on to wait", () => {
    const ledger = new Ledger()
    const loser = Effect.forever(uninterruptible(Effect.sleep(15)))
    const { endedAt } = runToEnd(hedges({})(ledger)(ledger.script(loser, ledger.open(true, 5))))
    assert.isAtMost(endedAt, 45)
  })
})

/** How often a result leaves a policy, where policies are nested. */
const handOvers: Record<string, number> = { "retries within each other": 3, "a retry of hedges": 4 }
