/** An `Idempotency-Key` for requests that need one to be repeated. */
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Random from "effect/Random"
import { isIdempotent } from "../../core/http/httpSemantics.js"
import * as Part from "./part.js"
import { idempotencyKey as field } from "./request.js"

const name = "idempotency-key"

export const make = <P extends Part.Any>(): P =>
  Part.make(
    { kind: name, name, settings: {} },
    {
      around: identity,
      prepare: (request) =>
        isIdempotent(request.method) || request.headers[field] !== undefined
          ? Effect.succeed(request)
          : Effect.map(uuid, (key) => HttpClientRequest.setHeader(request, field, `"${key}"`))
    }
  )

/** A UUID of version 4 (RFC 9562). */
const uuid: Effect.Effect<string> = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 0x1_0000), 8),
  (words) => {
    const digits = words.map((word) => word.toString(16).padStart(4, "0")).join("")
    const variant = "89ab".charAt(parseInt(digits.charAt(16), 16) % 4)
    return digits.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, `$1-$2-4$3-${variant}$4-$5`)
  }
)
