import { HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Random, Schedule, Stream, TestClock } from "effect"
import { Bulkhead, CircuitBreaker, Hedge, Policy, RateLimiter, Timeout, Trip } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { finish } from "../../support/virtual.js"
import { after, broken, scripted, status, type Step } from "../support/scripted.js"

const get = HttpClientRequest.get("http://service.test/thing")
const post = HttpClientRequest.post("http://service.test/thing")
const opensAtOnce = { trip: Trip.consecutive(1) }

describe("HttpResilience.circuitBreaker", () => {
  /** What one request leaves behind in the breaker of its origin. */
  const recorded = (
    step: Step,
    wrap: (client: HttpClient.HttpClient) => HttpClient.HttpClient = (client) => client
  ) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(100) })
      const { client } = scripted(step)
      yield* Effect.exit(HttpResilience.circuitBreaker(breaker)(wrap(client)).execute(get))
      const { failures, successes } = yield* breaker.snapshot
      return { failures, successes }
    })

  const failure = { failures: 1, successes: 0 }
  const success = { failures: 0, successes: 1 }
  const nothing = { failures: 0, successes: 0 }

  it.effect.each([408, 500, 502, 503, 504, 507, 599])("counts a %i as a failure", (code) =>
    Effect.map(recorded(status(code)), (counted) => expect(counted).toEqual(failure))
  )

  it.effect.each([200, 301, 400, 401, 404, 409, 425, 499, 501, 505])("counts a %i as a success", (code) =>
    Effect.map(recorded(status(code)), (counted) => expect(counted).toEqual(success))
  )

  it.effect("ignores a 429", () =>
    Effect.map(recorded(status(429)), (counted) => expect(counted).toEqual(nothing))
  )

  it.effect("counts a transport error as a failure, whether the request was sent or not", () =>
    Effect.gen(function* () {
      expect(yield* recorded(broken("ECONNRESET"))).toEqual(failure)
      expect(yield* recorded(broken("ECONNREFUSED"))).toEqual(failure)
    })
  )

  it.effect.each(["Encode", "InvalidUrl"] as const)("ignores a request that was never valid (%s)", (reason) =>
    Effect.map(
      recorded((request) => Effect.fail(new HttpClientError.RequestError({ request, reason }))),
      (counted) => expect(counted).toEqual(nothing)
    )
  )

  it.effect("reads a status that was made an error like the status", () =>
    Effect.gen(function* () {
      expect(yield* recorded(status(503), HttpClient.filterStatusOk)).toEqual(failure)
      expect(yield* recorded(status(404), HttpClient.filterStatusOk)).toEqual(success)
    })
  )

  it.effect("ignores an interruption and a defect", () =>
    Effect.gen(function* () {
      expect(yield* recorded(() => Effect.interrupt)).toEqual(nothing)
      expect(yield* recorded(() => Effect.die("bug"))).toEqual(nothing)
    })
  )

  it.effect("counts an inner timeout as a failure, also of a sealed client", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(100) })
      const timed = HttpResilience.timeout("1 second")(scripted(after(5000, status(200))).client)
      yield* finish(HttpResilience.circuitBreaker(breaker)(timed).execute(get))
      yield* finish(HttpResilience.circuitBreaker(breaker)(HttpResilience.sealed(timed)).execute(get))
      expect((yield* breaker.snapshot).failures).toBe(2)
    })
  )

  it.effect("ignores the rejection of an inner policy, also of a sealed client", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(100) })
      const limiter = yield* RateLimiter.make({ rate: RateLimiter.smooth({ limit: 1, per: "1 day" }) })
      const limited = HttpResilience.rateLimiter(limiter)(scripted(status(200)).client)
      const whole = HttpResilience.circuitBreaker(breaker)(limited)
      yield* whole.execute(get)
      expect((yield* Effect.flip(whole.execute(get)))._tag).toBe("RateLimitExceeded")
      yield* Effect.flip(HttpResilience.circuitBreaker(breaker)(HttpResilience.sealed(limited)).execute(get))
      const { failures, successes } = yield* breaker.snapshot
      expect({ failures, successes }).toEqual(success)
    })
  )

  it.effect("has one breaker for each origin, and the default port is a port", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(500))
      const resilient = HttpResilience.circuitBreaker(opensAtOnce)(client)
      const urls = [
        "http://a.test/x",
        "http://A.TEST:80/y?z#w",
        "http://a.test:81/",
        "https://a.test/",
        "http://u:p@a.test/"
      ]
      const tags = yield* Effect.forEach(urls, (url) =>
        Effect.match(resilient.get(url), { onSuccess: () => "sent", onFailure: (error) => error._tag })
      )
      expect(tags).toEqual(["sent", "CircuitOpen", "sent", "sent", "CircuitOpen"])
      expect(sent.length).toBe(3)
    })
  )

  it.effect("follows a key instead of the origin, and does not protect a request without a key", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(500))
      const key = (request: HttpClientRequest.HttpClientRequest) => request.headers["tenant"]
      const resilient = HttpResilience.circuitBreaker({ ...opensAtOnce, key })(client)
      const of = (tenant: string) => HttpClientRequest.setHeader(get, "tenant", tenant)
      yield* resilient.execute(of("a"))
      expect((yield* Effect.flip(resilient.execute(of("a"))))._tag).toBe("CircuitOpen")
      yield* resilient.execute(of("b"))
      yield* Effect.repeatN(resilient.execute(get), 2)
      expect(sent.length).toBe(5)
    })
  )

  it.effect("leaves it to the client to reject an invalid URL", () =>
    Effect.gen(function* () {
      const { client } = scripted(status(200))
      const error = yield* Effect.flip(HttpResilience.circuitBreaker()(client).get("no url"))
      expect(error).toMatchObject({ _tag: "RequestError", reason: "InvalidUrl" })
    })
  )

  it.effect("stays open for as long as the Retry-After of the 503 that opened it says, up to a bound", () =>
    Effect.gen(function* () {
      const openFor = (headers: Record<string, string>) =>
        Effect.gen(function* () {
          const breakers = yield* CircuitBreaker.keyed({
            options: { ...opensAtOnce, openFor: ({ retryAfter }) => retryAfter ?? "10 seconds" }
          })
          const { client } = scripted(status(503, headers))
          yield* HttpResilience.circuitBreaker(breakers)(client).execute(get)
          const [snapshot] = (yield* breakers.snapshots).values()
          return snapshot?.remainingDelay
        })
      expect(yield* openFor({ "retry-after": "7" })).toBe(7000)
      expect(yield* openFor({})).toBe(10_000)
      expect(yield* openFor({ "retry-after": "86400" })).toBe(300_000)
    })
  )

  it.effect("stays open for a Retry-After that is longer than the default", () =>
    Effect.gen(function* () {
      const { client } = scripted(status(503, { "retry-after": "70" }))
      const resilient = HttpResilience.circuitBreaker(opensAtOnce)(client)
      yield* resilient.execute(get)
      const error = yield* Effect.flip(resilient.execute(get))
      expect(error).toMatchObject({ _tag: "CircuitOpen", retryAfter: Duration.seconds(70) })
    })
  )

  it.effect("uses the standard for whatever a condition does not mention", () =>
    Effect.gen(function* () {
      const condition = {
        result: (response: HttpClientResponse.HttpClientResponse) => response.status === 404
      }
      const countedBy = (step: Step) =>
        Effect.gen(function* () {
          const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(100) })
          yield* Effect.exit(
            HttpResilience.circuitBreaker(breaker, { condition })(scripted(step).client).execute(get)
          )
          const { failures, successes } = yield* breaker.snapshot
          return { failures, successes }
        })
      expect(yield* countedBy(status(404))).toEqual(failure)
      expect(yield* countedBy(status(500))).toEqual(success)
      expect(yield* countedBy(broken("ECONNRESET"))).toEqual(failure)
      const invalid: Step = (request) =>
        Effect.fail(new HttpClientError.RequestError({ request, reason: "InvalidUrl" }))
      expect(yield* countedBy(invalid)).toEqual(nothing)
    })
  )

  it.effect("counts a body that was cut off inside as a failure, and an invalid one not", () =>
    Effect.gen(function* () {
      const reading = (cause: unknown) =>
        recorded(status(200), (client) =>
          HttpClient.transformResponse(
            client,
            Effect.flatMap((response) =>
              Effect.fail(
                new HttpClientError.ResponseError({
                  request: response.request,
                  response,
                  reason: "Decode",
                  cause
                })
              )
            )
          )
        )
      expect(yield* reading(Object.assign(new Error("aborted"), { code: "ECONNRESET" }))).toEqual(failure)
      expect(yield* reading(new SyntaxError("no JSON"))).toEqual(nothing)
    })
  )

  it.effect("follows a user's condition alone, and still reads the Retry-After of a 503", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(404), status(503, { "retry-after": "7" }))
      const condition = {
        result: (response: HttpClientResponse.HttpClientResponse) => response.status === 404
      }
      const resilient = HttpResilience.circuitBreaker({ ...opensAtOnce, condition })(client)
      yield* resilient.execute(get)
      expect((yield* Effect.flip(resilient.execute(get)))._tag).toBe("CircuitOpen")
      expect(sent.length).toBe(1)
    })
  )

  it.effect("has one set of breakers, whatever clients it is applied to", () =>
    Effect.gen(function* () {
      const circuitBreaker = HttpResilience.circuitBreaker(opensAtOnce)
      yield* circuitBreaker(scripted(status(500)).client).execute(get)
      const error = yield* Effect.flip(circuitBreaker(scripted(status(200)).client).execute(get))
      expect(error._tag).toBe("CircuitOpen")
    })
  )

  it("rejects bad options where it is made", () => {
    expect(() => HttpResilience.circuitBreaker({ openFor: "-1 second" })).toThrow(Policy.InvalidOption)
    expect(() => HttpResilience.circuitBreaker({ capacity: 0 })).toThrow(/option "capacity"/)
  })
})

