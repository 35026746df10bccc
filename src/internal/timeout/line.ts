/**
 * Who waits for the same length of time waits in one line, behind one timer: they are due in the order in which they
 * came. Most leave long before, and leaving costs no timer.
 */
import * as Time from "../time.js"

export interface Entry {
  readonly millis: number
  /** On the monotonic clock. */
  readonly dueAt: number
  readonly expire: () => void
  line: Line | undefined
  earlier: Entry | undefined
  later: Entry | undefined
}

const lines = new Map<number, Line>()
/** Lines in which nobody waits and whose timer still runs, the one that was left first at the front. */
const empty = new Set<Line>()
const maxEmpty = 16
/** How many expire in one go, and how many times as many in the next if that was not all. */
const growth = 8
let changed: Array<Line> = []

export const join = (entry: Entry): void => {
  let line = lines.get(entry.millis)
  if (line === undefined) lines.set(entry.millis, (line = new Line(entry.millis)))
  line.add(entry)
}

export const leave = (entry: Entry): void => entry.line?.remove(entry)

/** Timers follow once the current task is over: whoever comes and goes within it never needs one. */
const settleAll = (): void => {
  const settled = changed
  changed = []
  for (const line of settled) line.settle()
}

export class Line {
  private first: Entry | undefined
  private last: Entry | undefined
  private changed = false
  private timer: Time.Timer | undefined
  private timerDueAt = 0
  /**
   * Of limits inside of each other the outermost is first, and takes the others with it if it is given the time. If all
   * expired in one go, each would interrupt everything below it once more.
   */
  private batch = growth

  constructor(private readonly millis: number) {}

  add(entry: Entry): void {
    entry.line = this
    entry.earlier = this.last
    if (this.last === undefined) {
      this.first = entry
      this.change()
    } else this.last.later = entry
    this.last = entry
  }

  remove(entry: Entry): void {
    if (entry.earlier === undefined) this.first = entry.later
    else entry.earlier.later = entry.later
    if (entry.later === undefined) this.last = entry.earlier
    else entry.later.earlier = entry.earlier
    entry.line = entry.earlier = entry.later = undefined
    if (this.first === undefined) this.change()
  }

  private change(): void {
    if (this.changed) return
    this.changed = true
    if (changed.push(this) === 1) Time.afterwards(settleAll)
  }

  /** A timer for the first in the line. For an empty line the one that runs may stay: for the next, but for nothing else. */
  settle(): void {
    this.changed = false
    if (this.timer !== undefined && !this.timer.current()) this.abandon()
    if (this.first !== undefined) {
      empty.delete(this)
      if (this.timer === undefined) this.arm(this.first.dueAt)
      else this.timer.hold?.(true)
    } else if (this.timer?.hold === undefined) this.close()
    else {
      this.timer.hold(false)
      empty.add(this)
      if (empty.size > maxEmpty) for (const oldest of empty) return oldest.close()
    }
  }

  private arm(dueAt: number): void {
    const now = Time.monotonicMillis(Time.liveClock)
    const delay = Math.min(Math.max(1, Math.ceil(dueAt - now)), Time.maxTimerMillis)
    this.timerDueAt = Math.min(dueAt, now + delay)
    this.timer = Time.setTimer(() => this.fire(), delay)
  }

  private fire(): void {
    this.timer = undefined
    // Timers count whole milliseconds and fire up to one too early; the time they were set for has come all the same.
    const now = Math.max(this.timerDueAt, Time.monotonicMillis(Time.liveClock))
    let count = 0
    for (let entry = this.first; entry !== undefined && entry.dueAt <= now; entry = this.first) {
      if (count === this.batch) {
        this.batch *= growth
        return this.settle()
      }
      count++
      this.remove(entry)
      entry.expire()
    }
    this.batch = growth
    this.settle()
  }

  /** A timer of replaced timers: whether it would ever fire is not known. */
  private abandon(): void {
    this.timer?.cancel()
    this.timer = undefined
    empty.delete(this)
  }

  private close(): void {
    this.abandon()
    if (lines.get(this.millis) === this) lines.delete(this.millis)
  }
}
