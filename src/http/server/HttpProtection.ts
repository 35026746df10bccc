/**
 * Policies in front of a server: a rate limiter, a bulkhead, a circuit breaker and a timeout as middleware. Rejections are
 * answered with a status, `Retry-After` and a problem body. Bad options throw an `InvalidOption`.
 *
 * @since 0.1.0
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { identity } from "effect/Function"
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
  isObject,
  join,
  object,
  type Shape,
  text,
  whereRead
} from "../../core/options.js"
import { type DurationInput, duration, isOptions, optionMillis } from "../../internal/duration.js"
import { after, notifyShared } from "../../internal/listeners.js"
import { withoutStack } from "../../policy/define.js"
import type { Flat, IsAny, NeededByGiven, Checked } from "../../policy/types.js"
import * as Policy from "../../policy/Policy.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import { telling } from "../../timeout/telling.js"
import * as Timeout from "../../timeout/Timeout.js"
import type { Answering } from "./answer.js"
import { answering, answeringShape } from "./answer.js"
import * as Admission from "./admission.js"
import * as Shared from "../internal/shared.js"
import type { RequestBodyTimeout } from "../problem/errors.js"
import { holdConnection } from "./incoming.js"
import { received } from "./requestBody.js"
import { cutOff, isSending } from "./sending.js"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

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

/**
 * A middleware that may require a service and adds no error. Apply it with `pipe`, or give it to `HttpServer.serve`,
 * `HttpRouter.use`, `HttpLayerRouter.middleware` or `HttpApiBuilder.middleware`.
 *
 * A part owns its state: all apps with the same part share its permits and its quota.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const app = HttpRouter.empty.pipe(
 *   HttpRouter.get("/report", HttpServerResponse.text("a report")),
 *   HttpRouter.use(HttpProtection.bulkhead({ permits: 10 }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Part<out Needed = never> extends Policy.Described {
  readonly [TypeId]: Types.Covariant<Needed>
  <E, R>(app: Effect.Effect<Response, E, R>): Effect.Effect<Response, E, R | Needed | Request>
}

/**
 * A middleware that admits or rejects requests, around an app or before its handler: in the middleware of an `HttpApi` group.
 *
 * @since 0.1.0
 * @category models
 */
export interface AdmissionPart<out Needed = never> extends Part<Needed> {
  /** Admits the request, or ends it with its answer. Permits are released when the response is sent or the client is gone. */
  readonly enter: Effect.Effect<void, never, Request | Scope.Scope | Needed>
}

/**
 * The end of a request: the result that the listeners of a bulkhead and a breaker see.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answered {
  /** The status that the client gets. */
  readonly status: number
  readonly exit: Exit.Exit<Response, unknown>
}

/**
 * @since 0.1.0
 * @category errors
 */
export { RequestBodyTimeout } from "../problem/errors.js"

/**
 * @since 0.1.0
 * @category options
 */
export type { Answering } from "./answer.js"

/**
 * The key of a request: its tenant, its address, its API key. A request without a key goes through unprotected. No client sees it.
 *
 * @since 0.1.0
 * @category options
 */
export type KeyOf = (request: Request) => string | undefined

/**
 * @since 0.1.0
 * @category options
 */
export interface KeyOptions {
  /** Gives the requests of each key an instance of their own. Default: one for all requests. */
  readonly key?: KeyOf | undefined
}

/**
 * How keyed policies that are made elsewhere are used, and how they answer.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyedAnswering extends Answering {
  readonly key: KeyOf
}

/**
 * @since 0.1.0
 * @category options
 */
export interface BulkheadOptions extends Bulkhead.Options, Policy.Bounds, KeyOptions, Answering {}

/**
 * @since 0.1.0
 * @category options
 */
export interface CircuitBreakerOptions extends CircuitBreaker.Options, Policy.Bounds, KeyOptions, Answering {}

/**
 * @since 0.1.0
 * @category options
 */
export interface RateLimiterAnswering extends Answering {
  /** Which responses to limited requests carry `RateLimit` and `RateLimit-Policy`. Default: `"always"`. */
  readonly fields?: "always" | "rejections" | "never" | undefined
}

/**
 * How keyed limiters that are made elsewhere are used, and how they answer.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyedRateLimiterAnswering extends RateLimiterAnswering, KeyedAnswering {
  /** The name in `RateLimit` fields. Default: that of the limiters, without a key. */
  readonly name?: string | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface RateLimiterOptions
  extends RateLimiter.Options, Policy.Bounds, KeyOptions, RateLimiterAnswering {}

