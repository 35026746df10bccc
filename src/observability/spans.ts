/**
 * Writes what policies do to a call as events of its current span, or gives its attempts spans of their own.
 *
 * The current span is that of the fiber that runs, so only events that a call causes in its own fiber are written. A call that another
 * one affects, such as by handing it a permit, has events of its own for that.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"
import { among, defined, type Shape } from "../core/options.js"
import type { AnyFiber } from "../internal/erased.js"
import { runningFiber } from "../internal/inside.js"
import * as Time from "../internal/time.js"
import { failed } from "../policy/condition.js"
import { harmless } from "../policy/harmless.js"
import type * as Observer from "../policy/Observer.js"
import type * as Policy from "../policy/Policy.js"
import { byEvent, type ByEvent } from "./byEvent.js"
import * as ErrorType from "./errorType.js"
import * as HttpAttributes from "./httpAttributes.js"
import type * as Observability from "./Observability.js"

export const shape: Shape<Observability.SpanOptions> = {
  attempts: among("events", "spans")
}

export const make = ({ attempts = "events" }: Observability.SpanOptions) => {
  const inSpans = attempts === "spans"
  const found = byEvent(inSpans ? events : { ...events, ...attemptsAsEvents })
  const spans = new Spans()
  const observer: Observer.Service = {
    unsafeObserve: harmless((event) => {
      const write = found.get(event.kind)?.get(event._tag)
      if (write === undefined) return
      const fiber = runningFiber()
      const span = fiber?.currentSpan
      if (fiber === undefined || span?._tag !== "Span" || span.status._tag === "Ended") return
      const written = write(event)
      if (written === undefined) return
      const [name, attributes] = written
      span.event(`resilience.${name}`, nowOf(fiber)(), defined({ ...ofPolicy(event), ...attributes }))
    }),
    unsafeHttpCall: harmless((request) => {
      const [name, attributes] = HttpAttributes.spanOf(request)
      return spans.operation(name, attributes, HttpAttributes.ofEnd)
    }),
    ...(inSpans && {
      unsafeAttempt: harmless((attempt) => {
        const attributes = {
          ...ofPolicy(attempt),
          ...ofAttempt(attempt),
          ...inSeconds("delay", attempt.delay)
        }
        return spans.operation("resilience.attempt", attributes, ofAttemptEnd)
      })
    })
  }
  return { observer, found }
}

/** The time of a fiber as its tracer wants it. */
const nowOf = (fiber: AnyFiber): (() => bigint) => {
  const clock = Time.clockOf(fiber)
  return fiber.getFiberRef(FiberRef.currentTracerTimingEnabled)
    ? () => clock.unsafeCurrentTimeNanos()
    : () => 0n
}

// --------------------------------------------------------------------------------------------------------- attributes

/** Those without a value are left out. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

const ofPolicy = ({ kind, name }: Pick<Policy.Described, "kind" | "name">): Attributes => ({
  "resilience.policy": name,
  "resilience.kind": kind
})

/** A duration in seconds, as in OpenTelemetry. */
const inSeconds = (name: string, duration: Duration.Duration | undefined): Attributes => ({
  [`resilience.${name}`]: duration && Duration.toSeconds(duration)
})

const ofAttempt = ({ attempt }: { readonly attempt: number }): Attributes => ({
  "resilience.attempt.number": attempt
})

const ofOutcome = (outcome: Policy.AttemptOutcome): Attributes => ({
  "resilience.outcome": outcome.toLowerCase()
})

const ofAttemptEnd = ({ exit, outcome }: Observer.AttemptEnd): Attributes => ({
  ...ofOutcome(outcome),
  "error.type": outcome === "Failure" ? ErrorType.ofFailure(failed(exit)) : undefined
})

// ------------------------------------------------------------------------------------------------------------- events

type Written = readonly [name: string, attributes: Attributes] | undefined

const ofRejection = (
  {
    error,
    retryAfter
  }: { readonly error: { readonly _tag: string }; readonly retryAfter: Duration.Duration | undefined },
  reason: string
): Written => [
  "rejected",
  { "resilience.reason": reason, ...inSeconds("retry_after", retryAfter), "error.type": error._tag }
]

const ofAdmission = ({ waited }: { readonly waited: Duration.Duration }): Written =>
  Duration.equals(waited, Duration.zero) ? undefined : ["queued", inSeconds("duration", waited)]

const attempt = (event: Policy.AttemptEnded): Written => [
  "attempt",
  { ...ofAttempt(event), ...ofOutcome(event.outcome), ...inSeconds("duration", event.duration) }
]

