// The gateway in front of two upstreams over real sockets.
import { HttpBody, HttpClient, HttpClientRequest, HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, Ref, Stream } from "effect"
import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from "node:http"
import { user } from "../support/operators.js"
import { urlOf } from "../support/server.js"
import { get, live, liveWithLog, type LogLine, until } from "../support/testing.js"
import { defaultLimits, type Limits } from "./gateway/policies.js"
import * as Gateway from "./gateway/server.js"
import * as Upstream from "./upstream/server.js"

const startUpstream = (name: string) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Upstream.layer({ name, port: 0, behaviour: "fine" }))
    const { behaviour, received } = Context.get(context, Upstream.Upstream)
    return {
      url: urlOf(Context.get(context, HttpServer.HttpServer)),
      received: Ref.get(received),
      turn: (to: Upstream.Behaviour) => Ref.set(behaviour, to)
    }
  })

/** For whatever is not about time, however slow the machine is. */
const patient: Limits = {
  attempt: "5 seconds",
  upstream: "10 seconds",
  request: "15 seconds",
  queue: "15 seconds"
}

const startGateway = (options: Partial<Gateway.Options>) =>
  Effect.gen(function* () {
    const nowhere = "http://127.0.0.1:1"
    const context = yield* Layer.build(
      Gateway.layer({
        port: 0,
        catalog: nowhere,
        orders: nowhere,
        rate: 1000,
        openFor: "1 minute",
        limits: patient,
        adminToken: Redacted.make("secret"),
        ...options
      })
    )
    return urlOf(Context.get(context, HttpServer.HttpServer))
  })

/** Both upstreams and the gateway on free ports. */
const start = (options: Partial<Gateway.Options> = {}) =>
  Effect.gen(function* () {
    const [catalog, orders] = yield* Effect.all([startUpstream("catalog"), startUpstream("orders")])
    const url = yield* startGateway({ catalog: catalog.url, orders: orders.url, ...options })
    return { catalog, orders, url }
  })

