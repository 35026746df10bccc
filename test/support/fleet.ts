/** A fleet in one test: processes that share one store in memory, each with a wire to it that can be cut. */
import { Effect, type Scope } from "effect"
import { CircuitBreaker } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"

/** What is between a process and the store. */
export interface Wire {
  /** `dead` refuses at once, `silent` never answers, `lossy` does what it is asked but loses the answer. */
  state: "up" | "dead" | "silent" | "lossy"
  /** Whether announcements arrive. */
  announces: boolean
}

export interface Process {
  readonly wire: Wire
  readonly store: SharedStore.Service
}

/** The operations of a store, each passed through a function on its way. */
export const through = (
  adapter: () => SharedStore.Adapter,
  pass: <A>(operation: string, self: Effect.Effect<A, unknown>) => Effect.Effect<A, unknown>
): SharedStore.Operations<unknown> => {
  const over = <A>(operation: string, ask: (adapter: SharedStore.Adapter) => Effect.Effect<A, unknown>) =>
    pass(
      operation,
      Effect.suspend(() => ask(adapter()))
    )
  return {
    exchange: (news) => over("exchange", (adapter) => adapter.exchange(news)),
    take: (request) => over("take", (adapter) => adapter.take(request)),
    read: (request) => over("read", (adapter) => adapter.read(request)),
    write: (request) => over("write", (adapter) => adapter.write(request)),
    release: (key, holder) => over("release", (adapter) => adapter.release(key, holder))
  }
}

export const wired = (adapter: () => SharedStore.Adapter, wire: Wire): SharedStore.Adapter => ({
  ...through(adapter, (_, self) =>
    Effect.suspend(() => {
      switch (wire.state) {
        case "up":
          return self
        case "dead":
          return Effect.fail("connection refused")
        case "silent":
          return Effect.never
        case "lossy":
          return Effect.zipRight(self, Effect.fail("connection reset"))
      }
    })
  ),
  follow: (listener, again) =>
    adapter().follow((announcement) => {
      if (wire.announces && wire.state === "up") listener(announcement)
    }, again)
})

/** A store that processes share, and that can be replaced by an empty one. */
export class Fleet {
  private memory = new SharedStore.Memory()

  /** One more process. */
  process(options: SharedStore.Options = {}): Effect.Effect<Process, never, Scope.Scope> {
    const wire: Wire = { state: "up", announces: true }
    const adapter = wired(() => this.memory.adapter, wire)
    return Effect.map(SharedStore.make(adapter, options), (store) => ({ wire, store }))
  }

  /** The store starts anew and knows nothing. Its followers do not come back, so announcements are lost from now on. */
  restart(): void {
    this.memory = new SharedStore.Memory()
  }
}

export type Breaker = CircuitBreaker.CircuitBreakerFailing<SharedStore.StoreUnavailable>

/** A breaker of a process, shared in local mode unless the options say otherwise. */
export const breakerIn = (
  { store }: Process,
  options: CircuitBreaker.Options<SharedStore.StoreUnavailable>
): Effect.Effect<Breaker> =>
  CircuitBreaker.make({ name: "partner", share: Share.local(), ...options }).pipe(
    Effect.provideService(SharedStore.SharedStore, store)
  ) as Effect.Effect<Breaker>

/** So many processes with a breaker each. */
export const breakersIn = (
  fleet: Fleet,
  count: number,
  options: CircuitBreaker.Options<SharedStore.StoreUnavailable>
): Effect.Effect<ReadonlyArray<readonly [Breaker, Process]>, never, Scope.Scope> =>
  Effect.forEach(Array.from({ length: count }), (_, index) =>
    Effect.gen(function* () {
      const process = yield* fleet.process({ instance: `process ${index}` })
      return [yield* breakerIn(process, options), process] as const
    })
  )
