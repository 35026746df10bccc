import {
  HttpApi,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpClient,
  HttpClientError,
  HttpClientRequest,
  HttpClientResponse
} from "@effect/platform"
import { assert, describe, expect, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Random, Schedule, Schema } from "effect"
import { Bulkhead, CircuitBreaker, Policy, RateLimiter, RetryBudget, Timeout, Trip } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { finish } from "../../support/virtual.js"
import { after, broken, scripted, status } from "../support/scripted.js"

const get = HttpClientRequest.get("http://service.test/thing")

describe("HttpResilience.standard", () => {
  it.effect("retries three times, with backoff", () =>
    Effect.gen(function* () {
      const { client, times } = scripted(broken("ECONNRESET"))
      yield* finish(HttpResilience.standard()(client).execute(get)).pipe(
        Effect.withRandom(Random.make("seed"))
      )
      const [first = NaN, second = NaN, third = NaN, fourth = NaN, ...more] = times()
      expect(first).toBe(0)
      expect(second - first).toBeLessThanOrEqual(200)
      expect(third - second).toBeLessThanOrEqual(400)
      expect(fourth - third).toBeLessThanOrEqual(800)
      expect(more).toEqual([])
    })
  )

  it.effect("aborts a hanging request after 10 seconds, and ends the call after 30", () =>
    Effect.gen(function* () {
      const { aborted, client, times } = scripted(() => Effect.never)
      const exit = yield* finish(HttpResilience.standard()(client).execute(get))
      expect(yield* Effect.flip(exit)).toMatchObject({ _tag: "TimeoutExceeded" })
      expect(times()[1]).toBeGreaterThanOrEqual(10_000)
      expect(times()[1]).toBeLessThanOrEqual(10_200)
      expect(times().length).toBe(3)
      expect(aborted).toEqual([1, 2, 3])
    })
  )

  it.effect("counts each attempt in the circuit of its origin, and stops when that opens", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(500))
      const resilient = HttpResilience.standard({ circuitBreaker: { trip: Trip.consecutive(2) } })(client)
      const exit = yield* finish(resilient.execute(get))
      expect(yield* Effect.flip(exit)).toMatchObject({ _tag: "CircuitOpen" })
      expect(sent.length).toBe(2)
    })
  )

  it.effect("takes policies that are made elsewhere: an instance, one by key, a tag", () =>
    Effect.gen(function* () {
      class Hosts extends CircuitBreaker.KeyedTag("Hosts")<Hosts>() {}
      const turns = yield* RateLimiter.make({ rate: RateLimiter.bursty({ limit: 10, per: "1 minute" }) })
      const places = yield* Bulkhead.keyed({ options: { permits: 1 } })
      const resilient = HttpResilience.standard({
        rateLimiter: turns,
        bulkhead: places,
        circuitBreaker: Hosts,
        retry: false
      })
      yield* Effect.gen(function* () {
        yield* resilient(scripted(status(500)).client).execute(get)
        expect((yield* turns.snapshot).admitted).toBe(1)
        expect([...(yield* places.snapshots).keys()]).toEqual(["http://service.test"])
        expect(yield* Hosts.at("http://service.test").state).toBe("open")
        const second = resilient(scripted(status(200)).client).execute(get)
        expect(yield* Effect.flip(second)).toMatchObject({
          _tag: "CircuitOpen",
          name: "Hosts/http://service.test"
        })
      }).pipe(Effect.provide(Hosts.layer({ options: { trip: Trip.consecutive(1) } })))
    })
  )

  it.effect("counts a slow attempt as a failure in the circuit", () =>
    Effect.gen(function* () {
      const { client } = scripted(after(60_000, status(200)))
      const resilient = HttpResilience.standard({
        retry: false,
        circuitBreaker: { trip: Trip.consecutive(1), openFor: "1000 days" }
      })(client)
      expect(yield* Effect.flip(yield* finish(resilient.execute(get)))).toMatchObject({
        _tag: "TimeoutExceeded"
      })
      expect(yield* Effect.flip(resilient.execute(get))).toMatchObject({ _tag: "CircuitOpen" })
    })
  )

  it.effect("has one budget for the retries of all requests", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({
        rule: RetryBudget.throttling({ maxTokens: 4, tokenRatio: 0.1 })
      })
      const { client, sent } = scripted(status(500))
      const resilient = HttpResilience.standard({ budget, circuitBreaker: false })(client)
      yield* finish(resilient.execute(get))
      yield* finish(resilient.execute(get))
      yield* finish(resilient.execute(get))
      expect(sent.length).toBeLessThan(8)
    })
  )

  it.effect("retries every request as often as it may when it has no budget", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(500))
      const resilient = HttpResilience.standard({ budget: false, circuitBreaker: false })(client)
      for (let call = 0; call < 20; call++) yield* finish(resilient.execute(get))
      expect(sent.length).toBe(80)
    })
  )

  it.effect("has no part that is turned off", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(after(60_000, status(503)))
      const bare = HttpResilience.standard({
        totalTimeout: false,
        retry: false,
        circuitBreaker: false,
        attemptTimeout: false
      })(client)
      const exit = yield* finish(bare.execute(get))
      expect(Exit.isSuccess(exit)).toBe(true)
      expect(sent.length).toBe(1)
    })
  )

  it("names its parts from the outside in", () => {
    const fallback = HttpResilience.fallback((_, request) =>
      Effect.succeed(HttpClientResponse.fromWeb(request, new Response()))
    )
    const cache = HttpResilience.bulkhead({ permits: 1 })
    const everything = HttpResilience.standard({
      fallback,
      cache,
      rateLimiter: { rate: RateLimiter.smooth({ limit: 1, per: "1 second" }) },
      bulkhead: { permits: 10 },
      hedge: { delay: "1 second" }
    })
    const parts = everything.settings["parts"] as ReadonlyArray<Policy.Described>
    expect(parts.map(({ kind }) => kind).reverse()).toEqual([
      "timeout",
      "fallback",
      "bulkhead",
      "rate-limiter",
      "bulkhead",
      "retry",
      "hedge",
      "circuit-breaker",
      "timeout"
    ])
  })

  it("is described as a tree, with the names of its parts", () => {
    const budget = Effect.runSync(RetryBudget.make({ name: "shared" }))
    assert.deepStrictEqual(Policy.describe(HttpResilience.standard({ budget })).split("\n"), [
      "http-client",
      '  timeout "total-timeout"(limit: 30s, body: buffered)',
      "  retry(times: 3, schedule: exponential(base: 200ms, factor: 2, max: 10s, jitter: full), maxHint: 10s, hintJitter: 0.5, budget: shared)",
      "  circuit-breaker(trip: any(consecutive(10), failureRate(threshold: 0.5, minimumCalls: 20, within: 30s)), openFor: 10s, halfOpen: { permits: 1, successes: 1, maxWait: 30s })",
      '  timeout "attempt-timeout"(limit: 10s)'
    ])
  })

  it.effect("lets a user's part replace one of its own", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(503))
      const resilient = HttpResilience.standard({
        retry: HttpResilience.retry({ times: 1 }),
        attemptTimeout: HttpResilience.timeout("1 hour")
      })(client)
      yield* finish(resilient.execute(get))
      expect(sent.length).toBe(2)
    })
  )

  it.effect.each([100, 500, 5000, 10_000, 10_500, 60_000])(
    "ends a hanging request in time within a total of %i ms, and counts it in the circuit",
    (total) =>
      Effect.gen(function* () {
        const { aborted, client, sent } = scripted(() => Effect.never)
        const prepared = HttpClient.mapRequestEffect((request: HttpClientRequest.HttpClientRequest) =>
          Effect.delay(Effect.succeed(request), "1 millis")
        )
        const resilient = HttpResilience.standard({
          totalTimeout: total,
          retry: { schedule: Schedule.spaced("1 minute") },
          circuitBreaker: { trip: Trip.consecutive(1), openFor: "1000 days" }
        })(prepared(client))
        const [elapsed, exit] = yield* finish(Effect.timed(Effect.exit(resilient.execute(get)))).pipe(
          Effect.flatten
        )
        expect(yield* Effect.flip(exit)).toMatchObject({ _tag: "TimeoutExceeded" })
        expect(Duration.toMillis(elapsed)).toBeLessThanOrEqual(total)
        expect(yield* Effect.flip(yield* finish(resilient.execute(get)))).toMatchObject({
          _tag: "CircuitOpen"
        })
        expect([sent.length, aborted]).toEqual([1, [1]])
      })
  )

  it.effect("includes the preparation of a request in the total", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(200))
      const slowly = HttpClient.mapRequestEffect((request: HttpClientRequest.HttpClientRequest) =>
        Effect.delay(Effect.succeed(request), "50 seconds")
      )
      const exit = yield* finish(client.pipe(slowly, HttpResilience.standard()).execute(get))
      expect(yield* Effect.flip(exit)).toMatchObject({ _tag: "TimeoutExceeded", name: "total-timeout" })
      expect(sent.length).toBe(0)
    })
  )

  it("refuses options that contradict one another, and says which", () => {
    const name = "HttpResilience.standard"
    expect(() => HttpResilience.standard({ attemptTimeout: "1 minute" })).toThrow(
      `${name}: option "attemptTimeout" must be at most "totalTimeout" (30s), got "1 minute"`
    )
    expect(() => HttpResilience.standard({ totalTimeout: { limit: -5 } })).toThrow(Policy.InvalidOption)
    expect(() => HttpResilience.standard({ retry: { times: -1 } })).toThrow(
      `${name}: option "retry.times" must be a whole number of at least 0, got -1`
    )
    expect(() =>
      HttpResilience.standard({ totalTimeout: "5 seconds", attemptTimeout: "5 seconds" })
    ).not.toThrow()
  })
})

