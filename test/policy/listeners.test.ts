/**
 * A listener is the business of the call that it is told of. Each row brings a policy to where one call meets one of its
 * listeners, and other calls come at the same time; whatever the listener does, they fare as if it did nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Duration, Scope } from "effect"
import { Cause, Clock, Effect, Exit, Fiber, Logger, Schedule } from "effect"
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
import { runToEnd } from "../support/everyStep.js"
import { rows as stateful } from "./services.js"

type Body = Effect.Effect<unknown, unknown>
type Listener = () => Effect.Effect<unknown, "broken">

interface Stage {
  /** Brings the policy to where the call meets the listener. */
  readonly before?: Body
  /** The call that the listener is told of. */
  readonly own: Body
  /** What else comes, each a little after the one before. */
  readonly others: ReadonlyArray<Body>
  /** What a listener does that uses the policy itself. */
  readonly again: Body
  /** What the policy holds when nobody calls it any more. */
  readonly held: Effect.Effect<unknown>
}

interface Row {
  readonly listener: string
  /** Whether the call gets the typed errors of the listener. */
  readonly of: "a shared policy" | "a call"
  /** What the call does when the listener never ends. */
  readonly hung: "waits" | "goes on" | "is rejected"
  readonly stage: (listener: Listener) => Effect.Effect<Stage, never, unknown>
}

// ---------------------------------------------------------------------------------------------------------- the rows

const up: Body = Effect.succeed("up")
const down: Body = Effect.fail("down")
const late = (delay: Duration.DurationInput): Body => Effect.delay(up, delay)
const nothing = Effect.succeed(0)

const rows = (
  policy: string,
  of: Row["of"],
  stages: {
    readonly [listener: string]: Row["stage"] | readonly [hung: Row["hung"], stage: Row["stage"]]
  }
): ReadonlyArray<Row> =>
  Object.entries(stages).map(([listener, given]) => {
    const [hung, stage] = typeof given === "function" ? (["waits", given] as const) : given
    return { listener: `${policy}.${listener}`, of, hung, stage }
  })

const bulkhead = (
  listeners: Bulkhead.Listeners,
  own: (bulkhead: Bulkhead.Bulkhead) => Body,
  busy: boolean,
  settings: Partial<Bulkhead.Settings> = { maxQueued: 10, maxWait: "10 seconds" }
) =>
  Effect.map(Bulkhead.make({ permits: 1, ...settings, ...listeners }), (places): Stage => ({
    before: busy
      ? Effect.zipRight(Effect.forkDaemon(Effect.exit(places.protect(late("100 millis")))), Effect.yieldNow())
      : Effect.void,
    own: own(places),
    others: ["20 millis", "20 millis", "20 millis"].map((time) => places.protect(late(time as "20 millis"))),
    again: Effect.exit(places.protect(up)),
    held: Effect.map(places.snapshot, ({ inUse, queued, running }) => ({ inUse, queued, running }))
  }))

const limiter = (
  listeners: RateLimiter.Listeners,
  own: (limiter: RateLimiter.RateLimiter) => Body,
  maxWait: Duration.DurationInput = "1 second"
) =>
  Effect.map(
    RateLimiter.make({ rate: RateLimiter.smooth({ limit: 10, per: "1 second" }), maxWait, ...listeners }),
    (limit): Stage => ({
      own: own(limit),
      others: [limit.protect(up), limit.protect(up), Effect.delay(limit.protect(up), "2 seconds")],
      again: Effect.exit(limit.withCost(21)(up)),
      held: Effect.map(limit.snapshot, ({ available, queued }) => ({ available, queued }))
    })
  )

const breaker = (
  listeners: CircuitBreaker.Listeners,
  state: "closed" | "open" | "half-open",
  own: (breaker: CircuitBreaker.CircuitBreaker) => Body
) =>
  Effect.map(
    CircuitBreaker.make({ trip: Trip.consecutive(1), openFor: "100 millis", ...listeners }),
    (circuit): Stage => ({
      before:
        state === "closed"
          ? Effect.void
          : Effect.zipRight(circuit.open, state === "open" ? Effect.void : Effect.sleep("100 millis")),
      own: own(circuit),
      others: [
        Effect.delay(circuit.protect(up), "120 millis"),
        Effect.delay(circuit.protect(up), "140 millis"),
        Effect.delay(circuit.protect(up), "160 millis")
      ],
      again: Effect.exit(circuit.protect(up)),
      held: circuit.state
    })
  )

