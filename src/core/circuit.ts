/**
 * The circuit breaker's rule: a pure step over an immutable state. What is due (the end of an open period, a probe that never
 * answered) is computed from `now`. The outcome of a permit counts only in the generation that granted it.
 */
import * as Trip from "./trip.js"
import type { Mutable } from "./window.js"

export const states = ["closed", "open", "half-open", "isolated", "disabled", "metrics-only"] as const

export type StateName = (typeof states)[number]

export const isState = (value: unknown): value is StateName => states.some((state) => state === value)

interface Cause {
  /** What failed, when it was a call and not a person or a probe that never answered. */
  readonly failure: unknown
  /** When to come back, in milliseconds, if the failure said so. */
  readonly retryAfter: number | undefined
}

/** What opened the circuit, for the function that decides how long it stays open. */
export interface Opening extends Cause {
  /** How often it had opened before since its last recovery ({@link hasRecovered}). */
  readonly reopenings: number
}

/** Milliseconds in place of those that could not be worked out, and why. */
export interface Substitute {
  readonly millis: number
  readonly problem: unknown
}

export interface Config {
  readonly trip: Trip.Trip
  /** How long the circuit stays open, in milliseconds. */
  readonly openFor: (opening: Opening) => number | Substitute
  readonly halfOpen: {
    /** How many probes may run at a time. */
    readonly permits: number
    /** How many of `of` probes must succeed for the circuit to close. */
    readonly successes: number
    readonly of: number
    /** After how many milliseconds a probe that has not answered counts as failed. */
    readonly maxWait: number
  }
}

export interface Counts {
  readonly successes: number
  readonly failures: number
}

/** A call let through while half-open. */
export interface Probe {
  readonly id: number
  readonly startedAt: number
}

interface Common {
  /** Goes up by one with every change of state. */
  readonly generation: number
  readonly since: number
  readonly counts: Counts
  /** Failures in a row, over all states; a success ends the row. */
  readonly failuresInARow: number
  /** How often it has opened since its last recovery ({@link hasRecovered}). */
  readonly reopenings: number
  /** How long the last opening lasted or lasts, in milliseconds. */
  readonly openedFor: number
}

export interface Closed extends Common {
  readonly state: "closed"
  readonly seen: Trip.Seen
}

export interface Open extends Common {
  readonly state: "open"
  readonly until: number
  /** Why `openFor` gave a substitute, if it did. */
  readonly problem?: unknown
}

export interface HalfOpen extends Common {
  readonly state: "half-open"
  readonly probes: ReadonlyArray<Probe>
  readonly nextProbe: number
}

/** States that only a person enters and leaves. `metrics-only` counts, the others do not. */
export interface Steered extends Common {
  readonly state: "isolated" | "disabled"
}

export interface MetricsOnly extends Common {
  readonly state: "metrics-only"
  readonly seen: Trip.Seen
}

export type Circuit = Closed | Open | HalfOpen | Steered | MetricsOnly

/** Why a circuit changed its state. */
export type Reason =
  "tripped" | "elapsed" | "probes-succeeded" | "probes-failed" | "probe-overdue" | "steered" | "fleet"

/** A change of state: how the circuit was when it left the old state, and how it is in the new one. */
export interface Transition {
  readonly from: Circuit
  readonly to: Circuit
  readonly reason: Reason
  /** The rule that the calls of a fleet have met. What the calls of this process have met is in `from`. */
  readonly met?: Trip.Reading | undefined
}

/** Proof of admission; the call returns it when it ends. */
export interface Permit {
  readonly generation: number
  /** The probe's number when the call was admitted as a probe. */
  readonly probe: number | undefined
  readonly startedAt: number
}

/** A call that was counted, with what decides how long the circuit opens if this opens it. */
export interface Result extends Trip.Call, Cause {}

/** The circuit after a step, and the changes of state on the way, in order. */
export interface Step {
  readonly circuit: Circuit
  readonly transitions: ReadonlyArray<Transition>
}

const noTransitions: ReadonlyArray<Transition> = []
const noCounts = (): Counts => ({ successes: 0, failures: 0 })
const noProbes: ReadonlyArray<Probe> = []

// ------------------------------------------------------------------------------------------------------------- states

/** A new circuit: closed, without evidence. */
export const initial = (config: Config, now: number): Circuit => ({
  state: "closed",
  generation: 0,
  since: now,
  counts: noCounts(),
  failuresInARow: 0,
  reopenings: 0,
  openedFor: 0,
  seen: Trip.nothing(config.trip, now)
})

