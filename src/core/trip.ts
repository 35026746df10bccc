/** When a closed circuit opens: trip rules as plain values, and what they have seen, which says whether they are met. */
import { bucketsPerWindow, toList } from "./buckets.js"
import { finite, fraction, integer, InvalidOption, isList, isObject, onBehalfOf } from "./options.js"
import * as Window from "./window.js"

/** How far back a rule looks: a number of calls, or a number of milliseconds. */
export type Extent = { readonly of: number } | { readonly within: number }

/** `count` failures in a row. */
export interface Consecutive {
  readonly _tag: "consecutive"
  readonly count: number
}

/** `count` failures among the calls looked at, in a row or not. */
export interface Failures {
  readonly _tag: "failures"
  readonly count: number
  readonly window: Extent
}

interface Rate {
  readonly threshold: number
  readonly minimumCalls: number
  readonly window: Extent
}

/** A share of failures among at least `minimumCalls` calls. */
export interface FailureRate extends Rate {
  readonly _tag: "failureRate"
}

/** A share of calls that took longer than `slowerThan` milliseconds, failed or not. */
export interface SlowRate extends Rate {
  readonly _tag: "slowRate"
  readonly slowerThan: number
}

/** Whichever of several rules is met first. */
export interface Any {
  readonly _tag: "any"
  readonly rules: ReadonlyArray<Trip>
}

/** A rule over a window of calls. */
type Windowed = Failures | FailureRate | SlowRate

export type Trip = Consecutive | Windowed | Any

/** The largest window over calls: a million outcomes are about 300 kB. */
export const maxWindowCalls = 1_000_000

// -------------------------------------------------------------------------------------------- checked construction

export const consecutive = (count: number): Consecutive => ({
  _tag: "consecutive",
  count: integer("Trip.consecutive", "count", count, 1)
})

export const failures = (count: number, window: Extent): Failures => {
  integer("Trip.failures", "count", count, 1)
  checkExtent("Trip.failures", window)
  if ("of" in window && count > window.of) {
    throw new InvalidOption("Trip.failures", "count", count, `at most "of" (${window.of})`)
  }
  return { _tag: "failures", count, window }
}

export interface RateOptions {
  readonly threshold: number
  readonly minimumCalls: number | undefined
  readonly window: Extent
}

export const failureRate = (options: RateOptions): FailureRate => ({
  _tag: "failureRate",
  ...checkRate("Trip.failureRate", options)
})

export const slowRate = (options: RateOptions & { readonly slowerThan: number }): SlowRate => ({
  _tag: "slowRate",
  slowerThan: finite("Trip.slowRate", "slowerThan", options.slowerThan, 0),
  ...checkRate("Trip.slowRate", options)
})

export const any = (rules: ReadonlyArray<Trip>): Any => {
  if (!isList(rules) || rules.length === 0) {
    throw new InvalidOption("Trip.any", "rules", rules, "at least one rule")
  }
  return { _tag: "any", rules: rules.map((rule, index) => checked("Trip.any", `rules[${index}]`, rule)) }
}

/** A rule that is given as a value, which anything may have made. */
export const checked = (policy: string, option: string, rule: Trip): Trip => {
  const make = isObject(rule) && Object.hasOwn(makers, rule._tag) ? makers[rule._tag] : undefined
  if (make === undefined) throw new InvalidOption(policy, option, rule, "a rule made by Trip")
  return onBehalfOf({ policy, path: option }, `Trip.${rule._tag}`, () => make(rule as never))
}

const makers: { readonly [Tag in Trip["_tag"]]: (rule: Extract<Trip, { readonly _tag: Tag }>) => Trip } = {
  consecutive: (rule) => consecutive(rule.count),
  failures: (rule) => failures(rule.count, rule.window),
  failureRate: (rule) => failureRate(rule),
  slowRate: (rule) => slowRate(rule),
  any: (rule) => any(rule.rules)
}

/** The calls that a rate over time waits for when nothing else is said. */
const defaultMinimumCalls = 20

