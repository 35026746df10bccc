import { Context, Effect, flow, Schedule } from "effect"
import { CircuitBreaker, Fallback, Policy, Retry, Timeout } from "effect-resilience"
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
class Cache extends Context.Tag("Cache")<Cache, "cache">() {}
class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}

type E = Refused | Forbidden
declare const call: Effect.Effect<Response, E, Db>
declare const cached: Effect.Effect<"cached", "cache down", Cache>

type Guarded = Effect.Effect<Response, E | Timeout.TimeoutExceeded | CircuitBreaker.CircuitOpen, Db | Partner>

/** Something is done with the effect: all that matters is what is inferred inside. */
declare const use: (effect: Effect.Effect<unknown, unknown, unknown>) => void

describe("timeout, breaker, retry and fallback", () => {
  const attempt = Timeout.timeout("2 seconds")
  const persistent = Retry.retry({ times: 2, schedule: Schedule.spaced("1 second") })

  test("add exactly what can still happen", () => {
    expect(call.pipe(attempt, Partner.protect, persistent)).type.toBe<Guarded>()
    expect(flow(attempt, Partner.protect, persistent)(call)).type.toBe<Guarded>()
    expect(
      Retry.retry(Partner.protect(Timeout.timeout(call, "2 seconds")), { times: 2 })
    ).type.toBe<Guarded>()
  })

  test("and a fallback takes all of it away, or a part", () => {
    const guarded = call.pipe(attempt, Partner.protect, persistent)
    expect(guarded.pipe(Fallback.succeed("cold" as const))).type.toBe<
      Effect.Effect<Response | "cold", never, Db | Partner>
    >()
    expect(flow(attempt, Partner.protect, persistent, Fallback.succeed("cold" as const))(call)).type.toBe<
      Effect.Effect<Response | "cold", never, Db | Partner>
    >()
    expect(guarded.pipe(Fallback.orElse(() => cached))).type.toBe<
      Effect.Effect<Response | "cached", "cache down", Db | Partner | Cache>
    >()
    expect(
      guarded.pipe(
        Fallback.succeed("cold" as const, { condition: { tags: ["CircuitOpen", "TimeoutExceeded"] } })
      )
    ).type.toBe<Effect.Effect<Response | "cold", E, Db | Partner>>()
  })

  test("infer conditions over what is further inside", () => {
    use(
      call.pipe(
        attempt,
        Partner.protectWhen({
          error: (e) => {
            expect(e).type.toBe<E | Timeout.TimeoutExceeded>()
            return e._tag !== "Forbidden"
          },
          result: ({ status }) => status >= 500
        }),
        Retry.retry({
          exceeded: "wrap",
          condition: {
            error: (e) => {
              expect(e).type.toBe<E | Timeout.TimeoutExceeded | CircuitBreaker.CircuitOpen>()
              return true
            }
          },
          abortWhen: (failure) => failure._tag === "Error" && failure.error._tag === "Forbidden"
        }),
        Fallback.orElse((failure) => {
          expect(failure.error._tag).type.toBe<
            "Refused" | "Forbidden" | "TimeoutExceeded" | "CircuitOpen" | "RetriesExceeded"
          >()
          return cached
        })
      )
    )
  })

  test("keep their types over a long pipe", () => {
    const long = call.pipe(
      attempt,
      Partner.protect,
      persistent,
      Timeout.timeout({ limit: Effect.succeed("5 seconds"), name: "total" }),
      CircuitBreaker.protect,
      Retry.retry({ times: 1, exceeded: "wrap" }),
      Fallback.orElse(() => cached, { condition: { tags: ["Refused"] } }),
      Fallback.fail(({ error }) => (typeof error === "string" ? error : error._tag)),
      Timeout.timeout(1)
    )
    expect(long).type.toBe<
      Effect.Effect<
        Response | "cached",
        | "cache down"
        | "Forbidden"
        | "TimeoutExceeded"
        | "CircuitOpen"
        | "RetriesExceeded"
        | Timeout.TimeoutExceeded,
        Db | Partner | CircuitBreaker.CircuitBreaker | Cache
      >
    >()
  })

  test("can be named as one policy", () => {
    const resilient = Policy.make(
      { kind: "resilient", name: "partner", settings: {} },
      <A, Err, R>(self: Effect.Effect<A, Err, R>) => self.pipe(attempt, Partner.protect, persistent)
    )
    expect(resilient).type.toBeAssignableTo<
      Policy.Policy<Timeout.TimeoutExceeded | CircuitBreaker.CircuitOpen, Partner>
    >()
    const chosen = [attempt, Timeout.timeout("9 seconds")] satisfies Array<
      Policy.Policy<Timeout.TimeoutExceeded>
    >
    expect(call.pipe(chosen[0])).type.toBe<Effect.Effect<Response, E | Timeout.TimeoutExceeded, Db>>()
  })
})
