/** Watches a streamed body while it is sent: the error of an attempt does not say whether its own body failed. */
import * as HttpBody from "@effect/platform/HttpBody"
import type * as Cause from "effect/Cause"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Fault } from "../../core/http/httpBlame.js"
import { failedCause } from "../../policy/condition.js"

export class Upload {
  private failed = false
  /** Whether the client waits, or was interrupted while it waited, for the source. */
  private waits = false
  private bytes = 0

  constructor(private readonly body: HttpBody.Stream) {}

  watched(): HttpBody.Stream {
    const { contentLength, contentType, stream } = this.body
    const pulled = Effect.map(Stream.toPull(stream), (pull) =>
      Effect.suspend(() => {
        this.waits = true
        return Effect.matchCauseEffect(pull, { onFailure: this.ended, onSuccess: this.advanced })
      })
    )
    return HttpBody.stream(Stream.fromPull(pulled), contentType, contentLength)
  }

  /** What is down to the body when the attempt fails, or when a limit passes. */
  fault(isLimit: boolean): Fault | undefined {
    if (this.failed) return "body-failed"
    return isLimit && this.waits ? "body-stalled" : undefined
  }

  private readonly advanced = (chunk: Chunk.Chunk<Uint8Array>) => {
    this.waits = false
    for (const part of chunk) this.bytes += part.byteLength
    this.failed ||= this.bytes > (this.body.contentLength ?? Infinity)
    return Effect.succeed(chunk)
  }

  private readonly ended = (cause: Cause.Cause<Option.Option<unknown>>) => {
    const failed = failedCause(cause)
    if (failed !== undefined) {
      this.waits = false
      const isEnd = failed._tag === "Error" && Option.isNone(failed.error)
      this.failed ||= !isEnd || this.bytes !== (this.body.contentLength ?? this.bytes)
    }
    return Effect.failCause(cause)
  }
}
