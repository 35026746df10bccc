/** Enforces a time limit. The policy chooses the limit and the error. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type { AnyExit, AnyFiber, Body, Restore } from "../internal/erased.js"
import { type Insides, insidesOf } from "../internal/fiber.js"
import * as Time from "../internal/time.js"
import {
  type Alone,
  alone,
  type Around,
  type Begun,
  type Caller,
  type Edge,
  type Guard,
  isFiber
} from "../policy/frame.js"
import { adopted, forked, leftBehind } from "./childFiber.js"
import { type AnyLimit, Deadline, type Limit } from "./deadline.js"
import { begin, fits, sameFiber } from "./sameFiber.js"

export type { Limit } from "./deadline.js"

/** Runs an effect under a limit, with the meaning of `Effect.timeout`. With a limit of zero the effect does not start. */
export const withLimit = <A, E, R, A2, E2, R2>(
  self: Effect.Effect<A, E, R>,
  limit: Limit<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> => {
  if (limit.millis <= 0) return limit.onTimeout(0)
  if (limit.millis === Infinity) return self
  return alone(new LimitGuard(limit), self) as Effect.Effect<A | A2, E | E2, R | R2>
}

/** A limit that is neither zero nor endless. On the live clock it is two steps for most callers. */
export class LimitGuard implements Guard {
  readonly looksAtResults = true
  readonly stops = true

  constructor(private readonly limit: AnyLimit) {}

  holds(caller: AnyFiber, clock: Clock.Clock): boolean {
    const fiber = fitting(caller, clock, this.limit)
    return fiber !== undefined && RuntimeFlags.interruptible(fiber.currentRuntimeFlags)
  }

  begin(caller: Caller, clock: Clock.Clock, _: Around, restore: Restore): Begun | undefined {
    const { limit } = this
    if (!isFiber(caller)) return limit.disconnect ? undefined : new AtEdge(caller as Edge, limit)
    const fiber = restore === Effect.interruptible ? fitting(caller, clock, limit) : undefined
    return fiber && begin(fiber, limit)
  }

  otherwise({ self }: Alone, caller: AnyFiber, _: Clock.Clock, restore: Restore): Body {
    const { limit } = this
    const fiber = insidesOf(caller)
    if (fiber === undefined) return forked(caller, restore, self, limit)
    if (limit.disconnect) return leftBehind(fiber, restore, self, limit)
    if (restore === Effect.interruptible && fits(fiber)) return sameFiber(fiber, self, limit)
    return adopted(fiber, restore, self, limit)
  }
}

/** The caller's own fiber, where the limit can begin in it in one step. */
const fitting = (caller: AnyFiber, clock: Clock.Clock, { disconnect }: AnyLimit): Insides | undefined => {
  if (disconnect || clock !== Time.liveClock) return undefined
  const fiber = insidesOf(caller)
  return fiber !== undefined && fits(fiber) ? fiber : undefined
}

/** The limit of a call that no fiber makes. */
class AtEdge extends Deadline implements Begun {
  constructor(
    private readonly edge: Edge,
    private readonly limit: AnyLimit
  ) {
    super(edge, limit.millis)
    this.start()
  }

  protected override onExpired(): void {
    this.edge.stop(this)
  }

  ended(exit: AnyExit): Body {
    this.cancel()
    return this.expired ? this.limit.onTimeout(this.elapsed(), this.stalled) : exit
  }
}
