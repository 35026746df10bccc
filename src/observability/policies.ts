/** The registry: an observer that remembers what is made and what happens to it, and keeps none of it alive. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import { Broadcast } from "../internal/broadcast.js"
import { followed } from "../internal/stream.js"
import * as Time from "../internal/time.js"
import type * as Observer from "../policy/Observer.js"
import type * as Policy from "../policy/Policy.js"
import * as Stateful from "../policy/stateful.js"
import type * as Registry from "./Registry.js"
import { Tally } from "./tally.js"

/** What of the events is remembered: each change, and of those that may come with every call one a second. */
const noteworthy = new Map<string, "change" | "frequent">([
  ["StateChange", "change"],
  ["Configured", "change"],
  ["Resized", "change"],
  ["RateChanged", "change"],
  ["Exhausted", "change"],
  ["Recovered", "change"],
  ["Rejected", "frequent"],
  ["Refused", "frequent"],
  ["Timeout", "frequent"],
  ["Exceeded", "frequent"],
  ["Abort", "frequent"],
  ["Fallback", "frequent"]
])

const remembered = 20

const groupMillis = 1000

/** How many tallies there are. What comes later counts towards one of its kind that is called `other`. */
const mostTallies = 10_000

/** How many names there are of policies of a kind that have no instance: they are made within calls, so a name may be too. */
const mostNames = 1000

const other = "other"

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** What is known of one policy: an instance, or all policies without one of a kind and name. */
class Seen implements Observer.OfInstance, Registry.Entry {
  lastChange: Registry.Happening | undefined
  private readonly happenings: Array<Mutable<Registry.Happening>> = []
  private openedAt: number | undefined
  private running = 0
  private made: WeakRef<Registry.Instance> | undefined

  readonly name: string
  readonly family: string
  readonly key: string | undefined

  constructor(
    { family, key, name }: Pick<Registry.Entry, "name" | "family" | "key">,
    private readonly tally: Tally,
    private readonly clock: Clock.Clock,
    private readonly onMade: (seen: Seen, instance: object) => void
  ) {
    this.name = name
    this.family = family
    this.key = key
  }

  get kind(): string {
    return this.tally.kind
  }

  /** Of other kinds, some events are without their counterparts. */
  get inFlight(): number | undefined {
    return this.kind === "circuit-breaker" ? this.running : undefined
  }

  get totals(): Registry.Totals {
    return this.tally
  }

  get instance(): Registry.Instance | undefined {
    return this.made?.deref()
  }

  get recent(): ReadonlyArray<Registry.Happening> {
    return this.happenings.map((happening) => ({ ...happening }))
  }

  readonly unsafeMade = (instance: object): void => {
    this.made = new WeakRef(instance as Registry.Instance)
    this.onMade(this, instance)
  }

  readonly unsafeObserve = (event: Policy.Event): void => {
    this.tally.add(event)
    const { _tag } = event
    // Nearly all events are these, and comparing is cheaper than looking them up.
    if (_tag === "Admitted") {
      this.running += 1
      return
    }
    if (_tag === "Success") {
      this.running -= 1
      return
    }
    if (_tag === "Failure" || _tag === "Ignored" || _tag === "Interrupted") this.running -= 1
    const worth = noteworthy.get(_tag)
    if (worth === "change") this.changed(event)
    else if (worth === "frequent") this.happened(event)
  }

  private changed(event: Policy.Event): void {
    const happening = { at: Time.wallMillis(this.clock), event, count: 1 }
    // New settings say nothing of why the state is as it is.
    if (event._tag !== "Configured") this.lastChange = happening
    this.remember(happening)
    if (event._tag === "StateChange") this.recovers(event as CircuitBreaker.StateChange)
  }

  /** Measures the time from the opening of a closed circuit until it is closed again. */
  private recovers({ from, to }: CircuitBreaker.StateChange): void {
    const now = Time.monotonicMillis(this.clock)
    if (from === "closed" && to === "open") this.openedAt = now
    if (to === "open" || to === "half-open") return
    if (to === "closed" && this.openedAt !== undefined) {
      this.tally.distribution("circuit.recovery.duration").add(Duration.millis(now - this.openedAt))
    }
    this.openedAt = undefined
  }

