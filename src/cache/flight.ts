/**
 * One lookup under way, and everybody who waits for it. It runs in a fiber of its own, so that nobody's interruption but
 * that of the last who waits ends it, and its result is handed to all who wait in one step.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Wait from "../internal/wait.js"
import type { Stored } from "./entries.js"

/** How a lookup ended, for those who wait for it. */
export interface Ending {
  readonly exit: Exit.Exit<unknown, unknown>
  /** The lookup interrupted itself: whoever did not start it asks again. */
  readonly interrupted: boolean
  /** The value that stands in for the failure. */
  readonly instead: { readonly stored: Stored; readonly age: number } | undefined
}

/** Somebody who waits. */
export interface Waiter {
  /** Whether it is the effect of this one that runs. */
  readonly started: boolean
  /** The lookup that waits, when it is one. */
  readonly within: Flight | undefined
  /** Given `undefined` when it has waited long enough. */
  resume: ((ending: Ending | undefined) => void) | undefined
  /** Whether it has waited long enough, and is no longer among those who wait. */
  tired: boolean
}

/** Why a lookup was started: for somebody who waits, because somebody asked for a newer value, or by the cache itself. */
export type Reason = "miss" | "asked" | "background"

export class Flight {
  fiber: Fiber.RuntimeFiber<unknown> | undefined
  /** Whether it is to end: its fiber may not have begun yet. */
  cancelled = false
  /** Whether the cache wants the outcome, also when nobody waits any more. */
  kept: boolean
  private ending: Ending | undefined
  private readonly waiters = new Set<Waiter>()

  constructor(
    readonly key: unknown,
    public reason: Reason,
    readonly startedAt: number
  ) {
    this.kept = reason === "background"
  }

  get ended(): boolean {
    return this.ending !== undefined
  }

  get waiting(): number {
    return this.waiters.size
  }

  join(started: boolean, within: Flight | undefined): Waiter {
    const waiter: Waiter = { started, within, resume: undefined, tired: false }
    this.waiters.add(waiter)
    return waiter
  }

  /** Whether it could not end before another lookup, or is that lookup. */
  waitsFor(other: Flight): boolean {
    const waiting = new Set([other])
    for (const flight of waiting) {
      if (flight === this) return true
      for (const { within } of flight.waiters) if (within !== undefined) waiting.add(within)
    }
    return false
  }

  leave(waiter: Waiter): boolean {
    return this.waiters.delete(waiter)
  }

  /** Waits for the end. Whoever is interrupted meanwhile has to {@link leave}. */
  wait(waiter: Waiter): Effect.Effect<Ending | undefined> {
    return Wait.forOthers((resume) => {
      waiter.resume = (ending) => resume(Effect.succeed(ending))
      // The end may have come before the fiber has begun to wait.
      if (this.ending !== undefined || waiter.tired) waiter.resume(this.ending)
    })
  }

  end(ending: Ending): void {
    this.ending = ending
    for (const waiter of this.waiters) waiter.resume?.(ending)
    this.waiters.clear()
  }
}

/** The lookup that a fiber works for. */
export const currentFlight: FiberRef.FiberRef<Flight | undefined> = /*#__PURE__*/ FiberRef.unsafeMake<
  Flight | undefined
>(undefined)
