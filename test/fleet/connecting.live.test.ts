// A store that ends while its clients still connect.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as net from "node:net"
import { stores } from "../support/redisStores.js"
import { until } from "../support/until.js"

/** Accepts connections and says nothing. */
class SilentServer {
  readonly open = new Set<net.Socket>()
  private readonly server = net.createServer((socket) => {
    this.open.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => this.open.delete(socket))
    socket.resume()
  })

  get port(): number {
    return (this.server.address() as net.AddressInfo).port
  }

  readonly start = Effect.async<this>((resume) => {
    this.server.listen(0, "127.0.0.1", () => resume(Effect.succeed(this)))
  })

  readonly end = Effect.sync(() => {
    for (const socket of this.open) socket.destroy()
    this.server.close()
  })
}

const silentServer = Effect.acquireRelease(
  Effect.suspend(() => new SilentServer().start),
  (server) => server.end
)

/** A connection of the test's own, which is accepted after those that were begun before. */
const connected = (port: number) =>
  Effect.async<net.Socket>((resume) => {
    const socket = net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
  })

describe("a store that ends while it connects", () => {
  it.scopedLive.each(Object.entries(stores))("leaves no connection: %s", ([, { make }]) =>
    Effect.gen(function* () {
      const server = yield* silentServer
      const url = `redis://127.0.0.1:${server.port}`
      yield* Effect.scoped(make({ url }))
      const last = yield* connected(server.port)
      yield* until(
        Effect.sync(() => [...server.open].some(({ remotePort }) => remotePort === last.localPort)),
        (isAccepted) => isAccepted
      )
      last.destroy()
      const open = yield* until(
        Effect.sync(() => server.open.size),
        (count) => count === 0
      )
      assert.strictEqual(open, 0)
    })
  )
})
