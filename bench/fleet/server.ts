/** A real server on a free port, by default of Redis, which can be frozen, thawed, killed and started anew. */
import { Data, Effect, Schedule, type Scope } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"

export class ServerFailed extends Data.TaggedError("ServerFailed")<{ readonly message: string }> {}

export interface Options {
  /** Default: what `REDIS_SERVER` names, or `redis-server`. */
  readonly program?: string
  /** The arguments for a port, in the server's own folder. Default: a server that keeps nothing on disk. */
  readonly args?: (port: number) => ReadonlyArray<string>
  /** Succeeds when the server on a port answers. Default: a `PING`. */
  readonly answers?: (port: number) => Effect.Effect<unknown, unknown>
}

export interface Server {
  readonly port: number
  /** Its working directory. */
  readonly folder: string
  /** Stops the process where it is. Its connections stay open, and nothing answers. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
  readonly kill: Effect.Effect<void>
  /** Starts it again on the same port, empty. */
  readonly restart: Effect.Effect<void, ServerFailed>
  /** The answer to a command, as the text that came over the wire. */
  readonly ask: (...command: ReadonlyArray<string>) => Effect.Effect<string, ServerFailed>
}

const redisServer = process.env["REDIS_SERVER"] ?? "redis-server"

/** The version of the server, if there is one. */
export const version = (): string | undefined => {
  const { stdout } = spawnSync(redisServer, ["--version"], { encoding: "utf8" })
  return /v=(\S+)/.exec(stdout ?? "")?.[1]
}

/** The arguments of a server in plain text, which keeps nothing on disk. */
export const plain = (port: number): ReadonlyArray<string> => [
  "--port",
  String(port),
  "--bind",
  "127.0.0.1",
  "--save",
  "",
  "--appendonly",
  "no"
]

const pings = (port: number): Effect.Effect<unknown, ServerFailed> =>
  Effect.filterOrFail(
    ask(port, ["PING"]),
    (answer) => answer.startsWith("+PONG"),
    (message) => new ServerFailed({ message })
  )

/** Starts a server, which ends with the scope. */
export const start = ({ answers = pings, args = plain, program = redisServer }: Options = {}): Effect.Effect<
  Server,
  ServerFailed,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "server-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
    )
    const port = yield* freePort
    let child: ChildProcess | undefined

    const kill = Effect.async<void>((resume) => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null)
        return resume(Effect.void)
      child.once("exit", () => resume(Effect.void))
      // A frozen process takes no other signal.
      child.kill("SIGKILL")
    })
    const restart = Effect.gen(function* () {
      yield* kill
      let output = ""
      child = spawn(program, [...args(port)], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] })
      for (const written of [child.stdout, child.stderr])
        written?.on("data", (text: Buffer) => (output += text.toString()))
      yield* answers(port).pipe(
        Effect.retry({ times: 600, schedule: Schedule.spaced("50 millis") }),
        Effect.mapError(() => new ServerFailed({ message: `${program} does not answer:\n${output}` }))
      )
    })

    yield* Effect.addFinalizer(() => kill)
    yield* restart
    return {
      port,
      folder,
      kill,
      restart,
      freeze: Effect.sync(() => void child?.kill("SIGSTOP")),
      thaw: Effect.sync(() => void child?.kill("SIGCONT")),
      ask: (...command) => ask(port, command)
    }
  })

/**
 * A free port below those that systems give to outgoing connections: one of these might take the port while the server is down, or
 * even connect to itself.
 */
const freePort: Effect.Effect<number, ServerFailed> = Effect.suspend(() => tryPort(randomPort())).pipe(
  Effect.retry({ times: 20 })
)

const randomPort = (): number => 20_000 + Math.floor(Math.random() * 10_000)

const tryPort = (port: number): Effect.Effect<number, ServerFailed> =>
  Effect.async((resume) => {
    const server = net.createServer()
    server.on("error", ({ message }) => resume(new ServerFailed({ message })))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(port))))
  })

/** Sends one command over a connection of its own and returns what comes back until the server closes. */
const ask = (port: number, command: ReadonlyArray<string>): Effect.Effect<string, ServerFailed> =>
  Effect.async((resume) => {
    const socket = net.connect({ host: "127.0.0.1", port })
    let answer = ""
    const encoded = [command, ["QUIT"]].map(
      (words) =>
        `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`
    )
    socket.on("data", (chunk) => (answer += chunk.toString()))
    socket.on("error", ({ message }) => resume(new ServerFailed({ message })))
    socket.on("close", () =>
      resume(
        answer.startsWith("-") || answer === ""
          ? new ServerFailed({ message: answer.trim() })
          : Effect.succeed(answer.replace(/\+OK\r\n$/, ""))
      )
    )
    socket.write(encoded.join(""))
    return Effect.sync(() => socket.destroy())
  })

/** What Redis counted of its own commands. */
export interface Counted {
  readonly [command: string]: { readonly calls: number; readonly micros: number }
}

/** How often each command was called, and how long all of its calls took, since the server started. */
export const counted = (server: Server): Effect.Effect<Counted, ServerFailed> =>
  Effect.map(server.ask("INFO", "commandstats"), (text) =>
    Object.fromEntries(
      [...text.matchAll(/^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm)].map(([, command, calls, micros]) => [
        command,
        { calls: Number(calls), micros: Number(micros) }
      ])
    )
  )

/** What was counted between two readings. */
export const between = (before: Counted, after: Counted): Counted =>
  Object.fromEntries(
    Object.entries(after).map(([command, { calls, micros }]) => [
      command,
      {
        calls: calls - (before[command]?.calls ?? 0),
        micros: micros - (before[command]?.micros ?? 0)
      }
    ])
  )

export interface Scripts {
  /** Exchanges of news: these are made whether there are calls or not. */
  readonly exchanges: number
  /** Everything else that is asked of the store. */
  readonly requests: number
  /** Redis' own time for a script. */
  readonly micros: number
}

/** The scripts among the commands. An exchange reads how many processes live; no other script does. */
export const scripts = (counted: Counted): Scripts => {
  const of = (command: string) => counted[command] ?? { calls: 0, micros: 0 }
  const [evaluated, byDigest, exchanges] = [of("eval"), of("evalsha"), of("zcard").calls]
  const calls = evaluated.calls + byDigest.calls
  return { exchanges, requests: calls - exchanges, micros: (evaluated.micros + byDigest.micros) / calls }
}

/** The bytes that Redis holds for all of its keys, and their number. `MEMORY USAGE` counts every element. */
export const held = (
  server: Server
): Effect.Effect<{ readonly keys: number; readonly bytes: number }, ServerFailed> => {
  const script =
    "local n, b, c = 0, 0, '0' repeat local r = redis.call('SCAN', c, 'COUNT', 1000) c = r[1] for _, k in ipairs(r[2]) do " +
    "n = n + 1 b = b + redis.call('MEMORY', 'USAGE', k, 'SAMPLES', 0) end until c == '0' return n .. ' ' .. b"
  return Effect.map(server.ask("EVAL", script, "0"), (text) => {
    const [, keys, bytes] = /(\d+) (\d+)\r\n$/.exec(text) ?? []
    return { keys: Number(keys), bytes: Number(bytes) }
  })
}
