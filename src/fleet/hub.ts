/**
 * A process in its fleet: one exchange with the store per interval for all shared instances, another at once when something cannot
 * wait, and whether the store answers.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { Announcement, Answer, News, Report, View } from "../core/fleet/table.js"
import { forkScoped, startIn } from "../internal/fork.js"
import { quoted } from "../internal/quoted.js"
import * as Time from "../internal/time.js"
import * as Wait from "../internal/wait.js"
import { overReason, StoreUnavailable } from "./storeUnavailable.js"

/** A shared instance, as the process's exchange sees it. */
export interface Member {
  readonly id: string
  /** What it has to say; nothing when it is idle and knows how the fleet stands. */
  readonly report: (now: number) => Report | undefined
  /**
   * What the fleet knows, as the answer to its last report. `continues` is false after a silence that is too long for sums to be
   * compared with those before it.
   */
  readonly heard: (view: View, now: number, continues: boolean) => void
  /** What another process announces. */
  readonly announced: (announcement: Announcement, now: number) => void
}

/** Observes the exchanges of its process without taking part in them. */
export interface Watcher {
  /** An exchange is over, answered or not. */
  readonly exchanged: (now: number) => void
}

/** The most reports of one exchange, which bounds how long the store works at one script: Redis takes 20 to 40 µs for each. */
const maxReports = 250

/** For how many intervals unheard news is kept. Older evidence would count as if it were new. */
const keptIntervals = 5

/** The longest pause between exchanges while the store does not answer, in intervals. */
const maxBackoff = 8

/** Resumes a call that waits for an exchange that begins after it asked. */
type Asking = (answered: Effect.Effect<void, StoreUnavailable>) => void

interface Pending {
  readonly news: News
  readonly members: ReadonlyArray<Member>
  readonly since: number
}

export class Hub {
  private readonly members = new Set<WeakRef<Member>>()
  /** Members that have thrown: each is logged once. */
  private readonly reported = new WeakSet<Member>()
  private pending: Pending | undefined
  private sequence = 0
  private failures = 0
  private lastAnswer = -Infinity
  private urgent = false
  private asking = new Set<Asking>()
  /** The calls that are answered when all members have been asked. */
  private served: Iterable<Asking> = []
  private unavailable: StoreUnavailable | undefined
  /** How many members have not been asked for a report yet. */
  private unasked = 0
  private nudged = false
  private wakeUp: (() => void) | undefined
  private living = 1
  private firstAnswer = Infinity
  private readonly watchers = new Set<WeakRef<Watcher>>()

  constructor(
    private readonly exchange: (news: News) => Effect.Effect<Answer, StoreUnavailable>,
    private readonly self: Pick<News, "instance" | "incarnation">,
    private readonly interval: number,
    /** Where the listeners of members run. */
    private readonly runtime: Runtime.Runtime<Scope.Scope>
  ) {}

  /** How many processes live, this one included; as of the last exchange. */
  get instances(): number {
    return this.living
  }

  /** How many processes live, once that is known. With its first answer a process may be the first of a fleet that starts. */
  get known(): number | undefined {
    return this.lastAnswer - this.firstAnswer >= this.interval / 2 ? this.living : undefined
  }

  /** Whether the store has not answered the last exchange. */
  get isAway(): boolean {
    return this.failures > 0
  }

  /** How long after an outage another process may not have noticed yet that it is over, in milliseconds. */
  get settling(): number {
    return (maxBackoff + 2) * this.interval
  }

  /** Looks at each exchange from now on, for as long as something else holds the watcher. */
  watch(watcher: Watcher): void {
    this.watchers.add(new WeakRef(watcher))
  }

  private tellWatchers(now: number): void {
    for (const reference of this.watchers) {
      const watcher = reference.deref()
      if (watcher === undefined) this.watchers.delete(reference)
      else watcher.exchanged(now)
    }
  }

  /** Takes part from now on, for as long as something else holds the member. It soon knows how the fleet stands. */
  join(member: Member): void {
    this.members.add(new WeakRef(member))
    this.nudge()
  }

  /** The same as {@link wake}, at most once an interval: for what may happen at every call. */
  nudge(): void {
    if (this.nudged) return
    this.nudged = true
    this.wake()
  }

  /** Runs what a member tells its listeners, in a fiber of its own: a slow one delays no exchange. */
  tell(told: Effect.Effect<void>): void {
    startIn(this.runtime, forkScoped(told))
  }

  /** A step of a member. What another release sends may make it throw, which must not end the exchange of the others. */
  private safely<A>(member: Member, step: () => A): A | undefined {
    try {
      return step()
    } catch (thrown) {
      const message = `the shared instance ${quoted(member.id)} cannot take part in its fleet`
      if (!this.reported.has(member)) this.tell(Effect.logWarning(message, thrown))
      this.reported.add(member)
      return undefined
    }
  }

  /** Exchanges news without waiting for the interval to end. May be called from a step. */
  wake(): void {
    this.urgent = true
    // While the store does not answer, nothing is urgent.
    if (this.failures === 0) this.wakeUp?.()
  }

