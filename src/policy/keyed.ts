/**
 * One instance of a policy for each key, within bounds. The oldest idle instance is evicted for a new one, unless it protects. Lookup
 * and eviction cost the same at any number of keys, without a fiber or a timer.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { among, type Caller, InvalidOption, join, type Shape, whole } from "../core/options.js"
import { type DurationInput, duration, optionMillis } from "../internal/duration.js"
import { inMask } from "../internal/inside.js"
import { Linked, type Links } from "../internal/linked.js"
import * as Time from "../internal/time.js"
import type { Restore } from "../internal/erased.js"

export const isKeyed = (u: unknown): u is { readonly snapshots: unknown } =>
  Predicate.hasProperty(u, "snapshots") && Predicate.hasProperty(u, "find")

/** The bounds of a keyed policy, as the user gives them. */
export interface Bounds {
  /** How many keys have an instance of their own. Default: 1000. */
  readonly capacity?: number | undefined
  /** How long an instance is kept after its last call. An infinite duration keeps it. Default: 10 minutes. */
  readonly idleTimeToLive?: DurationInput | undefined
  /** What a new key gets when no instance can be evicted: `"share"` (the default), one for all such keys, or `"bypass"`, none. */
  readonly whenFull?: "share" | "bypass" | undefined
}

export const boundsShape: Shape<Bounds> = {
  capacity: whole(1),
  idleTimeToLive: duration({ infinite: true }),
  whenFull: among("share", "bypass")
}

/** Rejects bounds where one instance serves all calls. */
export const refuseBounds = (caller: Caller, options: Bounds): void => {
  for (const bound of Object.keys(boundsShape) as ReadonlyArray<keyof Bounds>) {
    if (options[bound] === undefined) continue
    const option = join(caller.path, bound)
    throw new InvalidOption(caller.policy, option, options[bound], 'left out without a "key"')
  }
}

/** What keyed instances need of a policy. */
export interface Member<out Snapshot = unknown> {
  readonly snapshot: Effect.Effect<Snapshot>
  /** Whether evicting the instance now would weaken protection: it is open, or has queued calls. */
  readonly isProtecting: (now: number) => boolean
  /** Whether it may soon protect, so that it is only evicted when idle. Otherwise many failing keys would evict one another. */
  readonly hasEvidence?: (now: number) => boolean
}

class Entry<M> implements Links<Entry<M>> {
  inUse = 0
  previous: Entry<M> | undefined
  next: Entry<M> | undefined

  constructor(
    readonly key: string,
    readonly member: M,
    public lastUsed: number
  ) {}
}

/** How many of the oldest instances are examined for eviction. More would make a flood of keys costly. */
const candidates = 8

/** How many of the oldest instances each lookup examines for expiry. */
const expiries = 2

export class Keyed<M extends Member<Snapshot>, Snapshot> {
  private readonly entries = new Map<string, Entry<M>>()
  /** In the order of the last use, oldest first. To delete and set a key of the map again would cost eight times as much. */
  private readonly order = new Linked<Entry<M>>()
  private nothingIdleBefore = -Infinity
  private shared: Entry<M> | undefined
  private readonly capacity: number
  private readonly idleMillis: number
  private readonly whenFull: "share" | "bypass"
  /** What users see of it. An observer may hold that alone, and weakly: it lives as long as a policy of one of the keys. */
  owner: object | undefined

  constructor(
    policy: string,
    bounds: Bounds,
    private readonly make: (key: string | undefined) => Effect.Effect<M>
  ) {
    this.capacity = bounds.capacity ?? 1000
    this.idleMillis = optionMillis(policy, "idleTimeToLive", bounds.idleTimeToLive ?? "10 minutes", {
      infinite: true
    })
    this.whenFull = bounds.whenFull ?? "share"
  }

  /** All instances, the one that is shared by keys without room among them; or the one of a key. */
  members(key?: string): Iterable<M> {
    const entries =
      key === undefined
        ? [...this.order, ...(this.shared === undefined ? [] : [this.shared])]
        : [this.entries.get(key)]
    return entries.flatMap((entry) => (entry === undefined ? [] : entry.member))
  }

  readonly size: Effect.Effect<number> = Effect.sync(() => this.entries.size)

