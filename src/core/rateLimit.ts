/**
 * Rates as plain values, their use so far as another, and the functions between them: when the next call is due, admitting it, taking
 * it back.
 *
 * Times are whole microseconds since the limiter was made. The k-th call of a busy stretch is due `k * per / limit` after its first,
 * rounded up once, so that a rate stays exact. A due time is at most a microsecond late and never early.
 */
import { integer, InvalidOption, isObject } from "./options.js"
import * as Log from "./rateLog.js"

interface Limited {
  readonly limit: number
  /** In milliseconds. */
  readonly per: number
}

/** Evenly paced: a call of cost n keeps the next one away for n times `per / limit`. */
export interface Smooth extends Limited {
  readonly _tag: "smooth"
}

/** `limit` in each of the fixed windows that follow one another from when the limiter was made. */
export interface Bursty extends Limited {
  readonly _tag: "bursty"
}

/** A bucket of `burst` permits that is full at first and refilled at the rate. */
export interface TokenBucket extends Limited {
  readonly _tag: "tokenBucket"
  readonly burst: number
}

/** At most `limit` in any window of length `per`, wherever it begins. */
export interface SlidingWindow extends Limited {
  readonly _tag: "slidingWindow"
}

export type Rate = Smooth | Bursty | TokenBucket | SlidingWindow

/** The largest limit. Beyond it, products of two whole numbers would not be exact any more. */
export const maxLimit = 10_000_000

/** The shortest and the longest `per`, and the range in words. */
export const perBounds = [1, 365 * 24 * 60 * 60 * 1000, "a duration from 1 millisecond to 365 days"] as const

// -------------------------------------------------------------------------------------------- checked construction

const tags: ReadonlySet<unknown> = new Set<Rate["_tag"]>(["smooth", "bursty", "tokenBucket", "slidingWindow"])

/** The rate, or an `InvalidOption`. `prefix` is the path of the option that holds the rate. */
export const checked = (policy: string, rate: Rate, prefix = ""): Rate => {
  if (!isObject(rate) || !tags.has(rate._tag)) {
    const expected = "a rate made by RateLimiter.smooth, bursty, tokenBucket or slidingWindow"
    throw new InvalidOption(policy, "rate", rate, expected)
  }
  integer(policy, `${prefix}limit`, rate.limit, 1, maxLimit)
  const [min, max, expected] = perBounds
  if (!(rate.per >= min && rate.per <= max)) {
    throw new InvalidOption(policy, `${prefix}per`, rate.per, expected)
  }
  if (rate._tag === "tokenBucket") integer(policy, `${prefix}burst`, rate.burst, 1, maxLimit)
  return rate
}

export const isSame = (rate: Rate, other: Rate): boolean =>
  rate._tag === other._tag &&
  rate.limit === other.limit &&
  rate.per === other.per &&
  burstOf(rate) === burstOf(other)

const burstOf = (rate: Rate): number | undefined => (rate._tag === "tokenBucket" ? rate.burst : undefined)

/** A rate made ready for arithmetic. */
export interface Rule {
  readonly rate: Rate
  readonly limit: number
  /** In microseconds. */
  readonly per: number
  /** `per / limit` in whole microseconds, and what remains. */
  readonly interval: number
  readonly remainder: number
  /** The most that can ever be admitted at once. */
  readonly most: number
}

export const rule = (rate: Rate): Rule => {
  const { limit } = rate
  const per = micros(rate.per)
  return {
    rate,
    limit,
    per,
    interval: Math.floor(per / limit),
    remainder: per % limit,
    most: rate._tag === "tokenBucket" ? rate.burst : limit
  }
}

/** Milliseconds in whole microseconds. */
export const micros = (millis: number): number => Math.round(millis * 1000)

export const millis = (micros: number): number => micros / 1000

// ----------------------------------------------------------------------------------------------- what has been used

/** The generic cell rate algorithm of ATM Forum TM 4.0. Its theoretical arrival time is `anchor` plus the time of `issued` permits. */
export interface Meter {
  readonly _tag: "meter"
  readonly anchor: number
  readonly issued: number
  /** When the last call was admitted. */
  readonly last: number
}

