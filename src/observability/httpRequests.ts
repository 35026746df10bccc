/** The metric `http.client.request.duration` of the requests that clients with policies have sent, one for each attempt. */
import * as Duration from "effect/Duration"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import { harmless } from "../policy/harmless.js"
import type * as Observer from "../policy/Observer.js"
import * as HttpAttributes from "./httpAttributes.js"

/** Those of OpenTelemetry for this metric, in seconds. */
const boundaries = /*#__PURE__*/ MetricBoundaries.fromIterable([
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10
])

/** The most servers with series of their own. A program that calls servers named by its users would fill the memory without a limit. */
const maxServers = 200

const noServer = { "server.address": "_OTHER", "server.port": "" }

export const make = (): Observer.Service => {
  const histograms = new Map<string, Metric.Metric.Histogram<number>>()
  const servers = new Set<string>()

  const serverOf = (url: URL | undefined) => {
    if (url === undefined) return noServer
    if (!servers.has(url.host)) {
      if (servers.size >= maxServers) return noServer
      servers.add(url.host)
    }
    return { "server.address": url.hostname, "server.port": String(HttpAttributes.portOf(url) ?? "") }
  }

  return {
    unsafeObserve: () => {},
    unsafeHttpRequest: harmless((end) => {
      const labels: Record<string, string | undefined> = {
        "http.request.method": HttpAttributes.methodOf(end.request),
        ...serverOf(end.request.url),
        "http.response.status_code": end.status?.toString(),
        "error.type": HttpAttributes.errorTypeOf(end)
      }
      const key = Object.values(labels).join(" ")
      let histogram = histograms.get(key)
      if (histogram === undefined) histograms.set(key, (histogram = histogramOf(labels)))
      histogram.unsafeUpdate(Duration.toSeconds(end.duration), [])
    })
  }
}

const histogramOf = (labels: Record<string, string | undefined>): Metric.Metric.Histogram<number> =>
  Object.entries(labels).reduce(
    (metric, [key, value]) =>
      value === undefined || value === "" ? metric : Metric.tagged(metric, key, value),
    Metric.tagged(
      Metric.histogram("http.client.request.duration", boundaries, "Duration of HTTP client requests."),
      "unit",
      "s"
    )
  )
