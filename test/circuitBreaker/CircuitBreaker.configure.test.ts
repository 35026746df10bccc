import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Schedule, TestClock } from "effect"
import { CircuitBreaker, Policy, Trip } from "effect-resilience"
import { down, refusalOf } from "../support/calls.js"

const failing = (breaker: CircuitBreaker.CircuitBreaker, times: number) =>
  Effect.replicateEffect(Effect.exit(breaker.protect(down)), times, { discard: true })

describe("a breaker that is configured while it runs", () => {
  it.effect(
    "keeps what it has seen for a rule of the same kind, and opens with the next failure that meets it",
    () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ trip: Trip.failures({ count: 5, of: 10 }) })
        yield* failing(breaker, 3)
        yield* breaker.configure({ trip: Trip.failures({ count: 2, of: 10 }) })
        assert.strictEqual(yield* breaker.state, "closed")
        assert.deepInclude((yield* breaker.snapshot).rules[0], { calls: 3, hits: 3, threshold: 2 })
        yield* failing(breaker, 1)
        assert.strictEqual(yield* breaker.state, "open")
      })
  )

  it.effect("starts without evidence for a rule of another kind or another window", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.failures({ count: 5, of: 10 }) })
      yield* failing(breaker, 3)
      yield* breaker.configure({ trip: Trip.any(Trip.failures({ count: 5, of: 20 }), Trip.consecutive(5)) })
      assert.deepStrictEqual(
        (yield* breaker.snapshot).rules.map(({ hits }) => hits),
        [0, 0]
      )
    })
  )

  it.effect("stays in its state, and an open circuit open for as long as was decided", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1), openFor: "10 seconds" })
      yield* failing(breaker, 1)
      yield* breaker.configure({ openFor: "1 minute" })
      assert.deepStrictEqual(yield* breaker.remainingDelay, Duration.seconds(10))
      yield* TestClock.adjust("10 seconds")
      yield* failing(breaker, 1)
      assert.deepStrictEqual(yield* breaker.remainingDelay, Duration.minutes(1))
    })
  )

  it.effect("keeps the settings that are not given, also within halfOpen", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({
        trip: Trip.consecutive(3),
        openFor: "15 seconds",
        halfOpen: { permits: 2, maxWait: "5 seconds" }
      })
      yield* breaker.configure({ halfOpen: { successes: 2 }, trip: undefined })
      for (const shown of [breaker, breaker.protect]) {
        assert.strictEqual(
          Policy.describe(shown),
          "circuit-breaker(trip: consecutive(3), openFor: 15s, halfOpen: { permits: 2, successes: 2, maxWait: 5s })"
        )
      }
    })
  )

  it.effect("goes on with its schedule unless it is given another one", () =>
    Effect.gen(function* () {
      const openFor = Schedule.fromDelays(1000, 2000, 4000)
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1), openFor })
      yield* failing(breaker, 1)
      yield* breaker.configure({ halfOpen: { permits: 2 } })
      yield* TestClock.adjust("1 second")
      yield* failing(breaker, 1)
      assert.deepStrictEqual(yield* breaker.remainingDelay, Duration.seconds(2))
      yield* breaker.configure({ openFor: Schedule.fromDelays(7000) })
      yield* TestClock.adjust("2 seconds")
      yield* failing(breaker, 1)
      assert.deepStrictEqual(yield* breaker.remainingDelay, Duration.seconds(7))
    })
  )

  it.effect("counts calls that were running, which are not slow by a rule that came later", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(3) })
      const gate = yield* Deferred.make<void>()
      yield* TestClock.adjust("1 hour")
      const running = yield* Effect.fork(breaker.protect(Deferred.await(gate)))
      yield* Effect.yieldNow()
      yield* breaker.configure({ trip: Trip.slowRate({ slowerThan: "1 second", threshold: 1, of: 1 }) })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(running)
      assert.strictEqual(yield* breaker.state, "closed")
      assert.deepInclude((yield* breaker.snapshot).rules[0], { calls: 1, hits: 0 })
      yield* Effect.fork(breaker.protect(Effect.sleep("2 seconds")))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* breaker.state, "open")
    })
  )

  it.effect("tells its listener what has changed", () =>
    Effect.gen(function* () {
      const heard: Array<CircuitBreaker.Configured> = []
      const breaker = yield* CircuitBreaker.make({
        name: "partner",
        onConfigured: (event) => Effect.sync(() => heard.push(event))
      })
      const from = breaker.settings
      yield* breaker.configure({ openFor: "1 second" })
      assert.deepStrictEqual(heard, [
        { _tag: "Configured", kind: "circuit-breaker", name: "partner", from, to: breaker.settings }
      ])
      assert.deepInclude(breaker.settings, { openFor: Duration.seconds(1) })
    })
  )

  it.effect.each<readonly [settings: object, message: string]>([
    [{ openFor: -1 }, 'CircuitBreaker.configure: option "openFor" must be'],
    [{ halfOpen: { successes: 0 } }, 'CircuitBreaker.configure: option "halfOpen.successes" must be'],
    [{ trip: 3 }, 'CircuitBreaker.configure: option "trip" must be a rule made by Trip'],
    [{ name: "other" }, 'CircuitBreaker.configure: option "name"']
  ])("dies of bad settings, and changes nothing: %j", ([settings, message]) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      const before = breaker.settings
      const defect = yield* refusalOf(breaker.configure(settings))
      assert.include(String(defect), message)
      assert.strictEqual(breaker.settings, before)
    })
  )

  it.effect("can belong to a tag", () =>
    Effect.gen(function* () {
      class Partner extends CircuitBreaker.Tag("ConfiguredPartner")<Partner>() {}
      yield* Effect.gen(function* () {
        yield* Partner.configure({ trip: Trip.consecutive(1) })
        yield* Effect.exit(Partner.protect(down))
        assert.strictEqual(yield* Partner.state, "open")
      }).pipe(Effect.provide(Partner.layer()))
    })
  )
})
