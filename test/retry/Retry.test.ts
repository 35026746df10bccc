import { assert, describe, it } from "@effect/vitest"
import {
  Clock,
  Context,
  Duration,
  Effect,
  Exit,
  FiberRef,
  Option,
  Random,
  Schedule,
  ScheduleDecision,
  ScheduleInterval,
  TestClock
} from "effect"
import { Backoff, Policy, Retry } from "effect-resilience"
import { runToEnd } from "../support/everyStep.js"
import { finish, retried, scripted, timeline } from "../support/virtual.js"

const everySecond = Schedule.spaced("1 second")

// ------------------------------------------------------------------------------------------------------------- attempts

describe("Retry.retry", () => {
  it.effect("runs an effect that succeeds once and leaves its result alone", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.succeed("answer"))
      assert.strictEqual(yield* Retry.retry(call, { times: 5 }), "answer")
      assert.deepStrictEqual(begun, [0])
    })
  )

  it.effect("retries twice by default, under an exponential with full jitter from 100 ms up to 10 s", () =>
    Effect.gen(function* () {
      const usual = scripted(Effect.fail("down"))
      const exit = yield* finish(usual.call.pipe(Retry.retry({})))
      assert.deepStrictEqual(exit, Exit.fail("down"))
      assert.deepStrictEqual(usual.begun, [0, 50, 150])

      const longer = scripted(Effect.fail("down"))
      yield* finish(longer.call.pipe(Retry.retry({ times: 9 })))
      const began = longer.begun.map((at) => at - longer.begun[0])
      assert.deepStrictEqual(began, [0, 50, 150, 350, 750, 1550, 3150, 6350, 11_350, 16_350])
    }).pipe(Effect.withRandom(Random.fixed([0.5])))
  )

  it.effect.each<readonly [string, Retry.Options<unknown, unknown>, ReadonlyArray<number>]>([
    ["no times", { times: 0 }, [0]],
    ["times alone", { times: 1, schedule: everySecond }, [0, 1000]],
    ["a schedule that ends", { schedule: Schedule.recurs(3) }, [0, 0, 0, 0]],
    ["a schedule that ends before the times", { times: 5, schedule: Backoff.list(["1 second"]) }, [0, 1000]],
    ["times before the schedule ends", { times: 1, schedule: Schedule.recurs(3) }, [0, 0]],
    ["a list", { schedule: Backoff.list(["1 second", 0, "1 minute"]) }, [0, 1000, 1000, 61_000]],
    ["fractions, rounded up to what a timer waits", { schedule: Schedule.fromDelays(0.5, 1.5) }, [0, 1, 3]],
    ["an end by time", { schedule: everySecond.pipe(Schedule.upTo("2 seconds")) }, [0, 1000, 2000]],
    ["a month", { times: 1, schedule: Schedule.spaced("20 days") }, [0, 1_728_000_000]]
  ])("is bounded by %s", ([, options, expected]) =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.fail("down"))
      assert.deepStrictEqual(
        yield* finish(retried(call, options as Retry.Options<never, string>)),
        Exit.fail("down")
      )
      assert.deepStrictEqual(begun, expected)
    })
  )

  it.effect("counts errors and results together", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(
        Effect.fail("down"),
        Effect.succeed(503),
        Effect.fail("down"),
        Effect.succeed(500)
      )
      const exit = yield* finish(
        Retry.retry(call, {
          times: 3,
          schedule: everySecond,
          condition: { result: (status) => status >= 500 }
        })
      )
      assert.deepStrictEqual(exit, Exit.succeed(500))
      assert.deepStrictEqual(begun, [0, 1000, 2000, 3000])
    })
  )

  it.effect("feeds the failure to the schedule", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const { begun, call } = scripted<number, string, never>(
        Effect.fail("down"),
        Effect.succeed(503),
        Effect.die("bug"),
        Effect.fail("stop"),
        Effect.succeed(200)
      )
      const schedule = Schedule.recurWhile((input: unknown) => {
        seen.push(input)
        return input !== "stop"
      })
      const condition = { result: (status: number) => status >= 500, defect: true }
      const exit = yield* finish(Retry.retry(call, { schedule, condition }))
      assert.deepStrictEqual(exit, Exit.fail("stop"))
      assert.deepStrictEqual(seen, ["down", 503, "bug", "stop"])
      assert.strictEqual(begun.length, 4)
    })
  )

  it.effect("gets the services of the schedule from the call", () =>
    Effect.gen(function* () {
      class Pace extends Context.Tag("Pace")<Pace, Duration.Duration>() {}
      const schedule = Schedule.recurs(2).pipe(Schedule.addDelayEffect(() => Pace))
      const { begun, call } = scripted(Effect.fail("down"))
      yield* finish(call.pipe(Retry.retry({ schedule }), Effect.provideService(Pace, Duration.millis(7))))
      assert.deepStrictEqual(begun, [0, 7, 14])
    })
  )

  it.effect("starts the schedule afresh with every run of the same effect", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.fail("down"))
      const retried = call.pipe(Retry.retry({ schedule: Backoff.list(["1 second", "2 seconds"]) }))
      yield* finish(retried)
      yield* TestClock.setTime(0)
      yield* finish(Effect.all([retried, retried], { concurrency: 2, mode: "either" }))
      assert.deepStrictEqual(begun, [0, 1000, 3000, 0, 0, 1000, 1000, 3000, 3000])
    })
  )

  it("survives delays that run into infinity", () => {
    const { begun, call } = scripted(Effect.fail("down"))
    runToEnd(call.pipe(Retry.retry({ times: 2, schedule: Schedule.exponential("1 second", 1e308) })))
    // As long as a timer waits, which is 24.8 days.
    assert.deepStrictEqual(begun, [0, 1000, 1000 + 2 ** 31 - 1])
  })

  it.effect("does not wait for a delay that is NaN", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.fail("down"))
      const schedule = Schedule.makeWithState(0, () =>
        Effect.succeed([0, "odd", ScheduleDecision.continueWith(ScheduleInterval.after(NaN))] as const)
      )
      yield* Effect.exit(Retry.retry(call, { times: 3, schedule }))
      assert.deepStrictEqual(begun, [0, 0, 0, 0])
    })
  )

  it.effect("makes 10 000 retries without leaving anything on the stack of its fiber", () =>
    Effect.gen(function* () {
      const depths = new Set<number>()
      let attempts = 0
      const call = Effect.withFiberRuntime<never, string>((fiber) => {
        // The first two attempts differ from the rest: they have no `CurrentAttempt`, or no listener before them.
        if (attempts++ > 1) depths.add((fiber as unknown as { _stack: Array<unknown> })._stack.length)
        return Effect.fail("down")
      })
      const exit = yield* Effect.exit(
        Retry.retry(call, {
          times: 10_000,
          schedule: Schedule.forever,
          disposeResult: () => Effect.void,
          condition: { result: () => true },
          onRetry: () => Effect.void
        })
      )
      assert.deepStrictEqual(exit, Exit.fail("down"))
      assert.strictEqual(attempts, 10_001)
      assert.strictEqual(depths.size, 1)
    })
  )

  it.effect("multiplies the attempts when nested, and gives every inner run its retries", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.fail("down"))
      const exit = yield* finish(
        call.pipe(
          Retry.retry({ times: 2, schedule: Schedule.spaced("1 second") }),
          Retry.retry({ times: 1, schedule: Schedule.spaced("10 seconds") })
        )
      )
      assert.deepStrictEqual(exit, Exit.fail("down"))
      assert.deepStrictEqual(begun, [0, 1000, 2000, 12_000, 13_000, 14_000])
    })
  )
})

