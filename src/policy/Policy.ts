/**
 * What all policies have in common: a policy is a function from effect to effect with a description, and rejects with a `Rejection`.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import { InvalidOption } from "../core/options.js"
import { describedOf, lines } from "./describe.js"
import type { Bounds } from "./keyed.js"
import type { Checked, Configured, ContextOfEffect, ErrorOfEffect, Flat, IsAny } from "./types.js"

/**
 * An option of a policy was outside its allowed range. Constructors that return a plain value (`Timeout.timeout`,
 * `Trip.consecutive`) throw it, constructors that return an effect or a layer (`CircuitBreaker.make`) die with it.
 *
 * @example
 * ```ts
 * import { Policy, Trip } from "effect-resilience"
 *
 * try {
 *   Trip.consecutive(0)
 * } catch (error) {
 *   if (error instanceof Policy.InvalidOption) console.log(error.option, error.expected)
 *   // count, a whole number of at least 1
 * }
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export { InvalidOption }

/**
 * The settings a policy was built with, as plain values: durations, numbers, strings and nested settings. Rules, rates and
 * backoffs are tagged data with the options of the constructor that is named by the tag.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly [option: string]: unknown
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Described {
  /** The kind of policy in the field's own words: `timeout`, `retry`, `circuit-breaker`, `fallback`. */
  readonly kind: string
  /** The name given by the user, and the kind when none was given. It is the name in errors and events. */
  readonly name: string
  readonly settings: Settings
}

/**
 * What happened in a policy, such as a `Bulkhead.Event`. The listener of an event is named after its tag: `onQueued` for `Queued`.
 *
 * @since 0.1.0
 * @category events
 */
export interface Event<out Kind extends string = string, out Tag extends string = string> {
  readonly _tag: Tag
  readonly kind: Kind
  readonly name: string
}

/**
 * How an attempt ended: as its policy judged it, or `Interrupted`. Also `Ignored` when it ended after the call had its answer.
 *
 * @since 0.1.0
 * @category events
 */
export type AttemptOutcome = "Success" | "Failure" | "Ignored" | "Interrupted"

/**
 * An attempt of a retry or of a hedge that has ended, the first one and successful ones too. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface AttemptEnded<out Kind extends string = string> extends Event<Kind, "Attempt"> {
  /** The number of the attempt, from 1. */
  readonly attempt: number
  /** How long this attempt took, without delays and other attempts. */
  readonly duration: Duration.Duration
  readonly outcome: AttemptOutcome
}

/**
 * A call of a retry or of a hedge that has ended, with all its attempts and delays. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface CallEnded<out Kind extends string = string> extends Event<Kind, "Call"> {
  /** How many attempts there were. */
  readonly attempts: number
  /** How long the caller waited. */
  readonly duration: Duration.Duration
  /** That of the attempt whose answer the caller got, or `Interrupted`, also during a delay. */
  readonly outcome: AttemptOutcome
}

/**
 * A policy that fits every effect: it may add the error `Added` and need the service `Needed`, and leaves everything else as it is.
 * Being a plain function, it goes through `pipe`, `flow` and `Effect.map` alike.
 *
 * @example
 * ```ts
 * import { flow } from "effect"
 * import { Policy, Retry, Timeout } from "effect-resilience"
 *
 * const attempt: Policy.Policy<Timeout.TimeoutExceeded> = Timeout.timeout("2 seconds")
 * const resilient = flow(attempt, Retry.retry({ times: 2 }))
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Policy<out Added = never, out Needed = never> extends Described {
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Added, R | Needed>
}

/**
 * A policy for effects that succeed with an `A` and fail with an `E`, or with less. It keeps the types of the effect.
 *
 * @since 0.1.0
 * @category models
 */
export interface PolicyFor<in A, in E, out Added = never, out Needed = never> extends Described {
  <A1 extends A, E1 extends E, R>(self: SelfOf<A, E, A1, E1, R>): Effect.Effect<A1, E1 | Added, R | Needed>
}

/**
 * An effect that a {@link PolicyFor} takes. From the second half of the union, which no effect of its own matches, the compiler
 * infers `A` and `E` where such a policy stands in a pipe.
 *
 * @since 0.1.0
 * @category models
 */
export type SelfOf<A, E, A1 extends A, E1 extends E, R> =
  Effect.Effect<A1, E1, R> | Effect.Effect<A, E, Inferred>

interface Inferred {
  readonly [inferred]: never
}
declare const inferred: unique symbol

