/** The language of Prometheus: series, matchers, rates and durations as text. */
import { wellFormed } from "./wellFormed.js"

/** Labels and what they must be: a value, one of several, another one, or what matches a regular expression. */
export type Matchers = Readonly<
  Record<string, string | ReadonlyArray<string> | { readonly not: string } | { readonly regex: string }>
>

/** A string in quotation marks. Prometheus reads U+FFFD, which stands for half a surrogate pair, only in its escaped form. */
export const quoted = (text: string): string =>
  JSON.stringify(wellFormed(text)).replaceAll("\uFFFD", "\\ufffd")

const matcher = ([label, value]: readonly [string, Matchers[string]]): string => {
  if (typeof value === "string") return `${label}=${quoted(value)}`
  if ("not" in value) return `${label}!=${quoted(value.not)}`
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

export interface Selection {
  /** What the names of all metrics begin with. */
  readonly prefix: string
  /** What all series must have. */
  readonly matchers: Matchers
  /** The labels that tell one sum from another. */
  readonly by: ReadonlyArray<string>
  /** The range of rates. */
  readonly window: string
}

/** The metrics of policies, whose names stand without their prefix, and sums of them. */
export class Metrics {
  constructor(private readonly selection: Selection) {}

  get window(): string {
    return this.selection.window
  }

  /** The same metrics over another range. */
  over(window: string): Metrics {
    return new Metrics({ ...this.selection, window })
  }

  series(metric: string, matchers: Matchers = {}): string {
    const { matchers: all, prefix } = this.selection
    return series(`${prefix}_${metric}`, { ...all, ...matchers })
  }

  sum(of: string, ...more: ReadonlyArray<string>): string {
    return this.together("sum", of, more)
  }

  max(of: string, ...more: ReadonlyArray<string>): string {
    return this.together("max", of, more)
  }

  private together(how: string, of: string, more: ReadonlyArray<string>): string {
    const by = [...new Set([...this.selection.by, ...more])].join(", ")
    return by === "" ? `${how}(${of})` : `${how} by (${by}) (${of})`
  }

  /** How often something happens in a second. */
  rate(metric: string, matchers: Matchers = {}, ...more: ReadonlyArray<string>): string {
    return this.sum(`rate(${this.series(metric, matchers)}[${this.window}])`, ...more)
  }

  /** How often something has happened within the range. */
  increase(metric: string, matchers: Matchers = {}, ...more: ReadonlyArray<string>): string {
    return this.sum(`increase(${this.series(metric, matchers)}[${this.window}])`, ...more)
  }

  /** A percentile of a histogram. */
  quantile(quantile: number, metric: string, matchers: Matchers = {}): string {
    return `histogram_quantile(${quantile}, ${this.rate(`${metric}_bucket`, matchers, "le")})`
  }
}

export const ratio = (part: string, whole: string): string => `${part}\n/\n${whole}`
