// The admin without a list of policies: it shows and steers those of the registry.
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpClientRequest, HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { Bulkhead, CircuitBreaker, RateLimiter, Retry } from "effect-resilience"
import { Observability } from "effect-resilience/observability"
import * as HttpAdmin from "../../../src/http/admin/HttpAdmin.js"
import { rows } from "../../policy/services.js"
import { down } from "../../support/calls.js"
import { anybody, onServer, raw, served } from "../support/admin.js"

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}

const observed = Effect.provide(Observability.layer({ logs: false }))

const rate = RateLimiter.tokenBucket({ limit: 2, per: "1 hour" })

const kindsAndNames = (entries: ReadonlyArray<HttpAdmin.Entry>) =>
  entries.map(({ kind, name }) => `${kind} ${name}`)

describe("the admin of a registry", () => {
  it.live.each(rows.map((row) => [row.kind, row] as const))("shows a %s that a layer makes", ([kind, row]) =>
    Effect.gen(function* () {
      const admin = yield* served({})
      yield* Layer.build(row.tag.layer(row.options))
      assert.deepStrictEqual(kindsAndNames(yield* admin.list()), [`${kind} Partner`])
      const entry = yield* admin.get({ path: { name: "Partner" }, urlParams: {} })
      assert.strictEqual(entry.snapshot.name, "Partner")
    }).pipe(onServer, observed)
  )

  it.live("finds at each request what has come and what has gone", () =>
    Effect.gen(function* () {
      const admin = yield* served({ steering: anybody })
      const path = { name: "Partner" }
      assert.isEmpty(yield* admin.list())

      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(Partner.layer(), scope)
      assert.strictEqual((yield* admin.get({ path, urlParams: {} })).state, "closed")
      const steered = yield* admin.steer({ path: { ...path, action: "isolate" }, urlParams: {} })
      assert.strictEqual(steered.state, "isolated")

      yield* Scope.close(scope, Exit.void)
      assert.isEmpty(yield* admin.list())
      assert.strictEqual((yield* Effect.flip(admin.get({ path, urlParams: {} })))._tag, "PolicyNotFound")
    }).pipe(onServer, observed)
  )

  it.live("leaves out policies without a snapshot", () =>
    Effect.gen(function* () {
      const admin = yield* served({})
      yield* Effect.exit(down.pipe(Retry.retry({ times: 0, name: "again" })))
      assert.isEmpty(yield* admin.list())
      const error = yield* Effect.flip(admin.get({ path: { name: "again" }, urlParams: {} }))
      assert.strictEqual(error._tag, "PolicyNotFound")
    }).pipe(onServer, observed)
  )

  it.live("shows two policies of one kind and name, and steers neither", () =>
    Effect.gen(function* () {
      const admin = yield* served({ steering: anybody })
      const breakers = yield* Effect.replicateEffect(CircuitBreaker.make({ name: "partner" }), 2)
      assert.deepStrictEqual(kindsAndNames(yield* admin.list()), [
        "circuit-breaker partner",
        "circuit-breaker partner"
      ])
      const path = { name: "partner", action: "isolate" } as const
      const kind = "circuit-breaker"
      const error = yield* Effect.flip(admin.steer({ path, urlParams: { kind } }))
      assert.deepStrictEqual(error, new HttpAdmin.PolicyAmbiguous({ name: "partner", kinds: [kind, kind] }))
      const states = yield* Effect.forEach(breakers, ({ state }) => state)
      assert.deepStrictEqual(states, ["closed", "closed"])
    }).pipe(onServer, observed)
  )

  it.live("tells two policies of one name apart by their kinds", () =>
    Effect.gen(function* () {
      const admin = yield* served({})
      const kept = [
        yield* CircuitBreaker.make({ name: "partner" }),
        yield* Bulkhead.make({ name: "partner", permits: 1 })
      ]
      const path = { name: "partner" }
      assert.strictEqual((yield* Effect.flip(admin.get({ path, urlParams: {} })))._tag, "PolicyAmbiguous")
      for (const { kind, name } of kept) {
        const entry = yield* admin.get({ path: { name }, urlParams: { kind: kind as HttpAdmin.Kind } })
        assert.strictEqual(entry.kind, kind)
      }
    }).pipe(onServer, observed)
  )

  it.live("shows policies by key from their first call on, and the one that is shared without room", () =>
    Effect.gen(function* () {
      const admin = yield* served({ steering: anybody })
      const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts" }, capacity: 1 })
      assert.isEmpty(yield* admin.list())
      const name = "hosts/http://localhost:3000"
      yield* Effect.exit(
        hosts.protect("http://localhost:3000")(Effect.zipRight(hosts.protect("b")(down), down))
      )
      assert.deepStrictEqual(kindsAndNames(yield* admin.list()), [
        `circuit-breaker ${name}`,
        "circuit-breaker hosts/*"
      ])
      const entry = yield* admin.steer({ path: { name, action: "isolate" }, urlParams: {} })
      assert.deepStrictEqual([entry.name, entry.snapshot.name, entry.state], [name, name, "isolated"])
      assert.strictEqual((yield* admin.get({ path: { name: "hosts/*" }, urlParams: {} })).state, "closed")
    }).pipe(onServer, observed)
  )

  it.live("hashes the keys of its policies and nothing else", () =>
    Effect.gen(function* () {
      const admin = yield* served({ keys: "hashed", steering: anybody })
      const users = yield* RateLimiter.keyed({ options: { name: "users", rate }, capacity: 1 })
      const mails = yield* Bulkhead.make({ name: "mails/out", permits: 1 })
      yield* Effect.exit(users.protect("ada@example.org")(users.protect("eve@example.org")(Effect.void)))
      const names = (yield* admin.list()).map(({ name }) => name)
      const [hashed = ""] = names
      assert.match(hashed, /^users\/[0-9a-f]{16}$/)
      assert.deepStrictEqual(names.slice(1), ["users/*", mails.name])
      const entry = yield* admin.get({ path: { name: hashed }, urlParams: {} })
      assert.deepStrictEqual([entry.name, entry.snapshot.name], [hashed, hashed])
      const { body } = yield* raw(HttpClientRequest.get("/resilience"))
      assert.notInclude(body, "example.org")
      const plain = yield* raw(HttpClientRequest.get("/resilience/users%2Fada%40example.org"))
      assert.strictEqual(plain.status, 404)
    }).pipe(onServer, observed)
  )

  it.live("shows only what is given when policies are given", () =>
    Effect.gen(function* () {
      const partner = yield* CircuitBreaker.make({ name: "partner" })
      const other = yield* CircuitBreaker.make({ name: "other" })
      const admin = yield* served({ policies: [partner] })
      assert.deepStrictEqual(kindsAndNames(yield* admin.list()), ["circuit-breaker partner"])
      const error = yield* Effect.flip(admin.get({ path: { name: other.name }, urlParams: {} }))
      assert.strictEqual(error._tag, "PolicyNotFound")
    }).pipe(onServer, observed)
  )

  it.live("can be a layer of an HttpApi, without any options", () =>
    Effect.gen(function* () {
      class Api extends HttpApi.make("offers").add(HttpAdmin.group) {}
      const partner = yield* CircuitBreaker.make({ name: "partner" })
      yield* Layer.build(
        HttpApiBuilder.serve().pipe(
          Layer.provide(HttpApiBuilder.api(Api)),
          Layer.provide(HttpAdmin.layer(Api)),
          Layer.provide(Layer.succeed(HttpServer.HttpServer, yield* HttpServer.HttpServer))
        )
      )
      const { resilience } = yield* HttpApiClient.make(Api)
      assert.deepStrictEqual(kindsAndNames(yield* resilience.list()), [`circuit-breaker ${partner.name}`])
    }).pipe(onServer, observed)
  )
})
