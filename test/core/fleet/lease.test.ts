import { describe, expect, it } from "@effect/vitest"
import { divided, Lease, periodOf, type Plan, type Waiter } from "../../../src/core/fleet/lease.js"
import { Table, type Take } from "../../../src/core/fleet/table.js"

const rate = { limit: 100, per: 1000, burst: 100 }

const leased: Plan = {
  id: "rate",
  limit: 100,
  per: 1000,
  ...divided(rate),
  maxQueued: 10,
  onStoreFailure: "share",
  settling: 10_000
}
const inline: Plan = { ...leased, period: 0, hold: 0, burst: 100, most: 100 }

/** A process whose requests are answered at once. */
class Process {
  readonly lease: Lease
  readonly sent: Array<Take> = []
  lastAsk = 0
  isAway = false

  constructor(
    plan: Plan,
    readonly table = new Table()
  ) {
    this.lease = new Lease(plan, 0)
  }

  settle(now: number, instances = 2): void {
    this.lease.observe(this.isAway, instances, now)
    this.lease.settle(now)
    for (const take of this.lease.returns(now)) this.answer(take, now)
    for (let ask = this.lease.ask(now); ask !== undefined; ask = this.lease.ask(now)) {
      this.lastAsk = now
      this.lease.answered(ask, this.answer(ask.take, now), now)
    }
  }

  private answer(take: Take, now: number) {
    this.sent.push(take)
    return this.table.take(take, now)
  }

  /** Makes a call: whether it was admitted, or how long it has to wait. */
  call(now: number, cost = 1, maxWait = 0): Waiter["state"] {
    return this.enter(now, cost, maxWait).state
  }

  enter(now: number, cost = 1, maxWait = 0): Pick<Waiter, "state" | "refusal" | "retryAfter"> {
    this.settle(now)
    const permit = this.lease.take(cost, now)
    const waiter = permit === undefined ? this.lease.enter(cost, now + maxWait, now) : undefined
    this.settle(now)
    return waiter ?? { state: "admitted", refusal: "rate", retryAfter: 0 }
  }
}

/** So many calls, evenly over a time. */
const load = (process: Process, from: number, calls: number, millis: number): number => {
  let admitted = 0
  for (let call = 0; call < calls; call++) {
    if (process.call(from + (call * millis) / calls) === "admitted") admitted += 1
  }
  return admitted
}

describe("a lease", () => {
  it("divides the burst: half for the store, a quarter to be held, a quarter for processes without the store", () => {
    expect(divided(rate)).toEqual({ burst: 50, period: 125, hold: 250, local: 25, most: 50 })
    expect(divided({ limit: 100, per: 60_000, burst: 100 })).toMatchObject({ period: 1000, burst: 71 })
    expect(periodOf({ limit: 1000, per: 1000, burst: 100 })).toBe(12.5)
  })

  it("is for as many permits as are used in a period, so that few calls ask", () => {
    const process = new Process(leased)
    load(process, 0, 80, 1000)
    process.sent.length = 0
    expect(load(process, 1000, 80, 1000)).toBe(80)
    expect(process.sent.length).toBeLessThanOrEqual(14)
    expect(Math.max(...process.sent.map(({ permits }) => permits))).toBeLessThanOrEqual(11)
  })

  it("is given back two periods after it was asked for, when its process is idle", () => {
    const process = new Process(leased)
    expect(load(process, 0, 80, 1000)).toBe(80)
    const held = () => process.sent.reduce((sum, { permits }) => sum + permits, 0) - 80
    process.settle(process.lastAsk + 249)
    expect(held()).toBeGreaterThan(0)
    process.settle(process.lastAsk + 250)
    expect(held()).toBe(0)
    process.settle(2000)
    expect(held()).toBe(0)
  })

  it("admits no call with permits that are older than two periods", () => {
    const process = new Process(leased)
    load(process, 0, 80, 1000)
    process.lease.observe(true, undefined, 1000)
    expect(process.lease.take(1, process.lastAsk + 249)).toBeDefined()
    expect(process.lease.take(1, process.lastAsk + 250)).toBeUndefined()
  })

  it("admits those who wait in the order in which they came, also when a later one costs less", () => {
    const process = new Process(leased)
    expect(process.call(0, 50)).toBe("admitted")
    const order: Array<string> = []
    const waits = (name: string, cost: number, now: number): void => {
      const waiter = process.enter(now, cost, 2000) as Waiter
      expect(waiter.state).toBe("waiting")
      const look = () => (waiter.state === "waiting" ? waiter.listen(look) : order.push(name))
      waiter.listen(look)
    }
    waits("five", 5, 1)
    waits("one", 1, 2)
    waits("two", 2, 3)
    for (let now = 10; now < 1000; now += 10) process.settle(now)
    expect(order).toEqual(["five", "one", "two"])
  })

  it("refuses a call that would wait in vain, and says how long it would", () => {
    const process = new Process(leased)
    expect(process.call(0, 50)).toBe("admitted")
    const { refusal, retryAfter, state } = process.enter(0, 3, 100)
    expect([state, refusal]).toEqual(["refused", "rate"])
    // The next request is made after a period, and two more permits take 20 ms.
    expect(retryAfter).toBe(145)
  })

  it("refuses a call of a cost that the store never grants", () => {
    expect(new Process(leased).enter(0, 51).refusal).toBe("cost")
  })

  it("refuses calls beyond the length of the queue", () => {
    const process = new Process(leased)
    process.call(0, 50)
    const refusals = Array.from({ length: 12 }, () => process.enter(1, 1, 2000)).filter(
      ({ state }) => state === "refused"
    )
    expect(refusals.map(({ refusal }) => refusal)).toEqual(["queue", "queue"])
  })

  it("takes back what a call turns out not to have used", () => {
    const process = new Process(leased)
    process.settle(0)
    process.lease.enter(2, 0, 0)
    process.settle(0)
    const before = process.sent.length
    const permit = process.lease.take(1, 1)
    expect(permit).toBeUndefined()
    expect(process.call(1)).toBe("admitted")
    expect(process.sent.length).toBe(before + 1)
  })
})

