/**
 * The cache bound to Effect: one synchronous step decides by the rule in `core/cache` what a call gets, and a lookup runs in a fiber
 * of the cache with the context of the call that started it.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import * as FiberRef from "effect/FiberRef"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Cache from "./Cache.js"
import * as Core from "../core/cache.js"
import type { Caller } from "../core/options.js"
import { Events, type Tags } from "../policy/events.js"
import type * as Policy from "../policy/Policy.js"
import { withoutSpan } from "../internal/context.js"
import * as Condition from "../policy/condition.js"
import { type DurationInput, runtimeMillis } from "../internal/duration.js"
import { inherited } from "../internal/inside.js"
import * as Stateful from "../policy/stateful.js"
import { after, both, type Told } from "../internal/listeners.js"
import { forkMasked } from "../internal/fork.js"
import * as Time from "../internal/time.js"
import * as Wait from "../internal/wait.js"
import { quoted } from "../internal/quoted.js"
import { CacheClosed } from "./cacheClosed.js"
import { CircularLookup } from "./circularLookup.js"
import { Entries, type Entry, type Remembered, type Stored } from "./entries.js"
import { currentFlight, type Ending, Flight, type Reason, type Waiter } from "./flight.js"
import { KeyMap } from "./keyMap.js"
import { type Configured, configure, givenShapes, kind } from "./options.js"
import type { Engine, Link } from "./sharing.js"
import type { Body, Restore } from "../internal/erased.js"

export const TypeId: Cache.TypeId = Symbol.for("effect-resilience/Cache") as Cache.TypeId

/** How a value is given to a caller. */
type Render<B> = (
  exit: Exit.Success<unknown, unknown>,
  state: Cache.State,
  age: number
) => Exit.Exit<B, unknown>

const asValue: Render<unknown> = (exit) => exit

const asServed: Render<Cache.Served<unknown>> = (exit, state, age) =>
  Exit.succeed({ value: exit.value, state, age: Duration.millis(age) })

interface Ask {
  readonly key: unknown
  readonly lookup: (key: unknown) => Body
  readonly render: Render<unknown>
  /** Nothing but the outcome of a lookup will do. */
  readonly forced: boolean
}

/** Makes a store. What its listeners require is taken from the context, and stands in the types of the constructors. */
export const makeStore = (
  options: Cache.StoreOptions<unknown, unknown, unknown>,
  defaultName: string,
  caller: Caller = { policy: "Cache.makeStore" }
): Effect.Effect<Cache.Store<unknown, unknown, unknown>, never, Scope.Scope> =>
  Effect.map(prepare("store", options, defaultName, caller), (parts) => new StoreImpl(parts)).pipe(closing)

/** Makes a cache. What its lookup and its listeners require is taken from the context, likewise. */
export const make = (
  options: Cache.Options<unknown, unknown, unknown>,
  defaultName: string,
  caller: Caller = { policy: "Cache.make" }
): Effect.Effect<Cache.Cache<unknown, unknown, unknown>, never, Scope.Scope> =>
  Effect.map(
    prepare("cache", options, defaultName, caller),
    (parts) => new CacheImpl(parts, options.lookup)
  ).pipe(closing)

const prepare = (
  form: "store" | "cache",
  options: Cache.StoreOptions<unknown, unknown, unknown>,
  defaultName: string,
  caller: Caller
): Effect.Effect<Parts> =>
  Effect.flatMap(Effect.context<never>(), (found) => {
    const context = withoutSpan(found)
    const configured = configure(form, options, defaultName, caller)
    const events = new Events({ kind, name: configured.name }, tags, options, context)
    const shared = options.share?.(configured) as Effect.Effect<Link<unknown, unknown>> | undefined
    return Effect.map(shared ?? Effect.succeed(undefined), (link) => ({
      ...configured,
      settings: { ...configured.settings, share: link?.settings },
      events,
      context,
      link
    }))
  })

/** Ends the cache with the scope in which it was made. */
const closing = <S extends StoreImpl>(made: Effect.Effect<S>): Effect.Effect<S, never, Scope.Scope> =>
  Effect.acquireRelease(made, (store) => {
    store.parts.events.observer?.unsafeLeft?.(store)
    return store.close
  })

