// A program whose policies have something to do, and a server with its dashboard: for the picture in the README, and to look at.
import { HttpRouter, HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Clock, Effect, Layer, Random, Schedule } from "effect"
import {
  Bulkhead,
  Cache,
  CircuitBreaker,
  Fallback,
  Hedge,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { HttpDashboard } from "effect-resilience/http"
import { Observability } from "effect-resilience/observability"
import { createServer } from "node:http"

interface Options {
  readonly port: number
  /** How many circuit breakers there are besides the policies of other kinds. */
  readonly breakers: number
}

/** How far a wave is that comes back after so many milliseconds, from -1 to 1. */
const wave = (period: number) =>
  Effect.map(Clock.currentTimeMillis, (now) => Math.sin((2 * Math.PI * now) / period))

/** A remote call that takes so many milliseconds and fails with a probability. */
const remote = <A>(answer: A, millis: number, failing: Effect.Effect<number>) =>
  Effect.gen(function* () {
    const probability = yield* failing
    yield* Effect.sleep(millis * (0.5 + (yield* Random.next)))
    if ((yield* Random.next) < probability) return yield* Effect.fail("unavailable" as const)
    return answer
  })

const often = (times: number, call: Effect.Effect<unknown, unknown>, busy = Effect.succeed(1)) =>
  Effect.flatMap(busy, (share) =>
    Effect.flatMap(Random.next, (chance) =>
      chance < share ? Effect.forkDaemon(Effect.ignore(call)) : Effect.void
    )
  ).pipe(Effect.repeat(Schedule.spaced(1000 / times)), Effect.forkScoped)

const traffic = (breakers: number) =>
  Effect.gen(function* () {
    const sometimes = Effect.map(wave(70_000), (height) => (height > 0.35 ? 0.85 : 0.02))
    const rarely = Effect.succeed(0.01)
    const trip = Trip.failureRate({ threshold: 0.5, within: "10 seconds", minimumCalls: 20 })
    const budget = yield* RetryBudget.make({ name: "retries" })
    const payments = yield* CircuitBreaker.make({ name: "payments", trip, openFor: "12 seconds" })
    yield* often(
      25,
      remote("paid", 60, sometimes).pipe(
        payments.protect,
        Retry.retry({ name: "payments", times: 2, budget }),
        Fallback.succeed("later", { name: "pay later" })
      )
    )
    for (let index = 1; index < breakers; index++) {
      const breaker = yield* CircuitBreaker.make({ name: `partner ${index}`, trip, openFor: "12 seconds" })
      yield* often(
        2,
        remote("offer", 40, index % 9 === 4 ? Effect.succeed(0.8) : rarely).pipe(breaker.protect)
      )
    }
    const upstreams = yield* CircuitBreaker.keyed({ options: { name: "upstream", trip } })
    yield* often(14, remote("books", 30, rarely).pipe(upstreams.protect("https://catalog.example")))
    yield* often(9, remote("orders", 50, rarely).pipe(upstreams.protect("https://orders.example")))

    const database = yield* Bulkhead.make({
      name: "database",
      permits: 8,
      maxQueued: 8,
      maxWait: "500 millis"
    })
    const swelling = Effect.map(wave(45_000), (height) => 0.55 + 0.45 * height)
    yield* often(
      60,
      remote("rows", 130, rarely).pipe(
        Timeout.timeout({ limit: "185 millis", name: "database query" }),
        database.protect
      ),
      swelling
    )
    const partner = yield* RateLimiter.make({
      name: "partner API",
      rate: RateLimiter.tokenBucket({ limit: 20, per: "1 second" })
    })
    yield* often(26, Effect.void.pipe(partner.protect), swelling)
    const prices = yield* Cache.make({
      name: "prices",
      lookup: (article: number) => remote(article, 40, rarely),
      timeToLive: "4 seconds"
    })
    yield* often(
      30,
      Effect.flatMap(Random.nextIntBetween(0, 40), (article) => prices.get(article))
    )
    yield* often(12, remote("found", 60, rarely).pipe(Hedge.hedge({ name: "search", delay: "75 millis" })))
  })

/** Runs as long as the layer. */
export const demo = ({ breakers, port }: Options) =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      yield* traffic(breakers)
      const dashboard = yield* HttpDashboard.router({ steering: { authorize: () => Effect.succeed(true) } })
      yield* HttpServer.serveEffect(HttpRouter.mount(HttpRouter.empty, "/ops", dashboard))
    })
  ).pipe(
    Layer.provide(Observability.layer()),
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port }))
  )
