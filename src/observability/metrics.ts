/**
 * Effect metrics that are read from tallies and from instances. A metric is a key in Effect's registry, made once, whose state is worked
 * out when it is asked for: a call pays for an addition, and every exporter sees what is true now.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { globalValue } from "effect/GlobalValue"
import * as EffectMetric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import * as MetricState from "effect/MetricState"
import type * as Runtime from "effect/Runtime"
import { runNow } from "../internal/fork.js"
import * as Time from "../internal/time.js"
import type { Gauge, Metric, Names, Source, Target } from "./names.js"
import { keepUnit } from "./ownUnits.js"
import type { Place, Policies } from "./policies.js"
import type * as Registry from "./Registry.js"
import { bounds, type Cell, type Distribution, type Tally } from "./tally.js"

// -------------------------------------------------------------------------------------------------------------- series

/** A number that is read whenever it is asked for. */
interface Valued {
  readonly value: number
}

/** What is added to a series takes itself away with this. */
type Remove = () => void

/** What the parts of a program add up to. Nearly always there is one part, which is then not looked for in a list. */
abstract class Series<Part> {
  protected only: Part | undefined
  protected all: ReadonlyArray<Part> = []

  add(part: Part): Remove {
    this.set([...this.all, part])
    return () => {
      if (!this.all.includes(part)) return
      this.set(this.all.filter((each) => each !== part))
      this.keep(part)
    }
  }

  /** Keeps what a part has added, now that it is gone. */
  protected abstract keep(part: Part): void

  private set(all: ReadonlyArray<Part>): void {
    this.all = all
    this.only = all.length === 1 ? all[0] : undefined
  }
}

const sumOf = (parts: ReadonlyArray<Valued>): number => parts.reduce((sum, { value }) => sum + value, 0)

/** A counter of the program: what its parts count, and what parts counted that are gone. */
class Sum extends Series<Valued> {
  private kept = 0
  private last = 0
  private state = MetricState.counter(0)

  protected keep({ value }: Valued): void {
    this.kept += value
  }

  /** A state is a value, so the last one stands as long as nothing was added. */
  readonly get = (): MetricState.MetricState.Counter<number> => {
    const sum = this.kept + (this.only === undefined ? sumOf(this.all) : this.only.value)
    if (sum !== this.last) this.state = MetricState.counter((this.last = sum))
    return this.state
  }
}

class Level extends Series<Valued> {
  private last = 0
  private state = MetricState.gauge(0)

  protected keep(): void {}

  readonly get = (): MetricState.MetricState.Gauge<number> => {
    const sum = this.only === undefined ? sumOf(this.all) : this.only.value
    if (sum !== this.last) this.state = MetricState.gauge((this.last = sum))
    return this.state
  }
}

/** What a histogram shows, in seconds. */
interface Durations {
  readonly counts: Array<number>
  count: number
  sum: number
  min: number
  max: number
}

const nothing = (): Durations => ({
  counts: new Array<number>(bounds.length + 1).fill(0),
  count: 0,
  sum: 0,
  min: Infinity,
  max: -Infinity
})

const addTo = (to: Durations, { count, counts, max, min, sum }: Readonly<Durations>): void => {
  for (let bucket = 0; bucket < counts.length; bucket++) to.counts[bucket] += counts[bucket]
  to.count += count
  to.sum += sum
  to.min = Math.min(to.min, min)
  to.max = Math.max(to.max, max)
}

class Spread extends Series<Readonly<Durations>> {
  private readonly kept = nothing()
  private last = 0
  private state: MetricState.MetricState.Histogram

  constructor(
    /** How many of the unit of the metric there are in a second. */
    private readonly scale: number
  ) {
    super()
    this.state = this.shown(nothing())
  }

  protected keep(part: Readonly<Durations>): void {
    addTo(this.kept, part)
  }

  readonly get = (): MetricState.MetricState.Histogram => {
    const { all, kept, last, only } = this
    const count = kept.count + (only?.count ?? all.reduce((sum, each) => sum + each.count, 0))
    if (count === last) return this.state
    this.last = count
    return (this.state = this.shown(only === undefined || kept.count > 0 ? this.sum() : only))
  }

  private sum(): Durations {
    const sum = nothing()
    for (const each of [this.kept, ...this.all]) addTo(sum, each)
    return sum
  }

