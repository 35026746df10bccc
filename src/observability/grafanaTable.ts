/** The rows and panels of the dashboard: what each asks Prometheus. */
import { type Metrics, ratio } from "./promql.js"

export interface Query {
  readonly expr: string
  /** The name of each series, with its labels in braces. */
  readonly legend: string
}

export interface PanelOf {
  readonly title: string
  readonly description: string
  /** In the words of Grafana: `reqps` for a rate, `s` for seconds, `percentunit` for a share, `short` for a number. */
  readonly unit: "reqps" | "s" | "percentunit" | "short"
  readonly queries: (metrics: Metrics) => ReadonlyArray<Query>
  /** `stat` shows the last value alone. Default: `timeseries`. */
  readonly type?: "timeseries" | "stat"
  /** Whether the series add up to a whole. */
  readonly isStacked?: boolean
}

export interface RowOf {
  readonly title: string
  /** It is there for policies of these kinds. */
  readonly kinds: ReadonlyArray<string>
  readonly panels: ReadonlyArray<PanelOf>
}

const calls = "calls_total"
const attempts = "attempts_total"

const one = (expr: string, legend: string): ReadonlyArray<Query> => [{ expr, legend }]

const percentiles = (
  metrics: Metrics,
  metric: string,
  kind: string,
  quantiles: ReadonlyArray<number> = [0.5, 0.95, 0.99]
): ReadonlyArray<Query> =>
  quantiles.map((quantile) => ({
    expr: metrics.quantile(quantile, metric, { kind }),
    legend: `{{policy}} p${quantile * 100}`
  }))

const callsByOutcome = (kind: string, description: string): PanelOf => ({
  title: "Calls by outcome",
  description,
  unit: "reqps",
  isStacked: true,
  queries: (metrics) => one(metrics.rate(calls, { kind }, "outcome"), "{{policy}} {{outcome}}")
})

const attemptsByType = (kind: string, description: string): PanelOf => ({
  title: "Attempts by type",
  description,
  unit: "reqps",
  isStacked: true,
  queries: (metrics) => one(metrics.rate(attempts, { kind }, "attempt_type"), "{{policy}} {{attempt_type}}")
})

const callDuration = (kind: string, description: string, title = "Duration of calls"): PanelOf => ({
  title,
  description,
  unit: "s",
  queries: (metrics) => percentiles(metrics, "call_duration_seconds", kind)
})

const attemptDuration = (kind: string): PanelOf => ({
  title: "Duration of attempts",
  description: "How long each attempt takes, without delays and other attempts.",
  unit: "s",
  queries: (metrics) => percentiles(metrics, "attempt_duration_seconds", kind)
})

const wasted = (kind: string, description: string): PanelOf => ({
  title: "Wasted work",
  description,
  unit: "percentunit",
  queries: (metrics) =>
    one(
      ratio(metrics.rate("attempts_wasted_total", { kind }), metrics.rate(attempts, { kind })),
      "{{policy}}"
    )
})

const waiting = (kind: string): ReadonlyArray<PanelOf> => [
  {
    title: "Waiting calls",
    description: "Calls in the queue.",
    unit: "short",
    queries: (metrics) => one(metrics.sum(metrics.series("queued", { kind })), "{{policy}}")
  },
  {
    title: "Time in the queue",
    description: "How long admitted calls have waited, zero for those admitted at once.",
    unit: "s",
    queries: (metrics) => percentiles(metrics, "queue_duration_seconds", kind)
  }
]

const rejections = (kind: string): PanelOf => ({
  title: "Rejections by reason",
  description: "Calls that were rejected without being run.",
  unit: "reqps",
  queries: (metrics) => one(metrics.rate("rejections_total", { kind }, "reason"), "{{policy}} {{reason}}")
})

const breaker = { kind: "circuit-breaker" }

