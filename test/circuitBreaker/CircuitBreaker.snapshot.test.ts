import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, FastCheck, Fiber, ParseResult, Schedule, Schema, TestClock } from "effect"
import { CircuitBreaker, Policy, Trip } from "effect-resilience"
import { down, up } from "../support/calls.js"
import { runs } from "../support/runs.js"

type Breaker = CircuitBreaker.CircuitBreaker
type Snapshot = CircuitBreaker.Snapshot

const Json = Schema.parseJson(CircuitBreaker.Snapshot)

/** A clock moved by hand, whose two sides agree on how time passes and on nothing else. */
const manualClock = (monotonic: number, wall: number) => {
  let passed = 0
  const nanos = () => BigInt(monotonic + passed) * 1_000_000n
  const millis = () => wall + passed
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: millis,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanos: Effect.sync(nanos),
    sleep: () => Effect.never
  }
  const advance = (ms: number) =>
    Effect.sync(() => {
      passed += ms
    })
  return { advance, run: Effect.withClock(clock), millis }
}

type ManualClock = ReturnType<typeof manualClock>

const make = (options: CircuitBreaker.Options) =>
  CircuitBreaker.make({
    name: "partner",
    trip: Trip.failures({ count: 2, of: 3 }),
    openFor: "10 seconds",
    ...options
  }) as Effect.Effect<Breaker>

const save = (breaker: Breaker) => Effect.flatMap(breaker.snapshot, Schema.encode(Json))

/** A breaker in a process of its own that starts from what another one saved, `downtime` milliseconds later. */
const restart = (
  clock: ManualClock,
  json: string,
  downtime: number,
  options: CircuitBreaker.Options = {}
) => {
  const later = manualClock(77, clock.millis() + downtime)
  return Schema.decode(Json)(json).pipe(
    Effect.flatMap((initial) => make({ ...options, initial })),
    later.run,
    Effect.map((breaker) => ({ breaker, clock: later }))
  )
}

const play = (breaker: Breaker, history: string): Effect.Effect<void> =>
  Effect.forEach(
    history,
    (letter) => Effect.exit(breaker.protect(letter === "S" ? up : (down as Effect.Effect<string, "down">))),
    { discard: true }
  )

describe("a snapshot of a circuit breaker", () => {
  const steps = ["S", "S", "F", "F", "F", "D", "open", "close", "halfOpen", "isolate", "release"] as const
  const more = ["disable", "enable", "metricsOnly", "reset", 1, 40, 90, 300, 1000, 2000] as const
  const step = FastCheck.constantFrom(...steps, ...more)
  const history = FastCheck.array(step, { maxLength: 40 })

  const options: CircuitBreaker.Options = {
    name: "partner",
    trip: Trip.any(
      Trip.consecutive(4),
      Trip.failures({ count: 4, of: 7 }),
      Trip.failures({ count: 3, within: "400 millis" }),
      Trip.failureRate({ threshold: 0.7, within: "1 second", minimumCalls: 4 }),
      Trip.slowRate({ slowerThan: 0, threshold: 1, of: 100 })
    ),
    openFor: ({ reopenings }) => 500 * (reopenings + 1),
    halfOpen: { permits: 2, successes: { count: 2, of: 3 } }
  }

  type Step = typeof step extends FastCheck.Arbitrary<infer S> ? S : never

  const follow = (clock: ManualClock, breakers: ReadonlyArray<Breaker>, steps: ReadonlyArray<Step>) =>
    Effect.forEach(steps, (step) =>
      typeof step === "number"
        ? clock.advance(step)
        : Effect.forEach(breakers, (breaker) => {
            if (step === "S") return breaker.protect(up).pipe(Effect.exit, Effect.asVoid)
            if (step === "F") return breaker.protect(down).pipe(Effect.exit, Effect.asVoid)
            if (step === "D") return breaker.protect(Effect.die("bug")).pipe(Effect.exit, Effect.asVoid)
            return breaker[step]
          })
    )

  it.effect.prop(
    "goes through JSON as it is, and a breaker that starts from it does what the first one does",
    [history, history],
    ([before, after]) => {
      const clock = manualClock(123_456, 1_700_000_000_000)
      return clock.run(
        Effect.gen(function* () {
          const first = yield* make(options)
          yield* follow(clock, [first], before)
          const snapshot = yield* first.snapshot
          const json = yield* Schema.encode(Json)(snapshot)
          const initial = yield* Schema.decode(Json)(json)
          assert.deepStrictEqual(initial, snapshot)
          const second = yield* make({ ...options, initial })
          assert.deepStrictEqual(yield* second.snapshot, snapshot)
          for (const step of after) {
            yield* follow(clock, [first, second], [step])
            assert.deepStrictEqual(yield* second.snapshot, yield* first.snapshot)
          }
        })
      )
    },
    { fastCheck: { numRuns: runs(20, 1000) } }
  )

  it.effect("keeps how many calls were rejected in its state", () =>
    Effect.gen(function* () {
      const first = yield* make(options)
      yield* first.open
      yield* Effect.exit(first.protect(up))
      const initial = yield* first.snapshot
      assert.deepInclude(initial, { rejected: 1, rejectedInState: 1 })
      const second = yield* make({ ...options, initial })
      assert.deepInclude(yield* second.snapshot, { rejected: 1, rejectedInState: 1 })
    })
  )

  const valid = make({}).pipe(
    Effect.tap((breaker) => play(breaker, "FF")),
    Effect.flatMap((breaker) => breaker.snapshot)
  )
  const reading = { rule: "consecutive", calls: 1, hits: 1, rate: 1, threshold: 1, met: true }
  const garbage: ReadonlyArray<Record<string, unknown>> = [
    { state: "ajar" },
    { state: undefined },
    { name: 1 },
    { since: null },
    { takenAt: "yesterday" },
    { remainingDelay: -1 },
    { generation: 1.5 },
    { failures: -1 },
    { successes: "1" },
    { failureRate: 2 },
    { consecutiveFailures: null },
    { rejected: "many" },
    { reopenings: {} },
    { openedFor: -0.5 },
    { rules: [{ ...reading, rule: "any" }] },
    { rules: [{ ...reading, rate: -1 }] },
    { probes: {} },
    { probes: { running: -1, permits: 1, successes: 1, of: 1 } },
    { memory: {} },
    { memory: [{ rule: "x", calls: "012" }] },
    { memory: [{ rule: "x", run: -1 }] },
    { memory: [{ rule: "x", buckets: [[1]] }] }
  ]

  it.effect("with a wrong field is a ParseError", () =>
    Effect.gen(function* () {
      const decode = Schema.decodeUnknown(Json)
      const snapshot = yield* valid
      yield* decode(JSON.stringify({ ...snapshot, rules: [reading] }))
      const jsons = garbage.map((fields) => JSON.stringify({ ...snapshot, ...fields }))
      for (const json of ["", "not json", "null", "[]", "{}", ...jsons]) {
        assert.instanceOf(yield* Effect.flip(decode(json)), ParseResult.ParseError, json)
      }
    })
  )
})

