/** Ends requests whose body does not arrive. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { clockOf, monotonicMillis, setTimer, sleep } from "../../internal/time.js"
import * as Wait from "../../internal/wait.js"
import type { Answer } from "./answer.js"
import type { Around } from "./admission.js"
import { RequestBodyTimeout } from "../problem/errors.js"
import { holdConnection, incomingOf } from "./incoming.js"
import { isSending } from "./sending.js"

type Request = HttpServerRequest.HttpServerRequest

export interface Config {
  readonly name: string
  /** In milliseconds; `Infinity` for none. */
  readonly stallTimeout: number
  /** In milliseconds; `Infinity` for none. */
  readonly totalTimeout: number
  readonly notify: (error: RequestBodyTimeout) => Effect.Effect<void, never, unknown>
  readonly answer: Answer
}

export const received =
  (config: Config): Around =>
  (request, app) => {
    if (incomingOf(request) === undefined) return app
    const first = Effect.raceFirst(Effect.exit(app), overdue(request, config))
    // Servers run their middleware uninterruptibly: then neither the limit nor a client that leaves would end the app.
    const ended = Effect.flatMap(Effect.interruptible(first), (end) =>
      end instanceof RequestBodyTimeout ? Effect.zipRight(config.notify(end), config.answer(end)) : end
    )
    return holdConnection(request, ended)
  }

/** Lets connections be read: after a stall of this process, the limit passes before it has seen what arrived meanwhile. */
const turn = Wait.forOwn<void>((resume) => {
  setTimer(() => resume(Effect.void), 0)
})

/** How many times in a limit the body is looked at. */
const looks = 8

/** Waits until the body is overdue. Bytes that wait to be read are the app's business, and so is a body while a response is sent. */
const overdue = (
  request: Request,
  { name, stallTimeout, totalTimeout }: Config
): Effect.Effect<RequestBodyTimeout> =>
  Effect.withFiberRuntime((fiber) => {
    const clock = clockOf(fiber)
    const startedAt = monotonicMillis(clock)
    let progressAt = startedAt
    let bytes = -1
    let isSure = false
    const exceeded = (reason: RequestBodyTimeout["reason"], limit: number) => {
      if (isSure)
        return Effect.succeed(new RequestBodyTimeout({ name, reason, limit: Duration.millis(limit) }))
      isSure = true
      return Effect.zipRight(turn, look)
    }
    const look: Effect.Effect<RequestBodyTimeout> = Effect.suspend((): Effect.Effect<RequestBodyTimeout> => {
      const incoming = incomingOf(request)
      if (incoming === undefined || isSending(request)) return Effect.never
      const now = monotonicMillis(clock)
      const { bytesRead } = incoming.socket
      if (bytesRead !== bytes || incoming.readableLength > 0) {
        bytes = bytesRead
        progressAt = now
        isSure = false
      }
      const untilStalled = progressAt + stallTimeout - now
      const untilTotal = startedAt + totalTimeout - now
      if (untilStalled <= 0) return exceeded("stalled", stallTimeout)
      if (untilTotal <= 0) return exceeded("total", totalTimeout)
      return Effect.zipRight(sleep(Math.ceil(Math.min(untilStalled, untilTotal, stallTimeout / looks))), look)
    })
    return look
  })
