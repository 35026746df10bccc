// A real Prometheus scrapes a program in which every policy has something to do: every query of the dashboard finds data, and so does
// every series that an alert asks for.
import { HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import {
  Backoff,
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
import { HttpMetrics } from "effect-resilience/http"
import { Alerts, Grafana, Observability } from "effect-resilience/observability"
import { startPrometheus } from "../support/prometheus.js"
import { findAll, namesIn, ofAnnotations, ofPanels, selectors } from "./found.js"

const prefix = "shop.policies"

/** Calls of every policy, among which there is everything that can happen to one, over and over again. */
const traffic = Effect.gen(function* () {
  const breaker = yield* CircuitBreaker.make({
    name: "partner",
    trip: Trip.consecutive(2),
    openFor: "50 millis"
  })
  const budget = yield* RetryBudget.make({
    name: "retries",
    rule: RetryBudget.successes({ capacity: 5, minPerSecond: 1 })
  })
  const bulkhead = yield* Bulkhead.make({ name: "reports", permits: 1, maxQueued: 1 })
  const limiter = yield* RateLimiter.make({
    name: "users",
    rate: RateLimiter.tokenBucket({ limit: 5, per: "1 minute" })
  })
  let lookups = 0
  const cache = yield* Cache.make({
    name: "offers",
    capacity: 2,
    timeToLive: "30 millis",
    staleWhileRevalidate: "1 minute",
    lookup: (_key: string) => Effect.suspend(() => (++lookups % 3 === 0 ? Effect.fail("gone") : Effect.void))
  })
  const fails = Effect.fail("down")
  const slow = Effect.sleep("20 millis")
  const retried = Retry.retry({
    name: "orders",
    times: 2,
    schedule: Backoff.constant({ delay: "1 millis" }),
    budget
  })
  const hedged = Hedge.hedge({ name: "reads", delay: "1 millis", budget })

  const round = Effect.all(
    [
      breaker.protect(fails),
      breaker.protect(fails),
      breaker.protect(fails),
      Effect.delay(breaker.protect(Effect.void), "60 millis"),
      Effect.all(
        [1, 2, 3].map(() => bulkhead.protect(slow)),
        { concurrency: "unbounded" }
      ),
      limiter.protect(Effect.void),
      retried(fails),
      hedged(slow),
      Timeout.timeout({ name: "search", limit: "1 millis" })(slow),
      Fallback.succeed(fails, "cold", { name: "cold" }),
      Fallback.orElse(fails, () => fails, { name: "cold" }),
      cache.get("a"),
      cache.get("a"),
      Effect.delay(cache.get("a"), "40 millis"),
      cache.get("b"),
      cache.get("c")
    ].map((call) => Effect.ignore(call as Effect.Effect<unknown, unknown>)),
    { concurrency: 1 }
  )
  return yield* Effect.forever(round)
})

const policies = [
  ["circuit-breaker", "partner"],
  ["retry-budget", "retries"],
  ["bulkhead", "reports"],
  ["rate-limiter", "users"],
  ["cache", "offers"],
  ["retry", "orders"],
  ["hedge", "reads"],
  ["timeout", "search"],
  ["fallback", "cold"]
].map(([kind = "", name = ""]) => ({ kind, name }))

const dashboard = Grafana.make(policies, { prefix, matchers: { job: "shop" } })
const rules = Alerts.make(policies, {
  prefix,
  matchers: { job: "shop" },
  slos: [{ policy: "partner", objective: 0.999 }]
})

const panels = ofPanels(dashboard)
const alerts = rules.groups.flatMap(({ rules }) => rules.map(({ expr }) => expr))

describe("a Prometheus that scrapes a program", () => {
  it.scopedLive("finds what the dashboard and the alerts ask for", () =>
    Effect.gen(function* () {
      yield* HttpServer.serveEffect(yield* HttpMetrics.router())
      yield* Effect.forkScoped(traffic)
      const { address } = yield* HttpServer.HttpServer
      if (address._tag !== "TcpAddress") return assert.fail("it listens on a port")
      const prometheus = yield* startPrometheus({ port: address.port, rules: Alerts.yaml(rules) })

      assert.isAbove(panels.length, 40)
      yield* findAll(prometheus, panels)
      yield* findAll(prometheus, selectors("shop_policies", [...panels, ...alerts]))
      // What an alert asks for is a valid query, whether it finds anything or not.
      yield* Effect.forEach(alerts, prometheus.query)
      yield* findAll(prometheus, ofAnnotations(dashboard))
      assert.sameMembers(
        yield* namesIn(prometheus, dashboard),
        policies.map(({ name }) => name)
      )
    }).pipe(
      Effect.provide(
        Layer.merge(NodeHttpServer.layerTest, Observability.layer({ metrics: { prefix }, logs: false }))
      )
    )
  )
})
