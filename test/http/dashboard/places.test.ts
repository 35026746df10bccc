import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { calmMillis, Candidate, givePlaces } from "../../../src/http/dashboard/places.js"

const states = ["open", "isolated", "full", "half-open", "disabled", "closed", ""] as const

/** Sees policies in turn and gives places, one reading a second. */
const reading = (size: number, ids: ReadonlyArray<number>) => {
  const candidates = new Map(ids.map((id) => [id, new Candidate()]))
  const counts = new Map<number, number>()
  let at = 0
  return (now: ReadonlyMap<number, { readonly state?: string; readonly calls?: number }> = new Map()) => {
    at += 1000
    for (const [id, candidate] of candidates) {
      const { calls = 0, state = "closed" } = now.get(id) ?? {}
      const count = (counts.get(id) ?? 0) + calls
      counts.set(id, count)
      candidate.see({ state, count, happenedAt: undefined }, at)
    }
    const hidden = givePlaces([...candidates.values()], size)
    return { hidden, placed: ids.filter((id) => candidates.get(id)?.isPlaced) }
  }
}

const of = (seconds: number, read: () => unknown) => {
  for (let second = 0; second < seconds; second++) read()
}

describe("places", () => {
  it("go to policies in trouble, the worst first, then to the busiest, then to the oldest", () => {
    const ids = [1, 2, 3, 4, 5, 6, 7]
    const now = new Map([
      [3, { calls: 2 }],
      [4, { calls: 500 }],
      [5, { state: "half-open" }],
      [6, { state: "open" }],
      [7, { state: "full" }]
    ])
    const expected = [[6], [6, 7], [5, 6, 7], [4, 5, 6, 7], [3, 4, 5, 6, 7], [1, 3, 4, 5, 6, 7]]
    for (const [index, placed] of expected.entries()) {
      const read = reading(index + 1, ids)
      of(40, () => read(now))
      assert.deepStrictEqual(read(now).placed, placed)
    }
  })

  it("go to a policy of which something noteworthy is known rather than to a busy one", () => {
    const [busy, noteworthy] = [new Candidate(), new Candidate()]
    for (let at = 0; at <= 10_000; at += 1000) {
      busy.see({ state: "closed", count: at, happenedAt: undefined }, at)
      noteworthy.see({ state: "closed", count: 3, happenedAt: at - calmMillis + 1 }, at)
      givePlaces([busy, noteworthy], 1)
    }
    assert.deepStrictEqual([busy.isPlaced, noteworthy.isPlaced], [false, true])
  })

  it("are all taken as long as there are as many policies, and free for others when one leaves", () => {
    const [one, two, three] = [new Candidate(), new Candidate(), new Candidate()]
    const placed = () => [one, two, three].map(({ isPlaced }) => isPlaced)
    assert.deepStrictEqual(givePlaces([one, two, three], 2), { "": 1 })
    assert.deepStrictEqual(placed(), [true, true, false])
    assert.deepStrictEqual(givePlaces([two, three], 2), {})
    assert.deepStrictEqual(placed(), [true, true, true])
    assert.deepStrictEqual(givePlaces([two, three], 3), {})
  })

  it("are kept for a while by a policy that gets better, until another one needs them", () => {
    const read = reading(1, [1, 2])
    assert.deepStrictEqual(read(new Map([[2, { state: "open" }]])).placed, [2])
    const busy = new Map([[1, { calls: 10 }]])
    of(calmMillis / 1000 - 1, () => assert.deepStrictEqual(read(busy).placed, [2]))
    assert.deepStrictEqual(read(busy).placed, [1])
  })

  it("are not taken by policies that are just as busy", () => {
    const ids = [1, 2, 3, 4]
    const read = reading(2, ids)
    of(60, () => read(new Map(ids.map((id) => [id, { calls: 20 + id }]))))
    // All vary between 10 and 99 calls a second.
    let second = 0
    of(300, () => {
      second += 1
      const { placed } = read(new Map(ids.map((id) => [id, { calls: 11 + ((second * 37 * id) % 88) }])))
      assert.deepStrictEqual(placed, [1, 2])
    })
  })

  it("change hands at most once in a while where policies take turns to be busy", () => {
    const read = reading(1, [1, 2])
    let before = read().placed
    let changes = 0
    let second = 0
    of(300, () => {
      second += 1
      const { placed } = read(new Map([[1 + (second % 2), { calls: 1000 }]]))
      if (placed.join() !== before.join()) changes += 1
      before = placed
    })
    assert.isAtMost(changes, 1)
  })

  it("are never held by a policy while one without a place has been in more trouble for longer than a while", () => {
    const step = FastCheck.dictionary(
      FastCheck.constantFrom("1", "2", "3", "4", "5"),
      FastCheck.constantFrom(...states)
    )
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 4 }),
        FastCheck.array(step, { maxLength: 8 }),
        (size, steps) => {
          const ids = [1, 2, 3, 4, 5]
          const read = reading(size, ids)
          for (const each of steps) {
            const now = new Map(ids.map((id) => [id, { state: each[id] ?? "closed" }]))
            of(calmMillis / 1000, () => read(now))
            const { hidden, placed } = read(now)
            const ranks = ["", "closed", "disabled", "half-open", "full", "isolated", "open"]
            const rank = (id: number) => Math.max(1, ranks.indexOf(now.get(id)?.state ?? ""))
            const best = Math.max(0, ...ids.filter((id) => !placed.includes(id)).map(rank))
            assert.strictEqual(placed.length, size)
            assert.strictEqual(
              Object.values(hidden).reduce((sum, each) => sum + each, 0),
              ids.length - size
            )
            for (const id of placed) assert.isAtLeast(rank(id), best)
          }
        }
      ),
      { numRuns: 100 }
    )
  })
})
