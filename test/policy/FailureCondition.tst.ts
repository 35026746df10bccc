import type { Effect } from "effect"
import { type Duration, Exit } from "effect"
import { CircuitBreaker, FailureCondition, Fallback, Retry } from "effect-resilience"
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
type E = Refused | Forbidden
type Condition = FailureCondition.FailureCondition<Response, E>
declare const call: Effect.Effect<Response, E>
class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}

/** Something is done with the effect: all that matters is what is inferred inside. */
declare const use: (effect: Effect.Effect<unknown, unknown, unknown>) => void

describe("FailureCondition", () => {
  test("is options, a classifier, or any of several", () => {
    expect<{ readonly tags: readonly ["Refused"] }>().type.toBeAssignableTo<Condition>()
    expect<{ readonly tags: readonly ["Refuse"] }>().type.not.toBeAssignableTo<Condition>()
    expect<() => FailureCondition.Outcome>().type.toBeAssignableTo<Condition>()
    expect<(exit: Exit.Exit<Response, E>) => boolean>().type.not.toBeAssignableTo<Condition>()
    expect(
      FailureCondition.any<Response, E>({ tags: ["Refused"] }, () => FailureCondition.ignored)
    ).type.toBeAssignableTo<Condition>()
  })

  test("that asks for less fits where there is more", () => {
    const overloaded: FailureCondition.Options<Response, unknown> = { result: ({ status }) => status === 503 }
    const anything: FailureCondition.Options<unknown, unknown> = { defect: false }
    use(Retry.retry(call, { condition: overloaded }))
    use(call.pipe(Retry.retry({ condition: overloaded })))
    use(
      call.pipe(
        Retry.retry({ condition: FailureCondition.any<Response, E>(overloaded, { tags: ["Refused"] }) })
      )
    )
    use(call.pipe(Partner.protectWhen(overloaded)))
    use(call.pipe(Fallback.succeed(1, { condition: overloaded })))
    expect(anything).type.toBeAssignableTo<FailureCondition.Options<Response, E>>()
  })

  test("infers the call it stands in", () => {
    const condition = {
      error: (e: E) => e._tag === "Refused",
      result: ({ status }: Response) => status === 503
    }
    expect(call.pipe(Retry.retry({ condition }))).type.toBe<Effect.Effect<Response, E>>()
    use(
      call.pipe(
        Retry.retry({
          condition: (exit) => {
            expect(exit).type.toBe<Exit.Exit<Response, E>>()
            return FailureCondition.failure
          }
        })
      )
    )
    use(
      call.pipe(
        Partner.protectWhen({
          ignore: {
            result: (a) => {
              expect(a).type.toBe<Response>()
              return a.status === 429
            }
          },
          retryAfter: (failed) => {
            expect(failed).type.toBe<FailureCondition.Failed<Response, E>>()
            return undefined
          }
        })
      )
    )
  })

  test("any infers the call it stands in", () => {
    const refusedOr503 = FailureCondition.any<Response, E>(
      { tags: ["Refused"] },
      { result: (a) => a.status === 503 }
    )
    expect(call.pipe(Retry.retry({ condition: refusedOr503 }))).type.toBe<Effect.Effect<Response, E>>()
    expect(
      Retry.retry(call, {
        condition: FailureCondition.any({ tags: ["Refused"] }, { result: (a) => a.status === 503 })
      })
    ).type.toBe<Effect.Effect<Response, E>>()
    expect(
      call.pipe(
        Partner.protectWhen(FailureCondition.any({ tags: ["Refused"] }, { result: (a) => a.status === 503 }))
      )
    ).type.toBe<Effect.Effect<Response, E | CircuitBreaker.CircuitOpen, Partner>>()
  })

  test("classify makes a function from exit to outcome", () => {
    const classify = FailureCondition.classify<Response, E>({ tags: ["Refused"] })
    expect(classify).type.toBe<FailureCondition.Classifier<Response, E>>()
    expect(classify(Exit.fail(new Refused()))).type.toBe<FailureCondition.Outcome>()
    expect(classify).type.not.toBeCallableWith(Exit.fail("text"))
    expect(FailureCondition.failureAfter("1 second")).type.toBe<FailureCondition.Outcome>()
    expect<FailureCondition.Failure["retryAfter"]>().type.toBe<Duration.Duration | undefined>()
  })

  test("has the tags of the errors, and none where there are none", () => {
    expect<FailureCondition.Tags<E>>().type.toBe<"Refused" | "Forbidden">()
    expect<FailureCondition.Tags<E | string>>().type.toBe<"Refused" | "Forbidden">()
    expect<FailureCondition.Tags<string>>().type.toBe<never>()
    expect<FailureCondition.Tags<{ readonly _tag: number }>>().type.toBe<never>()
  })
})
