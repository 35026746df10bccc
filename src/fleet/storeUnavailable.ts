/** The error of a store that did not answer, shared by the store and by what asks it. */
import * as Data from "effect/Data"

/**
 * The shared store did not answer in time, refused, or cannot be reached. Its `reason` says which, in words; `cause` is what the
 * client reported.
 *
 * @since 0.1.0
 * @category errors
 */
export class StoreUnavailable extends Data.TaggedError("StoreUnavailable")<{
  /** The operation that was asked for. */
  readonly operation: string
  readonly reason: string
  readonly cause: unknown
}> {
  override get message(): string {
    return `the shared store is unavailable: ${this.reason}`
  }
}
