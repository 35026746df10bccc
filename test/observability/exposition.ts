/** Metrics with any name, tags and values, and a reader of the text format that knows nothing of its writer. */
import { FastCheck, MetricBoundaries, MetricKey, MetricLabel, MetricPair, MetricState, Option } from "effect"

type Pair = MetricPair.MetricPair.Untyped
type Tags = ReadonlyArray<readonly [name: string, value: string]>

const tagged = (key: MetricKey.MetricKey.Untyped, tags: Tags): MetricKey.MetricKey.Untyped =>
  MetricKey.taggedWithLabels(
    key,
    tags.map(([name, value]) => MetricLabel.make(name, value))
  )

export interface Named {
  readonly name: string
  readonly tags?: Tags
  readonly description?: string
}

export const counter = (value: number | bigint, { description, name, tags = [] }: Named): Pair =>
  MetricPair.unsafeMake(
    tagged(MetricKey.counter(name, { description, incremental: true }), tags),
    typeof value === "bigint" ? MetricState.counter(value) : MetricState.counter(value)
  )

/** A counter of Effect that may fall, as they do unless they are said to be incremental. */
export const falling = (value: number, { description, name, tags = [] }: Named): Pair =>
  MetricPair.unsafeMake(tagged(MetricKey.counter(name, { description }), tags), MetricState.counter(value))

export const gauge = (value: number, { description, name, tags = [] }: Named): Pair =>
  MetricPair.unsafeMake(tagged(MetricKey.gauge(name, { description }), tags), MetricState.gauge(value))

export const frequency = (
  occurrences: Readonly<Record<string, number>>,
  { description, name, tags = [] }: Named
): Pair =>
  MetricPair.unsafeMake(
    tagged(MetricKey.frequency(name, { description }), tags),
    MetricState.frequency(new Map(Object.entries(occurrences)))
  )

export const histogram = (
  bounds: ReadonlyArray<number>,
  values: ReadonlyArray<number>,
  { description, name, tags = [] }: Named
): Pair => {
  const boundaries = MetricBoundaries.fromIterable(bounds)
  return MetricPair.unsafeMake(
    tagged(MetricKey.histogram(name, boundaries, description), tags),
    MetricState.histogram({
      buckets: boundaries.values.map((bound) => [bound, values.filter((value) => value <= bound).length]),
      count: values.length,
      min: Math.min(...values),
      max: Math.max(...values),
      sum: values.reduce((sum, value) => sum + value, 0)
    })
  )
}

export const summary = (
  quantiles: ReadonlyArray<readonly [number, number | undefined]>,
  { description, name, tags = [] }: Named
): Pair =>
  MetricPair.unsafeMake(
    tagged(
      MetricKey.summary({
        name,
        description,
        maxAge: "1 minute",
        maxSize: 10,
        error: 0,
        quantiles: quantiles.map(([quantile]) => quantile)
      }),
      tags
    ),
    MetricState.summary({
      error: 0,
      quantiles: quantiles.map(([quantile, value]) => [quantile, Option.fromNullable(value)]),
      count: 3,
      min: 1,
      max: 3,
      sum: 6
    })
  )

const nasty = [
  "",
  "a",
  "a.b",
  "a_b",
  "a b",
  "a_b_total",
  "a_b_count",
  "a_b_bucket",
  "1st",
  "größe",
  "__name__",
  "__",
  "le",
  "quantile",
  "key",
  "exported_le",
  "unit",
  "time_unit",
  "x:y",
  'quote"',
  "back\\slash",
  "new\nline",
  "return\r",
  "\0",
  "\ud800",
  "😀",
  "<b>&amp;</b>",
  "#",
  "{}",
  "ms",
  "seconds",
  "By",
  "x".repeat(500)
]

const text = FastCheck.oneof(
  FastCheck.constantFrom(...nasty),
  FastCheck.string({ maxLength: 5, unit: "binary" })
)

const named: FastCheck.Arbitrary<Named> = FastCheck.record(
  {
    name: text,
    tags: FastCheck.array(FastCheck.tuple(text, text), { maxLength: 4 }),
    description: text
  },
  { requiredKeys: ["name"] }
)

const value = FastCheck.double()

/** Metrics that a program may have at once, however their users chose names, tags and values. */
export const pairs: FastCheck.Arbitrary<ReadonlyArray<Pair>> = FastCheck.array(
  FastCheck.oneof(
    FastCheck.tuple(FastCheck.oneof(FastCheck.nat(), FastCheck.bigInt()), named).map(([n, of]) =>
      counter(n, of)
    ),
    FastCheck.tuple(value, named).map(([n, of]) => falling(n, of)),
    FastCheck.tuple(value, named).map(([n, of]) => gauge(n, of)),
    FastCheck.tuple(FastCheck.dictionary(text, FastCheck.nat(), { maxKeys: 3 }), named).map(([words, of]) =>
      frequency(words, of)
    ),
    FastCheck.tuple(FastCheck.array(value), FastCheck.array(value), named).map(([bounds, values, of]) =>
      histogram(bounds, values, of)
    ),
    FastCheck.tuple(
      FastCheck.array(FastCheck.tuple(FastCheck.double({ min: 0, max: 1 }), FastCheck.option(value)), {
        maxLength: 4
      }),
      named
    ).map(([quantiles, of]) =>
      summary(
        quantiles.map(([q, v]) => [q, v ?? undefined]),
        of
      )
    )
  ),
  { maxLength: 12 }
)

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: ReadonlyArray<Sample>
}

/** The families of a text in their order. Throws at the first line that is not of the format. */
export const read = (page: string): ReadonlyArray<Family> => {
  const families: Array<Omit<Family, "samples"> & { readonly samples: Array<Sample> }> = []
  const lines = page.split("\n")
  if (lines.pop() !== "") throw new Error("the last line has no end")
  for (let at = 0; at < lines.length; at++) {
    const help = /^# HELP ([a-zA-Z_][a-zA-Z0-9_]*) (.*)$/su.exec(lines[at] ?? "")
    if (help !== null) {
      const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(lines[++at] ?? "")
      if (type?.[1] !== help[1]) throw new Error(`no type: ${lines[at]}`)
      families.push({ name: help[1] ?? "", type: type?.[2] ?? "", help: help[2] ?? "", samples: [] })
      continue
    }
    families.at(-1)?.samples.push(readSample(lines[at] ?? ""))
  }
  return families
}

const readSample = (line: string): Sample => {
  const [, name, inside = "", value] = /^([a-zA-Z_][a-zA-Z0-9_]*)(?:\{(.*)\})? (\S+)$/su.exec(line) ?? []
  if (name === undefined || value === undefined) throw new Error(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  let rest = inside
  while (rest !== "") {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/su.exec(rest)
    if (label === null) throw new Error(`no label: ${rest}`)
    const [whole, key = "", escaped = ""] = label
    if (key in labels) throw new Error(`the label ${key} twice: ${line}`)
    labels[key] = escaped.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char))
    rest = rest.slice(whole.length)
  }
  const number = { "+Inf": Infinity, "-Inf": -Infinity }[value] ?? Number(value)
  return { name, labels, value: number }
}
