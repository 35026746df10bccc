/** What a rate limiter tells clients: `RateLimit` and `RateLimit-Policy`, on rejections and on every other response. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import * as HttpFields from "../problem/HttpFields.js"

/** The policy of a limiter under the name that clients know it by. */
export const policyOf = (name: string, { rate }: RateLimiter.Snapshot): HttpFields.QuotaPolicy => ({
  name,
  quota: rate.limit,
  window: Duration.millis(rate.per)
})

/** What a limiter has left, and until when if that is nothing. */
export const quotaOf = (name: string, { available, retryAfter }: RateLimiter.Snapshot): HttpFields.Quota =>
  available === 0 ? { name, available, window: Duration.millis(retryAfter) } : { name, available }

/** Adds the fields of a limiter to those that a response has. */
export const writingFields = (
  name: string
): ((
  response: HttpServerResponse.HttpServerResponse,
  snapshot: RateLimiter.Snapshot
) => HttpServerResponse.HttpServerResponse) => {
  let written = { limit: NaN, per: NaN, policy: "" }
  return (response, snapshot) => {
    const { limit, per } = snapshot.rate
    if (written.limit !== limit || written.per !== per) {
      written = { limit, per, policy: HttpFields.formatRateLimitPolicy([policyOf(name, snapshot)]) }
    }
    const { ratelimit, "ratelimit-policy": policies } = response.headers
    return HttpServerResponse.setHeaders(response, {
      "ratelimit-policy": listed(policies, written.policy),
      ratelimit: listed(ratelimit, HttpFields.formatRateLimit([quotaOf(name, snapshot)]))
    })
  }
}

const listed = (before: string | undefined, item: string): string =>
  before === undefined ? item : `${before}, ${item}`
