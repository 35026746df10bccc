/**
 * Everything in one import. Each module is also an entry of its own, such as `effect-resilience/CircuitBreaker`.
 *
 * @since 0.1.0
 */
export * as Backoff from "./Backoff.js"
export * as Bulkhead from "./Bulkhead.js"
export * as Cache from "./Cache.js"
export * as CircuitBreaker from "./CircuitBreaker.js"
export * as FailureCondition from "./FailureCondition.js"
export * as Fallback from "./Fallback.js"
export * as Hedge from "./Hedge.js"
export * as Policy from "./Policy.js"
export * as RateLimiter from "./RateLimiter.js"
export * as Retry from "./Retry.js"
export * as RetryBudget from "./RetryBudget.js"
export * as Timeout from "./Timeout.js"
export * as Trip from "./Trip.js"
