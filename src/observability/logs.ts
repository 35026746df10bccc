/** Logs what operators want to read: changes of state and of settings, exhaustion and recovery, and by option what calls meet. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type * as Runtime from "effect/Runtime"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import { callable, type Shape } from "../core/options.js"
import { quoted } from "../internal/quoted.js"
import { durationInWords } from "../internal/words.js"
import { valueInWords } from "../policy/describe.js"
import { harmless, later } from "../policy/harmless.js"
import type * as Observer from "../policy/Observer.js"
import type * as Policy from "../policy/Policy.js"
import * as RateLimiter from "../rateLimiter/RateLimiter.js"
import { byEvent } from "./byEvent.js"
import * as ErrorType from "./errorType.js"
import type * as Observability from "./Observability.js"
import { changeInWords, counted as ruleInWords, plural } from "./sentences.js"

export const shape: Shape<Observability.LogOptions> = { level: callable, write: callable }

/** Lines go to the loggers of the fiber that runs, or else of the runtime. */
export const make = (
  { level: levelOf = (_, byDefault) => byDefault, write = logged }: Observability.LogOptions,
  runtime: Runtime.Runtime<never>
) => {
  const observer: Observer.Service = {
    unsafeObserve: harmless((event) => {
      const describe = found.get(event.kind)?.get(event._tag)
      if (describe === undefined) return
      const { byDefault, details, sentence } = describe(event)
      const level = levelOf(event, byDefault)
      if (level === undefined) return
      const { _tag, kind, name } = event
      const line: Observability.LogLine = {
        event,
        level,
        message: `${kind.replaceAll("-", " ")} ${quoted(name)} ${sentence}`,
        annotations: { policy: asText(name), kind, event: _tag, ...inWords(details) }
      }
      const written = Effect.suspend(() => write(line))
      later(written, runtime)
    })
  }
  return { observer, found }
}

const logged = ({ annotations, level, message }: Observability.LogLine): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logWithLevel(level, message), annotations)

// -------------------------------------------------------------------------------------------------------------- words

type Details = Readonly<Record<string, string | number | Duration.Duration | undefined>>

/** A name as it is, if it is harmless in a log, or else in quotation marks. */
const asText = (text: string): string => {
  const shown = quoted(text)
  return shown === `"${text}"` ? text : shown
}

/** Details as annotations. Those without a value are left out. */
const inWords = (details: Details): Readonly<Record<string, string | number>> =>
  Object.fromEntries(
    Object.entries(details).flatMap(([name, value]) => {
      if (value === undefined) return []
      return [
        [name, Duration.isDuration(value) ? long(value) : typeof value === "string" ? asText(value) : value]
      ]
    })
  )

const long = (duration: Duration.Duration): string => durationInWords(Duration.toMillis(duration))

const because = (reason: string | undefined): string => (reason === undefined ? "" : `: ${reason}`)

const nextChance = (retryAfter: Duration.Duration | undefined): string =>
  retryAfter === undefined || Duration.equals(retryAfter, Duration.zero)
    ? ""
    : `, next chance in ${long(retryAfter)}`

// ------------------------------------------------------------------------------------------------------------- circuit

const become: Record<CircuitBreaker.State, string> = {
  closed: "closed",
  open: "opened",
  "half-open": "is half-open",
  isolated: "is isolated",
  disabled: "is disabled",
  "metrics-only": "only counts"
}

/** States in which calls are rejected, or in which nothing protects. */
const alarming: ReadonlySet<CircuitBreaker.State> = new Set(["open", "isolated", "disabled"])

const changed = (change: CircuitBreaker.StateChange): Line => {
  const { from, metrics, openFor, operation, reason, to } = change
  const again = from === "half-open" && to === "open" ? "again" : undefined
  const period = openFor && Duration.isFinite(openFor) ? `for ${long(openFor)}` : undefined
  const verb = [become[to], again, period].filter((part) => part !== undefined).join(" ")
  const { failures, rejected, successes } = metrics
  const turnedAway = from === "open" && rejected > 0 ? `, ${plural(rejected, "call")} rejected meanwhile` : ""
  return {
    byDefault: alarming.has(to) ? LogLevel.Warning : LogLevel.Info,
    sentence: `${verb}${because(changeInWords(change, ruleInWords))}${turnedAway}`,
    details: { from, to, reason, operation, openFor, successes, failures, rejected }
  }
}

