import { Context, type Duration, Effect, flow, pipe, Schedule } from "effect"
import { type FailureCondition, type Policy, Retry } from "effect-resilience"
import { describe, expect, test } from "tstyche"

interface Response {
  readonly status: number
}
class Refused {
  readonly _tag = "Refused"
}
class Forbidden {
  readonly _tag = "Forbidden"
}
class Db extends Context.Tag("Db")<Db, "db">() {}
class Pace extends Context.Tag("Pace")<Pace, Duration.Duration>() {}
class Audit extends Context.Tag("Audit")<Audit, "audit">() {}

type E = Refused | Forbidden
declare const call: Effect.Effect<Response, E, Db>
declare const paced: Schedule.Schedule<number, unknown, Pace>
declare const audit: Effect.Effect<void, "audit failed", Audit>
declare const flag: boolean

/** Something is done with the effect: all that matters is what is inferred inside. */
declare const use: (effect: Effect.Effect<unknown, unknown, unknown>) => void

describe("Retry.retry", () => {
  test("adds nothing by default, in every form", () => {
    expect(call.pipe(Retry.retry({}))).type.toBe<Effect.Effect<Response, E, Db>>()
    expect(pipe(call, Retry.retry({ times: 3 }))).type.toBe<Effect.Effect<Response, E, Db>>()
    expect(flow(Retry.retry({ times: 3 }))(call)).type.toBe<Effect.Effect<Response, E, Db>>()
    expect(flow(Retry.retry({}), Retry.retry({ times: 1 }))(call)).type.toBe<Effect.Effect<Response, E, Db>>()
    expect(Retry.retry(call, { times: 3 })).type.toBe<Effect.Effect<Response, E, Db>>()
  })

  test("needs what the schedule needs", () => {
    expect(call.pipe(Retry.retry({ schedule: paced }))).type.toBe<Effect.Effect<Response, E, Db | Pace>>()
    expect(Retry.retry(call, { schedule: paced })).type.toBe<Effect.Effect<Response, E, Db | Pace>>()
    expect(flow(Retry.retry({ schedule: paced }))(call)).type.toBe<Effect.Effect<Response, E, Db | Pace>>()
  })

  test("needs and fails with what the listeners need and fail with", () => {
    type Audited = Effect.Effect<Response, E | "audit failed", Db | Audit>
    expect(call.pipe(Retry.retry({ onRetryScheduled: () => audit }))).type.toBe<Audited>()
    expect(call.pipe(Retry.retry({ onRetry: () => audit }))).type.toBe<Audited>()
    expect(call.pipe(Retry.retry({ onExceeded: () => audit }))).type.toBe<Audited>()
    expect(call.pipe(Retry.retry({ abortWhen: () => true, onAbort: () => audit }))).type.toBe<Audited>()
    expect(Retry.retry(call, { onAbort: () => audit })).type.toBe<Audited>()
  })

  test("needs what is needed to dispose of a result", () => {
    expect(call.pipe(Retry.retry({ disposeResult: () => Effect.ignore(audit) }))).type.toBe<
      Effect.Effect<Response, E, Db | Audit>
    >()
  })

  test("needs and fails with what an option may bring that is not always given", () => {
    expect(call.pipe(Retry.retry({ schedule: flag ? paced : undefined }))).type.toBe<
      Effect.Effect<Response, E, Db | Pace>
    >()
    expect(call.pipe(Retry.retry({ onRetry: flag ? () => audit : undefined }))).type.toBe<
      Effect.Effect<Response, E | "audit failed", Db | Audit>
    >()
  })

  test("takes options out of a value with optional properties", () => {
    const options = {} as { readonly times?: number; readonly maxDuration?: Duration.DurationInput }
    expect(call.pipe(Retry.retry(options))).type.toBe<Effect.Effect<Response, E, Db>>()
    expect(Retry.retry(call, options)).type.toBe<Effect.Effect<Response, E, Db>>()
    const listeners = {} as { readonly onRetry?: () => Effect.Effect<void, "audit failed", Audit> }
    expect(call.pipe(Retry.retry(listeners))).type.toBe<
      Effect.Effect<Response, E | "audit failed", Db | Audit>
    >()
  })

  test("wraps only when it is told to", () => {
    type Wrapped = Effect.Effect<Response, E | Retry.RetriesExceeded<Response, E>, Db>
    expect(call.pipe(Retry.retry({ exceeded: "wrap" }))).type.toBe<Wrapped>()
    expect(Retry.retry(call, { exceeded: "wrap" })).type.toBe<Wrapped>()
    expect(flow(Retry.retry({ exceeded: "wrap" }))(call)).type.toBe<Wrapped>()
    expect(
      call.pipe(Retry.retry({ exceeded: "wrap", condition: { result: ({ status }) => status === 503 } }))
    ).type.toBe<Wrapped>()
    expect(call.pipe(Retry.retry({ exceeded: "last" }))).type.toBe<Effect.Effect<Response, E, Db>>()
  })

  test("says that it may wrap when it may", () => {
    type Wrapped = Effect.Effect<Response, E | Retry.RetriesExceeded<Response, E>, Db>
    expect(call.pipe(Retry.retry({ exceeded: flag ? "wrap" : "last" }))).type.toBe<Wrapped>()
    expect(call.pipe(Retry.retry({ exceeded: flag ? "wrap" : undefined }))).type.toBe<Wrapped>()
    expect(call.pipe(Retry.retry({} as { readonly exceeded?: "wrap" }))).type.toBe<Wrapped>()
  })

  test("RetriesExceeded knows how the last attempt ended", () => {
    const lastExit = call.pipe(
      Retry.retry({ exceeded: "wrap" }),
      Effect.catchTag("RetriesExceeded", ({ lastExit }) => lastExit)
    )
    expect(lastExit).type.toBe<Effect.Effect<Response, E, Db>>()
    expect<Retry.RetriesExceeded<Response, Refused>>().type.toBeAssignableTo<Retry.RetriesExceeded>()
  })

  test("infers what failed, in pipe and data-first", () => {
    use(
      call.pipe(
        Retry.retry({
          condition: {
            error: (e) => {
              expect(e).type.toBe<E>()
              return true
            },
            result: (a) => {
              expect(a).type.toBe<Response>()
              return a.status === 503
            },
            retryAfter: (failure) => {
              expect(failure).type.toBe<FailureCondition.Failed<Response, E>>()
              return undefined
            }
          },
          abortWhen: (failure) => {
            expect(failure).type.toBe<FailureCondition.Failed<Response, E>>()
            return false
          },
          delayFrom: (failure) => (failure._tag === "Result" ? failure.result.status : "5 seconds"),
          disposeResult: (result) => {
            expect(result).type.toBe<Response>()
            return Effect.void
          },
          onRetry: (event) => {
            expect(event).type.toBe<Retry.Retried<Response, E>>()
            return Effect.void
          },
          onExceeded: (event) => {
            expect(event).type.toBe<Retry.Exceeded<Response, E>>()
            return Effect.void
          }
        })
      )
    )
    use(
      Retry.retry(call, {
        onRetryScheduled: (event) => {
          expect(event).type.toBe<Retry.RetryScheduled<Response, E>>()
          return Effect.void
        },
        onAbort: (event) => {
          expect(event).type.toBe<Retry.Abort<Response, E>>()
          return Effect.void
        }
      })
    )
  })

  test("takes a hint written as a literal", () => {
    expect(call.pipe(Retry.retry({ delayFrom: () => 5000 }))).type.toBe<Effect.Effect<Response, E, Db>>()
    expect(Retry.retry(call, { delayFrom: () => "5 seconds" })).type.toBe<Effect.Effect<Response, E, Db>>()
    expect(call.pipe(Retry.retry({ delayFrom: (_failure) => "5 seconds" }))).type.toBe<
      Effect.Effect<Response, E, Db>
    >()
    expect(call.pipe(Retry.retry({ delayFrom: Retry.noHint }))).type.toBe<Effect.Effect<Response, E, Db>>()
  })

  test("takes a schedule that reads the failure", () => {
    const onRefused = Schedule.recurWhile(
      (failed: Response | E) => "_tag" in failed && failed._tag === "Refused"
    )
    expect(call.pipe(Retry.retry({ schedule: onRefused }))).type.toBe<Effect.Effect<Response, E, Db>>()
    const onText = Schedule.recurWhile((failed: string) => failed === "down")
    expect(Retry.retry).type.not.toBeCallableWith(call, { schedule: onText })
  })

  test("refuses options that do not exist", () => {
    expect(Retry.retry).type.not.toBeCallableWith({ time: 3 })
    expect(Retry.retry).type.not.toBeCallableWith({ times: 3, maxDelay: "1 second" })
    expect(Retry.retry).type.not.toBeCallableWith(call, { times: 3, maxDelay: "1 second" })
    expect(Retry.retry).type.not.toBeCallableWith({ times: "3" })
    expect(Retry.retry).type.not.toBeCallableWith({ exceeded: "wrapped" })
    expect(Retry.retry).type.not.toBeCallableWith(call, { condition: { tag: ["Refused"] } })
    expect(Retry.retry).type.not.toBeCallableWith(call, { condition: { tags: ["Refuse"] } })
    expect(Retry.retry).type.not.toBeCallableWith(call, { onRetry: () => {} })
    expect(Retry.retry).type.not.toBeCallableWith(call, { disposeResult: () => Effect.fail("no") })
  })

  test("is not a policy without options", () => {
    expect(Retry.retry).type.not.toBeCallableWith(call)
  })

  test("is a policy for every effect unless it looks at one type", () => {
    expect(Retry.retry({ times: 3 })).type.toBeAssignableTo<Policy.Policy>()
    expect(Retry.retry({ onRetry: () => audit })).type.toBeAssignableTo<
      Policy.Policy<"audit failed", Audit>
    >()
    expect(Retry.retry({ schedule: paced })).type.toBeAssignableTo<Policy.Policy<never, Pace>>()
    expect(Retry.retry({ times: 3 })).type.toBeAssignableTo<Policy.Described>()
  })
})

test("Retry.CurrentAttempt needs nobody to provide it", () => {
  expect(Effect.map(Retry.CurrentAttempt, (attempt) => attempt)).type.toBe<Effect.Effect<Retry.Attempt>>()
})
