/** A limiter that takes its permits from the store: the rule of `core/fleet/lease.ts`, bound to the exchange of its process. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Runtime from "effect/Runtime"
import * as core from "../core/fleet/lease.js"
import type { Take } from "../core/fleet/table.js"
import { among, InvalidOption, object, type Shape } from "../core/options.js"
import * as Rate from "../core/rateLimit.js"
import type * as Beside from "../internal/beside.js"
import { withoutSpan } from "../internal/context.js"
import { duration, type DurationInput, optionMillis } from "../internal/duration.js"
import type { Body, Restore } from "../internal/erased.js"
import { startIn } from "../internal/fork.js"
import { after, type Told } from "../internal/listeners.js"
import * as Time from "../internal/time.js"
import * as Wait from "../internal/wait.js"
import { type Begun, passing, seenBy } from "../policy/frame.js"
import type * as Policy from "../policy/Policy.js"
import { alarmed, type Call, type Classify, Limiter, Observed, undoing } from "../rateLimiter/limiter.js"
import { checkCost, kind } from "../rateLimiter/options.js"
import type * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type { Watcher } from "./hub.js"
import { type Service, SharedStore } from "./SharedStore.js"

// ------------------------------------------------------------------------------------------------------------ options

/** The options of `Share.inlineRate`. */
export interface InlineRateOptions {
  /**
   * What a process does while the store does not answer: it keeps to its share of the rate (`"share"`: the rate divided by the living
   * processes), to what it used last (`"last"`), or rejects every call (`"reject"`). Default: `"share"`.
   */
  readonly onStoreFailure?: "share" | "last" | "reject" | undefined
}

/** The options of `Share.leasedRate`. */
export interface LeasedRateOptions extends InlineRateOptions {
  /**
   * For how long a process takes permits in advance. It keeps them for at most twice as long, so the burst must have room for them:
   * at most an eighth of the time in which the rate fills the burst. Default: that, and at most 1 second.
   */
  readonly period?: DurationInput | undefined
}

const inlineShape: Shape<InlineRateOptions> = { onStoreFailure: among("share", "last", "reject") }
const leasedShape: Shape<LeasedRateOptions> = { ...inlineShape, period: duration() }

type Refuse = (option: string, value: unknown, expected: string) => never

const refusing =
  (policy: string): Refuse =>
  (option, value, expected) => {
    throw new InvalidOption(policy, option, value, expected)
  }

/** How a rate is divided, or a refusal. */
type Divide = (
  rate: Rate.Rate,
  refuse: Refuse
) => Omit<core.Plan, "id" | "maxQueued" | "onStoreFailure" | "settling">

const setRate = "RateLimiter.setRate"
const constructorName = "RateLimiter.make"

type Sharing = (limiter: RateLimiter.Shareable) => Effect.Effect<RateLimiter.Link, never, SharedStore>

export const inlineRate = (options: InlineRateOptions = {}): Sharing => {
  object("Share.inlineRate", "", options, inlineShape)
  return sharing("inline", options, (rate, refuse) => {
    const { limit, per } = rate
    const inline = { limit, per, period: 0, hold: 0 }
    if (rate._tag === "smooth") return { ...inline, burst: undefined, local: 1, most: limit }
    if (rate._tag !== "tokenBucket") return refuse("rate", rate, "smooth or a token bucket, to be shared")
    const { burst } = rate
    return { ...inline, burst, local: Math.floor(burst / 4), most: burst }
  })
}

export const leasedRate = (options: LeasedRateOptions = {}): Sharing => {
  object("Share.leasedRate", "", options, leasedShape)
  const { period } = options
  const millis = period === undefined ? undefined : optionMillis("Share.leasedRate", "period", period)
  return sharing("leased", options, (rate, refuse) => {
    if (rate._tag !== "tokenBucket") return refuse("rate", rate, "a token bucket, to be leased")
    if (rate.burst < core.leastBurst) {
      return refuse("rate.burst", rate.burst, `at least ${core.leastBurst}, to be leased`)
    }
    const longest = core.periodOf(rate)
    if (millis !== undefined && millis > longest) {
      const most = Duration.format(Duration.millis(longest))
      return refuse(
        "share.period",
        Duration.format(Duration.millis(millis)),
        `at most ${most}, for this rate and burst`
      )
    }
    return { limit: rate.limit, per: rate.per, ...core.divided(rate, millis) }
  })
}

