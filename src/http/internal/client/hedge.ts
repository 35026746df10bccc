/** Sending a request a second time beside the first: the hedge of this library, for requests that may be repeated. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hedge from "../../../Hedge.js"
import type * as HttpResilience from "../../HttpResilience.js"
import { Attempts, transform } from "./attempt.js"
import * as Meaning from "./meaning.js"
import * as Part from "./part.js"
import { permissions } from "./request.js"

type Response = HttpClientResponse.HttpClientResponse

export const make = <P extends Part.Any>(options: HttpResilience.HedgeOptions): P => {
  const { budget, condition, delay, maxHedges, name, onHedge } = options
  const policy = Hedge.hedge<Response, unknown, Hedge.Options<Response, unknown>>({
    name,
    delay,
    maxHedges,
    budget,
    condition: Meaning.ofUrgency(condition),
    startsNext: Meaning.isUrgent,
    onHedge
  })
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
