/**
 * The FIFO queue of a rate limiter. The turn of a request is known when it enters, so that a request that would wait too long is
 * rejected at once. A turn is taken at the instant it was due, so late timers do not change the rate; one that is computed anew
 * never lies in the past.
 *
 * Every step is synchronous; times are whole microseconds. Requests of the same cost form a run, which keeps only its last turn, so
 * every step costs the same for any run. A change in front of other runs costs one step for each of them at the next entry.
 */
import * as Rate from "../core/rateLimit.js"
import { Linked, type Links } from "../internal/linked.js"

/** A request that has been admitted, or will be. */
export interface Permit extends Rate.Admitted {
  /** The change of rate before which it was admitted. */
  readonly generation: number
  /** What had been admitted up to and including it. */
  readonly total: number
}

/** Shows an observer a place that is left, or a permit that is given back. */
export type Watch = (
  change: "Dequeued" | "GivenBack",
  cost: number,
  reason?: "admitted" | "rejected" | "left"
) => void

export interface Options {
  readonly cost: number
  /** The last instant at which it is still of use. */
  readonly deadline: number
  /** Whether the turn has been promised: then it stays when it could be earlier. */
  readonly promised: boolean
  /** Whether a call waits at the place from the start, or from {@link Line.ready} on. No call waits at a promised one. */
  readonly isReady: boolean
}

export class Place implements Options, Links<Place> {
  readonly cost: number
  readonly deadline: number
  readonly promised: boolean
  isReady: boolean
  state: "waiting" | "admitted" | "rejected" | "left" = "waiting"
  /** What it was admitted with. */
  permit: Permit | undefined
  /** The run that it is part of while it is in the line. */
  run: Run | undefined
  previous: Place | undefined
  next: Place | undefined
  /** Whether something has changed since this was last set to `false`: the state, or that it is the first, or its turn. */
  changed = false
  private listener: (() => void) | undefined

