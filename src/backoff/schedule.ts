/** A rule for delays as a schedule. Apart from the options of a backoff, so that the default of a retry needs none of them. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleInterval from "effect/ScheduleInterval"
import * as core from "../core/backoff.js"

export const toSchedule = (config: core.Config): Schedule.Schedule<Duration.Duration> => {
  const step = (now: number, state: core.State, random: number) => {
    const chosen = core.next(config, state, random)
    if (chosen === undefined) return [state, Duration.zero, ScheduleDecision.done] as const
    const [millis, following] = chosen
    const decision = ScheduleDecision.continueWith(ScheduleInterval.after(now + millis))
    return [following, Duration.millis(millis), decision] as const
  }
  return Schedule.makeWithState(core.initial(config), (now, _: unknown, state) =>
    core.isRandom(config) && !core.isDone(config, state)
      ? Effect.map(Random.next, (random) => step(now, state, random))
      : Effect.sync(() => step(now, state, 0))
  )
}
