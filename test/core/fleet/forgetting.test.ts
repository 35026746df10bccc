import { assert, describe, it } from "@effect/vitest"
import { graceMillis, longestMillis, memoryMillis, Table } from "../../../src/core/fleet/table.js"

const exchange = (table: Table, id: string, now: number) =>
  table.exchange(
    {
      instance: "one",
      incarnation: "first",
      sequence: now,
      timeToLive: 1000,
      reports: [{ id, successes: 1, failures: 0, slow: 0, window: 1000 }]
    },
    now
  )

const fill = {
  breakers: (table: Table, name: string, now: number) => void exchange(table, name, now),
  rates: (table: Table, name: string, now: number) =>
    void table.take({ id: name, limit: 1, per: 1000, burst: 5, permits: 1, atLeast: 1, spent: 0 }, now),
  values: (table: Table, name: string, now: number) =>
    void table.write({ key: name, lease: undefined, value: "value", timeToLive: 1000 }, now)
} as const

const lasting = { breakers: memoryMillis, rates: 1000, values: 1000 }

describe.each(["breakers", "rates", "values"] as const)("the %s of a table", (kind) => {
  it("go when they are over, so that only the living ones take room", () => {
    const table = new Table()
    // A hundred of them live at a time.
    const step = lasting[kind] / 100
    for (let at = 1; at <= 10_000; at++) fill[kind](table, `${at}`, at * step)
    assert.isAtMost(table.sizes[kind], 300)
  })

  it("are so many at most", () => {
    const table = new Table(200)
    for (let at = 1; at <= 1000; at++) {
      fill[kind](table, "kept", 1)
      fill[kind](table, `${at}`, 1)
      assert.isAtMost(table.sizes[kind], 200)
    }
  })
})

it("of too many breakers the one that was untouched for longest is forgotten", () => {
  const table = new Table(200)
  const epochOf = (id: string) => exchange(table, id, 1).answer.views[0].epoch
  const [kept, first] = ["kept", "0"].map(epochOf)
  for (let at = 1; at <= 300; at++) {
    epochOf(`${at}`)
    assert.strictEqual(epochOf("kept"), kept)
  }
  assert.notStrictEqual(epochOf("0"), first)
})

it("an unused lease is forgotten a while after it is over", () => {
  const table = new Table()
  for (let at = 0; at < 1000; at++) {
    table.read({ key: `${at}`, holder: "one", staleAfter: 0, timeToLive: 1000 }, at * (1000 + graceMillis))
  }
  assert.isAtMost(table.sizes.values, 64)
})

it("a value that is to be kept for ever is kept for thirty days", () => {
  const table = new Table()
  const write = { key: "key", lease: undefined, value: "value", timeToLive: Infinity }
  const read = { key: "key", holder: "one", staleAfter: Infinity, timeToLive: 1 }
  table.write(write, 0)
  assert.deepStrictEqual(table.read(read, longestMillis - 1).found?.value, "value")
  assert.isUndefined(table.read(read, longestMillis).found)
})
