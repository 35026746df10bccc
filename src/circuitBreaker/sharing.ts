/** What a breaker and its link to a fleet are to each other: types only, so that a breaker that is not shared carries none of it. */
import type * as Effect from "effect/Effect"
import type * as Circuit from "../core/circuit.js"
import type { Told } from "../internal/listeners.js"
import type * as Policy from "../policy/Policy.js"
import type { Reconfiguration } from "./CircuitBreaker.js"

/**
 * A breaker as its {@link Link} sees it and steers it.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Shareable {
  /** The name that it has in the fleet. */
  readonly name: string
  /** The circuit as it was last stepped. */
  readonly circuit: Circuit.Circuit
  /** The rules that it is stepped by. */
  readonly config: Circuit.Config
  /** Takes a step that the fleet has decided. */
  readonly follow: (step: Circuit.Step) => Told
  /** Takes settings that another process has changed. */
  readonly followSettings: (settings: Reconfiguration) => Effect.Effect<void>
}

/**
 * What a `share` makes of a breaker: its link to the breakers of the same name in other processes.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Link<out E = never> {
  /** What the breaker shows of it. */
  readonly settings: Policy.Settings
  /** Refuses rules and settings that cannot be shared, with an `InvalidOption`. */
  readonly check: (config: Circuit.Config, given: Reconfiguration | undefined, policy: string) => void
  /**
   * Asks the store how a call stands, before the call: it meets the circuit, which has been told, or is rejected, or is not counted.
   * Absent where calls do not wait for the store.
   */
  readonly before?: Effect.Effect<"circuit" | "open" | "uncounted", E> | undefined
  /** Tells the store of a call that is over, or of a change by hand. */
  readonly after?: Effect.Effect<void> | undefined
  /** Whether calls open the circuit of this process by themselves. */
  readonly mayOpen: boolean
  /** A call was counted that failed, or that was slow by a rule. */
  readonly counted: (isSlow: boolean) => void
  /** The circuit has changed its state, by a call or by hand. */
  readonly changed: (transition: Circuit.Transition, by: "calls" | "hand" | "fleet") => void
  /** The settings were changed by hand. */
  readonly configured: (given: Reconfiguration) => void
  /** Whether the half-open circuit may admit a probe. */
  readonly admits: (now: number) => boolean
  /** A probe has begun. */
  readonly began: (permit: Circuit.Permit, now: number) => void
  /** A probe has ended. */
  readonly ended: (permit: Circuit.Permit, outcome: "success" | "failure" | "returned") => void
}
