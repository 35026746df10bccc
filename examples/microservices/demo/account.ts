// How the demo tells what happens: an introduction, a line for each second and for each change of the circuit breaker.
import { Duration } from "effect"
import type { CircuitBreaker } from "effect-resilience"
import { type Answered, type Outcome, waiting } from "./callers.js"
import type { Both, Measured } from "./side.js"
import { bold, dim, green, left, red, right, yellow } from "./terminal.js"

export const marks: Record<Outcome, string> = { answer: green("●"), fallback: yellow("○"), error: red("✗") }

const stateOf = (state: CircuitBreaker.State): string =>
  state === "closed" ? green(state) : state === "open" ? red(state) : yellow(state)

export const introduction = (callersPerSecond: number, seconds: number): string => `
${bold("A service whose dependency gets into trouble, with and without resilience policies")}

Callers ask service A, and service A asks service B. Both services run twice, side by side: on the left with
policies between A and B, on the right without. For ${seconds} seconds, ${callersPerSecond} callers a second come to each side.

  timeout          service B has 1 second to answer, then service A gives up on it
  circuit breaker  ${stateOf("closed")}: calls go through. After 10 failures in a row it is ${stateOf("open")}: service B is left alone.
                   A while later it is ${stateOf("half-open")}: one call is let through, to see whether it can close again.
  retry            when service B says 503, ask again in a second, twice at the most
  fallback         when all else fails, say "error accessing service B" instead of failing

Each mark is a caller: ${marks.answer} got the answer of service B   ${marks.fallback} got the fallback   ${marks.error} got an error
"waiting" are callers who have no answer yet, "B saw" are the calls that reached service B in that second.
`

// ------------------------------------------------------------------------------------------------------------ each second

const timeWidth = 7
const marksWidth = 22
const stateWidth = 9
const border = dim("│")

const side = (answered: string, waiting: string, seen: string): string =>
  `${left(answered, marksWidth)}  ${right(waiting, 7)}  ${right(seen, 5)}`

const line = (time: string, withPolicies: string, state: string, without: string): string =>
  `${right(time, timeWidth)} ${border} ${withPolicies}  ${left(state, stateWidth)} ${border} ${without}`

/** The heading of a phase. */
export const phase = (description: string): string =>
  [
    "",
    bold(`Service B ${description}`),
    line("", left("WITH POLICIES", side("", "", "").length), "", "WITHOUT"),
    line("time", side("callers", "waiting", "B saw"), "circuit", side("callers", "waiting", "B saw"))
  ].join("\n")

/** What happened between two moments a second apart. */
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

/** A mark for each caller who was answered; of very many, those who find no room as a number. */
const marksOf = (answered: ReadonlyArray<Answered>): string => {
  const shown = answered.length > marksWidth ? answered.slice(0, marksWidth - 3) : answered
  const rest = answered.length - shown.length
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
  if (to === "half-open") return "the time is up, one call is let through"
  if (to === "closed") return "that call went well, all calls go through again"
  const pause = openFor === undefined ? "" : `, service B is left alone for ${Duration.format(openFor)}`
  const inARow = metrics.rules.find(({ rule }) => rule === "consecutive")?.hits
  return from === "half-open" ? `that call failed${pause}` : `${inARow} failures in a row${pause}`
}
