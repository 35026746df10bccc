/** What the registry knows, as a page shows it. */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import * as Explain from "../../observability/Explain.js"
import { stateOf } from "../../observability/judge.js"
import type * as Registry from "../../observability/Registry.js"
import { shownOf } from "../../observability/shown.js"
import * as Store from "../../observability/store.js"
import type * as Policy from "../../policy/Policy.js"
import * as Stateful from "../../policy/stateful.js"
import type { Hash } from "../admin/keys.js"
import { Action } from "../admin/names.js"
import { secretOf, shownName } from "../admin/sources.js"
import { Candidate, givePlaces } from "./places.js"
import type { Happening, State, View } from "./protocol.js"
import { done, said, stateLately } from "./words.js"

export interface Config {
  readonly registry: Registry.Service
  readonly hash: Hash | undefined
  /** The store by which policies are shared, if there is one. */
  readonly store: Option.Option<Store.Store>
  /** How many policies are shown. */
  readonly maxPolicies: number
}

type Numbers = Readonly<Record<string, number>>

/** How many events a card and its details show. */
const happenings = 8

const allActions: ReadonlyArray<string> = Action.literals

/** What is known of policies besides what is shown. */
interface Reading {
  readonly actions: Map<number, ReadonlyArray<Action>>
  readonly counted: Map<number, Counted>
  /** When each was explained, and in which state. */
  readonly explained: Map<number, Explained>
  readonly isLarge: boolean
  readonly storeAway: boolean
}

interface Explained {
  readonly at: number
  readonly state: string
  readonly why: string
}

/** How many policies a reading looks at, besides those that are shown and those that have changed, to see who needs a place. */
const looked = 1000

/** Of more policies than these, a sentence stands for about a second: its numbers change with every call, and would be most of a message. */
const manyPolicies = 50
const sentenceMillis = 950

const reading = (isLarge: boolean, storeAway: boolean): Reading => ({
  actions: new Map(),
  counted: new Map(),
  explained: new Map(),
  isLarge,
  storeAway
})

class Changing extends Candidate {
  /** The last change of its state when it was last seen. */
  change: Registry.Happening | undefined
}

interface Ids<in K> {
  readonly get: (key: K) => number | undefined
  readonly set: (key: K, id: number) => unknown
}

export class Views {
  private readonly idOf = new WeakMap<object, number>()
  /** The ids of policies without an instance, which are as many as there are names in the program. */
  private readonly idOfNamed = new Map<string, number>()
  private last: Reading = reading(false, false)
  private lastId = 0
  private readonly candidates = new WeakMap<Registry.Entry, Changing>()
  private nextLook = 0

  constructor(private readonly config: Config) {}

  /** The actions that a policy of the last reading has. */
  actions(id: number): ReadonlyArray<Action> {
    return this.last.actions.get(id) ?? []
  }

  /** Reads all policies. One that cannot be read is left out. */
  read(before: State | undefined, at: number): Effect.Effect<State> {
    const { maxPolicies, registry, store } = this.config
    return Effect.gen(this, function* () {
      const entries = yield* registry.all
      const isFull = entries.length > maxPolicies
      const { hidden, shown } = isFull
        ? yield* this.chosen(entries, before === undefined, at)
        : { hidden: {}, shown: entries }
      const views = new Map<number, View>()
      const next = reading(shown.length > manyPolicies, yield* Store.isAway(store))
      for (const entry of shown) {
        const view = yield* this.view(entry, next, before, at)
        if (view === undefined) continue
        views.set(view.id, view)
        if (isFull) this.see(entry, view.state, view.totals, view.recent.at(-1)?.at, at)
      }
      this.last = next
      return { at, hidden, views }
    })
  }