  readonly find = (key: string): Effect.Effect<Option.Option<M>> =>
    Effect.sync(() => Option.map(Option.fromNullable(this.entries.get(key)), ({ member }) => member))

  readonly snapshots: Effect.Effect<ReadonlyMap<string, Snapshot>> = Effect.suspend(() =>
    Effect.map(
      Effect.forEach([...this.order], ({ key, member }) =>
        Effect.map(member.snapshot, (snapshot) => [key, snapshot] as const)
      ),
      (snapshots) => new Map(snapshots)
    )
  )

  /** Runs something with the instance of a key, which is not evicted meanwhile. */
  use<A, E, R>(key: string, run: (member: M | undefined) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return inMask((restore, fiber) => this.useAt(key, run, restore, Time.clockOf(fiber)))
  }

  private useAt<A, E, R>(
    key: string,
    run: (member: M | undefined) => Effect.Effect<A, E, R>,
    restore: Restore,
    clock: Clock.Clock
  ): Effect.Effect<A, E, R> {
    const now = Time.monotonicMillis(clock)
    const holding = (entry: Entry<M> | undefined): Effect.Effect<A, E, R> => {
      if (entry === undefined) return restore(Effect.suspend(() => run(undefined)))
      const ended = (exit: Exit.Exit<A, E>): Exit.Exit<A, E> => {
        entry.inUse -= 1
        entry.lastUsed = Time.monotonicMillis(clock)
        return exit
      }
      const body = restore(run(entry.member))
      entry.inUse += 1
      return Effect.matchCauseEffect(body, {
        onFailure: (cause) => ended(Exit.failCause(cause)),
        onSuccess: (value) => ended(Exit.succeed(value))
      })
    }
    const found = this.entries.get(key)
    if (found === undefined) {
      this.forgetIdle(now)
      const hasRoom = this.entries.size < this.capacity || this.makeRoom(now)
      return Effect.flatMap(hasRoom ? this.create(key, now) : this.overflow(now), holding)
    }
    this.order.moveToEnd(found)
    found.lastUsed = now
    this.forgetIdle(now)
    return holding(found)
  }

  private create(key: string, now: number): Effect.Effect<Entry<M> | undefined> {
    return Effect.flatMap(this.make(key), (member) => {
      // Another fiber may have been faster, for this key or for the last place.
      const faster = this.entries.get(key)
      if (faster !== undefined) return Effect.succeed(faster)
      if (this.entries.size >= this.capacity && !this.makeRoom(now)) return this.overflow(now)
      const entry = new Entry(key, member, now)
      this.entries.set(key, entry)
      this.order.append(entry)
      return Effect.succeed(entry)
    })
  }

  private overflow(now: number): Effect.Effect<Entry<M> | undefined> {
    if (this.whenFull === "bypass" || this.shared !== undefined) return Effect.succeed(this.shared)
    return Effect.map(this.make(undefined), (member) => (this.shared ??= new Entry("*", member, now)))
  }

  private forget(entry: Entry<M>): void {
    this.order.remove(entry)
    this.entries.delete(entry.key)
  }

  /** Evicts the oldest instance that can go. Others move to the back, so that the next call examines different ones. */
  private makeRoom(now: number): boolean {
    for (let looked = 0; looked < candidates; looked++) {
      const oldest = this.order.first
      if (oldest === undefined) return false
      const { member } = oldest
      if (oldest.inUse === 0 && !member.isProtecting(now) && member.hasEvidence?.(now) !== true) {
        this.forget(oldest)
        return true
      }
      this.order.moveToEnd(oldest)
    }
    return false
  }

  /** Evicts instances that have been idle for too long, and notes when the next one can be. */
  private forgetIdle(now: number): void {
    if (now < this.nothingIdleBefore) return
    for (let looked = 0; looked < expiries; looked++) {
      const oldest = this.order.first
      if (oldest === undefined) return
      if (now - oldest.lastUsed < this.idleMillis) {
        this.nothingIdleBefore = oldest.lastUsed + this.idleMillis
        return
      }
      if (oldest.inUse > 0 || oldest.member.isProtecting(now)) this.order.moveToEnd(oldest)
      else this.forget(oldest)
    }
  }
}
