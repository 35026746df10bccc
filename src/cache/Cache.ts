/**
 * Caches values of a slow or unreliable resource: callers share lookups, and stale values bridge refreshes and failures.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as FailureCondition from "../policy/FailureCondition.js"
import type { Link, Shareable } from "./sharing.js"
import { caches, stores } from "./store.js"
import type { Checked, Configured } from "../policy/types.js"
import type * as Policy from "../policy/Policy.js"
import type { DurationInput } from "../internal/duration.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-resilience/Cache")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

// ------------------------------------------------------------------------------------------------------------- models

/**
 * How a value was served that is past its time to live. `revalidating`: it is being looked up again. `stale`: it is not,
 * because the last attempt failed and that failure is still remembered. `error-stale`: it stands in for a failed lookup.
 *
 * @since 0.1.0
 * @category models
 */
export type StaleState = "revalidating" | "stale" | "error-stale"

/**
 * How a value was served: within its time to live, or as a {@link StaleState}.
 *
 * @since 0.1.0
 * @category models
 */
export type State = "fresh" | StaleState

/**
 * A value, and how it was served.
 *
 * @since 0.1.0
 * @category models
 */
export interface Served<out A> {
  readonly value: A
  readonly state: State
  /** The time since the value was stored; zero for one that was just looked up. */
  readonly age: Duration.Duration
}

/**
 * A lookup that failed or died.
 *
 * @since 0.1.0
 * @category models
 */
export type Failed<E> = FailureCondition.ErrorFailed<E> | FailureCondition.DefectFailed<E>

/**
 * @since 0.1.0
 * @category errors
 */
export { CircularLookup } from "./circularLookup.js"

/**
 * @since 0.1.0
 * @category errors
 */
export { CacheClosed } from "./cacheClosed.js"

/**
 * A value, or a remembered failure, was served within its time to live.
 *
 * @since 0.1.0
 * @category events
 */
export interface Hit<out K> extends Policy.Event<"cache", "Hit"> {
  readonly key: K
  /** The time since what was served was stored. */
  readonly age: Duration.Duration
}

/**
 * A call has to wait for a lookup: it starts one, or joins the one that is under way.
 *
 * @since 0.1.0
 * @category events
 */
export interface Miss<out K> extends Policy.Event<"cache", "Miss"> {
  readonly key: K
}

/**
 * A value was served past its time to live.
 *
 * @since 0.1.0
 * @category events
 */
export interface Stale<out K> extends Policy.Event<"cache", "Stale"> {
  readonly key: K
  readonly state: StaleState
  /** The time since the value was stored. */
  readonly age: Duration.Duration
}

/**
 * A refresh ended: a lookup in the background, or one that was asked for by `refresh`.
 *
 * @since 0.1.0
 * @category events
 */
export interface Refresh<out K, out A, out E> extends Policy.Event<"cache", "Refresh"> {
  readonly key: K
  readonly exit: Exit.Exit<A, E>
  readonly duration: Duration.Duration
}

/**
 * The key that was not used for the longest time made room for another.
 *
 * @since 0.1.0
 * @category events
 */
export interface Evict<out K> extends Policy.Event<"cache", "Evict"> {
  readonly key: K
}

/**
 * A value that was stored: by a lookup, by hand, or from another process. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Stored<out K> extends Policy.Event<"cache", "Stored"> {
  readonly key: K
  /** For how long it is fresh from now on. Zero for one that came stale from another process. */
  readonly timeToLive: Duration.Duration
}

/**
 * What happens in a cache.
 *
 * @since 0.1.0
 * @category events
 */
export type Event<K, A, E> = Hit<K> | Miss<K> | Stale<K> | Stored<K> | Refresh<K, A, E> | Evict<K>

