/**
 * A map that compares primitive keys by value, keys that implement `Equal` (such as `Data`) by `Equal`, and other objects by
 * identity. Primitive keys cost no more than in a plain map.
 */
import * as Equal from "effect/Equal"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"

export class KeyMap<K, V> {
  private readonly plain = new Map<K, V>()
  private readonly equal = MutableHashMap.empty<K, V>()

  get size(): number {
    return this.plain.size + MutableHashMap.size(this.equal)
  }

  get(key: K): V | undefined {
    return Equal.isEqual(key)
      ? Option.getOrUndefined(MutableHashMap.get(this.equal, key))
      : this.plain.get(key)
  }

  set(key: K, value: V): void {
    if (Equal.isEqual(key)) MutableHashMap.set(this.equal, key, value)
    else this.plain.set(key, value)
  }

  delete(key: K): void {
    if (Equal.isEqual(key)) MutableHashMap.remove(this.equal, key)
    else this.plain.delete(key)
  }

  clear(): void {
    this.plain.clear()
    MutableHashMap.clear(this.equal)
  }
}
