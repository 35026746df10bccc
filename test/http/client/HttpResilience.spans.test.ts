// What an observer sees of HTTP clients: a span for each call, and how long each request took.
import { HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Layer, Metric, MetricState, Option, Schedule } from "effect"
import { Observer, Trip } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { Observability } from "effect-resilience/observability"
import { interruptedAtEveryStep, runToEnd } from "../../support/everyStep.js"
import { type RecordedSpan, tracing } from "../../support/tracing.js"
import { after, broken, scripted, status } from "../support/scripted.js"

class NoToken extends Data.TaggedError("NoToken") {}

const url = "http://partner.test:8080/offers?page=1"

const observed = (spans: Observability.Options["spans"] = {}) => Observability.layer({ logs: false, spans })

/** The spans of a program, after it has run to its end. */
const spansOf = (program: Effect.Effect<unknown, unknown>, layer = observed()) => {
  const { spans, tracer } = tracing()
  runToEnd(Effect.exit(program).pipe(Effect.provide(layer), Effect.withTracer(tracer)))
  for (const { ends, name } of spans) assert.deepStrictEqual([name, ends], [name, 1])
  return spans
}

/** Spans as a tree of names, each with some of its attributes. */
const tree = (
  spans: ReadonlyArray<RecordedSpan>,
  ...attributes: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const depth = (span: RecordedSpan): number => {
    const parent = Option.getOrUndefined(span.parent)
    return parent === undefined ? 0 : 1 + depth(parent as RecordedSpan)
  }
  return spans.map((span) => {
    const shown = attributes.flatMap((name) => {
      const value = span.attributes.get(name)
      return value === undefined ? [] : [`${name.split(".").at(-1)}=${String(value)}`]
    })
    return "  ".repeat(depth(span)) + [span.name, ...shown].join(" ")
  })
}

const retrying = HttpResilience.retry({ times: 2, schedule: Schedule.spaced("1 second") })

