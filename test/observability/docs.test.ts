// The tables of docs/observability.md are those of the code. The one of events is in spans.test.ts.
import * as fs from "node:fs"
import * as path from "node:path"
import { Observability } from "effect-resilience/observability"
import { Runtime } from "effect"
import { describe, expect, it } from "vitest"
import { type Alert, alerts, burns } from "../../src/observability/alertTable.js"
import * as Logs from "../../src/observability/logs.js"
import { codes, docs, page, type Row, table, words } from "./page.js"

const asMetric = (row: Row) => ({
  name: codes(row["Metric"])[0],
  type: row["Type"],
  unit: row["Unit"],
  labels: codes(row["Labels"]),
  kinds: words(row["Kinds"])
})

/** The metrics without the labels that all of them have. */
const documented = (metrics: ReadonlyArray<Observability.MetricInfo>, ...common: ReadonlyArray<string>) =>
  metrics.map(({ kinds, labels, name, type, unit = "" }) => ({
    name,
    type,
    unit,
    labels: labels.filter((label) => !common.includes(label)),
    kinds
  }))

const { polly, resilience, resilience4j } = Observability.metrics

/** What Prometheus can be asked for. */
const series = new Set(
  resilience.map(({ name, type, unit }) => {
    const base = [name.replaceAll(".", "_"), ...(unit === "s" ? ["seconds"] : [])].join("_")
    return { counter: `${base}_total`, gauge: base, histogram: `${base}_bucket` }[type]
  })
)

describe("the page about observability", () => {
  it("has every metric with its type, unit, labels and kinds", () => {
    expect(table("metrics").map(asMetric)).toEqual(documented(resilience, "policy", "kind"))
  })

  it("has the metrics by the names of other libraries", () => {
    const theirs = [...documented(resilience4j, "name"), ...documented(polly, "pipeline.name")]
    expect(table("conventions").map(asMetric)).toEqual(theirs)
  })

  it("computes figures from metrics that there are", () => {
    const asked = [...page.matchAll(/resilience_\w+/g)].map(([name]) => name)
    expect(asked.length).toBeGreaterThan(10)
    expect(asked.filter((name) => !series.has(name))).toEqual([])
  })

  it("has every event that is logged, by its kind if that is so by default", () => {
    const { found } = Logs.make({}, Runtime.defaultRuntime)
    const logged = [...found].flatMap(([kind, ofKind]) =>
      [...ofKind.keys()].map((tag) => [kind, tag] as const)
    )
    const rows = table("logs").map((row) => [row["Kind"]?.replaceAll(" ", "-"), codes(row["Event"])] as const)
    const byDefault = rows.flatMap(([kind, tags]) =>
      kind === "all" ? [] : tags.map((tag) => `${kind} ${tag}`)
    )
    const onRequest = rows.flatMap(([kind, tags]) => (kind === "all" ? tags : []))
    const others = logged.filter(([kind, tag]) => !byDefault.includes(`${kind} ${tag}`))
    expect(logged.length - others.length).toBe(byDefault.length)
    expect([...new Set(others.map(([, tag]) => tag))].sort()).toEqual([...onRequest].sort())
  })

  const holds: Readonly<Record<string, string>> = { undefined: "`window`", 0: "at once", 60_000: "1 minute" }

  it("has every alert with its kinds and when it fires by default", () => {
    const rows = table("alerts").map((row) => [
      codes(row["Alert"])[0],
      row["Kinds"] === "of an SLO" ? undefined : [...words(row["Kinds"])].sort(),
      row["Above"],
      row["For"]
    ])
    const ofKinds: ReadonlyArray<readonly [string, Alert]> = Object.entries(alerts)
    expect(rows).toEqual([
      ...ofKinds.map(([name, { forMillis, kinds, threshold }]) => [
        name,
        [...kinds].sort(),
        String(threshold),
        holds[String(forMillis)]
      ]),
      ...Object.keys(burns).map((name) => [name, undefined, "", "at once"])
    ])
  })

  it("says for every alert what to do, at an anchor of its name", () => {
    const [, runbook = ""] = page.split("### Runbook")
    const headings = [...runbook.matchAll(/^#### (\w+)$/gm)].map(([, name]) => name)
    expect(headings).toEqual([...Object.keys(alerts), ...Object.keys(burns)])
  })
})

describe("the page of a policy", () => {
  const kinds = [...new Set(resilience.flatMap((metric) => metric.kinds))]

  it.each(kinds)("names the metrics of a %s", (kind) => {
    const text = fs.readFileSync(path.join(docs, `${kind}.md`), "utf8")
    const [, sentence] =
      /Its \[metrics?\]\(observability\.md#metrics\) (?:are|is) (.*?)\.\n\n/s.exec(text) ?? []
    const names = resilience.filter((metric) => metric.kinds.includes(kind)).map(({ name }) => name)
    expect(codes(sentence)).toEqual(names)
  })
})