const cache = (
  listeners: Cache.Listeners<string, unknown, unknown>,
  before: (cache: Cache.Cache<string, unknown, unknown>) => Body,
  own: string
) =>
  Effect.map(
    Cache.make({
      lookup: (_: string) => late("10 millis"),
      timeToLive: "100 millis",
      staleWhileRevalidate: "1 second",
      capacity: 2,
      ...listeners
    }),
    (store): Stage => ({
      before: before(store),
      own: store.get(own),
      others: [store.get(own), store.get("a"), store.get("other")],
      again: Effect.exit(store.get("again")),
      held: Effect.map(store.snapshot, ({ inFlight, waiting }) => ({ inFlight, waiting }))
    })
  )

const budget = (listeners: RetryBudget.Listeners, successes: number) =>
  Effect.map(
    RetryBudget.make({ rule: RetryBudget.successes({ capacity: 1 }), ...listeners }),
    (tokens): Stage => {
      const spent = Effect.zipRight(
        tokens.tryWithdraw(),
        Effect.replicateEffect(tokens.recordSuccess, successes)
      )
      return {
        before:
          successes === 0
            ? tokens.tryWithdraw()
            : Effect.zipRight(tokens.tryWithdraw(), Effect.zipRight(tokens.tryWithdraw(), spent)),
        own: tokens.tryWithdraw(),
        others: [tokens.tryWithdraw(), tokens.tryWithdraw()],
        again: tokens.balance,
        held: tokens.balance
      }
    }
  )

/** A policy without state: all calls use the same one. */
const stateless = (policy: (self: Body) => Body, self: Body) =>
  Effect.succeed<Stage>({
    own: policy(self),
    others: [policy(self), policy(up)],
    again: Effect.exit(policy(up)),
    held: nothing
  })

const retry = (options: Retry.Options<unknown, unknown>) =>
  Retry.retry({ times: 1, schedule: Schedule.spaced("10 millis"), ...options }) as unknown as (
    self: Body
  ) => Body

