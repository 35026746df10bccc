// What promtool and Prometheus itself make of the text of any metrics.
import { assert, describe, it } from "@effect/vitest"
import { HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, FastCheck } from "effect"
import * as Prometheus from "../../src/observability/Prometheus.js"
import { checkMetrics, startPrometheus } from "../support/prometheus.js"
import { until } from "../support/until.js"
import { counter, falling, gauge, histogram, pairs, summary } from "./exposition.js"

describe("promtool", () => {
  it.live("finds nothing unusual in metrics of policies with the strangest names", () => {
    const names = [
      '"',
      "\\",
      "\n",
      "\r",
      "\0",
      "\ud800",
      "😀",
      "<script>",
      "{}",
      "#",
      "x".repeat(500),
      "ü",
      ""
    ]
    const metrics = names.flatMap((policy) => {
      const tags: ReadonlyArray<readonly [string, string]> = [["policy", policy], ["kind", "retry"]] // prettier-ignore
      const seconds = [...tags, ["unit", "seconds"]] as const
      return [
        counter(3, { name: "resilience.calls", tags, description: policy }),
        falling(1, { name: "effect_fiber_active", tags }),
        gauge(1, { name: "resilience.in_flight", tags }),
        histogram([0.1, 1], [0.5, 2], { name: "resilience.call.duration", tags: seconds }),
        histogram([0.5, 1], [3], { name: "effect_fiber_lifetimes", tags: [["time_unit", "milliseconds"]] }),
        summary([[0.5, 1]], { name: "shop.basket", tags }) // prettier-ignore
      ]
    })
    return Effect.map(checkMetrics(Prometheus.format(metrics)), ({ output, status }) =>
      assert.strictEqual(status, 0, output)
    )
  })

  it("can read any metrics, whatever their users call them", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(pairs, async (some) => {
        const { output, status } = await Effect.runPromise(checkMetrics(Prometheus.format(some)))
        // 3: names that are unusual, such as those with capitals.
        assert.include([0, 3], status, output)
      }),
      { numRuns: 30 }
    ))
})

describe("Prometheus", () => {
  it.scopedLive("can read any metrics, whatever their users call them", () =>
    Effect.gen(function* () {
      const page = Prometheus.format(FastCheck.sample(pairs, { numRuns: 300, seed: 1 }).flat())
      yield* HttpServer.serveEffect(
        Effect.succeed(HttpServerResponse.text(page, { contentType: Prometheus.contentType }))
      )
      const { address } = yield* HttpServer.HttpServer
      if (address._tag !== "TcpAddress") return assert.fail("it listens on a port")
      const { query } = yield* startPrometheus({ port: address.port })
      yield* until(query("up == 1"), (found) => found.length > 0)
      const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
      const [series] = yield* query('count({__name__!~"up|scrape_.+",job="shop"})')
      assert.strictEqual(Number(series?.value[1]), lines.length)
    }).pipe(Effect.provide(NodeHttpServer.layerTest))
  )
})
