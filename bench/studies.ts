/**
 * What is no path of one call: what it costs to build a policy, to load an entry and to make ten thousand calls at once. Each is
 * measured in processes or in rounds of its own, interleaved.
 */
import { spawnSync } from "node:child_process"
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks"
import * as cockatiel from "cockatiel"
import { Effect, Ref } from "effect"
import { CircuitBreaker, Fallback, Policy, Retry, Timeout, Trip } from "effect-resilience"
import { fourGuarding } from "./guarded.js"
import { compare, type Contender, cpuNanos } from "./measure.js"
import { median } from "./median.js"
import { type Call, four } from "./paths.js"

/** Figures that are compared with each other, and what the target is about. */
export interface Study {
  readonly section:
    "Building" | "Cold starts" | "10 000 calls at once" | "Growth" | "A look at 10 000 policies"
  readonly what: string
  readonly points: ReadonlyArray<{ readonly at: string; readonly shown: string }>
  readonly figure?: { readonly name: string; readonly value: number; readonly target: number }
}

/** A number with as many digits as mean something. */
export const figure = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toPrecision(2)

// ------------------------------------------------------------------------------------------------------------ building

const body: Call = Effect.sync(() => 1)

const building = (name: string, build: () => unknown): Contender => ({
  name,
  run: async (times) => {
    for (let left = times; left > 0; left--) build()
  }
})

/** Pairs of the same, ours first. */
const pairs: ReadonlyArray<
  readonly [what: string, ours: () => unknown, plain: () => unknown, target?: number]
> = [
  ["a timeout", () => Timeout.timeout(body, 60_000), () => Effect.timeout(body, 60_000), 3],
  ["a retry", () => Retry.retry(body, { times: 2 }), () => Effect.retry(body, { times: 2 })],
  ["a fallback", () => Fallback.succeed(body, 2), () => Effect.catchAll(body, () => Effect.succeed(2))]
]

export const buildings = async (): Promise<ReadonlyArray<Study>> => {
  const studies: Array<Study> = []
  for (const [what, ours, plain, target] of pairs) {
    const [here, there] = await compare([building("ours", ours), building("plain", plain)], 31)
    studies.push({
      section: "Building",
      what: `${what} around an effect, ns`,
      points: [
        { at: "here", shown: figure(here.nanos) },
        { at: "Effect", shown: figure(there.nanos) }
      ],
      ...(target === undefined ? {} : { figure: { name: "here / Effect", value: there.ratio, target } })
    })
  }
  return studies
}

// --------------------------------------------------------------------------------------------------------- cold starts

/** An entry, and a first call with it. */
const starts: { readonly [entry: string]: string } = {
  "effect/Effect": "await e.runPromise(e.succeed(1))",
  "effect-resilience/Timeout": "await Effect.runPromise(e.timeout(Effect.succeed(1), 1000))",
  "effect-resilience/Retry": "await Effect.runPromise(e.retry(Effect.succeed(1), { times: 2 }))",
  "effect-resilience/Fallback": "await Effect.runPromise(e.succeed(Effect.succeed(1), 2))",
  "effect-resilience/CircuitBreaker":
    "await Effect.runPromise((await Effect.runPromise(e.make())).protect(Effect.succeed(1)))",
  "effect-resilience/Bulkhead":
    "await Effect.runPromise((await Effect.runPromise(e.make({ permits: 1 }))).protect(Effect.succeed(1)))",
  "effect-resilience/RateLimiter":
    "await Effect.runPromise((await Effect.runPromise(e.make({ rate: e.smooth({ limit: 1, per: 1000 }) }))).protect(Effect.succeed(1)))",
  "effect-resilience/Cache": "e.make",
  "effect-resilience": "await Effect.runPromise(e.Timeout.timeout(Effect.succeed(1), 1000))",
  effect: "await e.Effect.runPromise(e.Effect.succeed(1))",
  cockatiel: "await e.retry(e.handleAll, { maxAttempts: 2 }).execute(() => 1)",
  opossum: "await new e.default(async () => 1).fire()"
}

/** Milliseconds of CPU of a fresh process, for the import and for the first call. */
const start = (entry: string): readonly [imported: number, called: number] => {
  const effect = entry.startsWith("effect-resilience") ? `const Effect = await import("effect/Effect");` : ""
  const script = `
    const cpu = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000 }
    const begun = cpu()
    ${effect}
    const e = await import("${entry}")
    const loaded = cpu()
    ${starts[entry]}
    console.log(JSON.stringify([loaded - begun, cpu() - loaded]))
    process.exit(0)`
  const { stderr, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
    encoding: "utf8"
  })
  if (stdout === "") throw new Error(`${entry} cannot be started: ${stderr}`)
  return JSON.parse(stdout)
}

