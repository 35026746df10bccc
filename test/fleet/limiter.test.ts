// Limiters of several processes over one store in memory.
import { assert, describe, it } from "@effect/vitest"
import { type Clock, Duration, Effect, Either, Exit, Fiber, Stream, TestClock } from "effect"
import { Observer, Policy, RateLimiter } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { forked, refusalOf, settled, up } from "../support/calls.js"
import { Fleet, type Process } from "../support/fleet.js"

const bucket = RateLimiter.tokenBucket({ limit: 100, per: "1 second" })
const ten = RateLimiter.tokenBucket({ limit: 10, per: "1 second", burst: 2 })

const make = (
  { store }: Pick<Process, "store">,
  options: Partial<RateLimiter.Options> = {}
): Effect.Effect<RateLimiter.RateLimiter> =>
  RateLimiter.make({ name: "partner", rate: bucket, share: Share.leasedRate(), ...options }).pipe(
    Effect.provideService(SharedStore.SharedStore, store)
  ) as Effect.Effect<RateLimiter.RateLimiter>

const limitersIn = (fleet: Fleet, count: number, options?: Partial<RateLimiter.Options>) =>
  Effect.forEach(Array.from({ length: count }), (_, index) =>
    Effect.gen(function* () {
      const process = yield* fleet.process({ instance: `process ${index}` })
      return { ...process, limiter: yield* make(process, options) }
    })
  )

/** So many calls at once, and how many of them were admitted. */
const calls = (limiter: RateLimiter.RateLimiter, count: number) =>
  Effect.map(
    Effect.replicateEffect(Effect.isSuccess(limiter.protect(Effect.void)), count),
    (results) => results.filter(Boolean).length
  )

const inline = (options: Partial<RateLimiter.Options> = {}): Partial<RateLimiter.Options> => ({
  rate: ten,
  share: Share.inlineRate(),
  ...options
})

const modes = [
  ["leased", {}],
  ["inline", { share: Share.inlineRate() }]
] as const

it.scoped("a call for which a process holds a permit has not waited, though the time goes on", () =>
  Effect.gen(function* () {
    const waits: Array<Duration.Duration> = []
    const [{ limiter }] = yield* limitersIn(new Fleet(), 1, {
      onAdmitted: ({ waited }) => Effect.sync(() => waits.push(waited))
    })
    yield* limiter.acquire(10)
    const stopped = yield* Effect.clock
    let nanos = 0n
    const running: Clock.Clock = Object.create(stopped, {
      unsafeCurrentTimeNanos: { value: () => stopped.unsafeCurrentTimeNanos() + (nanos += 1000n) }
    })
    yield* Effect.withClock(limiter.protect(up), running)
    assert.deepStrictEqual(waits, [Duration.zero, Duration.zero])
  })
)

