// What the metrics of a program show, whatever exports them.
import { assert, describe, it, vi } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import {
  Backoff,
  Bulkhead,
  Cache,
  CircuitBreaker,
  Fallback,
  Hedge,
  Observer,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { Observability, Prometheus } from "effect-resilience/observability"
import { Keyed } from "../../src/policy/keyed.js"
import { down, forked, refusalOf, up } from "../support/calls.js"
import { manualClock } from "../support/manualClock.js"
import { measured, scrape } from "./scrape.js"

/** Runs to the end, for at most a minute of virtual time. */
const inTime = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* forked(Effect.exit(self))
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

// ------------------------------------------------------------------------------------------------------------ the table

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Places extends Bulkhead.Tag("Places")<Places>() {}
class Pace extends RateLimiter.Tag("Pace")<Pace>() {}
class Spending extends RetryBudget.Tag("Spending")<Spending>() {}

const layers = Layer.mergeAll(
  Partner.layer({ trip: Trip.consecutive(1), openFor: "10 seconds" }),
  Places.layer({ permits: 1, maxQueued: 1 }),
  Pace.layer({ rate: RateLimiter.tokenBucket({ limit: 1, per: "1 hour" }) }),
  Spending.layer({ rule: RetryBudget.successes({ capacity: 1 }) })
)

/** A program in which everything happens that is counted. */
const everything = Effect.gen(function* () {
  yield* Partner.protect(up)
  yield* Effect.exit(Partner.protect(down))
  yield* Effect.exit(Partner.protect(up))
  yield* TestClock.adjust("10 seconds")
  yield* Partner.protect(up)
  const first = yield* forked(Places.protect(Effect.never))
  const second = yield* forked(Places.protect(up))
  yield* Effect.exit(Places.protect(up))
  yield* Fiber.interrupt(first)
  yield* Fiber.join(second)
  yield* Pace.protect(up)
  yield* Effect.exit(Pace.protect(up))
  yield* inTime(Retry.retry(down, { times: 2, budget: Spending }))
  yield* inTime(Hedge.hedge(Effect.sleep("3 seconds"), { delay: "1 second" }))
  yield* inTime(Timeout.timeout(Effect.never, "1 second"))
  yield* Fallback.succeed(down, "cold")
  const cache = yield* Cache.make({ lookup: (_key: string) => up, capacity: 1, timeToLive: "1 minute" })
  yield* cache.get("a")
  yield* cache.get("a")
  yield* cache.refresh("a")
  yield* cache.get("b")
}).pipe(Effect.scoped, Effect.provide(layers))

/** Labels that an option or an exporter adds. */
const added = ["unit"]

describe("in a program that uses every policy", () => {
  it.effect.each(["resilience", "resilience4j", "polly"] as const)(
    "the metrics with the names of %s are those of the table, with its types, labels and kinds",
    (names) =>
      Effect.gen(function* () {
        const { observed, prefix } = measured({ names })
        yield* observed(everything)
        const table = Observability.metrics[names]
        const root = { resilience: "resilience.", resilience4j: "resilience4j.", polly: "resilience.polly." }
        const found = scrape(prefix)
        assert.deepStrictEqual(
          [...new Set(found.map(({ name }) => name))].sort(),
          table.map(({ name }) => name.slice(root[names].length)).sort()
        )
        for (const { labels, name, shown } of found) {
          const metric = table.find((each) => each.name === `${root[names]}${name}`)
          assert.deepStrictEqual(
            Object.keys(labels).filter((label) => !added.includes(label)),
            metric?.labels,
            name
          )
          assert.strictEqual(labels.unit, metric?.unit, name)
          assert.strictEqual(typeof shown === "object", metric?.type === "histogram", name)
          if (names === "resilience") assert.include<unknown>(metric?.kinds, labels.kind, name)
        }
        for (const { kinds, name } of Observability.metrics.resilience) {
          if (names !== "resilience") continue
          const seen = found.filter((series) => `${root[names]}${series.name}` === name)
          assert.sameMembers([...new Set(seen.map(({ labels }) => labels.kind))], [...kinds], name)
        }
      })
  )
})

// ----------------------------------------------------------------------------------------------------------- what adds up

const twoNamed = (name: string) =>
  Effect.gen(function* () {
    const breakers = yield* Effect.all([CircuitBreaker.make({ name }), CircuitBreaker.make({ name })])
    for (const { protect } of breakers) yield* protect(up)
    return breakers
  })

describe("policies of one kind and name", () => {
  it.effect("are counted together, in one layer and in several side by side", () =>
    Effect.gen(function* () {
      const { layer, shown } = measured()
      const scopes = yield* Effect.all([Scope.make(), Scope.make()])
      const kept = []
      for (const scope of scopes) {
        const context = yield* Layer.buildWithScope(layer(), scope)
        kept.push(yield* Effect.provide(twoNamed("a"), context))
      }
      assert.strictEqual(shown("calls", { outcome: "success" }), 4)
      assert.deepInclude(shown("call.duration", { outcome: "success" }), { count: 4, sum: 0 })
      assert.strictEqual(shown("circuit.state", { state: "closed" }), 4)
      for (const scope of scopes) yield* Scope.close(scope, Exit.void)
      assert.strictEqual(kept.length, 2)
    })
  )

  it.effect("are counted once by layers within each other that have the same names", () =>
    Effect.gen(function* () {
      const { layer, shown } = measured()
      const other = measured()
      const kept = yield* twoNamed("a").pipe(
        Effect.tap(() => {
          assert.strictEqual(shown("calls", { outcome: "success" }), 2)
          assert.strictEqual(shown("circuit.state", { state: "closed" }), 2)
          assert.strictEqual(other.shown("calls", { outcome: "success" }), 2)
        }),
        Effect.provide(Layer.provide(layer(), Layer.provideMerge(other.layer(), layer())))
      )
      assert.strictEqual(kept.length, 2)
    })
  )

  it.effect("are counted by a layer within another whose observer was replaced between them", () =>
    Effect.gen(function* () {
      const { observed, shown } = measured()
      yield* twoNamed("a").pipe(
        observed,
        Effect.provideService(
          Observer.Observer,
          Observer.make(() => {})
        ),
        observed
      )
      assert.strictEqual(shown("calls", { outcome: "success" }), 2)
    })
  )

  it.effect("leave their counts behind with the scope of the layer, and no gauge", () =>
    Effect.gen(function* () {
      const { layer, shown } = measured()
      const made = Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ name: "a", trip: Trip.consecutive(1) })
        const places = yield* Bulkhead.make({ name: "a", permits: 3 })
        yield* forked(breaker.protect(Effect.never))
        yield* Effect.exit(places.protect(breaker.protect(down)))
        assert.strictEqual(shown("in_flight", { kind: "circuit-breaker" }), 1)
        assert.strictEqual(shown("limit"), 3)
        assert.strictEqual(shown("circuit.state", { state: "open" }), 1)
        return [breaker, places] as const
      })
      const [breaker] = yield* Effect.provide(made, layer())
      const afterwards = () => ({
        calls: shown("calls", { kind: "circuit-breaker", outcome: "failure" }),
        durations: shown("call.duration", { kind: "circuit-breaker", outcome: "failure" }),
        inFlight: shown("in_flight", { kind: "circuit-breaker" }),
        limit: shown("limit"),
        open: shown("circuit.state", { state: "open" })
      })
      const left = afterwards()
      assert.deepInclude(left.durations, { count: 1 })
      assert.deepInclude(left, { calls: 1, inFlight: 0, limit: 0, open: 0 })
      yield* breaker.reset
      yield* Effect.exit(breaker.protect(down))
      assert.deepStrictEqual(afterwards(), left)
      yield* Effect.provide(made, layer())
      assert.deepInclude(afterwards(), { calls: 2, limit: 0 })
    })
  )

  it.effect("have no gauge once the scope of their layer has ended", () =>
    Effect.gen(function* () {
      const { observed, shown } = measured()
      yield* observed(
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          yield* Layer.buildWithScope(Places.layer({ permits: 7 }), scope)
          assert.strictEqual(shown("limit"), 7)
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual(shown("limit"), 0)
        })
      )
    })
  )
})

