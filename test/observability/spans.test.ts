// What the span of a call is told of it, and that no other span is.
import { assert, describe, it } from "@effect/vitest"
import { Context, Data, Effect, Fiber, Layer, Logger, Option, Schedule, TestClock, Tracer } from "effect"
import {
  Bulkhead,
  Cache,
  CircuitBreaker,
  Fallback,
  Hedge,
  Observer,
  Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { Observability } from "effect-resilience/observability"
import { refusalOf, up } from "../support/calls.js"
import { interruptedAtEveryStep, runToEnd } from "../support/everyStep.js"
import { mistakes } from "../support/interleave.js"
import { breakersIn, Fleet } from "../support/fleet.js"
import { runs } from "../support/runs.js"
import { type RecordedSpan, tracing } from "../support/tracing.js"
import { codes, table, words } from "./page.js"

class Refused extends Data.TaggedError("Refused") {}

type Body = Effect.Effect<unknown, unknown>

const refused = Effect.suspend(() => new Refused())
const slow = Effect.delay(up, "20 millis")
const twice = Schedule.recurs(1)

const observed = (options: Observability.Options = {}) =>
  Effect.provide(Observability.layer({ logs: false, ...options }))

/** What a span was told, without what all events have. */
const told = ({ events }: RecordedSpan) =>
  events.map(({ attributes, name, time }) => {
    const { "resilience.kind": kind, "resilience.policy": policy, ...rest } = attributes
    return { at: Number(time) / 1e6, name: `${name} ${String(kind)} ${String(policy)}`, ...rest }
  })

/** Runs a call in a span named `call`, to its end. */
const inCall = (call: Effect.Effect<unknown, unknown>, options?: Observability.Options) => {
  const { named, spans, tracer } = tracing()
  const { exit } = runToEnd(
    Effect.exit(Effect.withSpan(call, "call")).pipe(observed(options), Effect.withTracer(tracer))
  )
  const [span] = named("call")
  assert.isDefined(span)
  return { exit, span, spans, named }
}

const retrying = Retry.retry({ times: 1, schedule: Schedule.spaced("1 second"), name: "again" })

describe("the span of a call has an event", () => {
  const cases: Record<string, readonly [call: Body, events: ReadonlyArray<object>]> = {
    "for each attempt of a retry, for each retry and for the end of retrying": [
      retrying(refused),
      [
        {
          at: 0,
          name: "resilience.attempt retry again",
          "resilience.attempt.number": 1,
          "resilience.outcome": "failure",
          "resilience.duration": 0
        },
        {
          at: 0,
          name: "resilience.retry retry again",
          "resilience.attempt.number": 1,
          "resilience.delay": 1,
          "error.type": "Refused"
        },
        {
          at: 1000,
          name: "resilience.attempt retry again",
          "resilience.attempt.number": 2,
          "resilience.outcome": "failure",
          "resilience.duration": 0
        },
        {
          at: 1000,
          name: "resilience.retry_exceeded retry again",
          "resilience.attempt.number": 2,
          "resilience.reason": "times",
          "error.type": "Refused"
        }
      ]
    ],
    "for a retry that is given up because of the failure": [
      Retry.retry(refused, { abortWhen: () => true }),
      [
        {
          at: 0,
          name: "resilience.attempt retry retry",
          "resilience.attempt.number": 1,
          "resilience.outcome": "failure",
          "resilience.duration": 0
        },
        {
          at: 0,
          name: "resilience.retry_aborted retry retry",
          "resilience.attempt.number": 1,
          "error.type": "Refused"
        }
      ]
    ],
    "for each attempt of a hedge and for each hedge": [
      slow.pipe(Hedge.hedge({ delay: "5 millis" })),
      [
        {
          at: 5,
          name: "resilience.hedge hedge hedge",
          "resilience.attempt.number": 2,
          "resilience.delay": 0.005
        },
        {
          at: 20,
          name: "resilience.attempt hedge hedge",
          "resilience.attempt.number": 1,
          "resilience.outcome": "success",
          "resilience.duration": 0.02
        },
        {
          at: 20,
          name: "resilience.attempt hedge hedge",
          "resilience.attempt.number": 2,
          "resilience.outcome": "interrupted",
          "resilience.duration": 0.015
        }
      ]
    ],
    "for a hedge that a failure starts": [
      refused.pipe(Hedge.hedge({ delay: "5 millis" })),
      [
        {
          at: 0,
          name: "resilience.attempt hedge hedge",
          "resilience.attempt.number": 1,
          "resilience.outcome": "failure",
          "resilience.duration": 0
        },
        {
          at: 0,
          name: "resilience.hedge hedge hedge",
          "resilience.attempt.number": 2,
          "resilience.delay": 0,
          "error.type": "Refused"
        },
        {
          at: 0,
          name: "resilience.attempt hedge hedge",
          "resilience.attempt.number": 2,
          "resilience.outcome": "failure",
          "resilience.duration": 0
        }
      ]
    ],
    "for a circuit that it opens and that rejects it": [
      Effect.flatMap(
        CircuitBreaker.make({ name: "Partner", trip: Trip.consecutive(1), openFor: "10 seconds" }),
        ({ protect }) => Effect.zipRight(Effect.exit(protect(refused)), protect(up))
      ),
      [
        {
          at: 0,
          name: "resilience.state_change circuit-breaker Partner",
          "resilience.state.from": "closed",
          "resilience.state.to": "open",
          "resilience.reason": "tripped",
          "resilience.open_for": 10
        },
        {
          at: 0,
          name: "resilience.rejected circuit-breaker Partner",
          "resilience.reason": "open",
          "resilience.retry_after": 10,
          "error.type": "CircuitOpen"
        }
      ]
    ],
    "for a circuit that it steers": [
      Effect.flatMap(CircuitBreaker.make({ name: "Partner" }), ({ isolate }) => isolate),
      [
        {
          at: 0,
          name: "resilience.state_change circuit-breaker Partner",
          "resilience.state.from": "closed",
          "resilience.state.to": "isolated",
          "resilience.reason": "steered",
          "resilience.operation": "isolate"
        }
      ]
    ],
    "for a wait in a bulkhead and for its rejection": [
      Effect.flatMap(Bulkhead.make({ permits: 1, maxQueued: 1 }), ({ protect }) =>
        Effect.forEach([slow, slow, slow], (call) => Effect.exit(protect(call)), { concurrency: 3 })
      ),
      [
        {
          at: 0,
          name: "resilience.rejected bulkhead bulkhead",
          "resilience.reason": "full",
          "error.type": "BulkheadFull"
        },
        { at: 20, name: "resilience.queued bulkhead bulkhead", "resilience.duration": 0.02 }
      ]
    ],
    "for a wait for a rate limiter and for its rejection": [
      Effect.flatMap(
        RateLimiter.make({ rate: RateLimiter.smooth({ limit: 1, per: "1 second" }), maxWait: "1 second" }),
        ({ protect }) =>
          Effect.forEach([up, up, up], (call) => Effect.exit(protect(call)), { concurrency: 3 })
      ),
      [
        {
          at: 0,
          name: "resilience.rejected rate-limiter rate-limiter",
          "resilience.reason": "rate",
          "resilience.retry_after": 2,
          "error.type": "RateLimitExceeded"
        },
        { at: 1000, name: "resilience.queued rate-limiter rate-limiter", "resilience.duration": 1 }
      ]
    ],
    "for a budget that is exhausted, that refuses and that recovers": [
      Effect.gen(function* () {
        const rule = RetryBudget.successes({ capacity: 1, ratio: 1 })
        const budget = yield* RetryBudget.make({ name: "spare", rule })
        yield* budget.tryWithdraw()
        yield* budget.tryWithdraw()
        yield* budget.recordSuccess
        yield* budget.tryWithdraw()
      }),
      [
        {
          at: 0,
          name: "resilience.budget retry-budget spare",
          "resilience.outcome": "exhausted",
          "resilience.balance": 0
        },
        {
          at: 0,
          name: "resilience.budget retry-budget spare",
          "resilience.outcome": "refused",
          "resilience.activity": "retry",
          "resilience.balance": 0
        },
        {
          at: 0,
          name: "resilience.budget retry-budget spare",
          "resilience.outcome": "recovered",
          "resilience.balance": 0
        }
      ]
    ],
    "for a stale value that a cache serves": [
      Effect.scoped(
        Effect.gen(function* () {
          const lookup = () => up
          const cache = yield* Cache.make({ name: "offers", lookup, timeToLive: 5, staleWhileRevalidate: 50 })
          yield* cache.get("a")
          yield* Effect.sleep(10)
          yield* cache.get("a")
        })
      ),
      [
        {
          at: 10,
          name: "resilience.stale cache offers",
          "resilience.reason": "revalidating",
          "resilience.age": 0.01
        }
      ]
    ],
    "for a timeout": [
      slow.pipe(Timeout.timeout("5 millis")),
      [
        {
          at: 5,
          name: "resilience.timeout timeout timeout",
          "resilience.limit": 0.005,
          "resilience.duration": 0.005,
          "error.type": "TimeoutExceeded"
        }
      ]
    ],
    "for a fallback and its end": [
      refused.pipe(Fallback.orElse(() => slow)),
      [
        { at: 0, name: "resilience.fallback fallback fallback", "error.type": "Refused" },
        {
          at: 20,
          name: "resilience.fallback_ended fallback fallback",
          "resilience.outcome": "success",
          "resilience.duration": 0.02
        }
      ]
    ]
  }
  it.each(Object.entries(cases))("%s", (_, [call, events]) => {
    assert.deepStrictEqual<ReadonlyArray<object>>(told(inCall(call).span), events)
  })

  it("with the attributes and kinds that the page about observability says", () => {
    const found = new Map<unknown, { readonly kinds: Set<unknown>; readonly attributes: Set<string> }>()
    for (const { attributes, name } of Object.values(cases).flatMap(([call]) => inCall(call).span.events)) {
      const { "resilience.kind": kind, "resilience.policy": _, ...own } = attributes
      const event = found.get(name) ?? { kinds: new Set(), attributes: new Set() }
      found.set(name, event)
      event.kinds.add(kind)
      for (const attribute of Object.keys(own)) event.attributes.add(attribute)
    }
    const rows = table("spans").map((row) => {
      const attributes = codes(row["Attributes"]).map((name) =>
        name === "error.type" ? name : `resilience.${name}`
      )
      return [
        codes(row["Event"])[0],
        { kinds: new Set(words(row["Kinds"])), attributes: new Set(attributes) }
      ] as const
    })
    // Only a process that stands still has the time for which it stood.
    found.get("resilience.timeout")?.attributes.add("resilience.stalled")
    assert.deepStrictEqual(new Map<unknown, unknown>(rows), found)
  })
})

// ------------------------------------------------------------------------------------------------------- no other span

/** Policies of every kind around a call that fails. */
const everything = Effect.gen(function* () {
  const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
  const places = yield* Bulkhead.make({ permits: 1 })
  const policy = Policy.pipeline(
    Timeout.timeout("10 millis"),
    breaker.protect,
    places.protect,
    Hedge.hedge({ delay: "5 millis" }),
    Retry.retry({ times: 1, schedule: twice }),
    Fallback.succeed("cold")
  )
  return yield* Effect.forEach([up, slow, refused], (call: Body) => Effect.exit(policy(call)))
})

describe("nothing is written", () => {
  it("without a span", () => {
    const { spans, tracer } = tracing()
    const { exit } = runToEnd(everything.pipe(observed(), Effect.withTracer(tracer)))
    assert.deepStrictEqual(exit, runToEnd(everything).exit)
    assert.isEmpty(spans)
  })

  it("into the span of another process", () => {
    const external = Tracer.externalSpan({ spanId: "a", traceId: "b" })
    const { exit } = runToEnd(everything.pipe(Effect.withParentSpan(external), observed()))
    assert.deepStrictEqual(exit, runToEnd(everything).exit)
  })

  it("into a span that has ended", () => {
    const { named, tracer } = tracing()
    const call = Effect.flatMap(Effect.withSpan(Effect.currentSpan, "over"), (span) =>
      Effect.withParentSpan(everything, span)
    )
    runToEnd(call.pipe(observed(), Effect.withTracer(tracer)))
    assert.isEmpty(named("over")[0]?.events)
  })

  it("with spans switched off", () => {
    const { span, spans } = inCall(everything, { spans: false })
    assert.isEmpty(span.events)
    assert.lengthOf(spans, 1)
  })

  it("of calls that succeed at once, besides their attempts", () => {
    const call = Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      const places = yield* Bulkhead.make({ permits: 1 })
      const limiter = yield* RateLimiter.make({ rate: RateLimiter.smooth({ limit: 1, per: "1 second" }) })
      return yield* up.pipe(breaker.protect, places.protect, limiter.protect, Timeout.timeout("1 second"))
    })
    assert.isEmpty(inCall(call).span.events)
  })
})

