import {
  HttpBody,
  HttpClient,
  HttpClientError,
  HttpClientRequest,
  HttpClientResponse
} from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, FastCheck as fc, Random, Schedule, Stream, Tracer } from "effect"
import { CircuitBreaker, RetryBudget } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { runs } from "../../support/runs.js"
import { finish } from "../../support/virtual.js"
import { after, broken, scripted, status, type Step } from "../support/scripted.js"

const url = "http://service.test/thing"
const get = HttpClientRequest.get(url)
const post = HttpClientRequest.post(url)
const withKey = HttpClientRequest.setHeader("idempotency-key", '"k-1"')
const atOnce = Schedule.forever
type Client = HttpClient.HttpClient.With<unknown>

/** How many requests are sent, at the most four. */
const requestsFor = (
  step: Step,
  request: HttpClientRequest.HttpClientRequest,
  options: HttpResilience.RetryOptions = {},
  mark: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = (self) => self
) =>
  Effect.gen(function* () {
    const { client, sent } = scripted(step)
    const resilient = HttpResilience.retry({ times: 3, schedule: atOnce, ...options })(client)
    const exit = yield* finish(mark(resilient.execute(request)) as Effect.Effect<unknown, unknown>)
    return { exit, sent: sent.length }
  })

describe("HttpResilience.retry decides by method and answer:", () => {
  const transient = [408, 425, 429, 500, 502, 503, 504]
  const final = [200, 201, 204, 301, 304, 400, 401, 403, 404, 409, 410, 418, 422, 501, 505, 511]

  it.effect.each(transient)("a GET is sent again for a %i", (code) =>
    Effect.map(requestsFor(status(code), get), ({ sent }) => expect(sent).toBe(4))
  )

  it.effect.each(final)("a GET is not sent again for a %i", (code) =>
    Effect.map(requestsFor(status(code), get), ({ sent }) => expect(sent).toBe(1))
  )

  it.effect.each(transient)("a POST is not sent again for a %i", (code) =>
    Effect.map(requestsFor(status(code), post), ({ sent }) => expect(sent).toBe(1))
  )

  it.effect.each(transient)("a POST with an Idempotency-Key is sent again for a %i", (code) =>
    Effect.map(requestsFor(status(code), withKey(post)), ({ sent }) => expect(sent).toBe(4))
  )

  it.effect.each(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY", "get"])(
    "%s may be repeated",
    (method) =>
      Effect.gen(function* () {
        const request = Object.assign(Object.create(Object.getPrototypeOf(get) as object), get, {
          method
        }) as HttpClientRequest.HttpClientRequest
        const { sent } = yield* requestsFor(broken("ECONNRESET"), request)
        expect(sent).toBe(4)
      })
  )

  it.effect.each(["ECONNREFUSED", "ENOTFOUND", "UND_ERR_CONNECT_TIMEOUT"])(
    "a POST that was not sent because of %s is sent again",
    (code) => Effect.map(requestsFor(broken(code), post), ({ sent }) => expect(sent).toBe(4))
  )

  it.effect.each(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET", "ETIMEDOUT"])(
    "a POST that may have arrived before %s is not sent again",
    (code) => Effect.map(requestsFor(broken(code), post), ({ sent }) => expect(sent).toBe(1))
  )

  it.effect.each([get, post])(
    "a request that found a certificate it does not trust is not sent again",
    (request) =>
      Effect.map(requestsFor(broken("CERT_HAS_EXPIRED"), request), ({ sent }) => expect(sent).toBe(1))
  )

  it.effect("an error about several addresses was before sending when all of them were", () =>
    Effect.gen(function* () {
      const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" })
      const reset = Object.assign(new Error("reset"), { code: "ECONNRESET" })
      const failing =
        (errors: ReadonlyArray<Error>): Step =>
        (request) =>
          Effect.fail(
            new HttpClientError.RequestError({
              request,
              reason: "Transport",
              cause: new TypeError("fetch failed", { cause: new AggregateError(errors) })
            })
          )
      expect((yield* requestsFor(failing([refused, refused]), post)).sent).toBe(4)
      expect((yield* requestsFor(failing([refused, reset]), post)).sent).toBe(1)
    })
  )

  it.effect.each(["Encode", "InvalidUrl"] as const)(
    "a request that failed with %s is not sent again",
    (reason) =>
      Effect.gen(function* () {
        const step: Step = (request) => Effect.fail(new HttpClientError.RequestError({ request, reason }))
        expect((yield* requestsFor(step, get)).sent).toBe(1)
      })
  )

  it.effect("a status that was made an error is read like the status", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(503), status(404))
      const resilient = client.pipe(
        HttpClient.filterStatusOk,
        HttpResilience.retry({ times: 3, schedule: atOnce })
      )
      const exit = yield* finish(resilient.execute(get))
      expect(sent.length).toBe(2)
      expect(Exit.isFailure(exit)).toBe(true)
    })
  )

  it.effect("a POST that is marked is sent again, and so is one that an option names", () =>
    Effect.gen(function* () {
      expect((yield* requestsFor(status(503), post, {}, HttpResilience.idempotent)).sent).toBe(4)
      const idempotent = (request: HttpClientRequest.HttpClientRequest) => request.url.endsWith("/thing")
      expect((yield* requestsFor(status(503), post, { idempotent })).sent).toBe(4)
    })
  )

  it.effect("an open circuit further inside fails at once", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      yield* breaker.open
      const { client, sent } = scripted(status(200))
      const resilient = client.pipe(HttpResilience.circuitBreaker(breaker), HttpResilience.retry())
      const error = yield* Effect.flip(resilient.execute(get))
      expect(error._tag).toBe("CircuitOpen")
      expect(sent.length).toBe(0)
    })
  )

  it.effect("an interruption is not retried", () =>
    Effect.gen(function* () {
      const { exit, sent } = yield* requestsFor(() => Effect.interrupt, get)
      expect(sent).toBe(1)
      expect(Exit.isInterrupted(exit)).toBe(true)
    })
  )

  it.effect("a defect is not retried", () =>
    Effect.map(
      requestsFor(() => Effect.die("bug"), get),
      ({ sent }) => expect(sent).toBe(1)
    )
  )
})

describe("HttpResilience.retry of a request with a body:", () => {
  const bytes = HttpBody.uint8Array(new Uint8Array([1, 2, 3]))
  const form = () => HttpBody.formData(new FormData())
  const stream = HttpBody.stream(Stream.make(new Uint8Array([1])))
  const cases: ReadonlyArray<readonly [string, HttpBody.HttpBody, number]> = [
    ["empty", HttpBody.empty, 4],
    ["text", HttpBody.text("hello"), 4],
    ["bytes", bytes, 4],
    ["a form", form(), 4],
    ["raw text", HttpBody.raw("hello"), 4],
    ["raw search parameters", HttpBody.raw(new URLSearchParams("a=1")), 4],
    ["a raw stream", HttpBody.raw(new ReadableStream()), 1],
    ["a raw iterator", HttpBody.raw([1, 2][Symbol.iterator]()), 1],
    ["a stream", stream, 1]
  ]

  it.effect.each(cases)("%s is sent as often as it can be", ([, body, expected]) =>
    Effect.map(
      requestsFor(status(503), HttpClientRequest.setBody(HttpClientRequest.put(url), body)),
      ({ sent }) => expect(sent).toBe(expected)
    )
  )

  it.effect("a stream is sent again when somebody says that it can be", () =>
    Effect.gen(function* () {
      const request = HttpClientRequest.setBody(HttpClientRequest.put(url), stream)
      expect((yield* requestsFor(status(503), request, {}, HttpResilience.replayable)).sent).toBe(4)
      expect((yield* requestsFor(status(503), request, { replayable: () => true })).sent).toBe(4)
    })
  )
})

