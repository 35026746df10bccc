// What comes from the definition of a stateful policy, the same for every kind.
import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Exit, Layer, Option, Predicate, Schedule } from "effect"
import { Bulkhead, CircuitBreaker, Policy, Retry, RetryBudget, Trip } from "effect-resilience"
import { down } from "../support/calls.js"
import { Breakers, Budgets, Bulkheads, Limiters, rate, subjects } from "./services.js"
import { kindOf } from "../../src/policy/stateful.js"

describe.each(subjects)(
  "the module $module by key",
  ({ bad, hold, idle, keyed, kind, layer, message, module, name, tag }) => {
    const providing =
      (bounds: Policy.Bounds = {}) =>
      <A, E>(self: Effect.Effect<A, E, unknown>): Effect.Effect<A, E> =>
        Effect.provide(self as Effect.Effect<A, E>, layer(bounds))

    it("puts the module and the identifier into the key of a tag", () => {
      assert.strictEqual(tag.key, `Keyed${module}/${name}`)
      assert.deepStrictEqual(tag.described, { kind, name, settings: {} })
    })

    it.effect("has one instance for all operations of a key, which is found by its key", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* tag.size, 0)
        assert.isTrue(Option.isNone(yield* tag.find("a")))
        assert.strictEqual((yield* tag.at("a").snapshot).name, `${name}/a`)
        const found = yield* Effect.flatten(tag.find("a"))
        assert.strictEqual(found.name, `${name}/a`)
        assert.strictEqual(yield* tag.size, 1)
        assert.deepStrictEqual([...(yield* tag.snapshots).keys()], ["a"])
      }).pipe(providing())
    )

    it.effect("has a tag with the operations of the instances behind it, each once", () =>
      Effect.gen(function* () {
        const instances = yield* keyed({})
        assert.deepStrictEqual(instances.described, tag.described)
        for (const member of Object.keys(instances)) assert.property(tag, member)
        assert.sameMembers(memberNames(instances.at("a")), memberNames(tag.at("a")))
      })
    )

    it.effect("has a layer that makes the instances once when it is provided twice", () => {
      const live = layer({})
      const used = Layer.provide(Layer.effectDiscard(tag.at("a").snapshot as Effect.Effect<unknown>), live)
      return Effect.gen(function* () {
        assert.strictEqual(yield* tag.size as Effect.Effect<number>, 1)
      }).pipe(Effect.provide(Layer.merge(live, used)))
    })

    it.effect("fails for bad settings from the configuration, and names them", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.provide(Effect.void, bad))
        assert.include(String(error), message)
      }).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["BAD", "0"]]))))
    )

    it.effect("dies of bad bounds in the name of the tag", () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Effect.provide(Effect.void, layer({ capacity: 0 })))
        const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.include(
          String(defect),
          `${name}.layer: option "capacity" must be a whole number of at least 1`
        )
      })
    )

    it.effect("gives a key without room an instance that is not kept", () =>
      Effect.gen(function* () {
        const instances = yield* keyed({ capacity: 1, whenFull: "bypass" })
        yield* instances.at("a").snapshot
        yield* hold(instances)
        assert.strictEqual((yield* instances.at("b").snapshot).name, `${name}/*`)
        assert.strictEqual(yield* instances.size, 1)
      }).pipe(Effect.scoped)
    )

    it.effect("has instances that tell their kind, their state and how they are steered", () =>
      Effect.gen(function* () {
        yield* tag.at("a").snapshot
        const instance = yield* Effect.flatten(tag.find("a"))
        const known = kindOf(instance)
        assert.isDefined(known)
        assert.strictEqual(known.kind, kind)
        const snapshot = yield* instance.snapshot
        assert.strictEqual(known.status(snapshot as never), idle)
        known.actions.forEach((action) =>
          assert.isTrue(Effect.isEffect((instance as unknown as Record<string, unknown>)[action]))
        )
        assert.isUndefined(kindOf({ kind, name }))
      }).pipe(providing())
    )

    it.effect("has a snapshot that is plain data", () =>
      Effect.gen(function* () {
        const snapshot = yield* tag.at("a").snapshot
        assert.deepStrictEqual(JSON.parse(JSON.stringify(snapshot)), snapshot)
      }).pipe(providing())
    )
  }
)

/** The names of all members, also of those that are made when they are asked for. */
const memberNames = (of: object): Array<string> => {
  const names: Array<string> = []
  for (const name in of) names.push(name)
  return names
}

