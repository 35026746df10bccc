/**
 * A call: what the policies around a client know together of one request. It owns the responses of its attempts: the one that is
 * returned passes to the owner outside or to the caller; every other one is released, whenever an interruption comes.
 */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { failedCause } from "../../policy/condition.js"
import type { Restore } from "../../internal/erased.js"
import * as Time from "../../internal/time.js"
import { TimeoutExceeded } from "../../timeout/Timeout.js"
import { isResponseError } from "./errors.js"
import * as Faults from "./faults.js"
import * as Hints from "./hints.js"
import { aborted, drained, originalOf } from "./response.js"
import { canHaveArrived, isLedAway } from "./sent.js"
import type { Upload } from "./upload.js"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse

/** The response to a request. The errors and requirements stand in the public types. */
export type Answer = Effect.Effect<Response, unknown, unknown>

/** Observes the end of a request or of a call. */
export type Seen = (exit: Exit.Exit<Response, unknown>) => void

/** Sends a prepared request. */
export type Next = (request: Request, call: Call) => Answer

export class Call {
  /** The streamed body of the running attempt. */
  upload: Upload | undefined
  /** Whether the running attempt has come as far as the client that sends. */
  private handedOver = false
  /** Whether another client of ours sends the running attempt. */
  private passedOn = false
  /** How often the request has been sent again, for the outermost call. */
  private resends = 0
  /** The responses that are held, each with what closes a scope that was opened for it. */
  private readonly held = new Map<Response, Effect.Effect<void>>()
  private over = false

  constructor(
    readonly clock: Clock.Clock,
    private outer: Call | undefined = undefined
  ) {}

  /** Becomes a part of the call of a client further out. */
  joins(outer: Call | undefined): void {
    if (outer?.over !== false) return
    this.outer ??= outer
    outer.passedOn = true
  }

  /** Whether the running attempt has come as far as the client that sends, with no other client of ours behind it. */
  get isSending(): boolean {
    return this.handedOver && !this.passedOn
  }

  /** Whether it has ended. */
  get isOver(): boolean {
    return this.over
  }

  /** An attempt for each run, one after the other. Further ones are marked in their spans, as by OpenTelemetry. */
  attempts(request: Request, next: Next): Answer {
    let begun = false
    return Effect.suspend(() => {
      this.handedOver = this.passedOn = false
      this.upload = undefined
      if (begun) return Effect.annotateSpans(next(request, this), "http.request.resend_count", this.resent())
      begun = true
      return next(request, this)
    })
  }

  /** Runs a policy over attempts that may run at the same time, or whose responses it may lose. */
  concurrently(request: Request, next: Next, policy: (attempt: Answer) => Answer): Answer {
    const group = new Call(this.clock, this)
    const one: Next = (request) => {
      const attempt = new Call(this.clock, group)
      return attempt.run(next(request, attempt))
    }
    return group.run(policy(group.attempts(request, one)))
  }

  private resent(): number {
    return this.outer === undefined ? ++this.resends : this.outer.resent()
  }

  /** The request goes to the client that sends it. */
  handOver(upload: Upload | undefined): void {
    this.upload = upload
    this.markHandedOver()
  }

  private markHandedOver(): void {
    this.handedOver = true
    this.outer?.markHandedOver()
  }

  mayHaveArrived(error: unknown, request: Request): boolean {
    return canHaveArrived(error, request, this.handedOver)
  }

  /** An attempt has an answer. The loser of a race may have one when the call is over. */
  readonly answered = (response: Response): Answer => {
    if (this.over) return Effect.zipRight(this.abort(response), Effect.succeed(response))
    this.hold(response)
    this.noteHint(response)
    return Effect.succeed(response)
  }

  private noteHint(response: Response): void {
    if (Hints.isUnread(response)) Hints.note(response, Time.wallMillis(this.clock))
  }

