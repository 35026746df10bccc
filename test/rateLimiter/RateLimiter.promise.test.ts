/** What docs/rate-limiter.md promises of each rate, straight from its definition, whatever happens in line. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, FastCheck, Fiber } from "effect"
import { RateLimiter } from "effect-resilience"
import type * as Rate from "../../src/core/rateLimit.js"
import { Line, type Permit, type Place } from "../../src/rateLimiter/queue.js"
import { runToEnd } from "../support/everyStep.js"
import { runs } from "../support/runs.js"
import { chance } from "../support/chance.js"

interface Begun {
  readonly at: number
  readonly cost: number
}

/** The first two calls between which too much began, if there are any. `per` and `slack` are in the unit of `at`. */
const broken = (
  rate: Rate.Rate,
  calls: ReadonlyArray<Begun>,
  {
    per,
    slack,
    origin
  }: { readonly per: number; readonly slack: number; readonly origin: number | undefined }
): string | undefined => {
  const ordered = [...calls].sort((one, other) => one.at - other.at)
  const { limit } = rate
  for (const [index, first] of ordered.entries()) {
    let before = 0
    for (const call of ordered.slice(index)) {
      const time = call.at - first.at
      const after = before + call.cost
      const kept =
        rate._tag === "smooth"
          ? before * per <= (time + slack) * limit
          : rate._tag === "tokenBucket"
            ? (after - rate.burst) * per <= (time + slack) * limit
            : rate._tag === "slidingWindow"
              ? time >= per || after <= limit
              : origin === undefined
                ? time >= per || after <= 2 * limit
                : Math.floor((call.at - origin) / per) > Math.floor((first.at - origin) / per) ||
                  after <= limit
      if (!kept) return `${rate._tag} ${limit} per ${per}: ${after} from ${first.at} to ${call.at}`
      before = after
    }
  }
  return undefined
}

// ------------------------------------------------------------------------------------------------------------ the line

const anyRate = FastCheck.record({
  tag: FastCheck.constantFrom("smooth", "bursty", "tokenBucket", "slidingWindow"),
  limit: FastCheck.integer({ min: 1, max: 5 }),
  burst: FastCheck.integer({ min: 1, max: 5 }),
  per: FastCheck.constantFrom(1, 1.001, 7)
}).map(({ burst, limit, per, tag }): Rate.Rate =>
  tag === "tokenBucket" ? { _tag: tag, limit, per, burst } : ({ _tag: tag, limit, per } as Rate.Rate)
)

const commands = (changes: boolean) =>
  FastCheck.array(
    FastCheck.record({
      what: changes
        ? FastCheck.constantFrom("pass", "pass", "take", "enter", "enter", "leave", "change")
        : FastCheck.constantFrom("pass", "pass", "take", "enter", "enter", "leave", "reserve"),
      pause: FastCheck.oneof(
        FastCheck.integer({ min: 0, max: 1500 }),
        FastCheck.integer({ min: 0, max: 9000 })
      ),
      cost: FastCheck.constantFrom(1, 1, 1, 2, 5),
      pick: FastCheck.double({ min: 0, max: 0.999, noNaN: true }),
      rate: anyRate
    }),
    { minLength: 1, maxLength: 80 }
  )

for (const changes of [false, true]) {
  describe(`a line ${changes ? "whose rate changes" : "with reservations"}`, () => {
    it.prop(
      "keeps the promise of its rate, and lets nobody begin before now",
      [anyRate, commands(changes)],
      ([initial, commands]) => {
        let rate = initial
        let now = 0
        let changedAt = 0
        let changed = false
        const line = new Line(rate, 50, 0)
        const waiting = new Set<Place>()
        let permits: Array<{ readonly permit: Permit; readonly place: Place | undefined }> = []

        const look = (before: number) => {
          line.settle(now)
          for (const place of waiting) {
            if (place.state === "waiting") continue
            waiting.delete(place)
            if (place.permit === undefined) continue
            assert.isTrue(place.permit.at > before || place.permit.at === now, "a turn lies in the past")
            permits.push({ permit: place.permit, place })
          }
          const begun = permits.map(({ permit }) => permit).filter(({ at }) => !changed || at > changedAt)
          const origin = changed ? undefined : 0
          assert.isUndefined(broken(rate, begun, { per: Math.round(rate.per * 1000), slack: 1, origin }))
        }

        for (const { cost, pause, pick, rate: next, what } of commands) {
          const before = now
          if (what === "pass") now += pause
          if (what === "take" && line.tryTake(cost, now)) {
            permits.push({ permit: line.permit(), place: undefined })
          }
          if (what === "enter" || what === "reserve") {
            const at = line.turn(cost, now)
            if (at !== Infinity && !(at > now && line.isFull)) {
              const promised = what === "reserve"
              waiting.add(line.enter({ cost, deadline: Infinity, promised, isReady: true }, at, now))
            }
          }
          look(before)
          if (what === "leave") {
            const places = [...waiting]
            const index = Math.floor(pick * (places.length + permits.length))
            if (index < places.length) {
              line.leave(places[index], now)
              waiting.delete(places[index])
            } else if (permits.length > 0) {
              const given = permits[index - places.length]
              permits = permits.filter((other) => other !== given)
              if (given.place === undefined) line.giveBack(given.permit, now)
              else line.leave(given.place, now)
            }
          }
          if (what === "change") {
            line.setRate(next, now)
            rate = next
            changedAt = now
            changed = true
          }
          look(now)
        }
      },
      { fastCheck: { numRuns: runs(100, 5000) } }
    )
  })
}