  /** Looks at those without a place, at all of them or at those that have changed and some others in turn, and chooses anew. */
  private chosen(
    entries: ReadonlyArray<Registry.Entry>,
    areAllNew: boolean,
    at: number
  ): Effect.Effect<{ readonly hidden: State["hidden"]; readonly shown: ReadonlyArray<Registry.Entry> }> {
    const candidates = entries.map((entry) => this.candidate(entry))
    const first = this.nextLook % entries.length
    this.nextLook = first + looked
    const due = entries.filter((entry, index) => {
      const { change, isPlaced } = candidates[index]
      const isInTurn = (index - first + entries.length) % entries.length < looked
      return !isPlaced && (areAllNew || isInTurn || change !== entry.lastChange)
    })
    return Effect.map(
      Effect.forEach(due, (entry) => this.look(entry, at), { discard: true }),
      () => ({
        hidden: givePlaces(candidates, this.config.maxPolicies),
        shown: entries.filter((_, index) => candidates[index].isPlaced)
      })
    )
  }

  /** Sees as much of a policy as it takes to know whether it needs a place. One that cannot be read needs none. */
  private look(entry: Registry.Entry, at: number): Effect.Effect<void> {
    const happenedAt = entry.recent.at(-1)?.at
    const shown = shownOf(entry.instance)
    const seen =
      entry.key !== undefined && shown !== undefined
        ? Effect.map(shown, (shown) => {
            const { totals } = new Counted().with(shown, undefined)
            this.see(entry, shown.state, totals, happenedAt, at)
          })
        : Effect.map(stateOf(entry), (state) =>
            this.see(entry, state ?? stateLately(entry, at), totalsOf(entry), happenedAt, at)
          )
    return Effect.catchAllCause(seen, () => Effect.void)
  }

  private see(
    entry: Registry.Entry,
    state: string,
    totals: Numbers,
    happenedAt: number | undefined,
    at: number
  ): void {
    const candidate = this.candidate(entry)
    candidate.change = entry.lastChange
    candidate.see(
      { state, count: Object.values(totals).reduce((sum, each) => sum + each, 0), happenedAt },
      at
    )
  }

  private candidate(entry: Registry.Entry): Changing {
    const known = this.candidates.get(entry)
    if (known !== undefined) return known
    const candidate = new Changing()
    this.candidates.set(entry, candidate)
    return candidate
  }

  private id({ instance, kind, name }: Registry.Entry): number {
    return instance === undefined
      ? this.idIn(this.idOfNamed, `${kind}\0${name}`)
      : this.idIn(this.idOf, instance)
  }

  private idIn<K>(ids: Ids<K>, key: K): number {
    const known = ids.get(key)
    if (known !== undefined) return known
    ids.set(key, ++this.lastId)
    return this.lastId
  }

  /** What is shown of a policy; as before when its snapshot cannot be taken. */
  private view(
    entry: Registry.Entry,
    reading: Reading,
    before: State | undefined,
    at: number
  ): Effect.Effect<View | undefined> {
    const { instance, kind } = entry
    const id = this.id(entry)
    const known = before?.views.get(id)
    const stateful = Stateful.kindOf(instance)
    const made: Effect.Effect<View> = Effect.gen(this, function* () {
      const name = known?.name ?? (yield* shownName(entry.name, secretOf(entry.key), this.config.hash))
      const common = { id, kind, name, recent: happeningsOf(entry, known?.recent) }
      const shown = yield* shownOf(instance, name) ?? Effect.succeed(undefined)
      if (instance === undefined || stateful === undefined || shown === undefined) {
        const totals = totalsOf(entry)
        const state = stateLately(entry, at)
        const why = this.sentence(id, state, at, reading, () => done(entry, totals))
        return {
          ...common,
          state,
          since: sinceOf(state, known, at),
          until: null,
          why,
          totals,
          gauges: gaugesWithout(totals)
        }
      }
      const { state } = shown
      reading.actions.set(
        id,
        stateful.actions.filter((action) => allActions.includes(action)) as ReadonlyArray<Action>
      )
      const why = this.sentence(id, state, at, reading, () =>
        Explain.sentence(
          Explain.ofSnapshot(shown, {
            settings: instance.settings,
            lastChange: entry.lastChange,
            takenAt: at,
            storeAway: reading.storeAway
          })
        )
      )
      const counted = entry.key === undefined ? totalsOf(entry) : this.ownTotals(entry, id, shown, reading)
      const totals = { ...besidesCounted(shown), ...counted }
      return { ...common, state, ...timesOf(shown, known, at), why, totals, gauges: gaugesOf(shown, entry) }
    })
    return Effect.catchAllCause(made, () => Effect.succeed(known))
  }

