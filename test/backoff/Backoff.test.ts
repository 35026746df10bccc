import { assert, describe, it } from "@effect/vitest"
import { Chunk, Clock, Duration, Effect, Fiber, Random, Schedule, TestClock } from "effect"
import * as Backoff from "../../src/backoff/Backoff.js"
import { InvalidOption } from "../../src/core/options.js"

// ------------------------------------------------------------------------------------------------------------- helpers

/** The first outputs of a schedule in milliseconds, without waiting for them. */
const preview = (
  schedule: Schedule.Schedule<Duration.Duration>,
  count: number
): Effect.Effect<Array<number>> =>
  Schedule.run(schedule, 0, Array.from({ length: count })).pipe(
    Effect.map((delays) => Chunk.toReadonlyArray(delays).map((delay) => Duration.toMillis(delay)))
  )

/** A call that always fails and the times at which it was made. */
const failing = () => {
  const times: Array<number> = []
  const call = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    times.push(now)
    return Effect.fail("unavailable" as const)
  })
  return { call, times }
}

/** When a call that always fails is made under `Effect.retry`, in milliseconds from the first attempt. */
const attempts = <Out>(schedule: Schedule.Schedule<Out>): Effect.Effect<Array<number>> =>
  Effect.gen(function* () {
    const { call, times } = failing()
    const fiber = yield* call.pipe(Effect.retry(schedule), Effect.exit, Effect.fork)
    yield* TestClock.adjust("1 hour")
    yield* Fiber.join(fiber)
    return times.map((time) => time - times[0])
  })

const times = (count: number) => Schedule.intersect(Schedule.recurs(count))

// --------------------------------------------------------------------------------------------------------------- tests

describe("a backoff under Effect.retry", () => {
  const rows: ReadonlyArray<readonly [string, Schedule.Schedule<unknown>, ReadonlyArray<number>]> = [
    [
      "constant waits the same each time",
      Backoff.constant({ delay: 250 }).pipe(times(3)),
      [0, 250, 500, 750]
    ],
    ["constant at zero retries at once", Backoff.constant({ delay: 0 }).pipe(times(3)), [0, 0, 0, 0]],
    ["linear adds its base", Backoff.linear({ base: "1 second" }).pipe(times(3)), [0, 1000, 3000, 6000]],
    [
      "linear adds its step",
      Backoff.linear({ base: "1 second", step: 500, max: 1700 }).pipe(times(4)),
      [0, 1000, 2500, 4200, 5900]
    ],
    ["exponential doubles", Backoff.exponential({ base: 100 }).pipe(times(4)), [0, 100, 300, 700, 1500]],
    [
      "exponential multiplies up to max",
      Backoff.exponential({ base: 100, factor: 3, max: "1 second" }).pipe(times(5)),
      [0, 100, 400, 1300, 2300, 3300]
    ],
    [
      "fibonacci adds the two before",
      Backoff.fibonacci({ base: 100 }).pipe(times(5)),
      [0, 100, 200, 400, 700, 1200]
    ],
    ["list ends by itself", Backoff.list(["1 second", 0, "3 seconds"]), [0, 1000, 1000, 4000]]
  ]
  for (const [name, schedule, expected] of rows) {
    it.effect(name, () =>
      Effect.map(attempts(schedule), (actual) => assert.deepStrictEqual(actual, expected))
    )
  }

  it.effect("gives the last error back as it was", () =>
    Effect.gen(function* () {
      const error = yield* failing().call.pipe(Effect.retry(Backoff.list([0, 0])), Effect.flip)
      assert.strictEqual(error, "unavailable")
    })
  )

  it.effect("waits for whole milliseconds when jittered, since the clock can be read in nanoseconds", () =>
    Effect.gen(function* () {
      const schedule = Backoff.exponential({ base: "7 millis", max: "2 seconds", jitter: "full" }).pipe(
        times(50)
      )
      const call = Effect.zipRight(Clock.currentTimeNanos, Effect.fail("unavailable"))
      const fiber = yield* call.pipe(Effect.retry(schedule), Effect.flip, Effect.fork)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* Fiber.join(fiber), "unavailable")
    })
  )
})

