/**
 * What the processes of a fleet share: evidence, the state of circuits, rates, values. Policies with a `share` option need one; the
 * program provides it at its edge, from Redis or from memory.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as core from "../core/fleet/table.js"
import { object, type Shape, text } from "../core/options.js"
import { Broadcast } from "../internal/broadcast.js"
import { withoutSpan } from "../internal/context.js"
import { duration, type DurationInput, optionMillis } from "../internal/duration.js"
import { forkInterruptible, forkScoped } from "../internal/fork.js"
import { quoted } from "../internal/quoted.js"
import { followed } from "../internal/stream.js"
import * as Time from "../internal/time.js"
import * as Wait from "../internal/wait.js"
import { Hub } from "./hub.js"
import { randomName } from "./names.js"
import { overReason, reasonOf, StoreUnavailable } from "./storeUnavailable.js"

/**
 * @since 0.1.0
 * @category errors
 */
export { StoreUnavailable } from "./storeUnavailable.js"

// ------------------------------------------------------------------------------------------------------------- models

/**
 * @since 0.1.0
 * @category models
 */
export type {
  Announcement,
  Answer,
  Found,
  News,
  Read,
  Register,
  Report,
  Settled,
  Take,
  Taken,
  Verdict,
  View,
  Write
} from "../core/fleet/table.js"

/**
 * The operations of a store, each one atomic step. An adapter for another store implements these; it needs no deadlines, which
 * `make` adds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operations<E = StoreUnavailable> {
  /** Takes the news of a process and answers with what the fleet knows. The same sequence number counts once. */
  readonly exchange: (news: core.News) => Effect.Effect<core.Answer, E>
  /** Takes permits of a rate, or gives them back. */
  readonly take: (request: core.Take) => Effect.Effect<core.Taken, E>
  /** Reads a value, or gets the lease to look it up. */
  readonly read: (request: core.Read) => Effect.Effect<core.Found, E>
  /** Stores or forgets a value, under a lease or by hand; `false` when something newer has come in between. */
  readonly write: (request: core.Write) => Effect.Effect<boolean, E>
  /** Ends the lease of a holder without a value. */
  readonly release: (key: string, holder: string) => Effect.Effect<void, E>
}

/**
 * A store, before deadlines and health are added.
 *
 * @since 0.1.0
 * @category models
 */
export interface Adapter extends Operations<unknown> {
  /**
   * Calls a listener for each announcement while the scope is open, and `again` when a store that did not answer may do so again.
   * If it fails, it is started again. Announcements may be lost.
   */
  readonly follow: (
    listener: (announcement: core.Announcement) => void,
    again: () => void
  ) => Effect.Effect<void, unknown, Scope.Scope>
}

/**
 * Whether the store answers. `since` is milliseconds since the epoch, `reason` why the last operation failed.
 *
 * @since 0.1.0
 * @category models
 */
export type Health =
  | { readonly _tag: "Connected"; readonly since: number }
  | { readonly _tag: "Degraded"; readonly since: number; readonly reason: string }

/**
 * A change of {@link Health}: `Degraded` when the store stops answering, with the reason; `Recovered` when it answers again.
 *
 * @since 0.1.0
 * @category events
 */
export type Event =
  | { readonly _tag: "Degraded"; readonly at: number; readonly reason: string }
  | { readonly _tag: "Recovered"; readonly at: number; readonly degradedFor: Duration.Duration }

/**
 * A store as policies use it: every operation has a deadline, and while the store does not answer, operations fail at once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service extends Operations {
  readonly health: Effect.Effect<Health>
  /** A subscriber that falls more than 64 events behind loses the oldest. */
  readonly changes: Stream.Stream<Event>
  /** The living processes of the fleet, this one included, as of the last exchange. */
  readonly instances: Effect.Effect<number>
  /** @internal */
  readonly hub: Hub
  /** @internal Whether the store answered the last time it was asked. */
  readonly isConnected: () => boolean
}

/**
 * The options of every store.
 *
 * @since 0.1.0
 * @category options
 */
export interface Options {
  /** How often a process exchanges news with the store. What cannot wait is sent at once. Default: 1 second. */
  readonly interval?: DurationInput | undefined
  /** How long an operation may take. Default: 500 milliseconds. */
  readonly deadline?: DurationInput | undefined
  /**
   * The name of this process; no two of a fleet may share one. Under a name that outlasts a restart, such as that of a pod,
   * a process that restarts again and again counts as one that fails, not as many. Default: a random one.
   */
  readonly instance?: string | undefined
}

