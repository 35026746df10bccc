/** The text format of Prometheus: families of series, each series with its labels and its value. */
import type * as MetricKey from "effect/MetricKey"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import { keepsUnit } from "./ownUnits.js"
import { wellFormed } from "./wellFormed.js"

type Type = "counter" | "histogram" | "summary" | "gauge"

/** Of two types that want one name, the earlier one gets it. */
const precedence: ReadonlyArray<Type> = ["counter", "histogram", "summary", "gauge"]

/** What a metric key becomes. It does not change, so it is worked out once. */
interface Series {
  readonly family: Description
  readonly help: string
  /** As in `a="1",b="2"`, sorted. */
  readonly labels: string
  /** How many units of its values make one of the unit in its name. */
  readonly per: number
  /** The beginnings of its lines. */
  heads: Heads | undefined
}

interface Description {
  readonly type: Type
  /** The name of the family, unless another family has it. */
  readonly name: string
}

type Pairs = ReadonlyArray<MetricPair.MetricPair.Untyped>

interface Family extends Description {
  help: string
  /** By their labels. */
  readonly members: Map<string, Member>
}

/** A series on a page. */
interface Member {
  readonly series: Series
  /** Which of the metrics it shows. */
  readonly at: number
  /** The word of a frequency that it counts. */
  readonly word: string | undefined
  /** Other metrics that become the same series. */
  others: Array<Member> | undefined
}

/** What is on a page, and in which order. */
interface Layout {
  readonly keys: ReadonlyArray<MetricKey.MetricKey.Untyped>
  readonly families: ReadonlyArray<readonly [name: string, family: Family]>
}

/** The last page. A program is scraped over and over again, mostly with the metrics of the last time. */
let last: Layout | undefined

export const exposition = (metrics: Iterable<MetricPair.MetricPair.Untyped>): string => {
  const pairs: Pairs = [...metrics]
  const { families } = isSame(last, pairs) ? last : laidOut(pairs)
  return families.map(([name, family]) => written(name, family, pairs)).join("")
}

const isSame = (layout: Layout | undefined, pairs: Pairs): layout is Layout =>
  layout !== undefined &&
  layout.keys.length === pairs.length &&
  pairs.every(({ metricKey }, at) => metricKey === layout.keys[at])

const laidOut = (pairs: Pairs): Layout => {
  const families = new Map<Description, Family>()
  let hasWords = false
  for (const [at, { metricKey, metricState }] of pairs.entries()) {
    const state: unknown = metricState
    const words = MetricState.isFrequencyState(state) ? [...state.occurrences.keys()] : undefined
    if (words === undefined)
      add(families, { series: seriesOf(metricKey), at, word: undefined, others: undefined })
    for (const word of words ?? [])
      add(families, { series: ofWord(metricKey, word), at, word, others: undefined })
    hasWords ||= words !== undefined
  }
  const layout = { keys: pairs.map(({ metricKey }) => metricKey), families: named([...families.values()]) }
  // A frequency may have new words the next time.
  last = hasWords ? undefined : layout
  return layout
}

const add = (families: Map<Description, Family>, member: Member): void => {
  const { family: description, help, labels } = member.series
  let family = families.get(description)
  if (family === undefined) families.set(description, (family = { ...description, help, members: new Map() }))
  const same = family.members.get(labels)
  if (same === undefined) family.members.set(labels, member)
  else (same.others ??= []).push(member)
}

/** The state that a series shows: the sum of metrics that count, in the unit of the first, or else the first of them. */
const stateOf = (member: Member, pairs: Pairs): unknown => {
  const { at, others, series, word } = member
  const state: unknown = pairs[at].metricState
  const isAlone = word === undefined && (others === undefined || !MetricState.isCounterState(state))
  if (isAlone) return state
  const counts = [member, ...(others ?? [])].map(
    (each) => (countOf(each, pairs) * series.per) / each.series.per
  )
  return MetricState.counter(counts.reduce((sum, count) => sum + count, 0))
}

const countOf = ({ at, word = "" }: Member, pairs: Pairs): number => {
  const state: unknown = pairs[at].metricState
  if (MetricState.isFrequencyState(state)) return state.occurrences.get(word) ?? 0
  return MetricState.isCounterState(state) ? Number(state.count) : 0
}

// -------------------------------------------------------------------------------------------------------------- names

