// A store over a real Redis that is away, freezes, dies, forgets or refuses: no operation waits longer than its deadline, and the
// store recovers by itself.
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import type { SharedStore } from "effect-resilience/fleet"
import { make as makeProxy } from "../../bench/fleet/proxy.js"
import { redisServer } from "../support/redis.js"
import {
  answered,
  becomes,
  channel,
  followed,
  news,
  observed,
  operations,
  patient,
  reasonOf,
  stores,
  test
} from "../support/redisStores.js"
import { until } from "../support/until.js"

/** Notices soon that nothing is answered. */
const quick = { interval: "20 millis", deadline: "300 millis" } as const

/** Degraded and recovered in turn. */
const assertInTurn = (events: ReadonlyArray<SharedStore.Event>): void => {
  assert.deepStrictEqual(
    events.map(({ _tag }) => _tag),
    events.map((_, at) => (at % 2 === 0 ? "Degraded" : "Recovered"))
  )
}

for (const [name, { make }] of Object.entries(stores)) {
  describe(`a store by ${name}`, () => {
    test("is made while Redis is away, and recovers when it comes", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        yield* server.kill
        const store = yield* make({ url: server.url, ...patient })
        const events = yield* observed(store)
        assert.include(reasonOf(yield* becomes(store, "Degraded")), "ECONNREFUSED")
        yield* server.start
        yield* becomes(store, "Connected")
        assert.strictEqual((yield* store.exchange(news(1, { failures: 1 }))).views[0].failures, 1)
        assertInTurn(events)
      }))

    test("has two connections, and asks once for each exchange", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const store = yield* make({ url: server.url, interval: "1 hour", deadline: "20 seconds" })
        const clients = Effect.map(
          server.ask("CLIENT", "LIST"),
          (list) => String(list).trim().split("\n").length - 1
        )
        yield* until(clients, (count) => count === 2)
        const asked = Effect.map(
          Effect.all([server.calls("evalsha"), server.calls("eval")]),
          ([sha, text]) => sha + text
        )
        yield* until(asked, (count) => count >= 1)
        // The first exchange of the store itself has sent the script too.
        const before = yield* server.calls("evalsha")
        const reports = Array.from({ length: 100 }, (_, at) => ({
          ...news(0).reports[0],
          id: `breaker ${at}`
        }))
        for (let sequence = 1; sequence <= 10; sequence++)
          yield* store.exchange(news(sequence, {}, { reports }))
        assert.strictEqual((yield* server.calls("evalsha")) - before, 10)
        assert.strictEqual(yield* clients, 2)
      }))

    test("fails every operation at its deadline while Redis is frozen, can be interrupted, and recovers", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const endless = yield* make({ url: server.url, interval: "1 hour", deadline: "1 hour" })
        yield* endless.exchange(news(1))
        yield* server.freeze
        for (const operation of Object.values(operations(endless))) {
          const call = yield* Effect.fork(operation)
          yield* Effect.sleep("20 millis")
          assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(call)))
        }

        const store = yield* make({ url: server.url, interval: "1 hour", deadline: "100 millis" })
        const events = yield* observed(store)
        for (const [operation, run] of Object.entries(operations(store))) {
          const error = yield* Effect.flip(run)
          assert.strictEqual(error.operation, operation)
          assert.include(error.reason, "no answer within 100 ms")
        }
        yield* server.thaw
        // Nothing has to ask: what is answered late shows that Redis is back.
        yield* becomes(store, "Connected")
        assertInTurn(events)
      }))

    test("ends while Redis is frozen, and closes its connections", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const scope = yield* Scope.make()
        const store = yield* Scope.extend(make({ url: server.url, ...patient }), scope)
        yield* store.exchange(news(1))
        yield* server.freeze
        const call = yield* Effect.fork(Effect.exit(store.exchange(news(2))))
        yield* Scope.close(scope, Exit.void)
        yield* server.thaw
        yield* until(server.ask("CLIENT", "LIST"), (list) => String(list).trim().split("\n").length === 1)
        assert.isTrue(Exit.isFailure(yield* Fiber.join(call)))
      }))

    test("recovers from a kill and an empty restart, in another epoch", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const store = yield* make({ url: server.url, ...quick })
        const events = yield* observed(store)
        const before = yield* answered(store.exchange(news(1, { failures: 3 })))
        yield* server.kill
        yield* becomes(store, "Degraded")
        yield* server.start
        yield* becomes(store, "Connected")
        const after = yield* answered(store.exchange(news(2, { failures: 1 })))
        assert.strictEqual(after.views[0].failures, 1)
        assert.notStrictEqual(after.views[0].epoch, before.views[0].epoch)
        assertInTurn(events)
      }))

    test("replaces a connection on which nothing is answered any more", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const proxy = yield* makeProxy(server.port)
        const store = yield* make({ url: `redis://127.0.0.1:${proxy.port}`, ...quick })
        yield* becomes(store, "Connected")
        yield* until(proxy.connections, (count) => count === 2)
        yield* proxy.set("silent")
        yield* becomes(store, "Degraded")
        // It connects anew some seconds later, over and over.
        yield* until(proxy.connections, (count) => count > 2 || count === 0)
        yield* proxy.set("none")
        yield* becomes(store, "Connected")
      }))

    test("does not notice that Redis has forgotten the scripts", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const store = yield* make({ url: server.url, ...patient })
        const events = yield* observed(store)
        for (let sequence = 1; sequence <= 5; sequence++) {
          yield* server.ask("SCRIPT", "FLUSH")
          const { views } = yield* store.exchange(news(sequence, { failures: 1 }))
          assert.strictEqual(views[0].failures, sequence)
        }
        assert.deepStrictEqual(events, [])
      }))

    test("goes on in another epoch when all data is deleted", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const store = yield* make({ url: server.url, ...patient })
        const events = yield* observed(store)
        const before = yield* store.exchange(news(1, { failures: 1 }))
        yield* server.ask("FLUSHALL")
        const after = yield* store.exchange(news(2, { failures: 1 }))
        assert.strictEqual(after.views[0].failures, 1)
        assert.notStrictEqual(after.views[0].epoch, before.views[0].epoch)
        assert.deepStrictEqual(events, [])
      }))

    test("connects again when its connections are killed, and listens again", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const store = yield* make({ url: server.url, ...quick })
        yield* followed(server)
        for (const kind of ["normal", "pubsub"]) yield* server.ask("CLIENT", "KILL", "TYPE", kind)
        yield* answered(store.exchange(news(1)))
        yield* followed(server)
        yield* becomes(store, "Connected")
      }))

    test("is degraded while Redis is out of memory, changes nothing, and recovers", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const store = yield* make({ url: server.url, ...patient })
        yield* store.exchange(news(1, { failures: 1 }))
        yield* server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        yield* server.ask("CONFIG", "SET", "maxmemory", "1")
        assert.include(reasonOf(yield* becomes(store, "Degraded")), "OOM")
        const change = { state: "open", remaining: 1000, expected: undefined } as const
        assert.isTrue(Exit.isFailure(yield* Effect.exit(store.exchange(news(2, { failures: 1, change })))))
        yield* server.ask("CONFIG", "SET", "maxmemory", "0")
        yield* becomes(store, "Connected")
        const [{ failures, generation }] = (yield* store.exchange(news(2, { failures: 1 }))).views
        assert.deepStrictEqual([failures, generation], [2, 0])
      }))

    test("keeps environments, prefixes, databases and versions of the data apart", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const fleets = yield* Effect.all([
          make({ url: server.url, ...patient }),
          make({ url: server.url, environment: "other", ...patient }),
          make({ url: server.url, prefix: "other", ...patient }),
          make({ url: `${server.url}/1`, ...patient })
        ])
        for (const [at, store] of fleets.entries()) {
          // The same news counts once.
          const asked = store.exchange(news(1, { failures: at + 1 }))
          const { views } = yield* until(asked, ({ instances }) => instances === 2)
          assert.strictEqual(views[0].failures, at + 1)
        }
        const channels = yield* until(
          server.ask("PUBSUB", "CHANNELS"),
          (list) => Array.isArray(list) && list.length === 4
        )
        assert.deepStrictEqual([...new Set(Array.isArray(channels) ? channels : [])].sort(), [
          "other:default:v1:announcements:0",
          "resilience:default:v1:announcements:0",
          "resilience:default:v1:announcements:1",
          "resilience:other:v1:announcements:0"
        ])
        assert.isTrue(
          (yield* server.keys).every((key) => /^\{(resilience|other):(default|other):v1[:}]/.test(key))
        )
      }))

    test("passes announcements on to the policies, not what else is published", () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const store = yield* make({ url: server.url, ...patient })
        const heard: Array<SharedStore.Announcement> = []
        const member = {
          id: "partner",
          report: () => undefined,
          heard: () => {},
          announced: (announcement: SharedStore.Announcement) => void heard.push(announcement)
        }
        store.hub.join(member)
        yield* followed(server)
        const garbage = [
          ...["", "{", "null", "[]", "[1]", '["=partner","1","ajar","0","","0"]'],
          ...['["jpartner","1","open","0","","0"]', '["=partner","1","open","0","j{","0"]'],
          ...['["=partner","one","open","0","","0"]', '["=partner","1e300","open","0","","0"]'],
          ...['["=partner","1","open","soon","","0"]', '["=partner","1","open","0","","new"]']
        ]
        for (const message of garbage) {
          yield* server.ask("PUBLISH", channel, message)
        }
        const change = { state: "open", remaining: 5000, expected: 0 } as const
        yield* store.exchange(news(1, { change }))
        yield* until(
          Effect.sync(() => heard.length),
          (count) => count > 0
        )
        // The hub does not hold it.
        assert.strictEqual(member.id, "partner")
        assert.deepStrictEqual(heard, [
          {
            id: "partner",
            generation: 1,
            state: "open",
            remaining: 5000,
            settings: undefined,
            settingsVersion: 0
          }
        ])
      }))
  })
}
