// How a store gets in: passwords, users with few rights, TLS, clusters, sentinels.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import type { SharedStore } from "effect-resilience/fleet"
import { RedisStore as IoStore } from "effect-resilience/ioredis"
import { RedisStore as NodeStore } from "effect-resilience/redis"
import { Cluster, Redis } from "ioredis"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { createCluster, createSentinel } from "redis"
import { plain } from "../../bench/fleet/server.js"
import { Keys } from "../../src/redis/store/keys.js"
import * as scripts from "../../src/redis/store/scripts.js"
import { redisServer } from "../support/redis.js"
import {
  answered,
  becomes,
  followed,
  news,
  operations,
  patient,
  reasonOf,
  refused,
  stores,
  test
} from "../support/redisStores.js"
import { until } from "../support/until.js"
import { oddNames } from "./conformance.js"

/** A store of each package, connected as the program connects, given a port. */
type Connected = Readonly<
  Record<string, (port: number) => Effect.Effect<SharedStore.Service, never, Scope.Scope>>
>

// --------------------------------------------------------------------------------------------------------- passwords, TLS

describe.each(Object.entries(stores))("a store by %s", (name, { make }) => {
  test("knows a password from its URL, and is degraded with another one", () =>
    Effect.gen(function* () {
      const password = "p@ss:w/ord"
      const server = yield* redisServer({
        args: (port) => [...plain(port), "--requirepass", password],
        admin: { password }
      })
      const url = (password: string) =>
        Redacted.make(`redis://:${encodeURIComponent(password)}@127.0.0.1:${server.port}`)
      const right = yield* make({ url: url(password), ...patient })
      yield* right.exchange(news(1))
      const wrong = yield* make({ url: url("other"), ...patient })
      assert.include(reasonOf(yield* becomes(wrong, "Degraded")), "WRONGPASS")
    }))

  test("recovers when the password is its own again", () =>
    Effect.gen(function* () {
      const server = yield* redisServer({
        args: (port) => [...plain(port), "--user admin on >admin ~* &* +@all", "--requirepass", "old"],
        admin: { username: "admin", password: "admin" }
      })
      const store = yield* make({ url: `redis://:old@127.0.0.1:${server.port}`, ...patient })
      yield* store.exchange(news(1, { failures: 1 }))
      yield* server.ask("CONFIG", "SET", "requirepass", "new")
      yield* server.ask("CLIENT", "KILL", "TYPE", "normal")
      yield* refused(store.exchange(news(1, { failures: 1 })), "WRONGPASS")
      assert.strictEqual((yield* store.health)._tag, "Degraded")
      yield* server.ask("CONFIG", "SET", "requirepass", "old")
      yield* becomes(store, "Connected")
      assert.strictEqual((yield* store.exchange(news(2, { failures: 1 }))).views[0].failures, 2)
    }))

  test("needs the commands, keys and channels that it names, and no more", () =>
    Effect.gen(function* () {
      const server = yield* redisServer()
      const { channels, commands, keys } = NodeStore.permissions({ environment: "prod" })
      assert.deepStrictEqual(IoStore.permissions({ environment: "prod" }), { channels, commands, keys })
      const rights = [`~${keys}`, `&${channels}`, "-@all", ...commands.map((command) => `+${command}`)]
      yield* server.ask("ACL", "SETUSER", "app", "on", ">secret", "resetkeys", "resetchannels", ...rights)
      const url = `redis://app:secret@127.0.0.1:${server.port}`
      const store = yield* make({ url, environment: "prod", ...patient })
      const change = { state: "half-open", remaining: 0, expected: undefined } as const
      const probe = { generation: 1, permits: 1, timeToLive: 1000 }
      const { views } = yield* store.exchange(news(1, { failures: 1, change, settings: "s", probe }))
      const settled = [{ lease: views[0].lease ?? NaN, generation: 1, outcome: "success" }] as const
      yield* store.exchange(news(2, { slow: 1, settled }))
      for (const operation of Object.values(operations(store))) yield* operation
      yield* until(server.ask("PUBSUB", "CHANNELS"), (list) => Array.isArray(list) && list.length === 1)
      assert.deepStrictEqual(yield* server.ask("ACL", "LOG"), [])
      // The same user gets nowhere else.
      const elsewhere = yield* make({ url, environment: "test", ...patient })
      assert.include(reasonOf(yield* becomes(elsewhere, "Degraded")), "NOPERM")
      assert.strictEqual((yield* store.health)._tag, "Connected")
    }))

  test("speaks TLS, and trusts whom it is told to trust", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-resilience-tls-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
      )
      const [key, cert] = ["key.pem", "cert.pem"].map((file) => path.join(folder, file))
      childProcess.execFileSync(
        "openssl",
        [
          ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
          ..."-subj /CN=localhost -addext subjectAltName=DNS:localhost".split(" "),
          ...["-keyout", key, "-out", cert]
        ],
        { stdio: "ignore" }
      )
      const ca = fs.readFileSync(cert)
      const server = yield* redisServer({
        args: (port) => [
          ...plain(0),
          ...["--tls-port", String(port), "--tls-auth-clients", "no"],
          ...["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert]
        ],
        admin: { socket: { tls: true, host: "localhost", ca } }
      })
      const url = `rediss://localhost:${server.port}`
      const trusting = yield* name === "ioredis"
        ? IoStore.make({ url, client: { tls: { ca } }, ...patient })
        : NodeStore.make({ url, client: { socket: { tls: true, ca } }, ...patient })
      yield* trusting.exchange(news(1))
      yield* followed(server)
      const careful = yield* make({ url, ...patient })
      assert.match(reasonOf(yield* becomes(careful, "Degraded")), /self.signed/)
    }))
})

