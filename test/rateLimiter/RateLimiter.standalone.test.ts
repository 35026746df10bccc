import { assert, describe, it } from "@effect/vitest"
import {
  Chunk,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Either,
  Fiber,
  Option,
  Stream,
  TestClock
} from "effect"
import { RateLimiter } from "effect-resilience"
import { refusalOf, settled } from "../support/calls.js"
import { manualClock } from "../support/manualClock.js"

const tenASecond = RateLimiter.smooth({ limit: 10, per: "1 second" })
const threeAtOnce = RateLimiter.bursty({ limit: 3, per: "1 second" })

const api = { kind: "rate-limiter", name: "api" } as const

describe("RateLimiter.tryAcquire", () => {
  it.effect("takes a permit that is there, and says whether it did", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: threeAtOnce, maxWait: "1 hour" })
      const taken = yield* Effect.replicateEffect(limiter.tryAcquire(), 4)
      assert.deepStrictEqual(taken, [true, true, true, false])
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* limiter.tryAcquire(3))
      assert.isFalse(yield* limiter.tryAcquire(1))
      assert.strictEqual((yield* limiter.snapshot).rejected, 0)
    })
  )
})

describe("RateLimiter.acquire", () => {
  it.effect("waits as a call would, and fails as a call would", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond, maxWait: "100 millis" })
      const at = Effect.zipRight(limiter.acquire(), Clock.currentTimeMillis)
      const fiber = yield* Effect.fork(Effect.all([at, at, Effect.either(at)], { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      const [first, second, third] = yield* Fiber.join(fiber)
      assert.deepStrictEqual([first, second], [0, 100])
      assert.isTrue(Either.isLeft(third))
    })
  )
})

describe("a reservation", () => {
  it.effect("says how far away its turn is, whatever maxWait is", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond })
      const waits = yield* Effect.replicateEffect(limiter.reserve(), 4)
      assert.deepStrictEqual(
        waits.map(({ wait }) => Duration.toMillis(wait)),
        [0, 100, 200, 300]
      )
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual((yield* limiter.reserve(5)).wait, Duration.millis(350))
      assert.deepStrictEqual((yield* limiter.reserve()).wait, Duration.millis(850))
      assert.strictEqual((yield* limiter.snapshot).queued, 5)
    })
  )

  it.effect("comes before everybody who comes later", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond, maxWait: "1 second" })
      yield* limiter.reserve()
      yield* limiter.reserve()
      assert.isFalse(yield* limiter.tryAcquire())
      const fiber = yield* Effect.fork(limiter.protect(Clock.currentTimeMillis))
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(yield* Fiber.join(fiber), 200)
    })
  )

  it.effect("that is cancelled lets those behind move up, and cancels once", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond, maxWait: "1 second" })
      yield* limiter.reserve()
      const reservation = yield* limiter.reserve()
      const fiber = yield* Effect.fork(limiter.protect(Clock.currentTimeMillis))
      yield* TestClock.adjust("50 millis")
      yield* Effect.replicateEffect(reservation.cancel, 3)
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* Fiber.join(fiber), 100)
      yield* reservation.cancel
      assert.strictEqual((yield* limiter.snapshot).retryAfter, 100)
    })
  )

  it.effect("keeps its turn when somebody before it leaves", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond, maxWait: "1 second" })
      yield* limiter.acquire()
      const waiter = yield* Effect.fork(limiter.acquire())
      yield* Effect.yieldNow()
      assert.deepStrictEqual((yield* limiter.reserve()).wait, Duration.millis(200))
      yield* Fiber.interrupt(waiter)
      yield* TestClock.adjust("150 millis")
      // Who comes now is behind it, and the turn that was left is gone.
      assert.isFalse(yield* limiter.tryAcquire())
      assert.deepStrictEqual((yield* limiter.reserve()).wait, Duration.millis(150))
    })
  )

  it.effect("that is cancelled after its turn gives back what still counts", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: threeAtOnce })
      const now = yield* limiter.reserve(3)
      assert.deepStrictEqual(now.wait, Duration.zero)
      assert.strictEqual(yield* limiter.available, 0)
      yield* now.cancel
      yield* now.cancel
      assert.strictEqual(yield* limiter.available, 3)
      const late = yield* limiter.reserve(3)
      yield* TestClock.adjust("1 second")
      yield* limiter.reserve(1)
      yield* late.cancel
      assert.strictEqual(yield* limiter.available, 2)
    })
  )

  it.effect("takes one of the places in the line", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond, maxQueued: 2 })
      yield* Effect.replicateEffect(limiter.reserve(), 3)
      const error = yield* Effect.flip(limiter.reserve())
      assert.deepInclude(error, { reason: "queue", retryAfter: Duration.millis(300) })
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual((yield* limiter.reserve()).wait, Duration.millis(200))
    })
  )
})

