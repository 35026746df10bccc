/** What an attempt knows about itself, shared by the engine and the public module. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type * as FailureCondition from "../policy/FailureCondition.js"

/**
 * What an attempt can know about itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempt {
  /** The number of the attempt, from 1. */
  readonly number: number
  /** The time since the first attempt began. */
  readonly elapsed: Duration.Duration
  /** How the attempt before this one failed. */
  readonly lastFailure: Option.Option<FailureCondition.Failed<unknown, unknown>>
}

export const firstAttempt: Attempt = { number: 1, elapsed: Duration.zero, lastFailure: Option.none() }

/**
 * The attempt that is running. Outside a retry it reads as a first attempt; in nested retries it is that of the innermost.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Retry } from "effect-resilience"
 *
 * const call = Effect.gen(function* () {
 *   const attempt = yield* Retry.CurrentAttempt
 *   yield* Effect.annotateCurrentSpan("http.request.resend_count", attempt.number - 1)
 * })
 *
 * const program = call.pipe(Retry.retry({ times: 2 }))
 * ```
 *
 * @since 0.1.0
 * @category context
 */
export class CurrentAttempt extends Context.Reference<CurrentAttempt>()(
  "effect-resilience/Retry/CurrentAttempt",
  { defaultValue: (): Attempt => firstAttempt }
) {}
