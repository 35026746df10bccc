import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Clock,
  Context,
  Effect,
  Either,
  Exit,
  Fiber,
  FiberRef,
  Logger,
  Option,
  TestClock
} from "effect"
import { FailureCondition, Fallback, Policy } from "effect-resilience"
import { interruptedAtEveryStep } from "../support/everyStep.js"
import { timeline } from "../support/virtual.js"

interface Down {
  readonly _tag: "Down"
}
interface Forbidden {
  readonly _tag: "Forbidden"
}
const down: Down = { _tag: "Down" }
const forbidden: Forbidden = { _tag: "Forbidden" }

type Call = Effect.Effect<number, Down | Forbidden>
const fails: Call = Effect.fail(down)

type Options = Fallback.Options<number, Down | Forbidden>

/** The options in the tables have no listeners that need services, which their type does not show. */
const untyped =
  (apply: (self: Call, options: Options) => unknown) =>
  (self: Call, options: Options): Effect.Effect<number, unknown> =>
    apply(self, options) as Effect.Effect<number, unknown>

/** Every verb, falling back to -1 or failing with "instead". */
const verbs: ReadonlyArray<readonly [string, ReturnType<typeof untyped>, Exit.Exit<number, unknown>]> = [
  ["succeed", untyped((self, options) => Fallback.succeed(self, -1, options)), Exit.succeed(-1)],
  ["sync", untyped((self, options) => Fallback.sync(self, () => -1, options)), Exit.succeed(-1)],
  [
    "orElse",
    untyped((self, options) => Fallback.orElse(self, () => Effect.succeed(-1), options)),
    Exit.succeed(-1)
  ],
  ["fail", untyped((self, options) => Fallback.fail(self, () => "instead", options)), Exit.fail("instead")],
  [
    "chain",
    untyped((self, options) =>
      Fallback.chain(self, [() => Effect.fail("first"), () => Effect.succeed(-1)], options)
    ),
    Exit.succeed(-1)
  ]
]

// ------------------------------------------------------------------------------------------------------- when it is used