describe("HttpResilience.timeout", () => {
  it.effect("fails at the limit and aborts the request", () =>
    Effect.gen(function* () {
      const { aborted, client } = scripted(after(5000, status(200)))
      const fiber = yield* Effect.fork(Effect.flip(HttpResilience.timeout("1 second")(client).execute(get)))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(fiber)
      expect(error).toBeInstanceOf(Timeout.TimeoutExceeded)
      expect(aborted).toEqual([1])
    })
  )

  it.effect("ends with the headers, unless it also covers the body", () =>
    Effect.gen(function* () {
      const slowBody: Step = (request) =>
        Effect.map(Effect.clock, (clock) => {
          const body = new ReadableStream({
            start: (controller) => {
              clock.unsafeCurrentTimeMillis()
              Effect.runFork(
                Effect.delay(
                  Effect.sync(
                    () => (controller.enqueue(new TextEncoder().encode("late")), controller.close())
                  ),
                  "5 seconds"
                ).pipe(Effect.withClock(clock))
              )
            }
          })
          return HttpClientResponse.fromWeb(request, new Response(body))
        })
      const read = (timeout: HttpResilience.Part<Timeout.TimeoutExceeded>, how: "text" | "stream") =>
        Effect.gen(function* () {
          const { client } = scripted(slowBody)
          const timed = timeout(client)
          return yield* finish(
            Effect.flatMap(timed.execute(get), (response) =>
              how === "text" ? response.text : Stream.runDrain(response.stream)
            )
          )
        })
      const limit = "1 second"
      expect(Exit.isSuccess(yield* read(HttpResilience.timeout({ limit }), "text"))).toBe(true)
      expect(Exit.isSuccess(yield* read(HttpResilience.timeout({ limit, body: "buffered" }), "stream"))).toBe(
        true
      )
      for (const exit of [
        yield* read(HttpResilience.timeout({ limit, body: "buffered" }), "text"),
        yield* read(HttpResilience.timeout({ limit, body: true }), "text"),
        yield* read(HttpResilience.timeout({ limit, body: true }), "stream")
      ]) {
        const error = yield* Effect.flip(exit)
        expect(error).toMatchObject({
          _tag: "ResponseError",
          reason: "Decode",
          cause: { _tag: "TimeoutExceeded" }
        })
      }
    })
  )

  it.effect("fails a read after the limit, and tells the listener", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const { client } = scripted(status(200, {}, "hello"))
      const timed = HttpResilience.timeout({
        limit: "1 second",
        body: true,
        onTimeout: ({ name }) => Effect.sync(() => told.push(name))
      })(client)
      const response = yield* timed.execute(get)
      yield* TestClock.adjust("2 seconds")
      expect((yield* Effect.flip(response.text))._tag).toBe("ResponseError")
      expect(told).toEqual(["timeout"])
    })
  )

  it("rejects bad options where it is made", () => {
    expect(() => HttpResilience.timeout(-1)).toThrow(/"limit"/)
    // @ts-expect-error -- what the compiler would say, too
    expect(() => HttpResilience.timeout({ limit: 1, body: "some" })).toThrow(/"body"/)
  })
})

