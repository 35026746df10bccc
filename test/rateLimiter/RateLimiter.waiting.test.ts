import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Either, Exit, Fiber, Option, TestClock } from "effect"
import { RateLimiter } from "effect-resilience"
import { interruptedAtEveryStep } from "../support/everyStep.js"
import { timeline } from "../support/virtual.js"

type Limiter = RateLimiter.RateLimiter

const tenASecond = RateLimiter.smooth({ limit: 10, per: "1 second" })

const waiting = (maxQueued?: number): Effect.Effect<Limiter> =>
  RateLimiter.make({ rate: tenASecond, maxWait: "10 seconds", maxQueued })

describe("the queue of a rate limiter", () => {
  it.effect("is first come, first served", () =>
    Effect.gen(function* () {
      const limiter = yield* waiting()
      const { log, note } = timeline()
      const calls = Array.from({ length: 5 }, (_, index) => limiter.protect(note(`call ${index}`)))
      const fiber = yield* Effect.fork(Effect.all(calls, { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(log, ["0 call 0", "100 call 1", "200 call 2", "300 call 3", "400 call 4"])
    })
  )

  it.effect("is not overtaken by a call that comes at the instant of another's turn", () =>
    Effect.gen(function* () {
      const limiter = yield* waiting()
      yield* limiter.acquire()
      const { log, note } = timeline()
      // It sleeps until the same instant, and was there before the timer of the line.
      const late = Effect.delay(limiter.protect(note("late")), "100 millis")
      const first = yield* Effect.fork(Effect.all([late, limiter.protect(note("early"))], { concurrency: 2 }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(first)
      assert.deepStrictEqual(log, ["100 early", "200 late"])
    })
  )

  it.effect("holds maxQueued calls, and the next one is rejected at once", () =>
    Effect.gen(function* () {
      const limiter = yield* waiting(2)
      yield* limiter.acquire()
      yield* Effect.fork(limiter.acquire())
      yield* Effect.fork(limiter.acquire())
      yield* Effect.yieldNow()
      const error = yield* Effect.flip(limiter.acquire())
      assert.deepInclude(error, { reason: "queue", retryAfter: Duration.millis(300) })
      assert.strictEqual(error.message, "the queue is full, try again in 300ms")
      yield* TestClock.adjust("300 millis")
      assert.isTrue(yield* limiter.tryAcquire())
    })
  )

  it.effect("has a thousand places by default", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond, maxWait: Infinity })
      yield* limiter.acquire()
      yield* Effect.replicateEffect(Effect.fork(limiter.acquire()), 1000)
      yield* Effect.yieldNow()
      assert.strictEqual((yield* limiter.snapshot).queued, 1000)
      assert.strictEqual((yield* Effect.flip(limiter.acquire())).reason, "queue")
    })
  )

  it.effect("rejects a call at once that could not be served within maxWait", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond, maxWait: "250 millis" })
      yield* limiter.acquire()
      const results = yield* Effect.forEach([1, 2, 3], () => Effect.fork(Effect.either(limiter.acquire())))
      yield* Effect.yieldNow()
      const last = yield* Fiber.join(results[2])
      assert.isTrue(Either.isLeft(last))
      assert.deepInclude(Either.getLeft(last).pipe(Option.getOrThrow), {
        reason: "rate",
        retryAfter: Duration.millis(300)
      })
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      yield* TestClock.adjust("200 millis")
      assert.isTrue(Either.isRight(yield* Fiber.join(results[0])))
      assert.isTrue(Either.isRight(yield* Fiber.join(results[1])))
    })
  )

  it.effect("serves a call that waits for exactly maxWait", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond, maxWait: "100 millis" })
      yield* limiter.acquire()
      const fiber = yield* Effect.fork(limiter.protect(Clock.currentTimeMillis))
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* Fiber.join(fiber), 100)
    })
  )

  it.effect("says exactly when to come back, behind others", () =>
    Effect.gen(function* () {
      for (const rate of [
        RateLimiter.smooth({ limit: 3, per: "1 second" }),
        RateLimiter.bursty({ limit: 3, per: "1 second" }),
        RateLimiter.tokenBucket({ limit: 3, per: "1 second", burst: 3 }),
        RateLimiter.slidingWindow({ limit: 3, per: "1 second" })
      ]) {
        const limiter = yield* RateLimiter.make({ rate, maxWait: "10 seconds", maxQueued: 7 })
        yield* Effect.replicateEffect(Effect.fork(limiter.acquire()), 7 + (rate._tag === "smooth" ? 1 : 3))
        yield* Effect.yieldNow()
        const { retryAfter } = yield* Effect.flip(limiter.acquire(2))
        yield* TestClock.adjust(Duration.subtract(retryAfter!, Duration.micros(2n)))
        assert.isFalse(yield* limiter.tryAcquire(2))
        yield* TestClock.adjust(Duration.micros(2n))
        assert.isTrue(yield* limiter.tryAcquire(2), rate._tag)
      }
    })
  )
})

