/**
 * What the metrics are called: one table for each convention, and the rules by which what a tally has counted and what an instance
 * shows of itself become rows of that table.
 */
import type * as Bulkhead from "../bulkhead/Bulkhead.js"
import type * as Cache from "../cache/Cache.js"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import { states } from "../core/circuit.js"
import type * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import type { Cell, CounterName, DistributionName, Labels, Tally } from "./tally.js"

/** The name and the labels of metrics: this library's own, or those of another one, whose dashboards go on working. */
export type Convention = "resilience" | "resilience4j" | "polly"

export interface Metric {
  /** With dots, and without a suffix for the unit. */
  readonly name: string
  readonly type: "counter" | "gauge" | "histogram"
  /** Seconds or milliseconds. Absent for a number of things. */
  readonly unit: "s" | "ms" | undefined
  readonly description: string
  /** Besides `key` (`pipeline.instance` for Polly), which `keyLabel` adds. */
  readonly labels: ReadonlyArray<string>
  /** The kinds of policy that have it. */
  readonly kinds: ReadonlyArray<string>
}

/** What a cell adds to. */
export interface Target {
  readonly metric: Metric
  readonly labels: Labels
}

/** A gauge of the instances of a kind. */
export interface Gauge<S = unknown> extends Target {
  readonly of: (snapshot: S) => number
  /** What there is to show of several instances: their sum, or the greatest. Default: the sum. */
  readonly together?: "max"
  /** Whether its series begins only when it is first seen not to be zero, since most policies never need it. */
  readonly isRare?: boolean
}

/** What is read of an instance, and the gauges that show it. */
export interface Source<S = unknown> {
  readonly reads: "snapshot" | "state"
  readonly gauges: ReadonlyArray<Gauge<S>>
}

export interface Names {
  readonly metrics: ReadonlyArray<Metric>
  /** The labels of all metrics of a tally. */
  readonly labels: (tally: Pick<Tally, "kind" | "name" | "key">) => Labels
  readonly ofCell: (cell: Cell, kind: string) => Target | undefined
  readonly sources: { readonly [kind: string]: Source | undefined }
  /** The calls that breakers have admitted and that have not ended, which their snapshot does not show. */
  readonly inFlight: Target | undefined
}

const source = <S>(reads: Source["reads"], ...gauges: ReadonlyArray<Gauge<S>>): Source => ({
  reads,
  gauges: gauges as ReadonlyArray<Gauge>
})

/** Whether a circuit gets into a state by hand alone. */
const isRare = (state: CircuitBreaker.State): boolean =>
  state === "isolated" || state === "disabled" || state === "metrics-only"

/** Fills in what the rows of a table have in common. */
const table =
  (prefix: string, common: ReadonlyArray<string>) =>
  (
    type: Metric["type"],
    name: string,
    description: string,
    kinds: ReadonlyArray<string>,
    labels: ReadonlyArray<string> = [],
    unit?: Metric["unit"]
  ): Metric => ({
    name: `${prefix}.${name}`,
    type,
    unit,
    description,
    labels: [...common, ...labels],
    kinds
  })

const target = (metric: Metric, labels: Labels = {}): Target => ({ metric, labels })

const breakers = "circuit-breaker"
const limiters = "rate-limiter"
const budgets = "retry-budget"

// ------------------------------------------------------------------------------------------------------------- our own