describe("HttpResilience.retry keeps its bounds:", () => {
  it.effect("n retries send at most n + 1 requests, in any mix of statuses and errors", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.constantFrom(status(503), status(429), status(500), broken("ECONNRESET"), status(200)),
            {
              minLength: 1,
              maxLength: 8
            }
          ),
          fc.integer({ min: 0, max: 5 }),
          (steps, times) =>
            Effect.runPromise(
              Effect.gen(function* () {
                const [first = status(200), ...rest] = steps
                const { client, sent } = scripted(first, ...rest)
                const resilient = HttpResilience.retry({ times, schedule: atOnce })(client)
                yield* Effect.exit(resilient.execute(get))
                expect(sent.length).toBeLessThanOrEqual(times + 1)
              })
            )
        ),
        { numRuns: runs(60, 200) }
      )
    )
  )

  it.effect("a request is prepared once, also by what is added later", () =>
    Effect.gen(function* () {
      let prepared = 0
      const count = HttpClient.mapRequest((request: HttpClientRequest.HttpClientRequest) => {
        prepared += 1
        return request
      })
      const { client, sent } = scripted(status(503))
      const resilient = client.pipe(count, HttpResilience.retry({ times: 2, schedule: atOnce }), count)
      yield* finish(resilient.execute(get))
      expect({ prepared, sent: sent.length }).toEqual({ prepared: 2, sent: 3 })
    })
  )

  const hints: ReadonlyArray<readonly [string, Record<string, string>, number]> = [
    ["seconds", { "retry-after": "3" }, 3000],
    [
      "a date, by the clock of the server",
      { "retry-after": "Sat, 21 Nov 2026 00:00:07 GMT", date: "Sat, 21 Nov 2026 00:00:03 GMT" },
      4000
    ],
    ["a date without one of the server's own", { "retry-after": "Thu, 01 Jan 1970 00:00:05 GMT" }, 5000],
    ["a date that has passed", { "retry-after": "Thu, 01 Jan 1970 00:00:00 GMT" }, 0],
    ["a quota without anything left", { ratelimit: '"default";r=0;t=6' }, 6000],
    ["a quota with something left", { ratelimit: '"default";r=1;t=6' }, 0],
    ["Retry-After beside a quota", { "retry-after": "2", ratelimit: '"default";r=0;t=6' }, 2000],
    ["garbage", { "retry-after": "soon" }, 0]
  ]

  it.effect.each(hints)("the server's %s is waited for", ([, headers, expected]) =>
    Effect.gen(function* () {
      const { client, times } = scripted(status(503, headers), status(200))
      const resilient = HttpResilience.retry({ schedule: atOnce, hintJitter: 0 })(client)
      yield* finish(resilient.execute(get))
      expect(times()).toEqual([0, expected])
    })
  )

  const asksForPatience = { "retry-after": "7" }
  const answered = (request: HttpClientRequest.HttpClientRequest) =>
    HttpClientResponse.fromWeb(request, new Response(null, { status: 503, headers: asksForPatience }))
  const own = HttpResilience.make(
    { kind: "own", name: "own", settings: {} },
    <E, R>(
      attempt: Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>,
      request: HttpClientRequest.HttpClientRequest
    ) => Effect.map(attempt, (response) => (response.status === 500 ? answered(request) : response))
  )
  it.effect.each<readonly [string, Step, (client: HttpClient.HttpClient) => Client]>([
    [
      "whose body has a limit",
      status(503, asksForPatience),
      HttpResilience.timeout({ limit: "5 seconds", body: true })
    ],
    ["of a part", status(500), (client) => client.pipe(own)],
    [
      "of a fallback",
      broken("ECONNRESET"),
      HttpResilience.fallback((_, request) => Effect.succeed(answered(request)))
    ]
  ])("the Retry-After of a response %s is waited for", ([, first, part]) =>
    Effect.gen(function* () {
      const { client, times } = scripted(first, status(200))
      const retry = HttpResilience.retry({ schedule: atOnce, hintJitter: 0 })
      yield* finish(retry(part(client)).execute(get))
      expect(times()).toEqual([0, 7000])
    })
  )

  it.effect("the same Retry-After spreads a hundred clients, and brings none back before it", () =>
    Effect.gen(function* () {
      const again: Array<number> = []
      const call = Effect.suspend(() => {
        const { client, times } = scripted(status(429, { "retry-after": "1" }), status(200))
        const resilient = HttpResilience.retry({ schedule: atOnce })(client)
        return Effect.map(resilient.execute(get), () => again.push(times()[1] ?? 0))
      })
      yield* finish(
        Effect.all(
          Array.from({ length: 100 }, () => call),
          { concurrency: "unbounded" }
        )
      )
      expect(again.length).toBe(100)
      expect(new Set(again).size).toBeGreaterThan(70)
      expect(Math.min(...again)).toBeGreaterThanOrEqual(1000)
      expect(Math.max(...again)).toBeLessThanOrEqual(1500)
    }).pipe(Effect.withRandom(Random.make("hints")))
  )

  it.each([-0.1, 1.1, NaN])("a hintJitter of %d is a bad option", (hintJitter) => {
    expect(() => HttpResilience.retry({ hintJitter })).toThrow("hintJitter")
  })

  it.effect("a Retry-After that is too long ends the retry, and its response comes back", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(503, { "retry-after": "11" }))
      const response = yield* HttpResilience.retry()(client).execute(get)
      expect({ status: response.status, sent: sent.length }).toEqual({ status: 503, sent: 1 })
    })
  )

  it.effect("the last response comes back with its body", () =>
    Effect.gen(function* () {
      const { client } = scripted(status(503, {}, "first"), status(503, {}, "second"))
      const response = yield* HttpResilience.retry({ times: 1, schedule: atOnce })(client).execute(get)
      expect(yield* response.text).toBe("second")
    })
  )

  it.effect("listeners get the responses and can read them", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { client } = scripted(status(503, {}, "busy"), status(500))
      const resilient = HttpResilience.retry({
        times: 1,
        schedule: atOnce,
        onRetryScheduled: ({ failure }) =>
          failure._tag === "Result"
            ? Effect.map(Effect.orDie(failure.result.text), (text) => seen.push(text))
            : Effect.void,
        onRetry: ({ attempt }) => Effect.sync(() => seen.push(`again after ${attempt}`)),
        onExceeded: ({ reason }) => Effect.sync(() => seen.push(reason))
      })(client)
      yield* finish(resilient.execute(get))
      expect(seen).toEqual(["busy", "again after 1", "times"])
    })
  )

  it.effect("a budget pays for the retries of all clients together", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({
        rule: RetryBudget.requests({ ratio: 0.001, minPerSecond: 0.3, window: "10 seconds" })
      })
      const { client, sent } = scripted(status(503))
      const retry = HttpResilience.retry({ times: 10, schedule: atOnce, budget })
      yield* finish(retry(client).execute(get))
      const first = sent.length
      yield* retry(client).execute(get)
      expect(first).toBeGreaterThan(1)
      expect(first).toBeLessThan(11)
    })
  )

  it.effect("each attempt says in its span how often the request was sent before", () =>
    Effect.gen(function* () {
      const counts: Array<unknown> = []
      const tracer = yield* Effect.tracer
      const watching = Tracer.make({
        ...tracer,
        span: (...args) => {
          const span = tracer.span(...args)
          const end = span.end.bind(span)
          span.end = (...ended) => {
            counts.push(span.attributes.get("http.request.resend_count"))
            return end(...ended)
          }
          return span
        }
      })
      const { client } = scripted(status(503), status(503), status(200))
      const resilient = HttpResilience.retry({ schedule: atOnce })(client)
      yield* finish(resilient.execute(get)).pipe(Effect.withTracer(watching))
      expect(counts).toEqual([undefined, 1, 2])
    })
  )

  it.effect("an attempt that is too slow is aborted and tried again", () =>
    Effect.gen(function* () {
      const { aborted, client, times } = scripted(after(5000, status(200)), status(200))
      const resilient = client.pipe(
        HttpResilience.timeout("1 second"),
        HttpResilience.retry({ schedule: atOnce })
      )
      const exit = yield* finish(resilient.execute(get))
      expect(Exit.isSuccess(exit)).toBe(true)
      expect({ times: times(), aborted }).toEqual({ times: [0, 1000], aborted: [1] })
    })
  )
})
