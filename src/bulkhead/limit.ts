/** The bulkhead bound to Effect: one step takes permits, the effect runs outside that step, and its exit releases them. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Bulkhead from "./Bulkhead.js"
import * as Held from "../core/held.js"
import { type Caller, integer } from "../core/options.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { Events, type Tags } from "../policy/events.js"
import {
  type Alone,
  type Around,
  type Begun,
  type Caller as Calling,
  type Guard,
  isFiber,
  policyOf,
  seenBy
} from "../policy/frame.js"
import type * as Policy from "../policy/Policy.js"
import * as Beside from "../internal/beside.js"
import * as Condition from "../policy/condition.js"
import { withoutSpan } from "../internal/context.js"
import { Inside, inMask, insideOf } from "../internal/inside.js"
import type { Member } from "../policy/keyed.js"
import { after, both, type Told } from "../internal/listeners.js"
import { PermitQueue, type Watch } from "./queue.js"
import { withoutStack } from "../policy/define.js"
import { isOwnRejection, rejectedBy } from "../policy/rejectedBy.js"
import * as Stateful from "../policy/stateful.js"
import * as Time from "../internal/time.js"
import { BulkheadFull } from "./bulkheadFull.js"
import { type Configured, configure, listeners } from "./options.js"
import type { AnyExit, AnyFiber, Body, Restore } from "../internal/erased.js"

export const TypeId: Bulkhead.TypeId = Symbol.for("effect-resilience/Bulkhead") as Bulkhead.TypeId

export const kind = "bulkhead"

type Judge = Condition.Judge<unknown, unknown>

const checkRequest = (permits: number): number => integer("Bulkhead.withPermits", "permits", permits, 1)

/** Makes a bulkhead. What its listeners require is in the types of the public constructors. */
export const make = (options: Bulkhead.Options, defaultName: string, caller?: Caller): Effect.Effect<Limit> =>
  Effect.gen(function* () {
    const configured = configure(options, defaultName, caller)
    const context = withoutSpan(yield* Effect.context<never>())
    const events = new Events({ kind, name: configured.name }, tags, options, context)
    const limit = new Limit(configured, events)
    events.belongTo(limit)
    return limit
  })

const tags: Tags<Bulkhead.Event, Bulkhead.Resized> = {
  Queued: "heard",
  Admitted: "heard",
  Rejected: "heard",
  Success: "heard",
  Failure: "heard",
  Resized: "followed",
  Dequeued: "observed",
  Acquired: "observed",
  Ignored: "observed",
  Interrupted: "observed",
  Released: "observed"
}

/** A call, and when its permits were taken. */
class Call implements Begun {
  /** The call while it runs, for calls of the same bulkhead that it makes. */
  inside: Running | undefined
  startedAt = 0
  /** What listeners have not done yet when the call begins. */
  rest: Beside.Rest | undefined

  constructor(
    private readonly limit: Limit,
    readonly permits: number,
    readonly judge: Judge,
    readonly restore: Restore,
    readonly caller: Calling,
    /** Present when the call is measured. */
    public clock: Clock.Clock | undefined,
    /** What listeners run with. Absent without listeners. */
    readonly listening: RuntimeFlags.RuntimeFlags | undefined
  ) {}

  ended(exit: AnyExit): Body {
    return this.limit.ended(this, exit)
  }
}

/** What a bulkhead does at the calls of one condition that take so many permits. */
class BulkheadGuard implements Guard {
  readonly looksAtResults = true

  constructor(
    private readonly limit: Limit,
    private readonly permits: number,
    private readonly judge: Judge
  ) {}

  get instance(): Limit {
    return this.limit
  }

  holds(fiber: AnyFiber): boolean {
    return this.limit.isFree(fiber, this.permits)
  }

  begin(caller: Calling, clock: Clock.Clock, _: Around, restore: Restore): Begun | Body | undefined {
    return this.limit.enter(this.permits, this.judge, caller, clock, restore)
  }

  otherwise({ self }: Alone, fiber: AnyFiber, clock: Clock.Clock, restore: Restore): Body {
    return this.limit.run(this.permits, this.judge, self, fiber, clock, restore)
  }
}

/** A call that runs. Calls inside of it run with its permits, which come back when the last of them has ended. */
class Running extends Inside {
  /** How many calls inside of this one have not ended. In another fiber, one may outlive it. */
  sharers = 0

  constructor(
    owner: Limit,
    fiber: AnyFiber,
    readonly permits: number,
    /** The call whose permits it runs with, when it has none. */
    readonly lender?: Running
  ) {
    super(owner)
    this.enter(fiber)
  }
}

const now = ({ clock }: Call): number => (clock === undefined ? 0 : Time.monotonicMillis(clock))

