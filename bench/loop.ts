/** Runs a call many times inside one fiber, so that no fiber is started per call. The loop itself adds no operation. */
import { type Clock, Effect } from "effect"
import type { Call } from "./paths.js"

/** So many calls. One that fails needs a frame around it, which is one operation more. */
export const repeated = (
  call: Call,
  times: number,
  succeeds: boolean,
  clock?: Clock.Clock
): Effect.Effect<void> => {
  const calls = Effect.suspend(() => {
    let left = times
    if (!succeeds) {
      const next: Effect.Effect<unknown> = Effect.catchAllCause(call, () => step())
      const step = (): Effect.Effect<unknown> => (left-- > 0 ? next : Effect.void)
      return Effect.asVoid(step())
    }
    return Effect.whileLoop({
      while: () => left > 0,
      body: () => call as Effect.Effect<unknown>,
      step: () => {
        left -= 1
      }
    })
  })
  return clock === undefined ? calls : Effect.withClock(calls, clock)
}

/** Whether a call succeeds. */
export const doesSucceed = (call: Call): Promise<boolean> =>
  Effect.runPromise(
    Effect.match(call, {
      onFailure: () => false,
      onSuccess: () => true
    })
  )
