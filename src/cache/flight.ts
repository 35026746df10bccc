/**
 * A lookup in flight and its waiters. It runs in a fiber of its own, ends early only when its last waiter is interrupted, and
 * resumes all waiters in one step.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Wait from "../internal/wait.js"
import type { Stored } from "./entries.js"

/** How a lookup ended, for its waiters. */
export interface Ending {
  readonly exit: Exit.Exit<unknown, unknown>
  /** The lookup interrupted itself: waiters that did not start it ask again. */
  readonly interrupted: boolean
  /** The value that stands in for the failure. */
  readonly instead: { readonly stored: Stored; readonly age: number } | undefined
}

export interface Waiter {
  /** Whether it is the effect of this one that runs. */
  readonly started: boolean
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
