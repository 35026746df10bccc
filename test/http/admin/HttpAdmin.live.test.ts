import { HttpClientRequest, HttpRouter, HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Schema } from "effect"
import { Bulkhead, Cache, CircuitBreaker, Policy, RateLimiter, RetryBudget, Trip } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import * as HttpAdmin from "../../../src/http/admin/HttpAdmin.js"
import { anybody, onServer, raw, served } from "../support/admin.js"

class Partner extends CircuitBreaker.Tag("partner")<Partner>() {}
class Offers extends Cache.Tag("offers")<Offers, string, number, "down">() {}

const rate = RateLimiter.tokenBucket({ limit: 2, per: "1 hour" })

const live = Layer.merge(
  Partner.layer(),
  Offers.layer({ lookup: () => Effect.succeed(1), timeToLive: "1 minute" })
)

const json = (path: string) =>
  Effect.map(raw(HttpClientRequest.get(path)), ({ body, status }) => ({
    status,
    body: JSON.parse(body) as unknown
  }))

describe("the list of policies", () => {
  it.live("has every policy with kind, name, state and snapshot, in the order given", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ name: "reports", permits: 1 })
      const limiter = yield* RateLimiter.make({ name: "mails", rate })
      const budget = yield* RetryBudget.make({ name: "retries" })
      const admin = yield* served({ policies: [Partner, bulkhead, limiter, budget, Offers] })

      const entries = yield* admin.list()
      assert.deepStrictEqual(
        entries.map(({ kind, name, state }) => [kind, name, state]),
        [
          ["circuit-breaker", "partner", "closed"],
          ["bulkhead", "reports", "available"],
          ["rate-limiter", "mails", "available"],
          ["retry-budget", "retries", "available"],
          ["cache", "offers", "empty"]
        ]
      )
      for (const entry of entries) assert.strictEqual(entry.snapshot.name, entry.name)
    }).pipe(onServer, Effect.provide(live))
  )

  it.live("has the state at the time of the request", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ name: "reports", permits: 1 })
      const limiter = yield* RateLimiter.make({ name: "mails", rate })
      const budget = yield* RetryBudget.make({
        name: "retries",
        rule: RetryBudget.successes({ capacity: 0 })
      })
      const admin = yield* served({ policies: [Partner, bulkhead, limiter, budget, Offers] })

      yield* Partner.open
      yield* bulkhead.acquire
      yield* limiter.acquire(2)
      yield* budget.tryWithdraw()
      yield* Offers.get("4711")
      assert.deepStrictEqual(
        (yield* admin.list()).map(({ state }) => state),
        ["open", "full", "exhausted", "exhausted", "filled"]
      )
    }).pipe(onServer, Effect.provide(live))
  )

  it.live("has snapshots from which a breaker can start", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const admin = yield* served({ policies: [breaker] })
      yield* breaker.open
      const entry = yield* admin.get({ path: { name: "partner" }, urlParams: {} })
      if (entry.kind !== "circuit-breaker") return assert.fail(`it is a ${entry.kind}`)
      const again = yield* CircuitBreaker.make({ name: "partner", initial: entry.snapshot })
      assert.strictEqual(yield* again.state, "open")
    }).pipe(onServer)
  )

  it.live("has a capacity without a limit as null in JSON, and as infinity in the client", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ name: "retries", rule: RetryBudget.requests() })
      const admin = yield* served({ policies: [budget] })
      const entry = yield* admin.get({ path: { name: "retries" }, urlParams: {} })
      assert.deepStrictEqual(entry.snapshot, yield* budget.snapshot)
      const { body } = yield* raw(HttpClientRequest.get("/resilience/retries"))
      assert.include(body, `"capacity":null`)
    }).pipe(onServer)
  )

  it.live("has what a shared cache got from its store, and not of others", () =>
    Effect.gen(function* () {
      const store = yield* SharedStore.make(new SharedStore.Memory().adapter)
      const options = { lookup: () => Effect.succeed(1), timeToLive: "1 minute" } as const
      const shared = Effect.provideService(
        Cache.make({ name: "shared", share: Share.values({ value: Schema.Number }), ...options }),
        SharedStore.SharedStore,
        store
      )
      const [one, other, local] = yield* Effect.all([
        shared,
        shared,
        Cache.make({ name: "local", ...options })
      ])
      yield* one.get("a")
      yield* other.get("a")
      const admin = yield* served({ policies: [other, local] })
      const [entry, alone] = yield* admin.list()
      assert.deepInclude(entry.snapshot, { lookups: 0, fromStore: 1 })
      assert.deepStrictEqual(entry.snapshot, yield* other.snapshot)
      assert.notProperty(alone.snapshot, "fromStore")
    }).pipe(onServer)
  )

  it.live("reads the same for every rate", () =>
    Effect.gen(function* () {
      const per = "1 minute"
      const limiters = yield* Effect.forEach(
        [
          RateLimiter.smooth({ limit: 3, per }),
          RateLimiter.bursty({ limit: 3, per }),
          RateLimiter.tokenBucket({ limit: 3, per, burst: 2 }),
          RateLimiter.slidingWindow({ limit: 3, per })
        ],
        (rate) => RateLimiter.make({ name: rate._tag, rate })
      )
      const admin = yield* served({ policies: limiters })
      const entries = yield* admin.list()
      const snapshots = yield* Effect.forEach(limiters, (limiter) => limiter.snapshot)
      assert.deepStrictEqual(
        entries.map((entry) => entry.kind === "rate-limiter" && entry.snapshot.rate),
        snapshots.map((snapshot) => snapshot.rate)
      )
    }).pipe(onServer)
  )

  it.live("is empty without policies", () =>
    Effect.gen(function* () {
      yield* served({ policies: [] })
      assert.deepStrictEqual(yield* json("/resilience"), { status: 200, body: [] })
    }).pipe(onServer)
  )

  it.live("has a shape in JSON that does not change", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(3) })
      const bulkhead = yield* Bulkhead.make({ name: "reports", permits: 1 })
      const limiter = yield* RateLimiter.make({ name: "mails", rate })
      const budget = yield* RetryBudget.make({ name: "retries" })
      const cache = yield* Cache.makeStore<string, number>()({ name: "offers", timeToLive: "1 minute" })
      yield* served({ policies: [breaker, bulkhead, limiter, budget, cache] })
      const { body } = yield* raw(HttpClientRequest.get("/resilience"))
      const timeless = body.replace(/"(since|takenAt)":[\d.]+/g, `"$1":0`)
      assert.deepStrictEqual(JSON.parse(timeless), [
        {
          kind: "circuit-breaker",
          name: "partner",
          state: "closed",
          snapshot: {
            name: "partner",
            state: "closed",
            since: 0,
            takenAt: 0,
            remainingDelay: 0,
            generation: 0,
            successes: 0,
            failures: 0,
            failureRate: 0,
            consecutiveFailures: 0,
            rejected: 0,
            rejectedInState: 0,
            reopenings: 0,
            openedFor: 0,
            rules: [{ rule: "consecutive", calls: 0, hits: 0, rate: 0, threshold: 3, met: false }],
            memory: [{ rule: "consecutive(3)", run: 0 }]
          }
        },
        {
          kind: "bulkhead",
          name: "reports",
          state: "available",
          snapshot: {
            name: "reports",
            permits: 1,
            inUse: 0,
            running: 0,
            queued: 0,
            rejected: 0,
            successes: 0,
            failures: 0
          }
        },
        {
          kind: "rate-limiter",
          name: "mails",
          state: "available",
          snapshot: {
            name: "mails",
            takenAt: 0,
            rate: { _tag: "tokenBucket", limit: 2, per: 3_600_000, burst: 2 },
            available: 2,
            retryAfter: 0,
            queued: 0,
            admitted: 0,
            rejected: 0
          }
        },
        {
          kind: "retry-budget",
          name: "retries",
          state: "available",
          snapshot: {
            name: "retries",
            balance: 100,
            capacity: 100,
            exhausted: false,
            requests: 0,
            successes: 0,
            retries: 0,
            hedges: 0,
            refused: 0
          }
        },
        {
          kind: "cache",
          name: "offers",
          state: "empty",
          snapshot: {
            name: "offers",
            size: 0,
            inFlight: 0,
            waiting: 0,
            hits: 0,
            misses: 0,
            stale: 0,
            lookups: 0,
            refreshes: 0,
            failures: 0,
            evictions: 0
          }
        }
      ])
    }).pipe(onServer)
  )
})