// --------------------------------------------------------------------------------------------------------------- gauges

describe("a gauge", () => {
  it.effect("shows what is true when it is asked for, within one step too", () =>
    Effect.gen(function* () {
      const { observed, shown } = measured()
      const state = () =>
        ["closed", "open", "half-open", "isolated"].filter((state) => shown("circuit.state", { state }) === 1)
      yield* observed(
        Effect.gen(function* () {
          const breaker = yield* CircuitBreaker.make({ openFor: "10 seconds" })
          assert.deepStrictEqual(state(), ["closed"])
          yield* breaker.open
          assert.deepStrictEqual(state(), ["open"])
          yield* TestClock.adjust("10 seconds")
          assert.deepStrictEqual(state(), ["half-open"])
          yield* breaker.isolate
          shown("circuit.state", { state: "closed" })
          assert.deepStrictEqual(state(), ["isolated"])
          yield* breaker.release
          assert.deepStrictEqual(state(), ["closed"])
          assert.strictEqual(shown("circuit.state", { state: "isolated" }), 0)
        })
      )
    })
  )

  it("shows a circuit that goes on by time alone, also where nothing ever pauses", () => {
    const { observed, shown } = measured()
    const { advance, clock } = manualClock()
    const program = Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ openFor: "10 seconds" })
      yield* breaker.open
      assert.strictEqual(shown("circuit.state", { state: "open" }), 1)
      yield* advance(10_000)
      assert.strictEqual(shown("circuit.state", { state: "half-open" }), 1)
    })
    Effect.runSync(Effect.withClock(observed(program), clock))
  })

  it.effect("shows balances that change without an event", () =>
    Effect.gen(function* () {
      const { observed, shown } = measured()
      yield* observed(
        Effect.gen(function* () {
          const rule = RetryBudget.successes({ capacity: 10, ratio: 0.5 })
          const budget = yield* RetryBudget.make({ rule })
          yield* Retry.retry(Effect.exit(down), { times: 1, budget })
          const calls = Retry.retry(down, { times: 3, budget, schedule: Backoff.constant({ delay: 0 }) })
          yield* Effect.exit(calls)
          assert.strictEqual(shown("budget.balance"), 7)
          yield* budget.recordSuccess
          assert.strictEqual(shown("budget.balance"), 7.5)
          assert.strictEqual(shown("budget.capacity"), 10)
        })
      )
    })
  )

  it.effect("shows permits, queues and rates", () =>
    Effect.gen(function* () {
      const { observed, shown } = measured()
      yield* observed(
        Effect.gen(function* () {
          const places = yield* Bulkhead.make({ permits: 2, maxQueued: 5 })
          const pace = yield* RateLimiter.make({
            rate: RateLimiter.tokenBucket({ limit: 30, per: "1 minute", burst: 1 }),
            maxWait: "1 hour"
          })
          yield* Effect.forEach([1, 2, 3], () => forked(places.protect(pace.protect(Effect.never))))
          const inQueue = (kind: string) => [shown("queued", { kind }), shown("limit", { kind })]
          assert.deepStrictEqual(inQueue("bulkhead"), [1, 2])
          assert.deepStrictEqual(inQueue("rate-limiter"), [1, 0.5])
          assert.strictEqual(shown("in_flight"), 2)
        })
      )
    })
  )

  it.scoped("reads each policy once in a scrape", () =>
    Effect.gen(function* () {
      let readings = 0
      const { layer, prefix } = measured()
      const clock = yield* Effect.clock
      const counting: Clock.Clock = {
        ...clock,
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => {
          readings += 1
          return clock.unsafeCurrentTimeNanos()
        }
      }
      const context = yield* Effect.withClock(Layer.build(layer()), counting)
      const breakers = yield* Effect.forEach(Array.from({ length: 20 }), (_, index) =>
        Effect.provide(CircuitBreaker.make({ name: `breaker ${index}` }), context)
      )
      const readingsOf = () => {
        readings = 0
        scrape(prefix)
        return readings
      }
      assert.strictEqual(readingsOf(), 20)
      // A closed circuit stays closed until an event says otherwise, an open one does not.
      assert.strictEqual(readingsOf(), 0)
      yield* Effect.forEach(breakers.slice(0, 5), ({ open }) => open)
      assert.strictEqual(readingsOf(), 5)
      assert.strictEqual(readingsOf(), 5)
    })
  )
})

