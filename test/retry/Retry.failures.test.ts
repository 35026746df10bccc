import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Schedule } from "effect"
import { Retry } from "effect-resilience"
import { retried, scripted } from "../support/virtual.js"

describe("the condition of a retry", () => {
  const twice = { times: 2, schedule: Schedule.forever }

  it.effect.each<readonly [string, Effect.Effect<number, string>, Retry.Options<number, string>, number]>([
    ["a typed error", Effect.fail("down"), twice, 3],
    ["a defect, not", Effect.die("bug"), twice, 1],
    ["a defect, when the condition says so", Effect.die("bug"), { ...twice, condition: { defect: true } }, 3],
    [
      "a defect, when it is the right one",
      Effect.die("bug"),
      { ...twice, condition: { defect: (d) => d === 1 } },
      1
    ],
    ["an error beside a defect, not", Effect.ensuring(Effect.fail("down"), Effect.die("bug")), twice, 1],
    [
      "a defect beside an error",
      Effect.ensuring(Effect.fail("down"), Effect.die("bug")),
      { ...twice, condition: { defect: true } },
      3
    ],
    ["an interruption of itself, not", Effect.interrupt, { ...twice, condition: { defect: true } }, 1],
    [
      "an interrupted child that was joined, not",
      Effect.flatMap(Effect.fork(Effect.never), (child) =>
        Effect.zipRight(Fiber.interrupt(child), Fiber.join(child))
      ),
      twice,
      1
    ],
    [
      "an error that interrupted its sibling",
      Effect.as(Effect.all([Effect.never, Effect.fail("down")], { concurrency: 2 }), 1),
      twice,
      3
    ],
    [
      "an error with an interruption after it",
      Effect.failCause(
        Cause.sequential(Cause.fail("down"), Cause.interrupt(Fiber.id(Effect.runFork(Effect.void))))
      ),
      twice,
      3
    ],
    [
      "an error the condition leaves out, not",
      Effect.fail("down"),
      { ...twice, condition: { error: (e) => e !== "down" } },
      1
    ],
    ["a result, not", Effect.succeed(503), twice, 1],
    [
      "a result, when the condition says so",
      Effect.succeed(503),
      { ...twice, condition: { result: (n) => n === 503 } },
      3
    ],
    [
      "what is ignored, not",
      Effect.fail("down"),
      { ...twice, condition: { ignore: { error: () => true } } },
      1
    ],
    ["an empty cause, not", Effect.failCause(Cause.empty), twice, 1]
  ])("%s", ([, effect, options, attempts]) =>
    Effect.gen(function* () {
      const { begun, call } = scripted(effect)
      const exit = yield* Effect.exit(retried(call, options))
      assert.strictEqual(begun.length, attempts)
      assert.deepStrictEqual(exit, yield* Effect.exit(effect))
    })
  )

  it.effect.each<readonly [string, Retry.Options<number, string>]>([
    [
      "condition.error",
      {
        condition: {
          error: () => {
            throw "oops"
          }
        }
      }
    ],
    [
      "condition.result",
      {
        condition: {
          result: () => {
            throw "oops"
          }
        }
      }
    ],
    [
      "condition",
      {
        condition: () => {
          throw "oops"
        }
      }
    ],
    [
      "condition.retryAfter",
      {
        condition: {
          result: () => true,
          retryAfter: () => {
            throw "oops"
          }
        }
      }
    ],
    [
      "abortWhen",
      {
        condition: { result: () => true },
        abortWhen: () => {
          throw "oops"
        }
      }
    ],
    [
      "delayFrom",
      {
        condition: { result: () => true },
        delayFrom: () => {
          throw "oops"
        }
      }
    ]
  ])("%s that throws is a defect after one attempt", ([, options]) =>
    Effect.gen(function* () {
      const first: Effect.Effect<number, string> =
        options.condition && "error" in options.condition ? Effect.fail("down") : Effect.succeed(503)
      const { begun, call } = scripted(first)
      assert.deepStrictEqual(yield* Effect.exit(retried(call, options)), Exit.die("oops"))
      assert.strictEqual(begun.length, 1)
    })
  )

  it.effect(
    "gives way to abortWhen, which ends the retry with the failure as it was, on the last attempt too",
    () =>
      Effect.gen(function* () {
        for (const [number, times] of [
          [1, 5],
          [3, 5],
          [3, 2]
        ]) {
          const log: Array<string> = []
          const fails = Array.from({ length: number - 1 }, () => Effect.fail("busy"))
          const { begun, call } = scripted(
            Effect.fail("busy"),
            ...fails.slice(1),
            Effect.fail(number === 1 ? "busy" : "gone")
          )
          const exit = yield* Effect.exit(
            Retry.retry(call, {
              times,
              schedule: Schedule.forever,
              exceeded: "wrap",
              abortWhen: (failure) => failure._tag === "Error" && (number === 1 || failure.error === "gone"),
              onAbort: ({ attempt }) => Effect.sync(() => log.push(`aborted at ${attempt}`)),
              onExceeded: () => Effect.sync(() => log.push("exceeded"))
            })
          )
          assert.deepStrictEqual(exit, Exit.fail(number === 1 ? "busy" : "gone"))
          assert.strictEqual(begun.length, number)
          assert.deepStrictEqual(log, [`aborted at ${number}`])
        }
      })
  )

  it.effect("does not ask abortWhen about a success", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const abortWhen = (failure: unknown) => asked.push(failure) > 0
      const options = {
        ...twice,
        abortWhen,
        condition: { error: (e: string) => e === "busy", result: () => false }
      }
      for (const effect of [Effect.succeed(200), Effect.fail("other"), Effect.interrupt, Effect.die("bug")]) {
        yield* Effect.exit(Retry.retry(effect as Effect.Effect<number, string>, options))
      }
      assert.deepStrictEqual(asked, [])
    })
  )
})