describe("a snapshot of a circuit breaker", () => {
  it.effect("counts the rejections of its state, which begins without any when its time has come", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ openFor: "10 seconds" })
      const rejections = Effect.map(breaker.snapshot, ({ rejected, rejectedInState, state }) => [
        state,
        rejected,
        rejectedInState
      ])
      const call = Effect.exit(breaker.protect(up))
      yield* breaker.isolate
      yield* call
      yield* breaker.open
      yield* Effect.zipRight(call, call)
      assert.deepStrictEqual(yield* rejections, ["open", 3, 2])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* rejections, ["half-open", 3, 0])
      const probe = yield* Effect.fork(breaker.protect(Effect.never))
      yield* Effect.yieldNow()
      yield* call
      assert.deepStrictEqual(yield* rejections, ["half-open", 4, 1])
      yield* Fiber.interrupt(probe)
    })
  )

  it.effect("shows the probes of a half-open circuit, and of no other", () =>
    Effect.gen(function* () {
      const breaker = yield* make({ halfOpen: { permits: 2, successes: { count: 2, of: 3 } } })
      assert.notProperty(yield* breaker.snapshot, "probes")
      yield* breaker.halfOpen
      const limits = { permits: 2, successes: 2, of: 3 }
      assert.deepStrictEqual((yield* breaker.snapshot).probes, { running: 0, ...limits })
      const probe = yield* Effect.fork(breaker.protect(Effect.never))
      yield* Effect.yieldNow()
      assert.deepStrictEqual((yield* breaker.snapshot).probes, { running: 1, ...limits })
      yield* Fiber.interrupt(probe)
      assert.deepStrictEqual((yield* breaker.snapshot).probes, { running: 0, ...limits })
    })
  )
})

