import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Option, TestClock } from "effect"
import { Policy, RateLimiter } from "effect-resilience"
import { up } from "../support/calls.js"
import { manualClock } from "../support/manualClock.js"
import { runs } from "../support/runs.js"

const rates: ReadonlyArray<(limit: number, per: Duration.DurationInput) => RateLimiter.Rate> = [
  (limit, per) => RateLimiter.smooth({ limit, per }),
  (limit, per) => RateLimiter.bursty({ limit, per }),
  (limit, per) => RateLimiter.tokenBucket({ limit, per, burst: 1 }),
  (limit, per) => RateLimiter.slidingWindow({ limit, per })
]

const oneASecond = rates.map((rate) => rate(1, "1 second"))

interface Rush {
  readonly rate: RateLimiter.Rate
  readonly calls: number
  readonly millis: number
}

/** How many of many calls made at once, by a limiter that lets them wait, have begun after each millisecond. */
const begunAfterEach = ({ calls, millis, rate }: Rush): Effect.Effect<ReadonlyArray<number>> => {
  const { advance, clock } = manualClock()
  return Effect.gen(function* () {
    yield* advance(1_800_000_000_123) // as on a clock that counts from the epoch
    const limiter = yield* RateLimiter.make({ rate, maxWait: "1 hour", maxQueued: calls })
    let begun = 0
    const call = limiter.protect(Effect.sync(() => void (begun += 1)))
    yield* Effect.replicateEffect(Effect.fork(call), calls)
    const counts: Array<number> = []
    for (let millisecond = 0; millisecond <= millis; millisecond++) {
      yield* Effect.repeatN(Effect.yieldNow(), 4)
      counts.push(begun)
      yield* advance(1)
    }
    return counts
  }).pipe(Effect.withClock(clock))
}

describe("a rate limiter", () => {
  for (const rate of oneASecond) {
    it.effect(`${RateLimiter.describe(rate)} runs a call, and rejects the next one without running it`, () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({ name: "mails", rate })
        let ran = 0
        const call = limiter.protect(Effect.sync(() => ++ran))
        assert.strictEqual(yield* call, 1)
        const error = yield* Effect.flip(call)
        assert.instanceOf(error, RateLimiter.RateLimitExceeded)
        assert.deepInclude(error, {
          name: "mails",
          limit: 1,
          cost: 1,
          reason: "rate",
          retryAfter: Duration.seconds(1)
        })
        assert.strictEqual(error.message, "the limit of 1 is used up, try again in 1s")
        assert.strictEqual(ran, 1)
      })
    )

    it.effect(`${RateLimiter.describe(rate)} says exactly when to come back`, () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("123 millis")
        const limiter = yield* RateLimiter.make({ rate })
        yield* TestClock.adjust("250 millis")
        yield* limiter.protect(up)
        yield* TestClock.adjust("100 millis")
        const { retryAfter } = yield* Effect.flip(limiter.protect(up))
        const wait = Duration.toMillis(retryAfter!)
        assert.strictEqual(wait, rate._tag === "bursty" ? 650 : 900)
        yield* TestClock.adjust(wait - 1)
        assert.deepStrictEqual((yield* Effect.flip(limiter.protect(up))).retryAfter, Duration.millis(1))
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* limiter.protect(up), "up")
      })
    )
  }

  it.effect("says when to come back to the microsecond", () =>
    Effect.gen(function* () {
      for (const limit of [3, 7, 3000, 700_000, 1_000_000]) {
        const limiter = yield* RateLimiter.make({ rate: RateLimiter.smooth({ limit, per: "1 second" }) })
        yield* limiter.protect(up)
        const { retryAfter } = yield* Effect.flip(limiter.protect(up))
        const wait = Math.ceil(1_000_000 / limit) / 1000
        assert.deepStrictEqual(retryAfter, Duration.millis(wait))
        yield* TestClock.adjust(retryAfter!)
        assert.strictEqual(yield* limiter.protect(up), "up", `${limit} per second`)
      }
    })
  )

  it.effect("gives every exit back as it was, and counts each of them", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: RateLimiter.bursty({ limit: 4, per: "1 second" }) })
      for (const exit of [Exit.succeed(undefined), Exit.fail("down"), Exit.die("bug"), Exit.interrupt]) {
        const given = Effect.isEffect(exit) ? exit : Effect.interrupt
        const result = yield* Effect.exit(limiter.protect(given))
        if (Effect.isEffect(exit)) assert.deepStrictEqual(result, exit)
        else assert.isTrue(Exit.isInterrupted(result))
      }
      assert.strictEqual(yield* limiter.available, 0)
      assert.strictEqual((yield* Effect.flip(limiter.protect(up)))._tag, "RateLimitExceeded")
    })
  )

  it.effect("makes rejections without a stack trace, which Policy.isRejection recognizes", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: oneASecond[0] })
      yield* limiter.protect(up)
      const error: unknown = yield* Effect.flip(limiter.protect(up))
      assert.isTrue(Policy.isRejection(error))
      assert.notInclude((error as Error).stack ?? "", "\n    at ")
    })
  )

  it.effect("shares nothing with another one made of the same options", () =>
    Effect.gen(function* () {
      const options = Object.freeze({ rate: oneASecond[3] })
      const first = yield* RateLimiter.make(options)
      const second = yield* RateLimiter.make(options)
      yield* first.protect(up)
      assert.deepStrictEqual([yield* first.available, yield* second.available], [0, 1])
    })
  )

  it.effect("describes itself", () =>
    Effect.gen(function* () {
      const rate = RateLimiter.tokenBucket({ limit: 100, per: "1 second", burst: 20 })
      const limiter = yield* RateLimiter.make({ name: "api", rate, maxWait: "500 millis", maxQueued: 50 })
      const plain = yield* RateLimiter.make({ rate })
      assert.strictEqual(
        Policy.describe(limiter, plain, limiter.withCost(5)),
        [
          'rate-limiter "api"(rate: tokenBucket(limit: 100, per: 1s, burst: 20), maxWait: 500ms, maxQueued: 50)',
          "rate-limiter(rate: tokenBucket(limit: 100, per: 1s, burst: 20))",
          'rate-limiter "api"(rate: tokenBucket(limit: 100, per: 1s, burst: 20), maxWait: 500ms, maxQueued: 50, cost: 5)'
        ].join("\n")
      )
    })
  )
})

