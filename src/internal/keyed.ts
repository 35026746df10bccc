/**
 * One instance of a policy for each key, within bounds, for every stateful policy. The oldest instance that protects nothing
 * makes room for a new one; one that is open, queued or in use never does, however many new keys come. Looking up,
 * making room and forgetting cost the same at any number of keys, and need neither a fiber nor a timer.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { integer, InvalidOption } from "../core/options.js"
import type * as Policy from "../Policy.js"
import { optionMillis } from "./duration.js"
import * as Time from "./time.js"

/** The bounds of a keyed policy, as the user gives them. */
export interface Bounds {
  /** How many keys have an instance of their own. Default: 1000. */
  readonly capacity?: number | undefined
  /** How long an instance is kept after its last call. An infinite duration keeps it. Default: 10 minutes. */
  readonly idleTimeToLive?: Duration.DurationInput | undefined
  /**
   * What a new key gets when there is no room and nothing to make room with: `"share"`, one instance together with all
   * other such keys, or `"bypass"`, none at all. Default: `"share"`, because a flood of keys is no reason to stop
   * protecting.
   */
  readonly whenFull?: "share" | "bypass" | undefined
}

/** What an instance must be able to do. */
export interface Member<out Snapshot = unknown> {
  readonly snapshot: Effect.Effect<Snapshot>
  /** Whether forgetting the instance now would let something through that it holds back, or lose what it counts on. */
  readonly isProtecting: (now: number) => boolean
}

interface Entry<M> {
  readonly member: M
  inUse: number
  lastUsed: number
}

/** How many of the oldest instances are looked at for one that can go. More would make a flood of keys costly. */
const candidates = 8

/** How many of the oldest instances are looked at for one that has been idle too long, whenever a key is looked up. */
const expiries = 2

export class Keyed<M extends Member<Snapshot>, Snapshot> {
  /** In the order of the last use, oldest first: a map keeps the order in which keys were set. */
  private readonly entries = new Map<string, Entry<M>>()
  private nothingIdleBefore = -Infinity
  private shared: Entry<M> | undefined
  private readonly capacity: number
  private readonly idleMillis: number
  private readonly whenFull: "share" | "bypass"

  constructor(
    policy: string,
    bounds: Bounds,
    private readonly make: (key: string | undefined) => Effect.Effect<M>
  ) {
    this.capacity = integer(policy, "capacity", bounds.capacity ?? 1000, 1)
    this.idleMillis = optionMillis(policy, "idleTimeToLive", bounds.idleTimeToLive ?? "10 minutes", {
      infinite: true
    })
    this.whenFull = bounds.whenFull ?? "share"
    if (this.whenFull !== "share" && this.whenFull !== "bypass") {
      throw new InvalidOption(policy, "whenFull", this.whenFull, '"share" or "bypass"')
    }
  }

  /** How many keys have an instance of their own. */
  readonly size: Effect.Effect<number> = Effect.sync(() => this.entries.size)

  /** The instance of a key, if it has one. Looking for it is no use of it. */
  readonly find = (key: string): Effect.Effect<Option.Option<M>> =>
    Effect.sync(() => Option.map(Option.fromNullable(this.entries.get(key)), ({ member }) => member))

  /** The snapshots of all instances by key, the one least recently used first. */
  readonly snapshots: Effect.Effect<ReadonlyMap<string, Snapshot>> = Effect.suspend(() =>
    Effect.map(
      Effect.forEach(this.entries, ([key, { member }]) =>
        Effect.map(member.snapshot, (snapshot) => [key, snapshot] as const)
      ),
      (snapshots) => new Map(snapshots)
    )
  )