/** An upstream whose every byte a test decides. */
const startRaw = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer(listener)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" ? address?.port : undefined
        const close = () => {
          server.close()
          server.closeAllConnections()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const send = (request: HttpClientRequest.HttpClientRequest) => HttpClient.execute(request)

const getAs = (key: string, url: string) =>
  send(HttpClientRequest.get(url, { headers: { "x-api-key": key } })).pipe(
    Effect.tap((response) => response.text)
  )

/** The path of the admin routes for the circuit of an upstream. */
const circuitOf = (gateway: string, upstream: string) =>
  `${gateway}/resilience/${encodeURIComponent(`upstream/${upstream}`)}`

describe.concurrent("the gateway", () => {
  it.scopedLive("passes on the method, the path, the query and the body", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      assert.deepStrictEqual((yield* get(`${url}/catalog/books/a%20b?page=2&q=x+y&flag`)).body, {
        upstream: "catalog",
        method: "GET",
        url: "/books/a%20b?page=2&q=x+y&flag"
      })
      const put = HttpClientRequest.put(`${url}/orders/1`).pipe(HttpClientRequest.bodyText("two books"))
      const response = yield* send(put)
      assert.deepStrictEqual(yield* response.json, {
        upstream: "orders",
        method: "PUT",
        url: "/1",
        body: "two books"
      })
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("cannot be led to another host by a path", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const { body } = yield* get(`${url}/catalog//elsewhere.example/x`)
      assert.deepStrictEqual(body, { upstream: "catalog", method: "GET", url: "//elsewhere.example/x" })
      assert.strictEqual((yield* get(`${url}/catalog@elsewhere.example/x`)).status, 404)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("passes on the headers of a message and not those of a connection", () =>
    Effect.gen(function* () {
      let received: IncomingHttpHeaders = {}
      const raw = yield* startRaw((request, response) => {
        received = request.headers
        response.writeHead(203, {
          "content-type": "text/plain; charset=utf-8",
          "set-cookie": ["a=1; Path=/", "b=2; HttpOnly"],
          "x-kept": "yes",
          "x-of-this-hop": "yes",
          connection: "x-of-this-hop"
        })
        response.end("hello")
      })
      const url = yield* startGateway({ catalog: raw.url })
      const response = yield* send(
        HttpClientRequest.get(`${url}/catalog/`, {
          headers: { "x-api-key": "alice", "x-kept": "yes", via: "1.1 first", te: "trailers" }
        })
      )
      assert.strictEqual(yield* response.text, "hello")
      assert.strictEqual(response.status, 203)
      assert.strictEqual(response.headers["content-type"], "text/plain; charset=utf-8")
      assert.strictEqual(response.headers["x-kept"], "yes")
      assert.notProperty(response.headers, "x-of-this-hop")
      assert.deepStrictEqual(Object.keys(response.cookies.cookies), ["a", "b"])

      assert.strictEqual(received["x-kept"], "yes")
      assert.strictEqual(received.via, "1.1 first, 1.1 gateway")
      assert.strictEqual(received["x-forwarded-for"], "127.0.0.1")
      assert.strictEqual(received["x-forwarded-host"], new URL(url).host)
      assert.strictEqual(received.host, new URL(raw.url).host)
      assert.notProperty(received, "x-api-key")
      assert.notProperty(received, "te")
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("answers HEAD without a body and with its length", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const response = yield* send(HttpClientRequest.head(`${url}/catalog/books`))
      assert.strictEqual(response.status, 200)
      assert.isAbove(Number(response.headers["content-length"]), 0)
      assert.strictEqual(yield* response.text, "")
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("takes the answer of a second attempt when the first one is slow or fails", () =>
    Effect.gen(function* () {
      const { catalog, url } = yield* start()
      const budget = Effect.map(get(`${url}/resilience/retries`), ({ body }) => body)
      yield* catalog.turn("flaky")
      assert.strictEqual((yield* get(`${url}/catalog/books`)).status, 200)
      assert.strictEqual(yield* catalog.received, 2)
      assert.nestedInclude(yield* budget, { "snapshot.hedges": 1, "snapshot.retries": 0 })
      yield* catalog.turn("slow")
      assert.strictEqual((yield* get(`${url}/catalog/books`)).status, 200)
      assert.nestedInclude(yield* budget, { "snapshot.hedges": 2, "snapshot.retries": 0 })
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("sends a request once that may not arrive twice or can be read only once", () =>
    Effect.gen(function* () {
      const { catalog, url } = yield* start()
      yield* catalog.turn("failing")
      const post = yield* send(HttpClientRequest.post(`${url}/catalog/books`))
      assert.strictEqual(post.status, 500)
      assert.strictEqual(yield* catalog.received, 1)
      const body = HttpBody.stream(Stream.make("one ", "two").pipe(Stream.encodeText), "text/plain")
      const put = yield* send(HttpClientRequest.put(`${url}/catalog/books`, { body }))
      assert.strictEqual(put.status, 500)
      assert.strictEqual(yield* catalog.received, 2)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("leaves a failing upstream alone, and serves the other one", () =>
    Effect.gen(function* () {
      const { catalog, orders, url } = yield* start({ openFor: "500 millis" })
      yield* catalog.turn("failing")
      const rejected = yield* until(get(`${url}/catalog/books`), ({ status }) => status === 503)
      assert.strictEqual(rejected.headers["content-type"], "application/problem+json")
      assert.match(rejected.headers["retry-after"] ?? "", /^\d+$/)
      assert.strictEqual((yield* get(`${url}/orders/1`)).status, 200)
      assert.strictEqual((yield* get(circuitOf(url, orders.url))).status, 200)

      yield* catalog.turn("fine")
      yield* until(get(`${url}/catalog/books`), ({ status }) => status === 200)
      assert.nestedInclude((yield* get(circuitOf(url, catalog.url))).body, { state: "closed" })
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("limits each API key on its own, and says how much is left", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ rate: 1 })
      const answers = yield* Effect.replicateEffect(getAs("alice", `${url}/orders/1`), 20, {
        concurrency: "unbounded"
      })
      const [first] = answers.filter(({ status }) => status === 200)
      assert.strictEqual(first?.headers["ratelimit-policy"], '"requests";q=1;w=1')
      assert.match(first?.headers.ratelimit ?? "", /^"requests";r=[01]/)

      const [rejected] = answers.filter(({ status }) => status === 429)
      assert.strictEqual(rejected?.headers["retry-after"], "1")
      assert.strictEqual(rejected?.headers["content-type"], "application/problem+json")
      assert.nestedInclude(yield* rejected?.json ?? Effect.void, { status: 429 })

      assert.strictEqual((yield* getAs("bob", `${url}/orders/1`)).status, 200)
      assert.strictEqual((yield* get(`${url}/orders/1`)).status, 200)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("shows its policies, and lets the holder of the token isolate an upstream", () =>
    Effect.gen(function* () {
      const { catalog, url } = yield* start()
      yield* get(`${url}/catalog/books`)
      const circuit = circuitOf(url, catalog.url)
      const { body } = yield* get(`${url}/resilience`)
      assert.deepStrictEqual(
        (body as ReadonlyArray<{ readonly name: string }>).map(({ name }) => name),
        [`upstream/${catalog.url}`, "retries", "places", "requests/anonymous"]
      )

      const steer = (action: string, token: string) =>
        send(HttpClientRequest.post(`${circuit}/${action}`).pipe(HttpClientRequest.bearerToken(token)))
      assert.strictEqual((yield* steer("isolate", "guessed")).status, 403)
      const byPassword = HttpClientRequest.post(`${circuit}/isolate`).pipe(
        HttpClientRequest.basicAuth(user, "secret")
      )
      assert.strictEqual((yield* send(byPassword)).status, 403)
      assert.strictEqual((yield* get(`${url}/catalog/books`)).status, 200)
      assert.strictEqual((yield* steer("isolate", "secret")).status, 200)
      assert.strictEqual((yield* get(`${url}/catalog/books`)).status, 503)
      assert.strictEqual((yield* get(`${url}/orders/1`)).status, 200)
      assert.strictEqual((yield* steer("release", "secret")).status, 200)
      assert.strictEqual((yield* get(`${url}/catalog/books`)).status, 200)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("shows no API key to those who may read", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      yield* getAs("very-secret", `${url}/orders/1`)
      for (const path of ["/resilience", "/metrics", "/health"]) {
        const text = yield* Effect.flatMap(send(HttpClientRequest.get(`${url}${path}`)), ({ text }) => text)
        assert.notInclude(text, "very-secret")
      }
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("is degraded and ready while a circuit is open", () =>
    Effect.gen(function* () {
      const { catalog, url } = yield* start()
      assert.nestedInclude((yield* get(`${url}/health`)).body, { status: "up" })
      yield* catalog.turn("failing")
      yield* until(get(`${url}/catalog/books`), ({ status }) => status === 503)
      const ready = yield* get(`${url}/ready`)
      assert.strictEqual(ready.status, 200)
      assert.nestedInclude(ready.body, {
        status: "degraded",
        "reasons[0].name": `upstream/${catalog.url}`,
        "reasons[0].state": "open"
      })
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("asks for a password before the dashboard has buttons", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const login = HttpClientRequest.get(`${url}/login`)
      const asked = yield* send(login)
      assert.strictEqual(asked.status, 401)
      assert.match(asked.headers["www-authenticate"] ?? "", /^Basic /)
      const guessed = yield* send(HttpClientRequest.basicAuth(login, user, "guessed"))
      assert.strictEqual(guessed.status, 401)
      const known = yield* send(HttpClientRequest.basicAuth(login, user, "secret"))
      assert.deepStrictEqual([known.status, known.headers.location], [302, "/dashboard"])
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("gives up on an upstream that does not answer, after at most four attempts", () =>
    Effect.gen(function* () {
      const { catalog, url } = yield* start({ limits: defaultLimits })
      yield* catalog.turn("hanging")
      const answer = yield* get(`${url}/catalog/books`)
      assert.strictEqual(answer.status, 504)
      assert.strictEqual(answer.headers["content-type"], "application/problem+json")
      assert.isAtLeast(answer.millis, 450)
      assert.isAtMost(yield* catalog.received, 4)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("says that an upstream is unavailable", () =>
    Effect.gen(function* () {
      const url = yield* startGateway({})
      const { body, status } = yield* get(`${url}/catalog/books`)
      assert.strictEqual(status, 502)
      assert.deepStrictEqual(body, { type: "about:blank", title: "Bad Gateway", status: 502 })
    }).pipe(Effect.provide(live))
  )

  for (const [how, breakOff] of [
    ["breaks off", (response: ServerResponse) => response.destroy()],
    ["stops", () => {}]
  ] as const) {
    it.scopedLive(`does not make a whole response of one that ${how} in the middle`, () =>
      Effect.gen(function* () {
        const raw = yield* startRaw((_, response) => {
          response.writeHead(200, { "content-type": "text/plain" })
          response.write("the first half", () => breakOff(response))
        })
        const url = yield* startGateway({
          catalog: raw.url,
          limits: { ...patient, attempt: "3 seconds", upstream: "3 seconds" }
        })
        const response = yield* send(HttpClientRequest.get(`${url}/catalog`))
        assert.strictEqual(response.status, 200)
        assert.strictEqual((yield* Effect.flip(response.text))._tag, "ResponseError")
      }).pipe(Effect.provide(live))
    )
  }

  it.scopedLive("answers for an upstream that stops after the headers", () =>
    Effect.gen(function* () {
      const stalled = yield* startRaw((_, response) => response.flushHeaders())
      const broken = yield* startRaw((_, response) => {
        response.flushHeaders()
        response.write("", () => response.destroy())
      })
      const url = yield* startGateway({
        catalog: stalled.url,
        orders: broken.url,
        limits: { ...patient, attempt: "1 second", upstream: "1 second" }
      })
      assert.strictEqual((yield* get(`${url}/catalog`)).status, 504)
      assert.strictEqual((yield* get(`${url}/orders`)).status, 502)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("stops asking when its client has gone", () => {
    const lines: Array<LogLine> = []
    return Effect.gen(function* () {
      const { catalog, url } = yield* start()
      yield* catalog.turn("hanging")
      const asking = yield* Effect.fork(get(`${url}/catalog/books`))
      yield* until(catalog.received, (count) => count > 0)
      yield* Fiber.interrupt(asking)
      yield* until(
        Effect.sync(() => lines.filter(({ annotations }) => annotations.status === 499)),
        (gone) => gone.some(({ annotations }) => annotations.url === "/books")
      )
    }).pipe(Effect.provide(liveWithLog(lines)))
  })
})

// Effect's metrics are those of the process, to which all gateways add: this one is alone, and what it adds is compared.
describe("the metrics of the gateway", () => {
  it.scopedLive("count its attempts, and what its circuits reject", () =>
    Effect.gen(function* () {
      const { catalog, url } = yield* start()
      yield* catalog.turn("failing")
      const books = get(`${url}/catalog/books`)
      const text = Effect.flatMap(send(HttpClientRequest.get(`${url}/metrics`)), ({ text }) => text)
      /** What a request adds to some counters of the policies called `upstream`. */
      const addedBy = (request: typeof books, ...counters: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const read = Effect.map(text, (page) => counters.map((counter) => countIn(page, counter)))
          const before = yield* read
          const { status } = yield* request
          return { status, added: (yield* read).map((after, index) => after - (before[index] ?? 0)) }
        })
      const attempts = (type: string, kind: string) =>
        `resilience_attempts_total{attempt_type="${type}",kind="${kind}",policy="upstream"}`
      const rejections = `resilience_rejections_total{kind="circuit-breaker",policy="upstream",reason="open"}`

      // An attempt and its hedge, a retry and its hedge.
      const first = yield* addedBy(
        books,
        attempts("original", "retry"),
        attempts("retry", "retry"),
        attempts("original", "hedge"),
        attempts("hedge", "hedge"),
        rejections
      )
      assert.deepStrictEqual(first, { status: 500, added: [1, 1, 2, 2, 0] })
      // The fifth failure opens the circuit.
      yield* until(books, ({ status }) => status === 503)
      const later = yield* addedBy(books, attempts("retry", "retry"), rejections)
      assert.strictEqual(later.status, 503)
      assert.deepStrictEqual(later.added, [0, 1])
    }).pipe(Effect.provide(live))
  )
})

const countIn = (page: string, counter: string): number => {
  const line = page.split("\n").find((line) => line.startsWith(`${counter} `))
  return line === undefined ? 0 : Number(line.slice(counter.length))
}
