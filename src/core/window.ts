/**
 * Windows over recent calls: how many there were, and how many of them were hits (failures, or slow calls). One over the
 * last n calls, one over the last n milliseconds. Recording costs the same whatever the size of the window.
 */

/** The totals of a window. */
export interface Tally {
  readonly calls: number
  readonly hits: number
}

/** A share of hits, 0 when there were no calls. */
export const rate = ({ calls, hits }: Tally): number => (calls === 0 ? 0 : hits / calls)

// -------------------------------------------------------------------------------------------- the last n calls

/**
 * The last `size` calls, one bit each. The word that is being written is kept apart, so that most records copy nothing
 * but this object; a full word goes into a block of 32 words, of which only the one that changes is copied.
 */
export interface CountWindow extends Tally {
  readonly size: number
  /** Where the next call goes, from 0 to `size - 1`. */
  readonly position: number
  /** The word in which `position` lies. */
  readonly word: number
  readonly blocks: ReadonlyArray<ReadonlyArray<number>>
}

const bitsPerWord = 32
const wordsPerBlock = 32

export const countWindow = (size: number): CountWindow => ({
  size,
  calls: 0,
  hits: 0,
  position: 0,
  word: 0,
  blocks: Array.from({ length: Math.ceil(size / (bitsPerWord * wordsPerBlock)) }, () => emptyBlock)
})

const emptyBlock: ReadonlyArray<number> = new Array<number>(wordsPerBlock).fill(0)

/** The window after one more call; the oldest one leaves when the window is full. */
export const recordCall = (window: CountWindow, hit: boolean): CountWindow => {
  const { blocks, calls, hits, position, size, word } = window
  const mask = 1 << (position % bitsPerWord)
  // Bits that were never written are 0, so that a window that is not full evicts nothing.
  const evicted = (word & mask) === 0 ? 0 : 1
  const written = hit ? word | mask : word & ~mask
  const next = position + 1 === size ? 0 : position + 1
  const stays = next !== 0 && next % bitsPerWord !== 0
  const stored = stays ? blocks : storeWord(blocks, Math.floor(position / bitsPerWord), written)
  return {
    size,
    calls: calls === size ? size : calls + 1,
    hits: hits - evicted + (hit ? 1 : 0),
    position: next,
    word: stays ? written : loadWord(stored, Math.floor(next / bitsPerWord)),
    blocks: stored
  }
}

/** The calls in the window, oldest first. */
export const outcomes = (window: CountWindow): ReadonlyArray<boolean> => {
  const stored = storeWord(window.blocks, Math.floor(window.position / bitsPerWord), window.word)
  return Array.from({ length: window.calls }, (_, age) => {
    const at = (window.position - window.calls + age + window.size) % window.size
    return (loadWord(stored, Math.floor(at / bitsPerWord)) & (1 << (at % bitsPerWord))) !== 0
  })
}

const loadWord = (blocks: ReadonlyArray<ReadonlyArray<number>>, index: number): number =>
  blocks[Math.floor(index / wordsPerBlock)][index % wordsPerBlock]

const storeWord = (
  blocks: ReadonlyArray<ReadonlyArray<number>>,
  index: number,
  word: number
): ReadonlyArray<ReadonlyArray<number>> => {
  const at = Math.floor(index / wordsPerBlock)
  const copy = blocks.slice()
  const block = copy[at].slice()
  block[index % wordsPerBlock] = word
  copy[at] = block
  return copy
}

// ------------------------------------------------------------------------------------- the last n milliseconds

/** How many buckets a time window has: what it forgets at a time is a tenth of it. */
export const bucketsPerWindow = 10

/**
 * The calls of the last `within` milliseconds in ten buckets, aligned to multiples of their width. The current bucket is
 * kept apart; `older` holds the nine before it, oldest first, and only changes when a bucket ends. The window spans nine
 * full buckets and what has passed of the tenth.
 */
export interface TimeWindow extends Tally {
  readonly within: number
  /** The number of the current bucket: the instant over the width, rounded down. */
  readonly bucket: number
  /** What the current bucket holds; the totals include it. */
  readonly current: Tally
  readonly older: ReadonlyArray<Tally>
}

const emptyTally: Tally = { calls: 0, hits: 0 }
const emptyOlder: ReadonlyArray<Tally> = new Array<Tally>(bucketsPerWindow - 1).fill(emptyTally)

const bucketAt = (within: number, now: number): number => Math.floor((now * bucketsPerWindow) / within)

export const timeWindow = (within: number, now: number): TimeWindow => ({
  within,
  calls: 0,
  hits: 0,
  bucket: bucketAt(within, now),
  current: emptyTally,
  older: emptyOlder
})

/** The window as it reads at an instant, without what has become too old. An instant that lies back changes nothing. */
export const expire = (window: TimeWindow, now: number): TimeWindow => {
  const passed = bucketAt(window.within, now) - window.bucket
  if (passed <= 0) return window
  if (passed >= bucketsPerWindow) return timeWindow(window.within, now)
  const older = [...window.older.slice(passed), window.current, ...emptyOlder.slice(0, passed - 1)].slice(
    1 - bucketsPerWindow
  )
  return {
    within: window.within,
    calls: older.reduce((sum, tally) => sum + tally.calls, 0),
    hits: older.reduce((sum, tally) => sum + tally.hits, 0),
    bucket: window.bucket + passed,
    current: emptyTally,
    older
  }
}

/** The window after one more call at an instant. */
export const recordCallAt = (window: TimeWindow, hit: boolean, now: number): TimeWindow => {
  const { bucket, calls, current, hits, older, within } = expire(window, now)
  const added = hit ? 1 : 0
  return {
    within,
    calls: calls + 1,
    hits: hits + added,
    bucket,
    current: { calls: current.calls + 1, hits: current.hits + added },
    older
  }
}

/** The buckets of a window from the oldest to the current one. */
export const buckets = (window: TimeWindow): ReadonlyArray<Tally> => [...window.older, window.current]

/** A window made of buckets from the oldest to the current one, the current one being that of `now`. */
export const fromBuckets = (within: number, tallies: ReadonlyArray<Tally>, now: number): TimeWindow => {
  const kept = [...emptyOlder, emptyTally, ...tallies].slice(-bucketsPerWindow)
  return {
    within,
    calls: kept.reduce((sum, tally) => sum + tally.calls, 0),
    hits: kept.reduce((sum, tally) => sum + tally.hits, 0),
    bucket: bucketAt(within, now),
    current: kept[bucketsPerWindow - 1],
    older: kept.slice(0, -1)
  }
}
