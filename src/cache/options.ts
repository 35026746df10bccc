/** The options of a cache: checks, defaults, and the form that the rule takes. */
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import type * as Cache from "./Cache.js"
import type * as Core from "../core/cache.js"
import {
  callable,
  type Caller,
  type Check,
  finite,
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
import { type DurationInput, duration, optionMillis, shown } from "../internal/duration.js"
import { nameOf } from "../policy/define.js"

const constructorName = "Cache.make"

export const kind = "cache"

/** A duration that may depend on what a lookup brought. */
export type Computed<Input> = (input: Input, key: unknown) => DurationInput

/** What the options of a cache come to. Durations that are fixed are in milliseconds. */
export interface Configured {
  readonly name: string
  readonly capacity: number
  readonly bounds: Core.Bounds
  /** The same for every value, in milliseconds; infinite when it depends on the value. */
  readonly freshFor: number
  readonly timeToLive: Computed<Exit.Exit<unknown, unknown>>
  readonly negativeTimeToLive: (
    failed: Cache.Failed<unknown>,
    exit: Exit.Exit<unknown, unknown>,
    key: unknown
  ) => DurationInput
  readonly staleIfError: Computed<Cache.Failed<unknown>>
  /** How long a caller waits for a lookup when there is a value to be had instead; infinite when to its end. */
  readonly softTimeout: number
  /** XFetch's beta; 0 when nothing is refreshed early. */
  readonly earlyRefresh: number
  readonly settings: Policy.Settings
}

export type Options = Cache.StoreOptions<unknown, unknown, unknown>

const range = { zero: true, infinite: true }

const millisOf = (option: string, input: DurationInput): number =>
  optionMillis(constructorName, option, input, range)

/** A fixed duration holds for typed failures. What a defect says about the next lookup, only a function can know. */
const forErrors =
  (millis: number) =>
  (failed: Cache.Failed<unknown>): number =>
    failed._tag === "Error" ? millis : 0

const computed: Check = (policy, option, value) => {
  if (typeof value !== "function") duration(range)(policy, option, value)
}

const given: Shape<Cache.Given<unknown, unknown, unknown>> = {
  share: callable,
  onHit: callable,
  onMiss: callable,
  onStale: callable,
  onRefresh: callable,
  onEvict: callable
}

const shape: Shape<Options> = {
  name: text,
  capacity: whole(1),
  timeToLive: computed,
  staleWhileRevalidate: duration(range),
  staleIfError: computed,
  negativeTimeToLive: computed,
  softTimeout: duration(range),
  maxAge: duration({ infinite: true }),
  earlyRefresh: number(0),
  ...given
}

/** What is known of a store, and of a cache, which looks values up itself. */
const shapes = { store: shape, cache: { ...shape, lookup: callable } }

/** The same for what is given besides settings from the configuration. */
export const givenShapes = { store: given, cache: { ...given, lookup: callable } }

export const configure = (
  form: "store" | "cache",
  options: Options,
  defaultName: string,
  caller: Caller
): Configured =>
  onBehalfOf(caller, constructorName, () => {
    object(constructorName, "", options, shapes[form])
    if (form === "cache")
      callable(constructorName, "lookup", (options as Cache.Options<unknown, unknown, unknown>).lookup)
    return read(options, defaultName)
  })

const read = (options: Options, defaultName: string): Configured => {
  const { negativeTimeToLive, staleIfError, timeToLive } = options
  const name = nameOf(constructorName, defaultName, options.name)
  if (options.share !== undefined && name === kind) {
    throw new InvalidOption(
      constructorName,
      "name",
      options.name,
      'given, for the caches of a fleet with "share"'
    )
  }
  const capacity = integer(constructorName, "capacity", options.capacity ?? 1000, 1)
  const maxAge = optionMillis(constructorName, "maxAge", options.maxAge ?? Infinity, { infinite: true })
  const staleWhileRevalidate = millisOf("staleWhileRevalidate", options.staleWhileRevalidate ?? 0)
  const softTimeout = millisOf("softTimeout", options.softTimeout ?? Infinity)
  const earlyRefresh = finite(constructorName, "earlyRefresh", options.earlyRefresh ?? 0, 0)
  const fresh = typeof timeToLive === "function" ? undefined : millisOf("timeToLive", timeToLive)
  const negative =
    typeof negativeTimeToLive === "function"
      ? undefined
      : millisOf("negativeTimeToLive", negativeTimeToLive ?? 0)
  const standIn = typeof staleIfError === "function" ? undefined : millisOf("staleIfError", staleIfError ?? 0)

  if (typeof timeToLive === "function" && negativeTimeToLive !== undefined) {
    const expected = 'left out when "timeToLive" is a function, which is asked about failures too'
    throw new InvalidOption(constructorName, "negativeTimeToLive", shown(negativeTimeToLive), expected)
  }
  if (softTimeout !== Infinity && standIn === 0) {
    const expected = 'left out without "staleIfError", which keeps the value that is served instead'
    throw new InvalidOption(constructorName, "softTimeout", shown(options.softTimeout), expected)
  }
  for (const [option, millis] of [
    ["timeToLive", fresh],
    ["negativeTimeToLive", negative]
  ] as const) {
    if (millis === undefined || millis <= maxAge) continue
    throw new InvalidOption(
      constructorName,
      option,
      shown(options[option]),
      `at most "maxAge" (${format(maxAge)})`
    )
  }
  for (const [option, given] of [
    ["staleWhileRevalidate", staleWhileRevalidate],
    ["staleIfError", standIn ?? Infinity]
  ] as const) {
    if (fresh === undefined || fresh < maxAge || given === 0) continue
    const expected = `left out when nothing is ever stale ("timeToLive" is ${format(fresh)}, "maxAge" ${format(maxAge)})`
    throw new InvalidOption(constructorName, option, shown(options[option]), expected)
  }

  return {
    name,
    capacity,
    bounds: { staleWhileRevalidate, staleIfError: standIn ?? Infinity, maxAge },
    freshFor: Math.min(fresh ?? Infinity, maxAge),
    timeToLive: typeof timeToLive === "function" ? timeToLive : () => fresh ?? 0,
    negativeTimeToLive:
      typeof timeToLive === "function"
        ? (_, exit, key) => timeToLive(exit, key)
        : typeof negativeTimeToLive === "function"
          ? (failed, _, key) => negativeTimeToLive(failed, key)
          : forErrors(negative ?? 0),
    staleIfError: typeof staleIfError === "function" ? staleIfError : forErrors(standIn ?? 0),
    softTimeout,
    earlyRefresh,
    settings: {
      capacity,
      timeToLive: setting(fresh),
      staleWhileRevalidate: staleWhileRevalidate === 0 ? undefined : setting(staleWhileRevalidate),
      staleIfError: standIn === 0 ? undefined : setting(standIn),
      negativeTimeToLive: negativeTimeToLive === undefined ? undefined : setting(negative),
      maxAge: maxAge === Infinity ? undefined : setting(maxAge),
      softTimeout: softTimeout === Infinity ? undefined : setting(softTimeout),
      earlyRefresh: earlyRefresh === 0 ? undefined : earlyRefresh
    }
  }
}

const setting = (millis: number | undefined): unknown =>
  millis === undefined ? "computed" : Duration.millis(millis)

const format = (millis: number): string => Duration.format(Duration.millis(millis))
