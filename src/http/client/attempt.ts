/**
 * Sending a request so that it can be taken back: each attempt is a request of its own, which an interruption aborts on the
 * wire at once, and whose response does not outlive its use, also under `HttpClient.withScope`.
 *
 * Two things are needed here of which the platform says nothing in its types: what a client does after its request has been
 * prepared (`postprocess`), so that a second attempt does not prepare it again, and which requests belong to a scope. Both
 * are looked for where version 0.97 has them, and done without where they are missing.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import { globalValue } from "effect/GlobalValue"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import type { Mutable } from "effect/Types"
import { failedCause } from "../../policy/condition.js"
import * as Time from "../../internal/time.js"
import { TimeoutExceeded } from "../../timeout/Timeout.js"
import { isResponseError } from "./errors.js"
import * as Faults from "./faults.js"
import * as Hints from "./hints.js"
import { canHaveArrived, isLedAway } from "./sent.js"
import { abort, closeWith, forget, holdIn } from "./response.js"
import { Upload } from "./upload.js"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse
type Client<E, R> = HttpClient.HttpClient.With<E, R>

/** Sends a request that has been prepared, for somebody who answers for its response. */
export type Send<E, R> = (request: Request, owner?: Owner) => Effect.Effect<Response, E, R>

/** A client that is made of another one by what happens between a prepared request and its response. */
export const transform = <E, R, E2, R2>(
  client: Client<E, R>,
  exchange: (send: Send<E, R>, request: Request) => Effect.Effect<Response, E2, R2>
): Client<E2, R2> => {
  const transformed = transformWhole(client, (send, prepared) =>
    Effect.flatMap(prepared, (request) => exchange(send, request))
  )
  // A request that cannot be prepared fails as it does without the exchange.
  return transformed as unknown as Client<E2, R2>
}

/** The same, for what happens to the preparation of the request, too: it runs within the exchange. */
export const transformWhole = <E, R, E2, R2>(
  client: Client<E, R>,
  exchange: (send: Send<E, R>, prepared: Effect.Effect<Request, E, R>) => Effect.Effect<Response, E2, R2>
): Client<E2, R2> => {
  const send = sender(client)
  return makeOurs<E, R, E2, R2>((prepared) => exchange(send, prepared), preparationOf(client))
}

/** What clients that are made here do with a request. Any other client may be the one that sends. */
const ours = new WeakSet<object>()

/** A client that is known to be one of ours, also when its requests are prepared further. */
export const makeOurs = <E, R, E2, R2>(
  postprocess: (prepared: Effect.Effect<Request, E, R>) => Effect.Effect<Response, E2, R2>,
  prepare: HttpClient.HttpClient.Preprocess<E, R>
): Client<E2, R2> => {
  ours.add(postprocess)
  return HttpClient.makeWith<E, R, E2, R2>(postprocess, prepare)
}

// --------------------------------------------------------------------------------------------------------- one attempt

const sender = <E, R>(client: Client<E, R>): Send<E, R> => {
  const plain = afterPreparation(client)
  const isOurs = ours.has(postprocessOf(client))
  let scoped: Send<E, R | Scope.Scope> | undefined
  return (request, owner) =>
    Effect.withFiberRuntime((fiber) => {
      const copy = copyOf(request)
      if (owner !== undefined) {
        owners.set(copy, owner)
        if (!isOurs) handOver(copy, owner)
      }
      const around = fiber.currentContext.unsafeMap.get(Scope.Scope.key) as Scope.Scope | undefined
      if (around === undefined) return plain(copy)
      if (!belongsToScope(request)) return inScope(plain(copy), around)
      scoped ??= afterPreparation(HttpClient.withScope(client))
      return inScope(scoped(copy), around)
    })
}

const copyOf = (request: Request): Mutable<Request> => {
  const copy = Object.create(Object.getPrototypeOf(request) as object) as Request
  return Object.assign(copy, request)
}

const handOver = (request: Mutable<Request>, owner: Owner): void => {
  owner.call.handedOver = true
  if (request.body._tag !== "Stream") return
  owner.upload = new Upload(request.body)
  request.body = owner.upload.watched()
}

type Postprocess<E, R> = (request: Effect.Effect<Request, E, R>) => Effect.Effect<Response, E, R>

/** What is done with a request once it has been prepared. A client that does not tell these two apart does both. */
export const postprocessOf = <E, R>(client: Client<E, R>): Postprocess<E, R> => {
  const postprocess = Predicate.hasProperty(client, "postprocess") ? client.postprocess : undefined
  return typeof postprocess === "function"
    ? (postprocess as Postprocess<E, R>)
    : (request) => Effect.flatMap(request, client.execute)
}

const afterPreparation = <E, R>(client: Client<E, R>): Send<E, R> => {
  const postprocess = postprocessOf(client)
  return (request) => postprocess(Effect.succeed(request))
}

/** What is done to a request before it is sent, however often that is. */
export const preparationOf = <E, R>(client: Client<E, R>): HttpClient.HttpClient.Preprocess<E, R> => {
  const preprocess = Predicate.hasProperty(client, "preprocess") ? client.preprocess : undefined
  return typeof preprocess === "function"
    ? (preprocess as HttpClient.HttpClient.Preprocess<E, R>)
    : Effect.succeed
}