  private shown({ count, counts, max, min, sum }: Readonly<Durations>): MetricState.MetricState.Histogram {
    const { scale } = this
    const buckets: Array<readonly [bound: number, upTo: number]> = []
    let upTo = 0
    for (let bucket = 0; bucket < counts.length; bucket++) {
      upTo += counts[bucket]
      buckets.push([bucket < bounds.length ? bounds[bucket] * scale : Infinity, upTo])
    }
    return MetricState.histogram({
      buckets,
      count,
      min: count === 0 ? 0 : min * scale,
      max: count === 0 ? 0 : max * scale,
      sum: sum * scale
    })
  }
}

/** The series of the program by the hooks that show them. Two layers, or two copies of this library, add to the same ones. */
const known = globalValue(Symbol.for("effect-resilience/metrics"), () => ({
  /** By their scale. Boundaries are equal only if they are the same object, and so are keys of histograms. */
  boundaries: new Map<number, MetricBoundaries.MetricBoundaries>(),
  sums: new WeakMap<object, Sum>(),
  levels: new WeakMap<object, Level>(),
  spreads: new WeakMap<object, Spread>()
}))

/** What Effect reads a metric from, and updates it by. */
interface Hook {
  get: () => unknown
  update: (input: never) => void
  modify: (input: never) => void
}

const nowhere = (): void => {}

const found = <Series extends { readonly get: () => unknown }>(
  all: WeakMap<object, Series>,
  hook: Hook,
  make: () => Series
): Series => {
  let series = all.get(hook)
  if (series === undefined) {
    series = make()
    all.set(hook, series)
    hook.get = series.get
    // Nothing else counts here, and the state that Effect has made for it is a tenth of what an observed policy holds.
    hook.update = hook.modify = nowhere
  }
  return series
}

// ---------------------------------------------------------------------------------------------------------------- keys

const milliseconds = 1000

/** The keys of metrics without labels of their own. */
class Keys {
  private readonly counters = new Map<Metric, MetricKey.MetricKey.Counter<number>>()
  private readonly gauges = new Map<Metric, MetricKey.MetricKey.Gauge<number>>()
  private readonly histograms = new Map<Metric, MetricKey.MetricKey.Histogram>()

  counter(metric: Metric, labels: Labels): Sum {
    const { description, name } = metric
    const key = once(this.counters, metric, () => MetricKey.counter(name, { description, incremental: true }))
    const hook = EffectMetric.globalMetricRegistry.getCounter(MetricKey.taggedWithLabels(key, labels))
    return found(known.sums, hook, () => new Sum())
  }

  gauge(metric: Metric, labels: Labels): Level {
    const { description, name } = metric
    const key = once(this.gauges, metric, () => MetricKey.gauge(name, { description }))
    const hook = EffectMetric.globalMetricRegistry.getGauge(MetricKey.taggedWithLabels(key, labels))
    return found(known.levels, hook, () => new Level())
  }

  histogram(metric: Metric, labels: Labels): Spread {
    const { description, name, unit } = metric
    const scale = unit === "ms" ? milliseconds : 1
    const key = once(this.histograms, metric, () => {
      const boundaries = once(known.boundaries, scale, () =>
        MetricBoundaries.fromIterable(bounds.map((bound) => bound * scale))
      )
      return MetricKey.histogram(name, boundaries, description)
    })
    const tagged = MetricKey.taggedWithLabels(key, labels)
    if (unit === "ms") keepUnit(tagged)
    const hook = EffectMetric.globalMetricRegistry.getHistogram(tagged)
    return found(known.spreads, hook, () => new Spread(scale))
  }
}

type Labels = ReadonlyArray<MetricLabel.MetricLabel>

const once = <Of, A>(all: Map<Of, A>, of: Of, make: () => A): A => {
  let made = all.get(of)
  if (made === undefined) all.set(of, (made = make()))
  return made
}

const labelsFrom = (labels: Readonly<Record<string, string>>): Labels =>
  Object.entries(labels).map(([label, value]) => MetricLabel.make(label, value))

// ------------------------------------------------------------------------------------------------------------- readings

/** States that only an event changes. An open circuit and an overdue probe go on by time alone. */
const isSteady = (state: unknown): boolean => state !== "open" && state !== "half-open"