/** What a cache is made of, fixed for its life. */
interface Parts extends Configured {
  readonly events: Events<Event>
  readonly context: Context.Context<unknown>
  /** What ties it to the caches of its name in other processes, if it is shared. */
  readonly link: Link<unknown, unknown> | undefined
}

type Event = Cache.Event<unknown, unknown, unknown>

const tags: Tags<Event> = {
  Hit: "heard",
  Miss: "heard",
  Stale: "heard",
  Stored: "observed",
  Refresh: "heard",
  Evict: "heard"
}

class StoreImpl implements Cache.Store<unknown, unknown, unknown>, Engine {
  readonly [TypeId]: Cache.TypeId = TypeId
  get [Stateful.Kind](): Stateful.Kind {
    return shown
  }
  readonly kind = kind
  readonly name: string
  readonly settings: Policy.Settings
  readonly entries: Entries
  /** The lookup whose outcome will be stored, by key. One that was overtaken by a change is not among them any more. */
  readonly flights = new KeyMap<unknown, Flight>()
  /** All lookups whose fibers have not ended, overtaken ones too. */
  private readonly running = new Set<Flight>()
  private closed = false
  private waiting = 0
  private inFlight = 0
  private hits = 0
  private misses = 0
  private stale = 0
  lookups = 0
  private refreshes = 0
  private failures = 0
  private evictions = 0

  constructor(readonly parts: Parts) {
    this.name = parts.name
    this.settings = parts.settings
    this.entries = new Entries(parts.capacity)
    parts.events.belongTo(this)
  }

  get cached() {
    return (key: unknown) => this.policy(key, asValue)
  }

  get served() {
    return (key: unknown) => this.policy(key, asServed)
  }

  /** The only cast: the result has the type of the piped effect, whether computed now or stored. */
  private policy<B>(key: unknown, render: Render<B>): Cache.CachedFor<unknown, unknown, B> {
    return <R>(self: Effect.Effect<unknown, unknown, R>) => {
      const ask: Ask = { key, lookup: () => self, render, forced: false }
      const call: Body = Effect.withFiberRuntime((fiber) => this.ask(ask, Time.clockOf(fiber)))
      return call as Effect.Effect<B, unknown, R>
    }
  }

  // ---------------------------------------------------------------------------------------------------------- a call

  /** Serves what is stored at once; everything else takes the masked path. */
  protected ask(ask: Ask, clock: Clock.Clock): Body {
    const entry = this.entries.get(ask.key)
    if (entry === undefined) return this.askMasked(ask, clock)
    const now = Time.monotonicMillis(clock)
    const { stored } = entry
    if (stored === undefined || !this.mayRefreshEarly(entry, stored, now)) {
      return this.answer(ask, entry, now) ?? this.askMasked(ask, clock)
    }
    return Effect.flatMap(Random.next, (draw) => {
      if (Core.refreshesEarly(stored.life, this.parts.earlyRefresh, draw, now)) {
        return this.askMasked(ask, clock, true)
      }
      // Drawing was an operation of its own, and the entry may have been removed meanwhile.
      const answer = this.entries.get(ask.key) === entry ? this.answer(ask, entry, now) : undefined
      return answer ?? this.askMasked(ask, clock)
    })
  }

  private mayRefreshEarly(entry: Entry, { life }: Stored, now: number): boolean {
    const { earlyRefresh } = this.parts
    return (
      earlyRefresh > 0 &&
      now < life.freshUntil &&
      Core.mayRefreshEarly(life, earlyRefresh, now) &&
      this.flights.get(entry.key) === undefined
    )
  }

