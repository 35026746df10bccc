// The events of all policies as the program's observer sees them.
import { assert, it } from "@effect/vitest"
import { Effect, Schedule, TestClock } from "effect"
import {
  Bulkhead,
  Cache,
  Fallback,
  Hedge,
  Observer,
  type Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout
} from "effect-resilience"
import { down } from "../support/calls.js"
import { rows } from "./services.js"

const twice = Schedule.recurs(1)

const waits = Effect.flatMap(
  RateLimiter.make({ rate: RateLimiter.smooth({ limit: 1, per: "1 second" }), maxWait: "1 second" }),
  ({ protect }) => Effect.zipRight(protect(Effect.void), protect(Effect.void))
)
const ignores = Effect.flatMap(
  RateLimiter.make({ rate: RateLimiter.smooth({ limit: 1, per: "1 second" }) }),
  ({ protectWhen }) => Effect.exit(protectWhen<unknown, string>({ ignore: { error: () => true } })(down))
)
const stores = Effect.scoped(
  Effect.flatMap(
    Cache.make({ lookup: (key: string) => Effect.succeed(key), timeToLive: "1 minute" }),
    (cache) => cache.get("a")
  )
)

/** Each brings a policy to an event, without a listener. */
const cases: ReadonlyArray<readonly [event: string, Effect.Effect<unknown, unknown, never>]> = [
  [
    "bulkhead Admitted",
    Effect.flatMap(Bulkhead.make({ permits: 1 }), (places) => places.protect(Effect.void))
  ],
  [
    "retry-budget Refused",
    Effect.flatMap(RetryBudget.make({ rule: RetryBudget.successes({ capacity: 1 }) }), (budget) =>
      Effect.zipRight(budget.tryWithdraw(), budget.tryWithdraw())
    )
  ],
  ["rate-limiter Dequeued", Effect.exit(waits)],
  ["rate-limiter GivenBack", ignores],
  ["cache Stored", stores],
  ...rows.map(({ kind, listening: [listener, options, call], ...row }) => {
    const live = row.tag.layer({ ...row.options, ...options })
    return [`${kind} ${listener.slice("on".length)}`, Effect.provide(call, live)] as const
  }),
  ["retry RetryScheduled", down.pipe(Retry.retry({ schedule: twice }))],
  ["retry Retry", down.pipe(Retry.retry({ schedule: twice }))],
  ["retry Exceeded", down.pipe(Retry.retry({ schedule: twice }))],
  ["retry Attempt", Effect.void.pipe(Retry.retry({ times: 1 }))],
  ["fallback Fallback", down.pipe(Fallback.succeed("cold"))],
  ["fallback FallbackEnded", down.pipe(Fallback.succeed("cold"))],
  ["hedge Attempt", Effect.void.pipe(Hedge.hedge({ delay: "1 second" }))],
  ["hedge Hedge", Effect.delay(Effect.void, "3 seconds").pipe(Hedge.hedge({ delay: "1 second" }))],
  ["timeout Timeout", Effect.never.pipe(Timeout.timeout("1 second"))]
]

it.effect.each(cases)("the observer of the program sees %s", ([event, self]) =>
  Effect.gen(function* () {
    const seen: Array<Policy.Event> = []
    const observed = Effect.provideService(
      Effect.exit(self),
      Observer.Observer,
      Observer.make((event) => void seen.push(event))
    )
    const fiber = yield* Effect.fork(observed)
    yield* TestClock.adjust("5 seconds")
    yield* fiber
    assert.include(
      seen.map(({ _tag, kind }) => `${kind} ${_tag}`),
      event
    )
  })
)
