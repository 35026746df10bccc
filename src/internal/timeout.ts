/** How a time limit is enforced. The policy decides what limit and what to say; only this file knows how. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Time from "./time.js"

export interface Limit<A, E, R> {
  readonly millis: number
  /** Leave at the limit and let the finalizers of what was interrupted run on by themselves. */
  readonly disconnect: boolean
  /** What happens instead, given the milliseconds that have passed. */
  readonly onTimeout: (elapsed: number) => Effect.Effect<A, E, R>
}

/**
 * Runs an effect under a limit: in a fiber of its own, with a timer beside it. Only the timer leads to `onTimeout`; an
 * interruption from outside stops the effect and stays an interruption.
 *
 * A limit of zero leaves no time to start in, so the effect does not start.
 */
export const withLimit = <A, E, R, A2, E2, R2>(
  self: Effect.Effect<A, E, R>,
  { disconnect, millis, onTimeout }: Limit<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> => {
  if (millis <= 0) return onTimeout(0)
  if (millis === Infinity) return self
  return Effect.clockWith((clock) => {
    const startedAt = Time.monotonicMillis(clock)
    const expired = Effect.suspend(() => onTimeout(Time.monotonicMillis(clock) - startedAt))
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(disconnect ? Effect.forkDaemon(restore(self)) : Effect.fork(restore(self)), (body) =>
        // Nobody owns the timer: an interruption that an uninterruptible caller puts off must not stop it.
        Effect.flatMap(Effect.forkDaemon(Effect.interruptible(Time.sleep(millis))), (timer) => {
          const stop = disconnect ? Fiber.interruptFork(body) : stopped(body)
          const first = Effect.onInterrupt(restore(firstOf(body, timer)), () =>
            Effect.zipRight(Fiber.interruptFork(timer), stop)
          )
          return Effect.flatMap(first, (ended): Effect.Effect<A | A2, E | E2, R2> =>
            ended === body
              ? Effect.zipRight(Fiber.interruptFork(timer), joined(body))
              : Effect.zipRight(disconnect ? stop : Fiber.interrupt(body), restore(expired))
          )
        })
      )
    )
  })
}

/** Waits for whichever of two fibers ends first. */
const firstOf = <A, E, B>(
  body: Fiber.RuntimeFiber<A, E>,
  timer: Fiber.RuntimeFiber<B>
): Effect.Effect<Fiber.RuntimeFiber<A, E> | Fiber.RuntimeFiber<B>> =>
  Effect.async((resume) => {
    body.addObserver(() => resume(Effect.succeed(body)))
    timer.addObserver(() => resume(Effect.succeed(timer)))
  })

/** The exit of a fiber that has ended, with what it changed when it succeeded, as after `Effect.timeout`. */
const joined = <A, E>(body: Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
  Effect.flatMap(Fiber.await(body), (exit) =>
    Exit.isSuccess(exit) ? Effect.as(Fiber.inheritAll(body), exit.value) : exit
  )

/** Interrupts a fiber and waits for it; a defect in its finalizers is shown. */
const stopped = <A, E>(body: Fiber.Fiber<A, E>): Effect.Effect<void> =>
  Effect.flatMap(Fiber.interrupt(body), (exit) =>
    Exit.isFailure(exit) && Cause.isDie(exit.cause)
      ? Effect.failCause(Cause.keepDefects(exit.cause).pipe(Option.getOrElse(() => Cause.empty)))
      : Effect.void
  )
