/**
 * A pipeline means what the same policies mean in a pipe. Compositions and outcomes are generated and run as both, on a clock
 * and a scheduler that are plain queues; then exits, times, listeners and what breakers counted are compared.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Cause } from "effect"
import { Clock, Effect, Exit, FastCheck, Fiber, FiberId, Option, Random, TestClock } from "effect"
import {
  Backoff,
  Bulkhead,
  CircuitBreaker,
  Fallback,
  Hedge,
  Policy,
  RateLimiter,
  Retry,
  Timeout,
  Trip
} from "effect-resilience"
import { runToEnd } from "../support/everyStep.js"
import { runLive } from "../support/live.js"
import { runs } from "../support/runs.js"

type Body = Effect.Effect<unknown, unknown>
type Apply = (self: Body) => Body

const piped = (policies: ReadonlyArray<Apply>): Apply => {
  return (self) => policies.reduce((inner, policy) => policy(inner), self)
}
const composed = Policy.pipeline as (...policies: ReadonlyArray<Apply>) => Apply
const inPipeline = (policies: ReadonlyArray<Apply>): Apply => composed(...policies)
/** Pipelines in a pipeline: the two halves, if there are two. */
const inPipelines = (policies: ReadonlyArray<Apply>): Apply =>
  policies.length < 2
    ? composed(...policies)
    : composed(composed(policies[0]), composed(...policies.slice(1)))

// ----------------------------------------------------------------------------------------------------------- generated

const kinds = ["timeout", "breaker", "retry", "fallback", "bulkhead", "limiter", "hedge", "plain"] as const

interface Spec {
  readonly kind: (typeof kinds)[number]
  readonly heard: boolean
  readonly conditional: boolean
  /** What else there is to choose; what it decides depends on the kind. */
  readonly choice: number
}

const ends = ["succeed", "odd", "fail", "fail", "die", "interrupt", "interruptItself"] as const

interface Step {
  readonly millis: number
  readonly end: (typeof ends)[number]
}

interface Case {
  readonly specs: ReadonlyArray<Spec>
  readonly steps: ReadonlyArray<Step>
  /** When each call begins, after the one before began. */
  readonly gaps: ReadonlyArray<number>
  readonly interruptedAt: number | undefined
}

const spec = (of: ReadonlyArray<Spec["kind"]>): FastCheck.Arbitrary<Spec> =>
  FastCheck.record({
    kind: FastCheck.constantFrom(...of),
    heard: FastCheck.boolean(),
    conditional: FastCheck.boolean(),
    choice: FastCheck.nat(3)
  })

/** Half of the outcomes wait for nothing. */
const millis = FastCheck.oneof(FastCheck.constant(0), FastCheck.integer({ min: 1, max: 15 }))

const cases = (of: ReadonlyArray<Spec["kind"]>): FastCheck.Arbitrary<Case> =>
  FastCheck.record({
    specs: FastCheck.array(spec(of), { minLength: 1, maxLength: 5 }),
    steps: FastCheck.array(
      FastCheck.record({
        millis,
        end: FastCheck.constantFrom(...ends)
      }),
      { minLength: 1, maxLength: 6 }
    ),
    gaps: FastCheck.array(millis, { minLength: 1, maxLength: 4 }),
    interruptedAt: FastCheck.option(FastCheck.integer({ min: 0, max: 30 }), { nil: undefined })
  })

// ---------------------------------------------------------------------------------------------------------------- a run

const isOdd = (result: unknown): boolean => {
  if (result === 3) throw new Error("the condition")
  return result === "odd"
}

type Together = (policies: ReadonlyArray<Apply>) => Apply

