// Runs service A and service B through good and bad times, with and without policies between them, side by side. It takes about
// 40 seconds: npm run demo. With `npm run demo -- --watch` it repeats until Ctrl-C, to be watched in a browser.
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Effect, Fiber, FiberSet, Logger, LogLevel, Schedule, Stream } from "effect"
import { parseArgs } from "node:util"
import type { Behaviour } from "./b/server.js"
import * as Account from "./demo/account.js"
import * as Side from "./demo/side.js"
import { next, type PastPhase, summary } from "./demo/summary.js"

const callersPerSecond = 10

interface Phase {
  readonly behaviour: Behaviour
  readonly description: string
  readonly seconds: number
}

const phases: ReadonlyArray<Phase> = [
  { behaviour: "healthy", description: "is healthy and answers at once", seconds: 4 },
  {
    behaviour: "failing",
    description: "is failing: half of its answers are 503, Retry-After: 1",
    seconds: 10
  },
  { behaviour: "hanging", description: "is hanging: it takes 5 seconds for each answer", seconds: 12 },
  { behaviour: "healthy", description: "is healthy again", seconds: 10 }
]

/** All phases once, with callers that arrive at a fixed rate, and a summary. */
const round = ({ withPolicies, without }: Side.Sides) =>
  Effect.gen(function* () {
    const both = Effect.all({ withPolicies: withPolicies.measured, without: without.measured })
    const startedAt = yield* Clock.currentTimeMillis

    yield* withPolicies.circuit.changes.pipe(
      Stream.runForEach((change) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => Console.log(Account.change(now - startedAt, change)))
      ),
      Effect.forkScoped
    )

    // Callers arrive whether or not earlier ones have been answered.
    const callers = yield* FiberSet.make()
    const arrival = Effect.all([
      FiberSet.run(callers, withPolicies.call),
      FiberSet.run(callers, without.call)
    ])
    const arrivals = yield* Effect.fork(Effect.repeat(arrival, Schedule.fixed(1000 / callersPerSecond)))

    const past: Array<PastPhase> = []
    let before = yield* both
    let time = 0
    for (const { behaviour, description, seconds } of phases) {
      yield* Console.log(Account.phase(description))
      yield* withPolicies.switchB(behaviour)
      yield* without.switchB(behaviour)
      const began = before
      for (let second = 0; second < seconds; second++) {
        time++
        yield* sleepUntil(startedAt + time * 1000)
        const now = yield* both
        yield* Console.log(Account.second(time, before, now))
        before = now
      }
      past.push({ behaviour, began, ended: before })
    }

    yield* Fiber.interrupt(arrivals)
    yield* FiberSet.awaitEmpty(callers)
    yield* Console.log(summary(yield* both, past))
  }).pipe(Effect.scoped)

const demo = Effect.gen(function* () {
  const { watch } = yield* flags
  const sides = {
    withPolicies: yield* Side.make("composition", true),
    without: yield* Side.make("none", false)
  }
  const seconds = phases.reduce((sum, phase) => sum + phase.seconds, 0)
  yield* Console.log(Account.introduction(callersPerSecond, seconds))
  if (!watch) return yield* Effect.zipRight(round(sides), Console.log(next))
  const watched = Console.log(Account.watching(sides.withPolicies.url))
  const again = Effect.zipRight(sides.withPolicies.forget, sides.without.forget)
  return yield* watched.pipe(Effect.zipRight(round(sides)), Effect.zipRight(again), Effect.forever)
})

const flags = Effect.try(
  () => parseArgs({ options: { watch: { type: "boolean", default: false } } }).values
).pipe(
  Effect.tapError(({ error }) =>
    Console.error(`${String(error)}\n--watch repeats the demo until Ctrl-C and prints where to watch it.`)
  )
)

const sleepUntil = (instant: number) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(Math.max(0, instant - now)))

demo.pipe(
  Effect.scoped,
  Effect.provide(NodeHttpClient.layerUndici),
  // The services log as they do when started alone. Here the printed account is enough.
  Logger.withMinimumLogLevel(LogLevel.None),
  NodeRuntime.runMain
)
