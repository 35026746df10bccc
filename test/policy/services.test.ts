// What tags, layers and services have from the definition of a stateful policy, the same for every kind.
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigError, ConfigProvider, Context, Deferred, Effect, Layer, Stream } from "effect"
import { Policy } from "effect-resilience"
import { forked, refusalOf, settled } from "../support/calls.js"
import { rows } from "./services.js"

class Desk extends Context.Tag("Desk")<Desk, Array<string>>() {}

const configured = (values: Record<string, string>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(values))))

describe.each(rows)("a tag of $module", (row) => {
  const { kind, module, options, other, tag } = row
  const live = tag.layer(options)
  const given = "lookup" in options ? { lookup: options.lookup } : {}

  it("has the module and its identifier in its key", () => {
    assert.strictEqual(tag.key, `${module}/Partner`)
  })

  it.effect("does everything that the instance behind it does", () =>
    Effect.gen(function* () {
      yield* row.uses
      const instance = yield* tag
      assert.deepStrictEqual<object>(yield* tag.snapshot, yield* instance.snapshot)
    }).pipe(Effect.provide(tag.layer(row.used)))
  )

  it("keeps the operations that it has made", () => {
    assert.strictEqual(tag.snapshot, tag.snapshot)
    assert.notStrictEqual(tag.snapshot, other.snapshot)
  })

  it.effect("gives the instance its identifier as a name, unless the options have another", () =>
    Effect.gen(function* () {
      const names = Effect.all([
        Effect.map(tag, ({ name }) => name),
        Effect.map(tag.snapshot, ({ name }) => name)
      ])
      assert.deepStrictEqual(yield* Effect.provide(names, live), ["Partner", "Partner"])
      const renamed = tag.layer({ ...options, name: "partner-eu" })
      assert.deepStrictEqual(yield* Effect.provide(names, renamed), ["partner-eu", "partner-eu"])
    })
  )

  it.effect("has one instance for all calls, and not that of another tag", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* tag, yield* tag)
      assert.notStrictEqual<unknown>(yield* tag, yield* other)
      assert.deepStrictEqual([(yield* tag).name, (yield* other).name], ["Partner", "Other"])
    }).pipe(Effect.provide(Layer.merge(live, other.layer(options))))
  )

  it.effect(
    "has a layer that makes one instance however many services need it, and another one the next time",
    () =>
      Effect.gen(function* () {
        class Offers extends Context.Tag("Offers")<Offers, unknown>() {}
        class Orders extends Context.Tag("Orders")<Orders, unknown>() {}
        const services = Layer.merge(
          Layer.provide(Layer.effect(Offers, tag), live),
          Layer.provide(Layer.effect(Orders, tag), live)
        )
        const [offers, orders] = yield* Effect.provide(Effect.all([Offers, Orders]), services)
        assert.strictEqual(offers, orders)
        assert.notStrictEqual(yield* Effect.provide(Offers, services), offers)
      })
  )

  it.effect("shares an instance that is provided twice", () =>
    Effect.gen(function* () {
      const instance = yield* tag
      const found = Effect.provideService(tag, tag, instance)
      assert.strictEqual(yield* found, instance)
      assert.strictEqual(yield* found, yield* found)
    }).pipe(Effect.provide(live))
  )

  it.effect("has listeners that get their services where the layer is made", () =>
    Effect.gen(function* () {
      const [listener, heardWith, call] = row.listening
      const heard: Array<string> = []
      const listening = tag.layer({
        ...options,
        ...heardWith,
        [listener]: ({ name }: { readonly name: string }) => Effect.map(Desk, (desk) => desk.push(name))
      })
      const provided = Layer.provide(listening, Layer.succeed(Desk, heard))
      yield* Effect.provide(Effect.exit(call), provided)
      assert.deepStrictEqual(heard, ["Partner"])
    })
  )

  it.effect("has a layer that dies of a bad option and says which", () =>
    Effect.gen(function* () {
      const [bad, named] = row.bad
      const refusal = yield* refusalOf(Layer.launch(tag.layer({ ...options, ...bad })))
      assert.deepInclude(refusal, { policy: "Partner.layer", option: named })
    })
  )

  it.effect("reads its settings from the configuration and takes listeners besides", () =>
    Effect.gen(function* () {
      const [settings, values, read] = row.config
      const instance = yield* tag.pipe(Effect.provide(tag.layerConfig(settings, given)), configured(values))
      assert.strictEqual(Policy.describe(instance), `${kind} "Partner"(${read})`)

      const [listener, heardWith, call] = row.listening
      const heard: Array<string> = []
      const onEvent = ({ name }: { readonly name: string }) => Effect.sync(() => heard.push(name))
      const constants = Object.fromEntries(
        Object.entries({ ...options, ...heardWith }).flatMap(([name, value]) =>
          name === "lookup" ? [] : [[name, Config.succeed(value)]]
        )
      )
      const listening = tag.layerConfig(constants, { ...given, [listener]: onEvent })
      yield* Effect.provide(Effect.exit(call), listening)
      assert.deepStrictEqual(heard, ["Partner"])
    })
  )

  it.effect.each(row.refused)("has a layer that fails for the configuration %j: %s", ([values, said]) =>
    Effect.gen(function* () {
      const layer = tag.layerConfig(row.config[0], given)
      const error = yield* Effect.flip(Layer.launch(layer)).pipe(configured(values))
      assert.isTrue(ConfigError.isConfigError(error))
      assert.include(String(error), said)
    })
  )

  it.effect("has a snapshot that is plain data", () =>
    Effect.gen(function* () {
      const snapshot = yield* tag.snapshot
      assert.deepStrictEqual(JSON.parse(JSON.stringify(snapshot)), snapshot)
    }).pipe(Effect.provide(live))
  )
})

