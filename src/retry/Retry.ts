/**
 * Retries a failing effect on a schedule, within bounds.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import {
  among,
  callable,
  isObject,
  number,
  object,
  type Shape,
  text,
  times as timesCheck
} from "../core/options.js"
import { toSchedule } from "../backoff/schedule.js"
import { type DurationInput, duration, optionMillis, runtimeMillis } from "../internal/duration.js"
import type { Body } from "../internal/erased.js"
import { check as schedule, shownSchedule } from "../internal/schedule.js"
import * as Condition from "../policy/condition.js"
import { combinator } from "../policy/define.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { policyOf } from "../policy/frame.js"
import * as Events from "../policy/events.js"
import type * as Policy from "../policy/Policy.js"
import type { Checked, Flat, IsAny } from "../policy/types.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import { check as budget, shown as shownBudget } from "../retryBudget/source.js"
import type { RetriesExceeded } from "./retriesExceeded.js"
import { guardOf, type Plan } from "./run.js"

// ------------------------------------------------------------------------------------------------------------- models

/**
 * Which bound made a retry give up.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = "times" | "schedule" | "maxDuration" | "hint" | "budget"

/**
 * An attempt that failed.
 *
 * @since 0.1.0
 * @category models
 */
export interface FailedAttempt<out A, out E> {
  /** The number of the attempt, from 1. */
  readonly attempt: number
  /** The time since the first attempt began. */
  readonly elapsed: Duration.Duration
  readonly failure: FailureCondition.Failed<A, E>
}

/**
 * An attempt that failed and is followed by another one, `delay` after it failed.
 *
 * @since 0.1.0
 * @category events
 */
export interface RetryScheduled<out A, out E>
  extends Policy.Event<"retry", "RetryScheduled">, FailedAttempt<A, E> {
  readonly delay: Duration.Duration
}

/**
 * The delay after an attempt that failed is over, and the next attempt begins.
 *
 * @since 0.1.0
 * @category events
 */
export interface Retried<out A, out E> extends Policy.Event<"retry", "Retry">, FailedAttempt<A, E> {
  readonly delay: Duration.Duration
}

/**
 * The attempt after which a retry gave up.
 *
 * @since 0.1.0
 * @category events
 */
export interface Exceeded<out A, out E> extends Policy.Event<"retry", "Exceeded">, FailedAttempt<A, E> {
  readonly reason: Reason
}

/**
 * The attempt after which `abortWhen` ended a retry.
 *
 * @since 0.1.0
 * @category events
 */
export interface Abort<out A, out E> extends Policy.Event<"retry", "Abort">, FailedAttempt<A, E> {}

/**
 * What happens in a retry.
 *
 * @since 0.1.0
 * @category events
 */
export type Event<A, E> =
  | RetryScheduled<A, E>
  | Retried<A, E>
  | Exceeded<A, E>
  | Abort<A, E>
  | Policy.AttemptEnded<"retry">
  | Policy.CallEnded<"retry">

/**
 * @since 0.1.0
 * @category errors
 */
export { RetriesExceeded } from "./retriesExceeded.js"

/**
 * @since 0.1.0
 * @category context
 */
export { type Attempt, CurrentAttempt } from "./currentAttempt.js"

/**
 * @since 0.1.0
 * @category hints
 */
export const NoHintTypeId: unique symbol = Symbol.for("effect-resilience/Retry/NoHint")

/**
 * @since 0.1.0
 * @category hints
 */
export interface NoHint {
  readonly [NoHintTypeId]: typeof NoHintTypeId
}

/**
 * For `delayFrom`: read no hints, so that the rejection of an inner policy is retried on schedule like any failure.
 *
 * @example
 * ```ts
 * import { Retry } from "effect-resilience"
 *
 * const insistent = Retry.retry({ times: 5, delayFrom: Retry.noHint })
 * ```
 *
 * @since 0.1.0
 * @category hints
 */
export const noHint: NoHint = { [NoHintTypeId]: NoHintTypeId }

// ------------------------------------------------------------------------------------------------------------ options

/**
 * The options of a retry, for effects that succeed with an `A` and fail with an `E`. The schedule takes an `Input`.
 *
 * @since 0.1.0
 * @category options
 */
