import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schedule, TestClock } from "effect"
import { Retry } from "effect-resilience"
import { interruptedAtEveryStep } from "../support/everyStep.js"
import { finish, retried, scripted, timeline } from "../support/virtual.js"

const everySecond = { times: 3, schedule: Schedule.spaced("1 second") }

describe("an interruption of a retry", () => {
  it.effect.each<readonly [string, number, Retry.Options<number, string>, ReadonlyArray<number>]>([
    ["in the first attempt", 50, {}, [0]],
    ["in the first delay", 600, {}, [0]],
    ["in the second attempt", 1150, {}, [0, 1100]],
    ["at the very end of a delay", 1100, {}, [0, 1100]],
    ["in onRetryScheduled", 150, { onRetryScheduled: () => Effect.never }, [0]],
    ["in onRetry", 1150, { onRetry: () => Effect.never }, [0]],
    ["in onExceeded", 150, { times: 0, onExceeded: () => Effect.never }, [0]],
    ["in onAbort", 150, { abortWhen: () => true, onAbort: () => Effect.never }, [0]]
  ])("ends it %s", ([, at, options, expected]) =>
    Effect.gen(function* () {
      const { begun, call } = scripted<number, string, never>(Effect.delay(Effect.fail("down"), "100 millis"))
      const fiber = yield* Effect.fork(retried(call, { ...everySecond, ...options }))
      yield* TestClock.adjust(at)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(begun, expected)
    })
  )

  it.effect("waits for the finalizer of the attempt that it ends", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const call = Effect.never.pipe(Effect.ensuring(Effect.delay(note("closed"), "5 seconds")))
      const fiber = yield* Effect.fork(
        call.pipe(
          Retry.retry(everySecond),
          Effect.onExit(() => note("ended"))
        )
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(log, ["6000 closed", "6000 ended"])
    })
  )

  it.effect("cannot reach an uninterruptible region, whose retries go on", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted<number, string, never>(
        Effect.fail("down"),
        Effect.fail("down"),
        Effect.succeed(1)
      )
      const result = yield* Deferred.make<number, string>()
      const fiber = yield* Effect.fork(
        Effect.uninterruptible(Effect.intoDeferred(Retry.retry(call, everySecond), result))
      )
      yield* TestClock.adjust(500)
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* result, 1)
      assert.deepStrictEqual(begun, [0, 1000, 2000])
    })
  )

  it("at any step ends the call at once, and leaves no attempt running", () => {
    let running = 0
    const steps = interruptedAtEveryStep(
      () =>
        Effect.acquireUseRelease(
          Effect.sync(() => running++),
          () => Effect.zipRight(Effect.sleep(10), Effect.fail("down")),
          () => Effect.sync(() => running--)
        ).pipe(
          Retry.retry({
            ...everySecond,
            onRetryScheduled: () => Effect.sleep(1),
            onRetry: () => Effect.sleep(1),
            onExceeded: () => Effect.sleep(1)
          })
        ),
      ({ endedAt, exit, interruptedAt }) => {
        assert.strictEqual(running, 0)
        if (interruptedAt !== undefined) assert.strictEqual(endedAt, interruptedAt)
        // In its very last steps it has already ended.
        if (exit === undefined || !Exit.isInterrupted(exit)) assert.deepStrictEqual(exit, Exit.fail("down"))
      }
    )
    assert.isAbove(steps, 100)
  })
})

