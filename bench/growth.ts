/** How the cost of a call grows with what a policy has to keep: waiters, windows, keys, and fibers that share one. */
import { Effect } from "effect"
import { Bulkhead, CircuitBreaker, Trip } from "effect-resilience"
import { repeated } from "./loop.js"
import { compare, type Contender, cpuNanos, shuffled } from "./measure.js"
import { median } from "./median.js"
import { type Call, striding } from "./paths.js"
import { figure, type Study } from "./studies.js"

type Growth = Omit<Study, "section" | "points"> & {
  readonly points: ReadonlyArray<{ readonly at: string; readonly nanos: number }>
}

const callOf = <A, E>(make: Effect.Effect<Effect.Effect<A, E>>): Promise<Call> => Effect.runPromise(make)

const loop = (name: string, call: Call): Contender => ({
  name,
  run: (times) => Effect.runPromise(repeated(call, times, true))
})

const spread = (nanos: ReadonlyArray<number>): number => Math.max(...nanos) / Math.min(...nanos)

/** Nanoseconds of CPU a call, when so many fibers make one each at the same time. */
const crowd = async (calls: ReadonlyArray<Call>, fibers: number): Promise<ReadonlyArray<number>> => {
  const times = Math.max(1, Math.round(20_000 / fibers))
  const rounds: Array<ReadonlyArray<number>> = []
  for (let round = -2; round < 7; round++) {
    const taken: Array<number> = []
    for (const call of calls) {
      const startedAt = cpuNanos()
      for (let time = 0; time < times; time++) {
        await Effect.runPromise(
          Effect.forEach(Array.from({ length: fibers }), () => call, {
            concurrency: "unbounded",
            discard: true
          })
        )
      }
      taken.push((cpuNanos() - startedAt) / times / fibers)
    }
    if (round >= 0) rounds.push(taken)
  }
  return calls.map((_, index) => median(rounds.map((taken) => taken[index])))
}

const body = Effect.yieldNow()

const waiters = async (): Promise<ReadonlyArray<Growth>> => {
  const sizes = [10, 100, 1000, 10_000]
  const points: Array<Growth["points"][number]> = []
  for (const size of sizes) {
    const call = await callOf(
      Effect.map(Bulkhead.make({ permits: 1, maxQueued: size }), ({ protect }) => protect(body))
    )
    const [nanos] = await crowd([call], size)
    points.push({ at: `${size} waiters`, nanos })
  }
  const ours = await callOf(
    Effect.map(Bulkhead.make({ permits: 10, maxQueued: 5000 }), ({ protect }) => protect(body))
  )
  const semaphore = await callOf(Effect.map(Effect.makeSemaphore(10), (made) => made.withPermits(1)(body)))
  const [without, withOurs] = await crowd([body, ours], 5000)
  // Once is enough: it takes seconds.
  const startedAt = cpuNanos()
  await Effect.runPromise(
    Effect.forEach(Array.from({ length: 5000 }), () => semaphore, { concurrency: "unbounded", discard: true })
  )
  const withSemaphore = (cpuNanos() - startedAt) / 5000
  return [
    { what: "a call that waits in the line of a bulkhead", points },
    {
      what: "5000 fibers through 10 permits",
      points: [
        { at: "no policy", nanos: without },
        { at: "bulkhead", nanos: withOurs },
        { at: "Effect's semaphore", nanos: withSemaphore }
      ],
      figure: { name: "bulkhead / no policy", value: withOurs / without, target: 2 }
    }
  ]
}

const windows = async (): Promise<Growth> => {
  const sizes = [10, 1000, 100_000, 1_000_000]
  const contenders: Array<Contender> = []
  for (const of of sizes) {
    const call = await callOf(
      Effect.map(CircuitBreaker.make({ trip: Trip.failures({ count: of, of }) }), ({ protect }) =>
        protect(Effect.sync(() => 1))
      )
    )
    // The window is full before it is measured.
    await Effect.runPromise(repeated(call, of, true))
    contenders.push(loop(`window of ${of}`, call))
  }
  const results = await compare(contenders, 15)
  return {
    what: "a call of a breaker that counts in a window",
    points: results.map(({ name, nanos }) => ({ at: name, nanos })),
    figure: { name: "largest / smallest", value: spread(results.map(({ nanos }) => nanos)), target: 1.3 }
  }
}