describe("a call has one span around those of its attempts", () => {
  it("with the attributes of an HTTP client span", () => {
    const { client } = scripted(status(200))
    const [call] = spansOf(client.pipe(HttpResilience.standard()).get(url))
    assert.deepStrictEqual(
      { name: call?.name, kind: call?.kind, ...Object.fromEntries(call?.attributes ?? []) },
      {
        name: "http.client.call GET",
        kind: "internal",
        "http.request.method": "GET",
        "server.address": "partner.test",
        "server.port": 8080,
        "url.full": url,
        "http.response.status_code": 200
      }
    )
  })

  const shown = ["http.request.resend_count", "http.response.status_code", "error.type"]

  it("of which those of resends alone say how many there were", () => {
    const { client } = scripted(status(503), broken("ECONNRESET"), status(200))
    assert.deepStrictEqual(tree(spansOf(client.pipe(retrying).get(url)), ...shown), [
      "http.client.call GET status_code=200",
      "  http.client GET status_code=503",
      "  http.client GET resend_count=1",
      "  http.client GET resend_count=2 status_code=200"
    ])
  })

  it("and around those of the attempts of a retry, where they have some", () => {
    const { client } = scripted(status(503), status(200))
    const spans = spansOf(client.pipe(retrying).get(url), observed({ attempts: "spans" }))
    assert.deepStrictEqual(tree(spans, ...shown, "resilience.outcome"), [
      "http.client.call GET status_code=200",
      "  resilience.attempt type=503 outcome=failure",
      "    http.client GET status_code=503",
      "  resilience.attempt outcome=success",
      "    http.client GET resend_count=1 status_code=200"
    ])
  })

  it("and is told of what the policies do", () => {
    const { client } = scripted(status(503), status(200))
    const [call] = spansOf(client.pipe(retrying).get(url))
    assert.deepStrictEqual(
      call?.events.map(({ attributes, name }) => [name, attributes["error.type"]]),
      [
        ["resilience.attempt", undefined],
        ["resilience.retry", "503"],
        ["resilience.attempt", undefined]
      ]
    )
  })

  it("for all parts together, and for a client behind another", () => {
    const { client } = scripted(status(200))
    const inner = client.pipe(HttpResilience.timeout("1 second"), HttpResilience.standard())
    const between = HttpClient.transformResponse(
      inner,
      Effect.map((response) => response)
    )
    assert.deepStrictEqual(tree(spansOf(between.pipe(retrying).get(url))), [
      "http.client.call GET",
      "  http.client GET"
    ])
  })

  it("also for a call that meets an open circuit, in which nothing is sent", () => {
    const { client, sent } = scripted(status(503))
    const breaker = HttpResilience.circuitBreaker({ trip: Trip.consecutive(1) })
    const protectedClient = client.pipe(breaker)
    const calls = Effect.zipRight(Effect.exit(protectedClient.get(url)), protectedClient.get(url))
    assert.deepStrictEqual(tree(spansOf(calls), ...shown), [
      "http.client.call GET status_code=503 type=503",
      "  http.client GET status_code=503",
      "http.client.call GET type=CircuitOpen"
    ])
    assert.lengthOf(sent, 1)
  })

  it("with the type of its error", () => {
    const types = (step: Parameters<typeof scripted>[0]) => {
      const [call] = spansOf(scripted(step).client.pipe(HttpResilience.timeout("1 second")).get(url))
      return call?.attributes.get("error.type")
    }
    assert.strictEqual(types(status(404)), "404")
    assert.strictEqual(types(status(302)), undefined)
    assert.strictEqual(types(broken("ECONNREFUSED")), "RequestError")
    assert.strictEqual(types(after(2000, status(200))), "TimeoutExceeded")
    assert.strictEqual(
      types(() => Effect.interrupt),
      "Interrupted"
    )
    assert.strictEqual(
      types(() => Effect.die("bug")),
      "_OTHER"
    )
  })

  it("with the status of a response that a filter made an error", () => {
    const client = HttpClient.filterStatusOk(scripted(status(500)).client).pipe(
      HttpResilience.timeout("1 second")
    )
    assert.deepStrictEqual(tree(spansOf(client.get(url)).slice(0, 1), ...shown), [
      "http.client.call GET status_code=500 type=500"
    ])
  })

  const bare = HttpResilience.timeout("1 second")
  const urlOf = (given: string, urlParams: Record<string, string> = {}) => {
    const [call] = spansOf(scripted(status(200)).client.pipe(bare).get(given, { urlParams }))
    return [call?.attributes.get("url.full"), call?.attributes.get("server.port")]
  }
  it("without the secrets of its URL", () => {
    assert.deepStrictEqual(urlOf("https://me:secret@partner.test/a?b=c"), [
      "https://REDACTED:REDACTED@partner.test/a?b=c",
      443
    ])
    assert.deepStrictEqual(urlOf("http://partner.test/a?sig=secret&b=c"), [
      "http://partner.test/a?sig=REDACTED&b=c",
      80
    ])
    assert.deepStrictEqual(urlOf("http://partner.test/a", { "X-Amz-Signature": "secret" }), [
      "http://partner.test/a?X-Amz-Signature=REDACTED",
      80
    ])
  })

  it("with the method that was made up in an attribute of its own", () => {
    const request = {
      ...HttpClientRequest.get(url),
      method: "BREW"
    } as unknown as HttpClientRequest.HttpClientRequest
    const made = Object.setPrototypeOf(
      request,
      Object.getPrototypeOf(HttpClientRequest.get(url)) as object
    ) as typeof request
    const [call] = spansOf(scripted(status(200)).client.pipe(bare).execute(made))
    assert.strictEqual(call?.name, "http.client.call HTTP")
    assert.strictEqual(call.attributes.get("http.request.method"), "_OTHER")
    assert.strictEqual(call.attributes.get("http.request.method_original"), "BREW")
  })

  it("that covers the preparation of the request", () => {
    const { client } = scripted(status(200))
    const token = Effect.withSpan(Effect.sleep("5 millis"), "token")
    const prepared = client.pipe(
      HttpClient.mapRequestEffect((request) => Effect.as(token, request)),
      bare
    )
    assert.deepStrictEqual(
      tree(spansOf(prepared.get(url)), "http.request.method", "http.response.status_code"),
      [
        "http.client.call method=GET status_code=200",
        "  token",
        "  http.client GET method=GET status_code=200"
      ]
    )
  })

  it("also when the preparation fails", () => {
    const { client } = scripted(status(200))
    const prepared = client.pipe(
      HttpClient.mapRequestEffect(() => new NoToken()),
      bare
    )
    assert.deepStrictEqual(tree(spansOf(prepared.get(url)), "http.request.method", "error.type"), [
      "http.client.call type=NoToken"
    ])
  })

  it("that ends wherever the call is interrupted", () => {
    const client = scripted(after(5, status(503)), after(5, status(200))).client.pipe(
      HttpResilience.standard()
    )
    let traced = tracing()
    const steps = interruptedAtEveryStep(
      () => {
        traced = tracing()
        return client
          .get(url)
          .pipe(Effect.provide(observed({ attempts: "spans" })), Effect.withTracer(traced.tracer))
      },
      () => {
        for (const { ends, name } of traced.spans) {
          // The platform begins its own spans one step before it can end them.
          if (name !== "http.client GET") assert.deepStrictEqual([name, ends], [name, 1])
        }
      }
    )
    assert.isAbove(steps, 50)
  })
})

