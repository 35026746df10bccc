/**
 * How a limit is enforced: in which form, at what cost, and that nothing of it is left behind. What it means is in
 * Timeout.test.ts, and that all forms mean the same in Timeout.differential.test.ts.
 */
import { assert, describe, it, vi } from "@effect/vitest"
import {
  Cause,
  Clock,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  FiberId,
  FiberRef,
  Option,
  Predicate,
  Request,
  RequestResolver,
  Scheduler,
  Tracer
} from "effect"
import { Timeout } from "effect-resilience"
import { AsyncLocalStorage } from "node:async_hooks"
import { runToEnd } from "../support/everyStep.js"
import { runs } from "../support/runs.js"

const second = Timeout.timeout("1 second")

const aChild = Effect.fork(Effect.never)

// ----------------------------------------------------------------------------------------------------------------- cost

const isHandle = (handle: unknown): handle is { hasRef(): boolean } => Predicate.hasProperty(handle, "hasRef")

/** Sees the timers that are set until `restore` is called. */
const watchTimers = () => {
  const { setTimeout } = globalThis
  const handles: Array<{ hasRef(): boolean }> = []
  const watch = { set: 0, handles, restore: () => void (globalThis.setTimeout = setTimeout) }
  globalThis.setTimeout = new Proxy(setTimeout, {
    apply: (target, self, args: Parameters<typeof setTimeout>) => {
      watch.set++
      const handle: unknown = Reflect.apply(target, self, args)
      if (isHandle(handle)) watch.handles.push(handle)
      return handle
    }
  })
  return watch
}

/** What ten runs of an effect cost in a fiber that runs already, after a first one. */
const costOfTen = async (
  self: Effect.Effect<unknown, unknown>,
  before: Effect.Effect<unknown> = Effect.void
) => {
  let operations = 0
  const fibers = new Set<unknown>()
  const tracer = Tracer.make({
    span: () => assert.fail("no spans"),
    context: (run, fiber) => {
      operations++
      fibers.add(fiber)
      return run()
    }
  })
  const timers = watchTimers()
  const program = Effect.gen(function* () {
    yield* before
    yield* self
    operations = timers.set = 0
    fibers.clear()
    for (let run = 0; run < 10; run++) yield* self
    return { operations, fibers: fibers.size, timers: timers.set }
  })
  const cost = await Effect.runPromise(Effect.withTracer(program, tracer))
  timers.restore()
  return cost
}

describe("the cost of a time limit", () => {
  const sync = Effect.sync(() => 1)
  const promise = Effect.promise(() => Promise.resolve(1))

  it.each([
    ["a synchronous effect", sync, Effect.void, { operations: 8, fibers: 0, timers: 0 }],
    ["a promise", promise, Effect.void, { operations: 10, fibers: 0, timers: 0 }],
    ["a synchronous effect in a child", sync, aChild, { operations: 5, fibers: 1, timers: 0 }],
    ["a promise in a child", promise, aChild, { operations: 9, fibers: 1, timers: 0 }]
  ] as const)("is counted for %s", async (_, self, before, expected) => {
    const { fibers, operations, timers } = await costOfTen(second(self), before)
    assert.deepStrictEqual({ operations: operations / 10, fibers: (fibers - 1) / 10, timers }, expected)
  })
})

// ---------------------------------------------------------------------------------------------------------------- forms

describe("a time limit runs its effect in the fiber of the caller", () => {
  const stays = (around: (call: Effect.Effect<boolean>) => Effect.Effect<boolean>) =>
    Effect.fiberIdWith((caller) => {
      const call = Effect.fiberIdWith((id) => Effect.succeed(id === caller)).pipe(second, Effect.orDie)
      return around(call)
    }).pipe(Effect.runPromise)

  it("by default", async () => {
    assert.isTrue(await stays((call) => call))
    assert.isTrue(await stays((call) => call.pipe(second, second, Effect.orDie)))
  })

  it.each<readonly [string, (call: Effect.Effect<boolean>) => Effect.Effect<boolean>]>([
    ["has children, which it must not end", (call) => Effect.zipRight(aChild, call)],
    ["cannot be interrupted", Effect.uninterruptible],
    ["has eight limits around it", (call) => inside(8, call)]
  ])("but not when that %s", async (_, around) => {
    assert.isFalse(await stays(around))
  })

  it("in each fiber of a concurrent loop", async () => {
    const each = Effect.fiberIdWith((caller) =>
      second(Effect.fiberIdWith((id) => Effect.succeed(id === caller)))
    )
    const all = await Effect.runPromise(Effect.all([each, each], { concurrency: "unbounded" }))
    assert.deepStrictEqual(all, [true, true])
  })
})

