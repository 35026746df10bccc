/** The engine of a retry: runs attempts, and decides after each whether and when there is another. */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import { withService } from "../internal/context.js"
import { holding } from "../internal/disposal.js"
import type { AnyExit, Body, Restore } from "../internal/erased.js"
import { after, both } from "../internal/listeners.js"
import { type ScheduleState, stepSchedule } from "../internal/schedule.js"
import * as Time from "../internal/time.js"
import { called, type Called, type Ended } from "../policy/attempts.js"
import type * as Condition from "../policy/condition.js"
import { withoutStack } from "../policy/define.js"
import { type Emit, observerIn } from "../policy/events.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { type Around, type Begun, type Guard, seenBy } from "../policy/frame.js"
import type { Call } from "../retryBudget/call.js"
import { withBudget } from "../retryBudget/source.js"
import { type Attempt, CurrentAttempt, firstAttempt } from "./currentAttempt.js"
import { RetriesExceeded } from "./retriesExceeded.js"
import type * as Retry from "./Retry.js"

/** The options checked and compiled, once for every use of the policy. */
export interface Plan {
  readonly name: string
  readonly emit: Emit<Retry.Event<unknown, unknown>, Effect.Effect<void, unknown, unknown>>
  readonly condition: Condition.Compiled<unknown, unknown>
  readonly times: number
  readonly maxDuration: number
  readonly maxHint: number
  readonly hintJitter: number
  readonly hintOf: (verdict: Condition.FailureVerdict) => number | undefined
  readonly schedule: Schedule.Schedule<unknown, unknown, unknown>
  readonly options: Retry.Options<unknown, unknown>
}

type Failure = FailureCondition.Failed<unknown, unknown>

/** What an observer runs around an attempt. */
type Watch = (self: Body) => Body

/** One call: it begins with the first attempt and owns its run of the schedule. */
export class Run implements Begun {
  scheduleState: ScheduleState
  /** Shows the observer the end of the last attempt. */
  attempted: Ended | undefined
  readonly startedAt: number

  constructor(
    readonly plan: Plan,
    readonly around: Around,
    readonly clock: Clock.Clock,
    readonly call: Call | undefined,
    /** For a retry that disposes of results: it runs in a mask, in which attempts, delays and listeners are interruptible. */
    readonly restore: Restore = identity,
    /** Takes what disposes of the result that comes back. */
    readonly hold: ((dispose: Effect.Effect<unknown, never, unknown>) => void) | undefined = undefined,
    /** Shows the observer the call, where there is one. */
    readonly called: Called | undefined = undefined
  ) {
    this.startedAt = Time.monotonicMillis(clock)
    // The schedule is only stepped by a failure: a call that succeeds pays nothing for it.
    this.scheduleState = plan.schedule.initial
  }

  /** The call has ended. Where its last attempt was interrupted, nothing else sees the end of that one. */
  over(exit: AnyExit): void {
    this.attempted?.(exit)
    this.called?.ended(exit)
  }

  elapsed(): number {
    return Time.monotonicMillis(this.clock) - this.startedAt
  }

  /** An attempt has ended, by default the first. What needs no other attempt comes back in the same step. */
  ended(exit: AnyExit, number = 1): Body {
    const deciding = decide(this, number, exit)
    return deciding === undefined ? exit : proceed(this, number, deciding)
  }
}

/** What a retry does at a call. A budget is asked for in a step of its own, and a result to be disposed of needs a mask. */
export const guardOf = (plan: Plan): Guard => ({
  looksAtResults: plan.condition.looksAtResults,
  begin: ({ currentContext }, clock, around) =>
    (plan.options.budget ??
    plan.options.disposeResult ??
    nestedIn(currentContext) ??
    observerIn(currentContext))
      ? undefined
      : new Run(plan, around, clock, undefined),
  otherwise: (around) => apply(plan, around)
})

const inputOf = (failure: Failure): unknown =>
  failure._tag === "Error" ? failure.error : failure._tag === "Result" ? failure.result : failure.defect

