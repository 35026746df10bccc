import { assert, describe, it } from "@effect/vitest"
import {
  ConfigError,
  ConfigProvider,
  Config,
  Context,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Stream
} from "effect"
import { Bulkhead, Policy } from "effect-resilience"
import { down, forked, up } from "../support/calls.js"

class Database extends Bulkhead.Tag("Database")<Database>() {}
class Partner extends Bulkhead.Tag("Partner")<Partner>() {}

describe("a tag", () => {
  it.effect("offers everything that the bulkhead behind it does", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Database.protect(up), "up")
      yield* Effect.exit(Database.protectWhen<string, "down">({ error: () => false })(down))
      yield* Effect.scoped(Database.acquire)
      assert.deepInclude(yield* Database.snapshot, { name: "Database", successes: 3, permits: 2 })

      const changed = yield* forked(Stream.runHead(Database.changes))
      yield* Database.resize(3)
      assert.deepStrictEqual(
        yield* Fiber.join(changed),
        Option.some({ _tag: "Resized", kind: "bulkhead", name: "Database", from: 2, to: 3 })
      )

      yield* forked(Database.withPermits(2)(Effect.never))
      const error = yield* Effect.flip(Database.withPermits(2)(up))
      assert.deepInclude(error, { name: "Database", requested: 2, permits: 3 })
      assert.deepInclude(yield* Database.snapshot, { inUse: 2, running: 1, rejected: 1 })
    }).pipe(Effect.provide(Database.layer({ permits: 2 })))
  )

  it.effect("is one bulkhead for all calls, and another one than that of another tag", () =>
    Effect.gen(function* () {
      yield* forked(Database.protect(Effect.never))
      assert.strictEqual((yield* Effect.flip(Database.protect(up))).name, "Database")
      assert.strictEqual(yield* Partner.protect(up), "up")
      assert.strictEqual((yield* Partner.snapshot).name, "the partner")
    }).pipe(
      Effect.provide(
        Layer.mergeAll(Database.layer({ permits: 1 }), Partner.layer({ permits: 1, name: "the partner" }))
      )
    )
  )

  it.effect("finds the bulkhead that is there when the call is made", () =>
    Effect.gen(function* () {
      const weighted = Database.withPermits(2)(up)
      const conditional = Database.protectWhen<string, never>({ result: () => true })(up)
      for (const permits of [2, 3]) {
        const snapshot = yield* Effect.all([weighted, conditional, Database.snapshot]).pipe(
          Effect.provide(Database.layer({ permits }))
        )
        assert.deepInclude(snapshot[2], { permits, successes: 1, failures: 1 })
      }
    })
  )

  it("describes itself, and refuses a number of permits that makes no sense", () => {
    assert.strictEqual(Policy.describe(Database.protect), 'bulkhead "Database"()')
    assert.strictEqual(Policy.describe(Database.withPermits(3)), 'bulkhead "Database"(takes: 3)')
    assert.throws(() => Database.withPermits(0), Policy.InvalidOption)
  })

  it.effect("is not needed by a program that has just one", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Bulkhead.protect(up), "up")
      assert.strictEqual(yield* Bulkhead.withPermits(2)(up), "up")
      yield* Effect.exit(Bulkhead.protectWhen<string, "down">({})(down))
      assert.deepInclude(yield* Bulkhead.Bulkhead.snapshot, { name: "bulkhead", successes: 2, failures: 1 })
    }).pipe(Effect.provide(Bulkhead.layer({ permits: 2 })))
  )

  it.effect("has a layer that needs what the listeners need, and dies of bad options", () =>
    Effect.gen(function* () {
      class Desk extends Context.Tag("Desk")<Desk, Array<string>>() {}
      const heard: Array<string> = []
      const live = Database.layer({
        permits: 1,
        onSuccess: ({ name }) => Effect.map(Desk, (desk) => desk.push(name))
      })
      yield* Database.protect(up).pipe(Effect.provide(live), Effect.provideService(Desk, heard))
      assert.deepStrictEqual(heard, ["Database"])
      const exit = yield* Effect.exit(
        Database.protect(up).pipe(Effect.provide(Database.layer({ permits: 0 })))
      )
      assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Die")
    })
  )
})

describe("a layer from the configuration", () => {
  const settings = {
    permits: Config.integer("PERMITS"),
    maxQueued: Config.integer("MAX_QUEUED").pipe(Config.withDefault(undefined)),
    maxWait: Config.duration("MAX_WAIT").pipe(Config.withDefault(undefined)),
    name: Config.string("NAME").pipe(Config.withDefault(undefined))
  }
  const withConfig = (values: Record<string, string>) =>
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(values))))

  it.effect("has the settings that are there, and listeners beside them", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const live = Database.layerConfig(settings, {
        onSuccess: ({ name }) => Effect.sync(() => heard.push(name))
      })
      const config = { PERMITS: "3", MAX_QUEUED: "7", MAX_WAIT: "2 seconds" }
      const described = yield* Effect.zipRight(
        Database.protect(up),
        Effect.map(Database, Policy.describe)
      ).pipe(Effect.provide(live), withConfig(config))
      assert.strictEqual(described, 'bulkhead "Database"(permits: 3, maxQueued: 7, maxWait: 2s)')
      assert.deepStrictEqual(heard, ["Database"])
      const snapshot = yield* Bulkhead.Bulkhead.snapshot.pipe(
        Effect.provide(Bulkhead.layerConfig({ permits: Config.integer("PERMITS") })),
        withConfig(config)
      )
      assert.deepInclude(snapshot, { name: "bulkhead", permits: 3 })
    })
  )

  const bad: ReadonlyArray<readonly [config: Record<string, string>, named: string]> = [
    [{}, "PERMITS"],
    [{ PERMITS: "many" }, "PERMITS"],
    [{ PERMITS: "0" }, '"permits" must be a whole number of at least 1, got 0'],
    [{ PERMITS: "1", MAX_QUEUED: "-1" }, '"maxQueued" must be a whole number of at least 0, got -1'],
    [{ PERMITS: "1", MAX_WAIT: "1 second" }, '"maxWait" must be left out when nobody may wait'],
    [{ PERMITS: "1", NAME: "" }, '"name" must be a string that is not empty, got ""']
  ]

  for (const [config, named] of bad) {
    it.effect(`that is bad is a ConfigError: ${named}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          Database.protect(up).pipe(Effect.provide(Database.layerConfig(settings)), withConfig(config))
        )
        assert.isTrue(ConfigError.isConfigError(error))
        assert.include(String(error), named)
      })
    )
  }
})
