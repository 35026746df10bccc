/**
 * A circuit breaker stops calling a service when too many calls fail, gives it time to recover, and probes whether it has.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as core from "../core/circuit.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { breakers } from "./breaker.js"
import type { CircuitOpen } from "./circuitOpen.js"
import type { Link, Shareable } from "./sharing.js"
import type { Checked, Configured as ConfiguredBy } from "../policy/types.js"
import type * as Policy from "../policy/Policy.js"
import type * as Trip from "./Trip.js"
import type { DurationInput } from "../internal/duration.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-resilience/CircuitBreaker")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

// ------------------------------------------------------------------------------------------------------------- models

/**
 * What a call meets: `closed` runs and counts it, `open` rejects it, `half-open` runs it as a probe or rejects it. Three begin and
 * end only by hand: `isolated` rejects all calls, `disabled` runs them uncounted, `metrics-only` counts them and never opens.
 *
 * @since 0.1.0
 * @category models
 */
export type State = core.StateName

/**
 * @since 0.1.0
 * @category errors
 */
export { CircuitOpen } from "./circuitOpen.js"

/**
 * The calls counted in one state, and what the trip rules made of them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Metrics {
  readonly successes: number
  readonly failures: number
  /** The share of failures among the calls counted, from 0 to 1. */
  readonly failureRate: number
  readonly rejected: number
  /** One reading for each trip rule; none in states without rules. */
  readonly rules: ReadonlyArray<Trip.Reading>
}

/**
 * Why a circuit changed its state:
 *
 * - `tripped`: a trip rule was met, see `rule`.
 * - `elapsed`: the open time is over.
 * - `probes-succeeded`, `probes-failed`: enough probes succeeded, or can no longer succeed.
 * - `probe-overdue`: a probe that did not answer within `maxWait` was the failure that decided.
 * - `steered`: an operation of this breaker was called, see `operation`.
 * - `fleet`: the calls of all processes met `rule`, or, without one, another process changed the state.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = core.Reason

/**
 * The operations that change the state of a breaker.
 *
 * @since 0.1.0
 * @category models
 */
export type Operation =
  "open" | "close" | "halfOpen" | "isolate" | "release" | "disable" | "metricsOnly" | "enable" | "reset"

/**
 * A change of state.
 *
 * @since 0.1.0
 * @category events
 */
export interface StateChange extends Policy.Event<"circuit-breaker", "StateChange"> {
  readonly from: State
  readonly to: State
  readonly reason: Reason
  /** The first rule that was met, when a rule opened the circuit: with the numbers of this process, or for `fleet` of all. */
  readonly rule: Trip.Reading | undefined
  /** The operation that was called, when the reason is `steered`. */
  readonly operation: Operation | undefined
  /** The metrics of the state that was left. */
  readonly metrics: Metrics
  /** How long the circuit stays open, when it opened. */
  readonly openFor: Duration.Duration | undefined
}

/**
 * A call that was counted as a success.
 *
 * @since 0.1.0
 * @category events
 */
export interface Success extends Policy.Event<"circuit-breaker", "Success"> {
  readonly duration: Duration.Duration
}

/**
 * A call that was counted as a failure.
 *
 * @since 0.1.0
 * @category events
 */
export interface Failure extends Policy.Event<"circuit-breaker", "Failure"> {
  readonly duration: Duration.Duration
  /** What failed; `undefined` when the outcome was recorded by hand. */
  readonly failure: FailureCondition.Failed<unknown, unknown> | undefined
}

/**
 * A call that was rejected, with the fields of its error.
 *
 * @since 0.1.0
 * @category events
 */
export interface Rejected
  extends Policy.Event<"circuit-breaker", "Rejected">, Pick<CircuitOpen, "state" | "retryAfter"> {
  readonly error: CircuitOpen
}

/**
 * A call that was admitted and will be counted. It ends with one of `Success`, `Failure`, `Ignored` and `Interrupted`. For the
 * program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Admitted extends Policy.Event<"circuit-breaker", "Admitted"> {
  /** Whether it is a probe of a half-open circuit. */
  readonly probe: boolean
}

