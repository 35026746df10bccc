/**
 * How a policy takes part in a fleet: the values of the option `share`. Each requires the {@link SharedStore} of the program.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Cache from "../cache/Cache.js"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import type * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import * as breaker from "./breaker.js"
import * as budget from "./budget.js"
import * as cache from "./cache.js"
import * as limiter from "./limiter.js"
import type { SharedStore } from "./SharedStore.js"

// --------------------------------------------------------------------------------------------------- circuit breakers

/**
 * The options of {@link local}.
 *
 * @since 0.1.0
 * @category circuit breakers
 */
export type { LocalOptions } from "./breaker.js"

/**
 * Shares evidence, not verdicts: each process decides by its own calls and by those of the others, without the store in the path of
 * a call.
 *
 * - The circuit opens for all when the calls of all meet the trip rule and `quorum` processes have seen failures. A process whose own
 *   calls meet it opens its own circuit, and no other.
 * - What opens, closes or is done by hand reaches every process at once, and within an interval of the store when an announcement is
 *   lost. So do settings that `configure` changes; an `openFor` must then be a duration.
 * - A half-open circuit admits `halfOpen.permits` probes in the whole fleet.
 * - While the store does not answer, each process goes on by itself. It joins again with the first answer.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Trip } from "effect-resilience"
 * import { Share, SharedStore } from "effect-resilience/fleet"
 *
 * class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
 *
 * // Layer<Partner, never, SharedStore>
 * const PartnerLive = Partner.layer({
 *   trip: Trip.failureRate({ threshold: 0.5, within: "10 seconds", minimumCalls: 20 }),
 *   share: Share.local()
 * })
 *
 * const program = Effect.succeed("hot offer").pipe(
 *   Partner.protect,
 *   Effect.provide(PartnerLive),
 *   Effect.provide(SharedStore.memory)
 * )
 * ```
 *
 * @since 0.1.0
 * @category circuit breakers
 */
export const local: (
  options?: breaker.LocalOptions
) => (breaker: CircuitBreaker.Shareable) => Effect.Effect<CircuitBreaker.Link, never, SharedStore> =
  breaker.local

/**
 * @since 0.1.0
 * @category circuit breakers
 */
export type { InlineOptions, OnStoreFailure } from "./breaker.js"

/**
 * Gives the store the last word in every call: each call asks it before and after. The processes count as one, so that
 * `Trip.consecutive(5)` means five failures in a row, whichever processes they are in.
 *
 * **When to use**: where one call too many costs more than two round trips in every call. Otherwise use {@link local}.
 *
 * Calls that wait at the same time go with one exchange. When the store does not answer, `onStoreFailure` says what a call does;
 * the first such calls wait for the deadline of the store, later ones not at all. Only `"fail"` adds `StoreUnavailable` to the error
 * type, and a tag is then declared with it.
 *
 * @example
 * ```ts
 * import { Trip, CircuitBreaker } from "effect-resilience"
 * import { Share, type SharedStore } from "effect-resilience/fleet"
 *
 * class Payments extends CircuitBreaker.Tag("Payments")<Payments, SharedStore.StoreUnavailable>() {}
 *
 * // Layer<Payments, never, SharedStore>
 * export const PaymentsLive = Payments.layer({
 *   trip: Trip.consecutive(5),
 *   openFor: "60 seconds",
 *   share: Share.inline({ onStoreFailure: "fail" })
 * })
 * ```
 *
 * @since 0.1.0
 * @category circuit breakers
 */
export const inline: <Mode extends breaker.OnStoreFailure = "local">(
  options?: breaker.InlineOptions<Mode>
) => (
  breaker: CircuitBreaker.Shareable
) => Effect.Effect<CircuitBreaker.Link<breaker.AwayIn<Mode>>, never, SharedStore> = breaker.inline

// -------------------------------------------------------------------------------------------------------------- caches

/**
 * The options of {@link values}.
 *
 * @since 0.1.0
 * @category caches
 */
export type { KeyedValuesOptions, ValuesOptions } from "./cache.js"

/**
 * A second level for a cache: what one process has looked up, all have.
 *
 * - A process that has no fresh value looks in the store before it looks the key up. One process at a time looks a key up; the others
 *   wait for its value, or serve a stale one meanwhile, as the options of the cache say. A process that dies loses the right to it
 *   after `lease`.
 * - A failure stays in its process: it is neither shared nor remembered by others. A process whose lookup fails lets the next one try.
 *   A process waits for others for two leases at most; then it looks up by itself.
 * - `set` and `invalidate` change the store, and `refresh` looks up for all. Other processes keep what they have until it is stale.
 *   `invalidateAll` forgets what this process knows, and looks every key up again.
 * - While the store does not answer, the cache goes on without it.
 *
 * A value that cannot be decoded, as after a release that has changed the schema, is looked up again and replaced. A value that cannot
 * be encoded stays in its process; the log says so once.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Cache } from "effect-resilience"
 * import { Share, SharedStore } from "effect-resilience/fleet"
 *
 * class Offer extends Schema.Class<Offer>("Offer")({ price: Schema.Number }) {}
 * declare const fetchOffer: (id: string) => Effect.Effect<Offer, "unavailable">
 *
 * class Offers extends Cache.Tag("Offers")<Offers, typeof fetchOffer>() {}
 *
 * // Layer<Offers, never, SharedStore>
 * const OffersLive = Offers.layer({
 *   lookup: fetchOffer,
 *   timeToLive: "1 minute",
 *   staleIfError: "1 hour",
 *   share: Share.values({ value: Offer })
 * })
 *
 * const program = Offers.get("4711").pipe(Effect.provide(OffersLive), Effect.provide(SharedStore.memory))
 * ```
 *
 * Leases: Nishtala et al., _Scaling Memcache at Facebook_, NSDI 2013; fencing as Martin Kleppmann, _How to do distributed locking_,
 * 2016, describes it.
 *
 * @since 0.1.0
 * @category caches
 */