const begin = ({ caller, listening }: Call, told: Told): Beside.Rest | undefined =>
  listening === undefined || !isFiber(caller) ? undefined : Beside.begin(caller, listening, told)

const since = (call: Call): Duration.Duration => Duration.millis(now(call) - call.startedAt)

export class Limit implements Bulkhead.Bulkhead, Member<Bulkhead.Snapshot> {
  readonly [TypeId]: Bulkhead.TypeId = TypeId
  get [Stateful.Kind](): Stateful.Kind {
    return definition
  }
  readonly kind = kind
  readonly name: string
  readonly settings: Policy.Settings
  private readonly queue: PermitQueue
  /** Whether a call needs its fiber, to start listeners alongside it. */
  private readonly listening: boolean
  private protection: Policy.Policy<BulkheadFull> | undefined
  private rejected = 0
  private lastRejection: BulkheadFull | undefined
  /** How long calls hold their permits, and after how many more calls that is measured again. */
  private held: number | undefined
  private unmeasured = 0
  private successes = 0
  private failures = 0

  constructor(
    private readonly configured: Configured,
    private readonly events: Events<Bulkhead.Event, Bulkhead.Resized>
  ) {
    this.name = configured.name
    this.settings = configured.settings
    const { name } = this
    const { observer } = events
    const watch: Watch | undefined =
      observer &&
      ((_tag, permits, reason) =>
        observer.unsafeObserve({ _tag, kind, name, permits, reason } as Bulkhead.Event))
    this.queue = new PermitQueue(configured.permits, configured.maxQueued, watch)
    const { Admitted, Failure, Queued, Success } = events.emit
    this.listening = (Admitted ?? Failure ?? Queued ?? Success) !== undefined
  }

  get protect(): Policy.Policy<BulkheadFull> {
    return (this.protection ??= this.policy(1, this.settings))
  }

  get protectWhen() {
    return <A, E>(condition: FailureCondition.FailureCondition<A, E>): Bulkhead.ProtectFor<A, E> => {
      Condition.check("Bulkhead.protectWhen", "condition", condition)
      const { judge } = Condition.compile(condition, { defect: true })
      return policyOf(this, new BulkheadGuard(this, 1, judge as Judge))
    }
  }

  get withPermits() {
    return (permits: number): Policy.Policy<BulkheadFull> =>
      this.policy(checkRequest(permits), { ...this.settings, takes: permits })
  }

  private policy(permits: number, settings: Policy.Settings): Policy.Policy<BulkheadFull> {
    return policyOf({ kind, name: this.name, settings }, new BulkheadGuard(this, permits, byDefault))
  }

  // ---------------------------------------------------------------------------------------------------------- a call

  /** Whether a call would get its permits at once and has no listeners to notify. */
  isFree(caller: Calling, permits: number): boolean {
    return !this.listening && this.queue.isFree(permits) && this.lender(caller) === undefined
  }

  /** Takes the permits of a call, when they are free. */
  enter(
    permits: number,
    judge: Judge,
    caller: Calling,
    clock: Clock.Clock,
    restore: Restore
  ): Begun | Body | undefined {
    if (this.listening || this.lender(caller) !== undefined) return undefined
    const call = new Call(this, permits, judge, restore, caller, undefined, undefined)
    if (this.queue.tryTake(permits)) return this.running(call, clock)
    return this.queue.isFull(permits) ? this.reject(call, "full") : undefined
  }

  /** A call that has its permits from one around it, waits for them, is told of, or is rejected. To be run in a mask. */
  run(
    permits: number,
    judge: Judge,
    self: Body,
    fiber: AnyFiber,
    clock: Clock.Clock,
    restore: Restore
  ): Body {
    return this.calling(permits, judge, fiber, clock, restore, (call) => {
      // It has its permits already: waiting for others while it holds these could last for ever.
      const lender = this.lender(fiber)
      if (lender !== undefined) return this.runWith(lender, call, self)
      return this.admit(call, (calledAt) => seenBy(restore(self), this.running(call, clock, calledAt), true))
    })
  }

  /** The call that took the permits with which another one runs that is inside of it. */
  private lender(caller: Calling): Running | undefined {
    const around = insideOf(caller)?.find(this)
    return around instanceof Running ? (around.lender ?? around) : undefined
  }

  private runWith(lender: Running, { caller, restore }: Call, self: Body): Body {
    lender.sharers += 1
    const inside = isFiber(caller) ? new Running(this, caller, 0, lender) : undefined
    const ended = (exit: AnyExit): Body => {
      inside?.leave()
      this.returnTo(lender)
      return exit
    }
    return seenBy(restore(self), { ended }, true)
  }