  private happened(event: Policy.Event): void {
    const at = Time.wallMillis(this.clock)
    for (let index = this.happenings.length - 1; index >= 0; index--) {
      const before = this.happenings[index]
      if (before === undefined || at - before.at >= groupMillis) break
      if (before.event._tag !== event._tag) continue
      before.count += 1
      return
    }
    this.remember({ at, event, count: 1 })
  }

  private remember(happening: Registry.Happening): void {
    if (this.happenings.length === remembered) this.happenings.shift()
    this.happenings.push({ ...happening })
  }
}

/** An instance that is not by key, or a keyed policy, whose instances are asked for when it is read. */
export interface Place {
  readonly made: WeakRef<object>
  readonly change: Omit<Registry.Change, "_tag">
  /** The tallies of what is here. */
  readonly tallies: Set<Tally>
}

export interface Options {
  /** How many keys of a keyed policy have tallies of their own. */
  readonly keys: number
  readonly clock: Clock.Clock
}

/** How many changes a follower may fall behind before it loses its own oldest. */
const buffer = 64

const leastCrowd = 1024

/** Stands for the key of the instance that is shared by keys without room. */
const sharedKey = "*"

export class Policies implements Registry.Service, Observer.Service {
  readonly tallies = new Map<string, Tally>()
  /** Is called with each new tally. */
  onTally: ((tally: Tally) => void) | undefined
  private readonly places = new Set<Place>()
  private readonly tallied = new WeakMap<Tally, Set<Place>>()
  /** Where a thing is that is not gone. It keeps nothing alive. */
  private readonly placeOf = new WeakMap<object, Place>()
  private readonly seenOf = new WeakMap<object, Seen>()
  /** The policies without instances, by kind and then by name. */
  private readonly stateless = new Map<string, Map<string, Seen>>()
  private readonly broadcast = new Broadcast<Registry.Change>(buffer)
  /** How many places there may be before those whose policy is gone are looked for. */
  private crowd = leastCrowd

  constructor(private readonly options: Options) {}

  // ------------------------------------------------------------------------------------------------- as an observer

  /** Events of policies without an instance, and of instances that were made where another observer was. */
  readonly unsafeObserve = (event: Policy.Event): void => {
    const { kind, name } = event
    const seen = this.stateless.get(kind)?.get(name) ?? this.without(kind, name)
    seen.unsafeObserve(event)
  }

  /** The policies of a kind and name that have no instance, or, when there are too many names, of all others. */
  private without(kind: string, name: string): Seen {
    const named = this.stateless.get(kind) ?? new Map<string, Seen>()
    this.stateless.set(kind, named)
    const tally = this.tally(kind, named.size < mostNames ? name : other, undefined)
    const seen =
      named.get(tally.name) ?? this.seen({ name: tally.name, family: tally.name, key: undefined }, tally)
    named.set(tally.name, seen)
    return seen
  }

  readonly unsafeMaking = ({ isKeyed, kind, name }: Observer.Making): Observer.OfInstance => {
    if (isKeyed === true) return this.ofKeys(kind, name)
    const tally = this.tally(kind, name, undefined)
    return this.seen({ name, family: name, key: undefined }, tally, (instance) => {
      this.add(instance, { kind, name, isKeyed: false }, [tally])
    })
  }

  readonly unsafeLeft = (instance: object): void => {
    const place = this.placeOf.get(instance)
    if (place !== undefined) this.leave(place)
  }

  /** The observer of a keyed policy. The instance of each key has one of its own. */
  private ofKeys(kind: string, family: string): Observer.OfInstance {
    let place: Place | undefined
    const toldApart = new Set<string>()
    const label = (key: string): string | undefined => {
      if (this.options.keys === 0 || toldApart.has(key)) return this.options.keys === 0 ? undefined : key
      if (toldApart.size === this.options.keys) return other
      toldApart.add(key)
      return key
    }
    return {
      unsafeObserve: this.unsafeObserve,
      unsafeMade: (instance) => {
        place = this.add(instance, { kind, name: family, isKeyed: true }, [])
      },
      unsafeMaking: ({ key = sharedKey, name }) => {
        const tally = this.tally(kind, family, label(key))
        if (place !== undefined) this.counts(place, tally)
        return this.seen({ name, family, key }, tally)
      }
    }
  }

