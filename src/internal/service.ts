/**
 * What every stateful policy's tag offers beside being a tag: what the instance offers, given that the instance is there,
 * and layers whose settings come from the configuration.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"

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
export const validSettings = <Settings>(
  settings: Config.Config.Wrap<Settings>,
  check: (settings: Settings) => unknown
): Config.Config<Settings> =>
  Config.mapOrFail(Config.unwrap(settings), (read) =>
    Either.try({
      try: () => {
        check(read)
        return read
      },
      catch: (error) => ConfigError.InvalidData([], error instanceof Error ? error.message : String(error))
    })
  )
