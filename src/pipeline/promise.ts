/** What `Policy.promise` makes: functions guarded by policies, in a program with these services. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Runtime from "effect/Runtime"
import { callable, InvalidOption, isObject } from "../core/options.js"
import { type Apply, flattened } from "./compose.js"
import { EdgeCall, Home, onAbort, Protected, rejectionOf, type Run } from "./edge.js"

/** Where services come from, and what is known of them now. */
interface Providing {
  home: Home | undefined
  readonly build: () => Promise<Exit.Exit<Runtime.Runtime<unknown>, unknown>>
}

const providing = (services: unknown): Providing => {
  if (ManagedRuntime.isManagedRuntime(services)) {
    const { runtimeEffect } = services
    let home: Home | undefined
    return {
      // Disposal replaces the effect. A call then fails as it would in the runtime itself.
      get home() {
        return services.runtimeEffect === runtimeEffect ? home : undefined
      },
      set home(built) {
        home = built
      },
      build: () => Effect.runPromiseExit(services.runtimeEffect)
    }
  }
  if (Layer.isLayer(services)) return providing(ManagedRuntime.make(services as Layer.Layer<unknown>))
  if (isObject(services) && "runtimeFlags" in services && "context" in services) {
    const runtime = services as unknown as Runtime.Runtime<unknown>
    return { home: new Home(runtime), build: () => Promise.resolve(Exit.succeed(runtime)) }
  }
  throw new InvalidOption("Policy.promise", "provide", services, "a runtime or a layer")
}

const isSignal = (signal: unknown): boolean =>
  isObject(signal) && "aborted" in signal && "addEventListener" in signal

/** What a promise resolves with, unless a signal is aborted first. */
const beforeAbort = <A>(promise: Promise<A>, signal: AbortSignal | undefined): Promise<A> => {
  if (signal === undefined) return promise
  return new Promise<A>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const leave = onAbort(signal, () => reject(signal.reason))
    void promise.then(resolve, reject).finally(leave)
  })
}

export const guardOf = (
  policies: ReadonlyArray<Apply>,
  provided = providing(Runtime.defaultRuntime)
): unknown => {
  const all = policies.flatMap(flattened)
  const guard = (run: Run) => {
    callable("Policy.promise", "run", run)
    const of = new Protected(all, run)
    const within =
      (signal: AbortSignal | undefined) =>
      (...args: ReadonlyArray<unknown>): Promise<unknown> =>
        provided.home !== undefined
          ? new EdgeCall(provided.home, of, args, signal).promise()
          : beforeAbort(provided.build(), signal).then((exit) => {
              if (Exit.isFailure(exit)) throw rejectionOf(exit.cause)
              return new EdgeCall((provided.home ??= new Home(exit.value)), of, args, signal).promise()
            })
    const withSignal = (signal: AbortSignal | undefined) => {
      if (signal !== undefined && !isSignal(signal)) {
        throw new InvalidOption("Policy.promise", "signal", signal, "an AbortSignal")
      }
      return within(signal)
    }
    return Object.assign(within(undefined), { withSignal })
  }
  return Object.assign(guard, { provide: (services: unknown) => guardOf(policies, providing(services)) })
}
