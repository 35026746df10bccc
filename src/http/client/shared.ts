/** The policies that requests share, around a client: circuit breakers, bulkheads and rate limiters. */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import { callable, type Caller, type Shape } from "../../core/options.js"
import * as Condition from "../../policy/condition.js"
import type * as Policy from "../../policy/Policy.js"
import * as Shared from "../internal/shared.js"
import type * as HttpResilience from "./HttpResilience.js"
import type { Answer } from "./call.js"
import * as Meaning from "./meaning.js"
import * as Part from "./part.js"
import { originOf } from "./request.js"

type Request = HttpClientRequest.HttpClientRequest

const keyShape: Shape<HttpResilience.KeyOptions> = { key: callable }
type BreakerOwn = Pick<HttpResilience.CircuitBreakerUse, "condition">

const breakerOwn: Shape<BreakerOwn> = { condition: Condition.check }

const protecting = <P extends Part.Any>(
  described: Policy.Described,
  policyOf: Shared.Use<Request, (self: Answer) => Answer>
): P =>
  Part.make(
    described,
    Part.exchanging((request, next, call) =>
      policyOf(request, (policy) => {
        const self = next(request, call)
        return policy === undefined ? self : policy(self)
      })
    )
  )

const { initial: _, ...breakerShape } = Shared.circuitBreaker.shape
const breaker: Shared.Kind<Omit<CircuitBreaker.Options, "initial">, CircuitBreaker.Operations> = {
  ...Shared.circuitBreaker,
  shape: breakerShape
}

export const circuitBreaker = <P extends Part.Any>(
  value: object,
  use: HttpResilience.CircuitBreakerUse = {},
  caller: Caller = { policy: "HttpResilience.circuitBreaker" }
): P => {
  const given: Shared.Given<Request, BreakerOwn, HttpResilience.KeyOptions> = {
    caller,
    value,
    use,
    own: breakerOwn,
    ownByKey: keyShape,
    defaultKey: originOf,
    isByKey: true
  }
  const { described, of, own } = Shared.resolve(breaker, given)
  const classify = Meaning.ofHealth(own.condition)
  return protecting(
    described,
    of((breaker) => breaker.protectWhen(classify))
  )
}

const limiting =
  <Options extends object>(
    kind: Shared.Kind<Options, { readonly protect: Policy.Policy<unknown, unknown> }>,
    policy: string
  ) =>
  <P extends Part.Any>(
    value: object,
    use: HttpResilience.KeyOptions = {},
    caller: Caller = { policy }
  ): P => {
    const given: Shared.Given<Request, object, HttpResilience.KeyOptions> = {
      caller,
      value,
      use,
      own: {},
      ownByKey: keyShape,
      defaultKey: originOf
    }
    const { described, of } = Shared.resolve(kind, given)
    return protecting(
      described,
      of(({ protect }) => protect)
    )
  }

export const bulkhead = limiting(Shared.bulkhead, "HttpResilience.bulkhead")

export const rateLimiter = limiting(Shared.rateLimiter, "HttpResilience.rateLimiter")
