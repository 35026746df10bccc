/** The race of attempts, each in a fiber whose observer decides synchronously what follows. The call's fiber waits for the end. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import { identity } from "effect/Function"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as FailureCondition from "../policy/FailureCondition.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import { called, type Called, type Ended } from "../policy/attempts.js"
import type * as Condition from "../policy/condition.js"
import { holding, Interrupter } from "../internal/disposal.js"
import { startIn } from "../internal/fork.js"
import type { HedgeDelay } from "./delay.js"
import { inherited } from "../internal/inside.js"
import { observerIn } from "../policy/events.js"
import type { Call } from "../retryBudget/call.js"
import { withBudget } from "../retryBudget/source.js"
import type { Told } from "../internal/listeners.js"
import * as Time from "../internal/time.js"
import * as Wait from "../internal/wait.js"
import type { AnyExit, AnyFiber, Body, Restore } from "../internal/erased.js"

type Failure = FailureCondition.Failed<unknown, unknown>

/** What a race needs to know, once for every use of the policy. */
export interface Plan {
  readonly name: string
  readonly condition: Condition.Compiled<unknown, unknown>
  readonly maxHedges: number
  readonly delay: HedgeDelay
  readonly disconnect: boolean
  /** Whether a failure starts the next attempt, or is the end of starting any; `undefined` when every one does. */
  readonly startsNext: ((failure: Failure) => boolean) | undefined
  readonly disposeResult: ((result: unknown) => Effect.Effect<unknown, never, unknown>) | undefined
  /** The first attempt, or one that is a hedge, with what it can know about itself. */
  readonly attempt: (self: Body, number: number, elapsed: number, parent: AnyFiber) => Body
  /** The notification before a hedge runs; `undefined` without a listener. */
  readonly told: (number: number, elapsed: number, failure: Failure | undefined) => Told<unknown, unknown>
}

interface Attempt {
  readonly number: number
  startedAt: number
  fiber: AnyFiber | undefined
  /** Only where a result that it ends with nevertheless has to be disposed of. */
  readonly interrupter: Interrupter | undefined
  /** Whether it was not the effect that ended it, but a listener before it. */
  broken: boolean
  /** Shows the observer its end. */
  shown: Ended | undefined
}

interface Failed {
  readonly attempt: Attempt
  readonly exit: AnyExit
}

export const race = (plan: Plan, self: Body, budget: RetryBudget.Source | undefined): Body => {
  if (plan.disposeResult !== undefined) {
    return holding((restore, hold) => {
      const begin = (call?: Call): Body => raceIn(restore, plan, self, call, hold)
      return budget === undefined ? begin() : withBudget(budget, begin, restore)
    })
  }
  const begin = (call?: Call): Body =>
    Effect.uninterruptibleMask((restore) => raceIn(restore, plan, self, call))
  return budget === undefined ? begin() : withBudget(budget, begin)
}

const raceIn = (
  restore: Restore,
  plan: Plan,
  self: Body,
  call: Call | undefined,
  hold?: (dispose: Body<never>) => void
): Body =>
  Effect.withFiberRuntime((parent, { runtimeFlags }) => {
    const race = new Race(plan, self, call, parent, runtimeFlags)
    race.begin()
    if (race.isOver()) return race.end(hold)
    return Effect.matchCauseEffect(restore(race.wait()), {
      onFailure: (cause) => race.abandon(cause),
      onSuccess: () => race.end(hold)
    })
  })

class Race {
  private readonly clock: Clock.Clock
  private readonly runtime: Runtime.Runtime<unknown>
  private readonly startedAt: number
  private readonly attempts: Array<Attempt> = []
  /** Listeners of the budget, which are waited for but not interrupted when the race ends by itself. */
  private readonly helpers: Array<AnyFiber> = []
  private readonly disposals: Array<AnyFiber> = []
  private running = 0
  /** How many attempts may still be started. */
  private left: number
  /** The next attempt is to start now, because of this failure or because its time has come. */
  private wanted: { readonly failure: Failure | undefined } | undefined
  private starting = false
  private timer: AnyFiber | undefined
  private callOff: (() => void) | undefined
  private lastFailed: Failed | undefined
  private exit: AnyExit | undefined
  /** The attempt whose exit it is. */
  private winner: Attempt | undefined
  private wake: () => void = () => {}
  /** Shows the observer the call, where there is one. */
  private readonly called: Called | undefined

