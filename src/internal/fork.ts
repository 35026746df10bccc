/**
 * How fibers start. No other file forks, because whether a fork inside a mask starts masked differs between versions of Effect.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import type { AnyFiber } from "./erased.js"

/** Forks a daemon that can be interrupted from the start, even where its caller cannot. */
export const forkInterruptible = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> => Effect.forkDaemon(Effect.interruptible(self))

/** Forks inside a mask a fiber that starts masked like its caller: a child of the caller, or a daemon. */
export const forkMasked = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  belongsTo: "caller" | "nobody"
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  belongsTo === "caller" ? Effect.fork(self) : Effect.forkDaemon(self)

/** Fibers that start at once nest on the host's stack, so their depth is limited. */
const maxLevels = 16
let levels = 0

/** Starts a fiber at once, unless the options say otherwise or the stack is too deep. */
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

/** Runs an effect in a fiber of its own, to its end or to where it would have to wait: then its exit is a failure. */
export const runNow = <A, E, R>(
  runtime: Runtime.Runtime<R>,
  effect: Effect.Effect<A, E, R>
): Exit.Exit<A, E> => Runtime.runSyncExit(runtime)(effect)

/** Forks a fiber that lives as long as a scope. */
export const forkScoped = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R | Scope.Scope> => Effect.forkScoped(self)