// ---------------------------------------------------------------------------------------------------------- maxDuration

describe("the maxDuration of a retry", () => {
  const everySecondWithin = (maxDuration: Duration.DurationInput) => ({ schedule: everySecond, maxDuration })

  it.effect.each<readonly [string, Duration.DurationInput, ReadonlyArray<number>, number]>([
    ["zero, with a delay", 0, [0], 0],
    ["a delay that ends exactly at it", "2 seconds", [0, 1000, 2000], 2000],
    ["a delay that would end a millisecond later", 1999, [0, 1000], 1000]
  ])("is kept by giving up before a sleep: %s", ([, maxDuration, expected, endedAt]) =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.fail("down"))
      const ended = call.pipe(
        Retry.retry(everySecondWithin(maxDuration)),
        Effect.exit,
        Effect.zip(Clock.currentTimeMillis)
      )
      assert.deepStrictEqual(yield* finish(ended), Exit.succeed([Exit.fail("down"), endedAt]))
      assert.deepStrictEqual(begun, expected)
    })
  )

  it.effect("does not cut a running attempt short, and counts its time", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.delay(Effect.fail("down"), "5 seconds"))
      yield* finish(Retry.retry(call, everySecondWithin("3 seconds")))
      assert.deepStrictEqual(begun, [0])
    })
  )

  const slow = () => Effect.sleep("5 seconds")

  it.effect.each<readonly [string, Retry.Options<number, string>]>([
    ["onRetryScheduled", { onRetryScheduled: slow }],
    ["onRetry", { onRetry: slow }]
  ])("allows no attempt after it when %s was slow", ([, options]) =>
    Effect.gen(function* () {
      const { begun, call } = scripted<number, string, never>(Effect.succeed(503))
      const reasons: Array<string> = []
      const exit = yield* finish(
        retried(call, {
          ...everySecondWithin("3 seconds"),
          ...options,
          condition: { result: (status) => status === 503 },
          onExceeded: ({ reason }) => Effect.sync(() => reasons.push(reason))
        })
      )
      assert.deepStrictEqual(begun, [0])
      assert.deepStrictEqual(exit, Exit.succeed(503))
      assert.deepStrictEqual(reasons, ["maxDuration"])
    })
  )

  it.effect("includes a slow onRetryScheduled in the delay", () =>
    Effect.gen(function* () {
      const { begun, call } = scripted(Effect.fail("down"))
      const delays = Backoff.list(["1 second", "9 seconds"])
      yield* finish(Retry.retry(call, { schedule: delays, onRetryScheduled: slow }))
      assert.deepStrictEqual(begun, [0, 5000, 14_000])
    })
  )
})

