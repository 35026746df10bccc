import { HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Logger, Random, Schedule, TestClock } from "effect"
import { Backoff, CircuitBreaker, FailureCondition, Trip } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { down, up } from "../support/calls.js"

type Breaker = CircuitBreaker.CircuitBreaker

const make = (options: CircuitBreaker.Options) =>
  CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(1), ...options }) as Effect.Effect<Breaker>

/** How long the circuit is open after a failure, in milliseconds. */
const fail = (breaker: Breaker): Effect.Effect<number> =>
  Effect.exit(breaker.protect(down)).pipe(
    Effect.zipRight(breaker.remainingDelay),
    Effect.map(Duration.toMillis)
  )

/** Fails until the circuit has opened `times` times, and waits each time until it is half-open. */
const openings = (breaker: Breaker, times: number): Effect.Effect<Array<number>> =>
  Effect.replicateEffect(
    fail(breaker).pipe(Effect.tap((millis) => TestClock.adjust(Duration.millis(Math.ceil(millis))))),
    times
  )

/** The result of an effect, and what it logged. */
const logged = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const messages: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      messages.push(`${logLevel.label} ${String(Array.isArray(message) ? message[0] : message)}`)
    })
    return Effect.map(Effect.provide(self, Logger.add(logger)), (result) => ({ result, messages }))
  })

describe("openFor as a duration", () => {
  it.effect("is the same for every opening", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ openFor: "3 seconds", maxOpenFor: "3 seconds" })
      assert.deepStrictEqual(yield* openings(breaker, 3), [3000, 3000, 3000])
    })
  )

  it.effect("may be shorter than a millisecond", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ openFor: Duration.micros(500n) })
      yield* fail(breaker)
      assert.strictEqual((yield* breaker.snapshot).openedFor, 0.5)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* breaker.state, "half-open")
    })
  )
})

describe("a caller that waits for the retryAfter of an open circuit", () => {
  it.effect("is admitted, whatever fractions there are", () =>
    Effect.gen(function* () {
      for (const openFor of [1000 / 3, 1000 / 7, 10.000_000_4, 0.1 + 0.2, 2 ** 31 / 9]) {
        const breaker = yield* make({ openFor })
        yield* TestClock.adjust(Duration.micros(1n))
        yield* fail(breaker)
        const { retryAfter } = yield* Effect.flip(breaker.protect(up))
        yield* TestClock.adjust(retryAfter!)
        assert.deepStrictEqual(yield* Effect.exit(breaker.protect(up)), Exit.succeed("up"), String(openFor))
      }
    })
  )
})

