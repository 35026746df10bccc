// What a program is by the state of its policies, and why.
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Fiber, Logger, TestClock } from "effect"
import { Bulkhead, Cache, CircuitBreaker, RateLimiter, RetryBudget, Trip } from "effect-resilience"
import { SharedStore } from "effect-resilience/fleet"
import { Health, Observability } from "effect-resilience/observability"
import { until } from "../support/until.js"
import { down, forked, refusalOf, settled, up } from "../support/calls.js"
import { Fleet } from "../support/fleet.js"
import { runs } from "../support/runs.js"

const observed = Effect.provide(Observability.layer())

const report = (options?: Health.Options) => Effect.flatMap(Health.make(options), ({ check }) => check)

/** What was reported, without the sentences. */
const summaryOf = ({ reasons, status }: Health.Report) => [
  status,
  ...reasons.map(({ health, kind, name, state }) => `${kind} ${name} ${state}: ${health}`)
]

const summary = (options?: Health.Options) => Effect.map(report(options), summaryOf)

const breakers = (
  names: Record<string, "close" | "open" | "halfOpen" | "isolate" | "disable" | "metricsOnly">
) =>
  Effect.forEach(Object.entries(names), ([name, operation]) =>
    Effect.tap(CircuitBreaker.make({ name }), (breaker) => breaker[operation])
  )

describe("by default a program", () => {
  it.effect("without policies is up", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Health.check, { status: "up", reasons: [] })
    }).pipe(observed)
  )

  it.effect("is degraded by a circuit that rejects calls, and by no other", () =>
    Effect.gen(function* () {
      const kept = yield* breakers({
        ...({ a: "close", b: "open", c: "halfOpen", d: "isolate", e: "disable", f: "metricsOnly" } as const)
      })
      assert.deepStrictEqual(yield* summary(), [
        "degraded",
        "circuit-breaker b open: degraded",
        "circuit-breaker c half-open: degraded",
        "circuit-breaker d isolated: degraded"
      ])
      assert.lengthOf(kept, 6)
    }).pipe(observed)
  )

  it.effect("is degraded by a full bulkhead and an exhausted budget, but not by a limiter or a cache", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1 })
      const limiter = yield* RateLimiter.make({ rate: RateLimiter.bursty({ limit: 1, per: "1 minute" }) })
      const budget = yield* RetryBudget.make({ rule: RetryBudget.successes({ capacity: 0 }) })
      const cache = yield* Cache.make({ lookup: () => up, timeToLive: "1 minute" })
      assert.deepStrictEqual(yield* summary(), ["up"])
      const running = yield* forked(bulkhead.protect(Effect.never))
      yield* limiter.protect(Effect.void)
      yield* budget.tryWithdraw()
      yield* cache.get("a")
      const all = [
        "degraded",
        "bulkhead bulkhead full: degraded",
        "retry-budget retry-budget exhausted: degraded"
      ]
      assert.deepStrictEqual(yield* summary(), all)
      yield* Fiber.interrupt(running)
      yield* budget.reset
      assert.deepStrictEqual(yield* summary(), ["up"])
    }).pipe(Effect.scoped, observed)
  )

  it.effect("says why in the sentence that explains the policy", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(1) })
      yield* Effect.exit(breaker.protect(down))
      assert.deepStrictEqual(yield* Health.check, {
        status: "degraded",
        reasons: [
          {
            ...{ kind: "circuit-breaker", name: "partner", state: "open", health: "degraded" },
            reason: "open since 00:00:00 UTC for 10 s: 1 failure in a row, 1 opens it; half-open in 10 s"
          }
        ]
      })
    }).pipe(observed)
  )

  it.scoped("is degraded while the store that it shares does not answer", () =>
    Effect.gen(function* () {
      const { store, wire } = yield* new Fleet().process()
      const health = yield* Effect.provideService(Health.make(), SharedStore.SharedStore, store)
      const checked = (status: Health.Status) =>
        until(
          Effect.zipRight(TestClock.adjust("1 second"), health.check),
          (report) => report.status === status
        )
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* health.check, { status: "up", reasons: [] })
      wire.state = "dead"
      // The next exchange comes after an interval that is a little shorter or longer by chance.
      const { reasons, status } = yield* checked("degraded")
      assert.deepStrictEqual(
        [status, ...reasons.map(({ health, kind, name, state }) => [kind, name, state, health])],
        ["degraded", ["shared-store", "shared-store", "degraded", "degraded"]]
      )
      assert.match(
        reasons[0]?.reason ?? "",
        /^degraded since 00:00:\d\d UTC: the store does not answer, each process goes on alone: "connection refused"$/
      )
      wire.state = "up"
      assert.deepStrictEqual(yield* checked("up"), { status: "up", reasons: [] })
    }).pipe(observed)
  )

  it.effect("shows names as they are", () =>
    Effect.gen(function* () {
      const name = '<b>"a"</b>\n\u202e\u0000' + "x".repeat(500)
      const breaker = yield* CircuitBreaker.make({ name })
      yield* breaker.isolate
      const [reason] = (yield* Health.check).reasons
      assert.strictEqual(reason?.name, name)
      assert.notInclude(reason.reason, "\n")
    }).pipe(observed)
  )
})

