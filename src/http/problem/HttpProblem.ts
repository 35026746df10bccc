/**
 * How rejections are answered: with a status, `Retry-After`, `RateLimit` fields and a problem body (RFC 9457), all of which can
 * be replaced. Loading this module also makes the platform's error handling answer errors of policies so.
 *
 * @since 0.1.0
 */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { BulkheadFull } from "../../bulkhead/Bulkhead.js"
import type { CircuitOpen } from "../../circuitBreaker/CircuitBreaker.js"
import { among, defined, object, type Shape } from "../../core/options.js"
import { type DurationInput, duration, runtimeMillis } from "../../internal/duration.js"
import { respondable, slot } from "../../internal/respondable.js"
import type { RateLimitExceeded } from "../../rateLimiter/RateLimiter.js"
import type { TimeoutExceeded } from "../../timeout/Timeout.js"
import * as HttpFields from "./HttpFields.js"
import { spread } from "./spread.js"
import type { RequestBodyTimeout, ServerDraining } from "./errors.js"

type Response = HttpServerResponse.HttpServerResponse

/**
 * The errors by which a policy ends a request.
 *
 * @since 0.1.0
 * @category models
 */
export type PolicyError =
  RateLimitExceeded | BulkheadFull | CircuitOpen | TimeoutExceeded | ServerDraining | RequestBodyTimeout

/**
 * A problem body (RFC 9457).
 *
 * @since 0.1.0
 * @category models
 */
export interface Details {
  /** What kind of problem it is, as a URI. `about:blank` says no more than the status. */
  readonly type: string
  readonly title: string
  readonly status: number
  /** The policies that were violated, by the names they have in the `RateLimit` fields. */
  readonly "violated-policies"?: ReadonlyArray<string> | undefined
}

/**
 * What an answer depends on besides the error.
 *
 * @since 0.1.0
 * @category options
 */
export interface Options {
  /** What `Retry-After` says where the error does not know. At least one second is said. Default: 1 second. */
  readonly retryAfter?: DurationInput | undefined
  /** The status of `TimeoutExceeded`. Default: 503. */
  readonly timeoutStatus?: 503 | 504 | undefined
  /** The limiter as clients know it. Default: the name and the limit that are in the error. */
  readonly policy?: HttpFields.QuotaPolicy | undefined
  /** What is left of the limiter's quota. Default: nothing, until the time that is in the error. */
  readonly quota?: HttpFields.Quota | undefined
  /** Whether `RateLimit` and `RateLimit-Policy` are sent. Default: `true`. */
  readonly fields?: boolean | undefined
  /**
   * Whole seconds added to the estimated `Retry-After` of a full bulkhead, to spread clients. Middlewares and {@link respond} draw
   * it from 0 to 2, unless the bulkhead has a `retryAfterJitter` of 0. Default: 0.
   */
  readonly extraSeconds?: number | undefined
}

/**
 * Makes the response to a policy's error. It must be quick and without effects: a bulkhead or a breaker further out asks again to
 * learn the status. A defect in it is answered with 500.
 *
 * @since 0.1.0
 * @category models
 */
export interface Mapping {
  (error: PolicyError, options: Options): Effect.Effect<Response>
}

const tags: ReadonlySet<unknown> = new Set<PolicyError["_tag"]>([
  "RateLimitExceeded",
  "BulkheadFull",
  "CircuitOpen",
  "TimeoutExceeded",
  "ServerDraining",
  "RequestBodyTimeout"
])

/**
 * Whether a value is an error that this module answers, from any copy of the package.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpProblem } from "effect-resilience/http"
 *
 * const answered = Effect.catchIf(HttpProblem.isPolicyError, (error) => HttpProblem.respond(error))
 * ```
 *
 * @since 0.1.0
 * @category guards
 */
export const isPolicyError = <E>(u: E): u is E & PolicyError =>
  Predicate.hasProperty(u, respondable) && Predicate.hasProperty(u, "_tag") && tags.has(u._tag)

const quotaExceeded = "https://iana.org/assignments/http-problem-types#quota-exceeded"
const reducedCapacity = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
const defaultRetryAfter = 1000

/**
 * The problem body of an error.
 *
 * | Error                                           | Status     | Type                         |
 * | ----------------------------------------------- | ---------- | ---------------------------- |
 * | `RateLimitExceeded`                             | 429        | `quota-exceeded`             |
 * | `BulkheadFull`, `CircuitOpen`, `ServerDraining` | 503        | `temporary-reduced-capacity` |
 * | `TimeoutExceeded`                               | 503 or 504 | `about:blank`                |
 * | `RequestBodyTimeout`                            | 408        | `about:blank`                |
 *
 * Nothing of the error but the name of a limiter's policy is in it. The two types are those of
 * draft-ietf-httpapi-ratelimit-headers-11, section 5.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { HttpProblem } from "effect-resilience/http"
 *
 * const plain: HttpProblem.Mapping = (error, options) => {
 *   const { status, title } = HttpProblem.details(error, options)
 *   return HttpServerResponse.text(title, { status })
 * }
 * ```
 *
 * @since 0.1.0
 * @category answers
 */
