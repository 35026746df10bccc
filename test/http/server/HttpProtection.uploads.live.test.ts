// Uploads that are rejected, or that stop in the middle, over real sockets.
import {
  FileSystem,
  HttpIncomingMessage,
  HttpRouter,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { NodeContext, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Option, Stream, TestClock } from "effect"
import { Bulkhead, CircuitBreaker, Observer, type Policy, RateLimiter, Trip } from "effect-resilience"
import { HttpProtection } from "effect-resilience/http"
import { createServer } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { until } from "../../support/until.js"
import { connect, get, post, statuses } from "../support/rawClient.js"

type Routes = HttpRouter.HttpRouter<unknown, never>

/** Ways in which a handler reads a body. */
const readers: Readonly<Record<string, Effect.Effect<unknown, unknown, HttpRouter.HttpRouter.Provided>>> = {
  text: Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => text),
  arrayBuffer: Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ arrayBuffer }) => arrayBuffer),
  stream: Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ stream }) => Stream.runDrain(stream)),
  multipart: Effect.scoped(
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ multipartStream }) =>
      Stream.runDrain(multipartStream)
    )
  ).pipe(Effect.provide(NodeContext.layer)),
  nothing: Effect.never
}

const uploads = (read: Effect.Effect<unknown, unknown, HttpRouter.HttpRouter.Provided>): Routes =>
  HttpRouter.empty.pipe(
    HttpRouter.post("/upload", Effect.as(Effect.orDie(read), HttpServerResponse.text("uploaded"))),
    HttpRouter.get("/ok", HttpServerResponse.text("ok"))
  )

/** A server that counts what it reads. */
const serving = (routes: Routes, around?: HttpProtection.Part) =>
  Effect.gen(function* () {
    const node = createServer()
    const sockets: Array<Socket> = []
    node.on("connection", (socket) => sockets.push(socket))
    const server = yield* Effect.orDie(NodeHttpServer.make(() => node, { host: "127.0.0.1", port: 0 }))
    yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
    yield* around === undefined ? server.serve(routes) : server.serve(routes, around)
    const { port } = node.address() as AddressInfo
    return {
      url: `http://127.0.0.1:${port}`,
      bytesRead: Effect.sync(() => sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0)),
      open: Effect.sync(() => sockets.filter(({ destroyed }) => !destroyed).length)
    }
  })

const places: Readonly<
  Record<string, (routes: Routes, protection: HttpProtection.Part) => ReturnType<typeof serving>>
> = {
  "piped to an app": (routes, protection) => serving(HttpRouter.use(routes, protection)),
  "around a server": (routes, protection) => serving(routes, protection)
}

const megabytes = (count: number) => new Uint8Array(count * 1_000_000)

const rejecting: Readonly<Record<string, Effect.Effect<readonly [HttpProtection.Part, number]>>> = {
  "a rate limiter": Effect.gen(function* () {
    const limiter = yield* RateLimiter.make({ rate: RateLimiter.bursty({ limit: 1, per: "1 hour" }) })
    yield* Effect.orDie(limiter.acquire())
    return [HttpProtection.rateLimiter(limiter), 429]
  }),
  "a bulkhead": Effect.gen(function* () {
    const bulkhead = yield* Bulkhead.make({ permits: 1 })
    yield* Effect.forkDaemon(bulkhead.protect(Effect.never))
    yield* until(bulkhead.snapshot, ({ inUse }) => inUse === 1)
    return [HttpProtection.bulkhead(bulkhead), 503]
  }),
  "an open circuit": Effect.gen(function* () {
    const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
    yield* breaker.open
    return [HttpProtection.circuitBreaker(breaker), 503]
  }),
  "a timeout": Effect.succeed([HttpProtection.timeout("20 millis"), 503])
}

const framings: Readonly<Record<string, readonly [head: string, chunk: Uint8Array]>> = {
  "of a known length": [post("/upload", 30_000_000), megabytes(30)],
  "in chunks": [
    "POST /upload HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n",
    Buffer.concat(
      Array.from({ length: 30 }, () =>
        Buffer.concat([Buffer.from("f4240\r\n"), megabytes(1), Buffer.from("\r\n")])
      )
    )
  ]
}