const sharing = (mode: string, options: InlineRateOptions, divide: Divide): Sharing => {
  const { onStoreFailure = "share" } = options
  const refuse = refusing(constructorName)
  const check: RateLimiter.Sharing["check"] = ({ cost, name, rate }) => {
    // Limiters that are not named would all be one.
    if (name === kind || name.startsWith(`${kind}/`)) {
      refuse("name", undefined, 'given, for the limiters of a fleet with "share"')
    }
    const { most } = divide(rate, refuse)
    if (cost > most) refuse("cost", cost, `at most what the store grants at once (${most})`)
  }
  const share: Sharing = (limiter) =>
    Effect.gen(function* () {
      const store = yield* SharedStore
      const runtime = yield* Effect.mapInputContext(Effect.runtime<never>(), withoutSpan)
      const clock = yield* Effect.clock
      const { hub } = store
      const planOf = (rate: Rate.Rate, refuse: Refuse): core.Plan => ({
        ...divide(rate, refuse),
        id: limiter.name,
        maxQueued: limiter.made.configured.maxQueued,
        onStoreFailure,
        settling: hub.settling
      })
      const plan = planOf(limiter.rate, refuse)
      const period = plan.period === 0 ? undefined : Duration.millis(plan.period)
      const settings = { mode, period, onStoreFailure }
      const lease = new core.Lease(plan, Time.monotonicMillis(clock))
      const made = new FleetLimiter(limiter.made, settings, lease, planOf, store, runtime)
      hub.watch(made.watcher)
      return { limiter: made }
    })
  return Object.assign(share, { check })
}

// ------------------------------------------------------------------------------------------------------------- engine

interface Reserved {
  readonly cost: number
  readonly turn: number
}

class FleetLimiter extends Limiter {
  override readonly settings: Policy.Settings
  private rate: Rate.Rate
  /** Reservations whose turns have not come. */
  private readonly reserved = new Set<Reserved>()

  constructor(
    { configured, events }: RateLimiter.Shareable["made"],
    share: Policy.Settings,
    private readonly lease: core.Lease,
    private readonly planOf: (rate: Rate.Rate, refuse: Refuse) => core.Plan,
    private readonly store: Service,
    private readonly runtime: Runtime.Runtime<never>
  ) {
    super(configured, events, 0)
    this.settings = { ...configured.settings, share }
    this.rate = configured.rate
  }

  /** Held by the limiter, and weakly by the exchange. */
  readonly watcher: Watcher = { exchanged: (now) => this.stepAt(now, () => this.passTurns(now)) }

  // ------------------------------------------------------------------------------------------------------------ steps

  private step<A>(clock: Clock.Clock, run: (now: number) => A): A {
    return this.stepAt(Time.monotonicMillis(clock), run)
  }

  private stepAt<A>(now: number, run: (now: number) => A): A {
    const { lease, store } = this
    lease.observe(store.hub.isAway, store.hub.known, now)
    const result = run(now)
    for (const take of lease.returns(now)) this.start(Effect.ignore(store.take(take)))
    for (let ask = lease.ask(now); ask !== undefined; ask = lease.ask(now)) this.start(this.asking(ask))
    return result
  }

  private start(self: Effect.Effect<unknown>): void {
    startIn(this.runtime, self)
  }

  private asking(ask: core.Ask): Effect.Effect<void> {
    const { lease, store } = this
    return Effect.matchEffect(store.take(ask.take), {
      onSuccess: (taken) =>
        Effect.map(Effect.clock, (clock) => this.step(clock, (now) => lease.answered(ask, taken, now))),
      onFailure: () =>
        Effect.map(Effect.clock, (clock) => {
          // Whether the store is away, or has only lost this, the next exchange shows.
          store.hub.wake()
          this.step(clock, (now) => lease.failed(ask, now))
        })
    })
  }

  // ----------------------------------------------------------------------------------------------------------- a call

  protected override tryBegin(
    cost: number,
    classify: Classify | undefined,
    clock: Clock.Clock
  ): Begun | undefined {
    const permit = this.step(clock, (now) => this.lease.take(cost, now))
    if (permit === undefined) return undefined
    return classify === undefined ? passing : this.observed(classify, clock, permit)
  }

  private observed(classify: Classify, clock: Clock.Clock, permit: core.Permit): Observed<core.Permit> {
    return new Observed(this.returning, classify, clock, permit)
  }

  private readonly returning = {
    giveBack: (permit: core.Permit, clock: Clock.Clock): void =>
      this.step(clock, (now) => {
        this.watch?.("GivenBack", permit.cost)
        this.lease.giveBack(permit, now)
      })
  }