/** The settings that are not as they were, each as it was and as it is. */
const configured = ({ from, to }: CircuitBreaker.Configured): Line => {
  const words = (settings: Policy.Settings, name: string) => asText(valueInWords(settings[name]))
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])]
  const changes = names.filter((name) => words(from, name) !== words(to, name))
  const shown = changes.map((name) => `${name} from ${words(from, name)} to ${words(to, name)}`)
  return {
    byDefault: LogLevel.Info,
    sentence: shown.length === 0 ? "kept its settings" : `changed ${shown.join(", ")}`,
    details: Object.fromEntries(changes.map((name) => [name, words(to, name)]))
  }
}

// -------------------------------------------------------------------------------------------------------------- lines

interface Line {
  /** The level, if it is logged by default. */
  readonly byDefault: LogLevel.LogLevel | undefined
  /** What follows the name. */
  readonly sentence: string
  readonly details: Details
}

const onRequest = (sentence: string, details: Details): Line => ({ byDefault: undefined, sentence, details })

const info = (sentence: string, details: Details): Line => ({ byDefault: LogLevel.Info, sentence, details })

const found = byEvent<Line>({
  "circuit-breaker": {
    StateChange: changed,
    Configured: configured,
    Rejected: ({ retryAfter, state }) =>
      onRequest(`rejected a call: the circuit is ${state}${nextChance(retryAfter)}`, {
        reason: state,
        retryAfter
      })
  },
  bulkhead: {
    Resized: ({ from, to }) => info(`was resized from ${from} to ${plural(to, "permit")}`, { from, to }),
    Rejected: ({ permits, queued, reason, retryAfter }) =>
      onRequest(
        `rejected a call: ${reason}, ${plural(permits, "permit")}, ${queued} queued${nextChance(retryAfter)}`,
        {
          reason,
          permits,
          queued,
          retryAfter
        }
      )
  },
  "rate-limiter": {
    RateChanged: ({ from, to }) => {
      const rates = { from: RateLimiter.describe(from), to: RateLimiter.describe(to) }
      return info(`changed its rate from ${rates.from} to ${rates.to}`, rates)
    },
    Rejected: ({ limit, reason, retryAfter }) =>
      onRequest(`rejected a call: ${reason}${nextChance(retryAfter)}`, { reason, limit, retryAfter })
  },
  "retry-budget": {
    Exhausted: ({ balance }) => ({
      byDefault: LogLevel.Warning,
      sentence: "is exhausted: it pays for no more retries and hedges",
      details: { balance }
    }),
    Recovered: ({ balance }) => info("has recovered", { balance }),
    Refused: ({ activity, balance, cost }) => onRequest(`refused a ${activity}`, { activity, balance, cost })
  },
  timeout: {
    Timeout: ({ elapsed, limit, stalled }) =>
      onRequest(`ended a call at its limit of ${long(limit)}`, { limit, elapsed, stalled })
  },
  retry: {
    Exceeded: ({ attempt, elapsed, failure, reason }) =>
      onRequest(`gave up after ${plural(attempt, "attempt")} in ${long(elapsed)}${because(reason)}`, {
        attempt,
        elapsed,
        reason,
        error: ErrorType.ofFailure(failure)
      }),
    Abort: ({ attempt, elapsed, failure }) =>
      onRequest(
        `gave up after ${plural(attempt, "attempt")} in ${long(elapsed)}: the failure is not worth a retry`,
        {
          attempt,
          elapsed,
          error: ErrorType.ofFailure(failure)
        }
      )
  },
  fallback: {
    Fallback: ({ failure }) => {
      const error = ErrorType.ofFailure(failure)
      return onRequest(`replaces a failure${because(error && asText(error))}`, { error })
    }
  }
})
