/**
 * What a policy does at a call, said once: before the body, and after it. Three drivers run it: the frame of a policy that stands
 * alone (here), the frame that neighbours in a pipeline share, and the edge to promises.
 */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import type { AnyExit, AnyFiber, Body, Restore } from "../internal/erased.js"
import { inMask } from "../internal/inside.js"
import * as Time from "../internal/time.js"
import * as Policy from "./Policy.js"

/** Who makes a call: a fiber, or an {@link Edge}. */
export type Caller = Pick<AnyFiber, "currentContext" | "currentDefaultServices" | "getFiberRef">

/** A call from a program of promises. Its time is always that of the live clock. */
export interface Edge extends Caller {
  /** Interrupts what a policy is around. */
  readonly stop: (begun: Begun) => void
}

export const isFiber = (caller: Caller): caller is AnyFiber => "unsafePoll" in caller

/** A policy that decides synchronously, before the body and after it. */
export interface Part {
  /** Whose nested calls are one call: an instance, or the key of a service. */
  readonly instance?: unknown
  /** Whether {@link Begun.ended} is asked about a success. */
  readonly looksAtResults: boolean
  /** Whether a call at an {@link Edge} may stop what it is around. */
  readonly stops?: true
  /** For a policy that holds something during a call, in a mask, and sees every exit: whether it can admit one at once. */
  holds?(fiber: AnyFiber, clock: Clock.Clock): boolean
  /**
   * Admits a call, or says what is returned instead; `undefined`, without a trace, if this call needs more than one step. `around` is
   * for another run of what the policy is around, `restore` ends the mask of a policy that holds something.
   */
  begin(caller: Caller, clock: Clock.Clock, around: Around, restore: Restore): Begun | Body | undefined
}

/** A part with all that its policy does. */
export interface Guard extends Part {
  /** The call that {@link begin} left alone. */
  otherwise(alone: Alone, fiber: AnyFiber, clock: Clock.Clock, restore: Restore): Body
}

/** What a part is around. */
export interface Around {
  readonly self: Body
}

/** A call that has been admitted. */
export interface Begun {
  /** What follows the exit of the body. */
  ended(exit: AnyExit): Body
}

/** A call that the policy leaves alone, without a frame. */
export const passing: Begun = { ended: (exit) => exit }

export const isBegun = (begun: Begun | Body): begun is Begun => "ended" in begun

/** Shows the exit of a body to a call, except for an interruption from outside. */
export const seenBy = (body: Body, begun: Begun, looksAtResults: boolean): Body => {
  const onFailure = (cause: Cause.Cause<unknown>): Body => begun.ended(Exit.failCause(cause))
  return looksAtResults
    ? Effect.matchCauseEffect(body, { onFailure, onSuccess: (value) => begun.ended(Exit.succeed(value)) })
    : Effect.catchAllCause(body, onFailure)
}

/** A part by itself around an effect. */
export class Alone implements Around {
  /** The frame of the last call, for a part that uses one object for its calls. */
  private frame: Body
  private begun: Begun = passing

  constructor(
    private readonly guard: Guard,
    readonly self: Body
  ) {
    this.frame = self
  }

  enter(fiber: AnyFiber, restore: Restore = identity): Body {
    const { guard, self } = this
    const clock = Time.clockOf(fiber)
    const begun = guard.begin(fiber, clock, this, restore)
    if (begun === undefined) return guard.otherwise(this, fiber, clock, restore)
    if (begun === passing) return restore(self)
    if (begun === this.begun) return this.frame
    if (!isBegun(begun)) return begun
    const frame = seenBy(restore(self), begun, guard.looksAtResults)
    if (restore !== identity) return frame
    this.begun = begun
    return (this.frame = frame)
  }
}

/** A guard around an effect, by itself. */
export const alone = (guard: Guard, self: Body): Body => {
  const frame = new Alone(guard, self)
  return guard.holds === undefined
    ? Effect.withFiberRuntime((fiber) => frame.enter(fiber))
    : inMask((restore, fiber) => frame.enter(fiber, restore))
}

const part: unique symbol = /*#__PURE__*/ Symbol()

interface Offering {
  readonly [part]?: Part
}

/** Adds to a policy that it can take part in a frame. */
export const takingPart = <P extends object>(policy: P, its: Part): P =>
  Object.assign(policy, { [part]: its })

export const policyOf = <P>(described: Policy.Described, guard: Guard): P =>
  takingPart(
    Policy.make(described, (self: Body) => alone(guard, self)),
    guard
  ) as P

export const guarding: unique symbol = /*#__PURE__*/ Symbol()

/** What an instance does at a call, without the weight of a policy. */
export const guardedBy = (instance: { readonly [guarding]?: Guard }): ((self: Body) => Body) | undefined => {
  const guard = instance[guarding]
  return guard && ((self) => alone(guard, self))
}

/** The part of the policy of a service, which is found at the call. */
export const partIn = <S>(
  { key }: { readonly key: string },
  holds: boolean,
  policyOf: (service: S) => object
): Part => {
  const find = ({ currentContext }: Caller): Part | undefined => {
    const service = currentContext.unsafeMap.get(key) as S | undefined
    return service && partOf(policyOf(service))
  }
  return {
    instance: key,
    looksAtResults: true,
    ...(holds ? { holds: (fiber, clock) => find(fiber)?.holds?.(fiber, clock) === true } : {}),
    begin: (caller, clock, around, restore) => find(caller)?.begin(caller, clock, around, restore)
  }
}

export const partOf = (policy: object): Part | undefined => (policy as Offering)[part]
