/** How urgent the states of policies are. The server gives places by it, and the page puts cards in its order. */

const urgencies: Readonly<Record<string, number>> = {
  open: 6,
  isolated: 5,
  exhausted: 4,
  full: 4,
  "half-open": 3,
  disabled: 2,
  "metrics-only": 2,
  "giving up": 1,
  "timing out": 1,
  "in use": 1
}

/** The higher, the more urgent: 0 where nothing is wrong, at least 3 where calls are held up or turned away. */
export const urgencyOf = (state: string): number => (Object.hasOwn(urgencies, state) ? urgencies[state] : 0)

export const urgent = 3