const events: ByEvent<Written> = {
  "circuit-breaker": {
    StateChange: ({ from, openFor, operation, reason, to }) => [
      "state_change",
      {
        "resilience.state.from": from,
        "resilience.state.to": to,
        "resilience.reason": reason,
        "resilience.operation": operation,
        ...inSeconds("open_for", openFor)
      }
    ],
    Rejected: (event) => ofRejection(event, event.state)
  },
  bulkhead: { Admitted: ofAdmission, Rejected: (event) => ofRejection(event, event.reason) },
  "rate-limiter": { Admitted: ofAdmission, Rejected: (event) => ofRejection(event, event.reason) },
  "retry-budget": {
    Refused: ({ activity, balance }) => [
      "budget",
      { "resilience.outcome": "refused", "resilience.activity": activity, "resilience.balance": balance }
    ],
    Exhausted: ({ balance }) => [
      "budget",
      { "resilience.outcome": "exhausted", "resilience.balance": balance }
    ],
    Recovered: ({ balance }) => [
      "budget",
      { "resilience.outcome": "recovered", "resilience.balance": balance }
    ]
  },
  cache: {
    Stale: ({ age, state }) => ["stale", { "resilience.reason": state, ...inSeconds("age", age) }]
  },
  retry: {
    RetryScheduled: (event) => [
      "retry",
      {
        ...ofAttempt(event),
        ...inSeconds("delay", event.delay),
        "error.type": ErrorType.ofFailure(event.failure)
      }
    ],
    Exceeded: (event) => [
      "retry_exceeded",
      {
        ...ofAttempt(event),
        "resilience.reason": event.reason,
        "error.type": ErrorType.ofFailure(event.failure)
      }
    ],
    Abort: (event) => [
      "retry_aborted",
      { ...ofAttempt(event), "error.type": ErrorType.ofFailure(event.failure) }
    ]
  },
  hedge: {
    Hedge: (event) => [
      "hedge",
      {
        ...ofAttempt(event),
        ...inSeconds("delay", event.elapsed),
        "error.type": ErrorType.ofFailure(event.failure)
      }
    ]
  },
  timeout: {
    Timeout: ({ elapsed, error, limit, stalled }) => [
      "timeout",
      {
        ...inSeconds("limit", limit),
        ...inSeconds("duration", elapsed),
        ...inSeconds("stalled", stalled),
        "error.type": error._tag
      }
    ]
  },
  fallback: {
    Fallback: ({ failure }) => ["fallback", { "error.type": ErrorType.ofFailure(failure) }],
    FallbackEnded: ({ duration, outcome }) => [
      "fallback_ended",
      { ...ofOutcome(outcome), ...inSeconds("duration", duration) }
    ]
  }
}

const attemptsAsEvents: ByEvent<Written> = {
  retry: { ...events.retry, Attempt: attempt },
  hedge: { ...events.hedge, Attempt: attempt }
}

// -------------------------------------------------------------------------------------------------------------- spans

interface Ending {
  readonly exit: Exit.Exit<unknown, unknown>
}

/** Spans around attempts and calls, whatever the tracer does. */
class Spans {
  private readonly notMade = harmless((cause: Cause.Cause<never>): void => {
    throw Cause.squash(cause)
  })
  private readonly end = harmless(
    (span: Tracer.Span, now: () => bigint, attributes: Attributes, { exit }: Ending) => {
      for (const [name, value] of Object.entries(defined(attributes))) span.attribute(name, value)
      if (span.status._tag === "Started") span.end(now(), exit)
    }
  )

  operation<End extends Ending>(
    name: string,
    attributes: Attributes,
    attributesOf: (end: End) => Attributes
  ): Observer.Operation<End> {
    const made = Effect.makeSpan(name, { attributes: defined(attributes), captureStackTrace: false })
    let begun: { readonly span: Tracer.Span; readonly now: () => bigint } | undefined
    return {
      // The span is there before an interruption can come between.
      around: (self) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.withFiberRuntime((fiber) =>
            Effect.matchCauseEffect(made, {
              onFailure: (cause) => {
                this.notMade(cause)
                return restore(self)
              },
              onSuccess: (span) => {
                begun = { span, now: nowOf(fiber) }
                return restore(Effect.provideService(self, Tracer.ParentSpan, span))
              }
            })
          )
        ),
      unsafeEnded: (end) => {
        if (begun !== undefined) this.end(begun.span, begun.now, attributesOf(end), end)
      }
    }
  }
}
