/** What the events of the policies of one kind and name add up to: plain numbers, to which an event adds and which a scrape reads. */
import type * as Duration from "effect/Duration"
import type * as Bulkhead from "../bulkhead/Bulkhead.js"
import type * as Cache from "../cache/Cache.js"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import type * as Fallback from "../fallback/Fallback.js"
import type * as Hedge from "../hedge/Hedge.js"
import type * as Policy from "../policy/Policy.js"
import type * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type * as Retry from "../retry/Retry.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import type * as Timeout from "../timeout/Timeout.js"

export type CounterName =
  | "calls"
  | "rejections"
  | "attempts"
  | "attempts.wasted"
  | "circuit.transitions"
  | "budget.withdrawals"
  | "cache.requests"
  | "cache.refreshes"
  | "cache.evictions"
  /** Calls of a retry by whether they were retried and how they ended, in the words of resilience4j. */
  | "retry.calls"

export type DistributionName =
  "call.duration" | "attempt.duration" | "retry.delay" | "queue.duration" | "circuit.recovery.duration"

export type Labels = Readonly<Record<string, string>>

/** A number that only grows. */
export interface Counter {
  readonly _tag: "Counter"
  readonly name: CounterName
  readonly labels: Labels
  value: number
}

/** The upper bounds of the buckets of all distributions, in seconds. What is above them has a bucket of its own. */
export const bounds: ReadonlyArray<number> = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60
]

/** Durations in seconds. */
export class Distribution {
  readonly _tag = "Distribution"
  /** How many were in each bucket, and in no other. */
  readonly counts = new Array<number>(bounds.length + 1).fill(0)
  count = 0
  sum = 0
  min = Infinity
  max = -Infinity

  constructor(
    readonly name: DistributionName,
    readonly labels: Labels
  ) {}

  add(duration: Duration.Duration): void {
    const seconds = secondsOf(duration)
    let bucket = 0
    while (bucket < bounds.length && seconds > bounds[bucket]) bucket += 1
    this.counts[bucket] = this.counts[bucket] + 1
    this.count += 1
    this.sum += seconds
    if (seconds < this.min) this.min = seconds
    if (seconds > this.max) this.max = seconds
  }
}

/** `Duration.toSeconds` would first find out that it is one, which costs more than everything else here. */
const secondsOf = ({ value }: Duration.Duration): number => {
  switch (value._tag) {
    case "Millis":
      return value.millis / 1e3
    case "Nanos":
      return Number(value.nanos) / 1e9
    case "Infinity":
      return Infinity
  }
}

export type Cell = Counter | Distribution

/** What has been counted of policies. */
export interface Totals {
  readonly cells: ReadonlyArray<Readonly<Cell>>
  /** The sum of the counters of a name that have these labels. */
  readonly total: (name: CounterName, labels?: Labels) => number
}

export class Tally implements Totals {
  /** In the order in which they were first needed. */
  readonly cells: Array<Cell> = []
  private readonly adding: { readonly [tag: string]: ((event: Policy.Event) => void) | undefined }
  /** Calls that breakers have admitted and that have not ended. */
  inFlight = 0
  /** How many events there have been. */
  revision = 0
  /** Is called with each new cell. */
  onCell: ((cell: Cell) => void) | undefined

  constructor(
    readonly kind: string,
    /** The name of the policy, and that of the keyed policy for the instances of all keys. */
    readonly name: string,
    /** The key, where keys are told apart. */
    readonly key: string | undefined
  ) {
    this.adding = (kinds[kind]?.(this) ?? {}) as typeof this.adding
  }

  /** Adds an event of the policies. */
  add(event: Policy.Event): void {
    this.revision += 1
    this.adding[event._tag]?.(event)
  }

  counter(name: CounterName, labels: Labels = {}): Counter {
    return (
      (this.known(name, labels) as Counter | undefined) ??
      this.added({ _tag: "Counter", name, labels, value: 0 })
    )
  }

  distribution(name: DistributionName, labels: Labels = {}): Distribution {
    return (
      (this.known(name, labels) as Distribution | undefined) ?? this.added(new Distribution(name, labels))
    )
  }

  /** Goes through the few cells that there are, which is cheaper than a key made of name and labels. */
  private known(name: Cell["name"], labels: Labels): Cell | undefined {
    for (const cell of this.cells) if (cell.name === name && has(cell, labels)) return cell
    return undefined
  }

  private added<C extends Cell>(cell: C): C {
    this.cells.push(cell)
    this.onCell?.(cell)
    return cell
  }

