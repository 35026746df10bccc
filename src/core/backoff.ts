/** The delays of a backoff. A step takes a number in [0, 1) and returns milliseconds and the next state, at a constant cost. */

/** How the delays grow when nothing is left to chance. All lengths are milliseconds. */
export type Growth =
  | { readonly _tag: "constant"; readonly delay: number }
  | { readonly _tag: "linear"; readonly base: number; readonly step: number }
  | { readonly _tag: "exponential"; readonly base: number; readonly factor: number }
  | { readonly _tag: "fibonacci"; readonly base: number }
  | { readonly _tag: "list"; readonly delays: ReadonlyArray<number> }

/** How a planned delay `d` is spread. */
export type Jitter =
  | { readonly _tag: "none" }
  /** `[0, d)` */
  | { readonly _tag: "full" }
  /** `[d / 2, d)` */
  | { readonly _tag: "equal" }
  /** `[first, 3 * previous)`, in place of the growth. */
  | { readonly _tag: "decorrelated" }
  /** `[d * (1 - factor), d * (1 + factor))` */
  | { readonly _tag: "factor"; readonly factor: number }
  /** `[d - millis, d + millis)`, from 0 on. */
  | { readonly _tag: "plusMinus"; readonly millis: number }

export interface Config {
  readonly growth: Growth
  readonly jitter: Jitter
  /** No delay is longer, before and after jitter. Finite. */
  readonly max: number
}

export interface State {
  /** The steps of growth taken. Growth that has reached `max` stays there and stops counting. */
  readonly step: number
  /** The Fibonacci numbers of this step and of the next. */
  readonly fibonacci: readonly [number, number]
  /** The delay given last, at the start the first planned one. */
  readonly previous: number
}

/** The state of an execution that has not waited yet. */
export const initial = (config: Config): State => ({ step: 0, fibonacci: [1, 1], previous: first(config) })

/** The first delay that growth plans, before jitter. */
export const first = (config: Config): number => {
  const planned = plan(config, 0, 1)
  return settle(config, planned, planned)
}

/** Whether there is no next delay: a list has been used up. Every other growth goes on for ever. */
export const isDone = (config: Config, state: State): boolean =>
  config.growth._tag === "list" && state.step >= config.growth.delays.length

/** The next delay in milliseconds and the state after it, or `undefined` when there is none. */
export const next = (config: Config, state: State, random: number): readonly [number, State] | undefined => {
  if (isDone(config, state)) return undefined
  const planned = plan(config, state.step, state.fibonacci[0])
  const delay = choose(config, planned, state.previous, random)
  return [delay, advance(config, planned, state, delay)]
}

/** Whether `next` looks at its random number. */
export const isRandom = (config: Config): boolean => config.jitter._tag !== "none"

// ------------------------------------------------------------------------------------------------------------ growth

const plan = (config: Config, step: number, fibonacci: number): number =>
  toNanosecond(Math.min(grow(config.growth, step, fibonacci), config.max))

const grow = (growth: Growth, step: number, fibonacci: number): number => {
  switch (growth._tag) {
    case "constant":
      return growth.delay
    case "linear":
      return growth.base + growth.step * step
    case "exponential":
      return growth.base * growth.factor ** step
    case "fibonacci":
      return growth.base * fibonacci
    case "list":
      return growth.delays[step]
  }
}

// A duration resolves nanoseconds. Floating point would otherwise make 114 ms of 100 ms * 1.15.
const toNanosecond = (millis: number): number => Math.round(millis * 1_000_000) / 1_000_000

const advance = (config: Config, planned: number, state: State, previous: number): State => {
  // Growth never shrinks, so at `max` it is over, and neither power nor Fibonacci number can leave the safe range.
  if (planned >= config.max && config.growth._tag !== "list") return { ...state, previous }
  const [current, following] = state.fibonacci
  return {
    step: state.step + 1,
    fibonacci: config.growth._tag === "fibonacci" ? [following, current + following] : state.fibonacci,
    previous
  }
}

// ------------------------------------------------------------------------------------------------------------ jitter

const choose = (config: Config, planned: number, previous: number, random: number): number => {
  const { jitter } = config
  switch (jitter._tag) {
    case "none":
      return settle(config, planned, planned)
    case "full":
      return settle(config, planned, planned * random)
    case "equal":
      return settle(config, planned, (planned / 2) * (1 + random))
    case "decorrelated": {
      const low = first(config)
      return settle(config, low, low + (3 * previous - low) * random)
    }
    case "factor":
      return settle(config, planned, planned * (1 - jitter.factor + 2 * jitter.factor * random))
    case "plusMinus":
      return settle(config, planned, Math.max(0, planned - jitter.millis + 2 * jitter.millis * random))
  }
}

/** Bounds a delay and drops its fraction, unless the backoff is a millisecond or less and would then not wait. */
const settle = (config: Config, planned: number, delay: number): number => {
  const bounded = Math.min(delay, config.max)
  return Math.max(planned, bounded) > 1 ? Math.floor(bounded) : bounded
}