const checkRate = (policy: string, { minimumCalls, threshold, window }: RateOptions) => {
  fraction(policy, "threshold", threshold)
  checkExtent(policy, window)
  const calls = minimumCalls !== undefined ? minimumCalls : "of" in window ? window.of : defaultMinimumCalls
  integer(policy, "minimumCalls", calls, 1)
  if ("of" in window && calls > window.of) {
    throw new InvalidOption(policy, "minimumCalls", calls, `at most "of" (${window.of})`)
  }
  return { threshold, minimumCalls: calls, window }
}

const checkExtent = (policy: string, window: Extent): void => {
  const { of, within }: { readonly of?: number; readonly within?: number } = isObject(window) ? window : {}
  if (within !== undefined) finite(policy, "within", within, bucketsPerWindow)
  else if (of !== undefined) integer(policy, "of", of, 1, maxWindowCalls)
  else throw new InvalidOption(policy, "of", of, 'a number of calls, or "within" a duration: one is needed')
}

// ------------------------------------------------------------------------------------------------------ what it has seen

export interface Call {
  readonly failed: boolean
  /** How long it took, in milliseconds. */
  readonly duration: number
}

/** A rule and what it has seen, in the shape that the rule needs. */
export type Seen = Run | Count | Time | All

interface Run {
  readonly _tag: "run"
  readonly rule: Consecutive
  readonly length: number
}

interface Count {
  readonly _tag: "count"
  readonly rule: Windowed
  readonly window: Window.CountWindow
}

interface Time {
  readonly _tag: "time"
  readonly rule: Windowed
  readonly window: Window.TimeWindow
}

interface All {
  readonly _tag: "any"
  readonly parts: ReadonlyArray<Seen>
}

/** A rule before the first call. */
export const nothing = (rule: Trip, now: number): Seen => {
  if (rule._tag === "consecutive") return { _tag: "run", rule, length: 0 }
  if (rule._tag === "any") return { _tag: "any", parts: rule.rules.map((part) => nothing(part, now)) }
  const { window } = rule
  return "of" in window
    ? { _tag: "count", rule, window: Window.countWindow(window.of) }
    : { _tag: "time", rule, window: Window.timeWindow(window.within, now) }
}

/** A rule in the place of others, with what one of these has seen if it counts the same calls in the same window. */
export const adopt = (rule: Trip, before: Seen, now: number): Seen => {
  if (rule._tag === "any") return { _tag: "any", parts: rule.rules.map((part) => adopt(part, before, now)) }
  const kept = each(before).find((seen) => evidenceOf(seen.rule) === evidenceOf(rule))
  return kept === undefined ? nothing(rule, now) : ({ ...copyOf(kept), rule } as Seen)
}

const each = (seen: Seen): ReadonlyArray<Exclude<Seen, All>> =>
  seen._tag === "any" ? seen.parts.flatMap(each) : [seen]

/** What a rule counts, and where it looks. */
const evidenceOf = (rule: Consecutive | Windowed): string =>
  rule._tag === "consecutive"
    ? rule._tag
    : `${rule._tag} ${rule._tag === "slowRate" ? rule.slowerThan : ""} ${describeExtent(rule.window)}`

/** What was seen so far, for an owner that counts in place. */
export const copyOf = (seen: Seen): Seen => {
  switch (seen._tag) {
    case "run":
      return { ...seen }
    case "count":
      return { ...seen, window: { ...seen.window } }
    case "time":
      return { ...seen, window: Window.copyOf(seen.window) }
    case "any":
      return { ...seen, parts: seen.parts.map(copyOf) }
  }
}

/** Counts a call in place, for the owner of what was seen, and tells whether the rule is met now. */
export const count = (seen: Seen, failed: boolean, duration: number, now: number): boolean => {
  switch (seen._tag) {
    case "run": {
      const run: Window.Mutable<Run> = seen
      run.length = failed ? run.length + 1 : 0
      return run.length >= run.rule.count
    }
    case "count":
      return reaches(seen.rule, Window.countCall(seen.window, isHit(seen.rule, failed, duration)))
    case "time": {
      const own: Window.Mutable<Time> = seen
      const window = Window.countCallAt(own.window, isHit(own.rule, failed, duration), now)
      if (window !== own.window) own.window = window
      return reaches(own.rule, window)
    }
    case "any": {
      let met = false
      for (const part of seen.parts) met = count(part, failed, duration, now) || met
      return met
    }
  }
}

