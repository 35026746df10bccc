// What the dashboard consists of, compared to what Grafana's own library says a dashboard is. What its queries find is in
// grafana.prometheus.live.test.ts.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { CircuitBreaker, Policy, Retry, Timeout } from "effect-resilience"
import { Grafana, Observability } from "effect-resilience/observability"
import * as common from "@grafana/grafana-foundation-sdk/common"
import * as sdk from "@grafana/grafana-foundation-sdk/dashboard"
import * as prometheus from "@grafana/grafana-foundation-sdk/prometheus"
import * as stat from "@grafana/grafana-foundation-sdk/stat"
import * as timeseries from "@grafana/grafana-foundation-sdk/timeseries"
import { kinds } from "./kinds.js"

const all = Grafana.make(kinds.map((kind) => ({ kind, name: "pay" })))

const panelsOf = ({ panels }: Grafana.Dashboard): ReadonlyArray<Grafana.Panel> =>
  panels.filter((panel) => panel.type !== "row")

const titles = ({ panels }: Grafana.Dashboard) =>
  panels.filter((panel) => panel.type === "row").map(({ title }) => title)

/** A type of Grafana's library as plain data, without enumerations. What that library leaves open is `unknown`. */
type Plain<T> = 0 extends 1 & T
  ? unknown
  : T extends string
    ? `${T}`
    : T extends number
      ? `${T}` extends `${infer N extends number}`
        ? N
        : T
      : T extends ReadonlyArray<infer Item>
        ? ReadonlyArray<Plain<Item>>
        : T extends object
          ? { readonly [K in keyof T as T[K] extends (...args: never) => unknown ? never : K]: Plain<T[K]> }
          : T

/** The fields of one object that another one has not. */
const missing = (ours: unknown, theirs: unknown, at = ""): ReadonlyArray<string> => {
  if (typeof ours !== "object" || ours === null) return Object.is(ours, theirs) ? [] : [at]
  return Object.entries(ours).flatMap(([key, value]) =>
    missing(value, (Object(theirs) as Record<string, unknown>)[key], `${at}/${key}`)
  )
}

