/** A time window of ten buckets, aligned to multiples of their width. An event is kept for at least nine tenths of the window. */

/** How many buckets a window has. It forgets a tenth of itself at a time. */
export const bucketsPerWindow = 10

export interface Buckets<A> {
  /** The length of the window, in milliseconds. */
  readonly within: number
  readonly bucket: number
  readonly current: A
  /** The nine buckets before the current one, oldest first. Shared by all steps within one bucket. */
  readonly older: ReadonlyArray<A>
}

/** Nine buckets in which nothing has happened, made once for each kind of bucket. */
export const empties = <A>(empty: A): ReadonlyArray<A> => new Array<A>(bucketsPerWindow - 1).fill(empty)

/** The number of the bucket of an instant. Multiplied first: a tenth of a window is often no exact number. */
const bucketAt = (within: number, now: number): number => Math.floor((now * bucketsPerWindow) / within)

export const start = <A>(within: number, none: ReadonlyArray<A>, now: number): Buckets<A> => ({
  within,
  bucket: bucketAt(within, now),
  current: none[0],
  older: none
})

/** The buckets as they are at an instant, the same value while the current bucket lasts or when the clock lies back. */
export const advance = <A>(before: Buckets<A>, none: ReadonlyArray<A>, now: number): Buckets<A> => {
  const { bucket, within } = before
  const passed = bucketAt(within, now) - bucket
  if (passed <= 0) return before
  if (passed >= bucketsPerWindow) return start(within, none, now)
  const older = [...toList(before), ...none].slice(passed, passed + bucketsPerWindow - 1)
  return { within, bucket: bucket + passed, current: none[0], older }
}

/** The buckets from the oldest to the current one. */
export const toList = <A>({ current, older }: Buckets<A>): ReadonlyArray<A> => [...older, current]

/** Buckets from a list that ends with the current one. The newest ten are kept. */
export const fromList = <A>(
  within: number,
  list: ReadonlyArray<A>,
  none: ReadonlyArray<A>,
  now: number
): Buckets<A> => {
  const kept = [...none, none[0], ...list].slice(-bucketsPerWindow)
  return {
    within,
    bucket: bucketAt(within, now),
    current: kept[bucketsPerWindow - 1],
    older: kept.slice(0, -1)
  }
}
