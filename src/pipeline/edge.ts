/**
 * Policies around a function that returns a promise. They begin and end as in a frame, without a fiber as long as all can decide at
 * once. Anything else runs in a fiber, and the policies further out see its exit here.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import type * as Runtime from "effect/Runtime"
import type { AnyExit, AnyFiber, Body } from "../internal/erased.js"
import { startIn } from "../internal/fork.js"
import * as Time from "../internal/time.js"
import * as Wait from "../internal/wait.js"
import { type Begun, type Edge, isBegun, type Part, partOf, passing } from "../policy/frame.js"
import { observerIn } from "../policy/events.js"
import { type Apply, begin, following, Inner, piped } from "./compose.js"

/** What a run of the function is given. */
interface Call {
  readonly signal: AbortSignal
}

export type Run = (call: Call, ...args: ReadonlyArray<unknown>) => unknown

/** What all calls of a program share: its services, and what its clock allows. */
export class Home {
  readonly currentDefaultServices: Context.Context<DefaultServices.DefaultServices>
  /** Whether anything can be decided without a fiber. A clock that is not the live one moves by fibers, and an observer sees them. */
  readonly isDirect: boolean

  constructor(readonly runtime: Runtime.Runtime<unknown>) {
    this.currentDefaultServices = this.getFiberRef(DefaultServices.currentServices)
    this.isDirect = Time.clockOf(this) === Time.liveClock && observerIn(runtime.context) === undefined
  }

  getFiberRef<A>(ref: FiberRef.FiberRef<A>): A {
    return FiberRefs.getOrDefault(this.runtime.fiberRefs, ref)
  }
}

/** One run of the function. Its signal is made when the function reads it. */
class Attempt implements Call {
  private controller: AbortController | undefined
  private aborted: { readonly reason: unknown } | undefined

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.aborted !== undefined) this.controller.abort(this.aborted.reason)
    }
    return this.controller.signal
  }

  abort(reason: unknown): void {
    this.aborted = { reason }
    this.controller?.abort(reason)
  }
}

/** A function and the policies around it. */
export class Protected {
  readonly policies: ReadonlyArray<Apply>
  readonly parts: ReadonlyArray<Part | undefined>
  /** Whether a policy may stop the function. */
  readonly stops: boolean

  constructor(
    policies: ReadonlyArray<Apply>,
    readonly run: Run
  ) {
    // An instance knows a call inside of its own by the fiber.
    const instances = policies.flatMap((policy) => partOf(policy)?.instance ?? [])
    const isRepeated = new Set(instances).size < instances.length
    this.policies = isRepeated ? [(self) => piped(policies, self)] : policies
    this.parts = this.policies.map(partOf)
    this.stops = this.parts.some((part) => part?.stops === true)
  }
}

/** A call of a guarded function, from its beginning until its promise is settled. */
export class EdgeCall implements Edge {
  private readonly begun: Array<Begun>
  /** What runs now: the function, or an effect in a fiber. */
  private attempt: Attempt | undefined
  private fiber: AnyFiber | undefined
  /** The policy that has stopped the calls further in. Until it sees the exit, policies that hold nothing are skipped. */
  private stoppedBy = -1
  /** How it has ended, or where to report that. */
  private exit: AnyExit | undefined
  private settle: ((exit: AnyExit) => void) | undefined

  constructor(
    private readonly home: Home,
    private readonly of: Protected,
    private readonly args: ReadonlyArray<unknown>,
    private readonly signal: AbortSignal | undefined
  ) {
    this.begun = new Array<Begun>(of.parts.length)
  }

  // Read as of a fiber.
  get currentContext(): Context.Context<never> {
    return this.home.runtime.context
  }

  get currentDefaultServices(): Context.Context<DefaultServices.DefaultServices> {
    return this.home.currentDefaultServices
  }

  getFiberRef<A>(ref: FiberRef.FiberRef<A>): A {
    return this.home.getFiberRef(ref)
  }

  promise(): Promise<unknown> {
    const { signal } = this
    if (signal === undefined) return this.begin() ?? this.later()
    if (signal.aborted) return Promise.reject(signal.reason)
    const leave = onAbort(signal, () => this.stopAt(this.of.parts.length, signal.reason))
    return (this.begin() ?? this.later()).finally(leave)
  }

  /** Begins, and returns the promise of the function if nothing but its end is waited for. */
  private begin(): Promise<unknown> | undefined {
    const { home, of } = this
    const { parts } = of
    if (!home.isDirect) return void this.fork(this.below(parts.length), parts.length)
    for (let position = parts.length - 1; position >= 0; position--) {
      const part = parts[position]
      const begun = part && begin(part, this, Time.liveClock, new Inner(this, position))
      if (begun === undefined) return void this.fork(this.below(position + 1), position + 1)
      if (!isBegun(begun)) return void this.follow(begun, position + 1)
      this.begun[position] = begun
    }
    const attempt = new Attempt()
    if (this.signal === undefined && !of.stops) {
      return runOnce(of.run, attempt, this.args).then(
        (value) => this.passedOn(Exit.succeed(value)),
        (error) => this.passedOn(Exit.fail(error))
      )
    }
    this.attempt = attempt
    const ended = (exit: AnyExit): void => {
      if (this.attempt !== attempt) return
      this.attempt = undefined
      this.ended(exit, 0)
    }
    runOnce(of.run, attempt, this.args).then(
      (value) => ended(Exit.succeed(value)),
      (error) => ended(Exit.fail(error))
    )
  }

