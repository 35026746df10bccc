/**
 * Limits how many calls run in a period. A call that comes too early is rejected or waits for its turn.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import { object, type Shape, whereRead } from "../core/options.js"
import * as core from "../core/rateLimit.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { type DurationInput, optionMillis, withDurations } from "../internal/duration.js"
import { valueInWords } from "../policy/describe.js"
import { limiters } from "./limiter.js"
import type { RateLimitExceeded } from "./rateLimitExceeded.js"
import type { Sharing } from "./sharing.js"
import type { Checked, Configured } from "../policy/types.js"
import type * as Policy from "../policy/Policy.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-resilience/RateLimiter")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

// -------------------------------------------------------------------------------------------------------------- rates

/**
 * How many calls in how much time. Plain data, with `per` in milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export type Rate = core.Rate

/**
 * A number of calls, and the time in which they may be made.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limit {
  /** How many calls (or, where calls have a cost, how much of it): a whole number from 1 to 10 000 000. */
  readonly limit: number
  /** In how much time: from 1 millisecond to 365 days, in whole microseconds. A number is milliseconds. */
  readonly per: DurationInput
}

/**
 * Evenly paced: at least `per / limit` between one call and the next, n times as long after a call of cost n. Unused time is not
 * saved up.
 *
 * **When to use**: towards something that suffers from short bursts. With `maxWait`, calls that come at once are spread out.
 *
 * **Contract**: at most `limit` calls in any time of length `per`, and exactly as many when calls always wait. The pace is kept to
 * the microsecond, but waiting calls whose turns fall into the same millisecond start together.
 *
 * The leaky bucket as a queue, with the cost paid after the call as in Guava's `RateLimiter`.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-resilience"
 *
 * export const rate = RateLimiter.smooth({ limit: 10, per: "1 second" }) // one call each 100 milliseconds
 * ```
 *
 * @since 0.1.0
 * @category rates
 */
export const smooth = (options: Limit): Rate => limited("smooth", options)

/**
 * Fixed windows: `limit` calls in each window of length `per`. The first begins when the limiter is made; the unused rest of one
 * is not carried into the next.
 *
 * **When to use**: where the other side counts in the same way, such as a quota per day, and for the least memory.
 *
 * **Contract**: at most `limit` calls in each window. At the edge between two windows up to twice the `limit` can come at once;
 * where that is too many, take {@link slidingWindow}.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-resilience"
 *
 * export const quota = RateLimiter.bursty({ limit: 1000, per: "1 day" })
 * ```
 *
 * @since 0.1.0
 * @category rates
 */
export const bursty = (options: Limit): Rate => limited("bursty", options)

/**
 * A bucket of `burst` permits (by default as many as `limit`), full at first and refilled evenly at the rate of `limit` in `per`.
 * A call takes its cost out of the bucket.
 *
 * **When to use**: for most limits: bursts up to a bound, and a steady rate in the long run.
 *
 * **Contract**: in any time t at most `burst + limit * t / per`. The generic cell rate algorithm (GCRA) of ATM Forum Traffic
 * Management 4.0.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-resilience"
 *
 * export const rate = RateLimiter.tokenBucket({ limit: 100, per: "1 second", burst: 20 })
 * ```
 *
 * @since 0.1.0
 * @category rates
 */
export const tokenBucket = (options: Limit & { readonly burst?: number | undefined }): Rate => {
  const name = "RateLimiter.tokenBucket"
  object(name, "", options, { ...limit, burst: whereRead })
  const { burst = options.limit } = options
  const per = perMillis(name, options)
  return core.checked(name, { _tag: "tokenBucket", limit: options.limit, per, burst })
}

/**
 * At most `limit` calls in any window of length `per`, wherever it begins. The instants of calls are kept, at most 16 bytes each.
 *
 * **When to use**: where the other side never forgives: the whole limit is there at once, and no window can hold more. For
 * limits beyond some 100 000 prefer {@link tokenBucket}, which needs no memory.
 *
 * **Contract**: never more than `limit` in any time of length `per` (with its beginning and without its end). Exact, not an
 * interpolation between two counters.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-resilience"
 *
 * export const rate = RateLimiter.slidingWindow({ limit: 100, per: "1 minute" })
 * ```
 *
 * @since 0.1.0
 * @category rates
 */
export const slidingWindow = (options: Limit): Rate => limited("slidingWindow", options)

const limit: Shape<Limit> = { limit: whereRead, per: whereRead }

const limited = (tag: Exclude<Rate["_tag"], "tokenBucket">, options: Limit): Rate => {
  const name = `RateLimiter.${tag}`
  object(name, "", options, limit)
  return core.checked(name, { _tag: tag, limit: options.limit, per: perMillis(name, options) })
}

const perMillis = (name: string, { per }: Limit): number =>
  core.millis(core.micros(optionMillis(name, "per", per, { bounds: core.perBounds })))

/**
 * A rate in words.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-resilience"
 *
 * console.log(RateLimiter.describe(RateLimiter.bursty({ limit: 100, per: 1000 }))) // bursty(limit: 100, per: 1s)
 * ```
 *
 * @since 0.1.0
 * @category utils
 */
export const describe = (rate: Rate): string => valueInWords(withDurations(rate, "per"))

// ------------------------------------------------------------------------------------------------------------- models

/**
 * @since 0.1.0
 * @category errors
 */
export { RateLimitExceeded } from "./rateLimitExceeded.js"

/**
 * A call, or a reservation, whose turn is later.
 *
 * @since 0.1.0
 * @category events
 */
export interface Queued extends Policy.Event<"rate-limiter", "Queued"> {
  readonly cost: number
  /** How long until its turn. For a call it becomes less when a call before it leaves. */
  readonly wait: Duration.Duration
  /** How many are in the queue, this one included. */
  readonly queued: number
}

/**
 * A call that was admitted and is about to run.
 *
 * @since 0.1.0
 * @category events
 */
export interface Admitted extends Policy.Event<"rate-limiter", "Admitted"> {
  readonly cost: number
  /** How long it waited; zero when it was its turn at once. */
  readonly waited: Duration.Duration
}

/**
 * A change of the rate.
 *
 * @since 0.1.0
 * @category events
 */
export interface RateChanged extends Policy.Event<"rate-limiter", "RateChanged"> {
  readonly from: Rate
  readonly to: Rate
}

/**
 * A call that was rejected, with the fields of its error.
 *
 * @since 0.1.0
 * @category events
 */
export interface Rejected
  extends
    Policy.Event<"rate-limiter", "Rejected">,
    Pick<RateLimitExceeded, "limit" | "cost" | "reason" | "retryAfter"> {
  readonly error: RateLimitExceeded
}

/**
 * A call or a reservation that left the queue, in the step in which it did. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Dequeued extends Policy.Event<"rate-limiter", "Dequeued"> {
  readonly cost: number
  /** Its turn came, a change of rate put its turn too late, or it was interrupted or cancelled. */
  readonly reason: "admitted" | "rejected" | "left"
}

/**
 * A permit that was given back as far as it still counts: the call did not run, or its condition ignores how it ended. For the
 * program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface GivenBack extends Policy.Event<"rate-limiter", "GivenBack"> {
  readonly cost: number
}

/**
 * What happens in a limiter.
 *
 * @since 0.1.0
 * @category events
 */
export type Event = Queued | Dequeued | Admitted | Rejected | GivenBack | RateChanged

/**
 * A limiter's state as plain data. Times are milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly name: string
  /** When the snapshot was taken, in milliseconds since the epoch. */
  readonly takenAt: number
  readonly rate: Rate
  /** How many calls of cost 1 would be admitted at once. */
  readonly available: number
  /** How long until one of them would be, if no other call comes before. */
  readonly retryAfter: number
  /** How many are in the queue, reservations for later included. */
  readonly queued: number
  /** Calls and reservations admitted since the limiter was made. */
  readonly admitted: number
  /** Calls and reservations rejected since the limiter was made. */
  readonly rejected: number
}

