// Conditions that are written once, away from the calls they are for.
import type { Effect } from "effect"
import { Duration } from "effect"
import { CircuitBreaker, type FailureCondition, Fallback, Retry } from "effect-resilience"
import { describe, expect, test } from "tstyche"

interface Reply {
  readonly status: number
}
interface Refused {
  readonly _tag: "Refused"
}

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}

declare const call: Effect.Effect<Reply, Refused>

type Protected = Effect.Effect<Reply, Refused | CircuitBreaker.CircuitOpen, Partner>

const overloaded: FailureCondition.Options<Reply, unknown> = { result: (reply) => reply.status === 503 }
const overloadedFor = <E>(): FailureCondition.Options<Reply, E> => ({
  result: (reply) => reply.status === 503
})
const hint = (failure: FailureCondition.Failed<Reply, unknown>) =>
  failure._tag === "Result" ? Duration.seconds(1) : undefined
const refused: FailureCondition.FailureCondition<Reply, Refused> = { tags: ["Refused"] }

describe("a shared condition", () => {
  test("that knows nothing of the errors leaves them to the call", () => {
    expect(call.pipe(Partner.protectWhen(overloaded))).type.toBe<Protected>()
    expect(call.pipe(Partner.protectWhen(overloadedFor()))).type.toBe<Protected>()
    expect(
      call.pipe(Partner.protectWhen({ result: (reply) => reply.status === 503, retryAfter: hint }))
    ).type.toBe<Protected>()
    expect(call.pipe(Retry.retry({ condition: overloaded }))).type.toBe<typeof call>()
    expect(call.pipe(Retry.retry({ condition: overloadedFor(), times: 1 }))).type.toBe<typeof call>()
    expect(
      call.pipe(Retry.retry({ condition: { result: (reply) => reply.status === 503, retryAfter: hint } }))
    ).type.toBe<typeof call>()
    expect(call.pipe(Fallback.succeed(1, { condition: overloaded }))).type.toBe<
      Effect.Effect<Reply | number, Refused>
    >()
  })

  test("of one type of call needs no pipe", () => {
    expect(Partner.protectWhen(refused)(call)).type.toBe<Protected>()
    expect(call.pipe(Partner.protectWhen(refused))).type.toBe<Protected>()
  })
})
