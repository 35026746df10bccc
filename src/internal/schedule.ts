/** Schedules stepped by hand: the delay is wanted before it is slept, so that it can be checked and replaced first. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import { type Check, InvalidOption } from "../core/options.js"
import * as Time from "./time.js"

export const check: Check = (policy, option, value) => {
  if (!Schedule.isSchedule(value)) throw new InvalidOption(policy, option, value, "a Schedule")
}

/** The state of a schedule, which only the schedule itself understands. */
export type ScheduleState = unknown

/** One step of a schedule. */
export interface ScheduleStep {
  readonly state: ScheduleState
  /** The delay before the next recurrence in milliseconds, or `undefined` when the schedule is done. */
  readonly delay: number | undefined
}

/** Steps a schedule from a state; the first one is `schedule.initial`. */
export const stepSchedule = <In, R>(
  schedule: Schedule.Schedule<unknown, In, R>,
  state: ScheduleState,
  input: In,
  clock: Clock.Clock
): Effect.Effect<ScheduleStep, never, R> =>
  Effect.suspend(() => {
    const now = Time.wallMillis(clock)
    return Effect.map(schedule.step(now, input, state), ([next, , decision]) => ({
      state: next as ScheduleState,
      delay: ScheduleDecision.isContinue(decision)
        ? usable(ScheduleIntervals.start(decision.intervals) - now)
        : undefined
    }))
  })

/** An exponential schedule without a cap runs into infinity sooner or later; no wait is longer than a timer's. */
const usable = (delay: number): number => (delay > 0 ? Math.min(delay, Time.maxTimerMillis) : 0)
