/** Explanations as sentences: the state and since when, then the numbers behind it, the deciding ones first. */
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import type * as Trip from "../circuitBreaker/Trip.js"
import {
  durationInWords as duration,
  numberInWords as number,
  rateInWords,
  shareInWords,
  timeInWords
} from "../internal/words.js"
import type * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type {
  Entered,
  ExplainedBudget,
  ExplainedBulkhead,
  ExplainedCache,
  ExplainedCircuit,
  ExplainedLimiter,
  Explanation,
  InFleet,
  WithoutStore
} from "./Explain.js"

type Part = string | undefined

/** A state and what there is to say of it. */
const saying = (head: string, ...parts: ReadonlyArray<Part>): string => {
  const said = parts.filter((part) => part !== undefined)
  return said.length === 0 ? head : `${head}: ${said.join("; ")}`
}

/** A number of something, unless there is none. */
const some = (count: number, what: string): Part => (count === 0 ? undefined : `${number(count)} ${what}`)

/** What a store that does not answer has as its consequence. */
export const consequences: Readonly<Record<WithoutStore, string>> = {
  local: "this process goes on alone",
  open: "calls are rejected",
  closed: "calls run uncounted",
  fail: "calls fail",
  share: "this process keeps to its share",
  last: "this process keeps to what it used last",
  reject: "calls are rejected"
}

