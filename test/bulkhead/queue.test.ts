import { assert, describe, it } from "@effect/vitest"
import type { Scheduler } from "effect"
import { Clock, Duration, Effect, Exit, Fiber, FiberId, TestClock } from "effect"
import { settled } from "../support/calls.js"
import { type Chance, chance } from "../support/chance.js"
import { PermitQueue, type Waited, type Waiter } from "../../src/bulkhead/queue.js"
import { runs } from "../support/runs.js"

type Restore = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Runs a body with permits, the way a policy does: from the grant until they are back nothing can come between. */
const holding = <A, E>(
  queue: PermitQueue,
  permits: number,
  body: Effect.Effect<A, E>,
  { masked = false, maxWait = Infinity }: { readonly maxWait?: number; readonly masked?: boolean } = {}
): Effect.Effect<A | Waited, E> => {
  const run = (restore: Restore): Effect.Effect<A | Waited, E> => {
    const use = Effect.flatMap(Effect.exit(restore(body)), (exit) => {
      queue.give(permits)
      return exit
    })
    if (queue.tryTake(permits)) return use
    const waiter = queue.enter(permits)
    if (waiter === undefined) return Effect.succeed("full")
    return Effect.flatMap(queue.wait(waiter, maxWait), (waited): Effect.Effect<A | Waited, E> =>
      waited === "granted" ? use : Effect.succeed(waited)
    )
  }
  const call = Effect.uninterruptibleMask((restore) => Effect.suspend(() => run(restore)))
  return masked ? Effect.uninterruptible(call) : call
}

const state = (queue: PermitQueue) => [queue.inUse, queue.holders, queue.queued]

/** Lets every fiber run as far as it can. */

describe("the permits of a queue", () => {
  it("are taken while there are enough, and given back", () => {
    const queue = new PermitQueue(3, 0)
    assert.isTrue(queue.tryTake(2))
    assert.isFalse(queue.tryTake(2))
    assert.isTrue(queue.tryTake(1))
    assert.deepStrictEqual(state(queue), [3, 2, 0])
    queue.give(2)
    assert.deepStrictEqual(state(queue), [1, 1, 0])
    assert.isTrue(queue.tryTake(2))
  })

  it("go to the waiters in the order in which they came, each to one", () => {
    const queue = new PermitQueue(1, 10)
    assert.isTrue(queue.tryTake(1))
    const waiters = [1, 2, 3].map(() => queue.enter(1)!)
    const ended = () => waiters.map((waiter) => waiter.ended)
    queue.give(1)
    assert.deepStrictEqual(ended(), ["granted", undefined, undefined])
    queue.give(1)
    assert.deepStrictEqual(ended(), ["granted", "granted", undefined])
    assert.deepStrictEqual(state(queue), [1, 1, 1])
  })

  it("are not taken by a newcomer while somebody waits, even when they are free", () => {
    const queue = new PermitQueue(3, 10)
    queue.tryTake(2)
    const large = queue.enter(3)!
    assert.isFalse(queue.tryTake(1), "one is free, but somebody waits")
    const small = queue.enter(1)!
    queue.give(2)
    assert.deepStrictEqual([large.ended, small.ended], ["granted", undefined])
    queue.give(3)
    assert.strictEqual(small.ended, "granted")
  })

  it("skip a waiter that is not ready, which keeps its place", () => {
    const queue = new PermitQueue(1, 10)
    queue.tryTake(1)
    const waiters = [false, true, true].map((isReady) => queue.enter(1, isReady)!)
    const ended = () => waiters.map((waiter) => waiter.ended)
    queue.give(1)
    assert.deepStrictEqual(ended(), [undefined, "granted", undefined])
    queue.ready(waiters[0])
    queue.give(1)
    assert.deepStrictEqual(ended(), ["granted", "granted", undefined])
    queue.give(1)
    assert.deepStrictEqual(ended(), ["granted", "granted", "granted"])
    assert.deepStrictEqual(state(queue), [1, 1, 0])
  })

  it("go to a newcomer before a waiter that is not ready, and to the waiter as soon as it is", () => {
    const queue = new PermitQueue(1, 1)
    queue.tryTake(1)
    const waiter = queue.enter(1, false)!
    assert.isUndefined(queue.enter(1), "its place counts")
    queue.give(1)
    assert.isTrue(queue.tryTake(1))
    queue.give(1)
    queue.ready(waiter)
    assert.strictEqual(waiter.ended, "granted")
    queue.ready(waiter)
    assert.deepStrictEqual(state(queue), [1, 1, 0])
  })

  it("end the wait of a waiter when they shrink below what it asks for, ready or not", () => {
    const queue = new PermitQueue(2, 10)
    queue.tryTake(2)
    const waiters = [false, true].map((isReady) => queue.enter(2, isReady)!)
    queue.resize(1)
    for (const waiter of waiters) {
      assert.strictEqual(waiter.ended, "full")
      queue.ready(waiter)
    }
    assert.strictEqual(queue.queued, 0)
  })

  it("go to as many waiters as they suffice for", () => {
    const queue = new PermitQueue(4, 10)
    queue.tryTake(4)
    const waiters = [1, 2, 2, 1].map((permits) => queue.enter(permits)!)
    queue.give(4)
    assert.deepStrictEqual(
      waiters.map(({ ended }) => ended),
      ["granted", "granted", undefined, undefined]
    )
    assert.deepStrictEqual(state(queue), [3, 2, 2])
  })

  it("have no queue for a newcomer when it is full, nor for a request that can never be served", () => {
    const queue = new PermitQueue(2, 1)
    assert.isUndefined(queue.enter(3))
    queue.tryTake(2)
    assert.isDefined(queue.enter(2))
    assert.isUndefined(queue.enter(1))
    assert.deepStrictEqual(state(queue), [2, 1, 1])
  })
})

