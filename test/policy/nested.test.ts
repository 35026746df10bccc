// The same instance twice around a call: no instance counts, queues or rejects its own work.
import { HttpClient, HttpClientError, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Deferred, Effect, Exit, Fiber, Scope, TestClock } from "effect"
import {
  Bulkhead,
  Cache,
  CircuitBreaker,
  Hedge,
  Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"

type Call = Effect.Effect<string, unknown>
type Twice = (self: Call) => Call

class Sealed extends Data.TaggedError("Sealed")<{ readonly cause: unknown }> {}

const seal = Effect.mapError((cause: unknown) => new Sealed({ cause }))

const sendingBy = (self: Call): HttpClient.HttpClient =>
  HttpClient.make((request) =>
    Effect.matchEffect(self, {
      onFailure: (cause) =>
        Effect.fail(new HttpClientError.RequestError({ request, reason: "Transport", cause })),
      onSuccess: (text) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response(text)))
    })
  )

const send = <E>(client: HttpClient.HttpClient.With<E>): Call =>
  Effect.flatMap(client.get("http://partner.example/"), (response) => response.text)

/** The ways to have the same instance twice around a call, with other policies in between. */
const ways = ({ protect }: { readonly protect: Policy.Policy<unknown> }): Record<string, Twice> => {
  const between = (middle: Twice): Twice => {
    return (self) => protect(middle(protect(self)))
  }
  return {
    "in a pipe": between((inner) => inner),
    "in a pipeline": (self) => Policy.pipeline(protect, protect)(self),
    "in a pipeline and around it": (self) => protect(Policy.pipeline(protect, protect)(self)),
    "three times": between((inner) => protect(inner)),
    "around a page of two calls": (self) => protect(Effect.zipRight(protect(self), protect(self))),
    "around a page of two calls at the same time": (self) =>
      protect(
        Effect.map(Effect.all([protect(self), protect(self)], { concurrency: "unbounded" }), ([one]) => one)
      ),
    "with a timeout between": between(Timeout.timeout("1 second")),
    "with a timeout that disconnects between": between(
      Timeout.timeout({ limit: "1 second", disconnect: true })
    ),
    "with a hedge between": between(Hedge.hedge({ delay: "1 minute" })),
    "sealed in another error": (self) => seal(protect(seal(protect(self)))),
    "sealed twice between": between((inner) => seal(seal(inner))),
    "sealed in a retry": between(Retry.retry({ times: 0, exceeded: "wrap" })),
    "sealed as a defect": between(Effect.orDie)
  }
}

const trip = Trip.consecutive(3)
const openFor = "10 seconds"

const breakers: Record<
  string,
  Effect.Effect<{
    readonly state: Effect.Effect<CircuitBreaker.State>
    readonly snapshot: Effect.Effect<CircuitBreaker.Snapshot>
    readonly twice: Record<string, Twice>
  }>
> = {
  "a circuit breaker": Effect.map(CircuitBreaker.make({ trip, openFor }), (breaker) => ({
    state: breaker.state,
    snapshot: breaker.snapshot,
    twice: ways(breaker)
  })),
  "a circuit breaker with a condition": Effect.map(CircuitBreaker.make({ trip, openFor }), (breaker) => ({
    state: breaker.state,
    snapshot: breaker.snapshot,
    twice: ways({
      protect: breaker.protectWhen<never, unknown>({ error: () => true }) as unknown as Policy.Policy<unknown>
    })
  })),
  "a circuit breaker by key": Effect.gen(function* () {
    const keyed = yield* CircuitBreaker.keyed({ options: { trip, openFor } })
    const found = Effect.flatten(keyed.find("partner")).pipe(Effect.orDie)
    return {
      state: Effect.flatMap(found, ({ state }) => state),
      snapshot: Effect.flatMap(found, ({ snapshot }) => snapshot),
      twice: ways({ protect: keyed.protect("partner") })
    }
  }),
  "a circuit breaker over HTTP": Effect.map(CircuitBreaker.make({ trip, openFor }), (breaker) => {
    const part = HttpResilience.circuitBreaker(breaker)
    const { protect } = breaker
    return {
      state: breaker.state,
      snapshot: breaker.snapshot,
      twice: {
        "as two parts": (self) => send(sendingBy(self).pipe(part, part)),
        "as a part of a sealed client inside": (self) =>
          protect(send(HttpResilience.sealed(sendingBy(self).pipe(part)))),
        "as a part outside": (self) => send(sendingBy(protect(self)).pipe(part)),
        "as a part outside of a sealed client": (self) =>
          send(HttpResilience.sealed(sendingBy(protect(self)).pipe(part)).pipe(part))
      } satisfies Record<string, Twice>
    }
  })
}

