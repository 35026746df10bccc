// The policies between service A and service B: none, each one alone, and all of them together. They are made once, here,
// and not for each request: that is how the circuit breaker can remember how the calls before this one went.
import type { HttpClient, HttpClientError } from "@effect/platform"
import { Duration, Effect, flow, Layer, type ParseResult, Schedule } from "effect"
import {
  Backoff,
  CircuitBreaker,
  Fallback,
  RateLimiter,
  RetryBudget,
  type Timeout,
  Trip
} from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { callB, type Refused } from "./callB.js"

/** The circuit breaker of service B. There is one, however many requests and policies use it. */
export class ServiceBCircuit extends CircuitBreaker.Tag("service-b")<ServiceBCircuit>() {}

/**
 * It opens after some failures in a row, for as long as service B asks for, or for 3 seconds when it asks for nothing.
 *
 * How many is a matter of the load: when half of the calls fail, three in a row are a coincidence that a busy service sees
 * every second, and a quiet one has to wait for.
 */
export const circuit = (failuresInARow: number) =>
  ServiceBCircuit.layer({
    trip: Trip.consecutive(failuresInARow),
    openFor: ({ retryAfter }) => retryAfter ?? "3 seconds",
    onStateChange: ({ from, name, openFor, to }) =>
      Effect.logWarning(`circuit breaker state changed from ${from} to ${to}`).pipe(
        Effect.annotateLogs(
          openFor ? { circuit: name, openFor: Duration.format(openFor) } : { circuit: name }
        )
      )
  })

/** How fast service B may be called: five times a second, evenly. A call waits for its turn for a second at the most. */
export class ServiceBPace extends RateLimiter.Tag("service-b")<ServiceBPace>() {}

const pace = ServiceBPace.layer({
  rate: RateLimiter.smooth({ limit: 5, per: "1 second" }),
  maxWait: "1 second",
  onRejected: ({ retryAfter }) =>
    Effect.logWarning(
      `too many calls to service B at once${retryAfter === undefined ? "" : `, again in ${inWords(retryAfter)}`}`
    )
})

/**
 * What retries may cost: one for every five calls of the last ten seconds, and one a second in any case. Without it, retries
 * multiply the load of a service B that fails because of its load.
 */
export class ServiceBRetries extends RetryBudget.Tag("service-b")<ServiceBRetries>() {}

const retries = ServiceBRetries.layer({
  rule: RetryBudget.requests({ ratio: 0.2, window: "10 seconds", minPerSecond: 1 })
})

/** What the policies share between all requests. */
export const shared = (failuresInARow: number) => Layer.mergeAll(circuit(failuresInARow), pace, retries)

/** A duration for a person, who has no use for nanoseconds. */
const inWords = (duration: Duration.Duration): string =>
  Duration.format(Duration.millis(Math.ceil(Duration.toMillis(duration))))

// All but the fallback are parts of an HTTP client: they know which status is a failure of service B, read in `Retry-After`
// when it wants to be called again, and leave no response behind.

const timeout = HttpResilience.timeout({
  limit: "1 second",
  onTimeout: ({ limit }) => Effect.logWarning(`service B did not answer within ${Duration.format(limit)}`)
})

const circuitBreaker = HttpResilience.circuitBreaker(ServiceBCircuit)

/**
 * Only a 503 is worth another try: service B itself says that it expects to recover. After a timeout the caller has waited
 * long enough, and an open circuit is not to be knocked at. Nor is a retry of any use that ends when the caller has gone.
 */
const retry = (retryFor: Duration.DurationInput) =>
  HttpResilience.retry({
    condition: { result: ({ status }) => status === 503, error: () => false },
    schedule: Backoff.exponential({ base: "1 second", max: "10 seconds" }),
    times: 2,
    maxDuration: retryFor,
    budget: ServiceBRetries,
    onRetryScheduled: ({ attempt, delay }) =>
      Effect.logInfo(`service B answered 503, retry ${attempt} after ${inWords(delay)}`)
  })

/**
 * Up to three more calls, each as soon as the circuit lets one through: one request sees the circuit open, half-open and
 * closed, and ends with what service B says. For a caller with time to wait, and not for a busy service.
 */
const waitForCircuit = <E, R>(call: Effect.Effect<string, E, R>) =>
  Effect.retry(call, Schedule.recurs(3).pipe(Schedule.addDelayEffect(() => ServiceBCircuit.remainingDelay)))

const rateLimit = HttpResilience.rateLimiter(ServiceBPace)

/** What service A says in the place of service B. */
export const fallbackMessage = "error accessing service B"

/** It stands around the whole call, so that it has a message to give and no response, also for one that makes no sense. */
const fallback = <E extends Failure, R>(call: Effect.Effect<string, E, R>) =>
  Fallback.succeed(call, fallbackMessage, {
    onFallback: ({ failure }) =>
      Effect.annotateLogs(Effect.logWarning("the fallback answers for service B"), {
        reason: failure._tag === "Error" ? failure.error._tag : failure._tag
      })
  })

/** The names of the policies that service A can be started with. */
export const names = [
  "none",
  "timeout",
  "retry",
  "circuit-breaker",
  "circuit-breaker-wait",
  "fallback",
  "rate-limit",
  "composition"
] as const

export type Name = (typeof names)[number]

/** What can still go wrong with a call. */
export type Failure =
  | Refused
  | ParseResult.ParseError
  | HttpClientError.HttpClientError
  | Timeout.TimeoutExceeded
  | CircuitBreaker.CircuitOpen
  | RateLimiter.RateLimitExceeded

type Call = (
  client: HttpClient.HttpClient
) => Effect.Effect<string, Failure, ServiceBCircuit | ServiceBPace | ServiceBRetries>

/** `flow` reads from the inside out: the timeout is the closest to service B, the fallback has the last word. */
export const policies = (retryFor: Duration.DurationInput): Record<Name, Call> => ({
  none: callB,
  timeout: flow(timeout, callB),
  retry: flow(retry(retryFor), callB),
  "circuit-breaker": flow(circuitBreaker, callB),
  "circuit-breaker-wait": flow(circuitBreaker, callB, waitForCircuit),
  fallback: flow(callB, fallback),
  "rate-limit": flow(rateLimit, callB),
  composition: flow(timeout, circuitBreaker, retry(retryFor), callB, fallback)
})