// ----------------------------------------------------------------------------------------------------------- the limiter

const rates: ReadonlyArray<RateLimiter.Rate> = [
  RateLimiter.smooth({ limit: 1, per: "10 millis" }),
  RateLimiter.smooth({ limit: 5, per: "50 millis" }),
  RateLimiter.tokenBucket({ limit: 2, per: "20 millis", burst: 3 }),
  RateLimiter.bursty({ limit: 3, per: "30 millis" }),
  RateLimiter.slidingWindow({ limit: 1, per: "20 millis" }),
  RateLimiter.slidingWindow({ limit: 4, per: "40 millis" })
]

/** Calls that come, wait, are interrupted or do not count, and reservations that are cancelled; and what was wrong. */
const play = (rate: RateLimiter.Rate, seed: number): ReadonlyArray<string> => {
  const { below: random } = chance(seed)
  const story = Effect.gen(function* () {
    const limiter = yield* RateLimiter.make({
      rate,
      maxWait: random(2) === 0 ? "1 second" : Infinity,
      onQueued: random(2) === 0 ? undefined : () => (random(3) === 0 ? Effect.yieldNow() : Effect.void)
    })
    const madeAt = yield* Clock.currentTimeMillis
    const counted = new Set<Begun>()
    const call = Effect.gen(function* () {
      let begun: Begun | undefined
      const doesNotCount = random(3) === 0
      const body = Effect.gen(function* () {
        begun = { at: yield* Clock.currentTimeMillis, cost: 1 }
        counted.add(begun)
        yield* Effect.sleep(random(40))
        return doesNotCount ? "ignored" : "counted"
      })
      const protect = limiter.protectWhen<string, never>({
        ignore: { result: (result) => result === "ignored" }
      })
      const result = yield* Effect.exit(protect(body))
      // What was given back does not count any more for those who come from now on.
      if (Exit.isSuccess(result) && result.value === "ignored" && begun !== undefined) counted.delete(begun)
    })
    const reservation = Effect.gen(function* () {
      const { cancel, wait } = yield* limiter.reserve()
      yield* Effect.sleep(random(30))
      if (Duration.toMillis(wait) > 0) yield* cancel
    })
    const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
    const wrong: Array<string> = []
    for (let step = 0; step < 40; step++) {
      yield* Effect.sleep(random(8))
      const what = random(10)
      if (what < 6) fibers.push(yield* Effect.forkDaemon(call))
      else if (what < 7) fibers.push(yield* Effect.forkDaemon(Effect.exit(reservation)))
      else if (fibers.length > 0) yield* Fiber.interruptFork(fibers[random(fibers.length)])
      const told = broken(rate, [...counted], { per: rate.per, slack: 0, origin: madeAt })
      if (told !== undefined) wrong.push(told)
    }
    yield* Effect.sleep("1 minute")
    for (const fiber of fibers) if (fiber.unsafePoll() === null) wrong.push("somebody still waits")
    if ((yield* limiter.snapshot).queued > 0) wrong.push("somebody is still in the line")
    return wrong
  })
  const { exit } = runToEnd(story)
  return exit !== undefined && Exit.isSuccess(exit) ? exit.value : [`the story did not end: ${String(exit)}`]
}

describe("a limiter under calls that wait, leave, are interrupted and do not count", () => {
  for (const rate of rates) {
    it(`keeps the promise of ${RateLimiter.describe(rate)}`, () => {
      const seeds = Array.from({ length: runs(15, 1000) }, (_, index) => index + 1)
      const wrong = seeds.flatMap((seed) =>
        play(rate, seed)
          .slice(0, 1)
          .map((what) => `seed ${seed}: ${what}`)
      )
      assert.deepStrictEqual(wrong.slice(0, 5), [])
    })
  }
})
