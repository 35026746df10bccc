/**
 * When a circuit breaker opens: rules as values. Three look back over a number of calls (`of`) or a time (`within`), of which they
 * forget a tenth at a time. No rule counts calls that a condition ignores.
 *
 * @since 0.1.0
 */
import { bucketsPerWindow } from "../core/buckets.js"
import { InvalidOption, object, whereRead } from "../core/options.js"
import * as core from "../core/trip.js"
import { type DurationInput, optionMillis } from "../internal/duration.js"
import { valueInWords } from "../policy/describe.js"
import { shown } from "./tripSettings.js"

/**
 * A rule that says when a closed circuit opens. Plain data: it can be compared, printed and kept.
 *
 * @since 0.1.0
 * @category models
 */
export type Trip = core.Trip

/**
 * The numbers behind a rule's answer, as they appear in a breaker's snapshot.
 *
 * @since 0.1.0
 * @category models
 */
export type Reading = core.Reading

/**
 * How far back a rule looks: the last `of` calls (1 to 1 000 000), or the calls of the time `within` (10 milliseconds or more).
 *
 * @since 0.1.0
 * @category models
 */
export type Window =
  | { readonly of: number; readonly within?: undefined }
  | { readonly within: DurationInput; readonly of?: undefined }

/**
 * Opens after `count` failures in a row.
 *
 * **When to use**: for a dependency that is either up or down, and wherever there are too few calls for a rate. Under a heavy
 * load that fails in part, a row of failures comes by chance: then prefer a rate, or a long row.
 *
 * @example
 * ```ts
 * import { Trip } from "effect-resilience"
 *
 * export const trip = Trip.consecutive(3)
 * ```
 *
 * @since 0.1.0
 * @category rules
 */
export const consecutive = (count: number): Trip => core.consecutive(count)

/**
 * Opens when `count` calls failed among the last `of`, in a row or not, or among those of the time `within`. It does not
 * wait for the window to fill: with `{ count: 2, of: 3 }` two failures at the very beginning are enough.
 *
 * @example
 * ```ts
 * import { Trip } from "effect-resilience"
 *
 * export const tenInAMinute = Trip.failures({ count: 10, within: "1 minute" })
 * ```
 *
 * @since 0.1.0
 * @category rules
 */
export const failures = (options: { readonly count: number } & Window): Trip => {
  const window = extent("Trip.failures", options, "count")
  return core.failures(options.count, window)
}

/**
 * Opens when at least the share `threshold` of the calls looked at failed, once there are `minimumCalls` of them (default: the
 * whole window for `of`, 20 for `within`). The share is compared exactly: 99 failures of 200 calls do not reach 0.5.
 *
 * **When to use**: for a dependency with a steady load, where some failures are normal.
 *
 * @example
 * ```ts
 * import { Trip } from "effect-resilience"
 *
 * export const half = Trip.failureRate({ threshold: 0.5, within: "30 seconds", minimumCalls: 20 })
 * ```
 *
 * @since 0.1.0
 * @category rules
 */
export const failureRate = (
  options: { readonly threshold: number; readonly minimumCalls?: number | undefined } & Window
): Trip => {
  const window = extent("Trip.failureRate", options, "threshold", "minimumCalls")
  return core.failureRate({ threshold: options.threshold, minimumCalls: options.minimumCalls, window })
}

/**
 * Opens when at least the share `threshold` of the calls looked at took longer than `slowerThan`, whether they failed or
 * not, once there are `minimumCalls` of them (defaults as for {@link failureRate}). The rule of resilience4j.
 *
 * **When to use**: for a dependency that gets slow before it gets wrong. Put a timeout inside the breaker, or a call that never
 * ends is never counted.
 *
 * @example
 * ```ts
 * import { Trip } from "effect-resilience"
 *
 * export const mostlySlow = Trip.slowRate({ slowerThan: "500 millis", threshold: 0.8, within: "30 seconds" })
 * ```
 *
 * @since 0.1.0
 * @category rules
 */
export const slowRate = (
  options: {
    readonly slowerThan: DurationInput
    readonly threshold: number
    readonly minimumCalls?: number | undefined
  } & Window
): Trip => {
  const window = extent("Trip.slowRate", options, "slowerThan", "threshold", "minimumCalls")
  const slowerThan = optionMillis("Trip.slowRate", "slowerThan", options.slowerThan, { zero: true })
  const { minimumCalls, threshold } = options
  return core.slowRate({ slowerThan, threshold, minimumCalls, window })
}

/**
 * Opens when any of the rules says so.
 *
 * @example
 * ```ts
 * import { Trip } from "effect-resilience"
 *
 * export const trip = Trip.any(Trip.consecutive(10), Trip.failureRate({ threshold: 0.5, within: "30 seconds" }))
 * ```
 *
 * @since 0.1.0
 * @category rules
 */
export const any = (...rules: ReadonlyArray<Trip>): Trip => core.any(rules)

/**
 * A rule in words.
 *
 * @example
 * ```ts
 * import { Trip } from "effect-resilience"
 *
 * console.log(Trip.describe(Trip.failures({ count: 2, of: 3 }))) // failures(count: 2, of: 3)
 * ```
 *
 * @since 0.1.0
 * @category utils
 */
export const describe = (trip: Trip): string => valueInWords(shown(trip))

/** How far back a rule looks, among its options, which are the given ones and no others. */
const extent = (policy: string, options: Window, ...names: ReadonlyArray<string>): core.Extent => {
  const known = [...names, "of", "within"].map((name) => [name, whereRead] as const)
  object(policy, "", options, Object.fromEntries(known))
  const { of, within } = options
  if (within === undefined) return { of }
  if (of !== undefined) throw new InvalidOption(policy, "within", within, 'left out when "of" is given')
  const expected = `a duration of at least ${bucketsPerWindow} millis`
  return {
    within: optionMillis(policy, "within", within, { bounds: [bucketsPerWindow, Infinity, expected] })
  }
}
