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
 * What a call meets: `closed` runs it and counts it, `open` rejects it, `half-open` runs it as a probe or rejects it.
 * `isolated` turns everything away, `disabled` runs everything uncounted and `metrics-only` runs and counts everything
 * without ever opening; these three begin and end only by hand.
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
  /** Calls rejected. */
  readonly rejected: number
  /** One reading for each trip rule; none in states without rules. */
  readonly rules: ReadonlyArray<Trip.Reading>
}

/**
 * A change of state.
 *
 * @since 0.1.0
 * @category events
 */
export interface StateChange extends Policy.Event<"circuit-breaker", "StateChange"> {
  readonly from: State
  readonly to: State
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
  /** What the call fails with. */
  readonly error: CircuitOpen
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
export type Event = StateChange | Success | Failure | Rejected | Configured

/**
 * What opens the circuit, for an `openFor` that is computed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Opening {
  /**
   * What failed; `undefined` when it was no failing call: opened by hand, a probe that never answered, an outcome recorded
   * by hand, or a success that was slow or that completed the calls a rate was waiting for.
   */
  readonly failure: FailureCondition.Failed<unknown, unknown> | undefined
  /** When to come back, where the failure says so: by the condition's `retryAfter`, or as the rejection of a policy. */
  readonly retryAfter: Duration.Duration | undefined
  /**
   * How often the circuit had opened before since it last recovered. It has recovered when it has stayed closed for as long as
   * it had been open.
   */
  readonly reopenings: number
}

/**
 * A breaker's state as plain data. Times are milliseconds, instants milliseconds since the epoch. Its schema is
 * `effect-resilience/CircuitBreaker/Snapshot`, an entry of its own.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly name: string
  /** What a call would have met. */
  readonly state: State
  /** When the state began. */
  readonly since: number
  /** When the snapshot was taken. */
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
  /** How often the circuit has opened since it last recovered (see {@link Opening}). */
  readonly reopenings: number
  /** How long the circuit was or is open, the last time it opened. */
  readonly openedFor: number
  /** One reading for each trip rule; none in states without rules. */
  readonly rules: ReadonlyArray<Trip.Reading>
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
  /** Whether the call is a probe of a half-open circuit. */
  readonly probe: boolean
}

/**
 * A breaker's policy with a condition, for effects that succeed with an `A` and fail with an `E`, or with less than these.
 *
 * @since 0.1.0
 * @category models
 */
export type ProtectFor<A, E, Needed = never> = Policy.PolicyFor<A, E, CircuitOpen, Needed>

/**
 * Makes a policy of a condition.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProtectWhen<Needed = never> {
  <A, E>(condition: FailureCondition.FailureCondition<A, E>): Policy.PolicyFor<A, E, CircuitOpen, Needed>
}

/**
 * What can be done with a breaker, given that `Needed` is there: an instance needs nothing, a tag needs the service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operations<Needed = never> {
  /**
   * Runs an effect through the breaker. A typed failure or a defect is a failure, a success is a success, an interruption
   * is neither.
   */
  readonly protect: Policy.Policy<CircuitOpen, Needed>
  /** Runs effects of one type through the breaker, with a condition that says what their exits mean. */
  readonly protectWhen: ProtectWhen<Needed>
  /** What a call would meet now: an open circuit whose time has passed reads `half-open`. */
  readonly state: Effect.Effect<State, never, Needed>
  /** How much longer the circuit stays open; zero in every other state. */
  readonly remainingDelay: Effect.Effect<Duration.Duration, never, Needed>
  readonly snapshot: Effect.Effect<Snapshot, never, Needed>
  /**
   * The changes of state from now on. A subscriber that falls more than 64 changes behind loses the oldest. A change
   * happens when a call or a person makes it happen: an open circuit whose time has passed turns half-open with the next
   * call.
   */
  readonly changes: Stream.Stream<StateChange, never, Needed>
  /**
   * Takes a permit for one call, to be given back by {@link record}, and given back without being counted when the scope
   * closes before that.
   */
  readonly acquire: Effect.Effect<Permit, CircuitOpen, Needed | Scope.Scope>
  /** Records what became of the call of a permit. Only the first record of a permit counts. */
  readonly record: (permit: Permit, outcome: FailureCondition.Outcome) => Effect.Effect<void, never, Needed>
  /** Opens the circuit for as long as `openFor` says. */
  readonly open: Effect.Effect<void, never, Needed>
  /** Closes the circuit, with nothing counted. */
  readonly close: Effect.Effect<void, never, Needed>
  /** Lets probes through from now on. */
  readonly halfOpen: Effect.Effect<void, never, Needed>
  /** Turns everything away until {@link release}. */
  readonly isolate: Effect.Effect<void, never, Needed>
  /** Ends an isolation: closed, with nothing counted. Does nothing in any other state. */
  readonly release: Effect.Effect<void, never, Needed>
  /** Lets everything through, uncounted, until {@link enable}. */
  readonly disable: Effect.Effect<void, never, Needed>
  /** Lets everything through and counts it, without ever opening, until {@link enable}. */
  readonly metricsOnly: Effect.Effect<void, never, Needed>
  /** Ends `disabled` and `metrics-only`: closed, with nothing counted. Does nothing in any other state. */
  readonly enable: Effect.Effect<void, never, Needed>
  /** As if the breaker had just been made. */
  readonly reset: Effect.Effect<void, never, Needed>
  /**
   * Changes settings of the running breaker; those that are not given stay as they are. Bad ones are a defect of type
   * `InvalidOption` and change nothing.
   *
   * The circuit stays in its state: an open one for as long as it was to be, probes go on, permits stay good. A rule of the same
   * kind that looks at the same window keeps what it has seen, whatever its threshold; any other starts with nothing. A rule
   * that is met by what it has kept opens the circuit with the next call that is counted.
   */
  readonly configure: (settings: Reconfiguration) => Effect.Effect<void, never, Needed>
}

