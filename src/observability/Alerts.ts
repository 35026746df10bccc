/**
 * Alerting rules for Prometheus, made for the policies that a program has.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { DurationInput } from "../internal/duration.js"
import type * as Policy from "../policy/Policy.js"
import { made } from "./alertRules.js"
import type * as table from "./alertTable.js"
import { listed, registered } from "./present.js"
import type * as Registry from "./Registry.js"
import { yaml as toYaml } from "./yaml.js"

/**
 * The alerts, each with the value above which it fires by default, and how long that has to last. Where it says `window`, that is the
 * range of the rates, so that one event alone is not enough.
 *
 * | Alert                  | For each               | Fires when                                                        | Above | For      |
 * | ---------------------- | ---------------------- | ----------------------------------------------------------------- | ----- | -------- |
 * | `CircuitOpen`          | circuit breaker        | circuits are open or half-open, and one was open in the last 5 min | 0     | 1 min    |
 * | `CircuitFlapping`      | circuit breaker        | a circuit has opened this often within 15 min                     | 3     | at once  |
 * | `RetryAmplification`   | retry                  | attempts for each call                                            | 1.5   | `window` |
 * | `RetryBudgetExhausted` | retry budget           | share of retries and hedges that it refused                       | 0.1   | `window` |
 * | `HedgeRate`            | hedge                  | hedges for each call                                              | 0.2   | `window` |
 * | `WastedWork`           | retry, hedge           | share of attempts whose answers were not used                     | 0.2   | `window` |
 * | `BulkheadSaturated`    | bulkhead               | share of permits in use, on average over `window`                 | 0.9   | 1 min    |
 * | `RateLimiterRejecting` | rate limiter           | share of calls that it rejected                                   | 0.05  | `window` |
 * | `FallbackInUse`        | fallback               | answers that it replaced in a second                              | 0     | `window` |
 * | `FallbackFailing`      | fallback               | calls in a second that failed in spite of it                      | 0     | `window` |
 * | `CacheStale`           | cache                  | share of values past their time to live                           | 0.5   | `window` |
 * | `CacheRefreshFailing`  | cache                  | share of refreshes that failed                                    | 0.5   | `window` |
 * | `ErrorBudgetBurn`      | SLO                    | a budget of 30 days burns 14.4 times too fast for 1 h and for 5 min, or 6 times for 6 h and for 30 min | | at once |
 * | `ErrorBudgetBurnSlow`  | SLO                    | it burns too fast for 3 d and for 6 h                             |       | at once  |
 *
 * Source of the last two: Google, The Site Reliability Workbook, chapter 5 (https://sre.google/workbook/alerting-on-slos/).
 *
 * @since 0.1.0
 * @category models
 */
export type Name = table.Name

/**
 * A rule as Prometheus reads it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rule {
  readonly alert: Name
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/**
 * The content of a file of rules.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rules {
  readonly groups: ReadonlyArray<{ readonly name: string; readonly rules: ReadonlyArray<Rule> }>
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Tuning {
  /** How long the condition has to hold. Default: see {@link Name}. */
  readonly for?: DurationInput | undefined
  /** The label `severity`. Default: `"critical"` for `ErrorBudgetBurn`, otherwise `"warning"`. */
  readonly severity?: string | undefined
  /** Further labels of this alert. */
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface ThresholdTuning extends Tuning {
  /** It fires above this. Default: see {@link Name}. */
  readonly threshold?: number | undefined
}

/**
 * A service level objective: which share of the calls of a policy has to succeed, over 30 days. A call that was interrupted or whose
 * outcome counts for nothing is neither good nor bad.
 *
 * @since 0.1.0
 * @category options
 */
