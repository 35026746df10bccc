import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberId, Option, TestClock } from "effect"
import { Bulkhead, Timeout } from "effect-resilience"
import { forked, settled, up } from "../support/calls.js"
import { interruptedAtEveryStep } from "../support/everyStep.js"

/** A bulkhead in which nothing is left of anybody. */
const isEmpty = (bulkhead: Bulkhead.Bulkhead) =>
  Effect.map(bulkhead.snapshot, ({ inUse, queued, running }) => {
    assert.deepStrictEqual({ inUse, queued, running }, { inUse: 0, queued: 0, running: 0 })
  })

/** The bulkheads of these tests, with and without an end of the wait and with every listener. */
const listener = () => Effect.yieldNow()
const makers = {
  plain: Bulkhead.make({ permits: 1, maxQueued: 10 }),
  "with maxWait": Bulkhead.make({ permits: 1, maxQueued: 10, maxWait: "1 minute" }),
  "with listeners": Bulkhead.make({
    permits: 1,
    maxQueued: 10,
    onQueued: listener,
    onAdmitted: listener,
    onRejected: listener,
    onSuccess: listener,
    onFailure: listener
  })
}

for (const [kind, make] of Object.entries(makers)) {
  describe(`interrupting a call of a bulkhead (${kind})`, () => {
    it.effect("before it begins leaves nothing behind", () =>
      Effect.gen(function* () {
        const bulkhead = yield* make
        const fiber = yield* Effect.fork(bulkhead.protect(Effect.never))
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        yield* isEmpty(bulkhead)
      })
    )

    it.effect("that runs gives its permit back after its finalizers, and is not counted", () =>
      Effect.gen(function* () {
        const bulkhead = yield* make
        const gate = yield* Deferred.make<void>()
        const fiber = yield* forked(
          bulkhead.protect(Effect.onInterrupt(Effect.never, () => Deferred.await(gate)))
        )
        const waiting = yield* forked(bulkhead.protect(up))
        yield* Fiber.interruptFork(fiber)
        yield* settled
        assert.deepInclude(yield* bulkhead.snapshot, { inUse: 1, queued: 1 })
        yield* Deferred.succeed(gate, undefined)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
        assert.strictEqual(yield* Fiber.join(waiting), "up")
        assert.deepInclude(yield* bulkhead.snapshot, { successes: 1, failures: 0, rejected: 0 })
        yield* isEmpty(bulkhead)
      })
    )

    it.effect("that waits leaves no trace, and the others keep their order", () =>
      Effect.gen(function* () {
        for (const leaves of [0, 1, 2]) {
          const bulkhead = yield* make
          const gate = yield* Deferred.make<void>()
          const begun: Array<number> = []
          yield* forked(bulkhead.protect(Deferred.await(gate)))
          const waiting = yield* Effect.forEach([0, 1, 2], (index) =>
            forked(bulkhead.protect(Effect.sync(() => begun.push(index))))
          )
          assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(waiting[leaves])))
          assert.deepInclude(yield* bulkhead.snapshot, { inUse: 1, queued: 2, rejected: 0 })
          yield* Deferred.succeed(gate, undefined)
          yield* settled
          assert.deepStrictEqual(
            begun,
            [0, 1, 2].filter((index) => index !== leaves)
          )
          yield* isEmpty(bulkhead)
        }
      })
    )

    it.effect("that waits lets it leave also where the caller cannot be interrupted", () =>
      Effect.gen(function* () {
        const bulkhead = yield* make
        const running = yield* forked(bulkhead.protect(Effect.never))
        let cleanedUp = false
        const caller = bulkhead
          .protect(up)
          .pipe(Effect.exit, Effect.zipLeft(Effect.sync(() => (cleanedUp = true))), Effect.uninterruptible)
        const waiting = yield* forked(caller)
        assert.deepInclude(yield* bulkhead.snapshot, { queued: 1 })
        yield* Fiber.interruptFork(waiting)
        yield* settled
        assert.deepInclude(yield* bulkhead.snapshot, { inUse: 1, queued: 0, rejected: 0 })
        // The rest of the uninterruptible region has seen the interruption as an exit, and has run to its end.
        assert.isTrue(cleanedUp)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(waiting)))
        yield* Fiber.interrupt(running)
        yield* isEmpty(bulkhead)
      })
    )

    it.effect("that runs where the caller cannot be interrupted waits for it", () =>
      Effect.gen(function* () {
        const bulkhead = yield* make
        const gate = yield* Deferred.make<void>()
        const fiber = yield* forked(Effect.uninterruptible(bulkhead.protect(Deferred.await(gate))))
        yield* Fiber.interruptFork(fiber)
        yield* settled
        assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
        assert.deepInclude(yield* bulkhead.snapshot, { inUse: 1 })
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.await(fiber)
        yield* isEmpty(bulkhead)
      })
    )

    it.effect("whose grant races the interruption hands the permit on", () =>
      Effect.gen(function* () {
        for (const masked of [false, true]) {
          const bulkhead = yield* make
          let ran = false
          const running = yield* forked(bulkhead.protect(Effect.never))
          const call = bulkhead.protect(Effect.sync(() => (ran = true)))
          const victim = yield* forked(masked ? Effect.uninterruptible(call) : call)
          const next = yield* forked(bulkhead.protect(up))
          // The victim is granted a permit and interrupted before it has noticed either.
          yield* bulkhead.resize(2)
          victim.unsafeInterruptAsFork(FiberId.none)
          assert.isTrue(Exit.isInterrupted(yield* Fiber.await(victim)))
          assert.strictEqual(yield* Fiber.join(next), "up")
          yield* Fiber.interrupt(running)
          assert.isFalse(ran)
          yield* isEmpty(bulkhead)
        }
      })
    )

    for (const situation of ["a free place", "a line"] as const) {
      it(`at each of its steps, coming to ${situation}, gives everything back and keeps nobody waiting`, () => {
        let bulkhead: Bulkhead.Bulkhead | undefined
        let others: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>> = []
        const program = () =>
          Effect.gen(function* () {
            bulkhead = yield* make
            const { protect } = bulkhead
            const brief = protect(Effect.yieldNow())
            // Another call before, if there is to be a line, and another one after.
            const before = situation === "a line" ? [yield* Effect.forkDaemon(brief)] : []
            if (situation === "a line") yield* Effect.yieldNow()
            const after = yield* Effect.forkDaemon(Effect.zipRight(Effect.yieldNow(), brief))
            others = [...before, after]
            return yield* protect(Effect.repeatN(Effect.yieldNow(), 2))
          })
        const steps = interruptedAtEveryStep(program, ({ exit, interruptedAt }) => {
          assert.isDefined(exit)
          if (interruptedAt === undefined) assert.isTrue(Exit.isSuccess(exit))
          else if (!Exit.isSuccess(exit)) assert.isTrue(Exit.isInterrupted(exit))
          if (bulkhead !== undefined) Effect.runSync(isEmpty(bulkhead))
          for (const other of others) assert.isTrue(Exit.isSuccess(other.unsafePoll()!))
        })
        assert.isAbove(steps, 30)
      })
    }
  })
}