  constructor(
    private readonly plan: Plan,
    private readonly self: Body,
    private readonly call: Call | undefined,
    private readonly parent: AnyFiber,
    runtimeFlags: RuntimeFlags.RuntimeFlags
  ) {
    this.clock = Time.clockOf(parent)
    this.startedAt = Time.monotonicMillis(this.clock)
    this.left = plan.maxHedges + 1
    const observer = observerIn(parent.currentContext)
    this.called = observer && called(observer, { kind: "hedge", name: plan.name }, this.clock)
    this.runtime = Runtime.make({
      context: parent.currentContext as Context.Context<unknown>,
      // A loser can be interrupted even where the caller cannot.
      runtimeFlags: RuntimeFlags.enable(runtimeFlags, RuntimeFlags.Interruption),
      fiberRefs: parent.getFiberRefs()
    })
  }

  // --------------------------------------------------------------------------------------------- in the fiber of the call

  begin(): void {
    this.want(undefined)
  }

  isOver(): boolean {
    return this.exit !== undefined
  }

  wait(): Effect.Effect<void> {
    return Wait.forOthers((resume) => {
      this.wake = () => resume(Effect.void)
      if (this.isOver()) this.wake()
    })
  }

  /** What comes back, when all that the race has started is gone. */
  end(hold?: (dispose: Body<never>) => void): Body {
    const { exit = Exit.void, winner } = this
    const { disposeResult } = this.plan
    if (disposeResult !== undefined && Exit.isSuccess(exit)) {
      hold?.(Effect.suspend(() => disposeResult(exit.value)))
    }
    const fiber = winner?.fiber
    const inherits = fiber !== undefined && hasSetRefs(fiber)
    return this.afterAll(inherits ? Effect.zipRight(this.inherit(fiber), exit) : exit)
  }

  private inherit(fiber: AnyFiber): Effect.Effect<void> {
    const { currentScheduler } = this.parent
    // The attempt's own scheduler ends with it.
    return this.plan.disposeResult === undefined
      ? fiber.inheritAll
      : Effect.zipRight(fiber.inheritAll, FiberRef.set(FiberRef.currentScheduler, currentScheduler))
  }

  /** The caller was interrupted, and with it all that runs. */
  abandon(cause: Cause.Cause<never>): Body {
    const interrupted = Exit.failCause(cause)
    // The race may have ended at the same moment, with a result that no caller gets.
    if (this.exit !== undefined) this.dispose(this.exit)
    else this.settle(undefined, interrupted)
    this.exit = interrupted
    for (const helper of this.helpers) helper.unsafeInterruptAsFork(this.parent.id())
    const withAll = () => this.attempts.reduce((sum, { fiber }) => withDefects(sum, fiber), cause)
    return this.afterAll(Effect.failCauseSync(withAll))
  }

  private afterAll(result: Body): Body {
    if (this.plan.disconnect) return this.over(result)
    const fibers = [...this.attempts.map((attempt) => attempt.fiber), ...this.helpers, ...this.disposals]
    const pending = fibers.filter((fiber): fiber is AnyFiber => fiber?.unsafePoll() === null)
    if (pending.length === 0) return this.over(result)
    // A loser that ends with a result adds its disposal.
    return Effect.flatMap(Fiber.awaitAll(pending), () => this.afterAll(result))
  }

  private over(result: Body): Body {
    this.called?.ended(this.exit ?? Exit.void)
    return result
  }

  // -------------------------------------------------------------------------------------------------- in the observers

  /** Has the next attempt start now, if there may be one. */
  private want(failure: Failure | undefined): void {
    this.wanted = { failure }
    if (this.starting) return
    this.starting = true
    try {
      this.startAll()
    } catch (defect) {
      this.settle(undefined, Exit.die(defect))
    }
    this.starting = false
    if (this.running === 0 && this.lastFailed !== undefined) {
      this.settle(this.lastFailed.attempt, this.lastFailed.exit)
    }
  }

