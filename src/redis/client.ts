/** A client of node-redis as the store's connections need it. */
import type { Client as StoreClient, Watcher } from "./store/connection.js"

/**
 * What the store needs of a client: one of `createClient`, `createCluster` or `createSentinel`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client {
  readonly isOpen: boolean
  readonly isReady: boolean
  connect(): Promise<unknown>
  destroy(): unknown
  eval(script: string, options: { keys: Array<string>; arguments: Array<string> }): Promise<unknown>
  evalSha(digest: string, options: { keys: Array<string>; arguments: Array<string> }): Promise<unknown>
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>
  on(event: string, listener: (error: unknown) => void): unknown
}

/** Connects a client and tells how it fares. */
export const watched = (client: Client, watcher: Watcher): StoreClient => {
  let isOver = false
  let isDestroyed = false
  const over = (error: unknown) => {
    isOver = true
    watcher.over(error)
  }
  // The event is of the socket, of one node, or of all, before or after it is `isReady`.
  const check = () => {
    // A client that is destroyed while it connects goes on and keeps its socket.
    if (isDestroyed) void destroyed(client)
    else if (client.isReady) watcher.ready()
  }
  // These stay for good: an error without a listener ends the program.
  client.on("error", watcher.failed)
  client.on("terminated", over)
  client.on("ready", check)
  client.on("connect", check)
  if (!client.isOpen) client.connect().then(check, over)
  return {
    isReady: () => client.isReady,
    isOver: () => isOver,
    evalsha: (digest, keys, args) => client.evalSha(digest, { keys: [...keys], arguments: [...args] }),
    eval: (text, keys, args) => client.eval(text, { keys: [...keys], arguments: [...args] }),
    subscribe: (channel, listener) => client.subscribe(channel, listener),
    destroy: () => {
      isDestroyed = true
      void destroyed(client)
    }
  }
}

/** Destroys a client, in whatever state it is. */
const destroyed = async (client: Client): Promise<void> => {
  try {
    await client.destroy()
  } catch {
    // It was closed already.
  }
}
