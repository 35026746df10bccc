/** When responses say to come back, read once. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { isFromCache, parseRateLimit, quotaHint } from "../../core/http/rateLimitFields.js"
import { retryAfterMillis } from "../../core/http/retryAfter.js"
import { originalOf } from "./response.js"

type Response = HttpClientResponse.HttpClientResponse

const noted = new WeakMap<Response, number>()

export const isUnread = (response: Response): boolean =>
  response.status >= 400 && response.headers["retry-after"] !== undefined && !noted.has(originalOf(response))

/** Notes `Retry-After` at the time when the response arrived. */
export const note = (response: Response, now: number): void => {
  const { headers } = response
  const millis = retryAfterMillis({ retryAfter: headers["retry-after"], date: headers["date"] }, now)
  if (millis !== undefined) noted.set(originalOf(response), millis)
}

/** `Retry-After` in milliseconds. */
export const retryAfter = (response: Response): number | undefined => noted.get(originalOf(response))

/** `Retry-After`, else how long until there is quota again. */
export const comeBackAfter = (response: Response): number | undefined =>
  retryAfter(response) ?? quotaAfter(response)

/** The quota in a cached response is that of an earlier request. */
const quotaAfter = ({ headers }: Response): number | undefined =>
  isFromCache(headers["age"]) ? undefined : quotaHint(parseRateLimit(headers["ratelimit"]))
