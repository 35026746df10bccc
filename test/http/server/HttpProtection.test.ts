import { HttpApp, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Option, Random, TestClock } from "effect"
import { Bulkhead, CircuitBreaker, Policy, RateLimiter, Trip } from "effect-resilience"
import { HttpProblem, HttpProtection } from "effect-resilience/http"
import { forked } from "../../support/calls.js"

const ok = HttpServerResponse.text("ok")
const status = (code: number) => Effect.succeed(HttpServerResponse.empty({ status: code }))

/** Runs an app as a server does, without a socket: uninterruptibly, with handlers before the response. */
const answered = <E, R>(app: HttpApp.Default<E, R>, headers: Record<string, string> = {}) =>
  Effect.suspend(() => {
    let sent: HttpServerResponse.HttpServerResponse | undefined
    const request = HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))
    return HttpApp.toHandled(app, (_, response) =>
      Effect.sync(() => {
        sent = response
      })
    ).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, request),
      Effect.exit,
      Effect.flatMap(() => (sent === undefined ? Effect.dieMessage("nothing was sent") : sent)),
      Effect.locally(HttpApp.currentPreResponseHandlers, Option.none())
    )
  })

const statusOf = <E, R>(app: HttpApp.Default<E, R>, headers?: Record<string, string>) =>
  Effect.map(answered(app, headers), (response) => response.status)

/** The response's fields that tell of limits. */
interface Limits {
  readonly status: number
  readonly ratelimit: string | undefined
  readonly policy: string | undefined
  readonly retryAfter: string | undefined
}

const limits = <E, R>(app: HttpApp.Default<E, R>, headers?: Record<string, string>) =>
  Effect.map(answered(app, headers), (response): Limits => ({
    status: response.status,
    ratelimit: response.headers["ratelimit"],
    policy: response.headers["ratelimit-policy"],
    retryAfter: response.headers["retry-after"]
  }))

/** An app that takes for ever, until its client leaves. */
const hangs = Effect.interruptible(Effect.never)

const perSecond = (limit: number) => RateLimiter.bursty({ limit, per: "1 second" })

