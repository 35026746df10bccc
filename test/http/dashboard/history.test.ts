import { assert, describe, it } from "@effect/vitest"
import { History } from "../../../dashboard/history.js"

/** Records a count at each of these instants, and returns the rates that a plot shows. */
const rates = (instants: ReadonlyArray<number>, countOf: (index: number) => number) => {
  const history = new History(500)
  history.begin(instants[0])
  const track = history.track()
  track.record({ success: countOf(0) })
  for (const [index, at] of instants.entries()) {
    if (index === 0) continue
    history.begin(at)
    track.record({ success: countOf(index) })
  }
  const [times, shown] = track.rows(["success"])
  return { times, shown, now: track.rate("success") }
}

const every = (millis: number, count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => from + index * millis)

describe("the rates of the page", () => {
  it("are calls for each second, and unknown at the first instant", () => {
    const { now, shown, times } = rates(every(500, 8), (index) => 5 * index)
    assert.strictEqual(now, 10)
    assert.deepStrictEqual(shown, [null, ...times.slice(1).map(() => 10)])
  })

  it("are unknown after a time without readings, such as the sleep of a laptop", () => {
    const { now, shown } = rates([...every(500, 4), ...every(500, 3, 3_600_000)], (index) => 5 * index)
    assert.deepStrictEqual(shown.slice(-3), [null, 10, 10])
    assert.strictEqual(now, 10)
  })

  it("go on where the clock of the server is set back by an hour", () => {
    const { now, shown, times } = rates([...every(500, 8, 3_600_000), ...every(500, 8)], (index) => 5 * index)
    assert.deepStrictEqual(times, every(0.5, 16, 3600))
    assert.deepStrictEqual(
      shown.slice(1),
      times.slice(1).map(() => 10)
    )
    assert.strictEqual(now, 10)
  })

  it("fall to nothing, not below, where a count begins anew", () => {
    assert.strictEqual(rates(every(500, 8), (index) => (index < 7 ? 100 : 0)).now, 0)
  })
})
