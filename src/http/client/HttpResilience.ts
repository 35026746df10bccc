/**
 * Resilience for an `HttpClient`: policies that know HTTP, one by one or all in one line.
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
import type { FallbackPartTypeId, PartTypeId } from "./part.js"
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
type Listener<Event> = (event: Event) => Effect.Effect<unknown, unknown, unknown>

/**
 * @since 0.1.0
 * @category symbols
 */
export { FallbackPartTypeId, PartTypeId } from "./part.js"

/**
 * A policy for HTTP clients: it adds the error `Added` and requires the service `Needed`. In a pipe the innermost part comes first.
 *
 * A part owns its state (circuits, budgets, permits), which is made with the first request and shared by all clients with the
 * part. So make a part once, not for each request. Listeners of shared policies find the services of the program that made the
 * first request.
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
 * A part that replaces every error with `E2`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FallbackPart<out E2 = never, out R2 = never> extends Policy.Described {
  readonly [FallbackPartTypeId]: { readonly _E2: Types.Covariant<E2>; readonly _R2: Types.Covariant<R2> }
  <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E2, R | R2>
}

/**
 * What the exit of a request means to a part. The result is the response, whatever its status; the error is that of the client or
 * of a part further inside.
 *
 * @since 0.1.0
 * @category models
 */
export type Condition = FailureCondition.FailureCondition<Response, unknown>

/**
 * @since 0.1.0
 * @category options
 */
export interface RequestOptions {
  /** Which requests may arrive twice, besides those that {@link retry} names. Default: none. */
  readonly idempotent?: ((request: ClientRequest) => boolean) | undefined
  /** Which streamed bodies can be read more than once, besides those marked with {@link replayable}. Default: none. */
  readonly replayable?: ((request: ClientRequest) => boolean) | undefined
}

/**
 * Makes a part from an exchange: a function between a prepared request and its response. Each run of `attempt` sends the
 * request; run it more than once only if the request may arrive twice. Responses that do not come back are released.
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

/**
 * Marks the requests of an effect as idempotent: they may be retried and hedged, whatever their method.
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
 * Marks the streamed bodies of the requests of an effect as replayable: each run of the stream begins from the start. Other streams
 * are sent once. A body that is empty, text, bytes or a form can always be sent again.
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

/**
 * The options of {@link retry}. Listeners and schedules see responses and errors as failures.
 *
 * @since 0.1.0
 * @category options
 */
export interface RetryOptions extends RequestOptions {
  /** How many times to retry. Default: 3, or no limit with a `schedule`. */
  readonly times?: number | undefined
  /** The delays. Default: exponential from 200 milliseconds to 10 seconds with full jitter. */
  readonly schedule?: Schedule.Schedule<unknown, unknown, unknown> | undefined
  /** The longest that all attempts and delays may take together. Default: no limit. */
  readonly maxDuration?: DurationInput | undefined
  /** The longest `Retry-After` or quota reset to wait for. A longer one ends the retry at once. Default: 10 seconds. */
  readonly maxHint?: DurationInput | undefined
  /** Spreads clients with the same `Retry-After`: each waits up to this fraction longer, from 0 to 1. Default: `0.5`. */
  readonly hintJitter?: number | undefined
  /** Pays for the retries. Default: no limit. */
  readonly budget?: RetryBudget.Source | undefined
  /** Which responses and errors to retry, if the request may be repeated. For others the default holds, see {@link retry}. */
  readonly condition?: Condition | undefined
  /** The name in events. Default: `"retry"`. */
  readonly name?: string | undefined
  /** Called before the delay. The failed response can still be read. */
  readonly onRetryScheduled?: Listener<Retry.RetryScheduled<Response, unknown>> | undefined
  /** Called after the delay, before the next attempt. */
  readonly onRetry?: Listener<Retry.Retried<Response, unknown>> | undefined
  /** Called when the retry gives up. */
  readonly onExceeded?: Listener<Retry.Exceeded<Response, unknown>> | undefined
}

