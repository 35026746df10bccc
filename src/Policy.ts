/**
 * What every policy has in common: it is a function from effect to effect that also says what it is, and when it turns
 * a call away it does so with a `Rejection`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import { callable, InvalidOption } from "./core/options.js"
import { type Apply, compose } from "./internal/pipeline.js"
import type { ContextOfEffect, ErrorOfEffect, Flat, IsAny } from "./internal/types.js"
import type { RetriesExceeded } from "./Retry.js"

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
 *   if (error instanceof Policy.InvalidOption) {
 *     console.log(error.message) // Trip.consecutive: option "count" must be a whole number of at least 1, got 0
 *   }
 * }
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export { InvalidOption }

/**
 * The settings a policy was built with, as plain values: durations, numbers, strings and nested settings.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly [option: string]: unknown
}

/**
 * What a policy says about itself.
 *
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
 * A policy that fits every effect: it may add the error `Added` and need the service `Needed`, and leaves everything
 * else as it is. Being a plain function, it goes through `pipe`, `flow` and `Effect.map` alike.
 *
 * @example
 * ```ts
 * import { Effect, flow } from "effect"
 * import { Policy, Retry, Timeout } from "effect-resilience"
 *
 * const attempt: Policy.Policy<Timeout.TimeoutExceeded> = Timeout.timeout("2 seconds")
 * const resilient = flow(attempt, Retry.retry({ times: 2 }))
 *
 * const program = resilient(Effect.succeed("hello"))
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Policy<out Added = never, out Needed = never> extends Described {
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Added, R | Needed>
}

/**
 * A policy for effects that succeed with an `A` and fail with an `E`, or with less than these. It may add the errors `Added`
 * and need the services `Needed`, and keeps the types of the effect.
 *
 * @since 0.1.0
 * @category models
 */
export interface PolicyFor<in A, in E, out Added = never, out Needed = never> extends Described {
  <A1 extends A, E1 extends E, R>(self: SelfOf<A, E, A1, E1, R>): Effect.Effect<A1, E1 | Added, R | Needed>
}

/**
 * An effect that a {@link PolicyFor} takes, of an `A1` and an `E1`. From the second half of the union, which no effect of its own
 * matches, the compiler infers `A` and `E` where such a policy stands in a pipe.
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
 * The options of a constructor in a signature, from which `O`, the options as they are written, is inferred. For functions that
 * hand their options on to a constructor of this library.
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
export type { Checked } from "./internal/types.js"

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
} = (described: Described, apply: (self: never) => unknown): never =>
  Object.defineProperties((self: never) => apply(self), {
    kind: { value: described.kind, enumerable: true },
    // A function has a `name` of its own, which cannot be assigned, only defined.
    name: { value: described.name, enumerable: true },
    settings: { value: described.settings, enumerable: true }
  }) as never

/**
 * Stand for the types of an effect that a pipeline does not know yet, in what is known about the effect that comes out of it.
 *
 * @since 0.1.0
 * @category pipelines
 */
export declare namespace Given {
  /** What the effect succeeds with. */
  interface Success {
    readonly [given]: "success"
  }
  /** What the effect fails with. */
  interface Failure {
    readonly [given]: "failure"
  }
  /** What the effect needs. */
  interface Context {
    readonly [given]: "context"
  }
  /** A type with those of an effect in their places. */
  type Replaced<T, A, E, R> = T extends Success
    ? A
    : T extends Failure
      ? E
      : T extends Context
        ? R
        : T extends RetriesExceeded<infer A2, infer E2>
          ? RetriesExceeded<Replaced<A2, A, E, R>, Replaced<E2, A, E, R>>
          : T
}
declare const given: unique symbol

type Any = Effect.Effect<Given.Success, Given.Failure, Given.Context>

type PipelineTo<Result> = Result extends Effect.Effect<infer A, infer E, infer R> ? Pipeline<A, E, R> : never

/**
 * Policies in pipe order, as one policy that fits every effect.
 *
 * @since 0.1.0
 * @category pipelines
 */
export interface Pipeline<A2 = Given.Success, E2 = Given.Failure, R2 = Given.Context> extends Described {
  <A, E, R>(
    self: Effect.Effect<A, E, R>
  ): Effect.Effect<Given.Replaced<A2, A, E, R>, Given.Replaced<E2, A, E, R>, Given.Replaced<R2, A, E, R>>
  /** What it is made of, in pipe order: innermost first. */
  readonly parts: ReadonlyArray<Described>
  readonly settings: { readonly parts: ReadonlyArray<Described> }
}

