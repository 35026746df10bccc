/**
 * Weighs what an instance of each stateful policy, and each key of a keyed one, holds between calls: the growth of the
 * heap over a thousand of them, after a full collection. The median of a few rounds counts.
 */
import { Effect } from "effect"
import { Bulkhead, CircuitBreaker, RateLimiter, RetryBudget } from "effect-resilience"
import { median } from "../median.js"

const count = 1000
const rounds = 5

const collect = (): void => {
  if (globalThis.gc === undefined) throw new Error("memory is weighed under --expose-gc")
  globalThis.gc()
}

const numbers = Array.from({ length: count }, (_, index) => index)
const rate = RateLimiter.tokenBucket({ limit: 10, per: "1 second" })

/** Each makes a thousand instances, and gives back what keeps them. */
const cases: { readonly [name: string]: Effect.Effect<unknown> } = {
  "circuit breaker": Effect.forEach(numbers, () => CircuitBreaker.make()),
  bulkhead: Effect.forEach(numbers, () => Bulkhead.make({ permits: 10, maxQueued: 10 })),
  "rate limiter": Effect.forEach(numbers, () => RateLimiter.make({ rate, maxWait: "1 second" })),
  "retry budget": Effect.forEach(numbers, () => RetryBudget.make()),
  "circuit breaker, a tag": Effect.sync(() =>
    numbers.map((index) => CircuitBreaker.Tag(`tag ${index}`)<never>())
  ),
  "circuit breaker, a key": Effect.tap(CircuitBreaker.keyed(), ({ at }) =>
    Effect.forEach(numbers, (index) => Effect.orDie(at(`key ${index}`).protect(Effect.void)))
  ),
  "bulkhead, a key": Effect.tap(Bulkhead.keyed({ options: { permits: 10 } }), ({ at }) =>
    Effect.forEach(numbers, (index) => Effect.orDie(at(`key ${index}`).protect(Effect.void)))
  ),
  "rate limiter, a key": Effect.tap(RateLimiter.keyed({ options: { rate } }), ({ at }) =>
    Effect.forEach(numbers, (index) => Effect.orDie(at(`key ${index}`).protect(Effect.void)))
  ),
  "retry budget, a key": Effect.tap(RetryBudget.keyed(), ({ at }) =>
    Effect.forEach(numbers, (index) => at(`key ${index}`).recordSuccess)
  )
}

/** Nothing that was weighed is let go, so that no collection of it falls into a later round. */
const kept: Array<unknown> = []

const grown = async (made: Effect.Effect<unknown>): Promise<number> => {
  collect()
  const before = process.memoryUsage().heapUsed
  kept.push(await Effect.runPromise(made))
  collect()
  return process.memoryUsage().heapUsed - before
}

const weigh = async (made: Effect.Effect<unknown>): Promise<number> => {
  const weights: Array<number> = []
  for (let round = 0; round < rounds; round++) weights.push(await grown(made))
  return Math.round(median(weights) / count)
}

/** The most that an instance or a key may hold, in bytes. */
export const limit = 2500

export const weighInstances = async (): Promise<ReadonlyMap<string, number>> => {
  const weights = new Map<string, number>()
  for (const [name, made] of Object.entries(cases)) weights.set(name, await weigh(made))
  return weights
}
