/**
 * The permits that one process holds of a rate which a fleet shares: how many it asks the store for and when, which calls they admit,
 * when they expire and come back, and what is admitted while the store does not answer.
 *
 * Its owner steps it in place. After each step the owner sends {@link Lease.ask} and {@link Lease.returns}, until there is nothing more
 * to send. Times are milliseconds on the clock of the process.
 *
 * Why the fleet keeps the rate. The burst has three parts: one that the store grants, one for permits that are held, and one for
 * processes that lost the store alone. Permits of a grant are used within `hold`, so in a time t the fleet uses no more than the store
 * grants in t + hold: its part of the burst, what the rate gives in t, and what it gives in `hold`, which is the second part. Without
 * the store each process has a share of the rate and begins with none of the burst. Afterwards it keeps to its share until the last
 * process must have come back.
 */
import type { Take, Taken } from "./table.js"

export type OnStoreFailure = "share" | "last" | "reject"

/** How a process uses the rate of its fleet. */
export interface Plan {
  readonly id: string
  readonly limit: number
  readonly per: number
  /** The part of the burst that the store grants. `undefined`: a call needs all before it to be paid for, as with a smooth rate. */
  readonly burst: number | undefined
  /** How long a lease is planned for, and how long its permits may be used; 0 when every call asks. */
  readonly period: number
  readonly hold: number
  /** What all processes together may save up without the store. */
  readonly local: number
  /** The most that a call may cost. */
  readonly most: number
  readonly maxQueued: number
  readonly onStoreFailure: OnStoreFailure
  /** How long after an outage another process may not have noticed yet that it is over. */
  readonly settling: number
}

/** The shares of a burst, in permits: what is held, what is kept for processes without the store, and the rest, which the store grants. */
const shareOfBurst = 1 / 4

/** The longest period of a lease, unless one is given. */
const longestPeriod = 1000

/** The least burst that can be divided. */
export const leastBurst = 4

/** The longest period that a burst has room for. */
export const periodOf = ({ burst, limit, per }: Parts): number =>
  (Math.floor(burst * shareOfBurst) * per) / limit / 2

interface Parts {
  readonly limit: number
  readonly per: number
  readonly burst: number
}

/** Divides a burst. */
export const divided = (
  rate: Parts,
  period = Math.min(longestPeriod, periodOf(rate))
): Pick<Plan, "burst" | "period" | "hold" | "local" | "most"> => {
  const { limit, per } = rate
  const hold = 2 * period
  const local = Math.floor(rate.burst * shareOfBurst)
  const burst = rate.burst - Math.ceil((hold * limit) / per - 1e-6) - local
  return { burst, period, hold, local, most: burst }
}

/** Permits of one grant. */
interface Lot {
  permits: number
  /** Until when they may be used. */
  readonly until: number
  readonly receipt: string
}

/** What a call was admitted with. */
export interface Permit {
  readonly cost: number
  /** The oldest grant that it is from; `undefined` when it was admitted without the store. */
  readonly lot: Pick<Lot, "until" | "receipt"> | undefined
}

/** A request that is on its way. */
export interface Ask {
  readonly take: Take
  readonly sentAt: number
}

/** Why a call is not admitted, as a rejection says it. */
export type Refusal = "rate" | "queue" | "cost"

/** A call that waits for an answer of the store, or for its turn. */
export class Waiter {
  state: "waiting" | "admitted" | "refused" | "left" = "waiting"
  permit: Permit | undefined
  refusal: Refusal = "rate"
  /** How long until its turn when it was refused; infinite when that is not known. */
  retryAfter = Infinity
  /** How long until its turn when it was known that it has to wait for that; before, it waits for an answer. */
  wait: number | undefined
  /** Called in the step in which it leaves the queue. */
  onLeft: ((how: "admitted" | "refused" | "left") => void) | undefined
  private changed = false
  private listener: (() => void) | undefined

  constructor(
    readonly cost: number,
    /** The last instant at which its turn is of use. An answer is waited for in any case. */
    readonly deadline: number
  ) {}