  protected override enter(
    call: Call,
    clock: Clock.Clock,
    restore: Restore,
    begin: (told: Told) => Beside.Rest | undefined
  ): Body {
    const { lease, returning } = this
    const { classify, cost, self } = call
    const since = Time.monotonicMillis(clock)
    const run = (permit: core.Permit, waited: Duration.Duration): Body => {
      const body = () =>
        classify === undefined ? self : seenBy(self, this.observed(classify, clock, permit), true)
      return this.begin(cost, waited, restore, body, () => returning.giveBack(permit, clock))
    }
    const permit = this.step(clock, (now) => lease.take(cost, now))
    if (permit !== undefined) return run(permit, Duration.zero)
    const waiter = this.step(clock, (now) => lease.enter(cost, now + this.configured.maxWait, now))
    return Effect.flatMap(this.waited(waiter, clock, begin), (permit) =>
      permit === undefined
        ? restore(this.refused(waiter))
        : run(permit, Duration.millis(Math.max(0, Time.monotonicMillis(clock) - since)))
    )
  }

  /** Waits, in a mask, for an answer or the turn. The wait can be interrupted even where the caller cannot. */
  private waited(
    waiter: core.Waiter,
    clock: Clock.Clock,
    begin: (told: Told) => Beside.Rest | undefined
  ): Effect.Effect<core.Permit | undefined> {
    const { lease, watch } = this
    let rest: Beside.Rest | undefined
    let isTold = false
    const untilTurn: Effect.Effect<core.Permit | undefined> = Effect.suspend(() => {
      const left = this.step(clock, (now) => {
        lease.settle(now)
        return lease.firstAt - now
      })
      if (waiter.state !== "waiting") return Effect.succeed(waiter.permit)
      if (waiter.wait !== undefined && !isTold) {
        isTold = true
        const told = this.queuedEvent(waiter.cost, waiter.wait)
        waiter.onLeft =
          watch && ((how) => watch("Dequeued", waiter.cost, how === "refused" ? "rejected" : how))
        rest = begin(told)
      }
      const changed = Wait.forOthers<void>((resume) => waiter.listen(() => resume(Effect.void)))
      const pause = lease.isFirst(waiter) ? alarmed(waiter, changed, left) : changed
      return Effect.zipRight(pause, untilTurn)
    })
    const untilTold = Effect.suspend(() => {
      if (rest === undefined || waiter.state !== "admitted") return Effect.void
      const left = waiter.deadline - Time.monotonicMillis(clock)
      const told = Fiber.await(rest)
      return left === Infinity ? told : Effect.timeoutOption(told, Duration.millis(Math.max(0, left)))
    })
    const waiting = Effect.zipLeft(untilTurn, untilTold)
    return Effect.catchAllCause(Effect.interruptible(waiting), (cause) => {
      this.step(clock, (now) => {
        if (waiter.state === "admitted") watch?.("GivenBack", waiter.cost)
        lease.leave(waiter, now)
      })
      return Effect.failCause(cause)
    }).pipe(Effect.ensuring(Effect.suspend(() => (rest === undefined ? Effect.void : Fiber.interrupt(rest)))))
  }

  private refused({
    cost,
    refusal,
    retryAfter
  }: core.Waiter): Effect.Effect<never, RateLimiter.RateLimitExceeded> {
    const unknown = this.lease.unknownWait
    return this.rejectWith(
      this.rate,
      cost,
      refusal,
      refusal === "cost" ? undefined : Duration.millis(retryAfter === Infinity ? unknown : retryAfter)
    )
  }

  private queuedEvent(cost: number, wait: number): Told {
    return this.events.emit.Queued?.({ cost, wait: Duration.millis(wait), queued: this.lease.queued })
  }

  // ------------------------------------------------------------------------------------------------------ without a call

  override get tryAcquire() {
    return (cost = this.configured.cost): Effect.Effect<boolean> =>
      Effect.flatMap(Effect.clock, (clock) => {
        checkCost("RateLimiter.tryAcquire", cost)
        const { lease } = this
        const took = (permit: core.Permit): Effect.Effect<boolean> =>
          after(
            undoing(this.admitted(cost, Duration.zero), () => this.returning.giveBack(permit, clock)),
            Effect.succeed(true)
          )
        const permit = this.step(clock, (now) => lease.take(cost, now))
        if (permit !== undefined) return took(permit)
        return Effect.uninterruptibleMask((restore) => {
          const waiter = this.step(clock, (now) => lease.enter(cost, now, now))
          return Effect.flatMap(
            this.waited(waiter, clock, () => undefined),
            (permit) => (permit === undefined ? Effect.succeed(false) : restore(took(permit)))
          )
        })
      })
  }

