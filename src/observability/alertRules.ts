/** Makes the alerting rules for some policies, as the options say. */
import { among, callable, InvalidOption, number, object, type Shape, text } from "../core/options.js"
import { duration as isDuration, optionMillis } from "../internal/duration.js"
import type * as Alerts from "./Alerts.js"
import {
  type Alert,
  alerts,
  burning,
  burns,
  leastObjective,
  type WithThreshold,
  withOutcomes
} from "./alertTable.js"
import { labelNames, labels, listOf, prefix, prefixOf } from "./labelOptions.js"
import type { Present } from "./present.js"
import { duration, Metrics } from "./promql.js"

const tuningShape: Shape<Alerts.Tuning> = { for: isDuration({ zero: true }), severity: text, labels }

const unlessLeftOut =
  <O>(shape: Shape<O>) =>
  (policy: string, option: string, value: unknown): void => {
    if (value !== false) object(policy, option, value, shape)
  }

const thresholdTuning = unlessLeftOut<Alerts.ThresholdTuning>({ ...tuningShape, threshold: number(0) })
const tuning = unlessLeftOut(tuningShape)

const alertsShape = Object.fromEntries([
  ...Object.keys(alerts).map((name) => [name, thresholdTuning] as const),
  ...Object.keys(burns).map((name) => [name, tuning] as const)
])

const sloShape: Shape<Alerts.Slo> = {
  policy: text,
  kind: among(...withOutcomes),
  objective: (policy, option, value) => {
    if (typeof value !== "number" || !(value > leastObjective && value < 1))
      throw new InvalidOption(policy, option, value, "a share greater than 0.9306 and less than 1")
  }
}

const shape: Shape<Alerts.Options> = {
  slos: listOf((policy, option, value) => {
    object(policy, option, value, sloShape)
    const { objective, policy: name } = value as Partial<Alerts.Slo>
    text(policy, `${option}.policy`, name)
    sloShape.objective(policy, `${option}.objective`, objective)
  }),
  alerts: (policy, option, value) => object(policy, option, value, alertsShape),
  window: isDuration(),
  prefix,
  matchers: labels,
  by: labelNames,
  labels,
  group: text,
  runbook: callable
}

export const made = (
  caller: string,
  policies: ReadonlyArray<Present>,
  options: Alerts.Options
): Alerts.Rules => {
  object(caller, "", options, shape)
  const { by = ["job"], group = "effect-resilience", matchers = {}, slos = [] } = options
  const windowMillis = optionMillis(caller, "window", options.window ?? "5 minutes")
  const metrics = new Metrics({
    prefix: prefixOf(options),
    matchers,
    by: [...by, "policy"],
    window: duration(windowMillis)
  })

  const rule = (
    alert: Alerts.Name,
    expr: string,
    said: Pick<Alert, "severity" | "summary" | "description">,
    forMillis: number,
    labels: Readonly<Record<string, string>> = {}
  ): Alerts.Rule | undefined => {
    const { [alert]: tuning = {} } = options.alerts ?? {}
    if (tuning === false) return undefined
    const held =
      tuning.for === undefined
        ? forMillis
        : optionMillis(caller, `alerts.${alert}.for`, tuning.for, { zero: true })
    return {
      alert,
      expr,
      ...(held === 0 ? {} : { for: duration(held) }),
      labels: {
        ...options.labels,
        severity: tuning.severity ?? said.severity ?? "warning",
        ...labels,
        ...tuning.labels
      },
      annotations: {
        summary: said.summary,
        description: said.description,
        ...(options.runbook === undefined ? {} : { runbook_url: options.runbook(alert) })
      }
    }
  }

  const ofKinds = (Object.entries(alerts) as ReadonlyArray<[WithThreshold, Alert]>).map(([name, alert]) => {
    const kinds = alert.kinds.filter((kind) => policies.some((policy) => policy.kind === kind))
    if (kinds.length === 0) return undefined
    const { [name]: tuning = {} } = options.alerts ?? {}
    const threshold = tuning === false ? undefined : tuning.threshold
    const measured = `${alert.measured(metrics, kinds)}\n> ${threshold ?? alert.threshold}`
    const expr = alert.onlyIf === undefined ? measured : `${measured}\nand\n${alert.onlyIf(metrics)}`
    return rule(name, expr, alert, alert.forMillis ?? windowMillis)
  })

  const ofSlos = slos.flatMap(({ kind, objective, policy }, index) => {
    const of = { policy, kind: kind ?? kindOf(caller, `slos[${index}].policy`, policy, policies) }
    // 1 - 0.999 has digits of rounding at its end.
    const budget = Number((1 - objective).toPrecision(12))
    const labels = { kind: of.kind, slo: String(objective) }
    return (Object.keys(burns) as ReadonlyArray<keyof typeof burns>).map((name) =>
      rule(name, burning(burns[name].burns, budget, metrics, of), burns[name], 0, labels)
    )
  })

  return { groups: [{ name: group, rules: [...ofKinds, ...ofSlos].filter((each) => each !== undefined) }] }
}

/** The kind of the one policy of a name whose calls have outcomes. */
const kindOf = (caller: string, option: string, name: string, policies: ReadonlyArray<Present>): string => {
  const [found, ...others] = policies.filter(
    (policy) => policy.name === name && withOutcomes.includes(policy.kind)
  )
  if (found !== undefined && others.length === 0) return found.kind
  const known = withOutcomes.join(", ")
  throw new InvalidOption(
    caller,
    option,
    name,
    found === undefined
      ? `the name of one of the policies that see every call (${known})`
      : `the name of one policy, or have a kind, because there are several (${[found, ...others].map(({ kind }) => kind).join(", ")})`
  )
}
