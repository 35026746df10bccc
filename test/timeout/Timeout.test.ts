import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  FiberRef,
  Logger,
  TestClock
} from "effect"
import { Policy, Timeout } from "effect-resilience"
import { refusalOf } from "../support/calls.js"
import { interruptedAtEveryStep, runToEnd } from "../support/everyStep.js"
import { finish, timeline } from "../support/virtual.js"

/** The exit of an effect and the virtual time at which it came. */
const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(finish(Effect.zip(Effect.exit(self), Clock.currentTimeMillis)), (exit) =>
    Exit.getOrElse(exit, () => assert.fail())
  )

/** The fields of the error that an effect failed with. */
const errorOf = (exit: Exit.Exit<unknown, unknown>): unknown => {
  if (Exit.isSuccess(exit)) return assert.fail("expected a failure")
  const error = Cause.squash(exit.cause)
  if (!(error instanceof Timeout.TimeoutExceeded)) return error
  return {
    name: error.name,
    limit: Duration.toMillis(error.limit),
    elapsed: Duration.toMillis(error.elapsed)
  }
}

const exceeded = (limit: number, elapsed = limit, name = "timeout") => ({ name, limit, elapsed })

const bothModes = [
  ["attached", { limit: "1 second" }],
  ["disconnected", { limit: "1 second", disconnect: true }]
] as const

// ------------------------------------------------------------------------------------------------------------ the limit

