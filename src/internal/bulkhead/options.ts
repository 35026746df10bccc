/** The options of a bulkhead: checked, and completed with defaults. */
import * as Duration from "effect/Duration"
import type * as Bulkhead from "../../Bulkhead.js"
import { finite, integer, InvalidOption } from "../../core/options.js"
import type * as Policy from "../../Policy.js"
import { optionMillis } from "../duration.js"
import { nameOf } from "../policy.js"

const constructorName = "Bulkhead.make"

/** What the options of a bulkhead come to. */
export interface Configured {
  readonly name: string
  readonly permits: number
  readonly maxQueued: number
  /** In milliseconds. */
  readonly maxWait: number
  readonly retryAfterJitter: number
  /** The settings as a policy shows them. */
  readonly settings: Policy.Settings
}

/** Checks the options. Throws an `InvalidOption` for the first bad one. */
export const configure = (options: Bulkhead.Settings, defaultName: string): Configured => {
  const name = nameOf(constructorName, defaultName, options.name)
  const permits = integer(constructorName, "permits", options.permits, 1)
  const maxQueued = integer(constructorName, "maxQueued", options.maxQueued ?? 0, 0)
  const maxWait =
    options.maxWait === undefined
      ? Infinity
      : optionMillis(constructorName, "maxWait", options.maxWait, { infinite: true })
  if (maxQueued === 0 && options.maxWait !== undefined) {
    throw new InvalidOption(
      constructorName,
      "maxWait",
      options.maxWait,
      'left out when nobody may wait ("maxQueued" is 0)'
    )
  }
  const retryAfterJitter = finite(constructorName, "retryAfterJitter", options.retryAfterJitter ?? 0.5, 0, 10)
  const shown = maxWait === Infinity ? undefined : Duration.millis(maxWait)
  return {
    name,
    permits,
    maxQueued,
    maxWait,
    retryAfterJitter,
    settings: { permits, maxQueued, maxWait: shown }
  }
}