/**
 * The options of a constructor in a signature, from which `O`, the options as written, is inferred. For functions that hand their
 * options on to a constructor of this library.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, type Policy } from "effect-resilience"
 *
 * const makeLogged = <O>(options: Policy.Checked<O, CircuitBreaker.Options>) =>
 *   Effect.tap(CircuitBreaker.make(options), (breaker) => Effect.logInfo(`made ${breaker.name}`))
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export type { Checked } from "./types.js"

type ReturnedBy<V> = V extends (...args: never) => infer Result ? Result : never

/**
 * The errors that the listeners among a policy's options can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type ErrorOf<O> = Flat<{ [K in keyof O]-?: ErrorOfEffect<ReturnedBy<O[K]>> }[keyof O]>

/**
 * What the schedules, the effects and the listeners among a policy's options require.
 *
 * @since 0.1.0
 * @category models
 */
export type ContextOf<O> = Flat<
  { [K in keyof O]-?: ContextOfValue<O[K]> | ContextOfEffect<ReturnedBy<O[K]>> }[keyof O]
>

type ContextOfValue<V> =
  IsAny<V> extends true
    ? never
    : V extends Schedule.Schedule<infer _Out, infer _In, infer R>
      ? R
      : ContextOfEffect<V>

/**
 * A policy for effects that succeed with `A`, which it turns into effects that succeed with `B`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PolicyOn<in A, out B, out Added = never, out Needed = never> extends Described {
  <E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<B, E | Added, R | Needed>
}

/**
 * Turns a function on effects into a policy by giving it a kind, a name and settings. The function keeps its type.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Policy } from "effect-resilience"
 *
 * const logged = Policy.make(
 *   { kind: "logged", name: "logged", settings: {} },
 *   <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.tapErrorCause(self, Effect.logWarning)
 * )
 *
 * const program = Effect.fail("no").pipe(logged)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  <Added = never, Needed = never>(
    described: Described,
    apply: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Added, R | Needed>
  ): Policy<Added, Needed>
  <A, B, Added = never, Needed = never>(
    described: Described,
    apply: <E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<B, E | Added, R | Needed>
  ): PolicyOn<A, B, Added, Needed>
  <A, E, Added = never, Needed = never>(
    described: Described,
    apply: <A1 extends A, E1 extends E, R>(
      self: Effect.Effect<A1, E1, R>
    ) => Effect.Effect<A1, E1 | Added, R | Needed>
  ): PolicyFor<A, E, Added, Needed>
  <F extends (self: never) => unknown>(described: Described, apply: F): F & Described
} = (described: Described, apply: (self: never) => unknown): never => {
  const policy = (self: never): unknown => apply(self)
  // A function has a `name` of its own, which cannot be assigned, only defined. Doing so first is half the price.
  nameProperty.value = described.name
  Object.defineProperty(policy, "name", nameProperty)
  if (Object.hasOwn(described, "settings")) {
    const { kind, settings } = described
    return Object.assign(policy, { kind, settings }) as never
  }
  // Some instances work out their settings only when they are shown.
  const settings = { get: () => described.settings, enumerable: true }
  return Object.defineProperty(Object.assign(policy, { kind: described.kind }), "settings", settings) as never
}

const nameProperty = { value: "", enumerable: true }

/**
 * Stand for the types of an effect that a pipeline does not know yet.
 *
 * @since 0.1.0
 * @category pipelines
 */
export declare namespace Given {
  interface Success {
    readonly [given]: "success"
  }
  interface Failure {
    readonly [given]: "failure"
  }
  interface Context {
    readonly [given]: "context"
  }
}
declare const given: unique symbol

/**
 * Describes policies, one line each, in the order they are given. The parts of a pipeline are indented under it, the outermost
 * first.
 *
 * @example
 * ```ts
 * import { Policy, Retry, Timeout } from "effect-resilience"
 *
 * console.log(Policy.describe(Policy.pipeline(Timeout.timeout("2 seconds"), Retry.retry({ times: 2, name: "offers" }))))
 * // pipeline
 * //   retry "offers"(times: 2, schedule: exponential(base: 100ms, factor: 2, max: 10s, jitter: full), maxHint: 10s)
 * //   timeout(limit: 2s)
 * ```
 *
 * @since 0.1.0
 * @category utils
 */
export const describe = (...policies: ReadonlyArray<Described | ((self: never) => unknown)>): string =>
  policies.flatMap((policy) => lines(describedOf(policy))).join("\n")

/**
 * @since 0.1.0
 * @category rejections
 */
export const RejectionTypeId: unique symbol = Symbol.for("effect-resilience/Rejection")

/**
 * @since 0.1.0
 * @category rejections
 */
export type RejectionTypeId = typeof RejectionTypeId

/**
 * The common shape of errors by which a policy rejects a call without running it.
 *
 * @since 0.1.0
 * @category rejections
 */
export interface Rejection {
  readonly [RejectionTypeId]: RejectionTypeId
  readonly _tag: string
  readonly name: string
  /** How long until another call has a chance, where the policy knows. */
  readonly retryAfter: Duration.Duration | undefined
}

