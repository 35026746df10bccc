/** What a scrape of Effect's metrics shows, under a prefix that no other test has. */
import { Effect, Metric, MetricState } from "effect"
import { Observability } from "effect-resilience/observability"

let scrapes = 0

/** A prefix of a test's own, because Effect has one registry of metrics for the process. */
export const freshPrefix = (): string => `test${(scrapes += 1)}`

export type Shown =
  | number
  | {
      readonly count: number
      readonly sum: number
      readonly buckets: ReadonlyArray<readonly [number, number]>
    }

export interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly shown: Shown
}

const shownBy = (state: unknown): Shown => {
  if (MetricState.isCounterState(state)) return Number(state.count)
  if (MetricState.isGaugeState(state)) return Number(state.value)
  if (MetricState.isHistogramState(state)) {
    const { buckets, count, sum } = state
    return { buckets, count, sum }
  }
  throw new Error("no metric of ours is of this type")
}

/** All series whose name begins with a prefix, which is taken off. */
export const scrape = (prefix: string): ReadonlyArray<Series> =>
  Metric.unsafeSnapshot()
    .filter(({ metricKey }) => metricKey.name.startsWith(`${prefix}.`))
    .map(({ metricKey: { name, tags }, metricState }) => ({
      name: name.slice(prefix.length + 1),
      labels: Object.fromEntries(tags.map(({ key, value }) => [key, value])),
      shown: shownBy(metricState)
    }))

const has = (all: Series["labels"], some: Series["labels"]): boolean =>
  Object.entries(some).every(([label, value]) => all[label] === value)

/** What the only series of a name with these labels shows. */
export const shownAs = (prefix: string, name: string, labels: Series["labels"] = {}): Shown | undefined => {
  const found = scrape(prefix).filter((series) => series.name === name && has(series.labels, labels))
  if (found.length > 1) throw new Error(`${found.length} series of ${name} have ${JSON.stringify(labels)}`)
  return found[0]?.shown
}

/** The sum of all series of a name that have these labels. */
export const totalOf = (prefix: string, name: string, labels: Series["labels"] = {}): number =>
  scrape(prefix)
    .filter((series) => series.name === name && has(series.labels, labels))
    .reduce((sum, { shown }) => sum + (typeof shown === "number" ? shown : shown.count), 0)

/** Provides the layer with a prefix of the test's own. */
export const measured = (options: Observability.MetricsOptions = {}) => {
  const prefix = freshPrefix()
  const layer = () => Observability.layer({ metrics: { prefix, ...options }, logs: false })
  return {
    prefix,
    layer,
    observed: Effect.provide(layer()),
    shown: (name: string, labels?: Series["labels"]) => shownAs(prefix, name, labels),
    total: (name: string, labels?: Series["labels"]) => totalOf(prefix, name, labels)
  }
}
