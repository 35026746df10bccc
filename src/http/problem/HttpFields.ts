/**
 * The response fields in which a server says how long to stay away and what it allows: `Retry-After` (RFC 9110, section
 * 10.2.3), `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11). Read and written, and nothing
 * else: what to do about them is up to a policy.
 *
 * A field that breaks its rules is read as if it were missing. No reader here throws, whatever the field.
 *
 * The older `X-RateLimit-Remaining` and `X-RateLimit-Reset` are not read. They have no specification: their reset is a
 * number of seconds for one API and a time of the Unix epoch for another, and nothing in a response tells which.
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
  /**
   * What is counted (`qu`): `"requests"`, `"content-bytes"`, `"concurrent-requests"` or what else is registered.
   * Requests, when the server does not say.
   */
  readonly unit?: string | undefined
  /** The length of a window (`w`). In whole seconds, at least one: more precise ones are rounded up. */
  readonly window?: Duration.Duration | undefined
  /** The part of the server's capacity that is counted, such as that of one user (`pk`). */
  readonly partitionKey?: Uint8Array | undefined
}

/**
 * How long `Retry-After` asks to wait. `now` is the time in milliseconds of the Unix epoch, as `Clock` has it.
 *
 * **When to use**
 *
 * To build a policy of your own on the field. To know how long to leave a server alone, whichever field says it, ask
 * {@link hint}.
 *
 * **What it reads**
 *
 * - Seconds: a whole number without a sign. A wait that is longer than `Number.MAX_SAFE_INTEGER` milliseconds is cut to it.
 * - A date, in the three formats of RFC 9110, section 5.6.7. It is compared with the `Date` of the same response, which
 *   takes the difference between the clocks away, and with `now` only when there is none. A date that has passed is zero.
 *
 * Everything else is nothing, several values in one response included: the field has one.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { Clock, Effect } from "effect"
 * import { HttpFields } from "effect-resilience/http"
 *
 * const headers = Headers.fromInput({
 *   date: "Sun, 06 Nov 1994 08:49:37 GMT",
 *   "retry-after": "Sun, 06 Nov 1994 08:49:57 GMT"
 * })
 *
 * // Some(20 seconds), whatever the clock of this machine says
 * const wait = Effect.map(Clock.currentTimeMillis, (now) => HttpFields.retryAfter(headers, now))
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const retryAfter = (headers: Headers.Headers, now: number): Option.Option<Duration.Duration> =>
  toOption(retryAfterMillis({ retryAfter: value(headers, "retry-after"), date: value(headers, "date") }, now))

/**
 * What is left of the quotas that a response names in `RateLimit`: nothing when the field is missing or malformed, which
 * one wrong item is enough for. Parameters that are not in the draft are passed over.
 *
 * The field is ignored on a response from a cache, which is one with an `Age` above zero: it speaks of an earlier
 * request.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { HttpFields } from "effect-resilience/http"
 *
 * const headers = Headers.fromInput({ ratelimit: `"default";r=50;t=30` })
 *
 * // [{ name: "default", available: 50, window: 30 seconds }]
 * const quotas = HttpFields.rateLimit(headers)
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const rateLimit = (headers: Headers.Headers): ReadonlyArray<Quota> =>
  quotasOf(headers).map(withDuration)

/**
 * The policies that a response names in `RateLimit-Policy`, read as {@link rateLimit} reads its field.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { HttpFields } from "effect-resilience/http"
 *
 * const headers = Headers.fromInput({ "ratelimit-policy": `"burst";q=100;w=60, "daily";q=1000;w=86400` })
 *
 * // [{ name: "burst", quota: 100, window: 1 minute }, { name: "daily", quota: 1000, window: 1 day }]
 * const policies = HttpFields.rateLimitPolicy(headers)
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const rateLimitPolicy = (headers: Headers.Headers): ReadonlyArray<QuotaPolicy> =>
  isCurrent(headers) ? Fields.parseRateLimitPolicy(value(headers, "ratelimit-policy")).map(withDuration) : []

/**
 * How long there is no quota according to `RateLimit`: the longest window among the items that have nothing left. Nothing
 * when there is quota, or when no item says for how long there is none.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { HttpFields } from "effect-resilience/http"
 *
 * const headers = Headers.fromInput({ ratelimit: `"burst";r=0;t=10, "daily";r=700;t=3600` })
 *
 * // Some(10 seconds)
 * const wait = HttpFields.quotaHint(headers)
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const quotaHint = (headers: Headers.Headers): Option.Option<Duration.Duration> =>
  toOption(Fields.quotaHint(quotasOf(headers)))

/**
 * How long to leave the server alone: what `Retry-After` says, as {@link retryAfter} reads it, else {@link quotaHint}.
 * The draft gives them this precedence. `now` is the time in milliseconds of the Unix epoch.
 *
 * **When to use**
 *
 * For the delay before a retry, or for how long a circuit stays open. It is the server's word and can be a year: bound
 * it.
 *
 * @example
 * ```ts
 * import { Headers } from "@effect/platform"
 * import { HttpFields } from "effect-resilience/http"
 *
 * const headers = Headers.fromInput({ "retry-after": "120", ratelimit: `"default";r=0;t=60` })
 *
 * // Some(2 minutes)
 * const wait = HttpFields.hint(headers, 0)
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const hint = (headers: Headers.Headers, now: number): Option.Option<Duration.Duration> =>
  Option.orElse(retryAfter(headers, now), () => quotaHint(headers))

/**
 * The value of a `Retry-After` that asks for a wait of this length: in whole seconds, rounded up, so that nobody comes
 * back too early. An infinite duration is written as the longest one that {@link retryAfter} reads.
 *
 * @example
 * ```ts
 * import { HttpFields } from "effect-resilience/http"
 *
 * // { "retry-after": "2" }
 * const headers = { "retry-after": HttpFields.formatRetryAfter("1500 millis") }
 * ```
 *
 * @since 0.1.0
 * @category writing
 */
export const formatRetryAfter = (duration: DurationInput): string =>
  retryAfterSeconds(Duration.toMillis(duration))

/**
 * The value of a `RateLimit` field. Without items it is empty, and the field is better left out.
 *
 * What comes out is always valid. A character that is not printable ASCII becomes `?`. What is left is rounded down and
 * a window up to a whole number, and both are held between 0 and the largest number of a structured field, which has
 * fifteen digits.
 *
 * @example
 * ```ts
 * import { Duration } from "effect"
 * import { HttpFields } from "effect-resilience/http"
 *
 * // `"default";r=50;t=30`
 * const ratelimit = HttpFields.formatRateLimit([
 *   { name: "default", available: 50, window: Duration.seconds(30) }
 * ])
 * ```
 *
 * @since 0.1.0
 * @category writing
 */
export const formatRateLimit = (quotas: ReadonlyArray<Quota>): string =>
  Fields.formatRateLimit(quotas.map(withSeconds))

/**
 * The value of a `RateLimit-Policy` field, written with the same care as {@link formatRateLimit} does. A window has at
 * least one second.
 *
 * @example
 * ```ts
 * import { Duration } from "effect"
 * import { HttpFields } from "effect-resilience/http"
 *
 * // `"upload";q=1000000;qu="content-bytes";w=60`
 * const policy = HttpFields.formatRateLimitPolicy([
 *   { name: "upload", quota: 1_000_000, unit: "content-bytes", window: Duration.minutes(1) }
 * ])
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
