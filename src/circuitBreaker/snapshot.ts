/** A circuit as plain data, which another breaker can start from. */
import type * as CircuitBreaker from "./CircuitBreaker.js"
import * as Circuit from "../core/circuit.js"
import { InvalidOption } from "../core/options.js"
import * as Trip from "../core/trip.js"

export const metricsOf = (
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
    rules: "seen" in circuit ? Trip.readings(circuit.seen, now) : []
  }
}

export const toSnapshot = (
  name: string,
  config: Circuit.Config,
  circuit: Circuit.Circuit,
  { rejected, rejectedInState }: Pick<CircuitBreaker.Snapshot, "rejected" | "rejectedInState">,
  now: number,
  wall: number
): CircuitBreaker.Snapshot => {
  const memory = Circuit.remember(config, circuit, now)
  const { failureRate, failures, rules, successes } = metricsOf(circuit, now, rejected)
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
    rejectedInState,
    reopenings: memory.reopenings,
    openedFor: memory.openedFor ?? Infinity,
    rules,
    ...(circuit.state === "half-open" && { probes: probesOf(config, circuit) }),
    memory: memory.seen
  }
}

const probesOf = (
  { halfOpen: { of, permits, successes } }: Circuit.Config,
  { probes }: Circuit.HalfOpen
): CircuitBreaker.Probes => ({ running: probes.length, permits, successes, of })

type Check = readonly [expected: string, holds: (value: unknown) => boolean]

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isRate = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= 1
const text: Check = ["a string", (value) => typeof value === "string"]
const instant: Check = ["milliseconds since the epoch", Number.isFinite]
const count: Check = ["a whole number of at least 0", isCount]
const rate: Check = ["a number from 0 to 1", isRate]
// JSON turns what is endless into `null`.
const millis: Check = [
  "milliseconds of zero or more",
  (value) => value === null || (typeof value === "number" && value >= 0)
]
const list = (holds: (item: unknown) => boolean): Check["1"] => {
  return (value) => Array.isArray(value) && value.every(holds)
}
const record = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const absent = (value: unknown): boolean => value === undefined || value === null

const isBucket = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && value.every(isCount) && value[1] <= value[0]

const isMemory = (value: unknown): boolean =>
  record(value) &&
  typeof value.rule === "string" &&
  (absent(value.run) || isCount(value.run)) &&
  (absent(value.calls) || (typeof value.calls === "string" && /^[01]*$/.test(value.calls))) &&
  (absent(value.buckets) || list(isBucket)(value.buckets))

const isReading = (value: unknown): boolean => record(value) && typeof value.rule === "string"

const checks: Readonly<Record<keyof CircuitBreaker.Snapshot, Check>> = {
  name: text,
  state: [Circuit.states.map((state) => `"${state}"`).join(", "), Circuit.isState],
  since: instant,
  takenAt: instant,
  remainingDelay: millis,
  generation: count,
  successes: count,
  failures: count,
  failureRate: rate,
  consecutiveFailures: count,
  rejected: count,
  rejectedInState: count,
  reopenings: count,
  openedFor: millis,
  rules: ["the readings of rules", list(isReading)],
  probes: ["the probes of a half-open circuit", (value) => absent(value) || record(value)],
  memory: ["what rules have seen", list(isMemory)]
}

/** Checks a snapshot that comes from outside: an older version, or no snapshot at all, must not make a breaker that never opens. */
export const checkSnapshot = (policy: string, initial: unknown): void => {
  if (!record(initial)) throw new InvalidOption(policy, "initial", initial, "a snapshot")
  for (const [field, [expected, holds]] of Object.entries(checks)) {
    if (!holds(initial[field])) throw new InvalidOption(policy, `initial.${field}`, initial[field], expected)
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
