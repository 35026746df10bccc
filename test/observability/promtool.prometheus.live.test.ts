// What promtool and Prometheus itself make of the text of any metrics.
import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Prometheus from "../../src/observability/Prometheus.js"
import { checkMetrics } from "../support/prometheus.js"
import { counter, falling, gauge, histogram, pairs, summary } from "./exposition.js"

describe("promtool", () => {
  it("finds nothing unusual in metrics of policies with the strangest names", () => {
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
    const { output, status } = checkMetrics(Prometheus.format(metrics))
    assert.strictEqual(status, 0, output)
  })

  it("can read any metrics, whatever their users call them", () => {
    FastCheck.assert(
      FastCheck.property(pairs, (some) => {
        const { output, status } = checkMetrics(Prometheus.format(some))
        // 3: names that are unusual, such as those with capitals.
        assert.include([0, 3], status, output)
      }),
      { numRuns: 30 }
    )
  })
})
