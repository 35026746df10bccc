/** One sampler for all viewers, which runs while there is one, and a bounded buffer for each viewer. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { forkInterruptible } from "../../internal/fork.js"
import * as Wait from "../../internal/wait.js"
import { difference, encoded, type Full, type State } from "./protocol.js"

/** How many differences a viewer may fall behind. After that it gets a full state when it reads on. */
export const buffer = 16

/** How long a viewer stays connected, in milliseconds. It connects again, and is asked again whether it may read. */
export const longestStay = 600_000

export interface Config {
  /** Reads all policies, given the state before. */
  readonly read: (before: State | undefined, at: number) => Effect.Effect<State>
  /** Milliseconds between two readings. */
  readonly interval: number
  readonly maxViewers: number
  /** Whether policies may be steered at all. */
  readonly steering: boolean
}

/** A page that is connected. */
export class Viewer {
  private pending: Array<string> = []
  /** Whether it needs a full state, because it is new or has fallen behind. */
  private isBehind = true
  private hasEnded = false
  private wake: (() => void) | undefined

  constructor(
    private readonly full: () => Full | undefined,
    readonly since: number,
    /** Whether the server that it is connected to still serves. */
    readonly isServed: Effect.Effect<boolean>
  ) {}

  /** How many messages are kept for it. */
  get size(): number {
    return this.pending.length
  }

  /** Adds a difference. It neither waits nor grows without bound. */
  offer(message: string): void {
    if (!this.isBehind) {
      if (this.pending.length < buffer) this.pending.push(message)
      else {
        this.pending = []
        this.isBehind = true
      }
    }
    this.wake?.()
  }

  end(): void {
    this.hasEnded = true
    this.wake?.()
  }

  private readonly arrival = Wait.forOthers<void>((resume) => {
    this.wake = () => {
      if (this.hasEnded || this.pending.length > 0 || (this.isBehind && this.full() !== undefined)) {
        this.wake = undefined
        resume(Effect.void)
      }
    }
    this.wake()
  })

  /** What comes next, and `undefined` at the end. */
  readonly take: Effect.Effect<string | undefined> = Effect.map(this.arrival, () => {
    if (this.hasEnded) return undefined
    const full = this.isBehind ? this.full() : undefined
    this.isBehind = this.isBehind && full === undefined
    const messages = full === undefined ? this.pending : [encoded("full", full)]
    this.pending = []
    return messages.join("")
  })
}

interface Sampler {
  fiber: Fiber.RuntimeFiber<unknown> | undefined
}

export class Hub {
  private readonly viewers = new Set<Viewer>()
  private state: State | undefined
  private sampler: Sampler | undefined
  private isClosed = false
  private run = 0

  constructor(private readonly config: Config) {}

  /** What all viewers see, if there are any. */
  get current(): State | undefined {
    return this.state
  }

  get size(): number {
    return this.viewers.size
  }

  /** Whether it reads the policies now. */
  get isSampling(): boolean {
    return this.sampler !== undefined
  }

  private readonly full = (): Full | undefined => {
    if (this.state === undefined) return undefined
    const { interval, steering } = this.config
    const { at, hidden, views } = this.state
    return { run: this.run, interval, steering, at, hidden, views: [...views.values()] }
  }

  /** A viewer for as long as the scope, or `undefined` when there is no room. The first one starts the sampler. */
  join(isServed: Effect.Effect<boolean>): Effect.Effect<Viewer | undefined, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (this.isClosed || this.viewers.size >= this.config.maxViewers) return Effect.succeed(undefined)
        if (this.run === 0) this.run = now
        const viewer = new Viewer(this.full, now, isServed)
        this.viewers.add(viewer)
        return Effect.as(this.start, viewer)
      }),
      (viewer) => {
        if (viewer === undefined) return Effect.void
        this.viewers.delete(viewer)
        viewer.end()
        return this.viewers.size === 0 ? this.stop : Effect.void
      }
    )
  }

  private readonly start = Effect.suspend(() => {
    if (this.sampler !== undefined) return Effect.void
    const sampler: Sampler = { fiber: undefined }
    this.sampler = sampler
    // Without the context of the request that happens to be the first, which would live as long.
    const sampling = Effect.mapInputContext(this.sampling(sampler), (_: Context.Context<never>) =>
      Context.empty()
    )
    return Effect.flatMap(forkInterruptible(sampling), (fiber) => {
      sampler.fiber = fiber
      return this.sampler === sampler ? Effect.void : Fiber.interruptFork(fiber)
    })
  })

  private readonly stop = Effect.suspend(() => {
    const fiber = this.sampler?.fiber
    this.sampler = undefined
    this.state = undefined
    return fiber === undefined ? Effect.void : Fiber.interruptFork(fiber)
  })

  private sampling(sampler: Sampler): Effect.Effect<never> {
    return this.sample(sampler).pipe(
      Effect.catchAllCause((cause) =>
        Effect.logWarning("the policies could not be read for the dashboard", cause)
      ),
      Effect.zipRight(Effect.sleep(Duration.millis(this.config.interval))),
      Effect.forever
    )
  }

  private sample(sampler: Sampler): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const at = yield* Clock.currentTimeMillis
      const before = this.state
      const after = yield* this.config.read(before, at)
      // Reading takes a while: all viewers may have left, and others come.
      if (this.sampler !== sampler) return
      this.state = after
      const message = before === undefined ? "" : encoded("delta", difference(before, after))
      for (const viewer of this.viewers) {
        if (at - viewer.since >= longestStay || !(yield* viewer.isServed)) viewer.end()
        else viewer.offer(message)
      }
    })
  }

  /** Ends what viewers get, for good. */
  readonly close: Effect.Effect<void> = Effect.sync(() => {
    this.isClosed = true
    for (const viewer of this.viewers) viewer.end()
  })
}
