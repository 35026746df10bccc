/** Listeners that run alongside a call, so that what the call holds does not wait for them. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import { inherited } from "./inside.js"
import type { Told } from "./listeners.js"
import { startFiber } from "./fork.js"
import type { AnyFiber } from "./erased.js"

/** What a listener has not done at once, while the call goes on. */
export type Rest = Fiber.RuntimeFiber<void>

/** Starts a notification in a fiber alongside the call. `undefined` when it has already ended. */
export const begin = (caller: AnyFiber, flags: RuntimeFlags.RuntimeFlags, told: Told): Rest | undefined => {
  const rest = told && startFiber(caller, inherited(caller, Effect.interruptible(told)), flags)
  return rest?.unsafePoll() === null ? rest : undefined
}

/** Waits for the rest, where interruption is masked. An interruption of the call is one of its listeners too. */
export const finish = (
  rest: Rest | undefined,
  restore: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Told => rest && Effect.onInterrupt(restore(Effect.asVoid(Fiber.await(rest))), () => Fiber.interrupt(rest))
