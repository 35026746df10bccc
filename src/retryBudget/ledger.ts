/** The retry budget bound to Effect: each operation is one synchronous step of the rule in `core/budget`. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import * as Rule from "../core/budget.js"
import {
  callable,
  type Caller,
  InvalidOption,
  object,
  onBehalfOf,
  type Shape,
  text
} from "../core/options.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { Events, type Tags } from "../policy/events.js"
import type * as Policy from "../policy/Policy.js"
import type * as RetryBudget from "./RetryBudget.js"
import { withoutSpan } from "../internal/context.js"
import { both, type Told } from "../internal/listeners.js"
import type { Member } from "../policy/keyed.js"
import * as Stateful from "../policy/stateful.js"
import * as Time from "../internal/time.js"
import { type Call, withCall } from "./call.js"
import { TypeId } from "./source.js"
import type { AnyFiber, Body } from "../internal/erased.js"

export const kind = "retry-budget"

const constructorName = "RetryBudget.make"

type Failure = FailureCondition.Failed<unknown, unknown>

/** Whether a retry or hedge was paid for, and the notification, if any. */
export interface Withdrawal {
  readonly granted: boolean
  readonly cost: number
  /** For giving it back: where it was taken from, and how often the budget had been reset by then. */
  readonly bucket: number
  readonly resets: number
  readonly told: Told
}

const defaultRule: RetryBudget.Rule = {
  ...Rule.successes({ ratio: 0.1, capacity: 100, perSecond: 0, refund: false }),
  cost: 1
}

/** What a retry costs: a number, or a function that is asked for each. */
export const checkCost = (policy: string, option: string, cost: RetryBudget.Cost): void => {
  if (typeof cost !== "function" && !(typeof cost === "number" && cost > 0 && cost < Infinity)) {
    throw new InvalidOption(policy, option, cost, "a finite number greater than 0, or a function")
  }
}

const listeners: Shape<RetryBudget.Listeners> = {
  onExhausted: callable,
  onRecovered: callable,
  onRefused: callable
}

/** What is given besides settings from the configuration. */
const given: Shape<RetryBudget.Given> = { share: callable, ...listeners }

/** Options of a rule, which are easily taken for those of the budget. */
const ofRule = /^(ratio|capacity|minPerSecond|cost|refund|window|maxTokens|tokenRatio)$/

const shape: Shape<RetryBudget.Options> = {
  name: text,
  rule: (policy, option, value) => {
    const rule = value as RetryBudget.Rule
    Rule.checked(policy, option, rule)
    if (rule._tag !== "throttling") checkCost(policy, `${option}.cost`, rule.cost)
  },
  ...given
}

/** Checks the options, and says what the budget is called. Throws an `InvalidOption` for the first bad one. */
export const configure = (options: RetryBudget.Options, defaultName: string, caller?: Caller): string =>
  onBehalfOf(caller, constructorName, () => {
    const misplaced = Object.entries<unknown>({ ...options }).find(([name]) => ofRule.test(name))
    if (misplaced !== undefined) {
      const [name, value] = misplaced
      const expected = `given to the rule, such as { rule: RetryBudget.successes({ capacity: 100 }) }`
      throw new InvalidOption(constructorName, name, value, expected)
    }
    object(constructorName, "", options, shape)
    options.share?.check?.(options.rule ?? defaultRule)
    return options.name ?? defaultName
  })

/** Makes a budget. What its listeners require is taken from the context, and stands in the types of the constructors. */
export const make = (
  options: RetryBudget.Options,
  defaultName: string,
  caller?: Caller
): Effect.Effect<Budget> =>
  Effect.gen(function* () {
    const name = configure(options, defaultName, caller)
    const clock = yield* Effect.clock
    const context = withoutSpan(yield* Effect.context<never>())
    const events = new Events({ kind, name }, tags, options, context)
    const budget = new Budget(name, options.rule ?? defaultRule, events, Time.monotonicMillis(clock))
    if (options.share !== undefined) budget.link = yield* options.share(budget)
    events.belongTo(budget)
    return budget
  }) as Effect.Effect<Budget>

const noCounts = { requests: 0, successes: 0, retries: 0, hedges: 0, refused: 0 }

const tags: Tags<RetryBudget.Event, RetryBudget.Change> = {
  Exhausted: "followed",
  Recovered: "followed",
  Refused: "heard",
  Withdrawn: "observed",
  GivenBack: "observed"
}