const own = (prefix = "resilience"): Names => {
  const row = table(prefix, ["policy", "kind"])
  const counters: { readonly [Name in CounterName]: Metric | undefined } = {
    calls: row(
      "counter",
      "calls",
      "Calls by how they ended.",
      [breakers, "bulkhead", limiters, "retry", "hedge", "timeout", "fallback"],
      ["outcome"]
    ),
    rejections: row(
      "counter",
      "rejections",
      "Calls that were rejected, by reason.",
      [breakers, "bulkhead", limiters],
      ["reason"]
    ),
    attempts: row(
      "counter",
      "attempts",
      "Attempts of calls: first ones, retries and hedges.",
      ["retry", "hedge"],
      ["attempt_type"]
    ),
    "attempts.wasted": row(
      "counter",
      "attempts.wasted",
      "Attempts whose answer was not used: interrupted, or later than the answer of another one.",
      ["retry", "hedge"]
    ),
    "circuit.transitions": row(
      "counter",
      "circuit.transitions",
      "Changes of state.",
      [breakers],
      ["from", "to", "reason"]
    ),
    "budget.withdrawals": row(
      "counter",
      "budget.withdrawals",
      "Retries and hedges that asked a budget, by whether it paid.",
      [budgets],
      ["activity", "outcome"]
    ),
    "cache.requests": row("counter", "cache.requests", "Calls by what they found.", ["cache"], ["result"]),
    "cache.refreshes": row(
      "counter",
      "cache.refreshes",
      "Refreshes by how they ended.",
      ["cache"],
      ["outcome"]
    ),
    "cache.evictions": row("counter", "cache.evictions", "Entries that were evicted to make room.", [
      "cache"
    ]),
    "retry.calls": undefined
  }
  const histogram = (
    name: DistributionName,
    description: string,
    kinds: ReadonlyArray<string>,
    labels?: ReadonlyArray<string>
  ): Metric => row("histogram", name, description, kinds, labels, "s")
  const histograms: { readonly [Name in DistributionName]: Metric } = {
    "call.duration": histogram(
      "call.duration",
      "How long admitted calls took, with all attempts inside; of a fallback how long it took itself.",
      [breakers, "bulkhead", "retry", "hedge", "fallback"],
      ["outcome"]
    ),
    "attempt.duration": histogram(
      "attempt.duration",
      "How long each attempt took.",
      ["retry", "hedge"],
      ["outcome"]
    ),
    "retry.delay": histogram("retry.delay", "How long retries waited before their next attempt.", ["retry"]),
    "queue.duration": histogram(
      "queue.duration",
      "How long admitted calls had waited in the queue. Zero for those admitted at once.",
      ["bulkhead", limiters]
    ),
    "circuit.recovery.duration": histogram(
      "circuit.recovery.duration",
      "How long a circuit took from opening until it was closed again.",
      [breakers]
    )
  }
  const inFlight = row("gauge", "in_flight", "Calls that run, or permits that are taken.", [
    breakers,
    "bulkhead"
  ])
  const queued = row("gauge", "queued", "Calls that wait in the queue.", ["bulkhead", limiters])
  const limit = row("gauge", "limit", "Permits of a bulkhead; calls a second of a rate limiter.", [
    "bulkhead",
    limiters
  ])
  const state = row(
    "gauge",
    "circuit.state",
    "How many circuits are in a state: of a breaker without keys, 1 for its state and 0 for the others.",
    [breakers],
    ["state"]
  )
  const balance = row("gauge", "budget.balance", "Tokens that there are to spend.", [budgets])
  const capacity = row("gauge", "budget.capacity", "The most tokens that there can be.", [budgets])
  const size = row("gauge", "cache.size", "Entries, those past their time to live included.", ["cache"])
  return {
    metrics: [
      ...Object.values(counters).filter((metric) => metric !== undefined),
      ...Object.values(histograms),
      inFlight,
      queued,
      limit,
      state,
      balance,
      capacity,
      size
    ],
    labels: ({ key, kind, name }) => ({ policy: name, kind, ...(key === undefined ? {} : { key }) }),
    ofCell: (cell) => {
      const metric = cell._tag === "Counter" ? counters[cell.name] : histograms[cell.name]
      return metric && target(metric, cell.labels)
    },
    sources: {
      [breakers]: source<CircuitBreaker.State>(
        "state",
        ...states.map((each) => ({
          ...target(state, { state: each }),
          of: (is: CircuitBreaker.State) => (is === each ? 1 : 0),
          isRare: isRare(each)
        }))
      ),
      bulkhead: source<Bulkhead.Snapshot>(
        "snapshot",
        { ...target(inFlight), of: ({ inUse }) => inUse },
        { ...target(queued), of: (snapshot) => snapshot.queued },
        { ...target(limit), of: ({ permits }) => permits }
      ),
      [limiters]: source<RateLimiter.Snapshot>(
        "snapshot",
        { ...target(queued), of: (snapshot) => snapshot.queued },
        { ...target(limit), of: ({ rate }) => (rate.limit / rate.per) * 1000 }
      ),
      [budgets]: source<RetryBudget.Snapshot>(
        "snapshot",
        { ...target(balance), of: (snapshot) => snapshot.balance },
        { ...target(capacity), of: (snapshot) => snapshot.capacity }
      ),
      cache: source<Cache.Snapshot>("snapshot", { ...target(size), of: (snapshot) => snapshot.size })
    },
    inFlight: target(inFlight)
  }
}

// -------------------------------------------------------------------------------------------------------- resilience4j