  /** The answer that a caller can get at once, if any. */
  private answer(ask: Ask, entry: Entry, now: number): Body | undefined {
    const { remembered, stored } = entry
    const failing = isFailing(entry, now)
    if (stored !== undefined) {
      const { exit, life } = stored
      const freshness = Core.freshness(life, now)
      if (freshness === "fresh") {
        return after(this.hit(entry, life.storedAt, now), ask.render(exit, "fresh", now - life.storedAt))
      }
      if (freshness === "stale") {
        const flight = this.flights.get(entry.key)
        if (flight === undefined && !failing) return undefined
        return this.serveStale(ask, entry, stored, flight === undefined ? "stale" : "revalidating", now)
      }
      if (remembered !== undefined && failing && Core.standsIn(life, remembered.standIn, now)) {
        return this.serveStale(ask, entry, stored, "error-stale", now)
      }
    }
    return remembered !== undefined && failing
      ? after(this.hit(entry, remembered.at, now), remembered.exit)
      : undefined
  }

  /** A call that starts a lookup or waits for one. Joining and leaving the lookup happen in one masked region. */
  protected askMasked(ask: Ask, clock: Clock.Clock, early = false, again = false): Body {
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiberRuntime((fiber) => {
        if (this.closed) return Effect.die(new CacheClosed({ name: this.name }))
        const now = Time.monotonicMillis(clock)
        const entry = ask.forced ? undefined : this.entries.get(ask.key)
        if (entry !== undefined) {
          const flight = this.needsRefresh(entry, early, now)
            ? this.begin(ask.key, "background", now)
            : undefined
          const answer = this.answer(ask, entry, now)
          if (answer !== undefined) {
            return flight === undefined
              ? restore(answer)
              : Effect.zipRight(this.launch(flight, ask, clock, fiber), restore(answer))
          }
        }
        const joined = this.flights.get(ask.key)
        const patience = this.patience(entry, joined?.startedAt ?? now, now)
        if (joined !== undefined && patience <= 0 && entry?.stored !== undefined) {
          this.goesOn(joined)
          return restore(this.serveStale(ask, entry, entry.stored, "revalidating", now))
        }
        const around = fiber.getFiberRef(currentFlight)
        const within = around?.ended === true ? undefined : around
        if (joined !== undefined && within !== undefined && joined.waitsFor(within)) {
          return Effect.die(new CircularLookup({ name: this.name, key: ask.key }))
        }
        const flight = joined ?? this.begin(ask.key, ask.forced ? "asked" : "miss", now)
        const waiter = flight.join(joined === undefined, ask.forced, within)
        this.waiting += 1
        const told = again || ask.forced ? undefined : this.miss(ask.key)
        const waited = Effect.exit(restore(after(told, flight.wait(waiter))))
        const settled = patience === Infinity ? waited : this.tiring(flight, waiter, patience, waited)
        const outcome = Effect.flatMap(settled, (exit) => {
          if (Exit.isFailure(exit)) return Effect.zipRight(this.leave(flight, waiter), exit)
          return exit.value === undefined
            ? this.instead(ask, clock, restore)
            : this.deliver(ask, waiter, exit.value, clock, restore)
        })
        return joined === undefined
          ? Effect.zipRight(this.launch(flight, ask, clock, fiber), outcome)
          : outcome
      })
    )
  }

  private needsRefresh(entry: Entry, early: boolean, now: number): boolean {
    const { stored } = entry
    if (stored === undefined || isFailing(entry, now) || this.flights.get(entry.key) !== undefined)
      return false
    const freshness = Core.freshness(stored.life, now)
    return freshness === "stale" || (early && freshness === "fresh")
  }

  private deliver(ask: Ask, waiter: Waiter, ending: Ending, clock: Clock.Clock, restore: Restore): Body {
    const { age, exit, instead, interrupted } = ending
    // The lookup interrupted itself. A caller that did not start it asks again; the one that did gets the interruption, so
    // that each caller starts at most one lookup. So does one that wants news, of what another process knew before.
    if (interrupted ? !waiter.started : ask.forced && age > 0 && instead === undefined) {
      return restore(this.askMasked(ask, clock, false, true))
    }
    if (Exit.isSuccess(exit)) return ask.render(exit, "fresh", age)
    if (instead === undefined || ask.forced) return exit
    return restore(
      after(this.countStale(ask.key, "error-stale", age), ask.render(instead.exit, "error-stale", age))
    )
  }

  /** How much longer a caller waits for a lookup, given the stale value at hand. */
  private patience(entry: Entry | undefined, startedAt: number, now: number): number {
    const { softTimeout } = this.parts
    return softTimeout === Infinity ||
      entry?.stored === undefined ||
      Core.freshness(entry.stored.life, now) === "gone"
      ? Infinity
      : startedAt + softTimeout - now
  }

  /** A wait with a time limit. The lookup continues for the cache. */
  private tiring<A>(
    flight: Flight,
    waiter: Waiter,
    patience: number,
    wait: Effect.Effect<A>
  ): Effect.Effect<A> {
    return Wait.withAlarm(wait, Math.max(0, patience), () => this.tire(flight, waiter))
  }

  tire(flight: Flight, waiter: Waiter): void {
    if (flight.ended || !flight.leave(waiter)) return
    this.waiting -= 1
    this.goesOn(flight)
    waiter.tired = true
    waiter.resume?.(undefined)
  }

  private goesOn(flight: Flight): void {
    flight.kept = true
    if (flight.reason !== "miss") return
    flight.reason = "background"
    this.refreshes += 1
  }

  /** The answer for a caller whose wait has timed out. */
  private instead(ask: Ask, clock: Clock.Clock, restore: Restore): Body {
    const now = Time.monotonicMillis(clock)
    const entry = this.entries.get(ask.key)
    const stored = entry?.stored
    const freshness = stored === undefined ? "gone" : Core.freshness(stored.life, now)
    return entry !== undefined && stored !== undefined && freshness !== "gone" && freshness !== "fresh"
      ? restore(this.serveStale(ask, entry, stored, "revalidating", now))
      : // Meanwhile it was replaced or forgotten.
        restore(this.askMasked(ask, clock, false, true))
  }

  /** Removes an interrupted waiter, and cancels the lookup with its last one. */
  private leave(flight: Flight, waiter: Waiter): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (flight.ended || !flight.leave(waiter)) return Effect.void
      this.waiting -= 1
      if (!this.isUnwanted(flight)) return Effect.void
      this.cancel(flight)
      // Like any interruption, it is over when what was interrupted has ended.
      return flight.fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(flight.fiber))
    })
  }

  /** Whether neither a caller nor the cache wants the outcome. */
  private isUnwanted(flight: Flight): boolean {
    const kept = flight.kept && this.flights.get(flight.key) === flight
    return flight.waiting === 0 && !kept
  }

  // --------------------------------------------------------------------------------------------------------- a lookup

  /** Registers a lookup. The caller must launch it in the same masked region. */
  private begin(key: unknown, reason: Reason, now: number): Flight {
    const flight = new Flight(key, reason, now)
    this.flights.set(key, flight)
    this.running.add(flight)
    this.inFlight += 1
    this.lookups += 1
    if (reason !== "miss") this.refreshes += 1
    return flight
  }

  /** Runs a lookup in a fiber of its own, with the caller's context, until the cache's scope closes. */
  private launch(
    flight: Flight,
    { key, lookup }: Ask,
    clock: Clock.Clock,
    caller: Fiber.RuntimeFiber<unknown, unknown>
  ): Effect.Effect<void> {
    const body = Effect.suspend(() => {
      if (flight.cancelled || this.closed) return Effect.interrupt
      return this.parts.link?.search(this, flight, lookup, clock) ?? Effect.interruptible(lookup(key))
    })
    const noted = Effect.zipRight(FiberRef.set(currentFlight, flight), Effect.exit(inherited(caller, body)))
    const program = Effect.flatMap(noted, (exit) =>
      Effect.suspend(() => {
        const told = this.settle(flight, exit, Time.monotonicMillis(clock))
        if (flight.finish !== undefined) return flight.finish(exit, told)
        return told === undefined ? Effect.void : Effect.interruptible(told)
      })
    )
    const ended = Effect.sync(() => void this.running.delete(flight))
    return Effect.map(forkMasked(Effect.ensuring(program, ended), "nobody"), (fiber) => {
      flight.fiber = fiber
    }) as Effect.Effect<void>
  }

  /** Stores the outcome of a lookup, unless it was overtaken, and resumes all waiters. */
  private settle(flight: Flight, exit: Exit.Exit<unknown, unknown>, now: number): Told {
    const { key } = flight
    const current = (flight.current = this.flights.get(key) === flight)
    if (current) this.flights.delete(key)
    this.inFlight -= 1
    this.waiting -= flight.waiting
    const abandoned = flight.waiting === 0
    const ending: Ending = { exit, age: 0, interrupted: false, instead: undefined }
    const told = this.conclude(flight, ending, current, now)
    flight.end(ending)
    if (ending.interrupted || flight.reason === "miss") return told
    const duration = Duration.millis(now - flight.startedAt)
    const refreshed = this.parts.events.emit.Refresh?.({ key, exit, duration })
    return both(told, both(abandoned ? this.reportDefect(exit) : undefined, refreshed))
  }

  /** Stores an outcome that is current, and completes the ending. */
  private conclude(flight: Flight, ending: Ending, current: boolean, now: number): Told {
    const { exit } = ending
    if (Exit.isSuccess(exit)) {
      const { age, reason, took = now - flight.startedAt } = flight
      if (reason !== "asked") ending.age = age
      return current ? this.keep(flight.key, exit, now, took, age) : undefined
    }
    const failed = Condition.failedCause(exit.cause)
    if (failed === undefined) {
      if (this.closed) ending.exit = Exit.die(new CacheClosed({ name: this.name }))
      else ending.interrupted = true
      return undefined
    }
    this.failures += 1
    if (!current) return undefined
    const { instead, told } = this.remember(flight.key, exit, failed, now)
    ending.instead = instead
    if (instead !== undefined) ending.age = now - instead.life.storedAt
    return told
  }

  private keep(
    key: unknown,
    exit: Exit.Success<unknown, unknown>,
    now: number,
    took?: number,
    age = 0
  ): Told {
    const { bounds, timeToLive } = this.parts
    const computed = this.compute("timeToLive", () => timeToLive(exit, key))
    const found = this.entries.get(key)
    const life = Core.lifetime(bounds, computed.millis, took ?? found?.stored?.life.took ?? 0, now - age)
    if (Core.freshness(life, now) === "gone") {
      if (found !== undefined) this.entries.remove(found)
      return computed.told
    }
    const { entry, told } = this.entryOf(key, found)
    this.put(entry, { exit, life }, now)
    entry.remembered = undefined
    return both(computed.told, told)
  }

  put(entry: Entry, stored: Stored, now: number): void {
    entry.stored = stored
    this.parts.events.observer?.unsafeObserve({
      _tag: "Stored",
      kind,
      name: this.name,
      key: entry.key,
      timeToLive: Duration.millis(stored.life.freshUntil - now)
    })
  }

  /** Remembers a failure for as long as the options say, and finds the value that stands in for it. */
  private remember(
    key: unknown,
    exit: Exit.Failure<unknown, unknown>,
    failed: Cache.Failed<unknown>,
    now: number
  ): { readonly instead: Stored | undefined; readonly told: Told } {
    const { bounds, negativeTimeToLive, staleIfError } = this.parts
    const negative = this.compute("negativeTimeToLive", () => negativeTimeToLive(failed, exit, key))
    const standIn = this.compute("staleIfError", () => staleIfError(failed, key))
    const problems = both(negative.told, standIn.told)
    const found = this.entries.get(key)
    const stored = found?.stored
    const instead =
      stored !== undefined && Core.standsIn(stored.life, standIn.millis, now) ? stored : undefined
    if (negative.millis === 0) return { instead, told: problems }
    const { entry, told } = this.entryOf(key, found)
    const until = now + Math.min(negative.millis, bounds.maxAge)
    entry.remembered = { exit, at: now, until, standIn: standIn.millis } satisfies Remembered
    return { instead, told: both(problems, told) }
  }

  entryOf(key: unknown, found: Entry | undefined): { readonly entry: Entry; readonly told: Told } {
    if (found !== undefined) {
      this.entries.use(found)
      return { entry: found, told: undefined }
    }
    const { entry, evicted } = this.entries.add(key)
    if (evicted === undefined) return { entry, told: undefined }
    this.evictions += 1
    return { entry, told: this.parts.events.emit.Evict?.({ key: evicted.key }) }
  }

  /** Calls a function of the options. If it throws or returns no duration, the result is zero, with a warning in the log. */
  compute(option: string, ask: () => DurationInput): { readonly millis: number; readonly told: Told } {
    let problem: unknown = "no duration"
    try {
      const millis = runtimeMillis(ask())
      if (millis !== undefined) return { millis, told: undefined }
    } catch (thrown) {
      problem = thrown
    }
    const message = `"${option}" of ${quoted(this.name)} gave no duration, so it counts as zero`
    return { millis: 0, told: Effect.logWarning(message, problem) }
  }

  /** Logs the defect of a background refresh, which no caller would see. */
  private reportDefect(exit: Exit.Exit<unknown, unknown>): Told {
    return Exit.isFailure(exit) && Condition.failedCause(exit.cause)?._tag === "Defect"
      ? Effect.logWarning(`a refresh of ${quoted(this.name)} died`, exit.cause)
      : undefined
  }

  // ------------------------------------------------------------------------------------------------- counting, telling

  private hit(entry: Entry, at: number, now: number): Told {
    this.entries.use(entry)
    this.hits += 1
    return this.parts.events.emit.Hit?.({ key: entry.key, age: Duration.millis(now - at) })
  }

  private miss(key: unknown): Told {
    this.misses += 1
    return this.parts.events.emit.Miss?.({ key })
  }

  private serveStale(ask: Ask, entry: Entry, stored: Stored, state: Cache.StaleState, now: number): Body {
    this.entries.use(entry)
    const age = now - stored.life.storedAt
    return after(this.countStale(entry.key, state, age), ask.render(stored.exit, state, age))
  }

  private countStale(key: unknown, state: Cache.StaleState, age: number): Told {
    this.stale += 1
    return this.parts.events.emit.Stale?.({ key, state, age: Duration.millis(age) })
  }

  // ---------------------------------------------------------------------------------------------------------- by hand

  get getOption() {
    return (key: unknown): Effect.Effect<Option.Option<unknown>> =>
      Effect.clockWith((clock) => {
        const stored = this.entries.get(key)?.stored
        return stored === undefined || Core.freshness(stored.life, Time.monotonicMillis(clock)) === "gone"
          ? Effect.succeedNone
          : Effect.succeedSome(stored.exit.value)
      })
  }

  get set() {
    return (key: unknown, value: unknown): Effect.Effect<void> =>
      Effect.clockWith((clock) => {
        if (this.closed) return Effect.die(new CacheClosed({ name: this.name }))
        this.overtake(key)
        const exit = Exit.succeed(value) as Exit.Success<unknown, never>
        const told = this.keep(key, exit, Time.monotonicMillis(clock))
        const life = this.entries.get(key)?.stored?.life
        return (
          both(told, this.parts.link?.set(key, value, life && life.keptUntil - life.storedAt)) ?? Effect.void
        )
      })
  }

  get invalidate() {
    return (key: unknown): Effect.Effect<void> => {
      const forget = Effect.sync(() => {
        this.overtake(key)
        const entry = this.entries.get(key)
        if (entry !== undefined) this.entries.remove(entry)
      })
      return this.parts.link?.invalidate(key, forget) ?? forget
    }
  }

  get invalidateAll(): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const flight of this.running) this.overtake(flight.key)
      this.entries.clear()
      return this.parts.link?.invalidateAll ?? Effect.void
    })
  }

  /** Detaches the lookup in flight, which began before the change: its outcome is for its waiters only. */
  private overtake(key: unknown): void {
    const flight = this.flights.get(key)
    if (flight === undefined) return
    this.flights.delete(key)
    if (this.isUnwanted(flight)) this.cancel(flight)
  }

  private cancel(flight: Flight): void {
    flight.cancelled = true
    if (this.flights.get(flight.key) === flight) this.flights.delete(flight.key)
    if (flight.fiber !== undefined) flight.fiber.unsafeInterruptAsFork(flight.fiber.id())
  }

  get snapshot(): Effect.Effect<Cache.Snapshot> {
    return Effect.sync(() => ({
      name: this.name,
      size: this.entries.size,
      inFlight: this.inFlight,
      waiting: this.waiting,
      hits: this.hits,
      misses: this.misses,
      stale: this.stale,
      lookups: this.lookups,
      refreshes: this.refreshes,
      failures: this.failures,
      evictions: this.evictions,
      ...this.parts.link?.counts
    }))
  }

  /** Ends all lookups, and waits for them. */
  get close(): Effect.Effect<void> {
    return Effect.withFiberRuntime((self) => {
      this.closed = true
      this.entries.clear()
      this.flights.clear()
      // A lookup that closes the cache does not wait for itself.
      const others = Array.from(this.running).filter(({ fiber }) => fiber !== self)
      return Fiber.interruptAll(others.flatMap(({ fiber }) => fiber ?? []))
    })
  }
}

