/**
 * How a policy takes part in a fleet: the values of the option `share`. Each requires the {@link SharedStore} of the program.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import * as breaker from "./breaker.js"
import type { SharedStore } from "./SharedStore.js"

// --------------------------------------------------------------------------------------------------- circuit breakers

/**
 * The options of {@link local}.
 *
 * @since 0.1.0
 * @category circuit breakers
 */
export type { LocalOptions } from "./breaker.js"

/**
 * Shares what calls meet, and not what follows from it: each process decides by its own calls and by what the others saw, without
 * the store in the path of a call.
 *
 * - The circuit opens for all when the calls of all meet the trip rule and `quorum` processes have seen failures. A process whose own
 *   calls meet it opens its own circuit, and no other.
 * - What opens, closes or is done by hand reaches every process at once, and within an interval of the store when an announcement is
 *   lost. So do settings that `configure` changes; an `openFor` must then be a duration.
 * - A half-open circuit admits `halfOpen.permits` probes in the whole fleet.
 * - While the store does not answer, each process goes on by itself. It joins again with the first answer.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Trip } from "effect-resilience"
 * import { Share, SharedStore } from "effect-resilience/fleet"
 *
 * class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
 *
 * // Layer<Partner, never, SharedStore>
 * const PartnerLive = Partner.layer({
 *   trip: Trip.failureRate({ threshold: 0.5, within: "10 seconds", minimumCalls: 20 }),
 *   share: Share.local()
 * })
 *
 * const program = Effect.succeed("hot offer").pipe(
 *   Partner.protect,
 *   Effect.provide(PartnerLive),
 *   Effect.provide(SharedStore.memory)
 * )
 * ```
 *
 * @since 0.1.0
 * @category circuit breakers
 */
export const local: (
  options?: breaker.LocalOptions
) => (breaker: CircuitBreaker.Shareable) => Effect.Effect<CircuitBreaker.Link, never, SharedStore> =
  breaker.local
