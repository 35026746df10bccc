/**
 * Replaces a failure with a value, another effect or another error.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import type * as Predicate from "effect/Predicate"
import { callable, InvalidOption, isList, object, type Shape, text } from "../core/options.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import * as Condition from "../policy/condition.js"
import { holding } from "../internal/disposal.js"
import { type Begun, seenBy, takingPart } from "../policy/frame.js"
import { combinator } from "../policy/define.js"
import type { ContextOfEffect, ErrorOfEffect, Checked, SuccessOfEffect } from "../policy/types.js"
import * as Events from "../policy/events.js"
import { begun as begunToEnd } from "../policy/attempts.js"
import * as Policy from "../policy/Policy.js"
import type { Body } from "../internal/erased.js"
import * as Time from "../internal/time.js"

// ------------------------------------------------------------------------------------------------------------- models

/**
 * A fallback is about to be used, for this failure.
 *
 * @since 0.1.0
 * @category events
 */
export interface FallbackUsed<out A, out E> extends Policy.Event<"fallback", "Fallback"> {
  readonly failure: FailureCondition.Failed<A, E>
}

/**
 * A fallback that ran has ended. For the program's observer alone.
 *
 * @since 0.1.0
 * @category events
 */
export interface FallbackEnded extends Policy.Event<"fallback", "FallbackEnded"> {
  readonly outcome: "Success" | "Failure" | "Interrupted"
  /** How long the fallback took. */
  readonly duration: Duration.Duration
}

/**
 * What happens in a fallback.
 *
 * @since 0.1.0
 * @category events
 */
export type Event<A, E> = FallbackUsed<A, E> | FallbackEnded

/**
 * The options of a fallback, for effects that succeed with an `A` and fail with an `E`.
 *
 * @since 0.1.0
 * @category options
 */
