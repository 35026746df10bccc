/** The rate limiter bound to Effect: one step of the queue per decision, and the effect runs outside that step. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Stream from "effect/Stream"
import type { Caller } from "../core/options.js"
import * as Rate from "../core/rateLimit.js"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { Events, type Tags } from "../policy/events.js"
import { alone, type Begun, type Guard, passing, policyOf, seenBy } from "../policy/frame.js"
import type * as Policy from "../policy/Policy.js"
import type * as RateLimiter from "./RateLimiter.js"
import * as Beside from "../internal/beside.js"
import { withoutSpan } from "../internal/context.js"
import * as Condition from "../policy/condition.js"
import type { Member } from "../policy/keyed.js"
import { after, type Told } from "../internal/listeners.js"
import { withoutStack } from "../policy/define.js"
import * as Stateful from "../policy/stateful.js"
import * as Time from "../internal/time.js"
import * as Wait from "../internal/wait.js"
import { Line, type Permit, type Place, type Watch } from "./queue.js"
import { checkCost, type Configured, configure, given, kind } from "./options.js"
import { RateLimitExceeded } from "./rateLimitExceeded.js"
import type { AnyExit, Body, Restore } from "../internal/erased.js"

export const TypeId: RateLimiter.TypeId = Symbol.for("effect-resilience/RateLimiter") as RateLimiter.TypeId

/** Runs a listener and undoes the admission if the listener is interrupted. */
export const undoing = (told: Told, undo: () => void): Told =>
  told && Effect.onInterrupt(told, () => Effect.sync(undo))

/** A call: what it costs, what runs, and what its exits mean where that is asked. */
export interface Call {
  readonly cost: number
  readonly self: Body
  readonly classify: Classify | undefined
}

export type Classify = FailureCondition.Classifier<unknown, unknown>

/** A call that gives its permit back when the condition ignores how it ended. An interruption is not asked about. */
export class Observed<P> implements Begun {
  constructor(
    private readonly limiter: { readonly giveBack: (permit: P, clock: Clock.Clock) => void },
    private readonly classify: Classify,
    private readonly clock: Clock.Clock,
    private readonly permit: P
  ) {}

  ended(exit: AnyExit): Body {
    if (Condition.failed(exit) !== undefined && this.classify(exit)._tag === "Ignored") {
      this.limiter.giveBack(this.permit, this.clock)
    }
    return exit
  }
}

/** Makes a limiter. What its listeners require is in the types of the public constructors. */
export const make = (
  options: RateLimiter.Options,
  defaultName: string,
  caller?: Caller
): Effect.Effect<Limiter> =>
  Effect.gen(function* () {
    const configured = configure(options, defaultName, caller)
    const clock = yield* Effect.clock
    const context = withoutSpan(yield* Effect.context<never>())
    const events = new Events({ kind, name: configured.name }, tags, options, context)
    const { cost, name, rate } = configured
    const limiter =
      options.share === undefined
        ? new Limiter(configured, events, Time.monotonicMillis(clock))
        : (yield* options.share({ name, rate, cost, made: { configured, events } })).limiter
    events.belongTo(limiter)
    return limiter
  }) as Effect.Effect<Limiter>

const tags: Tags<RateLimiter.Event, RateLimiter.RateChanged> = {
  Queued: "heard",
  Admitted: "heard",
  Rejected: "heard",
  RateChanged: "followed",
  Dequeued: "observed",
  GivenBack: "observed"
}

export class Limiter implements RateLimiter.RateLimiter, Member<RateLimiter.Snapshot> {
  readonly [TypeId]: RateLimiter.TypeId = TypeId
  get [Stateful.Kind](): Stateful.Kind {
    return definition
  }
  readonly kind = kind
  readonly name: string
  readonly settings: Policy.Settings
  protected protection: Policy.Policy<RateLimitExceeded> | undefined
  protected readonly watch: Watch | undefined
  private readonly line: Line
  private readonly maxWait: number
  /** Whether a call that is admitted at once begins in the same step. */
  private readonly direct: boolean
  protected rejected = 0

  constructor(
    protected readonly configured: Configured,
    protected readonly events: Events<RateLimiter.Event, RateLimiter.RateChanged>,
    /** When it was made. Time is counted from there, where a number has room for its fractions. */
    private readonly madeAt: number
  ) {
    this.name = configured.name
    this.settings = configured.settings
    this.maxWait = Rate.micros(configured.maxWait)
    this.direct = events.emit.Admitted === undefined
    const { name } = this
    const { observer } = events
    this.watch =
      observer &&
      ((_tag, cost, reason) =>
        observer.unsafeObserve({ _tag, kind, name, cost, reason } as RateLimiter.Event))
    this.line = new Line(configured.rate, configured.maxQueued, 0, this.watch)
  }