  /** Runs something with the instance of a key, which is not forgotten before that has ended. */
  use<A, E, R>(key: string, run: (member: M | undefined) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(this.entry(key), (entry) => {
        if (entry === undefined) return restore(run(undefined))
        entry.inUse += 1
        return Effect.ensuring(
          restore(run(entry.member)),
          Effect.clockWith((clock) =>
            Effect.sync(() => {
              entry.inUse -= 1
              entry.lastUsed = Time.monotonicMillis(clock)
            })
          )
        )
      })
    )
  }

  private entry(key: string): Effect.Effect<Entry<M> | undefined> {
    return Effect.clockWith((clock) => {
      const now = Time.monotonicMillis(clock)
      const found = this.entries.get(key)
      if (found !== undefined) {
        this.entries.delete(key)
        this.entries.set(key, found)
        found.lastUsed = now
        this.forgetIdle(now)
        return Effect.succeed(found)
      }
      this.forgetIdle(now)
      return this.entries.size < this.capacity || this.makeRoom(now)
        ? this.create(key, now)
        : this.overflow(now)
    })
  }

  private create(key: string, now: number): Effect.Effect<Entry<M> | undefined> {
    return Effect.flatMap(this.make(key), (member) => {
      // Another fiber may have been faster, for this key or for the last place. Nothing has been seen by ours yet.
      const faster = this.entries.get(key)
      if (faster !== undefined) return Effect.succeed(faster)
      if (this.entries.size >= this.capacity && !this.makeRoom(now)) return this.overflow(now)
      const entry: Entry<M> = { member, inUse: 0, lastUsed: now }
      this.entries.set(key, entry)
      return Effect.succeed(entry)
    })
  }

  private overflow(now: number): Effect.Effect<Entry<M> | undefined> {
    if (this.whenFull === "bypass" || this.shared !== undefined) return Effect.succeed(this.shared)
    return Effect.map(this.make(undefined), (member) => (this.shared ??= { member, inUse: 0, lastUsed: now }))
  }

  /** Forgets the oldest instance that can go. Those that cannot go to the back, so that the next look finds others. */
  private makeRoom(now: number): boolean {
    let looked = 0
    for (const [key, entry] of this.entries) {
      if (looked++ === candidates) return false
      this.entries.delete(key)
      if (entry.inUse === 0 && !entry.member.isProtecting(now)) return true
      this.entries.set(key, entry)
    }
    return false
  }

  /**
   * Forgets what has been idle for too long, and looks again when the oldest can have become so: a map whose entries keep
   * moving to its end takes long to find its first one.
   */
  private forgetIdle(now: number): void {
    if (now < this.nothingIdleBefore) return
    let looked = 0
    for (const [key, entry] of this.entries) {
      if (looked++ === expiries) return
      if (now - entry.lastUsed < this.idleMillis) {
        this.nothingIdleBefore = entry.lastUsed + this.idleMillis
        return
      }
      this.entries.delete(key)
      if (entry.inUse > 0 || entry.member.isProtecting(now)) this.entries.set(key, entry)
    }
  }
}

/** The options of an instance: the same for every key, or a function of it. */
type Each<O> = O | ((key: string) => O)

/** What the policies of a key are made of. */
export interface Instances<M extends Member<Snapshot>, Snapshot> {
  readonly members: Keyed<M, Snapshot>
  /** What the policy of a key says about itself. */
  readonly described: (key: string) => Policy.Described
}

/** Instances by key, each made where it is first used, with the services of whoever made this. */
export const instances = <
  O extends { readonly name?: string | undefined },
  M extends Member<Snapshot>,
  Snapshot
>(
  policy: string,
  kind: string,
  options: Bounds,
  each: Each<O>,
  check: (options: O, defaultName: string) => unknown,
  make: (options: O, defaultName: string) => Effect.Effect<M>
): Effect.Effect<Instances<M, Snapshot>> =>
  Effect.map(Effect.context<never>(), (context) => {
    // Options that are the same for every key are checked now, not at the first call.
    if (typeof each !== "function") check(optionsOf(kind, each, undefined), kind)
    return {
      members: new Keyed<M, Snapshot>(policy, options, (key) =>
        Effect.provide(make(optionsOf(kind, each, key), kind), context)
      ),
      described: (key) => ({ kind, name: optionsOf(kind, each, key).name, settings: { key } })
    }
  })

/** The options of the instance of a key, with the key in its name; those of the shared instance without one. */
const optionsOf = <O extends { readonly name?: string | undefined }>(
  kind: string,
  options: Each<O>,
  key: string | undefined
): O & { readonly name: string } => {
  const given = typeof options === "function" ? options(key ?? "*") : options
  return { ...given, name: `${given.name ?? kind}/${key ?? "*"}` }
}
