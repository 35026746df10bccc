/**
 * A fleet in simulated time: the leases of many processes over one table, with a network that delays and loses, a store that freezes,
 * and processes that pause, crash and start again. Each process knows of the store what `SharedStore` and its exchange would tell it.
 */
import { type Ask, Lease, type OnStoreFailure, type Plan, type Waiter } from "../../src/core/fleet/lease.js"
import { Table, type Take, type Taken } from "../../src/core/fleet/table.js"
import { type Chance, chance } from "../support/chance.js"

export interface Faults {
  /** The part of the requests that never arrive, and of the answers that never come back. */
  readonly lost: number
  /** How often in a second these begin, and how long they take at most. */
  readonly freezes: readonly [perSecond: number, longest: number]
  readonly pauses: readonly [perSecond: number, longest: number]
  readonly crashes: readonly [perSecond: number, longest: number]
}

export const noFaults: Faults = { lost: 0, freezes: [0, 0], pauses: [0, 0], crashes: [0, 0] }

export interface Options {
  readonly seed: number
  readonly plan: Omit<Plan, "id" | "onStoreFailure" | "settling">
  readonly onStoreFailure: OnStoreFailure
  readonly processes: number
  /** Calls by the millisecond, of all processes. The n-th process makes 1/n of what the first one does. */
  readonly demand: number
  readonly millis: number
  readonly faults: Faults
  readonly maxWait: number
  readonly mostCost?: number
}

export interface Result {
  /** When something was admitted, and what it cost, oldest first. */
  readonly admissions: ReadonlyArray<readonly [at: number, cost: number]>
  readonly calls: number
  /** Requests of permits, those that give some back included. */
  readonly trips: number
  /** The longest that a call waited. */
  readonly longestWait: number
  /** Calls that were neither admitted nor refused by the end. */
  readonly waiting: number
}

const deadline = 500
const interval = 1000
const maxBackoff = 8

/** What happens when, the earliest first. */
class Agenda {
  private readonly heap: Array<{ readonly at: number; readonly run: () => void }> = []
  now = 0

  at(at: number, run: () => void): void {
    const { heap } = this
    let index = heap.push({ at: Math.max(at, this.now), run }) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (heap[parent].at <= heap[index].at) break
      ;[heap[parent], heap[index]] = [heap[index], heap[parent]]
      index = parent
    }
  }

  after(millis: number, run: () => void): void {
    this.at(this.now + millis, run)
  }

  runUntil(end: number): void {
    const { heap } = this
    for (let next = heap[0]; next !== undefined && next.at <= end; next = heap[0]) {
      const last = heap.pop()
      if (heap.length > 0 && last !== undefined) {
        heap[0] = last
        let index = 0
        for (;;) {
          const [left, right] = [2 * index + 1, 2 * index + 2]
          let least = index
          if (left < heap.length && heap[left].at < heap[least].at) least = left
          if (right < heap.length && heap[right].at < heap[least].at) least = right
          if (least === index) break
          ;[heap[least], heap[index]] = [heap[index], heap[least]]
          index = least
        }
      }
      this.now = next.at
      next.run()
    }
  }
}

/** The store behind its network. What arrives while it is frozen is done afterwards, even if no process waits for it any more. */
class Store {
  readonly table = new Table()
  private thawsAt = 0
  trips = 0

  constructor(
    private readonly agenda: Agenda,
    private readonly random: Chance,
    private readonly lost: number
  ) {}

  freeze(millis: number): void {
    this.thawsAt = Math.max(this.thawsAt, this.agenda.now + millis)
  }

  /** `late` is called when an answer comes that no process waits for any more: the store answers again. */
  send<A>(
    step: (now: number) => A,
    answered: (answer: A) => void,
    failed: () => void,
    late: () => void
  ): void {
    const { agenda, random } = this
    let isOver = false
    const end = (run: () => void) => {
      if (isOver) return
      isOver = true
      run()
    }
    agenda.after(deadline, () => end(failed))
    if (random.once(this.lost)) return
    const arrive = (): void => {
      if (agenda.now < this.thawsAt) return agenda.at(this.thawsAt, arrive)
      const answer = step(agenda.now)
      if (random.once(this.lost)) return
      agenda.after(this.latency, () => (isOver ? late() : end(() => answered(answer))))
    }
    agenda.after(this.latency, arrive)
  }

