/** The alerts: what each asks Prometheus, and what it says. */
import { ratio, type Metrics } from "./promql.js"

export interface Alert {
  /** The kinds of policies that it is about. */
  readonly kinds: ReadonlyArray<string>
  /** It fires above this. */
  readonly threshold: number
  /** How long the condition holds before it fires, in milliseconds. Default: the range of the rates, so that one event is not enough. */
  readonly forMillis?: number
  readonly severity?: string
  /** The value that is compared to the threshold. */
  readonly measured: (metrics: Metrics, kinds: ReadonlyArray<string>) => string
  /** It fires only where this has a value too. */
  readonly onlyIf?: (metrics: Metrics) => string
  readonly summary: string
  readonly description: string
}

const policy = "{{ $labels.policy }}"
const share = "{{ $value | humanizePercentage }}"
const number = "{{ $value | humanize }}"

const notClosed = ["open", "half-open"]

/** A half-open circuit counts if it was open this recently: one without calls is not an incident. */
const recently = "5m"

/** The time in which openings of a circuit are counted. */
const flapping = "15m"

const callsOf = (kind: string) => ({
  all: (metrics: Metrics) => metrics.rate("calls_total", { kind }),
  that: (metrics: Metrics, outcome: string) => metrics.rate("calls_total", { kind, outcome })
})

const attempts = "attempts_total"

/** All alerts by name. A ratio without traffic is `NaN`, which is above nothing. */
export const alerts = {
  CircuitOpen: {
    kinds: ["circuit-breaker"],
    threshold: 0,
    forMillis: 60_000,
    measured: (metrics) => metrics.sum(metrics.series("circuit_state", { state: notClosed })),
    onlyIf: (metrics) =>
      `${metrics.sum(`max_over_time(${metrics.series("circuit_state", { state: "open" })}[${recently}])`)} > 0`,
    summary: `Circuit breaker ${policy} is open`,
    description: `${number} circuits of ${policy} are open or half-open. Calls are rejected until what they protect answers again.`
  },
  CircuitFlapping: {
    kinds: ["circuit-breaker"],
    threshold: 3,
    forMillis: 0,
    // A keyed breaker counts all its circuits together: what is compared is how often each that was open has opened.
    measured: (metrics) =>
      metrics.max(
        `sum without (reason) (increase(${metrics.series("circuit_transitions_total", { from: "closed", to: "open" })}[${flapping}]))` +
          `\n/ ignoring (from, to, state)\nclamp_min(max_over_time(${metrics.series("circuit_state", { state: "open" })}[${flapping}]), 1)`
      ),
    summary: `Circuit breaker ${policy} opens again and again`,
    description: `A circuit of ${policy} has closed and opened ${number} times within ${flapping}. What it protects recovers only until the load is back.`
  },
  RetryAmplification: {
    kinds: ["retry"],
    threshold: 1.5,
    measured: (metrics) =>
      ratio(
        metrics.rate(attempts, { kind: "retry" }),
        metrics.rate(attempts, { kind: "retry", attempt_type: "original" })
      ),
    summary: `Retries of ${policy} multiply the load`,
    description: `Each call of ${policy} makes ${number} attempts on average. What it calls gets that much more load while it fails.`
  },
  RetryBudgetExhausted: {
    kinds: ["retry-budget"],
    threshold: 0.1,
    measured: (metrics) =>
      ratio(
        metrics.rate("budget_withdrawals_total", { outcome: "refused" }),
        metrics.rate("budget_withdrawals_total")
      ),
    summary: `Retry budget ${policy} is exhausted`,
    description: `${policy} refuses ${share} of all retries and hedges: more calls fail than retries can make up for.`
  },
  HedgeRate: {
    kinds: ["hedge"],
    threshold: 0.2,
    measured: (metrics) =>
      ratio(
        metrics.rate(attempts, { kind: "hedge", attempt_type: "hedge" }),
        metrics.rate(attempts, { kind: "hedge", attempt_type: "original" })
      ),
    summary: `Too many calls of ${policy} are hedged`,
    description: `${policy} makes a second attempt for ${share} of its calls. Its delay is too short, or what it calls has become slow or fails.`
  },
  WastedWork: {
    kinds: ["hedge", "retry"],
    threshold: 0.2,
    measured: (metrics, kinds) =>
      ratio(metrics.rate("attempts_wasted_total", { kind: kinds }), metrics.rate(attempts, { kind: kinds })),
    summary: `Answers of ${policy} are thrown away`,
    description: `${share} of the attempts of ${policy} were interrupted or answered too late. What it calls did that work in vain.`
  },
  BulkheadSaturated: {
    kinds: ["bulkhead"],
    threshold: 0.9,
    forMillis: 60_000,
    measured: (metrics) =>
      metrics.max(
        `avg_over_time(${metrics.series("in_flight", { kind: "bulkhead" })}[${metrics.window}])` +
          `\n/\n${metrics.series("limit", { kind: "bulkhead" })}`
      ),
    summary: `Bulkhead ${policy} is full`,
    description: `${share} of the permits of ${policy} were in use on average. Calls wait, and are rejected when the queue is full too.`
  },
  RateLimiterRejecting: {
    kinds: ["rate-limiter"],
    threshold: 0.05,
    measured: (metrics) => {
      const calls = callsOf("rate-limiter")
      return ratio(calls.that(metrics, "rejected"), calls.all(metrics))
    },
    summary: `Rate limiter ${policy} rejects calls`,
    description: `${policy} rejects ${share} of all calls: more come than its rate allows.`
  },
  FallbackInUse: {
    kinds: ["fallback"],
    threshold: 0,
    measured: (metrics) => callsOf("fallback").that(metrics, "fallback"),
    summary: `Fallback ${policy} is in use`,
    description: `${policy} replaces ${number} answers a second. Its callers get less than they asked for.`
  },
  FallbackFailing: {
    kinds: ["fallback"],
    threshold: 0,
    measured: (metrics) => callsOf("fallback").that(metrics, "failure"),
    summary: `Fallback ${policy} fails`,
    description: `${number} calls a second fail in spite of ${policy}, because the fallback fails too.`
  },
  CacheStale: {
    kinds: ["cache"],
    threshold: 0.5,
    measured: (metrics) =>
      ratio(metrics.rate("cache_requests_total", { result: "stale" }), metrics.rate("cache_requests_total")),
    summary: `Cache ${policy} serves old values`,
    description: `${share} of the answers of ${policy} are past their time to live.`
  },
  CacheRefreshFailing: {
    kinds: ["cache"],
    threshold: 0.5,
    measured: (metrics) =>
      ratio(
        metrics.rate("cache_refreshes_total", { outcome: "failure" }),
        metrics.rate("cache_refreshes_total")
      ),
    summary: `Cache ${policy} cannot refresh its values`,
    description: `${share} of the refreshes of ${policy} fail. Its values become older until they may no longer be served.`
  }
} as const satisfies Readonly<Record<string, Alert>>

