/**
 * The stampede of `test/core/cache.test.ts` once more, on the cache itself: a thousand requests a second for one key that
 * lives a minute and takes a second to look up.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Random, Runtime } from "effect"
import { Cache } from "effect-resilience"
import { runs } from "../support/runs.js"

/** A clock with timers, and a scheduler without delay: whatever is due runs when the time is moved. */
class World implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  now = 0
  private timers: Array<{ readonly at: number; readonly fire: () => void }> = []
  private readonly tasks: Array<() => void> = []

  unsafeCurrentTimeMillis = () => this.now
  unsafeCurrentTimeNanos = () => BigInt(Math.floor(this.now * 1_000_000))
  readonly currentTimeMillis = Effect.sync(this.unsafeCurrentTimeMillis)
  readonly currentTimeNanos = Effect.sync(this.unsafeCurrentTimeNanos)
  readonly scheduler = {
    scheduleTask: (task: () => void) => void this.tasks.push(task),
    shouldYield: () => false as const
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async((resume) => {
      const timer = { at: this.now + Duration.toMillis(duration), fire: () => resume(Effect.void) }
      this.timers.push(timer)
    })
  }

  moveTo(now: number): void {
    for (const timer of this.timers) {
      if (timer.at > now) continue
      this.timers = this.timers.filter((other) => other !== timer)
      this.now = timer.at
      timer.fire()
      this.run()
    }
    this.now = now
  }

  run(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }
}

interface Cost {
  readonly lookups: number
  readonly mostAtOnce: number
  readonly blocked: number
  readonly stale: number
}

/** So many times the minute of a value's life and the second of its lookup. */
const periods = runs(1, 3)
const until = periods * 61_000

const simulate = (options: Omit<Cache.StoreOptions<string, number, never>, "timeToLive">): Cost => {
  const world = new World()
  const cost = { lookups: 0, mostAtOnce: 0, running: 0, requests: 0, blocked: 0, stale: 0 }
  const story = Effect.gen(function* () {
    const runtime = yield* Effect.runtime()
    const run = Runtime.runFork(runtime)
    const cache = yield* Cache.make({
      ...options,
      timeToLive: "1 minute",
      lookup: (_: string) =>
        Effect.suspend(() => {
          cost.lookups++
          cost.mostAtOnce = Math.max(cost.mostAtOnce, ++cost.running)
          return Effect.sleep("1 second")
        }).pipe(Effect.map(() => --cost.running))
    }) as Effect.Effect<Cache.Cache<string, number>>
    const request = Effect.suspend(() => {
      const asked = world.now
      return Effect.map(cache.serve("a"), ({ state }) => {
        if (world.now > asked) cost.blocked++
        if (state !== "fresh") cost.stale++
      })
    })
    run(request)
    world.run()
    world.moveTo(1000)
    Object.assign(cost, { lookups: 0, mostAtOnce: 0, blocked: 0 })
    const random = Random.make("arrivals")
    const arrivals = Effect.whileLoop({
      while: () => world.now < 1000 + until,
      body: () => random.next,
      step: (draw) => {
        world.moveTo(world.now - Math.log(1 - draw))
        cost.requests++
        run(request)
        world.run()
      }
    })
    yield* arrivals
    world.moveTo(world.now + 1000)
    return cost
  })
  const seeded = story.pipe(
    Effect.scoped,
    Effect.withClock(world),
    Effect.withRandom(Random.make("draws")),
    Effect.withScheduler(world.scheduler)
  )
  Effect.runSync(seeded)
  const { blocked, lookups, mostAtOnce, requests, stale } = cost
  return { lookups, mostAtOnce, blocked: blocked / requests, stale: stale / requests }
}

describe("a stampede on a cache", () => {
  // One request in 61 comes while a lookup is under way, a thousand in a period. Chance moves their number by its root.
  const inTheGap = 1 / 61
  const tolerance = (3 * inTheGap) / Math.sqrt(periods * 1000)

  it("makes one lookup, for which some have to wait", () => {
    const cost = simulate({})
    assert.strictEqual(cost.lookups, periods)
    assert.strictEqual(cost.mostAtOnce, 1)
    assert.approximately(cost.blocked, inTheGap, tolerance)
    assert.strictEqual(cost.stale, 0)
  })

  it("makes one lookup early, for which nobody has to wait", () => {
    const cost = simulate({ earlyRefresh: 1 })
    // Some 7.5 seconds early, with a deviation of 1.3 each: 61 / 53.5 is 1.14, and 183 / 53.5 is 3.4.
    assert.include([periods, periods + 1], cost.lookups)
    assert.strictEqual(cost.mostAtOnce, 1)
    assert.strictEqual(cost.blocked, 0)
    assert.strictEqual(cost.stale, 0)
  })

  it("makes one lookup, during which some are served a stale value", () => {
    const cost = simulate({ staleWhileRevalidate: "1 minute" })
    assert.strictEqual(cost.lookups, periods)
    assert.strictEqual(cost.mostAtOnce, 1)
    assert.strictEqual(cost.blocked, 0)
    assert.approximately(cost.stale, inTheGap, tolerance)
  })
})
