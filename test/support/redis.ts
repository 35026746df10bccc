/** Real servers of Redis on free ports, in any state that a server can be in. */
import { Data, Effect, type Scope } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { createClient } from "redis"
import { until } from "./until.js"

const freePort = Effect.async<number>((resume) => {
  const server = net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

export interface Start {
  /** The arguments for a port; its own folder is the working directory. */
  readonly args?: (port: number) => ReadonlyArray<string>
  readonly program?: string
  /** What an administrator's client needs besides the port. */
  readonly admin?: Parameters<typeof createClient>[0]
}

/** The server did not do what it was asked for. */
export class Refused extends Data.TaggedError("Refused")<{ readonly cause: unknown }> {}

const defaults = (port: number): ReadonlyArray<string> => [
  ...["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
  // Debian's server says so at each start; nothing here is about it.
  ...["--loglevel", "warning"]
]

/** A server that a test kills, freezes and starts again, always on the same port. */
export class RedisServer {
  private process: childProcess.ChildProcess | undefined

  constructor(
    readonly port: number,
    readonly folder: string,
    private readonly options: Start
  ) {}

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Starts it, empty, and waits until it answers. */
  get start(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { args, program = "redis-server" } = this.options
      const child = childProcess.spawn(program, [...(args ?? defaults)(this.port)], {
        cwd: this.folder,
        stdio: "ignore"
      })
      this.process = child
      return Effect.asVoid(until(Effect.exit(this.ask("PING")), (exit) => exit._tag === "Success"))
    })
  }

  get kill(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const child = this.process
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
        return resume(Effect.void)
      }
      child.once("exit", () => resume(Effect.void))
      child.kill("SIGKILL")
    })
  }

  /** It keeps its connections and answers nothing. */
  readonly freeze = Effect.sync(() => void this.process?.kill("SIGSTOP"))
  readonly thaw = Effect.sync(() => void this.process?.kill("SIGCONT"))

  /** Asks as an administrator, over a connection of its own. */
  ask(...command: ReadonlyArray<string>): Effect.Effect<unknown, Refused> {
    return Effect.tryPromise({
      try: async () => {
        const client = createClient({
          ...this.options.admin,
          socket: {
            host: "127.0.0.1",
            port: this.port,
            reconnectStrategy: false,
            ...this.options.admin?.socket
          } as { readonly port: number }
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
  }

  /** All keys. */
  get keys(): Effect.Effect<ReadonlyArray<string>, Refused> {
    return Effect.map(this.ask("KEYS", "*"), (keys) => (Array.isArray(keys) ? keys.map(String).sort() : []))
  }

  /** How many calls of a command it has had. */
  calls(command: string): Effect.Effect<number, Refused> {
    return Effect.map(this.ask("INFO", "commandstats"), (info) =>
      Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(String(info))?.[1] ?? 0)
    )
  }
}

/** A running server, which ends with the scope. */
export const redisServer = (options: Start = {}): Effect.Effect<RedisServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-resilience-redis-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
    )
    const port = yield* freePort
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => new RedisServer(port, folder, options)),
      (server) => server.kill
    )
    yield* server.start
    return server
  })