export const rows: ReadonlyArray<RowOf> = [
  {
    title: "Circuit breakers",
    kinds: ["circuit-breaker"],
    panels: [
      {
        title: "Circuits that are not closed",
        description: "How many circuits of each policy are in another state than closed.",
        unit: "short",
        isStacked: true,
        queries: (metrics) =>
          one(
            metrics.sum(metrics.series("circuit_state", { state: { not: "closed" } }), "state"),
            "{{policy}} {{state}}"
          )
      },
      callsByOutcome("circuit-breaker", "How calls ended. A rejected call was not run."),
      {
        title: "Failure rate",
        description: "The share of calls that failed, of those that succeeded or failed.",
        unit: "percentunit",
        queries: (metrics) =>
          one(
            ratio(
              metrics.rate(calls, { ...breaker, outcome: "failure" }),
              metrics.rate(calls, { ...breaker, outcome: ["success", "failure"] })
            ),
            "{{policy}}"
          )
      },
      callDuration("circuit-breaker", "How long admitted calls take."),
      {
        title: "Changes of state",
        description: "How often circuits have changed their state.",
        unit: "short",
        queries: (metrics) =>
          one(
            metrics.increase("circuit_transitions_total", {}, "from", "to"),
            "{{policy}} {{from}} to {{to}}"
          )
      },
      {
        title: "Time to recover",
        description: "How long circuits took on average from opening until they were closed again.",
        unit: "s",
        type: "stat",
        queries: (metrics) => {
          const shown = metrics.over("$__range")
          return one(
            ratio(
              shown.increase("circuit_recovery_duration_seconds_sum"),
              shown.increase("circuit_recovery_duration_seconds_count")
            ),
            "{{policy}}"
          )
        }
      },
      {
        title: "Calls in flight",
        description: "Calls that were admitted and have not ended.",
        unit: "short",
        queries: (metrics) => one(metrics.sum(metrics.series("in_flight", breaker)), "{{policy}}")
      },
      rejections("circuit-breaker")
    ]
  },
  {
    title: "Retries",
    kinds: ["retry"],
    panels: [
      callsByOutcome("retry", "How calls ended after their last attempt."),
      attemptsByType("retry", "First attempts and those that repeat one."),
      {
        title: "Amplification",
        description: "Attempts for each call: how much load a call is for what it calls.",
        unit: "short",
        queries: (metrics) =>
          one(
            ratio(
              metrics.rate(attempts, { kind: "retry" }),
              metrics.rate(attempts, { kind: "retry", attempt_type: "original" })
            ),
            "{{policy}}"
          )
      },
      callDuration("retry", "How long callers wait, for all attempts and delays together."),
      attemptDuration("retry"),
      {
        title: "Delay before retries",
        description: "How long retries wait before their next attempt.",
        unit: "s",
        queries: (metrics) => percentiles(metrics, "retry_delay_seconds", "retry")
      },
      wasted("retry", "The share of attempts that were interrupted, and whose answers were not used.")
    ]
  },
  {
    title: "Hedges",
    kinds: ["hedge"],
    panels: [
      callsByOutcome("hedge", "How calls ended."),
      attemptsByType("hedge", "First attempts and those that were started beside them."),
      {
        title: "Hedged calls",
        description: "Hedges for each call.",
        unit: "percentunit",
        queries: (metrics) =>
          one(
            ratio(
              metrics.rate(attempts, { kind: "hedge", attempt_type: "hedge" }),
              metrics.rate(attempts, { kind: "hedge", attempt_type: "original" })
            ),
            "{{policy}}"
          )
      },
      wasted("hedge", "The share of attempts that lost, and whose answers were not used."),
      callDuration("hedge", "How long callers wait for the first answer."),
      attemptDuration("hedge")
    ]
  },
  {
    title: "Retry budgets",
    kinds: ["retry-budget"],
    panels: [
      {
        title: "Balance",
        description: "Tokens that there are to spend, and the most that there can be.",
        unit: "short",
        queries: (metrics) => [
          { expr: metrics.sum(metrics.series("budget_balance")), legend: "{{policy}}" },
          { expr: metrics.sum(metrics.series("budget_capacity")), legend: "{{policy}} at most" }
        ]
      },
      {
        title: "Withdrawals",
        description: "Retries and hedges that asked for a token.",
        unit: "reqps",
        isStacked: true,
        queries: (metrics) =>
          one(
            metrics.rate("budget_withdrawals_total", {}, "activity", "outcome"),
            "{{policy}} {{activity}} {{outcome}}"
          )
      },
      {
        title: "Refused",
        description: "The share of retries and hedges that were refused.",
        unit: "percentunit",
        queries: (metrics) =>
          one(
            ratio(
              metrics.rate("budget_withdrawals_total", { outcome: "refused" }),
              metrics.rate("budget_withdrawals_total")
            ),
            "{{policy}}"
          )
      }
    ]
  },
  {
    title: "Bulkheads",
    kinds: ["bulkhead"],
    panels: [
      {
        title: "Permits in use",
        description: "Permits that are taken, and how many there are.",
        unit: "short",
        queries: (metrics) => [
          { expr: metrics.sum(metrics.series("in_flight", { kind: "bulkhead" })), legend: "{{policy}}" },
          { expr: metrics.sum(metrics.series("limit", { kind: "bulkhead" })), legend: "{{policy}} at most" }
        ]
      },
      callsByOutcome("bulkhead", "How calls ended. A rejected call was not run."),
      rejections("bulkhead"),
      ...waiting("bulkhead"),
      callDuration("bulkhead", "How long calls hold their permits.")
    ]
  },
  {
    title: "Rate limiters",
    kinds: ["rate-limiter"],
    panels: [
      callsByOutcome("rate-limiter", "Calls that were admitted or rejected."),
      {
        title: "Limit",
        description:
          "Calls of cost 1 that are admitted in a second, by all processes together. A rate that they share counts once for each.",
        unit: "reqps",
        queries: (metrics) =>
          one(metrics.sum(metrics.series("limit", { kind: "rate-limiter" })), "{{policy}}")
      },
      rejections("rate-limiter"),
      ...waiting("rate-limiter")
    ]
  },
  {
    title: "Timeouts",
    kinds: ["timeout"],
    panels: [
      {
        title: "Timeouts",
        description: "Calls that took longer than their limit.",
        unit: "reqps",
        queries: (metrics) => one(metrics.rate(calls, { kind: "timeout" }), "{{policy}}")
      }
    ]
  },
  {
    title: "Fallbacks",
    kinds: ["fallback"],
    panels: [
      callsByOutcome(
        "fallback",
        "Calls that were answered by a fallback, and those whose fallback failed too."
      ),
      callDuration("fallback", "How long fallbacks take to answer.", "Duration of fallbacks")
    ]
  },
  {
    title: "Caches",
    kinds: ["cache"],
    panels: [
      {
        title: "Requests by result",
        description: "What calls found: a fresh value, one past its time to live, or nothing.",
        unit: "reqps",
        isStacked: true,
        queries: (metrics) => one(metrics.rate("cache_requests_total", {}, "result"), "{{policy}} {{result}}")
      },
      {
        title: "Hit rate",
        description: "The share of calls that found a fresh value.",
        unit: "percentunit",
        queries: (metrics) =>
          one(
            ratio(
              metrics.rate("cache_requests_total", { result: "hit" }),
              metrics.rate("cache_requests_total")
            ),
            "{{policy}}"
          )
      },
      {
        title: "Refreshes",
        description: "Refreshes by how they ended.",
        unit: "reqps",
        queries: (metrics) =>
          one(metrics.rate("cache_refreshes_total", {}, "outcome"), "{{policy}} {{outcome}}")
      },
      {
        title: "Entries",
        description: "Entries in the cache.",
        unit: "short",
        queries: (metrics) => one(metrics.sum(metrics.series("cache_size")), "{{policy}}")
      },
      {
        title: "Evictions",
        description: "Entries that made room for others.",
        unit: "reqps",
        queries: (metrics) => one(metrics.rate("cache_evictions_total"), "{{policy}}")
      }
    ]
  }
]