describe.each(verbs)("Fallback.%s", (_, apply, instead) => {
  const cases: ReadonlyArray<readonly [string, Call, Options["condition"], used: boolean]> = [
    ["a typed error", fails, undefined, true],
    ["a success, not", Effect.succeed(1), undefined, false],
    ["a defect, not", Effect.die("bug"), undefined, false],
    ["a defect, by condition", Effect.die("bug"), { defect: true }, true],
    ["the right defect, by condition", Effect.die("bug"), { defect: (defect) => defect === "bug" }, true],
    ["another defect, not", Effect.die("bug"), { defect: (defect) => defect !== "bug" }, false],
    ["an error beside a defect, not", Effect.ensuring(fails, Effect.die("bug")), undefined, false],
    [
      "an error beside an interruption",
      Effect.failCause(Cause.parallel(Cause.fail(down), Cause.interrupt(fiberId))),
      undefined,
      true
    ],
    [
      "an interruption of itself, not",
      Effect.interrupt,
      { defect: true, error: () => true, result: () => true },
      false
    ],
    [
      "an interrupted child that was joined, not",
      Effect.flatMap(Effect.fork(Effect.never), (child) =>
        Effect.zipRight(Fiber.interrupt(child), Fiber.join(child))
      ),
      undefined,
      false
    ],
    ["an empty cause, not", Effect.failCause(Cause.empty), undefined, false],
    ["a result, by condition", Effect.succeed(503), { result: (status) => status === 503 }, true],
    ["another result, not", Effect.succeed(200), { result: (status) => status === 503 }, false],
    ["an error, beside a condition on results", fails, { result: (status) => status === 503 }, true],
    ["an error by its tag", fails, { tags: ["Down"] }, true],
    ["an error with another tag, not", Effect.fail(forbidden), { tags: ["Down"] }, false],
    ["an error by refinement", fails, { error: (error): error is Down => error._tag === "Down" }, true],
    [
      "an error that refinement leaves, not",
      Effect.fail(forbidden),
      { error: (error): error is Down => error._tag === "Down" },
      false
    ],
    ["an ignored error, not", fails, { ignore: { tags: ["Down"] } }, false],
    ["what a classifier calls a failure", Effect.succeed(1), () => FailureCondition.failure, true],
    ["what a classifier calls none, not", fails, () => FailureCondition.success, false],
    [
      "what one of several conditions says",
      fails,
      FailureCondition.any({ tags: ["Forbidden"] }, { tags: ["Down"] }),
      true
    ]
  ]

  it.effect.each(cases)("is used for %s", ([, call, condition, used]) =>
    Effect.gen(function* () {
      const events: Array<Fallback.FallbackUsed<number, Down | Forbidden>> = []
      const onFallback: Options["onFallback"] = (event) => Effect.sync(() => events.push(event))
      const exit = yield* Effect.exit(apply(call, { condition, onFallback, name: "cold" }))
      const own = yield* Effect.exit(call)
      if (!used) {
        assert.deepStrictEqual(Exit.mapError(exit, String), Exit.mapError(own, String))
        assert.deepStrictEqual(events, [])
        return
      }
      assert.deepStrictEqual(exit, instead)
      assert.strictEqual(events.length, 1)
      const [{ failure, name }] = events
      assert.strictEqual(name, "cold")
      if (failure._tag === "Result") assert.deepStrictEqual(own, Exit.succeed(failure.result))
      else assert.deepStrictEqual(own, Exit.failCause(failure.cause))
    })
  )

  it.effect("leaves an interruption from outside alone", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const onFallback = () => note("used")
      const fiber = yield* Effect.fork(apply(Effect.never, { onFallback, condition: { defect: true } }))
      yield* TestClock.adjust(5)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.deepStrictEqual(log, [])
    })
  )

  it.effect("ends with the error of its listener", () =>
    Effect.gen(function* () {
      const onFallback = () => Effect.fail("listener")
      assert.deepStrictEqual(yield* Effect.exit(apply(fails, { onFallback })), Exit.fail("listener"))
    })
  )

  it.effect("logs a listener that dies, and goes on", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const dying = apply(fails, { name: "cold", onFallback: () => Effect.die("bug") })
      assert.deepStrictEqual(yield* Effect.exit(Effect.provide(dying, Logger.add(logger))), instead)
      assert.deepStrictEqual(logged, [[`a listener of "cold" failed`]])
    })
  )

  it("can be interrupted at every step", () => {
    interruptedAtEveryStep(
      () => apply(Effect.zipRight(Effect.sleep(5), fails), { onFallback: () => Effect.sleep(5) }),
      ({ endedAt, exit, interruptedAt }) => {
        if (interruptedAt !== undefined) assert.strictEqual(endedAt, interruptedAt)
        if (exit === undefined || !Exit.isInterrupted(exit)) assert.deepStrictEqual(exit, instead)
      }
    )
  })
})

const fiberId = Fiber.id(Effect.runFork(Effect.void))

// ----------------------------------------------------------------------------------------------------- what it falls on

