/** A backoff rule as a schedule. Separate from the options, so that the default of a retry does not load them. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleInterval from "effect/ScheduleInterval"
import * as core from "../core/backoff.js"
import { BackoffTypeId, stepBackoff } from "../internal/schedule.js"
import type { Backoff, Settings } from "./Backoff.js"

export const toSchedule = (config: core.Config, settings: Settings): Backoff => {
  const schedule = Schedule.makeWithState(core.initial(config), (now, _: unknown, before) =>
    Effect.map(stepBackoff(config, before), ({ delay, state }) => {
      if (delay === undefined) return [state, Duration.zero, ScheduleDecision.done] as const
      const decision = ScheduleDecision.continueWith(ScheduleInterval.after(now + delay))
      return [state, Duration.millis(delay), decision] as const
    })
  )
  return Object.assign(schedule, { [BackoffTypeId]: config, settings }) as never
}