describe("a schedule value", () => {
  it.effect("starts over in every execution, even in two at the same time", () =>
    Effect.gen(function* () {
      const schedule = Backoff.exponential({ base: 100 }).pipe(times(3))
      assert.deepStrictEqual(yield* attempts(schedule), [0, 100, 300, 700])
      const [left, right] = [failing(), failing()]
      const started = yield* Clock.currentTimeMillis
      const fiber = yield* Effect.all(
        [left.call, Effect.delay(right.call, 50)].map((call) => Effect.exit(Effect.retry(call, schedule))),
        { concurrency: 2 }
      ).pipe(Effect.fork)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        left.times.map((time) => time - started),
        [0, 100, 300, 700]
      )
      // `Effect.delay` is part of the call, so it is there before each attempt.
      assert.deepStrictEqual(
        right.times.map((time) => time - started),
        [50, 200, 450, 900]
      )
    })
  )

  it.effect("keeps its list of delays when the array changes", () =>
    Effect.gen(function* () {
      const delays = [1, 2]
      const schedule = Backoff.list(delays)
      delays.push(3)
      delays[0] = 9
      assert.deepStrictEqual(yield* preview(schedule, 5), [1, 2, 0])
    })
  )

  it.effect("outputs the delay that it waits", () =>
    Effect.gen(function* () {
      for (const jitter of ["none", "full", "decorrelated"] as const) {
        const chosen = yield* preview(Backoff.exponential({ base: 100, jitter }), 20).pipe(
          Effect.withRandom(Random.make("seed"))
        )
        const waited = yield* preview(Schedule.delays(Backoff.exponential({ base: 100, jitter })), 20).pipe(
          Effect.withRandom(Random.make("seed"))
        )
        assert.deepStrictEqual(chosen, waited)
      }
    })
  )

  it.effect("can be previewed without waiting, and stops growing at the longest wait of a timer", () =>
    Effect.gen(function* () {
      const growing = [
        Backoff.linear({ base: 1, step: "365 days" }),
        Backoff.exponential({ base: 1, factor: 1e300 }),
        Backoff.exponential({ base: 1 }),
        Backoff.fibonacci({ base: 1 })
      ]
      for (const schedule of growing) {
        const delays = yield* preview(schedule, 2000)
        assert.strictEqual(delays[0], 1)
        assert.strictEqual(delays[1999], 2 ** 31 - 1)
        assert.isTrue(delays.every((delay) => delay > 0 && delay <= 2 ** 31 - 1))
      }
    })
  )

  it.effect("keeps delays under a millisecond", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* preview(Backoff.exponential({ base: "250 micros" }), 4),
        [0.25, 0.5, 1, 2]
      )
    })
  )
})

describe("composition", () => {
  const list = Backoff.list([100, 200])

  const rows: ReadonlyArray<readonly [string, Schedule.Schedule<unknown>, ReadonlyArray<number>]> = [
    [
      "intersect(recurs) bounds the number of retries",
      Backoff.constant({ delay: 10 }).pipe(times(2)),
      [0, 10, 20]
    ],
    [
      "intersect waits for the longer and ends with the first",
      Schedule.intersect(list, Backoff.exponential({ base: 50, factor: 10 })),
      [0, 100, 600]
    ],
    [
      "union waits for the shorter and ends with the last",
      Schedule.union(list, Backoff.exponential({ base: 50, factor: 10 })).pipe(times(3)),
      [0, 50, 250, 5250]
    ],
    [
      "andThen goes on with the second when the first is done",
      list.pipe(Schedule.andThen(Backoff.linear({ base: 1000 }).pipe(times(2)))),
      [0, 100, 300, 1300, 3300]
    ]
  ]
  for (const [name, schedule, expected] of rows) {
    it.effect(name, () =>
      Effect.map(attempts(schedule), (actual) => assert.deepStrictEqual(actual, expected))
    )
  }
})