/** Calls of which only the sums are known, such as those of other processes. */
export interface Sums {
  readonly successes: number
  readonly failures: number
  /** How many of them were slow, failed or not. */
  readonly slow: number
  /** The failures in a row that they end with, calls before them included, where that is known. */
  readonly run?: number
}

/**
 * Counts many calls at once, in place: a window over time adds them, one over calls takes an even mix, and a run is ended by any
 * success among them. So it opens no earlier than the calls one by one could have.
 */
export const countMany = (seen: Seen, sums: Sums, now: number): void => {
  const calls = sums.successes + sums.failures
  switch (seen._tag) {
    case "run": {
      const run: Window.Mutable<Run> = seen
      run.length = sums.run ?? (sums.successes > 0 ? 0 : run.length + sums.failures)
      return
    }
    case "count":
      return void Window.countCalls(seen.window, { calls, hits: hitsIn(seen.rule, sums) })
    case "time": {
      const own: Window.Mutable<Time> = seen
      own.window = Window.countCallsAt(own.window, { calls, hits: hitsIn(own.rule, sums) }, now)
      return
    }
    case "any":
      return seen.parts.forEach((part) => countMany(part, sums, now))
  }
}

const hitsIn = (rule: Windowed, { failures, slow }: Sums): number =>
  rule._tag === "slowRate" ? slow : failures

/** Whether what a rule sees depends on when calls end. */
export const looksAtTime = (trip: Trip): boolean =>
  trip._tag === "any"
    ? trip.rules.some(looksAtTime)
    : trip._tag === "slowRate" || ("window" in trip && "within" in trip.window)

/** Whether a call was slow by any of the rules. */
export const isSlow = (trip: Trip, duration: number): boolean => {
  if (trip._tag !== "any") return trip._tag === "slowRate" && duration > trip.slowerThan
  for (const rule of trip.rules) if (isSlow(rule, duration)) return true
  return false
}

const rulesOf = (trip: Trip): ReadonlyArray<Consecutive | Windowed> =>
  trip._tag === "any" ? trip.rules.flatMap(rulesOf) : [trip]

/** How far back the rules look, in milliseconds: the longest window over time, or none. */
export const reach = (trip: Trip): number | undefined => {
  const within = rulesOf(trip).flatMap((rule) =>
    "window" in rule && "within" in rule.window ? [rule.window.within] : []
  )
  return within.length === 0 ? undefined : Math.max(...within)
}

/** From when on calls are slow by the rules, one value for each that says so. */
export const slowness = (trip: Trip): ReadonlySet<number> =>
  new Set(rulesOf(trip).flatMap((rule) => (rule._tag === "slowRate" ? [rule.slowerThan] : [])))

const isHit = (rule: Windowed, failed: boolean, duration: number): boolean =>
  rule._tag === "slowRate" ? duration > rule.slowerThan : failed

export const isMet = (seen: Seen, now: number): boolean =>
  seen._tag === "any" ? seen.parts.some((part) => isMet(part, now)) : reaches(seen.rule, tally(seen, now))

/** Whether anything that a rule looks at speaks for opening. */
export const hasHits = (seen: Seen, now: number): boolean =>
  seen._tag === "any" ? seen.parts.some((part) => hasHits(part, now)) : tally(seen, now).hits > 0

const tally = (seen: Run | Count | Time, now: number): Window.Tally =>
  seen._tag === "run"
    ? { calls: seen.length, hits: seen.length }
    : seen._tag === "count"
      ? seen.window
      : Window.expire(seen.window, now)

// Division rounds correctly, so a rate compares exactly with the literal that the user wrote: 99 of 200 is not 0.5.
const reaches = (rule: Consecutive | Windowed, { calls, hits }: Window.Tally): boolean =>
  "count" in rule ? hits >= rule.count : calls >= rule.minimumCalls && hits / calls >= rule.threshold

// ------------------------------------------------------------------------------------------------------ what it says

/** The numbers behind a rule's answer. */
export interface Reading {
  readonly rule: Exclude<Trip["_tag"], "any">
  /** The calls looked at; for `consecutive` the failures in a row. */
  readonly calls: number
  /** How many of them failed, or were slow. */
  readonly hits: number
  readonly rate: number
  /** Where the rule is met: a count for `consecutive` and `failures`, a rate for the others. */
  readonly threshold: number
  readonly met: boolean
  /** How far back a rule over a number of calls looks. */
  readonly of?: number | undefined
  /** How far back a rule over a time looks, in milliseconds. */
  readonly within?: number | undefined
  /** How many calls a rate needs. */
  readonly minimumCalls?: number | undefined
  /** Calls that take longer are slow, in milliseconds. */
  readonly slowerThan?: number | undefined
}

