/**
 * What a shared store knows of a fleet, and the one step in which a process reports its news and reads that of all. The rule that
 * every store obeys: the store in memory is this table, and the scripts of Redis are compared with it.
 *
 * Times are milliseconds on the clock of the store. Everything that leaves it is relative to now, because the clocks of processes differ.
 */
import type { StateName } from "../circuit.js"

/** Calls of a breaker, counted since something. */
export interface Evidence {
  readonly successes: number
  readonly failures: number
  readonly slow: number
}

/** A state of the fleet's circuit, as it is asked for and as it is announced. */
export interface Verdict {
  readonly state: StateName
  /** How long it lasts from now on, for an open circuit; else 0. */
  readonly remaining: number
}

/** The state of a fleet's circuit. */
export interface Register extends Verdict {
  /** Goes up with every change. 0: the fleet has never decided anything. */
  readonly generation: number
}

/** What a process has to say of one breaker, and what it asks. */
export interface Report extends Evidence {
  /** The breaker's name in the fleet. */
  readonly id: string
  /** For how long a process that reported a failure counts as failing. */
  readonly window: number
  /**
   * A change of state. It is made if the store's generation is still `expected`, or in any case when that is `undefined` (by hand).
   * A store that has forgotten, and whose generation is lower than the expected one, takes it too.
   */
  readonly change?: (Verdict & { readonly expected: number | undefined }) | undefined
  /** Settings for all, as the text that they are sent as. */
  readonly settings?: string | undefined
  /** Asks for a probe of a half-open circuit of this generation, if fewer than `permits` are out; it comes back by itself after `timeToLive`. */
  readonly probe?:
    { readonly generation: number; readonly permits: number; readonly timeToLive: number } | undefined
  /** Probes that are over. */
  readonly settled?: ReadonlyArray<Settled> | undefined
}

export interface Settled {
  readonly lease: number
  readonly generation: number
  /** `returned` when it counts for nothing. */
  readonly outcome: "success" | "failure" | "returned"
}

/** Everything a process has to say. The same `sequence` may come twice, when its answer was lost, and counts once. */
export interface News {
  readonly instance: string
  /** Another one after a restart under the same name, where sequences start anew. */
  readonly incarnation: string
  readonly sequence: number
  /** How long the process counts as living without further news. */
  readonly timeToLive: number
  readonly reports: ReadonlyArray<Report>
}

/** What the fleet knows of one breaker. Evidence is the sum over all processes since the store knows the breaker. */
export interface View extends Evidence, Register {
  readonly id: string
  /** Another number: the store has forgotten the breaker since, so the sums start anew. */
  readonly epoch: number
  /** How many processes have reported failures of late. */
  readonly failing: number
  /** Failures in a row over all processes, since the state changed. News with any success ends the row. */
  readonly run: number
  readonly settings: string | undefined
  /** How often the settings were changed. */
  readonly settingsVersion: number
  /** The probe that was asked for, if it was granted. */
  readonly lease: number | undefined
  /** How the probes of this generation have ended. */
  readonly probes: { readonly successes: number; readonly failures: number }
}

export interface Answer {
  /** The living processes. */
  readonly instances: number
  readonly views: ReadonlyArray<View>
}

/** A change that all processes are to hear of at once. A lost one is repaired by the next answer. */
export interface Announcement extends Register {
  readonly id: string
  readonly settings: string | undefined
  readonly settingsVersion: number
}

/** How long the store remembers a breaker without news. */
export const memoryMillis = 3_600_000

/** How long a value may still be written under a lease that is over, if no other process took it. */
export const graceMillis = 60_000

/** The longest that a value is kept. */
export const longestMillis = 30 * 86_400_000

// ------------------------------------------------------------------------------------------------------------- breakers

interface Breaker extends Evidence {
  epoch: number
  until: number
  successes: number
  failures: number
  slow: number
  run: number
  generation: number
  state: StateName
  /** When an open state ends. */
  openUntil: number
  settings: string | undefined
  settingsVersion: number
  probes: { successes: number; failures: number }
  /** Probes that are out, and when each comes back by itself. */
  readonly leases: Map<number, number>
  /** The processes that reported failures, and until when each counts. */
  readonly failing: Map<string, number>
}

