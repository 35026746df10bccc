/** A circuit as the plain data that a breaker shows and that another one can start from. */
import type * as CircuitBreaker from "../../CircuitBreaker.js"
import * as Circuit from "../../core/circuit.js"
import * as Trip from "../../core/trip.js"

/** The metrics of a circuit as it is at an instant. */
export const metricsOf = (
  config: Circuit.Config,
  circuit: Circuit.Circuit,
  now: number,
  rejected: number
): CircuitBreaker.Metrics => {
  const { failures, successes } = circuit.counts
  return {
    successes,
    failures,
    failureRate: successes + failures === 0 ? 0 : failures / (successes + failures),
    rejected,
    rules: "seen" in circuit ? Trip.readings(config.trip, circuit.seen, now) : []
  }
}

/** The snapshot of a circuit at an instant. */
export const toSnapshot = (
  name: string,
  config: Circuit.Config,
  circuit: Circuit.Circuit,
  rejected: number,
  now: number,
  wall: number
): CircuitBreaker.Snapshot => {
  const memory = Circuit.remember(config, circuit, now)
  const { failureRate, failures, rules, successes } = metricsOf(config, circuit, now, rejected)
  return {
    name,
    state: memory.state,
    since: wall - memory.age,
    takenAt: wall,
    remainingDelay: memory.remaining ?? Infinity,
    generation: memory.generation,
    successes,
    failures,
    failureRate,
    consecutiveFailures: memory.failuresInARow,
    rejected,
    reopenings: memory.reopenings,
    openedFor: memory.openedFor ?? Infinity,
    rules,
    memory: memory.seen
  }
}

/** A circuit that goes on from a snapshot, as many milliseconds later as the wall clock says have passed. */
export const fromSnapshot = (
  config: Circuit.Config,
  snapshot: CircuitBreaker.Snapshot,
  now: number,
  wall: number
): Circuit.Circuit =>
  Circuit.recall(
    config,
    {
      state: snapshot.state,
      generation: snapshot.generation,
      age: Math.max(0, snapshot.takenAt - snapshot.since),
      remaining: snapshot.remainingDelay,
      counts: { successes: snapshot.successes, failures: snapshot.failures },
      failuresInARow: snapshot.consecutiveFailures,
      reopenings: snapshot.reopenings,
      openedFor: snapshot.openedFor,
      seen: snapshot.memory
    },
    now,
    Math.max(0, wall - snapshot.takenAt)
  )