describe("a middleware", () => {
  it("has a kind and a name", () => {
    const shown = (protection: Policy.Described) => Policy.describe(protection)
    assert.strictEqual(
      shown(HttpProtection.bulkhead({ permits: 3, maxQueued: 2 })),
      "bulkhead(permits: 3, maxQueued: 2)"
    )
    assert.strictEqual(
      shown(HttpProtection.rateLimiter({ name: "api", rate: perSecond(5) })),
      `rate-limiter "api"(rate: bursty(limit: 5, per: 1s))`
    )
    assert.strictEqual(
      shown(HttpProtection.timeout({ limit: "1 second", status: 504 })),
      "timeout(limit: 1s, status: 504)"
    )
    assert.strictEqual(
      shown(HttpProtection.standard({ bulkhead: { permits: 3 }, timeout: "1 second" })),
      [
        "standard",
        "  bulkhead(permits: 3, maxQueued: 0)",
        "  timeout(limit: 1s, status: 503)",
        "  request-body(stallTimeout: 30s, totalTimeout: Infinity)"
      ].join("\n")
    )
    assert.include(shown(HttpProtection.circuitBreaker()), "circuit-breaker(trip: ")
  })

  it("refuses bad options where it is made", () => {
    const rate = perSecond(1)
    const refused: ReadonlyArray<readonly [() => unknown, string]> = [
      [() => HttpProtection.bulkhead({ permits: 0 }), `HttpProtection.bulkhead: option "permits"`],
      [
        () => HttpProtection.bulkhead({ permits: 1, maxWait: 5 }),
        `HttpProtection.bulkhead: option "maxWait"`
      ],
      [
        () => HttpProtection.bulkhead({ permits: 1, retryAfter: 0 }),
        `HttpProtection.bulkhead: option "retryAfter"`
      ],
      [
        () => HttpProtection.circuitBreaker({ openFor: -1 }),
        `HttpProtection.circuitBreaker: option "openFor"`
      ],
      [() => HttpProtection.rateLimiter({ rate, cost: 2 }), `HttpProtection.rateLimiter: option "cost"`],
      [
        () => HttpProtection.rateLimiter({ rate, capacity: 5 }),
        `HttpProtection.rateLimiter: option "capacity" must be left out without a "key"`
      ],
      [
        () => HttpProtection.rateLimiter({ rate, capacity: 0, key: () => "k" }),
        `HttpProtection.rateLimiter: option "capacity" must be a whole number of at least 1`
      ],
      [
        () => HttpProtection.rateLimiter({ rate, fields: "sometimes" as "always" }),
        `option "fields" must be "always", "rejections" or "never"`
      ],
      [() => HttpProtection.timeout(-1), `HttpProtection.timeout: option "limit"`],
      [
        () => HttpProtection.timeout({ limit: 1, status: 500 as 503 }),
        `HttpProtection.timeout: option "status" must be 503 or 504, got 500`
      ],
      [
        () => HttpProtection.standard({ timeout: "1 second", bulkhead: { permits: 0 } }),
        `HttpProtection.standard: option "bulkhead.permits"`
      ],
      [() => HttpProtection.standard({ timeout: 0 }), `HttpProtection.standard: option "timeout"`],
      [
        () => HttpProtection.requestBody({ stallTimeout: 0 }),
        `HttpProtection.requestBody: option "stallTimeout" must be a duration greater than zero, got 0`
      ],
      [() => HttpProtection.requestBody({ totalTimeout: -1 }), `option "totalTimeout"`],
      [() => HttpProtection.requestBody({ name: "" }), `option "name"`],
      [
        () => HttpProtection.standard({ requestBody: { stallTimeout: -1 } }),
        `HttpProtection.standard: option "requestBody.stallTimeout"`
      ]
    ]
    for (const [make, message] of refused) {
      assert.throws(make, Policy.InvalidOption, message)
    }
  })

  it.effect("keeps the errors of an app, and its response", () =>
    Effect.gen(function* () {
      const request = HttpServerRequest.fromWeb(new Request("http://localhost/"))
      const all = HttpProtection.standard({
        rateLimiter: { rate: perSecond(10) },
        bulkhead: { permits: 1 },
        circuitBreaker: {},
        timeout: "1 second"
      })
      const run = <E>(app: HttpApp.Default<E>) =>
        all(app).pipe(Effect.provideService(HttpServerRequest.HttpServerRequest, request))
      assert.strictEqual(yield* run(ok), ok)
      assert.strictEqual(yield* Effect.flip(run(Effect.fail("mine" as const))), "mine")
      // The app's own error of a policy is the app's.
      const own = new Bulkhead.BulkheadFull({
        name: "elsewhere",
        reason: "full",
        permits: 1,
        requested: 1,
        queued: 0,
        retryAfter: undefined
      })
      assert.strictEqual(yield* Effect.flip(run(Effect.fail(own))), own)
    })
  )

  it.effect("makes its state once, whichever request comes first", () =>
    Effect.gen(function* () {
      let queued = 0
      const places = HttpProtection.bulkhead({
        permits: 1,
        maxQueued: 9,
        onQueued: () => Effect.sync(() => queued++)
      })
      const gate = yield* Deferred.make<void>()
      const app = places(Effect.as(Deferred.await(gate), ok))
      const all = yield* forked(
        Effect.all(
          Array.from({ length: 4 }, () => statusOf(app)),
          { concurrency: 4 }
        )
      )
      assert.strictEqual(queued, 3)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(all), [200, 200, 200, 200])
    })
  )

  it.effect(
    "asks the clients of a full bulkhead to come back in different seconds, around the estimate",
    () =>
      Effect.gen(function* () {
        const seconds = (settings: Partial<Bulkhead.Settings>, retryAfter?: "2 seconds") =>
          Effect.gen(function* () {
            const bulkhead = yield* Bulkhead.make({ permits: 1, ...settings })
            const places = HttpProtection.bulkhead(bulkhead, { retryAfter })
            const unknown = yield* forked(statusOf(places(hangs)))
            const before = yield* Effect.replicateEffect(limits(places(ok)), 60)
            yield* Fiber.interrupt(unknown)
            const call = yield* forked(statusOf(places(Effect.zipRight(Effect.sleep("3500 millis"), ok))))
            yield* TestClock.adjust("3500 millis")
            yield* Fiber.join(call)
            yield* forked(statusOf(places(hangs)))
            const after = yield* Effect.replicateEffect(limits(places(ok)), 60)
            return [before, after].map((all) => [...new Set(all.map(({ retryAfter }) => retryAfter))].sort())
          }).pipe(Effect.withRandom(Random.make("seconds")))
        const learned = (yield* seconds({ retryAfterJitter: 0.01 }))[1]
        assert.isAbove(learned.length, 1)
        assert.deepStrictEqual((yield* seconds({}))[0], ["1", "2", "3"])
        assert.deepStrictEqual((yield* seconds({}, "2 seconds"))[0], ["2"])
        assert.strictEqual((yield* seconds({ retryAfterJitter: 0 }))[0].join(), "1")
        assert.strictEqual((yield* seconds({ retryAfterJitter: 0 }))[1].length, 1)
      })
  )

  it.effect("has the services of the program and the request of the moment for its listeners", () =>
    Effect.gen(function* () {
      class Log extends Context.Tag("Log")<Log, Array<string>>() {}
      const log: Array<string> = []
      const places = HttpProtection.bulkhead({
        permits: 1,
        onAdmitted: () =>
          Effect.gen(function* () {
            const { headers } = yield* HttpServerRequest.HttpServerRequest
            ;(yield* Log).push(String(headers["x-id"]))
          })
      })
      const app = Effect.provideService(places(ok), Log, log)
      yield* statusOf(app, { "x-id": "first" })
      yield* statusOf(app, { "x-id": "second" })
      assert.deepStrictEqual(log, ["first", "second"])
    })
  )

  it.effect("is free when it is empty", () =>
    Effect.sync(() => {
      const app: HttpApp.Default = ok
      const nothing = HttpProtection.standard({ bulkhead: false, timeout: undefined, requestBody: false })
      assert.strictEqual<unknown>(nothing(app), app)
    })
  )

  it.effect("answers with a mapping of its own, before that of the program", () =>
    Effect.gen(function* () {
      const respond: HttpProblem.Mapping = (error, options) =>
        HttpServerResponse.setStatus(HttpProblem.toResponse(error, options), 529)
      const never = (mapping?: HttpProblem.Mapping) =>
        HttpProtection.timeout({ limit: Effect.succeed(0), respond: mapping })(Effect.never)
      assert.strictEqual(yield* statusOf(never()), 503)
      assert.strictEqual(yield* statusOf(never(respond)), 529)
      const program = Effect.provideService(HttpProblem.CurrentMapping, () =>
        HttpServerResponse.empty({ status: 418 })
      )
      assert.strictEqual(yield* program(statusOf(never())), 418)
      assert.strictEqual(yield* program(statusOf(never(respond))), 529)
      const standard = HttpProtection.standard({
        timeout: { limit: Effect.succeed(0) },
        respond,
        retryAfter: "9 seconds"
      })
      const response = yield* program(answered(standard(Effect.never)))
      assert.deepStrictEqual([response.status, response.headers["retry-after"]], [529, "9"])
    })
  )
})

