/** The deadline of a limit: its timer, its notification and its cancellation. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Runtime from "effect/Runtime"
import * as Time from "../internal/time.js"
import { startFiber } from "../internal/fork.js"
import type { AnyFiber } from "../internal/erased.js"
import type { Caller } from "../policy/frame.js"

export interface Limit<A, E, R> {
  readonly millis: number
  /** Leave at the limit and let the finalizers of what was interrupted run on by themselves. */
  readonly disconnect: boolean
  /** What happens instead, given the milliseconds that have passed, and by how many the process was late when it stood still. */
  onTimeout(elapsed: number, stalled?: number): Effect.Effect<A, E, R>
}

export type AnyLimit = Limit<unknown, unknown, unknown>

/** From so many milliseconds on a timer is late: the process was busy, so answers that have arrived get a turn first. */
const late = 10

/** An answer takes several turns of the event loop to come from a socket to the effect. */
const turnsForAnswers = 8

/** From so many milliseconds on, and from this share of the limit, the limit says nothing about the other side. */
const stalledFor = { millis: 100, share: 0.1 }

const ready = /*#__PURE__*/ Promise.resolve()

/** A limit that has begun. It ends once: by the end of the effect (`cancel`), or by the time. */
export abstract class Deadline {
  /** The time came first. That is how the call ends then, whatever the effect still does. */
  expired = false
  private over = false
  private sleeper: AnyFiber | undefined
  private readonly clock: Clock.Clock
  private readonly startedAt: number
  /** By how much the process was too late to say anything about the effect. */
  stalled: number | undefined

  private callOff: (() => void) | undefined
  /** How many turns of the microtask queue are waited before there is a timer. */
  private turns = 8

  constructor(
    /** On a clock that is not the live one, always a fiber. */
    private readonly caller: Caller,
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
    if (this.isLive) void ready.then(this.turn)
    else this.sleep()
  }

  /** The effect has ended, in time or not. */
  cancel(): void {
    this.over = true
    this.callOff?.()
    this.sleeper?.unsafeInterruptAsFork(FiberId.none)
  }

  /** How long it took until now. A timer that is a fraction early does not make that less than the limit. */
  elapsed(): number {
    return Math.max(this.millis, Time.monotonicMillis(this.clock) - this.startedAt)
  }

  /** An effect that waits for resolved promises at most needs no timer. Promises keep the asynchronous context of the call. */
  private readonly turn = (): void => {
    if (this.over) return
    if (this.turns-- > 0) void ready.then(this.turn)
    else this.arm()
  }

  /** Sets a timer, in stretches that a timer can wait. */
  private arm(): void {
    const left = this.millis - (Time.monotonicMillis(this.clock) - this.startedAt)
    const stretch = Math.min(Math.max(1, Math.ceil(left)), Time.maxTimerMillis)
    this.callOff = Time.setTimer(() => {
      if (stretch < left) return this.arm()
      const lateBy = Time.monotonicMillis(this.clock) - this.startedAt - this.millis
      if (lateBy < late) return this.expire()
      if (lateBy >= Math.max(stalledFor.millis, this.millis * stalledFor.share)) this.stalled = lateBy
      this.callOff = Time.afterTurns(turnsForAnswers, () => this.expire())
    }, stretch)
  }

  private expire(): void {
    this.expired = true
    this.onExpired()
  }

  /** On a test clock, a sleep that takes the same turns as in `Effect.timeout`, so that events of one instant keep their order. */
  private sleep(): void {
    const timers = Time.timersOf(this.clock)
    if (timers !== undefined) return this.sleepBy(timers)
    const caller = this.caller as AnyFiber
    this.sleeper = startFiber(caller, Time.sleep(this.millis), Runtime.defaultRuntimeFlags, {
      immediate: false
    })
    this.sleeper.addObserver((exit) => {
      if (Exit.isSuccess(exit)) this.slept()
    })
  }

  /** The same without a fiber, whose two turns are taken all the same: the one before the sleep and the one after it. */
  private sleepBy(timers: Clock.ClockScheduler): void {
    this.inTurn(() => {
      const slept = () => this.inTurn(() => this.slept())
      const callOff = timers.unsafeSchedule(slept, Duration.millis(this.millis))
      this.callOff = () => void callOff()
    })
  }

  private slept(): void {
    if (this.over) return
    this.expired = true
    this.inTurn(() => this.onExpired())
  }

  /** Runs a task in the next turn of the scheduler, unless the effect has ended by then. */
  private inTurn(task: () => void): void {
    const caller = this.caller as AnyFiber
    const unlessOver = () => {
      if (!this.over) task()
    }
    caller.currentScheduler.scheduleTask(
      unlessOver,
      caller.getFiberRef(FiberRef.currentSchedulingPriority),
      caller
    )
  }
}
