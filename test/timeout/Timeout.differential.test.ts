/**
 * A limit means what `Effect.timeout` means, in every form in which it is enforced. Programs are generated and run under
 * both, on a clock and a scheduler that are plain queues; then exits, times, FiberRefs and the order in which everything
 * happened are compared.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, FastCheck, Fiber, FiberRef, HashSet, type Scope } from "effect"
import { withLimit } from "../../src/timeout/limit.js"
import { adopted, forked, leftBehind } from "../../src/timeout/childFiber.js"
import type { Limit } from "../../src/timeout/deadline.js"
import type { Body, Restore } from "../../src/internal/erased.js"
import { type Insides, insidesOf } from "../../src/internal/fiber.js"
import { runToEnd, World, WorldOfTimers } from "../support/everyStep.js"
import { runLive } from "../support/live.js"
import { runs } from "../support/runs.js"

// ------------------------------------------------------------------------------------------------------------- programs

const leaves = ["succeed", "fail", "die", "interrupt", "sleep", "yield", "note", "set", "get"] as const
const wrappers = ["exit", "mask", "uninterruptible", "interruptible", "locally", "scoped", "use"] as const
const forks = ["fork", "forkDaemon", "forkScoped"] as const
const pairs = ["then", "catchAll", "ensuring", "onInterrupt", "race", "both"] as const

type Program =
  | { readonly is: (typeof leaves)[number]; readonly millis: number }
  | { readonly is: (typeof wrappers)[number]; readonly first: Program }
  | { readonly is: (typeof forks)[number] | "limit"; readonly millis: number; readonly first: Program }
  | { readonly is: (typeof pairs)[number]; readonly first: Program; readonly second: Program }

const programs = (millis: FastCheck.Arbitrary<number>): FastCheck.Arbitrary<Program> => {
  const { oneof, record } = FastCheck
  const one = <const A>(of: ReadonlyArray<A>) => FastCheck.constantFrom(...of)
  return FastCheck.letrec<{ program: Program }>((tie) => {
    const first = tie("program")
    return {
      program: oneof(
        { maxDepth: 6, withCrossShrink: true },
        { weight: 12, arbitrary: record({ is: one(leaves), millis }) },
        { weight: 6, arbitrary: record({ is: one(wrappers), first }) },
        { weight: 5, arbitrary: record({ is: one(forks), millis, first }) },
        { weight: 8, arbitrary: record({ is: FastCheck.constant("limit" as const), millis, first }) },
        { weight: 6, arbitrary: record({ is: FastCheck.constant("then" as const), first, second: first }) },
        { weight: 8, arbitrary: record({ is: one(pairs), first, second: first }) }
      )
    }
  }).program
}

/** The same program with times of which no two are equal, nor any of their sums, if chance is kind. */
const apart = (program: Program): Program => {
  let count = 0
  const spread = (of: Program): Program => ({
    ...of,
    ...("millis" in of ? { millis: of.millis * 10_000 + ((++count * 815_237_893) % 9973) } : {}),
    ...("first" in of ? { first: spread(of.first) } : {}),
    ...("second" in of ? { second: spread(of.second) } : {})
  })
  return spread(program)
}

interface Case {
  readonly program: Program
  readonly interruptedAt: number | undefined
}

interface How {
  readonly show: (exit: Exit.Exit<unknown, unknown>) => string
  readonly world: () => World
}

type Timeout = <A, R>(self: Effect.Effect<A, string, R>, millis: number) => Effect.Effect<A, string, R>