  /** A loop, and not a recursion: attempts can end at once, and there is no limit on how many of them do. */
  private startAll(): void {
    for (let next = this.wanted; next !== undefined; next = this.wanted) {
      this.wanted = undefined
      this.stopTimer()
      if (this.isOver() || this.left === 0) return
      if (this.attempts.length > 0 && !this.pay(next.failure)) {
        this.left = 0
        return
      }
      this.left -= 1
      this.start(next.failure)
      if (this.wanted === undefined && !this.isOver() && this.left > 0) this.setTimer()
    }
  }

  private pay(failure: Failure | undefined): boolean {
    if (this.call === undefined) return true
    const { granted, told } = this.call.withdraw("hedge", failure)
    if (granted) this.call.begun()
    if (told !== undefined) this.helpers.push(this.fork(told))
    return granted
  }

  private start(failure: Failure | undefined): void {
    const now = this.now()
    const { currentScheduler } = this.parent
    const attempt: Attempt = {
      number: this.attempts.length + 1,
      startedAt: now,
      fiber: undefined,
      interrupter: this.plan.disposeResult && new Interrupter(currentScheduler),
      broken: false,
      shown: undefined
    }
    this.attempts.push(attempt)
    this.running += 1
    const body = inherited(this.parent, this.bodyOf(attempt, now - this.startedAt, failure))
    attempt.fiber = this.forkAttempt(attempt, body)
    attempt.fiber.addObserver((exit) => this.ended(attempt, exit))
  }

  private bodyOf(attempt: Attempt, elapsed: number, failure: Failure | undefined): Body {
    const { attempt: attemptOf, told } = this.plan
    // Elsewhere the whole fiber is interruptible.
    const within = attempt.interrupter === undefined ? identity : Effect.interruptible
    const self = attemptOf(within(this.self), attempt.number, elapsed, this.parent)
    const heard = attempt.number === 1 ? undefined : told(attempt.number, elapsed, failure)
    if (heard === undefined) return this.begun(attempt, elapsed, self)
    return Effect.matchCauseEffect(within(heard), {
      onFailure: (cause) => {
        attempt.broken = true
        return Effect.failCause(cause)
      },
      onSuccess: () => this.begun(attempt, elapsed, self)
    })
  }

  private begun(attempt: Attempt, elapsed: number, self: Body): Body {
    attempt.startedAt = this.now()
    const shown = this.called?.attempt(attempt.number, elapsed)
    attempt.shown = shown?.ended
    return shown === undefined ? self : shown.around(self)
  }

  private ended(attempt: Attempt, exit: AnyExit): void {
    if (this.isOver()) {
      attempt.shown?.(exit)
      return this.dispose(exit)
    }
    this.running -= 1
    if (attempt.broken) return this.settle(attempt, exit)
    const now = this.now()
    const duration = now - attempt.startedAt
    try {
      const verdict = this.plan.condition.judge(exit)
      attempt.shown?.(exit, verdict)
      if (verdict._tag !== "Failure") {
        if (verdict._tag === "Success") {
          this.plan.delay.answered(duration, now)
          this.call?.succeeded()
        }
        return this.settle(attempt, exit)
      }
      this.plan.delay.unanswered(duration, now)
      this.call?.failed()
      if (this.lastFailed !== undefined) this.dispose(this.lastFailed.exit)
      this.lastFailed = { attempt, exit }
      if (this.plan.startsNext?.(verdict.failed) === false) this.left = 0
      this.want(verdict.failed)
    } catch (defect) {
      attempt.shown?.(exit)
      if (this.lastFailed?.attempt !== attempt) this.dispose(exit)
      this.settle(undefined, Exit.die(defect))
    }
  }

