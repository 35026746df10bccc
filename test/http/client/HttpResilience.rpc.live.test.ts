// Remote procedure calls of @effect/rpc over resilient clients, to servers that reject, break and answer with something else: a call
// ends with its result or a typed error, and never hangs or dies.
import { type HttpApp, HttpClientError, HttpRouter } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Rpc, RpcClient, RpcClientError, RpcGroup, RpcSerialization, RpcServer } from "@effect/rpc"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Fiber, Layer, Schedule, Schema, Stream } from "effect"
import { Bulkhead, Policy, Trip } from "effect-resilience"
import { HttpProtection, HttpResilience } from "effect-resilience/http"
import * as Http from "node:http"
import type * as Net from "node:net"
import { clients } from "../support/clients.js"
import * as Servers from "../support/servers.js"

class Busy extends Schema.TaggedError<Busy>()("Busy", {
  retryAfter: Schema.optional(Schema.DurationFromMillis)
}) {}

class Rpcs extends RpcGroup.make(
  Rpc.make("Get", {
    success: Schema.String,
    error: Busy,
    payload: { how: Schema.Literal("now", "held", "limited") }
  }),
  Rpc.make("Count", { success: Schema.Number, stream: true })
) {}

/** One attempt more, without a delay. */
const options = { retry: { times: 1, schedule: Schedule.forever } } as const