describe.each(modes)("a limiter of a fleet, %s", (mode, options) => {
  it.scoped("admits in all processes together what the store grants at once", () =>
    Effect.gen(function* () {
      const [one, other] = yield* limitersIn(new Fleet(), 2, options)
      const first = yield* calls(one.limiter, 30)
      const second = yield* calls(other.limiter, 200)
      assert.strictEqual(first, 30)
      if (mode === "inline") assert.strictEqual(first + second, 100)
      // The first process holds what it may use in a period.
      else assert.isTrue(first + second <= 50 && first + second >= 40)
    })
  )

  it.scoped("counts for each key by itself, with the key in the name", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const keyed = (process: Process) =>
        RateLimiter.keyed({
          options: { name: "users", rate: bucket, share: Share.leasedRate(), ...options }
        }).pipe(Effect.provideService(SharedStore.SharedStore, process.store))
      const [one, other] = [yield* keyed(yield* fleet.process()), yield* keyed(yield* fleet.process())]
      const granted = mode === "leased" ? 50 : 100
      const ada = one.at("ada")
      for (let call = 0; call < granted; call++) yield* ada.acquire()
      assert.isFalse(yield* other.at("ada").tryAcquire())
      assert.isTrue(yield* other.at("bob").tryAcquire())
    })
  )

  it.scoped("rejects with the time after which to come back, and a call after that is admitted", () =>
    Effect.gen(function* () {
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1, options)
      yield* calls(limiter, 100)
      const rejection = yield* Effect.flip(limiter.acquire(3))
      assert.deepInclude(rejection, {
        _tag: "RateLimitExceeded",
        name: "partner",
        limit: 100,
        cost: 3,
        reason: "rate"
      })
      assert.isTrue(Policy.isRejection(rejection))
      yield* TestClock.adjust(rejection.retryAfter ?? 0)
      assert.isTrue(yield* limiter.tryAcquire(3))
    })
  )

  it.scoped("has calls wait in the order in which they came, and tells them so", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const waits: Array<number> = []
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1, {
        ...options,
        maxWait: "5 seconds",
        onQueued: ({ queued }) => Effect.sync(() => waits.push(queued)),
        onAdmitted: ({ waited }) => Effect.sync(() => waits.push(Duration.toMillis(waited) > 0 ? -1 : 0))
      })
      yield* limiter.acquire(mode === "leased" ? 50 : 100)
      const call = (name: string, cost: number) =>
        forked(limiter.withCost(cost)(Effect.sync(() => order.push(name))))
      const fibers = [yield* call("five", 5), yield* call("one", 1), yield* call("two", 2)]
      assert.deepStrictEqual(order, [])
      assert.strictEqual((yield* limiter.snapshot).queued, 3)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(order, ["five", "one", "two"])
      assert.deepStrictEqual(waits, [0, 1, 2, 3, -1, -1, -1])
    })
  )

  it.scoped("lets a call go that is interrupted while it waits, and those behind it move up", () =>
    Effect.gen(function* () {
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1, { ...options, maxWait: "5 seconds" })
      yield* limiter.acquire(mode === "leased" ? 50 : 100)
      const first = yield* forked(limiter.acquire(20))
      const second = yield* forked(limiter.acquire(1))
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("130 millis")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(second)))
      assert.strictEqual((yield* limiter.snapshot).queued, 0)
    })
  )

  it.scoped("can be interrupted also where its caller cannot", () =>
    Effect.gen(function* () {
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1, { ...options, maxWait: "5 seconds" })
      yield* limiter.acquire(mode === "leased" ? 50 : 100)
      const waiting = yield* forked(Effect.uninterruptible(limiter.acquire()))
      yield* Fiber.interrupt(waiting)
      assert.strictEqual((yield* limiter.snapshot).queued, 0)
    })
  )

  it.scoped("takes the permit of a call back that does not count", () =>
    Effect.gen(function* () {
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1, options)
      const free = limiter.protectWhen({ ignore: { result: (result) => result === "free" } })
      for (let call = 0; call < 300; call++) {
        yield* free(Effect.succeed("free"))
        yield* settled
      }
      assert.strictEqual((yield* limiter.snapshot).rejected, 0)
    })
  )

  it.scoped("admits by another rate once it is changed, and says so", () =>
    Effect.gen(function* () {
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1, options)
      const changes = yield* forked(Stream.runCollect(Stream.take(limiter.changes, 1)))
      const rate = RateLimiter.tokenBucket({ limit: 1000, per: "1 second" })
      yield* limiter.setRate(rate)
      assert.deepInclude([...(yield* Fiber.join(changes))][0], { from: bucket, to: rate })
      assert.deepInclude(yield* limiter.snapshot, { rate })
      assert.isTrue(yield* limiter.tryAcquire(mode === "leased" ? 500 : 1000))
      const refused = yield* refusalOf(limiter.setRate(RateLimiter.bursty({ limit: 1, per: "1 second" })))
      assert.include(refused.message, 'RateLimiter.setRate: option "rate" must be')
    })
  )

  it.scoped("promises a turn for later, which counts for all, and takes it back", () =>
    Effect.gen(function* () {
      const [one, other] = yield* limitersIn(new Fleet(), 2, options)
      yield* one.limiter.acquire(mode === "leased" ? 50 : 100)
      const { cancel, wait } = yield* one.limiter.reserve(10)
      assert.strictEqual(Duration.toMillis(wait), 100)
      assert.strictEqual((yield* one.limiter.snapshot).queued, 1)
      yield* TestClock.adjust("100 millis")
      assert.isFalse(yield* other.limiter.tryAcquire())
      yield* cancel
      yield* cancel
      yield* TestClock.adjust("130 millis")
      assert.isTrue(yield* other.limiter.tryAcquire(10))
    })
  )

  it.scoped("shows an observer what leaves the queue, and each permit given back", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      let queued = 0
      const observer = Observer.make((given) => {
        const event = given as RateLimiter.Event
        if (event._tag === "Queued") queued += 1
        if (event._tag === "Dequeued") queued -= 1
        seen.push(event._tag === "Dequeued" ? `${event._tag} ${event.reason}` : event._tag)
      })
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1, { ...options, maxWait: "5 seconds" }).pipe(
        Effect.provideService(Observer.Observer, observer)
      )
      const compare = Effect.map(limiter.snapshot, (snapshot) => assert.strictEqual(queued, snapshot.queued))
      yield* limiter.acquire(mode === "leased" ? 50 : 100)
      const first = yield* forked(limiter.acquire(20))
      const second = yield* forked(limiter.acquire(10))
      yield* compare
      yield* Fiber.interrupt(first)
      yield* compare
      const free = limiter.protectWhen({ ignore: { result: () => true } })
      yield* TestClock.adjust("300 millis")
      yield* Fiber.join(second)
      yield* TestClock.adjust("2 seconds")
      yield* free(Effect.void)
      assert.deepStrictEqual(seen.splice(0), [
        "Admitted",
        "Queued",
        "Queued",
        "Dequeued left",
        "Dequeued admitted",
        "Admitted",
        "Admitted",
        "GivenBack"
      ])
      yield* limiter.acquire(mode === "leased" ? 50 : 100)
      const { cancel } = yield* limiter.reserve(5)
      yield* compare
      yield* cancel
      yield* compare
      const { cancel: late, wait } = yield* limiter.reserve(5)
      yield* TestClock.adjust(wait)
      yield* late
      yield* compare
      yield* forked(limiter.acquire(40))
      yield* limiter.setRate(RateLimiter.tokenBucket({ limit: 10, per: "1 second" }))
      yield* settled
      yield* compare
      assert.deepStrictEqual(seen, [
        "Admitted",
        "Queued",
        "Dequeued left",
        "Queued",
        "Dequeued admitted",
        "GivenBack",
        "Queued",
        "Dequeued rejected",
        "RateChanged",
        "Rejected"
      ])
    })
  )

  it.scoped("says what it knows without asking the store", () =>
    Effect.gen(function* () {
      const [{ limiter, wire }] = yield* limitersIn(new Fleet(), 1, options)
      assert.strictEqual(yield* limiter.available, mode === "leased" ? 50 : 100)
      yield* limiter.acquire(30)
      wire.state = "silent"
      assert.strictEqual(yield* limiter.available, mode === "leased" ? 20 : 70)
      assert.deepInclude(yield* limiter.snapshot, {
        name: "partner",
        admitted: 1,
        rejected: 0,
        retryAfter: 0
      })
    })
  )

  it.scoped("rejects a cost that the store never grants, without a time", () =>
    Effect.gen(function* () {
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1, options)
      const rejection = yield* Effect.flip(limiter.acquire(101))
      assert.deepInclude(rejection, { reason: "cost", retryAfter: undefined })
      assert.isFalse(yield* limiter.tryAcquire(101))
      assert.deepInclude(yield* Effect.flip(limiter.reserve(101)), { reason: "cost" })
    })
  )

  it.scoped("keeps to its share while the store is away, and rejoins by itself", () =>
    Effect.gen(function* () {
      const [one, other] = yield* limitersIn(new Fleet(), 2, options)
      yield* TestClock.adjust("3 seconds")
      one.wire.state = other.wire.state = "dead"
      yield* TestClock.adjust("3 seconds")
      const ran = []
      for (let second = 0; second < 3; second++) {
        let sum = 0
        for (let part = 0; part < 10; part++) {
          sum += yield* calls(one.limiter, 20)
          yield* TestClock.adjust("100 millis")
        }
        ran.push(sum)
      }
      // Half of the rate, and before that an eighth of the burst that was saved up.
      assert.isAtMost(ran[0], 50 + 12)
      assert.deepStrictEqual(ran.slice(1), [50, 50])
      one.wire.state = other.wire.state = "up"
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* calls(one.limiter, 200), mode === "leased" ? 50 : 100)
    })
  )

  it.scoped("rejects while the store is away, where it is told to, with a time to come back", () =>
    Effect.gen(function* () {
      const share = mode === "leased" ? Share.leasedRate : Share.inlineRate
      const [{ limiter, wire }] = yield* limitersIn(new Fleet(), 1, {
        share: share({ onStoreFailure: "reject" })
      })
      yield* TestClock.adjust("3 seconds")
      wire.state = "dead"
      yield* TestClock.adjust("3 seconds")
      const rejection = yield* Effect.flip(limiter.acquire())
      assert.deepInclude(rejection, { reason: "rate", retryAfter: Duration.seconds(1) })
      wire.state = "up"
      yield* TestClock.adjust("10 seconds")
      yield* limiter.acquire()
    })
  )

  it.scoped("waits for an answer no longer than the store's deadline", () =>
    Effect.gen(function* () {
      const [{ limiter, wire }] = yield* limitersIn(new Fleet(), 1, options)
      wire.state = "silent"
      const call = yield* forked(Effect.either(limiter.acquire()))
      yield* TestClock.adjust("499 millis")
      assert.isNull(call.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Either.isLeft(yield* Fiber.join(call)))
    })
  )
})

