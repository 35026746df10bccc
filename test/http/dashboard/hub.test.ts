import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Ref, Scope, TestClock } from "effect"
import { buffer, Hub, longestStay, type Viewer } from "../../../src/http/dashboard/hub.js"
import {
  applied,
  type Delta,
  empty,
  type Full,
  fromFull,
  parser,
  type State
} from "../../../src/http/dashboard/protocol.js"

const served = Effect.succeed(true)

/** A hub whose state is the number of the reading. */
const counting = (options: { readonly maxViewers?: number; readonly interval?: number } = {}) =>
  Effect.gen(function* () {
    const readings = yield* Ref.make(0)
    const hub = new Hub({
      read: (_, at) =>
        Effect.map(
          Ref.updateAndGet(readings, (count) => count + 1),
          (count): State => ({ at, hidden: { closed: count }, views: new Map() })
        ),
      interval: options.interval ?? 500,
      maxViewers: options.maxViewers ?? 20,
      steering: false
    })
    return { hub, readings: Ref.get(readings) }
  })

/** Joins for as long as a scope, which is returned. */
const join = (hub: Hub, isServed = served) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const viewer = yield* Scope.extend(hub.join(isServed), scope)
    return { viewer, leave: Scope.close(scope, Exit.void) }
  })

const joined = (hub: Hub, isServed = served) =>
  Effect.flatMap(join(hub, isServed), ({ leave, viewer }) =>
    viewer === undefined ? Effect.dieMessage("there is no room") : Effect.succeed({ leave, viewer })
  )

/** Reads what there is for a viewer: the names of the events, and the state that they lead to. */
const reader = (viewer: Viewer) => {
  let state = empty
  const events: Array<string> = []
  const parse = parser((event, data) => {
    events.push(event)
    state = event === "full" ? fromFull(JSON.parse(data) as Full) : applied(state, JSON.parse(data) as Delta)
  })
  return Effect.map(viewer.take, (text) => {
    if (text === undefined) return "end" as const
    parse(text)
    return { events: events.splice(0), reading: state.hidden["closed"] }
  })
}

describe("the sampler", () => {
  it.effect("reads while there is a viewer, once for all, and not before or after", () =>
    Effect.gen(function* () {
      const { hub, readings } = yield* counting()
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* readings, 0)

      const one = yield* joined(hub)
      const other = yield* joined(hub)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* readings, 3)

      yield* one.leave
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* readings, 4)

      yield* other.leave
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* readings, 4)
      assert.isFalse(hub.isSampling)
      assert.isUndefined(hub.current)

      const again = yield* joined(hub)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* readings, 6)
      yield* again.leave
    })
  )

  it.effect("goes on after a reading that fails", () =>
    Effect.gen(function* () {
      const readings = yield* Ref.make(0)
      const hub = new Hub({
        read: (_, at) =>
          Effect.flatMap(
            Ref.updateAndGet(readings, (count) => count + 1),
            (count) =>
              count === 2
                ? Effect.dieMessage("no reading")
                : Effect.succeed({ at, hidden: { closed: count }, views: new Map() })
          ),
        interval: 500,
        maxViewers: 1,
        steering: false
      })
      const { leave, viewer } = yield* joined(hub)
      const read = reader(viewer)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* read, { events: ["full"], reading: 3 })
      yield* leave
    })
  )
})

describe("a viewer", () => {
  it.effect("gets the full state, and then what has changed", () =>
    Effect.gen(function* () {
      const { hub } = yield* counting()
      const { leave, viewer } = yield* joined(hub)
      const read = reader(viewer)
      assert.deepStrictEqual(yield* read, { events: ["full"], reading: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* read, { events: ["delta", "delta"], reading: 3 })
      yield* leave
    })
  )

  it.effect("that waits gets what comes", () =>
    Effect.gen(function* () {
      const { hub } = yield* counting()
      const { leave, viewer } = yield* joined(hub)
      const read = reader(viewer)
      yield* read
      const waiting = yield* Effect.fork(read)
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(yield* Fiber.join(waiting), { events: ["delta"], reading: 2 })
      yield* leave
    })
  )

  it.effect(
    "that is slow has a bounded buffer, holds up no other one, and gets a full state when it reads on",
    () =>
      Effect.gen(function* () {
        const { hub, readings } = yield* counting()
        const slow = yield* joined(hub)
        const fast = yield* joined(hub)
        const readSlow = reader(slow.viewer)
        const readFast = reader(fast.viewer)
        yield* readSlow
        yield* readFast
        for (let round = 0; round < 10; round++) {
          yield* TestClock.adjust("5 seconds")
          assert.isAtMost(slow.viewer.size, buffer)
          assert.deepStrictEqual(yield* readFast, {
            events: Array.from({ length: 10 }, () => "delta"),
            reading: yield* readings
          })
        }
        assert.deepStrictEqual(yield* readSlow, { events: ["full"], reading: yield* readings })
        yield* TestClock.adjust("500 millis")
        assert.deepStrictEqual(yield* readSlow, { events: ["delta"], reading: yield* readings })
        yield* slow.leave
        yield* fast.leave
      })
  )

  it.effect("more than there may be is not let in until another one has left", () =>
    Effect.gen(function* () {
      const { hub } = yield* counting({ maxViewers: 2 })
      const one = yield* joined(hub)
      const two = yield* joined(hub)
      const three = yield* join(hub)
      assert.isUndefined(three.viewer)
      yield* three.leave
      assert.strictEqual(hub.size, 2)
      yield* one.leave
      const four = yield* joined(hub)
      yield* Effect.zipRight(two.leave, four.leave)
      assert.strictEqual(hub.size, 0)
    })
  )

  it.effect("stays for ten minutes at most, so that it is asked again whether it may read", () =>
    Effect.gen(function* () {
      const { hub } = yield* counting({ interval: 10_000 })
      const { leave, viewer } = yield* joined(hub)
      const read = reader(viewer)
      yield* TestClock.adjust(longestStay - 1)
      assert.notStrictEqual(yield* read, "end")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* read, "end")
      yield* leave
    })
  )

  it.effect("ends when its server drains", () =>
    Effect.gen(function* () {
      const { hub } = yield* counting()
      const isServing = yield* Ref.make(true)
      const draining = yield* joined(hub, Ref.get(isServing))
      const other = yield* joined(hub)
      const [readDraining, readOther] = [reader(draining.viewer), reader(other.viewer)]
      yield* readDraining
      yield* Ref.set(isServing, false)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* readDraining, "end")
      assert.notStrictEqual(yield* readOther, "end")
      yield* draining.leave
      yield* other.leave
    })
  )

  it.effect("ends at once when the hub is closed, also while it waits, and no other one comes in", () =>
    Effect.gen(function* () {
      const { hub } = yield* counting()
      const { leave, viewer } = yield* joined(hub)
      const read = reader(viewer)
      yield* read
      const waiting = yield* Effect.fork(read)
      yield* Effect.yieldNow()
      yield* hub.close
      assert.strictEqual(yield* Fiber.join(waiting), "end")
      assert.isUndefined((yield* join(hub)).viewer)
      yield* leave
    })
  )
})
