/** The error of a store that did not answer, and its reasons; shared by the store and by what asks it. */
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

/** The reason of an operation after the scope of its store is closed. */
export const overReason = "the scope of the store is closed"

/** What failed, in words. */
export const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
