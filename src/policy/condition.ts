/** Compiles the conditions of a call site into one function from an exit to a verdict. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { callable, InvalidOption, isObject, object, type Shape } from "../core/options.js"
import type * as FailureCondition from "./FailureCondition.js"
import * as Policy from "./Policy.js"
import { runtimeMillis } from "../internal/duration.js"

/** The outcomes without a hint, one object each. */
export const success: FailureCondition.Outcome = { _tag: "Success" }
export const failure: FailureCondition.Outcome = { _tag: "Failure", retryAfter: undefined }
export const ignored: FailureCondition.Outcome = { _tag: "Ignored" }

/** The meaning of what the condition does not mention. */
export interface Defaults {
  /** Whether a defect is a failure. */
  readonly defect: boolean
  /** Which errors count for nothing. By default none: an error is a failure. */
  readonly ignore?: (error: unknown) => boolean
}

/** A limit that passed while the whole process stood still says nothing about what was called. */
export const isOwnStall = (error: unknown): boolean =>
  Predicate.isTagged(error, "TimeoutExceeded") && Predicate.hasProperty(error, "stalled")

/** The first failure of a cause. What a finalizer does after an interruption makes no failure of it. */
export const failedCause = <E>(
  cause: Cause.Cause<E>
): FailureCondition.ErrorFailed<E> | FailureCondition.DefectFailed<E> | undefined => {
  if (cause._tag === "Fail") return { _tag: "Error", error: cause.error, cause }
  const before = beforeFinalizers(cause)
  if (Cause.isInterrupted(before) && Cause.isInterruptedOnly(before)) return undefined
  const defect = Chunk.head(Cause.defects(cause))
  if (Option.isSome(defect)) return { _tag: "Defect", defect: defect.value, cause }
  const error = Cause.failureOption(cause)
  return Option.isSome(error) ? { _tag: "Error", error: error.value, cause } : undefined
}

const beforeFinalizers = <E>(cause: Cause.Cause<E>): Cause.Cause<E> =>
  cause._tag === "Sequential" ? beforeFinalizers(Cause.isEmpty(cause.left) ? cause.right : cause.left) : cause

/** An exit as a failure, or `undefined` for an interruption and an empty cause. */
export const failed = <A, E>(exit: Exit.Exit<A, E>): FailureCondition.Failed<A, E> | undefined =>
  Exit.isSuccess(exit) ? { _tag: "Result", result: exit.value } : failedCause(exit.cause)

/** Whether nothing but an interruption ended it. */
export const isInterruption = (exit: Exit.Exit<unknown, unknown>): boolean => failed(exit) === undefined

/** An outcome with what a policy wants to know of a failure. */
export type Verdict = FailureCondition.Success | FailureCondition.Ignored | FailureVerdict

export interface FailureVerdict {
  readonly _tag: "Failure"
  readonly failed: FailureCondition.Failed<unknown, unknown>
  /** When to come back: what the condition read, else what a rejection from further inside says. */
  readonly retryAfterMillis: number | undefined
}

export interface Judge<in A, in E> {
  (exit: Exit.Exit<A, E>): Verdict
}

/** A condition ready for use. */
export interface Compiled<in A, in E> {
  readonly judge: Judge<A, E>
  /** The same as an outcome, which has no hint but the condition's own. */
  readonly classify: FailureCondition.Classifier<A, E>
  /** Whether a successful exit can be anything but a success. */
  readonly looksAtResults: boolean
}

const tags = (policy: string, option: string, value: unknown): void => {
  if (!Array.isArray(value) || value.some((tag) => typeof tag !== "string")) {
    throw new InvalidOption(policy, option, value, "a list of tags")
  }
}

const matcher: Shape<FailureCondition.Matcher<unknown, unknown>> = {
  error: callable,
  result: callable,
  tags
}

const shape: Shape<FailureCondition.Options<unknown, unknown>> = {
  ...matcher,
  defect: (policy, option, value) => {
    if (typeof value !== "boolean" && typeof value !== "function") {
      throw new InvalidOption(policy, option, value, "true, false or a function")
    }
  },
  ignore: (policy, option, value) => object(policy, option, value, matcher),
  retryAfter: callable
}

/** Checks a condition at the path of an option. */
export const check = (policy: string, option: string, condition: unknown): void => {
  if (typeof condition === "function") return
  if (!isObject(condition)) throw new InvalidOption(policy, option, condition, "a condition")
  if (!("any" in condition)) return object(policy, option, condition, shape)
  object(policy, option, condition, { any: checkAll })
}

/** Checks a list of conditions. */
export const checkAll = (policy: string, option: string, conditions: unknown): void => {
  if (!Array.isArray(conditions)) throw new InvalidOption(policy, option, conditions, "a list of conditions")
  conditions.forEach((condition, index) => check(policy, `${option}[${index}]`, condition))
}

/** Compiles a condition that has been checked. Interruptions are ignored. */
export const compile = <A, E>(
  condition: FailureCondition.FailureCondition<A, E> | undefined,
  defaults: Defaults
): Compiled<A, E> => {
  if (condition === undefined && defaults.ignore === undefined) {
    return defaults.defect
      ? (silent ??= compiled([], defaults))
      : (silentOnDefects ??= compiled([], defaults))
  }
  return compiled(condition === undefined ? [] : flatten(condition), defaults)
}

/** What is compiled without a condition, made once. */
let silent: Compiled<unknown, unknown> | undefined
let silentOnDefects: Compiled<unknown, unknown> | undefined