/** @internal */
export const optionsShape: Shape<Options> = {
  interval: duration(),
  deadline: duration(),
  instance: text
}

// ------------------------------------------------------------------------------------------------------------ service

/**
 * The store of a program.
 *
 * @since 0.1.0
 * @category services
 */
export class SharedStore extends Context.Tag("effect-resilience/SharedStore")<SharedStore, Service>() {}

/**
 * Makes a store of an adapter: adds deadlines and health, and exchanges news while the scope is open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (adapter: Adapter, options: Options = {}): Effect.Effect<Service, never, Scope.Scope> =>
  // The exchange goes on in the background, and belongs to no call.
  Effect.mapInputContext(exchanging(adapter, options), withoutSpan)

const exchanging = (adapter: Adapter, options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const caller = "SharedStore.make"
    object(caller, "", options, optionsShape)
    const interval = optionMillis(caller, "interval", options.interval ?? "1 second")
    const deadline = optionMillis(caller, "deadline", options.deadline ?? "500 millis")
    const instance = options.instance ?? (yield* randomName)
    const clock = yield* Effect.clock
    const runtime = yield* Effect.runtime<Scope.Scope>()
    const events = new Broadcast<Event>(64)
    let health: Health = { _tag: "Connected", since: Time.wallMillis(clock) }
    let isOver = false

    const succeeded = Effect.suspend(() => {
      if (isOver || health._tag === "Connected") return Effect.void
      const at = Time.wallMillis(clock)
      const degradedFor = Duration.millis(Math.max(0, at - health.since))
      health = { _tag: "Connected", since: at }
      events.publish({ _tag: "Recovered", at, degradedFor })
      const what = Duration.format(degradedFor)
      return Effect.logInfo(`the shared store answers again after ${what}`)
    })
    const failed = ({ reason }: StoreUnavailable) =>
      Effect.suspend(() => {
        if (health._tag === "Degraded") {
          // Said once, but known as it is now: a lost connection may come first, and a wrong password last.
          if (!isOver) health = { ...health, reason }
          return Effect.void
        }
        const at = Time.wallMillis(clock)
        health = { _tag: "Degraded", since: at, reason }
        events.publish({ _tag: "Degraded", at, reason })
        return Effect.logWarning(`the shared store does not answer, going on locally: ${quoted(reason)}`)
      })

    const unavailable = (operation: string, cause: unknown) =>
      new StoreUnavailable({ operation, reason: reasonOf(cause), cause })
    const late = (operation: string) =>
      new StoreUnavailable({ operation, reason: `no answer within ${deadline} ms`, cause: undefined })

    /** An operation with its deadline, whose outcome is the store's health. */
    const ask = <A>(operation: string, self: () => Effect.Effect<A, unknown>) =>
      Effect.suspend(() => (isOver ? Effect.fail(overReason) : self())).pipe(
        Effect.mapError((cause) => unavailable(operation, cause)),
        Effect.catchAllDefect((cause) => Effect.fail(unavailable(operation, cause))),
        withDeadline(deadline, () => late(operation)),
        Effect.tapBoth({ onFailure: failed, onSuccess: () => succeeded })
      )
    /** The same for an operation that a call waits for: while the store is away only the exchange asks it. */
    const unlessAway = <A>(operation: string, self: () => Effect.Effect<A, unknown>) =>
      Effect.suspend(() =>
        health._tag === "Degraded"
          ? Effect.fail(new StoreUnavailable({ operation, reason: health.reason, cause: undefined }))
          : ask(operation, self)
      )

    const exchange = (news: core.News) =>
      ask("exchange", () => Effect.map(adapter.exchange(news), (answer) => complete(answer, news)))
    const self = { instance, incarnation: yield* randomName }
    const hub = new Hub(exchange, self, interval, runtime)
    const follow = Effect.zipRight(
      Effect.suspend(() =>
        adapter.follow(
          (announcement) => hub.announce(announcement, Time.monotonicMillis(clock)),
          () => hub.again()
        )
      ),
      Effect.never
    )
    let saidLast = ""
    /** A process still learns of changes with its next exchange. While exchanges fail too, the log has said so already. */
    const deaf = (cause: Cause.Cause<unknown>) =>
      Effect.suspend(() => {
        const reason = reasonOf(Cause.squash(cause))
        if (health._tag === "Degraded" || reason === saidLast) return Effect.void
        saidLast = reason
        return Effect.logWarning(`announcements of the shared store are not heard: ${quoted(reason)}`)
      })
    const again = (cause: Cause.Cause<unknown>) => Effect.zipRight(deaf(cause), Time.sleep(interval))
    yield* forkScoped(Effect.forever(Effect.catchAllCause(Effect.scoped(follow), again)))
    yield* hub.run
    // Policies that outlive the store go on alone, as while it does not answer.
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isOver = true
        health = { _tag: "Degraded", since: Time.wallMillis(clock), reason: overReason }
      })
    )

    return {
      exchange,
      take: (request) => unlessAway("take", () => adapter.take(request)),
      read: (request) => unlessAway("read", () => adapter.read(request)),
      write: (request) => unlessAway("write", () => adapter.write(request)),
      release: (key, holder) => unlessAway("release", () => adapter.release(key, holder)),
      health: Effect.sync(() => health),
      changes: followed(() => events.follow()),
      instances: Effect.sync(() => hub.instances),
      hub,
      isConnected: () => health._tag === "Connected"
    }
  })