export interface Options<A, E, Input = A | E> {
  /**
   * The delays between attempts; its end ends the retry. Each call runs it from the start. Its input is what failed: the error, or
   * the result that counts as a failure. Default: exponential from 100 milliseconds up to 10 seconds, doubling, with full jitter.
   */
  readonly schedule?: Schedule.Schedule<unknown, Input, unknown> | undefined
  /** How many times to retry, after the first attempt. Default: `2`, and no limit when a `schedule` is given. */
  readonly times?: number | undefined
  /**
   * The longest that all attempts and delays together may take. When an attempt would begin later, the last failure comes back at
   * once. A running attempt is not cut short; that is what a timeout is for. Default: no limit.
   */
  readonly maxDuration?: DurationInput | undefined
  /** The longest hint to wait for. A longer one ends the retry at once. Default: 10 seconds. */
  readonly maxHint?: DurationInput | undefined
  /**
   * Spreads callers that were given the same hint: each waits up to this fraction of the hint longer, drawn anew each time, but
   * not beyond `maxDuration`. `maxHint` bounds the hint alone. From 0 to 1. Default: `0`.
   */
  readonly hintJitter?: number | undefined
  /** Pays for the retries: a {@link RetryBudget.RetryBudget} or its tag, shared with other retries and hedges. Default: none. */
  readonly budget?: RetryBudget.Source | undefined
  /** What comes back when all attempts failed: the last failure as it was, or a {@link RetriesExceeded}. Default: `"last"`. */
  readonly exceeded?: "last" | "wrap" | undefined
  /** The name in events and in {@link RetriesExceeded}. Default: `"retry"`. */
  readonly name?: string | undefined
  /** Which errors and results are failures. Default: every typed error. Defects only when the condition says so. */
  readonly condition?: FailureCondition.FailureCondition<A, E> | undefined
  /** Failures that end the retry, whatever attempt they come from: the failure comes back as it was. */
  readonly abortWhen?: ((failure: FailureCondition.Failed<A, E>) => boolean) | undefined
  /**
   * When to come back, read from the failure: the delay is at least this, whatever schedule and jitter say. Default: what
   * the condition read, else the `retryAfter` of a rejection by a policy further inside. {@link noHint} reads none.
   */
  readonly delayFrom?:
    NoHint | ((failure: FailureCondition.Failed<A, E>) => DurationInput | undefined) | undefined
  /** Releases what a result holds that the caller does not get. Runs once for each, not interruptibly. */
  readonly disposeResult?: ((result: A) => Effect.Effect<unknown, never, unknown>) | undefined
  /** Called when another attempt is decided on, before the delay. */
  readonly onRetryScheduled?:
    ((event: RetryScheduled<A, E>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called after the delay, before the next attempt. */
  readonly onRetry?: ((event: Retried<A, E>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onExceeded?: ((event: Exceeded<A, E>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onAbort?: ((event: Abort<A, E>) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/** What the schedule among the options takes. */
type InputOf<O> = O extends { readonly schedule: Schedule.Schedule<infer _Out, infer In, infer _R> }
  ? In
  : unknown

/** What it takes where it is given results. */
type ResultInputOf<O> = LooksAtResults<O> extends true ? InputOf<O> : unknown

type LooksAtResults<O> = O extends { readonly condition: infer C }
  ? C extends { readonly result: unknown } | { readonly any: unknown } | ((...args: never) => unknown)
    ? true
    : false
  : false

/** A schedule that takes what it will be given. */
interface ScheduleFor<Input> {
  readonly schedule?: Schedule.Schedule<unknown, Input, unknown> | undefined
}

/**
 * The error that the options add: {@link RetriesExceeded} where they may say `exceeded: "wrap"`.
 *
 * @since 0.1.0
 * @category options
 */
export type ExceededOf<O, A, E> = "exceeded" extends keyof O
  ? IsAny<O["exceeded"]> extends true
    ? never
    : "wrap" extends O["exceeded"]
      ? RetriesExceeded<A, E>
      : never
  : never

/**
 * A type in which the types of an effect take the places that `Policy.Given` holds for them.
 *
 * @since 0.1.0
 * @category models
 */
export type Filled<T, A, E, R> = T extends Policy.Given.Success
  ? A
  : T extends Policy.Given.Failure
    ? E
    : T extends Policy.Given.Context
      ? R
      : T extends RetriesExceeded<infer A2, infer E2>
        ? RetriesExceeded<Filled<A2, A, E, R>, Filled<E2, A, E, R>>
        : T

/**
 * A retry for effects of an `A` and an `E`, or less. `Policy.Given` in the errors it adds stands for the types of the effect.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryFor<in A, in E, Added = never, out Needed = never> extends Policy.Described {
  <A1 extends A, E1 extends E, R>(
    self: Policy.SelfOf<A, E, A1, E1, R>
  ): Effect.Effect<A1, E1 | Filled<Added, A1, E1, R>, R | Needed>
}

// --------------------------------------------------------------------------------------------------------- combinator

/**
 * Runs an effect again when it fails.
 *
 * **When to use**: for failures that pass by themselves, around calls that are safe to repeat. Outside a timeout, so that each
 * attempt has its own, and outside a circuit breaker, so that each attempt counts and an open breaker ends the attempts.
 *
 * **Time line**: the effect runs. When its exit is a failure by the `condition` (by default a typed error), and neither
 * `abortWhen` nor a bound (`times`, the end of the `schedule`, `maxDuration`, `budget`) ends the retry, it waits for the
 * schedule's delay, or for the hint if that is longer, and runs the effect again. n retries are never more than n + 1 attempts.
 * When the last attempt failed, its failure comes back as it was. An interruption is never retried.
 *
 * A rejection from a policy further inside hints when to come back (`CircuitOpen.retryAfter`). When that is longer than `maxHint`,
 * the rejection comes back at once.
 *
 * **Adds** nothing by default; `RetriesExceeded` with `exceeded: "wrap"`; the errors and requirements of schedule and
 * listeners, and the requirement of the budget's tag.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Backoff, Retry } from "effect-resilience"
 *
 * const program = Effect.succeed({ status: 503 }).pipe(
 *   Retry.retry({
 *     schedule: Backoff.exponential({ base: "200 millis", max: "2 seconds", jitter: "full" }),
 *     times: 3,
 *     condition: { result: (response) => response.status === 503 },
 *     onRetry: ({ attempt, delay }) => Effect.logInfo(`attempt ${attempt} failed, again after ${delay}`)
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const retry: {
  <A, E, O>(
    options: Checked<O, Options<A, E, never>>
  ): RetryFor<
    A & ResultInputOf<O>,
    E & InputOf<O>,
    Flat<ExceededOf<O, Policy.Given.Success, Policy.Given.Failure> | Policy.ErrorOf<O>>,
    Policy.ContextOf<O>
  >
  <A, E, R, O>(
    self: Effect.Effect<A, E, R>,
    options: Checked<
      O,
      Options<A, E, never> & ScheduleFor<NoInfer<E | (LooksAtResults<O> extends true ? A : never)>>
    >
  ): Effect.Effect<A, E | ExceededOf<O, A, E> | Policy.ErrorOf<O>, R | Policy.ContextOf<O>>
} = combinator(make)

// ----------------------------------------------------------------------------------------------------- implementation

const range = { zero: true, infinite: true }

const shape: Shape<Options<unknown, unknown>> = {
  schedule,
  times: timesCheck,
  maxDuration: duration(range),
  maxHint: duration(range),
  hintJitter: number(0, 1),
  budget,
  exceeded: among("last", "wrap"),
  name: text,
  condition: Condition.check,
  abortWhen: callable,
  delayFrom: (policy, option, value) => {
    if (!(isObject(value) && NoHintTypeId in value)) callable(policy, option, value)
  },
  disposeResult: callable,
  onRetryScheduled: callable,
  onRetry: callable,
  onExceeded: callable,
  onAbort: callable
}

const emitter = /*#__PURE__*/ Events.ofCall<Event<unknown, unknown>>({
  RetryScheduled: "heard",
  Retry: "heard",
  Exceeded: "heard",
  Abort: "heard",
  Attempt: "observed",
  Call: "observed"
})

function make(options: Options<unknown, unknown>): (self: Body) => Body {
  const policy = "Retry.retry"
  object(policy, "", options, shape)
  const { hintJitter = 0, name = "retry" } = options
  const times = options.times ?? (options.schedule === undefined ? 2 : Infinity)
  const maxDuration = optionMillis(policy, "maxDuration", options.maxDuration ?? Infinity, range)
  const maxHint = optionMillis(policy, "maxHint", options.maxHint ?? defaultMaxHintMillis, range)
  const plan: Plan = {
    name,
    emit: emitter({ kind: "retry", name }, options),
    condition: Condition.compile(options.condition, { defect: false }),
    times,
    maxDuration,
    maxHint,
    hintJitter,
    hintOf: hintReader(options.delayFrom),
    schedule: options.schedule ?? defaultSchedule,
    options
  }
  const settings: Policy.Settings = {
    times: times === Infinity ? undefined : times,
    schedule: shownSchedule(plan.schedule),
    maxDuration: maxDuration === Infinity ? undefined : Duration.millis(maxDuration),
    maxHint: options.delayFrom === noHint ? undefined : Duration.millis(maxHint),
    hintJitter: hintJitter === 0 ? undefined : hintJitter,
    budget: shownBudget(options.budget),
    exceeded: options.exceeded
  }
  return policyOf({ kind: "retry", name, settings }, guardOf(plan))
}

const defaultMaxHintMillis = 10_000
const defaultSchedule = toSchedule(
  { growth: { _tag: "exponential", base: 100, factor: 2 }, jitter: { _tag: "full" }, max: 10_000 },
  { _tag: "exponential", base: Duration.millis(100), factor: 2, max: Duration.millis(10_000), jitter: "full" }
)

const hintReader = (delayFrom: Options<unknown, unknown>["delayFrom"]): Plan["hintOf"] => {
  if (typeof delayFrom === "function") {
    return ({ failed }) => {
      const hint = delayFrom(failed)
      return hint === undefined ? undefined : runtimeMillis(hint)
    }
  }
  return delayFrom === undefined ? ({ retryAfterMillis }) => retryAfterMillis : () => undefined
}
