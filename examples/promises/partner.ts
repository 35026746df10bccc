// The partner as a function to promises: plain `fetch`, guarded by policies. Those who call it see promises and errors, no effects.
import { type Duration, Effect } from "effect"
import { CircuitBreaker, Policy, Retry, Timeout, Trip } from "effect-resilience"

export interface Offer {
  readonly id: string
  readonly price: number
}

/** The partner could not be reached, or did not answer with an offer. */
export class PartnerError extends Error {
  readonly _tag = "PartnerError"
}

const readOffer = async (url: string, signal: AbortSignal): Promise<Offer | undefined> => {
  try {
    const response = await fetch(url, { signal })
    if (response.ok) return (await response.json()) as Offer
    await response.body?.cancel()
    // That there is no such offer is an answer, and not for the retry or the breaker.
    if (response.status === 404) return undefined
    throw new PartnerError(`the partner answered ${response.status}`)
  } catch (cause) {
    throw cause instanceof PartnerError
      ? cause
      : new PartnerError("the partner could not be reached", { cause })
  }
}

/** A client of the partner. Its breaker is made once, and all calls share it. */
export const partnerAt = (url: string, limit: Duration.DurationInput = "2 seconds") => {
  const breaker = Effect.runSync(
    CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(4), openFor: "15 seconds" })
  )
  const guard = Policy.promise(Timeout.timeout(limit), breaker.protect, Retry.retry({ times: 1 }))
  return {
    /** (id: string) => Promise<Offer | undefined>, with `withSignal` for callers that may leave. */
    fetchOffer: guard(({ signal }, id: string) =>
      readOffer(`${url}/offers/${encodeURIComponent(id)}`, signal)
    ),
    circuit: () => Effect.runPromise(breaker.state)
  }
}

export type Partner = ReturnType<typeof partnerAt>
