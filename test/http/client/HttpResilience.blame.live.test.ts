// Whose fault it is that a request got no answer, for every client of the platform, from real sockets and real mistakes: how often
// it is sent, what that costs a budget, whether a hedge goes on, and whether it opens the circuit of everybody else.
import {
  FetchHttpClient,
  HttpBody,
  HttpClient,
  type HttpClientError,
  HttpClientRequest
} from "@effect/platform"
import { NodeHttpClient, Undici } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Schedule, type Scope, Stream, TestClock } from "effect"
import { CircuitBreaker, RetryBudget, Timeout, Trip } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { clients, counted, secureClients } from "../support/clients.js"
import { until } from "../../support/until.js"
import * as Servers from "../support/servers.js"

type Client = HttpClient.HttpClient
type Error = HttpClientError.HttpClientError
type Call = (client: Client) => Effect.Effect<unknown, Error>

/** What follows for each policy from what happened. */
const consequences = {
  /** The request could not be sent as it is. */
  "never valid": { repeated: false, counted: false },
  /** The source of the body failed. */
  "own body": { repeated: false, counted: false },
  /** The caller's own signal ended it, and stays as it is. */
  cancelled: { repeated: false, counted: false },
  /** The pool of this process is closed. */
  "own pool": { repeated: true, counted: false },
  /** One side does not accept the certificate of the other. */
  untrusted: { repeated: false, counted: false },
  /** The answer is one that the client cannot take. */
  unusable: { repeated: false, counted: false },
  /** The server redirected to a place that cannot be reached. */
  "led away": { repeated: true, counted: false },
  /** The request was certainly not sent. */
  "not sent": { repeated: true, counted: true },
  /** The request may have arrived. */
  lost: { repeated: true, counted: true },
  /** A status below 500. */
  answered: { repeated: false, counted: false }
} as const

type What = keyof typeof consequences

/** What happens to a request over the three clients, in the order of `clients`. */
type Row = readonly [
  name: string,
  over: What | readonly [fetch: What, undici: What, node?: What],
  make: Effect.Effect<Call, never, Scope.Scope>
]

const good = Servers.server(Servers.status(200))

/** A mistake in a request to a server that is well. */
const mistake = (send: (client: Client, url: string) => Effect.Effect<unknown, Error>) =>
  Effect.map(
    good,
    ({ url }): Call =>
      (client) =>
        send(client, url)
  )

const to = (url: string) => Effect.succeed<Call>((client) => client.get(url))

const answering = (...answers: readonly [Servers.Answer, ...Array<Servers.Answer>]) =>
  Effect.map(
    Servers.server(...answers),
    ({ url }): Call =>
      (client) =>
        client.get(url)
  )

const redirect = (location: string) => answering(Servers.status(302, { headers: { location } }))

const withHeaders = (headers: Record<string, string>) =>
  mistake((client, url) => client.get(url, { headers }))

const withMethod = (method: string) =>
  mistake((client, url) => {
    const request = HttpClientRequest.get(url)
    const prototype = Object.getPrototypeOf(request) as object
    const other = Object.assign(Object.create(prototype), request, { method }) as typeof request
    return client.execute(other)
  })

const lines = Stream.encodeText(Stream.make("one,", "two"))

const withStream = (stream: Stream.Stream<Uint8Array, unknown>, contentLength?: number) =>
  mistake((client, url) =>
    HttpResilience.replayable(client.put(url, { body: HttpBody.stream(stream, "text/plain", contentLength) }))
  )

const broken = (error: unknown) => withStream(Stream.concat(lines, Stream.fail(error)))

const interrupted = Stream.concat(lines, Stream.fromEffect(Effect.interrupt))

const withLocked = mistake((client, url) => {
  const body = new ReadableStream()
  body.getReader()
  return HttpResilience.replayable(client.put(url, { body: HttpBody.raw(body) }))
})

const reset = Object.assign(new Error("a connection of the source was reset"), { code: "ECONNRESET" })