/**
 * What a cache holds and has done, as plain data. The counts are since it was made.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly name: string
  /** How many keys have a value or a remembered failure, those past their time included. */
  readonly size: number
  readonly inFlight: number
  readonly waiting: number
  /** Calls that were served a value or a remembered failure within its time to live. */
  readonly hits: number
  /** Calls that had to wait for a lookup. */
  readonly misses: number
  /** Calls that were served a value past its time to live. One that waited in vain before is among the misses too. */
  readonly stale: number
  /** Lookups started. Less than the misses by what single flight has saved. */
  readonly lookups: number
  /** How many of the lookups were refreshes: in the background, or asked for. */
  readonly refreshes: number
  /** Lookups that failed or died. */
  readonly failures: number
  readonly evictions: number
  /** Values that the shared store had, so that nothing was looked up. Only with `share`. */
  readonly fromStore?: number
}

/**
 * A cache's policy for effects of its type.
 *
 * @since 0.1.0
 * @category models
 */
export interface CachedFor<A, in out E, B = A, Needed = never> {
  <R>(self: Effect.Effect<A, E, R>): Effect.Effect<B, E, R | Needed>
}

/**
 * What can be done with a store, given that `Needed` is there: an instance needs nothing, a tag needs the service.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoreOperations<in K, in out A, in out E, out Needed = never> {
  /**
   * The value of a key. When there is none, the piped effect is run for all who ask meanwhile, in a fiber of the cache with the
   * services and the `FiberRef`s of the call that started it.
   */
  readonly cached: (key: K) => CachedFor<A, E, A, Needed>
  /** Like {@link cached}, and says how the value was served. */
  readonly served: (key: K) => CachedFor<A, E, Served<A>, Needed>
  /** The value of a key without a lookup, if one is kept, fresh or stale. Counts nowhere, and does not delay eviction. */
  readonly getOption: (key: K) => Effect.Effect<Option.Option<A>, never, Needed>
  /** Stores a value as if it had just been looked up. A lookup that is under way does not replace it. */
  readonly set: (key: K, value: A) => Effect.Effect<void, never, Needed>
  /** Forgets what is known about a key. A lookup that is under way is for those who already wait for it, and is not stored. */
  readonly invalidate: (key: K) => Effect.Effect<void, never, Needed>
  /** {@link invalidate} for all keys. */
  readonly invalidateAll: Effect.Effect<void, never, Needed>
  readonly snapshot: Effect.Effect<Snapshot, never, Needed>
}

/**
 * What can be done with a cache, given that `Needed` is there.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operations<in K, in out A, in out E, out Needed = never> extends StoreOperations<
  K,
  A,
  E,
  Needed
> {
  readonly get: (key: K) => Effect.Effect<A, E, Needed>
  /** The value of a key, and how it was served. */
  readonly serve: (key: K) => Effect.Effect<Served<A>, E, Needed>
  /**
   * Looks a key up, or joins the lookup that is under way, and waits for the outcome; meanwhile others are served what is stored.
   * A failure comes back as it is, and what was stored stays.
   */
  readonly refresh: (key: K) => Effect.Effect<A, E, Needed>
}

/**
 * A cache without a lookup of its own: what fills it is the effect that is piped through {@link StoreOperations.cached}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Store<in K, in out A, in out E = never> extends StoreOperations<K, A, E>, Policy.Described {
  readonly [TypeId]: TypeId
}

/**
 * A cache with a lookup.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cache<in K, in out A, in out E = never> extends Operations<K, A, E>, Policy.Described {
  readonly [TypeId]: TypeId
}

// ------------------------------------------------------------------------------------------------------------ options

/**
 * The options that are plain data.
 *
 * @since 0.1.0
 * @category options
 */
