/**
 * The circuit breaker bound to Effect: the clock is read, the rule in `core/circuit` is stepped once, the effect runs
 * outside of that step, and its exit becomes the next step.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as CircuitBreaker from "./CircuitBreaker.js"
import * as Circuit from "../core/circuit.js"
import { type Caller, InvalidOption } from "../core/options.js"
import * as Trip from "../core/trip.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { Events, type Tags } from "../policy/events.js"
import type * as Policy from "../policy/Policy.js"
import { withoutSpan } from "../internal/context.js"
import { leavableOf, Leaving } from "../internal/fiber.js"
import * as Condition from "../policy/condition.js"
import { runtimeMillis } from "../internal/duration.js"
import {
  type Alone,
  type Around,
  type Begun,
  type Caller as Calling,
  isFiber,
  type Guard,
  guarding,
  passing,
  policyOf
} from "../policy/frame.js"
import { Inside, insideOf } from "../internal/inside.js"
import type { Member } from "../policy/keyed.js"
import { after, both, notifyShared, type Told } from "../internal/listeners.js"
import { withoutStack } from "../policy/define.js"
import { isOwnRejection, rejectedBy } from "../policy/rejectedBy.js"
import * as Stateful from "../policy/stateful.js"
import * as Time from "../internal/time.js"
import { quoted } from "../internal/quoted.js"
import { CircuitOpen } from "./circuitOpen.js"
import { type Configured, configure, constructorName, given, kind, reconfigure } from "./options.js"
import { fromSnapshot, metricsOf, toSnapshot } from "./snapshot.js"
import type { Link, Shareable } from "./sharing.js"
import type { AnyExit, AnyFiber, Body, Restore } from "../internal/erased.js"

export const TypeId: CircuitBreaker.TypeId = Symbol.for(
  "effect-resilience/CircuitBreaker"
) as CircuitBreaker.TypeId

/** A permit as the breaker knows it. It is returned once; a second outcome is not counted. */
class HeldPermit implements CircuitBreaker.Permit {
  constructor(
    readonly owner: Breaker,
    readonly permit: Circuit.Permit,
    public returned = false
  ) {}

  get name(): string {
    return this.owner.name
  }

  get probe(): boolean {
    return this.permit.probe !== undefined
  }
}

/** Shows the observer a call that is gone without a trace. When the call has left it, it may watch the next one. */
class Watch extends Leaving {
  isOver = false
  startedAt = NaN
  clock: Clock.Clock = Time.liveClock

  constructor(private readonly guard: BreakerGuard) {
    super()
  }

  protected left(): void {
    const { guard } = this
    if (!this.isOver) guard.breaker.uncountedBy(true, this.startedAt, this.clock)
    guard.idleWatch = this
  }
}

/** A call that is only counted, and that gives nothing back. When it is over it may be used for the next one. */
class Counted extends Inside implements Begun, Circuit.Permit {
  generation = 0
  startedAt = NaN
  clock: Clock.Clock = Time.liveClock
  watch: Watch | undefined

  constructor(private readonly guard: BreakerGuard) {
    super(guard.breaker)
  }

  get probe(): undefined {
    return undefined
  }

  ended(exit: AnyExit): Body {
    const { guard } = this
    const isFree = this.leave()
    if (this.watch !== undefined) this.watch.isOver = true
    const next = guard.breaker.settleCounted(guard.judge, this, exit)
    if (isFree) guard.idle = this
    return next
  }
}

/** What a breaker does at the calls of one condition. */
class BreakerGuard implements Guard {
  readonly looksAtResults = true
  idle: Counted | undefined
  idleWatch: Watch | undefined

  constructor(
    readonly breaker: Breaker,
    readonly judge: Judge
  ) {}

  get instance(): Breaker {
    return this.breaker
  }

  begin(caller: Calling, clock: Clock.Clock, _: Around, restore: Restore): Begun | Body | undefined {
    return this.breaker.enter(this, caller, clock, restore)
  }

  otherwise(alone: Alone, fiber: AnyFiber, clock: Clock.Clock): Body {
    return this.breaker.run(this.judge, alone, fiber, clock)
  }
}

/** A call that may be a probe, for calls of the same breaker that it makes. */
interface Probing {
  readonly owner: Breaker
  readonly permit: Circuit.Permit
  readonly outer: Probing | undefined
  over: boolean
}

/** The probes that a fiber is inside of. Forked fibers inherit them, or a probe would reject the calls that it makes in parallel. */
const probing: FiberRef.FiberRef<Probing | undefined> = /*#__PURE__*/ FiberRef.unsafeMake<
  Probing | undefined