const prepared = ({ gaps, interruptedAt, specs, steps }: Case, together: Together) => {
  const log: Array<string> = []
  const note = (what: string) => Effect.map(Clock.currentTimeMillis, (now) => void log.push(`${now} ${what}`))
  const shownEvent = (event: unknown) => JSON.stringify(event, (_, value: unknown) => shownValue(value))

  const program = Effect.gen(function* () {
    const breakers: Array<CircuitBreaker.CircuitBreaker> = []
    const breaker = (heard: boolean, which: number) =>
      Effect.gen(function* () {
        const listen = (what: string) => (event: unknown) =>
          note(`breaker ${which} ${what} ${shownEvent(event)}`)
        return (breakers[which] ??= yield* CircuitBreaker.make({
          name: `breaker ${which}`,
          trip: Trip.consecutive(2),
          openFor: 20,
          ...(heard && {
            onStateChange: listen("change"),
            onFailure: listen("failure"),
            onSuccess: listen("success"),
            onRejected: listen("rejected")
          })
        }))
      })

    const build = ({ choice, conditional, heard, kind }: Spec, position: number) =>
      Effect.gen(function* () {
        const listen = (what: string) => (event: unknown) =>
          note(`${kind} ${position} ${what} ${shownEvent(event)}`)
        const condition = { condition: { result: isOdd, defect: choice % 2 === 0 } }
        switch (kind) {
          case "timeout":
            return Timeout.timeout({
              limit: choice * 5,
              disconnect: conditional && choice === 1,
              ...(heard && { onTimeout: listen("timeout") })
            })
          case "breaker": {
            const { protect, protectWhen } = yield* breaker(heard, choice % 2)
            return conditional ? protectWhen<unknown, unknown>(condition.condition) : protect
          }
          case "retry":
            return retry({
              times: choice,
              schedule: Backoff.constant({ delay: choice === 2 ? 7 : 0 }),
              ...(choice === 3 && { exceeded: "wrap" as const }),
              ...(conditional && condition),
              ...(conditional && choice === 1 && { disposeResult: listen("disposed") }),
              ...(heard && {
                onRetry: listen("retry"),
                onRetryScheduled: listen("scheduled"),
                onExceeded: listen("exceeded")
              })
            })
          case "fallback": {
            const options = {
              ...(conditional && condition),
              ...(heard && { onFallback: listen("fallback") })
            }
            return fallback(choice, options)
          }
          case "bulkhead":
            return (yield* Bulkhead.make({ permits: 1, maxQueued: choice })).protect
          case "limiter":
            return (yield* RateLimiter.make({
              rate: RateLimiter.bursty({ limit: choice + 1, per: 10 }),
              maxWait: conditional ? 10 : 0
            })).protect
          case "hedge":
            return Hedge.hedge({ delay: choice * 3 })
          case "plain":
            return (self: Body): Body =>
              Effect.onExit(self, (exit) => note(`plain ${position} ${shown(exit)}`))
        }
      })

    const policies = (yield* Effect.forEach(specs, build)) as ReadonlyArray<Apply>
    let runs = 0
    const body = Effect.suspend((): Body => {
      const run = runs++
      const { end, millis } = steps[run % steps.length]
      const endings: Record<Step["end"], Body> = {
        succeed: Effect.succeed(run),
        odd: Effect.succeed("odd"),
        fail: Effect.fail(`failed ${run}`),
        die: Effect.die(`died ${run}`),
        interrupt: Effect.interrupt,
        // Seen by whatever is asked in the same step, and by nothing after it.
        interruptItself: Effect.sync(() => {
          Option.getOrThrow(Fiber.getCurrentFiber()).unsafeInterruptAsFork(FiberId.none)
          return run
        })
      }
      return Retry.CurrentAttempt.pipe(
        Effect.flatMap(({ number }) => note(`body ${run}, attempt ${number}`)),
        Effect.zipRight(
          millis === 0
            ? Effect.void
            : Effect.onInterrupt(Effect.sleep(millis), () => note(`body ${run} interrupted`))
        ),
        Effect.zipRight(endings[end])
      )
    })
    const call = together(policies)(body)
    const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
    for (const [index, gap] of gaps.entries()) {
      if (gap > 0) yield* Effect.sleep(gap)
      const noted = Effect.onExit(call, (exit) => note(`call ${index} ${shown(exit)}`))
      fibers.push(yield* Effect.forkDaemon(noted))
    }
    if (interruptedAt !== undefined) {
      yield* Effect.sleep(interruptedAt)
      yield* Fiber.interruptFork(fibers[0])
    }
    const exits = yield* Effect.forEach(fibers, Fiber.await)
    const snapshots = yield* Effect.forEach(breakers.filter(Boolean), ({ snapshot }) => snapshot)
    return [exits.map(shown), snapshots] as const
  }).pipe(Effect.withRandom(Random.make("pipeline")))
  return { log, program }
}