  /** The time of the rule: microseconds since the limiter was made. */
  private now(clock: Clock.Clock): number {
    return Rate.micros(Time.monotonicMillis(clock) - this.madeAt)
  }

  // ---------------------------------------------------------------------------------------------------------- a call

  get protect(): Policy.Policy<RateLimitExceeded> {
    return (this.protection ??= this.policy(this.configured.cost, this.settings))
  }

  get withCost() {
    return (cost: number): Policy.Policy<RateLimitExceeded> =>
      this.policy(checkCost("RateLimiter.withCost", cost), { ...this.settings, cost })
  }

  private policy(cost: number, settings: Policy.Settings): Policy.Policy<RateLimitExceeded> {
    return policyOf({ kind, name: this.name, settings }, this.guard(cost))
  }

  get protectWhen() {
    return <A, E>(condition: FailureCondition.FailureCondition<A, E>): RateLimiter.ProtectFor<A, E> => {
      Condition.check("RateLimiter.protectWhen", "condition", condition)
      const { classify } = Condition.compile(condition, { defect: true })
      return policyOf(this, this.guard(this.configured.cost, classify as Classify))
    }
  }

  /** Admits a call at once, after a wait, or not at all. */
  private guard(cost: number, classify?: Classify): Guard {
    return {
      looksAtResults: classify !== undefined,
      begin: (_, clock) => (this.direct ? this.tryBegin(cost, classify, clock) : undefined),
      otherwise: ({ self }, fiber, clock) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.withFiberRuntime((_, { runtimeFlags }) =>
            this.enter({ cost, self, classify }, clock, restore, (told) =>
              Beside.begin(fiber, runtimeFlags, told)
            )
          )
        )
    }
  }

  /** Admits or rejects a call at once, or leaves it to {@link enter}. */
  protected tryBegin(
    cost: number,
    classify: Classify | undefined,
    clock: Clock.Clock
  ): ReturnType<Guard["begin"]> {
    const now = this.now(clock)
    if (!this.line.tryTake(cost, now)) return this.maxWait === 0 ? this.reject(cost, now) : undefined
    return classify === undefined ? passing : new Observed(this, classify, clock, this.line.permit())
  }

  giveBack(permit: Permit, clock: Clock.Clock): void {
    this.line.giveBack(permit, this.now(clock))
  }

  /** A call with nothing that can come between being admitted, or in line, and the beginning of the call. */
  protected enter(
    call: Call,
    clock: Clock.Clock,
    restore: Restore,
    begin: (told: Told) => Beside.Rest | undefined
  ): Body {
    const { line, maxWait } = this
    const { cost } = call
    const now = this.now(clock)
    const turn = line.turn(cost, now)
    const deadline = now + maxWait
    if (turn > deadline || turn === Infinity) return restore(this.reject(cost, now))
    if (turn > now && line.isFull) return restore(this.reject(cost, now, "queue"))
    const place = line.enter({ cost, deadline, promised: false, isReady: false }, turn, now)
    return Effect.flatMap(
      turn > now
        ? this.wait(place, clock, begin(this.queued(cost, turn - now)))
        : Effect.succeed(place.permit),
      (permit): Body => {
        const later = this.now(clock)
        if (permit === undefined) return restore(this.reject(cost, later))
        return this.begin(
          cost,
          turn > now ? toDuration(later - now) : Duration.zero,
          restore,
          () => this.body(call, clock, permit),
          () => line.leave(place, this.now(clock))
        )
      }
    )
  }

  /** Begins a call that has been admitted. An interruption before that undoes the admission. */
  protected begin(
    cost: number,
    waited: Duration.Duration,
    restore: Restore,
    body: () => Body,
    undo: () => void
  ): Body {
    let begun = false
    const beginning = Effect.suspend(() => {
      begun = true
      return body()
    })
    return Effect.catchAllCause(restore(after(this.admitted(cost, waited), beginning)), (cause) => {
      if (!begun) undo()
      return Effect.failCause(cause)
    })
  }

  /** Waits, in a mask, until the turn of a place or a change of rate. The wait can be interrupted even where the caller cannot. */
  private wait(
    place: Place,
    clock: Clock.Clock,
    rest: Beside.Rest | undefined
  ): Effect.Effect<Permit | undefined> {
    const turn = Effect.suspend(() => {
      this.line.ready(place)
      return this.untilTurn(place, clock)
    })
    const waiting = rest === undefined ? turn : Effect.zipRight(this.untilTold(place, rest, clock), turn)
    const wait = Effect.catchAllCause(Effect.interruptible(waiting), (cause) => {
      this.line.leave(place, this.now(clock))
      return Effect.failCause(cause)
    })
    return rest === undefined ? wait : Effect.ensuring(wait, Fiber.interrupt(rest))
  }

  /** Waits for a listener within the call's wait. Meanwhile the place has no timer, so those behind it get one; its turn stays. */
  private untilTold(place: Place, rest: Beside.Rest, clock: Clock.Clock): Effect.Effect<void> {
    return Effect.suspend(() => {
      const left = place.deadline - this.now(clock)
      if (rest.unsafePoll() !== null || left <= 0 || place.state === "rejected") {
        return Effect.asVoid(Fiber.interrupt(rest))
      }
      place.changed = false
      const changed = Wait.forOthers<void>((resume) => {
        place.listen(() => resume(Effect.void))
        rest.addObserver(() => place.notify())
      })
      return Effect.zipRight(
        left === Infinity ? changed : alarmed(place, changed, Rate.millis(left)),
        this.untilTold(place, rest, clock)
      )
    })
  }

  private untilTurn(place: Place, clock: Clock.Clock): Effect.Effect<Permit | undefined> {
    const now = this.now(clock)
    this.line.settle(now)
    if (place.state !== "waiting") return Effect.succeed(place.permit)
    place.changed = false
    const changed = Wait.forOthers<void>((resume) => place.listen(() => resume(Effect.void)))
    // Only the head of the queue needs a timer, which admits every call whose turn has come.
    const left = Rate.millis(this.line.firstAt - now)
    const pause = this.line.isFirst(place) ? alarmed(place, changed, left) : changed
    return Effect.flatMap(pause, () => this.untilTurn(place, clock))
  }

  /** A call that has been admitted. */
  private body({ classify, self }: Call, clock: Clock.Clock, permit: Permit): Body {
    return classify === undefined ? self : seenBy(self, new Observed(this, classify, clock, permit), true)
  }

  private reject(
    cost: number,
    now: number,
    late: RateLimitExceeded["reason"] = "rate"
  ): Effect.Effect<never, RateLimitExceeded> {
    const turn = this.line.turn(cost, now)
    const reason = turn === Infinity ? "cost" : late
    const retryAfter = turn === Infinity ? undefined : toDuration(turn - now)
    return this.rejectWith(this.line.rate, cost, reason, retryAfter)
  }

  protected rejectWith(
    { limit }: Rate.Rate,
    cost: number,
    reason: RateLimitExceeded["reason"],
    retryAfter: Duration.Duration | undefined
  ): Effect.Effect<never, RateLimitExceeded> {
    this.rejected += 1
    const { name } = this
    const error = withoutStack(() => new RateLimitExceeded({ name, limit, cost, reason, retryAfter }))
    const told = this.events.emit.Rejected?.({ limit, cost, reason, retryAfter, error })
    return after(told, Exit.fail(error))
  }

  protected admitted(cost: number, waited: Duration.Duration): Told {
    return this.events.emit.Admitted?.({ cost, waited })
  }

  private queued(cost: number, wait: number): Told {
    return this.events.emit.Queued?.({ cost, wait: toDuration(wait), queued: this.line.queued })
  }

  // ------------------------------------------------------------------------------------------------------ without a call

  get tryAcquire() {
    return (cost = this.configured.cost): Effect.Effect<boolean> =>
      Effect.flatMap(Effect.clock, (clock) => {
        checkCost("RateLimiter.tryAcquire", cost)
        if (!this.line.tryTake(cost, this.now(clock))) return Effect.succeed(false)
        const permit = this.line.permit()
        const told = this.admitted(cost, Duration.zero)
        return after(
          undoing(told, () => this.line.giveBack(permit, this.now(clock))),
          Effect.succeed(true)
        )
      })
  }

  get acquire() {
    return (cost = this.configured.cost): Effect.Effect<void, RateLimitExceeded> =>
      Effect.suspend(() => {
        checkCost("RateLimiter.acquire", cost)
        return alone(this.guard(cost), Effect.void) as Effect.Effect<void, RateLimitExceeded>
      })
  }

  get reserve() {
    return (cost = this.configured.cost): Effect.Effect<RateLimiter.Reservation, RateLimitExceeded> =>
      Effect.flatMap(Effect.clock, (clock) => {
        checkCost("RateLimiter.reserve", cost)
        const { line } = this
        const now = this.now(clock)
        const turn = line.turn(cost, now)
        if (turn === Infinity || (turn > now && line.isFull)) return this.reject(cost, now, "queue")
        const place = line.enter({ cost, deadline: Infinity, promised: true, isReady: false }, turn, now)
        const reservation = Effect.succeed({
          wait: toDuration(turn - now),
          cancel: Effect.map(Effect.clock, (clock) => line.leave(place, this.now(clock)))
        })
        const told = turn > now ? this.queued(cost, turn - now) : this.admitted(cost, Duration.zero)
        return after(
          undoing(told, () => line.leave(place, this.now(clock))),
          reservation
        )
      })
  }

  get setRate() {
    return (rate: Rate.Rate): Effect.Effect<void> =>
      Effect.flatMap(Effect.clock, (clock) => {
        Rate.checked("RateLimiter.setRate", rate)
        const from = this.line.rate
        if (Rate.isSame(rate, from)) return Effect.void
        this.line.setRate(rate, this.now(clock))
        return this.events.emit.RateChanged?.({ from, to: rate }) ?? Effect.void
      })
  }

  /** Admitted calls still count, or calls are queued. */
  isProtecting(now: number): boolean {
    return this.line.inUse(Rate.micros(now - this.madeAt))
  }

  // ----------------------------------------------------------------------------------------------------------- reading

  get available(): Effect.Effect<number> {
    return Effect.map(Effect.clock, (clock) => this.line.available(this.now(clock)))
  }

  get changes(): Stream.Stream<RateLimiter.RateChanged> {
    return this.events.stream
  }

  get snapshot(): Effect.Effect<RateLimiter.Snapshot> {
    return Effect.map(Effect.clock, (clock) => {
      const { line } = this
      const now = this.now(clock)
      const turn = line.turn(1, now)
      return {
        name: this.name,
        takenAt: Time.wallMillis(clock),
        rate: line.rate,
        available: line.available(now),
        retryAfter: Rate.millis(turn - now),
        queued: line.queued,
        admitted: line.admitted,
        rejected: this.rejected
      }
    })
  }
}

