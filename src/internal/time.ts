/** The one source of time: the `Clock` service, read synchronously. Durations use its monotonic side: the wall clock can jump. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"

/**
 * Milliseconds on the monotonic clock, with fractions. Only differences between two readings mean anything.
 *
 * A clock counts nanoseconds since the epoch, which a double rounds to multiples of 256 today. A whole millisecond must stay
 * whole, or a bound that is exactly reached is missed, so what rounding can explain is taken back: three steps round to 53 bits.
 */
export const monotonicMillis = (clock: Clock.Clock): number => {
  const millis = Number(clock.unsafeCurrentTimeNanos()) / 1_000_000
  const whole = Math.round(millis)
  return Math.abs(millis - whole) > millis * 2 ** -50 ? millis : whole
}

/** Milliseconds since the epoch: for schedules that follow the calendar and for instants that leave the process. */
export const wallMillis = (clock: Clock.Clock): number => clock.unsafeCurrentTimeMillis()

/** The longest delay that a JavaScript timer waits; the clock never fires a longer one. */
export const maxTimerMillis = 2 ** 31 - 1

/** Sleeps for any length of time, in stretches that a timer can wait. */
export const sleep = (millis: number): Effect.Effect<void> => {
  if (millis === Infinity) return Effect.never
  if (millis <= maxTimerMillis) return Effect.sleep(Duration.millis(millis))
  return Effect.flatMap(Effect.sleep(Duration.millis(maxTimerMillis)), () => sleep(millis - maxTimerMillis))
}

/** Sleeps until an instant on the monotonic clock, never less: a timer may fire a fraction of a millisecond early. */
export const sleepUntil = (clock: Clock.Clock, instant: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const remaining = instant - monotonicMillis(clock)
    if (remaining <= 0) return Effect.void
    return Effect.flatMap(sleep(Math.ceil(remaining)), () => sleepUntil(clock, instant))
  })

/** The clock of a caller: a fiber, or a program of promises. */
export const clockOf = (
  caller: Pick<Fiber.RuntimeFiber<unknown, unknown>, "currentDefaultServices">
): Clock.Clock => Context.get(caller.currentDefaultServices, Clock.Clock)

/** The clock of real time. Whatever other clock a fiber has says itself when a sleep is over. */
export const liveClock: Clock.Clock = Context.get(DefaultServices.liveServices, Clock.Clock)

/** The timers of a clock that has some, as that of a simulation may: a sleep without a fiber. Those of the live clock are the host's. */
export const timersOf = (clock: Clock.Clock): Clock.ClockScheduler | undefined =>
  Predicate.hasProperty(clock, "unsafeSchedule") ? (clock as Clock.Clock & Clock.ClockScheduler) : undefined

/** Runs a task after at most {@link maxTimerMillis}. Returns its cancellation, which works even when a test replaces the timers. */
export const setTimer = (task: () => void, millis: number): (() => void) => {
  const clear = clearTimeout
  const handle = setTimeout(task, millis)
  return () => clear(handle)
}

/**
 * Runs a task after so many turns of the event loop, which read what has arrived. Returns its cancellation. A browser has no such
 * turns: there it is a timer.
 */
export const afterTurns = (turns: number, task: () => void): (() => void) => {
  if (typeof setImmediate !== "function") return setTimer(task, 0)
  let handle = setImmediate(turn)
  function turn(): void {
    if (--turns > 0) handle = setImmediate(turn)
    else task()
  }
  return () => clearImmediate(handle)
}

let stretch = 0
let isStretching = false

/** A number for what runs without a pause. Promises, timers and fibers that yield come later, in another stretch. */
export const thisStretch = (): number => {
  if (!isStretching) {
    isStretching = true
    queueMicrotask(() => {
      isStretching = false
      stretch += 1
    })
  }
  return stretch
}
