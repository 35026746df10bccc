/** What the queries of a dashboard find in a real Prometheus. */
import { Effect } from "effect"
import type { Grafana } from "effect-resilience/observability"
import type { Prometheus } from "../support/prometheus.js"
import { until } from "../support/until.js"

/** A query as Grafana sends it. */
const filledIn = (query: string): string =>
  query.replaceAll("$policy", ".*").replaceAll("$__rate_interval", "1m").replaceAll("$__range", "1m")

/** The queries of all panels. */
export const ofPanels = ({ panels }: Grafana.Dashboard): ReadonlyArray<string> =>
  panels.flatMap((panel) => (panel.type === "row" ? [] : panel.targets.map(({ expr }) => filledIn(expr))))

/** The queries for what is drawn into all panels. */
export const ofAnnotations = ({ annotations }: Grafana.Dashboard): ReadonlyArray<string> =>
  annotations.list.map(({ expr }) => filledIn(expr))

/** The series that queries are made of, of metrics whose names begin with a prefix. */
export const selectors = (prefix: string, queries: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set(queries.flatMap((query) => query.match(new RegExp(`\\b${prefix}_\\w+(\\{.*?\\})?`, "g")) ?? []))
]

/** Waits until Prometheus has found a number for each query. */
export const findAll = ({ query }: Prometheus, queries: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    let left = queries
    const isFound = (each: string) =>
      Effect.map(query(each), (series) => series.some(({ value: [, number] }) => number !== "NaN"))
    const search = Effect.suspend(() => Effect.filter(left, isFound, { negate: true }))
    return until(
      Effect.tap(search, (missing) => Effect.sync(() => (left = missing))),
      (missing) => missing.length === 0
    )
  })

/** The names that its menu offers. */
export const namesIn = ({ query }: Prometheus, { templating }: Grafana.Dashboard) => {
  const [, variable] = templating.list
  const [, of = ""] = /^label_values\((.*), policy\)$/.exec(variable?.query ?? "") ?? []
  return Effect.map(query(`count by (policy) (${of})`), (series) =>
    series.map(({ metric }) => metric["policy"])
  )
}
