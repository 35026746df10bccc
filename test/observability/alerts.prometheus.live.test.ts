// Every alert, as Prometheus evaluates it: it fires in the incident that it is for, and is silent without one.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Alerts from "../../src/observability/Alerts.js"
import { checkRules, testRules } from "../support/prometheus.js"
import { kinds } from "./kinds.js"

/** Series of one program in the notation of promtool: `0+15x80` is 0 and then 80 times 15 more. One value is every 15 seconds. */
type Input = Readonly<Record<string, string>>

interface Case {
  readonly what: string
  readonly input: Input
  /** When it is evaluated, in minutes. */
  readonly at: number
  /** The text of the value when it fires. */
  readonly fires?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Minutes between two values. Default: a quarter. */
  readonly every?: number
}

const policies = kinds.map((kind) => ({ kind, name: "pay" }))

const rules = Alerts.make(policies, {
  slos: [{ policy: "pay", kind: "circuit-breaker", objective: 0.999 }],
  labels: { team: "shop" }
})

/** A series of the policy `pay` of a kind. */
const of =
  (kind: string, metric: string) =>
  (labels: string): string =>
    `resilience_${metric}{job="shop",instance="1",policy="pay",kind="${kind}"${labels && `,${labels}`}}`

const state = of("circuit-breaker", "circuit_state")
const transitions = of("circuit-breaker", "circuit_transitions_total")
const calls = of("circuit-breaker", "calls_total")
const attempts = { retry: of("retry", "attempts_total"), hedge: of("hedge", "attempts_total") }
const withdrawals = of("retry-budget", "budget_withdrawals_total")
const limited = of("rate-limiter", "calls_total")
const replaced = of("fallback", "calls_total")
const requests = of("cache", "cache_requests_total")
const refreshes = of("cache", "cache_refreshes_total")
const inFlight = of("bulkhead", "in_flight")
const limit = of("bulkhead", "limit")