  /** A call that ran with the permits of another one has ended. */
  private returnTo(lender: Running): void {
    lender.sharers -= 1
    if (lender.over && lender.sharers === 0) this.queue.give(lender.permits)
  }

  ended(call: Call, exit: AnyExit): Body {
    call.inside?.leave()
    const settled = this.settle(call, exit)
    const told = both(Beside.finish(call.rest, call.restore), settled && call.restore(settled))
    return told === undefined ? exit : after(told, exit)
  }

  /** Makes a call, which knows how to start listeners where there are any. */
  private calling<A, E, R>(
    permits: number,
    judge: Judge,
    fiber: AnyFiber,
    clock: Clock.Clock,
    restore: Restore,
    use: (call: Call) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    if (!this.listening) return use(new Call(this, permits, judge, restore, fiber, undefined, undefined))
    return Effect.withFiberRuntime((_, { runtimeFlags }) =>
      use(new Call(this, permits, judge, restore, fiber, clock, runtimeFlags))
    )
  }

  /** Acquires the permits of a call, at once or after a wait, or rejects it. */
  private admit<A, E, R>(
    call: Call,
    use: (calledAt?: number) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | BulkheadFull, R> {
    const { permits } = call
    const calledAt = now(call)
    if (this.queue.tryTake(permits)) return use()
    const { Queued } = this.events.emit
    const waiter = this.queue.enter(permits, Queued === undefined)
    if (waiter === undefined) return this.reject(call, "full")
    const rest = begin(call, Queued?.({ permits, queued: this.queue.queued }))
    if (rest === undefined) this.queue.ready(waiter)
    return Effect.flatMap(
      this.queue.wait(waiter, this.configured.maxWait, rest),
      (waited): Effect.Effect<A, E | BulkheadFull, R> =>
        waited === "granted" ? use(calledAt) : this.reject(call, waited)
    )
  }

  /** A call that is about to run, and that calls of the same bulkhead inside of it find. */
  private running(call: Call, clock: Clock.Clock, calledAt?: number): Call {
    if (isFiber(call.caller)) call.inside = new Running(this, call.caller, call.permits)
    return this.admitted(call, clock, calledAt)
  }

  /** A call that has its permits. One in so many reads the clock to measure it. Listeners run while the call runs. */
  private admitted(call: Call, clock: Clock.Clock, calledAt?: number): Call {
    if (this.unmeasured-- <= 0) {
      this.unmeasured = measuredOneIn - 1
      call.clock ??= clock
    }
    call.startedAt = now(call)
    const { permits, startedAt } = call
    const waited = Duration.millis(calledAt === undefined ? 0 : startedAt - calledAt)
    call.rest = begin(call, this.events.emit.Admitted?.({ permits, waited }))
    return call
  }

  private reject(call: Call, reason: BulkheadFull["reason"]): Effect.Effect<never, BulkheadFull> {
    this.rejected += 1
    this.unmeasured = 0
    return this.held === undefined || this.configured.retryAfterJitter === 0
      ? this.rejectAfter(call, reason, 0)
      : Effect.flatMap(Random.next, (draw) => this.rejectAfter(call, reason, draw))
  }

  private rejectAfter(
    { permits: requested, restore }: Call,
    reason: BulkheadFull["reason"],
    draw: number
  ): Effect.Effect<never, BulkheadFull> {
    const error = this.rejection(reason, requested, this.retryAfter(requested, draw))
    const { permits, queued, retryAfter } = error
    const told = this.events.emit.Rejected?.({ permits, queued, reason, requested, retryAfter, error })
    return after(told && restore(told), Exit.fail(error))
  }

  /** In milliseconds. */
  private retryAfter(requested: number, draw: number): number | undefined {
    const { permits, wanted } = this.queue
    if (this.held === undefined || requested > permits) return undefined
    return Held.wait(this.held, wanted + requested, permits, this.configured.retryAfterJitter, draw)
  }

  /** The error is most of the cost of a rejection, so equal rejections share one. */
  private rejection(
    reason: BulkheadFull["reason"],
    requested: number,
    millis: number | undefined
  ): BulkheadFull {
    const { permits, queued } = this.queue
    const last = this.lastRejection
    if (
      last !== undefined &&
      last.reason === reason &&
      last.requested === requested &&
      last.permits === permits &&
      last.queued === queued &&
      (last.retryAfter && Duration.toMillis(last.retryAfter)) === millis
    ) {
      return last
    }
    const { name, retryAfterJitter: jitter } = this.configured
    const retryAfter = millis === undefined ? undefined : Duration.millis(millis)
    return (this.lastRejection = rejectedBy(
      this,
      withoutStack(() => new BulkheadFull({ name, reason, permits, requested, queued, retryAfter, jitter }))
    ))
  }

  /** Releases the permits of a call before its listeners run, whatever the condition does, and counts its outcome. */
  private settle(call: Call, exit: AnyExit): Told {
    if (call.clock !== undefined) this.held = Held.mean(this.held, now(call) - call.startedAt)
    if (call.inside === undefined || call.inside.sharers === 0) this.queue.give(call.permits)
    let verdict: Condition.Verdict | undefined
    try {
      verdict = call.judge(exit)
    } finally {
      if (verdict === undefined) this.uncounted(call, exit)
    }
    const { Failure, Success } = this.events.emit
    if (verdict._tag === "Success") {
      this.successes += 1
      return Success?.({ duration: since(call) })
    }
    if (verdict._tag === "Ignored" || isOwnRejection(this, exit)) return this.uncounted(call, exit)
    this.failures += 1
    return Failure?.({ duration: since(call), failure: verdict.failed })
  }

  /** Shows the observer a call that ended and counts for nothing. */
  private uncounted(call: Call, exit: AnyExit): undefined {
    const { events, name } = this
    events.observer?.unsafeObserve({
      _tag: Condition.isInterruption(exit) ? "Interrupted" : "Ignored",
      kind,
      name,
      duration: since(call)
    })
  }

  // ------------------------------------------------------------------------------------------------------ without a call

  get acquire(): Effect.Effect<void, BulkheadFull, Scope.Scope> {
    return inMask((restore, fiber) => {
      const clock = Time.clockOf(fiber)
      return this.calling(1, byDefault, fiber, clock, restore, (call) => {
        const lender = this.lender(fiber)
        if (lender !== undefined) {
          lender.sharers += 1
          return Effect.addFinalizer(() => Effect.sync(() => this.returnTo(lender)))
        }
        return this.admit(call, (calledAt) => {
          const { rest } = this.admitted(call, clock, calledAt)
          return Effect.addFinalizer((exit) => {
            const told = this.settle(call, exit)
            return both(rest && Effect.asVoid(Fiber.interrupt(rest)), told) ?? Effect.void
          })
        })
      })
    })
  }

  get resize() {
    return (permits: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        integer("Bulkhead.resize", "permits", permits, 0)
        const from = this.queue.permits
        if (permits === from) return Effect.void
        this.queue.resize(permits)
        return this.events.emit.Resized?.({ from, to: permits }) ?? Effect.void
      })
  }