describe("a bulkhead in front of an app", () => {
  it.effect("answers 503 to a request that finds no place", () =>
    Effect.gen(function* () {
      const places = HttpProtection.bulkhead({
        permits: 1,
        maxQueued: 1,
        maxWait: "3 seconds",
        retryAfter: "2 seconds"
      })
      const running = yield* forked(statusOf(places(hangs)))
      const waiting = yield* forked(answered(places(ok)))
      const turnedAway = yield* answered(places(ok))
      assert.deepStrictEqual([turnedAway.status, turnedAway.headers["retry-after"]], [503, "2"])
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(waiting)).status, 503)
      yield* Fiber.interruptFork(running)
    })
  )

  it.effect("has places for each key, and no limit without one", () =>
    Effect.gen(function* () {
      const key: HttpProtection.KeyOf = (request) => request.headers["x-tenant"]
      const perTenant = HttpProtection.bulkhead({ permits: 1, key })
      const first = yield* Effect.fork(answered(perTenant(hangs), { "x-tenant": "alice" }))
      yield* Effect.yieldNow()
      assert.strictEqual(yield* statusOf(perTenant(ok), { "x-tenant": "alice" }), 503)
      assert.strictEqual(yield* statusOf(perTenant(ok), { "x-tenant": "bob" }), 200)
      assert.strictEqual(yield* statusOf(perTenant(ok)), 200)
      yield* Fiber.interrupt(first)
    })
  )

  it.effect("by key from elsewhere can be read there", () =>
    Effect.gen(function* () {
      const bulkheads = yield* Bulkhead.keyed({ options: { permits: 1 } })
      const perTenant = HttpProtection.bulkhead(bulkheads, { key: () => "alice" })
      assert.strictEqual(yield* statusOf(perTenant(ok)), 200)
      assert.strictEqual((yield* bulkheads.snapshots).get("alice")?.successes, 1)
    })
  )

  it.effect("counts by status", () =>
    Effect.gen(function* () {
      const places = yield* Bulkhead.make({ permits: 1 })
      const protect = HttpProtection.bulkhead(places)
      const busy = Effect.fail(
        new CircuitBreaker.CircuitOpen({ name: "partner", state: "open", retryAfter: undefined })
      )
      for (const app of [ok, status(404), status(500), Effect.fail("no"), Effect.die("bug"), busy]) {
        yield* statusOf(protect(app as HttpApp.Default<unknown>))
      }
      const { failures, inUse, rejected, successes } = yield* places.snapshot
      assert.deepStrictEqual(
        { failures, inUse, rejected, successes },
        { failures: 4, inUse: 0, rejected: 0, successes: 2 }
      )
    })
  )

  it.effect("of a tag is that of the program", () =>
    Effect.gen(function* () {
      class Places extends Bulkhead.Tag("Places")<Places>() {}
      const protect = HttpProtection.bulkhead(Places)
      yield* Effect.gen(function* () {
        const running = yield* forked(statusOf(protect(hangs)))
        assert.strictEqual((yield* Places.snapshot).inUse, 1)
        assert.strictEqual(yield* statusOf(protect(ok)), 503)
        yield* Fiber.interruptFork(running)
      }).pipe(Effect.provide(Places.layer({ permits: 1 })))
    })
  )
})