  /** The counts of a key are in its snapshot: its tally is that of all keys. */
  private ownTotals(
    { lastChange }: Registry.Entry,
    id: number,
    shown: Explain.Shown,
    reading: Reading
  ): Numbers {
    const counted = (this.last.counted.get(id) ?? new Counted()).with(shown, lastChange?.event)
    reading.counted.set(id, counted)
    return counted.totals
  }

  private sentence(id: number, state: string, at: number, reading: Reading, explain: () => string): string {
    const known = this.last.explained.get(id)
    const isFresh = reading.isLarge && known?.state === state && Math.abs(at - known.at) < sentenceMillis
    const explained = isFresh ? known : { at, state, why: explain() }
    reading.explained.set(id, explained)
    return explained.why
  }
}

// ------------------------------------------------------------------------------------------------------------- counts

/** The label that tells the outcomes of a counter. */
const outcomeOf: Readonly<Record<string, string>> = {
  calls: "outcome",
  attempts: "attempt_type",
  "budget.withdrawals": "outcome",
  "cache.requests": "result"
}

/** What no counter tells: the failed lookups of a cache, and zeros of a budget that was not asked yet. */
const besidesCounted = (shown: Explain.Shown): Numbers => {
  switch (shown.kind) {
    case "cache":
      return { failed: shown.snapshot.failures }
    case "retry-budget":
      return { paid: 0, refused: 0 }
    default:
      return {}
  }
}

/** Of a retry, attempts that are the first of their call tell how many calls there are, and how many fail is told by the calls. */
const besidesAttempts = new Set(["success", "ignored", "interrupted"])

const totalsOf = ({ kind, totals }: Registry.Entry): Numbers => {
  const numbers: Record<string, number> = {}
  for (const cell of totals.cells) {
    if (cell._tag !== "Counter" || !Object.hasOwn(outcomeOf, cell.name)) continue
    const outcome = cell.labels[outcomeOf[cell.name]]
    if (outcome === undefined || (kind === "retry" && besidesAttempts.has(outcome))) continue
    numbers[outcome] = (numbers[outcome] ?? 0) + cell.value
  }
  return numbers
}

const gaugesWithout = ({ hedge, original, retry }: Numbers): Numbers =>
  original === undefined || original === 0
    ? {}
    : { amplification: Math.round((100 * (original + (retry ?? 0) + (hedge ?? 0))) / original) / 100 }

/** The counts of a policy whose snapshot begins them anew with each state. */
class Counted {
  totals: Numbers = {}
  private generation = 0
  private change: Policy.Event | undefined
  private last = { successes: 0, failures: 0 }

  with(shown: Explain.Shown, lastChange: Policy.Event | undefined): this {
    switch (shown.kind) {
      case "circuit-breaker": {
        const { failures, generation, rejected, successes } = shown.snapshot
        let success = this.totals["success"] ?? 0
        let failure = this.totals["failure"] ?? 0
        if (generation !== this.generation) {
          // What was counted after the last reading, in the state that has ended. An open time that is over shows before its event.
          const isNew = lastChange !== this.change
          const { metrics } = (isNew ? (lastChange ?? {}) : {}) as Partial<CircuitBreaker.StateChange>
          success += Math.max(0, (metrics?.successes ?? 0) - this.last.successes)
          failure += Math.max(0, (metrics?.failures ?? 0) - this.last.failures)
          this.last = { successes: 0, failures: 0 }
        }
        success += Math.max(0, successes - this.last.successes)
        failure += Math.max(0, failures - this.last.failures)
        this.totals = { success, failure, rejected }
        this.generation = generation
        this.change = lastChange
        this.last = { successes, failures }
        return this
      }
      case "bulkhead": {
        const { failures, rejected, successes } = shown.snapshot
        this.totals = { success: successes, failure: failures, rejected }
        return this
      }
      case "rate-limiter": {
        const { admitted, rejected } = shown.snapshot
        this.totals = { admitted, rejected }
        return this
      }
      case "retry-budget": {
        const { hedges, refused, retries } = shown.snapshot
        this.totals = { paid: retries + hedges, refused }
        return this
      }
      case "cache": {
        const { hits, misses, stale } = shown.snapshot
        this.totals = { hit: hits, miss: misses, stale }
        return this
      }
    }
  }
}

