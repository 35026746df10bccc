import { assert, describe, it } from "@effect/vitest"
import type { Scheduler } from "effect"
import { Cause, Deferred, Effect, Exit, FastCheck, Fiber, Option, TestClock, Tracer } from "effect"
import { Bulkhead, Policy, Retry } from "effect-resilience"
import { down, forked, settled, up } from "../support/calls.js"
import { runs } from "../support/runs.js"

/** A scheduler that runs what there is to run when it is told to, and counts it. */
class Turns implements Scheduler.Scheduler {
  taken = 0
  private tasks: Array<() => void> = []
  shouldYield = () => false as const
  scheduleTask = (task: () => void) => void this.tasks.push(task)
  take(): void {
    while (this.tasks.length > 0) {
      const tasks = this.tasks
      this.tasks = []
      this.taken += tasks.length
      for (const task of tasks) task()
    }
  }
}

const counts = (bulkhead: Bulkhead.Bulkhead) =>
  Effect.map(bulkhead.snapshot, ({ inUse, queued, rejected, running }) => [running, inUse, queued, rejected])

/** A call that runs until its gate is opened, and says when it has begun. */
const gated = (begun: Array<string>, name: string) =>
  Effect.map(Deferred.make<void>(), (gate) => ({
    call: Effect.zipRight(
      Effect.sync(() => begun.push(name)),
      Deferred.await(gate)
    ),
    open: Effect.zipRight(Deferred.succeed(gate, undefined), settled)
  }))

describe("a bulkhead with a free place", () => {
  it.effect("runs calls side by side, and returns their exits unchanged", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 2 })
      const defect = Effect.die("bug")
      for (const call of [up, down, defect, Effect.interrupt, Effect.failCause(Cause.empty)]) {
        assert.deepStrictEqual(
          yield* Effect.exit(bulkhead.protect(call as Effect.Effect<string, "down">)),
          yield* Effect.exit(call as Effect.Effect<string, "down">)
        )
      }
      const first = yield* forked(bulkhead.protect(Effect.never))
      assert.strictEqual(yield* bulkhead.protect(up), "up")
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(yield* counts(bulkhead), [0, 0, 0, 0])
    })
  )

  it.effect("gets the place back after a success, a failure, a defect and an interruption", () =>
    Effect.gen(function* () {
      const thrown = Effect.sync((): string => {
        throw new Error("bug")
      })
      const rejected = Effect.promise(() => Promise.reject(new Error("bug")))
      const endings: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        up,
        down,
        Effect.die("bug"),
        thrown,
        rejected,
        Effect.interrupt
      ]
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      for (const ending of endings) {
        yield* Effect.exit(bulkhead.protect(ending))
        assert.deepStrictEqual(yield* counts(bulkhead), [0, 0, 0, 0])
        assert.strictEqual(yield* bulkhead.protect(up), "up")
      }
    })
  )

  it.effect("does not lose the place to a call that dies, as failsafe-go does to one that panics (D1)", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 1 })
      const gate = yield* Deferred.make<void>()
      const dies = yield* forked(bulkhead.protect(Effect.zipRight(Deferred.await(gate), Effect.die("bug"))))
      const waits = yield* forked(bulkhead.protect(up))
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.await(dies), Exit.die("bug"))
      assert.strictEqual(yield* Fiber.join(waits), "up")
      assert.deepStrictEqual(yield* counts(bulkhead), [0, 0, 0, 0])
    })
  )

  it.effect("gets the place back when a condition throws", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      const call = bulkhead.protectWhen<string, never>(() => {
        throw new Error("bug in a condition")
      })
      assert.isTrue(
        Option.isSome(Option.flatMap(Exit.causeOption(yield* Effect.exit(call(up))), Cause.dieOption))
      )
      assert.strictEqual(yield* bulkhead.protect(up), "up")
    })
  )
})

