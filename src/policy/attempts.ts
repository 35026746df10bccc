/** Shows an observer the end of an attempt or of a fallback, and lets it run something around an attempt. */
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

/** Begins it: its time runs from now. */
export const begun = <E extends Policy.Event & Pick<Policy.AttemptEnded, "duration" | "outcome">>(
  observer: Observer.Service,
  event: Omit<E, "duration" | "outcome"> & Policy.Event,
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
    const ended: Policy.Event & Pick<E, "duration" | "outcome"> = { ...event, duration, outcome }
    observer.unsafeObserve(ended)
    operation?.unsafeEnded({ exit, outcome })
  }
}

/** An attempt in front of an observer. */
export interface Attempted {
  readonly around: (self: Body) => Body
  readonly ended: Ended
}

/** Begins an attempt after a delay in milliseconds. */
export const attempted = <Kind extends string>(
  observer: Observer.Service,
  attempt: Pick<Policy.AttemptEnded<Kind>, "kind" | "name" | "attempt">,
  delay: number,
  clock: Clock.Clock
): Attempted => {
  const operation = observer.unsafeAttempt?.({ ...attempt, delay: Duration.millis(delay) })
  const event = { _tag: "Attempt", ...attempt } as const
  return {
    around: operation?.around ?? identity,
    ended: begun<Policy.AttemptEnded<Kind>>(observer, event, clock, operation)
  }
}