export type WithThreshold = keyof typeof alerts

// ------------------------------------------------------------------------------------------------------ error budgets

/** How fast an error budget may burn, and over which two windows that is seen. Source: Google, The Site Reliability Workbook, chapter 5. */
interface Burn {
  readonly factor: number
  readonly windows: readonly [long: string, short: string]
}

export const burns = {
  ErrorBudgetBurn: {
    severity: "critical",
    burns: [
      { factor: 14.4, windows: ["1h", "5m"] },
      { factor: 6, windows: ["6h", "30m"] }
    ],
    summary: `The error budget of ${policy} burns fast`,
    description: `${share} of the calls of ${policy} fail. At this rate its error budget of 30 days lasts for less than 5 days.`
  },
  ErrorBudgetBurnSlow: {
    severity: "warning",
    burns: [{ factor: 1, windows: ["3d", "6h"] }],
    summary: `The error budget of ${policy} burns`,
    description: `${share} of the calls of ${policy} fail. At this rate its error budget does not last for 30 days.`
  }
} as const satisfies Readonly<
  Record<
    string,
    {
      readonly severity: string
      readonly burns: ReadonlyArray<Burn>
      readonly summary: string
      readonly description: string
    }
  >
>

/** The budget of an objective below this cannot burn as fast as the fastest of these burns. */
export const leastObjective = 1 - 1 / burns.ErrorBudgetBurn.burns[0].factor

export type Name = WithThreshold | keyof typeof burns

/** The kinds of policies that see how every call ends. */
export const withOutcomes = ["circuit-breaker", "bulkhead", "retry", "hedge"]

const bad = { outcome: ["failure", "rejected", "timeout"] }
/** Calls that were interrupted, or whose outcome counts for nothing, are neither good nor bad. */
const counted = { outcome: ["success", "fallback", ...bad.outcome] }

export const burning = (
  all: ReadonlyArray<Burn>,
  budget: number,
  metrics: Metrics,
  of: { readonly policy: string; readonly kind: string }
): string => {
  const failing = (window: string, factor: number): string => {
    const calls = (matchers: typeof bad) => metrics.over(window).rate("calls_total", { ...of, ...matchers })
    return `${ratio(calls(bad), calls(counted))}\n> ${factor} * ${budget}`
  }
  return all
    .map(({ factor, windows: [long, short] }) =>
      [`(\n${indented(failing(long, factor))}\n)`, "and", `(\n${indented(failing(short, factor))}\n)`].join(
        "\n"
      )
    )
    .map((each) => (all.length === 1 ? each : `(\n${indented(each)}\n)`))
    .join("\nor\n")
}

const indented = (text: string): string => text.replaceAll(/^/gm, "  ")