it.effect("policies of different kinds may have the same identifier, which is the name of each", () =>
  Effect.gen(function* () {
    for (const { kind, tag } of rows) {
      const instance = yield* tag
      assert.deepStrictEqual([instance.kind, instance.name], [kind, "Partner"])
    }
  }).pipe(
    Effect.provide(
      rows.map(({ options, tag }) => tag.layer(options)).reduce((all, layer) => Layer.merge(all, layer))
    )
  )
)

const protecting = rows.flatMap((row) => (row.protects === undefined ? [] : [{ ...row, ...row.protects }]))

describe.each(protecting)(
  "a tag of $module",
  ({ each, judged, options, policies, rejected, refused, tag, used }) => {
    const live = tag.layer({ ...options, ...used })
    const unavailable = {
      result: (status: unknown) => status === 503,
      ignore: { result: (status: unknown) => status === 304 }
    }

    it("describes its policies before there is an instance, and keeps them", () => {
      assert.strictEqual(policies.protect, policies.protect)
      for (const [described, policy] of Object.entries(each))
        assert.strictEqual(Policy.describe(policy), described)
      for (const condition of [unavailable, {}]) {
        const [described] = Object.keys(each)
        assert.strictEqual(Policy.describe(policies.protectWhen(condition)), described)
      }
      for (const make of refused) assert.throws(make, Policy.InvalidOption)
    })

    it.effect("has policies for whichever instance there is when the call is made", () =>
      Effect.gen(function* () {
        const calls = Object.values(each).map((policy) => policy(Effect.succeed("up")))
        for (const call of [...calls, ...calls]) assert.strictEqual(yield* Effect.provide(call, live), "up")
      })
    )

    it.effect("judges calls by a condition that is written once, in whichever instance there is", () =>
      Effect.gen(function* () {
        const policy = policies.protectWhen(unavailable)
        const calls = Effect.all([304, 200, 503].map((status) => policy(Effect.succeed(status))))
        for (let time = 0; time < 2; time++) {
          const snapshot = yield* Effect.provide(Effect.zipRight(calls, tag.snapshot), live)
          assert.deepInclude(snapshot as object, judged)
        }
      })
    )

    it.effect("rejects calls in the name of the instance", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* Effect.provide(rejected, live)).name, "Partner")
        const renamed = tag.layer({ ...options, name: "partner-eu" })
        assert.strictEqual((yield* Effect.provide(rejected, renamed)).name, "partner-eu")
      })
    )
  }
)

const changing = rows.flatMap((row) => (row.changing === undefined ? [] : [{ ...row, ...row.changing }]))

describe.each(changing)(
  "a follower of the changes of $module",
  ({ change, changes, first, kind, last, options, tag, used }) => {
    it.effect("that is slow loses its own oldest changes beyond 64, and no other follower does", () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const slow: Array<object> = []
        const fast: Array<object> = []
        const follow = (seen: Array<object>, wait: Effect.Effect<void>) =>
          forked(
            Stream.runForEach(changes, (change) =>
              Effect.zipRight(
                Effect.sync(() => seen.push(change)),
                wait
              )
            )
          )
        yield* follow(slow, Deferred.await(gate))
        yield* follow(fast, Effect.void)
        for (let round = 0; round < 100; round++) {
          yield* change(round)
          yield* settled
        }
        yield* Deferred.succeed(gate, undefined)
        yield* Effect.repeatN(Effect.yieldNow(), 500)
        assert.strictEqual(fast.length, 100)
        assert.deepInclude(fast[0], { kind, name: "Partner", ...first })
        assert.deepInclude(fast[99], { kind, name: "Partner", ...last })
        assert.deepStrictEqual(slow, [fast[0], ...fast.slice(-64)])
      }).pipe(Effect.provide(tag.layer({ ...options, ...used })))
    )
  }
)

const single = rows.flatMap((row) => (row.single === undefined ? [] : [{ ...row, one: row.single }]))

describe.each(single)("the module $module", ({ config, kind, one, options, protects }) => {
  it.effect("serves a program that has just one instance without a tag", () =>
    Effect.gen(function* () {
      yield* one.uses
      assert.strictEqual((yield* one.tag).name, kind)
    }).pipe(Effect.provide(one.module.layer(options)))
  )

  it.effect("reads the settings of the one instance from the configuration", () =>
    Effect.gen(function* () {
      const [settings, values, read] = config
      const { name: _, ...rest } = settings
      const instance = yield* one.tag.pipe(Effect.provide(one.module.layerConfig(rest)), configured(values))
      assert.strictEqual(Policy.describe(instance), `${kind}(${read})`)
    })
  )

  if (protects === undefined) return
  it("describes its policies by their kind", () => {
    assert.strictEqual(Policy.describe(one.module.protect!), `${kind}()`)
  })
})