describe("policies by key", () => {
  const call = Effect.fail("down" as const)

  it.live("are shown one by one, under their own names, as soon as they are there", () =>
    Effect.gen(function* () {
      const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts" } })
      const tenants = yield* Bulkhead.keyed({ options: { name: "tenants", permits: 1 } })
      const users = yield* RateLimiter.keyed({ options: { name: "users", rate } })
      const admin = yield* served({ policies: [hosts, tenants, users] })
      assert.deepStrictEqual(yield* admin.list(), [])

      yield* Effect.ignore(hosts.protect("a")(call))
      yield* Effect.ignore(hosts.protect("b")(call))
      yield* Effect.ignore(tenants.protect("a")(call))
      yield* Effect.ignore(users.protect("a")(call))
      assert.deepStrictEqual(
        (yield* admin.list()).map(({ kind, name }) => [kind, name]),
        [
          ["circuit-breaker", "hosts/a"],
          ["circuit-breaker", "hosts/b"],
          ["bulkhead", "tenants/a"],
          ["rate-limiter", "users/a"]
        ]
      )
    }).pipe(onServer)
  )

  const names = [
    "http://localhost:3000",
    "a/b/c",
    "/",
    "100%",
    "%2F",
    "%252F",
    "a b+c",
    "?kind=cache#x",
    ";,:@&=$",
    "..",
    "größe/日本/🙂"
  ]

  for (const key of names) {
    it.live(`are found and steered by a name that ends with ${key}`, () =>
      Effect.gen(function* () {
        const upstreams = yield* CircuitBreaker.keyed({ options: { name: "upstreams" } })
        yield* Effect.ignore(upstreams.protect(key)(call))
        yield* Effect.ignore(upstreams.protect("other")(call))
        const admin = yield* served({ policies: [upstreams], steering: anybody })
        const name = `upstreams/${key}`

        const entry = yield* admin.get({ path: { name }, urlParams: {} })
        assert.strictEqual(entry.name, name)
        const after = yield* admin.steer({ path: { name, action: "isolate" }, urlParams: {} })
        assert.deepStrictEqual([after.name, after.state], [name, "isolated"])
        assert.deepStrictEqual((yield* admin.list()).map((each) => each.state).sort(), ["closed", "isolated"])
      }).pipe(onServer)
    )
  }

  it.live("are found by names that are functions of the key", () =>
    Effect.gen(function* () {
      const tenants = yield* Bulkhead.keyed({
        options: (tenant) => ({ name: `plan-${tenant.length}`, permits: tenant.length })
      })
      yield* tenants.protect("acme")(Effect.void)
      const admin = yield* served({ policies: [tenants] })
      const entry = yield* admin.get({ path: { name: "plan-4/acme" }, urlParams: {} })
      assert.strictEqual(entry.kind === "bulkhead" && entry.snapshot.permits, 4)
      const none = yield* Effect.flip(admin.get({ path: { name: "plan-5/acme" }, urlParams: {} }))
      assert.strictEqual(none._tag, "PolicyNotFound")
    }).pipe(onServer)
  )

  it.live("can have a tag of their own", () =>
    Effect.gen(function* () {
      class Hosts extends CircuitBreaker.KeyedTag("hosts")<Hosts>() {}
      const live = Hosts.layer()
      yield* Effect.gen(function* () {
        yield* Hosts.protect("a")(Effect.void)
        const admin = yield* served({ policies: [Hosts] })
        const entry = yield* admin.get({ path: { name: "hosts/a" }, urlParams: {} })
        assert.strictEqual(entry.kind, "circuit-breaker")
      }).pipe(Effect.provide(live))
    }).pipe(onServer)
  )

  it.live("with names that are too long for the router need a longer limit in its configuration", () =>
    Effect.gen(function* () {
      const name = "n".repeat(120)
      const breaker = yield* CircuitBreaker.make({ name })
      const admin = yield* HttpAdmin.router({ policies: [breaker] })
      const longer = yield* HttpRouter.toHttpApp(admin).pipe(
        HttpRouter.withRouterConfig({ maxParamLength: 200 })
      )
      yield* HttpServer.serveEffect(
        HttpRouter.empty.pipe(HttpRouter.mountApp("/default", admin), HttpRouter.mountApp("/longer", longer))
      )
      const status = (prefix: string) =>
        Effect.map(raw(HttpClientRequest.get(`${prefix}/resilience/${name}`)), (response) => response.status)
      assert.deepStrictEqual([yield* status("/default"), yield* status("/longer")], [404, 200])
    }).pipe(onServer)
  )
})