const rows: ReadonlyArray<Row> = [
  // never valid
  ["a header that is not Latin-1", "never valid", withHeaders({ "x-user-name": "Łukasz" })],
  ["a header with a line break", "never valid", withHeaders({ "x-user-name": "a\r\nb: c" })],
  ["a header without a name", "never valid", withHeaders({ "": "x" })],
  ["a header whose name has a space", "never valid", withHeaders({ "user name": "x" })],
  ["a header of the connection", ["never valid", "never valid", "answered"], withHeaders({ upgrade: "x" })],
  [
    "a header that is not supported",
    ["never valid", "never valid", "answered"],
    withHeaders({ expect: "x" })
  ],
  ["a method with a space", "never valid", withMethod("GE T")],
  ["a method that fetch forbids", ["never valid", "answered", "answered"], withMethod("TRACE")],
  ["the scheme ftp:", "never valid", to("ftp://127.0.0.1/offer")],
  ["a scheme with a typing error", "never valid", to("rstp://127.0.0.1/offer")],
  ["the scheme mailto:", "never valid", to("mailto:a@b")],
  ["the scheme about:", "never valid", to("about:blank")],
  ["the scheme file:", "never valid", to("file:///etc/hostname")],
  ["no URL", "never valid", to("http://")],
  ["a port that fetch blocks", ["never valid", "not sent", "not sent"], to("http://127.0.0.1:6667/")],
  [
    "credentials in the URL",
    ["never valid", "answered", "answered"],
    mistake((client, url) => client.get(url.replace("//", "//user:password@")))
  ],
  [
    "a body for a GET",
    ["never valid", "answered", "answered"],
    mistake((client, url) => client.execute(HttpClientRequest.bodyText(HttpClientRequest.get(url), "x")))
  ],
  // own body
  ["a body whose source fails", "own body", broken(new Error("the browser hung up"))],
  ["a body whose source fails with a string", "own body", broken("no more")],
  ["a body whose source lost its own connection", "own body", broken(reset)],
  // Over node:http the call itself is interrupted.
  ["a body whose source is interrupted", ["own body", "own body"], withStream(interrupted)],
  ["a body that somebody else reads", ["never valid", "never valid"], withLocked],
  ["a body that is longer than it says", ["answered", "own body", "answered"], withStream(lines, 3)],
  ["a body that is shorter than it says", ["answered", "own body"], withStream(lines, 30)],
  // certificates
  [
    "a certificate that nobody signed",
    "untrusted",
    Effect.map(
      Servers.untrusted("self-signed"),
      ({ url }): Call =>
        (client) =>
          client.get(url)
    )
  ],
  // answers that no client can take
  ["a redirect loop", ["unusable", "answered", "answered"], redirect("/")],
  ["a redirect to another scheme", ["unusable", "answered", "answered"], redirect("ftp://127.0.0.1/")],
  ["a redirect to no URL", ["unusable", "answered", "answered"], redirect("http://")],
  [
    "a redirect to another origin with credentials",
    ["unusable", "answered", "answered"],
    redirect("http://user:secret@127.0.0.1:40000/")
  ],
  [
    "a redirect to where nobody listens",
    ["led away", "answered", "answered"],
    Effect.flatMap(Servers.refused, ({ url }) => redirect(url))
  ],
  [
    "a redirect of a stream",
    ["unusable", "answered", "answered"],
    Effect.map(
      Servers.server(Servers.status(307, { headers: { location: "/" } })),
      ({ url }): Call =>
        (client) =>
          HttpResilience.replayable(client.put(url, { body: HttpBody.stream(lines) }))
    )
  ],
  [
    "headers that are too large",
    "unusable",
    answering(Servers.status(200, { headers: { x: "x".repeat(50_000) } }))
  ],
  // not sent
  [
    "a refused connection",
    "not sent",
    Effect.map(
      Servers.refused,
      ({ url }): Call =>
        (client) =>
          client.get(url)
    )
  ],
  ["a host without an address", "not sent", to("http://a..b/")],
  [
    "a server that hangs up in the handshake",
    "not sent",
    Effect.map(
      Servers.untrusted("hangs up"),
      ({ url }): Call =>
        (client) =>
          client.get(url)
    )
  ],
  // may have arrived
  ["a reset before the answer", "lost", answering(Servers.reset)],
  ["a close before the answer", "lost", answering(Servers.hangUp)],
  ["an answer that is no HTTP", "lost", answering(Servers.garbage)],
  // answered
  ["a 404", "answered", answering(Servers.status(404))],
  ["a request that is too large", "answered", answering(Servers.early(Servers.status(431)))]
]

