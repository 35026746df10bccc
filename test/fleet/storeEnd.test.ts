// What outlives the scope of its store, and a store whose adapter is broken.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope, TestClock } from "effect"
import { Trip } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { down, up } from "../support/calls.js"
import { breakerIn, Fleet } from "../support/fleet.js"
import { operations } from "../support/redisStores.js"

const options = { trip: Trip.failures({ count: 4, within: "10 seconds" }), openFor: "5 seconds" } as const

describe("a breaker whose store has ended", () => {
  it.scoped.each([
    ["local", Share.local()],
    ["inline", Share.inline()]
  ] as const)("probes and closes by itself: %s", ([, share]) =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const scope = yield* Scope.make()
      const process = yield* Scope.extend(fleet.process(), scope)
      const other = yield* fleet.process()
      const breaker = yield* breakerIn(process, { ...options, share })
      const others = yield* breakerIn(other, { ...options, share })
      yield* TestClock.adjust("2 seconds")
      yield* Effect.fork(others.open)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* breaker.state, "open")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* breaker.protect(up), "up")
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )
})

describe("a store that has ended", () => {
  it.effect("is degraded, and asks its adapter nothing more", () =>
    Effect.gen(function* () {
      let asked = 0
      const { adapter } = new SharedStore.Memory()
      const counted = {
        ...adapter,
        exchange: (news: SharedStore.News) => {
          asked += 1
          return adapter.exchange(news)
        }
      }
      const store = yield* Effect.scoped(SharedStore.make(counted))
      const before = asked
      for (const operation of Object.values(operations(store))) {
        const { reason } = yield* Effect.flip(operation)
        assert.strictEqual(reason, "the scope of the store is closed")
      }
      assert.strictEqual(asked, before)
      assert.strictEqual((yield* store.health)._tag, "Degraded")
    })
  )
})

describe("a store whose adapter is broken", () => {
  const answer = { instances: 1, views: [] }
  it.scoped.each<[string, () => Effect.Effect<SharedStore.Answer>]>([
    ["answers without views", () => Effect.succeed(answer)],
    ["answers nothing", () => Effect.succeed(undefined as unknown as SharedStore.Answer)],
    [
      "throws",
      () => {
        throw new Error("not written yet")
      }
    ]
  ])("is degraded and goes on asking: %s", ([, broken]) =>
    Effect.gen(function* () {
      const { adapter } = new SharedStore.Memory()
      let isBroken = true
      const exchange = (news: SharedStore.News) => (isBroken ? broken() : adapter.exchange(news))
      const store = yield* SharedStore.make({ ...adapter, exchange })
      const breaker = yield* breakerIn({ store, wire: { state: "up", announces: true } }, options)
      yield* Effect.fork(Effect.exit(breaker.protect(down)))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* store.health)._tag, "Degraded")
      isBroken = false
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* store.health)._tag, "Connected")
    })
  )

  it.scoped("fails an operation that throws", () =>
    Effect.gen(function* () {
      const { adapter } = new SharedStore.Memory()
      const broken = () => {
        throw new Error("not written yet")
      }
      const store = yield* SharedStore.make({ ...adapter, take: broken })
      assert.strictEqual((yield* Effect.flip(operations(store).take)).reason, "not written yet")
    })
  )
})