/**
 * A call that was admitted and not counted: the condition ignores how it ended, or the circuit has changed its state meanwhile. For
 * the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Ignored extends Policy.Event<"circuit-breaker", "Ignored"> {
  readonly duration: Duration.Duration
}

/**
 * A call that was admitted and interrupted. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface Interrupted extends Policy.Event<"circuit-breaker", "Interrupted"> {
  readonly duration: Duration.Duration
}

/**
 * Settings that were changed by {@link CircuitBreaker.configure}.
 *
 * @since 0.1.0
 * @category events
 */
export interface Configured extends Policy.Event<"circuit-breaker", "Configured"> {
  /** The settings as the breaker shows them, before and after. */
  readonly from: Policy.Settings
  readonly to: Policy.Settings
}

/**
 * What happens in a breaker.
 *
 * @since 0.1.0
 * @category events
 */
export type Event = StateChange | Admitted | Success | Failure | Ignored | Interrupted | Rejected | Configured

/**
 * What opens the circuit, for an `openFor` that is computed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Opening {
  /** What failed; `undefined` when no failing call opened it: a step by hand, a probe that never answered, a success. */
  readonly failure: FailureCondition.Failed<unknown, unknown> | undefined
  /** When to come back, where the failure says so: by the condition's `retryAfter`, or as the rejection of a policy. */
  readonly retryAfter: Duration.Duration | undefined
  /** Earlier openings since the circuit last recovered, that is, stayed closed for as long as it had been open. */
  readonly reopenings: number
}

/**
 * The probes of a half-open circuit. How many have ended is in the counts of its snapshot.
 *
 * @since 0.1.0
 * @category models
 */
export interface Probes {
  /** How many probes run. */
  readonly running: number
  /** How many may run at a time. */
  readonly permits: number
  /** How many of `of` must succeed to close the circuit. */
  readonly successes: number
  readonly of: number
}

/**
 * A breaker's state as plain data. Times are milliseconds, instants milliseconds since the epoch. Its schema is a separate entry,
 * `effect-resilience/CircuitBreaker/Snapshot`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly name: string
  readonly state: State
  /** When the state began. */
  readonly since: number
  readonly takenAt: number
  /** How much longer the circuit stays open; 0 in every other state. */
  readonly remainingDelay: number
  /** Goes up by one with every change of state. */
  readonly generation: number
  /** Calls counted as successes in this state. */
  readonly successes: number
  /** Calls counted as failures in this state. */
  readonly failures: number
  /** The share of failures among the calls counted in this state. */
  readonly failureRate: number
  /** Failures in a row, over all states, until a success ends the row. */
  readonly consecutiveFailures: number
  /** Calls rejected since the breaker was made or reset. */
  readonly rejected: number
  /** How many of them were rejected in this state. */
  readonly rejectedInState: number
  /** How often the circuit has opened since it last recovered (see {@link Opening}). */
  readonly reopenings: number
  /** How long the circuit was or is open, the last time it opened. */
  readonly openedFor: number
  /** One reading for each trip rule; none in states without rules. */
  readonly rules: ReadonlyArray<Trip.Reading>
  /** The probes of a half-open circuit; absent in every other state. A breaker that goes on from here has none running. */
  readonly probes?: Probes | undefined
  /** What the trip rules have seen, so that a breaker can go on from here. */
  readonly memory: ReadonlyArray<{
    readonly rule: string
    readonly run?: number | undefined
    readonly calls?: string | undefined
    readonly buckets?: ReadonlyArray<readonly [calls: number, hits: number]> | undefined
  }>
}

/**
 * Leave to make one call, taken from a breaker by {@link CircuitBreaker.acquire}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Permit {
  readonly name: string
  readonly probe: boolean
}

/**
 * A breaker's policy with a condition, for effects that succeed with an `A` and fail with an `E`, or with less than these.
 *
 * @since 0.1.0
 * @category models
 */
