// The events of all policies as the program's observer sees them.
import { assert, it } from "@effect/vitest"
import { Context, Effect, Schedule, TestClock } from "effect"
import { Bulkhead, Fallback, Hedge, type Policy, Retry, RetryBudget, Timeout } from "effect-resilience"
import { down } from "../support/calls.js"
import { rows } from "./services.js"

const twice = Schedule.recurs(1)

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
  ...rows.map(({ kind, listening: [listener, options, call], ...row }) => {
    const live = row.tag.layer({ ...row.options, ...options })
    return [`${kind} ${listener.slice("on".length)}`, Effect.provide(call, live)] as const
  }),
  ["retry RetryScheduled", down.pipe(Retry.retry({ schedule: twice }))],
  ["retry Retry", down.pipe(Retry.retry({ schedule: twice }))],
  ["retry Exceeded", down.pipe(Retry.retry({ schedule: twice }))],
  ["fallback Fallback", down.pipe(Fallback.succeed("cold"))],
  ["hedge Hedge", Effect.delay(Effect.void, "3 seconds").pipe(Hedge.hedge({ delay: "1 second" }))],
  ["timeout Timeout", Effect.never.pipe(Timeout.timeout("1 second"))]
]

it.effect.each(cases)("the observer of the program sees %s", ([event, self]) =>
  Effect.gen(function* () {
    const seen: Array<Policy.Event> = []
    const observer = { unsafeObserve: (event: Policy.Event) => void seen.push(event) }
    const observed = Effect.provide(
      Effect.exit(self),
      Context.unsafeMake<never>(new Map([["effect-resilience/Observer", observer]]))
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
