/**
 * A TCP proxy between the processes of a fleet and their store, which does to connections what networks do: it cuts, resets, delays,
 * halves, or keeps silent.
 */
import { Effect, type Scope } from "effect"
import * as net from "node:net"

/**
 * - `none`: bytes pass.
 * - `cut`: connections end, and new ones end at once.
 * - `reset`: the same, by a reset.
 * - `half`: half of an answer arrives, then its connection ends.
 * - `mute`: requests arrive, answers are held back until the fault is over.
 * - `silent`: bytes of both sides are held back.
 * - `{ delay }`: bytes of both sides arrive so many milliseconds later.
 */
export type Fault = "none" | "cut" | "reset" | "half" | "mute" | "silent" | { readonly delay: number }

export interface Proxy {
  readonly port: number
  /** Applies a fault to all connections, those that exist too. */
  readonly set: (fault: Fault) => Effect.Effect<void>
  /** The open connections. */
  readonly connections: Effect.Effect<number>
}

/** One connection: what the client sent to the proxy, and what the proxy sent to the target. */
class Link {
  constructor(
    readonly client: net.Socket,
    readonly target: net.Socket
  ) {}

  end(): void {
    this.client.destroy()
    this.target.destroy()
  }

  apply(fault: Fault): void {
    if (fault === "cut") return this.end()
    if (fault === "reset") {
      this.client.resetAndDestroy()
      return void this.target.destroy()
    }
    // A paused socket keeps its bytes, as a network does that loses none in the end.
    if (fault === "silent") this.client.pause()
    else this.client.resume()
    if (fault === "silent" || fault === "mute") this.target.pause()
    else this.target.resume()
  }
}

/** Starts a proxy in front of a local port. Closing the scope ends it and its connections. */
export const make = (targetPort: number): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    let fault: Fault = "none"
    const links = new Set<Link>()

    /** Passes the bytes of one side on, later if they are to be late, and always in their order. */
    const pass = (from: net.Socket, to: net.Socket, arrived: (chunk: Buffer) => void): void => {
      const late: Array<Buffer> = []
      const next = () => {
        const chunk = late.shift()
        if (chunk !== undefined) arrived(chunk)
      }
      from.on("data", (chunk) => {
        const delay = typeof fault === "string" ? 0 : fault.delay
        if (delay === 0 && late.length === 0) return arrived(chunk)
        late.push(chunk)
        setTimeout(next, delay)
      })
      from.on("end", () => to.end())
      // Whatever ends one side ends the other: a reset, a failed connection, a timeout.
      from.on("error", () => to.destroy())
      from.on("close", () => to.destroy())
    }

    const server = net.createServer({ noDelay: true }, (client) => {
      if (fault === "cut") return void client.destroy()
      if (fault === "reset") return void client.resetAndDestroy()
      const target = net.connect({ host: "127.0.0.1", port: targetPort, noDelay: true })
      const link = new Link(client, target)
      links.add(link)
      client.on("close", () => links.delete(link))
      pass(client, target, (chunk) => {
        if (target.writable) target.write(chunk)
      })
      pass(target, client, (chunk) => {
        if (!client.writable) return
        if (fault !== "half") return void client.write(chunk)
        // The connection ends when the half has left.
        client.write(chunk.subarray(0, Math.ceil(chunk.length / 2)), () => link.end())
      })
      link.apply(fault)
    })

    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const link of links) link.end()
        })
    )
    const { port } = server.address() as net.AddressInfo
    return {
      port,
      set: (next) =>
        Effect.sync(() => {
          fault = next
          for (const link of links) link.apply(next)
        }),
      connections: Effect.sync(() => links.size)
    }
  })
