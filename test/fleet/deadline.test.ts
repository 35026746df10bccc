import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, TestClock } from "effect"
import { SharedStore } from "effect-resilience/fleet"

const memory = () => new SharedStore.Memory().adapter

describe("the deadline of an operation", () => {
  it.scoped("holds for an adapter that ignores interruption", () =>
    Effect.gen(function* () {
      const adapter = { ...memory(), release: () => Effect.uninterruptible(Effect.never) }
      const store = yield* SharedStore.make(adapter)
      const call = yield* Effect.fork(Effect.flip(store.release("key", "holder")))
      yield* TestClock.adjust("500 millis")
      assert.include(yield* Fiber.join(call), { _tag: "StoreUnavailable", operation: "release" })
    })
  )

  it.scoped("holds in a finalizer", () =>
    Effect.gen(function* () {
      const store = yield* SharedStore.make({ ...memory(), release: () => Effect.never })
      const call = yield* Effect.fork(
        Effect.ensuring(Effect.never, Effect.exit(store.release("key", "holder")))
      )
      yield* Effect.yieldNow()
      const interruption = yield* Effect.fork(Fiber.interrupt(call))
      yield* TestClock.adjust("499 millis")
      assert.isNull(interruption.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interruption)))
    })
  )

  it.scoped("ends what an interrupted caller waits for", () =>
    Effect.gen(function* () {
      let ended = 0
      const release = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void ended++))
      const store = yield* SharedStore.make({ ...memory(), release })
      const call = yield* Effect.fork(store.release("key", "holder"))
      yield* Effect.yieldNow()
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(call)
      yield* Effect.yieldNow()
      assert.strictEqual(ended, 1)
      assert.strictEqual((yield* store.health)._tag, "Connected")
    })
  )
})
