// One instance for each key: which are kept, which are evicted, and which never are.
import { assert, describe, it, vi } from "@effect/vitest"
import { Deferred, Effect, Exit, FastCheck, Fiber, Option, TestClock } from "effect"
import { Bulkhead, CircuitBreaker, Policy, RateLimiter, Trip } from "effect-resilience"
import { down, settled } from "../support/calls.js"
import { Keyed } from "../../src/policy/keyed.js"
import { Linked, type Links } from "../../src/internal/linked.js"

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

describe("a keyed policy at capacity", () => {
  it.effect("evicts the least recently used key", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 2 })
      for (const key of ["a", "b", "a", "c"]) yield* hosts.protect(key)(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["a", "c"])
    })
  )

  it.effect("never evicts an open, half-open or steered breaker", () =>
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

  it.effect("never evicts a breaker in use, however long its call takes", () =>
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

  it.effect("may evict a breaker once its call is interrupted", () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 1 })
      const call = yield* Effect.fork(hosts.protect("a")(Effect.never))
      yield* Effect.yieldNow()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(call)))
      yield* hosts.protect("b")(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["b"])
    })
  )

  it.effect("gives new keys a shared breaker by default", () =>
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

  it.effect('gives new keys no breaker with whenFull: "bypass"', () =>
    Effect.gen(function* () {
      const hosts = yield* make({ capacity: 1, whenFull: "bypass" })
      yield* Effect.flip(hosts.protect("a")(down))
      yield* Effect.flip(hosts.protect("b")(down))
      assert.strictEqual(yield* hosts.protect("b")(Effect.succeed("up")), "up")
    })
  )

  it.effect("has room for a key again once another one has recovered", () =>
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

describe("an idle key", () => {
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

  it.effect("limits each key on its own, and names it in a rejection", () =>
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

  it.effect("never evicts a limiter whose permits still count, and does so afterwards", () =>
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

  it.effect("refuses an invalid cost where it is given", () =>
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

  it.effect("is fair: a busy key takes no place from another", () =>
    Effect.gen(function* () {
      const policies = yield* bulkheads()
      const greedy = yield* Effect.forEach([1, 2, 3, 4], () =>
        Effect.fork(Effect.either(policies.protect("a")(Effect.never)))
      )
      yield* settled
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

  it.effect("never evicts a bulkhead in which a call runs or waits", () =>
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
    'CircuitBreaker.keyed: option "options.halfOpen.permits" must be a whole number of at least 1, got 0'
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

describe("hosts that are down, one more than there is room for", () => {
  const trips: Record<string, Trip.Trip> = {
    "failures in a row": Trip.consecutive(10),
    "failures among calls": Trip.failures({ count: 10, of: 20 }),
    "failures within a time": Trip.failures({ count: 10, within: "1 minute" }),
    "a rate of failures": Trip.failureRate({ threshold: 0.5, of: 10 }),
    "any of several rules": Trip.any(
      Trip.slowRate({ slowerThan: "1 second", threshold: 1, of: 10 }),
      Trip.consecutive(10)
    )
  }
  for (const [name, trip] of Object.entries(trips)) {
    it.effect(`are cut off: ${name}`, () =>
      Effect.gen(function* () {
        const hosts = yield* CircuitBreaker.keyed({ options: { trip }, capacity: 10 })
        let rejected = 0
        for (let round = 0; round < 100; round++) {
          for (let host = 0; host < 11; host++) {
            const error = yield* Effect.flip(hosts.protect(`host ${host}`)(down))
            if (error !== "down") rejected++
          }
        }
        assert.strictEqual(rejected, 1100 - 11 * 10)
      })
    )
  }

  it.effect(
    "do not disturb a healthy host that has a breaker, nor one that gets one when there is room again",
    () =>
      Effect.gen(function* () {
        const hosts = yield* CircuitBreaker.keyed({
          options: { trip: Trip.consecutive(3) },
          capacity: 3,
          idleTimeToLive: "1 minute"
        })
        for (const host of ["a", "b", "c", "d", "d", "d"]) yield* Effect.flip(hosts.protect(host)(down))
        assert.strictEqual((yield* Effect.flip(hosts.protect("new")(Effect.void)))._tag, "CircuitOpen")
        yield* hosts.protect("a")(Effect.void)
        yield* hosts.protect("new")(Effect.void)
        assert.sameMembers(yield* keys(hosts), ["b", "c", "new"])
      })
  )

  it.effect("do not keep their places when they are not called any more", () =>
    Effect.gen(function* () {
      const hosts = yield* CircuitBreaker.keyed({ capacity: 2, idleTimeToLive: "1 minute" })
      for (const host of ["a", "b"]) yield* Effect.flip(hosts.protect(host)(down))
      yield* TestClock.adjust("1 minute")
      yield* hosts.protect("c")(Effect.void)
      assert.deepStrictEqual(yield* keys(hosts), ["c"])
    })
  )
})

describe("a hot key", () => {
  for (const size of [1, 100, 10_000]) {
    it.effect(`is used without a change to the map of ${size} keys, and with one move in the list`, () =>
      Effect.gen(function* () {
        const member = { snapshot: Effect.succeed(0), isProtecting: () => false }
        const keyed = new Keyed("test", { capacity: size }, () => Effect.succeed(member))
        const use = (key: string) => keyed.use(key, () => Effect.void)
        for (let key = 0; key < size; key++) yield* use(String(key))
        const spies = [
          vi.spyOn(Map.prototype, "set"),
          vi.spyOn(Map.prototype, "delete"),
          vi.spyOn(Linked.prototype, "append"),
          vi.spyOn(Linked.prototype, "remove")
        ]
        for (let time = 0; time < 100; time++) yield* use("0")
        const [set, deleted, appended, removed] = spies.map(
          ({ mock }) =>
            mock.calls.filter(([first]) => first === "0" || (first instanceof Object && "inUse" in first))
              .length
        )
        for (const spy of spies) spy.mockRestore()
        assert.deepStrictEqual({ set, deleted }, { set: 0, deleted: 0 })
        const moves = size === 1 ? 0 : 1
        assert.deepStrictEqual({ appended, removed }, { appended: moves, removed: moves })
      })
    )
  }
})

describe("a linked list", () => {
  class Node implements Links<Node> {
    previous: Node | undefined
    next: Node | undefined
  }

  it("is in the order in which an array would be", () => {
    const step = FastCheck.tuple(
      FastCheck.constantFrom("append" as const, "remove" as const, "moveToEnd" as const, "clear" as const),
      FastCheck.nat(9)
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step), (steps) => {
        const list = new Linked<Node>()
        let model: Array<Node> = []
        for (const [what, position] of steps) {
          if (what === "clear") {
            list.clear()
            model = []
            continue
          }
          const node = what === "append" ? new Node() : model[position]
          if (node === undefined) continue
          list[what](node)
          model = model.filter((other) => other !== node)
          if (what !== "remove") model.push(node)
        }
        const seen = [...list]
        return seen.length === model.length && seen.every((node, index) => node === model[index])
      })
    )
  })
})

describe("options of a key that throw", () => {
  const bug = new Error("no options for this key")
  const options = (): never => {
    throw bug
  }
  const policies: Record<string, Effect.Effect<ReadonlyArray<() => Effect.Effect<unknown, unknown>>>> = {
    "a circuit breaker": Effect.map(CircuitBreaker.keyed({ options }), (keyed) => [
      () => keyed.protect("a")(Effect.void),
      () => keyed.protectWhen("a")<void, never>({ defect: false })(Effect.void)
    ]),
    "a bulkhead": Effect.map(Bulkhead.keyed({ options }), (keyed) => [
      () => keyed.protect("a")(Effect.void),
      () => keyed.protectWhen("a")<void, never>({ defect: false })(Effect.void),
      () => keyed.withPermits("a", 2)(Effect.void)
    ]),
    "a rate limiter": Effect.map(RateLimiter.keyed({ options }), (keyed) => [
      () => keyed.protect("a")(Effect.void),
      () => keyed.protectWhen("a")<void, never>({ defect: false })(Effect.void),
      () => keyed.withCost("a", 2)(Effect.void)
    ])
  }
  for (const [name, make] of Object.entries(policies)) {
    it.effect(`end the call with the defect, and throw nowhere else: ${name}`, () =>
      Effect.gen(function* () {
        for (const call of yield* make) assert.deepStrictEqual(yield* Effect.exit(call()), Exit.die(bug))
      })
    )
  }

  it.effect("end the call too when they are not options", () =>
    Effect.gen(function* () {
      const keyed = yield* CircuitBreaker.keyed({ options: (() => undefined) as never })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(keyed.protect("a")(Effect.void))))
    })
  )
})
