// Whose response it is, and whose request: what was once lost or sent twice.
import { HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Scope, TestClock } from "effect"
import { Bulkhead, Policy, RateLimiter } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { createServer } from "node:http"
import { runs } from "../../support/runs.js"
import { finish } from "../../support/virtual.js"
import { broken, scripted, status, type Step } from "../support/scripted.js"

const get = HttpClientRequest.get("http://service.test/thing")
const post = HttpClientRequest.post("http://service.test/thing")
const atOnce = { times: 3, schedule: Schedule.forever } as const

/** An answer whose body never ends. */
const endless: Step = (request) =>
  Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(new ReadableStream())))

describe("a response has an owner until it comes back", () => {
  it.effect("while a listener of a part in between takes its time", () =>
    Effect.gen(function* () {
      const { aborted, client } = scripted(endless)
      const slow = HttpResilience.circuitBreaker({ onSuccess: () => Effect.sleep("1 second") })
      for (const whole of [
        client.pipe(slow, HttpResilience.timeout("40 millis")),
        client.pipe(
          HttpResilience.standard({ circuitBreaker: slow, totalTimeout: "40 millis", retry: false })
        )
      ]) {
        yield* finish(whole.execute(get))
      }
      expect(aborted).toEqual([1, 2])
    })
  )

  it.effect("while the losers of a hedge are cut off", () =>
    Effect.gen(function* () {
      for (let steps = 0; steps < 40; steps++) {
        const { aborted, client } = scripted(status(500, {}, "no"), endless)
        const hedged = HttpResilience.hedge({ delay: "1 second" })(client)
        const fiber = yield* Effect.fork(hedged.execute(get))
        yield* Effect.repeatN(Effect.yieldNow(), steps)
        const exit = yield* Fiber.interrupt(fiber)
        if (Exit.isFailure(exit)) expect(aborted).toContain(aborted.length)
      }
    })
  )

  it.effect("even when it is released after its deadline, silently", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const { aborted, client } = scripted((request) =>
        Effect.sync(() =>
          HttpClientResponse.fromWeb(request, new Response(new ReadableStream(), { status: 503 }))
        )
      )
      const whole = client.pipe(
        HttpResilience.timeout({
          limit: "30 millis",
          body: true,
          onTimeout: () =>
            Effect.zipRight(
              Effect.sync(() => told.push("late")),
              Effect.sleep(5)
            )
        }),
        HttpResilience.fallback((_, request) =>
          Effect.delay(
            Effect.sync(() => HttpClientResponse.fromWeb(request, new Response("instead"))),
            60
          )
        )
      )
      yield* finish(whole.execute(get))
      expect({ aborted, told }).toEqual({ aborted: [1], told: [] })
    })
  )

  it.effect("and no longer than it takes to replace it", () =>
    Effect.gen(function* () {
      const times = runs(100, 500)
      const { client, sent } = scripted(status(503, {}, "no"))
      const limited = HttpResilience.retry({ times, schedule: Schedule.forever })(client)
      yield* finish(limited.execute(get))
      expect(sent.length).toBe(times + 1)
    })
  )

  it.effect("even when its status was made an error", () =>
    Effect.gen(function* () {
      const { client } = scripted(status(503, {}, "why"))
      const whole = client.pipe(
        HttpClient.filterStatusOk,
        HttpResilience.retry({
          ...atOnce,
          maxDuration: "1 second",
          onRetryScheduled: () => Effect.sleep("2 seconds")
        })
      )
      const error = yield* Effect.flip(yield* finish(whole.execute(get)))
      expect(error).toMatchObject({ _tag: "ResponseError" })
      const { response } = error as HttpClientError.ResponseError
      expect(yield* response.text).toBe("why")
    })
  )

  it.effect("and its body can be read again later when it was read in time", () =>
    Effect.gen(function* () {
      const { client } = scripted(status(200, {}, "hello"))
      const response = yield* HttpResilience.timeout({ limit: "1 second", body: true })(client).execute(get)
      expect(yield* response.text).toBe("hello")
      yield* TestClock.adjust("1 hour")
      expect(yield* response.text).toBe("hello")
    })
  )
})

