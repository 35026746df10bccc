// Service A in front of service B over real sockets: without policies, with each policy alone, and with all of them.
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Ref, Stream, TestClock } from "effect"
import { Observability } from "effect-resilience/observability"
import { serve, urlOf } from "../support/server.js"
import { type Answer, get, liveWithLog, live, type LogLine, until } from "../support/testing.js"
import { type Name, ServiceBCircuit } from "./a/policies.js"
import * as ServiceA from "./a/server.js"
import * as ServiceB from "./b/server.js"

/** Service A on a free port, observed as when it is started by hand. */
const startA = (options: Pick<ServiceA.Options, "serviceB" | "policy"> & Partial<ServiceA.Options>) =>
  Layer.build(
    ServiceA.layer({ port: 0, failuresInARow: 3, retryFor: "10 seconds", ...options }).pipe(
      Layer.provide(Observability.layer())
    )
  )

/** Both services on free ports, with what a test wants to do to them and know about them. */
const start = (policy: Name, behaviour: ServiceB.Behaviour, failuresInARow = 3) =>
  Effect.gen(function* () {
    const b = yield* Layer.build(ServiceB.layer({ port: 0, behaviour }))
    const serviceB = urlOf(Context.get(b, HttpServer.HttpServer))
    const a = yield* startA({ serviceB, policy, failuresInARow })
    const url = urlOf(Context.get(a, HttpServer.HttpServer))
    const { behaviour: current, received } = Context.get(b, ServiceB.ServiceB)
    return {
      url,
      ask: get(url),
      circuit: Context.get(a, ServiceBCircuit),
      received: Ref.get(received),
      /** Asks until service A gives an answer without asking service B. On a slow machine a circuit may be half-open by now. */
      askWhileOpen: until(
        Effect.gen(function* () {
          const before = yield* Ref.get(received)
          const answer = yield* get(url)
          return { answer, calls: (yield* Ref.get(received)) - before }
        }),
        ({ calls }) => calls === 0
      ),
      switchB: (to: ServiceB.Behaviour) => Ref.set(current, to)
    }
  })

const answered = { messageA: "hello from service A", messageB: "hello from service B" }
const fellBack = { messageA: "hello from service A", messageB: "error accessing service B" }

/** The logged changes of the circuit breaker. */
const changesIn = (lines: ReadonlyArray<LogLine>): ReadonlyArray<LogLine> =>
  lines.filter(({ annotations }) => annotations.event === "StateChange")

/** A failure as a caller may see it: a status, one sentence, and nothing from inside. */
const assertFailure = (answer: Answer, status: number, error: string): void => {
  assert.strictEqual(answer.status, status)
  assert.deepStrictEqual(answer.body, { error })
}