  constructor(
    options: Options,
    readonly number: number,
    /** Its turn when it entered. */
    readonly original: number
  ) {
    this.cost = options.cost
    this.deadline = options.deadline
    this.promised = options.promised
    this.isReady = options.isReady
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

/** Adjacent places that are alike: when one leaves, the others have the same turns without the last. A promised place is alone. */
class Run {
  size = 1
  /** What all its places cost. */
  sum: number
  last: Place
  next: Run | undefined
  /** The turns of its places, where the last does not follow from the first. */
  turns: Array<Rate.Turn> = []
  /** How many of these turns are over. */
  over = 0

  constructor(
    readonly number: number,
    public first: Place,
    public previous: Run | undefined,
    /** The turn of the last place. Only up to date in front of `Line.stale`. */
    public end: Rate.Turn
  ) {
    this.sum = first.cost
    this.last = first
  }

  /** The turn of the first place is over. */
  shift(): void {
    if (++this.over < 1000 || this.over * 2 < this.turns.length) return
    this.turns = this.turns.slice(this.over)
    this.over = 0
  }
}

export class Line {
  private rule: Rate.Rule
  private used: Rate.Used
  /** When the last request was admitted, and what it cost. */
  private last: number
  private lastCost = 0
  /** The cost of everything that was ever let in. */
  private total = 0
  private generation = 0
  private readonly places = new Linked<Place>()
  private length = 0
  private entered = 0
  private lastRun: Run | undefined
  private runs = 0
  /** The first run whose last turn has to be worked out anew. */
  private stale: Run | undefined
  /** When turns last had to be worked out anew. All turns of the line are later. */
  private changedAt: number
  /** The turn of the head, once it has been worked out. */
  private headAt: number | undefined
  /** The first place that a call waits at. Only that one needs a timer. */
  private first: Place | undefined
  /** Which place was told last that it is the first, and when it has to look. */
  private told: Place | undefined
  private toldAt = 0
  admitted = 0

  constructor(
    rate: Rate.Rate,
    readonly maxQueued: number,
    now: number,
    private readonly watch: Watch | undefined = undefined
  ) {
    this.rule = Rate.rule(rate)
    this.used = Rate.nothing(this.rule, now)
    this.last = now
    this.changedAt = now
  }

  get rate(): Rate.Rate {
    return this.rule.rate
  }

  /** Whether an admission still counts or a request is queued. */
  inUse(now: number): boolean {
    const unused = Rate.available(this.rule, Rate.nothing(this.rule, now), now)
    return this.length > 0 || this.available(now) < unused
  }

  get queued(): number {
    return this.length
  }

  get isFull(): boolean {
    return this.length >= this.maxQueued
  }

  /** When the first waiting call has to look: at its turn, or earlier when others are admitted before. */
  get firstAt(): number {
    return this.toldAt
  }

  /** Whether this is the place that needs a timer. */
  isFirst(place: Place): boolean {
    return place === this.first
  }

  /** Admits a request at once, or not at all when it is not due or others are queued before it. */
  tryTake(cost: number, now: number): boolean {
    if (this.places.first !== undefined) this.settle(now)
    if (this.places.first !== undefined || cost > this.rule.most) return false
    if (Rate.due(this.rule, this.used, cost, Math.max(now, this.last)) > now) return false
    this.take(cost, now)
    return true
  }

  /** The permit of the request that was admitted last. */
  permit(): Permit {
    return { at: this.last, cost: this.lastCost, generation: this.generation, total: this.total }
  }

  private take(cost: number, at: number): void {
    this.used = Rate.admit(this.rule, this.used, cost, at)
    this.last = at
    this.lastCost = cost
    this.total += cost
    this.admitted += 1
  }

  /** When a request that comes now has its turn, if no request leaves. Infinite when it never has one. */
  turn(cost: number, now: number): number {
    if (cost > this.rule.most) return Infinity
    this.settle(now)
    const { after, at } = this.end()
    return Rate.due(this.rule, after, cost, Math.max(now, at))
  }

  /** How many calls of cost 1 would be admitted at once now. */
  available(now: number): number {
    this.settle(now)
    return this.places.first ? 0 : Rate.available(this.rule, this.used, Math.max(now, this.last))
  }

  /** Takes the last place, for the {@link Line.turn} that was asked for in the same step. */
  enter(options: Options, at: number, now: number): Place {
    const place = new Place(options, this.entered++, at)
    if (at <= now) {
      this.take(place.cost, at)
      place.permit = this.permit()
      place.state = "admitted"
      return place
    }
    this.places.append(place)
    this.length += 1
    this.join(place, at)
    if (waits(place)) this.first ??= place
    this.wakeFirst()
    return place
  }

  /** A call waits at a place from now on. */
  ready(place: Place): void {
    place.isReady = true
    if (place.state !== "waiting" || (this.first !== undefined && this.first.number < place.number)) return
    this.first = place
    this.wakeFirst()
  }

  /** Admits every request whose turn has come. */
  settle(now: number): void {
    for (let place = this.places.first; place !== undefined; place = this.places.first) {
      const at = this.turnOfHead(place)
      if (at > now) break
      this.take(place.cost, at)
      place.permit = this.permit()
      this.unlink(place, "admitted")
    }
    this.wakeFirst()
  }

  /** Gives a place up. A turn that has been taken is given back as far as it still counts. */
  leave(place: Place, now: number): void {
    this.settle(now)
    if (place.state === "admitted" && place.permit !== undefined) this.giveBack(place.permit, now)
    if (place.state === "waiting") {
      this.changedAt = Math.max(this.changedAt, now)
      this.unlink(place, "left")
      this.settle(now)
    }
    place.state = "left"
  }

  /** Gives back what was admitted, as far as it still counts. For one that was admitted before a change of rate, nothing. */
  giveBack(permit: Permit, now: number): void {
    if (permit.generation !== this.generation) return
    this.settle(now)
    this.used = Rate.giveBack(this.rule, this.used, permit, this.total - permit.total)
    this.watch?.("GivenBack", permit.cost)
    this.changedAt = Math.max(this.changedAt, now)
    this.staleFrom(this.places.first?.run)
    this.settle(now)
  }

  /** Changes the rate. Promised turns stay; a request that cannot be admitted before its deadline is rejected. */
  setRate(rate: Rate.Rate, now: number): void {
    this.settle(now)
    const before = this.rule
    this.rule = Rate.rule(rate)
    this.used = Rate.adopt(before, this.used, this.rule, now)
    this.generation += 1
    this.changedAt = Math.max(this.changedAt, now)
    this.stale = this.lastRun = this.headAt = undefined
    for (let place = this.places.first; place !== undefined;) {
      const { next } = place
      const at = this.turnOf(place, this.end())
      place.run = undefined
      if (at === Infinity || (!place.promised && at > place.deadline)) this.unlink(place, "rejected")
      else this.join(place, at)
      place = next
    }
    this.settle(now)
  }

  // --------------------------------------------------------------------------------------------------------- turns

  /** The turn of a place after another turn. Infinite when it never has one. */
  private turnOf({ cost, original, promised }: Place, { after, at }: Rate.Turn): number {
    if (promised) return Math.max(original, at)
    return cost > this.rule.most ? Infinity : Rate.due(this.rule, after, cost, Math.max(at, this.changedAt))
  }

  private turnOfHead(head: Place): number {
    return (this.headAt ??= this.turnOf(head, this.before(undefined)))
  }

  /** The turn before a run that follows another. */
  private before(run: Run | undefined): Rate.Turn {
    return run === undefined ? { at: this.last, after: this.used } : run.end
  }

  /** The last turn there is so far. */
  private end(): Rate.Turn {
    if (this.lastRun !== undefined) this.refresh(this.lastRun)
    return this.before(this.lastRun)
  }

  /** Adds a place to the last run or to a new one. */
  private join(place: Place, at: number): void {
    const end = { at, after: Rate.admit(this.rule, this.end().after, place.cost, at) }
    const { lastRun } = this
    const last = lastRun?.last
    let run: Run
    if (lastRun === undefined || last === undefined || !this.alike(last, place)) {
      run = this.lastRun = new Run(this.runs++, place, lastRun, end)
      if (lastRun !== undefined) lastRun.next = run
    } else {
      run = lastRun
      run.size += 1
      run.sum += place.cost
      run.last = place
      run.end = end
    }
    place.run = run
    if (end.after._tag === "log") run.turns.push(end)
  }

  private alike(one: Place, other: Place): boolean {
    return !one.promised && !other.promised && Rate.alike(this.rule, one.cost, other.cost)
  }

  private staleFrom(run: Run | undefined): void {
    this.headAt = undefined
    if (run !== undefined && this.isFresh(run)) this.stale = run
  }

  private isFresh(run: Run): boolean {
    return this.stale === undefined || run.number < this.stale.number
  }

  /** Works out the last turns of the runs that are not up to date, through a run. */
  private refresh(until: Run): void {
    for (let run = this.stale; run !== undefined && run.number <= until.number; run = this.stale) {
      run.turns = []
      run.over = 0
      run.end = this.endOf(run)
      this.stale = run.next
    }
  }

  /** The last turn of a run, where everything in front of the run is up to date. */
  private endOf(run: Run): Rate.Turn {
    const { first, last, size, sum, turns } = run
    const before = this.before(run.previous)
    const at = this.turnOf(first, before)
    let turn: Rate.Turn = { at, after: Rate.admit(this.rule, before.after, first.cost, at) }
    const end = Rate.lastTurn(this.rule, turn, { first: first.cost, last: last.cost, size, sum })
    if (end !== undefined) return end
    turns.push(turn)
    while (turns.length < size) turns.push((turn = Rate.turn(this.rule, turn.after, first.cost, turn.at)))
    return turn
  }

  /** Tells the first waiting place that it is the first, or that its turn has changed. */
  private wakeFirst(): void {
    const place = this.first
    if (place?.run === undefined) {
      this.told = undefined
      return
    }
    const at = this.alarmOf(place, place.run)
    if (place === this.told && at === this.toldAt) return
    this.told = place
    this.toldAt = at
    place.notify()
  }

  /** Its turn, where that is known without a look at those in front of it; else that of the head. */
  private alarmOf(place: Place, { first, previous }: Run): number {
    if (this.places.first !== undefined && (place === this.places.first || place !== first))
      return this.turnOfHead(this.places.first)
    if (previous !== undefined) this.refresh(previous)
    return this.turnOf(place, this.before(previous))
  }

  private unlink(place: Place, state: "admitted" | "rejected" | "left"): void {
    const { next, run } = place
    if (place === this.first) {
      this.first = next
      while (this.first !== undefined && !waits(this.first)) this.first = this.first.next
    }
    if (run !== undefined) this.removeFrom(run, place, state === "admitted")
    this.places.remove(place)
    place.run = undefined
    this.length -= 1
    this.headAt = undefined
    place.state = state
    this.watch?.("Dequeued", place.cost, state)
    place.notify()
  }

  /** Takes a place out of its run. One that has been admitted was the head, and what follows has the same turns as before. */
  private removeFrom(run: Run, place: Place, admitted: boolean): void {
    if (!admitted) this.staleFrom(run.next)
    run.size -= 1
    run.sum -= place.cost
    if (run.size === 0) return this.removeRun(run)
    if (place === run.first && place.next !== undefined) run.first = place.next
    if (place === run.last && place.previous !== undefined) run.last = place.previous
    if (!this.isFresh(run)) return
    if (admitted) run.shift()
    else if (run.turns.length === 0) run.end = this.endOf(run)
    else {
      run.turns.pop()
      run.end = run.turns[run.turns.length - 1]
    }
  }

  private removeRun(run: Run): void {
    const { next, previous } = run
    if (previous !== undefined) previous.next = next
    if (next === undefined) this.lastRun = previous
    else next.previous = previous
    if (this.stale === run) this.stale = next
  }
}

const waits = ({ isReady, promised }: Place): boolean => isReady && !promised
