/**
 * The circuit breaker told the slow way: it keeps every event there ever was and, whenever somebody asks, works
 * everything out again from the first one. No window, no counter and no state survives from one question to the next.
 */
import type * as Circuit from "../../src/core/circuit.js"
import * as Trip from "../../src/core/trip.js"

// ------------------------------------------------------------------------------------------------------------- rules

/** A share as a fraction of whole numbers, so that reaching it needs no rounding. */
export type Share = readonly [hits: number, of: number]

export type Rule =
  | { readonly rule: "consecutive"; readonly count: number }
  | { readonly rule: "failures"; readonly count: number; readonly window: Trip.Extent }
  | {
      readonly rule: "failureRate" | "slowRate"
      readonly share: Share
      readonly minimumCalls: number
      readonly slowerThan: number
      readonly window: Trip.Extent
    }
  | { readonly rule: "any"; readonly rules: ReadonlyArray<Rule> }

/** The rule as the library spells it. */
export const toTrip = (rule: Rule): Trip.Trip => {
  switch (rule.rule) {
    case "consecutive":
      return Trip.consecutive(rule.count)
    case "failures":
      return Trip.failures(rule.count, rule.window)
    case "failureRate":
      return Trip.failureRate({ ...rule, threshold: rule.share[0] / rule.share[1] })
    case "slowRate":
      return Trip.slowRate({ ...rule, threshold: rule.share[0] / rule.share[1] })
    case "any":
      return Trip.any(rule.rules.map(toTrip))
  }
}

/** A call that was counted. */
export interface Counted {
  readonly at: number
  readonly failed: boolean
  readonly duration: number
}

/** What a rule has seen after one more call. What it had seen before stays as it was. */
export const record = (seen: Trip.Seen, call: Trip.Call, now: number): Trip.Seen => {
  const next = Trip.copyOf(seen)
  Trip.count(next, call.failed, call.duration, now)
  return next
}

/** The number of the bucket an instant lies in, ten to the window. */
export const bucketOf = (at: number, within: number): number => Math.floor((at * 10) / within)

const lookedAt = (calls: ReadonlyArray<Counted>, window: Trip.Extent, now: number) =>
  "of" in window
    ? calls.slice(-window.of)
    : calls.filter(({ at }) => bucketOf(at, window.within) > bucketOf(now, window.within) - 10)

/** The failures in a row with which a list of calls ends. */
export const failuresAtTheEnd = (calls: ReadonlyArray<Counted>): number =>
  calls.length - 1 - calls.map(({ failed }) => failed).lastIndexOf(false)

/** What a rule says of all the calls that were counted since the state began. */
export const read = (rule: Rule, calls: ReadonlyArray<Counted>, now: number): ReadonlyArray<Trip.Reading> => {
  if (rule.rule === "any") return rule.rules.flatMap((part) => read(part, calls, now))
  if (rule.rule === "consecutive") {
    const run = failuresAtTheEnd(calls)
    const met = run >= rule.count
    return [{ rule: rule.rule, calls: run, hits: run, rate: run > 0 ? 1 : 0, threshold: rule.count, met }]
  }
  const looked = lookedAt(calls, rule.window, now)
  const isHit = (call: Counted) => (rule.rule === "slowRate" ? call.duration > rule.slowerThan : call.failed)
  const all = looked.length
  const hits = looked.filter(isHit).length
  const numbers = { rule: rule.rule, calls: all, hits, rate: all === 0 ? 0 : hits / all, ...rule.window }
  if (rule.rule === "failures") return [{ ...numbers, threshold: rule.count, met: hits >= rule.count }]
  const [share, of] = rule.share
  const { minimumCalls, slowerThan } = rule
  const met = all >= minimumCalls && hits * of >= share * all
  const reading = { ...numbers, threshold: share / of, minimumCalls, met }
  return [rule.rule === "slowRate" ? { ...reading, slowerThan } : reading]
}

// ------------------------------------------------------------------------------------------------------------ circuit

/** How long the circuit stays open: always the same, twice as long each time it reopens, or what the failure says. */
export type OpenFor =
  | { readonly kind: "constant"; readonly ms: number }
  | { readonly kind: "growing"; readonly ms: number }
  | { readonly kind: "retryAfter"; readonly ms: number }

export const openForOf =
  ({ kind, ms }: OpenFor) =>
  ({ reopenings, retryAfter }: Circuit.Opening): number =>
    kind === "constant" ? ms : kind === "growing" ? ms * 2 ** reopenings : (retryAfter ?? ms)

export interface Settings {
  readonly rule: Rule
  readonly openFor: OpenFor
  readonly halfOpen: Circuit.Config["halfOpen"]
}

