// The routes of the dashboard without a socket: pages, guards, steering, and what is sent of the policies.
import { HttpApp, HttpLayerRouter, HttpRouter } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Context, Data, Effect, Layer } from "effect"
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
import { Observability } from "effect-resilience/observability"
import * as HttpDashboard from "../../../src/http/dashboard/HttpDashboard.js"
import { steeringHeader, type View } from "../../../src/http/dashboard/protocol.js"
import type * as Policy from "../../../src/policy/Policy.js"
import { down, refusalOf, settled, up } from "../../support/calls.js"
import { until } from "../../support/until.js"
import { fullIn } from "../support/views.js"

const observed = Effect.provide(Observability.layer())

/** What requests from a router, without a network, and with the clock and the log of the test. */
const asking = (router: HttpRouter.HttpRouter) =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const handler = HttpApp.toWebHandlerRuntime(runtime)(router)
    return (path: string, init: RequestInit = {}) =>
      Effect.promise(() => handler(new Request(`http://example.com${path}`, init)))
  })

const routed = <O>(options?: Policy.Checked<O, HttpDashboard.Options>) =>
  Effect.flatMap(HttpDashboard.router(options), asking)

type Ask = Effect.Effect.Success<ReturnType<typeof asking>>

/** The status of an answer, and its whole text. */
const asked = (answer: ReturnType<Ask>) =>
  Effect.flatMap(answer, (response) =>
    Effect.map(
      Effect.promise(() => response.text()),
      (text) => ({ status: response.status, text })
    )
  )

/** The first full state that a page is sent. It connects, and goes when it has that. */
const fullFrom = (ask: Ask) =>
  Effect.gen(function* () {
    const response = yield* ask("/dashboard/events")
    assert.strictEqual(response.status, 200)
    return yield* Effect.promise(() => fullIn(response))
  })

const viewsFrom = (ask: Ask) => Effect.map(fullFrom(ask), ({ views }) => views)

const named = (views: ReadonlyArray<View>, kind: string): View => {
  const found = views.filter((view) => view.kind === kind)
  assert.strictEqual(found.length, 1, `one ${kind}`)
  return found[0]
}

const anybody = { authorize: () => Effect.succeed(true) }

const steering = (action: string, name = "Partner", headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  headers: { [steeringHeader]: "1", "sec-fetch-site": "same-origin", ...headers },
  body: JSON.stringify({ kind: "circuit-breaker", name, action })
})

const files = [
  ["/dashboard", "text/html; charset=utf-8"],
  ["/dashboard/page.js", "text/javascript; charset=utf-8"],
  ["/dashboard/page.css", "text/css; charset=utf-8"],
  ["/dashboard/icon.svg", "image/svg+xml"]
] as const

const paths = files.map(([path]) => path)

