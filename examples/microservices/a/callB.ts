// The call from service A to service B, without any policy. It reads the response to its end, so whatever limits the
// call limits the reading too, and a retry has nothing to clean up when it throws a reply away.
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { Duration, Effect, Schema } from "effect"

/** What service B replies: what was asked for, or a status that says why not. */
export type Reply =
  | { readonly _tag: "Hello"; readonly message: string }
  | { readonly _tag: "Refused"; readonly status: number; readonly retryAfter: Duration.Duration | undefined }

const Hello = Schema.Struct({ message: Schema.String })

export const callB = Effect.gen(function* () {
  const response = yield* HttpClient.get("/")
  if (response.status === 200) {
    const { message } = yield* HttpClientResponse.schemaBodyJson(Hello)(response)
    return hello(message)
  }
  yield* response.text
  return refused(response.status, secondsOf(response.headers["retry-after"]))
})

export const hello = (message: string): Reply => ({ _tag: "Hello", message })

const refused = (status: number, retryAfter: Duration.Duration | undefined): Reply => ({
  _tag: "Refused",
  status,
  retryAfter
})

/** `Retry-After` in its usual form, a number of seconds. */
const secondsOf = (header: string | undefined): Duration.Duration | undefined =>
  header !== undefined && /^\d+$/.test(header) ? Duration.seconds(Number(header)) : undefined