/** What the instances of a tally show, read once for all gauges of a scrape. */
class Reading {
  private values: ReadonlyArray<number> = []
  private moment = -1
  private revision = -1
  /** The gauges that have been asked for since, as bits. The same one again is another scrape. */
  private asked = 0
  /** The gauges whose series have begun. */
  private shown = 0
  /** The places that were read, if what they show stays until the next event. */
  private steady: ReadonlyArray<Place> | undefined
  private readonly places: ReadonlySet<Place>

  constructor(
    private readonly tally: Tally,
    readonly source: Source,
    private readonly policies: Policies,
    private readonly reader: Reader,
    private readonly show: (reading: Reading, gauge: number) => void
  ) {
    this.places = policies.placesOf(tally)
    for (const [index, { isRare }] of source.gauges.entries()) if (isRare !== true) this.begins(index)
  }

  private begins(gauge: number): void {
    this.shown |= 1 << gauge
    this.show(this, gauge)
  }

  value(gauge: number): number {
    const bit = 1 << gauge
    if (!this.isCurrent(this.reader.now()) || (this.asked & bit) !== 0) this.reader.read(this)
    this.asked |= bit
    return this.values[gauge]
  }

  private isCurrent(moment: number): boolean {
    return this.moment === moment && this.revision === this.tally.revision
  }

  /** Whether it has been read, and not been asked for since. */
  isAhead(moment: number): boolean {
    return this.asked === 0 && this.isCurrent(moment)
  }

  /** The instances to read, none if nothing can have changed since the last reading. */
  begin(moment: number): ReadonlyArray<Registry.Instance> | undefined {
    const isStill = this.isStill()
    this.moment = moment
    this.asked = 0
    this.revision = this.tally.revision
    return isStill ? undefined : this.policies.instancesOf(this.tally)
  }

  private isStill(): boolean {
    const { places, revision, steady, tally } = this
    if (steady === undefined || revision !== tally.revision || places.size !== steady.length) return false
    return steady.every((place) => places.has(place) && place.made.deref() !== undefined)
  }

  /** Takes what was read, without the instances that could not be read at once. */
  end(snapshots: ReadonlyArray<unknown>): void {
    const { places, source } = this
    this.values = source.gauges.map((gauge) => together(gauge, snapshots))
    for (const [index, value] of this.values.entries())
      if (value !== 0 && (this.shown & (1 << index)) === 0) this.begins(index)
    const read = [...places]
    const areSteady =
      source.reads === "state" && snapshots.every(isSteady) && read.every(({ change }) => !change.isKeyed)
    this.steady = areSteady ? read : undefined
  }
}

const together = ({ of, together }: Gauge, snapshots: ReadonlyArray<unknown>): number => {
  if (snapshots.length === 1) return of(snapshots[0])
  if (together === "max" && snapshots.length > 0) return Math.max(...snapshots.map(of))
  return snapshots.reduce<number>((sum, each) => sum + of(each), 0)
}

/** The effect that reads an instance. */
const toRead = (instance: Registry.Instance, { reads }: Source): Effect.Effect<unknown> =>
  reads === "state" && "state" in instance ? instance.state : instance.snapshot

/** Reads instances, in fibers that cannot wait. */
class Reader {
  /** In the order of their metrics, in which a scrape asks for them. */
  private readonly readings = new Map<Reading, number>()
  private readonly order: Array<Reading> = []
  private moment = 0
  private stretch = -1
  private millis = 0
  /** How many are read with the next one that is asked for, more and more of them within a moment. */
  private ahead = 1

  constructor(
    private readonly runtime: Runtime.Runtime<never>,
    private readonly clock: Clock.Clock
  ) {}

  /** A number for what runs without a pause, as long as a clock that is moved by hand stands still. */
  now(): number {
    const stretch = Time.thisStretch()
    const millis = this.clock === Time.liveClock ? 0 : this.clock.unsafeCurrentTimeMillis()
    if (stretch !== this.stretch || millis !== this.millis) {
      this.stretch = stretch
      this.millis = millis
      this.moment += 1
      this.ahead = 1
    }
    return this.moment
  }

  add(reading: Reading): void {
    this.readings.set(reading, this.order.length)
    this.order.push(reading)
  }