const created = (now: number, epoch: number): Breaker => ({
  epoch,
  until: now + memoryMillis,
  successes: 0,
  failures: 0,
  slow: 0,
  run: 0,
  generation: 0,
  state: "closed",
  openUntil: 0,
  settings: undefined,
  settingsVersion: 0,
  probes: { successes: 0, failures: 0 },
  leases: new Map(),
  failing: new Map()
})

const expire = (times: Map<unknown, number>, now: number): void => {
  for (const [key, until] of times) if (until <= now) times.delete(key)
}

/** Entries that expire. Adding one evicts expired ones, and beyond `most` those that were untouched for longest. */
class Remembered<A extends { until: number }> {
  private readonly entries = new Map<string, A>()
  private sweepAt = 64

  constructor(private readonly most: number) {}

  get size(): number {
    return this.entries.size
  }

  get(key: string, now: number): A | undefined {
    const known = this.entries.get(key)
    return known !== undefined && known.until > now ? known : undefined
  }

  delete(key: string): void {
    this.entries.delete(key)
  }

  clear(): void {
    this.entries.clear()
  }

  set(key: string, entry: A, now: number): void {
    this.entries.delete(key)
    this.entries.set(key, entry)
    if (this.entries.size < this.sweepAt) return
    for (const [other, { until }] of this.entries) if (until <= now) this.entries.delete(other)
    for (const other of this.entries.keys()) {
      if (this.entries.size <= this.most) break
      this.entries.delete(other)
    }
    // Twice what is left, so that a sweep costs each entry little.
    this.sweepAt = Math.max(64, Math.min(2 * this.entries.size, this.most + 1))
  }
}

/** What a store knows. Its owner steps it in place; nothing of it leaves but plain data. */
export class Table {
  private readonly instances = new Map<string, { incarnation: string; sequence: number; until: number }>()
  private readonly breakers: Remembered<Breaker>
  private readonly rates: Remembered<Rate>
  private readonly values: Remembered<Value>
  private epochs = 0
  private tokens = 0

  /** Remembers at most so many breakers, so many rates and so many values. */
  constructor(most = 100_000) {
    this.breakers = new Remembered(most)
    this.rates = new Remembered(most)
    this.values = new Remembered(most)
  }

  /** Forgets everything except the numbers that it has given, which are not given again. */
  forget(): void {
    this.instances.clear()
    for (const remembered of [this.breakers, this.rates, this.values]) remembered.clear()
  }

  /** How many breakers, rates and values it remembers. */
  get sizes(): { readonly breakers: number; readonly rates: number; readonly values: number } {
    return { breakers: this.breakers.size, rates: this.rates.size, values: this.values.size }
  }

  /** Takes a process's news and answers with what the fleet knows. Announcements are for all processes. */
  exchange(
    news: News,
    now: number
  ): { readonly answer: Answer; readonly announcements: ReadonlyArray<Announcement> } {
    const { incarnation } = news
    const last = this.instances.get(news.instance)
    const known = last && last.until > now && last.incarnation === incarnation ? last.sequence : -Infinity
    const isNew = news.sequence > known
    // News may overtake older news on another connection.
    const sequence = Math.max(news.sequence, known)
    this.instances.set(news.instance, { incarnation, sequence, until: now + news.timeToLive })
    const announcements: Array<Announcement> = []
    const views = news.reports.map((report) => {
      const breaker = this.breaker(report.id, now)
      const before = breaker.generation
      const versionBefore = breaker.settingsVersion
      const lease = isNew ? this.report(breaker, report, news.instance, now) : undefined
      const view = viewOf(report.id, breaker, lease, now)
      if (breaker.generation !== before || breaker.settingsVersion !== versionBefore) {
        const { generation, id, remaining, settings, settingsVersion, state } = view
        announcements.push({ generation, id, remaining, settings, settingsVersion, state })
      }
      return view
    })
    for (const [name, { until }] of this.instances) if (until <= now) this.instances.delete(name)
    return { answer: { instances: this.instances.size, views }, announcements }
  }

  private breaker(id: string, now: number): Breaker {
    const breaker = this.breakers.get(id, now) ?? created(now, ++this.epochs)
    breaker.until = now + memoryMillis
    this.breakers.set(id, breaker, now)
    expire(breaker.leases, now)
    expire(breaker.failing, now)
    return breaker
  }

