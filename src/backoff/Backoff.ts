/**
 * How long to wait between attempts: plain `Schedule`s whose delays grow up to a maximum and are spread by chance. Each outputs
 * the delay it chose and, except for `list`, never ends: bound it with the `times` of what runs it.
 *
 * - `max` holds before and after jitter: no delay is ever longer. Without it, growth stops at 2^31 - 1 milliseconds
 *   (24.8 days), the longest that a JavaScript timer waits, and nothing longer is accepted as an option.
 * - Delays are whole milliseconds, rounded down. Only a backoff of a millisecond or less keeps its fractions.
 * - Chance comes from the `Random` service: one number per delay, none without jitter. A seed replays a run.
 * - Every execution starts with the first delay again. A schedule value can be shared.
 *
 * A constructor throws an `InvalidOption` when an option is outside its range.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Schedule from "effect/Schedule"
import type * as core from "../core/backoff.js"
import { finite, fraction, InvalidOption, isList, object, type Shape, whereRead } from "../core/options.js"
import { toSchedule } from "./schedule.js"
import { BackoffTypeId } from "../internal/schedule.js"
import { type DurationInput, type DurationRange, optionMillis, withDurations } from "../internal/duration.js"
import { maxTimerMillis } from "../internal/time.js"

// ------------------------------------------------------------------------------------------------------------ options

/**
 * How a delay `d` is spread, so that callers who failed together do not come back together.
 *
 * - `"none"`: `d` itself.
 * - `"full"`: anything from 0 up to `d`. Spreads the most and waits half as long on average.
 * - `"equal"`: anything from `d / 2` up to `d`. Keeps a minimum wait.
 * - `"decorrelated"`: anything from the first delay up to three times the delay before. It replaces the growth: of the schedule it
 *   keeps the first delay, `max` and, for a list, the length.
 * - `{ factor }`: anything from `d * (1 - factor)` up to `d * (1 + factor)`, with a factor greater than 0 and at most 1.
 * - `{ plusMinus }`: anything from `d - plusMinus` up to `d + plusMinus`, never below 0.
 *
 * Every choice is uniform, and `max` bounds the result. `"full"`, `"equal"` and `"decorrelated"` are from Marc Brooker,
 * [Exponential Backoff And Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 *
 * @example
 * ```ts
 * import { Backoff } from "effect-resilience"
 *
 * // 0.9 s to 1.1 s, 1.8 s to 2.2 s, ...
 * export const schedule = Backoff.linear({ base: "1 second", jitter: { factor: 0.1 } })
 * ```
 *
 * @since 0.1.0
 * @category options
 */
export type Jitter =
  | "none"
  | "full"
  | "equal"
  | "decorrelated"
  | { readonly factor: number }
  | { readonly plusMinus: DurationInput }

/**
 * What every backoff can be given.
 *
 * @since 0.1.0
 * @category options
 */
