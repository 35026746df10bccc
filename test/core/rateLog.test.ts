import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Log from "../../src/core/rateLog.js"
import { runs } from "../support/runs.js"

interface Entry {
  readonly at: number
  readonly cost: number
}

const per = 1000

const command = FastCheck.oneof(
  {
    weight: 12,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("append" as const),
      /** Many entries at once, so that they fill chunks. */
      times: FastCheck.constantFrom(1, 1, 2, 40, 600),
      step: FastCheck.constantFrom(0, 1, 1, 1, 3, 250, 2000),
      cost: FastCheck.integer({ min: 1, max: 3 })
    })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("remove" as const),
      pick: FastCheck.double({ min: 0, max: 0.999, noNaN: true }),
      cost: FastCheck.integer({ min: 1, max: 4 })
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("empty" as const),
      /** From the front, or from the end. */
      front: FastCheck.boolean()
    })
  }
)

const costOf = (entries: ReadonlyArray<Entry>) => entries.reduce((sum, { cost }) => sum + cost, 0)

/** The instant at which so much has come together, one entry after the other. */
const freedAt = (entries: ReadonlyArray<Entry>, cost: number): number => {
  let sum = 0
  for (const entry of entries) {
    sum += entry.cost
    if (sum >= cost) return entry.at
  }
  return NaN
}

const written = (entries: ReadonlyArray<Entry>): string =>
  entries.map(({ at, cost }) => `${at}:${cost}`).join(" ")

/** The entries of a log, oldest first, in whatever part of it they are. */
const writtenOf = (log: Log.Log): string => {
  const newer: Array<Entry> = []
  for (let entry = log.recent; entry !== undefined; entry = entry.before) newer.push(entry)
  assert.strictEqual(log.recentLength, newer.length)
  assert.isTrue(log.chunks.every((chunk, index) => chunk.length > (index === 0 ? log.dropped : 0)))
  const older = log.chunks.flat().slice(log.dropped)
  const pairs = older.flatMap((at, index) => (index % 2 === 0 ? [{ at, cost: older[index + 1] }] : []))
  return written([...pairs, ...newer.reverse()])
}

/** A log to which so many entries of cost 2 were appended at 0, 1, 2 and so on, and from which the first ones have left. */
const logOf = (appended: number, left: number): Log.Log => {
  let log = Log.empty
  for (let at = 0; at < appended; at++) log = Log.append(log, at, 2, at < appended - 1 ? -1 : left - 1)
  return log
}

