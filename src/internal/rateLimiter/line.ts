/**
 * The line in front of a rate: who has been let in, and who is let in when. First come, first served; everybody's turn is
 * known from the start, so that a request that would come too late does not have to wait to find out. Those behind move up
 * when somebody leaves.
 *
 * A turn that has come is taken at the instant at which it was due, by whoever looks next. So a timer that fires late costs
 * nobody anything, and the rate stays exact whatever the timers do.
 *
 * Every step is synchronous, times are those of the rule: whole microseconds. Entering, leaving and being let in cost the
 * same however long the line is; after somebody has left, turns are worked out anew when the next one enters.
 */
import * as Rate from "../../core/rateLimit.js"

/** A request that has been let in, or will be. */
export interface Permit extends Rate.Admitted {
  /** The change of rate before which it was let in. */
  readonly generation: number
  /** What had been let in up to and including it. */
  readonly total: number
}

export interface Options {
  readonly cost: number
  /** The last instant at which it is still of use. */
  readonly deadline: number
  /** Whether the turn has been promised: then it stays when it could be earlier. */
  readonly promised: boolean
}

/** A place in the line. */
export class Place implements Options {
  readonly cost: number
  readonly deadline: number
  readonly promised: boolean
  /** Its turn when it entered. */
  readonly original: number
  state: "waiting" | "admitted" | "rejected" | "left" = "waiting"
  /** What it was let in with. */
  permit: Permit | undefined
  previous: Place | undefined
  next: Place | undefined
  /** Whether something has changed since this was last set to `false`: the state, or that it is the first, or its turn. */
  changed = false
  private listener: (() => void) | undefined

  constructor(
    options: Options,
    readonly number: number,
    readonly since: number,
    /** When its turn is, and what will have been used after it. Only up to date in front of `Line.stale`. */
    public at: number,
    public after: Rate.Used
  ) {
    this.cost = options.cost
    this.deadline = options.deadline
    this.promised = options.promised
    this.original = at
  }

  /** Calls back once, as soon as something has changed. */
  listen(listener: () => void): void {
    this.listener = listener
    if (this.changed) this.notify()
  }

  notify(): void {
    const { listener } = this
    this.changed = true
    this.listener = undefined
    listener?.()
  }
}

export class Line {
  private rule: Rate.Rule
  private used: Rate.Used
  /** When the last request was let in, and what it cost. */
  private last: number
  private lastCost = 0
  /** The cost of everything that was ever let in. */
  private total = 0
  private generation = 0
  private head: Place | undefined
  private tail: Place | undefined
  private length = 0
  private entered = 0
  /** The first place whose turn has to be worked out anew. */
  private stale: Place | undefined
  /** The first place that somebody waits at, and when it expects its turn. Only that one needs a timer. */
  private first: Place | undefined
  private firstAt = 0
  /** How many requests have been let in. */
  admitted = 0

  constructor(
    rate: Rate.Rate,
    readonly maxQueued: number,
    now: number
  ) {
    this.rule = Rate.rule(rate)
    this.used = Rate.nothing(this.rule, now)
    this.last = now
  }

  get rate(): Rate.Rate {
    return this.rule.rate
  }

  /** Whether anything that was let in still counts, or anybody is in the line. */
  inUse(now: number): boolean {
    const unused = Rate.available(this.rule, Rate.nothing(this.rule, now), now)
    return this.length > 0 || this.available(now) < unused
  }

  /** How many have a place in the line. */
  get queued(): number {
    return this.length
  }

  get isFull(): boolean {
    return this.length >= this.maxQueued
  }

  /** Lets a request in at once, or not at all when it is not due or somebody is before it. */
  tryTake(cost: number, now: number): boolean {
    if (this.head !== undefined) this.settle(now)
    if (this.head !== undefined || cost > this.rule.most) return false
    if (Rate.due(this.rule, this.used, cost, Math.max(now, this.last)) > now) return false
    this.take(cost, now, Rate.admit(this.rule, this.used, cost, now))
    return true
  }

  /** The permit of the request that was let in last. */
  permit(): Permit {
    return { at: this.last, cost: this.lastCost, generation: this.generation, total: this.total }
  }

  private take(cost: number, at: number, after: Rate.Used): void {
    this.used = after
    this.last = at
    this.lastCost = cost
    this.total += cost
    this.admitted += 1
  }

  /** When a request that comes now has its turn, if nobody leaves. Infinite when it never has. */
  turn(cost: number, now: number): number {
    if (cost > this.rule.most) return Infinity
    this.settle(now)
    if (this.tail === undefined) return Rate.due(this.rule, this.used, cost, Math.max(now, this.last))
    this.refresh(this.tail)
    return Rate.due(this.rule, this.tail.after, cost, Math.max(now, this.tail.at))
  }