describe("a full bulkhead", () => {
  it.effect("rejects a call at once, without running it, when it has no queue", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 2, name: "db" })
      const running = yield* Effect.replicateEffect(forked(bulkhead.protect(Effect.never)), 2)
      let ran = false
      const error = yield* Effect.flip(bulkhead.protect(Effect.sync(() => (ran = true))))
      assert.isFalse(ran)
      assert.instanceOf(error, Bulkhead.BulkheadFull)
      assert.deepInclude(error, {
        _tag: "BulkheadFull",
        name: "db",
        reason: "full",
        permits: 2,
        requested: 1,
        queued: 0,
        retryAfter: undefined
      })
      assert.strictEqual(error.message, "the permits are taken (2) and the queue is full (0)")
      assert.isTrue(Policy.isRejection(error))
      assert.notInclude(error.stack ?? "", " at ", "a rejection is made without a stack trace")
      assert.deepStrictEqual(yield* counts(bulkhead), [2, 2, 0, 1])
      yield* Fiber.interruptAll(running)
    })
  )

  it.effect("queues calls up to maxQueued, and rejects the next one", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 2 })
      const begun: Array<string> = []
      const first = yield* gated(begun, "first")
      yield* forked(bulkhead.protect(first.call))
      const waiting = yield* Effect.replicateEffect(forked(bulkhead.protect(up)), 2)
      const error = yield* Effect.flip(bulkhead.protect(up))
      assert.deepInclude(error, { reason: "full", queued: 2 })
      assert.deepStrictEqual(yield* counts(bulkhead), [1, 1, 2, 1])
      yield* first.open
      assert.deepStrictEqual(yield* Effect.forEach(waiting, Fiber.join), ["up", "up"])
      assert.deepStrictEqual(yield* counts(bulkhead), [0, 0, 0, 1])
    })
  )

  it.effect("fails a call that a retry then makes again later", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      yield* forked(bulkhead.protect(Effect.sleep("1 second")))
      const retried = yield* forked(up.pipe(bulkhead.protect, Retry.retry({ times: 20 })))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(retried), "up")
    })
  )
})

describe("the queue of a bulkhead", () => {
  it.effect("is first come, first served", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 10 })
      const begun: Array<string> = []
      const calls = yield* Effect.forEach(["a", "b", "c", "d"], (name) => gated(begun, name))
      for (const { call } of calls) yield* forked(bulkhead.protect(call))
      for (const [index, { open }] of calls.entries()) {
        assert.strictEqual(begun.length, index + 1)
        yield* open
      }
      assert.deepStrictEqual(begun, ["a", "b", "c", "d"])
    })
  )

  it.effect("is not overtaken by a call that comes between the grant to the head and its next step", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 10 })
      const begun: Array<string> = []
      const note = (name: string) => Effect.sync(() => begun.push(name))
      const gate = yield* Deferred.make<void>()
      // The first call ends and another one comes in the same breath, before the head of the line has woken up.
      const first = bulkhead.protect(Deferred.await(gate))
      yield* forked(Effect.zipRight(first, Effect.exit(bulkhead.protect(note("newcomer")))))
      yield* forked(bulkhead.protect(note("head")))
      yield* Deferred.succeed(gate, undefined)
      yield* settled
      assert.deepStrictEqual(begun, ["head", "newcomer"])
    })
  )

  it.effect("keeps the place of a waiting call, which cockatiel rejects in favour of newcomers", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 1 })
      const first = yield* Deferred.make<void>()
      const others = yield* Deferred.make<void>()
      const other = Effect.exit(bulkhead.protect(Deferred.await(others)))
      // When the first call ends, newcomers come before the waiting call has woken up. There they take the place that it
      // was promised, and it finds the bulkhead full again and fails.
      const newcomers = Effect.all([other, other, other], { concurrency: "unbounded" })
      const running = yield* forked(Effect.zipRight(bulkhead.protect(Deferred.await(first)), newcomers))
      const waiting = yield* forked(other)
      yield* Deferred.succeed(first, undefined)
      yield* settled
      assert.deepStrictEqual(yield* counts(bulkhead), [1, 1, 1, 2])
      yield* Deferred.succeed(others, undefined)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(waiting)))
      assert.deepStrictEqual((yield* Fiber.join(running)).map(Exit.isSuccess), [true, false, false])
    })
  )

  it.effect("does not starve a large request by serving small ones behind it", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 3, maxQueued: 100 })
      const begun: Array<string> = []
      const small = yield* Effect.forEach(["s1", "s2"], (name) => gated(begun, name))
      const large = yield* gated(begun, "large")
      for (const { call } of small) yield* forked(bulkhead.protect(call))
      yield* forked(bulkhead.withPermits(3)(large.call))
      // One permit is always free, and small calls keep coming.
      for (let index = 0; index < 20; index++)
        yield* forked(bulkhead.protect(Effect.sync(() => begun.push("late"))))
      assert.deepStrictEqual(yield* counts(bulkhead), [2, 2, 21, 0])
      for (const { open } of small) yield* open
      assert.deepStrictEqual(begun, ["s1", "s2", "large"])
      yield* large.open
      assert.strictEqual(begun.length, 23)
    })
  )

  it.effect("of 2000 fibers costs each of them what a queue of 500 costs", () =>
    Effect.gen(function* () {
      /** The run-loop operations and the wake-ups of so many fibers that go through ten permits. */
      const cost = (
        fibers: number,
        protect: <A>(call: Effect.Effect<A>) => Effect.Effect<unknown, unknown>
      ) => {
        let operations = 0
        const tracer = Tracer.make({
          span: () => {
            throw new Error("nothing here makes spans")
          },
          context: (run) => {
            operations += 1
            return run()
          }
        })
        const scheduler = new Turns()
        let done = 0
        const call = protect(Effect.yieldNow())
        for (let index = 0; index < fibers; index++) {
          Effect.runFork(Effect.withTracer(call, tracer), { scheduler }).addObserver((exit) => {
            done += Exit.isSuccess(exit) ? 1 : 0
          })
        }
        scheduler.take()
        assert.strictEqual(done, fibers)
        return { operations: operations / fibers, wakeUps: scheduler.taken / fibers }
      }
      const throughBulkhead = Effect.map(
        Bulkhead.make({ permits: 10, maxQueued: 2000 }),
        ({ protect }) => protect
      )
      const few = cost(500, yield* throughBulkhead)
      const many = cost(2000, yield* throughBulkhead)
      assert.isAtMost(many.operations, few.operations * 1.02)
      assert.isAtMost(many.wakeUps, few.wakeUps * 1.02)
      assert.isBelow(many.wakeUps, 4)

      // What it looks like when every waiter is woken for each permit: Effect's own semaphore, with a tenth of the fibers.
      const throughSemaphore = Effect.map(Effect.makeSemaphore(10), (semaphore) => semaphore.withPermits(1))
      const before = cost(50, yield* throughSemaphore)
      const after = cost(500, yield* throughSemaphore)
      assert.isAbove(after.operations, before.operations * 3)
    })
  )
})

