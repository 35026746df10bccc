import type { Layer, Scope, Effect } from "effect"
import { Config, type ConfigError, Context, Schema } from "effect"
import { describe, expect, test } from "tstyche"
import * as Cache from "../../src/cache/Cache.js"
import * as Share from "../../src/fleet/Share.js"
import type { SharedStore } from "../../src/fleet/SharedStore.js"

class Http extends Context.Tag("Http")<Http, "http">() {}
class Keys extends Context.Tag("Keys")<Keys, "keys">() {}
class Key extends Schema.Class<Key>("Key")({ id: Schema.Number }) {}

declare const fetchOffer: (id: string) => Effect.Effect<number, "unavailable", Http>
declare const fetchById: (key: Key) => Effect.Effect<number, "unavailable">
/** Needs the keys to decrypt a value. */
declare const Secret: Schema.Schema<number, string, Keys>

class Offers extends Cache.Tag("Offers")<Offers, string, number, "unavailable">() {}
class Rates extends Cache.StoreTag("Rates")<Rates, string, number>() {}

const value = Schema.Number

describe("a shared cache", () => {
  test("requires the store, what its schemas require, and what its lookup does", () => {
    expect(Cache.make({ lookup: fetchOffer, timeToLive: 1, share: Share.values({ value }) })).type.toBe<
      Effect.Effect<Cache.Cache<string, number, "unavailable">, never, Scope.Scope | Http | SharedStore>
    >()
    expect(
      Cache.make({ lookup: fetchOffer, timeToLive: 1, share: Share.values({ value: Secret }) })
    ).type.toBe<
      Effect.Effect<
        Cache.Cache<string, number, "unavailable">,
        never,
        Scope.Scope | Http | SharedStore | Keys
      >
    >()
    expect(
      Offers.layer({ lookup: fetchOffer, timeToLive: 1, share: Share.values({ value: Secret }) })
    ).type.toBe<Layer.Layer<Offers, never, Http | SharedStore | Keys>>()
    expect(Rates.layer({ timeToLive: 1, share: Share.values({ value }) })).type.toBe<
      Layer.Layer<Rates, never, SharedStore>
    >()
    expect(
      Offers.layerConfig(
        { timeToLive: Config.duration("TTL") },
        { lookup: fetchOffer, share: Share.values({ value }) }
      )
    ).type.toBe<Layer.Layer<Offers, ConfigError.ConfigError, Http | SharedStore>>()
    expect(
      Rates.layerConfig({ timeToLive: Config.duration("TTL") }, { share: Share.values({ value: Secret }) })
    ).type.toBe<Layer.Layer<Rates, ConfigError.ConfigError, SharedStore | Keys>>()
  })

  test("adds no error, whatever becomes of the store", () => {
    expect(Offers.get("a")).type.toBe<Effect.Effect<number, "unavailable", Offers>>()
  })

  test("has a text for keys that are no strings", () => {
    const keyed = { lookup: fetchById, timeToLive: 1 }
    expect(
      Cache.make({ ...keyed, share: Share.values({ value, key: ({ id }: Key) => String(id) }) })
    ).type.toBe<Effect.Effect<Cache.Cache<Key, number, "unavailable">, never, Scope.Scope | SharedStore>>()
    expect(Cache.make({ ...keyed, share: Share.values({ value, key: Key }) })).type.toBe<
      Effect.Effect<Cache.Cache<Key, number, "unavailable">, never, Scope.Scope | SharedStore>
    >()
    expect(Cache.make).type.not.toBeCallableWith({ ...keyed, share: Share.values({ value }) })
  })

  test("has a schema of its values", () => {
    expect(Share.values).type.not.toBeCallableWith({})
    expect(Cache.make).type.not.toBeCallableWith({
      lookup: fetchOffer,
      timeToLive: 1,
      share: Share.values({ value: Schema.String })
    })
    expect(Offers.layer).type.not.toBeCallableWith({
      lookup: fetchOffer,
      timeToLive: 1,
      share: Share.values({ value: Schema.String })
    })
    expect(Offers.layer).type.not.toBeCallableWith({ lookup: fetchOffer, timeToLive: 1, share: true })
  })
})
