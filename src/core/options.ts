/** Checks of options. A constructor states its options once, as a {@link Shape}. `undefined` is not checked; nothing is clamped. */

/** An option of a policy was outside its allowed range. Thrown, or died with, where the option is given. */
export class InvalidOption extends Error {
  readonly _tag = "InvalidOption"
  constructor(
    /** The constructor that was called, such as `Trip.failureRate`. */
    readonly policy: string,
    /** The option's path, such as `halfOpen.permits`; empty when it is about the options as a whole. */
    readonly option: string,
    readonly value: unknown,
    /** The allowed range in words. */
    readonly expected: string
  ) {
    const named = option ? `option "${cut(option)}"` : "the options"
    super(`${policy}: ${named} must be ${expected}, got ${cut(show(value))}`)
    this.name = "InvalidOption"
  }
}

const show = (value: unknown): string => {
  if (typeof value === "bigint") return `${value}n`
  if (typeof value === "function") return "a function"
  if (typeof value !== "object" && typeof value !== "string") return String(value)
  try {
    return JSON.stringify(value) ?? "an object"
  } catch {
    return "an object"
  }
}

/** Text of any length as a message shows it. (The number is written twice because the smallest entry has no bytes for a name.) */
const cut = (text: string): string =>
  text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text

// ------------------------------------------------------------------------------------------------------------- objects

/** Checks the value of one option, which is not `undefined`. */
export type Check = (policy: string, option: string, value: unknown) => void

/** All options of a constructor, each with its check. */
export type Shape<O> = { readonly [Name in keyof O]-?: Check }

/** Checks an object of options at a path: that it is one, that it has no other options, and what they are. */
export const object = (
  policy: string,
  path: string,
  options: unknown,
  shape: { readonly [name: string]: Check }
): void => {
  if (!isObject(options)) throw new InvalidOption(policy, path, options, "an object")
  // Policies are built within calls too, so there is no list of entries.
  for (const name in options) {
    const value = options[name]
    if (value === undefined || !Object.hasOwn(options, name)) continue
    const option = join(path, name)
    if (!Object.hasOwn(shape, name)) throw new InvalidOption(policy, option, value, unknown(cut(name), shape))
    shape[name](policy, option, value)
  }
}

export const isList = (u: unknown): u is ReadonlyArray<unknown> => Array.isArray(u)

export const isObject = (u: unknown): u is Readonly<Record<string, unknown>> =>
  typeof u === "object" && u !== null && !Array.isArray(u)

/** The properties that are not `undefined`. Spread over defaults, one that is would hide its default. */
export const defined = <A extends object>(options: A): Partial<A> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<A>

/** The path of an option among the options at a path. */
export const join = (path: string | undefined, name: string): string =>
  path && name ? `${path}.${name}` : path || name

const unknown = (name: string, shape: object): string => {
  const names = Object.keys(shape)
  const distances = names.map((known) => distance(name.toLowerCase(), known.toLowerCase()))
  const least = Math.min(...distances)
  return least <= name.length * 0.4
    ? `left out, there is no such option (did you mean "${names[distances.indexOf(least)]}"?)`
    : `one of "${names.join('", "')}"`
}

/** The edit distance of two words (Levenshtein). */
const distance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const letter of from) {
    const next = [row[0] + 1]
    for (let at = 0; at < to.length; at++) {
      const replaced = row[at] + (letter === to[at] ? 0 : 1)
      next.push(Math.min(replaced, row[at + 1] + 1, next[at] + 1))
    }
    row = next
  }
  return row[to.length]
}

// -------------------------------------------------------------------------------------------------------------- checks

/** The value is checked where it is read. */
export const whereRead: Check = () => {}

/** A listener, or anything else that is called. */
export const callable: Check = (policy, option, value) => {
  if (typeof value !== "function") throw new InvalidOption(policy, option, value, "a function")
}

export const flag: Check = (policy, option, value) => {
  if (typeof value !== "boolean") throw new InvalidOption(policy, option, value, "true or false")
}

/** A name: a string that is not empty. */
export const text = (policy: string, option: string, value: unknown): void => {
  if (typeof value !== "string" || value === "") {
    throw new InvalidOption(policy, option, value, "a string that is not empty")
  }
}

/** {@link integer} as the check of an option. */
export const whole =
  (min: number, max?: number): Check =>
  (policy, option, value) => {
    integer(policy, option, value as number, min, max)
  }

/** How often something may be done: a whole number, or `Infinity` for no limit. */
export const times: Check = (policy, option, value) => {
  if (value !== Infinity) integer(policy, option, value as number, 0)
}

/** {@link finite} as the check of an option. */
export const number =
  (min: number, max?: number): Check =>
  (policy, option, value) => {
    finite(policy, option, value as number, min, max)
  }

/** {@link oneOf} as the check of an option. */
export const among =
  (...allowed: ReadonlyArray<string | number | boolean>): Check =>
  (policy, option, value) => {
    oneOf<unknown>(policy, option, value, ...allowed)
  }

/** A whole number of at least `min` and, when given, at most `max`. */
export const integer = (
  policy: string,
  option: string,
  value: number,
  min: number,
  max = Infinity
): number => {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new InvalidOption(policy, option, value, `a whole number ${range(min, max)}`)
  }
  return value
}

/** A finite number of at least `min` and, when given, at most `max`. */
export const finite = (
  policy: string,
  option: string,
  value: number,
  min: number,
  max = Infinity
): number => {
  if (!Number.isFinite(value) || value < min || value > max) {
    throw new InvalidOption(policy, option, value, `a finite number ${range(min, max)}`)
  }
  return value
}

/** A fraction in (0, 1]: a rate that can be reached and that nothing reaches for free. */
export const fraction = (policy: string, option: string, value: number): number => {
  if (!Number.isFinite(value) || value <= 0 || value > 1) {
    throw new InvalidOption(policy, option, value, "a fraction greater than 0 and at most 1")
  }
  return value
}

export const oneOf = <A>(policy: string, option: string, value: A, ...allowed: ReadonlyArray<A>): A => {
  if (allowed.includes(value)) return value
  const words = allowed.map((each) => JSON.stringify(each))
  const last = words.pop()
  throw new InvalidOption(policy, option, value, `${words.join(", ")} or ${last}`)
}

const range = (min: number, max: number): string =>
  max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`

// ------------------------------------------------------------------------------------------------------------- callers

/** The constructor that the user called, and where in its options those of another one stand. */
export interface Caller {
  readonly policy: string
  readonly path?: string
}

/** Runs a constructor for a caller. What it refuses is then refused by the caller, at the path that the user knows. */
export const onBehalfOf = <A>(caller: Caller | undefined, policy: string, make: () => A): A => {
  if (caller === undefined) return make()
  try {
    return make()
  } catch (error) {
    if (!(error instanceof InvalidOption && error.policy === policy)) throw error
    throw new InvalidOption(caller.policy, join(caller.path, error.option), error.value, error.expected)
  }
}