describe("the files of the dashboard", () => {
  it.effect.each(files)("are served by themselves: %s as %s", ([path, type]) =>
    Effect.gen(function* () {
      const ask = yield* routed()
      const { headers, status } = yield* ask(path)
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), type)
      assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
      assert.strictEqual(headers.get("referrer-policy"), "no-referrer")
      const policy = (headers.get("content-security-policy") ?? "").split("; ")
      assert.includeMembers(policy, ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"])
      assert.isFalse(policy.some((each) => each.includes("unsafe")))
    }).pipe(Effect.scoped, observed)
  )

  it.effect("are not sent again when the browser has them", () =>
    Effect.gen(function* () {
      const ask = yield* routed()
      for (const path of paths) {
        const etag = (yield* ask(path)).headers.get("etag") ?? ""
        const known = yield* ask(path, { headers: { "if-none-match": `"other", W/${etag}` } })
        assert.strictEqual(known.status, 304)
        assert.strictEqual(yield* Effect.promise(() => known.text()), "")
        assert.strictEqual((yield* ask(path, { headers: { "if-none-match": '"other"' } })).status, 200)
      }
    }).pipe(Effect.scoped, observed)
  )

  it.effect("are found under any prefix, because the page names them relative to itself", () =>
    Effect.gen(function* () {
      const mounted = yield* asking(HttpRouter.mount(HttpRouter.empty, "/a/b", yield* HttpDashboard.router()))
      const { text } = yield* asked(mounted("/a/b/dashboard"))
      const links = Array.from(text.matchAll(/(?:href|src)="([^"#][^"]*)"/g), ([, link]) => link)
      assert.strictEqual(links.length, 3)
      for (const link of links) {
        const { pathname } = new URL(link, "http://example.com/a/b/dashboard")
        assert.strictEqual((yield* mounted(pathname)).status, 200, pathname)
      }
    }).pipe(Effect.scoped, observed)
  )

  it.effect("are reached from a path with a slash at its end too", () =>
    Effect.gen(function* () {
      const ask = yield* routed()
      const { headers, status } = yield* ask("/dashboard/?a=b")
      assert.strictEqual(status, 308)
      const to = new URL(headers.get("location") ?? "", "http://example.com/ops/dashboard/?a=b")
      assert.strictEqual(to.pathname, "/ops/dashboard")
    }).pipe(Effect.scoped, observed)
  )

  it.effect("are routes of an HttpLayerRouter too, under its prefix", () =>
    Effect.gen(function* () {
      const app = HttpDashboard.layerRouter({ prefix: "/ops" }).pipe(Layer.provide(Observability.layer()))
      const { dispose, handler } = HttpLayerRouter.toWebHandler(app, { disableLogger: true })
      const response = yield* Effect.promise(() => handler(new Request("http://example.com/ops/dashboard")))
      assert.strictEqual(response.status, 200)
      yield* Effect.promise(dispose)
    })
  )
})

class Refused extends Data.TaggedError("Refused") {}

class Session extends Context.Tag("Session")<Session, { readonly mayRead: boolean }>() {}

describe("reading", () => {
  const all = [...paths, "/dashboard/events", "/dashboard/actions?ids=1"]

  it.effect.each([
    ["says no", Effect.succeed(false)],
    ["fails", new Refused()],
    ["dies", Effect.dieMessage("the hook is broken")]
  ] as const)("is denied by a hook that %s, for all that can be read", ([, answer]) =>
    Effect.gen(function* () {
      const ask = yield* routed({ reading: { authorize: () => answer } })
      for (const path of all) {
        const { headers, status } = yield* ask(path)
        assert.strictEqual(status, 403, path)
        assert.strictEqual(headers.get("cache-control"), "no-store")
      }
    }).pipe(Effect.scoped, observed)
  )

  it.effect("is allowed by a hook that needs a service and sees the request", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const ask = yield* routed({
        reading: {
          authorize: ({ kind, name, request }) => {
            asked.push([request.url, name, kind])
            return Effect.map(Session, ({ mayRead }) => mayRead && request.headers["x-user"] === "anna")
          }
        }
      })
      assert.strictEqual((yield* ask("/dashboard")).status, 403)
      assert.strictEqual((yield* ask("/dashboard", { headers: { "x-user": "anna" } })).status, 200)
      assert.deepStrictEqual(asked, [
        ["/dashboard", undefined, undefined],
        ["/dashboard", undefined, undefined]
      ])
    }).pipe(Effect.scoped, observed, Effect.provideService(Session, { mayRead: true }))
  )
})

