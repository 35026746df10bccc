/** A limit on an effect in a fiber of its own. The caller waits for that fiber, which is interrupted at the limit. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { inherited } from "../internal/inside.js"
import { type AnyLimit, Deadline } from "./deadline.js"
import type { Insides } from "../internal/fiber.js"
import { forkMasked, startFiber } from "../internal/fork.js"
import * as Wait from "../internal/wait.js"
import type { AnyExit, AnyFiber, Body, Restore } from "../internal/erased.js"

// ------------------------------------------------------------------------------------------------- started at once

/** Starts the effect in a child of the caller at once, so that one that does not wait costs no timer. To be run in a mask. */
export const adopted = (caller: Insides, restore: Restore, self: Body, limit: AnyLimit): Body => {
  const call = new Call(caller, restore, limit)
  const child = call.begin(self, "caller")
  const exit = child.unsafePoll()
  if (exit !== null) return call.ended(exit)
  call.start()
  // The caller waits uninterruptibly: an interruption reaches the child first, and the caller through its end.
  return Wait.forOwn((resume) => child.addObserver((exit) => resume(call.ended(exit))))
}

class Call extends Deadline {
  private readonly flags: RuntimeFlags.RuntimeFlags
  private refs: FiberRefs.FiberRefs | undefined
  private child: Insides | undefined

  constructor(
    private readonly parent: Insides,
    private readonly restore: Restore,
    private readonly limit: AnyLimit
  ) {
    super(parent, limit.millis)
    const { currentRuntimeFlags } = parent
    this.flags =
      restore === Effect.interruptible
        ? RuntimeFlags.enable(currentRuntimeFlags, RuntimeFlags.Interruption)
        : currentRuntimeFlags
  }

  /** Starts the effect in a fiber of its own: a child of the caller, or a daemon. */
  begin(self: Body, belongsTo: "caller" | "nobody"): AnyFiber {
    const { parent } = this
    const child = startFiber(parent, inherited(parent, self), this.flags, {
      immediate: this.isLive,
      updateRefs: (refs) => (this.refs = refs)
    })
    if (belongsTo === "caller" && child.unsafePoll() === null) {
      parent.addChild(child)
      child.addObserver(() => parent.removeChild(child))
    }
    return (this.child = child as Insides)
  }

  /** In the name of the parent, as it interrupts its children itself. */
  protected override onExpired(): void {
    this.child?.unsafeInterruptAsFork(this.parent.id())
  }

  /** The child is at its end: what the caller gets. */
  ended(exit: AnyExit): Body {
    this.cancel()
    if (this.expired) return this.timedOut()
    return Exit.isFailure(exit) || this.child === undefined || this.changedNothing(this.child)
      ? exit
      : Effect.zipRight(Fiber.inheritAll(this.child), exit)
  }

  timedOut(): Body {
    return this.restore(Effect.suspend(() => this.limit.onTimeout(this.elapsed(), this.stalled)))
  }

  private changedNothing({ _fiberRefs, currentRuntimeFlags }: Insides): boolean {
    return (
      _fiberRefs === this.refs &&
      currentRuntimeFlags === RuntimeFlags.enable(this.flags, RuntimeFlags.WindDown)
    )
  }
}

// ------------------------------------------------------------------------------------------------- left behind

class Behind extends Call {
  wake: () => void = () => {}

  protected override onExpired(): void {
    this.wake()
  }
}

/** The same for a caller that leaves at the limit or when interrupted: the effect is a daemon that is not waited for. */
export const leftBehind = (caller: Insides, restore: Restore, self: Body, limit: AnyLimit): Body => {
  const call = new Behind(caller, restore, limit)
  const child = call.begin(self, "nobody")
  const exit = child.unsafePoll()
  if (exit !== null) return call.ended(exit)
  call.start()
  const first = Wait.forOwn<void>((resume) => {
    call.wake = () => resume(Effect.void)
    child.addObserver(call.wake)
    if (call.expired) call.wake()
  })
  const leave = (): void => {
    call.cancel()
    child.unsafeInterruptAsFork(caller.id())
  }
  return Effect.matchCauseEffect(restore(first), {
    onFailure: (cause): Body => {
      leave()
      return Effect.failCause(cause)
    },
    onSuccess: () => {
      const exit = child.unsafePoll()
      if (exit !== null && !call.expired) return call.ended(exit)
      leave()
      return call.timedOut()
    }
  })
}

// ------------------------------------------------------------------------------------------------- forked

/** The same by nothing but forking, for a caller whose inside is not known. To be run inside a mask. */
export const forked = (caller: AnyFiber, restore: Restore, self: Body, limit: AnyLimit): Body => {
  const { disconnect, millis } = limit
  const deadline = new Signal(caller, millis)
  const body = inherited(caller, restore(self))
  return Effect.flatMap(forkMasked(body, disconnect ? "nobody" : "caller"), (child) => {
    const first = Wait.forOwn<void>((resume) => {
      const wake = () => resume(Effect.void)
      deadline.listener = wake
      deadline.start()
      child.addObserver(() => {
        deadline.cancel()
        wake()
      })
    })
    const interrupted = () => {
      deadline.cancel()
      return disconnect ? Fiber.interruptFork(child) : stopped(child)
    }
    const expired = Effect.suspend(() => limit.onTimeout(deadline.elapsed(), deadline.stalled))
    return Effect.flatMap(Effect.onInterrupt(restore(first), interrupted), (): Body => {
      if (!deadline.expired) return joined(child)
      return Effect.zipRight(
        disconnect ? Fiber.interruptFork(child) : Fiber.interrupt(child),
        restore(expired)
      )
    })
  })
}

class Signal extends Deadline {
  listener: (() => void) | undefined

  protected override onExpired(): void {
    this.listener?.()
  }
}

/** The exit of a fiber that has ended, with what it changed when it succeeded, as after `Effect.timeout`. */
const joined = (child: AnyFiber): Body =>
  Effect.flatMap(Fiber.await(child), (exit) =>
    Exit.isSuccess(exit) ? Effect.as(Fiber.inheritAll(child), exit.value) : exit
  )

/** Interrupts a fiber and waits for it; a defect in its finalizers is shown. */
const stopped = (child: AnyFiber): Effect.Effect<void> =>
  Effect.flatMap(Fiber.interrupt(child), (exit) =>
    Exit.isFailure(exit) && Cause.isDie(exit.cause)
      ? Effect.failCause(Cause.keepDefects(exit.cause).pipe(Option.getOrElse(() => Cause.empty)))
      : Effect.void
  )
