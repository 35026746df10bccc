import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { CircuitBreaker, FailureCondition, Trip } from "effect-resilience"
import { type Interleaving, mistakes } from "../support/interleave.js"
import { runs } from "../support/runs.js"

type Breaker = CircuitBreaker.CircuitBreaker

/** How calls go through the breaker under test. */
type Protect = (
  breaker: Breaker
) => <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E | CircuitBreaker.CircuitOpen>

interface Scenario {
  readonly protect: Protect
  /** Fibers yield at one in so many of their steps, and not only where they say so. */
  readonly preemptOneIn?: number | undefined
  /** The permits that the breaker has, when that is not what it should have. */
  readonly permits?: number
}

const allowed = 2

/**
 * Forty fibers that make calls, fail, die and are interrupted at random, and what was wrong with that. A circuit that waits
 * for ever for a probe never recovers from one permit lost.
 */
const story = (
  { permits = allowed, preemptOneIn, protect }: Scenario,
  { advance, random, yieldSome }: Interleaving
): Effect.Effect<Array<string>> =>
  Effect.gen(function* () {
    const preempting = preemptOneIn !== undefined
    const wrong: Array<string> = []
    const heard = { successes: 0, failures: 0, rejected: 0 }
    const left = { successes: 0, failures: 0, rejected: 0 }
    const hear = (key: keyof typeof heard) => () => Effect.sync(() => void (heard[key] += 1))
    const breaker = yield* CircuitBreaker.make({
      trip: Trip.consecutive(3),
      openFor: 10,
      halfOpen: { permits, successes: { count: 2, of: 3 }, maxWait: Infinity },
      onSuccess: hear("successes"),
      onFailure: hear("failures"),
      onRejected: ({ retryAfter, state }) => {
        if ((state === "open") !== (retryAfter !== undefined)) wrong.push("a hint for the wrong state")
        return hear("rejected")()
      }
    })
    const listening = yield* breaker.changes.pipe(
      Stream.runForEach(({ metrics }) =>
        Effect.sync(() => {
          left.successes += metrics.successes
          left.failures += metrics.failures
          left.rejected += metrics.rejected
        })
      ),
      Effect.fork
    )
    yield* Effect.repeatN(Effect.yieldNow(), 10)

    const probing = new Map<number, number>()
    const asProbe = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.flatMap(breaker.snapshot, ({ generation, state }) => {
        if (state !== "half-open") return self
        const add = (change: number) =>
          Effect.sync(() => {
            const now = (probing.get(generation) ?? 0) + change
            probing.set(generation, now)
            if (now > allowed) wrong.push(`${now} probes at a time`)
          })
        return Effect.acquireUseRelease(
          add(1),
          () => self,
          () => add(-1)
        )
      })

    const end = yield* Deferred.make<void>()
    const outcomes: ReadonlyArray<Effect.Effect<void, "down">> = [
      Effect.void,
      Effect.void,
      Effect.fail("down"),
      Effect.fail("down"),
      Effect.die("bug"),
      Effect.interrupt,
      Deferred.await(end),
      Effect.onInterrupt(Effect.never, () => yieldSome(6))
    ]
    const call = Effect.suspend(() => {
      const outcome = outcomes[random(outcomes.length)]
      const body = Effect.zipRight(yieldSome(6), outcome)
      // A fiber that is preempted between being let in and looking at the state may find another one.
      return Effect.exit(protect(breaker)(preempting ? body : asProbe(body)))
    })
    const caller = Effect.zipRight(
      yieldSome(6),
      Effect.replicateEffect(Effect.zipRight(call, yieldSome(6)), 3)
    )
    const fibers = yield* Effect.replicateEffect(Effect.fork(caller), 40)

    const actions = [
      advance(5),
      advance(5),
      Effect.yieldNow(),
      Effect.suspend(() => Fiber.interruptFork(fibers[random(fibers.length)]))
    ]
    for (let step = 0; step < 80; step++) yield* actions[random(actions.length)]
    yield* Deferred.succeed(end, undefined)
    yield* Effect.forEach(fibers, (fiber) => Fiber.interruptFork(fiber))
    yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))

    yield* Effect.repeatN(Effect.yieldNow(), 10)
    yield* Fiber.interrupt(listening)
    const now = yield* breaker.snapshot
    const counted = {
      successes: left.successes + now.successes,
      failures: left.failures + now.failures,
      rejected: now.rejected
    }
    for (const key of ["successes", "failures", "rejected"] as const) {
      // A call that is interrupted right after it was counted does not get to tell its listener.
      const adds = preempting ? heard[key] <= counted[key] : heard[key] === counted[key]
      if (!adds) wrong.push(`${key} do not add up`)
    }
    if (left.rejected > now.rejected) wrong.push("rejections are told of twice")
    for (const count of probing.values()) if (count !== 0) wrong.push("a probe never ended")

    yield* advance(10)
    for (let probe = 0; probe < 2; probe++) {
      const exit = yield* Effect.exit(protect(breaker)(Effect.void))
      if (Exit.isFailure(exit)) wrong.push("a permit is held by nobody")
    }
    if ((yield* breaker.state) !== "closed") wrong.push("the circuit does not recover")
    return wrong
  })

const seeds = runs(15, 500)

const mistakesIn = (scenario: Scenario) =>
  mistakes({ seeds, preemptOneIn: scenario.preemptOneIn }, (interleaving) => story(scenario, interleaving))

const right: Protect = (breaker) => breaker.protect

/** Gives a permit back when the call ends by itself, and forgets it when the call is interrupted. */
const forgetful: Protect = (breaker) => (self) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const permit = yield* Scope.extend(breaker.acquire, scope)
    return yield* Effect.matchCauseEffect(self, {
      onFailure: (cause) =>
        Effect.zipRight(breaker.record(permit, FailureCondition.failure), Effect.failCause(cause)),
      onSuccess: (value) => Effect.as(breaker.record(permit, FailureCondition.success), value)
    })
  })

describe("a circuit breaker under random interleavings", () => {
  for (const [when, preemptOneIn] of [
    ["where they yield", undefined],
    ["anywhere", 50]
  ] as const) {
    it.effect(`of fibers that pause ${when}, no permit is lost and nothing is miscounted`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* mistakesIn({ preemptOneIn, protect: right }), {})
      })
    )
  }

  it.effect("a breaker that forgets the permits of interrupted calls is found out", () =>
    Effect.gen(function* () {
      const found = yield* mistakesIn({ protect: forgetful })
      assert.isAbove(found["a permit is held by nobody"] ?? 0, seeds / 10)
    })
  )

  it.effect("a breaker that lets one probe too many through is found out", () =>
    Effect.gen(function* () {
      const found = yield* mistakesIn({ protect: right, permits: allowed + 1 })
      assert.isAbove(found[`${allowed + 1} probes at a time`] ?? 0, seeds / 10)
    })
  )
})