export type ProtectFor<A, E, Needed = never, Away = never> = Policy.PolicyFor<
  A,
  E,
  CircuitOpen | Away,
  Needed
>

/**
 * Makes a policy of a condition.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProtectWhen<Needed = never, Away = never> {
  <A, E>(
    condition: FailureCondition.FailureCondition<A, E>
  ): Policy.PolicyFor<A, E, CircuitOpen | Away, Needed>
}

/**
 * What can be done with a breaker, given that `Needed` is there: an instance needs nothing, a tag needs the service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operations<Needed = never, Away = never> {
  /** Runs an effect through the breaker. A typed failure or a defect counts as a failure, an interruption as nothing. */
  readonly protect: Policy.Policy<CircuitOpen | Away, Needed>
  /** Runs effects of one type through the breaker, with a condition that says what their exits mean. */
  readonly protectWhen: ProtectWhen<Needed, Away>
  /** What a call would meet now: an open circuit whose time has passed reads `half-open`. */
  readonly state: Effect.Effect<State, never, Needed>
  /** How much longer the circuit stays open; zero in every other state. */
  readonly remainingDelay: Effect.Effect<Duration.Duration, never, Needed>
  readonly snapshot: Effect.Effect<Snapshot, never, Needed>
  /**
   * The changes of state from now on. A subscriber that falls more than 64 changes behind loses the oldest. No timer makes a
   * change: an open circuit whose time has passed turns half-open with the next call.
   */
  readonly changes: Stream.Stream<StateChange, never, Needed>
  /** Takes a permit for one call. {@link record} gives it back, or, uncounted, the end of the scope. */
  readonly acquire: Effect.Effect<Permit, CircuitOpen | Away, Needed | Scope.Scope>
  /** Records the outcome of a permit's call. Only the first record of a permit counts. */
  readonly record: (permit: Permit, outcome: FailureCondition.Outcome) => Effect.Effect<void, never, Needed>
  /** Opens the circuit for as long as `openFor` says. */
  readonly open: Effect.Effect<void, never, Needed>
  /** Closes the circuit, with nothing counted. */
  readonly close: Effect.Effect<void, never, Needed>
  /** Lets probes through from now on. */
  readonly halfOpen: Effect.Effect<void, never, Needed>
  /** Rejects all calls until {@link release}. */
  readonly isolate: Effect.Effect<void, never, Needed>
  /** Ends an isolation: closed, with nothing counted. Does nothing in any other state. */
  readonly release: Effect.Effect<void, never, Needed>
  /** Runs all calls, uncounted, until {@link enable}. */
  readonly disable: Effect.Effect<void, never, Needed>
  /** Runs and counts all calls, without ever opening, until {@link enable}. */
  readonly metricsOnly: Effect.Effect<void, never, Needed>
  /** Ends `disabled` and `metrics-only`: closed, with nothing counted. Does nothing in any other state. */
  readonly enable: Effect.Effect<void, never, Needed>
  /** As if the breaker had just been made. */
  readonly reset: Effect.Effect<void, never, Needed>
  /**
   * Changes the given settings. Bad ones are a defect of type `InvalidOption` and change nothing. The circuit stays in its state:
   * an open one for as long as it was to be, probes and permits go on. A rule of the same kind and window keeps what it has
   * seen, others start empty. A rule that is met already opens the circuit with the next call that is counted.
   */
  readonly configure: (settings: Reconfiguration) => Effect.Effect<void, never, Needed>
}

/**
 * A circuit breaker. Make one for each thing that can fail by itself, and share it between all calls to that thing.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitBreaker extends CircuitBreakerFailing<never> {}

/**
 * A circuit breaker whose calls also fail with `Away`: one that is shared, where the store does not answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitBreakerFailing<Away> extends Operations<never, Away>, Policy.Described {
  readonly [TypeId]: TypeId
}

/** A breaker that fails with nothing more is called just that, in an editor too. */
type Failing<Away> = [Away] extends [never] ? CircuitBreaker : CircuitBreakerFailing<Away>

// ------------------------------------------------------------------------------------------------------------ options

