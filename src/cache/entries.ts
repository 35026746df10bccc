/**
 * The entries of a cache, within its capacity: the least recently used one is evicted. Each operation costs the same at any size.
 */
import type * as Exit from "effect/Exit"
import type * as Core from "../core/cache.js"
import { Linked, type Links } from "../internal/linked.js"
import { KeyMap } from "./keyMap.js"

/** A value, as the exit that gives it to a caller. */
export interface Stored {
  readonly exit: Exit.Success<unknown, unknown>
  readonly life: Core.Lifetime
}

/** A failure that is remembered: until it is over, nothing is looked up. */
export interface Remembered {
  readonly exit: Exit.Failure<unknown, unknown>
  readonly at: number
  readonly until: number
  /** How long after its freshness a value stands in for this failure. */
  readonly standIn: number
}

/** What is known about one key: a value, the failure to look up a newer one, or both. */
export class Entry implements Links<Entry> {
  stored: Stored | undefined
  remembered: Remembered | undefined
  /** The neighbours in the order of the last use. */
  previous: Entry | undefined
  next: Entry | undefined

  constructor(readonly key: unknown) {}
}

export class Entries {
  private readonly byKey = new KeyMap<unknown, Entry>()
  /** In the order of the last use, oldest first. */
  private readonly order = new Linked<Entry>()

  constructor(private readonly capacity: number) {}

  get size(): number {
    return this.byKey.size
  }

  get(key: unknown): Entry | undefined {
    return this.byKey.get(key)
  }

  /** Makes an entry the one used last. */
  use(entry: Entry): void {
    this.order.moveToEnd(entry)
  }

  /** A new entry for a key that has none, and the one that made room for it. */
  add(key: unknown): { readonly entry: Entry; readonly evicted: Entry | undefined } {
    const evicted = this.size < this.capacity ? undefined : this.order.first
    if (evicted !== undefined) this.remove(evicted)
    const entry = new Entry(key)
    this.byKey.set(key, entry)
    this.order.append(entry)
    return { entry, evicted }
  }

  remove(entry: Entry): void {
    this.byKey.delete(entry.key)
    this.order.remove(entry)
  }

  clear(): void {
    this.byKey.clear()
    this.order.clear()
  }
}
