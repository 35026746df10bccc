/** The defect of a cache that is used after its scope has closed, shared by its engine and its public module. */
import * as Data from "effect/Data"

/**
 * The cache's scope has closed, and with it the cache. A defect: the caller has outlived its dependency.
 *
 * @since 0.1.0
 * @category errors
 */
export class CacheClosed extends Data.TaggedError("CacheClosed")<{
  readonly name: string
}> {
  override get message(): string {
    return `the cache "${this.name}" is closed: its scope has ended`
  }
}
