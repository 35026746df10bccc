/**
 * Makes all policies of a program visible, without a change at any call.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { among, InvalidOption, object, type Shape, whole } from "../core/options.js"
import { observerIn } from "../policy/events.js"
import * as Observer from "../policy/Observer.js"
import { Exporter } from "./metrics.js"
import { type Convention, conventions, type Metric } from "./names.js"
import * as internal from "./policies.js"
import * as Registry from "./Registry.js"

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
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Counts what happens in Effect metrics, which every exporter of Effect reads. Default: on. */
  readonly metrics?: false | MetricsOptions | undefined
}

/**
 * A metric: its name, without the prefix of one's own and without the suffixes of Prometheus, its unit and its labels.
 *
 * @since 0.1.0
 * @category models
 */
export type MetricInfo = Metric

/**
 * All metrics, by whose names they have.
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

const shape: Shape<Options> = {
  metrics: (policy, option, value) => {
    if (value !== false) object(policy, option, value, metricsShape)
  }
}

const mostKeys = 1000

const metricsShape: Shape<MetricsOptions> = {
  names: among(...Object.keys(conventions)),
  keyLabel: whole(0, mostKeys),
  prefix: (policy, option, value) => {
    if (typeof value !== "string" || !/^[a-zA-Z][\w.]*$/.test(value)) {
      throw new InvalidOption(policy, option, value, 'a letter, followed by letters, digits, "_" and "."')
    }
  }
}

/** The metrics that are wanted, if any are. */
const configured = (options: Options): MetricsOptions | undefined => {
  object("Observability.layer", "", options, shape)
  const { metrics = {} } = options
  return metrics === false ? undefined : metrics
}

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
export const layer = (options: Options = {}): Layer.Layer<Registry.Registry | Observer.Observer> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const metrics = configured(options)
      const clock = yield* Effect.clock
      const around = observerIn(yield* Effect.context<never>())
      const registry = new internal.Policies({ clock, keys: metrics?.keyLabel ?? 0 })
      if (metrics !== undefined) yield* exported(registry, metrics)
      return Context.make(Registry.Registry, registry).pipe(
        Context.add(Observer.Observer, around === undefined ? registry : Observer.both(around, registry))
      )
    })
  )

const exported = (registry: internal.Policies, { names, prefix }: MetricsOptions) =>
  Effect.acquireRelease(
    Effect.map(Effect.runtime<never>(), (runtime) => {
      // The fibers that read instances are none of the program, so Effect's own metrics do not count them.
      const reading = Runtime.disableRuntimeFlag(runtime, RuntimeFlags.RuntimeMetrics)
      return new Exporter(registry, conventions[names ?? "resilience"](prefix), reading)
    }),
    (exporter) => Effect.sync(() => exporter.close())
  )
