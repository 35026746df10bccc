/** Metrics that have the names of another library, and so keep the unit that it has, where others are written in seconds. */
import { globalValue } from "effect/GlobalValue"
import type * as MetricKey from "effect/MetricKey"

const keeping = globalValue(
  Symbol.for("effect-resilience/metrics/keepingUnit"),
  () => new WeakSet<MetricKey.MetricKey.Untyped>()
)

/** Marks a metric whose name says its unit wherever it is written. */
export const keepUnit = (key: MetricKey.MetricKey.Untyped): void => void keeping.add(key)

export const keepsUnit = (key: MetricKey.MetricKey.Untyped): boolean => keeping.has(key)
