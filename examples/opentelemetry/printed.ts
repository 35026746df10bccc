// Spans as text: a line for each span of a trace, with its events. A real program exports them, for example by OTLP.
import type { Attributes, AttributeValue } from "@opentelemetry/api"
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base"

/** An exporter that writes each trace when its first span has ended. */
export const exporter = (write: (text: string) => void): SpanExporter => {
  const ended = new Map<string, ReadonlyArray<ReadableSpan>>()
  return {
    export: (spans, done) => {
      for (const span of spans) {
        const { traceId } = span.spanContext()
        const trace = [...(ended.get(traceId) ?? []), span]
        if (span.parentSpanContext === undefined) {
          ended.delete(traceId)
          write(treeOf(span, trace).join("\n"))
        } else ended.set(traceId, trace)
      }
      done({ code: 0 })
    },
    shutdown: () => Promise.resolve()
  }
}

const treeOf = (span: ReadableSpan, trace: ReadonlyArray<ReadableSpan>): ReadonlyArray<string> => {
  const { attributes, duration, events, name, startTime } = span
  const inside = [
    ...events.map((event) => ({
      time: event.time,
      lines: [`• ${event.name} ${inWords(event.attributes ?? {})}`.trimEnd()]
    })),
    ...trace
      .filter((child) => child.parentSpanContext?.spanId === span.spanContext().spanId)
      .map((child) => ({ time: child.startTime, lines: treeOf(child, trace) }))
  ].sort((one, other) => millis(one.time) - millis(other.time))
  return [
    `${name} ${Math.round(millis(duration))} ms ${inWords(attributes)}`.trimEnd(),
    ...inside.flatMap(({ lines, time }) =>
      lines.map((line, index) =>
        index === 0 && line.startsWith("•")
          ? `  ${line} after ${Math.round(millis(time) - millis(startTime))} ms`
          : `  ${line}`
      )
    )
  ]
}

const millis = ([seconds, nanos]: readonly [number, number]): number => seconds * 1000 + nanos / 1_000_000

/** The attributes that say what a policy did, without `resilience.` before their names, and how a request ended. */
const inWords = (attributes: Attributes): string =>
  Object.entries(attributes)
    .filter(([name]) => /^resilience\.(?!kind)|^error\.type$|resend_count$|status_code$/.test(name))
    .map(([name, value]) => `${name.replace("resilience.", "")}=${shown(value)}`)
    .join(" ")

const shown = (value: AttributeValue | undefined): string =>
  typeof value === "number" ? String(Math.round(value * 1000) / 1000) : String(value)