const inside = <A>(limits: number, self: Effect.Effect<A>): Effect.Effect<A> =>
  limits === 0 ? self : Effect.orDie(second(inside(limits - 1, self)))

describe("a time limit in a concurrent loop", () => {
  const failing = Effect.delay(Effect.fail("down"), 100)

  // `Effect.timeout` waits for its limit there.
  it("is left at once when another one fails", () => {
    const slow = second(Effect.sleep(5000))
    const { endedAt, quietAt } = runToEnd(Effect.all([slow, failing], { concurrency: "unbounded" }))
    assert.deepStrictEqual([endedAt, quietAt], [100, 100])
  })

  it("ends what its effect forks, and lets forks outside of it go where the loop wants them", () => {
    const log: Array<string> = []
    const note = (what: string) =>
      Effect.map(Clock.currentTimeMillis, (now) => void log.push(`${now} ${what}`))
    const child = (name: string) => Effect.fork(Effect.onInterrupt(Effect.never, () => note(`${name} gone`)))
    const call = Effect.zipRight(child("inner"), Effect.sleep(300)).pipe(
      second,
      Effect.zipRight(child("outer")),
      Effect.zipRight(note("call ended"))
    )
    runToEnd(Effect.zipRight(Effect.all([call, Effect.void], { concurrency: 2 }), Effect.sleep(400)))
    assert.deepStrictEqual(log, ["300 inner gone", "300 call ended", "700 outer gone"])
  })

  it("holds for batched requests", async () => {
    class Get extends Request.TaggedClass("Get")<number, never, { readonly id: number }> {}
    const resolver = RequestResolver.makeBatched((requests: ReadonlyArray<Get>) =>
      Effect.delay(
        Effect.forEach(requests, (request) => Request.succeed(request, request.id), { discard: true }),
        requests.some(({ id }) => id < 0) ? 5000 : 100
      )
    )
    const get = (id: number) => second(Effect.request(new Get({ id }), resolver))
    const all = (...ids: ReadonlyArray<number>) =>
      runToEnd(Effect.forEach(ids, get, { concurrency: "unbounded", batching: true }))
    const inTime = all(1, 2)
    assert.deepStrictEqual(inTime.exit, Exit.succeed([1, 2]))
    const late = all(1, -2)
    assert.strictEqual(late.endedAt, 1000)
    assert.isTrue(late.exit !== undefined && Exit.isFailure(late.exit))
  })
})

// -------------------------------------------------------------------------------------------------------- what is left

