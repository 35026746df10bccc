/**
 * Policies applied one after the other, in as few frames as they allow. Neighbours that take part share a frame: all begin in one
 * step, from the outside in, and all see the exit in one step, from the inside out. If one has more to do, the rest of the call goes
 * on as in a pipe.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import { identity } from "effect/Function"
import type { AnyExit, AnyFiber, Body, Restore } from "../internal/erased.js"
import { inMask } from "../internal/inside.js"
import { hasMessages } from "../internal/messages.js"
import * as Time from "../internal/time.js"
import {
  type Around as Inward,
  type Begun,
  type Caller,
  isBegun,
  type Part,
  partOf,
  passing,
  seenBy
} from "../policy/frame.js"

export type Apply = (self: Body) => Body

const composition: unique symbol = /*#__PURE__*/ Symbol()

/** What a pipeline is made of: policies that are no pipelines. */
interface Pipeline {
  readonly [composition]?: ReadonlyArray<Apply>
}

export const flattened = (policy: Apply & Pipeline): ReadonlyArray<Apply> => policy[composition] ?? [policy]

/** Makes a pipeline. Pipelines among the policies are taken apart: they share frames, and may be nested to any depth. */
export const compose = <P extends object>(policies: ReadonlyArray<Apply>, make: (apply: Apply) => P): P => {
  const all = policies.flatMap(flattened)
  let compiled: Apply | undefined
  const made = make((self) => (compiled ??= compile(all))(self))
  return Object.defineProperty(made, composition, { value: all })
}

const compile = (policies: ReadonlyArray<Apply>): Apply => {
  const steps: Array<Apply> = []
  for (let next = 0; next < policies.length;) {
    const parts: Array<Part> = []
    for (let at = next; at < policies.length; at++) {
      const part = partOf(policies[at])
      if (part === undefined) break
      parts.push(part)
    }
    // One alone is as fast by itself.
    const end = next + Math.max(1, parts.length)
    steps.push(parts.length < 2 ? policies[next] : inOneFrame(new Frame(policies.slice(next, end), parts)))
    next = end
  }
  return (self) => piped(steps, self)
}

export const piped = (policies: ReadonlyArray<Apply>, self: Body): Body =>
  policies.reduce((inner, policy) => policy(inner), self)

/** Neighbours that share a frame. */
class Frame {
  /** Whether any part from this one on looks at results. */
  readonly looksAtResults: ReadonlyArray<boolean>
  readonly lastHolding: number
  private readonly holding: ReadonlyArray<Part>

  constructor(
    readonly policies: ReadonlyArray<Apply>,
    readonly parts: ReadonlyArray<Part>
  ) {
    const last = parts.map((part) => part.looksAtResults).lastIndexOf(true)
    this.looksAtResults = parts.map((_, from) => from <= last)
    this.holding = parts.filter((part) => part.holds !== undefined)
    this.lastHolding = parts.lastIndexOf(this.holding[this.holding.length - 1])
  }

  /** Whether the frame needs a mask, and all that hold something can begin in it. */
  holds(fiber: AnyFiber): boolean {
    const clock = Time.clockOf(fiber)
    return this.holding.length > 0 && this.holding.every((part) => part.holds?.(fiber, clock))
  }
}

const inOneFrame =
  (frame: Frame): Apply =>
  (self) => {
    const around = new Around(frame, self)
    const masked = inMask((restore, fiber) => new Call(around, fiber, restore).begin())
    return Effect.withFiberRuntime((fiber) =>
      frame.holds(fiber) ? masked : new Call(around, fiber, undefined).begin()
    )
  }

/** A frame around an effect. */
class Around {
  /** What each part is around. */
  readonly inner: ReadonlyArray<Inner>
  private interruptible: Body | undefined

  constructor(
    readonly frame: Frame,
    readonly self: Body
  ) {
    this.inner = frame.parts.map((_, position) => new Inner(this, position))
  }

  /** What the part at this position is around, in a pipe. */
  below(position: number): Body {
    return piped(this.frame.policies.slice(0, position), this.self)
  }

  /** The effect without the mask around it. */
  restored(restore: Restore): Body {
    return restore === Effect.interruptible ? (this.interruptible ??= restore(this.self)) : restore(this.self)
  }
}

/** What a part is around, made when it is needed. */
export class Inner implements Inward {
  constructor(
    private readonly around: { below(position: number): Body },
    private readonly position: number
  ) {}

  get self(): Body {
    return this.around.below(this.position)
  }
}

/**
 * A call of the parts of a frame. If one holds something, all run in a mask, and the body is restored. There a part that holds
 * nothing is skipped when the call is interrupted, as in a pipe.
 */
class Call {
  private readonly begun: Array<Begun>
  /** Whether any part has nothing to do with this call. */
  private passes = false
  /** The part around the body, which sees how that ended though an interruption is pending. */
  private first = 0

