/**
 * A dashboard for Grafana, made for the policies that a program has.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Policy from "../policy/Policy.js"
import { made } from "./grafanaDashboard.js"
import { listed, registered } from "./present.js"
import type * as Registry from "./Registry.js"

/**
 * A dashboard as Grafana imports it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dashboard {
  readonly title: string
  readonly uid: string
  readonly tags: ReadonlyArray<string>
  readonly schemaVersion: 42
  readonly timezone: "browser"
  readonly editable: true
  /** All panels show the point in time that the pointer is at. */
  readonly graphTooltip: 1
  readonly refresh: string
  readonly time: { readonly from: string; readonly to: string }
  readonly templating: { readonly list: ReadonlyArray<Variable> }
  readonly annotations: { readonly list: ReadonlyArray<Annotation> }
  readonly panels: ReadonlyArray<Row | Panel>
}

/**
 * A choice at the top of the dashboard.
 *
 * @since 0.1.0
 * @category models
 */
export interface Variable {
  readonly type: "datasource" | "query"
  readonly name: string
  readonly label: string
  readonly query: string
  readonly datasource?: DataSource
  readonly current?: { readonly text: ReadonlyArray<string>; readonly value: ReadonlyArray<string> }
  readonly multi?: boolean
  readonly includeAll?: boolean
  readonly allValue?: string
  /** 2: whenever the range of time changes. */
  readonly refresh?: 2
  /** 1: by the alphabet. */
  readonly sort?: 1
}

/**
 * Something that happened, drawn into all panels.
 *
 * @since 0.1.0
 * @category models
 */
export interface Annotation {
  readonly name: string
  readonly datasource: DataSource
  readonly enable: boolean
  readonly iconColor: string
  readonly expr: string
  readonly titleFormat: string
}

/**
 * The Prometheus that the variable `datasource` names.
 *
 * @since 0.1.0
 * @category models
 */
export interface DataSource {
  readonly type: "prometheus"
  readonly uid: "${datasource}"
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Row {
  readonly id: number
  readonly type: "row"
  readonly title: string
  readonly collapsed: false
  readonly gridPos: GridPosition
  readonly panels: readonly []
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Panel {
  readonly id: number
  readonly type: "timeseries" | "stat"
  readonly title: string
  readonly description: string
  readonly datasource: DataSource
  readonly gridPos: GridPosition
  readonly targets: ReadonlyArray<Target>
  readonly fieldConfig: {
    readonly defaults: {
      readonly unit: string
      readonly min: 0
      /** How the series of a `timeseries` are drawn. */
      readonly custom?: {
        readonly fillOpacity: number
        readonly showPoints: "never"
        readonly stacking: { readonly mode: "none" | "normal"; readonly group: "A" }
      }
    }
    readonly overrides: ReadonlyArray<ColorOverride>
  }
  readonly options: TimeseriesOptions | StatOptions
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Target {
  readonly refId: string
  readonly datasource: DataSource
  readonly expr: string
  readonly legendFormat: string
  readonly range: true
}

/**
 * @since 0.1.0
 * @category models
 */
export interface GridPosition {
  readonly h: number
  readonly w: number
  readonly x: number
  readonly y: number
}

/**
 * Gives series a color by their names.
 *
 * @since 0.1.0
 * @category models
 */
export interface ColorOverride {
  readonly matcher: { readonly id: "byRegexp"; readonly options: string }
  readonly properties: readonly [
    { readonly id: "color"; readonly value: { readonly mode: "fixed"; readonly fixedColor: string } }
  ]
}

/**
 * @since 0.1.0
 * @category models
 */
export interface TimeseriesOptions {
  readonly legend: {
    readonly displayMode: "list"
    readonly placement: "bottom"
    readonly showLegend: true
    readonly calcs: readonly []
  }
  readonly tooltip: { readonly mode: "multi"; readonly sort: "desc" }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface StatOptions {
  readonly graphMode: "area"
  readonly colorMode: "value"
  readonly justifyMode: "auto"
  readonly textMode: "auto"
  readonly orientation: "auto"
  readonly wideLayout: true
  readonly showPercentChange: false
  readonly percentChangeColorMode: "standard"
  readonly reduceOptions: { readonly calcs: readonly ["lastNotNull"]; readonly values: false }
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Options {
  /** Default: `"Resilience"`. */
  readonly title?: string | undefined
  /** The end of its address: 1 to 40 letters, digits, `-` and `_`. Default: `"effect-resilience"`. */
  readonly uid?: string | undefined
  /** Default: `["effect-resilience"]`. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** What the names of the metrics begin with, as for `Observability.layer`. Default: `"resilience"`. */
  readonly prefix?: string | undefined
  /** Labels that all series must have, such as `{ job: "shop" }`, where other programs have policies too. Default: none. */
  readonly matchers?: Readonly<Record<string, string>> | undefined
}

/**
 * Anything that has the kind and the name of a policy: a policy, a pipeline, an instance, or the `described` of a keyed policy.
 *
 * @since 0.1.0
 * @category options
 */
export interface Source {
  readonly kind: string
  readonly name: string
  readonly settings?: Policy.Settings | undefined
}

/**
 * Makes a dashboard for policies, of which only the kind matters; the parts of a pipeline take its place. It has a row for each kind,
 * and lets its readers choose the Prometheus and the policies. All panels show when a circuit opens. The metrics have this library's
 * own names, which is `names: "resilience"`. Bad options throw `InvalidOption`.
 *
 * Its JSON is what Grafana imports, or reads from a folder of dashboards: the classic model, schema version 42.
 *
 * @example
 * ```ts
 * import * as fs from "node:fs"
 * import { Policy, Retry, Timeout } from "effect-resilience"
 * import { Grafana } from "effect-resilience/observability"
 *
 * const offers = Policy.pipeline(Timeout.timeout("2 seconds"), Retry.retry({ times: 2, name: "offers" }))
 *
 * const dashboard = Grafana.make([offers, { kind: "circuit-breaker", name: "partner" }], { title: "Shop" })
 * fs.writeFileSync("dashboard.json", JSON.stringify(dashboard, null, 2))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (policies: ReadonlyArray<Source>, options: Options = {}): Dashboard =>
  made("Grafana.make", listed("Grafana.make", policies), options)

/**
 * Makes a dashboard for the policies in the registry, as {@link make}. It knows retries, hedges, timeouts and fallbacks from their
 * first event on, so a program that has just started should list them for {@link make}. Bad options are a defect of type
 * `InvalidOption`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 * import { Grafana, Observability } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function* () {
 *   yield* CircuitBreaker.make({ name: "partner" })
 *   const dashboard = yield* Grafana.fromRegistry({ matchers: { job: "shop" } })
 *   console.log(JSON.stringify(dashboard))
 * }).pipe(Effect.provide(Observability.layer()))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromRegistry = (options: Options = {}): Effect.Effect<Dashboard, never, Registry.Registry> =>
  Effect.map(registered("Grafana.fromRegistry"), (policies) =>
    made("Grafana.fromRegistry", policies, options)
  )