/** The requests of `HttpClient.withScope`, which aborts them when its scope closes and not before. */
const scopedRequests = globalValue(
  "@effect/platform/HttpClient/scopedRequests",
  () => new WeakMap<Request, AbortController>()
)

/** One that was sent in a scope before, which has closed, belongs to none any more. */
const belongsToScope = (request: Request): boolean => scopedRequests.get(request)?.signal.aborted === false

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

/** What the policies around a call know of it together. */
interface Call {
  /** How often it has been sent again. */
  resends: number
  /** Whether the running attempt has come as far as the client that sends. */
  handedOver: boolean
}

/** Whoever answers for the response of an attempt. */
interface Owner {
  readonly call: Call
  readonly held: Set<Response>
  /** The streamed body of the running attempt, where nothing of ours is further inside. */
  upload: Upload | undefined
}

/** The owner of an attempt, for policies further inside. */
const owners = new WeakMap<Request, Owner>()

/**
 * The attempts of one call under one policy. It answers for every response that they bring: what comes back goes over to the
 * policy around this one, if there is one, and all others are let go. So no response is lost, wherever an interruption comes.
 */
export class Attempts<E, R> implements Owner {
  readonly held = new Set<Response>()
  call: Call = { resends: 0, handedOver: false }
  upload: Upload | undefined
  private outer: Owner | undefined
  private begun = false
  private over = false

  constructor(private readonly send: Send<E, R>) {}

  /** One attempt: the first as it is, each further one marked in its span as OpenTelemetry has it. */
  attempt(request: Request): Effect.Effect<Response, E, R> {
    return Effect.suspend(() => {
      if (!this.begun) {
        this.begun = true
        this.outer = owners.get(request)
        if (this.outer !== undefined) this.call = this.outer.call
        return this.hold(request)
      }
      this.call.resends += 1
      return Effect.annotateSpans(this.hold(request), "http.request.resend_count", this.call.resends)
    })
  }

  /** Whether the request of the attempt that failed with this can have arrived. */
  mayHaveArrived(error: unknown, request: Request): boolean {
    return canHaveArrived(error, request, this.call.handedOver)
  }

  /** Runs the policy over the attempts, and lets go of what does not come back. */
  run<A extends Response, E2, R2>(policy: Effect.Effect<A, E2, R2>): Effect.Effect<A, E2, R2> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.exit(restore(policy)), (exit) => {
        this.over = true
        if (Exit.isFailure(exit)) this.noteFault(exit.cause)
        const back = responseOf(exit)
        if (back !== undefined) this.handOn(back)
        if (this.held.size === 0) return exit
        const cleared = Effect.forEach([...this.held], abort, { discard: true })
        if (back === undefined) return Effect.zipRight(cleared, exit)
        // The caller may be interrupted meanwhile, and then takes nothing.
        const taken = Effect.onInterrupt(restore(Effect.void), () => abort(back))
        return Effect.zipRight(Effect.zipRight(cleared, taken), exit)
      })
    )
  }

  private handOn(response: Response): void {
    forget(response)
    if (this.outer !== undefined) holdIn(this.outer.held, response)
  }

  private hold(request: Request): Effect.Effect<Response, E, R> {
    this.call.handedOver = false
    this.upload = undefined
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.exit(restore(this.send(request, this))), (exit) => {
        const response = responseOf(exit)
        if (response === undefined) return Exit.isFailure(exit) ? this.failed(exit, request) : exit
        // The loser of a race may answer when nobody waits for it any more.
        if (this.over) return Effect.zipRight(abort(response), exit)
        holdIn(this.held, response)
        return Effect.zipRight(noteHint(response), exit)
      })
    )
  }

  /** What a client throws instead of failing is made the error that other clients fail with. */
  private failed(exit: Exit.Failure<Response, E>, request: Request): Effect.Effect<never, E> {
    const failed = this.noteFault(exit.cause)
    if (failed?._tag === "Error" && isLedAway(failed.error, request)) Faults.note(failed.error, "led-away")
    const refusal = failed?._tag === "Defect" ? Faults.refusalIn(failed.defect, request) : undefined
    return refusal === undefined ? Effect.failCause(exit.cause) : Effect.fail(refusal as E)
  }

  /** Notes what the body did, before any policy asks whose fault the failure is. */
  private noteFault(cause: Cause.Cause<unknown>) {
    const failed = failedCause(cause)
    if (failed?._tag === "Error" && this.upload !== undefined) {
      const fault = this.upload.fault(failed.error instanceof TimeoutExceeded)
      if (fault !== undefined) Faults.note(failed.error, fault)
    }
    return failed
  }
}

/** Notes what a response says about coming back, while there is a clock to compare its date with. */
const noteHint = (response: Response): Effect.Effect<void> =>
  Hints.isHinting(response)
    ? Effect.clockWith((clock: Clock.Clock) =>
        Effect.sync(() => Hints.note(response, Time.wallMillis(clock)))
      )
    : Effect.void

/** The response that an exit brings: its result, or that of an error about a response. */
export const responseOf = (exit: Exit.Exit<unknown, unknown>): Response | undefined => {
  if (Exit.isSuccess(exit)) return exit.value as Response
  const failed = failedCause(exit.cause)
  return failed?._tag === "Error" && isResponseError(failed.error) ? failed.error.response : undefined
}