describe("a limiter that leases", () => {
  it.scoped("shows its mode", () =>
    Effect.gen(function* () {
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1)
      assert.strictEqual(
        Policy.describe(limiter),
        'rate-limiter "partner"(rate: tokenBucket(limit: 100, per: 1s, burst: 100), share: { mode: leased, period: 125ms, onStoreFailure: share })'
      )
    })
  )

  it.scoped("gives back what it holds when it is idle, for the others to use", () =>
    Effect.gen(function* () {
      const [one, other] = yield* limitersIn(new Fleet(), 2)
      for (let part = 0; part < 20; part++) {
        yield* calls(one.limiter, 4)
        yield* TestClock.adjust("50 millis")
      }
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* calls(other.limiter, 100), 50)
    })
  )

  it.scoped("asks for few of its calls, and the others take no turn of the event loop", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const process = yield* fleet.process()
      let asked = 0
      const store: SharedStore.Service = {
        ...process.store,
        take: (request) => {
          asked += 1
          return process.store.take(request)
        }
      }
      const limiter = yield* make({ store })
      for (let call = 0; call < 240; call++) {
        yield* limiter.acquire()
        if (call % 2 === 1) yield* TestClock.adjust("25 millis")
      }
      assert.isBelow(asked, 60)
    })
  )
})

