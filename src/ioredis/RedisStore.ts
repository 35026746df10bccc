/**
 * The shared store over Redis 6.2 or later, by the package `ioredis`. What a fleet shares, and what happens while Redis does not
 * answer, is the same as with `effect-resilience/redis`.
 *
 * Every key expires. For each breaker, Redis holds about 150 bytes and the settings until an hour after its last news, and 100 bytes
 * for each process that fails; for each process 200 bytes until 24 intervals after its last news; for each rate 150 bytes until its
 * grants are paid for; and each value until the end of its time to live, 30 days at most.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Redis, type RedisOptions } from "ioredis"
import type * as SharedStore from "../fleet/SharedStore.js"
import { type Client, watched } from "./client.js"
import * as store from "../redis/store/store.js"

// ------------------------------------------------------------------------------------------------------------- models

/**
 * @since 0.1.0
 * @category models
 */
export type { Client, Destroyable } from "./client.js"

/**
 * The permissions that a Redis user needs for the store, in the words of an ACL. `HELLO` and `AUTH` need no permission; a database
 * other than 0 needs `SELECT`.
 *
 * @since 0.1.0
 * @category models
 */
export type Permissions = store.Permissions

// ------------------------------------------------------------------------------------------------------------ options

/**
 * The options of a store that are plain data.
 *
 * @since 0.1.0
 * @category options
 */
export type Settings = store.Settings

/**
 * Connections that the store makes itself.
 *
 * @since 0.1.0
 * @category options
 */
export interface UrlOptions extends Settings {
  /** More for `new Redis`: TLS, credentials, a connection's name. */
  readonly client?: Omit<RedisOptions, "replyMapping"> | undefined
  readonly connect?: undefined
}

/**
 * Connections that the program makes: to a cluster, by Sentinel, or with a configuration of its own.
 *
 * @since 0.1.0
 * @category options
 */
export interface ConnectOptions extends SharedStore.Options, store.PlaceOptions {
  /**
   * Makes a client, which the store disconnects: one for commands and one that subscribes, and another one in place of a client that
   * has given up or that hears nothing. Set `enableOfflineQueue: false` and `maxRetriesPerRequest: 0`, so that a client refuses
   * commands while it has no connection.
   */
  readonly connect: () => Client
  readonly url?: undefined
  readonly client?: undefined
}

/**
 * Either a `url` or `connect`, where the data is (`prefix`, `environment`), and what every store has (`interval`, `deadline`,
 * `instance`).
 *
 * @since 0.1.0
 * @category options
 */
export type Options = UrlOptions | ConnectOptions

// ------------------------------------------------------------------------------------------------------- constructors

const made = /*#__PURE__*/ store.constructorsOf<Client, NonNullable<UrlOptions["client"]>>({
  clientOf: (url, options, jitter) =>
    new Redis(url, {
      autoResendUnfulfilledCommands: false,
      connectTimeout: store.connectTimeout,
      disableClientInfo: true,
      enableOfflineQueue: false,
      // It asks with `INFO` whether the data is loaded. The scripts are refused until it is.
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt) => store.reconnectDelay(attempt, jitter),
      ...options
    }),
  databaseOf: ({ db }) => db,
  watched
})

/**
 * Makes a store, whose connections end with the scope. It does not wait for Redis: without it the store begins degraded and recovers.
 * Dies with `InvalidOption` for an invalid option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (options: Options) => Effect.Effect<SharedStore.Service, never, Scope.Scope> = made.make

// ------------------------------------------------------------------------------------------------------------- layers

/**
 * The store of a program, over Redis. Two connections for a process, however many policies share it.
 *
 * @example
 * ```ts
 * import { RedisStore } from "effect-resilience/ioredis"
 *
 * export const Live = RedisStore.layer({ url: "redis://localhost:6379", environment: "production" })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: (options: Options) => Layer.Layer<SharedStore.SharedStore> = made.layer

/**
 * {@link layer} with settings from the configuration. A bad one is a `ConfigError`.
 *
 * @example
 * ```ts
 * import { Config } from "effect"
 * import { RedisStore } from "effect-resilience/ioredis"
 *
 * export const Live = RedisStore.layerConfig({ url: Config.redacted("REDIS_URL"), environment: Config.string("STAGE") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig: (
  settings: Config.Config.Wrap<Settings>,
  given?: Pick<UrlOptions, "client">
) => Layer.Layer<SharedStore.SharedStore, ConfigError> = made.layerConfig

// -------------------------------------------------------------------------------------------------------- permissions

/**
 * The permissions that a Redis user needs for the store.
 *
 * @since 0.1.0
 * @category permissions
 */
export const permissions = (place: store.PlaceOptions = {}): Permissions => store.permissionsOf(place)
