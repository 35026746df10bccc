/**
 * What every stateful policy's tag offers beside being a tag: what the instance offers, given that the instance is there,
 * and layers whose settings come from the configuration.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { type Caller, InvalidOption, isObject, object, onBehalfOf, type Shape } from "../core/options.js"

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

/** What a layer needs to make its instance from settings and from what is given besides them, such as listeners. */
export interface Definition<Settings, Given, A, R> {
  /** The function of the tag that was called, such as `Partner.layerConfig`. */
  readonly caller: Caller
  readonly settings: Config.Config.Wrap<Settings>
  readonly given: Given
  readonly shapeOfGiven: Shape<Given>
  /** Throws an `InvalidOption` for bad settings. */
  readonly check: (settings: Settings, caller: Caller) => unknown
  readonly make: (options: Settings & Given, caller: Caller) => Effect.Effect<A, never, R>
}

/** An instance whose settings come from the configuration. A bad one is a `ConfigError` that says which, where and why. */
export const fromConfig = <Settings extends object, Given extends object, A, R>({
  caller,
  check,
  given,
  make,
  settings,
  shapeOfGiven
}: Definition<Settings, Given, A, R>): Effect.Effect<A, ConfigError.ConfigError, R> =>
  Effect.suspend(() => {
    const { policy } = caller
    object(policy, "", given, shapeOfGiven)
    const configs = new Map<string, Config.Config<unknown>>()
    return Effect.flatMap(read(policy, "", settings, configs), (values) => {
      const options = values as Settings
      return Effect.flatMap(
        refused(policy, configs, () => check(options, caller)),
        () => make({ ...options, ...given }, caller)
      )
    })
  })

type Configs = Map<string, Config.Config<unknown>>

/** Reads each setting by itself, so that an error can name it, and notes where it is. */
const read = (
  policy: string,
  path: string,
  settings: unknown,
  configs: Configs
): Effect.Effect<unknown, ConfigError.ConfigError> => {
  if (Config.isConfig(settings)) {
    configs.set(path, settings)
    return Effect.catchSomeDefect(
      Effect.mapError(settings, (error) => labelled(`${policy}: option "${path}"`, error)),
      // From a rule that was made of a configured number, such as `Config.map(Config.integer("N"), Trip.consecutive)`.
      (defect) =>
        defect instanceof InvalidOption
          ? Option.some(
              refused(policy, configs, () =>
                onBehalfOf({ policy, path }, defect.policy, () => {
                  throw defect
                })
              )
            )
          : Option.none()
    )
  }
  if (!isObject(settings)) throw new InvalidOption(policy, path, settings, "a Config")
  const entries = Object.entries(settings).filter(([, value]) => value !== undefined)
  return Effect.mapBoth(
    Effect.validateAll(entries, ([name, value]) =>
      Effect.map(read(policy, path === "" ? name : `${path}.${name}`, value, configs), (value) => [
        name,
        value
      ])
    ),
    { onFailure: (errors) => errors.reduce(ConfigError.And), onSuccess: Object.fromEntries }
  )
}

/** An error of the configuration with the setting in its messages. */
const labelled = (label: string, error: ConfigError.ConfigError): ConfigError.ConfigError => {
  switch (error._op) {
    case "And":
      return ConfigError.And(labelled(label, error.left), labelled(label, error.right))
    case "Or":
      return ConfigError.Or(labelled(label, error.left), labelled(label, error.right))
    case "InvalidData":
      return ConfigError.InvalidData(error.path, `${label}: ${error.message}`)
    default:
      return error
  }
}

/** Runs a check whose `InvalidOption` becomes an error of the configuration. */
const refused = (
  policy: string,
  configs: Configs,
  check: () => unknown
): Effect.Effect<void, ConfigError.ConfigError> =>
  Effect.catchAll(Effect.try({ try: check, catch: orThrow }), (error) => {
    const paths = [...configs.keys()].filter((path) => `${error.option}.`.startsWith(path && `${path}.`))
    const config = configs.get(
      paths.reduce((longest, path) => (path.length > longest.length ? path : longest), "")
    )
    return Effect.flatMap(config === undefined ? Effect.succeed([]) : origins(config), (found) => {
      const [origin] = found
      if (origin === undefined || found.length > 1) {
        return Effect.fail(ConfigError.InvalidData([], error.message))
      }
      // A duration below zero has become zero by now.
      const value = typeof error.value === "string" ? origin.text : error.value
      const { message } = new InvalidOption(policy, error.option, value, error.expected)
      return Effect.fail(ConfigError.InvalidData([...origin.path], message))
    })
  })

/** An `InvalidOption`. Anything else stays a defect. */
const orThrow = (error: unknown): InvalidOption => {
  if (error instanceof InvalidOption) return error
  throw error
}

interface Origin {
  readonly path: ReadonlyArray<string>
  /** What stands there. */
  readonly text: unknown
}

/** Where in the configuration a setting comes from. It is read once more for this, when it has turned out to be bad. */
const origins = (config: Config.Config<unknown>): Effect.Effect<ReadonlyArray<Origin>> =>
  Effect.configProviderWith(({ flattened }) => {
    const found: Array<Origin> = []
    const noting = ConfigProvider.fromFlat({
      ...flattened,
      load: (path, primitive, split) =>
        Effect.tap(flattened.load(path, primitive, split), () =>
          Effect.map(Effect.exit(flattened.load(path, text, false)), (exit) =>
            found.push({ path, text: Exit.isSuccess(exit) ? exit.value[0] : undefined })
          )
        )
    })
    return Effect.as(Effect.exit(Effect.withConfigProvider(config, noting)), found)
  })

const text = Config.string() as Config.Config.Primitive<string>