describe("a limiter that asks for every call", () => {
  it.scoped("shows its mode", () =>
    Effect.gen(function* () {
      const [{ limiter }] = yield* limitersIn(new Fleet(), 1, inline())
      assert.include(Policy.describe(limiter), "share: { mode: inline, onStoreFailure: share }")
    })
  )

  it.scoped("answers as redis-cell does: at once, and then a call for each tenth of a second", () =>
    Effect.gen(function* () {
      const [one, other] = yield* limitersIn(new Fleet(), 2, inline())
      assert.strictEqual(yield* calls(one.limiter, 1), 1)
      assert.strictEqual(yield* calls(other.limiter, 3), 1)
      assert.deepInclude(yield* Effect.flip(one.limiter.acquire()), { retryAfter: Duration.millis(100) })
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(yield* calls(one.limiter, 1), 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* calls(one.limiter, 1), 1)
    })
  )

  it.scoped("keeps calls of a smooth rate apart, in whatever process they are made", () =>
    Effect.gen(function* () {
      const rate = RateLimiter.smooth({ limit: 10, per: "1 second" })
      const [one, other] = yield* limitersIn(new Fleet(), 2, inline({ rate, maxWait: "1 second" }))
      yield* one.limiter.acquire(3)
      const call = yield* forked(other.limiter.protect(up))
      yield* TestClock.adjust("299 millis")
      assert.isNull(call.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(call), "up")
    })
  )
})

