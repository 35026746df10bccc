/** Shows an observer the end of an attempt or of a fallback. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type { AnyExit } from "../internal/erased.js"
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
  clock: Clock.Clock
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
  }
}