describe("a circuit breaker in front of an app", () => {
  const after = (statuses: ReadonlyArray<HttpApp.Default<unknown>>) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(2), openFor: "90 seconds" })
      const protect = HttpProtection.circuitBreaker(breaker)
      for (const app of statuses) yield* answered(protect(app))
      const { failures, state, successes } = yield* breaker.snapshot
      return { failures, state, successes, protect }
    })

  it.effect("opens for the requests of a key alone", () =>
    Effect.gen(function* () {
      const key: HttpProtection.KeyOf = (request) => request.headers["x-tenant"]
      const perTenant = HttpProtection.circuitBreaker({ trip: Trip.consecutive(1), key })
      const failing = HttpServerResponse.empty({ status: 500 })
      assert.strictEqual(yield* statusOf(perTenant(failing), { "x-tenant": "alice" }), 500)
      assert.strictEqual(yield* statusOf(perTenant(ok), { "x-tenant": "alice" }), 503)
      assert.strictEqual(yield* statusOf(perTenant(ok), { "x-tenant": "bob" }), 200)
    })
  )

  it.effect("opens on answers from 500 on, whether responses or errors", () =>
    Effect.gen(function* () {
      for (const failing of [status(500), status(503), Effect.fail("no"), Effect.die("bug")]) {
        const { protect, state } = yield* after([failing, failing])
        assert.strictEqual(state, "open")
        const { headers, status } = yield* answered(protect(ok))
        assert.deepStrictEqual([status, headers["retry-after"]], [503, "90"])
      }
    })
  )

  it.effect("takes anything else for a success", () =>
    Effect.gen(function* () {
      const responded = Effect.fail(HttpServerResponse.empty({ status: 409 }))
      const counted = yield* after([
        ok,
        status(404),
        status(429),
        responded,
        Effect.die(HttpServerResponse.empty())
      ])
      assert.deepStrictEqual([counted.failures, counted.successes], [0, 5])
    })
  )

  it.effect("does not count a rejection from further inside, even when its response was changed", () =>
    Effect.gen(function* () {
      const places = HttpProtection.bulkhead({ permits: 1 })
      const quota = HttpProtection.rateLimiter({ rate: perSecond(1) })
      yield* forked(answered(places(hangs)))
      yield* statusOf(quota(ok))
      const changed = Effect.map(places(ok), HttpServerResponse.setHeader("x-changed", "yes"))
      const inner = HttpProtection.circuitBreaker({ trip: Trip.consecutive(1) })
      yield* statusOf(inner(status(500)))
      const counted = yield* after([places(ok), changed, quota(ok), inner(ok), places(ok)])
      assert.deepStrictEqual([counted.failures, counted.successes, counted.state], [0, 0, "closed"])
    })
  )

  it.effect("counts a timeout further inside", () =>
    Effect.gen(function* () {
      const counted = yield* after([
        HttpProtection.timeout({ limit: Effect.succeed(0) })(ok),
        HttpProtection.timeout({ limit: Effect.succeed(0), status: 504 })(ok)
      ])
      assert.strictEqual(counted.state, "open")
    })
  )

  it.effect("shows its listeners the status", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const protect = HttpProtection.circuitBreaker({
        onFailure: ({ failure }) =>
          Effect.sync(() => {
            if (failure?._tag === "Result") seen.push((failure.result as HttpProtection.Answered).status)
          })
      })
      yield* statusOf(protect(status(502)))
      yield* statusOf(protect(Effect.fail("no")))
      assert.deepStrictEqual(seen, [502, 500])
    })
  )
})

