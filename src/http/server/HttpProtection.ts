/**
 * Policies in front of a server: a rate limiter, a bulkhead, a circuit breaker and a timeout as middleware. What they turn
 * away is answered with a status, `Retry-After` and a problem body.
 *
 * @since 0.1.0
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { HttpServerRequest as ServerRequest } from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Predicate from "effect/Predicate"
import * as Record from "effect/Record"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import type * as Bulkhead from "../../bulkhead/Bulkhead.js"
import type * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import {
  among,
  callable,
  type Caller,
  flag,
  InvalidOption,
  isObject,
  join,
  object,
  type Shape,
  text,
  whereRead
} from "../../core/options.js"
import { make as makeBulkhead } from "../../bulkhead/limit.js"
import { configure as configureBulkhead, shape as bulkheadShape } from "../../bulkhead/options.js"
import { make as makeBreaker } from "../../circuitBreaker/breaker.js"
import { configure as configureBreaker, shape as breakerShape } from "../../circuitBreaker/options.js"
import { type DurationInput, duration, optionMillis } from "../../internal/duration.js"
import { boundsShape, isKeyed, refuseBounds } from "../../policy/keyed.js"
import { notifyShared } from "../../internal/listeners.js"
import { limiters, make as makeLimiter } from "../../rateLimiter/limiter.js"
import { configure as configureLimiter, shape as limiterShape } from "../../rateLimiter/options.js"
import type { Flat, IsAny, NeededByGiven, Checked } from "../../policy/types.js"
import * as Policy from "../../policy/Policy.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import * as Timeout from "../../timeout/Timeout.js"
import type { Answering } from "./answer.js"
import { answering, answeringShape } from "./answer.js"
import * as Gates from "./gate.js"
import { once } from "../internal/once.js"
import type { RequestBodyTimeout } from "../problem/errors.js"
import { holdConnection } from "./incoming.js"
import { received } from "./requestBody.js"
import { cutOff, isSending } from "./sending.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-resilience/http/HttpProtection")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

// ------------------------------------------------------------------------------------------------------------- models

/**
 * A middleware that keeps the errors and the requirements of an app as they are, and may need a service of its own. It is
 * applied with `pipe`, or given to `HttpServer.serve`, `HttpRouter.use`, `HttpLayerRouter.middleware` or
 * `HttpApiBuilder.middleware`.
 *
 * The state belongs to the value: what is protected with the same one shares its places and its quota.
 *
 * @since 0.1.0
 * @category models
 */
export interface Protection<out Needed = never> extends Policy.Described {
  readonly [TypeId]: Types.Covariant<Needed>
  <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | Needed | HttpServerRequest.HttpServerRequest>
}

/**
 * A middleware that lets requests in or turns them away, and can also do that where a request has to be let in before its
 * handler rather than around it: in the middleware of an `HttpApi` group.
 *
 * @since 0.1.0
 * @category models
 */
export interface Gate<out Needed = never> extends Protection<Needed> {
  /**
   * Lets the request in, or ends it with its answer. What it takes is given back when the request has ended, with its
   * response sent, or its client gone.
   */
  readonly enter: Effect.Effect<void, never, HttpServerRequest.HttpServerRequest | Scope.Scope | Needed>
}

/**
 * A request that has been answered or has failed: the result that the listeners of a bulkhead and a breaker see.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answered {
  /** The status that the client gets. */
  readonly status: number
  readonly exit: Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>
}

/**
 * @since 0.1.0
 * @category errors
 */
export { RequestBodyTimeout } from "../problem/errors.js"

// ------------------------------------------------------------------------------------------------------------ options

/**
 * How one middleware answers.
 *
 * @since 0.1.0
 * @category options
 */
export type { Answering } from "./answer.js"

/**
 * @since 0.1.0
 * @category options
 */
export interface BulkheadOptions extends Bulkhead.Options, Answering {}

/**
 * @since 0.1.0
 * @category options
 */
export interface CircuitBreakerOptions extends CircuitBreaker.Options, Answering {}

/**
 * How a rate limiter answers.
 *
 * @since 0.1.0
 * @category options
 */