/**
 * Whether a value is the rejection of a policy, whichever it is.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Policy } from "effect-resilience"
 *
 * const orEmpty = Effect.catchIf(Policy.isRejection, ({ name }) => Effect.succeed(`rejected by ${name}`))
 * ```
 *
 * @since 0.1.0
 * @category rejections
 */
export const isRejection = <E>(u: E): u is E & Rejection => Predicate.hasProperty(u, RejectionTypeId)

/**
 * @since 0.1.0
 * @category keyed
 */
export type { Bounds } from "./keyed.js"

/**
 * What all keyed policies have in common. An instance is made when its key is first used, and evicted after `idleTimeToLive`
 * without a call, or earlier to make room; never while it holds anything back.
 *
 * @since 0.1.0
 * @category keyed
 */
export interface Keyed<out Instance, out Snapshot, out Operations = unknown, out Needed = never> {
  /** The kind of the instances, and the name that they have in common. The name of each is this one, a slash and its key. */
  readonly described: Described
  /** The operations of the instance of a key, which is made when there is none; with `whenFull: "bypass"` it may not be kept. */
  readonly at: (key: string) => Operations
  /** The instance of a key, if it has one: to read it or to steer it. Looking for it does not count as a call. */
  readonly find: (key: string) => Effect.Effect<Option.Option<Instance>, never, Needed>
  /** The snapshots of all instances by key, the one least recently used first. */
  readonly snapshots: Effect.Effect<ReadonlyMap<string, Snapshot>, never, Needed>
  /** How many keys have an instance of their own. */
  readonly size: Effect.Effect<number, never, Needed>
}

/**
 * What the listeners among the options of a keyed policy require.
 *
 * @since 0.1.0
 * @category keyed
 */
export type KeyedContextOf<O> = ContextOf<O extends { readonly options: infer Each } ? Each : never>

/**
 * The settings of a keyed policy, each a `Config` or an object of them: its bounds, and the settings of each instance.
 *
 * @since 0.1.0
 * @category keyed
 */
export interface KeyedSettingsConfig<Settings> extends Configured<Bounds> {
  readonly options: Configured<Settings> | Config.Config<Settings>
}

/**
 * @since 0.1.0
 * @category services
 */
export interface Layers<Self, Options, Settings, SettingsConfig, Listeners> {
  /** A layer with an instance of these options. Bad options are a defect of type `InvalidOption`. */
  readonly layer: <O>(options: Checked<O, Options>) => Layer.Layer<Self, never, ContextOf<O>>
  /** A layer with settings from the configuration, and with listeners. Bad settings are a `ConfigError`. */
  readonly layerConfig: LayerConfig<Self, SettingsConfig | Config.Config<Settings>, Listeners>
}

/**
 * @since 0.1.0
 * @category services
 */
export interface LayersWithDefaults<Self, Options, Settings, SettingsConfig, Listeners> extends Layers<
  Self,
  Options,
  Settings,
  SettingsConfig,
  Listeners
> {
  /** A layer with an instance of these options. Bad options are a defect of type `InvalidOption`. */
  readonly layer: {
    (): Layer.Layer<Self>
    <O>(options: Checked<O, Options>): Layer.Layer<Self, never, ContextOf<O>>
  }
}

/**
 * @since 0.1.0
 * @category services
 */
export interface KeyedLayers<Self, Options, Settings, Listeners> {
  /** A layer with an instance for each key. Bad options are a defect of type `InvalidOption`. */
  readonly layer: <O>(options: Checked<O, Options>) => Layer.Layer<Self, never, KeyedContextOf<O>>
  /** A layer with settings from the configuration, and with listeners. Bad settings are a `ConfigError`. */
  readonly layerConfig: LayerConfig<Self, KeyedSettingsConfig<Settings>, Listeners>
}

/**
 * @since 0.1.0
 * @category services
 */
export interface KeyedLayersWithDefaults<Self, Options, Settings, Listeners> {
  /** A layer with an instance for each key. Bad options are a defect of type `InvalidOption`. */
  readonly layer: {
    (): Layer.Layer<Self>
    <O>(options: Checked<O, Options>): Layer.Layer<Self, never, KeyedContextOf<O>>
  }
  /** A layer with settings from the configuration, and with listeners. Bad settings are a `ConfigError`. */
  readonly layerConfig: LayerConfig<Self, Partial<KeyedSettingsConfig<Settings>>, Listeners>
}

/**
 * Makes a layer of settings from the configuration, and of listeners. Bad settings are a `ConfigError` that says which and why.
 *
 * @since 0.1.0
 * @category services
 */
export interface LayerConfig<Self, Settings, Listeners> {
  (settings: Settings): Layer.Layer<Self, ConfigError.ConfigError>
  <L>(
    settings: Settings,
    listeners: Checked<L, Listeners>
  ): Layer.Layer<Self, ConfigError.ConfigError, ContextOf<L>>
}
