/** The policies that requests share: circuit breakers, bulkheads and rate limiters, one for all or one for each key. */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Bulkhead from "../../bulkhead/Bulkhead.js"
import * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import { callable, type Caller, object, type Shape } from "../../core/options.js"
import { configure as configureBulkhead, shape as bulkheadShape } from "../../bulkhead/options.js"
import { configure as configureBreaker, shape as breakerShape } from "../../circuitBreaker/options.js"
import * as Condition from "../../policy/condition.js"
import { boundsShape, isKeyed, refuseBounds } from "../../policy/keyed.js"
import { configure as configureLimiter, shape as limiterShape } from "../../rateLimiter/options.js"
import type * as Policy from "../../policy/Policy.js"
import * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type * as HttpResilience from "./HttpResilience.js"
import { onceChecked } from "../internal/once.js"
import * as Meaning from "./meaning.js"
import * as Part from "./part.js"
import { originOf } from "./request.js"

const kinds = { breaker: "circuit-breaker", bulkhead: "bulkhead", limiter: "rate-limiter" }

type Request = HttpClientRequest.HttpClientRequest
type KeyOf = (request: Request) => string | undefined

/** Instances, tags and keyed policies protect something. Options do not. */
export const isInstance = <Options, Instance extends { readonly protect: unknown }>(
  first: Options | Instance
): first is Instance => Predicate.hasProperty(first, "protect")

// ---------------------------------------------------------------------------------------------------- circuit breaker

type Breakers = CircuitBreaker.KeyedOperations<unknown> | CircuitBreaker.Operations<unknown>

const keyShape: Shape<HttpResilience.KeyOptions> = { key: callable }
const useShape: Shape<HttpResilience.CircuitBreakerUse> = { ...keyShape, condition: Condition.check }

const { initial: _, ...breakerOptions } = breakerShape

const shapes: {
  readonly circuitBreaker: Shape<HttpResilience.CircuitBreakerOptions>
  readonly bulkhead: Shape<HttpResilience.BulkheadOptions>
  readonly rateLimiter: Shape<HttpResilience.RateLimiterOptions>
} = {
  circuitBreaker: { ...breakerOptions, ...boundsShape, ...useShape },
  bulkhead: { ...bulkheadShape, ...boundsShape, ...keyShape },
  rateLimiter: { ...limiterShape, ...boundsShape, ...keyShape }
}

export const circuitBreaker = <P extends Part.Any>(
  options: HttpResilience.CircuitBreakerOptions,
  caller: Caller = { policy: "HttpResilience.circuitBreaker" }
): P => {
  object(caller.policy, caller.path ?? "", options, shapes.circuitBreaker)
  const { capacity, condition, idleTimeToLive, key, whenFull, ...own } = options
  const { name, settings } = configureBreaker(own, kinds.breaker, caller)
  const breakers = onceChecked(CircuitBreaker.keyed({ options: own, capacity, idleTimeToLive, whenFull }))
  return breaking({ kind: kinds.breaker, name, settings }, breakers, condition, key)
}

export const circuitBreakerOf = <P extends Part.Any>(
  breakers: Breakers,
  use: HttpResilience.CircuitBreakerUse
): P => {
  object("HttpResilience.circuitBreaker", "", use, useShape)
  return breaking(describedBy(kinds.breaker, breakers), Effect.succeed(breakers), use.condition, use.key)
}

const breaking = <P extends Part.Any>(
  described: Policy.Described,
  breakers: Effect.Effect<Breakers, never, unknown>,
  condition: HttpResilience.Condition | undefined,
  keyOf: KeyOf = originOf
): P => {
  const classify = Meaning.ofHealth(condition)
  return Part.make(
    described,
    Part.exchanging((request, next, call) =>
      Effect.flatMap(breakers, (found) => {
        if (!isKeyed(found)) return found.protectWhen(classify)(next(request, call))
        const key = keyOf(request)
        return key === undefined ? next(request, call) : found.protectWhen(key)(classify)(next(request, call))
      })
    )
  )
}

// ------------------------------------------------------------------------------------------- bulkhead and rate limiter

interface Single {
  readonly protect: Policy.Policy<unknown, unknown>
}

interface ByKey {
  readonly snapshots: unknown
  readonly protect: (key: string) => Policy.Policy<unknown, unknown>
}

export const bulkhead = <P extends Part.Any>(
  options: HttpResilience.BulkheadOptions,
  caller: Caller = { policy: "HttpResilience.bulkhead" }
): P => {
  object(caller.policy, caller.path ?? "", options, shapes.bulkhead)
  const { capacity, idleTimeToLive, key, whenFull, ...own } = options
  if (key === undefined) refuseBounds(caller, options)
  const { name, settings } = configureBulkhead(own, kinds.bulkhead, caller)
  const bulkheads =
    key === undefined
      ? onceChecked(Bulkhead.make(own))
      : onceChecked(Bulkhead.keyed({ options: own, capacity, idleTimeToLive, whenFull }))
  return limiting({ kind: kinds.bulkhead, name, settings }, bulkheads, key)
}

export const rateLimiter = <P extends Part.Any>(
  options: HttpResilience.RateLimiterOptions,
  caller: Caller = { policy: "HttpResilience.rateLimiter" }
): P => {
  object(caller.policy, caller.path ?? "", options, shapes.rateLimiter)
  const { capacity, idleTimeToLive, key, whenFull, ...own } = options
  if (key === undefined) refuseBounds(caller, options)
  const { name, settings } = configureLimiter(own, kinds.limiter, caller)
  const limiters =
    key === undefined
      ? onceChecked(RateLimiter.make(own))
      : onceChecked(RateLimiter.keyed({ options: own, capacity, idleTimeToLive, whenFull }))
  return limiting({ kind: kinds.limiter, name, settings }, limiters, key)
}

/** The limits of bulkheads or limiters that are made elsewhere. */
export const limitsOf = <P extends Part.Any>(
  kind: string,
  limits: Single | ByKey,
  use: HttpResilience.KeyOptions
): P => {
  object(
    kind === kinds.bulkhead ? "HttpResilience.bulkhead" : "HttpResilience.rateLimiter",
    "",
    use,
    keyShape
  )
  return limiting(describedBy(kind, limits), Effect.succeed(limits), use.key)
}

const limiting = <P extends Part.Any>(
  described: Policy.Described,
  limits: Effect.Effect<Single | ByKey, never, unknown>,
  keyOf: KeyOf = originOf
): P =>
  Part.make(
    described,
    Part.exchanging((request, next, call) =>
      Effect.flatMap(limits, (found) => {
        if (!isKeyed(found)) return found.protect(next(request, call))
        const key = keyOf(request)
        return key === undefined ? next(request, call) : found.protect(key)(next(request, call))
      })
    )
  )

/** What a part says about instances that are made elsewhere. A keyed policy has as many names as instances. */
const describedBy = (kind: string, source: Single | ByKey): Policy.Described =>
  isKeyed(source) ? { kind, name: kind, settings: {} } : source.protect
