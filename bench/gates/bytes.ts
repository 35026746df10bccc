/**
 * Weighs what a call allocates: the growth of the heap over a round of calls without a collection in between. The rounds of
 * all paths take turns, so that the compiler has seen everything before anything is weighed, and the median of them counts.
 */
import { Effect, Exit, Runtime, Scope } from "effect"
import { type Guarded, guardedName } from "../guarded.js"
import { doesSucceed, repeated } from "../loop.js"
import { median } from "../median.js"
import { type Body, bodies, nameOf, type Path } from "../paths.js"
import type { PromiseCall } from "../peers.js"

const callsPerRound = 500
const warmups = 20
const rounds = 11

const collect = (): void => {
  if (globalThis.gc === undefined) throw new Error("bytes are weighed under --expose-gc")
  globalThis.gc({ type: "minor" })
}

/** Calls from promises, one after the other. */
const awaited = async (call: PromiseCall): Promise<void> => {
  for (let left = callsPerRound; left > 0; left--) await call()
}

interface Case {
  readonly path: Path
  readonly body: Body
}

/** The bytes of one call of each path. A promise is waited for, and what that takes is part of the call. */
export const weighAll = async (
  cases: ReadonlyArray<Case>,
  edges: ReadonlyArray<Guarded>
): Promise<ReadonlyMap<string, number>> => {
  const scope = await Effect.runPromise(Scope.make())
  const prepared: Array<{ readonly name: string; readonly round: () => Promise<void> }> = []
  for (const { body, path } of cases) {
    const { call } = await Effect.runPromise(Scope.extend(path.prepare(bodies[body]), scope))
    const round = repeated(call, callsPerRound, await doesSucceed(call), path.clock)
    prepared.push({ name: nameOf(path, body), round: () => Effect.runPromise(round) })
  }
  for (const edge of edges) {
    const call = (await Effect.runPromise(edge.prepare))(Runtime.defaultRuntime)
    prepared.push({ name: guardedName(edge), round: () => awaited(call) })
  }
  const weights = new Map<string, Array<number>>(prepared.map(({ name }) => [name, []]))
  for (let index = -warmups; index < rounds; index++) {
    for (const { name, round } of prepared) {
      if (index >= 0) collect()
      const before = process.memoryUsage().heapUsed
      await round()
      const grown = process.memoryUsage().heapUsed - before
      if (index >= 0) weights.get(name)?.push(grown / callsPerRound)
    }
  }
  await Effect.runPromise(Scope.close(scope, Exit.void))
  return new Map([...weights].map(([name, grown]) => [name, Math.round(median(grown))]))
}
