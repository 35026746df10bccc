/** What it takes to look at ten thousand policies at once: breakers of which each has been called since the last look, and idle ones. */
import { Effect, Exit, Layer, Metric, MetricPair, Scope } from "effect"
import { CircuitBreaker, Trip } from "effect-resilience"
import { Observability, Prometheus, Registry } from "effect-resilience/observability"
import { median } from "./median.js"
import { figure, type Study } from "./studies.js"

const policies = 10_000

const make = Effect.gen(function* () {
  const calls: Array<Effect.Effect<unknown, CircuitBreaker.CircuitOpen>> = []
  for (let index = 0; index < policies; index++) {
    const name = `breaker ${index}`
    const { protect } = yield* CircuitBreaker.make({ name, trip: Trip.consecutive(5) })
    calls.push(protect(Effect.void))
  }
  return { callAll: Effect.all(calls, { discard: true }), registry: yield* Registry.Registry }
})

/** Milliseconds, the median over some rounds. */
const taken = async (look: Effect.Effect<unknown>, before: Effect.Effect<unknown, unknown> = Effect.void) => {
  const millis: Array<number> = []
  for (let round = -3; round < 9; round++) {
    await Effect.runPromise(before)
    globalThis.gc?.()
    // What the collector still has to sweep is no part of a look.
    await new Promise((resolve) => setTimeout(resolve, 20))
    const startedAt = performance.now()
    Effect.runSync(look)
    if (round >= 0) millis.push(performance.now() - startedAt)
  }
  return median(millis)
}

export const scrapes = async (): Promise<ReadonlyArray<Study>> => {
  const scope = await Effect.runPromise(Scope.make())
  const layer = Observability.layer({ spans: false, logs: false })
  const context = await Effect.runPromise(Scope.extend(Layer.build(layer), scope))
  const { callAll, registry } = await Effect.runPromise(Effect.provide(make, context))
  await Effect.runPromise(callAll)
  const series = Metric.unsafeSnapshot()
  const readAll = Effect.flatMap(registry.all, (entries) =>
    Effect.forEach(entries, ({ instance }) => instance?.snapshot ?? Effect.void, { discard: true })
  )
  /** What Effect itself does for each series of a snapshot, at the least. */
  const pairs = Effect.sync(() =>
    series.map(({ metricKey, metricState }) => MetricPair.unsafeMake(metricKey, metricState))
  )
  const reading = await taken(readAll, callAll)
  const points = {
    "all entries of the registry": await taken(registry.all),
    "and a snapshot of each": reading,
    [`Effect's snapshot of ${series.length} series, idle`]: await taken(Metric.snapshot),
    "all called": await taken(Metric.snapshot, callAll),
    "its pairs alone": await taken(pairs),
    "the text for Prometheus, all called": await taken(Prometheus.text, callAll)
  }
  await Effect.runPromise(Scope.close(scope, Exit.void))
  return [
    {
      section: "A look at 10 000 policies",
      what: "breakers with metrics, ms",
      points: Object.entries(points).map(([at, millis]) => ({ at, shown: figure(millis) })),
      figure: { name: "registry with snapshots, ms", value: reading, target: 50 }
    }
  ]
}
