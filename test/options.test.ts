/**
 * Every option of every constructor, with values that it cannot have. The tables are typed by the interfaces of the options, so
 * that an option that is missing here does not compile.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigError, ConfigProvider, Duration, Effect, Exit, Layer, Option } from "effect"
import {
  Backoff,
  Bulkhead,
  Cache,
  CircuitBreaker,
  FailureCondition,
  Fallback,
  Hedge,
  Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { breakerKinds, bulkheadKinds, limiterKinds, rows as stateful } from "./policy/services.js"
import { refusalOf } from "./support/calls.js"
import { type Kind, kinds, listeners } from "./support/optionKinds.js"
import { HttpAdmin, HttpDrain, HttpProblem, HttpProtection, HttpResilience } from "effect-resilience/http"

type Any = Readonly<Record<string, unknown>>

/** The `InvalidOption` that is thrown or that is the defect, or what happens instead. */
const refusal = (construct: () => unknown): Policy.InvalidOption | string => {
  const exit = Effect.runSyncExit(
    Effect.scoped(
      Effect.suspend(() => {
        const made = construct()
        if (Layer.isLayer(made)) return Layer.build(made as unknown as Layer.Layer<never>)
        // Policies and tags are effects or functions that must not run here.
        return Effect.isEffect(made) && typeof made !== "function"
          ? (made as Effect.Effect<unknown>)
          : Effect.void
      })
    )
  )
  if (Exit.isSuccess(exit)) return "accepted"
  const defect = Option.getOrUndefined(Cause.dieOption(exit.cause))
  // A layer asks for its services after its options have been checked.
  if (String(defect).includes("Service not found")) return "accepted"
  return defect instanceof Policy.InvalidOption ? defect : Cause.pretty(exit.cause)
}

const show = (value: unknown): string =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value)

const messageOf = (construct: () => unknown): string => {
  const refused = refusal(construct)
  return typeof refused === "string" ? refused : refused.message
}

/** A constructor, the kinds of its options, and options with which it works. */
interface Row {
  readonly called: string
  readonly make: (options: never) => unknown
  readonly options: Readonly<Record<string, Kind>>
  readonly works: Any
  /** Values of the kind that the option accepts nevertheless. */
  readonly takes?: Readonly<Record<string, ReadonlyArray<unknown>>>
}

/** A row, whose options are those of an interface. */
const row = <O>(
  called: string,
  make: (options: never) => unknown,
  works: Any,
  options: { readonly [Name in keyof O]-?: Kind },
  takes: Row["takes"] = {}
): Row => ({ called, make, options: options, works, takes })

const bounds = { capacity: "whole", idleTimeToLive: "positive", whenFull: "word" } as const
const request = { idempotent: "listener", replayable: "listener" } as const
const answering = { respond: "listener", retryAfter: "positive" } as const
const backoff = { max: "positive", jitter: "word" } as const
const rate = RateLimiter.smooth({ limit: 10, per: "1 second" })
const key = () => "key"

type Made<F> = F extends (options: infer O) => unknown ? O : never

