// Which events are logged, in which words and at which level.
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, HashMap, Layer, Logger, LogLevel, Schedule } from "effect"
import {
  Bulkhead,
  CircuitBreaker,
  Fallback,
  Observer,
  type Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { Observability } from "effect-resilience/observability"
import { refusalOf, up } from "../support/calls.js"
import { runToEnd } from "../support/everyStep.js"
import { tracing } from "../support/tracing.js"

class Refused extends Data.TaggedError("Refused") {}

type Body = Effect.Effect<unknown, unknown>

const refused = Effect.suspend(() => new Refused())
const slow = Effect.delay(up, "2 seconds")

interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

const keeping = () => {
  const lines: Array<Line> = []
  const logger = Logger.make<unknown, void>(({ annotations, logLevel, message }) => {
    lines.push({
      level: logLevel.label,
      message: String(message),
      annotations: Object.fromEntries(HashMap.toEntries(annotations))
    })
  })
  return { lines, provided: Effect.provide(Logger.replace(Logger.defaultLogger, logger)) }
}

/** The lines of a program with the default options, or others. */
const logged = (program: Body, logs: Observability.LogOptions | false = {}): ReadonlyArray<Line> => {
  const { lines, provided } = keeping()
  runToEnd(provided(Effect.exit(program).pipe(Effect.provide(Observability.layer({ logs })))))
  return lines
}

const words = (lines: ReadonlyArray<Line>) => lines.map(({ level, message }) => `${level} ${message}`)

describe("a line is written by default", () => {
  const consecutive = { name: "Partner", trip: Trip.consecutive(2), openFor: "10 seconds" } as const
  const cases: Record<string, readonly [program: Body, lines: ReadonlyArray<string>]> = {
    "for a circuit that opens after failures in a row, is half-open and closes": [
      Effect.gen(function* () {
        const { protect } = yield* CircuitBreaker.make(consecutive)
        yield* Effect.exit(protect(refused))
        yield* Effect.exit(protect(refused))
        yield* Effect.exit(protect(up))
        yield* Effect.sleep("10 seconds")
        yield* protect(up)
      }),
      [
        'WARN circuit breaker "Partner" opened for 10 s: 2 failures in a row',
        'INFO circuit breaker "Partner" is half-open: the open time is over, 1 call rejected meanwhile',
        'INFO circuit breaker "Partner" closed: 1 of 1 probe succeeded'
      ]
    ],
    "for a circuit that opens at a rate, and again after a probe": [
      Effect.gen(function* () {
        const trip = Trip.failureRate({ threshold: 0.5, minimumCalls: 4, within: "30 seconds" })
        const { protect } = yield* CircuitBreaker.make({ name: "Partner", trip, openFor: "90 seconds" })
        for (const call of [up, up, refused, refused]) yield* Effect.exit(protect(call))
        yield* Effect.sleep("90 seconds")
        yield* Effect.exit(protect(refused))
      }),
      [
        'WARN circuit breaker "Partner" opened for 1 min 30 s: 2 of 4 calls failed within 30 s',
        'INFO circuit breaker "Partner" is half-open: the open time is over',
        'WARN circuit breaker "Partner" opened again for 1 min 30 s: 1 of 1 probe failed'
      ]
    ],
    "for a circuit that opens because calls are slow": [
      Effect.gen(function* () {
        const limit = {
          threshold: 0.5,
          minimumCalls: 1,
          of: 10,
          slowerThan: "1500 millis"
        } as const
        const { protect } = yield* CircuitBreaker.make({
          name: "Partner",
          trip: Trip.slowRate(limit),
          openFor: "1 minute"
        })
        yield* protect(slow)
      }),
      ['WARN circuit breaker "Partner" opened for 1 min: 1 of the last 1 call took longer than 1.5 s']
    ],
    "for each operation of a circuit": [
      Effect.flatMap(
        CircuitBreaker.make({ name: "Partner" }),
        ({ disable, enable, isolate, metricsOnly, release }) =>
          Effect.all([isolate, release, disable, enable, metricsOnly])
      ),
      [
        'WARN circuit breaker "Partner" is isolated: by the operation "isolate"',
        'INFO circuit breaker "Partner" closed: by the operation "release"',
        'WARN circuit breaker "Partner" is disabled: by the operation "disable"',
        'INFO circuit breaker "Partner" closed: by the operation "enable"',
        'INFO circuit breaker "Partner" only counts: by the operation "metricsOnly"'
      ]
    ],
    "for settings that change, with those that do": [
      Effect.flatMap(CircuitBreaker.make(consecutive), ({ configure }) =>
        configure({ openFor: "3 seconds" })
      ),
      ['INFO circuit breaker "Partner" changed openFor from 10s to 3s']
    ],
    "for a bulkhead that is resized": [
      Effect.flatMap(Bulkhead.make({ permits: 3 }), ({ resize }) => resize(1)),
      ['INFO bulkhead "bulkhead" was resized from 3 to 1 permit']
    ],
    "for a rate that changes": [
      Effect.flatMap(
        RateLimiter.make({ rate: RateLimiter.smooth({ limit: 1, per: "1 second" }) }),
        ({ setRate }) => setRate(RateLimiter.bursty({ limit: 9, per: "1 minute" }))
      ),
      [
        'INFO rate limiter "rate-limiter" changed its rate from smooth(limit: 1, per: 1s) to bursty(limit: 9, per: 1m)'
      ]
    ],
    "for a budget that is exhausted and recovers": [
      Effect.gen(function* () {
        const rule = RetryBudget.successes({ capacity: 1, ratio: 1 })
        const budget = yield* RetryBudget.make({ name: "spare", rule })
        yield* budget.tryWithdraw()
        yield* budget.tryWithdraw()
        yield* budget.recordSuccess
        yield* budget.tryWithdraw()
      }),
      [
        'WARN retry budget "spare" is exhausted: it pays for no more retries and hedges',
        'INFO retry budget "spare" has recovered'
      ]
    ]
  }
  it.each(Object.entries(cases))("%s", (_, [program, lines]) => {
    assert.deepStrictEqual(words(logged(program)), lines)
  })
})

it("the annotations of a line are the event as data", () => {
  const program = Effect.flatMap(
    CircuitBreaker.make({ name: "Partner", trip: Trip.consecutive(1), openFor: "10 seconds" }),
    ({ protect }) => protect(refused)
  )
  assert.deepStrictEqual(logged(program)[0]?.annotations, {
    policy: "Partner",
    kind: "circuit-breaker",
    event: "StateChange",
    from: "closed",
    to: "open",
    reason: "tripped",
    openFor: "10 s",
    successes: 0,
    failures: 1,
    rejected: 0
  })
})

/** Meets rejections, timeouts, retries that give up, and fallbacks. */
const meeting = Effect.gen(function* () {
  const breaker = yield* CircuitBreaker.make({ name: "Partner" })
  yield* breaker.isolate
  const places = yield* Bulkhead.make({ permits: 1, maxQueued: 0 })
  const limiter = yield* RateLimiter.make({
    rate: RateLimiter.bursty({ limit: 1, per: "1 second" }),
    maxWait: 0
  })
  const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ capacity: 0 }) })
  const calls: ReadonlyArray<Body> = [
    breaker.protect(up),
    places.protect(places.withPermits(1)(up)),
    Effect.all([places.protect(slow), places.protect(up)], { concurrency: 2 }),
    Effect.zipRight(limiter.protect(up), limiter.protect(up)),
    Timeout.timeout(slow, "1 second"),
    Retry.retry(refused, { times: 1, schedule: Schedule.spaced("1 second") }),
    Retry.retry(refused, { abortWhen: () => true }),
    Retry.retry(refused, { budget }),
    refused.pipe(Fallback.succeed("cold"))
  ]
  yield* Effect.forEach(calls, Effect.exit)
})

