/** Schedules stepped by hand, so that a delay can be checked before it is slept. A backoff is stepped by its rule. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import * as Backoff from "../core/backoff.js"
import { type Check, InvalidOption } from "../core/options.js"
import * as Time from "./time.js"

export const check: Check = (policy, option, value) => {
  if (!Schedule.isSchedule(value)) throw new InvalidOption(policy, option, value, "a Schedule")
}

/** The state of a schedule, which only the schedule itself understands. */
export type ScheduleState = unknown

export interface ScheduleStep {
  readonly state: ScheduleState
  /** The delay before the next recurrence in milliseconds, or `undefined` when the schedule is done. */
  readonly delay: number | undefined
}

/** Under this key a backoff has its rule. */
export const BackoffTypeId: unique symbol = Symbol.for("effect-resilience/Backoff")

type AnySchedule = Schedule.Schedule<unknown, unknown, unknown>

const isBackoff = (
  schedule: AnySchedule
): schedule is AnySchedule & { readonly [BackoffTypeId]: Backoff.Config; readonly settings: unknown } =>
  Predicate.hasProperty(schedule, BackoffTypeId)

/** A schedule as a policy shows it: all there is to know of a backoff, and nothing of another one. */
export const shownSchedule = (schedule: AnySchedule): unknown =>
  isBackoff(schedule) ? schedule.settings : "custom"

/** Steps a schedule from a state; the first one is `schedule.initial`. */
export const stepSchedule = (
  schedule: AnySchedule,
  state: ScheduleState,
  input: unknown,
  clock: Clock.Clock
): Effect.Effect<ScheduleStep, never, unknown> =>
  isBackoff(schedule)
    ? stepBackoff(schedule[BackoffTypeId], state as Backoff.State)
    : Effect.suspend(() => {
        const now = Time.wallMillis(clock)
        return Effect.map(schedule.step(now, input, state), ([next, , decision]) => ({
          state: next as ScheduleState,
          delay: ScheduleDecision.isContinue(decision)
            ? usable(ScheduleIntervals.start(decision.intervals) - now)
            : undefined
        }))
      })

interface BackoffStep extends ScheduleStep {
  readonly state: Backoff.State
}

/** Steps the rule of a backoff. It draws a random number where it looks at one, and is an exit where it does not. */
export const stepBackoff = (config: Backoff.Config, state: Backoff.State): Effect.Effect<BackoffStep> => {
  const step = (random: number): BackoffStep => {
    const [delay, next] = Backoff.next(config, state, random) ?? [undefined, state]
    return { state: next, delay }
  }
  return Backoff.isRandom(config) && !Backoff.isDone(config, state)
    ? Effect.map(Random.next, step)
    : Exit.succeed(step(0))
}

/** An exponential schedule without a cap runs into infinity sooner or later; no wait is longer than a timer's. */
const usable = (delay: number): number => (delay > 0 ? Math.min(delay, Time.maxTimerMillis) : 0)
