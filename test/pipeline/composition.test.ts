import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, flow, Schedule, TestClock } from "effect"
import {
  CircuitBreaker,
  type FailureCondition,
  Fallback,
  Policy,
  Retry,
  Timeout,
  Trip
} from "effect-resilience"
import { down } from "../support/calls.js"
import { interruptedAtEveryStep } from "../support/everyStep.js"
import { finish, scripted, timeline } from "../support/virtual.js"

/** The value, or the tag of the error. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.match(Exit.mapError(exit, tagOf), {
    onSuccess: (value) => value,
    onFailure: (cause) => (cause._tag === "Fail" ? cause.error : cause._tag)
  })

const tagOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "_tag" in error ? error._tag : error

const nameOf = (failure: FailureCondition.Failed<unknown, unknown> | undefined): unknown =>
  failure?._tag === "Error" ? tagOf(failure.error) : failure?._tag

const slow = Effect.delay(Effect.succeed("late"), "5 seconds")

// -------------------------------------------------------------------------------------------------------- the standard

describe("a pipe of timeout, breaker, retry and fallback", () => {
  /** All listeners, which log their events. */
  const composed = Effect.gen(function* () {
    const { log, note } = timeline()
    const breaker = yield* CircuitBreaker.make({
      name: "partner",
      trip: Trip.consecutive(2),
      openFor: "1 minute",
      onSuccess: () => note("breaker.onSuccess"),
      onFailure: ({ failure }) => note(`breaker.onFailure ${nameOf(failure)}`),
      onRejected: () => note("breaker.onRejected"),
      onOpen: () => note("breaker.onOpen"),
      onHalfOpen: () => note("breaker.onHalfOpen"),
      onClose: () => note("breaker.onClose"),
      onStateChange: ({ from, to }) => note(`breaker.onStateChange ${from} to ${to}`)
    })
    const policy = <A, R>(self: Effect.Effect<A, string, R>) =>
      Effect.zipRight(note("attempt"), self).pipe(
        Timeout.timeout({ limit: "1 second", onTimeout: () => note("timeout.onTimeout") }),
        breaker.protect,
        Retry.retry({
          times: 1,
          schedule: Schedule.spaced("500 millis"),
          onRetryScheduled: ({ delay }) => note(`retry.onRetryScheduled in ${Duration.toMillis(delay)}`),
          onRetry: ({ attempt }) => note(`retry.onRetry after ${attempt}`),
          onExceeded: ({ reason, failure }) => note(`retry.onExceeded ${reason} ${nameOf(failure)}`)
        }),
        Fallback.succeed("cold", {
          onFallback: ({ failure }) => note(`fallback.onFallback ${nameOf(failure)}`)
        }),
        Effect.tap((value) => note(`= ${String(value)}`))
      )
    return { log, policy }
  })

  const rejected = [
    "breaker.onRejected",
    "retry.onExceeded hint CircuitOpen",
    "fallback.onFallback CircuitOpen",
    "= cold"
  ]

  it.effect("retries a failing call until the circuit opens, and falls back at once while it is open", () =>
    Effect.gen(function* () {
      const { log, policy } = yield* composed
      yield* finish(Effect.zip(policy(Effect.delay(down, 100)), policy(Effect.succeed("hot"))))
      assert.deepStrictEqual(log, [
        "0 attempt",
        "100 breaker.onFailure down",
        "100 retry.onRetryScheduled in 500",
        "600 retry.onRetry after 1",
        "600 attempt",
        "700 breaker.onFailure down",
        "700 breaker.onOpen",
        "700 breaker.onStateChange closed to open",
        "700 retry.onExceeded times down",
        "700 fallback.onFallback down",
        "700 = cold",
        ...rejected.map((line) => `700 ${line}`)
      ])
    })
  )

  it.effect("times a hanging call out until the circuit opens, and closes it with a probe", () =>
    Effect.gen(function* () {
      const { log, policy } = yield* composed
      const second = Effect.delay(policy(Effect.succeed("hot")), "1 minute")
      yield* finish(Effect.zip(policy(Effect.never), second))
      assert.deepStrictEqual(log, [
        "0 attempt",
        "1000 timeout.onTimeout",
        "1000 breaker.onFailure TimeoutExceeded",
        "1000 retry.onRetryScheduled in 500",
        "1500 retry.onRetry after 1",
        "1500 attempt",
        "2500 timeout.onTimeout",
        "2500 breaker.onFailure TimeoutExceeded",
        "2500 breaker.onOpen",
        "2500 breaker.onStateChange closed to open",
        "2500 retry.onExceeded times TimeoutExceeded",
        "2500 fallback.onFallback TimeoutExceeded",
        "2500 = cold",
        "62500 breaker.onHalfOpen",
        "62500 breaker.onStateChange open to half-open",
        "62500 attempt",
        "62500 breaker.onSuccess",
        "62500 breaker.onClose",
        "62500 breaker.onStateChange half-open to closed",
        "62500 = hot"
      ])
    })
  )

  it("gives the permit of a probe to the next call when it is interrupted at any step", () => {
    interruptedAtEveryStep(
      () => {
        const found: Array<string> = []
        const breaker = Effect.runSync(
          CircuitBreaker.make({ openFor: "1 hour", halfOpen: { permits: 1, maxWait: Infinity } })
        )
        const call = Effect.zipRight(Effect.sleep(100), down).pipe(
          Timeout.timeout("1 second"),
          breaker.protect,
          Retry.retry({ times: 1, schedule: Schedule.spaced(50), delayFrom: Retry.noHint }),
          Fallback.succeed("cold")
        )
        const next = Effect.succeed("through").pipe(breaker.protect, Effect.merge)
        return Effect.zipRight(breaker.halfOpen, call).pipe(
          Effect.onExit(() =>
            Effect.flatMap(breaker.state, (state) =>
              state === "half-open" ? Effect.map(next, (result) => found.push(String(result))) : Effect.void
            )
          ),
          Effect.onExit(() =>
            Effect.sync(() => found.forEach((result) => assert.strictEqual(result, "through")))
          )
        )
      },
      ({ exit }) => {
        if (exit === undefined || !Exit.isInterrupted(exit))
          assert.deepStrictEqual(exit, Exit.succeed("cold"))
      }
    )
  })
})