describe("what calls meet is logged", () => {
  it("not by default", () => {
    assert.deepStrictEqual(words(logged(meeting)), [
      'WARN circuit breaker "Partner" is isolated: by the operation "isolate"',
      'WARN retry budget "retry-budget" is exhausted: it pays for no more retries and hedges'
    ])
  })

  it("at the level of the option", () => {
    const level = (_: Policy.Event, byDefault: LogLevel.LogLevel | undefined) =>
      byDefault === undefined ? LogLevel.Error : undefined
    assert.deepStrictEqual(words(logged(meeting, { level })), [
      'ERROR circuit breaker "Partner" rejected a call: the circuit is isolated',
      'ERROR bulkhead "bulkhead" rejected a call: full, 1 permit, 0 queued',
      'ERROR rate limiter "rate-limiter" rejected a call: rate, next chance in 1 s',
      'ERROR timeout "timeout" ended a call at its limit of 1 s',
      'ERROR retry "retry" gave up after 2 attempts in 1 s: times',
      'ERROR retry "retry" gave up after 1 attempt in 0 ms: the failure is not worth a retry',
      'ERROR retry budget "retry-budget" refused a retry',
      'ERROR retry "retry" gave up after 1 attempt in 0 ms: budget',
      'ERROR fallback "fallback" replaces a failure: Refused'
    ])
  })

  it("and nothing at all with logs switched off", () => {
    assert.isEmpty(logged(meeting, false))
  })

  it("and what happens in every call is never asked about", () => {
    const asked = new Set<string>()
    const level = ({ _tag }: Policy.Event) => void asked.add(_tag)
    logged(meeting, { level })
    assert.sameMembers(
      [...asked],
      ["StateChange", "Rejected", "Timeout", "Exceeded", "Abort", "Exhausted", "Refused", "Fallback"]
    )
  })
})

