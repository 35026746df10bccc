/** Runs code of users beside a call, such as observers. Its errors never reach the call; the log shows the first one. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Runtime from "effect/Runtime"
import { startFiber, startIn } from "../internal/fork.js"
import { runningFiber } from "../internal/inside.js"

/** The same function, which returns `undefined` where it would throw. Its first error is logged as a warning. */
export const harmless = <Args extends ReadonlyArray<unknown>, A>(
  run: (...args: Args) => A,
  message = "an observer threw"
): ((...args: Args) => A | undefined) => {
  let hasThrown = false
  return (...args) => {
    try {
      return run(...args)
    } catch (thrown) {
      if (!hasThrown) {
        hasThrown = true
        later(Effect.logWarning(message, Cause.die(thrown)))
      }
      return undefined
    }
  }
}

/**
 * Writes to the log after the step that runs now, whatever the loggers do: with the loggers and the annotations of the fiber that runs,
 * or with those of a runtime. A line names the trace of the fiber, but is not written into its span, which may have ended by then.
 */
export const later = (
  line: Effect.Effect<unknown, unknown>,
  runtime: Runtime.Runtime<never> = Runtime.defaultRuntime
): void => {
  // What ends a fiber with an error is logged by Effect, and so is the error of a logger.
  const written = Effect.catchAllCause(Effect.provide(line, notIntoSpans), () => Effect.void)
  const fiber = runningFiber()
  if (fiber === undefined) startIn(runtime, written, { immediate: false })
  else startFiber(fiber, written, Runtime.defaultRuntimeFlags, { immediate: false })
}

const notIntoSpans = /*#__PURE__*/ Logger.remove(Logger.tracerLogger)
