// What the orders of limiters, bulkheads, hedges, caches and budgets come to, as docs/composition.md says: one row for each.
// All time is virtual, in milliseconds since the test began.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Schedule, type Scope } from "effect"
import {
  Bulkhead,
  Cache,
  CircuitBreaker,
  Hedge,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { finish, scripted, timeline } from "../support/virtual.js"

type Body = Effect.Effect<string, unknown>

/** The result of a caller, and when it came. */
type Got = readonly [outcome: unknown, at: number]

interface Seen {
  /** One for each caller. */
  readonly got: ReadonlyArray<Got>
  /** When the effect inside all policies ran. */
  readonly begun: ReadonlyArray<number>
  /** The events and counts of the policies. */
  readonly log?: ReadonlyArray<string>
  readonly counts?: Readonly<Record<string, number | string>>
}

type Row = readonly [name: string, run: Effect.Effect<Seen, never, Scope.Scope>, expected: Seen]

const tagOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "_tag" in error ? error._tag : error

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.match(Exit.mapError(exit, tagOf), {
    onSuccess: (value) => value,
    onFailure: (cause) => (cause._tag === "Fail" ? cause.error : cause._tag)
  })

/** Callers that come at their times, each with an effect of its own, and what they got when all are gone. */
const callers = (...calls: ReadonlyArray<readonly [at: number, call: Body]>): Effect.Effect<Array<Got>> =>
  Effect.forEach(
    calls,
    ([at, call]) =>
      Effect.delay(Effect.exit(call), at).pipe(
        Effect.flatMap((exit) =>
          Effect.map(Clock.currentTimeMillis, (now): Got => [outcomeOf(exit), now] as const)
        )
      ),
    { concurrency: "unbounded" }
  )

const up = (value: string, after = 0): Body => Effect.delay(Effect.succeed(value), after)
const down = (error: string, after = 0): Body => Effect.delay(Effect.fail(error), after)

const check = ([, run, expected]: Row) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* finish(run), Exit.succeed(expected))
  })

// -------------------------------------------------------------------------------------------------------- rate limiters

describe("a rate limiter with a retry:", () => {
  const retry = Retry.retry({ times: 2, schedule: Schedule.spaced(100) })
  const parts = (per: number) =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const limiter = yield* RateLimiter.make({
        rate: RateLimiter.smooth({ limit: 1, per }),
        onAdmitted: () => note("admitted"),
        onRejected: () => note("rejected")
      })
      return { log, limiter }
    })

  it.scoped.each<Row>([
    [
      "retry(rate limiter) takes a permit for each attempt, and waits until there is one",
      Effect.gen(function* () {
        const { limiter, log } = yield* parts(1000)
        const { begun, call } = scripted(down("first"), down("second"))
        const got = yield* callers([0, call.pipe(limiter.protect, retry)])
        return { got, begun, log }
      }),
      { got: [["second", 1000]], begun: [0, 1000], log: ["0 admitted", "100 rejected", "1000 admitted"] }
    ],
    [
      "retry(rate limiter) ends at once when that is too far away",
      Effect.gen(function* () {
        const { limiter, log } = yield* parts(60_000)
        const { begun, call } = scripted(down("first"), down("second"))
        const got = yield* callers([0, call.pipe(limiter.protect, retry)])
        return { got, begun, log }
      }),
      { got: [["RateLimitExceeded", 100]], begun: [0], log: ["0 admitted", "100 rejected"] }
    ],
    [
      "rate limiter(retry) takes one permit for all attempts, which go past the limit",
      Effect.gen(function* () {
        const { limiter, log } = yield* parts(1000)
        const { begun, call } = scripted(down("first"), down("second"), down("third"))
        const composed = call.pipe(retry, limiter.protect)
        const got = yield* callers([0, composed], [150, composed])
        return { got, begun, log }
      }),
      {
        got: [
          ["third", 200],
          ["RateLimitExceeded", 150]
        ],
        begun: [0, 100, 200],
        log: ["0 admitted", "150 rejected"]
      }
    ]
  ])("%s", check)
})

// ------------------------------------------------------------------------------------------------------------ bulkheads

