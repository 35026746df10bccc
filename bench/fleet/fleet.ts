/** The processes of the fleet, as the run sees them: it gives them orders and hears their news. They end with the scope. */
import { Data, Effect, type Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import type { Collected, News, Order, Setup, Traffic } from "./messages.js"

/** What the run waited for, in vain. */
export class WaitedInVain extends Data.TaggedError("WaitedInVain")<{ readonly message: string }> {}

export type Heard = News & { readonly process: string }

export interface Fleet {
  readonly traffic: (traffic: Traffic) => Effect.Effect<void>
  /** From when on the partner fails. */
  readonly outage: (from: number | undefined) => Effect.Effect<void>
  /** What all processes saw since they were last asked. */
  readonly collect: Effect.Effect<ReadonlyArray<Collected>, WaitedInVain>
  /** All news so far, in the order of its arrival. */
  readonly heard: ReadonlyArray<Heard>
  /** Waits until something holds for the news. */
  readonly until: (
    what: string,
    holds: (heard: ReadonlyArray<Heard>) => boolean,
    withinMillis: number,
    /** What is the matter, if it does not. */
    why?: () => string
  ) => Effect.Effect<void, WaitedInVain>
}

/** Starts the processes and waits until each has its policies. The program is this one, run with its setup as an argument. */
export const start = (setups: ReadonlyArray<Setup>): Effect.Effect<Fleet, WaitedInVain, Scope.Scope> =>
  Effect.gen(function* () {
    const heard: Array<Heard> = []
    let ending = false
    let died: string | undefined
    let changed = (): void => {}
    const children = yield* Effect.acquireRelease(
      Effect.sync(() =>
        setups.map((setup) => {
          const child = fork(process.argv[1], ["--member", JSON.stringify(setup)], {
            execArgv: [],
            stdio: ["ignore", "inherit", "inherit", "ipc"]
          })
          child.on("message", (news: News) => {
            heard.push({ ...news, process: setup.name })
            changed()
          })
          child.on("exit", () => {
            if (ending) return
            died = setup.name
            changed()
          })
          return child
        })
      ),
      (children) => {
        ending = true
        return Effect.forEach(children, ended, { concurrency: "unbounded", discard: true })
      }
    )
    const until: Fleet["until"] = (what, holds, withinMillis, why = () => "") =>
      Effect.async<void, WaitedInVain>((resume) => {
        changed = () => {
          if (died !== undefined) resume(new WaitedInVain({ message: `${died} has ended by itself` }))
          else if (holds(heard)) resume(Effect.void)
        }
        changed()
        return Effect.sync(() => (changed = () => {}))
      }).pipe(
        Effect.timeoutFail({
          duration: withinMillis,
          onTimeout: () => new WaitedInVain({ message: `not within ${withinMillis} ms: ${what} ${why()}` })
        })
      )
    const order = (order: Order) =>
      Effect.sync(() => {
        for (const child of children) child.send(order)
      })
    const count = (tag: News["_tag"]) => heard.filter(({ _tag }) => _tag === tag).length

    yield* until("every process is ready", () => count("Ready") === setups.length, 60_000)
    return {
      heard,
      until,
      traffic: (traffic) => order({ _tag: "Traffic", traffic }),
      outage: (from) => order({ _tag: "Outage", from }),
      collect: Effect.gen(function* () {
        const before = heard.length
        yield* order({ _tag: "Collect" })
        const collected = () =>
          heard.slice(before).flatMap((news) => (news._tag === "Collected" ? [news] : []))
        yield* until("every process answers", () => collected().length === setups.length, 30_000)
        return collected()
      })
    }
  })

/** Ends a process by hanging up, or by force if it does not end. */
const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    if (child.connected) child.disconnect()
  }).pipe(
    Effect.timeoutOption("5 seconds"),
    Effect.flatMap((done) =>
      Effect.sync(() => {
        if (done._tag === "None") child.kill("SIGKILL")
      })
    )
  )