const compiled = <A, E>(parts: ReadonlyArray<Part<A, E>>, defaults: Defaults): Compiled<A, E> => {
  const ofError: FailureCondition.Outcome = parts.some(speaksOfErrors) ? success : failure
  const ofDefect: FailureCondition.Outcome = defaults.defect ? failure : ignored
  const looksAtResults = parts.some(
    (part) => typeof part === "function" || part.result !== undefined || part.ignore?.result !== undefined
  )

  const byDefault = (seen: FailureCondition.Failed<A, E>): FailureCondition.Outcome => {
    if (seen._tag === "Result") return success
    if (seen._tag === "Defect") return ofDefect
    return ofError === failure && defaults.ignore?.(seen.error) === true ? ignored : ofError
  }

  const judge = (exit: Exit.Exit<A, E>, otherHint: HintOf | undefined): Verdict => {
    if (!looksAtResults && exit._tag === "Success") return success
    const seen = failed(exit)
    // Without a condition the defaults decide.
    if (seen !== undefined && parts.length === 0) {
      const outcome = byDefault(seen)
      return outcome._tag === "Failure"
        ? { _tag: "Failure", failed: seen, retryAfterMillis: otherHint?.(seen) }
        : outcome
    }
    if (seen === undefined || parts.some((part) => ignores(part, seen))) return ignored
    const explicit = parts.map((part) => explicitly(part, exit, seen))
    const outcome =
      explicit.find((said) => said?._tag === "Failure") ??
      explicit.find((said) => said?._tag === "Ignored") ??
      explicit.find((said) => said !== undefined) ??
      byDefault(seen)
    if (outcome._tag !== "Failure") return outcome
    // The hint of a part that says Failure comes before that of one that only reads hints.
    const says = (part: Part<A, E>) => explicit[parts.indexOf(part)]?._tag === "Failure"
    const retryAfterMillis =
      outcome.retryAfter === undefined
        ? (hintFrom([...parts.filter(says), ...parts.filter((part) => !says(part))], seen) ??
          otherHint?.(seen))
        : runtimeMillis(outcome.retryAfter)
    return { _tag: "Failure", failed: seen, retryAfterMillis }
  }
  return {
    judge: (exit) => judge(exit, hintOfRejection),
    classify: (exit) => {
      const verdict = judge(exit, undefined)
      return verdict._tag === "Failure" ? failureAfter(verdict.retryAfterMillis) : verdict
    },
    looksAtResults
  }
}

/** A failure with a hint, if there is one. */
export const failureAfter = (millis: number | undefined): FailureCondition.Outcome =>
  millis === undefined ? failure : { _tag: "Failure", retryAfter: Duration.millis(millis) }

type HintOf = (seen: FailureCondition.Failed<unknown, unknown>) => number | undefined

const hintOfRejection: HintOf = (seen) =>
  seen._tag === "Error" && Policy.isRejection(seen.error) && seen.error.retryAfter !== undefined
    ? runtimeMillis(seen.error.retryAfter)
    : undefined

/** Of which exits a condition speaks. What it is silent on is left to the defaults. */
export const speaksOf = <A, E>(
  condition: FailureCondition.FailureCondition<A, E>
): { readonly errors: boolean; readonly results: boolean } => {
  const parts = flatten(condition)
  return {
    errors: parts.some(speaksOfErrors),
    results: parts.some((part) => typeof part === "function" || part.result !== undefined)
  }
}

/** The hint that a condition reads itself, whatever it says of the exit. */
export const hintIn = <A, E>(
  condition: FailureCondition.FailureCondition<A, E>,
  seen: FailureCondition.Failed<A, E>
): number | undefined => hintFrom(flatten(condition), seen)

type Part<A, E> = FailureCondition.Options<A, E> | FailureCondition.Classifier<A, E>

const flatten = <A, E>(condition: FailureCondition.FailureCondition<A, E>): ReadonlyArray<Part<A, E>> =>
  typeof condition !== "function" && "any" in condition ? condition.any.flatMap(flatten) : [condition]

const speaksOfErrors = <A, E>(part: Part<A, E>): boolean =>
  typeof part === "function" || part.error !== undefined || part.tags !== undefined

const ignores = <A, E>(part: Part<A, E>, seen: FailureCondition.Failed<A, E>): boolean =>
  typeof part !== "function" && part.ignore !== undefined && matchesAny(part.ignore, seen)

/** What a part says of an exit, or `undefined` where it leaves that to the defaults. */
const explicitly = <A, E>(
  part: Part<A, E>,
  exit: Exit.Exit<A, E>,
  seen: FailureCondition.Failed<A, E>
): FailureCondition.Outcome | undefined => {
  if (typeof part === "function") return part(exit)
  if (seen._tag !== "Defect") return matchesAny(part, seen) ? failure : undefined
  if (part.defect === undefined) return undefined
  const counts = typeof part.defect === "function" ? part.defect(seen.defect) : part.defect
  return counts ? failure : ignored
}

const matchesAny = <A, E>(
  matcher: FailureCondition.Matcher<A, E>,
  seen: FailureCondition.Failed<A, E>
): boolean => {
  if (seen._tag === "Result") return matcher.result?.(seen.result) === true
  if (seen._tag === "Defect") return false
  return matcher.error?.(seen.error) === true || hasTag(matcher.tags, seen.error)
}

const hasTag = (tags: ReadonlyArray<string> | undefined, error: unknown): boolean =>
  tags !== undefined &&
  Predicate.hasProperty(error, "_tag") &&
  typeof error._tag === "string" &&
  tags.includes(error._tag)

/** The first hint that a part reads. */
const hintFrom = <A, E>(
  parts: ReadonlyArray<Part<A, E>>,
  seen: FailureCondition.Failed<A, E>
): number | undefined => {
  for (const part of parts) {
    const hint = typeof part === "function" ? undefined : part.retryAfter?.(seen)
    const millis = hint === undefined ? undefined : runtimeMillis(hint)
    if (millis !== undefined) return millis
  }
  return undefined
}