/**
 * @since 0.1.0
 * @category options
 */
export interface TimeoutOptions<R = never> extends Answering {
  /** How long a request may take: a duration, or an effect that computes one. */
  readonly limit: DurationInput | Effect.Effect<DurationInput, never, R>
  /** The status of the answer; 504 suits a gateway. Default: 503. */
  readonly status?: 503 | 504 | undefined
  /** Answer at the limit, without waiting for the app's finalizers. Default: `false`. */
  readonly disconnect?: boolean | undefined
  /** The name in the error and in events. Default: `"timeout"`. */
  readonly name?: string | undefined
  /** Called before the answer. The failure of a listener is logged. */
  readonly onTimeout?: ((event: Timeout.TimedOut) => Effect.Effect<unknown, unknown, R>) | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface RequestBodyOptions<R = never> extends Pick<Answering, "respond"> {
  /** How long a client may stall while its body is read, measured to an eighth. Default: 30 seconds. */
  readonly stallTimeout?: DurationInput | undefined
  /** How long the whole body may take. Default: no limit besides the server's `requestTimeout` (Node.js: 5 minutes). */
  readonly totalTimeout?: DurationInput | undefined
  /** The name in the error and in events. Default: `"request-body"`. */
  readonly name?: string | undefined
  /** Called before the answer. The failure of a listener is logged. */
  readonly onTimeout?: ((event: RequestBodyTimeout) => Effect.Effect<unknown, unknown, R>) | undefined
}

/**
 * Limits how many requests run at a time and how many queue. A request without a permit is answered with 503.
 *
 * Options make a bulkhead for the middleware, with a `key` one per key; an instance, a keyed one with a `key`, or the tag of either
 * is shared.
 *
 * A request holds its permit until the app has its response, and around a server (`HttpServer.serve(app, bulkhead)`) until the
 * response is sent. A client that leaves frees its permit or its place in the queue at once.
 *
 * @example
 * ```ts
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const bulkhead = HttpProtection.bulkhead({ permits: 10, maxQueued: 20, maxWait: "500 millis" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const bulkhead: {
  <O = BulkheadOptions | Bulkhead.Operations<unknown>>(
    options: Checked<O, BulkheadOptions, Bulkhead.Operations<unknown>>
  ): AdmissionPart<NeededByGiven<O>>
  <Needed = never>(given: Bulkhead.KeyedOperations<Needed>, options: KeyedAnswering): AdmissionPart<Needed>
  <Needed = never>(given: Bulkhead.Operations<Needed>, options: Answering | undefined): AdmissionPart<Needed>
} = (given: object, options: Answering = {}) =>
  bulkheadPart(given, options, { policy: "HttpProtection.bulkhead" }) as AdmissionPart

/**
 * Rejects requests that would fail: after too many answers with a status from 500 on, it answers 503 until a probe succeeds. Takes
 * the same as {@link bulkhead}.
 *
 * **When to use**: around routes that are useless without a failing dependency. If only one call of a handler fails, put a breaker
 * around that call.
 *
 * **What counts**: the status that the client gets, from a response or an error. From 500 on it is a failure, any other is a
 * success. A request whose client left is ignored, and so is one that a part further inside rejected.
 *
 * @example
 * ```ts
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const circuitBreaker = HttpProtection.circuitBreaker({ openFor: "15 seconds" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const circuitBreaker: {
  (): AdmissionPart
  <O = CircuitBreakerOptions | CircuitBreaker.Operations<unknown>>(
    options: Checked<O, CircuitBreakerOptions, CircuitBreaker.Operations<unknown>>
  ): AdmissionPart<NeededByGiven<O>>
  <Needed = never>(
    breakers: CircuitBreaker.KeyedOperations<Needed>,
    options: KeyedAnswering
  ): AdmissionPart<Needed>
  <Needed = never>(
    given: CircuitBreaker.Operations<Needed>,
    options: Answering | undefined
  ): AdmissionPart<Needed>
} = (given: object = {}, options: Answering = {}) =>
  breakerPart(given, options, { policy: "HttpProtection.circuitBreaker" }) as AdmissionPart

/**
 * Limits how many requests are admitted per time, in all or for each key. Others are answered with 429, and all responses say
 * what is left. Takes the same as {@link bulkhead}.
 *
 * The fields are those of draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy` has the limiter's name, its limit (`q`) and
 * its time in whole seconds (`w`); `RateLimit` what is left (`r`), and if nothing is, for how many seconds (`t`). Each limiter adds
 * its own.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-resilience"
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const perTenant = HttpProtection.rateLimiter({
 *   name: "tenant",
 *   rate: RateLimiter.tokenBucket({ limit: 100, per: "1 minute" }),
 *   key: (request) => request.headers["x-tenant"]
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const rateLimiter: {
  <O = RateLimiterOptions | RateLimiter.Operations<unknown>>(
    options: Checked<O, RateLimiterOptions, RateLimiter.Operations<unknown>>
  ): AdmissionPart<NeededByGiven<O>>
  <Needed = never>(
    limiters: RateLimiter.KeyedOperations<Needed>,
    options: KeyedRateLimiterAnswering
  ): AdmissionPart<Needed>
  <Needed = never>(
    given: RateLimiter.Operations<Needed>,
    options: RateLimiterAnswering | undefined
  ): AdmissionPart<Needed>
} = (given: object, options: RateLimiterAnswering = {}) =>
  limiterPart(given, options, { policy: "HttpProtection.rateLimiter" }) as AdmissionPart

const limiterPart: MakeAdmission = (value, use, caller) => {
  const given: ServerGiven<RateLimiterAnswering, KeyOptions & Pick<KeyedRateLimiterAnswering, "name">> = {
    caller,
    value,
    use,
    own: limiterAnswering,
    ownByKey: { ...ownByKey, name: text }
  }
  const { described, of, own } = Shared.resolve(Shared.rateLimiter, given)
  const { fields = "always", name = described.name } = own
  const limits = Admission.limited(of(Admission.ofLimiter), name, answering(own), fields)
  return admitting({ ...pick(described), name }, limits)
}

const guarding =
  <Options extends object, Operations extends { readonly protect: Policy.Described }>(
    kind: Shared.Kind<Options, Operations>,
    guardOf: (operations: Operations) => Admission.Guard
  ): MakeAdmission =>
  (value, use, caller) => {
    const given: ServerGiven<Answering, KeyOptions> = { caller, value, use, own: answeringShape, ownByKey }
    const { described, of, own } = Shared.resolve(kind, given)
    return admitting(described, Admission.guarded(of(guardOf), answering(own)))
  }

const bulkheadPart = guarding(Shared.bulkhead, Admission.ofBulkhead)
const breakerPart = guarding(Shared.circuitBreaker, Admission.ofBreaker)

type ServerGiven<Own, ByKey extends KeyOptions> = Shared.Given<Request, Own, ByKey>

/** Makes a part of what was given, by the options of its user or, where it is made elsewhere, by those beside it. */
type MakeAdmission = (value: object, use: object, caller: Caller) => AdmissionPart<unknown>

/**
 * Answers requests that take too long with 503 or 504.
 *
 * **When to use**: innermost, around the app. A breaker and a bulkhead further out then see a slow request fail with that status.
 *
 * **Time line**: at the limit the app is interrupted, also where the server runs it uninterruptibly; `Effect.uninterruptible`
 * protects what must not be. The answer is sent when the app's finalizers are done, or at once with `disconnect`. A client that
 * leaves interrupts the app, too. Around a server (`HttpServer.serve(app, timeout)`) the limit also covers sending: the connection
 * of a response that has begun is closed, so that no client takes a part for the whole.
 *
 * @example
 * ```ts
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const timeout = HttpProtection.timeout("10 seconds")
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const timeout = <R = never>(options: DurationInput | TimeoutOptions<R>): Part<R> =>
  makeTimeout(options, { policy: "HttpProtection.timeout" })

const makeTimeout = <R>(
  input: DurationInput | TimeoutOptions<R>,
  { path, policy }: Caller,
  shared: Answering = {}
): Part<R> => {
  const isBare = !isOptions(input)
  const given = { ...shared, ...(isBare ? { limit: input } : input) }
  object(policy, path ?? "", given, timeoutShape)
  const { disconnect, limit, name = "timeout", onTimeout, status = 503 } = given
  if (!Effect.isEffect(limit)) {
    optionMillis(policy, isBare ? (path ?? "limit") : join(path, "limit"), limit, aLimit)
  }
  const answer = answering(given)
  const limited = Timeout.timeout<never, R, never, R>({
    limit,
    disconnect,
    name,
    onTimeout: onTimeout && ((event) => notifyShared(name, onTimeout, event))
  })
  const described: Policy.Described = { ...pick(limited), settings: { ...limited.settings, status } }
  return making(described, (request, app) => {
    let ended: Exit.Exit<Response, unknown> | undefined
    // As an exit, so that a failure keeps what the app has set for its response, and only the timeout is an error.
    const body = Effect.map(Effect.exit(app), (exit) => (ended = exit))
    // The server runs its middleware uninterruptibly: then neither the limit nor a client that leaves would end the app.
    const answered = Effect.matchEffect(Effect.interruptible(limited(body)), {
      onSuccess: identity,
      onFailure: (error) => {
        if (isSending(request)) {
          // It may have been sent in the moment in which the limit passed.
          if (ended !== undefined) return ended
          cutOff(request)
        }
        return answer(error, { timeoutStatus: status })
      }
    })
    return holdConnection(request, answered)
  })
}

// A limit of zero would answer every request with an error.
const aLimit = { infinite: true }

/**
 * Answers requests whose body does not arrive with 408, so that a client that stops sending keeps no permit. It belongs inside a
 * bulkhead; {@link standard} has it by default.
 *
 * A client stalls if it sends nothing for `stallTimeout` while the app waits for its body. The app is interrupted, the answer
 * sent, and the connection closed. An app that reads slowly, or has begun to answer, goes on. It needs a server of Node.js, where a
 * body can be watched, and does nothing elsewhere.
 *
 * @example
 * ```ts
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const requestBody = HttpProtection.requestBody({ stallTimeout: "10 seconds", totalTimeout: "2 minutes" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const requestBody = <R = never>(options: RequestBodyOptions<R> = {}): Part<R> =>
  makeRequestBody(options, { policy: "HttpProtection.requestBody" })

const makeRequestBody = <R>(options: RequestBodyOptions<R>, caller: Caller): Part<R> => {
  object(caller.policy, caller.path ?? "", options, requestBodyShape)
  const kind = "request-body"
  const { name = kind, onTimeout, respond, stallTimeout = "30 seconds", totalTimeout = Infinity } = options
  const limits = {
    stallTimeout: Duration.toMillis(stallTimeout),
    totalTimeout: Duration.toMillis(totalTimeout)
  }
  const settings = Record.map(limits, Duration.millis)
  const answer = answering({ respond })
  // The listener gets an error of its own, so this is for the observer.
  const observe = telling<never, unknown>(name, {})
  const notify = (error: RequestBodyTimeout) => {
    const { limit } = error
    const exceeded = withoutStack(() => new Timeout.TimeoutExceeded({ name, limit, elapsed: limit }))
    return after(observe(exceeded), notifyShared(name, onTimeout, error))
  }
  return making({ kind, name, settings }, received({ name, ...limits, notify, answer }))
}

/**
 * The parts of {@link standard}: options, an instance, a tag, a part, or `false` for none. A keyed policy that is made elsewhere
 * needs a `key`, so it goes in as a part.
 *
 * @since 0.1.0
 * @category options
 */
export interface StandardOptions extends Answering {
  readonly rateLimiter?:
    RateLimiterOptions | RateLimiter.Operations<unknown> | Part<unknown> | false | undefined
  readonly bulkhead?: BulkheadOptions | Bulkhead.Operations<unknown> | Part<unknown> | false | undefined
  readonly circuitBreaker?:
    CircuitBreakerOptions | CircuitBreaker.Operations<unknown> | Part<unknown> | false | undefined
  readonly timeout?: DurationInput | TimeoutOptions<unknown> | Part<unknown> | false | undefined
  /** Default: {@link requestBody} with its defaults. */
  readonly requestBody?: RequestBodyOptions<unknown> | Part<unknown> | false | undefined
}

/**
 * What the parts of {@link standard} need.
 *
 * @since 0.1.0
 * @category models
 */
export type NeededBy<O> = Flat<
  { [K in keyof O]-?: K extends keyof Answering ? never : NeededByPart<O[K]> }[keyof O]
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
 * All parts in order, outermost first: rate limiter, bulkhead, circuit breaker, timeout, request body. A part that is not given is
 * left out, except for `requestBody`, which is on unless it is `false`. `respond` and `retryAfter` are defaults for all parts.
 *
 * The limiter is cheapest and comes first, so a client without quota takes no permit. The breaker is inside the bulkhead, so it
 * counts admitted requests. The timeout is innermost, so a slow request is a failure to the breaker and its permit is released.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "effect-resilience"
 * import { HttpProtection } from "effect-resilience/http"
 *
 * const standard = HttpProtection.standard({
 *   rateLimiter: { rate: RateLimiter.tokenBucket({ limit: 500, per: "1 second" }) },
 *   bulkhead: { permits: 100, maxQueued: 100, maxWait: "250 millis" },
 *   timeout: "10 seconds"
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const standard = <O>(options: Checked<O, StandardOptions>): Part<NeededBy<O>> => {
  const policy = "HttpProtection.standard"
  object(policy, "", options, standardShape)
  const given: StandardOptions = options
  const shared: Answering = { respond: given.respond, retryAfter: given.retryAfter }
  const place = Shared.places(policy, isPart)
  const admissionIn =
    (make: MakeAdmission) =>
    (value: object, caller: Caller): Part<unknown> =>
      make(Shared.isMade(value) ? value : { ...shared, ...value }, shared, caller)
  const parts = [
    ...place("rateLimiter", given.rateLimiter, admissionIn(limiterPart)),
    ...place("bulkhead", given.bulkhead, admissionIn(bulkheadPart)),
    ...place("circuitBreaker", given.circuitBreaker, admissionIn(breakerPart)),
    ...place(
      "timeout",
      given.timeout,
      (limit, caller) => makeTimeout(limit, caller, shared),
      Shared.isWhereRead
    ),
    ...place(
      "requestBody",
      given.requestBody === undefined ? {} : given.requestBody,
      (body, caller) => makeRequestBody(isObject(body) ? { respond: given.respond, ...body } : body, caller),
      Shared.isWhereRead
    )
  ]
  const settings = { parts: [...parts].reverse() }
  const all = parts.reduceRight<Admission.Around>((inner, part) => {
    const outer = aroundOf(part)
    return inner === nothing ? outer : (request, app) => outer(request, inner(request, app))
  }, nothing)
  return making({ kind: "standard", name: "standard", settings }, all)
}

const limiterAnswering: Shape<RateLimiterAnswering> = {
  ...answeringShape,
  fields: among("always", "rejections", "never")
}

const ownByKey: Shape<KeyOptions> = { key: callable }

const timeoutShape: Shape<TimeoutOptions> = {
  ...answeringShape,
  limit: whereRead,
  status: among(503, 504),
  disconnect: flag,
  name: text,
  onTimeout: callable
}

const requestBodyShape: Shape<RequestBodyOptions> = {
  respond: callable,
  stallTimeout: duration(aLimit),
  totalTimeout: duration(aLimit),
  name: text,
  onTimeout: callable
}

const standardShape: Shape<StandardOptions> = {
  ...answeringShape,
  requestBody: whereRead,
  rateLimiter: whereRead,
  bulkhead: whereRead,
  circuitBreaker: whereRead,
  timeout: whereRead
}

const isPart = (value: unknown): value is Part<unknown> => typeof value === "function" && TypeId in value

const pick = ({ kind, name, settings }: Policy.Described): Policy.Described => ({ kind, name, settings })

const around: unique symbol = Symbol()

const nothing: Admission.Around = (_, app) => app

/** What a middleware does with a request that has been found already. */
const aroundOf = (policy: Part<unknown>): Admission.Around =>
  (policy as { readonly [around]?: Admission.Around })[around] ?? ((_, app) => policy(app))

/** Makes a middleware. What goes in comes out, and what it needs stands where it is called. */
const making = <Needed>(described: Policy.Described, does: Admission.Around): Part<Needed> =>
  Object.assign(
    Policy.make(described, ((app: Parameters<Admission.Around>[1]) =>
      does === nothing
        ? app
        : Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => does(request, app))) as never),
    { [TypeId]: identity<Needed>, [around]: does }
  )

const admitting = (
  described: Policy.Described,
  { around, enter }: Admission.Admission
): AdmissionPart<unknown> =>
  Object.assign(making<unknown>(pick(described), around), { enter: enter as AdmissionPart["enter"] })
