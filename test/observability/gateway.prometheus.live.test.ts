// The gateway of the examples, in a process of its own: what Effect's metrics count is of the whole process. A real Prometheus scrapes it
// and finds what the dashboard and the alerts of the gateway ask for.
import { HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Context, Data, Effect, Layer, Logger, LogLevel, Ref, Schedule } from "effect"
import type { Grafana } from "effect-resilience/observability"
import { spawn } from "node:child_process"
import * as path from "node:path"
import * as Upstream from "../../examples/gateway/upstream/server.js"
import { startPrometheus } from "../support/prometheus.js"
import { until } from "../support/until.js"
import { findAll, namesIn, ofAnnotations, ofPanels, selectors } from "./found.js"

class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly message: string }> {}

const root = path.resolve(import.meta.dirname, "../..")
const program = path.join(root, "examples/gateway/gateway.ts")

/** How many requests a second the gateway admits for each API key. */
const rate = 20

/** Starts the gateway, which ends with the scope. */
const startGateway = (upstream: string) =>
  Effect.gen(function* () {
    const options = {
      port: 0,
      catalog: upstream,
      orders: upstream,
      rate,
      "open-for": "300 millis",
      "log-format": "json"
    }
    let output = ""
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
        const child = spawn(process.execPath, ["--import", "tsx", program, ...flags], { cwd: root })
        for (const written of [child.stdout, child.stderr])
          written.on("data", (text: Buffer) => (output += text.toString()))
        return child
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const [, url = ""] = yield* until(
      Effect.sync(() => /Listening on (http:[^"]+)/.exec(output) ?? []),
      ({ length }) => length > 0
    )
    return url
  })

/** An upstream of the example, and a function that switches its behaviour. */
const startUpstream = Effect.gen(function* () {
  const context = yield* Layer.build(Upstream.layer({ name: "books", port: 0, behaviour: "fine" }))
  const { behaviour } = Context.get(context, Upstream.Upstream)
  return {
    url: HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address),
    turn: (to: Upstream.Behaviour) => Ref.set(behaviour, to)
  }
})

const ask = (url: string, init: RequestInit = {}) =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(url, { signal, ...init })
      return { status: response.status, text: await response.text() }
    },
    catch: (cause) => new NoAnswer({ message: `${url}: ${String(cause)}` })
  })

const request = (url: string, client = "patient") =>
  ask(url, { headers: { "x-api-key": `client ${client}` } })

/** Requests that succeed, fail, are retried, hedged, rejected and given up, over and over again. */
const traffic = (url: string, turn: (to: Upstream.Behaviour) => Effect.Effect<void>) => {
  const book = request(`${url}/catalog/books`)
  const served = Effect.repeat(book, {
    until: ({ status }) => status === 200,
    schedule: Schedule.spaced("50 millis")
  })
  const round = Effect.gen(function* () {
    yield* turn("fine")
    yield* served
    // Retries, and a circuit that opens and closes.
    yield* turn("failing")
    yield* Effect.repeatN(book, 2)
    yield* turn("fine")
    yield* served
    // A client beyond its limit, and one that leaves.
    yield* Effect.replicateEffect(request(`${url}/orders/1`, "busy"), 2 * rate, { concurrency: "unbounded" })
    yield* turn("hanging")
    yield* Effect.ignore(Effect.timeout(book, "50 millis"))
    yield* turn("slow")
    yield* Effect.repeatN(book, 2)
  })
  return Effect.forever(Effect.ignore(round))
}

describe("a Prometheus that scrapes the gateway", () => {
  it.scopedLive("finds what the dashboard and the alerts of the gateway ask for", () =>
    Effect.gen(function* () {
      const upstream = yield* startUpstream
      const url = yield* startGateway(upstream.url)
      // Two attempts with a hedge each, which take too long: the registry knows all kinds of policies from then on.
      yield* upstream.turn("hanging")
      assert.strictEqual((yield* request(`${url}/catalog/books`)).status, 504)

      const dashboard = JSON.parse((yield* ask(`${url}/grafana.json`)).text) as Grafana.Dashboard
      const rows = dashboard.panels.filter((panel) => panel.type === "row").map(({ title }) => title)
      assert.deepStrictEqual(rows, [
        "Circuit breakers",
        "Retries",
        "Hedges",
        "Retry budgets",
        "Bulkheads",
        "Rate limiters",
        "Timeouts"
      ])

      const { text: rules } = yield* ask(`${url}/alerts.yaml`)
      const prometheus = yield* startPrometheus({ port: Number(new URL(url).port), rules })
      yield* until(prometheus.query("up == 1"), (found) => found.length > 0)
      yield* Effect.forkScoped(traffic(url, upstream.turn))
      yield* findAll(prometheus, [...ofPanels(dashboard), ...ofAnnotations(dashboard)])
      const names = ["upstream", "retries", "places", "requests", "attempt"]
      assert.includeMembers([...(yield* namesIn(prometheus, dashboard))], names)

      const alerts = yield* until(prometheus.alerts, (all) => all.every(({ health }) => health !== "unknown"))
      assert.sameMembers(
        alerts.map(({ name }) => name),
        [
          "CircuitOpen",
          "CircuitFlapping",
          "RetryAmplification",
          "RetryBudgetExhausted",
          "HedgeRate",
          "WastedWork",
          "BulkheadSaturated",
          "RateLimiterRejecting"
        ]
      )
      for (const { health, lastError, name } of alerts)
        assert.strictEqual(health, "ok", `${name}: ${lastError}`)
      yield* findAll(
        prometheus,
        selectors(
          "resilience",
          alerts.map(({ query }) => query)
        )
      )
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
  )
})
