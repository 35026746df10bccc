/**
 * How a fiber waits, and goes on in its own asynchronous context (`AsyncLocalStorage`). Nothing else resumes a fiber: whether it
 * then runs at once, inside the step that resumes it, differs between versions of Effect.
 *
 * What resumes a fiber decides in which context it goes on: with Effect alone, that of the call that gave the permit or made
 * the lookup. A native promise calls back in the context in which `then` was called, so the fiber waits for one of its own.
 * Nothing here needs to know what a context is, or whether there are any.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import { forkInterruptible } from "./fork.js"
import * as Time from "./time.js"
import type { AnyFiber } from "./erased.js"

/** Starts a wait, and may return what undoes it at an interruption. */
type Register<A, E, R> = (resume: (effect: Effect.Effect<A, E, R>) => void) => void | Effect.Effect<void>

/** A wait for something of the caller's own, such as its child, which ends in the caller's context anyway. */
export const forOwn = <A, E = never, R = never>(register: Register<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.async(register)

/** A wait for something that other fibers do. */
export const forOthers = <A, E = never>(register: Register<A, E, never>): Effect.Effect<A, E> =>
  Effect.async((resume) => {
    if (!Option.exists(Fiber.getCurrentFiber(), isLive)) return register(resume)
    let wake = (_: Effect.Effect<A, E>) => {}
    void new Promise<Effect.Effect<A, E>>((resolve) => (wake = resolve)).then(resume)
    return register(wake)
  })

/** A custom clock or scheduler has an order of its own, which a promise would not keep. */
const isLive = (fiber: AnyFiber): boolean =>
  Time.clockOf(fiber) === Time.liveClock && isDefault(fiber.currentScheduler)

const isDefault = (scheduler: Scheduler.Scheduler & { readonly wraps?: Scheduler.Scheduler }): boolean =>
  scheduler === Scheduler.defaultScheduler || scheduler.wraps === Scheduler.defaultScheduler

/** A wait, in a mask, with an alarm: a step that runs once after so many milliseconds and may end the wait. */
export const withAlarm = <A, E, R>(
  wait: Effect.Effect<A, E, R>,
  millis: number,
  alarm: () => void
): Effect.Effect<A, E, R> =>
  millis === Infinity
    ? wait
    : Effect.flatMap(forkInterruptible(Effect.map(Time.sleep(millis), alarm)), (timer) =>
        Effect.flatMap(Effect.exit(wait), (exit) => {
          timer.unsafeInterruptAsFork(FiberId.none)
          return exit
        })
      )