const table: ReadonlyArray<Row> = [
  ...rows("Bulkhead", "a shared policy", {
    onQueued: ["is rejected", (onQueued) => bulkhead({ onQueued }, (it) => it.protect(up), true)],
    onAdmitted: (onAdmitted) => bulkhead({ onAdmitted }, (it) => it.protect(late("20 millis")), false),
    onRejected: (onRejected) => bulkhead({ onRejected }, (it) => it.withPermits(2)(up), true),
    onSuccess: (onSuccess) => bulkhead({ onSuccess }, (it) => it.protect(up), false),
    onFailure: (onFailure) => bulkhead({ onFailure }, (it) => it.protect(down), false),
    onResized: (onResized) => bulkhead({ onResized }, (it) => it.resize(2), true)
  }),
  ...rows("RateLimiter", "a shared policy", {
    onQueued: [
      "goes on",
      (onQueued) => limiter({ onQueued }, (it) => Effect.zipRight(it.tryAcquire(), it.protect(up)))
    ],
    onAdmitted: (onAdmitted) => limiter({ onAdmitted }, (it) => it.protect(up)),
    onRejected: (onRejected) => limiter({ onRejected }, (it) => it.withCost(11)(up)),
    onRateChanged: (onRateChanged) =>
      limiter({ onRateChanged }, (it) => it.setRate(RateLimiter.smooth({ limit: 20, per: "1 second" })))
  }),
  ...rows("CircuitBreaker", "a shared policy", {
    onSuccess: (onSuccess) => breaker({ onSuccess }, "closed", (it) => it.protect(up)),
    onFailure: (onFailure) => breaker({ onFailure }, "closed", (it) => it.protect(down)),
    onOpen: (onOpen) => breaker({ onOpen }, "closed", (it) => it.protect(down)),
    onStateChange: (onStateChange) => breaker({ onStateChange }, "closed", (it) => it.protect(down)),
    onHalfOpen: (onHalfOpen) => breaker({ onHalfOpen }, "half-open", (it) => it.protect(up)),
    onClose: (onClose) => breaker({ onClose }, "half-open", (it) => it.protect(up)),
    onRejected: (onRejected) => breaker({ onRejected }, "open", (it) => it.protect(up)),
    onConfigured: (onConfigured) => breaker({ onConfigured }, "closed", (it) => it.configure({ openFor: 50 }))
  }),
  ...rows("Cache", "a shared policy", {
    onMiss: (onMiss) => cache({ onMiss }, () => Effect.void, "a"),
    onHit: (onHit) => cache({ onHit }, (it) => it.get("a"), "a"),
    onStale: (onStale) => cache({ onStale }, (it) => Effect.zipRight(it.get("a"), Effect.sleep(150)), "a"),
    onRefresh: [
      "goes on",
      (onRefresh) => cache({ onRefresh }, (it) => Effect.zipRight(it.get("a"), Effect.sleep(150)), "a")
    ],
    onEvict: [
      "goes on",
      (onEvict) => cache({ onEvict }, (it) => Effect.zipRight(it.get("a"), it.get("b")), "c")
    ]
  }),
  ...rows("RetryBudget", "a shared policy", {
    onExhausted: (onExhausted) => budget({ onExhausted }, 0),
    onRefused: (onRefused) => budget({ onRefused }, 0),
    onRecovered: (onRecovered) => budget({ onRecovered }, 20)
  }),
  ...rows("Retry", "a call", {
    onRetryScheduled: (onRetryScheduled) => stateless(retry({ onRetryScheduled }), down),
    onRetry: (onRetry) => stateless(retry({ onRetry }), down),
    onExceeded: (onExceeded) => stateless(retry({ onExceeded }), down),
    onAbort: (onAbort) => stateless(retry({ abortWhen: () => true, onAbort }), down)
  }),
  ...rows("Timeout", "a call", {
    onTimeout: (onTimeout) => stateless(Timeout.timeout({ limit: "10 millis", onTimeout }), late("1 second"))
  }),
  ...rows("Fallback", "a call", {
    onFallback: (onFallback) => stateless(Fallback.succeed("instead", { onFallback }), down)
  }),
  ...rows("Hedge", "a call", {
    onHedge: [
      "goes on",
      (onHedge) => stateless(Hedge.hedge({ delay: "10 millis", onHedge }), late("30 millis"))
    ]
  })
]

it.each(stateful.filter(({ kind, module }) => kind !== "cache" || module === "Cache"))(
  "every listener of $module has a row",
  ({ kinds, module }) => {
    const named = Object.keys(kinds).filter((option) => /^on[A-Z]/.test(option))
    assert.includeMembers(
      table.map(({ listener }) => listener),
      named.map((listener) => `${module}.${listener}`)
    )
  }
)

// ----------------------------------------------------------------------------------------------------------- the kinds

/** What a listener does, given what uses the policy again and the call that it is told of. */
type Behaviour = (again: Body, own: () => Fiber.RuntimeFiber<unknown>) => Effect.Effect<unknown, "broken">

const quiet: Behaviour = () => Effect.void

const kinds = {
  slow: () => Effect.sleep("150 millis"),
  hung: () => Effect.never,
  failing: () => Effect.fail("broken"),
  dying: () => {
    throw new Error("a bug")
  },
  interrupted: (_again, own) =>
    Effect.zipRight(
      Effect.forkDaemon(
        Effect.delay(
          Effect.suspend(() => Fiber.interruptFork(own())),
          "5 millis"
        )
      ),
      Effect.never
    ),
  "interrupting itself": () => Effect.interrupt,
  "re-entrant": (again) => Effect.exit(again)
} satisfies Record<string, Behaviour>

interface Ended {
  readonly at: number
  readonly how: string
}