  /** Calls back once, when it has something to do or is no longer waiting. */
  listen(listener: () => void): void {
    this.listener = listener
    if (this.changed) this.notify()
  }

  notify(): void {
    const { listener } = this
    this.listener = undefined
    this.changed = listener === undefined
    listener?.()
  }
}

/** How much there was of something in a time, later counting for more. */
class Pace {
  private sum = 0
  private at = -Infinity

  constructor(private readonly time: number) {}

  add(amount: number, now: number): void {
    this.sum = this.at === -Infinity ? amount : this.sum * Math.exp((this.at - now) / this.time) + amount
    this.at = now
  }

  /** By the millisecond. */
  get(now: number): number {
    return this.at === -Infinity ? 0 : (this.sum * Math.exp((this.at - now) / this.time)) / this.time
  }
}

/** How long a pace is looked at for the share that a process had last. Longer than a burst, which is no pace. */
const lastShareTime = 10_000

/** The least pause after a request for which there was too little, as far as permits may be held for as long. */
const leastPause = 25

/** The pause after a request that failed, while it is not known yet whether the store is away. */
const pauseAfterFailure = 100

/** A rate that a process keeps by itself, when the store is away and afterwards. */
interface Local {
  tokens: number
  at: number
  readonly capacity: number
  /** Permits by the millisecond. */
  readonly rate: number
  /** Whether the number of processes was known. */
  readonly isKnown: boolean
}

export class Lease {
  private readonly demand: Pace
  private readonly used: Pace
  private lots: Array<Lot> = []
  private have = 0
  /** Waiting calls, oldest first; those that have left are passed over. */
  private queue: Array<Waiter> = []
  private queuedCost = 0
  private waiting = 0
  /** Requests on their way, and for how many permits. */
  private asks = 0
  private asked = 0
  /** Whether there was a call in this step. Only then permits are taken in advance, so an idle process holds none. */
  private called = false
  /** Nothing is to be had before. */
  private retryAt = -Infinity
  /** How many permits are to be had then. */
  private retryFor = 1
  private back: Array<{ readonly permits: number; readonly receipt: string }> = []
  private away = false
  private local: Local | undefined
  private instances = 1
  private settledAt = -Infinity
  /** Admitted without asking and not charged yet. */
  private spent = 0
  private told: Waiter | undefined
  private toldAt = 0
  /** What the store had left when it answered last. */
  private left: { readonly permits: number; readonly at: number }
  admitted = 0

  constructor(
    private plan: Plan,
    now: number
  ) {
    this.demand = new Pace(4 * Math.max(plan.period, 1))
    this.used = new Pace(lastShareTime)
    this.left = { permits: plan.burst ?? 1, at: now }
  }

  // ----------------------------------------------------------------------------------------------------------- reading

  /** How many wait. */
  get queued(): number {
    return this.waiting
  }

  /** How many calls of cost 1 would be admitted at once, as far as is known here. */
  available(now: number): number {
    this.expire(now)
    if (this.waiting > 0) return 0
    if (this.away) return this.have + Math.floor(this.localAt(now)?.tokens ?? 0)
    if (now < this.retryAt) return this.have
    const { burst = 1, hold } = this.plan
    const left = Math.min(burst, Math.floor(this.left.permits + (now - this.left.at) / this.interval))
    return hold > 0 ? this.have + left : left
  }

  /** How long until a call of a cost may be admitted after those that wait; at the earliest, because other processes ask too. */
  retryAfter(cost: number, now: number): number {
    if (cost > this.plan.most) return Infinity
    this.expire(now)
    const turn = this.turnOf(this.queuedCost + cost, now)
    return turn === Infinity ? this.unknownWait : Math.max(0, turn - now)
  }

  /** The time after which to come back when the turn is not known. */
  get unknownWait(): number {
    return Math.max(1000, this.plan.period)
  }

  /** Whether a call waits first, and needs a timer. */
  isFirst(waiter: Waiter): boolean {
    return waiter === this.first()
  }

  /** How long a permit takes to come back, in milliseconds. */
  private get interval(): number {
    const { limit, per } = this.plan
    return per / limit
  }

