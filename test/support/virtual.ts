/** Effects that end as a test says, run to their end in virtual time. */
import { Clock, Effect, type Exit, Fiber, TestClock } from "effect"
import { Retry } from "effect-resilience"

/** Runs to the end, however long that takes in virtual time. */
export const finish = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Exit.Exit<A, E>, never, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.exit(self))
    yield* TestClock.adjust("365 days")
    return yield* Fiber.join(fiber)
  })

/** Ends like each of the given effects in turn, then like the last of them, and remembers when it began. */
export const scripted = <A, E, R>(
  ...steps: readonly [Effect.Effect<A, E, R>, ...Array<Effect.Effect<A, E, R>>]
) => {
  const begun: Array<number> = []
  const call = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    begun.push(now)
    return steps[Math.min(begun.length, steps.length) - 1]
  })
  return { begun, call }
}

/** Retries. The options in the tables have no listeners that need services, which their type does not show. */
export const retried = <A, E>(self: Effect.Effect<A, E>, options: Retry.Options<A, E>) =>
  Retry.retry(self, options) as Effect.Effect<A, unknown>

/** A list of what happened, and when. */
export const timeline = () => {
  const log: Array<string> = []
  const note = (what: string): Effect.Effect<void> =>
    Effect.map(Clock.currentTimeMillis, (now) => void log.push(`${now} ${what}`))
  return { log, note }
}
