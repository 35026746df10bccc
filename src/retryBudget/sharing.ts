/** What a budget and a `share` are to each other: types only, so that a budget that is not shared carries none of it. */
import type * as Effect from "effect/Effect"
import type * as Policy from "../policy/Policy.js"
import type { Rule } from "./RetryBudget.js"

/**
 * A budget as its {@link Link} steers it.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Shareable {
  /** The rule that is in force. */
  readonly rule: Rule
  /** Goes on by another rule of the same kind, with the tokens that there are. `now` is monotonic, in milliseconds. */
  readonly follow: (rule: Rule, now: number) => void
}

/**
 * What a `share` makes of a budget.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Link {
  /** What the budget shows of it. */
  readonly settings: Policy.Settings
  /** Called before each step of the budget. */
  readonly update: (now: number) => void
}

/**
 * A way to share a budget, made by `Share` in `effect-resilience/fleet`.
 *
 * @since 0.1.0
 * @category sharing
 */
export interface Sharing {
  (budget: Shareable): Effect.Effect<Link, never, unknown>
  /** Refuses a rule that cannot be shared, before anything is made. Throws an `InvalidOption` of `RetryBudget.make`. */
  readonly check?: ((rule: Rule) => void) | undefined
}