/** What being shared means now. `together` is what it means while the store answers. */
const sharing = ({ shared, withoutStore }: InFleet, together?: string): Part =>
  withoutStore !== undefined
    ? `its store does not answer, so ${consequences[withoutStore]}`
    : shared === true
      ? together
      : undefined

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${number(count)} ${count === 1 ? one : many}`

export const sentenceOf = (explanation: Explanation): string => {
  switch (explanation.kind) {
    case "circuit-breaker":
      return ofCircuit(explanation)
    case "bulkhead":
      return ofBulkhead(explanation)
    case "rate-limiter":
      return ofLimiter(explanation)
    case "retry-budget":
      return ofBudget(explanation)
    case "cache":
      return ofCache(explanation)
  }
}

// ------------------------------------------------------------------------------------------------------------ circuits

const ofCircuit = (circuit: ExplainedCircuit): string => {
  const { entered, rejected, since, takenAt } = circuit
  const time = timeInWords(since, takenAt)
  const head = time === undefined ? circuit.state : `${circuit.state} since ${time}`
  const turnedAway = some(rejected, "rejected")
  switch (circuit.state) {
    case "closed":
      return saying(
        "closed",
        ...circuit.rules.map((rule) => reading(rule, "opens it")),
        sharing(circuit, "calls of other processes count too"),
        turnedAway
      )
    case "metrics-only":
      return saying(
        `${head}${by(entered)}, never opens`,
        ...circuit.rules.map((rule) => reading(rule, "would open it")),
        sharing(circuit)
      )
    case "open": {
      const { halfOpenIn, openFor, openings } = circuit
      return saying(
        openFor === undefined ? head : `${head} for ${duration(openFor)}`,
        opened(entered),
        sharing(circuit),
        openings > 1 ? `opened ${number(openings)} times since it last recovered` : undefined,
        turnedAway,
        halfOpenIn === undefined ? "does not end by itself" : `half-open in ${duration(halfOpenIn)}`
      )
    }
    case "half-open":
      return saying(`${head}${by(entered)}`, probing(circuit), sharing(circuit), turnedAway)
    case "isolated":
      return saying(
        `${head}${by(entered)}`,
        "all calls are rejected until it is released",
        sharing(circuit),
        turnedAway
      )
    case "disabled":
      return saying(`${head}${by(entered)}`, "all calls run uncounted until it is enabled", sharing(circuit))
  }
}

/** The author of a change of state that did not come from calls. */
const by = (entered: Entered | undefined): string =>
  entered?.reason === "steered" ? " by hand" : entered?.reason === "fleet" ? " by another process" : ""

const probing = ({
  failures,
  probes,
  successes
}: Extract<ExplainedCircuit, { readonly state: "half-open" }>): string => {
  const ended = `${plural(successes, "probe")} succeeded and ${number(failures)} failed`
  if (probes === undefined) return ended
  const { of, permits, running, successes: needed } = probes
  const among = of === 1 ? "" : ` of ${number(of)} probes`
  const closes = `${plural(needed, "success", "successes")}${among} ${needed === 1 ? "closes" : "close"} it`
  return `${ended}, ${closes}; ${number(running)} of at most ${number(permits)} running`
}

/** Why a circuit opened. */
const opened = (entered: Entered | undefined): Part => {
  if (entered === undefined) return undefined
  const { failures, reason, rule, successes } = entered
  const met = rule && reading(rule, "opens it")
  const probes = `${number(failures)} of ${plural(failures + successes, "probe")} failed`
  switch (reason) {
    case "tripped":
      return met
    case "fleet":
      return met === undefined ? "another process opened it" : `in the fleet ${met}`
    case "probes-failed":
      return probes
    case "probe-overdue":
      return `${probes}, the last without an answer in time`
    case "steered":
      return "opened by hand"
    default:
      return undefined
  }
}

/** Why a circuit changed its state, with its rule as the caller words it. */
export const changeInWords = (
  { metrics, operation, reason, rule }: CircuitBreaker.StateChange,
  ruleInWords: (rule: Trip.Reading) => string
): string => {
  const { failures, successes } = metrics
  const probes = plural(successes + failures, "probe")
  switch (reason) {
    case "tripped":
      return rule === undefined ? "a trip rule was met" : ruleInWords(rule)
    case "elapsed":
      return "the open time is over"
    case "probes-succeeded":
      return `${successes} of ${probes} succeeded`
    case "probes-failed":
      return `${failures} of ${probes} failed`
    case "probe-overdue":
      return "a probe did not end in time"
    case "steered":
      return `by the operation "${operation}"`
    case "fleet":
      return rule === undefined ? "another process of its fleet did" : `${ruleInWords(rule)} in its fleet`
  }
}

/** What a rule has counted, and what it takes. */
export const reading = (rule: Trip.Reading, opens: string): string => {
  const { minimumCalls, threshold } = rule
  const needed =
    rule.rule === "consecutive"
      ? number(threshold)
      : rule.rule === "failures"
        ? `${number(threshold)}${rule.of === undefined ? "" : ` of ${number(rule.of)}`}`
        : `${shareInWords(threshold)}${minimumCalls === undefined ? "" : ` of at least ${number(minimumCalls)}`}`
  return `${counted(rule)}, ${needed} ${opens}`
}

/** What a rule has counted. */
export const counted = (rule: Trip.Reading): string => {
  const { calls, hits } = rule
  if (rule.rule === "consecutive") return `${plural(hits, "failure")} in a row`
  const looked = rule.of === undefined ? plural(calls, "call") : `the last ${plural(calls, "call")}`
  const did = rule.rule === "slowRate" ? `took longer than ${duration(rule.slowerThan ?? NaN)}` : "failed"
  const within = rule.within === undefined ? "" : ` within ${duration(rule.within)}`
  return `${number(hits)} of ${looked} ${did}${within}`
}

// -------------------------------------------------------------------------------------------------------- other kinds

const ofBulkhead = (bulkhead: ExplainedBulkhead): string => {
  const { inUse, maxQueued, permits, queued, rejected, resized, state, takenAt } = bulkhead
  const queue =
    maxQueued === 0 && queued === 0
      ? "no queue"
      : `${number(queued)}${maxQueued === undefined ? "" : ` of ${number(maxQueued)}`} queued`
  const time = resized && timeInWords(resized.at, takenAt)
  return saying(
    state,
    `${number(inUse)} of ${plural(permits, "permit")} taken, ${queue}`,
    some(rejected, "rejected"),
    resized &&
      `resized from ${number(resized.from)} to ${number(resized.to)}${time === undefined ? "" : ` at ${time}`}`
  )
}

const ofLimiter = (limiter: ExplainedLimiter): string => {
  const { available, changed, nextIn, queued, rate, rejected, state, takenAt } = limiter
  const time = changed && timeInWords(changed.at, takenAt)
  return saying(
    state,
    used(rate, available),
    sharing(limiter, "the rate is that of all processes"),
    nextIn > 0 ? `next in ${duration(nextIn)}` : undefined,
    some(queued, "queued"),
    some(rejected, "rejected"),
    changed && `changed from ${described(changed.from)}${time === undefined ? "" : ` at ${time}`}`
  )
}

const described = ({ limit, per }: RateLimiter.Rate): string => rateInWords(limit, per)

const used = (rate: RateLimiter.Rate, available: number): string => {
  const at = described(rate)
  if (rate._tag === "smooth") return `${at}, evenly spaced`
  const most = rate._tag === "tokenBucket" ? rate.burst : rate.limit
  const taken = number(Math.min(most, Math.max(0, most - available)))
  return rate._tag === "tokenBucket"
    ? `${taken} of a burst of ${number(most)} used, refilled with ${at}`
    : `${taken} of ${at} used`
}

const ofBudget = (budget: ExplainedBudget): string => {
  const { balance, capacity, hedges, refused, requests, retries, since, state, successes, takenAt } = budget
  const time = since === undefined ? undefined : timeInWords(since, takenAt)
  const tokens = capacity === undefined ? "" : ` of ${number(capacity)}`
  return saying(
    time === undefined ? state : `${state} since ${time}`,
    `${number(balance)}${tokens} tokens left`,
    `${plural(retries, "retry", "retries")} and ${plural(hedges, "hedge")} paid for, ${number(refused)} refused`,
    `${plural(requests, "call")}, ${number(successes)} succeeded`,
    sharing(budget, "the floor is divided among all processes")
  )
}

const ofCache = (cache: ExplainedCache): string => {
  const { capacity, evictions, failures, fromStore = 0, hits, inFlight, lookups, misses, size, stale } = cache
  const { state, waiting } = cache
  const calls = hits + stale + misses
  const share = (count: number): string => shareInWords(count / calls)
  return saying(
    state,
    `${number(size)}${capacity === undefined ? "" : ` of ${number(capacity)}`} keys`,
    calls > 0
      ? `${share(hits)} of ${plural(calls, "call")} hit, ${share(stale)} stale, ${share(misses)} missed`
      : undefined,
    inFlight + waiting > 0
      ? `${plural(inFlight, "lookup")} running for ${plural(waiting, "call")}`
      : undefined,
    failures > 0 ? `${number(failures)} of ${plural(lookups, "lookup")} failed` : undefined,
    fromStore > 0 ? `${plural(fromStore, "value")} from the shared store` : undefined,
    some(evictions, "evicted"),
    sharing(cache, fromStore > 0 ? undefined : "values of other processes are used too")
  )
}
