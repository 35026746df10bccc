// Which alerts there are for some policies, and how their options change them. What they do is in alerts.prometheus.live.test.ts.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Bulkhead, CircuitBreaker, Hedge, Policy, Retry, Timeout } from "effect-resilience"
import { Alerts, Observability } from "effect-resilience/observability"

const partner = { kind: "circuit-breaker", name: "partner" }
const offers = { kind: "retry", name: "partner" }

const rulesOf = (rules: Alerts.Rules) => rules.groups.flatMap((group) => group.rules)
const namesOf = (rules: Alerts.Rules) => rulesOf(rules).map(({ alert }) => alert)

describe("alerts", () => {
  it("are about the policies that are there, and about no others", () => {
    const table: ReadonlyArray<readonly [kind: string, alerts: ReadonlyArray<string>]> = [
      ["circuit-breaker", ["CircuitOpen", "CircuitFlapping"]],
      ["retry", ["RetryAmplification", "WastedWork"]],
      ["hedge", ["HedgeRate", "WastedWork"]],
      ["retry-budget", ["RetryBudgetExhausted"]],
      ["bulkhead", ["BulkheadSaturated"]],
      ["rate-limiter", ["RateLimiterRejecting"]],
      ["fallback", ["FallbackInUse", "FallbackFailing"]],
      ["cache", ["CacheStale", "CacheRefreshFailing"]],
      ["timeout", []],
      ["mine", []]
    ]
    for (const [kind, names] of table)
      assert.deepStrictEqual(namesOf(Alerts.make([{ kind, name: "a" }])), names)
    const [wasted] = rulesOf(Alerts.make([offers])).filter(({ alert }) => alert === "WastedWork")
    assert.include(wasted?.expr, 'kind=~"retry"')
  })

  it.effect("are about the parts of a pipeline, and of one within another", () =>
    Effect.gen(function* () {
      const reports = yield* Bulkhead.make({ name: "reports", permits: 1 })
      const inner = Policy.pipeline(Timeout.timeout("2 seconds"), Retry.retry({ times: 2, name: "offers" }))
      const outer = Policy.pipeline(inner, reports.protect)
      assert.deepStrictEqual(namesOf(Alerts.make([outer])), [
        "RetryAmplification",
        "WastedWork",
        "BulkheadSaturated"
      ])
    })
  )

  it.effect("are about what is in the registry, where a keyed policy is one", () =>
    Effect.gen(function* () {
      yield* CircuitBreaker.make({ name: "partner" })
      const hosts = yield* CircuitBreaker.keyed({ options: { name: "hosts" } })
      yield* hosts.at("a").protect(Effect.void)
      yield* hosts.at("b").protect(Effect.void)
      yield* Hedge.hedge({ name: "reads", delay: "1 second" })(Effect.void)
      const slos = [{ policy: "hosts", objective: 0.99 }]
      assert.deepStrictEqual(namesOf(yield* Alerts.fromRegistry({ slos })), [
        "CircuitOpen",
        "CircuitFlapping",
        "HedgeRate",
        "WastedWork",
        "ErrorBudgetBurn",
        "ErrorBudgetBurnSlow"
      ])
    }).pipe(Effect.provide(Observability.layer()))
  )

  it("have the thresholds, durations, severities and labels that they are given", () => {
    const rules = Alerts.make([partner], {
      alerts: {
        CircuitOpen: {
          threshold: 2,
          for: "90 seconds",
          severity: "critical",
          labels: { area: "a", team: "b" }
        },
        CircuitFlapping: false
      },
      labels: { team: "shop" },
      matchers: { job: 'sh"op' },
      by: ["cluster"],
      prefix: "my.shop",
      group: "mine",
      runbook: (alert) => `https://runbooks.example/${alert}`
    })
    assert.deepStrictEqual(
      rules.groups.map(({ name }) => name),
      ["mine"]
    )
    const [open, ...others] = rulesOf(rules)
    assert.deepStrictEqual(others, [])
    assert.strictEqual(open?.for, "1m30s")
    assert.deepStrictEqual(open.labels, { team: "b", severity: "critical", area: "a" })
    assert.strictEqual(open.annotations["runbook_url"], "https://runbooks.example/CircuitOpen")
    assert.strictEqual(
      open.expr,
      `sum by (cluster, policy) (my_shop_circuit_state{job="sh\\"op",state=~"open|half-open"})
> 2
and
sum by (cluster, policy) (max_over_time(my_shop_circuit_state{job="sh\\"op",state="open"}[5m])) > 0`
    )
  })

  it("hold as long as the range of their rates, unless they are told otherwise", () => {
    const forOf = (options: Alerts.Options) =>
      rulesOf(Alerts.make([offers], options)).map(({ expr, for: held }) => [/\[.*?\]/.exec(expr)?.[0], held])
    assert.deepStrictEqual(forOf({}), [["[5m]", "5m"], ["[5m]", "5m"]]) // prettier-ignore
    assert.deepStrictEqual(forOf({ window: "10 minutes", alerts: { WastedWork: { for: 0 } } }), [
      ["[10m]", "10m"],
      ["[10m]", undefined]
    ])
  })

  it("compare the failing calls of an objective to what is left of it", () => {
    const [burn] = rulesOf(
      Alerts.make([partner], { slos: [{ policy: "partner", objective: 0.9995 }] })
    ).filter(({ alert }) => alert === "ErrorBudgetBurn")
    assert.include(burn?.expr, "> 14.4 * 0.0005\n")
    assert.include(burn?.expr, 'policy="partner",kind="circuit-breaker"')
    assert.deepInclude(burn?.labels, { slo: "0.9995", kind: "circuit-breaker", severity: "critical" })
  })

  it("have an objective of a policy that is not in the list, if its kind is given", () => {
    const slos = [{ policy: "later", kind: "retry", objective: 0.99 }] as const
    assert.deepStrictEqual(namesOf(Alerts.make([], { slos })), ["ErrorBudgetBurn", "ErrorBudgetBurnSlow"])
  })

  const refused: ReadonlyArray<
    readonly [option: string, expected: string, policies: unknown, options: unknown]
  > = [
    ["policies", "a list of policies", partner, {}],
    ["policies", "a list of policies, each with a kind and a name", [{ kind: "retry" }], {}],
    ["policies", "a list of policies, each with a kind and a name", [null], {}],
    ["", "an object", [], 1],
    ["window", "a finite duration greater than zero", [], { window: 0 }],
    ["alert", 'left out, there is no such option (did you mean "alerts"?)', [], { alert: {} }],
    ["alerts.CircuitOpen.threshold", "a finite number of at least 0", [], { alerts: { CircuitOpen: { threshold: -1 } } }], // prettier-ignore
    ["alerts.CircuitOpen.for", "a finite duration of zero or more", [], { alerts: { CircuitOpen: { for: "-1 second" } } }], // prettier-ignore
    ["alerts.CircuitOpen.severity", "a string that is not empty", [], { alerts: { CircuitOpen: { severity: "" } } }], // prettier-ignore
    ["alerts.CircuitOpen", "an object", [], { alerts: { CircuitOpen: true } }],
    ["alerts.ErrorBudgetBurn.threshold", 'one of "for", "severity", "labels"', [], { alerts: { ErrorBudgetBurn: { threshold: 1 } } }], // prettier-ignore
    ["labels.team", "a string", [], { labels: { team: 1 } }],
    ["labels", "the name of a label: letters, digits and underscores, and no digit at first", [], { labels: { "a-b": "" } }], // prettier-ignore
    ["matchers", "the name of a label: letters, digits and underscores, and no digit at first", [], { matchers: { __name__: "" } }], // prettier-ignore
    [
      "by[0]",
      "the name of a label: letters, digits and underscores, and no digit at first",
      [],
      { by: ["1"] }
    ],
    ["by", "a list", [], { by: "job" }],
    ["slos[0].objective", "a share greater than 0.9306 and less than 1", [partner], { slos: [{ policy: "partner", objective: 0.9 }] }], // prettier-ignore
    ["slos[0].objective", "a share greater than 0.9306 and less than 1", [partner], { slos: [{ policy: "partner", objective: 1 }] }], // prettier-ignore
    ["slos[0].objective", "a share greater than 0.9306 and less than 1", [partner], { slos: [{ policy: "partner" }] }], // prettier-ignore
    ["slos[0].policy", "a string that is not empty", [], { slos: [{ objective: 0.99 }] }],
    ["slos[0].policy", "the name of one of the policies that see every call (circuit-breaker, bulkhead, retry, hedge)", [partner], { slos: [{ policy: "pay", objective: 0.99 }] }], // prettier-ignore
    ["slos[0].policy", "the name of one policy, or have a kind, because there are several (circuit-breaker, retry)", [partner, offers], { slos: [{ policy: "partner", objective: 0.99 }] }], // prettier-ignore
    ["slos[0].kind", '"circuit-breaker", "bulkhead", "retry" or "hedge"', [], { slos: [{ policy: "a", kind: "cache", objective: 0.99 }] }], // prettier-ignore
    ["prefix", 'a letter, followed by letters, digits, "_" and "."', [], { prefix: "1" }],
    ["group", "a string that is not empty", [], { group: "" }],
    ["runbook", "a function", [], { runbook: "https://" }]
  ]
  for (const [option, expected, policies, options] of refused) {
    it(`are not made when ${option || "what is given"} is not ${expected}`, () => {
      try {
        Alerts.make(policies as ReadonlyArray<Alerts.Source>, options as Alerts.Options)
      } catch (error) {
        assert.instanceOf(error, Policy.InvalidOption)
        assert.deepInclude({ ...(error as object) }, { policy: "Alerts.make", option, expected })
        return
      }
      assert.fail("they were made")
    })
  }

  it("are written as YAML that people can read", () => {
    const rules: Alerts.Rules = {
      groups: [
        {
          name: "true",
          rules: [
            {
              alert: "CircuitOpen",
              expr: "a\n> 0",
              for: "1m",
              labels: { severity: "warning", odd: 'a: "b" # \u0085\ud800' },
              annotations: {}
            }
          ]
        },
        { name: "none", rules: [] }
      ]
    }
    assert.strictEqual(
      Alerts.yaml(rules),
      `groups:
  - name: "true"
    rules:
      - alert: CircuitOpen
        expr: |-
          a
          > 0
        for: "1m"
        labels:
          severity: warning
          odd: "a: \\"b\\" # \\u0085\uFFFD"
        annotations: {}
  - name: none
    rules: []
`
    )
  })
})