  private follow(next: Body, from: number): void {
    if (Exit.isExit(next)) this.ended(next, from)
    else this.fork(next, from)
  }

  private fork(self: Body, from: number): void {
    if (this.stoppedBy >= from) return this.ended(Exit.interrupt(FiberId.none), from)
    const fiber: AnyFiber = startIn(this.home.runtime, self)
    this.fiber = fiber
    // It starts at once, and what it runs may abort the call.
    if (this.stoppedBy >= from) fiber.unsafeInterruptAsFork(FiberId.none)
    fiber.addObserver((exit) => {
      this.fiber = undefined
      this.ended(exit, from)
    })
  }

  /** Shows an exit to the policies from a position on. `undefined` when what follows runs in a fiber. */
  private shown(exit: AnyExit, from: number): AnyExit | undefined {
    const { parts } = this.of
    let seen = exit
    for (let position = from; position < parts.length; position++) {
      const begun = this.begun[position]
      const part = parts[position]
      if (begun === passing || part === undefined) continue
      if (position === this.stoppedBy) this.stoppedBy = -1
      else if (position < this.stoppedBy && part.holds === undefined) continue
      if (seen._tag === "Success" && !part.looksAtResults) continue
      const next = following(begun, seen)
      if (!Exit.isExit(next)) return void this.fork(next, position + 1)
      seen = next
    }
    return seen
  }

  private ended(exit: AnyExit, from: number): void {
    const last = this.shown(exit, from)
    if (last === undefined) return
    this.exit = last
    this.settle?.(last)
  }

  private passedOn(exit: AnyExit): unknown {
    const last = this.shown(exit, 0)
    return last === undefined ? this.later() : this.result(last)
  }

  private later(): Promise<unknown> {
    return new Promise<AnyExit>((resolve) => {
      if (this.exit === undefined) this.settle = resolve
      else resolve(this.exit)
    }).then((exit) => this.result(exit))
  }

  private result(exit: AnyExit): unknown {
    if (this.stoppedBy >= this.of.parts.length) throw this.signal?.reason
    if (Exit.isSuccess(exit)) return exit.value
    throw rejectionOf(exit.cause)
  }

  stop(begun: Begun): void {
    this.stopAt(this.begun.indexOf(begun), undefined)
  }

  /** Interrupts what runs, for the policy at a position or for the caller. */
  private stopAt(position: number, reason: unknown): void {
    if (this.exit !== undefined) return
    this.stoppedBy = Math.max(this.stoppedBy, position)
    const { attempt, fiber } = this
    if (fiber !== undefined) fiber.unsafeInterruptAsFork(FiberId.none)
    if (attempt === undefined) return
    this.attempt = undefined
    attempt.abort(reason)
    this.ended(Exit.interrupt(FiberId.none), 0)
  }

  /** The function with the policies below a position, as an effect. */
  below(position: number): Body {
    const self: Body = Effect.suspend(() => {
      const attempt = new Attempt()
      return Effect.onInterrupt(
        Wait.forOthers<unknown, unknown>(
          (resume) =>
            void runOnce(this.of.run, attempt, this.args).then(
              (value) => resume(Exit.succeed(value)),
              (error) => resume(Exit.fail(error))
            )
        ),
        () => Effect.sync(() => attempt.abort(this.signal?.reason))
      )
    })
    // A policy that throws when it is applied fails the call, and those further out see it.
    return Effect.suspend(() => piped(this.of.policies.slice(0, position), self))
  }
}

/** The calls that end with a signal. They share one listener, since Node warns of more than ten. */
class Ending {
  private readonly stops = new Set<() => void>()

  constructor(private readonly signal: AbortSignal) {}

  add(stop: () => void): void {
    if (this.stops.size === 0) this.signal.addEventListener("abort", this.all, { once: true })
    this.stops.add(stop)
  }

  remove(stop: () => void): void {
    if (this.stops.delete(stop) && this.stops.size === 0) this.signal.removeEventListener("abort", this.all)
  }

  private readonly all = (): void => {
    for (const stop of this.stops) stop()
    this.stops.clear()
  }
}

const endings = /*#__PURE__*/ new WeakMap<AbortSignal, Ending>()

/** Calls a function when a signal is aborted. Returns a function that removes it. */
export const onAbort = (signal: AbortSignal, stop: () => void): (() => void) => {
  let ending = endings.get(signal)
  if (ending === undefined) endings.set(signal, (ending = new Ending(signal)))
  ending.add(stop)
  return () => ending.remove(stop)
}

/** Runs the function. An error that it throws is a rejection too. */
const runOnce = (run: Run, attempt: Attempt, args: ReadonlyArray<unknown>): Promise<unknown> => {
  try {
    return Promise.resolve(run(attempt, ...args))
  } catch (error) {
    return Promise.reject(error)
  }
}

/** What a promise is rejected with: the error or the defect itself, and for an interruption an `AbortError`. */
export const rejectionOf = (cause: Cause.Cause<unknown>): unknown => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) return failure.value
  const defect = Cause.dieOption(cause)
  return Option.isSome(defect) ? defect.value : new DOMException("The call was interrupted", "AbortError")
}
