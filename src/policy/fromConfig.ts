/** Reads settings from the configuration for every `layerConfig`. */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { type Caller, InvalidOption, isObject, join, onBehalfOf } from "../core/options.js"

/** What is read from the configuration, and for whom. */
export interface Reading<Settings> {
  /** The function of the tag that was called, such as `Partner.layerConfig`. */
  readonly caller: Caller
  readonly settings: Config.Config.Wrap<Settings>
  /** Throws an `InvalidOption` for bad settings. */
  readonly check: (settings: Settings, caller: Caller) => unknown
}

/** Settings from the configuration. A bad one is a `ConfigError` that says which, where and why. */
export const fromConfig = <Settings extends object>({
  caller,
  check,
  settings
}: Reading<Settings>): Effect.Effect<Settings, ConfigError.ConfigError> =>
  Effect.suspend(() => {
    const { policy } = caller
    const configs = new Map<string, Config.Config<unknown>>()
    return Effect.flatMap(read(policy, "", settings, configs), (values) => {
      const options = values as Settings
      return Effect.as(
        refused(policy, configs, () => check(options, caller)),
        options
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
      Effect.map(read(policy, join(path, name), value, configs), (value) => [name, value])
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