class CacheImpl extends StoreImpl implements Cache.Cache<unknown, unknown, unknown> {
  private readonly lookup: (key: unknown) => Body

  constructor(parts: Parts, lookup: (key: unknown) => Body) {
    super(parts)
    this.lookup = (key) => Effect.provide(lookup(key), parts.context)
  }

  get get() {
    return (key: unknown) => this.lookUp(key, asValue, false)
  }

  get serve() {
    return (key: unknown) => this.lookUp(key, asServed, false)
  }

  get refresh() {
    return (key: unknown) => this.lookUp(key, asValue, true)
  }

  private lookUp<B>(key: unknown, render: Render<B>, forced: boolean): Effect.Effect<B, unknown> {
    const call: Body = Effect.withFiberRuntime((fiber) => {
      const ask: Ask = { key, lookup: this.lookup, render, forced }
      const clock = Time.clockOf(fiber)
      return forced ? this.askMasked(ask, clock) : this.ask(ask, clock)
    })
    return call as Effect.Effect<B, unknown>
  }
}

/** Whether a failure is remembered, so that it is too early for another lookup. */
const isFailing = ({ remembered }: Entry, now: number): boolean =>
  remembered !== undefined && now < remembered.until

// --------------------------------------------------------------------------------------------------------- definition

const shown: Stateful.Kind<Cache.Snapshot, never> = {
  kind,
  status: ({ size }) => (size === 0 ? "empty" : "filled"),
  actions: []
}

