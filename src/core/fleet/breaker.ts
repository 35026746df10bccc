/**
 * The part of one process in the circuit of a fleet: what it reports, what an answer means to its own circuit, and when it asks for a
 * change.
 *
 * The circuit of the process decides every call. The fleet's circuit opens when the calls of all meet the trip rule and enough
 * processes fail; then every process follows it, and only holders of a lease probe. A process whose own calls alone meet the rule
 * opens its own circuit and no other.
 */
import * as Circuit from "../circuit.js"
import * as Trip from "../trip.js"
import type { Announcement, Evidence, Report, Settled, View } from "./table.js"

/** How long a lease may wait for a call to use it, in milliseconds. */
export const unusedMillis = 2000

/** For how long a probe keeps its lease at most, in milliseconds: its holder may have died. */
export const maxLeaseMillis = 60_000

/** For how long a process that failed counts as failing when no rule looks at a time, in milliseconds. */
const defaultWindow = 30_000

/** The longest time that is sent, in milliseconds. */
const maxMillis = 2 ** 50

const whole = (millis: number): number => Math.ceil(Math.min(Math.max(0, millis), maxMillis))

/** A state to ask for. */
interface Wish {
  readonly state: Circuit.StateName
  /** When an open state ends. */
  readonly until: number
  readonly byHand: boolean
}

const wishFor = (circuit: Circuit.Circuit, byHand = false): Wish => ({
  state: circuit.state,
  until: circuit.state === "open" ? circuit.until : 0,
  byHand
})

/** A lease for a probe, and the probe that uses it. */
interface Lease {
  readonly lease: number
  /** Until when a call may begin to use it. */
  readonly usableUntil: number
  permit: Circuit.Permit | undefined
}

/** What a report said, to be compared with its answer. */
interface Sent {
  readonly at: number
  readonly generation: number
  readonly version: number
  readonly settings: string | undefined
  readonly wish: Wish | undefined
  /** Whether the wish was to be granted in any case. */
  readonly unconditional: boolean
  readonly settled: ReadonlyArray<Settled>
  readonly own: Evidence
}

/** The sums of an answer. */
interface Base extends Evidence {
  readonly epoch: number
}

export interface Heard {
  /** What the answer changes in the circuit of the process, if anything. */
  readonly step: Circuit.Step | undefined
  /** Settings that another process has changed. */
  readonly settings: string | undefined
  /** Whether there is more to say at once. */
  readonly isUrgent: boolean
}

/** Calls that are to be told. */
const noCalls = { successes: 0, failures: 0 }

/** The part of a process. Its owner steps it in place, next to the circuit. */
export class Part {
  // The circuit of the fleet, as it is known.
  private generation = 0
  private state: Circuit.StateName = "closed"
  private until = 0

  // Evidence.
  private own = { successes: 0, failures: 0, slow: 0 }
  private gathered: Circuit.Counts = noCalls
  private base: Base | undefined
  private seen: Trip.Seen | undefined
  private trip: Trip.Trip | undefined

  private wish: Wish | undefined
  private isForgotten = false
  /** Whether the circuit has not followed the fleet's, because it was steered and the answer to that is not known yet. */
  private isBehind = false
  private sent: Sent | undefined
  private isKnown = false
  private activeAt = -Infinity
  private isAskedFor = false

  // Probes.
  private leases: ReadonlyArray<Lease> = []
  private settled: ReadonlyArray<Settled> = []
  private isKnocking = false
  private isAsked = false

  // Settings.
  private settings: string | undefined
  private version = 0
  private isPending = false
  /** What another process has sent meanwhile, later than what is pending if the version says so. */
  private missed: string | undefined

  constructor(
    readonly id: string,
    private readonly quorum: number
  ) {}

  // -------------------------------------------------------------------------------------------------------------- calls

  /** Notes a slow call. Whether calls succeed or fail is in the numbers of the circuit. */
  slow(): void {
    this.own.slow += 1
  }

  /** Notes a change of state of the circuit. Returns whether the fleet is to hear of it at once. */
  changed({ from, to }: Circuit.Transition, by: "calls" | "hand" | "fleet"): boolean {
    this.gather(from)
    this.gathered = noCalls
    if (by === "fleet") return false
    if (by === "hand") {
      this.wish = wishFor(to, true)
      return true
    }
    // While the store is away, a circuit that has closed may open again: by its own calls, for itself.
    const isFree = this.wish === undefined || (!this.wish.byHand && this.wish.state === "open")
    if (from.state === "half-open" && this.isProbed && isFree) {
      this.wish = wishFor(to)
      return true
    }
    return to.state === "open"
  }