  /** Exchanges news without waiting for the backoff to end, because the store may answer again. */
  again(): void {
    if (this.failures > 0) this.wakeUp?.()
  }

  /**
   * Waits for an exchange that begins from now on; all that wait go with one. While the store does not answer, nothing waits for it.
   */
  get ask(): Effect.Effect<void, StoreUnavailable> {
    return Effect.suspend(() => {
      if (this.unavailable !== undefined) return this.unavailable
      return Wait.forOthers<void, StoreUnavailable>((resume) => {
        this.asking.add(resume)
        this.wake()
        // A timeout may interrupt thousands at once.
        return Effect.sync(() => void this.asking.delete(resume))
      })
    })
  }

  private answer(asking: Iterable<Asking>): void {
    const answered = this.unavailable ?? Effect.void
    for (const resume of asking) resume(answered)
  }

  private failed(error: StoreUnavailable): void {
    const asking = [...this.served, ...this.asking]
    this.failures += 1
    this.unavailable = error
    this.served = []
    this.asking = new Set()
    this.answer(asking)
  }

  /** Exchanges news for as long as the scope is open. */
  get run(): Effect.Effect<void, never, Scope.Scope> {
    const over = Effect.sync(() => {
      this.failed(new StoreUnavailable({ operation: "exchange", reason: overReason, cause: undefined }))
    })
    const rounds = Effect.forever(Effect.zipRight(this.round, this.pause))
    return Effect.asVoid(forkScoped(Effect.ensuring(rounds, over)))
  }

  /** Exchanges until nothing urgent is left. */
  get round(): Effect.Effect<void> {
    return Effect.flatMap(Effect.clock, (clock) => this.roundAt(clock))
  }

  private roundAt(clock: Clock.Clock): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.urgent = false
      const now = Time.monotonicMillis(clock)
      const pending = this.unheard(now) ?? this.collect(now)
      return Effect.matchEffect(this.exchange(pending.news), {
        onFailure: (error) =>
          Effect.sync(() => {
            this.failed(error)
            this.tellWatchers(Time.monotonicMillis(clock))
          }),
        onSuccess: (answer) => {
          const later = Time.monotonicMillis(clock)
          const continues = later - this.lastAnswer <= keptIntervals * this.interval
          this.pending = undefined
          this.failures = 0
          this.unavailable = undefined
          this.lastAnswer = later
          this.living = Math.max(1, answer.instances)
          this.firstAnswer = Math.min(this.firstAnswer, later)
          pending.members.forEach((member, at) =>
            this.safely(member, () => member.heard(answer.views[at], later, continues))
          )
          this.tellWatchers(later)
          if (this.unasked === 0) {
            const { served } = this
            this.served = []
            this.answer(served)
          }
          const isMore = this.urgent || this.unasked > 0 || this.asking.size > 0
          return isMore ? this.roundAt(clock) : Effect.void
        }
      })
    })
  }

  /** News whose answer was lost is sent again as it was, so that it counts once. */
  private unheard(now: number): Pending | undefined {
    if (this.pending === undefined) return undefined
    if (now - this.pending.since <= keptIntervals * this.interval) return this.pending
    return (this.pending = undefined)
  }

  private collect(now: number): Pending {
    const members: Array<Member> = []
    const reports: Array<Report> = []
    if (this.unasked === 0) {
      this.unasked = this.members.size
      this.served = this.asking
      this.asking = new Set()
    }
    // A member that is asked goes to the end, so that the next exchange begins with those that this one has no room for.
    for (const reference of [...this.members].slice(0, this.unasked)) {
      if (reports.length === maxReports) break
      this.unasked -= 1
      this.members.delete(reference)
      const member = reference.deref()
      if (member === undefined) continue
      this.members.add(reference)
      const report = this.safely(member, () => member.report(now))
      if (report === undefined) continue
      members.push(member)
      reports.push(report)
    }
    const timeToLive = 3 * maxBackoff * this.interval
    const news = { ...this.self, sequence: ++this.sequence, timeToLive, reports }
    return (this.pending = { news, members, since: now })
  }

  /** Waits for the interval, a tenth more or less so that processes do not stay in step, or until something is urgent. */
  private get pause(): Effect.Effect<void> {
    return Effect.flatMap(Random.nextRange(0.9, 1.1), (jitter) => {
      const backoff = Math.min(maxBackoff, 2 ** this.failures)
      const wait = Wait.forOthers<void>((resume) => {
        this.wakeUp = () => {
          this.wakeUp = undefined
          resume(Effect.void)
        }
        if (this.urgent && this.failures === 0) this.wakeUp()
      })
      return Effect.uninterruptibleMask((restore) =>
        Wait.withAlarm(restore(wait), this.interval * jitter * backoff, () => {
          this.nudged = false
          this.wakeUp?.()
        })
      )
    })
  }

  /** Tells the members of a breaker what another process announces. */
  announce(announcement: Announcement, now: number): void {
    for (const reference of this.members) {
      const member = reference.deref()
      if (member?.id === announcement.id) this.safely(member, () => member.announced(announcement, now))
    }
  }
}