  /** When the first waiting call has to look again; infinite while an answer is on its way. */
  get firstAt(): number {
    return this.toldAt
  }

  // ------------------------------------------------------------------------------------------------------------- calls

  /** Admits a call at once, if it can be admitted without asking. */
  take(cost: number, now: number): Permit | undefined {
    this.expire(now)
    const permit = this.waiting > 0 || cost > this.plan.most ? undefined : this.admit(cost, now)
    if (permit !== undefined) this.noteCall(cost, now)
    return permit
  }

  /** A call that {@link take} has just not admitted waits for an answer, or for its turn. It may be refused already. */
  enter(cost: number, deadline: number, now: number): Waiter {
    const waiter = new Waiter(cost, deadline)
    this.noteCall(cost, now)
    if (cost > this.plan.most) {
      waiter.refusal = "cost"
      waiter.state = "refused"
      return waiter
    }
    this.queue.push(waiter)
    this.waiting += 1
    this.queuedCost += cost
    this.settle(now)
    return waiter
  }

  private noteCall(cost: number, now: number): void {
    this.called = true
    this.demand.add(cost, now)
  }

  /** A call gives up its place, or what it was admitted with. */
  leave(waiter: Waiter, now: number): void {
    if (waiter.state === "admitted" && waiter.permit !== undefined) this.giveBack(waiter.permit, now)
    if (waiter.state === "waiting") this.remove(waiter, "left")
    waiter.state = "left"
    this.settle(now)
  }

  /** An admitted call turned out not to count. */
  giveBack({ cost, lot }: Permit, now: number): void {
    const local = this.localAt(now)
    if (lot === undefined) {
      this.spent = Math.max(0, this.spent - cost)
      if (local !== undefined) local.tokens = Math.min(local.capacity, local.tokens + cost)
    } else if (lot.until > now && this.plan.hold > 0) {
      this.lots.unshift({ ...lot, permits: cost })
      this.have += cost
    } else this.back.push({ permits: cost, receipt: lot.receipt })
    this.settle(now)
  }

  /** Admits the calls that there are permits for, and refuses those that would wait in vain. */
  settle(now: number): void {
    this.expire(now)
    for (;;) {
      for (let waiter = this.first(); waiter !== undefined; waiter = this.first()) {
        const permit = this.admit(waiter.cost, now)
        if (permit === undefined) break
        waiter.permit = permit
        this.remove(waiter, "admitted")
      }
      if (!this.refuseInVain(now)) break
    }
    if (this.plan.hold === 0 && this.asks === 0) this.expire(Infinity)
    if (this.isEmpty(now)) this.tellQueued(now)
    this.tellFirst(now)
  }

  private admit(cost: number, now: number): Permit | undefined {
    if (this.have >= cost) {
      const lot = this.lots[0]
      this.use(cost)
      return this.counted({ cost, lot }, now)
    }
    const local = this.away ? this.localAt(now) : undefined
    if (local === undefined || !isEnough(local, cost)) return undefined
    local.tokens -= cost
    this.spent += cost
    return this.counted({ cost, lot: undefined }, now)
  }

  private counted(permit: Permit, now: number): Permit {
    this.admitted += 1
    this.used.add(permit.cost, now)
    return permit
  }

  private use(permits: number): void {
    this.have -= permits
    while (permits > 0) {
      const [lot] = this.lots
      const used = Math.min(permits, lot.permits)
      lot.permits -= used
      permits -= used
      if (lot.permits === 0) this.lots.shift()
    }
  }

  /** Permits that may not be used any more come back. */
  private expire(now: number): void {
    while (this.lots.length > 0 && this.lots[0].until <= now) {
      const [{ permits, receipt }] = this.lots.splice(0, 1)
      this.have -= permits
      this.back.push({ permits, receipt })
    }
  }

  private first(): Waiter | undefined {
    while (this.queue.length > 0 && this.queue[0].state !== "waiting") this.queue.shift()
    return this.queue[0]
  }

