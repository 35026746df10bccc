/**
 * Sending a request so that it can be taken back: each attempt is a request of its own, which an interruption aborts on the
 * wire at once, and whose response does not outlive its use, also under `HttpClient.withScope`.
 *
 * Two things are needed here of which the platform says nothing in its types: what a client does after its request has been
 * prepared (`postprocess`), so that a second attempt does not prepare it again, and which requests belong to a scope. Both
 * are looked for where version 0.97 has them, and done without where they are missing.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import { globalValue } from "effect/GlobalValue"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import { failedCause } from "../../../internal/condition.js"
import * as Time from "../../../internal/time.js"
import * as Hints from "./hints.js"
import { abort, closeWith } from "./response.js"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse
type Client<E, R> = HttpClient.HttpClient.With<E, R>

/** How often a call has been sent again. */
interface Counter {
  resends: number
}

/** Sends a request that has been prepared; what counts how often is handed on to policies further inside. */
export type Send<E, R> = (request: Request, counter?: Counter) => Effect.Effect<Response, E, R>

/** A client that is made of another one by what happens between a prepared request and its response. */
export const transform = <E, R, E2, R2>(
  client: Client<E, R>,
  exchange: (send: Send<E, R>, request: Request) => Effect.Effect<Response, E2, R2>
): Client<E2, R2> => {
  const send = sender(client)
  const transformed: Client<E | E2, R | R2> = HttpClient.transform(client, (_, request) =>
    exchange(send, request)
  )
  // What the other client fails with is left to the exchange, which may handle it.
  return transformed as unknown as Client<E2, R2>
}

/** The same, for what happens to the preparation of the request, too: it runs within the exchange. */
export const transformWhole = <E, R, E2, R2>(
  client: Client<E, R>,
  exchange: (send: Send<E, R>, prepared: Effect.Effect<Request, E, R>) => Effect.Effect<Response, E2, R2>
): Client<E2, R2> => {
  const send = sender(client)
  const prepare = preparationOf<E, R>(client)
  if (prepare === undefined)
    return transform(client, (send, request) => exchange(send, Effect.succeed(request)))
  return HttpClient.makeWith<E, R, E2, R2>((prepared) => exchange(send, prepared), prepare)
}

// --------------------------------------------------------------------------------------------------------- one attempt

const sender = <E, R>(client: Client<E, R>): Send<E, R> => {
  const plain = afterPreparation(client)
  let scoped: Send<E, R | Scope.Scope> | undefined
  return (request, counter = counters.get(request)) =>
    Effect.withFiberRuntime((fiber) => {
      const copy = copyOf(request)
      if (counter !== undefined) counters.set(copy, counter)
      const around = fiber.currentContext.unsafeMap.get(Scope.Scope.key) as Scope.Scope | undefined
      if (around === undefined) return plain(copy)
      if (!belongsToScope(request)) return inScope(plain(copy), around)
      scoped ??= afterPreparation(HttpClient.withScope(client))
      return inScope(scoped(copy), around)
    })
}

const copyOf = (request: Request): Request => {
  const copy = Object.create(Object.getPrototypeOf(request) as object) as Request
  return Object.assign(copy, request)
}

type Postprocess<E, R> = (request: Effect.Effect<Request, E, R>) => Effect.Effect<Response, E, R>

/** What is done with a request that has been prepared. */
export const afterPreparation = <E, R>(client: Client<E, R>): Send<E, R> => {
  const postprocess = Predicate.hasProperty(client, "postprocess") ? client.postprocess : undefined
  if (typeof postprocess !== "function") return client.execute
  return (request) => (postprocess as Postprocess<E, R>)(Effect.succeed(request))
}

/** What is done to a request before it is sent, however often that is. */
export const preparationOf = <E, R>(
  client: Client<E, R>
): HttpClient.HttpClient.Preprocess<E, R> | undefined => {
  const preprocess = Predicate.hasProperty(client, "preprocess") ? client.preprocess : undefined
  return typeof preprocess === "function" ? (preprocess as HttpClient.HttpClient.Preprocess<E, R>) : undefined
}

/** The requests of `HttpClient.withScope`, which aborts them when its scope closes and not before. */
const scopedRequests = globalValue(
  "@effect/platform/HttpClient/scopedRequests",
  () => new WeakMap<Request, AbortController>()
)

const belongsToScope = (request: Request): boolean => scopedRequests.has(request)

