/**
 * A call that waits for others goes on in its own asynchronous context: real time and real `AsyncLocalStorage`, since that is
 * what the scheduler of Effect and the host's promises make of it.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, Scheduler } from "effect"
import { Bulkhead, Cache, Hedge, RateLimiter, Retry, Timeout } from "effect-resilience"

const storage = new AsyncLocalStorage<number>()

/** Runs effects at once, each in a context with its index, and returns the contexts in which their parts ran. */
const inContexts = async (
  count: number,
  request: (index: number, note: Effect.Effect<void>) => Effect.Effect<unknown, unknown>,
  options?: { readonly scheduler?: Scheduler.Scheduler }
): Promise<ReadonlyArray<ReadonlyArray<number | undefined>>> =>
  Promise.all(
    Array.from({ length: count }, (_, index) =>
      storage.run(index, async () => {
        const seen: Array<number | undefined> = []
        const note = Effect.sync(() => void seen.push(storage.getStore()))
        await Effect.runPromise(
          Fiber.join(Effect.runFork(request(index, note).pipe(Effect.ensuring(note)), options))
        )
        return seen
      })
    )
  )

const own = (seen: ReadonlyArray<ReadonlyArray<number | undefined>>) =>
  seen.every((contexts, index) => contexts.length > 0 && contexts.every((context) => context === index))

/** Resolves with all others of the same instance in one turn of the event loop. */
const together = () => {
  let open = () => {}
  const gate = new Promise<void>((resolve) => (open = resolve))
  return { open: () => open(), wait: Effect.promise(() => gate) }
}

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

type Scenario = () => Promise<ReadonlyArray<ReadonlyArray<number | undefined>>>

const scenarios: Record<string, Scenario> = {
  "after waiting in the line of a bulkhead": () => {
    const bulkhead = Effect.runSync(Bulkhead.make({ permits: 1, maxQueued: 10 }))
    return inContexts(5, (_, note) => Effect.zipRight(note, turn).pipe(bulkhead.protect))
  },
  "when one release wakes all that wait for a bulkhead": () => {
    const bulkhead = Effect.runSync(Bulkhead.make({ permits: 9, maxQueued: 10 }))
    return inContexts(10, (index, note) =>
      index === 0
        ? turn.pipe((self) => bulkhead.withPermits(9)(self))
        : Effect.zipRight(note, turn).pipe(bulkhead.protect)
    )
  },
  "when a bulkhead is resized": () => {
    const bulkhead = Effect.runSync(Bulkhead.make({ permits: 1, maxQueued: 10 }))
    return inContexts(5, (index, note) =>
      index === 0
        ? Effect.zipRight(turn, bulkhead.resize(9)).pipe(bulkhead.protect)
        : note.pipe(bulkhead.protect)
    )
  },
  "when the wait for a bulkhead is over": () => {
    const bulkhead = Effect.runSync(Bulkhead.make({ permits: 1, maxQueued: 10, maxWait: 5 }))
    return inContexts(5, (index) =>
      index === 0
        ? Effect.repeatN(turn, 20).pipe(Effect.delay(20), bulkhead.protect)
        : Effect.ignore(Effect.void.pipe(bulkhead.protect))
    )
  },
  "after waiting for a rate limiter": () => {
    const limiter = Effect.runSync(
      RateLimiter.make({
        rate: RateLimiter.tokenBucket({ limit: 2, per: 20 }),
        maxWait: "1 minute"
      })
    )
    return inContexts(6, (_, note) => note.pipe(limiter.protect))
  },
  "after a change of rate lets all in": () => {
    const limiter = Effect.runSync(
      RateLimiter.make({ rate: RateLimiter.slidingWindow({ limit: 1, per: "1 hour" }), maxWait: "1 day" })
    )
    return inContexts(6, (index, note) =>
      index === 5
        ? Effect.zipRight(turn, limiter.setRate(RateLimiter.slidingWindow({ limit: 100, per: 1 })))
        : note.pipe(limiter.protect)
    )
  },
  "after waiting for the lookup of another": () =>
    Effect.runPromise(
      Effect.scoped(
        Effect.flatMap(
          Cache.make({ lookup: (_: string) => Effect.as(turn, 1), timeToLive: "1 hour" }),
          (cache) => Effect.promise(() => inContexts(5, () => cache.get("key")))
        )
      )
    ),
  "in the lookup that it started": () =>
    Effect.runPromise(
      Effect.scoped(
        Effect.flatMap(Cache.makeStore<number, number>()({ timeToLive: "1 hour" }), (store) =>
          Effect.promise(() =>
            inContexts(5, (index, note) =>
              Effect.as(Effect.zipRight(note, turn), index).pipe(store.cached(index))
            )
          )
        )
      )
    ),
  "in and after hedges": () => {
    const { open, wait } = together()
    setTimeout(open, 20)
    return inContexts(5, (_, note) =>
      Effect.zipRight(note, wait).pipe(Hedge.hedge({ delay: 5, maxHedges: 2 }))
    )
  },
  "in and after hedges whose results are disposed of": () => {
    const { open, wait } = together()
    setTimeout(open, 20)
    return inContexts(5, (_, note) =>
      Effect.zipRight(note, wait).pipe(
        Hedge.hedge({ delay: 5, maxHedges: 2, disposeResult: () => Effect.void })
      )
    )
  },
  "after the delay of a retry": () =>
    inContexts(5, (_, note) =>
      Effect.zipRight(note, Effect.fail("down")).pipe(
        Retry.retry({ times: 2, schedule: Schedule.spaced(5) }),
        Effect.ignore
      )
    ),
  "after a timeout": () =>
    inContexts(5, (_, note) => Effect.zipRight(note, Effect.never).pipe(Timeout.timeout(5), Effect.ignore)),
  "after a timeout that leaves": () =>
    inContexts(5, (_, note) =>
      Effect.zipRight(note, Effect.never).pipe(Timeout.timeout({ limit: 5, disconnect: true }), Effect.ignore)
    )
}

