/** The language of Prometheus: series, matchers, rates and durations as text. */

/** Labels and what they must be: a value, one of several, or, as it stands, a regular expression. */
export type Matchers = Readonly<Record<string, string | ReadonlyArray<string> | { readonly regex: string }>>

/** A string in quotation marks. Half a surrogate pair cannot be encoded. */
export const quoted = (text: string): string => JSON.stringify(text.replace(/\p{Surrogate}/gu, "\uFFFD"))

const matcher = ([label, value]: readonly [string, Matchers[string]]): string => {
  if (typeof value === "string") return `${label}=${quoted(value)}`
  return "regex" in value
    ? `${label}=~${quoted(value.regex)}`
    : `${label}=~${quoted(value.map(literally).join("|"))}`
}

/** A regular expression for a text. */
const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")

/** The series of a metric that have these labels. */
export const series = (metric: string, matchers: Matchers): string => {
  const all = Object.entries(matchers).map(matcher).join(",")
  return all === "" ? metric : `${metric}{${all}}`
}

const units: ReadonlyArray<readonly [unit: string, millis: number]> = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1]
]

/** A duration such as `1h30m`. */
export const duration = (millis: number): string => {
  let text = ""
  let left = Math.round(millis)
  for (const [unit, size] of units) {
    if (left >= size) text += `${Math.floor(left / size)}${unit}`
    left %= size
  }
  return text === "" ? "0s" : text
}

/** Sums of the series of metrics, over their rates, for each value of some labels. */
export class Sums {
  constructor(
    /** What all series must have. */
    private readonly matchers: Matchers,
    /** The labels that tell sums apart. */
    private readonly by: ReadonlyArray<string>,
    /** The range of rates. */
    readonly window: string
  ) {}

  /** Series without what tells apart those of a program that runs several times. */
  series(metric: string, matchers: Matchers = {}): string {
    return series(metric, { ...this.matchers, ...matchers })
  }

  sum(of: string, ...more: ReadonlyArray<string>): string {
    return this.aggregate("sum", of, more)
  }

  max(of: string): string {
    return this.aggregate("max", of, [])
  }

  private aggregate(how: string, of: string, more: ReadonlyArray<string>): string {
    return `${how} by (${[...this.by, ...more].join(", ")}) (${of})`
  }

  /** How often something happens in a second. */
  rate(metric: string, matchers: Matchers = {}, ...more: ReadonlyArray<string>): string {
    return this.sum(`rate(${this.series(metric, matchers)}[${this.window}])`, ...more)
  }

  /** A percentile of a histogram. */
  quantile(quantile: number, metric: string, matchers: Matchers = {}): string {
    return `histogram_quantile(${quantile}, ${this.rate(`${metric}_bucket`, matchers, "le")})`
  }
}

/** A share of something, line by line. */
export const ratio = (part: string, whole: string): string => `${part}\n/\n${whole}`
