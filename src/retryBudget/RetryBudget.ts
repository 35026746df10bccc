/**
 * Limits how many retries and hedges all calls to one destination make together, so that callers do not overload a failing service.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Stream from "effect/Stream"
import * as core from "../core/budget.js"
import { callable, flag, InvalidOption, object, type Shape, whereRead } from "../core/options.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { type DurationInput, optionMillis } from "../internal/duration.js"
import * as internal from "./ledger.js"
import type { Sharing } from "./sharing.js"
import type { Checked, Configured } from "../policy/types.js"
import type * as Policy from "../policy/Policy.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-resilience/RetryBudget")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

// ------------------------------------------------------------------------------------------------------------- models

/**
 * What a token is spent on.
 *
 * @since 0.1.0
 * @category models
 */
export type Activity = "retry" | "hedge"

/**
 * A retry or hedge that the budget did not pay for.
 *
 * @since 0.1.0
 * @category events
 */
export interface Refused extends Policy.Event<"retry-budget", "Refused"> {
  readonly activity: Activity
  readonly cost: number
  readonly balance: number
}

/**
 * A retry or hedge that the budget paid for. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Withdrawn extends Policy.Event<"retry-budget", "Withdrawn"> {
  readonly activity: Activity
  readonly cost: number
  /** The balance after it. */
  readonly balance: number
}

/**
 * A retry or hedge that was paid for and did not begin: what it cost was given back. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface GivenBack extends Policy.Event<"retry-budget", "GivenBack"> {
  readonly activity: Activity
  readonly cost: number
}

/**
 * The budget became exhausted: with this retry or hedge it began to refuse.
 *
 * @since 0.1.0
 * @category events
 */
export interface Exhausted extends Policy.Event<"retry-budget", "Exhausted"> {
  readonly exhausted: true
  /** The balance after it. */
  readonly balance: number
}

/**
 * The budget is exhausted no longer: it has paid for a retry or hedge again, or was reset.
 *
 * @since 0.1.0
 * @category events
 */
export interface Recovered extends Policy.Event<"retry-budget", "Recovered"> {
  readonly exhausted: false
  /** The balance after it. */
  readonly balance: number
}

/**
 * A change between a budget that pays and one that refuses.
 *
 * @since 0.1.0
 * @category events
 */
export type Change = Exhausted | Recovered

/**
 * What happens in a budget.
 *
 * @since 0.1.0
 * @category events
 */
export type Event = Change | Refused | Withdrawn | GivenBack

/**
 * A budget as plain data.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly name: string
  /** How many tokens there are to spend. With {@link throttling} these are the ones above the half that is left alone. */
  readonly balance: number
  /** The most tokens that there can be. Infinite with {@link requests}. */
  readonly capacity: number
  /** Whether the last retry or hedge that asked was refused. */
  readonly exhausted: boolean
  /** Calls begun, each with all its attempts. This and all that follows: since the budget was made or reset. */
  readonly requests: number
  readonly successes: number
  /** Retries paid for. */
  readonly retries: number
  /** Hedges paid for. */
  readonly hedges: number
  /** Retries and hedges not paid for. */
  readonly refused: number
}

/**
 * What can be done with a budget, given that `Needed` is there: an instance needs nothing, a tag needs the service. Retries and
 * hedges do everything by themselves; the `record…` operations and `tryWithdraw` are for loops of one's own.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operations<Needed = never> {
  /** How many tokens there are to spend. */
  readonly balance: Effect.Effect<number, never, Needed>
  readonly snapshot: Effect.Effect<Snapshot, never, Needed>
  /** Exhausted or not, from now on. A subscriber that falls more than 64 changes behind loses the oldest. */
  readonly changes: Stream.Stream<Change, never, Needed>
  /** As if the budget had just been made. */
  readonly reset: Effect.Effect<void, never, Needed>
  /** A call begins. */
  readonly recordRequest: Effect.Effect<void, never, Needed>
  readonly recordSuccess: Effect.Effect<void, never, Needed>
  /** An attempt failed in a way that could be tried again. */
  readonly recordFailure: Effect.Effect<void, never, Needed>
  /** Pays for a retry, given what failed. `false` when there is too little to do so: then do not retry. */
  readonly tryWithdraw: (
    failure?: FailureCondition.Failed<unknown, unknown>
  ) => Effect.Effect<boolean, never, Needed>
}

