/**
 * The cache's rule: for how long a stored value may be served, and as what. Times are milliseconds on one clock, and every bound is
 * exclusive. The two stale windows are those of RFC 5861, counted from the end of freshness; the early refresh is XFetch from
 * Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention" (VLDB 2015).
 */

/** What holds for every value of a cache. Each may be infinite. */
export interface Bounds {
  /** How long after its freshness a value is served while it is looked up again. */
  readonly staleWhileRevalidate: number
  /** How long after its freshness a value may stand in for a failed lookup, at the longest. */
  readonly staleIfError: number
  /** The age that no value ever reaches while it is served, whatever else is said. */
  readonly maxAge: number
}

/** The life of one stored value, fixed when it is stored. */
export interface Lifetime {
  readonly storedAt: number
  readonly freshUntil: number
  /** Until when it is served at once, and looked up again meanwhile. */
  readonly revalidateUntil: number
  /** Until when it can be served at all. */
  readonly keptUntil: number
  /** When it reaches the age that no value is served at. */
  readonly tooOldAt: number
  /** How long its lookup took. */
  readonly took: number
}

export const lifetime = (bounds: Bounds, timeToLive: number, took: number, now: number): Lifetime => {
  const tooOldAt = now + bounds.maxAge
  const freshUntil = Math.min(now + timeToLive, tooOldAt)
  const revalidateUntil = Math.min(freshUntil + bounds.staleWhileRevalidate, tooOldAt)
  const keptUntil = Math.max(revalidateUntil, Math.min(freshUntil + bounds.staleIfError, tooOldAt))
  return { storedAt: now, freshUntil, revalidateUntil, keptUntil, tooOldAt, took }
}

/** `stale` is served while it is looked up again, `expired` only where a lookup failed, and `gone` not at all. */
export type Freshness = "fresh" | "stale" | "expired" | "gone"

export const freshness = (life: Lifetime, now: number): Freshness => {
  if (now < life.freshUntil) return "fresh"
  if (now < life.revalidateUntil) return "stale"
  return now < life.keptUntil ? "expired" : "gone"
}

/** Whether a value stands in for a lookup that failed, within a window that may depend on the failure. */
export const standsIn = (life: Lifetime, window: number, now: number): boolean =>
  now < Math.min(life.freshUntil + window, life.tooOldAt)

// -------------------------------------------------------------------------------------------------------- early refresh

/** The largest value of `-log(1 - draw)`, for the draw next to 1. */
const largestGap = 53 * Math.LN2

/** Whether any draw could lead to an early refresh. While none can, there is no need to draw. */
export const mayRefreshEarly = (life: Lifetime, beta: number, now: number): boolean =>
  now + life.took * beta * largestGap >= life.freshUntil

/** XFetch: whether this reader of a fresh value looks it up again already, given a draw from [0, 1). */
export const refreshesEarly = (life: Lifetime, beta: number, draw: number, now: number): boolean =>
  now - life.took * beta * Math.log(1 - draw) >= life.freshUntil