  /** An attempt has failed. What a client throws instead of failing is made the error that other clients fail with. */
  failed(cause: Cause.Cause<unknown>, request: Request): Answer {
    const failed = this.noteFault(cause)
    if (failed?._tag === "Error") {
      if (isResponseError(failed.error)) {
        return Effect.zipRight(this.answered(failed.error.response), Effect.failCause(cause))
      }
      if (isLedAway(failed.error, request)) Faults.note(failed.error, "led-away")
    }
    const refusal = failed?._tag === "Defect" ? Faults.refusalIn(failed.defect, request) : undefined
    return refusal === undefined ? Effect.failCause(cause) : Effect.fail(refusal)
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

  hold(response: Response, close: Effect.Effect<void> = this.closing(response)): void {
    this.held.set(originalOf(response), close)
  }

  /** What closes the scope of a response. */
  closing(response: Response): Effect.Effect<void> {
    return this.held.get(originalOf(response)) ?? Effect.void
  }

  /** Releases a response whose request has been answered and is not to be cut off without need. */
  discard(response: Response): Effect.Effect<void> {
    return this.release(response, drained)
  }

  private abort(response: Response): Effect.Effect<void> {
    return this.release(response, aborted)
  }

  private release(
    response: Response,
    how: (original: Response) => Effect.Effect<unknown>
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      const original = originalOf(response)
      const close = this.closing(original)
      this.held.delete(original)
      return Effect.uninterruptible(Effect.zipRight(how(original), close))
    })
  }

  /** For a policy that fails: releases what the attempt that it ended may have brought. */
  readonly lost = (cause: Cause.Cause<unknown>): Answer => {
    this.noteFault(cause)
    const failure = Exit.failCause(cause)
    return Effect.zipRight(this.clear(responseOf(failure)), failure)
  }

  /** Runs a call to its end, shows how it ended, and releases what does not come back. */
  run(self: Answer, seen?: Seen): Answer {
    return Effect.uninterruptibleMask((restore) =>
      Effect.matchCauseEffect(restore(self), {
        onFailure: (cause) => this.ended(Exit.failCause(cause), restore, seen),
        onSuccess: (response) => this.ended(Exit.succeed(response), restore, seen)
      })
    )
  }

  private ended(exit: Exit.Exit<Response, unknown>, restore: Restore, seen?: Seen): Answer {
    this.over = true
    seen?.(exit)
    if (Exit.isFailure(exit)) this.noteFault(exit.cause)
    const back = responseOf(exit)
    if (back !== undefined) {
      // A policy may have brought another response than its attempt.
      this.noteHint(back)
      const close = this.closing(back)
      if (this.outer?.over === true) this.hold(back, close)
      else {
        this.held.delete(originalOf(back))
        this.outer?.hold(back, close)
        if (this.held.size > 0) {
          // The caller may be interrupted meanwhile, and then takes nothing.
          const taken = Effect.onInterrupt(restore(Effect.void), () =>
            this.outer === undefined ? Effect.zipRight(aborted(originalOf(back)), close) : Effect.void
          )
          return this.clear().pipe(Effect.zipRight(taken), Effect.zipRight(exit))
        }
      }
    }
    return Effect.zipRight(this.clear(), exit)
  }

  /** Releases what is held, except for what comes back. */
  private clear(back?: Response): Effect.Effect<void> {
    const kept = back && originalOf(back)
    const lost = [...this.held.keys()].filter((response) => response !== kept)
    return lost.length === 0
      ? Effect.void
      : Effect.forEach(lost, (response) => this.abort(response), { discard: true })
  }
}

/** The response that an exit brings: its result, or that of an error about a response. */
export const responseOf = (exit: Exit.Exit<Response, unknown>): Response | undefined => {
  if (Exit.isSuccess(exit)) return exit.value
  const failed = failedCause(exit.cause)
  return failed?._tag === "Error" && isResponseError(failed.error) ? failed.error.response : undefined
}