/**
 * A retry budget. Make one for each destination, and share it between all retries and hedges that go there.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryBudget extends Operations, Policy.Described {
  readonly [TypeId]: TypeId
}

/**
 * Where a retry or hedge has its budget from: an instance, or an effect that finds one, such as a tag.
 *
 * @since 0.1.0
 * @category models
 */
export type Source<R = unknown> = RetryBudget | Effect.Effect<RetryBudget, never, R>

// -------------------------------------------------------------------------------------------------------------- rules

/**
 * What a retry or hedge costs: always the same, or computed from what failed (nothing for a hedge whose delay has passed).
 *
 * @since 0.1.0
 * @category rules
 */
export type Cost = number | ((failure: FailureCondition.Failed<unknown, unknown> | undefined) => number)

/**
 * A rule that says what puts tokens into a budget and what takes them out. A plain value.
 *
 * @since 0.1.0
 * @category rules
 */
export type Rule = core.Rule & { readonly cost: Cost }

/**
 * @since 0.1.0
 * @category rules
 */
export interface SuccessesOptions {
  /** How many tokens a success puts in: `0.1` is one retry for every ten successes. `0` or more. Default: `0.1`. */
  readonly ratio?: number | undefined
  /** The most tokens, and how many there are at the beginning. `0` refuses every retry. Default: `100`. */
  readonly capacity?: number | undefined
  /** How many tokens time puts in, whatever happens. **Each process has its own**, unless `share` divides it. Default: `0`. */
  readonly minPerSecond?: number | undefined
  /** What a retry or hedge takes out. Greater than 0, at most `capacity`. Default: `1`. */
  readonly cost?: Cost | undefined
  /** Whether a success after retries puts in what the last of them took, instead of `ratio`. Default: `false`. */
  readonly refund?: boolean | undefined
}

/**
 * Tokens put in by successes, the default. A service that answers most calls funds retries for the rest. One that is down funds
 * none, and after the tokens that are left it gets no more load than without retries.
 *
 * Source: the retry quota of the AWS SDKs, and Marc Brooker, "Fixing retries with token buckets and circuit breakers".
 *
 * @example
 * ```ts
 * import { RetryBudget } from "effect-resilience"
 *
 * export const oneInTwenty = RetryBudget.successes({ ratio: 0.05, capacity: 50 })
 * ```
 *
 * @since 0.1.0
 * @category rules
 */
export const successes = (options: SuccessesOptions = {}): Rule => {
  object("RetryBudget.successes", "", options, shapes.successes)
  const { capacity = 100, cost = 1, minPerSecond = 0, ratio = 0.1, refund = false } = options
  const rule = core.successes({ ratio, capacity, perSecond: minPerSecond, refund })
  internal.checkCost("RetryBudget.successes", "cost", cost)
  if (typeof cost === "number" && capacity > 0 && cost > capacity) {
    throw new InvalidOption("RetryBudget.successes", "cost", cost, `at most "capacity" (${capacity})`)
  }
  return { ...rule, cost }
}

/**
 * @since 0.1.0
 * @category rules
 */
export interface RequestsOptions {
  /** How many tokens a request puts in: `0.2` is one retry for every five requests. `0` or more. Default: `0.2`. */
  readonly ratio?: number | undefined
  /** How long what a request put in, and what a retry took out, is remembered. Default: 10 seconds. */
  readonly window?: DurationInput | undefined
  /**
   * So many retries per second, over the window, are always paid for. **Each process has its own**, unless `share` divides it.
   * Default: `0`.
   */
  readonly minPerSecond?: number | undefined
}

/**
 * Tokens put in by requests, whatever becomes of them.
 *
 * **When to use**: for the same behaviour as Finagle and Linkerd (`minPerSecond: 10` there). It bounds a retry storm without
 * stopping it: a service that is down still gets 20 % more load. Prefer {@link successes}.
 *
 * @example
 * ```ts
 * import { RetryBudget } from "effect-resilience"
 *
 * export const likeFinagle = RetryBudget.requests({ ratio: 0.2, window: "10 seconds", minPerSecond: 10 })
 * ```
 *
 * @since 0.1.0
 * @category rules
 */