for (const [place, serve] of Object.entries(places)) {
  describe.concurrent(`an upload ${place}`, () => {
    for (const [rejector, made] of Object.entries(rejecting)) {
      for (const [framing, [head, body]] of Object.entries(framings)) {
        it.scopedLive(
          `${framing} that ${rejector} rejects is answered, not read to its end, and cut off`,
          () =>
            Effect.gen(function* () {
              const [protection, status] = yield* made
              const { bytesRead, open, url } = yield* serve(uploads(Effect.never), protection)
              const client = yield* connect(url)
              yield* client.send(head)
              yield* client.send(body)
              const answer = yield* client.closed
              assert.deepStrictEqual(statuses(answer), [status])
              assert.match(answer, /^connection: close\r$/im)
              yield* until(open, (count) => count === 0)
              assert.isBelow(yield* bytesRead, 2_000_000)
            })
        )
      }
    }

    it.scopedLive("that is rejected before it is sent keeps its connection where it is small", () =>
      Effect.gen(function* () {
        const [protection] = yield* rejecting["a rate limiter"] ?? assert.fail()
        const { url } = yield* serve(uploads(Effect.never), protection)
        const client = yield* connect(url)
        yield* client.send(post("/upload", 5))
        yield* client.received((text) => text.includes("429"))
        yield* client.send("hello")
        yield* client.send(get("/ok"))
        assert.deepStrictEqual(
          statuses(yield* client.received((text) => statuses(text).length === 2)),
          [429, 429]
        )
      })
    )

    for (const [reader, read] of Object.entries(readers)) {
      it.scopedLive(`that stalls is answered with 408 and gives its place back, read by ${reader}`, () =>
        Effect.gen(function* () {
          const bulkhead = yield* Bulkhead.make({ permits: 40 })
          const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
          const protection = HttpProtection.standard({
            bulkhead,
            circuitBreaker: breaker,
            requestBody: { stallTimeout: "100 millis" }
          })
          const { open, url } = yield* serve(uploads(read), protection)
          const clients = yield* Effect.replicateEffect(connect(url), 40)
          for (const { send } of clients) {
            yield* send(
              reader === "multipart"
                ? `POST /upload HTTP/1.1\r\nhost: test\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 1000\r\n\r\n--x\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n`
                : post("/upload", 1000)
            )
            // What has arrived and is not read is the handler's business.
            if (reader !== "nothing") yield* send("a half")
          }
          for (const { closed } of clients) {
            const answer = yield* closed
            assert.deepStrictEqual(statuses(answer), [408])
            assert.match(answer, /^connection: close\r$/im)
          }
          yield* until(open, (count) => count === 0)
          yield* until(bulkhead.snapshot, ({ inUse }) => inUse === 0)
          const { failures, successes } = yield* breaker.snapshot
          assert.deepStrictEqual({ failures, successes }, { failures: 0, successes: 0 })
          const next = yield* connect(url)
          yield* next.send(get("/ok"))
          yield* next.received((text) => text.endsWith("ok"))
        })
      )
    }

    it.scopedLive("that stalls within a timeout is answered by it, and counts for no breaker", () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
        const protection = HttpProtection.standard({ circuitBreaker: breaker, timeout: "50 millis" })
        const { url } = yield* serve(uploads(readers["text"] ?? Effect.never), protection)
        const client = yield* connect(url)
        yield* client.send(post("/upload", 1000))
        assert.deepStrictEqual(statuses(yield* client.closed), [503])
        const { failures, state } = yield* breaker.snapshot
        assert.deepStrictEqual({ failures, state }, { failures: 0, state: "closed" })
      })
    )

    it.scopedLive(
      "that trickles is ended by the limit for the whole body, and not by the one for stalling",
      () =>
        Effect.gen(function* () {
          const told = yield* Deferred.make<HttpProtection.RequestBodyTimeout>()
          const protection = HttpProtection.requestBody({
            stallTimeout: "1 hour",
            totalTimeout: "200 millis",
            onTimeout: (event) => Deferred.succeed(told, event)
          })
          const { url } = yield* serve(uploads(readers["text"] ?? Effect.never), protection)
          const client = yield* connect(url)
          yield* client.send(post("/upload", 1_000_000))
          yield* Effect.forkScoped(Effect.forever(Effect.delay(client.send("x"), "5 millis")))
          assert.deepStrictEqual(statuses(yield* client.closed), [408])
          assert.strictEqual((yield* Deferred.await(told)).reason, "total")
        })
    )

    it.scopedLive("that stalls is a timeout in the events of the program", () => {
      const seen: Array<Policy.Event> = []
      return Effect.gen(function* () {
        const protection = HttpProtection.requestBody({ stallTimeout: "50 millis", name: "uploads" })
        const { url } = yield* serve(uploads(readers["text"] ?? Effect.never), protection)
        const client = yield* connect(url)
        yield* client.send(post("/upload", 1000))
        assert.deepStrictEqual(statuses(yield* client.closed), [408])
        assert.deepStrictEqual(
          seen.map(({ _tag, kind, name, ...event }) => ({
            _tag,
            kind,
            name,
            limit: "limit" in event && event.limit
          })),
          [{ _tag: "Timeout", kind: "timeout", name: "uploads", limit: Duration.millis(50) }]
        )
      }).pipe(
        Effect.provideService(
          Observer.Observer,
          Observer.make((event) => void seen.push(event))
        )
      )
    })

    it.scoped("is not ended while its handler does not read, nor while its answer is streamed", () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const late = Effect.zipRight(Deferred.await(gate), readers["stream"] ?? Effect.never)
        const echo = Effect.map(HttpServerRequest.HttpServerRequest, ({ stream }) =>
          HttpServerResponse.stream(Stream.concat(Stream.make(new Uint8Array([62])), Stream.orDie(stream)))
        )
        const routes = uploads(late).pipe(HttpRouter.post("/echo", echo))
        const { bytesRead, url } = yield* serve(routes, HttpProtection.standard({}))
        const [echoing, reading] = [yield* connect(url), yield* connect(url)]
        yield* echoing.send(post("/echo", 10))
        yield* echoing.received((text) => text.includes(">"))
        yield* reading.send(post("/upload", 1_000_000))
        yield* reading.send(new Uint8Array(999_999))
        yield* until(bytesRead, (bytes) => bytes > 10_000)
        yield* Effect.replicateEffect(TestClock.adjust("20 seconds"), 6)
        assert.deepStrictEqual([yield* echoing.isClosed, yield* reading.isClosed], [false, false])
        yield* Deferred.succeed(gate, undefined)
        yield* reading.send("x")
        yield* reading.received((text) => text.endsWith("uploaded"))
        yield* echoing.send("0123456789")
        yield* echoing.received((text) => text.includes("0123456789"))
      })
    )

    it.scoped("is not ended before 30 seconds without a byte by default", () =>
      Effect.gen(function* () {
        const { bytesRead, url } = yield* serve(
          uploads(readers["text"] ?? Effect.never),
          HttpProtection.standard({})
        )
        const client = yield* connect(url)
        yield* client.send(post("/upload", 3))
        const before = post("/upload", 3).length
        for (const sent of [1, 2]) {
          yield* client.send("x")
          yield* until(bytesRead, (bytes) => bytes === before + sent)
          yield* TestClock.adjust("29 seconds")
        }
        assert.isFalse(yield* client.isClosed)
        yield* Effect.replicateEffect(TestClock.adjust("8 seconds"), 5)
        assert.deepStrictEqual(statuses(yield* client.closed), [408])
      })
    )

    it.scopedLive("that is too large is answered, and its connection closed", () =>
      Effect.gen(function* () {
        const tooLarge = HttpServerRequest.HttpServerRequest.pipe(
          Effect.flatMap(({ text }) => text),
          Effect.as(HttpServerResponse.text("uploaded")),
          Effect.orElseSucceed(() => HttpServerResponse.empty({ status: 413 })),
          Effect.provideService(HttpIncomingMessage.MaxBodySize, Option.some(FileSystem.Size(1_000_000)))
        )
        const routes = HttpRouter.empty.pipe(HttpRouter.post("/upload", tooLarge))
        const { bytesRead, url } = yield* serve(routes, HttpProtection.standard({}))
        const client = yield* connect(url)
        yield* client.send(post("/upload", 30_000_000))
        yield* client.send(megabytes(30))
        const answer = yield* client.closed
        assert.deepStrictEqual(statuses(answer), [413])
        assert.match(answer, /^connection: close\r$/im)
        assert.isBelow(yield* bytesRead, 5_000_000)
      })
    )

    it.scopedLive("whose client leaves interrupts its handler and gives its place back", () =>
      Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ permits: 1 })
        const { url } = yield* serve(
          uploads(readers["text"] ?? Effect.never),
          HttpProtection.standard({ bulkhead })
        )
        const client = yield* connect(url)
        yield* client.send(post("/upload", 1000))
        yield* until(bulkhead.snapshot, ({ inUse }) => inUse === 1)
        yield* client.leave
        yield* until(bulkhead.snapshot, ({ inUse }) => inUse === 0)
      })
    )
  })
}