it("the time of an event is zero where the tracer is not timed", () => {
  const { span } = inCall(
    Effect.zipRight(Effect.sleep("1 second"), retrying(refused)).pipe(Effect.withTracerTiming(false))
  )
  assert.deepStrictEqual([...new Set(span.events.map(({ time }) => time))], [0n])
})

describe("the span of one call gets no event of another", () => {
  it("whose permit it frees", () => {
    const { named, tracer } = tracing()
    const calls = Effect.flatMap(Bulkhead.make({ permits: 1, maxQueued: 1 }), ({ protect }) =>
      Effect.all([Effect.withSpan(protect(slow), "first"), Effect.withSpan(protect(slow), "second")], {
        concurrency: 2
      })
    )
    runToEnd(calls.pipe(observed(), Effect.withTracer(tracer)))
    assert.isEmpty(named("first")[0]?.events)
    assert.deepStrictEqual(
      named("second")[0]?.events.map(({ name }) => name),
      ["resilience.queued"]
    )
  })

  it("whose turn comes with its own", () => {
    const { named, tracer } = tracing()
    const rate = RateLimiter.bursty({ limit: 2, per: "1 second" })
    const calls = Effect.flatMap(RateLimiter.make({ rate, maxWait: "1 minute" }), ({ protect }) =>
      Effect.forEach(["a", "b", "c", "d"], (name) => Effect.withSpan(protect(up), name), { concurrency: 4 })
    )
    runToEnd(calls.pipe(observed(), Effect.withTracer(tracer)))
    const counts = ["a", "b", "c", "d"].map((name) => named(name)[0]?.events.length)
    assert.deepStrictEqual(counts, [0, 0, 1, 1])
  })

  it.effect("that another process makes, where its own store was made", () => {
    const { named, tracer } = tracing()
    const program = Effect.gen(function* () {
      const [one, other] = yield* breakersIn(new Fleet(), 2, {})
      yield* TestClock.adjust("2 seconds")
      yield* Effect.withSpan(one?.[0].isolate ?? Effect.void, "call")
      yield* TestClock.adjust("3 seconds")
      return yield* other?.[0].state ?? Effect.void
    })
    return Effect.withSpan(program, "main").pipe(
      Effect.scoped,
      observed(),
      Effect.withTracer(tracer),
      Effect.map((state) => {
        assert.strictEqual(state, "isolated")
        assert.deepStrictEqual(
          ["main", "call"].map((name) => named(name)[0]?.events.length),
          [0, 1]
        )
      })
    )
  })

  for (const [when, preemptOneIn] of [
    ["where they yield", undefined],
    ["anywhere", 20]
  ] as const) {
    it.effect(`between calls that pause ${when}`, () =>
      Effect.gen(function* () {
        const counts = yield* mistakes(
          { seeds: runs(10, 300), preemptOneIn },
          ({ advance, random, yieldSome }) => {
            const { named, tracer } = tracing()
            return Effect.gen(function* () {
              const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(3), openFor: "3 millis" })
              const places = yield* Bulkhead.make({ permits: 2, maxQueued: 2 })
              const rate = RateLimiter.smooth({ limit: 2, per: "1 millis" })
              const limiter = yield* RateLimiter.make({ rate, maxWait: "3 millis" })
              const wrong: Array<string> = []
              const call = (number: number) => {
                const name = `call ${number}`
                let rejections = 0
                let attempts = 0
                let begun = 0
                const retries = random(2) === 0
                const body = Effect.suspend(() => {
                  attempts += 1
                  return Effect.zipRight(yieldSome(6), random(2) === 0 ? refused : up)
                })
                const protect: (self: typeof body) => Body =
                  [breaker.protect, places.protect, limiter.protect][random(3)] ?? breaker.protect
                const attempt = Effect.suspend(() => {
                  begun += 1
                  return protect(body)
                }).pipe(
                  Effect.tapError((error) =>
                    Effect.sync(() => void (rejections += Policy.isRejection(error) ? 1 : 0))
                  )
                )
                const policy = retries
                  ? Retry.retry({
                      name,
                      times: 2,
                      schedule: Schedule.spaced("1 millis"),
                      delayFrom: Retry.noHint
                    })
                  : Hedge.hedge({ name, delay: "1 millis", maxHedges: 2 })
                return Effect.withSpan(Effect.exit(policy(attempt)), name).pipe(
                  Effect.map(() => {
                    const events = named(name)[0]?.events ?? []
                    const stateless = events.filter(({ attributes }) =>
                      ["retry", "hedge"].includes(String(attributes["resilience.kind"]))
                    )
                    const foreign = stateless.filter(
                      ({ attributes }) => attributes["resilience.policy"] !== name
                    )
                    if (foreign.length > 0) wrong.push("an event of another call")
                    const rejected = events.filter((event) => event.name === "resilience.rejected").length
                    // The loser of a hedge may be interrupted before it learns that it was rejected.
                    const most = retries ? rejections : begun - attempts
                    if (rejected < rejections || rejected > most) wrong.push("the rejections differ")
                    const ended = events.filter((event) => event.name === "resilience.attempt").length
                    if (ended < attempts - rejections) wrong.push("an attempt is missing")
                  })
                )
              }
              const fibers: Array<Fiber.RuntimeFiber<void>> = []
              for (let number = 0; number < 15; number++) {
                fibers.push(yield* Effect.fork(call(number)))
                yield* yieldSome(4)
                if (random(3) === 0) yield* advance(random(3))
              }
              for (let step = 0; step < 40; step++) {
                yield* advance(1)
                yield* Effect.repeatN(Effect.yieldNow(), 10)
              }
              yield* Fiber.interruptAll(fibers)
              for (const { name, ends } of named("").concat(
                fibers.map((_, n) => named(`call ${n}`)[0]).filter((span) => span !== undefined)
              ))
                if (ends !== 1) wrong.push(`${name} ended ${ends} times`)
              return wrong
            }).pipe(observed(), Effect.withTracer(tracer))
          }
        )
        assert.deepStrictEqual(counts, {})
      })
    )
  }
})

