/** Chance that is the same for the same seed (mulberry32). */
export interface Chance {
  /** From [0, 1). */
  readonly next: () => number
  /** A whole number below a bound. */
  readonly below: (bound: number) => number
  readonly once: (probability: number) => boolean
}

export const chance = (seed: number): Chance => {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    below: (bound) => Math.floor(next() * bound),
    once: (probability) => next() < probability
  }
}