// ---------------------------------------------------------------------------------------------------------- every pair

describe("two policies:", () => {
  type Body = Effect.Effect<string, unknown>
  type Apply = (self: Body) => Body
  interface Parts {
    readonly breaker: Apply
    readonly retry: Apply
    readonly timeout: Apply
    readonly fallback: Apply
  }
  interface Expected {
    readonly outcome: string
    /** When the call was made. */
    readonly begun: ReadonlyArray<number>
    readonly endedAt: number
    /** What the breaker counted, as [successes, failures]. */
    readonly counted?: readonly [number, number]
  }
  const exceeded = "TimeoutExceeded"

  it.effect.each<readonly [string, Body, (parts: Parts) => ReadonlyArray<Apply>, Expected]>([
    [
      "breaker(retry) counts the whole as one",
      down,
      (p) => [p.retry, p.breaker],
      { outcome: "down", begun: [0, 1000, 2000], endedAt: 2000, counted: [0, 1] }
    ],
    [
      "retry(breaker) counts each attempt, until it opens",
      down,
      (p) => [p.breaker, p.retry],
      { outcome: "CircuitOpen", begun: [0, 1000], endedAt: 2000, counted: [0, 2] }
    ],
    [
      "timeout(retry) limits all attempts together, in an attempt",
      slow,
      (p) => [p.retry, p.timeout],
      { outcome: exceeded, begun: [0], endedAt: 1500 }
    ],
    [
      "timeout(retry) limits all attempts together, in a delay",
      down,
      (p) => [p.retry, p.timeout],
      { outcome: exceeded, begun: [0, 1000], endedAt: 1500 }
    ],
    [
      "retry(timeout) limits each attempt",
      slow,
      (p) => [p.timeout, p.retry],
      { outcome: exceeded, begun: [0, 2500, 5000], endedAt: 6500 }
    ],
    [
      "fallback(timeout) answers for a slow call",
      slow,
      (p) => [p.timeout, p.fallback],
      { outcome: "cold", begun: [0], endedAt: 2500 }
    ],
    [
      "fallback(timeout) does not limit the fallback",
      down,
      (p) => [p.timeout, p.fallback],
      { outcome: "cold", begun: [0], endedAt: 1000 }
    ],
    [
      "timeout(fallback) limits both, in the call",
      slow,
      (p) => [p.fallback, p.timeout],
      { outcome: exceeded, begun: [0], endedAt: 1500 }
    ],
    [
      "timeout(fallback) limits both, in the fallback",
      Effect.delay(down, 600),
      (p) => [p.fallback, p.timeout],
      { outcome: exceeded, begun: [0], endedAt: 1500 }
    ],
    [
      "breaker(timeout) counts a slow call as a failure",
      slow,
      (p) => [p.timeout, p.breaker],
      { outcome: exceeded, begun: [0], endedAt: 1500, counted: [0, 1] }
    ],
    [
      "timeout(breaker) does not count it",
      slow,
      (p) => [p.breaker, p.timeout],
      { outcome: exceeded, begun: [0], endedAt: 1500, counted: [0, 0] }
    ],
    [
      "fallback(breaker) counts the failure",
      down,
      (p) => [p.breaker, p.fallback],
      { outcome: "cold", begun: [0], endedAt: 1000, counted: [0, 1] }
    ],
    [
      "breaker(fallback) counts the answer",
      down,
      (p) => [p.fallback, p.breaker],
      { outcome: "cold", begun: [0], endedAt: 1000, counted: [1, 0] }
    ],
    [
      "fallback(retry) is used when all attempts failed",
      down,
      (p) => [p.retry, p.fallback],
      { outcome: "cold", begun: [0, 1000, 2000], endedAt: 3000 }
    ],
    [
      "retry(fallback) has nothing to retry",
      down,
      (p) => [p.fallback, p.retry],
      { outcome: "cold", begun: [0], endedAt: 1000 }
    ],
    [
      "retry(retry) multiplies",
      down,
      (p) => [p.retry, p.retry],
      { outcome: "down", begun: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => n * 1000), endedAt: 8000 }
    ]
  ])("%s", ([, body, pick, { begun: expected, counted, endedAt, outcome }]) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(2), openFor: "3 seconds" })
      const policies = pick({
        breaker: breaker.protect,
        retry: Retry.retry({ times: 2, schedule: Schedule.spaced("1 second") }),
        timeout: Timeout.timeout("1500 millis"),
        fallback: Fallback.orElse(() => Effect.delay(Effect.succeed("cold"), "1 second"))
      })
      const { begun, call } = scripted(body)
      const counts: Array<number> = []
      const composed = policies.reduce((self: Body, policy) => policy(self), call)
      const ended = Effect.zip(
        Effect.exit(composed),
        Effect.clockWith((clock) => clock.currentTimeMillis)
      )
      const [exit, at] = Exit.getOrElse(
        yield* finish(
          Effect.zipLeft(
            ended,
            Effect.map(breaker.snapshot, ({ failures, successes }) => counts.push(successes, failures))
          )
        ),
        () => assert.fail()
      )
      assert.deepStrictEqual(
        { outcome: outcomeOf(exit), begun, endedAt: at },
        { outcome, begun: expected, endedAt }
      )
      if (counted !== undefined && outcome !== "CircuitOpen") assert.deepStrictEqual(counts, [...counted])
    })
  )

  it.effect("retry(breaker) waits for an open circuit and closes it", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(2), openFor: "3 seconds" })
      const { begun, call } = scripted(down, down, Effect.succeed("up"))
      const exit = yield* finish(
        call.pipe(breaker.protect, Retry.retry({ times: 3, schedule: Schedule.spaced("1 second") }))
      )
      assert.strictEqual(outcomeOf(exit), "up")
      // The circuit opens at 1 s, rejects at 2 s, and admits at 4 s.
      assert.deepStrictEqual(begun, [0, 1000, 4000])
      assert.strictEqual((yield* breaker.snapshot).rejected, 1)
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("retry(breaker) ends at once when the circuit stays open for long", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(2), openFor: "1 minute" })
      const { begun, call } = scripted(down)
      const at = Effect.clockWith((clock) => clock.currentTimeMillis)
      const exit = yield* finish(
        call.pipe(
          breaker.protect,
          Retry.retry({ times: 9, schedule: Schedule.spaced("1 second") }),
          Effect.either,
          Effect.zipRight(at)
        )
      )
      assert.deepStrictEqual(exit, Exit.succeed(2000))
      assert.deepStrictEqual(begun, [0, 1000])
      assert.strictEqual((yield* breaker.snapshot).rejected, 1)
    })
  )
})

