/** What both packages' stores have in common: their options, and the constructors from a way to make clients. */
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import {
  callable,
  type Caller,
  type Check,
  InvalidOption,
  isObject,
  object,
  type Shape
} from "../../core/options.js"
import * as SharedStore from "../../fleet/SharedStore.js"
import { reasonOf } from "../../fleet/storeUnavailable.js"
import * as Time from "../../internal/time.js"
import { fromConfig } from "../../policy/fromConfig.js"
import { adapterOf } from "./adapter.js"
import { type Client as StoreClient, Connection, type Watcher } from "./connection.js"
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

/** The options of a store over one package: a URL with what its clients need besides, or what makes its clients. */
export type Options<Client, ClientOptions> =
  | (Settings & { readonly client?: ClientOptions | undefined; readonly connect?: undefined })
  | (SharedStore.Options & PlaceOptions & { readonly connect: () => Client })

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

/** Checks the options of a store. Throws an `InvalidOption` for the first bad one. */
const check = (given: unknown, { policy }: Caller): void => {
  object(policy, "", given, { ...settingsShape, client: options, connect: callable })
  const { client, connect, url } = given as { readonly [name: string]: unknown }
  if (connect === undefined) {
    if (url === undefined) throw new InvalidOption(policy, "url", url, "given, or else connect")
    return
  }
  if (url !== undefined) throw new InvalidOption(policy, "connect", connect, "left out where there is a url")
  if (client !== undefined)
    throw new InvalidOption(policy, "client", client, "left out where there is connect")
}

// -------------------------------------------------------------------------------------------------------- constructors

/** What one package has of its own. */
export interface Package<Client, ClientOptions> {
  /** Makes a client for a URL. `jitter` is from 0 to 1. */
  readonly clientOf: (url: string, options: ClientOptions | undefined, jitter: number) => Client
  /** The database that the options of a client name. */
  readonly databaseOf: (options: ClientOptions) => number | undefined
  /** Connects a client and tells how it fares. */
  readonly watched: (client: Client, watcher: Watcher) => StoreClient
}

/** The constructors of a store over one package. */
export const constructorsOf = <Client, ClientOptions>(from: Package<Client, ClientOptions>) => {
  const layer = <E>(made: Effect.Effect<SharedStore.Service, E, Scope.Scope>) =>
    Layer.scoped(SharedStore.SharedStore, made)
  return {
    make: (options: Options<Client, ClientOptions>) => makeFor(from, options, { policy: "RedisStore.make" }),
    layer: (options: Options<Client, ClientOptions>) =>
      layer(makeFor(from, options, { policy: "RedisStore.layer" })),
    layerConfig: (
      settings: Config.Config.Wrap<Settings>,
      given: { readonly client?: ClientOptions | undefined } = {}
    ): Layer.Layer<SharedStore.SharedStore, ConfigError> => {
      const caller = { policy: "RedisStore.layerConfig" }
      return layer(
        Effect.flatMap(fromConfig({ caller, settings, check }), (read) =>
          makeFor(from, { ...read, ...given }, caller)
        )
      )
    }
  }
}

/** Makes a store, whose connections end with the scope. */
const makeFor = <Client, ClientOptions>(
  from: Package<Client, ClientOptions>,
  given: Options<Client, ClientOptions>,
  caller: Caller
): Effect.Effect<SharedStore.Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    check(given, caller)
    const { deadline, instance, interval } = given
    const { connect, database, option } = connecting(from, given, yield* Random.next)
    const keys = new Keys(placeOf(given))
    const clock = yield* Effect.clock
    const connection = new Connection((watcher) => from.watched(connect(), watcher))
    const start = () => {
      try {
        connection.start(Time.monotonicMillis(clock))
      } catch (error) {
        const expected = `what the client accepts (${reasonOf(error)})`
        throw new InvalidOption(caller.policy, option, undefined, expected)
      }
    }
    yield* Effect.acquireRelease(Effect.sync(start), () => Effect.sync(() => connection.close()))
    return yield* SharedStore.make(adapterOf(connection, keys, keys.channel(database)), {
      deadline,
      instance,
      interval
    })
  })

interface Connecting<Client> {
  readonly connect: () => Client
  readonly database: number
  /** The option that `connect` comes from. */
  readonly option: "client" | "connect"
}

const connecting = <Client, ClientOptions>(
  { clientOf, databaseOf }: Package<Client, ClientOptions>,
  options: Options<Client, ClientOptions>,
  jitter: number
): Connecting<Client> => {
  if (options.connect !== undefined) return { connect: options.connect, database: 0, option: "connect" }
  const { client, url } = options
  const text = typeof url === "string" ? url : Redacted.value(url)
  const named = Number(new URL(text).pathname.slice(1)) || 0
  return {
    connect: () => clientOf(text, client, jitter),
    database: named || (client === undefined ? 0 : (databaseOf(client) ?? 0)),
    option: "client"
  }
}

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

/** The permissions that a Redis user needs for the store, in the words of an ACL. */
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