describe("the same circuit breaker twice around a call", () => {
  for (const [kind, make] of Object.entries(breakers)) {
    const names = Object.keys(Effect.runSync(make).twice)
    for (const name of names) {
      it.effect(`closes when the other side recovers: ${kind}, ${name}`, () =>
        Effect.gen(function* () {
          const { snapshot, state, twice } = yield* make
          let up = false
          const call = twice[name](Effect.suspend(() => (up ? Effect.succeed("up") : Effect.fail("down"))))
          for (let failed = 0; failed < 3; failed++) {
            yield* Effect.exit(call)
            if (failed === 0 && !name.includes("at the same time"))
              assert.strictEqual((yield* snapshot).failures, 1)
            if ((yield* state) === "open") break
          }
          assert.strictEqual(yield* state, "open")
          const { openedFor, reopenings } = yield* snapshot
          for (let rejected = 0; rejected < 10; rejected++) yield* Effect.exit(call)
          assert.deepInclude(yield* snapshot, { openedFor, reopenings, state: "open" })
          yield* TestClock.adjust("10 seconds")
          up = true
          assert.deepStrictEqual(yield* Effect.exit(call), Exit.succeed("up"))
          assert.strictEqual(yield* state, "closed")
          assert.deepStrictEqual(yield* Effect.exit(call), Exit.succeed("up"))
          if (!name.includes("at the same time")) assert.strictEqual((yield* snapshot).successes, 1)
        })
      )
    }
  }
})