describe("a breaker that starts from a snapshot", () => {
  const process = () => manualClock(1_000_000, 1_700_000_000_000)

  it.effect("stays open for the time that was left, less the downtime", () =>
    Effect.gen(function* () {
      for (const [downtime, state, remaining] of [
        [0, "open", 7000],
        [4000, "open", 3000],
        [7000, "half-open", 0],
        [86_400_000, "half-open", 0],
        // The wall clock was set back in between: then no time has passed.
        [-3_600_000, "open", 7000]
      ] as const) {
        const clock = process()
        const json = yield* clock.run(
          Effect.gen(function* () {
            const breaker = yield* make({})
            yield* play(breaker, "FF")
            yield* clock.advance(3000)
            return yield* save(breaker)
          })
        )
        const next = yield* restart(clock, json, downtime)
        const { remainingDelay, ...rest } = yield* next.clock.run(next.breaker.snapshot)
        assert.deepStrictEqual([rest.state, remainingDelay], [state, remaining], String(downtime))
        assert.deepInclude(rest, { openedFor: 10_000, reopenings: 1, consecutiveFailures: 2 })
      }
    })
  )

  it.effect("goes on with the window over calls of a closed circuit", () =>
    Effect.gen(function* () {
      const clock = process()
      const json = yield* clock.run(
        make({}).pipe(
          Effect.tap((breaker) => play(breaker, "SF")),
          Effect.flatMap(save)
        )
      )
      const next = yield* restart(clock, json, 86_400_000)
      yield* next.clock.run(play(next.breaker, "F"))
      assert.strictEqual(yield* next.clock.run(next.breaker.state), "open")
    })
  )

  it.effect("goes on with the window over time of a closed circuit, for which the downtime counts", () =>
    Effect.gen(function* () {
      const trip = Trip.failures({ count: 2, within: "10 seconds" })
      for (const [downtime, state] of [
        [5000, "open"],
        [11_000, "closed"]
      ] as const) {
        const clock = process()
        const json = yield* clock.run(
          make({ trip }).pipe(
            Effect.tap((breaker) => play(breaker, "F")),
            Effect.flatMap(save)
          )
        )
        const next = yield* restart(clock, json, downtime, { trip })
        yield* next.clock.run(play(next.breaker, "F"))
        assert.strictEqual(yield* next.clock.run(next.breaker.state), state)
      }
    })
  )

  it.effect("starts new probes, and keeps what the earlier ones decided", () =>
    Effect.gen(function* () {
      const halfOpen = { successes: 2 }
      const clock = process()
      const json = yield* clock.run(
        Effect.gen(function* () {
          const breaker = yield* make({ halfOpen })
          yield* breaker.halfOpen
          yield* play(breaker, "S")
          const hung = yield* Effect.fork(breaker.protect(Effect.never))
          yield* Effect.yieldNow()
          assert.strictEqual((yield* Effect.flip(breaker.protect(up))).state, "half-open")
          const json = yield* save(breaker)
          yield* Fiber.interrupt(hung)
          return json
        })
      )
      const next = yield* restart(clock, json, 3_600_000, { halfOpen })
      assert.deepInclude(yield* next.clock.run(next.breaker.snapshot), {
        state: "half-open",
        successes: 1,
        rejected: 1
      })
      yield* next.clock.run(play(next.breaker, "S"))
      assert.strictEqual(yield* next.clock.run(next.breaker.state), "closed")
    })
  )

  it.effect("stays in a state that only a person can end", () =>
    Effect.gen(function* () {
      for (const [verb, state] of [
        ["isolate", "isolated"],
        ["disable", "disabled"],
        ["metricsOnly", "metrics-only"]
      ] as const) {
        const clock = process()
        const json = yield* clock.run(
          make({}).pipe(
            Effect.tap((breaker) => breaker[verb]),
            Effect.tap((breaker) => play(breaker, "FF")),
            Effect.flatMap(save)
          )
        )
        const next = yield* restart(clock, json, 365 * 86_400_000)
        yield* next.clock.run(play(next.breaker, "FF"))
        assert.strictEqual(yield* next.clock.run(next.breaker.state), state)
      }
    })
  )

  it.effect("goes on with the delays of a schedule, unless it had recovered", () =>
    Effect.gen(function* () {
      const options = { openFor: Schedule.exponential("1 second"), trip: Trip.consecutive(1) }
      for (const [downtime, openedFor] of [
        [0, 4000],
        [2000, 1000]
      ] as const) {
        const clock = process()
        const json = yield* clock.run(
          Effect.gen(function* () {
            const breaker = yield* make(options)
            yield* play(breaker, "F")
            yield* clock.advance(1000)
            yield* play(breaker, "F")
            yield* clock.advance(2000)
            yield* play(breaker, "S")
            return yield* save(breaker)
          })
        )
        const next = yield* restart(clock, json, downtime, options)
        yield* next.clock.run(play(next.breaker, "F"))
        assert.deepInclude(yield* next.clock.run(next.breaker.snapshot), { state: "open", openedFor })
      }
    })
  )

  it.effect("keeps what it knows of rules that stayed, and nothing of rules that changed", () =>
    Effect.gen(function* () {
      const clock = process()
      const trip = Trip.any(Trip.consecutive(3), Trip.failures({ count: 3, of: 9 }))
      const json = yield* clock.run(
        make({ trip }).pipe(
          Effect.tap((breaker) => play(breaker, "FF")),
          Effect.flatMap(save)
        )
      )
      const table: ReadonlyArray<readonly [changed: Trip.Trip, hits: Array<number>]> = [
        [Trip.any(Trip.failures({ count: 4, of: 9 }), Trip.consecutive(3)), [0, 2]],
        [Trip.any(Trip.failures({ count: 3, of: 9 }), Trip.consecutive(2)), [2, 0]],
        [Trip.failureRate({ threshold: 0.5, of: 2 }), [0]]
      ]
      for (const [changed, hits] of table) {
        const next = yield* restart(clock, json, 0, { trip: changed })
        const { failures, rules, state } = yield* next.clock.run(next.breaker.snapshot)
        assert.deepStrictEqual({ failures, state }, { failures: 2, state: "closed" })
        assert.deepStrictEqual(
          rules.map((rule) => rule.hits),
          hits
        )
      }
    })
  )

  it.effect("has the name of its options, not that of the snapshot", () =>
    Effect.gen(function* () {
      const initial: Snapshot = yield* Effect.flatMap(make({}), (breaker) => breaker.snapshot)
      const breaker = yield* make({ name: "other", initial })
      assert.strictEqual((yield* breaker.snapshot).name, "other")
    })
  )
})

