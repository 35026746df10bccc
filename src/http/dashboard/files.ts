/** The page and what it loads. The module with their texts is loaded with the first request, since most programs never show it. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"

/** The page loads nothing from elsewhere, is shown in no frame, and makes no HTML of texts. */
export const policy = [
  "default-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "object-src 'none'",
  "require-trusted-types-for 'script'"
].join("; ")

export const headers = {
  "content-security-policy": policy,
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
}

const loaded = Effect.promise(() => import("./assets.js"))

/** A file by the last part of its path; the page has none. */
export const file = (
  name: string,
  known: string | undefined
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(loaded, ({ assets }) => {
    const asset = assets.get(name)
    if (asset === undefined) return HttpServerResponse.empty({ status: 404, headers })
    const { etag, text, type } = asset
    const cached = { ...headers, "cache-control": "no-cache", etag }
    return known?.includes(etag) === true
      ? HttpServerResponse.empty({ status: 304, headers: cached })
      : HttpServerResponse.text(text, { contentType: type, headers: cached })
  })
