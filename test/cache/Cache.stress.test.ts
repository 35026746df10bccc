import { assert, describe, it } from "@effect/vitest"
import { Cache as EffectCache, Cause, Effect, Exit, Fiber, FiberRef, Option, type Scope } from "effect"
import { Cache } from "effect-resilience"
import { type Interleaving, mistakes } from "../support/interleave.js"
import { runs } from "../support/runs.js"

type Lookup = (key: string) => Effect.Effect<number, "down">

/** What the story needs of a cache. */
interface Subject {
  readonly get: Lookup
  readonly refresh: Lookup
  readonly set: (key: string, value: number) => Effect.Effect<void>
  readonly invalidate: (key: string) => Effect.Effect<void>
  /** Must be 0 in the end. */
  readonly left: Effect.Effect<number>
}

type Make = (lookup: Lookup) => Effect.Effect<Subject, never, Scope.Scope>

const keys = ["a", "b", "c"]

/** Forty fibers get, refresh, set and invalidate, and are interrupted at random. Returns what went wrong. */
const story = (make: Make, { advance, random, yieldSome }: Interleaving): Effect.Effect<Array<string>> =>
  Effect.gen(function* () {
    const wrong: Array<string> = []
    /** Values are numbered in the order of their making: a greater one is newer. */
    let number = 0
    const set = new Set<number>()
    /** A call that begins now must get no value older than this. */
    const oldest = new Map(keys.map((key) => [key, 0]))
    const outdate = (key: string, change: (number: number) => Effect.Effect<void>) =>
      Effect.suspend(() => {
        const next = ++number
        return Effect.map(change(next), () => oldest.set(key, Math.max(oldest.get(key)!, next)))
      })

    let calls = 0
    let running = 0
    const currentCall = yield* FiberRef.make(0)
    const started = new Set<number>()
    const interruptedItself = new Set<number>()
    const lookUp = (key: string) =>
      Effect.gen(function* () {
        const call = yield* FiberRef.get(currentCall)
        const value = ++number
        if (started.has(call)) wrong.push("a caller started more than one lookup")
        started.add(call)
        yield* yieldSome(6)
        switch (random(8)) {
          case 0:
            return yield* Effect.fail("down" as const)
          case 1:
            return yield* Effect.die(`bug of ${key}`)
          case 2:
            interruptedItself.add(call)
            return yield* Effect.interrupt
          default:
            return value
        }
      })
    const subject = yield* make((key) =>
      Effect.acquireUseRelease(
        Effect.sync(() => running++),
        () => lookUp(key),
        () => Effect.sync(() => running--)
      )
    )

    const ask = Effect.suspend(() => {
      const call = ++calls
      const key = keys[random(keys.length)]
      const since = oldest.get(key)!
      const lookup = random(8) === 0 ? subject.refresh(key) : subject.get(key)
      return Effect.map(Effect.exit(Effect.locally(lookup, currentCall, call)), (exit) => {
        if (Exit.isSuccess(exit)) {
          if (!set.has(exit.value) && exit.value < since) wrong.push("an outdated value was served")
        } else if (Cause.isInterruptedOnly(exit.cause) && !interruptedItself.has(call)) {
          wrong.push("the interruption of another reached a caller")
        }
      })
    })
    const act = Effect.suspend((): Effect.Effect<unknown> => {
      const key = keys[random(keys.length)]
      switch (random(10)) {
        case 0:
          return outdate(key, (next) => {
            set.add(next)
            return subject.set(key, next)
          })
        case 1:
          return outdate(key, () => subject.invalidate(key))
        default:
          return ask
      }
    })
    const fibers = yield* Effect.forEach(Array(40), () =>
      Effect.fork(Effect.repeatN(Effect.zipRight(yieldSome(6), act), 5))
    )
    const events = [
      advance(1),
      Effect.yieldNow(),
      Effect.suspend(() => Fiber.interruptFork(fibers[random(fibers.length)]))
    ]
    for (let step = 0; step < 60; step++) yield* events[random(events.length)]
    yield* Effect.repeatN(Effect.yieldNow(), 1000)
    for (const fiber of fibers) {
      if (Option.isSome(yield* Fiber.poll(fiber))) continue
      wrong.push("a caller waits for ever")
      yield* Fiber.interruptFork(fiber)
    }
    if (running !== 0) wrong.push("a lookup runs that no call waits for")
    if ((yield* subject.left) !== 0) wrong.push("the counts do not add up")
    return wrong
  }).pipe(Effect.scoped)

const seeds = runs(8, 300)

const mistakesOf = (make: Make, preemptOneIn?: number) =>
  mistakes({ seeds, preemptOneIn }, (interleaving) => story(make, interleaving))

const right: Make = (lookup) =>
  Effect.map(
    Cache.make({
      lookup,
      capacity: 2,
      timeToLive: "2 millis",
      staleWhileRevalidate: "2 millis",
      staleIfError: "5 millis",
      negativeTimeToLive: "1 millis"
    }),
    (cache) => ({ ...cache, left: Effect.map(cache.snapshot, ({ inFlight, waiting }) => inFlight + waiting) })
  )

/** Runs the lookup in the fiber of the first caller. */
const effects: Make = (lookup) =>
  Effect.map(EffectCache.make({ lookup, capacity: 2, timeToLive: "2 millis" }), (cache) => ({
    get: (key: string) => cache.get(key),
    refresh: (key: string) => Effect.zipRight(cache.refresh(key), cache.get(key)),
    set: (key: string, value: number) => cache.set(key, value),
    invalidate: (key: string) => cache.invalidate(key),
    left: Effect.succeed(0)
  }))

describe("a cache under random interleavings", () => {
  for (const [when, preemptOneIn] of [
    ["where they yield", undefined],
    ["anywhere", 20]
  ] as const) {
    it.effect(`of fibers that pause ${when}, everybody is served, once, and with nothing outdated`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* mistakesOf(right, preemptOneIn), {})
      })
    )
  }

  it.effect("a cache whose lookups die with their first caller is found out", () =>
    Effect.gen(function* () {
      const found = yield* mistakesOf(effects)
      assert.isAbove(found["the interruption of another reached a caller"] ?? 0, seeds / 6)
    })
  )
})