  /** How many calls of cost 1 would be let in at once now. */
  available(now: number): number {
    this.settle(now)
    return this.head === undefined ? Rate.available(this.rule, this.used, Math.max(now, this.last)) : 0
  }

  /** Takes the last place, for the {@link Line.turn} that was asked for in the same step. */
  enter(options: Options, at: number, now: number): Place {
    const before = this.tail === undefined ? this.used : this.tail.after
    const after = Rate.admit(this.rule, before, options.cost, at)
    const place = new Place(options, this.entered++, now, at, after)
    place.previous = this.tail
    if (this.tail === undefined) this.head = place
    else this.tail.next = place
    this.tail = place
    this.length += 1
    this.settle(now)
    return place
  }

  /** Lets in whoever's turn has come. */
  settle(now: number): void {
    while (this.head !== undefined) {
      this.refresh(this.head)
      const { after, at, cost } = this.head
      if (at > now) break
      this.take(cost, at, after)
      this.head.permit = this.permit()
      this.unlink(this.head, "admitted")
    }
    this.wakeFirst()
  }

  /** Gives a place up. A turn that has been taken is given back as far as it still counts. */
  leave(place: Place, now: number): void {
    this.settle(now)
    if (place.state === "admitted" && place.permit !== undefined) this.giveBack(place.permit, now)
    if (place.state === "waiting") {
      this.staleFrom(place.next)
      this.unlink(place, "left")
      this.settle(now)
    }
    place.state = "left"
  }

  /** Gives back what was let in, as far as it still counts. For one that was let in before a change of rate, nothing. */
  giveBack(permit: Permit, now: number): void {
    if (permit.generation !== this.generation) return
    this.settle(now)
    this.used = Rate.giveBack(this.rule, this.used, permit, this.total - permit.total)
    this.staleFrom(this.head)
    this.settle(now)
  }

  /**
   * Changes the rate. What counted before counts on, promised turns stay. Who can never be let in any more, or not before
   * its deadline, is rejected.
   */
  setRate(rate: Rate.Rate, now: number): void {
    this.settle(now)
    const before = this.rule
    this.rule = Rate.rule(rate)
    this.used = Rate.adopt(before, this.used, this.rule, now)
    this.generation += 1
    this.staleFrom(this.head)
    for (let place = this.head; place !== undefined;) {
      const { next } = place
      const possible = place.promised || place.cost <= this.rule.most
      if (possible) this.refresh(place)
      if (!possible || (!place.promised && place.at > place.deadline)) {
        this.staleFrom(next)
        this.unlink(place, "rejected")
      }
      place = next
    }
    this.settle(now)
  }

  /** Whether this is the place that needs a timer. */
  isFirst(place: Place): boolean {
    return place === this.first
  }

  /** Works out the turns that are not up to date, through those of a place. */
  private refresh(until: Place): void {
    while (this.stale !== undefined && this.stale.number <= until.number) {
      const place: Place = this.stale
      const used = place.previous === undefined ? this.used : place.previous.after
      const from = place.previous === undefined ? this.last : place.previous.at
      place.at = place.promised
        ? Math.max(place.original, from)
        : Rate.due(this.rule, used, place.cost, Math.max(place.since, from))
      place.after = Rate.admit(this.rule, used, place.cost, place.at)
      this.stale = place.next
    }
  }

  private staleFrom(place: Place | undefined): void {
    if (place === undefined) return
    if (this.stale === undefined || place.number < this.stale.number) this.stale = place
  }

  /** Tells the first place that somebody waits at that it is the first, or that its turn has changed. */
  private wakeFirst(): void {
    let place = this.first?.state === "waiting" ? this.first : this.head
    while (place?.promised === true) place = place.next
    if (place !== undefined) this.refresh(place)
    const changed = place !== this.first || (place !== undefined && place.at !== this.firstAt)
    this.first = place
    if (place === undefined || !changed) return
    this.firstAt = place.at
    place.notify()
  }

  private unlink(place: Place, state: "admitted" | "rejected" | "left"): void {
    const { next, previous } = place
    if (previous === undefined) this.head = next
    else previous.next = next
    if (next === undefined) this.tail = previous
    else next.previous = previous
    if (this.stale === place) this.stale = next
    // Whoever still holds the place does not hold the line.
    place.previous = place.next = undefined
    this.length -= 1
    place.state = state
    place.notify()
  }
}
