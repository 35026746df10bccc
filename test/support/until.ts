/** Waiting for something without guessing how long it takes. */
import { Effect } from "effect"

const longestPause = 25

/**
 * Reads again and again until a value holds, for a minute and a half at most, which only a machine with much else to do needs. The pauses between two readings are real time, also
 * where a test has a clock of its own, because sockets know no other; they grow, so that a long wait is not busy.
 */
export const until = <A, E, R>(
  read: Effect.Effect<A, E, R>,
  holds: (value: A) => boolean
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const giveUpAt = performance.now() + 90_000
    const again = (pause: number): Effect.Effect<A, E, R> =>
      Effect.flatMap(read, (value) => {
        if (holds(value)) return Effect.succeed(value)
        if (performance.now() < giveUpAt) {
          return Effect.zipRight(realMillis(pause), again(Math.min(pause * 1.2, longestPause)))
        }
        return Effect.die(new Error(`Waited in vain; the last value was ${JSON.stringify(value)}`))
      })
    return again(1)
  })

const realMillis = (millis: number) =>
  Effect.async<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })
