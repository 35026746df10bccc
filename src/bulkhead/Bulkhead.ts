/**
 * Limits how many calls run concurrently and how many may queue, so that a slow dependency cannot use up the whole program.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { bulkheads } from "./limit.js"
import type { BulkheadFull } from "./bulkheadFull.js"
import type { Checked, Configured } from "../policy/types.js"
import type * as Policy from "../policy/Policy.js"
import type { DurationInput } from "../internal/duration.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-resilience/Bulkhead")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

// ------------------------------------------------------------------------------------------------------------- models

/**
 * @since 0.1.0
 * @category errors
 */
export { BulkheadFull } from "./bulkheadFull.js"

/**
 * A call that found no free permit and waits in the queue.
 *
 * @since 0.1.0
 * @category events
 */
export interface Queued extends Policy.Event<"bulkhead", "Queued"> {
  readonly permits: number
  /** How many calls are queued, this one included. */
  readonly queued: number
}

/**
 * A call that got its permits and is about to run.
 *
 * @since 0.1.0
 * @category events
 */
export interface Admitted extends Policy.Event<"bulkhead", "Admitted"> {
  readonly permits: number
  /** How long it waited in the queue; zero when there was a free place. */
  readonly waited: Duration.Duration
}

/**
 * A call that was rejected, with the fields of its error.
 *
 * @since 0.1.0
 * @category events
 */
export interface Rejected
  extends
    Policy.Event<"bulkhead", "Rejected">,
    Pick<BulkheadFull, "reason" | "permits" | "requested" | "queued" | "retryAfter"> {
  readonly error: BulkheadFull
}

/**
 * A call that was counted as a success.
 *
 * @since 0.1.0
 * @category events
 */
export interface Success extends Policy.Event<"bulkhead", "Success"> {
  /** How long the call held its permits. */
  readonly duration: Duration.Duration
}

/**
 * A call that was counted as a failure.
 *
 * @since 0.1.0
 * @category events
 */
export interface Failure extends Policy.Event<"bulkhead", "Failure"> {
  /** How long the call held its permits. */
  readonly duration: Duration.Duration
  readonly failure: FailureCondition.Failed<unknown, unknown>
}

/**
 * A call that ran and was counted neither as a success nor as a failure. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Ignored extends Policy.Event<"bulkhead", "Ignored"> {
  /** How long the call held its permits. */
  readonly duration: Duration.Duration
}

/**
 * A call that was interrupted while it ran. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Interrupted extends Policy.Event<"bulkhead", "Interrupted"> {
  /** How long the call held its permits. */
  readonly duration: Duration.Duration
}

/**
 * Permits that were taken, in the step in which they were. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Acquired extends Policy.Event<"bulkhead", "Acquired"> {
  readonly permits: number
}

/**
 * Permits that were given back, in the step in which they were. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Released extends Policy.Event<"bulkhead", "Released"> {
  readonly permits: number
}

/**
 * A call that left the queue, in the step in which it did. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Dequeued extends Policy.Event<"bulkhead", "Dequeued"> {
  readonly permits: number
  /** It got its permits, was rejected because there are fewer than it asks for, waited for `maxWait`, or was interrupted. */
  readonly reason: "granted" | "full" | "expired" | "interrupted"
}

/**
 * A change of how many permits there are.
 *
 * @since 0.1.0
 * @category events
 */
export interface Resized extends Policy.Event<"bulkhead", "Resized"> {
  readonly from: number
  readonly to: number
}

/**
 * What happens in a bulkhead.
 *
 * @since 0.1.0
 * @category events
 */
export type Event =
  | Queued
  | Dequeued
  | Admitted
  | Acquired
  | Rejected
  | Success
  | Failure
  | Ignored
  | Interrupted
  | Released
  | Resized

/**
 * A bulkhead's state as plain data.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly name: string
  readonly permits: number
  /** How many permits are taken. After shrinking, for a while more than there are. */
  readonly inUse: number
  /** How many calls hold permits. */
  readonly running: number
  readonly queued: number
  /** Calls rejected since the bulkhead was made. */
  readonly rejected: number
  /** Calls counted as successes since the bulkhead was made. */
  readonly successes: number
  /** Calls counted as failures since the bulkhead was made. */
  readonly failures: number
}

/**
 * A bulkhead's policy with a condition, for effects that succeed with an `A` and fail with an `E`, or with less than these.
 *
 * @since 0.1.0
 * @category models
 */
export type ProtectFor<A, E, Needed = never> = Policy.PolicyFor<A, E, BulkheadFull, Needed>

/**
 * Makes a policy of a condition.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProtectWhen<Needed = never> {
  <A, E>(condition: FailureCondition.FailureCondition<A, E>): Policy.PolicyFor<A, E, BulkheadFull, Needed>
}

/**
 * What can be done with a bulkhead, given that `Needed` is there: an instance needs nothing, a tag needs the service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operations<Needed = never> {
  /** Runs an effect with one permit. A typed failure or a defect counts as a failure, an interruption as nothing. */
  readonly protect: Policy.Policy<BulkheadFull, Needed>
  /** `protect` for effects of one type. The condition says how their exits are counted; it does not decide who is admitted. */
  readonly protectWhen: ProtectWhen<Needed>
  /**
   * `protect` for calls that take so many permits, a whole number of at least 1. A call that asks for more than there are is
   * rejected at once.
   */
  readonly withPermits: (permits: number) => Policy.Policy<BulkheadFull, Needed>
  /** Takes one permit, waiting as a call would, and releases it when the scope closes. The exit of the scope is counted. */
  readonly acquire: Effect.Effect<void, BulkheadFull, Needed | Scope.Scope>
  /**
   * Changes how many permits there are: a whole number of at least 0; any other value is a defect of type `InvalidOption`. More
   * permits go to queued calls at once. With fewer, running calls finish, and queued calls that ask for more than there are get
   * rejected. With `0`, running calls finish, and other calls queue, while there is room, until it is resized again.
   */
  readonly resize: (permits: number) => Effect.Effect<void, never, Needed>
  readonly snapshot: Effect.Effect<Snapshot, never, Needed>
  /** The changes of size from now on. A subscriber that falls more than 64 changes behind loses the oldest. */
  readonly changes: Stream.Stream<Resized, never, Needed>
}

/**
 * A bulkhead. Make one for each thing that can be overloaded by itself, and share it between all calls to that thing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bulkhead extends Operations, Policy.Described {
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
  /** The name in errors, events and snapshots. Default: the tag's identifier, or `"bulkhead"`. */
  readonly name?: string | undefined
  /** How many calls may run at a time: a whole number of at least 1. There is no default, it depends on what is called. */
  readonly permits: number
  /** How many calls may queue: a whole number. Default: 0, no call waits, because a queue hides an overload until it is long. */
  readonly maxQueued?: number | undefined
  /** How long a call may wait in the queue. Only with `maxQueued`. Default: as long as it takes. */
  readonly maxWait?: DurationInput | undefined
  /** By which share `retryAfter` of a rejection is at most longer than estimated, at random: from 0 to 10. Default: 0.5. */
  readonly retryAfterJitter?: number | undefined
}

/**
 * Settings for `layerConfig`, each a `Config` or an object of them.
 *
 * @since 0.1.0
 * @category options
 */
export interface SettingsConfig extends Configured<Settings> {}

/**
 * Only the call (or the `resize`) waits for its listeners. One that fails or dies is logged and changes nothing.
 *
 * @since 0.1.0
 * @category options
 */
export interface Listeners {
  /** Called when a call has entered the queue. It runs during the wait, within `maxWait`; meanwhile permits go to those behind. */
  readonly onQueued?: ((event: Queued) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called before a call runs, with its permits taken. What it does not do at once, it does while the call runs. */
  readonly onAdmitted?: ((event: Admitted) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called before a call that was rejected fails. */
  readonly onRejected?: ((event: Rejected) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called after a call has given its permits back and was counted as a success. */
  readonly onSuccess?: ((event: Success) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called after a call has given its permits back and was counted as a failure. */
  readonly onFailure?: ((event: Failure) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onResized?: ((event: Resized) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Options extends Settings, Listeners {}

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Makes a bulkhead. Bad options are a defect of type `InvalidOption`.
 *
 * **When to use**: for bulkheads that are made at run time; {@link Tag} makes a service of one that the program has. Make it once
 * and share it: a bulkhead made for each call admits every call.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * const program = Effect.gen(function* () {
 *   const bulkhead = yield* Bulkhead.make({ name: "reports", permits: 1 })
 *   const report = Effect.sleep("1 second").pipe(bulkhead.protect, Effect.either)
 *   return yield* Effect.all([report, report], { concurrency: 2 }) // the second is a Left with BulkheadFull
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <O>(options: Checked<O, Options>): Effect.Effect<Bulkhead, never, Policy.ContextOf<O>> =>
  bulkheads.make(options)

/**
 * The options of {@link keyed}.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyedOptions extends Policy.Bounds {
  /** The options of each bulkhead, or a function of its key (`"*"` for the shared one). The key is added to the name. */
  readonly options: Options | ((key: string) => Options)
}

/**
 * What can be done with a bulkhead for each key, given that `Needed` is there.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedOperations<Needed = never> extends Policy.Keyed<
  Bulkhead,
  Snapshot,
  Operations<Needed>,
  Needed
> {
  readonly protect: (key: string) => Policy.Policy<BulkheadFull, Needed>
  readonly protectWhen: (key: string) => ProtectWhen<Needed>
  readonly withPermits: (key: string, permits: number) => Policy.Policy<BulkheadFull, Needed>
}

/**
 * A bulkhead for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedBulkhead extends KeyedOperations {}

/**
 * Makes a bulkhead for each key: a tenant, a host, a route. One key with many calls takes nothing from the others.
 *
 * At most `capacity` bulkheads (1000) are kept. One without a call for `idleTimeToLive` (10 minutes) is forgotten, but never one in
 * which a call runs or waits. A new key without room shares one bulkhead with all other such keys, or has none with
 * `whenFull: "bypass"`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * const program = Effect.gen(function* () {
 *   const tenants = yield* Bulkhead.keyed({ options: { permits: 4, maxQueued: 16, maxWait: "1 second" } })
 *   return yield* Effect.succeed("report").pipe(tenants.protect("acme"))
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyed = <O>(
  options: Checked<O, KeyedOptions>
): Effect.Effect<KeyedBulkhead, never, Policy.KeyedContextOf<O>> => bulkheads.keyed(options)

// ----------------------------------------------------------------------------------------------------------- services

/**
 * What a bulkhead's tag offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface Service<Self>
  extends Operations<Self>, Policy.Layers<Self, Options, Settings, SettingsConfig, Listeners> {}

/**
 * The class that a bulkhead's tag extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface TagClass<Self, Id extends string>
  extends Context.TagClass<Self, `Bulkhead/${Id}`, Bulkhead>, Service<Self> {}

/**
 * A bulkhead as a service of its own. Extend it once for each thing that can be overloaded by itself.
 *
 * **When to use**: around calls to something that can only do so much at a time (a database, a CPU-bound task), and around any
 * dependency that must not occupy the whole program when it becomes slow.
 *
 * **Time line**
 *
 * - *A permit is free and no call waits*: the call runs at once.
 * - *No permit is free*: the call enters the queue, or is rejected with {@link BulkheadFull} when that is full.
 * - *Queued*: first come, first served. A call that waited for `maxWait` is rejected. The wait can be interrupted even where the
 *   caller cannot.
 * - *The call ends*, however it does: its permits go to the head of the queue, and then the outcome is counted.
 *
 * **Adds** `BulkheadFull`, and requires the service.
 *
 * The pattern is from Michael T. Nygard, _Release It!_; the direct hand-over of permits is how a fair semaphore works.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * class Database extends Bulkhead.Tag("Database")<Database>() {}
 *
 * // Effect<string, "down" | BulkheadFull, Database>
 * const user = Effect.fail("down" as const).pipe(Effect.as("a user"), Database.protect)
 *
 * const DatabaseLive = Database.layer({ permits: 10, maxQueued: 50, maxWait: "1 second" })
 * const program = user.pipe(Effect.provide(DatabaseLive))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const Tag: <const Id extends string>(id: Id) => <Self>() => TagClass<Self, Id> = bulkheads.Tag

/**
 * What the tag of keyed bulkheads offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface KeyedService<Self>
  extends KeyedOperations<Self>, Policy.KeyedLayers<Self, KeyedOptions, Settings, Listeners> {}

/**
 * The class that a tag of keyed bulkheads extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface KeyedTagClass<Self, Id extends string>
  extends Context.TagClass<Self, `KeyedBulkhead/${Id}`, KeyedBulkhead>, KeyedService<Self> {}

/**
 * A bulkhead for each key, as a service: {@link keyed} with layers.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * class Tenants extends Bulkhead.KeyedTag("Tenants")<Tenants>() {}
 *
 * // Effect<string, BulkheadFull, Tenants>
 * const report = Effect.succeed("report").pipe(Tenants.protect("acme"))
 *
 * const program = report.pipe(Effect.provide(Tenants.layer({ options: { permits: 4 }, capacity: 100 })))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const KeyedTag: <const Id extends string>(id: Id) => <Self>() => KeyedTagClass<Self, Id> =
  bulkheads.KeyedTag

/**
 * The bulkhead of a program that has just one. A program with several makes a {@link Tag} for each.
 *
 * @example
 * ```ts
 * import { Config, Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * const live = Bulkhead.layerConfig({ permits: Config.integer("MAX_CALLS") })
 * const program = Effect.succeed("hot offer").pipe(Bulkhead.protect, Effect.provide(live))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const Bulkhead: Context.Tag<Bulkhead, Bulkhead> & Service<Bulkhead> = bulkheads.service()

/**
 * The layer of {@link Bulkhead}.
 *
 * @since 0.1.0
 * @category services
 */
export const layer = Bulkhead.layer

/**
 * The layer of {@link Bulkhead} whose settings come from the configuration.
 *
 * @since 0.1.0
 * @category services
 */
export const layerConfig = Bulkhead.layerConfig

/**
 * `protect` of {@link Bulkhead}.
 *
 * @since 0.1.0
 * @category services
 */
export const protect = Bulkhead.protect

/**
 * `protectWhen` of {@link Bulkhead}.
 *
 * @since 0.1.0
 * @category services
 */
export const protectWhen = Bulkhead.protectWhen

/**
 * `withPermits` of {@link Bulkhead}.
 *
 * @since 0.1.0
 * @category services
 */
export const withPermits = Bulkhead.withPermits