/**
 * Sends a request again after a transient failure, if that is safe.
 *
 * **What is retried**: the statuses 408, 425, 429, 500, 502, 503 and 504, lost connections, and timeouts further inside. Never other
 * statuses, invalid requests, bodies whose own source failed, redirect loops, untrusted certificates, and undecodable responses. An
 * open circuit fails fast; the retry waits for other rejections from further inside.
 *
 * **Which requests**: GET, HEAD, OPTIONS, TRACE, PUT, DELETE and QUERY (RFC 9110, section 9.2.2; RFC 10008), and any other with an
 * `Idempotency-Key` or marked with {@link idempotent}. Others are sent again only if they certainly were not sent: the connection was
 * refused, the name not resolved, TLS not established. A streamed body is sent once, unless it is {@link replayable}.
 *
 * **Time line**: `times` retries are at most `times + 1` requests. The delay is that of the schedule, or what the server asked for if
 * that is longer: `Retry-After`, else a `RateLimit` without quota, plus up to half of it. Beyond `maxHint` the response comes back at
 * once. A replaced response is drained to keep its connection (up to 64 KiB, 100 milliseconds), or its request is aborted. The
 * last response or error comes back as it was.
 *
 * Each attempt has a span; further ones carry `http.request.resend_count`.
 *
 * **Adds** the errors of the listeners, and what budget, schedule and listeners require.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const retry = HttpResilience.retry({
 *   times: 2,
 *   onRetry: ({ attempt, delay }) => Effect.logInfo(`attempt ${attempt} failed, again after ${delay}`)
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

/**
 * @since 0.1.0
 * @category options
 */
export interface KeyOptions {
  /** The key of a request: requests with one key share one instance. `undefined` goes through unprotected. */
  readonly key?: ((request: ClientRequest) => string | undefined) | undefined
}

/**
 * The options of {@link circuitBreaker}: those of each breaker, their bounds, and their keys.
 *
 * @since 0.1.0
 * @category options
 */
export interface CircuitBreakerOptions
  extends Omit<CircuitBreaker.Options, "initial">, Policy.Bounds, KeyOptions {
  /**
   * What responses and errors say about the other side. Default: 408 and 5xx (except 501 and 505), lost connections and timeouts
   * are failures. 429, rejections from further inside, undecodable responses, and what this side is to blame for (an invalid
   * request, a failed body, an untrusted certificate, a stall of this process) are ignored. Every other response is a success.
   */
  readonly condition?: Condition | undefined
}

/**
 * How requests use breakers that are made elsewhere.
 *
 * @since 0.1.0
 * @category options
 */
export interface CircuitBreakerUse extends KeyOptions {
  /** See {@link CircuitBreakerOptions}. */
  readonly condition?: Condition | undefined
}

/**
 * Stops sending requests to an origin (scheme, host and port) where too many have failed, and probes when it recovers. Each
 * origin has its own breaker.
 *
 * Takes the options of the breakers, or breakers that are made elsewhere and can be read and steered: a `CircuitBreaker.keyed`, an
 * instance, or the tag of either. Those read a `Retry-After` as their own `openFor` says. The `Retry-After` of a 503 can keep the
 * circuit open for longer than `openFor`, up to `maxOpenFor` (5 minutes). An interrupted request is ignored.
 *
 * **Adds** `CircuitOpen`, and the requirement of a tag and of the listeners.
 *
 * @example
 * ```ts
 * import { Trip } from "effect-resilience"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const circuitBreaker = HttpResilience.circuitBreaker({ trip: Trip.consecutive(5), openFor: "5 seconds" })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const circuitBreaker: {
  (): Part<CircuitBreaker.CircuitOpen>
  <O = CircuitBreakerOptions | Breakers<unknown>>(
    options: Checked<O, CircuitBreakerOptions, Breakers<unknown>>
  ): Part<CircuitBreaker.CircuitOpen, NeededByGiven<O>>
  <Needed = never>(
    given: Breakers<Needed>,
    use: CircuitBreakerUse | undefined
  ): Part<CircuitBreaker.CircuitOpen, Needed>
} = <P extends Part<unknown, unknown>>(given: object = {}, use?: CircuitBreakerUse): P =>
  Shared.circuitBreaker(given, use)

/** Breakers that are made elsewhere. */
type Breakers<Needed> = CircuitBreaker.KeyedOperations<Needed> | CircuitBreaker.Operations<Needed>

/**
 * @since 0.1.0
 * @category options
 */