export interface Options {
  /** The longest delay, before and after jitter. At least the first delay, at most 2^31 - 1 milliseconds (the default). */
  readonly max?: DurationInput | undefined
  /** How a delay is spread. Default `"none"`. */
  readonly jitter?: Jitter | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface ConstantOptions extends Options {
  /** Every delay. Zero retries at once. */
  readonly delay: DurationInput
}

/**
 * @since 0.1.0
 * @category options
 */
export interface LinearOptions extends Options {
  /** The first delay, greater than zero. */
  readonly base: DurationInput
  /** What each further delay adds, zero or more. Default `base`. */
  readonly step?: DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface ExponentialOptions extends Options {
  /** The first delay, greater than zero. */
  readonly base: DurationInput
  /** What each further delay is multiplied by, at least 1. Default 2. */
  readonly factor?: number | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface FibonacciOptions extends Options {
  /** The first delay and the second, greater than zero. */
  readonly base: DurationInput
}

// ------------------------------------------------------------------------------------------------------------- models

/**
 * @since 0.1.0
 * @category models
 */
export const TypeId: unique symbol = BackoffTypeId as never

/**
 * @since 0.1.0
 * @category models
 */
export type TypeId = typeof TypeId

interface Common {
  /** `undefined` without a bound. */
  readonly max: Duration.Duration | undefined
  readonly jitter:
    Exclude<Jitter, { readonly plusMinus: unknown }> | { readonly plusMinus: Duration.Duration }
}

/**
 * What a backoff was made from, its defaults included: the options of the constructor that `_tag` names.
 *
 * @since 0.1.0
 * @category models
 */
export type Settings = Common &
  (
    | { readonly _tag: "constant"; readonly delay: Duration.Duration }
    | { readonly _tag: "linear"; readonly base: Duration.Duration; readonly step: Duration.Duration }
    | { readonly _tag: "exponential"; readonly base: Duration.Duration; readonly factor: number }
    | { readonly _tag: "fibonacci"; readonly base: Duration.Duration }
    | { readonly _tag: "list"; readonly delays: ReadonlyArray<Duration.Duration> }
  )

/**
 * A schedule of this module, which knows what it was made from. What a combinator of `Schedule` makes of it is a plain schedule.
 *
 * @example
 * ```ts
 * import { Backoff } from "effect-resilience"
 *
 * const { settings } = Backoff.exponential({ base: "200 millis", max: "2 seconds", jitter: "full" })
 *
 * console.log(settings._tag, String(settings.max)) // exponential Duration(2s)
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Backoff extends Schedule.Schedule<Duration.Duration> {
  readonly [TypeId]: unknown
  readonly settings: Settings
}

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * The same delay every time, for a resource that is known to come back after about that time, or, with jitter, for polling.
 *
 * @example
 * ```ts
 * import { Backoff } from "effect-resilience"
 *
 * // 900 to 1100 milliseconds
 * export const schedule = Backoff.constant({ delay: "1 second", jitter: { plusMinus: "100 millis" } })
 * ```
 *
 * @throws InvalidOption
 * @since 0.1.0
 * @category constructors
 */
export const constant = (options: ConstantOptions): Backoff => {
  const policy = "Backoff.constant"
  object(policy, "", options, shapes.constant)
  const delay = delayMillis(policy, "delay", options.delay, { zero: true })
  return make(policy, "delay", delay, { _tag: "constant", delay }, options)
}

/**
 * Delays that grow by the same amount: `base`, `base + step`, `base + 2 * step`, ... They grow slower than exponential ones.
 *
 * @example
 * ```ts
 * import { Backoff } from "effect-resilience"
 *
 * // 1 s, 1.5 s, 2 s, 2 s, ...
 * export const schedule = Backoff.linear({ base: "1 second", step: "500 millis", max: "2 seconds" })
 * ```
 *
 * @throws InvalidOption
 * @since 0.1.0
 * @category constructors
 */
export const linear = (options: LinearOptions): Backoff => {
  const policy = "Backoff.linear"
  object(policy, "", options, shapes.linear)
  const base = delayMillis(policy, "base", options.base)
  const step = options.step === undefined ? base : optionMillis(policy, "step", options.step, { zero: true })
  return make(policy, "base", base, { _tag: "linear", base, step }, options)
}

/**
 * Delays that are multiplied: `base`, `base * factor`, `base * factor^2`, ...
 *
 * The usual choice towards a service that may be overloaded: it takes load away quickly. Give it a `max`, and jitter
 * when more than one client may fail at the same time.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Backoff } from "effect-resilience"
 *
 * // Up to 200 ms, 400 ms, 800 ms and 1 s
 * const schedule = Backoff.exponential({ base: "200 millis", max: "1 second", jitter: "full" })
 * const program = Effect.fail("down").pipe(Effect.retry({ schedule, times: 4 }))
 * ```
 *
 * @throws InvalidOption
 * @since 0.1.0
 * @category constructors
 */
export const exponential = (options: ExponentialOptions): Backoff => {
  const policy = "Backoff.exponential"
  object(policy, "", options, shapes.exponential)
  const base = delayMillis(policy, "base", options.base)
  const factor = options.factor === undefined ? 2 : finite(policy, "factor", options.factor, 1)
  return make(policy, "base", base, { _tag: "exponential", base, factor }, options)
}

/**
 * Delays that are each the sum of the two before: `base`, `base`, `2 * base`, `3 * base`, `5 * base`, ... They start slowly and end
 * up growing by a factor of about 1.6.
 *
 * @example
 * ```ts
 * import { Backoff } from "effect-resilience"
 *
 * // 100 ms, 100 ms, 200 ms, 300 ms, 500 ms, ...
 * export const schedule = Backoff.fibonacci({ base: "100 millis", max: "10 seconds" })
 * ```
 *
 * @throws InvalidOption
 * @since 0.1.0
 * @category constructors
 */
export const fibonacci = (options: FibonacciOptions): Backoff => {
  const policy = "Backoff.fibonacci"
  object(policy, "", options, shapes.fibonacci)
  const base = delayMillis(policy, "base", options.base)
  return make(policy, "base", base, { _tag: "fibonacci", base }, options)
}

/**
 * The delays given, one after the other; the schedule ends after the last, with an output of zero like `Schedule.fromDelays`. A
 * delay of zero retries at once, and a `max` cuts longer delays.
 *
 * @example
 * ```ts
 * import { Backoff } from "effect-resilience"
 *
 * export const threeRetries = Backoff.list(["1 second", "10 seconds", "1 minute"])
 * ```
 *
 * @throws InvalidOption
 * @since 0.1.0
 * @category constructors
 */
export const list = (delays: ReadonlyArray<DurationInput>, options: Options = {}): Backoff => {
  const policy = "Backoff.list"
  object(policy, "", options, shapes.list)
  if (!isList(delays) || delays.length === 0)
    throw new InvalidOption(policy, "delays", delays, "a list of at least one delay")
  const millis = delays.map((delay, index) => delayMillis(policy, `delays[${index}]`, delay, { zero: true }))
  return make(policy, "delays[0]", millis[0], { _tag: "list", delays: millis }, options)
}

// ----------------------------------------------------------------------------------------------------------- schedule

const common: Shape<Options> = { max: whereRead, jitter: whereRead }

const shapes: {
  readonly constant: Shape<ConstantOptions>
  readonly linear: Shape<LinearOptions>
  readonly exponential: Shape<ExponentialOptions>
  readonly fibonacci: Shape<FibonacciOptions>
  readonly list: Shape<Options>
} = {
  constant: { ...common, delay: whereRead },
  linear: { ...common, base: whereRead, step: whereRead },
  exponential: { ...common, base: whereRead, factor: whereRead },
  fibonacci: { ...common, base: whereRead },
  list: common
}

const make = (
  policy: string,
  firstOption: string,
  first: number,
  growth: core.Growth,
  options: Options
): Backoff => {
  const max = options.max === undefined ? maxTimerMillis : delayMillis(policy, "max", options.max)
  if (max < first) {
    const atLeast = `at least "${firstOption}" (${Duration.format(Duration.millis(first))})`
    throw new InvalidOption(policy, "max", options.max, atLeast)
  }
  const jitter = decodeJitter(policy, options.jitter)
  if (jitter._tag === "decorrelated" && first === 0) {
    // Three times zero is zero: it would never wait, whatever else the options say.
    const expected = `other than "decorrelated" when "${firstOption}" is zero`
    throw new InvalidOption(policy, "jitter", options.jitter, expected)
  }
  const config = { growth, jitter, max }
  return toSchedule(config, settingsOf(config))
}

const settingsOf = ({ growth, jitter, max }: core.Config): Settings => {
  const lengths = { ...growth, max: max === maxTimerMillis ? undefined : Duration.millis(max) }
  const spread =
    jitter._tag === "factor"
      ? { factor: jitter.factor }
      : jitter._tag === "plusMinus"
        ? { plusMinus: Duration.millis(jitter.millis) }
        : jitter._tag
  return { ...withDurations(lengths, "base", "step", "delay", "delays"), jitter: spread } as Settings
}

// ------------------------------------------------------------------------------------------------------------- checks

/** A delay that a timer can wait: the clock never fires a longer one. */
const delayMillis = (policy: string, option: string, input: DurationInput, range?: DurationRange): number => {
  const longest = "a duration of at most 2147483647 millis, the longest that a timer waits"
  return optionMillis(policy, option, input, { ...range, bounds: [0, maxTimerMillis, longest] })
}

const jitterNames = ["none", "full", "equal", "decorrelated"] as const

const decodeJitter = (policy: string, jitter: Jitter = "none"): core.Jitter => {
  const name = jitterNames.find((name) => name === jitter)
  if (name !== undefined) return { _tag: name }
  if (typeof jitter === "object" && jitter !== null && "factor" in jitter !== "plusMinus" in jitter) {
    object(policy, "jitter", jitter, { factor: whereRead, plusMinus: whereRead })
    return "factor" in jitter
      ? { _tag: "factor", factor: fraction(policy, "jitter.factor", jitter.factor) }
      : { _tag: "plusMinus", millis: optionMillis(policy, "jitter.plusMinus", jitter.plusMinus) }
  }
  const expected = `"none", "full", "equal", "decorrelated", { factor } or { plusMinus }`
  throw new InvalidOption(policy, "jitter", jitter, expected)
}
