/**
 * A middleware that is given to `HttpServer.serve` is around an app that also sends its response. There the platform marks a request
 * whose response has begun, and ends when Node.js has sent it.
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Predicate from "effect/Predicate"
import { setTimer } from "../../internal/time.js"
import { type Connection, connectionOf } from "./incoming.js"

const handled = Symbol.for("@effect/platform/HttpApp/handled")

/** Whether the response to a request has begun. */
export const isSending = (request: HttpServerRequest.HttpServerRequest): boolean => handled in request

/** Ends the connection of a request. Ending the response would pass off a part as the whole; without either the client waits. */
export const cutOff = (request: HttpServerRequest.HttpServerRequest): void => {
  const { source } = request
  if (!Predicate.hasProperty(source, "socket")) return
  const { socket } = source
  if (Predicate.hasProperty(socket, "destroy") && typeof socket.destroy === "function") {
    Reflect.apply(socket.destroy, socket, [])
  }
}

/** The part of an `http.ServerResponse` that is used here. */
interface Outgoing {
  /** `null` while an earlier request on the same connection is not answered. */
  readonly socket: unknown
  readonly destroyed: boolean
  readonly destroy: () => unknown
  end: (...args: Array<unknown>) => unknown
  readonly once: (event: string, listener: () => void) => unknown
  readonly emit: (event: string) => unknown
}

const isOutgoing = (u: unknown): u is Outgoing =>
  Predicate.isObject(u) && "socket" in u && "destroyed" in u && "end" in u && "emit" in u

/** The response of a request, unless Node.js makes it later, as for an upgrade. */
const outgoingOf = (request: HttpServerRequest.HttpServerRequest): Outgoing | undefined =>
  Predicate.hasProperty(request, "response") && isOutgoing(request.response) ? request.response : undefined

const ending = new WeakSet<Outgoing>()

/**
 * Ends a request with its connection, so that its permits are released. When a client leaves, Node.js never calls back for a response
 * that is ended later, and never closes a response that was to follow another on the connection.
 */
export const endWithConnection = (request: HttpServerRequest.HttpServerRequest): void => {
  const outgoing = outgoingOf(request)
  const connection = connectionOf(request)
  if (outgoing === undefined || connection === undefined || ending.has(outgoing)) return
  ending.add(outgoing)
  const { end } = outgoing
  outgoing.end = (...args) => {
    const sent = args.at(-1) as (() => void) | string | Uint8Array | undefined
    if (typeof sent === "function") {
      if (outgoing.destroyed) setTimer(sent, 0)
      else outgoing.once("close", sent)
    }
    return Reflect.apply(end, outgoing, args)
  }
  if (outgoing.socket === null) closeWith(connection, outgoing)
}

const following = new WeakMap<Connection, Set<Outgoing>>()

const closeWith = (connection: Connection, outgoing: Outgoing): void => {
  const others = following.get(connection)
  const all = others ?? new Set()
  all.add(outgoing)
  outgoing.once("close", () => all.delete(outgoing))
  const close = () => {
    for (const each of all) {
      if (each.socket !== null) continue
      each.destroy()
      each.emit("close")
    }
  }
  // A moment later, because the platform does not listen yet.
  if (connection.destroyed) setTimer(close, 0)
  else if (others === undefined) {
    following.set(connection, all)
    connection.once("close", close)
  }
}