export interface TimeoutOptions {
  /** How long a request may take, up to the headers of its response. Greater than zero; an infinite limit is none. */
  readonly limit: DurationInput
  /**
   * Whether the limit covers reading the body: `"buffered"` for reading all of it (`json`, `text`, `arrayBuffer`,
   * `urlParamsBody`, `formData`), `true` also for `stream`. A late body aborts the request and fails with a `ResponseError` of
   * reason `Decode`, caused by `TimeoutExceeded`. Default: `false`.
   */
  readonly body?: boolean | "buffered" | undefined
  /** The name in the error and in events. Default: `"timeout"`. */
  readonly name?: string | undefined
  /** Called at the limit, when the request is aborted. */
  readonly onTimeout?: Listener<Timeout.TimedOut> | undefined
}

/**
 * Limits how long a request may take: each attempt inside a retry, all attempts together outside. At the limit the request is
 * aborted on the wire, also under `HttpClient.withScope`.
 *
 * **Adds** `TimeoutExceeded`, and the errors and requirements of the listener. While a body is read, the failure of a listener is
 * logged.
 *
 * @example
 * ```ts
 * import { HttpResilience } from "effect-resilience/http"
 *
 * // headers and body together
 * const timeout = HttpResilience.timeout({ limit: "2 seconds", body: true })
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

/**
 * The options of {@link bulkhead}; with a `key` those of each, and their bounds.
 *
 * @since 0.1.0
 * @category options
 */
export interface BulkheadOptions extends Bulkhead.Options, Policy.Bounds, KeyOptions {}

/**
 * Limits how many requests run at a time and how many queue. A request holds its permit until its headers arrive or it fails.
 *
 * Takes options, with a `key` for a bulkhead per key, or a bulkhead that is made elsewhere: an instance, a `Bulkhead.keyed` (by
 * origin unless there is a `key`), or the tag of either.
 *
 * **Adds** `BulkheadFull`, and the requirement of a tag and of the listeners.
 *
 * @example
 * ```ts
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const bulkhead = HttpResilience.bulkhead({ permits: 20, maxQueued: 100, maxWait: "1 second" })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const bulkhead: {
  <O = BulkheadOptions | Bulkheads<unknown>>(
    options: Checked<O, BulkheadOptions, Bulkheads<unknown>>
  ): Part<Bulkhead.BulkheadFull, NeededByGiven<O>>
  <Needed = never>(given: Bulkheads<Needed>, use: KeyOptions | undefined): Part<Bulkhead.BulkheadFull, Needed>
} = <P extends Part<unknown, unknown>>(given: object, use?: KeyOptions): P => Shared.bulkhead(given, use)

/** Bulkheads that are made elsewhere. */
type Bulkheads<Needed> = Bulkhead.KeyedOperations<Needed> | Bulkhead.Operations<Needed>

/**
 * The options of {@link rateLimiter}; with a `key` those of each, and their bounds.
 *
 * @since 0.1.0
 * @category options
 */
export interface RateLimiterOptions extends RateLimiter.Options, Policy.Bounds, KeyOptions {}

/**
 * Limits how many requests are sent per time, to stay within the quota of the other side.
 *
 * Takes the same as {@link bulkhead}: options, or a limiter that is made elsewhere.
 *
 * **Adds** `RateLimitExceeded`, and the requirement of a tag and of the listeners.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-resilience"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const rate = RateLimiter.smooth({ limit: 5, per: "1 second" })
 * const rateLimiter = HttpResilience.rateLimiter({ rate, maxWait: "1 second" })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const rateLimiter: {
  <O = RateLimiterOptions | Limiters<unknown>>(
    options: Checked<O, RateLimiterOptions, Limiters<unknown>>
  ): Part<RateLimiter.RateLimitExceeded, NeededByGiven<O>>
  <Needed = never>(
    given: Limiters<Needed>,
    use: KeyOptions | undefined
  ): Part<RateLimiter.RateLimitExceeded, Needed>
} = <P extends Part<unknown, unknown>>(given: object, use?: KeyOptions): P => Shared.rateLimiter(given, use)

/** Limiters that are made elsewhere. */
type Limiters<Needed> = RateLimiter.KeyedOperations<Needed> | RateLimiter.Operations<Needed>

/**
 * @since 0.1.0
 * @category options
 */
