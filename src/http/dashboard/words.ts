/** Events in words: what happened and why, without anything that a call carried. */
import * as Duration from "effect/Duration"
import type * as Bulkhead from "../../bulkhead/Bulkhead.js"
import type * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import { durationInWords, numberInWords, rateInWords } from "../../internal/words.js"
import { reading } from "../../observability/sentences.js"
import type * as Policy from "../../policy/Policy.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type * as Retry from "../../retry/Retry.js"
import type * as RetryBudget from "../../retryBudget/RetryBudget.js"
import type * as Timeout from "../../timeout/Timeout.js"

type Said =
  | CircuitBreaker.Event
  | Bulkhead.Event
  | RateLimiter.Event
  | RetryBudget.Event
  | Retry.Event<unknown, unknown>
  | Timeout.Event

/** An event as a line of a list. One of a user's own policy is its tag. */
export const said = (event: Policy.Event): string => {
  const known = event as Said
  switch (known.kind) {
    case "circuit-breaker":
      return ofBreaker(known)
    case "bulkhead":
      return ofBulkhead(known)
    case "rate-limiter":
      return ofLimiter(known)
    case "retry-budget":
      return ofBudget(known)
    case "retry":
      return ofRetry(known)
    case "timeout":
      return `no result within ${durationInWords(Duration.toMillis(known.limit))}`
    default:
      return event._tag === "Fallback" ? "the fallback answered" : event._tag
  }
}

const why = ({ metrics, operation, reason, rule }: CircuitBreaker.StateChange): string => {
  switch (reason) {
    case "tripped":
      return rule === undefined ? "a rule was met" : reading(rule, "opens it")
    case "elapsed":
      return "the open time is over"
    case "probes-succeeded":
      return `${metrics.successes} of ${metrics.successes + metrics.failures} probes succeeded`
    case "probes-failed":
      return `${metrics.failures} of ${metrics.successes + metrics.failures} probes failed`
    case "probe-overdue":
      return "a probe did not end in time"
    case "steered":
      return `by hand${operation === undefined ? "" : ` (${operation})`}`
    case "fleet":
      return rule === undefined ? "the fleet decided" : `in the fleet ${reading(rule, "opens it")}`
  }
}

const ofBreaker = (event: CircuitBreaker.Event): string => {
  switch (event._tag) {
    case "StateChange":
      return `${event.from} → ${event.to}: ${why(event)}`
    case "Rejected":
      return event.state === "half-open"
        ? "rejected: all probes are running"
        : `rejected: the circuit is ${event.state}`
    case "Configured":
      return "new settings"
    default:
      return event._tag
  }
}

const ofBulkhead = (event: Bulkhead.Event): string => {
  switch (event._tag) {
    case "Rejected":
      return event.reason === "full"
        ? "rejected: no permit and no place in the queue"
        : "rejected: waited too long"
    case "Resized":
      return `${event.from} → ${event.to} permits`
    default:
      return event._tag
  }
}

const rate = ({ limit, per }: RateLimiter.Rate): string => rateInWords(limit, per)

const overLimit = {
  rate: "the limit is used up",
  queue: "the queue is full",
  cost: "it costs more than there ever is"
} as const

const ofLimiter = (event: RateLimiter.Event): string => {
  switch (event._tag) {
    case "Rejected":
      return `rejected: ${overLimit[event.reason]}`
    case "RateChanged":
      return `${rate(event.from)} → ${rate(event.to)}`
    default:
      return event._tag
  }
}

const ofBudget = (event: RetryBudget.Event): string => {
  switch (event._tag) {
    case "Refused":
      return `a ${event.activity} was refused: the balance is ${numberInWords(event.balance)}`
    case "Exhausted":
      return `exhausted: the balance is ${numberInWords(event.balance)}`
    case "Recovered":
      return `recovered: the balance is ${numberInWords(event.balance)}`
    default:
      return event._tag
  }
}

const ended = {
  times: "no retries are left",
  schedule: "the schedule has ended",
  maxDuration: "it would take too long",
  hint: "the other side asks for a longer wait",
  budget: "the budget refuses"
} as const

const ofRetry = (event: Retry.Event<unknown, unknown>): string => {
  switch (event._tag) {
    case "Exceeded":
      return `gave up after attempt ${event.attempt}: ${ended[event.reason]}`
    case "Abort":
      return `gave up after attempt ${event.attempt}: the failure is not retried`
    default:
      return event._tag
  }
}

/** What a policy without a state has done, where that is known. */
export const done = (kind: string, totals: Readonly<Record<string, number>>): string => {
  const of = (outcome: string, one: string, many = `${one}s`): string => {
    const count = totals[outcome] ?? 0
    return `${numberInWords(count)} ${count === 1 ? one : many}`
  }
  switch (kind) {
    case "retry":
      return `${of("retry", "retry", "retries")} for ${of("original", "call")}; ${of("failure", "call")} failed in the end`
    case "hedge":
      return `${of("hedge", "hedge")} for ${of("original", "call")}`
    case "timeout":
      return `${of("timeout", "call")} took too long`
    case "fallback":
      return `${of("fallback", "call")} answered by the fallback, which failed for ${of("failure", "call")}`
    default:
      return ""
  }
}
