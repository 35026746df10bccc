/** What makes a policy of an exchange, and a client of the policies around it. */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Predicate from "effect/Predicate"
import * as Time from "../../internal/time.js"
import { observerIn } from "../../policy/events.js"
import * as Policy from "../../policy/Policy.js"
import type * as HttpResilience from "./HttpResilience.js"
import { type Answer, Call, type Next } from "./call.js"
import { runObserved } from "./observedCall.js"
import {
  type Client,
  knownIn,
  postprocessOf,
  type Preparation,
  preparationOf,
  type Prepared,
  sender,
  senderOf
} from "./send.js"

type Request = HttpClientRequest.HttpClientRequest

/** What a policy does between a prepared request and its response. */
type Exchange = (request: Request, next: Next, call: Call) => Answer

/** A client as policies see it: with a prepared request, and for the outermost policy with the preparation. */
interface Sending {
  readonly next: Next
  readonly prepare: (prepared: Prepared, call: Call) => Answer
}

export type Around = (inner: Sending) => Sending

/** A policy for prepared requests. */
export const exchanging =
  (exchange: Exchange): Around =>
  ({ next: inner }) => {
    const next: Next = (request, call) => exchange(request, inner, call)
    return { next, prepare: (prepared, call) => whenPrepared(prepared, call, next) }
  }

/** A policy for the whole of a call, which covers the preparation of the request where it is the outermost. */
export const covering =
  (cover: (self: Answer, call: Call) => Answer): Around =>
  ({ next }) => ({
    next: (request, call) => cover(next(request, call), call),
    prepare: (prepared, call) => cover(whenPrepared(prepared, call, next), call)
  })

/** A policy for the answers of another. The request is known once it has been prepared. */
export const answering =
  (answer: (self: Answer, request: () => Request | undefined, call: Call) => Answer): Around =>
  ({ next, prepare }) => ({
    next: (request, call) => answer(next(request, call), () => request, call),
    prepare: (prepared, call) => {
      let request: Request | undefined
      const noted = Effect.map(prepared, (ready) => (request = ready))
      return answer(prepare(noted, call), () => request, call)
    }
  })

const whenPrepared = (prepared: Prepared, call: Call, next: Next): Answer => {
  const send = (request: Request): Answer => {
    call.joins(senderOf(request))
    return next(request, call)
  }
  const known = knownIn(prepared)
  return known === undefined ? Effect.flatMap(prepared, send) : send(known)
}

const sending: unique symbol = Symbol()

const sendingOf = (client: Client): Sending => {
  const postprocess = postprocessOf(client)
  if (Predicate.hasProperty(postprocess, sending)) return postprocess[sending] as Sending
  const next = sender(client)
  return { next, prepare: (prepared, call) => whenPrepared(prepared, call, next) }
}

/** A client with a policy around it. The policies that it has already stay further inside, in the same call. */
export const around = (
  client: Client,
  around: Around,
  prepare: Preparation = preparationOf(client)
): Client => {
  const outermost = around(sendingOf(client))
  const postprocess = (prepared: Prepared): Answer =>
    Effect.withFiberRuntime((fiber) => {
      const call = new Call(Time.clockOf(fiber))
      const run = (prepared: Prepared): Answer => outermost.prepare(prepared, call)
      return runObserved(observerIn(fiber.currentContext), call, prepared, run)
    })
  return HttpClient.makeWith(Object.assign(postprocess, { [sending]: outermost }), prepare)
}

export const PartTypeId: unique symbol = Symbol.for("effect-resilience/http/Part")
export type PartTypeId = typeof PartTypeId

export const FallbackPartTypeId: unique symbol = Symbol.for("effect-resilience/http/FallbackPart")
export type FallbackPartTypeId = typeof FallbackPartTypeId

export type Any = HttpResilience.Part<unknown, unknown> | HttpResilience.FallbackPart<unknown, unknown>

/** What a policy does: around the client, and to a request before it is sent. */
interface Does {
  readonly around: Around
  readonly prepare?: Preparation | undefined
}

const does: unique symbol = Symbol()

const doesOf = (policy: Any): Does => (policy as unknown as { readonly [does]: Does })[does]

/** What policies do together. */
export const together = (outerToInner: ReadonlyArray<Any>): Does => {
  const all = outerToInner.map(doesOf)
  return {
    around: (inner) => all.reduceRight((inner, { around }) => around(inner), inner),
    prepare: all.reduceRight<Preparation | undefined>(
      (before, { prepare }) => andThen(before, prepare),
      undefined
    )
  }
}

const andThen = (
  before: Preparation | undefined,
  prepare: Preparation | undefined
): Preparation | undefined =>
  before && prepare ? (request) => Effect.flatMap(before(request), prepare) : (before ?? prepare)

const making =
  (typeId: symbol, variance: object) =>
  <P extends Any>({ kind, name, settings }: Policy.Described, done: Around | Does): P => {
    const { around: wrap, prepare }: Does = typeof done === "function" ? { around: done } : done
    const apply = (client: Client): Client => around(client, wrap, andThen(preparationOf(client), prepare))
    return Object.defineProperties(Policy.make({ kind, name, settings }, apply as never), {
      [typeId]: { value: variance },
      [does]: { value: { around: wrap, prepare } satisfies Does }
    }) as unknown as P
  }

/** What a policy adds and needs is known where it is called. */
export const make = making(PartTypeId, { _Added: identity, _Needed: identity })

export const makeFallback = making(FallbackPartTypeId, { _E2: identity, _R2: identity })

export const isFallback = (u: unknown): u is HttpResilience.FallbackPart<unknown, unknown> =>
  Predicate.hasProperty(u, FallbackPartTypeId)

export const isPart = (u: unknown): u is Any => Predicate.hasProperty(u, PartTypeId) || isFallback(u)
