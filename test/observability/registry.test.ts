// What the registry of a program finds by itself, and lets go of.
import { FetchHttpClient, HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Exit, Fiber, Layer, Scope, Stream, TestClock } from "effect"
import { Bulkhead, CircuitBreaker, Fallback, Hedge, Observer, Retry, Timeout, Trip } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { Observability, Registry } from "effect-resilience/observability"
import { rows } from "../policy/services.js"
import { down, forked } from "../support/calls.js"

const entries = Effect.flatMap(Registry.Registry, ({ all }) => all)

const names = Effect.map(entries, (found) => found.map(({ kind, name }) => `${kind} ${name}`))

const observed = Effect.provide(Observability.layer())

describe("the registry finds", () => {
  it.effect.each(rows.map((row) => [row.kind, row] as const))("a %s that a layer makes", ([kind, row]) =>
    names.pipe(
      Effect.provide(row.tag.layer(row.options)),
      Effect.map((found) => assert.deepStrictEqual(found, [`${kind} Partner`])),
      observed
    )
  )

  it.effect("an instance that is made by hand, as long as something refers to it", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "by hand" })
      const [entry] = yield* entries
      assert.strictEqual(entry?.instance, breaker)
      assert.deepInclude(
        { ...entry, kind: entry?.kind },
        { name: "by hand", family: "by hand", key: undefined }
      )
    }).pipe(observed)
  )

  it.effect("the instances of keys, and those that share one", () =>
    Effect.gen(function* () {
      const keyed = yield* CircuitBreaker.keyed({ options: { name: "hosts" }, capacity: 1 })
      yield* Effect.exit(keyed.protect("a")(Effect.zipRight(keyed.protect("b")(Effect.void), down)))
      assert.deepStrictEqual(
        (yield* entries).map(({ family, key, name }) => [name, family, key]),
        [
          ["hosts/a", "hosts", "a"],
          ["hosts/*", "hosts", "*"]
        ]
      )
    }).pipe(observed)
  )

  it.effect("what HTTP parts make", () =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.standard())
      yield* Effect.exit(client.get("http://127.0.0.1:1/"))
      const found = yield* names
      assert.includeMembers(found, ["circuit-breaker circuit-breaker/http://127.0.0.1:1", "retry retry"])
    }).pipe(Effect.provide(FetchHttpClient.layer), observed)
  )

  it.effect("policies without an instance by their events", () =>
    Effect.gen(function* () {
      const calls = Effect.all(
        [
          down.pipe(Retry.retry({ times: 1, name: "again" }), Fallback.succeed("cold")),
          Effect.never.pipe(Timeout.timeout("1 second"), Effect.exit),
          Effect.void.pipe(Hedge.hedge({ delay: "1 second" }))
        ],
        { concurrency: "unbounded" }
      )
      const fiber = yield* forked(calls)
      yield* TestClock.adjust("1 minute")
      yield* fiber
      const found = yield* names
      assert.sameMembers(found, ["retry again", "fallback fallback", "timeout timeout", "hedge hedge"])
    }).pipe(observed)
  )

  it.effect("a policy by name and kind, also where several have the name", () =>
    Effect.gen(function* () {
      const { find } = yield* Registry.Registry
      const kept = [
        yield* CircuitBreaker.make({ name: "a" }),
        yield* Bulkhead.make({ name: "a", permits: 1 })
      ]
      assert.deepStrictEqual(
        (yield* find("a")).map(({ instance }) => instance),
        kept
      )
      assert.deepStrictEqual(
        (yield* find("a", "bulkhead")).map(({ kind }) => kind),
        ["bulkhead"]
      )
      assert.isEmpty(yield* find("b"))
    }).pipe(observed)
  )
})

