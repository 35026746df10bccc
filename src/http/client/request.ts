/** What can be done with a request: whether it may arrive twice, whether it can be sent again, and where it goes. */
import type * as HttpBody from "@effect/platform/HttpBody"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { isIdempotent } from "../../core/http/httpSemantics.js"
import { callable, type Shape } from "../../core/options.js"
import type * as HttpResilience from "./HttpResilience.js"
import type { Answer } from "./call.js"

type Request = HttpClientRequest.HttpClientRequest

/** What the program says of the requests of an effect. */
export interface Marks {
  readonly idempotent: boolean
  readonly replayable: boolean
}

const unmarked: Marks = { idempotent: false, replayable: false }

export class CurrentMarks extends Context.Reference<CurrentMarks>()("effect-resilience/http/Marks", {
  defaultValue: (): Marks => unmarked
}) {}

export const requestShape: Shape<HttpResilience.RequestOptions> = {
  idempotent: callable,
  replayable: callable
}

export const idempotencyKey = "idempotency-key"

interface Permissions {
  readonly arriveTwice: boolean
  /** The body can be read again. */
  readonly sendTwice: boolean
}

const everything: Permissions = { arriveTwice: true, sendTwice: true }

/** Continues with what may be done with a request. Marks are only looked for where it matters. */
export const withPermissions = (
  request: Request,
  options: HttpResilience.RequestOptions,
  use: (may: Permissions) => Answer
): Answer => {
  const isSafe = isIdempotent(request.method) || (request.headers[idempotencyKey] ?? "") !== ""
  const isKnown = isKept(request.body)
  if (isSafe && isKnown) return use(everything)
  return Effect.flatMap(CurrentMarks, (marks) =>
    use({
      arriveTwice: isSafe || marks.idempotent || options.idempotent?.(request) === true,
      sendTwice: isKnown || marks.replayable || options.replayable?.(request) === true
    })
  )
}

const isKept = (body: HttpBody.HttpBody): boolean => {
  if (body._tag === "Raw") return isKeptRaw(body.body)
  return body._tag !== "Stream"
}

const isKeptRaw = (body: unknown): boolean =>
  body === undefined ||
  body === null ||
  typeof body === "string" ||
  body instanceof ArrayBuffer ||
  ArrayBuffer.isView(body) ||
  body instanceof URLSearchParams ||
  body instanceof Blob ||
  body instanceof FormData

/** Where a request goes: scheme, host and port, if the URL says so. */
export const originOf = (request: Request): string | undefined => {
  const { url } = request
  if (url === lastUrl) return lastOrigin
  lastOrigin = parseOrigin(url)
  lastUrl = url
  return lastOrigin
}

// Calls to one place come in rows, and reading a URL is most of the cost of a lookup.
let lastUrl: string | undefined
let lastOrigin: string | undefined

const parseOrigin = (url: string): string | undefined => {
  if (!URL.canParse(url)) return undefined
  const { origin } = new URL(url)
  return origin === "null" ? undefined : origin
}