describe("jitter", () => {
  /** Each jitter of a delay of 1000 for the random numbers 0, 0.25 and 0.75. */
  const rows: ReadonlyArray<readonly [Backoff.Jitter | undefined, ReadonlyArray<number>]> = [
    [undefined, [1000, 1000, 1000]],
    ["none", [1000, 1000, 1000]],
    ["full", [0, 250, 750]],
    ["equal", [500, 625, 875]],
    // Up to 3000, then up to 3000 again because 1000 was drawn, then up to 4500.
    ["decorrelated", [1000, 1500, 3625]],
    [{ factor: 0.5 }, [500, 750, 1250]],
    [{ factor: 1 }, [0, 500, 1500]],
    [{ plusMinus: "400 millis" }, [600, 800, 1200]],
    [{ plusMinus: "2 seconds" }, [0, 0, 2000]]
  ]
  for (const [jitter, expected] of rows) {
    it.effect(`${JSON.stringify(jitter)} draws what the random numbers say`, () =>
      Effect.gen(function* () {
        const delays = preview(Backoff.constant({ delay: 1000, jitter }), 3)
        assert.deepStrictEqual(yield* Effect.withRandom(delays, Random.fixed([0, 0.25, 0.75])), expected)
      })
    )
  }

  it.effect("never exceeds max", () =>
    Effect.gen(function* () {
      const jitters: ReadonlyArray<Backoff.Jitter> = [
        { factor: 0.5 },
        { plusMinus: "1 minute" },
        "decorrelated"
      ]
      for (const jitter of jitters) {
        const delays = preview(Backoff.exponential({ base: 300, max: 1000, jitter }), 5)
        const actual = yield* Effect.withRandom(delays, Random.fixed([1]))
        assert.deepStrictEqual(actual.slice(2), [1000, 1000, 1000])
        assert.isAtMost(Math.max(...actual), 1000)
      }
    })
  )

  it.effect("is replayed by the same seed, and differs for another seed", () =>
    Effect.gen(function* () {
      const jitters: ReadonlyArray<Backoff.Jitter> = [
        "full",
        "equal",
        "decorrelated",
        { factor: 0.3 },
        { plusMinus: 50 }
      ]
      for (const jitter of jitters) {
        const schedule = Backoff.exponential({ base: 100, max: "1 minute", jitter })
        // The generator has a state, so each run needs its own.
        const run = (seed: string) =>
          Effect.suspend(() => Effect.withRandom(preview(schedule, 50), Random.make(seed)))
        const first = yield* run("seed")
        assert.deepStrictEqual(yield* run("seed"), first)
        assert.notDeepEqual(yield* run("another"), first)
      }
    })
  )

  it.effect('draws one random number per delay, and none when it is "none" or the list has ended', () =>
    Effect.gen(function* () {
      const drawn = (schedule: Schedule.Schedule<Duration.Duration>) =>
        Effect.suspend(() => {
          const random = Random.make("seed")
          let count = 0
          const counting: Random.Random = {
            ...random,
            next: Effect.sync(() => {
              count++
              return 0.5
            })
          }
          return Effect.map(Effect.withRandom(preview(schedule, 7), counting), () => count)
        })
      assert.strictEqual(yield* drawn(Backoff.exponential({ base: 100 })), 0)
      assert.strictEqual(yield* drawn(Backoff.exponential({ base: 100, jitter: "full" })), 7)
      assert.strictEqual(yield* drawn(Backoff.exponential({ base: 100, jitter: "decorrelated" })), 7)
      assert.strictEqual(yield* drawn(Backoff.list([1, 2, 3], { jitter: "full" })), 3)
    })
  )
})