/**
 * A circuit breaker. Make one for each thing that can fail by itself, and share it between all calls to that thing.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitBreaker extends Operations, Policy.Described {
  readonly [TypeId]: TypeId
}

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
  /**
   * How many probes must succeed for the circuit to close: `2` means two of two, `{ count: 3, of: 5 }` three of five. It
   * opens again as soon as that many cannot succeed any more. Default: 1.
   */
  readonly successes?: number | { readonly count: number; readonly of: number } | undefined
  /**
   * After how long a probe that has not answered counts as failed, so that a probe that hangs cannot keep the circuit
   * half-open. An infinite duration waits for ever. Default: 30 seconds.
   */
  readonly maxWait?: DurationInput | undefined
  /**
   * Whether a probe, once begun, cannot be interrupted, so that callers with short timeouts cannot keep the circuit from
   * ever finding out. Such a caller then waits for the probe. Default: `false`.
   */
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
  /**
   * When the circuit opens. Default: 10 failures in a row, or half of at least 20 calls within 30 seconds. The rate serves
   * a busy service, the row a quiet one, and neither opens on one failure or on a few that come by chance.
   */
  readonly trip?: Trip.Trip | undefined
  /** How long the circuit stays open. Default: 10 seconds. */
  readonly openFor?: DurationInput | undefined
  /**
   * The longest that the circuit stays open. Default: none for a duration or a schedule, 5 minutes for what a hint or a
   * function asks for.
   */
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
 * Called in the fiber of the call that made it happen, in the order of the fields. A listener that fails or dies is
 * reported in the log and changes nothing.
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
 * @since 0.1.0
 * @category options
 */
