/**
 * Reads and writes `Retry-After` (RFC 9110, section 10.2.3), `RateLimit` and `RateLimit-Policy`
 * (draft-ietf-httpapi-ratelimit-headers-11).
 *
 * A malformed field is read as missing; no reader throws. `X-RateLimit-*` is not read: its reset is a number of seconds in one API
 * and a time in another.
 *
 * @since 0.1.0
 */
import type * as Headers from "@effect/platform/Headers"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Fields from "../../core/http/rateLimitFields.js"
import {
  retryAfterMillis,
  retryAfterSeconds,
  secondsToMillis,
  wholeSeconds
} from "../../core/http/retryAfter.js"
import type { DurationInput } from "../../internal/duration.js"

/**
 * What is left of a quota: an item of `RateLimit`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Quota {
  /** The name of the policy that the quota belongs to. */
  readonly name: string
  /** How much can still be used, in units of the policy (`r`). A whole number. */
  readonly available: number
  /** For how long no more than that can be used (`t`). In whole seconds: more precise ones are rounded up. */
  readonly window?: Duration.Duration | undefined
  /** The part of the server's capacity that is counted, such as that of one user (`pk`). */
  readonly partitionKey?: Uint8Array | undefined
}

/**
 * What a server allows: an item of `RateLimit-Policy`.
 *
 * @since 0.1.0
 * @category models
 */
export interface QuotaPolicy {
  /** The name that the items of `RateLimit` refer to. */
  readonly name: string
  /** How much can be used within a window (`q`). A whole number. */
  readonly quota: number
  /** What is counted (`qu`), such as `"content-bytes"` or `"concurrent-requests"`. Default: requests. */
  readonly unit?: string | undefined
  /** The length of a window (`w`). In whole seconds, at least one: more precise ones are rounded up. */
  readonly window?: Duration.Duration | undefined
  /** The part of the server's capacity that is counted, such as that of one user (`pk`). */
  readonly partitionKey?: Uint8Array | undefined
}

/**
 * How long `Retry-After` asks to wait. `now` is the time in milliseconds of the Unix epoch. {@link hint} also reads `RateLimit`.
 *
 * The field has a whole number of seconds (at most `Number.MAX_SAFE_INTEGER` milliseconds) or a date in a format of RFC 9110,
 * section 5.6.7. A date is compared with the `Date` of the response, which cancels the difference between the clocks, else with
 * `now`; a past one is zero.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { HttpFields } from "effect-resilience/http"
 *
 * const wait = HttpFields.retryAfter(Headers.fromInput({ "retry-after": "20" }), 0) // Some(20 seconds)
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const retryAfter = (headers: Headers.Headers, now: number): Option.Option<Duration.Duration> =>
  toOption(retryAfterMillis({ retryAfter: value(headers, "retry-after"), date: value(headers, "date") }, now))

/**
 * The quotas in `RateLimit`. One malformed item makes it empty. A response from a cache (with an `Age` above zero) has none,
 * because the field is about an earlier request.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { HttpFields } from "effect-resilience/http"
 *
 * // [{ name: "default", available: 50, window: 30 seconds }]
 * const quotas = HttpFields.rateLimit(Headers.fromInput({ ratelimit: `"default";r=50;t=30` }))
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const rateLimit = (headers: Headers.Headers): ReadonlyArray<Quota> =>
  quotasOf(headers).map(withDuration)

/**
 * The policies in `RateLimit-Policy`, read as {@link rateLimit} reads its field.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { HttpFields } from "effect-resilience/http"
 *
 * // [{ name: "burst", quota: 100, window: 1 minute }]
 * const policies = HttpFields.rateLimitPolicy(Headers.fromInput({ "ratelimit-policy": `"burst";q=100;w=60` }))
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const rateLimitPolicy = (headers: Headers.Headers): ReadonlyArray<QuotaPolicy> =>
  isCurrent(headers) ? Fields.parseRateLimitPolicy(value(headers, "ratelimit-policy")).map(withDuration) : []

/**
 * How long `RateLimit` leaves no quota: the longest window of the items with nothing left.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { HttpFields } from "effect-resilience/http"
 *
 * // Some(10 seconds)
 * const wait = HttpFields.quotaHint(Headers.fromInput({ ratelimit: `"burst";r=0;t=10, "daily";r=700;t=3600` }))
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const quotaHint = (headers: Headers.Headers): Option.Option<Duration.Duration> =>
  toOption(Fields.quotaHint(quotasOf(headers)))

/**
 * How long to leave the server alone: {@link retryAfter}, else {@link quotaHint}. `now` is the time in milliseconds of the Unix
 * epoch. A server can ask for a year, so bound the wait.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { HttpFields } from "effect-resilience/http"
 *
 * // Some(2 minutes)
 * const wait = HttpFields.hint(Headers.fromInput({ "retry-after": "120", ratelimit: `"default";r=0;t=60` }), 0)
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const hint = (headers: Headers.Headers, now: number): Option.Option<Duration.Duration> =>
  Option.orElse(retryAfter(headers, now), () => quotaHint(headers))

/**
 * The value of a `Retry-After`, in whole seconds, rounded up. An infinite duration becomes the longest that {@link retryAfter} reads.
 *
 * @example
 * ```ts
 * import { HttpFields } from "effect-resilience/http"
 *
 * const headers = { "retry-after": HttpFields.formatRetryAfter("1500 millis") } // "2"
 * ```
 *
 * @since 0.1.0
 * @category writing
 */