  private report(breaker: Breaker, report: Report, instance: string, now: number): number | undefined {
    breaker.successes += report.successes
    breaker.failures += report.failures
    breaker.slow += report.slow
    breaker.run = report.successes > 0 ? 0 : breaker.run + report.failures
    if (report.failures + report.slow > 0) breaker.failing.set(instance, now + report.window)
    for (const { generation, lease, outcome } of report.settled ?? []) {
      if (generation !== breaker.generation || !breaker.leases.delete(lease)) continue
      if (outcome === "success") breaker.probes.successes += 1
      if (outcome === "failure") breaker.probes.failures += 1
    }
    const { change, probe, settings } = report
    if (settings !== undefined) {
      breaker.settings = settings
      breaker.settingsVersion += 1
    }
    if (change !== undefined) {
      const { expected, remaining, state } = change
      if (expected === undefined || breaker.generation <= expected) {
        breaker.generation = Math.max(breaker.generation, expected ?? 0) + 1
        breaker.state = state
        breaker.openUntil = now + remaining
        breaker.run = 0
        breaker.probes = { successes: 0, failures: 0 }
        breaker.leases.clear()
      }
    }
    if (probe === undefined || probe.generation !== breaker.generation) return undefined
    if (breaker.leases.size >= probe.permits) return undefined
    const lease = ++this.tokens
    breaker.leases.set(lease, now + probe.timeToLive)
    return lease
  }

  // ------------------------------------------------------------------------------------------------------------- rates

  /** The generic cell rate algorithm (ATM Forum TM 4.0, as in redis-cell), for several permits at once. */
  take({ atLeast, burst, id, limit, per, permits, receipt, spent }: Take, now: number): Taken {
    const interval = per / limit
    const rate = this.rates.get(id, now) ?? { until: now, since: now, issued: 0, last: now }
    const from = rate.until + spent * interval
    if (spent > 0) rate.last = now
    rate.issued += spent
    let granted: number
    if (permits < 0) {
      rate.until = Math.max(now, from - returned(rate, -permits, receipt, interval, from))
      granted = 0 - Math.floor((from - rate.until) / interval + rounding)
    } else {
      const free = Math.floor((now + burst * interval - from) / interval + rounding)
      granted = free >= atLeast ? Math.min(permits, free) : 0
      rate.until = from + granted * interval
      rate.issued += granted
      if (granted > 0) rate.last = now
    }
    this.rates.set(id, rate, now)
    return {
      granted,
      remaining: Math.max(0, Math.floor((now + burst * interval - rate.until) / interval + rounding)),
      retryAfter: granted === 0 ? Math.max(0, from + (atLeast - burst) * interval - now) : 0,
      resetAfter: rate.until - now,
      receipt: `${rate.since}:${rate.issued}`
    }
  }

  // ------------------------------------------------------------------------------------------------------------ values

  /** Reads a value; where it is missing or too old, the reader may get the lease of its key, and looks it up for all. */
  read({ holder, key, staleAfter, timeToLive }: Read, now: number): Found {
    const known = this.values.get(key, now)
    const stored = known?.stored && known.stored.until > now ? known.stored : undefined
    const found = stored && { value: stored.value, age: now - stored.at }
    if (found !== undefined && found.age < staleAfter) return { found, lease: undefined, busyFor: 0 }
    if (known !== undefined && known.leasedUntil > now && known.holder !== holder) {
      return { found, lease: undefined, busyFor: known.leasedUntil - now }
    }
    const fence = known?.fence ?? this.tokens
    const token = ++this.tokens
    const leasedUntil = now + Math.min(timeToLive, longestMillis)
    const until = Math.max(stored?.until ?? 0, leasedUntil + graceMillis)
    this.values.set(key, { token, holder, leasedUntil, fence, stored, until }, now)
    return { found, lease: token, busyFor: 0 }
  }

  /**
   * Stores what was looked up under a lease and ends the lease. Refused when the value has changed since the lease was given, by
   * a later lookup or by hand. Without a lease, by hand, it ends the lease that is out, and no earlier lookup is stored any more.
   */
  write({ key, lease, timeToLive, value }: Write, now: number): boolean {
    const known = this.values.get(key, now)
    if (lease !== undefined && (known === undefined || lease <= known.fence)) return false
    if (value === undefined) {
      // A lease of before is refused even when the key is known again: its number is lower than the new fence.
      this.values.delete(key)
      return true
    }
    const isPassedOn = lease !== undefined && known !== undefined && known.token !== lease
    const over = { token: this.tokens, holder: "", leasedUntil: 0 }
    const { holder, leasedUntil, token } = isPassedOn ? known : over
    const storedUntil = now + Math.min(timeToLive, longestMillis)
    const until = isPassedOn ? Math.max(storedUntil, leasedUntil + graceMillis) : storedUntil
    const stored = { value, at: now, until: storedUntil }
    this.values.set(key, { token, holder, leasedUntil, fence: lease ?? this.tokens, stored, until }, now)
    return true
  }