describe("RateLimiter.setRate", () => {
  it.effect("counts the calls that were admitted before", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({
        rate: RateLimiter.slidingWindow({ limit: 5, per: "1 second" })
      })
      yield* Effect.replicateEffect(limiter.acquire(), 4)
      yield* TestClock.adjust("600 millis")
      yield* limiter.setRate(RateLimiter.slidingWindow({ limit: 10, per: "1 second" }))
      assert.strictEqual(yield* limiter.available, 6)
      yield* limiter.setRate(RateLimiter.slidingWindow({ limit: 2, per: "1 second" }))
      assert.strictEqual(yield* limiter.available, 0)
      assert.deepStrictEqual((yield* Effect.flip(limiter.acquire())).retryAfter, Duration.millis(400))
      yield* limiter.setRate(RateLimiter.tokenBucket({ limit: 10, per: "1 second", burst: 10 }))
      assert.strictEqual(yield* limiter.available, 6)
    })
  )

  it.effect("gives waiting calls new turns, earlier or later", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: tenASecond, maxWait: "10 seconds" })
      yield* limiter.acquire()
      const at: Array<number> = []
      const call = limiter.protect(Effect.map(Clock.currentTimeMillis, (now) => at.push(now)))
      const fibers = yield* Effect.replicateEffect(Effect.fork(call), 4)
      yield* TestClock.adjust("100 millis")
      yield* limiter.setRate(RateLimiter.smooth({ limit: 100, per: "1 second" }))
      yield* TestClock.adjust("10 millis")
      yield* limiter.setRate(RateLimiter.smooth({ limit: 1, per: "1 second" }))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.joinAll(fibers)
      // A debt counts in whole permits: of a hundredth of a second before, of a second after.
      assert.deepStrictEqual(at, [100, 110, 1110, 2110])
    })
  )

  it.effect("rejects at once the calls that would now wait too long or cost too much", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({
        rate: RateLimiter.bursty({ limit: 4, per: "1 second" }),
        maxWait: "3 seconds"
      })
      yield* limiter.acquire(4)
      const wait = (cost: number) => Effect.fork(Effect.either(limiter.acquire(cost)))
      const [large, first, second] = yield* Effect.forEach([4, 1, 1], wait)
      yield* TestClock.adjust("500 millis")
      yield* limiter.setRate(RateLimiter.bursty({ limit: 1, per: "2 seconds" }))
      const left = (fiber: typeof large) =>
        Effect.map(Fiber.join(fiber), (either) => Either.getLeft(either).pipe(Option.getOrThrow))
      assert.deepInclude(yield* left(large), { cost: 4, reason: "cost", retryAfter: undefined })
      // New windows from now on, and the four of the old one count in the first of them.
      assert.deepInclude(yield* left(second), { reason: "rate", retryAfter: Duration.millis(4000) })
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(Either.isRight(yield* Fiber.join(first)))
    })
  )

  it.effect("makes a cost possible that was not", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: threeAtOnce })
      assert.strictEqual((yield* Effect.flip(limiter.acquire(5))).reason, "cost")
      yield* limiter.setRate(RateLimiter.bursty({ limit: 5, per: "1 second" }))
      yield* limiter.acquire(5)
    })
  )

  it.effect("refuses an invalid rate", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: threeAtOnce })
      const defect = yield* refusalOf(limiter.setRate({ _tag: "smooth", limit: 0, per: 1000 }))
      assert.strictEqual(
        defect.message,
        'RateLimiter.setRate: option "limit" must be a whole number from 1 to 10000000, got 0'
      )
      assert.strictEqual(yield* limiter.available, 3)
    })
  )

  it.effect("is told to listeners and in the stream of changes, when it is a change", () =>
    Effect.gen(function* () {
      const heard: Array<RateLimiter.RateChanged> = []
      const limiter = yield* RateLimiter.make({
        name: "api",
        rate: threeAtOnce,
        onRateChanged: (change) => Effect.sync(() => heard.push(change))
      })
      const fiber = yield* Effect.fork(Stream.runCollect(Stream.take(limiter.changes, 2)))
      yield* settled
      yield* limiter.setRate(tenASecond)
      yield* limiter.setRate(RateLimiter.smooth({ limit: 10, per: 1000 }))
      yield* limiter.setRate(threeAtOnce)
      assert.deepStrictEqual(heard, [
        { _tag: "RateChanged", ...api, from: threeAtOnce, to: tenASecond },
        { _tag: "RateChanged", ...api, from: tenASecond, to: threeAtOnce }
      ])
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(fiber)), heard)
    })
  )
})

