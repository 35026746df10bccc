import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Config,
  ConfigError,
  ConfigProvider,
  Context,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Stream,
  TestClock
} from "effect"
import { CircuitBreaker, FailureCondition, Policy, Trip } from "effect-resilience"
import { down, refusalOf, settled, up } from "../support/calls.js"

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Other extends CircuitBreaker.Tag("Other")<Other>() {}

const fails = Effect.exit(Partner.protect(down))

describe("a tag", () => {
  it.effect("is a breaker shared by all calls that name it", () =>
    Effect.gen(function* () {
      yield* fails
      yield* Effect.exit(down.pipe(Partner.protect))
      assert.strictEqual(yield* Partner.state, "open")
      const error = yield* Effect.flip(up.pipe(Partner.protect))
      assert.deepInclude(error, { name: "Partner", retryAfter: Duration.seconds(15) })
    }).pipe(Effect.provide(Partner.layer({ trip: Trip.consecutive(2), openFor: "15 seconds" })))
  )

  it.effect("is not the breaker of another tag, even with the same options", () =>
    Effect.gen(function* () {
      yield* fails
      assert.deepStrictEqual([yield* Partner.state, yield* Other.state], ["open", "closed"])
      assert.strictEqual(yield* Other.protect(up), "up")
    }).pipe(
      Effect.provide(
        Layer.merge(Partner.layer({ trip: Trip.consecutive(1) }), Other.layer({ trip: Trip.consecutive(1) }))
      )
    )
  )

  it.effect("has a layer that is made once, however many services need it", () =>
    Effect.gen(function* () {
      class Offers extends Context.Tag("Offers")<Offers, CircuitBreaker.CircuitBreaker>() {}
      class Orders extends Context.Tag("Orders")<Orders, CircuitBreaker.CircuitBreaker>() {}
      const live = Partner.layer({})
      const services = Layer.merge(
        Layer.provide(Layer.effect(Offers, Partner), live),
        Layer.provide(Layer.effect(Orders, Partner), live)
      )
      const { offers, orders } = yield* Effect.all({ offers: Offers, orders: Orders }).pipe(
        Effect.provide(services)
      )
      assert.strictEqual(offers, orders)
      const again = yield* Effect.provide(Offers, services)
      assert.notStrictEqual(again, offers)
    })
  )

  it.effect("offers everything that the breaker does", () =>
    Effect.gen(function* () {
      const breaker = yield* Partner
      const changes = yield* Effect.fork(Stream.runCollect(Stream.take(Partner.changes, 8)))
      yield* settled
      const states: Array<string> = []
      for (const verb of [
        Partner.open,
        Partner.close,
        Partner.halfOpen,
        Partner.isolate,
        Partner.release,
        Partner.disable,
        Partner.enable,
        Partner.metricsOnly
      ]) {
        yield* verb
        states.push(yield* Partner.state)
        assert.deepStrictEqual(yield* Partner.snapshot, yield* breaker.snapshot)
        assert.deepStrictEqual(yield* Partner.remainingDelay, yield* breaker.remainingDelay)
      }
      assert.deepStrictEqual(states, [
        "open",
        "closed",
        "half-open",
        "isolated",
        "closed",
        "disabled",
        "closed",
        "metrics-only"
      ])
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(yield* Fiber.join(changes)).map(({ to }) => to),
        states
      )
      yield* Effect.scoped(
        Effect.flatMap(Partner.acquire, (permit) => Partner.record(permit, FailureCondition.failure))
      )
      assert.strictEqual((yield* breaker.snapshot).failures, 1)
      yield* Partner.reset
      assert.deepInclude(yield* breaker.snapshot, { state: "closed", failures: 0 })
    }).pipe(Effect.provide(Partner.layer()))
  )

  it.effect("takes conditions, for whichever breaker is there", () =>
    Effect.gen(function* () {
      const call = Effect.succeed(503).pipe(Partner.protectWhen({ result: (status) => status === 503 }))
      const once = Effect.zipRight(call, Partner.snapshot)
      for (let run = 0; run < 2; run++) {
        const { failures } = yield* Effect.provide(once, Partner.layer())
        assert.strictEqual(failures, 1)
      }
    })
  )

  it.effect("describes its policies before there is a breaker", () =>
    Effect.sync(() => {
      const condition = Partner.protectWhen<string, never>({})
      for (const policy of [Partner.protect, condition]) {
        assert.strictEqual(Policy.describe(policy), 'circuit-breaker "Partner"()')
      }
      assert.strictEqual(Policy.describe(CircuitBreaker.protect), "circuit-breaker()")
    })
  )

  it.effect("can be given another name in errors", () =>
    Effect.gen(function* () {
      yield* Partner.isolate
      assert.strictEqual((yield* Effect.flip(Partner.protect(up))).name, "partner-eu")
    }).pipe(Effect.provide(Partner.layer({ name: "partner-eu" })))
  )

  it.effect("has listeners that get their services where the layer is made", () =>
    Effect.gen(function* () {
      class Desk extends Context.Tag("Desk")<Desk, Array<string>>() {}
      const desk: Array<string> = []
      const live = Partner.layer({
        trip: Trip.consecutive(1),
        onOpen: ({ name }) => Effect.map(Desk, (desk) => desk.push(name))
      }).pipe(Layer.provide(Layer.succeed(Desk, desk)))
      yield* Effect.provide(fails, live)
      assert.deepStrictEqual(desk, ["Partner"])
    })
  )

  it.effect("whose layer has bad options dies with what is wrong", () =>
    Effect.gen(function* () {
      const defect = yield* refusalOf(Effect.provide(fails, Partner.layer({ halfOpen: { permits: 0 } })))
      assert.strictEqual(defect.option, "halfOpen.permits")
    })
  )
})

