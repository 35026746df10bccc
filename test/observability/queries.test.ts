// The alerts and the dashboard ask for metrics by the names and labels that they have.
import { assert, describe, it } from "@effect/vitest"
import { Alerts, Grafana, Observability } from "effect-resilience/observability"
import { kinds } from "./kinds.js"

/** The names in the text of Prometheus, with the labels of their series and the kinds that have them. */
const known = new Map(
  Observability.metrics.resilience.flatMap(({ kinds, labels, name, type, unit }) => {
    const base = `${name.replaceAll(".", "_")}${unit === undefined ? "" : "_seconds"}`
    const suffixes = { counter: ["_total"], gauge: [""], histogram: ["_bucket", "_sum", "_count"] }[type]
    return suffixes.map((suffix) => [
      base + suffix,
      { labels: type === "histogram" ? [...labels, "le"] : labels, kinds }
    ])
  })
)

const queriesOf = (kind: string): ReadonlyArray<string> => {
  const policies = [{ kind, name: "pay" }]
  const slos = ["circuit-breaker", "bulkhead", "retry"].includes(kind)
    ? [{ policy: "pay", objective: 0.99 }]
    : []
  const { annotations, panels } = Grafana.make(policies)
  return [
    ...Alerts.make(policies, { slos }).groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
    ...panels.flatMap((panel) => (panel.type === "row" ? [] : panel.targets.map(({ expr }) => expr))),
    ...annotations.list.map(({ expr }) => expr)
  ]
}

describe("a query", () => {
  for (const kind of kinds) {
    it(`about a ${kind} selects what a ${kind} has`, () => {
      const queries = queriesOf(kind)
      assert.isAbove(queries.length, 0)
      for (const query of queries) {
        const selectors = [...query.matchAll(/\b(resilience_\w+)(?:\{(.*?)\})?/g)]
        assert.isAbove(selectors.length, 0, query)
        for (const [, name = "", matchers = ""] of selectors) {
          const metric = known.get(name)
          assert.include(metric?.kinds ?? [], kind, `${name} in ${query}`)
          const labels = [...matchers.matchAll(/(\w+)(?:=~|!=|=)"/g)].map(([, label]) => label)
          for (const label of labels)
            assert.include(metric?.labels ?? [], label, `${label} of ${name} in ${query}`)
        }
        const metrics = selectors.map(([, name = ""]) => known.get(name)?.labels ?? [])
        const groups = [...query.matchAll(/\bby \((.*?)\)/g)].flatMap(([, by = ""]) => by.split(", "))
        for (const label of groups)
          assert.isTrue(
            label === "job" || metrics.some((labels) => labels.includes(label)),
            `${label} in ${query}`
          )
      }
    })
  }
})