// -------------------------------------------------------------------------------------------------------------- times

/** When a state began that nothing tells the begin of, as far as it was read. */
const sinceOf = (state: string, known: View | undefined, at: number): number | null =>
  known === undefined ? null : known.state === state ? known.since : at

const timesOf = (
  shown: Explain.Shown,
  known: View | undefined,
  at: number
): Pick<View, "since" | "until"> => {
  if (shown.kind !== "circuit-breaker") return { since: sinceOf(shown.state, known, at), until: null }
  const { remainingDelay, takenAt } = shown.snapshot
  const since = Math.round(shown.snapshot.since)
  if (shown.state !== "open" || !Number.isFinite(remainingDelay)) return { since, until: null }
  // To a tenth of a second: two clocks tell this time, and it would change with every reading.
  const until = Math.round((takenAt + remainingDelay) / 100) * 100
  const before = known?.until ?? null
  return { since, until: before !== null && Math.abs(before - until) <= 100 ? before : until }
}

// ------------------------------------------------------------------------------------------------------------- gauges

const gaugesOf = (shown: Explain.Shown, { inFlight = 0, instance }: Registry.Entry): Numbers => {
  switch (shown.kind) {
    case "circuit-breaker": {
      const { state } = shown
      const { failureRate, failures, rules, successes } = shown.snapshot
      const isCounting = state === "closed" || state === "half-open" || state === "metrics-only"
      if (!isCounting || successes + failures === 0) return { inFlight }
      const rate = rules.find(({ rule }) => rule === "failureRate")?.rate ?? failureRate
      return { inFlight, failureRate: Math.round(rate * 100) / 100 }
    }
    case "bulkhead": {
      const { inUse, permits, queued } = shown.snapshot
      return { inFlight: inUse, limit: permits, queued }
    }
    case "rate-limiter": {
      const { available, queued, rate } = shown.snapshot
      return { limit: rate.limit, per: rate.per, available: Math.floor(available), queued }
    }
    case "retry-budget": {
      const { balance, capacity } = shown.snapshot
      const left = Math.floor(balance * 10) / 10
      return Number.isFinite(capacity) ? { balance: left, capacity } : { balance: left }
    }
    case "cache": {
      const { size, waiting } = shown.snapshot
      const capacity = instance?.settings["capacity"]
      return { size, waiting, ...(typeof capacity === "number" && { capacity }) }
    }
  }
}

// ------------------------------------------------------------------------------------------------------------- events

/** The latest events, those of the same words as one; and the last change, which rejections would push out of the list. */
const happeningsOf = (
  { lastChange, recent }: Registry.Entry,
  known: ReadonlyArray<Happening> | undefined
): ReadonlyArray<Happening> => {
  const rows: Array<Happening> = []
  const [first] = recent
  const isGone = lastChange !== undefined && (first === undefined || lastChange.at < first.at)
  for (const { at, count, event } of isGone ? [lastChange, ...recent] : recent) {
    const text = said(event)
    const before = rows.at(-1)
    if (before?.text === text) rows[rows.length - 1] = { at, text, count: before.count + count }
    else rows.push({ at, text, count })
  }
  const latest = rows.slice(-happenings)
  const isSame =
    known?.length === latest.length &&
    latest.every(({ at, count, text }, index) => {
      const before = known[index]
      return before.at === at && before.count === count && before.text === text
    })
  return isSame ? known : latest
}