  private get latency(): number {
    return this.random.once(0.01) ? 20 * this.random.next() : 0.3 + this.random.next()
  }
}

/** One process, from a start to its crash. */
class Process {
  private readonly lease: Lease
  private isConnected = true
  private failures = 0
  private answers = 0
  private instances = 1
  private sequence = 0
  private exchanging = false
  private pausedUntil = 0
  private crashed = false

  constructor(
    private readonly name: string,
    private readonly world: World
  ) {
    const { onStoreFailure, plan } = world.options
    const settling = (maxBackoff + 2) * interval
    this.lease = new Lease({ ...plan, id: "rate", onStoreFailure, settling }, world.agenda.now)
    this.exchange()
  }

  /** Runs when the process is not paused, unless it has crashed. */
  private soon(run: () => void): () => void {
    const { agenda } = this.world
    const whenAwake = (): void => {
      if (this.crashed) return
      if (agenda.now < this.pausedUntil) agenda.at(this.pausedUntil, whenAwake)
      else run()
    }
    return whenAwake
  }

  pause(millis: number): void {
    this.pausedUntil = this.world.agenda.now + millis
  }

  crash(): void {
    this.crashed = true
  }

  get queued(): number {
    return this.crashed ? 0 : this.lease.queued
  }

  private exchange(): void {
    if (this.exchanging) return
    this.exchanging = true
    const { agenda, random, store } = this.world
    const news = {
      instance: this.name,
      incarnation: `${this.name} ${this.world.agenda.now}`,
      sequence: ++this.sequence,
      timeToLive: 3 * maxBackoff * interval,
      reports: []
    }
    const again = () => {
      this.exchanging = false
      const pause = interval * (0.9 + 0.2 * random.next()) * Math.min(maxBackoff, 2 ** this.failures)
      agenda.after(
        pause,
        this.soon(() => this.exchange())
      )
    }
    store.send(
      (now) => store.table.exchange(news, now).answer.instances,
      (instances) =>
        this.soon(() => {
          this.isConnected = true
          this.failures = 0
          this.answers += 1
          this.instances = instances
          again()
          this.step(() => {})
        })(),
      this.soon(() => {
        this.isConnected = false
        this.failures += 1
        again()
        this.step(() => {})
      }),
      () => this.heardLate()
    )
  }

  /** The store has answered something late. */
  private heardLate(): void {
    this.soon(() => {
      if (this.failures > 0) this.exchange()
    })()
  }

  private step(run: (now: number) => void): void {
    const { now } = this.world.agenda
    this.lease.observe(this.failures > 0, this.answers > 1 ? this.instances : undefined, now)
    run(now)
    for (const take of this.lease.returns(now))
      this.take(
        take,
        () => {},
        () => {}
      )
    for (let ask = this.lease.ask(now); ask !== undefined; ask = this.lease.ask(now)) this.send(ask)
    this.lease.settle(now)
    this.setAlarm()
  }

  private send(ask: Ask): void {
    const ended = (end: (now: number) => void) => this.soon(() => this.step(end))
    this.take(
      ask.take,
      (taken) => ended((now) => this.lease.answered(ask, taken, now))(),
      ended((now) => this.lease.failed(ask, now))
    )
  }

  private take(take: Take, answered: (taken: Taken) => void, failed: () => void): void {
    const { agenda, store } = this.world
    if (!this.isConnected) {
      agenda.after(0, failed)
      return
    }
    this.world.trips += 1
    store.send(
      (now) => store.table.take(take, now),
      answered,
      () => {
        this.isConnected = false
        if (this.failures === 0 && !this.crashed) this.exchange()
        failed()
      },
      () => this.heardLate()
    )
  }