/** One reading a rule, in the order in which the rules were given. */
export const readings = (seen: Seen, now: number): ReadonlyArray<Reading> => {
  if (seen._tag === "any") return seen.parts.flatMap((part) => readings(part, now))
  const { rule } = seen
  const { calls, hits } = tally(seen, now)
  const rate = Window.rate({ calls, hits })
  const met = reaches(rule, { calls, hits })
  const numbers = { rule: rule._tag, calls, hits, rate, met }
  if (rule._tag === "consecutive") return [{ ...numbers, threshold: rule.count }]
  const { window, _tag, ...limits } = rule
  const threshold = "count" in limits ? { threshold: limits.count } : limits
  return [{ ...numbers, ...threshold, ...window }]
}

// ---------------------------------------------------------------------------------------- what it has seen, as data

/** What a rule has seen as plain data that survives a restart. `rule` says which rule it belongs to. */
export interface Memory {
  readonly rule: string
  /** Failures in a row. */
  readonly run?: number | undefined
  /** The calls of a window over calls, oldest first: 1 for a hit, 0 for none. */
  readonly calls?: string | undefined
  /** The buckets of a window over time, oldest first, as calls and hits. */
  readonly buckets?: ReadonlyArray<readonly [calls: number, hits: number]> | undefined
}

export const remember = (seen: Seen, now: number): ReadonlyArray<Memory> => {
  switch (seen._tag) {
    case "run":
      return [{ rule: describe(seen.rule), run: seen.length }]
    case "count":
      return [{ rule: describe(seen.rule), calls: Window.outcomes(seen.window).map(Number).join("") }]
    case "time": {
      const buckets = toList(Window.expire(seen.window, now)).map(({ calls, hits }) => [calls, hits] as const)
      return [{ rule: describe(seen.rule), buckets }]
    }
    case "any":
      return seen.parts.flatMap((part) => remember(part, now))
  }
}

/** A rule with what it had seen, from data that is `elapsed` milliseconds old; one that the data does not know starts empty. */
export const recall = (trip: Trip, memories: ReadonlyArray<Memory>, now: number, elapsed: number): Seen =>
  restored(nothing(trip, now), memories, now, elapsed)

const restored = (start: Seen, memories: ReadonlyArray<Memory>, now: number, elapsed: number): Seen => {
  if (start._tag === "any") {
    return { _tag: "any", parts: start.parts.map((part) => restored(part, memories, now, elapsed)) }
  }
  const key = describe(start.rule)
  const memory = memories.find(({ rule }) => rule === key)
  if (memory === undefined) return start
  switch (start._tag) {
    case "run":
      return { ...start, length: memory.run ?? 0 }
    case "count": {
      const calls = Array.from(memory.calls ?? "")
      for (const hit of calls) Window.countCall(start.window, hit === "1")
      return start
    }
    case "time": {
      const tallies = (memory.buckets ?? []).map(([calls, hits]) => ({ calls, hits }))
      const before = Window.fromBuckets(start.window.within, tallies, now - elapsed)
      return { ...start, window: Window.expire(before, now) }
    }
  }
}

/** A rule in words, the same for the same rule. */
export const describe = (trip: Trip): string => {
  switch (trip._tag) {
    case "consecutive":
      return `consecutive(${trip.count})`
    case "failures":
      return `failures(${trip.count} ${describeExtent(trip.window)})`
    case "failureRate":
      return `failureRate(${trip.threshold} ${describeExtent(trip.window)}, at least ${trip.minimumCalls} calls)`
    case "slowRate":
      return `slowRate(${trip.threshold} slower than ${trip.slowerThan}ms ${describeExtent(trip.window)}, at least ${trip.minimumCalls} calls)`
    case "any":
      return `any(${trip.rules.map(describe).join(", ")})`
  }
}

const describeExtent = (window: Extent): string =>
  "of" in window ? `of ${window.of}` : `within ${window.within}ms`
