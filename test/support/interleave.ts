/** Stories of many fibers that are interleaved at random: the same story for the same seed. */
import { Effect, Scheduler } from "effect"
import { chance } from "./chance.js"
import { manualClock } from "./manualClock.js"

/** What decides how a story goes. */
export interface Interleaving {
  /** A whole number below a bound. */
  readonly random: (bound: number) => number
  /** Moves the clock by so many milliseconds. */
  readonly advance: (millis: number) => Effect.Effect<void>
  /** Yields to other fibers, fewer than so many times. */
  readonly yieldSome: (bound: number) => Effect.Effect<void>
}

export interface Options {
  /** In how many interleavings the story is told. */
  readonly seeds: number
  /** Fibers yield at one in so many of their steps. By default they do so only where they say so. */
  readonly preemptOneIn?: number | undefined
}

/** What went wrong in a story, and in how many of its interleavings. */
export const mistakes = (
  { preemptOneIn, seeds }: Options,
  story: (interleaving: Interleaving) => Effect.Effect<ReadonlyArray<string>>
): Effect.Effect<Record<string, number>> =>
  Effect.gen(function* () {
    const counts: Record<string, number> = {}
    for (let seed = 1; seed <= seeds; seed++) {
      const { below: random } = chance(seed)
      const { advance, clock } = manualClock()
      const yieldSome = (bound: number) =>
        Effect.suspend(() => Effect.repeatN(Effect.yieldNow(), random(bound)))
      const scheduler = Scheduler.make(
        (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
        () => preemptOneIn !== undefined && random(preemptOneIn) === 0 && 0
      )
      const wrong = yield* story({ random, advance, yieldSome }).pipe(
        Effect.withClock(clock),
        Effect.withScheduler(scheduler)
      )
      for (const what of new Set(wrong)) counts[what] = (counts[what] ?? 0) + 1
    }
    return counts
  })
