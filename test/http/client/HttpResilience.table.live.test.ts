// What a resilient client puts on the wire: how many requests a server really sees, what is in them, and what the caller
// gets, for every client of the platform, every kind of answer and of failure, and every kind of request.
import {
  FetchHttpClient,
  HttpBody,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse
} from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Array as Arr, Chunk, Effect, Fiber, Layer, Schedule, Scope, Stream, TestClock } from "effect"
import { Timeout } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { type TestClient, clients, counted, spans } from "../support/clients.js"
import { arrived, outcomes, settled, watchFibers } from "../support/leaks.js"
import { until } from "../../support/until.js"
import * as Servers from "../support/servers.js"
import { runs } from "../../support/runs.js"

/** Without delays, so that clocks have nothing to do with it. */
const atOnce = { times: 3, schedule: Schedule.forever } as const

const retry = HttpResilience.retry(atOnce)

type Response = HttpClientResponse.HttpClientResponse

type Failure = HttpClientError.HttpClientError | Timeout.TimeoutExceeded

/** What the caller gets: the status and the body, or what failed and why. */
const story = <E extends Failure, R>(call: Effect.Effect<Response, E, R>) =>
  call.pipe(
    Effect.flatMap((response) => Effect.map(response.text, (text) => `${response.status} ${text}`.trim())),
    Effect.catchAll((error: Failure) =>
      Effect.succeed(error._tag === "TimeoutExceeded" ? error._tag : `${error._tag} ${error.reason}`)
    )
  )

const form = ({ makeForm }: TestClient) => {
  const form = makeForm()
  form.append("a", "1")
  form.append("f", new File(["in the file"], "f.txt", { type: "text/plain" }))
  return HttpBody.formData(form)
}

// -------------------------------------------------------------------------------------------------- kinds of requests

interface Kind {
  readonly name: string
  readonly request: (url: string) => HttpClientRequest.HttpClientRequest
  readonly mark?: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Sent again after any failure that may pass; else only when it was certainly not sent. */
  readonly repeatable: boolean
  /** Never sent again. */
  readonly once?: boolean
}

const keyed = HttpClientRequest.setHeader("Idempotency-Key", '"k1"')
const text = HttpClientRequest.bodyText("some text")
const lines = Stream.encodeText(Stream.make("one,", "two"))
const stream = HttpClientRequest.bodyStream(lines)

const allKinds: ReadonlyArray<Kind> = [
  { name: "GET", request: HttpClientRequest.get, repeatable: true },
  { name: "HEAD", request: HttpClientRequest.head, repeatable: true },
  { name: "OPTIONS", request: HttpClientRequest.options, repeatable: true },
  { name: "DELETE", request: HttpClientRequest.del, repeatable: true },
  { name: "PUT", request: (url) => text(HttpClientRequest.put(url)), repeatable: true },
  { name: "POST", request: (url) => text(HttpClientRequest.post(url)), repeatable: false },
  { name: "POST without a body", request: HttpClientRequest.post, repeatable: false },
  { name: "PATCH", request: (url) => text(HttpClientRequest.patch(url)), repeatable: false },
  { name: "POST with a key", request: (url) => keyed(text(HttpClientRequest.post(url))), repeatable: true },
  { name: "PATCH with a key", request: (url) => keyed(text(HttpClientRequest.patch(url))), repeatable: true },
  {
    name: "POST marked as idempotent",
    request: (url) => text(HttpClientRequest.post(url)),
    mark: HttpResilience.idempotent,
    repeatable: true
  },
  {
    name: "POST marked as replayable",
    request: (url) => text(HttpClientRequest.post(url)),
    mark: HttpResilience.replayable,
    repeatable: false
  },
  {
    name: "PUT of a stream",
    request: (url) => stream(HttpClientRequest.put(url)),
    repeatable: false,
    once: true
  },
  {
    name: "PUT of a stream marked as idempotent",
    request: (url) => stream(HttpClientRequest.put(url)),
    mark: HttpResilience.idempotent,
    repeatable: false,
    once: true
  },
  {
    name: "PUT of a stream marked as replayable",
    request: (url) => stream(HttpClientRequest.put(url)),
    mark: HttpResilience.replayable,
    repeatable: true
  },
  {
    name: "POST of a stream marked as both",
    request: (url) => stream(HttpClientRequest.post(url)),
    mark: (self) => HttpResilience.idempotent(HttpResilience.replayable(self)),
    repeatable: true
  }
]

/** The short run takes one that is sent again by itself, one that is not, one that is for its key, and a stream. */
const inShort = new Set(["GET", "POST", "PATCH with a key", "PUT of a stream"])
const [first, others] = Arr.partition(allKinds, ({ name }) => !inShort.has(name))
const kinds = [...first, ...others].slice(0, runs(first.length, allKinds.length))

const send = <E, R>(client: HttpClient.HttpClient.With<E, R>, kind: Kind, url: string) => {
  const call = client.execute(kind.request(url))
  return kind.mark === undefined ? call : kind.mark(call)
}

