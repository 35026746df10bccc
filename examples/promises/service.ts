// The service: node:http and the handlers.
import { createServer, type Server } from "node:http"
import { circuitOf, offersOf } from "./handlers.js"
import { partnerAt } from "./partner.js"

export const serviceOf = (partnerUrl: string, atOnce?: number): Server => {
  const partner = partnerAt(partnerUrl)
  const offers = offersOf(partner, atOnce)
  const circuit = circuitOf(partner)
  return createServer((request, response) => {
    const handler = request.url?.startsWith("/offers/") === true ? offers : circuit
    handler(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
}