export interface FixedWindow {
  readonly _tag: "window"
  /** When window 0 began. */
  readonly origin: number
  readonly index: number
  readonly used: number
}

export interface SlidingLog {
  readonly _tag: "log"
  readonly log: Log.Log
}

export type Used = Meter | FixedWindow | SlidingLog

/** What has been used before the first call: nothing. */
export const nothing = (rule: Rule, now: number): Used => {
  switch (rule.rate._tag) {
    case "smooth":
    case "tokenBucket":
      return { _tag: "meter", anchor: now, issued: 0, last: now }
    case "bursty":
      return { _tag: "window", origin: now, index: 0, used: 0 }
    case "slidingWindow":
      return { _tag: "log", log: Log.empty }
  }
}

/** The time of so many permits at the rate, rounded up. Exact, also for a negative number of them. */
const timeOf = ({ interval, limit, per, remainder }: Rule, permits: number): number => {
  const periods = Math.floor(permits / limit)
  const rest = permits - periods * limit
  return periods * per + rest * interval + Math.ceil((rest * remainder) / limit)
}

/** How many permits the rate gives in a time, rounded down: the inverse of `timeOf`. */
const permitsIn = (rule: Rule, time: number): number => {
  const periods = Math.floor(time / rule.per)
  const rest = time - periods * rule.per
  const permits = periods * rule.limit + Math.floor((rest * rule.limit) / rule.per)
  // A large product is rounded, which can make one too many or one too few of them.
  if (timeOf(rule, permits) > time) return permits - 1
  return timeOf(rule, permits + 1) <= time ? permits + 1 : permits
}

/** When everything is paid for, rounded up. */
const paidAt = (rule: Rule, { anchor, issued }: Meter): number => anchor + timeOf(rule, issued)

const windowAt = (rule: Rule, { origin }: FixedWindow, now: number): number =>
  Math.floor((now - origin) / rule.per)

/** The first instant, not before `from`, at which a call of this cost can be admitted. */
export const due = (rule: Rule, used: Used, cost: number, from: number): number => {
  switch (used._tag) {
    case "meter": {
      // A smooth rate lets a call in as soon as the ones before it are paid for, a bucket when it has the permits.
      const ahead = rule.rate._tag === "tokenBucket" ? cost - rule.rate.burst : 0
      return Math.max(from, used.anchor + timeOf(rule, used.issued + ahead))
    }
    case "window": {
      const index = windowAt(rule, used, from)
      if (index > used.index || (index === used.index && used.used + cost <= rule.limit)) return from
      const next = used.used + cost <= rule.limit ? used.index : used.index + 1
      return used.origin + next * rule.per
    }
    case "log": {
      const excess = used.log.used + cost - rule.limit
      return excess <= 0 ? from : Math.max(from, Log.freedAt(used.log, excess) + rule.per)
    }
  }
}

/** Admits a call at an instant, whether it is due or not. Instants must not go back. */
export const admit = (rule: Rule, used: Used, cost: number, at: number): Used => {
  switch (used._tag) {
    case "meter": {
      if (at > paidAt(rule, used)) return { _tag: "meter", anchor: at, issued: cost, last: at }
      const issued = used.issued + cost
      const periods = Math.floor(issued / rule.limit)
      return {
        _tag: "meter",
        anchor: used.anchor + periods * rule.per,
        issued: issued - periods * rule.limit,
        last: at
      }
    }
    case "window": {
      const index = Math.max(used.index, windowAt(rule, used, at))
      const before = index === used.index ? used.used : 0
      return { _tag: "window", origin: used.origin, index, used: before + cost }
    }
    case "log":
      return { _tag: "log", log: Log.append(used.log, at, cost, at - rule.per) }
  }
}

// ---------------------------------------------------------------------------------------------- calls in line

/** When a call is admitted, and what has been used after it. */
export interface Turn {
  readonly at: number
  readonly after: Used
}

