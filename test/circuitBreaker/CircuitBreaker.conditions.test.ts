import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, FiberId, Option } from "effect"
import { CircuitBreaker, type FailureCondition, Trip } from "effect-resilience"
import { down, up } from "../support/calls.js"

describe("CircuitBreaker.protectWhen", () => {
  type Failing = { readonly _tag: "Refused" } | { readonly _tag: "BadRequest" }
  type Condition = FailureCondition.FailureCondition<number, Failing>
  type Counted = "success" | "failure" | "ignored"

  const refused = Effect.fail<Failing>({ _tag: "Refused" })
  const badRequest = Effect.fail<Failing>({ _tag: "BadRequest" })
  const defect = Effect.die("bug")
  const isRefused = (error: Failing) => error._tag === "Refused"
  const isServerError = (status: number) => status >= 500
  const both = Effect.failCause(Cause.parallel(Cause.fail<Failing>({ _tag: "BadRequest" }), Cause.die("bug")))

  const table: ReadonlyArray<
    readonly [name: string, Condition, ReadonlyArray<readonly [Effect.Effect<number, Failing>, Counted]>]
  > = [
    [
      "nothing",
      {},
      [
        [Effect.succeed(500), "success"],
        [refused, "failure"],
        [badRequest, "failure"],
        [defect, "failure"],
        [both, "failure"],
        [Effect.interrupt, "ignored"],
        [Effect.failCause(Cause.empty), "ignored"]
      ]
    ],
    [
      "errors",
      { error: isRefused },
      [
        [refused, "failure"],
        [badRequest, "success"],
        [defect, "failure"],
        [both, "failure"],
        [Effect.succeed(500), "success"]
      ]
    ],
    [
      "tags",
      { tags: ["Refused"] },
      [
        [refused, "failure"],
        [badRequest, "success"],
        [defect, "failure"]
      ]
    ],
    [
      "results",
      { result: isServerError },
      [
        [Effect.succeed(500), "failure"],
        [Effect.succeed(200), "success"],
        [badRequest, "failure"]
      ]
    ],
    [
      "defects that are none",
      { defect: false },
      [
        [defect, "ignored"],
        [both, "ignored"],
        [refused, "failure"]
      ]
    ],
    [
      "some defects",
      { defect: (defect) => defect === "bug" },
      [
        [defect, "failure"],
        [Effect.die("other"), "ignored"]
      ]
    ],
    [
      "what to ignore, before everything else",
      { error: isRefused, ignore: { error: isRefused, result: (status) => status === 429 } },
      [
        [refused, "ignored"],
        [badRequest, "success"],
        [Effect.succeed(429), "ignored"],
        [Effect.succeed(200), "success"]
      ]
    ],
    [
      "any of several",
      { any: [{ result: isServerError }, { any: [{ tags: ["Refused"] }, { defect: false }] }] },
      [
        [Effect.succeed(503), "failure"],
        [refused, "failure"],
        [badRequest, "success"],
        [defect, "ignored"]
      ]
    ],
    [
      "a function, which decides alone and is not asked about an interruption",
      (exit) =>
        Exit.isSuccess(exit) && exit.value === 0
          ? { _tag: "Failure", retryAfter: undefined }
          : { _tag: Exit.isSuccess(exit) ? "Ignored" : "Success" },
      [
        [Effect.succeed(0), "failure"],
        [Effect.succeed(500), "ignored"],
        [refused, "success"],
        [defect, "success"],
        [Effect.interrupt, "ignored"]
      ]
    ]
  ]

  for (const [name, condition, calls] of table) {
    it.effect(`counts by a condition of ${name}, and leaves the exit as it is`, () =>
      Effect.gen(function* () {
        for (const [call, expected] of calls) {
          const breaker = yield* CircuitBreaker.make()
          const exit = yield* Effect.exit(breaker.protectWhen(condition)(call))
          assert.deepStrictEqual(exit, yield* Effect.exit(call))
          const { failures, successes } = yield* breaker.snapshot
          const counted = failures === 1 ? "failure" : successes === 1 ? "success" : "ignored"
          assert.strictEqual(counted, expected, JSON.stringify(exit))
          assert.isAtMost(failures + successes, 1)
        }
      })
    )
  }

  it.effect("dies of a condition that throws", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      const bug = new Error("bug in a condition")
      const condition = {
        result: () => {
          throw bug
        }
      }
      assert.deepStrictEqual(yield* Effect.exit(breaker.protectWhen(condition)(up)), Exit.die(bug))
      assert.deepInclude(yield* breaker.snapshot, { successes: 0, failures: 0 })
    })
  )

  it.effect("counts a failed call beside an interrupted one as a failure", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      const call = Effect.all([Effect.never, Effect.yieldNow().pipe(Effect.andThen(down))], {
        concurrency: 2
      })
      const exit = yield* Effect.exit(breaker.protect(call))
      assert.deepStrictEqual(
        Option.getOrThrow(Cause.failureOption(Option.getOrThrow(Exit.causeOption(exit)))),
        "down"
      )
      assert.strictEqual((yield* breaker.snapshot).failures, 1)
    })
  )

  it.effect("ignores causes that hold nothing but interruptions", () =>
    Effect.gen(function* () {
      const id = FiberId.runtime(7, 0)
      const cause = Cause.parallel(
        Cause.interrupt(id),
        Cause.sequential(Cause.interrupt(FiberId.none), Cause.empty)
      )
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      const exit = yield* Effect.exit(breaker.protectWhen(() => ({ _tag: "Success" }))(Exit.failCause(cause)))
      assert.deepStrictEqual(exit, Exit.failCause(cause))
      assert.deepInclude(yield* breaker.snapshot, { state: "closed", successes: 0, failures: 0 })
    })
  )
})