describe("two policies of one name", () => {
  it.live("are distinguished by their kind", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const limiter = yield* RateLimiter.make({ name: "partner", rate })
      const admin = yield* served({ policies: [breaker, limiter], steering: anybody })
      const path = { name: "partner" }

      const error = yield* Effect.flip(admin.get({ path, urlParams: {} }))
      assert.instanceOf(error, HttpAdmin.PolicyAmbiguous)
      assert.strictEqual(
        error.message,
        `several policies are called "partner": circuit-breaker, rate-limiter`
      )
      assert.strictEqual((yield* json("/resilience/partner")).status, 409)

      for (const kind of ["circuit-breaker", "rate-limiter"] as const) {
        const entry = yield* admin.get({ path, urlParams: { kind } })
        assert.strictEqual(entry.kind, kind)
      }
      const none = yield* Effect.flip(admin.get({ path, urlParams: { kind: "cache" } }))
      assert.deepStrictEqual(none, new HttpAdmin.PolicyNotFound({ name: "partner", kind: "cache" }))
    }).pipe(onServer)
  )

  it.live("are not steered until one of them is chosen", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const budget = yield* RetryBudget.make({ name: "partner" })
      const admin = yield* served({ policies: [breaker, budget], steering: anybody })
      const path = { name: "partner", action: "reset" } as const
      const error = yield* Effect.flip(admin.steer({ path, urlParams: {} }))
      assert.instanceOf(error, HttpAdmin.PolicyAmbiguous)
      const entry = yield* admin.steer({ path, urlParams: { kind: "retry-budget" } })
      assert.strictEqual(entry.kind, "retry-budget")
    }).pipe(onServer)
  )

  it.effect("and one kind are refused when the routes are made", () =>
    Effect.gen(function* () {
      const one = yield* CircuitBreaker.make({ name: "partner" })
      const other = yield* CircuitBreaker.make({ name: "partner" })
      const exit = yield* Effect.exit(HttpAdmin.router({ policies: [one, other] }))
      assert.deepStrictEqual(defectOf(exit), {
        _tag: "InvalidOption",
        message: `HttpAdmin.router: option "policies[1]" must be the only circuit-breaker of its name, got "partner"`
      })
    })
  )

  it.effect("are refused too when they are one policy given twice", () =>
    Effect.gen(function* () {
      const one = yield* CircuitBreaker.make({ name: "partner" })
      const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts" } })
      const twice = yield* Effect.exit(HttpAdmin.router({ policies: [one, Effect.succeed(one)] }))
      assert.strictEqual(defectOf(twice)?._tag, "InvalidOption")
      const keyed = yield* Effect.exit(HttpAdmin.router({ policies: [hosts, hosts] }))
      assert.strictEqual(defectOf(keyed)?._tag, "InvalidOption")
    })
  )

  it.live("and one kind that only come with their keys are ambiguous", () =>
    Effect.gen(function* () {
      const [one, other] = yield* Effect.replicateEffect(
        CircuitBreaker.keyed({ options: { name: "hosts" } }),
        2
      )
      if (one === undefined || other === undefined) return assert.fail("there are two")
      const admin = yield* served({ policies: [one, other] })
      yield* one.protect("a")(Effect.void)
      const only = yield* admin.get({ path: { name: "hosts/a" }, urlParams: {} })
      assert.strictEqual(only.name, "hosts/a")
      yield* other.protect("a")(Effect.void)
      const error = yield* Effect.flip(
        admin.get({ path: { name: "hosts/a" }, urlParams: { kind: "circuit-breaker" } })
      )
      assert.instanceOf(error, HttpAdmin.PolicyAmbiguous)
    }).pipe(onServer)
  )
})