/** A program as an effect, and all that can be seen of it while it runs. */
const prepared = (
  { interruptedAt, program }: Case,
  timeout: Timeout,
  show: (exit: Exit.Exit<unknown, unknown>) => string
) => {
  const log: Array<string> = []
  const ref = FiberRef.unsafeMake(0)
  const note = (what: string) => Effect.map(Clock.currentTimeMillis, (now) => void log.push(`${now} ${what}`))
  const noteRef = FiberRef.getWith(ref, (value) => note(`ref ${value}`))

  const run = (of: Program): Effect.Effect<unknown, string, Scope.Scope> => {
    switch (of.is) {
      case "succeed":
      case "sleep":
        return Effect.sleep(of.millis)
      case "fail":
        return Effect.zipRight(Effect.sleep(of.millis), Effect.fail(`failed ${of.millis}`))
      case "die":
        return Effect.zipRight(Effect.sleep(of.millis), Effect.die(`died ${of.millis}`))
      case "interrupt":
        return Effect.zipRight(Effect.sleep(of.millis), Effect.interrupt)
      case "yield":
        return Effect.zipRight(Effect.sleep(of.millis), Effect.yieldNow())
      case "note":
        return Effect.zipRight(Effect.sleep(of.millis), note(`note ${of.millis}`))
      case "set":
        return Effect.zipRight(Effect.sleep(of.millis), FiberRef.set(ref, of.millis))
      case "get":
        return Effect.zipRight(Effect.sleep(of.millis), noteRef)
      case "exit":
        return Effect.tap(Effect.exit(run(of.first)), (exit) => note(`exit ${show(exit)}`))
      case "mask":
        return Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(Effect.exit(restore(run(of.first))), (exit) =>
            Effect.zipRight(note(`mask ${show(exit)}`), exit)
          )
        )
      case "uninterruptible":
        return Effect.uninterruptible(run(of.first))
      case "interruptible":
        return Effect.interruptible(run(of.first))
      case "locally":
        return Effect.zipRight(Effect.locally(run(of.first), ref, -1), noteRef)
      case "scoped":
        return Effect.zipRight(
          Effect.addFinalizer((exit) => note(`closed ${show(exit)}`)),
          run(of.first)
        ).pipe(Effect.scoped)
      case "use":
        return Effect.acquireUseRelease(
          note("acquired"),
          () => run(of.first),
          (_, exit) => note(`released ${show(exit)}`)
        )
      case "fork":
        return Effect.zipRight(Effect.fork(run(of.first)), Effect.sleep(of.millis))
      case "forkDaemon":
        return Effect.zipRight(Effect.forkDaemon(run(of.first)), Effect.sleep(of.millis))
      case "forkScoped":
        return Effect.zipRight(Effect.forkScoped(run(of.first)), Effect.sleep(of.millis))
      case "limit":
        return timeout(run(of.first), of.millis)
      case "then":
        return Effect.zipRight(run(of.first), run(of.second))
      case "catchAll":
        return Effect.catchAll(run(of.first), (error) =>
          Effect.zipRight(note(`caught ${error}`), run(of.second))
        )
      case "ensuring":
        return Effect.ensuring(
          run(of.first),
          Effect.zipRight(Effect.ignore(run(of.second)), note("finalized"))
        )
      case "onInterrupt":
        return Effect.onInterrupt(run(of.first), () =>
          Effect.zipRight(Effect.ignore(run(of.second)), note("interrupted"))
        )
      case "race":
        return Effect.race(run(of.first), run(of.second))
      case "both":
        return both(run(of.first), run(of.second))
    }
  }

  const call = Effect.interruptible(run(program)).pipe(
    Effect.exit,
    Effect.tap((exit) => Effect.zipRight(note(`ended ${show(exit)}`), noteRef)),
    Effect.flatten,
    Effect.scoped
  )
  const whole = Effect.gen(function* () {
    const fiber = yield* Effect.forkDaemon(call)
    if (interruptedAt !== undefined) {
      yield* Effect.sleep(interruptedAt)
      yield* Fiber.interruptFork(fiber)
    }
    return [show(yield* Fiber.await(fiber)), yield* Clock.currentTimeMillis] as const
  })
  return { log, whole }
}

/** Runs a program to its end, and tells all that can be seen of it. */
const told = (one: Case, timeout: Timeout, { show, world }: How) => {
  const { log, whole } = prepared(one, timeout, show)
  const { exit, quietAt } = runToEnd(whole, world())
  const [result, endedAt] = exit !== undefined && Exit.isSuccess(exit) ? exit.value : ["never ended", NaN]
  return { result, endedAt, quietAt, log }
}

/** The same on the live clock. */
const toldLive = (one: Case, timeout: Timeout) =>
  runLive(async () => {
    const { log, whole } = prepared(one, timeout, shown)
    const [result, endedAt] = await Effect.runPromise(whole)
    return { result, endedAt, log }
  })

/**
 * Both in fibers, as in `Effect.all`. That itself will not do: inside of it `Effect.timeout` is deaf to interruption, and
 * waits for its limit.
 */
const both = <A, E, R>(first: Effect.Effect<A, E, R>, second: Effect.Effect<A, E, R>) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.zip(Effect.fork(restore(first)), Effect.fork(restore(second))), (fibers) =>
      restore(Effect.zip(Fiber.join(fibers[0]), Fiber.join(fibers[1]))).pipe(
        Effect.ensuring(Fiber.interruptAll(fibers))
      )
    )
  )

/** What happened, not to whom: the fibers of two runs have different ids. */
const shown = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "succeeded"
  const { cause } = exit
  const interrupted = HashSet.size(Cause.interruptors(cause)) > 0 ? ["interrupted"] : []
  return [...new Set([...Cause.failures(cause), ...Cause.defects(cause), ...interrupted])].join()
}

// ---------------------------------------------------------------------------------------------------------------- forms

const limited = (millis: number): Limit<never, string, never> => ({
  millis,
  disconnect: false,
  onTimeout: () => Effect.fail(`took longer than ${millis}`)
})

const reference: Timeout = (self, millis) =>
  Effect.timeoutFail(self, { duration: millis, onTimeout: () => `took longer than ${millis}` })

const chosen: Timeout = (self, millis) => withLimit(self, limited(millis))

/** A form that is enforced inside a mask, with the types of the call. */
const inside = (form: (fiber: Insides, restore: Restore, self: Body, millis: number) => Body): Timeout =>
  ((self: Body, millis: number): Body =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiberRuntime((fiber) => form(insidesOf(fiber) ?? assert.fail(), restore, self, millis))
    )) as Timeout

