// Sends signals to an upstream in its own process. SIGSTOP under load, and SIGCONT later: the connections stay open and silent, the
// worst that an upstream can do, and no request to the gateway may hang because of it. And SIGTERM, as an orchestrator sends it,
// while a request runs and another connection is open.
import { HttpServer } from "@effect/platform"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { urlOf } from "../support/server.js"
import { type Answer, get, live, liveWithLog, type LogLine, put, until } from "../support/testing.js"
import { defaultLimits as limits } from "./gateway/policies.js"
import * as Gateway from "./gateway/server.js"
import * as Process from "./upstream/process.js"
import * as Upstream from "./upstream/server.js"

/** What follows from the time limits, and several times as much again for a machine that has other things to do. */
const longest = 8 * (Duration.toMillis(limits.queue) + Duration.toMillis(limits.request))

/** The upstream that gets the signals, and the lines that it writes. */
const written: Array<string> = []
const scope = Effect.runSync(Scope.make())
let upstream: Effect.Effect.Success<ReturnType<typeof Process.start>>

beforeAll(async () => {
  const onLine = (line: string) => Effect.sync(() => void written.push(line))
  const started = Process.start({ name: "catalog", port: 0, onLine })
  upstream = await Effect.runPromise(Scope.extend(started, scope))
})

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const start = Effect.gen(function* () {
  const other = yield* Layer.build(Upstream.layer({ name: "orders", port: 0, behaviour: "fine" }))
  const gateway = yield* Layer.build(
    Gateway.layer({
      port: 0,
      catalog: upstream.url,
      orders: urlOf(Context.get(other, HttpServer.HttpServer)),
      rate: 100_000,
      openFor: "300 millis",
      adminToken: Redacted.make("secret")
    })
  )
  return { url: urlOf(Context.get(gateway, HttpServer.HttpServer)) }
})

describe("the gateway in front of an upstream that is stopped and continued", () => {
  it.scopedLive(
    "answers every request in time, and serves again",
    () => {
      const lines: Array<LogLine> = []
      return Effect.gen(function* () {
        const { url } = yield* start
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
          Effect.delay("50 millis"),
          Effect.repeat({ until: () => isOver })
        )
        const load = yield* Effect.fork(Effect.replicateEffect(caller, 16, { concurrency: "unbounded" }))
        yield* until(
          since(0, (status) => status === 200),
          (count) => count >= 30
        )

        yield* upstream.stop
        // For the next test, wherever this one fails.
        yield* Effect.addFinalizer(() => upstream.cont)
        const stopped = answers.length
        yield* until(
          since(stopped, (status) => status >= 500),
          (count) => count >= 50
        )
        yield* until(ask("/orders/1"), ({ status }) => status === 200)
        // The probe of the circuit has failed.
        yield* until(
          Effect.sync(() => lines),
          (logged) => logged.some(({ annotations: { from, to } }) => from === "half-open" && to === "open")
        )

        yield* upstream.cont
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
    300_000
  )
})

describe("a service that gets SIGTERM", () => {
  it.scopedLive("answers new requests with 503 while one runs, and exits when that has ended", () =>
    Effect.gen(function* () {
      const { exitCode, terminate, url } = upstream
      yield* put(`${url}/behaviour`, "hanging")
      const running = yield* Effect.fork(get(`${url}/books`))
      // Connections are served in order: once these are answered, the earlier one is connected.
      yield* Effect.replicateEffect(get(`${url}/behaviour`), 3)
      yield* terminate
      // An idle connection may get a request at the moment it is closed.
      const { headers } = yield* until(
        Effect.sandbox(get(`${url}/behaviour`)).pipe(Effect.retry({ times: 10 })),
        ({ status }) => status === 503
      )
      assert.strictEqual(headers["connection"], "close")
      assert.strictEqual(headers["retry-after"], "1")
      assert.include(written.join("\n"), "shutting down")
      yield* Fiber.interrupt(running)
      assert.strictEqual(yield* until(exitCode, (code) => code !== null), 0)
    }).pipe(Effect.provide(live))
  )
})
