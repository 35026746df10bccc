/**
 * Why a policy does what it does: the numbers behind its last decision, as data and as one sentence.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Bulkhead from "../bulkhead/Bulkhead.js"
import type * as Cache from "../cache/Cache.js"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import type * as Trip from "../circuitBreaker/Trip.js"
import { defined, isObject } from "../core/options.js"
import { wallMillis } from "../internal/time.js"
import type * as Policy from "../policy/Policy.js"
import type * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import { consequences, sentenceOf } from "./sentences.js"
import { shownOf } from "./shown.js"
import * as Store from "./store.js"

// ------------------------------------------------------------------------------------------------------------- models

interface Of<Kind extends string, State extends string> {
  readonly kind: Kind
  readonly name: string
  /** What a call would meet. */
  readonly state: State
}

/**
 * How a circuit came into its state: the change of state without what failed. The counts are those of the state before.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entered {
  readonly from: CircuitBreaker.State
  readonly reason: CircuitBreaker.Reason
  /** The trip rule that was met, with its numbers at that moment. */
  readonly rule?: Trip.Reading | undefined
  readonly operation?: CircuitBreaker.Operation | undefined
  readonly successes: number
  readonly failures: number
}

/**
 * How a policy stands to its fleet.
 *
 * @since 0.1.0
 * @category models
 */
export interface InFleet {
  /** Whether it is shared with other processes. Absent where the settings are not known. */
  readonly shared?: boolean | undefined
  /** What it does because its store does not answer: what its option `onStoreFailure` says, or else `local`. Only if it is shared. */
  readonly withoutStore?: WithoutStore | undefined
}

/**
 * What a shared policy does while its store does not answer: it goes on by itself (`local`), rejects calls (`open`, `reject`), lets
 * them run uncounted (`closed`) or fail (`fail`), or keeps to its share of the rate (`share`) or to what it used last (`last`).
 *
 * @since 0.1.0
 * @category models
 */
export type WithoutStore = "local" | "open" | "closed" | "fail" | "share" | "last" | "reject"

interface OfCircuit<State extends CircuitBreaker.State> extends Of<"circuit-breaker", State>, InFleet {
  /** When the state began and when it was read, in milliseconds since the epoch. */
  readonly since: number
  readonly takenAt: number
  /** Why the state began. Absent where only a snapshot is known, and for a circuit that has never changed. */
  readonly entered?: Entered | undefined
  /** Calls rejected in this state. */
  readonly rejected: number
}

/**
 * A circuit that counts calls. Each reading says how far its rule is from being met.
 *
 * @since 0.1.0
 * @category models
 */
export interface CountingCircuit extends OfCircuit<"closed" | "metrics-only"> {
  readonly rules: ReadonlyArray<Trip.Reading>
}

/**
 * A circuit that rejects calls for a time. The times are milliseconds, and absent for one that does not end by itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface OpenCircuit extends OfCircuit<"open"> {
  readonly openFor?: number | undefined
  readonly halfOpenIn?: number | undefined
  /** How often it has opened since it last recovered, this time included. */
  readonly openings: number
}

/**
 * A circuit that probes.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProbingCircuit extends OfCircuit<"half-open"> {
  /** Probes that have ended. */
  readonly successes: number
  readonly failures: number
  /** The probes that run, how many may run at once, and how many must succeed. */
  readonly probes?: CircuitBreaker.Probes | undefined
}

/**
 * A circuit that an operation has put into a state in which nothing is counted.
 *
 * @since 0.1.0
 * @category models
 */
export interface SteeredCircuit extends OfCircuit<"isolated" | "disabled"> {}

/**
 * @since 0.1.0
 * @category models
 */
export type ExplainedCircuit = CountingCircuit | OpenCircuit | ProbingCircuit | SteeredCircuit

/**
 * @since 0.1.0
 * @category models
 */