>(undefined, { join: (parent) => parent })

/** The outcome of a call with what a listener or `openFor` may want to know about it. */
interface Observed {
  readonly failed: boolean
  readonly failure: FailureCondition.Failed<unknown, unknown> | undefined
  readonly retryAfter: number | undefined
}

const succeeded: Observed = { failed: false, failure: undefined, retryAfter: undefined }

/** What an exit means to a breaker. What the breaker did itself is always ignored. */
const observe = (breaker: Breaker, judge: Judge, exit: AnyExit): Condition.Verdict => {
  const verdict = judge(exit)
  return verdict._tag === "Failure" && isOwnRejection(breaker, exit) ? { _tag: "Ignored" } : verdict
}

const observed = (verdict: FailureCondition.Success | Condition.FailureVerdict): Observed =>
  verdict._tag === "Success"
    ? succeeded
    : { failed: true, failure: verdict.failed, retryAfter: verdict.retryAfterMillis }

type Judge = Condition.Judge<unknown, unknown>

/** Makes a breaker. What its schedule and its listeners require is in the types of the public constructors. */
export const make = (
  options: CircuitBreaker.Options<unknown>,
  defaultName: string,
  caller?: Caller,
  family?: object
): Effect.Effect<Breaker> => {
  const made: Effect.Effect<Breaker, never, unknown> = Effect.gen(function* () {
    const configured = configure(options, defaultName, caller)
    const clock = yield* Effect.clock
    const context = withoutSpan(yield* Effect.context<never>())
    yield* configured.openFor.prepare(configured.name, clock)
    const now = Time.monotonicMillis(clock)
    const { initial } = options
    const circuit =
      initial === undefined
        ? Circuit.initial(configured.config, now)
        : fromSnapshot(configured.config, initial, now, Time.wallMillis(clock))
    const { name } = configured
    const onStateChange = ofChange(name, options)
    const listeners = onStateChange === undefined ? options : { ...options, onStateChange }
    const events = new Events({ kind, name }, tags, listeners, context)
    const { rejected, rejectedInState } = initial ?? { rejected: 0, rejectedInState: 0 }
    const before = rejected - rejectedInState
    const breaker = new Breaker(configured, options, context, family, events, circuit, rejected, before)
    if (options.share !== undefined) yield* breaker.shareBy(options.share, caller)
    events.belongTo(breaker)
    return breaker
  })
  return made as Effect.Effect<Breaker>
}

const tags: Tags<CircuitBreaker.Event, CircuitBreaker.StateChange> = {
  Success: "heard",
  Failure: "heard",
  StateChange: "followed",
  Rejected: "heard",
  Configured: "heard",
  Admitted: "observed",
  Ignored: "observed",
  Interrupted: "observed"
}

/** Notifies the listener of the new state, and then that of every change. */
const ofChange = (
  name: string,
  { onClose, onHalfOpen, onOpen, onStateChange }: CircuitBreaker.Listeners
): CircuitBreaker.Listeners["onStateChange"] => {
  if ((onClose ?? onHalfOpen ?? onOpen ?? onStateChange) === undefined) return undefined
  const to: { readonly [State in CircuitBreaker.State]?: typeof onStateChange } = {
    closed: onClose,
    "half-open": onHalfOpen,
    open: onOpen
  }
  return (change) =>
    Effect.zipRight(notifyShared(name, to[change.to], change), notifyShared(name, onStateChange, change))
}

/** The last rejection, and what it depends on. */
interface Rejected {
  readonly state: CircuitOpen["state"]
  readonly millis: number | undefined
  readonly error: CircuitOpen
  readonly failure: Effect.Effect<never, CircuitOpen>
}

export class Breaker implements CircuitBreaker.CircuitBreaker, Member<CircuitBreaker.Snapshot>, Shareable {
  readonly [TypeId]: CircuitBreaker.TypeId = TypeId
  get [Stateful.Kind](): Stateful.Kind {
    return definition
  }
  readonly kind = kind
  readonly name: string
  readonly [guarding] = new BreakerGuard(this, byDefault)
  private protection: Policy.Policy<CircuitOpen> | undefined
  private lastRejection: Rejected | undefined
  /** Whether a listener or an observer wants to know how a call ended. */
  private readonly telling: boolean
  /** The observer, if it alone wants to know of successes. */
  private readonly succeeding: Events<CircuitBreaker.Event>["observer"]
  /** Whether it matters how long a call took. */
  private timed = false
  /** Whether it matters when a call ended. */
  private clocked = false
  /** What ties it to the breakers of its name in other processes, if it is shared. */
  private link: Link | undefined

