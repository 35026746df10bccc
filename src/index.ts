/**
 * Everything in one import. Each module is also an entry of its own, such as `effect-resilience/CircuitBreaker`.
 *
 * @since 0.1.0
 */
export * as Backoff from "./backoff/Backoff.js"
export * as Bulkhead from "./bulkhead/Bulkhead.js"
export * as Cache from "./cache/Cache.js"
export * as CircuitBreaker from "./circuitBreaker/index.js"
export * as FailureCondition from "./policy/FailureCondition.js"
export * as Fallback from "./fallback/Fallback.js"
export * as Hedge from "./hedge/Hedge.js"
export * as Observer from "./policy/Observer.js"
export * as Policy from "./pipeline/Pipeline.js"
export * as RateLimiter from "./rateLimiter/RateLimiter.js"
export * as Retry from "./retry/Retry.js"
export * as RetryBudget from "./retryBudget/RetryBudget.js"
export * as Timeout from "./timeout/Timeout.js"
export * as Trip from "./circuitBreaker/Trip.js"
