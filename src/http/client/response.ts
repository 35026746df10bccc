/**
 * Responses that nobody is going to read: their connections are given back, by reading what is left when that is little, and
 * else by aborting the request.
 */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { forkInterruptible } from "../../internal/fork.js"
import * as Timeout from "../../timeout/Timeout.js"

type Response = HttpClientResponse.HttpClientResponse

/** A response up to this size is read to its end, so that its connection can be used again. */
const maxDrainBytes = 64 * 1024

/** How long the rest of a response is waited for. */
const drainLimit = Timeout.timeout("100 millis")

export const original: unique symbol = Symbol()

/** A response that stands in for another one, and is that one when it is released. */
export interface StandIn extends Response {
  readonly [original]: Response
}

export const originalOf = (response: Response): Response =>
  original in response ? originalOf((response as StandIn)[original]) : response

/** Releases a response whose request has been answered and is not to be cut off without need. */
export const drained = (response: Response): Effect.Effect<unknown> => {
  if (isLong(response)) return aborted(response)
  let bytes = 0
  // Ending the stream early aborts the request; ending it at its end leaves the connection for others.
  const rest = Stream.runForEachWhile(response.stream, (chunk) => {
    bytes += chunk.byteLength
    return Effect.succeed(bytes <= maxDrainBytes)
  })
  // A body that somebody has begun to read cannot be read here, and dies.
  return Effect.exit(drainLimit(Effect.interruptible(rest)))
}

/** The response to a HEAD says how long a body would be. */
const isLong = ({ headers, request }: Response): boolean =>
  request.method !== "HEAD" && Number(headers["content-length"] ?? 0) > maxDrainBytes

/** Releases a response at once: a reader that is interrupted aborts the request. It has to have begun. */
export const aborted = (response: Response): Effect.Effect<unknown> =>
  Effect.flatMap(forkInterruptible(response.arrayBuffer), (reader) =>
    Effect.zipRight(Effect.yieldNow(), Fiber.interrupt(reader))
  )
