// A drain in virtual time, without a socket.
import { type HttpApp, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, TestClock } from "effect"
import { Policy } from "effect-resilience"
import { HttpDrain } from "effect-resilience/http"
import { forked } from "../../support/calls.js"

const answered = <E, R>(app: HttpApp.Default<E, R>) =>
  Effect.suspend(() =>
    Effect.provideService(
      app,
      HttpServerRequest.HttpServerRequest,
      HttpServerRequest.fromWeb(new Request("http://localhost/"))
    )
  )

const ok = Effect.succeed(HttpServerResponse.text("ok"))
const statusOf = <E, R>(app: HttpApp.Default<E, R>) => Effect.map(answered(app), ({ status }) => status)

describe("a drain", () => {
  it("has a kind and a name", () => {
    const { protect } = Effect.runSync(HttpDrain.make({ within: "5 seconds" }))
    assert.strictEqual(Policy.describe(protect), "drain(delay: 0, within: 5s, interruptWithin: 2s)")
  })

  it.effect("admits requests during its delay, while it is not ready", () =>
    Effect.gen(function* () {
      const { drain, protect, readiness, state } = yield* HttpDrain.make({ delay: "5 seconds" })
      const ready = Effect.map(readiness, ({ status }) => status)
      assert.deepStrictEqual([yield* statusOf(protect(ok)), yield* ready], [200, 200])
      const draining = yield* forked(drain)
      const late = yield* answered(protect(ok))
      assert.deepStrictEqual([late.status, late.headers["connection"], yield* ready], [200, "close", 503])
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual([yield* statusOf(protect(ok)), yield* state], [200, "draining"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([yield* statusOf(protect(ok)), yield* state], [503, "drained"])
      assert.strictEqual((yield* Fiber.join(draining)).rejected, 0)
    })
  )

  it.effect("interrupts what runs after its time, and waits for finalizers that long", () =>
    Effect.gen(function* () {
      const { drain, protect, snapshot } = yield* HttpDrain.make({
        within: "10 seconds",
        interruptWithin: "3 seconds"
      })
      const quick = yield* Deferred.make<HttpServerResponse.HttpServerResponse>()
      const clean = Effect.onInterrupt(Effect.never, () => Effect.sleep("2 seconds"))
      const stuck = Effect.onInterrupt(Effect.never, () => Effect.sleep("1 hour"))
      const requests = yield* Effect.forEach([Deferred.await(quick), clean, stuck], (app) =>
        forked(answered(protect(app)))
      )
      const draining = yield* forked(drain)
      yield* Deferred.succeed(quick, HttpServerResponse.text("done"))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([(yield* snapshot).running, (yield* snapshot).ended], [2, 1])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* Fiber.join(draining), {
        name: "drain",
        ended: 1,
        interrupted: 1,
        abandoned: 1,
        rejected: 0
      })
      yield* TestClock.adjust("1 hour")
      const exits = yield* Effect.forEach(requests, Fiber.await)
      assert.deepStrictEqual(exits.map(Exit.isInterrupted), [false, true, true])
    })
  )

  it.effect("closes the idle connections of its server when it admits nobody any more", () =>
    Effect.gen(function* () {
      let closed = 0
      const server = { closeIdleConnections: () => void closed++ }
      const { drain } = yield* HttpDrain.make({ server, delay: "1 second" })
      const draining = yield* forked(drain)
      assert.strictEqual(closed, 0)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(draining)
      assert.isAbove(closed, 0)
    })
  )

  it.effect("answers with the response that it is given", () =>
    Effect.gen(function* () {
      const { drain, protect } = yield* HttpDrain.make({
        retryAfter: "7 seconds",
        respond: (error, options) =>
          HttpServerResponse.text(`${error._tag} ${String(options.retryAfter !== undefined)}`, {
            status: 503
          })
      })
      yield* drain
      const { body, headers } = yield* answered(protect(ok))
      assert.strictEqual(headers["connection"], "close")
      assert.strictEqual(
        body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : "",
        "ServerDraining true"
      )
    })
  )

  it.effect("makes its rejections without a stack trace", () =>
    Effect.gen(function* () {
      const stacks: Array<string> = []
      const { drain, protect } = yield* HttpDrain.make({
        respond: (error) => {
          stacks.push(error.stack ?? "")
          return HttpServerResponse.empty({ status: 503 })
        }
      })
      yield* drain
      assert.strictEqual(yield* statusOf(protect(ok)), 503)
      assert.strictEqual(stacks.length, 1)
      assert.notInclude(stacks[0], "\n    at ")
    })
  )

  it("rejects bad options where it is made", () => {
    for (const options of [
      { delay: -1 },
      { within: Infinity },
      { interruptWithin: -1 },
      { retryAfter: 0 },
      { name: "" }
    ]) {
      const exit = Effect.runSyncExit(HttpDrain.make(options))
      const [option] = Object.keys(options)
      const { cause } = Exit.isFailure(exit) ? exit : assert.fail("It was taken")
      assert.include(Cause.pretty(cause), `HttpDrain.make: option "${option}"`)
    }
  })
})