describe("Timeout.timeout", () => {
  it.effect("fails with TimeoutExceeded when the effect takes longer", () =>
    Effect.gen(function* () {
      const [exit, at] = yield* timed(
        Effect.never.pipe(Timeout.timeout({ limit: "2 seconds", name: "partner" }))
      )
      assert.deepStrictEqual(errorOf(exit), exceeded(2000, 2000, "partner"))
      assert.strictEqual(at, 2000)
      const error = yield* Effect.flip(exit)
      assert.strictEqual(error._tag, "TimeoutExceeded")
      assert.strictEqual(error.message, "took longer than 2s")
      assert.isFalse(Policy.isRejection(error))
    })
  )

  const modes = bothModes.flatMap(([mode, options]) =>
    (
      [
        ["a success", Effect.succeed("up")],
        ["a success just in time", Effect.delay(Effect.succeed("up"), 999)],
        ["a failure", Effect.fail("down")],
        ["a failure just in time", Effect.delay(Effect.fail("down"), 999)],
        ["a defect", Effect.delay(Effect.die("bug"), 10)],
        [
          "its own TimeoutExceeded of another",
          Effect.never.pipe(Timeout.timeout({ limit: 10, name: "inner" }))
        ]
      ] as ReadonlyArray<readonly [string, Effect.Effect<string, unknown>]>
    ).map(([name, effect]) => [mode, name, options, effect] as const)
  )

  it.effect.each(modes)("(%s) returns %s", ([, , options, effect]) =>
    Effect.gen(function* () {
      const expected = yield* finish(effect)
      const exit = yield* finish(effect.pipe(Timeout.timeout(options)))
      assert.deepStrictEqual(exit, expected)
    })
  )

  it.each(bothModes)(
    "(%s) returns a success at the limit, whose timer is older than its own",
    (_, options) => {
      const { endedAt, exit } = runToEnd(
        Effect.delay(Effect.succeed("up"), 1000).pipe(Timeout.timeout(options))
      )
      assert.deepStrictEqual(exit, Exit.succeed("up"))
      assert.strictEqual(endedAt, 1000)
    }
  )

  it.effect.each(bothModes)("(%s) returns the effect's own interruption", ([, options]) =>
    Effect.gen(function* () {
      const [exit, at] = yield* timed(Effect.delay(Effect.interrupt, 10).pipe(Timeout.timeout(options)))
      assert.isTrue(Exit.isInterrupted(exit))
      assert.strictEqual(at, 10)
    })
  )

  const day = 24 * 60 * 60 * 1000
  it.effect.each<readonly [string, Duration.DurationInput | Effect.Effect<Duration.DurationInput>, number]>([
    ["zero", 0, 0],
    ["a fraction", 0.5, 0.5],
    ["a string", "3 seconds", 3000],
    ["nanoseconds", 5_000_000n, 5],
    ["as long as a timer waits", 2 ** 31 - 1, 2 ** 31 - 1],
    ["longer than a timer waits", Duration.days(60), 60 * day],
    ["computed", Effect.succeed("3 seconds"), 3000],
    ["computed later, which does not count", Effect.delay(Effect.succeed(500), "4 seconds"), 500],
    ["computed as zero", Effect.succeed(0), 0],
    ["computed below zero", Effect.succeed(-5), 0],
    ["computed as longer than a timer waits", Effect.succeed("60 days"), 60 * day]
  ])("waits exactly as long as its limit: %s", ([, limit, millis]) =>
    Effect.gen(function* () {
      for (const disconnect of [false, true]) {
        const startedAt = yield* Clock.currentTimeMillis
        const late = Effect.isEffect(limit)
          ? Effect.zipRight(limit, Clock.currentTimeMillis)
          : Clock.currentTimeMillis
        const [exit, at] = yield* timed(Effect.never.pipe(Timeout.timeout({ limit, disconnect })))
        assert.deepStrictEqual(errorOf(exit), exceeded(millis))
        yield* TestClock.setTime(startedAt)
        assert.strictEqual(at, Exit.getOrElse(yield* finish(late), () => 0) + millis)
        yield* TestClock.setTime(0)
      }
    })
  )

  it("waits longer than a timer can", () => {
    for (const disconnect of [false, true]) {
      const { endedAt, exit } = runToEnd(Effect.never.pipe(Timeout.timeout({ limit: "60 days", disconnect })))
      assert.strictEqual(endedAt, 60 * day)
      assert.isTrue(exit !== undefined && Exit.isFailure(exit))
    }
  })

  it.effect("does not start an effect that has no time", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      for (const limit of [0, Effect.succeed(0), Effect.succeed(-1)]) {
        yield* Effect.exit(note("started").pipe(Timeout.timeout({ limit })))
        yield* Effect.exit(note("started").pipe(Timeout.timeout({ limit, disconnect: true })))
      }
      assert.deepStrictEqual(log, [])
    })
  )

  it.effect("never ends a call with an infinite limit", () =>
    Effect.gen(function* () {
      for (const limit of [Infinity, Duration.infinity, Effect.succeed(Infinity)]) {
        const slow = Effect.delay(Effect.succeed("up"), "300 days")
        assert.deepStrictEqual(yield* finish(slow.pipe(Timeout.timeout({ limit }))), Exit.succeed("up"))
      }
    })
  )

  it.effect("computes a limit for each call, with its errors and requirements", () =>
    Effect.gen(function* () {
      class Left extends Context.Tag("Left")<Left, { millis: number }>() {}
      const limit = Effect.flatMap(Left, (left) =>
        left.millis > 0 ? Effect.succeed(left.millis) : Effect.fail("none left")
      )
      const call = Effect.never.pipe(Timeout.timeout({ limit, name: "deadline" }))
      const left = { millis: 300 }
      const provided = Effect.provideService(call, Left, left)
      assert.deepStrictEqual(errorOf(yield* finish(provided)), exceeded(300, 300, "deadline"))
      left.millis = 7
      assert.deepStrictEqual(errorOf(yield* finish(provided)), exceeded(7, 7, "deadline"))
      left.millis = 0
      assert.deepStrictEqual(yield* finish(provided), Exit.fail("none left"))
    })
  )

  it.effect.each([NaN, "soon", {}, undefined, null])(
    "dies of a computed limit that is no duration: %s",
    (limit) =>
      Effect.gen(function* () {
        yield* refusalOf(Effect.void.pipe(Timeout.timeout({ limit: Effect.succeed(limit as never) })))
      })
  )

  it.effect("ends first as the shorter of two, and as the inner of equals", () =>
    Effect.gen(function* () {
      for (const [inner, outer, first] of [
        [1000, 2000, "inner"],
        [2000, 1000, "outer"],
        [1000, 1000, "inner"]
      ] as const) {
        const [exit, at] = yield* timed(
          Effect.never.pipe(
            Timeout.timeout({ limit: inner, name: "inner" }),
            Timeout.timeout({ limit: outer, name: "outer" })
          )
        )
        assert.deepStrictEqual(errorOf(exit), exceeded(1000, 1000, first))
        assert.strictEqual(at % 1000, 0)
      }
    })
  )
})