describe("steering from the page", () => {
  const steered = (init: RequestInit, options: HttpDashboard.Options = { steering: anybody }) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "Partner" })
      const ask = yield* routed(options)
      const { status, text } = yield* asked(ask("/dashboard/steer", init))
      return { status, told: text, state: yield* breaker.state }
    }).pipe(Effect.scoped, observed)

  it.effect("does what is asked for", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* steered(steering("isolate")), {
        status: 204,
        told: "",
        state: "isolated"
      })
      const { state, status } = yield* steered(steering("open"))
      assert.deepStrictEqual({ state, status }, { state: "open", status: 204 })
    })
  )

  it.effect.each([
    ["without the header of the page", { [steeringHeader]: undefined }],
    ["from another site", { "sec-fetch-site": "cross-site" }],
    ["from another part of the site", { "sec-fetch-site": "same-site" }],
    ["from no page", { "sec-fetch-site": "none" }],
    ["from a browser that does not say from where", { "sec-fetch-site": undefined }],
    [
      "from another origin",
      { "sec-fetch-site": undefined, origin: "http://evil.example", host: "example.com" }
    ],
    ["from an origin that is hidden", { "sec-fetch-site": undefined, origin: "null", host: "example.com" }]
  ] as const)("is refused %s", ([, headers]) =>
    Effect.gen(function* () {
      const given = new Headers(steering("isolate").headers)
      for (const [name, value] of Object.entries(headers)) {
        if (value === undefined) given.delete(name)
        else given.set(name, value)
      }
      const { state, status } = yield* steered({ ...steering("isolate"), headers: given })
      assert.deepStrictEqual({ state, status }, { state: "closed", status: 403 })
    })
  )

  it.effect("is done from the same origin where the connection has no Sec-Fetch-Site", () =>
    Effect.gen(function* () {
      const headers = { [steeringHeader]: "1", origin: "http://example.com:8080", host: "example.com:8080" }
      const { state } = yield* steered({ ...steering("isolate"), headers })
      assert.strictEqual(state, "isolated")
    })
  )

  it.effect.each([
    ["when nothing says who may", {}],
    ["when there is no hook", { steering: {} }],
    ["when the hook says no", { steering: { authorize: () => Effect.succeed(false) } }],
    ["when the hook dies", { steering: { authorize: () => Effect.dieMessage("broken") } }]
  ] as const)("is refused %s", ([, options]) =>
    Effect.gen(function* () {
      const { state, status } = yield* steered(steering("isolate"), options)
      assert.deepStrictEqual({ state, status }, { state: "closed", status: 403 })
    })
  )

  it.effect.each([
    ["a policy that is not there", steering("isolate", "Nobody"), 404],
    ["an action that there is not", steering("explode"), 400],
    ["no JSON", { ...steering("isolate"), body: "isolate" }, 400]
  ] as const)("is refused for %s, and says so", ([, init, status]) =>
    Effect.gen(function* () {
      const refused = yield* steered(init)
      assert.strictEqual(refused.status, status)
      assert.isAbove((JSON.parse(refused.told) as { message: string }).message.length, 10)
    })
  )

  it.effect("has a button for what may be done of what a policy can do", () =>
    Effect.gen(function* () {
      yield* CircuitBreaker.make({ name: "Partner" })
      yield* Bulkhead.make({ name: "Database", permits: 1 })
      yield* RetryBudget.make({ name: "retries" })
      const ask = yield* routed({
        steering: {
          authorize: ({ action, kind }) => Effect.succeed(action !== "open" && kind !== "bulkhead")
        }
      })
      const response = yield* ask("/dashboard/events")
      const { views } = yield* fullFrom(ask)
      const idOf = (kind: string) => named(views, kind).id
      const ids = [idOf("circuit-breaker"), idOf("bulkhead"), idOf("retry-budget"), 4711, "x"].join()
      const { text } = yield* asked(ask(`/dashboard/actions?ids=${ids}`))
      assert.deepStrictEqual(JSON.parse(text), {
        [idOf("circuit-breaker")]: ["isolate", "release", "close", "reset"],
        [idOf("bulkhead")]: [],
        [idOf("retry-budget")]: ["reset"]
      })
      yield* Effect.promise(() => response.body!.cancel())
    }).pipe(Effect.scoped, observed)
  )
})

