// The metrics of programs made by chance, against a count of their events that is made in the simplest way.
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, TestClock } from "effect"
import {
  Bulkhead,
  Cache,
  CircuitBreaker,
  Fallback,
  Hedge,
  Observer,
  type Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { chance } from "../support/chance.js"
import { runs } from "../support/runs.js"
import { measured, scrape, type Series } from "./scrape.js"

type Fields = Policy.Event & Readonly<Record<string, unknown>>

/** What one event adds to: the name of a metric, its own labels, and a duration for a histogram. */
type Addition = readonly [name: string, labels: Series["labels"], duration?: unknown]

const lower = (word: unknown): string => String(word).toLowerCase()

const additionsOf = (event: Fields): ReadonlyArray<Addition> => {
  const { _tag, duration, kind, outcome } = event
  const is = (...kinds: ReadonlyArray<string>) => kinds.includes(kind)
  const ended = ["Success", "Failure", "Ignored", "Interrupted"].includes(_tag)
  if (ended && is("circuit-breaker", "bulkhead"))
    return [
      ["calls", { outcome: lower(_tag) }],
      ["call.duration", { outcome: lower(_tag) }, duration]
    ]
  switch (_tag) {
    case "Rejected":
      return [
        ["calls", { outcome: "rejected" }],
        ["rejections", { reason: String(is("circuit-breaker") ? event.state : event.reason) }]
      ]
    case "Admitted":
      if (is("circuit-breaker")) return []
      return [
        ...(is("rate-limiter") ? [["calls", { outcome: "admitted" }] as const] : []),
        ["queue.duration", {}, event.waited]
      ]
    case "Attempt":
      return [
        ["attempts", { attempt_type: event.attempt === 1 ? "original" : kind }],
        ["attempt.duration", { outcome: lower(outcome) }, duration],
        ...(outcome === "Interrupted" || (is("hedge") && outcome === "Ignored")
          ? [["attempts.wasted", {}] as const]
          : [])
      ]
    case "Call":
      return [
        ["calls", { outcome: lower(outcome) }],
        ["call.duration", { outcome: lower(outcome) }, duration]
      ]
    case "RetryScheduled":
      return [["retry.delay", {}, event.delay]]
    case "Timeout":
      return [["calls", { outcome: "timeout" }]]
    case "FallbackEnded": {
      const word = outcome === "Success" ? "fallback" : lower(outcome)
      return [
        ["calls", { outcome: word }],
        ["call.duration", { outcome: word }, duration]
      ]
    }
    case "StateChange":
      return [
        [
          "circuit.transitions",
          { from: String(event.from), to: String(event.to), reason: String(event.reason) }
        ]
      ]
    case "Withdrawn":
    case "Refused":
      return [
        [
          "budget.withdrawals",
          { activity: String(event.activity), outcome: _tag === "Withdrawn" ? "paid" : "refused" }
        ]
      ]
    case "Hit":
    case "Miss":
    case "Stale":
      return [["cache.requests", { result: lower(_tag) }]]
    case "Refresh":
      return [["cache.refreshes", { outcome: lower((event.exit as { readonly _tag: string })._tag) }]]
    case "Evict":
      return [["cache.evictions", {}]]
    default:
      return []
  }
}

/** Counts and sums of seconds, by name and labels. */
const modelOf = (
  events: ReadonlyArray<Fields>
): ReadonlyMap<string, readonly [count: number, sum: number]> => {
  const counted = new Map<string, readonly [number, number]>()
  for (const event of events) {
    for (const [name, labels, duration] of additionsOf(event)) {
      // The name of an instance by key ends with a slash and the key.
      const [policy = ""] = event.name.split("/")
      const key = keyOf(name, { policy, kind: event.kind, ...labels })
      const [count, sum] = counted.get(key) ?? [0, 0]
      const seconds = duration === undefined ? 0 : Duration.toMillis(duration as Duration.Duration) / 1000
      counted.set(key, [count + 1, sum + seconds])
    }
  }
  return counted
}

const keyOf = (name: string, labels: Series["labels"]): string =>
  `${name} ${JSON.stringify(Object.entries(labels).sort())}`

/** Gauges, and the time to recover, which takes two events. */
const others = [
  "circuit.recovery.duration",
  "in_flight",
  "queued",
  "limit",
  "circuit.state",
  "budget.balance",
  "budget.capacity",
  "cache.size"
]

/** The same as the metrics show it, without what is zero. */
const shownIn = (prefix: string): ReadonlyMap<string, readonly [count: number, sum: number]> =>
  new Map(
    scrape(prefix)
      .filter(({ name }) => !others.includes(name))
      .map(({ labels: { unit: _, ...labels }, name, shown }) => {
        const both = typeof shown === "number" ? ([shown, 0] as const) : ([shown.count, shown.sum] as const)
        return [keyOf(name, labels), both] as const
      })
      .filter(([, [count]]) => count > 0)
  )

/** Every call that there may be, of policies of which some have the same name. */
const program = (seed: number) =>
  Effect.gen(function* () {
    const { below, once } = chance(seed)
    const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ capacity: 3 }) })
    const breakers = yield* Effect.forEach(["a", "a", "b"], (name) =>
      CircuitBreaker.make({ name, trip: Trip.consecutive(2), openFor: "3 seconds" })
    )
    const places = yield* Bulkhead.make({ permits: 2, maxQueued: 2, maxWait: "2 seconds" })
    const rate = RateLimiter.tokenBucket({ limit: 2, per: "1 second" })
    const pace = yield* RateLimiter.keyed({ options: { rate, maxWait: "1 second" } })
    const cache = yield* Cache.make({
      lookup: (key: number) => (key === 0 ? Effect.fail("none") : Effect.succeed(key)),
      capacity: 2,
      timeToLive: "2 seconds",
      staleWhileRevalidate: "2 seconds"
    })
    const body = (): Effect.Effect<string, string> => {
      const end = [Effect.succeed("up"), Effect.fail("down"), Effect.die("bug")][below(3)]
      return once(0.5) ? end : Effect.delay(end, `${below(1500)} millis`)
    }
    const call = (): Effect.Effect<unknown, unknown> => {
      const breaker = breakers[below(3)]
      switch (below(10)) {
        case 0:
        case 1:
          return breaker.protect(body())
        case 2:
          return once(0.5) ? breaker.isolate : breaker.reset
        case 3:
          return places.protect(body())
        case 4:
          return pace.protect(`key ${below(5)}`)(body())
        case 5:
          return Retry.retry(body(), { times: 2, budget })
        case 6:
          return Hedge.hedge(body(), { delay: "500 millis", budget })
        case 7:
          return Timeout.timeout(body(), "1 second")
        case 8:
          return Fallback.orElse(body(), () => body())
        default:
          return once(0.3) ? cache.refresh(below(4)) : cache.get(below(4))
      }
    }
    const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
    for (let step = 0; step < 60; step++) {
      fibers.push(yield* Effect.fork(Effect.sandbox(Effect.suspend(call))))
      if (once(0.1)) yield* Fiber.interrupt(fibers[below(fibers.length)])
      if (once(0.4)) yield* TestClock.adjust(below(1000))
    }
    yield* TestClock.adjust("1 minute")
    yield* Fiber.interruptAll(fibers)
    return { breakers, places }
  })

