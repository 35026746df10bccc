// Service B over a real socket: each behaviour, with randomness controlled by the test, and switching between them.
import { HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Random, TestClock } from "effect"
import { urlOf } from "../support/server.js"
import { get, live, put, until } from "../support/testing.js"
import * as ServiceB from "./b/server.js"

const start = (behaviour: ServiceB.Behaviour) =>
  Effect.map(Layer.build(ServiceB.layer({ port: 0, behaviour })), (context) => ({
    url: urlOf(Context.get(context, HttpServer.HttpServer)),
    serviceB: Context.get(context, ServiceB.ServiceB)
  }))

const hello = { message: "hello from service B" }

describe.concurrent("service B", () => {
  it.scopedLive("answers when it is healthy", () =>
    Effect.gen(function* () {
      const { url } = yield* start("healthy")
      const answer = yield* get(url)
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(answer.body, hello)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("fails with 503 and Retry-After when it is down", () =>
    Effect.gen(function* () {
      const { url } = yield* start("down")
      const answer = yield* get(url)
      assert.strictEqual(answer.status, 503)
      assert.strictEqual(answer.headers["retry-after"], "1")
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("fails or answers as chance has it when it is failing", () =>
    Effect.gen(function* () {
      const { url } = yield* start("failing")
      const statuses = yield* Effect.replicateEffect(
        Effect.map(get(url), ({ status }) => status),
        4
      )
      assert.deepStrictEqual(statuses, [503, 200, 200, 503])
    }).pipe(Effect.provide(live), Effect.withRandom(Random.fixed([true, false, false, true])))
  )

  it.scoped("fails, takes a second or answers as chance has it when it is flaky", () =>
    Effect.gen(function* () {
      const { serviceB, url } = yield* start("flaky")
      const failed = yield* get(url)
      const asking = yield* Effect.fork(get(url))
      yield* until(serviceB.received, (count) => count === 2)
      yield* TestClock.adjust("999 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(asking)))
      yield* TestClock.adjust("1 millis")
      const slow = yield* asking
      const fast = yield* get(url)
      assert.strictEqual(failed.status, 503)
      assert.deepStrictEqual(slow.body, hello)
      assert.deepStrictEqual(fast.body, hello)
    }).pipe(Effect.provide(live), Effect.withRandom(Random.fixed([true, false, true, false, false])))
  )

  it.scoped("sleeps for longer than anyone wants to wait when it is hanging", () =>
    Effect.gen(function* () {
      const { serviceB, url } = yield* start("hanging")
      const asking = yield* Effect.fork(get(url))
      yield* until(serviceB.received, (count) => count === 1)
      yield* TestClock.adjust("4999 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(asking)))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual((yield* asking).body, hello)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("is switched while it runs, and names an unknown mode", () =>
    Effect.gen(function* () {
      const { url } = yield* start("healthy")
      assert.deepStrictEqual((yield* put(`${url}/behaviour`, "down")).body, { behaviour: "down" })
      assert.deepStrictEqual((yield* get(`${url}/behaviour`)).body, { behaviour: "down" })
      assert.strictEqual((yield* get(url)).status, 503)
      const unknown = yield* put(`${url}/behaviour`, "lazy")
      assert.strictEqual(unknown.status, 400)
      assert.deepStrictEqual(unknown.body, {
        error: "the body must be one of: healthy, hanging, failing, flaky, down"
      })
      assert.strictEqual((yield* get(url)).status, 503)
    }).pipe(Effect.provide(live))
  )
})
