/** `Retry-After` knows whole seconds only, in which the jitter of a short estimate is lost: a second or two are added. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as HttpProblem from "./HttpProblem.js"

const maxExtraSeconds = 2

/** The options of an answer, with what `Retry-After` says more than it would. */
export const spread = <A, E, R>(
  error: HttpProblem.PolicyError,
  options: HttpProblem.Options,
  answer: (options: HttpProblem.Options) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  error._tag !== "BulkheadFull" || !((error.jitter ?? 0) > 0) || options.extraSeconds !== undefined
    ? answer(options)
    : Effect.flatMap(Random.nextIntBetween(0, maxExtraSeconds + 1), (extraSeconds) =>
        answer({ ...options, extraSeconds })
      )
