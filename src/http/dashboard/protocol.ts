/**
 * What the server sends to a page, and how a page follows it: a full state first, then differences. Both sides use these functions.
 */

/** The header without which no policy is steered: another site cannot send it without asking first. */
export const steeringHeader = "x-resilience-dashboard"

/** How many policies a page may ask about at once. */
export const mostAsked = 50

/** An event of a policy, in words. */
export interface Happening {
  /** The last time it happened, in milliseconds since the epoch, to a second. */
  readonly at: number
  readonly text: string
  /** How often it happened in a row. */
  readonly count: number
}

export interface View {
  /** The same as long as the policy is there, and never used for another one. */
  readonly id: number
  readonly kind: string
  readonly name: string
  /** What a call would meet, in a word; for a policy without state whether it was in trouble lately, and empty where no event tells. */
  readonly state: string
  /** When the state, the size or the rate last changed, in milliseconds since the epoch. */
  readonly since: number | null
  /** When an open circuit lets probes through, in milliseconds since the epoch. */
  readonly until: number | null
  /** Why it is in this state. */
  readonly why: string
  /** Calls, attempts or requests by outcome, as counts that only grow. */
  readonly totals: Readonly<Record<string, number>>
  /** Numbers as they are now, such as `in flight`, `queued` and `limit`. */
  readonly gauges: Readonly<Record<string, number>>
  /** The latest events, the oldest first. */
  readonly recent: ReadonlyArray<Happening>
}

export type Hidden = Readonly<Record<string, number>>

/** All that a page shows. */
export interface State {
  /** When it was read, in milliseconds since the epoch. */
  readonly at: number
  /** How many policies are not among the views, because there are too many, by state. */
  readonly hidden: Hidden
  readonly views: ReadonlyMap<number, View>
}

/** A new tail of a list: what is dropped at its start, how many of the others stay, and what comes after these. */
export type Tail<A> = readonly [drop: number, keep: number, ...rest: Array<A>]

/** What has changed of a view. A number that is gone is `null`. */
export type Patch = Partial<Pick<View, "name" | "state" | "since" | "until" | "why">> & {
  readonly totals?: Readonly<Record<string, number | null>>
  readonly gauges?: Readonly<Record<string, number | null>>
  readonly recent?: Tail<Happening>
}

/** The event `full`. */
export interface Full {
  /** Another one means other ids: the server has been started anew. */
  readonly run: number
  /** Milliseconds between two readings. */
  readonly interval: number
  /** Whether policies may be steered at all. */
  readonly steering: boolean
  readonly at: number
  readonly hidden: Hidden
  readonly views: ReadonlyArray<View>
}

/** The event `delta`. One without changes says that the server is alive and that nothing has happened. */
export interface Delta {
  readonly at: number
  readonly hidden?: Hidden
  readonly added?: ReadonlyArray<View>
  readonly changed?: ReadonlyArray<readonly [id: number, patch: Patch]>
  readonly removed?: ReadonlyArray<number>
}

export const empty: State = { at: 0, hidden: {}, views: new Map() }

export const fromFull = ({ at, hidden, views }: Full): State => ({
  at,
  hidden,
  views: new Map(views.map((view) => [view.id, view]))
})

// ------------------------------------------------------------------------------------------------------- differences

/** What has to be sent so that {@link applied} makes the second state of the first. */
export const difference = (before: State, after: State): Delta => {
  const added: Array<View> = []
  const changed: Array<readonly [number, Patch]> = []
  for (const [id, view] of after.views) {
    const known = before.views.get(id)
    if (known === undefined) added.push(view)
    else {
      const patch = patchOf(known, view)
      if (patch !== undefined) changed.push([id, patch])
    }
  }
  const removed = [...before.views.keys()].filter((id) => !after.views.has(id))
  return {
    at: after.at,
    ...(numbersOf(before.hidden, after.hidden) !== undefined && { hidden: after.hidden }),
    ...(added.length > 0 && { added }),
    ...(changed.length > 0 && { changed }),
    ...(removed.length > 0 && { removed })
  }
}

const plain = ["name", "state", "since", "until", "why"] as const

