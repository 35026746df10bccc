/**
 * Permits and the FIFO queue of calls that wait for them. Released permits go to the head of the queue, so no call overtakes and a
 * large request is not starved by small ones. A waiter that is not ready, because a listener still runs, keeps its place and is
 * passed over. Every step is synchronous and costs the same at any length of the queue; only {@link PermitQueue.wait} is an effect.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Linked, type Links } from "../internal/linked.js"
import * as Wait from "../internal/wait.js"

/** How a wait ended: with the permits, with more asked for than there are any more, or with the time over. */
export type Waited = "granted" | "full" | "expired"

/** Shows an observer what changes in a queue. */
export type Watch = (
  change: "Acquired" | "Released" | "Dequeued",
  permits: number,
  reason?: Waited | "interrupted"
) => void

export interface Waiter extends Links<Waiter> {
  readonly permits: number
  /** In which order the queue was entered. */
  readonly number: number
  /** How the wait ended. `granted` means that the permits are the waiter's, also before its fiber has noticed. */
  ended: Waited | undefined
  resume: ((waited: Waited) => void) | undefined
}

export class PermitQueue {
  private readonly line = new Linked<Waiter>()
  private taken = 0
  private grants = 0
  private length = 0
  private asked = 0
  private entered = 0
  /** Those who have a place and are not ready yet. The others are in the list. */
  private readonly preparing = new Set<Waiter>()

  constructor(
    private total: number,
    private readonly maxQueued: number,
    private readonly watch: Watch | undefined = undefined
  ) {}

  get permits(): number {
    return this.total
  }

  /** How many permits are taken. After shrinking, for a while more than there are. */
  get inUse(): number {
    return this.taken
  }

  get holders(): number {
    return this.grants
  }

  get queued(): number {
    return this.length
  }

  /** How many permits the queued calls ask for. */
  get wanted(): number {
    return this.asked
  }

  /** Whether there are permits to take at once: enough are free, and no call that is ready waits already. */
  isFree(permits: number): boolean {
    return this.line.first === undefined && this.taken + permits <= this.total
  }

  /** Takes permits at once, or not at all when they are not free. */
  tryTake(permits: number): boolean {
    if (!this.isFree(permits)) return false
    this.taken += permits
    this.grants += 1
    this.watch?.("Acquired", permits)
    return true
  }

  /** Whether the queue is as long as it may be, or more is asked for than there is. */
  isFull(permits: number): boolean {
    return this.isTooMany(permits) || this.length >= this.maxQueued
  }

  /**
   * Enters the queue, after {@link tryTake} in the same step; `undefined` when it is full. A waiter that is not ready gets no permits
   * until {@link ready}.
   */
  enter(permits: number, isReady = true): Waiter | undefined {
    if (this.isFull(permits)) return undefined
    const waiter: Waiter = {
      permits,
      number: this.entered++,
      previous: undefined,
      next: undefined,
      ended: undefined,
      resume: undefined
    }
    this.length += 1
    this.asked += permits
    if (isReady) this.link(waiter)
    else this.preparing.add(waiter)
    return waiter
  }

  /** Permits may come from now on. */
  ready(waiter: Waiter): void {
    if (!this.preparing.delete(waiter)) return
    this.link(waiter)
    this.handOver()
  }

  /** Puts a waiter where it entered: nearly always at the end. */
  private link(waiter: Waiter): void {
    let previous = this.line.last
    while (previous !== undefined && previous.number > waiter.number) previous = previous.previous
    this.line.insert(waiter, previous)
  }

  /**
   * Waits for at most so many milliseconds. Run it in the mask that also covers entering the queue and using the permits, or an
   * interruption could lose them; the wait itself can be interrupted even where the caller cannot. A waiter that is not ready
   * becomes so when `before` ends, at the latest with the wait.
   */
  wait(waiter: Waiter, maxWait: number, before?: Fiber.RuntimeFiber<unknown>): Effect.Effect<Waited> {
    const settled = Wait.forOthers<Waited>((resume) => {
      waiter.resume = (waited) => resume(Exit.succeed(waited))
      before?.addObserver(() => this.ready(waiter))
      // The grant may have come before the fiber has begun to wait.
      if (waiter.ended !== undefined) waiter.resume(waiter.ended)
    })
    // So may the interruption, which is why what undoes the wait stands outside of it.
    const wait = Effect.catchAllCause(Effect.interruptible(settled), (cause) => {
      this.abandon(waiter)
      return Effect.failCause(cause)
    })
    const alone = before === undefined ? wait : Effect.ensuring(wait, Fiber.interrupt(before))
    return Wait.withAlarm(alone, maxWait, () => this.leave(waiter, "expired"))
  }

  /** Gives the permits of one grant back, to the head of the queue if they are enough for it. */
  give(permits: number): void {
    this.taken -= permits
    this.grants -= 1
    this.watch?.("Released", permits)
    this.handOver()
  }

  /** Ends a wait from the waiter's side: permits that it was granted and has not noticed yet are handed on. */
  abandon(waiter: Waiter): void {
    if (waiter.ended === "granted") this.give(waiter.permits)
    else this.leave(waiter, "expired", "interrupted")
  }

  /** Changes how many permits there are. A request for more than that ends as if the queue had been full; with none, all wait. */
  resize(total: number): void {
    const mayDrop = total < this.total || this.total === 0
    this.total = total
    for (let waiter = mayDrop ? this.line.first : undefined; waiter !== undefined;) {
      const { next } = waiter
      if (this.isTooMany(waiter.permits)) this.unlink(waiter, "full")
      waiter = next
    }
    for (const waiter of this.preparing) if (this.isTooMany(waiter.permits)) this.unlink(waiter, "full")
    this.handOver()
  }

  /** With none at all, a later resize may bring enough. */
  private isTooMany(permits: number): boolean {
    return this.total > 0 && permits > this.total
  }

  private handOver(): void {
    for (let head = this.line.first; head !== undefined; head = this.line.first) {
      if (this.taken + head.permits > this.total) return
      this.taken += head.permits
      this.grants += 1
      this.watch?.("Acquired", head.permits)
      this.unlink(head, "granted")
    }
  }

  /** Takes a waiter out of the queue, if it is still in it. Those behind it may now be served. */
  private leave(waiter: Waiter, ended: Waited, reason: Waited | "interrupted" = ended): void {
    if (waiter.ended !== undefined) return
    this.unlink(waiter, ended, reason)
    this.handOver()
  }

  private unlink(waiter: Waiter, ended: Waited, reason: Waited | "interrupted" = ended): void {
    if (this.preparing.size === 0 || !this.preparing.delete(waiter)) this.line.remove(waiter)
    this.length -= 1
    this.asked -= waiter.permits
    waiter.ended = ended
    this.watch?.("Dequeued", waiter.permits, reason)
    waiter.resume?.(ended)
  }
}
