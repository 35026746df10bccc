/**
 * A hedge starts a call again while the first attempt still runs, which cuts tail latency. **Only for calls that are safe to repeat.**
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { callable, flag, InvalidOption, object, type Shape, text, whereRead, whole } from "../core/options.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import * as Condition from "../policy/condition.js"
import { type DurationInput, duration, optionMillis } from "../internal/duration.js"
import * as internal from "./race.js"
import * as internalDelay from "./delay.js"
import * as Listeners from "../internal/listeners.js"
import { combinator } from "../policy/define.js"
import { check as budgetCheck, shown as shownBudget } from "../retryBudget/source.js"
import type { Checked, ErrorOfEffect, Flat } from "../policy/types.js"
import * as Events from "../policy/events.js"
import * as Policy from "../policy/Policy.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import type { Body } from "../internal/erased.js"

// ------------------------------------------------------------------------------------------------------------- models

/**
 * A hedge that starts.
 *
 * @since 0.1.0
 * @category events
 */
export interface Hedged<out A, out E> extends Policy.Event<"hedge", "Hedge"> {
  /** The number of the attempt that starts: 2 is the first hedge. */
  readonly attempt: number
  /** The time since the first attempt began. */
  readonly elapsed: Duration.Duration
  /** What failed and made it start at once; `undefined` when the delay has passed. */
  readonly failure: FailureCondition.Failed<A, E> | undefined
}

/**
 * What happens in a hedge.
 *
 * @since 0.1.0
 * @category events
 */
export type Event<A, E> = Hedged<A, E> | Policy.AttemptEnded<"hedge"> | Policy.CallEnded<"hedge">

/**
 * What an attempt can know about itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempt {
  /** The number of the attempt, from 1; what is above 1 is a hedge. */
  readonly number: number
  /** The time between the beginning of the first attempt and that of this one. */
  readonly elapsed: Duration.Duration
}

const firstAttempt: Attempt = { number: 1, elapsed: Duration.zero }

/**
 * The attempt that is running. Outside a hedge it reads as a first attempt; in nested hedges it is that of the innermost.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Hedge } from "effect-resilience"
 *
 * const call = Effect.gen(function* () {
 *   const attempt = yield* Hedge.CurrentAttempt
 *   yield* Effect.annotateCurrentSpan("hedged", attempt.number > 1)
 * })
 *
 * const program = call.pipe(Hedge.hedge({ delay: "50 millis" }))
 * ```
 *
 * @since 0.1.0
 * @category context
 */
export class CurrentAttempt extends Context.Reference<CurrentAttempt>()(
  "effect-resilience/Hedge/CurrentAttempt",
  { defaultValue: (): Attempt => firstAttempt }
) {}

// ------------------------------------------------------------------------------------------------------------- delays

/**
 * @since 0.1.0
 * @category delays
 */
export const PercentileTypeId: unique symbol = Symbol.for("effect-resilience/Hedge/Percentile")

/**
 * A delay that is a percentile of what the attempts of the same policy took, made by {@link percentile}.
 *
 * @since 0.1.0
 * @category delays
 */
export interface Percentile {
  readonly [PercentileTypeId]: typeof PercentileTypeId
  readonly percentile: number
  readonly min: Duration.Duration
  readonly max: Duration.Duration
  readonly minimumSamples: number
  readonly window: Duration.Duration
}

/**
 * @since 0.1.0
 * @category delays
 */
export interface PercentileOptions {
  /** The shortest delay. Zero or more. Default: 1 millisecond. */
  readonly min?: DurationInput | undefined
  /** The longest delay, and the one before there are `minimumSamples`. At least `min`. Default: infinite. */
  readonly max?: DurationInput | undefined
  /** How many attempts the percentile is worked out from at the least. A whole number of at least 1. Default: 100. */
  readonly minimumSamples?: number | undefined
  /** How far back it looks. It forgets a tenth of this at a time. Default: 30 seconds. */
  readonly window?: DurationInput | undefined
}