export class Budget implements RetryBudget.RetryBudget, Member<RetryBudget.Snapshot>, RetryBudget.Shareable {
  readonly [TypeId]: RetryBudget.TypeId = TypeId
  get [Stateful.Kind](): Stateful.Kind {
    return definition
  }
  readonly kind = kind
  /** What ties it to the budgets of other processes, if it is shared. */
  link: RetryBudget.Link | undefined
  private readonly given: RetryBudget.Rule
  private state: Rule.Budget
  /** Counters, which decide nothing. */
  private counts = { ...noCounts }
  /** Whether the last retry or hedge that asked was refused. */
  private exhausted = false
  private resets = 0

  constructor(
    readonly name: string,
    public rule: RetryBudget.Rule,
    private readonly events: Events<RetryBudget.Event, RetryBudget.Change>,
    now: number
  ) {
    this.given = rule
    this.state = Rule.initial(rule, now)
  }

  get settings(): Policy.Settings {
    return { rule: shown(this.given), share: this.link?.settings }
  }

  /** The time of a caller, at which the rule is up to date. */
  private now(caller: AnyFiber): number {
    const now = Time.monotonicMillis(Time.clockOf(caller))
    this.link?.update(now)
    return now
  }

  private balanceAt(now: number): number {
    return Rule.balance(this.rule, this.state, now)
  }

  follow(rule: RetryBudget.Rule, now: number): void {
    this.state = Rule.settled(this.rule, this.state, now)
    this.rule = rule
  }

  // ------------------------------------------------------------------------------------------------------- for policies

  /** Runs a call of a policy that this budget pays for. */
  during(body: (call: Call) => Body): Body {
    return withCall(this, body)
  }

  requested(fiber: AnyFiber): void {
    this.counts.requests += 1
    const now = this.now(fiber)
    this.state = Rule.requested(this.rule, this.state, now)
  }

  succeeded(taken: number, fiber: AnyFiber): void {
    this.counts.successes += 1
    const now = this.now(fiber)
    this.state = Rule.succeeded(this.rule, this.state, taken, now)
  }

  failed(fiber: AnyFiber): void {
    const now = this.now(fiber)
    this.state = Rule.failed(this.rule, this.state, now)
  }

  withdraw(activity: RetryBudget.Activity, failure: Failure | undefined, fiber: AnyFiber): Withdrawal {
    const now = this.now(fiber)
    const cost = this.costOf(failure)
    const next = Rule.withdraw(this.rule, this.state, cost, now)
    if (next === undefined) return this.refuse(activity, cost, now)
    this.state = next
    this.count(activity, 1)
    this.events.observer?.unsafeObserve({
      _tag: "Withdrawn",
      kind,
      name: this.name,
      activity,
      cost,
      balance: Rule.balance(this.rule, next, now)
    })
    return this.outcome(true, cost, this.turn(false, now))
  }

  private outcome(granted: boolean, cost: number, told: Told): Withdrawal {
    return { granted, cost, bucket: Rule.bucketOf(this.state), resets: this.resets, told }
  }

  /** Takes back what was withdrawn, unless a reset has forgotten it. */
  giveBack(activity: RetryBudget.Activity, { bucket, cost, resets }: Withdrawal, fiber: AnyFiber): void {
    if (resets !== this.resets) return
    const now = this.now(fiber)
    this.state = Rule.giveBack(this.rule, this.state, cost, bucket, now)
    this.count(activity, -1)
    this.events.observer?.unsafeObserve({ _tag: "GivenBack", kind, name: this.name, activity, cost })
  }

  private costOf(failure: Failure | undefined): number {
    const { cost } = this.rule
    if (typeof cost === "number") return cost
    const computed = cost(failure)
    if (Number.isFinite(computed) && computed >= 0) return computed
    const expected = "a function to finite numbers of 0 or more"
    throw new InvalidOption("RetryBudget.successes", "cost", computed, expected)
  }

  private count(activity: RetryBudget.Activity, by: number): void {
    if (activity === "retry") this.counts.retries += by
    else this.counts.hedges += by
  }

  private refuse(activity: RetryBudget.Activity, cost: number, now: number): Withdrawal {
    this.counts.refused += 1
    const turned = this.turn(true, now)
    const { Refused } = this.events.emit
    const refused = Refused?.({ activity, cost, balance: this.balanceAt(now) })
    return this.outcome(false, cost, both(turned, refused))
  }

