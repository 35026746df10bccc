/**
 * Processes that share a real Redis whose time the test moves: every script is sent with a time of the test in place of `TIME`, and
 * moving that time brings the end of each key nearer by as much.
 */
import { Effect, type Scope } from "effect"
import type { SharedStore } from "effect-resilience/fleet"
import { Redis } from "ioredis"
import { Redis as Redis5 } from "ioredis-5"
import { createClient } from "redis"
import { watched as watchedIo } from "../../src/ioredis/client.js"
import { watched } from "../../src/redis/client.js"
import { adapterOf } from "../../src/redis/store/adapter.js"
import { Connection, type Client, type Open, type Watcher } from "../../src/redis/store/connection.js"
import { Keys, type Place } from "../../src/redis/store/keys.js"
import * as scripts from "../../src/redis/store/scripts.js"
import type { Fleet } from "../fleet/conformance.js"
import type { RedisServer } from "./redis.js"
import { until } from "./until.js"

/** A connection of each client, in each major version that the library works with. */
export const clients: Readonly<Record<string, (url: string, watcher: Watcher) => Client>> = {
  "node-redis 6": (url, watcher) => watched(createClient({ url, disableOfflineQueue: true }), watcher),
  "ioredis 6": (url, watcher) => watchedIo(new Redis(url, { enableOfflineQueue: false }), watcher),
  "ioredis 5": (url, watcher) => watchedIo(new Redis5(url, { enableOfflineQueue: false }), watcher)
}

const known = Object.values(scripts)

/** A script at a given time, in microseconds. */
const textAt = (digest: string, micros: number): string => {
  const script = known.find((each) => each.digest === digest)
  if (script === undefined) throw new Error(`no script is known as ${digest}`)
  const asked = "redis.call('TIME')"
  if (script.text.split(asked).length > 2) throw new Error("a script asks for the time twice")
  // No two calls are in the same microsecond. A rate reckons with it, and shows nothing but milliseconds here.
  const at = digest === scripts.take.digest ? micros - (micros % 1000) : micros
  return script.text.replace(asked, `{ '${Math.floor(at / 1_000_000)}', '${at % 1_000_000}' }`)
}

/** Has every key with a given beginning end earlier. */
const shorten = `
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local left = redis.call('PTTL', key)
  if left < 0 then return redis.error_reply(key .. ' has no end') end
  redis.call('PEXPIRE', key, string.format('%.0f', left - ARGV[2]))
end
return 0
`

const remove = `
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do redis.call('DEL', key) end
return 0
`

let fleets = 0

export interface RedisFleet extends Fleet {
  readonly place: Place
  /** Moves the time and leaves the keys, which Redis ends some milliseconds later than it could. */
  readonly drift: (millis: number) => Effect.Effect<void>
}

/** A fleet of its own on a server. Times are multiples of a minute, so that what the test itself takes does not matter. */
export const redisFleet = (server: RedisServer, client: string): Effect.Effect<RedisFleet> =>
  Effect.sync(() => {
    const place = { prefix: "test", environment: `fleet-${++fleets}` }
    const keys = new Keys(place)
    const channel = keys.channel(0)
    let now = 1_800_000_000_000_000
    const open: Open = (watcher) => {
      const real = clients[client](server.url, watcher)
      return { ...real, evalsha: (digest, keys, args) => real.eval(textAt(digest, now++), keys, args) }
    }
    const run = (script: string, ...args: ReadonlyArray<string>) =>
      Effect.orDie(Effect.asVoid(server.ask("EVAL", script, "0", `{${keys.start}`, ...args)))
    const join: Effect.Effect<SharedStore.Adapter, never, Scope.Scope> = Effect.gen(function* () {
      const connection = yield* Effect.acquireRelease(
        Effect.sync(() => new Connection(open)),
        (connection) => Effect.sync(() => connection.close())
      )
      return adapterOf(connection, keys, channel)
    })
    const drift = (millis: number) =>
      Effect.sync(() => {
        now = now - (now % 1000) + millis * 1000
      })
    const followers = Effect.map(Effect.orDie(server.ask("PUBSUB", "NUMSUB", channel)), (reply) =>
      Number(Array.isArray(reply) ? reply[1] : NaN)
    )
    return {
      place,
      join,
      listen: Effect.gen(function* () {
        const before = yield* followers
        const heard: Array<SharedStore.Announcement> = []
        const adapter = yield* join
        const listener = (announcement: SharedStore.Announcement) => void heard.push(announcement)
        yield* Effect.forkScoped(adapter.follow(listener, () => {}))
        yield* until(followers, (count) => count > before)
        return heard
      }),
      advance: (millis) => Effect.zipRight(drift(millis), run(shorten, String(millis))),
      drift,
      forget: run(remove)
    }
  })