  private alarmAt = Infinity
  private setAlarm(): void {
    const { agenda } = this.world
    const at = this.lease.queued > 0 ? this.lease.firstAt : Infinity
    if (at === Infinity || (at === this.alarmAt && at > agenda.now)) return
    this.alarmAt = at
    agenda.at(
      Math.max(at, agenda.now + 0.001),
      this.soon(() => this.step((now) => this.lease.settle(now)))
    )
  }

  call(cost: number, maxWait: number): void {
    this.soon(() =>
      this.step((now) => {
        this.world.calls += 1
        if (this.lease.take(cost, now) !== undefined) return this.world.admit(cost)
        this.wait(this.lease.enter(cost, now + maxWait, now), now)
      })
    )()
  }

  private wait(waiter: Waiter, since: number): void {
    const look = (): void => {
      if (waiter.state === "waiting") return waiter.listen(look)
      this.world.longestWait = Math.max(this.world.longestWait, this.world.agenda.now - since)
      if (waiter.state === "admitted") this.world.admit(waiter.cost)
    }
    look()
  }
}

class World {
  readonly agenda = new Agenda()
  readonly random: Chance
  readonly store: Store
  readonly admissions: Array<readonly [number, number]> = []
  calls = 0
  trips = 0
  longestWait = 0

  constructor(readonly options: Options) {
    this.random = chance(options.seed)
    this.store = new Store(this.agenda, this.random, options.faults.lost)
  }

  admit(cost: number): void {
    this.admissions.push([this.agenda.now, cost])
  }

  /** Something happens again and again, so often in a second on average. */
  private repeatedly(perSecond: number, run: () => void): void {
    if (perSecond === 0) return
    const again = () => {
      run()
      this.agenda.after(this.pauseOf(perSecond), again)
    }
    this.agenda.after(this.pauseOf(perSecond), again)
  }

  private pauseOf(perSecond: number): number {
    return (-Math.log(1 - this.random.next()) * 1000) / perSecond
  }

  run(): Result {
    const { agenda, options, random, store } = this
    const { demand, faults, maxWait, millis, mostCost = 1, processes } = options
    const names = Array.from({ length: processes }, (_, index) => `process ${index}`)
    const living = new Map<number, Process>(names.map((name, index) => [index, new Process(name, this)]))
    const sum = names.reduce((sum, _, index) => sum + 1 / (index + 1), 0)
    for (const index of names.keys()) {
      const share = 1 / (index + 1) / sum
      this.repeatedly(demand * share * 1000, () =>
        living.get(index)?.call(1 + random.below(mostCost), maxWait)
      )
    }
    this.repeatedly(faults.freezes[0], () => store.freeze(faults.freezes[1] * random.next()))
    this.repeatedly(faults.pauses[0], () =>
      living.get(random.below(processes))?.pause(faults.pauses[1] * random.next())
    )
    this.repeatedly(faults.crashes[0], () => {
      const index = random.below(processes)
      const process = living.get(index)
      if (process === undefined) return
      process.crash()
      living.delete(index)
      agenda.after(faults.crashes[1] * random.next(), () =>
        living.set(index, new Process(names[index], this))
      )
    })
    agenda.runUntil(millis)
    const { admissions, calls, longestWait, trips } = this
    const waiting = [...living.values()].reduce((sum, { queued }) => sum + queued, 0)
    return { admissions, calls, trips, longestWait, waiting }
  }
}

export const simulate = (options: Options): Result => new World(options).run()

/** The most that was admitted in any time of a length. */
export const mostIn = (admissions: Result["admissions"], millis: number): number => {
  let most = 0
  let sum = 0
  let first = 0
  for (const [at, cost] of admissions) {
    sum += cost
    while (admissions[first][0] <= at - millis) sum -= admissions[first++][1]
    most = Math.max(most, sum)
  }
  return most
}
