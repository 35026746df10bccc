// The events of shared policies cover whole calls, as those of others do, although their calls also wait for a store.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { CircuitBreaker, Observer, type Policy, RateLimiter, Timeout, Trip } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { down, up } from "../support/calls.js"
import { interruptedAtEveryStep } from "../support/everyStep.js"

type Call = Effect.Effect<unknown, unknown, SharedStore.SharedStore>

const ends = ["Success", "Failure", "Ignored", "Interrupted"]
const slow = Effect.delay(up, "10 millis")

/** Counts the events of a call in a process of its own, interrupted at every second step. */
const atEveryStep = (
  call: Call,
  check: (count: (...tags: ReadonlyArray<string>) => number) => void
): void => {
  let seen: Array<Policy.Event> = []
  interruptedAtEveryStep(
    () => {
      const events: typeof seen = (seen = [])
      return SharedStore.make(new SharedStore.Memory().adapter).pipe(
        Effect.flatMap((store) => Effect.provideService(call, SharedStore.SharedStore, store)),
        Effect.scoped,
        Effect.exit,
        Effect.provideService(
          Observer.Observer,
          Observer.make((event) => void events.push(event))
        )
      )
    },
    () => check((...tags) => seen.filter(({ _tag }) => tags.includes(_tag)).length),
    2
  )
}

describe("a call of a shared breaker that was admitted ends once in its events, wherever it is interrupted", () => {
  const make = CircuitBreaker.make({
    ...{ name: "partner", trip: Trip.consecutive(2), openFor: "10 millis" },
    share: Share.inline()
  })
  const programs: Readonly<
    Record<string, (breaker: CircuitBreaker.CircuitBreaker) => Effect.Effect<unknown, unknown>>
  > = {
    "in time": ({ protect }) => protect(slow),
    "in a timeout": ({ protect }) => slow.pipe(protect, Timeout.timeout("5 millis")),
    "a probe": ({ open, protect }) =>
      open.pipe(
        Effect.zipRight(Effect.sleep("10 millis")),
        Effect.zipRight(Effect.exit(protect(down))),
        Effect.zipRight(Effect.sleep("10 millis")),
        Effect.zipRight(protect(slow))
      ),
    "a permit of a scope": ({ acquire }) => Effect.scoped(Effect.zipRight(acquire, slow))
  }
  it.each(Object.entries(programs))("%s", (_, program) => {
    let admitted = 0
    atEveryStep(Effect.flatMap(make, program), (count) => {
      assert.strictEqual(count(...ends), count("Admitted"))
      admitted = Math.max(admitted, count("Admitted"))
    })
    assert.isAtLeast(admitted, 1)
  })
})

describe("a call of a shared limiter that has queued leaves the queue once, wherever it is interrupted", () => {
  it.each([
    ["leased", Share.leasedRate()],
    ["asked for at each call", Share.inlineRate()]
  ])("with a rate that is %s", (_, share) => {
    const rate = RateLimiter.tokenBucket({ limit: 4, per: "1 second", burst: 4 })
    const calls = Effect.flatMap(
      RateLimiter.make({ name: "partner", rate, maxWait: "2 seconds", share }),
      ({ protect }) =>
        Effect.all(
          Array.from({ length: 8 }, () => Effect.exit(protect(slow))),
          { concurrency: "unbounded" }
        )
    )
    let queued = 0
    atEveryStep(calls, (count) => {
      assert.strictEqual(count("Dequeued"), count("Queued"))
      queued = Math.max(queued, count("Queued"))
    })
    assert.isAtLeast(queued, 1)
  })
})
