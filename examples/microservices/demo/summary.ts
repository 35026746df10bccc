// The end of the demo: the measurements of both sides in one table.
import type { Behaviour } from "../b/server.js"
import { marks } from "./account.js"
import type { Answered, Outcome } from "./callers.js"
import type { Both, Measured } from "./side.js"
import { bold, left, right } from "./terminal.js"

/** A phase of the demo, and the measurements at its start and end. */
export interface PastPhase {
  readonly behaviour: Behaviour
  readonly began: Both
  readonly ended: Both
}

/** The totals, and the figures while service B was in trouble. What a caller notices comes first. */
export const summary = (total: Both, past: ReadonlyArray<PastPhase>): string => {
  const row = (what: string, of: (side: Measured) => string): string =>
    cells(what, of(total.withPolicies), of(total.without))
  const seenWhile = (behaviour: Behaviour): string => {
    const { withPolicies, without } = seenBy(past, behaviour)
    return cells(`  while it was ${behaviour}`, String(withPolicies), String(without))
  }
  return [
    "",
    bold(cells("The same callers, the same trouble", "with policies", "without")),
    row(`${marks.error} got an error`, (side) => shareOf(side, "error")),
    row(`${marks["gave up"]} gave up`, (side) => shareOf(side, "gave up")),
    row("wait of a caller: median (p50)", (side) => timeOf(percentile(side, 0.5))),
    row("        90 % at most (p90)", (side) => timeOf(percentile(side, 0.9))),
    row("        99 % at most (p99)", (side) => timeOf(percentile(side, 0.99))),
    row("most callers waiting at once", (side) => String(side.callers.mostWaiting)),
    row(`${marks.answer} got the answer of service B`, (side) => shareOf(side, "answer")),
    row(`${marks.fallback} got the fallback`, (side) => shareOf(side, "fallback")),
    row("callers", (side) => String(side.callers.sent)),
    row("calls that service B received", (side) => String(side.received)),
    seenWhile("failing"),
    seenWhile("hanging"),
    "",
    conclusion(total, past),
    ""
  ].join("\n")
}

const cells = (what: string, withPolicies: string, without: string): string =>
  `  ${left(what, 36)}${right(withPolicies, 15)}${right(without, 15)}`

const countOf = (side: Measured, wanted: Outcome): number =>
  side.callers.answered.filter(({ outcome }) => outcome === wanted).length

const shareOf = (side: Measured, wanted: Outcome): string => {
  const count = countOf(side, wanted)
  return `${percent(count, side.callers.sent)} ${right(String(count), 6)}`
}

const percent = (part: number, whole: number): string => `${Math.round((100 * part) / whole)} %`

/** By nearest rank: the shortest wait that is no shorter than that share of all waits. */
const percentile = ({ callers }: Measured, share: number): number => {
  const waits = callers.answered.map(({ millis }: Answered) => millis).sort((a, b) => a - b)
  return waits[Math.ceil(share * waits.length) - 1] ?? 0
}

const timeOf = (millis: number): string =>
  millis < 1000 ? `${millis} ms` : `${(millis / 1000).toFixed(2)} s`

/** The calls that service B received in the phases of one behaviour. */
const seenBy = (past: ReadonlyArray<PastPhase>, behaviour: Behaviour): Record<keyof Both, number> => {
  const phases = past.filter((phase) => phase.behaviour === behaviour)
  const seen = (side: keyof Both): number =>
    phases.reduce((sum, { began, ended }) => sum + ended[side].received - began[side].received, 0)
  return { withPolicies: seen("withPolicies"), without: seen("without") }
}

const conclusion = ({ withPolicies, without }: Both, past: ReadonlyArray<PastPhase>): string => {
  const failing = seenBy(past, "failing")
  const hanging = seenBy(past, "hanging")
  const spared = hanging.without - hanging.withPolicies
  const lost = (side: Measured): number => countOf(side, "error") + countOf(side, "gave up")
  return [
    `  With policies, ${lost(withPolicies)} callers got an error or gave up; without, ${lost(without)}.`,
    `  While it was hanging, service B was spared ${spared} of ${hanging.without} calls (${percent(spared, hanging.without)}).`,
    `  The price: ${countOf(withPolicies, "fallback")} callers got the fallback, and while it was failing, service B`,
    `  received ${failing.withPolicies} calls instead of ${failing.without}, because of the retries.`
  ].join("\n")
}

/** What to do after the demo. */
export const next = `  Next: watch it in a browser, over and over:
          npm run demo -- --watch
        get service B into trouble by hand, with curl:
          examples/microservices/README.md
        the policies that you saw, about a hundred lines:
          examples/microservices/a/policies.ts
        the same in one line for any HttpClient:
          docs/http-client.md
        bulkhead, rate limiter, hedge and cache:
          README.md
`