// -------------------------------------------------------------------------------------------------- spans of attempts

const inSpans: Observability.Options = { spans: { attempts: "spans" } }

const shownSpans = (spans: ReadonlyArray<RecordedSpan>) =>
  spans.map(({ attributes, name, status, within }) => {
    const { "resilience.kind": kind, "resilience.policy": policy, ...rest } = Object.fromEntries(attributes)
    const endedAt = status._tag === "Ended" ? Number(status.endTime) / 1e6 : undefined
    const time = [Number(status.startTime) / 1e6, endedAt]
    return { name: `${name} ${String(kind)} ${String(policy)}`, within, time, ...rest }
  })

describe("where attempts have spans of their own", () => {
  it("each of a retry says its number, the delay before it and its outcome", () => {
    let calls = 0
    const once = Effect.suspend(() =>
      ++calls === 1 ? Effect.delay(refused, 5) : Effect.withSpan(up, "inner")
    )
    const { named, span } = inCall(retrying(once), inSpans)
    assert.deepStrictEqual<ReadonlyArray<object>>(shownSpans(named("resilience.attempt")), [
      {
        name: "resilience.attempt retry again",
        within: "call",
        time: [0, 5],
        "resilience.attempt.number": 1,
        "resilience.delay": 0,
        "resilience.outcome": "failure",
        "error.type": "Refused"
      },
      {
        name: "resilience.attempt retry again",
        within: "call",
        time: [1005, 1005],
        "resilience.attempt.number": 2,
        "resilience.delay": 1,
        "resilience.outcome": "success"
      }
    ])
    assert.strictEqual(named("inner")[0]?.within, "resilience.attempt")
    assert.deepStrictEqual(
      span.events.map(({ name }) => name),
      ["resilience.retry"]
    )
  })

  it("each of a hedge says when it began, and that the loser was interrupted", () => {
    const { named } = inCall(slow.pipe(Hedge.hedge({ delay: "5 millis" })), inSpans)
    assert.deepStrictEqual<ReadonlyArray<object>>(shownSpans(named("resilience.attempt")), [
      {
        name: "resilience.attempt hedge hedge",
        within: "call",
        time: [0, 20],
        "resilience.attempt.number": 1,
        "resilience.delay": 0,
        "resilience.outcome": "success"
      },
      {
        name: "resilience.attempt hedge hedge",
        within: "call",
        time: [5, 20],
        "resilience.attempt.number": 2,
        "resilience.delay": 0.005,
        "resilience.outcome": "interrupted"
      }
    ])
  })

  it("a result that the policy judges as a failure is one, and a status is its type", () => {
    const condition = { result: ({ status }: { readonly status: number }) => status >= 500 }
    const { named } = inCall(
      Effect.succeed({ status: 503 }).pipe(Retry.retry({ times: 0, condition })),
      inSpans
    )
    const [attempt] = named("resilience.attempt")
    assert.strictEqual(attempt?.attributes.get("resilience.outcome"), "failure")
    assert.strictEqual(attempt.attributes.get("error.type"), "503")
  })

  it("what an attempt meets is an event of its span", () => {
    const call = Effect.flatMap(CircuitBreaker.make(), (breaker) =>
      Effect.zipRight(breaker.isolate, Retry.retry(breaker.protect(up), { times: 0 }))
    )
    const { named, span } = inCall(call, inSpans)
    const names = (given: RecordedSpan | undefined) => given?.events.map(({ name }) => name)
    assert.deepStrictEqual(names(named("resilience.attempt")[0]), ["resilience.rejected"])
    assert.deepStrictEqual(names(span), ["resilience.state_change", "resilience.retry_exceeded"])
  })

  it("they are spans without a span around, too", () => {
    const { named, tracer } = tracing()
    runToEnd(Effect.exit(retrying(refused)).pipe(observed(inSpans), Effect.withTracer(tracer)))
    assert.deepStrictEqual(
      named("resilience.attempt").map(({ ends, within }) => [ends, within]),
      [
        [1, undefined],
        [1, undefined]
      ]
    )
  })

  it("two observers have each a span, one within the other", () => {
    const { spans, tracer } = tracing()
    const made = Effect.map(Layer.build(Observability.layer(inSpans)), Context.get(Observer.Observer))
    const program = Effect.gen(function* () {
      const observer = Observer.both(yield* made, yield* made)
      yield* Retry.retry(up, { times: 0 }).pipe(Effect.provideService(Observer.Observer, observer))
    })
    runToEnd(program.pipe(Effect.scoped, Effect.withTracer(tracer)))
    assert.deepStrictEqual(
      spans.map(({ ends, within }) => [ends, within]),
      [
        [1, undefined],
        [1, "resilience.attempt"]
      ]
    )
  })

  const policies: Record<string, (self: Body) => Body> = {
    retry: Retry.retry({ times: 2, schedule: Schedule.spaced("5 millis") }),
    "retry that disposes": Retry.retry({ times: 2, schedule: twice, disposeResult: () => Effect.void }),
    hedge: Hedge.hedge({ delay: "5 millis", maxHedges: 2 }),
    "hedge that disposes": Hedge.hedge({ delay: "5 millis", disposeResult: () => Effect.void }),
    "hedge that leaves": Hedge.hedge({ delay: "5 millis", disconnect: true })
  }
  const bodies: Record<string, Body> = {
    failing: refused,
    "failing late": Effect.delay(refused, "7 millis"),
    succeeding: up,
    slow,
    "ending slowly": Effect.ensuring(slow, Effect.sleep("1 millis"))
  }
  // Made once: each step of making it would be one more to interrupt.
  const observers = Effect.runSync(
    Effect.scoped(Layer.build(Observability.layer({ logs: false, metrics: false, ...inSpans })))
  )
  const all = Object.entries(policies).flatMap(([policy, apply]) =>
    Object.entries(bodies).map(([body, self]) => [policy, body, apply, self] as const)
  )
  it.each(all)(
    "each of a %s, %s, ends once wherever the call is interrupted",
    (_policy, _body, apply, self) => {
      let traced = tracing()
      let most = 0
      interruptedAtEveryStep(
        () => {
          traced = tracing()
          return apply(self).pipe(Effect.provide(observers), Effect.withTracer(traced.tracer))
        },
        () => {
          most = Math.max(most, traced.spans.length)
          for (const { ends, name } of traced.spans)
            assert.deepStrictEqual([name, ends], ["resilience.attempt", 1])
        }
      )
      assert.isAtLeast(most, 1)
    }
  )
})