describe("the maxWait of a bulkhead", () => {
  const make = Bulkhead.make({ name: "db", permits: 1, maxQueued: 2, maxWait: "1 second" })

  it.effect("rejects a call at the instant at which it has waited that long", () =>
    Effect.gen(function* () {
      const bulkhead = yield* make
      const running = yield* forked(bulkhead.protect(Effect.never))
      const waiting = yield* forked(Effect.flip(bulkhead.protect(up)))
      yield* TestClock.adjust("999 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      assert.deepStrictEqual(yield* counts(bulkhead), [1, 1, 1, 0])
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(waiting)
      assert.deepInclude(error, { name: "db", reason: "expired", permits: 1, requested: 1, queued: 0 })
      assert.strictEqual(error.message, "the wait for a permit took too long, 0 more are waiting")
      assert.isTrue(Policy.isRejection(error))
      assert.deepStrictEqual(yield* counts(bulkhead), [1, 1, 0, 1])
      yield* Fiber.interrupt(running)
    })
  )

  it.effect("lets a call run that acquires its permit at the last instant", () =>
    Effect.gen(function* () {
      const bulkhead = yield* make
      yield* forked(bulkhead.protect(Effect.sleep("999 millis")))
      const waiting = yield* forked(bulkhead.protect(Effect.as(Effect.sleep("1 minute"), "ran")))
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* Fiber.join(waiting), "ran")
      assert.deepStrictEqual(yield* counts(bulkhead), [0, 0, 0, 0])
    })
  )

  it.effect("limits the wait and not the call", () =>
    Effect.gen(function* () {
      const bulkhead = yield* make
      const call = yield* forked(bulkhead.protect(Effect.as(Effect.sleep("1 hour"), "ran")))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(call), "ran")
    })
  )

  it.effect("counts for each call from its arrival", () =>
    Effect.gen(function* () {
      const bulkhead = yield* make
      yield* forked(bulkhead.protect(Effect.never))
      const first = yield* forked(Effect.flip(bulkhead.protect(up)))
      yield* TestClock.adjust("400 millis")
      const second = yield* forked(Effect.flip(bulkhead.protect(up)))
      yield* TestClock.adjust("600 millis")
      assert.deepInclude(yield* Fiber.join(first), { reason: "expired", queued: 1 })
      yield* TestClock.adjust("399 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(second)))
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* Fiber.join(second), { reason: "expired", queued: 0 })
    })
  )

  it.effect("is unlimited by default", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 1 })
      yield* forked(bulkhead.protect(Effect.sleep("100 days")))
      const waiting = yield* forked(bulkhead.protect(up))
      yield* TestClock.adjust("99 days")
      assert.deepStrictEqual(yield* counts(bulkhead), [1, 1, 1, 0])
      yield* TestClock.adjust("1 days")
      assert.strictEqual(yield* Fiber.join(waiting), "up")
    })
  )
})