  private remove(waiter: Waiter, state: "admitted" | "refused" | "left"): void {
    waiter.state = state
    this.waiting -= 1
    this.queuedCost -= waiter.cost
    // Every call of an inline limiter asks for itself, unless others wait.
    if (this.waiting === 0 && this.plan.hold === 0) this.retryAt = -Infinity
    if (this.queue.length > 2 * this.waiting + 16) {
      this.queue = this.queue.filter(({ state }) => state === "waiting")
    }
    waiter.onLeft?.(state)
    waiter.notify()
  }

  /** Refuses calls whose turn cannot come in time, while it is known that nothing is to be had. */
  private refuseInVain(now: number): boolean {
    if (!this.isEmpty(now)) return false
    let refused = false
    let cost = 0
    let place = 0
    for (const waiter of [...this.queue]) {
      if (waiter.state !== "waiting") continue
      cost += waiter.cost
      place += 1
      const turn = this.turnOf(cost, now, waiter.cost)
      const isLate = turn > waiter.deadline
      if (!isLate && place <= this.plan.maxQueued) continue
      waiter.refusal = isLate ? "rate" : "queue"
      waiter.retryAfter = turn - now
      cost -= waiter.cost
      place -= 1
      refused = true
      this.remove(waiter, "refused")
    }
    return refused
  }

  /** When so many permits can have been had, at the earliest. The last of them are for a call of this cost. */
  private turnOf(permits: number, now: number, cost = permits): number {
    if (this.have >= permits) return now
    const local = this.localAt(now)
    if (local === undefined) return this.away ? Infinity : this.turnInStore(permits - this.have, cost, now)
    if (this.away) return readyAt(local, permits, cost, now)
    const missing = permits - this.have
    return Math.max(
      readyAt(local, missing, Math.min(cost, missing), now),
      this.turnInStore(missing, cost, now)
    )
  }

  private turnInStore(missing: number, cost: number, now: number): number {
    if (now >= this.retryAt) return now
    return Math.max(now, this.retryAt + this.laterBy(missing, cost))
  }

  /** How much later so many permits are to be had than those that were missing. */
  private laterBy(missing: number, cost: number): number {
    // A smooth rate asks for what is in front of a call, whatever the call costs.
    if (this.plan.burst === undefined) return (missing - cost) * this.interval
    const later = (missing - this.retryFor) * this.interval
    return this.plan.hold > 0 ? Math.max(0, later) : later
  }

  /** When to ask next. */
  private get askAt(): number {
    if (this.plan.hold > 0 || this.retryAt === -Infinity) return this.retryAt
    const cost = this.first()?.cost ?? 0
    return cost === 0 ? -Infinity : this.retryAt + this.laterBy(cost, cost)
  }

  /** Tells calls that have come since that they wait for their turn. */
  private tellQueued(now: number): void {
    let cost = this.queuedCost
    for (let index = this.queue.length - 1; index >= 0; index--) {
      const waiter = this.queue[index]
      if (waiter.wait !== undefined) return
      if (waiter.state !== "waiting") continue
      waiter.wait = Math.max(0, this.turnOf(cost, now, waiter.cost) - now)
      cost -= waiter.cost
      waiter.notify()
    }
  }

  private tellFirst(now: number): void {
    const first = this.first()
    const at = first === undefined ? Infinity : this.nextLook(first, now)
    if (first === this.told && at === this.toldAt) return
    this.told = first
    this.toldAt = at
    first?.notify()
  }

  /** When the first waiting call is admitted or asked for. */
  private nextLook({ cost }: Waiter, now: number): number {
    if (this.asks > 0) return Infinity
    if (this.away) return this.turnOf(cost, now)
    const local = this.localAt(now)
    const allowed = local === undefined ? now : readyAt(local, this.leastAsk, this.leastAsk, now)
    return Math.max(now, this.askAt, allowed)
  }

  private get leastAsk(): number {
    return this.plan.hold > 0 ? 1 : (this.first()?.cost ?? 1)
  }

  // --------------------------------------------------------------------------------------------------------- the store

