import type { Layer, Scope, Exit } from "effect"
import { Config, type ConfigError, Context, Data, Effect, pipe } from "effect"
import { describe, expect, test } from "tstyche"
import * as Cache from "../../src/cache/Cache.js"
import type * as Policy from "../../src/policy/Policy.js"

class Unavailable extends Data.TaggedError("Unavailable") {}
class Gone extends Data.TaggedError("Gone") {}
class Http extends Context.Tag("Http")<Http, "http">() {}
class Journal extends Context.Tag("Journal")<Journal, "journal">() {}

declare const fetchOffer: (id: string) => Effect.Effect<number, Unavailable | Gone, Http>
declare const journal: Effect.Effect<void, "full", Journal>

class Offers extends Cache.Tag("Offers")<Offers, string, number, Unavailable | Gone>() {}
class Rates extends Cache.StoreTag("Rates")<Rates, string, number, Unavailable>() {}

type Offer = Effect.Effect<number, Unavailable | Gone>

describe("Cache.make", () => {
  test("takes its types from the lookup, and requires what lookup and listeners require", () => {
    expect(Cache.make({ lookup: fetchOffer, timeToLive: "1 minute" })).type.toBe<
      Effect.Effect<Cache.Cache<string, number, Unavailable | Gone>, never, Scope.Scope | Http>
    >()
    expect(
      Cache.make({
        lookup: fetchOffer,
        timeToLive: "1 minute",
        onMiss: () => journal,
        onHit: () => Effect.void
      })
    ).type.toBe<
      Effect.Effect<Cache.Cache<string, number, Unavailable | Gone>, never, Scope.Scope | Http | Journal>
    >()
    expect(Cache.make({ lookup: (id: number) => Effect.succeed(id), timeToLive: 0 })).type.toBe<
      Effect.Effect<Cache.Cache<number, number, never>, never, Scope.Scope>
    >()
  })

  test("gives functions among the options the types of the lookup", () => {
    const made = Cache.make({
      lookup: fetchOffer,
      timeToLive: (exit, key) => {
        expect(exit).type.toBe<Exit.Exit<number, Unavailable | Gone>>()
        expect(key).type.toBe<string>()
        return "1 minute"
      },
      staleIfError: (failed, key) => {
        expect(failed).type.toBe<Cache.Failed<Unavailable | Gone>>()
        expect(key).type.toBe<string>()
        return failed._tag === "Error" && failed.error._tag === "Gone" ? 0 : "1 hour"
      },
      onRefresh: (event) => {
        expect(event).type.toBe<Cache.Refresh<string, number, Unavailable | Gone>>()
        return Effect.void
      },
      onStale: ({ key, state }) => {
        expect(key).type.toBe<string>()
        expect(state).type.toBe<"revalidating" | "stale" | "error-stale">()
        return Effect.void
      }
    })
    expect(made).type.toBe<
      Effect.Effect<Cache.Cache<string, number, Unavailable | Gone>, never, Scope.Scope | Http>
    >()
  })

  test("rejects what no cache has", () => {
    expect(Cache.make).type.not.toBeCallableWith({ timeToLive: "1 minute" })
    expect(Cache.make).type.not.toBeCallableWith({ lookup: fetchOffer })
    expect(Cache.make).type.not.toBeCallableWith({ lookup: fetchOffer, timeToLive: "soon" })
    expect(Cache.make).type.not.toBeCallableWith({ lookup: fetchOffer, timeToLive: 1, ttl: 1 })
    expect(Cache.make).type.not.toBeCallableWith({ lookup: fetchOffer, timeToLive: 1, earlyRefresh: true })
    expect(Cache.make).type.not.toBeCallableWith({ lookup: fetchOffer, timeToLive: 1, onHit: () => 1 })
    expect(Cache.make({ lookup: fetchOffer, timeToLive: 1, maxAge: undefined })).type.toBe<
      Effect.Effect<Cache.Cache<string, number, Unavailable | Gone>, never, Scope.Scope | Http>
    >()
  })
})