/**
 * Ends an operation at its deadline without waiting for it to end: an adapter may ignore interruptions, and a caller that gives back
 * what it holds cannot be interrupted.
 */
const withDeadline =
  <E2>(deadline: number, late: () => E2) =>
  <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E | E2> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(forkInterruptible(self), (fiber) => {
        let isLate = false
        let ring = (): void => {
          isLate = true
        }
        const wait = Wait.forOwn<Exit.Exit<A, E> | undefined>((resume) => {
          ring = () => resume(Effect.succeed(undefined))
          if (isLate) ring()
          else fiber.addObserver((exit) => resume(Effect.succeed(exit)))
        })
        const waited = Effect.exit(Wait.withAlarm(restore(wait), deadline, () => ring()))
        return Effect.flatMap(waited, (exit): Effect.Effect<A, E | E2> => {
          if (Exit.isSuccess(exit) && exit.value !== undefined) return exit.value
          fiber.unsafeInterruptAsFork(fiber.id())
          return Effect.flatMap(exit, () => Effect.fail(late()))
        })
      })
    )

/** An answer as it is, unless it lacks something. */
const complete = (answer: core.Answer, { reports }: core.News): core.Answer => {
  if (answer.views.length === reports.length) return answer
  throw new Error(`the answer to ${reports.length} reports has ${answer.views.length} views`)
}

// ------------------------------------------------------------------------------------------------------------- memory

/**
 * A store in memory, which several "processes" of a test share: each takes an adapter of it.
 *
 * @since 0.1.0
 * @category memory
 */
export class Memory {
  private readonly table = new core.Table()
  private readonly listeners = new Set<(announcement: core.Announcement) => void>()

  /** The store as one process sees it. */
  readonly adapter: Adapter = {
    exchange: (news) =>
      this.step((now) => {
        const { announcements, answer } = this.table.exchange(news, now)
        for (const announcement of announcements) {
          for (const listener of this.listeners) listener(announcement)
        }
        return answer
      }),
    take: (request) => this.step((now) => this.table.take(request, now)),
    read: (request) => this.step((now) => this.table.read(request, now)),
    write: (request) => this.step((now) => this.table.write(request, now)),
    release: (key, holder) => this.step((now) => this.table.release(key, holder, now)),
    follow: (listener) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => this.listeners.add(listener)),
          () => Effect.sync(() => this.listeners.delete(listener))
        )
      )
  }

  /** Forgets everything, as a store does that is started again empty. */
  readonly forget: Effect.Effect<void> = Effect.sync(() => this.table.forget())

  private step<A>(step: (now: number) => A): Effect.Effect<A> {
    return Effect.map(Effect.clock, (clock) => step(Time.monotonicMillis(clock)))
  }
}

/**
 * A store in memory for a program of one process: for development and tests, and as the default where there is no fleet.
 *
 * @since 0.1.0
 * @category layers
 */
export const memory: Layer.Layer<SharedStore> = Layer.scoped(
  SharedStore,
  Effect.suspend(() => make(new Memory().adapter))
)

/**
 * The layer of a store from its adapter.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  adapter: Effect.Effect<Adapter, E, R>,
  options?: Options
): Layer.Layer<SharedStore, E, Exclude<R, Scope.Scope>> =>
  Layer.scoped(
    SharedStore,
    Effect.flatMap(adapter, (adapter) => make(adapter, options))
  )