  constructor(
    private configured: Configured,
    private options: CircuitBreaker.Options<unknown>,
    private readonly context: Context.Context<unknown>,
    private readonly family: object | undefined,
    private readonly events: Events<CircuitBreaker.Event, CircuitBreaker.StateChange>,
    public circuit: Circuit.Circuit,
    /** Calls rejected. Not part of the circuit, so that a rejection changes no decision. */
    private rejected: number,
    /** How many had been rejected when the state began. */
    private rejectedBefore: number
  ) {
    this.name = configured.name
    const { Failure, Success } = events.emit
    this.telling = (Failure ?? Success) !== undefined
    this.succeeding = options.onSuccess === undefined ? events.observer : undefined
    this.look(configured.config)
  }

  get settings(): Policy.Settings {
    const { settings } = this.configured
    return this.link === undefined ? settings : { ...settings, share: this.link.settings }
  }

  get config(): Circuit.Config {
    return this.configured.config
  }

  get protect(): Policy.Policy<CircuitOpen> {
    return (this.protection ??= policyOf<Policy.Policy<CircuitOpen>>(this, this[guarding]))
  }

  get protectWhen() {
    return <A, E>(condition: FailureCondition.FailureCondition<A, E>): CircuitBreaker.ProtectFor<A, E> => {
      Condition.check("CircuitBreaker.protectWhen", "condition", condition)
      const { judge } = Condition.compile(condition, silence)
      return policyOf(this, new BreakerGuard(this, judge as Judge))
    }
  }

  // ---------------------------------------------------------------------------------------------------------- a call

  /** Admits a call, or rejects it, as long as the state stays as it is by it: there is nothing to give back or to mask. */
  enter(
    guard: BreakerGuard,
    caller: Calling,
    clock: Clock.Clock,
    restore: Restore
  ): Begun | Body | undefined {
    if (this.configured.openFor.stale) return undefined
    if (this.link?.before !== undefined) return this.isProbing(caller) ? passing : undefined
    switch (this.circuit.state) {
      case "disabled":
        return passing
      case "closed":
      case "metrics-only":
        if (this.isCounting(caller)) return passing
        return this.events.observer === undefined
          ? this.counted(guard, caller, clock)
          : this.watched(guard, caller, clock, restore)
      default: {
        if (this.isProbing(caller)) return passing
        const now = Time.monotonicMillis(clock)
        return this.isShut(now) ? this.reject(now) : undefined
      }
    }
  }

  private counted(guard: BreakerGuard, caller: Calling, clock: Clock.Clock): Counted {
    const call = guard.idle ?? new Counted(guard)
    guard.idle = undefined
    if (isFiber(caller)) call.enter(caller)
    call.generation = this.circuit.generation
    call.clock = clock
    // A call that began before its time mattered is not slow by a rule that came later.
    call.startedAt = this.timed ? Time.monotonicMillis(clock) : NaN
    return call
  }

  /** The same in front of an observer, where it can be seen that the call was interrupted. */
  private watched(
    guard: BreakerGuard,
    caller: Calling,
    clock: Clock.Clock,
    restore: Restore
  ): Begun | undefined {
    if (this.isProbing(caller)) return passing
    const fiber = isFiber(caller) && restore === identity ? leavableOf(caller) : undefined
    if (fiber === undefined) return undefined
    const call = this.counted(guard, caller, clock)
    const watch = (call.watch = guard.idleWatch ?? new Watch(guard))
    guard.idleWatch = undefined
    watch.isOver = false
    watch.startedAt = call.startedAt
    watch.clock = clock
    this.events.observer?.unsafeObserve({ _tag: "Admitted", kind, name: this.name, probe: false })
    fiber.pushStack(watch)
    return call
  }

  /** Shows a call to the observer that ends and is not counted. */
  uncountedBy(isInterrupted: boolean, startedAt: number, clock: Clock.Clock): void {
    const _tag = isInterrupted ? "Interrupted" : "Ignored"
    const { observer } = this.events
    if (observer === undefined) return
    observer.unsafeObserve({
      _tag,
      kind,
      name: this.name,
      duration: Duration.millis(Time.monotonicMillis(clock) - startedAt)
    })
  }

  /** A call for which the open times have to be worked out first, or that may be a probe. */
  run(judge: Judge, alone: Alone, fiber: AnyFiber, clock: Clock.Clock): Body {
    if (this.configured.openFor.stale) return Effect.flatMap(this.prepare(clock), () => alone.enter(fiber))
    const before = this.link?.before
    if (before === undefined) return this.runMasked(judge, alone.self, clock, fiber)
    return Effect.flatMap(before, (met): Body => {
      if (met === "uncounted") return alone.self
      return met === "open" ? this.rejectUnasked() : this.runMasked(judge, alone.self, clock, fiber)
    })
  }

