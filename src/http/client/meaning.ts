/** What the exit of a request means to each policy, where the user says nothing else. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Duration from "effect/Duration"
import { consequences, type Fault } from "../../core/http/httpBlame.js"
import { asksForPatience, healthOf, isTransient, wasCutShort } from "../../core/http/httpSemantics.js"
import type * as FailureCondition from "../../policy/FailureCondition.js"
import * as Condition from "../../policy/condition.js"
import * as Policy from "../../policy/Policy.js"
import { TimeoutExceeded } from "../../timeout/Timeout.js"
import { isClientError, isResponseError, isStatusError, isTransportError } from "./errors.js"
import { faultOf, faultOfTimeout } from "./faults.js"
import * as Hints from "./hints.js"
import { Sent } from "./sent.js"

type Response = HttpClientResponse.HttpClientResponse
type Seen = FailureCondition.Failed<Response, unknown>
type UserCondition = FailureCondition.FailureCondition<Response, unknown>
export type Classifier = FailureCondition.Classifier<Response, unknown>

/** What became of a request, in the words of HTTP. */
type Fate =
  | { readonly _tag: "Answered"; readonly response: Response }
  | { readonly _tag: "Rejected"; readonly rejection: Policy.Rejection }
  /** No answer that is of use. */
  | { readonly _tag: "Failed"; readonly fault: Fault }
  /** An error that is not about the request and its answer, or a body that is not what was expected. */
  | { readonly _tag: "Other" }

const other: Fate = { _tag: "Other" }
const failed = (fault: Fault): Fate => ({ _tag: "Failed", fault })

const fateOf = (seen: Seen): Fate => {
  if (seen._tag === "Result") return { _tag: "Answered", response: seen.result }
  return seen._tag === "Error" ? fateOfError(seen.error) : other
}

const fateOfError = (error: unknown): Fate => {
  if (error instanceof TimeoutExceeded) return failed(faultOfTimeout(error))
  if (Policy.isRejection(error)) return { _tag: "Rejected", rejection: error }
  if (isResponseError(error)) {
    if (isStatusError(error)) return { _tag: "Answered", response: error.response }
    if (error.cause instanceof TimeoutExceeded) return fateOfError(error.cause)
    return wasCutShort(error.cause) ? failed("lost") : other
  }
  if (!isTransportError(error)) return isClientError(error) ? failed("invalid") : other
  // The error of a policy on its way through a client that knows HTTP errors alone.
  if (error.cause instanceof TimeoutExceeded || Policy.isRejection(error.cause))
    return fateOfError(error.cause)
  return failed(faultOf(error))
}

/** When to come back, as a policy reads it from a response. */
type HintOf = (response: Response) => number | undefined

const hintToRetry: HintOf = Hints.comeBackAfter
const hintToBreaker: HintOf = (response) => (response.status === 503 ? Hints.retryAfter(response) : undefined)

/** A rejection that has been sealed in another error is not read by a retry itself. */
const failureOf = ({ retryAfter }: Policy.Rejection): FailureCondition.Outcome =>
  Condition.failureAfter(retryAfter === undefined ? undefined : Duration.toMillis(retryAfter))

const judging =
  (judge: (fate: Fate) => FailureCondition.Outcome): Classifier =>
  (exit) => {
    const seen = Condition.failed(exit)
    return seen === undefined ? Condition.ignored : judge(fateOf(seen))
  }

/** To a circuit breaker: whether the other side works. */
const health = judging((fate) => {
  switch (fate._tag) {
    case "Answered":
      return healthOfAnswer(fate.response)
    case "Failed":
      return consequences[fate.fault].counted ? Condition.failure : Condition.ignored
    case "Rejected":
    case "Other":
      return Condition.ignored
  }
})

const repeated = (fault: Fault): FailureCondition.Outcome =>
  consequences[fault].repeated ? Condition.failure : Condition.ignored

const healthOfAnswer = (response: Response): FailureCondition.Outcome => {
  const health = healthOf(response.status)
  if (health === "ill") return Condition.failureAfter(hintToBreaker(response))
  return health === "well" ? Condition.success : Condition.ignored
}

/** To a retry: whether it may pass by itself, and when. An open circuit is there to fail fast, and not to be waited for. */
const transience = judging((fate) => {
  switch (fate._tag) {
    case "Answered":
      return isTransient(fate.response.status)
        ? Condition.failureAfter(hintToRetry(fate.response))
        : Condition.success
    case "Failed":
      return repeated(fate.fault)
    case "Rejected":
      return fate.rejection._tag === "CircuitOpen" ? Condition.ignored : failureOf(fate.rejection)
    case "Other":
      return Condition.ignored
  }
})

/** To a hedge: whether another attempt may do better. A rejection does not win against an attempt that still runs. */
const urgency = judging((fate) => {
  switch (fate._tag) {
    case "Answered":
      return isTransient(fate.response.status) ? Condition.failure : Condition.success
    case "Failed":
      return repeated(fate.fault)
    case "Rejected":
      return Condition.failure
    case "Other":
      return Condition.ignored
  }
})

/** Whether the next attempt starts at once: not if the server, or a policy of our own, asks for patience. */
export const isUrgent = (failure: Seen): boolean => {
  const fate = fateOf(failure)
  return fate._tag === "Answered" ? !asksForPatience(fate.response.status) : fate._tag !== "Rejected"
}

/** To a fallback: whether the caller can use what it got. */
const usefulness: Classifier = (exit) => {
  const seen = Condition.failed(exit)
  if (seen === undefined || seen._tag === "Defect") return Condition.ignored
  if (seen._tag === "Error") return Condition.failure
  return isTransient(seen.result.status) ? Condition.failure : Condition.success
}

/** The condition of the user, with the standard one where it is silent, and with the hint of the response. */
const orStandard = (
  condition: UserCondition | undefined,
  standard: Classifier,
  hintOf: HintOf = () => undefined
): Classifier => {
  if (condition === undefined) return standard
  const { classify } = Condition.compile(condition, { defect: false })
  const speaks = Condition.speaksOf(condition)
  return (exit) => {
    const outcome = classify(exit)
    const seen = Condition.failed(exit)
    if (outcome._tag === "Ignored" || seen === undefined) return outcome
    const isSilent = seen._tag === "Result" ? !speaks.results : seen._tag === "Error" && !speaks.errors
    const said = isSilent ? standard(exit) : outcome
    if (said._tag !== "Failure") return said
    const own = Condition.hintIn(condition, seen)
    if (own !== undefined) return Condition.failureAfter(own)
    if (said.retryAfter !== undefined) return said
    const fate = fateOf(seen)
    return fate._tag === "Answered" ? Condition.failureAfter(hintOf(fate.response)) : said
  }
}

export const ofHealth = (condition: UserCondition | undefined): Classifier =>
  orStandard(condition, health, hintToBreaker)

export const ofTransience = (condition: UserCondition | undefined): Classifier =>
  orStandard(condition, transience, hintToRetry)

export const ofUrgency = (condition: UserCondition | undefined): Classifier => orStandard(condition, urgency)

export const ofUsefulness = (condition: UserCondition | undefined): Classifier =>
  orStandard(condition, usefulness)

/** The same, for requests that may be sent again only when they have not been sent. */
export const unlessSent =
  (classify: Classifier): Classifier =>
  (exit) => {
    const seen = Condition.failed(exit)
    if (seen?._tag === "Error") return seen.error instanceof Sent ? Condition.ignored : classify(exit)
    const outcome = classify(exit)
    return outcome._tag === "Failure" ? Condition.ignored : outcome
  }