export interface RateLimiterAnswering extends Answering {
  /**
   * On which responses `RateLimit` and `RateLimit-Policy` are sent: on those to all requests that are limited, only on
   * rejections, or on none. Default: `"always"`.
   */
  readonly fields?: "always" | "rejections" | "never" | undefined
}

/**
 * How limiters by key that are made elsewhere are used, and how they answer.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyedRateLimiterAnswering extends RateLimiterAnswering {
  readonly key: KeyOf
  /** The name by which clients know all of them. Default: that of the limiters, without a key. */
  readonly name?: string | undefined
}

/**
 * Which limiter a request belongs to: its tenant, its address, its API key. A request without a key is not limited. The key
 * is not sent to anybody.
 *
 * @since 0.1.0
 * @category options
 */
export type KeyOf = (request: HttpServerRequest.HttpServerRequest) => string | undefined

/**
 * @since 0.1.0
 * @category options
 */
export interface RateLimiterOptions extends RateLimiter.Options, Policy.Bounds, RateLimiterAnswering {
  /** Limits each key for itself, within the bounds of a keyed policy. Default: one limit for all requests. */
  readonly key?: KeyOf | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface TimeoutOptions<R = never> extends Answering {
  /** How long a request may take: a duration, or an effect that computes one, such as from a field of the request. */
  readonly limit: DurationInput | Effect.Effect<DurationInput, never, R>
  /** The status of the answer: 504 suits a server that is a gateway to another one. Default: 503. */
  readonly status?: 503 | 504 | undefined
  /** Answer at the limit instead of waiting for the finalizers of the app. Default: `false`. */
  readonly disconnect?: boolean | undefined
  /** The name in the error and in events. Default: `"timeout"`. */
  readonly name?: string | undefined
  /** Called before the answer. A listener that fails or dies is reported in the log and changes nothing. */
  readonly onTimeout?: ((event: Timeout.TimedOut) => Effect.Effect<unknown, unknown, R>) | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface RequestBodyOptions<R = never> extends Pick<Answering, "respond"> {
  /**
   * How long a client may send nothing of a body that is read. Measured to an eighth. `Infinity` for no limit. Default: 30
   * seconds.
   */
  readonly stallTimeout?: DurationInput | undefined
  /** How long the whole body may take to arrive. Default: no limit, besides `requestTimeout` of the server (Node.js: 5 minutes). */
  readonly totalTimeout?: DurationInput | undefined
  /** The name in the error and in events. Default: `"request-body"`. */
  readonly name?: string | undefined
  /** Called before the answer. A listener that fails or dies is reported in the log and changes nothing. */
  readonly onTimeout?: ((event: RequestBodyTimeout) => Effect.Effect<unknown, unknown, R>) | undefined
}

// ----------------------------------------------------------------------------------------------------------- bulkhead

/**
 * Only so many requests at a time, and only so many more that wait. What finds no place is answered with 503.
 *
 * **When to use**
 *
 * Around an app or a route that can only do so much at a time, so that what it does gets done. With options the bulkhead
 * belongs to the middleware; an instance or a tag is shared with whatever else uses it.
 *
 * **Time line**
 *
 * A request holds its place until the app has its response, and around a server (`HttpServer.serve(app, bulkhead)`) until
 * the response has been sent. Whoever leaves while waiting frees the place in line at once.
 *
 * Bad options throw an `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const app = HttpRouter.empty.pipe(
 *   HttpRouter.get("/report", HttpServerResponse.text("a report")),
 *   HttpRouter.use(HttpProtection.bulkhead({ permits: 10, maxQueued: 20, maxWait: "500 millis" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const bulkhead: {
  <O = BulkheadOptions | Bulkhead.Operations<unknown>>(
    options: Checked<O, BulkheadOptions, Bulkhead.Operations<unknown>>
  ): Gate<NeededByGiven<O>>
  <Needed = never>(given: Bulkhead.Operations<Needed>, options: Answering | undefined): Gate<Needed>
} = (
  given: Bulkhead.Operations<unknown> | BulkheadOptions,
  options: Answering = {}
  // What it needs stands in the signatures above.
): Gate => bulkheadGate(given, options, { policy: "HttpProtection.bulkhead" }) as Gate

const bulkheadGate = <Needed>(
  given: Bulkhead.Operations<Needed> | BulkheadOptions,
  options: Answering,
  caller: Caller
): Gate<Needed> => {
  if (isInstance(given)) {
    object(caller.policy, caller.path ?? "", options, answeringShape)
    return gate(given.protect, Gates.guarded(Gates.ofBulkhead(given), answering(options)))
  }
  object(caller.policy, caller.path ?? "", given, shapes.bulkhead)
  const { respond, retryAfter, ...own } = given
  const answer = answering({ respond, retryAfter })
  const kind = "bulkhead"
  const { name, settings } = configureBulkhead(own, kind, caller)
  const made = once(makeBulkhead(own, kind))
  return gate({ kind, name, settings }, Gates.guarded(Gates.later(made, Gates.ofBulkhead), answer))
}

// ---------------------------------------------------------------------------------------------------- circuit breaker

/**
 * Stops taking requests that would fail anyway: when too many are answered with a status from 500 on, the next ones are
 * answered with 503 at once, until a probe works again.
 *
 * **When to use**
 *
 * Around routes that cannot do anything without a dependency that fails, to spare it and to say when to come back. Where
 * only one call of a handler fails, a breaker around that call is better: it leaves the handler the choice.
 *
 * **What counts**
 *
 * The status that the client gets, whether from a response or from an error: from 500 on it is a failure, anything else is
 * a success. A request whose client left counts for nothing, and so does one that was turned away by a limiter, a bulkhead
 * or a breaker of this module further inside.
 *
 * Bad options throw an `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const app = HttpRouter.empty.pipe(
 *   HttpRouter.get("/report", HttpServerResponse.text("a report")),
 *   HttpRouter.use(HttpProtection.circuitBreaker({ openFor: "15 seconds" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const circuitBreaker: {
  (): Gate
  <O = CircuitBreakerOptions | CircuitBreaker.Operations<unknown>>(
    options: Checked<O, CircuitBreakerOptions, CircuitBreaker.Operations<unknown>>
  ): Gate<NeededByGiven<O>>
  <Needed = never>(given: CircuitBreaker.Operations<Needed>, options: Answering | undefined): Gate<Needed>
} = (
  given: CircuitBreaker.Operations<unknown> | CircuitBreakerOptions = {},
  options: Answering = {}
  // What it needs stands in the signatures above.
): Gate => breakerGate(given, options, { policy: "HttpProtection.circuitBreaker" }) as Gate

const breakerGate = <Needed>(
  given: CircuitBreaker.Operations<Needed> | CircuitBreakerOptions,
  options: Answering,
  caller: Caller
): Gate<Needed> => {
  if (isInstance(given)) {
    object(caller.policy, caller.path ?? "", options, answeringShape)
    return gate(given.protect, Gates.guarded(Gates.ofBreaker(given), answering(options)))
  }
  object(caller.policy, caller.path ?? "", given, shapes.circuitBreaker)
  const { respond, retryAfter, ...own } = given
  const answer = answering({ respond, retryAfter })
  const kind = "circuit-breaker"
  const { name, settings } = configureBreaker(own, kind, caller)
  const made = once(makeBreaker(own, kind))
  return gate({ kind, name, settings }, Gates.guarded(Gates.later(made, Gates.ofBreaker), answer))
}

// ------------------------------------------------------------------------------------------------------- rate limiter

/**
 * Only so many requests in so much time, altogether or for each key. What comes too early is answered with 429, and all
 * responses say what is left.
 *
 * **When to use**
 *
 * To share what a server can do among its clients, and to keep one of them from using it all. For a limit on how many
 * requests run at a time, see {@link bulkhead}.
 *
 * **Fields**
 *
 * `RateLimit-Policy` has the limiter's name, its limit (`q`) and its time in whole seconds (`w`); `RateLimit` what is left
 * (`r`) and, when that is nothing, in how many seconds there is something (`t`). With several limiters each adds its own.
 * They are those of draft-ietf-httpapi-ratelimit-headers-11.
 *
 * Beside options it takes an instance, a tag, or a `RateLimiter.keyed` or its tag together with a `key`.
 *
 * Bad options throw an `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { RateLimiter } from "effect-resilience"
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const perTenant = HttpProtection.rateLimiter({
 *   name: "tenant",
 *   rate: RateLimiter.tokenBucket({ limit: 100, per: "1 minute" }),
 *   key: (request) => request.headers["x-tenant"]
 * })
 *
 * const app = HttpRouter.empty.pipe(
 *   HttpRouter.get("/offers", HttpServerResponse.text("an offer")),
 *   HttpRouter.use(perTenant)
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const rateLimiter: {
  <O = RateLimiterOptions | RateLimiter.Operations<unknown>>(
    options: Checked<O, RateLimiterOptions, RateLimiter.Operations<unknown>>
  ): Gate<NeededByGiven<O>>
  <Needed = never>(
    limiters: RateLimiter.KeyedOperations<Needed>,
    options: KeyedRateLimiterAnswering
  ): Gate<Needed>
  <Needed = never>(
    given: RateLimiter.Operations<Needed>,
    options: RateLimiterAnswering | undefined
  ): Gate<Needed>
} = (
  given: RateLimiter.Operations<unknown> | RateLimiter.KeyedOperations<unknown> | RateLimiterOptions,
  options: RateLimiterAnswering & Partial<KeyedRateLimiterAnswering> = {}
) => makeRateLimiter(given, options, { policy: "HttpProtection.rateLimiter" }) as Gate

const makeRateLimiter = (
  given: RateLimiter.Operations<unknown> | RateLimiter.KeyedOperations<unknown> | RateLimiterOptions,
  options: RateLimiterAnswering & Partial<KeyedRateLimiterAnswering>,
  caller: Caller
): Gate<unknown> => {
  const kind = "rate-limiter"
  const { path = "", policy } = caller
  if (isKeyed(given)) {
    object(policy, path, options, shapes.keyedAnswering)
    const { fields = "always", key, name = given.described.name } = options
    if (key === undefined) {
      throw new InvalidOption(
        policy,
        join(path, "key"),
        key,
        "a function of the request, for limiters by key"
      )
    }
    const limits = Gates.ofLimiters(name, Effect.succeed(given), key)
    const described: Policy.Described = { kind, name, settings: { key: "of the request" } }
    return gate(described, Gates.limited(limits, answering(options), fields))
  }
  if (isInstance(given)) {
    object(policy, path, options, shapes.limiterAnswering)
    const { name } = given.protect
    return gate(
      given.protect,
      Gates.limited(Gates.ofLimiter(name, given), answering(options), options.fields ?? "always")
    )
  }
  object(policy, path, given, shapes.rateLimiter)
  const { capacity, fields = "always", idleTimeToLive, key, respond, retryAfter, whenFull, ...own } = given
  const answer = answering({ respond, retryAfter })
  const { name, settings } = configureLimiter(own, kind, caller)
  if (key === undefined) {
    refuseBounds(caller, given)
    const made = once(makeLimiter(own, kind))
    const limits = Gates.ofLimiter(name, {
      acquire: () => Effect.flatMap(made, (limiter) => limiter.acquire()),
      snapshot: Effect.flatMap(made, (limiter) => limiter.snapshot)
    })
    return gate({ kind, name, settings }, Gates.limited(limits, answer, fields))
  }
  const made = once(limiters.keyed({ capacity, idleTimeToLive, whenFull, options: own }))
  const described: Policy.Described = { kind, name, settings: { ...settings, key: "of the request" } }
  return gate(described, Gates.limited(Gates.ofLimiters(name, made, key), answer, fields))
}

// ------------------------------------------------------------------------------------------------------------ timeout

/**
 * Ends requests that take too long, with 503 or 504.
 *
 * **When to use**
 *
 * Innermost, around what does the work. What stands further out (a breaker, a bulkhead) then sees a slow request as one
 * that failed with that status, and gets its place back.
 *
 * **Time line**
 *
 * At the limit the app is interrupted, also where the server runs it uninterruptibly; mark what has to come to its end with
 * `Effect.uninterruptible`. The answer is sent when the app's finalizers are done, or at once with `disconnect`. Whoever
 * leaves before interrupts the app in the same way.
 *
 * The limit is for the response and not for sending it. Around a server (`HttpServer.serve(app, timeout)`) it is for both,
 * and a response that has begun is cut off: the connection ends, so that nobody takes a part for the whole.
 *
 * Bad options throw an `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const app = HttpRouter.empty.pipe(
 *   HttpRouter.get("/report", HttpServerResponse.text("a report")),
 *   HttpRouter.use(HttpProtection.timeout("10 seconds"))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const timeout = <R = never>(options: DurationInput | TimeoutOptions<R>): Protection<R> =>
  makeTimeout(isTimeoutOptions(options) ? options : { limit: options }, { policy: "HttpProtection.timeout" })

const makeTimeout = <R>(given: TimeoutOptions<R>, caller: Caller): Protection<R> => {
  object(caller.policy, caller.path ?? "", given, shapes.timeout)
  const { disconnect, limit, name = "timeout", onTimeout, status = 503 } = given
  if (!Effect.isEffect(limit)) optionMillis(caller.policy, join(caller.path, "limit"), limit, aLimit)
  const answer = answering(given)
  const limited = Timeout.timeout<never, R, never, R>({
    limit,
    disconnect,
    name,
    onTimeout: onTimeout && ((event) => notifyShared(name, onTimeout, event))
  })
  const described: Policy.Described = { ...pick(limited), settings: { ...limited.settings, status } }
  return protection(described, <E, R2>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R2>) =>
    Effect.flatMap(ServerRequest, (request) => {
      let ended: Exit.Exit<HttpServerResponse.HttpServerResponse, E> | undefined
      // As an exit, so that a failure keeps what the app has set for its response, and only the timeout is an error.
      const body = Effect.map(Effect.exit(app), (exit) => (ended = exit))
      // The server runs its middleware uninterruptibly: then neither the limit nor a client that leaves would end the app.
      return Effect.matchEffect(
        Effect.zipRight(holdConnection(request), Effect.interruptible(limited(body))),
        {
          onSuccess: identity,
          onFailure: (error) => {
            if (isSending(request)) {
              // It may have been sent in the moment in which the limit passed.
              if (ended !== undefined) return ended
              cutOff(request)
            }
            return answer(error, { timeoutStatus: status })
          }
        }
      )
    })
  )
}

// A limit of zero would answer every request with an error.
const aLimit = { infinite: true }

const isTimeoutOptions = <R>(options: DurationInput | TimeoutOptions<R>): options is TimeoutOptions<R> =>
  isObject(options) && !Duration.isDuration(options)

// ------------------------------------------------------------------------------------------------------- request body

/**
 * Ends requests whose body does not arrive, with 408, so that a client that stops sending does not keep its place.
 *
 * **When to use**
 *
 * Innermost, inside of a bulkhead. {@link standard} has it by default.
 *
 * **Time line**
 *
 * A client stalls when it sends nothing for `stallTimeout` although the app would read on. An app that is slow to read is not
 * cut short, nor is one that has begun to answer, such as a handler that answers in a stream what it reads in a stream. The
 * app is interrupted, the answer is sent, and the connection closed.
 *
 * It acts on servers of Node.js, where a body can be watched while it arrives, and on requests that have one. On others it
 * does nothing.
 *
 * Bad options throw an `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const upload = Effect.map(
 *   Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => request.text),
 *   (text) => HttpServerResponse.text(`got ${text.length} characters`)
 * )
 *
 * const app = HttpRouter.empty.pipe(
 *   HttpRouter.post("/upload", upload),
 *   HttpRouter.use(HttpProtection.requestBody({ stallTimeout: "10 seconds", totalTimeout: "2 minutes" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const requestBody = <R = never>(options: RequestBodyOptions<R> = {}): Protection<R> =>
  makeRequestBody(options, { policy: "HttpProtection.requestBody" })

const makeRequestBody = <R>(options: RequestBodyOptions<R>, caller: Caller): Protection<R> => {
  object(caller.policy, caller.path ?? "", options, shapes.requestBody)
  const kind = "request-body"
  const { name = kind, onTimeout, respond, stallTimeout = "30 seconds", totalTimeout = Infinity } = options
  const limits = {
    stallTimeout: Duration.toMillis(stallTimeout),
    totalTimeout: Duration.toMillis(totalTimeout)
  }
  const settings = Record.map(limits, Duration.millis)
  const answer = answering({ respond })
  return protection(
    { kind, name, settings },
    received<R>({ name, ...limits, notify: (error) => notifyShared(name, onTimeout, error), answer })
  )
}

// ----------------------------------------------------------------------------------------------------------- standard

/**
 * The parts of {@link standard}: options, an instance or a tag, or a middleware that has been made. `false` leaves a part
 * out.
 *
 * @since 0.1.0
 * @category options
 */
export interface StandardOptions extends Answering {
  readonly rateLimiter?:
    RateLimiterOptions | RateLimiter.Operations<unknown> | Protection<unknown> | false | undefined
  readonly bulkhead?: BulkheadOptions | Bulkhead.Operations<unknown> | Protection<unknown> | false | undefined
  readonly circuitBreaker?:
    CircuitBreakerOptions | CircuitBreaker.Operations<unknown> | Protection<unknown> | false | undefined
  readonly timeout?: DurationInput | TimeoutOptions<unknown> | Protection<unknown> | false | undefined
  /** Default: {@link requestBody} with its defaults. */
  readonly requestBody?: RequestBodyOptions<unknown> | Protection<unknown> | false | undefined
}

/**
 * What the parts of {@link standard} need.
 *
 * @since 0.1.0
 * @category models
 */
export type NeededBy<O> = Flat<
  {
    [K in keyof O]-?: K extends keyof Answering ? never : NeededByPart<O[K]>
  }[keyof O]
>

type NeededByPart<V> =
  IsAny<V> extends true
    ? never
    : V extends { readonly [TypeId]: Types.Covariant<infer Needed> }
      ? Needed
      : V extends DurationInput | false | undefined
        ? never
        : NeededByGiven<V>

/**
 * All of them in the order in which they make sense, outermost first: rate limiter, bulkhead, circuit breaker, timeout,
 * request body. What is not given is left out, and costs nothing, except that a stalled body is always ended: pass
 * `requestBody: false` to leave that out, too.
 *
 * The limiter comes first because it costs least, and so that a client that has used up its quota takes no place. The
 * breaker is inside the bulkhead, so that it counts what was let in, and the timeout inside of both, so that a slow request
 * is a failure to the breaker and gives its place back.
 *
 * `respond` and `retryAfter` are for the parts that do not say them themselves; with a middleware that has been made they
 * have nothing to say.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { RateLimiter } from "effect-resilience"
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const app = HttpRouter.empty.pipe(
 *   HttpRouter.get("/offers", HttpServerResponse.text("an offer")),
 *   HttpProtection.standard({
 *     rateLimiter: { rate: RateLimiter.tokenBucket({ limit: 500, per: "1 second" }) },
 *     bulkhead: { permits: 100, maxQueued: 100, maxWait: "250 millis" },
 *     timeout: "10 seconds"
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const standard = <O>(options: Checked<O, StandardOptions>): Protection<NeededBy<O>> => {
  const policy = "HttpProtection.standard"
  object(policy, "", options, shapes.standard)
  const given: StandardOptions = options
  const shared: Answering = { respond: given.respond, retryAfter: given.retryAfter }
  const part = <Options extends object, Instance extends { readonly protect: unknown }>(
    option: keyof StandardOptions,
    value: Options | Instance | Protection<unknown> | false | undefined,
    make: (given: Options | Instance, options: Answering, caller: Caller) => Protection<unknown>
  ): ReadonlyArray<Protection<unknown>> => {
    if (value === undefined || value === false) return []
    if (isProtection(value)) return [value]
    const caller = { policy, path: option }
    if (isInstance(value)) return [make(value, shared, caller)]
    if (!isObject(value)) {
      throw new InvalidOption(policy, option, value, "options, an instance, a tag, a protection, or false")
    }
    return [make({ ...shared, ...value }, shared, caller)]
  }
  const limit = given.timeout
  const body = given.requestBody
  if (limit !== undefined && limit !== false && !isProtection(limit) && !isTimeoutOptions(limit)) {
    optionMillis(policy, "timeout", limit, aLimit)
  }
  const parts = [
    ...part<RateLimiterOptions, RateLimiter.Operations<unknown>>(
      "rateLimiter",
      given.rateLimiter,
      makeRateLimiter
    ),
    ...part<BulkheadOptions, Bulkhead.Operations<unknown>>("bulkhead", given.bulkhead, bulkheadGate),
    ...part<CircuitBreakerOptions, CircuitBreaker.Operations<unknown>>(
      "circuitBreaker",
      given.circuitBreaker,
      breakerGate
    ),
    ...(limit === undefined || limit === false
      ? []
      : isProtection(limit)
        ? [limit]
        : [
            makeTimeout(
              { ...shared, ...(isTimeoutOptions(limit) ? limit : { limit }) },
              { policy, path: "timeout" }
            )
          ]),
    ...(body === false
      ? []
      : isProtection(body)
        ? [body]
        : [
            makeRequestBody(
              body === undefined || isObject(body) ? { respond: given.respond, ...body } : body,
              { policy, path: "requestBody" }
            )
          ])
  ]
  const settings = { parts: [...parts].reverse() }
  return protection(
    { kind: "standard", name: "standard", settings },
    <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
      // What the parts need stands in the type of the result.
      parts.reduceRight<Effect.Effect<HttpServerResponse.HttpServerResponse, E, never>>(
        (inner, part) => part(inner) as typeof inner,
        app as Effect.Effect<HttpServerResponse.HttpServerResponse, E>
      )
  )
}

// ----------------------------------------------------------------------------------------------------- implementation

const limiterAnswering: Shape<RateLimiterAnswering> = {
  ...answeringShape,
  fields: among("always", "rejections", "never")
}

const shapes: {
  readonly bulkhead: Shape<BulkheadOptions>
  readonly circuitBreaker: Shape<CircuitBreakerOptions>
  readonly rateLimiter: Shape<RateLimiterOptions>
  readonly limiterAnswering: Shape<RateLimiterAnswering>
  readonly keyedAnswering: Shape<KeyedRateLimiterAnswering>
  readonly timeout: Shape<TimeoutOptions>
  readonly requestBody: Shape<RequestBodyOptions>
  readonly standard: Shape<StandardOptions>
} = {
  bulkhead: { ...bulkheadShape, ...answeringShape },
  circuitBreaker: { ...breakerShape, ...answeringShape },
  rateLimiter: { ...limiterShape, ...boundsShape, ...limiterAnswering, key: callable },
  limiterAnswering,
  keyedAnswering: { ...limiterAnswering, key: callable, name: text },
  timeout: {
    ...answeringShape,
    limit: whereRead,
    status: among(503, 504),
    disconnect: flag,
    name: text,
    onTimeout: callable
  },
  requestBody: {
    respond: callable,
    stallTimeout: duration(aLimit),
    totalTimeout: duration(aLimit),
    name: text,
    onTimeout: callable
  },
  standard: {
    ...answeringShape,
    requestBody: whereRead,
    rateLimiter: whereRead,
    bulkhead: whereRead,
    circuitBreaker: whereRead,
    timeout: whereRead
  }
}

const isInstance = <Instance extends { readonly protect: unknown }>(
  value: Instance | object
): value is Instance => Predicate.hasProperty(value, "protect")

const isProtection = (value: unknown): value is Protection<unknown> => Predicate.hasProperty(value, TypeId)

const pick = ({ kind, name, settings }: Policy.Described): Policy.Described => ({ kind, name, settings })

const protection = <Needed>(
  described: Policy.Described,
  around: <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ) => Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    E,
    R | Needed | HttpServerRequest.HttpServerRequest
  >
): Protection<Needed> =>
  Object.assign(Policy.make<typeof around>(described, around), { [TypeId]: identity<Needed> })

const gate = <Needed>(described: Policy.Described, { around, enter }: Gates.Gate<Needed>): Gate<Needed> =>
  Object.assign(protection<Needed>(pick(described), around), { enter })
