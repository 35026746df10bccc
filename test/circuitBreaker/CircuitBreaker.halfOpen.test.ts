import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Ref, TestClock } from "effect"
import { CircuitBreaker, FailureCondition, Trip } from "effect-resilience"
import { down, settled, up } from "../support/calls.js"

type Breaker = CircuitBreaker.CircuitBreaker

const bug = Effect.die("bug")
const ignoring = FailureCondition.ignored

/** A breaker that opens with the first failure, and is half-open. */
const halfOpened = (options: CircuitBreaker.Options = {}) =>
  CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(1), openFor: "10 seconds", ...options }).pipe(
    Effect.tap((breaker) => breaker.halfOpen)
  ) as Effect.Effect<Breaker>

/** A call under way: what runs through the breaker, and then what becomes of it. */
const begin = <A, E>(breaker: Breaker, outcome: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const running = yield* Deferred.make<void>()
    const body = Effect.zipRight(Deferred.succeed(running, undefined), Deferred.await(gate)).pipe(
      Effect.zipRight(outcome)
    )
    const fiber = yield* Effect.fork(breaker.protect(body))
    yield* Deferred.await(running)
    const finish = Effect.zipRight(Deferred.succeed(gate, undefined), Fiber.await(fiber))
    return { fiber, finish, gate }
  })

const isTurnedAway = (breaker: Breaker): Effect.Effect<boolean> =>
  breaker
    .protectWhen<string, never>(() => ignoring)(up)
    .pipe(Effect.match({ onFailure: () => true, onSuccess: () => false }))

