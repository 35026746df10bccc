/** Shows an observer the end of a call, of an attempt or of a fallback, and lets it run something around an attempt. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import { identity } from "effect/Function"
import type { AnyExit, Body } from "../internal/erased.js"
import * as Time from "../internal/time.js"
import * as Condition from "./condition.js"
import type * as Observer from "./Observer.js"
import type * as Policy from "./Policy.js"

/** Ends it, once: later calls do nothing. Without a verdict it is `Ignored`. */
export type Ended = (exit: AnyExit, verdict?: Pick<Condition.Verdict, "_tag">) => void

/** Begins it: its time runs from now. `eventOf` makes the event of its end in one go, which costs far less than from parts. */
export const begun = (
  observer: Observer.Service,
  eventOf: (duration: Duration.Duration, outcome: Policy.AttemptOutcome) => Policy.Event,
  clock: Clock.Clock,
  operation?: Observer.Operation<Observer.AttemptEnd>
): Ended => {
  const startedAt = Time.monotonicMillis(clock)
  let hasEnded = false
  return (exit, verdict) => {
    if (hasEnded) return
    hasEnded = true
    const outcome: Policy.AttemptOutcome = Condition.isInterruption(exit)
      ? "Interrupted"
      : (verdict?._tag ?? "Ignored")
    const duration = Duration.millis(Time.monotonicMillis(clock) - startedAt)
    observer.unsafeObserve(eventOf(duration, outcome))
    operation?.unsafeEnded({ exit, outcome })
  }
}

/** An attempt in front of an observer. */
export interface Attempted {
  readonly around: (self: Body) => Body
  readonly ended: Ended
}

/** A call in front of an observer. It ends as its last attempt was judged. */
export interface Called {
  /** Begins an attempt after a delay in milliseconds. */
  readonly attempt: (number: number, delay: number) => Attempted
  readonly ended: (exit: AnyExit) => void
}

/** Begins a call. */
export const called = (
  observer: Observer.Service,
  { kind, name }: Pick<Policy.Event, "kind" | "name">,
  clock: Clock.Clock
): Called => {
  let attempts = 0
  let last: Parameters<Ended>[1]
  const callOf = (duration: Duration.Duration, outcome: Policy.AttemptOutcome): Policy.CallEnded => ({
    _tag: "Call",
    kind,
    name,
    attempts,
    duration,
    outcome
  })
  const callEnded = begun(observer, callOf, clock)
  return {
    attempt: (attempt, delay) => {
      attempts += 1
      const operation = observer.unsafeAttempt?.({ kind, name, attempt, delay: Duration.millis(delay) })
      const attemptOf = (
        duration: Duration.Duration,
        outcome: Policy.AttemptOutcome
      ): Policy.AttemptEnded => ({ _tag: "Attempt", kind, name, attempt, duration, outcome })
      const ended = begun(observer, attemptOf, clock, operation)
      return {
        around: operation?.around ?? identity,
        ended: (exit, verdict) => {
          last = verdict ?? last
          ended(exit, verdict)
        }
      }
    },
    ended: (exit) => callEnded(exit, last)
  }
}