  /** Permits are held, or calls wait for them. */
  isProtecting(): boolean {
    return this.queue.inUse > 0 || this.queue.queued > 0
  }

  get changes(): Stream.Stream<Bulkhead.Resized> {
    return this.events.stream
  }

  get snapshot(): Effect.Effect<Bulkhead.Snapshot> {
    return Effect.sync(() => ({
      name: this.name,
      permits: this.queue.permits,
      inUse: this.queue.inUse,
      running: this.queue.holders,
      queued: this.queue.queued,
      rejected: this.rejected,
      successes: this.successes,
      failures: this.failures
    }))
  }
}

/** One call in so many is measured while none is rejected. */
const measuredOneIn = 64

const byDefault: Judge = Condition.compile<unknown, unknown>(undefined, { defect: true }).judge

// --------------------------------------------------------------------------------------------------------- definition

interface Family extends Stateful.KeyedFamily {
  readonly module: "Bulkhead"
  readonly operations: Bulkhead.Operations<this["needed"]>
  readonly service: Bulkhead.Service<this["needed"]>
  readonly keyed: Bulkhead.KeyedOperations<this["needed"]>
  readonly keyedService: Bulkhead.KeyedService<this["needed"]>
  readonly instance: Bulkhead.Bulkhead
  readonly options: Bulkhead.Options
  readonly settings: Bulkhead.Settings
  readonly given: Bulkhead.Listeners
  readonly snapshot: Bulkhead.Snapshot
}

const definition: Stateful.KeyedDefinition<Family> = {
  module: "Bulkhead",
  kind,
  make,
  check: configure,
  given: listeners,
  members: {
    protect: "policy",
    protectWhen: Stateful.condition("Bulkhead"),
    withPermits: (permits) => ({ takes: checkRequest(permits) }),
    acquire: "effect",
    resize: "call",
    snapshot: "effect",
    changes: "stream"
  },
  takesPart: "holding",
  status: ({ inUse, permits, queued }) => (inUse < permits && queued === 0 ? "available" : "full"),
  actions: [],
  byKey: (at) => ({
    protect: (key) => at(key).protect,
    protectWhen: (key) => at(key).protectWhen,
    withPermits: (key, permits) => at(key).withPermits(permits)
  })
}

export const bulkheads = /*#__PURE__*/ Stateful.defineKeyed(definition)
