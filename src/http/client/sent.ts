/** Whether a request that failed can have arrived. */
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
 * Whether a request can have arrived. It cannot before it was handed over to the client that sends, nor if the connection to its own
 * target failed. If the connection to another place failed, there was a redirect, by a server that has had the request.
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

/** Whether the connection that failed was one to another place than the target of the request. */
export const isLedAway = (error: unknown, request: HttpClientRequest.HttpClientRequest): boolean =>
  isTransportError(error) &&
  wasNeverSent(error.cause) &&
  (originOf(error.request) !== originOf(request) || !wasNeverSent(error.cause, targetOf(request.url)))

const targetOf = (url: string): { readonly hostname: string; readonly port: number } | undefined => {
  if (!URL.canParse(url)) return undefined
  const { hostname, port, protocol } = new URL(url)
  return { hostname, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) }
}