const rollover = async (): Promise<Growth> => {
  const trip = Trip.failureRate({ threshold: 0.5, within: "30 seconds", minimumCalls: 20 })
  const contender = async (name: string, stride: number): Promise<Contender> => {
    const clock = striding(stride)
    const breaker = await Effect.runPromise(Effect.withClock(CircuitBreaker.make({ trip }), clock))
    const call = breaker.protect(Effect.sync(() => 1))
    return {
      name,
      run: (times) => Effect.runPromise(Effect.withClock(repeated(call, times, true), clock))
    }
  }
  const results = await compare(
    [await contender("busy", 0.01), await contender("an hour later", 3_600_000)],
    15
  )
  const [busy, idle] = results.map(({ nanos }) => nanos)
  return {
    what: "a call of a breaker with a window of 30 seconds",
    points: results.map(({ name, nanos }) => ({ at: name, nanos })),
    figure: { name: "roll over, in ns", value: Math.max(0, idle - busy), target: 1000 }
  }
}

const keys = async (): Promise<Growth> => {
  const contenders: Array<Contender> = []
  for (const size of [1, 100, 10_000, 100_000]) {
    const { protect } = await Effect.runPromise(
      CircuitBreaker.keyed({ options: { trip: Trip.consecutive(5) }, capacity: size })
    )
    const calls = Array.from({ length: size }, (_, key) => protect(`key ${key}`)(Effect.sync(() => 1)))
    let next = 0
    const call = Effect.suspend(() => calls[next++ % size])
    contenders.push(loop(`${size} keys`, call))
  }
  // Short samples would find the memory of many keys cold each time. What a full collection costs those after it is in none of them.
  const taken = new Map(contenders.map((contender) => [contender, new Array<number>()]))
  for (let round = -1; round < 5; round++) {
    for (const contender of shuffled(contenders)) {
      globalThis.gc?.()
      await contender.run(20_000)
      const startedAt = cpuNanos()
      await contender.run(100_000)
      if (round >= 0) taken.get(contender)?.push((cpuNanos() - startedAt) / 100_000)
    }
  }
  const nanos = [...taken.values()].map(median)
  return {
    what: "a call of a keyed breaker, the keys in turn",
    points: contenders.map(({ name }, index) => ({ at: name, nanos: nanos[index] })),
    figure: { name: "largest / smallest", value: spread(nanos), target: 1.3 }
  }
}

/** One key that is called all the time, among others that are not. */
const hotKey = async (): Promise<Growth> => {
  const contenders: Array<Contender> = []
  for (const size of [1, 100_000]) {
    const { protect } = await Effect.runPromise(
      CircuitBreaker.keyed({ options: { trip: Trip.consecutive(5) }, capacity: size })
    )
    for (let key = 1; key < size; key++) await Effect.runPromise(protect(`key ${key}`)(Effect.void))
    contenders.push(loop(`${size} keys`, protect("key 0")(Effect.sync(() => 1))))
  }
  const results = await compare(contenders, 15)
  const [alone, amongMany] = results.map(({ nanos }) => nanos)
  return {
    what: "a call of a keyed breaker, a hot key",
    points: results.map(({ name, nanos }) => ({ at: name, nanos })),
    figure: { name: "100000 / 1", value: amongMany / alone, target: 1.3 }
  }
}

const shared = async (): Promise<Growth> => {
  const protectedBody = await callOf(
    Effect.map(CircuitBreaker.make({ trip: Trip.consecutive(5) }), ({ protect }) => protect(body))
  )
  const points: Array<Growth["points"][number]> = []
  let ratio = NaN
  for (const fibers of [1, 100, 10_000]) {
    const [without, withBreaker] = await crowd([body, protectedBody], fibers)
    points.push({ at: `${fibers} fibers`, nanos: withBreaker })
    ratio = withBreaker / without
  }
  return {
    what: "a call in a fiber of its own, all through one breaker",
    points,
    figure: { name: "with / without breaker at 10000", value: ratio, target: 1.35 }
  }
}

export const growth = async (): Promise<ReadonlyArray<Study>> => {
  const all: ReadonlyArray<Growth> = [
    ...(await waiters()),
    await windows(),
    await rollover(),
    await keys(),
    await hotKey(),
    await shared()
  ]
  return all.map((each) => ({
    ...each,
    section: "Growth",
    what: `${each.what}, ns`,
    points: each.points.map(({ at, nanos }) => ({ at, shown: figure(nanos) }))
  }))
}
