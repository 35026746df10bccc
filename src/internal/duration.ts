/** Durations as options: decoded and checked once, then milliseconds. Negative or `NaN` input is an error, not zero. */
import * as Duration from "effect/Duration"
import type { DurationInput } from "effect/Duration"
import * as Option from "effect/Option"
import { type Check, InvalidOption, isObject } from "../core/options.js"

/** What Effect reads as a duration. Named here, because its name differs between versions of Effect. */
export type { DurationInput }

export interface DurationRange {
  /** Whether `0` is allowed. Default `false`. */
  readonly zero?: boolean
  /** Whether an infinite duration is allowed. Default `false`. */
  readonly infinite?: boolean
  /** Further bounds in milliseconds, and the range in words. */
  readonly bounds?: readonly [min: number, max: number, expected: string]
}

/** The milliseconds of a duration option, or an `InvalidOption`. */
export const optionMillis = (
  policy: string,
  option: string,
  input: DurationInput,
  range: DurationRange = positive
): number => {
  // Nothing of this number has to be read.
  if (Number.isSafeInteger(input) && (input as number) > 0 && range.bounds === undefined)
    return input as number
  const millis = isNegative(input)
    ? Option.none()
    : Option.map(Duration.decodeUnknown(input), Duration.toMillis)
  if (
    Option.isNone(millis) ||
    (millis.value === 0 && range.zero !== true) ||
    (millis.value === Infinity && range.infinite !== true)
  ) {
    throw new InvalidOption(policy, option, shown(input), describeRange(range))
  }
  const [min, max, expected] = range.bounds ?? unbounded
  if (millis.value < min || millis.value > max)
    throw new InvalidOption(policy, option, shown(input), expected)
  return millis.value
}

const positive: DurationRange = {}
const unbounded = [0, Infinity, ""] as const

/** Tells options from a duration, where either can be given. */
export const isOptions = <O>(input: DurationInput | O): input is O =>
  isObject(input) && !Duration.isDuration(input)

/** {@link optionMillis} as the check of an option. */
export const duration =
  (range?: DurationRange): Check =>
  (policy, option, value) => {
    optionMillis(policy, option, value as DurationInput, range)
  }

/** The milliseconds of a duration that was computed at run time: zero for a negative one, `undefined` for an invalid one. */
export const runtimeMillis = (input: DurationInput): number | undefined => {
  // `Duration.decode` reads `NaN` as zero.
  const parts: ReadonlyArray<unknown> = Array.isArray(input) ? input : [input]
  if (parts.some((part) => Number.isNaN(part))) return undefined
  const decoded = Duration.decodeUnknown(input)
  return Option.isSome(decoded) ? Duration.toMillis(decoded.value) : undefined
}

const isNegative = (input: DurationInput): boolean => {
  if (typeof input === "number") return !(input >= 0)
  if (typeof input === "bigint") return input < 0n
  if (typeof input === "string") return input.trimStart().startsWith("-")
  return Array.isArray(input) && input.some((part: number) => !(part >= 0))
}

const describeRange = (range: DurationRange): string =>
  `a ${range.infinite === true ? "" : "finite "}duration ${range.zero === true ? "of zero or more" : "greater than zero"}`

/** A duration as it is shown in a message: as the user wrote it, or in words. */
export const shown = (input: unknown): unknown =>
  Duration.isDuration(input) ? Duration.format(input) : input

/** Plain data whose milliseconds at `keys` are durations, for the settings that a policy shows. */
export const withDurations = (data: object, ...keys: ReadonlyArray<string>): object =>
  Object.fromEntries(
    Object.entries(data).map(([key, value]: [string, unknown]) => [
      key,
      keys.includes(key) ? durations(value) : value
    ])
  )

const durations = (value: unknown): unknown =>
  typeof value === "number" ? Duration.millis(value) : Array.isArray(value) ? value.map(durations) : value