// ------------------------------------------------------------------------------------------------------- how many series

describe("the number of series is bounded", () => {
  const keyed = (count: number) =>
    Effect.gen(function* () {
      const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts" }, capacity: 50 })
      for (let key = 0; key < count; key++) yield* hosts.protect(`key ${key}`)(up)
      return hosts
    })

  it.effect("by the keyed policies, however many keys there are", () =>
    Effect.gen(function* () {
      const { observed, prefix, shown } = measured()
      yield* observed(
        Effect.gen(function* () {
          const hosts = yield* keyed(1)
          const before = scrape(prefix).length
          for (let key = 0; key < 5000; key++) yield* hosts.protect(`key ${key}`)(up)
          assert.strictEqual(scrape(prefix).length, before)
          assert.strictEqual(shown("calls", { policy: "hosts", outcome: "success" }), 5001)
          assert.strictEqual(shown("circuit.state", { state: "closed" }), 50)
        })
      )
    })
  )

  it.effect("by a key label for so many keys, and one for the others", () =>
    Effect.gen(function* () {
      const { observed, prefix, shown } = measured({ keyLabel: 2 })
      yield* observed(
        Effect.gen(function* () {
          const hosts = yield* keyed(10)
          yield* hosts.protect("key 0")(up)
          const keys = new Set(scrape(prefix).map(({ labels }) => labels.key))
          assert.deepStrictEqual([...keys], ["key 0", "key 1", "other"])
          const calls = (key: string) => shown("calls", { key, outcome: "success" })
          assert.deepStrictEqual(["key 0", "key 1", "other"].map(calls), [2, 1, 8])
          assert.strictEqual(shown("circuit.state", { key: "other", state: "closed" }), 8)
        })
      )
    })
  )

  it.effect("and goes through all keys for those that share a label alone", () =>
    Effect.gen(function* () {
      const { observed, prefix, shown } = measured({ keyLabel: 1000 })
      yield* observed(
        Effect.gen(function* () {
          const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts" }, capacity: 2000 })
          for (let key = 0; key < 2000; key++) yield* hosts.protect(`key ${key}`)(up)
          const members = vi.spyOn(Keyed.prototype, "members")
          try {
            scrape(prefix)
            const looked = members.mock.results.reduce((sum, { value }) => sum + Array.from(value).length, 0)
            assert.isAtLeast(looked, 2000)
            assert.isBelow(looked, 10_000)
          } finally {
            members.mockRestore()
          }
          assert.strictEqual(shown("circuit.state", { key: "key 7", state: "closed" }), 1)
          assert.strictEqual(shown("circuit.state", { key: "other", state: "closed" }), 1000)
        })
      )
    })
  )

  it.effect("by a thousand names of each kind of policy without an instance", () =>
    Effect.gen(function* () {
      const { observed, prefix, shown, total } = measured()
      yield* observed(
        Effect.gen(function* () {
          for (let name = 0; name < 1200; name++)
            yield* Fallback.succeed(down, "cold", { name: `user ${name}` })
          yield* Retry.retry(up, { times: 1, name: "a" })
          const named = scrape(prefix).filter(({ labels }) => labels.kind === "fallback")
          assert.strictEqual(new Set(named.map(({ labels }) => labels.policy)).size, 1001)
          assert.strictEqual(shown("calls", { policy: "other", outcome: "fallback" }), 200)
          assert.strictEqual(total("calls", { kind: "fallback" }), 1200)
          assert.strictEqual(shown("calls", { policy: "a", outcome: "success" }), 1)
        })
      )
    })
  )
})

