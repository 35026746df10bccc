/** How long a circuit stays open: the three forms of the option behind one small interface. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as CircuitBreaker from "../../CircuitBreaker.js"
import type { Opening } from "../../core/circuit.js"
import { InvalidOption } from "../../core/options.js"
import type * as FailureCondition from "../../FailureCondition.js"
import { optionMillis, runtimeMillis } from "../duration.js"
import { Stepper } from "../schedule.js"

export interface OpenFor {
  /** The milliseconds for an opening. Reads only, so that looking at a breaker changes nothing. */
  readonly millis: (opening: Opening) => number
  /** Tells that an opening was real. */
  readonly used: (reopenings: number) => void
  /** Whether {@link prepare} has to run before the next opening. */
  readonly stale: boolean
  /** Works out the next delays. Stepping a schedule is an effect, and a step of the circuit cannot wait for one. */
  readonly prepare: (clock: Clock.Clock) => Effect.Effect<void, never, unknown>
  /** What went wrong with a computed duration since the last time this was asked. */
  readonly takeProblem: () => unknown
  /** How the option is shown. */
  readonly setting: unknown
}

const defaultOpenFor = Duration.seconds(10)
const defaultMillis = Duration.toMillis(defaultOpenFor)
const defaultMaxComputed = Duration.minutes(5)

/** Checks the options that say how long the circuit stays open. */
export const make = (
  policy: string,
  { initial, maxOpenFor, openFor = defaultOpenFor }: CircuitBreaker.Options
): OpenFor => {
  const max = maxOpenFor === undefined ? undefined : optionMillis(policy, "maxOpenFor", maxOpenFor)
  if (Schedule.isSchedule(openFor)) return new Scheduled(openFor, max ?? Infinity, initial?.reopenings ?? 0)
  if (typeof openFor === "function") {
    return new Computed(openFor, max ?? Duration.toMillis(defaultMaxComputed))
  }
  const millis = optionMillis(policy, "openFor", openFor)
  if (max !== undefined && millis > max) {
    throw new InvalidOption(
      policy,
      "openFor",
      openFor,
      `at most "maxOpenFor" (${Duration.format(Duration.millis(max))})`
    )
  }
  return new Fixed(millis)
}

class Fixed implements OpenFor {
  readonly stale = false
  readonly setting: Duration.Duration
  constructor(private readonly duration: number) {
    this.setting = Duration.millis(duration)
  }
  millis = () => this.duration
  used = () => {}
  prepare = () => Effect.void
  takeProblem = () => undefined
}

class Computed implements OpenFor {
  readonly stale = false
  readonly setting = "computed"
  private problem: unknown
  constructor(
    private readonly compute: (opening: CircuitBreaker.Opening) => Duration.DurationInput,
    private readonly max: number
  ) {}

  millis = ({ failure, reopenings, retryAfter }: Opening): number => {
    try {
      const computed = this.compute({
        failure: failure as FailureCondition.Failed<unknown, unknown> | undefined,
        retryAfter: retryAfter === undefined ? undefined : Duration.millis(retryAfter),
        reopenings
      })
      const millis = runtimeMillis(computed)
      if (millis !== undefined) return Math.min(millis, this.max)
      this.problem = `not a duration: ${String(computed)}`
    } catch (error) {
      this.problem = error
    }
    return Math.min(defaultMillis, this.max)
  }

  used = () => {}
  prepare = () => Effect.void

  takeProblem = (): unknown => {
    const { problem } = this
    this.problem = undefined
    return problem
  }
}

/** A run of the schedule, and the delay it has come to. */
interface Run {
  readonly stepper: Stepper<unknown, unknown>
  readonly delay: number
}

/** The run after one more step. A schedule that has ended stays at its last delay. */
const advance = ({ delay, stepper }: Run): Effect.Effect<Run, never, unknown> =>
  Effect.map(stepper.next(undefined), (next) => ({ stepper, delay: next ?? delay }))

/** How many reopenings are replayed on a schedule when a breaker starts from a snapshot. */
const maxReplayed = 100

/**
 * The delays of a schedule. Two are kept ready, one for an opening after a recovery and one for a reopening, so that the
 * circuit can open in one synchronous step; the first call after an opening works out the next ones.
 */
class Scheduled implements OpenFor {
  readonly setting = "scheduled"
  stale = true
  /** The run that an opening after a recovery begins. */
  private fresh: Run | undefined
  /** The run that reopenings go on with. */
  private current: Run | undefined

  constructor(
    private readonly schedule: Schedule.Schedule<unknown, unknown, unknown>,
    private readonly max: number,
    private readonly reopenings: number
  ) {}

  millis = ({ reopenings }: Opening): number =>
    Math.min((reopenings === 0 ? this.fresh : this.current)?.delay ?? defaultMillis, this.max)

  used = (reopenings: number): void => {
    this.stale = true
    if (reopenings > 0) return
    this.current = this.fresh
    this.fresh = undefined
  }

  prepare = (clock: Clock.Clock): Effect.Effect<void, never, unknown> =>
    Effect.suspend(() => {
      if (!this.stale) return Effect.void
      this.stale = false
      return Effect.zipRight(this.advanceCurrent(clock), this.startFresh(clock))
    })

  takeProblem = () => undefined

  private start(clock: Clock.Clock): Effect.Effect<Run, never, unknown> {
    return advance({ stepper: new Stepper(this.schedule, clock), delay: defaultMillis })
  }

  private startFresh(clock: Clock.Clock): Effect.Effect<void, never, unknown> {
    if (this.fresh !== undefined) return Effect.void
    return Effect.map(this.start(clock), (run) => {
      this.fresh = run
    })
  }

  private advanceCurrent(clock: Clock.Clock): Effect.Effect<void, never, unknown> {
    if (this.current === undefined && this.reopenings === 0) return Effect.void
    // Without a run of its own yet, it is a breaker that starts from a snapshot: its reopenings are made up for.
    const steps = this.current === undefined ? Math.min(this.reopenings, maxReplayed) : 1
    const begin = this.current === undefined ? this.start(clock) : Effect.succeed(this.current)
    return Effect.map(
      Effect.flatMap(begin, (run) =>
        Effect.iterate(
          { run, left: steps },
          {
            while: ({ left }) => left > 0,
            body: ({ left, run }) => Effect.map(advance(run), (next) => ({ run: next, left: left - 1 }))
          }
        )
      ),
      ({ run }) => {
        this.current = run
      }
    )
  }
}
