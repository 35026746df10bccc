/** The rejection of a circuit breaker, shared by its engine and its public module. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Policy from "../policy/Policy.js"
import { respond, respondable } from "../internal/respondable.js"

/**
 * The breaker rejected the call without running it. Made without a stack trace, because rejections can be very frequent.
 *
 * @since 0.1.0
 * @category errors
 */
export class CircuitOpen extends Data.TaggedError("CircuitOpen")<{
  readonly name: string
  /** `half-open` when all places for probes were taken. */
  readonly state: "open" | "half-open" | "isolated"
  /** How long the circuit stays open. Unknown when half-open, where it depends on the probes, and when isolated. */
  readonly retryAfter: Duration.Duration | undefined
}> {
  /** @since 0.1.0 */
  get [Policy.RejectionTypeId](): Policy.RejectionTypeId {
    return Policy.RejectionTypeId
  }

  /** @internal */
  [respondable](): Effect.Effect<unknown, unknown> {
    return respond(this)
  }

  override get message(): string {
    const hint = this.retryAfter === undefined ? "" : `, try again in ${Duration.format(this.retryAfter)}`
    return `the circuit is ${this.state}${hint}`
  }
}
