/** What a cache and its second level are to each other: types only, so that a cache that is not shared carries none of it. */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { DurationInput } from "../internal/duration.js"
import type { Body } from "../internal/erased.js"
import type { Told } from "../internal/listeners.js"
import type * as Policy from "../policy/Policy.js"
import type { Entries, Entry, Stored } from "./entries.js"
import type { Flight, Waiter } from "./flight.js"
import type { KeyMap } from "./keyMap.js"
import type { Configured } from "./options.js"

/**
 * A cache as its {@link Link} sees it.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Shareable {
  /** The name under which its values are shared. */
  readonly name: string
}

/**
 * A value that a cache does not have, or not fresh enough. Times are milliseconds; instants are those of the monotonic clock.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Sought<out K, in out A, out E, out R> {
  readonly key: K
  /** The last resort. */
  readonly lookup: Effect.Effect<A, E, R>
  /** From which age on a value has to be looked up again; infinite when that depends on the value. */
  readonly freshFor: number
  /** Older values are no news: what was stored before this instant has to be looked up again. */
  readonly newerThan: number
  readonly isFresh: (value: A, age: number) => boolean
  /** Takes a value that is being looked up again, to serve it meanwhile or in place of a failure. */
  readonly offer: (value: A, age: number, took: number) => void
}

/**
 * What came of a {@link Sought} value.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Brought<out A, out E> {
  readonly exit: Exit.Exit<A, E>
  /** How old the value is; 0 for one that was looked up. */
  readonly age: number
  /** How long its lookup took. */
  readonly took: number
  /**
   * Tells the other processes, once the callers of this one have been served: a value that is of use for so long, or `undefined` for
   * nothing that they should have. `false` when the value was outdated by then.
   */
  readonly publish: (keptFor: number | undefined) => Effect.Effect<boolean>
}

/**
 * What a `share` makes of a cache: its link to the caches of the same name in other processes.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Link<in K, in out A> {
  /** What the cache shows of it. */
  readonly settings: Policy.Settings
  /** Finds a value, or has it looked up. To be run where interruption is masked. */
  readonly find: <E, R>(sought: Sought<K, A, E, R>) => Effect.Effect<Brought<A, E>, never, R>
  /** A value that is of no use later has no `keptFor`. */
  readonly set: (key: K, value: A, keptFor: number | undefined) => Effect.Effect<void>
  /** Invalidates a key in the store and, by `forget`, in the cache. */
  readonly invalidate: (key: K, forget: Effect.Effect<void>) => Effect.Effect<void>
  readonly invalidateAll: Effect.Effect<void>
  /** What the snapshot of the cache has besides. */
  readonly counts: { readonly fromStore: number }
  /** @internal What a lookup in flight comes to. */
  readonly search: (
    engine: Engine,
    flight: Flight,
    lookup: (key: unknown) => Body,
    clock: Clock.Clock
  ) => Body
}

/** @internal The inside of a cache, as its second level sees it. */
export interface Engine {
  readonly parts: Configured
  readonly entries: Entries
  readonly flights: KeyMap<unknown, Flight>
  lookups: number
  /** Ends the wait of a caller. The lookup goes on for the cache. */
  tire(flight: Flight, waiter: Waiter): void
  entryOf(key: unknown, found: Entry | undefined): { readonly entry: Entry; readonly told: Told }
  /** Stores a value in an entry. */
  put(entry: Entry, stored: Stored, now: number): void
  compute(option: string, ask: () => DurationInput): { readonly millis: number; readonly told: Told }
}
