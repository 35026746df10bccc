/**
 * An `HttpClient` that survives what it calls: timeouts, retries, circuit breakers, limits, hedges and fallbacks that know
 * HTTP, each alone or all together in one line.
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Types from "effect/Types"
import type * as Bulkhead from "../../bulkhead/Bulkhead.js"
import type * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import { callable } from "../../core/options.js"
import type * as FailureCondition from "../../policy/FailureCondition.js"
import type * as Fallback from "../../fallback/Fallback.js"
import type * as Hedge from "../../hedge/Hedge.js"
import type { Flat, IsAny, NeededByGiven, Checked } from "../../policy/types.js"
import type * as Policy from "../../policy/Policy.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type * as Retry from "../../retry/Retry.js"
import type * as RetryBudget from "../../retryBudget/RetryBudget.js"
import type * as Timeout from "../../timeout/Timeout.js"
import * as internalFallback from "./fallback.js"
import * as internalHedge from "./hedge.js"
import * as internalPart from "./part.js"
import * as internalKey from "./idempotencyKey.js"
import * as Request from "./request.js"
import * as internalRetry from "./retry.js"
import * as internalRpc from "./rpc.js"
import * as internalSealed from "./sealed.js"
import * as Shared from "./shared.js"
import * as internalStandard from "./standard.js"
import * as internalTimeout from "./timeout.js"
import type { DurationInput } from "../../internal/duration.js"

type Response = HttpClientResponse.HttpClientResponse
type ClientRequest = HttpClientRequest.HttpClientRequest

// ------------------------------------------------------------------------------------------------------------- models

/**
 * @since 0.1.0
 * @category symbols
 */
export const PartTypeId: unique symbol = Symbol.for("effect-resilience/http/Part")

/**
 * @since 0.1.0
 * @category symbols
 */
export type PartTypeId = typeof PartTypeId

/**
 * A policy for HTTP clients: it may add the error `Added` and need the service `Needed`, and leaves everything else as it
 * is. Being a plain function, it goes through `pipe` and `flow`; the part that comes first is the innermost.
 *
 * What a part remembers (circuits, budgets, places) belongs to the part, is made with its first request, and is shared by
 * all clients that it is applied to. So a part is made once, and not for each request. The listeners of shared policies find
 * the services of the program that made the first request.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const resilient = HttpResilience.standard()
 *
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(resilient)
 *   return yield* client.get("http://localhost:3000/offer")
 * })
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Part<out Added = never, out Needed = never> extends Policy.Described {
  readonly [PartTypeId]: {
    readonly _Added: Types.Covariant<Added>
    readonly _Needed: Types.Covariant<Needed>
  }
  <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E | Added, R | Needed>
}

/**
 * @since 0.1.0
 * @category symbols
 */
export const FallbackPartTypeId: unique symbol = Symbol.for("effect-resilience/http/FallbackPart")

/**
 * @since 0.1.0
 * @category symbols
 */
export type FallbackPartTypeId = typeof FallbackPartTypeId

/**
 * A part that replaces every error by `E2`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FallbackPart<out E2 = never, out R2 = never> extends Policy.Described {
  readonly [FallbackPartTypeId]: { readonly _E2: Types.Covariant<E2>; readonly _R2: Types.Covariant<R2> }
  <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E2, R | R2>
}

/**
 * What an exit of a request means, where a part lets its user decide. The result is the response, whatever its status; the
 * error is that of the client and of the parts further inside.
 *
 * @since 0.1.0
 * @category models
 */
export type Condition = FailureCondition.FailureCondition<Response, unknown>

/**
 * What a request is, where a part has to know and cannot see it.
 *
 * @since 0.1.0
 * @category options
 */
export interface RequestOptions {
  /**
   * Which requests may arrive twice, beside those whose method says so (GET, HEAD, OPTIONS, TRACE, PUT, DELETE, QUERY), those
   * with an `Idempotency-Key` and those marked with {@link idempotent}. Default: no others.
   */
  readonly idempotent?: ((request: ClientRequest) => boolean) | undefined
  /**
   * Whose streamed body can be read more than once, beside those marked with {@link replayable}. A body that is empty, text,
   * bytes or a form always can. Default: none.
   */
  readonly replayable?: ((request: ClientRequest) => boolean) | undefined
}

