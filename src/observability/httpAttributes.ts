/**
 * Requests of HTTP clients as attributes of spans and metrics.
 * Source: OpenTelemetry semantic conventions for HTTP spans and HTTP metrics, version 1.
 */
import type * as Observer from "../policy/Observer.js"
import * as ErrorType from "./errorType.js"
import type { Attributes } from "./spans.js"

const methods: ReadonlySet<string> = new Set(
  "CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE".split(" ")
)

/** A method, or `_OTHER` for one that is not of HTTP: a program may make up any number of them. */
export const methodOf = ({ method }: Observer.HttpRequest): string =>
  methods.has(method) ? method : "_OTHER"

/** The port, which a URL leaves out when it is that of its scheme. */
export const portOf = (url: URL): number | undefined =>
  url.port !== ""
    ? Number(url.port)
    : url.protocol === "https:"
      ? 443
      : url.protocol === "http:"
        ? 80
        : undefined

const redacted = "REDACTED"

/** Query parameters that sign a URL, so that having it grants access. */
const secrets = [
  "AWSAccessKeyId",
  "Signature",
  "sig",
  "X-Goog-Signature",
  "X-Amz-Credential",
  "X-Amz-Security-Token",
  "X-Amz-Signature"
]

/** A URL without its credentials. */
export const withoutSecrets = (given: URL): string => {
  const { searchParams } = given
  const signed = given.search === "" ? [] : secrets.filter((name) => searchParams.has(name))
  if (given.username === "" && given.password === "" && signed.length === 0) return given.href
  const url = new URL(given)
  if (url.username !== "") url.username = redacted
  if (url.password !== "") url.password = redacted
  for (const name of signed) url.searchParams.set(name, redacted)
  return url.href
}

const ofRequest = (request: Observer.HttpRequest): Attributes => {
  const method = methodOf(request)
  const { url } = request
  return {
    "http.request.method": method,
    "http.request.method_original": method === request.method ? undefined : request.method,
    "server.address": url?.hostname,
    "server.port": url && portOf(url),
    "url.full": url && withoutSecrets(url)
  }
}

/** The name and the attributes of the span of a call. A request that has to be prepared is not known yet. */
export const spanOf = (
  request: Observer.HttpRequest | undefined
): readonly [name: string, attributes: Attributes] =>
  request === undefined
    ? ["http.client.call", {}]
    : [`http.client.call ${methods.has(request.method) ? request.method : "HTTP"}`, ofRequest(request)]

export const errorTypeOf = ({ exit, status }: Observer.HttpCallEnd): string | undefined =>
  ErrorType.ofStatus(status) ?? ErrorType.ofExit(exit)

export const ofEnd = (end: Observer.HttpCallEnd): Attributes => ({
  ...(end.request && ofRequest(end.request)),
  "http.response.status_code": end.status,
  "error.type": errorTypeOf(end)
})