  /** The race is over: this is its exit, and the attempts that still run have lost. */
  private settle(winner: Attempt | undefined, exit: AnyExit): void {
    if (this.isOver()) return
    this.exit = exit
    this.winner = winner
    this.stopTimer()
    if (this.lastFailed !== undefined && this.lastFailed.attempt !== winner)
      this.dispose(this.lastFailed.exit)
    const now = this.now()
    for (const { fiber, interrupter, startedAt } of this.attempts) {
      if (fiber === undefined || fiber.unsafePoll() !== null) continue
      this.plan.delay.unanswered(now - startedAt, now)
      if (interrupter === undefined) fiber.unsafeInterruptAsFork(this.parent.id())
      else interrupter.interrupt(fiber, this.parent.id())
    }
    this.wake()
  }

  // -------------------------------------------------------------------------------------------------------------- timer

  private setTimer(): void {
    const delay = this.plan.delay.next(this.now())
    if (delay === Infinity) return
    if (typeof delay === "number" && delay <= 0) return this.want(undefined)
    // An observer is found by the fiber that runs, and a timer of the host has none.
    const isHosted = this.clock === Time.liveClock && this.called === undefined
    if (typeof delay === "number" && delay <= Time.maxTimerMillis && isHosted) {
      this.callOff = Time.setTimer(() => this.want(undefined), Math.ceil(delay))
      return
    }
    const pause = typeof delay === "number" ? Time.sleep(Math.ceil(delay)) : Effect.flatMap(delay, Time.sleep)
    const timer = (this.timer = this.fork(pause))
    timer.addObserver((exit) => {
      if (this.timer !== timer) return
      this.timer = undefined
      if (Exit.isSuccess(exit)) this.want(undefined)
      else this.settle(undefined, exit)
    })
  }

  private stopTimer(): void {
    const { timer } = this
    this.callOff?.()
    this.timer = this.callOff = undefined
    if (timer === undefined || timer.unsafePoll() !== null) return
    timer.unsafeInterruptAsFork(this.parent.id())
    // A computed delay may have finalizers; a sleep has nothing to wait for.
    if (this.plan.delay.isComputed) this.helpers.push(timer)
  }

  // ---------------------------------------------------------------------------------------------------------- disposal

  /** Gives back what a result holds that does not come back. */
  private dispose(exit: AnyExit): void {
    const { disposeResult } = this.plan
    if (disposeResult === undefined || Exit.isFailure(exit)) return
    const disposal = Effect.suspend(() => disposeResult(exit.value))
    this.disposals.push(this.fork(disposal, this.uninterruptible()))
  }

  // -------------------------------------------------------------------------------------------------------------- fibers

  /** Where its result may have to be disposed of, nothing but the attempt itself is interruptible: see {@link Interrupter}. */
  private forkAttempt({ interrupter }: Attempt, self: Body): AnyFiber {
    return interrupter === undefined ? this.fork(self) : this.fork(self, this.uninterruptible(), interrupter)
  }

  private uninterruptible(): Runtime.Runtime<unknown> {
    return Runtime.disableRuntimeFlag(this.runtime, RuntimeFlags.Interruption)
  }

  private fork(self: Body, runtime = this.runtime, scheduler?: Interrupter): AnyFiber {
    return startIn(runtime, self, scheduler && { scheduler })
  }

  private now(): number {
    return Time.monotonicMillis(this.clock)
  }
}

/** Whether a fiber has set a `FiberRef`, except for those that are its own: then there is something to inherit. */
const hasSetRefs = (fiber: AnyFiber): boolean => {
  const id = fiber.id()
  for (const [ref, [[setBy]]] of fiber.getFiberRefs().locals) {
    if (setBy === id && !ownRefs.has(ref)) return true
  }
  return false
}

const ownRefs = /*#__PURE__*/ new Set<unknown>([
  FiberRef.currentContext,
  FiberRef.currentRuntimeFlags,
  FiberRef.currentScheduler
])

/** The cause with the defects of a fiber that has ended. */
const withDefects = (cause: Cause.Cause<never>, fiber: AnyFiber | undefined): Cause.Cause<never> => {
  const exit = fiber?.unsafePoll()
  if (exit === null || exit === undefined || Exit.isSuccess(exit)) return cause
  return Option.match(Cause.keepDefects(exit.cause), {
    onNone: () => cause,
    onSome: (defects) => Cause.sequential(cause, defects)
  })
}
