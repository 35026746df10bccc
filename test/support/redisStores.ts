/** The stores over Redis of both packages, as a program makes them. */
import { it } from "@effect/vitest"
import { Effect, Either, Logger, LogLevel, Option, type Scope, Stream } from "effect"
import type { SharedStore } from "effect-resilience/fleet"
import { RedisStore as IoStore } from "effect-resilience/ioredis"
import { RedisStore as NodeStore } from "effect-resilience/redis"
import type { RedisServer } from "./redis.js"
import { until } from "./until.js"

type Settings = NodeStore.Settings

/** What both packages have. */
export interface StoreOf {
  readonly make: (settings: Settings) => Effect.Effect<SharedStore.Service, never, Scope.Scope>
}

export const stores: Readonly<Record<string, StoreOf>> = { "node-redis": NodeStore, ioredis: IoStore }

/** A test in real time, whose stores log nothing. */
export const test = (name: string, body: () => Effect.Effect<unknown, unknown, Scope.Scope>): void =>
  it.scopedLive(name, () => Logger.withMinimumLogLevel(body(), LogLevel.None))

/** Exchanges often, and gives up only what is certainly not answered. */
export const patient = { interval: "20 millis", deadline: "20 seconds" } as const

/** The channel of a store whose options name no place. */
export const channel = "resilience:default:v1:announcements:0"

/** Waits until a store listens to announcements. */
export const followed = (server: RedisServer) =>
  until(server.ask("PUBSUB", "NUMSUB", channel), (reply) => String(reply).endsWith("1"))

/** The answer to what is asked until it is answered. */
export const answered = <A, E, R>(asked: Effect.Effect<A, E, R>) =>
  Effect.flatten(until(Effect.option(asked), Option.isSome))

/** Asks until the store refuses for a reason that includes a text. An earlier reason may be the loss of a connection. */
export const refused = (asked: Effect.Effect<unknown, SharedStore.StoreUnavailable>, text: string) =>
  until(Effect.either(asked), (answer) => Either.isLeft(answer) && answer.left.reason.includes(text))

/** The health, as soon as it is as named. */
export const becomes = (store: SharedStore.Service, tag: SharedStore.Health["_tag"]) =>
  until(store.health, ({ _tag }) => _tag === tag)

/** Why a store is degraded, by its last failed operation. */
export const reasonOf = (health: SharedStore.Health): string =>
  health._tag === "Degraded" ? health.reason : ""

/** A store and what it tells from the start. */
export const observed = (store: SharedStore.Service) =>
  Effect.gen(function* () {
    const events: Array<SharedStore.Event> = []
    yield* Effect.forkScoped(
      Stream.runForEach(store.changes, (event) => Effect.sync(() => void events.push(event)))
    )
    return events
  })

/** News of one breaker from a process that is not the store's own. */
export const news = (
  sequence: number,
  report: Partial<SharedStore.Report> = {},
  more: Partial<SharedStore.News> = {}
): SharedStore.News => ({
  instance: "another",
  incarnation: "first",
  sequence,
  timeToLive: 60_000,
  reports: [{ id: "partner", successes: 0, failures: 0, slow: 0, window: 60_000, ...report }],
  ...more
})

const sample = { key: "key", holder: "holder", staleAfter: 60_000, timeToLive: 60_000 }

/** One of each operation. */
export const operations = (
  store: SharedStore.Service
): Readonly<Record<string, Effect.Effect<unknown, SharedStore.StoreUnavailable>>> => ({
  exchange: store.exchange(news(1)),
  take: store.take({ id: "rate", limit: 10, per: 1000, burst: 10, permits: 1, atLeast: 1, spent: 0 }),
  read: store.read(sample),
  write: store.write({ key: "key", lease: undefined, value: "value", timeToLive: 60_000 }),
  release: store.release("key", "holder")
})