  /** Whether a fiber is inside a call that will be counted, of which the calls that it makes are a part. */
  private isCounting(caller: Calling): boolean {
    const call = insideOf(caller)?.find(this)
    return call instanceof Counted && call.generation === this.circuit.generation && !call.isLost
  }

  /** The same while the circuit is half-open. */
  private isProbing(caller: Calling): boolean {
    for (let probe = caller.getFiberRef(probing); probe !== undefined; probe = probe.outer) {
      if (probe.owner === this && !probe.over) return Circuit.holds(this.circuit, probe.permit)
    }
    return false
  }

  /** Whether a call is rejected without a change of state, so that there is nothing to release or to mask. */
  private isShut(now: number): boolean {
    const circuit = this.circuit
    return circuit.state === "isolated" || (circuit.state === "open" && now < circuit.until)
  }

  /** Counts how a call ended that held nothing. In a closed circuit that is one step in place. */
  settleCounted(judge: Judge, call: Counted, exit: AnyExit): Body {
    let verdict: Condition.Verdict | undefined
    try {
      verdict = observe(this, judge, exit)
    } finally {
      if (verdict === undefined || verdict._tag === "Ignored")
        this.uncountedBy(Condition.isInterruption(exit), call.startedAt, call.clock)
    }
    if (verdict._tag === "Ignored") return exit
    const { circuit } = this
    if (circuit.state !== "closed" || circuit.generation !== call.generation) {
      return after(this.count(call, observed(verdict), call.clock), exit)
    }
    const failed = verdict._tag === "Failure"
    const now = this.clocked ? Time.monotonicMillis(call.clock) : 0
    const duration = this.timed ? now - call.startedAt : 0
    const isMet = Circuit.countInPlace(circuit, failed, duration, now)
    if (this.link !== undefined && (failed || this.timed)) this.share(this.link, failed, duration)
    if (!isMet && !this.telling) return exit
    const told = this.tell(observed(verdict), duration)
    if (!isMet) return after(told, exit)
    const result = { ...observed(verdict), duration }
    const at = this.clocked ? now : Time.monotonicMillis(call.clock)
    return after(both(told, this.commit(Circuit.open(this.configured.config, circuit, result, at))), exit)
  }

  /** A call that may be a probe, masked from its admission to the return of its permit. */
  private runMasked(judge: Judge, self: Body, clock: Clock.Clock, fiber: AnyFiber): Body {
    return Effect.uninterruptibleMask((restore) =>
      this.admit(clock, restore, (permit): Body => {
        if (permit === undefined) return restore(this.reject(Time.monotonicMillis(clock)))
        const uninterruptible = permit.probe !== undefined && this.configured.uninterruptible
        const outer = fiber.getFiberRef(probing)
        const probe: Probing = { owner: this, permit, outer, over: false }
        const body = Effect.zipRight(
          FiberRef.set(probing, probe),
          Effect.exit(uninterruptible ? self : restore(self))
        )
        return Effect.flatMap(body, (exit) => {
          probe.over = true
          const settled = this.settle(judge, permit, exit, clock, restore)
          return Effect.zipRight(FiberRef.set(probing, outer), settled)
        })
      })
    )
  }

  /** Records how a call ended and returns its permit. The store that has the last word is asked after the call's own listeners. */
  private settle(
    judge: Judge,
    permit: Circuit.Permit,
    exit: AnyExit,
    clock: Clock.Clock,
    restore: Restore
  ): Body {
    let verdict: Condition.Verdict
    try {
      verdict = observe(this, judge, exit)
    } catch (defect) {
      // A condition that throws is a bug to show, but not a reason to keep the permit.
      const told = both(this.giveBack(permit, clock, exit), this.link?.after)
      return after(told && restore(told), Effect.die(defect))
    }
    const counted =
      verdict._tag === "Ignored"
        ? this.giveBack(permit, clock, exit)
        : this.count(permit, observed(verdict), clock)
    const told = both(counted, this.link?.after)
    return after(told && restore(told), exit)
  }

  /** Rejects a call, in the step that decided so: the error carries the state of that moment. */
  private reject(now: number): Effect.Effect<never, CircuitOpen> {
    const { state } = this.circuit
    const remaining = Circuit.retryAfter(this.circuit, now)
    // Rounded up, so that a caller that waits for this long is not a fraction too early.
    const millis = remaining === undefined ? undefined : Math.ceil(remaining)
    return this.rejectAs(state === "half-open" || state === "isolated" ? state : "open", millis)
  }

