/** A clock that stands still until it is moved. Moving it costs next to nothing, where `TestClock.adjust` takes milliseconds. */
import { Clock, Duration, Effect } from "effect"

export const manualClock = () => {
  let now = 0
  let timers: Array<{ readonly at: number; readonly fire: () => void }> = []
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: (duration) =>
      Effect.async((resume) => {
        const timer = { at: now + Duration.toMillis(duration), fire: () => resume(Effect.void) }
        timers.push(timer)
        return Effect.sync(() => {
          timers = timers.filter((other) => other !== timer)
        })
      })
  }
  /** Moves the clock and wakes who slept until then. They go on when the caller yields. */
  const advance = (millis: number): Effect.Effect<void> =>
    Effect.sync(() => {
      now += millis
      const due = timers.filter(({ at }) => at <= now)
      timers = timers.filter(({ at }) => at > now)
      for (const { fire } of due) fire()
    })
  return { clock, advance }
}
