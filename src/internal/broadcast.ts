/** Events for followers. Each has a buffer and loses its own oldest ones; `PubSub.unsafeOffer` drops the newest for all. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type { Follower } from "./stream.js"
import * as Wait from "./wait.js"

class Buffered<A> implements Follower<A> {
  private buffer: Array<A> = []
  private wake: (() => void) | undefined

  constructor(
    private readonly capacity: number,
    private readonly followers: Set<Buffered<A>>
  ) {
    followers.add(this)
  }

  push(event: A): void {
    if (this.buffer.length === this.capacity) this.buffer.shift()
    this.buffer.push(event)
    this.wake?.()
  }

  private readonly arrival = Wait.forOthers<void>((resume) => {
    this.wake = () => resume(Effect.void)
    if (this.buffer.length > 0) this.wake()
  })

  readonly take: Effect.Effect<Chunk.Chunk<A>> = Effect.map(this.arrival, () => {
    const events = this.buffer
    this.buffer = []
    return Chunk.unsafeFromArray(events)
  })

  close(): void {
    this.followers.delete(this)
  }
}

export class Broadcast<A> {
  private readonly followers = new Set<Buffered<A>>()

  constructor(private readonly capacity: number) {}

  /** A new follower, which gets the events from now on. */
  follow(): Follower<A> {
    return new Buffered(this.capacity, this.followers)
  }

  publish(event: A): void {
    for (const follower of this.followers) follower.push(event)
  }
}
