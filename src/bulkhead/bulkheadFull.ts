/** The rejection of a bulkhead, shared by its engine and its public module. */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Policy from "../policy/Policy.js"
import { respond, respondable } from "../internal/respondable.js"

/**
 * The bulkhead rejected the call without running it. Made without a stack trace, because rejections can be very frequent.
 *
 * @since 0.1.0
 * @category errors
 */
export class BulkheadFull extends Data.TaggedError("BulkheadFull")<{
  readonly name: string
  /** `full`: the queue was full, or more permits were asked for than there are; `expired`: the call waited for `maxWait`. */
  readonly reason: "full" | "expired"
  readonly permits: number
  readonly requested: number
  readonly queued: number
  /**
   * About how long until there are permits for this call, estimated from recent calls and the queue, and made longer at random by
   * `retryAfterJitter`. `undefined` before a call has ended, and when more permits were asked for than there are.
   */
  readonly retryAfter: Duration.Duration | undefined
  /** The `retryAfterJitter` of the bulkhead. None when it is missing. */
  readonly jitter?: number | undefined
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
    if (this.reason === "expired")
      return `the wait for a permit took too long, ${this.queued} more are waiting`
    if (this.requested > this.permits) {
      return `a call that takes ${this.requested} permits can never run, there are only ${this.permits}`
    }
    return `the permits are taken (${this.permits}) and the queue is full (${this.queued})`
  }
}