  total(name: CounterName, labels: Labels = {}): number {
    let sum = 0
    for (const cell of this.cells) {
      if (cell._tag === "Counter" && cell.name === name && has(cell, labels)) sum += cell.value
    }
    return sum
  }
}

const has = (cell: Cell, labels: Labels): boolean => {
  for (const label in labels) if (cell.labels[label] !== labels[label]) return false
  return true
}

/** What adds the events of a policy, by their tags. Other events add nothing. */
type Adding<E extends Policy.Event> = {
  readonly [Tag in E["_tag"]]?: (event: Extract<E, { readonly _tag: Tag }>) => void
}

const one = (counter: Counter): void => {
  counter.value += 1
}

const outcomes = {
  Success: "success",
  Failure: "failure",
  Ignored: "ignored",
  Interrupted: "interrupted"
} as const

/** The end of a call in an event whose tag is the outcome. */
interface Ended extends Policy.Event<string, Policy.AttemptOutcome> {
  readonly duration: Duration.Duration
}

/** Counts calls that have ended, and how long they took. Cells of outcomes that have not been are not made. */
const ends = (tally: Tally) => {
  const cells: { [outcome: string]: readonly [Counter, Distribution] } = {}
  return (ended: Policy.AttemptOutcome, duration: Duration.Duration): void => {
    const outcome = outcomes[ended]
    const [calls, durations] = (cells[ended] ??= [
      tally.counter("calls", { outcome }),
      tally.distribution("call.duration", { outcome })
    ])
    one(calls)
    durations.add(duration)
  }
}

/**
 * Counters of what may be wanted as a rate before it happens for the first time: the rate of a series that begins with 1 does not show
 * that one.
 */
const zeros = (tally: Tally, name: CounterName, ...all: ReadonlyArray<Labels>): void => {
  for (const labels of all) tally.counter(name, labels)
}

const outcomesOf = (...outcomes: ReadonlyArray<string>): ReadonlyArray<Labels> =>
  outcomes.map((outcome) => ({ outcome }))

const rejects = (tally: Tally) => {
  const calls = tally.counter("calls", { outcome: "rejected" })
  return (reason: string): void => {
    one(calls)
    one(tally.counter("rejections", { reason }))
  }
}

/** What follows an open circuit. Most circuits never open, so until then there are no series for it. */
const opened = (tally: Tally): void => {
  zeros(
    tally,
    "circuit.transitions",
    { from: "open", to: "half-open", reason: "elapsed" },
    { from: "half-open", to: "closed", reason: "probes-succeeded" },
    { from: "half-open", to: "open", reason: "probes-failed" }
  )
  zeros(tally, "rejections", { reason: "open" })
  tally.distribution("circuit.recovery.duration")
}

const breaker = (tally: Tally): Adding<CircuitBreaker.Event> => {
  const end = ends(tally)
  const ended = ({ _tag, duration }: Ended): void => {
    tally.inFlight -= 1
    end(_tag, duration)
  }
  const reject = rejects(tally)
  zeros(tally, "calls", ...outcomesOf("success", "failure"))
  zeros(tally, "circuit.transitions", { from: "closed", to: "open", reason: "tripped" })
  return {
    Admitted: () => {
      tally.inFlight += 1
    },
    Success: ended,
    Failure: ended,
    Ignored: ended,
    Interrupted: ended,
    Rejected: ({ state }) => reject(state),
    StateChange: ({ from, reason, to }) => {
      one(tally.counter("circuit.transitions", { from, to, reason }))
      if (to === "open") opened(tally)
    }
  }
}

const bulkhead = (tally: Tally): Adding<Bulkhead.Event> => {
  const end = ends(tally)
  const ended = ({ _tag, duration }: Ended): void => end(_tag, duration)
  const reject = rejects(tally)
  const queued = tally.distribution("queue.duration")
  zeros(tally, "calls", ...outcomesOf("success", "failure"))
  zeros(tally, "rejections", { reason: "full" })
  return {
    Admitted: ({ waited }) => queued.add(waited),
    Success: ended,
    Failure: ended,
    Ignored: ended,
    Interrupted: ended,
    Rejected: ({ reason }) => reject(reason)
  }
}

const rateLimiter = (tally: Tally): Adding<RateLimiter.Event> => {
  const admitted = tally.counter("calls", { outcome: "admitted" })
  const queued = tally.distribution("queue.duration")
  const reject = rejects(tally)
  zeros(tally, "rejections", { reason: "rate" })
  return {
    Admitted: ({ waited }) => {
      one(admitted)
      queued.add(waited)
    },
    Rejected: ({ reason }) => reject(reason)
  }
}

