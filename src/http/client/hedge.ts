/** Sending a request a second time beside the first: the hedge of this library, for requests that may be repeated. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import {
  callable,
  type Caller,
  object,
  onBehalfOf,
  type Shape,
  text,
  whereRead,
  whole
} from "../../core/options.js"
import * as Hedge from "../../hedge/Hedge.js"
import * as Condition from "../../policy/condition.js"
import { check as budgetCheck } from "../../retryBudget/source.js"
import type * as HttpResilience from "./HttpResilience.js"
import { Attempts, transform } from "./attempt.js"
import * as Meaning from "./meaning.js"
import * as Part from "./part.js"
import { permissions, requestShape } from "./request.js"

type Response = HttpClientResponse.HttpClientResponse

const shape: Shape<HttpResilience.HedgeOptions> = {
  ...requestShape,
  delay: whereRead,
  maxHedges: whole(0),
  budget: budgetCheck,
  condition: Condition.check,
  name: text,
  onHedge: callable
}

export const make = <P extends Part.Any>(
  options: HttpResilience.HedgeOptions,
  caller: Caller = { policy: "HttpResilience.hedge" }
): P => {
  object(caller.policy, caller.path ?? "", options, shape)
  const { budget, condition, delay, maxHedges, name, onHedge } = options
  const policy = onBehalfOf(caller, "Hedge.hedge", () =>
    Hedge.hedge<Response, unknown, Hedge.Options<Response, unknown>>({
      name,
      delay,
      maxHedges,
      budget,
      condition: Meaning.ofUrgency(condition),
      startsNext: Meaning.isUrgent,
      onHedge
    })
  )
  return Part.make(policy, (client) =>
    transform(client, (send, request) =>
      Effect.contextWithEffect((context: Context.Context<never>) => {
        const may = permissions(request, options, context)
        const attempts = new Attempts(send)
        const attempt = attempts.attempt(request)
        return attempts.run(may.arriveTwice && may.sendTwice ? policy(attempt) : attempt)
      })
    )
  )
}
