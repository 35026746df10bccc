// One instance for each key: what is kept, what makes room, and what never does.
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, TestClock } from "effect"
import { Bulkhead, CircuitBreaker, Policy, RateLimiter, Trip } from "effect-resilience"

const down = Effect.fail("down" as const)

const keys = (policies: CircuitBreaker.KeyedCircuitBreaker) =>
  Effect.map(policies.snapshots, (snapshots) => Array.from(snapshots.keys()))

const make = (bounds: Policy.Bounds = {}) =>
  CircuitBreaker.keyed({
    ...bounds,
    options: { name: "hosts", trip: Trip.consecutive(1), openFor: "10 seconds" }
  })

describe("a circuit breaker for each key", () => {
  it.effect("opens for the key that fails and for no other", () =>
    Effect.gen(function* () {
      const hosts = yield* make()
      yield* Effect.flip(hosts.protect("a")(down))
      const rejected = yield* Effect.flip(hosts.protect("a")(Effect.void))
      assert.deepInclude(rejected, { _tag: "CircuitOpen", name: "hosts/a" })
      assert.strictEqual(yield* hosts.protect("b")(Effect.succeed("up")), "up")
    })
  )

  it.effect("is the same breaker for every policy of the key", () =>
    Effect.gen(function* () {
      const hosts = yield* make()
      yield* hosts.protectWhen("a")<number, never>({ result: (n) => n === 503 })(Effect.succeed(503))
      assert.strictEqual((yield* Effect.flip(hosts.protect("a")(Effect.void)))._tag, "CircuitOpen")
      assert.strictEqual(yield* hosts.size, 1)
    })
  )

  it.effect("is found by its key once it was used, and can be steered", () =>
    Effect.gen(function* () {
      const hosts = yield* make()
      assert.isTrue(Option.isNone(yield* hosts.find("a")))
      yield* hosts.protect("a")(Effect.void)
      const breaker = yield* Effect.flatten(hosts.find("a"))
      yield* breaker.isolate
      assert.strictEqual((yield* Effect.flip(hosts.protect("a")(Effect.void))).state, "isolated")
    })
  )

  it.effect("describes itself with its key", () =>
    Effect.gen(function* () {
      const hosts = yield* make()
      assert.strictEqual(Policy.describe(hosts.protect("a")), 'circuit-breaker "hosts/a"(key: a)')
    })
  )

  it.effect("may have options of its own", () =>
    Effect.gen(function* () {
      const hosts = yield* CircuitBreaker.keyed({
        options: (key) => ({ trip: Trip.consecutive(key === "shaky" ? 2 : 1) })
      })
      yield* Effect.flip(hosts.protect("shaky")(down))
      yield* Effect.flip(hosts.protect("other")(down))
      assert.strictEqual(yield* hosts.protect("shaky")(Effect.succeed("up")), "up")
      assert.strictEqual((yield* Effect.flip(hosts.protect("other")(Effect.void)))._tag, "CircuitOpen")
    })
  )

  it.effect("that is made twice at once is one", () =>
    Effect.gen(function* () {
      const hosts = yield* make()
      yield* Effect.all(
        Array.from({ length: 20 }, () => Effect.exit(hosts.protect("a")(Effect.yieldNow()))),
        { concurrency: "unbounded" }
      )
      const [snapshot] = Array.from((yield* hosts.snapshots).values())
      assert.strictEqual(snapshot.successes, 20)
    })
  )
})

