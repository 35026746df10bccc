/** Who is shown when there are more policies than places. */
import { urgencyOf } from "./urgency.js"

/** What is seen of a policy at a moment. */
export interface Seen {
  readonly state: string
  /** What it has counted since it was made. */
  readonly count: number
  /** When something noteworthy happened last, such as a rejection, in milliseconds since the epoch. */
  readonly happenedAt: number | undefined
}

/** How long a policy counts as on the highest level that it was on, so that none comes and goes with each reading. */
export const calmMillis = 30_000

/** The levels: idle; calls, by the power of ten of those in a second; something noteworthy lately; and states, by urgency. */
const busy = { least: 1, most: 5 } as const
const noteworthy = 6
const levels = noteworthy + 7

/** A policy that may get a place. */
export class Candidate {
  isPlaced = false
  /** The state in which it was last seen. */
  state = ""
  /** The highest level of the last {@link calmMillis}, and when the policy was last on it. */
  private level = 0
  private levelAt = 0
  private count = 0
  private seenAt: number | undefined

  see(seen: Seen, at: number): void {
    const level = this.levelIn(seen, at)
    if (level >= this.level || at - this.levelAt >= calmMillis) {
      this.level = level
      this.levelAt = at
    }
    this.state = seen.state
    this.count = seen.count
    this.seenAt = at
  }

  private levelIn({ count, happenedAt, state }: Seen, at: number): number {
    const urgency = urgencyOf(state)
    if (urgency > 0) return noteworthy + urgency
    if (happenedAt !== undefined && at - happenedAt < calmMillis) return noteworthy
    // Over what time it has counted is not known the first time.
    if (this.seenAt === undefined) return count > 0 ? busy.least : 0
    const happened = count - this.count
    if (happened <= 0 || at <= this.seenAt) return 0
    const power = Math.floor(Math.log10((happened * 1000) / (at - this.seenAt)))
    return Math.min(busy.most, Math.max(busy.least, power + 2))
  }

  /** Of two on one level, the one that has a place keeps it. */
  get rank(): number {
    return 2 * this.level + Number(this.isPlaced)
  }
}

/**
 * Gives places to the policies of the highest levels, in their order where not all of a level find one. A policy that has a place loses
 * it only to one of a higher level than its own, so those at the border do not take turns. Returns how many have none, by state.
 */
export const givePlaces = (
  candidates: ReadonlyArray<Candidate>,
  places: number
): Readonly<Record<string, number>> => {
  const ofRank = new Array<number>(2 * levels).fill(0)
  for (const { rank } of candidates) ofRank[rank] += 1
  // All above the border have a place; of those on it, the first ones.
  let border = ofRank.length - 1
  let left = places
  while (border > 0 && ofRank[border] <= left) left -= ofRank[border--]
  const hidden: Record<string, number> = {}
  for (const candidate of candidates) {
    const { rank, state } = candidate
    candidate.isPlaced = rank > border || (rank === border && left-- > 0)
    if (!candidate.isPlaced) hidden[state] = (hidden[state] ?? 0) + 1
  }
  return hidden
}