describe.each(
  clients.flatMap((client) =>
    (
      [
        ["ndjson", RpcSerialization.layerNdjson],
        ["json", RpcSerialization.layerJson]
      ] as const
    ).map(([format, serialization]) => ({ ...client, format, serialization }))
  )
)("RPC over $name as $format", ({ format, layer, serialization }) => {
  const clientTo = (
    url: string,
    part: HttpResilience.Part<unknown> | HttpResilience.FallbackPart<unknown> = HttpResilience.standard(
      options
    )
  ) =>
    Effect.flatMap(
      Layer.build(
        Layer.provide(
          RpcClient.layerProtocolHttp({ url, transformClient: HttpResilience.rpc(part) }),
          serialization
        )
      ),
      (protocol) => Effect.provide(RpcClient.make(Rpcs), protocol)
    )

  /** An RPC server behind a protection, with a handler that tells when it runs and ends when it is let go. */
  const serving = <E, R>(protection: (app: HttpApp.Default) => HttpApp.Default<E, R>) =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const end = yield* Deferred.make<void>()
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxQueued: 0 })
      const handlers = Rpcs.toLayer({
        Get: ({ how }) => {
          const held = Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(end))
          if (how === "now") return Effect.succeed("fine")
          if (how === "held") return Effect.as(held, "held")
          return bulkhead
            .protect(Effect.as(held, "limited"))
            .pipe(Effect.catchTag("BulkheadFull", ({ retryAfter }) => Effect.fail(new Busy({ retryAfter }))))
        },
        Count: () => Stream.range(1, 3)
      })
      const server = Http.createServer()
      const procedures = RpcServer.layer(Rpcs).pipe(
        Layer.provide(handlers),
        Layer.provide(RpcServer.layerProtocolHttp({ path: "/rpc" })),
        Layer.provide(serialization)
      )
      yield* Layer.build(
        HttpRouter.Default.serve((app) => protection(app) as HttpApp.Default).pipe(
          Layer.provide(procedures),
          Layer.provide(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" }))
        )
      )
      const url = `http://127.0.0.1:${(server.address() as Net.AddressInfo).port}/rpc`
      return { url, begun: Deferred.await(begun), end: Deferred.succeed(end, undefined) }
    })

  const causeOf = (error: unknown): unknown => {
    assert.instanceOf(error, RpcClientError.RpcClientError)
    return error.cause
  }

  it.live("a call and a stream of a well server come back", () =>
    Effect.gen(function* () {
      const { url } = yield* serving(HttpProtection.standard({}))
      const client = yield* clientTo(url)
      assert.strictEqual(yield* client.Get({ how: "now" }), "fine")
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Stream.runCollect(client.Count())), [1, 2, 3])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("a call that a protection rejects fails with the status and the headers of the answer", () =>
    Effect.gen(function* () {
      const { begun, end, url } = yield* serving(HttpProtection.bulkhead({ permits: 1, maxQueued: 0 }))
      const client = yield* clientTo(url)
      const first = yield* Effect.fork(client.Get({ how: "held" }))
      yield* begun
      const cause = causeOf(yield* Effect.flip(client.Get({ how: "now" })))
      assert.instanceOf(cause, HttpClientError.ResponseError)
      assert.include(cause, { reason: "StatusCode" })
      assert.strictEqual(cause.response.status, 503)
      assert.isDefined(cause.response.headers["retry-after"])
      assert.instanceOf(
        causeOf(yield* Effect.flip(Stream.runDrain(client.Count()))),
        HttpClientError.ResponseError
      )
      yield* end
      assert.strictEqual(yield* Fiber.join(first), "held")
      assert.strictEqual(yield* client.Get({ how: "now" }), "fine")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("a call that a handler rejects fails with the error of its schema", () =>
    Effect.gen(function* () {
      const { begun, end, url } = yield* serving((app) => app)
      const client = yield* clientTo(url)
      const first = yield* Effect.fork(client.Get({ how: "limited" }))
      yield* begun
      assert.instanceOf(yield* Effect.flip(client.Get({ how: "limited" })), Busy)
      yield* end
      assert.strictEqual(yield* Fiber.join(first), "limited")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  const own = { "content-type": `application/${format}` }
  it.live.each<[string, Servers.Answer, string]>([
    ["a 429 without a body", Servers.status(429), "ResponseError StatusCode"],
    [
      "a problem",
      Servers.status(503, { headers: { "content-type": "application/problem+json" }, body: "{}" }),
      "ResponseError StatusCode"
    ],
    [
      "a status of a gateway in the type of RPC",
      Servers.status(502, { headers: own, body: "[]" }),
      "ResponseError StatusCode"
    ],
    [
      "the page of a proxy",
      Servers.status(200, { headers: { "content-type": "text/html" }, body: "<p>" }),
      "ResponseError Decode"
    ],
    ["nothing", Servers.status(200, { headers: { ...own, "content-length": "0" } }), "ResponseError Decode"],
    ["no content", Servers.status(204), "ResponseError Decode"],
    ["a redirect loop", Servers.status(303, { headers: { location: "/" } }), "redirect"],
    ["an endless page", Servers.bigBody(500, Infinity), "ResponseError StatusCode"],
    ["a reset", Servers.reset, "RequestError Transport"],
    ["an answer that is cut short", Servers.cutShort(200, "reset", own), "ResponseError Decode"]
  ])("a call that is answered with %s fails", ([, answer, expected]) =>
    Effect.gen(function* () {
      const { url } = yield* Servers.server(answer)
      const cause = causeOf(yield* Effect.flip((yield* clientTo(url)).Get({ how: "now" })))
      if (!HttpClientError.isHttpClientError(cause)) return assert.fail(String(cause))
      const story = `${cause._tag} ${cause.reason}`
      if (expected === "redirect") assert.match(story, /RequestError Transport|ResponseError StatusCode/)
      else assert.strictEqual(story, expected)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("a rejection and a timeout of a policy are the cause of the cause", () =>
    Effect.gen(function* () {
      const { url } = yield* Servers.server(Servers.hang)
      const part = HttpResilience.standard({
        attemptTimeout: "50 millis",
        retry: false,
        circuitBreaker: {
          trip: Trip.consecutive(1),
          condition: { error: () => true }
        }
      })
      const client = yield* clientTo(url, part)
      const late = causeOf(yield* Effect.flip(client.Get({ how: "now" })))
      assert.propertyVal((late as HttpClientError.RequestError).cause, "_tag", "TimeoutExceeded")
      const rejected = causeOf(yield* Effect.flip(client.Get({ how: "now" })))
      assert.isTrue(Policy.isRejection((rejected as HttpClientError.RequestError).cause))
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("a call is repeated only when it is said to be idempotent", () =>
    Effect.gen(function* () {
      for (const [idempotent, requests] of [
        [false, 1],
        [true, 2]
      ] as const) {
        const server = yield* Servers.server(Servers.status(503))
        const retry = { ...options.retry, idempotent: () => idempotent }
        const client = yield* clientTo(server.url, HttpResilience.standard({ retry }))
        yield* Effect.flip(client.Get({ how: "now" }))
        assert.strictEqual(server.seen.length, requests)
      }
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})