describe("the stream of the policies", () => {
  it.live("is neither stored nor collected on the way, and begins with when to try again", () =>
    Effect.gen(function* () {
      const ask = yield* routed()
      const { body, headers } = yield* ask("/dashboard/events")
      assert.strictEqual(headers.get("content-type"), "text/event-stream; charset=utf-8")
      assert.strictEqual(headers.get("cache-control"), "no-store")
      assert.strictEqual(headers.get("x-accel-buffering"), "no")
      assert.strictEqual(headers.get("connection"), "close")
      const reader = body!.pipeThrough(new TextDecoderStream()).getReader()
      const { value } = yield* Effect.promise(() => reader.read())
      assert.match(value ?? "", /^retry: \d+\n\n/)
      yield* Effect.promise(() => reader.cancel())
    }).pipe(Effect.scoped, observed)
  )

  it.live("has no room for more viewers than there may be, until one goes", () =>
    Effect.gen(function* () {
      const ask = yield* routed({ maxViewers: 1 })
      const one = yield* ask("/dashboard/events")
      const two = yield* ask("/dashboard/events")
      assert.strictEqual(two.status, 503)
      assert.strictEqual(two.headers.get("retry-after"), "10")
      yield* Effect.promise(() => one.body!.cancel())
      yield* settled
      yield* fullFrom(ask)
    }).pipe(Effect.scoped, observed)
  )

  it.live("takes no place for a request of its headers alone", () =>
    Effect.gen(function* () {
      const ask = yield* routed({ maxViewers: 1 })
      for (let time = 0; time < 3; time++) {
        const { status } = yield* ask("/dashboard/events", { method: "HEAD" })
        assert.strictEqual(status, 200)
      }
      yield* fullFrom(ask)
    }).pipe(Effect.scoped, observed)
  )

  it.live("ends with the scope of the routes", () =>
    Effect.gen(function* () {
      const response = yield* Effect.scoped(Effect.flatMap(routed(), (ask) => ask("/dashboard/events")))
      // Without an end this would wait for ever.
      const text = yield* Effect.promise(() => response.text())
      assert.match(text, /^retry: \d+\n\n/)
    }).pipe(observed)
  )

  it.live("shows a policy of each kind, with what it has counted and why it is in its state", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "Partner", trip: Trip.consecutive(2) })
      const bulkhead = yield* Bulkhead.make({ name: "Database", permits: 1, maxQueued: 0 })
      const limiter = yield* RateLimiter.make({
        name: "API",
        rate: RateLimiter.tokenBucket({ limit: 1, per: "1 minute" })
      })
      const budget = yield* RetryBudget.make({ name: "retries" })
      const cache = yield* Cache.make({
        name: "prices",
        lookup: (key: string) => Effect.succeed(key),
        timeToLive: "1 minute"
      })
      const ask = yield* routed()

      yield* Effect.ignore(down.pipe(breaker.protect, Effect.repeatN(0)))
      yield* Effect.ignore(breaker.protect(down))
      yield* Effect.ignore(breaker.protect(up))
      yield* bulkhead.protect(up)
      yield* Effect.fork(bulkhead.protect(Effect.never))
      yield* settled
      yield* Effect.ignore(bulkhead.protect(up))
      yield* limiter.protect(up)
      yield* Effect.ignore(limiter.protect(up))
      yield* Effect.ignore(down.pipe(Retry.retry({ name: "again", times: 1, budget }), Effect.fork))
      yield* Effect.all([cache.get("a"), cache.get("a")])
      yield* Effect.ignore(Effect.never.pipe(Timeout.timeout({ limit: 0, name: "at once" })))
      yield* down.pipe(Fallback.succeed("cold", { name: "cold offer" }))
      yield* up.pipe(Hedge.hedge({ name: "search", delay: "1 second" }))

      const views = yield* viewsFrom(ask)
      const open = named(views, "circuit-breaker")
      assert.strictEqual(open.state, "open")
      assert.deepInclude(open.totals, { success: 0, failure: 2, rejected: 1 })
      assert.include(open.why, "2 failures in a row")
      assert.deepStrictEqual(
        open.recent.map(({ text }) => text),
        ["closed → open: 2 failures in a row, 2 opens it", "rejected: the circuit is open"]
      )
      assert.isNumber(open.since)
      assert.isNumber(open.until)

      const full = named(views, "bulkhead")
      assert.strictEqual(full.state, "full")
      assert.deepInclude(full.totals, { success: 1, rejected: 1 })
      assert.deepStrictEqual(full.gauges, { inFlight: 1, limit: 1, queued: 0 })

      const exhausted = named(views, "rate-limiter")
      assert.strictEqual(exhausted.state, "exhausted")
      assert.deepInclude(exhausted.totals, { admitted: 1, rejected: 1 })

      assert.deepInclude(named(views, "cache").totals, { hit: 1, miss: 1, failed: 0 })
      assert.deepInclude(named(views, "cache").gauges, { size: 1, capacity: 1000 })
      assert.deepStrictEqual(named(views, "timeout").totals, { timeout: 1 })
      assert.deepInclude(named(views, "fallback").totals, { fallback: 1 })
      assert.deepInclude(named(views, "hedge").totals, { original: 1 })
      assert.strictEqual(named(views, "retry-budget").state, "available")
      assert.deepStrictEqual(named(views, "retry-budget").totals, { paid: 1, refused: 0 })
      for (const { name, why } of views) assert.isAbove(why.length, 5, name)
    }).pipe(Effect.scoped, observed)
  )

  it.live("counts the calls of each key by itself", () =>
    Effect.gen(function* () {
      const partners = yield* CircuitBreaker.keyed({
        options: { name: "partner", trip: Trip.consecutive(3), openFor: "1 minute" }
      })
      const ask = yield* routed()
      yield* partners.protect("b")(up)
      const before = yield* ask("/dashboard/events")
      yield* Effect.repeatN(Effect.ignore(partners.protect("a")(down)), 3)
      yield* Effect.repeatN(partners.protect("b")(up), 1)
      const views = yield* until(viewsFrom(ask), (views) =>
        views.some(({ name, totals }) => name === "partner/b" && totals["success"] === 3)
      )
      const totals = Object.fromEntries(views.map((view) => [view.name, view.totals]))
      assert.deepStrictEqual(totals, {
        "partner/a": { success: 0, failure: 3, rejected: 1 },
        "partner/b": { success: 3, failure: 0, rejected: 0 }
      })
      yield* Effect.promise(() => before.body!.cancel())
    }).pipe(Effect.scoped, observed)
  )

  it.live("has hashes in the place of keys where that is asked for, and steers by them", () =>
    Effect.gen(function* () {
      const partners = yield* CircuitBreaker.keyed({ options: { name: "partner" } })
      yield* partners.protect("anna@example.com")(up)
      const ask = yield* routed({ keys: "hashed", steering: anybody })
      const full = yield* fullFrom(ask)
      assert.notInclude(JSON.stringify(full), "anna")
      const [{ name }] = full.views
      assert.match(name, /^partner\/[0-9a-f]{16}$/)
      assert.strictEqual((yield* ask("/dashboard/steer", steering("isolate", name))).status, 204)
      assert.strictEqual(yield* partners.at("anna@example.com").state, "isolated")
    }).pipe(Effect.scoped, observed)
  )

  it.live("has at most so many policies, and says how many more there are", () =>
    Effect.gen(function* () {
      const partners = yield* CircuitBreaker.keyed({ options: { name: "partner" } })
      yield* Effect.forEach(["a", "b", "c", "d", "e"], (key) => partners.protect(key)(up))
      const { hidden, views } = yield* fullFrom(yield* routed({ maxPolicies: 2 }))
      assert.strictEqual(views.length, 2)
      assert.deepStrictEqual(hidden, { closed: 3 })
    }).pipe(Effect.scoped, observed)
  )

  it.live("has the names of policies as they are", () =>
    Effect.gen(function* () {
      const odd = [
        "<img src=x onerror=alert(1)>",
        "a \"b\" 'c'",
        "one\ntwo\r\n\ndata: three",
        "\u202egnp.exe",
        "x".repeat(500),
        "\ud800"
      ]
      const kept = yield* Effect.forEach(odd, (name) => CircuitBreaker.make({ name }))
      const views = yield* viewsFrom(yield* routed())
      const names = new Set(views.map(({ name }) => name))
      assert.deepStrictEqual([...names].sort(), [...odd].sort())
      assert.strictEqual(kept.length, odd.length)
    }).pipe(Effect.scoped, observed)
  )
})