describe("the constructor of a backoff", () => {
  // What the types rule out, the way a program without types would pass it.
  const untyped = <A>(value: unknown): A => value as A

  const timer = "a duration of at most 2147483647 millis, the longest that a timer waits"
  const names = `"none", "full", "equal", "decorrelated", { factor } or { plusMinus }`

  const rows: ReadonlyArray<readonly [() => unknown, string]> = [
    [
      () => Backoff.constant({ delay: -1 }),
      `Backoff.constant: option "delay" must be a finite duration of zero or more, got -1`
    ],
    [
      () => Backoff.constant({ delay: Infinity }),
      `Backoff.constant: option "delay" must be a finite duration of zero or more, got Infinity`
    ],
    [
      () => Backoff.constant({ delay: untyped(undefined) }),
      `Backoff.constant: option "delay" must be a finite duration of zero or more, got undefined`
    ],
    [
      () => Backoff.constant({ delay: "30 days" }),
      `Backoff.constant: option "delay" must be ${timer}, got "30 days"`
    ],
    [
      () => Backoff.constant({ delay: "2 seconds", max: "1 second" }),
      `Backoff.constant: option "max" must be at least "delay" (2s), got "1 second"`
    ],
    [
      () => Backoff.constant({ delay: 0, max: 0 }),
      `Backoff.constant: option "max" must be a finite duration greater than zero, got 0`
    ],
    [
      () => Backoff.constant({ delay: 0, jitter: "decorrelated" }),
      `Backoff.constant: option "jitter" must be other than "decorrelated" when "delay" is zero, got "decorrelated"`
    ],
    [
      () => Backoff.linear({ base: 0 }),
      `Backoff.linear: option "base" must be a finite duration greater than zero, got 0`
    ],
    [
      () => Backoff.linear({ base: "1 second", step: -5 }),
      `Backoff.linear: option "step" must be a finite duration of zero or more, got -5`
    ],
    [
      () => Backoff.linear({ base: "1 second", step: Infinity }),
      `Backoff.linear: option "step" must be a finite duration of zero or more, got Infinity`
    ],
    [
      () => Backoff.linear({ base: "1500 micros", max: "1200 micros" }),
      `Backoff.linear: option "max" must be at least "base" (1ms 500000ns), got "1200 micros"`
    ],
    [
      () => Backoff.exponential({ base: 0 }),
      `Backoff.exponential: option "base" must be a finite duration greater than zero, got 0`
    ],
    [
      () => Backoff.exponential({ base: NaN }),
      `Backoff.exponential: option "base" must be a finite duration greater than zero, got NaN`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", factor: 0.5 }),
      `Backoff.exponential: option "factor" must be a finite number of at least 1, got 0.5`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", factor: Infinity }),
      `Backoff.exponential: option "factor" must be a finite number of at least 1, got Infinity`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", factor: NaN }),
      `Backoff.exponential: option "factor" must be a finite number of at least 1, got NaN`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", max: "100 millis" }),
      `Backoff.exponential: option "max" must be at least "base" (200ms), got "100 millis"`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", max: Infinity }),
      `Backoff.exponential: option "max" must be a finite duration greater than zero, got Infinity`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", max: "25 days" }),
      `Backoff.exponential: option "max" must be ${timer}, got "25 days"`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", jitter: { factor: 0 } }),
      `Backoff.exponential: option "jitter.factor" must be a fraction greater than 0 and at most 1, got 0`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", jitter: { factor: 1.5 } }),
      `Backoff.exponential: option "jitter.factor" must be a fraction greater than 0 and at most 1, got 1.5`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", jitter: { plusMinus: 0 } }),
      `Backoff.exponential: option "jitter.plusMinus" must be a finite duration greater than zero, got 0`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", jitter: untyped("half") }),
      `Backoff.exponential: option "jitter" must be ${names}, got "half"`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", jitter: untyped(null) }),
      `Backoff.exponential: option "jitter" must be ${names}, got null`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", jitter: untyped({}) }),
      `Backoff.exponential: option "jitter" must be ${names}, got {}`
    ],
    [
      () => Backoff.exponential({ base: "200 millis", jitter: { factor: 0.5, plusMinus: 5 } }),
      `Backoff.exponential: option "jitter" must be ${names}, got {"factor":0.5,"plusMinus":5}`
    ],
    [
      () => Backoff.fibonacci({ base: -1 }),
      `Backoff.fibonacci: option "base" must be a finite duration greater than zero, got -1`
    ],
    [
      () => Backoff.fibonacci({ base: "2 minutes", max: "1 minute" }),
      `Backoff.fibonacci: option "max" must be at least "base" (2m), got "1 minute"`
    ],
    [() => Backoff.list([]), `Backoff.list: option "delays" must be a list of at least one delay, got []`],
    [
      () => Backoff.list(["1 second", -1]),
      `Backoff.list: option "delays[1]" must be a finite duration of zero or more, got -1`
    ],
    [
      () => Backoff.list([1, 2, "26 days"]),
      `Backoff.list: option "delays[2]" must be ${timer}, got "26 days"`
    ],
    [
      () => Backoff.list(["3 seconds", "5 seconds"], { max: "2 seconds" }),
      `Backoff.list: option "max" must be at least "delays[0]" (3s), got "2 seconds"`
    ],
    [
      () => Backoff.list([0, "5 seconds"], { jitter: "decorrelated" }),
      `Backoff.list: option "jitter" must be other than "decorrelated" when "delays[0]" is zero, got "decorrelated"`
    ]
  ]
  for (const [construct, message] of rows) {
    it(message, () => {
      try {
        construct()
      } catch (error) {
        assert.instanceOf(error, InvalidOption)
        assert.strictEqual(error.message, message)
        return
      }
      assert.fail("it was accepted")
    })
  }

  const accepted: ReadonlyArray<readonly [string, () => unknown]> = [
    ["max equal to the first delay", () => Backoff.exponential({ base: 100, max: 100 })],
    ["the longest wait of a timer", () => Backoff.constant({ delay: 2 ** 31 - 1, max: 2 ** 31 - 1 })],
    ["a factor of 1", () => Backoff.exponential({ base: 100, factor: 1, jitter: { factor: 1 } })],
    ["a linear step of zero", () => Backoff.linear({ base: 100, step: 0 })],
    [
      "undefined options",
      () => Backoff.exponential({ base: 1, factor: undefined, max: undefined, jitter: undefined })
    ],
    ["a list whose max cuts a later delay", () => Backoff.list([1, 5], { max: 2 })]
  ]
  for (const [name, construct] of accepted)
    it(`accepts ${name}`, () => assert.isTrue(Schedule.isSchedule(construct())))
})

it.each([
  [
    Backoff.constant({ delay: 5 }),
    { _tag: "constant", delay: Duration.millis(5), max: undefined, jitter: "none" }
  ],
  [
    Backoff.linear({ base: 5, max: "1 second", jitter: { factor: 0.5 } }),
    {
      _tag: "linear",
      base: Duration.millis(5),
      step: Duration.millis(5),
      max: Duration.seconds(1),
      jitter: { factor: 0.5 }
    }
  ],
  [
    Backoff.exponential({ base: 5, jitter: { plusMinus: "1 millis" } }),
    {
      _tag: "exponential",
      base: Duration.millis(5),
      factor: 2,
      max: undefined,
      jitter: { plusMinus: Duration.millis(1) }
    }
  ],
  [
    Backoff.fibonacci({ base: 5, jitter: "full" }),
    { _tag: "fibonacci", base: Duration.millis(5), max: undefined, jitter: "full" }
  ],
  [
    Backoff.list([1, "2 seconds"]),
    { _tag: "list", delays: [Duration.millis(1), Duration.seconds(2)], max: undefined, jitter: "none" }
  ]
])("a backoff knows what it was made from: %#", ({ settings }, expected) => {
  assert.deepStrictEqual<unknown>(settings, expected)
})
