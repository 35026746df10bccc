/** How a time limit is enforced. The policy decides what limit and what to say; only this file and its folder know how. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { adopted, forked, leftBehind } from "./childFiber.js"
import type { Limit } from "./deadline.js"
import { insidesOf } from "../internal/fiber.js"
import { fits, sameFiber } from "./sameFiber.js"
import type { AnyFiber, Restore } from "../internal/erased.js"

export type { Limit } from "./deadline.js"

/**
 * Runs an effect under a limit. Only the limit leads to `onTimeout`; an interruption from outside stops the effect and
 * stays an interruption. What it means is what `Effect.timeout` means; it is done in the fiber of the caller where that
 * makes no difference, and in a fiber of its own elsewhere.
 *
 * A limit of zero leaves no time to start in, so the effect does not start.
 */
export const withLimit = <A, E, R, A2, E2, R2>(
  self: Effect.Effect<A, E, R>,
  limit: Limit<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> => {
  if (limit.millis <= 0) return limit.onTimeout(0)
  if (limit.millis === Infinity) return self
  return Effect.uninterruptibleMask((restore) => {
    // Asking for the fiber as an effect would be a step more.
    const caller = Option.getOrUndefined(Fiber.getCurrentFiber())
    return caller === undefined
      ? Effect.withFiberRuntime<A | A2, E | E2, R | R2>((fiber) => enforce(fiber, restore, self, limit))
      : enforce(caller, restore, self, limit)
  })
}

const enforce = <A, E, R, A2, E2, R2>(
  caller: AnyFiber,
  restore: Restore,
  self: Effect.Effect<A, E, R>,
  limit: Limit<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> => {
  const fiber = insidesOf(caller)
  if (fiber === undefined) return forked(caller, restore, self, limit)
  if (limit.disconnect) return leftBehind(fiber, restore, self, limit)
  if (restore === Effect.interruptible && fits(fiber)) return sameFiber(fiber, self, limit)
  return adopted(fiber, restore, self, limit)
}