describe("at capacity", () => {
  it.effect("the key least recently used makes room", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 2 })
      for (const key of ["a", "b", "a", "c"]) yield* hosts.protect(key)(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["a", "c"])
    })
  )

  it.effect("an open breaker never makes room, nor does one that is half-open or steered", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 3 })
      yield* Effect.flip(hosts.protect("half-open")(down))
      yield* TestClock.adjust("10 seconds")
      yield* Effect.flip(hosts.protect("open")(down))
      yield* hosts.protect("isolated")(Effect.void)
      yield* Effect.flatMap(Effect.flatten(hosts.find("isolated")), (breaker) => breaker.isolate)
      for (let n = 0; n < 100; n++) yield* hosts.protect(`flood ${n}`)(Effect.void)
      assert.sameMembers(yield* keys(hosts), ["half-open", "open", "isolated"])
      assert.strictEqual((yield* Effect.flip(hosts.protect("open")(Effect.void))).state, "open")
    })
  )

  it.effect("a breaker in use never makes room, however long its call takes", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 1, idleTimeToLive: "1 second" })
      const gate = yield* Deferred.make<void, "down">()
      const call = yield* Effect.fork(hosts.protect("a")(Deferred.await(gate)))
      yield* TestClock.adjust("1 minute")
      yield* hosts.protect("b")(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["a"])
      yield* Deferred.fail(gate, "down")
      yield* Fiber.await(call)
      assert.strictEqual((yield* Effect.flip(hosts.protect("a")(Effect.void)))._tag, "CircuitOpen")
    })
  )

  it.effect("an interrupted call is in use no more", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 1 })
      const call = yield* Effect.fork(hosts.protect("a")(Effect.never))
      yield* Effect.yieldNow()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(call)))
      yield* hosts.protect("b")(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["b"])
    })
  )

  it.effect("new keys share one breaker by default", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 1 })
      yield* Effect.flip(hosts.protect("a")(down))
      yield* Effect.flip(hosts.protect("b")(down))
      assert.deepInclude(yield* Effect.flip(hosts.protect("c")(Effect.void)), {
        _tag: "CircuitOpen",
        name: "hosts/*"
      })
      assert.strictEqual(yield* hosts.size, 1)
    })
  )

  it.effect("new keys have no breaker when that is asked for", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 1, whenFull: "bypass" })
      yield* Effect.flip(hosts.protect("a")(down))
      yield* Effect.flip(hosts.protect("b")(down))
      assert.strictEqual(yield* hosts.protect("b")(Effect.succeed("up")), "up")
    })
  )

  it.effect("a key finds room again when what was in the way has recovered", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 1 })
      yield* Effect.flip(hosts.protect("a")(down))
      yield* TestClock.adjust("10 seconds")
      yield* hosts.protect("a")(Effect.void)
      yield* hosts.protect("b")(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["b"])
    })
  )
})

describe("a key that is not used", () => {
  it.effect("is forgotten after its time, when any key is used", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ idleTimeToLive: "1 minute" })
      yield* hosts.protect("a")(Effect.void)
      yield* hosts.protect("b")(Effect.void)
      yield* TestClock.adjust("59 seconds")
      yield* hosts.protect("b")(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["a", "b"])
      yield* TestClock.adjust("1 second")
      yield* hosts.protect("b")(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["b"])
    })
  )

  it.effect("is kept while its breaker is open", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ idleTimeToLive: "1 second" })
      yield* Effect.flip(hosts.protect("a")(down))
      yield* TestClock.adjust("5 seconds")
      for (const key of ["b", "c", "d"]) yield* hosts.protect(key)(Effect.void)
      assert.include(yield* keys(hosts), "a")
    })
  )

  it.effect("is kept for ever when it may be idle for ever", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ idleTimeToLive: Infinity })
      yield* hosts.protect("a")(Effect.void)
      yield* TestClock.adjust("3650 days")
      yield* hosts.protect("b")(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["a", "b"])
    })
  )
})

describe("a rate limiter for each key", () => {
  const limiters = (bounds: Policy.Bounds = {}) =>
    RateLimiter.keyed({
      ...bounds,
      options: { name: "keys", rate: RateLimiter.bursty({ limit: 2, per: "1 minute" }) }
    })

  it.effect("limits each key for itself, and says which", () =>
    Effect.gen(function* () {
      const policies = yield* limiters()
      yield* policies.withCost("a", 2)(Effect.void)
      assert.deepInclude(yield* Effect.flip(policies.protect("a")(Effect.void)), {
        _tag: "RateLimitExceeded",
        name: "keys/a"
      })
      assert.strictEqual(yield* policies.protect("b")(Effect.succeed("in")), "in")
    })
  )

  it.effect("gives the permit of an ignored call back", () =>
    Effect.gen(function* () {
      const policies = yield* limiters()
      const cached = policies.protectWhen("a")<number, never>({ ignore: { result: () => true } })
      for (let call = 0; call < 5; call++) yield* cached(Effect.succeed(call))
      assert.strictEqual(yield* policies.protect("a")(Effect.succeed("in")), "in")
    })
  )

  it.effect("never forgets one of which something still counts, and then does", () =>
    Effect.gen(function* () {
      const policies = yield* limiters({ capacity: 1, idleTimeToLive: "1 second" })
      yield* policies.withCost("a", 2)(Effect.void)
      yield* TestClock.adjust("59 seconds")
      yield* policies.protect("b")(Effect.void)
      assert.strictEqual((yield* Effect.flip(policies.protect("a")(Effect.void)))._tag, "RateLimitExceeded")
      yield* TestClock.adjust("1 second")
      yield* policies.protect("b")(Effect.void)
      assert.deepStrictEqual(Array.from((yield* policies.snapshots).keys()), ["b"])
    })
  )

  it.effect("a cost that is none is refused when it is given", () =>
    Effect.gen(function* () {
      const policies = yield* limiters()
      assert.throws(
        () => policies.withCost("a", 0),
        'RateLimiter.withCost: option "cost" must be a whole number of at least 1, got 0'
      )
    })
  )
})

