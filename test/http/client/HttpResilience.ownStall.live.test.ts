// What happens to requests while the event loop of their own process stands still, beyond the limit of the attempts. The server
// runs in a thread, which says through shared memory how far it is while this one is blocked.
import { HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { CircuitBreaker, Timeout, Trip } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { Worker } from "node:worker_threads"
import { clients } from "../support/clients.js"
import { until } from "../../support/until.js"

const limit = 1500

/** Longer than the limit, by more than what is a late timer on a busy machine. */
const stall = 2000

/** The cells of the shared memory. */
const cell = { seen: 0, mayAnswer: 1, answered: 2, never: 3 }

const program = `
const { parentPort, workerData } = require("node:worker_threads")
const { cell, memory } = workerData
const cells = new Int32Array(memory)
const server = require("node:http").createServer((request, response) => {
  Atomics.add(cells, cell.seen, 1)
  if (request.url === "/never") return
  response.on("finish", () => {
    Atomics.add(cells, cell.answered, 1)
    Atomics.notify(cells, cell.answered)
  })
  const answer = () => (Atomics.load(cells, cell.mayAnswer) === 1 ? response.end("fine") : setTimeout(answer, 1))
  answer()
})
server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port))
`

const server = Effect.gen(function* () {
  const memory = new SharedArrayBuffer(16)
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => new Worker(program, { eval: true, workerData: { cell, memory } })),
    (worker) => Effect.promise(() => worker.terminate())
  )
  const port = yield* Effect.async<number>((resume) => {
    worker.once("message", (port: number) => resume(Effect.succeed(port)))
  })
  return { cells: new Int32Array(memory), url: `http://127.0.0.1:${port}` }
})

/** Blocks this thread. */
const block = (cells: Int32Array, millis: number) => void Atomics.wait(cells, cell.never, 0, millis)

describe.each(clients)("a stall of the own process, over $name,", ({ layer }) => {
  it.live("loses no answer that is there, and its timeouts open no circuit", () =>
    Effect.gen(function* () {
      const { cells, url } = yield* server
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      const client = (yield* HttpClient.HttpClient).pipe(
        HttpResilience.standard({
          attemptTimeout: limit,
          retry: false,
          circuitBreaker: HttpResilience.circuitBreaker(breaker)
        })
      )
      const get = (path: string) => Effect.fork(Effect.either(client.get(`${url}/${path}`)))
      const calls = 5
      const calling = yield* Effect.forEach(Array.from({ length: calls }), () => get("offer"))
      const waiting = yield* get("never")
      yield* until(
        Effect.sync(() => Atomics.load(cells, cell.seen)),
        (seen) => seen === calls + 1
      )
      Atomics.store(cells, cell.mayAnswer, 1)
      for (let answered = 0; answered < calls; answered = Atomics.load(cells, cell.answered)) {
        Atomics.wait(cells, cell.answered, answered)
      }
      block(cells, stall)
      const answers = yield* Effect.forEach(calling, Fiber.join)
      assert.deepStrictEqual(
        answers.map((answer) => (answer._tag === "Right" ? answer.right.status : answer.left._tag)),
        Array.from({ length: calls }, () => 200)
      )
      const late = yield* Effect.flip(yield* Fiber.join(waiting))
      assert.instanceOf(late, Timeout.TimeoutExceeded)
      assert.isDefined(late.stalled)
      assert.strictEqual(yield* breaker.state, "closed")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe("a stall of the own process", () => {
  it.live.each([false, true])("opens no circuit when it outlasts a limit (disconnect: %s)", (disconnect) =>
    Effect.gen(function* () {
      const cells = new Int32Array(new SharedArrayBuffer(16))
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      const limited = Effect.never.pipe(Timeout.timeout({ limit, disconnect }), breaker.protect)
      const calling = yield* Effect.fork(Effect.flip(limited))
      yield* Effect.sleep("10 millis")
      block(cells, stall)
      const error = yield* Fiber.join(calling)
      assert.instanceOf(error, Timeout.TimeoutExceeded)
      assert.isDefined(error.stalled)
      assert.strictEqual(yield* breaker.state, "closed")
    })
  )

  it.effect("is never seen in a limit in virtual time", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ trip: Trip.consecutive(1) })
      const calling = yield* Effect.fork(
        Effect.flip(Effect.never.pipe(Timeout.timeout(limit), breaker.protect))
      )
      yield* TestClock.adjust(limit)
      const error = yield* Fiber.join(calling)
      assert.notProperty(error, "stalled")
      assert.strictEqual(yield* breaker.state, "open")
    })
  )
})
