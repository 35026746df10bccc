/**
 * Events for whoever follows them, from a step that cannot wait: publishing is synchronous and free when nobody follows.
 * Each follower has a buffer of its own, so that a slow one loses its own oldest events and nobody else's.
 * (`PubSub.unsafeOffer` drops the newest event for all when one subscriber is slow, also with a sliding strategy.)
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

class Follower<A> {
  private buffer: Array<A> = []
  private wake: (() => void) | undefined

  constructor(private readonly capacity: number) {}

  push(event: A): void {
    if (this.buffer.length === this.capacity) this.buffer.shift()
    this.buffer.push(event)
    this.wake?.()
  }

  readonly take: Effect.Effect<Chunk.Chunk<A>> = Effect.async((resume) => {
    this.wake = () => {
      this.wake = undefined
      const events = this.buffer
      this.buffer = []
      resume(Effect.succeed(Chunk.unsafeFromArray(events)))
    }
    if (this.buffer.length > 0) this.wake()
    return Effect.sync(() => {
      this.wake = undefined
    })
  })
}

export class Broadcast<A> {
  private readonly followers = new Set<Follower<A>>()

  /** The events from the moment in which the stream is run. */
  readonly stream: Stream.Stream<A>

  constructor(capacity: number) {
    const follow = Effect.acquireRelease(
      Effect.sync(() => {
        const follower = new Follower<A>(capacity)
        this.followers.add(follower)
        return follower
      }),
      (follower) => Effect.sync(() => this.followers.delete(follower))
    )
    this.stream = Stream.unwrapScoped(
      Effect.map(follow, (follower) => Stream.repeatEffectChunk(follower.take))
    )
  }

  publish(event: A): void {
    for (const follower of this.followers) follower.push(event)
  }
}
