/** A client without a network, for what is decided before and after it: each request is answered by the next step. */
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { Clock, Effect } from "effect"

export type Step = (
  request: HttpClientRequest.HttpClientRequest
) => Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>

/** Answers with a status. */
export const status =
  (status: number, headers: Record<string, string> = {}, body: string | null = null): Step =>
  (request) =>
    Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(body, { status, headers })))

/** Fails as a connection does, with a code such as `ECONNRESET`. */
export const broken =
  (code: string): Step =>
  (request) =>
    Effect.fail(
      new HttpClientError.RequestError({
        request,
        reason: "Transport",
        cause: Object.assign(new Error(code), { code })
      })
    )

/** Answers after so many milliseconds. */
export const after =
  (millis: number, step: Step): Step =>
  (request) =>
    Effect.delay(step(request), millis)

export interface Sent {
  readonly at: number
  readonly request: HttpClientRequest.HttpClientRequest
}

/** A client that takes one step for each request, the last one again and again, and remembers what it was sent when. */
export const scripted = (...steps: readonly [Step, ...Array<Step>]) => {
  const sent: Array<Sent> = []
  const aborted: Array<number> = []
  const client = HttpClient.make((request, _url, signal) =>
    Effect.flatMap(Clock.currentTimeMillis, (at) => {
      sent.push({ at, request })
      const number = sent.length
      signal.addEventListener("abort", () => aborted.push(number))
      const step = steps[Math.min(number, steps.length) - 1] ?? steps[0]
      return step(request)
    })
  )
  return { client, sent, aborted, times: () => sent.map(({ at }) => at) }
}
