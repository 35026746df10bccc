// The partner as a function to promises: plain `fetch`, guarded by policies. Those who call it see promises and errors, no effects.
import { Effect } from "effect"
import { CircuitBreaker, Policy, Retry, Timeout, Trip } from "effect-resilience"

export interface Offer {
  readonly id: string
  readonly price: number
}

/** The partner answered with another status than 200. */
export class PartnerError extends Error {
  constructor(readonly status: number) {
    super(`the partner answered ${status}`)
  }
}

const readOffer = async (url: string, signal: AbortSignal): Promise<Offer> => {
  const response = await fetch(url, { signal })
  if (!response.ok) {
    await response.body?.cancel()
    throw new PartnerError(response.status)
  }
  return (await response.json()) as Offer
}

/** A client of the partner. Its breaker is made once, and all calls share it. */
export const partnerAt = (url: string) => {
  const breaker = Effect.runSync(
    CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(4), openFor: "15 seconds" })
  )
  const guard = Policy.promise(Timeout.timeout("2 seconds"), breaker.protect, Retry.retry({ times: 1 }))
  return {
    /** (id: string) => Promise<Offer>, with `withSignal` for callers that may leave. */
    fetchOffer: guard(({ signal }, id: string) =>
      readOffer(`${url}/offers/${encodeURIComponent(id)}`, signal)
    ),
    circuit: () => Effect.runPromise(breaker.state)
  }
}

export type Partner = ReturnType<typeof partnerAt>