/** A row for each kind of request: what the server saw of it, and what the caller got. */
const eachKind = <A, E, R>(row: (kind: Kind) => Effect.Effect<A, E, R>) =>
  Effect.map(
    Effect.forEach(kinds, (kind) => Effect.map(row(kind), (seen) => [kind.name, seen] as const), {
      concurrency: 4
    }),
    Object.fromEntries<A>
  )

const expected = <A>(row: (kind: Kind) => A) =>
  Object.fromEntries(kinds.map((kind) => [kind.name, row(kind)] as const))

/** All requests of a call say the same. */
const assertSame = (seen: ReadonlyArray<Servers.Seen>) => {
  for (const one of seen) {
    assert.isTrue(one.whole)
    assert.deepStrictEqual(fingerprint(one), fingerprint(seen[0] ?? one))
  }
}

/** What makes a request the same as another. The boundary of a form is made up anew for each. */
const fingerprint = ({ body, headers, method, path }: Servers.Seen) => {
  const type = headers["content-type"] ?? ""
  const boundary = /boundary=(.*)/.exec(type)?.[1]
  const neutral = (what: string) => (boundary === undefined ? what : what.replaceAll(boundary, "---"))
  return {
    method,
    path,
    body: neutral(body),
    type: neutral(type),
    length: headers["content-length"] ?? headers["transfer-encoding"],
    key: headers["idempotency-key"]
  }
}

