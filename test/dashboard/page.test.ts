// What the page computes, without a browser.
import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { History, shownMillis } from "../../dashboard/history.js"
import { count, gaugesOf, mainOutcomesOf, outcomesOf, rate, span } from "../../dashboard/words.js"
import type { View } from "../../src/http/dashboard/protocol.js"

const view = (parts: Partial<View>): View => ({
  id: 1,
  kind: "circuit-breaker",
  name: "partner",
  state: "closed",
  since: null,
  until: null,
  why: "",
  totals: {},
  gauges: {},
  recent: [],
  ...parts
})

describe("the rates of a policy", () => {
  it("are those of a steady load, however long it lasts", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 500 }),
        FastCheck.constantFrom(100, 500, 2000),
        FastCheck.integer({ min: 2, max: 3000 }),
        (perReading, interval, readings) => {
          const history = new History(interval)
          history.begin(0)
          const track = history.track()
          track.record({ success: 1000 })
          for (let reading = 1; reading < readings; reading++) {
            history.begin(reading * interval)
            track.record({ success: 1000 + reading * perReading })
          }
          assert.approximately(track.rate("success"), (perReading * 1000) / interval, 1e-9)
          const [times, rates] = track.rows(["success"])
          assert.isAtMost(times[times.length - 1] - times[0], shownMillis / 1000 + 1e-9)
          for (const value of rates.slice(1))
            assert.approximately(value ?? NaN, (perReading * 1000) / interval, 1e-9)
        }
      ),
      { numRuns: 30 }
    )
  })

  it("are unknown where readings are missing, and not a peak after them", () => {
    const history = new History(500)
    history.begin(0)
    const track = history.track()
    track.record({ success: 0 })
    history.begin(500)
    track.record({ success: 5 })
    history.begin(60_000)
    track.record({ success: 6000 })
    history.begin(60_500)
    track.record({ success: 6005 })
    assert.deepStrictEqual(track.rows(["success"])[1], [null, 10, null, 10])
  })

  it("are not negative when a policy is reset", () => {
    const history = new History(500)
    history.begin(0)
    const track = history.track()
    track.record({ rejected: 50 })
    history.begin(500)
    track.record({ rejected: 0 })
    assert.strictEqual(track.rate("rejected"), 0)
  })

  it("of an outcome that appears begin with it", () => {
    const history = new History(500)
    history.begin(0)
    const track = history.track()
    track.record({ success: 7 })
    history.begin(500)
    track.record({ success: 7, ignored: 3 })
    assert.strictEqual(track.rate("ignored"), 6)
    assert.strictEqual(track.rate("success"), 0)
  })
})

describe("what a card shows", () => {
  it("has outcomes from good to bad, and rare ones when they have happened", () => {
    const totals = { interrupted: 0, rejected: 0, failure: 1, ignored: 2, success: 0 }
    assert.deepStrictEqual(outcomesOf(view({ totals })), ["success", "failure", "rejected", "ignored"])
    assert.deepStrictEqual(mainOutcomesOf(view({ totals })), ["success", "failure", "rejected"])
  })

  it.each([
    [{ inFlight: 8, limit: 10, queued: 3 }, {}, ["in flight 8 of 10", "queued 3"]],
    [{ limit: 20, per: 1000, available: 5, queued: 0 }, {}, ["limit 20 per s", "available 5", "queued 0"]],
    [{ limit: 20, per: 90_000 }, {}, ["limit 20 per 1 min 30 s"]],
    [{ balance: 2.5 }, {}, ["balance 2.5"]],
    [{ balance: 25, capacity: 100 }, {}, ["balance 25 of 100"]],
    [{ size: 40, waiting: 0 }, { hit: 6, miss: 3, stale: 1 }, ["waiting 0", "hit ratio 70 %", "entries 40"]],
    [{ failureRate: 0.25 }, {}, ["failure rate 25 %"]],
    [{ amplification: 1.1 }, {}, ["attempts/call 1.10"]]
  ])("has the numbers of a policy in words: %j", (gauges, totals, expected) => {
    const shown = gaugesOf(view({ gauges, totals }))
    assert.deepStrictEqual(
      shown.map(({ label, text }) => `${label} ${text}`),
      expected
    )
  })

  it.each([
    [count(0.25), "0.3"],
    [count(9999), "9999"],
    [count(12_345), "12.3 k"],
    [count(12_345_678), "12.3 M"],
    [rate(0), "0"],
    [rate(0.44), "0.4"],
    [rate(1234.5), "1235"],
    [span(-5), "0 s"],
    [span(59_999), "59 s"],
    [span(3_600_000), "1 h"],
    [span(5_400_000), "1 h 30 min"],
    [span(200_000_000), "2 d"]
  ])("has numbers as people read them: %s", (shown, expected) => {
    assert.strictEqual(shown, expected)
  })
})