describe("a time limit that has interrupted the fiber of its caller", () => {
  const late = Effect.flip(Timeout.timeout(Effect.never, 10))

  it("has done so in the body alone", async () => {
    const seen: Array<string> = []
    const note = (what: string) => Effect.sync(() => void seen.push(what))
    const program = Effect.gen(function* () {
      yield* late.pipe(Effect.onInterrupt(() => note("interrupted")))
      const cause = yield* FiberRef.get(FiberRef.interruptedCause)
      assert.deepStrictEqual(cause, Cause.empty)
      yield* Effect.interruptible(note("goes on"))
      yield* Effect.sleep(1)
      yield* Effect.fork(note("forks")).pipe(Effect.flatMap(Fiber.join))
      return yield* late
    })
    const exit = await Effect.runPromiseExit(program)
    assert.isTrue(Exit.isSuccess(exit))
    assert.deepStrictEqual(seen, ["goes on", "forks"])
  })

  it("can be interrupted again, by others and by other limits", () => {
    const { endedAt, exit } = runToEnd(
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(Effect.zipRight(late, Effect.never).pipe(second))
        const other = yield* Effect.fork(Effect.zipRight(late, Effect.never))
        yield* Effect.sleep(500)
        const interrupted = yield* Fiber.interrupt(other)
        return [Exit.isInterrupted(interrupted), yield* Effect.flip(Fiber.join(fiber))] as const
      })
    )
    assert.strictEqual(endedAt, 1000)
    const [interrupted, error] = exit !== undefined && Exit.isSuccess(exit) ? exit.value : assert.fail()
    assert.isTrue(interrupted)
    assert.strictEqual(error._tag, "TimeoutExceeded")
  })

  it("shows finalizers an interruption by somebody else, as Effect.timeout does", async () => {
    const interruptors = await Effect.runPromise(
      Effect.gen(function* () {
        const seen = yield* Deferred.make<ReadonlyArray<FiberId.FiberId>>()
        yield* Effect.never.pipe(
          Effect.onInterrupt((ids) => Deferred.succeed(seen, [...ids])),
          Timeout.timeout(10),
          Effect.ignore
        )
        const self = yield* Effect.fiberId
        return (yield* seen).map((id) => FiberId.isRuntime(id) && id.id !== (self as FiberId.Runtime).id)
      })
    )
    assert.deepStrictEqual(interruptors, [true])
  })
})

// ----------------------------------------------------------------------------------------------------------- many levels

const deep = runs(2000, 5000)

describe(`a limit ${deep} levels deep`, () => {
  const nested = (limit: (level: number) => number, self: Effect.Effect<string>) => {
    let program: Effect.Effect<string, Timeout.TimeoutExceeded> = self
    for (let level = 1; level <= deep; level++) {
      program = Timeout.timeout(program, { limit: limit(level), name: `level ${level}` })
    }
    return program
  }
  const nameOf = (exit: Exit.Exit<string, Timeout.TimeoutExceeded> | undefined) =>
    exit !== undefined && Exit.isFailure(exit)
      ? Option.match(Cause.failureOption(exit.cause), {
          onNone: () => "no failure",
          onSome: ({ name }) => name
        })
      : "no failure"

  it.each<readonly [string, (level: number) => number, string]>([
    ["fires innermost", (level) => 10 + level, "level 1"],
    ["fires outermost", (level) => 10_000 - level, `level ${deep}`],
    ["fires in the middle", (level) => (level === deep / 2 ? 10 : 1000), `level ${deep / 2}`]
  ])("%s", (_, limit, expected) => {
    assert.strictEqual(nameOf(runToEnd(nested(limit, Effect.never)).exit), expected)
  })

  it("hands on a result", () => {
    const { exit } = runToEnd(nested(() => 1000, Effect.as(Effect.sleep(1), "result")))
    assert.deepStrictEqual(exit, Exit.succeed("result"))
  })

  it("is interrupted from outside", () => {
    const { endedAt, quietAt } = runToEnd(
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(nested(() => 1000, Effect.never))
        yield* Effect.sleep(1)
        yield* Fiber.interrupt(fiber)
      })
    )
    assert.deepStrictEqual([endedAt, quietAt], [1, 1])
  })

  it("works in real time, all at once", async () => {
    const result = nested(() => 10_000, Effect.as(Effect.sleep(1), "result"))
    assert.strictEqual(await Effect.runPromise(result), "result")
    const all = await Effect.runPromiseExit(nested(() => 20, Effect.never))
    assert.match(nameOf(all), /^level/)
  })
})

// ---------------------------------------------------------------------------------------------------------------- timers

