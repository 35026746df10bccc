// The printed account of the demo: an introduction, a row for each second, and a line for each change of the circuit breaker.
import { Duration } from "effect"
import type { CircuitBreaker } from "effect-resilience"
import { fallbackMessage } from "../a/policies.js"
import { type Answered, type Outcome, patience, waiting } from "./callers.js"
import type { Both, Measured } from "./side.js"
import { bold, dim, green, left, red, right, yellow } from "./terminal.js"

export const marks: Record<Outcome, string> = {
  answer: green("●"),
  fallback: yellow("○"),
  error: red("✗"),
  "gave up": red("◌")
}

const stateOf = (state: CircuitBreaker.State): string =>
  state === "closed" ? green(state) : state === "open" ? red(state) : yellow(state)

export const introduction = (callersPerSecond: number, seconds: number): string => `
${bold("A service whose dependency gets into trouble, with and without policies")}

Callers ask service A, and service A asks service B. Both run twice, side by
side: on the left with policies between A and B, on the right without. For
${seconds} seconds, ${callersPerSecond} callers a second come to each side. A caller gives up after ${Duration.toSeconds(patience)} s.

  timeout          A waits at most 1 second for B
  circuit breaker  ${stateOf("closed")}: calls go through. 10 failures in a row open it.
                   ${stateOf("open")}: B is not called. After 3 seconds, or when B said
                   to come back, it turns ${stateOf("half-open")}: one call goes through
                   as a probe. It closes the circuit, or opens it again.
  retry            when B answers 503, call once more after a second, while
                   retries are at most a fifth of all calls (a budget)
  fallback         when all else fails, answer "${fallbackMessage}"

Each mark is a caller, in the second in which its wait ended:
  ${marks.answer} got B's answer     ${marks.fallback} got the fallback
  ${marks.error} got an error       ${marks["gave up"]} gave up after ${Duration.toSeconds(patience)} s
  +3 three more that do not fit in the row
"wait" counts callers without an answer at the end of that second, "B" the
calls that B received in it. A row is printed when its second is over, a change
of the circuit when it happens.
`

/** Where the side with policies can be watched. */
export const watching = (url: string): string => `
${bold("Watch the policies in a browser")}, until Ctrl-C: ${url}/dashboard
  what Prometheus scrapes   curl ${url}/metrics
  is service A well?        curl ${url}/health
  what the policies know    curl ${url}/resilience
`

// ------------------------------------------------------------------------------------------------------------ each second

const timeWidth = 6
const marksWidth = 19
const stateWidth = 9
const border = dim("│")

const side = (answered: string, waiting: string, seen: string): string =>
  `${left(answered, marksWidth)} ${right(waiting, 4)} ${right(seen, 3)}`

const line = (time: string, withPolicies: string, state: string, without: string): string =>
  `${right(time, timeWidth)} ${border} ${withPolicies} ${left(state, stateWidth)} ${border} ${without}`

/** The heading of a phase. */
export const phase = (description: string): string =>
  [
    "",
    bold(`Service B ${description}`),
    line("", left("WITH POLICIES", side("", "", "").length), "", "WITHOUT"),
    line("time", side("callers", "wait", "B"), "circuit", side("callers", "wait", "B"))
  ].join("\n")

/** The row of a second. */
export const second = (number: number, before: Both, now: Both): string => {
  const sideOf = (was: Measured, is: Measured): string =>
    side(
      marksOf(is.callers.answered.slice(was.callers.answered.length)),
      countOf(waiting(is.callers)),
      countOf(is.received - was.received)
    )
  return line(
    `${number} s`,
    sideOf(before.withPolicies, now.withPolicies),
    stateOf(now.withPolicies.state),
    sideOf(before.without, now.without)
  )
}

/** A mark for each answered caller, and the number of those that do not fit. */
const marksOf = (answered: ReadonlyArray<Answered>): string => {
  const shown = answered.length > marksWidth ? answered.slice(0, marksWidth - 4) : answered
  const rest = answered.length - shown.length
  if (answered.length === 0) return dim("-")
  return shown.map(({ outcome }) => marks[outcome]).join("") + (rest > 0 ? ` +${rest}` : "")
}

const countOf = (count: number): string => (count === 0 ? dim("-") : String(count))

// ---------------------------------------------------------------------------------------------------- the circuit breaker

/** A change of the circuit breaker, and why. */
export const change = (millis: number, change: CircuitBreaker.StateChange): string =>
  [
    right(`${(millis / 1000).toFixed(1)} s`, timeWidth),
    border,
    "circuit",
    `${stateOf(change.from)} → ${stateOf(change.to)}:`,
    reasonOf(change)
  ].join(" ")

const reasonOf = ({ from, metrics, openFor, to }: CircuitBreaker.StateChange): string => {
  if (to === "half-open") return "one call goes through as a probe"
  if (to === "closed") return "the probe succeeded, all calls go through"
  const pause = openFor === undefined ? "" : `, B is not called for ${Duration.format(openFor)}`
  const inARow = metrics.rules.find(({ rule }) => rule === "consecutive")?.hits
  return from === "half-open" ? `the probe failed${pause}` : `${inARow} failures in a row${pause}`
}