  /** Notes whether the budget is exhausted, and tells it when that has changed. */
  private turn(exhausted: boolean, now: number): Told {
    if (this.exhausted === exhausted) return undefined
    this.exhausted = exhausted
    const { Exhausted, Recovered } = this.events.emit
    const balance = this.balanceAt(now)
    return exhausted ? Exhausted?.({ exhausted, balance }) : Recovered?.({ exhausted, balance })
  }

  // ------------------------------------------------------------------------------------------------------------ by key

  /** It has less than a new one would have. */
  isProtecting(now: number): boolean {
    return this.comparedToNew(now) < 0
  }

  /** It has more than a new one would have. */
  hasEvidence(now: number): boolean {
    return this.comparedToNew(now) > 0
  }

  private comparedToNew(now: number): number {
    const balance = (budget: Rule.Budget) => Rule.balance(this.rule, budget, now)
    return balance(this.state) - balance(Rule.initial(this.rule, now))
  }

  // --------------------------------------------------------------------------------------------------------- for people

  private step<A>(step: (fiber: AnyFiber) => A): Effect.Effect<A> {
    return Effect.withFiberRuntime((fiber) => Effect.succeed(step(fiber)))
  }

  get recordRequest(): Effect.Effect<void> {
    return this.step((fiber) => this.requested(fiber))
  }

  get recordSuccess(): Effect.Effect<void> {
    return this.step((fiber) => this.succeeded(0, fiber))
  }

  get recordFailure(): Effect.Effect<void> {
    return this.step((fiber) => this.failed(fiber))
  }

  get tryWithdraw() {
    return (failure?: Failure): Effect.Effect<boolean> =>
      Effect.withFiberRuntime((fiber) => {
        const { granted, told } = this.withdraw("retry", failure, fiber)
        return told === undefined ? Effect.succeed(granted) : Effect.as(told, granted)
      })
  }

  get balance(): Effect.Effect<number> {
    return this.step((fiber) => this.balanceAt(this.now(fiber)))
  }

  get changes(): Stream.Stream<RetryBudget.Change> {
    return this.events.stream
  }

  get snapshot(): Effect.Effect<RetryBudget.Snapshot> {
    return this.step((fiber) => ({
      name: this.name,
      balance: this.balanceAt(this.now(fiber)),
      capacity: Rule.capacity(this.rule),
      exhausted: this.exhausted,
      ...this.counts
    }))
  }

  get reset(): Effect.Effect<void> {
    return Effect.withFiberRuntime((fiber) => {
      const now = this.now(fiber)
      this.state = Rule.initial(this.rule, now)
      this.counts = { ...noCounts }
      this.resets += 1
      return this.turn(false, now) ?? Effect.void
    })
  }
}

/** A rule as the options of its constructor. */
const shown = (rule: RetryBudget.Rule): object => {
  const { _tag, ratio } = rule
  if (_tag === "throttling") return { _tag, maxTokens: rule.capacity, tokenRatio: ratio }
  const minPerSecond = rule.perSecond === 0 ? undefined : rule.perSecond
  return _tag === "requests"
    ? { _tag, ratio, window: Duration.millis(rule.window), minPerSecond }
    : { _tag, ratio, capacity: rule.capacity, minPerSecond, refund: rule.refund || undefined }
}

// --------------------------------------------------------------------------------------------------------- definition

interface Family extends Stateful.KeyedFamily {
  readonly module: "RetryBudget"
  readonly operations: RetryBudget.Operations<this["needed"]>
  readonly service: RetryBudget.Service<this["needed"]>
  readonly keyed: RetryBudget.KeyedOperations<this["needed"]>
  readonly keyedService: RetryBudget.KeyedService<this["needed"]>
  readonly instance: RetryBudget.RetryBudget
  readonly options: RetryBudget.Options
  readonly settings: RetryBudget.Settings
  readonly given: RetryBudget.Given
  readonly snapshot: RetryBudget.Snapshot
}

const definition: Stateful.KeyedDefinition<Family> = {
  module: "RetryBudget",
  kind,
  make,
  check: configure,
  given,
  defaults: {},
  members: {
    tryWithdraw: "call",
    recordRequest: "effect",
    recordSuccess: "effect",
    recordFailure: "effect",
    balance: "effect",
    snapshot: "effect",
    changes: "stream",
    reset: "effect"
  },
  status: ({ exhausted }) => (exhausted ? "exhausted" : "available"),
  actions: ["reset"],
  byKey: (_, get) => ({ get })
}

export const budgets = /*#__PURE__*/ Stateful.defineKeyed(definition)