describe("a log of admitted calls", () => {
  it.prop(
    "agrees with a list, however it is kept",
    [FastCheck.array(command, { maxLength: 25 })],
    ([commands]) => {
      let log = Log.empty
      let list: ReadonlyArray<Entry> = []
      let dropped: ReadonlyArray<Entry> = []
      let now = 0

      const append = (cost: number) => {
        log = Log.append(log, now, cost, now - per)
        const gone = list.filter(({ at }) => at <= now - per)
        const kept = list.slice(gone.length)
        dropped = gone.length > 0 ? gone : dropped
        list = [...kept, { at: now, cost }]
      }
      const remove = (at: number, cost: number) => {
        log = Log.remove(log, at, cost)
        let left = cost
        list = list.flatMap((entry) => {
          if (entry.at !== at) return [entry]
          const taken = Math.min(left, entry.cost)
          left -= taken
          return taken === entry.cost ? [] : [{ at, cost: entry.cost - taken }]
        })
      }
      const check = () => {
        assert.strictEqual(log.used, costOf(list))
        for (const share of [0.001, 0.3, 0.5, 0.9, 1]) {
          const cost = Math.ceil(log.used * share)
          if (cost > 0) assert.strictEqual(Log.freedAt(log, cost), freedAt(list, cost))
        }
        for (const horizon of [now - per, now - 500, now - 1, now]) {
          assert.strictEqual(Log.usedSince(log, horizon), costOf(list.filter(({ at }) => at > horizon)))
        }
      }

      for (const step of commands) {
        if (step.do === "append") {
          for (let time = 0; time < step.times; time++) {
            now += step.step
            append(step.cost)
          }
        } else if (step.do === "remove") {
          const entry = list[Math.floor(step.pick * list.length)]
          if (entry !== undefined) remove(entry.at, step.cost)
          remove(now + 1, 1)
          // What has been dropped already cannot be removed.
          for (const { at } of dropped.slice(-3)) remove(at, 1)
        } else {
          while (list.length > 0) {
            const { at, cost } = step.front ? list[0] : list[list.length - 1]
            remove(at, cost)
            if (list.length % 97 === 0) check()
          }
        }
        check()
      }
    },
    { fastCheck: { numRuns: runs(20, 1000) } }
  )

  it.each([
    { appended: 1, left: 0 },
    { appended: 2, left: 1 },
    { appended: 3, left: 0 },
    { appended: 512, left: 1 },
    { appended: 513, left: 0 },
    { appended: 514, left: 1 },
    { appended: 1100, left: 0 },
    { appended: 1100, left: 300 },
    { appended: 1100, left: 513 },
    { appended: 1100, left: 700 }
  ])(
    "of $appended entries, of which $left have left, loses no other than what is removed",
    ({ appended, left }) => {
      const log = logOf(appended, left)
      const entries = Array.from({ length: appended - left }, (_, index) => ({ at: left + index, cost: 2 }))
      assert.strictEqual(writtenOf(log), written(entries))
      const edges = [-1, left - 1, left, left + 1, 511, 512, 513, 700, appended - 2, appended - 1, appended]
      for (const at of edges) {
        for (const cost of [1, 2, 3]) {
          const after = Log.remove(log, at, cost)
          const rest = entries.flatMap((entry) =>
            entry.at !== at ? [entry] : cost < 2 ? [{ at, cost: 2 - cost }] : []
          )
          assert.strictEqual(writtenOf(after), written(rest))
          assert.strictEqual(after.used, costOf(rest))
          for (const horizon of [left, 600, appended]) {
            const next = [...rest.filter(({ at }) => at > horizon), { at: appended + 1, cost: 5 }]
            assert.strictEqual(writtenOf(Log.append(after, appended + 1, 5, horizon)), written(next))
          }
        }
      }
    }
  )

  it.each([1, 2, 3, 513, 514, 1100])(
    "of %i entries is empty when all of them have been removed",
    (appended) => {
      for (const next of [(left: number) => left - 1, (left: number) => appended - left]) {
        let log = logOf(appended, 0)
        for (let left = appended; left > 0; left--) log = Log.remove(log, next(left), 2)
        assert.deepStrictEqual(log, Log.empty)
      }
    }
  )

  it.each([0, 1, 2, 511, 512, 513, 600])("keeps one entry for an instant, after %i others", (before) => {
    let log = logOf(before, 0)
    for (const used of [3, 6, 9]) {
      const json = JSON.stringify(log)
      const next = Log.append(log, 5000, 3, -1)
      assert.strictEqual(JSON.stringify(log), json)
      assert.strictEqual(writtenOf(next).split(" ").slice(before).join(" "), `5000:${used}`)
      assert.strictEqual(next.used, 2 * before + used)
      log = next
    }
  })

  it("copies little: at most 512 entries at once, and none when the oldest leave", () => {
    let log = Log.empty
    for (let at = 0; at < 10_000; at++) {
      log = Log.append(log, at, 1, -1)
      assert.isBelow(log.recentLength, 512)
    }
    assert.isAtLeast(log.chunks.length, 19)
    // What was first is a chunk of its own.
    const later = Log.append(log, 10_000, 1, 0)
    const next = Log.append(later, 10_001, 1, 10)
    assert.strictEqual(next.used, later.used - 9)
    assert.strictEqual(next.chunks, later.chunks)
  })

  it("has freed no more than all of it when the newest leaves", () => {
    assert.strictEqual(Log.freedAt(Log.empty, 1), -Infinity)
    for (const appended of [1, 2, 513, 514]) {
      assert.strictEqual(Log.freedAt(logOf(appended, 0), 2 * appended), appended - 1)
      assert.strictEqual(Log.freedAt(logOf(appended, 0), 2 * appended + 1), appended - 1)
    }
  })

  it("is a value: what is added to it later cannot be seen in it", () => {
    let log = Log.empty
    const seen: Array<readonly [log: Log.Log, used: number]> = []
    for (let at = 0; at < 3000; at++) {
      seen.push([log, Log.usedSince(log, -1)])
      log = Log.append(log, at, 1, at - 2000)
    }
    for (const [before, used] of seen) assert.strictEqual(Log.usedSince(before, -1), used)
    const [left, right] = [Log.append(log, 3000, 1, 1000), Log.append(log, 3000, 5, 1000)]
    assert.strictEqual(right.used - left.used, 4)
  })

  it("does not bring back what has been dropped", () => {
    let log = Log.empty
    for (let at = 0; at < 1000; at++) log = Log.append(log, at, 2, at - 700)
    assert.strictEqual(log.used, 1400)
    for (let at = 0; at <= 299; at++) assert.strictEqual(Log.remove(log, at, 1), log)
    assert.strictEqual(Log.remove(log, 300, 1).used, 1399)
  })

  it("takes a million entries, and loses them all at once", () => {
    let log = Log.empty
    for (let at = 0; at < 1_000_000; at++) log = Log.append(log, at, 1, at - 1_000_000)
    assert.strictEqual(log.used, 1_000_000)
    assert.strictEqual(Log.freedAt(log, 1), 0)
    assert.strictEqual(Log.append(log, 5_000_000, 1, 4_000_000).used, 1)
  })
})