describe("both forms of a fallback", () => {
  it.effect("give the same, and can be used again", () =>
    Effect.gen(function* () {
      const pairs = [
        [Fallback.succeed(fails, 7), fails.pipe(Fallback.succeed(7))],
        [Fallback.sync(fails, () => 7), fails.pipe(Fallback.sync(() => 7))],
        [
          Fallback.orElse(fails, () => Effect.succeed(7)),
          fails.pipe(Fallback.orElse(() => Effect.succeed(7)))
        ],
        [
          Fallback.chain(fails, [() => Effect.succeed(7)]),
          fails.pipe(Fallback.chain([() => Effect.succeed(7)]))
        ],
        [Effect.flip(Fallback.fail(fails, () => 7)), Effect.flip(fails.pipe(Fallback.fail(() => 7)))]
      ]
      for (const both of pairs) {
        for (const effect of [...both, ...both]) assert.deepStrictEqual(yield* effect, 7)
      }
    })
  )

  it.effect("fall back to undefined, to null, and to a function", () =>
    Effect.gen(function* () {
      const f = () => 1
      for (const value of [undefined, null, f, [], {}]) {
        assert.strictEqual(yield* fails.pipe(Fallback.succeed(value)), value)
        assert.strictEqual(yield* Fallback.succeed(fails, value), value)
        assert.strictEqual(yield* fails.pipe(Fallback.succeed(value, { name: "cold" })), value)
      }
    })
  )

  it.effect("give back a value that is itself an effect, unrun", () =>
    Effect.gen(function* () {
      for (const value of [
        Effect.die("unrun"),
        Option.none(),
        Option.some(1),
        Either.left("no"),
        Exit.succeed(1)
      ]) {
        assert.strictEqual(yield* fails.pipe(Fallback.succeed(value)), value)
        assert.strictEqual(yield* Fallback.succeed(fails, value), value)
        assert.strictEqual(yield* Fallback.succeed(fails, value, { name: "cold" }), value)
        assert.strictEqual(yield* fails.pipe(Fallback.sync(() => value, { name: "cold" })), value)
      }
    })
  )
})

describe("Fallback.sync", () => {
  it.effect("computes a value for each failure, and none for a success", () =>
    Effect.gen(function* () {
      let computed = 0
      const fallback = Fallback.sync(() => ++computed)
      assert.strictEqual(yield* fallback(Effect.succeed(0)), 0)
      const twice = Effect.all([fallback(fails), fallback(fails)])
      assert.deepStrictEqual(yield* twice, [1, 2])
    })
  )

  const throws = (): never => {
    throw "bug"
  }
  it.effect.each<readonly [string, Effect.Effect<unknown, unknown>]>([
    ["sync", Fallback.sync(fails, throws)],
    ["fail", Fallback.fail(fails, throws)],
    ["orElse", Fallback.orElse(fails, throws)],
    ["the first of chain", Fallback.chain(fails, [throws, () => Effect.succeed(1)])],
    ["the second of chain", Fallback.chain(fails, [() => Effect.fail("no"), throws])],
    ["a condition", Fallback.succeed(fails, 1, { condition: { error: throws } })]
  ])("dies of a function that throws: %s", ([, effect]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Effect.exit(effect), Exit.die("bug"))
    })
  )
})

describe("Fallback.orElse", () => {
  it.effect("is given what failed, and may fail, die or be interrupted itself", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const use = (exit: Exit.Exit<never, string>) => (failure: FailureCondition.Failed<number, unknown>) => {
        seen.push(failure)
        return exit
      }
      const condition = { result: (status: number) => status === 503 }
      for (const exit of [Exit.fail("cache down"), Exit.die("bug"), Exit.interrupt(fiberId)]) {
        assert.deepStrictEqual(yield* Effect.exit(fails.pipe(Fallback.orElse(use(exit)))), exit)
        assert.deepStrictEqual(
          yield* Effect.exit(Fallback.orElse(Effect.succeed(503), use(exit), { condition })),
          exit
        )
      }
      const error = { _tag: "Error", error: down, cause: Cause.fail(down) }
      const result = { _tag: "Result", result: 503 }
      assert.deepStrictEqual(seen, [error, result, error, result, error, result])
    })
  )

  it.effect("is not used for its own failure, nor for its own bad result", () =>
    Effect.gen(function* () {
      let used = 0
      const condition = { result: (status: number) => status === 503 }
      const use = () => Effect.sync(() => (used++, 503))
      assert.strictEqual(yield* Fallback.orElse(Effect.succeed(503), use, { condition }), 503)
      assert.strictEqual(used, 1)
    })
  )

  it.effect("runs in the context and the fiber of the call", () =>
    Effect.gen(function* () {
      class Cache extends Context.Tag("Cache")<Cache, number>() {}
      const ref = FiberRef.unsafeMake("before")
      const call = Effect.zipRight(FiberRef.set(ref, "by the call"), fails).pipe(
        Fallback.orElse(() => Effect.zip(Cache, FiberRef.get(ref)), { onFallback: () => Cache }),
        Effect.provideService(Cache, 7)
      )
      assert.deepStrictEqual(yield* call, [7, "by the call"])
    })
  )
})