describe("the registry lets go of", () => {
  it.effect.each(rows.map((row) => [row.kind, row] as const))("a %s with the scope of its layer", ([, row]) =>
    Effect.gen(function* () {
      const registry = yield* Registry.Registry
      const changes = yield* forked(Stream.runCollect(Stream.take(registry.changes, 2)))
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(row.tag.layer(row.options), scope)
      assert.strictEqual((yield* registry.all).length, 1)
      yield* Scope.close(scope, Exit.void)
      assert.isEmpty(yield* registry.all)
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(yield* Fiber.join(changes)).map(({ _tag }) => _tag),
        ["Made", "Left"]
      )
    }).pipe(observed)
  )

  it.effect("a keyed policy with the scope of its layer, and with it all of its keys", () =>
    Effect.gen(function* () {
      class Hosts extends CircuitBreaker.KeyedTag("Hosts")<Hosts>() {}
      yield* Hosts.protect("a")(Effect.void).pipe(
        Effect.zipRight(entries),
        Effect.map((found) => assert.strictEqual(found[0]?.name, "Hosts/a")),
        Effect.provide(Hosts.layer({}))
      )
      assert.isEmpty(yield* entries)
    }).pipe(observed)
  )

  it.effect("an instance with its eviction", () =>
    Effect.gen(function* () {
      const keyed = yield* Bulkhead.keyed({ options: { permits: 1 }, idleTimeToLive: "1 minute" })
      yield* keyed.protect("a")(Effect.void)
      yield* TestClock.adjust("2 minutes")
      yield* keyed.protect("b")(Effect.void)
      assert.deepStrictEqual(
        (yield* entries).map(({ key }) => key),
        ["b"]
      )
    }).pipe(observed)
  )
})

describe("an entry", () => {
  it.effect(
    "knows the last change and what happened lately, at most once a second for what comes with every call",
    () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1), openFor: "10 seconds" })
        yield* TestClock.adjust("5 seconds")
        const call = Effect.exit(breaker.protect(down))
        yield* Effect.repeatN(call, 3)
        yield* TestClock.adjust("1 second")
        yield* call
        const [entry] = yield* entries
        const event: object | undefined = entry?.lastChange?.event
        assert.deepInclude(event, { _tag: "StateChange", from: "closed", to: "open" })
        assert.strictEqual(entry?.lastChange?.at, 5000)
        assert.deepStrictEqual(
          entry?.recent.map(({ at, count, event }) => [at, event._tag, count]),
          [
            [5000, "StateChange", 1],
            [5000, "Rejected", 3],
            [6000, "Rejected", 1]
          ]
        )
      }).pipe(observed)
  )

  it.effect("counts calls, rejections, transitions and the time until a circuit has recovered", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1), openFor: "10 seconds" })
      yield* breaker.protect(Effect.void)
      yield* Effect.exit(breaker.protect(down))
      yield* Effect.exit(breaker.protect(down))
      yield* TestClock.adjust("12 seconds")
      yield* breaker.protect(Effect.void)
      const [entry] = yield* entries
      const totals = entry?.totals
      assert.strictEqual(totals?.total("calls", { outcome: "success" }), 2)
      assert.strictEqual(totals.total("calls", { outcome: "failure" }), 1)
      assert.strictEqual(totals.total("calls", { outcome: "rejected" }), 1)
      assert.strictEqual(totals.total("calls"), 4)
      assert.strictEqual(totals.total("rejections", { reason: "open" }), 1)
      assert.strictEqual(totals.total("circuit.transitions"), 3)
      const recovery = totals.cells.find(({ name }) => name === "circuit.recovery.duration")
      assert.deepInclude(recovery, { count: 1, sum: 12 })
    }).pipe(observed)
  )
})

it.effect("an observer that is there already is called as well", () =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const around = Observer.layer(({ _tag }) => void seen.push(_tag))
    yield* Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      yield* breaker.protect(Effect.void)
      const [entry] = yield* entries
      assert.strictEqual(entry?.totals.total("calls"), 1)
    }).pipe(Effect.provide(Layer.provide(Observability.layer(), around)))
    assert.deepStrictEqual(seen, ["Admitted", "Success"])
  })
)

it.effect("durations are counted in seconds", () =>
  Effect.gen(function* () {
    const bulkhead = yield* Bulkhead.make({ permits: 1 })
    const fiber = yield* forked(bulkhead.protect(Effect.sleep("20 millis")))
    yield* TestClock.adjust(Duration.millis(20))
    yield* Fiber.join(fiber)
    const [entry] = yield* entries
    const cell = entry?.totals.cells.find(({ name }) => name === "call.duration")
    assert.deepInclude(cell, { count: 1, sum: 0.02, labels: { outcome: "success" } })
  }).pipe(observed)
)