// ----------------------------------------------------------------------------------------------------------- faults

describe("a tracer that dies changes no call", () => {
  const bug = (): never => {
    throw new Error("a bug of the tracer")
  }
  const atEnd = (key: string) => (key === "resilience.outcome" ? bug() : undefined)
  const withEach = (faulty: Partial<Tracer.Span>): Tracer.Tracer => {
    const { tracer } = tracing()
    return Tracer.make({ ...tracer, span: (...args) => Object.assign(tracer.span(...args), faulty) })
  }
  const faults: Record<string, readonly [tracer: Tracer.Tracer, options: Observability.Options]> = {
    "when it makes a span": [Tracer.make({ span: bug, context: (run) => run() }), inSpans],
    "when it is told of an event": [withEach({ event: bug }), {}],
    "when it is told an attribute at the end": [withEach({ attribute: atEnd }), inSpans],
    "when it ends a span": [withEach({ end: bug }), inSpans]
  }
  it.each(Object.entries(faults))("%s, and is logged once", (_, [tracer, options]) => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ message }) => void lines.push(message))
    const made = tracing().tracer.span("call", Option.none(), Context.empty(), [], 0n, "internal")
    const span = Object.assign(made, { event: bug })
    const { exit } = runToEnd(
      everything.pipe(
        observed(options),
        Effect.withParentSpan(span),
        Effect.withTracer(tracer),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
    )
    assert.deepStrictEqual(exit, runToEnd(everything).exit)
    assert.isAtLeast(lines.length, 1)
    assert.deepStrictEqual([...new Set(lines.map(String))], ["an observer threw"])
    assert.isAtMost(lines.length, 2)
  })
})

