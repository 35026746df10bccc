/**
 * Counts what a call makes the run loop do. A tracer's `context` is called around every operation of a fiber, so that one
 * that counts sees them all, on any machine the same. A bare `Effect.sync` counts one: nothing of the harness is in a count.
 */
import { type Clock, Effect, Exit, Fiber, Runtime, Scope, Tracer } from "effect"
import { type Body, bodies, type Path, type Prepared } from "../paths.js"
import type { PromiseCall } from "../peers.js"

export interface Count {
  readonly ops: number
  /** Fibers started beside that of the call. */
  readonly fibers: number
  readonly timers: number
}

let ops = 0
let timers = 0
const fibers = new Set<unknown>()
const timersLeft = new Set<NodeJS.Timeout>()

/** Counts every timer, by any code, where it is set. */
const countTimers = (): void => {
  const { clearTimeout, setTimeout } = globalThis
  const set = (handler: (...args: ReadonlyArray<unknown>) => void, millis?: number): NodeJS.Timeout => {
    timers += 1
    const timer = setTimeout(() => {
      timersLeft.delete(timer)
      handler()
    }, millis)
    timersLeft.add(timer)
    return timer
  }
  globalThis.setTimeout = set as typeof setTimeout
  globalThis.clearTimeout = (timer) => {
    if (typeof timer === "object") timersLeft.delete(timer)
    clearTimeout(timer)
  }
}

const counting = Tracer.make({
  span: () => {
    throw new Error("no span is made here")
  },
  context: (f, fiber) => {
    ops += 1
    fibers.add(fiber)
    return f()
  }
})

const countingRuntime = (clock: Clock.Clock | undefined): Runtime.Runtime<never> => {
  const runtime = Effect.withTracer(Effect.runtime<never>(), counting)
  return Effect.runSync(clock === undefined ? runtime : Effect.withClock(runtime, clock))
}

/** Whatever a call leaves behind runs until it is done. */
const quiet = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const countOnce = async (
  { block, call }: Prepared,
  runtime: Runtime.Runtime<never>,
  calls: number
): Promise<Count> => {
  await quiet()
  if (block !== undefined) await Effect.runPromise(block.begin)
  ops = timers = 0
  fibers.clear()
  const running = Array.from({ length: calls }, () => Runtime.runFork(runtime)(call))
  if (block !== undefined) {
    await quiet()
    await Effect.runPromise(block.end)
  }
  await Effect.runPromise(Fiber.awaitAll(running))
  await quiet()
  // One that keeps nothing alive may wait for the next call.
  if ([...timersLeft].some((timer) => timer.hasRef())) throw new Error("a timer is left behind")
  return { ops: ops / calls, fibers: fibers.size / calls - 1, timers: timers / calls }
}

const isSame = (left: Count, right: Count): boolean =>
  left.ops === right.ops && left.fibers === right.fibers && left.timers === right.timers

/** The count of one call, after a few that are not counted. It must be the same each time, and for any number of calls. */
export const count = async (path: Path, body: Body): Promise<Count> => {
  const scope = await Effect.runPromise(Scope.make())
  const runtime = countingRuntime(path.clock)
  const prepared = await Effect.runPromise(Scope.extend(path.prepare(bodies[body]), scope))
  for (let warmup = 0; warmup < 3; warmup++) await countOnce(prepared, runtime, 1)
  const first = await countOnce(prepared, runtime, 1)
  for (const calls of prepared.block === undefined ? [1, 1] : [10, 100, 1000]) {
    const again = await countOnce(prepared, runtime, calls)
    if (!isSame(first, again)) {
      const shown = `${JSON.stringify(first)} and ${JSON.stringify(again)}`
      throw new Error(`${path.policy}, ${path.path}, ${body}: the counts differ: ${shown}`)
    }
  }
  await Effect.runPromise(Scope.close(scope, Exit.void))
  return first
}

/** The count of a call from promises, which needs no fiber as long as nothing has to wait. */
export const countPromise = async (
  made: (runtime: Runtime.Runtime<never>) => PromiseCall
): Promise<Count> => {
  const call = made(countingRuntime(undefined))
  for (let warmup = 0; warmup < 3; warmup++) await call()
  await quiet()
  ops = timers = 0
  fibers.clear()
  await call()
  await quiet()
  if ([...timersLeft].some((timer) => timer.hasRef())) throw new Error("a timer is left behind")
  return { ops, fibers: fibers.size, timers }
}

countTimers()
