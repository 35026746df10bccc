/** Which instance made a rejection. An instance does not count its own. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"

const owners = new WeakMap<object, object>()

/** Notes who made a rejection. */
export const rejectedBy = <E extends object>(owner: object, rejection: E): E => {
  owners.set(rejection, owner)
  return rejection
}

/** How many errors inside of each other are looked at. */
const maxDepth = 16

/** Whether all that an exit failed with goes back to rejections by this instance, also sealed in other errors. */
export const isOwnRejection = (owner: object, exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && isOwnCause(owner, exit.cause, 0)

const isOwnCause = (owner: object, cause: Cause.Cause<unknown>, depth: number): boolean => {
  if (cause._tag === "Fail") return isOwn(owner, cause.error, depth)
  const all = Chunk.appendAll(Cause.failures(cause), Cause.defects(cause))
  return Chunk.isNonEmpty(all) && Chunk.every(all, (error) => isOwn(owner, error, depth))
}

const isOwn = (owner: object, error: unknown, depth: number): boolean => {
  if (!Predicate.isObject(error) || depth > maxDepth) return false
  if (owners.get(error) === owner) return true
  // `RetriesExceeded` keeps the whole exit, and a fiber's failure the whole cause.
  if ("lastExit" in error && Exit.isExit(error.lastExit)) {
    return Exit.isFailure(error.lastExit) && isOwnCause(owner, error.lastExit.cause, depth + 1)
  }
  if (!("cause" in error)) return false
  return Cause.isCause(error.cause)
    ? isOwnCause(owner, error.cause, depth + 1)
    : isOwn(owner, error.cause, depth + 1)
}
