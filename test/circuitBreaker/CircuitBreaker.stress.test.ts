import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Scheduler, Scope, Stream } from "effect"
import { CircuitBreaker, FailureCondition, Trip } from "effect-resilience"
import { runs } from "../support/runs.js"

type Breaker = CircuitBreaker.CircuitBreaker

/** How calls go through the breaker under test. */
type Protect = (
  breaker: Breaker
) => <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E | CircuitBreaker.CircuitOpen>

/** Whole numbers below a bound, the same ones for the same seed. */
const randomOf = (seed: number) => {
  let state = seed
  return (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}

/** A clock that stands still until it is moved. */
const manualClock = () => {
  let now = 0
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: () => Effect.never
  }
  const advance = (millis: number) =>
    Effect.sync(() => {
      now += millis
    })
  return { clock, advance }
}

interface Scenario {
  readonly seed: number
  /** Whether fibers are preempted in the middle of whatever they do, and not only where they yield. */
  readonly preempting: boolean
  readonly protect: Protect
  /** The permits that the breaker has, when that is not what it should have. */
  readonly permits?: number
}

const allowed = 2

/**
 * Forty fibers that make calls, fail, die and are interrupted at random, and what was wrong with that. A circuit that waits
 * for ever for a probe never recovers from one permit lost.
 */
const play = ({ permits = allowed, preempting, protect, seed }: Scenario): Effect.Effect<Array<string>> => {
  const random = randomOf(seed)
  const { advance, clock } = manualClock()
  const yieldSome = Effect.suspend(() => Effect.repeatN(Effect.yieldNow(), random(6)))

  const story = Effect.gen(function* () {
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
      Effect.onInterrupt(Effect.never, () => yieldSome)
    ]
    const call = Effect.suspend(() => {
      const outcome = outcomes[random(outcomes.length)]
      const body = Effect.zipRight(yieldSome, outcome)
      // A fiber that is preempted between being let in and looking at the state may find another one.
      return Effect.exit(protect(breaker)(preempting ? body : asProbe(body)))
    })
    const caller = Effect.zipRight(yieldSome, Effect.replicateEffect(Effect.zipRight(call, yieldSome), 3))
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

  const scheduler = Scheduler.make(
    (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
    () => preempting && random(50) === 0 && 0
  )
  return story.pipe(Effect.withClock(clock), Effect.withScheduler(scheduler))
}

const seeds = Array.from({ length: runs(15, 500) }, (_, index) => index + 1)

/** What goes wrong, and with how many of the seeds. */
const mistakes = (scenario: Omit<Scenario, "seed">): Effect.Effect<Record<string, number>> =>
  Effect.map(
    Effect.forEach(seeds, (seed) => play({ ...scenario, seed })),
    (all) => {
      const counts: Record<string, number> = {}
      for (const wrong of all) for (const what of new Set(wrong)) counts[what] = (counts[what] ?? 0) + 1
      return counts
    }
  )

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

describe("under random interleavings", () => {
  for (const preempting of [false, true]) {
    const when = preempting ? "anywhere" : "where they yield"
    it.effect(`of fibers that pause ${when}, no permit is lost and nothing is miscounted`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* mistakes({ preempting, protect: right }), {})
      })
    )
  }

  it.effect("a breaker that forgets the permits of interrupted calls is found out", () =>
    Effect.gen(function* () {
      const found = yield* mistakes({ preempting: false, protect: forgetful })
      assert.isAbove(found["a permit is held by nobody"] ?? 0, seeds.length / 10)
    })
  )

  it.effect("a breaker that lets one probe too many through is found out", () =>
    Effect.gen(function* () {
      const found = yield* mistakes({ preempting: false, protect: right, permits: allowed + 1 })
      assert.isAbove(found[`${allowed + 1} probes at a time`] ?? 0, seeds.length / 10)
    })
  )
})