export interface HedgeOptions extends RequestOptions {
  /** How long an attempt runs before the next one starts. */
  readonly delay: Hedge.Delay
  /** How many hedges there may be besides the first attempt. Default: 1. */
  readonly maxHedges?: number | undefined
  /** Pays for the hedges. Default: no limit. */
  readonly budget?: RetryBudget.Source | undefined
  /**
   * Which responses and errors do not win. Default: 408, 425, 429, 500, 502, 503 and 504, transport errors, timeouts and rejections
   * from further inside. After a 429, a 503 or a rejection no more attempts start; after others the next starts at once.
   */
  readonly condition?: Condition | undefined
  /** The name in events. Default: `"hedge"`. */
  readonly name?: string | undefined
  /** Called before a hedge, in its fiber. */
  readonly onHedge?: Listener<Hedge.Hedged<Response, unknown>> | undefined
}

/**
 * Sends a request again while the first one runs, and takes the first response; the other requests are aborted on the wire. Only
 * requests that may be repeated are hedged, by the rules of {@link retry}.
 *
 * **Adds** the errors of a computed delay and of the listener, and what these and the budget require.
 *
 * @example
 * ```ts
 * import { Hedge } from "effect-resilience"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const hedge = HttpResilience.hedge({ delay: Hedge.percentile(0.95, { min: "5 millis", max: "1 second" }) })
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const hedge = <O>(options: Checked<O, HedgeOptions>): Part<Hedge.ErrorOf<O>, Policy.ContextOf<O>> =>
  internalHedge.make(options)

/**
 * @since 0.1.0
 * @category options
 */
export interface FallbackOptions {
  /** Which responses and errors it is used for. Default: all errors, and 408, 425, 429, 500, 502, 503 and 504. */
  readonly condition?: Condition | undefined
  /** The name in events. Default: `"fallback"`. */
  readonly name?: string | undefined
  /** Called before the fallback runs. */
  readonly onFallback?: Listener<Fallback.FallbackUsed<Response, unknown>> | undefined
}

/**
 * Replaces a failure with another response: from another place, from a cache, or made with `HttpClientResponse.fromWeb`. The
 * replaced response can be read until the fallback ends; then it is released.
 *
 * Without a `condition` only the fallback's own errors are left. A request that cannot be prepared (`HttpClient.mapRequestEffect`)
 * fails before any part sees it.
 *
 * @example
 * ```ts
 * import { HttpClientResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const fallback = HttpResilience.fallback((_, request) =>
 *   Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ offers: [] })))
 * )
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const fallback: {
  <E2, R2>(use: Replacing<E2, R2>): FallbackPart<E2, R2>
  <E2, R2, const O>(
    use: Replacing<E2, R2>,
    options: Checked<O, FallbackOptions>
  ): [ConditionIn<O>] extends [undefined]
    ? FallbackPart<E2 | Policy.ErrorOf<O>, R2 | Policy.ContextOf<O>>
    : Part<E2 | Policy.ErrorOf<O>, R2 | Policy.ContextOf<O>>
} = <P extends Part<unknown, unknown> | FallbackPart<unknown, unknown>>(
  use: Replacing<unknown, unknown>,
  options: FallbackOptions = {}
): P => internalFallback.make(use, options)

/** Makes the response that takes the place of a failure. */
type Replacing<E2, R2> = (
  failure: FailureCondition.Failed<Response, unknown>,
  request: ClientRequest
) => Effect.Effect<Response, E2, R2>

type ConditionIn<O> = "condition" extends keyof O ? O["condition"] : undefined

/**
 * Gives every request with a method that is not idempotent an `Idempotency-Key`, so that the server carries it out once and the
 * parts may send it again. Only for servers that honour the field; any other carries out each repetition. The key is a random UUID,
 * the same in all attempts of a call. A request that has a key keeps it. The position of the part does not matter.
 *
 * Source: draft-ietf-httpapi-idempotency-key-header, which has the key in quotes.
 *
 * @example
 * ```ts
 * import { flow } from "effect"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * const resilient = flow(HttpResilience.standard(), HttpResilience.idempotencyKey())
 * ```
 *
 * @since 0.1.0
 * @category parts
 */
export const idempotencyKey = (): Part => internalKey.make()