/** A circuit has recovered when it has stayed closed for as long as it had been open. Its openings count anew from there. */
const hasRecovered = ({ openedFor, since, state }: Circuit, now: number): boolean =>
  state === "closed" && now - since >= openedFor

/** What a new state takes over from the one before. */
const begin = (from: Circuit, now: number): Common => ({
  generation: from.generation + 1,
  since: now,
  counts: noCounts(),
  failuresInARow: from.failuresInARow,
  reopenings: hasRecovered(from, now) ? 0 : from.reopenings,
  openedFor: from.openedFor
})

const toClosed = (config: Config, from: Circuit, now: number): Closed => ({
  ...begin(from, now),
  state: "closed",
  seen: Trip.nothing(config.trip, now)
})

const toHalfOpen = (from: Circuit, now: number): HalfOpen => ({
  ...begin(from, now),
  state: "half-open",
  probes: noProbes,
  nextProbe: 0
})

const opened = (common: Common, openedFor: number): Open => ({
  ...common,
  state: "open",
  reopenings: common.reopenings + 1,
  openedFor,
  until: common.since + openedFor
})

const toOpen = (config: Config, from: Circuit, now: number, { failure, retryAfter }: Cause): Open => {
  const common = begin(from, now)
  const openFor = config.openFor({ reopenings: common.reopenings, failure, retryAfter })
  const open = opened(common, typeof openFor === "number" ? openFor : openFor.millis)
  return typeof openFor === "number" ? open : { ...open, problem: openFor.problem }
}

// --------------------------------------------------------------------------------------------------------------- time

const move = (step: Step, to: Circuit, reason: Reason): Step => ({
  circuit: to,
  transitions: [...step.transitions, { from: step.circuit, to, reason }]
})

/** The circuit as it is at an instant: with everything that has become due since it was last stepped. */
export const settle = (config: Config, circuit: Circuit, now: number): Step => {
  let step: Step = { circuit, transitions: noTransitions }
  for (;;) {
    const next = due(config, step, now)
    if (next === step) return step
    step = next
  }
}

/** The next thing that was due by an instant, or the step itself when nothing was. */
const due = (config: Config, step: Step, now: number): Step => {
  const { circuit } = step
  if (circuit.state === "open" && now >= circuit.until) {
    return move(step, toHalfOpen(circuit, circuit.until), "elapsed")
  }
  if (circuit.state !== "half-open" || circuit.probes.length === 0) return step
  // Probes are in the order in which they started, so the first is the first to be late.
  const [probe] = circuit.probes
  const deadline = probe.startedAt + config.halfOpen.maxWait
  if (now < deadline) return step
  const counted = count(config, withoutProbe(circuit, probe.id), noAnswer, deadline)
  return decide(
    config,
    { circuit: counted, transitions: step.transitions },
    noAnswer,
    deadline,
    "probe-overdue"
  )
}

const noAnswer: Result = { failed: true, duration: 0, failure: undefined, retryAfter: undefined }

// ----------------------------------------------------------------------------------------------------------- one call

export interface Admission extends Step {
  /** `undefined` when the call is rejected. */
  readonly permit: Permit | undefined
}

/** Admits a call or rejects it. A closed circuit admits every call and does not change. */
export const acquire = (config: Config, before: Circuit, now: number): Admission => {
  const { circuit, transitions } = settle(config, before, now)
  switch (circuit.state) {
    case "open":
    case "isolated":
      return { circuit, transitions, permit: undefined }
    case "half-open": {
      const { generation, nextProbe, probes } = circuit
      if (probes.length >= config.halfOpen.permits) return { circuit, transitions, permit: undefined }
      const next = {
        ...circuit,
        probes: [...probes, { id: nextProbe, startedAt: now }],
        nextProbe: nextProbe + 1
      }
      return { circuit: next, transitions, permit: { generation, probe: nextProbe, startedAt: now } }
    }
    default: {
      const permit = { generation: circuit.generation, probe: undefined, startedAt: now }
      return { circuit, transitions, permit }
    }
  }
}

/** How long until a rejected call may succeed, if known. */
export const retryAfter = (circuit: Circuit, now: number): number | undefined =>
  circuit.state === "open" ? Math.max(0, circuit.until - now) : undefined

export interface Recorded extends Step {
  /** Whether the result was counted: it is not when it belongs to an earlier state or to a probe given up on. */
  readonly counted: boolean
}

/**
 * Takes the result of a call, and the permit with it. Without `mayOpen`, a closed circuit counts the call and does not open by it,
 * because the fleet decides that.
 */