describe("a call is in its own asynchronous context", () => {
  for (const [name, scenario] of Object.entries(scenarios)) {
    it(name, async () => {
      const seen = await scenario()
      assert.isTrue(own(seen), JSON.stringify(seen))
    })
  }
})

describe("the wait of a policy", () => {
  const waiting = (scheduler?: Scheduler.Scheduler) => {
    const bulkhead = Effect.runSync(Bulkhead.make({ permits: 1, maxQueued: 10 }))
    return inContexts(5, (_, note) => Effect.zipRight(note, turn).pipe(bulkhead.protect), {
      ...(scheduler !== undefined && { scheduler })
    })
  }

  it("ends under a scheduler that is not the default", async () => {
    const seen = await waiting(new Scheduler.MixedScheduler(100))
    assert.deepStrictEqual(
      seen.map(({ length }) => length),
      [2, 2, 2, 2, 2]
    )
  })

  it("ends within a program that is run synchronously", () => {
    const program = Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 10 })
      const fibers = yield* Effect.forEach([1, 2, 3], (number) =>
        Effect.fork(Effect.as(Effect.yieldNow(), number).pipe(bulkhead.protect))
      )
      return yield* Fiber.join(Fiber.all(fibers))
    })
    assert.deepStrictEqual(Effect.runSync(program), [1, 2, 3])
  })

  it("is over without a trace when it is interrupted", async () => {
    const bulkhead = Effect.runSync(Bulkhead.make({ permits: 1, maxQueued: 10 }))
    await Effect.runPromise(
      Effect.gen(function* () {
        const holder = yield* Effect.fork(Effect.never.pipe(bulkhead.protect))
        yield* turn
        const waiter = yield* Effect.fork(Effect.void.pipe(bulkhead.protect))
        yield* turn
        yield* Fiber.interrupt(holder)
        yield* Fiber.interrupt(waiter)
        const { inUse, queued } = yield* bulkhead.snapshot
        assert.deepStrictEqual({ inUse, queued }, { inUse: 0, queued: 0 })
      })
    )
  })
})