describe("the snapshot of a rate limiter", () => {
  it.effect("shows what there is, and changes nothing", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ name: "api", rate: threeAtOnce, maxWait: "2 seconds" })
      const fresh = {
        name: "api",
        takenAt: 0,
        rate: { _tag: "bursty", limit: 3, per: 1000 },
        available: 3,
        retryAfter: 0,
        queued: 0,
        admitted: 0,
        rejected: 0
      }
      assert.deepStrictEqual(yield* limiter.snapshot, fresh)
      yield* limiter.acquire(2)
      yield* Effect.fork(limiter.acquire(3))
      yield* Effect.flip(limiter.acquire(4))
      yield* TestClock.adjust("250 millis")
      const later = {
        ...fresh,
        takenAt: 250,
        available: 0,
        retryAfter: 1750,
        queued: 1,
        admitted: 1,
        rejected: 1
      }
      assert.deepStrictEqual(yield* limiter.snapshot, later)
      assert.deepStrictEqual(yield* limiter.snapshot, later)
      assert.strictEqual(yield* limiter.available, 0)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(later)), later)
      yield* TestClock.adjust("10 days")
      assert.deepInclude(yield* limiter.snapshot, { available: 3, retryAfter: 0, queued: 0, admitted: 2 })
    })
  )
})