describe("a waiter that leaves the queue", () => {
  for (const [place, left] of [
    ["head", 0],
    ["middle", 1],
    ["tail", 2]
  ] as const) {
    it(`from its ${place} keeps the order of the others`, () => {
      const queue = new PermitQueue(1, 10)
      queue.tryTake(1)
      const waiters = [0, 1, 2].map(() => queue.enter(1)!)
      queue.abandon(waiters[left])
      const others = waiters.filter((_, index) => index !== left)
      assert.strictEqual(queue.queued, 2)
      const last = queue.enter(1)!
      for (const next of [...others, last]) {
        assert.isUndefined(next.ended)
        queue.give(1)
        assert.strictEqual(next.ended, "granted")
      }
      queue.give(1)
      assert.deepStrictEqual(state(queue), [0, 0, 0])
    })
  }

  it("lets those behind it run when only its large request kept them waiting", () => {
    const queue = new PermitQueue(3, 10)
    queue.tryTake(1)
    const [large, ...small] = [3, 1, 1, 1].map((permits) => queue.enter(permits)!) as [
      Waiter,
      ...Array<Waiter>
    ]
    queue.abandon(large)
    assert.deepStrictEqual(
      small.map(({ ended }) => ended),
      ["granted", "granted", undefined]
    )
  })

  it("after its grant hands the permits on", () => {
    const queue = new PermitQueue(1, 10)
    queue.tryTake(1)
    const [first, second] = [queue.enter(1)!, queue.enter(1)!]
    queue.give(1)
    queue.abandon(first)
    assert.strictEqual(second.ended, "granted")
    assert.deepStrictEqual(state(queue), [1, 1, 0])
  })

  it("keeps no reference to the others", () => {
    const queue = new PermitQueue(1, 10)
    queue.tryTake(1)
    const waiters = [0, 1, 2].map(() => queue.enter(1)!)
    queue.abandon(waiters[1])
    queue.give(1)
    for (const { next, previous } of waiters.slice(0, 2))
      assert.deepStrictEqual([previous, next], [undefined, undefined])
  })
})

