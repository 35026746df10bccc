// Policies that two processes share over a real Redis: each process shows them once, and says what came from the other one.
import { HttpClient, HttpRouter, HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Context, Effect, Layer, Logger, LogLevel, Option, Schema } from "effect"
import {
  Cache,
  CircuitBreaker,
  Observer,
  type Policy,
  RateLimiter,
  RetryBudget,
  Trip
} from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { HttpAdmin, HttpDashboard, HttpHealth, HttpMetrics } from "effect-resilience/http"
import { Explain, Health, Observability, Registry } from "effect-resilience/observability"
import { RedisStore } from "effect-resilience/redis"
import { down, up } from "../support/calls.js"
import { redisServer } from "../support/redis.js"
import { tracing } from "../support/tracing.js"
import { until } from "../support/until.js"
import { views } from "../http/support/views.js"

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Inline extends CircuitBreaker.Tag("Inline")<Inline>() {}
class Hosts extends CircuitBreaker.KeyedTag("Hosts")<Hosts>() {}
class Leased extends RateLimiter.Tag("Leased")<Leased>() {}
class Floor extends RetryBudget.Tag("Floor")<Floor>() {}
class Offers extends Cache.Tag("Offers")<Offers, string, string>() {}

type Policies = Partner | Inline | Hosts | Leased | Floor | Offers

const failures = { trip: Trip.failures({ count: 4, within: "10 minutes" }), openFor: "1 hour" } as const

const PoliciesLive = Layer.mergeAll(
  Partner.layer({ ...failures, share: Share.local() }),
  Inline.layer({ ...failures, share: Share.inline() }),
  Hosts.layer({ options: { ...failures, share: Share.local() } }),
  Leased.layer({
    rate: RateLimiter.tokenBucket({ limit: 100, per: "1 second" }),
    share: Share.leasedRate()
  }),
  Floor.layer({ rule: RetryBudget.successes({ minPerSecond: 1 }), share: Share.floor() }),
  Offers.layer({
    lookup: (key) => Effect.succeed(key),
    timeToLive: "1 minute",
    share: Share.values({ value: Schema.String })
  })
)

const everything = [
  "circuit-breaker Partner",
  "circuit-breaker Inline",
  "circuit-breaker Hosts/a",
  "rate-limiter Leased",
  "retry-budget Floor",
  "cache Offers"
]

type Services = Policies | Registry.Registry | SharedStore.SharedStore | Observer.Observer

/** What a circuit has seen reaches the others within five intervals or not at all, so they are not too short for a busy machine. */
const store = { interval: "500 millis", deadline: "20 seconds" } as const

/** A process with the policies, and what it has emitted and logged. Only one of all has metrics, which the others would add to. */
const process = (url: string, metrics: false | Observability.MetricsOptions) =>
  Effect.gen(function* () {
    const events: Array<Policy.Event> = []
    const lines: Array<string> = []
    const write = ({ message }: Observability.LogLine) => Effect.sync(() => lines.push(message))
    const observed = Observability.layer({ metrics, logs: { write } }).pipe(
      Layer.provideMerge(Observer.layer((event) => void events.push(event)))
    )
    const live = PoliciesLive.pipe(
      Layer.provideMerge(RedisStore.layer({ url, ...store })),
      Layer.provideMerge(observed)
    )
    const context: Context.Context<Services> = yield* Layer.build(live)
    const { instances } = yield* SharedStore.SharedStore.pipe(Effect.provide(context))
    return { context, events, inside: Effect.provide(context), instances, lines }
  })

const two = (metrics: false | Observability.MetricsOptions = false) =>
  Effect.gen(function* () {
    const server = yield* redisServer()
    const [a, b] = [yield* process(server.url, metrics), yield* process(server.url, false)] as const
    for (const { instances } of [a, b]) yield* until(instances, (count) => count === 2)
    return { server, a, b }
  })

type Process = Effect.Effect.Success<ReturnType<typeof process>>

/** A call of each circuit. */
const eachCircuit = (self: Effect.Effect<unknown, string>) =>
  Effect.gen(function* () {
    const hosts = yield* Hosts
    for (const protect of [Partner.protect, Inline.protect, hosts.protect("a")]) {
      const call: Effect.Effect<unknown, unknown, Policies> = protect(self)
      yield* Effect.exit(call)
    }
  })

/** A call of everything. */
const calls = Effect.gen(function* () {
  yield* eachCircuit(up)
  yield* Leased.protect(up)
  yield* Effect.flatMap(Floor, (budget) => budget.tryWithdraw())
  yield* Effect.flatMap(Offers, (offers) => offers.get("a"))
})

const sentences = (of: Process) =>
  Effect.gen(function* () {
    const { all } = yield* Registry.Registry
    const explained = yield* Effect.forEach(yield* all, (entry) =>
      Effect.map(Effect.flatten(Explain.explain(entry)), (explanation) => [
        `${entry.kind} ${entry.name}`,
        Explain.sentence(explanation)
      ])
    )
    return Object.fromEntries(explained) as Record<string, string>
  }).pipe(of.inside)

const circuits = everything.slice(0, 3)

const areAll = (state: CircuitBreaker.State) => (said: Record<string, string>) =>
  circuits.every((name) => said[name]?.startsWith(state))

const isChangeOf =
  (name: string) =>
  (event: Policy.Event): event is CircuitBreaker.StateChange =>
    event._tag === "StateChange" && event.name === name

const changesOf = ({ events }: Process, name: string) =>
  events.filter(isChangeOf(name)).map(({ from, reason, to }) => `${from} ${to} ${reason}`)