describe.concurrent("service A", () => {
  for (const policy of [
    "none",
    "timeout",
    "retry",
    "circuit-breaker",
    "circuit-breaker-wait",
    "fallback",
    "rate-limit",
    "composition"
  ] as const) {
    // The clock stands still: no limit fires, however slow the machine is.
    it.scoped(`answers with the reply of a healthy service B (${policy})`, () =>
      Effect.gen(function* () {
        const { ask, received } = yield* start(policy, "healthy")
        const answer = yield* ask
        assert.strictEqual(answer.status, 200)
        assert.deepStrictEqual(answer.body, answered)
        assert.strictEqual(yield* received, 1)
      }).pipe(Effect.provide(live))
    )
  }

  it.scopedLive("without policies passes on the failure of service B", () =>
    Effect.gen(function* () {
      const { ask } = yield* start("none", "down")
      const answer = yield* ask
      assertFailure(answer, 502, "service B answered with status 503")
      assert.strictEqual(answer.headers["retry-after"], "1")
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("without policies says that service B cannot be reached", () =>
    Effect.gen(function* () {
      const a = yield* startA({ serviceB: "http://127.0.0.1:1", policy: "none" })
      const answer = yield* get(urlOf(Context.get(a, HttpServer.HttpServer)))
      assertFailure(answer, 502, "service B cannot be reached")
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("with a timeout gives up on a hanging service B after a second, and tells it so", () => {
    const lines: Array<LogLine> = []
    return Effect.gen(function* () {
      const { ask } = yield* start("timeout", "hanging")
      const answer = yield* ask
      assertFailure(answer, 504, "service B took too long to answer")
      assert.isAtLeast(answer.millis, 950)
      // Service B stops working on a request whose caller has left.
      yield* until(
        Effect.sync(() => lines),
        (logged) => logged.some(({ annotations }) => annotations.status === 499)
      )
    }).pipe(Effect.provide(liveWithLog(lines)))
  })

  it.scopedLive("with a retry asks again a second after a 503", () =>
    Effect.gen(function* () {
      const { ask, received, switchB } = yield* start("retry", "down")
      const asking = yield* Effect.fork(ask)
      yield* until(received, (count) => count === 1)
      yield* switchB("healthy")
      const answer = yield* asking
      assert.deepStrictEqual(answer.body, answered)
      assert.isAtLeast(answer.millis, 950)
      assert.strictEqual(yield* received, 2)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("with a retry gives up after three attempts", () =>
    Effect.gen(function* () {
      const { ask, received } = yield* start("retry", "down")
      const answer = yield* ask
      assertFailure(answer, 502, "service B answered with status 503")
      assert.isAtLeast(answer.millis, 2950)
      assert.strictEqual(yield* received, 3)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("with a circuit breaker leaves service B alone for as long as its Retry-After says", () =>
    Effect.gen(function* () {
      const { ask, askWhileOpen, circuit, switchB } = yield* start("circuit-breaker", "down")
      yield* Effect.replicateEffect(ask, 3)
      const { answer: rejected } = yield* askWhileOpen
      assertFailure(rejected, 503, "service B has been failing and is not called for now")
      assert.strictEqual(rejected.headers["retry-after"], "1")

      yield* switchB("healthy")
      yield* until(circuit.state, (state) => state === "half-open")
      assert.deepStrictEqual((yield* ask).body, answered)
      assert.strictEqual(yield* circuit.state, "closed")
    }).pipe(Effect.provide(live))
  )

  it.scopedLive(
    "with a circuit breaker and time to wait sees it open, half-open and closed in one request",
    () => {
      const lines: Array<LogLine> = []
      return Effect.gen(function* () {
        const { ask, circuit, received, switchB } = yield* start("circuit-breaker-wait", "down", 1)
        const asking = yield* Effect.fork(ask)
        yield* until(received, (count) => count === 2)
        yield* switchB("healthy")
        const answer = yield* asking
        assert.deepStrictEqual(answer.body, answered)
        assert.strictEqual(yield* circuit.state, "closed")
        const changes = changesIn(lines)
        assert.deepStrictEqual(
          changes.map(({ annotations: { from, to } }) => `${from} to ${to}`),
          [
            "closed to open",
            "open to half-open",
            "half-open to open",
            "open to half-open",
            "half-open to closed"
          ]
        )
      }).pipe(Effect.provide(liveWithLog(lines)))
    }
  )

  it.scopedLive("with a fallback answers for service B", () =>
    Effect.gen(function* () {
      const { ask } = yield* start("fallback", "down")
      const answer = yield* ask
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(answer.body, fellBack)
    }).pipe(Effect.provide(live))
  )

  it.scoped("with a rate limit lets ten callers at once through at five a second, for a second", () =>
    Effect.gen(function* () {
      const { ask, received } = yield* start("rate-limit", "healthy")
      const answers: Array<Answer> = []
      const asking = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 10 }, () => Effect.map(ask, (answer) => answers.push(answer))),
          { concurrency: "unbounded" }
        )
      )
      const servedOf = () => answers.filter(({ status }) => status === 200).length
      // The first at once, and one every 200 milliseconds of the second that a call may wait.
      yield* until(
        Effect.sync(() => answers.length),
        (count) => count === 5
      )
      assert.strictEqual(servedOf(), 1)
      yield* TestClock.adjust("1 second")
      yield* asking
      assert.strictEqual(servedOf(), 6)
      assert.strictEqual(yield* received, 6)
      for (const answer of answers.filter(({ status }) => status !== 200)) {
        assertFailure(answer, 429, "too many calls to service B")
        assert.match(String(answer.headers["retry-after"]), /^[12]$/)
      }
    }).pipe(Effect.provide(live))
  )

  describe("with all policies", () => {
    it.scopedLive("falls back when the timeout fires, and at once while the circuit is open", () =>
      Effect.gen(function* () {
        const { ask, askWhileOpen, circuit, switchB } = yield* start("composition", "hanging")
        const slow = yield* Effect.all([ask, ask, ask], { concurrency: "unbounded" })
        for (const answer of slow) assert.deepStrictEqual(answer.body, fellBack)
        const { answer: fast } = yield* askWhileOpen
        assert.deepStrictEqual(fast.body, fellBack)

        yield* switchB("healthy")
        const recovered = yield* until(ask, ({ body }) => JSON.stringify(body) === JSON.stringify(answered))
        assert.strictEqual(recovered.status, 200)
        assert.strictEqual(yield* circuit.state, "closed")
      }).pipe(Effect.provide(live))
    )

    it.scopedLive("falls back when the retries are exhausted", () =>
      Effect.gen(function* () {
        const { ask, circuit, received } = yield* start("composition", "down", 4)
        const answer = yield* ask
        assert.strictEqual(answer.status, 200)
        assert.deepStrictEqual(answer.body, fellBack)
        assert.isAtLeast(answer.millis, 2950)
        assert.strictEqual(yield* received, 3)
        assert.strictEqual(yield* circuit.state, "closed")
      }).pipe(Effect.provide(live))
    )
  })

  it.scopedLive("counts a response that never ends as a missing one", () => {
    const body = Stream.concat(Stream.encodeText(Stream.make(`{"message":`)), Stream.never)
    const endless = HttpRouter.empty.pipe(HttpRouter.get("/", HttpServerResponse.stream(body)))
    return Effect.gen(function* () {
      const b = yield* Layer.build(serve(endless, 0))
      const serviceB = urlOf(Context.get(b, HttpServer.HttpServer))
      const timeout = yield* startA({ serviceB, policy: "timeout" })
      const composition = yield* startA({ serviceB, policy: "composition", failuresInARow: 1 })
      const ask = (a: Context.Context<HttpServer.HttpServer>) =>
        get(urlOf(Context.get(a, HttpServer.HttpServer)))

      assertFailure(yield* ask(timeout), 504, "service B took too long to answer")
      assert.deepStrictEqual((yield* ask(composition)).body, fellBack)
      assert.strictEqual(yield* Context.get(composition, ServiceBCircuit).state, "open")
    }).pipe(Effect.provide(live))
  })

  it.scopedLive("is degraded and ready while its circuit breaker is open, and says why", () =>
    Effect.gen(function* () {
      const { ask, circuit, url } = yield* start("composition", "down", 1)
      assert.nestedInclude((yield* get(`${url}/health`)).body, { status: "up" })
      yield* ask
      // Open again after each probe, and half-open in between.
      assert.notStrictEqual(yield* circuit.state, "closed")
      const { body, status } = yield* get(`${url}/ready`)
      assert.strictEqual(status, 200)
      assert.nestedInclude(body, { status: "degraded", "reasons[0].name": "service-b" })
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("shows its circuit breaker", () =>
    Effect.gen(function* () {
      const { ask, url } = yield* start("circuit-breaker", "down")
      yield* ask
      assert.deepStrictEqual((yield* get(`${url}/circuit`)).body, {
        state: "closed",
        consecutiveFailures: 1,
        remainingDelay: 0
      })
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("logs its requests and the changes of the circuit breaker", () => {
    const lines: Array<LogLine> = []
    return Effect.gen(function* () {
      const { ask, circuit, switchB } = yield* start("circuit-breaker", "down", 1)
      yield* ask
      yield* switchB("healthy")
      yield* until(circuit.state, (state) => state === "half-open")
      yield* ask

      const changes = changesIn(lines)
      assert.deepStrictEqual(
        changes.map(({ message }) => message.replace('circuit breaker "service-b" ', "")),
        [
          "opened for 1 s: 1 failure in a row",
          "is half-open: the open time is over",
          "closed: 1 of 1 probe succeeded"
        ]
      )
      // Service B fails and service A passes it on, then both answer. A line may come a little later than the answer.
      const requests = yield* until(
        Effect.sync(() => lines.filter(({ message }) => message === "request")),
        ({ length }) => length === 4
      )
      assert.deepStrictEqual(
        requests.map(({ annotations, level }) => `${annotations.status} ${level}`).sort(),
        ["200 INFO", "200 INFO", "502 ERROR", "503 ERROR"]
      )
      assert.deepInclude(requests[0].annotations, { method: "GET", url: "/" })
    }).pipe(Effect.provide(liveWithLog(lines)))
  })
})