export interface ExplainedBulkhead extends Of<"bulkhead", "available" | "full"> {
  readonly permits: number
  /** Permits taken. */
  readonly inUse: number
  readonly queued: number
  /** How many calls may be queued, where the settings are known. */
  readonly maxQueued?: number | undefined
  readonly rejected: number
  /** When it was read, where that is known. */
  readonly takenAt?: number | undefined
  /** The last change of the number of permits. */
  readonly resized?: { readonly at: number; readonly from: number; readonly to: number } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ExplainedLimiter extends Of<"rate-limiter", "available" | "exhausted">, InFleet {
  readonly takenAt: number
  readonly rate: RateLimiter.Rate
  /** How many calls of cost 1 would be admitted at once. */
  readonly available: number
  /** How long until the next one would be, in milliseconds. */
  readonly nextIn: number
  readonly queued: number
  readonly admitted: number
  readonly rejected: number
  /** The last change of the rate. */
  readonly changed?: { readonly at: number; readonly from: RateLimiter.Rate } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ExplainedBudget extends Of<"retry-budget", "available" | "exhausted">, InFleet {
  /** When it became so, in milliseconds since the epoch; absent where only a snapshot is known, and if it never changed. */
  readonly since?: number | undefined
  /** When it was read, where that is known. */
  readonly takenAt?: number | undefined
  /** Tokens to spend, and the most that there can be; absent if there is no limit. */
  readonly balance: number
  readonly capacity?: number | undefined
  readonly requests: number
  readonly successes: number
  /** Retries and hedges paid for, and those refused. */
  readonly retries: number
  readonly hedges: number
  readonly refused: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ExplainedCache extends Of<"cache", "empty" | "filled">, InFleet {
  readonly size: number
  /** How many keys are kept, where the settings are known. */
  readonly capacity?: number | undefined
  readonly hits: number
  readonly stale: number
  readonly misses: number
  readonly lookups: number
  readonly failures: number
  readonly inFlight: number
  readonly waiting: number
  readonly evictions: number
  /** Values that the shared store had, so that nothing was looked up. Only of a shared cache. */
  readonly fromStore?: number | undefined
}

/**
 * The numbers behind what a policy does now, told apart by `kind` and then by `state`. Plain data: it holds no error and no value of a
 * call, and survives JSON.
 *
 * @since 0.1.0
 * @category models
 */
export type Explanation =
  ExplainedCircuit | ExplainedBulkhead | ExplainedLimiter | ExplainedBudget | ExplainedCache

interface Shows<Kind, State, Snapshot> {
  readonly kind: Kind
  readonly name: string
  readonly state: State
  readonly snapshot: Snapshot
}

/**
 * A policy as a snapshot shows it. An entry of `HttpAdmin` is one, so that a client can explain what it reads.
 *
 * @since 0.1.0
 * @category models
 */
export type Shown =
  | Shows<"circuit-breaker", CircuitBreaker.State, CircuitBreaker.Snapshot>
  | Shows<"bulkhead", "available" | "full", Bulkhead.Snapshot>
  | Shows<"rate-limiter", "available" | "exhausted", RateLimiter.Snapshot>
  | Shows<"retry-budget", "available" | "exhausted", RetryBudget.Snapshot>
  | Shows<"cache", "empty" | "filled", Cache.Snapshot>

/**
 * What a snapshot does not say.
 *
 * @since 0.1.0
 * @category models
 */
export interface Besides {
  /** The settings of the policy, as it shows them. */
  readonly settings?: Policy.Settings | undefined
  /** Its last change, and when that was in milliseconds since the epoch. */
  readonly lastChange?: { readonly at: number; readonly event: Policy.Event } | undefined
  /** When the snapshot was taken, in milliseconds since the epoch, where it does not say so by itself. */
  readonly takenAt?: number | undefined
  /** Whether the store does not answer by which policies are shared. */
  readonly storeAway?: boolean | undefined
}

/**
 * What can be explained: an entry of the registry, or an instance by itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Explained extends Pick<Besides, "lastChange"> {
  readonly instance?: (Policy.Described & { readonly snapshot: Effect.Effect<object> }) | undefined
}

// ------------------------------------------------------------------------------------------------------- constructors

/**
 * Explains a policy of the registry, with the health of the `SharedStore` if the context has one. Policies without a state of their
 * own (retry, hedge, timeout, fallback) have no explanation.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Explain, Registry } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function* () {
 *   const registry = yield* Registry.Registry
 *   for (const entry of yield* registry.all) {
 *     const explanation = yield* Explain.explain(entry)
 *     if (Option.isSome(explanation)) console.log(entry.name, Explain.sentence(explanation.value))
 *     // partner open since 12:03:01 UTC for 10 s: 27 of 40 calls failed within 30 s, 50 % of at least 20 opens it; …
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const explain = ({ instance, lastChange }: Explained): Effect.Effect<Option.Option<Explanation>> => {
  const shown = shownOf(instance)
  if (instance === undefined || shown === undefined) return Effect.succeedNone
  const { settings } = instance
  const asked = Effect.all([shown, Effect.clock, Effect.flatMap(Store.found, Store.isAway)])
  return Effect.map(asked, ([shown, clock, storeAway]) =>
    Option.some(ofSnapshot(shown, { settings, lastChange, takenAt: wallMillis(clock), storeAway }))
  )
}

/**
 * Explains a snapshot. Alone it does not say why a circuit opened, nor since when a budget is exhausted.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 * import { Explain } from "effect-resilience/observability"
 *
 * const program = Effect.gen(function* () {
 *   const { kind, name, snapshot } = yield* Bulkhead.make({ permits: 10 })
 *   const shown = { kind: "bulkhead", name, state: "available", snapshot: yield* snapshot } as const
 *   return Explain.sentence(Explain.ofSnapshot(shown)) // available: 0 of 10 permits taken, 0 queued
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const ofSnapshot = (shown: Shown, besides: Besides = {}): Explanation => {
  switch (shown.kind) {
    case "circuit-breaker":
      return ofCircuit(shown, besides)
    case "bulkhead":
      return ofBulkhead(shown, besides)
    case "rate-limiter":
      return ofLimiter(shown, besides)
    case "retry-budget":
      return ofBudget(shown, besides)
    case "cache":
      return ofCache(shown, besides)
  }
}

type ShownAs<Kind extends Shown["kind"]> = Extract<Shown, { readonly kind: Kind }>

const ofCircuit = (
  { name, snapshot, state }: ShownAs<"circuit-breaker">,
  besides: Besides
): ExplainedCircuit => {
  const { lastChange } = besides
  const { failures, probes, rules, since, successes, takenAt } = snapshot
  const entered = lastChange && enteredBy(state, lastChange.event)
  const rejected = snapshot.rejectedInState
  const more = { ...defined({ entered }), ...inFleet(besides) }
  const circuit = { kind: "circuit-breaker", name, since, takenAt, rejected, ...more } as const
  switch (state) {
    case "closed":
    case "metrics-only":
      return { ...circuit, state, rules }
    case "open": {
      const times = { openFor: bounded(snapshot.openedFor), halfOpenIn: bounded(snapshot.remainingDelay) }
      return { ...circuit, state, ...defined(times), openings: snapshot.reopenings }
    }
    case "half-open":
      return { ...circuit, state, successes, failures, ...defined({ probes }) }
    default:
      return { ...circuit, state }
  }
}

const inFleet = ({ settings, storeAway }: Besides): InFleet => {
  if (settings === undefined) return {}
  const share: unknown = settings["share"]
  if (share === undefined || storeAway !== true) return { shared: share !== undefined }
  const said = isObject(share) ? share["onStoreFailure"] : undefined
  return { shared: true, withoutStore: isWithoutStore(said) ? said : "local" }
}

const isWithoutStore = (said: unknown): said is WithoutStore =>
  typeof said === "string" && Object.hasOwn(consequences, said)

type Change = CircuitBreaker.StateChange | Bulkhead.Resized | RateLimiter.RateChanged | RetryBudget.Change

const changes = ["StateChange", "Resized", "RateChanged", "Exhausted", "Recovered"]

const isChange = (event: Policy.Event): event is Change => changes.includes(event._tag)

/** The change that led to a state. One that is due but not made yet follows the opening. */
const enteredBy = (state: CircuitBreaker.State, event: Policy.Event): Entered | undefined => {
  if (!isChange(event) || event._tag !== "StateChange") return undefined
  const { from, metrics, operation, reason, rule, to } = event
  if (to === "open" && state === "half-open") {
    return { from: "open", reason: "elapsed", successes: 0, failures: 0 }
  }
  const { failures, successes } = metrics
  return to === state ? { from, reason, ...defined({ rule, operation }), successes, failures } : undefined
}

/** A finite value. JSON turns `Infinity` into `null`. */
const bounded = (value: number | null): number | undefined =>
  value === null || value === Infinity ? undefined : value

const ofBulkhead = (
  { name, snapshot, state }: ShownAs<"bulkhead">,
  { lastChange, settings, takenAt }: Besides
): ExplainedBulkhead => {
  const { inUse, permits, queued, rejected } = snapshot
  const event = lastChange?.event
  const resized =
    lastChange && event && isChange(event) && event._tag === "Resized"
      ? { at: lastChange.at, from: event.from, to: event.to }
      : undefined
  const more = defined({ maxQueued: numberAt(settings, "maxQueued"), takenAt, resized })
  return { kind: "bulkhead", name, state, permits, inUse, queued, rejected, ...more }
}

const ofLimiter = (
  { name, snapshot, state }: ShownAs<"rate-limiter">,
  besides: Besides
): ExplainedLimiter => {
  const { lastChange } = besides
  const { admitted, available, queued, rate, rejected, retryAfter, takenAt } = snapshot
  const event = lastChange?.event
  const changed =
    lastChange && event && isChange(event) && event._tag === "RateChanged"
      ? { at: lastChange.at, from: event.from }
      : undefined
  const numbers = { takenAt, rate, available, nextIn: retryAfter, queued, admitted, rejected }
  return { kind: "rate-limiter", name, state, ...numbers, ...defined({ changed }), ...inFleet(besides) }
}

const ofBudget = ({ name, snapshot, state }: ShownAs<"retry-budget">, besides: Besides): ExplainedBudget => {
  const { lastChange, takenAt } = besides
  const { balance, capacity, hedges, refused, requests, retries, successes } = snapshot
  const event = lastChange?.event
  const isCurrent =
    event !== undefined && isChange(event) && "exhausted" in event && event.exhausted === snapshot.exhausted
  const since = isCurrent ? lastChange?.at : undefined
  const more = { ...defined({ since, takenAt, capacity: bounded(capacity) }), ...inFleet(besides) }
  const counts = { requests, successes, retries, hedges, refused }
  return { kind: "retry-budget", name, state, balance, ...counts, ...more }
}

const ofCache = ({ name, snapshot, state }: ShownAs<"cache">, besides: Besides): ExplainedCache => {
  const { evictions, failures, fromStore, hits, inFlight, lookups, misses, size, stale, waiting } = snapshot
  const counts = { size, hits, stale, misses, lookups, failures, inFlight, waiting, evictions }
  const more = {
    ...defined({ capacity: numberAt(besides.settings, "capacity"), fromStore }),
    ...inFleet(besides)
  }
  return { kind: "cache", name, state, ...counts, ...more }
}

const numberAt = (settings: Policy.Settings | undefined, name: string): number | undefined => {
  const value = settings?.[name]
  return typeof value === "number" ? value : undefined
}

// -------------------------------------------------------------------------------------------------------------- words

/**
 * An explanation as one sentence, without the name of the policy. Times of the day are UTC.
 *
 * - `open since 12:03:01 UTC for 10 s: 27 of 40 calls failed within 30 s, 50 % of at least 20 opens it; 412 rejected; half-open in 3.2 s`
 * - `closed: 3 of 17 calls failed within 30 s, 50 % of at least 20 opens it`
 * - `full: 10 of 10 permits taken, 5 of 20 queued; 3 rejected`
 * - `exhausted: 100 of 100 per minute used; next in 1.2 s`
 *
 * @since 0.1.0
 * @category conversions
 */
export const sentence = (explanation: Explanation): string => sentenceOf(explanation)