  /** What to ask for now. The request is then on its way. */
  ask(now: number): Ask | undefined {
    this.expire(now)
    const { called } = this
    this.called = false
    if (this.away || now < this.askAt) return undefined
    const local = this.localAt(now)
    const wanted = this.plan.hold > 0 ? this.wanted(called, now) : this.uncovered(local !== undefined)
    if (wanted === undefined) return undefined
    const { burst, id, limit, per } = this.plan
    const { atLeast } = wanted
    let permits = Math.min(wanted.permits, burst ?? wanted.permits)
    if (local !== undefined) {
      if (!isEnough(local, atLeast)) return undefined
      permits = Math.max(atLeast, Math.min(permits, Math.floor(local.tokens + rounding)))
      local.tokens -= permits
    }
    const spent = this.charge
    this.asks += 1
    this.asked += permits
    const take = { id, limit, per, burst: burst ?? permits, permits, atLeast, spent }
    this.tellFirst(now)
    return { take, sentAt: now }
  }

  /** What was used without asking is charged once, as far as the store's part of the burst can be missing for it. */
  private get charge(): number {
    const { burst = 1 } = this.plan
    return Math.min(this.spent, Math.ceil(burst / this.instances))
  }

  /** As much as is used in a period, when less than a quarter of it is left, and what waiting calls need. */
  private wanted(called: boolean, now: number): Wanted | undefined {
    if (this.asks > 0) return undefined
    const ahead = called ? Math.floor(this.demand.get(now) * this.plan.period) : 0
    const spare = this.have - this.queuedCost
    if (spare >= 0 && spare * 4 >= ahead) return undefined
    return { permits: ahead - spare, atLeast: 1 }
  }

  /** What waiting calls need and no request is for. Once there was too little, one request at a time asks for them. */
  private uncovered(oneByOne: boolean): Wanted | undefined {
    const permits = this.queuedCost - this.have - this.asked
    if (permits <= 0) return undefined
    if (!oneByOne && this.retryAt === -Infinity) return { permits, atLeast: permits }
    const first = this.first()
    if (first === undefined || this.asks > 0) return undefined
    return { permits: this.plan.burst === undefined ? first.cost : permits, atLeast: first.cost }
  }

  /** Whether it is known that nothing is to be had now. */
  private isEmpty(now: number): boolean {
    if (this.asks > 0) return false
    if (this.away || now < this.askAt) return true
    const local = this.localAt(now)
    return local !== undefined && !isEnough(local, this.leastAsk)
  }

  /**
   * Charges a turn however late it comes; the answer's `retryAfter` is how long until then. `undefined` when the store cannot be asked,
   * or when there is no such turn.
   */
  reservation(cost: number): Take | undefined {
    const { burst = cost, id, limit, most, per } = this.plan
    if (cost > most || this.away || this.local !== undefined) return undefined
    return { id, limit, per, burst, permits: 0, atLeast: 0, spent: cost }
  }

  /** The store has answered. */
  answered({ sentAt, take }: Ask, taken: Taken, now: number): void {
    const { hold, period } = this.plan
    const { granted, receipt, remaining, retryAfter } = taken
    this.asks -= 1
    this.asked -= take.permits
    if (take.spent > 0) this.spent = 0
    this.left = { permits: remaining, at: now }
    const local = this.localAt(now)
    if (local !== undefined) local.tokens += take.permits - granted
    if (granted > 0) {
      // From when it was sent: the store has granted them later.
      this.lots.push({ permits: granted, until: hold > 0 ? sentAt + hold : Infinity, receipt })
      this.have += granted
    }
    if (granted === take.permits) this.retryAt = -Infinity
    else if (hold > 0)
      this.waitFor(Math.max(retryAfter, Math.min(hold, Math.max(period, leastPause))), 1, now)
    else if (granted === 0) this.waitFor(retryAfter, take.atLeast, now)
    else this.waitFor(0, 1, now)
    this.settle(now)
  }

  private waitFor(millis: number, permits: number, now: number): void {
    this.retryAt = now + millis
    this.retryFor = permits
  }

