// What clients are told of an error: the error middleware of the app, which gets whatever a handler rejects with.
import { Duration, Predicate } from "effect"
import { Policy } from "effect-resilience"
import type { ErrorRequestHandler } from "express"

/** The statuses of the typed errors, by their tags. */
const statuses: ReadonlyMap<unknown, number> = new Map([
  ["CircuitOpen", 503],
  ["BulkheadFull", 503],
  ["TimeoutExceeded", 504],
  ["PartnerError", 502]
])

const statusOf = (error: unknown): number | undefined =>
  Predicate.hasProperty(error, "_tag") ? statuses.get(error._tag) : undefined

export const errors: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  // The client has left: its call is over, and no answer would be read.
  if (response.destroyed) return
  const status = statusOf(error)
  // Express has an answer of its own for other errors, such as 400 for a path that cannot be decoded.
  if (status === undefined || response.headersSent) return next(error)
  if (Policy.isRejection(error) && error.retryAfter !== undefined) {
    response.set("Retry-After", String(Math.ceil(Duration.toSeconds(error.retryAfter))))
  }
  response.status(status).json({ error: (error as Error).message })
}
