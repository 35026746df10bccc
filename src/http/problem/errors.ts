/** The errors by which a server ends a request that no policy of the core rejects. They are answered, and never reach a caller. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { respond, respondable } from "../../internal/respondable.js"

/**
 * The server is shutting down and takes no new requests.
 *
 * @since 0.1.0
 * @category errors
 */
export class ServerDraining extends Data.TaggedError("ServerDraining")<{
  /** The name of the drain. */
  readonly name: string
  /** Always `undefined`: another instance may be there at once. */
  readonly retryAfter: Duration.Duration | undefined
}> {
  /** @internal */
  [respondable](): Effect.Effect<unknown, unknown> {
    return respond(this)
  }

  override get message(): string {
    return "the server is shutting down"
  }
}

/**
 * The body of a request did not arrive in time.
 *
 * @since 0.1.0
 * @category errors
 */
export class RequestBodyTimeout extends Data.TaggedError("RequestBodyTimeout")<{
  /** The name of the policy. */
  readonly name: string
  /** `stalled` when the client stopped sending, `total` when the whole body took too long. */
  readonly reason: "stalled" | "total"
  /** The limit that passed. */
  readonly limit: Duration.Duration
}> {
  /** @internal */
  [respondable](): Effect.Effect<unknown, unknown> {
    return respond(this)
  }

  override get message(): string {
    return this.reason === "stalled"
      ? `nothing of the request body arrived for ${Duration.format(this.limit)}`
      : `the request body did not arrive within ${Duration.format(this.limit)}`
  }
}
