/** The calls of shared policies around a fiber. One inside a call of the same instance is not counted or queued again. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import type { AnyFiber, Restore } from "./erased.js"

const innermost = new WeakMap<object, Inside | undefined>()

/** A call that runs in a fiber, from the moment it is entered. */
export class Inside {
  over = true
  /** Another fiber is inside of it too, and may be for longer. */
  isShared = false
  fiber: AnyFiber | undefined
  outer: Inside | undefined

  constructor(readonly owner: object) {}

  enter(fiber: AnyFiber): void {
    this.fiber = fiber
    this.outer = insideOf(fiber)
    this.over = false
    innermost.set(fiber, this)
  }

  /** Ends the call. Returns whether nothing refers to it any more, so that the object may serve another call. */
  leave(): boolean {
    const { fiber } = this
    this.over = true
    if (this.isShared || fiber === undefined || innermost.get(fiber) !== this) return false
    innermost.set(fiber, this.outer)
    this.fiber = this.outer = undefined
    return true
  }

  /** The innermost call of an instance that is not over, from this one outwards. */
  find(owner: object): Inside | undefined {
    if (this.owner === owner && !this.over) return this
    for (let call = this.outer; call !== undefined; call = call.outer) {
      if (call.owner === owner && !call.over) return call
    }
    return undefined
  }

  /** Whether the frame of the call may be gone without a trace, which only an interruption does to it. */
  get isLost(): boolean {
    const { fiber } = this
    if (fiber === undefined) return false
    return fiber.unsafePoll() !== null || !Cause.isEmptyType(fiber.getFiberRef(FiberRef.interruptedCause))
  }
}

/** The innermost call around a caller. Calls that are over are skipped, with those inside them in the same fiber. */
export const insideOf = (caller: object): Inside | undefined => {
  let current: Inside | undefined = undefined
  for (let call = innermost.get(caller); call !== undefined; call = call.outer) {
    if (!call.over) current ??= call
    else if (current?.fiber === call.fiber) current = undefined
  }
  return current
}

/** The fiber that runs. Asking for it as an effect would be a step more. */
export const runningFiber = (): AnyFiber | undefined => Option.getOrUndefined(Fiber.getCurrentFiber())

/** `Effect.uninterruptibleMask` with the fiber that runs it. */
export const inMask = <A, E, R>(
  self: (restore: Restore, fiber: AnyFiber) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) => {
    const fiber = runningFiber()
    return fiber === undefined
      ? Effect.withFiberRuntime<A, E, R>((fiber) => self(restore, fiber))
      : self(restore, fiber)
  })

/** Ends the calls that began in a fiber after it was inside of `outer` alone: it was interrupted, and goes on. */
export const endInside = (fiber: AnyFiber, outer: Inside | undefined): void => {
  for (let call = insideOf(fiber); call !== undefined && call !== outer; call = call.outer) call.over = true
}

/** An effect for another fiber, in which it is inside of the calls that this fiber is inside of now. */
export const inherited = <A, E, R>(fiber: AnyFiber, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const call = insideOf(fiber)
  if (call === undefined) return self
  for (let shared: Inside | undefined = call; shared !== undefined; shared = shared.outer)
    shared.isShared = true
  return Effect.withFiberRuntime<A, E, R>((child) => {
    innermost.set(child, call)
    return self
  })
}