export interface Options extends Omit<Settings, "openFor">, Listeners {
  /**
   * How long the circuit stays open: a duration; a schedule, whose delays are taken one after the other with every
   * reopening and from the start once the circuit has recovered (see {@link Opening}); or a function of what opened it.
   * Default: 10 seconds.
   *
   * When what failed says when to come back (a condition's `retryAfter`, the rejection of a policy inside), a duration or a schedule
   * is the least: the circuit stays open until then, but no longer than `maxOpenFor`. A function decides alone.
   *
   * A function is asked whenever an opening is due, also when a breaker is only looked at, so it should answer the same
   * each time. One that throws or returns no duration leaves the default, and a warning in the log.
   */
  readonly openFor?:
    | DurationInput
    | Schedule.Schedule<unknown, unknown, unknown>
    | ((opening: Opening) => DurationInput)
    | undefined
  /** Where to begin, such as the snapshot taken before a restart. Default: closed, with nothing counted. */
  readonly initial?: Snapshot | undefined
}

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Makes a breaker. Bad options are a defect of type `InvalidOption`.
 *
 * **When to use**
 *
 * For a breaker that belongs to a value rather than to the program, such as one of many that are made at run time. For
 * anything that the program has one of, {@link Tag} makes a service of it.
 *
 * Make it once and share it: a breaker made for each call remembers nothing.
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
  <O>(options: Checked<O, Options>): Effect.Effect<CircuitBreaker, never, Policy.ContextOf<O>>
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
  /** {@link Operations.protect} of the breaker of a key. */
  readonly protect: (key: string) => Policy.Policy<CircuitOpen, Needed>
  /** {@link Operations.protectWhen} of the breaker of a key. */
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
 * There are at most `capacity` of them (1000), and one that is not called for `idleTimeToLive` (10 minutes) is forgotten,
 * but never one that is open, half-open, steered or in use. One with failures that count does not make room for others while it is
 * called. A new key for which there is no room shares one breaker with all other such keys, or has none with `whenFull: "bypass"`;
 * when callers make up keys, that is every new key.
 *
 * What the listeners of the options require is taken from its maker's context; a function of the key gives options whose
 * listeners require nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Trip } from "effect-resilience"
 *
 * declare const fetchFrom: (host: string) => Effect.Effect<string, "down">
 *
 * const program = Effect.gen(function* () {
 *   const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts", trip: Trip.consecutive(3) }, capacity: 100 })
 *   const fetch = (host: string) => fetchFrom(host).pipe(hosts.protect(host))
 *   return yield* Effect.all([fetch("a.example"), fetch("b.example")])
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
 * What a breaker's tag offers besides being a tag: its layers, and the operations of the breaker behind it.
 *
 * @since 0.1.0
 * @category services
 */
export interface Service<Self>
  extends Operations<Self>, Policy.LayersWithDefaults<Self, Options, Settings, SettingsConfig, Listeners> {}

/**
 * The class that a breaker's tag extends.
 *
 * @since 0.1.0
 * @category services
 */
export interface TagClass<Self, Id extends string>
  extends Context.TagClass<Self, `CircuitBreaker/${Id}`, CircuitBreaker>, Service<Self> {}

/**
 * A circuit breaker as a service of its own. Extend it once for each thing that can fail by itself.
 *
 * **When to use**
 *
 * For every dependency of a program: the breaker is then made once, by its layer, wherever the program is put together,
 * and the compiler sees to it that it is.
 *
 * **Time line**
 *
 * - *Closed*: calls run, and their outcomes are counted until a trip rule is met. Then the circuit opens.
 * - *Open*: calls are rejected with {@link CircuitOpen}, which says for how much longer. When `openFor` has passed, the
 *   next call finds the circuit half-open; no timer is involved.
 * - *Half-open*: up to `permits` calls at a time run as probes, others are rejected. Enough successes close the
 *   circuit; when those are out of reach, it opens again. A probe that takes longer than `maxWait` counts as failed.
 *
 * An outcome counts in the state in which its call began, and for nothing when that is over: a late success does not close
 * a circuit, and a late failure does not open one. An interrupted call gives its place back and counts for nothing.
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
 *   openFor: "15 seconds",
 *   onStateChange: ({ from, name, to }) => Effect.logInfo(`${name} changed from ${from} to ${to}`)
 * })
 *
 * const program = offer.pipe(Effect.provide(PartnerLive))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const Tag: <const Id extends string>(id: Id) => <Self>() => TagClass<Self, Id> = breakers.Tag

/**
 * What the tag of keyed breakers has besides being a tag: its layers, and everything that can be done with the breakers.
 *
 * @since 0.1.0
 * @category services
 */
export interface KeyedService<Self>
  extends KeyedOperations<Self>, Policy.KeyedLayersWithDefaults<Self, KeyedOptions, Settings, Listeners> {}

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
 * declare const fetchFrom: (host: string) => Effect.Effect<string, "down">
 *
 * // Effect<string, "down" | CircuitOpen, Hosts>
 * const fetch = (host: string) => fetchFrom(host).pipe(Hosts.protect(host))
 *
 * const HostsLive = Hosts.layer({ options: { trip: Trip.consecutive(3) }, capacity: 100 })
 *
 * const program = fetch("a.example").pipe(Effect.provide(HostsLive))
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
 * import { Effect } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 *
 * const program = Effect.succeed("hot offer").pipe(
 *   CircuitBreaker.protect,
 *   Effect.provide(CircuitBreaker.layer({ openFor: "15 seconds" }))
 * )
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
 * @example
 * ```ts
 * import { Config } from "effect"
 * import { CircuitBreaker, Trip } from "effect-resilience"
 *
 * export const live = CircuitBreaker.layerConfig({
 *   trip: Config.map(Config.integer("PARTNER_MAX_FAILURES"), Trip.consecutive),
 *   openFor: Config.duration("PARTNER_OPEN_FOR").pipe(Config.withDefault("15 seconds"))
 * })
 * ```
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
