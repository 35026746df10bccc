/** A tracer that keeps its spans, and can be made to fail. */
import { Context, type Exit, Option, Tracer } from "effect"

export interface SpanEvent {
  readonly name: string
  readonly time: bigint
  readonly attributes: Readonly<Record<string, unknown>>
}

export class RecordedSpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly spanId: string
  readonly traceId = "trace"
  readonly sampled = true
  readonly context = Context.empty()
  readonly attributes = new Map<string, unknown>()
  readonly events: Array<SpanEvent> = []
  readonly links: ReadonlyArray<Tracer.SpanLink> = []
  status: Tracer.SpanStatus
  /** How often it was ended. */
  ends = 0

  constructor(
    readonly name: string,
    readonly parent: Option.Option<Tracer.AnySpan>,
    startTime: bigint,
    readonly kind: Tracer.SpanKind,
    number: number
  ) {
    this.spanId = `span ${number}`
    this.status = { _tag: "Started", startTime }
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    this.ends += 1
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
  }

  attribute(key: string, value: unknown): void {
    this.attributes.set(key, value)
  }

  event(name: string, time: bigint, attributes: Record<string, unknown> = {}): void {
    this.events.push({ name, time, attributes })
  }

  addLinks(): void {}

  /** The name of the span that it is in. */
  get within(): string | undefined {
    const parent = Option.getOrUndefined(this.parent)
    return parent?._tag === "Span" ? parent.name : undefined
  }
}

export const tracing = () => {
  const spans: Array<RecordedSpan> = []
  const tracer = Tracer.make({
    span: (name, parent, _context, _links, startTime, kind) => {
      const span = new RecordedSpan(name, parent, startTime, kind, spans.length)
      spans.push(span)
      return span
    },
    context: (run) => run()
  })
  const named = (name: string): ReadonlyArray<RecordedSpan> => spans.filter((span) => span.name === name)
  return { spans, tracer, named }
}