export const toConfig = ({ halfOpen, openFor, rule }: Settings): Circuit.Config => ({
  trip: toTrip(rule),
  openFor: openForOf(openFor),
  halfOpen
})

/** Something that happened. `call` is the place in the history at which the call asked to be let in. */
export type Event =
  | { readonly at: number; readonly what: "acquire" }
  | { readonly at: number; readonly what: "record"; readonly call: number; readonly result: Circuit.Result }
  | { readonly at: number; readonly what: "release"; readonly call: number }
  | { readonly at: number; readonly what: "steer"; readonly to: Circuit.StateName | "reset" }

/** A result that was counted, and the event that brought it, if it was not the lack of one. */
type Result = Circuit.Result & { readonly at: number; readonly event: number | undefined }

/** A state, from when it began until it ended, or until now. */
export interface Period {
  readonly state: Circuit.StateName
  readonly since: number
  /** The first event that may belong to it. */
  readonly first: number
  /** How long it was decided to last, when it is an open one. */
  readonly openedFor: number
  /** Whether it began with a reset. */
  readonly reset: boolean
  /** Why it began; the first one just did. */
  readonly reason: Circuit.Reason | undefined
  readonly counted: ReadonlyArray<Result>
  /** The calls that wait as probes at the end. */
  readonly probes: ReadonlyArray<number>
  readonly endedAt: number | undefined
}

type Start = Pick<Period, "state" | "since" | "first" | "reset" | "reason"> & {
  readonly cause: { readonly failure: unknown; readonly retryAfter: number | undefined }
}
type Course = Pick<Period, "counted" | "probes"> & { readonly next: Start | undefined }

const noCause = { failure: undefined, retryAfter: undefined }

/** Every state the circuit was in, in order: the generation of a state is its place in the list. */
export const periods = (
  settings: Settings,
  start: number,
  history: ReadonlyArray<Event>,
  now: number
): ReadonlyArray<Period> => {
  const past: Array<Period> = []
  const answers = new Array<number>(history.length).fill(Infinity)
  history.forEach((event, index) => {
    if (event.what === "record" || event.what === "release") answers[event.call] = index
  })
  const begun = { state: "closed", since: start, first: 0, reset: false, reason: undefined } as const
  let next: Start | undefined = { ...begun, cause: noCause }
  while (next !== undefined) {
    const { cause, ...begun }: Start = next
    const openFor = openForOf(settings.openFor)
    const openedFor =
      begun.state === "open" ? openFor({ reopenings: openingsSinceRecovery(past), ...cause }) : 0
    const course = run(settings, { ...begun, openedFor }, history, answers, now)
    next = course.next
    past.push({ ...begun, openedFor, counted: course.counted, probes: course.probes, endedAt: next?.since })
  }
  return past
}

/** The openings since the circuit last stayed closed for at least as long as it had been open before. */
export const openingsSinceRecovery = (past: ReadonlyArray<Period>): number => {
  const recovered = lastIndexWhere(past, ({ endedAt, reset, since, state }, index) => {
    const closedFor = state === "closed" && endedAt !== undefined ? endedAt - since : -1
    return reset || closedFor >= lastOpenedFor(past.slice(0, index))
  })
  return past.slice(recovered + 1).filter(({ state }) => state === "open").length
}

/** How long the circuit was last opened for, and 0 when it never was since it was made or reset. */
export const lastOpenedFor = (past: ReadonlyArray<Period>): number =>
  past[lastIndexWhere(past, ({ reset, state }) => reset || state === "open")]?.openedFor ?? 0

const lastIndexWhere = <A>(all: ReadonlyArray<A>, holds: (a: A, index: number) => boolean): number =>
  all.map(holds).lastIndexOf(true)

