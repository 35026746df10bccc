/**
 * How fibers start. Nothing else forks: whether a fork inside a mask begins masked differs between versions of Effect, so
 * here each one says which it is.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import type { AnyFiber } from "./erased.js"

/** Forks a fiber that belongs to nobody and can be interrupted from the start, even where its caller cannot. */
export const forkInterruptible = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> => Effect.forkDaemon(Effect.interruptible(self))

/** Forks inside a mask what begins masked like its caller: a child of the caller, or a fiber that belongs to nobody. */
export const forkMasked = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  belongsTo: "caller" | "nobody"
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  belongsTo === "caller" ? Effect.fork(self) : Effect.forkDaemon(self)

/** Each fiber that starts at once starts inside of the one before, on the host's stack. The next waits for its turn. */
const maxLevels = 16
let levels = 0

/** Starts a fiber there and then, unless that is not wanted or would go too deep. */
export const startIn = <A, E, R>(
  runtime: Runtime.Runtime<R>,
  effect: Effect.Effect<A, E, R>,
  options: Runtime.RunForkOptions = {}
): Fiber.RuntimeFiber<A, E> => {
  levels++
  try {
    const immediate = options.immediate !== false && levels <= maxLevels
    return Runtime.runFork(runtime, effect, { ...options, immediate })
  } finally {
    levels--
  }
}

/** Starts a fiber with the context and the FiberRefs of another, which it does not belong to. */
export const startFiber = <A, E, R>(
  from: AnyFiber,
  effect: Effect.Effect<A, E, R>,
  runtimeFlags: RuntimeFlags.RuntimeFlags,
  options?: Runtime.RunForkOptions
): Fiber.RuntimeFiber<A, E> => {
  const context = from.currentContext as Context.Context<R>
  return startIn(Runtime.make({ context, runtimeFlags, fiberRefs: from.getFiberRefs() }), effect, options)
}