  private seen(
    named: Pick<Registry.Entry, "name" | "family" | "key">,
    tally: Tally,
    onMade?: (instance: object) => void
  ): Seen {
    return new Seen(named, tally, this.options.clock, (seen, instance) => {
      this.seenOf.set(instance, seen)
      onMade?.(instance)
    })
  }

  private add(instance: object, change: Place["change"], tallies: Iterable<Tally>): Place {
    if (this.places.size >= this.crowd) {
      for (const place of this.places) if (place.made.deref() === undefined) this.leave(place)
      this.crowd = Math.max(leastCrowd, 2 * this.places.size)
    }
    const place = { made: new WeakRef(instance), change, tallies: new Set<Tally>() }
    for (const tally of tallies) this.counts(place, tally)
    this.placeOf.set(instance, place)
    this.places.add(place)
    this.broadcast.publish({ _tag: "Made", ...change })
    return place
  }

  private counts(place: Place, tally: Tally): void {
    place.tallies.add(tally)
    this.placesOf(tally).add(place)
  }

  private leave(place: Place): void {
    if (!this.places.delete(place)) return
    for (const tally of place.tallies) this.placesOf(tally).delete(place)
    this.broadcast.publish({ _tag: "Left", ...place.change })
  }

  private tally(kind: string, name: string, key: string | undefined): Tally {
    const id = JSON.stringify([kind, name, key])
    const known = this.tallies.get(id)
    if (known !== undefined) return known
    if (this.tallies.size >= mostTallies && name !== other) return this.tally(kind, other, undefined)
    const tally = new Tally(kind, name, key)
    this.tallies.set(id, tally)
    this.onTally?.(tally)
    return tally
  }

  // ------------------------------------------------------------------------------------------------- as a registry

  private *entries(): Iterable<Seen> {
    for (const place of this.places) yield* this.seenAt(place)
    for (const named of this.stateless.values()) yield* named.values()
  }

  private *seenAt(place: Place, key?: string): Iterable<Seen> {
    const made = place.made.deref()
    if (made === undefined) return this.leave(place)
    for (const instance of place.change.isKeyed ? Stateful.membersOf(made, key) : [made]) {
      const seen = this.seenOf.get(instance as object)
      if (seen !== undefined) yield seen
    }
  }

  /** The instances that are counted in a tally and are still there. */
  instancesOf(tally: Tally): ReadonlyArray<Registry.Instance> {
    // A thousand tallies of keys must not go through all keys each.
    const key = tally.key === other || tally.key === sharedKey ? undefined : tally.key
    const found: Array<Registry.Instance> = []
    for (const place of this.placesOf(tally)) {
      const made = place.made.deref()
      // An instance that is not by key counts in no other tally, and need not be looked up.
      if (made !== undefined && !place.change.isKeyed) found.push(made as Registry.Instance)
      else {
        for (const { instance, totals } of this.seenAt(place, key))
          if (totals === tally && instance !== undefined) found.push(instance)
      }
    }
    return found
  }

  readonly changes: Stream.Stream<Registry.Change> = followed(() => this.broadcast.follow())

  readonly all = Effect.sync(() => [...this.entries()])

  readonly find = (name: string, kind?: string): Effect.Effect<ReadonlyArray<Registry.Entry>> =>
    Effect.map(this.all, (entries) =>
      entries.filter((entry) => entry.name === name && (kind === undefined || entry.kind === kind))
    )

  /** Where policies are that are counted in a tally. */
  placesOf(tally: Tally): Set<Place> {
    const known = this.tallied.get(tally)
    if (known !== undefined) return known
    const places = new Set<Place>()
    this.tallied.set(tally, places)
    return places
  }
}