const toDuration = (micros: number): Duration.Duration => Duration.millis(Rate.millis(micros))

/** Waits until something has changed at a place, or for so many milliseconds. A timer counts whole ones. */
export const alarmed = (
  place: Pick<Place, "notify">,
  changed: Effect.Effect<void>,
  millis: number
): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) =>
    Wait.withAlarm(restore(changed), Math.max(0, Math.ceil(millis)), () => place.notify())
  )

// --------------------------------------------------------------------------------------------------------- definition

interface Family extends Stateful.KeyedFamily {
  readonly module: "RateLimiter"
  readonly operations: RateLimiter.Operations<this["needed"]>
  readonly service: RateLimiter.Service<this["needed"]>
  readonly keyed: RateLimiter.KeyedOperations<this["needed"]>
  readonly keyedService: RateLimiter.KeyedService<this["needed"]>
  readonly instance: RateLimiter.RateLimiter
  readonly options: RateLimiter.Options
  readonly settings: RateLimiter.Settings
  readonly given: RateLimiter.Given
  readonly snapshot: RateLimiter.Snapshot
}

const definition: Stateful.KeyedDefinition<Family> = {
  module: "RateLimiter",
  kind,
  make,
  check: configure,
  given,
  members: {
    protect: "policy",
    protectWhen: Stateful.condition("RateLimiter"),
    withCost: (cost) => ({ cost: checkCost("RateLimiter.withCost", cost) }),
    tryAcquire: "call",
    acquire: "call",
    reserve: "call",
    available: "effect",
    setRate: "call",
    snapshot: "effect",
    changes: "stream"
  },
  takesPart: "passing",
  status: ({ available }) => (available > 0 ? "available" : "exhausted"),
  actions: [],
  byKey: (at) => ({
    protect: (key) => at(key).protect,
    protectWhen: (key) => at(key).protectWhen,
    withCost: (key, cost) => at(key).withCost(cost)
  })
}

export const limiters = /*#__PURE__*/ Stateful.defineKeyed(definition)
