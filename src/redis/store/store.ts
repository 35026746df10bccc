/** What both packages' stores have in common: their options, and a store from a way to open connections. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type Caller, type Check, InvalidOption, isObject, object, type Shape } from "../../core/options.js"
import * as SharedStore from "../../fleet/SharedStore.js"
import { reasonOf } from "../../fleet/storeUnavailable.js"
import * as Time from "../../internal/time.js"
import { adapterOf } from "./adapter.js"
import { Connection, type Open } from "./connection.js"
import { Keys, type Place } from "./keys.js"

/** Where the data is. */
export interface PlaceOptions {
  /** What all keys and channels begin with: letters, digits and `_ . : -`. Default: `resilience`. */
  readonly prefix?: string | undefined
  /** Fleets of different environments do not meet on one Redis: letters, digits and `_ . -`. Default: `default`. */
  readonly environment?: string | undefined
}

/** The options of a store that are plain data. */
export interface Settings extends SharedStore.Options, PlaceOptions {
  /** `redis://` or `rediss://` (TLS), then `[[user]:password@]host[:port][/database]`. */
  readonly url: string | Redacted.Redacted<string>
}

const matching =
  (pattern: RegExp, signs: string): Check =>
  (policy, option, value) => {
    if (typeof value === "string" && pattern.test(value)) return
    throw new InvalidOption(policy, option, value, `1 to 64 letters, digits and ${signs}`)
  }

const placeShape: Shape<PlaceOptions> = {
  prefix: matching(/^[\w.:-]{1,64}$/, "_ . : -"),
  environment: matching(/^[\w.-]{1,64}$/, "_ . -")
}

const address: Check = (policy, option, value) => {
  const isRedacted = Redacted.isRedacted(value)
  const text = isRedacted ? Redacted.value(value) : value
  if (typeof text === "string" && /^rediss?:$/.test(protocolOf(text))) return
  // A URL may have a password in it, so it is not shown.
  const shown = isRedacted || typeof value !== "string" ? value : Redacted.make(value)
  throw new InvalidOption(policy, option, shown, "a URL that begins with redis:// or rediss://")
}

const protocolOf = (url: string): string => {
  try {
    return new URL(url).protocol
  } catch {
    return ""
  }
}

const settingsShape: Shape<Settings> = { ...SharedStore.optionsShape, ...placeShape, url: address }

const options: Check = (policy, option, value) => {
  if (!isObject(value)) throw new InvalidOption(policy, option, value, "an object")
}

const connects: Check = (policy, option, value) => {
  if (typeof value !== "function") throw new InvalidOption(policy, option, value, "a function")
}

/** Checks the options of a store. Throws an `InvalidOption` for the first bad one. */
export const check = (given: unknown, { policy }: Caller): void => {
  object(policy, "", given, { ...settingsShape, client: options, connect: connects })
  const { client, connect, url } = given as { readonly [name: string]: unknown }
  if (connect === undefined) {
    if (url === undefined) throw new InvalidOption(policy, "url", url, "given, or else connect")
    return
  }
  if (url !== undefined) throw new InvalidOption(policy, "connect", connect, "left out where there is a url")
  if (client !== undefined)
    throw new InvalidOption(policy, "client", client, "left out where there is connect")
}

/** The text of a URL, and which database it names. */
export const urlOf = ({ url }: Settings): { readonly text: string; readonly database: number } => {
  const text = typeof url === "string" ? url : Redacted.value(url)
  return { text, database: Number(new URL(text).pathname.slice(1)) || 0 }
}

/** How a store opens connections. */
export interface Opening {
  readonly open: Open
  readonly database: number
  /** The option that `open` comes from. */
  readonly option: "client" | "connect"
}

/** Makes a store of checked options, whose connections end with the scope. `jitter` is from 0 to 1. */
export const storeOf = (
  given: SharedStore.Options & PlaceOptions,
  { policy }: Caller,
  openingOf: (jitter: number) => Opening
): Effect.Effect<SharedStore.Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { deadline, instance, interval } = given
    const { database, open, option } = openingOf(yield* Random.next)
    const keys = new Keys(placeOf(given))
    const clock = yield* Effect.clock
    const connection = new Connection(open)
    const start = () => {
      try {
        connection.start(Time.monotonicMillis(clock))
      } catch (error) {
        const expected = `what the client accepts (${reasonOf(error)})`
        throw new InvalidOption(policy, option, undefined, expected)
      }
    }
    yield* Effect.acquireRelease(Effect.sync(start), () => Effect.sync(() => connection.close()))
    const adapter = adapterOf(connection, keys, keys.channel(database))
    return yield* SharedStore.make(adapter, { deadline, instance, interval })
  })

const placeOf = ({ environment = "default", prefix = "resilience" }: PlaceOptions): Place => ({
  environment,
  prefix
})

/** Milliseconds before the next attempt to connect: up to 2 seconds, and not the same in every process. */
export const reconnectDelay = (attempt: number, jitter: number): number =>
  Math.min(2000, 50 * 2 ** Math.min(attempt, 10)) * (0.75 + jitter / 2)

/** How long an attempt to connect may take, in milliseconds. */
export const connectTimeout = 5000

// --------------------------------------------------------------------------------------------------------- permissions

/** What a user of Redis needs for the store, as its ACL says it. */
export interface Permissions {
  readonly commands: ReadonlyArray<string>
  /** The pattern of all keys. */
  readonly keys: string
  /** The pattern of all channels. */
  readonly channels: string
}

export const permissionsOf = (place: PlaceOptions): Permissions => {
  object("RedisStore.permissions", "", place, placeShape)
  const { start } = new Keys(placeOf(place))
  return { commands, keys: `{${start}*`, channels: `${start}:*` }
}

const commands = [
  ...["eval", "evalsha", "subscribe", "publish", "time"],
  ...["get", "set", "del", "pttl", "pexpire", "hget", "hmget", "hset", "hdel", "hincrby"],
  ...["zadd", "zrem", "zscore", "zcard", "zcount", "zremrangebyscore"]
]
