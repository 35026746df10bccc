/**
 * A `Ref` that can also be stepped synchronously. A policy decides inside its own operation, in one step that no other
 * fiber can get between, and everything `Ref` offers still works on the state from outside.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Readable from "effect/Readable"
import * as Ref from "effect/Ref"

export class Cell<in out A> extends Effectable.Class<A> implements Ref.Ref<A> {
  readonly [Ref.RefTypeId] = { _A: (value: A) => value }
  readonly [Readable.TypeId]: Readable.TypeId = Readable.TypeId
  readonly get: Effect.Effect<A> = Effect.sync(() => this.current)

  /** The state now. Assign to it only in the same synchronous step as it was read. */
  constructor(public current: A) {
    super()
  }

  commit(): Effect.Effect<A> {
    return this.get
  }

  modify<B>(f: (value: A) => readonly [B, A]): Effect.Effect<B> {
    return Effect.sync(() => {
      const [result, next] = f(this.current)
      this.current = next
      return result
    })
  }
}
