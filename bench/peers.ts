/** The same calls with promise libraries. Timeouts and percentiles of opossum are off where they are not what is measured. */
import * as cockatiel from "cockatiel"
import CircuitBreaker from "opossum"
import pLimit from "p-limit"
import { type Body, down } from "./paths.js"

/** A call that succeeds or rejects, as a promise. */
export type PromiseCall = () => Promise<unknown>

interface Peers {
  readonly cockatiel?: PromiseCall
  readonly opossum?: PromiseCall
  readonly "p-limit"?: PromiseCall
}

interface Functions {
  readonly succeeds: () => unknown
  readonly fails: () => unknown
  readonly failsOnce: () => unknown
}

const alternating = (first: () => unknown, second: () => unknown): (() => unknown) => {
  let calls = 0
  return () => (calls++ % 2 === 0 ? first() : second())
}

const fail = (): never => {
  throw down
}

const functions: { readonly [body in Body]: Functions } = {
  sync: { succeeds: () => 1, fails: fail, failsOnce: alternating(fail, () => 1) },
  promise: {
    succeeds: () => Promise.resolve(1),
    fails: () => Promise.reject(down),
    failsOnce: alternating(
      () => Promise.reject(down),
      () => Promise.resolve(1)
    )
  }
}

/** opossum takes what an action returns for a promise when it has a `then`, and for the result when not, whatever its types say. */
const opossum = (action: () => unknown, options: CircuitBreaker.Options = {}): CircuitBreaker =>
  new CircuitBreaker(action as () => Promise<unknown>, {
    timeout: false,
    rollingPercentilesEnabled: false,
    volumeThreshold: 1_000_000_000,
    ...options
  })

const executing =
  <Alternative>(
    policy: cockatiel.IPolicy<cockatiel.IDefaultPolicyContext, Alternative>,
    body: () => unknown
  ): PromiseCall =>
  () =>
    policy.execute(body)

const firing =
  (breaker: CircuitBreaker): PromiseCall =>
  () =>
    breaker.fire()

const all = cockatiel.handleAll
const consecutive = (count: number): cockatiel.CircuitBreakerPolicy =>
  cockatiel.circuitBreaker(all, {
    halfOpenAfter: 3_600_000,
    breaker: new cockatiel.ConsecutiveBreaker(count)
  })
const noDelay = new cockatiel.ConstantBackoff(0)

/** A breaker of cockatiel that is open because a call failed. */
const open = (): cockatiel.CircuitBreakerPolicy => {
  const breaker = consecutive(1)
  void breaker.execute(fail).catch(() => undefined)
  return breaker
}

const sampling = (): cockatiel.CircuitBreakerPolicy =>
  cockatiel.circuitBreaker(all, {
    halfOpenAfter: 10_000,
    breaker: new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 30_000, minimumRps: 1 })
  })

const openBreakers = ({ succeeds }: Functions): Peers => {
  const breaker = opossum(succeeds, { resetTimeout: 3_600_000 })
  breaker.open()
  return { cockatiel: executing(open(), succeeds), opossum: firing(breaker) }
}

const fourPolicies = ({ succeeds }: Functions): Peers => {
  const breaker = opossum(succeeds, { timeout: 60_000 })
  breaker.fallback(() => 2)
  return {
    cockatiel: executing(
      cockatiel.wrap(
        cockatiel.fallback(all, 2),
        cockatiel.retry(all, { maxAttempts: 2, backoff: noDelay }),
        consecutive(5),
        cockatiel.timeout(60_000, cockatiel.TimeoutStrategy.Aggressive)
      ),
      succeeds
    ),
    // opossum has no retry.
    opossum: firing(breaker)
  }
}

/** By policy and path. Made anew for each use. */
const peers: { readonly [path: string]: (functions: Functions) => Peers } = {
  "circuit breaker, closed, consecutive": ({ succeeds }) => ({
    cockatiel: executing(consecutive(5), succeeds),
    opossum: firing(opossum(succeeds))
  }),
  "circuit breaker, closed, default options": ({ succeeds }) => ({
    cockatiel: executing(sampling(), succeeds),
    opossum: firing(opossum(succeeds))
  }),
  "circuit breaker, closed, rate and slow calls": ({ succeeds }) => ({
    cockatiel: executing(sampling(), succeeds),
    opossum: firing(opossum(succeeds))
  }),
  "circuit breaker, open, rejected": openBreakers,
  "circuit breaker, open, rejected in another millisecond": openBreakers,
  "circuit breaker, failure recorded": ({ fails }) => ({
    cockatiel: executing(consecutive(Number.MAX_SAFE_INTEGER), fails),
    opossum: firing(opossum(fails))
  }),
  "retry, success": ({ succeeds }) => ({
    cockatiel: executing(cockatiel.retry(all, { maxAttempts: 2, backoff: noDelay }), succeeds)
  }),
  "retry, one failure, no delay": ({ failsOnce }) => ({
    cockatiel: executing(cockatiel.retry(all, { maxAttempts: 2, backoff: noDelay }), failsOnce)
  }),
  "timeout, in time": ({ succeeds }) => ({
    cockatiel: executing(cockatiel.timeout(60_000, cockatiel.TimeoutStrategy.Aggressive), succeeds),
    opossum: firing(opossum(succeeds, { timeout: 60_000 }))
  }),
  "bulkhead, free": ({ succeeds }) => {
    const limit = pLimit(10)
    return { cockatiel: executing(cockatiel.bulkhead(10), succeeds), "p-limit": () => limit(succeeds) }
  },
  "bulkhead, full, rejected": ({ succeeds }) => {
    const bulkhead = cockatiel.bulkhead(1)
    void bulkhead.execute(() => new Promise(() => undefined))
    return { cockatiel: executing(bulkhead, succeeds) }
  },
  "fallback, not used": ({ succeeds }) => ({ cockatiel: executing(cockatiel.fallback(all, 2), succeeds) }),
  "fallback, used": ({ fails }) => ({ cockatiel: executing(cockatiel.fallback(all, 2), fails) }),
  "pipeline, timeout, breaker, retry, fallback": fourPolicies,
  "pipeline, composed ahead of time": fourPolicies
}

/** The calls of all libraries that have what a path is about. */
export const peersOf = (path: string, body: Body): Peers => peers[path]?.(functions[body]) ?? {}