describe("a queue that is resized", () => {
  it("upwards wakes as many waiters as the new permits suffice for", () => {
    const queue = new PermitQueue(1, 10)
    queue.tryTake(1)
    const waiters = [1, 1, 1].map((permits) => queue.enter(permits)!)
    queue.resize(3)
    assert.deepStrictEqual(
      waiters.map(({ ended }) => ended),
      ["granted", "granted", undefined]
    )
    assert.deepStrictEqual([queue.permits, ...state(queue)], [3, 3, 3, 1])
  })

  it("downwards lets the holders finish, and admits nobody until enough permits are back", () => {
    const queue = new PermitQueue(4, 10)
    for (let index = 0; index < 4; index++) queue.tryTake(1)
    const waiter = queue.enter(1)!
    queue.resize(2)
    assert.strictEqual(queue.inUse, 4)
    queue.give(1)
    queue.give(1)
    assert.isUndefined(waiter.ended)
    queue.give(1)
    assert.strictEqual(waiter.ended, "granted")
    assert.isFalse(queue.tryTake(1))
  })

  it("downwards ends the wait for more permits than there are, wherever in the queue, and no other", () => {
    const queue = new PermitQueue(4, 10)
    queue.tryTake(4)
    const waiters = [3, 1, 4, 2, 3].map((permits) => queue.enter(permits)!)
    queue.resize(2)
    assert.deepStrictEqual(
      waiters.map(({ ended }) => ended),
      ["full", undefined, "full", undefined, "full"]
    )
    queue.give(4)
    assert.deepStrictEqual([waiters[1].ended, waiters[3].ended], ["granted", undefined])
  })

  it("downwards serves those behind a request that can no longer be served", () => {
    const queue = new PermitQueue(3, 10)
    queue.tryTake(1)
    const [large, small] = [queue.enter(3)!, queue.enter(1)!]
    queue.resize(2)
    assert.deepStrictEqual([large.ended, small.ended], ["full", "granted"])
  })
})

describe("a wait for permits", () => {
  it.effect("ends with the grant, even when it came before the fiber had begun to wait", () =>
    Effect.gen(function* () {
      const queue = new PermitQueue(1, 10)
      queue.tryTake(1)
      const waiter = queue.enter(1)!
      queue.give(1)
      assert.strictEqual(yield* Effect.uninterruptible(queue.wait(waiter, Infinity)), "granted")
      assert.deepStrictEqual(state(queue), [1, 1, 0])
    })
  )

  it.effect("ends when its time is over, and not before", () =>
    Effect.gen(function* () {
      const queue = new PermitQueue(1, 10)
      queue.tryTake(1)
      const fiber = yield* Effect.fork(holding(queue, 1, Effect.void, { maxWait: 1000 }))
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(queue.queued, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(queue.queued, 0)
      assert.strictEqual(yield* Fiber.join(fiber), "expired")
      queue.give(1)
      assert.deepStrictEqual(state(queue), [0, 0, 0])
    })
  )

  it.effect("longer than a JavaScript timer ends when its time is over", () =>
    Effect.gen(function* () {
      const queue = new PermitQueue(1, 10)
      queue.tryTake(1)
      const fiber = yield* Effect.fork(
        holding(queue, 1, Effect.void, { maxWait: Duration.toMillis("60 days") })
      )
      yield* TestClock.adjust("59 days")
      assert.strictEqual(queue.queued, 1)
      yield* TestClock.adjust("1 days")
      assert.strictEqual(yield* Fiber.join(fiber), "expired")
    })
  )

  it.effect("that expires lets those behind it run", () =>
    Effect.gen(function* () {
      const queue = new PermitQueue(2, 10)
      queue.tryTake(1)
      const large = yield* Effect.fork(holding(queue, 2, Effect.void, { maxWait: 1000 }))
      const small = yield* Effect.fork(holding(queue, 1, Effect.succeed("ran")))
      yield* settled
      assert.strictEqual(queue.queued, 2)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* Fiber.join(large), yield* Fiber.join(small)], ["expired", "ran"])
    })
  )

  it.effect("that was granted is not taken away when its time is over before the fiber goes on", () =>
    Effect.gen(function* () {
      const queue = new PermitQueue(1, 10)
      queue.tryTake(1)
      const fiber = yield* Effect.fork(holding(queue, 1, Effect.succeed("ran"), { maxWait: 1000 }))
      yield* TestClock.adjust("999 millis")
      queue.give(1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "ran")
      assert.deepStrictEqual(state(queue), [0, 0, 0])
    })
  )

  for (const maxWait of [Infinity, 1000]) {
    const wait = maxWait === Infinity ? "without an end" : "with an end"

    it.effect(`${wait} can be interrupted, also where the caller cannot, and leaves no trace`, () =>
      Effect.gen(function* () {
        for (const masked of [false, true]) {
          const queue = new PermitQueue(1, 10)
          queue.tryTake(1)
          const fiber = yield* Effect.fork(holding(queue, 1, Effect.void, { maxWait, masked }))
          yield* settled
          assert.strictEqual(queue.queued, 1)
          assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
          assert.deepStrictEqual(state(queue), [1, 1, 0])
        }
      })
    )

    it.effect(`${wait} that is interrupted before it has begun leaves no trace`, () =>
      Effect.gen(function* () {
        const queue = new PermitQueue(1, 10)
        queue.tryTake(1)
        const fiber = yield* Effect.fork(
          Effect.uninterruptible(
            Effect.zipRight(
              Effect.withFiberRuntime((self) => Effect.sync(() => self.unsafeInterruptAsFork(FiberId.none))),
              holding(queue, 1, Effect.void, { maxWait })
            )
          )
        )
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
        assert.deepStrictEqual(state(queue), [1, 1, 0])
      })
    )

    it.effect(`${wait} whose grant races the interruption hands the permits on, or uses them`, () =>
      Effect.gen(function* () {
        for (const order of ["grant first", "interruption first"]) {
          const queue = new PermitQueue(1, 10)
          queue.tryTake(1)
          const fiber = yield* Effect.fork(holding(queue, 1, Effect.never, { maxWait }))
          const next = yield* Effect.fork(holding(queue, 1, Effect.succeed("next")))
          yield* settled
          if (order === "grant first") queue.give(1)
          fiber.unsafeInterruptAsFork(FiberId.none)
          if (order === "interruption first") queue.give(1)
          assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
          assert.strictEqual(yield* Fiber.join(next), "next")
          assert.deepStrictEqual(state(queue), [0, 0, 0])
        }
      })
    )
  }

  it("that ends before its time is over leaves no timer behind", () => {
    const world = new ShuffledWorld({ next: () => 0, below: () => 0, once: () => false })
    const queue = new PermitQueue(1, 10)
    queue.tryTake(1)
    const call = holding(queue, 1, Effect.void, { maxWait: 1000 })
    for (const end of ["grant", "interruption"]) {
      const fiber = Effect.runFork(Effect.withClock(call, world), { scheduler: world })
      world.run(() => {
        if (world.sleepers === 0 || queue.queued === 0) return
        if (end === "grant") queue.give(1)
        else fiber.unsafeInterruptAsFork(FiberId.none)
      })
      assert.isNotNull(fiber.unsafePoll())
      assert.strictEqual(world.unsafeCurrentTimeMillis(), 0)
      queue.tryTake(1)
    }
  })
})