const childFiber = inside((fiber, restore, self, millis) => adopted(fiber, restore, self, limited(millis)))

const forkedWith = (disconnect: boolean): Timeout =>
  inside((fiber, restore, self, millis) => forked(fiber, restore, self, { ...limited(millis), disconnect }))

/** What is left where the inside of a fiber is not known. */
const onlyForked = forkedWith(false)

const left = inside((fiber, restore, self, millis) =>
  leftBehind(fiber, restore, self, { ...limited(millis), disconnect: true })
)

// ----------------------------------------------------------------------------------------------------------- comparison

const agrees = (timeout: Timeout, times: FastCheck.Arbitrary<Case>, how: Partial<How> = {}) => {
  const { show = shown, world = () => new World() } = how
  return FastCheck.assert(
    FastCheck.property(times, (one) =>
      assert.deepStrictEqual(
        told(one, timeout, { show, world }),
        told(one, reference, { show, world: () => new World() })
      )
    ),
    { numRuns: runs(150, 5000) }
  )
}

const millis = FastCheck.integer({ min: 1, max: 30 })

const atDifferentTimes: FastCheck.Arbitrary<Case> = FastCheck.record({
  program: programs(millis).map(apart),
  interruptedAt: FastCheck.option(
    millis.map((time) => time * 10_000 + 9_991),
    { nil: undefined }
  )
})

/** Whether everything happens in one fiber. Among several, how many turns each step takes decides who is first. */
const isAlone = (program: Program): boolean =>
  !["race", "both", ...forks].includes(program.is) &&
  (!("first" in program) || isAlone(program.first)) &&
  (!("second" in program) || isAlone(program.second))

const few = FastCheck.constantFrom(10, 20, 30)

const atTheSameTimes: FastCheck.Arbitrary<Case> = FastCheck.record({
  program: programs(few).filter(isAlone),
  interruptedAt: FastCheck.option(few, { nil: undefined })
})

const mentions = (program: Program, kind: Program["is"]): boolean =>
  program.is === kind ||
  ("first" in program && mentions(program.first, kind)) ||
  ("second" in program && mentions(program.second, kind))

/** What only runs for a mere interruption tells whether there was a defect beside it. */
const withoutTellingDefects = atDifferentTimes.filter(
  ({ program }) => !(mentions(program, "onInterrupt") && mentions(program, "die"))
)

describe("Timeout.timeout agrees with Effect.timeout", () => {
  it("in the form that it chooses", () => agrees(chosen, atDifferentTimes))
  it("when called in a child fiber", () => agrees(childFiber, atDifferentTimes))
  it("in the form that it chooses, for events at the same instant", () => agrees(chosen, atTheSameTimes))
  it("when called in a child fiber, for events at the same instant", () => agrees(childFiber, atTheSameTimes))

  // The caller and what it leaves behind go on in the same moment, and how many turns each step takes decides who is first.
  const inAnyOrder = <Story extends { readonly log: ReadonlyArray<string> }>(story: Story) => ({
    ...story,
    log: [...story.log].sort()
  })

  it("when it disconnects, with and without access to private parts of the fiber", () =>
    FastCheck.assert(
      FastCheck.property(atDifferentTimes, (one) => {
        const how = { show: shown, world: () => new World() }
        assert.deepStrictEqual(inAnyOrder(told(one, left, how)), inAnyOrder(told(one, forkedWith(true), how)))
      }),
      { numRuns: runs(150, 5000) }
    ))

  // Interrupted from outside it stops its timer, and so never drops what else went wrong.
  const butForDefects = (exit: Exit.Exit<unknown, unknown>) =>
    Exit.isInterrupted(exit) ? "interrupted" : shown(exit)

  it("when it always forks, except for the defects of what was interrupted", () =>
    agrees(onlyForked, withoutTellingDefects, { show: butForDefects }))

  it("on the live clock, in every form", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(atDifferentTimes, async (one) => {
        const expected = await toldLive(one, reference)
        assert.deepStrictEqual(await toldLive(one, chosen), expected)
        assert.deepStrictEqual(await toldLive(one, childFiber), expected)
        assert.deepStrictEqual(
          inAnyOrder(await toldLive(one, left)),
          inAnyOrder(await toldLive(one, forkedWith(true)))
        )
      }),
      { numRuns: runs(40, 500) }
    ))

  describe("on a clock that has timers", () => {
    const world = () => new WorldOfTimers()
    it("in the form that it chooses", () => agrees(chosen, atDifferentTimes, { world }))
    it("when called in a child fiber", () => agrees(childFiber, atDifferentTimes, { world }))
    it("in the form that it chooses, for events at the same instant", () =>
      agrees(chosen, atTheSameTimes, { world }))
    it("when called in a child fiber, for events at the same instant", () =>
      agrees(childFiber, atTheSameTimes, { world }))
    it("when it always forks, except for the defects of what was interrupted", () =>
      agrees(onlyForked, withoutTellingDefects, { show: butForDefects, world }))
  })
})
