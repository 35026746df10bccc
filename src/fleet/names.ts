/** Names for processes and for what is of one process, which no other has. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export const randomName: Effect.Effect<string> = Effect.map(
  Effect.all([Random.nextIntBetween(0, 2 ** 32), Random.nextIntBetween(0, 2 ** 32)]),
  (parts) => parts.map((part) => part.toString(36)).join("")
)
