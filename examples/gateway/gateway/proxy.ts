// Forwards a request to an upstream, and its response back. Bodies are streamed and never kept, so a request with a body is
// sent once, whatever its method: the policies see that it cannot be sent again.
import {
  Headers,
  HttpBody,
  HttpClientRequest,
  type HttpClient,
  type HttpClientError,
  type HttpClientResponse,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect, Option, Sink, Stream } from "effect"
import type { CircuitBreaker, Timeout } from "effect-resilience"
import { HttpProblem } from "effect-resilience/http"

/** The failures of a request to an upstream that remain after the policies. */
type Failure = HttpClientError.HttpClientError | CircuitBreaker.CircuitOpen | Timeout.TimeoutExceeded

/** Forwards each request to an upstream. */
export const to = <R>(client: HttpClient.HttpClient.With<Failure, R>, upstream: string) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    return yield* client.execute(forwarded(request, upstream)).pipe(
      Effect.flatMap((response) => returned(response, request)),
      Effect.catchAll(failed),
      Effect.annotateLogs({ url: request.originalUrl })
    )
  })

// ------------------------------------------------------------------------------------------------------------ headers

/** Fields that describe a connection and not a message: RFC 9110, section 7.6.1. */
const hopByHop = [
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"],
  ...["te", "trailer", "transfer-encoding", "upgrade"]
]

const endToEnd = (headers: Headers.Headers, others: ReadonlyArray<string>): Headers.Headers => {
  const named = (headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase())
  return Headers.remove(headers, [...hopByHop, ...named, ...others])
}

const appended = (list: string | undefined, value: string): string =>
  list === undefined ? value : `${list}, ${value}`

// ------------------------------------------------------------------------------------------------------------ forward

const forwarded = (request: HttpServerRequest.HttpServerRequest, upstream: string) => {
  const { headers, method } = request
  const passed = endToEnd(headers, ["host", "expect", "content-length", "x-api-key"])
  return HttpClientRequest.make(method)(urlAt(upstream, request.url), {
    headers: {
      ...passed,
      via: appended(headers.via, "1.1 gateway"),
      "x-forwarded-for": appended(
        headers["x-forwarded-for"],
        Option.getOrElse(request.remoteAddress, () => "unknown")
      ),
      "x-forwarded-host": headers["x-forwarded-host"] ?? headers.host
    },
    body: bodyOf(request)
  })
}

/** Sets the requested path on the upstream's URL, so that a path such as `//other.example` cannot change the host. */
const urlAt = (upstream: string, pathAndQuery: string): string => {
  const queryAt = pathAndQuery.indexOf("?")
  const url = new URL(upstream)
  url.pathname = queryAt === -1 ? pathAndQuery : pathAndQuery.slice(0, queryAt)
  url.search = queryAt === -1 ? "" : pathAndQuery.slice(queryAt)
  return url.href
}

const bodyOf = ({ headers, stream }: HttpServerRequest.HttpServerRequest): HttpBody.HttpBody => {
  const length = lengthOf(headers)
  const hasBody = headers["transfer-encoding"] !== undefined || (length ?? 0) > 0
  return hasBody ? HttpBody.stream(stream, headers["content-type"], length) : HttpBody.empty
}

const lengthOf = (headers: Headers.Headers): number | undefined =>
  headers["content-length"] === undefined ? undefined : Number(headers["content-length"])

// ------------------------------------------------------------------------------------------------------------- return

const returned = (
  response: HttpClientResponse.HttpClientResponse,
  request: HttpServerRequest.HttpServerRequest
) =>
  Effect.gen(function* () {
    const { cookies, headers, status } = response
    const options = { status, cookies, headers: endToEnd(headers, ["set-cookie"]) }
    if (request.method === "HEAD" || status === 204 || status === 304)
      return HttpServerResponse.empty(options)
    // Nothing is sent before the body begins, so a failing upstream can still be answered with an error.
    const [start, rest] = yield* Stream.peel(response.stream, Sink.take<Uint8Array>(1))
    const body = Stream.concat(
      Stream.fromChunk(start),
      Stream.tapErrorCause(rest, () => cutOff(request))
    )
    return HttpServerResponse.stream(body, { ...options, contentLength: lengthOf(headers) })
  })

/** Breaks the connection, so that a truncated body looks truncated: the platform would end the response as if it were complete. */
const cutOff = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.sync(() => NodeHttpServerRequest.toServerResponse(request).destroy())

/** 503 while the circuit is open, 504 after a timeout, 502 if the upstream cannot be reached. */
const failed = (error: Failure) => {
  // A timeout of a body is the cause of the client's error.
  const why = error._tag === "ResponseError" ? error.cause : error
  return HttpProblem.isPolicyError(why)
    ? HttpProblem.respond(why, { timeoutStatus: 504 })
    : Effect.as(Effect.logWarning("the upstream cannot be reached", error), badGateway)
}

const badGateway = HttpServerResponse.text(
  JSON.stringify({ type: "about:blank", title: "Bad Gateway", status: 502 }),
  { status: 502, contentType: "application/problem+json", headers: { "cache-control": "no-store" } }
)