export const details = (error: PolicyError, options: Options = {}): Details => {
  switch (error._tag) {
    case "RateLimitExceeded":
      return {
        type: quotaExceeded,
        title: "Request cannot be satisfied as assigned quota has been exceeded",
        status: 429,
        "violated-policies": [options.policy?.name ?? error.name]
      }
    case "BulkheadFull":
    case "CircuitOpen":
    case "ServerDraining":
      return {
        type: reducedCapacity,
        title: "Request cannot be satisfied due to temporary server capacity constraints",
        status: 503
      }
    case "TimeoutExceeded":
      return options.timeoutStatus === 504
        ? { type: "about:blank", title: "Gateway Timeout", status: 504 }
        : { type: "about:blank", title: "Service Unavailable", status: 503 }
    case "RequestBodyTimeout":
      return { type: "about:blank", title: "Request Timeout", status: 408 }
  }
}

/**
 * The answer to an error, as the default mapping gives it: the status and the body of {@link details}, `Cache-Control: no-store`,
 * `Retry-After` in whole seconds, rounded up, at least 1, and for `RateLimitExceeded` the fields `RateLimit` and
 * `RateLimit-Policy`. A call that costs more than can ever be admitted gets no `Retry-After`, nor does a 408: its client may come
 * back at once. To answer as the program has it configured, use {@link respond}.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { HttpProblem } from "effect-resilience/http"
 *
 * const help = `<https://status.example.com>; rel="help"`
 * const withHelp: HttpProblem.Mapping = (error, options) =>
 *   HttpServerResponse.setHeader(HttpProblem.toResponse(error, options), "link", help)
 * ```
 *
 * @since 0.1.0
 * @category answers
 */
export const toResponse = (error: PolicyError, options: Options = {}): Response => {
  const body = details(error, options)
  const headers: Record<string, string> = { "cache-control": "no-store" }
  const retryAfter = retryAfterMillis(error, options)
  if (retryAfter !== undefined) headers["retry-after"] = HttpFields.formatRetryAfter(Math.max(1, retryAfter))
  if (error._tag === "RateLimitExceeded" && options.fields !== false) {
    const policy = options.policy ?? { name: error.name, quota: error.limit }
    headers["ratelimit-policy"] = HttpFields.formatRateLimitPolicy([policy])
    const quota = options.quota ?? quotaOf(error, policy.name)
    if (quota !== undefined) headers["ratelimit"] = HttpFields.formatRateLimit([quota])
  }
  return HttpServerResponse.text(JSON.stringify(body), {
    status: body.status,
    headers,
    contentType: "application/problem+json"
  })
}

const retryAfterMillis = (error: PolicyError, options: Options): number | undefined => {
  if (error._tag === "RateLimitExceeded" && error.reason === "cost") return undefined
  if (error._tag === "RequestBodyTimeout") return undefined
  const known = error._tag === "TimeoutExceeded" ? undefined : error.retryAfter
  const wait = known ?? options.retryAfter
  const millis = (wait === undefined ? undefined : runtimeMillis(wait)) ?? defaultRetryAfter
  if (error._tag !== "BulkheadFull" || (known === undefined && options.retryAfter !== undefined))
    return millis
  return Math.max(1, Math.ceil(millis / 1000)) * 1000 + (options.extraSeconds ?? 0) * 1000
}

/** What the error alone knows to be left: nothing, when it is about a single permit. */
const quotaOf = (error: RateLimitExceeded, name: string): HttpFields.Quota | undefined =>
  error.cost === 1 && error.retryAfter !== undefined
    ? { name, available: 0, window: error.retryAfter }
    : undefined

/**
 * How the program answers errors of policies, the platform's error handling included. {@link toResponse} by default.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Layer } from "effect"
 * import { HttpProblem } from "effect-resilience/http"
 *
 * const Plain = Layer.succeed(HttpProblem.CurrentMapping, (error, options) =>
 *   HttpServerResponse.text("busy, come back later", { status: HttpProblem.details(error, options).status })
 * )
 * ```
 *
 * @since 0.1.0
 * @category mapping
 */
export class CurrentMapping extends Context.Reference<CurrentMapping>()(
  "effect-resilience/http/HttpProblem/CurrentMapping",
  { defaultValue: (): Mapping => toResponse }
) {}

/**
 * Other defaults for the answers of a server; the options of a middleware come first. Bad options are a defect of type
 * `InvalidOption`.
 *
 * @example
 * ```ts
 * import { HttpProblem } from "effect-resilience/http"
 *
 * const Answers = HttpProblem.layer({ timeoutStatus: 504, retryAfter: "5 seconds" })
 * ```
 *
 * @since 0.1.0
 * @category mapping
 */
export const layer = (options: Pick<Options, "retryAfter" | "timeoutStatus">): Layer.Layer<never> =>
  Layer.sync(CurrentMapping, () => {
    object("HttpProblem.layer", "", options, shape)
    return (error, given) => toResponse(error, { ...options, ...defined(given) })
  })