describe("an interruption of a bulkhead's call", () => {
  it.effect("interrupts the slow onRejected of a rejected call and changes nothing", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, onRejected: () => Effect.never })
      const running = yield* forked(bulkhead.protect(Effect.never))
      const fiber = yield* forked(bulkhead.protect(up))
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.deepInclude(yield* bulkhead.snapshot, { inUse: 1, rejected: 1 })
      yield* Fiber.interrupt(running)
      yield* isEmpty(bulkhead)
    })
  )

  it.effect("removes a call in a slow onQueued from the queue", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 1, onQueued: () => Effect.never })
      const running = yield* forked(bulkhead.protect(Effect.never))
      const fiber = yield* forked(Effect.uninterruptible(bulkhead.protect(up)))
      assert.deepInclude(yield* bulkhead.snapshot, { queued: 1 })
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* bulkhead.snapshot, { queued: 0 })
      yield* Fiber.interrupt(running)
      yield* isEmpty(bulkhead)
    })
  )

  it.effect("waits for the onAdmitted that an uninterruptible call never ended", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, onAdmitted: () => Effect.never })
      const fiber = yield* forked(bulkhead.protect(up))
      yield* isEmpty(bulkhead)
      assert.deepInclude(yield* bulkhead.snapshot, { successes: 1 })
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
    })
  )

  it.effect("ends the onAdmitted of the call too", () =>
    Effect.gen(function* () {
      let ended = false
      const onAdmitted = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => (ended = true)))
      const bulkhead = yield* Bulkhead.make({ permits: 1, onAdmitted })
      const fiber = yield* forked(bulkhead.protect(Effect.never))
      assert.deepInclude(yield* bulkhead.snapshot, { inUse: 1 })
      yield* Fiber.interrupt(fiber)
      assert.isTrue(ended)
      yield* isEmpty(bulkhead)
      yield* Effect.scoped(bulkhead.acquire)
      yield* isEmpty(bulkhead)
    })
  )

  it.effect("in a slow listener of the outcome neither keeps the permit nor loses the count", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, onSuccess: () => Effect.never })
      const fiber = yield* forked(bulkhead.protect(up))
      yield* isEmpty(bulkhead)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.deepInclude(yield* bulkhead.snapshot, { successes: 1 })
    })
  )

  it.effect("by a timeout covers the wait when the timeout is outside, and does not when it is inside", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 10 })
      yield* forked(bulkhead.protect(Effect.sleep("5 seconds")))
      const outside = yield* forked(Effect.flip(up.pipe(bulkhead.protect, Timeout.timeout("1 second"))))
      const inside = yield* forked(up.pipe(Timeout.timeout("1 second"), bulkhead.protect))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(outside))._tag, "TimeoutExceeded")
      assert.deepInclude(yield* bulkhead.snapshot, { queued: 1 })
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(inside), "up")
      assert.deepInclude(yield* bulkhead.snapshot, { successes: 2, failures: 0, rejected: 0 })
    })
  )
})
