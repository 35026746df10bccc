/**
 * The private parts of Effect's fibers. This file alone uses them, after trying them out once; where they are missing, a time limit
 * runs in a fiber of its own and a service is provided inside a mask.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import type * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as RuntimeFlags from "effect/RuntimeFlags"
import type { AnyFiber } from "./erased.js"
import { forkMasked } from "./fork.js"

/** A fiber, seen from inside. Everything here is for the fiber itself to call, while it runs. */
export interface Insides extends AnyFiber {
  /** What it has forked and what ends with it. `null` until there is something. */
  readonly _children: ReadonlySet<AnyFiber> | null
  /** The places up to which a batched request takes the rest of the fiber away, to continue it in another. */
  readonly _steps: ReadonlyArray<unknown>
  readonly _fiberRefs: FiberRefs.FiberRefs
  currentRuntimeFlags: RuntimeFlags.RuntimeFlags
  setFiberRefs(refs: FiberRefs.FiberRefs): void
  setFiberRef<A>(ref: FiberRef.FiberRef<A>, value: A): void
  pushStack(frame: Leaving): void
  addChild(child: AnyFiber): void
  removeChild(child: AnyFiber): void
}

/** Where the children of a fiber go when not to the fiber itself. Concurrent loops set it for what they run. */
type ForkScope = Option.Option<unknown>

let found: { readonly forkScope: FiberRef.FiberRef<ForkScope> } | "nothing" | undefined

/** The inside of a fiber, `undefined` when this version of Effect looks different there. */
export const insidesOf = (fiber: AnyFiber): Insides | undefined => {
  found ??= probe()
  return found === "nothing" ? undefined : (fiber as Insides)
}

/** Sets where the children of a fiber go from now on, and returns where they went until now. */
export const replaceForkScope = (fiber: Insides, scope: ForkScope): ForkScope => {
  if (found === undefined || found === "nothing") return Option.none()
  const before = fiber.getFiberRef(found.forkScope)
  if (before !== scope) fiber.setFiberRef(found.forkScope, scope)
  return before
}

/** A frame that a fiber passes on every way out, as it passes the end of a region with other flags. This one changes no flags. */
export abstract class Leaving {
  readonly _op = "RevertFlags"

  get patch(): number {
    this.left()
    return 0
  }

  /** Is called once, when the fiber passes. */
  protected abstract left(): void
}

class Calling extends Leaving {
  constructor(protected readonly left: () => void) {
    super()
  }
}

/** Calls a function when a fiber leaves what it runs next, also by an interruption. To be called in the step before. */
export const onLeaving = (fiber: Insides, left: () => void): void => fiber.pushStack(new Calling(left))

let canLeave: boolean | undefined

/** The inside of a fiber that {@link onLeaving} works for, apart from what a time limit needs. */
export const leavableOf = (fiber: AnyFiber): Insides | undefined => {
  const inside = fiber as Insides
  canLeave ??= leavesEachWay()
  return canLeave && inside._steps.length === 0 ? inside : undefined
}

/** Leaves a fiber on every way out. What looks different inside throws, and then it has not been left. */
const leavesEachWay = (): boolean => {
  let left = 0
  const leaving = <E>(self: Effect.Effect<void, E>) =>
    Effect.withFiberRuntime<void, E>((fiber) => {
      const inside = fiber as unknown as Insides
      inside.setFiberRefs(inside._fiberRefs)
      inside.setFiberRef(FiberRef.currentContext, inside.currentContext)
      onLeaving(inside, () => (left += 1 + inside._steps.length))
      return self
    })
  const interrupted = Effect.withFiberRuntime<void>((fiber) => {
    fiber.unsafeInterruptAsFork(FiberId.none)
    return Effect.void
  })
  Effect.runSyncExit(
    leaving(Effect.void).pipe(
      Effect.zipRight(Effect.exit(leaving(Effect.fail("failed")))),
      Effect.zipRight(leaving(interrupted))
    )
  )
  return left === 3
}

export const hasChildren = (fiber: Insides): boolean => fiber._children !== null && fiber._children.size > 0

/** The cause of an interruption without the one by `id`, compared by identity. The newest interruption is outermost. */
export const withoutInterruption = (cause: Cause.Cause<never>, id: FiberId.FiberId): Cause.Cause<never> => {
  const newer: Array<Cause.Sequential<never>> = []
  for (let rest = cause; rest._tag === "Sequential"; rest = rest.left) {
    if (rest.right._tag === "Interrupt" && rest.right.fiberId === id) {
      return newer.reduceRight<Cause.Cause<never>>(
        (older, { right }) => Cause.sequential(older, right),
        rest.left
      )
    }
    newer.push(rest)
  }
  return cause
}

/** Takes every step once that a limit takes later, and looks at what comes of it. */
const probe = (): NonNullable<typeof found> => {
  const exit = Effect.runSyncExit(probing)
  return Exit.isSuccess(exit) && exit.value !== undefined ? { forkScope: exit.value } : "nothing"
}

const probing = /*#__PURE__*/ Effect.uninterruptibleMask((restore) =>
  Effect.withFiberRuntime<FiberRef.FiberRef<ForkScope> | undefined>((fiber) =>
    restore === Effect.interruptible && looksInside(fiber)
      ? Effect.gen(function* () {
          const id = FiberId.unsafeMake()
          const before = fiber._fiberRefs
          const interrupt = Effect.sync(() => fiber.unsafeInterruptAsFork(id))
          const interrupted = yield* Effect.exit(restore(Effect.zipRight(interrupt, Effect.void)))
          const cause = fiber.getFiberRef(FiberRef.interruptedCause)
          fiber.setFiberRefs(before)
          const goesOn = yield* Effect.exit(restore(Effect.void))
          const child = yield* forkMasked(Effect.void, "caller")
          const had = yield* Effect.sync(() => fiber._children?.has(child) === true)
          yield* Fiber.await(child)
          const taken = withoutInterruption(cause, id)
          return Exit.isInterrupted(interrupted) &&
            taken !== cause &&
            Cause.isEmptyType(taken) &&
            Exit.isSuccess(goesOn) &&
            had &&
            !hasChildren(fiber)
            ? yield* forkScopeIn(fiber)
            : undefined
        })
      : Effect.succeed(undefined)
  )
)

/** The only FiberRef that transplanting sets. */
const forkScopeIn = (fiber: Insides): Effect.Effect<FiberRef.FiberRef<ForkScope> | undefined> =>
  Effect.transplant((graft) => {
    const before = fiber._fiberRefs.locals
    return graft(
      Effect.sync(() => {
        const set = [...fiber._fiberRefs.locals.keys()].filter((ref) => !before.has(ref))
        const [ref] = set
        return set.length === 1 && ref !== undefined && Option.isOption(fiber.getFiberRef(ref))
          ? ref
          : undefined
      })
    )
  })

const looksInside = (fiber: AnyFiber): fiber is Insides => {
  const inside = fiber as Partial<Insides>
  return (
    (inside._children === null || inside._children instanceof Set) &&
    Array.isArray(inside._steps) &&
    Predicate.hasProperty(inside._fiberRefs, "locals") &&
    typeof inside.currentRuntimeFlags === "number" &&
    [inside.setFiberRefs, inside.setFiberRef, inside.pushStack, inside.addChild, inside.removeChild].every(
      Predicate.isFunction
    )
  )
}