/**
 * Policies as one policy, in pipe order: innermost first.
 *
 * **When to use**
 *
 * For a composition that has a place of its own: built once where a program starts, printed, handed to whoever calls, and used
 * for many calls. It does what the same policies do in a `pipe`, for less: neighbours that can are run in one frame.
 *
 * **Time line**
 *
 * The same outcomes, the same listeners in the same order, the same counts as in a pipe. Circuit breakers, fallbacks, and retries
 * without a budget and without `disposeResult` share a frame with their neighbours of these kinds. Where one of them has more to
 * do (a breaker that is not closed, another attempt), and for all other policies, the call goes on as it would in a pipe.
 *
 * **Types**
 *
 * Where every policy fits every effect, so does the pipeline, and its `parts` can be read. One that belongs to effects of one
 * type is taken as `flow` takes it, and the pipeline is a plain function to the compiler; {@link describe} prints both. A plain
 * function among the policies is taken too, but what it takes away from the errors or the requirements is not seen where it
 * depends on the effect (as in `Effect.provideService`): such a function belongs after the pipeline.
 *
 * **Adds** what the policies add.
 *
 * @example
 * ```ts
 * import { Console, Effect } from "effect"
 * import { CircuitBreaker, Fallback, Policy, Retry, Timeout } from "effect-resilience"
 *
 * declare const fetchOffer: Effect.Effect<string, "refused">
 *
 * const program = Effect.gen(function* () {
 *   const breaker = yield* CircuitBreaker.make({ name: "partner" })
 *   const resilient = Policy.pipeline(
 *     Timeout.timeout("1 second"),
 *     breaker.protect,
 *     Retry.retry({ times: 2 }),
 *     Fallback.succeed("cold offer")
 *   )
 *   yield* Console.log(Policy.describe(resilient))
 *   return yield* fetchOffer.pipe(resilient)
 * })
 * ```
 *
 * @since 0.1.0
 * @category pipelines
 */
export const pipeline: {
  <B1>(p1: (self: Any) => B1): PipelineTo<B1>
  <B1, B2>(p1: (self: Any) => B1, p2: (self: B1) => B2): PipelineTo<B2>
  <B1, B2, B3>(p1: (self: Any) => B1, p2: (self: B1) => B2, p3: (self: B2) => B3): PipelineTo<B3>
  <B1, B2, B3, B4>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4
  ): PipelineTo<B4>
  <B1, B2, B3, B4, B5>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5
  ): PipelineTo<B5>
  <B1, B2, B3, B4, B5, B6>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6
  ): PipelineTo<B6>
  <B1, B2, B3, B4, B5, B6, B7>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7
  ): PipelineTo<B7>
  <B1, B2, B3, B4, B5, B6, B7, B8>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7,
    p8: (self: B7) => B8
  ): PipelineTo<B8>
  <B1, B2, B3, B4, B5, B6, B7, B8, B9>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7,
    p8: (self: B7) => B8,
    p9: (self: B8) => B9
  ): PipelineTo<B9>
  <Self extends ReadonlyArray<unknown>, B1>(p1: (...self: Self) => B1): (...self: Self) => B1
  <Self extends ReadonlyArray<unknown>, B1, B2>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2
  ): (...self: Self) => B2
  <Self extends ReadonlyArray<unknown>, B1, B2, B3>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3
  ): (...self: Self) => B3
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4
  ): (...self: Self) => B4
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4, B5>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5
  ): (...self: Self) => B5
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4, B5, B6>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6
  ): (...self: Self) => B6
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4, B5, B6, B7>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7
  ): (...self: Self) => B7
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4, B5, B6, B7, B8>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7,
    p8: (self: B7) => B8
  ): (...self: Self) => B8
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4, B5, B6, B7, B8, B9>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7,
    p8: (self: B7) => B8,
    p9: (self: B8) => B9
  ): (...self: Self) => B9
} = (...policies: ReadonlyArray<(self: never) => unknown>): never => {
  if (policies.length === 0) {
    throw new InvalidOption("Policy.pipeline", "policies", policies, "at least one policy")
  }
  policies.forEach((policy, index) => callable("Policy.pipeline", `policies[${index}]`, policy))
  const parts = policies.map(describedOf)
  const settings = { parts }
  const described: Described = { kind: "pipeline", name: "pipeline", settings }
  const composed = compose(policies as ReadonlyArray<Apply>, (apply) => make(described, apply))
  return Object.defineProperty(composed, "parts", { value: parts }) as never
}

