/**
 * Policies around a function that returns a promise. They begin and end as in a frame, in the steps of the promise, and no fiber
 * is started as long as all of them can decide at once. What takes more than that runs in a fiber, and the policies further out
 * see its exit here.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Runtime from "effect/Runtime"
import type { AnyExit, AnyFiber, Body } from "../internal/erased.js"
import { startIn } from "../internal/fork.js"
import * as Time from "../internal/time.js"
import * as Wait from "../internal/wait.js"
import { type Around, type Begun, type Edge, isBegun, partOf, passing } from "../policy/frame.js"
import { type Apply, following, piped } from "./compose.js"

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
    this.isDirect =
      Time.clockOf(this) === Time.liveClock && !runtime.context.unsafeMap.has("effect-resilience/Observer")
  }

  getFiberRef<A>(ref: FiberRef.FiberRef<A>): A {
    return FiberRefs.getOrDefault(this.runtime.fiberRefs, ref)
  }
}

/** One run of the function. Its signal is made when it is looked at: most functions that answer in time never do. */
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

/** What the policy at a position is around, made when it is needed. */
class Below implements Around {
  constructor(
    private readonly call: EdgeCall,
    private readonly position: number
  ) {}

  get self(): Body {
    return this.call.below(this.position)
  }
}

/** A call of a guarded function, from its beginning until its promise is settled. */
export class EdgeCall implements Edge {
  private readonly begun: Array<Begun>
  /** What runs now: the function, or an effect in a fiber. */
  private attempt: Attempt | undefined
  private fiber: AnyFiber | undefined
  /** The policy that has ended what is further in. Until it sees the exit, those that hold nothing are passed over. */
  private stoppedBy = -1
  private resolve: (value: unknown) => void = () => {}
  private reject: (error: unknown) => void = () => {}
  private readonly onAbort = (): void => this.stopAt(this.policies.length, this.signal?.reason)

  constructor(
    private readonly home: Home,
    private readonly policies: ReadonlyArray<Apply>,
    private readonly run: Run,
    private readonly args: ReadonlyArray<unknown>,
    private readonly signal: AbortSignal | undefined
  ) {
    this.begun = new Array<Begun>(policies.length)
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
    return new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
      const { signal } = this
      if (signal?.aborted === true) return reject(signal.reason)
      signal?.addEventListener("abort", this.onAbort)
      this.begin()
    })
  }

  // ------------------------------------------------------------------------------------------------------------- steps

  private begin(): void {
    const { home, policies } = this
    if (!home.isDirect) return this.fork(this.below(policies.length), policies.length)
    const clock = Time.liveClock
    for (let position = policies.length - 1; position >= 0; position--) {
      const begun = this.beginAt(position, clock)
      if (begun === undefined) return this.fork(this.below(position + 1), position + 1)
      if (!isBegun(begun)) return this.follow(begun, position + 1)
      this.begun[position] = begun
    }
    this.start()
  }

  /** A part that throws here throws again in the fiber, where those further out see it. */
  private beginAt(position: number, clock: typeof Time.liveClock): Begun | Body | undefined {
    try {
      return partOf(this.policies[position])?.begin(this, clock, new Below(this, position), identity)
    } catch {
      return undefined
    }
  }

  /** Runs the function itself. */
  private start(): void {
    const attempt = (this.attempt = new Attempt())
    const ended = (exit: AnyExit): void => {
      if (this.attempt !== attempt) return
      this.attempt = undefined
      this.ended(exit, 0)
    }
    runOnce(this.run, attempt, this.args, ended)
  }

  private follow(next: Body, from: number): void {
    if (Exit.isExit(next)) this.ended(next, from)
    else this.fork(next, from)
  }

  private fork(self: Body, from: number): void {
    const fiber: Fiber.RuntimeFiber<unknown, unknown> = startIn(this.home.runtime, self)
    this.fiber = fiber
    fiber.addObserver((exit) => {
      this.fiber = undefined
      this.ended(exit, from)
    })
  }

  /** Shows an exit to the policies from a position on. */
  private ended(exit: AnyExit, from: number): void {
    let seen = exit
    for (let position = from; position < this.policies.length; position++) {
      const begun = this.begun[position]
      const part = partOf(this.policies[position])
      if (begun === passing || part === undefined) continue
      if (position === this.stoppedBy) this.stoppedBy = -1
      else if (position < this.stoppedBy && part.holds === undefined) continue
      if (seen._tag === "Success" && !part.looksAtResults) continue
      const next = following(begun, seen)
      if (!Exit.isExit(next)) return this.fork(next, position + 1)
      seen = next
    }
    this.settle(seen)
  }

  private settle(exit: AnyExit): void {
    const { signal } = this
    signal?.removeEventListener("abort", this.onAbort)
    if (this.stoppedBy >= this.policies.length) this.reject(signal?.reason)
    else if (Exit.isSuccess(exit)) this.resolve(exit.value)
    else this.reject(rejectionOf(exit.cause))
  }

  // ---------------------------------------------------------------------------------------------------------- stopping

  stop(begun: Begun): void {
    this.stopAt(this.begun.indexOf(begun), undefined)
  }

  /** Interrupts what runs, for the policy at a position or for the caller. */
  private stopAt(position: number, reason: unknown): void {
    this.stoppedBy = Math.max(this.stoppedBy, position)
    const { attempt, fiber } = this
    if (fiber !== undefined) fiber.unsafeInterruptAsFork(FiberId.none)
    if (attempt === undefined) return
    this.attempt = undefined
    attempt.abort(reason)
    this.ended(Exit.interrupt(FiberId.none), 0)
  }

  // ------------------------------------------------------------------------------------------------------------ effects

  /** The function with the policies below a position, as an effect. */
  below(position: number): Body {
    const self: Body = Effect.suspend(() => {
      const attempt = new Attempt()
      return Effect.onInterrupt(
        Wait.forOthers<unknown, unknown>((resume) => runOnce(this.run, attempt, this.args, resume)),
        () => Effect.sync(() => attempt.abort(this.signal?.reason))
      )
    })
    return piped(this.policies.slice(0, position), self)
  }
}

const runOnce = (
  run: Run,
  attempt: Attempt,
  args: ReadonlyArray<unknown>,
  ended: (exit: AnyExit) => void
): void => {
  let result: unknown
  try {
    result = run(attempt, ...args)
  } catch (error) {
    return ended(Exit.fail(error))
  }
  Promise.resolve(result).then(
    (value) => ended(Exit.succeed(value)),
    (error: unknown) => ended(Exit.fail(error))
  )
}

/** What a promise is rejected with: the error itself, a defect as it is, and for an interruption what an abort gives. */
export const rejectionOf = (cause: Cause.Cause<unknown>): unknown => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) return failure.value
  const defect = Cause.dieOption(cause)
  return Option.isSome(defect) ? defect.value : new DOMException("The call was interrupted", "AbortError")
}
