/**
 * Makes all policies of a program visible, without a change at any call.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import { among, type Check, object, type Shape, whole } from "../core/options.js"
import { observerIn } from "../policy/events.js"
import * as Observer from "../policy/Observer.js"
import type * as Policy from "../policy/Policy.js"
import { onlyTo } from "./byEvent.js"
import * as HttpRequests from "./httpRequests.js"
import { prefix } from "./labelOptions.js"
import * as Logs from "./logs.js"
import { Exporter } from "./metrics.js"
import { type Convention, conventions, type Metric } from "./names.js"
import * as internal from "./policies.js"
import * as Registry from "./Registry.js"
import * as Spans from "./spans.js"

/**
 * What the current span of a call is told.
 *
 * @since 0.1.0
 * @category options
 */
export interface SpanOptions {
  /**
   * How the attempts of retries and hedges are shown: as events of the call's span, or each as a span of its own. Default:
   * `"events"`.
   */
  readonly attempts?: "events" | "spans" | undefined
}

/**
 * A line for the log.
 *
 * @since 0.1.0
 * @category models
 */
export interface LogLine {
  readonly event: Policy.Event
  readonly level: LogLevel.LogLevel
  /** One sentence, with names as quoted text. */
  readonly message: string
  /** The event as data: `policy`, `kind`, `event` and what it carries, with durations in words. */
  readonly annotations: Readonly<Record<string, unknown>>
}

/**
 * Which events are logged, and how.
 *
 * @since 0.1.0
 * @category options
 */
export interface LogOptions {
  /**
   * The level of an event's line, `undefined` for no line. `byDefault` is the level that it has otherwise. Called for changes of
   * state and settings, and for what is not logged by default: rejections, refusals of a budget, timeouts, fallbacks, and retries that
   * give up.
   */
  readonly level?: (
    event: Policy.Event,
    byDefault: LogLevel.LogLevel | undefined
  ) => LogLevel.LogLevel | undefined
  /** Writes a line. Default: with Effect's loggers. */
  readonly write?: (line: LogLine) => Effect.Effect<unknown, unknown>
}

/**
 * Whose names the metrics have: `resilience`, this library's own; `resilience4j`, those of its Micrometer module, so that its dashboards
 * go on working; `polly`, those of Polly 8.
 *
 * @since 0.1.0
 * @category models
 */
export type Names = Convention

/**
 * @since 0.1.0
 * @category models
 */
export interface MetricsOptions {
  /** Whose names the metrics have. Default: `"resilience"`. */
  readonly names?: Names | undefined
  /**
   * How many keys of each keyed policy have a label of their own, `key`; later ones share `key="other"`. At most 1000, since a series
   * that was made once stays. Default: 0, which is one series for all keys.
   */
  readonly keyLabel?: number | undefined
  /**
   * What all names begin with: a letter, then letters, digits, `_` and `.`. Default: `"resilience"`, `"resilience4j"` or
   * `"resilience.polly"`, as `names` says.
   */
  readonly prefix?: string | undefined
}

/**
 * Each part can be switched off with `false`. To replace one, switch it off and add an observer of your own with `Observer.layer`.
 *
 * Of layers within one another, the outer one does all that it does, and an inner one only what is left: metrics that have other
 * names, lines that another function writes, and parts that are switched off outside.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Counts what happens in Effect metrics, which every exporter of Effect reads. Layers side by side add up. Default: on.
   */
  readonly metrics?: false | MetricsOptions | undefined
  /** Writes what happens to a call into its span, and makes a span for each call of an HTTP client. Default: on. */
  readonly spans?: false | SpanOptions | undefined
  /** Logs changes of state and of settings, and budgets that are exhausted or recover. Default: on. */
  readonly logs?: false | LogOptions | undefined
}

/**
 * A metric with its unit and its labels. The name has the default prefix, and no suffix of Prometheus.
 *
 * @since 0.1.0
 * @category models
 */
export type MetricInfo = Metric

