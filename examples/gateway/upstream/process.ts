// An upstream in its own process, because only a process can be stopped with `kill -STOP`. It ends with its scope.
import { NodeStream } from "@effect/platform-node"
import { Data, Deferred, Effect, Stream } from "effect"
import { fork } from "node:child_process"
import { Readable } from "node:stream"
import { fileURLToPath } from "node:url"

/** An upstream that ended before it listened. */
class NotStarted extends Data.TaggedError("NotStarted")<{ readonly message: string }> {}

const root = fileURLToPath(new URL("../../..", import.meta.url))
const program = fileURLToPath(new URL("../upstream.ts", import.meta.url))

export interface Options {
  readonly name: string
  /** The port to listen on; 0 takes any free one. */
  readonly port: number
  /** Called with each line that it writes once it listens. */
  readonly onLine: (line: string) => Effect.Effect<void>
}

/** Starts an upstream and waits until it listens. */
export const start = ({ name, onLine, port }: Options) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        fork(program, ["--service", name, "--port", String(port)], {
          cwd: root,
          execArgv: ["--import", "tsx"],
          stdio: ["ignore", "pipe", "inherit", "ipc"]
        })
      ),
      // A stopped process would receive any other signal only when it is continued.
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const listening = yield* Deferred.make<string, NotStarted>()
    let last = ""
    const output = NodeStream.fromReadable(() => child.stdout ?? Readable.from([]), String)
    yield* output.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) => {
        const [, url] = /Listening on (http:\/\/[\d.:]+\d)/.exec((last = line)) ?? []
        return url === undefined ? onLine(line) : Effect.asVoid(Deferred.succeed(listening, url))
      }),
      Effect.ensuring(
        Effect.suspend(() => Deferred.fail(listening, new NotStarted({ message: `${name}: ${last}` })))
      ),
      Effect.forkScoped
    )
    const url = yield* Deferred.await(listening).pipe(
      Effect.timeoutFail({
        duration: "2 minutes",
        onTimeout: () => new NotStarted({ message: `${name} does not listen` })
      })
    )
    const signal = (name: NodeJS.Signals) => Effect.sync(() => child.kill(name))
    return {
      url,
      pid: child.pid,
      stop: signal("SIGSTOP"),
      cont: signal("SIGCONT"),
      terminate: signal("SIGTERM"),
      /** The exit code, once the process has ended by itself. */
      exitCode: Effect.sync(() => child.exitCode)
    }
  })