const cases: Readonly<Record<Alerts.Name, ReadonlyArray<Case>>> = {
  CircuitOpen: [
    {
      what: "a dependency is down, and probes fail",
      input: {
        [state('state="open"')]: `0x8 ${"1 1 1 0 ".repeat(10)}`,
        [state('state="half-open"')]: `0x8 ${"0 0 0 1 ".repeat(10)}`
      },
      at: 4,
      fires: "1"
    },
    {
      what: "a circuit is open for a moment",
      input: { [state('state="open"')]: "0x8 1 1 1 0x40", [state('state="half-open"')]: "0x11 1 0x40" },
      at: 3.25
    },
    {
      what: "a circuit is half-open because there are no calls",
      input: { [state('state="open"')]: "1 1 1 0x60", [state('state="half-open"')]: "0 0 0 1x60" },
      at: 10
    }
  ],
  CircuitFlapping: [
    {
      what: "a circuit opens every three minutes",
      input: {
        [transitions('from="closed",to="open",reason="tripped"')]: "0x12 1x12 2x12 3x12 4x12 5x12 6x12",
        [state('state="open"')]: "0 1 0x11 1 0x11 1 0x11 1 0x11 1 0x11 1 0x30"
      },
      at: 18,
      fires: "5"
    },
    {
      what: "a circuit opens once, and its probes fail again and again",
      input: {
        [transitions('from="closed",to="open",reason="tripped"')]: "0x8 1x80",
        [transitions('from="half-open",to="open",reason="probe"')]: "0x8 0+1x80",
        [state('state="open"')]: "0x8 1x80"
      },
      at: 18
    },
    {
      what: "all fifty circuits of a keyed breaker open in one outage",
      input: {
        [transitions('from="closed",to="open",reason="tripped"')]: "0x40 50x40",
        [state('state="open"')]: "0x40 50x40"
      },
      at: 18
    }
  ],
  RetryAmplification: [
    {
      what: "every call is retried",
      input: {
        [attempts.retry('attempt_type="original"')]: "0+15x80",
        [attempts.retry('attempt_type="retry"')]: "0+15x80"
      },
      at: 12,
      fires: "2"
    },
    {
      what: "one call in five is retried",
      input: {
        [attempts.retry('attempt_type="original"')]: "0+15x80",
        [attempts.retry('attempt_type="retry"')]: "0+3x80"
      },
      at: 12
    },
    {
      what: "there was one bad moment",
      input: {
        [attempts.retry('attempt_type="original"')]: "0x20 10x60",
        [attempts.retry('attempt_type="retry"')]: "0x20 90x60"
      },
      at: 9.75
    }
  ],
  RetryBudgetExhausted: [
    {
      what: "half of all retries and hedges are refused",
      input: {
        [withdrawals('activity="retry",outcome="paid"')]: "0+2x80",
        [withdrawals('activity="retry",outcome="refused"')]: "0+1x80",
        [withdrawals('activity="hedge",outcome="refused"')]: "0+1x80"
      },
      at: 12,
      fires: "50%"
    },
    {
      what: "nothing is refused",
      input: { [withdrawals('activity="retry",outcome="paid"')]: "0+2x80" },
      at: 12
    },
    {
      what: "one retry was refused",
      input: { [withdrawals('activity="retry",outcome="refused"')]: "0x20 1x60" },
      at: 9.75
    }
  ],
  HedgeRate: [
    {
      what: "four calls in ten are hedged",
      input: {
        [attempts.hedge('attempt_type="original"')]: "0+10x80",
        [attempts.hedge('attempt_type="hedge"')]: "0+4x80"
      },
      at: 12,
      fires: "40%"
    },
    {
      what: "the slowest tenth is hedged",
      input: {
        [attempts.hedge('attempt_type="original"')]: "0+10x80",
        [attempts.hedge('attempt_type="hedge"')]: "0+1x80"
      },
      at: 12
    }
  ],
  WastedWork: [
    {
      what: "a quarter of all attempts is interrupted",
      input: {
        [attempts.hedge('attempt_type="original"')]: "0+10x80",
        [attempts.hedge('attempt_type="hedge"')]: "0+10x80",
        [of("hedge", "attempts_wasted_total")("")]: "0+5x80"
      },
      at: 12,
      fires: "25%"
    },
    {
      what: "a hedge in twenty loses",
      input: {
        [attempts.hedge('attempt_type="original"')]: "0+20x80",
        [of("hedge", "attempts_wasted_total")("")]: "0+1x80"
      },
      at: 12
    }
  ],
  BulkheadSaturated: [
    {
      what: "one of two processes has no permit left",
      input: {
        [inFlight("")]: "10x80",
        [limit("")]: "10x80",
        [inFlight("").replace('instance="1"', 'instance="2"')]: "1x80",
        [limit("").replace('instance="1"', 'instance="2"')]: "10x80"
      },
      at: 8,
      fires: "100%"
    },
    {
      what: "all permits are in use now and then",
      input: { [inFlight("")]: "10 2 10 2 10 2 10 2 10 2 10 2 10 2 10 2 10 2 10 2", [limit("")]: "10x80" },
      at: 4.5
    }
  ],
  RateLimiterRejecting: [
    {
      what: "one call in ten is rejected",
      input: { [limited('outcome="admitted"')]: "0+9x80", [limited('outcome="rejected"')]: "0+1x80" },
      at: 12,
      fires: "10%"
    },
    {
      what: "all calls are admitted",
      input: { [limited('outcome="admitted"')]: "0+9x80", [limited('outcome="rejected"')]: "0x80" },
      at: 12
    },
    {
      what: "there was one burst",
      input: { [limited('outcome="admitted"')]: "0+9x80", [limited('outcome="rejected"')]: "0x20 500x60" },
      at: 9.75
    }
  ],
  FallbackInUse: [
    {
      what: "the fallback answers for five minutes",
      input: { [replaced('outcome="fallback"')]: "0+3x80" },
      at: 12,
      fires: "200m"
    },
    { what: "one answer was replaced", input: { [replaced('outcome="fallback"')]: "0x20 1x60" }, at: 9.75 }
  ],
  FallbackFailing: [
    {
      what: "the fallback fails too",
      input: { [replaced('outcome="fallback"')]: "0+3x80", [replaced('outcome="failure"')]: "0+6x80" },
      at: 12,
      fires: "400m"
    },
    { what: "every fallback answers", input: { [replaced('outcome="fallback"')]: "0+3x80" }, at: 12 }
  ],
  CacheStale: [
    {
      what: "most answers are old",
      input: { [requests('result="hit"')]: "0+1x80", [requests('result="stale"')]: "0+3x80" },
      at: 12,
      fires: "75%"
    },
    {
      what: "one answer in ten is old while it is refreshed",
      input: { [requests('result="hit"')]: "0+9x80", [requests('result="stale"')]: "0+1x80" },
      at: 12
    }
  ],
  CacheRefreshFailing: [
    {
      what: "every refresh fails",
      input: { [refreshes('outcome="failure"')]: "0+1x80" },
      at: 12,
      fires: "100%"
    },
    {
      what: "one refresh in four fails",
      input: { [refreshes('outcome="success"')]: "0+3x80", [refreshes('outcome="failure"')]: "0+1x80" },
      at: 12
    }
  ],
  ErrorBudgetBurn: [
    {
      what: "two calls in a hundred fail for an hour",
      every: 1,
      input: { [calls('outcome="success"')]: "0+98x80", [calls('outcome="failure"')]: "0+2x80" },
      at: 65,
      fires: "2%",
      labels: { slo: "0.999", kind: "circuit-breaker" }
    },
    {
      what: "seven calls in a thousand are rejected for six hours",
      every: 1,
      input: { [calls('outcome="success"')]: "0+993x400", [calls('outcome="rejected"')]: "0+7x400" },
      at: 370,
      fires: "0.7%",
      labels: { slo: "0.999", kind: "circuit-breaker" }
    },
    {
      what: "an outage of two minutes is over",
      every: 1,
      input: { [calls('outcome="success"')]: "0+400x400", [calls('outcome="failure"')]: "0x350 400 800x40" },
      at: 365
    },
    {
      what: "calls are interrupted or ignored",
      every: 1,
      input: {
        [calls('outcome="success"')]: "0+98x80",
        [calls('outcome="failure"')]: "0x80",
        [calls('outcome="interrupted"')]: "0+50x80",
        [calls('outcome="ignored"')]: "0+50x80"
      },
      at: 65
    },
    {
      what: "two calls in a thousand fail",
      every: 1,
      input: { [calls('outcome="success"')]: "0+998x400", [calls('outcome="failure"')]: "0+2x400" },
      at: 370
    }
  ],
  ErrorBudgetBurnSlow: [
    {
      what: "two calls in a thousand fail for three days",
      every: 30,
      input: { [calls('outcome="success"')]: "0+998x150", [calls('outcome="failure"')]: "0+2x150" },
      at: 4410,
      fires: "0.2%",
      labels: { slo: "0.999", kind: "circuit-breaker" }
    },
    {
      what: "one call in two thousand fails",
      every: 30,
      input: { [calls('outcome="success"')]: "0+1999x150", [calls('outcome="failure"')]: "0+1x150" },
      at: 4410
    }
  ]
}