/**
 * The parts of {@link standard}: options, a part, or `false` for none. Limiter, bulkhead and breaker can also be an instance, one
 * by key, or the tag of either.
 *
 * @since 0.1.0
 * @category options
 */
export interface StandardOptions {
  /** The limit for preparation, attempts, delays, and reading the body (`"buffered"` by default). Default: 30 seconds. */
  readonly totalTimeout?: DurationInput | TimeoutOptions | Part<unknown, unknown> | false | undefined
  /** Made by {@link fallback}. Default: none. */
  readonly fallback?: FallbackPart<unknown, unknown> | Part<unknown, unknown> | false | undefined
  /** A part that answers from a cache. Default: none. */
  readonly cache?: Part<unknown, unknown> | false | undefined
  /** Default: none. */
  readonly rateLimiter?: RateLimiterOptions | Limiters<unknown> | Part<unknown, unknown> | false | undefined
  /** Default: none. */
  readonly bulkhead?: BulkheadOptions | Bulkheads<unknown> | Part<unknown, unknown> | false | undefined
  /** Default: {@link retry} with its defaults, and the budget. */
  readonly retry?: RetryOptions | Part<unknown, unknown> | false | undefined
  /** Default: none. */
  readonly hedge?: HedgeOptions | Part<unknown, unknown> | false | undefined
  /** Pays for retries and hedges whose options have no budget. Default: that of `RetryBudget.make()`. */
  readonly budget?: RetryBudget.Source | false | undefined
  /** Default: {@link circuitBreaker} with its defaults, one for each origin. */
  readonly circuitBreaker?:
    CircuitBreakerOptions | Breakers<unknown> | Part<unknown, unknown> | false | undefined
  /** The limit for each attempt, at most the total. Default: 10 seconds, or nine tenths of the total if that is shorter. */
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
 * A standard client as a part. With a fallback, only the errors of the fallback and of the total timeout are left.
 *
 * @since 0.1.0
 * @category models
 */
export type Standard<O> = O extends { readonly fallback: FallbackPart<infer E2, infer _R2> }
  ? FallbackPart<Flat<E2 | ErrorIn<O, "totalTimeout", Late, Late, true>>, NeededBy<O>>
  : Part<Flat<AddedBy<O>>, NeededBy<O>>

/**
 * A resilient client with defaults that suit most services.
 *
 * From the outside in: a total timeout of 30 seconds; optionally a fallback, a cache, a rate limiter and a bulkhead; 3 retries with
 * exponential backoff, full jitter and a shared budget; optionally a hedge; a circuit breaker for each origin; a timeout of 10
 * seconds for each attempt.
 *
 * A slow attempt is aborted and counts as a failure of its origin; one that the total timeout ends is ignored, so leave room for it.
 *
 * **Adds** the errors of its parts: by default `TimeoutExceeded` and `CircuitOpen`. An `attemptTimeout` that is longer than the
 * total throws an `InvalidOption`.
 *
 * @example
 * ```ts
 * import { Trip } from "effect-resilience"
 * import { HttpResilience } from "effect-resilience/http"
 *
 * // adds TimeoutExceeded | CircuitOpen | BulkheadFull
 * const resilient = HttpResilience.standard({
 *   totalTimeout: "5 seconds",
 *   attemptTimeout: "1 second",
 *   circuitBreaker: { trip: Trip.consecutive(5) },
 *   bulkhead: { permits: 50, maxQueued: 200 }
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

/**
 * Makes a client fail only with `HttpClientError`, as an `HttpClient` does: every other error becomes the `cause` of a
 * `RequestError` of reason `Transport`. Parts read that cause.
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
 * Makes a part the `transformClient` of `RpcClient.layerProtocolHttp` of `@effect/rpc`. That client parses every answer as its own:
 * the 503 of a busy server makes a call hang or die. Here an answer that is not 2xx, or has another media type than the request,
 * makes the call fail with an `RpcClientError`. Its `cause` is an `HttpClientError`: a `ResponseError` without the body, or a
 * `RequestError` caused by the rejection or timeout of a policy.
 *
 * RPCs are POST requests, so they are repeated only if they certainly were not sent. If all calls may arrive twice, use
 * `retry: { idempotent: () => true }`.
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
 * Makes the `HttpClient` of the context {@link standard} and {@link sealed}, for everything that asks for an `HttpClient`.
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
