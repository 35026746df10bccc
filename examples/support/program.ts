// The frame of every example program: it reads options from the command line and the environment, logs in a structured format,
// and says in one line why it could not start.
import { HttpServerError } from "@effect/platform"
import { NodeRuntime } from "@effect/platform-node"
import {
  Cause,
  Config,
  ConfigProvider,
  Console,
  Effect,
  Layer,
  Logger,
  LogLevel,
  Option,
  Predicate
} from "effect"
import { parseArgs } from "node:util"

/** An option is `--its-name value` on the command line or ITS_NAME in the environment. The command line wins. */
export interface Program<E> {
  /** The command that starts the program, for `--help`. */
  readonly command: string
  /** The options by name, each with a line of help. A `Config` reads them. */
  readonly options: Readonly<Record<string, string>>
  /** The program itself. */
  readonly main: Layer.Layer<never, E>
}

/** The port to listen on. Port 0 takes any free one, which the log then names. */
export const port = (otherwise: number): Config.Config<number> =>
  Config.integer("PORT").pipe(
    Config.validate({
      message: "a port is a number from 0 to 65535",
      validation: (value) => value >= 0 && value <= 65535
    }),
    Config.withDefault(otherwise)
  )

/** Runs the program until it is told to stop, or exits with 1 if it cannot start. */
export const run = <E>({ command, main, options }: Program<E>): void => {
  const documented = {
    ...options,
    "log-format": "logfmt, json or pretty (default: logfmt)",
    "log-level": "the least important lines to write: debug, info, warning, error (default: info)"
  }
  const program = Effect.gen(function* () {
    const flags = yield* readFlags(Object.keys(documented))
    if (flags.has("help")) return yield* Console.log(usage(command, documented))
    return yield* Layer.launch(main).pipe(
      Effect.tapErrorCause(explain),
      Effect.provide(Layer.tapErrorCause(logger, explain)),
      Effect.withConfigProvider(providerOf(flags))
    )
  })
  NodeRuntime.runMain(program, { disableErrorReporting: true, disablePrettyLogger: true })
}

const usage = (command: string, options: Program<never>["options"]): string =>
  [
    `usage: ${command} [options]`,
    "",
    ...Object.entries(options).map(
      ([name, help]) => `  ${`--${name}`.padEnd(16)} ${nameInEnvironment(name).padEnd(16)} ${help}`
    )
  ].join("\n")

const nameInEnvironment = (option: string): string => option.toUpperCase().replaceAll("-", "_")

/** Reads the flags. An unknown flag ends the program with a hint. */
const readFlags = (names: ReadonlyArray<string>) =>
  Effect.try(() => {
    const text = { type: "string" } as const
    const { values } = parseArgs({
      options: { ...Object.fromEntries(names.map((name) => [name, text])), help: { type: "boolean" } }
    })
    return new Map(Object.entries(values).map(([name, value]) => [name, String(value)]))
  }).pipe(Effect.tapError(({ error }) => Console.error(`${messageOf(error)}\n--help lists the options.`)))

const providerOf = (flags: ReadonlyMap<string, string>): ConfigProvider.ConfigProvider => {
  const environment = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const]
  )
  const given = [...flags].map(([option, value]) => [nameInEnvironment(option), value] as const)
  return ConfigProvider.fromMap(new Map([...environment, ...given]))
}

const formats = { logfmt: Logger.logFmt, json: Logger.json, pretty: Logger.pretty }
const format = Config.literal("logfmt", "json", "pretty")
const logger = Layer.unwrapEffect(
  Effect.map(
    Config.all({
      format: Config.withDefault(format("LOG_FORMAT"), "logfmt"),
      level: Config.withDefault(Config.logLevel("LOG_LEVEL"), LogLevel.Info)
    }),
    ({ format, level }) => Layer.merge(formats[format], Logger.minimumLogLevel(level))
  )
)

/** The usual failures at the start are an invalid option and a taken port. */
const explain = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => (Cause.isInterruptedOnly(cause) ? Effect.void : Effect.logError("the program died", cause)),
    onSome: (error) => Effect.logError(messageOf(error))
  })

const messageOf = (error: unknown): string => {
  if (error instanceof HttpServerError.ServeError) {
    return Predicate.hasProperty(error.cause, "code") && error.cause.code === "EADDRINUSE"
      ? "the port is taken, choose another one with --port or PORT"
      : String(error.cause)
  }
  return error instanceof Error ? error.message : String(error)
}
