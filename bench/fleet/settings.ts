/** The policies of the proof, the same in every process. */
import { RateLimiter, Trip } from "effect-resilience"

/** How many processes the fleet has. */
export const processes = 20

export const openMillis = 3000
export const windowMillis = 3000

/** At one call a second a process has three calls in the window, and never opens by itself; the fleet has sixty. */
export const partner = {
  trip: Trip.failureRate({ threshold: 0.5, within: windowMillis, minimumCalls: 20 }),
  openFor: openMillis,
  halfOpen: { permits: 2, successes: 2 }
} as const

/** The most probes in a half-open period, in the whole fleet. */
export const probes = partner.halfOpen.permits

export const limit = 400
export const burst = 200

export const rate = RateLimiter.tokenBucket({ limit, burst, per: "1 second" })