const told = (generated: Case, together: Together) => {
  const { log, program } = prepared(generated, together)
  const { endedAt, exit, quietAt } = runToEnd(program)
  return { log, endedAt, quietAt, ended: exit !== undefined && Exit.isSuccess(exit) ? exit.value : exit }
}

/** The same on the live clock, where a timeout shares a frame too. */
const toldLive = (generated: Case, together: Together) =>
  runLive(async () => {
    const { log, program } = prepared(generated, together)
    const exit = await Effect.runPromiseExit(program)
    return merged(JSON.stringify([log, Date.now(), Exit.isSuccess(exit) ? exit.value : exit], undefined, 1))
  })

const retry = Retry.retry as unknown as (options: Retry.Options<unknown, unknown>) => Apply

const fallback = (choice: number, options: Fallback.Options<unknown, unknown>): Apply => {
  const fallbacks: ReadonlyArray<unknown> = [
    Fallback.succeed("instead", options),
    Fallback.fail(() => "no fallback", options),
    Fallback.orElse(() => Effect.zipRight(Effect.sleep(3), Effect.succeed("odd")), options),
    Fallback.chain([() => Effect.fail("no mirror"), () => Effect.die("no cache")], options)
  ]
  return fallbacks[choice] as Apply
}

/** What happened, not to whom: the fibers of two runs have different ids. */
const shown = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? `succeeded ${shownValue(exit.value)}` : shownCause(exit.cause)

const shownCause = (cause: Cause.Cause<unknown>): string => {
  switch (cause._tag) {
    case "Empty":
      return "empty"
    case "Fail":
      return `failed ${shownValue(cause.error)}`
    case "Die":
      return `died ${String(cause.defect)}`
    case "Interrupt":
      return "interrupted"
    case "Parallel":
    case "Sequential":
      return `${cause._tag}(${shownCause(cause.left)}, ${shownCause(cause.right)})`
  }
}

/** At the end of each mask the interruption that is pending is added once more, and a frame that they share has one mask. */
const merged = (text: string): string => {
  const once = text
    .replaceAll("Sequential(empty, interrupted)", "interrupted")
    .replaceAll(/Sequential\((interrupted|Sequential\([^()]*, interrupted\)), interrupted\)/g, "$1")
  return once === text ? text : merged(once)
}

const shownValue = (value: unknown): unknown =>
  value instanceof Error
    ? `${value.name} ${JSON.stringify(value, (_, nested: unknown) => (nested === value ? { ...value } : shownValue(nested)))}`
    : Exit.isExit(value)
      ? shown(value)
      : typeof value === "object" && value !== null && "cause" in value
        ? { ...value, cause: undefined }
        : value

// ---------------------------------------------------------------------------------------------------------- comparison

const agrees = (of: ReadonlyArray<Spec["kind"]>, form = inPipeline) => {
  // Where a frame has no mask, causes are the same to the letter.
  const show = (seen: unknown) => (of === kinds ? merged(JSON.stringify(seen, undefined, 1)) : seen)
  return FastCheck.assert(
    FastCheck.property(cases(of), (generated) =>
      assert.deepStrictEqual(show(told(generated, form)), show(told(generated, piped)))
    ),
    { numRuns: runs(40, 5000) }
  )
}

