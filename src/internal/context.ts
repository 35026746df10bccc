/** Services: those that the listeners of a shared policy get from its maker, and one more for a single call. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Tracer from "effect/Tracer"
import { type Insides, leavableOf, onLeaving } from "./fiber.js"

/** Services without the span they were found in: a listener runs in the span of the call that made it happen. */
export const withoutSpan = (context: Context.Context<never>): Context.Context<unknown> => {
  if (!context.unsafeMap.has(Tracer.ParentSpan.key)) return context as Context.Context<unknown>
  const services = new Map(context.unsafeMap)
  services.delete(Tracer.ParentSpan.key)
  return Context.unsafeMake(services)
}

/**
 * Runs an effect with one more service, made from those that are there, and then `after`, however the effect ends. Setting the
 * context is part of a step of the fiber, and setting it back is giving it its references as they were.
 */
export const withService = <I, S, A, E, R>(
  tag: Context.Tag<I, S>,
  make: (before: Context.Context<never>) => S,
  self: (service: S) => Effect.Effect<A, E, R>,
  after?: (service: S) => void
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((running) => {
    const fiber = leavableOf(running)
    if (fiber === undefined) return withServiceMasked(tag, make, self, after)
    const { _fiberRefs: refs, currentContext: before } = fiber
    const service = make(before)
    const during = inContext(fiber, Context.add(before, tag, service))
    fiber.setFiberRefs(during)
    onLeaving(fiber, () => {
      if (fiber._fiberRefs === during) fiber.setFiberRefs(refs)
      else fiber.setFiberRef(FiberRef.currentContext, before)
      after?.(service)
    })
    return self(service)
  })

/** The references of a fiber with another context. `setFiberRef` would compare it with the one before, and hash both for that. */
const inContext = (fiber: Insides, context: Context.Context<never>): FiberRefs.FiberRefs => {
  const { locals } = fiber._fiberRefs
  const before = locals.get(FiberRef.currentContext) ?? []
  const others = before[0]?.[0] === fiber.id() ? before.slice(1) : before
  return FiberRefs.unsafeMake(
    new Map(locals).set(FiberRef.currentContext, [[fiber.id(), context], ...others])
  )
}

/** The same inside a mask, where the inside of a fiber is not known. */
export const withServiceMasked = <I, S, A, E, R>(
  tag: Context.Tag<I, S>,
  make: (before: Context.Context<never>) => S,
  self: (service: S) => Effect.Effect<A, E, R>,
  after?: (service: S) => void
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      FiberRef.modify(FiberRef.currentContext, (before) => {
        const service = make(before)
        return [{ before, service }, Context.add(before, tag, service)] as const
      }),
      ({ before, service }) => {
        const ended = (exit: Exit.Exit<A, E>): Effect.Effect<A, E> => {
          after?.(service)
          return Effect.zipRight(FiberRef.set(FiberRef.currentContext, before), exit)
        }
        return Effect.matchCauseEffect(restore(self(service)), {
          onFailure: (cause) => ended(Exit.failCause(cause)),
          onSuccess: (value) => ended(Exit.succeed(value))
        })
      }
    )
  )