const isolating = Effect.flatMap(CircuitBreaker.make({ name: "Partner" }), ({ isolate }) => isolate)

describe("a line", () => {
  it("shows names of others as text, in message and annotations", () => {
    const hostile = 'x"\ntimestamp=now level=FATAL\r\u001b[2J\u202e\u0000'
    const program = Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: hostile, trip: Trip.consecutive(1) })
      yield* Effect.exit(breaker.protect(refused))
      yield* breaker.configure({ openFor: "3 seconds" })
      const { resize } = yield* Bulkhead.make({ name: hostile, permits: 1 })
      yield* resize(2)
    })
    const lines = logged(program)
    assert.lengthOf(lines, 3)
    for (const line of lines) assert.notMatch(JSON.stringify(line), /\\n|\\r|\\u00|\u202e/)
  })

  it("has the annotations of the fiber in which the event happens", () => {
    const [line] = logged(Effect.annotateLogs(isolating, "request", 7))
    assert.strictEqual(line?.annotations.request, 7)
  })

  it("is not written into the span of a call, which is told of the event itself", () => {
    const { spans, tracer } = tracing()
    const { lines, provided } = keeping()
    const call = Effect.withSpan(isolating, "call").pipe(
      Effect.provide(Observability.layer()),
      Effect.withTracer(tracer)
    )
    runToEnd(provided(call))
    assert.lengthOf(lines, 1)
    assert.deepStrictEqual(
      spans[0]?.events.map(({ name }) => name),
      ["resilience.state_change"]
    )
  })

  it("is written when the step is over in which the event happened", () => {
    const order: Array<string> = []
    const logger = Logger.make(() => void order.push("logged"))
    const program = Effect.flatMap(
      CircuitBreaker.make({ name: "Partner", trip: Trip.consecutive(1) }),
      ({ protect }) =>
        Effect.zipRight(
          Effect.exit(protect(refused)),
          Effect.sync(() => order.push("after the call"))
        )
    )
    const logging = Logger.replace(Logger.defaultLogger, logger)
    runToEnd(program.pipe(Effect.provide(Layer.provideMerge(Observability.layer(), logging))))
    assert.deepStrictEqual(order, ["after the call", "logged"])
  })

  it("goes to the loggers of the layer where no fiber runs", async () => {
    const { lines, provided } = keeping()
    const observer = await Effect.runPromise(
      provided(Effect.provide(Observer.Observer, Observability.layer()))
    )
    const from = { permits: 3 }
    observer.unsafeObserve({
      _tag: "Resized",
      kind: "bulkhead",
      name: "places",
      from: 3,
      to: 1,
      ...from
    } as Policy.Event)
    await Effect.runPromise(Effect.yieldNow())
    assert.deepStrictEqual(words(lines), ['INFO bulkhead "places" was resized from 3 to 1 permit'])
  })

  it("can be written by a function", () => {
    const written: Array<string> = []
    const write = ({ annotations, event, level, message }: Observability.LogLine) =>
      Effect.sync(() => written.push([level.label, message, annotations.to, event._tag].join(" | ")))
    assert.isEmpty(logged(isolating, { write }))
    assert.deepStrictEqual(written, [
      'WARN | circuit breaker "Partner" is isolated: by the operation "isolate" | isolated | StateChange'
    ])
  })
})

