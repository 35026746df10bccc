/**
 * The public module `Policy`: the vocabulary of all policies, and a composition of policies as a value.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Runtime from "effect/Runtime"
import { callable } from "../core/options.js"
import { describedOf } from "../policy/describe.js"
import * as Policy from "../policy/Policy.js"
import type { Filled } from "../retry/Retry.js"
import { type Apply, compose } from "./compose.js"
import { guardOf } from "./promise.js"

export * from "../policy/Policy.js"

type Any = Effect.Effect<Policy.Given.Success, Policy.Given.Failure, Policy.Given.Context>

type PipelineTo<Result> = Result extends Effect.Effect<infer A, infer E, infer R> ? Pipeline<A, E, R> : never

/**
 * Policies in pipe order, as one policy that fits every effect.
 *
 * @since 0.1.0
 * @category pipelines
 */
export interface Pipeline<A2 = Policy.Given.Success, E2 = Policy.Given.Failure, R2 = Policy.Given.Context>
  extends Policy.Described {
  <A, E, R>(
    self: Effect.Effect<A, E, R>
  ): Effect.Effect<Filled<A2, A, E, R>, Filled<E2, A, E, R>, Filled<R2, A, E, R>>
  /** What it is made of, in pipe order: innermost first. */
  readonly parts: ReadonlyArray<Policy.Described>
  readonly settings: { readonly parts: ReadonlyArray<Policy.Described> }
}

/**
 * Policies as one policy, in pipe order: innermost first.
 *
 * **When to use**: for a composition that has a place of its own: built once where a program starts, printed, passed to callers,
 * and used for many calls. It does what the same policies do in a `pipe`, for less.
 *
 * **Time line**: the same outcomes, listeners and counts as in a pipe. Neighbours that can decide at once share a frame: timeouts,
 * circuit breakers, fallbacks, retries without a budget and without `disposeResult`, bulkheads and rate limiters. Anything else (a
 * half-open breaker, a queue, another attempt) goes on as in a pipe. An interruption that ends a call may be in its cause once more
 * or less.
 *
 * **Types**: where every policy fits every effect, so does the pipeline, and its `parts` can be read. One that belongs to effects of
 * one type is taken as `flow` takes it, and the pipeline is a plain function to the compiler. A function that removes errors or
 * requirements depending on the effect (as `Effect.provideService` does) belongs after the pipeline.
 *
 * **Adds** what the policies add.
 *
 * @example
 * ```ts
 * import { CircuitBreaker, Fallback, Policy, Retry, Timeout } from "effect-resilience"
 *
 * class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
 *
 * const resilient = Policy.pipeline(
 *   Timeout.timeout("1 second"),
 *   Partner.protect,
 *   Retry.retry({ times: 2 }),
 *   Fallback.succeed("cold offer")
 * )
 * ```
 *
 * @since 0.1.0
 * @category pipelines
 */
export const pipeline: Composing<ToPipeline, ToFunction> = (
  ...policies: ReadonlyArray<(self: never) => unknown>
): never => {
  const parts = checked("Policy.pipeline", policies).map(describedOf)
  const settings = { parts }
  const described: Policy.Described = { kind: "pipeline", name: "pipeline", settings }
  const composed = compose(policies as ReadonlyArray<Apply>, (apply) => Policy.make(described, apply))
  return Object.defineProperty(composed, "parts", { value: parts }) as never
}

const checked = <P>(composing: string, policies: ReadonlyArray<P>): ReadonlyArray<P> => {
  if (policies.length === 0) {
    throw new Policy.InvalidOption(composing, "policies", policies, "at least one policy")
  }
  policies.forEach((policy, index) => callable(composing, `policies[${index}]`, policy))
  return policies
}

/**
 * What a function guarded by {@link promise} is given first, at each of its runs.
 *
 * @since 0.1.0
 * @category promises
 */
export interface Call {
  /** Aborted at the limit of a timeout, when another run of a hedge was faster, or with the caller's signal and its reason. */
  readonly signal: AbortSignal
}

/**
 * A function to promises with policies around it.
 *
 * @since 0.1.0
 * @category promises
 */
export interface Guarded<in Args extends ReadonlyArray<unknown>, out A> {
  (...args: Args): Promise<A>
  /** The same, ended by a signal: the promise is rejected with its reason. */
  readonly withSignal: (signal: AbortSignal) => (...args: Args) => Promise<A>
}

/**
 * Policies for functions that return promises.
 *
 * @since 0.1.0
 * @category promises
 */
export interface Guard<A2 = Policy.Given.Success> extends Unprovided<A2, never> {
  <Args extends ReadonlyArray<unknown>, A>(
    run: (call: Call, ...args: Args) => A | PromiseLike<A>
  ): Guarded<Args, Filled<A2, A, unknown, never>>
}

/**
 * Policies for functions whose result a condition reads.
 *
 * @since 0.1.0
 * @category promises
 */
export interface GuardFor<A, B> extends ProvidedBy<GuardFor<A, B>, never> {
  <Args extends ReadonlyArray<unknown>>(
    run: (call: Call, ...args: Args) => A | PromiseLike<A>
  ): Guarded<Args, B>
}

/**
 * Where the services of policies come from: a runtime that has them, or a layer. A layer is built at the first call and lives as
 * long as the process; to dispose of one, give a `ManagedRuntime`.
 *
 * @since 0.1.0
 * @category promises
 */
export type Services<R> =
  Runtime.Runtime<R> | ManagedRuntime.ManagedRuntime<R, unknown> | Layer.Layer<R, unknown>

