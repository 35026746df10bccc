/**
 * Whether a program is up, degraded or down, from the state of its policies, and why.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import type * as Explain from "./Explain.js"
import * as internal from "./judge.js"
import type * as Registry from "./Registry.js"

// ------------------------------------------------------------------------------------------------------------- models

/**
 * `degraded`: something is held back, and the program answers what it can, such as by a fallback. `down`: it should get no requests.
 *
 * @since 0.1.0
 * @category models
 */
export type Status = "up" | "degraded" | "down"

/**
 * What a program is judged by, with the states of each: its policies, and the store that it shares with other processes.
 *
 * @since 0.1.0
 * @category models
 */
export interface States {
  readonly "circuit-breaker": CircuitBreaker.State
  readonly bulkhead: "available" | "full"
  readonly "rate-limiter": "available" | "exhausted"
  readonly "retry-budget": "available" | "exhausted"
  readonly cache: "empty" | "filled"
  readonly "shared-store": "connected" | "degraded"
}

/**
 * @since 0.1.0
 * @category models
 */
export type Kind = keyof States

/**
 * Why a program is not up. `kind`, `name` and `state` are those of a policy; the `reason` is a sentence, as by `Explain.sentence`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reason {
  readonly kind: string
  readonly name: string
  readonly state: string
  readonly health: Exclude<Status, "up">
  readonly reason: string
}

/**
 * The worst of all policies, and each one that is not up: those that are down first.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report {
  readonly status: Status
  readonly reasons: ReadonlyArray<Reason>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Health {
  /** Reads the state of all policies, and the numbers of those that are not up. With rules as a function, the numbers of all. */
  readonly check: Effect.Effect<Report>
}

// ------------------------------------------------------------------------------------------------------------ options

interface RuleFor<State extends string> {
  /** The name of a policy, or of a keyed policy for all its keys; or a pattern for names. Default: every name. */
  readonly name?: string | RegExp | undefined
  /** The state, or states. Default: those that are not up by the defaults. */
  readonly state?: State | ReadonlyArray<State> | undefined
  /** The health of the policies that it fits. */
  readonly health: Status
}

/**
 * What policies of a kind, name and state are. Without a `state` it is about policies that are not up by the defaults, so that
 * `{ name: "payments", health: "down" }` makes a policy indispensable, and `health: "up"` keeps one out of the report.
 *
 * @since 0.1.0
 * @category options
 */
export type Rule =
  | { readonly [K in Kind]: { readonly kind: K } & RuleFor<States[K]> }[Kind]
  | ({ readonly kind?: undefined } & RuleFor<States[Kind]>)

/**
 * A policy that a rule as a function judges.
 *
 * @since 0.1.0
 * @category options
 */
export interface Judged {
  readonly kind: Kind
  readonly name: string
  /** The name of the keyed policy for its instances, otherwise the same as `name`. */
  readonly family: string
  readonly state: States[Kind]
  /** The numbers behind its state; there are none for a store. */
  readonly explanation: Explain.Explanation | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface Options {
  /**
   * Rules that come before the defaults: a list, of which the first that fits holds, or a function. The defaults hold where the
   * function returns `undefined` or throws; its first error is logged. Default: none.
   */
  readonly rules?: ReadonlyArray<Rule> | ((policy: Judged) => Status | undefined) | undefined
}

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Judges the policies of the registry, and the `SharedStore` if the context has one. Bad options are a defect of type `InvalidOption`.
 *
 * These are degraded by default, and nothing is down:
 *
 * | Kind              | State                           |
 * | ----------------- | ------------------------------- |
 * | `circuit-breaker` | `open`, `half-open`, `isolated` |
 * | `bulkhead`        | `full`                          |
 * | `retry-budget`    | `exhausted`                     |
 * | `shared-store`    | `degraded`                      |
 *
 * An exhausted rate limiter is up: it does what it is for. `HttpHealth` serves the report to probes.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Health } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function* () {
 *   const health = yield* Health.make({
 *     rules: [
 *       { kind: "circuit-breaker", name: "payments", state: "open", health: "down" },
 *       { name: /^recommendations/, health: "up" }
 *     ]
 *   })
 *   const { reasons, status } = yield* health.check
 *   console.log(status, ...reasons.map(({ name, reason }) => `${name}: ${reason}`))
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Health, never, Registry.Registry> =>
  internal.make("Health.make", options)

/**
 * {@link make} by the defaults, and the report at once.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Health } from "effect-resilience/observability"
 *
 * // Effect<boolean, never, Registry>
 * const isDegraded = Effect.map(Health.check, ({ status }) => status === "degraded")
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const check: Effect.Effect<Report, never, Registry.Registry> = Effect.flatMap(
  make(),
  ({ check }) => check
)
