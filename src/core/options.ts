/**
 * Checks of options at construction. A check returns the value it was given, or throws an `InvalidOption` that names
 * the policy, the option, the value and the allowed range. Nothing is ever clamped silently.
 */

/** An option of a policy was outside its allowed range. Thrown, or died with, where the option is given. */
export class InvalidOption extends Error {
  readonly _tag = "InvalidOption"
  constructor(
    /** The constructor that was called, such as `Trip.failureRate`. */
    readonly policy: string,
    /** The option's path, such as `halfOpen.permits`. */
    readonly option: string,
    readonly value: unknown,
    /** The allowed range in words. */
    readonly expected: string
  ) {
    super(`${policy}: option "${option}" must be ${expected}, got ${show(value)}`)
    this.name = "InvalidOption"
  }
}

const show = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value)
  if (typeof value === "bigint") return `${value}n`
  if (typeof value === "function") return "a function"
  if (typeof value !== "object" || value === null) return String(value)
  try {
    return JSON.stringify(value) ?? "an object"
  } catch {
    return "an object"
  }
}

/** A whole number of at least `min` and, when given, at most `max`. */
export const integer = (policy: string, option: string, value: number, min: number, max?: number): number => {
  if (!Number.isSafeInteger(value) || value < min || (max !== undefined && value > max)) {
    throw new InvalidOption(policy, option, value, `a whole number ${range(min, max)}`)
  }
  return value
}

/** A finite number of at least `min` and, when given, at most `max`. */
export const finite = (policy: string, option: string, value: number, min: number, max?: number): number => {
  if (!Number.isFinite(value) || value < min || (max !== undefined && value > max)) {
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

const range = (min: number, max: number | undefined): string =>
  max === undefined ? `of at least ${min}` : `from ${min} to ${max}`
