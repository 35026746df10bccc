/** The member by which the platform's servers answer an error. The HTTP integration fills it in, so policies need only Effect. */
import * as Effect from "effect/Effect"
import { globalValue } from "effect/GlobalValue"

/** The name of the member, shared with `@effect/platform/HttpServerRespondable`. */
export const respondable: unique symbol = Symbol.for("@effect/platform/HttpServerRespondable")

interface Slot {
  answer: ((error: unknown) => Effect.Effect<unknown>) | undefined
}

/** One for all copies of the package, so that the errors of one are answered by the integration of another. */
export const slot: Slot = /*#__PURE__*/ globalValue(
  Symbol.for("effect-resilience/respondable"),
  (): Slot => ({ answer: undefined })
)

/** What the member of an error does. */
export const respond = (error: unknown): Effect.Effect<unknown, unknown> =>
  Effect.suspend(() => (slot.answer === undefined ? Effect.fail(error) : slot.answer(error)))