// -------------------------------------------------------------------------------------------------------- CurrentAttempt

describe("Retry.CurrentAttempt", () => {
  const read = Effect.map(Retry.CurrentAttempt, ({ elapsed, lastFailure, number }) => ({
    number,
    elapsed: Duration.toMillis(elapsed),
    last: Option.getOrUndefined(Option.map(lastFailure, (failure) => failure._tag))
  }))

  it.effect("has the number, the time and the last failure; outside of a retry it is a first attempt", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = [yield* read]
      let number = 0
      const call = Effect.flatMap(read, (attempt) => {
        seen.push(attempt)
        return Effect.delay(
          [Effect.fail("down"), Effect.succeed(503), Effect.succeed(200)][number++],
          "3 seconds"
        )
      })
      const condition = { result: (status: number) => status === 503 }
      yield* finish(Retry.retry(call, { schedule: everySecond, condition }))
      seen.push(yield* read)
      assert.deepStrictEqual(seen, [
        { number: 1, elapsed: 0, last: undefined },
        { number: 1, elapsed: 0, last: undefined },
        { number: 2, elapsed: 4000, last: "Error" },
        { number: 3, elapsed: 8000, last: "Result" },
        { number: 1, elapsed: 0, last: undefined }
      ])
    })
  )

  it.effect("is that of the innermost retry, for what runs inside and between", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const say = (who: string) =>
        Effect.flatMap(read, ({ number }) => Effect.sync(() => seen.push(`${who} ${number}`)))
      yield* say("inner").pipe(
        Effect.zipRight(Effect.fail("down")),
        Retry.retry({ times: 1, schedule: Schedule.forever, onRetry: () => say("listener") }),
        Effect.tapError(() => say("outer")),
        Retry.retry({ times: 1, schedule: Schedule.forever }),
        Effect.exit
      )
      assert.deepStrictEqual(seen, [
        ...["inner 1", "listener 1", "inner 2", "outer 1"],
        ...["inner 1", "listener 2", "inner 2", "outer 2"]
      ])
    })
  )
})