/**
 * A part of one's own: what happens between a request that has been prepared and its response. The effect sends the request
 * and can be run more than once; whoever does so also sees to it that the request may arrive twice.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const logged = HttpResilience.make({ kind: "logged", name: "logged", settings: {} }, (attempt, request) =>
 *   Effect.tap(attempt, ({ status }) => Effect.logDebug(`${request.method} ${request.url}: ${status}`))
 * )
 *
 * const resilient = HttpResilience.standard({ cache: logged })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Added = never, Needed = never>(
  described: Policy.Described,
  exchange: <E, R>(
    attempt: Effect.Effect<Response, E, R>,
    request: ClientRequest
  ) => Effect.Effect<Response, E | Added, R | Needed>
): Part<Added, Needed> => {
  callable("HttpResilience.make", "exchange", exchange)
  return internalPart.make(
    described,
    internalPart.exchanging((request, next, call) =>
      call.concurrently(request, next, (attempt) => exchange(attempt, request))
    )
  )
}

// -------------------------------------------------------------------------------------------------------------- marks

/**
 * Says of the requests of an effect that it makes no difference if they arrive twice, so that they may be retried and hedged
 * whatever their method is.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const search = HttpClient.post("http://localhost:3000/search").pipe(HttpResilience.idempotent)
 * ```
 *
 * @since 0.1.0
 * @category marks
 */
export const idempotent = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  marked(self, { idempotent: true })

/**
 * Says of the requests of an effect that their streamed bodies can be read more than once: each run of the stream begins from
 * the start. A stream that can be read once only would be sent empty or broken by a second attempt.
 *
 * @example
 * ```ts
 * import { HttpBody, HttpClient } from "@effect/platform"
 * import { Stream } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const body = HttpBody.stream(Stream.make("one", "two").pipe(Stream.encodeText))
 * const upload = HttpClient.put("http://localhost:3000/file", { body }).pipe(HttpResilience.replayable)
 * ```
 *
 * @since 0.1.0
 * @category marks
 */
export const replayable = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  marked(self, { replayable: true })

const marked = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  marks: Partial<Request.Marks>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Request.CurrentMarks, (before) =>
    Effect.provideService(self, Request.CurrentMarks, { ...before, ...marks })
  )

// -------------------------------------------------------------------------------------------------------------- retry

/**
 * The options of {@link retry}. Listeners and schedule are those of `Retry`, whose failures are responses and errors.
 *
 * @since 0.1.0
 * @category options
 */
