/** `Hedge` for requests that may be repeated. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
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
import type * as HttpResilience from "./HttpResilience.js"
import * as Meaning from "./meaning.js"
import * as Part from "./part.js"
import { requestShape, withPermissions } from "./request.js"

type Response = HttpClientResponse.HttpClientResponse

const shape: Shape<HttpResilience.HedgeOptions> = {
  ...requestShape,
  delay: whereRead,
  maxHedges: whole(0),
  budget: whereRead,
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
  const hedge = Part.exchanging((request, next, call) =>
    withPermissions(request, options, (may) =>
      may.arriveTwice && may.sendTwice ? call.concurrently(request, next, policy) : next(request, call)
    )
  )
  return Part.make(policy, hedge)
}
