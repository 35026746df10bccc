/**
 * Sees every event of every policy of a program, without a change at any call.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { callable } from "../core/options.js"
import { observerIn, observerKey } from "./events.js"
import { harmless } from "./harmless.js"
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
  /** Is asked when an attempt of a retry or of a hedge begins. Default: nothing runs around it. */
  readonly unsafeAttempt?: (attempt: Attempt) => Operation<AttemptEnd> | undefined
  /** Is asked when a call of an `HttpClient` with parts of `HttpResilience` begins. Default: nothing runs around it. */
  readonly unsafeHttpCall?: (request: HttpRequest | undefined) => Operation<HttpCallEnd> | undefined
  /** Is called at the end of every request that such a client has sent, one for each attempt. */
  readonly unsafeHttpRequest?: (request: HttpRequestEnd) => void
}

/**
 * What runs around an attempt or a call, such as a span, and sees its end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operation<in End> {
  /** Is applied once. It must neither fail nor lose what the effect returns. */
  readonly around: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Is called once, after the effect has ended. It must not throw. Not called if an interruption came before the first step. */
  readonly unsafeEnded: (end: End) => void
}

/**
 * An attempt of a retry or of a hedge that begins.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempt extends Pick<Policy.AttemptEnded, "kind" | "name" | "attempt"> {
  /** The delay of the retry before this attempt; of a hedge the time since the first attempt began. Zero for the first attempt. */
  readonly delay: Duration.Duration
}

/**
 * How an attempt ended. Its policy may judge a success as a failure.
 *
 * @since 0.1.0
 * @category models
 */
export interface AttemptEnd extends Pick<Policy.AttemptEnded, "outcome"> {
  readonly exit: Exit.Exit<unknown, unknown>
}

/**
 * A request of an HTTP client.
 *
 * @since 0.1.0
 * @category models
 */
export interface HttpRequest {
  readonly method: string
  /** With its parameters; `undefined` if it is invalid. */
  readonly url: URL | undefined
}

/**
 * How a call of an HTTP client ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface HttpCallEnd {
  /** The request, `undefined` if the call ended while it was being prepared. */
  readonly request: HttpRequest | undefined
  /** The status of the response, if there was one. */
  readonly status: number | undefined
  readonly exit: Exit.Exit<unknown, unknown>
}

/**
 * How a request that was sent ended: with the head of its response, with an error, or by an interruption such as that of a timeout.
 *
 * @since 0.1.0
 * @category models
 */
export interface HttpRequestEnd extends HttpCallEnd {
  readonly request: HttpRequest
  readonly duration: Duration.Duration
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
  return { unsafeObserve: harmless(observe) }
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
  }),
  ...((first.unsafeAttempt ?? second.unsafeAttempt) && {
    unsafeAttempt: (attempt) => nested(first.unsafeAttempt?.(attempt), second.unsafeAttempt?.(attempt))
  }),
  ...((first.unsafeHttpCall ?? second.unsafeHttpCall) && {
    unsafeHttpCall: (request) => nested(first.unsafeHttpCall?.(request), second.unsafeHttpCall?.(request))
  }),
  ...((first.unsafeHttpRequest ?? second.unsafeHttpRequest) && {
    unsafeHttpRequest: (request) => {
      first.unsafeHttpRequest?.(request)
      second.unsafeHttpRequest?.(request)
    }
  })
})

/** One operation inside another, and so the inner one ends first. */
const nested = <End>(
  outer: Operation<End> | undefined,
  inner: Operation<End> | undefined
): Operation<End> | undefined =>
  outer === undefined || inner === undefined
    ? (outer ?? inner)
    : {
        around: (self) => outer.around(inner.around(self)),
        unsafeEnded: (end) => {
          inner.unsafeEnded(end)
          outer.unsafeEnded(end)
        }
      }

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