/**
 * Gives an attempt a scope of its own, which closes with the attempt when there is no response, else with the response or
 * with the scope around it. Most attempts have no use for it, and leave nothing in the scope around.
 */
const inScope = <E, R>(
  attempt: Effect.Effect<Response, E, R>,
  around: Scope.Scope
): Effect.Effect<Response, E, Exclude<R, Scope.Scope>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) => {
      const own = watched(scope)
      return Effect.flatMap(
        Effect.exit(restore(Effect.provideService(attempt, Scope.Scope, own.scope))),
        (exit) => {
          if (!own.isUsed()) return exit
          const response = responseOf(exit)
          if (response === undefined) return Effect.zipRight(Scope.close(scope, exit), exit)
          // A fork of the scope around, which leaves it when the response is let go before.
          return Effect.flatMap(Scope.fork(around, ExecutionStrategy.sequential), (link) => {
            closeWith(response, Scope.close(link, Exit.void))
            return Effect.zipRight(
              Scope.addFinalizerExit(link, (end) => Scope.close(scope, end)),
              exit
            )
          })
        }
      )
    })
  )

/** A scope that knows whether anybody has put something into it. */
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

// ------------------------------------------------------------------------------------------------- the attempts of a call

/** The counter of a call by its attempts: policies that repeat inside of one another count together. */
const counters = new WeakMap<Request, Counter>()

/**
 * The attempts of one call under one policy that may make several. It holds on to every response that they bring until the
 * call is over; then it lets all of them go but the one that comes back.
 */
export class Attempts<E, R> {
  private readonly held = new Set<Response>()
  private counter: Counter | undefined
  private over = false

  constructor(private readonly send: Send<E, R>) {}

  /** One attempt: the first as it is, each further one marked in its span as OpenTelemetry has it. */
  attempt(request: Request): Effect.Effect<Response, E, R> {
    return Effect.suspend(() => {
      if (this.counter === undefined) {
        this.counter = counters.get(request) ?? { resends: 0 }
        return this.hold(this.send(request, this.counter))
      }
      this.counter.resends += 1
      const sent = this.hold(this.send(request, this.counter))
      return Effect.annotateSpans(sent, "http.request.resend_count", this.counter.resends)
    })
  }

  /** Runs the policy over the attempts, and lets go of what does not come back. */
  run<A extends Response, E2, R2>(policy: Effect.Effect<A, E2, R2>): Effect.Effect<A, E2, R2> {
    return Effect.onExit(policy, (exit) => {
      this.over = true
      const back = responseOf(exit)
      return Effect.forEach(this.held, (response) => (response === back ? Effect.void : abort(response)), {
        discard: true
      })
    })
  }

  private hold(attempt: Effect.Effect<Response, E, R>): Effect.Effect<Response, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.exit(restore(attempt)), (exit) => {
        const response = responseOf(exit)
        if (response === undefined) return exit
        // The loser of a race may answer when nobody waits for it any more.
        if (this.over) return Effect.zipRight(abort(response), exit)
        this.held.add(response)
        return Effect.zipRight(noteHint(response), exit)
      })
    )
  }
}

/** Notes what a response says about coming back, while there is a clock to compare its date with. */
const noteHint = (response: Response): Effect.Effect<void> =>
  Hints.isHinting(response)
    ? Effect.clockWith((clock: Clock.Clock) =>
        Effect.sync(() => Hints.note(response, Time.wallMillis(clock)))
      )
    : Effect.void

/** The same for a single attempt. */
export const noting = <E, R>(attempt: Effect.Effect<Response, E, R>): Effect.Effect<Response, E, R> =>
  Effect.matchCauseEffect(attempt, {
    onSuccess: (response) => Effect.as(noteHint(response), response),
    onFailure: (cause) => {
      const response = responseOf(Exit.failCause(cause))
      return Effect.zipRight(
        response === undefined ? Effect.void : noteHint(response),
        Effect.failCause(cause)
      )
    }
  })

/** The response that an exit brings: its result, or that of an error about a response. */
export const responseOf = (exit: Exit.Exit<unknown, unknown>): Response | undefined => {
  if (Exit.isSuccess(exit)) return exit.value as Response
  const failed = failedCause(exit.cause)
  return failed?._tag === "Error" && isResponseError(failed.error) ? failed.error.response : undefined
}

export const isResponseError = (error: unknown): error is HttpClientError.ResponseError =>
  Predicate.isTagged(error, "ResponseError") && Predicate.hasProperty(error, "response")
