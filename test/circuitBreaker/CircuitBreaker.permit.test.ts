import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Scheduler, Scope, TestClock } from "effect"
import { CircuitBreaker, FailureCondition, Trip } from "effect-resilience"
import { refusalOf, up } from "../support/calls.js"

type Breaker = CircuitBreaker.CircuitBreaker

const make = (options: CircuitBreaker.Options = {}) =>
  CircuitBreaker.make({
    name: "partner",
    trip: Trip.consecutive(3),
    openFor: "10 seconds",
    ...options
  }) as Effect.Effect<Breaker>

/** Takes a permit whose scope is closed by hand. */
const take = (breaker: Breaker) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const permit = yield* Scope.extend(breaker.acquire, scope)
    return { permit, close: Scope.close(scope, Exit.void) }
  })

const mayProbe = (breaker: Breaker): Effect.Effect<boolean> =>
  Effect.scoped(breaker.acquire).pipe(Effect.match({ onFailure: () => false, onSuccess: () => true }))

/** Runs an effect that lets other fibers run before one of its steps. */
const pausedAt = <A, E, R>(step: number, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  let steps = 0
  const scheduler = Scheduler.make(
    (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
    () => steps++ === step && 0
  )
  return Effect.withScheduler(self, scheduler)
}

describe("CircuitBreaker.acquire and record", () => {
  it.effect("count the outcome that is recorded", () =>
    Effect.gen(function* () {
      for (const [outcome, successes, failures] of [
        [FailureCondition.success, 1, 0],
        [FailureCondition.failure, 0, 1],
        [FailureCondition.failureAfter("1 minute"), 0, 1],
        [FailureCondition.ignored, 0, 0]
      ] as const) {
        const breaker = yield* make()
        yield* Effect.scoped(Effect.flatMap(breaker.acquire, (permit) => breaker.record(permit, outcome)))
        assert.deepInclude(yield* breaker.snapshot, { state: "closed", successes, failures })
      }
    })
  )

  it.effect("open and close the circuit as calls do", () =>
    Effect.gen(function* () {
      const breaker = yield* make()
      for (let failure = 0; failure < 3; failure++) {
        const { permit } = yield* take(breaker)
        assert.deepInclude({ name: permit.name, probe: permit.probe }, { name: "partner", probe: false })
        yield* breaker.record(permit, FailureCondition.failure)
      }
      const error = yield* Effect.flip(Effect.scoped(breaker.acquire))
      assert.deepInclude(error, { state: "open", retryAfter: Duration.seconds(10) })
      assert.strictEqual((yield* breaker.snapshot).rejected, 1)
      yield* TestClock.adjust("10 seconds")
      const { permit } = yield* take(breaker)
      assert.isTrue(permit.probe)
      yield* breaker.record(permit, FailureCondition.success)
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("tell listeners the duration, and no failure", () =>
    Effect.gen(function* () {
      const heard: Array<unknown> = []
      const listener = (event: unknown) => Effect.sync(() => heard.push(event))
      const breaker = yield* make({ onSuccess: listener, onFailure: listener })
      for (const outcome of [FailureCondition.success, FailureCondition.failure, FailureCondition.ignored]) {
        const { permit } = yield* take(breaker)
        yield* TestClock.adjust("20 millis")
        yield* breaker.record(permit, outcome)
      }
      const duration = Duration.millis(20)
      const partner = { kind: "circuit-breaker", name: "partner" }
      assert.deepStrictEqual(heard, [
        { _tag: "Success", ...partner, duration },
        { _tag: "Failure", ...partner, duration, failure: undefined }
      ])
    })
  )

  it.effect("hold the permit of a probe until the scope closes, and not longer", () =>
    Effect.gen(function* () {
      const breaker = yield* make()
      yield* breaker.halfOpen
      const before = yield* breaker.snapshot
      const { close } = yield* take(breaker)
      assert.isFalse(yield* mayProbe(breaker))
      yield* close
      assert.isTrue(yield* mayProbe(breaker))
      assert.deepStrictEqual(yield* breaker.snapshot, { ...before, rejected: 1, rejectedInState: 1 })
    })
  )

  it.effect("hold as many probes as there are permits", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ halfOpen: { permits: 3 } })
      yield* breaker.halfOpen
      const held = yield* Effect.replicateEffect(take(breaker), 3)
      assert.isFalse(yield* mayProbe(breaker))
      yield* held[1].close
      assert.isTrue(yield* mayProbe(breaker))
    })
  )

  it.effect("count the first record of a permit and no other", () =>
    Effect.gen(function* () {
      const { failure, ignored, success } = FailureCondition
      for (const [first, second, successes, failures] of [
        [success, failure, 1, 0],
        [failure, success, 0, 1],
        [failure, failure, 0, 1],
        [ignored, failure, 0, 0]
      ] as const) {
        const breaker = yield* make()
        const { close, permit } = yield* take(breaker)
        yield* breaker.record(permit, first)
        yield* breaker.record(permit, second)
        yield* close
        yield* breaker.record(permit, second)
        assert.deepInclude(yield* breaker.snapshot, { successes, failures })
      }
    })
  )

  it.effect("do not release a permit twice", () =>
    Effect.gen(function* () {
      const breaker = yield* make()
      yield* breaker.halfOpen
      const first = yield* take(breaker)
      yield* breaker.record(first.permit, FailureCondition.ignored)
      yield* take(breaker)
      yield* breaker.record(first.permit, FailureCondition.ignored)
      yield* first.close
      assert.isFalse(yield* mayProbe(breaker))
    })
  )

  it.effect("count nothing after the scope has closed", () =>
    Effect.gen(function* () {
      const breaker = yield* make()
      const permit = yield* Effect.scoped(breaker.acquire)
      yield* breaker.record(permit, FailureCondition.failure)
      assert.strictEqual((yield* breaker.snapshot).failures, 0)
    })
  )

  it.effect("count nothing for a state that is over", () =>
    Effect.gen(function* () {
      for (const outcome of [FailureCondition.success, FailureCondition.failure]) {
        const breaker = yield* make({ trip: Trip.consecutive(1) })
        const { permit } = yield* take(breaker)
        yield* breaker.halfOpen
        const probe = yield* take(breaker)
        yield* breaker.record(permit, outcome)
        assert.deepInclude(yield* breaker.snapshot, { state: "half-open", successes: 0, failures: 0 })
        assert.isFalse(yield* mayProbe(breaker))
        yield* breaker.close
        yield* breaker.record(probe.permit, outcome)
        assert.deepInclude(yield* breaker.snapshot, { state: "closed", successes: 0, failures: 0 })
      }
    })
  )

  it.effect("refuse permits that another breaker gave, or nobody", () =>
    Effect.gen(function* () {
      const breaker = yield* make()
      const other = yield* make()
      const { permit } = yield* take(other)
      for (const foreign of [permit, { name: "partner", probe: true }]) {
        const defect = yield* refusalOf(breaker.record(foreign, FailureCondition.failure))
        assert.strictEqual(
          defect.message,
          'CircuitBreaker.record: option "permit" must be a permit that this "partner" granted, got "partner"'
        )
      }
      yield* other.record(permit, FailureCondition.failure)
      assert.deepStrictEqual([(yield* breaker.snapshot).failures, (yield* other.snapshot).failures], [0, 1])
    })
  )

  it.effect("leave nothing held when acquire is interrupted in a slow listener", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ onHalfOpen: () => Effect.never })
      yield* breaker.open
      yield* TestClock.adjust("10 seconds")
      // The scope outlives the attempt to acquire.
      const scope = yield* Scope.make()
      const fiber = yield* Effect.fork(Scope.extend(breaker.acquire, scope))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      assert.isTrue(yield* mayProbe(breaker))
    })
  )

  it.effect("leave nothing held when record is interrupted, at whatever step", () =>
    Effect.gen(function* () {
      for (const outcome of [FailureCondition.ignored, FailureCondition.success]) {
        for (let step = 0; step < 15; step++) {
          const breaker = yield* make({ halfOpen: { successes: 2 } })
          yield* breaker.halfOpen
          const { close, permit } = yield* take(breaker)
          const fiber = yield* Effect.fork(pausedAt(step, breaker.record(permit, outcome)))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
          yield* close
          assert.isTrue(yield* mayProbe(breaker), `${outcome._tag} at ${step}`)
        }
      }
    })
  )

  it.effect("may happen in different fibers", () =>
    Effect.gen(function* () {
      const breaker = yield* make()
      yield* breaker.halfOpen
      const taken = yield* Deferred.make<CircuitBreaker.Permit>()
      const holder = Effect.flatMap(breaker.acquire, (permit) => Deferred.succeed(taken, permit))
      const fiber = yield* Effect.fork(Effect.scoped(Effect.zipRight(holder, Effect.never)))
      yield* breaker.record(yield* Deferred.await(taken), FailureCondition.success)
      assert.strictEqual(yield* breaker.state, "closed")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* breaker.protect(up), "up")
    })
  )

  it.effect("count a permit that is never given back as a failed probe", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ halfOpen: { maxWait: "5 seconds" } })
      yield* breaker.halfOpen
      const { permit } = yield* take(breaker)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* breaker.snapshot, { state: "open", remainingDelay: 10_000 })
      yield* breaker.record(permit, FailureCondition.success)
      assert.strictEqual(yield* breaker.state, "open")
    })
  )
})
