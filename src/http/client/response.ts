/** Releases the connections of responses that are not read: reads the rest when that is little, else aborts the request. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { forkInterruptible } from "../../internal/fork.js"
import * as Timeout from "../../timeout/Timeout.js"

type Response = HttpClientResponse.HttpClientResponse

/** A response up to this size is read to its end. */
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

/** Releases a response so that its connection can be used again, if it is short. */
export const drained = (response: Response): Effect.Effect<unknown> => {
  if (isLong(response)) return aborted(response)
  let bytes = 0
  // Ending the stream early aborts the request; ending it at its end leaves the connection for others.
  const rest = Stream.runForEachWhile(response.stream, (chunk) => {
    bytes += chunk.byteLength
    return Effect.succeed(bytes <= maxDrainBytes)
  })
  // A body that is being read already dies here.
  return Effect.exit(drainLimit(Effect.interruptible(rest)))
}

/** The response to a HEAD says how long a body would be. */
const isLong = ({ headers, request }: Response): boolean =>
  request.method !== "HEAD" && Number(headers["content-length"] ?? 0) > maxDrainBytes

/** Releases a response at once: a reader that is interrupted after it has begun aborts the request. */
export const aborted = (response: Response): Effect.Effect<unknown> =>
  Effect.flatMap(forkInterruptible(response.arrayBuffer), (reader) =>
    Effect.zipRight(Effect.yieldNow(), Fiber.interrupt(reader))
  )