/** The words of resilience4j for outcomes. It has none for an interruption. */
const kinds: Labels = { success: "successful", failure: "failed", ignored: "ignored" }

const resilience4jStates: { readonly [State in CircuitBreaker.State]: string } = {
  closed: "closed",
  open: "open",
  "half-open": "half_open",
  isolated: "forced_open",
  disabled: "disabled",
  "metrics-only": "metrics_only"
}

/** The rule of a breaker that resilience4j would show. */
const readingOf = ({ rules }: CircuitBreaker.Snapshot, rule: "failureRate" | "slowRate") =>
  rules.find((reading) => reading.rule === rule)

const percent = (rate: number | undefined): number => (rate === undefined ? -1 : rate * 100)

/** Source: the meters of resilience4j-micrometer 2, https://resilience4j.readme.io/docs/micrometer. */
const resilience4j = (prefix = "resilience4j"): Names => {
  const row = table(prefix, ["name"])
  const calls = row(
    "histogram",
    "circuitbreaker.calls",
    "Calls of a circuit breaker and how long they took.",
    [breakers],
    ["kind"],
    "s"
  )
  const notPermitted = row(
    "counter",
    "circuitbreaker.not.permitted.calls",
    "Calls that a circuit breaker rejected.",
    [breakers],
    ["kind"]
  )
  const state = row(
    "gauge",
    "circuitbreaker.state",
    "How many circuits are in a state.",
    [breakers],
    ["state"]
  )
  const buffered = row(
    "gauge",
    "circuitbreaker.buffered.calls",
    "Calls that the failure rate is computed from.",
    [breakers],
    ["kind"]
  )
  const failureRate = row(
    "gauge",
    "circuitbreaker.failure.rate",
    "The failure rate in per cent, -1 without a call.",
    [breakers]
  )
  const slowCallRate = row(
    "gauge",
    "circuitbreaker.slow.call.rate",
    "The rate of slow calls in per cent, -1 without a call or without a rule for slow calls.",
    [breakers]
  )
  const available = row(
    "gauge",
    "bulkhead.available.concurrent.calls",
    "Permits of a bulkhead that are free.",
    ["bulkhead"]
  )
  const max = row("gauge", "bulkhead.max.allowed.concurrent.calls", "Permits of a bulkhead.", ["bulkhead"])
  const permissions = row(
    "gauge",
    "ratelimiter.available.permissions",
    "Calls that a rate limiter would admit at once.",
    [limiters]
  )
  const waiting = row("gauge", "ratelimiter.waiting_threads", "Calls that wait for a rate limiter.", [
    limiters
  ])
  const retries = row("counter", "retry.calls", "Calls of a retry by how they ended.", ["retry"], ["kind"])
  const timeouts = row("counter", "timelimiter.calls", "Calls that timed out.", ["timeout"], ["kind"])

  const ofCell = (cell: Cell, kind: string): Target | undefined => {
    const { name, labels } = cell
    if (kind === breakers && name === "call.duration") {
      const word = kinds[labels.outcome]
      return word === undefined ? undefined : target(calls, { kind: word })
    }
    if (kind === breakers && name === "rejections") return target(notPermitted, { kind: "not_permitted" })
    if (name === "retry.calls") return target(retries, labels)
    if (kind === "timeout" && name === "calls") return target(timeouts, { kind: "timeout" })
    return undefined
  }
  const seen = (snapshot: CircuitBreaker.Snapshot): { readonly calls: number; readonly hits: number } => {
    const reading = readingOf(snapshot, "failureRate")
    return reading ?? { calls: snapshot.failures + snapshot.successes, hits: snapshot.failures }
  }
  return {
    metrics: [
      calls,
      notPermitted,
      state,
      buffered,
      failureRate,
      slowCallRate,
      available,
      max,
      permissions,
      waiting,
      retries,
      timeouts
    ],
    labels: ({ key, name }) => ({ name, ...(key === undefined ? {} : { key }) }),
    ofCell,
    sources: {
      [breakers]: source<CircuitBreaker.Snapshot>(
        "snapshot",
        ...states.map((each) => ({
          ...target(state, { state: resilience4jStates[each] }),
          of: (snapshot: CircuitBreaker.Snapshot) => (snapshot.state === each ? 1 : 0),
          isRare: isRare(each)
        })),
        {
          ...target(buffered, { kind: "successful" }),
          of: (snapshot) => seen(snapshot).calls - seen(snapshot).hits
        },
        { ...target(buffered, { kind: "failed" }), of: (snapshot) => seen(snapshot).hits },
        {
          ...target(failureRate),
          together: "max",
          of: (snapshot) => {
            const { calls, hits } = seen(snapshot)
            return percent(calls === 0 ? undefined : hits / calls)
          }
        },
        {
          ...target(slowCallRate),
          together: "max",
          of: (snapshot) => {
            const reading = readingOf(snapshot, "slowRate")
            return percent(reading?.calls === 0 ? undefined : reading?.rate)
          }
        }
      ),
      bulkhead: source<Bulkhead.Snapshot>(
        "snapshot",
        { ...target(available), of: ({ inUse, permits }) => Math.max(0, permits - inUse) },
        { ...target(max), of: ({ permits }) => permits }
      ),
      [limiters]: source<RateLimiter.Snapshot>(
        "snapshot",
        { ...target(permissions), of: (snapshot) => snapshot.available },
        { ...target(waiting), of: ({ queued }) => queued }
      )
    },
    inFlight: undefined
  }
}

