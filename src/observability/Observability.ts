/**
 * Makes all policies of a program visible, without a change at any call.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { observerIn } from "../policy/events.js"
import * as Observer from "../policy/Observer.js"
import * as internal from "./policies.js"
import * as Registry from "./Registry.js"

/**
 * Finds all policies of a program by themselves: provide it at the edge, under the layers of the policies.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 * import { Observability } from "effect-resilience/observability"
 *
 * class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
 *
 * const program = Effect.succeed("offer").pipe(
 *   Partner.protect,
 *   Effect.provide(Partner.layer().pipe(Layer.provideMerge(Observability.layer())))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (): Layer.Layer<Registry.Registry | Observer.Observer> =>
  Layer.effectContext(
    Effect.map(
      Effect.all([Effect.clock, Effect.context<never>()]),
      ([clock, context]: [Clock.Clock, Context.Context<never>]) => {
        const registry = new internal.Policies({ clock, keys: 0 })
        const around = observerIn(context)
        return Context.make(Registry.Registry, registry).pipe(
          Context.add(Observer.Observer, around === undefined ? registry : Observer.both(around, registry))
        )
      }
    )
  )
