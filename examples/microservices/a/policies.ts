// The policies between service A and service B: none, each one alone, and all together. They are made once and not for each
// request, so that the circuit breaker remembers earlier calls.
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

/** The circuit breaker of service B, shared by all requests and policies. */
export class ServiceBCircuit extends CircuitBreaker.Tag("service-b")<ServiceBCircuit>() {}

/**
 * Opens after some failures in a row, for as long as service B asks for, or else for 3 seconds.
 *
 * A good number depends on the load: when half of the calls fail, a busy service sees three failures in a row every second, by
 * chance, and a quiet one rarely.
 */
export const circuit = (failuresInARow: number) =>
  ServiceBCircuit.layer({
    trip: Trip.consecutive(failuresInARow),
    openFor: ({ retryAfter }) => retryAfter ?? "3 seconds"
  })

/** Limits calls to service B to five a second, evenly paced. A call waits at most a second for its turn. */
export class ServiceBPace extends RateLimiter.Tag("service-b")<ServiceBPace>() {}

const pace = ServiceBPace.layer({
  rate: RateLimiter.smooth({ limit: 5, per: "1 second" }),
  maxWait: "1 second",
  onRejected: ({ retryAfter }) =>
    Effect.logWarning(
      `too many calls to service B at once${retryAfter === undefined ? "" : `, try again in ${inWords(retryAfter)}`}`
    )
})

/**
 * Limits retries to one for every five calls of the last ten seconds, and always allows one a second. Without it, retries multiply
 * the load of a service B that fails from overload.
 */
export class ServiceBRetries extends RetryBudget.Tag("service-b")<ServiceBRetries>() {}

const retries = ServiceBRetries.layer({
  rule: RetryBudget.requests({ ratio: 0.2, window: "10 seconds", minPerSecond: 1 })
})

/** The instances that all requests share. */
export const shared = (failuresInARow: number) => Layer.mergeAll(circuit(failuresInARow), pace, retries)

/** A duration for people, without nanoseconds. */
const inWords = (duration: Duration.Duration): string =>
  Duration.format(Duration.millis(Math.ceil(Duration.toMillis(duration))))

// All except the fallback are parts of an HTTP client: they know which statuses are failures of service B, respect `Retry-After`, and
// release every response.

const timeout = HttpResilience.timeout({
  name: "service-b",
  limit: "1 second",
  onTimeout: ({ limit }) => Effect.logWarning(`service B did not answer within ${Duration.format(limit)}`)
})

const circuitBreaker = HttpResilience.circuitBreaker(ServiceBCircuit)

/**
 * Retries only a 503, with which service B says that it expects to recover. After a timeout the caller has waited long enough, an
 * open circuit rejects the retry, and a retry that outlasts its caller is useless.
 */
const retry = (retryFor: Duration.DurationInput) =>
  HttpResilience.retry({
    name: "service-b",
    condition: { result: ({ status }) => status === 503, error: () => false },
    schedule: Backoff.exponential({ base: "1 second", max: "10 seconds" }),
    times: 2,
    maxDuration: retryFor,
    budget: ServiceBRetries,
    onRetryScheduled: ({ attempt, delay }) =>
      Effect.logInfo(`service B answered 503, retry ${attempt} after ${inWords(delay)}`)
  })

/**
 * Makes up to three more calls, each as soon as the circuit admits one: one request sees the circuit open, half-open and closed, and
 * ends with the message of service B. For callers with time to wait, not for a busy service.
 */
const waitForCircuit = <E, R>(call: Effect.Effect<string, E, R>) =>
  Effect.retry(call, Schedule.recurs(3).pipe(Schedule.addDelayEffect(() => ServiceBCircuit.remainingDelay)))

const rateLimit = HttpResilience.rateLimiter(ServiceBPace)

/** The message of service A when service B has none. */
export const fallbackMessage = "error accessing service B"

/** Wraps the whole call, so it returns a message and not a response, and also replaces an invalid answer. */
const fallback = <E extends Failure, R>(call: Effect.Effect<string, E, R>) =>
  Fallback.succeed(call, fallbackMessage, {
    name: "service-b",
    onFallback: ({ failure }) =>
      Effect.annotateLogs(Effect.logWarning("the fallback answers for service B"), {
        reason: failure._tag === "Error" ? failure.error._tag : failure._tag
      })
  })

/** The policies that service A can be started with. */
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

/** The failures of a call that remain. */
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

/** `flow` reads from the inside out: the timeout is closest to service B, the fallback is outermost. */
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