/** Sends a call through a retry, a hedge and a breaker, each alone, and tells what they made of it. */
const judged = (layer: Layer.Layer<HttpClient.HttpClient>, call: Call) =>
  Effect.gen(function* () {
    const plain = yield* HttpClient.HttpClient
    const through = (part: HttpResilience.Part<CircuitBreaker.CircuitOpen>) => {
      const { attempts, client } = counted(plain)
      const protectedClient = client.pipe(part, HttpResilience.sealed)
      return Effect.map(Effect.exit(call(protectedClient)), (exit) => ({ attempts: attempts(), exit }))
    }
    const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ ratio: 0, capacity: 10 }) })
    const retried = yield* through(HttpResilience.retry({ times: 3, schedule: Schedule.forever, budget }))
    const hedged = yield* through(HttpResilience.hedge({ delay: "1 hour" }))
    const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
    const { exit } = yield* through(HttpResilience.circuitBreaker(breaker))
    return {
      attempts: retried.attempts,
      spent: 10 - (yield* budget.balance),
      hedges: hedged.attempts - 1,
      circuit: yield* breaker.state,
      died: Exit.isFailure(exit) && exit.cause._tag === "Die"
    }
  }).pipe(Effect.provide(layer))

const expected = (what: What) => {
  const { counted, repeated } = consequences[what]
  return {
    attempts: repeated ? 4 : 1,
    spent: repeated ? 3 : 0,
    hedges: repeated ? 1 : 0,
    circuit: counted ? "open" : "closed",
    died: false
  }
}

describe.each(clients.map((client, index) => ({ ...client, index })))(
  "a call over $name",
  ({ index, layer }) => {
    it.live.each(
      rows.flatMap(([name, over, make]) => {
        const what = typeof over === "string" ? over : over[index]
        return what === undefined ? [] : [[name, what, make] as const]
      })
    )("%s is %s", ([, what, make]) =>
      Effect.scoped(
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* judged(layer, yield* make), expected(what))
        })
      )
    )
  }
)

describe.each(clients)("a client over $name that follows redirects", ({ layer }) => {
  const following = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) => HttpClient.followRedirects(client, 3))
  ).pipe(
    Layer.provide(layer),
    Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" }))
  )

  it.live("blames nobody for a redirect to where nobody listens", () =>
    Effect.gen(function* () {
      const { url } = yield* Servers.refused
      const call = yield* redirect(url)
      assert.deepStrictEqual(yield* judged(following, call), expected("led away"))
    }).pipe(Effect.scoped)
  )

  it.live("knows that a refused connection sent nothing", () =>
    Effect.gen(function* () {
      const { url } = yield* Servers.refused
      assert.deepStrictEqual(yield* judged(following, (client) => client.get(url)), expected("not sent"))
    }).pipe(Effect.scoped)
  )
})

describe("a call over TLS", () => {
  it.live.each([
    ["a certificate for another host", Servers.selfSigned()],
    ["a certificate that has expired", Servers.selfSigned("200102000000Z")]
  ] as const)("%s is untrusted", ([, own]) =>
    Effect.gen(function* () {
      const { url } = yield* Servers.secure(own)
      for (const [name, layer] of Object.entries(secureClients({ ca: own.cert }))) {
        const outcome = yield* judged(layer, (client) => client.get(url))
        assert.deepStrictEqual([name, outcome], [name, expected("untrusted")])
      }
    }).pipe(Effect.scoped)
  )
})