// ------------------------------------------------------------------------------------------------- what is interrupted

describe("Timeout.timeout at its limit", () => {
  const slowToClose = (note: (what: string) => Effect.Effect<void>) =>
    Effect.never.pipe(Effect.ensuring(Effect.delay(note("closed"), "5 seconds")))

  it.effect("waits for finalizers, and says how long that took", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const [exit, at] = yield* timed(slowToClose(note).pipe(Timeout.timeout("1 second")))
      assert.deepStrictEqual(errorOf(exit), exceeded(1000, 6000))
      assert.deepStrictEqual(log, ["6000 closed"])
      assert.strictEqual(at, 6000)
    })
  )

  it.effect("leaves at once when disconnected, and the finalizers run on", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const [exit, at] = yield* timed(
        slowToClose(note).pipe(Timeout.timeout({ limit: "1 second", disconnect: true }))
      )
      assert.deepStrictEqual(errorOf(exit), exceeded(1000))
      assert.strictEqual(at, 1000)
      assert.deepStrictEqual(log, ["6000 closed"])
    })
  )

  const uninterruptible = (note: (what: string) => Effect.Effect<void>) =>
    Effect.uninterruptible(Effect.delay(note("done"), "5 seconds"))

  it.effect.each<readonly [string, boolean, boolean, number]>([
    ["attached, waits for an uninterruptible effect", false, false, 5000],
    ["disconnected, leaves an uninterruptible effect", true, false, 1000],
    ["attached, waits in an uninterruptible region", false, true, 5000],
    ["disconnected, leaves in an uninterruptible region", true, true, 1000]
  ])("%s", ([, disconnect, region, expected]) =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const call = uninterruptible(note).pipe(Timeout.timeout({ limit: "1 second", disconnect }))
      const [exit, at] = yield* timed(region ? Effect.uninterruptible(call) : call)
      assert.deepStrictEqual(errorOf(exit), exceeded(1000, expected))
      assert.strictEqual(at, expected)
      assert.deepStrictEqual(log, ["5000 done"])
    })
  )

  it.effect.each(bothModes)("(%s) ends what the effect has forked, in time or not", ([, options]) =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const child = Effect.never.pipe(Effect.onInterrupt(() => note("child gone")))
      const call = (ends: Effect.Effect<void>) =>
        Effect.zipRight(Effect.fork(child), ends).pipe(Timeout.timeout(options), Effect.exit)
      yield* finish(call(Effect.sleep(500)))
      yield* TestClock.setTime(0)
      yield* finish(call(Effect.never))
      assert.deepStrictEqual(log, ["500 child gone", "1000 child gone"])
    })
  )

  it.effect.each(bothModes)("(%s) closes scoped resources, in time or not", ([, options]) =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const call = (uses: Effect.Effect<void>) =>
        Effect.acquireRelease(note("open"), () => note("close")).pipe(
          Effect.zipRight(uses),
          Effect.scoped,
          Timeout.timeout(options),
          Effect.exit
        )
      yield* finish(call(Effect.sleep(500)))
      yield* TestClock.setTime(0)
      yield* finish(call(Effect.never))
      assert.deepStrictEqual(log, ["0 open", "500 close", "0 open", "1000 close"])
    })
  )

  it.effect.each(bothModes)("(%s) keeps the FiberRef changes of an effect that succeeds", ([, options]) =>
    Effect.gen(function* () {
      const ref = FiberRef.unsafeMake("before")
      yield* FiberRef.set(ref, "changed").pipe(Effect.delay(500), Timeout.timeout(options), finish)
      assert.strictEqual(yield* FiberRef.get(ref), "changed")
    })
  )

  it.effect.each(bothModes)("(%s) works in Effect.all and Effect.race", ([, options]) =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const slow = Effect.never.pipe(Effect.onInterrupt(() => note("interrupted")))
      const late = Timeout.timeout(slow, options)
      const [all] = yield* timed(Effect.all([late, slow], { concurrency: "unbounded" }))
      assert.deepStrictEqual(errorOf(all), exceeded(1000))
      assert.deepStrictEqual(log, ["1000 interrupted", "1000 interrupted"])
      yield* TestClock.setTime(0)
      const [won] = yield* timed(Effect.race(late, Effect.delay(Effect.succeed("won"), 200)))
      assert.deepStrictEqual(won, Exit.succeed("won"))
      assert.deepStrictEqual(log.slice(2), ["200 interrupted"])
    })
  )
})