describe("a half-open circuit", () => {
  for (const permits of [1, 3, 7]) {
    it.effect(`runs ${permits} of a hundred calls at a time, and rejects the others`, () =>
      Effect.gen(function* () {
        const breaker = yield* halfOpened({ halfOpen: { permits, successes: 100 } })
        const running = yield* Ref.make(0)
        const body = Effect.acquireUseRelease(
          Ref.updateAndGet(running, (n) => n + 1),
          (now) => Effect.as(Effect.repeatN(Effect.yieldNow(), 3), now),
          () => Ref.update(running, (n) => n - 1)
        )
        const calls = Array.from({ length: 100 }, () => Effect.either(breaker.protect(body)))
        const results = yield* Effect.all(calls, { concurrency: "unbounded" })
        const ran = results.flatMap((result) => (result._tag === "Right" ? result.right : []))
        const errors = results.flatMap((result) => (result._tag === "Left" ? result.left : []))
        assert.strictEqual(Math.max(...ran), permits)
        assert.strictEqual(ran.length + errors.length, 100)
        assert.isTrue(
          errors.every(({ retryAfter, state }) => state === "half-open" && retryAfter === undefined)
        )
        assert.strictEqual((yield* breaker.snapshot).successes, ran.length)
        assert.strictEqual((yield* breaker.snapshot).rejected, errors.length)
      })
    )
  }

  // The answers of probes, one letter each: success, failure, defect, and one that is ignored.
  const decisions: ReadonlyArray<
    readonly [
      successes: 1 | 2 | { count: number; of: number },
      open: Array<string>,
      still: Array<string>,
      closed: Array<string>
    ]
  > = [
    [1, ["F", "D", "IF"], ["", "I", "III"], ["S", "IS"]],
    [2, ["F", "SF", "SIF"], ["S", "SI"], ["SS", "SIIS"]],
    [{ count: 3, of: 5 }, ["FFF", "SSFFF", "FSDSF"], ["FF", "SSFF", "FIF"], ["SSS", "FFSSS", "SFSFIS"]]
  ]

  for (const [successes, open, still, closed] of decisions) {
    const { count, of } = typeof successes === "number" ? { count: successes, of: successes } : successes
    it.effect(`closes when ${count} of ${of} probes succeed, and opens as soon as they cannot any more`, () =>
      Effect.gen(function* () {
        const table = { open, "half-open": still, closed }
        for (const [state, histories] of Object.entries(table)) {
          for (const history of histories) {
            const breaker = yield* halfOpened({ halfOpen: { successes } })
            const calls: Record<string, Effect.Effect<unknown, unknown>> = {
              S: breaker.protect(up),
              F: breaker.protect(down),
              D: breaker.protect(bug),
              I: breaker.protectWhen<string, never>(() => ignoring)(up)
            }
            yield* Effect.forEach(history, (letter) => Effect.exit(calls[letter]))
            assert.strictEqual(yield* breaker.state, state, history)
          }
        }
      })
    )
  }

  it.effect("that opens again stays open for the whole openFor", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened()
      yield* TestClock.adjust("3 seconds")
      yield* Effect.exit(breaker.protect(down))
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(yield* breaker.state, "open")
      assert.deepInclude(yield* breaker.snapshot, { reopenings: 1, since: 3000, remainingDelay: 1 })
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* breaker.protect(up), "up")
    })
  )

  it.effect("that closes starts to count from zero", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened({
        trip: Trip.failures({ count: 2, of: 10 }),
        halfOpen: { successes: 2 }
      })
      yield* breaker.protect(up)
      yield* breaker.protect(up)
      assert.deepInclude(yield* breaker.snapshot, { state: "closed", successes: 0, failures: 0 })
      yield* Effect.exit(breaker.protect(down))
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("dies of the defect of a probe, and gets its permit back", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened({ halfOpen: { successes: { count: 1, of: 2 } } })
      assert.deepStrictEqual(yield* Effect.exit(breaker.protect(bug)), Exit.die("bug"))
      assert.deepInclude(yield* breaker.snapshot, { state: "half-open", failures: 1 })
      assert.strictEqual(yield* breaker.protect(up), "up")
    })
  )

  it.effect("gets the permit back from a probe whose condition throws, and dies of it", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened()
      const error = new Error("bug in a condition")
      const throwing = breaker.protectWhen<string, never>(() => {
        throw error
      })
      assert.deepStrictEqual(yield* Effect.exit(throwing(up)), Exit.die(error))
      assert.deepInclude(yield* breaker.snapshot, { state: "half-open", successes: 0, failures: 0 })
      assert.strictEqual(yield* breaker.protect(up), "up")
    })
  )

  it.effect("gets the permit back from a probe whose outcome is invalid", () =>
    Effect.gen(function* () {
      const outcomes = [
        undefined,
        {},
        { _tag: "Failure", retryAfter: "soon" },
        { _tag: "Failure", retryAfter: {} }
      ]
      for (const outcome of outcomes) {
        const breaker = yield* halfOpened({ halfOpen: { successes: { count: 1, of: 2 } } })
        yield* Effect.exit(breaker.protectWhen<string, never>(() => outcome as never)(up))
        assert.isFalse(yield* isTurnedAway(breaker), JSON.stringify(outcome))
      }
    })
  )

  it.effect("gives the permit of an interrupted probe to the next call, and decides nothing", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened()
      const { fiber } = yield* begin(breaker, up)
      assert.isTrue(yield* isTurnedAway(breaker))
      const { probes, ...before } = yield* breaker.snapshot
      assert.isDefined(probes)
      assert.strictEqual(probes.running, 1)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.deepStrictEqual(yield* breaker.snapshot, { ...before, probes: { ...probes, running: 0 } })
      assert.strictEqual(yield* breaker.protect(up), "up")
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("keeps the permit until the finalizers of an interrupted probe have run", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened()
      const cleaned = yield* Deferred.make<void>()
      const body = Effect.onInterrupt(Effect.never, () => Deferred.await(cleaned))
      const fiber = yield* Effect.fork(breaker.protect(body))
      yield* Effect.yieldNow()
      yield* Fiber.interruptFork(fiber)
      yield* Effect.yieldNow()
      assert.isTrue(yield* isTurnedAway(breaker))
      yield* Deferred.succeed(cleaned, undefined)
      yield* Fiber.await(fiber)
      assert.isFalse(yield* isTurnedAway(breaker))
    })
  )

  it.effect("lets an uninterruptible probe end, while its caller waits", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened({ halfOpen: { uninterruptible: true } })
      const { fiber, gate } = yield* begin(breaker, up)
      yield* Fiber.interruptFork(fiber)
      yield* settled
      assert.isTrue(yield* isTurnedAway(breaker))
      yield* Deferred.succeed(gate, undefined)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
      assert.strictEqual(yield* breaker.state, "closed")
      // Only probes are: an ordinary call can be interrupted.
      const ordinary = yield* begin(breaker, up)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(ordinary.fiber)))
    })
  )

  for (const uninterruptible of [false, true]) {
    const which = uninterruptible ? "an uninterruptible" : "a"
    it.effect(`holds no permit for ${which} probe interrupted in the onHalfOpen listener`, () =>
      Effect.gen(function* () {
        const runs = yield* Ref.make(0)
        const breaker = yield* CircuitBreaker.make({
          trip: Trip.consecutive(1),
          openFor: "10 seconds",
          halfOpen: { uninterruptible },
          onHalfOpen: () => Effect.never
        })
        yield* breaker.open
        yield* TestClock.adjust("10 seconds")
        const fiber = yield* Effect.fork(breaker.protect(Ref.update(runs, (n) => n + 1)))
        yield* Effect.yieldNow()
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        assert.strictEqual(yield* Ref.get(runs), 0)
        assert.isFalse(yield* isTurnedAway(breaker))
      })
    )
  }

  it.effect("is never stuck when an interruption races the probe's answer", () =>
    Effect.gen(function* () {
      for (const outcome of [up, down, bug]) {
        for (const [before, between] of [
          [0, 0],
          [0, 1],
          [0, 2],
          [1, 0],
          [2, 0]
        ] as const) {
          const breaker = yield* halfOpened({ halfOpen: { successes: { count: 1, of: 2 } } })
          const { fiber, gate } = yield* begin(breaker, outcome as Effect.Effect<string, "down">)
          const answer = Effect.zipRight(
            Effect.repeatN(Effect.yieldNow(), before),
            Deferred.succeed(gate, undefined)
          )
          const interrupt = Effect.zipRight(
            Effect.repeatN(Effect.yieldNow(), between),
            Fiber.interruptFork(fiber)
          )
          yield* Effect.all([answer, interrupt], { concurrency: 2 })
          yield* Fiber.await(fiber)
          assert.isFalse(yield* isTurnedAway(breaker))
          yield* breaker.protect(up)
          assert.strictEqual(yield* breaker.state, "closed")
        }
      }
    })
  )
})