  /** Whether the fleet's circuit is open, or half-open. */
  private get isProbed(): boolean {
    return this.state === "open" || this.state === "half-open"
  }

  /** Whether probes of this circuit need a lease, while the store answers. */
  get isLeased(): boolean {
    return this.isProbed && this.wish === undefined
  }

  /** Whether a call may use a lease now. One that may not asks for one; `knock` tells whether at once. */
  mayProbe(now: number): boolean {
    return this.leases.some(({ permit, usableUntil }) => permit === undefined && now < usableUntil)
  }

  /** Notes that a call would probe if it could. Returns whether the fleet is to be asked at once. */
  knock(): boolean {
    this.isKnocking = true
    if (this.isAsked) return false
    return (this.isAsked = true)
  }

  /** Notes that a probe has begun, which uses the lease if there is one. */
  began(permit: Circuit.Permit, now: number): void {
    const free = this.leases.find((lease) => lease.permit === undefined && now < lease.usableUntil)
    if (free !== undefined) free.permit = permit
  }

  /** Notes how a probe ended. Returns whether the fleet is to hear of it at once. */
  ended(permit: Circuit.Permit, outcome: Settled["outcome"]): boolean {
    const lease = this.leases.find((lease) => lease.permit === permit)
    if (lease === undefined) return false
    this.settle(lease, outcome)
    this.isAsked = false
    return true
  }

  private settle(lease: Lease, outcome: Settled["outcome"]): void {
    this.leases = this.leases.filter((other) => other !== lease)
    this.settled = [...this.settled, { lease: lease.lease, generation: this.generation, outcome }]
  }

  /** A call asks how the fleet stands: it is told with the next answer, and gets a lease if it needs one. */
  ask(): void {
    this.isAskedFor = true
    if (this.isLeased) this.isKnocking = true
  }

  /** Whether the store has still to take a decision of this process. */
  get isWishing(): boolean {
    return this.wish !== undefined
  }

  // ------------------------------------------------------------------------------------------------------------ reports

  /** Settings for all. */
  configured(settings: string): void {
    this.settings = settings
    this.isPending = true
  }

  private gather(circuit: Circuit.Circuit): void {
    const { failures, successes } = circuit.counts
    // Outcomes of leased probes are told as such.
    if (circuit.state === "closed" || (circuit.state === "half-open" && !this.isProbed)) {
      this.own.successes += successes - this.gathered.successes
      this.own.failures += failures - this.gathered.failures
    }
    this.gathered = { successes, failures }
  }

  /** What the process has to say; nothing while no calls are made and it knows how the fleet stands. */
  report(config: Circuit.Config, circuit: Circuit.Circuit, now: number): Report | undefined {
    this.gather(circuit)
    const window = Trip.reach(config.trip) ?? defaultWindow
    this.endLeases(config, circuit, now)
    const { failures, slow, successes } = this.own
    // Calls in a state that was entered by hand are not seen.
    const isSteered = circuit.state !== "closed" && circuit.state !== "open" && circuit.state !== "half-open"
    const isNews = successes + failures + slow > 0 || this.isKnocking || this.settled.length > 0
    if (isNews || isSteered || this.isAskedFor || this.leases.length > 0) this.activeAt = now
    this.isAskedFor = false
    const isWaiting = this.wish !== undefined || this.isPending || !this.isKnown
    if (!isWaiting && now - this.activeAt > window) {
      // What the others see meanwhile is not news any more when calls are made again.
      this.base = undefined
      return undefined
    }
    this.own = { successes: 0, failures: 0, slow: 0 }
    const { wish } = this
    const unconditional = wish?.byHand === true && !this.isForgotten
    this.sent = {
      at: now,
      generation: this.generation,
      version: this.version,
      settings: this.isPending ? this.settings : undefined,
      wish,
      unconditional,
      settled: this.settled,
      own: { successes, failures, slow }
    }
    const report: Report = {
      id: this.id,
      window: whole(window),
      successes,
      failures,
      slow,
      change: wish && {
        state: wish.state,
        remaining: wish.state === "open" ? whole(wish.until - now) : 0,
        expected: unconditional ? undefined : this.generation
      },
      settings: this.sent.settings,
      probe: this.probe(config, circuit, now),
      settled: this.settled.length === 0 ? undefined : this.settled
    }
    this.isKnocking = false
    return report
  }

