import { assert, describe, it } from "@effect/vitest"
import {
  Chunk,
  Config,
  ConfigError,
  ConfigProvider,
  Context,
  Duration,
  Effect,
  Fiber,
  Layer,
  Stream,
  TestClock
} from "effect"
import { Policy, RateLimiter } from "effect-resilience"
import { refusalOf, settled, up } from "../support/calls.js"

class Partner extends RateLimiter.Tag("Partner")<Partner>() {}
class Other extends RateLimiter.Tag("Other")<Other>() {}

const rate = RateLimiter.bursty({ limit: 2, per: "1 second" })

describe("a tag", () => {
  it.effect("is a limiter shared by all calls that name it, and not that of another tag", () =>
    Effect.gen(function* () {
      yield* up.pipe(Partner.protect)
      yield* Partner.protect(up)
      const error = yield* Effect.flip(up.pipe(Partner.protect))
      assert.deepInclude(error, { name: "Partner", limit: 2, retryAfter: Duration.seconds(1) })
      assert.strictEqual(yield* Other.protect(up), "up")
    }).pipe(Effect.provide(Layer.merge(Partner.layer({ rate }), Other.layer({ rate }))))
  )

  it.effect("offers everything that the limiter does", () =>
    Effect.gen(function* () {
      const limiter = yield* Partner
      const changes = yield* Effect.fork(Stream.runCollect(Stream.take(Partner.changes, 1)))
      yield* settled
      assert.isTrue(yield* Partner.tryAcquire())
      assert.strictEqual(yield* Partner.available, 1)
      yield* Partner.acquire(1)
      assert.isFalse(yield* Partner.tryAcquire(1))
      const { cancel, wait } = yield* Partner.reserve()
      assert.deepStrictEqual(wait, Duration.seconds(1))
      assert.deepStrictEqual(yield* Partner.snapshot, yield* limiter.snapshot)
      yield* cancel
      yield* TestClock.adjust("1 second")
      yield* up.pipe(Partner.withCost(2))
      assert.strictEqual(yield* Partner.available, 0)
      yield* Partner.setRate(RateLimiter.bursty({ limit: 5, per: "1 second" }))
      assert.strictEqual(yield* Partner.available, 3)
      assert.strictEqual(Chunk.size(yield* Fiber.join(changes)), 1)
    }).pipe(Effect.provide(Partner.layer({ rate })))
  )

  it.effect("takes conditions and costs, for whichever limiter is there", () =>
    Effect.gen(function* () {
      const call = Effect.succeed(304).pipe(
        Partner.protectWhen({ ignore: { result: (status) => status === 304 } })
      )
      const both = Effect.all([call, up.pipe(Partner.withCost(2)), Partner.available])
      for (let run = 0; run < 2; run++) {
        assert.deepStrictEqual(yield* Effect.provide(both, Partner.layer({ rate })), [304, "up", 0])
      }
    })
  )

  it("describes its policies before there is a limiter, and refuses a cost that is none", () => {
    assert.strictEqual(Policy.describe(Partner.protect), 'rate-limiter "Partner"()')
    assert.strictEqual(Policy.describe(Partner.protectWhen({})), 'rate-limiter "Partner"()')
    assert.strictEqual(Policy.describe(Partner.withCost(3)), 'rate-limiter "Partner"(cost: 3)')
    assert.strictEqual(Policy.describe(RateLimiter.protect), "rate-limiter()")
    assert.throws(() => Partner.withCost(0), Policy.InvalidOption)
  })

  it.effect("has listeners that get their services where the layer is made", () =>
    Effect.gen(function* () {
      class Desk extends Context.Tag("Desk")<Desk, Array<string>>() {}
      const desk: Array<string> = []
      const live = Partner.layer({
        rate,
        name: "partner-eu",
        onAdmitted: ({ name }) => Effect.map(Desk, (desk) => desk.push(name))
      }).pipe(Layer.provide(Layer.succeed(Desk, desk)))
      yield* Effect.provide(Partner.protect(up), live)
      assert.deepStrictEqual(desk, ["partner-eu"])
    })
  )

  it.effect("whose layer has bad options dies with what is wrong", () =>
    Effect.gen(function* () {
      const defect = yield* refusalOf(Effect.provide(Partner.acquire(), Partner.layer({ rate, cost: 3 })))
      assert.strictEqual(defect.option, "cost")
    })
  )
})

describe("the limiter of a program that has just one", () => {
  it.effect("needs no tag", () =>
    Effect.gen(function* () {
      yield* up.pipe(RateLimiter.protectWhen({}))
      yield* up.pipe(RateLimiter.protect)
      assert.strictEqual((yield* Effect.flip(up.pipe(RateLimiter.withCost(1)))).name, "rate-limiter")
      assert.strictEqual(yield* RateLimiter.RateLimiter.available, 0)
    }).pipe(Effect.provide(RateLimiter.layer({ rate })))
  )
})

describe("settings from the configuration", () => {
  const settings = {
    rate: Config.map(Config.integer("LIMIT"), (limit) => RateLimiter.bursty({ limit, per: "1 second" })),
    maxWait: Config.duration("MAX_WAIT").pipe(Config.withDefault(Duration.zero)),
    maxQueued: Config.integer("MAX_QUEUED").pipe(Config.withDefault(10))
  }
  const given = (entries: ReadonlyArray<readonly [string, string]>) =>
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(entries)))

  it.effect("make a limiter, with listeners beside them", () =>
    Effect.gen(function* () {
      const heard: Array<number> = []
      const live = Partner.layerConfig(settings, {
        onAdmitted: ({ cost }) => Effect.sync(() => heard.push(cost))
      })
      const program = Effect.zipRight(Partner.acquire(3), Effect.flip(Partner.acquire()))
      const error = yield* program.pipe(Effect.provide(Layer.provide(live, given([["LIMIT", "3"]]))))
      assert.deepInclude(error, { name: "Partner", limit: 3 })
      assert.deepStrictEqual(heard, [3])
    })
  )

  const bad: ReadonlyArray<
    readonly [what: string, entries: ReadonlyArray<readonly [string, string]>, message: string]
  > = [
    ["missing", [], "LIMIT"],
    ["no number", [["LIMIT", "many"]], "LIMIT"],
    [
      "no rate",
      [["LIMIT", "0"]],
      '(Invalid data at LIMIT: "Partner.layerConfig: option "rate.limit" must be a whole number from 1 to 10000000, got 0")'
    ],
    [
      "out of range",
      [
        ["LIMIT", "1"],
        ["MAX_QUEUED", "-1"]
      ],
      '(Invalid data at MAX_QUEUED: "Partner.layerConfig: option "maxQueued" must be a whole number of at least 0, got -1")'
    ]
  ]
  for (const [what, entries, message] of bad) {
    it.effect(`that are ${what} are an error of the configuration that says so`, () =>
      Effect.gen(function* () {
        const live = Layer.provide(Partner.layerConfig(settings), given(entries))
        const error = yield* Effect.flip(Effect.provide(Partner.acquire(), live))
        assert.isTrue(ConfigError.isConfigError(error))
        assert.include(String(error), message)
      })
    )
  }

  it.effect("can be those of the one limiter", () =>
    Effect.gen(function* () {
      const live = Layer.provide(RateLimiter.layerConfig(settings), given([["LIMIT", "7"]]))
      assert.strictEqual(yield* Effect.provide(RateLimiter.RateLimiter.available, live), 7)
    })
  )
})