// --------------------------------------------------------------------------------------------------------------- Polly

/** The names that Polly gives its strategies. A bulkhead is a rate limiter of concurrency to it. */
const strategies: { readonly [kind: string]: string | undefined } = {
  [breakers]: "CircuitBreaker",
  bulkhead: "RateLimiter",
  [limiters]: "RateLimiter",
  retry: "Retry",
  hedge: "Hedging",
  timeout: "Timeout",
  fallback: "Fallback"
}

const circuitEvents: { readonly [to: string]: readonly [event: string, severity: string] | undefined } = {
  closed: ["OnCircuitClosed", "Information"],
  open: ["OnCircuitOpened", "Error"],
  isolated: ["OnCircuitOpened", "Error"],
  "half-open": ["OnCircuitHalfOpened", "Warning"]
}

/** Source: https://www.pollydocs.org/advanced/telemetry.html and the pages of the strategies. */
const polly = (prefix = "resilience.polly"): Names => {
  const row = table(prefix, ["pipeline.name"])
  const events = row(
    "counter",
    "strategy.events",
    "What happened in the policies.",
    [breakers, "bulkhead", limiters, "retry", "hedge", "timeout", "fallback"],
    ["strategy.name", "event.name", "event.severity"]
  )
  const attempts = row(
    "histogram",
    "strategy.attempt.duration",
    "How long each attempt took.",
    ["retry", "hedge"],
    ["strategy.name", "event.name", "event.severity", "attempt.handled"],
    "ms"
  )
  const pipelines = row(
    "histogram",
    "pipeline.duration",
    "How long calls of circuit breakers took.",
    [breakers],
    [],
    "ms"
  )
  const event = (kind: string, name: string, severity: string): Target =>
    target(events, {
      "strategy.name": strategies[kind] ?? kind,
      "event.name": name,
      "event.severity": severity
    })
  const ofCell = (cell: Cell, kind: string): Target | undefined => {
    const { name, labels } = cell
    switch (name) {
      case "retry.delay":
        return event(kind, "OnRetry", "Warning")
      case "attempts":
        return labels.attempt_type === "hedge" ? event(kind, "OnHedging", "Warning") : undefined
      case "calls":
        if (kind === "timeout") return event(kind, "OnTimeout", "Error")
        return kind === "fallback" ? event(kind, "OnFallback", "Warning") : undefined
      case "rejections":
        return kind === breakers ? undefined : event(kind, "OnRateLimiterRejected", "Error")
      case "circuit.transitions": {
        const to = circuitEvents[labels.to]
        return to && event(kind, ...to)
      }
      case "attempt.duration": {
        const isHandled = labels.outcome === "failure"
        return target(attempts, {
          "strategy.name": strategies[kind] ?? kind,
          "event.name": "ExecutionAttempt",
          "event.severity": isHandled ? "Warning" : "Information",
          "attempt.handled": String(isHandled)
        })
      }
      case "call.duration":
        return kind === breakers ? target(pipelines) : undefined
      default:
        return undefined
    }
  }
  return {
    metrics: [events, attempts, pipelines],
    labels: ({ key, name }) => ({
      "pipeline.name": name,
      ...(key === undefined ? {} : { "pipeline.instance": key })
    }),
    ofCell,
    sources: {},
    inFlight: undefined
  }
}

/** The names of a convention. The prefix stands for what they all begin with. */
export const conventions: { readonly [Name in Convention]: (prefix?: string) => Names } = {
  resilience: own,
  resilience4j,
  polly
}