export interface Slo {
  /** The name of a policy that sees how every call ends: a circuit breaker, a bulkhead, a retry or a hedge. */
  readonly policy: string
  /** Its kind. Default: that of the one policy of this name. */
  readonly kind?: "circuit-breaker" | "bulkhead" | "retry" | "hedge" | undefined
  /** A share such as 0.999, greater than 0.9306, less than 1: a larger budget cannot burn 14.4 times too fast. */
  readonly objective: number
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Options {
  /** Objectives. Each has two alerts on its error budget. Default: none. */
  readonly slos?: ReadonlyArray<Slo> | undefined
  /** Changes to single alerts. One that is `false` is left out. */
  readonly alerts?:
    | {
        readonly [A in Name]?: (A extends table.WithThreshold ? ThresholdTuning : Tuning) | false | undefined
      }
    | undefined
  /** The range of rates, at least four times the scrape interval. Default: 5 minutes. */
  readonly window?: DurationInput | undefined
  /** What the names of the metrics begin with, as for `Observability.layer`. Default: `"resilience"`. */
  readonly prefix?: string | undefined
  /** Labels that all series must have, such as `{ job: "shop" }`, where other programs have policies too. Default: none. */
  readonly matchers?: Readonly<Record<string, string>> | undefined
  /** The labels besides `policy` that tell one alert from another. Default: `["job"]`. */
  readonly by?: ReadonlyArray<string> | undefined
  /** Labels of all alerts, for routing. Default: none. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** The name of the group. Default: `"effect-resilience"`. */
  readonly group?: string | undefined
  /** What to read when it fires: the annotation `runbook_url`. Default: none. */
  readonly runbook?: ((alert: Name) => string) | undefined
}

/**
 * Makes the rules for policies, of which only the kind and the name matter; the parts of a pipeline take its place. There is a rule
 * for each alert that can fire in one of them. It is about all policies of its kind, those that are made later too. The metrics have
 * this library's own names, which is `names: "resilience"`. Bad options throw `InvalidOption`.
 *
 * @example
 * ```ts
 * import * as fs from "node:fs"
 * import { Policy, Retry, Timeout } from "effect-resilience"
 * import { Alerts } from "effect-resilience/observability"
 *
 * const offers = Policy.pipeline(Timeout.timeout("2 seconds"), Retry.retry({ times: 2, name: "offers" }))
 *
 * const rules = Alerts.make([offers, { kind: "circuit-breaker", name: "partner" }], {
 *   slos: [{ policy: "partner", objective: 0.999 }],
 *   alerts: { CircuitOpen: { for: "30 seconds", severity: "critical" }, WastedWork: false },
 *   matchers: { job: "shop" }
 * })
 * fs.writeFileSync("alerts.yaml", Alerts.yaml(rules))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (policies: ReadonlyArray<Source>, options: Options = {}): Rules =>
  made("Alerts.make", listed("Alerts.make", policies), options)

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
 * Makes the rules for the policies in the registry, as {@link make}. It knows retries, hedges, timeouts and fallbacks from their first
 * event on, so a program that has just started should list them for {@link make}. Bad options are a defect of type `InvalidOption`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 * import { Alerts, Observability } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function* () {
 *   yield* CircuitBreaker.make({ name: "partner" })
 *   const rules = yield* Alerts.fromRegistry()
 *   console.log(Alerts.yaml(rules)) // CircuitOpen and CircuitFlapping
 * }).pipe(Effect.provide(Observability.layer()))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromRegistry = (options: Options = {}): Effect.Effect<Rules, never, Registry.Registry> =>
  Effect.map(registered("Alerts.fromRegistry"), (policies) => made("Alerts.fromRegistry", policies, options))

/**
 * The rules as the text of a file for `rule_files` of Prometheus.
 *
 * @example
 * ```ts
 * import { Alerts } from "effect-resilience/observability"
 *
 * console.log(Alerts.yaml(Alerts.make([{ kind: "bulkhead", name: "reports" }])))
 * ```
 *
 * @since 0.1.0
 * @category formatting
 */
export const yaml = (rules: Rules): string =>
  toYaml({
    groups: rules.groups.map(({ name, rules }) => ({ name, rules: rules.map((rule) => ({ ...rule })) }))
  })