describe("a value that is not a policy", () => {
  it.effect("is refused when the routes are made", () =>
    Effect.gen(function* () {
      const wrong = { name: "partner" } as unknown as HttpAdmin.Instance
      const exit = yield* Effect.exit(HttpAdmin.router({ policies: [wrong] }))
      assert.deepStrictEqual(defectOf(exit), {
        _tag: "InvalidOption",
        message: `HttpAdmin.router: option "policies[0]" must be a policy with a snapshot, a tag of one, or a keyed one, got {"name":"partner"}`
      })
    })
  )

  it.live("is not found", () =>
    Effect.gen(function* () {
      const admin = yield* served({ policies: [], steering: anybody })
      const read = yield* Effect.flip(admin.get({ path: { name: "partner" }, urlParams: {} }))
      assert.instanceOf(read, HttpAdmin.PolicyNotFound)
      assert.strictEqual(read.message, `no policy is called "partner"`)
      const steered = yield* Effect.flip(
        admin.steer({ path: { name: "partner", action: "open" }, urlParams: { kind: "circuit-breaker" } })
      )
      assert.instanceOf(steered, HttpAdmin.PolicyNotFound)
      assert.strictEqual(steered.message, `no circuit-breaker is called "partner"`)
      assert.deepStrictEqual(yield* json("/resilience/partner"), {
        status: 404,
        body: { name: "partner", _tag: "PolicyNotFound" }
      })
    }).pipe(onServer)
  )

  it.live("is not sent when its name cannot be a path", () =>
    Effect.gen(function* () {
      const admin = yield* served({ policies: [] })
      const error = yield* Effect.flip(admin.get({ path: { name: "\ud800" }, urlParams: {} }))
      assert.strictEqual(error._tag, "ParseError")
    }).pipe(onServer)
  )
})

/** The defect of an exit, as far as the tests distinguish it. */
const defectOf = (exit: Exit.Exit<unknown>) =>
  Option.match(Exit.isFailure(exit) ? Cause.dieOption(exit.cause) : Option.none(), {
    onNone: () => undefined,
    onSome: (defect) =>
      defect instanceof Policy.InvalidOption ? { _tag: defect._tag, message: defect.message } : undefined
  })
