/** A client of ioredis as the store's connections need it. */
import type { Client as StoreClient, Watcher } from "../redis/store/connection.js"

/**
 * What the store needs of a client: a `Redis` or a `Cluster`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client {
  readonly status: string
  /** The socket of a `Redis`. */
  readonly stream?: Destroyable | null | undefined
  /** The options of a client, of which the store sets one: it subscribes again itself. */
  readonly options?:
    { autoResubscribe?: boolean | undefined; enableOfflineQueue?: boolean | undefined } | undefined
  /** The nodes of a `Cluster`. */
  nodes?(): ReadonlyArray<{ readonly stream?: Destroyable | null | undefined }>
  connect(): Promise<unknown>
  disconnect(): void
  eval(script: string, keys: number, ...keysAndArguments: Array<string>): Promise<unknown>
  evalsha(digest: string, keys: number, ...keysAndArguments: Array<string>): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  on(event: string, listener: (first: unknown, second: unknown) => void): unknown
}

/**
 * A socket.
 *
 * @since 0.1.0
 * @category models
 */
export interface Destroyable {
  destroy(): unknown
}

/** Connects a client and tells how it fares. */
export const watched = (client: Client, watcher: Watcher): StoreClient => {
  let lastError: unknown
  if (client.nodes === undefined && client.options !== undefined) client.options.autoResubscribe = false
  // These stay for good: an error without a listener is printed.
  client.on("error", (error) => void (lastError = error))
  client.on("close", () => {
    watcher.failed(lastError ?? new Error("the connection was closed"))
    lastError = undefined
  })
  client.on("end", () => watcher.over(new Error("the client has given up to connect")))
  client.on("ready", () => watcher.ready())
  // A failure to connect is an event too.
  if (client.status === "wait") client.connect().catch(() => {})
  return {
    isReady: () => client.status === "ready",
    isOver: () => client.status === "end",
    evalsha: (digest, keys, args) => asked(client.evalsha(digest, keys.length, ...keys, ...args)),
    eval: (text, keys, args) => asked(client.eval(text, keys.length, ...keys, ...args)),
    subscribe: (channel, listener) => {
      client.on("message", (from, message) => {
        if (from === channel && typeof message === "string") listener(message)
      })
      // A cluster subscribes again itself. A `Redis` would too, but it ends the program when the connection breaks meanwhile, because
      // it lets the promise of its own subscription fail.
      if (client.nodes === undefined) {
        client.on("ready", () => {
          client.subscribe(channel).catch((error: unknown) => {
            if (client.status === "ready") watcher.over(error)
          })
        })
      }
      return client.subscribe(channel)
    },
    destroy: () => {
      const nodes = client.nodes?.() ?? []
      client.disconnect()
      // A server that hangs would never answer the end of the connection.
      for (const { stream } of [client, ...nodes]) stream?.destroy()
    }
  }
}

/** What a request is answered. One that was under way when the connection broke is not sent again, which ioredis says at length. */
const asked = async (request: Promise<unknown>): Promise<unknown> => {
  try {
    return await request
  } catch (error) {
    if (!(error instanceof Error && error.name === "MaxRetriesPerRequestError")) throw error
    throw new Error("the connection was lost", { cause: error })
  }
}
