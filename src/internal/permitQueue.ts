/**
 * Permits, and the line of those who wait for them. First come, first served: whoever gives permits back hands them to the
 * head of the line, nobody overtakes, and a large request at the head is not starved by small ones behind it. Entering,
 * leaving and handing over cost the same however long the line is.
 *
 * Every step is synchronous. Only {@link PermitQueue.wait} is an effect.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Time from "./time.js"

/** How a wait ended: with the permits, with more asked for than there are any more, or with the time over. */
export type Waited = "granted" | "full" | "expired"

/** A place in the line. */
export interface Waiter {
  readonly permits: number
  previous: Waiter | undefined
  next: Waiter | undefined
  /** How the wait ended. `granted` means that the permits are the waiter's, also before its fiber has noticed. */
  ended: Waited | undefined
  resume: ((waited: Waited) => void) | undefined
}

export class PermitQueue {
  private head: Waiter | undefined
  private tail: Waiter | undefined
  private taken = 0
  private grants = 0
  private length = 0

  constructor(
    private total: number,
    private readonly maxQueued: number
  ) {}

  /** How many permits there are. */
  get permits(): number {
    return this.total
  }

  /** How many permits are taken. After shrinking, for a while more than there are. */
  get inUse(): number {
    return this.taken
  }

  /** How many hold permits. */
  get holders(): number {
    return this.grants
  }

  /** How many wait in line. */
  get queued(): number {
    return this.length
  }

  /** Takes permits at once, or not at all when too few are free or somebody is waiting already. */
  tryTake(permits: number): boolean {
    if (this.head !== undefined || this.taken + permits > this.total) return false
    this.taken += permits
    this.grants += 1
    return true
  }

  /**
   * Enters the line, after {@link tryTake} in the same step has found that there is nothing to take at once. `undefined`
   * when the line is as long as it may be, or when more is asked for than there is.
   */
  enter(permits: number): Waiter | undefined {
    if (permits > this.total || this.length >= this.maxQueued) return undefined
    const waiter: Waiter = {
      permits,
      previous: this.tail,
      next: undefined,
      ended: undefined,
      resume: undefined
    }
    if (this.tail === undefined) this.head = waiter
    else this.tail.next = waiter
    this.tail = waiter
    this.length += 1
    return waiter
  }

  /**
   * Waits for at most so many milliseconds. To be run where interruption is masked, together with the step that entered
   * and with what uses the permits, so that none are lost in between. The wait itself can be interrupted even where the
   * caller cannot, and then leaves no trace. `meanwhile` is run in line, before the fiber settles down to wait.
   */
  wait(waiter: Waiter, maxWait: number, meanwhile?: Effect.Effect<void>): Effect.Effect<Waited> {
    const settled = Effect.async<Waited>((resume) => {
      waiter.resume = (waited) => resume(Exit.succeed(waited))
      // The grant may have come before the fiber has begun to wait.
      if (waiter.ended !== undefined) waiter.resume(waiter.ended)
    })
    const waiting = Effect.interruptible(
      meanwhile === undefined ? settled : Effect.zipRight(meanwhile, settled)
    )
    // So may the interruption, which is why what undoes the wait stands outside of it.
    const wait = Effect.catchAllCause(waiting, (cause) => {
      this.abandon(waiter)
      return Effect.failCause(cause)
    })
    if (maxWait === Infinity) return wait
    const expiry = Effect.map(Time.sleep(maxWait), () => this.leave(waiter, "expired"))
    return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(expiry)), (timer) =>
      Effect.flatMap(Effect.exit(wait), (exit) => {
        timer.unsafeInterruptAsFork(FiberId.none)
        return exit
      })
    )
  }

  /** Gives the permits of one grant back, to the head of the line if they are enough for it. */
  give(permits: number): void {
    this.taken -= permits
    this.grants -= 1
    this.handOver()
  }

  /** Ends a wait from the waiter's side: permits that it was granted and has not noticed yet are handed on. */
  abandon(waiter: Waiter): void {
    if (waiter.ended === "granted") this.give(waiter.permits)
    else this.leave(waiter, "expired")
  }

  /**
   * Changes how many permits there are. More of them wake those who wait; fewer let those who have one finish. A request
   * for more than there are could wait for ever, and ends as if the line had been full.
   */
  resize(total: number): void {
    const shrinks = total < this.total
    this.total = total
    for (let waiter = shrinks ? this.head : undefined; waiter !== undefined;) {
      const { next } = waiter
      if (waiter.permits > total) this.unlink(waiter, "full")
      waiter = next
    }
    this.handOver()
  }

  private handOver(): void {
    while (this.head !== undefined && this.taken + this.head.permits <= this.total) {
      this.taken += this.head.permits
      this.grants += 1
      this.unlink(this.head, "granted")
    }
  }

  /** Takes a waiter out of the line, if it is still in it. Those behind it may now be served. */
  private leave(waiter: Waiter, ended: Waited): void {
    if (waiter.ended !== undefined) return
    this.unlink(waiter, ended)
    this.handOver()
  }

  private unlink(waiter: Waiter, ended: Waited): void {
    const { next, previous } = waiter
    if (previous === undefined) this.head = next
    else previous.next = next
    if (next === undefined) this.tail = previous
    else next.previous = previous
    // Whoever still holds the waiter does not hold the line.
    waiter.previous = waiter.next = undefined
    this.length -= 1
    waiter.ended = ended
    waiter.resume?.(ended)
  }
}