  /** Ends leases that no call used in time, and those of probes that never answered or are no longer waited for. */
  private endLeases(config: Circuit.Config, circuit: Circuit.Circuit, now: number): void {
    for (const lease of this.leases) {
      const { permit, usableUntil } = lease
      if (permit === undefined) {
        if (now < usableUntil) continue
        this.settle(lease, "returned")
        this.isAsked = false
      } else if (now >= permit.startedAt + config.halfOpen.maxWait) this.settle(lease, "failure")
      else if (!Circuit.holds(circuit, permit)) this.settle(lease, "returned")
    }
  }

  private probe(config: Circuit.Config, circuit: Circuit.Circuit, now: number): Report["probe"] {
    const { maxWait, permits } = config.halfOpen
    const isOpen = circuit.state !== "half-open" && !(circuit.state === "open" && now >= circuit.until)
    if (!this.isKnocking || !this.isLeased || isOpen || this.mayProbe(now)) return undefined
    if (this.leases.length >= permits) return undefined
    // The last moment to begin, and the longest that a probe takes: until then no other process may have it.
    const timeToLive = whole(unusedMillis + Math.min(maxWait, maxLeaseMillis))
    return { generation: this.generation, permits, timeToLive }
  }

  // ------------------------------------------------------------------------------------------------------------ answers

  /** Takes the answer to the last report. `continues` is false when its sums cannot be compared with those of the answer before. */
  heard(
    config: Circuit.Config,
    circuit: Circuit.Circuit,
    view: View,
    now: number,
    { continues, instances }: { readonly continues: boolean; readonly instances: number }
  ): Heard {
    const { sent } = this
    this.sent = undefined
    if (!this.isKnown) this.activeAt = now
    this.isKnown = true
    const before = this.base
    this.base = {
      epoch: view.epoch,
      successes: view.successes,
      failures: view.failures,
      slow: view.slow
    }
    if (sent === undefined) return nothingNew
    this.settled = this.settled.filter((settled) => !sent.settled.includes(settled))
    // The answer is younger than what the report said, so a store that knows less has forgotten.
    this.isForgotten = view.generation < sent.generation
    if (this.isForgotten) this.wish ??= { state: this.state, until: this.until, byHand: false }
    else if (this.wish === sent.wish && view.generation > sent.generation) this.granted(sent, view)
    const settings = this.heardSettings(sent, view)
    const step = this.follows(config, circuit, sent, view, continues ? before : undefined, instances, now)
    const isUrgent = this.wish !== undefined && this.wish !== sent.wish
    return { step, settings, isUrgent: isUrgent || (this.isPending && sent.settings === undefined) }
  }

  /** What follows for the circuit. */
  private follows(
    config: Circuit.Config,
    circuit: Circuit.Circuit,
    sent: Sent,
    view: View,
    before: Base | undefined,
    instances: number,
    now: number
  ): Circuit.Step | undefined {
    const isOverruled = this.isBehind && this.wish === undefined
    if (isOverruled || this.isNews(view)) return this.adopt(config, circuit, view, now)
    if (this.isForgotten) return undefined
    if (view.lease !== undefined && view.generation === this.generation) {
      const usableUntil = sent.at + unusedMillis
      this.leases = [...this.leases, { lease: view.lease, usableUntil, permit: undefined }]
      this.isAsked = false
    }
    if (this.isLeased) return this.heardProbes(config, circuit, view, now)
    if (this.state !== "closed" || this.wish !== undefined) return undefined
    // What the others saw before this process could know is not news; its own calls are.
    const news = { ...((before && difference(view, before)) ?? sent.own), run: view.run }
    return this.heardEvidence(config, circuit, news, view.failing >= Math.min(this.quorum, instances), now)
  }

  /** Takes what another process announces, which may be older than what is known. */
  announced(
    config: Circuit.Config,
    circuit: Circuit.Circuit,
    announcement: Announcement,
    now: number
  ): Heard {
    const isNewer = announcement.settingsVersion > this.version
    const settings = isNewer ? this.take(announcement) : undefined
    const step = this.isNews(announcement) ? this.adopt(config, circuit, announcement, now) : undefined
    return { step, settings, isUrgent: false }
  }