const ruleOf = (name: string): Alerts.Rule => {
  const [rule] = rules.groups.flatMap(({ rules }) => rules.filter(({ alert }) => alert === name))
  return rule ?? assert.fail(`there is no alert ${name}`)
}

/** One alert alone, because promtool evaluates all rules of a file over the whole history of a case. */
const alone = (name: string): Alerts.Rules => ({ groups: [{ name: "alone", rules: [ruleOf(name)] }] })

const said = (text: string, value: string): string =>
  text.replaceAll("{{ $labels.policy }}", "pay").replace(/\{\{ \$value[^}]*\}\}/g, value)

const expectation = (name: string, { fires, labels }: Case) => {
  if (fires === undefined) return []
  const { annotations, labels: all } = ruleOf(name)
  return [
    {
      exp_labels: { team: "shop", job: "shop", policy: "pay", severity: all["severity"], ...labels },
      exp_annotations: Object.fromEntries(
        Object.entries(annotations).map(([key, text]) => [key, said(text, fires)])
      )
    }
  ]
}

describe("an alert in Prometheus", () => {
  for (const [name, all] of Object.entries(cases)) {
    for (const each of all) {
      const does = each.fires === undefined ? "is silent when" : "fires when"
      it.effect(`${name} ${does} ${each.what}`, () =>
        Effect.gen(function* () {
          const { output, status } = yield* testRules(Alerts.yaml(alone(name)), {
            evaluation_interval: `${(each.every ?? 0.25) * 60}s`,
            tests: [
              {
                interval: `${(each.every ?? 0.25) * 60}s`,
                input_series: Object.entries(each.input).map(([series, values]) => ({
                  series,
                  values: values.trim()
                })),
                alert_rule_test: [
                  { eval_time: `${each.at * 60}s`, alertname: name, exp_alerts: expectation(name, each) }
                ]
              }
            ]
          })
          assert.strictEqual(status, 0, output)
        })
      )
    }
  }

  it.effect("is written as promtool wants it, whatever its labels say", () =>
    Effect.gen(function* () {
      const odd = Alerts.make(policies, {
        labels: { odd: 'a: "b" # \u0085\ud800 {{ $value }}\n- no', empty: "", number: "1", word: "yes" },
        matchers: { job: 'a"b\\c\nd\ud800' },
        group: "- 'odd': \t",
        slos: [{ policy: "pay", kind: "retry", objective: 0.95 }],
        runbook: (alert) => `https://runbooks.example/#${alert}: x`
      })
      const { output, status } = yield* checkRules(Alerts.yaml(odd))
      assert.strictEqual(status, 0, output)
      assert.include(output, `${odd.groups.flatMap((group) => group.rules).length} rules found`)
    })
  )

  it("is tested in an incident and without one", () => {
    assert.sameMembers(
      rules.groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)),
      Object.keys(cases)
    )
    for (const [name, all] of Object.entries(cases)) {
      assert.isTrue(
        all.some(({ fires }) => fires !== undefined),
        name
      )
      assert.isTrue(
        all.some(({ fires }) => fires === undefined),
        name
      )
    }
  })
})