describe("a failure of the caller's own process", () => {
  it.live("is cancelled when the caller's signal fired", () =>
    Effect.gen(function* () {
      const { url } = yield* good
      for (const reason of [undefined, new DOMException("too late", "TimeoutError")]) {
        const aborted: typeof fetch = (url, init) =>
          fetch(url, { ...init, signal: AbortSignal.abort(reason) })
        const layer = Layer.provide(FetchHttpClient.layer, Layer.succeed(FetchHttpClient.Fetch, aborted))
        assert.deepStrictEqual(yield* judged(layer, (client) => client.get(url)), expected("cancelled"))
      }
    }).pipe(Effect.scoped)
  )

  it.live.each(["close", "destroy"] as const)("belongs to the process after the %s of its pool", (end) =>
    Effect.gen(function* () {
      const { url } = yield* good
      const agent = new Undici.Agent()
      yield* Effect.promise(() => agent[end]())
      const layer = Layer.provide(
        NodeHttpClient.layerUndiciWithoutDispatcher,
        Layer.succeed(NodeHttpClient.Dispatcher, agent)
      )
      assert.deepStrictEqual(yield* judged(layer, (client) => client.get(url)), expected("own pool"))
    }).pipe(Effect.scoped)
  )
})

describe.each(clients)("a limit over $name", ({ layer }) => {
  const limit = "1 second"

  /** Sends a call whose attempts end at a limit, which passes when the server has as much of the request as it will get. */
  const limited = (
    call: (client: Client, url: string) => Effect.Effect<unknown, Error>,
    isSent: Sent,
    answer: Servers.Answer = Servers.hang
  ) =>
    Effect.gen(function* () {
      const server = yield* Servers.server(answer)
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      const client = (yield* HttpClient.HttpClient).pipe(
        HttpResilience.timeout(limit),
        HttpResilience.circuitBreaker(breaker),
        HttpResilience.sealed
      )
      const calling = yield* Effect.fork(Effect.flip(call(client, server.url)))
      yield* until(
        Effect.sync(() => server.seen[0]),
        (seen) => seen !== undefined && isSent(seen)
      )
      yield* TestClock.adjust(limit)
      assert.instanceOf((yield* Fiber.join(calling)).cause, Timeout.TimeoutExceeded)
      return yield* breaker.state
    }).pipe(Effect.scoped, Effect.provide(layer))

  it.effect("that passes while the server has the request counts", () =>
    Effect.gen(function* () {
      const whole: Sent = (seen) => seen.whole
      assert.strictEqual(yield* limited((client, url) => client.get(url), whole), "open")
      const body = HttpBody.stream(lines)
      assert.strictEqual(yield* limited((client, url) => client.put(url, { body }), whole), "open")
    })
  )

  it.effect("that passes while the request waits for the source of its own body counts for nothing", () =>
    Effect.gen(function* () {
      const body = HttpBody.stream(Stream.concat(lines, Stream.never))
      const state = yield* limited(
        (client, url) => client.put(url, { body }),
        ({ body }) => body === "one,two"
      )
      assert.strictEqual(state, "closed")
    })
  )

  it.effect("that passes while a server does not read the body counts", () =>
    Effect.gen(function* () {
      let read = 0
      // A source that is not asked while nobody reads: sockets and streams hold less than this.
      const source = Stream.repeatEffect(Effect.sync(() => new Uint8Array(65_536 * Math.sign(++read))))
      const body = HttpBody.stream(Stream.take(source, 1000))
      const stuck: Servers.Answer = Servers.early(({ socket }) => void socket.pause())
      const state = yield* limited(
        (client, url) => client.put(url, { body }),
        stands(() => read),
        stuck
      )
      assert.strictEqual(state, "open")
    })
  )
})

type Sent = (seen: Servers.Seen) => boolean

/** Whether a number is what it was the last few times. */
const stands = (read: () => number) => {
  let before = -1
  let same = 0
  return () => {
    same = read() === before ? same + 1 : 0
    before = read()
    return same > 20
  }
}
