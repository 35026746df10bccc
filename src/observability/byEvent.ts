/** A function for each event that matters, found by the kind and the tag of the event. */
import type * as Bulkhead from "../bulkhead/Bulkhead.js"
import type * as Cache from "../cache/Cache.js"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import type * as Fallback from "../fallback/Fallback.js"
import type * as Hedge from "../hedge/Hedge.js"
import * as Observer from "../policy/Observer.js"
import type * as Policy from "../policy/Policy.js"
import type * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type * as Retry from "../retry/Retry.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import type * as Timeout from "../timeout/Timeout.js"

type AnyEvent =
  | Bulkhead.Event
  | Cache.Event<unknown, unknown, unknown>
  | CircuitBreaker.Event
  | Fallback.Event<unknown, unknown>
  | Hedge.Event<unknown, unknown>
  | RateLimiter.Event
  | Retry.Event<unknown, unknown>
  | RetryBudget.Event
  | Timeout.Event

type OfKind<Kind> = Extract<AnyEvent, { readonly kind: Kind }>

export type ByEvent<Out> = {
  readonly [Kind in AnyEvent["kind"]]?: {
    readonly [Tag in OfKind<Kind>["_tag"]]?: (event: Extract<OfKind<Kind>, { readonly _tag: Tag }>) => Out
  }
}

type Found<Out> = ReadonlyMap<string, ReadonlyMap<string, (event: Policy.Event) => Out>>

export const byEvent = <Out>(functions: ByEvent<Out>): Found<Out> =>
  new Map(
    Object.entries(functions).map(([kind, ofKind]) => [
      kind,
      new Map(Object.entries(ofKind) as ReadonlyArray<[string, (event: Policy.Event) => Out]>)
    ])
  )

/** Lets observers see only the events that matter to one of them. Those of most calls do not, and this is the cheapest way to know. */
export const onlyTo = (
  observers: ReadonlyArray<{ readonly observer: Observer.Service; readonly found: Found<unknown> }>
): Observer.Service | undefined => {
  const [first, ...others] = observers.map(({ observer }) => observer)
  if (first === undefined) return undefined
  const observer = others.reduce(Observer.both, first)
  const wanted = new Map<string, Set<string>>()
  for (const { found } of observers) {
    for (const [kind, ofKind] of found) {
      wanted.set(kind, new Set([...(wanted.get(kind) ?? []), ...ofKind.keys()]))
    }
  }
  return {
    ...observer,
    unsafeObserve: (event) => {
      if (wanted.get(event.kind)?.has(event._tag) === true) observer.unsafeObserve(event)
    }
  }
}