export const values: {
  <A, I, R>(
    options: cache.ValuesOptions<A, I, R>
  ): (cache: Cache.Shareable) => Effect.Effect<Cache.Link<string, A>, never, SharedStore | R>
  <A, I, R, K>(
    options: cache.KeyedValuesOptions<A, I, R, (key: K) => string>
  ): (cache: Cache.Shareable) => Effect.Effect<Cache.Link<K, A>, never, SharedStore | R>
  <A, I, R, K, KI, KR>(
    options: cache.KeyedValuesOptions<A, I, R, Schema.Schema<K, KI, KR>>
  ): (cache: Cache.Shareable) => Effect.Effect<Cache.Link<K, A>, never, SharedStore | R | KR>
} = cache.values

// ------------------------------------------------------------------------------------------------------ rate limiters

/**
 * The options of {@link leasedRate} and of {@link inlineRate}.
 *
 * @since 0.1.0
 * @category rate limiters
 */
export type { InlineRateOptions, LeasedRateOptions } from "./limiter.js"

/**
 * Shares a rate, and takes its permits in advance: as many as the process uses in a `period`. Most calls are admitted without asking the
 * store; one that finds no permits waits for one answer. While the store answers, all processes together never exceed the token bucket.
 *
 * - The store grants at least half of the burst. The rest has room for permits that processes hold, and for processes that lost the store.
 * - A process keeps permits for at most two periods, then gives them back.
 * - While the store does not answer, `onStoreFailure` decides. A process that alone loses the store adds its share to the rate of the
 *   others, unless it rejects. Afterwards all keep to their shares until the last must have come back, ten intervals of the store. A
 *   process that starts without the store rejects until it knows its fleet.
 *
 * Only for a token bucket, with a burst of at least 4. A `cost` is at most what the store grants at once.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 * import { Share, SharedStore } from "effect-resilience/fleet"
 *
 * class Partner extends RateLimiter.Tag("Partner")<Partner>() {}
 *
 * // Layer<Partner, never, SharedStore>
 * const PartnerLive = Partner.layer({
 *   rate: RateLimiter.tokenBucket({ limit: 1000, per: "1 second" }),
 *   share: Share.leasedRate()
 * })
 *
 * const program = Effect.succeed("hot offer").pipe(
 *   Partner.protect,
 *   Effect.provide(PartnerLive),
 *   Effect.provide(SharedStore.memory)
 * )
 * ```
 *
 * @since 0.1.0
 * @category rate limiters
 */
export const leasedRate: (
  options?: limiter.LeasedRateOptions
) => (limiter: RateLimiter.Shareable) => Effect.Effect<RateLimiter.Link, never, SharedStore> =
  limiter.leasedRate

/**
 * Shares a rate, and asks the store for every call: the processes get exactly the rate, and each call costs a round trip. A call that
 * has to wait asks again when the store said that its turn is.
 *
 * For a smooth rate, for a token bucket that is too small to be leased, and for calls that are few.
 *
 * Without an answer within the deadline of the store (500 milliseconds), `onStoreFailure` decides as it does for {@link leasedRate}.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-resilience"
 * import { Share } from "effect-resilience/fleet"
 *
 * class Reports extends RateLimiter.Tag("Reports")<Reports>() {}
 *
 * // Layer<Reports, never, SharedStore>
 * export const ReportsLive = Reports.layer({
 *   rate: RateLimiter.smooth({ limit: 10, per: "1 minute" }),
 *   maxWait: "10 seconds",
 *   share: Share.inlineRate({ onStoreFailure: "reject" })
 * })
 * ```
 *
 * @since 0.1.0
 * @category rate limiters
 */
export const inlineRate: (
  options?: limiter.InlineRateOptions
) => (limiter: RateLimiter.Shareable) => Effect.Effect<RateLimiter.Link, never, SharedStore> =
  limiter.inlineRate

// ------------------------------------------------------------------------------------------------------ retry budgets

/**
 * Makes `minPerSecond` of a budget's rule the number for the whole fleet: each process has its part, divided by the living processes.
 * A floor in each process keeps a service down that fifty of them retry; that of the fleet does not grow with it.
 *
 * While the store does not answer, the number that was last known holds. Before the first answer a process counts as the only one.
 * Tokens that calls put in, and those that a budget begins with, are each process's own.
 *
 * @example
 * ```ts
 * import { RetryBudget } from "effect-resilience"
 * import { Share } from "effect-resilience/fleet"
 *
 * class PartnerBudget extends RetryBudget.Tag("PartnerBudget")<PartnerBudget>() {}
 *
 * // Layer<PartnerBudget, never, SharedStore>
 * export const PartnerBudgetLive = PartnerBudget.layer({
 *   rule: RetryBudget.successes({ ratio: 0.1, minPerSecond: 3 }),
 *   share: Share.floor()
 * })
 * ```
 *
 * @since 0.1.0
 * @category retry budgets
 */
export const floor: () => (
  budget: RetryBudget.Shareable
) => Effect.Effect<RetryBudget.Link, never, SharedStore> = budget.floor
