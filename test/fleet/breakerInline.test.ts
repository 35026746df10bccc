import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, TestClock } from "effect"
import { CircuitBreaker, FailureCondition, Policy, Retry, Timeout, Trip } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { down, forked, up } from "../support/calls.js"
import { type Breaker, breakersIn, Fleet } from "../support/fleet.js"

const options = {
  trip: Trip.consecutive(3),
  openFor: "5 seconds",
  share: Share.inline()
} as const

type Fleetful = ReadonlyArray<readonly [Breaker, unknown]>

/** What a call says of its circuit: it ran and succeeded, ran and failed, or why it did not run. */
const said = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.match(exit, {
    onSuccess: () => "up",
    onFailure: (cause) =>
      cause._tag === "Fail" ? String((cause.error as { _tag?: string })._tag ?? cause.error) : cause._tag
  })

const through = (breakers: Fleetful, at: number, call: Effect.Effect<string, string>) =>
  Effect.map(Effect.exit(breakers[at][0].protect(call)), said)

const started = (count: number, more: CircuitBreaker.Options<SharedStore.StoreUnavailable> = {}) =>
  Effect.gen(function* () {
    const fleet = new Fleet()
    const breakers = yield* breakersIn(fleet, count, { ...options, ...more })
    yield* TestClock.adjust("10 millis")
    return breakers
  })