describe("a rate limiter in virtual time", () => {
  for (const rate of rates) {
    const even = ["smooth", "tokenBucket"].includes(rate(1, 1)._tag)
    it.effect(`admits 2000 of 2500 waiting calls at 2000 per second (${rate(2000, "1 second")._tag})`, () =>
      Effect.gen(function* () {
        const counts = yield* begunAfterEach({ rate: rate(2000, "1 second"), calls: 2500, millis: 1000 })
        for (const millis of [0, 1, 2, 500, 999]) {
          assert.strictEqual(counts[millis], even ? millis * 2 + 1 : 2000)
        }
        // The end of the second is the beginning of the next one.
        assert.strictEqual(counts[1000], even ? 2001 : 2500)
      })
    )
  }

  it.effect("admits a thousand calls a millisecond at a million per second", () =>
    Effect.gen(function* () {
      const rate = RateLimiter.smooth({ limit: 1_000_000, per: "1 second" })
      assert.deepStrictEqual(
        yield* begunAfterEach({ rate, calls: 3500, millis: 5 }),
        [1, 1001, 2001, 3001, 3500, 3500]
      )
    })
  )

  it.effect("is as exact at uneven rates as at even ones", () =>
    Effect.gen(function* () {
      for (const limit of [3, 7, 700, 999, 1001, 7000]) {
        const rate = RateLimiter.smooth({ limit, per: "1 second" })
        const millis = runs(100, 1000)
        const counts = yield* begunAfterEach({ rate, calls: Math.ceil((limit * millis) / 1000) + 10, millis })
        assert.deepStrictEqual(
          counts,
          counts.map((_, millis) => Math.floor((millis * limit) / 1000) + 1)
        )
      }
    })
  )

  it.effect("admits one call an hour at one per hour", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({
        rate: RateLimiter.smooth({ limit: 1, per: "1 hour" }),
        maxWait: "1 day"
      })
      const at: Array<number> = []
      const call = limiter.protect(Effect.map(Clock.currentTimeMillis, (now) => at.push(now / 3_600_000)))
      const fiber = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 4 }, () => call),
          { concurrency: 4 }
        )
      )
      yield* TestClock.adjust("5 hours")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(at, [0, 1, 2, 3])
    })
  )
})

