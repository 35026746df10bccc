/**
 * A lookup in flight and its waiters. It runs in a fiber of its own, ends early only when its last waiter is interrupted, and
 * resumes all waiters in one step.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Wait from "../internal/wait.js"
import type { Told } from "../internal/listeners.js"
import type { Stored } from "./entries.js"

/** How a lookup ended, for its waiters. */
export interface Ending {
  exit: Exit.Exit<unknown, unknown>
  /** How old the value is, or the one that stands in for the failure; 0 for one that was looked up. */
  age: number
  /** The lookup interrupted itself: waiters that did not start it ask again. */
  interrupted: boolean
  /** The value that stands in for the failure. */
  instead: Stored | undefined
}

export interface Waiter {
  /** Whether it is the effect of this one that runs. */
  readonly started: boolean
  /** Nothing but the outcome of a lookup will do. */
  readonly forced: boolean
  /** The lookup that waits, when it is one. */
  readonly within: Flight | undefined
  /** Called with `undefined` when the wait times out. */
  resume: ((ending: Ending | undefined) => void) | undefined
  /** Whether its wait has timed out, so that it is no longer a waiter. */
  tired: boolean
}

/** Why a lookup was started: a caller waits, a caller asked for a newer value, or the cache refreshes by itself. */
export type Reason = "miss" | "asked" | "background"

export class Flight {
  fiber: Fiber.RuntimeFiber<unknown> | undefined
  /** Whether it must end; its fiber may not have started yet. */
  cancelled = false
  /** Whether the cache wants the outcome even without waiters. */
  kept: boolean
  /** Whether its outcome was stored: nothing has overtaken it. */
  current = false
  /** How old a value is that another process has looked up. */
  age = 0
  /** How long its lookup took, if that is not all that it took. */
  took: number | undefined
  /** What comes after the waiters have been served, in a cache that is shared. */
  finish: ((exit: Exit.Exit<unknown, unknown>, told: Told) => Effect.Effect<void>) | undefined
  private ending: Ending | undefined
  readonly waiters = new Set<Waiter>()

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

  join(started: boolean, forced: boolean, within: Flight | undefined): Waiter {
    const waiter: Waiter = { started, forced, within, resume: undefined, tired: false }
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

  /** Waits for the end. A waiter that is interrupted must {@link leave}. */
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