describe("an invalid initial snapshot", () => {
  const refused = (initial: unknown, option: string) =>
    Effect.gen(function* () {
      const options = { initial: initial as Snapshot }
      for (const construct of [
        make(options),
        CircuitBreaker.keyed({ options }),
        Effect.provide(CircuitBreaker.protect(up), CircuitBreaker.layer(options))
      ]) {
        const defect = yield* Effect.flip(Effect.sandbox(construct as Effect.Effect<unknown, unknown>))
        assert.strictEqual(defect._tag, "Die", option)
        const error = defect._tag === "Die" ? defect.defect : undefined
        assert.instanceOf(error, Policy.InvalidOption)
        const isKeyed = error.policy === "CircuitBreaker.keyed"
        assert.strictEqual(error.option, isKeyed ? `options.${option}` : option)
        const value: unknown = option === "initial" ? initial : Reflect.get(Object(initial), option.slice(8))
        assert.isTrue(Object.is(error.value, value))
      }
    })

  const snapshot = Effect.flatMap(make({}), (breaker) => breaker.snapshot)

  for (const initial of [null, 0, "", "{}", true, [], () => {}, Symbol("snapshot"), 1n]) {
    it.effect(`is refused as a whole: ${String(initial)} (${typeof initial})`, () =>
      refused(initial, "initial")
    )
  }

  it.effect("is refused by its first field when it is an empty object", () => refused({}, "initial.name"))

  const text = [null, undefined, 0, {}, []]
  const number = [undefined, Number.NaN, "1", {}, [], true, 1n]
  const count = [...number, null, -1, 0.5, Infinity]
  const wrong: { readonly [Field in keyof Snapshot]: ReadonlyArray<unknown> } = {
    name: text,
    state: [...text, "", "Open", "halfOpen", "toString", "__proto__"],
    since: [...number, null, Infinity, new Date(0)],
    takenAt: [...number, null, -Infinity],
    remainingDelay: [...number, -1],
    generation: count,
    successes: count,
    failures: count,
    failureRate: [...number, null, -0.1, 1.1],
    consecutiveFailures: count,
    rejected: count,
    rejectedInState: count,
    reopenings: count,
    openedFor: [...number, -1],
    rules: [undefined, null, {}, "", [null], [{}], [1]],
    probes: [1, "", true, []],
    memory: [
      ...[undefined, null, {}, "", [null], [{}], [{ rule: 1 }]],
      [{ rule: "consecutive(3)", run: -1 }],
      [{ rule: "consecutive(3)", run: Number.NaN }],
      [{ rule: "failures(2 of 3)", calls: "012" }],
      [{ rule: "failures(2 of 3)", calls: 101 }],
      [{ rule: "failures(2 within 1000ms)", buckets: [[1]] }],
      [{ rule: "failures(2 within 1000ms)", buckets: [[1, 2]] }],
      [{ rule: "failures(2 within 1000ms)", buckets: [[1, -1]] }],
      [{ rule: "failures(2 within 1000ms)", buckets: {} }]
    ]
  }
  for (const [field, values] of Object.entries(wrong)) {
    it.effect(`is refused by the field that is wrong: ${field}`, () =>
      Effect.gen(function* () {
        const right = yield* snapshot
        for (const value of values) yield* refused({ ...right, [field]: value }, `initial.${field}`)
      })
    )
  }

  it.effect("is not one whose endless times have become null in JSON", () =>
    Effect.gen(function* () {
      const initial = JSON.parse(JSON.stringify({ ...(yield* snapshot), openedFor: Infinity })) as Snapshot
      assert.isNull(initial.openedFor)
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(make({ initial }))))
    })
  )
})
