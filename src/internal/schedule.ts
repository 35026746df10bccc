/** Schedules stepped by hand: the delay is wanted before it is slept, so that it can be checked and replaced first. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import * as Time from "./time.js"

/** One run of a schedule. It holds the schedule's state, so every run needs its own. */
export class Stepper<in In, out R> {
  private state: unknown

  constructor(
    private readonly schedule: Schedule.Schedule<unknown, In, R>,
    private readonly clock: Clock.Clock
  ) {
    this.state = schedule.initial
  }

  /** The delay before the next recurrence in milliseconds, or `undefined` when the schedule is done. */
  next(input: In): Effect.Effect<number | undefined, never, R> {
    const now = Time.wallMillis(this.clock)
    return Effect.map(this.schedule.step(now, input, this.state), ([state, , decision]) => {
      this.state = state
      return ScheduleDecision.isContinue(decision)
        ? usable(ScheduleIntervals.start(decision.intervals) - now)
        : undefined
    })
  }
}

/** An exponential schedule without a cap runs into infinity sooner or later; no wait is longer than a timer's. */
const usable = (delay: number): number => (delay > 0 ? Math.min(delay, Time.maxTimerMillis) : 0)
