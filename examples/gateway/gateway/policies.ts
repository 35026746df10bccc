// The policies of the gateway: `outward` protects it from its upstreams, `inward` from its clients. All are made once, when the
// gateway starts.
import { Duration, Effect } from "effect"
import { Backoff, Bulkhead, CircuitBreaker, Hedge, RateLimiter, RetryBudget, Trip } from "effect-resilience"
import { HttpProtection, HttpResilience } from "effect-resilience/http"
import { createHash } from "node:crypto"

/** Time limits, from the inside out. */
export interface Limits {
  /** One attempt, up to the headers of its response. */
  readonly attempt: Duration.DurationInput
  /** A request to an upstream: all attempts, and the body of the response. */
  readonly upstream: Duration.DurationInput
  /** A request in the gateway, including all waits. */
  readonly request: Duration.DurationInput
  /** The wait for a permit. */
  readonly queue: Duration.DurationInput
}

/** Two attempts with a hedge each and a delay between them take at most 2 * (500 + 200) + 100 ms, less than 2 seconds. */
export const defaultLimits = {
  attempt: "500 millis",
  upstream: "2 seconds",
  request: "3 seconds",
  queue: "500 millis"
} satisfies Limits

export interface Options {
  /** How many requests a second each API key may make. */
  readonly rate: number
  /** How long the circuit of an upstream stays open, unless the upstream says so itself. */
  readonly openFor: Duration.DurationInput
  /** Default: {@link defaultLimits}. */
  readonly limits?: Limits
}

export const make = ({ limits = defaultLimits, openFor, rate }: Options) =>
  Effect.gen(function* () {
    const breakers = yield* CircuitBreaker.keyed({
      options: {
        name: "upstream",
        trip: Trip.any(
          Trip.consecutive(5),
          Trip.failureRate({ threshold: 0.5, within: "10 seconds", minimumCalls: 20 })
        ),
        openFor: ({ retryAfter }) => retryAfter ?? openFor
      }
    })
    const budget = yield* RetryBudget.make({ name: "retries" })
    const places = yield* Bulkhead.make({
      name: "places",
      permits: 100,
      maxQueued: 100,
      maxWait: limits.queue
    })

    const perOrigin = HttpResilience.circuitBreaker(breakers)

    /** Wraps the client: from the gateway to the upstreams. */
    const outward = HttpResilience.standard({
      // Covers the body too: otherwise an upstream that stops in the middle of one would leave the client hanging.
      totalTimeout: { name: "upstream", limit: limits.upstream, body: true },
      retry: {
        name: "upstream",
        times: 1,
        schedule: Backoff.exponential({ base: "50 millis", max: "100 millis", jitter: "full" }),
        maxHint: "500 millis",
        onRetryScheduled: ({ delay }) => Effect.log(`retry in ${millis(delay)} ms`)
      },
      hedge: {
        name: "upstream",
        delay: Hedge.percentile(0.95, { min: "20 millis", max: "200 millis", minimumSamples: 20 }),
        onHedge: ({ elapsed, failure }) =>
          Effect.log(`hedge after ${millis(elapsed)} ms, ${failure ? "it failed" : "no answer yet"}`)
      },
      budget,
      circuitBreaker: perOrigin,
      attemptTimeout: { name: "attempt", limit: limits.attempt }
    })

    /** Wraps the routes: from the clients to the gateway. */
    const inward = HttpProtection.standard({
      rateLimiter: {
        name: "requests",
        rate: RateLimiter.tokenBucket({ limit: rate, per: "1 second" }),
        // All clients without a key share one limit.
        key: ({ headers }) =>
          headers["x-api-key"] === undefined ? "anonymous" : shortHash(headers["x-api-key"])
      },
      bulkhead: places,
      timeout: { name: "request", limit: limits.request, status: 504 }
    })

    return { outward, inward }
  })

/** Names of policies are shown to operators, who need not know a secret of a client. */
const shortHash = (secret: string): string => createHash("sha256").update(secret).digest("hex").slice(0, 12)

const millis = (duration: Duration.Duration): number => Math.round(Duration.toMillis(duration))