describe("a call has no span of its own", () => {
  const names = (layer: Layer.Layer<never> | Layer.Layer<Observer.Observer>) => {
    const { client } = scripted(status(200))
    const { spans, tracer } = tracing()
    const call = client.pipe(HttpResilience.standard()).get(url)
    runToEnd(call.pipe(Effect.provide(layer), Effect.withTracer(tracer)))
    return spans.map(({ name }) => name)
  }

  it("without an observer", () => {
    assert.deepStrictEqual(names(Layer.empty), ["http.client GET"])
  })

  it("with one that only sees events", () => {
    assert.deepStrictEqual(names(Observer.layer(() => {})), ["http.client GET"])
  })

  it("with spans switched off", () => {
    assert.deepStrictEqual(names(observed(false)), ["http.client GET"])
  })
})

// ------------------------------------------------------------------------------------------------------------ metrics

interface Counted {
  readonly labels: Readonly<Record<string, string>>
  readonly count: number
  readonly sum: number
}

/** The requests that have been counted for a server, which no other test calls. */
const allCounted = (): Array<Counted> =>
  Metric.unsafeSnapshot().flatMap(({ metricKey, metricState }) => {
    if (metricKey.name !== "http.client.request.duration" || !MetricState.isHistogramState(metricState))
      return []
    const labels = Object.fromEntries(metricKey.tags.map(({ key, value }) => [key, value]))
    return [{ labels, count: metricState.count, sum: metricState.sum }]
  })

const counted = (server: string): Array<Counted> =>
  allCounted().filter(({ labels }) => labels["server.address"] === server)

const at = (server: string) => `http://${server}/offers?page=1`

