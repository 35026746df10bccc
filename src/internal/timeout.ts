/** How a time limit is enforced. The policy decides what limit and what to say; only this file knows how. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Time from "./time.js"

export interface Limit<A, E, R> {
  readonly millis: number
  /** Leave at the limit and let the finalizers of what was interrupted run on by themselves. */
  readonly disconnect: boolean
  /** What happens instead, given the milliseconds that have passed. */
  readonly onTimeout: (elapsed: number) => Effect.Effect<A, E, R>
}

/**
 * Runs an effect under a limit, racing it against a timer. Only the timer leads to `onTimeout`: an interruption from
 * outside reaches both fibers, and whichever notices first gives it back as an interruption.
 *
 * A limit of zero leaves no time to start in, so the effect does not start.
 */
export const withLimit = <A, E, R, A2, E2, R2>(
  self: Effect.Effect<A, E, R>,
  limit: Limit<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> => {
  if (limit.millis <= 0) return limit.onTimeout(0)
  if (limit.millis === Infinity) return self
  return Effect.clockWith((clock) => {
    const startedAt = Time.monotonicMillis(clock)
    const onTimeout = Effect.suspend(() => limit.onTimeout(Time.monotonicMillis(clock) - startedAt))
    return limit.disconnect
      ? detached(self, limit.millis, onTimeout)
      : attached(self, limit.millis, onTimeout)
  })
}

/** The effect in a child fiber; at the limit it is interrupted and its finalizers are waited for. */
const attached = <A, E, R, A2, E2, R2>(
  self: Effect.Effect<A, E, R>,
  millis: number,
  onTimeout: Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.raceWith(restore(self), Effect.interruptible(Time.sleep(millis)), {
      onSelfDone: (exit, timer) => Effect.flatMap(Fiber.interrupt(timer), () => exit),
      onOtherDone: (exit, body) =>
        Effect.flatMap(Fiber.interrupt(body), () => afterTimer(exit, restore(onTimeout)))
    })
  )

/**
 * The effect in a fiber that nobody owns; at the limit it is told to stop and left behind. The wait is interruptible even
 * where the caller is not, so that the limit holds there too.
 */
const detached = <A, E, R, A2, E2, R2>(
  self: Effect.Effect<A, E, R>,
  millis: number,
  onTimeout: Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDaemon(restore(self)), (body) =>
      Effect.raceWith(Effect.interruptible(Fiber.await(body)), Effect.interruptible(Time.sleep(millis)), {
        onSelfDone: (waited, timer) => Effect.flatMap(Fiber.interrupt(timer), () => outcome(body, waited)),
        onOtherDone: (exit, waiting) =>
          Effect.flatMap(Effect.zipRight(Fiber.interrupt(waiting), Fiber.interruptFork(body)), () =>
            afterTimer(exit, restore(onTimeout))
          )
      })
    )
  )

/** What the wait for a detached fiber came to. When it was the wait that was interrupted, the fiber is told to stop. */
const outcome = <A, E>(body: Fiber.Fiber<A, E>, waited: Exit.Exit<Exit.Exit<A, E>>): Effect.Effect<A, E> => {
  if (Exit.isFailure(waited)) {
    return Effect.zipRight(Fiber.interruptFork(body), Effect.failCause(waited.cause))
  }
  const exit = waited.value
  return Exit.isSuccess(exit) ? Effect.as(Fiber.inheritAll(body), exit.value) : exit
}

/** What follows the timer: its own end is the timeout, its interruption is the caller's. */
const afterTimer = <A, E, R>(
  timer: Exit.Exit<void>,
  onTimeout: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => (Exit.isSuccess(timer) ? onTimeout : Effect.failCause(timer.cause))