describe("of two layers, one within the other,", () => {
  const isolated = ['WARN circuit breaker "Partner" is isolated: by the operation "isolate"']
  const written: Array<string> = []
  const write = ({ event }: Observability.LogLine) => Effect.sync(() => written.push(event._tag))

  /** The lines for Effect's loggers. */
  const loggedIn = (...options: ReadonlyArray<Observability.Options>) => {
    written.length = 0
    const { lines, provided } = keeping()
    const program = options.reduce<Body>(
      (inside, each) => Effect.provide(inside, Observability.layer(each)),
      isolating
    )
    runToEnd(provided(program))
    return words(lines)
  }

  it("the outer one writes each line, once and at its own level", () => {
    const level = () => LogLevel.Error
    assert.deepStrictEqual(loggedIn({}, {}), isolated)
    assert.deepStrictEqual(loggedIn({ logs: { level } }, {}, {}), isolated)
    assert.deepStrictEqual(loggedIn({}, { logs: { level } }), [isolated[0]?.replace("WARN", "ERROR")])
  })

  it("the inner one writes what the outer one does not", () => {
    assert.deepStrictEqual(loggedIn({}, { logs: false }), isolated)
    assert.deepStrictEqual(loggedIn({}, { logs: false }, {}), isolated)
  })

  it("each writes for itself with a function of its own", () => {
    assert.deepStrictEqual(loggedIn({ logs: { write } }, {}), isolated)
    assert.deepStrictEqual(written, ["StateChange"])
    assert.isEmpty(loggedIn({ logs: { write } }, { logs: { write } }))
    assert.deepStrictEqual(written, ["StateChange"])
  })
})

describe("no call is changed", () => {
  const bug = (): never => {
    throw new Error("a bug")
  }
  const faults: Record<
    string,
    readonly [logs: Observability.LogOptions, logger: Logger.Logger<unknown, void>]
  > = {
    "by a logger that throws": [{}, Logger.make(bug)],
    "by a level that throws": [{ level: bug }, Logger.none],
    "by a writer that throws": [{ write: bug }, Logger.none],
    "by a writer that dies": [{ write: () => Effect.die("bug") }, Logger.none],
    "by a writer that fails": [{ write: () => Effect.fail("bug") }, Logger.none],
    "by a writer that never ends": [{ write: () => Effect.never }, Logger.none]
  }
  for (const minimum of [LogLevel.Info, LogLevel.Debug]) {
    it.each(Object.entries(faults))(`%s, logging from ${minimum.label} on`, (_, [logs, logger]) => {
      const logging = Layer.merge(
        Logger.replace(Logger.defaultLogger, logger),
        Logger.minimumLogLevel(minimum)
      )
      const program = Effect.map(Effect.exit(meeting), String).pipe(
        Effect.provide(Layer.provideMerge(Observability.layer({ logs }), logging))
      )
      assert.deepStrictEqual(runToEnd(program).exit, runToEnd(Effect.map(Effect.exit(meeting), String)).exit)
    })
  }
})

it.effect.each<readonly [object, string]>([
  [{ logs: { level: "Info" } }, 'option "logs.level" must be a function, got "Info"'],
  [{ logs: { write: 1 } }, 'option "logs.write" must be a function, got 1'],
  [{ logs: true }, 'option "logs" must be an object, got true']
])("the options %j die where the layer is built", ([options, message]) =>
  Effect.map(refusalOf(Effect.provide(Effect.void, Observability.layer(options))), (refusal) =>
    assert.strictEqual(refusal.message, `Observability.layer: ${message}`)
  )
)