const patchOf = (before: View, after: View): Patch | undefined => {
  if (before === after) return undefined
  const patch: Record<string, unknown> = {}
  for (const field of plain) if (before[field] !== after[field]) patch[field] = after[field]
  for (const field of ["totals", "gauges"] as const) {
    const numbers = numbersOf(before[field], after[field])
    if (numbers !== undefined) patch[field] = numbers
  }
  const recent = tailOf(before.recent, after.recent)
  if (recent !== undefined) patch["recent"] = recent
  for (const _ in patch) return patch
  return undefined
}

type Numbers = Readonly<Record<string, number>>

const numbersOf = (before: Numbers, after: Numbers): Record<string, number | null> | undefined => {
  let patch: Record<string, number | null> | undefined
  for (const name of Object.keys(after)) {
    if (!Object.hasOwn(before, name) || before[name] !== after[name]) (patch ??= {})[name] = after[name]
  }
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) (patch ??= {})[name] = null
  return patch
}

const isSame = (one: Happening | undefined, other: Happening | undefined): boolean =>
  one === other ||
  (one !== undefined &&
    other !== undefined &&
    one.at === other.at &&
    one.text === other.text &&
    one.count === other.count)

/** Finds the longest part of a list that is still there. */
const tailOf = (
  before: ReadonlyArray<Happening>,
  after: ReadonlyArray<Happening>
): Tail<Happening> | undefined => {
  let [drop, keep] = [before.length, 0]
  for (let start = 0; start < before.length && keep < before.length - start; start++) {
    let length = 0
    while (start + length < before.length && isSame(before[start + length], after[length])) length++
    if (length > keep) [drop, keep] = [start, length]
  }
  if (drop === 0 && keep === before.length && keep === after.length) return undefined
  return [drop, keep, ...after.slice(keep)]
}

/** The state after a difference. The state before stays as it is; views that did not change are the same objects. */
export const applied = (before: State, { added, at, changed, hidden, removed }: Delta): State => {
  if (added === undefined && changed === undefined && removed === undefined) {
    return { at, hidden: hidden ?? before.hidden, views: before.views }
  }
  const views = new Map(before.views)
  for (const id of removed ?? []) views.delete(id)
  for (const view of added ?? []) views.set(view.id, view)
  for (const [id, patch] of changed ?? []) {
    const view = views.get(id)
    if (view !== undefined) views.set(id, patched(view, patch))
  }
  return { at, hidden: hidden ?? before.hidden, views }
}

const patched = (view: View, { gauges, recent, totals, ...rest }: Patch): View => ({
  ...view,
  ...rest,
  totals: totals === undefined ? view.totals : withNumbers(view.totals, totals),
  gauges: gauges === undefined ? view.gauges : withNumbers(view.gauges, gauges),
  recent: recent === undefined ? view.recent : withTail(view.recent, recent)
})

const withNumbers = (before: Numbers, patch: Readonly<Record<string, number | null>>): Numbers => {
  const numbers: Record<string, number> = {}
  for (const [name, value] of Object.entries({ ...before, ...patch }))
    if (value !== null) numbers[name] = value
  return numbers
}

const withTail = <A>(list: ReadonlyArray<A>, [drop, keep, ...rest]: Tail<A>): ReadonlyArray<A> => [
  ...list.slice(drop, drop + keep),
  ...rest
]

// ------------------------------------------------------------------------------------------------ server-sent events

/** An event as it goes over the wire. JSON has no line breaks, so one line is enough. */
export const encoded = (event: "full" | "delta", data: unknown): string =>
  `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

/**
 * Reads events from a text that arrives in pieces (HTML Living Standard, section 9.2.6). Returns what takes the next piece. Fields
 * besides `event`, `data` and `retry` are skipped, and so are comments.
 */
export const parser = (
  onEvent: (event: string, data: string) => void,
  onRetry: (millis: number) => void = () => {}
): ((piece: string) => void) => {
  let rest = ""
  let event = ""
  let data: Array<string> = []
  const line = (text: string): void => {
    if (text === "") {
      if (data.length > 0) onEvent(event === "" ? "message" : event, data.join("\n"))
      event = ""
      data = []
      return
    }
    const colon = text.indexOf(":")
    const field = colon === -1 ? text : text.slice(0, colon)
    const value = colon === -1 ? "" : text.slice(colon + 1).replace(/^ /, "")
    if (field === "event") event = value
    else if (field === "data") data.push(value)
    else if (field === "retry" && /^\d+$/.test(value)) onRetry(Number(value))
  }
  return (piece) => {
    // A CR at the end of a piece may be half of a line break.
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ""
    lines.forEach(line)
  }
}