describe("a bulkhead with other policies:", () => {
  const retry = Retry.retry({ times: 1, schedule: Schedule.spaced("1 second") })
  const timeout = Timeout.timeout("1 second")
  const onePlace = Bulkhead.make({ permits: 1 })
  const onePlaceAndALine = Bulkhead.make({ permits: 1, maxQueued: 1 })
  const trip = Trip.consecutive(2)

  /** What the bulkhead counted, and what is left in it. */
  const countsOf = (bulkhead: Bulkhead.Bulkhead) =>
    Effect.map(bulkhead.snapshot, ({ failures, inUse, queued, rejected, successes }) => ({
      failures,
      inUse,
      queued,
      rejected,
      successes
    }))

  it.scoped.each<Row>([
    [
      "retry(bulkhead) gives its place back during the delays, and another gets in",
      Effect.gen(function* () {
        const bulkhead = yield* onePlace
        const { begun, call } = scripted(down("first", 100), down("second", 100))
        const got = yield* callers(
          [0, call.pipe(bulkhead.protect, retry)],
          [500, up("another", 200).pipe(bulkhead.protect)]
        )
        return { got, begun, counts: yield* countsOf(bulkhead) }
      }),
      {
        got: [
          ["second", 1200],
          ["another", 700]
        ],
        begun: [0, 1100],
        counts: { failures: 2, inUse: 0, queued: 0, rejected: 0, successes: 1 }
      }
    ],
    [
      "bulkhead(retry) keeps its place during the delays, and another is turned away",
      Effect.gen(function* () {
        const bulkhead = yield* onePlace
        const { begun, call } = scripted(down("first", 100), down("second", 100))
        const got = yield* callers(
          [0, call.pipe(retry, bulkhead.protect)],
          [500, up("another", 200).pipe(bulkhead.protect)]
        )
        return { got, begun, counts: yield* countsOf(bulkhead) }
      }),
      {
        got: [
          ["second", 1200],
          ["BulkheadFull", 500]
        ],
        begun: [0, 1100],
        counts: { failures: 1, inUse: 0, queued: 0, rejected: 1, successes: 0 }
      }
    ],
    [
      "bulkhead(timeout) does not limit the wait for a place",
      Effect.gen(function* () {
        const bulkhead = yield* onePlaceAndALine
        const { begun, call } = scripted(up("waited", 500))
        const got = yield* callers(
          [0, up("first", 3000).pipe(bulkhead.protect)],
          [100, call.pipe(timeout, bulkhead.protect)]
        )
        return { got, begun, counts: yield* countsOf(bulkhead) }
      }),
      {
        got: [
          ["first", 3000],
          ["waited", 3500]
        ],
        begun: [3000],
        counts: { failures: 0, inUse: 0, queued: 0, rejected: 0, successes: 2 }
      }
    ],
    [
      "bulkhead(timeout) limits the call from when it has its place, and counts the timeout",
      Effect.gen(function* () {
        const bulkhead = yield* onePlaceAndALine
        const { begun, call } = scripted(up("late", 5000))
        const got = yield* callers(
          [0, up("first", 3000).pipe(bulkhead.protect)],
          [100, call.pipe(timeout, bulkhead.protect)]
        )
        return { got, begun, counts: yield* countsOf(bulkhead) }
      }),
      {
        got: [
          ["first", 3000],
          ["TimeoutExceeded", 4000]
        ],
        begun: [3000],
        counts: { failures: 1, inUse: 0, queued: 0, rejected: 0, successes: 1 }
      }
    ],
    [
      "timeout(bulkhead) limits the wait for a place, and leaves no trace in the line",
      Effect.gen(function* () {
        const bulkhead = yield* onePlaceAndALine
        const { begun, call } = scripted(up("waited", 500))
        const got = yield* callers(
          [0, up("first", 3000).pipe(bulkhead.protect)],
          [100, call.pipe(bulkhead.protect, timeout)],
          // There is one place in the line: taken until 1100, and free from then on.
          [1000, up("too early").pipe(bulkhead.protect)],
          [1200, up("after it", 100).pipe(bulkhead.protect)]
        )
        return { got, begun, counts: yield* countsOf(bulkhead) }
      }),
      {
        got: [
          ["first", 3000],
          ["TimeoutExceeded", 1100],
          ["BulkheadFull", 1000],
          ["after it", 3100]
        ],
        begun: [],
        counts: { failures: 0, inUse: 0, queued: 0, rejected: 1, successes: 2 }
      }
    ],
    [
      "timeout(bulkhead) has for the call what the wait has left",
      Effect.gen(function* () {
        const bulkhead = yield* onePlaceAndALine
        const { begun, call } = scripted(up("waited", 500))
        const got = yield* callers(
          [0, up("first", 800).pipe(bulkhead.protect)],
          [100, call.pipe(bulkhead.protect, timeout)]
        )
        return { got, begun, counts: yield* countsOf(bulkhead) }
      }),
      {
        got: [
          ["first", 800],
          ["TimeoutExceeded", 1100]
        ],
        begun: [800],
        counts: { failures: 0, inUse: 0, queued: 0, rejected: 0, successes: 1 }
      }
    ],
    [
      "breaker(bulkhead) counts BulkheadFull as a failure, and opens",
      Effect.gen(function* () {
        const { log, note } = timeline()
        const bulkhead = yield* onePlace
        const breaker = yield* CircuitBreaker.make({
          trip,
          openFor: "1 minute",
          onSuccess: () => note("success"),
          onFailure: ({ failure }) =>
            note(`failure ${String(failure?._tag === "Error" ? tagOf(failure.error) : failure?._tag)}`),
          onOpen: () => note("open")
        })
        const { begun, call } = scripted(up("well", 3000))
        const composed = call.pipe(bulkhead.protect, breaker.protect)
        const got = yield* callers([0, composed], [100, composed], [200, composed], [300, composed])
        return { got, begun, log, counts: { ...(yield* countsOf(bulkhead)), breaker: yield* breaker.state } }
      }),
      {
        got: [
          ["well", 3000],
          ["BulkheadFull", 100],
          ["BulkheadFull", 200],
          ["CircuitOpen", 300]
        ],
        begun: [0],
        // The call that was running when it opened is not counted any more.
        log: ["100 failure BulkheadFull", "200 failure BulkheadFull", "200 open"],
        counts: { failures: 0, inUse: 0, queued: 0, rejected: 2, successes: 1, breaker: "open" }
      }
    ],
    [
      "bulkhead(breaker) counts no BulkheadFull",
      Effect.gen(function* () {
        const bulkhead = yield* onePlace
        const breaker = yield* CircuitBreaker.make({ trip, openFor: "1 minute" })
        const { begun, call } = scripted(up("well", 3000))
        const composed = call.pipe(breaker.protect, bulkhead.protect)
        const got = yield* callers([0, composed], [100, composed], [200, composed], [300, composed])
        return { got, begun, counts: { ...(yield* countsOf(bulkhead)), breaker: yield* breaker.state } }
      }),
      {
        got: [
          ["well", 3000],
          ["BulkheadFull", 100],
          ["BulkheadFull", 200],
          ["BulkheadFull", 300]
        ],
        begun: [0],
        counts: { failures: 0, inUse: 0, queued: 0, rejected: 3, successes: 1, breaker: "closed" }
      }
    ],
    [
      "bulkhead(breaker) gives the place back at once when the breaker is open",
      Effect.gen(function* () {
        const bulkhead = yield* onePlace
        const breaker = yield* CircuitBreaker.make({ trip, openFor: "1 minute" })
        yield* breaker.open
        const { begun, call } = scripted(up("well", 3000))
        const composed = call.pipe(breaker.protect, bulkhead.protect)
        const got = yield* callers(
          [0, composed],
          [0, composed],
          [1, composed],
          [1, up("another").pipe(bulkhead.protect)]
        )
        return { got, begun, counts: yield* countsOf(bulkhead) }
      }),
      {
        got: [
          ["CircuitOpen", 0],
          ["CircuitOpen", 0],
          ["CircuitOpen", 1],
          ["another", 1]
        ],
        begun: [],
        counts: { failures: 3, inUse: 0, queued: 0, rejected: 0, successes: 1 }
      }
    ]
  ])("%s", check)
})