/**
 * All metrics, by the option `names`.
 *
 * @example
 * ```ts
 * import { Observability } from "effect-resilience/observability"
 *
 * for (const { description, labels, name } of Observability.metrics.resilience)
 *   console.log(`${name}{${labels.join()}} ${description}`)
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const metrics: { readonly [Convention in Names]: ReadonlyArray<MetricInfo> } = {
  resilience: conventions.resilience().metrics,
  resilience4j: conventions.resilience4j().metrics,
  polly: conventions.polly().metrics
}

/** Options of a part, which `false` switches off. */
const orOff =
  <O>(ofPart: Shape<O>): Check =>
  (policy, option, value) => {
    if (value !== false) object(policy, option, value, ofPart)
  }

const shape: Shape<Options> = {
  metrics: (policy, option, value) => orOff(metricsShape)(policy, option, value),
  spans: orOff(Spans.shape),
  logs: orOff(Logs.shape)
}

const mostKeys = 1000

const metricsShape: Shape<MetricsOptions> = {
  names: among(...Object.keys(conventions)),
  keyLabel: whole(0, mostKeys),
  prefix
}

/**
 * Finds all policies of a program. Provide it at the edge, under the layers of the policies.
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
export const layer = (options: Options = {}): Layer.Layer<Registry.Registry | Observer.Observer> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      object("Observability.layer", "", options, shape)
      const { logs = {}, metrics = {}, spans = {} } = options
      const runtime = yield* Effect.runtime<never>()
      const around = doneAround(runtime)
      const keys = metrics === false ? 0 : (metrics.keyLabel ?? 0)
      const registry = new internal.Policies({ clock: yield* Effect.clock, keys })
      done.set(registry, {
        names: [...around.names, ...(metrics === false ? [] : [called(metrics)])],
        writesSpans: around.writesSpans || spans !== false,
        writers: [...around.writers, ...(logs === false ? [] : [logs.write])]
      })
      if (metrics !== false && !around.names.includes(called(metrics)))
        yield* exported(registry, metrics, runtime)
      const { unsafeLeft, unsafeMaking, unsafeObserve } = registry
      const countsRequests = metrics !== false && around.names.length === 0
      const observers = [
        observerIn(runtime.context),
        // Not `both`: every event would pass through one function more.
        countsRequests ? { ...HttpRequests.make(), unsafeLeft, unsafeMaking, unsafeObserve } : registry,
        onlyTo([
          ...(spans === false || around.writesSpans ? [] : [Spans.make(spans)]),
          ...(logs === false || around.writers.includes(logs.write) ? [] : [Logs.make(logs, runtime)])
        ])
      ]
      const observer = observers.filter((each) => each !== undefined).reduce(Observer.both)
      return Context.make(Registry.Registry, registry).pipe(Context.add(Observer.Observer, observer))
    })
  )

/** What a layer does, by itself or by one around it, and so a layer within it leaves alone. */
interface Done {
  /** The names under which policies are counted. */
  readonly names: ReadonlyArray<string>
  readonly writesSpans: boolean
  /** What writes lines, `undefined` for Effect's loggers. */
  readonly writers: ReadonlyArray<LogOptions["write"]>
}

const done = new WeakMap<object, Done>()

const nothing: Done = { names: [], writesSpans: false, writers: [] }

/** What the layers around one do: nothing if an observer has replaced theirs, since they see no event then. */
const doneAround = ({ context }: Runtime.Runtime<never>): Done => {
  const around = Context.getOption(context as Context.Context<Registry.Registry>, Registry.Registry)
  const areReached = observerIn(context)?.unsafeMaking !== undefined
  return (areReached && Option.isSome(around) ? done.get(around.value) : undefined) ?? nothing
}

const called = ({ names = "resilience", prefix = "" }: MetricsOptions): string => `${names} ${prefix}`

/** Shows what is counted. */
const exported = (
  registry: internal.Policies,
  { names = "resilience", prefix }: MetricsOptions,
  runtime: Runtime.Runtime<never>
): Effect.Effect<void, never, Scope.Scope> => {
  // The fibers that read instances are none of the program, so Effect's own metrics do not count them.
  const reading = Runtime.disableRuntimeFlag(runtime, RuntimeFlags.RuntimeMetrics)
  return Effect.asVoid(
    Effect.acquireRelease(
      Effect.map(Effect.clock, (clock) => new Exporter(registry, conventions[names](prefix), reading, clock)),
      (exporter) => Effect.sync(() => exporter.close())
    )
  )
}