describe("a pipeline does what its policies do in a pipe", () => {
  it("when all share a frame", () => agrees(["breaker", "retry", "fallback"]))
  it("when a timeout is innermost", () => agrees(["timeout", "breaker", "retry", "fallback"]))
  it("for any policies", () => agrees(kinds))
  it("when it contains pipelines", () => agrees(kinds, inPipelines))
  it.each<[string, ReadonlyArray<Spec["kind"]>]>([
    ["when all share a frame", ["timeout", "breaker", "retry", "fallback"]],
    ["when some hold permits", ["timeout", "breaker", "bulkhead", "limiter", "retry"]],
    ["for any policies", kinds]
  ])("on the live clock, %s", (_, of) =>
    FastCheck.assert(
      FastCheck.asyncProperty(cases(of), async (generated) =>
        assert.deepStrictEqual(await toldLive(generated, inPipeline), await toldLive(generated, piped))
      ),
      { numRuns: runs(40, 2000) }
    )
  )
})

// ------------------------------------------------------------------------------------------------------- what it says

describe("the description of a pipeline", () => {
  const timeout = Timeout.timeout("2 seconds")
  const retry = Retry.retry({ times: 2 })
  const fallback = Fallback.succeed("cold", { name: "cold" })
  const orDie = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.orDie(self)

  it("says what it is made of", () => {
    const pipeline = Policy.pipeline(timeout, retry)
    assert.strictEqual(pipeline.kind, "pipeline")
    assert.strictEqual(pipeline.name, "pipeline")
    assert.deepStrictEqual(pipeline.parts, [timeout, retry])
    assert.strictEqual(pipeline.settings.parts, pipeline.parts)
  })

  it("has a line for each policy, the outermost first", () => {
    const inner = Policy.pipeline(timeout, retry)
    const outer = ['function "orDie"()', 'fallback "cold"(with: succeed)']
    const retryLine =
      "retry(times: 2, schedule: exponential(base: 100ms, factor: 2, max: 10s, jitter: full), maxHint: 10s)"
    for (const pipeline of [
      Policy.pipeline(timeout, retry, fallback, orDie),
      Policy.pipeline(inner, Policy.pipeline(fallback, orDie))
    ]) {
      assert.deepStrictEqual(Policy.describe(pipeline).split("\n"), [
        "pipeline",
        ...[...outer, retryLine, "timeout(limit: 2s)"].map((line) => `  ${line}`)
      ])
    }
    assert.strictEqual(
      Policy.describe(fallback, inner),
      ['fallback "cold"(with: succeed)', "pipeline", `  ${retryLine}`, "  timeout(limit: 2s)"].join("\n")
    )
    const named = Policy.make({ kind: "pipeline", name: "partner", settings: inner.settings }, inner)
    assert.deepStrictEqual(Policy.describe(Policy.pipeline(named, fallback, orDie)).split("\n"), [
      "pipeline",
      ...outer.map((line) => `  ${line}`),
      '  pipeline "partner"',
      `    ${retryLine}`,
      "    timeout(limit: 2s)"
    ])
  })

  it("makes a pipeline from a list of policies only", () => {
    const listed = { kind: "pipeline", name: "pipeline", settings: { parts: ["timeout"] } }
    assert.strictEqual(Policy.describe(listed), "pipeline(parts: [timeout])")
  })

  it("needs at least one policy", () => {
    const message = 'Policy.pipeline: option "policies" must be at least one policy, got []'
    assert.throws(() => composed(), Policy.InvalidOption, message)
  })
})

// ------------------------------------------------------------------------------------------------- breakers from layers

