/**
 * What a policy does at a call, said once: what happens before the body, and what after it. Three drivers run it: the frame of
 * a policy that stands alone (here), the frame that neighbours in a pipeline share, and the edge to promises. What cannot be
 * decided at once goes on as an effect.
 */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { AnyExit, AnyFiber, Body } from "../internal/erased.js"
import * as Time from "../internal/time.js"
import * as Policy from "./Policy.js"

/** Who makes a call: a fiber, or a program of promises, which has no more than this. */
export type Caller = Pick<AnyFiber, "currentContext" | "currentDefaultServices" | "getFiberRef">

/** The fiber of a caller that is one. */
export const fiberOf = (caller: Caller): AnyFiber | undefined =>
  "unsafePoll" in caller ? (caller as AnyFiber) : undefined

/** A policy that decides synchronously, before the body and after it, and holds nothing in between. */
export interface Part {
  /** Whether {@link Begun.ended} is asked about a success. */
  readonly looksAtResults: boolean
  /**
   * Lets a call in, or says what comes back instead. `undefined` when this call needs more than one step; deciding so leaves no
   * trace. `around` is for another run of what the policy is around.
   */
  begin(caller: Caller, clock: Clock.Clock, around: Around): Begun | Body | undefined
}

/** A part with all that its policy does. */
export interface Guard extends Part {
  /** The call that {@link begin} left alone. */
  otherwise(alone: Alone, fiber: AnyFiber, clock: Clock.Clock): Body
}

/** What a part is around. */
export interface Around {
  readonly self: Body
}

/** A call that has been let in. */
export interface Begun {
  /** What follows the exit of the body. */
  ended(exit: AnyExit): Body
}

/** A call that the policy has nothing to do with: there is no frame for it. */
export const passing: Begun = { ended: (exit) => exit }

export const isBegun = (begun: Begun | Body): begun is Begun => "ended" in begun

/** Shows the exit of a body to a call. Neither handler runs for an interruption from outside, and neither needs to. */
export const seenBy = (body: Body, begun: Begun, looksAtResults: boolean): Body => {
  const onFailure = (cause: Cause.Cause<unknown>): Body => begun.ended(Exit.failCause(cause))
  return looksAtResults
    ? Effect.matchCauseEffect(body, { onFailure, onSuccess: (value) => begun.ended(Exit.succeed(value)) })
    : Effect.catchAllCause(body, onFailure)
}

/** A part by itself around an effect. */
export class Alone implements Around {
  /** The frame of the last call, for a part that lets one after the other in with the same object. */
  private frame: Body
  private begun: Begun = passing

  constructor(
    private readonly guard: Guard,
    readonly self: Body
  ) {
    this.frame = self
  }

  enter(fiber: AnyFiber): Body {
    const { guard } = this
    const clock = Time.clockOf(fiber)
    const begun = guard.begin(fiber, clock, this)
    if (begun === undefined) return guard.otherwise(this, fiber, clock)
    if (begun === passing) return this.self
    if (begun === this.begun) return this.frame
    if (!isBegun(begun)) return begun
    this.begun = begun
    return (this.frame = seenBy(this.self, begun, guard.looksAtResults))
  }
}

const alone = (guard: Guard, self: Body): Body => {
  const frame = new Alone(guard, self)
  return Effect.withFiberRuntime((fiber) => frame.enter(fiber))
}

const part: unique symbol = /*#__PURE__*/ Symbol()

interface Offering {
  readonly [part]?: Part
}

/** Adds to a policy that it can take part in a frame. */
export const takingPart = <P extends object>(policy: P, its: Part): P =>
  Object.assign(policy, { [part]: its })

/** The policy that a guard is. What it makes of an effect is in the type that it is given. */
export const policyOf = <P>(described: Policy.Described, guard: Guard): P =>
  takingPart(
    Policy.make(described, (self: Body) => alone(guard, self)),
    guard
  ) as P

export const guarding: unique symbol = /*#__PURE__*/ Symbol()

/** What an instance does at a call, without the policy that it would have to keep for it. */
export const guardedBy = (instance: { readonly [guarding]?: Guard }): ((self: Body) => Body) | undefined => {
  const guard = instance[guarding]
  return guard && ((self) => alone(guard, self))
}

/** The part of a policy that belongs to a service, whichever it is at the call. */
export const partIn = <S>({ key }: { readonly key: string }, policyOf: (service: S) => object): Part => ({
  looksAtResults: true,
  begin: (caller, clock, around) => {
    const service = caller.currentContext.unsafeMap.get(key) as S | undefined
    return service === undefined ? undefined : partOf(policyOf(service))?.begin(caller, clock, around)
  }
})

export const partOf = (policy: object): Part | undefined => (policy as Offering)[part]