it.effect("names of any kind are labels as they are", () =>
  Effect.gen(function* () {
    const { observed, prefix } = measured()
    const names = ['"quoted"', "two\nlines", "<b>", "\\", "{a=1}", "é😀", " ", "x".repeat(500), "unit", "\0"]
    yield* observed(
      Effect.gen(function* () {
        for (const name of names) yield* Retry.retry(up, { times: 1, name })
        const policies = scrape(prefix).map(({ labels }) => labels.policy)
        assert.sameMembers([...new Set(policies)], names)
      })
    )
  })
)

// --------------------------------------------------------------------------------------------------- figures to compute

describe("from the metrics can be computed", () => {
  it.effect("the amplification of retries and hedges, and the attempts that were wasted", () =>
    Effect.gen(function* () {
      const { observed, total } = measured()
      const amplification = (kind: string) =>
        total("attempts", { kind }) / total("attempts", { kind, attempt_type: "original" })
      yield* observed(
        Effect.gen(function* () {
          yield* inTime(Retry.retry(down, { times: 3 }))
          yield* Retry.retry(up, { times: 3 })
          assert.strictEqual(amplification("retry"), 2.5)
          yield* inTime(Hedge.hedge(Effect.delay(up, "3 seconds"), { delay: "1 second", maxHedges: 2 }))
          yield* Hedge.hedge(up, { delay: "1 second" })
          assert.strictEqual(amplification("hedge"), 2)
          assert.strictEqual(total("attempts.wasted", { kind: "hedge" }), 2)
          assert.strictEqual(total("attempts.wasted", { kind: "retry" }), 0)
        })
      )
    })
  )

  it.effect("the headroom of a budget, and the share of retries that it refused", () =>
    Effect.gen(function* () {
      const { observed, shown } = measured()
      yield* observed(
        Effect.gen(function* () {
          const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ capacity: 4 }) })
          for (let call = 0; call < 3; call++) yield* inTime(Retry.retry(down, { times: 2, budget }))
          assert.strictEqual(shown("budget.balance"), 0)
          assert.strictEqual(shown("budget.capacity"), 4)
          const asked = (outcome: string) => shown("budget.withdrawals", { outcome, activity: "retry" })
          assert.deepStrictEqual(["paid", "refused"].map(asked), [4, 1])
        })
      )
    })
  )

  it.effect("rejections by their reason, and the time that circuits take to recover", () =>
    Effect.gen(function* () {
      const { observed, shown } = measured()
      yield* observed(
        Effect.gen(function* () {
          const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1), openFor: "10 seconds" })
          yield* Effect.exit(breaker.protect(down))
          yield* Effect.exit(breaker.protect(up))
          yield* TestClock.adjust("25 seconds")
          yield* breaker.protect(up)
          yield* breaker.isolate
          yield* Effect.exit(breaker.protect(up))
          const rejections = (reason: string) => shown("rejections", { kind: "circuit-breaker", reason })
          assert.deepStrictEqual(["open", "isolated"].map(rejections), [1, 1])
          assert.deepInclude(shown("circuit.recovery.duration"), { count: 1, sum: 25 })
          const opened = { from: "closed", to: "open", reason: "tripped" }
          assert.strictEqual(shown("circuit.transitions", opened), 1)
        })
      )
    })
  )

  // The rate of a series that begins with 1 does not show that one.
  it.scoped("with a zero before the first event, so that a rate shows it", () =>
    Effect.gen(function* () {
      const { observed, shown } = measured()
      yield* observed(
        Effect.gen(function* () {
          const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
          const changes = (from: string, to: string) => shown("circuit.transitions", { from, to })
          assert.strictEqual(changes("closed", "open"), 0)
          assert.isUndefined(changes("half-open", "closed"))
          yield* Effect.exit(breaker.protect(down))
          assert.strictEqual(changes("closed", "open"), 1)
          assert.strictEqual(changes("open", "half-open"), 0)
          assert.strictEqual(changes("half-open", "closed"), 0)
          assert.strictEqual(changes("half-open", "open"), 0)
          assert.deepInclude(shown("circuit.recovery.duration"), { count: 0 })
          assert.strictEqual(shown("rejections", { kind: "circuit-breaker", reason: "open" }), 0)

          yield* Bulkhead.make({ permits: 1 })
          assert.strictEqual(shown("rejections", { kind: "bulkhead", reason: "full" }), 0)
          yield* RateLimiter.make({ rate: RateLimiter.smooth({ limit: 1, per: "1 minute" }) })
          assert.strictEqual(shown("rejections", { kind: "rate-limiter", reason: "rate" }), 0)
          const budget = yield* RetryBudget.make()
          yield* inTime(Retry.retry({ times: 1, budget })(down))
          const refused = { activity: "retry", outcome: "refused" }
          assert.strictEqual(shown("budget.withdrawals", refused), 0)
          assert.isUndefined(shown("budget.withdrawals", { activity: "hedge", outcome: "refused" }))
          const cache = yield* Cache.make({ timeToLive: "1 second", lookup: () => Effect.void })
          assert.strictEqual(shown("cache.evictions"), 0)
          yield* cache.refresh("a")
          assert.strictEqual(shown("cache.refreshes", { outcome: "failure" }), 0)
        })
      )
    })
  )
})