describe("a rule", () => {
  const ways: ReadonlyArray<
    readonly [what: string, rules: ReadonlyArray<Health.Rule>, ...found: Array<string>]
  > = [
    [
      "for a name",
      [{ name: "payments", health: "down" }],
      "down payments",
      "degraded hosts/a",
      "degraded hosts/b"
    ],
    ["for a keyed policy", [{ name: "hosts", health: "up" }], "degraded payments"],
    ["for one key", [{ name: "hosts/a", health: "up" }], "degraded payments", "degraded hosts/b"],
    [
      "for a pattern",
      [{ name: /^hosts\//, health: "down" }],
      "down hosts/a",
      "down hosts/b",
      "degraded payments"
    ],
    ["for a pattern with flags", [{ name: /HOSTS|PAY/giy, health: "up" }]],
    [
      "for a kind",
      [{ kind: "circuit-breaker", health: "down" }],
      "down payments",
      "down hosts/a",
      "down hosts/b"
    ],
    [
      "for another kind",
      [{ kind: "bulkhead", health: "down" }],
      "degraded payments",
      "degraded hosts/a",
      "degraded hosts/b"
    ],
    [
      "for a state",
      [{ state: "isolated", health: "down" }],
      "down hosts/b",
      "degraded payments",
      "degraded hosts/a"
    ],
    ["for states", [{ state: ["open", "isolated"], health: "up" }]],
    [
      "for a state that is up by default",
      [{ name: "fine", state: "closed", health: "down" }],
      "down fine",
      "degraded payments",
      "degraded hosts/a",
      "degraded hosts/b"
    ],
    ["for everything that is not up", [{ health: "down" }], "down payments", "down hosts/a", "down hosts/b"],
    [
      "that comes first",
      [{ name: "payments", health: "up" }, { health: "down" }],
      "down hosts/a",
      "down hosts/b"
    ]
  ]
  for (const [what, rules, ...expected] of ways) {
    it.effect(`${what} comes before the defaults`, () =>
      Effect.gen(function* () {
        const single = yield* breakers({ fine: "close", payments: "open" })
        const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts" } })
        yield* hosts.at("a").open
        yield* hosts.at("b").isolate
        const { check } = yield* Health.make({ rules })
        const lines = ({ reasons }: Health.Report) => reasons.map(({ health, name }) => `${health} ${name}`)
        assert.deepStrictEqual(lines(yield* check), expected)
        // A pattern remembers nothing of the last time.
        assert.deepStrictEqual(lines(yield* check), expected)
        assert.lengthOf(single, 2)
      }).pipe(observed)
    )
  }

  it.effect("may be a function of all that is known, for which the defaults hold where it says nothing", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const kept = yield* breakers({ fine: "close", payments: "open", other: "open" })
      const found = yield* summary({
        rules: ({ explanation, kind, name, state }) => {
          asked.push([kind, name, state, explanation?.state])
          return name === "payments" ? "down" : undefined
        }
      })
      assert.deepStrictEqual(found, [
        "down",
        "circuit-breaker payments open: down",
        "circuit-breaker other open: degraded"
      ])
      assert.deepStrictEqual(asked, [
        ["circuit-breaker", "fine", "closed", "closed"],
        ["circuit-breaker", "payments", "open", "open"],
        ["circuit-breaker", "other", "open", "open"]
      ])
      assert.lengthOf(kept, 3)
    }).pipe(observed)
  )

  for (const [what, rule] of [
    ["throws", () => assert.fail("a bug")],
    ["answers nonsense", () => "fine" as never]
  ] as const) {
    it.effect(`that ${what} leaves the defaults, and the log says so once`, () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => void lines.push(String(message)))
        const kept = yield* breakers({ fine: "close", payments: "open" })
        const { check } = yield* Health.make({ rules: rule })
        const found = yield* Effect.forEach([1, 2], () => Effect.map(check, summaryOf)).pipe(
          Effect.zipLeft(settled),
          Effect.provide(Logger.replace(Logger.defaultLogger, logger))
        )
        const degraded = ["degraded", "circuit-breaker payments open: degraded"]
        assert.deepStrictEqual(found, [degraded, degraded])
        assert.deepStrictEqual(lines, ["a rule for health threw, the defaults hold"])
        assert.lengthOf(kept, 2)
      }).pipe(observed)
    )
  }

  it.effect.each<[option: string, options: unknown]>([
    ["rule", { rule: [] }],
    ["rules", { rules: {} }],
    ["rules", { rules: "down" }],
    ["rules[0]", { rules: ["down"] }],
    ["rules[0].health", { rules: [{ name: "x" }] }],
    ["rules[0].health", { rules: [{ name: "x", health: "bad" }] }],
    ["rules[1].name", { rules: [{ health: "up" }, { name: 7, health: "up" }] }],
    ["rules[0].name", { rules: [{ name: "", health: "up" }] }],
    ["rules[0].kind", { rules: [{ kind: "breaker", health: "up" }] }],
    ["rules[0].kind", { rules: [{ kind: "retry", health: "up" }] }],
    ["rules[0].state", { rules: [{ kind: "bulkhead", state: "open", health: "up" }] }],
    ["rules[0].state", { rules: [{ state: "opened", health: "up" }] }],
    ["rules[0].state", { rules: [{ state: [], health: "up" }] }],
    ["rules[0].state", { rules: [{ state: ["open", 1], health: "up" }] }],
    ["rules[0].names", { rules: [{ names: "x", health: "up" }] }]
  ])("is refused at %s where it is wrong: %j", ([option, options]) =>
    Effect.gen(function* () {
      const refusal = yield* refusalOf(Health.make(options as Health.Options))
      assert.deepStrictEqual([refusal.policy, refusal.option], ["Health.make", option])
    }).pipe(observed)
  )
})