describe("HttpResilience.bulkhead and rateLimiter", () => {
  it.effect("limit how many requests run at a time", () =>
    Effect.gen(function* () {
      const { client } = scripted(after(1000, status(200)))
      const limited = HttpResilience.bulkhead({ permits: 2 })(client)
      const fiber = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 3 }, () => Effect.either(limited.execute(get))),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("1 second")
      const ends = (yield* Fiber.join(fiber)).map((either) => either._tag)
      expect(ends).toEqual(["Right", "Right", "Left"])
    })
  )

  it.effect("have an instance for each key", () =>
    Effect.gen(function* () {
      const { client } = scripted(status(200))
      const limited = HttpResilience.rateLimiter({
        rate: RateLimiter.smooth({ limit: 1, per: "1 day" }),
        key: (request) => new URL(request.url).pathname
      })(client)
      yield* limited.get("http://a.test/1")
      yield* limited.get("http://a.test/2")
      expect((yield* Effect.flip(limited.get("http://b.test/1")))._tag).toBe("RateLimitExceeded")
    })
  )

  it.effect("use instances, tags and keyed policies from elsewhere as they are", () =>
    Effect.gen(function* () {
      class Places extends Bulkhead.Tag("Places")<Places>() {}
      class Origins extends Bulkhead.KeyedTag("Origins")<Origins>() {}
      const { client } = scripted(after(1000, status(200)))
      const instance = yield* Bulkhead.make({ permits: 1 })
      const keyed = yield* Bulkhead.keyed({ options: { permits: 1 } })
      const limited = client.pipe(
        HttpResilience.bulkhead(instance),
        HttpResilience.bulkhead(Places),
        HttpResilience.bulkhead(keyed),
        HttpResilience.bulkhead(Origins)
      )
      yield* Effect.gen(function* () {
        const fiber = yield* Effect.fork(limited.execute(get))
        yield* Effect.yieldNow()
        yield* TestClock.adjust(1)
        expect((yield* instance.snapshot).inUse).toBe(1)
        expect((yield* Places.snapshot).inUse).toBe(1)
        expect([...(yield* keyed.snapshots).keys()]).toEqual(["http://service.test"])
        expect([...(yield* Origins.snapshots).keys()]).toEqual(["http://service.test"])
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
      }).pipe(Effect.provide([Places.layer({ permits: 1 }), Origins.layer({ options: { permits: 1 } })]))
    })
  )

  it("reject policies of other kinds where they are made", () => {
    class Places extends Bulkhead.Tag("Places")<Places>() {}
    class Breakers extends CircuitBreaker.KeyedTag("Breakers")<Breakers>() {}
    expect(() => HttpResilience.circuitBreaker(Places as never)).toThrow(
      'HttpResilience.circuitBreaker: the options must be a circuit-breaker, got "bulkhead"'
    )
    expect(() => HttpResilience.standard({ rateLimiter: Breakers as never })).toThrow(
      'HttpResilience.standard: option "rateLimiter" must be a rate-limiter, got "circuit-breaker"'
    )
  })

  it("reject bad options where they are made", () => {
    expect(() => HttpResilience.bulkhead({ permits: 0 })).toThrow(/"permits"/)
    expect(() => HttpResilience.bulkhead({ permits: 1, capacity: 5 })).toThrow(/"capacity" must be left out/)
    expect(() =>
      HttpResilience.rateLimiter({ rate: RateLimiter.smooth({ limit: 1, per: 1 }), maxQueued: -1 })
    ).toThrow(/"maxQueued"/)
  })
})

