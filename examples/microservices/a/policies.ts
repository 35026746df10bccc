// The policies between service A and service B: none, each one alone, and all of them together. They are made once, here,
// and not for each request: that is how the circuit breaker can remember how the calls before this one went.
import type { HttpClient } from "@effect/platform"
import { Duration, Effect, Layer } from "effect"
import {
  Backoff,
  CircuitBreaker,
  type FailureCondition,
  Fallback,
  RateLimiter,
  Retry,
  Timeout,
  Trip
} from "effect-resilience"
import { callB, hello, type Reply } from "./callB.js"

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
      `too many calls to service B at once${retryAfter === undefined ? "" : `, again in ${Duration.format(retryAfter)}`}`
    )
})

/** What the policies share between all requests. */
export const shared = (failuresInARow: number) => Layer.merge(circuit(failuresInARow), pace)

// A 503 is a reply and no error, so the policies are told that it is a failure, and when service B wants to be called
// again. Everything in the error channel (no connection, no sense in the body, a timeout) is a failure anyway.
const isOverloaded = (reply: Reply) => reply._tag === "Refused" && reply.status === 503
const askedToWait = <E>(failed: FailureCondition.Failed<Reply, E>) =>
  failed._tag === "Result" && failed.result._tag === "Refused" ? failed.result.retryAfter : undefined

type Call<E, R> = Effect.Effect<Reply, E, R>

const timeout = <E, R>(call: Call<E, R>) =>
  call.pipe(
    Timeout.timeout({
      limit: "1 second",
      onTimeout: ({ limit }) => Effect.logWarning(`service B did not answer within ${Duration.format(limit)}`)
    })
  )

const circuitBreaker = <E, R>(call: Call<E, R>) =>
  call.pipe(ServiceBCircuit.protectWhen({ result: isOverloaded, retryAfter: askedToWait }))

/**
 * Only a 503 is worth another try: service B itself says that it expects to recover. After a timeout the caller has waited
 * long enough, and an open circuit is not to be knocked at.
 */
const retry = <E, R>(call: Call<E, R>) =>
  call.pipe(
    Retry.retry({
      condition: { result: isOverloaded, error: () => false, retryAfter: askedToWait },
      schedule: Backoff.exponential({ base: "1 second", max: "10 seconds" }),
      times: 2,
      onRetryScheduled: ({ attempt, delay }) =>
        Effect.logInfo(`service B answered 503, retry ${attempt} after ${Duration.format(delay)}`)
    })
  )

const rateLimit = <E, R>(call: Call<E, R>) => call.pipe(ServiceBPace.protect)

/** What service A says in the place of service B. */
export const fallbackMessage = "error accessing service B"

const fallback = <E extends Failure, R>(call: Call<E, R>) =>
  call.pipe(
    Fallback.succeed(hello(fallbackMessage), {
      condition: { result: (reply) => reply._tag === "Refused" },
      onFallback: ({ failure }) =>
        Effect.annotateLogs(Effect.logWarning("the fallback answers for service B"), {
          reason: failure._tag === "Error" ? failure.error._tag : "Refused"
        })
    })
  )

/** The names of the policies that service A can be started with. */
export const names = [
  "none",
  "timeout",
  "retry",
  "circuit-breaker",
  "fallback",
  "rate-limit",
  "composition"
] as const

export type Name = (typeof names)[number]

/** A call to service B, protected or not: what it needs and what can still go wrong with it. */
type Protected = Effect.Effect<Reply, Failure, HttpClient.HttpClient | ServiceBCircuit | ServiceBPace>

export type Failure =
  | Effect.Effect.Error<typeof callB>
  | Timeout.TimeoutExceeded
  | CircuitBreaker.CircuitOpen
  | RateLimiter.RateLimitExceeded

/** `pipe` reads from the inside out: the timeout is the closest to the call, the fallback has the last word. */
export const policies: Record<Name, Protected> = {
  none: callB,
  timeout: callB.pipe(timeout),
  retry: callB.pipe(retry),
  "circuit-breaker": callB.pipe(circuitBreaker),
  fallback: callB.pipe(fallback),
  "rate-limit": callB.pipe(rateLimit),
  composition: callB.pipe(timeout, circuitBreaker, retry, fallback)
}