/**
 * A delay that follows the service: a percentile, within 2 %, of what recent attempts of the same policy took. With the 95th, one
 * call in twenty is hedged, whether the service is fast or slow today. The policy remembers the attempts, so build it once and
 * use it for all calls to the same thing.
 *
 * Attempts that succeeded count. One that failed, lost or was interrupted counts as far as it ran, if that was at least the
 * delay: fast failures do not make the delay shorter.
 *
 * Source: Jeffrey Dean and Luiz André Barroso, "The Tail at Scale", 2013; the backup requests of Finagle.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Hedge } from "effect-resilience"
 *
 * const hedged = Hedge.hedge({ delay: Hedge.percentile(0.95, { min: "5 millis", max: "1 second" }) })
 *
 * const program = Effect.succeed("hot offer").pipe(hedged)
 * ```
 *
 * @since 0.1.0
 * @category delays
 */
export const percentile = (percentile: number, options: PercentileOptions = {}): Percentile => {
  const policy = "Hedge.percentile"
  object(policy, "", options, percentileShape)
  if (typeof percentile !== "number" || !(percentile > 0 && percentile < 1)) {
    throw new InvalidOption(policy, "percentile", percentile, "greater than 0 and less than 1")
  }
  const min = optionMillis(policy, "min", options.min ?? 1, { zero: true })
  const max = optionMillis(policy, "max", options.max ?? Infinity, { zero: true, infinite: true })
  if (min > max) {
    const expected = `at least "min" (${Duration.format(Duration.millis(min))})`
    throw new InvalidOption(policy, "max", options.max, expected)
  }
  return {
    [PercentileTypeId]: PercentileTypeId,
    percentile,
    min: Duration.millis(min),
    max: Duration.millis(max),
    minimumSamples: options.minimumSamples ?? 100,
    window: Duration.millis(optionMillis(policy, "window", options.window ?? Duration.seconds(30)))
  }
}

const percentileShape: Shape<PercentileOptions> = {
  min: duration({ zero: true }),
  max: duration({ zero: true, infinite: true }),
  minimumSamples: whole(1),
  window: duration()
}

/**
 * How long an attempt runs before a hedge starts: a duration, an effect that computes one for each wait, or a percentile.
 *
 * @since 0.1.0
 * @category delays
 */
export type Delay<E = unknown, R = unknown> = DurationInput | Effect.Effect<DurationInput, E, R> | Percentile

// ------------------------------------------------------------------------------------------------------------ options

/**
 * The options of a hedge, for effects that succeed with an `A` and fail with an `E`.
 *
 * @since 0.1.0
 * @category options
 */