  /** Rejects a call because the store does not answer, and it is not known for how long. */
  private rejectUnasked(): Effect.Effect<never, CircuitOpen> {
    return this.rejectAs("open", undefined)
  }

  private rejectAs(
    state: CircuitOpen["state"],
    millis: number | undefined
  ): Effect.Effect<never, CircuitOpen> {
    this.rejected += 1
    const { error, failure } = this.rejection(state, millis)
    return after(this.events.emit.Rejected?.({ state, retryAfter: error.retryAfter, error }), failure)
  }

  /** The error is most of the cost of a rejection, so an open circuit makes at most one per millisecond. */
  private rejection(state: CircuitOpen["state"], millis: number | undefined): Rejected {
    if (this.lastRejection?.state !== state || this.lastRejection.millis !== millis) {
      const retryAfter = millis === undefined ? undefined : Duration.millis(millis)
      const error = rejectedBy(
        this,
        withoutStack(() => new CircuitOpen({ name: this.name, state, retryAfter }))
      )
      this.lastRejection = { state, millis, error, failure: Exit.fail(error) }
    }
    return this.lastRejection
  }

  // --------------------------------------------------------------------------------------------------------- one step

  /** Admits a call, or rejects it. Listeners first learn of the changes that are due, so their time is not the probe's. */
  private admit<A, E, R>(
    clock: Clock.Clock,
    restore: Restore,
    then: (permit: Circuit.Permit | undefined) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const { config } = this.configured
      const now = Time.monotonicMillis(clock)
      const told = this.commit(Circuit.settle(config, this.circuit, now))
      if (told !== undefined) return Effect.zipRight(restore(told), this.admit(clock, restore, then))
      if (this.circuit.state === "half-open" && this.link?.admits(now) === false) return then(undefined)
      const { circuit, permit } = Circuit.acquire(config, this.circuit, now)
      this.circuit = circuit
      if (permit?.probe !== undefined) this.link?.began(permit, now)
      if (permit !== undefined) {
        const probe = permit.probe !== undefined
        this.events.observer?.unsafeObserve({ _tag: "Admitted", kind, name: this.name, probe })
      }
      return then(permit)
    })
  }

  /** Records the outcome of a call and releases its permit. */
  private count(permit: Circuit.Permit, observed: Observed, clock: Clock.Clock): Told {
    const now = Time.monotonicMillis(clock)
    const duration = this.timed ? now - permit.startedAt : 0
    const { config } = this.configured
    const mayOpen = this.link?.mayOpen !== false
    const step = Circuit.record(config, this.circuit, permit, { ...observed, duration }, now, mayOpen)
    const { link } = this
    if (link !== undefined && permit.probe !== undefined) {
      const isFailure = observed.failed || this.isSlow(duration)
      link.ended(permit, !step.counted ? "returned" : isFailure ? "failure" : "success")
    } else if (link !== undefined && step.counted) this.share(link, observed.failed, duration)
    const changed = this.commit(step)
    if (step.counted) return both(this.tell(observed, duration), changed)
    this.uncountedBy(false, permit.startedAt, clock)
    return changed
  }

  private tell({ failed, failure }: Observed, duration: number): Told {
    // Nearly all calls end like this. The event has no other receiver then, so it is not put together from parts.
    if (this.succeeding !== undefined && !failed) {
      const event = { _tag: "Success", kind, name: this.name, duration: Duration.millis(duration) } as const
      this.succeeding.unsafeObserve(event)
      return undefined
    }
    const { Failure, Success } = this.events.emit
    return failed
      ? Failure?.({ duration: Duration.millis(duration), failure })
      : Success?.({ duration: Duration.millis(duration) })
  }

  /** Releases the permit of a call whose outcome is ignored. */
  private giveBack(permit: Circuit.Permit, clock: Clock.Clock, exit?: AnyExit): Told {
    this.uncountedBy(exit !== undefined && Condition.isInterruption(exit), permit.startedAt, clock)
    if (permit.probe !== undefined) this.link?.ended(permit, "returned")
    return this.commit(
      Circuit.release(this.configured.config, this.circuit, permit, Time.monotonicMillis(clock))
    )
  }

  /** Applies a step and emits its changes of state. */
  private commit(
    { circuit, transitions }: Circuit.Step,
    by: "calls" | "hand" | "fleet" = "calls",
    operation?: CircuitBreaker.Operation
  ): Told {
    this.circuit = circuit
    let told: Told
    for (const transition of transitions) {
      this.link?.changed(transition, by)
      told = both(told, this.changed(transition, operation))
    }
    return told
  }

  private changed(
    { from, met, reason, to }: Circuit.Transition,
    operation: CircuitBreaker.Operation | undefined
  ): Told {
    const rejected = this.rejected - this.rejectedBefore
    this.rejectedBefore = this.rejected
    let warned: Told
    if (to.state === "open") {
      this.configured.openFor.used(to.reopenings - 1)
      if ("problem" in to) {
        const warning = `"openFor" of ${quoted(this.name)} gave no duration, so the default is used`
        warned = Effect.logWarning(warning, to.problem)
      }
    }
    if (from.state === to.state) return warned
    const { StateChange } = this.events.emit
    if (StateChange === undefined) return warned
    const metrics = metricsOf(from, to.since, rejected)
    const told = StateChange({
      from: from.state,
      to: to.state,
      reason,
      rule: reason === "tripped" ? metrics.rules.find((rule) => rule.met) : met,
      operation: reason === "steered" ? operation : undefined,
      metrics,
      openFor: to.state === "open" ? Duration.millis(to.openedFor) : undefined
    })
    return both(warned, told)
  }

  /** Runs a step with the clock of the fiber, after the open times have been worked out where an opening used one. */
  private prepared<A, E, R>(
    step: (clock: Clock.Clock, fiber: AnyFiber) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    return Effect.withFiberRuntime((fiber) => {
      const clock = Time.clockOf(fiber)
      return this.configured.openFor.stale
        ? Effect.flatMap(this.prepare(clock), () => step(clock, fiber))
        : step(clock, fiber)
    })
  }

  /** Works out the open times, of which an opening used one. */
  private prepare(clock: Clock.Clock): Effect.Effect<void> {
    return Effect.provide(this.configured.openFor.prepare(this.name, clock), this.context)
  }

  // ------------------------------------------------------------------------------------------------------ without a call

  get acquire(): Effect.Effect<CircuitBreaker.Permit, CircuitOpen, Scope.Scope> {
    return Effect.suspend(() =>
      this.prepared((clock, fiber) => {
        if (this.isCounting(fiber) || this.isProbing(fiber)) return Effect.succeed(this.uncounted)
        const before = this.link?.before
        if (before === undefined) return this.take(clock)
        return Effect.flatMap(
          before,
          (met): Effect.Effect<CircuitBreaker.Permit, CircuitOpen, Scope.Scope> => {
            if (met === "uncounted") return Effect.succeed(this.uncounted)
            return met === "open" ? this.rejectUnasked() : this.take(clock)
          }
        )
      })
    )
  }

  /** A permit of a call that counts for nothing. */
  private get uncounted(): CircuitBreaker.Permit {
    const { generation } = this.circuit
    return new HeldPermit(this, { generation, probe: undefined, startedAt: 0 }, true)
  }

  private take(clock: Clock.Clock): Effect.Effect<CircuitBreaker.Permit, CircuitOpen, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      this.admit(clock, restore, (permit): Effect.Effect<CircuitBreaker.Permit, CircuitOpen, Scope.Scope> => {
        if (permit === undefined) return restore(this.reject(Time.monotonicMillis(clock)))
        const held = new HeldPermit(this, permit)
        return Effect.as(
          Effect.addFinalizer(() => this.record(held, Condition.ignored)),
          held
        )
      })
    )
  }

  get record() {
    return (held: CircuitBreaker.Permit, outcome: FailureCondition.Outcome): Effect.Effect<void> =>
      this.prepared((clock) => {
        if (!(held instanceof HeldPermit && this.isAkinTo(held.owner))) {
          const expected = `a permit that this "${this.name}" granted`
          return Effect.die(new InvalidOption("CircuitBreaker.record", "permit", held.name, expected))
        }
        // The breaker of a key may have been evicted while a call had its permit.
        if (held.owner !== this) return held.owner.record(held, outcome)
        if (held.returned) return Effect.void
        held.returned = true
        if (outcome._tag === "Ignored") return this.giveBack(held.permit, clock) ?? Effect.void
        if (outcome._tag === "Success") return this.shared(this.count(held.permit, succeeded, clock))
        const retryAfter = outcome.retryAfter && runtimeMillis(outcome.retryAfter)
        return this.shared(this.count(held.permit, { failed: true, failure: undefined, retryAfter }, clock))
      })
  }

  private isAkinTo(other: Breaker): boolean {
    return other === this || (this.family !== undefined && this.family === other.family)
  }

  // ----------------------------------------------------------------------------------------------------------- reading

  /** The circuit as it is now. Reading changes nothing: the next call takes the steps that are due. */
  private read<A>(read: (circuit: Circuit.Circuit, now: number, clock: Clock.Clock) => A): Effect.Effect<A> {
    return Effect.map(Effect.clock, (clock) => {
      const now = Time.monotonicMillis(clock)
      return read(Circuit.settle(this.configured.config, this.circuit, now).circuit, now, clock)
    })
  }

  get state(): Effect.Effect<CircuitBreaker.State> {
    return this.read(({ state }) => state)
  }

  get remainingDelay(): Effect.Effect<Duration.Duration> {
    return this.read((circuit, now) => Duration.millis(Math.ceil(Circuit.retryAfter(circuit, now) ?? 0)))
  }

  get snapshot(): Effect.Effect<CircuitBreaker.Snapshot> {
    return this.read((circuit, now, clock) => {
      const { configured, name, rejected } = this
      // A change that is due and was not made yet begins without rejections.
      const isLate = circuit.generation !== this.circuit.generation
      const rejectedInState = isLate ? 0 : rejected - this.rejectedBefore
      const counts = { rejected, rejectedInState }
      return toSnapshot(name, configured.config, circuit, counts, now, Time.wallMillis(clock))
    })
  }

  get changes(): Stream.Stream<CircuitBreaker.StateChange> {
    return this.events.stream
  }

  /** Every state except closed rejects calls or was entered by hand. */
  isProtecting(now: number): boolean {
    return Circuit.settle(this.configured.config, this.circuit, now).circuit.state !== "closed"
  }

  /** A failure among the calls that its rules look at. */
  hasEvidence(now: number): boolean {
    return Circuit.hasEvidence(this.circuit, now)
  }

  // ---------------------------------------------------------------------------------------------------------- steering

  /** A step by hand, from the states in which it applies, after the steps that are due. */
  private steer(
    operation: CircuitBreaker.Operation,
    step: (config: Circuit.Config, circuit: Circuit.Circuit, now: number) => Circuit.Step,
    from?: ReadonlyArray<CircuitBreaker.State>
  ): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.prepared((clock): Effect.Effect<void> => {
        const { config, openFor } = this.configured
        const now = Time.monotonicMillis(clock)
        const told = this.commit(Circuit.settle(config, this.circuit, now))
        // Settling may have used up an open time, and the step may need the next one.
        if (told !== undefined || openFor.stale)
          return Effect.zipRight(told ?? Effect.void, this.steer(operation, step, from))
        if (from !== undefined && !from.includes(this.circuit.state)) return Effect.void
        return this.shared(this.commit(step(config, this.circuit, now), "hand", operation))
      })
    )
  }

  private to(
    state: CircuitBreaker.State,
    operation: CircuitBreaker.Operation,
    from?: ReadonlyArray<CircuitBreaker.State>
  ): Effect.Effect<void> {
    return this.steer(operation, (config, circuit, now) => Circuit.steer(config, circuit, state, now), from)
  }

  get open(): Effect.Effect<void> {
    return this.to("open", "open")
  }

  get close(): Effect.Effect<void> {
    return this.to("closed", "close")
  }

  get halfOpen(): Effect.Effect<void> {
    return this.to("half-open", "halfOpen")
  }

  get isolate(): Effect.Effect<void> {
    return this.to("isolated", "isolate")
  }

  get release(): Effect.Effect<void> {
    return this.to("closed", "release", ["isolated"])
  }

  get disable(): Effect.Effect<void> {
    return this.to("disabled", "disable")
  }

  get metricsOnly(): Effect.Effect<void> {
    return this.to("metrics-only", "metricsOnly")
  }

  get enable(): Effect.Effect<void> {
    return this.to("closed", "enable", ["disabled", "metrics-only"])
  }

  get reset(): Effect.Effect<void> {
    return this.steer("reset", (config, circuit, now) => {
      this.rejected = 0
      this.rejectedBefore = 0
      return Circuit.reset(config, circuit, now)
    })
  }

  get configure() {
    return (given: CircuitBreaker.Reconfiguration): Effect.Effect<void> =>
      Effect.suspend(() => {
        const { configured } = reconfigure(this.options, given, this.name)
        this.link?.check(configured.config, given, "CircuitBreaker.configure")
        return this.shared(this.change(given, "hand"))
      })
  }

  private change(given: CircuitBreaker.Reconfiguration, by: "hand" | "fleet"): Effect.Effect<void> {
    return this.prepared((clock) => {
      const now = Time.monotonicMillis(clock)
      const told = this.commit(Circuit.settle(this.configured.config, this.circuit, now))
      const changed = this.changeTo(given, now)
      if (by === "hand") this.link?.configured(given)
      return both(told, changed) ?? Effect.void
    })
  }

  private changeTo(given: CircuitBreaker.Reconfiguration, now: number): Told {
    const from = this.settings
    const { configured, options } = reconfigure(this.options, given, this.name)
    // A schedule continues unless a new one is given.
    const isSame = given.openFor === undefined && given.maxOpenFor === undefined
    this.configured = isSame ? configured.withOpenFor(this.configured.openFor) : configured
    this.options = options
    const { config } = this.configured
    this.circuit = Circuit.configure(config, this.circuit, now)
    this.look(config)
    return this.events.emit.Configured?.({ from, to: this.settings })
  }

  // ------------------------------------------------------------------------------------------------------- in a fleet

  /** Ties it to the breakers of its name in other processes. */
  shareBy(
    share: NonNullable<CircuitBreaker.Options<unknown>["share"]>,
    caller?: Caller
  ): Effect.Effect<void, never, unknown> {
    return Effect.map(share(this), (link) => {
      link.check(this.config, undefined, caller?.policy ?? constructorName)
      // The error of a store that does not answer stands in the types of the public constructors.
      this.link = link as Link
    })
  }

  /** Tells of a call that was counted. What succeeds in time is read off the circuit. */
  private share(link: Link, failed: boolean, duration: number): void {
    const isSlow = this.isSlow(duration)
    if (failed || isSlow) link.counted(isSlow)
  }

  private isSlow(duration: number): boolean {
    return Trip.isSlow(this.config.trip, duration)
  }

  /** Something by hand, and the store knows of it where calls wait for the store. */
  private shared(done: Told): Effect.Effect<void> {
    return both(done, this.link?.after) ?? Effect.void
  }

  follow(step: Circuit.Step): Told {
    const told = this.commit(step, "fleet")
    if (!this.configured.openFor.stale) return told
    // No call of this process may come before it has to open again.
    return both(
      Effect.flatMap(Effect.clock, (clock) => this.prepare(clock)),
      told
    )
  }

  followSettings(given: CircuitBreaker.Reconfiguration): Effect.Effect<void> {
    return Effect.suspend(() => {
      reconfigure(this.options, given, this.name)
      return this.change(given, "fleet")
    })
  }

  private look({ trip }: Circuit.Config): void {
    this.timed = this.telling || Trip.isSlow(trip, Infinity)
    this.clocked = this.timed || Trip.looksAtTime(trip)
  }
}

