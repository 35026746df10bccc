/** A trip rule as a breaker shows it: the options of its constructor. */
import type { Trip } from "../core/trip.js"
import { withDurations } from "../internal/duration.js"

export const shown = (trip: Trip): object => {
  if (trip._tag === "any") return { _tag: trip._tag, rules: trip.rules.map(shown) }
  if (trip._tag === "consecutive") return trip
  const { window, ...rest } = trip
  return withDurations({ ...rest, ...window }, "slowerThan", "within")
}
