/**
 * The body of a request while it arrives, and the connection when the rest of it is not read. Only servers of Node.js let us see
 * either, behind the requests of the platform.
 */
import * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import * as Wait from "../../internal/wait.js"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** The part of a `net.Socket` that is used here. */
export interface Connection {
  readonly destroyed: boolean
  readonly bytesRead: number
  readonly end: () => unknown
  readonly destroy: () => unknown
  /** Called by Node.js after the last response on a connection. */
  destroySoon: () => unknown
  readonly once: (event: string, listener: () => void) => unknown
  readonly server?: unknown
}

/** The part of an `http.IncomingMessage` that is used here. */
interface Incoming {
  /** Whether all of the body has been received. */
  readonly complete: boolean
  /** How many received bytes wait to be read. */
  readonly readableLength: number
  readonly socket: Connection
  destroy: (error?: unknown) => unknown
  readonly pause: () => unknown
  readonly resume: () => unknown
  readonly on: (event: string, listener: (chunk: Uint8Array) => void) => unknown
  readonly once: (event: string, listener: () => void) => unknown
  readonly removeAllListeners: (event: string) => unknown
}

const isConnection = (u: unknown): u is Connection =>
  Predicate.hasProperty(u, "bytesRead") &&
  Predicate.hasProperty(u, "destroySoon") &&
  Predicate.hasProperty(u, "destroy")

const isIncoming = (u: unknown): u is Incoming =>
  Predicate.hasProperty(u, "complete") &&
  Predicate.hasProperty(u, "readableLength") &&
  Predicate.hasProperty(u, "socket") &&
  isConnection(u.socket)

export const connectionOf = ({ source }: Request): Connection | undefined =>
  isIncoming(source) ? source.socket : undefined

/** The body of a request that has one of which something is still to come. */
export const incomingOf = ({ headers, source }: Request): Incoming | undefined =>
  isIncoming(source) && !source.complete && (isChunked(headers) || lengthOf(headers) > 0) ? source : undefined

const isChunked = (headers: Request["headers"]): boolean => headers["transfer-encoding"] !== undefined

const lengthOf = (headers: Request["headers"]): number => Number(headers["content-length"] ?? 0)

/** Whether the app would read on, but the client sends nothing. */
export const isStarved = (request: Request): boolean => incomingOf(request)?.readableLength === 0

/** Bodies whose reader has given up, and whose connection was kept to answer. */
const abandoned = new WeakSet<Incoming>()
const held = new WeakSet<Incoming>()

/**
 * Keeps the connection of a request until it has been answered. The platform destroys a body whose reader stops, and Node.js the
 * connection with it, so the client would never see the answer.
 */
export const holdConnection = <A, E, R>(
  request: Request,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const incoming = incomingOf(request)
  if (incoming === undefined || held.has(incoming)) return self
  held.add(incoming)
  const { destroy } = incoming
  incoming.destroy = (error) => {
    if (error !== undefined || incoming.complete) return Reflect.apply(destroy, incoming, [error])
    abandoned.add(incoming)
    // The listeners of the reader would go on collecting.
    incoming.removeAllListeners("data")
    return incoming.pause()
  }
  return Effect.zipRight(
    HttpApp.appendPreResponseHandler((request, response) =>
      abandoned.has(incoming) ? closeAfter(request, response) : Effect.succeed(response)
    ),
    self
  )
}

/** The most that is read of a body without a reader, and how long its connection stays open for the answer. */
export const unread = { bytes: 65_536, millis: 2000 }

/** The answer to a rejected request. Then the connection is closed if the rest of the body is long or of unknown length. */
export const withoutBody = (request: Request, response: Response): Effect.Effect<Response> => {
  const incoming = incomingOf(request)
  return incoming !== undefined &&
    (abandoned.has(incoming) || isChunked(request.headers) || lengthOf(request.headers) > unread.bytes)
    ? closeAfter(request, response)
    : Effect.succeed(response)
}

const closing = new WeakSet<Incoming>()

/** The response with `Connection: close`, after which the rest of the body is not read. */
export const closeAfter = (request: Request, response: Response): Effect.Effect<Response> =>
  Effect.contextWithEffect((context: Context.Context<never>) => {
    const closed = HttpServerResponse.setHeader(response, "connection", "close")
    const incoming = incomingOf(request)
    const scope = Context.getOption(context, Scope.Scope)
    if (incoming === undefined || closing.has(incoming) || Option.isNone(scope)) return Effect.succeed(closed)
    closing.add(incoming)
    return Effect.as(Scope.addFinalizer(scope.value, linger(incoming)), closed)
  })

/**
 * Ends a connection as a web server does ("lingering close"): the response, then the end of what the server sends, and a while
 * later the connection. Closed at once, with a part of the body unread, it would be reset, and a reset takes the response from a
 * client that has not read it yet.
 */
const linger = (incoming: Incoming): Effect.Effect<void> => {
  const { socket } = incoming
  socket.destroySoon = () => socket.end()
  let left = unread.bytes
  incoming.on("data", (chunk) => {
    left -= chunk.length
    if (left <= 0) incoming.pause()
  })
  incoming.resume()
  const ended = Wait.forOwn<void>((resume) => {
    const done = () => resume(Effect.void)
    if (incoming.complete) return done()
    incoming.once("end", done)
    socket.once("close", done)
  })
  return Effect.zipRight(
    // In fibers of their own: the fiber of a finalizer may be uninterruptible.
    Effect.raceFirst(Effect.interruptible(ended), Effect.interruptible(Effect.sleep(unread.millis))),
    Effect.sync(() => socket.destroy())
  )
}