interface Played {
  readonly told: number
  readonly own: Ended | "waits"
  readonly others: ReadonlyArray<Ended | "waits">
  readonly held: unknown
}

const how = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.match(exit, {
    onSuccess: (value) => `gets ${JSON.stringify(value)}`,
    onFailure: (cause) =>
      Cause.isInterruptedOnly(cause) ? "is interrupted" : `fails with ${JSON.stringify(Cause.squash(cause))}`
  })

const play = ({ stage: stageOf }: Row, behaviour: Behaviour): Played => {
  const program = Effect.gen(function* () {
    let told = 0
    let own: Fiber.RuntimeFiber<unknown> | undefined
    const again = Effect.suspend((): Body => stage.again)
    const ended: Array<Ended | "waits"> = []
    // The listener acts for the first call only.
    const listener: Listener = () => (told++ === 0 ? behaviour(again, () => own!) : Effect.void)
    const noted = (call: Body, index: number) =>
      Effect.flatMap(Effect.exit(call), (exit) =>
        Effect.map(Clock.currentTimeMillis, (at) => void (ended[index] = { at, how: how(exit) }))
      )
    const stage: Stage = yield* stageOf(listener) as Effect.Effect<Stage, never, Scope.Scope>
    yield* Effect.exit(stage.before ?? Effect.void)
    told = 0
    const calls = [stage.own, ...stage.others]
    const fibers: Array<Fiber.RuntimeFiber<unknown>> = []
    for (const [index, call] of calls.entries()) {
      ended[index] = "waits"
      fibers.push(yield* Effect.forkDaemon(Effect.interruptible(noted(call, index))))
      own = fibers[0]
      yield* Effect.repeatN(Effect.yieldNow(), 3)
    }
    yield* Effect.sleep("1 minute")
    yield* Fiber.interruptAll(fibers)
    yield* Effect.sleep("1 minute")
    return { told, own: ended[0], others: ended.slice(1), held: yield* stage.held }
  })
  const { exit } = runToEnd(Effect.scoped(program).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))
  if (exit === undefined || Exit.isFailure(exit)) throw new Error(`the story did not end: ${String(exit)}`)
  return exit.value
}

/** What is wrong with how another call fared, compared with how it fares beside a listener that does nothing. */
const worse = (now: Ended | "waits", before: Ended | "waits"): string | undefined => {
  if (before === "waits" || now === "waits") return now === before ? undefined : "is held up"
  if (now.at > before.at) return `ends at ${now.at} and not at ${before.at}`
  return before.how.startsWith("gets") && now.how !== before.how
    ? `${now.how}, and not: ${before.how}`
    : undefined
}

for (const row of table) {
  describe(`${row.listener}, when it is`, () => {
    const before = play(row, quiet)

    it("quiet, is told of the call", () => {
      assert.isAtLeast(before.told, 1)
      assert.notInclude(before.others, "waits")
      assert.notStrictEqual(before.own, "waits")
    })

    for (const [kind, behaviour] of Object.entries<Behaviour>(kinds)) {
      it(`${kind}, is the business of its own call alone`, () => {
        const now = play(row, behaviour)
        assert.deepStrictEqual(
          now.others.map((other, index) => worse(other, before.others[index])),
          now.others.map(() => undefined),
          "the other calls"
        )
        assert.deepStrictEqual(now.held, before.held, "what is held in the end")

        const { own } = now
        const same = before.own === "waits" ? "waits" : before.own.how
        const outcome = own === "waits" ? "waits" : own.how
        if (kind === "hung") {
          if (row.hung === "waits") assert.strictEqual(outcome, "waits")
          else if (row.hung === "goes on") assert.strictEqual(outcome, same)
          else assert.include(outcome, "expired")
        } else if (kind === "interrupted") {
          assert.include(row.hung === "goes on" ? [same, "waits"] : ["waits"], outcome)
        } else if (kind === "failing" && row.of === "a call") {
          assert.include(outcome, "broken")
        } else if (kind === "interrupting itself" && row.of === "a call") {
          assert.include([same, "is interrupted"], outcome)
        } else assert.strictEqual(outcome, same)
      })
    }
  })
}