const run = (
  settings: Settings,
  { first, openedFor, since, state }: Pick<Period, "state" | "since" | "first" | "openedFor">,
  history: ReadonlyArray<Event>,
  answers: ReadonlyArray<number>,
  now: number
): Course => {
  const { maxWait, of, permits, successes } = settings.halfOpen
  const admitted: Array<number> = []

  /** What the calls let in have come to by an instant, of the events before `end`. */
  const resultsBy = (at: number, end: number) => {
    const results: Array<Result> = []
    const waiting: Array<number> = []
    for (const call of admitted) {
      const index = answers[call]
      const answer = index < end ? history[index] : undefined
      const deadline = state === "half-open" ? history[call].at + maxWait : Infinity
      if (answer !== undefined && answer.at < deadline) {
        if (answer.what === "record") results.push({ at: answer.at, event: index, ...answer.result })
      } else if (deadline <= at) {
        results.push({ at: deadline, event: undefined, failed: true, duration: 0, ...noCause })
      } else waiting.push(call)
    }
    // What was due at an instant comes before what happened at it, and at an instant things happen in order.
    results.sort((a, b) => a.at - b.at || (a.event ?? -1) - (b.event ?? -1))
    return { results, waiting }
  }

  /** The state that a list of results ends with, if it does. */
  const leadsTo = (results: ReadonlyArray<Result>): "open" | "closed" | undefined => {
    if (state === "closed") {
      return read(settings.rule, results, results.at(-1)!.at).some(({ met }) => met) ? "open" : undefined
    }
    const { failures, successes: succeeded } = countsOf(settings.rule, state, results)
    return succeeded >= successes ? "closed" : failures > of - successes ? "open" : undefined
  }

  /** The end of the state when it was over by an instant, the events before `end` considered. */
  const over = (at: number, end: number): Course | undefined => {
    const then = { first: end, reset: false, cause: noCause }
    if (state === "open" && at >= since + openedFor) {
      const next = { ...then, state: "half-open", since: since + openedFor, reason: "elapsed" } as const
      return { counted: [], probes: [], next }
    }
    if (state !== "closed" && state !== "half-open") return undefined
    const { results } = resultsBy(at, end)
    // Nothing falls due in a closed circuit, so that only its newest result can be the one that opens it.
    for (let n = state === "closed" ? Math.max(1, results.length) : 1; n <= results.length; n++) {
      const counted = results.slice(0, n)
      const to = leadsTo(counted)
      const { at: since, event, failure, retryAfter } = results[n - 1]
      const failed = event === undefined ? "probe-overdue" : "probes-failed"
      const reason = state === "closed" ? "tripped" : to === "closed" ? "probes-succeeded" : failed
      const next = { ...then, since, cause: { failure, retryAfter }, reason } as const
      if (to !== undefined) return { counted, probes: [], next: { ...next, state: to } }
    }
    return undefined
  }

  for (let index = first; index < history.length; index++) {
    const event = history[index]
    const before = state === "closed" ? undefined : over(event.at, index)
    if (before !== undefined) return before
    if (event.what === "steer") {
      const { results, waiting } = resultsBy(event.at, index)
      const reset = event.to === "reset"
      const to = event.to === "reset" ? "closed" : event.to
      const reason = "steered" as const
      const next = { state: to, since: event.at, first: index + 1, reset, cause: noCause, reason }
      return { counted: results, probes: waiting, next }
    }
    if (event.what === "acquire") {
      const free = state === "half-open" && resultsBy(event.at, index).waiting.length < permits
      if (free || state === "closed" || state === "metrics-only") admitted.push(index)
    } else if (event.what === "record") {
      const after = over(event.at, index + 1)
      if (after !== undefined) return after
    }
  }
  const end = over(now, history.length)
  if (end !== undefined) return end
  const { results, waiting } = resultsBy(now, history.length)
  return { counted: results, probes: waiting, next: undefined }
}

/** What can be seen of a circuit from outside. */
export interface View {
  readonly state: Circuit.StateName
  readonly generation: number
  readonly since: number
  readonly counts: Circuit.Counts
  readonly failuresInARow: number
  readonly openedFor: number
  readonly admits: boolean
  readonly retryAfter: number | undefined
  readonly readings: ReadonlyArray<Trip.Reading>
}

export const viewOf = (settings: Settings, past: ReadonlyArray<Period>, now: number): View => {
  const { counted, openedFor, probes, since, state } = past.at(-1)!
  const sinceReset = past.slice(
    Math.max(
      0,
      lastIndexWhere(past, ({ reset }) => reset)
    )
  )
  return {
    state,
    generation: past.length - 1,
    since,
    counts: countsOf(settings.rule, state, counted),
    failuresInARow: failuresAtTheEnd(sinceReset.flatMap((period) => period.counted)),
    openedFor: lastOpenedFor(past),
    admits:
      state === "half-open"
        ? probes.length < settings.halfOpen.permits
        : state !== "open" && state !== "isolated",
    retryAfter: state === "open" ? since + openedFor - now : undefined,
    readings: state === "closed" || state === "metrics-only" ? read(settings.rule, counted, now) : []
  }
}

/** The slowest that a probe may be before it counts as failed. */
const slowest = (rule: Rule): number =>
  rule.rule === "any"
    ? Math.min(...rule.rules.map(slowest))
    : rule.rule === "slowRate"
      ? rule.slowerThan
      : Infinity

export const countsOf = (
  rule: Rule,
  state: Circuit.StateName,
  counted: ReadonlyArray<Counted>
): Circuit.Counts => {
  const limit = state === "half-open" ? slowest(rule) : Infinity
  const failures = counted.filter(({ duration, failed }) => failed || duration > limit).length
  return { successes: counted.length - failures, failures }
}