describe("HttpResilience.hedge", () => {
  const slowFirst = (): readonly [Step, Step] => [
    after(5000, status(200, {}, "slow")),
    after(10, status(200, {}, "fast"))
  ]

  it.effect("takes the response that comes first, and aborts the other request", () =>
    Effect.gen(function* () {
      const { aborted, client, times } = scripted(...slowFirst())
      const fiber = yield* Effect.fork(HttpResilience.hedge({ delay: 100 })(client).execute(get))
      yield* TestClock.adjust(110)
      const response = yield* Fiber.join(fiber)
      expect(yield* response.text).toBe("fast")
      expect({ times: times(), aborted }).toEqual({ times: [0, 100], aborted: [1] })
    })
  )

  it.effect("hedges only requests that may arrive twice", () =>
    Effect.gen(function* () {
      const hedge = HttpResilience.hedge({ delay: 100 })
      const sentBy = (request: HttpClientRequest.HttpClientRequest) =>
        Effect.gen(function* () {
          const { client, sent } = scripted(...slowFirst())
          yield* finish(hedge(client).execute(request))
          return sent.length
        })
      expect(yield* sentBy(post)).toBe(1)
      expect(yield* sentBy(HttpClientRequest.setHeader(post, "idempotency-key", "k"))).toBe(2)
      expect(yield* HttpResilience.idempotent(sentBy(post))).toBe(2)
    })
  )

  it.effect(
    "starts the next attempt at once after a failure, except when the server asked to be left alone",
    () =>
      Effect.gen(function* () {
        const timesOf = (step: Step) =>
          Effect.gen(function* () {
            const { client, times } = scripted(step, status(200))
            yield* finish(HttpResilience.hedge({ delay: "1 second" })(client).execute(get))
            const [first = 0] = times()
            return times().map((time) => time - first)
          })
        expect(yield* timesOf(broken("ECONNRESET"))).toEqual([0, 0])
        expect(yield* timesOf(status(500))).toEqual([0, 0])
        expect(yield* timesOf(status(503))).toEqual([0])
        expect(yield* timesOf(status(429))).toEqual([0])
      })
  )

  it.effect("does not let an answer that asks for patience win against a running attempt", () =>
    Effect.gen(function* () {
      for (const step of [status(503), status(429)]) {
        const { client, times } = scripted(after(1000, status(200)), step)
        const exit = yield* finish(HttpResilience.hedge({ delay: 100, maxHedges: 5 })(client).execute(get))
        expect(exit).toMatchObject({ _tag: "Success", value: { status: 200 } })
        expect(times().length).toBe(2)
      }
    })
  )

  it.effect("does not disturb the probe of a half-open circuit", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ ...opensAtOnce, openFor: "100 millis" })
      const { client } = scripted(status(500), after(200, status(200)))
      const whole = client.pipe(
        HttpResilience.circuitBreaker(breaker),
        HttpResilience.hedge({ delay: 50, maxHedges: 3 })
      )
      yield* breaker.open
      expect((yield* Effect.flip(whole.execute(get)))._tag).toBe("CircuitOpen")
      yield* TestClock.adjust(100)
      yield* finish(whole.execute(get))
      yield* TestClock.adjust(100)
      const exit = yield* finish(whole.execute(get))
      expect(exit).toMatchObject({ _tag: "Success", value: { status: 200 } })
      expect(yield* breaker.state).toBe("closed")
    })
  )

  it.effect("counts all requests of a call together inside of a retry", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(500), status(500), status(500), status(200))
      const whole = client.pipe(
        HttpResilience.hedge({ delay: "1 second" }),
        HttpResilience.retry({ times: 3, schedule: Schedule.forever })
      )
      yield* finish(whole.execute(get))
      expect(sent.length).toBe(4)
    })
  )

  it("accepts a percentile as delay", () => {
    expect(HttpResilience.hedge({ delay: Hedge.percentile(0.9) }).kind).toBe("hedge")
  })
})