/** Of the library as it is published, which has been compiled before (launch.ts). */
export const coldStarts = (rounds: number): ReadonlyArray<Study> => {
  const taken = new Map(Object.keys(starts).map((entry) => [entry, [] as Array<readonly [number, number]>]))
  for (let round = 0; round < rounds; round++) {
    for (const [entry, times] of taken) times.push(start(entry))
  }
  const imported = (entry: string): number => median((taken.get(entry) ?? []).map(([first]) => first))
  const shown = (entry: string) =>
    `${figure(imported(entry))} + ${figure(median((taken.get(entry) ?? []).map(([, second]) => second)))}`
  return [
    {
      section: "Cold starts",
      what: "CPU ms of a fresh process for an import, and for a first call",
      points: Object.keys(starts).map((entry) => ({ at: entry, shown: shown(entry) })),
      figure: {
        name: "CircuitBreaker beyond effect/Effect, ms",
        value: imported("effect-resilience/CircuitBreaker") - imported("effect/Effect"),
        target: 60
      }
    }
  ]
}

// ---------------------------------------------------------------------------------------------------------- many calls

const calls = 10_000
const range = Array.from({ length: calls })

const inFibers = (call: Call) => () =>
  Effect.runPromise(Effect.forEach(range, () => call, { concurrency: "unbounded", discard: true }))
const byPromises = (call: () => Promise<unknown>) => () => Promise.all(range.map(() => call()))

const pause = (): Promise<number> => new Promise((resolve) => setTimeout(() => resolve(1), 5))
const pausing: Call = Effect.promise(pause)

const crowd = (): { readonly [name: string]: () => Promise<unknown> } => {
  const breaker = Effect.runSync(CircuitBreaker.make({ trip: Trip.consecutive(5) }))
  const composed = Policy.pipeline(...four(breaker))(pausing)
  const failures = Effect.runSync(Ref.make(0))
  const plain = pausing.pipe(
    Effect.timeout("1 minute"),
    Effect.onExit(() => Ref.set(failures, 0)),
    Effect.retry({ times: 2 }),
    Effect.catchAll(() => Effect.succeed(2))
  )
  const wrapped = cockatiel.wrap(
    cockatiel.fallback(cockatiel.handleAll, 2),
    cockatiel.retry(cockatiel.handleAll, { maxAttempts: 2 }),
    cockatiel.circuitBreaker(cockatiel.handleAll, {
      halfOpenAfter: 10_000,
      breaker: new cockatiel.ConsecutiveBreaker(5)
    }),
    cockatiel.timeout(60_000, cockatiel.TimeoutStrategy.Aggressive)
  )
  return {
    "promises, no policy": byPromises(pause),
    "fibers, no policy": inFibers(pausing),
    "fibers, four policies composed": inFibers(composed),
    "fibers, the same in plain Effect": inFibers(plain),
    "a fiber for each promise, no policy": byPromises(() => Effect.runPromise(pausing)),
    "a fiber for each promise, four policies composed": byPromises(() => Effect.runPromise(composed)),
    "promises, guarded by four policies": byPromises(Effect.runSync(fourGuarding)(pause)),
    "promises, cockatiel": byPromises(() => wrapped.execute(pause))
  }
}

/** What a round takes: microseconds of CPU a call, the share of its time that collects garbage, and how long the event loop stood still. */
const round = async (run: () => Promise<unknown>): Promise<readonly [number, number, number]> => {
  let collected = 0
  const observer = new PerformanceObserver((list) => add(list.getEntries()))
  const add = (entries: ReadonlyArray<{ readonly duration: number }>): void => {
    for (const { duration } of entries) collected += duration
  }
  observer.observe({ entryTypes: ["gc"] })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const [startedAt, begun] = [cpuNanos(), performance.now()]
  await run()
  const [nanos, millis] = [cpuNanos() - startedAt, performance.now() - begun]
  // What the event loop could not see to before is seen to in the next turns.
  await new Promise((resolve) => setTimeout(resolve, 20))
  delay.disable()
  add(observer.takeRecords())
  observer.disconnect()
  return [nanos / calls / 1000, collected / millis, delay.max / 1_000_000]
}

export const crowds = async (rounds: number): Promise<ReadonlyArray<Study>> => {
  const contenders = Object.entries(crowd())
  const taken = contenders.map((): Array<readonly [number, number, number]> => [])
  // cockatiel adds a listener for each call, of which Node.js warns at the eleventh.
  process.removeAllListeners("warning").on("warning", () => undefined)
  for (let index = -1; index < rounds; index++) {
    for (const [which, [, run]] of contenders.entries()) {
      globalThis.gc?.()
      const result = await round(run)
      if (index >= 0) taken[which].push(result)
    }
  }
  const named = (name: string): number => contenders.findIndex(([each]) => each === name)
  const at = (which: number, column: 0 | 1 | 2): number => median(taken[which].map((each) => each[column]))
  return [
    {
      section: "10 000 calls at once",
      what: "calls of 5 ms: CPU us a call, share of collections, longest delay of the event loop",
      points: contenders.map(([name], which) => ({
        at: name,
        shown: `${figure(at(which, 0))} us, ${(at(which, 1) * 100).toFixed(0)} %, ${figure(at(which, 2))} ms`
      })),
      figure: {
        name: "guarded promises / a fiber for each",
        value:
          at(named("promises, guarded by four policies"), 0) /
          at(named("a fiber for each promise, four policies composed"), 0),
        target: 0.25
      }
    }
  ]
}