describe.each(clients)("a retry over $name", (testClient) => {
  const { layer } = testClient
  const onClient = Effect.provide(layer)

  // ---------------------------------------------------------------------------------------------------------- statuses

  it.live.each([408, 425, 429, 500, 502, 503, 504])("sends again what may be repeated after a %d", (code) =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      const rows = yield* eachKind((kind) =>
        Effect.gen(function* () {
          const failing = Servers.status(code, { body: "not now" })
          const server = yield* Servers.server(failing, failing, Servers.status(200))
          const got = yield* story(send(client, kind, server.url))
          assertSame(server.seen)
          return [server.seen.length, got]
        })
      )
      const wanted = expected(({ name, repeatable }) =>
        repeatable ? [3, "200"] : [1, name === "HEAD" ? `${code}` : `${code} not now`]
      )
      assert.deepStrictEqual(rows, wanted)
    }).pipe(Effect.scoped, onClient)
  )

  it.live.each([200, 400, 404, 409, 501, 505])("sends nothing again after a %d", (code) =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      const rows = yield* eachKind((kind) =>
        Effect.gen(function* () {
          const server = yield* Servers.server(
            Servers.status(code, { body: "so it is" }),
            Servers.status(200)
          )
          const got = yield* story(send(client, kind, server.url))
          return [server.seen.length, got]
        })
      )
      const wanted = expected(({ name }) => [1, name === "HEAD" ? `${code}` : `${code} so it is`])
      assert.deepStrictEqual(rows, wanted)
    }).pipe(Effect.scoped, onClient)
  )

  // ---------------------------------------------------------------------------------------------------------- failures

  it.live.each<[string, Servers.Answer]>([
    ["a reset before the headers", Servers.reset],
    ["a close before the headers", Servers.hangUp],
    ["bytes that are no HTTP", Servers.garbage]
  ])("sends again what may be repeated after %s", ([, failing]) =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      const rows = yield* eachKind((kind) =>
        Effect.gen(function* () {
          const server = yield* Servers.server(failing, failing, Servers.status(200))
          const got = yield* story(send(client, kind, server.url))
          assertSame(server.seen)
          return [server.seen.length, got]
        })
      )
      assert.deepStrictEqual(
        rows,
        expected(({ repeatable }) => (repeatable ? [3, "200"] : [1, "RequestError Transport"]))
      )
    }).pipe(Effect.scoped, onClient)
  )

  it.live("sends every refused request again, except a stream that can be read once", () =>
    Effect.gen(function* () {
      const plain = yield* HttpClient.HttpClient
      const rows = yield* eachKind((kind) =>
        Effect.gen(function* () {
          const { attempts, client } = counted(plain)
          const { url } = yield* Servers.refused
          const got = yield* story(send(retry(client), kind, url))
          return [attempts(), got]
        })
      )
      assert.deepStrictEqual(
        rows,
        expected(({ once }) => [once === true ? 1 : 4, "RequestError Transport"])
      )
    }).pipe(Effect.scoped, onClient)
  )

  it.live.each(["no certificate", "hangs up", "no TLS"] as const)(
    "sends every request again that found no TLS (%s), except a stream that can be read once",
    (how) =>
      Effect.gen(function* () {
        const client = (yield* HttpClient.HttpClient).pipe(retry)
        const rows = yield* eachKind((kind) =>
          Effect.gen(function* () {
            const server = yield* how === "no TLS"
              ? Servers.server(Servers.status(200))
              : Servers.untrusted(how)
            const got = yield* story(send(client, kind, server.url.replace("http:", "https:")))
            const { accepted } = yield* settled(server)
            assert.strictEqual(server.seen.length, 0)
            return [accepted, got]
          })
        )
        assert.deepStrictEqual(
          rows,
          expected(({ once }) => [once === true ? 1 : 4, "RequestError Transport"])
        )
      }).pipe(Effect.scoped, onClient)
  )

  it.live("sends nothing again to a server whose certificate is not trusted", () =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      const rows = yield* eachKind((kind) =>
        Effect.gen(function* () {
          const server = yield* Servers.untrusted("self-signed")
          const got = yield* story(send(client, kind, server.url))
          return [(yield* settled(server)).accepted, got]
        })
      )
      assert.deepStrictEqual(
        rows,
        expected(() => [1, "RequestError Transport"])
      )
    }).pipe(Effect.scoped, onClient)
  )

  it.live.each(["http://a..b/", "http://localhost"])("sends a POST again that found nobody at %s", (place) =>
    Effect.gen(function* () {
      const { url } = yield* Servers.refused
      const { attempts, client } = counted(yield* HttpClient.HttpClient)
      const where = place.endsWith("localhost") ? url.replace("127.0.0.1", "localhost") : place
      assert.strictEqual(yield* story(retry(client).post(where)), "RequestError Transport")
      assert.strictEqual(attempts(), 4)
    }).pipe(Effect.scoped, onClient)
  )

  it.live("reaches a server that comes up meanwhile, with a POST", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(200))
      yield* server.down
      const client = (yield* HttpClient.HttpClient).pipe(
        HttpResilience.retry({
          ...atOnce,
          onRetry: ({ attempt }) => (attempt === 2 ? server.up : Effect.void)
        })
      )
      assert.strictEqual(yield* story(client.post(server.url, { body: HttpBody.text("hello") })), "200")
      assert.strictEqual(server.seen.length, 1)
    }).pipe(Effect.scoped, onClient)
  )

  it.live("sends a POST once when the server dies after it got it", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.lastWords(503), Servers.status(200))
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      assert.strictEqual(yield* story(client.post(server.url)), "503")
      assert.strictEqual(server.seen.length, 1)
    }).pipe(Effect.scoped, onClient)
  )

  it.live("leaves it to the caller when a body breaks after its headers", () =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      for (const how of ["reset", "close"] as const) {
        const server = yield* Servers.server(Servers.cutShort(200, how), Servers.status(200))
        assert.strictEqual(yield* story(client.get(server.url)), "ResponseError Decode")
        assert.strictEqual(server.seen.length, 1)
      }
    }).pipe(Effect.scoped, onClient)
  )

  it.live("does not send an invalid request", () =>
    Effect.gen(function* () {
      const { attempts, client } = counted(yield* HttpClient.HttpClient)
      assert.strictEqual(yield* story(retry(client).get("no url at all")), "RequestError InvalidUrl")
      assert.strictEqual(attempts(), 1)
    }).pipe(onClient)
  )

  it.live("does not read a replayable stream again that fails by itself", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(200))
      const { attempts, client } = counted(yield* HttpClient.HttpClient)
      const body = HttpBody.stream(Stream.concat(lines, Stream.fail("no more")))
      const call = retry(client).put(server.url, { body }).pipe(HttpResilience.replayable)
      assert.match(yield* story(call), /^RequestError/)
      assert.strictEqual(attempts(), 1)
      assert.isTrue(server.seen.every(({ whole }) => !whole))
    }).pipe(Effect.scoped, onClient)
  )

  it.live("makes four requests in any mix of failures, and returns the last response", () =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      const mix: ReadonlyArray<readonly [Servers.Answer, string]> = [
        [Servers.status(503, { body: "later" }), "503 later"],
        [Servers.reset, "RequestError Transport"],
        [Servers.status(429), "429"],
        [Servers.garbage, "RequestError Transport"],
        [Servers.status(408), "408"],
        [Servers.hangUp, "RequestError Transport"],
        [Servers.status(500, { body: "x".repeat(1000) }), `500 ${"x".repeat(1000)}`]
      ]
      for (const [start] of mix.entries()) {
        const [a, b, c, d] = [...mix.slice(start), ...mix.slice(0, start)]
        if (a === undefined || b === undefined || c === undefined || d === undefined) return assert.fail()
        const server = yield* Servers.server(a[0], b[0], c[0], d[0], Servers.status(200))
        assert.strictEqual(yield* story(client.get(server.url)), d[1])
        assert.strictEqual(server.seen.length, 4)
      }
    }).pipe(Effect.scoped, onClient)
  )

  // ------------------------------------------------------------------------------------------------------------ bodies

  it.live.each<[string, () => HttpBody.HttpBody, string | RegExp]>([
    ["empty", () => HttpBody.empty, ""],
    ["text", () => HttpBody.text("h\u00e9"), "h\u00c3\u00a9"],
    ["JSON", () => HttpBody.unsafeJson({ a: 1 }), '{"a":1}'],
    ["bytes", () => HttpBody.uint8Array(Uint8Array.of(0, 128, 255)), "\u0000\u0080\u00ff"],
    ["a raw string", () => HttpBody.raw("raw"), "raw"],
    [
      "a form",
      () => form(testClient),
      /name="a"\r\n\r\n1\r\n[^]*filename="f\.txt"\r\n[^]*\r\n\r\nin the file\r\n/
    ]
  ])("sends the same body again: %s", ([, body, wanted]) =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(503), Servers.reset, Servers.status(200))
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      assert.strictEqual(yield* story(client.put(server.url, { body: body() })), "200")
      assert.strictEqual(server.seen.length, 3)
      assertSame(server.seen)
      const sent = server.seen[2]?.body ?? ""
      if (typeof wanted === "string") assert.strictEqual(sent, wanted)
      else assert.match(sent, wanted)
    }).pipe(Effect.scoped, onClient)
  )

  it.live("sends a key of its own with every attempt of a call, and another with another call", () =>
    Effect.gen(function* () {
      for (const outside of [true, false]) {
        const server = yield* Servers.server(Servers.status(503), Servers.reset, Servers.status(200))
        const plain = yield* HttpClient.HttpClient
        const client = outside
          ? plain.pipe(retry, HttpResilience.idempotencyKey())
          : plain.pipe(HttpResilience.idempotencyKey(), retry)
        assert.strictEqual(yield* story(client.post(server.url, { body: HttpBody.text("pay") })), "200")
        assertSame(server.seen)
        assert.strictEqual(yield* story(client.post(server.url)), "200")
        const keys = server.seen.map(({ headers }) => headers["idempotency-key"])
        assert.strictEqual(keys.length, 4)
        assert.match(String(keys[0]), /^"[0-9a-f-]{36}"$/)
        assert.notStrictEqual(keys[3], keys[0])
      }
    }).pipe(Effect.scoped, onClient)
  )

  it.live("prepares a request once, wherever that is said", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(503), Servers.reset, Servers.status(200))
      let inside = 0
      let outside = 0
      const client = (yield* HttpClient.HttpClient).pipe(
        HttpClient.mapRequest(HttpClientRequest.setHeader("x-inside", String((inside += 1)))),
        HttpClient.tapRequest(() => Effect.sync(() => void (inside += 1))),
        retry,
        HttpClient.mapRequestEffect((request) =>
          Effect.sync(() => HttpClientRequest.setHeader(request, "x-outside", String((outside += 1))))
        )
      )
      assert.strictEqual(yield* story(client.get(server.url)), "200")
      assert.deepStrictEqual([inside, outside], [2, 1])
      assert.deepStrictEqual(
        server.seen.map(({ headers }) => [headers["x-inside"], headers["x-outside"]]),
        [
          ["1", "1"],
          ["1", "1"],
          ["1", "1"]
        ]
      )
    }).pipe(Effect.scoped, onClient)
  )

  it.live("follows a redirect on either side of it", () =>
    Effect.gen(function* () {
      for (const outside of [true, false]) {
        const moved = Servers.status(302, { headers: { location: "/there" } })
        const server = yield* Servers.server(Servers.status(503), moved, Servers.reset, Servers.status(200))
        const plain = yield* HttpClient.HttpClient
        const client = outside
          ? HttpClient.followRedirects(retry(plain))
          : retry(HttpClient.followRedirects(plain))
        assert.strictEqual(yield* story(client.get(`${server.url}/here`)), "200")
        const paths = server.seen.map(({ path }) => path).join()
        // fetch follows redirects itself, so that the second half is one request with the first there too.
        if (outside && testClient.name !== "fetch") assert.strictEqual(paths, "/here,/here,/there,/there")
        else assert.match(paths, /^\/here,\/here,\/there,\/here/)
      }
    }).pipe(Effect.scoped, onClient)
  )

  // ------------------------------------------------------------------------------------------------------ what is waited

  it.effect("waits for all of a Retry-After, and no longer", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.status(503, { headers: { "retry-after": "7" }, body: "later" }),
        Servers.status(200)
      )
      const exact = HttpResilience.retry({ ...atOnce, hintJitter: 0 })
      const client = (yield* HttpClient.HttpClient).pipe(exact)
      const calling = yield* Effect.fork(story(client.get(server.url)))
      yield* until(TestClock.sleeps(), (sleeps) => Chunk.contains(sleeps, 7000))
      yield* TestClock.adjust("6999 millis")
      assert.strictEqual(server.seen.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(calling), "200")
      assert.strictEqual(server.seen.length, 2)
    }).pipe(Effect.scoped, onClient)
  )

  it.live("returns a response at once when its Retry-After is too long", () =>
    Effect.gen(function* () {
      const content = { headers: { "retry-after": "11" }, body: "maintenance" }
      const server = yield* Servers.server(Servers.status(503, content), Servers.status(200))
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      assert.strictEqual(yield* story(client.get(server.url)), "503 maintenance")
      assert.strictEqual(server.seen.length, 1)
    }).pipe(Effect.scoped, onClient)
  )

  // ------------------------------------------------------------------------------------------- what becomes of responses

  // With a clock that stands still, so that the time for reading does not run out on a machine that is busy.
  it.effect.each<[string, Servers.Answer]>([
    ["that are there", Servers.status(503, { body: "x".repeat(20_000) })],
    ["that are still coming", Servers.lateBody(503, 10)],
    ["without a body", Servers.status(503)]
  ])("reads responses to their end that it replaces (%s), and uses their connection again", ([, failing]) =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.eachPath(failing, failing, failing, Servers.status(200)))
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      for (let call = 0; call < 5; call++) {
        assert.strictEqual(yield* story(client.get(`${server.url}/${call}`)), "200")
      }
      assert.strictEqual(server.seen.length, 20)
      yield* until(server.sockets, ({ busy }) => busy === 0)
      assert.isTrue(server.seen.every(({ outcome }) => outcome === "answered"))
      if (testClient.keepsAlive) assert.isAtMost((yield* settled(server)).accepted, 5)
    }).pipe(Effect.scoped, onClient)
  )

  it.live.each<[string, Servers.Answer]>([
    ["big", Servers.bigBody(503, 10_000_000)],
    ["big and of unknown length", Servers.bigBody(503, Infinity)],
    ["not ending", Servers.slowBody(503)]
  ])("aborts a response that it replaces and that is %s", ([, failing]) =>
    Effect.gen(function* () {
      const server = yield* Servers.server(failing, Servers.slowHeaders(Servers.status(200)))
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      const calling = yield* Effect.fork(story(client.get(server.url)))
      yield* arrived(server, 2)
      yield* outcomes(server, "aborted", "open")
      yield* server.tell
      assert.strictEqual(yield* Fiber.join(calling), "200")
    }).pipe(Effect.scoped, onClient)
  )

  it.live("goes on when the answer comes before the body is sent", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.early(Servers.status(503, { body: "go away" })),
        Servers.status(200)
      )
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      const body = HttpBody.text("x".repeat(100_000))
      assert.strictEqual(yield* story(client.put(server.url, { body })), "200")
      assert.strictEqual(server.seen.length, 2)
      assert.strictEqual(server.seen[1]?.body.length, 100_000)
    }).pipe(Effect.scoped, onClient)
  )

  it.live("goes on when a response breaks that it replaces", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.cutShort(503, "reset"),
        Servers.cutShort(503, "close"),
        Servers.status(200)
      )
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      assert.strictEqual(yield* story(client.get(server.url)), "200")
      assert.strictEqual(server.seen.length, 3)
    }).pipe(Effect.scoped, onClient)
  )

  it.live("gives back the last response with its body unread", () =>
    Effect.gen(function* () {
      const endless = Servers.bigBody(503, Infinity)
      const server = yield* Servers.server(endless, endless, endless, Servers.bigBody(503, 200_000))
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      assert.strictEqual(yield* story(client.get(server.url)), `503 ${"x".repeat(200_000)}`)
      yield* outcomes(server, "aborted", "aborted", "aborted", "answered")
    }).pipe(Effect.scoped, onClient)
  )

  it.live("gives back the last response with its body unread whatever ended it", () =>
    Effect.gen(function* () {
      const plain = yield* HttpClient.HttpClient
      for (const [client, requests] of [
        [plain.pipe(HttpResilience.retry({ schedule: Schedule.recurs(1) })), 2],
        [plain.pipe(HttpResilience.retry({ ...atOnce, maxDuration: 0 })), 1],
        [plain.pipe(HttpResilience.retry({ times: 0 })), 1]
      ] as const) {
        const server = yield* Servers.server(Servers.bigBody(503, 100_000))
        assert.strictEqual(yield* story(client.get(server.url)), `503 ${"x".repeat(100_000)}`)
        assert.strictEqual(server.seen.length, requests)
      }
    }).pipe(Effect.scoped, onClient)
  )

  it.live("lets a listener read the response that is replaced", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.eachPath(
          Servers.status(503, { body: "one" }),
          Servers.status(503, { body: "two" }),
          Servers.status(200)
        )
      )
      const read: Array<string> = []
      const client = (yield* HttpClient.HttpClient).pipe(
        HttpResilience.retry({
          ...atOnce,
          onRetryScheduled: ({ failure }) =>
            failure._tag === "Result"
              ? Effect.map(failure.result.text, (text) => void read.push(text))
              : Effect.void
        })
      )
      for (let call = 0; call < 5; call++) {
        assert.strictEqual(
          yield* Effect.orDie(Effect.map(client.get(`${server.url}/${call}`), ({ status }) => status)),
          200
        )
      }
      assert.strictEqual(read.join(), "one,two,one,two,one,two,one,two,one,two")
    }).pipe(Effect.scoped, onClient)
  )

  it.live("sees statuses that are errors as what they are, and gives the last one back readable", () =>
    Effect.gen(function* () {
      const failing = Servers.status(503, { body: "later" })
      const server = yield* Servers.server(failing, failing, failing, failing, Servers.status(404))
      const client = (yield* HttpClient.HttpClient).pipe(HttpClient.filterStatusOk, retry)
      const error = yield* Effect.flip(client.get(server.url))
      assert.strictEqual(`${error._tag} ${error.reason}`, "ResponseError StatusCode")
      if (error._tag === "ResponseError") assert.strictEqual(yield* error.response.text, "later")
      assert.strictEqual(server.seen.length, 4)
      yield* Effect.flip(client.get(server.url))
      assert.strictEqual(server.seen.length, 5)
      if (testClient.keepsAlive) assert.isAtMost((yield* settled(server)).open, 4)
    }).pipe(Effect.scoped, onClient)
  )

  // -------------------------------------------------------------------------------------------------------------- spans

  it.live("numbers the spans of further attempts, through policies inside of one another", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.status(503),
        Servers.reset,
        Servers.status(503),
        Servers.status(200)
      )
      const { collect, ofAttempts } = spans()
      const twice = HttpResilience.retry({ times: 1, schedule: Schedule.forever })
      const client = (yield* HttpClient.HttpClient).pipe(twice, retry)
      assert.strictEqual(yield* collect(story(client.get(server.url))), "200")
      assert.deepStrictEqual(ofAttempts("http.request.resend_count"), [undefined, 1, 2, 3])
      assert.deepStrictEqual(ofAttempts("http.response.status_code"), [503, undefined, 503, 200])
    }).pipe(Effect.scoped, onClient)
  )

  it.live("numbers anew for each call of one request object", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.status(503),
        Servers.status(200),
        Servers.status(503),
        Servers.status(200)
      )
      const { collect, ofAttempts } = spans()
      const request = HttpClientRequest.get(server.url)
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      yield* collect(Effect.zipRight(story(client.execute(request)), story(client.execute(request))))
      assert.deepStrictEqual(ofAttempts("http.request.resend_count"), [undefined, 1, undefined, 1])
    }).pipe(Effect.scoped, onClient)
  )

  it.live("leaves the spans of single attempts alone", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(200))
      const { collect, ofAttempts } = spans()
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      yield* collect(Effect.zipRight(story(client.get(server.url)), story(client.get(server.url))))
      assert.deepStrictEqual(ofAttempts("http.request.resend_count"), [undefined, undefined])
    }).pipe(Effect.scoped, onClient)
  )

  // ------------------------------------------------------------------------------------- timeouts, hedges, interruptions

  // The test's clock stands still until it is moved, so that a limit passes when the server has the request and not before.
  const limit = "1 second"
  const attemptTimeout = HttpResilience.timeout(limit)

  it.effect("sends again what may be repeated after an attempt that timed out and was aborted", () =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(attemptTimeout, retry)
      const slow = Servers.slowHeaders(Servers.status(200))
      const rows = yield* Effect.map(
        Effect.forEach(kinds, (kind) =>
          Effect.gen(function* () {
            const server = yield* Servers.server(slow, Servers.hang, Servers.status(200))
            const calling = yield* Effect.fork(story(send(client, kind, server.url)))
            yield* arrived(server, 1)
            yield* TestClock.adjust(limit)
            if (kind.repeatable) {
              yield* arrived(server, 2)
              yield* TestClock.adjust(limit)
            }
            const got = yield* Fiber.join(calling)
            yield* outcomes(
              server,
              ...(kind.repeatable ? (["aborted", "aborted", "answered"] as const) : (["aborted"] as const))
            )
            assertSame(server.seen)
            return [kind.name, [server.seen.length, got]] as const
          })
        ),
        Object.fromEntries
      )
      assert.deepStrictEqual(
        rows,
        expected(({ repeatable }) => (repeatable ? [3, "200"] : [1, "TimeoutExceeded"]))
      )
    }).pipe(Effect.scoped, onClient)
  )

  it.effect("stops an upload that does not come to its end, and begins it anew", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(200))
      const { alive, watch } = yield* watchFibers
      let begun = 0
      let ended = 0
      const upload = Stream.suspend(() => {
        begun += 1
        return begun === 1 ? Stream.concat(lines, Stream.never) : lines
      }).pipe(Stream.ensuring(Effect.sync(() => void (ended += 1))))
      const client = (yield* HttpClient.HttpClient).pipe(attemptTimeout, retry)
      const body = HttpBody.stream(upload)
      const calling = yield* Effect.fork(
        watch(story(HttpResilience.replayable(client.put(server.url, { body }))))
      )
      yield* until(
        Effect.sync(() => server.seen[0]?.body),
        (arrived) => arrived === "one,two"
      )
      yield* TestClock.adjust(limit)
      assert.strictEqual(yield* Fiber.join(calling), "200")
      yield* outcomes(server, "aborted", "answered")
      assert.deepStrictEqual(
        server.seen.map(({ body, whole }) => [body, whole]),
        [
          ["one,two", false],
          ["one,two", true]
        ]
      )
      // The fetch of Node 20 leaves the stream of an aborted upload as it is.
      if (testClient.name === "fetch") return
      yield* until(
        Effect.sync(() => ended),
        (now) => now === begun
      )
      yield* until(alive, (fibers) => fibers.length === 0)
    }).pipe(Effect.scoped, onClient)
  )

  it.effect("makes four requests of which each hangs", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.hang)
      const client = (yield* HttpClient.HttpClient).pipe(attemptTimeout, retry)
      const calling = yield* Effect.fork(story(client.get(server.url)))
      for (let attempt = 1; attempt <= 4; attempt++) {
        yield* arrived(server, attempt)
        yield* TestClock.adjust(limit)
      }
      assert.strictEqual(yield* Fiber.join(calling), "TimeoutExceeded")
      yield* outcomes(server, "aborted", "aborted", "aborted", "aborted")
    }).pipe(Effect.scoped, onClient)
  )

  it.effect.each<
    [string, HttpResilience.TimeoutOptions["body"], (response: Response) => Effect.Effect<unknown, unknown>]
  >([
    ["text", true, (response) => response.text],
    ["text, when only that is limited", "buffered", (response) => response.text],
    ["a stream", true, (response) => Stream.runDrain(response.stream)],
    ["bytes", true, (response) => response.arrayBuffer]
  ])("aborts a body that is read too slowly as %s", ([, body, read]) =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.slowBody(200))
      const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.timeout({ limit, body }), retry)
      const response = yield* client.get(server.url)
      const reading = yield* Effect.fork(Effect.flip(read(response)))
      yield* TestClock.adjust(limit)
      const error = yield* Fiber.join(reading)
      assert.include(error, { _tag: "ResponseError", reason: "Decode" })
      assert.instanceOf((error as HttpClientError.ResponseError).cause, Timeout.TimeoutExceeded)
      yield* outcomes(server, "aborted")
      assert.strictEqual((yield* settled(server)).open, 0)
    }).pipe(Effect.scoped, onClient)
  )

  it.effect("aborts a body with a limit that is left before its end", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.bigBody(200, Infinity),
        Servers.slowBody(200),
        Servers.slowBody(200)
      )
      const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.timeout({ limit, body: true }))
      const first = yield* client.get(server.url)
      yield* Stream.runDrain(Stream.take(first.stream, 1))
      yield* outcomes(server, "aborted")
      for (const read of [
        (response: Response) => response.text,
        (response: Response) => Stream.runDrain(response.stream)
      ]) {
        const reading = yield* Effect.fork(read(yield* client.get(server.url)))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(reading)
      }
      yield* outcomes(server, "aborted", "aborted", "aborted")
    }).pipe(Effect.scoped, onClient)
  )

  it.effect("lets a body take its time that has no limit", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.slowBody(200))
      const client = (yield* HttpClient.HttpClient).pipe(attemptTimeout, retry)
      const reading = yield* Effect.fork(story(client.get(server.url)))
      yield* arrived(server, 1)
      yield* until(server.sockets, ({ busy }) => busy === 1)
      const response = yield* client.get(server.url)
      yield* TestClock.adjust("1 hour")
      yield* server.tell
      assert.strictEqual(yield* response.text, "first,last")
      yield* Fiber.interrupt(reading)
    }).pipe(Effect.scoped, onClient)
  )

  it.effect("takes the first response of a hedge, and aborts the others", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.hang,
        Servers.hang,
        Servers.slowHeaders(Servers.status(200, { body: "won" }))
      )
      const { collect, ofAttempts } = spans()
      const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.hedge({ delay: limit, maxHedges: 2 }))
      const calling = yield* Effect.fork(collect(story(client.get(server.url))))
      for (let hedge = 1; hedge <= 2; hedge++) {
        yield* arrived(server, hedge)
        yield* TestClock.adjust(limit)
      }
      yield* arrived(server, 3)
      yield* server.tell
      assert.strictEqual(yield* Fiber.join(calling), "200 won")
      yield* outcomes(server, "aborted", "aborted", "answered")
      assertSame(server.seen)
      assert.deepStrictEqual(ofAttempts("http.request.resend_count"), [undefined, 1, 2])
      const { open } = yield* settled(server)
      if (!testClient.keepsAlive) assert.strictEqual(open, 0)
    }).pipe(Effect.scoped, onClient)
  )

  it.effect("hedges nothing that may not be repeated", () =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.hedge({ delay: limit }))
      const rows = yield* Effect.map(
        Effect.forEach(kinds, (kind) =>
          Effect.gen(function* () {
            const server = yield* Servers.server(Servers.slowHeaders(Servers.status(200)))
            const calling = yield* Effect.fork(story(send(client, kind, server.url)))
            yield* arrived(server, 1)
            yield* TestClock.adjust("5 seconds")
            if (kind.repeatable) yield* arrived(server, 2)
            yield* server.tell
            assert.strictEqual(yield* Fiber.join(calling), "200")
            return [kind.name, server.seen.length] as const
          })
        ),
        Object.fromEntries
      )
      assert.deepStrictEqual(
        rows,
        expected(({ repeatable }) => (repeatable ? 2 : 1))
      )
    }).pipe(Effect.scoped, onClient)
  )

  it.effect("is interrupted with its caller, on the wire as well", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(503, { body: "later" }), Servers.hang, Servers.hang)
      const client = (yield* HttpClient.HttpClient).pipe(
        attemptTimeout,
        HttpResilience.hedge({ delay: limit }),
        retry
      )
      const calling = yield* Effect.fork(client.get(server.url))
      yield* arrived(server, 2)
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(calling)
      yield* outcomes(server, "answered", "aborted")
      assert.strictEqual(server.seen.length, 2)
    }).pipe(Effect.scoped, onClient)
  )

  // -------------------------------------------------------------------------------------------------- clients in a scope

  const scopedClients: ReadonlyArray<
    [
      string,
      <E, R>(
        client: HttpClient.HttpClient.With<E, R>,
        part: HttpResilience.Part<Timeout.TimeoutExceeded>
      ) => HttpClient.HttpClient.With<E | Timeout.TimeoutExceeded, R | Scope.Scope>
    ]
  > = [
    ["inside", (client, part) => part(HttpClient.withScope(client))],
    ["outside", (client, part) => HttpClient.withScope(part(client))]
  ]

  const attempts = HttpResilience.timeout(limit)
  const timedRetry = Object.assign(
    <E, R>(client: HttpClient.HttpClient.With<E, R>) => client.pipe(attempts, retry),
    {}
  ) as unknown as HttpResilience.Part<Timeout.TimeoutExceeded>

  it.effect.each(scopedClients)("aborts an attempt that timed out at once, with a scope %s", ([, scoped]) =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.hang,
        Servers.slowHeaders(Servers.status(200, { body: "fine" }))
      )
      const client = scoped(yield* HttpClient.HttpClient, timedRetry)
      const calling = yield* Effect.fork(story(client.get(server.url)))
      yield* arrived(server, 1)
      yield* TestClock.adjust(limit)
      yield* arrived(server, 2)
      yield* outcomes(server, "aborted", "open")
      yield* server.tell
      assert.strictEqual(yield* Fiber.join(calling), "200 fine")
      yield* outcomes(server, "aborted", "answered")
    }).pipe(Effect.scoped, onClient)
  )

  it.effect.each(scopedClients)("aborts the loser of a hedge at once, with a scope %s", ([, scoped]) =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.hang, Servers.status(200, { body: "fine" }))
      const hedge = HttpResilience.hedge({ delay: limit })
      const client = scoped(yield* HttpClient.HttpClient, hedge)
      const calling = yield* Effect.fork(story(client.get(server.url)))
      yield* arrived(server, 1)
      yield* TestClock.adjust(limit)
      assert.strictEqual(yield* Fiber.join(calling), "200 fine")
      yield* outcomes(server, "aborted", "answered")
    }).pipe(Effect.scoped, onClient)
  )

  it.live.each(scopedClients)(
    "releases the responses that it replaces at once, with a scope %s",
    ([, scoped]) =>
      Effect.gen(function* () {
        for (const bytes of [Infinity, 10_000_000]) {
          const server = yield* Servers.server(Servers.bigBody(503, bytes), Servers.slowBody(200))
          const client = scoped(yield* HttpClient.HttpClient, retry)
          const response = yield* client.get(server.url)
          yield* outcomes(server, "aborted", "open")
          const reading = yield* Effect.fork(response.text)
          yield* server.tell
          assert.strictEqual(yield* Fiber.join(reading), "first,last")
        }
      }).pipe(Effect.scoped, onClient)
  )

  it.live.each(scopedClients)(
    "aborts the response that came back when its scope closes, with a scope %s",
    ([, scoped]) =>
      Effect.gen(function* () {
        const server = yield* Servers.server(Servers.status(503), Servers.slowBody(200))
        const client = scoped(yield* HttpClient.HttpClient, retry)
        const scope = yield* Scope.make()
        const response = yield* Scope.extend(client.get(server.url), scope)
        assert.strictEqual(response.status, 200)
        yield* outcomes(server, "answered", "open")
        yield* Scope.close(scope, yield* Effect.exit(Effect.void))
        yield* outcomes(server, "answered", "aborted")
      }).pipe(Effect.scoped, onClient)
  )

  it.live("runs the calls of one request object side by side", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(503), Servers.status(200, { body: "fine" }))
      for (const [, scoped] of scopedClients) {
        const client = scoped(yield* HttpClient.HttpClient, retry)
        const request = HttpClientRequest.get(server.url)
        const stories = yield* Effect.all(Effect.replicate(story(client.execute(request)), 5), {
          concurrency: 5
        })
        assert.deepStrictEqual(
          stories,
          Array.from({ length: 5 }, () => "200 fine")
        )
      }
      assert.strictEqual(server.seen.length, 11)
    }).pipe(Effect.scoped, onClient)
  )

  it.live("protects whoever asks for an HttpClient, as a layer", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.status(503),
        Servers.reset,
        Servers.status(200, { body: "fine" })
      )
      assert.strictEqual(yield* story(HttpClient.get(server.url)), "200 fine")
      assert.strictEqual(server.seen.length, 3)
      const { url } = yield* Servers.refused
      const error = yield* Effect.flip(HttpClient.get(url))
      assert.strictEqual(`${error._tag} ${error.reason}`, "RequestError Transport")
    }).pipe(
      Effect.scoped,
      Effect.provide(HttpResilience.layer({ retry: atOnce, hedge: false }).pipe(Layer.provide(layer)))
    )
  )
})

describe("a retry in real time", () => {
  it.live("waits for all of a Retry-After", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.status(503, { headers: { "retry-after": "1" } }),
        Servers.status(200)
      )
      const client = (yield* HttpClient.HttpClient).pipe(retry)
      const startedAt = performance.now()
      assert.strictEqual(yield* story(client.get(server.url)), "200")
      assert.isAtLeast(performance.now() - startedAt, 995)
    }).pipe(Effect.scoped, Effect.provide(FetchHttpClient.layer))
  )
})
