/**
 * Times contenders side by side: short rounds in shuffled order, so that whatever slows the machine down slows all of them,
 * and the median of the rounds' ratios. CPU time, not wall time, so that what else runs is not counted, and the collector
 * is. mitata takes the samples; the order is ours, because it runs one benchmark after the other.
 */
import { type Clock, Effect } from "effect"
import { measure } from "mitata"
import { doesSucceed, repeated } from "./loop.js"
import { median } from "./median.js"
import type { Call } from "./paths.js"
import type { PromiseCall } from "./peers.js"

/** Something that runs a call so many times. */
export interface Contender {
  readonly name: string
  readonly run: (times: number) => Promise<unknown>
}

/** Calls in one fiber. */
export const ofEffect = async (name: string, call: Call, clock?: Clock.Clock): Promise<Contender> => {
  const succeeds = await doesSucceed(call)
  return { name, run: (times) => Effect.runPromise(repeated(call, times, succeeds, clock)) }
}

/** Calls of promises, one after the other. */
export const ofPromise = (name: string, call: PromiseCall): Contender => ({
  name,
  run: async (times) => {
    for (let left = times; left > 0; left--) {
      try {
        await call()
      } catch {
        // A rejection is an outcome like any other.
      }
    }
  }
})

/** Calls of an effect from where promises are: a fiber for each. */
export const ofEdge = (name: string, call: Call): Contender => ofPromise(name, () => Effect.runPromise(call))

export const cpuNanos = (): number => {
  const { system, user } = process.cpuUsage()
  return (user + system) * 1000
}

/** What one sample takes, in nanoseconds: long enough for the clock, short enough for many. */
const sampleNanos = 2_000_000
const samples = 3

/** So many calls, or so many milliseconds of them, before anything is timed: the engine compiles what has run often, in the background. */
const warmUp = { calls: 20_000, millis: 300 }

/** How many calls fill a sample. */
const calibrate = async ({ run }: Contender): Promise<number> => {
  const end = performance.now() + warmUp.millis
  for (let calls = 0; calls < warmUp.calls && performance.now() < end; calls += 500) await run(500)
  for (let times = 64; ; times *= 4) {
    await run(times)
    const startedAt = cpuNanos()
    await run(times)
    const took = cpuNanos() - startedAt
    if (took >= sampleNanos) return Math.max(1, Math.round((times * sampleNanos) / took))
  }
}

/** Nanoseconds of CPU a call, from a few samples. */
const sample = async ({ run }: Contender, times: number): Promise<number> => {
  const options = {
    now: cpuNanos,
    gc: false,
    min_samples: samples,
    max_samples: samples,
    min_cpu_time: 0,
    // Above both thresholds a sample is one run: it is a batch already.
    batch_threshold: 0,
    warmup_samples: 0
  }
  const { p50 } = await measure(() => run(times), options)
  return p50 / times
}

export const shuffled = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> =>
  values
    .map((value) => ({ value, key: Math.random() }))
    .sort((left, right) => left.key - right.key)
    .map(({ value }) => value)

export interface Result {
  readonly name: string
  /** Nanoseconds of CPU a call. */
  readonly nanos: number
  /** The same, divided by that of the first contender of the same round. */
  readonly ratio: number
}

/** Measures contenders against the first of them. */
export const compare = async (
  contenders: ReadonlyArray<Contender>,
  rounds: number
): Promise<ReadonlyArray<Result>> => {
  const times = new Map<Contender, number>()
  for (const contender of contenders) times.set(contender, await calibrate(contender))
  const taken: Array<ReadonlyMap<Contender, number>> = []
  for (let round = 0; round < rounds; round++) {
    const nanos = new Map<Contender, number>()
    for (const contender of shuffled(contenders)) {
      nanos.set(contender, await sample(contender, times.get(contender) ?? 1))
    }
    taken.push(nanos)
  }
  const [first] = contenders
  return contenders.map((contender) => ({
    name: contender.name,
    nanos: median(taken.map((round) => round.get(contender) ?? NaN)),
    ratio: median(taken.map((round) => (round.get(first) ?? NaN) / (round.get(contender) ?? NaN)))
  }))
}

/**
 * The same over a longer time, so that all the garbage is paid for, by slices of a tenth of a second in shuffled order. A slice is
 * long enough to collect its own garbage in.
 */
export const sustained = async (
  contenders: ReadonlyArray<Contender>,
  millis: number
): Promise<ReadonlyArray<Result>> => {
  const sliceMillis = 100
  const runs: Array<{
    readonly run: Contender["run"]
    readonly times: number
    calls: number
    nanos: number
  }> = []
  for (const contender of contenders) {
    runs.push({ run: contender.run, times: (await calibrate(contender)) * 10, calls: 0, nanos: 0 })
  }
  for (let slice = 0; slice < millis / sliceMillis; slice++) {
    for (const each of shuffled(runs)) {
      const end = performance.now() + sliceMillis
      const startedAt = cpuNanos()
      while (performance.now() < end) {
        await each.run(each.times)
        each.calls += each.times
      }
      each.nanos += cpuNanos() - startedAt
    }
  }
  const nanos = runs.map((each) => each.nanos / each.calls)
  return contenders.map(({ name }, index) => ({
    name,
    nanos: nanos[index],
    ratio: nanos[0] / nanos[index]
  }))
}
