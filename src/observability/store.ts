/** The store of `effect-resilience/fleet`, as far as it matters here: it is found by its key, so that programs without one load none. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

export interface Store {
  readonly health: Effect.Effect<
    | { readonly _tag: "Connected"; readonly since: number }
    | { readonly _tag: "Degraded"; readonly since: number; readonly reason: string }
  >
}

const SharedStore = /*#__PURE__*/ Context.GenericTag<Store>("effect-resilience/SharedStore")

/** The store of the context, if it has one. */
export const found: Effect.Effect<Option.Option<Store>> = /*#__PURE__*/ Effect.serviceOption(SharedStore)

/** Whether a store does not answer, so that each process goes on alone. */
export const isAway: (store: Option.Option<Store>) => Effect.Effect<boolean> = Option.match({
  onNone: () => Effect.succeed(false),
  onSome: ({ health }) => Effect.map(health, ({ _tag }) => _tag === "Degraded")
})
