import { Context, Effect, flow } from "effect"
import { FailureCondition, Fallback, type Policy } from "effect-resilience"
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
class Lost {
  readonly _tag = "Lost"
}
class Db extends Context.Tag("Db")<Db, "db">() {}
class Cache extends Context.Tag("Cache")<Cache, "cache">() {}

type E = Refused | Forbidden | Lost
declare const call: Effect.Effect<Response, E, Db>
declare const cached: Effect.Effect<"cached", "cache down", Cache>
declare const audit: Effect.Effect<void, "audit failed", Cache>
declare const flag: boolean

/** The error channel of an effect, which is what some of these tests are about. */
interface Fails<out Err> {
  readonly with: Err
}
declare const errorOf: <Err>(effect: Effect.Effect<unknown, Err, unknown>) => Fails<Err>
const isRefused = (error: E): error is Refused => error._tag === "Refused"

/** Something is done with the effect: all that matters is what is inferred inside. */
declare const use: (effect: Effect.Effect<unknown, unknown, unknown>) => void

describe("Fallback", () => {
  test("removes every typed error, in every form", () => {
    type Always = Effect.Effect<Response | "cold", never, Db>
    const cold = "cold" as const
    expect(call.pipe(Fallback.succeed(cold))).type.toBe<Always>()
    expect(call.pipe(Fallback.succeed(cold, { name: "cold" }))).type.toBe<Always>()
    expect(flow(Fallback.succeed(cold))(call)).type.toBe<Always>()
    expect(Fallback.succeed(call, cold)).type.toBe<Always>()
    expect(Fallback.succeed(call, cold, { name: "cold" })).type.toBe<Always>()
    expect(call.pipe(Fallback.sync(() => cold))).type.toBe<Always>()
    expect(flow(Fallback.sync(() => cold))(call)).type.toBe<Always>()
    expect(Fallback.sync(call, () => cold)).type.toBe<Always>()
  })

  test("brings what the fallback brings", () => {
    type OrElse = Effect.Effect<Response | "cached", "cache down", Db | Cache>
    expect(call.pipe(Fallback.orElse(() => cached))).type.toBe<OrElse>()
    expect(call.pipe(Fallback.orElse(() => cached, { name: "cold" }))).type.toBe<OrElse>()
    expect(Fallback.orElse(call, () => cached)).type.toBe<OrElse>()
    expect(flow(Fallback.orElse((_: unknown) => cached))(call)).type.toBe<OrElse>()
    expect(call.pipe(Fallback.fail(() => "gone" as const))).type.toBe<Effect.Effect<Response, "gone", Db>>()
    expect(Fallback.fail(call, ({ error }) => error._tag)).type.toBe<
      Effect.Effect<Response, "Refused" | "Forbidden" | "Lost", Db>
    >()
  })

  test("a chain brings all its results and needs, and the errors of its last step", () => {
    const steps = [() => cached, () => Effect.fail("last" as const)] as const
    expect(call.pipe(Fallback.chain([() => cached, () => Effect.succeed(1)]))).type.toBe<
      Effect.Effect<Response | "cached" | number, never, Db | Cache>
    >()
    expect(call.pipe(Fallback.chain(steps))).type.toBe<
      Effect.Effect<Response | "cached", "last", Db | Cache>
    >()
    expect(Fallback.chain(call, [() => cached])).type.toBe<
      Effect.Effect<Response | "cached", "cache down", Db | Cache>
    >()
    expect(Fallback.chain).type.not.toBeCallableWith([])
  })

  test("reads the failure", () => {
    use(
      call.pipe(
        Fallback.orElse((failure) => {
          expect(failure).type.toBe<FailureCondition.ErrorFailed<E>>()
          return cached
        })
      )
    )
    use(
      call.pipe(
        Fallback.orElse(
          (failure) => {
            expect(failure).type.toBe<FailureCondition.Failed<Response, E>>()
            return cached
          },
          {
            condition: { result: ({ status }) => status >= 500 },
            onFallback: (event) => {
              expect(event).type.toBe<Fallback.FallbackUsed<Response, E>>()
              return Effect.void
            }
          }
        )
      )
    )
    use(
      call.pipe(
        Fallback.chain([
          ({ error }) => {
            expect(error).type.toBe<E>()
            return cached
          }
        ])
      )
    )
  })

  test("adds what the listener needs and fails with", () => {
    type Audited = Effect.Effect<Response | number, "audit failed", Db | Cache>
    expect(call.pipe(Fallback.succeed(1, { onFallback: () => audit }))).type.toBe<Audited>()
    expect(Fallback.succeed(call, 1, { onFallback: () => audit })).type.toBe<Audited>()
    expect(
      call.pipe(Fallback.succeed(1, { onFallback: flag ? () => audit : undefined }))
    ).type.toBe<Audited>()
    const options = {} as { readonly name?: string; readonly onFallback?: () => typeof audit }
    expect(call.pipe(Fallback.succeed(1, options))).type.toBe<Audited>()
  })

  test("leaves what a condition leaves", () => {
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition: { tags: ["Refused"] } })))).type.toBe<
      Fails<Forbidden | Lost>
    >()
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition: { tags: ["Refused", "Lost"] } })))).type.toBe<
      Fails<Forbidden>
    >()
    expect(errorOf(Fallback.succeed(call, 1, { condition: { error: isRefused } }))).type.toBe<
      Fails<Forbidden | Lost>
    >()
    expect(
      errorOf(call.pipe(Fallback.succeed(1, { condition: { error: isRefused, tags: ["Lost"] } })))
    ).type.toBe<Fails<Forbidden>>()
    expect(
      errorOf(call.pipe(Fallback.succeed(1, { condition: { result: ({ status }) => status === 503 } })))
    ).type.toBe<Fails<never>>()
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition: { defect: true } })))).type.toBe<Fails<never>>()
    expect(
      errorOf(call.pipe(Fallback.succeed(1, { condition: { ignore: { result: () => true } } })))
    ).type.toBe<Fails<never>>()
  })

  test("leaves everything where the compiler cannot tell", () => {
    const someday = (error: E): boolean => error._tag === "Refused"
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition: { error: someday } })))).type.toBe<Fails<E>>()
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition: { ignore: { tags: ["Lost"] } } })))).type.toBe<
      Fails<E>
    >()
    expect(
      errorOf(call.pipe(Fallback.succeed(1, { condition: { ignore: { error: isRefused } } })))
    ).type.toBe<Fails<E>>()
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition: () => FailureCondition.failure })))).type.toBe<
      Fails<E>
    >()
    expect(
      errorOf(
        call.pipe(
          Fallback.succeed(1, { condition: FailureCondition.any<Response, E>({ tags: ["Refused"] }) })
        )
      )
    ).type.toBe<Fails<E>>()
  })

  test("leaves everything of a condition whose type says little", () => {
    const options: FailureCondition.Options<Response, E> = { tags: ["Refused"] }
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition: options })))).type.toBe<Fails<E>>()
    const condition = options as FailureCondition.FailureCondition<Response, E>
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition })))).type.toBe<Fails<E>>()
    const tags = {} as { readonly tags?: ReadonlyArray<"Refused"> }
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition: tags })))).type.toBe<Fails<E>>()
    const ignore = flag ? { tags: ["Refused" as const] } : undefined
    expect(errorOf(call.pipe(Fallback.succeed(1, { condition: { ignore } })))).type.toBe<Fails<E>>()
    const unconditional = {} as { readonly condition?: { readonly tags: readonly ["Refused"] } }
    expect(errorOf(call.pipe(Fallback.succeed(1, unconditional)))).type.toBe<Fails<Forbidden | Lost>>()
  })

  test("Unhandled", () => {
    expect<Fails<Fallback.Unhandled<E, { readonly name: string }>>>().type.toBe<Fails<never>>()
    expect<Fallback.Unhandled<E, { readonly condition: { readonly tags: readonly ["Lost"] } }>>().type.toBe<
      Refused | Forbidden
    >()
  })

  test("refuses options that do not exist", () => {
    expect(Fallback.succeed).type.not.toBeCallableWith(1, { named: "cold" })
    expect(Fallback.succeed).type.not.toBeCallableWith(call, 1, { named: "cold" })
    expect(Fallback.succeed).type.not.toBeCallableWith(call, 1, { condition: { tags: ["Lots"] } })
    expect(Fallback.orElse).type.not.toBeCallableWith(cached)
    expect(Fallback.orElse).type.not.toBeCallableWith(call, () => "cached")
    expect(Fallback.fail).type.not.toBeCallableWith("gone")
  })

  test("is a value of its own kind", () => {
    expect(Fallback.succeed(1)).type.toBe<Fallback.Fallback<number>>()
    expect(Fallback.succeed(1)).type.toBeAssignableTo<Policy.Described>()
    expect(Fallback.fail((failure: FailureCondition.ErrorFailed<E>) => failure.error._tag)).type.toBe<
      Fallback.FallbackFrom<E, never, E["_tag"], never>
    >()
  })
})