describe("Bulkhead.withPermits", () => {
  it.effect("acquires all permits or waits for all of them", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 3, maxQueued: 1 })
      const begun: Array<string> = []
      const two = yield* gated(begun, "two")
      yield* forked(bulkhead.withPermits(2)(two.call))
      const other = yield* forked(bulkhead.withPermits(2)(Effect.sync(() => begun.push("other"))))
      assert.deepStrictEqual(yield* counts(bulkhead), [1, 2, 1, 0])
      yield* two.open
      yield* Fiber.join(other)
      assert.deepStrictEqual(begun, ["two", "other"])
      assert.deepStrictEqual(yield* counts(bulkhead), [0, 0, 0, 0])
    })
  )

  it.effect(
    "rejects a call that asks for more permits than there are, instead of letting it wait for ever",
    () =>
      Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ permits: 2, maxQueued: 10 })
        const error = yield* Effect.flip(bulkhead.withPermits(3)(up))
        assert.deepInclude(error, { reason: "full", permits: 2, requested: 3, queued: 0 })
        assert.strictEqual(error.message, "a call that takes 3 permits can never run, there are only 2")
        assert.strictEqual(yield* bulkhead.withPermits(2)(up), "up")
      })
  )
})

describe("Bulkhead.resize", () => {
  it.effect("upwards runs the waiting calls at once, in order", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 10 })
      const begun: Array<string> = []
      const calls = yield* Effect.forEach(["a", "b", "c", "d"], (name) => gated(begun, name))
      for (const { call } of calls) yield* forked(bulkhead.protect(call))
      yield* bulkhead.resize(3)
      yield* settled
      assert.deepStrictEqual(begun, ["a", "b", "c"])
      assert.deepInclude(yield* bulkhead.snapshot, { permits: 3, inUse: 3, running: 3, queued: 1 })
    })
  )

  it.effect(
    "below what is running lets the running calls finish, and admits none until there is room again",
    () =>
      Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ permits: 3, maxQueued: 10 })
        const begun: Array<string> = []
        const calls = yield* Effect.forEach(["a", "b", "c", "d"], (name) => gated(begun, name))
        for (const { call } of calls) yield* forked(bulkhead.protect(call))
        yield* bulkhead.resize(1)
        assert.deepInclude(yield* bulkhead.snapshot, { permits: 1, inUse: 3, running: 3, queued: 1 })
        yield* calls[0].open
        yield* calls[1].open
        assert.deepStrictEqual(begun, ["a", "b", "c"])
        yield* calls[2].open
        assert.deepStrictEqual(begun, ["a", "b", "c", "d"])
        assert.deepInclude(yield* bulkhead.snapshot, { inUse: 1, running: 1, queued: 0 })
      })
  )

  it.effect("to 0 closes the bulkhead: running calls finish, the others wait or are rejected", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 2, maxQueued: 2 })
      const begun: Array<string> = []
      const [a, b] = yield* Effect.forEach(["a", "b"], (name) => gated(begun, name))
      yield* forked(bulkhead.protect(a.call))
      yield* bulkhead.resize(0)
      const waiting = yield* forked(bulkhead.protect(b.call))
      const large = yield* forked(Effect.flip(bulkhead.withPermits(2)(up)))
      const rejected = yield* Effect.flip(bulkhead.protect(up))
      assert.deepInclude(rejected, { reason: "full", permits: 0, queued: 2, retryAfter: undefined })
      yield* a.open
      yield* settled
      assert.deepStrictEqual(begun, ["a"])
      assert.deepInclude(yield* bulkhead.snapshot, { permits: 0, inUse: 0, running: 0, queued: 2 })
      yield* bulkhead.resize(1)
      assert.deepInclude(yield* Fiber.join(large), { reason: "full", permits: 1, requested: 2 })
      yield* b.open
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(begun, ["a", "b"])
    })
  )

  it.effect(
    "rejects a waiting call that asks for more permits than there are now, and serves those behind it",
    () =>
      Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ permits: 3, maxQueued: 10 })
        yield* forked(bulkhead.protect(Effect.never))
        const large = yield* forked(Effect.flip(bulkhead.withPermits(3)(up)))
        const small = yield* forked(bulkhead.protect(up))
        yield* bulkhead.resize(2)
        assert.deepInclude(yield* Fiber.join(large), { reason: "full", permits: 2, requested: 3 })
        assert.strictEqual(yield* Fiber.join(small), "up")
        yield* bulkhead.resize(4)
        assert.strictEqual(yield* bulkhead.withPermits(3)(up), "up")
      })
  )
})