describe("a probe that never answers", () => {
  it.effect("counts as failed after thirty seconds, on reads too", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened()
      yield* begin(breaker, up)
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(yield* breaker.state, "half-open")
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* breaker.snapshot, { state: "open", since: 30_000, remainingDelay: 10_000 })
      yield* TestClock.adjust("4 seconds")
      const error = yield* Effect.flip(breaker.protect(up))
      assert.deepInclude(error, { state: "open", retryAfter: Duration.seconds(6) })
    })
  )

  for (const [outcome, effect] of Object.entries({ success: up, failure: down, defect: bug })) {
    it.effect(`makes room for new probes, and its late ${outcome} counts for nothing`, () =>
      Effect.gen(function* () {
        const breaker = yield* halfOpened({ halfOpen: { maxWait: "2 seconds" } })
        const hung = yield* begin(breaker, effect as Effect.Effect<string, "down">)
        yield* TestClock.adjust("12 seconds")
        const next = yield* begin(breaker, up)
        const before = yield* breaker.snapshot
        assert.strictEqual(before.state, "half-open")
        yield* hung.finish
        assert.deepStrictEqual(yield* breaker.snapshot, before)
        assert.isTrue(yield* isTurnedAway(breaker))
        yield* next.finish
        assert.strictEqual(yield* breaker.state, "closed")
      })
    )
  }

  it.effect("does not decide alone where others may still succeed", () =>
    Effect.gen(function* () {
      const halfOpen = { permits: 2, successes: { count: 2, of: 3 }, maxWait: "2 seconds" } as const
      const breaker = yield* halfOpened({ halfOpen })
      yield* begin(breaker, up)
      yield* TestClock.adjust("1 seconds")
      yield* begin(breaker, up)
      yield* TestClock.adjust("1 seconds")
      assert.deepInclude(yield* breaker.snapshot, { state: "half-open", failures: 1 })
      yield* TestClock.adjust("1 seconds")
      assert.deepInclude(yield* breaker.snapshot, { state: "open", since: 3000 })
    })
  )

  it.effect("keeps its permit when maxWait is infinite", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened({ halfOpen: { maxWait: Infinity } })
      const { finish } = yield* begin(breaker, up)
      yield* TestClock.adjust("365 days")
      assert.strictEqual(yield* breaker.state, "half-open")
      assert.deepStrictEqual(yield* finish, Exit.succeed("up"))
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("can be uninterruptible, and still makes room", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened({ halfOpen: { uninterruptible: true, maxWait: "2 seconds" } })
      const { fiber, finish } = yield* begin(breaker, up)
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual(yield* breaker.protect(up), "up")
      yield* finish
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("has failed even when it is interrupted after its time, before anybody asked", () =>
    Effect.gen(function* () {
      const asked = yield* halfOpened()
      const unasked = yield* halfOpened()
      const probes = [yield* begin(asked, up), yield* begin(unasked, up)]
      yield* TestClock.adjust("31 seconds")
      yield* Effect.exit(asked.protect(up))
      assert.strictEqual(yield* unasked.state, "open")
      yield* Effect.forEach(probes, ({ fiber }) => Fiber.interrupt(fiber))
      assert.deepStrictEqual([yield* asked.state, yield* unasked.state], ["open", "open"])
      assert.deepStrictEqual(yield* unasked.remainingDelay, Duration.seconds(9))
    })
  )

  it.effect("has failed even when its late answer would be ignored", () =>
    Effect.gen(function* () {
      const breaker = yield* halfOpened()
      const probe = breaker.protectWhen<void, never>(() => ignoring)(TestClock.adjust("31 seconds"))
      yield* probe
      assert.strictEqual(yield* breaker.state, "open")
    })
  )
})
