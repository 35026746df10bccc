/**
 * The schema of a breaker's snapshot, an entry of its own because `effect/Schema` takes longer to load than a breaker.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { states } from "../core/circuit.js"
import type * as CircuitBreaker from "./CircuitBreaker.js"

/**
 * A breaker's state as plain data.
 *
 * @since 0.1.0
 * @category models
 */
export type Snapshot = CircuitBreaker.Snapshot

/**
 * Snapshots to and from JSON, checked on the way in. Where everything comes from `effect-resilience`, it is `CircuitBreaker.Snapshot`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 *
 * const Json = Schema.parseJson(CircuitBreaker.Snapshot)
 * const restore = (json: string) =>
 *   Schema.decode(Json)(json).pipe(Effect.flatMap((initial) => CircuitBreaker.make({ name: "partner", initial })))
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const Snapshot: Schema.Schema<Snapshot> = /*#__PURE__*/ (() => {
  const Count = Schema.NonNegativeInt
  const Millis = Schema.Finite.pipe(Schema.nonNegative())
  const Rate = Schema.Number.pipe(Schema.between(0, 1))
  return Schema.Struct({
    name: Schema.String,
    state: Schema.Literal(...states),
    since: Schema.Finite,
    takenAt: Schema.Finite,
    remainingDelay: Millis,
    generation: Count,
    successes: Count,
    failures: Count,
    failureRate: Rate,
    consecutiveFailures: Count,
    rejected: Count,
    rejectedInState: Count,
    reopenings: Count,
    openedFor: Millis,
    rules: Schema.Array(
      Schema.Struct({
        rule: Schema.Literal("consecutive", "failures", "failureRate", "slowRate"),
        calls: Count,
        hits: Count,
        rate: Rate,
        threshold: Schema.Finite,
        met: Schema.Boolean,
        of: Schema.optional(Count),
        within: Schema.optional(Schema.Finite),
        minimumCalls: Schema.optional(Count),
        slowerThan: Schema.optional(Schema.Finite)
      })
    ),
    probes: Schema.optional(Schema.Struct({ running: Count, permits: Count, successes: Count, of: Count })),
    memory: Schema.Array(
      Schema.Struct({
        rule: Schema.String,
        run: Schema.optional(Count),
        calls: Schema.optional(Schema.String.pipe(Schema.pattern(/^[01]*$/))),
        buckets: Schema.optional(Schema.Array(Schema.Tuple(Count, Count)))
      })
    )
  })
})()
