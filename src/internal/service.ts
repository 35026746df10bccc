/**
 * What every stateful policy's tag offers beside being a tag: what the instance offers, given that the instance is there,
 * and layers whose settings come from the configuration.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidOption } from "../core/options.js"

/** The members of a service that are effects, as effects that need the service. */
type Accessors<Self, Shape, Keys extends keyof Shape> = {
  readonly [K in Keys]: Shape[K] extends Effect.Effect<infer A, infer E, infer R>
    ? Effect.Effect<A, E, R | Self>
    : never
}

/** Effects that find the service and are one of its members. */
export const accessors = <Self, Shape, const Keys extends keyof Shape>(
  tag: Context.Tag<Self, Shape>,
  keys: ReadonlyArray<Keys>
): Accessors<Self, Shape, Keys> =>
  Object.fromEntries(
    keys.map((key) => [key, Effect.flatMap(tag, (service) => service[key] as Effect.Effect<unknown>)])
  ) as unknown as Accessors<Self, Shape, Keys>

/**
 * Something made from an instance, such as a policy with its condition compiled, kept for as long as it is the same
 * instance that is asked for: a call does not make it anew.
 */
export const perInstance = <Shape, A>(make: (service: Shape) => A): ((service: Shape) => A) => {
  let last: { readonly service: Shape; readonly made: A } | undefined
  return (service) => {
    if (last?.service !== service) last = { service, made: make(service) }
    return last.made
  }
}

/** Settings from the configuration, where a bad one is an error of the configuration that says which and why. */
export const readSettings = <Settings>(
  settings: Config.Config.Wrap<Settings>,
  check: (settings: Settings) => unknown
): Effect.Effect<Settings, ConfigError.ConfigError> =>
  Effect.tap(Config.unwrap(settings), (read) => Effect.sync(() => check(read))).pipe(
    // Also from a rule that was made of a configured number, such as `Config.map(Config.integer("N"), Trip.consecutive)`.
    Effect.catchSomeDefect((defect) =>
      defect instanceof InvalidOption
        ? Option.some(Effect.fail(ConfigError.InvalidData([], defect.message)))
        : Option.none()
    )
  )