describe("Fallback.chain", () => {
  /** Steps with these exits, and which of them ran, with what. */
  const steps = (
    ...exits: readonly [Exit.Exit<number, string>, ...ReadonlyArray<Exit.Exit<number, string>>]
  ) => {
    const ran: Array<number> = []
    const seen = new Set<unknown>()
    const step =
      (exit: Exit.Exit<number, string>, index: number) =>
      (failure: FailureCondition.Failed<unknown, unknown>) =>
        Effect.suspend(() => {
          ran.push(index + 1)
          seen.add(failure)
          return exit
        })
    const [first, ...rest] = exits
    return {
      ran,
      seen,
      chain: [step(first, 0), ...rest.map((exit, index) => step(exit, index + 1))] as const
    }
  }

  const errorAndDefect = Exit.failCause(Cause.sequential(Cause.fail("a"), Cause.die("bug")))
  type Steps = Parameters<typeof steps>
  it.effect.each<readonly [string, Steps, ReadonlyArray<number>, Exit.Exit<number, string>]>([
    ["the first that succeeds", [Exit.succeed(1), Exit.succeed(2)], [1], Exit.succeed(1)],
    ["the next after an error", [Exit.fail("a"), Exit.succeed(2), Exit.succeed(3)], [1, 2], Exit.succeed(2)],
    ["the last error", [Exit.fail("a"), Exit.fail("b"), Exit.fail("c")], [1, 2, 3], Exit.fail("c")],
    ["an only one", [Exit.fail("a")], [1], Exit.fail("a")],
    ["a defect, which stops it", [Exit.fail("a"), Exit.die("bug"), Exit.succeed(3)], [1, 2], Exit.die("bug")],
    ["a defect beside an error, which stops it", [errorAndDefect, Exit.succeed(2)], [1], errorAndDefect],
    [
      "an interruption, which stops it",
      [Exit.interrupt(fiberId), Exit.succeed(2)],
      [1],
      Exit.interrupt(fiberId)
    ]
  ])("ends with %s", ([, exits, expected, outcome]) =>
    Effect.gen(function* () {
      const { chain, ran, seen } = steps(...exits)
      assert.deepStrictEqual(yield* Effect.exit(Fallback.chain(fails, chain)), outcome)
      assert.deepStrictEqual(ran, expected)
      // Each of them gets the first failure.
      assert.strictEqual(seen.size, 1)
      assert.deepStrictEqual([...seen], [{ _tag: "Error", error: down, cause: Cause.fail(down) }])
    })
  )

  it.effect("tells its listener once", () =>
    Effect.gen(function* () {
      const { log, note } = timeline()
      const { chain } = steps(Exit.fail("a"), Exit.fail("b"))
      yield* Effect.exit(Fallback.chain(fails, chain, { onFallback: () => note("used") }))
      assert.deepStrictEqual(log, ["0 used"])
    })
  )

  it.effect("runs thousands of steps", () =>
    Effect.gen(function* () {
      const [first, ...rest] = Array.from({ length: 10_000 }, (_, index) => () => Effect.fail(index))
      assert.deepStrictEqual(yield* Effect.exit(Fallback.chain(fails, [first, ...rest])), Exit.fail(9_999))
    })
  )

  it("has at least one step", () => {
    assert.throws(
      () => Fallback.chain([] as never),
      Policy.InvalidOption,
      `Fallback.chain: option "steps" must be at least one effect, got []`
    )
  })

  it.effect("takes the time of its steps", () =>
    Effect.gen(function* () {
      const call = Fallback.chain(fails, [
        () => Effect.delay(Effect.fail("a"), "1 second"),
        () => Effect.delay(Clock.currentTimeMillis, "2 seconds")
      ])
      const fiber = yield* Effect.fork(call)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), 3000)
    })
  )
})