export interface Settings {
  /** The name in events and snapshots. Default: the tag's identifier, or `"cache"`. */
  readonly name?: string | undefined
  /** How many keys are kept. The one that was not used for the longest time makes room. Default: 1000. */
  readonly capacity?: number | undefined
  /** As in {@link StoreOptions}. */
  readonly timeToLive: DurationInput
  /**
   * How long after that a value is still served at once, while it is looked up again in the background
   * (`stale-while-revalidate` of RFC 5861). A refresh that fails leaves it. Default: none.
   */
  readonly staleWhileRevalidate?: DurationInput | undefined
  /** As in {@link StoreOptions}. */
  readonly staleIfError?: DurationInput | undefined
  /** As in {@link StoreOptions}. */
  readonly negativeTimeToLive?: DurationInput | undefined
  /**
   * How long a caller waits for a lookup, from its beginning, while `staleIfError` keeps a value. Then it gets that value, and the
   * lookup goes on in the background. Zero or more; needs `staleIfError`. Default: callers wait for the end of the lookup.
   */
  readonly softTimeout?: DurationInput | undefined
  /** The age that nothing that is served ever reaches, whatever the other options say. Default: no limit. */
  readonly maxAge?: DurationInput | undefined
  /**
   * Refreshes fresh values early by chance, the likelier the nearer their end and the longer the lookup takes (XFetch, VLDB'15).
   * The value is the paper's `beta`: `1` is its optimum, more refreshes earlier. Default: never.
   */
  readonly earlyRefresh?: number | undefined
}

/**
 * Settings for `layerConfig`, each a `Config` or an object of them.
 *
 * @since 0.1.0
 * @category options
 */
export interface SettingsConfig extends Configured<Settings> {}

/**
 * `onHit`, `onMiss` and `onStale` are called in the fiber of the call, `onRefresh` in that of the lookup, `onEvict` in the one
 * that stored something new. A listener that fails or dies is logged and changes nothing.
 *
 * @since 0.1.0
 * @category options
 */