export const requests = (options: RequestsOptions = {}): Rule => {
  object("RetryBudget.requests", "", options, shapes.requests)
  const { minPerSecond = 0, ratio = 0.2, window = Duration.seconds(10) } = options
  const millis = optionMillis("RetryBudget.requests", "window", window)
  return { ...core.requests({ ratio, window: millis, perSecond: minPerSecond }), cost: 1 }
}

/**
 * @since 0.1.0
 * @category rules
 */
export interface ThrottlingOptions {
  /** The most tokens, and how many there are at the beginning. A whole number from 1 to 1000. Default: `10`. */
  readonly maxTokens?: number | undefined
  /** How many tokens a success puts in. At least 0.001. Default: `0.1`. */
  readonly tokenRatio?: number | undefined
}

/**
 * Tokens taken out by failures: each that could be tried again takes one, each success puts `tokenRatio` in, and with half of the
 * tokens or less there are no retries and no hedges. In the long run that is when more than the share
 * `tokenRatio / (1 + tokenRatio)` of the attempts fail, 9.1 % with the default.
 *
 * **When to use**: for the same behaviour as a gRPC client with `retryThrottling`.
 *
 * Source: gRPC proposal A6, "Throttling Retry Attempts and Hedged RPCs".
 *
 * @example
 * ```ts
 * import { RetryBudget } from "effect-resilience"
 *
 * export const likeGrpc = RetryBudget.throttling({ maxTokens: 10, tokenRatio: 0.1 })
 * ```
 *
 * @since 0.1.0
 * @category rules
 */
export const throttling = (options: ThrottlingOptions = {}): Rule => {
  object("RetryBudget.throttling", "", options, shapes.throttling)
  const { maxTokens = 10, tokenRatio = 0.1 } = options
  return { ...core.throttling({ capacity: maxTokens, ratio: tokenRatio }), cost: 0 }
}

/**
 * The retry quota of the AWS SDKs in standard mode: 500 tokens, of which a retry takes 5, and 10 after a timeout. A success
 * after retries puts in what the last one took, any other success one.
 *
 * Source: the retry modes of the AWS SDKs.
 *
 * @example
 * ```ts
 * import { RetryBudget } from "effect-resilience"
 *
 * export const likeAws = RetryBudget.awsStandard()
 * ```
 *
 * @since 0.1.0
 * @category rules
 */
export const awsStandard = (
  options: {
    /** Which failures are timeouts. Default: errors tagged `TimeoutExceeded` or `TimeoutException`. */
    readonly isTimeout?: ((failure: FailureCondition.Failed<unknown, unknown>) => boolean) | undefined
  } = {}
): Rule => {
  object("RetryBudget.awsStandard", "", options, { isTimeout: callable })
  const { isTimeout = timedOut } = options
  return successes({
    ratio: 1,
    capacity: 500,
    cost: (failure) => (failure !== undefined && isTimeout(failure) ? 10 : 5),
    refund: true
  })
}

const shapes: {
  readonly successes: Shape<SuccessesOptions>
  readonly requests: Shape<RequestsOptions>
  readonly throttling: Shape<ThrottlingOptions>
} = {
  successes: {
    ratio: whereRead,
    capacity: whereRead,
    minPerSecond: whereRead,
    cost: whereRead,
    refund: flag
  },
  requests: { ratio: whereRead, window: whereRead, minPerSecond: whereRead },
  throttling: { maxTokens: whereRead, tokenRatio: whereRead }
}

const timedOut = (failure: FailureCondition.Failed<unknown, unknown>): boolean =>
  failure._tag === "Error" &&
  (Predicate.isTagged(failure.error, "TimeoutExceeded") ||
    Predicate.isTagged(failure.error, "TimeoutException"))

// ------------------------------------------------------------------------------------------------------------ options

/**
 * The options that are plain data.
 *
 * @since 0.1.0
 * @category options
 */
