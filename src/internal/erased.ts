/** Effects, exits and fibers with erased types. A policy keeps the types of a call and only adds its rejection. */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"

/** The effect that a policy protects. */
export type Body<E = unknown> = Effect.Effect<unknown, E, unknown>

export type AnyExit = Exit.Exit<unknown, unknown>

export type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** What `Effect.uninterruptibleMask` hands out. */
export type Restore = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
