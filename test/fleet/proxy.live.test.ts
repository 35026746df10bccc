// The proxy of the fleet's proof, in front of a server that sends back what it receives.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as net from "node:net"
import { type Fault, make } from "../../bench/fleet/proxy.js"
import { connect } from "../http/support/rawClient.js"
import { until } from "../support/until.js"

/** An echo, which counts the bytes that reach it. */
const echo = Effect.gen(function* () {
  let received = 0
  const server = net.createServer((socket) => {
    socket.on("data", (chunk) => {
      received += chunk.length
      socket.write(chunk)
    })
    socket.on("error", () => {})
  })
  yield* Effect.acquireRelease(
    Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.sync(() => server.close())
  )
  return { port: (server.address() as net.AddressInfo).port, received: Effect.sync(() => received) }
})

const start = Effect.gen(function* () {
  const { port, received } = yield* echo
  const proxy = yield* make(port)
  const client = yield* connect(`http://127.0.0.1:${proxy.port}`)
  yield* client.send("hello ")
  yield* client.received((text) => text === "hello ")
  return { client, echoPort: port, proxy, received }
})

/** Connects and waits until the other side ends the connection. It may do so before the connection is known here. */
const turnedAway = (port: number) =>
  Effect.async<void>((resume) => {
    const socket = net.connect({ host: "127.0.0.1", port })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.void))
    socket.resume()
    return Effect.sync(() => socket.destroy())
  })

const reconnect = (port: number) => connect(`http://127.0.0.1:${port}`)

describe.concurrent("the proxy", () => {
  for (const fault of ["cut", "reset"] as const) {
    it.scoped(`ends every connection with "${fault}", and new ones, until the fault is over`, () =>
      Effect.gen(function* () {
        const { client, proxy } = yield* start
        yield* proxy.set(fault)
        assert.strictEqual(yield* client.closed, "hello ")
        yield* turnedAway(proxy.port)
        yield* proxy.set("none")
        const later = yield* reconnect(proxy.port)
        yield* later.send("again")
        assert.strictEqual(yield* later.received((text) => text.length === 5), "again")
      })
    )
  }

  it.scoped("passes half of an answer, then ends the connection", () =>
    Effect.gen(function* () {
      const { client, proxy, received } = yield* start
      yield* proxy.set("half")
      yield* client.send("12345678")
      assert.strictEqual(yield* client.closed, "hello 1234")
      assert.strictEqual(yield* received, 14)
    })
  )

  it.scoped("holds answers back while it is mute, and delivers them afterwards", () =>
    Effect.gen(function* () {
      const { client, proxy, received } = yield* start
      yield* proxy.set("mute")
      yield* client.send("late")
      yield* until(received, (count) => count === 10)
      // The echo has answered the first connection before this one, which still hears nothing.
      assert.strictEqual(yield* client.received(() => true), "hello ")
      yield* proxy.set("none")
      assert.strictEqual(yield* client.received((text) => text.length === 10), "hello late")
    })
  )

  it.scoped("holds requests back while it is silent, and delivers them afterwards", () =>
    Effect.gen(function* () {
      const { client, proxy, received } = yield* start
      yield* proxy.set("silent")
      yield* client.send("late")
      const other = yield* reconnect(proxy.port)
      yield* other.send("later")
      yield* until(other.sent, (count) => count === 5)
      assert.strictEqual(yield* received, 6)
      yield* proxy.set("none")
      assert.strictEqual(yield* client.received((text) => text.length === 10), "hello late")
      assert.strictEqual(yield* other.received((text) => text.length === 5), "later")
    })
  )

  it.scoped("keeps the order of bytes when a delay ends", () =>
    Effect.gen(function* () {
      const { client, echoPort, proxy, received } = yield* start
      yield* proxy.set({ delay: 50 })
      const startedAt = performance.now()
      yield* client.send("1")
      yield* until(received, (count) => count === 7)
      // When a later round trip is over, the answer to "1" has reached the proxy.
      const direct = yield* reconnect(echoPort)
      yield* direct.send("x")
      yield* direct.received((text) => text === "x")
      yield* proxy.set("none")
      yield* client.send("2")
      assert.strictEqual(yield* client.received((text) => text.length === 8), "hello 12")
      // A timer may fire a millisecond early, never earlier.
      assert.isAtLeast(performance.now() - startedAt, 98)
    })
  )

  it.scoped("closes its connections with its scope", () =>
    Effect.gen(function* () {
      const { port } = yield* echo
      const client = yield* Effect.scoped(
        Effect.gen(function* () {
          const proxy = yield* make(port)
          const client = yield* Effect.flatMap(Effect.scope, () => reconnect(proxy.port))
          yield* until(proxy.connections, (count) => count === 1)
          return client
        })
      )
      assert.strictEqual(yield* client.closed, "")
    })
  )

  it.scoped("has no connection left when both sides are gone", () => {
    const faults: ReadonlyArray<Fault> = ["none", "mute", { delay: 5 }]
    return Effect.forEach(faults, (fault) =>
      Effect.gen(function* () {
        const { client, proxy } = yield* start
        yield* proxy.set(fault)
        yield* client.send("x")
        yield* client.leave
        assert.strictEqual(yield* until(proxy.connections, (count) => count === 0), 0)
      })
    )
  })
})
