/** How long a circuit stays open: the three forms of the option behind one interface. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as CircuitBreaker from "./CircuitBreaker.js"
import type { Opening, Substitute } from "../core/circuit.js"
import { InvalidOption } from "../core/options.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { type DurationInput, optionMillis, runtimeMillis, shown } from "../internal/duration.js"
import { type ScheduleState, shownSchedule, stepSchedule } from "../internal/schedule.js"
import { quoted } from "../internal/quoted.js"

export interface OpenFor {
  /** The milliseconds for an opening. Reads only, so that looking at a breaker changes nothing. */
  readonly millis: (opening: Opening) => number | Substitute
  /** Tells that an opening was real. */
  readonly used: (reopenings: number) => void
  /** Whether {@link prepare} has to run before the next opening. */
  readonly stale: boolean
  /** Works out the next delays. Stepping a schedule is an effect, and a step of the circuit cannot wait for one. */
  readonly prepare: (name: string, clock: Clock.Clock) => Effect.Effect<void, never, unknown>
  readonly setting: unknown
}

const defaultOpenFor = Duration.seconds(10)
const defaultMillis = Duration.toMillis(defaultOpenFor)
const defaultMaxMillis = Duration.toMillis(Duration.minutes(5))

export const make = (
  policy: string,
  { initial, maxOpenFor, openFor = defaultOpenFor }: Omit<CircuitBreaker.Options, "share">
): OpenFor => {
  const max = maxOpenFor === undefined ? undefined : optionMillis(policy, "maxOpenFor", maxOpenFor)
  if (Schedule.isSchedule(openFor)) return new Scheduled(openFor, max, initial?.reopenings ?? 0)
  if (typeof openFor === "function") return new Computed(openFor, max ?? defaultMaxMillis)
  const millis = optionMillis(policy, "openFor", openFor)
  if (max !== undefined && millis > max) {
    const expected = `at most "maxOpenFor" (${Duration.format(Duration.millis(max))})`
    throw new InvalidOption(policy, "openFor", shown(openFor), expected)
  }
  return new Fixed(millis, max)
}

/** A hint makes an opening longer, never shorter: "come back at once" of a failing server does not keep the circuit closed. */
const withHint = (millis: number, { retryAfter }: Opening, max = defaultMaxMillis): number =>
  retryAfter === undefined ? millis : Math.max(millis, Math.min(retryAfter, max))

class Fixed implements OpenFor {
  readonly stale = false

  constructor(
    private readonly duration: number,
    private readonly max: number | undefined
  ) {}

  get setting(): Duration.Duration {
    return Duration.millis(this.duration)
  }

  millis = (opening: Opening) => withHint(this.duration, opening, this.max)

  used(): void {}

  prepare(): Effect.Effect<void> {
    return Effect.void
  }
}

class Computed implements OpenFor {
  readonly stale = false
  readonly setting = "computed"
  constructor(
    private readonly compute: (opening: CircuitBreaker.Opening) => DurationInput,
    private readonly max: number
  ) {}

  millis = ({ failure, reopenings, retryAfter }: Opening): number | Substitute => {
    try {
      const computed = this.compute({
        failure: failure as FailureCondition.Failed<unknown, unknown> | undefined,
        retryAfter: retryAfter === undefined ? undefined : Duration.millis(retryAfter),
        reopenings
      })
      const millis = runtimeMillis(computed)
      if (millis !== undefined) return Math.min(millis, this.max)
      return this.instead(`not a duration: ${String(computed)}`)
    } catch (error) {
      return this.instead(error)
    }
  }

  private instead(problem: unknown): Substitute {
    return { millis: Math.min(defaultMillis, this.max), problem }
  }

  used = () => {}
  prepare = () => Effect.void
}

/** A run of the schedule, and the delay it has come to. */
interface Run {
  readonly state: ScheduleState
  readonly delay: number
}

/** The delays that are ready: for an opening after a recovery, and for a reopening. */
interface Ready {
  readonly fresh: Run | undefined
  readonly current: Run | undefined
  /** How many delays of the current run are to be skipped, and how many openings it has served. */
  readonly behind: number
}

/** How many reopenings are replayed on a schedule when a breaker starts from a snapshot. */
const maxReplayed = 100

/** The delays of a schedule. Two are kept ready for synchronous openings; the first call after an opening works out the next. */
class Scheduled implements OpenFor {
  readonly setting: unknown
  private ready: Ready

  constructor(
    private readonly schedule: Schedule.Schedule<unknown, unknown, unknown>,
    private readonly max: number | undefined,
    reopenings: number
  ) {
    this.setting = shownSchedule(schedule)
    this.ready = { fresh: undefined, current: undefined, behind: Math.min(reopenings, maxReplayed) }
  }

  get stale(): boolean {
    return this.ready.fresh === undefined || this.ready.behind > 0
  }

  millis = (opening: Opening): number => {
    const { current, fresh } = this.ready
    const delay = (opening.reopenings === 0 ? fresh : (current ?? fresh))?.delay ?? defaultMillis
    return withHint(Math.min(delay, this.max ?? Infinity), opening, this.max)
  }

  used = (reopenings: number): void => {
    const { behind, current, fresh } = this.ready
    this.ready =
      reopenings === 0
        ? { fresh: undefined, current: fresh ?? current, behind: 1 }
        : { fresh, current, behind: behind + 1 }
  }

  prepare = (name: string, clock: Clock.Clock): Effect.Effect<void, never, unknown> =>
    Effect.suspend(() => {
      const before = this.ready
      if (!this.stale) return Effect.void
      return Effect.zipWith(this.advance(before, clock), this.start(before, clock), (current, fresh) => {
        // Another call may have been faster, or the circuit may have opened once more.
        if (this.ready === before) this.ready = { fresh, current, behind: 0 }
      }).pipe(
        Effect.catchAllDefect((defect) => {
          if (this.ready === before)
            this.ready = { ...before, fresh: before.fresh ?? lasting(before), behind: 0 }
          return Effect.logWarning(`"openFor" of ${quoted(name)} failed, so its last delay is kept`, defect)
        })
      )
    })

  private start(ready: Ready, clock: Clock.Clock): Effect.Effect<Run, never, unknown> {
    return ready.fresh === undefined
      ? this.step({ state: this.schedule.initial, delay: defaultMillis }, clock)
      : Effect.succeed(ready.fresh)
  }

  private advance(
    { behind, current }: Ready,
    clock: Clock.Clock
  ): Effect.Effect<Run | undefined, never, unknown> {
    if (behind === 0) return Effect.succeed(current)
    // Without a run yet, the breaker starts from a snapshot: its openings so far are made up for.
    const from = current ?? { state: this.schedule.initial, delay: defaultMillis }
    const steps = Array.from({ length: current === undefined ? behind + 1 : behind })
    return Effect.reduce(steps, from, (run) => this.step(run, clock))
  }

  /** One more step. A schedule that has ended stays at its last delay. */
  private step(run: Run, clock: Clock.Clock): Effect.Effect<Run, never, unknown> {
    return Effect.map(stepSchedule(this.schedule, run.state, undefined, clock), ({ delay, state }) => ({
      state,
      delay: delay ?? run.delay
    }))
  }
}

/** The run to go on with when the next one could not be worked out. */
const lasting = ({ current }: Ready): Run => current ?? { state: undefined, delay: defaultMillis }
