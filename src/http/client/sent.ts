/** What is certain about a request that failed: whether it can have arrived. */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { wasNeverSent } from "../../core/http/httpSemantics.js"
import * as Policy from "../../policy/Policy.js"
import { isTransportError } from "./errors.js"
import { originOf } from "./request.js"

/** The error of a request that may have arrived, on its way through a retry that repeats no such request. */
export class Sent {
  constructor(readonly error: unknown) {}
}

/**
 * Whether a request can have arrived, given whether it was handed over to the client that sends. A rejection before that is
 * certain; after that only an error in connecting to where the request itself was to go. One in connecting to anywhere else comes
 * after a redirect, and whoever redirects has had the request.
 */
export const canHaveArrived = (
  error: unknown,
  request: HttpClientRequest.HttpClientRequest,
  handedOver: boolean
): boolean => {
  if (Policy.isRejection(error)) return handedOver
  if (!isTransportError(error)) return true
  if (Policy.isRejection(error.cause)) return handedOver
  return error.request.url !== request.url || !wasNeverSent(error.cause, targetOf(request.url))
}

/** Whether there was no connection to another place than the one that the request was to go to. */
export const isLedAway = (error: unknown, request: HttpClientRequest.HttpClientRequest): boolean =>
  isTransportError(error) &&
  wasNeverSent(error.cause) &&
  (originOf(error.request) !== originOf(request) || !wasNeverSent(error.cause, targetOf(request.url)))

const targetOf = (url: string): { readonly hostname: string; readonly port: number } | undefined => {
  if (!URL.canParse(url)) return undefined
  const { hostname, port, protocol } = new URL(url)
  return { hostname, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) }
}
