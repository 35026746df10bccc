/** A response whose body has to be read before a deadline. */
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Time from "../../internal/time.js"
import { withLimit } from "../../timeout/limit.js"
import type { TimeoutExceeded } from "../../timeout/Timeout.js"
import { bodyError, type ResponseError } from "./errors.js"
import { aborted, original, originalOf, type StandIn } from "./response.js"

type Response = HttpClientResponse.HttpClientResponse

/** Which ways of reading have the deadline: those of the whole body, or also the stream. */
export type Coverage = "buffered" | "all"

export interface Deadline {
  readonly clock: Clock.Clock
  /** On the monotonic clock. */
  readonly instant: number
  readonly coverage: Coverage
  /** The error for a late body, and how late this process noticed that if it was stalled. */
  readonly error: (stalled: number | undefined) => TimeoutExceeded
  readonly tell: (error: TimeoutExceeded) => Effect.Effect<void>
}

export class TimedResponse extends Inspectable.Class implements StandIn {
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId

  /** A body that was read in time can be read again, from memory. */
  private wasRead = false
  private error: TimeoutExceeded | undefined

  readonly [original]: Response
  private isReleased = false

  constructor(
    response: Response,
    private readonly deadline: Deadline,
    /** Closes what was opened for the response. */
    private readonly close: Effect.Effect<void>
  ) {
    super()
    this[original] = response
  }

  get request() {
    return this[original].request
  }

  get status() {
    return this[original].status
  }

  get headers() {
    return this[original].headers
  }

  get cookies() {
    return this[original].cookies
  }

  get remoteAddress() {
    return this[original].remoteAddress
  }

  get json() {
    return this.inTime(this[original].json)
  }

  get text() {
    return this.inTime(this[original].text)
  }

  get urlParamsBody() {
    return this.inTime(this[original].urlParamsBody)
  }

  get arrayBuffer() {
    return this.inTime(this[original].arrayBuffer)
  }

  get formData() {
    return this.inTime(this[original].formData)
  }

  get stream(): Stream.Stream<Uint8Array, ResponseError> {
    if (this.deadline.coverage === "buffered") return this[original].stream
    return Stream.fromPull(
      Effect.map(Stream.toPull(this[original].stream), (pull) =>
        this.limited(pull, (error) => Effect.fail(Option.some(error)))
      )
    )
  }

  toJSON() {
    return this[original].toJSON()
  }

  private inTime<A, E>(read: Effect.Effect<A, E>): Effect.Effect<A, E | ResponseError> {
    return Effect.suspend(() =>
      this.wasRead
        ? read
        : Effect.map(this.limited(read, Effect.fail), (body) => {
            this.wasRead = true
            return body
          })
    )
  }

  private limited<A, E, E2>(
    read: Effect.Effect<A, E>,
    fail: (error: ResponseError) => Effect.Effect<never, E2>
  ): Effect.Effect<A, E | E2> {
    const { clock, instant } = this.deadline
    const limited = Effect.suspend(() =>
      withLimit(read, {
        millis: instant - Time.monotonicMillis(clock),
        disconnect: false,
        onTimeout: (_, stalled) => Effect.flatMap(this.late(stalled), fail)
      })
    )
    // Also before the reading itself has begun.
    return Effect.onInterrupt(limited, () => this.release)
  }

  private readonly release: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isReleased) return Effect.void
    this.isReleased = true
    return Effect.uninterruptible(Effect.zipRight(aborted(originalOf(this)), this.close))
  })

  /** The body is late. The request is aborted first, and listeners are notified once. */
  private late(stalled: number | undefined) {
    return Effect.zipRight(
      this.release,
      Effect.map(this.exceeded(stalled), (cause) =>
        bodyError(this, { description: "the body was not read in time", cause })
      )
    )
  }

  private exceeded(stalled: number | undefined) {
    return Effect.suspend(() => {
      if (this.error !== undefined) return Effect.succeed(this.error)
      this.error = this.deadline.error(stalled)
      return Effect.as(this.deadline.tell(this.error), this.error)
    })
  }
}
