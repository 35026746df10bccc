// That the bench tells the truth: what the platform's own clients, with no policy around them, make of its servers, and
// what the servers have seen of them.
import { HttpBody, HttpClient, type HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Stream } from "effect"
import { clients, counted, pools, spans } from "./clients.js"
import { arrived, outcomes, settled, watchFibers } from "./leaks.js"
import { until } from "../../support/until.js"
import * as Servers from "./servers.js"

/** What a caller sees of a call whose body it reads: the status and the body, or where and why it failed. */
const story = (url: string) =>
  HttpClient.get(url).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (text) => `${response.status} ${text}`)),
    Effect.catchAll((error) => Effect.succeed(`${error._tag} ${error.reason}`)),
    Effect.timeout("10 seconds")
  )

const bodyStory = (response: HttpClientResponse.HttpClientResponse) =>
  Effect.match(response.text, { onFailure: (error) => error.reason, onSuccess: (text) => text })

describe.each(clients)("the bench seen by $name", ({ keepsAlive, layer }) => {
  it.live.each<[string, Servers.Answer, string, Servers.Seen["outcome"]]>([
    ["a status without a body", Servers.status(503), "503 ", "answered"],
    ["a status with a body", Servers.status(200, { body: "hello" }), "200 hello", "answered"],
    ["a reset before the headers", Servers.reset, "RequestError Transport", "broken"],
    ["a close before the headers", Servers.hangUp, "RequestError Transport", "broken"],
    ["a reset in the body", Servers.cutShort(200, "reset"), "ResponseError Decode", "broken"],
    ["a close in the body", Servers.cutShort(200, "close"), "ResponseError Decode", "broken"],
    ["bytes that are no HTTP", Servers.garbage, "RequestError Transport", "broken"],
    ["a big body", Servers.bigBody(200, 100_000), `200 ${"x".repeat(100_000)}`, "answered"]
  ])("%s", ([, answer, expected, outcome]) =>
    Effect.gen(function* () {
      const server = yield* Servers.server(answer)
      assert.strictEqual(yield* story(server.url), expected)
      assert.strictEqual(server.seen.length, 1)
      yield* outcomes(server, outcome)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("sees a request with its method, path, headers and body", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(200))
      const response = yield* HttpClient.put(`${server.url}/a?b=c`, {
        headers: { "idempotency-key": "k" },
        body: HttpBody.text("hello")
      })
      assert.strictEqual(yield* response.text, "")
      const { body, headers, method, path, whole } = server.seen[0] ?? assert.fail("Nothing was seen")
      assert.deepStrictEqual(
        [method, path, headers["idempotency-key"], body, whole],
        ["PUT", "/a?b=c", "k", "hello", true]
      )
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("answers one request after the other by script, and goes on with the last step", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(503), Servers.reset, Servers.status(200))
      const stories = yield* Effect.replicateEffect(story(server.url), 4)
      assert.deepStrictEqual(stories, ["503 ", "RequestError Transport", "200 ", "200 "])
      assert.strictEqual(server.seen.length, 4)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("holds headers and bodies back until told", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.slowHeaders(Servers.status(200)), Servers.slowBody(200))
      const first = yield* Effect.fork(story(server.url))
      yield* arrived(server, 1)
      const second = yield* HttpClient.get(server.url)
      const body = yield* Effect.fork(bodyStory(second))
      assert.strictEqual((yield* server.sockets).busy, 2)
      assert.isTrue(Option.isNone(yield* Fiber.poll(first)))
      yield* server.tell
      assert.strictEqual(yield* Fiber.join(first), "200 ")
      assert.strictEqual(yield* Fiber.join(body), "first,last")
      assert.strictEqual((yield* settled(server)).busy, 0)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("cuts a body when told", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.cutShortWhenTold(200))
      const body = yield* Effect.fork(Effect.flatMap(HttpClient.get(server.url), bodyStory))
      yield* until(server.sockets, ({ busy }) => busy === 1)
      yield* server.tell
      assert.strictEqual(yield* Fiber.join(body), "Decode")
      assert.strictEqual(server.seen[0]?.outcome, "broken")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live.each<[string, Servers.Answer]>([
    ["the headers", Servers.hang],
    ["the body", Servers.slowBody(200)],
    ["a body without end", Servers.bigBody(200, Infinity)]
  ])("sees the abort of a client that leaves while it waits for %s", ([, answer]) =>
    Effect.gen(function* () {
      const server = yield* Servers.server(answer)
      const calling = yield* Effect.fork(story(server.url))
      yield* arrived(server, 1)
      assert.strictEqual((yield* server.sockets).busy, 1)
      assert.strictEqual(server.seen[0]?.outcome, "open")
      yield* Fiber.interrupt(calling)
      yield* outcomes(server, "aborted")
      // A client may open another connection for the next request, and does not use it.
      assert.strictEqual((yield* settled(server)).busy, 0)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("counts connections as the client keeps them", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(200, { body: "hello" }))
      yield* Effect.replicateEffect(story(server.url), 20)
      const { accepted, open } = yield* settled(server)
      // undici asks for the next connection a moment before the last one is free again, and then has some more.
      if (keepsAlive) assert.isAtMost(accepted, 5)
      assert.deepStrictEqual([accepted, open], keepsAlive ? [open, open] : [20, 0])
      assert.strictEqual(new Set(server.seen.map(({ connection }) => connection)).size, accepted)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("shows that an unread body holds its connection", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.bigBody(200, Infinity))
      const responses = yield* Effect.replicateEffect(HttpClient.get(server.url), 3)
      assert.deepStrictEqual(yield* server.sockets, { accepted: 3, open: 3, busy: 3 })
      yield* Effect.forEach(responses, ({ stream }) => Stream.runDrain(Stream.take(stream, 1)))
      assert.strictEqual((yield* settled(server)).busy, 0)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("answers after a time, or before the body", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(
        Servers.after(20, Servers.status(200)),
        Servers.early(Servers.status(503, { body: "go away" }))
      )
      const startedAt = performance.now()
      assert.strictEqual(yield* story(server.url), "200 ")
      assert.isAtLeast(performance.now() - startedAt, 19)
      const response = yield* HttpClient.post(server.url, { body: HttpBody.text("hello") })
      assert.strictEqual(yield* response.text, "go away")
      assert.isFalse(server.seen[1]?.whole)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("has a port at which nobody listens", () =>
    Effect.gen(function* () {
      const { url } = yield* Servers.refused
      assert.include(yield* reasons(HttpClient.get(url)), "ECONNREFUSED")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("refuses while it is down, and is back at the same port", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.lastWords(200, { body: "bye" }), Servers.status(204))
      assert.strictEqual(yield* story(server.url), "200 bye")
      yield* until(server.sockets, ({ open }) => open === 0)
      assert.include(yield* reasons(HttpClient.get(server.url)), "ECONNREFUSED")
      yield* server.up
      assert.strictEqual(yield* story(server.url), "204 ")
      yield* server.down
      // Refused, or lost on a connection that the client has kept.
      assert.include(yield* reasons(HttpClient.get(server.url)), "Transport")
      assert.strictEqual(server.seen.length, 2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live.each([
    ["self-signed", "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["no certificate", "handshake failure"],
    ["hangs up", "ECONNRESET"]
  ] as const)("no connection is made to a server behind TLS that has %s", ([how, reason]) =>
    Effect.gen(function* () {
      const server = yield* Servers.untrusted(how)
      assert.include(yield* reasons(HttpClient.get(server.url)), reason)
      assert.strictEqual((yield* settled(server)).accepted, 1)
      assert.strictEqual(server.seen.length, 0)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("no connection is made by TLS to a server that speaks without", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(200))
      const call = HttpClient.get(server.url.replace("http:", "https:"))
      assert.match(yield* reasons(call), /wrong version number|packet length too long/)
      assert.strictEqual(server.seen.length, 0)
      assert.strictEqual(yield* server.malformed, 1)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("counts and traces attempts", () =>
    Effect.gen(function* () {
      const server = yield* Servers.server(Servers.status(503), Servers.status(200))
      const { attempts, client } = counted(yield* HttpClient.HttpClient)
      const { collect, ofAttempts } = spans()
      const call = Effect.flatMap(client.get(server.url), ({ text }) => text)
      yield* collect(Effect.zipRight(call, call))
      assert.strictEqual(attempts(), 2)
      assert.deepStrictEqual(ofAttempts("http.response.status_code"), [503, 200])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe("a pool", () => {
  it.live.each([...clients, ...pools])("of $name is empty when its server is gone", ({ layer }) =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* Servers.server(Servers.status(200))
          yield* Effect.all(Effect.replicate(story(server.url), 10), { concurrency: "unbounded" })
          return server
        })
      )
      assert.deepStrictEqual(yield* gone.sockets, { accepted: 10, open: 0, busy: 0 })
    }).pipe(Effect.provide(layer))
  )
})

describe("the leak counter", () => {
  it.live("sees a fiber that stays, and not one that has ended", () =>
    Effect.gen(function* () {
      const { alive, watch } = yield* watchFibers
      const stays = yield* watch(Effect.forkDaemon(Effect.never))
      yield* Fiber.join(yield* watch(Effect.fork(Effect.void)))
      yield* watch(Effect.timeout(Effect.void, "1 second"))
      assert.deepStrictEqual(yield* alive, [stays.id().id])
      yield* Fiber.interrupt(stays)
      assert.deepStrictEqual(yield* alive, [])
    })
  )
})

/** The codes and messages of the error of a call and of what caused it, down to the bottom. */
const reasons = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(call), (failure) => {
    const found: Array<unknown> = []
    for (let error: unknown = failure; error instanceof Error; error = error.cause) {
      found.push("code" in error ? error.code : "", error.message)
    }
    return found.join()
  })
