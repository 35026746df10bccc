import { Effect, type Layer, type ManagedRuntime, type Runtime } from "effect"
import { CircuitBreaker, Fallback, Policy, RateLimiter, Retry, Timeout } from "effect-resilience"
import { describe, expect, it } from "tstyche"

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Quota extends RateLimiter.Tag("Quota")<Quota>() {}

interface User {
  readonly name: string
}

const fetchUser = (_: Policy.Call, _id: string, _version?: number): Promise<User> => Promise.reject()

declare const breaker: CircuitBreaker.CircuitBreaker
declare const runtime: Runtime.Runtime<Partner | Quota>
declare const managed: ManagedRuntime.ManagedRuntime<Partner | Quota, string>
declare const layer: Layer.Layer<Partner | Quota, string>
declare const other: Layer.Layer<Quota>

describe("a guarded function", () => {
  const guard = Policy.promise(Timeout.timeout("1 second"), breaker.protect, Retry.retry({ times: 2 }))

  it("has the arguments and the result of the function", () => {
    const guarded = guard(fetchUser)
    expect(guarded).type.toBe<Policy.Guarded<[_id: string, _version?: number | undefined], User>>()
    expect(guarded("1")).type.toBe<Promise<User>>()
    expect(guarded).type.not.toBeCallableWith(1)
    expect(guarded.withSignal(new AbortController().signal)("1", 2)).type.toBe<Promise<User>>()
  })

  it("is given a signal", () => {
    guard(({ signal }, id: string) => {
      expect(signal).type.toBe<AbortSignal>()
      return id
    })
    expect(guard((_, id: string) => id.length)("1")).type.toBe<Promise<number>>()
  })

  it("may have what a fallback brings", () => {
    const guarded = Policy.promise(breaker.protect, Fallback.succeed(undefined))(fetchUser)
    expect(guarded("1")).type.toBe<Promise<User | undefined>>()
  })

  it("may be guarded by a pipeline", () => {
    const pipeline = Policy.pipeline(Timeout.timeout("1 second"), Fallback.succeed(1))
    expect(Policy.promise(pipeline)(fetchUser)("1")).type.toBe<Promise<User | number>>()
  })

  it("has the result that a condition reads", () => {
    const named = Policy.promise(breaker.protectWhen({ result: (user: User) => user.name === "" }))
    expect(named(fetchUser)("1")).type.toBe<Promise<User>>()
    expect(named).type.not.toBeCallableWith((_: Policy.Call) => 1)
  })
})

describe("policies that need services", () => {
  const guard = Policy.promise(Quota.protect, Partner.protect)

  it("guard no function before they have them", () => {
    expect(guard).type.toBe<Policy.Unprovided<Policy.Given.Success, Partner | Quota>>()
    expect(guard.provide(runtime)(fetchUser)("1")).type.toBe<Promise<User>>()
    expect(guard.provide(managed)(fetchUser)("1")).type.toBe<Promise<User>>()
    expect(guard.provide(layer)(fetchUser)("1")).type.toBe<Promise<User>>()
    expect(guard.provide).type.not.toBeCallableWith(other)
  })

  it("need none of a program whose policies need none", () => {
    expect(Policy.promise(Timeout.timeout(1)).provide(runtime)(fetchUser)("1")).type.toBe<Promise<User>>()
    expect(Policy.promise(Timeout.timeout(1)).provide).type.toBeCallableWith(Effect.runSync(Effect.runtime()))
  })
})
