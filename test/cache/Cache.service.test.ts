import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  ConfigProvider,
  Config,
  Context,
  Duration,
  Effect,
  Exit,
  Layer,
  Option,
  TestClock
} from "effect"
import { Cache } from "effect-resilience"

class Offers extends Cache.Tag("Offers")<Offers, string, number, "down">() {}
class Rates extends Cache.StoreTag("Rates")<Rates, string, number, "down">() {}

const lookup = (key: string): Effect.Effect<number, "down"> =>
  key === "" ? Effect.fail("down") : Effect.succeed(key.length)

describe("a tag of a cache", () => {
  it.effect("offers what the cache behind it offers", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Offers.get("abc"), 3)
      assert.deepStrictEqual(yield* Offers.serve("abc"), { value: 3, state: "fresh", age: Duration.zero })
      assert.strictEqual(yield* Effect.flip(Offers.get("")), "down")
      assert.strictEqual(yield* Effect.succeed(7).pipe(Offers.cached("piped")), 7)
      assert.strictEqual((yield* Effect.succeed(8).pipe(Offers.served("piped"))).value, 7)
      yield* Offers.set("abc", 4)
      assert.strictEqual(yield* Offers.get("abc"), 4)
      assert.strictEqual(yield* Offers.refresh("abc"), 3)
      yield* Offers.invalidate("abc")
      assert.deepInclude(yield* Offers.snapshot, { name: "Offers", size: 1 })
      yield* Offers.invalidateAll
      assert.strictEqual((yield* Offers.snapshot).size, 0)
      assert.strictEqual((yield* Offers).name, "Offers")
    }).pipe(Effect.provide(Offers.layer({ lookup, timeToLive: "1 minute" })))
  )

  it.effect("has layers of which each makes one cache, for all that it is given to", () =>
    Effect.gen(function* () {
      const live = Offers.layer({ lookup, timeToLive: "1 minute" })
      const use = Effect.zipRight(Offers.get("abc"), Offers.snapshot)
      const twice = Effect.zipRight(use, use)
      assert.strictEqual((yield* Effect.provide(twice, live)).lookups, 1)
      assert.strictEqual((yield* Effect.provide(use, live)).lookups, 1)
    })
  )

  it.effect("ends the cache with its layer", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const hanging = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
      const live = Offers.layer({
        name: "hanging",
        lookup: (key) => (key === "slow" ? hanging : lookup(key)),
        timeToLive: 0,
        staleWhileRevalidate: "1 minute"
      })
      const cache = yield* Effect.gen(function* () {
        yield* Effect.forkDaemon(Effect.exit(Offers.get("slow")))
        yield* TestClock.adjust(0)
        return yield* Offers
      }).pipe(Effect.provide(live))
      assert.strictEqual(interrupted, 1)
      assert.deepStrictEqual(
        yield* Effect.exit(cache.get("a")),
        Exit.die(new Cache.CacheClosed({ name: "hanging" }))
      )
    })
  )

  it.effect("gives the lookup and the listeners what the layer is given", () =>
    Effect.gen(function* () {
      class Source extends Context.Tag("Source")<Source, number>() {}
      const heard: Array<number> = []
      const live = Offers.layer({
        lookup: () => Source,
        timeToLive: "1 minute",
        onMiss: () => Effect.map(Source, (number) => heard.push(number))
      }).pipe(Layer.provide(Layer.succeed(Source, 42)))
      assert.strictEqual(yield* Effect.provide(Offers.get("a"), live), 42)
      assert.deepStrictEqual(heard, [42])
    })
  )

  const configured = (settings: ReadonlyArray<readonly [string, string]>) =>
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(settings)))

  it.effect("takes its settings from the configuration", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const live = Offers.layerConfig(
        {
          timeToLive: Config.duration("TTL"),
          capacity: Config.integer("CAPACITY").pipe(Config.withDefault(10)),
          staleIfError: Config.duration("STALE")
        },
        { lookup, onMiss: ({ key }) => Effect.sync(() => heard.push(key)) }
      )
      const program = Effect.gen(function* () {
        yield* Offers.get("abc")
        return (yield* Offers).settings
      })
      const settings = yield* program.pipe(
        Effect.provide(live),
        configured([
          ["TTL", "5 seconds"],
          ["STALE", "1 hour"]
        ])
      )
      assert.deepInclude(settings, {
        capacity: 10,
        timeToLive: Duration.seconds(5),
        staleIfError: Duration.hours(1)
      })
      assert.deepStrictEqual(heard, ["abc"])
    })
  )

  it.effect("makes a bad setting an error of the configuration", () =>
    Effect.gen(function* () {
      const live = Rates.layerConfig({
        timeToLive: Config.duration("TTL"),
        maxAge: Config.duration("MAX_AGE")
      })
      const failure = (settings: ReadonlyArray<readonly [string, string]>) =>
        Effect.map(Effect.exit(Rates.snapshot.pipe(Effect.provide(live), configured(settings))), (exit) =>
          String(Option.getOrThrow(Option.flatMap(Exit.causeOption(exit), Cause.failureOption)))
        )
      assert.include(yield* failure([["TTL", "1 second"]]), "MAX_AGE")
      assert.include(
        yield* failure([
          ["TTL", "1 hour"],
          ["MAX_AGE", "1 minute"]
        ]),
        'Rates.layerConfig: option "timeToLive" must be at most "maxAge" (1m)'
      )
    })
  )

  it.effect("refuses bad options as make does", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(
        Effect.provide(Offers.get("a"), Offers.layer({ lookup, timeToLive: "1 minute", capacity: 0 }))
      )
      assert.include(String(exit), "capacity")
    })
  )
})

describe("a tag of a store", () => {
  it.effect("offers what the store behind it offers", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* lookup("abc").pipe(Rates.cached("abc")), 3)
      assert.strictEqual(yield* Effect.fail("down" as const).pipe(Rates.cached("abc")), 3)
      assert.strictEqual((yield* lookup("").pipe(Rates.served("abc"))).value, 3)
      yield* Rates.set("abc", 4)
      assert.strictEqual(yield* lookup("abc").pipe(Rates.cached("abc")), 4)
      yield* Rates.invalidate("abc")
      yield* Rates.invalidateAll
      assert.deepInclude(yield* Rates.snapshot, { name: "Rates", size: 0 })
      assert.strictEqual((yield* Rates).kind, "cache")
    }).pipe(Effect.provide(Rates.layer({ timeToLive: "1 minute" })))
  )

  it.effect("takes its settings from the configuration, with listeners beside it", () =>
    Effect.gen(function* () {
      let misses = 0
      const live = Rates.layerConfig(
        { timeToLive: Config.succeed("1 minute") },
        { onMiss: () => Effect.sync(() => misses++) }
      )
      yield* lookup("a").pipe(Rates.cached("a"), Effect.provide(live))
      assert.strictEqual(misses, 1)
    })
  )
})
