/** The options of a bulkhead: checks and defaults. */
import * as Duration from "effect/Duration"
import type * as Bulkhead from "./Bulkhead.js"
import {
  callable,
  type Caller,
  integer,
  InvalidOption,
  number,
  object,
  onBehalfOf,
  type Shape,
  text,
  whole
} from "../core/options.js"
import type * as Policy from "../policy/Policy.js"
import { duration, optionMillis } from "../internal/duration.js"
import { nameOf } from "../policy/define.js"

const constructorName = "Bulkhead.make"

export interface Configured {
  readonly name: string
  readonly permits: number
  readonly maxQueued: number
  /** In milliseconds. */
  readonly maxWait: number
  readonly retryAfterJitter: number
  readonly settings: Policy.Settings
}

export const listeners: Shape<Bulkhead.Listeners> = {
  onQueued: callable,
  onAdmitted: callable,
  onRejected: callable,
  onSuccess: callable,
  onFailure: callable,
  onResized: callable
}

export const shape: Shape<Bulkhead.Options> = {
  name: text,
  permits: whole(1),
  maxQueued: whole(0),
  maxWait: duration({ infinite: true }),
  retryAfterJitter: number(0, 10),
  ...listeners
}

export const configure = (options: Bulkhead.Options, defaultName: string, caller?: Caller): Configured =>
  onBehalfOf(caller, constructorName, () => read(options, defaultName))

const read = (options: Bulkhead.Options, defaultName: string): Configured => {
  object(constructorName, "", options, shape)
  const name = nameOf(constructorName, defaultName, options.name)
  const permits = integer(constructorName, "permits", options.permits, 1)
  const maxQueued = integer(constructorName, "maxQueued", options.maxQueued ?? 0, 0)
  const maxWait = optionMillis(constructorName, "maxWait", options.maxWait ?? Infinity, { infinite: true })
  if (maxQueued === 0 && options.maxWait !== undefined) {
    const expected = 'left out when no call may wait ("maxQueued" is 0)'
    throw new InvalidOption(constructorName, "maxWait", options.maxWait, expected)
  }
  const { retryAfterJitter = 0.5 } = options
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