/**
 * A reserved turn. The caller waits for it by itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reservation {
  /** How long until the turn, from the moment of the reservation. */
  readonly wait: Duration.Duration
  /** Gives the turn back, once. Those behind it move up; after the turn has come, as much is given back as still counts. */
  readonly cancel: Effect.Effect<void>
}

/**
 * A limiter's policy with a condition, for effects that succeed with an `A` and fail with an `E`, or with less than these.
 *
 * @since 0.1.0
 * @category models
 */
export type ProtectFor<A, E, Needed = never> = Policy.PolicyFor<A, E, RateLimitExceeded, Needed>

/**
 * Makes a policy of a condition.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProtectWhen<Needed = never> {
  <A, E>(
    condition: FailureCondition.FailureCondition<A, E>
  ): Policy.PolicyFor<A, E, RateLimitExceeded, Needed>
}

/**
 * What can be done with a limiter, given that `Needed` is there: an instance needs nothing, a tag needs the service. A `cost` is a
 * whole number of at least 1 (default: the limiter's own); another is a defect of type `InvalidOption`, thrown by `withCost`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operations<Needed = never> {
  /** Runs an effect when its turn has come. A call that has begun has used its permit: the other side may have counted it. */
  readonly protect: Policy.Policy<RateLimitExceeded, Needed>
  /**
   * `protect` for effects of one type. A call whose exit the condition ignores gives its permit back, as far as it still counts and
   * as that breaks the contract for no other call. An interrupted call keeps it.
   */
  readonly protectWhen: ProtectWhen<Needed>
  /** `protect` for calls that weigh more or less than the limiter's own cost. */
  readonly withCost: (cost: number) => Policy.Policy<RateLimitExceeded, Needed>
  /** Takes a turn if it is there at once, and says whether it was. Never waits and never overtakes those who do. */
  readonly tryAcquire: (cost?: number) => Effect.Effect<boolean, never, Needed>
  /** Takes a turn as a call would: waits for it up to `maxWait`, or fails. */
  readonly acquire: (cost?: number) => Effect.Effect<void, RateLimitExceeded, Needed>
  /**
   * Takes a turn, however far away: `maxWait` does not apply. It fails for a cost that can never be admitted and when the queue is
   * full. The turn stays when those before it leave.
   */
  readonly reserve: (cost?: number) => Effect.Effect<Reservation, RateLimitExceeded, Needed>
  /** How many calls of cost 1 would be admitted at once: none while a call waits. */
  readonly available: Effect.Effect<number, never, Needed>
  /**
   * Changes the rate. Calls admitted and turns reserved before count under the new one too. Waiting calls keep their places and get
   * new turns; one that would wait for longer than `maxWait` is rejected at once.
   */
  readonly setRate: (rate: Rate) => Effect.Effect<void, never, Needed>
  readonly snapshot: Effect.Effect<Snapshot, never, Needed>
  /** The changes of the rate from now on. A subscriber that falls more than 64 changes behind loses the oldest. */
  readonly changes: Stream.Stream<RateChanged, never, Needed>
}

/**
 * A rate limiter. Make one for each limit, and share it between all calls that the limit is about.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateLimiter extends Operations, Policy.Described {
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
  /** The name in errors, events and snapshots. Default: the tag's identifier, or `"rate-limiter"`. */
  readonly name?: string | undefined
  /** How many calls in how much time. There is no default, it depends on what is called. */
  readonly rate: Rate
  /** How long a call may wait for its turn. One whose turn is later is rejected at once. Default: 0, no call waits. */
  readonly maxWait?: DurationInput | undefined
  /** How many may be in the queue, calls that wait and reservations for later: a whole number. Default: 1000. */
  readonly maxQueued?: number | undefined
  /** What a call costs: a whole number of at least 1, at most `limit` (for a token bucket, `burst`). Default: 1. */
  readonly cost?: number | undefined
}

/**
 * Settings for `layerConfig`, each a `Config` or an object of them.
 *
 * @since 0.1.0
 * @category options
 */
export interface SettingsConfig extends Configured<Settings> {}

/**
 * Only the call (or the `setRate`) waits for its listeners. One that fails or dies is logged and changes nothing.
 *
 * @since 0.1.0
 * @category options
 */
export interface Listeners {
  /** Called when a call has entered the queue. It runs during the call's wait, and is interrupted when `maxWait` is over. */
  readonly onQueued?: ((event: Queued) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called before a call runs, when its turn has come. */
  readonly onAdmitted?: ((event: Admitted) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called before a call that was rejected fails. */
  readonly onRejected?: ((event: Rejected) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onRateChanged?: ((event: RateChanged) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/**
 * What a limiter is given besides its settings.
 *
 * @since 0.1.0
 * @category options
 */
export interface Given extends Listeners {
  /**
   * Shares the rate with the limiters of the same name in other processes: `Share.leasedRate` or `Share.inlineRate` of
   * `effect-resilience/fleet`, which require the store that they share. It needs a `name`; a tag has one. Default: each process has
   * the rate for itself.
   */
  readonly share?: Sharing | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Options extends Settings, Given {}

// ------------------------------------------------------------------------------------------------------------ sharing

/**
 * @since 0.1.0
 * @category sharing
 */
export type { Link, Shareable, Sharing } from "./sharing.js"

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Makes a limiter. Bad options are a defect of type `InvalidOption`.
 *
 * **When to use**: for limiters that are made at run time; {@link Tag} makes a service of one that the program has. Make it once
 * and share it: a limiter made for each call limits nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 *
 * const program = Effect.gen(function* () {
 *   const limiter = yield* RateLimiter.make({ rate: RateLimiter.smooth({ limit: 1, per: "1 second" }) })
 *   const mail = Effect.log("sent").pipe(limiter.protect, Effect.either)
 *   return yield* Effect.all([mail, mail]) // the second is a Left with RateLimitExceeded
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <O>(
  options: Checked<O, Options>
): Effect.Effect<RateLimiter, never, Policy.ContextOf<O>> => limiters.make(options)

/**
 * The options of {@link keyed}.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyedOptions extends Policy.Bounds {
  /** The options of each limiter, or a function of its key (`"*"` for the shared one). The key is added to the name. */
  readonly options: Options | ((key: string) => Options)
}

/**
 * What can be done with a limiter for each key, given that `Needed` is there.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedOperations<Needed = never> extends Policy.Keyed<
  RateLimiter,
  Snapshot,
  Operations<Needed>,
  Needed
> {
  readonly protect: (key: string) => Policy.Policy<RateLimitExceeded, Needed>
  readonly protectWhen: (key: string) => ProtectWhen<Needed>
  readonly withCost: (key: string, cost: number) => Policy.Policy<RateLimitExceeded, Needed>
}

/**
 * A rate limiter for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedRateLimiter extends KeyedOperations {}

/**
 * Makes a limiter for each key: a tenant, an address, an API key. Each has the rate for itself.
 *
 * At most `capacity` limiters (1000) are kept. One without a call for `idleTimeToLive` (10 minutes) is forgotten, but never one
 * whose admissions still count or in which a call waits. A new key without room shares one limiter with all other such keys, or
 * has none with `whenFull: "bypass"`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 *
 * const program = Effect.gen(function* () {
 *   const rate = RateLimiter.tokenBucket({ limit: 100, per: "1 second" })
 *   const tenants = yield* RateLimiter.keyed({ options: { rate }, capacity: 10_000 })
 *   return yield* Effect.succeed("hello").pipe(tenants.protect("acme"))
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyed = <O>(
  options: Checked<O, KeyedOptions>
): Effect.Effect<KeyedRateLimiter, never, Policy.KeyedContextOf<O>> => limiters.keyed(options)

// ----------------------------------------------------------------------------------------------------------- services

/**
 * What a limiter's tag offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface Service<Self>
  extends Operations<Self>, Policy.Layers<Self, Options, Settings, SettingsConfig, Given> {}

/**
 * The class that a limiter's tag extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface TagClass<Self, Id extends string>
  extends Context.TagClass<Self, `RateLimiter/${Id}`, RateLimiter>, Service<Self> {}

/**
 * A rate limiter as a service of its own. Extend it once for each limit.
 *
 * **When to use**: around calls to something with a quota, and in front of something that must not get more than it can do. To
 * limit how many calls run *at a time*, use `Bulkhead`.
 *
 * **Time line**
 *
 * - *Its turn, and no call waits*: the call runs at once.
 * - *Its turn is later, but within `maxWait`*: the call enters the queue. First come, first served; no call overtakes, not even a
 *   cheaper one. When a call leaves, those behind move up. The wait can be interrupted even where the caller cannot.
 * - *Its turn is later than that*, or the queue is full: the call is rejected at once with {@link RateLimitExceeded}, which
 *   says when it would be admitted, unless it costs more than can ever be admitted at once.
 *
 * **Adds** `RateLimitExceeded`, and requires the service.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 *
 * class Partner extends RateLimiter.Tag("Partner")<Partner>() {}
 *
 * // Effect<string, "down" | RateLimitExceeded, Partner>
 * const offer = Effect.fail("down" as const).pipe(Effect.as("hot offer"), Partner.protect)
 *
 * const PartnerLive = Partner.layer({
 *   rate: RateLimiter.tokenBucket({ limit: 100, per: "1 second", burst: 20 }),
 *   maxWait: "500 millis"
 * })
 * const program = offer.pipe(Effect.provide(PartnerLive))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const Tag: <const Id extends string>(id: Id) => <Self>() => TagClass<Self, Id> = limiters.Tag

/**
 * What the tag of keyed limiters offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface KeyedService<Self>
  extends KeyedOperations<Self>, Policy.KeyedLayers<Self, KeyedOptions, Settings, Given> {}

/**
 * The class that a tag of keyed limiters extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface KeyedTagClass<Self, Id extends string>
  extends Context.TagClass<Self, `KeyedRateLimiter/${Id}`, KeyedRateLimiter>, KeyedService<Self> {}

/**
 * A limiter for each key, as a service: {@link keyed} with layers.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 *
 * class Users extends RateLimiter.KeyedTag("Users")<Users>() {}
 *
 * // Effect<string, RateLimitExceeded, Users>
 * const search = Effect.succeed("found").pipe(Users.protect("ada"))
 *
 * const UsersLive = Users.layer({ options: { rate: RateLimiter.tokenBucket({ limit: 100, per: "1 minute" }) } })
 * const program = search.pipe(Effect.provide(UsersLive))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const KeyedTag: <const Id extends string>(id: Id) => <Self>() => KeyedTagClass<Self, Id> =
  limiters.KeyedTag

/**
 * The limiter of a program that has just one. A program with several makes a {@link Tag} for each.
 *
 * @example
 * ```ts
 * import { Config, Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 *
 * const rate = Config.map(Config.integer("LIMIT"), (limit) => RateLimiter.smooth({ limit, per: "1 second" }))
 * const program = Effect.succeed("hot offer").pipe(
 *   RateLimiter.protect,
 *   Effect.provide(RateLimiter.layerConfig({ rate }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const RateLimiter: Context.Tag<RateLimiter, RateLimiter> & Service<RateLimiter> = limiters.service()

/**
 * The layer of {@link RateLimiter}.
 *
 * @since 0.1.0
 * @category services
 */
export const layer = RateLimiter.layer

/**
 * The layer of {@link RateLimiter} whose settings come from the configuration.
 *
 * @since 0.1.0
 * @category services
 */
export const layerConfig = RateLimiter.layerConfig

/**
 * `protect` of {@link RateLimiter}.
 *
 * @since 0.1.0
 * @category services
 */
export const protect = RateLimiter.protect

/**
 * `protectWhen` of {@link RateLimiter}.
 *
 * @since 0.1.0
 * @category services
 */
export const protectWhen = RateLimiter.protectWhen

/**
 * `withCost` of {@link RateLimiter}.
 *
 * @since 0.1.0
 * @category services
 */
export const withCost = RateLimiter.withCost
