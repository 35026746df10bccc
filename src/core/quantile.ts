/**
 * Quantiles of recent durations, from a histogram over a sliding window. Durations are exact to 2 %, from a tenth of a millisecond
 * to more than an hour and a half; others count as the nearest bound. Every step costs the same for any number of durations.
 */
import * as Buckets from "./buckets.js"

/** Counters of durations, the bounds of one a fixed factor above those of the one before. */
export interface Histogram {
  readonly count: number
  /** The counters in blocks, each with its sum. */
  readonly blocks: ReadonlyArray<ReadonlyArray<number>>
  readonly sums: ReadonlyArray<number>
}

/** The durations of a window in ten buckets, and all of them together. */
export interface Durations extends Buckets.Buckets<Histogram> {
  readonly all: Histogram
}

/** How far a quantile can be from the exact one, as a share of it. */
export const relativeError = 0.02

const blockSize = 16
const blockCount = 28
const counters = blockSize * blockCount

/** The upper bound of the first counter in milliseconds. */
const shortest = 0.1
const factor = (1 + relativeError) / (1 - relativeError)
const logFactor = Math.log(factor)

const emptyBlock: ReadonlyArray<number> = new Array<number>(blockSize).fill(0)
const empty: Histogram = {
  count: 0,
  blocks: new Array<ReadonlyArray<number>>(blockCount).fill(emptyBlock),
  sums: new Array<number>(blockCount).fill(0)
}
const none = Buckets.empties(empty)

/** A window over durations that has seen none. */
export const durations = (within: number, now: number): Durations => ({
  ...Buckets.start(within, none, now),
  all: empty
})

/** The window after one more duration, in milliseconds. */
export const record = (durations: Durations, duration: number, now: number): Durations => {
  const { all, bucket, current, older, within } = expire(durations, now)
  const index = indexOf(duration)
  return { within, bucket, current: increment(current, index), older, all: increment(all, index) }
}

export const count = (durations: Durations, now: number): number => expire(durations, now).all.count

/** The shortest duration that is at least as long as the share `q` of those in the window; `undefined` without any. */
export const quantile = (durations: Durations, q: number, now: number): number | undefined => {
  const { all } = expire(durations, now)
  if (all.count === 0) return undefined
  // The product can come out a rounding error above a whole number: 0.95 * 20 is 19, and not the twentieth.
  let rank = Math.max(1, Math.ceil(q * all.count - 1e-9))
  let block = 0
  while (rank > all.sums[block]) rank -= all.sums[block++]
  let index = 0
  while (rank > all.blocks[block][index]) rank -= all.blocks[block][index++]
  return valueOf(block * blockSize + index)
}

/** The window as it is at an instant. A clock that lies back changes nothing. */
const expire = (state: Durations, now: number): Durations => {
  const buckets = Buckets.advance(state, none, now)
  // Stryker disable next-line ConditionalExpression: saves a copy; while no bucket is gone, the rest changes nothing
  if (buckets === state) return state
  const gone = Buckets.toList(state).slice(0, buckets.bucket - state.bucket)
  return { ...buckets, all: gone.reduce(subtract, state.all) }
}

const indexOf = (duration: number): number => {
  // Stryker disable next-line EqualityOperator: the logarithm of the bound itself is 0 too
  if (!(duration > shortest)) return 0
  return Math.min(counters - 1, Math.ceil(Math.log(duration / shortest) / logFactor))
}

/** The value whose distance to both bounds of its counter is the same share of them. */
const valueOf = (index: number): number => (2 * shortest * factor ** index) / (factor + 1)

const increment = ({ blocks, count, sums }: Histogram, index: number): Histogram => {
  const at = Math.floor(index / blockSize)
  const block = blocks[at].slice()
  block[index % blockSize] += 1
  const nextBlocks = blocks.slice()
  nextBlocks[at] = block
  const nextSums = sums.slice()
  nextSums[at] += 1
  return { count: count + 1, blocks: nextBlocks, sums: nextSums }
}

const subtract = (from: Histogram, gone: Histogram): Histogram => {
  if (gone.count === from.count) return empty
  return {
    count: from.count - gone.count,
    blocks: from.blocks.map((block, at) =>
      gone.sums[at] === 0 ? block : block.map((count, index) => count - gone.blocks[at][index])
    ),
    sums: from.sums.map((sum, at) => sum - gone.sums[at])
  }
}