describe("a client by HttpResilience.layer or sealed", () => {
  it.effect("protects whoever asks for an HttpClient, and fails with HTTP errors alone", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(status(500))
      const live = HttpResilience.layer({ circuitBreaker: { trip: Trip.consecutive(2) } }).pipe(
        Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
      )
      const exit = yield* finish(Effect.provide(HttpClient.get("http://service.test/thing"), live))
      const error = yield* Effect.flip(exit)
      expect(HttpClientError.isHttpClientError(error)).toBe(true)
      expect(error).toMatchObject({
        _tag: "RequestError",
        reason: "Transport",
        cause: { _tag: "CircuitOpen" }
      })
      expect(sent.length).toBe(2)
    })
  )

  it.effect("gets the services of its parts from the layer", () =>
    Effect.gen(function* () {
      class Places extends Bulkhead.Tag("Places")<Places>() {}
      class Word extends Context.Tag("Word")<Word, string>() {}
      const said: Array<string> = []
      const { client } = scripted(status(503), status(200))
      const live = HttpResilience.layer({
        bulkhead: HttpResilience.bulkhead(Places),
        retry: { onRetry: () => Effect.map(Word, (word) => said.push(word)) }
      }).pipe(
        Layer.provide(Places.layer({ permits: 1 })),
        Layer.provide(Layer.succeed(Word, "again")),
        Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
      )
      yield* finish(Effect.provide(HttpClient.get("http://service.test/thing"), live))
      expect(said).toEqual(["again"])
    })
  )

  it.effect("is used by a client of an HttpApi", () =>
    Effect.gen(function* () {
      const api = HttpApi.make("api").add(
        HttpApiGroup.make("things").add(HttpApiEndpoint.get("thing", "/thing").addSuccess(Schema.String))
      )
      const { client, sent } = scripted(
        status(503),
        status(200, { "content-type": "application/json" }, '"hello"')
      )
      const resilient = HttpResilience.standard()
      const things = yield* HttpApiClient.make(api, {
        baseUrl: "http://service.test",
        transformClient: (client) => client.pipe(resilient, HttpResilience.sealed)
      }).pipe(Effect.provideService(HttpClient.HttpClient, client))
      const exit = yield* finish(things.things.thing())
      expect(exit).toEqual(Exit.succeed("hello"))
      expect(sent.length).toBe(2)
    })
  )

  it.effect("fails with an HTTP error for a request that cannot be prepared, too", () =>
    Effect.gen(function* () {
      const { client } = scripted(status(200))
      const whole = client.pipe(
        HttpClient.mapRequestEffect(() => Effect.fail("signed out")),
        HttpResilience.sealed,
        HttpClient.mapRequest(HttpClientRequest.setHeader("later", "yes"))
      )
      expect(yield* Effect.flip(whole.execute(get))).toMatchObject({
        _tag: "RequestError",
        cause: "signed out"
      })
    })
  )

  it.effect("lets an outer retry wait for the rejection of an inner limiter", () =>
    Effect.gen(function* () {
      const { client, times } = scripted(status(200))
      const whole = client.pipe(
        HttpResilience.rateLimiter({ rate: RateLimiter.smooth({ limit: 1, per: "3 seconds" }) }),
        HttpResilience.sealed,
        HttpResilience.retry({ schedule: Schedule.forever, times: 3, hintJitter: 0 })
      )
      yield* whole.execute(get)
      yield* finish(whole.execute(get))
      expect(times()).toEqual([0, 3000])
    })
  )

  it.effect("shows an outer retry the original error", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(after(5000, status(200)))
      const whole = client.pipe(
        HttpResilience.timeout("1 second"),
        HttpResilience.sealed,
        HttpResilience.retry({ times: 2 })
      )
      const error = yield* Effect.flip(yield* finish(whole.execute(get)))
      expect(error).toMatchObject({ _tag: "RequestError" })
      expect((error as HttpClientError.RequestError).cause).toBeInstanceOf(Timeout.TimeoutExceeded)
      expect(sent.length).toBe(3)
    })
  )
})
