import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApp,
  HttpClient,
  HttpClientRequest,
  HttpServer,
  HttpServerRequest
} from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Fiber, Layer, Logger, Schema } from "effect"
import { Bulkhead, CircuitBreaker, RateLimiter, RetryBudget } from "effect-resilience"
import * as HttpAdmin from "../../../src/http/admin/HttpAdmin.js"
import { anybody, onServer, raw, served } from "../support/admin.js"

const rate = RateLimiter.tokenBucket({ limit: 2, per: "1 hour" })

describe("steering by the admin", () => {
  const allowed: ReadonlyArray<
    readonly [
      HttpAdmin.Action,
      before: (breaker: CircuitBreaker.CircuitBreaker) => Effect.Effect<void>,
      after: CircuitBreaker.State
    ]
  > = [
    ["isolate", () => Effect.void, "isolated"],
    ["release", (breaker) => breaker.isolate, "closed"],
    ["open", () => Effect.void, "open"],
    ["close", (breaker) => breaker.open, "closed"],
    ["reset", (breaker) => breaker.isolate, "closed"],
    ["release", (breaker) => breaker.open, "open"]
  ]

  for (const [action, before, after] of allowed) {
    it.live(`does ${action}, and replies with the entry that is ${after}`, () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ name: "partner" })
        yield* before(breaker)
        const admin = yield* served({ policies: [breaker], steering: anybody })
        const entry = yield* admin.steer({ path: { name: "partner", action }, urlParams: {} })
        assert.strictEqual(entry.state, after)
        assert.strictEqual(yield* breaker.state, after)
      }).pipe(onServer)
    )
  }

  it.live("resets a retry budget", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ name: "retries" })
      yield* budget.tryWithdraw()
      const admin = yield* served({ policies: [budget], steering: anybody })
      const entry = yield* admin.steer({ path: { name: "retries", action: "reset" }, urlParams: {} })
      assert.deepStrictEqual(entry.snapshot, yield* budget.snapshot)
      assert.strictEqual(yield* budget.balance, 100)
    }).pipe(onServer)
  )

  it.live("lists what a policy can do when it cannot do this", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ name: "reports", permits: 1 })
      const budget = yield* RetryBudget.make({ name: "retries" })
      const admin = yield* served({ policies: [bulkhead, budget], steering: anybody })
      const steer = (name: string) =>
        Effect.flip(admin.steer({ path: { name, action: "isolate" }, urlParams: {} }))
      const error = yield* steer("reports")
      assert.deepStrictEqual(
        error,
        new HttpAdmin.ActionNotSupported({
          name: "reports",
          kind: "bulkhead",
          action: "isolate",
          supported: []
        })
      )
      assert.strictEqual(error.message, `a bulkhead such as "reports" has no "isolate"`)
      const other = yield* steer("retries")
      assert.deepStrictEqual(other._tag === "ActionNotSupported" && other.supported, ["reset"])
      const { status } = yield* raw(HttpClientRequest.post("/resilience/reports/isolate"))
      assert.strictEqual(status, 409)
    }).pipe(onServer)
  )

  it.live("rejects unknown actions", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      yield* served({ policies: [breaker], steering: anybody })
      const { status } = yield* raw(HttpClientRequest.post("/resilience/partner/disable"))
      assert.strictEqual(status, 400)
      assert.strictEqual(yield* breaker.state, "closed")
      assert.strictEqual((yield* raw(HttpClientRequest.get("/resilience/partner/isolate"))).status, 404)
    }).pipe(onServer)
  )
})