describe("the counts of a bulkhead", () => {
  it.effect("start at zero", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 2 })
      assert.deepStrictEqual(yield* bulkhead.snapshot, {
        name: "bulkhead",
        permits: 2,
        inUse: 0,
        running: 0,
        queued: 0,
        rejected: 0,
        successes: 0,
        failures: 0
      })
    })
  )

  const condition = {
    error: (error: "down" | "odd") => error === "down",
    result: (result: string) => result === "bad"
  }
  const outcomes = [
    Effect.succeed("good"),
    Effect.succeed("bad"),
    down,
    Effect.fail("odd" as const),
    Effect.die("bug"),
    Effect.interrupt
  ]

  it.effect("cover successes, failures and defects by default, and no interruptions", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      for (const outcome of outcomes)
        yield* Effect.exit(bulkhead.protect(outcome as Effect.Effect<string, "down">))
      assert.deepInclude(yield* bulkhead.snapshot, { successes: 2, failures: 3, rejected: 0 })
    })
  )

  it.effect("follow a condition", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      for (const [index, outcome] of outcomes.entries()) {
        const call = bulkhead.protectWhen<string, "down" | "odd">(condition)(outcome)
        assert.deepStrictEqual(
          yield* Effect.exit(call),
          yield* Effect.exit(outcomes[index] as Effect.Effect<string, "down">)
        )
      }
      assert.deepInclude(yield* bulkhead.snapshot, { successes: 2, failures: 3, rejected: 0 })
      const ignoring = bulkhead.protectWhen<string, "down">({ ignore: { error: () => true } })
      yield* Effect.exit(ignoring(down))
      assert.deepInclude(yield* bulkhead.snapshot, { successes: 2, failures: 3, inUse: 0 })
    })
  )

  it.effect("do not include a rejection among the failures", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      yield* forked(bulkhead.protect(Effect.never))
      yield* Effect.exit(bulkhead.protect(up))
      assert.deepInclude(yield* bulkhead.snapshot, { successes: 0, failures: 0, rejected: 1 })
    })
  )
})

describe("Bulkhead.acquire", () => {
  it.effect("holds a permit until the scope closes, and counts the exit with which it does", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      for (const [ending, successes, failures] of [
        [up, 1, 0],
        [down, 1, 1],
        [Effect.interrupt, 1, 1]
      ] as const) {
        const held = Effect.gen(function* () {
          yield* bulkhead.acquire
          assert.strictEqual((yield* Effect.flip(bulkhead.protect(up)))._tag, "BulkheadFull")
          return yield* ending
        })
        yield* Effect.exit(Effect.scoped(held))
        assert.deepInclude(yield* bulkhead.snapshot, { inUse: 0, successes, failures })
      }
    })
  )

  it.effect("waits in the queue, and releases a permit that was granted to an interrupted fiber", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 1 })
      const gate = yield* Deferred.make<void>()
      yield* forked(bulkhead.protect(Deferred.await(gate)))
      const fiber = yield* forked(Effect.scoped(Effect.zipRight(bulkhead.acquire, Effect.never)))
      assert.deepStrictEqual(yield* counts(bulkhead), [1, 1, 1, 0])
      yield* Deferred.succeed(gate, undefined)
      yield* settled
      assert.deepStrictEqual(yield* counts(bulkhead), [1, 1, 0, 0])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* counts(bulkhead), [0, 0, 0, 0])
    })
  )
})

// ----------------------------------------------------------------------------------------------------- against a model

const commands = FastCheck.array(
  FastCheck.oneof(
    {
      weight: 4,
      arbitrary: FastCheck.record({
        type: FastCheck.constant("call" as const),
        permits: FastCheck.integer({ min: 1, max: 4 })
      })
    },
    {
      weight: 3,
      arbitrary: FastCheck.record({
        type: FastCheck.constantFrom("finish" as const, "interrupt" as const),
        which: FastCheck.nat(20)
      })
    },
    {
      weight: 1,
      arbitrary: FastCheck.record({
        type: FastCheck.constant("resize" as const),
        permits: FastCheck.integer({ min: 0, max: 5 })
      })
    }
  ),
  { maxLength: 40 }
)

