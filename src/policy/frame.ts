/**
 * What a policy offers so that a pipeline can run it together with its neighbours in one frame, instead of each in its own.
 * It is an offer and no duty: at every call a policy may leave it, and then runs as it does in a pipe.
 */
import type * as Clock from "effect/Clock"
import type { AnyExit, AnyFiber, Body } from "../internal/erased.js"

/** A policy that decides synchronously, before the body and after it, and holds nothing in between. */
export interface Part {
  /** Whether {@link Begun.ended} is to be asked about a success. */
  readonly looksAtResults: boolean
  readonly begin: Begin
}

/**
 * Lets a call in; `undefined` when this call has to run as in a pipe. Deciding so must leave no trace. `around` is for
 * another run of what the policy is around.
 */
export type Begin = (
  fiber: AnyFiber,
  clock: Clock.Clock,
  around: { readonly self: Body }
) => Begun | undefined

/** A call that has been let in. */
export interface Begun {
  /** What the handlers of the piped form would return. */
  readonly ended: (exit: AnyExit) => Body
}

/** A call that the policy has nothing to do with. In a pipe there is no frame for it. */
export const passing: Begun = { ended: (exit) => exit }

const part: unique symbol = /*#__PURE__*/ Symbol()

interface Offering {
  readonly [part]?: Part
}

/** Adds to a policy that it can take part in a frame. */
export const takingPart = <P extends object>(policy: P, looksAtResults: boolean, begin: Begin): P =>
  Object.assign(policy, { [part]: { looksAtResults, begin } })

/** The part of a policy that belongs to a service, whichever it is at the call. */
export const beginIn =
  <S>({ key }: { readonly key: string }, policyOf: (service: S) => object): Begin =>
  (fiber, clock, around) => {
    const service = fiber.currentContext.unsafeMap.get(key) as S | undefined
    return service === undefined ? undefined : partOf(policyOf(service))?.begin(fiber, clock, around)
  }

export const partOf = (policy: object): Part | undefined => (policy as Offering)[part]
