// Who may read policies over HTTP, and what is shown of their keys.
import { HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { Bulkhead, CircuitBreaker, Policy, RateLimiter } from "effect-resilience"
import * as HttpAdmin from "../../../src/http/admin/HttpAdmin.js"
import { anybody, onServer, raw, served } from "../support/admin.js"

const denied = { status: 403, body: `{"_tag":"ReadingDenied"}` }

describe("reading the admin", () => {
  it.live("is open to everybody by default", () =>
    Effect.gen(function* () {
      const admin = yield* served({ policies: [yield* Bulkhead.make({ name: "reports", permits: 1 })] })
      assert.strictEqual((yield* admin.list()).length, 1)
    }).pipe(onServer)
  )

  it.live("is open to those whom the hook allows, which gets what is asked for", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      yield* served({
        policies: [yield* Bulkhead.make({ name: "reports", permits: 1 })],
        reading: {
          authorize: ({ kind, name, request }) =>
            Effect.sync(() => {
              asked.push({ kind, name })
              return request.headers.authorization === "Bearer secret"
            })
        }
      })
      const paths = ["/resilience", "/resilience/reports?kind=bulkhead", "/resilience/none"]
      for (const path of paths) assert.deepStrictEqual(yield* raw(HttpClientRequest.get(path)), denied)
      const known = HttpClientRequest.setHeader("authorization", "Bearer secret")
      const statuses = yield* Effect.forEach(paths, (path) => raw(known(HttpClientRequest.get(path))))
      assert.deepStrictEqual(
        statuses.map(({ status }) => status),
        [200, 200, 404]
      )
      const each = [
        { kind: undefined, name: undefined },
        { kind: "bulkhead", name: "reports" },
        { kind: undefined, name: "none" }
      ]
      assert.deepStrictEqual(asked, [...each, ...each])
    }).pipe(onServer)
  )

  for (const [how, authorize] of [
    ["fails", () => Effect.fail("no")],
    ["dies", () => Effect.die("bug")],
    ["throws", () => assert.fail("bug")],
    ["says what is no yes", () => Effect.succeed("yes" as unknown as boolean)]
  ] as ReadonlyArray<readonly [string, () => Effect.Effect<boolean, unknown>]>) {
    it.live(`is denied when the hook ${how}`, () =>
      Effect.gen(function* () {
        const admin = yield* served({ policies: [], reading: { authorize } })
        assert.strictEqual((yield* Effect.flip(admin.list()))._tag, "ReadingDenied")
        assert.deepStrictEqual(yield* raw(HttpClientRequest.get("/resilience/x")), denied)
      }).pipe(onServer, Effect.provide(Logger.remove(Logger.defaultLogger)))
    )
  }

  it.live("has no influence on steering", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      const reading = { authorize: () => Effect.succeed(false) }
      const admin = yield* served({ policies: [breaker], reading, steering: anybody })
      const entry = yield* admin.steer({ path: { name: "partner", action: "isolate" }, urlParams: {} })
      assert.strictEqual(entry.state, "isolated")
    }).pipe(onServer)
  )
})

describe("hashed keys of the admin", () => {
  it.live("hide the keys, stay the same, and address their instance", () =>
    Effect.gen(function* () {
      const rate = RateLimiter.tokenBucket({ limit: 2, per: "1 hour" })
      const limiters = yield* RateLimiter.keyed({ options: { name: "users", rate } })
      const breakers = yield* CircuitBreaker.keyed({ options: { name: "hosts" } })
      yield* limiters.protect("alice@example.com")(Effect.void)
      yield* limiters.protect("bob@example.com")(Effect.void)
      yield* breakers.protect("10.0.0.1")(Effect.void)
      const admin = yield* served({ policies: [limiters, breakers], keys: "hashed", steering: anybody })
      const { body } = yield* raw(HttpClientRequest.get("/resilience"))
      assert.notMatch(body, /alice|bob|10\.0\.0\.1/)
      const entries = yield* admin.list()
      const names = entries.map(({ name }) => name)
      assert.deepStrictEqual(
        (yield* admin.list()).map(({ name }) => name),
        names
      )
      assert.strictEqual(new Set(names).size, 3)
      for (const { name, snapshot } of entries) {
        assert.match(name, /^(users|hosts)\/[0-9a-f]{16}$/)
        assert.strictEqual(snapshot.name, name)
        assert.strictEqual((yield* admin.get({ path: { name }, urlParams: {} })).name, name)
      }
      const host = names.find((name) => name.startsWith("hosts")) ?? assert.fail("no host")
      const steered = yield* admin.steer({ path: { name: host, action: "isolate" }, urlParams: {} })
      assert.deepInclude(steered, { name: host, state: "isolated" })
      const plain = yield* raw(HttpClientRequest.get("/resilience/hosts%2F10.0.0.1"))
      assert.strictEqual(plain.status, 404)
    }).pipe(onServer)
  )

  it.live("leave policies without keys as they are", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ name: "reports", permits: 1 })
      const admin = yield* served({ policies: [bulkhead], keys: "hashed" })
      assert.deepStrictEqual(
        (yield* admin.list()).map(({ name }) => name),
        ["reports"]
      )
    }).pipe(onServer)
  )

  it.live("accept no other key", () =>
    Effect.gen(function* () {
      const made = HttpAdmin.router({ policies: [], keys: "md5" as "hashed" })
      const defect = yield* Effect.flip(Effect.sandbox(made))
      const error = defect._tag === "Die" ? defect.defect : defect
      assert.instanceOf(error, Policy.InvalidOption)
      assert.include(String(error), `HttpAdmin.router: option "keys" must be "plain" or "hashed", got "md5"`)
    })
  )
})
