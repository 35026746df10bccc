import { assert, describe, it } from "@effect/vitest"
import { Cause, Chunk, Context, Deferred, Duration, Effect, Fiber, Logger, Stream, TestClock } from "effect"
import { Bulkhead } from "effect-resilience"
import { down, forked, settled, up } from "../support/calls.js"

const listenerNames = ["onQueued", "onAdmitted", "onRejected", "onSuccess", "onFailure", "onResized"] as const

/** All listeners at once, each of which does the same. */
const listeners = (listener: (name: string, event: unknown) => Effect.Effect<unknown, unknown>) =>
  Object.fromEntries(listenerNames.map((name) => [name, (event: unknown) => listener(name, event)]))

const make = (options: Partial<Bulkhead.Options>) =>
  Bulkhead.make({
    name: "db",
    permits: 1,
    maxQueued: 1,
    maxWait: "1 second",
    ...options
  }) as Effect.Effect<Bulkhead.Bulkhead>

describe("the listeners of a bulkhead", () => {
  it.effect("hear each event once, in order, before the call goes on", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const note = (line: string) => Effect.sync(() => log.push(line))
      const bulkhead = yield* make(listeners(note))
      const call = <A, E>(outcome: Effect.Effect<A, E>) =>
        note("runs").pipe(Effect.zipRight(outcome), bulkhead.protect, Effect.ensuring(note("|")), Effect.exit)
      const heard = (effect: Effect.Effect<unknown>) => Effect.map(effect, () => log.splice(0).join(" "))
      assert.strictEqual(yield* heard(call(up)), "onAdmitted runs onSuccess |")
      assert.strictEqual(yield* heard(call(down)), "onAdmitted runs onFailure |")
      assert.strictEqual(yield* heard(call(Effect.die("bug"))), "onAdmitted runs onFailure |")
      assert.strictEqual(yield* heard(call(Effect.interrupt)), "onAdmitted runs |")

      const gate = yield* Deferred.make<void>()
      assert.strictEqual(yield* heard(forked(call(Deferred.await(gate)))), "onAdmitted runs")
      const waiting = yield* forked(call(up))
      assert.strictEqual(yield* heard(settled), "onQueued")
      assert.strictEqual(yield* heard(call(up)), "onRejected |")
      assert.strictEqual(yield* heard(TestClock.adjust("1 second")), "onRejected |")
      yield* Fiber.await(waiting)
      yield* forked(call(up))
      yield* Deferred.succeed(gate, undefined)
      yield* settled
      // The call that ends hands its permit over before anybody is told that it has ended.
      assert.deepStrictEqual(log.splice(0), [
        "onQueued",
        "onSuccess",
        "|",
        "onAdmitted",
        "runs",
        "onSuccess",
        "|"
      ])
      assert.strictEqual(yield* heard(bulkhead.resize(2)), "onResized")
      assert.strictEqual(yield* heard(bulkhead.resize(2)), "")
    })
  )

  it.effect("get the fields of each event", () =>
    Effect.gen(function* () {
      const log: Array<readonly [string, unknown]> = []
      const bulkhead = yield* make(listeners((name, event) => Effect.sync(() => log.push([name, event]))))
      yield* forked(Effect.exit(bulkhead.protect(Effect.zipRight(Effect.sleep("20 millis"), down))))
      yield* forked(bulkhead.protect(Effect.sleep("30 millis")))
      yield* Effect.exit(bulkhead.protect(up))
      yield* TestClock.adjust("50 millis")
      yield* Effect.exit(bulkhead.protect(Effect.die("bug")))
      yield* bulkhead.resize(3)
      yield* bulkhead.withPermits(3)(up)
      const db = { kind: "bulkhead", name: "db" }
      // The rejection itself is looked at in the next test.
      assert.strictEqual(log.splice(2, 1)[0]?.[0], "onRejected")
      const failed = { _tag: "Error", error: "down", cause: Cause.fail("down") }
      const died = { _tag: "Defect", defect: "bug", cause: Cause.die("bug") }
      assert.deepStrictEqual(log, [
        ["onAdmitted", { _tag: "Admitted", ...db, permits: 1, waited: Duration.zero }],
        ["onQueued", { _tag: "Queued", ...db, permits: 1, queued: 1 }],
        ["onFailure", { _tag: "Failure", ...db, duration: Duration.millis(20), failure: failed }],
        ["onAdmitted", { _tag: "Admitted", ...db, permits: 1, waited: Duration.millis(20) }],
        ["onSuccess", { _tag: "Success", ...db, duration: Duration.millis(30) }],
        ["onAdmitted", { _tag: "Admitted", ...db, permits: 1, waited: Duration.zero }],
        ["onFailure", { _tag: "Failure", ...db, duration: Duration.zero, failure: died }],
        ["onResized", { _tag: "Resized", ...db, from: 1, to: 3 }],
        ["onAdmitted", { _tag: "Admitted", ...db, permits: 3, waited: Duration.zero }],
        ["onSuccess", { _tag: "Success", ...db, duration: Duration.zero }]
      ])
    })
  )

  it.effect("get the error that rejects the call", () =>
    Effect.gen(function* () {
      const heard: Array<Bulkhead.BulkheadFull> = []
      const bulkhead = yield* make({ onRejected: ({ error }) => Effect.sync(() => heard.push(error)) })
      yield* forked(bulkhead.withPermits(1)(Effect.never))
      yield* forked(Effect.exit(bulkhead.protect(up)))
      const error = yield* Effect.flip(bulkhead.protect(up))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(heard[0], error)
      assert.deepStrictEqual(
        heard.map(({ queued, reason }) => [reason, queued]),
        [
          ["full", 1],
          ["expired", 0]
        ]
      )
    })
  )

  for (const [name, call, time] of [
    ["onAdmitted", up, "waited"],
    ["onSuccess", up, "duration"],
    ["onFailure", down, "duration"]
  ] as const) {
    it.effect(`are told how long it took, also when there is only ${name}`, () =>
      Effect.gen(function* () {
        const heard: Array<object> = []
        const bulkhead = yield* make({
          [name]: (event: object) => Effect.sync(() => heard.push(event))
        })
        // The first call runs for 500 milliseconds, and the second waits for as long.
        const slow = bulkhead.protect(Effect.zipRight(Effect.sleep("500 millis"), call))
        const first = yield* forked(slow)
        const second = yield* forked(slow)
        yield* TestClock.adjust("1 second")
        yield* Effect.zip(Fiber.await(first), Fiber.await(second))
        assert.deepInclude(heard[1], { [time]: Duration.millis(500) })
      })
    )
  }

  it.effect("hear successes and failures, which cockatiel's bulkhead never reports", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const bulkhead = yield* make({
        onSuccess: ({ name }) => Effect.sync(() => heard.push(`${name} worked`)),
        onFailure: ({ name }) => Effect.sync(() => heard.push(`${name} failed`))
      })
      yield* bulkhead.protect(up)
      yield* Effect.exit(bulkhead.protect(down))
      yield* Effect.exit(bulkhead.protectWhen<string, never>({ result: (result) => result === "up" })(up))
      assert.deepStrictEqual(heard, ["db worked", "db failed", "db failed"])
    })
  )

  const broken: Record<string, () => Effect.Effect<unknown, unknown>> = {
    fails: () => Effect.fail("no"),
    dies: () => Effect.die("bug in a listener"),
    throws: () => {
      throw new Error("bug in a listener")
    }
  }

  /** A call of every kind, and what became of it all. */
  const life = (options: Partial<Bulkhead.Options>) =>
    Effect.gen(function* () {
      const bulkhead = yield* make(options)
      const calls = [up, down, Effect.die("bug"), Effect.sleep("2 seconds"), up, up].map((call) =>
        bulkhead.protect(call as Effect.Effect<unknown, "down">)
      )
      const fibers = yield* Effect.forEach(calls, (call) => forked(call))
      yield* TestClock.adjust("2 seconds")
      yield* bulkhead.resize(2)
      return { exits: yield* Effect.forEach(fibers, Fiber.await), snapshot: yield* bulkhead.snapshot }
    })

  for (const [how, listener] of Object.entries(broken)) {
    it.effect(`that ${how} changes nothing, and is reported`, () =>
      Effect.gen(function* () {
        const messages: Array<unknown> = []
        const logger = Logger.make(({ logLevel, message }) => {
          messages.push([logLevel.label, Array.isArray(message) ? message[0] : message])
        })
        const quiet = yield* life({})
        const noisy = yield* life(listeners(listener)).pipe(Effect.provide(Logger.add(logger)))
        assert.deepInclude(quiet.snapshot, { successes: 2, failures: 2, rejected: 2, inUse: 0, queued: 0 })
        assert.deepStrictEqual(noisy, quiet)
        // Admitted and ended: four calls. Queued: one, which expired. Turned away: that one and another. Resized: once.
        assert.strictEqual(messages.length, 4 + 4 + 1 + 2 + 1)
        assert.deepStrictEqual(
          messages,
          messages.map(() => ["WARN", 'a listener of "db" failed'])
        )
      })
    )
  }

  it.effect("that interrupt themselves change nothing", () =>
    Effect.gen(function* () {
      const quiet = yield* life({})
      assert.deepStrictEqual(yield* life(listeners(() => Effect.interrupt)), quiet)
    })
  )

  it.effect("get the services of the bulkhead's maker, and the span of the call", () =>
    Effect.gen(function* () {
      class Desk extends Context.Tag("Desk")<Desk, string>() {}
      const heard: Array<readonly [string, string]> = []
      const bulkhead = yield* Bulkhead.make({
        permits: 1,
        onFailure: () =>
          Effect.zipWith(Desk, Effect.currentSpan, (desk, span) => heard.push([desk, span.name]))
      }).pipe(Effect.provideService(Desk, "the maker's"), Effect.withSpan("making"))
      const call = Effect.exit(bulkhead.protect(down)).pipe(Effect.provideService(Desk, "the caller's"))
      yield* call.pipe(Effect.withSpan("first call"))
      yield* call.pipe(Effect.withSpan("second call"))
      assert.deepStrictEqual(heard, [
        ["the maker's", "first call"],
        ["the maker's", "second call"]
      ])
    })
  )

  it.effect("of an outcome delay their own call and no other when they are slow", () =>
    Effect.gen(function* () {
      const bulkhead = yield* make({ onFailure: () => Effect.sleep("1 hour") })
      const slow = yield* forked(bulkhead.protect(down))
      assert.strictEqual(yield* bulkhead.protect(up), "up")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Effect.flip(Fiber.join(slow)), "down")
    })
  )

  it.effect("of a queued call count towards its wait when they are slow", () =>
    Effect.gen(function* () {
      const bulkhead = yield* make({ maxWait: "1 second", onQueued: () => Effect.sleep("3 seconds") })
      yield* forked(bulkhead.protect(Effect.sleep("2 seconds")))
      const waiting = yield* forked(Effect.flip(bulkhead.protect(up)))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* bulkhead.snapshot, { queued: 0 })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(waiting)).reason, "expired")
      assert.deepInclude(yield* bulkhead.snapshot, { inUse: 0, rejected: 1 })
    })
  )

  it.effect("may use the bulkhead that they listen to", () =>
    Effect.gen(function* () {
      const self = yield* Deferred.make<Bulkhead.Bulkhead>()
      const resize = (permits: number) => Effect.flatMap(Deferred.await(self), (it) => it.resize(permits))
      const bulkhead = yield* make({
        maxWait: undefined,
        onQueued: () => resize(2),
        onSuccess: () => resize(1)
      })
      yield* Deferred.succeed(self, bulkhead)
      const running = yield* forked(bulkhead.protect(Effect.never))
      assert.strictEqual(yield* bulkhead.protect(up), "up")
      assert.deepInclude(yield* bulkhead.snapshot, { permits: 1, inUse: 1 })
      yield* Fiber.interrupt(running)
    })
  )
})

describe("the changes of a bulkhead", () => {
  it.effect("reach every subscriber once for each change of size", () =>
    Effect.gen(function* () {
      const bulkhead = yield* make({})
      const collect = (count: number) =>
        bulkhead.changes.pipe(
          Stream.map(({ from, name, to }) => `${name}: ${from} -> ${to}`),
          Stream.take(count),
          Stream.runCollect,
          Effect.map(Chunk.toReadonlyArray),
          Effect.fork
        )
      const first = yield* collect(3)
      const second = yield* collect(2)
      yield* settled
      yield* bulkhead.resize(5)
      yield* bulkhead.resize(5)
      yield* bulkhead.resize(2)
      const late = yield* collect(1)
      yield* settled
      yield* bulkhead.resize(1)
      assert.deepStrictEqual(yield* Fiber.join(first), ["db: 1 -> 5", "db: 5 -> 2", "db: 2 -> 1"])
      assert.deepStrictEqual(yield* Fiber.join(second), ["db: 1 -> 5", "db: 5 -> 2"])
      assert.deepStrictEqual(yield* Fiber.join(late), ["db: 2 -> 1"])
    })
  )
})
