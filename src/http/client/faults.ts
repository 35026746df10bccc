/** What kept a request from an answer, as `fetch`, undici and node:http say it: by code, by message or by what was watched. */
import type * as HttpBody from "@effect/platform/HttpBody"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"
import type { Fault } from "../../core/http/httpBlame.js"
import { codes, isExhausted, isUntrusted, says, wasNeverSent } from "../../core/http/httpSemantics.js"
import type { TimeoutExceeded } from "../../timeout/Timeout.js"
import { invalidRequest, type RequestError } from "./errors.js"

type Request = HttpClientRequest.HttpClientRequest

const noted = new WeakMap<object, Fault>()

/** Notes what is known of an error that does not say it itself. */
export const note = (error: unknown, fault: Fault): void => {
  if (Predicate.isObject(error)) noted.set(error, fault)
}

export const faultOfTimeout = (error: TimeoutExceeded): Fault =>
  error.stalled === undefined ? (noted.get(error) ?? "timed-out") : "own-stall"

/** Codes by which undici, node:http and `new URL` refuse a request, and the mistakes of a body that has another length. */
const invalid = /*#__PURE__*/ codes(
  "ERR_INVALID_ARG_TYPE ERR_INVALID_ARG_VALUE ERR_INVALID_CHAR ERR_INVALID_HTTP_TOKEN ERR_INVALID_PROTOCOL",
  "ERR_INVALID_STATE ERR_INVALID_URL ERR_HTTP_CONTENT_LENGTH_MISMATCH ERR_HTTP_INVALID_HEADER_VALUE",
  "ERR_SOCKET_BAD_PORT ERR_UNESCAPED_CHARACTERS UND_ERR_BPL_MISSING_UPSTREAM UND_ERR_INVALID_ARG",
  "UND_ERR_NOT_SUPPORTED UND_ERR_REQ_CONTENT_LENGTH_MISMATCH"
)

/** What the `fetch` of Node refuses to send. It gives messages and no codes. */
const invalidToFetch: ReadonlySet<string> = new Set([
  "about scheme is not supported",
  "bad port",
  "failed to fetch the data URL",
  "invalid method",
  "not implemented... yet...",
  "unknown scheme"
])

/** Pools that are closed, or have as many origins as they may. */
const closed = /*#__PURE__*/ codes("UND_ERR_CLOSED UND_ERR_DESTROYED UND_ERR_MAX_ORIGINS_REACHED")

/** Answers that a client does not take. The last two are of Bun. */
const unusable = /*#__PURE__*/ codes(
  "HPE_HEADER_OVERFLOW UND_ERR_HEADERS_OVERFLOW UND_ERR_RES_EXCEEDED_MAX_SIZE TooManyRedirects UnexpectedRedirect"
)

/** Redirects that are not followed by `fetch`, by its messages. One whose body cannot be sent again has none. */
const unusableToFetch: ReadonlySet<string> = new Set([
  "",
  "redirect count exceeded",
  "max redirects",
  "unexpected redirect",
  "URL scheme must be a HTTP(S) scheme",
  'URL cannot contain credentials for request mode "cors"',
  'cross origin not allowed for request mode "cors"'
])

const aborted = /*#__PURE__*/ codes("AbortError TimeoutError")

/** Signals end requests with an error of the DOM, which is known by its name. */
const isAborted = (error: unknown): boolean =>
  Predicate.hasProperty(error, "name") && typeof error.name === "string" && aborted.has(error.name)

/** An interruption as an error comes from a body that ran in a fiber of its own. */
const isInterrupted = (error: unknown): boolean =>
  Cause.isInterruptedException(error) || (error instanceof Error && Cause.isInterruptedException(error.cause))

const hasCode = (error: unknown, among: ReadonlySet<string>): boolean =>
  says(error, ({ code }) => among.has(code))

/** What kept a request from an answer whose client failed in sending it. */
export const faultOf = (error: RequestError): Fault => {
  const { cause, request } = error
  const known = noted.get(error)
  if (known !== undefined) return known
  if (isAborted(cause)) return "cancelled"
  if (isInterrupted(cause)) return "body-failed"
  if (hasCode(cause, invalid)) return isAfterRedirect(cause) ? "unusable" : "invalid"
  if (hasCode(cause, unusable)) return "unusable"
  if (isUntrusted(cause)) return "untrusted"
  if (hasCode(cause, closed) || isExhausted(cause)) return "exhausted"
  if (wasNeverSent(cause)) return "not-sent"
  if (hasAnyCode(cause)) return "lost"
  const message = refusalOfFetch(cause)
  if (message !== undefined && invalidToFetch.has(message)) return "invalid"
  if (message !== undefined && unusableToFetch.has(message)) return "unusable"
  return isForeign(request) || isBuiltByNoFetch(cause, request) ? "invalid" : "lost"
}

const hasAnyCode = (error: unknown): boolean => says(error, () => true)

/** Node's `fetch` reads the URL of the request before it sends, so a later one is that of a redirect. */
const isAfterRedirect = (cause: unknown): boolean =>
  isFailedFetch(cause) && Predicate.hasProperty(cause.cause, "code") && cause.cause.code === "ERR_INVALID_URL"

const isFailedFetch = (cause: unknown): cause is TypeError =>
  cause instanceof TypeError && cause.message === "fetch failed"

/** Why `fetch` itself ended a request, which is a plain error. Those of connections are of other kinds. */
const refusalOfFetch = (cause: unknown): string | undefined =>
  isFailedFetch(cause) && cause.cause instanceof Error && cause.cause.name === "Error"
    ? cause.cause.message
    : undefined

/** Schemes other than these go to no server. */
const isForeign = ({ url }: Request): boolean => URL.canParse(url) && !/^https?:/i.test(new URL(url).protocol)

/** A plain `TypeError` is a network error in one browser and an invalid request in another, where it is invalid again. */
const isBuiltByNoFetch = (cause: unknown, { body, headers, method, url }: Request): boolean => {
  if (!(cause instanceof TypeError) || isFailedFetch(cause)) return false
  try {
    void new globalThis.Request(url, {
      method,
      headers,
      ...(body._tag === "Empty" ? {} : { body: like(body) })
    })
    return false
  } catch {
    return true
  }
}

/** A body of the same kind: only a raw stream is refused for what it is. */
const like = (body: HttpBody.HttpBody): BodyInit =>
  body._tag === "Raw" &&
  (body.body instanceof ReadableStream || Predicate.hasProperty(body.body, Symbol.asyncIterator))
    ? new ReadableStream()
    : ""

/** Codes with which node:http throws instead of failing. */
const thrown = /*#__PURE__*/ codes(
  "ERR_INVALID_CHAR ERR_INVALID_HTTP_TOKEN ERR_INVALID_PROTOCOL ERR_HTTP_INVALID_HEADER_VALUE ERR_UNESCAPED_CHARACTERS"
)

/** The error of a request that a client threw out as invalid. Any other defect is a bug, and stays one. */
export const refusalIn = (defect: unknown, request: Request): RequestError | undefined =>
  defect instanceof TypeError && "code" in defect && thrown.has(String(defect.code))
    ? invalidRequest(request, defect)
    : undefined