describe("a denial by the admin", () => {
  interface Hook {
    readonly authorize?: () => Effect.Effect<boolean, unknown>
  }

  const deniedBecause = (reason: HttpAdmin.SteeringDenied["reason"], steering?: Hook) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const admin = yield* served({ policies: [breaker], steering })
      for (const action of HttpAdmin.Action.literals) {
        const error = yield* Effect.flip(admin.steer({ path: { name: "partner", action }, urlParams: {} }))
        assert.deepStrictEqual(error, new HttpAdmin.SteeringDenied({ name: "partner", action, reason }))
      }
      const { body, status } = yield* raw(HttpClientRequest.post("/resilience/partner/isolate"))
      assert.strictEqual(status, 403)
      assert.deepStrictEqual(JSON.parse(body), {
        name: "partner",
        action: "isolate",
        reason,
        _tag: "SteeringDenied"
      })
      assert.strictEqual((yield* breaker.snapshot).generation, 0)
    }).pipe(onServer)

  it.live("comes by default", () => deniedBecause("disabled"))

  it.live("comes when steering has no hook", () => deniedBecause("unauthorized", {}))

  it.live("comes when the hook says no", () =>
    deniedBecause("unauthorized", { authorize: () => Effect.succeed(false) })
  )

  it.live("comes when the hook says something that is not quite yes", () =>
    deniedBecause("unauthorized", { authorize: () => Effect.succeed("yes" as unknown as boolean) })
  )

  for (const [how, authorize] of [
    ["fails", () => Effect.fail("the token of the directory is s3cret")],
    ["dies", () => Effect.die(new Error("the token of the directory is s3cret"))],
    ["interrupts itself", () => Effect.interrupt],
    [
      "throws",
      () => {
        throw new Error("the token of the directory is s3cret")
      }
    ]
  ] as ReadonlyArray<readonly [string, () => Effect.Effect<boolean, unknown>]>) {
    it.live(`comes when the hook ${how}, with a line in the log and not a word in the answer`, () => {
      const warnings: Array<string> = []
      const logger = Logger.make<unknown, void>(({ cause, logLevel, message }) => {
        if (logLevel._tag === "Warning") warnings.push(`${String(message)} ${Cause.pretty(cause)}`)
      })
      return Effect.gen(function* () {
        yield* deniedBecause("unauthorized", { authorize })
        assert.strictEqual(warnings.length, HttpAdmin.Action.literals.length + 1)
        assert.include(
          warnings[0],
          `"isolate" of "partner" is denied because its authorization did not succeed`
        )
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    })
  }

  it.live("comes before anything is said about the policy", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const limiter = yield* RateLimiter.make({ name: "partner", rate })
      const bulkhead = yield* Bulkhead.make({ name: "reports", permits: 1 })
      const admin = yield* served({ policies: [breaker, limiter, bulkhead], steering: {} })
      for (const name of ["partner", "reports", "unknown"]) {
        const error = yield* Effect.flip(admin.steer({ path: { name, action: "isolate" }, urlParams: {} }))
        assert.strictEqual(error._tag, "SteeringDenied")
      }
    }).pipe(onServer)
  )
})