describe("the policies of a tag by key", () => {
  const layers = Layer.mergeAll(
    Breakers.layer({ options: { trip: Trip.consecutive(1) } }),
    Bulkheads.layer({ options: { permits: 1 } }),
    Limiters.layer({ options: { name: "quota", rate } })
  )

  it.effect("reject the key that fails, is busy or is exhausted, and no other", () =>
    Effect.gen(function* () {
      yield* Effect.flip(Effect.fail("down").pipe(Breakers.protect("a")))
      assert.deepInclude(yield* Effect.flip(Breakers.protect("a")(Effect.void)), {
        _tag: "CircuitOpen",
        name: "Hosts/a"
      })
      yield* Breakers.protect("b")(Effect.void)
      const nested = Bulkheads.protect("b")(Effect.void)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Bulkheads.at("a").acquire
          assert.strictEqual((yield* Effect.flip(Bulkheads.protect("a")(Effect.void)))._tag, "BulkheadFull")
          yield* nested
        })
      )
      yield* Limiters.withCost("a", 1)(Effect.void)
      assert.isFalse(yield* Limiters.at("a").tryAcquire())
      assert.isTrue(yield* Limiters.at("b").tryAcquire())
      assert.strictEqual((yield* Effect.flip(Limiters.protect("a")(Effect.void))).name, "quota/a")
    }).pipe(Effect.provide(layers))
  )

  it.effect("compile a condition once for the instances that are there", () =>
    Effect.gen(function* () {
      let reads = 0
      const policy = Breakers.protectWhen("a")<number, never>({
        get result() {
          reads++
          return (status: number) => status === 503
        }
      })
      assert.strictEqual(yield* policy(Effect.succeed(200)), 200)
      const compiled = reads
      assert.strictEqual(yield* policy(Effect.succeed(503)), 503)
      assert.strictEqual((yield* Effect.flip(policy(Effect.succeed(200))))._tag, "CircuitOpen")
      // One call was judged by it, and one was rejected.
      assert.strictEqual(reads, compiled + 1)
    }).pipe(Effect.provide(layers))
  )

  it("say which key they are for", () => {
    assert.strictEqual(Policy.describe(Breakers.protect("a")), 'circuit-breaker "Hosts/a"(key: a)')
    assert.strictEqual(
      Policy.describe(Bulkheads.withPermits("a", 2)),
      'bulkhead "Tenants/a"(key: a, takes: 2)'
    )
    assert.throws(() => Limiters.withCost("a", 0), /RateLimiter.withCost: option "cost"/)
  })

  it.effect("use no more than the public operations of a user's own keyed policy", () =>
    Effect.gen(function* () {
      const own = yield* Bulkhead.keyed({ options: { permits: 1 } })
      const mock: Bulkhead.KeyedBulkhead = { ...own, at: () => own.at("the only one") }
      yield* Effect.provideService(Bulkheads.protect("a")(Effect.void), Bulkheads, mock)
      assert.deepStrictEqual([...(yield* own.snapshots).keys()], ["the only one"])
    })
  )
})

describe("a breaker by key", () => {
  it.effect("records the outcome of a permit even when it was evicted meanwhile", () =>
    Effect.gen(function* () {
      const hosts = yield* CircuitBreaker.keyed({ capacity: 1, whenFull: "bypass" })
      const permit = yield* hosts.at("a").acquire
      yield* hosts.at("b").snapshot
      assert.isTrue(Option.isNone(yield* hosts.find("a")))
      yield* hosts.at("a").record(permit, { _tag: "Success" })
      const other = yield* CircuitBreaker.keyed()
      const wrong = yield* Effect.exit(other.at("a").record(permit, { _tag: "Success" }))
      assert.isTrue(Exit.isFailure(wrong))
    }).pipe(Effect.scoped)
  )
})

describe("a retry budget by key", () => {
  it.effect("pays for the retries of its key alone", () =>
    Effect.gen(function* () {
      const fetch = (route: string) =>
        Effect.flip(down.pipe(Retry.retry({ schedule: Schedule.recurs(3), budget: Budgets.get(route) })))
      yield* fetch("a")
      yield* fetch("a")
      yield* fetch("b")
      const spent = Array.from(yield* Budgets.snapshots, ([key, { refused, retries }]) => [
        key,
        retries,
        refused
      ])
      assert.deepStrictEqual(spent, [
        ["a", 4, 1],
        ["b", 3, 0]
      ])
    }).pipe(Effect.provide(Budgets.layer({ options: { rule: RetryBudget.successes({ capacity: 4 }) } })))
  )

  it.effect("is kept while it has less or more than a new one", () =>
    Effect.gen(function* () {
      const budgets = yield* RetryBudget.keyed({ capacity: 1, whenFull: "bypass" })
      yield* budgets.at("spent").tryWithdraw()
      yield* budgets.at("b").balance
      assert.isTrue(Option.isSome(yield* budgets.find("spent")))
      yield* budgets.at("spent").reset
      yield* budgets.at("b").balance
      assert.isTrue(Option.isSome(yield* budgets.find("b")))
      const requests = yield* RetryBudget.keyed({
        capacity: 1,
        whenFull: "bypass",
        options: { rule: RetryBudget.requests() }
      })
      yield* requests.at("earned").recordRequest
      yield* requests.at("b").balance
      assert.isTrue(Option.isSome(yield* requests.find("earned")))
    })
  )

  it.effect("has no budget of its own for a key without room when that is bypassed", () =>
    Effect.gen(function* () {
      const budgets = yield* RetryBudget.keyed({ capacity: 1, whenFull: "bypass" })
      yield* budgets.at("a").tryWithdraw()
      const budget = yield* budgets.get("b")
      assert.strictEqual(yield* budget.balance, 100)
      assert.isTrue(Predicate.hasProperty(budget, RetryBudget.TypeId))
    })
  )
})