  /** Ends the lease of a holder without a value: the next reader gets it. */
  release(key: string, holder: string, now: number): void {
    const known = this.values.get(key, now)
    if (known?.holder === holder) known.leasedUntil = 0
  }
}

/** What a sum of fractions may be off by, in permits. */
const rounding = 1e-6

/**
 * How much time permits that come back are worth. Without them the rate may have been idle before later grants, and idle time is not
 * saved up beyond the burst. How much is not known any more, but no more than if all later grants had come with the last one.
 */
const returned = (
  { issued, last, since }: Rate,
  permits: number,
  receipt: string | undefined,
  interval: number,
  from: number
): number => {
  const [grantedSince, through] = (receipt ?? "").split(":")
  if (grantedSince !== String(since)) return 0
  return Math.min(permits * interval, Math.max(0, from - last - (issued - Number(through)) * interval))
}

const viewOf = (id: string, breaker: Breaker, lease: number | undefined, now: number): View => ({
  id,
  epoch: breaker.epoch,
  successes: breaker.successes,
  failures: breaker.failures,
  slow: breaker.slow,
  failing: breaker.failing.size,
  run: breaker.run,
  generation: breaker.generation,
  state: breaker.state,
  remaining: breaker.state === "open" ? Math.max(0, breaker.openUntil - now) : 0,
  settings: breaker.settings,
  settingsVersion: breaker.settingsVersion,
  lease,
  probes: { ...breaker.probes }
})

// ----------------------------------------------------------------------------------------------- requests and answers

/** Asks for permits of a rate: `limit` per `per` milliseconds, at most `burst` at once. */
export interface Take {
  readonly id: string
  readonly limit: number
  readonly per: number
  readonly burst: number
  /** How many are wanted; a negative number gives that many back, as far as that breaks the rate for no later grant. */
  readonly permits: number
  /** The {@link Taken.receipt} of permits that are given back. Without one nothing is. */
  readonly receipt?: string | undefined
  /** Fewer than these are of no use: then none is granted. */
  readonly atLeast: number
  /** Permits that were used without asking, while the store could not be reached. They are charged first. */
  readonly spent: number
}

export interface Taken {
  /** How many were granted; a negative number when some were given back. */
  readonly granted: number
  /** How many more could be taken now. */
  readonly remaining: number
  /** When `atLeast` can be taken, if none was granted. */
  readonly retryAfter: number
  /** When everything taken is paid for. */
  readonly resetAfter: number
  /** Says which grant this was, for giving it back. */
  readonly receipt: string
}

export interface Read {
  readonly key: string
  /** The name of the lookup, which no other has: it owns the lease that it is given, even if the answer is lost. */
  readonly holder: string
  /** From which age on a value is looked up again. */
  readonly staleAfter: number
  /** How long a lease is good for. */
  readonly timeToLive: number
}

export interface Found {
  readonly found: { readonly value: string; readonly age: number } | undefined
  /** The fencing token of the lease, for the reader who is to look the value up. */
  readonly lease: number | undefined
  /** How long another lookup may still take for it; 0 when none is at it. */
  readonly busyFor: number
}

export interface Write {
  readonly key: string
  /** What the value was looked up under; `undefined` for a change by hand. */
  readonly lease: number | undefined
  /** `undefined` forgets what is stored. */
  readonly value: string | undefined
  readonly timeToLive: number
}

/** The theoretical arrival time of a rate. Once it is past, nothing is left to remember. */
interface Rate {
  /** When everything granted is paid for. */
  until: number
  /** When the rate was first asked for. Tells it from one that was forgotten. */
  readonly since: number
  /** How many permits have been granted. */
  issued: number
  /** When the last of them was. */
  last: number
}

interface Value {
  /** The number of the last lease. */
  readonly token: number
  readonly holder: string
  leasedUntil: number
  /** The last lease whose lookup may not be stored any more. */
  readonly fence: number
  readonly stored: { readonly value: string; readonly at: number; readonly until: number } | undefined
  until: number
}