interface ProvidedBy<To, R> {
  /** Runs the policies with these services, and with the clock, the logger and the references that come with them. */
  readonly provide: (services: Services<R>) => To
}

/**
 * Policies that need services before they can guard a function.
 *
 * @since 0.1.0
 * @category promises
 */
export interface Unprovided<A2, R> extends ProvidedBy<Guard<A2>, R> {}

type GuardTo<Result> =
  Result extends Effect.Effect<infer A, unknown, infer R>
    ? [Exclude<R, Policy.Given.Context>] extends [never]
      ? Guard<A>
      : Unprovided<A, Exclude<R, Policy.Given.Context>>
    : never

type GuardForTo<Self, Result> = Self extends readonly [Effect.Effect<infer A, unknown, infer R0>]
  ? Result extends Effect.Effect<infer B, unknown, infer R>
    ? [Exclude<R, R0>] extends [never]
      ? GuardFor<A, B>
      : ProvidedBy<GuardFor<A, B>, Exclude<R, R0>>
    : never
  : never

/**
 * Policies around functions that return promises, in pipe order: innermost first. For handlers, for methods of an SDK, for
 * everything that is not in Effect. A program in Effect applies policies to effects.
 *
 * **Time line**: the same outcomes and counts as in a pipe around `Effect.tryPromise`. As long as nothing has to wait, no fiber is
 * started: circuit breakers that are closed or reject, timeouts, fallbacks, first attempts of a retry, bulkheads and limiters that
 * have a permit. Another attempt, a queue, a probe, a listener and all other policies run in a fiber.
 *
 * **Rejects** with the error itself, of the function or of a policy (`CircuitOpen`), with a defect as it is, or with the reason of
 * the caller's signal.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Policy, Retry, Timeout } from "effect-resilience"
 *
 * const breaker = Effect.runSync(CircuitBreaker.make({ name: "partner" }))
 * const guard = Policy.promise(Timeout.timeout("2 seconds"), breaker.protect, Retry.retry({ times: 2 }))
 *
 * const fetchOffer = guard(({ signal }, id: string) => fetch(`https://partner.example/offers/${id}`, { signal }))
 *
 * const offer = fetchOffer.withSignal(AbortSignal.timeout(500))("42")
 * ```
 *
 * @since 0.1.0
 * @category promises
 */
export const promise: Composing<ToGuard, ToGuardFor> = (
  ...policies: ReadonlyArray<(self: never) => unknown>
): never => guardOf(checked("Policy.promise", policies) as ReadonlyArray<Apply>) as never

// --------------------------------------------------------------------------------------------------------------- types

/** What comes of policies that fit every effect, or that fit one. */
interface ToPipeline extends Way {
  readonly to: PipelineTo<this["result"]>
}
interface ToFunction extends Way {
  readonly to: (...self: Extract<this["self"], ReadonlyArray<unknown>>) => this["result"]
}
interface ToGuard extends Way {
  readonly to: GuardTo<this["result"]>
}
interface ToGuardFor extends Way {
  readonly to: GuardForTo<this["self"], this["result"]>
}

interface Way {
  readonly self: unknown
  readonly result: unknown
  readonly to: unknown
}

type Made<W extends Way, Result> = (W & { readonly result: Result })["to"]
type MadeFor<W extends Way, Self, Result> = (W & { readonly self: Self; readonly result: Result })["to"]

interface Composing<Fit extends Way, Flow extends Way> {
  <B1>(p1: (self: Any) => B1): Made<Fit, B1>
  <B1, B2>(p1: (self: Any) => B1, p2: (self: B1) => B2): Made<Fit, B2>
  <B1, B2, B3>(p1: (self: Any) => B1, p2: (self: B1) => B2, p3: (self: B2) => B3): Made<Fit, B3>
  <B1, B2, B3, B4>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4
  ): Made<Fit, B4>
  <B1, B2, B3, B4, B5>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5
  ): Made<Fit, B5>
  <B1, B2, B3, B4, B5, B6>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6
  ): Made<Fit, B6>
  <B1, B2, B3, B4, B5, B6, B7>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7
  ): Made<Fit, B7>
  <B1, B2, B3, B4, B5, B6, B7, B8>(
    p1: (self: Any) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7,
    p8: (self: B7) => B8
  ): Made<Fit, B8>
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
  ): Made<Fit, B9>
  <Self extends ReadonlyArray<unknown>, B1>(p1: (...self: Self) => B1): MadeFor<Flow, Self, B1>
  <Self extends ReadonlyArray<unknown>, B1, B2>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2
  ): MadeFor<Flow, Self, B2>
  <Self extends ReadonlyArray<unknown>, B1, B2, B3>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3
  ): MadeFor<Flow, Self, B3>
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4
  ): MadeFor<Flow, Self, B4>
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4, B5>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5
  ): MadeFor<Flow, Self, B5>
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4, B5, B6>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6
  ): MadeFor<Flow, Self, B6>
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4, B5, B6, B7>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7
  ): MadeFor<Flow, Self, B7>
  <Self extends ReadonlyArray<unknown>, B1, B2, B3, B4, B5, B6, B7, B8>(
    p1: (...self: Self) => B1,
    p2: (self: B1) => B2,
    p3: (self: B2) => B3,
    p4: (self: B3) => B4,
    p5: (self: B4) => B5,
    p6: (self: B5) => B6,
    p7: (self: B6) => B7,
    p8: (self: B7) => B8
  ): MadeFor<Flow, Self, B8>
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
  ): MadeFor<Flow, Self, B9>
}
