/**
 * Policies applied one after the other, in as few frames as they allow. Neighbours that take part share a frame: all of them
 * begin in one step, from the outside in, and all of them see the exit in one step, from the inside out. Wherever one of them
 * has more to do than that, the rest of the call goes on as it would in a pipe.
 */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Around as Inward, type Begun, isBegun, type Part, partOf, passing } from "../policy/frame.js"
import * as Time from "../internal/time.js"
import { hasMessages } from "../internal/messages.js"
import type { AnyExit, AnyFiber, Body } from "../internal/erased.js"

export type Apply = (self: Body) => Body

const composition: unique symbol = /*#__PURE__*/ Symbol()

/** What a pipeline is made of: policies that are not pipelines themselves. */
interface Pipeline {
  readonly [composition]?: ReadonlyArray<Apply>
}

const flattened = (policy: Apply & Pipeline): ReadonlyArray<Apply> => policy[composition] ?? [policy]

/**
 * Makes a pipeline of one function that does what the policies do in a pipe. Pipelines among them are taken apart, so that they
 * share frames with their neighbours and may be nested to any depth.
 */
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

const piped = (policies: ReadonlyArray<Apply>, self: Body): Body =>
  policies.reduce((inner, policy) => policy(inner), self)

/** Neighbours that share a frame. */
class Frame {
  /** Whether any part from this one on looks at results. */
  readonly looksAtResults: ReadonlyArray<boolean>

  constructor(
    readonly policies: ReadonlyArray<Apply>,
    readonly parts: ReadonlyArray<Part>
  ) {
    const last = parts.map((part) => part.looksAtResults).lastIndexOf(true)
    this.looksAtResults = parts.map((_, from) => from <= last)
  }
}

const inOneFrame =
  (frame: Frame): Apply =>
  (self) => {
    const around = new Around(frame, self)
    return Effect.withFiberRuntime((fiber) => new Call(around, fiber).begin())
  }

/** A frame around an effect. */
class Around {
  /** What each part is around. */
  readonly inner: ReadonlyArray<Inner>

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
}

/** What a part is around, made when it is needed. */
class Inner {
  constructor(
    private readonly around: Around,
    private readonly position: number
  ) {}

  get self(): Body {
    return this.around.below(this.position)
  }
}

class Call {
  private readonly begun: Array<Begun>
  /** Whether any part has nothing to do with this call. */
  private passes = false

  constructor(
    private readonly around: Around,
    private readonly fiber: AnyFiber
  ) {
    this.begun = new Array<Begun>(around.frame.parts.length)
  }

  begin(): Body {
    const { around, fiber } = this
    const { parts } = around.frame
    const clock = Time.clockOf(fiber)
    for (let position = parts.length - 1; position >= 0; position--) {
      const begun = begin(parts[position], fiber, clock, around.inner[position])
      // What is further out has begun, and sees the exit of this one as it would in a pipe.
      if (begun === undefined) return this.run(around.below(position + 1), position + 1)
      if (!isBegun(begun)) return this.run(begun, position + 1)
      this.begun[position] = begun
      this.passes ||= begun === passing
    }
    return this.run(around.self, 0)
  }

  /** Runs a body, and shows its exit to the parts from this position on. */
  private run(body: Body, first: number): Body {
    let from = first
    while (this.begun[from] === passing) from++
    if (from === this.begun.length) return body
    const onFailure = (cause: Cause.Cause<unknown>): Body => this.ended(Exit.failCause(cause), from)
    return this.looksAtResults(from)
      ? Effect.matchCauseEffect(body, {
          onFailure,
          onSuccess: (value) => this.ended(Exit.succeed(value), from)
        })
      : Effect.catchAllCause(body, onFailure)
  }

  private looksAtResults(from: number): boolean {
    const { looksAtResults, parts } = this.around.frame
    return this.passes
      ? this.begun.some((begun, at) => at >= from && begun !== passing && parts[at].looksAtResults)
      : looksAtResults[from]
  }

  private ended(exit: AnyExit, from: number): Body {
    const { parts } = this.around.frame
    let seen = exit
    let asked = false
    for (let position = from; position < parts.length; position++) {
      if (this.begun[position] === passing) continue
      if (seen._tag === "Success" && !parts[position].looksAtResults) continue
      // In a pipe there is a step between the two, at which a fiber that interrupted itself finds out.
      if (asked && hasMessages(this.fiber)) return this.run(seen, position)
      asked = true
      const next = following(this.begun[position], seen)
      if (!Exit.isExit(next)) return this.run(next, position + 1)
      seen = next
    }
    return seen
  }
}

/** A part that throws here throws again in a pipe, where those further out see it. */
const begin = (part: Part, fiber: AnyFiber, clock: Clock.Clock, inner: Inward): Begun | Body | undefined => {
  try {
    return part.begin(fiber, clock, inner)
  } catch {
    return undefined
  }
}

/** What follows the exit; a condition that throws is seen by the parts further out, as in a pipe. */
const following = (begun: Begun, exit: AnyExit): Body => {
  try {
    return begun.ended(exit)
  } catch (thrown) {
    return Effect.sync(() => {
      throw thrown
    })
  }
}