describe("a request that may not arrive twice", () => {
  it.effect("is not sent again after a rejection that came when it had been sent", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      const scope = yield* Scope.make()
      yield* Scope.extend(bulkhead.acquire, scope)
      const { client, sent } = scripted(status(200))
      const whole = client.pipe(
        HttpClient.tap(() => bulkhead.protect(Effect.void)),
        HttpResilience.retry(atOnce)
      )
      expect((yield* Effect.flip(whole.execute(post)))._tag).toBe("BulkheadFull")
      expect(sent.length).toBe(1)
    })
  )

  it.effect("is sent again after a rejection that came before it was sent", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      const scope = yield* Scope.make()
      yield* Scope.extend(bulkhead.acquire, scope)
      const { client, sent } = scripted(status(200))
      const freed = HttpResilience.retry({
        ...atOnce,
        onRetry: () => Scope.close(scope, Exit.void)
      })
      yield* client.pipe(HttpResilience.bulkhead(bulkhead), freed).execute(post)
      expect(sent.length).toBe(1)
    })
  )

  it.effect("is not sent again after a rejection by way of a client that may have sent it itself", () =>
    Effect.gen(function* () {
      const first = scripted(status(503))
      const limiter = yield* RateLimiter.make({ rate: RateLimiter.smooth({ limit: 1, per: "1 hour" }) })
      yield* limiter.acquire()
      const second = HttpResilience.rateLimiter(limiter)(scripted(status(200)).client)
      const either = HttpClient.transform(first.client, (answer, request) =>
        Effect.zipRight(answer, second.execute(request))
      )
      yield* Effect.exit(HttpResilience.retry(atOnce)(either).execute(post))
      expect(first.sent.length).toBe(1)
    })
  )

  it.effect("is not sent again when a redirect leads to where nobody listens", () =>
    Effect.gen(function* () {
      const refused =
        (port: number): Step =>
        (request) =>
          Effect.fail(
            new HttpClientError.RequestError({
              request,
              reason: "Transport",
              cause: new TypeError("fetch failed", {
                cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED", port })
              })
            })
          )
      for (const [port, times] of [
        [80, 4],
        [81, 1]
      ] as const) {
        const { client, sent } = scripted(refused(port))
        yield* Effect.exit(HttpResilience.retry(atOnce)(client).execute(post))
        expect(sent.length).toBe(times)
      }
      const { client, sent } = scripted((request) =>
        Effect.fail(
          new HttpClientError.RequestError({
            request: HttpClientRequest.setUrl(request, "http://elsewhere.test/"),
            reason: "Transport",
            cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" })
          })
        )
      )
      yield* Effect.exit(HttpResilience.retry(atOnce)(client).execute(post))
      expect(sent.length).toBe(1)
    })
  )

  it.live("is not sent again over a socket, either", () =>
    Effect.gen(function* () {
      let posts = 0
      const server = createServer((_, response) => {
        posts += 1
        response.writeHead(307, { location: "http://127.0.0.1:1/" }).end()
      })
      const url = yield* Effect.acquireRelease(
        Effect.async<string>((resume) => {
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            resume(Effect.succeed(`http://127.0.0.1:${port}/`))
          })
        }),
        () => Effect.sync(() => server.close())
      )
      const client = (yield* HttpClient.HttpClient).pipe(
        HttpClient.followRedirects(),
        HttpResilience.retry(atOnce)
      )
      const error = yield* Effect.flip(client.post(url))
      expect(error).toMatchObject({ _tag: "RequestError" })
      expect(posts).toBe(1)
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici))
  )
})

describe("a client of any kind", () => {
  it.effect("works without the internals of the platform's clients", () =>
    Effect.gen(function* () {
      const { client: inner, sent } = scripted(status(503), status(503), status(200))
      const custom = { ...inner, execute: inner.execute, pipe: inner.pipe } as HttpClient.HttpClient
      Object.assign(custom, { preprocess: undefined, postprocess: undefined })
      for (const wrap of [HttpResilience.retry(atOnce), HttpResilience.standard()]) {
        const exit = yield* finish(wrap(custom).execute(get))
        expect(exit).toMatchObject({ _tag: "Success", value: { status: 200 } })
      }
      expect(sent.length).toBeGreaterThan(3)
    })
  )

  it.effect("sends a request without a scope when its earlier scope has closed", () =>
    Effect.gen(function* () {
      const { client } = scripted(status(200))
      yield* Effect.scoped(HttpClient.withScope(client).execute(get))
      const { aborted, client: second } = scripted(status(200, {}, "hello"))
      const scope = yield* Scope.make()
      const response = yield* Scope.extend(HttpResilience.retry()(second).execute(get), scope)
      yield* Scope.close(scope, Exit.void)
      expect(aborted).toEqual([])
      expect(yield* response.text).toBe("hello")
    })
  )

  it("refuses what is neither options nor a part", () => {
    for (const retry of [true, 5, null, () => 1]) {
      // @ts-expect-error -- what the compiler would say, too
      expect(() => HttpResilience.standard({ retry })).toThrow(Policy.InvalidOption)
    }
  })
})

describe("defects and hints in a condition", () => {
  it.effect("count where the condition is silent on the rest", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(() => Effect.die("bug"))
      yield* Effect.exit(
        HttpResilience.retry({ ...atOnce, condition: { defect: true } })(client).execute(get)
      )
      expect(sent.length).toBe(4)
      const { client: second, times } = scripted(status(503), status(200))
      const hinting = HttpResilience.retry({
        ...atOnce,
        hintJitter: 0,
        condition: { retryAfter: () => 1500 }
      })
      yield* finish(hinting(second).execute(get))
      expect(times().map((time) => time - (times()[0] ?? 0))).toEqual([0, 1500])
      const { client: third, sent: again } = scripted(broken("ECONNRESET"))
      yield* Effect.exit(HttpResilience.retry({ ...atOnce, condition: { defect: true } })(third).execute(get))
      expect(again.length).toBe(4)
    })
  )
})
