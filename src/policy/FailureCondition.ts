/**
 * What an outcome means to a policy, decided per call site: a success, a failure, or neither.
 *
 * The default: a typed failure is a failure, a success is a success, an interruption is neither. A defect is a failure
 * to a circuit breaker (the call did not work) and none to a retry or a fallback (a bug must surface).
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import * as internal from "./condition.js"
import type * as Policy from "./Policy.js"
import type { DurationInput } from "../internal/duration.js"

/**
 * The call worked: a breaker counts it as a success, a retry or fallback returns it.
 *
 * @since 0.1.0
 * @category outcomes
 */
export interface Success {
  readonly _tag: "Success"
}

/**
 * The call failed. The other side may have said when to come back.
 *
 * @since 0.1.0
 * @category outcomes
 */
export interface Failure {
  readonly _tag: "Failure"
  readonly retryAfter: Duration.Duration | undefined
}

/**
 * The call says nothing about the health of what was called: it is not counted, not retried and not replaced.
 *
 * @since 0.1.0
 * @category outcomes
 */
export interface Ignored {
  readonly _tag: "Ignored"
}

/**
 * @since 0.1.0
 * @category outcomes
 */
export type Outcome = Success | Failure | Ignored

/**
 * @since 0.1.0
 * @category outcomes
 */
export const success: Outcome = internal.success

/**
 * @since 0.1.0
 * @category outcomes
 */
export const failure: Outcome = internal.failure

/**
 * A failure that says when to come back, as a `Retry-After` does.
 *
 * @since 0.1.0
 * @category outcomes
 */
export const failureAfter = (retryAfter: DurationInput): Outcome => ({
  _tag: "Failure",
  retryAfter: Duration.decode(retryAfter)
})

/**
 * @since 0.1.0
 * @category outcomes
 */
export const ignored: Outcome = internal.ignored

/**
 * @since 0.1.0
 * @category models
 */
export interface ErrorFailed<out E> {
  readonly _tag: "Error"
  readonly error: E
  readonly cause: Cause.Cause<E>
}

/**
 * A success that counts as a failure.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResultFailed<out A> {
  readonly _tag: "Result"
  readonly result: A
}

/**
 * A call that died. The cause may hold typed failures besides the defect.
 *
 * @since 0.1.0
 * @category models
 */
export interface DefectFailed<out E> {
  readonly _tag: "Defect"
  readonly defect: unknown
  readonly cause: Cause.Cause<E>
}

/**
 * The failure a policy saw, as listeners, `abortWhen`, `delayFrom`, `openFor` and fallbacks receive it.
 *
 * @since 0.1.0
 * @category models
 */
export type Failed<A, E> = ErrorFailed<E> | ResultFailed<A> | DefectFailed<E>

/**
 * The `_tag`s of an error type. Any string inside a pipeline, which does not know the errors yet.
 *
 * @since 0.1.0
 * @category models
 */
export type Tags<E> = E extends { readonly _tag: infer Tag extends string }
  ? Tag
  : E extends Policy.Given.Failure
    ? string
    : never

/**
 * @since 0.1.0
 * @category models
 */
export interface Matcher<A, E> {
  readonly error?: ((error: E) => boolean) | undefined
  readonly result?: ((result: A) => boolean) | undefined
  /** Errors with one of these `_tag`s. */
  readonly tags?: ReadonlyArray<Tags<E>> | undefined
}

/**
 * A condition in parts. `error` and `tags` narrow which errors are failures: any other error counts as a success (the other side
 * did answer). `result` adds results that are failures and leaves the default for errors alone. All that match are ORed; what
 * `ignore` matches is neither, whatever else matches.
 *
 * @example
 * ```ts
 * import type { FailureCondition } from "effect-resilience"
 *
 * const broken: FailureCondition.Options<{ readonly status: number }, { readonly _tag: "Refused" | "BadRequest" }> = {
 *   tags: ["Refused"], // a BadRequest is our fault, not the partner's
 *   result: (response) => response.status >= 500,
 *   ignore: { result: (response) => response.status === 429 }
 * }
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<A, E> extends Matcher<A, E> {
  /**
   * Whether a defect is a failure, or which defects are. Default: `true` for a circuit breaker, a bulkhead and a rate limiter,
   * else `false`. A defect that does not count as a failure is ignored. A cause with a defect in it is a defect, unless it begins
   * with an interruption.
   */
  readonly defect?: boolean | ((defect: unknown) => boolean) | undefined
  /** What is neither success nor failure, such as a 429 to a breaker. */
  readonly ignore?: Matcher<A, E> | undefined
  /** When to come back; an invalid duration is treated as no hint. Default: the `retryAfter` of a policy's rejection. */
  readonly retryAfter?: ((failed: Failed<A, E>) => DurationInput | undefined) | undefined
}

/**
 * Decides what the exit of a call means, without defaults. It is not asked about an interruption, which is never a failure.
 *
 * @since 0.1.0
 * @category models
 */
export interface Classifier<in A, in E> {
  (exit: Exit.Exit<A, E>): Outcome
}

/**
 * Several conditions, made by {@link any}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Any<A, E> {
  readonly any: ReadonlyArray<FailureCondition<A, E>>
}

/**
 * What an exit means to a policy: {@link Options} for most calls, else a {@link Classifier}, or {@link any} of several.
 *
 * @since 0.1.0
 * @category models
 */
export type FailureCondition<A, E> = Options<A, E> | Classifier<A, E> | Any<A, E>

/**
 * Several conditions as one: a failure is what any of them says is a failure. One that speaks of errors replaces the
 * default for errors for all of them; one that only speaks of results does not (the rule of failsafe-go).
 *
 * @example
 * ```ts
 * import { FailureCondition } from "effect-resilience"
 *
 * type Condition = FailureCondition.Options<{ readonly status: number }, unknown>
 * const overloaded: Condition = { result: (response) => response.status === 503 }
 *
 * const failing = FailureCondition.any(overloaded, { result: (response) => response.status === 500 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const any = <A, E>(...conditions: ReadonlyArray<FailureCondition<A, E>>): Any<A, E> => {
  internal.checkAll("FailureCondition.any", "conditions", conditions)
  return { any: conditions }
}

/**
 * What an exit means to a circuit breaker with this condition. For testing a condition, and for recording outcomes by hand.
 *
 * @example
 * ```ts
 * import { Exit } from "effect"
 * import { FailureCondition } from "effect-resilience"
 *
 * const classify = FailureCondition.classify<{ readonly status: number }, never>({ result: (r) => r.status === 503 })
 *
 * console.log(classify(Exit.succeed({ status: 503 }))._tag) // Failure
 * ```
 *
 * @since 0.1.0
 * @category utils
 */
export const classify = <A, E>(condition: FailureCondition<A, E> = {}): Classifier<A, E> => {
  internal.check("FailureCondition.classify", "condition", condition)
  return internal.compile(condition, { defect: true }).classify
}