  constructor(
    private readonly around: Around,
    private readonly fiber: AnyFiber,
    private readonly restore: Restore | undefined
  ) {
    this.begun = new Array<Begun>(around.frame.parts.length)
  }

  begin(): Body {
    const { around, fiber, restore } = this
    const { parts } = around.frame
    const clock = Time.clockOf(fiber)
    for (let position = parts.length - 1; position >= 0; position--) {
      const part = parts[position]
      const begun =
        restore === undefined && part.holds !== undefined
          ? undefined
          : begin(part, fiber, clock, around.inner[position], restore)
      // What is further out has begun, and sees the exit of this one as it would in a pipe.
      if (begun === undefined || !isBegun(begun)) {
        const body = begun ?? around.below(position + 1)
        return this.enter(this.restored(body), position + 1)
      }
      this.begun[position] = begun
      this.passes ||= begun === passing
    }
    return this.enter(restore === undefined ? around.self : around.restored(restore), 0)
  }

  private enter(body: Body, position: number): Body {
    this.first = position
    while (this.begun[this.first] === passing) this.first++
    return this.run(body, this.first)
  }

  private restored(body: Body): Body {
    return this.restore === undefined ? body : this.restore(body)
  }

  /** Runs a body, and shows its exit to the parts from this position on. */
  private run(body: Body, first: number): Body {
    let from = first
    while (this.begun[from] === passing) from++
    if (from === this.begun.length) return body
    return seenBy(body, { ended: (exit) => this.ended(exit, from) }, this.looksAtResults(from))
  }

  private looksAtResults(from: number): boolean {
    const { looksAtResults, parts } = this.around.frame
    return this.passes
      ? this.begun.some((begun, at) => at >= from && begun !== passing && parts[at].looksAtResults)
      : looksAtResults[from]
  }

  private ended(exit: AnyExit, from: number): Body {
    const { around, begun, fiber, restore } = this
    const { parts } = around.frame
    let seen = exit
    // What has succeeded is shown to the first part that looks in the step in which it did.
    let isShown = from === this.first
    for (let position = from; position < parts.length; position++) {
      if (begun[position] === passing) continue
      const { holds, looksAtResults } = parts[position]
      if (isShown && seen._tag === "Success" && !looksAtResults) continue
      // In a pipe there is a step between the two, at which a fiber finds out that it was interrupted.
      if (!isShown && hasMessages(fiber)) return this.run(seen, position)
      const interruption =
        restore !== Effect.interruptible || (isShown && seen._tag === "Success")
          ? undefined
          : interruptionOf(fiber)
      if (interruption !== undefined) {
        // The last mask is that of the frame, which ends by itself.
        if (position <= around.frame.lastHolding) seen = this.broken(seen, interruption, position)
        if (holds === undefined) {
          if (seen._tag === "Failure") seen = Exit.failCause(Cause.stripFailures(seen.cause))
          continue
        }
      }
      if (seen._tag === "Success" && !looksAtResults) continue
      isShown = false
      const next = following(begun[position], seen)
      if (Exit.isExit(next)) seen = next
      else {
        const isMasked = holds !== undefined || restore !== Effect.interruptible
        const pending = isMasked ? undefined : interruptionOf(fiber)
        if (pending === undefined) {
          return this.run(holds === undefined ? this.restored(next) : next, position + 1)
        }
        // It would not begin.
        seen = this.broken(Exit.void, pending, position + 1)
      }
    }
    return seen
  }

  /** What the part at a position would see of an exit after an interruption; in a pipe a mask may end before. */
  private broken(exit: AnyExit, interruption: Cause.Cause<never>, position: number): AnyExit {
    let before = position - 1
    while (before >= this.first && this.begun[before] === passing) before--
    const leavesMask = before >= this.first && this.around.frame.parts[before].holds !== undefined
    if (exit._tag === "Failure") {
      return leavesMask ? Exit.failCause(Cause.sequential(exit.cause, interruption)) : exit
    }
    // Without the end of a mask it is the newest interruption that takes its place.
    const isNewest = !leavesMask && interruption._tag === "Sequential"
    return Exit.failCause(isNewest ? interruption.right : interruption)
  }
}

const interruptionOf = (fiber: AnyFiber): Cause.Cause<never> | undefined => {
  const cause = fiber.getFiberRef(FiberRef.interruptedCause)
  return Cause.isEmptyType(cause) ? undefined : cause
}

/** A part that throws here throws again as an effect, where those further out see it. */
export const begin = (
  part: Part,
  caller: Caller,
  clock: Clock.Clock,
  inner: Inward,
  restore: Restore = identity
): Begun | Body | undefined => {
  try {
    return part.begin(caller, clock, inner, restore)
  } catch {
    return undefined
  }
}

/** What follows the exit; a condition that throws is seen by the parts further out, as in a pipe. */
export const following = (begun: Begun, exit: AnyExit): Body => {
  try {
    return begun.ended(exit)
  } catch (thrown) {
    return Effect.sync(() => {
      throw thrown
    })
  }
}
