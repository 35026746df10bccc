/** The instants of admissions: a queue as an immutable value. Appending and dropping cost the same at any length. */

/** Instants and costs in turn, oldest first. */
type Chunk = ReadonlyArray<number>

/** Entries that are not in a chunk yet, newest first. */
interface Recent {
  readonly at: number
  readonly cost: number
  readonly before: Recent | undefined
}

/** Entries are in order of time, and no two have the same instant. */
export interface Log {
  /** The cost of all entries. */
  readonly used: number
  readonly chunks: ReadonlyArray<Chunk>
  /** How much of the first chunk has been dropped, in array elements. */
  readonly dropped: number
  readonly recent: Recent | undefined
  readonly recentLength: number
}

const chunkLength = 512

export const empty: Log = { used: 0, chunks: [], dropped: 0, recent: undefined, recentLength: 0 }

/** The log with one more entry, and without those that are not after `horizon`. Instants must not go back. */
export const append = (before: Log, at: number, cost: number, horizon: number): Log => {
  const log = dropUntil(before, horizon)
  const { chunks, dropped, recent, recentLength } = log
  const used = log.used + cost
  const last = chunks[chunks.length - 1]
  if (last === undefined) return { ...empty, used, chunks: [[at, cost]] }
  if (last[last.length - 2] === at) {
    return { ...log, used, chunks: [...chunks.slice(0, -1), addToLast(last, cost)] }
  }
  if (recent?.at === at) {
    return { ...log, used, recent: { at, cost: recent.cost + cost, before: recent.before } }
  }
  const entry = { at, cost, before: recent }
  return recentLength + 1 < chunkLength
    ? { used, chunks, dropped, recent: entry, recentLength: recentLength + 1 }
    : { ...empty, used, chunks: [...chunks, toChunk(entry, chunkLength)], dropped }
}

const addToLast = (chunk: Chunk, cost: number): Chunk => {
  const copy = chunk.slice()
  copy[copy.length - 1] += cost
  return copy
}

const toChunk = (recent: Recent, length: number): Chunk => {
  const chunk = new Array<number>(length * 2)
  let index = chunk.length
  for (let entry: Recent | undefined = recent; entry !== undefined; entry = entry.before) {
    chunk[--index] = entry.cost
    chunk[--index] = entry.at
  }
  return chunk
}

const newest = ({ chunks, recent }: Log): number => {
  const last = chunks[chunks.length - 1]
  return recent !== undefined ? recent.at : last === undefined ? -Infinity : last[last.length - 2]
}

/** The log without the entries that are not after `horizon`. */
const dropUntil = (log: Log, horizon: number): Log => {
  // Stryker disable next-line EqualityOperator: saves a walk, which drops the newest entry at the horizon too
  if (newest(log) <= horizon) return empty
  let { dropped, used } = log
  for (let position = 0; position < log.chunks.length; position++) {
    const chunk = log.chunks[position]
    while (chunk[dropped] <= horizon) {
      used -= chunk[dropped + 1]
      dropped += 2
    }
    if (dropped < chunk.length) {
      // Stryker disable next-line ConditionalExpression: saves a copy, which would be the same
      return used === log.used
        ? log
        : { ...log, used, chunks: position === 0 ? log.chunks : log.chunks.slice(position), dropped }
    }
    dropped = 0
  }
  return dropUntil(withoutChunks({ ...log, used }), horizon)
}

/** The log when its chunks are gone: what was recent becomes the first. */
const withoutChunks = ({ recent, recentLength, used }: Log): Log =>
  recent === undefined ? empty : { ...empty, used, chunks: [toChunk(recent, recentLength)] }

/** The instant of the entry with which, counted from the oldest, at least `cost` has come together. */
export const freedAt = (log: Log, cost: number): number => {
  let missing = cost
  let entry = log.dropped
  for (const chunk of log.chunks) {
    for (; entry < chunk.length; entry += 2) {
      missing -= chunk[entry + 1]
      if (missing <= 0) return chunk[entry]
    }
    entry = 0
  }
  return log.recent === undefined ? newest(log) : freedAt(withoutChunks(log), missing)
}

/** The cost of the entries after `horizon`. */
export const usedSince = (log: Log, horizon: number): number => dropUntil(log, horizon).used

/** The log without so much of what was admitted at an instant, if it is still in it. */
export const remove = (log: Log, at: number, cost: number): Log => {
  const newer: Array<Recent> = []
  for (let entry = log.recent; entry !== undefined; entry = entry.before) {
    if (entry.at === at) return removeRecent(log, entry, newer, cost)
    newer.push(entry)
  }
  return removeOlder(log, at, cost)
}

const removeRecent = (log: Log, entry: Recent, newer: ReadonlyArray<Recent>, cost: number): Log => {
  const left = Math.max(0, entry.cost - cost)
  const kept = left === 0 ? entry.before : { at: entry.at, cost: left, before: entry.before }
  return {
    ...log,
    used: log.used - (entry.cost - left),
    recent: newer.reduceRight<Recent | undefined>((before, { at, cost }) => ({ at, cost, before }), kept),
    recentLength: left === 0 ? log.recentLength - 1 : log.recentLength
  }
}

const removeOlder = (log: Log, at: number, cost: number): Log => {
  const position = log.chunks.findIndex((chunk) => chunk[chunk.length - 2] >= at)
  const chunk = log.chunks[position]
  if (chunk === undefined) return log
  const first = position === 0 ? log.dropped : 0
  const entry = chunk.findIndex((value, index) => index >= first && index % 2 === 0 && value === at)
  if (entry === -1) return log
  const left = Math.max(0, chunk[entry + 1] - cost)
  const kept = left === 0 ? [] : [at, left]
  const rest = [...chunk.slice(first, entry), ...kept, ...chunk.slice(entry + 2)]
  const chunks = [
    ...log.chunks.slice(0, position),
    ...(rest.length === 0 ? [] : [rest]),
    ...log.chunks.slice(position + 1)
  ]
  const used = log.used - (chunk[entry + 1] - left)
  const dropped = position === 0 ? 0 : log.dropped
  return { ...log, used, chunks, dropped }
}
