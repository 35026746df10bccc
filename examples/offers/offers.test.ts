// The partner and the offer service over real sockets. Each test chooses how long the circuit stays open.
import { HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Logger, LogLevel, Ref, TestClock } from "effect"
import { urlOf } from "../support/server.js"
import { get, liveWithLog, live, type LogLine, put, until } from "../support/testing.js"
import * as Offer from "./offer/server.js"
import * as Partner from "./partner/server.js"

const start = (openFor = "15 seconds", failures = "3") =>
  Effect.gen(function* () {
    const options = Layer.setConfigProvider(
      ConfigProvider.fromMap(
        new Map([
          ["OPEN_FOR", openFor],
          ["FAILURES", failures]
        ])
      )
    )
    const partner = yield* Layer.build(Partner.layer({ port: 0 }))
    const partnerUrl = urlOf(Context.get(partner, HttpServer.HttpServer))
    const offers = yield* Layer.build(Layer.provide(Offer.layer({ port: 0, partner: partnerUrl }), options))
    const url = urlOf(Context.get(offers, HttpServer.HttpServer))
    return {
      offer: Effect.map(get(`${url}/offer`), ({ body }) => String(body)),
      circuit: Effect.map(get(`${url}/offer/circuit`), ({ body }) => body),
      received: Ref.get(Context.get(partner, Partner.Partner).received),
      switchPartner: (status: Partner.Status) => put(`${partnerUrl}/behaviour`, status)
    }
  })

const isHalfOpen = (circuit: unknown): boolean => JSON.stringify(circuit).includes("half-open")

describe.concurrent("offers", () => {
  it.scoped("are hot while the partner answers", () =>
    Effect.gen(function* () {
      const { circuit, offer } = yield* start()
      assert.match(yield* offer, /^Hot offer \d\d:\d\d$/)
      assert.deepStrictEqual(yield* circuit, { current_state: "closed", fail_counter: 0 })
    }).pipe(Effect.provide(live))
  )

  it.scoped("are cold while the partner fails, and hot again when it recovers", () =>
    Effect.gen(function* () {
      const { circuit, offer, switchPartner } = yield* start()
      yield* switchPartner("500")
      assert.match(yield* offer, /^Cold offer fallback \d\d:\d\d$/)
      assert.deepStrictEqual(yield* circuit, { current_state: "closed", fail_counter: 1 })
      yield* switchPartner("200")
      assert.match(yield* offer, /^Hot/)
      assert.deepStrictEqual(yield* circuit, { current_state: "closed", fail_counter: 0 })
    }).pipe(Effect.provide(live))
  )

  it.scoped("are cold without a call to the partner after three failures", () =>
    Effect.gen(function* () {
      const { circuit, offer, received, switchPartner } = yield* start()
      yield* switchPartner("500")
      yield* Effect.replicateEffect(offer, 3)
      assert.deepStrictEqual(yield* circuit, { current_state: "open", fail_counter: 3 })
      yield* switchPartner("200")
      assert.match(yield* offer, /^Cold/)
      assert.strictEqual(yield* received, 3)
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("are cold after FAILURES failures", () =>
    Effect.gen(function* () {
      const { circuit, offer, switchPartner } = yield* start("15 seconds", "1")
      yield* switchPartner("500")
      yield* offer
      assert.deepStrictEqual(yield* circuit, { current_state: "open", fail_counter: 1 })
    }).pipe(Effect.provide(live))
  )

  it.scopedLive("leave a debug line with URL and status for each request to the partner", () => {
    const lines: Array<LogLine> = []
    return Effect.gen(function* () {
      const { offer, switchPartner } = yield* start()
      yield* offer
      yield* switchPartner("500")
      yield* offer
      const requests = lines.filter(({ message }) => message.startsWith("HTTP Request"))
      assert.deepStrictEqual(
        requests.map(({ level, message }) => [level, message.replace(/:\d+\//, "/")]),
        [
          ["DEBUG", 'HTTP Request: GET http://127.0.0.1/offer/hot "HTTP/1.1 200 OK"'],
          ["DEBUG", 'HTTP Request: GET http://127.0.0.1/offer/hot "HTTP/1.1 500 Internal Server Error"']
        ]
      )
    }).pipe(Logger.withMinimumLogLevel(LogLevel.Debug), Effect.provide(liveWithLog(lines)))
  })

  it.scopedLive("are hot again when the circuit has been open for long enough", () =>
    Effect.gen(function* () {
      const { circuit, offer, received, switchPartner } = yield* start("300 millis")
      yield* switchPartner("500")
      yield* Effect.replicateEffect(offer, 3)
      const ready = yield* until(circuit, isHalfOpen)
      assert.deepStrictEqual(ready, { current_state: "half-open", fail_counter: 3 })
      assert.strictEqual(yield* received, 3)

      yield* switchPartner("200")
      assert.match(yield* offer, /^Hot/)
      assert.deepStrictEqual(yield* circuit, { current_state: "closed", fail_counter: 0 })
      assert.strictEqual(yield* received, 4)
    }).pipe(Effect.provide(live))
  )

  it.scoped("leave a line in the log for each change of the circuit", () => {
    const lines: Array<LogLine> = []
    return Effect.gen(function* () {
      const { circuit, offer, switchPartner } = yield* start("15 seconds")
      yield* offer
      yield* switchPartner("500")
      yield* Effect.replicateEffect(offer, 4)
      yield* TestClock.adjust("15 seconds")
      assert.isTrue(isHalfOpen(yield* circuit))
      yield* offer
      assert.deepStrictEqual(yield* circuit, { current_state: "open", fail_counter: 4 })
      yield* switchPartner("200")
      yield* TestClock.adjust("15 seconds")
      assert.isTrue(isHalfOpen(yield* circuit))
      yield* offer

      const messages = lines.filter(({ annotations }) => annotations.circuit === "partner")
      assert.deepStrictEqual(
        messages.map(({ message }) => message),
        [
          ...["before the call", "success"],
          ...["before the call", "failure"],
          ...["before the call", "failure"],
          ...["before the call", "failure", "circuit breaker state changed from closed to open"],
          "rejected, the partner is not called",
          "circuit breaker state changed from open to half-open",
          ...["before the call", "failure", "circuit breaker state changed from half-open to open"],
          "circuit breaker state changed from open to half-open",
          ...["before the call", "success", "circuit breaker state changed from half-open to closed"]
        ]
      )
    }).pipe(Effect.provide(liveWithLog(lines)))
  })
})