describe("a circuit breaker inside of itself", () => {
  const make = CircuitBreaker.make({ trip, openFor })

  it.effect("admits the calls of a probe with the probe, also from fibers that it forks", () =>
    Effect.gen(function* () {
      const { halfOpen, protect, snapshot, state } = yield* make
      yield* halfOpen
      const inner = protect(Effect.yieldNow())
      yield* protect(Effect.all([inner, inner, Effect.fork(inner)], { concurrency: "unbounded" }))
      assert.strictEqual(yield* state, "closed")
      assert.strictEqual((yield* snapshot).rejected, 0)
    })
  )

  it.effect("rejects the call of another fiber while a probe runs", () =>
    Effect.gen(function* () {
      const { halfOpen, protect } = yield* make
      yield* halfOpen
      const gate = yield* Deferred.make<void>()
      const probe = yield* Effect.fork(protect(Deferred.await(gate)))
      yield* Effect.yieldNow()
      assert.strictEqual((yield* Effect.flip(protect(Effect.void))).state, "half-open")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(probe)
    })
  )

  it.effect("counts a call on its own when one around it has ended", () =>
    Effect.gen(function* () {
      const { protect, snapshot } = yield* make
      yield* protect(Effect.void)
      yield* protect(Effect.void)
      const left = yield* protect(
        Effect.forkDaemon(Effect.zipRight(Effect.sleep("1 second"), protect(Effect.void)))
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(left)
      assert.strictEqual((yield* snapshot).successes, 4)
    })
  )

  it.effect("counts a call on its own after a timeout has interrupted one before it", () =>
    Effect.gen(function* () {
      const { protect, snapshot } = yield* make
      const hung = protect(Effect.never).pipe(Timeout.timeout("1 second"), Effect.exit)
      const both = yield* Effect.fork(Effect.zipRight(hung, protect(Effect.void)))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(both)
      assert.strictEqual((yield* snapshot).successes, 1)
    })
  )

  it.effect("counts what a finalizer calls after an interruption of the call around it", () =>
    Effect.gen(function* () {
      const { protect, snapshot } = yield* make
      const call = Effect.ensuring(protect(Effect.never), Effect.exit(protect(Effect.void)))
      const fiber = yield* Effect.fork(call)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* snapshot).successes, 1)
    })
  )

  it.effect("counts a call on its own when the state has changed since the one around it began", () =>
    Effect.gen(function* () {
      const { close, open, protect, snapshot } = yield* make
      const inner = protect(Effect.fail("down" as const))
      yield* Effect.exit(protect(Effect.zipRight(Effect.zipRight(open, close), inner)))
      assert.strictEqual((yield* snapshot).failures, 1)
    })
  )

  it.effect("gives a permit by hand that counts for nothing", () =>
    Effect.gen(function* () {
      const { acquire, halfOpen, protect, record, snapshot, state } = yield* make
      yield* halfOpen
      const byHand = Effect.flatMap(acquire, (permit) =>
        record(permit, { _tag: "Failure", retryAfter: undefined })
      )
      yield* protect(Effect.scoped(byHand))
      assert.strictEqual(yield* state, "closed")
      yield* protect(Effect.scoped(byHand))
      assert.deepInclude(yield* snapshot, { successes: 1, failures: 0 })
    })
  )

  it.effect("counts a real failure that came together with a rejection of its own", () =>
    Effect.gen(function* () {
      const { open, protect } = yield* make
      yield* open
      const rejection = yield* Effect.flip(protect(Effect.void))
      const { protect: other, snapshot } = yield* CircuitBreaker.make({ trip })
      yield* Effect.exit(other(Effect.fail(rejection)))
      assert.strictEqual((yield* snapshot).failures, 1, "the rejection of another breaker is a failure")
      const mine = yield* make
      yield* mine.open
      const own = yield* Effect.flip(mine.protect(Effect.void))
      yield* mine.close
      yield* Effect.exit(mine.protect(Effect.fail(own)))
      assert.strictEqual((yield* mine.snapshot).failures, 0)
      yield* Effect.exit(
        mine.protect(
          Effect.failCause(
            Cause.parallel(Cause.fail(own), Cause.fail(new Sealed({ cause: new Sealed({ cause: "down" }) })))
          )
        )
      )
      assert.strictEqual((yield* mine.snapshot).failures, 1)
    })
  )

  it.effect("survives an error that is its own cause", () =>
    Effect.gen(function* () {
      const { protect, snapshot } = yield* make
      const error = new Error("loop")
      error.cause = error
      yield* Effect.exit(protect(Effect.fail(error)))
      assert.strictEqual((yield* snapshot).failures, 1)
    })
  )
})

