/** What states, outcomes and numbers are called, which of them are bad, and how they are written. */
import type { View } from "../src/http/dashboard/protocol.js"
import { urgencyOf } from "../src/http/dashboard/urgency.js"
import { durationInWords } from "../src/internal/words.js"

type Tone = "good" | "warn" | "bad" | "held" | "idle"

const tones: Readonly<Record<string, Tone>> = {
  open: "bad",
  isolated: "held",
  exhausted: "bad",
  full: "bad",
  "half-open": "warn",
  "giving up": "warn",
  "timing out": "warn",
  "in use": "warn",
  closed: "good",
  available: "good",
  filled: "good",
  empty: "good",
  ok: "good"
}

export const toneOf = (state: string): Tone => (Object.hasOwn(tones, state) ? tones[state] : "idle")

/** How many policies are in each state, in words, the worst first. */
export const numbersInWords = (numbers: Iterable<readonly [state: string, number: number]>): string =>
  inOrder(numbers)
    .map(([state, number]) => `${whole(number)} ${state === "" ? "without state" : state}`)
    .join(", ")

/** Numbers of policies by state, the worst first and those without a state last. */
export const inOrder = (
  numbers: Iterable<readonly [state: string, number: number]>
): ReadonlyArray<readonly [state: string, number: number]> =>
  [...numbers].sort(
    ([one], [other]) =>
      urgencyOf(other) - urgencyOf(one) || (one === "" ? 1 : other === "" ? -1 : one < other ? -1 : 1)
  )

/** The order is that of cards: policies with a state come before those without, and breakers before all. */
const kinds: Readonly<Record<string, string>> = {
  "circuit-breaker": "Circuit breaker",
  bulkhead: "Bulkhead",
  "rate-limiter": "Rate limiter",
  "retry-budget": "Retry budget",
  cache: "Cache",
  retry: "Retry",
  hedge: "Hedge",
  timeout: "Timeout",
  fallback: "Fallback"
}

export const kindOf = (kind: string): string => (Object.hasOwn(kinds, kind) ? kinds[kind] : kind)

const placeOf = (list: ReadonlyArray<string>, each: string): number => {
  const index = list.indexOf(each)
  return index === -1 ? list.length : index
}

const kindsInOrder = Object.keys(kinds)

export const placeOfKind = (kind: string): number => placeOf(kindsInOrder, kind)

/** How an outcome is drawn. The order is that of a card. */
const outcomes: ReadonlyArray<readonly [outcome: string, series: Series]> = [
  ["success", "good"],
  ["admitted", "good"],
  ["hit", "good"],
  ["paid", "good"],
  ["original", "good"],
  ["fallback", "warn"],
  ["stale", "warn"],
  ["retry", "warn"],
  ["hedge", "warn"],
  ["miss", "other"],
  ["failure", "bad"],
  ["failed", "bad"],
  ["timeout", "bad"],
  ["rejected", "held"],
  ["refused", "held"],
  ["ignored", "idle"],
  ["interrupted", "idle"]
]

export type Series = Tone | "other"

const seriesOf = new Map(outcomes)
const outcomesInOrder = [...seriesOf.keys()]

export const seriesFor = (outcome: string): Series => seriesOf.get(outcome) ?? "idle"

const isMain = (outcome: string): boolean => outcome !== "ignored" && outcome !== "interrupted"

/** The outcomes of a policy that fit on a card, in order. */
export const mainOutcomesOf = (view: View): ReadonlyArray<string> =>
  outcomesOf(view).filter(isMain).slice(0, 4)

/** The outcomes of a policy, in order. Those that are rare and have never been are left out. */
export const outcomesOf = ({ totals }: View): ReadonlyArray<string> =>
  Object.keys(totals)
    .filter((outcome) => totals[outcome] !== 0 || isMain(outcome))
    .sort((one, other) => placeOf(outcomesInOrder, one) - placeOf(outcomesInOrder, other))

// ------------------------------------------------------------------------------------------------------------ numbers

const { format } = new Intl.NumberFormat("en")

/** A whole number with all its digits. */
export const whole = (value: number): string => format(value)

export const count = (value: number): string => {
  if (value < 10_000) return String(Math.round(value * 10) / 10)
  if (value < 1_000_000) return `${Math.round(value / 100) / 10} k`
  return `${Math.round(value / 100_000) / 10} M`
}

export const rate = (perSecond: number): string => {
  if (perSecond === 0) return "0"
  if (perSecond < 10) return perSecond.toFixed(1)
  return count(Math.round(perSecond))
}

/** A span of time in one or two units. */
export const span = (millis: number): string => {
  const seconds = Math.max(0, millis) / 1000
  if (seconds < 60) return `${Math.floor(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d`
}

export const ago = (millis: number): string => (millis < 1000 ? "now" : `${span(millis)} ago`)

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23"
})
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" })

export const timeOfDay = (at: number): string => clock.format(at)
export const dateAndTime = (at: number): string => day.format(at)

export interface Gauge {
  readonly label: string
  readonly text: string
  /** How full it is, from 0 to 1, where there is a limit. */
  readonly share?: number
}

/** The numbers of a policy besides its rates, the most telling first. */
export const gaugesOf = ({ gauges, totals }: View): ReadonlyArray<Gauge> => {
  const found: Array<Gauge> = []
  const {
    amplification,
    available,
    balance,
    capacity,
    failureRate,
    inFlight,
    limit,
    per,
    queued,
    size,
    waiting
  } = gauges
  if (inFlight !== undefined && limit !== undefined) {
    found.push({ label: "in flight", text: `${count(inFlight)} of ${count(limit)}`, share: inFlight / limit })
  } else if (inFlight !== undefined) found.push({ label: "in flight", text: count(inFlight) })
  if (per !== undefined && limit !== undefined) {
    const time = per === 1000 ? "s" : durationInWords(per)
    found.push({ label: "limit", text: `${count(limit)} per ${time}` })
  }
  if (available !== undefined) found.push({ label: "available", text: count(available) })
  if (failureRate !== undefined)
    found.push({ label: "failure rate", text: `${Math.round(failureRate * 100)} %` })
  if (balance !== undefined) {
    found.push(
      capacity === undefined
        ? { label: "balance", text: count(balance) }
        : { label: "balance", text: `${count(balance)} of ${count(capacity)}`, share: 1 - balance / capacity }
    )
  }
  if (queued !== undefined) found.push({ label: "queued", text: count(queued) })
  if (amplification !== undefined) found.push({ label: "attempts/call", text: amplification.toFixed(2) })
  if (waiting !== undefined) found.push({ label: "waiting", text: count(waiting) })
  const [hits, misses, stale] = [totals["hit"], totals["miss"], totals["stale"]]
  if (hits !== undefined && misses !== undefined && stale !== undefined && hits + misses + stale > 0) {
    found.push({
      label: "hit ratio",
      text: `${Math.round((100 * (hits + stale)) / (hits + misses + stale))} %`
    })
  }
  if (size !== undefined) {
    found.push({
      label: "entries",
      text: capacity === undefined ? count(size) : `${count(size)} of ${count(capacity)}`
    })
  }
  return found
}

export const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