const test = <E>(
  name: string,
  body: () => Effect.Effect<unknown, E, Effect.Effect.Context<ReturnType<typeof two>>>
) => it.scopedLive(name, () => Logger.withMinimumLogLevel(body(), LogLevel.None))

describe("of policies that two processes share", () => {
  test("each process shows every one, and each change once", () =>
    Effect.gen(function* () {
      const { a, b } = yield* two()
      const both = [a, b] as const
      for (const { inside } of both) yield* calls.pipe(inside)
      // Who has opened a circuit, and after how many calls, depends on what each process had heard of the other one by then.
      const outage = Effect.forEach(both, (each) =>
        Effect.zipRight(eachCircuit(down).pipe(each.inside), sentences(each))
      )
      const said = yield* until(outage, (each) => each.every(areAll("open")))
      for (const [index, each] of both.entries()) {
        assert.sameMembers(Object.keys(said[index] ?? {}), everything)
        for (const name of ["Partner", "Inline", "Hosts/a"]) {
          const changes = changesOf(each, name)
          assert.lengthOf(changes, 1)
          assert.match(changes[0], /^closed open (fleet|tripped)$/)
          const [entry] = yield* Effect.flatMap(Registry.Registry, ({ find }) => find(name)).pipe(each.inside)
          assert.strictEqual(entry?.totals.total("circuit.transitions"), 1)
          const emitted = each.events.filter((event) => event.name === name && event._tag === "Failure")
          assert.strictEqual(entry.totals.total("calls", { outcome: "failure" }), emitted.length)
          assert.isAbove(emitted.length, 0)
        }
      }
    }))

  test("a change by the other process says so in explanations, health and logs, and is no event of a span", () =>
    Effect.gen(function* () {
      const { a, b } = yield* two()
      const { spans, tracer } = tracing()
      yield* Effect.withSpan(Partner.protect(up), "call").pipe(Effect.withTracer(tracer), a.inside)
      yield* Effect.flatMap(Partner, ({ isolate }) => isolate).pipe(b.inside)
      const said = yield* until(sentences(a), (said) => said[everything[0]]?.startsWith("isolated") === true)
      assert.match(said[everything[0]], /^isolated since \S+ UTC by another process: all calls are rejected/)
      assert.match((yield* sentences(b))[everything[0]], /^isolated since \S+ UTC by hand: /)
      assert.deepStrictEqual(
        [a, b].map((each) => changesOf(each, "Partner")),
        [["closed isolated fleet"], ["closed isolated steered"]]
      )
      assert.deepStrictEqual(
        [a.lines, b.lines],
        [
          ['circuit breaker "Partner" is isolated: another process of its fleet did'],
          ['circuit breaker "Partner" is isolated: by the operation "isolate"']
        ]
      )
      assert.deepStrictEqual(
        spans.map(({ events, name }) => [name, events]),
        [["call", []]]
      )
      const { reasons, status } = yield* Health.check.pipe(a.inside)
      assert.deepStrictEqual([status, reasons.map(({ name }) => name)], ["degraded", ["Partner"]])
      assert.include(reasons[0]?.reason, "by another process")
    }))

  test("admin, metrics and dashboard show every one, and readiness and dashboard say when the store is away", () =>
    Effect.gen(function* () {
      const { a, b, server } = yield* two({})
      for (const { inside } of [a, b]) yield* calls.pipe(inside)
      const isolating = Effect.gen(function* () {
        const ofKey = Option.getOrThrow(yield* Effect.flatMap(Hosts, (hosts) => hosts.find("a")))
        for (const { isolate } of [yield* Partner, yield* Inline, ofKey]) yield* isolate
      })
      yield* isolating.pipe(b.inside)
      yield* until(sentences(a), areAll("isolated"))
      yield* Effect.gen(function* () {
        const routes = HttpRouter.concatAll(
          yield* HttpAdmin.router(),
          yield* HttpDashboard.router(),
          yield* HttpHealth.router(),
          yield* HttpMetrics.router()
        )
        yield* HttpServer.serveEffect(routes)
        const http = yield* HttpClient.HttpClient
        const names = (all: unknown) =>
          (all as ReadonlyArray<{ kind: string; name: string }>).map(({ kind, name }) => `${kind} ${name}`)
        assert.sameMembers(
          names(yield* Effect.flatMap(http.get("/resilience"), ({ json }) => json)),
          everything
        )
        assert.sameMembers(names(yield* views), everything)
        const text = yield* Effect.flatMap(http.get("/metrics"), ({ text }) => text)
        for (const policy of ["Partner", "Inline", "Hosts"])
          assert.match(
            text,
            new RegExp(
              `^resilience_circuit_transitions_total\\{.*policy="${policy}",reason="fleet".*\\} 1$`,
              "m"
            )
          )

        yield* server.kill
        const ready = Effect.flatMap(http.get("/ready"), ({ json, status }) =>
          Effect.map(json, (report) => ({ status, reasons: (report as Health.Report).reasons }))
        )
        const storeOf = (reasons: Health.Report["reasons"]) =>
          reasons.find(({ kind }) => kind === "shared-store")
        const { reasons, status } = yield* until(ready, ({ reasons }) => storeOf(reasons) !== undefined)
        assert.strictEqual(status, 200)
        assert.match(
          storeOf(reasons)?.reason ?? "",
          /the store does not answer, each process goes on alone: ".+"$/
        )
        for (const { kind, name, why } of yield* views)
          assert.include(why, "its store does not answer", `${kind} ${name}`)

        yield* server.start
        yield* until(ready, ({ reasons }) => storeOf(reasons) === undefined)
        for (const { kind, name, why } of yield* views)
          assert.notInclude(why, "its store does not answer", `${kind} ${name}`)
      }).pipe(Effect.provide(NodeHttpServer.layerTest), a.inside)
    }))
})