describe("the cost of a call", () => {
  it.effect("counts as so many calls", () =>
    Effect.gen(function* () {
      for (const rate of [
        RateLimiter.bursty({ limit: 10, per: "1 second" }),
        RateLimiter.slidingWindow({ limit: 10, per: "1 second" }),
        RateLimiter.tokenBucket({ limit: 1, per: "1 second", burst: 10 })
      ]) {
        const limiter = yield* RateLimiter.make({ rate })
        assert.strictEqual(yield* up.pipe(limiter.withCost(7)), "up")
        assert.strictEqual(yield* limiter.available, 3)
        assert.deepInclude(yield* Effect.flip(up.pipe(limiter.withCost(4))), { cost: 4, reason: "rate" })
        assert.strictEqual(yield* up.pipe(limiter.withCost(3)), "up")
      }
    })
  )

  it.effect("of a smooth rate is paid for after the call", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: RateLimiter.smooth({ limit: 10, per: "1 second" }) })
      yield* up.pipe(limiter.withCost(7))
      assert.deepStrictEqual((yield* Effect.flip(limiter.protect(up))).retryAfter, Duration.millis(700))
    })
  )

  it.effect("can be the limiter's own", () =>
    Effect.gen(function* () {
      const rate = RateLimiter.bursty({ limit: 10, per: "1 second" })
      const limiter = yield* RateLimiter.make({ rate, cost: 5 })
      yield* limiter.protect(up)
      assert.isTrue(yield* limiter.tryAcquire())
      assert.strictEqual((yield* Effect.flip(limiter.acquire())).cost, 5)
      assert.isFalse(yield* limiter.tryAcquire(1))
    })
  )

  it.effect("fails the call at once when it can never be admitted, also with a queue", () =>
    Effect.gen(function* () {
      for (const rate of [
        RateLimiter.smooth({ limit: 5, per: "1 second" }),
        RateLimiter.bursty({ limit: 5, per: "1 second" }),
        RateLimiter.tokenBucket({ limit: 100, per: "1 second", burst: 5 }),
        RateLimiter.slidingWindow({ limit: 5, per: "1 second" })
      ]) {
        const limiter = yield* RateLimiter.make({ rate, maxWait: Infinity })
        const error = yield* Effect.flip(up.pipe(limiter.withCost(6)))
        assert.deepInclude(error, { cost: 6, reason: "cost", retryAfter: undefined })
        assert.strictEqual(error.message, "a call that costs 6 can never be admitted")
        assert.strictEqual((yield* Effect.flip(limiter.acquire(6))).reason, "cost")
        assert.strictEqual((yield* Effect.flip(limiter.reserve(6))).reason, "cost")
        assert.isFalse(yield* limiter.tryAcquire(6))
        assert.strictEqual(yield* up.pipe(limiter.withCost(5)), "up")
      }
    })
  )

  it.effect("is not let past by calls that cost less", () =>
    Effect.gen(function* () {
      const rate = RateLimiter.tokenBucket({ limit: 10, per: "1 second", burst: 10 })
      const limiter = yield* RateLimiter.make({ rate, maxWait: "10 seconds" })
      yield* up.pipe(limiter.withCost(5))
      const order: Array<string> = []
      const call = (name: string, cost: number) =>
        Effect.sync(() => order.push(name)).pipe(limiter.withCost(cost), Effect.fork)
      yield* call("large", 10)
      yield* TestClock.adjust("100 millis")
      yield* call("small", 1)
      assert.isFalse(yield* limiter.tryAcquire(1))
      assert.strictEqual(yield* limiter.available, 0)
      yield* TestClock.adjust("399 millis")
      assert.deepStrictEqual(order, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(order, ["large"])
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(order, ["large", "small"])
    })
  )
})