export const formatRetryAfter = (duration: DurationInput): string =>
  retryAfterSeconds(Duration.toMillis(duration))

/**
 * The value of a `RateLimit` field; empty without items. It is always valid: a character that is not printable ASCII becomes `?`,
 * the quota is rounded down and a window up, and both are held between 0 and the largest number of a structured field.
 *
 * @example
 * ```ts
 * import { Duration } from "effect"
 * import { HttpFields } from "effect-resilience/http"
 *
 * // `"default";r=50;t=30`
 * const ratelimit = HttpFields.formatRateLimit([{ name: "default", available: 50, window: Duration.seconds(30) }])
 * ```
 *
 * @since 0.1.0
 * @category writing
 */
export const formatRateLimit = (quotas: ReadonlyArray<Quota>): string =>
  Fields.formatRateLimit(quotas.map(withSeconds))

/**
 * The value of a `RateLimit-Policy` field, made valid as by {@link formatRateLimit}. A window has at least one second.
 *
 * @example
 * ```ts
 * import { HttpFields } from "effect-resilience/http"
 *
 * // `"upload";q=1000000;qu="content-bytes"`
 * const policy = HttpFields.formatRateLimitPolicy([{ name: "upload", quota: 1_000_000, unit: "content-bytes" }])
 * ```
 *
 * @since 0.1.0
 * @category writing
 */
export const formatRateLimitPolicy = (policies: ReadonlyArray<QuotaPolicy>): string =>
  Fields.formatRateLimitPolicy(policies.map(withSeconds))

const value = (headers: Headers.Headers, name: string): string | undefined => headers[name]

const isCurrent = (headers: Headers.Headers): boolean => !Fields.isFromCache(value(headers, "age"))

const quotasOf = (headers: Headers.Headers): ReadonlyArray<Fields.Quota> =>
  isCurrent(headers) ? Fields.parseRateLimit(value(headers, "ratelimit")) : []

const toOption = (millis: number | undefined): Option.Option<Duration.Duration> =>
  Option.map(Option.fromNullable(millis), Duration.millis)

const withDuration = <A extends { readonly windowSeconds?: number | undefined }>({
  windowSeconds,
  ...rest
}: A) =>
  windowSeconds === undefined ? rest : { ...rest, window: Duration.millis(secondsToMillis(windowSeconds)) }

const withSeconds = <A extends { readonly window?: Duration.Duration | undefined }>({
  window,
  ...rest
}: A) => (window === undefined ? rest : { ...rest, windowSeconds: wholeSeconds(Duration.toMillis(window)) })