export interface Settings {
  /** The name in events and snapshots. Default: the tag's identifier, or `"retry-budget"`. */
  readonly name?: string | undefined
  /** What puts tokens in and takes them out. Default: {@link successes}, a tenth of a token each, up to 100. */
  readonly rule?: Rule | undefined
}

/**
 * Settings for `layerConfig`, each a `Config` or an object of them.
 *
 * @since 0.1.0
 * @category options
 */
export interface SettingsConfig extends Configured<Settings> {}

/**
 * Called in a fiber of the call. A listener that fails or dies is logged and changes nothing.
 *
 * @since 0.1.0
 * @category options
 */
export interface Listeners {
  /** Called with the first retry or hedge that is refused. */
  readonly onExhausted?: ((event: Exhausted) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called with the first retry or hedge that is paid for after that. */
  readonly onRecovered?: ((event: Recovered) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called for every retry and hedge that is refused, after `onExhausted`. */
  readonly onRefused?: ((event: Refused) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/**
 * What a budget is given besides its settings.
 *
 * @since 0.1.0
 * @category options
 */
export interface Given extends Listeners {
  /**
   * Shares `minPerSecond` of the rule among the processes of a fleet: `Share.floor` of `effect-resilience/fleet`, which requires their
   * store. Default: each process has it for itself.
   */
  readonly share?: Sharing | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Options extends Settings, Given {}

// ------------------------------------------------------------------------------------------------------------ sharing

/**
 * @since 0.1.0
 * @category sharing
 */
export type { Link, Shareable, Sharing } from "./sharing.js"

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Makes a budget. Bad options are a defect of type `InvalidOption`.
 *
 * **When to use**: for budgets that are made at run time; {@link Tag} makes a service of one that the program has. Make it once
 * and share it: a budget made for each call is always full.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Retry, RetryBudget } from "effect-resilience"
 *
 * const program = Effect.gen(function* () {
 *   const budget = yield* RetryBudget.make({ name: "partner", rule: RetryBudget.successes({ capacity: 1 }) })
 *   yield* Effect.fail("down").pipe(Retry.retry({ times: 3, budget }), Effect.ignore)
 *   return yield* budget.snapshot // one retry paid for, one refused
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  (): Effect.Effect<RetryBudget>
  <O>(options: Checked<O, Options>): Effect.Effect<RetryBudget, never, Policy.ContextOf<O>>
} = internal.budgets.make

/**
 * The options of {@link keyed}.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyedOptions extends Policy.Bounds {
  /** The options of each budget, or a function of its key (`"*"` for the shared one). The key is added to the name. */
  readonly options?: Options | ((key: string) => Options) | undefined
}

/**
 * What can be done with a budget for each key, given that `Needed` is there.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedOperations<Needed = never> extends Policy.Keyed<
  RetryBudget,
  Snapshot,
  Operations<Needed>,
  Needed
> {
  /** The budget of a key, for the `budget` of a retry or a hedge. It is made when there is none. */
  readonly get: (key: string) => Effect.Effect<RetryBudget, never, Needed>
}

/**
 * A retry budget for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedRetryBudget extends KeyedOperations {}

/**
 * Makes a budget for each key: a host, a tenant, a route. Retries to one that is down take nothing from the others.
 *
 * At most `capacity` budgets (1000) are kept. One that is not used for `idleTimeToLive` (10 minutes) is forgotten, but never one
 * with less than a new one; one with more makes no room. A new key without room shares one budget with all other such keys, or
 * has none with `whenFull: "bypass"`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Retry, RetryBudget } from "effect-resilience"
 *
 * const program = Effect.gen(function* () {
 *   const hosts = yield* RetryBudget.keyed({ options: { name: "hosts" }, capacity: 100 })
 *   yield* Effect.fail("down").pipe(Retry.retry({ times: 2, budget: hosts.get("a.example") }))
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyed: {
  (): Effect.Effect<KeyedRetryBudget>
  <O>(options: Checked<O, KeyedOptions>): Effect.Effect<KeyedRetryBudget, never, Policy.KeyedContextOf<O>>
} = internal.budgets.keyed

// ----------------------------------------------------------------------------------------------------------- services

/**
 * What a budget's tag offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface Service<Self>
  extends Operations<Self>, Policy.LayersWithDefaults<Self, Options, Settings, SettingsConfig, Given> {}

/**
 * The class that a budget's tag extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface TagClass<Self, Id extends string>
  extends Context.TagClass<Self, `RetryBudget/${Id}`, RetryBudget>, Service<Self> {}

/**
 * A retry budget as a service of its own. Extend it once for each destination, and give the tag to all retries and hedges
 * that go there.
 *
 * **When to use**: wherever calls are retried or hedged and the other side serves more than one caller. `times` bounds one call;
 * only a budget bounds what all of them do together.
 *
 * **Time line**: each call that succeeds puts `ratio` tokens in, once, whatever retries and hedges with the same budget are nested
 * in it. Each retry and each hedge takes a token out before it is made. When there is none, the retry gives up before any wait
 * (its reason is `"budget"`) and the last failure comes back as it was; a hedge is not started. A retry that was paid for but not
 * made gives its token back.
 *
 * **Adds** no error. A policy to which the tag is given requires the service.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Hedge, Retry, RetryBudget } from "effect-resilience"
 *
 * class PartnerBudget extends RetryBudget.Tag("PartnerBudget")<PartnerBudget>() {}
 *
 * // Effect<never, "down", PartnerBudget>
 * const offer = Effect.fail("down" as const).pipe(
 *   Hedge.hedge({ delay: "50 millis", budget: PartnerBudget }),
 *   Retry.retry({ times: 2, budget: PartnerBudget })
 * )
 *
 * const PartnerBudgetLive = PartnerBudget.layer({ rule: RetryBudget.successes({ ratio: 0.1, capacity: 100 }) })
 * const program = offer.pipe(Effect.provide(PartnerBudgetLive))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const Tag: <const Id extends string>(id: Id) => <Self>() => TagClass<Self, Id> = internal.budgets.Tag

/**
 * What the tag of keyed budgets offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface KeyedService<Self>
  extends KeyedOperations<Self>, Policy.KeyedLayersWithDefaults<Self, KeyedOptions, Settings, Given> {}

/**
 * The class that a tag of keyed budgets extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface KeyedTagClass<Self, Id extends string>
  extends Context.TagClass<Self, `KeyedRetryBudget/${Id}`, KeyedRetryBudget>, KeyedService<Self> {}

/**
 * A budget for each key, as a service: {@link keyed} with layers.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Retry, RetryBudget } from "effect-resilience"
 *
 * class Hosts extends RetryBudget.KeyedTag("Hosts")<Hosts>() {}
 *
 * // Effect<never, "down", Hosts>
 * const fetch = Effect.fail("down" as const).pipe(Retry.retry({ times: 2, budget: Hosts.get("a.example") }))
 *
 * const program = fetch.pipe(Effect.provide(Hosts.layer({ capacity: 100 })))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const KeyedTag: <const Id extends string>(id: Id) => <Self>() => KeyedTagClass<Self, Id> =
  internal.budgets.KeyedTag

/**
 * The budget of a program that has just one. A program with several makes a {@link Tag} for each.
 *
 * @example
 * ```ts
 * import { Config, Effect } from "effect"
 * import { Retry, RetryBudget } from "effect-resilience"
 *
 * const rule = Config.map(Config.number("RETRY_RATIO"), (ratio) => RetryBudget.successes({ ratio }))
 * const program = Effect.fail("down").pipe(
 *   Retry.retry({ times: 2, budget: RetryBudget.RetryBudget }),
 *   Effect.provide(RetryBudget.layerConfig({ rule }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const RetryBudget: Context.Tag<RetryBudget, RetryBudget> & Service<RetryBudget> =
  internal.budgets.service()

/**
 * The layer of {@link RetryBudget}.
 *
 * @since 0.1.0
 * @category services
 */
export const layer = RetryBudget.layer

/**
 * The layer of {@link RetryBudget} whose settings come from the configuration.
 *
 * @since 0.1.0
 * @category services
 */
export const layerConfig = RetryBudget.layerConfig