describe("a rate limiter in front of an app", () => {
  it.effect("says how much is left, and when there is more", () =>
    Effect.gen(function* () {
      const app = HttpProtection.rateLimiter({
        name: "api",
        rate: RateLimiter.bursty({ limit: 2, per: "2500 millis" })
      })(ok)
      const policy = `"api";q=2;w=3`
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* limits(app), {
        status: 200,
        ratelimit: `"api";r=1`,
        policy,
        retryAfter: undefined
      })
      assert.deepStrictEqual(yield* limits(app), {
        status: 200,
        ratelimit: `"api";r=0;t=3`,
        policy,
        retryAfter: undefined
      })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* limits(app), {
        status: 429,
        ratelimit: `"api";r=0;t=2`,
        policy,
        retryAfter: "2"
      })
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual((yield* limits(app)).status, 200)
    })
  )

  it.effect("says it also on an error of the app", () =>
    Effect.gen(function* () {
      const app = HttpProtection.rateLimiter({ rate: perSecond(5) })(Effect.fail("no"))
      const { ratelimit, status } = yield* limits(app)
      assert.deepStrictEqual([status, ratelimit], [500, `"rate-limiter";r=4`])
    })
  )

  it.effect("says it inside of a timeout, also on an error", () =>
    Effect.gen(function* () {
      const app = HttpProtection.rateLimiter({ rate: perSecond(5) })(Effect.fail("no"))
      assert.strictEqual(
        (yield* limits(HttpProtection.timeout("1 second")(app))).ratelimit,
        `"rate-limiter";r=4`
      )
    })
  )

  it.effect("says it only where it is wanted", () =>
    Effect.gen(function* () {
      for (const [fields, admitted, turnedAway] of [
        ["rejections", undefined, `"rate-limiter";r=0;t=1`],
        ["never", undefined, undefined]
      ] as const) {
        const app = HttpProtection.rateLimiter({ rate: perSecond(1), fields })(ok)
        const first = yield* limits(app)
        const second = yield* limits(app)
        assert.deepStrictEqual([first.status, first.ratelimit, first.policy], [200, admitted, admitted])
        assert.deepStrictEqual([second.status, second.ratelimit, second.retryAfter], [429, turnedAway, "1"])
      }
    })
  )

  it.effect("shares the fields with another limiter", () =>
    Effect.gen(function* () {
      const outer = HttpProtection.rateLimiter({ name: "all", rate: perSecond(9) })
      const inner = HttpProtection.rateLimiter({ name: "one", rate: perSecond(1) })
      const app = outer(inner(ok))
      const first = yield* limits(app)
      assert.deepStrictEqual(first.ratelimit?.split(", ").sort(), [`"all";r=8`, `"one";r=0;t=1`])
      const second = yield* limits(app)
      assert.strictEqual(second.status, 429)
      assert.deepStrictEqual(second.ratelimit?.split(", ").sort(), [`"all";r=7`, `"one";r=0;t=1`])
      assert.deepStrictEqual(second.policy?.split(", ").sort(), [`"all";q=9;w=1`, `"one";q=1;w=1`])
    })
  )

  it.effect("limits each key for itself, under one name, and nothing without a key", () =>
    Effect.gen(function* () {
      const app = HttpProtection.rateLimiter({
        name: "tenant",
        rate: perSecond(1),
        key: (request) => request.headers["x-tenant"]
      })(ok)
      const of = (tenant: string) => limits(app, { "x-tenant": tenant })
      assert.strictEqual((yield* of("a-key")).ratelimit, `"tenant";r=0;t=1`)
      const rejected = yield* answered(app, { "x-tenant": "a-key" })
      assert.strictEqual(rejected.status, 429)
      assert.strictEqual(rejected.headers["ratelimit"], `"tenant";r=0;t=1`)
      assert.strictEqual(rejected.headers["ratelimit-policy"], `"tenant";q=1;w=1`)
      const { body } = rejected
      const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""
      assert.deepStrictEqual(JSON.parse(text)["violated-policies"], ["tenant"])
      assert.notInclude(text + JSON.stringify(rejected.headers), "a-key")
      assert.strictEqual((yield* of("b")).status, 200)
      for (let i = 0; i < 3; i++) {
        const free = yield* limits(app)
        assert.deepStrictEqual([free.status, free.ratelimit], [200, undefined])
      }
    })
  )

  it.effect("takes limiters by key from elsewhere, which can be read there", () =>
    Effect.gen(function* () {
      const limiters = yield* RateLimiter.keyed({ options: { name: "own", rate: perSecond(1) } })
      const key: HttpProtection.KeyOf = (request) => request.headers["x-tenant"]
      const app = HttpProtection.rateLimiter(limiters, { key, name: "tenant" })(ok)
      assert.strictEqual((yield* limits(app, { "x-tenant": "a" })).ratelimit, `"tenant";r=0;t=1`)
      assert.strictEqual((yield* limits(app, { "x-tenant": "a" })).status, 429)
      assert.strictEqual((yield* limits(app)).status, 200)
      assert.deepStrictEqual([...(yield* limiters.snapshots).keys()], ["a"])
      // @ts-expect-error -- without a key there is no telling which limiter it would be
      assert.throws(() => HttpProtection.rateLimiter(limiters), /"key"/)
    })
  )

  it.effect("knows limiters by key from elsewhere by their name", () =>
    Effect.gen(function* () {
      const key: HttpProtection.KeyOf = () => "alice"
      for (const [options, name] of [
        [{ name: "users", rate: perSecond(1) }, "users"],
        [{ rate: perSecond(1) }, "rate-limiter"],
        [(key: string) => ({ name: `of ${key}`, rate: perSecond(1) }), "rate-limiter"]
      ] as const) {
        const limiters = yield* RateLimiter.keyed({ options })
        const app = HttpProtection.rateLimiter(limiters, { key })(ok)
        const expected = { ratelimit: `"${name}";r=0;t=1`, policy: `"${name}";q=1;w=1` }
        assert.deepInclude(yield* limits(app), { status: 200, ...expected })
        const { body, headers } = yield* answered(app)
        assert.deepInclude(headers, { ratelimit: expected.ratelimit, "ratelimit-policy": expected.policy })
        const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : assert.fail(body._tag)
        assert.deepStrictEqual(JSON.parse(text)["violated-policies"], [name])
      }
    })
  )

  it.effect("knows a tag by key by its identifier", () =>
    Effect.gen(function* () {
      class Users extends RateLimiter.KeyedTag("Users")<Users>() {}
      const app = HttpProtection.rateLimiter(Users, { key: () => "alice" })(ok)
      const live = Users.layer({ options: { rate: perSecond(1) } })
      const answers = yield* Effect.provide(Effect.all([limits(app), limits(app)]), live)
      const expected = { ratelimit: `"Users";r=0;t=1`, policy: `"Users";q=1;w=1` }
      assert.deepInclude(answers[0], { status: 200, ...expected })
      assert.deepInclude(answers[1], { status: 429, ...expected })
    })
  )

  it.effect("says nothing about a limiter that is shared by keys without room", () =>
    Effect.gen(function* () {
      const app = HttpProtection.rateLimiter({
        rate: perSecond(1),
        key: (request) => request.headers["x-tenant"],
        capacity: 1
      })(ok)
      assert.strictEqual((yield* limits(app, { "x-tenant": "a" })).status, 200)
      const shared = yield* limits(app, { "x-tenant": "b" })
      assert.deepStrictEqual([shared.status, shared.ratelimit], [200, undefined])
      const rejected = yield* limits(app, { "x-tenant": "c" })
      assert.deepStrictEqual(rejected, {
        status: 429,
        ratelimit: `"rate-limiter";r=0;t=1`,
        policy: `"rate-limiter";q=1`,
        retryAfter: "1"
      })
    })
  )

  it.effect("that charges more says what is left, which is not enough", () =>
    Effect.gen(function* () {
      const app = HttpProtection.rateLimiter({ rate: perSecond(5), cost: 3 })(ok)
      assert.strictEqual((yield* limits(app)).ratelimit, `"rate-limiter";r=2`)
      const rejected = yield* limits(app)
      assert.deepStrictEqual(
        [rejected.status, rejected.ratelimit, rejected.retryAfter],
        [429, `"rate-limiter";r=2`, "1"]
      )
    })
  )

  it.effect("of a tag or an instance is the one that others use too", () =>
    Effect.gen(function* () {
      class Api extends RateLimiter.Tag("Api")<Api>() {}
      const live = Layer.provideMerge(Layer.empty, Api.layer({ rate: perSecond(2) }))
      yield* Effect.gen(function* () {
        yield* Api.acquire()
        assert.strictEqual((yield* limits(HttpProtection.rateLimiter(Api)(ok))).ratelimit, `"Api";r=0;t=1`)
        assert.strictEqual((yield* limits(HttpProtection.rateLimiter(yield* Api)(ok))).status, 429)
      }).pipe(Effect.provide(live))
    })
  )

  it.effect("that queues requests admits them in turn", () =>
    Effect.gen(function* () {
      const app = HttpProtection.rateLimiter({ rate: perSecond(1), maxWait: "1 second" })(ok)
      yield* limits(app)
      const waiting = yield* forked(statusOf(app))
      assert.strictEqual(yield* statusOf(app), 429)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(waiting), 200)
    })
  )
})

