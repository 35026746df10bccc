import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, TestClock } from "effect"
import { SharedStore } from "effect-resilience/fleet"
import type { Report } from "../../src/core/fleet/table.js"
import type { Member } from "../../src/fleet/hub.js"

const report = (id: string, rest: Partial<Report> = {}): Report => ({
  id,
  window: 1000,
  successes: 0,
  failures: 1,
  slow: 0,
  ...rest
})

/** A member that notes how often it was heard, unless one of its steps is replaced. */
const member = (id: string, steps: Partial<Member> = {}) => {
  const seen = { id, heard: 0, announced: 0 }
  const made: Member = {
    id,
    report: () => report(id),
    heard: () => void seen.heard++,
    announced: () => void seen.announced++,
    ...steps
  }
  return { seen, made }
}

const fails = () => {
  throw new Error("of another release")
}

describe("a member of a hub that throws", () => {
  it.scoped("keeps neither the others nor the process from the exchange, and is reported once", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
      const memory = new SharedStore.Memory()
      const { hub } = yield* Effect.provide(
        SharedStore.make(memory.adapter),
        Logger.replace(Logger.defaultLogger, logger)
      )
      const other = yield* SharedStore.make(memory.adapter)
      const bad = [
        member("reports", { report: fails }),
        member("hears", { heard: fails }),
        member("listens", { announced: fails })
      ]
      const good = member("good")
      for (const { made } of [...bad, good]) hub.join(made)
      yield* TestClock.adjust("5 seconds")
      assert.isAbove(good.seen.heard, 3)
      assert.strictEqual((yield* other.health)._tag, "Connected")
      const opens = member("listens", {
        report: () => report("listens", { change: { state: "open", remaining: 1000, expected: undefined } })
      })
      other.hub.join(opens.made)
      const before = good.seen.heard
      yield* TestClock.adjust("3 seconds")
      assert.isAbove(good.seen.heard, before)
      assert.isAbove(opens.seen.heard, 1)
      for (const { seen } of bad) {
        assert.strictEqual(lines.filter((line) => line.includes(`"${seen.id}" cannot take part`)).length, 1)
      }
    })
  )
})
