// A client that decides on every byte it sends, for what well-behaved clients do not do: stop in the middle of a body, go on
// sending after the answer, or keep a connection that it does not use.
import { Effect, type Scope } from "effect"
import * as net from "node:net"
import { until } from "../../support/until.js"

export interface RawClient {
  readonly send: (text: string | Uint8Array) => Effect.Effect<void>
  /** Waits until the received text satisfies the predicate, and returns all of it. */
  readonly received: (holds: (text: string) => boolean) => Effect.Effect<string>
  /** Waits until the server has closed the connection, and returns all that was received. */
  readonly closed: Effect.Effect<string>
  readonly isClosed: Effect.Effect<boolean>
  /** How many bytes have left this client. */
  readonly sent: Effect.Effect<number>
  readonly leave: Effect.Effect<void>
}

/** Connects to a server. The connection ends with the scope. */
export const connect = (url: string): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(
      Effect.async<net.Socket>((resume) => {
        const { hostname, port } = new URL(url)
        const socket = net.connect({ host: hostname, port: Number(port) }, () =>
          resume(Effect.succeed(socket))
        )
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let text = ""
    let closed = false
    socket.on("data", (chunk) => (text += chunk.toString()))
    // A reset counts as an end.
    socket.on("error", () => {})
    socket.on("close", () => (closed = true))
    socket.on("end", () => (closed = true))
    const read = Effect.sync(() => text)
    return {
      send: (bytes) => Effect.sync(() => void socket.write(bytes)),
      received: (holds) => until(read, holds),
      closed: Effect.zipRight(
        until(
          Effect.sync(() => closed),
          (closed) => closed
        ),
        read
      ),
      isClosed: Effect.sync(() => closed),
      sent: Effect.sync(() => socket.bytesWritten),
      leave: Effect.sync(() => socket.destroy())
    }
  })

/** A request without a body. */
export const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: test\r\n\r\n`

/** The head of a request with a body of so many bytes. */
export const post = (path: string, length: number): string =>
  `POST ${path} HTTP/1.1\r\nhost: test\r\ncontent-length: ${length}\r\n\r\n`

/** The status of each response in what a client has received. */
export const statuses = (text: string): ReadonlyArray<number> =>
  Array.from(text.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => Number(status))
