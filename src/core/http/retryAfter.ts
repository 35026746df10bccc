/** `Retry-After` (RFC 9110, section 10.2.3): how long the other side asks to be left alone, read and written. */
import * as HttpDate from "./httpDate.js"

/** The values of the fields of one response, `undefined` where a field is missing. */
export interface Fields {
  readonly retryAfter: string | undefined
  /** When the response was made, by the clock of the server. */
  readonly date: string | undefined
}

/**
 * How long to wait in milliseconds, at most `Number.MAX_SAFE_INTEGER`, or `undefined` when the response does not validly say so. A
 * date that has passed is zero.
 *
 * A date is compared with the response's own `Date`: both come from one clock, whose error cancels, and the wait never ends before
 * the date. Without a valid `Date` it is compared with `now`, in milliseconds since the epoch. Several values, joined with commas,
 * are none: RFC 9110 forbids them (sections 5.3 and 5.5) and gives no rule for choosing.
 */
export const retryAfterMillis = (fields: Fields, now: number): number | undefined => {
  if (fields.retryAfter === undefined) return undefined
  const value = trim(fields.retryAfter)
  if (delaySeconds.test(value)) return secondsToMillis(Number(value))
  const until = HttpDate.parse(value, now)
  if (until === undefined) return undefined
  const sent = fields.date === undefined ? undefined : HttpDate.parse(trim(fields.date), now)
  return Math.max(0, until - (sent ?? now))
}

/** The value that asks for at least so many milliseconds, in whole seconds, at most what {@link retryAfterMillis} reads. */
export const retryAfterSeconds = (millis: number): string => String(wholeSeconds(millis))

/** Converts milliseconds to seconds, rounded up; zero unless positive. */
export const wholeSeconds = (millis: number): number => {
  if (!(millis > 0)) return 0
  const bounded = Math.min(millis, Number.MAX_SAFE_INTEGER)
  // Rounding the quotient up could miss a remainder that the division has rounded away.
  const seconds = Math.floor(bounded / 1000)
  return seconds * 1000 < bounded ? seconds + 1 : seconds
}

/** Seconds in milliseconds, at most so many that they are still counted one by one. */
export const secondsToMillis = (seconds: number): number => Math.min(seconds * 1000, Number.MAX_SAFE_INTEGER)

const delaySeconds = /^[0-9]+$/

/** Optional whitespace in HTTP is spaces and tabs; `String.trim` takes line breaks and a dozen other characters too. */
const trim = (value: string): string => {
  let start = 0
  let end = value.length
  while (isBlank(value[start])) start++
  while (isBlank(value[end - 1])) end--
  return value.slice(start, end)
}

const isBlank = (character: string): boolean => character === " " || character === "\t"
