import { assert, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, FastCheck, Schedule } from "effect"
import { Backoff, Retry } from "effect-resilience"
import { runToEnd } from "../support/everyStep.js"
import { timeline } from "../support/virtual.js"
import { runs } from "../support/runs.js"

/** How an attempt ends, and its hint to the retry. */
interface Attempt {
  readonly is: "good" | "bad" | "error" | "abort" | "defect" | "interrupt"
  readonly takes: number
  readonly hint: number | undefined
}

interface Bounds {
  readonly times: number | undefined
  readonly delays: ReadonlyArray<number>
  readonly maxDuration: number | undefined
  readonly maxHint: number
  readonly defect: boolean
}

/** The slow and obvious retry: a loop over the script, with a number for a clock. */
const modelled = (script: ReadonlyArray<Attempt>, bounds: Bounds): ReadonlyArray<string> => {
  const log: Array<string> = []
  let now = 0
  for (let number = 1; ; number++) {
    const attempt = script[number - 1] ?? always
    log.push(`${now} attempt ${number}`)
    now += attempt.takes
    const end = (why: string) => [...log, `${now} ${why}`, `${now} ${attempt.is}`]
    if (attempt.is === "good" || attempt.is === "interrupt" || (attempt.is === "defect" && !bounds.defect))
      return end("done")
    if (attempt.is === "abort") return end("abort")
    if (number > (bounds.times ?? Infinity)) return end("exceeded times")
    if ((attempt.hint ?? 0) > bounds.maxHint) return end("exceeded hint")
    if (number > bounds.delays.length) return end("exceeded schedule")
    const delay = Math.max(bounds.delays[number - 1], attempt.hint ?? 0)
    if (now + delay > (bounds.maxDuration ?? Infinity)) return end("exceeded maxDuration")
    log.push(`${now} scheduled after ${number} in ${delay}`)
    now += delay
    log.push(`${now} retry after ${number}`)
  }
}

const always: Attempt = { is: "good", takes: 0, hint: undefined }

const attempt = FastCheck.record({
  is: FastCheck.constantFrom<Attempt["is"]>(
    "good",
    "bad",
    "bad",
    "error",
    "error",
    "error",
    "abort",
    "defect",
    "interrupt"
  ),
  takes: FastCheck.constantFrom(0, 0, 1, 10, 100),
  hint: FastCheck.constantFrom(undefined, undefined, 0, 5, 50, 500)
})

const bounds = FastCheck.record({
  times: FastCheck.option(FastCheck.nat({ max: 5 }), { nil: undefined }),
  delays: FastCheck.array(FastCheck.constantFrom(0, 1, 5, 20, 300), { maxLength: 6 }),
  maxDuration: FastCheck.option(FastCheck.nat({ max: 400 }), { nil: undefined }),
  maxHint: FastCheck.constantFrom(0, 5, 50, 10_000),
  defect: FastCheck.boolean()
})

it.prop(
  "a retry does what a plain loop does, whatever happens in whatever order",
  [FastCheck.array(attempt, { maxLength: 7 }), bounds],
  ([script, { defect, delays, maxHint, ...options }]) => {
    const { log, note } = timeline()
    let number = 0
    const call: Effect.Effect<Attempt, Attempt> = Effect.suspend(() => {
      const attempt = script[number++] ?? always
      const exits = {
        good: Effect.succeed(attempt),
        bad: Effect.succeed(attempt),
        error: Effect.fail(attempt),
        abort: Effect.fail(attempt),
        defect: Effect.die(attempt),
        interrupt: Effect.interrupt
      }
      return Effect.zipRight(note(`attempt ${number}`), Effect.delay(exits[attempt.is], attempt.takes))
    })
    const hintOf = (failed: Attempt) => failed.hint
    const finished = call.pipe(
      Retry.retry({
        ...options,
        maxHint,
        schedule: delays.length === 0 ? Schedule.stop : Backoff.list(delays),
        condition: { result: (result) => result.is === "bad", defect },
        abortWhen: (failure) => failure._tag === "Error" && failure.error.is === "abort",
        delayFrom: (failure) =>
          hintOf(
            failure._tag === "Error"
              ? failure.error
              : failure._tag === "Result"
                ? failure.result
                : (failure.defect as Attempt)
          ),
        onRetryScheduled: ({ attempt, delay }) =>
          note(`scheduled after ${attempt} in ${Duration.toMillis(delay)}`),
        onRetry: ({ attempt }) => note(`retry after ${attempt}`),
        onExceeded: ({ reason }) => note(`exceeded ${reason}`),
        onAbort: () => note("abort")
      }),
      Effect.exit,
      Effect.tap((exit) => {
        const saidWhy = / (abort|exceeded.*)$/.test(log.at(-1)!)
        const ended = Exit.match(exit, {
          onSuccess: (result) => result.is,
          onFailure: (cause) =>
            Cause.isInterrupted(cause) ? "interrupt" : (Cause.squash(cause) as Attempt).is
        })
        return Effect.zipRight(saidWhy ? Effect.void : note("done"), note(ended))
      })
    )
    runToEnd(finished)
    assert.deepStrictEqual(log, modelled(script, { defect, delays, maxHint, ...options }))
  },
  { fastCheck: { numRuns: runs(50, 1500) } }
)
