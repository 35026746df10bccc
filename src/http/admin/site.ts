/** Where a request comes from, as far as a browser says it. */
import type * as Headers from "@effect/platform/Headers"

/**
 * `own` for a page of this server, `none` for what a user did without a page, `other` for a page of another site or of another origin
 * of this one, and `undefined` for a request that a script sent, or a browser that says nothing.
 *
 * A browser sends the cookies of its user with requests of any page, and says which in `Sec-Fetch-Site` (W3C, Fetch Metadata Request
 * Headers) where the connection can be trusted, otherwise in `Origin` (Fetch Standard), which no page can forge.
 */
export const siteOf = (headers: Headers.Headers): "own" | "none" | "other" | undefined => {
  const site = headers["sec-fetch-site"]
  if (site !== undefined) return site === "same-origin" ? "own" : site === "none" ? "none" : "other"
  const { host, origin } = headers
  if (origin === undefined) return undefined
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host ? "own" : "other"
}