// --------------------------------------------------------------------------------------------------------------- hedges

describe("a hedge with other policies:", () => {
  const hedge = Hedge.hedge({ delay: 300 })
  const retry = Retry.retry({ times: 1, schedule: Schedule.spaced(500) })
  const breakerCounts = (first: Body, second: Body) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(2), openFor: "1 minute" })
      const { begun, call } = scripted(first, second)
      const got = yield* callers([0, call.pipe(breaker.protect, hedge)])
      const { failures, rejected, successes } = yield* breaker.snapshot
      return { got, begun, counts: { failures, rejected, successes } }
    })

  it.scoped.each<Row>([
    [
      "hedge(breaker) counts the winner as a success, and the loser as nothing",
      breakerCounts(up("slow", 5000), up("fast", 100)),
      { got: [["fast", 400]], begun: [0, 300], counts: { failures: 0, rejected: 0, successes: 1 } }
    ],
    [
      "hedge(breaker) counts an attempt that failed before another won",
      breakerCounts(down("early", 200), up("fast", 100)),
      { got: [["fast", 300]], begun: [0, 200], counts: { failures: 1, rejected: 0, successes: 1 } }
    ],
    [
      "hedge(retry) retries each attempt for itself",
      Effect.gen(function* () {
        const { begun, call } = scripted(down("1", 100), down("2", 100), down("3", 100), down("4", 100))
        const got = yield* callers([0, call.pipe(retry, hedge)])
        return { got, begun }
      }),
      // The first attempt runs at 0 and at 600, the hedge at 300 and at 900.
      { got: [["4", 1000]], begun: [0, 300, 600, 900] }
    ],
    [
      "retry(hedge) hedges each attempt",
      Effect.gen(function* () {
        const { begun, call } = scripted(down("1", 100), down("2", 100), down("3", 100), down("4", 100))
        const got = yield* callers([0, call.pipe(hedge, retry)])
        return { got, begun }
      }),
      // What fails starts its hedge at once: the first attempt runs at 0 and at 100, the retry at 700 and at 800.
      { got: [["4", 900]], begun: [0, 100, 700, 800] }
    ]
  ])("%s", check)
})

// --------------------------------------------------------------------------------------------------------------- caches

describe("a cache around a retry:", () => {
  const retry = Retry.retry({ times: 1, schedule: Schedule.spaced(500) })
  const cached = (first: Body, second: Body) =>
    Effect.gen(function* () {
      const store = yield* Cache.makeStore<string, string, unknown>()({ timeToLive: "1 minute" })
      const { begun, call } = scripted(first, second)
      const composed = call.pipe(retry, store.cached("key"))
      const got = yield* callers([0, composed], [50, composed], [650, composed], [5000, composed])
      const { hits, lookups } = yield* store.snapshot
      return { got, begun, counts: { hits, lookups } }
    })

  it.scoped.each<Row>([
    [
      "cached(retry) serves all who wait with one lookup and its retries, and runs nothing for a hit",
      cached(down("first", 100), up("second", 100)),
      {
        got: [
          ["second", 700],
          ["second", 700],
          ["second", 700],
          ["second", 5000]
        ],
        begun: [0, 600],
        counts: { hits: 1, lookups: 1 }
      }
    ],
    [
      "cached(retry) fails for all who wait when the last attempt did, and keeps nothing",
      cached(down("first", 100), down("second", 100)),
      {
        got: [
          ["second", 700],
          ["second", 700],
          ["second", 700],
          ["second", 5700]
        ],
        begun: [0, 600, 5000, 5600],
        counts: { hits: 0, lookups: 2 }
      }
    ]
  ])("%s", check)
})

// -------------------------------------------------------------------------------------------------------------- budgets

describe("one budget for a retry and a hedge:", () => {
  const parts = (capacity: number) =>
    Effect.gen(function* () {
      const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ ratio: 0, capacity }) })
      return {
        retry: Retry.retry({ times: 5, schedule: Schedule.spaced(500), budget }),
        hedge: Hedge.hedge({ delay: 300, budget }),
        counts: Effect.map(budget.snapshot, ({ balance, hedges, refused, requests, retries }) => ({
          balance,
          hedges,
          refused,
          requests,
          retries
        }))
      }
    })
  const failing = () => scripted(down("1", 100), down("2", 100), down("3", 100), down("4", 100))

  it.scoped.each<Row>([
    [
      "retry(hedge) pays for both out of it, and ends with the last failure when it is empty",
      Effect.gen(function* () {
        const { counts, hedge, retry } = yield* parts(2)
        const { begun, call } = failing()
        const got = yield* callers([0, call.pipe(hedge, retry)])
        return { got, begun, counts: yield* counts }
      }),
      // The hedge at 100 and the retry at 700 are paid for, and another hedge and another retry at 800 are not.
      {
        got: [["3", 800]],
        begun: [0, 100, 700],
        counts: { balance: 0, hedges: 1, refused: 2, requests: 1, retries: 1 }
      }
    ],
    [
      "what a retry has spent is not there for the hedge of another call",
      Effect.gen(function* () {
        const { counts, hedge, retry } = yield* parts(1)
        const { begun, call } = failing()
        const got = yield* callers([0, call.pipe(retry)], [2000, call.pipe(hedge)])
        return { got, begun, counts: yield* counts }
      }),
      {
        got: [
          ["2", 700],
          ["3", 2100]
        ],
        begun: [0, 600, 2000],
        counts: { balance: 0, hedges: 0, refused: 2, requests: 2, retries: 1 }
      }
    ],
    [
      "what a hedge has spent is not there for the retry of another call",
      Effect.gen(function* () {
        const { counts, hedge, retry } = yield* parts(1)
        const { begun, call } = failing()
        const got = yield* callers([0, call.pipe(hedge)], [2000, call.pipe(retry)])
        return { got, begun, counts: yield* counts }
      }),
      {
        got: [
          ["2", 200],
          ["3", 2100]
        ],
        begun: [0, 100, 2000],
        counts: { balance: 0, hedges: 1, refused: 1, requests: 2, retries: 0 }
      }
    ]
  ])("%s", check)
})