/** Calls that follow one another in line, with costs that are {@link alike}. */
export interface Batch {
  readonly size: number
  /** The cost of the first, of the last and of all. */
  readonly first: number
  readonly last: number
  readonly sum: number
}

/** Whether calls of these costs make a {@link Batch}: for a meter only the sum counts, elsewhere they must be the same. */
export const alike = ({ rate }: Rule, cost: number, other: number): boolean =>
  cost === other || rate._tag === "smooth" || rate._tag === "tokenBucket"

/** The turn of one call that is admitted as soon as it is due, but not before `from`. */
export const turn = (rule: Rule, used: Used, cost: number, from: number): Turn => {
  const at = due(rule, used, cost, from)
  return { at, after: admit(rule, used, cost, at) }
}

/** The turn of the last of several calls, of which the first has had the turn `begun`, in one step; `undefined` for a log. */
export const lastTurn = (rule: Rule, begun: Turn, { first, last, size, sum }: Batch): Turn | undefined => {
  const { after, at } = begun
  if (size === 1) return begun
  switch (after._tag) {
    case "meter":
      // All of them wait, so none finds the meter idle and only their sum counts.
      return turn(rule, admit(rule, after, sum - first - last, at), last, at)
    case "window": {
      const later = size - 1 - Math.floor((rule.limit - after.used) / first)
      if (later <= 0) return { at, after: { ...after, used: after.used + (size - 1) * first } }
      const each = Math.floor(rule.limit / first)
      const windows = Math.ceil(later / each)
      const index = after.index + windows
      const used = (later - (windows - 1) * each) * first
      return { at: after.origin + index * rule.per, after: { ...after, index, used } }
    }
    case "log":
      return undefined
  }
}

// ---------------------------------------------------------------------------------------------- giving back

export interface Admitted {
  readonly at: number
  readonly cost: number
}

/** Takes a call back as far as that cannot break the contract for those that remain. `later` was admitted after it. */
export const giveBack = (rule: Rule, used: Used, { at, cost }: Admitted, later: number): Used => {
  switch (used._tag) {
    case "meter": {
      // Without the call the meter may have been idle, and idle time is not saved up: at most as if all later ones came just now.
      const { anchor, issued, last } = used
      if (later === 0 || anchor - last >= timeOf(rule, later + cost - issued)) {
        return { _tag: "meter", anchor, issued: issued - cost, last }
      }
      return last - anchor >= timeOf(rule, issued - later)
        ? used
        : { _tag: "meter", anchor: last, issued: later, last }
    }
    case "window":
      return windowAt(rule, used, at) === used.index
        ? { _tag: "window", origin: used.origin, index: used.index, used: Math.max(0, used.used - cost) }
        : used
    case "log":
      return { _tag: "log", log: Log.remove(used.log, at, cost) }
  }
}

/** How much of what was admitted still counts at an instant. */
const counting = (rule: Rule, used: Used, now: number): number => {
  switch (used._tag) {
    case "meter":
      return Math.max(0, used.issued - permitsIn(rule, now - used.anchor))
    case "window":
      return windowAt(rule, used, now) > used.index ? 0 : used.used
    case "log":
      return Log.usedSince(used.log, now - rule.per)
  }
}

/** How many calls of cost 1 would be admitted one after the other at an instant. */
export const available = (rule: Rule, used: Used, now: number): number => {
  if (rule.rate._tag === "smooth") return due(rule, used, 1, now) <= now ? 1 : 0
  return Math.max(0, rule.most - counting(rule, used, now))
}

/** What has been used, for another rate. Sliding windows and fixed ones of the same length go on; else all counts as of now. */
export const adopt = (before: Rule, used: Used, after: Rule, now: number): Used => {
  const begun = nothing(after, now)
  if (begun._tag === "log" && used._tag === "log") return used
  if (begun._tag === "window" && used._tag === "window" && before.per === after.per) return used
  const count = counting(before, used, now)
  return count === 0 ? begun : admit(after, begun, count, now)
}
