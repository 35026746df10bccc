import { HttpApp, HttpRouter, HttpServerRespondable, HttpServerResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Equal, Exit, Layer, Schema } from "effect"
import { Bulkhead, CircuitBreaker, Policy, RateLimiter, Timeout } from "effect-resilience"
import { HttpDrain, HttpProblem, HttpProtection } from "effect-resilience/http"
import { slot } from "../../../src/internal/respondable.js"
import { request, serving, told } from "../support/protectionServer.js"

const limited = (fields: Partial<ConstructorParameters<typeof RateLimiter.RateLimitExceeded>[0]> = {}) =>
  new RateLimiter.RateLimitExceeded({
    name: "api",
    limit: 100,
    cost: 1,
    reason: "rate",
    retryAfter: Duration.millis(2500),
    ...fields
  })
const full = new Bulkhead.BulkheadFull({
  name: "secret places",
  reason: "full",
  permits: 1,
  requested: 1,
  queued: 0,
  retryAfter: undefined
})
const open = new CircuitBreaker.CircuitOpen({
  name: "secret partner",
  state: "open",
  retryAfter: Duration.millis(12_001)
})
const late = new Timeout.TimeoutExceeded({
  name: "secret timeout",
  limit: Duration.seconds(1),
  elapsed: Duration.seconds(1)
})

const quota = {
  type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
  title: "Request cannot be satisfied as assigned quota has been exceeded",
  status: 429,
  "violated-policies": ["api"]
}
const capacity = {
  type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
  title: "Request cannot be satisfied due to temporary server capacity constraints",
  status: 503
}
const unavailable = { type: "about:blank", title: "Service Unavailable", status: 503 }
const gatewayTimeout = { type: "about:blank", title: "Gateway Timeout", status: 504 }
const requestTimeout = { type: "about:blank", title: "Request Timeout", status: 408 }

const problem = { "cache-control": "no-store", "content-type": "application/problem+json" }
const nothing = { ratelimit: undefined, "ratelimit-policy": undefined }

const answers = {
  RateLimitExceeded: {
    error: limited(),
    body: quota,
    told: {
      ...problem,
      status: 429,
      "retry-after": "3",
      ratelimit: `"api";r=0;t=3`,
      "ratelimit-policy": `"api";q=100`
    }
  },
  BulkheadFull: {
    error: full,
    body: capacity,
    told: { ...problem, ...nothing, status: 503, "retry-after": "1" }
  },
  CircuitOpen: {
    error: open,
    body: capacity,
    told: { ...problem, ...nothing, status: 503, "retry-after": "13" }
  },
  TimeoutExceeded: {
    error: late,
    body: unavailable,
    told: { ...problem, ...nothing, status: 503, "retry-after": "1" }
  },
  ServerDraining: {
    error: new HttpDrain.ServerDraining({ name: "secret drain", retryAfter: undefined }),
    body: capacity,
    told: { ...problem, ...nothing, status: 503, "retry-after": "1" }
  },
  RequestBodyTimeout: {
    error: new HttpProtection.RequestBodyTimeout({
      name: "secret body",
      reason: "stalled",
      limit: Duration.seconds(30)
    }),
    body: requestTimeout,
    told: { ...problem, ...nothing, status: 408, "retry-after": undefined }
  }
}

const headers = (error: HttpProblem.PolicyError, options?: HttpProblem.Options) =>
  HttpProblem.toResponse(error, options).headers

describe("the details of a problem", () => {
  for (const [tag, { body, error }] of Object.entries(answers)) {
    it(`of ${tag}`, () => {
      assert.deepStrictEqual(HttpProblem.details(error), body)
    })
  }

  it("have the status of a gateway where that is asked for, only for a timeout", () => {
    assert.deepStrictEqual(HttpProblem.details(late, { timeoutStatus: 504 }), gatewayTimeout)
    assert.deepStrictEqual(HttpProblem.details(full, { timeoutStatus: 504 }), capacity)
  })

  it("have the name of the policy that clients know", () => {
    const policy = { name: "tenant", quota: 100 }
    assert.deepStrictEqual(HttpProblem.details(limited(), { policy })["violated-policies"], ["tenant"])
  })
})

