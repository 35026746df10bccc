/** The end of a time limit: when it comes, how it is told, and how it is called off. */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Runtime from "effect/Runtime"
import * as Time from "../time.js"
import { type AnyFiber, startFiber } from "./fiber.js"
import * as Line from "./line.js"

export interface Limit<A, E, R> {
  readonly millis: number
  /** Leave at the limit and let the finalizers of what was interrupted run on by themselves. */
  readonly disconnect: boolean
  /** What happens instead, given the milliseconds that have passed. */
  readonly onTimeout: (elapsed: number) => Effect.Effect<A, E, R>
}

/** A limit that has begun. It ends once: by the end of the effect (`cancel`), or by the time. */
export abstract class Deadline implements Line.Entry {
  /** The time came first. That is how the call ends then, whatever the effect still does. */
  expired = false
  private over = false
  private sleeper: AnyFiber | undefined
  private readonly clock: Clock.Clock
  private readonly startedAt: number

  /** The place in the line of those who have the same limit. */
  line: Line.Line | undefined
  earlier: Line.Entry | undefined
  later: Line.Entry | undefined

  constructor(
    protected readonly caller: AnyFiber,
    readonly millis: number
  ) {
    this.clock = Time.clockOf(caller)
    this.startedAt = Time.monotonicMillis(this.clock)
  }

  /** The time has come, and the effect is still there. */
  protected abstract onExpired(): void

  /** Whether it is about real time. */
  get isLive(): boolean {
    return this.clock === Time.liveClock
  }

  start(): void {
    if (this.isLive) Line.join(this)
    else this.sleep()
  }

  /** The effect has ended, in time or not. */
  cancel(): void {
    this.over = true
    Line.leave(this)
    this.sleeper?.unsafeInterruptAsFork(this.caller.id())
  }

  get dueAt(): number {
    return this.startedAt + this.millis
  }

  /** How long it took until now. A timer that is a fraction early does not make that less than the limit. */
  elapsed(): number {
    return Math.max(this.millis, Time.monotonicMillis(this.clock) - this.startedAt)
  }

  expire(): void {
    this.expired = true
    this.onExpired()
  }

  /**
   * On a clock that is not the live one, the limit is a sleep beside the effect, as in `Effect.timeout`: it begins when the
   * effect first waits, and is heard one turn of the scheduler after its end. So what happens at one instant of a test
   * happens in the same order.
   */
  private sleep(): void {
    const { caller } = this
    this.sleeper = startFiber(caller, Time.sleep(this.millis), Runtime.defaultRuntimeFlags, {
      immediate: false
    })
    this.sleeper.addObserver((exit) => {
      if (this.over || Exit.isFailure(exit)) return
      this.expired = true
      const heard = () => {
        if (!this.over) this.onExpired()
      }
      caller.currentScheduler.scheduleTask(
        heard,
        caller.getFiberRef(FiberRef.currentSchedulingPriority),
        caller
      )
    })
  }
}
