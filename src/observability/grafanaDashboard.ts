/** Lays out the dashboard. */
import { type Check, InvalidOption, object, type Shape, text } from "../core/options.js"
import type * as Grafana from "./Grafana.js"
import { type PanelOf, rows } from "./grafanaTable.js"
import { labels, listOf, prefix, prefixOf } from "./labelOptions.js"
import type { Present } from "./present.js"
import { Metrics, series } from "./promql.js"

const uid: Check = (policy, option, value) => {
  if (typeof value !== "string" || !/^[\w-]{1,40}$/.test(value))
    throw new InvalidOption(policy, option, value, "1 to 40 letters, digits, - and _")
}

const shape: Shape<Grafana.Options> = {
  title: text,
  uid,
  tags: listOf(text),
  prefix,
  matchers: labels
}

const datasource: Grafana.DataSource = { type: "prometheus", uid: "${datasource}" }

/** The columns of the grid, and those of a panel. */
const [columns, width, height] = [24, 8, 8]

export const made = (
  caller: string,
  policies: ReadonlyArray<Present>,
  options: Grafana.Options
): Grafana.Dashboard => {
  object(caller, "", options, shape)
  const {
    matchers = {},
    tags = ["effect-resilience"],
    title = "Resilience",
    uid = "effect-resilience"
  } = options
  const metrics = new Metrics({
    prefix: prefixOf(options),
    // Grafana puts in a regular expression of what was chosen.
    matchers: { ...matchers, policy: { regex: "$policy" } },
    by: ["policy"],
    window: "$__rate_interval"
  })
  const has = (kinds: ReadonlyArray<string>): boolean => policies.some(({ kind }) => kinds.includes(kind))

  let id = 0
  let y = 0
  const panels: Array<Grafana.Row | Grafana.Panel> = []
  for (const row of rows.filter(({ kinds }) => has(kinds))) {
    const gridPos = { h: 1, w: columns, x: 0, y }
    panels.push({ id: ++id, type: "row", title: row.title, collapsed: false, gridPos, panels: [] })
    y += 1
    for (const [index, each] of row.panels.entries()) {
      const at = index * width
      const line = Math.floor(at / columns)
      panels.push(panel(++id, each, metrics, { h: height, w: width, x: at % columns, y: y + line * height }))
    }
    y += Math.ceil((row.panels.length * width) / columns) * height
  }

  return {
    title,
    uid,
    tags,
    schemaVersion: 42,
    timezone: "browser",
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    templating: {
      list: [
        { type: "datasource", name: "datasource", label: "Prometheus", query: "prometheus" },
        {
          type: "query",
          name: "policy",
          label: "Policy",
          datasource,
          query: `label_values(${series("", { __name__: { regex: `${prefixOf(options)}_.+` }, ...matchers })}, policy)`,
          current: { text: ["All"], value: ["$__all"] },
          multi: true,
          includeAll: true,
          allValue: ".*",
          refresh: 2,
          sort: 1
        }
      ]
    },
    annotations: { list: has(["circuit-breaker"]) ? [openings(metrics)] : [] },
    panels
  }
}

const openings = (metrics: Metrics): Grafana.Annotation => ({
  name: "Circuits that open",
  datasource,
  enable: true,
  iconColor: "red",
  expr: `${metrics.increase("circuit_transitions_total", { to: "open" })}\n> 0`,
  titleFormat: "{{policy}} opens"
})

const panel = (
  id: number,
  { description, isStacked = false, queries, title, type = "timeseries", unit }: PanelOf,
  metrics: Metrics,
  gridPos: Grafana.GridPosition
): Grafana.Panel => ({
  id,
  type,
  title,
  description,
  datasource,
  gridPos,
  targets: queries(metrics).map(({ expr, legend }, index) => ({
    refId: String.fromCharCode("A".charCodeAt(0) + index),
    datasource,
    expr,
    legendFormat: legend,
    range: true
  })),
  fieldConfig: {
    defaults: { unit, min: 0, ...(type === "timeseries" ? { custom: drawn(isStacked) } : {}) },
    overrides: colors
  },
  options: type === "stat" ? stat : timeseries
})

const drawn = (isStacked: boolean): NonNullable<Grafana.Panel["fieldConfig"]["defaults"]["custom"]> => ({
  fillOpacity: isStacked ? 30 : 0,
  showPoints: "never",
  stacking: { mode: isStacked ? "normal" : "none", group: "A" }
})

const color = (fixedColor: string, ...words: ReadonlyArray<string>): Grafana.ColorOverride => ({
  matcher: { id: "byRegexp", options: `/ (${words.join("|")})$/` },
  properties: [{ id: "color", value: { mode: "fixed", fixedColor } }]
})

/** What is bad has the same color everywhere. */
const colors: ReadonlyArray<Grafana.ColorOverride> = [
  color("red", "failure", "open", "refused"),
  color("orange", "rejected", "timeout", "stale"),
  color("yellow", "half-open", "retry", "hedge"),
  color("purple", "isolated", "fallback"),
  color("green", "success", "admitted", "hit", "original", "paid"),
  color("text", "at most")
]

const timeseries: Grafana.TimeseriesOptions = {
  legend: { displayMode: "list", placement: "bottom", showLegend: true, calcs: [] },
  tooltip: { mode: "multi", sort: "desc" }
}

const stat: Grafana.StatOptions = {
  graphMode: "area",
  colorMode: "value",
  justifyMode: "auto",
  textMode: "auto",
  orientation: "auto",
  wideLayout: true,
  showPercentChange: false,
  percentChangeColorMode: "standard",
  reduceOptions: { calcs: ["lastNotNull"], values: false }
}