const rows: ReadonlyArray<Row> = [
  row<Backoff.ConstantOptions>(
    "Backoff.constant",
    Backoff.constant,
    { delay: 1 },
    { ...backoff, delay: "duration" }
  ),
  row<Backoff.LinearOptions>(
    "Backoff.linear",
    Backoff.linear,
    { base: 1 },
    { ...backoff, base: "positive", step: "duration" }
  ),
  row<Backoff.ExponentialOptions>(
    "Backoff.exponential",
    Backoff.exponential,
    { base: 1 },
    { ...backoff, base: "positive", factor: "finite" }
  ),
  row<Backoff.FibonacciOptions>(
    "Backoff.fibonacci",
    Backoff.fibonacci,
    { base: 1 },
    { ...backoff, base: "positive" }
  ),
  row<Backoff.Options>("Backoff.list", (options) => Backoff.list([1], options), {}, backoff),
  row<{ count: number; of: number; within: unknown }>(
    "Trip.failures",
    Trip.failures,
    { count: 1, of: 5 },
    { count: "whole", of: "whole", within: "positive" }
  ),
  row<Record<"threshold" | "minimumCalls" | "of" | "within", unknown>>(
    "Trip.failureRate",
    Trip.failureRate,
    { threshold: 0.5, of: 20 },
    { threshold: "fraction", minimumCalls: "whole", of: "whole", within: "positive" }
  ),
  row<Record<"threshold" | "minimumCalls" | "of" | "within" | "slowerThan", unknown>>(
    "Trip.slowRate",
    Trip.slowRate,
    { threshold: 0.5, of: 20, slowerThan: 5 },
    { threshold: "fraction", minimumCalls: "whole", of: "whole", within: "positive", slowerThan: "duration" }
  ),
  row<Made<typeof RateLimiter.smooth>>(
    "RateLimiter.smooth",
    RateLimiter.smooth,
    { limit: 1, per: 1 },
    { limit: "whole", per: "positive" }
  ),
  row<Made<typeof RateLimiter.bursty>>(
    "RateLimiter.bursty",
    RateLimiter.bursty,
    { limit: 1, per: 1 },
    { limit: "whole", per: "positive" }
  ),
  row<Made<typeof RateLimiter.slidingWindow>>(
    "RateLimiter.slidingWindow",
    RateLimiter.slidingWindow,
    { limit: 1, per: 1 },
    { limit: "whole", per: "positive" }
  ),
  row<Made<typeof RateLimiter.tokenBucket>>(
    "RateLimiter.tokenBucket",
    RateLimiter.tokenBucket,
    { limit: 1, per: 1 },
    { limit: "whole", per: "positive", burst: "whole" }
  ),
  row<RetryBudget.SuccessesOptions>(
    "RetryBudget.successes",
    RetryBudget.successes,
    {},
    { ratio: "finite", capacity: "finite", minPerSecond: "finite", cost: "finite", refund: "flag" }
  ),
  row<RetryBudget.RequestsOptions>(
    "RetryBudget.requests",
    RetryBudget.requests,
    {},
    { ratio: "finite", window: "positive", minPerSecond: "finite" }
  ),
  row<RetryBudget.ThrottlingOptions>(
    "RetryBudget.throttling",
    RetryBudget.throttling,
    {},
    { maxTokens: "whole", tokenRatio: "finite" }
  ),
  row<{ isTimeout: unknown }>(
    "RetryBudget.awsStandard",
    RetryBudget.awsStandard,
    {},
    { isTimeout: "listener" }
  ),
  row<Hedge.PercentileOptions>(
    "Hedge.percentile",
    (options) => Hedge.percentile(0.9, options),
    {},
    { min: "duration", max: "duration", minimumSamples: "whole", window: "positive" }
  ),
  row<Timeout.Options>(
    "Timeout.timeout",
    Timeout.timeout,
    { limit: 1 },
    { limit: "duration", disconnect: "flag", name: "name", onTimeout: "listener" }
  ),
  row<Retry.Options<unknown, unknown>>(
    "Retry.retry",
    Retry.retry,
    {},
    {
      schedule: "schedule",
      times: "times",
      maxDuration: "duration",
      maxHint: "duration",
      hintJitter: "finite",
      budget: "budget",
      exceeded: "word",
      name: "name",
      condition: "condition",
      delayFrom: "listener",
      ...listeners("abortWhen", "disposeResult", "onRetryScheduled", "onRetry", "onExceeded", "onAbort")
    }
  ),
  ...(["succeed", "sync", "orElse", "fail", "chain"] as const).map((verb) => {
    const use = verb === "chain" ? [() => Effect.void] : () => Effect.void
    const make = Fallback[verb] as unknown as (use: unknown, options: unknown) => unknown
    return row<Fallback.Options<unknown, unknown>>(
      `Fallback.${verb}`,
      (options) => make(use, options),
      {},
      {
        name: "name",
        condition: "condition",
        ...listeners("onFallback", "disposeResult")
      }
    )
  }),
  row<Hedge.Options<unknown, unknown>>(
    "Hedge.hedge",
    Hedge.hedge,
    { delay: 1 },
    {
      delay: "duration",
      maxHedges: "wholeOrNone",
      budget: "budget",
      disconnect: "flag",
      name: "name",
      condition: "condition",
      ...listeners("startsNext", "disposeResult", "onHedge")
    }
  ),
  ...stateful.flatMap(({ constructors, keyed, kinds, module, optional, options, tag }) => [
    ...Object.entries({ ...constructors, "Partner.layer": tag.layer }).map(([called, make]) =>
      row(called, make, options, kinds)
    ),
    ...(keyed === undefined
      ? []
      : [
          row<Policy.Bounds & { readonly options: unknown }>(
            `${module}.keyed`,
            keyed,
            { options },
            { ...bounds, options: "list" },
            optional === true ? { options: [{}] } : {}
          )
        ])
  ]),
  row<HttpResilience.RetryOptions>(
    "HttpResilience.retry",
    HttpResilience.retry,
    {},
    {
      ...request,
      times: "times",
      schedule: "schedule",
      maxDuration: "duration",
      maxHint: "duration",
      hintJitter: "finite",
      budget: "budget",
      condition: "condition",
      name: "name",
      ...listeners("onRetryScheduled", "onRetry", "onExceeded")
    }
  ),
  row<HttpResilience.CircuitBreakerOptions>(
    "HttpResilience.circuitBreaker",
    HttpResilience.circuitBreaker,
    {},
    { ...breakerKinds, ...bounds, key: "listener", condition: "condition" }
  ),
  row<HttpResilience.TimeoutOptions>(
    "HttpResilience.timeout",
    HttpResilience.timeout,
    { limit: 1 },
    { limit: "positive", body: "word", name: "name", onTimeout: "listener" },
    { body: [true] }
  ),
  row<HttpResilience.BulkheadOptions>(
    "HttpResilience.bulkhead",
    HttpResilience.bulkhead,
    { permits: 1, maxQueued: 1, key },
    { ...bulkheadKinds, ...bounds, key: "listener" }
  ),
  row<HttpResilience.RateLimiterOptions>(
    "HttpResilience.rateLimiter",
    HttpResilience.rateLimiter,
    { rate, key },
    { ...limiterKinds, ...bounds, key: "listener" }
  ),
  row<HttpResilience.HedgeOptions>(
    "HttpResilience.hedge",
    HttpResilience.hedge,
    { delay: 1 },
    {
      ...request,
      delay: "duration",
      maxHedges: "wholeOrNone",
      budget: "budget",
      condition: "condition",
      name: "name",
      onHedge: "listener"
    }
  ),
  row<HttpResilience.FallbackOptions>(
    "HttpResilience.fallback",
    (options) => HttpResilience.fallback(() => Effect.never, options as HttpResilience.FallbackOptions),
    {},
    { condition: "condition", name: "name", onFallback: "listener" }
  ),
  row<HttpResilience.StandardOptions>(
    "HttpResilience.standard",
    HttpResilience.standard,
    {},
    {
      totalTimeout: "positive",
      fallback: "list",
      cache: "list",
      rateLimiter: "object",
      bulkhead: "object",
      retry: "object",
      hedge: "object",
      budget: "budget",
      circuitBreaker: "object",
      attemptTimeout: "positive"
    }
  ),
  row<HttpProtection.BulkheadOptions>(
    "HttpProtection.bulkhead",
    HttpProtection.bulkhead,
    { permits: 1, maxQueued: 1, key },
    { ...bulkheadKinds, ...bounds, ...answering, key: "listener" }
  ),
  row<Omit<HttpProtection.CircuitBreakerOptions, "initial">>(
    "HttpProtection.circuitBreaker",
    HttpProtection.circuitBreaker,
    { key },
    { ...breakerKinds, ...bounds, ...answering, key: "listener" }
  ),
  row<HttpProtection.RateLimiterOptions>(
    "HttpProtection.rateLimiter",
    HttpProtection.rateLimiter,
    { rate, key },
    { ...limiterKinds, ...bounds, ...answering, key: "listener", fields: "word" }
  ),
  row<HttpProtection.TimeoutOptions>(
    "HttpProtection.timeout",
    HttpProtection.timeout,
    { limit: 1 },
    {
      ...answering,
      limit: "positive",
      status: "word",
      disconnect: "flag",
      name: "name",
      onTimeout: "listener"
    }
  ),
  row<HttpProtection.RequestBodyOptions>(
    "HttpProtection.requestBody",
    HttpProtection.requestBody,
    {},
    {
      respond: "listener",
      stallTimeout: "positive",
      totalTimeout: "positive",
      name: "name",
      onTimeout: "listener"
    }
  ),
  row<HttpProtection.StandardOptions>(
    "HttpProtection.standard",
    HttpProtection.standard,
    {},
    {
      ...answering,
      rateLimiter: "object",
      bulkhead: "object",
      circuitBreaker: "object",
      timeout: "positive",
      requestBody: "object"
    }
  ),
  row<HttpDrain.Options>(
    "HttpDrain.make",
    HttpDrain.make,
    {},
    {
      ...answering,
      delay: "duration",
      within: "duration",
      interruptWithin: "duration",
      server: "list",
      name: "name",
      ...listeners("exempt", "onDraining", "onDrained")
    }
  ),
  row<Pick<HttpProblem.Options, "retryAfter" | "timeoutStatus">>(
    "HttpProblem.layer",
    HttpProblem.layer,
    {},
    { retryAfter: "positive", timeoutStatus: "word" }
  ),
  row<HttpAdmin.Options>(
    "HttpAdmin.router",
    HttpAdmin.router,
    { policies: [] },
    { policies: "list", reading: "object", keys: "word", steering: "object" }
  ),
  row<HttpAdmin.LayerRouterOptions>(
    "HttpAdmin.layerRouter",
    HttpAdmin.layerRouter,
    { policies: [] },
    { policies: "list", reading: "object", keys: "word", steering: "object", prefix: "word" }
  )
]

