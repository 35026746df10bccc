import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Random, TestClock } from "effect"
import { Bulkhead } from "effect-resilience"
import { forked } from "../support/calls.js"

/** Calls of so many milliseconds one after the other, of which the bulkhead learns. */
const learned = (bulkhead: Bulkhead.Bulkhead, ...held: ReadonlyArray<number>) =>
  Effect.forEach(held, (millis) =>
    Effect.gen(function* () {
      const call = yield* forked(bulkhead.protect(Effect.sleep(millis)))
      yield* TestClock.adjust(millis)
      yield* Fiber.join(call)
    })
  )

const rejected = (bulkhead: Bulkhead.Bulkhead) =>
  Effect.map(Effect.flip(bulkhead.protect(Effect.void)), ({ retryAfter }) =>
    retryAfter === undefined ? undefined : Duration.toMillis(retryAfter)
  )

describe("the retryAfter of a full bulkhead", () => {
  it.effect("is unknown until a call has ended", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      yield* forked(bulkhead.protect(Effect.never))
      assert.isUndefined(yield* rejected(bulkhead))
    })
  )

  it.effect("is the time until a permit comes back, after the calls in the queue", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 4, maxQueued: 2, retryAfterJitter: 0 })
      yield* learned(bulkhead, 1000)
      yield* Effect.replicateEffect(forked(bulkhead.protect(Effect.never)), 6)
      assert.strictEqual(yield* rejected(bulkhead), 750)
      yield* bulkhead.resize(3)
      assert.strictEqual(yield* rejected(bulkhead), 1000)
    })
  )

  it.effect("is shared by equal rejections when it has no jitter", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, retryAfterJitter: 0 })
      yield* learned(bulkhead, 1000)
      yield* forked(bulkhead.protect(Effect.never))
      const first = yield* Effect.flip(bulkhead.protect(Effect.void))
      assert.strictEqual(yield* Effect.flip(bulkhead.protect(Effect.void)), first)
    })
  )

  it.effect("follows calls that become slower, from the first rejection on", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, retryAfterJitter: 0 })
      yield* learned(bulkhead, 100)
      for (let call = 0; call < 20; call++) {
        const slow = yield* forked(bulkhead.protect(Effect.sleep(2000)))
        yield* rejected(bulkhead)
        yield* TestClock.adjust(2000)
        yield* Fiber.join(slow)
      }
      yield* forked(bulkhead.protect(Effect.never))
      assert.approximately((yield* rejected(bulkhead))!, 2000, 20)
    })
  )

  it.effect("is spread by the jitter, which comes from Random", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, retryAfterJitter: 1 })
      yield* learned(bulkhead, 1000)
      yield* forked(bulkhead.protect(Effect.never))
      const waits = (seed: string) =>
        Effect.replicateEffect(rejected(bulkhead), 100).pipe(Effect.withRandom(Random.make(seed)))
      const first = yield* waits("one")
      for (const wait of first) assert.isTrue(wait !== undefined && wait >= 1000 && wait <= 2000)
      assert.isAbove(new Set(first).size, 50)
      assert.deepStrictEqual(yield* waits("one"), first)
      assert.notDeepEqual(yield* waits("two"), first)
    })
  )

  it.effect("is unknown for a call that asks for more permits than there are", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 2 })
      yield* learned(bulkhead, 1000)
      const error = yield* Effect.flip(bulkhead.withPermits(3)(Effect.void))
      assert.isUndefined(error.retryAfter)
    })
  )

  for (const retryAfterJitter of [-0.1, 10.1, NaN, Infinity]) {
    it.effect(`cannot have a jitter of ${retryAfterJitter}`, () =>
      Effect.gen(function* () {
        const defect = yield* Effect.flip(Effect.sandbox(Bulkhead.make({ permits: 1, retryAfterJitter })))
        assert.include(String(defect), 'option "retryAfterJitter" must be a finite number from 0 to 10')
      })
    )
  }
})
