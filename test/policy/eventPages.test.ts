// The table of events on the page of a policy has every event with all of its fields.
import * as fs from "node:fs"
import * as path from "node:path"
import type {
  Bulkhead,
  Cache,
  CircuitBreaker,
  Fallback,
  Hedge,
  Policy,
  RateLimiter,
  Retry,
  RetryBudget,
  Timeout
} from "effect-resilience"
import { Observability } from "effect-resilience/observability"
import { expect, it } from "vitest"
import { codes, docs, rowsOf } from "../observability/page.js"

/** Every event of a type, with each field that is its own. One that is missing here does not compile. */
type Fields<E extends Policy.Event> = {
  readonly [Tag in E["_tag"]]: {
    readonly [Field in Exclude<keyof Extract<E, { readonly _tag: Tag }>, keyof Policy.Event>]-?: 0
  }
}

const bulkhead: Fields<Bulkhead.Event> = {
  Queued: { permits: 0, queued: 0 },
  Admitted: { permits: 0, waited: 0 },
  Rejected: { reason: 0, permits: 0, requested: 0, queued: 0, retryAfter: 0, error: 0 },
  Success: { duration: 0 },
  Failure: { duration: 0, failure: 0 },
  Ignored: { duration: 0 },
  Interrupted: { duration: 0 },
  Acquired: { permits: 0 },
  Released: { permits: 0 },
  Dequeued: { permits: 0, reason: 0 },
  Resized: { from: 0, to: 0 }
}

const breaker: Fields<CircuitBreaker.Event> = {
  StateChange: { from: 0, to: 0, reason: 0, rule: 0, operation: 0, metrics: 0, openFor: 0 },
  Admitted: { probe: 0 },
  Success: { duration: 0 },
  Failure: { duration: 0, failure: 0 },
  Ignored: { duration: 0 },
  Interrupted: { duration: 0 },
  Rejected: { state: 0, retryAfter: 0, error: 0 },
  Configured: { from: 0, to: 0 }
}

const limiter: Fields<RateLimiter.Event> = {
  Queued: { cost: 0, wait: 0, queued: 0 },
  Dequeued: { cost: 0, reason: 0 },
  Admitted: { cost: 0, waited: 0 },
  Rejected: { limit: 0, cost: 0, reason: 0, retryAfter: 0, error: 0 },
  GivenBack: { cost: 0 },
  RateChanged: { from: 0, to: 0 }
}

const budget: Fields<RetryBudget.Event> = {
  Withdrawn: { activity: 0, cost: 0, balance: 0 },
  GivenBack: { activity: 0, cost: 0 },
  Refused: { activity: 0, cost: 0, balance: 0 },
  Exhausted: { exhausted: 0, balance: 0 },
  Recovered: { exhausted: 0, balance: 0 }
}

const cache: Fields<Cache.Event<unknown, unknown, unknown>> = {
  Hit: { key: 0, age: 0 },
  Miss: { key: 0 },
  Stale: { key: 0, state: 0, age: 0 },
  Stored: { key: 0, timeToLive: 0 },
  Refresh: { key: 0, exit: 0, duration: 0 },
  Evict: { key: 0 }
}

const retry: Fields<Retry.Event<unknown, unknown>> = {
  RetryScheduled: { attempt: 0, elapsed: 0, failure: 0, delay: 0 },
  Retry: { attempt: 0, elapsed: 0, failure: 0, delay: 0 },
  Exceeded: { attempt: 0, elapsed: 0, failure: 0, reason: 0 },
  Abort: { attempt: 0, elapsed: 0, failure: 0 },
  Attempt: { attempt: 0, duration: 0, outcome: 0 },
  Call: { attempts: 0, duration: 0, outcome: 0 }
}

const hedge: Fields<Hedge.Event<unknown, unknown>> = {
  Hedge: { attempt: 0, elapsed: 0, failure: 0 },
  Attempt: { attempt: 0, duration: 0, outcome: 0 },
  Call: { attempts: 0, duration: 0, outcome: 0 }
}

const timeout: Fields<Timeout.Event> = { Timeout: { limit: 0, elapsed: 0, stalled: 0, error: 0 } }

const fallback: Fields<Fallback.Event<unknown, unknown>> = {
  Fallback: { failure: 0 },
  FallbackEnded: { outcome: 0, duration: 0 }
}

const kinds: Readonly<Record<string, Readonly<Record<string, object>>>> = {
  "circuit-breaker": breaker,
  bulkhead,
  "rate-limiter": limiter,
  "retry-budget": budget,
  cache,
  retry,
  hedge,
  timeout,
  fallback
}

/** A circuit breaker has listeners of single states besides. */
const ofStates: Readonly<Record<string, string>> = {
  onOpen: "StateChange",
  onHalfOpen: "StateChange",
  onClose: "StateChange"
}

/** The events of a page with the fields that it names. "The same" are those of the row before. */
const onPage = (kind: string): Readonly<Record<string, ReadonlyArray<string>>> => {
  const [, section = ""] = fs.readFileSync(path.join(docs, `${kind}.md`), "utf8").split("\n## Events\n")
  const [table = ""] = section.trim().split("\n\n")
  const found: Record<string, ReadonlyArray<string>> = {}
  let before: ReadonlyArray<string> = []
  for (const row of rowsOf(table)) {
    const [event = ""] = codes(row["Event"])
    const [listener] = codes(row["Listener"])
    // An event without a listener is for the observer alone.
    expect(listener === undefined ? row["Listener"] : (ofStates[listener] ?? listener)).toBe(
      listener === undefined ? "none" : listener in ofStates ? event : `on${event}`
    )
    expect(row["When"]).not.toBe("")
    const named = codes(row["Fields"])
      .map((code) => code.split(":")[0] ?? "")
      .filter((code) => /^[a-z]\w*$/.test(code) && code !== "undefined")
    const fields = row["Fields"]?.startsWith("the same") === true ? before : [...named].sort()
    expect(found[event] ?? fields, event).toEqual(fields)
    found[event] = before = fields
  }
  return found
}

it.each(Object.entries(kinds))("the page of a %s has every event with its fields", (kind, events) => {
  const expected = Object.entries(events).map(([tag, fields]) => [tag, Object.keys(fields).sort()])
  expect(onPage(kind)).toEqual(Object.fromEntries(expected))
})

it("every kind of policy has its events on a page", () => {
  const observed = new Set(Observability.metrics.resilience.flatMap((metric) => metric.kinds))
  expect(Object.keys(kinds).sort()).toEqual([...observed].sort())
})