// ------------------------------------------------------------------------------------------------------ interleavings

/** A scheduler and a clock that decide by chance who runs next, when a fiber is preempted, and when time passes. */
class ShuffledWorld implements Clock.Clock, Scheduler.Scheduler {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  private readonly tasks: Array<() => void> = []
  private timers: Array<{ readonly at: number; readonly fire: () => void }> = []
  private time = 0

  constructor(private readonly random: Chance) {}

  get sleepers(): number {
    return this.timers.length
  }

  unsafeCurrentTimeMillis = () => this.time
  unsafeCurrentTimeNanos = () => BigInt(this.time) * 1_000_000n
  readonly currentTimeMillis = Effect.sync(this.unsafeCurrentTimeMillis)
  readonly currentTimeNanos = Effect.sync(this.unsafeCurrentTimeNanos)

  sleep = (duration: Duration.Duration): Effect.Effect<void> =>
    Effect.async((resume) => {
      const timer = { at: this.time + Duration.toMillis(duration), fire: () => resume(Effect.void) }
      this.timers.push(timer)
      return Effect.sync(() => {
        this.timers = this.timers.filter((other) => other !== timer)
      })
    })

  scheduleTask = (task: () => void) => void this.tasks.push(task)
  // Seldom: to yield takes many steps itself.
  shouldYield = () => (this.random.once(0.02) ? 0 : false)

  /** Until nothing is left to do. Between any two tasks something else may happen. */
  run(between: () => void): void {
    while (this.tasks.length > 0 || this.timers.length > 0) {
      between()
      if (this.tasks.length === 0 || this.random.once(0.05)) this.passTime()
      const [task] = this.tasks.splice(this.random.below(this.tasks.length), 1)
      task?.()
    }
  }

