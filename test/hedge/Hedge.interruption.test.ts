import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, FiberId, Option, TestClock } from "effect"
import { Hedge, RetryBudget } from "effect-resilience"
import { interruptedAtEveryStep } from "../support/everyStep.js"
import { timeline } from "../support/virtual.js"

const delay = "100 millis" as const

/** A call whose attempts say when they begin and when they are gone, which takes so long. */
const attempts = (leaving = 0) => {
  const { log, note } = timeline()
  let begun = 0
  const call = Effect.suspend(() => {
    const number = (begun += 1)
    const gone = Effect.zipRight(Effect.sleep(leaving), note(`${number} gone`))
    return Effect.zipRight(
      note(`${number} begins`),
      Effect.onInterrupt(Effect.never, () => gone)
    )
  })
  return { call, log }
}

describe("an interruption of a hedge", () => {
  it.effect("reaches every attempt at once, and waits until all are gone", () =>
    Effect.gen(function* () {
      const { call, log } = attempts(50)
      const fiber = yield* Effect.fork(Hedge.hedge(call, { delay, maxHedges: 2 }))
      yield* TestClock.adjust("250 millis")
      const interrupted = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("49 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interrupted)))
      assert.deepStrictEqual(log.slice(0, 3), ["0 1 begins", "100 2 begins", "200 3 begins"])
      assert.deepStrictEqual(log.slice(3).sort(), ["300 1 gone", "300 2 gone", "300 3 gone"])
    })
  )

  it.effect("does not wait for finalizers when disconnected", () =>
    Effect.gen(function* () {
      const { call, log } = attempts(50)
      const fiber = yield* Effect.fork(Hedge.hedge(call, { delay, disconnect: true }))
      yield* TestClock.adjust("150 millis")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.strictEqual(log.length, 2)
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(log.slice(2).sort(), ["200 1 gone", "200 2 gone"])
    })
  )

  it.effect("before its first attempt begins leaves nothing behind", () =>
    Effect.gen(function* () {
      const { call, log } = attempts()
      const fiber = yield* Effect.fork(Hedge.hedge(call, { delay }))
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log, [])
    })
  )

  it.effect("that cannot be interrupted waits for its end", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      const hedged = Effect.uninterruptible(Hedge.hedge(Deferred.await(gate), { delay }))
      const fiber = yield* Effect.fork(
        Effect.tap(hedged, (value) => Effect.sync(() => assert.strictEqual(value, "up")))
      )
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("500 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* Deferred.succeed(gate, "up")
      yield* Fiber.await(fiber)
    })
  )

  it.effect("while losers leave waits for them, and is an interruption", () =>
    Effect.gen(function* () {
      const { call, log } = attempts(1000)
      const winner = Effect.suspend(() => (log.length === 0 ? call : Effect.succeed("up")))
      const fiber = yield* Effect.fork(Effect.zipRight(Hedge.hedge(winner, { delay }), Effect.never))
      yield* TestClock.adjust("200 millis")
      const interrupted = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interrupted)))
      assert.deepStrictEqual(log, ["0 1 begins", "1100 1 gone"])
    })
  )

  it.effect("in a slow listener or a slow delay interrupts that, too", () =>
    Effect.gen(function* () {
      for (const options of [
        (slow: Effect.Effect<never>) => ({ delay, onHedge: () => slow }),
        (slow: Effect.Effect<never>) => ({ delay: slow })
      ]) {
        const { call, log } = attempts()
        const { log: gone, note } = timeline()
        const slow = Effect.onInterrupt(Effect.never, () => note("gone"))
        const fiber = yield* Effect.fork(
          Hedge.hedge(call, options(slow) as Hedge.Options<never, never>) as Effect.Effect<never>
        )
        yield* TestClock.adjust("200 millis")
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(log.length, 2)
        assert.strictEqual(gone.length, 1)
      }
    })
  )

  it.effect("shows the defect of a finalizer", () =>
    Effect.gen(function* () {
      const call = Effect.onInterrupt(Effect.never, () => Effect.die("bug in a finalizer"))
      const fiber = yield* Effect.fork(Hedge.hedge(call, { delay }))
      yield* TestClock.adjust("50 millis")
      const cause = Option.getOrThrow(Exit.causeOption(yield* Fiber.interrupt(fiber)))
      assert.isTrue(Cause.isInterrupted(cause) && Cause.isDie(cause))
    })
  )

  it.effect("disposes of a failed result that nobody gets any more", () =>
    Effect.gen(function* () {
      const disposed: Array<number> = []
      let begun = 0
      const call = Effect.suspend(() => (begun++ === 0 ? Effect.succeed(503) : Effect.never))
      const fiber = yield* Effect.fork(
        Hedge.hedge(call, {
          delay,
          condition: { result: (status) => status === 503 },
          disposeResult: (status) => Effect.sync(() => disposed.push(status))
        })
      )
      yield* TestClock.adjust("50 millis")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(disposed, [503])
    })
  )

  it.effect("by another fiber names that fiber to the attempts", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<boolean>()
      const call = Effect.onInterrupt(Effect.never, (interruptors) =>
        Deferred.succeed(interrupted, [...interruptors].some(FiberId.isRuntime))
      )
      const fiber = yield* Effect.fork(Hedge.hedge(call, { delay }))
      yield* TestClock.adjust("50 millis")
      yield* Fiber.interrupt(fiber)
      assert.isTrue(yield* Deferred.await(interrupted))
    })
  )
})

describe("an interruption of a hedge at every step", () => {
  const scenarios: Record<string, (call: Effect.Effect<string, string>) => Effect.Effect<unknown, unknown>> =
    {
      "and waiting for the others": Hedge.hedge({ delay, maxHedges: 2 }),
      "and leaving the others": Hedge.hedge({ delay, maxHedges: 2, disconnect: true }),
      "with a listener and a computed delay": Hedge.hedge({
        delay: Effect.as(Effect.sleep(50), 50),
        maxHedges: 2,
        onHedge: () => Effect.sleep(10)
      }),
      "with a budget": (call) =>
        Effect.flatMap(RetryBudget.make(), (budget) => Hedge.hedge(call, { delay, maxHedges: 2, budget })),
      "where the caller cannot be interrupted": (call) =>
        Effect.uninterruptible(call.pipe(Hedge.hedge({ delay, maxHedges: 2 })))
    }

  for (const [name, hedge] of Object.entries(scenarios)) {
    it(`leaves no attempt behind, ${name}`, () => {
      let [open, closed] = [0, 0]
      const steps = interruptedAtEveryStep(
        () => {
          let begun = 0
          open = closed = 0
          const call = Effect.acquireUseRelease(
            Effect.sync(() => {
              open += 1
              return (begun += 1)
            }),
            (number): Effect.Effect<string, string> =>
              number === 2
                ? Effect.delay(Effect.fail("down"), 30)
                : Effect.delay(Effect.succeed("up"), 480 / number),
            () =>
              Effect.zipRight(
                Effect.sleep(5),
                Effect.sync(() => (closed += 1))
              )
          )
          return hedge(call)
        },
        ({ endedAt, exit, interruptedAt }) => {
          assert.isDefined(exit)
          assert.strictEqual(closed, open)
          assert.isBelow(endedAt, 1000)
          if (interruptedAt === undefined) assert.deepStrictEqual(exit, Exit.succeed("up"))
        }
      )
      assert.isAbove(steps, 5)
    })
  }
})