describe("a bulkhead for each key", () => {
  const bulkheads = (bounds: Policy.Bounds = {}) =>
    Bulkhead.keyed({ ...bounds, options: { name: "tenants", permits: 1, maxQueued: 1 } })

  it.effect("is fair: a key whose places are taken takes none from another", () =>
    Effect.gen(function* () {
      const policies = yield* bulkheads()
      const greedy = yield* Effect.forEach([1, 2, 3, 4], () =>
        Effect.fork(Effect.either(policies.protect("a")(Effect.never)))
      )
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      assert.deepInclude(yield* Effect.flip(policies.protect("a")(Effect.void)), {
        _tag: "BulkheadFull",
        name: "tenants/a"
      })
      assert.strictEqual(yield* policies.protect("b")(Effect.succeed("in")), "in")
      yield* Fiber.interruptAll(greedy)
      assert.strictEqual(yield* policies.withPermits("a", 1)(Effect.succeed("in")), "in")
    })
  )

  it.effect("counts by the condition of the call", () =>
    Effect.gen(function* () {
      const policies = yield* bulkheads()
      yield* policies.protectWhen("a")<number, never>({ result: (n) => n === 503 })(Effect.succeed(503))
      assert.deepInclude((yield* policies.snapshots).get("a"), { failures: 1, successes: 0 })
    })
  )

  it.effect("never forgets one in which somebody runs or waits", () =>
    Effect.gen(function* () {
      const policies = yield* bulkheads({ capacity: 1, idleTimeToLive: "1 second" })
      const gate = yield* Deferred.make<void>()
      const running = yield* Effect.fork(policies.protect("a")(Deferred.await(gate)))
      const waiting = yield* Effect.fork(policies.protect("a")(Effect.succeed("mine")))
      yield* TestClock.adjust("1 minute")
      yield* policies.protect("b")(Effect.void)
      assert.deepStrictEqual(Array.from((yield* policies.snapshots).keys()), ["a"])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(running)
      assert.strictEqual(yield* Fiber.join(waiting), "mine")
      yield* policies.protect("b")(Effect.void)
      assert.deepStrictEqual(Array.from((yield* policies.snapshots).keys()), ["b"])
    })
  )
})

it.effect.each([
  [{ capacity: 0 }, 'CircuitBreaker.keyed: option "capacity" must be a whole number of at least 1, got 0'],
  [
    { idleTimeToLive: 0 },
    'CircuitBreaker.keyed: option "idleTimeToLive" must be a duration greater than zero, got 0'
  ],
  [
    { options: { halfOpen: { permits: 0 } } },
    'CircuitBreaker.make: option "halfOpen.permits" must be a whole number of at least 1, got 0'
  ]
] as ReadonlyArray<[CircuitBreaker.KeyedOptions, string]>)(
  "%o is refused when it is made",
  ([options, message]) =>
    Effect.gen(function* () {
      const defect = yield* Effect.flip(
        Effect.sandbox(CircuitBreaker.keyed(options) as Effect.Effect<unknown, never>)
      )
      assert.strictEqual(
        defect._tag === "Die" ? String(defect.defect) : defect._tag,
        `InvalidOption: ${message}`
      )
    })
)