  private passTime(): void {
    const [next] = [...this.timers].sort((one, other) => one.at - other.at)
    if (next === undefined) return
    this.timers = this.timers.filter((timer) => timer !== next)
    this.time = next.at
    next.fire()
  }
}

interface Outcome {
  readonly leaked: number
  readonly hung: number
  readonly tooMany: number
  readonly ran: number
  readonly raced: number
}

/** Forty fibers with requests of all sizes come, wait, run, are interrupted, and the size may change meanwhile. */
const stress = (
  seed: number,
  make: (total: number, maxQueued: number) => PermitQueue,
  options: { readonly resize: boolean }
): Outcome => {
  const random = chance(seed)
  const world = new ShuffledWorld(random)
  const total = 1 + random.below(4)
  const queue = make(total, 40)
  let held = 0
  let ran = 0
  let tooMany = 0
  let raced = 0

  const fibers = Array.from({ length: 40 }, () => {
    const permits = 1 + random.below(total)
    const yields = random.below(4)
    const nap = random.below(3)
    const body = Effect.acquireUseRelease(
      Effect.sync(() => {
        held += permits
        ran += 1
        if (!options.resize && held > total) tooMany += 1
      }),
      () =>
        Effect.zipRight(
          Effect.repeatN(Effect.yieldNow(), yields),
          nap === 0 ? Effect.void : world.sleep(Duration.millis(nap))
        ),
      () =>
        Effect.sync(() => {
          held -= permits
        })
    )
    const call = holding(queue, permits, body, {
      maxWait: random.once(0.5) ? Infinity : 1 + random.below(5),
      masked: random.once(0.2)
    })
    const late = random.once(0.5) ? Effect.void : world.sleep(Duration.millis(random.below(6)))
    return Effect.runFork(Effect.withClock(Effect.zipRight(late, call), world), { scheduler: world })
  })

  world.run(() => {
    if (random.once(0.08)) {
      const victim = fibers[random.below(40)]
      if (victim.unsafePoll() === null) raced += 1
      victim.unsafeInterruptAsFork(FiberId.none)
    }
    if (options.resize && random.once(0.02)) queue.resize(1 + random.below(6))
  })
  return {
    leaked: queue.inUse + queue.holders + queue.queued,
    hung: fibers.filter((fiber) => fiber.unsafePoll() === null).length,
    tooMany,
    ran,
    raced
  }
}

const seeds = runs(60, 2000)

const stressAll = (
  make: (total: number, maxQueued: number) => PermitQueue,
  options: { readonly resize: boolean }
) => {
  const sum = { leaked: 0, hung: 0, tooMany: 0, ran: 0, raced: 0 }
  for (let seed = 0; seed < seeds; seed++) {
    const outcome = stress(seed, make, options)
    sum.leaked += outcome.leaked > 0 ? 1 : 0
    sum.hung += outcome.hung > 0 ? 1 : 0
    sum.tooMany += outcome.tooMany
    sum.ran += outcome.ran
    sum.raced += outcome.raced
  }
  return sum
}

/** Wrong on purpose: permits that were granted to somebody who gave up before noticing are nobody's from then on. */
class ForgetfulQueue extends PermitQueue {
  override abandon(waiter: Waiter): void {
    if (waiter.ended === undefined) super.abandon(waiter)
  }
}

describe("random interleavings of forty fibers", () => {
  for (const resize of [false, true]) {
    it(`${resize ? "with changes of size " : ""}leak no permit, lose no wake-up and never let too many in`, () => {
      const { hung, leaked, raced, ran, tooMany } = stressAll((...args) => new PermitQueue(...args), {
        resize
      })
      assert.deepStrictEqual({ leaked, hung, tooMany }, { leaked: 0, hung: 0, tooMany: 0 })
      assert.isAbove(ran, 10 * seeds)
      assert.isAbove(raced, 5 * seeds)
    })
  }

  it("find a queue that forgets permits when a grant races an interruption", () => {
    const { hung, leaked, tooMany } = stressAll((...args) => new ForgetfulQueue(...args), { resize: false })
    assert.isAbove(leaked, seeds / 50)
    assert.isAbove(hung, seeds / 50)
    assert.strictEqual(tooMany, 0)
  })
})
