// The callers of service A: their requests, the outcomes, and how long they take.
import { HttpClient } from "@effect/platform"
import { Clock, Duration, Effect, Ref, Schema } from "effect"
import { fallbackMessage } from "../a/policies.js"

/** What a caller got: the answer of service B, the fallback of service A, an error, or nothing in time. */
export type Outcome = "answer" | "fallback" | "error" | "gave up"

/** How long a caller waits. */
export const patience = Duration.seconds(3)

export interface Answered {
  readonly outcome: Outcome
  readonly millis: number
}

/** The callers of one service A at one moment. */
export interface Callers {
  readonly sent: number
  readonly answered: ReadonlyArray<Answered>
  /** The maximum number of callers that waited at the same time. */
  readonly mostWaiting: number
}

export const none: Callers = { sent: 0, answered: [], mostWaiting: 0 }

export const waiting = (callers: Callers): number => callers.sent - callers.answered.length

/** One more caller: sends a request, waits for an answer or until it gives up, and records the outcome. */
export const call = (
  url: string,
  callers: Ref.Ref<Callers>
): Effect.Effect<void, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    yield* Ref.update(callers, sendOne)
    const sentAt = yield* Clock.currentTimeMillis
    const outcome = yield* outcomeOf(url)
    const millis = (yield* Clock.currentTimeMillis) - sentAt
    yield* Ref.update(callers, (before) => ({
      ...before,
      answered: [...before.answered, { outcome, millis }]
    }))
  })

const sendOne = (before: Callers): Callers => ({
  ...before,
  sent: before.sent + 1,
  mostWaiting: Math.max(before.mostWaiting, waiting(before) + 1)
})

const Greeting = Schema.parseJson(Schema.Struct({ messageB: Schema.String }))

const outcomeOf = (url: string): Effect.Effect<Outcome, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const response = yield* HttpClient.get(url)
    const body = yield* response.text
    if (response.status !== 200) return "error"
    const { messageB } = yield* Schema.decode(Greeting)(body)
    return messageB === fallbackMessage ? "fallback" : "answer"
  }).pipe(
    Effect.orElseSucceed(() => "error" as const),
    Effect.timeoutTo({
      duration: patience,
      onSuccess: (outcome): Outcome => outcome,
      onTimeout: () => "gave up"
    })
  )
