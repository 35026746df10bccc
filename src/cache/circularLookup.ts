/** The defect of a lookup that waits for itself, shared by the cache's engine and its public module. */
import * as Data from "effect/Data"

/**
 * A lookup asked for the key that it looks up, or for one whose lookup waits for it. A defect: it would wait for ever.
 *
 * @since 0.1.0
 * @category errors
 */
export class CircularLookup extends Data.TaggedError("CircularLookup")<{
  readonly name: string
  readonly key: unknown
}> {
  override get message(): string {
    return `a lookup of the cache "${this.name}" waits for itself`
  }
}