export interface Options<A, E> {
  /** The name in events. Default: `"fallback"`. */
  readonly name?: string | undefined
  /** Which errors and results it is used for. Default: every typed error. Defects only when the condition says so. */
  readonly condition?: FailureCondition.FailureCondition<A, E> | undefined
  /** Called before the fallback runs. */
  readonly onFallback?: ((event: FallbackUsed<A, E>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /**
   * Releases what a result holds: a failed one when the fallback in its place has ended, any other when the caller is interrupted
   * before it gets it. Runs once for each, not interruptibly.
   */
  readonly disposeResult?: ((result: A) => Effect.Effect<unknown, never, unknown>) | undefined
}

/**
 * The errors that a condition certainly does not handle, and those of which the compiler cannot tell.
 *
 * @since 0.1.0
 * @category models
 */
export type Unhandled<E, O> = UnhandledBy<E, ConditionOf<O>>

type ConditionOf<O> = "condition" extends keyof O ? O["condition"] : undefined

type UnhandledBy<E, C> = C extends undefined
  ? never
  : C extends ((...args: never) => unknown) | { readonly any: unknown }
    ? E
    : IgnoresErrors<C> extends true
      ? E
      : MaySay<C, "error" | "tags"> extends true
        ? Exclude<E, RefinedBy<E, C> | TaggedBy<E, C>>
        : never

/** Whether one of these parts may be given, as far as the type says. */
type MaySay<C, Part extends string> = [Extract<keyof C, Part>] extends [never] ? false : true

type IgnoresErrors<C> = C extends { readonly ignore?: infer Ignore }
  ? MaySay<NonNullable<Ignore>, "error" | "tags">
  : false

// A part handles errors only when it is certainly given.
type RefinedBy<E, C> = C extends { readonly error: Predicate.Refinement<E, infer E2> } ? E2 : never

type TaggedBy<E, C> = C extends { readonly tags: ReadonlyArray<infer Tag> }
  ? Extract<E, { readonly _tag: Tag }>
  : never

/**
 * A fallback that fits every effect: typed errors are replaced by what the fallback brings.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fallback<out A2, out E2 = never, out R2 = never> extends Policy.Described {
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A | A2, E2, R | R2>
}

/**
 * A fallback that reads the error, and so fits every effect with such errors.
 *
 * @since 0.1.0
 * @category models
 */
export interface FallbackFrom<in E, out A2, out E2, out R2> extends Policy.Described {
  <A, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A | A2, E2, R | R2>
}

/**
 * A fallback with options, for effects that succeed with an `A` and fail with an `E`, or with less than these.
 *
 * @since 0.1.0
 * @category models
 */
export interface FallbackFor<in A, in E, Condition, out A2, out E2 = never, out R2 = never>
  extends Policy.Described {
  <A1 extends A, E1 extends E, R>(
    self: Policy.SelfOf<A, E, A1, E1, R>
  ): Effect.Effect<A1 | A2, UnhandledBy<E1, Condition> | E2, R | R2>
}

type Returned<F> = F extends (...args: never) => infer Result ? Result : never

/**
 * The second argument: the fallback if the first is the effect, else the options. With two overloads, the compiler would not name a
 * misspelt option. An `Option` or `Either` in the first place is a value.
 */
type Second<First, Fallback, Options> = First extends Option.Option<unknown> | Either.Either<unknown, unknown>
  ? Options
  : First extends Body
    ? Fallback
    : Options

// -------------------------------------------------------------------------------------------------------- combinators

/**
 * Succeeds with a value instead of failing.
 *
 * **When to use**: outermost, when there is an answer that is better than none: a default, the last known value, an empty list.
 *
 * **Time line**: when the exit is a failure by the `condition` (by default a typed error), the value takes its place. A defect
 * stays a defect unless the condition says so, an interruption stays an interruption.
 *
 * **Removes** what it handles from the error channel: everything without a condition on errors, the `tags` of a condition,
 * what its `error` refines to. What the compiler cannot tell stays.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Fallback } from "effect-resilience"
 *
 * declare const fetchOffer: Effect.Effect<string, { readonly _tag: "Refused" } | { readonly _tag: "Forbidden" }>
 *
 * // Effect<string, { readonly _tag: "Forbidden" }>
 * const offer = fetchOffer.pipe(Fallback.succeed("cold offer", { condition: { tags: ["Refused"] } }))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const succeed: {
  <A2>(value: A2): Fallback<A2>
  <First, A, E, A2, const O>(
    first: First,
    second: Second<First, A2, Checked<O, Options<A, E>>>
  ): Second<
    First,
    Effect.Effect<SuccessOfEffect<First> | A2, never, ContextOfEffect<First>>,
    FallbackFor<A, E, ConditionOf<O>, First, Policy.ErrorOf<O>, Policy.ContextOf<O>>
  >
  <A, E, R, A2, const O>(
    self: Effect.Effect<A, E, R>,
    value: A2,
    options: Checked<O, Options<A, E>>
  ): Effect.Effect<A | A2, Unhandled<E, O> | Policy.ErrorOf<O>, R | Policy.ContextOf<O>>
} = combinator((value: unknown, options?: AnyOptions) => {
  const success = Effect.succeed(value)
  return make("Fallback.succeed", () => success, options)
})

/**
 * Succeeds with a value that is computed when it is needed.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Fallback } from "effect-resilience"
 *
 * const program = Effect.fail("down").pipe(Fallback.sync(() => `cold offer of ${new Date().toISOString()}`))
 * ```
 *
 * @see {@link succeed} for the time line, the condition and the types.
 *
 * @since 0.1.0
 * @category combinators
 */
export const sync: {
  <A2>(value: () => A2): Fallback<A2>
  <First extends Body | (() => unknown), A, E, A2, const O>(
    first: First,
    second: Second<First, () => A2, Checked<O, Options<A, E>>>
  ): Second<
    First,
    Effect.Effect<SuccessOfEffect<First> | A2, never, ContextOfEffect<First>>,
    FallbackFor<A, E, ConditionOf<O>, Returned<First>, Policy.ErrorOf<O>, Policy.ContextOf<O>>
  >
  <A, E, R, A2, const O>(
    self: Effect.Effect<A, E, R>,
    value: () => A2,
    options: Checked<O, Options<A, E>>
  ): Effect.Effect<A | A2, Unhandled<E, O> | Policy.ErrorOf<O>, R | Policy.ContextOf<O>>
} = combinator((value: () => unknown, options?: AnyOptions) => {
  callable("Fallback.sync", "value", value)
  const success = Effect.sync(value)
  return make("Fallback.sync", () => success, options)
})

/**
 * Runs another effect instead, which is given the failure. Its errors are the errors of the whole; to fall back from a fallback,
 * see {@link chain}.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Fallback } from "effect-resilience"
 *
 * const program = Effect.succeed({ status: 503 }).pipe(
 *   Fallback.orElse((failure) => Effect.logWarning(failure).pipe(Effect.as({ status: 200 })), {
 *     condition: { result: (response) => response.status >= 500 }
 *   })
 * )
 * ```
 *
 * @see {@link succeed} for the time line, the condition and the types.
 *
 * @since 0.1.0
 * @category combinators
 */
export const orElse: {
  <E, A2, E2, R2>(
    use: (failure: FailureCondition.ErrorFailed<E>) => Effect.Effect<A2, E2, R2>
  ): FallbackFrom<E, A2, E2, R2>
  <First extends Body | Step<FailureCondition.Failed<A, E>>, A, E, A2, E2, R2, const O>(
    first: First,
    second: Second<
      First,
      (failure: FailureCondition.ErrorFailed<ErrorOfEffect<First>>) => Effect.Effect<A2, E2, R2>,
      Checked<O, Options<A, E>>
    >
  ): Second<
    First,
    Effect.Effect<SuccessOfEffect<First> | A2, E2, ContextOfEffect<First> | R2>,
    FallbackFor<
      A,
      E,
      ConditionOf<O>,
      SuccessOfEffect<Returned<First>>,
      ErrorOfEffect<Returned<First>> | Policy.ErrorOf<O>,
      ContextOfEffect<Returned<First>> | Policy.ContextOf<O>
    >
  >
  <A, E, R, A2, E2, R2, const O>(
    self: Effect.Effect<A, E, R>,
    use: (failure: FailureCondition.Failed<A, E>) => Effect.Effect<A2, E2, R2>,
    options: Checked<O, Options<A, E>>
  ): Effect.Effect<A | A2, Unhandled<E, O> | E2 | Policy.ErrorOf<O>, R | R2 | Policy.ContextOf<O>>
} = combinator((use: Use, options?: AnyOptions) => {
  callable("Fallback.orElse", "use", use)
  return make("Fallback.orElse", use, options)
})

/**
 * Fails with another error instead, made from the failure.
 *
 * @example
 * ```ts
 * import { Data, Effect } from "effect"
 * import { Fallback, Timeout } from "effect-resilience"
 *
 * class PartnerUnavailable extends Data.TaggedError("PartnerUnavailable")<{ readonly reason: string }> {}
 *
 * // Effect<string, PartnerUnavailable>
 * const program = Effect.succeed("hot offer").pipe(
 *   Timeout.timeout("1 second"),
 *   Fallback.fail(({ error }) => new PartnerUnavailable({ reason: error._tag }))
 * )
 * ```
 *
 * @see {@link succeed} for the time line, the condition and the types.
 *
 * @since 0.1.0
 * @category combinators
 */
export const fail: {
  <E, E2>(error: (failure: FailureCondition.ErrorFailed<E>) => E2): FallbackFrom<E, never, E2, never>
  <First extends Body | ((failure: FailureCondition.Failed<A, E>) => unknown), A, E, E2, const O>(
    first: First,
    second: Second<
      First,
      (failure: FailureCondition.ErrorFailed<ErrorOfEffect<First>>) => E2,
      Checked<O, Options<A, E>>
    >
  ): Second<
    First,
    Effect.Effect<SuccessOfEffect<First>, E2, ContextOfEffect<First>>,
    FallbackFor<A, E, ConditionOf<O>, never, Returned<First> | Policy.ErrorOf<O>, Policy.ContextOf<O>>
  >
  <A, E, R, E2, const O>(
    self: Effect.Effect<A, E, R>,
    error: (failure: FailureCondition.Failed<A, E>) => E2,
    options: Checked<O, Options<A, E>>
  ): Effect.Effect<A, Unhandled<E, O> | E2 | Policy.ErrorOf<O>, R | Policy.ContextOf<O>>
} = combinator((error: (failure: Failure) => unknown, options?: AnyOptions) => {
  callable("Fallback.fail", "error", error)
  return make("Fallback.fail", (failure) => Effect.failSync(() => error(failure)), options)
})

/**
 * Tries several effects in order: the next one runs when the one before fails with a typed error. Each is given the
 * original failure. The errors of the last one are the errors of the whole.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Fallback } from "effect-resilience"
 *
 * // Effect<string, never>
 * const program = Effect.fail("down").pipe(
 *   Fallback.chain([() => Effect.fail("mirror down"), () => Effect.succeed("cached offer")])
 * )
 * ```
 *
 * @see {@link succeed} for the time line, the condition and the types.
 *
 * @since 0.1.0
 * @category combinators
 */
export const chain: {
  <E, const S extends Steps<FailureCondition.ErrorFailed<E>>>(
    steps: S
  ): FallbackFrom<E, StepSuccess<S>, StepError<S>, StepContext<S>>
  <
    const First extends Body | Steps<FailureCondition.Failed<A, E>>,
    A,
    E,
    const S extends Steps<FailureCondition.ErrorFailed<ErrorOfEffect<First>>>,
    const O
  >(
    first: First,
    second: Second<First, S, Checked<O, Options<A, E>>>
  ): Second<
    First,
    Effect.Effect<
      SuccessOfEffect<First> | StepSuccess<S>,
      StepError<S>,
      ContextOfEffect<First> | StepContext<S>
    >,
    FallbackFor<
      A,
      E,
      ConditionOf<O>,
      StepSuccess<First>,
      StepError<First> | Policy.ErrorOf<O>,
      StepContext<First> | Policy.ContextOf<O>
    >
  >
  <A, E, R, const S extends Steps<FailureCondition.Failed<A, E>>, const O>(
    self: Effect.Effect<A, E, R>,
    steps: S,
    options: Checked<O, Options<A, E>>
  ): Effect.Effect<
    A | StepSuccess<S>,
    Unhandled<E, O> | StepError<S> | Policy.ErrorOf<O>,
    R | StepContext<S> | Policy.ContextOf<O>
  >
} = combinator((steps: Steps<Failure>, options?: AnyOptions) => {
  if (!isList(steps) || steps.length === 0) {
    throw new InvalidOption("Fallback.chain", "steps", steps, "at least one effect")
  }
  steps.forEach((step, index) => callable("Fallback.chain", `steps[${index}]`, step))
  const [first, ...rest] = steps
  const use: Use = (failure) =>
    rest.reduce(
      (tried, step) =>
        Effect.catchAllCause(tried, (cause) =>
          // A defect next to an error is still a bug.
          Condition.failedCause(cause)?._tag === "Error" ? step(failure) : Effect.failCause(cause)
        ),
      first(failure)
    )
  return make("Fallback.chain", use, options)
})

/**
 * The effects of a {@link chain}, each given the original failure.
 *
 * @since 0.1.0
 * @category models
 */
export type Steps<F> = readonly [Step<F>, ...ReadonlyArray<Step<F>>]

type Step<F> = (failure: F) => Effect.Effect<unknown, unknown, unknown>

type StepSuccess<S> = S extends ReadonlyArray<infer Each> ? SuccessOfEffect<Returned<Each>> : never
type StepContext<S> = S extends ReadonlyArray<infer Each> ? ContextOfEffect<Returned<Each>> : never
type StepError<S> = S extends readonly [...infer _Before, infer Last]
  ? ErrorOfEffect<Returned<Last>>
  : S extends ReadonlyArray<infer Each>
    ? ErrorOfEffect<Returned<Each>>
    : never

// ----------------------------------------------------------------------------------------------------- implementation

type Failure = FailureCondition.Failed<unknown, unknown>
type Use = (failure: Failure) => Body
type AnyOptions = Options<unknown, unknown>

const shape: Shape<AnyOptions> = {
  name: text,
  condition: Condition.check,
  disposeResult: callable,
  onFallback: callable
}

const emitter = /*#__PURE__*/ Events.ofCall<Event<unknown, unknown>>({
  Fallback: "heard",
  FallbackEnded: "observed"
})

const make = (policy: string, use: Use, options: AnyOptions = {}): ((self: Body) => Body) => {
  object(policy, "", options, shape)
  const { disposeResult, name = "fallback" } = options
  const emit = emitter({ kind: "fallback", name }, options)
  const { judge, looksAtResults } = Condition.compile(options.condition, { defect: false })
  const failureIn = (exit: Exit.Exit<unknown, unknown>): Failure | undefined => {
    const verdict = judge(exit)
    return verdict._tag === "Failure" ? verdict.failed : undefined
  }
  const replacing = (failure: Failure): Body => {
    const told = emit.Fallback?.({ failure })
    return told === undefined
      ? use(failure)
      : Effect.flatMap(told, () =>
          observed(
            name,
            Effect.suspend(() => use(failure))
          )
        )
  }
  const begun: Begun = {
    ended: (exit) => {
      const failure = failureIn(exit)
      return failure === undefined ? exit : replacing(failure)
    }
  }
  const settings = { with: policy.slice("Fallback.".length), condition: options.condition }
  const needsMask = looksAtResults && disposeResult !== undefined
  const fallback = Policy.make({ kind: "fallback", name, settings }, (self: Body): Body =>
    needsMask ? disposing(self, failureIn, replacing, disposeResult) : seenBy(self, begun, looksAtResults)
  )
  return takingPart(fallback, { looksAtResults, begin: () => (needsMask ? undefined : begun) })
}

/** Shows the observer how what replaces a failure ended. */
const observed = (name: string, self: Body): Body =>
  Effect.withFiberRuntime((fiber) => {
    const observer = Events.observerIn(fiber.currentContext)
    if (observer === undefined) return self
    const ended = begunToEnd(
      observer,
      (duration, outcome): Omit<FallbackEnded, "outcome"> & Pick<Policy.AttemptEnded, "outcome"> => ({
        _tag: "FallbackEnded",
        kind: "fallback",
        name,
        duration,
        outcome
      }),
      Time.clockOf(fiber)
    )
    return Effect.onExit(self, (exit) => Effect.sync(() => ended(exit, exit)))
  })

/** From its end on the result is the fallback's, until it is handed on or what replaces it has ended. */
const disposing = (
  self: Body,
  failureIn: (exit: Exit.Exit<unknown, unknown>) => Failure | undefined,
  replacing: (failure: Failure) => Body,
  disposeResult: (result: unknown) => Effect.Effect<unknown, never, unknown>
): Body =>
  holding((restore, hold) =>
    Effect.flatMap(Effect.exit(restore(self)), (exit) => {
      const dispose = Exit.isSuccess(exit) ? Effect.suspend(() => disposeResult(exit.value)) : Effect.void
      const judged = Effect.sync(() => failureIn(exit)).pipe(Effect.onError(() => dispose))
      return Effect.flatMap(judged, (failure) => {
        if (failure !== undefined) {
          return Effect.ensuring(restore(Effect.suspend(() => replacing(failure))), dispose)
        }
        hold(dispose)
        return exit
      })
    })
  )