// ---------------------------------------------------------------------------------------------- interruption from outside

describe("Timeout.timeout that is interrupted from outside", () => {
  const interruptions = bothModes.flatMap(([mode, options]) =>
    [0, 500, 999, 1000].map((at) => [mode, at, options] as const)
  )

  it.effect.each(interruptions)("(%s) ends as an interruption, after %s ms of a second", ([, at, options]) =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const call = Effect.never.pipe(
        Effect.onInterrupt(() => note("gone")),
        Timeout.timeout(options)
      )
      const fiber = yield* Effect.fork(call)
      yield* Effect.fork(Effect.delay(Fiber.interruptFork(fiber), at))
      yield* TestClock.adjust("1 minute")
      const exit = yield* Fiber.await(fiber)
      // At the very limit it is one or the other.
      if (at < 1000) assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      else if (!Exit.isInterrupted(exit)) assert.deepStrictEqual(errorOf(exit), exceeded(1000))
      assert.deepStrictEqual(log, [`${at} gone`])
    })
  )

  it.effect("waits for the finalizers of the effect when attached", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const fiber = yield* Effect.never.pipe(
        Effect.ensuring(Effect.delay(note("closed"), "5 seconds")),
        Timeout.timeout("1 minute"),
        Effect.onExit(() => note("left")),
        Effect.fork
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(log, ["6000 closed", "6000 left"])
    })
  )

  it.effect("while it waits for finalizers at the limit ends as an interruption", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.never.pipe(
        Effect.ensuring(Effect.sleep("5 seconds")),
        Timeout.timeout("1 second"),
        Effect.fork
      )
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
    })
  )

  // As in `Effect.acquireRelease(connect.pipe(Timeout.timeout(...)), close)`: what was acquired must not be lost.
  it.effect.each(bothModes)(
    "(%s) does not disturb an uninterruptible region, which gets its result",
    ([, options]) =>
      Effect.gen(function* () {
        const got = yield* Deferred.make<string, Timeout.TimeoutExceeded>()
        const call = Effect.delay(Effect.succeed("connection"), 600).pipe(Timeout.timeout(options))
        const fiber = yield* Effect.fork(Effect.uninterruptible(Effect.intoDeferred(call, got)))
        yield* TestClock.adjust(300)
        yield* Fiber.interruptFork(fiber)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* Effect.exit(got), Exit.succeed("connection"))
      })
  )

  it.effect.each([
    ["attached", false, 5000],
    ["disconnected", true, 1000]
  ] as const)("(%s) still limits that region afterwards", ([, disconnect, elapsed]) =>
    Effect.gen(function* () {
      const got = yield* Deferred.make<void, Timeout.TimeoutExceeded>()
      const call = Effect.sleep("5 seconds").pipe(Timeout.timeout({ limit: "1 second", disconnect }))
      const fiber = yield* Effect.fork(Effect.uninterruptible(Effect.intoDeferred(call, got)))
      yield* TestClock.adjust(300)
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(errorOf(yield* Effect.exit(got)), exceeded(1000, elapsed))
    })
  )

  const steps = bothModes.flatMap(([mode, options]) =>
    (
      [
        ["in time", 500],
        ["too late", 3000]
      ] as const
    ).map(([when, takes]) => [mode, when, options, takes] as const)
  )

  it.each(steps)(
    "(%s and %s) at any step ends the call at once, and leaves nothing behind",
    (_, when, options, takes) => {
      let running = 0
      interruptedAtEveryStep(
        () =>
          Effect.acquireUseRelease(
            Effect.sync(() => running++),
            () => Effect.sleep(takes),
            () => Effect.sync(() => running--)
          ).pipe(Timeout.timeout(options)),
        ({ endedAt, exit, interruptedAt, quietAt }) => {
          assert.strictEqual(running, 0)
          assert.strictEqual(quietAt, endedAt)
          if (interruptedAt !== undefined) assert.strictEqual(endedAt, interruptedAt)
          if (exit !== undefined && Exit.isInterrupted(exit)) return
          if (when === "in time") assert.deepStrictEqual(exit, Exit.void)
          else assert.deepStrictEqual(errorOf(exit!), exceeded(1000))
        }
      )
    }
  )
})

