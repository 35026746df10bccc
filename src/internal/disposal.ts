/**
 * How a policy with `disposeResult` loses no result: it hands the result on or disposes of it.
 *
 * Effect drops the result of an uninterruptible region when an interruption is pending at its end. Where that region is the
 * policy's, {@link holding} looks for the interruption first; where it is the end of a fiber that the policy interrupts,
 * {@link Interrupter} holds the interruption back until it can take effect.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scheduler from "effect/Scheduler"
import { hasMessages } from "./messages.js"
import type { AnyFiber, Body, Restore } from "./erased.js"

type Dispose = Effect.Effect<unknown, never, unknown>

/** Runs, in a mask, a call that may hold a result, which is disposed of when the caller was interrupted before it got it. */
export const holding = (call: (restore: Restore, hold: (dispose: Dispose) => void) => Body): Body =>
  Effect.uninterruptibleMask((restore) => {
    let held: Dispose | undefined
    return Effect.flatMap(Effect.exit(call(restore, (dispose) => (held = dispose))), (exit) =>
      held === undefined ? exit : handOn(restore, exit, held)
    )
  })

/** The last step of a mask. */
const handOn = (restore: Restore, exit: Exit.Exit<unknown, unknown>, dispose: Dispose): Body =>
  Effect.withFiberRuntime((fiber) => {
    // What is pending now, maybe an interruption, arrives before the next step.
    if (hasMessages(fiber)) return handOn(restore, exit, dispose)
    if (Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))) return exit
    return Effect.matchCauseEffect(restore(Effect.void), {
      onFailure: (cause) => Effect.zipRight(dispose, Effect.failCause(cause)),
      // The caller is itself in a region that cannot be interrupted.
      onSuccess: () => exit
    })
  })

/**
 * The scheduler of a fiber, which interrupts it so that a result it ends with all the same is its exit: not at the end of an
 * uninterruptible region but where the fiber next waits, since what is left may be policies that only hand the result on.
 */
export class Interrupter implements Scheduler.Scheduler {
  /** The interruption that waits for the end of an uninterruptible region. */
  private pending: Pending | undefined

  constructor(readonly wraps: Scheduler.Scheduler) {}

  interrupt(fiber: AnyFiber, by: FiberId.FiberId): void {
    if (isInterruptible(fiber)) fiber.unsafeInterruptAsFork(by)
    else this.pending = { fiber, by, leaving: false, due: false }
  }

  shouldYield(fiber: AnyFiber): number | false {
    const { pending } = this
    if (pending?.fiber === fiber && isInterruptible(fiber)) {
      if (pending.due) this.deliver(pending)
      else if (!pending.leaving) this.leave(pending)
    }
    return this.wraps.shouldYield(fiber)
  }

  /** The task runs where the fiber waits or has ended. One that waits uninterruptibly again has had its chance. */
  private leave(pending: Pending): void {
    const { fiber } = pending
    const waits = () => {
      pending.due = true
      if (fiber.unsafePoll() === null && isInterruptible(fiber)) this.deliver(pending)
    }
    pending.leaving = true
    this.scheduleTask(waits, fiber.getFiberRef(FiberRef.currentSchedulingPriority), fiber)
  }

  private deliver({ by, fiber }: Pending): void {
    this.pending = undefined
    fiber.unsafeInterruptAsFork(by)
  }

  scheduleTask(task: Scheduler.Task, priority: number, fiber?: AnyFiber): void {
    this.wraps.scheduleTask(task, priority, fiber)
  }
}

interface Pending {
  readonly fiber: AnyFiber
  readonly by: FiberId.FiberId
  /** Whether the region has ended. */
  leaving: boolean
  /** Whether the fiber has waited since. */
  due: boolean
}

/** Where a fiber does not show its flags, it is interrupted there and then. */
const isInterruptible = (fiber: AnyFiber): boolean => {
  const { currentRuntimeFlags } = fiber as { readonly currentRuntimeFlags?: RuntimeFlags.RuntimeFlags }
  return currentRuntimeFlags === undefined || RuntimeFlags.interruptible(currentRuntimeFlags)
}
