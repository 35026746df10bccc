// A service is told to stop while a request runs and another connection is open, as an orchestrator does with `SIGTERM`.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { get, live, put, until } from "../support/testing.js"
import * as Process from "./upstream/process.js"

describe("a service that gets SIGTERM", () => {
  it.scopedLive("answers new requests with 503 while one runs, and exits when that has ended", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const onLine = (line: string) => Effect.sync(() => void lines.push(line))
      const { exitCode, terminate, url } = yield* Process.start({ name: "catalog", port: 0, onLine })
      yield* put(`${url}/behaviour`, "hanging")
      const running = yield* Effect.fork(get(`${url}/books`))
      // Connections are served in their order, so that the one before is in when these have been answered.
      yield* Effect.replicateEffect(get(`${url}/behaviour`), 3)
      yield* terminate
      // A connection that is closed while it is idle may get a request in the same moment.
      const { headers } = yield* until(
        Effect.sandbox(get(`${url}/behaviour`)).pipe(Effect.retry({ times: 10 })),
        ({ status }) => status === 503
      )
      assert.strictEqual(headers["connection"], "close")
      assert.strictEqual(headers["retry-after"], "1")
      assert.include(lines.join("\n"), "shutting down")
      yield* Fiber.interrupt(running)
      assert.strictEqual(yield* until(exitCode, (code) => code !== null), 0)
    }).pipe(Effect.provide(live))
  )
})
