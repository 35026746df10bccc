import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { graceMillis, Table } from "../../src/core/fleet/table.js"
import { runs } from "../support/runs.js"

const keys = ["a", "b"]
const holders = ["one", "two", "three"]

const step = FastCheck.record({
  after: FastCheck.constantFrom(0, 1, 40, 100, 250),
  key: FastCheck.constantFrom(...keys),
  holder: FastCheck.constantFrom(...holders),
  what: FastCheck.oneof(
    FastCheck.record({ read: FastCheck.constantFrom(0, 50, 200) }),
    FastCheck.record({ write: FastCheck.nat(), timeToLive: FastCheck.constantFrom(100, 500) }),
    FastCheck.constantFrom("write by hand" as const, "forget" as const, "release" as const)
  )
})

interface Lease {
  readonly number: number
  readonly holder: string
  readonly until: number
  /** Something newer has come in. */
  isOutdated: boolean
}

/** Every lease that was ever given, in order, and the value that counts. */
class Model {
  readonly leases: Array<Lease> = []
  running: Lease | undefined
  stored: { readonly value: string; readonly at: number; readonly until: number } | undefined

  write(value: string | undefined, now: number, timeToLive: number, outdated: (lease: Lease) => boolean) {
    for (const lease of this.leases) if (outdated(lease)) lease.isOutdated = true
    this.stored = value === undefined ? undefined : { value, at: now, until: now + timeToLive }
  }
}

describe("the values of a table", () => {
  it("are looked up under one lease at a time, and never replaced by an older lookup", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step, { maxLength: 60 }), (steps) => {
        const table = new Table()
        const models = new Map(keys.map((key) => [key, new Model()]))
        let now = 1000
        let values = 0
        for (const { after, holder, key, what } of steps) {
          now += after
          const model = models.get(key)!
          if (model.running !== undefined && model.running.until <= now) model.running = undefined
          if (model.stored !== undefined && model.stored.until <= now) model.stored = undefined
          const { running, stored } = model
          if (what === "release") {
            table.release(key, holder, now)
            if (running?.holder === holder) model.running = undefined
          } else if (what === "write by hand" || what === "forget") {
            const value = what === "forget" ? undefined : `${++values}`
            assert.isTrue(table.write({ key, lease: undefined, value, timeToLive: 300 }, now))
            model.write(value, now, 300, () => true)
            model.running = undefined
          } else if ("write" in what) {
            const lease = model.leases.at(-1 - (what.write % 3))
            if (lease === undefined) continue
            const value = `${++values}`
            const { timeToLive } = what
            const isAccepted = table.write({ key, lease: lease.number, value, timeToLive }, now)
            assert.strictEqual(isAccepted, !lease.isOutdated)
            if (!isAccepted) continue
            model.write(value, now, timeToLive, ({ number }) => number <= lease.number)
            if (running === lease) model.running = undefined
          } else {
            const { busyFor, found, lease } = table.read(
              { key, holder, staleAfter: what.read, timeToLive: 200 },
              now
            )
            assert.deepStrictEqual(found, stored && { value: stored.value, age: now - stored.at })
            const isFresh = stored !== undefined && now - stored.at < what.read
            const isBusy = running !== undefined && running.holder !== holder
            assert.strictEqual(lease !== undefined, !isFresh && !isBusy)
            assert.strictEqual(busyFor, !isFresh && isBusy ? running.until - now : 0)
            if (lease === undefined) continue
            for (const other of models.values())
              for (const { number } of other.leases) assert.isAbove(lease, number)
            model.running = { number: lease, holder, until: now + 200, isOutdated: false }
            model.leases.push(model.running)
          }
        }
      }),
      { numRuns: runs(300, 10_000) }
    )
  })

  it("may be written under a lease that is over until the grace has passed", () => {
    const table = new Table()
    const read = { key: "a", holder: "one", staleAfter: 0, timeToLive: 200 }
    const lease = table.read(read, 0).lease!
    assert.isFalse(table.write({ key: "a", lease, value: "1", timeToLive: 100 }, 200 + graceMillis))
    const again = table.read(read, 100_000).lease!
    assert.isTrue(table.write({ key: "a", lease: again, value: "1", timeToLive: 100 }, 100_199 + graceMillis))
  })
})