/**
 * How a half-open circuit finds out.
 *
 * @since 0.1.0
 * @category options
 */
export interface HalfOpenOptions {
  /** How many probes may run at a time; other calls are rejected. Default: 1, the least load on what recovers. */
  readonly permits?: number | undefined
  /** How many probes must succeed to close the circuit: `2` means two of two. It opens when they no longer can. Default: 1. */
  readonly successes?: number | { readonly count: number; readonly of: number } | undefined
  /** After how long a probe that has not answered counts as failed. An infinite duration waits for ever. Default: 30 seconds. */
  readonly maxWait?: DurationInput | undefined
  /** Whether a begun probe cannot be interrupted, so that short timeouts do not keep the circuit half-open. Default: `false`. */
  readonly uninterruptible?: boolean | undefined
}

/**
 * The options that are plain data.
 *
 * @since 0.1.0
 * @category options
 */
export interface Settings {
  /** The name in errors, events and snapshots. Default: the tag's identifier, or `"circuit-breaker"`. */
  readonly name?: string | undefined
  /** When the circuit opens. Default: 10 failures in a row, or half of at least 20 calls within 30 seconds. */
  readonly trip?: Trip.Trip | undefined
  /** How long the circuit stays open. Default: 10 seconds. */
  readonly openFor?: DurationInput | undefined
  /** The longest open time. Default: none for a duration or a schedule, 5 minutes for what a hint or a function asks for. */
  readonly maxOpenFor?: DurationInput | undefined
  readonly halfOpen?: HalfOpenOptions | undefined
}

/**
 * The settings that {@link CircuitBreaker.configure} changes. A part of `halfOpen` that is not given stays as it is, too.
 *
 * @since 0.1.0
 * @category options
 */
export interface Reconfiguration extends Pick<Settings, "trip" | "maxOpenFor" | "halfOpen"> {
  /** As in {@link Options}. A schedule begins anew, also when `maxOpenFor` is given. */
  readonly openFor?:
    DurationInput | Schedule.Schedule<unknown> | ((opening: Opening) => DurationInput) | undefined
}

/**
 * Settings for `layerConfig`, each a `Config` or an object of them.
 *
 * @since 0.1.0
 * @category options
 */
export interface SettingsConfig extends ConfiguredBy<Settings> {}

/**
 * Called in the call's fiber, in the order of the fields. A listener that fails or dies is logged and changes nothing.
 *
 * @since 0.1.0
 * @category options
 */