// ------------------------------------------------------------------------------------------------------- names of others

it.effect("the names of resilience4j show rates in per cent, and outcomes in its words", () =>
  Effect.gen(function* () {
    const { observed, shown } = measured({ names: "resilience4j" })
    yield* observed(
      Effect.gen(function* () {
        const trip = Trip.any(
          Trip.failureRate({ threshold: 0.9, of: 4 }),
          Trip.slowRate({ slowerThan: "1 second", threshold: 0.9, of: 4 })
        )
        const breaker = yield* CircuitBreaker.make({ name: "a", trip })
        const rates = () =>
          ["failure", "slow.call"].map((each) => shown(`circuitbreaker.${each}.rate`, { name: "a" }))
        assert.deepStrictEqual(rates(), [-1, -1])
        yield* breaker.protect(up)
        yield* inTime(breaker.protect(Effect.delay(up, "2 seconds")))
        yield* Effect.exit(breaker.protect(down))
        yield* Effect.exit(breaker.protectWhen({ ignore: { error: () => true } })(down))
        assert.deepStrictEqual(rates(), [(1 / 3) * 100, (1 / 3) * 100])
        const kinds = (metric: string) =>
          ["successful", "failed", "ignored"].map((kind) => {
            const seen = shown(`circuitbreaker.${metric}`, { name: "a", kind })
            return typeof seen === "object" ? seen.count : seen
          })
        assert.deepStrictEqual(kinds("buffered.calls"), [2, 1, undefined])
        assert.deepStrictEqual(kinds("calls"), [2, 1, 1])
        yield* breaker.isolate
        yield* Effect.exit(breaker.protect(up))
        assert.strictEqual(shown("circuitbreaker.state", { state: "closed" }), 0)
        assert.strictEqual(shown("circuitbreaker.state", { state: "forced_open" }), 1)
        assert.strictEqual(shown("circuitbreaker.not.permitted.calls", { kind: "not_permitted" }), 1)
        const flaky = Effect.suspend(() => (attempts++ === 0 ? down : up))
        let attempts = 0
        yield* inTime(Retry.retry(flaky, { times: 1 }))
        yield* Retry.retry(up, { times: 1 })
        yield* inTime(Retry.retry(down, { times: 1 }))
        yield* Effect.exit(Retry.retry(down, { times: 1, abortWhen: () => true }))
        const calls = ["successful", "failed"].flatMap((outcome) =>
          ["without", "with"].map((how) => shown("retry.calls", { kind: `${outcome}_${how}_retry` }))
        )
        assert.deepStrictEqual(calls, [1, 1, 1, 1])
      })
    )
  })
)