export const record = (
  config: Config,
  before: Circuit,
  permit: Permit,
  result: Result,
  now: number,
  mayOpen = true
): Recorded => {
  const { circuit, transitions } = settle(config, before, now)
  if (!holds(circuit, permit)) return { circuit, transitions, counted: false }
  const counted = count(config, withoutPermit(circuit, permit), result, now)
  if (!mayOpen && counted.state === "closed") return { circuit: counted, transitions, counted: true }
  const step = decide(config, { circuit: counted, transitions }, result, now)
  return { circuit: step.circuit, transitions: step.transitions, counted: true }
}

/** Takes a permit back without a result: an interrupted or ignored call decides nothing. */
export const release = (config: Config, before: Circuit, permit: Permit, now: number): Step => {
  const { circuit, transitions } = settle(config, before, now)
  return { circuit: withoutPermit(circuit, permit), transitions }
}

const withoutPermit = (circuit: Circuit, permit: Permit): Circuit =>
  circuit.state === "half-open" && holds(circuit, permit) ? withoutProbe(circuit, permit.probe) : circuit

/** Whether the circuit still waits for what this permit brings back. */
export const holds = (circuit: Circuit, permit: Permit): boolean =>
  permit.generation === circuit.generation &&
  (circuit.state === "closed" ||
    circuit.state === "metrics-only" ||
    (circuit.state === "half-open" && circuit.probes.some(({ id }) => id === permit.probe)))

const withoutProbe = (circuit: HalfOpen, id: number | undefined): HalfOpen => ({
  ...circuit,
  probes: circuit.probes.filter((probe) => probe.id !== id)
})

/** The circuit with one more result in its numbers. Deciding what follows from them is a step of its own. */
const count = (config: Config, circuit: Circuit, result: Result, now: number): Circuit => {
  const counts = { ...circuit.counts }
  if (circuit.state === "closed" || circuit.state === "metrics-only") {
    const own = { ...circuit, counts, seen: Trip.copyOf(circuit.seen) }
    countInPlace(own, result.failed, result.duration, now)
    return own
  }
  // A circuit that opens because calls are slow must not close because a probe was.
  if (result.failed || Trip.isSlow(config.trip, result.duration)) counts.failures += 1
  else counts.successes += 1
  return { ...circuit, counts, failuresInARow: result.failed ? circuit.failuresInARow + 1 : 0 }
}

/** Counts a call in place, for the owner of a circuit: the step of nearly every call. Returns whether a closed one has to open. */
export const countInPlace = (
  circuit: Closed | MetricsOnly,
  failed: boolean,
  duration: number,
  now: number
): boolean => {
  const own: Mutable<Closed | MetricsOnly> = circuit
  const counts: Mutable<Counts> = own.counts
  if (failed) counts.failures += 1
  else counts.successes += 1
  own.failuresInARow = failed ? own.failuresInARow + 1 : 0
  return Trip.count(own.seen, failed, duration, now)
}

export const open = (config: Config, circuit: Closed, result: Result, now: number): Step =>
  move({ circuit, transitions: noTransitions }, toOpen(config, circuit, now, result), "tripped")

/** What the numbers mean: a closed circuit opens when its rule is met, a half-open one when the probes have decided. */
const decide = (
  config: Config,
  step: Step,
  result: Result,
  now: number,
  failed: Reason = "probes-failed"
): Step => {
  const { circuit } = step
  if (circuit.state === "closed") {
    return Trip.isMet(circuit.seen, now) ? move(step, toOpen(config, circuit, now, result), "tripped") : step
  }
  if (circuit.state !== "half-open") return step
  const { of, successes } = config.halfOpen
  if (circuit.counts.successes >= successes) {
    return move(step, toClosed(config, circuit, now), "probes-succeeded")
  }
  if (circuit.counts.failures > of - successes)
    return move(step, toOpen(config, circuit, now, result), failed)
  return step
}

// ----------------------------------------------------------------------------------------------------------- steering

/** Puts the circuit into a state, whatever state it is in. It is a change of state even when the state is the same. */
export const steer = (config: Config, before: Circuit, state: StateName, now: number): Step => {
  const step = settle(config, before, now)
  return move(step, steered(config, step.circuit, state, now), "steered")
}

const steered = (config: Config, circuit: Circuit, state: StateName, now: number): Circuit => {
  switch (state) {
    case "closed":
      return toClosed(config, circuit, now)
    case "open":
      return toOpen(config, circuit, now, { failure: undefined, retryAfter: undefined })
    case "half-open":
      return toHalfOpen(circuit, now)
    case "metrics-only":
      return { ...begin(circuit, now), state, seen: Trip.nothing(config.trip, now) }
    default:
      return { ...begin(circuit, now), state }
  }
}

// --------------------------------------------------------------------------------------------------------- in a fleet

