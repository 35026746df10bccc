/** Numbers as people read them. They may come from another process, so `NaN` reads as a question mark. */

const minute = 60_000

/** A duration in milliseconds, in one unit or two: `3.2 s`, `1 min 30 s`. */
export const durationInWords = (millis: number): string => {
  if (millis === Infinity) return "ever"
  if (!Number.isFinite(millis)) return "?"
  if (millis < 999.5) return `${numberInWords(Math.max(0, millis))} ms`
  if (millis < minute - 50) return `${rounded(millis / 1000, 1)} s`
  const seconds = Math.round(millis / 1000)
  if (seconds < 3600) return inTwo(seconds, 60, "min", "s")
  const minutes = Math.round(seconds / 60)
  if (minutes < 1440) return inTwo(minutes, 60, "h", "min")
  return inTwo(Math.round(minutes / 60), 24, "d", "h")
}

const inTwo = (count: number, per: number, unit: string, smaller: string): string => {
  const rest = count % per
  const whole = `${Math.floor(count / per)} ${unit}`
  return rest === 0 ? whole : `${whole} ${rest} ${smaller}`
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))

/** A number with at most one digit after the point, two below 1, none from 100 on. */
export const numberInWords = (value: number): string => {
  if (value === Infinity) return "∞"
  if (!Number.isFinite(value)) return "?"
  const size = Math.abs(value)
  return String(rounded(value, size < 1 ? 2 : size < 100 ? 1 : 0))
}

/** A share from 0 to 1 in percent. */
export const shareInWords = (share: number): string => `${numberInWords(share * 100)} %`

const units: Readonly<Record<number, string>> = {
  1000: "second",
  60_000: "minute",
  3_600_000: "hour",
  86_400_000: "day"
}

/** A number in a time: `100 per second`, `10 per 30 s`. */
export const rateInWords = (limit: number, per: number): string =>
  `${numberInWords(limit)} per ${units[per] ?? durationInWords(per)}`

/** An instant, in milliseconds since the epoch, as the time in UTC; with the date unless it is known to be the day of `now`. */
export const timeInWords = (instant: number, now: number | undefined): string | undefined => {
  const iso = isoOf(instant)
  if (iso === undefined) return undefined
  const [date, time] = [iso.slice(0, -14), iso.slice(-13, -5)]
  const isToday = now !== undefined && isoOf(now)?.slice(0, -14) === date
  return isToday ? `${time} UTC` : `${date} ${time} UTC`
}

/** The range of a `Date`. */
const furthest = 8.64e15

const isoOf = (instant: number): string | undefined =>
  Math.abs(instant) <= furthest ? new Date(instant).toISOString() : undefined
