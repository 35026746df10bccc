import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { FailureCondition, RateLimiter } from "effect-resilience"
import { type Interleaving, mistakes } from "../support/interleave.js"
import { runs } from "../support/runs.js"

type Limiter = RateLimiter.RateLimiter

/** How a call goes through the limiter under test, with what is to be done when its permit is given back. */
type Protect = (
  limiter: Limiter,
  onGivenBack: () => void
) => (self: Effect.Effect<string>) => Effect.Effect<string, unknown>

interface Scenario {
  readonly rate: RateLimiter.Rate
  readonly protect: Protect
}

const calls = 3
const callers = 30

/** Thirty fibers that make calls, wait for them and are interrupted at random, and what was wrong with that. */
const story = (
  { protect, rate }: Scenario,
  { advance, random, yieldSome }: Interleaving
): Effect.Effect<Array<string>> =>
  Effect.gen(function* () {
    const wrong: Array<string> = []
    const limiter = yield* RateLimiter.make({ rate, maxWait: Infinity, onAdmitted: () => Effect.void })
    let kept = 0
    const call = Effect.suspend(() => {
      const result = random(3) === 0 ? "ignored" : "counted"
      const body = Effect.suspend(() => {
        kept += 1
        return Effect.as(yieldSome(4), result)
      })
      return Effect.exit(protect(limiter, () => (kept -= 1))(body))
    })
    const caller = Effect.zipRight(
      yieldSome(4),
      Effect.replicateEffect(Effect.zipRight(call, yieldSome(4)), calls)
    )
    const fibers = yield* Effect.replicateEffect(Effect.fork(caller), callers)
    const actions = [
      advance(1),
      Effect.yieldNow(),
      Effect.yieldNow(),
      Effect.suspend(() => Fiber.interruptFork(fibers[random(fibers.length)])),
      Effect.flatMap(limiter.reserve(1 + random(2)), ({ cancel }) =>
        Effect.fork(Effect.zipRight(yieldSome(4), cancel))
      )
    ]
    for (let step = 0; step < 60; step++) yield* Effect.exit(actions[random(actions.length)])
    yield* Effect.repeatN(Effect.yieldNow(), 10)

    if (rate.per > 1000) {
      // Nothing is refilled in this story: missing permits were used.
      yield* Effect.forEach(fibers, (fiber) => Fiber.interruptFork(fiber))
      yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))
      const available = yield* limiter.available
      if (available + kept < rate.limit) wrong.push("a permit is held by nobody")
      if (available + kept > rate.limit) wrong.push("a permit is given back twice")
    } else {
      // Everybody who still waits is served in time, one for each millisecond.
      for (let step = 0; step < callers * calls; step++) {
        yield* advance(1)
        yield* Effect.repeatN(Effect.yieldNow(), 8)
      }
      for (const fiber of fibers) {
        if ((yield* Fiber.poll(fiber))._tag === "None") wrong.push("somebody still waits")
      }
      yield* Effect.forEach(fibers, (fiber) => Fiber.interruptFork(fiber))
    }
    if ((yield* limiter.snapshot).queued !== 0) wrong.push("somebody is still in the line")
    return wrong
  })

const seeds = runs(8, 250)

const mistakesIn = (scenario: Scenario, preemptOneIn?: number) =>
  mistakes({ seeds, preemptOneIn }, (interleaving) => story(scenario, interleaving))

const right: Protect = (limiter, onGivenBack) => (self) =>
  self.pipe(
    limiter.protectWhen((exit) => {
      if (exit._tag === "Failure" || exit.value !== "ignored") return FailureCondition.success
      onGivenBack()
      return FailureCondition.ignored
    })
  )

/** Takes a turn by reservation, and forgets it when it is interrupted while it waits. */
const forgetful: Protect = (limiter) => (self) =>
  Effect.flatMap(limiter.reserve(), ({ wait }) => Effect.zipRight(Effect.sleep(wait), self))

const scarce = [
  RateLimiter.bursty({ limit: 25, per: "1 day" }),
  RateLimiter.slidingWindow({ limit: 25, per: "1 day" })
]
const aMilli = [
  RateLimiter.smooth({ limit: 1000, per: "1 second" }),
  RateLimiter.tokenBucket({ limit: 1000, per: "1 second", burst: 3 }),
  RateLimiter.slidingWindow({ limit: 2, per: "2 millis" })
]

describe("a rate limiter under random interleavings", () => {
  for (const rate of [...scarce, ...aMilli]) {
    it.effect(`of fibers that pause where they yield, ${RateLimiter.describe(rate)} loses nobody`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* mistakesIn({ protect: right, rate }), {})
      })
    )
  }

  for (const rate of [scarce[0], aMilli[0]]) {
    it.effect(`of fibers that pause anywhere, ${RateLimiter.describe(rate)} loses nobody`, () =>
      Effect.gen(function* () {
        const found = yield* mistakesIn({ protect: right, rate }, 40)
        // A call may be interrupted in the very step with which it begins, and has begun then.
        const { "a permit is held by nobody": _, ...rest } = found
        assert.deepStrictEqual(rest, {})
      })
    )
  }

  it.effect("a limiter that forgets the permits of those who wait is found out", () =>
    Effect.gen(function* () {
      const found = yield* mistakesIn({ protect: forgetful, rate: scarce[0] })
      assert.isAbove(
        found["a permit is held by nobody"] ?? found["somebody is still in the line"] ?? 0,
        seeds / 5
      )
    })
  )
})