describe("bad options of", () => {
  for (const { called, make, options, takes, works } of rows) {
    const construct = make as (options: unknown) => unknown

    describe(called, () => {
      it("are refused by their path and with the value as it was written", () => {
        const wrong: Array<string> = []
        for (const [option, kind] of Object.entries(options)) {
          for (const value of kinds[kind] as ReadonlyArray<unknown>) {
            if (takes?.[option]?.some((taken) => show(taken) === show(value))) continue
            const refused = refusal(() => construct({ ...works, [option]: value }))
            const shown = `${option}: ${show(value)}`
            if (typeof refused === "string") wrong.push(`${shown} ${refused}`)
            else if (refused.policy !== called) wrong.push(`${shown} is refused by ${refused.policy}`)
            else if (refused.option.split(/[.[]/)[0] !== option)
              wrong.push(`${shown} is refused as ${refused.option}`)
            else if (
              refused.option === option &&
              !Object.is(refused.value, value) &&
              !Duration.isDuration(value)
            )
              wrong.push(`${shown} is shown as ${String(refused.value)}`)
          }
        }
        assert.deepStrictEqual(wrong, [])
      })

      it("are refused when they are unknown, with the one that may be meant", () => {
        for (const option of Object.keys(options)) {
          const misspelt = `${option.slice(0, -1)}${option.slice(-1)}x`
          assert.include(
            messageOf(() => construct({ ...works, [misspelt]: 5 })),
            `${called}: option "${misspelt}" must be left out, there is no such option (did you mean "${option}"?), got 5`
          )
        }
        assert.match(
          messageOf(() => construct({ ...works, somethingElseEntirely: 5 })),
          /option "somethingElseEntirely" must be one of ".*", got 5$/
        )
      })

      it("are refused when they are not an object", () => {
        for (const value of [null, true, []]) {
          const refused = refusal(() => construct(value))
          assert.instanceOf(refused, Policy.InvalidOption, `${JSON.stringify(value)}: ${String(refused)}`)
          assert.strictEqual(refused.policy, called)
        }
      })

      it("are not reported when they are left out or valid", () => {
        const nothing = Object.fromEntries(Object.keys(options).map((option) => [option, undefined]))
        assert.strictEqual(
          messageOf(() => construct({ ...nothing, ...works })),
          "accepted"
        )
      })
    })
  }
})

// ------------------------------------------------------------------------------------------------------------ messages

describe("bad options", () => {
  class Prices extends CircuitBreaker.Tag("Prices")<Prices>() {}

  const given: ReadonlyArray<readonly [message: string, construct: () => unknown]> = [
    // Values in place of options.
    [`Retry.retry: the options must be an object, got 3`, () => Retry.retry(3 as never)],
    [`Retry.retry: the options must be an object, got undefined`, () => Retry.retry(undefined as never)],
    [
      `CircuitBreaker.make: the options must be an object, got "users"`,
      () => CircuitBreaker.make("users" as never)
    ],
    [
      `Timeout.timeout: option "limt" must be left out, there is no such option (did you mean "limit"?), got 5`,
      () => Timeout.timeout({ limt: 5 } as never)
    ],
    // Parts of options.
    [
      `HttpResilience.standard: option "bulkhead.permits" must be a whole number of at least 1, got 0`,
      () => HttpResilience.standard({ bulkhead: { permits: 0 } })
    ],
    [
      `HttpResilience.standard: option "circuitBreaker.halfOpen.permits" must be a whole number of at least 1, got 0`,
      () => HttpResilience.standard({ circuitBreaker: { halfOpen: { permits: 0 } } })
    ],
    [
      `HttpResilience.layer: option "totalTimout" must be left out, there is no such option (did you mean "totalTimeout"?), got 5`,
      () => HttpResilience.layer({ totalTimout: 5 } as never)
    ],
    [
      `HttpResilience.standard: option "totalTimeout.limit" must be a duration greater than zero, got 0`,
      () => HttpResilience.standard({ totalTimeout: { limit: 0 } })
    ],
    [
      `HttpResilience.standard: option "retry.condition.tag" must be left out, there is no such option (did you mean "tags"?), got ["A"]`,
      () => HttpResilience.standard({ retry: { condition: { tag: ["A"] } as never } })
    ],
    [
      `HttpProtection.standard: option "timeout" must be a duration greater than zero, got 0`,
      () => HttpProtection.standard({ timeout: 0 })
    ],
    [
      `HttpProtection.standard: option "rateLimiter.rate" must be a rate made by RateLimiter.smooth, bursty, tokenBucket or slidingWindow, got 10`,
      () => HttpProtection.standard({ rateLimiter: { rate: 10 } as never })
    ],
    [
      `CircuitBreaker.keyed: option "options.openFor" must be a finite duration greater than zero, got 0`,
      () => CircuitBreaker.keyed({ options: { openFor: 0 } })
    ],
    [
      `RateLimiter.keyed: option "options" must be options, or a function to options, got undefined`,
      () => RateLimiter.keyed({} as never)
    ],
    [
      `Bulkhead.keyed: option "options" must be options, or a function to options, got 5`,
      () => Bulkhead.keyed({ options: 5 } as never)
    ],
    [
      `Prices.layer: option "halfOpen" must be an object, got 3`,
      () => Prices.layer({ halfOpen: 3 } as never)
    ],
    // Values as they were written.
    [
      `Trip.failures: option "within" must be a duration of at least 10 millis, got "1 millis"`,
      () => Trip.failures({ count: 5, within: "1 millis" })
    ],
    [
      `RateLimiter.tokenBucket: option "per" must be a duration from 1 millisecond to 365 days, got "800 days"`,
      () => RateLimiter.tokenBucket({ limit: 1, per: "800 days" })
    ],
    [
      `Backoff.exponential: option "max" must be a duration of at most 2147483647 millis, the longest that a timer waits, got "800d"`,
      () => Backoff.exponential({ base: 1, max: Duration.days(800) })
    ],
    // Options that belong elsewhere, or are missing.
    [
      `RetryBudget.make: option "capacity" must be given to the rule, such as { rule: RetryBudget.successes({ capacity: 100 }) }, got 0`,
      () => RetryBudget.make({ capacity: 0 } as never)
    ],
    [
      `Trip.failureRate: option "of" must be a number of calls, or "within" a duration: one is needed, got undefined`,
      () => Trip.failureRate({ threshold: 0.5 } as never)
    ],
    [
      `Cache.make: option "lookup" must be a function, got undefined`,
      () => Cache.make({ timeToLive: 5 } as never)
    ],
    [
      `CircuitBreaker.make: option "trip" must be a rule made by Trip, got {}`,
      () => CircuitBreaker.make({ trip: {} } as never)
    ],
    [
      `CircuitBreaker.make: option "trip.rules[1].count" must be a whole number of at least 1, got 0`,
      () =>
        CircuitBreaker.make({
          trip: { _tag: "any", rules: [Trip.consecutive(1), { _tag: "consecutive", count: 0 }] }
        })
    ],
    // Conditions, wherever they stand.
    [
      `Retry.retry: option "condition" must be a condition, got true`,
      () => Retry.retry({ condition: true } as never)
    ],
    [
      `Retry.retry: option "condition.any[1].tags" must be a list of tags, got "Down"`,
      () => Retry.retry({ condition: { any: [{}, { tags: "Down" }] } } as never)
    ],
    [
      `FailureCondition.any: option "conditions[0]" must be a condition, got true`,
      () => FailureCondition.any(true as never)
    ],
    [
      `FailureCondition.classify: option "condition" must be a condition, got true`,
      () => FailureCondition.classify(true as never)
    ],
    [
      `CircuitBreaker.protectWhen: option "condition" must be a condition, got true`,
      () => Prices.protectWhen(true as never)
    ],
    [
      `Bulkhead.protectWhen: option "condition" must be a condition, got true`,
      () => Bulkhead.protectWhen(true as never)
    ],
    [
      `RateLimiter.protectWhen: option "condition" must be a condition, got true`,
      () => RateLimiter.protectWhen(true as never)
    ],
    ...(["CircuitBreaker", "Bulkhead", "RateLimiter"] as const).flatMap((policy) => {
      const options = { CircuitBreaker: {}, Bulkhead: { permits: 1 }, RateLimiter: { rate } }[policy]
      const { keyed, make } = { CircuitBreaker, Bulkhead, RateLimiter }[policy] as unknown as {
        readonly make: (options: unknown) => Effect.Effect<CircuitBreaker.CircuitBreaker>
        readonly keyed: (options: unknown) => Effect.Effect<CircuitBreaker.KeyedCircuitBreaker>
      }
      const message = `${policy}.protectWhen: option "condition" must be a condition, got true`
      return [
        [message, () => Effect.map(make(options), (one) => one.protectWhen(true as never))],
        [message, () => Effect.map(keyed({ options }), (all) => all.protectWhen("key")(true as never))]
      ] as const
    }),
    // Unknown options.
    [`Fallback.orElse: option "use" must be a function, got 5`, () => Fallback.orElse(5 as never)],
    [
      `Fallback.chain: option "steps[1]" must be a function, got 5`,
      () => Fallback.chain([() => Effect.void, 5] as never)
    ],
    [
      `Policy.pipeline: option "policies[0]" must be a function, got "retry"`,
      () => Policy.pipeline("retry" as never)
    ],
    [
      `HttpResilience.make: option "exchange" must be a function, got undefined`,
      () => HttpResilience.make({} as never, undefined as never)
    ],
    [
      `HttpResilience.rpc: option "part" must be a function, got true`,
      () => HttpResilience.rpc(true as never)
    ],
    [
      `HttpAdmin.router: option "policies" must be a list of policies, got 5`,
      () => HttpAdmin.router({ policies: 5 } as never)
    ]
  ]

  it.each(given)(
    "are reported with the call, the option, the range and the value: %s",
    (message, construct) => {
      assert.strictEqual(messageOf(construct), message)
    }
  )

  it.effect(
    "of a keyed policy whose options are a function are a defect of the call, in the name of the policy",
    () =>
      Effect.gen(function* () {
        const bulkheads = yield* Bulkhead.keyed({ options: () => ({ permits: 0 }) })
        assert.strictEqual(
          String(yield* refusalOf(Effect.void.pipe(bulkheads.protect("key")))),
          'InvalidOption: Bulkhead.keyed: option "options.permits" must be a whole number of at least 1, got 0'
        )
      })
  )
})

describe("bad settings from the configuration", () => {
  class Prices extends CircuitBreaker.Tag("Prices")<Prices>() {}
  class Database extends Bulkhead.Tag("Database")<Database>() {}

  const trip = Config.mapAttempt(Config.integer("MAX_FAILURES"), Trip.consecutive).pipe(
    Config.withDefault(Trip.consecutive(5))
  )
  const openFor = Config.duration("OPEN_FOR").pipe(Config.withDefault("15 seconds"))

  const errorOf = <A, E>(layer: Layer.Layer<A, E>, config: Record<string, string>): string => {
    const provider = ConfigProvider.fromMap(new Map(Object.entries(config)), { pathDelim: "_" })
    const exit = Effect.runSyncExit(
      Layer.build(layer).pipe(Effect.scoped, Effect.withConfigProvider(provider))
    )
    const error: unknown = Option.getOrUndefined(Option.flatMap(Exit.causeOption(exit), Cause.failureOption))
    return ConfigError.isConfigError(error)
      ? String(error)
      : Exit.isSuccess(exit)
        ? "built"
        : Cause.pretty(exit.cause)
  }

  it.each<[settings: () => Layer.Layer<never, unknown>, config: Record<string, string>, message: string]>([
    [
      () => Prices.layerConfig({ openFor }),
      { OPEN_FOR: "-1 seconds" },
      '(Invalid data at OPEN_FOR: "Prices.layerConfig: option "openFor" must be a finite duration greater than zero, got "-1 seconds"")'
    ],
    [
      () => Prices.layerConfig({ openFor: Config.nested(openFor, "PRICES") }),
      { PRICES_OPEN_FOR: "0 seconds" },
      '(Invalid data at PRICES.OPEN_FOR: "Prices.layerConfig: option "openFor" must be a finite duration greater than zero, got "0 seconds"")'
    ],
    [
      () => Prices.layerConfig({ trip }),
      { MAX_FAILURES: "0" },
      '(Invalid data at MAX_FAILURES: "Prices.layerConfig: option "trip": Trip.consecutive: option "count" must be a whole number of at least 1, got 0")'
    ],
    [
      () => Prices.layerConfig({ trip: Config.map(Config.integer("MAX_FAILURES"), Trip.consecutive) }),
      { MAX_FAILURES: "0" },
      '(Invalid data at MAX_FAILURES: "Prices.layerConfig: option "trip.count" must be a whole number of at least 1, got 0")'
    ],
    [
      () => Database.layerConfig({ permits: Config.integer("PERMITS") }),
      { PERMITS: "many" },
      '(Invalid data at PERMITS: "Database.layerConfig: option "permits": Expected an integer value but received "many"")'
    ],
    [
      () => Database.layerConfig({ permits: Config.succeed(0) }),
      {},
      '(Invalid data at : "Database.layerConfig: option "permits" must be a whole number of at least 1, got 0")'
    ],
    [
      () => Database.layerConfig({ permits: Config.succeed(1), permit: Config.succeed(1) } as never),
      {},
      '(Invalid data at : "Database.layerConfig: option "permit" must be left out, there is no such option (did you mean "permits"?), got 1")'
    ]
  ])("name the tag, the setting, the path and the value as it was written: %#", (layer, config, message) => {
    assert.strictEqual(errorOf(layer(), config), message)
  })

  it("are all reported", () => {
    const layer = Prices.layerConfig({ trip, openFor }) as Layer.Layer<Prices, unknown>
    const message = errorOf(layer, { MAX_FAILURES: "no", OPEN_FOR: "soon" })
    assert.include(message, "MAX_FAILURES")
    assert.include(message, "OPEN_FOR")
  })

  it("are defects when they are no settings, and so are bad listeners", () => {
    assert.strictEqual(
      messageOf(() => Database.layerConfig({ permits: 5 } as never)),
      'Database.layerConfig: option "permits" must be a Config, got 5'
    )
    assert.strictEqual(
      messageOf(() =>
        Database.layerConfig({ permits: Config.succeed(1) }, { onQueud: () => Effect.void } as never)
      ),
      'Database.layerConfig: option "onQueud" must be left out, there is no such option (did you mean "onQueued"?), got a function'
    )
  })
})