describe("options of the dashboard that are wrong", () => {
  it.effect.each([
    [{ interval: "99 millis" }, "interval"],
    [{ interval: "11 seconds" }, "interval"],
    [{ maxViewers: 0 }, "maxViewers"],
    [{ maxPolicies: 1.5 }, "maxPolicies"],
    [{ reading: {} }, "reading.authorize"],
    [{ steering: { authorize: true } }, "steering.authorize"],
    [{ keys: "secret" }, "keys"],
    [{ viewers: 3 }, "viewers"],
    [null, ""]
  ] as const)("are a defect that names them: %j", ([options, option]) =>
    Effect.gen(function* () {
      const given = options as unknown as HttpDashboard.Options
      const refusal = yield* refusalOf(HttpDashboard.router(given))
      assert.strictEqual(refusal.option, option)
      assert.strictEqual(refusal.policy, "HttpDashboard.router")
    }).pipe(Effect.scoped, observed)
  )

  it.effect("are a defect of the layer too", () =>
    Effect.gen(function* () {
      const layer = HttpDashboard.layerRouter({ prefix: "ops" as "/ops" })
      const refusal = yield* refusalOf(Layer.build(layer))
      assert.strictEqual(refusal.policy, "HttpDashboard.layerRouter")
      assert.strictEqual(refusal.option, "prefix")
    }).pipe(Effect.scoped, Effect.provide(HttpLayerRouter.layer), observed)
  )
})