export interface RetryOptions extends RequestOptions {
  /** How many times to retry: one request more than this at the most. Default: 3, and no limit when a `schedule` is given. */
  readonly times?: number | undefined
  /** The delays. Default: full jitter under an exponential from 200 milliseconds, doubling up to 10 seconds. */
  readonly schedule?: Schedule.Schedule<unknown, unknown, unknown> | undefined
  /** The longest that all attempts and delays together may take. Default: no limit. */
  readonly maxDuration?: DurationInput | undefined
  /**
   * The longest `Retry-After` (or quota reset) to wait for. A longer one ends the retry, and its response comes back at once.
   * Default: 10 seconds.
   */
  readonly maxHint?: DurationInput | undefined
  /**
   * Spreads clients that were given the same `Retry-After`: each waits up to this fraction of it longer. From 0 to 1, where
   * `0` waits exactly as long as the server said. Default: `0.5`.
   */
  readonly hintJitter?: number | undefined
  /** Pays for the retries. Default: no limit. */
  readonly budget?: RetryBudget.Source | undefined
  /**
   * Which responses and errors are failures that may pass. Where it is silent on responses or on errors, the standard holds
   * for them. It does not decide which requests may be sent twice. Default: see {@link retry}.
   */
  readonly condition?: Condition | undefined
  /** The name in events. Default: `"retry"`. */
  readonly name?: string | undefined
  /** Called when another attempt is decided on, before the delay. The response that failed can still be read. */
  readonly onRetryScheduled?:
    ((event: Retry.RetryScheduled<Response, unknown>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called after the delay, before the next attempt. */
  readonly onRetry?:
    ((event: Retry.Retried<Response, unknown>) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Called when the retry gives up. */
  readonly onExceeded?:
    ((event: Retry.Exceeded<Response, unknown>) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/**
 * Sends a request again when it failed in a way that may pass, and when that is safe.
 *
 * **What is retried**
 *
 * The statuses 408, 425, 429, 500, 502, 503 and 504, lost connections, and timeouts of policies further inside. Never 501, 505
 * and other statuses, requests that were never valid, bodies whose own source failed, redirect loops, certificates that are not
 * trusted, and responses that cannot be decoded. An open circuit fails fast; the other rejections of policies further inside are
 * waited for.
 *
 * **Which requests**
 *
 * GET, HEAD, OPTIONS, TRACE, PUT, DELETE and QUERY (RFC 9110, section 9.2.2; RFC 10008), and any other that has an
 * `Idempotency-Key` or is marked with {@link idempotent}. What may not arrive twice is sent again only when it certainly was
 * not sent: the connection was refused, the name not resolved, TLS not established. A body that is a stream is sent once,
 * unless it is {@link replayable}.
 *
 * **Time line**
 *
 * `times` retries are at most `times + 1` requests, in any mix of statuses and errors. The delay is that of the schedule, or
 * what the server asked for if that is longer: `Retry-After` in seconds or as a date, else a `RateLimit` without quota left.
 * It is never undercut, and up to half of it is added so that clients do not come back together; beyond `maxHint` the response comes back at once. A response that is replaced is read to its end
 * when that is near (64 KiB, 100 milliseconds), so that its connection can be used again, else its request is aborted. What
 * comes back in the end is the last response or error as it was.
 *
 * Each attempt is a request of its own with a span of its own; further ones carry `http.request.resend_count`.
 *
 * **Adds** no error but those of the listeners, and what budget, schedule and listeners require.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const retry = HttpResilience.retry({
 *   times: 2,
 *   onRetry: ({ attempt, delay }) => Effect.logInfo(`attempt ${attempt} failed, again after ${delay}`)
 * })
 *
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(retry)
 *   return yield* client.get("http://localhost:3000/offer")
 * })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const retry: {
  (): Part
  <O>(options: Checked<O, RetryOptions>): Part<Policy.ErrorOf<O>, Policy.ContextOf<O>>
} = <P extends Part<unknown, unknown>>(options: RetryOptions = {}): P => internalRetry.make(options)

// ---------------------------------------------------------------------------------------------------- circuit breaker

/**
 * Which of several instances a request belongs to.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyOptions {
  /**
   * The key of a request: requests with one key share one instance. A request without a key (`undefined`) goes through
   * unprotected.
   */
  readonly key?: ((request: ClientRequest) => string | undefined) | undefined
}

/**
 * The options of {@link circuitBreaker}: those of each breaker, the bounds of how many there are, and which requests belong
 * to which.
 *
 * @since 0.1.0
 * @category options
 */
export interface CircuitBreakerOptions
  extends Omit<CircuitBreaker.Options, "initial">, Policy.Bounds, KeyOptions {
  /**
   * What responses and errors say about the other side. Default: 408 and 5xx (but 501 and 505), lost connections and timeouts
   * are failures; 429, rejections of policies further inside, undecodable responses, and what the other side is not to blame for
   * (a request that was never valid, a body whose own source failed, a certificate that is not trusted, a stall of this process)
   * count for nothing; every other response is a success.
   */
  readonly condition?: Condition | undefined
}

/**
 * How the requests use breakers that are made elsewhere.
 *
 * @since 0.1.0
 * @category options
 */
export interface CircuitBreakerUse extends KeyOptions {
  /** See {@link CircuitBreakerOptions}. */
  readonly condition?: Condition | undefined
}

/**
 * Stops sending requests to where too many have failed, and finds out with a few probes when that has changed. There is one
 * breaker for each origin (scheme, host and port): when one service is down, the others are still called.
 *
 * The argument is the options of the breakers, or breakers that are made elsewhere and can then be read and steered: a
 * `CircuitBreaker.keyed`, or an instance or the tag of a single one. Those read a `Retry-After` as their own `openFor` says.
 *
 * **Time line**
 *
 * That of `CircuitBreaker`. The `Retry-After` of a 503 that opens the circuit keeps it open for longer than `openFor`, up to
 * `maxOpenFor` (5 minutes), and never for less. A request that is interrupted counts for nothing.
 *
 * **Adds** `CircuitOpen`, and the requirement of a tag and of the listeners.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Trip } from "effect-resilience"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const circuitBreaker = HttpResilience.circuitBreaker({ trip: Trip.consecutive(5), openFor: "5 seconds" })
 *
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(circuitBreaker)
 *   return yield* client.get("http://localhost:3000/offer")
 * })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const circuitBreaker: {
  (): Part<CircuitBreaker.CircuitOpen>
  <O = CircuitBreakerOptions | CircuitBreaker.KeyedOperations<unknown> | CircuitBreaker.Operations<unknown>>(
    options: Checked<
      O,
      CircuitBreakerOptions,
      CircuitBreaker.KeyedOperations<unknown> | CircuitBreaker.Operations<unknown>
    >
  ): Part<CircuitBreaker.CircuitOpen, NeededByGiven<O>>
  <Needed = never>(
    given: CircuitBreaker.KeyedOperations<Needed> | CircuitBreaker.Operations<Needed>,
    use: CircuitBreakerUse | undefined
  ): Part<CircuitBreaker.CircuitOpen, Needed>
} = <P extends Part<unknown, unknown>>(
  first:
    CircuitBreakerOptions | CircuitBreaker.KeyedOperations<unknown> | CircuitBreaker.Operations<unknown> = {},
  use: CircuitBreakerUse = {}
): P => Shared.circuitBreaker(first, use)

// ------------------------------------------------------------------------------------------------------------ timeout

/**
 * @since 0.1.0
 * @category options
 */
export interface TimeoutOptions {
  /** How long a request may take, up to the headers of its response. Greater than zero; an infinite limit is none. */
  readonly limit: DurationInput
  /**
   * Whether the limit holds for reading the body too: `"buffered"` for what reads all of it (`json`, `text`, `arrayBuffer`,
   * `urlParamsBody`, `formData`), `true` also for `stream`. A body that is late fails with a `ResponseError` of reason `Decode`
   * whose cause is the `TimeoutExceeded`, and its request is aborted. Default: `false`.
   */
  readonly body?: boolean | "buffered" | undefined
  /** The name in the error and in events. Default: `"timeout"`. */
  readonly name?: string | undefined
  /** Called when the limit has passed and the request is gone. */
  readonly onTimeout?: ((event: Timeout.TimedOut) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/**
 * A limit on how long a request may take. Inside of a retry it is that of each attempt, outside that of all together.
 *
 * **Time line**
 *
 * At the limit the request is aborted on the wire at once, also under `HttpClient.withScope`. Reading the body has no limit
 * unless `body` says so: then the time runs on, and whatever is read after the limit fails.
 *
 * **Adds** `TimeoutExceeded`, and the errors and requirements of the listener. A listener that fails while a body is read is
 * reported in the log, because reading a body fails with a `ResponseError` alone.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const timeout = HttpResilience.timeout({ limit: "2 seconds", body: true })
 *
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(timeout)
 *   const response = yield* client.get("http://localhost:3000/offer")
 *   return yield* response.json // fails when headers and body together take longer than 2 seconds
 * })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const timeout: {
  <O>(
    options: DurationInput | Checked<O, TimeoutOptions>
  ): Part<Timeout.TimeoutExceeded | Policy.ErrorOf<OptionsIn<O>>, Policy.ContextOf<OptionsIn<O>>>
} = <P extends Part<unknown, unknown>>(options: DurationInput | TimeoutOptions): P =>
  internalTimeout.make(options)

/** The options where a duration may stand too. */
type OptionsIn<O> = Extract<O, { readonly limit: unknown }>

// ------------------------------------------------------------------------------------------------------ load limiting

/**
 * The options of {@link bulkhead}: with a `key`, those of each bulkhead and the bounds of how many there are.
 *
 * @since 0.1.0
 * @category options
 */
export interface BulkheadOptions extends Bulkhead.Options, Policy.Bounds, KeyOptions {}

/**
 * Only so many requests at a time, and only so many more that wait for their turn. A request holds its place until the
 * headers of its response are there, or until it has failed.
 *
 * The argument is the options of a bulkhead, with a `key` those of one for each key; or a bulkhead that is made elsewhere: an
 * instance, a tag, or a `Bulkhead.keyed`, which is used by origin unless there is a `key`.
 *
 * **Adds** `BulkheadFull`, and the requirement of a tag and of the listeners.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const bulkhead = HttpResilience.bulkhead({ permits: 20, maxQueued: 100, maxWait: "1 second" })
 *
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(bulkhead)
 *   return yield* client.get("http://localhost:3000/report")
 * })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const bulkhead: {
  <O = BulkheadOptions | Bulkhead.KeyedOperations<unknown> | Bulkhead.Operations<unknown>>(
    options: Checked<O, BulkheadOptions, Bulkhead.KeyedOperations<unknown> | Bulkhead.Operations<unknown>>
  ): Part<Bulkhead.BulkheadFull, NeededByGiven<O>>
  <Needed = never>(
    given: Bulkhead.KeyedOperations<Needed> | Bulkhead.Operations<Needed>,
    use: KeyOptions | undefined
  ): Part<Bulkhead.BulkheadFull, Needed>
} = <P extends Part<unknown, unknown>>(
  first: BulkheadOptions | Bulkhead.KeyedOperations<unknown> | Bulkhead.Operations<unknown>,
  use: KeyOptions = {}
): P => Shared.bulkhead(first, use)

/**
 * The options of {@link rateLimiter}: with a `key`, those of each limiter and the bounds of how many there are.
 *
 * @since 0.1.0
 * @category options
 */
export interface RateLimiterOptions extends RateLimiter.Options, Policy.Bounds, KeyOptions {}

/**
 * Only so many requests in so much time, to stay within what the other side allows.
 *
 * The argument is the options of a limiter, with a `key` those of one for each key; or a limiter that is made elsewhere: an
 * instance, a tag, or a `RateLimiter.keyed`, which is used by origin unless there is a `key`.
 *
 * **Adds** `RateLimitExceeded`, and the requirement of a tag and of the listeners.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const rateLimiter = HttpResilience.rateLimiter({
 *   rate: RateLimiter.smooth({ limit: 5, per: "1 second" }),
 *   maxWait: "1 second"
 * })
 *
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(rateLimiter)
 *   return yield* client.get("http://localhost:3000/offer")
 * })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const rateLimiter: {
  <O = RateLimiterOptions | RateLimiter.KeyedOperations<unknown> | RateLimiter.Operations<unknown>>(
    options: Checked<
      O,
      RateLimiterOptions,
      RateLimiter.KeyedOperations<unknown> | RateLimiter.Operations<unknown>
    >
  ): Part<RateLimiter.RateLimitExceeded, NeededByGiven<O>>
  <Needed = never>(
    given: RateLimiter.KeyedOperations<Needed> | RateLimiter.Operations<Needed>,
    use: KeyOptions | undefined
  ): Part<RateLimiter.RateLimitExceeded, Needed>
} = <P extends Part<unknown, unknown>>(
  first: RateLimiterOptions | RateLimiter.KeyedOperations<unknown> | RateLimiter.Operations<unknown>,
  use: KeyOptions = {}
): P => Shared.rateLimiter(first, use)

// -------------------------------------------------------------------------------------------------------------- hedge

/**
 * @since 0.1.0
 * @category options
 */
export interface HedgeOptions extends RequestOptions {
  /** How long an attempt is waited for before the next one starts beside it. */
  readonly delay: Hedge.Delay
  /** How many hedges there may be beside the first attempt. Default: 1. */
  readonly maxHedges?: number | undefined
  /** Pays for the hedges. Default: no limit. */
  readonly budget?: RetryBudget.Source | undefined
  /**
   * Which responses and errors do not win. Default: 408, 425, 429, 500, 502, 503 and 504,
   * transport errors, timeouts and rejections of policies further inside. They start the next attempt at once, but not a 429, a
   * 503 or a rejection: after those no more attempts start, and they come back as soon as none runs.
   */
  readonly condition?: Condition | undefined
  /** The name in events. Default: `"hedge"`. */
  readonly name?: string | undefined
  /** Called before a hedge, in its fiber. */
  readonly onHedge?:
    ((event: Hedge.Hedged<Response, unknown>) => Effect.Effect<unknown, unknown, unknown>) | undefined
}

/**
 * Sends a request again while the first one still runs, and takes the response that comes first. Only requests that may arrive
 * twice and can be sent twice are hedged, by the rules of {@link retry}; all others are sent once.
 *
 * **Time line**
 *
 * That of `Hedge`. As soon as there is a response, the other requests are aborted on the wire.
 *
 * **Adds** no error but those of a computed delay and of the listener, and what these and the budget require.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Hedge } from "effect-resilience"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const hedge = HttpResilience.hedge({ delay: Hedge.percentile(0.95, { min: "5 millis", max: "1 second" }) })
 *
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(hedge)
 *   return yield* client.get("http://localhost:3000/offer")
 * })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const hedge = <O>(options: Checked<O, HedgeOptions>): Part<Hedge.ErrorOf<O>, Policy.ContextOf<O>> =>
  internalHedge.make(options)

// ----------------------------------------------------------------------------------------------------------- fallback

/**
 * The options of {@link fallback}.
 *
 * @since 0.1.0
 * @category options
 */
export interface FallbackOptions {
  /**
   * Which responses and errors it is used for. Default: every error, and the statuses 408, 425, 429, 500, 502, 503 and 504.
   */
  readonly condition?: Condition | undefined
  /** The name in events. Default: `"fallback"`. */
  readonly name?: string | undefined
  /** Called before the fallback runs. */
  readonly onFallback?:
    | ((event: Fallback.FallbackUsed<Response, unknown>) => Effect.Effect<unknown, unknown, unknown>)
    | undefined
}

/**
 * Another response instead of a failure: from another place, from a cache, or made up with `HttpClientResponse.fromWeb`. It is
 * given the failure and the request. The response that it replaces is let go afterwards, and can be read until then.
 *
 * Without a `condition` every error is replaced by those of the fallback. With one, those that it leaves alone stay. A request
 * that cannot be prepared (`HttpClient.mapRequestEffect`) fails before any part sees it.
 *
 * @example
 * ```ts
 * import { HttpClient, HttpClientResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const fallback = HttpResilience.fallback((_, request) =>
 *   Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ offers: [] })))
 * )
 *
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.standard(), fallback)
 *   return yield* client.get("http://localhost:3000/offers") // no error is left
 * })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const fallback: {
  <E2, R2>(
    use: (
      failure: FailureCondition.Failed<Response, unknown>,
      request: ClientRequest
    ) => Effect.Effect<Response, E2, R2>
  ): FallbackPart<E2, R2>
  <E2, R2, const O>(
    use: (
      failure: FailureCondition.Failed<Response, unknown>,
      request: ClientRequest
    ) => Effect.Effect<Response, E2, R2>,
    options: Checked<O, FallbackOptions>
  ): [ConditionIn<O>] extends [undefined]
    ? FallbackPart<E2 | Policy.ErrorOf<O>, R2 | Policy.ContextOf<O>>
    : Part<E2 | Policy.ErrorOf<O>, R2 | Policy.ContextOf<O>>
} = <P extends Part<unknown, unknown> | FallbackPart<unknown, unknown>>(
  use: (
    failure: FailureCondition.Failed<Response, unknown>,
    request: ClientRequest
  ) => Effect.Effect<Response, unknown, unknown>,
  options: FallbackOptions = {}
): P => internalFallback.make(use, options)

type ConditionIn<O> = "condition" extends keyof O ? O["condition"] : undefined

// ---------------------------------------------------------------------------------------------------- idempotency key

/**
 * Gives every request whose method is not idempotent an `Idempotency-Key`, so that a server that knows the field carries it out
 * once however often it arrives, and the policies of this module may send it again. A request that has a key keeps it. The key
 * is a random UUID and the same in all attempts of a call.
 *
 * **When to use**
 *
 * Only towards a server that honours the field: to any other, a request with a key is repeated like one without. The part may
 * stand anywhere among the others.
 *
 * Source: draft-ietf-httpapi-idempotency-key-header, which has the key in quotes.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(HttpResilience.standard(), HttpResilience.idempotencyKey())
 *   return yield* client.post("http://localhost:3000/payments")
 * })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const idempotencyKey = (): Part => internalKey.make()

// ----------------------------------------------------------------------------------------------------------- standard

/**
 * The parts of {@link standard}. Each is given by its options, replaced by a part of one's own, or left out with `false`. The three
 * that requests share can also be an instance, one by key, or the tag of either.
 *
 * @since 0.1.0
 * @category options
 */
export interface StandardOptions {
  /**
   * The limit for all of it: preparing the request, all attempts and delays, and reading the body unless that is streamed
   * (`body: "buffered"`, if the options do not say otherwise). Default: 30 seconds.
   */
  readonly totalTimeout?: DurationInput | TimeoutOptions | Part<unknown, unknown> | false | undefined
  /** Made by {@link fallback}. Default: none. */
  readonly fallback?: FallbackPart<unknown, unknown> | Part<unknown, unknown> | false | undefined
  /** A part that answers from a cache. Default: none. */
  readonly cache?: Part<unknown, unknown> | false | undefined
  /** Default: none. */
  readonly rateLimiter?:
    | RateLimiterOptions
    | RateLimiter.Operations<unknown>
    | RateLimiter.KeyedOperations<unknown>
    | Part<unknown, unknown>
    | false
    | undefined
  /** Default: none. */
  readonly bulkhead?:
    | BulkheadOptions
    | Bulkhead.Operations<unknown>
    | Bulkhead.KeyedOperations<unknown>
    | Part<unknown, unknown>
    | false
    | undefined
  /** Default: {@link retry} with its defaults, and the budget. */
  readonly retry?: RetryOptions | Part<unknown, unknown> | false | undefined
  /** Default: none. */
  readonly hedge?: HedgeOptions | Part<unknown, unknown> | false | undefined
  /**
   * Pays for the retries and the hedges of all requests together, where their options have no budget of their own; a part of
   * one's own has its own or none. Default: that of `RetryBudget.make()`.
   */
  readonly budget?: RetryBudget.Source | false | undefined
  /** Default: {@link circuitBreaker} with its defaults, one for each origin. */
  readonly circuitBreaker?:
    | CircuitBreakerOptions
    | CircuitBreaker.Operations<unknown>
    | CircuitBreaker.KeyedOperations<unknown>
    | Part<unknown, unknown>
    | false
    | undefined
  /**
   * The limit for each attempt, at most the total. An attempt that the total ends counts for nothing, so leave room. Default:
   * 10 seconds, or nine tenths of the total if that is shorter.
   */
  readonly attemptTimeout?: DurationInput | TimeoutOptions | Part<unknown, unknown> | false | undefined
}

/** The error of what stands in a place: `Own` and that of its listeners where there are options, `Default` without. */
type ErrorIn<O, Place extends string, Own, Default, Told> = Place extends keyof O
  ? ErrorOfValue<O[Place], Own, Default, Told>
  : Default

type ErrorOfValue<V, Own, Default, Told> =
  IsAny<V> extends true
    ? Own
    : V extends undefined
      ? Default
      : V extends false
        ? never
        : V extends Part<infer Added, infer _Needed>
          ? Added
          : V extends FallbackPart<infer E2, infer _R2>
            ? E2
            : Own | (Told extends true ? ToldOf<V> : never)

/** Listeners of one call can fail it; those of shared policies cannot. */
type ToldOf<V> = V extends DurationInput ? never : Policy.ErrorOf<V> | HedgeError<V>

type HedgeError<V> = V extends { readonly delay: Effect.Effect<unknown, infer E, unknown> } ? E : never

type Late = Timeout.TimeoutExceeded
type Open = CircuitBreaker.CircuitOpen

/** The errors of the parts that the options leave in. */
type AddedBy<O> =
  | ErrorIn<O, "totalTimeout", Late, Late, true>
  | ErrorIn<O, "attemptTimeout", Late, Late, true>
  | ErrorIn<O, "circuitBreaker", Open, Open, false>
  | ErrorIn<O, "hedge", never, never, true>
  | ErrorIn<O, "retry", never, never, true>
  | ErrorIn<O, "bulkhead", Bulkhead.BulkheadFull, never, false>
  | ErrorIn<O, "rateLimiter", RateLimiter.RateLimitExceeded, never, false>
  | ErrorIn<O, "cache", never, never, false>
  | ErrorIn<O, "fallback", never, never, false>

/** What the parts that the options leave in require. */
type NeededBy<O> = Flat<{ [Place in keyof O]-?: ContextOfValue<O[Place]> }[keyof O]>

type ContextOfValue<V> =
  IsAny<V> extends true
    ? never
    : V extends Part<infer _Added, infer Needed>
      ? Needed
      : V extends FallbackPart<infer _E2, infer R2>
        ? R2
        : V extends Effect.Effect<infer _A, infer _E, infer R>
          ? R
          : V extends DurationInput
            ? never
            : V extends object
              ? NeededByGiven<V>
              : never

/**
 * A standard client, made of what the options leave in: a part, which with a fallback replaces every error but that of the
 * total timeout.
 *
 * @since 0.1.0
 * @category models
 */
export type Standard<O> = O extends { readonly fallback: FallbackPart<infer E2, infer _R2> }
  ? FallbackPart<Flat<E2 | ErrorIn<O, "totalTimeout", Late, Late, true>>, NeededBy<O>>
  : Part<Flat<AddedBy<O>>, NeededBy<O>>

/**
 * Everything that a call over HTTP needs to be safe, with defaults that suit most services.
 *
 * From the outside in: a total timeout of 30 seconds; a fallback and a cache, when there are any; a rate limiter and a bulkhead,
 * when there are any; a retry of 3 with exponential backoff, full jitter and a budget that all requests share; a hedge, when there
 * is one; a circuit breaker for each origin; a timeout of 10 seconds for each attempt.
 *
 * **Time line**
 *
 * That of its parts: a slow attempt is aborted and counts as a failure of its origin, the retry tries again while the circuit
 * is closed and the budget pays for it, and after 30 seconds the caller has an answer in any case.
 *
 * **Adds** the errors of the parts that are in: by default `TimeoutExceeded` and `CircuitOpen`.
 *
 * Options that contradict one another are refused: an attempt that may take longer than all of them together.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Trip } from "effect-resilience"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const resilient = HttpResilience.standard({
 *   totalTimeout: "5 seconds",
 *   attemptTimeout: "1 second",
 *   circuitBreaker: { trip: Trip.consecutive(5) },
 *   bulkhead: { permits: 50, maxQueued: 200 }
 * })
 *
 * // fails with HttpClientError | TimeoutExceeded | CircuitOpen | BulkheadFull
 * const program = Effect.gen(function* () {
 *   const client = (yield* HttpClient.HttpClient).pipe(resilient)
 *   return yield* client.get("http://localhost:3000/offer")
 * })
 * ```
 *
 * @since 0.1.0
 * @category standard
 */
export const standard: {
  (): Part<Timeout.TimeoutExceeded | CircuitBreaker.CircuitOpen>
  <const O>(options: Checked<O, StandardOptions>): Standard<O>
} = <O>(options: StandardOptions = {}) =>
  internalStandard.standard(options) as unknown as Standard<O> & Part<never>

// ------------------------------------------------------------------------------------------------------------- sealed

/**
 * A client that fails with `HttpClientError` alone, as everything expects that asks for an `HttpClient`: every other error
 * becomes a `RequestError` of reason `Transport`, whose `cause` it is. The parts of this module read that cause.
 *
 * @example
 * ```ts
 * import { HttpApi, HttpApiClient } from "@effect/platform"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const api = HttpApi.make("offers")
 * const resilient = HttpResilience.standard()
 *
 * const program = HttpApiClient.make(api, {
 *   baseUrl: "http://localhost:3000",
 *   transformClient: (client) => client.pipe(resilient, HttpResilience.sealed)
 * })
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const sealed: <E, R>(
  client: HttpClient.HttpClient.With<E, R>
) => HttpClient.HttpClient.With<HttpClientError.HttpClientError, R> = internalSealed.sealed

/**
 * Makes of a part what `RpcClient.layerProtocolHttp` of `@effect/rpc` takes as its `transformClient`. That client parses every
 * answer as one of its own: given the 503 of a server that is busy, or the page of a proxy, a call hangs or dies. Here every
 * answer with a status that is not 2xx, or with a media type that is not the request's, makes the call fail.
 *
 * Calls fail with an `RpcClientError` whose `cause` is an `HttpClientError`: a `ResponseError` with status and headers, whose body has
 * been let go, or a `RequestError` whose own `cause` is the rejection or timeout of a policy.
 *
 * RPCs are POST requests, so they are repeated only when they were certainly not sent. A group whose calls may all arrive
 * twice says so with `retry: { idempotent: () => true }`.
 *
 * @example
 * ```ts
 * import { FetchHttpClient } from "@effect/platform"
 * import { RpcClient, RpcSerialization } from "@effect/rpc"
 * import { Layer } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const ProtocolLive = RpcClient.layerProtocolHttp({
 *   url: "http://localhost:3000/rpc",
 *   transformClient: HttpResilience.rpc(HttpResilience.standard())
 * }).pipe(Layer.provide([RpcSerialization.layerNdjson, FetchHttpClient.layer]))
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const rpc: (
  part: Part<unknown> | FallbackPart<unknown>
) => <E, R>(client: HttpClient.HttpClient.With<E, R>) => HttpClient.HttpClient.With<E, R> = internalRpc.rpc

/**
 * Makes the `HttpClient` of the context a {@link standard} one that is {@link sealed}: whatever asks for an `HttpClient` is
 * protected and does not know it.
 *
 * @example
 * ```ts
 * import { FetchHttpClient } from "@effect/platform"
 * import { Layer } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const ClientLive = HttpResilience.layer({ totalTimeout: "10 seconds", attemptTimeout: "2 seconds" }).pipe(
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: {
  (): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient>
  <const O>(
    options: Checked<O, StandardOptions>
  ): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient | NeededBy<O>>
} = <R>(options: StandardOptions = {}) =>
  internalStandard.layer(options) as Layer.Layer<HttpClient.HttpClient, never, R>