describe("the page from which steering comes", () => {
  const host = "ops.example.com:8080"

  /** Asks with the headers that a browser sends, and counts how often the hook is asked. */
  const isolated = (headers: Readonly<Record<string, string>>) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      let asked = 0
      const authorize = () => Effect.sync(() => ++asked > 0)
      const router = yield* HttpAdmin.router({ policies: [breaker], steering: { authorize } })
      const handler = HttpApp.toWebHandler(router)
      const response = yield* Effect.promise(() =>
        handler(new Request("http://127.0.0.1/resilience/partner/isolate", { method: "POST", headers }))
      )
      const body = yield* Effect.promise(() => response.json() as Promise<unknown>)
      return { status: response.status, body, asked, state: yield* breaker.state }
    })

  it.effect.each([
    ["another site", { "sec-fetch-site": "cross-site" }],
    ["another part of the site, or another port", { "sec-fetch-site": "same-site" }],
    ["what no browser says", { "sec-fetch-site": "" }],
    [
      "another site whose origin is that of the host",
      { "sec-fetch-site": "cross-site", origin: `http://${host}`, host }
    ],
    ["another origin, on a connection that is not trusted", { origin: "http://evil.example", host }],
    ["another port, on a connection that is not trusted", { origin: "http://ops.example.com", host }],
    ["an origin that is hidden", { origin: "null", host }]
  ] as const)("is not %s: the hook is not asked and nothing is done", ([, headers]) =>
    Effect.gen(function* () {
      const { body, ...rest } = yield* isolated(headers)
      assert.deepStrictEqual(rest, { status: 403, asked: 0, state: "closed" })
      const error = yield* Schema.decodeUnknown(HttpAdmin.SteeringDenied)(body)
      assert.deepInclude(error, { name: "partner", action: "isolate", reason: "cross-site" })
      assert.include(error.message, "a page of another origin")
    })
  )

  it.effect.each([
    ["none: a script", {}],
    ["none: what a user typed", { "sec-fetch-site": "none" }],
    [
      "one of the server",
      { "sec-fetch-site": "same-origin", origin: "https://ops.example.com", host: "10.0.0.7" }
    ],
    ["one of the server, on a connection that is not trusted", { origin: `http://${host}`, host }]
  ] as const)("may be %s", ([, headers]) =>
    Effect.map(isolated(headers), ({ asked, state, status }) =>
      assert.deepStrictEqual({ asked, state, status }, { asked: 1, state: "isolated", status: 200 })
    )
  )

  it.live("is not looked at for reading, which a browser keeps from pages of other origins", () =>
    Effect.gen(function* () {
      yield* served({ policies: [yield* CircuitBreaker.make({ name: "partner" })] })
      const headers = { "sec-fetch-site": "cross-site" }
      assert.strictEqual((yield* raw(HttpClientRequest.get("/resilience", { headers }))).status, 200)
    }).pipe(onServer)
  )
})