describe("a timeout in front of an app", () => {
  it.effect("interrupts the app at the limit, and answers when it is gone", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const app = Effect.never.pipe(
        Effect.onInterrupt(() =>
          Effect.zipRight(
            Effect.sleep("2 seconds"),
            Effect.sync(() => log.push("gone"))
          )
        )
      )
      const limited = HttpProtection.timeout({
        limit: "1 second",
        name: "slow",
        onTimeout: ({ name }) => Effect.sync(() => log.push(name))
      })
      const reply = yield* forked(statusOf(limited(app)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(reply), 503)
      assert.deepStrictEqual(log, ["gone", "slow"])
    })
  )

  it.effect("answers at the limit when it does not wait", () =>
    Effect.gen(function* () {
      const app = Effect.uninterruptible(Effect.as(Effect.sleep("1 minute"), ok))
      const limited = HttpProtection.timeout({ limit: "1 second", disconnect: true, status: 504 })
      const reply = yield* forked(statusOf(limited(app)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(reply), 504)
    })
  )

  it.effect("computes its limit for each request", () =>
    Effect.gen(function* () {
      const limit = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        Number(headers["x-limit"])
      )
      const app = HttpProtection.timeout({ limit })(Effect.never)
      const reply = yield* forked(statusOf(app, { "x-limit": "50" }))
      yield* TestClock.adjust(50)
      assert.strictEqual(yield* Fiber.join(reply), 503)
    })
  )

  it.effect("leaves the timeout of the app to the app", () =>
    Effect.gen(function* () {
      const inner = HttpProtection.timeout({ limit: Effect.succeed(0), status: 504 })(ok)
      assert.strictEqual(yield* statusOf(HttpProtection.timeout("1 second")(inner)), 504)
    })
  )
})

describe("the standard order of a server's policies", () => {
  it.effect("is limiter, bulkhead, breaker, timeout", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: perSecond(4) })
      const places = yield* Bulkhead.make({ permits: 1 })
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      const protect = HttpProtection.standard({
        rateLimiter: limiter,
        bulkhead: places,
        circuitBreaker: HttpProtection.circuitBreaker(breaker),
        timeout: { limit: "100 millis", status: 504 }
      })
      const slow = yield* forked(statusOf(protect(Effect.never)))
      // The bulkhead turns this one away: it has used the quota, and the breaker has not seen it.
      assert.strictEqual(yield* statusOf(protect(ok)), 503)
      assert.strictEqual(yield* breaker.state, "closed")
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* Fiber.join(slow), 504)
      // The timeout was a failure to the breaker, and what it turns away has a place while it is told so.
      assert.strictEqual(yield* breaker.state, "open")
      assert.strictEqual(yield* statusOf(protect(ok)), 503)
      assert.strictEqual((yield* places.snapshot).inUse, 0)
      assert.strictEqual(yield* limiter.available, 1)
      yield* statusOf(protect(ok))
      assert.strictEqual(yield* statusOf(protect(ok)), 429)
    })
  )
})