export interface Options<A, E> {
  /**
   * How long an attempt runs before the next one starts alongside it, best a high percentile of what the call takes. Zero starts
   * all of them at once, an infinite delay none by time.
   */
  readonly delay: Delay
  /** How many hedges may run besides the first attempt. `0` turns hedging off. Default: `1`. */
  readonly maxHedges?: number | undefined
  /** Pays for the hedges: a {@link RetryBudget.RetryBudget} or its tag, shared with the retries. Default: no limit. */
  readonly budget?: RetryBudget.Source | undefined
  /** Whether the call does not wait for the finalizers of interrupted attempts. Default: `false`, they are waited for. */
  readonly disconnect?: boolean | undefined
  /** The name in events. Default: `"hedge"`. */
  readonly name?: string | undefined
  /** Which errors and results are failures. Default: every typed error. Defects only when the condition says so. */
  readonly condition?: FailureCondition.FailureCondition<A, E> | undefined
  /** Whether a failure starts the next attempt at once; after one that does not, no more start. Default: every one does. */
  readonly startsNext?: ((failure: FailureCondition.Failed<A, E>) => boolean) | undefined
  /** Releases what a result holds that the caller does not get. Runs once for each, not interruptibly. */
  readonly disposeResult?: ((result: A) => Effect.Effect<unknown, never, unknown>) | undefined
  /** Called before a hedge, in its fiber: it delays the hedge and nothing else. */
  readonly onHedge?: ((event: Hedged<A, E>) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/**
 * The errors of a computed delay and of the listeners.
 *
 * @since 0.1.0
 * @category options
 */
export type ErrorOf<O> = Flat<
  Policy.ErrorOf<O> | (O extends { readonly delay: infer Delay } ? ErrorOfEffect<Delay> : never)
>

// --------------------------------------------------------------------------------------------------------- combinator

/**
 * Starts an effect again when it takes long, and gives back what answers first.
 *
 * **When to use**: for calls that are safe to make twice at the same time, to something that is slow by chance, such as one busy
 * replica of many. It adds load to a service that is slow as a whole: give it a `budget`. Outside a timeout, so that each attempt
 * has its own.
 *
 * **Time line**: the first attempt starts at once. When it has not ended after `delay`, the second starts alongside it, and so
 * on up to `maxHedges` more. An attempt that fails starts the next one at once. The first exit that is no failure by the
 * `condition` comes back, and the other attempts are interrupted. When all attempts failed and no more may start, the last
 * failure comes back as it was. When the budget does not pay for a hedge, no more start for this call.
 *
 * A defect comes back at once, unless the condition says that it is a failure, and so does an attempt that interrupts itself.
 *
 * **Adds** the errors of a computed delay and of the listener, and the requirements of these and of the budget's tag.
 *
 * Source: Jeffrey Dean and Luiz André Barroso, "The Tail at Scale", 2013 (hedged requests); gRPC proposal A6.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Hedge } from "effect-resilience"
 *
 * const program = Effect.succeed({ status: 503 }).pipe(
 *   Hedge.hedge({ delay: "50 millis", condition: { result: (response) => response.status === 503 } })
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const hedge: {
  <A, E, O>(options: Checked<O, Options<A, E>>): Policy.PolicyFor<A, E, ErrorOf<O>, Policy.ContextOf<O>>
  <A, E, R, O>(
    self: Effect.Effect<A, E, R>,
    options: Checked<O, Options<A, E>>
  ): Effect.Effect<A, E | ErrorOf<O>, R | Policy.ContextOf<O>>
} = combinator(make)

// ----------------------------------------------------------------------------------------------------- implementation

const shape: Shape<Options<unknown, unknown>> = {
  delay: whereRead,
  maxHedges: whole(0),
  budget: budgetCheck,
  disconnect: flag,
  name: text,
  condition: Condition.check,
  startsNext: callable,
  disposeResult: callable,
  onHedge: callable
}

const emitter = /*#__PURE__*/ Events.ofCall<Event<unknown, unknown>>({
  Hedge: "heard",
  Attempt: "observed",
  Call: "observed"
})

function make(options: Options<unknown, unknown>): (self: Body) => Body {
  const policy = "Hedge.hedge"
  object(policy, "", options, shape)
  const { budget, disconnect = false, disposeResult, maxHedges = 1, name = "hedge" } = options
  const { delay, shown } = readDelay(policy, options.delay)
  const emit = emitter({ kind: "hedge", name }, options)
  const plan: internal.Plan = {
    name,
    condition: Condition.compile(options.condition, { defect: false }),
    maxHedges,
    delay,
    disconnect,
    disposeResult: disposeResult && ((result) => Listeners.notifyShared(name, disposeResult, result)),
    startsNext: options.startsNext,
    attempt: (self, number, elapsed, parent) => {
      if (number > 1) {
        return Effect.provideService(self, CurrentAttempt, { number, elapsed: Duration.millis(elapsed) })
      }
      // Without a hedge around this one, the reference reads as a first attempt by itself.
      const nested = parent.currentContext.unsafeMap.has(CurrentAttempt.key)
      return nested ? Effect.provideService(self, CurrentAttempt, firstAttempt) : self
    },
    told: (attempt, elapsed, failure) => emit.Hedge?.({ attempt, elapsed: Duration.millis(elapsed), failure })
  }
  const settings: Policy.Settings = {
    delay: shown,
    maxHedges,
    budget: shownBudget(budget),
    disconnect: disconnect || undefined
  }
  return Policy.make({ kind: "hedge", name, settings }, (self: Body): Body => {
    return maxHedges === 0 && budget === undefined ? self : internal.race(plan, self, budget)
  })
}

const readDelay = (
  policy: string,
  delay: Delay
): { readonly delay: internalDelay.HedgeDelay; readonly shown: unknown } => {
  if (Effect.isEffect(delay)) return { delay: internalDelay.computed(delay), shown: "computed" }
  if (isPercentile(delay)) {
    const { max, min, minimumSamples, percentile, window } = delay
    return {
      delay: internalDelay.percentile(delay),
      shown: { _tag: "percentile", percentile, min, max, minimumSamples, window }
    }
  }
  const millis = optionMillis(policy, "delay", delay, { zero: true, infinite: true })
  return { delay: internalDelay.fixed(millis), shown: Duration.millis(millis) }
}

const isPercentile = (delay: DurationInput | Percentile): delay is Percentile =>
  Predicate.hasProperty(delay, PercentileTypeId)
