/** The error of a retry that gave up, shared by the engine and the public module. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import type { Reason } from "./Retry.js"

/**
 * All attempts failed. Only with `exceeded: "wrap"`; by default the last failure comes back as it was.
 *
 * @since 0.1.0
 * @category errors
 */
export class RetriesExceeded<out A = unknown, out E = unknown> extends Data.TaggedError("RetriesExceeded")<{
  readonly name: string
  readonly attempts: number
  /** The time from the beginning of the first attempt to the end of the last. */
  readonly elapsed: Duration.Duration
  readonly reason: Reason
  readonly lastExit: Exit.Exit<unknown, unknown>
}> {
  declare readonly lastExit: Exit.Exit<A, E>

  override get message(): string {
    return `gave up after ${this.attempts} attempt${this.attempts === 1 ? "" : "s"} in ${Duration.format(this.elapsed)} (${this.reason})`
  }
}
