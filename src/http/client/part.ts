/** What makes a function from client to client a part. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Predicate from "effect/Predicate"
import * as Policy from "../../policy/Policy.js"
import type * as HttpResilience from "./HttpResilience.js"
import { Attempts, transform } from "./attempt.js"

export const PartTypeId: HttpResilience.PartTypeId = Symbol.for(
  "effect-resilience/http/Part"
) as HttpResilience.PartTypeId

export const FallbackPartTypeId: HttpResilience.FallbackPartTypeId = Symbol.for(
  "effect-resilience/http/FallbackPart"
) as HttpResilience.FallbackPartTypeId

/** A part of whatever kind. */
export type Any = HttpResilience.Part<unknown, unknown> | HttpResilience.FallbackPart<unknown, unknown>

/** Makes a part. What it adds and needs is known where it is called. */
export const make = <P extends Any>(
  { kind, name, settings }: Policy.Described,
  apply: <E, R>(client: HttpClient.HttpClient.With<E, R>) => HttpClient.HttpClient.With<unknown, unknown>
): P =>
  Object.defineProperties(Policy.make({ kind, name, settings }, apply), {
    [PartTypeId]: { value: { _Added: identity, _Needed: identity } }
  }) as unknown as P

/** The same for a part that replaces errors. */
export const makeFallback = <P extends Any>(
  { kind, name, settings }: Policy.Described,
  apply: <E, R>(client: HttpClient.HttpClient.With<E, R>) => HttpClient.HttpClient.With<unknown, unknown>
): P =>
  Object.defineProperties(Policy.make({ kind, name, settings }, apply), {
    [FallbackPartTypeId]: { value: { _E2: identity, _R2: identity } }
  }) as unknown as P

export const isFallback = (u: unknown): u is HttpResilience.FallbackPart<unknown, unknown> =>
  Predicate.hasProperty(u, FallbackPartTypeId)

export const isPart = (u: unknown): u is Any => Predicate.hasProperty(u, PartTypeId) || isFallback(u)

/** A part that is made of what happens between a prepared request and its response. */
export const exchanging = <P extends Any>(
  described: Policy.Described,
  exchange: <E, R>(
    attempt: Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>,
    request: HttpClientRequest.HttpClientRequest
  ) => Effect.Effect<HttpClientResponse.HttpClientResponse, unknown, unknown>
): P =>
  make(described, (client) =>
    transform(client, (send, request) => {
      const attempts = new Attempts(send)
      return attempts.run(exchange(attempts.attempt(request), request))
    })
  )