const shape: Shape<Pick<Options, "retryAfter" | "timeoutStatus">> = {
  retryAfter: duration(),
  timeoutStatus: among(503, 504)
}

/**
 * The answer to an error, by the mapping in force: {@link CurrentMapping}.
 *
 * @example
 * ```ts
 * import type { Timeout } from "effect-resilience"
 * import { HttpProblem } from "effect-resilience/http"
 *
 * const answer = (error: Timeout.TimeoutExceeded) => HttpProblem.respond(error, { timeoutStatus: 504 })
 * ```
 *
 * @since 0.1.0
 * @category answers
 */
export const respond = (error: PolicyError, options: Options = {}): Effect.Effect<Response> =>
  Effect.flatMap(CurrentMapping, (mapping) => spread(error, options, (spread) => mapping(error, spread)))

/** What the errors of policies answer by themselves. */
slot.answer = (error) => (isPolicyError(error) ? respond(error) : Effect.die(error))

/** A problem as a typed client sees it. The tag is not part of the body. */
interface Problem<Tag extends string, Type extends string, Status extends number> {
  readonly _tag: Tag
  readonly type: Type
  readonly title: string
  readonly status: Status
}

type ProblemSchema<P> = Schema.Schema<P, Omit<P, "_tag">>

/**
 * A problem body as an error of an `HttpApi`: the status for the server and the client, the content type, and a tag. Where
 * one status has two problems, their types tell them apart.
 */
const declared = <Tag extends string, A, I>(tag: Tag, status: number, body: Schema.Schema<A, I>) =>
  HttpApiSchema.withEncoding(
    body.pipe(
      Schema.attachPropertySignature("_tag", tag),
      Schema.annotations({ ...HttpApiSchema.annotations({ status }), identifier: tag })
    ),
    { kind: "Json", contentType: "application/problem+json" }
  )

/** A problem without members of its own. */
const plain = <Tag extends string, Type extends string, Status extends number>(
  tag: Tag,
  type: Type,
  status: Status
) =>
  declared(
    tag,
    status,
    Schema.Struct({ type: Schema.Literal(type), title: Schema.String, status: Schema.Literal(status) })
  )

/**
 * @since 0.1.0
 * @category schemas
 */
export interface QuotaExceeded extends Problem<"QuotaExceeded", typeof quotaExceeded, 429> {
  readonly "violated-policies": ReadonlyArray<string>
}

/**
 * A client has used up its quota (429). Declare it with `addError`, so that a client made from the API knows it.
 *
 * @example
 * ```ts
 * import { HttpApiEndpoint, HttpApiGroup } from "@effect/platform"
 * import { HttpProblem } from "effect-resilience/http"
 *
 * const offers = HttpApiGroup.make("offers")
 *   .add(HttpApiEndpoint.get("list", "/offers"))
 *   .addError(HttpProblem.QuotaExceeded)
 *   .addError(HttpProblem.TemporaryReducedCapacity)
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const QuotaExceeded: ProblemSchema<QuotaExceeded> = /*#__PURE__*/ (() =>
  declared(
    "QuotaExceeded",
    429,
    Schema.Struct({
      type: Schema.Literal(quotaExceeded),
      title: Schema.String,
      status: Schema.Literal(429),
      "violated-policies": Schema.Array(Schema.String)
    })
  ))()

/**
 * @since 0.1.0
 * @category schemas
 */
export interface TemporaryReducedCapacity extends Problem<
  "TemporaryReducedCapacity",
  typeof reducedCapacity,
  503
> {}

/**
 * The server can do less than usual (503): a bulkhead is full or a circuit is open. Declare it as {@link QuotaExceeded}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TemporaryReducedCapacity: ProblemSchema<TemporaryReducedCapacity> = /*#__PURE__*/ plain(
  "TemporaryReducedCapacity",
  reducedCapacity,
  503
)

/**
 * @since 0.1.0
 * @category schemas
 */
export interface ServiceUnavailable extends Problem<"ServiceUnavailable", "about:blank", 503> {}

/**
 * The server did not answer in time, and says so with a 503. Declare it as {@link QuotaExceeded}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ServiceUnavailable: ProblemSchema<ServiceUnavailable> = /*#__PURE__*/ plain(
  "ServiceUnavailable",
  "about:blank",
  503
)

/**
 * @since 0.1.0
 * @category schemas
 */
export interface GatewayTimeout extends Problem<"GatewayTimeout", "about:blank", 504> {}

/**
 * The server did not answer in time, and says so with a 504. Declare it as {@link QuotaExceeded}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const GatewayTimeout: ProblemSchema<GatewayTimeout> = /*#__PURE__*/ plain(
  "GatewayTimeout",
  "about:blank",
  504
)

/**
 * @since 0.1.0
 * @category schemas
 */
export interface RequestTimeout extends Problem<"RequestTimeout", "about:blank", 408> {}

/**
 * The body of the request did not arrive in time (408). Declare it as {@link QuotaExceeded}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RequestTimeout: ProblemSchema<RequestTimeout> = /*#__PURE__*/ plain(
  "RequestTimeout",
  "about:blank",
  408
)