  override get reserve() {
    return (
      cost = this.configured.cost
    ): Effect.Effect<RateLimiter.Reservation, RateLimiter.RateLimitExceeded> =>
      Effect.flatMap(Effect.clock, (clock) => {
        checkCost("RateLimiter.reserve", cost)
        const { lease } = this
        const permit = this.step(clock, (now) => lease.take(cost, now))
        if (permit !== undefined)
          return this.reservation(cost, 0, () => this.returning.giveBack(permit, clock))
        const now = Time.monotonicMillis(clock)
        const take = lease.reservation(cost)
        if (take === undefined) {
          const retryAfter = lease.retryAfter(cost, now)
          const never = retryAfter === Infinity
          return this.rejectWith(
            this.rate,
            cost,
            never ? "cost" : "rate",
            never ? undefined : Duration.millis(retryAfter)
          )
        }
        if (this.queuedAt(now) >= this.configured.maxQueued) {
          return this.rejectWith(this.rate, cost, "queue", Duration.millis(lease.retryAfter(cost, now)))
        }
        return Effect.uninterruptibleMask((restore) =>
          Effect.matchEffect(this.store.take(take), {
            onFailure: () =>
              restore(this.rejectWith(this.rate, cost, "rate", Duration.millis(lease.unknownWait))),
            onSuccess: ({ receipt, retryAfter }) => {
              lease.admitted += 1
              const reserved = { cost, turn: Time.monotonicMillis(clock) + retryAfter }
              if (retryAfter > 0) this.reserved.add(reserved)
              const back: Take = { ...take, permits: -cost, spent: 0, receipt }
              return restore(
                this.reservation(cost, retryAfter, () => {
                  this.cancel(reserved, Time.monotonicMillis(clock))
                  this.start(Effect.ignore(this.store.take(back)))
                })
              )
            }
          })
        )
      })
  }

  private reservation(
    cost: number,
    wait: number,
    giveBack: () => void
  ): Effect.Effect<RateLimiter.Reservation> {
    let isGone = false
    const undo = () => {
      if (!isGone) giveBack()
      isGone = true
    }
    const told = wait > 0 ? this.queuedEvent(cost, wait) : this.admitted(cost, Duration.zero)
    return after(
      undoing(told, undo),
      Effect.succeed({ wait: Duration.millis(wait), cancel: Effect.sync(undo) })
    )
  }

  private cancel(reserved: Reserved, now: number): void {
    this.passTurns(now)
    if (this.reserved.delete(reserved)) this.watch?.("Dequeued", reserved.cost, "left")
    else this.watch?.("GivenBack", reserved.cost)
  }

  /** Removes the reservations whose turns have come. */
  private passTurns(now: number): void {
    for (const reserved of this.reserved) {
      if (reserved.turn > now) continue
      this.reserved.delete(reserved)
      this.watch?.("Dequeued", reserved.cost, "admitted")
    }
  }

  private queuedAt(now: number): number {
    this.passTurns(now)
    return this.lease.queued + this.reserved.size
  }

  override get setRate() {
    return (rate: Rate.Rate): Effect.Effect<void> =>
      Effect.flatMap(Effect.clock, (clock) => {
        const from = this.rate
        const plan = this.planOf(Rate.checked(setRate, rate), refusing(setRate))
        if (Rate.isSame(rate, from)) return Effect.void
        this.rate = rate
        this.step(clock, (now) => this.lease.setPlan(plan, now))
        return this.events.emit.RateChanged?.({ from, to: rate }) ?? Effect.void
      })
  }

  override isProtecting(now: number): boolean {
    return this.lease.inUse() || this.queuedAt(now) > 0
  }

  // ----------------------------------------------------------------------------------------------------------- reading

  override get available(): Effect.Effect<number> {
    return Effect.map(Effect.clock, (clock) => this.lease.available(Time.monotonicMillis(clock)))
  }

  override get snapshot(): Effect.Effect<RateLimiter.Snapshot> {
    return Effect.map(Effect.clock, (clock) => {
      const { lease, name, rate, rejected } = this
      const now = Time.monotonicMillis(clock)
      const available = lease.available(now)
      return {
        name,
        takenAt: Time.wallMillis(clock),
        rate,
        available,
        retryAfter: available > 0 ? 0 : lease.retryAfter(1, now),
        queued: this.queuedAt(now),
        admitted: lease.admitted,
        rejected
      }
    })
  }
}