describe("HttpResilience.fallback", () => {
  const instead: (
    failure: unknown,
    request: HttpClientRequest.HttpClientRequest
  ) => Effect.Effect<HttpClientResponse.HttpClientResponse> = (_, request) =>
    Effect.succeed(HttpClientResponse.fromWeb(request, new Response("instead")))

  it.effect.each([
    ["an error", broken("ECONNRESET"), "instead"],
    ["a 503", status(503, {}, "busy"), "instead"],
    ["a 404", status(404, {}, "nothing"), "nothing"]
  ] as const)("is used for %s", ([, step, expected]) =>
    Effect.gen(function* () {
      const response = yield* HttpResilience.fallback(instead)(scripted(step).client).execute(get)
      expect(yield* response.text).toBe(expected)
    })
  )

  it.effect("lets the replaced response be read, and releases it", () =>
    Effect.gen(function* () {
      const { aborted, client } = scripted(status(503, {}, "busy"))
      const fallback = HttpResilience.fallback((failure, request) =>
        failure._tag === "Result"
          ? Effect.map(Effect.orDie(failure.result.text), (text) =>
              HttpClientResponse.fromWeb(request, new Response(`not ${text}`))
            )
          : instead(failure, request)
      )
      const response = yield* fallback(client).execute(get)
      expect(yield* response.text).toBe("not busy")
      expect(aborted.length).toBeLessThanOrEqual(1)
    })
  )

  it.effect("follows a condition, and returns everything else", () =>
    Effect.gen(function* () {
      const condition = {
        error: () => false,
        result: (response: HttpClientResponse.HttpClientResponse) => response.status === 404
      }
      const fallback = HttpResilience.fallback(instead, { condition })
      expect(yield* Effect.flatMap(fallback(scripted(status(404)).client).execute(get), (_) => _.text)).toBe(
        "instead"
      )
      expect((yield* Effect.flip(fallback(scripted(broken("ECONNRESET")).client).execute(get)))._tag).toBe(
        "RequestError"
      )
    })
  )
})

