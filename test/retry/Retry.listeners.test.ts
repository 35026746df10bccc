import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Duration, Effect, Exit, Fiber, Logger, Schedule, TestClock } from "effect"
import { Retry } from "effect-resilience"
import { finish, retried, scripted, timeline } from "../support/virtual.js"

const everySecond = { times: 1, schedule: Schedule.spaced("1 second") }

describe("the listeners of a retry", () => {
  it.effect("are called in order, around the delay", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const call = Effect.zipRight(note("attempt"), Effect.delay(Effect.fail("down"), "100 millis"))
      yield* finish(
        call.pipe(
          Retry.retry({
            ...everySecond,
            onRetryScheduled: () => note("onRetryScheduled"),
            onRetry: () => note("onRetry"),
            onExceeded: () => note("onExceeded")
          }),
          Effect.catchAll(note)
        )
      )
      assert.deepStrictEqual(log, [
        "0 attempt",
        "100 onRetryScheduled",
        "1100 onRetry",
        "1100 attempt",
        "1200 onExceeded",
        "1200 down"
      ])
    })
  )

  it.effect("get the failure, the attempt and the elapsed time", () =>
    Effect.gen(function* () {
      const events: Array<readonly [string, unknown]> = []
      const on = (name: string) => (event: unknown) => Effect.sync(() => events.push([name, event]))
      const { call } = scripted<number, string, never>(
        Effect.delay(Effect.fail("down"), "100 millis"),
        Effect.succeed(503)
      )
      const options = {
        ...everySecond,
        name: "offers",
        condition: { result: (status: number) => status === 503 },
        onRetryScheduled: on("onRetryScheduled"),
        onRetry: on("onRetry")
      }
      yield* finish(Retry.retry(call, { ...options, onExceeded: on("onExceeded") }))
      yield* finish(Retry.retry(call, { ...options, abortWhen: () => true, onAbort: on("onAbort") }))
      const cause = Cause.fail("down")
      const offers = { kind: "retry", name: "offers" }
      const first = { ...offers, attempt: 1, elapsed: Duration.millis(100) }
      const scheduled = {
        ...first,
        failure: { _tag: "Error", error: "down", cause },
        delay: Duration.seconds(1)
      }
      const result = { _tag: "Result", result: 503 }
      const second = { ...offers, attempt: 2, elapsed: Duration.millis(1100), failure: result }
      assert.deepStrictEqual(events, [
        ["onRetryScheduled", { _tag: "RetryScheduled", ...scheduled }],
        ["onRetry", { _tag: "Retry", ...scheduled }],
        ["onExceeded", { _tag: "Exceeded", ...second, reason: "times" }],
        ["onAbort", { _tag: "Abort", ...offers, attempt: 1, elapsed: Duration.zero, failure: result }]
      ])
    })
  )

  it.effect("get a hint as the delay that it makes", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const onRetry = ({ delay, name }: Retry.Retried<unknown, unknown>) =>
        note(`${name} ${Duration.format(delay)}`)
      yield* finish(
        Retry.retry(Effect.fail("down"), { ...everySecond, delayFrom: () => "5 seconds", onRetry })
      )
      assert.deepStrictEqual(log, ["5000 retry 5s"])
    })
  )

  it.effect.each<readonly [string, Retry.Options<never, string>]>([
    ["times", { times: 0 }],
    ["schedule", { schedule: Schedule.stop }],
    ["maxDuration", { maxDuration: 0, schedule: Schedule.spaced(1) }],
    ["hint", { maxHint: 0 }]
  ])("get the reason: %s", ([reason, options]) =>
    Effect.gen(function* () {
      const reasons: Array<string> = []
      const delayFrom = reason === "hint" ? () => 1 : undefined
      const onExceeded: Retry.Options<never, string>["onExceeded"] = (event) =>
        Effect.sync(() => reasons.push(event.reason))
      yield* Effect.exit(retried(Effect.fail("down"), { ...options, delayFrom, onExceeded }))
      assert.deepStrictEqual(reasons, [reason])
    })
  )

  type Listener = "onRetryScheduled" | "onRetry" | "onExceeded" | "onAbort"
  /** A retry that calls the one given listener. */
  const listening = (listener: Listener, effect: Effect.Effect<void, string>) => {
    const { begun, call } = scripted<number, string, never>(Effect.fail("down"))
    const options: Retry.Options<number, string> = { ...everySecond, [listener]: () => effect }
    const abortWhen = listener === "onAbort" ? () => true : undefined
    return { begun, call: retried(call, { ...options, abortWhen }) }
  }
  const listeners: ReadonlyArray<readonly [Listener, attemptsBefore: number, attempts: number]> = [
    ["onRetryScheduled", 1, 2],
    ["onRetry", 1, 2],
    ["onExceeded", 2, 2],
    ["onAbort", 1, 1]
  ]

  it.effect.each(listeners)(
    "with an %s that fails end the call with its error",
    ([listener, attemptsBefore]) =>
      Effect.gen(function* () {
        const { begun, call } = listening(listener, Effect.fail("listener"))
        assert.deepStrictEqual(yield* finish(call), Exit.fail("listener"))
        assert.strictEqual(begun.length, attemptsBefore)
      })
  )

  it.effect.each(listeners)(
    "with an %s that dies change nothing, and the defect is logged",
    ([listener, , attempts]) =>
      Effect.gen(function* () {
        const logged: Array<unknown> = []
        const logger = Logger.make(({ cause, logLevel, message }) => {
          logged.push([logLevel.label, message, Cause.squash(cause)])
        })
        const throws = Effect.suspend((): Effect.Effect<never> => {
          throw "bug"
        })
        for (const dies of [Effect.die("bug"), throws]) {
          const { begun, call } = listening(listener, dies)
          assert.deepStrictEqual(yield* finish(Effect.provide(call, Logger.add(logger))), Exit.fail("down"))
          assert.strictEqual(begun.length, attempts)
        }
        const line = ["WARN", [`a listener of "retry" failed`], "bug"]
        assert.deepStrictEqual(logged, [line, line])
      })
  )

  it.effect.each(listeners)(
    "with an %s that interrupts itself interrupt the call",
    ([listener, attemptsBefore]) =>
      Effect.gen(function* () {
        const { begun, call } = listening(listener, Effect.interrupt)
        assert.isTrue(Exit.isInterrupted(yield* finish(call)))
        assert.strictEqual(begun.length, attemptsBefore)
      })
  )

  it.effect("run in the context of the call", () =>
    Effect.gen(function* () {
      class Audit extends Context.Tag("Audit")<Audit, Array<number>>() {}
      const audit: Array<number> = []
      yield* finish(
        Effect.fail("down").pipe(
          Retry.retry({
            ...everySecond,
            onRetry: ({ attempt }) => Effect.map(Audit, (audit) => audit.push(attempt)),
            onExceeded: ({ attempt }) => Effect.map(Audit, (audit) => audit.push(attempt))
          }),
          Effect.provideService(Audit, audit)
        )
      )
      assert.deepStrictEqual(audit, [1, 2])
    })
  )

  it.effect("are not called for a call that needs no retry", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const all = {
        ...everySecond,
        condition: { error: (error: string) => error === "down" },
        abortWhen: () => true,
        onRetryScheduled: () => note("onRetryScheduled"),
        onRetry: () => note("onRetry"),
        onExceeded: () => note("onExceeded"),
        onAbort: () => note("onAbort")
      }
      for (const effect of [Effect.succeed(1), Effect.fail("other"), Effect.die("bug"), Effect.interrupt]) {
        yield* Effect.exit(Retry.retry(effect as Effect.Effect<number, string>, all))
      }
      const fiber = yield* Effect.fork(Retry.retry(Effect.never as Effect.Effect<number, string>, all))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(log, [])
    })
  )
})