  /** A fiber costs more than what it reads, so in a scrape one fiber reads for many. */
  read(asked: Reading): void {
    const { order, readings, runtime } = this
    const now = this.now()
    const from = readings.get(asked) ?? 0
    const batch: Array<readonly [Reading, ReadonlyArray<Registry.Instance>]> = []
    for (const reading of order.slice(from, from + this.ahead)) {
      if (reading !== asked && reading.isAhead(now)) continue
      const instances = reading.begin(now)
      if (instances !== undefined) batch.push([reading, instances])
    }
    this.ahead *= 2
    if (batch.length === 0) return
    const jobs = batch.flatMap(([{ source }, instances]) =>
      instances.map((instance) => toRead(instance, source))
    )
    const results: Array<unknown> = []
    const all = Effect.whileLoop({
      while: () => results.length < jobs.length,
      body: () => jobs[results.length],
      step: (snapshot) => {
        results.push(snapshot)
      }
    })
    while (results.length < jobs.length) {
      // What cannot be read at once is left out.
      if (Exit.isFailure(runNow(runtime, all))) results.push(undefined)
    }
    let done = 0
    for (const [reading, instances] of batch) {
      const snapshots = results.slice(done, (done += instances.length))
      reading.end(snapshots.filter((snapshot) => snapshot !== undefined))
    }
  }
}

/** A gauge of a reading. */
class Read implements Valued {
  constructor(
    private readonly reading: Reading,
    private readonly gauge: number
  ) {}

  get value(): number {
    return this.reading.value(this.gauge)
  }
}

// ------------------------------------------------------------------------------------------------------------ exporter

/** Shows in Effect's metrics what the tallies of a registry count and what its instances show, until it is closed. */
export class Exporter {
  private readonly keys = new Keys()
  private readonly added: Array<Remove> = []
  private readonly reader: Reader

  constructor(
    private readonly policies: Policies,
    private readonly names: Names,
    runtime: Runtime.Runtime<never>,
    clock: Clock.Clock
  ) {
    this.reader = new Reader(runtime, clock)
    for (const tally of policies.tallies.values()) this.add(tally)
    policies.onTally = (tally) => this.add(tally)
  }

  /** Counters keep their value, gauges fall to zero, and nothing of the registry is referred to any more. */
  close(): void {
    this.policies.onTally = undefined
    for (const tally of this.policies.tallies.values()) tally.onCell = undefined
    for (const remove of this.added.splice(0)) remove()
  }

  private add(tally: Tally): void {
    const { keys, names, policies, reader } = this
    const common = labelsFrom(names.labels(tally))
    const cell = (cell: Cell): void => {
      const target = names.ofCell(cell, tally.kind)
      if (target !== undefined) this.added.push(this.show(target, common, cell))
    }
    tally.cells.forEach(cell)
    tally.onCell = cell
    const source = names.sources[tally.kind]
    if (source !== undefined) {
      const show = (reading: Reading, index: number): void => {
        const { labels, metric } = source.gauges[index]
        const series = keys.gauge(metric, [...common, ...labelsFrom(labels)])
        this.added.push(series.add(new Read(reading, index)))
      }
      reader.add(new Reading(tally, source, policies, reader, show))
    }
    if (tally.kind === "circuit-breaker" && names.inFlight !== undefined) {
      const series = keys.gauge(names.inFlight.metric, common)
      this.added.push(series.add(new InFlight(tally)))
    }
  }

  private show({ labels, metric }: Target, common: Labels, cell: Cell): Remove {
    const unit = metric.unit === undefined ? [] : [MetricLabel.make("unit", metric.unit)]
    const all = [...common, ...labelsFrom(labels), ...unit]
    if (metric.type === "counter") return this.keys.counter(metric, all).add(countOf(cell))
    return cell._tag === "Distribution" ? this.keys.histogram(metric, all).add(cell) : () => {}
  }
}

const countOf = (cell: Cell): Valued => (cell._tag === "Counter" ? cell : new Count(cell))

/** How many durations a distribution has seen. */
class Count implements Valued {
  constructor(private readonly distribution: Distribution) {}

  get value(): number {
    return this.distribution.count
  }
}

class InFlight implements Valued {
  constructor(private readonly tally: Tally) {}

  get value(): number {
    return this.tally.inFlight
  }
}
