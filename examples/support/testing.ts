// Shared by the tests of the examples: requests over a real socket, waiting for a condition, and reading the log.
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { Clock, Effect, HashMap, Layer, Logger } from "effect"

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  readonly millis: number
}

const send = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<Answer, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const response = yield* HttpClient.execute(request)
    const text = yield* response.text
    const millis = (yield* Clock.currentTimeMillis) - startedAt
    return {
      status: response.status,
      headers: response.headers,
      body: text === "" ? "" : JSON.parse(text),
      millis
    }
  }).pipe(Effect.orDie)

export const get = (url: string) => send(HttpClientRequest.get(url))

export const put = (url: string, body: string) =>
  send(HttpClientRequest.put(url).pipe(HttpClientRequest.bodyText(body)))

/** Repeats an effect until its result is the wanted one. Uses real time, even under a `TestClock`. */
export const until = <A, E, R>(self: Effect.Effect<A, E, R>, wanted: (value: A) => boolean) =>
  Effect.delay(self, "20 millis").pipe(
    Effect.repeat({ until: wanted }),
    Effect.timeout("90 seconds"),
    Effect.withClock(Clock.make())
  )

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Keeps the log instead of writing it. */
const keepLog = (lines: Array<LogLine>): Layer.Layer<never> =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, logLevel, message }) => {
      const fields = Object.fromEntries(HashMap.toEntries(annotations))
      lines.push({ level: logLevel.label, message: String(message), annotations: fields })
    })
  )

/** A separate client for each test. */
const client: Layer.Layer<HttpClient.HttpClient> = NodeHttpClient.layerUndici

/** The layer of a test over real sockets: its own client, and the log kept in `lines`. */
export const liveWithLog = (lines: Array<LogLine>): Layer.Layer<HttpClient.HttpClient> =>
  Layer.merge(client, keepLog(lines))

/** The same for a test that does not read the log. */
export const live: Layer.Layer<HttpClient.HttpClient> = Layer.suspend(() => liveWithLog([]))
