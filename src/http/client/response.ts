/**
 * Responses that nobody is going to read: their connections are given back, by reading what is left when that is little, and
 * else by aborting the request.
 */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { forkInterruptible } from "../../internal/fork.js"
import { withLimit } from "../../timeout/limit.js"

type Response = HttpClientResponse.HttpClientResponse

/** A response up to this size is read to its end, so that its connection can be used again. */
const maxDrainBytes = 64 * 1024

/** How long the rest of a response is waited for. */
const maxDrainMillis = 100

/** What has to be closed for a response that belongs to a scope. */
const closers = new WeakMap<Response, Effect.Effect<void>>()

export const closeWith = (response: Response, close: Effect.Effect<void>): void => {
  closers.set(response, close)
}

const originals = new WeakMap<Response, Response>()

/** A response that stands in for another one is that one, when it is let go. */
export const standsInFor = (response: Response, original: Response): void => {
  originals.set(response, original)
}

const originalOf = (response: Response): Response => {
  const original = originals.get(response)
  return original === undefined ? response : originalOf(original)
}

/** Who holds a response, to be told when it is gone. */
const holders = new WeakMap<Response, Set<Response>>()

/** Takes a response over from whoever held it. */
export const holdIn = (holder: Set<Response>, response: Response): void => {
  const original = originalOf(response)
  holders.get(original)?.delete(original)
  holders.set(original, holder)
  holder.add(original)
}

/** Nobody here holds it any more. */
export const forget = (response: Response): void => {
  const original = originalOf(response)
  holders.get(original)?.delete(original)
  holders.delete(original)
}

const gone = new WeakSet<Response>()

/** Lets a response go whose request has answered and is not to be cut off without need. */
export const discard = (response: Response): Effect.Effect<void> =>
  letGo(response, (original) => (isLong(original) ? cutOff(original) : drained(original)))

/** Lets a response go at once: the request is aborted. */
export const abort = (response: Response): Effect.Effect<void> => letGo(response, cutOff)

const letGo = (
  response: Response,
  how: (original: Response) => Effect.Effect<unknown>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const original = originalOf(response)
    forget(original)
    if (gone.has(original)) return Effect.void
    gone.add(original)
    const close = closers.get(original) ?? Effect.void
    return Effect.uninterruptible(
      Effect.zipRight(
        Effect.suspend(() => how(original)),
        close
      )
    )
  })

/** The response to a HEAD says how long a body would be. */
const isLong = ({ headers, request }: Response): boolean =>
  request.method !== "HEAD" && Number(headers["content-length"] ?? 0) > maxDrainBytes

/** Ending the stream early aborts the request; ending it at its end leaves the connection for others. */
const drained = (response: Response): Effect.Effect<unknown> =>
  Effect.suspend(() => {
    let bytes = 0
    const rest = Stream.runForEachWhile(response.stream, (chunk) => {
      bytes += chunk.byteLength
      return Effect.succeed(bytes <= maxDrainBytes)
    })
    // A body that somebody has begun to read cannot be read here, and dies.
    return Effect.exit(
      withLimit(Effect.interruptible(rest), {
        millis: maxDrainMillis,
        disconnect: false,
        onTimeout: () => Effect.void
      })
    )
  })

/** A reader that is interrupted aborts the request; it has to have begun. */
const cutOff = (response: Response): Effect.Effect<unknown> =>
  Effect.flatMap(forkInterruptible(response.arrayBuffer), (reader) =>
    Effect.zipRight(Effect.yieldNow(), Fiber.interrupt(reader))
  )