describe("the same bulkhead twice around a call", () => {
  const bulkheads = {
    "a bulkhead": Effect.map(Bulkhead.make({ permits: 1, maxQueued: 10 }), (bulkhead) => ({
      twice: ways(bulkhead),
      snapshot: bulkhead.snapshot
    })),
    "a bulkhead with weights": Effect.map(Bulkhead.make({ permits: 2, maxQueued: 10 }), (bulkhead) => ({
      twice: ways({ protect: bulkhead.withPermits(2) }),
      snapshot: bulkhead.snapshot
    })),
    "a bulkhead by key": Effect.map(Bulkhead.keyed({ options: { permits: 1, maxQueued: 10 } }), (keyed) => ({
      twice: ways({ protect: keyed.protect("partner") }),
      snapshot: Effect.flatMap(
        Effect.orDie(Effect.flatten(keyed.find("partner"))),
        ({ snapshot }) => snapshot
      )
    }))
  }
  for (const [kind, make] of Object.entries(bulkheads)) {
    const names = Object.keys(Effect.runSync(make).twice)
    // Concurrent calls count each.
    for (const name of names.filter((name) => !name.includes("at the same time"))) {
      it.effect(`takes one permit and counts one outcome: ${kind}, ${name}`, () =>
        Effect.gen(function* () {
          const { snapshot, twice } = yield* make as Effect.Effect<{
            twice: Record<string, Twice>
            snapshot: Effect.Effect<Bulkhead.Snapshot>
          }>
          let seen: Bulkhead.Snapshot | undefined
          const looking = Effect.tap(snapshot, (now) => void (seen = now))
          assert.strictEqual(yield* twice[name](Effect.as(looking, "done")), "done")
          assert.deepInclude(seen, { running: 1, queued: 0 })
          yield* Effect.exit(twice[name](Effect.fail("down")))
          assert.deepInclude(yield* snapshot, {
            inUse: 0,
            running: 0,
            successes: 1,
            failures: 1,
            rejected: 0
          })
        })
      )
    }
  }

  it.effect("takes a permit for each of several fibers", () =>
    Effect.gen(function* () {
      const { protect, snapshot } = yield* Bulkhead.make({ permits: 3 })
      const inner = protect(Effect.zipRight(Effect.yieldNow(), snapshot))
      const [seen] = yield* protect(Effect.all([inner, inner], { concurrency: "unbounded" }))
      assert.strictEqual(seen.running, 3)
    })
  )

  it.effect("does not count the rejection of an inner fiber as a failure", () =>
    Effect.gen(function* () {
      const { protect, snapshot } = yield* Bulkhead.make({ permits: 1 })
      const inner = Effect.all([protect(Effect.void), protect(Effect.void)], { concurrency: "unbounded" })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(protect(inner))))
      assert.deepInclude(yield* snapshot, { failures: 0 })
    })
  )

  const outliving: Record<
    string,
    (bulkhead: Bulkhead.Bulkhead, call: Effect.Effect<string>) => Effect.Effect<unknown, unknown, Scope.Scope>
  > = {
    "a timeout that does not wait": ({ protect }, call) =>
      protect(Effect.exit(protect(call).pipe(Timeout.timeout({ limit: 10, disconnect: true })))),
    "a hedge that does not wait": ({ protect }, call) => {
      let first = true
      const attempt = Effect.suspend(() => {
        const isFirst = first
        first = false
        return isFirst ? protect(call) : Effect.succeed("faster")
      })
      return protect(Hedge.hedge(attempt, { delay: 10, disconnect: true }))
    },
    "a lookup for which nobody waits any more": ({ protect }, call) =>
      Effect.gen(function* () {
        let first = true
        const cache = yield* Cache.make({
          capacity: 1,
          timeToLive: 5,
          staleIfError: "1 hour",
          softTimeout: 10,
          lookup: () => {
            const isFirst = first
            first = false
            return isFirst ? Effect.succeed("old") : protect(call)
          }
        })
        yield* cache.get("key")
        yield* Effect.sleep(5)
        yield* protect(cache.get("key"))
        return yield* Effect.never
      }),
    "a permit for a longer scope": ({ acquire, protect }) =>
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        yield* protect(Scope.extend(acquire, scope))
        yield* Effect.sleep(100)
      }).pipe(Effect.scoped),
    "the innermost of three": ({ protect }, call) =>
      protect(
        Effect.exit(
          protect(Effect.uninterruptible(Effect.zipRight(Effect.sleep(50), protect(call)))).pipe(
            Timeout.timeout({ limit: 10, disconnect: true })
          )
        )
      )
  }
  for (const [name, outlives] of Object.entries(outliving)) {
    it.scoped(`keeps its permits for as long as a call inside of it runs: ${name}`, () =>
      Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ permits: 1 })
        const call = Effect.uninterruptible(Effect.as(Effect.sleep(100), "slow"))
        const held: Array<number> = []
        const fiber = yield* Effect.fork(outlives(bulkhead, call))
        for (let passed = 0; passed < 200; passed += 20) {
          yield* TestClock.adjust(20)
          held.push((yield* bulkhead.snapshot).inUse)
        }
        assert.deepStrictEqual(held.slice(0, 4), [1, 1, 1, 1])
        assert.strictEqual(held[9], 0)
        yield* Fiber.interrupt(fiber)
      })
    )
  }

  it.effect("takes permits of its own inside of a call that has ended, also within another policy", () =>
    Effect.gen(function* () {
      const { protect, snapshot } = yield* Bulkhead.make({ permits: 1 })
      const other = yield* Bulkhead.make({ permits: 1 })
      const left = Effect.zipRight(Effect.sleep(50), protect(Effect.sleep(100))).pipe(
        Effect.uninterruptible,
        other.protect,
        Timeout.timeout({ limit: 10, disconnect: true })
      )
      yield* Effect.fork(protect(Effect.exit(left)))
      yield* TestClock.adjust(40)
      assert.strictEqual((yield* snapshot).inUse, 0)
      yield* TestClock.adjust(40)
      assert.strictEqual((yield* snapshot).inUse, 1)
      yield* TestClock.adjust(100)
      assert.strictEqual((yield* snapshot).inUse, 0)
    })
  )

  it.effect("takes nothing by hand that it has", () =>
    Effect.gen(function* () {
      const { acquire, protect, snapshot } = yield* Bulkhead.make({ permits: 1, maxQueued: 1 })
      yield* protect(Effect.scoped(Effect.flatMap(acquire, () => snapshot)))
      assert.strictEqual((yield* snapshot).inUse, 0)
    })
  )
})

