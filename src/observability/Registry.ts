/**
 * All policies of a program.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type * as Bulkhead from "../bulkhead/Bulkhead.js"
import type * as Cache from "../cache/Cache.js"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import type * as Policy from "../policy/Policy.js"
import type * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import type { Totals } from "./tally.js"

/**
 * What there is to see of a cache, whatever it holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface AnyCache extends Policy.Described {
  readonly [Cache.TypeId]: Cache.TypeId
  readonly snapshot: Effect.Effect<Cache.Snapshot>
}

/**
 * A policy that has a snapshot.
 *
 * @since 0.1.0
 * @category models
 */
export type Instance =
  | CircuitBreaker.CircuitBreaker
  | Bulkhead.Bulkhead
  | RateLimiter.RateLimiter
  | RetryBudget.RetryBudget
  | AnyCache

/**
 * An event of a policy that is worth remembering: a change of state, of size or of rate, a budget that is exhausted or recovers, a
 * call that was rejected, timed out, given up or replaced.
 *
 * @since 0.1.0
 * @category models
 */
export interface Happening {
  /** When it happened for the first time, in milliseconds since the epoch. */
  readonly at: number
  readonly event: Policy.Event
  /** How often it happened within the second that it stands for. Changes stand alone. */
  readonly count: number
}

/**
 * @since 0.1.0
 * @category models
 */
export type { Labels, Totals } from "./tally.js"

/**
 * A policy of the program. Retries, hedges, timeouts and fallbacks have no instance: they are known by their events, from the first
 * one on, and those of one kind and name are one entry.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  readonly kind: string
  /** The name in events and errors. That of an instance of a keyed policy ends with its key. */
  readonly name: string
  /** The name of the keyed policy for its instances, otherwise the same as `name`. */
  readonly family: string
  /** The key of an instance of a keyed policy, `"*"` for the one that is shared by keys without room. */
  readonly key: string | undefined
  readonly instance: Instance | undefined
  /** Calls that a circuit breaker has admitted and that have not ended. `undefined` for other kinds: their snapshots tell. */
  readonly inFlight: number | undefined
  /** What has been counted since the program began, for all policies of one kind and `family` together, or with `keyLabel` of one key. */
  readonly totals: Totals
  /** The last change of state, size or rate, and whether a budget was exhausted or recovered. */
  readonly lastChange: Happening | undefined
  /** The last twenty things that happened, the oldest first. */
  readonly recent: ReadonlyArray<Happening>
}

/**
 * A policy was made, or is gone: its layer's scope ended, or nothing refers to it any more, which shows with the next reading.
 *
 * @since 0.1.0
 * @category models
 */
export interface Change {
  readonly _tag: "Made" | "Left"
  readonly kind: string
  readonly name: string
  /** Whether it is a keyed policy. The instances of its keys come and go without a change here. */
  readonly isKeyed: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** All policies, in the order in which they were made. Those by key follow their keyed policy, and those without instance come last. */
  readonly all: Effect.Effect<ReadonlyArray<Entry>>
  /** The policies of a name, and of a kind if one is given. There may be several: names are not unique. */
  readonly find: (name: string, kind?: string) => Effect.Effect<ReadonlyArray<Entry>>
  /** Instances and keyed policies that are made or leave from now on. A subscriber that falls more than 64 behind loses the oldest. */
  readonly changes: Stream.Stream<Change>
}

/**
 * The registry of a program, which `Observability.layer` provides. It finds what layers, keyed policies and HTTP parts make within
 * that layer, and keeps nothing alive: a policy leaves when its scope ends, its key is evicted, or nothing refers to it any more.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Registry } from "effect-resilience/observability"
 *
 * const names = Effect.gen(function* () {
 *   const registry = yield* Registry.Registry
 *   const entries = yield* registry.all
 *   return entries.map(({ kind, name }) => `${kind} ${name}`)
 * })
 * ```
 *
 * @since 0.1.0
 * @category context
 */
export class Registry extends Context.Tag("effect-resilience/Registry")<Registry, Service>() {}