/** The defaults for outcomes that a condition does not mention. */
const silence: Condition.Defaults = { defect: true, ignore: Condition.isOwnStall }

const byDefault: Judge = Condition.compile<unknown, unknown>(undefined, silence).judge

// --------------------------------------------------------------------------------------------------------- definition

interface Family extends Stateful.KeyedFamily {
  readonly module: "CircuitBreaker"
  readonly operations: CircuitBreaker.Operations<this["needed"]>
  readonly service: CircuitBreaker.Service<this["needed"]>
  readonly keyed: CircuitBreaker.KeyedOperations<this["needed"]>
  readonly keyedService: CircuitBreaker.KeyedService<this["needed"]>
  readonly instance: CircuitBreaker.CircuitBreaker
  readonly options: CircuitBreaker.Options<unknown>
  readonly settings: CircuitBreaker.Settings
  readonly given: CircuitBreaker.Given<unknown>
  readonly snapshot: CircuitBreaker.Snapshot
}

const definition: Stateful.KeyedDefinition<Family> = {
  module: "CircuitBreaker",
  kind,
  make,
  check: configure,
  given,
  defaults: {},
  members: {
    protect: "policy",
    protectWhen: Stateful.condition("CircuitBreaker"),
    state: "effect",
    remainingDelay: "effect",
    snapshot: "effect",
    changes: "stream",
    acquire: "effect",
    record: "call",
    open: "effect",
    close: "effect",
    halfOpen: "effect",
    isolate: "effect",
    release: "effect",
    disable: "effect",
    metricsOnly: "effect",
    enable: "effect",
    reset: "effect",
    configure: "call"
  },
  takesPart: "passing",
  status: ({ state }) => state,
  actions: ["isolate", "release", "open", "close", "reset"],
  byKey: (at) => ({
    protect: (key) => at(key).protect,
    protectWhen: (key) => at(key).protectWhen
  })
}

export const breakers = /*#__PURE__*/ Stateful.defineKeyed(definition)