/** What a policy says about itself, and of a plain function that it is one. */
const describedOf = (policy: Described | ((self: never) => unknown)): Described =>
  "kind" in policy ? policy : { kind: "function", name: policy.name || "function", settings: {} }

/**
 * Describes policies in one line each, in the order they are given (pipe order: innermost first). A pipeline is a line for each
 * of its parts, the outermost first, and so are the pipelines in it.
 *
 * @example
 * ```ts
 * import { Policy, Retry, Timeout } from "effect-resilience"
 *
 * console.log(Policy.describe(Timeout.timeout("2 seconds"), Retry.retry({ times: 2, name: "offers" })))
 * // timeout(limit: 2s)
 * // retry "offers"(times: 2)
 * ```
 *
 * @since 0.1.0
 * @category utils
 */
export const describe = (...policies: ReadonlyArray<Described | ((self: never) => unknown)>): string =>
  policies.flatMap((policy) => lines(describedOf(policy))).join("\n")

/** A loop, because pipelines may be nested to any depth. */
const lines = (described: Described): ReadonlyArray<string> => {
  const result: Array<string> = []
  const left = [described]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { parts } = next.settings
    if (next.kind === "pipeline" && Array.isArray(parts) && parts.every(isDescribed)) left.push(...parts)
    else result.push(describeOne(next))
  }
  return result
}

const isDescribed = (part: unknown): part is Described =>
  Predicate.hasProperty(part, "kind") && Predicate.hasProperty(part, "settings")

const describeOne = ({ kind, name, settings }: Described): string =>
  `${kind}${name === kind ? "" : ` "${name}"`}(${describeSettings(settings)})`

const describeSettings = (settings: object): string =>
  Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([option, value]) => `${option}: ${describeValue(value)}`)
    .join(", ")

const describeValue = (value: unknown): string => {
  if (Duration.isDuration(value)) return Duration.format(value)
  if (typeof value === "function") return "computed"
  if (Array.isArray(value)) return `[${value.map(describeValue).join(", ")}]`
  if (Predicate.isRecord(value)) return `{ ${describeSettings(value)} }`
  return String(value)
}

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
 * What every error has in common by which a policy turns a call away without running it: `CircuitOpen`,
 * `BulkheadFull` and `RateLimitExceeded`.
 *
 * @since 0.1.0
 * @category rejections
 */
export interface Rejection {
  readonly [RejectionTypeId]: RejectionTypeId
  readonly _tag: string
  /** The name of the policy that turned the call away. */
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
 * import { CircuitBreaker, Policy } from "effect-resilience"
 *
 * const program = Effect.gen(function* () {
 *   const breaker = yield* CircuitBreaker.make({ name: "partner" })
 *   yield* breaker.open
 *   return yield* Effect.succeed("hello").pipe(
 *     breaker.protect,
 *     Effect.catchIf(Policy.isRejection, (rejection) => Effect.succeed(`turned away by ${rejection.name}`))
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 * @category rejections
 */
export const isRejection = <E>(u: E): u is E & Rejection => Predicate.hasProperty(u, RejectionTypeId)

/**
 * The bounds of a policy with an instance for each key.
 *
 * @since 0.1.0
 * @category keyed
 */
export type { Bounds } from "./internal/keyed.js"

/**
 * What all policies with an instance for each key have in common. An instance is made when its key is first used, and
 * forgotten after `idleTimeToLive` without a call, or earlier to make room; never while it holds anything back.
 *
 * @since 0.1.0
 * @category keyed
 */
export interface Keyed<out Instance, out Snapshot> {
  /** The instance of a key, if it has one: to read it or to steer it. Looking for it does not count as a call. */
  readonly find: (key: string) => Effect.Effect<Option.Option<Instance>>
  /** The snapshots of all instances by key, the one least recently used first. */
  readonly snapshots: Effect.Effect<ReadonlyMap<string, Snapshot>>
  /** How many keys have an instance of their own. */
  readonly size: Effect.Effect<number>
}