describe("the same rate limiter twice around a call", () => {
  it.effect("counts each, since each could be another request", () =>
    Effect.gen(function* () {
      const { protect, snapshot } = yield* RateLimiter.make({
        rate: RateLimiter.slidingWindow({ limit: 5, per: "1 second" })
      })
      yield* protect(Effect.zipRight(protect(Effect.void), protect(Effect.void)))
      assert.strictEqual((yield* snapshot).available, 2)
    })
  )
})

describe("the same retry budget in retries inside of each other", () => {
  it.effect("takes a deposit for a call and a payment for each further attempt", () =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make()
      let attempts = 0
      const call = Effect.suspend(() => (++attempts < 6 ? Effect.fail("down") : Effect.succeed("up"))).pipe(
        Retry.retry({ times: 2, budget }),
        Retry.retry({ times: 2, budget })
      )
      const fiber = yield* Effect.fork(call)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepInclude(yield* budget.snapshot, { requests: 1, successes: 1, retries: 5 })
    })
  )
})

describe("a lookup that asks its own cache", () => {
  const key = "page"
  type Ask = (cache: Cache.Cache<string, string>, key: string) => Effect.Effect<string>
  const asks: Record<string, Ask> = {
    "for its own key": (cache) => cache.get(key),
    "for its own key, to refresh it": (cache) => cache.refresh(key),
    "for its own key, served": (cache) => Effect.map(cache.serve(key), ({ value }) => value),
    "from fibers that it forks": (cache) =>
      Effect.map(Effect.all([cache.get(key), cache.get(key)], { concurrency: 2 }), ([page]) => page),
    "for a key whose lookup asks for it": (cache, asked) => cache.get(asked === key ? "part" : key),
    "for a key whose lookup asks for it, in a circle of ten": (cache, asked) =>
      cache.get(asked === "9" ? key : String(asked === key ? 1 : Number(asked) + 1))
  }
  for (const [name, ask] of Object.entries(asks)) {
    it.effect(`dies at once: ${name}`, () =>
      Effect.gen(function* () {
        const cache: Cache.Cache<string, string> = yield* Cache.make({
          timeToLive: "1 minute",
          lookup: (asked: string): Effect.Effect<string> => Effect.suspend(() => ask(cache, asked))
        })
        const exit = yield* Effect.exit(cache.get(key))
        assert.isTrue(Exit.isFailure(exit))
        assert.include(String(exit), "CircularLookup")
        assert.deepInclude(yield* cache.snapshot, { inFlight: 0, waiting: 0 })
      }).pipe(Effect.scoped)
    )
  }

  it.effect("dies when two caches ask each other", () =>
    Effect.gen(function* () {
      const one: Cache.Cache<string, string> = yield* Cache.make({
        timeToLive: "1 minute",
        lookup: (asked: string): Effect.Effect<string> => Effect.suspend(() => two.get(asked))
      })
      const two: Cache.Cache<string, string> = yield* Cache.make({
        timeToLive: "1 minute",
        lookup: (asked: string): Effect.Effect<string> => Effect.zipRight(Effect.yieldNow(), one.get(asked))
      })
      // Started apart, so that neither lookup has begun the other.
      const exits = yield* Effect.all([Effect.exit(one.get(key)), Effect.exit(two.get(key))], {
        concurrency: 2
      })
      assert.isTrue(exits.every(Exit.isFailure))
    }).pipe(Effect.scoped)
  )

  it.effect("may ask for other keys, one of which others wait for too", () =>
    Effect.gen(function* () {
      const cache: Cache.Cache<string, string> = yield* Cache.make({
        timeToLive: "1 minute",
        lookup: (asked: string): Effect.Effect<string> =>
          asked === "part" ? Effect.as(Effect.yieldNow(), "part") : Effect.suspend(() => cache.get("part"))
      })
      const pages = yield* Effect.all([cache.get("a"), cache.get("b"), cache.get("part")], { concurrency: 3 })
      assert.deepStrictEqual(pages, ["part", "part", "part"])
    }).pipe(Effect.scoped)
  )
})

