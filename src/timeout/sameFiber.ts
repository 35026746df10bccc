/**
 * A limit in the caller's own fiber. At the limit the fiber is interrupted, and the interruption is undone where the effect ends,
 * at an uninterruptible boundary. What ends with the body's fiber in `Effect.timeout` (its children and, after a failure, its
 * changes to FiberRefs) ends at that boundary.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import type * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import { endInside, type Inside, insideOf } from "../internal/inside.js"
import type { AnyExit, Body } from "../internal/erased.js"
import { type Begun, seenBy } from "../policy/frame.js"
import { type AnyLimit, Deadline } from "./deadline.js"
import { hasChildren, type Insides, replaceForkScope, withoutInterruption } from "../internal/fiber.js"

/** So many nested limits share a fiber. When they all expire at once, Effect compares all their interruptions with each other. */
const maxLevels = 8
const levels = new WeakMap<Insides, number>()

/** Not with children, which could not be told from the body's, nor where a batched request may continue the body elsewhere. */
export const fits = (fiber: Insides): boolean =>
  !hasChildren(fiber) && fiber._steps.length === 0 && levelOf(fiber) < maxLevels

const levelOf = (fiber: Insides): number => levels.get(fiber) ?? 0

/** Begins a limit on the live clock. To be run by an interruptible fiber inside a mask. */
export const begin = (fiber: Insides, limit: AnyLimit): Begun => {
  const call = new Call(fiber, limit)
  call.start()
  return call
}

/** The same on another clock, after the turn that a fiber of its own would have had to wait for. */
export const sameFiber = (fiber: Insides, self: Body, limit: AnyLimit): Body => {
  const call = new Call(fiber, limit)
  return Effect.flatMap(Effect.yieldNow(), () => {
    call.start()
    return seenBy(Effect.interruptible(self), call, true)
  })
}

class Call extends Deadline implements Begun {
  private readonly refs: FiberRefs.FiberRefs
  private readonly flags: RuntimeFlags.RuntimeFlags
  private readonly forkScope: Option.Option<unknown>
  private readonly level: number
  /** The calls of shared policies around this one. Those within it are gone when it interrupts them. */
  private readonly outside: Inside | undefined
  /** What our interruption is known by; `undefined` until there is one. */
  private interruptor: FiberId.FiberId | undefined

  constructor(
    private readonly fiber: Insides,
    private readonly limit: AnyLimit
  ) {
    super(fiber, limit.millis)
    this.refs = fiber._fiberRefs
    this.flags = fiber.currentRuntimeFlags
    this.level = levelOf(fiber)
    this.outside = insideOf(fiber)
    levels.set(fiber, this.level + 1)
    this.forkScope = replaceForkScope(fiber, Option.none())
  }

  protected override onExpired(): void {
    this.interruptor = FiberId.unsafeMake()
    this.fiber.unsafeInterruptAsFork(this.interruptor)
  }

  /** The effect is at its end, and its finalizers have run. As at the end of a fiber, its children go first. */
  ended(exit: AnyExit): Body {
    if (hasChildren(this.fiber)) return Effect.flatMap(this.interruptChildren(), () => this.ended(exit))
    this.cancel()
    levels.set(this.fiber, this.level)
    if (this.expired) return this.timedOut()
    if (Exit.isFailure(exit)) this.restore()
    else replaceForkScope(this.fiber, this.forkScope)
    return exit
  }

  private interruptChildren(): Effect.Effect<void> {
    const children = [...(this.fiber._children ?? [])]
    for (const child of children) child.unsafeInterruptAsFork(this.fiber.id())
    return Effect.forEach(children, Fiber.await, { discard: true })
  }

  private timedOut(): Body {
    this.restore()
    endInside(this.fiber, this.outside)
    // An interruption by others is still there, and comes before the timeout.
    return Effect.interruptible(Effect.suspend(() => this.limit.onTimeout(this.elapsed(), this.stalled)))
  }

  /** Restores the fiber, except for interruptions by others. */
  private restore(): void {
    const { fiber, interruptor, refs } = this
    const cause = fiber.getFiberRef(FiberRef.interruptedCause)
    const others = interruptor === undefined ? cause : withoutInterruption(cause, interruptor)
    if (fiber._fiberRefs !== refs) fiber.setFiberRefs(refs)
    if (fiber.getFiberRef(FiberRef.interruptedCause) !== others) {
      fiber.setFiberRef(FiberRef.interruptedCause, others)
    }
    fiber.currentRuntimeFlags = this.flags
  }
}