  /** The store has not answered. Whether it has granted something is not known, so that counts as used. */
  failed({ take }: Ask, now: number): void {
    this.asks -= 1
    this.asked -= take.permits
    this.waitFor(pauseAfterFailure, 1, now)
    this.settle(now)
  }

  /** What to give back now. */
  returns(now: number): ReadonlyArray<Take> {
    this.expire(now)
    if (this.back.length === 0) return []
    const { back } = this
    this.back = []
    if (this.away) return []
    const { burst = 1, id, limit, per } = this.plan
    return back.map(({ permits, receipt }) => ({
      id,
      limit,
      per,
      burst,
      permits: -permits,
      atLeast: 0,
      spent: 0,
      receipt
    }))
  }

  /**
   * Whether the store answers, and how many processes live as far as is known; `undefined` when the store has never said. To be told
   * before a step.
   */
  observe(isAway: boolean, instances: number | undefined, now: number): void {
    const isKnown = instances !== undefined
    if (isAway !== this.away) {
      this.away = isAway
      this.retryAt = -Infinity
      if (!isAway) this.settledAt = now + this.plan.settling
      else if (isKnown && this.local === undefined) this.instances = instances
      if (this.plan.onStoreFailure !== "reject" && (isKnown || !isAway)) {
        this.local ??= this.localOf(now, isKnown && isAway)
      }
      return this.settle(now)
    }
    if (isAway || !isKnown) return
    if (now >= this.settledAt) {
      this.local = undefined
      this.spent = 0
      this.instances = instances
    } else if (this.local?.isKnown === false || (this.local !== undefined && instances > this.instances)) {
      // A store that was empty after the outage counts only processes that have come back.
      const { tokens } = this.local
      this.instances = Math.max(instances, this.instances)
      if (!this.local.isKnown || this.plan.onStoreFailure === "share") {
        const local = this.localOf(now, true)
        this.local = { ...local, tokens: Math.min(tokens, local.capacity) }
      }
    }
  }

  /** A process that does not know its fleet waits until it does. */
  private localOf(now: number, isKnown: boolean): Local {
    const { limit, local, onStoreFailure, per } = this.plan
    const most = limit / per
    const last = Math.min(most, this.used.get(now))
    const rate = !isKnown
      ? 0
      : onStoreFailure === "last" && (this.away || last > 0)
        ? last
        : most / this.instances
    return { tokens: 0, at: now, capacity: Math.max(1, Math.floor(local / this.instances)), rate, isKnown }
  }

  private localAt(now: number): Local | undefined {
    const { local } = this
    if (local === undefined) return undefined
    local.tokens = Math.min(local.capacity, local.tokens + Math.max(0, now - local.at) * local.rate)
    local.at = Math.max(local.at, now)
    return local
  }

  /** Whether something would be lost with it: a call that waits, an answer, or a charge. */
  inUse(): boolean {
    return this.waiting > 0 || this.asks > 0 || this.local !== undefined
  }

  /** Another rate from now on. Permits that are held stay. */
  setPlan(plan: Plan, now: number): void {
    this.plan = plan
    this.retryAt = -Infinity
    if (this.local !== undefined) this.local = this.localOf(now, this.local.isKnown)
    for (const waiter of [...this.queue]) {
      if (waiter.state !== "waiting" || waiter.cost <= plan.most) continue
      waiter.refusal = "cost"
      this.remove(waiter, "refused")
    }
    this.settle(now)
  }
}

type Wanted = Pick<Take, "permits" | "atLeast">

/** A call that costs more than can be saved up goes with what can, and is paid for afterwards. */
const isEnough = ({ capacity, tokens }: Local, cost: number): boolean =>
  tokens + rounding >= Math.min(cost, capacity)

/** When there are so many permits, of which the last are for a call of this cost. */
const readyAt = ({ capacity, rate, tokens }: Local, permits: number, cost: number, now: number): number => {
  const missing = permits - Math.max(0, cost - capacity) - tokens
  return missing <= rounding ? now : now + missing / rate
}

/** What a sum of fractions may be off by, in permits. */
const rounding = 1e-6
