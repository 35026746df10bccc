/** What is shown of a policy, as schemas that are declared with the type of its `Snapshot`, so the two cannot drift apart. */
import * as Schema from "effect/Schema"
import type * as Bulkhead from "../../bulkhead/Bulkhead.js"
import type * as Cache from "../../cache/Cache.js"
import type * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import * as SnapshotSchema from "../../circuitBreaker/SnapshotSchema.js"
import { states } from "../../core/circuit.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type * as RetryBudget from "../../retryBudget/RetryBudget.js"

const Count = Schema.NonNegativeInt

/** A number that may be infinite, which JSON cannot say: there it is `null`, as `JSON.stringify` has it. */
const Unbounded = Schema.transform(Schema.NullOr(Schema.Finite), Schema.Number, {
  strict: true,
  decode: (value) => value ?? Infinity,
  encode: (value) => (Number.isFinite(value) ? value : null)
})

/** A snapshot by all its fields. An optional one that is forgotten would be left out of answers, and its type alone would not tell. */
const all =
  <Snapshot>() =>
  <Fields extends { readonly [Field in keyof Required<Snapshot>]: Schema.Struct.Field }>(fields: Fields) =>
    Schema.Struct(fields)

const Limit = { limit: Count, per: Schema.Finite }

const Rate: Schema.Schema<RateLimiter.Rate> = Schema.Union(
  Schema.Struct({ _tag: Schema.Literal("smooth"), ...Limit }),
  Schema.Struct({ _tag: Schema.Literal("bursty"), ...Limit }),
  Schema.Struct({ _tag: Schema.Literal("tokenBucket"), ...Limit, burst: Count }),
  Schema.Struct({ _tag: Schema.Literal("slidingWindow"), ...Limit })
)

const BulkheadSnapshot: Schema.Schema<Bulkhead.Snapshot> = all<Bulkhead.Snapshot>()({
  name: Schema.String,
  permits: Count,
  inUse: Count,
  running: Count,
  queued: Count,
  rejected: Count,
  successes: Count,
  failures: Count
})

const RateLimiterSnapshot: Schema.Schema<RateLimiter.Snapshot> = all<RateLimiter.Snapshot>()({
  name: Schema.String,
  takenAt: Schema.Finite,
  rate: Rate,
  available: Schema.Finite,
  retryAfter: Schema.Finite,
  queued: Count,
  admitted: Count,
  rejected: Count
})

const RetryBudgetSnapshot: Schema.Schema<
  RetryBudget.Snapshot,
  Omit<RetryBudget.Snapshot, "capacity"> & { readonly capacity: number | null }
> = all<RetryBudget.Snapshot>()({
  name: Schema.String,
  balance: Schema.Finite,
  capacity: Unbounded,
  exhausted: Schema.Boolean,
  requests: Count,
  successes: Count,
  retries: Count,
  hedges: Count,
  refused: Count
})

const CacheSnapshot: Schema.Schema<Cache.Snapshot> = all<Cache.Snapshot>()({
  name: Schema.String,
  size: Count,
  inFlight: Count,
  waiting: Count,
  hits: Count,
  misses: Count,
  stale: Count,
  lookups: Count,
  refreshes: Count,
  failures: Count,
  evictions: Count,
  fromStore: Schema.optionalWith(Count, { exact: true })
})

const CircuitState: Schema.Schema<CircuitBreaker.State> = Schema.Literal(...states)

const entry = <const Kind extends string, State extends string, Snapshot, Encoded>(
  kind: Kind,
  state: Schema.Schema<State>,
  snapshot: Schema.Schema<Snapshot, Encoded>
) => Schema.Struct({ kind: Schema.Literal(kind), name: Schema.String, state, snapshot })

/** A policy of any kind as it is shown, with the words for its state. */
export const AnyEntry = Schema.Union(
  entry("circuit-breaker", CircuitState, SnapshotSchema.Snapshot),
  entry("bulkhead", Schema.Literal("available", "full"), BulkheadSnapshot),
  entry("rate-limiter", Schema.Literal("available", "exhausted"), RateLimiterSnapshot),
  entry("retry-budget", Schema.Literal("available", "exhausted"), RetryBudgetSnapshot),
  entry("cache", Schema.Literal("empty", "filled"), CacheSnapshot)
)
