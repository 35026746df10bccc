// A program that uses every policy, by layers, by key and over HTTP, adds one layer and is seen whole.
import { HttpClient, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
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
import {
  HttpAdmin,
  HttpDashboard,
  HttpHealth,
  HttpMetrics,
  HttpProtection,
  HttpResilience
} from "effect-resilience/http"
import { Health, Observability, Registry } from "effect-resilience/observability"
import { views } from "../http/support/views.js"
import { down } from "../support/calls.js"
import { tracing } from "../support/tracing.js"

// ------------------------------------------------------------------------------------------------ policies of layers

class Breaker extends CircuitBreaker.Tag("Breaker")<Breaker>() {}
class Places extends Bulkhead.Tag("Places")<Places>() {}
class Limiter extends RateLimiter.Tag("Limiter")<Limiter>() {}
class Budget extends RetryBudget.Tag("Budget")<Budget>() {}
class Offers extends Cache.Tag("Offers")<Offers, string, string>() {}
class Hosts extends CircuitBreaker.KeyedTag("Hosts")<Hosts>() {}
class Tenants extends Bulkhead.KeyedTag("Tenants")<Tenants>() {}
class Users extends RateLimiter.KeyedTag("Users")<Users>() {}
class Payers extends RetryBudget.KeyedTag("Payers")<Payers>() {}

const rate = RateLimiter.smooth({ limit: 1, per: "1 minute" })
const poor = { rule: RetryBudget.successes({ capacity: 0 }) }

const PoliciesLive = Layer.mergeAll(
  Breaker.layer({ trip: Trip.consecutive(1), openFor: "1 minute" }),
  Places.layer({ permits: 1 }),
  Limiter.layer({ rate }),
  Budget.layer(poor),
  Offers.layer({ lookup: (key) => Effect.succeed(key), timeToLive: "1 minute" }),
  Hosts.layer({ options: { trip: Trip.consecutive(1) } }),
  Tenants.layer({ options: { permits: 1 } }),
  Users.layer({ options: { rate } }),
  Payers.layer({ options: poor })
)

// ------------------------------------------------------------------------------------------------------- the program

/** Calls within a call, of which a bulkhead of one place rejects the second, though each is a call of another fiber. */
const crowd = <A, E, R>(self: (call: Effect.Effect<void>) => Effect.Effect<A, E, R>) =>
  Effect.all([self(Effect.sleep("20 millis")), self(Effect.void)], { concurrency: 2 })

const calls = Effect.gen(function* () {
  const payer = yield* Payers.get("a")
  const twice = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.zipRight(Effect.exit(self), self)
  const each: ReadonlyArray<Effect.Effect<unknown, unknown, Policies>> = [
    twice(down.pipe(Breaker.protect)),
    crowd(Places.protect),
    twice(Effect.void.pipe(Limiter.protect)),
    down.pipe(Retry.retry({ times: 1, budget: Budget, name: "again" })),
    Effect.flatMap(Offers, (offers) => offers.get("a")),
    twice(down.pipe(Hosts.protect("a"))),
    crowd(Tenants.protect("a")),
    twice(Effect.void.pipe(Users.protect("a"))),
    down.pipe(Retry.retry({ times: 1, budget: payer, name: "again" })),
    Effect.sleep("1 minute").pipe(Timeout.timeout({ limit: "1 millis", name: "limit" })),
    Effect.sleep("20 millis").pipe(Hedge.hedge({ delay: "1 millis", name: "twin" })),
    down.pipe(Fallback.succeed("cold", { name: "cold" }))
  ]
  yield* Effect.forEach(each, Effect.exit)
})

type Policies = Breaker | Places | Limiter | Budget | Offers | Hosts | Tenants | Users | Payers

/** Every policy of the program: its kind, the name of the label, and the name of the entry. */
const policies: ReadonlyArray<readonly [kind: string, family: string, name?: string]> = [
  ["circuit-breaker", "Breaker"],
  ["bulkhead", "Places"],
  ["rate-limiter", "Limiter"],
  ["retry-budget", "Budget"],
  ["cache", "Offers"],
  ["circuit-breaker", "Hosts", "Hosts/a"],
  ["bulkhead", "Tenants", "Tenants/a"],
  ["rate-limiter", "Users", "Users/a"],
  ["retry-budget", "Payers", "Payers/a"],
  ["retry", "again"],
  ["timeout", "limit"],
  ["hedge", "twin"],
  ["fallback", "cold"],
  ["bulkhead", "of the server"],
  ["circuit-breaker", "of the client", "of the client/"],
  ["retry", "of the client"]
]
const stateful = policies.filter(([kind]) => !["retry", "timeout", "hedge", "fallback"].includes(kind))

const routes = Effect.gen(function* () {
  const protectedRoute = HttpRouter.empty.pipe(
    HttpRouter.get("/up", HttpServerResponse.text("up")),
    HttpRouter.use(HttpProtection.bulkhead({ permits: 10, name: "of the server" }))
  )
  return HttpRouter.concatAll(
    protectedRoute,
    yield* HttpAdmin.router(),
    yield* HttpDashboard.router(),
    yield* HttpHealth.router(),
    yield* HttpMetrics.router()
  )
})

/** That each policy is among what was found, by its kind and the name that one has there. */
const expectAll = (
  where: string,
  expected: typeof policies,
  found: ReadonlyArray<{ readonly kind: string; readonly name: string }>
): void => {
  for (const [kind, family, name = family] of expected) {
    assert.isTrue(
      found.some(
        (each) =>
          each.kind === kind && (each.name === name || (name.endsWith("/") && each.name.startsWith(name)))
      ),
      `${kind} "${name}" in ${where}`
    )
  }
}

it.live("one layer shows every policy in registry, metrics, spans, health, admin and dashboard", () => {
  const { spans, tracer } = tracing()
  return Effect.gen(function* () {
    yield* HttpServer.serveEffect(yield* routes)
    const http = yield* HttpClient.HttpClient
    const client = http.pipe(
      HttpResilience.standard({ circuitBreaker: { name: "of the client" }, retry: { name: "of the client" } })
    )
    yield* Effect.withSpan(Effect.zipRight(calls, client.get("/up")), "program")

    const { all } = yield* Registry.Registry
    expectAll("the registry", policies, yield* all)

    const text = yield* Effect.flatMap(http.get("/metrics"), ({ text }) => text)
    const series = Array.from(text.matchAll(/kind="([^"]*)".*policy="([^"]*)"/g), ([, kind, name]) => ({
      kind,
      name
    }))
    const families = policies.map(([kind, family]) => [kind, family] as const)
    expectAll("metrics", families, series)

    // A cache has nothing to say of a call, and what went well says nothing.
    const silent = ["Offers", "of the server", "of the client"]
    const told = spans.flatMap(({ events }) =>
      events.map(({ attributes }) => ({
        kind: String(attributes["resilience.kind"]),
        name: String(attributes["resilience.policy"])
      }))
    )
    expectAll(
      "spans",
      policies.filter(([, family]) => !silent.includes(family)),
      told
    )

    const judged: Array<{ readonly kind: string; readonly name: string }> = []
    const health = yield* Health.make({ rules: (policy) => void judged.push(policy) })
    assert.strictEqual((yield* health.check).status, "degraded")
    expectAll("health", stateful, judged)

    const list = yield* Effect.flatMap(http.get("/resilience"), ({ json }) => json)
    expectAll("the admin routes", stateful, list as ReadonlyArray<{ kind: string; name: string }>)
    expectAll("the dashboard", policies, yield* views)
    assert.strictEqual((yield* http.get("/ready")).status, 200)
  }).pipe(
    Effect.scoped,
    Effect.provide(PoliciesLive.pipe(Layer.provideMerge(Observability.layer({ logs: false })))),
    Effect.withTracer(tracer),
    Effect.provide(NodeHttpServer.layerTest)
  )
})