// ------------------------------------------------------------------------------------------------------- ways to compose

describe("several policies", () => {
  it.effect("in flow do what they do in pipe, and describe themselves the same", () =>
    Effect.gen(function* () {
      const policies = [
        Timeout.timeout("1 second"),
        Retry.retry({ times: 2, schedule: Schedule.spaced("1 second") }),
        Fallback.succeed("cold")
      ] as const
      const resilient = flow(...policies)
      const bodies: ReadonlyArray<Effect.Effect<string, string>> = [slow, down, Effect.succeed("hot")]
      for (const body of bodies) {
        const runs: Array<unknown> = []
        for (const apply of [resilient, (self: typeof body) => self.pipe(...policies)]) {
          yield* TestClock.setTime(0)
          const { begun, call } = scripted(body)
          runs.push({ exit: outcomeOf(yield* finish(apply(call))), begun })
        }
        assert.deepStrictEqual(runs[0], runs[1])
      }
      assert.strictEqual(Policy.describe(...policies).split("\n").length, 3)
    })
  )

  it.effect("can be shared by calls that run at the same time", () =>
    Effect.gen(function* () {
      const policy = flow(
        Timeout.timeout("1 second"),
        Retry.retry({ times: 1, schedule: Schedule.spaced("1 second") })
      )
      const calls = [100, 900, 5000].map((millis) => scripted(Effect.delay(Effect.fail(millis), millis)))
      const exits = yield* finish(
        Effect.forEach(calls, ({ call }) => Effect.exit(policy(call)), { concurrency: "unbounded" })
      )
      assert.deepStrictEqual(Exit.getOrElse(exits, () => assert.fail()).map(outcomeOf), [
        100,
        900,
        "TimeoutExceeded"
      ])
      assert.deepStrictEqual(
        calls.map(({ begun }) => begun),
        [
          [0, 1100],
          [0, 1900],
          [0, 2000]
        ]
      )
    })
  )
})