describe("a limiter that asks for every call", () => {
  it("sends one request for each, which says what the call costs", () => {
    const process = new Process(inline)
    for (const cost of [1, 3, 2]) expect(process.call(0, cost)).toBe("admitted")
    expect(process.sent.map(({ atLeast, permits }) => [permits, atLeast])).toEqual([
      [1, 1],
      [3, 3],
      [2, 2]
    ])
  })

  it("has calls wait until the store said, and then one request asks for all of them", () => {
    const process = new Process(inline)
    expect(process.call(0, 100)).toBe("admitted")
    const waiters = [process.enter(0, 1, 1000), process.enter(1, 1, 1000), process.enter(2, 2, 1000)]
    expect(process.lease.firstAt).toBe(10)
    process.sent.length = 0
    for (const now of [10, 20, 30, 40]) process.settle(now)
    expect(waiters.map(({ state }) => state)).toEqual(["admitted", "admitted", "admitted"])
    expect(process.sent.map(({ atLeast, permits }) => [permits, atLeast])[0]).toEqual([4, 1])
  })

  it("keeps nothing that a call has left behind", () => {
    const process = new Process(inline)
    process.call(0, 100)
    const waiter = process.enter(0, 5, 1000) as Waiter
    process.lease.leave(waiter, 10)
    process.settle(60)
    expect(process.lease.take(1, 60)).toBeUndefined()
    expect(process.lease.queued).toBe(0)
  })

  it("lets a smooth rate have one call after the other, however much it costs", () => {
    const process = new Process({ ...inline, burst: undefined })
    expect(process.call(0, 5)).toBe("admitted")
    expect(process.enter(49)).toMatchObject({ state: "refused", retryAfter: 1 })
    expect(process.call(50)).toBe("admitted")
  })
})

describe("without the store", () => {
  const away = (plan: Plan, instances: number | undefined): Process => {
    const process = new Process(plan)
    load(process, 0, 80, 1000)
    process.settle(1250)
    process.isAway = true
    process.lease.observe(true, instances, 1250)
    return process
  }

  it("a process has its share of the rate", () => {
    const process = away(leased, 4)
    expect(process.call(1250)).toBe("refused")
    const admitted = load(process, 1260, 1000, 10_000)
    expect(admitted).toBeGreaterThanOrEqual(249)
    expect(admitted).toBeLessThanOrEqual(251)
  })

  it("a process has what it used last, however many there are", () => {
    const process = away({ ...leased, onStoreFailure: "last" }, 4)
    // The pace of one second counts for a tenth of that of the last ten.
    expect(load(process, 1250, 100, 1000)).toBeGreaterThanOrEqual(6)
  })

  it("a process that rejects admits nothing, and neither does one that never knew its fleet", () => {
    expect(load(away({ ...leased, onStoreFailure: "reject" }, 4), 1250, 100, 1000)).toBe(0)
    expect(load(away(leased, undefined), 1250, 100, 1000)).toBe(0)
  })

  it("nothing is asked for", () => {
    const process = away(leased, 4)
    process.sent.length = 0
    load(process, 1250, 100, 1000)
    expect(process.sent).toEqual([])
  })

  it("what was used is charged with the first request afterwards, as far as the store's burst can be missing for it", () => {
    const process = away(leased, 4)
    load(process, 1250, 200, 2000)
    process.isAway = false
    process.sent.length = 0
    load(process, 3250, 10, 100)
    expect(process.sent[0].spent).toBe(13)
    expect(process.sent.slice(1).every(({ spent }) => spent <= 13)).toBe(true)
  })

  it("a process keeps to its share afterwards, until the last must have come back", () => {
    const process = away(leased, 4)
    process.isAway = false
    const admitted = load(process, 1250, 1000, 10_000)
    expect(admitted).toBeGreaterThanOrEqual(240)
    expect(admitted).toBeLessThanOrEqual(250 + 6)
    expect(load(process, 11_250, 100, 1000)).toBeGreaterThanOrEqual(90)
  })
})
