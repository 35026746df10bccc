/** Caches of several processes that share one store, each by a line of its own that may fail. */
import { Duration, Effect, Schema, type Scope } from "effect"
import { Cache } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { through } from "../support/fleet.js"

export type Lookup = Effect.Effect<number, "down">

/**
 * What becomes of an operation: it works; it gets no answer; it works and its answer is lost; it fails at once.
 */
export type State = "up" | "frozen" | "answers lost" | "down"

/** A process's line to the store, whose state may change at any time. */
export class Line {
  state: State = "up"
  /** How long an operation takes. */
  millis = 0
  readonly asked: Array<string> = []
  readonly adapter: SharedStore.Adapter

  constructor(store: SharedStore.Adapter) {
    this.adapter = {
      ...through(
        () => store,
        (operation, self) => this.pass(operation, self)
      ),
      follow: (...given) => store.follow(...given)
    }
  }

  /** Its process dies: what that asks from now on never arrives. */
  cut(): void {
    this.state = "frozen"
  }

  private pass<A>(what: string, self: Effect.Effect<A, unknown>): Effect.Effect<A, unknown> {
    return Effect.suspend(() => {
      if (what !== "exchange") this.asked.push(what)
      switch (this.state) {
        case "frozen":
          return Effect.never
        case "down":
          return Effect.fail("ECONNREFUSED")
        case "answers lost":
          return Effect.zipRight(self, Effect.never)
        case "up":
          return this.millis === 0 ? self : Effect.delay(self, Duration.millis(this.millis))
      }
    })
  }
}

/** The options of a cache that these tests vary. */
export type Options = Partial<Omit<Cache.Options<string, number, "down">, "lookup">>

export interface Process {
  readonly cache: Cache.Cache<string, number, "down">
  readonly line: Line
}

/** What all processes have looked up so far. */
export class Fleet {
  readonly memory = new SharedStore.Memory()
  /** Which process looked up, in order. */
  readonly by: Array<string> = []
  running = 0
  most = 0

  /** A lookup that is counted. Without one of its own, a process finds how many lookups there have been. */
  private counted(name: string, lookup: Lookup): Lookup {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        this.by.push(name)
        this.most = Math.max(this.most, ++this.running)
      }),
      () => lookup,
      () => Effect.sync(() => void this.running--)
    )
  }

  process(
    name: string,
    options: Options = {},
    lookup: Lookup | ((key: string) => Lookup) = Effect.sync(() => this.by.length)
  ): Effect.Effect<Process, never, Scope.Scope> {
    return Effect.gen(this, function* () {
      const line = new Line(this.memory.adapter)
      const store = yield* SharedStore.make(line.adapter)
      const given: Cache.Options<string, number, "down"> = {
        name: "offers",
        lookup: (key) => this.counted(name, typeof lookup === "function" ? lookup(key) : lookup),
        timeToLive: "10 seconds",
        share: Share.values({ value: Schema.Number }),
        ...options
      }
      const made = Effect.provideService(Cache.make(given), SharedStore.SharedStore, store)
      return { cache: yield* made as Effect.Effect<Process["cache"], never, Scope.Scope>, line }
    })
  }
}

/** A lookup that takes so long, and ends as it is told. */
export const after = (millis: number, outcome: Lookup | number = 1): Lookup =>
  Effect.delay(typeof outcome === "number" ? Effect.succeed(outcome) : outcome, Duration.millis(millis))
