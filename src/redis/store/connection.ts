/**
 * A connection to Redis that repairs itself. The client reconnects when a connection breaks; this replaces a client that has given up
 * or hears nothing any more, because a connection may be dead without being closed.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Time from "../../internal/time.js"
import * as Wait from "../../internal/wait.js"
import type { Script } from "./scripts.js"

/** A client of Redis as the store needs it, which either package implements. It connects, and connects again, by itself. */
export interface Client {
  readonly isReady: () => boolean
  /** Whether it has stopped trying to connect. */
  readonly isOver: () => boolean
  readonly evalsha: (
    digest: string,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string>
  ) => Promise<unknown>
  readonly eval: (text: string, keys: ReadonlyArray<string>, args: ReadonlyArray<string>) => Promise<unknown>
  /** Subscribes to a channel for as long as the client lives, over lost connections too. */
  readonly subscribe: (channel: string, listener: (message: string) => void) => Promise<unknown>
  /** Closes the connection without waiting for the server. */
  readonly destroy: () => void
}

/** What a client tells of itself. May be called at any time, before and after the client is made. */
export interface Watcher {
  readonly ready: () => void
  readonly failed: (error: unknown) => void
  readonly over: (error: unknown) => void
}

/** Makes a client and has it connect. */
export type Open = (watcher: Watcher) => Client

/** For how long a connection may leave requests unanswered, in milliseconds. */
const patience = 5_000

export class Connection {
  private client: Client | undefined
  /** Why there is no connection, as far as is known. */
  private error: unknown
  private wasReady = false
  /** Since when something has been unanswered, a request or the wish to connect. */
  private waitsSince: number | undefined
  /** Whether something has failed since the last answer. */
  private isTroubled = false
  /** Tells the present client from those before it. */
  private watched: object | undefined
  private readonly waiting = new Set<() => void>()
  private readonly restarts = new Set<(error: unknown) => void>()

  /** Called when it is worth asking again. */
  again: () => void = () => {}

  constructor(readonly open: Open) {}

  /** Runs a script, as soon as there is a connection. Fails at once when there can be none now. */
  run(
    script: Script,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string>
  ): Effect.Effect<unknown, unknown> {
    const request = Effect.flatMap(Effect.clock, (clock) =>
      Effect.suspend(() => {
        this.repair(Time.monotonicMillis(clock))
        return Effect.flatMap(this.connected, (client) => {
          this.waitsSince ??= Time.monotonicMillis(clock)
          return this.ask(async () => {
            try {
              return await client.evalsha(script.digest, keys, args)
            } catch (error) {
              if (!isUnknownScript(error)) throw error
              return await client.eval(script.text, keys, args)
            }
          })
        })
      })
    )
    // An answer that comes too late is news.
    return Effect.onInterrupt(request, () => Effect.sync(() => void (this.isTroubled = true)))
  }

  /** Makes a client. Throws what making it throws. */
  start(now: number): void {
    const watched = (this.watched = {})
    const isCurrent = () => this.watched === watched
    this.error = undefined
    this.wasReady = false
    this.waitsSince = now
    this.client = this.open({
      ready: () => {
        if (!isCurrent()) return
        this.wasReady = true
        this.error = undefined
        this.answered()
        this.wake()
      },
      failed: (error) => {
        if (!isCurrent()) return
        // The loss of a connection is no reason yet: the next one may be a moment away.
        if (!this.wasReady) this.error = error
        this.wasReady = false
        this.isTroubled = true
        this.waitsSince = undefined
        this.wake()
      },
      over: (error) => {
        if (!isCurrent()) return
        this.error = error
        this.isTroubled = true
        this.wake()
      }
    })
  }

  /** Calls a listener when the connection is given up, because another one to the same server may be as dead. */
  onRestart(listener: (error: unknown) => void): () => void {
    this.restarts.add(listener)
    return () => void this.restarts.delete(listener)
  }

  close(): void {
    this.watched = undefined
    this.client?.destroy()
    this.client = undefined
  }

  private repair(now: number): void {
    const isSilent = this.waitsSince !== undefined && now - this.waitsSince >= patience
    if (this.client !== undefined && !this.client.isOver() && !isSilent) return
    if (this.client !== undefined) {
      this.isTroubled = true
      const restarts = [...this.restarts]
      this.close()
      for (const restart of restarts) restart(new Error("the connection to Redis is dead"))
    }
    try {
      this.start(now)
    } catch (error) {
      this.error = error
    }
  }

  private get connected(): Effect.Effect<Client, unknown> {
    return Effect.suspend(() => {
      if (this.client?.isReady()) return Effect.succeed(this.client)
      if (this.error !== undefined) return Effect.fail(this.error)
      const change = Wait.forOthers<void>((resume) => {
        const wake = () => resume(Effect.void)
        this.waiting.add(wake)
        return Effect.sync(() => void this.waiting.delete(wake))
      })
      return Effect.zipRight(change, this.connected)
    })
  }

  private wake(): void {
    const waiting = [...this.waiting]
    this.waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Sends a request. An answer that no call waits for any more counts too: it shows that Redis answers again. */
  private ask(send: () => Promise<unknown>): Effect.Effect<unknown, unknown> {
    return Effect.tryPromise({
      try: async () => {
        try {
          const answer = await send()
          this.answered()
          return answer
        } catch (error) {
          this.isTroubled = true
          this.waitsSince = undefined
          throw error
        }
      },
      catch: (error) => error
    })
  }

  private answered(): void {
    this.waitsSince = undefined
    if (!this.isTroubled) return
    this.isTroubled = false
    this.again()
  }
}

const isUnknownScript = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith("NOSCRIPT")

/** A client may be ready before its subscriptions are, as with a cluster. */
const subscribeAgain = { times: 20, schedule: Schedule.spaced(Duration.millis(100)) }

/** Listens to a channel until the subscription is lost for good, and fails then. */
export const follow = (
  connection: Connection,
  channel: string,
  listener: (message: string) => void
): Effect.Effect<never, unknown> =>
  Effect.suspend(() => {
    let client: Client | undefined
    let forget = () => {}
    let ready = () => {}
    const isReady = Wait.forOthers<void>((resume) => {
      ready = () => resume(Effect.void)
      if (client?.isReady() === true) ready()
    })
    const subscribe = Effect.tryPromise({
      try: async () => client?.subscribe(channel, listener),
      catch: (error) => error
    })
    const lost = Wait.forOthers<never, unknown>((resume) => {
      const fail = (error: unknown) => resume(Effect.fail(error))
      forget = connection.onRestart(fail)
      try {
        client = connection.open({ ready: () => ready(), failed: () => {}, over: fail })
      } catch (error) {
        fail(error)
      }
    })
    const subscribed = Effect.zipRight(isReady, Effect.retry(subscribe, subscribeAgain))
    return Effect.ensuring(
      Effect.raceFirst(lost, Effect.zipRight(subscribed, Effect.never)),
      Effect.sync(() => {
        forget()
        client?.destroy()
      })
    )
  })
