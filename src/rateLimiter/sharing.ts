/** What a limiter and a `share` are to each other: types only, so that a limiter that is not shared carries none of it. */
import type * as Effect from "effect/Effect"
import type { Rate } from "../core/rateLimit.js"
import type { Events } from "../policy/events.js"
import type { Configured } from "./options.js"
import type * as RateLimiter from "./RateLimiter.js"

/**
 * What a `share` is told of a limiter.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Shareable {
  /** The name that it has in the fleet. */
  readonly name: string
  readonly rate: Rate
  /** What a call costs by default. */
  readonly cost: number
  /** @internal What has been made of the options. */
  readonly made: {
    readonly configured: Configured
    readonly events: Events<RateLimiter.Event, RateLimiter.RateChanged>
  }
}

/**
 * What a `share` makes of a limiter.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Link {
  /** The limiter that takes its permits from the store. */
  readonly limiter: RateLimiter.RateLimiter
}

/**
 * A way to share a limiter, made by `Share` in `effect-resilience/fleet`.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Sharing {
  (limiter: Shareable): Effect.Effect<Link, never, unknown>
  /** Refuses what cannot be shared, before anything is made. Throws an `InvalidOption` of `RateLimiter.make`. */
  readonly check?: ((limiter: Omit<Shareable, "made">) => void) | undefined
}