/** Inside, keys, values and errors are unknown: what comes out is what went in. */
interface StoreFamily extends Stateful.Family {
  readonly module: "CacheStore"
  readonly operations: Cache.StoreOperations<unknown, unknown, unknown, this["needed"]>
  readonly service: Cache.StoreService<this["needed"], unknown, unknown, unknown>
  readonly instance: Cache.Store<unknown, unknown, unknown>
  readonly options: Cache.StoreOptions<unknown, unknown, unknown>
  readonly settings: Cache.Settings
  readonly given: Cache.Given<unknown, unknown, unknown>
  readonly snapshot: Cache.Snapshot
}

interface CacheFamily extends Stateful.Family {
  readonly module: "Cache"
  readonly operations: Cache.Operations<unknown, unknown, unknown, this["needed"]>
  readonly service: Cache.Service<this["needed"], unknown, unknown, unknown>
  readonly instance: Cache.Cache<unknown, unknown, unknown>
  readonly options: Cache.Options<unknown, unknown, unknown>
  readonly settings: Cache.Settings
  readonly given: Cache.LookupOptions<unknown, unknown, unknown>
  readonly snapshot: Cache.Snapshot
}

const store: Stateful.Definition<StoreFamily> = {
  ...shown,
  module: "CacheStore",
  make: makeStore,
  check: (settings, defaultName, caller) => configure("store", settings, defaultName, caller),
  given: givenShapes.store,
  members: {
    cached: "combinator",
    served: "combinator",
    getOption: "call",
    set: "call",
    invalidate: "call",
    invalidateAll: "effect",
    snapshot: "effect"
  },
  scoped: true
}

export const stores = /*#__PURE__*/ Stateful.define(store)

export const caches = /*#__PURE__*/ Stateful.define<CacheFamily>({
  ...shown,
  module: "Cache",
  make,
  check: store.check,
  given: givenShapes.cache,
  members: { ...store.members, get: "call", serve: "call", refresh: "call" },
  scoped: true
})
