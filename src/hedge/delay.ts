/** The time before a hedge starts: the forms of the option behind one interface. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { InvalidOption } from "../core/options.js"
import * as Quantile from "../core/quantile.js"
import { type DurationInput, runtimeMillis } from "../internal/duration.js"
import type { Percentile } from "./Hedge.js"

export interface HedgeDelay {
  /** The milliseconds before the next hedge, or an effect that computes them. Infinite: none starts by time. */
  readonly next: (now: number) => number | Effect.Effect<number, unknown, unknown>
  readonly isComputed: boolean
  /** An attempt succeeded after so many milliseconds. */
  readonly answered: (duration: number, now: number) => void
  /** An attempt failed, lost or was interrupted after so many milliseconds. */
  readonly unanswered: (duration: number, now: number) => void
}

const nothing = () => {}

export const fixed = (millis: number): HedgeDelay => ({
  next: () => millis,
  isComputed: false,
  answered: nothing,
  unanswered: nothing
})

export const computed = (delay: Effect.Effect<DurationInput, unknown, unknown>): HedgeDelay => {
  const millis = Effect.map(delay, (input) => {
    const read = runtimeMillis(input)
    if (read !== undefined) return Math.ceil(read)
    throw new InvalidOption("Hedge.hedge", "delay", input, "an effect that computes a duration")
  })
  return { next: () => millis, isComputed: true, answered: nothing, unanswered: nothing }
}

export const percentile = (settings: Percentile): HedgeDelay => {
  const { minimumSamples, percentile } = settings
  const [min, max, window] = [settings.min, settings.max, settings.window].map(Duration.toMillis)
  let seen: Quantile.Durations | undefined
  const at = (now: number): Quantile.Durations => seen ?? Quantile.durations(window, now)

  const next = (now: number): number => {
    const durations = at(now)
    if (Quantile.count(durations, now) < minimumSamples) return max
    return Math.min(max, Math.max(min, Quantile.quantile(durations, percentile, now) ?? max))
  }
  const answered = (duration: number, now: number): void => {
    seen = Quantile.record(at(now), duration, now)
  }
  // An attempt that ran for the percentile would have taken longer, so it counts and cannot make the percentile shorter.
  const unanswered = (duration: number, now: number): void => {
    if (duration >= next(now)) answered(duration, now)
  }
  return { next, isComputed: false, answered, unanswered }
}