describe("the breaker of a program that has just one", () => {
  it.effect("needs no tag", () =>
    Effect.gen(function* () {
      yield* Effect.exit(down.pipe(CircuitBreaker.protectWhen({ error: (error) => error === "down" })))
      const error = yield* Effect.flip(up.pipe(CircuitBreaker.protect))
      assert.deepInclude(error, { name: "circuit-breaker", state: "open" })
      assert.strictEqual(yield* CircuitBreaker.CircuitBreaker.state, "open")
    }).pipe(Effect.provide(CircuitBreaker.layer({ trip: Trip.consecutive(1) })))
  )

  it.effect("can come from the configuration", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      assert.deepInclude(breaker.settings, { openFor: Duration.seconds(7) })
    }).pipe(
      Effect.provide(CircuitBreaker.layerConfig({ openFor: Config.duration("OPEN_FOR") })),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["OPEN_FOR", "7 seconds"]])))
    )
  )
})

describe("layerConfig", () => {
  const settings = {
    name: Config.string("NAME").pipe(Config.withDefault("partner")),
    trip: Config.map(Config.integer("FAILURES"), Trip.consecutive),
    openFor: Config.duration("OPEN_FOR").pipe(Config.withDefault("15 seconds")),
    maxOpenFor: Config.duration("MAX_OPEN_FOR").pipe(Config.withDefault("1 hour")),
    halfOpen: {
      permits: Config.integer("PERMITS").pipe(Config.withDefault(1)),
      successes: Config.all({
        count: Config.integer("SUCCESSES").pipe(Config.withDefault(1)),
        of: Config.integer("PROBES").pipe(Config.withDefault(1))
      })
    }
  }

  const withConfig = (map: Record<string, string>) =>
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(map))))

  it.effect("reads the settings", () =>
    Effect.gen(function* () {
      const breaker = yield* Partner
      assert.strictEqual(
        Policy.describe(breaker),
        'circuit-breaker "partner"(trip: consecutive(4), openFor: 3s, ' +
          "halfOpen: { permits: 2, successes: 2 of 3, maxWait: 30s })"
      )
    }).pipe(
      Effect.provide(Partner.layerConfig(settings)),
      withConfig({ FAILURES: "4", OPEN_FOR: "3 seconds", PERMITS: "2", SUCCESSES: "2", PROBES: "3" })
    )
  )

  it.effect("takes listeners beside the settings", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const live = Partner.layerConfig(settings, {
        onOpen: ({ name }) => Effect.sync(() => heard.push(name))
      })
      yield* fails.pipe(Effect.provide(live), withConfig({ FAILURES: "1" }))
      assert.deepStrictEqual(heard, ["partner"])
    })
  )

  const bad: ReadonlyArray<
    readonly [config: Record<string, string>, is: (error: ConfigError.ConfigError) => boolean, named: string]
  > = [
    [{}, ConfigError.isMissingData, "FAILURES"],
    [{ FAILURES: "many" }, ConfigError.isInvalidData, "FAILURES"],
    [
      { FAILURES: "0" },
      ConfigError.isInvalidData,
      'at FAILURES: "Partner.layerConfig: option "trip.count" must be a whole number of at least 1, got 0'
    ],
    [{ FAILURES: "1", OPEN_FOR: "soon" }, ConfigError.isInvalidData, "OPEN_FOR"],
    [
      { FAILURES: "1", OPEN_FOR: "-1 seconds" },
      ConfigError.isInvalidData,
      'at OPEN_FOR: "Partner.layerConfig: option "openFor" must be a finite duration greater than zero, got "-1 seconds"'
    ],
    [
      { FAILURES: "1", OPEN_FOR: "2 hours" },
      ConfigError.isInvalidData,
      '"openFor" must be at most "maxOpenFor" (1h)'
    ],
    [
      { FAILURES: "1", PERMITS: "0" },
      ConfigError.isInvalidData,
      '"halfOpen.permits" must be a whole number of at least 1, got 0'
    ],
    [
      { FAILURES: "1", SUCCESSES: "3", PROBES: "2" },
      ConfigError.isInvalidData,
      '"halfOpen.successes.count" must be at most "halfOpen.successes.of" (2), got 3'
    ],
    [
      { FAILURES: "1", NAME: "" },
      ConfigError.isInvalidData,
      '"name" must be a string that is not empty, got ""'
    ]
  ]

  for (const [config, is, named] of bad) {
    it.effect(`of ${JSON.stringify(config)} is a ConfigError that names what is wrong`, () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(
          Layer.build(Partner.layerConfig(settings)).pipe(Effect.scoped, withConfig(config))
        )
        const error = Option.getOrThrow(Option.flatMap(Exit.causeOption(exit), Cause.failureOption))
        assert.isTrue(is(error), String(error))
        assert.include(String(error), named)
      })
    )
  }
})

it.effect("a program that is given a layer once shares the breaker, and its clock, between its parts", () =>
  Effect.gen(function* () {
    yield* fails
    assert.strictEqual(yield* Partner.state, "open")
    yield* Partner.reset
    yield* fails
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(yield* Partner.protect(up), "up")
  }).pipe(Effect.provide(Partner.layer({ trip: Trip.consecutive(1), openFor: "10 seconds" })))
)
