/** How policies run listeners: those of one call may fail it, those of a shared policy cannot. Only the call waits for them. */
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

/** Runs a listener of a shared policy: its failures do not reach the call; an interruption of the call reaches it. */
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

/** A notification, or `undefined` without a listener, which costs nothing. */
export type Told<E = never, R = never> = Effect.Effect<void, E, R> | undefined

/** One notification after the other. */
export const both = <E, R>(first: Told<E, R>, second: Told<E, R>): Told<E, R> =>
  first === undefined ? second : second === undefined ? first : Effect.zipRight(first, second)

/** Runs a notification, if any, before an effect. */
export const after = <A, E, R>(told: Told<E, R>, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  told === undefined ? self : Effect.zipRight(told, self)