describe("the dashboard", () => {
  it("is of the types of Grafana's own library", () => {
    const dashboard: Plain<ReturnType<typeof sdk.defaultDashboard>> = all
    for (const panel of panelsOf(all)) {
      const targets: ReadonlyArray<Plain<prometheus.Dataquery>> = panel.targets
      const custom: Plain<timeseries.FieldConfig> | undefined = panel.fieldConfig.defaults.custom
      const options: Plain<timeseries.Options> | Plain<stat.Options> = panel.options
      assert.isAbove(targets.length, 0)
      assert.strictEqual(custom === undefined, panel.type === "stat")
      assert.strictEqual("legend" in options, panel.type === "timeseries")
    }
    assert.strictEqual(dashboard.schemaVersion, sdk.defaultDashboard().schemaVersion)
  })

  it("is what Grafana's own library builds, except for the defaults that it adds", () => {
    const variable = new sdk.DatasourceVariableBuilder("datasource").label("Prometheus").type("prometheus")
    assert.deepStrictEqual(missing(all.templating.list[0], variable.build()), [])
    const annotation = new sdk.AnnotationQueryBuilder()
      .name("Circuits that open")
      .enable(true)
      .iconColor("red")
      .datasource({ type: "prometheus", uid: "${datasource}" })
      .expr(all.annotations.list[0]?.expr ?? "")
      .titleFormat("{{policy}} opens")
    assert.deepStrictEqual(missing(all.annotations.list[0], annotation.build()), [])
    for (const panel of panelsOf(all)) {
      const isStacked = panel.fieldConfig.defaults.custom?.stacking.mode === "normal"
      const builder =
        panel.type === "stat"
          ? new stat.PanelBuilder().reduceOptions(
              new common.ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false)
            )
          : new timeseries.PanelBuilder()
              .fillOpacity(isStacked ? 30 : 0)
              .showPoints(common.VisibilityMode.Never)
              .stacking(
                new common.StackingConfigBuilder()
                  .mode(isStacked ? common.StackingMode.Normal : common.StackingMode.None)
                  .group("A")
              )
              .legend(new common.VizLegendOptionsBuilder().showLegend(true))
              .tooltip(
                new common.VizTooltipOptionsBuilder()
                  .mode(common.TooltipDisplayMode.Multi)
                  .sort(common.SortOrder.Descending)
              )
      for (const { expr, legendFormat, refId } of panel.targets) {
        builder.withTarget(
          new prometheus.DataqueryBuilder()
            .refId(refId)
            .expr(expr)
            .legendFormat(legendFormat)
            .range()
            .datasource({ type: "prometheus", uid: "${datasource}" })
        )
      }
      const theirs = builder
        .id(panel.id)
        .title(panel.title)
        .description(panel.description)
        .datasource({ type: "prometheus", uid: "${datasource}" })
        .gridPos({ ...panel.gridPos })
        .unit(panel.fieldConfig.defaults.unit)
        .min(0)
        .overrides(panel.fieldConfig.overrides.map((each) => ({ ...each, properties: [...each.properties] })))
        .build()
      assert.deepStrictEqual(missing(panel, theirs), [], panel.title)
    }
  })

  it("has a row for each kind of policy that is there", () => {
    assert.deepStrictEqual(titles(all), [
      "Circuit breakers",
      "Retries",
      "Hedges",
      "Retry budgets",
      "Bulkheads",
      "Rate limiters",
      "Timeouts",
      "Fallbacks",
      "Caches"
    ])
    assert.deepStrictEqual(titles(Grafana.make([{ kind: "mine", name: "a" }])), [])
    assert.deepStrictEqual(Grafana.make([{ kind: "retry", name: "a" }]).annotations.list, [])
    const pipeline = Policy.pipeline(Timeout.timeout("2 seconds"), Retry.retry({ times: 2 }))
    assert.deepStrictEqual(titles(Grafana.make([pipeline])), ["Retries", "Timeouts"])
  })

  it.effect("has a row for each kind of policy in the registry", () =>
    Effect.gen(function* () {
      yield* CircuitBreaker.make({ name: "partner" })
      assert.deepStrictEqual(titles(yield* Grafana.fromRegistry()), ["Circuit breakers"])
    }).pipe(Effect.provide(Observability.layer()))
  )

  it("has panels that neither overlap nor leave a line between them, each with an id of its own", () => {
    const taken = new Map<string, number>()
    for (const { gridPos, id } of all.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.isFalse(taken.has(`${x} ${y}`))
          assert.isBelow(x, 24)
          taken.set(`${x} ${y}`, id)
        }
      }
    }
    const lines = new Set([...taken.keys()].map((place) => Number(place.split(" ")[1])))
    assert.strictEqual(lines.size, Math.max(...lines) + 1)
    assert.strictEqual(new Set(all.panels.map(({ id }) => id)).size, all.panels.length)
  })

  it("asks for the chosen policies of the program alone, by the names that its metrics have", () => {
    const dashboard = Grafana.make([{ kind: "circuit-breaker", name: "partner" }], {
      title: "Shop",
      uid: "shop",
      tags: ["a"],
      prefix: "my.shop",
      matchers: { job: 'sh"op' }
    })
    assert.deepInclude(dashboard, { title: "Shop", uid: "shop", tags: ["a"] })
    assert.strictEqual(
      dashboard.templating.list[1]?.query,
      'label_values({__name__=~"my_shop_.+",job="sh\\"op"}, policy)'
    )
    const queries = [...panelsOf(dashboard).flatMap(({ targets }) => targets), ...dashboard.annotations.list]
    for (const { expr } of queries) {
      const selectors = expr.match(/my_shop_\w+\{.*?\}/g) ?? []
      assert.isAbove(selectors.length, 0)
      for (const selector of selectors) assert.include(selector, '{job="sh\\"op",policy=~"$policy"')
    }
  })

  const refused: ReadonlyArray<readonly [option: string, options: unknown]> = [
    ["title", { title: "" }],
    ["uid", { uid: "a b" }],
    ["uid", { uid: "x".repeat(41) }],
    ["tags", { tags: "a" }],
    ["tags[0]", { tags: [""] }],
    ["prefix", { prefix: "" }],
    ["matchers.job", { matchers: { job: 1 } }],
    ["name", { name: "a" }]
  ]
  for (const [option, options] of refused) {
    it(`is not made with ${JSON.stringify(options)}`, () => {
      try {
        Grafana.make([], options as Grafana.Options)
      } catch (error) {
        assert.instanceOf(error, Policy.InvalidOption)
        assert.deepInclude({ ...(error as object) }, { policy: "Grafana.make", option })
        return
      }
      assert.fail("it was made")
    })
  }
})
