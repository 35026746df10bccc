// The store in memory obeys the laws of every store.
import { describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { SharedStore } from "effect-resilience/fleet"
import { type Fleet, laws } from "./conformance.js"

const inMemory = Effect.sync((): Fleet => {
  const memory = new SharedStore.Memory()
  return {
    join: Effect.succeed(memory.adapter),
    listen: Effect.suspend(() => {
      const heard: Array<SharedStore.Announcement> = []
      const listener = (announcement: SharedStore.Announcement) => void heard.push(announcement)
      return Effect.as(Effect.orDie(memory.adapter.follow(listener, () => {})), heard)
    }),
    advance: (millis) => TestClock.adjust(millis),
    forget: memory.forget
  }
})

describe("a store in memory", () => {
  for (const [name, law] of Object.entries(laws)) {
    it.scoped(name, () => Effect.flatMap(inMemory, law))
  }
})