describe("a breaker that is shared inline", () => {
  it.scoped("opens with the last of failures in a row, whichever processes they are in", () =>
    Effect.gen(function* () {
      const breakers = yield* started(3)
      assert.strictEqual(yield* through(breakers, 0, down), "down")
      assert.strictEqual(yield* through(breakers, 1, down), "down")
      assert.strictEqual(yield* through(breakers, 2, down), "down")
      for (const at of [0, 1, 2]) assert.strictEqual(yield* through(breakers, at, up), "CircuitOpen")
    })
  )

  it.scoped("tells of the failure before the state that it leads to, as an unshared one does", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const note = (what: string) => () => Effect.sync(() => told.push(what))
      const listeners = {
        onSuccess: note("success"),
        onFailure: note("failure"),
        onStateChange: ({ to }: CircuitBreaker.StateChange) => Effect.sync(() => told.push(to))
      }
      const breakers = yield* started(1, { trip: Trip.consecutive(2), ...listeners })
      yield* through(breakers, 0, down)
      yield* through(breakers, 0, down)
      yield* TestClock.adjust("5 seconds")
      yield* through(breakers, 0, up)
      assert.deepStrictEqual(told, ["failure", "failure", "open", "half-open", "success", "closed"])
    })
  )

  it.scoped("counts no failures across a success of another process", () =>
    Effect.gen(function* () {
      const breakers = yield* started(2)
      const calls = [
        [0, down],
        [0, down],
        [1, up],
        [0, down],
        [0, down],
        [1, up]
      ] as const
      for (const [at, call] of calls) assert.notStrictEqual(yield* through(breakers, at, call), "CircuitOpen")
      assert.strictEqual(yield* breakers[0][0].state, "closed")
    })
  )

  it.scoped("admits one probe of all processes, and closes for all with its success", () =>
    Effect.gen(function* () {
      const breakers = yield* started(3)
      for (const at of [0, 1, 2]) yield* through(breakers, at, down)
      yield* TestClock.adjust("5 seconds")
      const gate = yield* Deferred.make<string>()
      const probe = yield* forked(breakers[0][0].protect(Deferred.await(gate)))
      yield* TestClock.adjust("1 millis")
      for (const at of [1, 2]) assert.strictEqual(yield* through(breakers, at, up), "CircuitOpen")
      yield* Deferred.succeed(gate, "up")
      assert.strictEqual(yield* Fiber.join(probe), "up")
      for (const at of [2, 1, 0]) assert.strictEqual(yield* through(breakers, at, up), "up")
    })
  )

  it.scoped("opens again for all with a probe that fails", () =>
    Effect.gen(function* () {
      const breakers = yield* started(2)
      for (const at of [0, 1, 0]) yield* through(breakers, at, down)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* through(breakers, 1, down), "down")
      for (const at of [0, 1]) assert.strictEqual(yield* through(breakers, at, up), "CircuitOpen")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* through(breakers, 0, up), "up")
      assert.strictEqual(yield* through(breakers, 1, up), "up")
    })
  )

  it.scoped("is steered by hand for all before the hand is done", () =>
    Effect.gen(function* () {
      const breakers = yield* started(2)
      yield* breakers[0][0].isolate
      assert.strictEqual(yield* through(breakers, 1, up), "CircuitOpen")
      yield* breakers[1][0].release
      assert.strictEqual(yield* through(breakers, 0, up), "up")
    })
  )

  it.scoped("counts permits that are taken by hand", () =>
    Effect.gen(function* () {
      const breakers = yield* started(2)
      for (const at of [0, 1, 0]) {
        const [breaker] = breakers[at]
        yield* Effect.scoped(
          Effect.flatMap(breaker.acquire, (permit) => breaker.record(permit, FailureCondition.failure))
        )
      }
      const error = yield* Effect.flip(Effect.scoped(breakers[1][0].acquire))
      assert.deepInclude(error, { _tag: "CircuitOpen", state: "open" })
    })
  )

  describe.each<[Share.OnStoreFailure, string]>([
    ["local", "up"],
    ["open", "CircuitOpen"],
    ["closed", "up"],
    ["fail", "StoreUnavailable"]
  ])("with %s when the store does not answer", (onStoreFailure, expected) => {
    const share = Share.inline({ onStoreFailure })

    it.scoped("says so at once when the store refuses", () =>
      Effect.gen(function* () {
        const breakers = yield* started(1, { share })
        breakers[0][1].wire.state = "dead"
        assert.strictEqual(yield* through(breakers, 0, up), expected)
        assert.strictEqual(yield* through(breakers, 0, up), expected)
      })
    )

    it.scoped("waits for the deadline of a store that is silent once, and then no more", () =>
      Effect.gen(function* () {
        const breakers = yield* started(1, { share })
        breakers[0][1].wire.state = "silent"
        const call = yield* forked(through(breakers, 0, up))
        yield* TestClock.adjust("499 millis")
        assert.isNull(call.unsafePoll())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* Fiber.join(call), expected)
        assert.strictEqual(yield* through(breakers, 0, up), expected)
      })
    )

    it.scoped("keeps what a call said when the store goes away meanwhile", () =>
      Effect.gen(function* () {
        const breakers = yield* started(1, { share })
        const goesAway = Effect.sync(() => {
          breakers[0][1].wire.state = "dead"
          return "up"
        })
        assert.strictEqual(yield* through(breakers, 0, goesAway), "up")
      })
    )

    it.scoped("joins again when the store answers", () =>
      Effect.gen(function* () {
        const breakers = yield* started(2, { share })
        breakers[0][1].wire.state = "dead"
        yield* through(breakers, 0, up)
        yield* breakers[1][0].isolate
        breakers[0][1].wire.state = "up"
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual(yield* breakers[0][0].state, "isolated")
        assert.strictEqual(yield* through(breakers, 0, up), "CircuitOpen")
      })
    )
  })

  it.scoped("opens by the calls of its process while the store is away, with local", () =>
    Effect.gen(function* () {
      const breakers = yield* started(1)
      breakers[0][1].wire.state = "dead"
      for (let call = 0; call < 4; call++) yield* through(breakers, 0, down)
      assert.strictEqual(yield* through(breakers, 0, up), "CircuitOpen")
    })
  )

  it.scoped("leaves nothing behind when it is interrupted at any moment", () =>
    Effect.gen(function* () {
      const breakers = yield* started(2, { trip: Trip.consecutive(1), openFor: "1 second" })
      const [[breaker, { wire }]] = breakers
      // While it waits for the store before the call.
      wire.state = "silent"
      const waiting = yield* forked(breaker.protect(up))
      yield* Fiber.interrupt(waiting)
      wire.state = "up"
      yield* TestClock.adjust("20 seconds")
      // While it runs, as a probe.
      yield* through(breakers, 1, down)
      yield* TestClock.adjust("1 second")
      const running = yield* forked(breaker.protect(Effect.never))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.interrupt(running)
      yield* TestClock.adjust("1 millis")
      // While it waits for the store after the call.
      const silent = Effect.sync(() => {
        wire.state = "silent"
        return "up"
      })
      const after = yield* forked(breaker.protect(silent))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.interrupt(after)
      wire.state = "up"
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* through(breakers, 1, up), "up")
      assert.strictEqual(yield* through(breakers, 0, up), "up")
    })
  )

  it.scoped("asks the store in a pipeline too", () =>
    Effect.gen(function* () {
      const [[breaker], [other]] = yield* started(2)
      const pipeline = Policy.pipeline(
        Timeout.timeout("1 second"),
        breaker.protect,
        Retry.retry({ times: 0 })
      )
      yield* other.isolate
      const error = yield* Effect.flip(up.pipe(pipeline))
      assert.deepInclude(error, { _tag: "CircuitOpen", state: "isolated" })
      yield* other.release
      assert.strictEqual(yield* up.pipe(pipeline), "up")
    })
  )

  it.scoped("does not wait for itself in a call within a call", () =>
    Effect.gen(function* () {
      const breakers = yield* started(1)
      const [[breaker]] = breakers
      assert.strictEqual(yield* breaker.protect(breaker.protect(up)), "up")
      assert.strictEqual((yield* breaker.snapshot).successes, 1)
    })
  )

  it.scoped("fails its waiting calls when the scope of the store closes", () =>
    Effect.gen(function* () {
      const memory = new SharedStore.Memory()
      const silent = { ...memory.adapter, exchange: () => Effect.never }
      const call = yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* SharedStore.make(silent, { deadline: Duration.minutes(1) })
          const breaker = yield* CircuitBreaker.make({
            name: "partner",
            share: Share.inline({ onStoreFailure: "fail" })
          }).pipe(Effect.provideService(SharedStore.SharedStore, store))
          return yield* forked(Effect.exit(breaker.protect(up)))
        })
      )
      assert.strictEqual(said(yield* Fiber.join(call)), "StoreUnavailable")
    })
  )
})