const apply = (plan: Plan, around: Around): Body => {
  const { budget, disposeResult } = plan.options
  const begin = (restore?: Restore, hold?: Run["hold"]): Body => {
    const begun = (call?: Call): Body =>
      Effect.withFiberRuntime((fiber) => {
        const { currentContext } = fiber
        const clock = Time.clockOf(fiber)
        const observer = observerIn(currentContext)
        const shown = observer && called(observer, { kind: "retry", name: plan.name }, clock)
        const run = new Run(plan, around, clock, call, restore, hold, shown)
        const first = attempt(run, 1, nestedIn(currentContext))
        return shown === undefined ? first : Effect.onExit(first, (exit) => Effect.sync(() => run.over(exit)))
      })
    return budget === undefined ? begun() : withBudget(budget, begun, restore)
  }
  return disposeResult === undefined ? begin() : holding(begin)
}

/** What `CurrentAttempt` has to say in a first attempt. Without a retry around this one, its default already says so. */
const nestedIn = (context: Context.Context<never>): Attempt | undefined =>
  context.unsafeMap.has(CurrentAttempt.key) ? firstAttempt : undefined

const attempt = (run: Run, number: number, current: Attempt | undefined, delay = 0): Body => {
  const { condition, options } = run.plan
  const shown = run.called?.attempt(number, delay)
  run.attempted = shown?.ended
  const around: Watch = shown?.around ?? identity
  if (options.disposeResult !== undefined) {
    return attemptDisposing(run, number, current, around, options.disposeResult)
  }
  const body = around(knowing(current, run.around.self))
  const begun: Begun = { ended: (exit) => run.ended(exit, number) }
  return seenBy(body, begun, condition.looksAtResults || (run.call ?? run.called) !== undefined)
}

/** What an attempt after the first can know, worked out when it asks. */
class Later implements Attempt {
  constructor(
    readonly number: number,
    private readonly elapsedMillis: number,
    private readonly failure: Failure
  ) {}

  get elapsed(): Duration.Duration {
    return Duration.millis(this.elapsedMillis)
  }

  get lastFailure(): Option.Option<Failure> {
    return Option.some(this.failure)
  }
}

