// An upstream is stopped with SIGSTOP under load and continued later: its connections stay open and say nothing, which is
// the worst that an upstream can do. Nobody who asks the gateway may hang because of that.
import { HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { urlOf } from "../support/server.js"
import { type Answer, get, liveWithLog, type LogLine, until } from "../support/testing.js"
import { defaultLimits as limits } from "./gateway/policies.js"
import * as Gateway from "./gateway/server.js"
import * as Process from "./upstream/process.js"
import * as Upstream from "./upstream/server.js"

/** What follows from the time limits, and several times as much again for a machine that has other things to do. */
const longest = 8 * (Duration.toMillis(limits.queue) + Duration.toMillis(limits.request))

const start = Effect.gen(function* () {
  const stoppable = yield* Process.start({ name: "catalog", port: 0, onLine: () => Effect.void })
  const other = yield* Layer.build(Upstream.layer({ name: "orders", port: 0, behaviour: "fine" }))
  const gateway = yield* Layer.build(
    Gateway.layer({
      port: 0,
      catalog: stoppable.url,
      orders: urlOf(Context.get(other, HttpServer.HttpServer)),
      rate: 100_000,
      openFor: "300 millis",
      adminToken: Redacted.make("secret")
    })
  )
  return { ...stoppable, url: urlOf(Context.get(gateway, HttpServer.HttpServer)) }
})

describe("the gateway in front of an upstream that is stopped and continued", () => {
  it.scopedLive(
    "answers every request in time, and serves again",
    () => {
      const lines: Array<LogLine> = []
      return Effect.gen(function* () {
        const { cont, stop, url } = yield* start
        const answers: Array<Answer> = []
        const ask = (path: string) =>
          get(url + path).pipe(
            Effect.timeout(longest),
            Effect.tap((answer) => Effect.sync(() => answers.push(answer)))
          )
        /** How many of the latest answers have a status. */
        const since = (mark: number, status: (code: number) => boolean) =>
          Effect.sync(() => answers.slice(mark).filter((answer) => status(answer.status)).length)

        let isOver = false
        const caller = ask("/catalog/books").pipe(
          Effect.delay("20 millis"),
          Effect.repeat({ until: () => isOver })
        )
        const load = yield* Effect.fork(Effect.replicateEffect(caller, 16, { concurrency: "unbounded" }))
        yield* until(
          since(0, (status) => status === 200),
          (count) => count >= 30
        )

        yield* stop
        const stopped = answers.length
        yield* until(
          since(stopped, (status) => status >= 500),
          (count) => count >= 50
        )
        yield* until(ask("/orders/1"), ({ status }) => status === 200)
        // The circuit has tried in vain.
        yield* until(
          Effect.sync(() => lines),
          (logged) => logged.some(({ message }) => message === "circuit from half-open to open")
        )

        yield* cont
        const continued = answers.length
        yield* until(
          since(continued, (status) => status === 200),
          (count) => count >= 30
        )
        isOver = true
        yield* Fiber.join(load)

        const statuses = new Set(answers.map(({ status }) => status))
        assert.isTrue(statuses.has(503), "the circuit was never open")
        for (const status of statuses) assert.oneOf(status, [200, 502, 503, 504])
        assert.isBelow(Math.max(...answers.map(({ millis }) => millis)), longest)
        yield* until(ask("/catalog/books"), ({ status }) => status === 200)
      }).pipe(Effect.provide(liveWithLog(lines)))
    },
    120_000
  )
})