it.effect.each<readonly [object, string]>([
  [{ spans: { attempts: "none" } }, 'option "spans.attempts" must be "events" or "spans", got "none"'],
  [{ spans: true }, 'option "spans" must be an object, got true'],
  [{ span: {} }, 'option "span" must be left out, there is no such option (did you mean "spans"?), got {}']
])("the options %j die where the layer is built", ([options, message]) =>
  Effect.map(refusalOf(Effect.provide(Effect.void, Observability.layer(options))), (refusal) =>
    assert.strictEqual(refusal.message, `Observability.layer: ${message}`)
  )
)

describe("of two layers, one within the other,", () => {
  /** What is written of a call with a retry and a breaker, which are made within both layers. */
  const writtenIn = (outer: Observability.Options, inner: Observability.Options) => {
    const { named, spans, tracer } = tracing()
    const call = Effect.flatMap(CircuitBreaker.make(), (breaker) =>
      Effect.zipRight(breaker.isolate, Retry.retry(up, { times: 0 }))
    )
    const layers = Layer.provide(
      Observability.layer({ logs: false, ...inner }),
      Observability.layer({ logs: false, ...outer })
    )
    runToEnd(Effect.withSpan(call, "call").pipe(Effect.provide(layers), Effect.withTracer(tracer)))
    return { events: named("call")[0]?.events.map(({ name }) => name), spans: spans.map(({ name }) => name) }
  }
  const once = ["resilience.state_change", "resilience.attempt"]

  it("the outer one writes each event, once", () => {
    assert.deepStrictEqual(writtenIn({}, {}).events, once)
  })

  it("the inner one writes what the outer one does not", () => {
    assert.deepStrictEqual(writtenIn({ spans: false }, {}).events, once)
  })

  it("the outer one says what spans there are", () => {
    assert.deepStrictEqual(writtenIn(inSpans, {}), {
      events: once.slice(0, 1),
      spans: ["call", "resilience.attempt"]
    })
    assert.deepStrictEqual(writtenIn({}, inSpans), { events: once, spans: ["call"] })
  })
})
