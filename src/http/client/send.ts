/**
 * Sends requests so that each attempt is a request of its own, which an interruption aborts on the wire at once, and whose response
 * does not outlive its use, also under `HttpClient.withScope`.
 *
 * Two things are used that the types of the platform hide: `postprocess`, without which a second attempt would be prepared again, and
 * which requests belong to a scope. Both are looked for where version 0.97 has them, and are optional.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import { globalValue } from "effect/GlobalValue"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import type { Mutable } from "effect/Types"
import { type Answer, type Call, type Next, responseOf } from "./call.js"
import { requestSeen } from "./observedRequest.js"
import { Upload } from "./upload.js"

type Request = HttpClientRequest.HttpClientRequest
export type Client = HttpClient.HttpClient.With<unknown, unknown>

/** A request on its way to the client that sends, with the call that it belongs to. */
const sentBy: unique symbol = Symbol()

interface Copy extends Mutable<Request> {
  [sentBy]?: Call
}

/** The call that a request was sent by, for a client of ours behind another. */
export const senderOf = (request: Request): Call | undefined => (request as Copy)[sentBy]

/** Sends requests with a client that is not ours. */
export const sender = (client: Client): Next => {
  const plain = afterPreparation(client)
  let scoped: ((request: Request) => Answer) | undefined
  const send = (request: Request, call: Call): Answer =>
    Effect.withFiberRuntime((fiber) => {
      const copy = copyOf(request, call)
      const around = fiber.currentContext.unsafeMap.get(Scope.Scope.key) as Scope.Scope | undefined
      if (around === undefined) return plain(copy)
      if (!belongsToScope(request)) return inScope(plain(copy), around, call)
      scoped ??= afterPreparation(HttpClient.withScope(client))
      return inScope(scoped(copy), around, call)
    })
  return (request, call) =>
    Effect.uninterruptibleMask((restore) => {
      const seen = requestSeen(request, call)
      return Effect.matchCauseEffect(restore(send(request, call)), {
        onFailure: (cause) => {
          seen?.(Exit.failCause(cause))
          return call.failed(cause, request)
        },
        onSuccess: (response) => {
          seen?.(Exit.succeed(response))
          return call.answered(response)
        }
      })
    })
}

const copyOf = (request: Request, call: Call): Request => {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(request) as object), request) as Copy
  const upload = request.body._tag === "Stream" ? new Upload(request.body) : undefined
  if (upload !== undefined) copy.body = upload.watched()
  copy[sentBy] = call
  call.handOver(upload)
  return copy
}

/** What a client does with a prepared request; without `postprocess` it prepares it, too. */
const afterPreparation = (client: Client): ((request: Request) => Answer) => {
  const postprocess = postprocessOf(client)
  return postprocess === undefined ? client.execute : (request) => postprocess(Effect.succeed(request))
}

export const postprocessOf = (client: Client): ((request: Prepared) => Answer) | undefined =>
  Predicate.hasProperty(client, "postprocess") && typeof client.postprocess === "function"
    ? (client.postprocess as (request: Prepared) => Answer)
    : undefined

/** A request, and what is done to it once, before it is sent. */
export type Prepared = Effect.Effect<Request, unknown, unknown>

/** The request, if it needs no preparation. Most do not, and then the fiber needs no step. */
export const knownIn = (prepared: Prepared): Request | undefined => {
  const known = prepared as Prepared & { readonly value?: unknown }
  return Exit.isExit(known) && Exit.isSuccess(known) ? (known.value as Request) : undefined
}

export type Preparation = (request: Request) => Prepared

export const preparationOf = (client: Client): Preparation =>
  Predicate.hasProperty(client, "preprocess") && typeof client.preprocess === "function"
    ? (client.preprocess as Preparation)
    : Effect.succeed

/** The requests of `HttpClient.withScope`, which aborts them when its scope closes and not before. */
const scopedRequests = globalValue(
  "@effect/platform/HttpClient/scopedRequests",
  () => new WeakMap<Request, AbortController>()
)

/** A request of a scope that has closed belongs to none. */
const belongsToScope = (request: Request): boolean => scopedRequests.get(request)?.signal.aborted === false

/**
 * Gives an attempt a scope of its own, which closes with the attempt when there is no response, else with the response or with the
 * scope around it. Most attempts do not use it, and leave nothing in the scope around.
 */
const inScope = (attempt: Answer, around: Scope.Scope, call: Call): Answer =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) => {
      const own = watched(scope)
      return Effect.flatMap(
        Effect.exit(restore(Effect.provideService(attempt, Scope.Scope, own.scope))),
        (exit): Answer => {
          if (!own.isUsed()) return exit
          const response = responseOf(exit)
          if (response === undefined) return Effect.zipRight(Scope.close(scope, exit), exit)
          // A fork of the scope around, which leaves it when the response is released before.
          return Effect.flatMap(Scope.fork(around, ExecutionStrategy.sequential), (link) => {
            call.hold(response, Scope.close(link, Exit.void))
            return Effect.zipRight(
              Scope.addFinalizerExit(link, (end) => Scope.close(scope, end)),
              exit
            )
          })
        }
      )
    })
  )

/** A scope that knows whether it is used. */
const watched = (
  scope: Scope.CloseableScope
): { readonly scope: Scope.Scope; readonly isUsed: () => boolean } => {
  let used = false
  const using = (name: "addFinalizer" | "fork") => ({
    value: (argument: unknown): unknown => {
      used = true
      return (scope as unknown as Record<typeof name, (argument: unknown) => unknown>)[name](argument)
    }
  })
  return {
    scope: Object.create(scope, { addFinalizer: using("addFinalizer"), fork: using("fork") }) as Scope.Scope,
    isUsed: () => used
  }
}