describe("the Retry-After of a problem", () => {
  const after = (error: HttpProblem.PolicyError, options?: HttpProblem.Options) =>
    headers(error, options)["retry-after"]

  it("is in whole seconds, rounded up, and at least one", () => {
    for (const [millis, seconds] of [
      [0, "1"],
      [1, "1"],
      [1000, "1"],
      [1001, "2"],
      [60_000, "60"]
    ] as const) {
      assert.strictEqual(after(limited({ retryAfter: Duration.millis(millis) })), seconds)
    }
  })

  it("is one second when unknown, or what is given for that", () => {
    assert.strictEqual(after(full), "1")
    assert.strictEqual(after(full, { retryAfter: "4500 millis" }), "5")
    assert.strictEqual(after(late, { retryAfter: "4500 millis" }), "5")
    assert.strictEqual(after(open, { retryAfter: "4500 millis" }), "13")
  })

  it("is left out where no wait would help", () => {
    const never = limited({ cost: 200, reason: "cost", retryAfter: undefined })
    assert.deepStrictEqual(headers(never)["retry-after"], undefined)
    assert.deepStrictEqual(headers(never)["ratelimit"], undefined)
    assert.strictEqual(headers(never)["ratelimit-policy"], `"api";q=100`)
  })
})

describe("the RateLimit fields of a problem", () => {
  it("are the given ones", () => {
    const policy = { name: "tenant", quota: 5, window: Duration.millis(1500) }
    const given = headers(limited({ cost: 3 }), { policy, quota: { name: "tenant", available: 2 } })
    assert.strictEqual(given["ratelimit-policy"], `"tenant";q=5;w=2`)
    assert.strictEqual(given["ratelimit"], `"tenant";r=2`)
  })

  it("leave out what the error does not know", () => {
    assert.strictEqual(headers(limited({ cost: 3 }))["ratelimit"], undefined)
  })

  it("are left out where they are not wanted", () => {
    const without = headers(limited(), { fields: false })
    assert.deepStrictEqual([without["ratelimit"], without["ratelimit-policy"]], [undefined, undefined])
  })
})

describe("an error of a policy", () => {
  for (const [tag, { error }] of Object.entries(answers)) {
    it(`looks as if it could not answer: ${tag}`, () => {
      assert.isTrue(HttpServerRespondable.isRespondable(error))
      assert.deepStrictEqual(
        Object.getOwnPropertySymbols(error).filter((key) => key === HttpServerRespondable.symbol),
        []
      )
      const json = JSON.stringify(error)
      assert.notInclude(json, "espond")
      assert.deepStrictEqual(JSON.parse(json), JSON.parse(JSON.stringify({ ...error })))
    })
  }

  it("is equal to one with the same fields", () => {
    const again = new Bulkhead.BulkheadFull({ ...full })
    assert.deepStrictEqual({ ...again }, { ...full })
    assert.isTrue(Equal.equals(Exit.fail(full), Exit.fail(full)))
  })

  it("is distinguished from others", () => {
    for (const { error } of Object.values(answers)) assert.isTrue(HttpProblem.isPolicyError(error))
    for (const other of [
      undefined,
      "BulkheadFull",
      { _tag: "BulkheadFull" },
      new Error("no"),
      HttpServerResponse.empty()
    ]) {
      assert.isFalse(HttpProblem.isPolicyError(other))
    }
    assert.isFalse(Policy.isRejection(late))
  })
})

/** Handlers by path that fail, or die, with an error each. */
const failing = HttpRouter.fromIterable(
  Object.entries(answers).flatMap(([tag, { error }]) => [
    HttpRouter.makeRoute("GET", `/fail/${tag}`, Effect.fail<HttpProblem.PolicyError>(error)),
    HttpRouter.makeRoute("GET", `/die/${tag}`, Effect.die(error))
  ])
)

