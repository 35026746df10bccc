/**
 * How listeners are run, in one place for every policy. A listener is a function from an event to an effect.
 *
 * A listener given to one call (retry, timeout, fallback) belongs to that call: what it needs and how it can fail is part
 * of the call's type. A listener given to a shared policy belongs to nobody's call: whatever becomes of it, the call goes
 * on. A listener that dies never breaks a call in either case; it is reported in the log.
 *
 * The call waits for its listeners, and nobody else does: what others could use meanwhile, a permit or a place in line, is not
 * held for them.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { quoted } from "./quoted.js"

export type Listener<Event, E = never, R = never> = (event: Event) => Effect.Effect<unknown, E, R>

/** Runs a listener of one call: its typed errors are the call's, its defects are reported. */
export const notify = <Event, E, R>(
  policy: string,
  listener: Listener<Event, E, R> | undefined,
  event: Event
): Effect.Effect<void, E, R> =>
  listener === undefined
    ? Effect.void
    : Effect.catchAllCause(
        Effect.suspend(() => Effect.asVoid(listener(event))),
        (cause) =>
          Cause.isDie(cause) && !Cause.isInterrupted(cause) && !Cause.isFailure(cause)
            ? report(policy, cause)
            : Effect.failCause(cause)
      )

/** Runs a listener of a shared policy: nothing that becomes of it reaches the call, but an interruption of the call does. */
export const notifyShared = <Event, R>(
  policy: string,
  listener: Listener<Event, unknown, R> | undefined,
  event: Event
): Effect.Effect<void, never, R> =>
  listener === undefined
    ? Effect.void
    : Effect.catchAllCause(
        Effect.suspend(() => Effect.asVoid(listener(event))),
        (cause) => (Cause.isInterruptedOnly(cause) ? Effect.void : report(policy, cause))
      )

const report = (policy: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.logWarning(`a listener of ${quoted(policy)} failed`, cause)

/** Telling whoever listens, or `undefined` when nobody does: then it costs nothing. */
export type Told<E = never, R = never> = Effect.Effect<void, E, R> | undefined

/** One after the other. */
export const both = <E, R>(first: Told<E, R>, second: Told<E, R>): Told<E, R> =>
  first === undefined ? second : second === undefined ? first : Effect.zipRight(first, second)

/** An effect after whoever listens has been told. */
export const after = <A, E, R>(told: Told<E, R>, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  told === undefined ? self : Effect.zipRight(told, self)
