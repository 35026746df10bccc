// Handlers of the shape that Express has: `app.get("/offers/:id", offers)` takes them as they are, for a request and a response of
// Express are those of node:http with more members.
import { Effect } from "effect"
import { Bulkhead, Policy, type Timeout } from "effect-resilience"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Partner } from "./partner.js"

export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

const answer = (response: ServerResponse, status: number, body: unknown): void => {
  if (response.destroyed) return
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
}

const isTimeout = (error: unknown): error is Timeout.TimeoutExceeded =>
  error instanceof Error && error.name === "TimeoutExceeded"

/** 503 for what a policy rejected, 504 for a limit that passed, 502 for a partner that failed. */
const statusOf = (error: unknown): number => (Policy.isRejection(error) ? 503 : isTimeout(error) ? 504 : 502)

/** Aborted when the client closes the connection before it has its answer. */
const signalOf = (response: ServerResponse): AbortSignal => {
  const controller = new AbortController()
  response.once("close", () => controller.abort())
  return controller.signal
}

/** GET /offers/:id: asks the partner, for at most so many clients at a time. */
export const offersOf = (partner: Partner, atOnce = 100): Handler => {
  const bulkhead = Effect.runSync(Bulkhead.make({ name: "offers", permits: atOnce }))
  const offerOf = Policy.promise(bulkhead.protect)(({ signal }, id: string) =>
    partner.fetchOffer.withSignal(signal)(id)
  )
  return async (request, response) => {
    const id = request.url?.split("/").at(-1) ?? ""
    try {
      answer(response, 200, await offerOf.withSignal(signalOf(response))(id))
    } catch (error) {
      answer(response, statusOf(error), { error: error instanceof Error ? error.message : String(error) })
    }
  }
}

/** GET /circuit: the state of the partner's breaker. */
export const circuitOf =
  (partner: Partner): Handler =>
  async (_, response) =>
    answer(response, 200, { circuit: await partner.circuit() })