describe("the default error handling of the platform", () => {
  for (const [tag, expected] of Object.entries(answers)) {
    it.scoped(`answers ${tag} from a handler, as a failure and as a defect`, () =>
      Effect.gen(function* () {
        const url = yield* serving(failing)
        for (const kind of ["fail", "die"]) {
          const reply = yield* request(`${url}/${kind}/${tag}`)
          assert.deepStrictEqual(told(reply), expected.told)
          assert.deepStrictEqual(JSON.parse(reply.text), expected.body)
        }
      })
    )
  }

  it.scoped("sends the head alone where that is asked for", () =>
    Effect.gen(function* () {
      const url = yield* serving(failing)
      const reply = yield* request(`${url}/fail/CircuitOpen`, { method: "HEAD" })
      assert.deepStrictEqual(told(reply), answers.CircuitOpen.told)
      assert.strictEqual(reply.text, "")
    })
  )

  it.scoped("answers by the mapping that the program provides", () =>
    Effect.gen(function* () {
      const url = yield* serving(failing).pipe(
        Effect.provideService(HttpProblem.CurrentMapping, ({ _tag }) =>
          HttpServerResponse.text(`busy: ${_tag}`, { status: 529 })
        )
      )
      const reply = yield* request(`${url}/fail/BulkheadFull`)
      assert.deepStrictEqual([reply.status, reply.text], [529, "busy: BulkheadFull"])
    })
  )

  it.scoped("answers with the defaults that a layer gives", () =>
    Effect.gen(function* () {
      const defaults = HttpProblem.layer({ timeoutStatus: 504, retryAfter: "7 seconds" })
      const url = yield* serving(failing).pipe(Effect.provide(defaults))
      const reply = yield* request(`${url}/fail/TimeoutExceeded`)
      assert.deepStrictEqual(told(reply), {
        ...answers.TimeoutExceeded.told,
        status: 504,
        "retry-after": "7"
      })
      assert.deepStrictEqual(JSON.parse(reply.text), gatewayTimeout)
    })
  )

  it("answers a web request", async () => {
    const handler = HttpApp.toWebHandler(Effect.fail(open))
    const response = await handler(new Request("http://localhost/"))
    assert.deepStrictEqual([response.status, response.headers.get("retry-after")], [503, "13"])
    assert.deepStrictEqual(await response.json(), capacity)
  })

  it("answers 500 when a mapping dies, and when the integration is not there", async () => {
    const broken = Effect.fail(full).pipe(
      Effect.provideService(HttpProblem.CurrentMapping, () => Effect.die("broken"))
    )
    const status = async (app: HttpApp.Default<unknown>) =>
      (await HttpApp.toWebHandler(app)(new Request("http://localhost/"))).status
    // The mapping is looked up where the platform answers, so it has to be there for the whole request.
    assert.strictEqual(await status(broken), 503)
    const dying = HttpApp.toWebHandlerLayer(
      Effect.fail(full),
      Layer.succeed(HttpProblem.CurrentMapping, () => Effect.die("broken"))
    )
    assert.strictEqual((await dying.handler(new Request("http://localhost/"))).status, 500)
    const { answer } = slot
    slot.answer = undefined
    try {
      assert.strictEqual(await status(Effect.fail(full)), 500)
    } finally {
      slot.answer = answer
    }
    assert.strictEqual(await status(Effect.fail(full)), 503)
  })
})

describe("the options of a layer of answers", () => {
  it.effect("are checked", () =>
    Effect.gen(function* () {
      const refused = (options: object) =>
        Effect.map(Effect.exit(Layer.build(HttpProblem.layer(options))), (exit) =>
          Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "accepted"
        )
      assert.include(
        yield* Effect.scoped(refused({ timeoutStatus: 500 })),
        `"timeoutStatus" must be 503 or 504, got 500`
      )
      assert.include(
        yield* Effect.scoped(refused({ retryAfter: 0 })),
        `"retryAfter" must be a finite duration greater than zero`
      )
      assert.strictEqual(yield* Effect.scoped(refused({ timeoutStatus: undefined })), "accepted")
    })
  )
})

describe("the schemas of problems", () => {
  const cases = [
    ["QuotaExceeded", HttpProblem.QuotaExceeded, quota],
    ["TemporaryReducedCapacity", HttpProblem.TemporaryReducedCapacity, capacity],
    ["ServiceUnavailable", HttpProblem.ServiceUnavailable, unavailable],
    ["GatewayTimeout", HttpProblem.GatewayTimeout, gatewayTimeout],
    ["RequestTimeout", HttpProblem.RequestTimeout, requestTimeout]
  ] as const

  for (const [tag, schema, body] of cases) {
    it(`read what is sent: ${tag}`, () => {
      const decode = Schema.decodeUnknownSync(schema as Schema.Schema<unknown>)
      const encode = Schema.encodeUnknownSync(schema as Schema.Schema<unknown>)
      assert.deepStrictEqual(decode(body), { _tag: tag, ...body })
      assert.deepStrictEqual(encode({ _tag: tag, ...body }), body)
      for (const [other, , otherBody] of cases) if (other !== tag) assert.throws(() => decode(otherBody))
    })
  }
})
