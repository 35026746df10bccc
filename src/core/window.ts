/** Windows over the last n calls or milliseconds, with the number of calls and of hits. Recording costs the same at any size. */
import * as Buckets from "./buckets.js"

export interface Tally {
  readonly calls: number
  readonly hits: number
}

/** A value that its owner changes in place. */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** A share of hits, 0 when there were no calls. */
export const rate = ({ calls, hits }: Tally): number => (calls === 0 ? 0 : hits / calls)

// -------------------------------------------------------------------------------------------- the last n calls

/** The last `size` calls, one bit each. The current word is apart and words are in blocks, so that a record copies little. */
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

/** Counts one more call in place, in a window that is not shared; the oldest one leaves when the window is full. */
export const countCall = (window: Mutable<CountWindow>, hit: boolean): CountWindow => {
  const { position, size, word } = window
  const mask = 1 << (position % bitsPerWord)
  // Bits that were never written are 0, so that a window that is not full evicts nothing.
  const evicted = (word & mask) === 0 ? 0 : 1
  const written = hit ? word | mask : word & ~mask
  const next = position + 1 === size ? 0 : position + 1
  if (window.calls < size) window.calls += 1
  window.hits += (hit ? 1 : 0) - evicted
  window.position = next
  window.word = written
  if (next % bitsPerWord === 0) {
    window.blocks = storeWord(window.blocks, Math.floor(position / bitsPerWord), written)
    window.word = loadWord(window.blocks, Math.floor(next / bitsPerWord))
  }
  return window
}

/**
 * Counts calls of which only the sums are known, in place, as an even mix. More calls than the window holds count as a full window
 * with no larger a share of hits.
 */
export const countCalls = (window: Mutable<CountWindow>, { calls, hits }: Tally): CountWindow => {
  const looked = Math.min(calls, window.size)
  const share = calls === 0 ? 0 : Math.floor((hits * looked) / calls)
  for (let call = 1; call <= looked; call++) {
    countCall(window, Math.floor((call * share) / looked) > Math.floor(((call - 1) * share) / looked))
  }
  return window
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

/** The calls of the last `within` milliseconds in ten buckets, and the totals of all of them. */
export interface TimeWindow extends Buckets.Buckets<Tally>, Tally {}

const emptyTally: Tally = { calls: 0, hits: 0 }
const none = Buckets.empties(emptyTally)

/** Spelled out, because copying by spreading is most of what a new bucket would cost. */
const counted = ({ bucket, current, older, within }: Buckets.Buckets<Tally>): TimeWindow => {
  let { calls, hits } = current
  for (const tally of older) {
    calls += tally.calls
    hits += tally.hits
  }
  return { within, bucket, current, older, calls, hits }
}

export const timeWindow = (within: number, now: number): TimeWindow =>
  counted(Buckets.start(within, none, now))

/** The window as it reads at an instant, without what has become too old. An instant that lies back changes nothing. */
export const expire = (window: TimeWindow, now: number): TimeWindow => {
  const buckets = Buckets.advance(window, none, now)
  return buckets === window ? window : counted(buckets)
}

/** A window that is not shared, to count in place. */
export const copyOf = (window: TimeWindow): TimeWindow => ({ ...window, current: { ...window.current } })

/** Counts several calls at an instant in place, in a window that is not shared. A new bucket makes a new window. */
export const countCallsAt = (window: TimeWindow, { calls, hits }: Tally, now: number): TimeWindow => {
  const own: Mutable<TimeWindow> = expire(window, now)
  own.current = { calls: own.current.calls + calls, hits: own.current.hits + hits }
  own.calls += calls
  own.hits += hits
  return own
}

/** Counts one more call at an instant in place, in a window that is not shared. A new bucket makes a new window. */
export const countCallAt = (window: TimeWindow, hit: boolean, now: number): TimeWindow => {
  const own: Mutable<TimeWindow> = expire(window, now)
  if (own.current === emptyTally) own.current = { calls: 0, hits: 0 }
  const current: Mutable<Tally> = own.current
  own.calls += 1
  current.calls += 1
  if (hit) {
    own.hits += 1
    current.hits += 1
  }
  return own
}

/** A window made of buckets from the oldest to the current one, the current one being that of `now`. */
export const fromBuckets = (within: number, tallies: ReadonlyArray<Tally>, now: number): TimeWindow =>
  counted(Buckets.fromList(within, tallies, none, now))
