/** A function for each event that matters, found by the tag and the kind of the event. */
import type * as Bulkhead from "../bulkhead/Bulkhead.js"
import type * as Cache from "../cache/Cache.js"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import type * as Fallback from "../fallback/Fallback.js"
import type * as Hedge from "../hedge/Hedge.js"
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

type Find<Out> = (event: Policy.Event) => ((event: Policy.Event) => Out) | undefined

/** Most events matter to nothing here, and most of those can be told by their tag. */
export const byEvent = <Out>(functions: ByEvent<Out>): Find<Out> => {
  const tags = new Map<string, Map<string, (event: Policy.Event) => Out>>()
  for (const [kind, ofKind] of Object.entries(functions)) {
    for (const [tag, run] of Object.entries(ofKind)) {
      const kinds = tags.get(tag) ?? new Map<string, (event: Policy.Event) => Out>()
      tags.set(tag, kinds.set(kind, run as (event: Policy.Event) => Out))
    }
  }
  return ({ _tag, kind }) => tags.get(_tag)?.get(kind)
}