it.effect("the names of Polly show events with their severities, and durations in milliseconds", () =>
  Effect.gen(function* () {
    const { observed, prefix, shown } = measured({ names: "polly", keyLabel: 1 })
    yield* observed(
      Effect.gen(function* () {
        const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts", trip: Trip.consecutive(1) } })
        yield* Effect.exit(hosts.protect("a")(down))
        yield* inTime(Retry.retry(Effect.delay(down, "20 millis"), { times: 1, name: "again" }))
        const events = (name: string) => shown("strategy.events", { "event.name": name })
        assert.deepStrictEqual(["OnCircuitOpened", "OnRetry"].map(events), [1, 1])
        assert.strictEqual(
          shown("strategy.events", { "pipeline.instance": "a", "event.severity": "Error" }),
          1
        )
        const attempts = shown("strategy.attempt.duration", { "pipeline.name": "again" })
        assert.deepInclude(attempts, { count: 2, sum: 40 })
        const upTo = typeof attempts === "object" ? attempts.buckets.filter(([, count]) => count > 0) : []
        assert.deepStrictEqual(upTo[0], [25, 2])
        // As exporters of OpenTelemetry write what Polly measures.
        const text = yield* Prometheus.text
        const name = `${prefix}_strategy_attempt_duration_milliseconds`
        assert.match(text, new RegExp(`^${name}_sum\\{.*pipeline_name="again".*\\} 40$`, "m"))
        assert.match(text, new RegExp(`^${name}_bucket\\{.*pipeline_name="again".*le="25"\\} 2$`, "m"))
      })
    )
  })
)

it.effect.each([
  [{ names: "opentelemetry" }, "metrics.names", '"resilience", "resilience4j" or "polly"'],
  [{ keyLabel: -1 }, "metrics.keyLabel", "a whole number from 0 to 1000"],
  [{ keyLabel: 1001 }, "metrics.keyLabel", "a whole number from 0 to 1000"],
  [{ keyLabel: 1.5 }, "metrics.keyLabel", "a whole number from 0 to 1000"],
  [{ prefix: "1st" }, "metrics.prefix", undefined],
  [{ prefix: "" }, "metrics.prefix", undefined],
  [{ prefix: "a b" }, "metrics.prefix", undefined],
  [{ label: 1 }, "metrics.label", undefined],
  [true, "metrics", "an object"]
] as const)("metrics refuse %j where they are switched on", ([metrics, option, expected]) =>
  Effect.gen(function* () {
    const options = { metrics } as unknown as Observability.Options
    const refusal = yield* refusalOf(Layer.build(Observability.layer(options)).pipe(Effect.scoped))
    assert.strictEqual(refusal.policy, "Observability.layer")
    assert.strictEqual(refusal.option, option)
    if (expected !== undefined) assert.strictEqual(refusal.expected, expected)
  })
)
