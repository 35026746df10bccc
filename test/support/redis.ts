/** Real servers of Redis, in any state that a server can be in, and an administrator's client for them. */
import { Data, Effect, type Scope } from "effect"
import { createClient } from "redis"
import { type Options, type Server, start } from "../../bench/fleet/server.js"

export interface Start extends Omit<Options, "answers"> {
  /** What an administrator's client needs besides the port. */
  readonly admin?: Parameters<typeof createClient>[0]
}

/** The server did not do what it was asked for. */
export class Refused extends Data.TaggedError("Refused")<{ readonly cause: unknown }> {}

/** A server that a test kills, freezes and starts again, always on the same port. */
export interface RedisServer extends Omit<Server, "ask" | "restart"> {
  readonly url: string
  /** Starts it, empty, and waits until it answers. */
  readonly start: Effect.Effect<void>
  /** Asks as an administrator, over a connection of its own. */
  readonly ask: (...command: ReadonlyArray<string>) => Effect.Effect<unknown, Refused>
  /** All keys. */
  readonly keys: Effect.Effect<ReadonlyArray<string>, Refused>
  /** How many calls of a command it has had. */
  readonly calls: (command: string) => Effect.Effect<number, Refused>
}

/** A running server, which ends with the scope. */
export const redisServer = ({ admin, ...options }: Start = {}): Effect.Effect<
  RedisServer,
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const askAt =
      (port: number): RedisServer["ask"] =>
      (...command) =>
        Effect.tryPromise({
          try: async () => {
            const client = createClient({
              ...admin,
              socket: { host: "127.0.0.1", port, reconnectStrategy: false, ...admin?.socket } as {
                readonly port: number
              }
            })
            client.on("error", () => {})
            try {
              await client.connect()
              return await client.sendCommand([...command])
            } finally {
              client.destroy()
            }
          },
          catch: (cause) => new Refused({ cause })
        })

    const server = yield* start({ ...options, answers: (port) => askAt(port)("PING") })
    const ask = askAt(server.port)
    return {
      ...server,
      url: `redis://127.0.0.1:${server.port}`,
      start: Effect.orDie(server.restart),
      ask,
      keys: Effect.map(ask("KEYS", "*"), (keys) => (Array.isArray(keys) ? keys.map(String).sort() : [])),
      calls: (command: string) =>
        Effect.map(ask("INFO", "commandstats"), (info) =>
          Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(String(info))?.[1] ?? 0)
        )
    }
  }).pipe(Effect.orDie)