describe("the timers of time limits in real time", () => {
  /** Lets everything run that is ready. */
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve))
  const waiting = Effect.async<void>(() => {})

  /** Sees the timers that are set and not cleared until `restore` is called. */
  const watchLeft = () => {
    const { clearTimeout } = globalThis
    const timers = watchTimers()
    const left = new Set<unknown>()
    globalThis.clearTimeout = (handle) => {
      left.add(handle)
      clearTimeout(handle)
    }
    const restore = () => {
      timers.restore()
      globalThis.clearTimeout = clearTimeout
    }
    return {
      restore,
      set: () => timers.set,
      held: () => timers.handles.filter((handle) => !left.has(handle)).length
    }
  }

  it("keep a program alive as long as somebody waits, and no longer", async () => {
    const timers = watchLeft()
    const fibers = Array.from({ length: 100 }, () => Effect.runFork(Timeout.timeout(waiting, "1 hour")))
    await settled()
    const during = timers.held()
    await Effect.runPromise(Fiber.interruptAll(fibers))
    await settled()
    timers.restore()
    assert.deepStrictEqual([during, timers.held()], [100, 0])
  })

  it("are not set at all for what ends at once, or waits for what is there", async () => {
    const timers = watchLeft()
    const bodies = [
      Effect.succeed(1),
      Effect.promise(() => Promise.resolve(1)),
      Effect.zipRight(Effect.yieldNow(), Effect.succeed(1))
    ]
    for (const body of bodies) await Effect.runPromise(Timeout.timeout(body, "1 hour"))
    await settled()
    timers.restore()
    assert.strictEqual(timers.set(), 0)
  })

  it("fire in the asynchronous context of their own call", async () => {
    const context = new AsyncLocalStorage<string>()
    const seen: Array<string> = []
    const call = (name: string) =>
      context.run(name, () => {
        const body = Effect.onInterrupt(waiting, () =>
          Effect.sync(() => seen.push(`${name}: ${context.getStore()}`))
        )
        return Effect.runPromiseExit(Timeout.timeout(body, 10))
      })
    await Promise.all([call("a"), call("b")])
    assert.deepStrictEqual(seen, ["a: a", "b: b"])
  })

  it("are independent of one another, whatever becomes of one", async () => {
    const broken = Object.assign(Object.create(Scheduler.defaultScheduler) as Scheduler.Scheduler, {
      scheduleTask: () => {
        throw new Error("no scheduler")
      }
    })
    const call = Timeout.timeout(waiting, 15)
    const unhandled = (): void => {}
    process.once("uncaughtException", unhandled)
    const lost = Effect.runFork(Effect.withScheduler(call, broken))
    const exit = await Effect.runPromiseExit(call)
    process.off("uncaughtException", unhandled)
    lost.unsafeInterruptAsFork(lost.id())
    assert.isTrue(Exit.isFailure(exit))
  })

  it("never fire before the limit", async () => {
    const elapsed = Effect.flip(Timeout.timeout(Effect.never, 3)).pipe(
      Effect.map((error) => Duration.toMillis(error.elapsed))
    )
    const all = await Effect.runPromise(Effect.replicateEffect(elapsed, 20))
    assert.isAtLeast(Math.min(...all), 3)
  })

  it("fire in the order of the limits, many at once", async () => {
    const calls = Array.from({ length: 200 }, (_, call) =>
      Effect.flip(Timeout.timeout(Effect.never, { limit: call % 2 === 0 ? 20 : 1500, name: `${call}` }))
    )
    const ended: Array<string> = []
    await Effect.runPromise(
      Effect.forEach(
        calls,
        Effect.tap((error) => void ended.push(error.name)),
        { concurrency: "unbounded" }
      )
    )
    const even = ended.slice(0, 100).filter((name) => Number(name) % 2 === 0)
    assert.deepStrictEqual([ended.length, even.length], [200, 100])
  })

  it("follow timers that a test replaces, and those after them", async () => {
    const call = Timeout.timeout(waiting, "90 minutes")
    await Effect.runPromise(Fiber.interrupt(Effect.runFork(call)))
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "queueMicrotask"] })
    Effect.runSync(Timeout.timeout(Effect.succeed(1), 500))
    const first = Effect.runFork(call)
    await settled()
    await vi.advanceTimersByTimeAsync(90 * 60_000)
    const left = Effect.runFork(Timeout.timeout(waiting, 20))
    await settled()
    vi.useRealTimers()
    assert.isTrue(Exit.isFailure(await Effect.runPromise(Fiber.await(first))))
    assert.isTrue(Exit.isFailure(await Effect.runPromiseExit(Timeout.timeout(waiting, 20))))
    await Effect.runPromise(Fiber.interrupt(left))
  })
})