describe("a call that a condition ignores", () => {
  const limited = (rate: RateLimiter.Rate) => RateLimiter.make({ rate })
  const free = { ignore: { tags: ["NotModified" as const], result: (status: number) => status === 304 } }
  const freeResult = { ignore: { result: (status: number) => status === 304 } }
  type NotModified = { readonly _tag: "NotModified" }
  const notModified: Effect.Effect<number, NotModified> = Effect.fail({ _tag: "NotModified" })

  for (const rate of oneASecond) {
    it.effect(`gives its permit back (${RateLimiter.describe(rate)})`, () =>
      Effect.gen(function* () {
        const limiter = yield* limited(rate)
        const call = limiter.protectWhen<number, NotModified>(free)
        const succeed = (status: number): Effect.Effect<number, NotModified> => Effect.succeed(status)
        for (let run = 0; run < 3; run++) {
          assert.deepStrictEqual(yield* Effect.flip(call(notModified)), { _tag: "NotModified" })
          assert.strictEqual(yield* call(succeed(304)), 304)
        }
        assert.strictEqual(yield* call(succeed(200)), 200)
        assert.strictEqual((yield* Effect.flip(call(succeed(200))))._tag, "RateLimitExceeded")
      })
    )
  }

  it.effect("gives it to the next one in line", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: oneASecond[0], maxWait: "10 seconds" })
      const first = yield* Effect.fork(
        Effect.sleep("300 millis").pipe(Effect.as(304), limiter.protectWhen(freeResult))
      )
      yield* Effect.yieldNow()
      const second = yield* Effect.fork(limiter.protect(Clock.currentTimeMillis))
      yield* TestClock.adjust("299 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(second)))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(first)
      assert.strictEqual(yield* Fiber.join(second), 300)
    })
  )

  it.effect("gives nothing back when its permit no longer counts", () =>
    Effect.gen(function* () {
      for (const rate of oneASecond) {
        const limiter = yield* limited(rate)
        const slow = yield* Effect.fork(
          Effect.sleep("10 seconds").pipe(Effect.as(304), limiter.protectWhen(freeResult))
        )
        yield* TestClock.adjust("9999 millis")
        yield* limiter.protect(up).pipe(Effect.either)
        const before = (yield* Effect.flip(limiter.protect(up))).retryAfter!
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(slow)
        const after = Effect.flip(limiter.protect(up))
        if (rate._tag === "bursty") assert.strictEqual(yield* limiter.available, 1)
        else assert.deepStrictEqual((yield* after).retryAfter, Duration.subtract(before, "1 millis"))
      }
    })
  )

  it.effect("differs from an interrupted or failed call, which was made", () =>
    Effect.gen(function* () {
      const limiter = yield* limited(RateLimiter.bursty({ limit: 3, per: "1 second" }))
      const fiber = yield* Effect.fork(limiter.protectWhen({ defect: false })(Effect.never))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      yield* Effect.exit(limiter.protectWhen({ defect: false })(Effect.interrupt))
      yield* Effect.exit(limiter.protectWhen({})(Effect.fail("down")))
      assert.strictEqual(yield* limiter.available, 0)
    })
  )

  it.effect("may be one that died", () =>
    Effect.gen(function* () {
      const limiter = yield* limited(oneASecond[1])
      yield* Effect.exit(limiter.protectWhen({ defect: false })(Effect.die("bug")))
      assert.strictEqual(yield* limiter.available, 1)
    })
  )

  it.effect("gives nothing back when the condition throws, and dies", () =>
    Effect.gen(function* () {
      const limiter = yield* limited(oneASecond[1])
      const exit = yield* up.pipe(
        limiter.protectWhen(() => {
          throw new Error("bug in a condition")
        }),
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Die")
      assert.strictEqual(yield* limiter.available, 0)
    })
  )
})

describe("a rate limiter, unlike others,", () => {
  it.effect("admits no more than its limit after a deficit and a long pause (failsafe-go, D2)", () =>
    Effect.gen(function* () {
      const rate = RateLimiter.bursty({ limit: 2, per: "10 millis" })
      const limiter = yield* RateLimiter.make({ rate, maxWait: "1 second" })
      const fiber = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 3 }, () => limiter.acquire()),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(fiber)
      yield* TestClock.adjust("100 millis")
      const taken = yield* Effect.replicateEffect(limiter.tryAcquire(), 40)
      assert.strictEqual(taken.filter((taken) => taken).length, 2)
    })
  )

  it.effect("does not round more than 1000 a second down to 1000 (Effect)", () =>
    Effect.gen(function* () {
      const rate = RateLimiter.tokenBucket({ limit: 2000, per: "1 second" })
      const counts = yield* begunAfterEach({ rate, calls: 4000, millis: 1000 })
      assert.deepStrictEqual([counts[0], counts[500], counts[1000]], [2000, 3000, 4000])
    })
  )

  it.effect("does not hang when a cost exceeds the limit (Effect)", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ rate: oneASecond[2], maxWait: Infinity })
      assert.strictEqual((yield* Effect.flip(up.pipe(limiter.withCost(2)))).reason, "cost")
    })
  )

  it.effect("does not pass the cost of a call on to the calls inside (Effect)", () =>
    Effect.gen(function* () {
      const outer = yield* RateLimiter.make({ rate: RateLimiter.bursty({ limit: 10, per: "1 second" }) })
      const inner = yield* RateLimiter.make({ rate: RateLimiter.bursty({ limit: 10, per: "1 second" }) })
      yield* up.pipe(inner.protect, inner.protect, outer.withCost(5))
      assert.deepStrictEqual([yield* outer.available, yield* inner.available], [5, 8])
    })
  )
})