/** The families by the names that they are written with, sorted. No name of a series belongs to two of them. */
const named = (families: ReadonlyArray<Family>): ReadonlyArray<readonly [string, Family]> => {
  const taken = new Set<string>()
  return families
    .slice()
    .sort((a, b) => precedence.indexOf(a.type) - precedence.indexOf(b.type) || (a.name < b.name ? -1 : 1))
    .map((family) => {
      let names = namesOf(family, "")
      for (let n = 2; names.some((name) => taken.has(name)); n++) names = namesOf(family, `_${n}`)
      for (const name of names) taken.add(name)
      return [names[0], family] as const
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The name of a family, and those of its series. */
const namesOf = ({ name, type }: Family, suffix: string): readonly [string, ...Array<string>] => {
  if (type === "counter") return [`${name.slice(0, -total.length)}${suffix}${total}`]
  const whole = `${name}${suffix}`
  if (type === "gauge") return [whole]
  const parts: readonly [string, ...Array<string>] = [whole, `${whole}_sum`, `${whole}_count`]
  return type === "histogram" ? [...parts, `${whole}_bucket`] : parts
}

const total = "_total"

const known = new WeakMap<MetricKey.MetricKey.Untyped, Series>()

const seriesOf = (key: MetricKey.MetricKey.Untyped): Series => {
  let series = known.get(key)
  if (series === undefined) known.set(key, (series = toSeries(key)))
  return series
}

const toSeries = (key: MetricKey.MetricKey.Untyped): Series => {
  const type = typeOf(key.keyType)
  const tagOf = (name: string) => key.tags.filter((tag) => tag.key === name).at(-1)?.value
  const { aliases, name, per } = keepsUnit(key) ? milliseconds : unitOf(tagOf("unit") ?? tagOf("time_unit"))
  const bare = key.name.endsWith(total) && type === "counter" ? key.name.slice(0, -total.length) : key.name
  const base = toName(withUnit(bare, name, aliases))
  return {
    family: descriptionOf(type, type === "counter" ? base + total : base),
    help: escapedHelp(Option.getOrElse(key.description, () => key.name)),
    labels: inText(labelsOf(key)),
    per,
    heads: undefined
  }
}

/** The series of a word of a frequency. */
const ofWord = (key: MetricKey.MetricKey.Untyped, word: string): Series => {
  const labels = labelsOf(key)
  if (word !== "") labels.set("key", word)
  return { ...seriesOf(key), labels: inText(labels), heads: undefined }
}

/** One object for each family: looking for it is cheaper than looking for its name. */
const descriptions = new Map<string, Description>()

const descriptionOf = (type: Type, name: string): Description => {
  const id = `${type} ${name}`
  let description = descriptions.get(id)
  if (description === undefined) descriptions.set(id, (description = { type, name }))
  return description
}

const typeOf = (keyType: unknown): Type => {
  if (MetricKeyType.isHistogramKey(keyType)) return "histogram"
  if (MetricKeyType.isSummaryKey(keyType)) return "summary"
  if (MetricKeyType.isFrequencyKey(keyType)) return "counter"
  return MetricKeyType.isCounterKey(keyType) && keyType.incremental ? "counter" : "gauge"
}

/** A name that a metric or a label may have. */
export const toName = (name: string): string => {
  const valid = name.replace(/[^a-zA-Z0-9_]+/g, "_")
  return /^[a-zA-Z_]/.test(valid) ? valid : `_${valid}`
}

// -------------------------------------------------------------------------------------------------------------- units

interface Unit {
  /** The base unit in the name of a metric, or nothing. */
  readonly name: string
  readonly aliases: ReadonlyArray<string>
  readonly per: number
}

const unitless: Unit = { name: "", aliases: [], per: 1 }

/** The units that metrics of Effect and of OpenTelemetry come in. Prometheus wants base units. */
const units: ReadonlyArray<Unit> = [
  { name: "seconds", aliases: ["s", "second", "seconds"], per: 1 },
  { name: "seconds", aliases: ["ms", "milli", "millis", "millisecond", "milliseconds"], per: 1e3 },
  { name: "seconds", aliases: ["us", "micro", "micros", "microsecond", "microseconds"], per: 1e6 },
  { name: "seconds", aliases: ["ns", "nano", "nanos", "nanosecond", "nanoseconds"], per: 1e9 },
  { name: "bytes", aliases: ["By", "byte", "bytes"], per: 1 }
]

/** As exporters of OpenTelemetry write them. Source: OpenTelemetry, Prometheus and OpenMetrics compatibility, on units. */
const milliseconds: Unit = { name: "milliseconds", aliases: [], per: 1 }

const unitOf = (tag: string | undefined): Unit =>
  units.find(({ aliases }) => tag !== undefined && aliases.includes(tag)) ?? unitless

/** A name that ends with its base unit, instead of the unit of its values. */
const withUnit = (name: string, unit: string, aliases: ReadonlyArray<string>): string => {
  if (unit === "") return name
  const [last = ""] = /[^._]*$/.exec(name) ?? []
  const bare = aliases.includes(last) ? name.slice(0, -last.length - 1) : name
  return bare === "" ? unit : `${bare}_${unit}`
}

// ------------------------------------------------------------------------------------------------------------- labels

const labelsOf = ({ keyType, tags }: MetricKey.MetricKey.Untyped): Map<string, string> => {
  const reserved = reservedLabel(keyType)
  // Of two tags of one name, the later one was added last.
  const values = new Map(tags.map(({ key, value }) => [key, value]))
  const labels = new Map<string, string>()
  for (const [key, value] of byName(values)) {
    if (value === "" || key === "unit" || key === "time_unit") continue
    const name = toLabel(key)
    const label = name === reserved ? `exported_${name}` : name
    const same = labels.get(label)
    labels.set(label, same === undefined ? value : `${same};${value}`)
  }
  return labels
}

const byName = (labels: ReadonlyMap<string, string>): ReadonlyArray<readonly [string, string]> =>
  [...labels].sort(([a], [b]) => (a < b ? -1 : 1))

const inText = (labels: ReadonlyMap<string, string>): string =>
  byName(labels)
    .map(([label, value]) => `${label}="${escaped(value)}"`)
    .join(",")

/** The label that a type of metric brings. */
const reservedLabel = (keyType: unknown): string | undefined => {
  if (MetricKeyType.isHistogramKey(keyType)) return "le"
  if (MetricKeyType.isSummaryKey(keyType)) return "quantile"
  return MetricKeyType.isFrequencyKey(keyType) ? "key" : undefined
}

/** Names with two underscores in front are Prometheus's own. */
const toLabel = (key: string): string => toName(key).replace(/^__+/, "_")

/** Well-formed before it is compared, because encoding can make two labels the same. */
const escapedHelp = (help: string): string =>
  wellFormed(help).replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const escaped = (value: string): string => escapedHelp(value).replaceAll('"', '\\"')

// -------------------------------------------------------------------------------------------------------------- lines

interface Heads {
  readonly name: string
  readonly value: string
  readonly bucket: string
  readonly nextBucket: string
  readonly sum: string
  readonly count: string
}

const headsOf = (series: Series, name: string): Heads => {
  if (series.heads?.name !== name) series.heads = toHeads(series, name)
  return series.heads
}

/** Joined, because text that is put together by `+` would be copied piece by piece in every scrape. */
const toHeads = ({ family: { type }, labels }: Series, name: string): Heads => {
  const isWhole = type === "counter" || type === "gauge"
  const head = (...parts: ReadonlyArray<string>): string => (isWhole ? "" : parts.join(""))
  const bucket = [name, "_bucket{", labels, labels && ",", 'le="']
  return {
    name,
    value: isWhole ? [name, braces(labels), " "].join("") : "",
    bucket: head(...bucket),
    nextBucket: head("\n", ...bucket),
    sum: head(name, "_sum", braces(labels), " "),
    count: head(name, "_count", braces(labels), " ")
  }
}

const braces = (labels: string): string => labels && `{${labels}}`

const written = (name: string, { help, members, type }: Family, pairs: Pairs): string => {
  let text = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
  const bounds = new Map<number, string>()
  for (const member of members.values()) text += sample(member.series, name, stateOf(member, pairs), bounds)
  return text
}

/** The bounds of buckets as text, which most histograms of a family share. */
type Bounds = Map<number, string>

const sample = (series: Series, name: string, state: unknown, bounds: Bounds): string => {
  const { per } = series
  if (MetricState.isCounterState(state)) return `${headsOf(series, name).value}${shown(state.count, per)}\n`
  if (MetricState.isGaugeState(state)) return `${headsOf(series, name).value}${shown(state.value, per)}\n`
  if (MetricState.isHistogramState(state)) return histogram(headsOf(series, name), state, per, bounds)
  return MetricState.isSummaryState(state) ? summary(headsOf(series, name), series, state) : ""
}

const histogram = (
  heads: Heads,
  { buckets, count, sum }: MetricState.MetricState.Histogram,
  per: number,
  bounds: Bounds
): string => {
  const lines: Array<string> = []
  let last = -Infinity
  for (const [bound, upTo] of buckets) {
    // The bucket of all values is written below. `NaN` is in no other.
    if (!(bound > last && bound < Number.MAX_VALUE)) continue
    last = bound
    const inUnit = bound / per
    let text = bounds.get(inUnit)
    if (text === undefined) bounds.set(inUnit, (text = `${shown(inUnit, 1)}"} `))
    lines.push(`${text}${upTo}`)
  }
  lines.push(`+Inf"} ${count}`)
  return `${heads.bucket}${lines.join(heads.nextBucket)}\n${heads.sum}${shown(sum, per)}\n${heads.count}${count}\n`
}

const summary = (
  heads: Heads,
  { labels, per }: Series,
  { count, quantiles, sum }: MetricState.MetricState.Summary
): string => {
  let text = ""
  for (const [quantile, value] of new Map(quantiles)) {
    const label = `${labels}${labels && ","}quantile="${quantile}"`
    text += `${heads.name}{${label}} ${shown(Option.getOrElse(value, notANumber), per)}\n`
  }
  return `${text}${heads.sum}${shown(sum, per)}\n${heads.count}${count}\n`
}

const notANumber = (): number => NaN

/** A value in the unit that is in the name. */
const shown = (value: number | bigint, per: number): string => {
  if (typeof value === "bigint" && per === 1) return String(value)
  const number = Number(value) / per
  if (number === Infinity) return "+Inf"
  return number === -Infinity ? "-Inf" : String(number)
}