/**
 * The circuit in a state that is decided elsewhere, an open one for `remaining` milliseconds more: an open circuit without any left
 * is half-open. A circuit that is in the state already stays as it is, except that an open one ends in `remaining` milliseconds and
 * a half-open one begins anew.
 */
export const follow = (
  config: Config,
  before: Circuit,
  { remaining, state }: { readonly state: StateName; readonly remaining: number },
  now: number
): Step => {
  const step = settle(config, before, now)
  const { circuit } = step
  if (state === "open" && remaining > 0) {
    const until = now + remaining
    if (circuit.state === "open") return { ...step, circuit: { ...circuit, until } }
    return move(step, opened(begin(circuit, now), remaining), "fleet")
  }
  const target = state === "open" ? "half-open" : state
  // The outcomes of probes of before are not those of the probes that follow.
  if (target === circuit.state && target !== "half-open") return step
  return move(step, steered(config, circuit, target, now), "fleet")
}

/**
 * The circuit, settled, after other processes have probed too: `counts` are those of all. Whether that decides is seen as if this
 * process had counted them.
 */
export const probed = (config: Config, before: Circuit, counts: Counts, now: number): Step => {
  const step = settle(config, before, now)
  if (step.circuit.state !== "half-open") return step
  return decide(
    config,
    { circuit: { ...step.circuit, counts }, transitions: step.transitions },
    noAnswer,
    now
  )
}

/** Opens the circuit because the calls of all processes, in `seen`, meet the rule. */
export const openBecause = (config: Config, before: Circuit, seen: Trip.Seen, now: number): Step => {
  const { circuit: from, transitions } = settle(config, before, now)
  const to = toOpen(config, from, now, noAnswer)
  const met = Trip.readings(seen, now).find((reading) => reading.met)
  return { circuit: to, transitions: [...transitions, { from, to, reason: "fleet", met }] }
}

/** The settled circuit under other settings. What its rules have seen is kept where the new ones count the same. */
export const configure = (config: Config, circuit: Circuit, now: number): Circuit =>
  "seen" in circuit ? { ...circuit, seen: Trip.adopt(config.trip, circuit.seen, now) } : circuit

/** Closes the circuit and forgets everything, as if it had just been made. Only the generation goes on. */
export const reset = (config: Config, before: Circuit, now: number): Step => {
  const step = settle(config, before, now)
  return move(step, { ...initial(config, now), generation: step.circuit.generation + 1 }, "steered")
}

/** Whether a closed circuit has seen something that may open it. */
export const hasEvidence = (circuit: Circuit, now: number): boolean =>
  circuit.state === "closed" && Trip.hasHits(circuit.seen, now)

// ------------------------------------------------------------------------------------------------- surviving a restart

/** A circuit as plain data, with ages instead of instants. JSON turns what is endless into `null`, which is read as endless. */
export interface Memory {
  readonly state: StateName
  readonly generation: number
  /** For how many milliseconds it has been in the state. */
  readonly age: number
  /** For how many milliseconds it stays open; 0 when it is not open. */
  readonly remaining: number | null
  readonly counts: Counts
  readonly failuresInARow: number
  readonly reopenings: number
  readonly openedFor: number | null
  readonly seen: ReadonlyArray<Trip.Memory>
}

/** The circuit at an instant, as data. Probes under way are left out: they cannot answer after a restart. */
export const remember = (config: Config, before: Circuit, now: number): Memory => {
  const { circuit } = settle(config, before, now)
  return {
    state: circuit.state,
    generation: circuit.generation,
    age: now - circuit.since,
    remaining: retryAfter(circuit, now) ?? 0,
    counts: circuit.counts,
    failuresInARow: circuit.failuresInARow,
    reopenings: circuit.reopenings,
    openedFor: circuit.openedFor,
    seen: "seen" in circuit ? Trip.remember(circuit.seen, now) : []
  }
}

/** The circuit that data from `elapsed` milliseconds ago describes. */
export const recall = (config: Config, memory: Memory, now: number, elapsed: number): Circuit => {
  const { age, counts, failuresInARow, generation, reopenings, state } = memory
  const openedFor = memory.openedFor ?? Infinity
  const since = now - elapsed - age
  const common = { generation, since, counts, failuresInARow, reopenings, openedFor }
  switch (state) {
    case "closed":
    case "metrics-only":
      return { ...common, state, seen: Trip.recall(config.trip, memory.seen, now, elapsed) }
    case "open":
      return { ...common, state, until: now - elapsed + (memory.remaining ?? Infinity) }
    case "half-open":
      return { ...common, state, probes: noProbes, nextProbe: 0 }
    default:
      return { ...common, state }
  }
}