describe("a call that is interrupted in the queue of a rate limiter", () => {
  it.effect("does not consume a permit, as it does in failsafe-go (D3)", () =>
    Effect.gen(function* () {
      const limiter = yield* waiting()
      yield* limiter.acquire()
      const fiber = yield* Effect.fork(limiter.acquire())
      yield* Effect.yieldNow()
      assert.strictEqual((yield* limiter.snapshot).queued, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* limiter.snapshot).queued, 0)
      yield* TestClock.adjust("100 millis")
      assert.isTrue(yield* limiter.tryAcquire())
    })
  )

  for (const place of ["first", "second", "last"] as const) {
    it.effect(`as the ${place} lets those behind move up`, () =>
      Effect.gen(function* () {
        const limiter = yield* waiting()
        yield* limiter.acquire()
        const { log, note } = timeline()
        const fibers = yield* Effect.forEach(["a", "b", "c"], (name) =>
          Effect.fork(limiter.protect(note(name)))
        )
        yield* TestClock.adjust("50 millis")
        yield* Fiber.interrupt(fibers[{ first: 0, second: 1, last: 2 }[place]])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(
          log,
          {
            first: ["100 b", "200 c"],
            second: ["100 a", "200 c"],
            last: ["100 a", "200 b"]
          }[place]
        )
      })
    )
  }

  it.effect("at the instant of its turn gives it to the next one", () =>
    Effect.gen(function* () {
      const limiter = yield* waiting()
      yield* limiter.acquire()
      const first = yield* Effect.fork(limiter.acquire())
      const second = yield* Effect.fork(limiter.protect(Clock.currentTimeMillis))
      yield* Effect.yieldNow()
      // Any call at that time admits the first one, whose fiber has not gone on yet when it is interrupted.
      const looker = yield* Effect.fork(
        Effect.zipRight(
          Effect.zipRight(Effect.sleep("100 millis"), limiter.snapshot),
          Effect.suspend(() => Fiber.interrupt(first))
        )
      )
      yield* TestClock.adjust("100 millis")
      const exit = yield* Fiber.join(looker)
      // Either is faster: the first call uses its permit when it has gone on, and hands it on otherwise.
      const at = Exit.isInterrupted(exit) ? 100 : 200
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* Fiber.join(second), at)
    })
  )

  it.effect("leaves it even where the caller is uninterruptible", () =>
    Effect.gen(function* () {
      const limiter = yield* waiting()
      yield* limiter.acquire()
      let ran = false
      const fiber = yield* Effect.fork(
        Effect.uninterruptible(limiter.protect(Effect.sync(() => (ran = true))))
      )
      yield* Effect.yieldNow()
      const exit = yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      assert.strictEqual((yield* limiter.snapshot).queued, 0)
      yield* TestClock.adjust("1 second")
      assert.isFalse(ran)
    })
  )

  it.effect("by a timeout leaves no trace", () =>
    Effect.gen(function* () {
      const limiter = yield* waiting()
      yield* limiter.acquire()
      const fiber = yield* Effect.fork(limiter.acquire().pipe(Effect.timeout("50 millis"), Effect.flip))
      yield* TestClock.adjust("50 millis")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "TimeoutException")
      yield* TestClock.adjust("50 millis")
      assert.isTrue(yield* limiter.tryAcquire())
    })
  )

  it("at whatever step holds neither a place nor a turn", () => {
    let limiter: Limiter | undefined
    let begun: Array<number> = []
    const program = () =>
      Effect.gen(function* () {
        begun = []
        limiter = undefined
        limiter = yield* RateLimiter.make({ rate: tenASecond, maxWait: "10 seconds" })
        const clock = yield* Effect.clock
        const call = limiter.protect(Effect.sync(() => begun.push(clock.unsafeCurrentTimeMillis())))
        yield* Effect.forkDaemon(call)
        yield* Effect.sleep("1 millis")
        const behind = yield* Effect.forkDaemon(Effect.delay(call, "10 millis"))
        yield* call
        yield* Fiber.join(behind)
      })
    const ends: Record<string, number> = {}
    interruptedAtEveryStep(program, ({ interruptedAt }) => {
      if (limiter === undefined) return
      const { queued } = Effect.runSync(Effect.withClock(limiter.snapshot, standingAt(1000)))
      assert.strictEqual(queued, 0)
      const end = `${interruptedAt === undefined ? "not" : `at ${interruptedAt}`}: ${begun.join(" ")}`
      ends[end] = (ends[end] ?? 0) + 1
    })
    // The turn of one that is interrupted before its call has begun goes to the one behind.
    for (const end of ["at 1: 0 100", "at 100: 0 100", "at 100: 0 100 200", "not: 0 100 200"]) {
      assert.isAtLeast(ends[end] ?? 0, 1, end)
    }
    // Only the step with which a call begins is one in which it has begun and done nothing yet.
    assert.isAtMost(ends["at 100: 0 200"] ?? 0, 1, JSON.stringify(ends))
  })
})

/** A clock that always shows the same time. */
const standingAt = (millis: number): Clock.Clock => ({
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => millis,
  unsafeCurrentTimeNanos: () => BigInt(millis) * 1_000_000n,
  currentTimeMillis: Effect.sync(() => millis),
  currentTimeNanos: Effect.sync(() => BigInt(millis) * 1_000_000n),
  sleep: () => Effect.never
})