// --------------------------------------------------------------------------------------------------- how it comes back

describe("a retry that gives up", () => {
  it.effect("gives a failed result back as a result", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(
        Retry.retry(Effect.succeed(503), {
          times: 1,
          schedule: Schedule.forever,
          condition: { result: () => true }
        })
      )
      assert.deepStrictEqual(exit, Exit.succeed(503))
    })
  )

  it.effect.each<readonly [string, Effect.Effect<number, string>]>([
    ["an error", Effect.fail("down")],
    ["a result", Effect.succeed(503)],
    ["a defect", Effect.die("bug")]
  ])('wraps %s in RetriesExceeded with exceeded: "wrap"', ([, effect]) =>
    Effect.gen(function* () {
      const retried = Retry.retry(Effect.delay(effect, "400 millis"), {
        name: "offers",
        times: 1,
        schedule: everySecond,
        exceeded: "wrap",
        condition: { result: () => true, defect: true }
      })
      const error = yield* finish(retried).pipe(Effect.flatten, Effect.flip)
      assert.instanceOf(error, Retry.RetriesExceeded)
      const { attempts, elapsed, lastExit, name, reason } = error
      assert.deepStrictEqual({ attempts, name, reason }, { attempts: 2, name: "offers", reason: "times" })
      assert.strictEqual(Duration.toMillis(elapsed), 1800)
      assert.deepStrictEqual(lastExit, yield* Effect.exit(effect))
      assert.strictEqual(error.message, "gave up after 2 attempts in 1s 800ms (times)")
      assert.isFalse(Policy.isRejection(error))
    })
  )

  it.effect("says in the message that there was one attempt", () =>
    Effect.gen(function* () {
      const wrapped = Effect.fail("down").pipe(Retry.retry({ times: 0, exceeded: "wrap" }))
      const error = yield* Effect.flip(wrapped)
      assert.instanceOf(error, Retry.RetriesExceeded)
      assert.strictEqual(error.message, "gave up after 1 attempt in 0 (times)")
    })
  )
})

// -------------------------------------------------------------------------------------------------- what attempts leave

describe("a retry between two attempts", () => {
  it.effect("keeps the FiberRef changes of all attempts", () =>
    Effect.gen(function* () {
      const ref = FiberRef.unsafeMake<ReadonlyArray<string>>([])
      const { call } = scripted(Effect.fail("down"), Effect.succeed("up"))
      const noted = Effect.tapBoth(call, {
        onFailure: (error) => FiberRef.update(ref, (seen) => [...seen, error]),
        onSuccess: (result) => FiberRef.update(ref, (seen) => [...seen, result])
      })
      yield* noted.pipe(Retry.retry({ schedule: Schedule.forever }))
      assert.deepStrictEqual(yield* FiberRef.get(ref), ["down", "up"])
    })
  )

  it.effect("closes the scope of an attempt before the delay", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const call = Effect.acquireRelease(note("open"), () => note("close")).pipe(
        Effect.zipRight(Effect.fail("down")),
        Effect.scoped
      )
      yield* finish(call.pipe(Retry.retry({ times: 1, schedule: everySecond })))
      assert.deepStrictEqual(log, ["0 open", "0 close", "1000 open", "1000 close"])
    })
  )
})