describe("openFor as a schedule", () => {
  const schedules: ReadonlyArray<readonly [name: string, CircuitBreaker.Options, Array<number>]> = [
    ["one that grows", { openFor: Schedule.exponential("1 second") }, [1000, 2000, 4000, 8000]],
    [
      "one that grows, up to maxOpenFor",
      { openFor: Schedule.exponential("1 second"), maxOpenFor: "3 seconds" },
      [1000, 2000, 3000, 3000]
    ],
    [
      "one that ends, at its last delay",
      { openFor: Schedule.fromDelays("1 second", "5 seconds") },
      [1000, 5000, 5000, 5000]
    ],
    ["one that ends before it begins, by default", { openFor: Schedule.stop }, [10_000, 10_000]]
  ]

  for (const [name, options, expected] of schedules) {
    it.effect(`takes the next delay with every reopening: ${name}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* openings(yield* make(options), expected.length), expected)
      })
    )
  }

  it.effect("starts over once the circuit has stayed closed for as long as it had been open", () =>
    Effect.gen(function* () {
      for (const [closedFor, next, after] of [
        ["1999 millis", 4000, 8000],
        ["2 seconds", 1000, 2000]
      ] as const) {
        const breaker = yield* make({ openFor: Schedule.exponential("1 second") })
        assert.deepStrictEqual(yield* openings(breaker, 2), [1000, 2000])
        yield* breaker.protect(up)
        yield* TestClock.adjust(closedFor)
        assert.deepStrictEqual(yield* openings(breaker, 2), [next, after])
      }
    })
  )

  it.effect("starts over after a reset", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ openFor: Schedule.exponential("1 second") })
      yield* openings(breaker, 3)
      yield* breaker.reset
      assert.deepStrictEqual(yield* openings(breaker, 2), [1000, 2000])
    })
  )

  it.effect("is replayed by a seed when it is jittered", () =>
    Effect.gen(function* () {
      const run = (seed: string) =>
        Effect.suspend(() =>
          make({ openFor: Schedule.jittered(Schedule.spaced("10 seconds")) }).pipe(
            Effect.flatMap((breaker) => openings(breaker, 5)),
            Effect.withRandom(Random.make(seed))
          )
        )
      const first = yield* run("one")
      assert.deepStrictEqual(yield* run("one"), first)
      assert.notDeepEqual(yield* run("two"), first)
      assert.strictEqual(new Set(first).size, 5)
      assert.isTrue(first.every((millis) => millis >= 8000 && millis <= 12_000))
    })
  )

  it.effect("of one breaker is not that of another", () =>
    Effect.gen(function* () {
      const options = { openFor: Schedule.exponential("1 second") }
      const first = yield* make(options)
      const second = yield* make(options)
      assert.deepStrictEqual(yield* openings(first, 2), [1000, 2000])
      assert.deepStrictEqual(yield* openings(second, 2), [1000, 2000])
    })
  )

  it.effect("takes its next delay for every opening, of which there may be two at once", () =>
    Effect.gen(function* () {
      const breaker = yield* make({
        openFor: Schedule.exponential("10 seconds"),
        halfOpen: { maxWait: "1 second" }
      })
      assert.deepStrictEqual(yield* openings(breaker, 1), [10_000])
      const hung = yield* Effect.fork(breaker.protect(Effect.never))
      yield* TestClock.adjust("1 second")
      // The probe's time is over, which opens the circuit again, and in the same step it is opened by hand.
      yield* breaker.open
      assert.deepInclude(yield* breaker.snapshot, { reopenings: 3, openedFor: 40_000 })
      yield* Fiber.interrupt(hung)
    })
  )

  it.effect("keeps its delays when the call that works them out is interrupted", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const gates: Array<Effect.Effect<void>> = []
      const openFor = Schedule.exponential("1 second").pipe(
        Schedule.tapOutput(() => Effect.suspend(() => gates.pop() ?? Effect.void))
      )
      const breaker = yield* make({ openFor })
      assert.strictEqual(yield* fail(breaker), 1000)
      gates.push(Deferred.await(gate))
      const first = yield* Effect.fork(breaker.protect(up))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* fail(breaker), 2000)
      yield* TestClock.adjust("2 seconds")
      yield* breaker.protect(up)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* fail(breaker), 1000)
    })
  )

  it.effect("takes one delay for an opening, even when a second call comes while it is worked out", () =>
    Effect.gen(function* () {
      for (const passed of [0, 1]) {
        const gate = yield* Deferred.make<void>()
        const steps: Array<Effect.Effect<void>> = []
        const openFor = Schedule.exponential("1 second").pipe(
          Schedule.tapOutput(() => Effect.suspend(() => steps.shift() ?? Effect.void))
        )
        const breaker = yield* make({ openFor })
        yield* fail(breaker)
        steps.push(...Array.from({ length: passed }, () => Effect.void), Deferred.await(gate))
        const first = yield* Effect.fork(Effect.exit(breaker.protect(up)))
        yield* Effect.yieldNow()
        const second = yield* Effect.fork(Effect.exit(breaker.protect(up)))
        yield* Effect.yieldNow()
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.joinAll([first, second])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* fail(breaker), 2000)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* fail(breaker), 4000)
      }
    })
  )

  it.effect("that dies does not break calls", () =>
    Effect.gen(function* () {
      const openFor = Schedule.exponential("1 second").pipe(
        Schedule.map((delay) => {
          if (Duration.toMillis(delay) > 1000) throw new Error("bug in a schedule")
          return delay
        })
      )
      const breaker = yield* make({ openFor })
      yield* fail(breaker)
      assert.strictEqual((yield* Effect.flip(breaker.protect(up)))._tag, "CircuitOpen")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.exit(breaker.protect(up)), Exit.succeed("up"))
    })
  )
})

describe("openFor as a function", () => {
  it.effect("gets what opened the circuit, and how often it opened before", () =>
    Effect.gen(function* () {
      const seen: Array<CircuitBreaker.Opening> = []
      const breaker = yield* make({
        openFor: (opening) => {
          seen.push(opening)
          return "1 second"
        }
      })
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        breaker.protect(down),
        breaker.protect(Effect.die("bug")),
        breaker.protectWhen<number, never>({
          result: (status) => status === 503,
          retryAfter: () => "2 seconds"
        })(Effect.succeed(503)),
        breaker.open
      ]
      for (const call of calls) {
        yield* Effect.exit(call)
        yield* TestClock.adjust("1 second")
      }
      const retryAfter = undefined
      const [error, defect, result, byHand] = seen
      assert.strictEqual(seen.length, 4)
      assert.deepInclude(error, { reopenings: 0, retryAfter })
      assert.deepInclude(error.failure, { _tag: "Error", error: "down" })
      assert.deepInclude(defect, { reopenings: 1, retryAfter })
      assert.deepInclude(defect.failure, { _tag: "Defect", defect: "bug" })
      assert.deepStrictEqual(result, {
        reopenings: 2,
        retryAfter: Duration.seconds(2),
        failure: { _tag: "Result", result: 503 }
      })
      assert.deepStrictEqual(byHand, { reopenings: 3, retryAfter, failure: undefined })
    })
  )

  it.effect("can follow a hint, up to maxOpenFor and by default up to five minutes", () =>
    Effect.gen(function* () {
      for (const [maxOpenFor, hint, expected] of [
        [undefined, "30 seconds", 30_000],
        [undefined, "1 hour", 300_000],
        [undefined, Infinity, 300_000],
        ["2 hours", "1 hour", 3_600_000],
        ["20 seconds", "1 hour", 20_000],
        ["20 seconds", 0, 0]
      ] as const) {
        const breaker = yield* make({ maxOpenFor, openFor: ({ retryAfter }) => retryAfter ?? "1 second" })
        const call = breaker.protectWhen<never, "down">({ retryAfter: () => hint })
        yield* Effect.exit(call(down))
        assert.strictEqual((yield* breaker.snapshot).openedFor, expected)
      }
    })
  )

  const broken: ReadonlyArray<readonly [name: string, openFor: () => Duration.DurationInput]> = [
    [
      "throws",
      () => {
        throw new Error("bug")
      }
    ],
    ["returns NaN", () => Number.NaN],
    ["returns a duration of NaN", () => [Number.NaN, 0]],
    ["returns nothing", () => undefined as never],
    ["returns words", () => "soon" as never],
    ["returns an object without a prototype", () => Object.create(null) as never]
  ]

  for (const [name, openFor] of broken) {
    it.effect(`that ${name} leaves the default of ten seconds, and one warning`, () =>
      Effect.gen(function* () {
        const breaker = yield* make({ openFor })
        const { messages, result } = yield* logged(Effect.exit(breaker.protect(down)))
        assert.deepStrictEqual(result, Exit.fail("down"))
        assert.deepInclude(yield* breaker.snapshot, { state: "open", openedFor: 10_000 })
        assert.deepStrictEqual(messages, [
          'WARN "openFor" of "partner" gave no duration, so the default is used'
        ])
        const later = yield* logged(Effect.exit(breaker.protect(up)))
        assert.deepStrictEqual(later.messages, [])
      })
    )
  }

  it.effect("that returns a negative number opens the circuit for no time at all", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ openFor: () => -5 })
      assert.strictEqual(yield* fail(breaker), 0)
      assert.strictEqual(yield* breaker.protect(up), "up")
    })
  )

  it.effect("stays within maxOpenFor even by default", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ openFor: () => Number.NaN, maxOpenFor: "3 seconds" })
      assert.strictEqual((yield* logged(fail(breaker))).result, 3000)
    })
  )

  it.effect("gets the hint of an outcome that was recorded by hand", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ openFor: ({ retryAfter }) => retryAfter ?? "1 hour" })
      const outcome = FailureCondition.failureAfter("7 seconds")
      yield* Effect.scoped(Effect.flatMap(breaker.acquire, (permit) => breaker.record(permit, outcome)))
      assert.deepStrictEqual(yield* breaker.remainingDelay, Duration.seconds(7))
    })
  )
})

describe("a hint to an open circuit", () => {
  const exponential = Backoff.exponential({ base: "10 seconds", max: "1 minute" })
  const openFors: ReadonlyArray<readonly [name: string, options: CircuitBreaker.Options]> = [
    ["a duration", { openFor: "10 seconds" }],
    ["the default", {}],
    ["a schedule", { openFor: exponential }],
    ["a duration with a maximum", { openFor: "10 seconds", maxOpenFor: "20 seconds" }],
    ["a schedule with a maximum", { openFor: exponential, maxOpenFor: "20 seconds" }]
  ]
  const hints = [0, -1, 1, "9 seconds", "15 seconds", "1 minute", "1 hour", "365 days", Infinity] as const
  for (const [name, options] of openFors) {
    it.effect(`makes an opening longer up to the maximum and never shorter: ${name}`, () =>
      Effect.gen(function* () {
        for (const hint of hints) {
          const breaker = yield* make(options)
          const millis = typeof hint === "number" ? Math.max(0, hint) : Duration.toMillis(hint)
          const max = options.maxOpenFor === undefined ? 300_000 : 20_000
          yield* Effect.exit(breaker.protectWhen<never, "down">({ retryAfter: () => hint })(down))
          const expected = Math.max(10_000, Math.min(millis, max))
          assert.deepInclude(yield* breaker.snapshot, { state: "open", openedFor: expected }, String(hint))
          yield* TestClock.adjust(expected - 1)
          assert.strictEqual(yield* breaker.state, "open")
          yield* TestClock.adjust(1)
          assert.strictEqual(yield* breaker.protect(up), "up")
        }
      })
    )
  }

  it.effect("of zero does not stop a schedule from growing", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ openFor: exponential })
      const call = breaker.protectWhen<never, "down">({ retryAfter: () => 0 })(down)
      const openedFor: Array<number> = []
      for (let opening = 0; opening < 5; opening++) {
        yield* Effect.exit(call)
        openedFor.push((yield* breaker.snapshot).openedFor)
        yield* TestClock.adjust(openedFor[opening])
      }
      assert.deepStrictEqual(openedFor, [10_000, 20_000, 40_000, 60_000, 60_000])
    })
  )

  it.effect("may come from the rejection of an inner policy, or an outcome recorded by hand", () =>
    Effect.gen(function* () {
      const inner = yield* make({ openFor: "30 seconds" })
      yield* Effect.exit(inner.protect(down))
      const outer = yield* make({ openFor: "10 seconds" })
      yield* Effect.exit(outer.protect(inner.protect(up)))
      assert.strictEqual((yield* outer.snapshot).openedFor, 30_000)
      const byHand = yield* make({ openFor: "10 seconds" })
      const outcome = FailureCondition.failureAfter("20 seconds")
      yield* Effect.scoped(Effect.flatMap(byHand.acquire, (permit) => byHand.record(permit, outcome)))
      assert.strictEqual((yield* byHand.snapshot).openedFor, 20_000)
    })
  )
})

describe("Retry-After over HTTP", () => {
  const options: ReadonlyArray<readonly [name: string, options: HttpResilience.CircuitBreakerOptions]> = [
    ["by default", {}],
    ["with a duration", { openFor: "10 seconds" }],
    ["with a schedule", { openFor: Backoff.exponential({ base: "10 seconds" }) }]
  ]
  const fields = {
    "0": 10_000,
    "1": 10_000,
    "30": 30_000,
    "31536000": 300_000,
    "Thu, 01 Jan 1970 00:00:00 GMT": 10_000,
    "Sun, 06 Nov 1994 08:49:37 GMT": 300_000
  }
  for (const [name, own] of options) {
    for (const [field, expected] of Object.entries(fields)) {
      it.effect(`opens the circuit for at least what is configured: ${name}, ${field}`, () =>
        Effect.gen(function* () {
          const keyed = yield* CircuitBreaker.keyed({
            options: { trip: Trip.consecutive(3), ...own }
          }) as Effect.Effect<CircuitBreaker.KeyedCircuitBreaker>
          for (const part of [
            HttpResilience.circuitBreaker({ trip: Trip.consecutive(3), ...own }),
            HttpResilience.circuitBreaker(keyed)
          ]) {
            let sent = 0
            const client = HttpClient.make((request) =>
              Effect.sync(() => {
                sent++
                const response = new Response(null, { status: 503, headers: { "retry-after": field } })
                return HttpClientResponse.fromWeb(request, response)
              })
            ).pipe(part as HttpResilience.Part<CircuitBreaker.CircuitOpen>)
            const call: Effect.Effect<unknown> = Effect.exit(client.get("http://partner.example/"))
            yield* Effect.replicateEffect(call, 200)
            assert.strictEqual(sent, 3)
            yield* TestClock.adjust(expected - 1)
            yield* call
            assert.strictEqual(sent, 3)
            yield* TestClock.adjust(1)
            yield* call
            assert.strictEqual(sent, 4)
          }
        })
      )
    }
  }
})