// ------------------------------------------------------------------------------------------------------------ listeners

describe("the onTimeout of a timeout", () => {
  it.effect.each([
    ["after the finalizers", false, ["6000 closed", "6000 told 6000", "6000 failed"]],
    ["before them when disconnected", true, ["1000 told 1000", "1000 failed", "6000 closed"]]
  ] as const)("is called before the caller gets the error, %s", ([, disconnect, expected]) =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      yield* Effect.never.pipe(
        Effect.ensuring(Effect.delay(note("closed"), "5 seconds")),
        Timeout.timeout({
          limit: "1 second",
          disconnect,
          onTimeout: ({ elapsed }) => note(`told ${Duration.toMillis(elapsed)}`)
        }),
        Effect.catchTag("TimeoutExceeded", () => note("failed")),
        finish
      )
      assert.deepStrictEqual(log, [...expected])
    })
  )

  it.effect.each(bothModes)("(%s) gets the error, and its own error replaces it", ([, options]) =>
    Effect.gen(function* () {
      const events: Array<Timeout.TimeoutExceeded> = []
      const onTimeout = ({ error }: Timeout.TimedOut) => Effect.sync(() => events.push(error))
      const exit = yield* finish(Effect.never.pipe(Timeout.timeout({ ...options, onTimeout })))
      assert.strictEqual(events[0], yield* Effect.flip(exit))
      const replaced = Effect.never.pipe(
        Timeout.timeout({ ...options, onTimeout: () => Effect.fail("listener") })
      )
      assert.deepStrictEqual(yield* finish(replaced), Exit.fail("listener"))
    })
  )

  it.effect("is called when there was no time at all", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      yield* Effect.exit(Effect.void.pipe(Timeout.timeout({ limit: 0, onTimeout: () => note("told") })))
      assert.deepStrictEqual(log, ["0 told"])
    })
  )

  it.effect.each(bothModes)(
    "(%s) is not called for a call that ended in time or was interrupted",
    ([, options]) =>
      Effect.gen(function* () {
        const { log, note } = timeline()
        const limited = Timeout.timeout({ ...options, onTimeout: () => note("told") })
        yield* finish(limited(Effect.sleep(999)))
        const fiber = yield* Effect.fork(limited(Effect.never))
        yield* TestClock.adjust(500)
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(log, [])
      })
  )

  it.effect("changes nothing when it dies, and the defect is logged", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const exit = yield* Effect.never.pipe(
        Timeout.timeout({ limit: 5, name: "partner", onTimeout: () => Effect.die("bug") }),
        Effect.provide(Logger.add(logger)),
        finish
      )
      assert.deepStrictEqual(errorOf(exit), exceeded(5, 5, "partner"))
      assert.deepStrictEqual(logged, [[`a listener of "partner" failed`]])
    })
  )

  it.effect("can be interrupted", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(
        Effect.never.pipe(Timeout.timeout({ limit: 5, onTimeout: () => Effect.never }))
      )
      yield* TestClock.adjust(10)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
    })
  )
})