describe("the listeners of a rate limiter", () => {
  const listening = (heard: Array<unknown>) => ({
    onQueued: (event: RateLimiter.Queued) => Effect.sync(() => heard.push(["queued", event])),
    onAdmitted: (event: RateLimiter.Admitted) => Effect.sync(() => heard.push(["admitted", event])),
    onRejected: (event: RateLimiter.Rejected) => Effect.sync(() => heard.push(["rejected", event]))
  })

  it.effect("hear the outcome of every call, in its fiber", () =>
    Effect.gen(function* () {
      const heard: Array<unknown> = []
      const limiter = yield* RateLimiter.make({
        name: "api",
        rate: tenASecond,
        maxWait: "100 millis",
        ...listening(heard)
      })
      yield* limiter.protect(Effect.void)
      const fiber = yield* Effect.fork(limiter.protect(Effect.sync(() => heard.push("ran"))))
      yield* Effect.yieldNow()
      const error = yield* Effect.flip(limiter.protect(Effect.void))
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(heard, [
        ["admitted", { _tag: "Admitted", ...api, cost: 1, waited: Duration.zero }],
        ["queued", { _tag: "Queued", ...api, cost: 1, wait: Duration.millis(100), queued: 1 }],
        [
          "rejected",
          {
            _tag: "Rejected",
            ...api,
            limit: 10,
            cost: 1,
            reason: "rate",
            retryAfter: error.retryAfter,
            error
          }
        ],
        ["admitted", { _tag: "Admitted", ...api, cost: 1, waited: Duration.millis(100) }],
        "ran"
      ])
    })
  )

  it.effect("hear that a call has not waited when it was its turn at once, though the time goes on", () => {
    const heard: Array<unknown> = []
    const { clock } = manualClock()
    let nanos = 0n
    const live: Clock.Clock = { ...clock, unsafeCurrentTimeNanos: () => (nanos += 1000n) }
    return Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ name: "api", rate: threeAtOnce, ...listening(heard) })
      yield* limiter.protect(Effect.void)
      yield* limiter.acquire()
      const admitted = { _tag: "Admitted", ...api, cost: 1, waited: Duration.zero }
      assert.deepStrictEqual(heard, [
        ["admitted", admitted],
        ["admitted", admitted]
      ])
    }).pipe(Effect.withClock(live))
  })

  it.effect("hear what is acquired and reserved", () =>
    Effect.gen(function* () {
      const heard: Array<unknown> = []
      const limiter = yield* RateLimiter.make({ name: "api", rate: tenASecond, ...listening(heard) })
      yield* limiter.tryAcquire()
      yield* limiter.tryAcquire()
      yield* limiter.reserve(3)
      yield* TestClock.adjust("1 second")
      yield* limiter.reserve(2)
      assert.deepStrictEqual(heard, [
        ["admitted", { _tag: "Admitted", ...api, cost: 1, waited: Duration.zero }],
        ["queued", { _tag: "Queued", ...api, cost: 3, wait: Duration.millis(100), queued: 1 }],
        ["admitted", { _tag: "Admitted", ...api, cost: 2, waited: Duration.zero }]
      ])
    })
  )

  it.effect("that fail or die change nothing", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({
        rate: tenASecond,
        maxWait: "100 millis",
        onQueued: () => Effect.fail("no"),
        onAdmitted: () => Effect.die("bug"),
        onRejected: () => {
          throw new Error("bug")
        },
        onRateChanged: () => Effect.die("bug")
      })
      const fiber = yield* Effect.fork(Effect.all([limiter.acquire(), limiter.acquire()], { concurrency: 2 }))
      yield* settled
      assert.strictEqual((yield* Effect.flip(limiter.acquire()))._tag, "RateLimitExceeded")
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(fiber)
      yield* limiter.setRate(threeAtOnce)
    })
  )

  it.effect("that are interrupted with their call keep neither a place nor a permit", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const slow = yield* RateLimiter.make({
        rate: tenASecond,
        maxWait: "1 second",
        onQueued: () => Deferred.await(gate)
      })
      yield* slow.acquire()
      const queued = yield* Effect.fork(slow.acquire())
      yield* TestClock.adjust("150 millis")
      yield* Fiber.interrupt(queued)
      assert.deepInclude(yield* slow.snapshot, { queued: 0, available: 1 })

      const blocked = yield* RateLimiter.make({ rate: tenASecond, onAdmitted: () => Effect.never })
      const admitted = yield* Effect.fork(blocked.protect(Effect.void))
      yield* Effect.yieldNow()
      assert.strictEqual(yield* blocked.available, 0)
      yield* Fiber.interrupt(admitted)
      assert.strictEqual(yield* blocked.available, 1)
    })
  )

  it.effect("that are interrupted with what they tell of leave nothing reserved", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({
        rate: RateLimiter.bursty({ limit: 1, per: "1 second" }),
        onAdmitted: () => Effect.never,
        onQueued: () => Effect.never
      })
      for (const operation of [limiter.tryAcquire(), limiter.acquire(), limiter.reserve()]) {
        const fiber = yield* Effect.fork(Effect.exit<unknown, unknown, never>(operation))
        yield* settled
        assert.strictEqual(yield* limiter.available, 0)
        // There is nothing left, so this is for later, and tells of it for ever too.
        const later = yield* Effect.fork(limiter.reserve())
        yield* settled
        assert.strictEqual((yield* limiter.snapshot).queued, 1)
        yield* Fiber.interruptAll([later, fiber])
        assert.deepInclude(yield* limiter.snapshot, { available: 1, queued: 0 })
      }
    })
  )

  it.effect("get the services of the limiter's maker", () =>
    Effect.gen(function* () {
      class Desk extends Context.Tag("Desk")<Desk, Array<string>>() {}
      const desk: Array<string> = []
      const limiter = yield* RateLimiter.make({
        rate: threeAtOnce,
        onAdmitted: ({ name }) => Effect.map(Desk, (desk) => desk.push(name))
      }).pipe(Effect.provideService(Desk, desk))
      yield* limiter.acquire()
      assert.deepStrictEqual(desk, ["rate-limiter"])
    })
  )
})