  /** Forgets a wish that the store has seen, whether it was granted or another one before it. */
  private granted({ unconditional, wish }: Sent, { state }: View): void {
    if (wish?.byHand !== true || unconditional || wish.state === state) this.wish = undefined
  }

  private isNews({ generation, state }: Announcement | View): boolean {
    return (
      generation > this.generation ||
      // Granted, and changed again by another process before the answer was read.
      (generation === this.generation && state !== this.state && this.wish === undefined)
    )
  }

  /** The circuit of the fleet has changed. That of the process follows, unless it has just been steered by hand. */
  private adopt(
    config: Circuit.Config,
    circuit: Circuit.Circuit,
    { generation, remaining, state }: Announcement | View,
    now: number
  ): Circuit.Step | undefined {
    this.gather(circuit)
    // A store that had forgotten knows again that all is well: a circuit that is open by itself stays so.
    const isSame = state === "closed" && this.state === "closed" && !this.isBehind
    this.isBehind = this.wish?.byHand === true
    this.generation = generation
    this.state = state
    this.until = now + remaining
    this.leases = []
    this.settled = []
    this.isAsked = false
    this.isKnocking = false
    this.isForgotten = false
    this.activeAt = now
    if (this.isBehind) return undefined
    this.wish = undefined
    if (isSame) return undefined
    this.seen = undefined
    return Circuit.follow(config, circuit, { state, remaining }, now)
  }

  /** The probes of all decide. */
  private heardProbes(
    config: Circuit.Config,
    circuit: Circuit.Circuit,
    { probes }: View,
    now: number
  ): Circuit.Step | undefined {
    if (circuit.state !== "half-open") return undefined
    const untold = (outcome: Settled["outcome"]): number =>
      this.settled.filter((settled) => settled.outcome === outcome).length
    const counts = {
      successes: probes.successes + untold("success"),
      failures: probes.failures + untold("failure")
    }
    const step = Circuit.probed(config, circuit, counts, now)
    if (step.circuit.state !== "half-open") this.wish = wishFor(step.circuit)
    return step
  }

  /** What all have seen since the last answer may open the circuit of the fleet. */
  private heardEvidence(
    config: Circuit.Config,
    circuit: Circuit.Circuit,
    news: Trip.Sums,
    isQuorum: boolean,
    now: number
  ): Circuit.Step | undefined {
    const seen = this.seenBy(config.trip, now)
    Trip.countMany(seen, news, now)
    if (!isQuorum || !Trip.isMet(seen, now)) return undefined
    if (circuit.state === "open" && now < circuit.until) {
      this.wish = wishFor(circuit)
      return undefined
    }
    const step = Circuit.openBecause(config, circuit, seen, now)
    this.wish = wishFor(step.circuit)
    return step
  }

  /** What all have seen, by the rules of now. */
  private seenBy(trip: Trip.Trip, now: number): Trip.Seen {
    if (this.seen === undefined) this.seen = Trip.nothing(trip, now)
    else if (this.trip !== trip) this.seen = Trip.adopt(trip, this.seen, now)
    this.trip = trip
    return this.seen
  }

  private heardSettings(sent: Sent, view: View): string | undefined {
    if (sent.settings !== undefined && sent.settings === this.settings && view.settings === this.settings) {
      this.isPending = false
      const { missed } = this
      this.missed = undefined
      if (missed !== undefined && view.settingsVersion < this.version) return (this.settings = missed)
    }
    if (view.settingsVersion < sent.version) {
      this.version = view.settingsVersion
      if (view.settings !== this.settings) this.isPending = this.settings !== undefined
      return undefined
    }
    return view.settingsVersion > this.version ? this.take(view) : undefined
  }

  private take({ settings, settingsVersion }: Announcement | View): string | undefined {
    this.version = settingsVersion
    if (this.isPending) this.missed = settings
    if (settings === this.settings || this.isPending) return undefined
    this.settings = settings
    return settings
  }
}

const nothingNew: Heard = { step: undefined, settings: undefined, isUrgent: false }

/** What was seen since. Unknown when the store has forgotten the sums, or lost some and they went back. */
const difference = (now: Base, before: Base): Evidence | undefined => {
  const successes = now.successes - before.successes
  const failures = now.failures - before.failures
  const slow = now.slow - before.slow
  const isSame = now.epoch === before.epoch
  return isSame && successes >= 0 && failures >= 0 && slow >= 0 ? { successes, failures, slow } : undefined
}
