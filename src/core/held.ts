/** How long permits are held, and how long until some are free. In milliseconds. */

/** How much the newest call counts: about the last six are remembered. */
const weight = 0.3

/** The mean of how long calls held their permits, the newest counting most; `undefined` before the first. */
export const mean = (before: number | undefined, held: number): number =>
  before === undefined ? held : before + (held - before) * weight

/** How long until so many permits are free (J. D. C. Little, 1961), made longer by at most `jitter`, as `draw` from 0 to 1 says. */
export const wait = (held: number, wanted: number, permits: number, jitter: number, draw: number): number =>
  Math.ceil(((held * wanted) / permits) * (1 + jitter * draw))
