/** The errors of HTTP clients, whose shapes differ between versions of `@effect/platform`. */
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Predicate from "effect/Predicate"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse

export type ClientError = HttpClientError.HttpClientError
export type RequestError = HttpClientError.RequestError
export type ResponseError = HttpClientError.ResponseError

export const isClientError = (error: unknown): error is ClientError =>
  HttpClientError.isHttpClientError(error)

/** An error about an answer: its status, or its body. */
export const isResponseError = (error: unknown): error is ResponseError =>
  Predicate.isTagged(error, "ResponseError") && Predicate.hasProperty(error, "response")

/** Whether the status of an answer was made an error, and not its body. */
export const isStatusError = (error: ResponseError): boolean => error.reason === "StatusCode"

/** An error on the way to an answer. Every other one about a request says that it was invalid. */
export const isTransportError = (error: unknown): error is RequestError =>
  isClientError(error) && error.reason === "Transport"

const requestError =
  (reason: RequestError["reason"]) =>
  (request: Request, cause: unknown): RequestError =>
    new HttpClientError.RequestError({
      request,
      reason,
      cause,
      ...(cause instanceof Error && { description: cause.message })
    })

/** A request failed on its way. */
export const transportError = requestError("Transport")

/** A request could not be sent as it is. */
export const invalidRequest = requestError("Encode")

export const statusError = (response: Response): ResponseError =>
  new HttpClientError.ResponseError({
    request: response.request,
    response,
    reason: "StatusCode",
    description: "non 2xx status code"
  })

/** The body of an answer is not there, or not what was expected. */
export const bodyError = (
  response: Response,
  details: { readonly description: string; readonly cause?: unknown }
): ResponseError =>
  new HttpClientError.ResponseError({ request: response.request, response, reason: "Decode", ...details })