it("the permissions of a store name each command of its scripts, and few more", () => {
  const used = Object.values(scripts).flatMap(({ text }) =>
    [...text.matchAll(/redis\.call\('(\w+)'/g)].map(([, command]) => command.toLowerCase())
  )
  assert.deepStrictEqual(
    [...NodeStore.permissions().commands].sort(),
    [...new Set([...used, "eval", "evalsha", "subscribe"])].sort()
  )
})

// --------------------------------------------------------------------------------------------------------------- clusters

/** A cluster of one node, which has all slots. */
const cluster = Effect.gen(function* () {
  const server = yield* redisServer({
    args: (port) => [...plain(port), "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]
  })
  yield* server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
  yield* until(server.ask("CLUSTER", "INFO"), (info) => String(info).includes("cluster_state:ok"))
  return server
})

describe("a cluster", () => {
  test("has the keys of one exchange in one slot, whatever the names", () =>
    Effect.gen(function* () {
      const server = yield* cluster
      const keys = new Keys({ prefix: "a.b:c", environment: "prod" })
      const slotOf = (key: string) => server.ask("CLUSTER", "KEYSLOT", key)
      const all = [keys.living, ...oddNames.flatMap((name) => [keys.sequence(name), ...keys.breaker(name)])]
      assert.strictEqual(new Set(all).size, 1 + oddNames.length * 4)
      assert.strictEqual(new Set(yield* Effect.forEach(all, slotOf)).size, 1)
      // Rates and values are spread.
      for (const kind of ["rate", "value"] as const) {
        const spread = yield* Effect.forEach(oddNames, (name) => slotOf(keys[kind](name)))
        assert.isAbove(new Set(spread).size, oddNames.length - 3)
      }
    }))

  const connections: Connected = {
    "node-redis": (port) =>
      NodeStore.make({
        ...patient,
        connect: () =>
          createCluster({
            rootNodes: [{ url: `redis://127.0.0.1:${port}` }],
            defaults: { disableOfflineQueue: true }
          })
      }),
    ioredis: (port) =>
      IoStore.make({
        ...patient,
        connect: () => new Cluster([{ host: "127.0.0.1", port }], { enableOfflineQueue: false })
      })
  }
  for (const [name, make] of Object.entries(connections)) {
    test(`is a store by ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* cluster
        const store = yield* make(server.port)
        yield* becomes(store, "Connected")
        yield* followed(server)
        const reports = oddNames.map((id) => ({ ...news(0).reports[0], id, failures: 1 }))
        const { views } = yield* answered(store.exchange(news(1, {}, { reports })))
        assert.isTrue(views.every(({ failures }) => failures === 1))
        for (const operation of Object.values(operations(store))) yield* operation
      }))
  }
})

// -------------------------------------------------------------------------------------------------------------- sentinels

describe("a failover by sentinels", () => {
  /** A primary, its replica, and a sentinel that soon notices. */
  const group = Effect.gen(function* () {
    const primary = yield* redisServer()
    const replica = yield* redisServer({
      args: (port) => [...plain(port), "--replicaof", "127.0.0.1", String(primary.port)]
    })
    yield* until(replica.ask("INFO", "replication"), (info) => String(info).includes("master_link_status:up"))
    const sentinel = yield* redisServer({
      program: "redis-sentinel",
      args: (port) => {
        const file = path.join(primary.folder, "sentinel.conf")
        const lines = [
          `port ${port}`,
          "bind 127.0.0.1",
          `sentinel monitor group 127.0.0.1 ${primary.port} 1`,
          "sentinel down-after-milliseconds group 300",
          "sentinel failover-timeout group 2000"
        ]
        fs.writeFileSync(file, lines.join("\n"))
        return [file]
      }
    })
    yield* until(
      sentinel.ask("SENTINEL", "REPLICAS", "group"),
      (list) => Array.isArray(list) && list.length === 1
    )
    return { primary, replica, sentinel }
  })

  const connections: Connected = {
    "node-redis": (port) =>
      NodeStore.make({
        ...patient,
        deadline: "500 millis",
        connect: () =>
          createSentinel({
            name: "group",
            sentinelRootNodes: [{ host: "127.0.0.1", port }],
            scanInterval: 200,
            nodeClientOptions: { disableOfflineQueue: true }
          })
      }),
    ioredis: (port) =>
      IoStore.make({
        ...patient,
        deadline: "500 millis",
        connect: () =>
          new Redis({
            sentinels: [{ host: "127.0.0.1", port }],
            name: "group",
            enableOfflineQueue: false,
            maxRetriesPerRequest: 0
          })
      })
  }
  for (const [name, make] of Object.entries(connections)) {
    test(`is survived by a store by ${name}`, () =>
      Effect.gen(function* () {
        const { primary, replica, sentinel } = yield* group
        const store = yield* make(sentinel.port)
        const { views } = yield* answered(store.exchange(news(1, { failures: 3 })))
        yield* until(replica.keys, (keys) => keys.length > 2)
        yield* primary.kill
        const after = yield* answered(store.exchange(news(2, { failures: 1 })))
        // The replica has become the primary, with what it knew.
        assert.deepStrictEqual([after.views[0].failures, after.views[0].epoch], [4, views[0].epoch])
        assert.include(String(yield* replica.ask("INFO", "replication")), "role:master")
      }))
  }
})