describe("the duration of each request that was sent is counted", () => {
  it("in seconds, by method, server and status", () => {
    const { client } = scripted(after(30, status(503)), after(10, status(200)))
    spansOf(client.pipe(retrying).get(at("a.test")))
    const labels = {
      "http.request.method": "GET",
      "server.address": "a.test",
      "server.port": "80",
      unit: "s"
    }
    assert.sameDeepMembers(counted("a.test"), [
      { labels: { ...labels, "http.response.status_code": "503", "error.type": "503" }, count: 1, sum: 0.03 },
      { labels: { ...labels, "http.response.status_code": "200" }, count: 1, sum: 0.01 }
    ])
  })

  it("by its error, if there was no response", () => {
    const { client } = scripted(broken("ECONNRESET"), after(2000, status(200)))
    const timed = client.pipe(HttpResilience.timeout("1 second"))
    spansOf(Effect.zipRight(Effect.exit(timed.get(at("b.test"))), timed.get(at("b.test"))))
    assert.sameDeepMembers(
      counted("b.test").map(({ count, labels, sum }) => [labels["error.type"], count, sum]),
      [
        ["RequestError", 1, 0],
        ["Interrupted", 1, 1]
      ]
    )
  })

  it("in the buckets of OpenTelemetry", () => {
    spansOf(scripted(status(200)).client.pipe(retrying).get(at("c.test")))
    const [pair] = Metric.unsafeSnapshot().filter(
      ({ metricKey }) => metricKey.name === "http.client.request.duration"
    )
    assert.isTrue(pair !== undefined && MetricState.isHistogramState(pair.metricState))
    const { buckets } = pair?.metricState as MetricState.MetricState.Histogram
    assert.deepStrictEqual(
      buckets.map(([bound]) => bound).slice(0, -1),
      [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    )
  })

  it("once, behind several clients with policies", () => {
    const inner = scripted(status(200)).client.pipe(HttpResilience.timeout("1 second"))
    const between = HttpClient.transformResponse(
      inner,
      Effect.map((response) => response)
    )
    spansOf(between.pipe(HttpResilience.timeout("1 second")).get(at("d.test")))
    assert.deepStrictEqual(
      counted("d.test").map(({ count }) => count),
      [1]
    )
  })

  it("and no request that was not sent", () => {
    const breaker = HttpResilience.circuitBreaker({ trip: Trip.consecutive(1) })
    const client = scripted(status(503)).client.pipe(breaker)
    const calls = Effect.all(
      [client.get(at("e.test")), client.get(at("e.test"))].map((call) => Effect.exit(call))
    )
    const invalid = Effect.exit(client.get("http://"))
    const unsent = HttpClient.make((request) =>
      Effect.fail(new HttpClientError.RequestError({ request, reason: "Encode" }))
    ).pipe(retrying)
    spansOf(Effect.all([calls, invalid, Effect.exit(unsent.get(at("e.test")))]))
    assert.deepStrictEqual(
      counted("e.test").map(({ count }) => count),
      [1]
    )
  })

  it("of 200 servers apart and of all others together", () => {
    const client = HttpClient.make((request) =>
      Effect.succeed(HttpClientResponse.fromWeb(request, new Response(null)))
    ).pipe(HttpResilience.timeout("1 second"))
    const before = counted("_OTHER").reduce((sum, { count }) => sum + count, 0)
    spansOf(Effect.forEach(Array.from({ length: 250 }), (_, number) => client.get(at(`many-${number}.test`))))
    const servers = new Set(allCounted().map(({ labels }) => labels["server.address"]))
    assert.strictEqual([...servers].filter((server) => /^many-\d+\.test$/.test(server ?? "")).length, 200)
    assert.strictEqual(
      counted("_OTHER").reduce((sum, { count }) => sum + count, 0),
      before + 50
    )
  })

  it("once, by layers within each other", () => {
    const layers = Layer.provideMerge(observed(), observed())
    spansOf(scripted(status(200)).client.pipe(retrying).get(at("g.test")), layers)
    assert.deepStrictEqual(
      counted("g.test").map(({ count }) => count),
      [1]
    )
  })

  it("unless metrics are switched off", () => {
    spansOf(
      scripted(status(200)).client.pipe(retrying).get(at("f.test")),
      Observability.layer({ metrics: false, logs: false })
    )
    assert.isEmpty(counted("f.test"))
  })
})
