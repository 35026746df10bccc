// A server of Node.js that ends with its scope.
import { Data, Effect } from "effect"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"

export class NotListening extends Data.TaggedError("NotListening")<{ readonly message: string }> {}

/** Listens on a port, where 0 is any free one, and returns the URL. */
export const listening = (server: Server, port: number) =>
  Effect.acquireRelease(
    Effect.async<string, NotListening>((resume) => {
      server.once("error", ({ message }) => resume(new NotListening({ message })))
      server.listen(port, "127.0.0.1", () =>
        resume(Effect.succeed(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
      )
    }),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