describe("the hook of the admin", () => {
  it.live("gets the request and what is asked for", () =>
    Effect.gen(function* () {
      const seen: Array<Omit<HttpAdmin.Asked, "request">> = []
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const limiter = yield* RateLimiter.make({ name: "both", rate })
      const both = yield* CircuitBreaker.make({ name: "both" })
      const withoutToken = yield* served({
        policies: [breaker, limiter, both],
        steering: {
          authorize: ({ request, ...asked }) =>
            Effect.sync(() => {
              seen.push(asked)
              return request.headers.authorization === "Bearer s3cret"
            })
        }
      })
      const { resilience: withToken } = yield* HttpApiClient.make(HttpAdmin.api, {
        transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken("s3cret"))
      })

      const path = { name: "partner", action: "isolate" } as const
      yield* Effect.flip(withoutToken.steer({ path, urlParams: {} }))
      assert.strictEqual(yield* breaker.state, "closed")
      yield* withToken.steer({ path, urlParams: {} })
      assert.strictEqual(yield* breaker.state, "isolated")
      yield* Effect.flip(withToken.steer({ path: { name: "both", action: "open" }, urlParams: {} }))
      yield* Effect.flip(withToken.steer({ path: { name: "none", action: "open" }, urlParams: {} }))
      const asked = { name: "partner", kind: "circuit-breaker", action: "isolate" } as const
      assert.deepStrictEqual(seen, [
        asked,
        asked,
        { name: "both", kind: undefined, action: "open" },
        { name: "none", kind: undefined, action: "open" }
      ])
    }).pipe(onServer)
  )

  it.live("is interrupted when its caller leaves, and then nothing is done", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const begun = yield* Deferred.make<void>()
      const left = yield* Deferred.make<void>()
      const admin = yield* served({
        policies: [breaker],
        steering: {
          authorize: () =>
            Deferred.succeed(begun, undefined).pipe(
              Effect.zipRight(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(left, undefined))
            )
        }
      })
      const caller = yield* Effect.fork(
        admin.steer({ path: { name: "partner", action: "isolate" }, urlParams: {} })
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(caller)
      yield* Deferred.await(left)
      assert.strictEqual(yield* breaker.state, "closed")
    }).pipe(onServer)
  )

  it.live("may take its time: the policy that has the name afterwards is steered", () =>
    Effect.gen(function* () {
      const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts" }, capacity: 1 })
      yield* hosts.protect("a")(Effect.void)
      const admin = yield* served({
        policies: [hosts],
        steering: {
          // The place of the key goes to another, and back.
          authorize: () =>
            Effect.zipRight(hosts.protect("b")(Effect.void), Effect.as(hosts.protect("a")(Effect.void), true))
        }
      })
      yield* admin.steer({ path: { name: "hosts/a", action: "isolate" }, urlParams: {} })
      const states = Array.from((yield* hosts.snapshots).values(), ({ name, state }) => [name, state])
      assert.deepStrictEqual(states, [["hosts/a", "isolated"]])
    }).pipe(Effect.orDie, onServer)
  )

  class Directory extends Context.Tag("Directory")<Directory, { readonly admins: ReadonlyArray<string> }>() {}

  it.live("gets the services of the maker of the routes, and those of the request", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const admin = yield* HttpAdmin.router({
        policies: [breaker],
        steering: {
          authorize: () =>
            Effect.gen(function* () {
              const { admins } = yield* Directory
              const { headers } = yield* HttpServerRequest.HttpServerRequest
              return admins.includes(headers["x-user"] ?? "")
            })
        }
      }).pipe(Effect.provideService(Directory, { admins: ["ada"] }))
      yield* HttpServer.serveEffect(admin)
      const isolateAs = (user: string) =>
        raw(HttpClientRequest.post("/resilience/partner/isolate", { headers: { "x-user": user } }))
      assert.strictEqual((yield* isolateAs("bob")).status, 403)
      assert.strictEqual((yield* isolateAs("ada")).status, 200)
    }).pipe(onServer)
  )

  class Someone extends Context.Tag("Someone")<Someone, { readonly name: string }>() {}
  class Nobody extends Schema.TaggedError<Nobody>()(
    "Nobody",
    {},
    HttpApiSchema.annotations({ status: 401 })
  ) {}
  class Login extends HttpApiMiddleware.Tag<Login>()("Login", { provides: Someone, failure: Nobody }) {}

  it.live("gets what a middleware of the group provides, which guards reading too", () =>
    Effect.gen(function* () {
      class Api extends HttpApi.make("offers").add(HttpAdmin.group.middleware(Login).prefix("/ops")) {}
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const login = Layer.succeed(
        Login,
        Login.of(
          Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
            headers["x-user"] === undefined ? new Nobody() : Effect.succeed({ name: headers["x-user"] })
          )
        )
      )
      const admin = HttpAdmin.layer(Api, {
        policies: [breaker],
        steering: { authorize: () => Effect.map(Someone, ({ name }) => name === "ada") }
      })
      yield* Layer.build(
        HttpApiBuilder.serve().pipe(
          Layer.provide(HttpApiBuilder.api(Api)),
          Layer.provide(admin),
          Layer.provide(login),
          Layer.provide(Layer.succeed(HttpServer.HttpServer, yield* HttpServer.HttpServer))
        )
      )
      const as = (user: string) => HttpClientRequest.setHeader("x-user", user)
      const read = HttpClientRequest.get("/ops/resilience/partner")
      const isolate = HttpClientRequest.post("/ops/resilience/partner/isolate")
      assert.strictEqual((yield* raw(read)).status, 401)
      assert.strictEqual((yield* raw(as("bob")(read))).status, 200)
      assert.strictEqual((yield* raw(as("bob")(isolate))).status, 403)
      assert.strictEqual((yield* raw(as("ada")(isolate))).status, 200)
      assert.strictEqual(yield* breaker.state, "isolated")
    }).pipe(onServer)
  )
})
