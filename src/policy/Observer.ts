/**
 * Sees every event of every policy of a program, without a change at any call.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import { callable } from "../core/options.js"
import { startFiber, startIn } from "../internal/fork.js"
import { runningFiber } from "../internal/inside.js"
import { observerIn, observerKey } from "./events.js"
import type * as Policy from "./Policy.js"

/**
 * Is called with every event of every policy. It must not throw; one made by {@link make} does not.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly unsafeObserve: (event: Policy.Event) => void
  /**
   * Is asked when an instance or a keyed policy is made. What it returns is called with the events of that instance instead, and, of a
   * keyed policy, is asked again for the instance of each key. Default: one observer for all.
   */
  readonly unsafeMaking?: (making: Making) => OfInstance
  /** Is called when the scope of a layer ends, with the instance or the keyed policy that the layer made. */
  readonly unsafeLeft?: (instance: Policy.Described | AnyKeyed) => void
}

/**
 * What is about to be made: a policy with a state of its own, or one with an instance for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Making extends Pick<Policy.Described, "kind" | "name"> {
  /** Whether it is a keyed policy. Default: `false`. */
  readonly isKeyed?: boolean | undefined
  /** The key of an instance of a keyed policy, `"*"` for the shared one. */
  readonly key?: string | undefined
}

/**
 * The observer of one instance, or of one keyed policy.
 *
 * @since 0.1.0
 * @category models
 */
export interface OfInstance extends Service {
  /** Is called when the instance or the keyed policy is made. Holding it in a `WeakRef` keeps it evictable. */
  readonly unsafeMade: (instance: Policy.Described | AnyKeyed) => void
}

/**
 * A keyed policy of any kind.
 *
 * @since 0.1.0
 * @category models
 */
export type AnyKeyed = Policy.Keyed<Policy.Described, unknown>

/**
 * The observer of a program. Without one, an event that no listener hears is not made.
 *
 * Policies that are instances (breaker, bulkhead, limiter, budget, cache) read it once, where they are made. The others (retry,
 * hedge, timeout, fallback) read it at the call.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Observer, Retry } from "effect-resilience"
 *
 * const printing = Observer.make(({ kind, _tag }) => console.log(kind, _tag))
 *
 * const program = Effect.fail("down").pipe(
 *   Retry.retry({ times: 2 }),
 *   Effect.provideService(Observer.Observer, printing)
 * )
 * ```
 *
 * @since 0.1.0
 * @category context
 */
export class Observer extends Context.Reference<Observer>()(observerKey, {
  defaultValue: (): Service => ({ unsafeObserve: () => {} })
}) {}

/**
 * Makes an observer of a synchronous function, which is called in the step in which an event happens. It can neither delay, interrupt
 * nor fail a call: its first error is logged as a warning, later ones are not, and it is called all the same. It runs within every
 * call, so keep it short. A promise that it returns is not waited for.
 *
 * @example
 * ```ts
 * import { Observer } from "effect-resilience"
 *
 * const rejecting = new Set<string>()
 * const observer = Observer.make(({ kind, name, _tag }) => {
 *   if (_tag === "Rejected") rejecting.add(`${kind} ${name}`)
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (observe: (event: Policy.Event) => void): Service => {
  callable("Observer.make", "observe", observe)
  let hasThrown = false
  return {
    unsafeObserve: (event) => {
      try {
        observe(event)
      } catch (thrown) {
        if (!hasThrown) log(thrown)
        hasThrown = true
      }
    }
  }
}

const log = (thrown: unknown): void => {
  const warning = Effect.logWarning("an observer threw", Cause.die(thrown))
  const fiber = runningFiber()
  if (fiber === undefined) startIn(Runtime.defaultRuntime, warning)
  else startFiber(fiber, warning, Runtime.defaultRuntimeFlags)
}

/**
 * One observer of two. The first is called first.
 *
 * @example
 * ```ts
 * import { Observer } from "effect-resilience"
 *
 * const names = new Set<string>()
 * const observer = Observer.both(
 *   Observer.make(({ name }) => void names.add(name)),
 *   Observer.make(({ kind, _tag }) => console.log(kind, _tag))
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const both = (first: Service, second: Service): Service => ({
  unsafeObserve: (event) => {
    first.unsafeObserve(event)
    second.unsafeObserve(event)
  },
  ...((first.unsafeMaking ?? second.unsafeMaking) && {
    unsafeMaking: (making) => {
      const made = [first, second].map((observer) => observer.unsafeMaking?.(making))
      return {
        ...both(made[0] ?? first, made[1] ?? second),
        unsafeMade: (instance) => {
          for (const each of made) each?.unsafeMade(instance)
        }
      }
    }
  }),
  ...((first.unsafeLeft ?? second.unsafeLeft) && {
    unsafeLeft: (instance) => {
      first.unsafeLeft?.(instance)
      second.unsafeLeft?.(instance)
    }
  })
})

/**
 * Adds an observer to a program, as {@link make} makes it. One that is already there stays, and is called first.
 *
 * Build the layers of policies on it, because instances that were made before do not call it.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker, Observer } from "effect-resilience"
 *
 * class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
 *
 * const counts = new Map<string, number>()
 * const CountingLive = Observer.layer(({ kind, name, _tag }) => {
 *   const event = `${kind} ${name} ${_tag}`
 *   counts.set(event, (counts.get(event) ?? 0) + 1)
 * })
 *
 * const PartnerLive = Partner.layer({ openFor: "15 seconds" })
 * const program = Effect.succeed("offer").pipe(
 *   Partner.protect,
 *   Effect.provide(PartnerLive.pipe(Layer.provideMerge(CountingLive)))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (observe: (event: Policy.Event) => void): Layer.Layer<Observer> =>
  Layer.effect(
    Observer,
    Effect.contextWith((context: Context.Context<never>) => {
      const here = make(observe)
      const around = observerIn(context)
      return around === undefined ? here : both(around, here)
    })
  )
