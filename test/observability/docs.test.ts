// The tables of docs/observability.md are those of the code.
import * as fs from "node:fs"
import * as path from "node:path"
import { Effect, Schedule } from "effect"
import {
  Bulkhead,
  Cache,
  CircuitBreaker,
  Fallback,
  Hedge,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { Observability } from "effect-resilience/observability"
import { describe, expect, it } from "vitest"
import { type Alert, alerts, burns } from "../../src/observability/alertTable.js"
import { runToEnd } from "../support/everyStep.js"
import { tracing } from "../support/tracing.js"

const docs = path.resolve(import.meta.dirname, "../../docs")
const page = fs.readFileSync(path.join(docs, "observability.md"), "utf8")

type Row = Readonly<Record<string, string>>

/** The table between the marks `<!-- name -->` and `<!-- /name -->`, by the names of its columns. */
const table = (name: string): ReadonlyArray<Row> => {
  const [, marked = ""] = page.split(new RegExp(`<!-- /?${name} -->`))
  const [head = [], , ...rows] = marked
    .trim()
    .split("\n")
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim())
    )
  return rows.map((row) => Object.fromEntries(head.map((column, index) => [column, row[index] ?? ""])))
}

/** What a cell has in backticks. */
const codes = (cell = ""): ReadonlyArray<string> =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code)

const words = (cell = ""): ReadonlyArray<string> => cell.split(", ").filter((word) => word !== "")

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

/** Calls whose spans get every event that there is. */
const told = Effect.gen(function* () {
  const refused = Effect.fail("refused")
  const slow = Effect.sleep("20 millis")
  yield* refused.pipe(Retry.retry({ times: 1, schedule: Schedule.recurs(1) }), Effect.exit)
  yield* refused.pipe(Retry.retry({ abortWhen: () => true }), Effect.exit)
  yield* slow.pipe(Hedge.hedge({ delay: "5 millis" }))
  yield* refused.pipe(Hedge.hedge({ delay: "5 millis" }), Effect.exit)
  yield* slow.pipe(Timeout.timeout("5 millis"), Effect.exit)
  yield* refused.pipe(Fallback.orElse(() => Effect.void))
  const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
  yield* Effect.exit(breaker.protect(refused))
  yield* Effect.exit(breaker.protect(refused))
  yield* breaker.isolate
  const places = yield* Bulkhead.make({ permits: 1, maxQueued: 1 })
  const rate = RateLimiter.smooth({ limit: 1, per: "1 second" })
  const limiter = yield* RateLimiter.make({ rate, maxWait: "1 second" })
  const calls = [Effect.exit(places.protect(slow)), Effect.exit(limiter.protect(slow))]
  yield* Effect.all([...calls, ...calls, ...calls], { concurrency: "unbounded" })
  const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ capacity: 1, ratio: 1 }) })
  yield* budget.tryWithdraw()
  yield* budget.tryWithdraw()
  yield* budget.recordSuccess
  yield* budget.tryWithdraw()
  const lookup = () => Effect.void
  const cache = yield* Cache.make({ lookup, timeToLive: "5 millis", staleWhileRevalidate: "1 second" })
  yield* cache.get("key")
  yield* Effect.sleep("10 millis")
  yield* cache.get("key")
}).pipe(Effect.scoped, Effect.withSpan("call"), Effect.provide(Observability.layer({ logs: false })))

it("the page about observability has every event of a span with its attributes and kinds", () => {
  const { named, tracer } = tracing()
  runToEnd(Effect.withTracer(told, tracer))
  const found = new Map<unknown, { readonly kinds: Set<unknown>; readonly attributes: Set<string> }>()
  for (const { attributes, name } of named("call").flatMap(({ events }) => events)) {
    const { "resilience.kind": kind, "resilience.policy": _, ...own } = attributes
    const event = found.get(name) ?? { kinds: new Set(), attributes: new Set() }
    found.set(name, event)
    event.kinds.add(kind)
    for (const attribute of Object.keys(own)) event.attributes.add(attribute)
  }
  const rows = table("spans").map((row) => {
    const attributes = codes(row["Attributes"]).map((name) =>
      name === "error.type" ? name : `resilience.${name}`
    )
    return [
      codes(row["Event"])[0],
      { kinds: new Set(words(row["Kinds"])), attributes: new Set(attributes) }
    ] as const
  })
  // Only a process that stands still has the time for which it stood.
  found.get("resilience.timeout")?.attributes.add("resilience.stalled")
  expect(new Map<unknown, unknown>(rows)).toEqual(found)
})
