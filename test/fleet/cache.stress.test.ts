import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, FiberRef, Option, Random, Scope } from "effect"
import { mistakes, type Interleaving } from "../support/interleave.js"
import { runs } from "../support/runs.js"
import { Fleet, type Lookup, type Process, type State } from "./cacheFleet.js"

const keys = ["a", "b"]
const names = ["one", "two", "three"]

/** What happens in a story besides calls that are interrupted at random. */
interface Kind {
  /** Lookups that fail, die, and interrupt themselves. */
  readonly fails: boolean
  /** Values that are set, and keys that are invalidated. */
  readonly hands: boolean
  /** Lines that freeze, break and lose answers, and processes that die. */
  readonly breaks: boolean
}

/** The longest that a lookup takes, and the lease. */
const longest = 60
const lease = 10_000

/** Fibers of several processes get, refresh, set and invalidate. Returns what went wrong. */
const story = (kind: Kind, { advance, random, yieldSome }: Interleaving): Effect.Effect<Array<string>> =>
  Effect.gen(function* () {
    const wrong: Array<string> = []
    const fleet = new Fleet()
    const currentCall = yield* FiberRef.make(0)
    /** Values are numbered in the order of their making: a greater one is newer. */
    let number = 0
    let calls = 0
    const running = new Map<string, number>(keys.map((key) => [key, 0]))
    const set = new Set<number>()
    const interruptedItself = new Set<number>()
    const started = new Set<number>()

    const lookUp = (key: string): Lookup =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          const now = running.get(key)! + 1
          running.set(key, now)
          if (now > 1 && !kind.hands && !kind.breaks) wrong.push("a key was looked up twice at a time")
          return ++number
        }),
        (value) =>
          Effect.gen(function* () {
            const call = yield* FiberRef.get(currentCall)
            if (started.has(call)) wrong.push("a caller started more than one lookup")
            started.add(call)
            yield* yieldSome(4)
            if (random(2) === 0) yield* Effect.sleep(Duration.millis(1 + random(longest)))
            switch (kind.fails ? random(8) : 8) {
              case 0:
                return yield* Effect.fail("down" as const)
              case 1:
                return yield* Effect.die(`bug of ${key}`)
              case 2:
                interruptedItself.add(call)
                return yield* Effect.interrupt
              default:
                return value
            }
          }),
        () => Effect.sync(() => void running.set(key, running.get(key)! - 1))
      )

    const open = (name: string) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const process = yield* Scope.extend(fleet.process(name, { timeToLive: "1 hour" }, lookUp), scope)
        return { ...process, scope, isDead: false, oldest: new Map(keys.map((key) => [key, 0])) }
      })
    type Living = Effect.Effect.Success<ReturnType<typeof open>>
    const processes: Array<Living> = yield* Effect.forEach(names, open)

    const ask = (process: Living, key: string) =>
      Effect.suspend(() => {
        const call = ++calls
        const since = process.oldest.get(key)!
        const { cache } = process
        const asked = random(8) === 0 ? cache.refresh(key) : cache.get(key)
        return Effect.map(Effect.exit(Effect.locally(asked, currentCall, call)), (exit) => {
          if (Exit.isSuccess(exit)) {
            const isOutdated = exit.value < since && !set.has(exit.value)
            // A change that the store did not hear of does not keep lookups of others from being stored.
            if (isOutdated && !kind.breaks) wrong.push("an outdated value was served")
          } else if (Cause.isInterruptedOnly(exit.cause) && !interruptedItself.has(call)) {
            wrong.push("the interruption of another reached a caller")
          }
        })
      })
    const outdate = (process: Living, key: string, change: (number: number) => Effect.Effect<void>) =>
      Effect.suspend(() => {
        const next = ++number
        return Effect.map(change(next), () => {
          process.oldest.set(key, Math.max(process.oldest.get(key)!, next))
        })
      })
    const act = Effect.suspend((): Effect.Effect<unknown> => {
      const process = processes[random(processes.length)]
      const key = keys[random(keys.length)]
      switch (kind.hands ? random(10) : 10) {
        case 0:
          return outdate(process, key, (next) => {
            set.add(next)
            return process.cache.set(key, next)
          })
        case 1:
          return outdate(process, key, () => process.cache.invalidate(key))
        default:
          return ask(process, key)
      }
    })
    const fibers = yield* Effect.forEach(Array(24), () =>
      Effect.fork(Effect.repeatN(Effect.zipRight(yieldSome(6), act), 4))
    )

    const states: ReadonlyArray<State> = ["up", "frozen", "answers lost", "down"]
    /** A process that dies takes its calls with it; what it holds is never given back. Another one takes its place. */
    const die = Effect.suspend(() => {
      const at = random(processes.length)
      const { line, scope } = processes[at]
      line.cut()
      return Effect.gen(function* () {
        yield* Effect.forkDaemon(Scope.close(scope, Exit.void))
        processes[at] = yield* open(names[at])
      })
    })
    const events = [
      () => advance(1 + random(20)),
      () => Effect.yieldNow(),
      () => Fiber.interruptFork(fibers[random(fibers.length)]),
      ...(kind.breaks
        ? [
            () =>
              Effect.sync(() => {
                const { isDead, line } = processes[random(processes.length)]
                if (!isDead) line.state = states[random(states.length)]
              }),
            () => advance(random(400)),
            () => die
          ]
        : [])
    ]
    for (let step = 0; step < 60; step++) yield* events[random(events.length)]()

    // From here on all is well: every call must be answered by the time that two leases and a lookup take.
    for (const { line } of processes) line.state = "up"
    yield* Effect.repeatN(Effect.yieldNow(), 200)
    for (let time = 0; time < 3 * lease; time += 100) {
      const left = yield* Effect.forEach(fibers, Fiber.poll)
      if (left.every(Option.isSome)) break
      yield* advance(100)
      yield* Effect.repeatN(Effect.yieldNow(), 50)
    }
    yield* Effect.repeatN(Effect.yieldNow(), 200)
    for (const fiber of fibers) {
      if (Option.isSome(yield* Fiber.poll(fiber))) continue
      wrong.push("a caller waits for ever")
      yield* Fiber.interruptFork(fiber)
    }
    for (const process of processes) {
      const { inFlight, waiting } = yield* (process as Process).cache.snapshot
      if (inFlight + waiting !== 0) wrong.push("the counts do not add up")
    }
    for (const key of keys) if (running.get(key) !== 0) wrong.push("a lookup runs that no call waits for")
    for (const { scope } of processes) yield* Effect.forkDaemon(Scope.close(scope, Exit.void))
    yield* Effect.repeatN(Effect.yieldNow(), 100)
    return wrong
  }).pipe(Effect.scoped, Effect.withRandom(Random.make(random(2 ** 30))))

const seeds = runs(6, 75)

const mistakesOf = (kind: Kind, preemptOneIn?: number) =>
  mistakes({ seeds, preemptOneIn }, (interleaving) => story(kind, interleaving))

describe("the shared caches of a fleet under random interleavings", () => {
  it.effect("look a key up once at a time, whichever call fails or leaves, and answer every call", () =>
    Effect.gen(function* () {
      const kind = { fails: true, hands: false, breaks: false }
      assert.deepStrictEqual(yield* mistakesOf(kind), {})
      assert.deepStrictEqual(yield* mistakesOf(kind, 20), {})
    })
  )

  it.effect("serve nothing that was outdated by hand before", () =>
    Effect.gen(function* () {
      const kind = { fails: true, hands: true, breaks: false }
      assert.deepStrictEqual(yield* mistakesOf(kind), {})
      assert.deepStrictEqual(yield* mistakesOf(kind, 20), {})
    })
  )

  it.effect("answer every call, whatever becomes of the store and of other processes", () =>
    Effect.gen(function* () {
      const kind = { fails: true, hands: true, breaks: true }
      assert.deepStrictEqual(yield* mistakesOf(kind), {})
      assert.deepStrictEqual(yield* mistakesOf(kind, 20), {})
    })
  )
})
