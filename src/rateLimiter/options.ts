/** The options of a rate limiter: checks and defaults. */
import * as Duration from "effect/Duration"
import {
  callable,
  type Caller,
  integer,
  InvalidOption,
  object,
  onBehalfOf,
  type Shape,
  text,
  whereRead,
  whole
} from "../core/options.js"
import * as Rate from "../core/rateLimit.js"
import type * as Policy from "../policy/Policy.js"
import type * as RateLimiter from "./RateLimiter.js"
import { duration, optionMillis, withDurations } from "../internal/duration.js"
import { nameOf } from "../policy/define.js"

export const kind = "rate-limiter"

const constructorName = "RateLimiter.make"

/** What the options of a rate limiter come to. Times are in milliseconds. */
export interface Configured {
  readonly name: string
  readonly rate: Rate.Rate
  readonly maxWait: number
  readonly maxQueued: number
  readonly cost: number
  readonly settings: Policy.Settings
}

const defaultMaxQueued = 1000
const anyWait = { zero: true, infinite: true }

const listeners: Shape<RateLimiter.Listeners> = {
  onQueued: callable,
  onAdmitted: callable,
  onRejected: callable,
  onRateChanged: callable
}

/** What is given besides settings from the configuration. */
export const given: Shape<RateLimiter.Given> = { share: callable, ...listeners }

export const shape: Shape<RateLimiter.Options> = {
  name: text,
  rate: whereRead,
  maxWait: duration(anyWait),
  maxQueued: whole(0),
  cost: whole(1),
  ...given
}

export const configure = (options: RateLimiter.Options, defaultName: string, caller?: Caller): Configured =>
  onBehalfOf(caller, constructorName, () => read(options, defaultName))

const read = (options: RateLimiter.Options, defaultName: string): Configured => {
  object(constructorName, "", options, shape)
  const name = nameOf(constructorName, defaultName, options.name)
  const rate = Rate.checked(constructorName, options.rate, "rate.")
  const maxWait = optionMillis(constructorName, "maxWait", options.maxWait ?? 0, anyWait)
  const maxQueued = integer(constructorName, "maxQueued", options.maxQueued ?? defaultMaxQueued, 0)
  const cost = checkCost(constructorName, options.cost ?? 1)
  const { most } = Rate.rule(rate)
  if (cost > most) {
    const bound = rate._tag === "tokenBucket" ? "rate.burst" : "rate.limit"
    throw new InvalidOption(constructorName, "cost", cost, `at most "${bound}" (${most})`)
  }
  options.share?.check?.({ name, rate, cost })
  const settings: Policy.Settings = {
    rate: withDurations(rate, "per"),
    maxWait: maxWait === 0 ? undefined : Duration.millis(maxWait),
    maxQueued: maxWait === 0 ? undefined : maxQueued,
    cost: cost === 1 ? undefined : cost
  }
  return { name, rate, maxWait, maxQueued, cost, settings }
}

export const checkCost = (operation: string, cost: number): number => integer(operation, "cost", cost, 1)
