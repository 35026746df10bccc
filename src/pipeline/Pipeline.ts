/**
 * The public module `Policy`: the vocabulary of all policies, and a composition of policies as a value.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { callable } from "../core/options.js"
import { describedOf } from "../policy/describe.js"
import * as Policy from "../policy/Policy.js"
import type { Filled } from "../retry/Retry.js"
import { type Apply, compose } from "./compose.js"

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
 * **When to use**
 *
 * For a composition that has a place of its own: built once where a program starts, printed, passed to callers, and used
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
 * type is taken as `flow` takes it, and the pipeline is a plain function to the compiler; {@link Policy.describe} prints both. A plain
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
    throw new Policy.InvalidOption("Policy.pipeline", "policies", policies, "at least one policy")
  }
  policies.forEach((policy, index) => callable("Policy.pipeline", `policies[${index}]`, policy))
  const parts = policies.map(describedOf)
  const settings = { parts }
  const described: Policy.Described = { kind: "pipeline", name: "pipeline", settings }
  const composed = compose(policies as ReadonlyArray<Apply>, (apply) => Policy.make(described, apply))
  return Object.defineProperty(composed, "parts", { value: parts }) as never
}
