/** A clock that stands still until it is moved. Moving it costs next to nothing, where `TestClock.adjust` takes milliseconds. */
import { Clock, Duration, Effect } from "effect"

interface Timer {
  readonly at: number
  readonly fire: () => void
  isCancelled: boolean
}

export const manualClock = () => {
  let now = 0
  /** In order of time when nothing was added since they were last looked at. */
  const timers: Array<Timer> = []
  let isSorted = true
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: (duration) =>
      Effect.async((resume) => {
        const fire = () => resume(Effect.void)
        const timer = { at: now + Duration.toMillis(duration), fire, isCancelled: false }
        timers.push(timer)
        isSorted = false
        return Effect.sync(() => {
          timer.isCancelled = true
        })
      })
  }
  /** Moves the clock and wakes the fibers that are due. They go on when the caller yields. */
  const advance = (millis: number): Effect.Effect<void> =>
    Effect.sync(() => {
      now += millis
      if (!isSorted) timers.sort((one, other) => one.at - other.at)
      isSorted = true
      const later = timers.findIndex(({ at }) => at > now)
      const due = timers.splice(0, later < 0 ? timers.length : later)
      for (const { fire, isCancelled } of due) if (!isCancelled) fire()
    })
  return { clock, advance }
}