const retryBudget = (tally: Tally): Adding<RetryBudget.Event> => {
  const withdrawal = (activity: RetryBudget.Activity, outcome: string): Counter =>
    tally.counter("budget.withdrawals", { activity, outcome })
  const known: { [activity: string]: { readonly paid: Counter; readonly refused: Counter } } = {}
  /** Both begin with the first withdrawal of an activity. */
  const of = (activity: RetryBudget.Activity) =>
    (known[activity] ??= {
      paid: withdrawal(activity, "paid"),
      refused: withdrawal(activity, "refused")
    })
  return {
    Withdrawn: ({ activity }) => one(of(activity).paid),
    Refused: ({ activity }) => one(of(activity).refused)
  }
}

const cache = (tally: Tally): Adding<Cache.Event<unknown, unknown, unknown>> => {
  const requests = (result: string) => {
    const counter = tally.counter("cache.requests", { result })
    return () => one(counter)
  }
  const evictions = tally.counter("cache.evictions")
  const refreshed = (outcome: string): Counter => tally.counter("cache.refreshes", { outcome })
  /** Both begin with the first refresh. */
  let refreshes: { readonly Success: Counter; readonly Failure: Counter } | undefined
  return {
    Hit: requests("hit"),
    Miss: requests("miss"),
    Stale: requests("stale"),
    Refresh: ({ exit }) => {
      refreshes ??= { Success: refreshed("success"), Failure: refreshed("failure") }
      one(refreshes[exit._tag])
    },
    Evict: () => one(evictions)
  }
}

/** Counts the attempts of calls. `wasted` are the outcomes of attempts that were not needed. */
const attempts = (tally: Tally, another: "retry" | "hedge", wasted: ReadonlyArray<Policy.AttemptOutcome>) => {
  const original = tally.counter("attempts", { attempt_type: "original" })
  const others = tally.counter("attempts", { attempt_type: another })
  const unneeded = tally.counter("attempts.wasted")
  return ({ attempt, duration, outcome }: Policy.AttemptEnded): void => {
    one(attempt === 1 ? original : others)
    if (wasted.includes(outcome)) one(unneeded)
    tally.distribution("attempt.duration", { outcome: outcomes[outcome] }).add(duration)
  }
}

const retried = (tally: Tally, outcome: string) => {
  const without = tally.counter("retry.calls", { kind: `${outcome}_without_retry` })
  const after = tally.counter("retry.calls", { kind: `${outcome}_with_retry` })
  return (attempts: number): Counter => (attempts === 1 ? without : after)
}

const retry = (tally: Tally): Adding<Retry.Event<unknown, unknown>> => {
  const end = ends(tally)
  zeros(tally, "calls", ...outcomesOf("success", "failure"))
  const successful = retried(tally, "successful")
  const failed = retried(tally, "failed")
  return {
    Attempt: attempts(tally, "retry", ["Interrupted"]),
    RetryScheduled: ({ delay }) => tally.distribution("retry.delay").add(delay),
    Call: ({ attempts, duration, outcome }) => {
      end(outcome, duration)
      if (outcome === "Success") one(successful(attempts))
      if (outcome === "Failure") one(failed(attempts))
    }
  }
}

const hedge = (tally: Tally): Adding<Hedge.Event<unknown, unknown>> => {
  const end = ends(tally)
  zeros(tally, "calls", ...outcomesOf("success", "failure"))
  return {
    Attempt: attempts(tally, "hedge", ["Ignored", "Interrupted"]),
    Call: ({ duration, outcome }) => end(outcome, duration)
  }
}

const timeout = (tally: Tally): Adding<Timeout.Event> => {
  const calls = tally.counter("calls", { outcome: "timeout" })
  return { Timeout: () => one(calls) }
}

const fallback = (tally: Tally): Adding<Fallback.Event<unknown, unknown>> => {
  zeros(tally, "calls", ...outcomesOf("fallback", "failure"))
  return {
    FallbackEnded: ({ duration, outcome: ended }) => {
      const outcome = ended === "Success" ? "fallback" : outcomes[ended]
      one(tally.counter("calls", { outcome }))
      tally.distribution("call.duration", { outcome }).add(duration)
    }
  }
}

/** What adds the events of a tally's policies to it. A policy of a user's own kind has none that are known. */
const kinds: { readonly [kind: string]: (tally: Tally) => object } = {
  "circuit-breaker": breaker,
  bulkhead,
  "rate-limiter": rateLimiter,
  "retry-budget": retryBudget,
  cache,
  retry,
  hedge,
  timeout,
  fallback
}
