// The figures that the page about observability computes, as Prometheus computes them of known counts.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { testRules } from "../support/prometheus.js"
import { codes, table } from "./page.js"

/** A series of one program, and its values as promtool writes them: `0+15x40` is 0 and then 40 times 15 more, one a minute. */
type Input = Readonly<Record<string, string>>

interface Figure {
  readonly input: Input
  /** The value of each series of the answer, by its labels. */
  readonly is: Readonly<Record<string, number>>
}

const of =
  (kind: string, policy: string) =>
  (metric: string, labels = ""): string =>
    `resilience_${metric}{job="shop",policy="${policy}",kind="${kind}"${labels && `,${labels}`}}`

const retry = of("retry", "orders")
const hedge = of("hedge", "reads")
const budget = of("retry-budget", "retries")
const breaker = of("circuit-breaker", "partner")
const bulkhead = of("bulkhead", "reports")
const limiter = of("rate-limiter", "users")
const cache = of("cache", "offers")

/** A histogram with so many more values in each minute up to each bound. */
const buckets = (series: typeof breaker, metric: string, upTo: Readonly<Record<string, number>>): Input =>
  Object.fromEntries(
    Object.entries(upTo).map(([le, count]) => [
      series(`${metric}_seconds_bucket`, `le="${le}"`),
      `0+${count}x40`
    ])
  )

const figures: Readonly<Record<string, Figure>> = {
  "Amplification: attempts for each call": {
    input: {
      [retry("attempts_total", 'attempt_type="original"')]: "0+60x40",
      [retry("attempts_total", 'attempt_type="retry"')]: "0+30x40",
      [hedge("attempts_total", 'attempt_type="original"')]: "0+60x40",
      [hedge("attempts_total", 'attempt_type="hedge"')]: "0+60x40"
    },
    is: { '{kind="retry",policy="orders"}': 1.5, '{kind="hedge",policy="reads"}': 2 }
  },
  "Wasted work: share of attempts without use": {
    input: {
      [hedge("attempts_total", 'attempt_type="original"')]: "0+60x40",
      [hedge("attempts_total", 'attempt_type="hedge"')]: "0+60x40",
      [hedge("attempts_wasted_total")]: "0+30x40"
    },
    is: { '{kind="hedge",policy="reads"}': 0.25 }
  },
  "Headroom of a budget, from 0 to 1": {
    input: { [budget("budget_balance")]: "25x40", [budget("budget_capacity")]: "100x40" },
    is: { '{job="shop",kind="retry-budget",policy="retries"}': 0.25 }
  },
  "Rejections by reason": {
    input: {
      [limiter("rejections_total", 'reason="rate"')]: "0+60x40",
      [limiter("rejections_total", 'reason="queue"')]: "0+30x40",
      [breaker("rejections_total", 'reason="open"')]: "0+120x40"
    },
    is: {
      '{kind="rate-limiter",policy="users",reason="rate"}': 1,
      '{kind="rate-limiter",policy="users",reason="queue"}': 0.5,
      '{kind="circuit-breaker",policy="partner",reason="open"}': 2
    }
  },
  "Time to recover, median of a week": {
    input: buckets(breaker, "circuit_recovery_duration", { 10: 0, 30: 2, 60: 2, "+Inf": 2 }),
    is: { '{policy="partner"}': 20 }
  },
  "Time in a queue, 99th percentile": {
    input: {
      ...buckets(limiter, "queue_duration", { 1: 99, 2.5: 100, "+Inf": 100 }),
      ...buckets(bulkhead, "queue_duration", { 1: 98, 2.5: 100, "+Inf": 100 })
    },
    is: { '{policy="users"}': 1, '{policy="reports"}': 1.75 }
  },
  "Share of permits in use": {
    input: {
      [bulkhead("in_flight")]: "5x40",
      [bulkhead("limit")]: "20x40",
      [breaker("in_flight")]: "3x40",
      [limiter("limit")]: "10x40"
    },
    is: { '{job="shop",kind="bulkhead",policy="reports"}': 0.25 }
  },
  "Hit ratio of a cache": {
    input: {
      [cache("cache_requests_total", 'result="hit"')]: "0+90x40",
      [cache("cache_requests_total", 'result="miss"')]: "0+20x40",
      [cache("cache_requests_total", 'result="stale"')]: "0+10x40"
    },
    is: { '{policy="offers"}': 0.75 }
  }
}

const documented = new Map(table("figures").map((row) => [row["Figure"], codes(row["PromQL"])[0]]))

describe("the figures to compute", () => {
  it.effect.each(Object.entries(figures))("%s", ([name, { input, is }]) =>
    Effect.gen(function* () {
      const { output, status } = yield* testRules("groups: []", {
        tests: [
          {
            interval: "1m",
            input_series: Object.entries(input).map(([series, values]) => ({ series, values })),
            promql_expr_test: [
              {
                expr: documented.get(name),
                eval_time: "30m",
                exp_samples: Object.entries(is).map(([labels, value]) => ({ labels, value }))
              }
            ]
          }
        ]
      })
      assert.strictEqual(status, 0, output)
    })
  )

  it("are all computed here", () => {
    assert.deepStrictEqual([...documented.keys()], Object.keys(figures))
  })
})
