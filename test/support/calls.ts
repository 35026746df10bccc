/** The calls that most tests make, and what a test does with them. */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import { Policy } from "effect-resilience"

export const up = Effect.succeed("up")
export const down = Effect.fail("down" as const)

/** Lets the other fibers run until each of them waits. */
export const settled = Effect.repeatN(Effect.yieldNow(), 20)

/** Starts a call and lets it get as far as it can. */
export const forked = <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.zipLeft(Effect.fork(call), settled)

/** The defect of an effect that dies of a bad option. */
export const refusalOf = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<Policy.InvalidOption, never, R> =>
  Effect.map(Effect.exit(self), (exit) => {
    const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
    assert.instanceOf(defect, Policy.InvalidOption)
    return defect
  })