it.effect("metrics of programs made by chance are a count of their events", () =>
  Effect.gen(function* () {
    for (let seed = 0; seed < runs(5, 200); seed++) {
      const events: Array<Fields> = []
      const { layer, prefix, shown } = measured()
      const recording = Observer.layer((event) => void events.push(event as Fields))
      yield* Effect.gen(function* () {
        const { breakers, places } = yield* program(seed)
        const model = modelOf(events)
        const metrics = shownIn(prefix)
        assert.deepStrictEqual([...metrics.keys()].sort(), [...model.keys()].sort(), `seed ${seed}`)
        for (const [key, [count, sum]] of model) {
          assert.strictEqual(metrics.get(key)?.[0], count, `seed ${seed}: ${key}`)
          assert.approximately(metrics.get(key)?.[1] ?? NaN, sum, 1e-9, `seed ${seed}: ${key}`)
        }
        const states = yield* Effect.forEach(breakers, ({ name, state }) =>
          Effect.map(state, (is) => `${name} ${is}`)
        )
        for (const policy of ["a", "b"])
          for (const state of ["closed", "open", "half-open"]) {
            const count = states.filter((each) => each === `${policy} ${state}`).length
            assert.strictEqual(shown("circuit.state", { policy, state }), count, `seed ${seed}`)
          }
        assert.strictEqual(shown("in_flight", { policy: "a" }), 0, `seed ${seed}`)
        assert.strictEqual(shown("in_flight", { kind: "bulkhead" }), (yield* places.snapshot).inUse)
      }).pipe(Effect.scoped, Effect.provide(Layer.provide(layer(), recording)))
    }
  })
)
