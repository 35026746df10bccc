/** A thousand instances in one process: what their exchanges cost Redis, what Redis holds, and how many probes they send. */
import { Context, Effect, Layer, Logger, LogLevel } from "effect"
import { CircuitBreaker, Trip } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { RedisStore } from "effect-resilience/redis"
import * as Report from "./report.js"
import * as Server from "./server.js"
import { probes } from "./settings.js"

const instances = 1000
const keys = 10_000
/** How many keys are told of in one exchange. */
const pageSize = 100
const openMillis = 2000

/** A process's news: one failure of each of some breakers. */
const news = (instance: number, sequence: number, ids: ReadonlyArray<string>): SharedStore.News => ({
  instance: `instance-${instance}`,
  incarnation: "1",
  sequence,
  timeToLive: 60_000,
  reports: ids.map((id) => ({ id, successes: 1, failures: 1, slow: 0, window: 10_000 }))
})

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, index) => index)

/** What exchanges cost Redis, by its own count. */
export const costs = ({ figure, goal }: Report.Report, server: Server.Server) =>
  Effect.gen(function* () {
    const store = yield* SharedStore.SharedStore
    let sequence = 0
    /** Has instances tell of their breakers, and returns Redis' time for one exchange. */
    const exchanged = (telling: ReadonlyArray<readonly [number, ReadonlyArray<string>]>) =>
      Effect.gen(function* () {
        const before = yield* Server.counted(server)
        for (const [instance, ids] of telling) yield* store.exchange(news(instance, sequence++, ids))
        return Server.scripts(Server.between(before, yield* Server.counted(server))).micros
      })
    const bytes = Effect.map(Server.held(server), (held) => held.bytes)

    const each = (count: number, ...ids: ReadonlyArray<string>) =>
      exchanged(range(instances).map((index) => [index % count, ids] as const))
    yield* each(10, "partner")
    const few = yield* each(10, "partner")
    yield* each(instances)
    const living = yield* bytes
    yield* each(instances, "partner")
    const many = yield* each(instances, "partner")
    const failing = yield* bytes
    yield* figure("scale: Redis' time for an exchange, 10 instances", Report.time(few))
    // A script that looked at every instance would take a hundred times as long.
    yield* goal(
      `scale: the same with ${instances}, less than three times as much`,
      many < 3 * few,
      Report.time(many)
    )
    yield* figure("scale: bytes in Redis for an instance", (living / instances).toFixed(0))
    yield* figure(
      "scale: bytes in Redis for an instance that fails, for each breaker",
      ((failing - living) / instances).toFixed(0)
    )

    const names = range(keys).map((index) => `partner/host-${index}.example`)
    const pages = range(keys / pageSize).map((page) => names.slice(page * pageSize, (page + 1) * pageSize))
    const told = exchanged(pages.map((page, index) => [index, page] as const))
    yield* told
    const page = yield* told
    const keyed = yield* bytes
    yield* figure(`scale: Redis' time for a key, with ${keys} of them`, `${(page / pageSize).toFixed(0)} us`)
    yield* figure("scale: bytes in Redis for a key", ((keyed - failing) / keys).toFixed(0))

    const rate = { limit: 100, per: 60_000, burst: 100, permits: 1, atLeast: 1, spent: 0 }
    for (const id of names.slice(0, 1000)) yield* store.take({ ...rate, id })
    yield* figure("scale: bytes in Redis for a rate", (((yield* bytes) - keyed) / 1000).toFixed(0))
  })

/** How many probes a thousand instances send, each with a store and a breaker of its own. */
export const probing = ({ figure, goal }: Report.Report, url: string) =>
  Effect.gen(function* () {
    let fails = true
    const reached: Array<number> = []
    const body = Effect.suspend(() => {
      reached.push(performance.now())
      return Effect.delay(fails ? Effect.fail("down") : Effect.void, "50 millis")
    })
    const breakers = yield* Effect.forEach(
      range(instances),
      () =>
        // One process does the work of a thousand here, and a late answer is not what this is about.
        Effect.flatMap(Layer.build(RedisStore.layer({ url, deadline: "10 seconds" })), (store) =>
          CircuitBreaker.make({
            name: "probed",
            trip: Trip.consecutive(3),
            openFor: openMillis,
            halfOpen: { permits: probes, successes: probes },
            share: Share.local()
          }).pipe(Effect.provideService(SharedStore.SharedStore, Context.get(store, SharedStore.SharedStore)))
        ),
      { concurrency: 50 }
    )
    const everywhere = (holds: (state: CircuitBreaker.State) => boolean) =>
      Effect.map(
        Effect.forEach(breakers, (breaker) => breaker.state),
        (states) => states.every(holds)
      )
    const until = (what: string, holds: Effect.Effect<boolean>) =>
      holds.pipe(
        Effect.delay("50 millis"),
        Effect.repeat({ until: (found) => found }),
        Effect.timeoutFail({ duration: "60 seconds", onTimeout: () => `not within 60 s: ${what}` })
      )
    const call = Effect.suspend(() => {
      const knock = (breaker: CircuitBreaker.CircuitBreaker) =>
        Effect.delay(Effect.exit(breaker.protect(body)), Math.random() * 500)
      return Effect.forEach(breakers, knock, { concurrency: "unbounded", discard: true })
    })

    const startedAt = performance.now()
    yield* breakers[0].open
    yield* until(
      "every circuit has opened",
      everywhere((state) => state !== "closed")
    )
    yield* figure(
      `scale: from opening one of ${instances} by hand to the last open`,
      Report.time((performance.now() - startedAt) * 1000)
    )
    yield* Effect.forkScoped(Effect.forever(call))
    // Every probe fails, so half-open periods are at least an open time apart.
    const periods = () => Report.groupsOf(reached, openMillis * 0.9)
    yield* until(
      "probes in three half-open periods",
      Effect.sync(() => periods().length === 3)
    )
    const complete = periods().slice(0, 2)
    fails = false
    yield* until(
      "every circuit is closed",
      everywhere((state) => state === "closed")
    )
    const most = Math.max(...complete.map(({ length }) => length))
    yield* goal(
      `scale: the most probes of ${instances} in a half-open period`,
      most <= probes,
      `${most} of ${probes}`
    )
  })

export const thousand = (report: Report.Report) =>
  Effect.gen(function* () {
    const server = yield* Server.start()
    const url = `redis://127.0.0.1:${server.port}`
    yield* Effect.scoped(
      Effect.provide(costs(report, server), RedisStore.layer({ url, deadline: "10 seconds" }))
    )
    yield* Effect.scoped(probing(report, url))
  }).pipe(Logger.withMinimumLogLevel(LogLevel.Error))