describe("the disposeResult of a retry", () => {
  /** Numbered results from 1, good from `good` on, and what became of them. */
  const resources = (good: number) => {
    const disposed: Array<number> = []
    let opened = 0
    const open: Effect.Effect<number, string> = Effect.sync(() => ++opened)
    const options = {
      ...everySecond,
      condition: { result: (resource: number) => resource < good },
      disposeResult: (resource: number) => Effect.sync(() => disposed.push(resource))
    }
    return { open, options, disposed, opened: () => opened }
  }

  it.effect.each<readonly [string, number, ReadonlyArray<number>, number]>([
    ["a good result, not", 1, [], 1],
    ["each one that another replaced, not the good one", 3, [1, 2], 3],
    ["not the last one, which comes back", 9, [1, 2, 3], 4]
  ])("gives back %s", ([, good, expected, result]) =>
    Effect.gen(function* () {
      const { disposed, open, options } = resources(good)
      assert.deepStrictEqual(yield* finish(Retry.retry(open, options)), Exit.succeed(result))
      assert.deepStrictEqual(disposed, expected)
    })
  )

  it.effect.each<readonly [string, Retry.Options<number, string>]>([
    ["the hint is too long", { delayFrom: () => "1 minute" }],
    ["the schedule has ended", { schedule: Schedule.stop }],
    ["it would take too long", { maxDuration: 1 }],
    ["the retry is aborted", { abortWhen: () => true }],
    ["it comes back wrapped", { times: 0, exceeded: "wrap" }]
  ])("leaves a result to the caller when %s", ([, bounds]) =>
    Effect.gen(function* () {
      const { disposed, open, options } = resources(9)
      yield* finish(retried(open, { ...options, ...bounds }))
      assert.deepStrictEqual(disposed, [])
    })
  )

  it.effect("runs before the delay, and for no error", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const { call } = scripted<number, string, never>(
        Effect.succeed(503),
        Effect.fail("down"),
        Effect.succeed(200)
      )
      yield* finish(
        Retry.retry(call, {
          ...everySecond,
          condition: { result: (status) => status === 503 },
          disposeResult: (status) => note(`disposed of ${status}`),
          onRetryScheduled: () => note("scheduled"),
          onRetry: () => note("again")
        })
      )
      assert.deepStrictEqual(log, [
        "0 scheduled",
        "0 disposed of 503",
        "1000 again",
        "1000 scheduled",
        "2000 again"
      ])
    })
  )

  it.effect.each<
    readonly [string, Retry.Options<number, string>, Effect.Effect<Exit.Exit<unknown, unknown>>]
  >([
    ["onRetryScheduled fails", { onRetryScheduled: () => Effect.fail("no") }, Effect.exit(Effect.fail("no"))],
    ["onExceeded fails", { times: 0, onExceeded: () => Effect.fail("no") }, Effect.exit(Effect.fail("no"))],
    [
      "onAbort fails",
      { abortWhen: () => true, onAbort: () => Effect.fail("no") },
      Effect.exit(Effect.fail("no"))
    ],
    [
      "abortWhen throws",
      {
        abortWhen: () => {
          throw "bug"
        }
      },
      Effect.exit(Effect.die("bug"))
    ],
    [
      "delayFrom throws",
      {
        delayFrom: () => {
          throw "bug"
        }
      },
      Effect.exit(Effect.die("bug"))
    ],
    [
      "the schedule dies",
      { schedule: Schedule.forever.pipe(Schedule.addDelayEffect(() => Effect.die("bug"))) },
      Effect.exit(Effect.die("bug"))
    ],
    [
      "the condition throws",
      {
        condition: {
          result: () => {
            throw "bug"
          }
        }
      },
      Effect.exit(Effect.die("bug"))
    ]
  ])("runs once when %s", ([, bounds, expected]) =>
    Effect.gen(function* () {
      const { disposed, open, options } = resources(9)
      const exit = yield* finish(retried(open, { ...options, ...bounds }))
      assert.deepStrictEqual(exit, yield* expected)
      assert.deepStrictEqual(disposed, [1])
    })
  )

  it.effect("runs once when onRetry fails after the delay", () =>
    Effect.gen(function* () {
      const { disposed, open, options } = resources(9)
      const exit = yield* finish(Retry.retry(open, { ...options, onRetry: () => Effect.fail("no") }))
      assert.deepStrictEqual(exit, Exit.fail("no"))
      assert.deepStrictEqual(disposed, [1])
    })
  )

  it.effect("ends the call when it dies", () =>
    Effect.gen(function* () {
      const { open, opened, options } = resources(9)
      const exit = yield* finish(Retry.retry(open, { ...options, disposeResult: () => Effect.die("bug") }))
      assert.deepStrictEqual(exit, Exit.die("bug"))
      assert.strictEqual(opened(), 1)
    })
  )

  it.effect("runs to its end when the call is interrupted", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const { open, options } = resources(9)
      const fiber = yield* Effect.fork(
        Retry.retry(open, { ...options, disposeResult: () => Effect.delay(note("disposed"), "1 minute") })
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(log, ["60000 disposed"])
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
    })
  )

  // The third result is good: whether an interruption finds it here or on its way to the caller is a matter of steps.
  it("loses no result to an interruption at any step, and gives none back twice", () => {
    let opened: Array<number> = []
    let disposed: Array<number> = []
    interruptedAtEveryStep(
      () => {
        opened = []
        disposed = []
        return Effect.sync(() => opened.push(opened.length + 1)).pipe(
          Retry.retry({
            ...everySecond,
            condition: { result: (resource: number) => resource < 3 },
            disposeResult: (resource) => Effect.sync(() => disposed.push(resource)),
            onRetryScheduled: () => Effect.sleep(1),
            onRetry: () => Effect.sleep(1)
          })
        )
      },
      ({ exit }) => {
        assert.deepStrictEqual(disposed.slice(0, 2), opened.slice(0, 2))
        const returned = exit !== undefined && Exit.isSuccess(exit)
        assert.isTrue(disposed.length <= 2 || (disposed.length === 3 && !returned))
      }
    )
  })
})
