/** The counts of the last minutes, from which rates follow. All policies are read at the same instants. */

/** How long a plot goes back, in milliseconds. */
export const shownMillis = 180_000

/** Over how long a rate is taken. */
const rateMillis = 2500

/** A ring of instants, and of the counts at these instants. */
export class History {
  readonly capacity: number
  private readonly instants: Float64Array
  /** How many instants there have been. */
  private length = 0

  constructor(private readonly interval: number) {
    this.capacity = Math.ceil((shownMillis + rateMillis) / interval) + 4
    this.instants = new Float64Array(this.capacity)
  }

  /** Where the clock of the server is set back, time goes on all the same. */
  begin(at: number): void {
    const before = this.length === 0 ? -Infinity : this.at(this.last)
    this.instants[this.length % this.capacity] = at > before ? at : before + this.interval
    this.length++
  }

  track(): Track {
    return new Track(this)
  }

  get last(): number {
    return this.length - 1
  }

  get first(): number {
    return Math.max(0, this.length - this.capacity)
  }

  at(index: number): number {
    return this.instants[index % this.capacity]
  }

  /** Whether readings are missing before an instant: the page was not connected. */
  isGap(index: number): boolean {
    return index > this.first && this.at(index) - this.at(index - 1) > Math.max(3 * this.interval, 2000)
  }
}

/** The counts of one policy. */
export class Track {
  private readonly counts = new Map<string, Float64Array>()
  /** The first instant at which there was this policy. */
  private readonly since: number

  constructor(private readonly history: History) {
    this.since = Math.max(0, history.last)
  }

  record(totals: Readonly<Record<string, number>>): void {
    const { capacity, last } = this.history
    for (const outcome in totals) {
      let counts = this.counts.get(outcome)
      if (counts === undefined) {
        // An outcome that appears has not happened before.
        counts = new Float64Array(capacity)
        this.counts.set(outcome, counts)
      }
      counts[last % capacity] = totals[outcome]
    }
  }

  /** Per second, at an instant; `null` where that is not known. */
  private rateAt(counts: Float64Array, index: number): number | null {
    const { history, since } = this
    const first = Math.max(since, history.first)
    if (index <= first || history.isGap(index)) return null
    const end = history.at(index)
    let start = index - 1
    while (start > first && end - history.at(start) < rateMillis && !history.isGap(start)) start--
    const millis = end - history.at(start)
    const happened = counts[index % history.capacity] - counts[start % history.capacity]
    return millis <= 0 ? null : (Math.max(0, happened) * 1000) / millis
  }

  rate(outcome: string): number {
    const counts = this.counts.get(outcome)
    return (counts && this.rateAt(counts, this.history.last)) ?? 0
  }

  /** Everything that happens, per second. */
  get total(): number {
    let sum = 0
    for (const outcome of this.counts.keys()) sum += this.rate(outcome)
    return sum
  }

  /** Times in seconds, and a row of rates for each outcome. */
  rows(outcomes: ReadonlyArray<string>): [Array<number>, ...Array<Array<number | null>>] {
    const { history } = this
    const times: Array<number> = []
    const from = history.at(history.last) - shownMillis
    let first = Math.max(this.since, history.first)
    while (first < history.last && history.at(first) < from) first++
    for (let index = first; index <= history.last; index++) times.push(history.at(index) / 1000)
    const rates = outcomes.map((outcome) => {
      const counts = this.counts.get(outcome)
      return times.map((_, offset) => (counts === undefined ? null : this.rateAt(counts, first + offset)))
    })
    return [times, ...rates]
  }
}