const knowing = <A, E, R>(
  current: Attempt | undefined,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  current
    ? withService(
        CurrentAttempt,
        () => current,
        () => self
      )
    : self

const proceed = (run: Run, number: number, deciding: Deciding): Body =>
  followed(deciding, (next) => (next._tag === "Done" ? next.exit : again(run, number, next, false)))

/** What is known already is followed in the same step. */
const followed = <A, B, E, R>(
  self: Effect.Effect<A, E, R>,
  next: (value: A) => Effect.Effect<B, E, R>
): Effect.Effect<B, E, R> => {
  const exit = Exit.isExit(self) ? (self as Exit.Exit<A, E>) : undefined
  return exit?._tag === "Success" ? next(exit.value) : Effect.flatMap(self, next)
}

/** An attempt whose result is this retry's from its end on, so that neither an interruption nor a listener can lose it. */
const attemptDisposing = (
  run: Run,
  number: number,
  current: Attempt | undefined,
  around: Watch,
  disposeResult: (result: unknown) => Effect.Effect<unknown, never, unknown>
): Body =>
  Effect.flatMap(knowing(current, Effect.exit(around(run.restore(run.around.self)))), (exit) => {
    const deciding = run.restore(Effect.suspend(() => decide(run, number, exit) ?? Exit.succeed(done(exit))))
    if (Exit.isFailure(exit)) return proceed(run, number, deciding)
    const dispose = Effect.suspend(() => disposeResult(exit.value))
    return Effect.flatMap(
      Effect.onError(deciding, () => dispose),
      (next) => {
        if (next._tag === "Again") return Effect.flatMap(dispose, () => again(run, number, next, true))
        run.hold?.(dispose)
        return next.exit
      }
    )
  })

/** An attempt that failed. What listeners are told of it is made when there are any. */
class Failed {
  constructor(
    readonly attempt: number,
    /** In milliseconds since the first attempt began. */
    readonly failedAt: number,
    readonly failure: Failure,
    readonly exit: AnyExit
  ) {}

  get told(): Retry.FailedAttempt<unknown, unknown> {
    const { attempt, failedAt, failure } = this
    return { attempt, elapsed: Duration.millis(failedAt), failure }
  }
}

/** Another attempt, and when. If there is none after all, the failed one comes back. */
interface Again {
  readonly _tag: "Again"
  readonly failed: Failed
  /** In milliseconds. */
  readonly delay: number
}

/** The end, and what comes back. */
interface Done {
  readonly _tag: "Done"
  readonly exit: AnyExit
}

type Deciding<D = Again | Done> = Effect.Effect<D, unknown, unknown>

const done = (exit: AnyExit): Done => ({ _tag: "Done", exit })

const toldOf = ({ delay, failed }: Again) => ({ ...failed.told, delay: Duration.millis(delay) })

/** `disposed`: the result of the attempt has been given back, and so cannot come back. */
const again = (run: Run, number: number, next: Again, disposed: boolean): Body => {
  const { emit, maxDuration } = run.plan
  const { delay, failed } = next
  const at = run.startedAt + failed.failedAt + delay
  const begun = (woken: number, elapsed: number): Body => {
    // Only the listener can have made it too late: the fraction by which a timer is late does not count.
    const late = at - run.startedAt + (elapsed - woken) > maxDuration
    if (late && !disposed) {
      return Effect.flatMap(run.restore(giveUp(run, failed, "maxDuration")), ({ exit }) => exit)
    }
    run.call?.begun()
    return attempt(run, number + 1, new Later(number + 1, elapsed, failed.failure), delay)
  }
  const wake = (): Body => {
    const woken = run.elapsed()
    const told = emit.Retry?.(toldOf(next))
    return told === undefined
      ? begun(woken, woken)
      : Effect.flatMap(run.restore(told), () => begun(woken, run.elapsed()))
  }
  return delay > 0 ? Effect.flatMap(run.restore(Time.sleepUntil(run.clock, at)), wake) : wake()
}

/** Gives up: what comes back is the exit of the last attempt as it was, or the error that wraps it. */
const giveUp = (run: Run, failed: Failed, reason: Retry.Reason): Deciding<Done> => {
  const { emit, name, options } = run.plan
  const told = emit.Exceeded?.({ ...failed.told, reason })
  const end = (): Done => {
    const { exit: lastExit } = failed
    if (options.exceeded !== "wrap") return done(lastExit)
    const { attempt: attempts, elapsed } = failed.told
    const error = withoutStack(() => new RetriesExceeded({ name, attempts, elapsed, reason, lastExit }))
    return done(Exit.fail(error))
  }
  return told === undefined ? Exit.succeed(end()) : Effect.map(told, end)
}

/** What follows an attempt. `undefined` when there is nothing to retry. */
const decide = (run: Run, number: number, exit: AnyExit): Deciding | undefined => {
  const { condition, emit, hintJitter, hintOf, maxDuration, maxHint, options, schedule, times } = run.plan
  const verdict = condition.judge(exit)
  run.attempted?.(exit, verdict)
  if (verdict._tag === "Success") run.call?.succeeded()
  if (verdict._tag !== "Failure") return undefined
  const { failed: failure } = verdict
  const failedAt = run.elapsed()
  const failed = new Failed(number, failedAt, failure, exit)
  if (options.abortWhen?.(failure) === true) {
    return after(emit.Abort?.(failed.told), Exit.succeed(done(exit)))
  }
  run.call?.failed()
  const over = (reason: Retry.Reason): Deciding => giveUp(run, failed, reason)
  if (number > times) return over("times")
  const hint = hintOf(verdict)
  if (hint !== undefined && hint > maxHint) return over("hint")

  const retryAfter = (delay: number): Deciding => {
    const next: Again = { _tag: "Again", failed, delay }
    const payment = run.call?.withdraw("retry", failure)
    if (payment?.granted === false) return after(payment.told, over("budget"))
    const told = both(payment?.told, emit.RetryScheduled?.(toldOf(next)))
    // Schedule and listeners may take their time, so the bound is checked once more before the delay is slept.
    const unlessLate = (): Deciding =>
      maxDuration !== Infinity && run.elapsed() > maxDuration ? over("maxDuration") : Exit.succeed(next)
    return told === undefined ? unlessLate() : Effect.flatMap(told, unlessLate)
  }
  return followed(
    stepSchedule(schedule, run.scheduleState, inputOf(failure), run.clock),
    (step): Deciding => {
      run.scheduleState = step.state
      if (step.delay === undefined) return over("schedule")
      const delay = Math.max(step.delay, hint ?? 0)
      if (failedAt + delay > maxDuration) return over("maxDuration")
      if (hint === undefined) return retryAfter(delay)
      // The spread is cut at the bound, so it never ends the retry.
      const spread = Math.min(hint * hintJitter, maxDuration - failedAt - hint)
      return spread >= 1
        ? Effect.flatMap(Random.next, (draw) => retryAfter(Math.max(delay, hint + Math.floor(spread * draw))))
        : retryAfter(delay)
    }
  )
}