export interface Listeners<K, A, E> {
  readonly onHit?: ((event: Hit<K>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onMiss?: ((event: Miss<K>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onStale?: ((event: Stale<K>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onRefresh?: ((event: Refresh<K, A, E>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onEvict?: ((event: Evict<K>) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/**
 * What a store is given besides its settings.
 *
 * @since 0.1.0
 * @category options
 */
export interface Given<K, A, E> extends Listeners<K, A, E> {
  /**
   * Shares values with the caches of the same name in other processes: `Share.values` in `effect-resilience/fleet`, which requires the
   * store that they share. It needs a `name`; a tag has one. Default: each process looks up for itself.
   */
  readonly share?: ((cache: Shareable) => Effect.Effect<Link<K, A>, never, unknown>) | undefined
}

/**
 * The options of a store. A function among them is asked in the middle of a step, so it should be quick and pure. One that throws
 * or returns no duration counts as zero, with a warning in the log.
 *
 * @since 0.1.0
 * @category options
 */
export interface StoreOptions<K, A, E>
  extends Omit<Settings, "timeToLive" | "staleIfError" | "negativeTimeToLive">, Given<K, A, E> {
  /**
   * How long a value is fresh, from the end of its lookup; a function decides for each outcome, failures and defects included.
   * With zero only calls at the same time share a lookup; an infinite duration lasts until the value is evicted.
   */
  readonly timeToLive: DurationInput | ((exit: Exit.Exit<A, E>, key: K) => DurationInput)
  /**
   * How long after its time to live a value stands in for a lookup that failed (`stale-if-error` of RFC 5861). A duration
   * holds for typed failures, a function decides for each failure and defect. Default: none.
   */
  readonly staleIfError?: DurationInput | ((failed: Failed<E>, key: K) => DurationInput) | undefined
  /**
   * How long calls get a failure, or a stale value, without another lookup. A duration holds for typed failures, a function decides
   * for each failure and defect. Not with a function as `timeToLive`, which is asked about failures too. Default: none.
   */
  readonly negativeTimeToLive?: DurationInput | ((failed: Failed<E>, key: K) => DurationInput) | undefined
}

/**
 * The options of a cache.
 *
 * @since 0.1.0
 * @category options
 */
export interface Options<K, A, E> extends StoreOptions<K, A, E> {
  /** Finds the value of a key. It runs with the services of the cache's maker, once for all who wait for it. */
  readonly lookup: (key: K) => Effect.Effect<A, E, unknown>
}

// ------------------------------------------------------------------------------------------------------------ sharing

/**
 * @since 0.1.0
 * @category sharing
 */
export type { Brought, Link, Shareable, Sought } from "./sharing.js"

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Makes a cache that lives as long as the scope. Bad options are a defect of type `InvalidOption`. When the scope closes, lookups
 * are interrupted, and callers that still wait, or call later, die with {@link CacheClosed}.
 *
 * **When to use**: for caches that are made at run time; {@link Tag} makes a service of one that the program has. Make it once and
 * share it: a cache made for each call holds nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Cache } from "effect-resilience"
 *
 * declare const fetchPrice: (id: string) => Effect.Effect<number, "unavailable">
 *
 * const program = Effect.gen(function* () {
 *   const prices = yield* Cache.make({ lookup: fetchPrice, timeToLive: "1 minute", staleIfError: "1 hour" })
 *   const { state, value } = yield* prices.serve("4711")
 *   yield* Effect.logInfo(`${state}: ${value}`)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <K, A, E, O>(
  options: Checked<O, Options<K, A, E>>
): Effect.Effect<Cache<K, A, E>, never, Scope.Scope | Policy.ContextOf<O>> =>
  caches.make(options as Options<unknown, unknown, unknown>) as never

/**
 * Makes a store for values of one type, that lives as long as the scope: a cache that is filled by the effects that are piped
 * through it. Bad options are a defect of type `InvalidOption`.
 *
 * **When to use**: where the effect of a call depends on more than its key, or as one policy among others in a pipe.
 * {@link StoreTag} makes a service of it.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Cache } from "effect-resilience"
 *
 * declare const fetchRate: (currency: string) => Effect.Effect<number, "unavailable">
 *
 * const program = Effect.gen(function* () {
 *   const rates = yield* Cache.makeStore<string, number, "unavailable">()({ timeToLive: "10 seconds" })
 *   return yield* fetchRate("EUR").pipe(rates.cached("EUR"))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeStore =
  <K, A, E = never>() =>
  <O>(
    options: Checked<O, StoreOptions<K, A, E>>
  ): Effect.Effect<Store<K, A, E>, never, Scope.Scope | Policy.ContextOf<O>> =>
    stores.make(options as StoreOptions<unknown, unknown, unknown>) as never

// ----------------------------------------------------------------------------------------------------------- services

/**
 * What a store's tag offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface StoreService<Self, K, A, E> extends StoreOperations<K, A, E, Self> {
  /** A layer with a store of these options. Bad options are a defect of type `InvalidOption`. */
  readonly layer: <O>(
    options: Checked<O, StoreOptions<K, A, E>>
  ) => Layer.Layer<Self, never, Exclude<Policy.ContextOf<O>, Scope.Scope>>
  /** A layer whose settings come from the configuration; listeners are given separately. Bad ones are a `ConfigError`. */
  readonly layerConfig: {
    (settings: SettingsConfig | Config.Config<Settings>): Layer.Layer<Self, ConfigError.ConfigError>
    <L>(
      settings: SettingsConfig | Config.Config<Settings>,
      given: Checked<L, Given<K, A, E>>
    ): Layer.Layer<Self, ConfigError.ConfigError, Exclude<Policy.ContextOf<L>, Scope.Scope>>
  }
}

/**
 * The class that a store's tag extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface StoreTagClass<Self, Id extends string, K, A, E>
  extends Context.TagClass<Self, `CacheStore/${Id}`, Store<K, A, E>>, StoreService<Self, K, A, E> {}

/**
 * The options that do not come from the configuration.
 *
 * @since 0.1.0
 * @category options
 */
export interface LookupOptions<K, A, E> extends Given<K, A, E> {
  /** Finds the value of a key. It runs with the services of the cache's maker, once for all who wait for it. */
  readonly lookup: (key: K) => Effect.Effect<A, E, unknown>
}

/**
 * What a cache's tag offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface Service<Self, K, A, E> extends Operations<K, A, E, Self> {
  /** A layer with a cache of these options. Bad options are a defect of type `InvalidOption`. */
  readonly layer: <O>(
    options: Checked<O, Options<K, A, E>>
  ) => Layer.Layer<Self, never, Exclude<Policy.ContextOf<O>, Scope.Scope>>
  /** A layer whose settings come from the configuration, except lookup and listeners. Bad ones are a `ConfigError`. */
  readonly layerConfig: <L>(
    settings: SettingsConfig | Config.Config<Settings>,
    options: Checked<L, LookupOptions<K, A, E>>
  ) => Layer.Layer<Self, ConfigError.ConfigError, Exclude<Policy.ContextOf<L>, Scope.Scope>>
}

/**
 * The class that a cache's tag extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface TagClass<Self, Id extends string, K, A, E>
  extends Context.TagClass<Self, `Cache/${Id}`, Cache<K, A, E>>, Service<Self, K, A, E> {}

/**
 * The types of a cache: those of its lookup, or keys, values and errors in words.
 *
 * @since 0.1.0
 * @category services
 */
export interface MakeTag<Id extends string> {
  <Self, Lookup extends (key: never) => Effect.Effect<unknown, unknown, unknown>>(): TagClass<
    Self,
    Id,
    Parameters<Lookup>[0],
    Effect.Effect.Success<ReturnType<Lookup>>,
    Effect.Effect.Error<ReturnType<Lookup>>
  >
  <Self, K, A, E = never>(): TagClass<Self, Id, K, A, E>
}

/**
 * A cache as a service of its own. Extend it once for each kind of value.
 *
 * **When to use**: in front of a lookup that is slow, costly or sometimes down, whose values may be a little old. Policies that
 * protect the resource (timeout, breaker, retry) belong into the lookup, so that they count lookups and not calls.
 *
 * **Time line**
 *
 * - *Fresh*, for `timeToLive`: the value is served. With `earlyRefresh`, a call may start a lookup in the background.
 * - *Stale*, for `staleWhileRevalidate` after that: the value is served, and looked up again in the background.
 * - *Expired*, for `staleIfError` after its freshness: calls wait for a lookup, and get the value if that fails, or takes longer
 *   than `softTimeout`.
 * - *Gone*: calls wait for a lookup and get what it brings. From `maxAge` on everything is gone.
 *
 * Calls for one key share one lookup (Nishtala et al., NSDI'13, call the right to it a lease). It is interrupted when its last
 * caller has left; a refresh in the background goes on until it ends or the scope of the cache does. A lookup that began before
 * `invalidate` or `set` is not stored. With `negativeTimeToLive`, a failure is served for that long without another lookup.
 *
 * **Adds** nothing to the errors, and requires the service.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Cache, Timeout } from "effect-resilience"
 *
 * declare const fetchPrice: (id: string) => Effect.Effect<number, "unavailable">
 *
 * const lookup = (id: string) => fetchPrice(id).pipe(Timeout.timeout("2 seconds"))
 *
 * class Prices extends Cache.Tag("Prices")<Prices, typeof lookup>() {}
 *
 * // Effect<number, "unavailable" | TimeoutExceeded, Prices>
 * const price = Prices.get("4711")
 *
 * const PricesLive = Prices.layer({ lookup, timeToLive: "1 minute", staleWhileRevalidate: "5 minutes" })
 * const program = price.pipe(Effect.provide(PricesLive))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const Tag: <const Id extends string>(id: Id) => MakeTag<Id> = caches.Tag

/**
 * The store of {@link makeStore} as a service of its own. Values are served as by {@link Tag}.
 *
 * **Adds** nothing to the errors, and requires the service.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Cache } from "effect-resilience"
 *
 * class Rates extends Cache.StoreTag("Rates")<Rates, string, number>() {}
 *
 * // Effect<number, never, Rates>
 * const rate = Effect.succeed(1.08).pipe(Rates.cached("EUR"))
 *
 * const program = rate.pipe(Effect.provide(Rates.layer({ timeToLive: "10 seconds" })))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const StoreTag: <const Id extends string>(
  id: Id
) => <Self, K, A, E = never>() => StoreTagClass<Self, Id, K, A, E> = stores.Tag as never