describe("a call after another one of the same fiber", () => {
  const snapshotOf = (breaker: CircuitBreaker.CircuitBreaker) =>
    Effect.map(breaker.snapshot, ({ failures, successes }) => ({ failures, successes }))

  it.effect("is counted when the one before was interrupted", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      const calls = (body: Effect.Effect<void>) => Effect.timeout(breaker.protect(body), "1 second")
      const limited = (body: Effect.Effect<void>) => Timeout.timeout(breaker.protect(body), "1 second")
      const fiber = yield* Effect.fork(
        Effect.forEach([Effect.void, Effect.never, Effect.void, Effect.never, Effect.void], (body) =>
          Effect.zipRight(Effect.exit(calls(body)), Effect.exit(limited(body)))
        )
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* snapshotOf(breaker), { failures: 0, successes: 6 })
    })
  )

  it.effect("leaves that one to what still runs of it", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      const done = yield* Deferred.make<void>()
      const inner = breaker.protect(Effect.fail("down"))
      // Its own call is over when it makes another one, while the fiber that left it makes the next.
      const orphan = Effect.uninterruptible(Effect.zipRight(Deferred.await(done), Effect.exit(inner)))
      const left = orphan.pipe(
        Timeout.timeout({ limit: "1 second", disconnect: true }),
        Effect.catchAll(() => Effect.void),
        breaker.protect
      )
      const next = breaker.protect(
        Effect.zipRight(Deferred.succeed(done, undefined), Effect.sleep("1 second"))
      )
      const fiber = yield* Effect.fork(Effect.zipRight(left, next))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* snapshotOf(breaker), { failures: 1, successes: 2 })
    })
  )

  it.effect("is one of many that run at the same time, and each counts", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      const call = breaker.protect(Effect.yieldNow())
      const twice = breaker.protect(Effect.zipRight(call, call))
      yield* Effect.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? call : twice)),
        {
          concurrency: "unbounded"
        }
      )
      yield* Effect.all(Array.from({ length: 20 }, () => twice))
      assert.deepStrictEqual(yield* snapshotOf(breaker), { failures: 0, successes: 40 })
    })
  )
})