describe("a limiter is refused where it is made", () => {
  const store = SharedStore.memory
  const refused = (options: RateLimiter.Options) =>
    Effect.map(
      refusalOf(
        Effect.provide(
          RateLimiter.make(options) as Effect.Effect<unknown, never, SharedStore.SharedStore>,
          store
        )
      ),
      ({ message }) => message
    )
  const rows: ReadonlyArray<readonly [string, Partial<RateLimiter.Options>, string]> = [
    [
      "without a name",
      { name: undefined },
      'option "name" must be given, for the limiters of a fleet with "share"'
    ],
    [
      "with a lease of a smooth rate",
      { rate: RateLimiter.smooth({ limit: 1, per: 1 }) },
      'option "rate" must be a token bucket, to be leased'
    ],
    [
      "with a sliding window",
      { rate: RateLimiter.slidingWindow({ limit: 1, per: 1 }), share: Share.inlineRate() },
      'option "rate" must be smooth or a token bucket, to be shared'
    ],
    [
      "with a burst that cannot be divided",
      { rate: ten },
      'option "rate.burst" must be at least 4, to be leased, got 2'
    ],
    [
      "with a period for which the burst has no room",
      { share: Share.leasedRate({ period: "126 millis" }) },
      'option "share.period" must be at most 125ms, for this rate and burst, got "126ms"'
    ],
    [
      "with a cost that the store never grants",
      { cost: 51 },
      'option "cost" must be at most what the store grants at once (50), got 51'
    ]
  ]
  it.effect.each(rows)("%s", ([, options, message]) =>
    Effect.gen(function* () {
      const text = yield* refused({ name: "partner", rate: bucket, share: Share.leasedRate(), ...options })
      assert.strictEqual(
        text,
        `RateLimiter.make: ${message}${/got/.test(message) ? "" : text.slice(text.indexOf(", got", 20))}`
      )
    })
  )

  it("with options of a share that are none", () => {
    assert.throws(() => Share.leasedRate({ period: 0 }), 'Share.leasedRate: option "period"')
    assert.throws(
      () => Share.inlineRate({ onStoreFailure: "open" as never }),
      'Share.inlineRate: option "onStoreFailure"'
    )
    assert.throws(
      () => Share.inlineRate({ period: 1 } as never),
      'option "period" must be one of "onStoreFailure"'
    )
  })

  it.effect("by key, before there is a call", () =>
    Effect.gen(function* () {
      const keyed = RateLimiter.keyed({ options: { name: "users", rate: ten, share: Share.leasedRate() } })
      const { message } = yield* refusalOf(Effect.provide(keyed, store))
      assert.include(message, 'RateLimiter.keyed: option "options.rate.burst" must be at least 4')
    })
  )
})
