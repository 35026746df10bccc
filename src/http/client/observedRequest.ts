/** Shows an observer the requests that a client sends. */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import { runningFiber } from "../../internal/inside.js"
import * as Time from "../../internal/time.js"
import { failed } from "../../policy/condition.js"
import { observerIn } from "../../policy/events.js"
import type * as Observer from "../../policy/Observer.js"
import * as Policy from "../../policy/Policy.js"
import { type Call, responseOf, type Seen } from "./call.js"
import { isClientError, isResponseError, isTransportError } from "./errors.js"

type Request = HttpClientRequest.HttpClientRequest

/** A request as an observer sees it. */
export const shown = ({ hash, method, url, urlParams }: Request): Observer.HttpRequest => ({
  method,
  url: Either.getOrUndefined(UrlParams.makeUrl(url, urlParams, hash))
})

/** Begins an attempt, and returns what shows its end to the observer, if one asks for it. */
export const requestSeen = (request: Request, call: Call): Seen | undefined => {
  const observer = observerIn(runningFiber()?.currentContext)
  if (observer?.unsafeHttpRequest === undefined) return undefined
  const startedAt = Time.monotonicMillis(call.clock)
  return (exit) => {
    if (!call.isSending || wasNotSent(exit)) return
    const duration = Duration.millis(Time.monotonicMillis(call.clock) - startedAt)
    const status = responseOf(exit)?.status
    observer.unsafeHttpRequest?.({ request: shown(request), status, exit, duration })
  }
}

/** Whether the request never left: a policy behind the client rejected it, or it was invalid. */
const wasNotSent = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const failure = failed(exit)
  if (failure?._tag !== "Error") return false
  const { error } = failure
  return (
    Policy.isRejection(error) || (isClientError(error) && !isTransportError(error) && !isResponseError(error))
  )
}
