/**
 * A circuit breaker with the schema of its snapshots.
 *
 * @since 0.1.0
 */
export * from "./CircuitBreaker.js"
export { Snapshot } from "./SnapshotSchema.js"