describe("HttpResilience.idempotencyKey", () => {
  it.effect("gives every call a key of its own, the same in all its attempts", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(503), status(503), status(200))
      const whole = client.pipe(
        HttpResilience.retry({ schedule: Schedule.forever }),
        HttpResilience.idempotencyKey()
      )
      yield* finish(whole.execute(post))
      yield* whole.execute(post)
      const keys = sent.map(({ request }) => request.headers["idempotency-key"])
      expect(keys.length).toBe(4)
      expect(new Set(keys.slice(0, 3)).size).toBe(1)
      expect(keys[3]).not.toBe(keys[0])
      expect(keys[0]).toMatch(/^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$/)
    })
  )

  it.effect("keeps a key that is there, and adds none to methods that need none", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(200))
      const whole = HttpResilience.idempotencyKey()(client)
      yield* whole.execute(HttpClientRequest.setHeader(post, "idempotency-key", "mine"))
      yield* whole.execute(get)
      expect(sent.map(({ request }) => request.headers["idempotency-key"])).toEqual(["mine", undefined])
    })
  )

  it.effect("makes the same keys for the same seed", () =>
    Effect.gen(function* () {
      const keyOf = Effect.gen(function* () {
        const { client, sent } = scripted(status(200))
        yield* HttpResilience.idempotencyKey()(client).execute(post)
        return sent[0]?.request.headers["idempotency-key"]
      })
      const seeded = Effect.suspend(() => Effect.withRandom(keyOf, Random.make("seed")))
      expect(yield* seeded).toBe(yield* seeded)
    })
  )
})
