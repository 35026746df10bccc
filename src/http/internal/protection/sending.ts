/**
 * Where a middleware stands when it is given to `HttpServer.serve`: around an app that also sends its response. There the
 * platform marks a request whose response it has begun to send.
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Predicate from "effect/Predicate"

const handled = Symbol.for("@effect/platform/HttpApp/handled")

/** Whether the response to a request has begun. */
export const isSending = (request: HttpServerRequest.HttpServerRequest): boolean => handled in request

/**
 * Ends the connection of a request, where the server has one to end. Ending the response instead would make a whole response
 * of a part of one, and leaving it alone would keep the client waiting for the rest.
 */
export const cutOff = (request: HttpServerRequest.HttpServerRequest): void => {
  const { source } = request
  if (!Predicate.hasProperty(source, "socket")) return
  const { socket } = source
  if (Predicate.hasProperty(socket, "destroy") && typeof socket.destroy === "function") {
    Reflect.apply(socket.destroy, socket, [])
  }
}
