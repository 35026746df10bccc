/**
 * Everything in one import. Each module is also an entry of its own, such as `effect-resilience/CircuitBreaker`.
 *
 * @since 0.1.0
 */
export * as Backoff from "./Backoff.js"
export * as CircuitBreaker from "./CircuitBreaker.js"
export * as FailureCondition from "./FailureCondition.js"
export * as Fallback from "./Fallback.js"
export * as Policy from "./Policy.js"
export * as Retry from "./Retry.js"
export * as Timeout from "./Timeout.js"
export * as Trip from "./Trip.js"