/** The slow and obvious version: lists of calls, looked through from the front after every step. */
class Model {
  running: Array<{ readonly id: number; readonly permits: number }> = []
  line: Array<{ readonly id: number; readonly permits: number }> = []
  turnedAway: Array<number> = []
  constructor(
    private permits: number,
    private readonly maxQueued: number
  ) {}

  get inUse(): number {
    return this.running.reduce((sum, { permits }) => sum + permits, 0)
  }

  call(id: number, permits: number): void {
    const fits = this.line.length === 0 && this.inUse + permits <= this.permits
    if (fits) this.running.push({ id, permits })
    else if (this.canEver(permits) && this.line.length < this.maxQueued) this.line.push({ id, permits })
    else this.turnedAway.push(id)
  }

  end(id: number): void {
    this.running = this.running.filter((call) => call.id !== id)
    this.line = this.line.filter((call) => call.id !== id)
    this.serve()
  }

  resize(permits: number): void {
    this.permits = permits
    this.turnedAway.push(...this.line.filter((call) => !this.canEver(call.permits)).map(({ id }) => id))
    this.line = this.line.filter((call) => this.canEver(call.permits))
    this.serve()
  }

  private canEver(permits: number): boolean {
    return permits <= this.permits || this.permits === 0
  }

  private serve(): void {
    for (
      let [head] = this.line;
      head !== undefined && this.inUse + head.permits <= this.permits;
      [head] = this.line
    ) {
      this.running.push(head)
      this.line = this.line.slice(1)
    }
  }
}

describe("random histories of a bulkhead", () => {
  it("agree with a slow and obvious model, and never take more permits than there are", () => {
    FastCheck.assert(
      FastCheck.property(commands, (history) => {
        const scheduler = new Turns()
        const bulkhead = Effect.runSync(Bulkhead.make({ permits: 3, maxQueued: 4 }))
        const model = new Model(3, 4)
        const running = new Set<number>()
        const turnedAway: Array<number> = []
        const calls: Array<{
          readonly finish: () => void
          readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
        }> = []
        for (const command of history) {
          const inUseBefore = Effect.runSync(bulkhead.snapshot).inUse
          if (command.type === "call") {
            const id = calls.length
            let finish = () => {}
            const body = Effect.acquireUseRelease(
              Effect.sync(() => running.add(id)),
              () => Effect.async<void>((resume) => void (finish = () => resume(Effect.void))),
              () => Effect.sync(() => running.delete(id))
            )
            const call = bulkhead
              .withPermits(command.permits)(body)
              .pipe(Effect.catchTag("BulkheadFull", () => Effect.sync(() => turnedAway.push(id))))
            calls.push({ finish: () => finish(), fiber: Effect.runFork(call, { scheduler }) })
            model.call(id, command.permits)
          } else if (command.type === "resize") {
            Effect.runSync(bulkhead.resize(command.permits))
            model.resize(command.permits)
          } else if (calls.length > 0) {
            const id = command.which % calls.length
            if (command.type === "finish") {
              if (model.running.some((call) => call.id === id)) model.end(id)
              calls[id].finish()
            } else {
              model.end(id)
              Effect.runFork(Fiber.interrupt(calls[id].fiber), { scheduler })
            }
          }
          scheduler.take()
          const { inUse, permits, queued, running: holders } = Effect.runSync(bulkhead.snapshot)
          assert.sameMembers(
            [...running],
            model.running.map(({ id }) => id)
          )
          assert.sameMembers(turnedAway, model.turnedAway)
          assert.deepStrictEqual(
            [inUse, holders, queued],
            [model.inUse, model.running.length, model.line.length]
          )
          // Only shrinking leaves more taken than there are, and then it only gets less.
          assert.isTrue(inUse <= permits || inUse <= inUseBefore)
        }
        for (const { fiber } of calls) Effect.runFork(Fiber.interrupt(fiber), { scheduler })
        scheduler.take()
        const { inUse, queued } = Effect.runSync(bulkhead.snapshot)
        assert.deepStrictEqual([running.size, inUse, queued], [0, 0, 0])
      }),
      { numRuns: runs(100, 10_000) }
    )
  })
})