describe("a pipeline with the breaker of a service", () => {
  class Partner extends CircuitBreaker.Tag("PipelinePartner")<Partner>() {}
  const layer = Partner.layer({ trip: Trip.consecutive(2), openFor: "1 hour" })
  const fails = Effect.fail("down")
  const resilient = (condition: { readonly error: (error: unknown) => boolean }) =>
    Policy.pipeline(
      Timeout.timeout("1 second"),
      Partner.protectWhen<unknown, unknown>(condition) as typeof Partner.protect,
      Partner.protect,
      Fallback.fail(({ error }) => (Policy.isRejection(error) ? "rejected" : error))
    )

  it.effect("counts in it, and is rejected by it", () =>
    Effect.gen(function* () {
      const call = resilient({ error: () => true })(fails)
      assert.strictEqual(yield* Effect.flip(call), "down")
      assert.strictEqual((yield* Partner.snapshot).failures, 1)
      assert.strictEqual(yield* Effect.flip(call), "down")
      assert.strictEqual(yield* Partner.state, "open")
      assert.strictEqual(yield* Effect.flip(call), "rejected")
    }).pipe(Effect.provide(layer))
  )

  it.effect("takes the one that is there at the call", () =>
    Effect.gen(function* () {
      const call = Policy.pipeline(Partner.protect, Retry.retry({ times: 0 }))(fails)
      const counted = Effect.zipRight(
        Effect.exit(call),
        Effect.map(Partner.snapshot, ({ failures }) => failures)
      )
      assert.strictEqual(yield* Effect.provide(counted, layer), 1)
      assert.strictEqual(yield* Effect.provide(counted, layer), 1)
    })
  )

  it.effect("takes one that was made elsewhere as it is", () =>
    Effect.gen(function* () {
      const protect = Policy.make(
        { kind: "none", name: "none", settings: {} },
        <A, E, R>(self: Effect.Effect<A, E, R>) => self
      )
      const breaker = { ...(yield* CircuitBreaker.make()), protect }
      const call = Policy.pipeline(Partner.protect, Fallback.succeed("instead"))(fails)
      assert.strictEqual(yield* Effect.provideService(call, Partner, breaker), "instead")
    })
  )

  it.effect("fails where a condition cannot be read, for those further out to see", () =>
    Effect.gen(function* () {
      let reads = 0
      const unreadable = {
        get error() {
          if (reads++ > 0) throw new Error("unreadable")
          return () => true
        }
      }
      const seen = { condition: { defect: true } }
      const call = Policy.pipeline(
        Partner.protectWhen<string, string>(unreadable),
        Fallback.succeed("instead", seen) as Fallback.Fallback<string>
      )(fails)
      assert.strictEqual(yield* call, "instead")
    }).pipe(Effect.provide(layer))
  )
})

describe("very many policies", () => {
  const nested = runs(500, 2000)
  const deep = runs(2000, 5000)
  const kinds: Record<string, Effect.Effect<() => Apply>> = {
    timeouts: Effect.succeed(() => Timeout.timeout("1 minute")),
    retries: Effect.succeed(() => Retry.retry({ times: 0 })),
    fallbacks: Effect.succeed(() => Fallback.succeed("default")),
    "calls of one breaker": Effect.map(
      CircuitBreaker.make(),
      ({ protect }) =>
        () =>
          protect
    ),
    breakers: Effect.succeed(() => Effect.runSync(CircuitBreaker.make()).protect),
    bulkheads: Effect.succeed(() => Effect.runSync(Bulkhead.make({ permits: 1 })).protect)
  }
  it.effect("may contain the same circuit breaker a hundred thousand times", () =>
    Effect.gen(function* () {
      const { protect } = yield* CircuitBreaker.make()
      const twice = Policy.pipeline(protect, protect)
      const pipeline = Array.from({ length: 10 }).reduce<typeof twice>(
        (inner) => Policy.pipeline(inner, inner, inner),
        twice
      )
      assert.strictEqual(yield* pipeline(Effect.succeed("up")), "up")
    })
  )

  for (const [kind, made] of Object.entries(kinds)) {
    it.effect(`may be nested ${nested} pipelines deep: ${kind}`, () =>
      Effect.gen(function* () {
        const make = yield* made
        let pipeline = composed(make())
        for (let depth = 1; depth < nested; depth++) pipeline = composed(pipeline, make())
        assert.strictEqual(Policy.describe(pipeline).split("\n").length, nested + 1)
        const fiber = yield* Effect.fork(pipeline(Effect.succeed("done")))
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Fiber.join(fiber), "done")
      })
    )

    it.effect(`may be piped ${deep} deep: ${kind}`, () =>
      Effect.gen(function* () {
        const make = yield* made
        let call: Body = Effect.succeed("done")
        for (let depth = 0; depth < deep; depth++) call = make()(call)
        const fiber = yield* Effect.fork(call)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Fiber.join(fiber), "done")
      })
    )
  }
})