describe("a report", () => {
  const operation = FastCheck.constantFrom("close", "open", "halfOpen", "isolate", "disable", "metricsOnly")
  const state = FastCheck.constantFrom(
    ...(["closed", "open", "half-open", "isolated", "disabled", "metrics-only"] as const)
  )
  const name = FastCheck.constantFrom("a", "b", "c", "d")
  const health = FastCheck.constantFrom<Health.Status>("up", "degraded", "down")
  const rule = FastCheck.record({ name, state, health }, { requiredKeys: ["health"] })

  it.effect.prop(
    "is as bad as the worst policy, whatever the rules",
    {
      operations: FastCheck.tuple(operation, operation, operation),
      rules: FastCheck.array(rule, { maxLength: 4 })
    },
    ({ operations, rules }) =>
      Effect.gen(function* () {
        const kept = yield* Effect.forEach(operations, (operation, at) =>
          Effect.tap(CircuitBreaker.make({ name: "abc"[at] }), (breaker) => breaker[operation as "open"])
        )
        const states = yield* Effect.forEach(kept, ({ state }) => state)
        const expected = states.map((state, at) => {
          const bad = ["open", "half-open", "isolated"].includes(state)
          const fitting = rules.find(
            (rule) =>
              (rule.name ?? "abc"[at]) === "abc"[at] &&
              (rule.state === undefined ? bad : rule.state === state)
          )
          return fitting?.health ?? (bad ? "degraded" : "up")
        })
        const { reasons, status } = yield* report({ rules: rules as ReadonlyArray<Health.Rule> })
        const worst = ["down", "degraded", "up"].find((each) => expected.includes(each as Health.Status))
        assert.strictEqual(status, worst)
        assert.deepStrictEqual(
          new Map(reasons.map(({ health, name }) => [name, health])),
          new Map(expected.flatMap((health, at) => (health === "up" ? [] : [["abc"[at], health]])))
        )
        assert.deepStrictEqual(
          reasons.map(({ health }) => health),
          reasons
            .map(({ health }) => health)
            .sort()
            .reverse()
        )
      }).pipe(observed),
    { fastCheck: { numRuns: runs(100, 2000) } }
  )
})
