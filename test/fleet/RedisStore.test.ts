// What a store over Redis refuses before it connects, and its keys.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Effect, Exit, FastCheck, Layer, Option, Redacted } from "effect"
import { RedisStore as IoStore } from "effect-resilience/ioredis"
import { RedisStore as NodeStore } from "effect-resilience/redis"
import { InvalidOption } from "../../src/core/options.js"
import { encoded, Keys } from "../../src/redis/store/keys.js"
import { oddNames } from "./conformance.js"

const url = "redis://localhost:1"
const secret = "hunter2"

/** Options that are no options, which of them is wrong, and what is said of it. */
const wrong: ReadonlyArray<readonly [options: unknown, option: string, expected: string]> = [
  [undefined, "", "an object"],
  [{}, "url", "given, or else connect"],
  [{ url: "" }, "url", "a URL that begins with redis:// or rediss://"],
  [{ url: 6379 }, "url", "a URL that begins with redis:// or rediss://"],
  [{ url: "localhost:6379" }, "url", "a URL that begins with redis:// or rediss://"],
  [{ url: `http://user:${secret}@localhost` }, "url", "a URL that begins with redis:// or rediss://"],
  [
    { url: Redacted.make(`amqp://:${secret}@localhost`) },
    "url",
    "a URL that begins with redis:// or rediss://"
  ],
  [{ url, prefix: "" }, "prefix", "1 to 64 letters, digits and _ . : -"],
  [{ url, prefix: "{a}" }, "prefix", "1 to 64 letters, digits and _ . : -"],
  [{ url, prefix: "x".repeat(65) }, "prefix", "1 to 64 letters, digits and _ . : -"],
  [{ url, environment: "a:b" }, "environment", "1 to 64 letters, digits and _ . -"],
  [{ url, environment: 5 }, "environment", "1 to 64 letters, digits and _ . -"],
  [{ url, interval: 0 }, "interval", "a finite duration greater than zero"],
  [{ url, interval: Infinity }, "interval", "a finite duration greater than zero"],
  [{ url, deadline: "soon" }, "deadline", "a finite duration greater than zero"],
  [{ url, instance: "" }, "instance", "a string that is not empty"],
  [{ url, client: 5 }, "client", "an object"],
  [{ url, connect: () => secret }, "connect", "left out where there is a url"],
  [{ connect: {} }, "connect", "a function"],
  [{ connect: () => secret, client: {} }, "client", "left out where there is connect"],
  [
    { url, enviroment: "prod" },
    "enviroment",
    'left out, there is no such option (did you mean "environment"?)'
  ]
]

const defectOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : "nothing"

describe.each([
  ["redis", NodeStore],
  ["ioredis", IoStore]
])("the store of effect-resilience/%s", (_, store) => {
  it.effect.each(wrong)("refuses %j", ([options, option, expected]) =>
    Effect.gen(function* () {
      const ways: ReadonlyArray<readonly [policy: string, made: Effect.Effect<unknown>]> = [
        ["RedisStore.layer", Effect.scoped(Layer.build(store.layer(options as never)))],
        ["RedisStore.make", Effect.scoped(store.make(options as never))]
      ]
      for (const [policy, made] of ways) {
        const defect = defectOf(yield* Effect.exit(made))
        if (!(defect instanceof InvalidOption)) return assert.fail(String(defect))
        assert.deepStrictEqual([defect.policy, defect.option, defect.expected], [policy, option, expected])
        assert.notInclude(defect.message, secret)
      }
    })
  )

  it.effect("refuses a function that makes no client", () =>
    Effect.gen(function* () {
      const connect = () => {
        throw new Error("no nodes")
      }
      const defect = defectOf(yield* Effect.exit(Effect.scoped(store.make({ connect }))))
      assert.include(String(defect), 'option "connect" must be what the client accepts (no nodes)')
    })
  )

  it.effect("reads its settings from the configuration, whose errors show no secret", () =>
    Effect.gen(function* () {
      const build = (entries: ReadonlyArray<readonly [string, string]>) =>
        store
          .layerConfig({ url: Config.redacted("REDIS_URL"), interval: Config.duration("REDIS_INTERVAL") })
          .pipe(
            Layer.build,
            Effect.scoped,
            Effect.withConfigProvider(ConfigProvider.fromMap(new Map(entries))),
            Effect.flip,
            Effect.map(String)
          )
      const missing = yield* build([["REDIS_INTERVAL", "1 second"]])
      assert.include(missing, "REDIS_URL")
      const foreign = yield* build([
        ["REDIS_URL", `http://:${secret}@localhost`],
        ["REDIS_INTERVAL", "1 second"]
      ])
      assert.include(foreign, "a URL that begins with redis://")
      assert.notInclude(foreign, secret)
      const never = yield* build([
        ["REDIS_URL", url],
        ["REDIS_INTERVAL", "0 seconds"]
      ])
      assert.include(never, "interval")
    })
  )
})

describe("the keys of a store", () => {
  const keysOf = (place: ConstructorParameters<typeof Keys>[0], version?: string): ReadonlyArray<string> => {
    const keys = new Keys(place, version)
    return [
      keys.living,
      keys.channel(0),
      ...oddNames.flatMap((name) => [
        keys.sequence(name),
        ...keys.breaker(name),
        keys.rate(name),
        keys.value(name)
      ])
    ]
  }

  it("meet in no two environments, prefixes or versions", () => {
    const places = [
      keysOf({ prefix: "a", environment: "b" }),
      keysOf({ prefix: "a:b", environment: "c" }),
      keysOf({ prefix: "a", environment: "b.c" }),
      keysOf({ prefix: "a:b:v1", environment: "rate" }),
      keysOf({ prefix: "a", environment: "b" }, "v2")
    ]
    const all = places.flat()
    assert.strictEqual(new Set(all).size, all.length)
  })

  it("have one hash tag, at their beginning", () => {
    for (const key of keysOf({ prefix: "a", environment: "b" })) {
      assert.match(key, /^\{a:b:v1(:[^{}]*)?\}[^{}]*$|^a:b:v1:announcements:0$/)
      assert.isBelow(key.length, 120)
    }
  })

  it("differ where names differ, in printable signs", () => {
    const codeUnit = FastCheck.nat({ max: 0xffff }).map((code) => String.fromCharCode(code))
    const name = FastCheck.oneof(
      FastCheck.string({ unit: codeUnit }),
      FastCheck.string({ unit: FastCheck.constantFrom("a", "_", "~", "\ud800", "é", " ") })
    )
    FastCheck.assert(
      FastCheck.property(name, name, (one, two) => {
        assert.strictEqual(encoded(one) === encoded(two), one === two)
        assert.match(encoded(one), /^[\w.~-]+$/)
      })
    )
  })
})