export interface Listeners {
  readonly onSuccess?: ((event: Success) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onFailure?: ((event: Failure) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onOpen?: ((event: StateChange) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onHalfOpen?: ((event: StateChange) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onClose?: ((event: StateChange) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called after the three above, and for every other change of state. */
  readonly onStateChange?: ((event: StateChange) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onRejected?: ((event: Rejected) => Effect.Effect<unknown, unknown, unknown>) | undefined
  readonly onConfigured?: ((event: Configured) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/**
 * What a breaker is given besides its settings.
 *
 * @since 0.1.0
 * @category options
 */
export interface Given<E = never> extends Listeners {
  /**
   * Shares the breaker with those of the same name in other processes: one of `Share` in `effect-resilience/fleet`, which requires
   * the store that they share. It needs a `name`; a tag has one. Default: each process learns by itself.
   */
  readonly share?: ((breaker: Shareable) => Effect.Effect<Link<E>, never, unknown>) | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Options<E = never> extends Omit<Settings, "openFor">, Given<E> {
  /**
   * How long the circuit stays open: a duration; a schedule, which steps with every reopening and begins anew after a recovery
   * (see {@link Opening}); or a function of what opened it. Default: 10 seconds.
   *
   * A failure that says when to come back (`retryAfter`) makes a duration or a schedule longer, up to `maxOpenFor`. A function
   * decides alone. It is also asked when a breaker is only looked at, so it should answer the same each time. One that throws or
   * returns no duration leaves the default, and a warning in the log.
   */
  readonly openFor?:
    | DurationInput
    | Schedule.Schedule<unknown, unknown, unknown>
    | ((opening: Opening) => DurationInput)
    | undefined
  /** Where to begin, such as the snapshot taken before a restart. Default: closed, with nothing counted. */
  readonly initial?: Snapshot | undefined
}

// ------------------------------------------------------------------------------------------------------------ sharing

/**
 * @since 0.1.0
 * @category sharing
 */
export type { Link, Shareable } from "./sharing.js"

/**
 * What calls of a breaker fail with when the store does not answer, by its options.
 *
 * @since 0.1.0
 * @category sharing
 */
export type AwayOf<O> = O extends { readonly share?: infer Share }
  ? Share extends (breaker: Shareable) => Effect.Effect<Link<infer Away>, never, infer _R>
    ? Away
    : never
  : never

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Makes a breaker. Bad options are a defect of type `InvalidOption`.
 *
 * **When to use**: for breakers that are made at run time; {@link Tag} makes a service of one that the program has. Make it once
 * and share it: a breaker made for each call remembers nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Trip } from "effect-resilience"
 *
 * const program = Effect.gen(function* () {
 *   const breaker = yield* CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(3), openFor: "15 seconds" })
 *   const call = Effect.fail("down").pipe(breaker.protect, Effect.either)
 *   yield* Effect.repeatN(call, 3)
 *   return yield* breaker.state // "open"
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  (): Effect.Effect<CircuitBreaker>
  <O>(options: Checked<O, Options<unknown>>): Effect.Effect<Failing<AwayOf<O>>, never, Policy.ContextOf<O>>
} = breakers.make

/**
 * The options of {@link keyed}.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyedOptions extends Policy.Bounds {
  /** The options of each breaker, or a function of its key (`"*"` for the shared one). The key is added to the name. */
  readonly options?: Options | ((key: string) => Options) | undefined
}

/**
 * What can be done with a breaker for each key, given that `Needed` is there.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedOperations<Needed = never> extends Policy.Keyed<
  CircuitBreaker,
  Snapshot,
  Operations<Needed>,
  Needed
> {
  readonly protect: (key: string) => Policy.Policy<CircuitOpen, Needed>
  readonly protectWhen: (key: string) => ProtectWhen<Needed>
}

/**
 * A circuit breaker for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedCircuitBreaker extends KeyedOperations {}

/**
 * Makes a breaker for each key: a host, a tenant, a route. When one of them is down, the others are still called.
 *
 * At most `capacity` breakers (1000) are kept. One without a call for `idleTimeToLive` (10 minutes) is forgotten, but never one
 * that is open, half-open, steered or in use, and one with failures that count makes no room while it is called. A new key without
 * room shares one breaker with all other such keys, or has none with `whenFull: "bypass"`.
 *
 * Listeners take what they require from the maker's context; those from a function of the key require nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Trip } from "effect-resilience"
 *
 * const program = Effect.gen(function* () {
 *   const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts", trip: Trip.consecutive(3) }, capacity: 100 })
 *   return yield* Effect.succeed("hot offer").pipe(hosts.protect("a.example"))
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyed: {
  (): Effect.Effect<KeyedCircuitBreaker>
  <O>(options: Checked<O, KeyedOptions>): Effect.Effect<KeyedCircuitBreaker, never, Policy.KeyedContextOf<O>>
} = breakers.keyed

// ----------------------------------------------------------------------------------------------------------- services

/**
 * What a breaker's tag offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface Service<Self, Away = never>
  extends
    Operations<Self, Away>,
    Policy.LayersWithDefaults<Self, Options<Away>, Settings, SettingsConfig, Given<Away>> {}

/**
 * The class that a breaker's tag extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface TagClass<Self, Id extends string, Away = never>
  extends Context.TagClass<Self, `CircuitBreaker/${Id}`, Failing<Away>>, Service<Self, Away> {}

/**
 * A circuit breaker as a service of its own. Extend it once for each thing that can fail by itself.
 *
 * **When to use**: for every dependency of a program. The layer makes the breaker once.
 *
 * **Time line**
 *
 * - *Closed*: calls run, and their outcomes are counted until a trip rule is met. Then the circuit opens.
 * - *Open*: calls are rejected with {@link CircuitOpen}. The first call after `openFor` finds the circuit half-open.
 * - *Half-open*: up to `permits` calls at a time run as probes, others are rejected. Enough successes close the circuit; when
 *   those are out of reach, it opens again. A probe that takes longer than `maxWait` counts as failed.
 *
 * An outcome counts only in the state in which its call began: a late success does not close a circuit. An interrupted call gives
 * its place back and counts for nothing.
 *
 * **Adds** `CircuitOpen`, and requires the service.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Trip } from "effect-resilience"
 *
 * class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
 *
 * // Effect<string, "down" | CircuitOpen, Partner>
 * const offer = Effect.fail("down" as const).pipe(Effect.as("hot offer"), Partner.protect)
 *
 * const PartnerLive = Partner.layer({
 *   trip: Trip.consecutive(3),
 *   onStateChange: ({ from, name, to }) => Effect.logInfo(`${name} changed from ${from} to ${to}`)
 * })
 * const program = offer.pipe(Effect.provide(PartnerLive))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const Tag: <const Id extends string>(id: Id) => <Self, Away = never>() => TagClass<Self, Id, Away> =
  breakers.Tag as unknown as TagOf

// A tag is the same whatever its breakers fail with.
type TagOf = <Id extends string>(id: Id) => <Self, Away>() => TagClass<Self, Id, Away>

/**
 * What the tag of keyed breakers offers besides being a tag.
 *
 * @since 0.1.0
 * @category services
 */
export interface KeyedService<Self>
  extends KeyedOperations<Self>, Policy.KeyedLayersWithDefaults<Self, KeyedOptions, Settings, Given> {}

/**
 * The class that a tag of keyed breakers extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface KeyedTagClass<Self, Id extends string>
  extends Context.TagClass<Self, `KeyedCircuitBreaker/${Id}`, KeyedCircuitBreaker>, KeyedService<Self> {}

/**
 * A breaker for each key, as a service: {@link keyed} with layers.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Trip } from "effect-resilience"
 *
 * class Hosts extends CircuitBreaker.KeyedTag("Hosts")<Hosts>() {}
 *
 * // Effect<string, CircuitOpen, Hosts>
 * const offer = Effect.succeed("hot offer").pipe(Hosts.protect("a.example"))
 *
 * const program = offer.pipe(Effect.provide(Hosts.layer({ options: { trip: Trip.consecutive(3) }, capacity: 100 })))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const KeyedTag: <const Id extends string>(id: Id) => <Self>() => KeyedTagClass<Self, Id> =
  breakers.KeyedTag

/**
 * The breaker of a program that has just one. A program with several makes a {@link Tag} for each.
 *
 * @example
 * ```ts
 * import { Config, Effect } from "effect"
 * import { CircuitBreaker, Trip } from "effect-resilience"
 *
 * const live = CircuitBreaker.layerConfig({ trip: Config.map(Config.integer("MAX_FAILURES"), Trip.consecutive) })
 * const program = Effect.succeed("hot offer").pipe(CircuitBreaker.protect, Effect.provide(live))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const CircuitBreaker: Context.Tag<CircuitBreaker, CircuitBreaker> & Service<CircuitBreaker> =
  breakers.service()

/**
 * The layer of {@link CircuitBreaker}.
 *
 * @since 0.1.0
 * @category services
 */
export const layer = CircuitBreaker.layer

/**
 * The layer of {@link CircuitBreaker} whose settings come from the configuration.
 *
 * @since 0.1.0
 * @category services
 */
export const layerConfig = CircuitBreaker.layerConfig

/**
 * `protect` of {@link CircuitBreaker}.
 *
 * @since 0.1.0
 * @category services
 */
export const protect = CircuitBreaker.protect

/**
 * `protectWhen` of {@link CircuitBreaker}.
 *
 * @since 0.1.0
 * @category services
 */
export const protectWhen = CircuitBreaker.protectWhen
