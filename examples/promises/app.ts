// The service: an app of Express. Its handlers await guarded functions and catch nothing; the error middleware does.
import { Effect } from "effect"
import { Bulkhead, Policy } from "effect-resilience"
import express, { type Express, type Response } from "express"
import { errors } from "./errors.js"
import type { Partner } from "./partner.js"

/** Aborted when the client closes the connection before it has its answer. */
const signalOf = (response: Response): AbortSignal => {
  const controller = new AbortController()
  response.once("close", () => controller.abort())
  return controller.signal
}

/** An app that asks the partner, for at most so many clients at a time. */
export const appOf = (partner: Partner, atOnce = 100): Express => {
  const bulkhead = Effect.runSync(Bulkhead.make({ name: "offers", permits: atOnce }))
  const guard = Policy.promise(bulkhead.protect)
  const offerOf = guard(({ signal }, id: string) => partner.fetchOffer.withSignal(signal)(id))

  const app = express()
  app.disable("x-powered-by")

  app.get("/offers/:id", async (request, response) => {
    const offer = await offerOf.withSignal(signalOf(response))(request.params.id)
    if (offer === undefined) response.status(404).json({ error: "no such offer" })
    else response.json(offer)
  })

  app.get("/circuit", async (_, response) => {
    response.json({ circuit: await partner.circuit() })
  })

  return app.use(errors)
}
