/** The rejection of a rate limiter, shared by its engine and its public module. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Policy from "../policy/Policy.js"
import { respond, respondable } from "../internal/respondable.js"

/**
 * The rate limiter rejected the call without running it. Made without a stack trace, because rejections can be very frequent.
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimitExceeded extends Data.TaggedError("RateLimitExceeded")<{
  readonly name: string
  readonly limit: number
  readonly cost: number
  /** `rate`: its turn is later than `maxWait` allows; `queue`: the queue is full; `cost`: it can never be admitted. */
  readonly reason: "rate" | "queue" | "cost"
  /** How long until a call of this cost would be admitted at once, if no other comes before; `undefined` if never. */
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
    if (this.retryAfter === undefined) return `a call that costs ${this.cost} can never be admitted`
    const why = this.reason === "queue" ? "the queue is full" : `the limit of ${this.limit} is used up`
    return `${why}, try again in ${Duration.format(this.retryAfter)}`
  }
}