describe("what can be done with a cache", () => {
  const cache: Cache.Cache<string, number, Unavailable | Gone> = null!

  test("adds no error and requires nothing", () => {
    expect(cache.get("a")).type.toBe<Offer>()
    expect(cache.refresh("a")).type.toBe<Offer>()
    expect(cache.serve("a")).type.toBe<Effect.Effect<Cache.Served<number>, Unavailable | Gone>>()
    expect(cache.set("a", 1)).type.toBe<Effect.Effect<void>>()
    expect(cache.get).type.not.toBeCallableWith(1)
    expect(cache.set).type.not.toBeCallableWith("a", "1")
    expect(cache).type.toBeAssignableTo<Policy.Described>()
    expect(cache).type.toBeAssignableTo<Cache.Store<string, number, Unavailable | Gone>>()
  })

  test("a piped effect keeps its requirements and has the types of the cache", () => {
    expect(fetchOffer("a").pipe(cache.cached("a"))).type.toBe<
      Effect.Effect<number, Unavailable | Gone, Http>
    >()
    expect(pipe(fetchOffer("a"), cache.served("a"))).type.toBe<
      Effect.Effect<Cache.Served<number>, Unavailable | Gone, Http>
    >()
    // What was stored may have failed as another effect did.
    expect(Effect.succeed(1).pipe(cache.cached("a"))).type.toBe<Offer>()
    expect(cache.cached("a")).type.not.toBeCallableWith(Effect.succeed("1"))
    expect(cache.cached("a")).type.not.toBeCallableWith(Effect.fail("another"))
  })
})

describe("Cache.makeStore", () => {
  test("has the types it is given", () => {
    const makeStore = Cache.makeStore<string, number, Unavailable>()
    expect(makeStore({ timeToLive: (_, key) => key.length, onEvict: () => journal })).type.toBe<
      Effect.Effect<Cache.Store<string, number, Unavailable>, never, Scope.Scope | Journal>
    >()
    expect(makeStore).type.not.toBeCallableWith({})
    expect(makeStore).type.not.toBeCallableWith({ timeToLive: 1, lookup: fetchOffer })
    expect(makeStore({ timeToLive: 1 })).type.not.toBeAssignableTo<
      Effect.Effect<Cache.Cache<string, number, Unavailable>, never, Scope.Scope>
    >()
  })
})

describe("Cache.Tag", () => {
  test("requires the service", () => {
    expect(Offers.get("a")).type.toBe<Effect.Effect<number, Unavailable | Gone, Offers>>()
    expect(Offers.serve("a")).type.toBe<Effect.Effect<Cache.Served<number>, Unavailable | Gone, Offers>>()
    expect(fetchOffer("a").pipe(Offers.cached("a"))).type.toBe<
      Effect.Effect<number, Unavailable | Gone, Http | Offers>
    >()
    expect(Offers.snapshot).type.toBe<Effect.Effect<Cache.Snapshot, never, Offers>>()
    expect(Offers.invalidateAll).type.toBe<Effect.Effect<void, never, Offers>>()
    expect(Offers).type.toBeAssignableTo<
      Context.Tag<Offers, Cache.Cache<string, number, Unavailable | Gone>>
    >()
  })

  test("has layers that require what lookup and listeners require", () => {
    expect(Offers.layer({ lookup: fetchOffer, timeToLive: "1 minute" })).type.toBe<
      Layer.Layer<Offers, never, Http>
    >()
    expect(
      Offers.layer({ lookup: (id) => Effect.succeed(id.length), timeToLive: 1, onMiss: () => journal })
    ).type.toBe<Layer.Layer<Offers, never, Journal>>()
    expect(Offers.layer).type.not.toBeCallableWith({ timeToLive: 1 })
    expect(Offers.layer).type.not.toBeCallableWith({
      lookup: (id: string) => Effect.fail(id),
      timeToLive: 1
    })
    expect(
      Offers.layerConfig(
        { timeToLive: Config.duration("TTL") },
        { lookup: fetchOffer, onMiss: () => journal }
      )
    ).type.toBe<Layer.Layer<Offers, ConfigError.ConfigError, Http | Journal>>()
  })
})

describe("Cache.StoreTag", () => {
  test("requires the service, and has no lookup", () => {
    expect(Effect.succeed(1).pipe(Rates.cached("EUR"))).type.toBe<Effect.Effect<number, Unavailable, Rates>>()
    expect(Effect.succeed(1).pipe(Rates.served("EUR"))).type.toBe<
      Effect.Effect<Cache.Served<number>, Unavailable, Rates>
    >()
    expect(Rates).type.not.toHaveProperty("get")
    expect(Rates.layer({ timeToLive: "10 seconds" })).type.toBe<Layer.Layer<Rates>>()
    expect(Rates.layerConfig({ timeToLive: Config.duration("TTL") })).type.toBe<
      Layer.Layer<Rates, ConfigError.ConfigError>
    >()
  })
})
