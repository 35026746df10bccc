/** Events in words: what happened and why, without anything that a call carried. */
import * as Duration from "effect/Duration"
import { durationInWords, numberInWords, rateInWords } from "../../internal/words.js"
import { byEvent } from "../../observability/byEvent.js"
import { changeInWords, plural, reading } from "../../observability/sentences.js"
import type * as Registry from "../../observability/Registry.js"
import type * as Policy from "../../policy/Policy.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"

/** An event as a line of a list. One without words, such as that of a user's own policy, is its tag. */
export const said = (event: Policy.Event): string =>
  lines.get(event.kind)?.get(event._tag)?.(event) ?? event._tag

const rate = ({ limit, per }: RateLimiter.Rate): string => rateInWords(limit, per)

const overLimit = {
  rate: "the limit is used up",
  queue: "the queue is full",
  cost: "it costs more than the limit ever allows"
} as const

const ended = {
  times: "no retries are left",
  schedule: "the schedule has ended",
  maxDuration: "it would take too long",
  hint: "the other side asks for a longer wait",
  budget: "the budget refuses"
} as const

const lines = byEvent<string>({
  "circuit-breaker": {
    StateChange: (change) =>
      `${change.from} → ${change.to}: ${changeInWords(change, (rule) => reading(rule, "opens it"))}`,
    Rejected: ({ state }) =>
      state === "half-open" ? "rejected: all probes are running" : `rejected: the circuit is ${state}`,
    Configured: () => "new settings"
  },
  bulkhead: {
    Rejected: ({ reason }) =>
      reason === "full" ? "rejected: no permit and no place in the queue" : "rejected: waited too long",
    Resized: ({ from, to }) => `${from} → ${plural(to, "permit")}`
  },
  "rate-limiter": {
    Rejected: ({ reason }) => `rejected: ${overLimit[reason]}`,
    RateChanged: ({ from, to }) => `${rate(from)} → ${rate(to)}`
  },
  "retry-budget": {
    Refused: ({ activity, balance }) => `a ${activity} was refused: the balance is ${numberInWords(balance)}`,
    Exhausted: ({ balance }) => `exhausted: the balance is ${numberInWords(balance)}`,
    Recovered: ({ balance }) => `recovered: the balance is ${numberInWords(balance)}`
  },
  retry: {
    Exceeded: ({ attempt, reason }) => `gave up after attempt ${attempt}: ${ended[reason]}`,
    Abort: ({ attempt }) => `gave up after attempt ${attempt}: the failure is not retried`
  },
  timeout: { Timeout: ({ limit }) => `no result within ${durationInWords(Duration.toMillis(limit))}` },
  fallback: { Fallback: () => "the fallback is used" }
})

/** The event after which a policy without a state is in trouble for a while, and what that is called. */
const troubles: Readonly<Record<string, readonly [tag: string, state: string]>> = {
  retry: ["Exceeded", "giving up"],
  timeout: ["Timeout", "timing out"],
  fallback: ["Fallback", "in use"]
}

/** How long a while is, in milliseconds. */
const lately = 10_000

/** How a policy without a state has done lately, in the manner of a state. Empty where no event tells. */
export const stateLately = ({ kind, recent }: Registry.Entry, at: number): string => {
  const trouble = troubles[kind]
  if (trouble === undefined) return ""
  const [tag, state] = trouble
  return recent.some(({ at: happenedAt, event }) => event._tag === tag && Math.abs(at - happenedAt) < lately)
    ? state
    : "ok"
}

/** What a policy without a state has done, where that is known. */
export const done = (entry: Registry.Entry, totals: Readonly<Record<string, number>>): string => {
  const of = (outcome: string, one: string, many?: string): string => plural(totals[outcome] ?? 0, one, many)
  const unused = entry.totals.total("attempts.wasted")
  switch (entry.kind) {
    case "retry":
      return `${of("retry", "retry", "retries")} for ${of("original", "call")}; ${of("failure", "call")} failed in the end`
    case "hedge":
      return `${of("hedge", "hedge")} for ${of("original", "call")}; the answers of ${plural(unused, "attempt")} were not used`
    case "timeout":
      return `${of("timeout", "call")} took too long`
    case "fallback":
      return `${of("fallback", "call")} answered by the fallback, which failed for ${of("failure", "call")}`
    default:
      return ""
  }
}
